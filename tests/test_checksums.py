"""The sums of parts: taken once with that of the whole, proven by the server, and never trusted beyond that."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from making import EPOCH, cube_profile, profile_of, write_cube, write_tif
from services.faults import Fault, FaultProxy
from test_s3_faults import LARGE, PART, SETTINGS, direct, made, noise, open_uploads, sha

from earthcode_pack import checksums as module
from earthcode_pack.checksums import checksums, part_size
from earthcode_pack.errors import UserError
from earthcode_pack.model import PartSums
from earthcode_pack.pipeline import open_bundle, prepare, publish
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage import Begun, LocalStore
from earthcode_pack.storage.file_slice import FileSlice
from earthcode_pack.storage.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from services.rgw import Rgw


def of_parts(data: bytes, size: int = PART) -> PartSums:
    return PartSums(size=size, sha256=tuple(sha(data[first : first + size]) for first in range(0, len(data), size)))


# --- taking them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2 * 16 * 2**20, 2 * 16 * 2**20 + 1, 3 * 10**6])
def test_of_a_large_file(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE", 10**6)
    path, digest = made(tmp_path / "a", size)
    assert checksums(path) == (digest, of_parts(path.read_bytes(), 16 * 2**20))


def test_a_small_file_has_no_parts(tmp_path: Path) -> None:
    assert checksums(made(tmp_path / "a", 1000)[0]) == (sha(noise(1000)), None)


@pytest.mark.parametrize("size", [1, 10_000 * 16 * 2**20, 10_000 * 16 * 2**20 + 1, 5 * 2**40])
def test_no_more_parts_than_an_upload_holds(size: int) -> None:
    assert 0 < -(-size // part_size(size)) <= 10_000
    assert part_size(size) % 2**20 == 0


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (profile_of, {}),
        (cube_profile, {"target__format": "netcdf"}),
        (cube_profile, {"target__zarr": {"zipped": True}}),
    ],
    ids=["cog", "netcdf", "zip"],
)
def test_a_run_takes_them_for_the_upload(
    make: Callable[..., Any], changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are beside the product, and reach the store with the file: ahead of the product, and after it."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    monkeypatch.setattr(module, "LARGE", 100)
    write_tif(tmp_path / "raw" / "a_20200101.tif", np.full((16, 20), 1, "int16"))
    write_cube(tmp_path / "raw" / "t_0.nc", np.arange(3))
    real, given = LocalStore.put, {}

    def put(self: LocalStore, local: Path, key: str, *, sha256: str, parts: PartSums | None, **more: Any) -> Any:
        given.update({sha256: parts} if "/data/" in key else {})
        return real(self, local, key, sha256=sha256, parts=parts, **more)

    monkeypatch.setattr(LocalStore, "put", put)
    profile = make(tmp_path, **changes)
    bundle = prepare(profile, tmp_path / "work")
    raw = [(bundle.product / entry.key).read_bytes() for entry in bundle.manifest() if entry.key.startswith("data/")]
    expected = {sha(data): of_parts(data, 16 * 2**20) for data in raw}
    assert len(expected) == 1
    assert open_bundle(str(bundle.root)).part_sums() == expected
    assert not given
    publish(bundle)
    assert given == expected
    given.clear()
    shutil.rmtree(tmp_path / "published")
    prepare(profile, tmp_path / "another", ahead=True)
    assert given == expected


# --- with them --------------------------------------------------------------------------------------------------------


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was read of files before it was signed."""
    seen: list[Any] = []
    real = FileSlice.blocks
    monkeypatch.setattr(FileSlice, "blocks", lambda body: (seen.append(body), real(body))[1])
    return seen


def put(store: S3Store, path: Path, digest: str, parts: PartSums, **more: Any) -> None:
    store.put(path, "data", sha256=digest, media_type="a/b", parts=parts, **more)


def test_nothing_is_hashed_again(rgw_bucket: str, tmp_path: Path, hashed: list[Any]) -> None:
    path, digest = made(tmp_path / "a", LARGE)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=SETTINGS)
    put(store, path, digest, of_parts(noise(LARGE)))
    assert not hashed
    assert store.sha256("data") == digest


