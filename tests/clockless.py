"""What stands in for a clock: a machine that is as busy as can be changes nothing but how long a test takes."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = 200.0  # s for what must come: less than a test may take (pyproject.toml), so that it is said what did not


def until[T](condition: Callable[[], T], what: str) -> T:
    """What holds, once it holds. Fails where it does not come."""
    end = time.monotonic() + LONG
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {LONG:.0f} s, and there was not: {what}")
        time.sleep(0.01)
    return found


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called, of Python or C, to do it: the same number on every machine."""
    calls, before = 0, sys.getprofile()

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls
