"""Starts, connects to, scales and closes the Dask cluster that the profile names, each within a bound of time."""

from __future__ import annotations

import logging
import os
import platform
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.errors import EarthcodePackError, MissingExtra, OutsideError, UserError
from earthcode_pack.execution.threads import allow
from earthcode_pack.execution.waiting import Wait, bounded, seconds_of
from earthcode_pack.execution.waiting import logger as waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from contextvars import Context

    from earthcode_pack.profile.model import Compute

logger = logging.getLogger("earthcode_pack")

# One thread inside each library: the cores belong to the workers, one item each.
ONE_THREAD = {"GDAL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

CONNECT_SECONDS = 20.0
CLOSE_SECONDS = 20.0
_SILENT_SECONDS = 300.0  # Dask's own worker-ttl, after which a worker that sends no heartbeat is replaced
_WITHOUT = "without compute the work runs on this machine"

# Packages of cluster managers, and the extra of this package that brings each.
_EXTRAS = {"dask_jobqueue": "slurm", "dask_kubernetes": "kubernetes", "dask_gateway": "gateway"}


class OneThreadEach:
    """Dask worker plugin: native libraries use the one core that the worker has."""

    name = "earthcode-pack-threads"
    idempotent = True

    def setup(self, worker: Any) -> None:
        """Runs on each worker, those that join later included; settings of the user stay."""
        for key, value in ONE_THREAD.items():
            os.environ.setdefault(key, value)
        allow(worker.state.nthreads)


class TellWaits:
    """Dask worker plugin: the run logs what its workers in other processes wait for."""

    name = "earthcode-pack-waits"
    idempotent = True

    def __init__(self) -> None:
        self._home = _process()

    def setup(self, worker: Any) -> None:
        """Runs on each worker."""
        if _process() != self._home:
            waits.handlers = [handler for handler in waits.handlers if not isinstance(handler, _ToScheduler)]
            waits.addHandler(_ToScheduler(worker))
            waits.setLevel(logging.INFO)


class _ToScheduler(logging.Handler):
    """Sends log lines to the subscribers of the topic at the scheduler."""

    def __init__(self, worker: Any) -> None:
        super().__init__()
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        self._worker.log_event(TellWaits.name, {"text": record.getMessage(), "worker": self._worker.address})


def _process() -> tuple[str, int]:
    return platform.node(), os.getpid()


class Connection(NamedTuple):
    """A Dask client, the address of its scheduler, and the cluster where it was started here."""

    client: Any
    place: str
    cluster: Any = None
    size: int = 0  # workers that the cluster was asked for; 0 where it scales itself

    def scale_again(self) -> None:
        """Asks the cluster for its workers again: one whose nanny gave up is replaced."""
        if self.cluster is not None and self.size:
            self.cluster.scale(self.size)


def connected(compute: Compute, stack: ExitStack) -> Connection:
    """Connects to the profile's scheduler, or starts its cluster; both are closed with the stack.

    Raises:
        UserError: the cluster class cannot be used.
        OutsideError: the cluster does not start, or no scheduler answers, in time.

    """
    limit = seconds_of(compute.wait)
    cluster = None if compute.address else stack.enter_context(_cluster(compute, limit))
    place = compute.address or str(getattr(cluster, "scheduler_address", compute.cluster_class))
    wait = Wait(f"the Dask scheduler at {place} to answer", min(limit, 2 * CONNECT_SECONDS))
    client = bounded(partial(_client, compute.address or cluster, place), wait, _remedy(compute))
    stack.callback(_close, client.close, f"the Dask client of {place} to close")
    size = 0 if cluster is None or compute.adapt_kwargs is not None else len(getattr(cluster, "plan", ()))
    return Connection(client, place, cluster, size)


def _client(target: Any, place: str) -> Any:
    import distributed  # noqa: PLC0415 - half a second that threads do not need

    connect: Any = distributed.Client
    try:
        client = connect(target, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OutsideError(
            f"compute.address: no Dask scheduler answers at {place} ({error})",
            f"start it, or correct compute.address; {_WITHOUT}",
        ) from error
    for plugin in (OneThreadEach, TellWaits):
        client.register_plugin(_made(plugin), name=plugin.name)
    client.subscribe_topic(TellWaits.name, partial(_tell, copy_context()))
    return client


def _tell(context: Context, event: tuple[float, dict[str, str]]) -> None:
    """Logs what a worker waits for, in the context of the run."""
    said = event[1]
    context.copy().run(waits.info, "%s (the Dask worker %s)", said["text"], said["worker"])


def _remedy(compute: Compute) -> str:
    return f"see that it runs, or correct compute.{'address' if compute.address else 'cluster_kwargs'}; {_WITHOUT}"


def _made(plugin: type) -> Any:
    """Instantiates a plugin with Dask's base class, which Dask requires."""
    from distributed import WorkerPlugin  # noqa: PLC0415

    return type(plugin.__name__, (plugin, WorkerPlugin), {})()


@contextmanager
def _cluster(compute: Compute, limit: float) -> Iterator[Any]:
    """Starts a cluster of the class that the profile names.

    Its scheduler, where it runs in this process, replaces a worker that sends no heartbeat for a quarter of the bound.
    """
    import dask  # noqa: PLC0415

    kind = _cluster_class(str(compute.cluster_class))
    wait = Wait(f"{compute.cluster_class} to start", limit, "compute.wait")

    def start() -> Any:
        with dask.config.set({"distributed.scheduler.worker-ttl": f"{min(_SILENT_SECONDS, limit / 4)} s"}):
            return kind(**_kwargs(compute))

    try:
        cluster = bounded(start, wait, f"see the logs of the cluster; {_WITHOUT}")
    except EarthcodePackError:
        raise
    except Exception as error:
        raise _not_started(compute, error) from error
    try:
        if compute.adapt_kwargs is not None:
            cluster.adapt(**compute.adapt_kwargs)
        yield cluster
    finally:
        _close(cluster.close, f"{compute.cluster_class} to close")


def _close(close: Callable[[], object], what: str) -> None:
    """Closes a client or cluster that may be dead, and gives up after a while: the product does not depend on it."""
    try:
        bounded(close, Wait(what, CLOSE_SECONDS), "")
    except Exception as error:  # noqa: BLE001 - a scheduler that is gone raises what it likes
        logger.warning("Dask was not closed cleanly: %s", error.message if isinstance(error, OutsideError) else error)


def _not_started(compute: Compute, error: BaseException) -> EarthcodePackError:
    """Makes the error of a start that failed: of the profile for wrong arguments, else of the cluster."""
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
    """Returns the arguments of the cluster; a LocalCluster's dashboard is on this machine, on a free port."""
    given: dict[str, Any] = {}
    if str(compute.cluster_class).endswith(".LocalCluster"):
        given = {"dashboard_address": "127.0.0.1:0"}
        given |= {} if compute.memory_limit is None else {"memory_limit": compute.memory_limit}
    return given | compute.cluster_kwargs


def _cluster_class(path: str) -> Any:
    """Imports the class by its path; a class that is no cluster is refused before any of its code runs."""
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
