"""The parts of the S3 engine, each by itself: signatures, HTTP, pace, patience, and where credentials come from."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
import traceback
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest
from clockless import LONG, until

from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.profile.rules import bytes_per_second
from earthcode_pack.storage.pace import Pace
from earthcode_pack.storage.retry import Damaged, Patience, Refused, is_busy, is_passing, persist
from earthcode_pack.storage.s3_access import access
from earthcode_pack.storage.s3_calls import Calls
from earthcode_pack.storage.sigv4 import EMPTY, Keys, Signer, path_of, query_of
from earthcode_pack.storage.wire import Request, Timeouts, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

MOMENT = datetime(2013, 5, 24, tzinfo=UTC).timestamp()

# --- signatures -------------------------------------------------------------------------------------------------------


def test_the_example_of_the_documentation() -> None:
    """GET Object of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html."""
    keys = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    sign = Signer(lambda: keys, "us-east-1", lambda: MOMENT)
    headers = {"host": "examplebucket.s3.amazonaws.com", "range": "bytes=0-9"}
    signed = sign("GET", "/test.txt", "", headers, EMPTY)
    assert signed["authorization"].endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    assert "wJalr" not in repr(keys)


@pytest.mark.parametrize("key", ["a.tif", "a b/é+c&d=e.tif", "~x/%41(1).json", "data/.zmetadata"])
@pytest.mark.parametrize("query", [{}, {"uploadId": "2~a/b+c=", "partNumber": "1"}, {"uploads": "", "prefix": "é /"}])
def test_the_signature_is_that_of_botocore(key: str, query: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    digest = hashlib.sha256(b"body").hexdigest()
    given = {"x-amz-meta-sha256": digest, "content-type": "image/tiff"}
    ours = Signer(lambda: Keys("me", "secret", "token"), "eu-1", lambda: MOMENT)(
        "PUT", path_of("bucket", key), query_of(query), {"host": "localhost:1", **given}, digest
    )
    request = AWSRequest("PUT", f"http://localhost:1{path_of('bucket', key)}?{query_of(query)}", dict(given), b"body")
    request.headers["X-Amz-Content-SHA256"] = digest
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: datetime.fromtimestamp(MOMENT, UTC))
    signer = botocore.auth.S3SigV4Auth(Credentials("me", "secret", "token"), "s3", "eu-1")
    monkeypatch.setattr(signer, "payload", lambda _request: digest)
    signer.add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-security-token"] == "token"


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


GET = Request("GET", "/bucket", {"host": "x"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, b"abc"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n",
            200,
            b"abcde",
        ),
        (b"HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\nuntil the end", 404, b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", 200, b"old"),
    ],
)
def test_answers_of_every_form(said: bytes, status: int, body: bytes) -> None:
    server = Script(said)
    answer = Wire(server.endpoint).send(GET)
    assert (answer.status, answer.body) == (status, body)
    server.join()


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", b""])
def test_what_is_no_answer(said: bytes) -> None:
    server = Script(said + b"" if said else b"close")
    with pytest.raises(ConnectionError):
        Wire(server.endpoint, timeouts=Timeouts(request=LONG)).send(GET)


def test_connections_are_kept_and_a_dead_one_is_left() -> None:
    server = Script(OK, OK, OK.replace(b"\r\n\r\n", b"\r\nX: close\r\n\r\n"), OK)
    wire = Wire(server.endpoint)
    for _ in range(3):
        assert wire.send(GET).status == 200
    assert server.connections == 1
    until(wire._idle[-1].is_dropped, "a connection that the server let go of")
    assert wire.send(GET).status == 200
    assert server.connections == 2
    server.join()


def test_the_length_is_stated_and_nothing_goes_in_chunks() -> None:
    server = Script(OK, OK)
    wire = Wire(server.endpoint)
    wire.send(Request("PUT", "/b/k", {"host": "x"}, (b"abc", memoryview(b"def")[:0]), 3))
    wire.send(Request("PUT", "/b/k", {"host": "x"}))
    server.join()
    first, _, second = server.heard.partition(b"\r\n\r\nabc")
    assert first.count(b"content-length: 3") == first.lower().count(b"content-length") == 1
    assert second.count(b"content-length: 0") == second.lower().count(b"content-length") == 1
    assert second.endswith(b"\r\n\r\n")
    assert b"chunked" not in server.heard


@pytest.mark.parametrize("is_proxied", [False, True])
@pytest.mark.parametrize("key", ["a b/é+c&d=e.tif", "~x/%41(1)*.json", "data/.zmetadata", "a..b/...", "x:@!$',;"])
def test_a_target_arrives_as_it_was_signed(key: str, is_proxied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Script(OK)
    endpoint = "http://storage.example" if is_proxied else server.endpoint
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    if is_proxied:
        monkeypatch.setenv("http_proxy", server.endpoint)
    target = f"{path_of('bucket', key)}?{query_of({'prefix': key, 'uploadId': '2~a/b+c=', 'x': ''})}"
    Wire(endpoint).send(GET._replace(target=target))
    assert server.heard.startswith(f"GET {endpoint if is_proxied else ''}{target} HTTP/1.1\r\n".encode())
    server.join()


def test_an_answer_that_is_not_read_to_its_end_ends_the_connection() -> None:
    def refuse(_data: bytes) -> None:
        raise ValueError("enough")

    server = Script(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", OK)
    wire = Wire(server.endpoint)
    with pytest.raises(ValueError, match="enough"):
        wire.send(GET, refuse)
    assert wire.send(GET).body == b""
    assert server.connections == 2
    server.join()


def test_what_the_server_wrote_is_in_no_message() -> None:
    server = Script(b"n0t-to-be-shown\r\n\r\n")
    with pytest.raises(ConnectionError) as caught:
        Wire(server.endpoint).send(GET)
    assert "n0t" not in "".join(traceback.format_exception(caught.value))
    server.join()


# --- time -------------------------------------------------------------------------------------------------------------


# The servers here never come to an end by themselves: that a test ends tells that they were left.


def slowly(seconds: float) -> Iterator[bytes]:
    while True:
        time.sleep(seconds)
        yield b"abc"


@pytest.mark.timeout(60)  # half of the time that a request has where nothing else is said
def test_a_request_that_takes_too_long_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = Wire(f"http://127.0.0.1:{server.getsockname()[1]}", timeouts=Timeouts(request=0.2))
        with pytest.raises(TimeoutError):
            wire.send(Request("PUT", "/b/k", {}, slowly(0.1), 9_999))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
def test_an_answer_that_takes_too_long_is_given_up(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in (said, OK):
                client, _ = server.accept()
                with client, suppress(OSError):
                    if client.recv(65536):
                        client.sendall(answer)
                    while client.recv(65536):
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        wire = Wire(f"http://127.0.0.1:{server.getsockname()[1]}", timeouts=Timeouts(request=0.2))
        with pytest.raises(TimeoutError):
            wire.send(GET)
        assert Wire(f"http://{wire.authority}").send(GET).status == 200  # by a connection of its own
        thread.join(LONG)


@pytest.mark.timeout(60)
def test_a_body_that_trickles_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = Wire(f"http://127.0.0.1:{server.getsockname()[1]}", timeouts=Timeouts(request=0.3))

        def trickle() -> None:
            client, _ = server.accept()
            with client, suppress(OSError):
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                while True:
                    client.sendall(b"x")
                    time.sleep(0.05)

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        with pytest.raises(TimeoutError):
            wire.send(GET)
        thread.join(LONG)
        assert not thread.is_alive(), "the connection stayed open"


@pytest.mark.timeout(60)
def test_a_server_that_says_nothing_of_tls_is_left_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        timeouts = Timeouts(connect=0.2, request=1000)
        with pytest.raises(TimeoutError):
            Wire(f"https://127.0.0.1:{server.getsockname()[1]}", timeouts=timeouts).send(GET)


def test_a_server_that_listens_late_has_the_time_of_the_request() -> None:
    """Also on a connection that is used again: the time for connecting is none for sending."""
    size = 20_000_000  # more than lies between client and server
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = Wire(f"http://127.0.0.1:{server.getsockname()[1]}", timeouts=Timeouts(connect=0.2, request=1000))

        def late() -> None:
            client, _ = server.accept()
            with client:
                for _ in range(2):
                    time.sleep(0.5)
                    heard = bytearray()
                    while b"\r\n\r\n" not in heard and (more := client.recv(65536)):
                        heard += more
                    left = size - len(heard.partition(b"\r\n\r\n")[2])
                    while left and (more := client.recv(2**20)):
                        left -= len(more)
                    client.sendall(OK)

        thread = threading.Thread(target=late, daemon=True)
        thread.start()
        for _ in range(2):
            assert wire.send(Request("PUT", "/b/k", {}, (bytes(size),), size)).status == 200
        thread.join(LONG)


def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Script(OK)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.endpoint)
    assert Wire("http://storage.example:9000").send(GET).status == 200
    assert server.heard.startswith(b"GET http://storage.example:9000/bucket HTTP/1.1\r\n")
    server.join()


def test_https_through_a_proxy_is_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Script(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", server.endpoint.replace("//", "//me:word@"))
    with pytest.raises(OSError, match="403"):
        Wire("https://storage.example").send(GET)
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
        Wire("http://storage.example")
    assert "n0t" not in repr(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("is_proxied", [False, True])
def test_nobody_listens(scheme: str, is_proxied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says stays, also where it is the proxy that is not there."""
    for name in ("no_proxy", "NO_PROXY", f"{scheme}_proxy", f"{scheme}_proxy".upper()):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    if is_proxied:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{port}")
    wire = Wire(f"{scheme}://storage.example" if is_proxied else f"{scheme}://127.0.0.1:{port}")
    with pytest.raises(ConnectionRefusedError):
        wire.send(GET)


