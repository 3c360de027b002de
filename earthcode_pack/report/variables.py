"""Variables of a product in its report: meaning, statistics and histogram over all files, how they are stored.

``provenance.json`` is read leniently: an earlier version, or a run that stopped early, has left out a part.
"""

from __future__ import annotations

from array import array
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, isfinite, prod, sqrt
from typing import TYPE_CHECKING, Any

from earthcode_pack.report.text import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from earthcode_pack.model import ManifestEntry

_BINS = 32  # at most
_WIDTH, _HEIGHT = 128, 40  # of the drawing, in user units
_SLACK = 1e-9  # of a bin, for edges that are rounded

Json = dict[str, Any]


# --- histograms -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Histogram:
    """Counts of values in bins of one width, from ``start`` on, in unpacked units."""

    start: float
    width: float
    counts: Sequence[int]

    @property
    def total(self) -> int:
        """Number of values in all bins."""
        return sum(self.counts)

    @property
    def rows(self) -> list[tuple[float, float, int]]:
        """Lower edge, upper edge and count of each bin."""
        ends = [self.start + index * self.width for index in range(len(self.counts) + 1)]
        return list(zip(ends, ends[1:], self.counts, strict=False))


def merged(histograms: Iterable[Json]) -> Histogram | None:
    """Merges histograms into one of at most 32 bins, which are as wide as the widest of theirs, or 2, 4, 8… times that.

    A bin goes whole into the one that contains its middle: exact where the edges of the wider bins are edges of the
    narrower too, as they are in files that are packed alike.

    Args:
        histograms: each with ``minimum`` and ``maximum``, the outer edges, and ``counts`` in bins of one width.

    Returns:
        The histogram; None where no histogram has a value.

    """
    import numpy as np  # noqa: PLC0415 - heavy for a command that only prints

    found = []
    for histogram in histograms:
        low, high, counts = (histogram.get(key) for key in ("minimum", "maximum", "counts"))
        if low is None or high is None or not counts or not sum(counts):
            continue
        span = float(high) - float(low)
        if span > 0 and isfinite(span):
            found.append(Histogram(float(low), span / len(counts), counts))
    if not found:
        return None
    start, width, bins = _bins(found)
    total = np.zeros(bins)
    for one in found:
        middles = one.start + (np.arange(len(one.counts)) + 0.5) * one.width
        where = np.floor((middles - start) / width).astype(int).clip(0, bins - 1)
        total += np.bincount(where, one.counts, bins)
    return Histogram(start, width, tuple(int(count) for count in total))


def _bins(found: Sequence[Histogram]) -> tuple[float, float, int]:
    """Returns the start, the width and the number of common bins, whose edges are edges of the widest ones."""
    widest = max(found, key=lambda one: one.width)
    low = min(one.start for one in found)
    high = max(one.start + len(one.counts) * one.width for one in found)
    width = widest.width
    while (high - low) / width > _BINS + _SLACK:
        width *= 2
    start = widest.start - ceil((widest.start - low) / width - _SLACK) * width
    return start, width, max(ceil((high - start) / width - _SLACK), 1)


def draw_histogram(histogram: Histogram, name: str, units: str | None) -> str:
    """Draws a histogram as one SVG element, with a description for readers who do not see it.

    Args:
        histogram: of the values of a variable.
        name: of the variable; it is escaped.
        units: of its values.

    """
    from markupsafe import escape  # noqa: PLC0415 - only the report needs it

    rows = histogram.rows
    low, high, most = max(rows, key=lambda row: row[2])
    unit = f" {units}" if units not in (None, "1") else ""
    title = (
        f"Distribution of {name} from {number(rows[0][0])} to {number(rows[-1][1])}{unit}; most values, "
        f"{100 * most / histogram.total:.0f} %, lie between {number(low)} and {number(high)}"
    )
    step = _WIDTH / len(rows)
    heights = [max(_HEIGHT * count / most, 1) if count else 0 for count in histogram.counts]
    path = "".join(
        f"M{index * step:.1f},{_HEIGHT}v{-height:.1f}h{max(step - 0.5, 0.5):.1f}v{height:.1f}z"
        for index, height in enumerate(heights)
        if height
    )
    return (
        f'<svg class="columns" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT + 1}" xmlns="http://www.w3.org/2000/svg">'
        f'<title>{escape(title)}</title><path class="column" d="{path}"/>'
        f'<path class="foot" d="M0,{_HEIGHT + 0.5}H{_WIDTH}"/></svg>'
    )


# --- variables --------------------------------------------------------------------------------------------------------


@dataclass
class Pool:
    """Pooled statistics of the valid, unpacked values of several files (Chan, Golub and LeVeque 1979)."""

    count: int = 0
    least: float | None = None
    most: float | None = None
    mean: float = 0.0
    squares: float = 0.0  # of the deviations from the mean

    def add(self, statistics: Json, count: int) -> None:
        """Adds the statistics of a file with ``count`` valid values; without any, nothing changes."""
        numbers = [float(statistics.get(key, "nan")) for key in ("minimum", "maximum", "mean", "stddev")]
        if not count or not all(map(isfinite, numbers)):
            return
        low, high, mean, stddev = numbers
        total, apart = self.count + count, mean - self.mean
        # products overflow to infinity, where powers raise an error
        self.squares += stddev * stddev * count + apart * apart * self.count * count / total
        self.mean += apart * count / total
        self.least = low if self.least is None else min(self.least, low)
        self.most = high if self.most is None else max(self.most, high)
        self.count = total

    @property
    def stddev(self) -> float:
        """Standard deviation of the population."""
        return sqrt(self.squares / self.count) if self.count else 0.0


