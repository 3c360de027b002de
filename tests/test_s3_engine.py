"""The parts of the S3 engine: proxies, listings, concurrency, retries, and where credentials come from."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest
from clockless import LONG

from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.profile.rules import bytes_per_second
from earthcode_pack.storage.concurrency import ConcurrencyLimit
from earthcode_pack.storage.connection import Timeouts
from earthcode_pack.storage.credentials import Access, Keys, access
from earthcode_pack.storage.retry import Damaged, Refused, RetryPolicy, is_busy, is_passing, persist
from earthcode_pack.storage.s3_client import S3Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

# --- HTTP -------------------------------------------------------------------------------------------------------------


class Script:
    """A server that says what a test wrote, a piece for each request; it counts its connections."""

    def __init__(self, *answers: bytes) -> None:
        self.answers, self.connections, self.heard = list(answers), 0, b""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self.answers:
            client, _ = self._server.accept()
            self.connections += 1
            with client:
                while self.answers:
                    if not self._hear(client):
                        break
                    answer = self.answers.pop(0)
                    client.sendall(answer)
                    if b"close" in answer.lower() or b"HTTP/1.0" in answer:
                        break
        self._server.close()

    def _hear(self, client: socket.socket) -> bool:
        """A whole request, however many packets it comes in; whether there was one."""
        heard = b""
        while not _is_whole(heard) and (more := client.recv(65536)):
            heard += more
        self.heard += heard
        return bool(heard)

    def join(self) -> None:
        self._thread.join(LONG)
        assert not self._thread.is_alive(), "the server waits for a request that never came"


def _is_whole(heard: bytes) -> bool:
    head, mark, body = heard.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(mark) and len(body) >= int(length[1] if length else 0)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def client_of(endpoint: str) -> S3Client:
    way = Access(endpoint, "us-east-1", lambda: Keys("me", "secret"), None)
    once = RetryPolicy(attempts=1)
    return S3Client(way, "bucket", ConcurrencyLimit(), timeouts=Timeouts(), policy=once, first_contact=once)


def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Script(OK)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.endpoint)
    assert client_of("http://storage.example:9000").head("key") is not None
    assert server.heard.startswith(b"HEAD http://storage.example:9000/bucket/key HTTP/1.1\r\n")
    server.join()


def test_https_through_a_proxy_is_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Script(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", server.endpoint.replace("//", "//me:word@"))
    with pytest.raises(OSError, match="no connection"):
        client_of("https://storage.example").head("key")
    assert server.heard.startswith(b"CONNECT storage.example:443 HTTP/1.")
    assert b"proxy-authorization: basic bwu6d29yza==" in server.heard.lower()
    server.join()


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("socks5://me:n0t-to-be-shown@127.0.0.1:1", "a proxy by socks5"),
        ("http://me:n0t-to-be-shown@127.0.0.1:eighty", "no address"),
        ("http://me:n0t-to-be-shown@127.0.0.1:99999", "no address"),
        ("http://me:n0t-to-be-shown@[::1", "no address"),
        ("http://me:n0t-to-be-shown@:80", "no address"),
    ],
)
def test_a_proxy_that_cannot_be_asked_is_refused_without_its_password(
    proxy: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(UserError, match=f"http_proxy: {words}") as caught:
        client_of("http://storage.example")
    assert "n0t" not in repr(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("is_proxied", [False, True])
def test_nobody_listens(scheme: str, is_proxied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both clients, also where it is the proxy that is not there."""
    for name in ("no_proxy", "NO_PROXY", f"{scheme}_proxy", f"{scheme}_proxy".upper()):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    if is_proxied:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{port}")
    client = client_of(f"{scheme}://storage.example" if is_proxied else f"{scheme}://127.0.0.1:{port}")
    for ask in (client.head, partial(client.read, take=pytest.fail)):
        with pytest.raises(ConnectionError):
            ask("key")


