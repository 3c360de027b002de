"""What goes wrong on the way to S3, on Ceph RGW over http and https: it passes, or it is told with its remedy."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import boto3
import pytest
from clockless import LONG
from services.certificates import self_signed
from services.faults import Fault, FaultProxy
from services.s3 import client

from earthcode_pack.errors import EarthcodePackError, OutsideError, UserError
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage import Begun, Folder, LocalStore
from earthcode_pack.storage.concurrency import ConcurrencyLimit
from earthcode_pack.storage.connection import Timeouts
from earthcode_pack.storage.retry import RetryPolicy
from earthcode_pack.storage.s3 import S3Store, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from services.certificates import Certificates
    from services.rgw import Rgw

PART = 5 * 2**20  # the least that S3 takes
SMALL, TWO_PARTS, LARGE = 300_000, PART + 12_345, 2 * PART + 12_345
QUICK = RetryPolicy(seconds=LONG, attempts=6, first=0.01, longest=0.05)
SETTINGS = Settings(large=PART, part=PART, timeouts=Timeouts(request=LONG), policy=QUICK, first_contact=QUICK)
OFTEN = replace(QUICK, attempts=100)  # a busy machine may need some of them
IMPATIENT = replace(SETTINGS, timeouts=Timeouts(request=1, slowest=10e6), policy=OFTEN, first_contact=OFTEN)
DAYS = 10.0**6  # s
ENDLESS = RetryPolicy(seconds=10 * DAYS, attempts=10**6, first=DAYS, longest=DAYS)  # who waits once does not come back
ONCE = replace(SETTINGS, policy=ENDLESS, first_contact=ENDLESS)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def made(path: Path, size: int) -> tuple[Path, str]:
    """A file of noise, and its sha256."""
    data = noise(size)
    path.write_bytes(data)
    return path, sha(data)


@cache
def noise(size: int) -> bytes:
    source = random.Random(size)
    return b"".join(source.randbytes(min(2**20, size - first)) for first in range(0, size, 2**20))


@pytest.fixture(params=["http", "https"])
def proxied(
    request: pytest.FixtureRequest, rgw: Rgw, rgw_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, FaultProxy]]:
    """A bucket, and the proxy through which the environment leads to it."""
    tls = rgw.certificates if request.param == "https" else None
    yield from _proxied(rgw, rgw_bucket, tls, monkeypatch)


@pytest.fixture
def plain(rgw: Rgw, rgw_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, FaultProxy]]:
    """The same, over http alone."""
    yield from _proxied(rgw, rgw_bucket, None, monkeypatch)


def _proxied(
    rgw: Rgw, bucket: str, tls: Certificates | None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, FaultProxy]]:
    proxy = FaultProxy(rgw.port, tls=tls)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    if tls:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tls.ca))
    yield bucket, proxy
    proxy.stop()


def direct(rgw: Rgw) -> Any:
    """boto3's client, past the proxy: it says what is really there."""
    return client(rgw.http, *rgw.user)


def open_uploads(rgw: Rgw, bucket: str) -> list[dict[str, str]]:
    return direct(rgw).list_multipart_uploads(Bucket=bucket).get("Uploads", [])


# --- what passes ------------------------------------------------------------------------------------------------------

# method and target, and what happens to the first requests like it
TABLE = [
    Fault("PUT .*/data", "status", times=2),
    Fault("PUT .*/data", "status", status=500, code="InternalError"),
    Fault("PUT .*/data", "status", status=429, code="TooManyRequests"),
    Fault("PUT .*/data", "status", status=408, code="RequestTimeout"),
    Fault("PUT .*/data", "early", times=2),
    Fault("PUT .*/data", "reset", times=2),
    Fault("PUT .*/data", "truncate"),
    Fault("PUT .*/data", "lost"),
    Fault("PUT .*/data", "corrupt", times=2),
    Fault("PUT .*/data", "slow", seconds=0.3),
    Fault("PUT .*/data", "stall"),
    Fault("PUT .*/data", "delay", seconds=0.3),
]
OF_PARTS = [
    Fault("POST .*uploads", "lost"),
    Fault("POST .*uploads", "status"),
    Fault("POST .*uploadId=", "error in 200", code="InternalError"),
    Fault("POST .*uploadId=", "lost"),
    Fault("POST .*uploadId=", "status", times=2),
    Fault("HEAD .*/data", "status"),
    Fault("GET .*uploads", "reset"),
]


