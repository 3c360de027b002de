"""HTTP to one server, by the standard library: requests as they were signed, connections kept, given up in time.

What is this module's own: connections that many threads share, the deadline of a whole request, the proxy of the
environment, and bodies that the kernel sends from a file (sendfile(2)). Whether and when something is tried again is
decided above it (retry).
"""

from __future__ import annotations

import base64
import select
import ssl
import time
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from earthcode_pack.errors import UserError
from earthcode_pack.storage.stopping import go_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Buffer = bytes | memoryview
T = TypeVar("T")

_BLOCK = 2**18  # bytes that are read at once
_STEP = 2**20  # bytes that the kernel sends between two looks at the clock
_GOOD = range(200, 300)


@dataclass(frozen=True)
class Timeouts:
    """Seconds. A request is given up after ``request``, or where it is longer its size at ``slowest`` bytes/s."""

    connect: float = 10
    request: float = 120
    slowest: float = 50_000

    def of(self, size: int) -> float:
        """Of a request that moves ``size`` bytes."""
        return max(self.request, size / self.slowest)


class Stretch(NamedTuple):
    """``size`` bytes of a file from the ``first`` on, as they are when they are sent."""

    path: Path
    first: int
    size: int

    def blocks(self) -> Iterator[memoryview]:
        """All of them, in the same memory: a block is good until the next one is asked for.

        Raises ``EOFError`` where the file ends before.
        """
        buffer, left = memoryview(bytearray(min(_BLOCK, self.size))), self.size
        with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123 - half the time of Path.open
            file.seek(self.first)
            while left:
                read = file.readinto(buffer[:left])
                if not read:
                    raise EOFError(str(self.path))
                left -= read
                yield buffer[:read]


class Request(NamedTuple):
    """``target`` is path and query as they are sent; ``length`` the bytes of the body."""

    method: str
    target: str
    headers: dict[str, str]
    body: Iterable[Buffer] | Stretch = ()
    length: int = 0


