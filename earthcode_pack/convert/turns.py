"""Work that the pool does ahead while its results are taken one by one, in their order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import wait
from itertools import islice
from typing import TYPE_CHECKING

from earthcode_pack.execution.threads import cores, pool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future


def in_turn[A, R](work: Callable[[A], R], items: Iterable[A]) -> Generator[R]:
    """The results of ``work`` in the order of ``items``; a few are done ahead, so that few results are in memory.

    When it is closed (``contextlib.closing``), no piece of work is under way any more.
    """
    todo = iter(items)
    running: deque[Future[R]] = deque(pool().submit(work, item) for item in islice(todo, 2 * cores()))
    try:
        while running:
            result = running.popleft().result()
            running.extend(pool().submit(work, item) for item in islice(todo, 1))
            yield result
    finally:
        for future in running:
            future.cancel()
        wait(running)
