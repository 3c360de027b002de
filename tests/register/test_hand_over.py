"""The hand-over route: a ZIP that stands by itself, with the hrefs of the archive, and the letter."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import osc_bundles as made
import pystac
import pytest

from earthcode_pack.catalogs.prr import hand_over
from earthcode_pack.catalogs.prr.hand_over import handed_over, letter

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle

STORE: dict[str, Any] = {"prr": {"collection": "demo-prr"}, "access": "public"}


@pytest.fixture
def rich(tmp_path: Path) -> Bundle:
    """A bundle for the PRR with two Items."""
    return made.bundle(tmp_path / "bundle", made.profile(project=made.NEW_PROJECT, store=STORE))


@pytest.fixture
def unzipped(rich: Bundle, tmp_path: Path) -> Path:
    """The ZIP, unpacked elsewhere."""
    hand_over(rich)
    with zipfile.ZipFile(rich.root / "prr" / "stac.zip") as archive:
        archive.extractall(tmp_path / "there")
    return tmp_path / "there"


def test_the_zip_stands_by_itself(unzipped: Path) -> None:
    collection = pystac.Collection.from_file(unzipped / "collection.json")
    items = list(collection.get_items(recursive=True))
    assert [item.id for item in items] == ["demo-sst_20200101", "demo-sst_20200102"]
    assert collection.id == "demo-prr"
    for item in items:
        assert item.get_parent() is collection
        assert item.get_collection() is collection
        assert item.get_root() is collection
    links = [link for path in unzipped.rglob("*.json") for link in json.loads(path.read_bytes())["links"]]
    own = [link for link in links if link["rel"] in ("root", "parent", "collection", "item", "child", "self")]
    assert own
    assert not any("://" in link["href"] or link["href"].startswith("/") for link in own)


def test_hrefs_are_those_of_the_archive(unzipped: Path, rich: Bundle) -> None:
    keys = {entry.key for entry in rich.manifest()}
    for path in (unzipped / "items").iterdir():
        for asset in json.loads(path.read_bytes())["assets"].values():
            assert asset["href"].startswith("/d/demo-prr/")
            assert asset["href"].removeprefix("/d/demo-prr/") in keys, "its place below the link to the data"


def test_published_hrefs_become_those_of_the_archive_and_strangers_stay() -> None:
    item = made.item(1)
    item["assets"]["sst"]["href"] = "https://data.example.org/demo-sst/v1.0/data/x.tif"
    item["assets"]["other"] = {**item["assets"]["sst"], "href": "https://elsewhere.example.org/y.tif"}
    assets = handed_over(item, "demo-prr", "https://data.example.org/demo-sst/v1.0")["assets"]
    assert assets["sst"]["href"] == "/d/demo-prr/data/x.tif"
    assert assets["other"]["href"] == "https://elsewhere.example.org/y.tif"


def test_a_cube_of_the_collection_is_there_too(tmp_path: Path) -> None:
    cube = {"href": "./data/demo-sst.zarr.zip", "type": "application/zip+zarr", "roles": ["data"]}
    thumbnail = made.collection()["assets"]["thumbnail"]
    bundle = made.bundle(tmp_path / "bundle", made.profile(store=STORE), assets={"data": cube, "thumbnail": thumbnail})
    hand_over(bundle)
    with zipfile.ZipFile(bundle.root / "prr" / "stac.zip") as archive:
        assets = json.loads(archive.read("collection.json"))["assets"]
    assert assets["data"]["href"] == "/d/demo-prr/data/demo-sst.zarr.zip"
    assert assets["thumbnail"]["href"].startswith("data:image/png;base64,")


def test_the_same_bundle_gives_the_same_bytes(rich: Bundle, tmp_path: Path) -> None:
    hand_over(rich)
    first = (rich.root / "prr" / "stac.zip").read_bytes()
    again = made.bundle(tmp_path / "again", made.profile(project=made.NEW_PROJECT, store=STORE))
    hand_over(again)
    assert (again.root / "prr" / "stac.zip").read_bytes() == first


@pytest.mark.parametrize(("items", "told"), [(600, False), (601, True)])
def test_beyond_600_items_they_stay_out_of_the_catalogue(items: int, told: bool, rich: Bundle) -> None:
    text = letter(rich.profile(), {}, items, 10, [])
    assert f"`items/` with {items} Items, zipped as `stac.zip`" in text
    assert ("stay out of the Open Science Catalog" in text) is told
