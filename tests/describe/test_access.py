"""Closed data: a reader with keys learns endpoint, bucket and key from the STAC; of open data nothing is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pystac
import pytest
from making import EPOCH, cube_profile, errors, every_file, profile_of, write_cube, write_tif
from stac_schemas import complaints

from earthcode_pack.describe.access import closed_store, storage_scheme
from earthcode_pack.describe.stac import EXTENSIONS
from earthcode_pack.geoparquet import ItemTable
from earthcode_pack.pipeline import prepare
from earthcode_pack.profile.model import StoreSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.bundle import Bundle

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")

STORE = {"href": "s3://lab/pre/", "endpoint_url": "https://s3.example.org/", "access": "private"}
REFS = {"auth:refs": ["s3"], "storage:refs": ["s3"]}
OURS = {EXTENSIONS[name] for name in ("authentication", "storage", "alternate-assets")}


@pytest.fixture(autouse=True)
def _nothing_of_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))


def scenes(folder: Path, **store: Any) -> Bundle:
    for day in (1, 2):
        write_tif(folder / "raw" / f"a_2020010{day}.tif")
    return prepare(profile_of(folder, store=STORE | store), folder / "work")


def documents(bundle: Bundle) -> Iterator[dict[str, Any]]:
    yield bundle.collection()
    yield from bundle.items()


def test_every_asset_and_link_of_the_store_names_schemes_that_its_file_declares(tmp_path: Path) -> None:
    bundle = scenes(tmp_path)
    for stac in documents(bundle):
        holder = stac.get("properties", stac)
        assert holder["auth:schemes"]["s3"]["type"] == "s3"
        place = {"type": "custom-s3", "platform": "https://s3.example.org", "bucket": "lab"}
        assert place.items() <= holder["storage:schemes"]["s3"].items()
        assert set(stac["stac_extensions"]) >= OURS
        assert stac["assets"]
        for holds in (*stac["assets"].values(), *stac.get("item_assets", {}).values()):
            assert holds.items() >= REFS.items()
        inside = {link["href"]: link for link in stac["links"] if "://" not in link["href"]}
        assert all(link.items() >= REFS.items() for link in inside.values())
        assert not any(REFS.keys() & link.keys() for link in stac["links"] if link["href"] not in inside)
    assert not [text for text in errors(bundle) if "SCHE" in text or "CLOSED" in text]


@pytest.mark.parametrize("public", [None, "https://data.example.org/lab/"])
def test_the_alternate_is_the_key_in_the_bucket_whatever_the_href(tmp_path: Path, public: str | None) -> None:
    bundle = scenes(tmp_path, public_href=public)
    keys = {entry.key for entry in bundle.manifest()}
    for stac in documents(bundle):
        for asset in stac["assets"].values():
            alternate = asset["alternate"]["s3"]
            assert alternate["href"].removeprefix("s3://lab/pre/demo/v1.0/") in keys
            assert alternate.items() >= REFS.items()
            assert asset["href"].startswith("https://data.example.org/lab/demo/v1.0/" if public else ".")


def test_a_store_of_the_collection_too_and_the_schemas_agree(tmp_path: Path, schemas: Path) -> None:
    write_cube(tmp_path / "raw" / "t.nc")
    bundle = prepare(cube_profile(tmp_path, store=STORE | {"region": "waw4-1"}), tmp_path / "work")
    collection, (item,) = bundle.collection(), bundle.items()
    assert complaints(collection, schemas) == complaints(item, schemas) == []
    for stac in (collection, item):
        assert stac["assets"]["data"]["alternate"]["s3"]["href"] == "s3://lab/pre/demo/v1.0/data/demo.zarr"
    assert collection["storage:schemes"]["s3"]["region"] == "waw4-1"
    assert pystac.Item.from_dict(item).properties["storage:schemes"] == collection["storage:schemes"]


def test_the_schemas_would_notice(tmp_path: Path, schemas: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    bundle = prepare(profile_of(tmp_path, store=STORE), tmp_path / "work")
    (item,) = bundle.items()
    item["properties"]["storage:schemes"]["s3"].pop("platform")
    item["assets"]["index"]["auth:refs"] = "s3"
    assert len(complaints(item, schemas)) == 2


@pytest.mark.parametrize("store", [{**STORE, "access": "public"}, {"href": "published", "access": "private"}])
def test_of_open_and_of_local_data_nothing_is_said(
    tmp_path: Path, store: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    bundles = [
        prepare(profile_of(tmp_path, store=where), tmp_path / f"work{number}")
        for number, where in enumerate((store, None))
    ]
    assert every_file(bundles[0].product) == every_file(bundles[1].product)
    assert not any(set(stac["stac_extensions"]) & OURS for stac in documents(bundles[0]))


def test_of_the_prr_nothing_is_said_even_where_access_is_private(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, store={"prr": {"collection": "demo"}, "access": "private"})
    assert closed_store(profile) is None


# --- where it is


def scheme(**store: Any) -> dict[str, str] | None:
    return storage_scheme(StoreSpec(href="s3://lab/pre", **store))


AMAZON = {"type": "aws-s3", "platform": "https://{bucket}.s3.{region}.amazonaws.com", "bucket": "lab"}


@pytest.mark.parametrize(
    ("store", "region"),
    [
        ({"region": "eu-central-1"}, "eu-central-1"),
        ({"endpoint_url": "https://s3.eu-west-1.amazonaws.com"}, "eu-west-1"),
        ({"endpoint_url": "https://s3-us-west-2.amazonaws.com/"}, "us-west-2"),
        ({"endpoint_url": "https://s3.dualstack.us-gov-west-1.amazonaws.com"}, "us-gov-west-1"),
        ({"endpoint_url": "https://s3.amazonaws.com", "region": "us-east-1"}, "us-east-1"),
    ],
)
def test_amazon_is_known_by_its_endpoint(store: dict[str, str], region: str) -> None:
    found = scheme(**store)
    assert found is not None
    assert found.items() >= (AMAZON | {"region": region}).items()


@pytest.mark.parametrize(
    "url", ["https://s3.amazonaws.com.example.org", "https://s3.cn-north-1.amazonaws.com.cn", "http://127.0.0.1:8480"]
)
def test_who_is_not_amazon(url: str) -> None:
    found = scheme(endpoint_url=url)
    assert found is not None
    assert (found["type"], found["platform"]) == ("custom-s3", url)
    assert "region" not in found


def test_an_endpoint_that_the_environment_names_is_the_one_that_an_upload_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://me:n0t-to-be-shown@own.example/")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    found = scheme()
    assert found is not None
    assert found["platform"] == "https://own.example"
    assert "region" not in found, "that of the environment is for signing, and says nothing of where the data are"


def test_what_the_aws_files_name_is_taken_too(tmp_path: Path) -> None:
    (tmp_path / "aws-config").write_text(
        "[profile lab]\nregion = eu-south-1\n[profile own]\nendpoint_url = https://own.example\n"
    )
    found = [scheme(profile=name) for name in ("lab", "own", "no-such-profile")]
    assert [one and one["type"] for one in found] == ["aws-s3", "custom-s3", None]


def test_what_nobody_states_is_not_guessed(tmp_path: Path) -> None:
    assert scheme() is None, "Amazon's regions are many"
    assert scheme(endpoint_url="https://s3.amazonaws.com") is None
    assert storage_scheme(StoreSpec(href="s3:///pre", endpoint_url="https://own.example")) is None
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    bundle = prepare(profile_of(tmp_path, store={"href": "s3://lab/pre"}), tmp_path / "work")
    assert not set(bundle.collection()["stac_extensions"]) & OURS
    (found,) = [finding for finding in bundle.findings() if finding.rule == "STAC-CLOSED"]
    assert "store.endpoint_url" in found.remedy


def test_a_table_of_closed_items(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    items = list(scenes(tmp_path).items())
    with ItemTable(tmp_path / "rows", enough=True) as rows:
        for item in items:
            rows.add(item)
        rows.write(tmp_path / "items.parquet")
    read = pq.read_table(tmp_path / "items.parquet").to_pylist()
    assert [row["storage:schemes"]["s3"]["bucket"] for row in read] == ["lab", "lab"]
    assert [row["assets"]["index"]["alternate"]["s3"]["href"] for row in read] == [
        item["assets"]["index"]["alternate"]["s3"]["href"] for item in items
    ]
