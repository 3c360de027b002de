"""Where the work runs: threads of this machine, or Dask where the profile names a scheduler or a cluster."""

from __future__ import annotations

import os
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from earthcode_pack.errors import SourceError
from earthcode_pack.execution.dask_mapper import DaskMapper
from earthcode_pack.execution.threads import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from earthcode_pack.profile.model import Compute

A = TypeVar("A")
R = TypeVar("R")


class Mapper(Protocol):
    """Anything shaped like ``map`` that never raises for an item.

    Yields ``(index, result or exception)`` in the order of completion; a worker that dies is an exception of its item.
    """

    def __call__(self, function: Callable[[A], R], items: Sequence[A]) -> Iterator[tuple[int, R | Exception]]:
        """Applies ``function``, which workers must be able to import, to each of ``items``."""
        ...


def serial[A, R](function: Callable[[A], R], items: Sequence[A]) -> Iterator[tuple[int, R | Exception]]:
    """One after the other in this thread: for debugging."""
    for index, item in enumerate(items):
        try:
            result: R | Exception = function(item)
        except Exception as error:  # noqa: BLE001 - the contract of Mapper
            result = error
        yield index, result


@contextmanager
def mapper(compute: Compute) -> Iterator[Mapper]:
    """The mapper that ``compute`` names, open as long as the context.

    A cluster is started with the first item: a run that finds everything done asks a batch system for nothing. Then
    ``UserError`` is raised where its class cannot be used, ``OutsideError`` where Dask cannot be reached.
    """
    if compute.address is None and compute.cluster_class is None:
        yield threads
        return
    with ExitStack() as stack:
        yield DaskMapper(compute, stack)


def threads[A, R](function: Callable[[A], R], items: Sequence[A]) -> Iterator[tuple[int, R | Exception]]:
    """A thread for each core; GDAL gets the cores that fewer items than cores would leave idle."""
    workers = max(1, min(cores(), len(items)))
    with _environment({"GDAL_NUM_THREADS": str(max(1, cores() // workers))}):
        yield from _in_threads(ThreadPoolExecutor(workers, "earthcode-pack"), workers, function, items)


def _in_threads[A, R](
    pool: ThreadPoolExecutor, workers: int, function: Callable[[A], R], items: Sequence[A]
) -> Iterator[tuple[int, R | Exception]]:
    """As many in flight as workers and one more each, so that a long list takes no memory ahead of its turn."""
    todo, running = iter(enumerate(items)), dict[Future[R], int]()
    interrupted = False
    try:
        while True:
            for index, item in islice(todo, 2 * workers - len(running)):
                # each item sees the context of the caller, so that its log lines find their Prefect run
                running[pool.submit(copy_context().run, function, item)] = index
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                index, outcome = running.pop(future), _outcome(future)
                yield index, outcome
    except KeyboardInterrupt:
        interrupted = True  # whoever pressed Ctrl-C is not made to wait for the files under way
        raise
    finally:
        pool.shutdown(wait=not interrupted, cancel_futures=True)


def _outcome[R](future: Future[R]) -> R | Exception:
    error = future.exception()
    if error is None:
        return future.result()
    return error if isinstance(error, Exception) else SourceError(f"{type(error).__name__}: {error}")


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Variables for a while, except those that a person has set."""
    ours = {key: value for key, value in variables.items() if key not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key in ours:
            os.environ.pop(key, None)


def reported[T](
    results: Iterator[tuple[int, T]], total: int, progress: Callable[[int, int], None]
) -> Iterator[tuple[int, T]]:
    """Yields results as they come, and calls ``progress`` with done and all after each."""
    for done, result in enumerate(results, start=1):
        yield result
        progress(done, total)
