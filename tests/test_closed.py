"""Closed data on a real S3 server, over https: strangers are refused, and STAC and keys are enough to open it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pystac
import pytest
import rasterio
import s3fs
import urllib3
import xarray as xr
from making import cube_profile, errors, profile_of, write_cube, write_tif
from pystac.stac_io import DefaultStacIO

from earthcode_pack.errors import UserError
from earthcode_pack.pipeline import prepare, publish
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from services.rgw import Rgw

    from earthcode_pack.profile import Profile

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


@pytest.fixture
def store(rgw: Rgw, rgw_bucket: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A closed store. The environment has the keys, and no endpoint: that is learnt from the STAC alone."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(rgw.certificates.ca))
    return {"store": {"href": f"s3://{rgw_bucket}/closed", "endpoint_url": rgw.https, "access": "private"}}


def published(profile: Profile, folder: Path) -> dict[str, Any]:
    """What a reader is handed: the Collection's JSON, and nothing else."""
    bundle = prepare(profile, folder)
    assert not [text for text in errors(bundle) if "STAC-SCHE" in text or "STAC-CLOSED" in text]
    assert publish(bundle) is not None
    return bundle.collection()


def at(stac: dict[str, Any], holder: dict[str, Any]) -> tuple[str, str]:
    """Endpoint and region of what an asset, alternate or link refers to; it takes S3 keys to read."""
    own = stac.get("properties", stac)
    (auth,), (place,) = holder["auth:refs"], holder["storage:refs"]
    assert own["auth:schemes"][auth]["type"] == "s3"
    scheme = own["storage:schemes"][place]
    assert scheme["type"] == "custom-s3"
    return scheme["platform"], scheme.get("region", "us-east-1")


def files(endpoint: str, region: str) -> s3fs.S3FileSystem:
    """With keys of the environment, as the storage extension maps its fields to S3 clients."""
    checksums = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
    return s3fs.S3FileSystem(
        endpoint_url=endpoint,
        client_kwargs={"region_name": region, "verify": os.environ["AWS_CA_BUNDLE"]},
        config_kwargs={**checksums, "s3": {"addressing_style": "path"}},
        skip_instance_cache=True,
    )


class Keyed(DefaultStacIO):
    """pystac with the file system that a Collection describes."""

    def __init__(self, there: s3fs.S3FileSystem) -> None:
        super().__init__()
        self.there = there

    def read_text_from_href(self, href: str) -> str:
        text: str = self.there.cat_file(href).decode()
        return text


def gdal(endpoint: str, region: str) -> rasterio.Env:
    """The storage extension's mapping of a platform without {bucket} to GDAL's options."""
    parts = urlsplit(endpoint)
    return rasterio.Env(
        AWS_HTTPS="ON" if parts.scheme == "https" else "OFF",
        AWS_S3_ENDPOINT=parts.netloc,
        AWS_VIRTUAL_HOSTING="FALSE",
        AWS_REGION=region,
        AWS_NO_SIGN_REQUEST="NO",
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
        GDAL_CURL_CA_BUNDLE=os.environ["AWS_CA_BUNDLE"],
    )


@pytest.fixture
def stranger(rgw: Rgw) -> Iterator[Any]:
    """The status that somebody without keys is answered, for an ``s3://`` href."""
    with urllib3.PoolManager(ca_certs=str(rgw.certificates.ca)) as pool:
        yield lambda href: pool.request("GET", f"{rgw.https}/{href.removeprefix('s3://')}", retries=False).status


def test_scenes_are_opened_by_gdal_with_keys_and_stac_alone(
    store: dict[str, Any], rgw_bucket: str, tmp_path: Path, stranger: Any
) -> None:
    for day in (1, 2):
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif", np.full((16, 20), day, "int16"))
    collection = published(profile_of(tmp_path, **store), tmp_path / "work")
    thumbnail = collection["assets"]["thumbnail"]["alternate"]["s3"]
    assert stranger(thumbnail["href"]) == 403
    there = files(*at(collection, thumbnail))
    assert there.cat_file(thumbnail["href"]).startswith(b"\x89PNG")

    href = f"s3://{rgw_bucket}/closed/demo/v1.0/collection.json"
    assert stranger(href) == 403
    read = pystac.Collection.from_file(href, stac_io=Keyed(there))
    assert json.loads(there.cat_file(href)) == collection
    items = sorted(read.get_items(), key=lambda item: item.id)
    assert [item.id for item in items] == ["demo_20200101", "demo_20200102"]
    for day, item in enumerate(items, start=1):
        alternate = item.assets["index"].extra_fields["alternate"]["s3"]
        assert stranger(alternate["href"]) == 403
        assert item.assets["index"].get_absolute_href() == alternate["href"]
        place = at(item.to_dict(transform_hrefs=False), alternate)
        with gdal(*place), rasterio.open(alternate["href"].replace("s3://", "/vsis3/")) as raster:
            assert (raster.read(1) == day).all()


def test_a_cube_is_opened_by_xarray_with_keys_and_the_collection_alone(
    store: dict[str, Any], tmp_path: Path, stranger: Any
) -> None:
    raw = write_cube(tmp_path / "raw" / "t.nc")
    collection = published(cube_profile(tmp_path, **store), tmp_path / "work")
    alternate = collection["assets"]["data"]["alternate"]["s3"]
    assert stranger(f"{alternate['href']}/zarr.json") == 403
    endpoint, region = at(collection, alternate)
    options = {
        "endpoint_url": endpoint,
        "client_kwargs": {"region_name": region, "verify": os.environ["AWS_CA_BUNDLE"]},
        "config_kwargs": {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
    }
    with (
        xr.open_dataset(alternate["href"], engine="zarr", chunks=None, storage_options=options) as opened,
        xr.open_dataset(raw, engine="h5netcdf") as here,
    ):
        xr.testing.assert_equal(opened["t"].drop_vars(set(opened.coords) - set(here.coords)), here["t"])


def test_an_endpoint_that_changed_since_is_refused(
    rgw: Rgw, rgw_bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The profile states none: it is that of the environment, and readers would be sent where nothing is."""
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    bundle = prepare(profile_of(tmp_path, store={"href": f"s3://{rgw_bucket}", "access": "private"}), tmp_path / "work")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://localhost:{rgw.port}")
    with pytest.raises(UserError, match=f"is at http://127.0.0.1:{rgw.port}, bucket {rgw_bucket}; it would go to"):
        publish(bundle)
    assert list(open_store(StoreSpec(href=f"s3://{rgw_bucket}")).keys()) == []