def named(fault: Fault) -> str:
    return f"{fault.match.split()[0]}{fault.match.rpartition('.*')[2]}-{fault.kind}-{fault.status}".replace(" ", "-")


@pytest.mark.parametrize("fault", TABLE, ids=named)
@pytest.mark.parametrize("size", [SMALL, TWO_PARTS])
def test_a_fault_that_passes_is_survived(
    proxied: tuple[str, FaultProxy], rgw: Rgw, tmp_path: Path, fault: Fault, size: int
) -> None:
    survives(proxied, rgw, tmp_path, fault, size)


@pytest.mark.parametrize("fault", OF_PARTS, ids=named)
def test_a_fault_at_the_seams_of_parts_is_survived(
    proxied: tuple[str, FaultProxy], rgw: Rgw, tmp_path: Path, fault: Fault
) -> None:
    survives(proxied, rgw, tmp_path, fault, TWO_PARTS)


def survives(proxied: tuple[str, FaultProxy], rgw: Rgw, tmp_path: Path, fault: Fault, size: int) -> None:
    """The fault happened as often as it should, and the object is there as if it had not."""
    bucket, proxy = proxied
    times = fault.times
    proxy.faults.append(Fault(**vars(fault)))
    path, digest = made(tmp_path / "data", size)
    store = S3Store(StoreSpec(href=f"s3://{bucket}/pre"), settings=IMPATIENT if fault.kind == "stall" else SETTINGS)
    receipt = store.put(path, "data", sha256=digest, media_type="image/tiff")
    assert proxy.done(fault.kind) == times
    body = direct(rgw).get_object(Bucket=bucket, Key="pre/data")
    assert sha(body["Body"].read()) == receipt.sha256 == digest
    assert (body["ContentType"], body["Metadata"]["sha256"]) == ("image/tiff", digest)
    assert body["ETag"].strip('"') == receipt.etag
    assert open_uploads(rgw, bucket) == []
    assert [listed.key for listed in store.listing()] == ["data"]


def test_a_server_that_asks_for_less_gets_half(plain: tuple[str, FaultProxy], tmp_path: Path) -> None:
    bucket, proxy = plain
    proxy.faults.append(Fault("PUT .*/data", "status"))
    path, digest = made(tmp_path / "data", SMALL)
    store = S3Store(StoreSpec(href=f"s3://{bucket}"), settings=SETTINGS)
    before = store._limit.limit
    store.put(path, "data", sha256=digest, media_type="image/tiff")
    assert store._limit.limit == before // 2 == 4


# --- what does not ----------------------------------------------------------------------------------------------------


def told(store: Callable[[], S3Store], path: Path, digest: str) -> EarthcodePackError:
    """The error of putting a file, in words; with the settings ``ONCE`` it was not tried again."""
    with pytest.raises(OutsideError) as caught:
        store().put(path, "data", sha256=digest, media_type="image/tiff")
    assert "n0t-to-be-shown" not in f"{caught.value!r}"
    assert caught.value.remedy
    return caught.value


