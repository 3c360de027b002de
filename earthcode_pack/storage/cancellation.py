"""Calls that need not end: whoever waits for them was interrupted, or another one failed.

What is under way looks here before each attempt, wait and mebibyte, so that it is left soon.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

LOOK = 0.25  # s between two looks at whether anybody waits

_STOPS: ContextVar[tuple[Event, ...]] = ContextVar("_STOPS", default=())


class Stopped(Exception):
    """What was under way is left; somebody else tells why."""


@contextmanager
def until(stop: Event) -> Iterator[None]:
    """In this context, and those made of it, calls are left once ``stop`` is set."""
    token = _STOPS.set((*_STOPS.get(), stop))
    try:
        yield
    finally:
        _STOPS.reset(token)


def go_on() -> None:
    """Raises ``Stopped`` where nobody waits any more."""
    if any(stop.is_set() for stop in _STOPS.get()):
        raise Stopped


def wait(seconds: float) -> None:
    """Sleeps; raises ``Stopped`` at most ``LOOK`` seconds after nobody waits any more."""
    stops, end = _STOPS.get(), time.monotonic() + seconds
    if not stops:
        time.sleep(seconds)
    while stops and (left := end - time.monotonic()) > 0:
        go_on()
        stops[-1].wait(min(left, LOOK))
    go_on()
