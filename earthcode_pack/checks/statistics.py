"""Statistics in STAC metadata against all values of the data, read block by block in a deep check."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf.missing import as_numbers, missing
from earthcode_pack.cf.variables import variable_of
from earthcode_pack.checks import rules
from earthcode_pack.checks.cog import open_tiff
from earthcode_pack.checks.documents import listed, mapping, mappings
from earthcode_pack.checks.measured import open_cube
from earthcode_pack.checks.metadata import field
from earthcode_pack.checks.targets import DECODED
from earthcode_pack.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.checks.targets import Kind
    from earthcode_pack.model import Finding

_ENDS = 1e-5  # tolerance of minimum and maximum, relative to the range
_MOMENTS = 1e-2  # tolerance of mean and standard deviation, relative to the latter
_NAMES = ("minimum", "maximum", "mean", "stddev", "valid_percent")


@dataclass
class Moments:
    """Moments of a variable, merged block by block (Chan, Golub and LeVeque 1979)."""

    cells: int = 0
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: np.ndarray[Any, Any], cells: int) -> None:
        """Adds the valid values of a block that has ``cells`` cells."""
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
        """Returns the statistics, unpacked by scale and offset, with the standard deviation of the population."""
        if not self.count:
            return {}
        ends = sorted((self.low * scale + offset, self.high * scale + offset))
        deviation = math.sqrt(self.squares / self.count) * abs(scale)
        numbers = (*ends, self.mean * scale + offset, deviation, 100 * self.count / self.cells)
        return dict(zip(_NAMES, numbers, strict=True))

    def contradicts(self, stated: dict[str, float], scale: float, offset: float) -> dict[str, float]:
        """Returns the true values of the statistics that are stated otherwise."""
        true = self.of(scale, offset)
        if not true:
            return {}
        spread = max(true["maximum"] - true["minimum"], abs(true["maximum"]) * 1e-6)
        slack = {"minimum": _ENDS * spread, "maximum": _ENDS * spread, "valid_percent": 0.1}
        loose = _MOMENTS * true["stddev"] + 1e-6 * abs(true["mean"])
        return {name: true[name] for name, n in stated.items() if not abs(n - true[name]) <= slack.get(name, loose)}


def statistics_findings(
    document: Document, key: str, asset: dict[str, Any], kind: Kind, path: Path
) -> Iterator[Finding]:
    """Compares the ``statistics`` of an asset, its bands and its ``cube:variables`` with all values.

    Packed values are compared both as stored and as unpacked, since STAC does not say which it means.

    Args:
        document: The Item or Collection.
        key: Key of the asset.
        asset: The asset.
        kind: ``cog``, ``zarr`` or ``netcdf``.
        path: The data file.

    Yields:
        One finding for each band whose statistics the values contradict.

    """
    stated = _stated(document, asset)
    moments: dict[str, tuple[Moments, float, float]] = {}
    with suppress(SourceError, OSError, ValueError, KeyError, RuntimeError, TypeError):  # the format's checks report it
        if stated and kind == "cog":
            moments = dict(_moments_of_cog(path, set(stated)))
        elif stated:
            moments = dict(_moments_of_cube(path, set(stated), by_netcdf=kind == "netcdf"))
    for name, (found, scale, offset) in moments.items():
        wrong = min(found.contradicts(stated[name], 1, 0), found.contradicts(stated[name], scale, offset), key=len)
        if wrong:
            told = ", ".join(f"{part} {stated[name][part]:g} where it is {value:g}" for part, value in wrong.items())
            message = f"the statistics of {name} in the asset {key} of {document.subject} state {told}"
            yield rules.FACT_STATISTICS.finding(document.subject, message, stated[name], found.of(scale, offset))


def _stated(document: Document, asset: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Returns the numbers of ``statistics`` by name of the band, and by its position: ``band 1``, ``band 2``, …."""
    bands = listed(asset.get("bands")) or [asset]
    named = {f"band {index}": band for index, band in enumerate(bands, start=1)}
    named |= {str(band["name"]): band for band in bands if "name" in band}
    named |= mappings(field(document, asset, "cube:variables"))
    found = {name: mapping(band.get("statistics")) for name, band in named.items()}
    numbers = {
        name: {
            key: float(v) for key in _NAMES if isinstance(v := told.get(key), int | float) and not isinstance(v, bool)
        }
        for name, told in found.items()
    }
    return {name: known for name, known in numbers.items() if known}


# --- reading


def _moments_of_cog(path: Path, names: set[str]) -> Iterator[tuple[str, tuple[Moments, float, float]]]:
    """Yields name, moments, scale and offset of the named bands."""
    with open_tiff(str(path)) as src:
        for band in src.indexes:
            name = f"band {band}"
            if name in names and math.prod(src.block_shapes[band - 1]) * 16 <= DECODED:
                moments = Moments()
                for _, window in src.block_windows(band):
                    block = src.read(band, window=window, masked=True)
                    moments.add(_valid(block.compressed()), block.size)
                yield name, (moments, src.scales[band - 1], src.offsets[band - 1])


def _moments_of_cube(
    path: Path, names: set[str], *, by_netcdf: bool
) -> Iterator[tuple[str, tuple[Moments, float, float]]]:
    """Yields name, moments, scale and offset of the named variables."""
    with open_cube(path) as dataset:
        for name in names & set(map(str, dataset.data_vars)):
            variable, moments = dataset[name], Moments()
            if variable.dtype.kind not in "iuf":
                continue
            held = variable_of(name, variable, by_netcdf=by_netcdf)
            chunks = variable.encoding.get("preferred_chunks") or {}
            steps = [int(chunks.get(dim, 0)) or max(size, 1) for dim, size in variable.sizes.items()]
            starts = [range(0, size, step) for size, step in zip(variable.shape, steps, strict=True)]
            if math.prod(steps) * variable.dtype.itemsize <= DECODED:
                for at in product(*starts):
                    block = tuple(slice(a, a + step) for a, step in zip(at, steps, strict=True))
                    stored = variable[block].to_numpy()
                    moments.add(_valid(as_numbers(stored, held)[~missing(stored, held)]), stored.size)
            yield name, (moments, 1.0 if held.scale is None else held.scale, held.offset or 0.0)


def _valid(values: Any) -> Any:
    """Returns the values as float64, without NaN."""
    numbers = values.astype("f8")
    return numbers[numbers == numbers]  # noqa: PLR0124 - NaN
