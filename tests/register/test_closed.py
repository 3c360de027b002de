"""A product of a closed store that is handed over: the PRR hears nothing of that store, and takes nothing from it."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from making import cube_profile, profile_of, write_cube, write_tif

from earthcode_pack.catalogs.prr import hand_over
from earthcode_pack.catalogs.prr.gateway import without_store_access
from earthcode_pack.pipeline import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")

PUBLIC = "https://data.example.org/lab"
STORES: list[dict[str, str]] = [{}, {"public_href": PUBLIC}]


def handed_over(bundle: Bundle) -> dict[str, Any]:
    """Every JSON file that goes to the PRR."""
    hand_over(bundle)
    found = {str(path): json.loads(path.read_bytes()) for path in (bundle.root / "prr").rglob("*.json")}
    with zipfile.ZipFile(bundle.root / "prr" / "stac.zip") as archive:
        return found | {name: json.loads(archive.read(name)) for name in archive.namelist()}


@pytest.mark.parametrize("store", STORES)
def test_nothing_of_the_closed_store_goes_to_the_prr(tmp_path: Path, store: dict[str, str]) -> None:
    where = {"href": "s3://lab/pre", "endpoint_url": "https://s3.example.org", "access": "private"} | store
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    bundle = prepare(profile_of(tmp_path, store=where), tmp_path / "work")
    assert "auth:schemes" in bundle.collection()
    given = handed_over(bundle)
    assert len(given) == 4
    for stac in given.values():
        text = json.dumps(stac)
        for word in ("auth:", "storage:", "s3://", "alternate", "/authentication/", "/storage/", PUBLIC):
            assert word not in text, word
    thumbnails = [stac["assets"]["thumbnail"]["href"] for stac in given.values() if stac["type"] == "Collection"]
    assert [href.partition(",")[0] for href in thumbnails] == ["data:image/png;base64"] * 2
    assert "readers need credentials" in (bundle.root / "prr" / "letter.md").read_text()


@pytest.mark.parametrize("store", STORES)
def test_a_cube_of_a_closed_store_is_in_the_archive(tmp_path: Path, store: dict[str, str]) -> None:
    where = {"href": "s3://lab/pre", "endpoint_url": "https://s3.example.org", "access": "private"} | store
    write_cube(tmp_path / "raw" / "t.nc")
    given = handed_over(prepare(cube_profile(tmp_path, store=where), tmp_path / "work"))
    assert given["collection.json"]["assets"]["data"]["href"] == "/d/demo/data/demo.zarr"
    assert "auth:refs" not in given["collection.json"]["assets"]["data"]


def test_what_says_nothing_of_a_store_stays_the_same_object() -> None:
    stac = {"stac_extensions": ["https://stac-extensions.github.io/alternate-assets/v1.2.0/schema.json"]}
    assert without_store_access(stac) is stac
