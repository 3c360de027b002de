"""Servers that never come to an end: what a client must leave by itself."""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from clockless import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def stall(_client: socket.socket, over: threading.Event) -> None:
    """Reads the request and says nothing."""
    over.wait(LONG)


def interim(client: socket.socket, over: threading.Event) -> None:
    """Says for ever that an answer is to come (RFC 9110, 15.2)."""
    while not over.wait(0.01):
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def bare_lf(client: socket.socket, over: threading.Event) -> None:
    """Ends its lines with LF alone."""
    client.sendall(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n")
    over.wait(LONG)


def trickle(client: socket.socket, over: threading.Event) -> None:
    """Sends a byte of its answer now and then."""
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while not over.wait(0.1):
        client.sendall(b" ")


def head_trickle(client: socket.socket, over: threading.Event) -> None:
    """Sends a byte of a header now and then."""
    client.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not over.wait(0.1):
        client.sendall(b"x")


def busy(client: socket.socket, _over: threading.Event) -> None:
    """Is overloaded for ever."""
    client.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n")


def listing(keys: Callable[[int], str]) -> Callable[[socket.socket, threading.Event], None]:
    """A listing of S3 whose pages always say that there are more."""
    pages = itertools.count()

    def answer(client: socket.socket, _over: threading.Event) -> None:
        number = next(pages)
        entry = f"<Contents><Key>{keys(number)}</Key><Size>1</Size><ETag>e</ETag></Contents>"
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{number}</NextContinuationToken>"
        body = f"<ListBucketResult>{more}{entry}</ListBucketResult>"
        client.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    return answer


def headless(client: socket.socket, _over: threading.Event) -> None:
    """Does not say how large an object is."""
    client.sendall(b"HTTP/1.1 200 OK\r\nETag: e\r\nTransfer-Encoding: chunked\r\n\r\n")


@contextmanager
def hostile(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """The URL of a server that gives each request this answer."""
    over = threading.Event()

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            while not over.is_set() and client.recv(2**16):
                answer(client, over)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