@pytest.mark.parametrize(
    "endpoint",
    [
        *("ftp://host", "host:9000", "https://", "http://host:99999", "http://127.0.0.1:x", "http://[::1"),
        *("https://host/base/path", "https://host?x=y", "https://host/#part"),
    ],
)
def test_what_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(UserError, match="no endpoint") as caught:
        client_of(endpoint)
    assert "store.endpoint_url (or AWS_ENDPOINT_URL)" in caught.value.remedy


@pytest.mark.parametrize("endpoint", ["https://host", "https://host/", "http://host:9000/", "http://[::1]:9000"])
def test_what_is_an_endpoint(endpoint: str) -> None:
    assert endpoint.rstrip("/").partition("//")[2] in client_of(endpoint).place


# --- listings ---------------------------------------------------------------------------------------------------------


def page_of(*content: str) -> bytes:
    body = f"<Listing>{''.join(content)}</Listing>".encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def target_of(server: Script, number: int) -> dict[str, str]:
    """The query of a request that the server heard."""
    line = [line for line in server.heard.split(b"\r\n") if line.startswith(b"GET ")][number]
    return dict(parse_qsl(urlsplit(line.split()[1].decode()).query))


AMAZON = "<EncodingType>url</EncodingType>"
ON, OVER = "<IsTruncated>true</IsTruncated>", "<IsTruncated>false</IsTruncated>"


@pytest.mark.parametrize(
    ("encoding", "told", "key"),
    [
        (AMAZON, "a+b%2Bc%2521", "a b+c%21"),  # as forms have it
        (AMAZON, "a%20b%2Bc%2521", "a b+c%21"),  # Ceph RGW
        ("", "a+b", "a+b"),  # of a server that encodes nothing
    ],
)
def test_keys_are_read_as_they_are_written(encoding: str, told: str, key: str) -> None:
    listed = f"<Contents><Key>{told}</Key><Size>1</Size></Contents>"
    server = Script(page_of(encoding, OVER, listed))
    assert [found.key for found in client_of(server.endpoint).listing("")] == [key]
    server.join()


def test_a_token_goes_back_as_it_came() -> None:
    token = "<NextContinuationToken>1/z%21+ =</NextContinuationToken>"
    listed = "<Contents><Key>z%2521</Key><Size>1</Size></Contents>"
    server = Script(page_of(AMAZON, ON, listed, token), page_of(AMAZON, OVER))
    assert [found.key for found in client_of(server.endpoint).listing("")] == ["z%21"]
    assert target_of(server, 1)["continuation-token"] == "1/z%21+ ="
    server.join()


@pytest.mark.parametrize("marker", ["z%2521", "z%21"])
def test_uploads_go_on_behind_the_last_one_however_the_marker_is_written(marker: str) -> None:
    upload = "<Upload><Key>z%21</Key><UploadId>2~a%20b</UploadId></Upload>"
    told = f"<NextKeyMarker>{marker}</NextKeyMarker><NextUploadIdMarker>2~a%20b</NextUploadIdMarker>"
    server = Script(page_of(ON, upload, told), page_of(OVER))
    assert list(client_of(server.endpoint).uploads("")) == [("z%21", "2~a%20b")]
    asked = target_of(server, 1)
    assert (asked["key-marker"], asked["upload-id-marker"]) == ("z%21", "2~a%20b")
    server.join()


@pytest.mark.parametrize(
    ("ask", "page"),
    [
        (lambda client: client.listing(""), page_of(ON)),
        (lambda client: client.listing(""), page_of(ON, "<NextContinuationToken>1</NextContinuationToken>")),
        (lambda client: client.uploads(""), page_of(ON)),
        (lambda client: client.uploads(""), page_of(ON, "<Upload><Key>a</Key><UploadId>7</UploadId></Upload>")),
        (lambda client: client.parts("a", "7"), page_of(ON, "<NextPartNumberMarker>1</NextPartNumberMarker>")),
    ],
)
def test_a_listing_without_an_end_is_left(ask: Callable[[S3Client], Iterable[object]], page: bytes) -> None:
    """Pages that say there are more, and not where, or where one has been."""
    server = Script(*[page] * 9, page_of(OVER))
    with pytest.raises(Damaged, match="no end"):
        list(ask(client_of(server.endpoint)))
    assert len(server.answers) >= 8


