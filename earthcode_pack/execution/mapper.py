"""Maps a function over items: on threads of this machine, or on Dask where the profile names a cluster."""

from __future__ import annotations

import os
import queue
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from earthcode_pack.errors import EarthcodePackError, OutsideError, SourceError
from earthcode_pack.execution.dask_cluster import connected
from earthcode_pack.execution.threads import cores
from earthcode_pack.execution.waiting import Wait, bounded, seconds_of, spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from earthcode_pack.execution.dask_cluster import Connection
    from earthcode_pack.profile.model import Compute

A = TypeVar("A")
R = TypeVar("R")


class Mapper(Protocol):
    """Function shaped like ``map`` that never raises for an item.

    Yields ``(index, result or exception)`` in the order of completion; a worker that dies is an exception of its item.
    """

    def __call__(self, function: Callable[[A], R], items: Sequence[A]) -> Iterator[tuple[int, R | Exception]]:
        """Applies ``function``, which workers must be able to import, to each of ``items``."""
        ...


def serial[A, R](function: Callable[[A], R], items: Sequence[A]) -> Iterator[tuple[int, R | Exception]]:
    """Maps one item after the other in this thread, for debugging."""
    for index, item in enumerate(items):
        try:
            result: R | Exception = function(item)
        except Exception as error:  # noqa: BLE001 - the contract of Mapper
            result = error
        yield index, result


@contextmanager
def mapper(compute: Compute) -> Iterator[Mapper]:
    """Opens the mapper that the profile names: Dask, or the threads of this machine.

    A cluster is started with the first item: a run that finds everything done asks a batch system for nothing.

    Args:
        compute: the section ``compute`` of the profile.

    Yields:
        The mapper, which is closed with the context.

    Raises:
        UserError: with the first item, where the cluster class cannot be used.
        OutsideError: with the first item, where Dask cannot be reached.

    """
    if compute.address is None and compute.cluster_class is None:
        yield threads
        return
    with ExitStack() as stack:
        yield DaskMapper(compute, stack)