@pytest.mark.parametrize(
    "endpoint",
    [
        *("ftp://host", "host:9000", "https://", "http://host:99999", "http://127.0.0.1:x", "http://[::1"),
        *("https://host/base/path", "https://host?x=y", "https://host/#part"),
    ],
)
def test_what_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(UserError, match="no endpoint") as caught:
        Wire(endpoint)
    assert "store.endpoint_url (or AWS_ENDPOINT_URL)" in caught.value.remedy


@pytest.mark.parametrize("endpoint", ["https://host", "https://host/", "http://host:9000/", "http://[::1]:9000"])
def test_what_is_an_endpoint(endpoint: str) -> None:
    assert Wire(endpoint).authority == endpoint.rstrip("/").partition("//")[2]


# --- listings ---------------------------------------------------------------------------------------------------------


def page_of(*content: str) -> bytes:
    body = f"<Listing>{''.join(content)}</Listing>".encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def calls_of(server: Script) -> Calls:
    signer = Signer(lambda: Keys("me", "secret"), "us-east-1", lambda: MOMENT)
    return Calls(Wire(server.endpoint), signer, "bucket", Pace(), Patience(attempts=1))


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
    upload = f"<Upload><Key>{told}</Key><UploadId>7</UploadId></Upload>"
    server = Script(page_of(encoding, OVER, listed), page_of(encoding, OVER, upload))
    calls = calls_of(server)
    assert [found.key for found in calls.listing("")] == [key]
    assert list(calls.uploads("")) == [(key, "7")]
    server.join()


