"""Many calls that wait for a server, by as many threads as it bears at the moment.

Each thread takes one item after another: handing over each one costs more than sending a small object.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import TYPE_CHECKING

from earthcode_pack.execution.threads import carried
from earthcode_pack.storage.stopping import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


_MOST = 64  # threads
_FEW = 8  # calls at once that any server bears; they wait for it most of the time
_NONE = object()  # no item is left
_LOOK = 0.05  # s between two looks at what is done, and at how many may work


def each[T, R](work: Callable[[T], R], items: Iterable[T], most: Callable[[], int] = lambda: _FEW) -> list[R]:
    """``work``, which waits for a server, on each item. Raises what one of them raises."""
    waiting = list(items)
    if len(waiting) < 2:  # noqa: PLR2004 - nothing to do at once
        return [work(item) for item in waiting]
    done = dict(by_crew(lambda place: (place, work(waiting[place])), range(len(waiting)), most))
    return [done[place] for place in range(len(waiting))]


def by_crew[T, R](work: Callable[[T], R], items: Iterable[T], most: Callable[[], int]) -> Iterator[R]:
    """What ``work`` gives for each item, as it comes; ``most`` tells how many calls at once are worth it, now.

    After a failure, or where the caller goes, no other item is begun, and what is under way is left where it looks at
    ``stopping``; the results of what ended come before the failure is raised.
    """
    crew = _Crew(work, items, most)
    with ThreadPoolExecutor(_MOST, "earthcode-pack-crew") as pool:
        try:
            while crew.hire(pool):
                yield from crew.results()
            yield from crew.results()
        finally:
            crew.stop()
    yield from crew.results()
    crew.raise_failure()


class _Crew[T, R]:
    def __init__(self, work: Callable[[T], R], items: Iterable[T], most: Callable[[], int]) -> None:
        self._over, self._most = Event(), most
        with until(self._over):
            self._work = carried(work)
        self._items = iter(list(items))  # each goes to one thread: CPython steps through a list atomically
        self._results: deque[R] = deque()
        self._failures: deque[BaseException] = deque()
        self._futures: list[Future[None]] = []
        self._hired, self._lock = 0, Lock()

    def hire(self, pool: ThreadPoolExecutor) -> bool:
        """Has as many at work as are worth it, and waits a moment; False once all is done, or something failed."""
        while not self._over.is_set() and self._may_hire():
            self._futures.append(pool.submit(self._go))
        _, working = wait(self._futures, timeout=_LOOK)
        return bool(working) and not self._failures

    def _may_hire(self) -> bool:
        with self._lock:
            more = self._hired < min(self._most(), _MOST)
            self._hired += more
        return more

    def _go(self) -> None:
        try:
            while not self._over.is_set() and self._is_needed():
                item = next(self._items, _NONE)
                if item is _NONE:
                    return
                self._results.append(self._work(item))  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001 - it is raised where the results are taken
            self._failures.append(error)
            self._over.set()

    def _is_needed(self) -> bool:
        """Whether not too many are at work; who is not needed goes."""
        with self._lock:
            is_needed = self._hired <= max(1, self._most())
            self._hired -= not is_needed
        return is_needed

    def results(self) -> Iterator[R]:
        """Those that came since the last time."""
        while self._results:
            yield self._results.popleft()

    def stop(self) -> None:
        """No other item is begun, and what is under way is left as soon as it looks."""
        self._over.set()

    def raise_failure(self) -> None:
        """The first there was: it had the others stop."""
        if self._failures:
            raise self._failures[0]
