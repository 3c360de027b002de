"""Where the work runs: threads of this machine, or Dask where the profile names a scheduler or a cluster."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakSet

from earthcode_pack.errors import EarthcodePackError, MissingExtra, OutsideError, SourceError, UserError
from earthcode_pack.parallel import allow, cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from earthcode_pack.profile.model import Compute

logger = logging.getLogger(__name__)

A = TypeVar("A")
R = TypeVar("R")

# One thread inside each library: the cores belong to the workers, one item each.
ONE_THREAD = {"GDAL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

CONNECT_SECONDS = 20
WORKERLESS_SECONDS = 120.0  # after which a cluster that had workers is given up; nannies restart them in seconds

# Packages of cluster managers, and the extra of this package that brings each.
_EXTRAS = {"dask_jobqueue": "slurm", "dask_kubernetes": "kubernetes", "dask_gateway": "gateway"}


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
        yield _Dask(compute, stack)


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


class OneThreadEach:
    """A Dask worker plugin: native libraries keep to the core that the worker was given."""

    name = "earthcode-pack-threads"
    idempotent = True

    def setup(self, worker: Any) -> None:
        """Runs on each worker, those that join later included; a person's own setting stays."""
        for key, value in ONE_THREAD.items():
            os.environ.setdefault(key, value)
        allow(worker.state.nthreads)


def _client(compute: Compute, stack: ExitStack) -> Any:
    """A Dask client, closed with the stack, its cluster too where it was started here."""
    import distributed  # noqa: PLC0415 - half a second that threads do not need

    target = compute.address or stack.enter_context(_cluster(compute))
    try:
        connect: Any = distributed.Client
        client = stack.enter_context(connect(target, timeout=CONNECT_SECONDS, set_as_default=False))
    except (OSError, ValueError) as error:
        raise OutsideError(
            f"compute.address: no Dask scheduler answers at {compute.address or target} ({error})",
            "start it, or correct compute.address; without compute the work runs on this machine",
        ) from error
    client.register_plugin(_plugin(), name=OneThreadEach.name)
    return client


def _plugin() -> Any:
    """The plugin as Dask wants it, which checks for its own base class."""
    from distributed import WorkerPlugin  # noqa: PLC0415

    return type("OneThreadEach", (OneThreadEach, WorkerPlugin), {})()


@contextmanager
def _cluster(compute: Compute) -> Iterator[Any]:
    kind = _cluster_class(str(compute.cluster_class))
    try:
        cluster = kind(**_kwargs(compute))
    except Exception as error:
        raise _not_started(compute, error) from error
    try:
        if compute.adapt_kwargs is not None:
            cluster.adapt(**compute.adapt_kwargs)
        yield cluster
    finally:
        cluster.close()


def _not_started(compute: Compute, error: BaseException) -> EarthcodePackError:
    """Wrong arguments are the profile's fault; anything else the cluster's. The first cause says which."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, TypeError | ValueError):
        return UserError(
            f"compute: {compute.cluster_class} refuses its arguments ({error})", "correct compute.cluster_kwargs"
        )
    return OutsideError(
        f"compute: {compute.cluster_class} did not start ({type(error).__name__}: {error})",
        "see the message of the cluster; without compute the work runs on this machine",
    )


def _kwargs(compute: Compute) -> dict[str, Any]:
    """As written; a LocalCluster's dashboard keeps to this machine, on a free port, unless told otherwise."""
    given: dict[str, Any] = {}
    if str(compute.cluster_class).endswith(".LocalCluster"):
        given = {"dashboard_address": "127.0.0.1:0"}
        given |= {} if compute.memory_limit is None else {"memory_limit": compute.memory_limit}
    return given | compute.cluster_kwargs


def _cluster_class(path: str) -> Any:
    """The class by its import path; a class that is no cluster is refused before anything of it runs."""
    module, _, name = path.rpartition(".")
    package = module.partition(".")[0]
    if package in _EXTRAS and find_spec(package) is None:
        raise MissingExtra(f"compute.cluster_class {path}", _EXTRAS[package])
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"compute.cluster_class: {path} cannot be imported ({error})",
            "correct the name, or install the package that holds it",
        ) from error
    if not isinstance(found, type) or not all(hasattr(found, verb) for verb in ("scale", "adapt", "close")):
        raise UserError(
            f"compute.cluster_class: {path} is no Dask cluster",
            "name a class that starts one, such as distributed.LocalCluster",
        )
    return found


class _Dask:
    """A mapper with a client that is there once there is work."""

    def __init__(self, compute: Compute, stack: ExitStack) -> None:
        self._connect = lru_cache(maxsize=1)(lambda: _client(compute, stack))

    def __call__(self, function: Callable[[A], R], items: Sequence[A]) -> Iterator[tuple[int, R | Exception]]:
        if not items:
            return
        import distributed  # noqa: PLC0415

        client = self._connect()
        if not client.scheduler_info(n_workers=-1)["workers"]:
            logger.warning("the Dask cluster has no worker yet; work begins when one joins")
        futures = client.map(function, items, pure=False)  # our fingerprints decide what is done, not Dask's keys
        indexes = {future.key: index for index, future in enumerate(futures)}
        as_completed: Any = distributed.as_completed
        waiting, running = as_completed(futures, loop=client.loop), WeakSet(futures)
        futures.clear()  # each result leaves the workers as soon as it was taken
        with _cancelling_without_workers(client, running) as are_lost:
            for future in waiting:
                yield indexes[future.key], _no_workers() if are_lost.is_set() else _dask_outcome(future)


@contextmanager
def _cancelling_without_workers(client: Any, running: WeakSet[Any]) -> Iterator[threading.Event]:
    """Cancels what runs once a cluster has had no worker for ``WORKERLESS_SECONDS``, and sets the event.

    Dask waits for a next worker for ever. One that has had none yet may stand in the queue of a batch system.
    """
    lost, ended = threading.Event(), threading.Event()

    def watch() -> None:
        last_seen: float | None = None
        while not ended.wait(min(WORKERLESS_SECONDS / 4, 5)):
            now = time.monotonic()
            if client.scheduler_info(n_workers=-1)["workers"] or (last_seen is None and _had_workers(client)):
                last_seen = now
            elif last_seen is not None and now - last_seen > WORKERLESS_SECONDS:
                lost.set()
                client.cancel(list(running))
                return

    watcher = threading.Thread(target=watch, name="earthcode-pack-workers", daemon=True)
    watcher.start()
    try:
        yield lost
    finally:
        ended.set()
        watcher.join()


def _had_workers(client: Any) -> bool:
    """Whether a worker ever joined: one that dies at once may be gone before anybody looks."""
    try:
        events = client.get_events("all")
    except (OSError, RuntimeError):  # the scheduler is gone, which the futures say
        return False
    return any(event.get("action") == "add-worker" for _, event in events if isinstance(event, dict))


def _no_workers() -> OutsideError:
    return OutsideError(
        f"the Dask cluster has had no worker for {WORKERLESS_SECONDS:g} s",
        "see the logs of its workers, start some, and run again: what is done stays done",
    )


def _dask_outcome(future: Any) -> Any:
    """The result, or what went wrong in words of this package."""
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
    return OutsideError(
        f"the Dask scheduler was lost ({type(error).__name__}: {error})", "run again: what is done stays done"
    )
