"""From costs to ratios: pair by pair, then the median; and whether they are what is aimed at."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.works import MARGIN, OURS, Work

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Cost

MB = 10**6
SHOWN: dict[str, Callable[[Cost], float]] = {
    "wall": lambda cost: cost.wall,
    "cpu": lambda cost: cost.cpu,
    "size": lambda cost: cost.size,
}


@dataclass
class Results:
    """The costs of one work by contender, in the order of the rounds."""

    work: Work
    costs: dict[str, list[Cost]] = field(default_factory=lambda: defaultdict(list))

    @property
    def peers(self) -> list[str]:
        """Those that have at least one pair with ours."""
        return [who for who in self.costs if who != OURS and self.costs[who] and self.costs.get(OURS)]

    def ratio(self, peer: str, what: str) -> float:
        """Median of ours / peer over the rounds that both ended."""
        of = SHOWN[what]
        return median(of(ours) / of(theirs) for ours, theirs in zip(self.costs[OURS], self.costs[peer], strict=False))

    def middle(self, who: str, what: str) -> float:
        """Median over the rounds: seconds or bytes."""
        return median(SHOWN[what](cost) for cost in self.costs[who])

    def peak(self, who: str) -> float:
        """The highest over the rounds, in MB (10⁶ bytes)."""
        return max(cost.peak for cost in self.costs[who]) / MB

    def memory_limit(self) -> float | None:
        """What ours may take, in MB; None where nothing is aimed at, or the peer it is measured by is missing."""
        limit = self.work.memory
        if isinstance(limit, str):
            return MARGIN * self.peak(limit) if limit in self.peers else None
        return limit


def verdict(value: float, target: float | None) -> str:
    """Whether a ratio or an amount is at most what is aimed at.

    >>> verdict(0.3, 0.4), verdict(0.5, 0.4), verdict(0.5, None)
    ('≤0.4 met', '≤0.4 missed', '')
    """
    if target is None:
        return ""
    return f"≤{target:g} {'met' if value <= target else 'missed'}"


def as_json(command: str, every: list[Results]) -> str:
    """The last line of a benchmark; a work whose every run failed is not in it."""
    measured = [results for results in every if results.costs.get(OURS)]
    ratios = {
        results.work.name: {
            peer: {what: round(results.ratio(peer, what), 4 if what == "size" else 3) for what in SHOWN}
            for peer in results.peers
        }
        for results in measured
    }
    peaks = {results.work.name: round(results.peak(OURS), 1) for results in measured}
    return json.dumps({"benchmark": command, "ratios": ratios, "peak_memory_mb": peaks})
