"""An HTTP connection whose calls end in time; files are sent by sendfile(2) where nothing is encrypted.

Each call waits in short slices, between which it looks at the deadline, at how long nothing has moved, and whether
anybody still waits (``stopping``). The time is measured here, not by the kernel (SO_SNDTIMEO), which begins anew after
each signal.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import sys
import time
from typing import TYPE_CHECKING

from earthcode_pack.execution.waiting import is_over, moved
from earthcode_pack.storage.stopping import go_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from http.client import HTTPConnection
    from pathlib import Path

_BLOCK = 2**18  # bytes that are read at once
_STEP = 2**20  # bytes that are sent between two looks at the clock
_SLICE = 0.5  # s that a call waits between two looks
_QUICK = getattr(socket, "TCP_QUICKACK", None)  # Linux
_MORE = getattr(socket, "MSG_MORE", 0)  # the kernel waits for the body: one packet less


class Line:
    """A connection that one thread at a time uses.

    Its calls raise ``TimeoutError`` at the deadline of the request, or where nothing moves for too long, and
    ``Stopped`` where nobody waits any more; each at most half a second later.
    """

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection, self._socket = connection, connection.sock
        self._deadline = self._stall = 0.0
        self._has_received = False
        self._is_plain = sys.platform == "linux" and not isinstance(self._socket, ssl.SSLSocket)
        self._socket.settimeout(_SLICE)

    def close(self) -> None:
        """Lets go."""
        self._connection.close()

    def is_dropped(self) -> bool:
        """Whether the other side let go, or said what nobody asked for."""
        return _is_ready(self._socket, 0)

    def begin(self, deadline: float, stall: float) -> None:
        """A request, which ends by ``deadline`` (monotonic), or once nothing has moved for ``stall`` seconds."""
        self._deadline, self._stall, self._has_received = deadline, stall, False

    def send(self, data: bytes | memoryview, *, more: bool = False) -> None:
        """All of it; ``more`` follows at once."""
        left, flags = memoryview(data), _MORE if more and self._is_plain else 0
        while left:
            sent = self._patiently(lambda rest=left: self._socket.send(rest[:_STEP], flags))  # type: ignore[misc]
            left = left[sent:]

    def send_blocks(self, blocks: Iterable[bytes | memoryview]) -> None:
        """One after the other."""
        for block in blocks:
            self.send(block)

    def send_file(self, path: Path, first: int, size: int) -> None:
        """Bytes of a file, over a plain socket. Raises ``EOFError`` where it became shorter."""
        if sys.platform == "win32":
            raise NotImplementedError  # nothing is plain there
        end, file = first + size, os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # half the time of a file object
        try:
            while first < end:
                first += self._send_step(file, first, min(_STEP, end - first), path)
        finally:
            os.close(file)

    def _send_step(self, file: int, first: int, size: int, path: Path) -> int:
        if sys.platform == "win32":
            raise NotImplementedError  # nothing is plain there
        sent: int = self._patiently(lambda: self._sendfile(file, first, size))
        if sent == 0:
            raise EOFError(str(path))
        return sent

    def _sendfile(self, file: int, first: int, size: int) -> int:
        """Bytes that were sent; ``TimeoutError`` where there was no room for any for a moment."""
        if sys.platform == "win32":
            raise NotImplementedError  # nothing is plain there
        try:
            return int(os.sendfile(self._socket.fileno(), file, first, size))
        except BlockingIOError:
            _is_ready(self._socket, _SLICE, write=True)
            raise TimeoutError from None  # the caller looks at the clock, and tries again

    def receive(self) -> bytes:
        """What came, at least a byte; none where the other side let go."""
        if self._has_received:
            self._acknowledge()
        received = self._patiently(lambda: self._socket.recv(_BLOCK))
        self._has_received = True
        return received

    def _acknowledge(self) -> None:
        """Says that the beginning has come, at once.

        Ceph RGW sends the headers of an answer by themselves, and its kernel keeps the rest back until they are
        acknowledged (Nagle's algorithm), which ours does 40 ms later if it is not told to (tcp(7)).
        """
        if _QUICK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)

    @property
    def sends_files(self) -> bool:
        """Whether the kernel can: over TLS the bytes must be encrypted here."""
        return self._is_plain

    def _patiently[T](self, call: Callable[[], T]) -> T:
        """What a call gives, which raises ``TimeoutError`` after a slice of time in which nothing moved."""
        begun = time.monotonic()
        while True:
            go_on()
            now = time.monotonic()
            if now >= self._deadline or now - begun >= self._stall:
                raise TimeoutError("timed out")
            try:
                result = call()
            except TimeoutError as error:
                if error.errno is not None or is_over():  # the kernel gave the connection up, or who asks does
                    raise TimeoutError("timed out") from None
            else:
                moved()
                return result


def _is_ready(sock: socket.socket, seconds: float, *, write: bool = False) -> bool:
    """Whether a socket can be read from, or written to, within a time."""
    if sys.platform == "win32":
        return any(select.select([] if write else [sock], [sock] if write else [], [], seconds))
    poll = select.poll()
    poll.register(sock, select.POLLOUT if write else select.POLLIN)
    return bool(poll.poll(1000 * seconds))
