"""What goes over a connection: answers however they are cut, in time, and acknowledged at once."""

from __future__ import annotations

import signal
import socket
import threading
import time
from itertools import chain, pairwise, repeat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from clockless import LONG, until
from hypothesis import given
from hypothesis import strategies as st

from earthcode_pack.storage.answers import Answer, read_answer
from earthcode_pack.storage.cancellation import Stopped
from earthcode_pack.storage.cancellation import until as stopping_until
from earthcode_pack.storage.line import Line
from earthcode_pack.storage.wire import Request, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nX: 1\r\nx:2 \r\n\r\n"
    b"5;a=b\r\nab\r\nc\r\n1F\r\n-------------------------------\r\n0\r\nT: 1\r\n\r\n"
)


def pieces(*blocks: bytes) -> Callable[[], bytes]:
    """What a connection gives: these, then its end."""
    waiting = iter(blocks)
    return lambda: next(waiting, b"")


# --- answers ----------------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(1, len(CHUNKED) - 1)))
def test_an_answer_is_the_same_however_it_is_cut(cuts: set[int]) -> None:
    ends = [0, *sorted(cuts), len(CHUNKED)]
    told, is_kept = read_answer(pieces(*(CHUNKED[a:b] for a, b in pairwise(ends))), "GET")
    headers = {"transfer-encoding": "Chunked", "x": "1, 2"}
    assert told == Answer(200, headers, b"ab\r\nc" + b"-" * 31)
    assert is_kept


@pytest.mark.parametrize(
    ("said", "method", "body", "is_kept"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "GET", b"abc", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", b"", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "DELETE", b"", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200", "GET", b"abc", False),  # nobody asked
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: Close\r\n\r\nabc", "GET", b"abc", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "GET", b"abc", False),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", "GET", b"to the end", False),
    ],
)
def test_whether_another_answer_may_follow(said: bytes, method: str, body: bytes, is_kept: bool) -> None:
    told, kept = read_answer(pieces(said), method)
    assert (told.body, kept) == (body, is_kept)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    ],
)
def test_what_is_no_answer(said: bytes) -> None:
    with pytest.raises(ConnectionError):
        read_answer(pieces(said), "GET")