def test_a_fault_that_stays_ends_in_words_and_resumes(plain: tuple[str, FaultProxy], rgw: Rgw, tmp_path: Path) -> None:
    bucket, proxy = plain
    proxy.faults.append(Fault("PUT .*partNumber=2", "status", times=10**6))
    path, digest = made(tmp_path / "data", LARGE)
    notes: list[Begun] = []
    store = S3Store(StoreSpec(href=f"s3://{bucket}"), settings=SETTINGS)
    with pytest.raises(OutsideError, match="overloaded") as caught:
        store.put(path, "data", sha256=digest, media_type="image/tiff", note=notes.append)
    assert "resumes" in caught.value.remedy
    assert [upload["UploadId"] for upload in open_uploads(rgw, bucket)] == [notes[0].upload_id]
    assert list(store.open_uploads()) == [("data", notes[0].upload_id)]
    proxy.faults.clear()
    proxy.seen.clear()
    store.put(path, "data", sha256=digest, media_type="image/tiff", begun=notes[0], note=notes.append)
    sent = [seen.request for seen in proxy.seen if seen.request.startswith("PUT") and "partNumber" in seen.request]
    assert len(notes) == 1
    assert 1 <= len(sent) < 3
    assert open_uploads(rgw, bucket) == []
    assert store.sha256("data") == digest


def test_a_file_that_nobody_can_resume_leaves_nothing_open(
    plain: tuple[str, FaultProxy], rgw: Rgw, tmp_path: Path
) -> None:
    bucket, proxy = plain
    proxy.faults.append(Fault("PUT .*partNumber=2", "status", times=10**6))
    path, digest = made(tmp_path / "data", LARGE)
    told(lambda: S3Store(StoreSpec(href=f"s3://{bucket}"), settings=SETTINGS), path, digest)
    assert open_uploads(rgw, bucket) == []


def test_parts_of_another_file_are_sent_anew(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    client = direct(rgw)
    upload = client.create_multipart_upload(Bucket=rgw_bucket, Key="data", Metadata={"sha256": "?"})["UploadId"]
    for number in (1, 2):
        client.upload_part(Bucket=rgw_bucket, Key="data", UploadId=upload, PartNumber=number, Body=bytes(PART))
    path, digest = made(tmp_path / "data", LARGE)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=SETTINGS)
    with pytest.raises(OutsideError, match="damaged"):  # what it says of itself is not this file
        store.put(path, "data", sha256=digest, media_type="a/b", begun=Begun(upload_id=upload, part_size=PART))
    assert list(store.keys()) == []
    store.put(path, "data", sha256=digest, media_type="a/b", begun=Begun(upload_id=upload, part_size=PART))
    assert store.sha256("data") == digest
    assert open_uploads(rgw, rgw_bucket) == []


def test_an_upload_that_the_server_forgot_is_opened_anew(rgw_bucket: str, tmp_path: Path) -> None:
    path, digest = made(tmp_path / "data", LARGE)
    notes: list[Begun] = []
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=SETTINGS)
    gone = Begun(upload_id="2~gone", part_size=PART)
    store.put(path, "data", sha256=digest, media_type="a/b", begun=gone, note=notes.append)
    assert len(notes) == 1
    store.abort("data", gone)
    assert store.sha256("data") == digest


def test_a_wrong_secret(rgw_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-n0t-to-be-shown")
    error = told(lambda: S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=ONCE), *made(tmp_path / "a", 10))
    assert "does not accept these credentials" in error.message
    assert "AWS_SECRET_ACCESS_KEY" in error.remedy
    with pytest.raises(OutsideError, match="does not accept these credentials"):
        S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=ONCE).preflight()


def test_a_user_without_rights(rgw: Rgw, rgw_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", rgw.other.access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", rgw.other.secret)
    error = told(lambda: S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=ONCE), *made(tmp_path / "a", 10))
    assert "refuses access (403)" in error.message


