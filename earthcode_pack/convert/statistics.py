"""Statistics that are gathered block by block while converting, never by reading twice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from earthcode_pack.model import Statistics, Value

Array = np.ndarray[Any, Any]

_SLAB = 2**16  # values
_SAMPLE = 31  # values


class Tally(Value):
    """Count, extremes, mean and sum of squared deviations of the valid values; two tallies add up.

    The sum follows Chan, Golub and LeVeque (1983), «Algorithms for computing the sample variance», formula 2.1.
    """

    total: int = 0
    count: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    mean: float = 0.0
    deviations: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        count = self.count + other.count
        if count == 0:
            return Tally(total=self.total + other.total)
        delta = other.mean - self.mean
        return Tally(
            total=self.total + other.total,
            count=count,
            minimum=min(self.minimum, other.minimum),
            maximum=max(self.maximum, other.maximum),
            mean=self.mean + delta * other.count / count,
            deviations=self.deviations + other.deviations + delta * delta * self.count * other.count / count,
        )

    def statistics(self, scale: float | None, offset: float | None) -> Statistics | None:
        """Of the unpacked values (``stored * scale + offset``); None where none is valid, or a sum passes float64."""
        if self.count == 0 or not math.isfinite(self.mean + self.deviations):
            return None
        factor, shift = 1.0 if scale is None else scale, 0.0 if offset is None else offset
        ends = sorted((self.minimum * factor + shift, self.maximum * factor + shift))
        return Statistics(
            minimum=ends[0],
            maximum=ends[1],
            mean=self.mean * factor + shift,
            stddev=math.sqrt(self.deviations / self.count) * abs(factor),
            valid_percent=100 * self.count / self.total,
        )


def tally(block: Array, nodata: float | None, hidden: Array | None = None) -> Tally:
    """The tally of one block of stored values; NaN, infinities, nodata and what is ``hidden`` do not count."""
    values = np.ascontiguousarray(block).reshape(-1)
    covers = None if hidden is None else np.ascontiguousarray(hidden).reshape(-1)
    out = Tally()
    for start in range(0, values.size, _SLAB):  # what is worked on stays in the cache, and little memory is taken
        part = slice(start, start + _SLAB)
        out += _tally(values[part], nodata, None if covers is None else covers[part])
    return out


def _tally(block: Array, nodata: float | None, hidden: Array | None) -> Tally:
    """Shifted sums, which need one pass; the shift is a typical value, so that nothing cancels out."""
    valid = _valid(block, nodata, hidden)
    count = block.size if valid is None else int(np.count_nonzero(valid))
    if count == 0:
        return Tally(total=block.size)
    typical = _typical(block, valid)
    values = block if valid is None else _filled(block, valid, typical)
    with np.errstate(over="ignore", invalid="ignore"):  # near the ends of float64; see Tally.statistics
        shifted = values.astype(np.float64)
        shifted -= np.float64(typical)
        total = float(np.einsum("i->", shifted))
        deviations = max(float(np.einsum("i,i->", shifted, shifted)) - total * (total / count), 0.0)
    return Tally(
        total=block.size,
        count=count,
        minimum=float(values.min()),
        maximum=float(values.max()),
        mean=float(typical) + total / count,
        deviations=deviations,
    )


def _valid(block: Array, nodata: float | None, hidden: Array | None) -> Array | None:
    """Which values count; None where all do."""
    keep = np.isfinite(block) if block.dtype.kind == "f" else None
    if nodata is not None and np.isfinite(nodata):  # others are not finite anyway
        known = block != block.dtype.type(nodata)
        keep = known if keep is None else np.logical_and(keep, known, out=keep)
    if hidden is not None:
        keep = ~hidden if keep is None else keep & ~hidden
    return None if keep is None or keep.all() else keep


def _filled(block: Array, valid: Array, typical: Any) -> Array:
    """``np.where(valid, block, typical)``, without a branch: on the bits, modulo their width."""
    unsigned = np.dtype(f"u{block.dtype.itemsize}")
    base = np.asarray(typical, block.dtype).view(unsigned)
    bits = block.view(unsigned) - base
    bits *= valid
    bits += base
    filled: Array = bits.view(block.dtype)
    return filled


def _typical(block: Array, valid: Array | None) -> Any:
    """The median of a few valid values, in the type of the block."""
    step = max(block.size // _SAMPLE, 1)
    few = block[::step] if valid is None else block[::step][valid[::step]]
    if few.size == 0 and valid is not None:
        return block[np.argmax(valid)]
    return np.partition(few, few.size // 2)[few.size // 2]
