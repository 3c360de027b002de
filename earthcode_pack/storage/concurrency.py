"""Calls that wait for a server: many at once, as many as it bears, left soon after a failure or Ctrl-C.

Calls look at ``check_cancelled`` before each attempt and wait. A call of a library that cannot be interrupted is made
in a thread that is left behind (``interruptible``); it ends by its own time-out.
"""

from __future__ import annotations

import queue
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import as_completed as futures_as_completed
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import batched
from threading import Condition, Event, Lock
from typing import TYPE_CHECKING

from earthcode_pack.execution.threads import carried
from earthcode_pack.execution.waiting import LEFT_BEHIND, started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LOOK = 0.25  # s between two looks at whether the call is still wanted
START = 8  # requests at once
MOST = 32
_FEW = 8  # calls at once that any server bears; they wait for it most of the time
_BATCH = 10_000  # items that are handed to threads at once: there may be a million
_CALM = 1.0  # s in which several answers «slow down» count as one

_STOPS: ContextVar[tuple[Event, ...]] = ContextVar("_STOPS", default=())


class Cancelled(Exception):
    """The call was given up because its result is not wanted any more; the reason is raised elsewhere."""


@contextmanager
def cancelled_by(stop: Event) -> Iterator[None]:
    """Cancels calls made in this context, and in copies of it, once ``stop`` is set."""
    token = _STOPS.set((*_STOPS.get(), stop))
    try:
        yield
    finally:
        _STOPS.reset(token)


def check_cancelled() -> None:
    """Raises ``Cancelled`` where the present context is cancelled."""
    if any(stop.is_set() for stop in _STOPS.get()):
        raise Cancelled


def pause(seconds: float) -> None:
    """Sleeps; raises ``Cancelled`` at most ``LOOK`` seconds after the context is cancelled."""
    stops, end = _STOPS.get(), time.monotonic() + seconds
    if not stops:
        time.sleep(seconds)
    while stops and (left := end - time.monotonic()) > 0:
        check_cancelled()
        stops[-1].wait(min(left, LOOK))
    check_cancelled()


def interruptible[T](call: Callable[[], T], seconds: float) -> T:
    """Makes a call of a library that has no total time-out, or ignores Ctrl-C.

    The call runs in a thread of its own, which is left behind where it takes too long or is not wanted any more.

    Args:
        call: The call.
        seconds: The longest it may take.

    Returns:
        What the call returns.

    Raises:
        TimeoutError: It takes longer.
        Cancelled: The present context was cancelled.

    """
    outcome, end = started(call), time.monotonic() + seconds
    try:
        result, error = _arrived(outcome, end)
    except BaseException:
        LEFT_BEHIND.set()
        raise
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def _arrived[T](outcome: queue.SimpleQueue[T], end: float) -> T:
    while True:
        try:
            return outcome.get(timeout=max(0.0, min(LOOK, end - time.monotonic())))
        except queue.Empty:
            check_cancelled()
            if time.monotonic() >= end:
                raise TimeoutError("timed out") from None


def each[T, R](work: Callable[[T], R], items: Iterable[T], threads: int | None = None) -> list[R]:
    """Calls ``work``, which waits for a server, on each item at once; returns the results in order.

    Raises what the first call that failed raised.
    """
    waiting = list(items)
    if len(waiting) < 2:  # noqa: PLR2004 - nothing to do at once
        return [work(item) for item in waiting]
    done = dict(as_completed(lambda place: (place, work(waiting[place])), range(len(waiting)), threads or _FEW))
    return [done[place] for place in range(len(waiting))]


def as_completed[T, R](work: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Yields what ``work`` returns for each item, as it comes.

    After a failure, or where the caller goes, no other item is begun, and what is under way is cancelled; the results
    of what ended come before the failure is raised.
    """
    stop, failures = Event(), list[BaseException]()

    def guarded(item: T) -> R:
        check_cancelled()
        try:
            return work(item)
        except BaseException as error:
            failures.append(error)
            stop.set()
            raise

    with cancelled_by(stop):
        call = carried(guarded)

    def completed(futures: list[Future[R]]) -> Iterator[R]:
        left = set(futures)
        for future in futures_as_completed(futures):
            if future.exception() is not None:
                break
            left.discard(future)
            yield future.result()
        else:
            return
        pool.shutdown(cancel_futures=True)  # of these futures ``as_completed`` would never hear
        for future in left:
            if not future.cancelled() and future.exception() is None:
                yield future.result()
        raise failures[0] if failures else Cancelled

    with ThreadPoolExecutor(threads, "earthcode-pack-requests") as pool:
        try:
            for batch in batched(items, _BATCH):
                yield from completed([pool.submit(call, item) for item in batch])
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


# --- how many at once ------------------------------------------------------------------------------------------------


class ConcurrencyLimit:
    """Limits requests to one server, and bytes per second, over all threads.

    The number of requests at once grows while the server keeps up, as TCP does (RFC 5681): by one with each answer at
    first, by one with each round of answers once the server asked for less, which halves it.

    Args:
        start: Requests at once, at first.
        most: Requests at once.
        rate: Bytes per second; None for no limit.
        clock: Seconds, monotonic.
        sleep: Waits seconds.

    """

    def __init__(
        self,
        *,
        start: int = START,
        most: int = MOST,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = pause,
    ) -> None:
        self.most = most
        self._limit, self._active = float(start), 0
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._next = self._calm = clock()
        self._was_slowed = False
        self._turns, self._spending = Condition(), Lock()

    @property
    def limit(self) -> int:
        """Requests at once, now."""
        return int(self._limit)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Holds a request's turn. One that ends well while all turns are taken lets more of them in.

        Raises ``Cancelled`` where the context is cancelled while it waits for requests before it, each of which ends.
        """
        with self._turns:
            while not self._turns.wait_for(lambda: self._active < int(self._limit), LOOK):
                check_cancelled()
            self._active += 1
        ended_well = False
        try:
            yield
            ended_well = True
        finally:
            with self._turns:
                all_taken, before = self._active >= int(self._limit), int(self._limit)
                self._active -= 1
                if ended_well and all_taken:
                    step = 1 / self._limit if self._was_slowed else 1
                    self._limit = min(float(self.most), self._limit + step)
                self._turns.notify(max(0, 1 + int(self._limit) - before))

    def slow_down(self) -> None:
        """Halves the requests at once, to one at least: the server asked for less."""
        with self._turns:
            self._was_slowed = True
            if self._clock() >= self._calm:
                self._limit = max(1.0, self._limit / 2)
                self._calm = self._clock() + _CALM

    def spend(self, size: int) -> None:
        """Waits until so many bytes may go, where there is a rate: a queue, each behind those before it."""
        if self._rate is None:
            return
        with self._spending:
            now = self._clock()
            begin = max(now, self._next)
            self._next = begin + size / self._rate
        if begin > now:
            self._sleep(begin - now)