@pytest.fixture
def narrow(rgw: Rgw, rgw_bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of a bucket to which the environment's keys may write, and nothing else there."""
    objects = ["PutObject", "GetObject", "DeleteObject", "AbortMultipartUpload", "ListMultipartUploadParts"]
    allowed = {f"{rgw_bucket}/work/*": objects, rgw_bucket: ["ListBucket"]}
    who = {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/other"]}}
    statements = [
        {**who, "Action": [f"s3:{action}" for action in actions], "Resource": [f"arn:aws:s3:::{what}"]}
        for what, actions in allowed.items()
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    direct(rgw).put_bucket_policy(Bucket=rgw_bucket, Policy=policy)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", rgw.other.access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", rgw.other.secret)
    return f"s3://{rgw_bucket}/work"


def test_a_folder_is_put_into_with_keys_that_are_good_for_it_alone(narrow: str, tmp_path: Path) -> None:
    path, digest = made(tmp_path / "a", SMALL)
    folder = Folder(f"{narrow}/some")
    folder.put(path, "x/a.bin", digest)
    assert folder.sha256("x/a.bin") == digest
    assert {key: found.size for key, found in folder.listing().items()} == {"x/a.bin": SMALL}
    with pytest.raises(OutsideError, match="refuses access"):
        Folder(f"{narrow}-2").put(path, "a.bin", digest)


def test_keys_that_may_not_list_uploads_send_large_files(
    narrow: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, digest = made(tmp_path / "a", LARGE)
    store = S3Store(StoreSpec(href=narrow), settings=SETTINGS)
    for key in ("a", "b"):
        store.put(path, key, sha256=digest, media_type="a/b", note=lambda _begun: None)
        assert store.sha256(key) == digest
    told = [record.getMessage() for record in caplog.records if "killed runs" in record.getMessage()]
    words = "what killed runs left of large files may stay: the keys may not look for it (AccessDenied)"
    assert told == [f"{narrow.removesuffix('/work')}: {words}"]


@pytest.mark.usefixtures("rgw_bucket")
def test_a_bucket_that_is_not_there(tmp_path: Path) -> None:
    error = told(lambda: S3Store(StoreSpec(href="s3://no-such-bucket"), settings=ONCE), *made(tmp_path / "a", 10))
    assert "the bucket does not exist" in error.message
    with pytest.raises(OutsideError, match="the bucket does not exist"):
        S3Store(StoreSpec(href="s3://no-such-bucket"), settings=ONCE).preflight()


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_wrong(rgw_bucket: str, tmp_path: Path, hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    there = datetime.now(UTC) + timedelta(hours=hours)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: there.replace(tzinfo=None))
    error = told(lambda: S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=ONCE), *made(tmp_path / "a", 10))
    assert "the clock of this machine" in error.message
    assert "set the clock" in error.remedy


def test_a_clock_that_is_wrong_is_seen_where_the_server_does_not_mind(bucket: str) -> None:
    settings = replace(ONCE, clock=lambda: time.time() + 7200)
    store = S3Store(StoreSpec(href=f"s3://{bucket}"), settings=settings)
    with pytest.raises(OutsideError, match="the clock of this machine"):
        store.preflight()
    assert list(store.keys()) == []


@pytest.mark.parametrize("code", ["ExpiredToken", "QuotaExceeded"])
def test_a_refusal_that_stays_is_not_tried_again(plain: tuple[str, FaultProxy], tmp_path: Path, code: str) -> None:
    bucket, proxy = plain
    proxy.faults.append(Fault("PUT .*/data", "status", status=403, code=code, times=10**6))
    error = told(lambda: S3Store(StoreSpec(href=f"s3://{bucket}"), settings=ONCE), *made(tmp_path / "a", 10))
    assert {"ExpiredToken": "have expired", "QuotaExceeded": "quota used up"}[code] in error.message
    assert proxy.done("status") == 1


def test_a_quota_that_is_used_up(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=SETTINGS)
    path, digest = made(tmp_path / "a", 10)
    store.put(path, "first", sha256=digest, media_type="a/b")
    at = ("--quota-scope", "bucket", "--bucket", rgw_bucket)
    rgw.admin("quota", "set", *at, "--max-objects", "1")
    rgw.admin("quota", "enable", *at)
    error = told(lambda: S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=ONCE), path, digest)
    assert "quota" in error.message
    assert "it resumes" in error.remedy
    rgw.admin("quota", "disable", *at)
    store.put(path, "second", sha256=digest, media_type="a/b")


def test_a_certificate_that_nobody_knows(
    rgw: Rgw, rgw_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", rgw.https)
    error = told(lambda: S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=ONCE), *made(tmp_path / "a", 10))
    assert "certificate is not trusted" in error.message
    assert "store.ca_bundle" in error.remedy


def test_a_self_signed_certificate_that_is_trusted(
    rgw: Rgw, rgw_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = self_signed(tmp_path)
    proxy = FaultProxy(rgw.port, tls=tls)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    path, digest = made(tmp_path / "a", 10)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}", ca_bundle=str(tls.ca)), settings=SETTINGS)
    store.put(path, "a", sha256=digest, media_type="a/b")
    assert store.sha256("a") == digest
    proxy.stop()


@pytest.mark.timeout(60)  # half of the time that a request has where nothing else is said
def test_a_server_that_never_answers_is_left(plain: tuple[str, FaultProxy], tmp_path: Path) -> None:
    bucket, proxy = plain
    proxy.faults.append(Fault("PUT .*/data", "stall", times=10**6))
    path, digest = made(tmp_path / "a", 10)
    patience = RetryPolicy(attempts=3, first=0.01)
    settings = Settings(timeouts=Timeouts(request=0.3), policy=patience, first_contact=OFTEN)
    error = told(lambda: S3Store(StoreSpec(href=f"s3://{bucket}"), settings=settings), path, digest)
    assert "cannot be reached" in error.message
    assert proxy.done("stall") <= 3


@pytest.mark.usefixtures("rgw_bucket")
def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    spec = StoreSpec(href="s3://bucket", endpoint_url="http://127.0.0.1:9")
    error = told(lambda: S3Store(spec, settings=SETTINGS), *made(tmp_path / "a", 10))
    assert "cannot be reached" in error.message
    assert "store.endpoint_url" in error.remedy


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_file_that_changes_meanwhile_is_never_visible(rgw: Rgw, rgw_bucket: str, tmp_path: Path, size: int) -> None:
    path, _ = made(tmp_path / "a", size)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=SETTINGS)
    with pytest.raises(UserError, match="changed after the bundle was prepared"):
        store.put(path, "a", sha256=sha(b"what it was"), media_type="a/b", note=lambda _begun: None)
    assert list(store.keys()) == []
    assert open_uploads(rgw, rgw_bucket) == []