# --- concurrency limit ------------------------------------------------------------------------------------------------


class Server:
    """Answers many requests, each by a thread, on a clock that its answers move: the first once all came that may."""

    def __init__(self) -> None:
        self.now = 0.0
        self.limit = ConcurrencyLimit(clock=lambda: self.now)
        self._changed = threading.Condition()
        self._waiting: deque[threading.Event] = deque()
        self._gone = 0

    def _one(self, _: int) -> None:
        answered = threading.Event()
        with self.limit.turn():
            with self._changed:
                self._waiting.append(answered)
                self._changed.notify()
            answered.wait(LONG)
        with self._changed:
            self._gone += 1
            self._changed.notify()

    def crowd(self, number: int, work: float = 0.002) -> int:
        """How many were at it at once, at most, of so many requests; each takes the server ``work`` seconds."""
        most, self._gone = 0, 0
        with ThreadPoolExecutor(self.limit.most) as pool:
            futures = [pool.submit(self._one, n) for n in range(number)]
            try:
                for done in range(number):
                    most = max(most, self._answer(done, number, work))
            finally:
                while not all(future.done() or future.cancel() for future in futures):
                    for waiting in list(self._waiting):
                        waiting.set()
        return most

    def _answer(self, done: int, number: int, work: float) -> int:
        with self._changed:
            came = self._changed.wait_for(
                lambda: self._gone == done and len(self._waiting) >= min(self.limit.limit, number - done), LONG
            )
            assert came, f"{len(self._waiting)} came, where {self.limit.limit} may"
            at_once = len(self._waiting)
            self.now += work / at_once
            self._waiting.popleft().set()
        return at_once


def test_eight_at_first_and_soon_more_while_the_server_keeps_up() -> None:
    server = Server()
    assert server.crowd(8) == 8
    assert server.crowd(200, work=0.02) == 32
    assert server.limit.limit == 32


def test_once_a_server_asked_for_less_it_gets_more_by_and_by() -> None:
    server = Server()
    server.now += 1
    server.limit.slow_down()
    assert server.limit.limit == 4
    assert server.crowd(24, work=0.2) > 4
    assert 4 < server.limit.limit <= 10


def test_half_as_much_when_asked_and_once_for_many_answers() -> None:
    server = Server()
    for _ in range(5):
        server.limit.slow_down()
    assert server.limit.limit == 4
    for _ in range(5):
        server.now += 2
        server.limit.slow_down()
    assert server.limit.limit == 1
    assert server.crowd(1) == 1


def test_a_rate_is_a_queue() -> None:
    slept: list[float] = []
    limit = ConcurrencyLimit(rate=100.0, clock=lambda: 0.0, sleep=slept.append)
    for _ in range(3):
        limit.spend(50)
    assert slept == [0.5, 1.0]
    ConcurrencyLimit(sleep=slept.append).spend(10**12)
    assert len(slept) == 2


