"""The rounds: ours and the peers by turns, each run a process of its own, its output looked at once and removed."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from benchmarks.figures import Results
from benchmarks.measure import Cost, Failed, measure, remove
from benchmarks.ready import Ready, engines_of
from benchmarks.same import difference
from benchmarks.works import OURS

if TYPE_CHECKING:
    from collections.abc import Callable

OVERHEAD = 0.5  # seconds beside each run: its output is removed


class Contest:
    """The contenders of one work, and what they cost so far."""

    def __init__(self, ready: Ready, pythons: dict[str, str], tell: Callable[[str], None]) -> None:
        self.ready, self.pythons, self.tell = ready, pythons, tell
        self.results = Results(ready.work)
        self.contenders = [OURS, *pythons]
        self.failures: list[str] = []
        self.engines: list[str] = []
        self.rounds = 0

    def round(self) -> None:
        """Each contender once, ours first; one that fails, or made something else, is out, and named."""
        for who in list(self.contenders):
            try:
                cost = self._run(who)
            except Failed as error:
                self._out(who, str(error))
                continue
            self.results.costs[who].append(cost)
            self.tell(f"{self.ready.work.name} {who}: {cost.wall:.1f} s, {cost.peak / 1e6:.0f} MB")
        self.rounds += 1

    def _run(self, who: str) -> Cost:
        output = self.ready.output(who)
        remove(output)
        try:
            cost = measure(self.ready.command(who, self.pythons.get(who, sys.executable)), self.ready.product(who))
            if self.rounds == 0:
                self._look(who)
        finally:
            remove(output)
        return cost

    def _look(self, who: str) -> None:
        wrong = difference(self.ready.work.command, self.ready.files, self.ready.product(who))
        if wrong:
            raise Failed(f"its output is not its input: {wrong}")
        if who == OURS:
            self.engines = engines_of(self.ready)

    def _out(self, who: str, why: str) -> None:
        self.contenders = [] if who == OURS else [other for other in self.contenders if other != who]
        self.failures.append(f"{self.ready.work.name}: {who} {why}")
        self.tell(self.failures[-1])

    def expected(self) -> float:
        """Seconds that one more round will take; without end where nobody is left to compare."""
        if len(self.contenders) < 2:  # noqa: PLR2004 - ours and a peer
            return float("inf")
        return sum(self.results.costs[who][-1].wall + OVERHEAD for who in self.contenders)


def by_number(contests: list[Contest], rounds: int) -> None:
    """So many rounds of each; a work that has lost ours or all its peers rests."""
    for _ in range(rounds):
        for contest in contests:
            if contest.rounds == 0 or contest.expected() < float("inf"):
                contest.round()


def by_time(contests: list[Contest], end: float) -> None:
    """One round of each, then as many as fit until ``end`` (time.monotonic); those with the fewest come first."""
    by_number(contests, 1)
    while fitting := [contest for contest in contests if time.monotonic() + contest.expected() < end]:
        min(fitting, key=lambda contest: contest.rounds).round()