def test_a_full_disk(tmp_path: Path) -> None:
    """What a killed run left is taken up: here it is the device that is always full."""
    path, digest = made(tmp_path / "a", 100_000)
    left = tmp_path / f"published/d/.a.{digest[:12]}.part"
    left.parent.mkdir(parents=True)
    left.symlink_to("/dev/full")
    with pytest.raises(OutsideError, match="the disk is full") as caught:
        LocalStore(tmp_path / "published").put(path, "d/a", sha256=digest, media_type="a/b")
    assert "free space" in caught.value.remedy
    assert list(left.parent.iterdir()) == []
    LocalStore(tmp_path / "published").put(path, "d/a", sha256=digest, media_type="a/b")


# --- what needs no real server ----------------------------------------------------------------------------------------


def test_a_server_that_proves_nothing_has_its_etags_compared(
    moto: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """moto takes a damaged body without a word: its ETag tells, the object goes, and the next attempt is right."""
    proxy = FaultProxy(int(moto.rpartition(":")[2]), [Fault("PUT .*/data", "corrupt", times=2)])
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    path, digest = made(tmp_path / "data", SMALL)
    store = S3Store(StoreSpec(href=f"s3://{bucket}"), settings=SETTINGS)
    store.put(path, "data", sha256=digest, media_type="a/b")
    assert proxy.done("corrupt") == 2
    assert store.sha256("data") == digest
    proxy.faults.append(Fault("PUT .*/data", "corrupt", times=10**6))
    with pytest.raises(OutsideError, match="damaged"):
        store.put(path, "data", sha256=digest, media_type="a/b")
    assert list(store.keys()) == []
    proxy.stop()


@pytest.mark.parametrize("server", ["bucket", "rgw_bucket"])
def test_preflight_leaves_nothing(request: pytest.FixtureRequest, server: str) -> None:
    bucket = request.getfixturevalue(server)
    store = S3Store(StoreSpec(href=f"s3://{bucket}/pre"), settings=SETTINGS)
    store.preflight()
    assert store._preflight.is_proving() is (server == "rgw_bucket")
    assert "Contents" not in boto3.Session().client("s3").list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("server", ["bucket", "rgw_bucket"])
def test_probes_of_a_killed_run_are_removed_by_the_next(request: pytest.FixtureRequest, server: str) -> None:
    bucket = request.getfixturevalue(server)
    client = boto3.Session().client("s3")
    names = [".earthcode-pack-probe", ".earthcode-pack-changed-probe"]
    for name in names[: 1 if server == "rgw_bucket" else 2]:  # RGW stores no changed body
        client.put_object(Bucket=bucket, Key=f"pre/{name}", Body=b"left")
    S3Store(StoreSpec(href=f"s3://{bucket}/pre"), settings=SETTINGS).preflight()
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)


