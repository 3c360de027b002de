"""HTTP to one server: requests as they were signed, connections kept and shared by threads, given up in time.

The standard library connects (TCP, TLS, a proxy's tunnel); what goes over a connection is ``line`` and ``answers``.
Whether and when something is tried again is decided above it (retry).
"""

from __future__ import annotations

import base64
import ssl
import time
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from earthcode_pack.errors import UserError
from earthcode_pack.storage.answers import Answer, read_answer
from earthcode_pack.storage.line import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Buffer = bytes | memoryview

_BLOCK = 2**18  # bytes that are read at once
_PROXY = "name one as http://host:port"


@dataclass(frozen=True)
class Timeouts:
    """Seconds. A request is given up after ``request``, or where it is longer its size at ``slowest`` bytes/s.

    It is given up earlier where nothing moves for ``request`` seconds.
    """

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
        self.has_answered = False  # anything: the server is there
        self._idle: deque[Line] = deque()
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
            line = self._connected(seconds)
            line.begin(deadline, self._timeouts.request)
            answer = self._exchange(line, request, take)
        except HTTPException:
            raise ConnectionError("the server does not speak HTTP/1.1, or let go") from None
        self.has_answered = True
        return answer

    def _connected(self, seconds: float) -> Line:
        """The connection that was used last, while it lives, else a new one."""
        while self._idle:
            with suppress(IndexError):  # another thread was faster
                line = self._idle.pop()
                if not line.is_dropped():
                    return line
                line.close()
        connection = self._new(min(self._timeouts.connect, seconds))
        connection.connect()
        return Line(connection)

    def _new(self, seconds: float) -> HTTPConnection:
        proxy = self._proxy
        host, port = (self.host, self._port) if proxy is None else (str(proxy.hostname), proxy.port or 80)
        if self._context is None:
            return HTTPConnection(host, port, timeout=seconds)
        made = HTTPSConnection(host, port, timeout=seconds, context=self._context)
        if proxy is not None:
            made.set_tunnel(self.host, self._port or 443, _authorization(proxy))
        return made

    def _exchange(self, line: Line, request: Request, take: Callable[[bytes], object] | None) -> Answer:
        try:
            answer, is_kept = self._asked(line, request, take)
        except BaseException:
            line.close()
            raise
        if is_kept:
            self._idle.append(line)
        else:
            line.close()
        return answer

    def _asked(self, line: Line, request: Request, take: Callable[[bytes], object] | None) -> tuple[Answer, bool]:
        """The answer, also one that the server gave before it had heard all, and let go."""
        try:
            line.send(self._head(request), more=request.length > 0)
            _send_body(line, request)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError) as error:
            return _early(line, request, error), False
        return read_answer(line.receive, request.method, take)

    def _head(self, request: Request) -> bytes:
        """Request line and headers. Raises ``ValueError`` for one that would end before its end."""
        fields = [f"{name}: {value}" for name, value in {**request.headers, **self._also}.items()]
        if request.length or request.method in ("PUT", "POST"):
            fields.append(f"content-length: {request.length}")
        head = "\r\n".join([f"{request.method} {self._before}{request.target} HTTP/1.1", *fields, "", ""])
        if not head.count("\r") == head.count("\n") == len(fields) + 2:
            raise ValueError("a header with a line break")
        return head.encode("latin-1")


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


def _let_go(idle: deque[Line]) -> None:
    while idle:
        idle.pop().close()


def _send_body(line: Line, request: Request) -> None:
    """Raises ``EOFError`` where a file became shorter."""
    body = request.body
    if not isinstance(body, Stretch):
        line.send_blocks(body)
    elif line.sends_files:
        line.send_file(body.path, body.first, body.size)
    else:
        line.send_blocks(body.blocks())


def _early(line: Line, request: Request, error: OSError) -> Answer:
    """What the server said before it let go. Raises ``error`` where it said nothing."""
    try:
        return read_answer(line.receive, request.method)[0]
    except OSError:
        raise error from None


def _proxy(scheme: str, host: str) -> SplitResult | None:
    """The proxy that the environment names for a host, if it does; ``UserError`` for one that cannot be asked."""
    found = None if proxy_bypass(host) else getproxies().get(scheme)
    if not found:
        return None
    try:
        parts = urlsplit(found if "://" in found else f"http://{found}")
        is_address = bool(parts.hostname and (parts.port is None or parts.port))
    except ValueError:  # its text may hold a password
        is_address = False
    if not is_address:
        raise UserError(f"{scheme}_proxy: no address of a proxy", _PROXY)
    if parts.scheme != "http":
        raise UserError(f"{scheme}_proxy: a proxy by {parts.scheme}", _PROXY)
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
