"""Schemes of closed data: what is referred to is declared, and none of them holds a secret."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from earthcode_pack.checks import check, rules
from earthcode_pack.checks.documents import Document
from earthcode_pack.checks.metadata import scheme_findings
from earthcode_pack.model import Level

SECRET = "n0t-to-be-shown"
PLACE = {"type": "custom-s3", "platform": "https://s3.example.org", "bucket": "lab"}
REFS = {"auth:refs": ["s3"], "storage:refs": ["s3"]}


def closed(stac: dict[str, Any], **auth: Any) -> dict[str, Any]:
    """A copy whose first asset needs keys; ``auth`` are further schemes."""
    out = copy.deepcopy(stac)
    holder = out.get("properties", out)
    holder["auth:schemes"] = {"s3": {"type": "s3"}, **auth}
    holder["storage:schemes"] = {"s3": dict(PLACE)}
    asset = next(iter(out["assets"].values()))
    asset |= REFS | {"alternate": {"s3": {"href": "s3://lab/a.tif", **REFS}}}
    out["links"][0] |= REFS
    return out


def judged(stac: dict[str, Any]) -> list[Any]:
    return list(scheme_findings(Document(stac, "x.json", None)))


def test_what_is_declared_is_found(product: Any) -> None:
    assert judged(closed(product.item)) == []
    assert judged(closed(product.collection)) == []
    assert judged(product.item) == []


@pytest.mark.parametrize("refs", ["auth:refs", "storage:refs"])
@pytest.mark.parametrize("where", ["asset", "alternate", "link"])
def test_a_scheme_that_is_not_declared(product: Any, refs: str, where: str) -> None:
    stac = closed(product.item)
    asset = stac["assets"]["sst"]
    holder = {"asset": asset, "alternate": asset["alternate"]["s3"], "link": stac["links"][0]}[where]
    holder[refs] = ["s3", "s4"]
    (found,) = judged(stac)
    assert (found.rule, found.level, found.measured, found.allowed) == (
        "STAC-SCHEME-UNKNOWN",
        Level.ERROR,
        ["s4"],
        ["s3"],
    )
    assert where in found.message


def test_an_item_does_not_inherit_the_schemes_of_its_collection(product: Any) -> None:
    stac = closed(product.item)
    del stac["properties"]["auth:schemes"]
    assert {finding.rule for finding in judged(stac)} == {"STAC-SCHEME-UNKNOWN"}


@pytest.mark.parametrize(
    "fields",
    [
        {"secret_access_key": SECRET},
        {"password": SECRET},
        {"description": f"take https://me:{SECRET}@s3.example.org"},
        {"flows": {"x": {"authorizationApi": f"https://example.org/sign?X-Amz-Signature={SECRET}"}}},
        {"flows": {"x": {"parameters": {"key": {"schema": {"examples": ["AKIAIOSFODNN7EXAMPLE"]}}}}}},
    ],
)
def test_a_secret_is_told_by_its_place_alone(product: Any, fields: dict[str, Any]) -> None:
    (found,) = judged(closed(product.item, other={"type": "signedUrl", **fields}))
    assert (found.rule, found.level) == ("STAC-SCHEME-SECRET", Level.ERROR)
    assert found.measured.startswith("auth:schemes.other.")
    assert SECRET not in found.to_json()
    assert "AKIA" not in found.to_json()


def test_what_looks_like_a_secret_and_is_none(product: Any) -> None:
    harmless = {
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "ask mailto:help@example.org"},
        "oauth": {
            "type": "oauth2",
            "flows": {"password": {"tokenUrl": "https://example.org/token", "scopes": {"read:secret": "reads"}}},
        },
    }
    assert judged(closed(product.item, **harmless)) == []


@pytest.mark.parametrize("value", [1, "s3", ["s3"], {"s3": 1}, None])
def test_what_is_no_scheme_is_left_to_the_schema(product: Any, value: Any) -> None:
    stac = closed(product.item)
    stac["properties"]["auth:schemes"] = value
    stac["assets"]["sst"]["storage:refs"] = stac["assets"]["sst"]["alternate"] = value
    assert {finding.rule for finding in judged(stac)} <= {"STAC-SCHEME-UNKNOWN"}


def test_check_finds_both_in_a_product(product: Any, broken: Any) -> None:
    product.items["demo_20200101"] = closed(product.item, other={"type": "s3", "secret": SECRET})
    product.items["demo_20200101"]["links"][0]["auth:refs"] = ["s4"]
    product.save()
    found = check(product.root)
    assert {"STAC-SCHEME-UNKNOWN", "STAC-SCHEME-SECRET"} <= broken(found)
    assert {rules.SCHEME_UNKNOWN, rules.SCHEME_SECRET, rules.CLOSED} <= set(rules.catalogue())