@dataclass(frozen=True)
class Class:
    """One entry of a legend; ``name`` is empty for a value without a class, ``count`` None where none was counted."""

    value: Any
    name: str
    color: str | None
    count: int | None


@dataclass
class VariableRow:
    """A variable over all files that contain it."""

    name: str
    long_name: str | None
    standard_name: str | None
    units: str | None
    classes: tuple[Json, ...]
    bitfields: tuple[Json, ...] = ()
    dtypes: dict[str, None] = field(default_factory=dict)
    shapes: dict[str, None] = field(default_factory=dict)
    chunks: dict[str, None] = field(default_factory=dict)
    histograms: list[Json] = field(default_factory=list)
    values: Counter[Any] = field(default_factory=Counter)  # of categories
    files: int = 0  # with statistics
    files_counted: int = 0
    pool: Pool = field(default_factory=Pool)
    decoded: int = 0  # bytes of the stored type, without compression
    stored: int = 0  # bytes on disk; 0 where a file holds other variables too
    codec: str | None = None
    valid: float = 0.0  # cells, of those with statistics
    judged: int = 0

    def add(self, facts: Json) -> None:
        """Adds the variable of one file, as ``provenance.json`` has it."""
        import numpy as np  # noqa: PLC0415 - heavy for a command that only prints

        shape, dtype = tuple(facts.get("shape", ())), str(facts.get("dtype"))
        cells = prod(shape)
        with suppress(TypeError):  # a type that numpy does not know
            self.decoded += cells * np.dtype(dtype).itemsize
        self.dtypes.setdefault(dtype)
        dims = ",\N{NO-BREAK SPACE}".join(facts.get("dims", ()))
        self.shapes.setdefault(f"{_sides(shape)} ({dims})")
        if facts.get("chunks"):
            self.chunks.setdefault(_sides(facts["chunks"]))
        statistics = facts.get("statistics")
        if not statistics:
            return
        share = float(statistics.get("valid_percent", 0)) / 100
        self.judged += cells
        self.valid += cells * share
        self.files += 1
        self.files_counted += bool(statistics.get("values") or not share)
        self.values.update(dict(statistics.get("values", ())))
        self.pool.add(statistics, int(statistics.get("count") or round(cells * share)))
        if histogram := statistics.get("histogram"):
            self.histograms.append(histogram | {"counts": array("q", histogram.get("counts") or ())})

    @cached_property
    def histogram(self) -> Histogram | None:
        """The distribution of a quantity."""
        return None if self.classes else merged(self.histograms)

    @property
    def chart(self) -> str:
        """The distribution as SVG; empty where it was not counted."""
        return draw_histogram(self.histogram, self.name, self.units) if self.histogram else ""

    @property
    def legend(self) -> tuple[Class, ...]:
        """The classes, then the values of the data that have no class, with their counts."""
        legend, counted = [], self.counted
        for entry in self.classes:
            value, name = entry.get("value"), str(entry.get("title") or entry.get("name") or "")
            legend.append(Class(value, name, entry.get("color"), self.values[value] if counted else None))
        unnamed = sorted(set(self.values) - {entry.value for entry in legend}) if counted else []
        return (*legend, *(Class(value, "", None, self.values[value]) for value in unnamed))

    @property
    def counted(self) -> int:
        """Number of values that were counted one by one; 0 where a file left that out."""
        return self.values.total() if self.files == self.files_counted else 0


def gather_variables(artifacts: Iterable[Json], manifest: Iterable[ManifestEntry]) -> list[VariableRow]:
    """Lists the variables in the order of the files.

    Args:
        artifacts: the files and stores, as ``provenance.json`` has them; iterated twice.
        manifest: the files of the product.

    """
    rows: dict[str, VariableRow] = {}
    for artifact in artifacts:
        for facts in artifact.get("variables", []):
            name = str(facts.get("name"))
            if name not in rows:
                rows[name] = VariableRow(
                    name=name,
                    **{key: facts.get(key) for key in ("long_name", "standard_name", "units")},
                    classes=tuple(facts.get("classes", ())),
                    bitfields=tuple(facts.get("bitfields", ())),
                )
            rows[name].add(facts)
            rows[name].codec = rows[name].codec or artifact.get("facts", {}).get("codecs", {}).get(name)
    stored = stored_bytes(artifacts, manifest)
    for row in rows.values():
        row.stored = stored[row.name]
    return list(rows.values())


def _sides(shape: Iterable[int]) -> str:
    """Formats a shape for people."""
    return " \N{MULTIPLICATION SIGN} ".join(f"{side:,}" for side in shape)


def stored_bytes(artifacts: Iterable[Json], manifest: Iterable[ManifestEntry]) -> Counter[str]:
    """Counts bytes on disk by variable: of files with a single variable, and of the folders of a Zarr store."""
    held = {str(a.get("key")): [str(v.get("name")) for v in a.get("variables", ())] for a in artifacts}
    alone = {key: names[0] for key, names in held.items() if len(names) == 1}
    names = {name for every in held.values() for name in every}
    found: Counter[str] = Counter()
    for entry in manifest:
        _, store, inside = entry.key.partition(".zarr/")
        folder = next((part for part in inside.split("/")[:-1] if part in names), None)
        name = folder if store else alone.get(entry.key)
        if name is not None:
            found[name] += entry.size
    return found