@pytest.mark.parametrize(
    "said",
    [
        repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
        repeat(b"HTTP/1.1 102 Processing\r\nX: 1\r\n\r\n"),
        chain([b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc"], iter(pytest.fail, None)),
        chain([b"HTTP/1.1 200 OK\r\nContent-Length: 3\n"], iter(pytest.fail, None)),
        chain([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n"], iter(pytest.fail, None)),
        repeat(b"X: 1\r\n"),
    ],
)
def test_what_never_becomes_an_answer_is_left_at_once(said: Iterator[bytes]) -> None:
    """Interim answers without an end, and lines that end with LF alone, for whose CR nobody waits."""
    with pytest.raises(ConnectionError):
        read_answer(lambda: next(said), "GET")


def test_only_the_body_of_success_is_taken() -> None:
    taken: list[bytes] = []
    told, _ = read_answer(pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na", b"bc"), "GET", taken.append)
    assert (b"".join(taken), told.body) == (b"abc", b"")
    told, _ = read_answer(pieces(b"HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nabc"), "GET", pytest.fail)
    assert told.body == b"abc"


@pytest.mark.parametrize("value", ["a\nb: c", "a\r\nb: c"])
def test_a_header_cannot_become_two(value: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = Wire(f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(ValueError, match="line break"):
            wire.send(Request("PUT", "/b/k", {"host": "x", "content-type": value}))


def test_a_server_that_lets_go_after_each_answer_without_a_word() -> None:
    """Nobody runs into a connection that has not been seen to be kept."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(5):
                client, _ = server.accept()
                with client:
                    client.recv(65536)
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        wire = Wire(f"http://127.0.0.1:{server.getsockname()[1]}")
        for _ in range(5):
            assert wire.send(Request("GET", "/b/k", {"host": "x"})).status == 200
            until(lambda: not wire._idle or wire._idle[-1].is_dropped(), "a connection that the server let go of")
        thread.join(LONG)


# --- connections ------------------------------------------------------------------------------------------------------


class Recording(socket.socket):
    """A real socket that notes its options."""

    def __init__(self, other: socket.socket) -> None:
        super().__init__(fileno=other.detach())
        self.noted: list[int] = []

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        self.noted.append(option)
        super().setsockopt(level, option, *value)


@pytest.fixture
def pair() -> Iterator[tuple[Recording, socket.socket]]:
    """Both ends of a connection over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = Recording(socket.create_connection(server.getsockname()))
        theirs, _ = server.accept()
    with ours, theirs:
        yield ours, theirs


def line(sock: socket.socket, seconds: float, stall: float = LONG) -> Line:
    made = Line(SimpleNamespace(sock=sock, close=sock.close))  # type: ignore[arg-type]
    made.begin(time.monotonic() + seconds, stall)
    return made


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="of Linux")
def test_the_beginning_of_an_answer_is_acknowledged_at_once(pair: tuple[Recording, socket.socket]) -> None:
    """Ceph RGW sends headers by themselves, and the rest when they are acknowledged: 40 ms later, if nobody hurries."""
    ours, theirs = pair
    made = line(ours, LONG)
    for _ in range(2):  # for each request anew
        made.begin(time.monotonic() + LONG, LONG)
        ours.noted.clear()
        theirs.sendall(b"head")
        assert made.receive() == b"head"
        assert socket.TCP_QUICKACK not in ours.noted
        theirs.sendall(b"body")
        assert made.receive() == b"body"
        assert socket.TCP_QUICKACK in ours.noted


@pytest.mark.parametrize(("seconds", "stall"), [(0.3, LONG), (LONG, 0.3)])
@pytest.mark.parametrize("how", ["file", "bytes", "nothing"])
def test_who_stands_still_is_given_up(
    pair: tuple[Recording, socket.socket], tmp_path: Path, how: str, seconds: float, stall: float
) -> None:
    """Who never reads, or never says anything, until the deadline or for as long as nothing may move."""
    path, size = tmp_path / "large", 200 * 2**20
    with path.open("wb") as file:
        file.truncate(size)
    made = line(pair[0], seconds, stall)
    with pytest.raises(TimeoutError, match="timed out"):
        {
            "file": lambda: made.send_file(path, 0, size),
            "bytes": lambda: made.send(bytes(size)),
            "nothing": made.receive,
        }[how]()
    assert how == "nothing" or pair[1].recv(2**20)


def test_signals_do_not_lengthen_a_wait(pair: tuple[Recording, socket.socket], tmp_path: Path) -> None:
    """As a profiler or a timer sends them: a timeout that the kernel keeps would begin anew with each."""
    path, size = tmp_path / "large", 200 * 2**20
    with path.open("wb") as file:
        file.truncate(size)
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        with pytest.raises(TimeoutError, match="timed out"):
            line(pair[0], LONG, 0.5).send_file(path, 0, size)
        with pytest.raises(TimeoutError, match="timed out"):
            line(pair[0], LONG, 0.5).receive()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_who_moves_a_little_is_waited_for_until_the_deadline(pair: tuple[Recording, socket.socket]) -> None:
    made = line(pair[0], LONG, LONG)
    threading.Timer(1.2, pair[1].sendall, [b"late"]).start()  # longer than one slice of time
    assert made.receive() == b"late"


def test_who_waits_for_a_server_is_left_once_nobody_waits(pair: tuple[Recording, socket.socket]) -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with stopping_until(stop), pytest.raises(Stopped):
        line(pair[0], LONG, LONG).receive()


def test_who_never_reads_is_given_up_where_the_time_is_over(pair: tuple[Recording, socket.socket]) -> None:
    with pytest.raises(TimeoutError, match="timed out"):
        line(pair[0], -1).send(b"x")
    pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        pair[1].recv(1)


def test_a_file_that_became_shorter(pair: tuple[Recording, socket.socket], tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"abc")
    with pytest.raises(EOFError, match="short"):
        line(pair[0], LONG).send_file(tmp_path / "short", 0, 4)
    assert pair[1].recv(10) == b"abc"
