"""The threads of this process: one pool for whatever is done inside a part of a job, whoever does the part."""

from __future__ import annotations

import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


_ALLOWED: list[int] = []  # set by a Dask worker, whose threads are what its scheduler says


def cores() -> int:
    """The cores that this process may use, which in a container or a batch job are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def allow(threads: int) -> None:
    """Bounds the pool of this process. For workers, before they begin."""
    _ALLOWED[:] = [threads]
    pool.cache_clear()


@lru_cache(maxsize=1)
def pool() -> ThreadPoolExecutor:
    """The pool for pieces of work that release the GIL and wait for no other piece."""
    return ThreadPoolExecutor(_ALLOWED[0] if _ALLOWED else cores(), "earthcode-pack-pool")


def in_pool[A, R](work: Callable[[A], R], items: Iterable[A]) -> list[R]:
    """``work`` on each item in the pool, in their order. Raises what the first of them raises."""
    return list(pool().map(work, items))


def collect_seldom() -> None:
    """For a process that runs one command: it makes many values, few of them in cycles, and ends.

    Python's default looks for cycles after each 700 new objects: a tenth of an upload of 2,000.
    """
    gc.set_threshold(50_000, 20, 20)


def carried[A, R](work: Callable[[A], R]) -> Callable[[A], R]:
    """``work`` as it is in the present context, for other threads: they begin without."""
    context = copy_context()
    return lambda item: context.copy().run(work, item)


class Budget:
    """Bytes that parts have in hand at once in this process: big ones wait for each other, small ones do not."""

    def __init__(self, limit: int) -> None:
        self._limit, self._taken = limit, 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Waits until ``size`` bytes fit; one that is larger than the whole budget waits to be alone."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + size <= self._limit)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()
