"""What is published is opened with the readers that users have; what they cannot open is found."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from making import write_cube, write_tif
from tiny import ARRAY, FILES, PREFIX, make_bundle, store_of

from earthcode_pack.upload import upload, verify
from earthcode_pack.upload.opening import openable
from earthcode_pack.upload.verification import _chosen, _published

if TYPE_CHECKING:
    from pathlib import Path

    from services.rgw import Rgw

    from earthcode_pack.bundle import Bundle

CODED = ARRAY | {"codecs": [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": 0, "checksum": False}}]}


def _products(folder: Path) -> dict[str, bytes]:
    """One of each format."""
    tif = write_tif(folder / "a.tif", np.arange(64 * 64, dtype="int16").reshape(64, 64))
    cube = write_cube(folder / "a.nc")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for key, data in FILES.items():
            if key.startswith("data/tiny.zarr/"):
                archive.writestr(key.removeprefix("data/tiny.zarr/"), data)
    return FILES | {
        "data/a/a.tif": tif.read_bytes(),
        "data/a.nc": cube.read_bytes(),
        "data/a.zarr.zip": (folder / "a.zip").read_bytes(),
    }


@pytest.fixture
def published(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a product of each format is published: an href to verify."""
    href = request.getfixturevalue("s3_href") if request.param == "s3" else str(tmp_path / "published")
    bundle = make_bundle(tmp_path / "bundle", href, _products(tmp_path))
    upload(bundle, store_of(bundle))
    return f"{href}/{PREFIX}"


@pytest.mark.parametrize("published", ["local", "s3"], indirect=True)
def test_each_format_opens_from_where_it_is(published: str, tmp_path: Path) -> None:
    assert verify(published, read=True) == ()
    assert verify(tmp_path / "bundle", read=True) == ()


def test_each_thing_is_opened_once() -> None:
    keys = [*FILES, "data/a/a.tif", "data/a.nc", "data/b.zarr.zip", "data/c.zarr/.zgroup", "data/c.zarr/g/.zgroup"]
    assert openable(keys) == ["data/a.nc", "data/a/a.tif", "data/b.zarr.zip", "data/c.zarr", "data/tiny.zarr"]


def _broken() -> dict[str, tuple[dict[str, bytes], str]]:
    """Products whose checksums are right, and whose bytes no reader can use."""
    coded = json.dumps(CODED).encode()
    return {
        "a text that is called GeoTIFF": ({"data/a.tif": b"II*\0 nothing"}, "data/a.tif"),
        "a text that is called NetCDF": ({"data/a.nc": b"CDF?"}, "data/a.nc"),
        "a ZIP that ends early": ({"data/a.zarr.zip": b"PK\3\4"}, "data/a.zarr.zip"),
        "an array without its description": ({"data/tiny.zarr/sst/zarr.json": b"{"}, "data/tiny.zarr"),
        "chunks of another encoding": ({"data/tiny.zarr/sst/zarr.json": coded}, "data/tiny.zarr"),
    }


@pytest.mark.parametrize("case", _broken())
def test_what_does_not_open_is_found(case: str, tmp_path: Path) -> None:
    files, subject = _broken()[case]
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"), FILES | files)
    upload(bundle, store_of(bundle))
    assert verify(bundle) == ()
    found = verify(bundle, read=True)
    assert [(one.rule, one.level, one.subject) for one in found] == [("PUB-OPEN", "error", subject)]
    assert str(tmp_path) not in found[0].subject


def test_what_is_wrong_already_is_not_opened_too(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    upload(bundle, store_of(bundle))
    (tmp_path / "published" / PREFIX / "data/tiny.zarr/zarr.json").write_bytes(b"{}")
    assert [one.rule for one in verify(bundle, read=True)] == ["PUB-SIZE"]


# --- a sample ---------------------------------------------------------------------------------------------------------


def _read(bundle: Bundle, sample: int) -> set[str]:
    return _chosen(_published(bundle).entries, sample)


def test_a_sample_is_as_large_as_asked_and_the_same_each_time(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    assert len(_read(bundle, 5)) == 5
    assert _read(bundle, 5) == _read(bundle, 5)
    assert _read(bundle, 10**6) == {*FILES, "manifest.json"}


def test_a_sample_finds_damage_where_it_looks_and_only_there(s3_href: str, tmp_path: Path) -> None:
    import boto3

    bundle = make_bundle(tmp_path / "bundle", s3_href)
    upload(bundle, store_of(bundle))
    chosen = {key for key in _read(bundle, 8) if "/c/" in key}
    inside, outside = min(chosen), min({key for key in FILES if "/c/" in key} - chosen)
    bucket, _, prefix = s3_href.removeprefix("s3://").partition("/")
    for key in (inside, outside):
        stated = store_of(bundle).head(PREFIX + key)
        assert stated is not None
        meta = {"sha256": str(stated.sha256)}
        boto3.client("s3").put_object(Bucket=bucket, Key=f"{prefix}/{PREFIX}{key}", Body=b"?" * 100, Metadata=meta)
    assert verify(bundle) == ()
    assert [(one.rule, one.subject) for one in verify(bundle, sample=8)] == [("PUB-CHECKSUM", inside)]
    assert {one.subject for one in verify(bundle, read=True)} == {inside, outside}


# --- Ceph RGW over https ----------------------------------------------------------------------------------------------


def test_each_format_opens_over_https_with_an_authority_of_its_own(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    href, authority = f"s3://{rgw_bucket}/tls", str(rgw.certificates.ca)
    more = {"endpoint_url": rgw.https, "ca_bundle": authority}
    bundle = make_bundle(tmp_path / "bundle", href, _products(tmp_path), **more)
    upload(bundle, store_of(bundle))
    assert verify(bundle, read=True) == ()