@pytest.mark.parametrize("text", ["50", "50 MB", "0 MB/s", "fast", "-1 MB/s", "50 mB/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match=r"no rate such as 50 MB/s"):
        bytes_per_second(text)
    with pytest.raises(ValueError, match="rate"):
        StoreSpec(href="s3://bucket", rate=text)


# --- retry policy -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "passes", "busy"),
    [
        (Refused(503, "SlowDown"), True, True),
        (Refused(500, "InternalError"), True, False),
        (Refused(429), True, True),
        (Refused(408), True, False),
        (Refused(400, "BadDigest"), True, False),
        (Refused(400, "XAmzContentSHA256Mismatch"), True, False),
        (Refused(400, "RequestTimeout"), True, False),
        (Refused(507, "InsufficientStorage"), False, False),
        (Refused(501, "NotImplemented"), False, False),
        (Refused(403, "AccessDenied"), False, False),
        (Refused(404, "NoSuchBucket"), False, False),
        (Refused(403, "QuotaExceeded"), False, False),
        (ConnectionResetError(), True, False),
        (TimeoutError(), True, False),
        (Damaged(), True, False),
        (UserError("changed"), False, False),
    ],
)
def test_what_passes(error: BaseException, passes: bool, busy: bool) -> None:
    assert (is_passing(error), is_busy(error)) == (passes, busy)


def test_waits_grow_with_jitter_and_end() -> None:
    slept: list[float] = []
    tried: list[int] = []

    def attempt() -> None:
        tried.append(1)
        raise Refused(503)

    patience = RetryPolicy(attempts=9, first=1, longest=4)
    with pytest.raises(Refused):
        persist(attempt, patience, sleep=slept.append)
    assert len(tried) == 9
    assert all(wait <= most for wait, most in zip(slept, [1, 2, 4, 4, 4, 4, 4, 4], strict=True))
    assert len(set(slept)) == 8


def test_no_attempt_begins_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, began = [0.0], list[float]()
    monkeypatch.setattr(
        "earthcode_pack.execution.waiting.time", SimpleNamespace(monotonic=lambda: now[0], sleep=time.sleep)
    )

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    def attempt() -> None:
        began.append(now[0])
        pass_by(50)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        persist(attempt, RetryPolicy(seconds=120, attempts=100, first=1, longest=1), sleep=pass_by)
    assert began == sorted(began)
    assert len(began) == 3
    assert began[-1] <= 120


def test_what_stays_is_tried_once() -> None:
    tried: list[int] = []

    def attempt() -> None:
        tried.append(1)
        raise Refused(403, "AccessDenied")

    with pytest.raises(Refused):
        persist(attempt, RetryPolicy())
    assert len(tried) == 1


# --- access -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def aws(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AWS files with a profile; the environment says nothing."""
    del bucket  # it cleans the environment
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "no-credentials").write_text("[lab]\naws_access_key_id = a\naws_secret_access_key = b\n")
    (tmp_path / "no-config").write_text("[profile lab]\nregion = eu-9\nendpoint_url = https://lab.example\n")
    return tmp_path


@pytest.mark.usefixtures("aws")
def test_a_profile_of_the_aws_files() -> None:
    way = access(StoreSpec(href="s3://bucket", profile="lab"))
    assert (way.endpoint, way.region, way.keys()) == ("https://lab.example", "eu-9", Keys("a", "b"))
    own = access(StoreSpec(href="s3://bucket", profile="lab", endpoint_url="https://own.example", region="x"))
    assert (own.endpoint, own.region, own.keys()) == ("https://own.example", "x", Keys("a", "b"))


@pytest.mark.usefixtures("aws")
def test_the_environment_comes_first_unless_a_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "e", "SECRET_ACCESS_KEY": "f", "SESSION_TOKEN": "t"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    assert access(StoreSpec(href="s3://bucket")).keys() == Keys("e", "f", "t")
    assert access(StoreSpec(href="s3://bucket", profile="lab")).keys() == Keys("a", "b")
    monkeypatch.setenv("AWS_REGION", "r")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://any.example")
    assert access(StoreSpec(href="s3://bucket"))[:2] == ("https://any.example", "r")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example")
    assert access(StoreSpec(href="s3://bucket")).endpoint == "https://s3.example"


@pytest.mark.usefixtures("aws")
def test_amazon_is_where_nothing_else_is_named() -> None:
    way = access(StoreSpec(href="s3://bucket", region="eu-west-1"), Keys("a", "b"))
    assert way.endpoint == "https://s3.eu-west-1.amazonaws.com"


@pytest.mark.usefixtures("aws")
def test_no_credentials_at_all() -> None:
    with pytest.raises(OutsideError, match="no credentials"):
        access(StoreSpec(href="s3://bucket", endpoint_url="https://own.example"))
