"""Inputs and stores, on disk, in memory and on S3 (moto), with answers known by construction."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import boto3
import fsspec
import pytest
from making import SECRET

from earthcode_pack import storage
from earthcode_pack.errors import OutsideError, Unreadable, UserError
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage import IdentityCache, LocalStore, identify, open_reader, open_store, s3
from earthcode_pack.storage.error_messages import in_words
from earthcode_pack.storage.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG_AGO = 1_600_000_000


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    fs = fsspec.filesystem("memory")
    fs.pipe({"/raw/b.nc": b"bb", "/raw/deep/a.nc": b"a", "/raw/c.zarr/zarr.json": b"{}", "/raw/c.zarr/t/c/0": b"0123"})
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_local_glob_finds_deep_files_and_zarr_folders_sorted(tmp_path: Path) -> None:
    for name in ("b.nc", "x/y/a.nc", "s.zarr/zarr.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    assert storage.glob(f"{tmp_path}/**/*.nc") == [f"{tmp_path}/b.nc", f"{tmp_path}/x/y/a.nc"]
    assert storage.glob(f"{tmp_path}/*.zarr") == [f"{tmp_path}/s.zarr"]
    assert storage.glob(f"file://{tmp_path}/b.nc") == [f"{tmp_path}/b.nc"]
    assert storage.glob(f"{tmp_path}/nothing.nc") == []


def test_a_name_with_brackets_is_itself_where_it_exists(tmp_path: Path) -> None:
    (tmp_path / "a[1].nc").write_bytes(b"1")
    assert storage.glob(f"{tmp_path}/a[1].nc") == [f"{tmp_path}/a[1].nc"]


@pytest.mark.usefixtures("memory")
def test_remote_glob_size_and_sha256() -> None:
    assert storage.glob("memory://raw/*.nc") == ["memory:///raw/b.nc"]
    assert storage.glob("memory://raw/**/*.nc") == ["memory:///raw/b.nc", "memory:///raw/deep/a.nc"]
    assert storage.glob("memory://raw/*.zarr") == ["memory:///raw/c.zarr"]
    assert storage.glob("memory://raw/b.nc") == ["memory://raw/b.nc"]
    assert storage.glob("memory://raw/none.nc") == []
    assert storage.size("memory://raw/b.nc") == 2
    assert storage.size("memory://raw/c.zarr") == 6
    assert storage.sha256("memory://raw/b.nc") == sha(b"bb")


def test_a_folder_is_identified_by_its_sorted_sha256sum_lines(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    memory.get("/raw/c.zarr", str(tmp_path / "c.zarr"), recursive=True)
    lines = sorted([f"{sha(b'{}')}  zarr.json\n", f"{sha(b'0123')}  t/c/0\n"])
    expected = (6, sha("".join(lines).encode()))
    assert identify("memory://raw/c.zarr") == expected
    assert identify(str(tmp_path / "c.zarr")) == expected


@pytest.mark.usefixtures("memory")
def test_fetch_leaves_local_files_alone_and_never_collides(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_bytes(b"1")
    assert storage.fetch(str(tmp_path / "a.nc"), tmp_path / "scratch") == tmp_path / "a.nc"
    assert not (tmp_path / "scratch").exists()
    first = storage.fetch("memory://raw/b.nc", tmp_path / "scratch")
    second = storage.fetch("memory://raw/b.nc", tmp_path / "scratch")
    assert first != second
    assert first.name == second.name == "b.nc"
    assert first.read_bytes() == b"bb"
    folder = storage.fetch("memory://raw/c.zarr", tmp_path / "scratch")
    assert (folder / "t/c/0").read_bytes() == b"0123"
    assert (folder / "zarr.json").read_bytes() == b"{}"


def test_a_fetch_that_breaks_leaves_nothing(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = type(memory).get_file

    def breaking(self: object, remote: str, local: str, **options: object) -> None:
        if remote.endswith("zarr.json"):
            raise ConnectionResetError("reset by peer")
        whole(self, remote, local, **options)

    monkeypatch.setattr(type(memory), "get_file", breaking)
    with pytest.raises(OutsideError):
        storage.fetch("memory://raw/c.zarr", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_remote_key_cannot_leave_the_folder(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    memory.store["/raw/c.zarr/../../evil"] = memory.store["/raw/b.nc"]
    with pytest.raises(Unreadable, match="outside the folder"):
        storage.fetch("memory://raw/c.zarr", tmp_path / "scratch")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_chained_url_keeps_its_chain(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        archive.writestr("in/a.nc", b"abc")
        archive.writestr("in/b.txt", b"d")
    memory.put(str(tmp_path / "raw.zip"), "/raw.zip")
    found = storage.glob("zip://in/*.nc::memory://raw.zip")
    assert found == ["zip://in/a.nc::memory://raw.zip"]
    assert identify(found[0]) == (3, sha(b"abc"))
    assert storage.fetch(found[0], tmp_path / "scratch").read_bytes() == b"abc"


def test_s3_inputs_follow_the_endpoint_of_the_environment(bucket: str, tmp_path: Path) -> None:
    client = boto3.client("s3")
    for key, body in {"raw/a.nc": b"aa", "raw/s.zarr/zarr.json": b"{}", "raw/s.zarr/c/0": b"0"}.items():
        client.put_object(Bucket=bucket, Key=key, Body=body)
    assert storage.glob(f"s3://{bucket}/raw/*") == [f"s3://{bucket}/raw/a.nc", f"s3://{bucket}/raw/s.zarr"]
    assert identify(f"s3://{bucket}/raw/a.nc") == (2, sha(b"aa"))
    folder = storage.fetch(f"s3://{bucket}/raw/s.zarr", tmp_path)
    assert (folder / "c/0").read_bytes() == b"0"
    client.put_object(Bucket=bucket, Key="raw/b.nc", Body=b"b")  # no listing is kept
    assert f"s3://{bucket}/raw/b.nc" in storage.glob(f"s3://{bucket}/raw/*.nc")
    with pytest.raises(Unreadable, match="no such file"):
        identify(f"s3://{bucket}/raw/none.nc")


def test_what_cannot_be_read_says_so() -> None:
    with pytest.raises(Unreadable, match=r"/nowhere/a\.nc: no such file"):
        identify("/nowhere/a.nc")
    with pytest.raises(UserError, match="not a URL"):
        storage.glob("nosuch://a/*.nc")
    with pytest.raises(OutsideError, match="cannot be reached") as caught:
        storage.glob("http://127.0.0.1:9/a.nc?X-Amz-Signature=abc")
    assert "abc" not in str(caught.value)


# --- identity ---------------------------------------------------------------------------------------------------------


def cached(tmp_path: Path) -> dict[str, list[object]]:
    return dict(json.loads((tmp_path / "cache.json").read_text())["files"])


def forge(tmp_path: Path) -> None:
    """Writes another sha256 into every entry: it comes back exactly where the entry is trusted."""
    data = json.loads((tmp_path / "cache.json").read_text())
    for entry in data["files"].values():
        entry[4] = "f" * 64
    (tmp_path / "cache.json").write_text(json.dumps(data))


def settled(tmp_path: Path, data: bytes = b"old") -> Path:
    """A file with an old mtime, identified in a cache whose clock is ten seconds ahead of the file."""
    path = tmp_path / "a.nc"
    path.write_bytes(data)
    os.utime(path, (LONG_AGO, LONG_AGO))
    cache = IdentityCache(tmp_path / "cache.json", clock=lambda: path.stat().st_ctime_ns + 10**10)
    assert identify(str(path), cache) == (len(data), sha(data))
    cache.save()
    return path


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = settled(tmp_path)
    forge(tmp_path)
    assert identify(str(path), tmp_path / "cache.json") == (3, "f" * 64)


def test_changed_content_of_the_same_size_with_mtime_put_back_is_seen(tmp_path: Path) -> None:
    path = settled(tmp_path)
    path.write_bytes(b"new")
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert identify(str(path), tmp_path / "cache.json") == (3, sha(b"new"))


def test_another_file_under_the_name_is_seen(tmp_path: Path) -> None:
    path = settled(tmp_path)
    (tmp_path / "other").write_bytes(b"new")
    os.utime(tmp_path / "other", (LONG_AGO, LONG_AGO))
    (tmp_path / "other").replace(path)
    assert identify(str(path), tmp_path / "cache.json") == (3, sha(b"new"))


@pytest.mark.parametrize("ahead", [0, 1_900_000_000])
def test_an_entry_as_young_as_its_file_is_not_trusted(tmp_path: Path, ahead: int) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(b"new")
    cache = IdentityCache(tmp_path / "cache.json", clock=lambda: path.stat().st_mtime_ns + ahead)
    cache.identify(str(path))
    cache.save()
    forge(tmp_path)
    assert identify(str(path), tmp_path / "cache.json") == (3, sha(b"new"))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"form": 1, "files": {"/a": [1]}}', '{"form": 99, "files": {}}'])
def test_a_cache_that_cannot_be_read_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "cache.json").write_text(text)
    (tmp_path / "a.nc").write_bytes(b"1")
    assert identify(str(tmp_path / "a.nc"), tmp_path / "cache.json") == (1, sha(b"1"))
    assert list(cached(tmp_path)) == [str(tmp_path / "a.nc")]


def test_many_threads_share_one_cache(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.nc" for n in range(50)]
    for path in paths:
        path.write_bytes(path.name.encode())
    cache = IdentityCache(tmp_path / "cache.json")

    def one(path: Path) -> tuple[int, str]:
        identity = identify(str(path), cache)
        cache.save()
        return identity

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, paths)) == [(len(p.name), sha(p.name.encode())) for p in paths]
    assert len(cached(tmp_path)) == 50


# --- stores -----------------------------------------------------------------------------------------------------------

HOSTILE = ["../a", "a/../../b", "/etc/passwd", "a//b", "a/", "", ".", "a/./b", "a\\..\\b", "a\nb", "a\0b"]


PART = 5 * 2**20  # the least that S3 takes


@pytest.fixture(params=["local", "s3", "s3 in parts"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> storage.Store:
    if request.param == "local":
        return open_store(StoreSpec(href=str(tmp_path / "published")))
    spec = StoreSpec(href=f"s3://{request.getfixturevalue('bucket')}/some/where")
    return open_store(spec) if request.param == "s3" else s3.S3Store(spec, settings=s3.Settings(large=PART, part=PART))


@pytest.mark.parametrize("size", [0, 1000, PART, PART + 1, 2 * PART + 77])
def test_what_is_put_can_be_read(store: storage.Store, tmp_path: Path, size: int) -> None:
    data = hashlib.shake_128(b"seed").digest(size)
    (tmp_path / "a.tif").write_bytes(data)
    receipt = store.put(tmp_path / "a.tif", "p/v1/data/a.tif", sha256=sha(data), media_type="image/tiff")
    stored = store.head("p/v1/data/a.tif")
    assert stored is not None
    assert (stored.size, stored.sha256, stored.etag) == (size, sha(data), receipt.etag)
    assert (receipt.key, receipt.size, receipt.sha256) == ("p/v1/data/a.tif", size, sha(data))
    assert store.read("p/v1/data/a.tif") == data
    assert store.sha256("p/v1/data/a.tif") == sha(data)


def test_keys_by_folder_and_what_is_not_there(store: storage.Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    keys = ["p/v1/a", "p/v1/é %41+b/zarr.json", "p/v10/a"]
    for key in keys:
        store.put(tmp_path / "a", key, sha256=sha(b"1"), media_type="text/plain")
    assert sorted(store.keys()) == keys
    assert sorted(store.keys("p/v1/")) == keys[:2]
    assert list(store.keys("nothing/")) == []
    assert (store.head("p/none"), store.read("p/none"), store.sha256("p/none")) == (None, None, None)


@pytest.mark.parametrize("key", HOSTILE)
def test_hostile_keys_are_refused(store: storage.Store, tmp_path: Path, key: str) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(UserError, match="not a key"):
        store.put(tmp_path / "a", key, sha256=sha(b"1"), media_type="text/plain")
    with pytest.raises(UserError, match="not a key"):
        store.read(key)
    assert list(store.keys()) == []


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_a_file_that_changed_is_never_visible(store: storage.Store, tmp_path: Path, size: int) -> None:
    (tmp_path / "a.tif").write_bytes(bytes(size))
    with pytest.raises(UserError, match=r"a\.tif: changed after the bundle was prepared"):
        store.put(tmp_path / "a.tif", "a.tif", sha256=sha(b"what it was"), media_type="image/tiff")
    with pytest.raises(UserError, match=r"gone"):
        store.put(tmp_path / "none.tif", "none.tif", sha256=sha(b"what it was"), media_type="image/tiff")
    assert list(store.keys()) == []
    assert [path.name for path in (tmp_path / "published").rglob("*")] == []


def test_what_a_killed_run_left_is_not_listed_and_is_taken_up(tmp_path: Path) -> None:
    data = b"0123456789"
    (tmp_path / "a.tif").write_bytes(data)
    (tmp_path / "published/d").mkdir(parents=True)
    left = tmp_path / f"published/d/.a.tif.{sha(data)[:12]}.part"
    left.write_bytes(b"0123 and some rubbish that is longer")
    store = LocalStore(tmp_path / "published")
    assert list(store.keys()) == []
    store.put(tmp_path / "a.tif", "d/a.tif", sha256=sha(data), media_type="image/tiff")
    assert not left.exists()
    assert store.read("d/a.tif") == data


def test_a_file_where_the_store_should_be(tmp_path: Path) -> None:
    (tmp_path / "published").write_bytes(b"")
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(OutsideError, match="a file stands where a folder is needed"):
        LocalStore(tmp_path / "published").put(tmp_path / "a", "d/a", sha256=sha(b"1"), media_type="text/plain")


def test_s3_objects_carry_type_and_sha256(bucket: str, tmp_path: Path) -> None:
    store = open_store(StoreSpec(href=f"s3://{bucket}/pre"))
    for name, size in {"small": 10, "large": 2 * PART}.items():
        (tmp_path / name).write_bytes(bytes(size))
        store.put(tmp_path / name, name, sha256=sha(bytes(size)), media_type="image/tiff; application=geotiff")
        answer = boto3.client("s3").head_object(Bucket=bucket, Key=f"pre/{name}")
        assert answer["ContentType"] == "image/tiff; application=geotiff"
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-meta-sha256"] == sha(bytes(size))
    assert store.href("small") == f"s3://{bucket}/pre/small"


def test_a_file_in_parts_that_changed_leaves_nothing_open(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(3 * PART))
    store = s3.S3Store(StoreSpec(href=f"s3://{bucket}/pre"), settings=s3.Settings(large=PART, part=PART))
    with pytest.raises(UserError):
        store.put(tmp_path / "a", "a", sha256=sha(b"other"), media_type="text/plain")
    assert "Uploads" not in boto3.client("s3").list_multipart_uploads(Bucket=bucket)
    assert list(store.keys()) == []


def test_an_object_without_our_metadata_is_not_vouched_for(bucket: str) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    stored = open_store(StoreSpec(href=f"s3://{bucket}")).head("a")
    assert stored is not None
    assert (stored.size, stored.sha256) == (1, None)


def test_s3_failures_in_words_without_secrets(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "wait", lambda _self, _attempt: 0.0)
    (tmp_path / "a").write_bytes(b"1")

    def put(**spec: str) -> str:
        with pytest.raises((OutsideError, UserError)) as caught:
            open_store(StoreSpec(**spec)).put(tmp_path / "a", "a", sha256=sha(b"1"), media_type="text/plain")
        assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"
        assert caught.value.remedy
        return caught.value.message

    assert "the bucket does not exist" in put(href="s3://no-such-bucket/pre")
    assert "cannot be reached" in put(href=f"s3://{bucket}", endpoint_url="http://127.0.0.1:9")
    assert "no endpoint of S3 storage" in put(href=f"s3://{bucket}", endpoint_url="http://127.0.0.1:x")
    assert "no endpoint of S3 storage" in put(href=f"s3://{bucket}", endpoint_url="https://host/base/path")
    assert "names no bucket" in put(href="s3:///pre")
    assert "no such file" in put(href=f"s3://{bucket}", ca_bundle="/nowhere/ca.pem")
    assert "no-such-profile" in put(href=f"s3://{bucket}", profile="no-such-profile")
    assert "cannot be written to" in put(href="https://example.org/published")
    with pytest.raises(OutsideError, match="the bucket does not exist"):
        list(open_store(StoreSpec(href="s3://no-such-bucket/pre")).keys())
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "no credentials" in put(href=f"s3://{bucket}")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only"),
        (PermissionError("Forbidden"), "403"),
        (ValueError("status code: 403 Forbidden: <Code>SignatureDoesNotMatch</Code>"), "accept these credentials"),
        (ValueError("PUT https://host/403/NoSuchBucket status code: 503 Slow"), "overloaded"),
        (ValueError("<Code>QuotaExceeded</Code>"), "quota"),
        (ValueError("<Code>RequestTimeTooSkewed</Code>"), "clock"),
        (ValueError("error sending request InvalidCertificate(UnknownIssuer)"), "certificate is not trusted"),
        (ValueError("<AWSAccessKeyId>AKIA</AWSAccessKeyId> of an unknown kind"), "the storage failed (ValueError)"),
    ],
)
def test_failures_have_words_and_a_remedy(error: Exception, words: str) -> None:
    told = in_words(error, "s3://bucket/a.tif")
    assert words in str(told)
    assert told.remedy
    assert "AKIA" not in str(told)


@pytest.mark.usefixtures("memory")
def test_a_url_is_read_as_a_store() -> None:
    reader = open_reader("memory://raw")
    stored = reader.head("b.nc")
    assert stored is not None
    assert (stored.size, stored.sha256) == (2, None)
    assert reader.read("b.nc") == b"bb"
    assert reader.sha256("b.nc") == sha(b"bb")
    assert sorted(reader.keys("deep/")) == ["deep/a.nc"]
    assert (reader.head("none"), reader.read("none"), reader.sha256("none")) == (None, None, None)
