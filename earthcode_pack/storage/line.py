"""A connection whose calls wait in the kernel, no longer than a request may take; files are sent by sendfile(2).

On a plain socket of Linux the kernel keeps the time (SO_SNDTIMEO, SO_RCVTIMEO: socket(7)): Python's own timeouts ask
poll(2) before each call, and wake up for each part of a body that fits into the socket's buffer. TLS and other systems
keep Python's.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import struct
import sys
import time
from typing import TYPE_CHECKING

from earthcode_pack.storage.stopping import go_on

if TYPE_CHECKING:
    from collections.abc import Iterable
    from http.client import HTTPConnection
    from pathlib import Path

_BLOCK = 2**18  # bytes that are read at once
_STEP = 2**20  # bytes that the kernel sends between two looks at the clock
_NEARLY, _LONGEST = 1.05, 1.1  # times what is left: what is set, and what need not be set anew
_LEAST = 0.001  # s: no time at all would be for ever
_QUICK = getattr(socket, "TCP_QUICKACK", None)  # Linux
_MORE = getattr(socket, "MSG_MORE", 0)  # the kernel waits for the body: one packet less


class Line:
    """A connection that one thread at a time uses.

    Its calls raise ``TimeoutError`` at the deadline that was set last, or a tenth of the time later, and ``Stopped``
    where nobody waits any more.
    """

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection, self._socket = connection, connection.sock
        self._deadline, self._limits, self._has_received = 0.0, dict[int, float](), False
        self._is_plain = sys.platform == "linux" and not isinstance(self._socket, ssl.SSLSocket)
        if self._is_plain:
            self._socket.settimeout(None)

    def close(self) -> None:
        """Lets go."""
        self._connection.close()

    def is_dropped(self) -> bool:
        """Whether the other side let go, or said what nobody asked for."""
        if not self._is_plain:
            with selectors.DefaultSelector() as selector:
                selector.register(self._socket, selectors.EVENT_READ)
                return bool(selector.select(0))
        if sys.platform == "win32":
            raise NotImplementedError  # nothing is plain there
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def begin(self, deadline: float) -> None:
        """A request, which ends by then (monotonic)."""
        self._deadline, self._has_received = deadline, False

    def send(self, data: bytes | memoryview, *, more: bool = False) -> None:
        """All of it; ``more`` follows at once."""
        self._limit(socket.SO_SNDTIMEO)
        try:
            self._socket.sendall(data, _MORE if more and self._is_plain else 0)
        except BlockingIOError:
            raise _late() from None

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
        self._limit(socket.SO_SNDTIMEO)
        try:
            sent: int = os.sendfile(self._socket.fileno(), file, first, size)
        except BlockingIOError:
            raise _late() from None
        if sent == 0:
            raise EOFError(str(path))
        return sent

    def receive(self) -> bytes:
        """What came, at least a byte; none where the other side let go."""
        self._limit(socket.SO_RCVTIMEO)
        if self._has_received:
            self._acknowledge()
        try:
            received = self._socket.recv(_BLOCK)
        except BlockingIOError:
            raise _late() from None
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

    def _limit(self, option: int) -> None:
        """The next call ends by the deadline."""
        go_on()
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _late()
        if not self._is_plain:
            self._socket.settimeout(left)
        elif not left <= self._limits.get(option, 0) <= _LONGEST * left:  # it takes a while
            self._limits[option] = limit = _NEARLY * left + _LEAST
            seconds, part = divmod(limit, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(seconds), int(part * 1e6)))


def _late() -> TimeoutError:
    return TimeoutError("timed out")