class Answer(NamedTuple):
    """Names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """Sends requests to one endpoint, ``http(s)://host[:port]``; from many threads, each with a connection.

    ``ca`` is a file of PEM certificates that are trusted instead of the system's. Failures are ``OSError``.
    """

    def __init__(self, endpoint: str, ca: str | None = None, timeouts: Timeouts | None = None) -> None:
        parts, self.host, self._port = _endpoint(endpoint)
        self.authority, self._proxy = parts.netloc.rpartition("@")[2], _proxy(parts.scheme, self.host)
        self._timeouts = timeouts or Timeouts()
        self._context = _trusting(ca) if parts.scheme == "https" else None
        is_forwarded = self._proxy is not None and self._context is None
        self._before = f"http://{self.authority}" if is_forwarded else ""
        self._also = _authorization(self._proxy) if self._proxy is not None and is_forwarded else {}
        self._idle: deque[HTTPConnection] = deque()
        self.close = weakref.finalize(self, _let_go, self._idle)
        """Lets go of the connections that nobody uses; so does the end of this object."""

    def __repr__(self) -> str:
        return f"Wire({self.authority})"

    def send(self, request: Request, take: Callable[[bytes], object] | None = None, expected: int = 0) -> Answer:
        """The answer, whatever its status. ``take`` gets the body of one that succeeds, of about ``expected`` bytes.

        Raises ``OSError`` where no answer comes in time, or the server lets go.
        """
        seconds = self._timeouts.of(max(request.length, expected))
        deadline = time.monotonic() + seconds
        try:
            connection = self._connected(seconds)
            return self._exchange(connection, request, take, deadline)
        except HTTPException:
            raise ConnectionError("the server does not speak HTTP/1.1, or let go") from None

    def _connected(self, seconds: float) -> HTTPConnection:
        """The connection that was used last, while it lives, else a new one."""
        while self._idle:
            with suppress(IndexError):  # another thread was faster
                connection = self._idle.pop()
                if not _is_dropped(connection):
                    connection.sock.settimeout(seconds)
                    return connection
                connection.close()
        connection = self._new(min(self._timeouts.connect, seconds))
        connection.connect()
        connection.sock.settimeout(seconds)
        return connection

    def _new(self, seconds: float) -> HTTPConnection:
        proxy = self._proxy
        host, port = (self.host, self._port) if proxy is None else (str(proxy.hostname), proxy.port or 80)
        if self._context is None:
            return HTTPConnection(host, port, timeout=seconds)
        made = HTTPSConnection(host, port, timeout=seconds, context=self._context)
        if proxy is not None:
            made.set_tunnel(self.host, self._port or 443, _authorization(proxy))
        return made

    def _exchange(
        self, connection: HTTPConnection, request: Request, take: Callable[[bytes], object] | None, deadline: float
    ) -> Answer:
        try:
            told = _read(self._answer(connection, request, deadline), take, deadline)
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:  # else that was the last answer on it
            self._idle.append(connection)
        return told

    def _answer(self, connection: HTTPConnection, request: Request, deadline: float) -> HTTPResponse:
        """An answer that waits to be read; also one that the server gave before it had heard all, and let go."""
        connection.putrequest(request.method, self._before + request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in {**request.headers, **self._also}.items():
            connection.putheader(name, value)
        if request.length or request.method in ("PUT", "POST"):
            connection.putheader("content-length", str(request.length))
        try:
            connection.endheaders()
            _send(connection, request, deadline)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError) as error:
            return _early(connection, error)
        return connection.getresponse()


def _endpoint(endpoint: str) -> tuple[SplitResult, str, int | None]:
    """Its parts, host and port. Raises ``UserError`` for what is no address of a server alone."""
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is none, or half an IPv6 address
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.path.strip("/") or parts.query or parts.fragment:
        remedy = "write http(s)://host or http(s)://host:port in store.endpoint_url (or AWS_ENDPOINT_URL)"
        raise UserError(f"{endpoint}: no endpoint of S3 storage", remedy)
    return parts, host, port


def _let_go(idle: deque[HTTPConnection]) -> None:
    while idle:
        idle.pop().close()


def _send(connection: HTTPConnection, request: Request, deadline: float) -> None:
    """A body. Raises ``EOFError`` where a file became shorter."""
    body, sock = request.body, connection.sock
    if isinstance(body, Stretch) and not isinstance(connection, HTTPSConnection):
        _send_from_kernel(sock, body, deadline)
        return
    for block in _until(deadline, body.blocks() if isinstance(body, Stretch) else body):
        sock.settimeout(_left(deadline))
        sock.sendall(block)


def _send_from_kernel(sock: Any, body: Stretch, deadline: float) -> None:
    with open(body.path, "rb", buffering=0) as file:  # noqa: PTH123 - half the time of Path.open
        for first in _until(deadline, range(body.first, body.first + body.size, _STEP)):
            size = min(_STEP, body.first + body.size - first)
            sock.settimeout(_left(deadline))
            if sock.sendfile(file, first, size) != size:
                raise EOFError(str(body.path))


def _early(connection: HTTPConnection, error: OSError) -> HTTPResponse:
    """What the server said before it let go. Raises ``error`` where it said nothing."""
    try:
        answer = connection.getresponse()
    except (OSError, HTTPException):
        raise error from None
    connection.close()  # the answer can still be read
    return answer


def _until(deadline: float, blocks: Iterable[T]) -> Iterator[T]:
    for block in blocks:
        go_on()
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
        yield block


def _left(deadline: float) -> float:
    """Seconds until then, as a socket takes them: none would be for ever."""
    return max(0.001, deadline - time.monotonic())


def _read(answer: HTTPResponse, take: Callable[[bytes], object] | None, deadline: float) -> Answer:
    """An answer to its end."""
    parts: list[bytes] = []
    wanted = take if take is not None and answer.status in _GOOD else parts.append
    with answer:
        for block in _until(deadline, iter(lambda: answer.read1(_BLOCK), b"")):
            wanted(block)
        if answer.length:
            raise ConnectionError("the server let go before the end of its answer")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(answer.status, headers, b"".join(parts))


def _is_dropped(connection: HTTPConnection) -> bool:
    """Whether the other side let go, or said what nobody asked for."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _proxy(scheme: str, host: str) -> SplitResult | None:
    """The proxy that the environment names for a host, if it does."""
    found = None if proxy_bypass(host) else getproxies().get(scheme)
    if not found:
        return None
    parts = urlsplit(found if "://" in found else f"http://{found}")
    if parts.scheme != "http":
        raise UserError(f"{scheme}_proxy: a proxy by {parts.scheme}", "name one as http://host:port")
    return parts


def _authorization(proxy: SplitResult) -> dict[str, str]:
    """What a proxy wants to know of the user (RFC 7617)."""
    if not proxy.username:
        return {}
    user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"proxy-authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}


def _trusting(ca: str | None) -> ssl.SSLContext:
    """Verifies certificates and names. OpenSSL takes a self-signed one that is trusted itself, as botocore does."""
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
