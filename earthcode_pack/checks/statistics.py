"""The statistics that STAC states of a band against all its values, read block by block where all is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf.missing import as_numbers, missing
from earthcode_pack.cf.variables import variable_of
from earthcode_pack.checks import rules
from earthcode_pack.checks.cog import open_tiff
from earthcode_pack.checks.documents import listed, mapping, mappings
from earthcode_pack.checks.limits import DECODED
from earthcode_pack.checks.measured import open_cube
from earthcode_pack.checks.metadata import field
from earthcode_pack.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.checks.targets import Kind
    from earthcode_pack.model import Finding

_ENDS, _MOMENTS = 1e-5, 1e-2  # of the range for minimum and maximum; of the standard deviation for mean and itself
_NAMES = ("minimum", "maximum", "mean", "stddev", "valid_percent")


@dataclass
class Sums:
    """Moments of values seen so far, merged block by block (Chan, Golub and LeVeque 1979)."""

    cells: int = 0
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: np.ndarray[Any, Any], cells: int) -> None:
        """Takes the valid values of a block of so many cells."""
        self.cells += cells
        if not values.size:
            return
        mean, count = float(values.mean()), values.size
        squares = float(((values - mean) ** 2).sum())
        delta, total = mean - self.mean, self.count + count
        self.squares += squares + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    def of(self, scale: float, offset: float) -> dict[str, float]:
        """The statistics, unpacked by scale and offset. The standard deviation is the population's."""
        if not self.count:
            return {}
        ends = sorted((self.low * scale + offset, self.high * scale + offset))
        deviation = math.sqrt(self.squares / self.count) * abs(scale)
        numbers = (*ends, self.mean * scale + offset, deviation, 100 * self.count / self.cells)
        return dict(zip(_NAMES, numbers, strict=True))


def statistics_findings(
    document: Document, key: str, asset: dict[str, Any], kind: Kind, path: Path
) -> Iterator[Finding]:
    """Each ``statistics`` of an asset, its bands and its ``cube:variables`` that the values contradict.

    Packed values are compared both as stored and as unpacked: STAC does not say which it means.
    """
    stated = _stated(document, asset)
    if not stated:
        return
    for name, (sums, scale, offset) in _measured(path, kind, set(stated)).items():
        true = (sums.of(1, 0), sums.of(scale, offset))
        wrong = min((_wrong(stated[name], one) for one in true), key=len)
        if wrong:
            told = ", ".join(
                f"{field_} {stated[name][field_]:g} where it is {value:g}" for field_, value in wrong.items()
            )
            message = f"the statistics of {name} in the asset {key} of {document.subject} state {told}"
            yield rules.FACT_STATISTICS.finding(document.subject, message, stated[name], true[1])


def _stated(document: Document, asset: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Numbers of ``statistics`` by band: its place counted from one for a GeoTIFF, and its name."""
    bands = listed(asset.get("bands")) or [asset]
    named = {f"band {index}": band for index, band in enumerate(bands, start=1)}
    named |= {str(band["name"]): band for band in bands if "name" in band}
    named |= mappings(field(document, asset, "cube:variables"))
    numbers = {name: _numbers(mapping(band.get("statistics"))) for name, band in named.items()}
    return {name: found for name, found in numbers.items() if found}


def _numbers(statistics: dict[str, Any]) -> dict[str, float]:
    known = {name: statistics.get(name) for name in _NAMES}
    return {name: float(v) for name, v in known.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def _wrong(stated: dict[str, float], true: dict[str, float]) -> dict[str, float]:
    if not true:
        return {}
    spread = max(true["maximum"] - true["minimum"], abs(true["maximum"]) * 1e-6)
    slack = {"minimum": _ENDS * spread, "maximum": _ENDS * spread, "valid_percent": 0.1}
    loose = _MOMENTS * true["stddev"] + 1e-6 * abs(true["mean"])
    return {name: true[name] for name, told in stated.items() if not abs(told - true[name]) <= slack.get(name, loose)}


# --- reading


def _measured(path: Path, kind: Kind, names: set[str]) -> dict[str, tuple[Sums, float, float]]:
    try:
        return dict(_of_cog(path, names) if kind == "cog" else _of_cube(path, names, by_netcdf=kind == "netcdf"))
    except (SourceError, OSError, ValueError, KeyError, RuntimeError, TypeError):
        return {}  # its own checks say that it cannot be read


def _of_cog(path: Path, names: set[str]) -> Iterator[tuple[str, tuple[Sums, float, float]]]:
    with open_tiff(str(path)) as src:
        for band in src.indexes:
            name = f"band {band}"
            if name in names and math.prod(src.block_shapes[band - 1]) * 16 <= DECODED:
                sums = Sums()
                for _, window in src.block_windows(band):
                    block = src.read(band, window=window, masked=True)
                    sums.add(_valid(block.compressed()), block.size)
                yield name, (sums, src.scales[band - 1], src.offsets[band - 1])


def _of_cube(path: Path, names: set[str], *, by_netcdf: bool) -> Iterator[tuple[str, tuple[Sums, float, float]]]:
    with open_cube(path) as dataset:
        for name in names & set(map(str, dataset.data_vars)):
            variable, sums = dataset[name], Sums()
            if variable.dtype.kind not in "iuf":
                continue
            held = variable_of(name, variable, by_netcdf=by_netcdf)
            for block in _blocks(variable):
                stored = variable[block].to_numpy()
                sums.add(_valid(as_numbers(stored, held)[~missing(stored, held)]), stored.size)
            yield name, (sums, 1.0 if held.scale is None else held.scale, held.offset or 0.0)


def _blocks(variable: Any) -> Iterable[tuple[slice, ...]]:
    chunks = variable.encoding.get("preferred_chunks") or {}
    steps = [int(chunks.get(dim, 0)) or size for dim, size in variable.sizes.items()]
    if math.prod(steps) * variable.dtype.itemsize > DECODED:
        return []
    ranges = [range(0, size, max(step, 1)) for size, step in zip(variable.shape, steps, strict=True)]
    return (tuple(slice(a, a + step) for a, step in zip(at, steps, strict=True)) for at in product(*ranges))


def _valid(values: Any) -> Any:
    """As float64 and without NaN."""
    numbers = values.astype("f8")
    return numbers[numbers == numbers]  # noqa: PLR0124 - NaN
