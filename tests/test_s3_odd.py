"""What a client of S3 must not take for granted: servers, files and users that do other things meanwhile."""

from __future__ import annotations

import hashlib
import random
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from clockless import LONG, until
from services.faults import Fault, FaultProxy
from services.odd import Odd

from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage.concurrency import as_completed, each
from earthcode_pack.storage.connection import Timeouts
from earthcode_pack.storage.credentials import Keys
from earthcode_pack.storage.file_slice import FileSlice
from earthcode_pack.storage.retry import RetryPolicy
from earthcode_pack.storage.s3 import S3Store, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from services.rgw import Rgw

    from earthcode_pack.storage.base import Begun

MB = 2**20
KEYS = Keys("someone", "n0t-to-be-shown")
QUICK = RetryPolicy(seconds=LONG, attempts=12, first=0.01, longest=1)
DAYS = 10.0**6  # s
ENDLESS = RetryPolicy(seconds=10 * DAYS, attempts=10**6, first=DAYS, longest=DAYS)  # who waits once does not come back


@contextmanager
def serving(**how: Any) -> Iterator[Odd]:
    server = Odd(**how)
    try:
        yield server
    finally:
        server.stop()


def store_of(server: Odd, **spec: Any) -> S3Store:
    spec = {"href": "s3://b/p", "endpoint_url": server.url, "region": "r"} | spec
    return S3Store(StoreSpec(**spec), keys=KEYS, settings=Settings(policy=QUICK, first_contact=QUICK))


def made(path: Path, size: int = 1000) -> tuple[Path, str]:
    """With its sha256."""
    data = random.Random(path.name).randbytes(size)
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def putting(store: S3Store) -> Callable[[tuple[Path, str]], Any]:
    return lambda file: store.put(file[0], file[0].name, sha256=file[1], media_type="a/b")


# --- servers ----------------------------------------------------------------------------------------------------------


def test_etags_that_tell_nothing_from_a_server_that_proves_nothing_of_many_at_once(tmp_path: Path) -> None:
    """Each object is read back; who reads waits for no turn that is held by those who wait too."""
    files = [made(tmp_path / str(number)) for number in range(20)]
    with serving(proves=False, md5=False, delay=0.05) as server:
        store = store_of(server)
        done = threading.Event()

        def work() -> None:
            each(putting(store), files, store.max_concurrency)
            done.set()

        threading.Thread(target=work, daemon=True).start()
        assert done.wait(LONG)
        assert len(server.objects) == 20


def test_a_bucket_without_acls_and_many_threads(tmp_path: Path) -> None:
    """All of them were refused before one of them knew why."""
    files = [made(tmp_path / str(number)) for number in range(16)]
    with serving(acl=False, delay=0.05) as server:
        store = store_of(server, access="public")
        assert len(each(putting(store), files, 16)) == 16
        assert server.refused > 1


@pytest.mark.parametrize("code", ["RequestTimeout", "InvalidRequest"])
def test_any_refusal_is_no_proof(tmp_path: Path, code: str) -> None:
    path, sha256 = made(tmp_path / "a")
    with serving(proves=False, answers=[code]) as server:
        store = store_of(server)
        path.write_bytes(b"changed")
        with pytest.raises(UserError, match="changed after the bundle was prepared"):
            store.put(path, "a", sha256=sha256, media_type="a/b")
        assert [key for key in server.objects if key.endswith("/a")] == []