def test_preflights_of_one_prefix_at_once_all_pass(rgw_bucket: str) -> None:
    stores = [S3Store(StoreSpec(href=f"s3://{rgw_bucket}/pre"), settings=SETTINGS) for _ in range(8)]
    with ThreadPoolExecutor(len(stores)) as pool:
        assert list(pool.map(S3Store.preflight, stores)) == [None] * len(stores)
    assert "Contents" not in boto3.Session().client("s3").list_objects_v2(Bucket=rgw_bucket)


def test_what_is_public_can_be_read_by_anybody(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    path, digest = made(tmp_path / "a", LARGE)
    read = build_opener(ProxyHandler({})).open
    for access in ("public", "private"):
        store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}/{access}", access=access), settings=SETTINGS)
        store.put(path, "a", sha256=digest, media_type="a/b")
    assert sha(read(f"{rgw.http}/{rgw_bucket}/public/a").read()) == digest
    with pytest.raises(HTTPError, match="403"):
        read(f"{rgw.http}/{rgw_bucket}/private/a")


def test_a_bucket_that_takes_no_acls_gets_none(plain: tuple[str, FaultProxy], tmp_path: Path) -> None:
    bucket, proxy = plain
    proxy.faults.append(Fault("PUT .*/data", "status", status=400, code="AccessControlListNotSupported"))
    path, digest = made(tmp_path / "a", SMALL)
    store = S3Store(StoreSpec(href=f"s3://{bucket}", access="public"), settings=SETTINGS)
    store.put(path, "data", sha256=digest, media_type="a/b")
    assert store.sha256("data") == digest


def test_many_keys_are_listed_and_removed_a_thousand_at_once(
    plain: tuple[str, FaultProxy], rgw: Rgw, tmp_path: Path
) -> None:
    bucket, proxy = plain
    names = [f"é %21 {number:04d}+&.bin" for number in range(1001)]
    path, digest = made(tmp_path / "a", 1)
    straight = S3Store(StoreSpec(href=f"s3://{bucket}/pre", endpoint_url=rgw.http), settings=SETTINGS)
    with ThreadPoolExecutor(8) as pool:
        etags = {
            sent.etag for sent in pool.map(lambda n: straight.put(path, n, sha256=digest, media_type="a/b"), names)
        }
    store = S3Store(StoreSpec(href=f"s3://{bucket}/pre"), settings=SETTINGS)
    listed = list(islice(store.listing(), 2000))
    assert [each.key for each in listed] == names
    assert {(each.size, each.etag) for each in listed} == {(1, next(iter(etags)))}
    assert all(each.modified is not None and each.modified.tzinfo for each in listed)
    assert len(proxy.seen) == 2
    store.delete([each.key for each in listed])
    assert len(proxy.seen) == 4
    assert list(store.keys()) == []
    store.delete(["é %21 0000+&.bin"])  # what is gone already is no failure


