"""HTTP/1.1 to one server: connections that are kept, shared by threads, and given up in time.

A general client spends more on an object of 250 kB than hashing and sending it take (docs/performance.md). This one
knows what S3 needs of HTTP (RFC 9112) and no more; connecting, TLS and tunnels through a proxy are the standard
library's.
"""

from __future__ import annotations

import base64
import os
import select
import socket
import time
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from earthcode_pack.errors import UserError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

Buffer = bytes | memoryview

_BLOCK = 2**18  # bytes of an answer that are read at once
_HEAD = 2**16  # bytes of an answer's head, at most
_NO_BODY = (204, 304)
_CONTINUE = 100
_FIRST_OF_NONE = 200
_PARDON = 5.0  # s that a server which no longer listens has to say why


@dataclass(frozen=True)
class Timeouts:
    """Seconds. A request is given up after ``request``, or where it is longer its size at ``slowest`` bytes/s."""

    connect: float = 10
    request: float = 120
    slowest: float = 50_000

    def of(self, size: int) -> float:
        """Of a request that moves ``size`` bytes."""
        return max(self.request, size / self.slowest)


class Request(NamedTuple):
    """``target`` is path and query as they are sent; ``length`` the sum of the blocks."""

    method: str
    target: str
    headers: dict[str, str]
    blocks: Iterable[Buffer] = ()
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
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"{endpoint}: no endpoint of S3 storage", "write https://host in store.endpoint_url")
        self.host, self.authority = parts.hostname, parts.netloc.rpartition("@")[2]
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = _trusting(ca) if parts.scheme == "https" else None
        self._timeouts = timeouts or Timeouts()
        self._proxy = _proxy_of(parts.scheme, self.host)
        self._idle: deque[socket.socket] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def __repr__(self) -> str:
        return f"Wire({self.authority})"

    def send(self, request: Request, take: Callable[[bytes], object] | None = None, expected: int = 0) -> Answer:
        """The answer, whatever its status. ``take`` gets the body of one that succeeds, of about ``expected`` bytes.

        Raises ``OSError`` where no answer comes in time, or the server lets go.
        """
        deadline = time.monotonic() + self._timeouts.of(max(request.length, expected))
        connection = self._connection()
        try:
            reader = _Reader(connection, deadline)
            self._speak(connection, request, reader)
            answer, is_open = reader.answer(request.method, take)
        except BaseException:
            connection.close()
            raise
        if is_open:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Lets go of all connections that are not in use."""
        _close_all(self._idle)

    def _speak(self, connection: socket.socket, request: Request, reader: _Reader) -> None:
        """Sends a request; one that the server did not hear to the end may have its answer already."""
        head = self._head(request)
        try:
            for block in request.blocks:
                connection.settimeout(reader.left())
                head = _write(connection, head, block)
            if head:
                connection.settimeout(reader.left())
                connection.sendall(head)
        except (BrokenPipeError, ConnectionResetError):
            reader.hurry(_PARDON)
            if not reader.has_answer():
                raise

    def _head(self, request: Request) -> bytes:
        plain_proxy = self._proxy is not None and self._tls is None
        target = f"http://{self.authority}{request.target}" if plain_proxy else request.target
        has_length = request.length or request.method in ("PUT", "POST")
        lines = [
            f"{request.method} {target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in request.headers.items()),
        ]
        lines += [f"content-length: {request.length}"] if has_length else []
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _connection(self) -> socket.socket:
        """One that is idle and still open, else a new one."""
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if not _is_readable(connection):
                    return connection
                connection.close()  # what can be read of an idle one is its end
        return self._connect()

    def _connect(self) -> socket.socket:
        if self._proxy and self._tls:
            connection = self._tunnel(*self._proxy)
        else:
            place = self._proxy[:2] if self._proxy else (self.host, self._port)
            connection = socket.create_connection(place, self._timeouts.connect)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._tls.wrap_socket(connection, server_hostname=self.host) if self._tls else connection

    def _tunnel(self, host: str, port: int, headers: dict[str, str]) -> socket.socket:
        """A connection through a proxy (CONNECT)."""
        from http.client import HTTPConnection  # noqa: PLC0415 - seldom needed

        way = HTTPConnection(host, port, timeout=self._timeouts.connect)
        way.set_tunnel(self.host, self._port, headers)
        way.connect()
        connection: socket.socket = way.sock
        return connection


class _Reader:
    """Reads one answer from a connection, until a deadline (time.monotonic)."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection, self._deadline = connection, deadline
        self._read = b""

    def left(self) -> float:
        """Seconds that are left. Raises ``TimeoutError`` where none are."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def hurry(self, seconds: float) -> None:
        """Moves the deadline nearer."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    def has_answer(self) -> bool:
        """Whether the server said something before it let go."""
        with suppress(OSError):
            self._more()
        return bool(self._read)

    def answer(self, method: str, take: Callable[[bytes], object] | None) -> tuple[Answer, bool]:
        """The answer, and whether the connection can be used again."""
        status, headers = self._head()
        while status // 100 == _CONTINUE // 100:
            status, headers = self._head()
        parts: list[bytes] = []
        wanted = take if take is not None and status // 100 == _FIRST_OF_NONE // 100 else parts.append
        is_whole = method == "HEAD" or status in _NO_BODY or self._body(headers, wanted)
        is_open = is_whole and not self._read and headers.get("connection", "").lower() != "close"
        return Answer(status, headers, b"".join(parts)), is_open

    def _more(self) -> bytes:
        """Reads on; raises ``ConnectionResetError`` at the end."""
        self._connection.settimeout(self.left())
        data = self._connection.recv(_BLOCK)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self._read += data
        return data

    def _head(self) -> tuple[int, dict[str, str]]:
        first, *lines = self._until(b"\r\n\r\n", _HEAD).decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ConnectionError("the server does not speak HTTP/1.1")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if version == "HTTP/1.0":
            headers.setdefault("connection", "close")
        return int(rest[:3]), headers

    def _until(self, mark: bytes, most: int) -> bytes:
        while mark not in self._read:
            if len(self._read) > most:
                raise ConnectionError("the server does not speak HTTP/1.1")
            self._more()
        found, _, self._read = self._read.partition(mark)
        return found

    def _body(self, headers: dict[str, str], take: Callable[[bytes], object]) -> bool:
        """Gives the body to ``take``; False where only the end of the connection ended it."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self._until(b"\r\n", _HEAD).partition(b";")[0], 16):
                self._exactly(size, take)
                self._until(b"\r\n", _HEAD)
            while self._until(b"\r\n", _HEAD):
                pass  # trailers
            return True
        if "content-length" in headers:
            self._exactly(int(headers["content-length"]), take)
            return True
        with suppress(ConnectionResetError):
            while True:
                self._exactly(len(self._read) or len(self._more()), take)
        return False

    def _exactly(self, size: int, take: Callable[[bytes], object]) -> None:
        while size:
            data = self._read or self._more()
            data, self._read = data[:size], data[size:]
            size -= len(data)
            take(data)


def _write(connection: socket.socket, head: bytes, block: Buffer) -> bytes:
    """Sends a block, the head before it in the same packet where that can be. Nothing is left of the head then."""
    if head and type(connection) is socket.socket:  # TLS has no sendmsg
        sent = connection.sendmsg([head, block])
        connection.sendall(head[sent:])
        block = memoryview(block)[max(0, sent - len(head)) :]
    elif head:
        connection.sendall(head)
    if len(block):
        connection.sendall(block)
    return b""


def _close_all(connections: deque[socket.socket]) -> None:
    while connections:
        connections.pop().close()


def _is_readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _trusting(ca: str | None) -> ssl.SSLContext:
    """Verifies certificates and names. OpenSSL takes a self-signed one that is trusted itself, as botocore does."""
    import ssl  # noqa: PLC0415 - only for https

    context = ssl.create_default_context(cafile=ca)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _proxy_of(scheme: str, host: str) -> tuple[str, int, dict[str, str]] | None:
    """Host and port of the proxy that the environment names for a host, and what it wants to know of the user."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - seldom needed

    found = None if proxy_bypass(host) else getproxies().get(scheme)
    if not found:
        return None
    parts = urlsplit(found if "://" in found else f"http://{found}")
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    headers = {"Proxy-Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    return str(parts.hostname), parts.port or 80, headers