def test_a_refusal_before_the_whole_was_heard_over_tls(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    tls = rgw.certificates
    proxy = FaultProxy(rgw.port, [Fault("PUT .*/large", "early", times=99, status=403, code="AccessDenied")], tls=tls)
    spec = StoreSpec(href=f"s3://{rgw_bucket}", endpoint_url=proxy.url, ca_bundle=str(tls.ca))
    store = S3Store(spec, settings=Settings(policy=QUICK))
    path, sha256 = made(tmp_path / "large", 20 * MB)
    with pytest.raises(OutsideError, match=r"refuses access \(403\)"):
        store.put(path, "large", sha256=sha256, media_type="a/b")
    assert proxy.done("early") == 1
    proxy.stop()


@pytest.mark.timeout(60)
def test_a_server_that_takes_ever_less_is_given_up_in_time(tmp_path: Path) -> None:
    """Each piece comes through in time, and the whole, which would take a minute, does not."""
    path, size = tmp_path / "large", 2**28
    with path.open("wb") as file:
        file.truncate(size)
    with _trickling() as port:
        spec = StoreSpec(href="s3://b", endpoint_url=f"http://127.0.0.1:{port}", region="r")
        settings = Settings(timeouts=Timeouts(request=0.5, slowest=10**12))
        with pytest.raises(TimeoutError):
            S3Store(spec, keys=KEYS, settings=settings)._client.send("put_object", "k", FileSlice(path, 0, size))


@contextmanager
def _trickling() -> Iterator[int]:
    import socket

    server, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        client, _ = server.accept()
        with client:
            while not over.wait(0.02):
                client.recv(65536)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        over.set()
        thread.join(LONG)
        server.close()


# --- files ------------------------------------------------------------------------------------------------------------


@dataclass
class Spoiling(Fault):
    """A fault that has something happen when it is met the last time, before it is told."""

    last: Callable[[], None] = lambda: None

    def meets(self, request: str) -> bool:
        is_met = super().meets(request)
        if is_met and self.times == 0:
            self.last()
        return is_met


def test_a_part_that_changed_while_it_waited_to_be_sent_again(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    """It was read for the sum of all before, and the server proves what is sent: the file as it is now."""
    path, sha256 = made(tmp_path / "large", 12 * MB)

    def spoil() -> None:
        with path.open("r+b") as file:
            file.seek(100)
            file.write(b"changed")

    proxy = FaultProxy(rgw.port, [Spoiling("PUT .*partNumber=1&", "status", times=3, last=spoil)])
    patience = RetryPolicy(seconds=LONG, attempts=12, first=0.2, longest=0.2)
    settings = Settings(large=MB, part=5 * MB, policy=patience)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}", endpoint_url=proxy.url), settings=settings)
    notes: list[Begun] = []
    with pytest.raises(UserError, match="changed after the bundle was prepared"):
        store.put(path, "large", sha256=sha256, media_type="a/b", note=notes.append)
    assert proxy.done("status") == 3
    assert list(store.keys()) == []
    assert list(store.open_uploads()) == []
    proxy.stop()


def test_what_cannot_be_read_is_no_fault_of_the_storage(rgw_bucket: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=Settings(large=10, policy=ENDLESS))
    with pytest.raises(UserError, match=r"folder: cannot be read \(Is a directory\)"):
        store.put(tmp_path / "folder", "a", sha256="0" * 64, media_type="a/b")  # at once: another attempt would wait


def test_a_file_that_shrank_while_it_waited_to_be_sent_again(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> None:
    path, sha256 = made(tmp_path / "large", 12 * MB)
    shrink = Spoiling("PUT .*partNumber=3&", "status", last=lambda: path.write_bytes(b"short"))
    proxy = FaultProxy(rgw.port, [shrink])
    spec = StoreSpec(href=f"s3://{rgw_bucket}", endpoint_url=proxy.url)
    store = S3Store(spec, settings=Settings(large=MB, part=5 * MB, policy=QUICK))
    with pytest.raises(UserError, match="it is shorter now"):
        store.put(path, "large", sha256=sha256, media_type="a/b")
    assert list(store.keys()) == []
    assert list(store.open_uploads()) == []
    proxy.stop()


# --- people -----------------------------------------------------------------------------------------------------------


def test_a_low_rate_leaves_time_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    spec = StoreSpec(href="s3://b", endpoint_url="http://127.0.0.1:9", region="r", rate="100 kB/s")
    timeouts = S3Store(spec, keys=KEYS)._client._timeouts
    assert timeouts.of(16 * MB) >= 16 * MB / (100_000 / 16), "sixteen parts share the rate"


@pytest.mark.parametrize("size", [MB, 12 * MB], ids=["whole", "parts"])
def test_who_goes_waits_for_nothing(rgw: Rgw, rgw_bucket: str, tmp_path: Path, size: int) -> None:
    """A server that says «slow down» for ever; the user presses Ctrl-C."""
    faults = [Fault("PUT .*/stays", "status", times=10**6)]
    proxy = FaultProxy(rgw.port, faults)
    settings = Settings(large=2 * MB, part=5 * MB, policy=ENDLESS)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}", endpoint_url=proxy.url), settings=settings)
    files = [made(tmp_path / "stays", size), made(tmp_path / "goes")]

    def interrupted() -> None:
        for _ in as_completed(putting(store), files, 2):
            until(lambda: proxy.done("status"), "a request that waits for its next attempt")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    proxy.stop()


def test_the_failure_of_one_is_told_at_once_and_is_the_one_that_is_told(
    rgw: Rgw, rgw_bucket: str, tmp_path: Path
) -> None:
    proxy = FaultProxy(rgw.port, [Fault("PUT .*/stays", "status", times=10**6)])
    settings = Settings(policy=ENDLESS)
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}", endpoint_url=proxy.url), settings=settings)
    files = [made(tmp_path / "stays"), (made(tmp_path / "wrong")[0], "0" * 64)]
    with pytest.raises(UserError, match="wrong: changed after the bundle was prepared"):
        each(putting(store), files, 2)
    proxy.stop()
