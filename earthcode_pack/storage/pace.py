"""How much is on its way at once: more while the server keeps up, half of it when it asks for less.

It begins with few, and doubles with each answer's time as TCP does (RFC 5681, slow start): where the server is near, a
few threads keep this process busy, and more of them only wait for each other.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from threading import Condition
from typing import TYPE_CHECKING

from earthcode_pack.execution.threads import cores as count_of_cores
from earthcode_pack.storage import stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = 3  # requests at once
MOST = 32
IN_FLIGHT = 256 * 10**6  # bytes on their way
_BUSY = 0.5  # of a core: hashing and sending take a tenth of one at 60 MB/s
_SATURATED = 0.8  # of a core, or of all of them: threads only wait for each other
_BESIDE = 1.5  # cores: threads that take turns at Python use one, the rest is what they hash and encrypt beside it
_FEWEST = 2.0  # requests at once that are left then
_WINDOW = 0.1  # s over which that is measured
_CALM = 1.0  # s in which several answers «slow down» count as one


class Pace:
    """Shared by all threads that send to one server.

    ``take`` and ``give`` bound the bytes of parts on their way, ``turn`` the requests at once (additive increase,
    multiplicative decrease), ``spend`` the bytes per second where ``rate`` is set.
    """

    def __init__(
        self,
        *,
        start: int = START,
        most: int = MOST,
        in_flight: int = IN_FLIGHT,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
        cores: int | None = None,
        sleep: Callable[[float], None] = stopping.wait,
    ) -> None:
        self.most = most
        self._limit = float(start)
        self._active = 0
        self._bytes, self._in_flight = 0, in_flight
        self._rate, self._clock, self._cpu, self._sleep = rate, clock, cpu, sleep
        self._cores = cores or count_of_cores()
        self._next = self._calm = clock()
        self._looked, self._idle = (clock(), cpu()), False
        self._knows_bounds = False  # too many at once were seen
        self._turns, self._rooms = Condition(), Condition()

    @property
    def limit(self) -> int:
        """Requests at once, now."""
        return int(self._limit)

    @property
    def has_rate(self) -> bool:
        """Whether bytes per second are limited."""
        return self._rate is not None

    def take(self, size: int) -> None:
        """Waits for room for so many bytes, kept until ``give``; something larger than all there is gets it alone."""
        with self._rooms:
            _until(self._rooms, lambda: self._bytes == 0 or self._bytes + size <= self._in_flight)
            self._bytes += size

    def give(self, size: int) -> None:
        """Gives back what was taken."""
        with self._rooms:
            self._bytes -= size
            self._rooms.notify_all()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A request's turn. One that ends well while all turns are taken lets more of them in."""
        with self._turns:
            _until(self._turns, lambda: self._active < int(self._limit))
            self._active += 1
        ended_well = False
        try:
            yield
            ended_well = True
        finally:
            with self._turns:
                all_taken, before = self._active >= int(self._limit), int(self._limit)
                self._active -= 1
                if ended_well and all_taken and self._waits_for_server():
                    step = 1 / self._limit if self._knows_bounds else 1
                    self._limit = min(float(self.most), self._limit + step)
                self._turns.notify(max(0, 1 + int(self._limit) - before))

    def _waits_for_server(self) -> bool:
        """Whether more at once are quicker: where this process is the bottleneck itself, fewer are cheaper."""
        moment = self._clock()
        if moment - self._looked[0] >= _WINDOW:
            used = self._cpu()
            share = (used - self._looked[1]) / (moment - self._looked[0])
            has_cores = _BESIDE < share < _SATURATED * self._cores
            self._idle, self._looked = share < _BUSY or has_cores, (moment, used)
            if share > _SATURATED and not has_cores:
                self._knows_bounds = True
                self._limit = max(min(self._limit, _FEWEST), self._limit / 2)
        return self._idle

    def slow_down(self) -> None:
        """The server asked for less: half as much at once, at least one."""
        with self._turns:
            self._knows_bounds = True
            if self._clock() >= self._calm:
                self._limit = max(1.0, self._limit / 2)
                self._calm = self._clock() + _CALM

    def spend(self, size: int) -> None:
        """Waits until so many bytes may go, where there is a rate: a queue, each behind those before it."""
        if self._rate is None:
            return
        with self._rooms:
            now = self._clock()
            begin = max(now, self._next)
            self._next = begin + size / self._rate
        if begin > now:
            self._sleep(begin - now)


def _until(changed: Condition, condition: Callable[[], bool]) -> None:
    """Waits for requests before this one, each of which has a bound; raises ``Stopped`` where nobody waits any more."""
    while not changed.wait_for(condition, stopping.LOOK):
        stopping.go_on()
