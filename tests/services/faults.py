"""What goes wrong between a client and S3, done on purpose: a proxy that passes requests on as they are.

Signatures stay valid, for host and bytes are not touched unless a fault says so. With certificates it speaks https to
the client, and http to the server.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from services.certificates import Certificates

Kind = Literal[
    "status",  # an error, once the request was read
    "early",  # an error at once; the body is not read
    "reset",  # the connection breaks in the middle of the body
    "truncate",  # the server gets half of the body, then both connections break
    "lost",  # the server does it, and its answer never comes
    "corrupt",  # a bit of the body changes on its way
    "slow",  # the body trickles
    "stall",  # never an answer
    "delay",  # an answer after a while
    "error in 200",  # success is said, and the document holds an error
]
_BLOCK = 65536


@dataclass
class Fault:
    """``match`` is searched in ``METHOD target``; ``times`` requests that fit meet it, after ``skip`` that do not."""

    match: str
    kind: Kind
    times: int = 1
    skip: int = 0
    status: int = 503
    code: str = "SlowDown"
    seconds: float = 0.5

    def meets(self, request: str) -> bool:
        """Whether this request does; counts."""
        if self.times <= 0 or not re.search(self.match, request):
            return False
        self.skip -= 1
        if self.skip >= 0:
            return False
        self.times -= 1
        return True


class Seen(NamedTuple):
    """A request, and what was done to it."""

    request: str
    kind: str


class _Over(Exception):
    """The connection is to end."""


class FaultProxy:
    """Listens on a free port of this machine; each connection has a thread."""

    def __init__(self, upstream: int, faults: Iterable[Fault] = (), tls: Certificates | None = None) -> None:
        self.faults, self.seen = list(faults), list[Seen]()
        self._upstream, self._lock = upstream, threading.Lock()
        self._over = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._tls = _showing(tls) if tls else None
        self.url = f"{'https' if tls else 'http'}://localhost:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Nobody is served any more; those that wait are let go."""
        self._over.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def done(self, kind: Kind) -> int:
        """How many requests met a fault of this kind."""
        with self._lock:
            return sum(seen.kind == kind for seen in self.seen)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, _Over):
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with socket.create_connection(("127.0.0.1", self._upstream)) as server:
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                exchange = _Exchange(client, server, self._over)
                while True:
                    exchange.one(self._fault_of)
        client.close()

    def _fault_of(self, request: str) -> Fault | None:
        with self._lock:
            fault = next((fault for fault in self.faults if fault.meets(request)), None)
            self.seen.append(Seen(request, fault.kind if fault else ""))
            return fault