@pytest.mark.parametrize("where", [0, PART, LARGE - 1])
@pytest.mark.parametrize("busy", [0, 2])
def test_a_file_that_changed_since_is_never_visible(
    rgw: Rgw, rgw_bucket: str, tmp_path: Path, where: int, busy: int
) -> None:
    """Also where the server asks for patience first: what is sent again is what was meant, not what is there."""
    proxy = FaultProxy(rgw.port, [Fault("PUT .*partNumber", "status", times=busy)])
    path, digest = made(tmp_path / "a", LARGE)
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}", endpoint_url=proxy.url), settings=SETTINGS)
    with pytest.raises(UserError, match="changed after the bundle was prepared"):
        put(store, path, digest, of_parts(noise(LARGE)), note=lambda _begun: None)
    assert list(store.keys()) == []
    assert open_uploads(rgw, rgw_bucket) == []
    proxy.stop()


@pytest.mark.parametrize("more", [-1, 1, PART])
def test_a_file_of_another_length_is_never_visible(rgw: Rgw, rgw_bucket: str, tmp_path: Path, more: int) -> None:
    path, _ = made(tmp_path / "a", LARGE + more)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=SETTINGS)
    with pytest.raises(UserError, match="changed after the bundle was prepared"):
        put(store, path, sha(noise(LARGE)), of_parts(noise(LARGE)), note=lambda _begun: None)
    assert list(store.keys()) == []
    assert open_uploads(rgw, rgw_bucket) == []


def test_sums_that_are_wrong_do_not_stop_a_file_that_is_right(rgw_bucket: str, tmp_path: Path) -> None:
    path, digest = made(tmp_path / "a", LARGE)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=SETTINGS)
    put(store, path, digest, PartSums(size=PART, sha256=("0" * 64,) * 3))
    assert store.sha256("data") == digest


@pytest.mark.parametrize("size", [PART // 2, 2 * PART])
def test_sums_of_parts_of_another_size_are_left_alone(rgw_bucket: str, tmp_path: Path, size: int) -> None:
    path, digest = made(tmp_path / "a", LARGE)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=SETTINGS)
    put(store, path, digest, of_parts(noise(LARGE), size))
    assert store.sha256("data") == digest


def test_only_parts_that_are_there_and_right_stay(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    """One is there, one is another one's: the first is read, to be compared, the others go as they lie."""
    proxy = FaultProxy(rgw.port)
    path, digest = made(tmp_path / "a", LARGE)
    spec = StoreSpec(href=f"s3://{rgw_bucket}", endpoint_url=proxy.url)
    store = S3Store(spec, settings=SETTINGS)
    at = {"Bucket": rgw_bucket, "Key": "data"}
    created = direct(rgw).create_multipart_upload(**at, ContentType="a/b", Metadata={"sha256": digest})
    upload = created["UploadId"]
    for number, data in ((1, noise(LARGE)[:PART]), (2, bytes(PART))):
        direct(rgw).upload_part(**at, PartNumber=number, UploadId=upload, Body=data)
    proxy.seen.clear()
    put(store, path, digest, of_parts(noise(LARGE)), begun=Begun(upload_id=upload, part_size=PART))
    sent = sorted(seen.request.partition("partNumber=")[2][0] for seen in proxy.seen if "partNumber=" in seen.request)
    assert sent == ["2", "3"]
    assert store.sha256("data") == digest
    proxy.stop()


def test_a_server_that_proves_nothing_makes_them_worthless(bucket: str, tmp_path: Path) -> None:
    """moto takes what was not signed: file and ETags are compared as if there were no sums."""
    path, digest = made(tmp_path / "a", LARGE)
    store = S3Store(StoreSpec(href=f"s3://{bucket}"), settings=SETTINGS)
    put(store, path, digest, PartSums(size=PART, sha256=("0" * 64,) * 3))
    assert store.sha256("data") == digest
    path.write_bytes(bytes(LARGE))
    with pytest.raises(UserError, match="changed after the bundle was prepared"):
        put(store, path, digest, of_parts(bytes(LARGE)))
