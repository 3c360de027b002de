"""Threads of this process: one pool for the work inside the parts of jobs, and a budget of bytes in memory."""

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
    """Counts the cores that this process may use: in a container or a batch job fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def allow(threads: int) -> None:
    """Bounds the pool of this process; for Dask workers, before their first task."""
    _ALLOWED[:] = [threads]
    pool.cache_clear()


@lru_cache(maxsize=1)
def pool() -> ThreadPoolExecutor:
    """Returns the pool for pieces of work that release the GIL and wait for no other piece."""
    return ThreadPoolExecutor(_ALLOWED[0] if _ALLOWED else cores(), "earthcode-pack-pool")


def in_pool[A, R](work: Callable[[A], R], items: Iterable[A]) -> list[R]:
    """Runs ``work`` on each item in the pool; results are in order. Raises the exception of the first that fails."""
    return list(pool().map(work, items))


def collect_seldom() -> None:
    """Makes garbage collection rarer, for a process that runs one command and ends.

    Python's default looks for cycles after each 700 new objects: a tenth of the time of an upload of 2,000.
    """
    gc.set_threshold(50_000, 20, 20)


def carried[A, R](work: Callable[[A], R]) -> Callable[[A], R]:
    """Binds ``work`` to the present context variables, for other threads, which start with none."""
    context = copy_context()
    return lambda item: context.copy().run(work, item)


class Budget:
    """Limit of the bytes that parts hold in memory at once in this process."""

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