def threads[A, R](function: Callable[[A], R], items: Sequence[A]) -> Iterator[tuple[int, R | Exception]]:
    """Maps with one thread for each core; GDAL gets the cores that fewer items than cores would leave idle.

    Two items for each worker are submitted at a time, so that a long list takes no memory before its turn.
    """
    workers = max(1, min(cores(), len(items)))
    todo, running = iter(enumerate(items)), dict[Future[R], int]()
    pool, interrupted = ThreadPoolExecutor(workers, "earthcode-pack"), False
    with _default_environment("GDAL_NUM_THREADS", str(max(1, cores() // workers))):
        try:
            while True:
                for index, item in islice(todo, 2 * workers - len(running)):
                    # each item sees the context of the caller, so that its log lines find their Prefect run
                    running[pool.submit(copy_context().run, function, item)] = index
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    index, outcome = running.pop(future), _thread_outcome(future)
                    yield index, outcome
        except KeyboardInterrupt:
            interrupted = True  # Ctrl-C does not wait for the files that are being converted
            raise
        finally:
            pool.shutdown(wait=not interrupted, cancel_futures=True)


def _thread_outcome[R](future: Future[R]) -> R | Exception:
    error = future.exception()
    if error is None:
        return future.result()
    return error if isinstance(error, Exception) else SourceError(f"{type(error).__name__}: {error}")


@contextmanager
def _default_environment(name: str, value: str) -> Iterator[None]:
    """Sets an environment variable inside the context, unless it is set already."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)


def reported[T](
    results: Iterator[tuple[int, T]], total: int, progress: Callable[[int, int], None]
) -> Iterator[tuple[int, T]]:
    """Yields results as they come, and calls ``progress`` with done and all after each."""
    for done, result in enumerate(results, start=1):
        yield result
        progress(done, total)


TICK_SECONDS = 0.5  # between two looks at the cluster while no result comes
SILENT_SECONDS = 30.0  # without a heartbeat, which comes every second or so, a worker is not counted on
SCALE_SECONDS = 20.0  # without workers before a cluster is asked for them again; Dask forgets lost ones after 15 s
_CANCEL_SECONDS = 10.0
_AHEAD = 64  # results that wait to be taken
_AGAIN = "run again: what is done stays done"


class DaskMapper:
    """Mapper on Dask: every item comes back, also when workers, nannies or the scheduler die, stop, or never come.

    The cluster is started with the first item. The run waits as long as a part is worked on. Once no worker that sends
    heartbeats works on any, and no result comes for ``compute.wait``, each item that is left is an ``OutsideError``.
    Dask gives the parts of a dead worker to others; a cluster that was started here and lost all workers is scaled
    again.
    """

    def __init__(self, compute: Compute, stack: ExitStack) -> None:
        self._limit = seconds_of(compute.wait)
        self._connect = lru_cache(maxsize=1)(lambda: connected(compute, stack))

    def __call__(self, function: Callable[[A], R], items: Sequence[A]) -> Iterator[tuple[int, R | Exception]]:
        """Yields each item's index and outcome, in the order of completion."""
        if not items:
            return
        connection = self._connect()
        left = set(range(len(items)))
        with _Calls(connection, function, items, self._limit) as calls:
            while left:
                index, outcome = calls.next()
                if index is None:
                    yield from ((index, outcome) for index in sorted(left))
                    return
                if index in left:  # once each
                    left.remove(index)
                    yield index, outcome


class _Calls:
    """One call on the cluster for each item. Two threads talk to Dask, so that a dead scheduler blocks only them."""

    def __init__(self, connection: Connection, function: Callable[[A], R], items: Sequence[A], limit: float) -> None:
        client = connection.client
        wait = Wait(f"the Dask scheduler at {connection.place} to take {len(items)} parts", limit, "compute.wait")
        submit = partial(client.map, function, items, pure=False)  # our fingerprints say what is done, not Dask's keys
        self._client, self._ended = client, threading.Event()
        self._results: queue.Queue[tuple[int | None, Any]] = queue.Queue(_AHEAD)
        self._health = _Health(connection, limit, self._ended)
        futures = bounded(submit, wait, _AGAIN)
        self._running = {future.key: future for future in futures}
        indexes = {future.key: index for index, future in enumerate(futures)}
        threading.Thread(target=self._collect, args=(indexes,), name="earthcode-pack-results", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Cancels what is not done, as far as the scheduler still answers."""
        self._ended.set()
        if running := list(self._running.values()):
            self._running.clear()
            cancel = partial(self._client.cancel, running, force=True)
            with suppress(Exception):  # where it is gone nothing is left to cancel
                bounded(cancel, Wait("the Dask scheduler to cancel what is left", _CANCEL_SECONDS), "")

    def next(self) -> tuple[int | None, Any]:
        """Waits for an index and its outcome; None and the error of all that are left where none is to come."""
        self._health.wait.restart()
        with spoken(self._health.wait):
            while True:
                try:
                    return self._results.get(timeout=TICK_SECONDS)
                except queue.Empty:
                    if (error := self._health.look()) is not None:
                        return None, error

    def _collect(self, indexes: dict[str, int]) -> None:
        """Takes results as they come, so that each leaves the memory of the workers at once."""
        import distributed  # noqa: PLC0415

        as_completed: Any = distributed.as_completed
        error = OutsideError("the Dask client ended before its work", _AGAIN)
        try:
            for future in as_completed(list(self._running.values()), loop=self._client.loop):
                outcome = _dask_outcome(future)
                self._running.pop(future.key, None)
                self._put((indexes[future.key], outcome))
        except Exception as raised:  # noqa: BLE001 - of a client that is closing
            error = _lost(raised)
        self._put((None, error))

    def _put(self, result: tuple[int | None, Any]) -> None:
        while not self._ended.is_set():
            with suppress(queue.Full):
                self._results.put(result, timeout=TICK_SECONDS)
                return


class _Health:
    """Health of the cluster, polled by a thread of its own, since a stopped scheduler never answers.

    ``wait`` names what is missing while nothing is worked on.
    """

    def __init__(self, connection: Connection, limit: float, ended: threading.Event) -> None:
        self._connection, self._ended = connection, ended
        self.wait = Wait(f"the Dask scheduler at {connection.place}", limit, "compute.wait")
        self._remedy = ""
        self._workers: dict[str, dict[str, Any]] = {}
        self._heard: dict[str, tuple[float, float]] = {}  # heartbeat by the scheduler's clock, and when it was new here
        self._answered = self._scaled = time.monotonic()
        self._had_workers = False
        threading.Thread(target=self._ask, name="earthcode-pack-cluster", daemon=True).start()

    def _ask(self) -> None:
        client = self._connection.client
        while not self._ended.is_set():
            try:
                workers = client.scheduler_info(n_workers=-1)["workers"]
            except Exception:  # noqa: BLE001 - it is gone, which shows in that nothing is heard
                workers = {}
            now = time.monotonic()
            for address, worker in workers.items():
                if self._heard.get(address, (None,))[0] != worker["last_seen"]:
                    self._heard[address] = worker["last_seen"], now
            self._workers, self._answered = workers, now
            self._had_workers = self._had_workers or bool(workers)
            self._ended.wait(max(TICK_SECONDS, len(workers) / 100))

    def look(self) -> OutsideError | None:
        """Returns the error that ends the run once nothing was worked on for ``compute.wait``, else None."""
        if self._is_working():
            self.wait.restart()
            return None
        if self.wait.is_over:
            return self.wait.over(self._remedy)
        now = time.monotonic()
        if not self._workers and min(self.wait.seconds, now - self._scaled) >= SCALE_SECONDS:
            self._scaled = now
            self._connection.scale_again()
        return None

    def _is_working(self) -> bool:
        """Tells if a worker with recent heartbeats executes a part; otherwise names what is waited for."""
        now, place, workers = time.monotonic(), self._connection.place, self._workers
        heard = {
            address: worker for address, worker in workers.items() if now - self._heard[address][1] < SILENT_SECONDS
        }
        if now - self._answered >= SILENT_SECONDS:
            self._name(f"the Dask scheduler at {place} to answer", "see whether it still runs, restart it")
        elif any(worker["metrics"].get("task_counts", {}).get("executing") for worker in heard.values()):
            return True
        elif not workers:
            what = "another worker, for the last one is gone," if self._had_workers else "a first worker"
            self._name(f"{what} to join the Dask scheduler at {place}", "see the logs of its workers, start some")
        elif len(heard) < len(workers):
            lost = sorted(workers.keys() - heard.keys())
            more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
            self._name(f"a sign of the Dask worker {lost[0]}{more}", "see whether it still runs, restart it")
        else:
            paused = [address for address, worker in heard.items() if worker["status"] == "paused"]
            why = f", of which {len(paused)} paused for want of memory," if paused else ""
            self._name(
                f"one of {len(workers)} Dask workers{why} to begin a part", "give them more memory, or see their logs"
            )
        return False

    def _name(self, what: str, remedy: str) -> None:
        self.wait.what, self._remedy = what, f"{remedy}, and {_AGAIN}"


def _dask_outcome(future: Any) -> Any:
    """Returns the result of a Dask future, or its failure as an error of this package."""
    from distributed import CancelledError, KilledWorker  # noqa: PLC0415

    try:
        return future.result()
    except EarthcodePackError as error:
        return error
    except KilledWorker as error:
        return SourceError(
            f"the Dask workers that took it died, the last one {error.last_worker.address}",
            "most often memory: fewer workers with more memory each, or smaller chunks, in compute and target",
        )
    except (CancelledError, OSError) as error:
        return _lost(error) if future.status in ("cancelled", "lost") else error
    except Exception as error:  # noqa: BLE001 - the contract of Mapper
        return error


def _lost(error: BaseException) -> OutsideError:
    return OutsideError(f"the Dask scheduler was lost ({type(error).__name__}: {error})", _AGAIN)