def test_a_token_goes_back_as_it_came() -> None:
    token = "<NextContinuationToken>1/z%21+ =</NextContinuationToken>"
    listed = "<Contents><Key>z%2521</Key><Size>1</Size></Contents>"
    server = Script(page_of(AMAZON, ON, listed, token), page_of(AMAZON, OVER))
    assert [found.key for found in calls_of(server).listing("")] == ["z%21"]
    assert target_of(server, 1)["continuation-token"] == "1/z%21+ ="
    server.join()


@pytest.mark.parametrize(("encoding", "marker"), [(AMAZON, "z%2521"), ("", "z%21")])
def test_uploads_go_on_behind_the_last_one_however_the_marker_is_written(encoding: str, marker: str) -> None:
    """Ceph RGW encodes the keys of a page and not its marker."""
    upload = "<Upload><Key>z%2521</Key><UploadId>2~a%20b</UploadId></Upload>"
    told = f"<NextKeyMarker>{marker}</NextKeyMarker><NextUploadIdMarker>2~a%20b</NextUploadIdMarker>"
    server = Script(page_of(encoding, ON, upload, told), page_of(encoding, OVER))
    assert list(calls_of(server).uploads("")) == [("z%21", "2~a%20b")]
    asked = target_of(server, 1)
    assert (asked["key-marker"], asked["upload-id-marker"]) == ("z%21", "2~a%20b")
    server.join()


@pytest.mark.parametrize(
    ("ask", "page"),
    [
        (lambda calls: calls.listing(""), page_of(ON)),
        (lambda calls: calls.listing(""), page_of(ON, "<NextContinuationToken>1</NextContinuationToken>")),
        (lambda calls: calls.uploads(""), page_of(ON)),
        (lambda calls: calls.uploads(""), page_of(ON, "<Upload><Key>a</Key><UploadId>7</UploadId></Upload>")),
        (lambda calls: calls.parts("a", "7"), page_of(ON, "<NextPartNumberMarker>1</NextPartNumberMarker>")),
    ],
)
def test_a_listing_without_an_end_is_left(ask: Callable[[Calls], Iterable[object]], page: bytes) -> None:
    """Pages that say there are more, and not where, or where one has been."""
    server = Script(*[page] * 9, page_of(OVER))
    with pytest.raises(Damaged, match="no end"):
        list(ask(calls_of(server)))
    assert len(server.answers) >= 8


