"""Running statistics and histograms, gathered block by block while converting, never by reading twice.

Histograms add up exactly: the width of a bin is a power of two, and its edges are multiples of the width. For such bins
``floor(v / 2**(k+1)) == floor(floor(v / 2**k) / 2)``: counting in narrow bins and joining them gives what counting in
wide ones gives, so the histogram of a variable does not depend on how it was cut into blocks. (Numbers that only a
type's subnormals hold may be counted as zero.)
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import PlainSerializer, PlainValidator

from earthcode_pack.convert.buffers import scratch
from earthcode_pack.model import Histogram, Statistics, Value

Array = np.ndarray[Any, Any]

MOST = 256  # bins, so that the number of one fits a byte
_LEAST_EXPONENT = -1000  # exponent of a width: 2**-_LEAST_EXPONENT and its products are still float64
_SLAB = 2**18  # values
_BYTES = 2**20  # values of one byte, which are counted in one go
_ROW = 4096  # values that are squared and added at once, in float64
_FAR = 512  # bins: from there on a value less the edge of the first bin is exact (Sterbenz)
_FLOAT32 = range(-100, 101)  # exponents of a width: float32 holds the multiples
_SHORT = {"e", "f", "h", "H"}  # numpy's letters of what float32 holds: itself, half of it and integers of 16 bits


# --- histograms -------------------------------------------------------------------------------------------------------


class Frame(NamedTuple):
    """Frame of bins: of width ``2**exponent``, the first one begins at ``first * 2**exponent``."""

    exponent: int
    first: int


class Bins:
    """Counts of values by bin, from that of the least value to that of the greatest; two add up to those of all.

    Of integers whose span is below 256 a bin has the width 1 and holds one value.
    """

    __slots__ = ("counts", "frame")

    def __init__(self, frame: Frame, counts: Array) -> None:
        self.frame, self.counts = frame, counts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bins) and self.frame == other.frame and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash((self.frame, self.counts.tobytes()))

    def __reduce__(self) -> tuple[type[Bins], tuple[Frame, Array]]:
        return Bins, (self.frame, self.counts)

    def __add__(self, other: Bins) -> Bins:
        if self.frame == other.frame and self.counts.size == other.counts.size:
            return Bins(self.frame, self.counts + other.counts)
        frame, size = _common(self, other)
        counts = np.zeros(size, np.int64)
        for part in (self, other):
            _put(part, frame, counts)
        return Bins(frame, counts)

    @property
    def edges(self) -> tuple[float, float]:
        """Lower edge of the first bin and upper one of the last, in stored values. Raises ``OverflowError``."""
        first, last = self.frame.first, self.frame.first + self.counts.size
        return math.ldexp(first, self.frame.exponent), math.ldexp(last, self.frame.exponent)


def frame_of(low: float, high: float, floor: int) -> Frame:
    """Returns the narrowest bins, of width ``2**floor`` at least, of which 256 hold all from ``low`` to ``high``."""
    span = high / MOST - low / MOST
    exponent = max(floor, math.frexp(span)[1] - 1) if span else floor
    while _index(high, exponent) - _index(low, exponent) >= MOST:
        exponent += 1
    return Frame(exponent, _index(low, exponent))


def _index(value: float, exponent: int) -> int:
    return math.floor(math.ldexp(value, -exponent))


def least_exponent(dtype: np.dtype[Any], low: float, high: float) -> int:
    """Returns the least exponent of a width: 0 for integers, that of the last bit of the greatest value for floats.

    It never falls when values are added, so that narrow bins are never asked of wide ones.
    """
    if dtype.kind != "f":
        return 0
    greatest = max(abs(low), abs(high))
    return max(_LEAST_EXPONENT, math.frexp(greatest)[1] - np.finfo(dtype).nmant - 1) if greatest else _LEAST_EXPONENT


def byte_counts(values: Array) -> Array:
    """Counts 0 to 255 in a contiguous uint8 array with Pillow, which is four times as fast as bincount."""
    from PIL import Image  # noqa: PLC0415 - a fiftieth of a second, and only where values are counted

    if values.size == 0:
        return np.zeros(MOST, np.int64)
    return np.array(Image.frombuffer("L", (values.size, 1), values, "raw", "L", 0, 1).histogram(), np.int64)


def trimmed(frame: Frame, counts: Array) -> Bins | None:
    """Returns bins without the empty ones at both ends; None where all are empty."""
    held = np.flatnonzero(counts)
    if held.size == 0:
        return None
    return Bins(Frame(frame.exponent, frame.first + int(held[0])), counts[held[0] : held[-1] + 1].copy())


def _common(one: Bins, other: Bins) -> tuple[Frame, int]:
    """Returns the narrowest bins of which 256 hold all of both, and how many hold some."""
    exponent = max(one.frame.exponent, other.frame.exponent)
    ends = [(part.frame, part.frame.first + part.counts.size - 1) for part in (one, other)]
    while True:
        first = min(frame.first >> (exponent - frame.exponent) for frame, _ in ends)
        last = max(end >> (exponent - frame.exponent) for frame, end in ends)
        if last - first < MOST:
            return Frame(exponent, first), last - first + 1
        exponent += 1


def _put(part: Bins, frame: Frame, counts: Array) -> None:
    shift, size = frame.exponent - part.frame.exponent, part.counts.size
    if shift == 0:
        start = part.frame.first - frame.first
        counts[start : start + size] += part.counts
    else:
        np.add.at(counts, [((part.frame.first + i) >> shift) - frame.first for i in range(size)], part.counts)


def _from_json(value: Any) -> Bins | None:
    if value is None or isinstance(value, Bins):
        return value
    exponent, first, counts = value
    return Bins(Frame(int(exponent), int(first)), np.array(counts, np.int64))


def _to_json(value: Bins | None) -> Any:
    return None if value is None else [*value.frame, value.counts.tolist()]


BinsField = Annotated[Bins | None, PlainValidator(_from_json), PlainSerializer(_to_json)]


# --- statistics -------------------------------------------------------------------------------------------------------

Distinct = tuple[tuple[int, int], ...]
"""Values with their counts, in the order of the values."""


class RunningStatistics(Value):
    """Count, extremes, mean, sum of squared deviations and histogram of the valid values; two of them add up.

    The sum follows Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance, formula 2.1.
    ``bins`` is None where there is nothing to count. ``distinct`` holds the values of categorical data with their
    counts, and is None where they are more than 256; it is empty for quantities.
    """

    total: int = 0
    count: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    mean: float = 0.0
    deviations: float = 0.0
    bins: BinsField = None
    distinct: Distinct | None = ()

    def __add__(self, other: RunningStatistics) -> RunningStatistics:
        count = self.count + other.count
        if self.count == 0 or other.count == 0:
            held = other if self.count == 0 else self
            return held.model_copy(update={"total": self.total + other.total})
        delta = other.mean - self.mean
        return RunningStatistics(
            total=self.total + other.total,
            count=count,
            minimum=min(self.minimum, other.minimum),
            maximum=max(self.maximum, other.maximum),
            mean=self.mean + delta * other.count / count,
            deviations=self.deviations + other.deviations + delta * delta * self.count * other.count / count,
            bins=self.bins + other.bins if self.bins and other.bins else None,
            distinct=_joined(self.distinct, other.distinct),
        )

    def statistics(self, scale: float | None, offset: float | None) -> Statistics | None:
        """Returns those of unpacked values (``stored * scale + offset``); None without valid ones, or on overflow."""
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
            count=self.count,
            histogram=self._histogram(factor, shift),
            values=self.distinct or (),
        )

    def _histogram(self, factor: float, shift: float) -> Histogram | None:
        """Returns the bins in unpacked units; classes that span more than 256 values have no meaningful bins."""
        if self.bins is None or (self.distinct != () and self.bins.frame.exponent > 0):
            return None
        try:
            ends = [edge * factor + shift for edge in self.bins.edges]
        except OverflowError:
            return None
        counts = self.bins.counts.tolist()
        if not all(map(math.isfinite, ends)):
            return None
        return Histogram(minimum=min(ends), maximum=max(ends), counts=tuple(counts if factor >= 0 else counts[::-1]))


def _joined(one: Distinct | None, other: Distinct | None) -> Distinct | None:
    if one is None or other is None:
        return None
    counts = dict(one)
    for value, count in other:
        counts[value] = counts.get(value, 0) + count
    return tuple(sorted(counts.items())) if len(counts) <= MOST else None


def statistics_of(
    block: Array, nodata: float | None, hidden: Array | None = None, *, categorical: bool = False
) -> RunningStatistics:
    """Computes the statistics of one block of stored values.

    Args:
        block: the values; NaN and infinities do not count.
        nodata: a value that does not count.
        hidden: true where values do not count, of the shape of the block.
        categorical: integers are names, so that each value is counted by itself besides.

    """
    values = np.ascontiguousarray(block).reshape(-1)
    covers = None if hidden is None else np.ascontiguousarray(hidden).reshape(-1)
    is_byte = values.dtype.itemsize == 1
    out = RunningStatistics()
    for start in range(0, values.size, _BYTES if is_byte else _SLAB):  # what is worked on stays in the cache
        part = slice(start, start + (_BYTES if is_byte else _SLAB))
        cover = None if covers is None else covers[part]
        out += (_of_bytes if is_byte else _of_numbers)(values[part], nodata, cover, categorical=categorical)
    return out


# --- one byte: each value is counted, and all else follows ----------------------------------------------------------


def _of_bytes(block: Array, nodata: float | None, hidden: Array | None, *, categorical: bool) -> RunningStatistics:
    seen = block if hidden is None else block[~hidden]
    counts, first = byte_counts(seen.view(np.uint8)), 0
    if block.dtype.kind == "i":
        counts, first = np.roll(counts, MOST // 2), -MOST // 2
    if nodata is not None and first <= nodata < first + MOST and float(nodata).is_integer():
        counts[int(nodata) - first] = 0
    bins = trimmed(Frame(0, first), counts)
    if bins is None:
        return RunningStatistics(total=block.size)
    values, counts = bins.frame.first + np.arange(bins.counts.size), bins.counts
    count = int(counts.sum())
    mean = int(counts @ values) / count
    return RunningStatistics(
        total=block.size,
        count=count,
        minimum=float(values[0]),
        maximum=float(values[-1]),
        mean=mean,
        deviations=float(counts @ (values - mean) ** 2),
        bins=bins,
        distinct=_pairs(values[counts > 0], counts[counts > 0]) if categorical else (),
    )


def _pairs(values: Array, counts: Array) -> Distinct | None:
    return tuple(zip(values.tolist(), counts.tolist(), strict=True)) if values.size <= MOST else None


# --- wider types: sums in units of a bin, from an edge of one; multiplying by a power of two rounds nothing ----------


def _of_numbers(block: Array, nodata: float | None, hidden: Array | None, *, categorical: bool) -> RunningStatistics:
    values, ends = block, (float(block.min()), float(block.max()))
    valid = _valid(block, nodata, hidden, ends)
    missing = 0 if valid is None else block.size - int(np.count_nonzero(valid))
    if missing == block.size:
        return RunningStatistics(total=block.size)
    if valid is not None:
        values = _filled(block, valid, block[np.argmax(valid)])
        ends = float(values.min()), float(values.max())
    frame = frame_of(*ends, least_exponent(block.dtype, *ends))
    places, index, origin = _in_bins(values, frame)
    counts, total, squares = byte_counts(index), float(np.einsum("i->", places)), _squares(places)
    if valid is not None:  # what was filled in is taken out again
        gap = int(np.argmin(valid))
        place = float(places[gap])  # Python's numbers overflow to infinity without a word
        counts[index[gap]] -= missing
        total, squares = total - missing * place, squares - missing * place * place
    count, width, is_named = block.size - missing, 2.0**frame.exponent, categorical and block.dtype.kind in "iu"
    return RunningStatistics(
        total=block.size,
        count=count,
        minimum=ends[0],
        maximum=ends[1],
        mean=(origin + total / count) * width,
        deviations=max(squares - total * (total / count), 0.0) * width * width,
        bins=trimmed(frame, counts),
        distinct=_pairs(*np.unique(block if valid is None else block[valid], return_counts=True)) if is_named else (),
    )


def _in_bins(values: Array, frame: Frame) -> tuple[Array, Array, int]:
    """Returns values in units of bins from ``origin``, as float64, and the number of each one's bin in the frame.

    From a far edge the difference is exact; near zero it would not be, and zero itself is the origin.
    """
    kind = np.dtype("f4" if values.dtype.char in _SHORT and frame.exponent in _FLOAT32 else "f8")
    scaled, index = _memory("scaled", values.size, kind), _memory("index", values.size, np.dtype("u1"))
    np.multiply(values, kind.type(2.0**-frame.exponent), out=scaled)
    is_near = -_FAR < frame.first < 0
    if is_near:
        whole = np.floor(scaled, out=_memory("whole", values.size, kind))
        whole -= frame.first
        np.copyto(index, whole, casting="unsafe")
    else:
        scaled -= kind.type(frame.first)
        np.copyto(index, scaled, casting="unsafe")
    places = scaled
    if kind != np.float64:
        places = _memory("places", values.size, np.dtype("f8"))
        np.copyto(places, scaled)
    return places, index, 0 if is_near else frame.first


def _memory(purpose: str, size: int, kind: np.dtype[Any]) -> Array:
    return scratch(f"statistics: {purpose}", size * kind.itemsize).view(kind)


def _squares(values: Array) -> float:
    """Returns the sum of squares, in rows that BLAS takes without threads."""
    rows = values[: values.size // _ROW * _ROW].reshape(-1, _ROW)
    rest = values[rows.size :]
    return float(np.vecdot(rows, rows).sum() + np.vecdot(rest, rest))


def _valid(block: Array, nodata: float | None, hidden: Array | None, ends: tuple[float, float]) -> Array | None:
    """Returns where values count in a block from the least to the greatest of ``ends``; None where all do."""
    keep: Array | None = None
    if not all(map(math.isfinite, ends)):
        keep = np.isfinite(block, out=_memory("valid", block.size, np.dtype("?")))
    if nodata is not None and np.isfinite(nodata):  # others are not finite anyway
        known = np.not_equal(block, block.dtype.type(nodata), out=_memory("known", block.size, np.dtype("?")))
        keep = known if keep is None else np.logical_and(keep, known, out=keep)
    if hidden is not None:
        keep = ~hidden if keep is None else np.greater(keep, hidden, out=keep)
    return None if keep is None or keep.all() else keep


def _filled(block: Array, valid: Array, typical: Any) -> Array:
    """Computes ``np.where(valid, block, typical)`` without a branch: on the bits, modulo their width."""
    unsigned = np.dtype(f"u{block.dtype.itemsize}")
    base = np.asarray(typical, block.dtype).view(unsigned)
    bits = np.subtract(block.view(unsigned), base, out=_memory("filled", block.size, unsigned))
    bits *= valid
    bits += base
    filled: Array = bits.view(block.dtype)
    return filled
