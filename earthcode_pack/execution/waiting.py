"""Waits with a bound, which log what they wait for.

A wait is logged after 5 s and then every 30 s, to the logger ``earthcode_pack.waiting`` (standard error of
the command line, the run's log in Prefect). A wait has a bound, from ``compute.wait`` or ``store.wait`` of the profile.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
import time
from collections import deque
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar

from earthcode_pack.errors import OutsideError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger("earthcode_pack.waiting")

FIRST_SECONDS, AGAIN_SECONDS = 5.0, 30.0  # of waiting before the first log line, and between two
DEFAULT_SECONDS = 600.0  # of compute.wait and store.wait
LEFT_BEHIND = threading.Event()  # a call was left at its bound: the process must not wait for it when it ends

_TICK = 0.25  # s between two looks at all waits
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)?")
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def seconds_of(duration: str | float) -> float:
    """Parses a duration into seconds; a bare number is a number of seconds.

    Raises ``ValueError`` for what is no duration above 0.

    >>> seconds_of("10min"), seconds_of("1.5 h"), seconds_of(90)
    (600.0, 5400.0, 90.0)
    """
    match = _DURATION.fullmatch(str(duration).strip())
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{duration!r} is no duration such as 90 s, 10min, 2h or 1d")
    return float(match[1]) * _UNITS[match[2] or "s"]


def in_words(seconds: float) -> str:
    """Formats a duration in seconds for people.

    >>> in_words(35.2), in_words(600), in_words(5400), in_words(90000)
    ('35 s', '10 min', '1 h 30 min', '1 d 1 h')
    """
    left, parts = int(seconds), []
    for name, size in reversed(_UNITS.items()):
        count, left = divmod(left, size)
        parts += [f"{count} {name}"] if count else []
    return " ".join(parts[:2]) or f"{seconds:g} s"


class Wait:
    """One wait: what for, the bound in seconds, and the profile setting of the bound.

    ``limit`` is None where the function that is called has a bound of its own.
    """

    def __init__(self, what: str, limit: float | None = None, setting: str = "") -> None:
        self.what, self.limit, self.setting = what, limit, setting
        self.detail = ""
        self._since = time.monotonic()
        self._context = copy_context()  # of the caller, so that log lines find their Prefect run

    @property
    def seconds(self) -> float:
        """Seconds since the last progress."""
        return time.monotonic() - self._since

    @property
    def is_over(self) -> bool:
        """True once the bound is reached."""
        return self.limit is not None and self.seconds >= self.limit

    def moved(self) -> None:
        """Notes progress: the time counts from now, except during retries, which count from the first failure."""
        if not self.detail:
            self._since = time.monotonic()

    def tell(self, detail: str) -> None:
        """Notes a detail for log lines, such as the number of the attempt and the last failure."""
        self.detail = detail

    def restart(self) -> None:
        """Starts the wait again from zero."""
        self.detail = ""
        self._since = time.monotonic()

    def say(self) -> None:
        """Logs the wait."""
        bound = f", at most {in_words(self.limit)}" if self.limit is not None else ""
        setting = f" ({self.setting})" if self.setting else ""
        detail = f"; {self.detail}" if self.detail else ""
        text = f"waiting for {self.what}: {in_words(self.seconds)} so far{bound}{setting}{detail}"
        self._context.copy().run(logger.info, "%s", text)

    def over(self, remedy: str, message: str = "") -> OutsideError:
        """Makes the error that ends the wait: ``message``, or else what was waited for, and the remedy."""
        detail = f" ({self.detail})" if self.detail else ""
        more = f", or raise {self.setting}" if self.setting else ""
        waited = in_words(self.limit if self.limit is not None else self.seconds)
        told = f"{message} for {waited}" if message else f"waited {waited} for {self.what}"
        return OutsideError(f"{told}{detail}", remedy + more)


class _Speaker:
    """Thread that logs all waits of this process: one line for all that wait for the same."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waits: set[Wait] = set()
        self._said: dict[str, float] = {}
        self._thread: threading.Thread | None = None

    def add(self, wait: Wait) -> None:
        with self._changed:
            self._waits.add(wait)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="earthcode-pack-waits", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, wait: Wait) -> None:
        with self._changed:
            self._waits.discard(wait)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waits:
                    self._changed.wait()
                due = self._due(time.monotonic())
            for wait in due:
                wait.say()
            time.sleep(min(_TICK, FIRST_SECONDS))

    def _due(self, now: float) -> list[Wait]:
        """Picks, for each thing that is waited for, the wait to log: a failing one, else the most recent."""
        waiting: dict[str, list[Wait]] = {}
        for wait in self._waits:
            waiting.setdefault(wait.what, []).append(wait)
        due, age = [], attrgetter("seconds")
        for what, waits in waiting.items():
            failing = [wait for wait in waits if wait.detail]
            wait = max(failing, key=age) if failing else min(waits, key=age)
            if wait.seconds >= FIRST_SECONDS and now - self._said.get(what, -AGAIN_SECONDS) >= AGAIN_SECONDS:
                self._said[what] = now
                due.append(wait)
        self._said = {what: said for what, said in self._said.items() if now - said < AGAIN_SECONDS}
        return due


_speaker = _Speaker()
_CURRENT: ContextVar[Wait | None] = ContextVar("_CURRENT", default=None)


def _after_fork() -> None:
    global _speaker  # noqa: PLW0603 - its thread is not in a forked process, and its lock may be held for ever
    _speaker = _Speaker()
    _Helper.idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def spoken(wait: Wait) -> Iterator[Wait]:
    """Logs the wait inside the context."""
    token = _CURRENT.set(wait)
    _speaker.add(wait)
    try:
        yield wait
    finally:
        _speaker.remove(wait)
        _CURRENT.reset(token)


def waiting(what: str, limit: float | None = None, setting: str = "") -> AbstractContextManager[Wait]:
    """Starts a wait that is logged inside the context."""
    return spoken(Wait(what, limit, setting))


def moved() -> None:
    """Notes progress, such as bytes received, of the wait of the present context."""
    wait = _CURRENT.get()
    if wait is not None:
        wait.moved()


def is_over() -> bool:
    """True once the wait of the present context has reached its bound."""
    wait = _CURRENT.get()
    return wait is not None and wait.is_over


class _Helper:
    """A daemon thread that makes one call after another, so that a short call need not wait for a new thread."""

    idle: ClassVar[deque[_Helper]] = deque()

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="earthcode-pack-call", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.calls.get()()
            self.idle.append(self)


def started[T](work: Callable[[], T]) -> queue.SimpleQueue[tuple[T | None, BaseException | None]]:
    """Starts a call that cannot be interrupted in a daemon thread; its result, or its error, comes by the queue."""
    outcome: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            outcome.put((None, error))

    try:
        helper = _Helper.idle.pop()
    except IndexError:
        helper = _Helper()
    helper.calls.put(partial(copy_context().run, run))
    return outcome


def bounded[T](work: Callable[[], T], wait: Wait, remedy: str) -> T:
    """Calls a function that cannot be interrupted, in a thread that is abandoned at the bound of the wait.

    Args:
        work: the function.
        wait: the wait, with its bound.
        remedy: of the error at the bound.

    Returns:
        What ``work`` returns.

    Raises:
        OutsideError: at the bound; besides, whatever ``work`` raises.

    """
    outcome = started(work)
    with spoken(wait):
        try:
            result, error = outcome.get(timeout=wait.limit)
        except queue.Empty:
            LEFT_BEHIND.set()
            raise wait.over(remedy) from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]