def test_open_uploads_are_listed_by_folder(rgw: Rgw, rgw_bucket: str) -> None:
    client = direct(rgw)
    ids = [
        client.create_multipart_upload(Bucket=rgw_bucket, Key=key)["UploadId"] for key in ("p/a/x", "p/b/y z", "q/a")
    ]
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}/p"), settings=SETTINGS)
    assert sorted(store.open_uploads()) == [("a/x", ids[0]), ("b/y z", ids[1])]
    assert list(store.open_uploads("b/")) == [("b/y z", ids[1])]
    store.abort("a/x", Begun(upload_id=ids[0], part_size=PART))
    store.abort("a/x", Begun(upload_id=ids[0], part_size=PART))
    assert list(store.open_uploads()) == [("b/y z", ids[1])]


def test_open_uploads_are_listed_page_by_page(rgw: Rgw, rgw_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["y", "z%21/a +é", "z%21/b", "z%21/b"]
    ids = {direct(rgw).create_multipart_upload(Bucket=rgw_bucket, Key=key)["UploadId"] for key in keys}
    client = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=SETTINGS)._client
    ask = client.ask
    monkeypatch.setattr(client, "ask", lambda operation, **query: ask(operation, **query, MaxUploads=1))
    found = list(islice(client.uploads(""), 9))
    assert [key for key, _ in found] == keys
    assert {upload for _, upload in found} == ids


def test_a_rate_is_kept(rgw_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only its own waits move: the last quarter of a MiB, or less, of 1.6 MB begins in its turn."""
    now = [0.0]

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    paced = partial(ConcurrencyLimit, clock=lambda: now[0], sleep=pass_by)
    monkeypatch.setattr("earthcode_pack.storage.s3.ConcurrencyLimit", paced)
    path, digest = made(tmp_path / "a", 400_000)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}", rate="1 MB/s"), settings=SETTINGS)
    store.preflight()
    begin = now[0]
    for name in "abcd":
        store.put(path, name, sha256=digest, media_type="a/b")
    assert 1.3 < now[0] - begin < 1.6


# --- killed -----------------------------------------------------------------------------------------------------------

PROGRAM = """
    import sys
    from pathlib import Path
    from earthcode_pack.profile.model import StoreSpec
    from earthcode_pack.storage import Begun
    from earthcode_pack.storage.s3 import S3Store, Settings
    ledger, local, href, digest, part = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
    begun = Begun.from_json(ledger.read_text()) if ledger.exists() else None
    def note(begun):
        ledger.with_suffix(".part").write_text(begun.to_json())
        ledger.with_suffix(".part").rename(ledger)
    store = S3Store(StoreSpec(href=href, rate="60 MB/s"), settings=Settings(large=part, part=part))
    print("begins", flush=True)
    store.put(local, "data", sha256=digest, media_type="image/tiff", begun=begun, note=note)
"""


def killed_and_resumed(rgw: Rgw, bucket: str, tmp_path: Path, *, size: int, part: int, kills: int) -> None:
    """As often killed at a random moment, then run to its end: the object is right, and nothing stays open."""
    path, digest = made(tmp_path / "data", size)
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "ledger"), str(path)]
    command += [f"s3://{bucket}/pre", digest, str(part)]
    moments = random.Random(kills)
    for _ in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0, size / 60e6))
        process.send_signal(signal.SIGKILL)
        process.wait(LONG)
        process.stdout.close()
    subprocess.run(command, check=True, capture_output=True)
    (found,) = direct(rgw).list_objects_v2(Bucket=bucket)["Contents"]
    assert (found["Key"], found["Size"]) == ("pre/data", size)
    assert sha(direct(rgw).get_object(Bucket=bucket, Key="pre/data")["Body"].read()) == digest
    assert open_uploads(rgw, bucket) == []


def test_an_upload_that_is_killed_goes_on(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    killed_and_resumed(rgw, rgw_bucket, tmp_path, size=24 * 2**20, part=PART, kills=3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_an_upload_of_300_mb_that_is_killed_twenty_times_goes_on(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    killed_and_resumed(rgw, rgw_bucket, tmp_path, size=300_000_000, part=16 * 2**20, kills=20)
