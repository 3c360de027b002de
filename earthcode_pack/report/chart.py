"""Histograms of a variable in several files as one, and its drawing: SVG that stands in the page."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any

from earthcode_pack.report.text import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COLUMNS = 32  # at most
_WIDTH, _HEIGHT = 128, 40  # of the drawing, in user units
_SLACK = 1e-9  # of a column, for edges that are rounded

Json = dict[str, Any]


@dataclass(frozen=True)
class Columns:
    """Counts of values in columns of one width, from ``start`` on, in unpacked units."""

    start: float
    width: float
    counts: Sequence[int]

    @property
    def total(self) -> int:
        """Values in all columns."""
        return sum(self.counts)

    @property
    def rows(self) -> list[tuple[float, float, int]]:
        """From, to and count of each column."""
        ends = [self.start + index * self.width for index in range(len(self.counts) + 1)]
        return list(zip(ends, ends[1:], self.counts, strict=False))


def merged(histograms: Iterable[Json]) -> Columns | None:
    """One histogram of several: columns as wide as the widest of theirs, doubled until 32 span all.

    Each has ``minimum`` and ``maximum``, the outer edges, and ``counts`` in columns of one width. A column goes whole
    into the one that holds its middle: exact where the edges of the wider columns are edges of the narrower too, as
    they are in files that are packed alike. None where no histogram holds a value.
    """
    import numpy as np  # noqa: PLC0415 - heavy for a command that only prints

    found = [columns for columns in map(_columns, histograms) if columns]
    if not found:
        return None
    width, starts = _grid(found)
    counts = np.zeros(len(starts))
    for columns in found:
        middles = columns.start + (np.arange(len(columns.counts)) + 0.5) * columns.width
        where = np.floor((middles - starts[0]) / width).astype(int).clip(0, len(starts) - 1)
        counts += np.bincount(where, columns.counts, len(starts))
    return Columns(starts[0], width, tuple(int(count) for count in counts))


def _columns(histogram: Json) -> Columns | None:
    low, high, counts = (histogram.get(key) for key in ("minimum", "maximum", "counts"))
    if low is None or high is None or not counts or not sum(counts):
        return None
    span = float(high) - float(low)
    return Columns(float(low), span / len(counts), counts) if span > 0 and isfinite(span) else None


def _grid(found: Sequence[Columns]) -> tuple[float, list[float]]:
    """The width of the columns of all, and where each starts: at edges of the widest there is."""
    widest = max(found, key=lambda columns: columns.width)
    low = min(columns.start for columns in found)
    high = max(columns.start + len(columns.counts) * columns.width for columns in found)
    width = widest.width
    while (high - low) / width > _COLUMNS + _SLACK:
        width *= 2
    start = widest.start - ceil((widest.start - low) / width - _SLACK) * width
    return width, [start + index * width for index in range(max(ceil((high - start) / width - _SLACK), 1))]


def draw_columns(columns: Columns, title: str) -> str:
    """One SVG element: only numbers go into it, but for ``title``, which is escaped."""
    from markupsafe import escape  # noqa: PLC0415 - only the report needs it

    return (
        f'<svg class="columns" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT + 1}" xmlns="http://www.w3.org/2000/svg">'
        f'<title>{escape(title)}</title><path class="column" d="{_outline(columns.counts)}"/>'
        f'<path class="foot" d="M0,{_HEIGHT + 0.5}H{_WIDTH}"/></svg>'
    )


def _outline(counts: Sequence[int]) -> str:
    """A closed path for each column that holds anything, at least one unit high."""
    step, top = _WIDTH / len(counts), max(counts)
    heights = [max(_HEIGHT * count / top, 1) if count else 0 for count in counts]
    return "".join(
        f"M{index * step:.1f},{_HEIGHT}v{-height:.1f}h{max(step - 0.5, 0.5):.1f}v{height:.1f}z"
        for index, height in enumerate(heights)
        if height
    )


def columns_title(columns: Columns, name: str, units: str | None) -> str:
    """What a reader who does not see the drawing is told."""
    low, high, most = max(columns.rows, key=lambda row: row[2])
    unit = f" {units}" if units not in (None, "1") else ""
    first, last = columns.rows[0][0], columns.rows[-1][1]
    return (
        f"Distribution of {name} from {number(first)} to {number(last)}{unit}; most values, "
        f"{100 * most / columns.total:.0f} %, lie between {number(low)} and {number(high)}"
    )
