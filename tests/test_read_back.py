"""What is published to a real S3 server, read by strangers' tools from its public hrefs, over https, without keys."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from making import cube_profile, profile_of, write_cube, write_tif
from pystac.stac_io import DefaultStacIO

from earthcode_pack.pipeline import prepare, publish

if TYPE_CHECKING:
    from pathlib import Path

    from services.rgw import Rgw

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


def public(rgw: Rgw, bucket: str) -> dict[str, Any]:
    """A store that everybody may read, under its own https address."""
    store = {
        "href": f"s3://{bucket}/pub",
        "endpoint_url": rgw.https,
        "ca_bundle": str(rgw.certificates.ca),
        "access": "public",
    }
    return {"store": store | {"public_href": f"{rgw.https}/{bucket}/pub"}}


@pytest.fixture
def stranger(rgw: Rgw, rgw_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads has no keys, and trusts the server's authority.

    The bucket may be listed: else S3 answers 403, not 404, for what is not there, as chunks of nothing but fill are.
    """
    boto3.Session().client("s3").put_bucket_acl(Bucket=rgw_bucket, ACL="public-read")
    monkeypatch.setenv("SSL_CERT_FILE", str(rgw.certificates.ca))
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")


def opened_collection(href: str | None) -> pystac.Collection:
    assert href is not None
    return pystac.Collection.from_file(href, stac_io=DefaultStacIO())


@pytest.mark.usefixtures("stranger")
def test_scenes_by_pystac_and_gdal(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    for day in (1, 2):
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif", np.full((16, 20), day, "int16"))
    href = publish(prepare(profile_of(tmp_path, **public(rgw, rgw_bucket)), tmp_path / "work"))
    items = sorted(opened_collection(href).get_items(), key=lambda item: item.id)
    assert [item.id for item in items] == ["demo_20200101", "demo_20200102"]
    for day, item in enumerate(items, start=1):
        asset = item.assets["index"]
        assert asset.href.startswith(f"{rgw.https}/{rgw_bucket}/pub/demo/v1.0/data/")
        trusting = rasterio.Env(GDAL_CURL_CA_BUNDLE=str(rgw.certificates.ca), GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR")
        with trusting, rasterio.open(f"/vsicurl/{asset.href}") as raster:
            assert (raster.read(1) == day).all()
            assert list(raster.bounds) == item.properties["proj:bbox"]


@pytest.mark.usefixtures("stranger")
def test_a_cube_by_pystac_and_xarray(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    raw = write_cube(tmp_path / "raw" / "t.nc")
    href = publish(prepare(cube_profile(tmp_path, **public(rgw, rgw_bucket)), tmp_path / "work"))
    asset = opened_collection(href).assets["data"]
    trusting = {"ssl": ssl.create_default_context(cafile=str(rgw.certificates.ca))}
    with (
        xr.open_dataset(asset.href, engine="zarr", chunks=None, storage_options=trusting) as there,
        xr.open_dataset(raw, engine="h5netcdf") as here,
    ):
        xr.testing.assert_equal(there["t"].drop_vars(set(there.coords) - set(here.coords)), here["t"])