# --- pace -------------------------------------------------------------------------------------------------------------


class Server:
    """Answers many requests, each by a thread, on a clock that only its answers move: the first once all came that may.

    Without a word of how busy the machine is: ``cpu`` is the share of a core that this process is said to use.
    """

    def __init__(self, *, cpu: float = 0.0, cores: int = 16, start: int = 3) -> None:
        self.now = 0.0
        self.pace = Pace(start=start, clock=lambda: self.now, cpu=lambda: cpu * self.now, cores=cores)
        self._changed = threading.Condition()
        self._waiting: deque[threading.Event] = deque()
        self._gone = 0

    def _one(self, _: int) -> None:
        answered = threading.Event()
        with self.pace.turn():
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
        with ThreadPoolExecutor(self.pace.most) as pool:
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
                lambda: self._gone == done and len(self._waiting) >= min(self.pace.limit, number - done), LONG
            )
            assert came, f"{len(self._waiting)} came, where {self.pace.limit} may"
            at_once = len(self._waiting)
            self.now += work / at_once
            self._waiting.popleft().set()
        return at_once


def test_three_at_first_and_soon_more_where_the_server_is_far() -> None:
    server = Server()
    assert server.crowd(3) == 3
    assert server.crowd(200, work=0.02) == 32
    assert server.pace.limit == 32


def test_once_a_server_asked_for_less_it_gets_more_by_and_by() -> None:
    server = Server(start=8)
    server.now += 1
    server.pace.slow_down()
    assert server.pace.limit == 4
    assert server.crowd(24, work=0.2) > 4
    assert 4 < server.pace.limit <= 10


def test_fewer_where_this_process_is_the_bottleneck() -> None:
    server = Server(start=8, cpu=1.0)
    assert server.crowd(1200) == 8
    assert server.pace.limit == 2


@pytest.mark.parametrize(
    ("busy", "cores", "is_more"), [(3, 16, True), (3, 3, False), (1.9, 2, False), (1.2, 16, False)]
)
def test_more_only_where_cores_are_free_for_what_runs_beside_python(busy: float, cores: int, is_more: bool) -> None:
    server = Server(start=8, cpu=busy, cores=cores)
    server.crowd(1200)
    assert (server.pace.limit > 8) == is_more
    assert (server.pace.limit == 2) == (not is_more)


def test_half_as_much_when_asked_and_once_for_many_answers() -> None:
    server = Server(start=8, cpu=1.0)
    for _ in range(5):
        server.pace.slow_down()
    assert server.pace.limit == 4
    for _ in range(5):
        server.now += 2
        server.pace.slow_down()
    assert server.pace.limit == 1
    assert server.crowd(3) == 1


def test_bytes_in_memory_are_bounded_and_what_is_larger_goes_alone() -> None:
    pace = Pace(in_flight=100)
    pace.take(60)
    came = threading.Event()
    thread = threading.Thread(target=lambda: (pace.take(500), came.set()), daemon=True)
    thread.start()
    assert not came.wait(0.05)
    pace.give(60)
    assert came.wait(LONG)
    thread.join(LONG)


def test_a_rate_is_a_queue() -> None:
    slept: list[float] = []
    pace = Pace(rate=100.0, clock=lambda: 0.0, sleep=slept.append)
    for _ in range(3):
        pace.spend(50)
    assert slept == [0.5, 1.0]
    Pace(sleep=slept.append).spend(10**12)
    assert len(slept) == 2


@pytest.mark.parametrize("text", ["50", "50 MB", "0 MB/s", "fast", "-1 MB/s", "50 mB/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match=r"no rate such as 50 MB/s"):
        bytes_per_second(text)
    with pytest.raises(ValueError, match="rate"):
        StoreSpec(href="s3://bucket", rate=text)


# --- patience ---------------------------------------------------------------------------------------------------------


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

    patience = Patience(attempts=9, first=1, longest=4)
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
        persist(attempt, Patience(seconds=120, attempts=100, first=1, longest=1), sleep=pass_by)
    assert began == sorted(began)
    assert len(began) == 3
    assert began[-1] <= 120


def test_what_stays_is_tried_once() -> None:
    tried: list[int] = []

    def attempt() -> None:
        tried.append(1)
        raise Refused(403, "AccessDenied")

    with pytest.raises(Refused):
        persist(attempt, Patience())
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
