"""The variables of a product as its report shows them: meaning, statistics of all files together, how they are stored.

``provenance.json`` is read leniently: an earlier version, or a run that stopped early, has left out a part.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

from earthcode_pack.report.chart import Columns, columns_title, draw_columns, merged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.model import ManifestEntry

Json = dict[str, Any]


@dataclass
class Pool:
    """Statistics of several files as of one (Chan, Golub and LeVeque 1979), of valid values, unpacked."""

    count: int = 0
    least: float | None = None
    most: float | None = None
    mean: float = 0.0
    squares: float = 0.0  # of the deviations from the mean

    def add(self, statistics: Json, count: int) -> None:
        """Those of a file with ``count`` valid values; one without any adds nothing."""
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
        """Of the population, as of each file."""
        return sqrt(self.squares / self.count) if self.count else 0.0


@dataclass(frozen=True)
class Class:
    """One entry of a legend, without a name where no class has one; ``count`` where values were counted."""

    value: Any
    name: str
    color: str | None
    count: int | None


@dataclass
class VariableRow:
    """A variable over all files that hold it."""

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

    @cached_property
    def columns(self) -> Columns | None:
        """The distribution of a quantity."""
        return None if self.classes else merged(self.histograms)

    @property
    def chart(self) -> str:
        """The distribution as SVG; empty where it was not counted."""
        columns = self.columns
        return draw_columns(columns, columns_title(columns, self.name, self.units)) if columns else ""

    @property
    def legend(self) -> tuple[Class, ...]:
        """The classes, and after them what the data hold and no class names; with what there is of each."""
        named = [_class(entry, self.values if self.counted else None) for entry in self.classes]
        unnamed = sorted(set(self.values) - {entry.value for entry in named}) if self.counted else []
        return (*named, *(Class(value, "", None, self.values[value]) for value in unnamed))

    @property
    def counted(self) -> int:
        """How many values were counted one by one; 0 where a file left that out."""
        return self.values.total() if self.files == self.files_counted else 0


def _class(entry: Json, values: Counter[Any] | None) -> Class:
    value = entry.get("value")
    name = str(entry.get("title") or entry.get("name") or "")
    return Class(value, name, entry.get("color"), None if values is None else values[value])


def gather_variables(artifacts: Iterable[Json], manifest: Iterable[ManifestEntry]) -> list[VariableRow]:
    """The variables in the order of the files."""
    rows: dict[str, VariableRow] = {}
    for artifact in artifacts:
        for variable in artifact.get("variables", []):
            row = rows.setdefault(str(variable.get("name")), _variable(variable))
            _count(row, variable)
            row.codec = row.codec or artifact.get("facts", {}).get("codecs", {}).get(row.name)
    stored = stored_bytes(artifacts, manifest)
    for row in rows.values():
        row.stored = stored[row.name]
    return list(rows.values())


def _variable(facts: Json) -> VariableRow:
    return VariableRow(
        name=str(facts.get("name")),
        long_name=facts.get("long_name"),
        standard_name=facts.get("standard_name"),
        units=facts.get("units"),
        classes=tuple(facts.get("classes", ())),
        bitfields=tuple(facts.get("bitfields", ())),
    )


def _count(row: VariableRow, facts: Json) -> None:
    shape = tuple(facts.get("shape", ()))
    cells = 1
    for side in shape:
        cells *= side
    row.decoded += cells * _width(str(facts.get("dtype")))
    row.dtypes.setdefault(str(facts.get("dtype")))
    dims = ",\N{NO-BREAK SPACE}".join(facts.get("dims", ()))
    row.shapes.setdefault(f"{sides(shape)} ({dims})")
    if facts.get("chunks"):
        row.chunks.setdefault(sides(facts["chunks"]))
    _judge(row, facts.get("statistics"), cells)


def sides(shape: Iterable[int]) -> str:
    """A shape as a person writes it, such as 1,000 by 20 cells."""
    return " \N{MULTIPLICATION SIGN} ".join(f"{side:,}" for side in shape)


def _judge(row: VariableRow, statistics: Json | None, cells: int) -> None:
    if not statistics:
        return
    share = float(statistics.get("valid_percent", 0)) / 100
    row.judged += cells
    row.valid += cells * share
    row.files += 1
    row.files_counted += bool(statistics.get("values") or not share)
    row.values.update(dict(statistics.get("values", ())))
    row.pool.add(statistics, int(statistics.get("count") or round(cells * share)))
    if histogram := statistics.get("histogram"):
        row.histograms.append(histogram | {"counts": array("q", histogram.get("counts") or ())})


def _width(dtype: str) -> int:
    import numpy as np  # noqa: PLC0415 - heavy for a command that only prints

    try:
        return np.dtype(dtype).itemsize
    except TypeError:
        return 0


def stored_bytes(artifacts: Iterable[Json], manifest: Iterable[ManifestEntry]) -> Counter[str]:
    """Bytes on disk by variable: of files that hold one alone, and of the folders of a Zarr store."""
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