class _Exchange:
    """Requests and answers of one client."""

    def __init__(self, client: socket.socket, server: socket.socket, over: threading.Event) -> None:
        self._client, self._server, self._over = client, server, over
        self._from_client, self._from_server = _Stream(client), _Stream(server)

    def one(self, fault_of: Callable[[str], Fault | None]) -> None:
        """A request and its answer. Raises ``_Over`` where nothing more is to come."""
        head = self._from_client.head()
        line = head.partition(b"\r\n")[0].decode("latin-1")
        fault = fault_of(line.rpartition(" ")[0])
        if re.search(rb"\r\nexpect:\s*100-continue", head, re.IGNORECASE):
            self._client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if fault is None:
            self._pass_on(head)
        else:
            getattr(self, "_" + fault.kind.replace(" ", "_"))(fault, head)
        self._answer(line)

    def _pass_on(self, head: bytes, *, corrupt: bool = False, pace: float = 0) -> None:
        """``pace`` is in seconds for each byte: blocks are as long as they come, over TLS a fourth."""
        self._server.sendall(head + b"\r\n\r\n")
        for block in self._from_client.blocks(_length(head)):
            sent = bytes([block[0] ^ 1]) + block[1:] if corrupt else block
            corrupt = False
            time.sleep(pace * len(block))
            self._server.sendall(sent)

    def _answer(self, line: str) -> None:
        """Passes the server's answer on; its end ends the connection."""
        head = self._from_server.head()
        while head.startswith(b"HTTP/1.1 100"):
            head = self._from_server.head()
        self._client.sendall(head + b"\r\n\r\n")
        if line.startswith("HEAD") or re.match(rb"HTTP/1.1 (204|304)", head):
            return
        if re.search(rb"\r\ntransfer-encoding:\s*chunked", head, re.IGNORECASE):
            self._pass_chunks()
        for block in self._from_server.blocks(_length(head)):
            self._client.sendall(block)

    def _pass_chunks(self) -> None:
        size = 1
        while size:
            line = self._from_server.until(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            self._client.sendall(line + b"\r\n" + b"".join(self._from_server.blocks(size + 2)))

    # --- faults -------------------------------------------------------------------------------------------------------

    def _status(self, fault: Fault, head: bytes) -> None:
        self._swallow(head)
        self._refuse(fault, fault.status)

    def _error_in_200(self, fault: Fault, head: bytes) -> None:
        self._swallow(head)
        self._refuse(fault, 200)

    def _early(self, fault: Fault, head: bytes) -> None:  # noqa: ARG002 - the body is not read
        self._say(fault, fault.status, "Connection: close\r\n")
        time.sleep(0.05)
        raise _Over

    def _refuse(self, fault: Fault, status: int) -> None:
        self._say(fault, status)
        raise _Over

    def _say(self, fault: Fault, status: int, headers: str = "Connection: close\r\n") -> None:
        body = f'<?xml version="1.0"?><Error><Code>{fault.code}</Code></Error>'
        head = f"HTTP/1.1 {status} Fault\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n{headers}"
        self._client.sendall(f"{head}\r\n{body}".encode())

    def _reset(self, fault: Fault, head: bytes) -> None:  # noqa: ARG002
        next(self._from_client.blocks(_length(head) // 2), b"")
        self._break()

    def _truncate(self, fault: Fault, head: bytes) -> None:  # noqa: ARG002
        self._server.sendall(head + b"\r\n\r\n")
        for block in self._from_client.blocks(_length(head) // 2):
            self._server.sendall(block)
        self._server.close()
        self._break()

    def _lost(self, fault: Fault, head: bytes) -> None:  # noqa: ARG002
        self._pass_on(head)
        self._from_server.head()
        self._break()

    def _corrupt(self, fault: Fault, head: bytes) -> None:  # noqa: ARG002
        self._pass_on(head, corrupt=True)

    def _slow(self, fault: Fault, head: bytes) -> None:
        self._pass_on(head, pace=fault.seconds / max(1, _length(head)))

    def _stall(self, fault: Fault, head: bytes) -> None:  # noqa: ARG002
        self._swallow(head)
        self._over.wait()
        raise _Over

    def _delay(self, fault: Fault, head: bytes) -> None:
        time.sleep(fault.seconds)
        self._pass_on(head)

    def _swallow(self, head: bytes) -> None:
        for _ in self._from_client.blocks(_length(head)):
            pass

    def _break(self) -> None:
        """TCP's reset instead of an orderly end."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._client.close()
        raise _Over


class _Stream:
    """What comes from one side, by heads and bodies."""

    def __init__(self, source: socket.socket) -> None:
        self._source, self._read = source, b""

    def head(self) -> bytes:
        return self.until(b"\r\n\r\n")

    def until(self, mark: bytes) -> bytes:
        while mark not in self._read:
            self._read += self._more()
        found, _, self._read = self._read.partition(mark)
        return found

    def blocks(self, size: int) -> Iterator[bytes]:
        while size > 0:
            block = self._read or self._more()
            block, self._read = block[:size], block[size:]
            size -= len(block)
            yield block

    def _more(self) -> bytes:
        data = self._source.recv(_BLOCK)
        if not data:
            raise _Over
        return data


def _length(head: bytes) -> int:
    found = re.search(rb"\r\ncontent-length:\s*(\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else 0


def _showing(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context
