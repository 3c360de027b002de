"""STAC of a stranger: any JSON value anywhere. Findings or a clear error, never a traceback, nothing read outside."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthcode_pack.checks import check
from earthcode_pack.checks.documents import Document, ProductFolder, load_json
from earthcode_pack.cli.words import clipped
from earthcode_pack.errors import EarthcodePackError, UserError

if TYPE_CHECKING:
    from pathlib import Path

ODD = st.sampled_from(
    [
        None, True, 0, -1, 10**400, float("nan"), float("inf"), "", "..", "../../../../etc/passwd", "/etc/passwd",
        "file:///etc/passwd", "http://[", "s3://", "data:,x", "a\x00b.tif", "x" * 5000, "\ud800",
        "0000-00-00T00:00:00Z",
        "2020-02-30T00:00:00+99:99", "EPSG:999999", [], {}, [None], [{}], {"": ""}, [1, 2, 3, 4], [10**400] * 4,
        {"type": "Polygon", "coordinates": [[[0]]]}, {"type": "GeometryCollection", "geometries": [None, 1, {}]},
        [{"name": 1, "unit": 3, "data_type": []}],
    ]
)  # fmt: skip
VALUES = ODD | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every node."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in parts for found in places(part, (*path, key)))]


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at a path."""
    if not path:
        return value
    out = copy.deepcopy(document)
    target = out
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return out


def judged(path: Path) -> list[str]:
    """What is found, as JSON; nothing where it is refused in words."""
    try:
        return [finding.to_json() for finding in check(path)]
    except EarthcodePackError as error:
        return [] if str(error) else [""]


@pytest.mark.parametrize("name", ["items/demo_20200101.json", "collection.json"])
@given(st.data())
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_node_may_be_anything(product, name, data):
    path = product.root / name
    good = product.collection if name == "collection.json" else product.item  # not what an example before this one left
    changed = put(good, data.draw(st.sampled_from(places(good))), data.draw(VALUES))
    path.write_text(json.dumps(changed))
    assert all("root:x:0" not in finding for finding in judged(path))


def test_nesting_without_end_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(UserError, match="nested"):
        check(tmp_path / "a.json")


def test_numbers_that_no_float_holds_are_infinite():
    assert load_json(b"[1" + b"0" * 400 + b", 7]") == [float("inf"), 7]


def test_halves_of_characters_can_be_written():
    assert load_json(b'{"\\ud800": "\\udfff"}') == {"?": "?"}
    assert load_json(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("href", ["../secret.tif", "a/../../secret.tif", "%2e%2e/secret.tif", "../../../../etc/passwd"])
def test_what_lies_beside_the_product_is_not_read(tmp_path, make_cog, product, href):
    make_cog(tmp_path / "secret.tif", units=None)
    (tmp_path / "product" / "one").mkdir()
    path = tmp_path / "product" / "one" / "item.json"
    path.write_text(json.dumps(product.item | {"assets": {"sst": product.asset | {"href": f"../{href}"}}}))
    rules = {finding.rule for finding in check(path)}
    assert "HREF-REMOTE" in rules
    assert not rules & {"COG-UNITS", "FILE-SIZE", "FILE-CHECKSUM"}


def test_links_in_a_circle_end(product):
    product.collection["links"].append({"rel": "item", "href": "./collection.json"})
    product.item["links"].append({"rel": "item", "href": "./demo_20200101.json"})
    product.save()
    assert judged(product.root / "collection.json") is not None
    assert judged(product.root / "items/demo_20200101.json") is not None


def test_a_circle_of_links_on_disk_leads_nowhere(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    document = Document({}, "x", tmp_path, ProductFolder(tmp_path))
    assert document.resolve("a/x.tif").path is None or not document.resolve("a/x.tif").path.exists()


def test_what_is_shown_is_one_line_and_has_no_control_characters():
    assert clipped("a\n\x1b[31mb" + "c" * 50, 10) == "a \ufffd[31mbcc…"
