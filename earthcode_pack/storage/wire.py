"""HTTP to one server, by urllib3: requests as they were signed, connections that are kept, and given up in time.

What is this module's own: the deadline of a whole request, the proxy of the environment, and failures as ``OSError``.
Whether and when something is tried again is decided above it (retry).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import PoolManager, ProxyManager, Timeout, make_headers
from urllib3.exceptions import HTTPError, ProxySchemeUnknown
from urllib3.exceptions import TimeoutError as OutOfTime

from earthcode_pack.errors import UserError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

    from urllib3 import BaseHTTPResponse

Buffer = bytes | memoryview
T = TypeVar("T")

_BLOCK = 2**18  # bytes of an answer that are read at once
_CONNECTIONS = 32  # that are kept
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
        self._timeouts = timeouts or Timeouts()
        context = _trusting(ca) if parts.scheme == "https" else None
        manager = _manager(parts.scheme, self.host, maxsize=_CONNECTIONS, ssl_context=context)
        self._pool = manager.connection_from_host(self.host, parts.port, parts.scheme)
        self._pool.ConnectionCls = _connecting_within(self._timeouts.connect, self._pool.ConnectionCls)
        is_forwarded = isinstance(manager, ProxyManager) and context is None
        self._before = f"http://{self.authority}" if is_forwarded else ""

    def __repr__(self) -> str:
        return f"Wire({self.authority})"

    def send(self, request: Request, take: Callable[[bytes], object] | None = None, expected: int = 0) -> Answer:
        """The answer, whatever its status. ``take`` gets the body of one that succeeds, of about ``expected`` bytes.

        Raises ``OSError`` where no answer comes in time, or the server lets go.
        """
        seconds = self._timeouts.of(max(request.length, expected))
        deadline = time.monotonic() + seconds
        try:
            answer = self._answer(request, seconds, deadline)
            return _read(answer, take, deadline)
        except (HTTPError, HTTPException) as error:
            raise _plain(error) from None

    def close(self) -> None:
        """Lets go of all connections; nothing can be sent any more."""
        self._pool.close()

    def _answer(self, request: Request, seconds: float, deadline: float) -> BaseHTTPResponse:
        """An answer that waits to be read; also one that the server gave before it had heard all, and let go."""
        has_length = request.length or request.method in ("PUT", "POST")
        return self._pool.urlopen(
            request.method,
            self._before + request.target,
            body=_until(deadline, request.blocks) if request.length else None,  # type: ignore[arg-type]  # any buffer
            headers={**request.headers, "content-length": str(request.length)} if has_length else request.headers,
            timeout=Timeout(total=seconds),
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )


def _until(deadline: float, blocks: Iterable[T]) -> Iterator[T]:
    for block in blocks:
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
        yield block


def _read(answer: BaseHTTPResponse, take: Callable[[bytes], object] | None, deadline: float) -> Answer:
    """An answer to its end: urllib3 keeps the connection then; else it is closed."""
    parts: list[bytes] = []
    wanted = take if take is not None and answer.status in _GOOD else parts.append
    try:
        for block in _until(deadline, iter(lambda: answer.read1(_BLOCK), b"")):
            wanted(block)
    except BaseException:
        answer.close()
        raise
    finally:
        answer.release_conn()
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(answer.status, headers, b"".join(parts))


def _plain(error: Exception) -> OSError:
    """What the operating system or TLS said, out of what urllib3 wraps it in; never what the server wrote."""
    if isinstance(error, OSError):
        return error
    causes = [cause for cause in (*error.args, error.__cause__) if isinstance(cause, Exception)]
    if causes:
        return _plain(causes[0])
    is_late = isinstance(error, OutOfTime)
    return TimeoutError("timed out") if is_late else ConnectionError("the server does not speak HTTP/1.1, or let go")


def _connecting_within(seconds: float, kind: Any) -> Any:
    """Connections that are made in so much time; sending has that of the request, which for urllib3 is the same."""

    class Connection(kind):  # type: ignore[misc]  # a variable
        timeout: float

        def connect(self) -> None:
            whole, self.timeout = self.timeout, min(seconds, self.timeout)
            super().connect()
            self.timeout = whole
            self.sock.settimeout(whole)

    return Connection


def _manager(scheme: str, host: str, **pool: Any) -> PoolManager:
    """With the proxy that the environment names for a host, if it does, and what it wants to know of the user."""
    found = None if proxy_bypass(host) else getproxies().get(scheme)
    if not found:
        return PoolManager(**pool)
    url = found if "://" in found else f"http://{found}"
    parts = urlsplit(url)
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    try:
        return ProxyManager(url, proxy_headers=make_headers(proxy_basic_auth=user), **pool)
    except ProxySchemeUnknown:
        raise UserError(f"{scheme}_proxy: a proxy by {parts.scheme}", "name one as http://host:port") from None


def _trusting(ca: str | None) -> ssl.SSLContext:
    """Verifies certificates and names. OpenSSL takes a self-signed one that is trusted itself, as botocore does."""
    import ssl  # noqa: PLC0415 - only for https

    context = ssl.create_default_context(cafile=ca)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
