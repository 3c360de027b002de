"""Where the PRR is: from the profile, then the names of the official client; and what is refused of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import osc_bundles as made
import pytest

from earthcode_pack.catalogs.prr.settings import Account, Prr, account, prr_of
from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.profile import load_profile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RAPI_")]:
        monkeypatch.delenv(name)


def prr(folder: Path, **stated: Any) -> Prr:
    store = {"prr": {"collection": "demo-prr", **stated}}
    return prr_of(load_profile(made.profile(catalog=None, store=store), folder))


TRIAL = {"api": "https://trial.example.org/reg-api/", "stac": "https://trial.example.org/stac"}


def test_the_prr_itself(tmp_path: Path) -> None:
    found = prr(tmp_path)
    assert found.items == "https://eoresults.esa.int/reg-api/collections/demo-prr/items"
    assert found.catalogued_item("a") == "https://eoresults.esa.int/stac/collections/demo-prr/items/a"
    assert (found.storage.endpoint_url, found.storage.region) == ("https://eoresults.esa.int", "us-east-1")
    assert found.bucket is None
    assert Account("jane", "x").bucket == "sg-jane-generic"


def test_names_of_the_official_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPI_ENDPOINT", "https://trial.example.org/reg-api/")
    monkeypatch.setenv("RAPI_S3_ENDPOINT", "https://s3.example.org/")
    monkeypatch.setenv("RAPI_STAGEIN_BUCKET", "sg-project")
    monkeypatch.setenv("RAPI_COLLECTION_ID", "demo-prr")
    found = prr(tmp_path, stac=TRIAL["stac"])
    assert found.api == "https://trial.example.org/reg-api"
    assert (found.storage.endpoint_url, found.bucket) == ("https://s3.example.org", "sg-project")


def test_the_profile_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPI_STAGEIN_BUCKET", "sg-other")
    assert prr(tmp_path, bucket="sg-project").bucket == "sg-project"


def test_a_trial_gateway_with_the_production_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="stac and s3_endpoint would be the PRR's own") as caught:
        prr(tmp_path, api=TRIAL["api"])
    assert caught.value.remedy == "set store.prr.stac and store.prr.s3_endpoint"
    with pytest.raises(UserError, match="and s3_endpoint would be the PRR's own"):
        prr(tmp_path, **TRIAL)


def test_a_password_in_the_clear_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="password in the clear"):
        prr(tmp_path, api="http://trial.example.org", stac=TRIAL["stac"], s3_endpoint="https://s3.example.org")


def test_two_collections_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPI_COLLECTION_ID", "another")
    with pytest.raises(UserError, match="demo-prr, RAPI_COLLECTION_ID is another"):
        prr(tmp_path)


@pytest.mark.parametrize("given", [{}, {"RAPI_USERNAME": "jane"}, {"RAPI_USERNAME": "jane", "RAPI_PASSWORD": ""}])
def test_half_an_account_is_none(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OutsideError, match="no credentials"):
        account()


def test_an_account_does_not_show_itself() -> None:
    assert "secret" not in repr(Account("jane", "secret"))
    assert "secret" not in f"{Account('jane', 'secret')}"
