"""Histograms that add up exactly: bins whose width is a power of two, with edges at multiples of the width.

For such bins ``floor(v / 2**(k+1)) == floor(floor(v / 2**k) / 2)``: counting in narrow bins and joining them gives what
counting in wide ones gives, so the histogram of a variable does not depend on how it was cut into blocks. (Numbers
that only a type's subnormals hold may be counted as zero.)
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import PlainSerializer, PlainValidator

Array = np.ndarray[Any, Any]

MOST = 256  # bins, so that the number of one fits a byte
_LEAST = -1000  # exponent of a width: 2**-_LEAST and its products are still float64


class Frame(NamedTuple):
    """Which bins: those of width ``2**exponent`` from the one that begins at ``first * 2**exponent``."""

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
        """The lower edge of the first bin and the upper one of the last, in stored values. Raises ``OverflowError``."""
        first, last = self.frame.first, self.frame.first + self.counts.size
        return math.ldexp(first, self.frame.exponent), math.ldexp(last, self.frame.exponent)


def frame_of(low: float, high: float, floor: int) -> Frame:
    """The narrowest bins, of width ``2**floor`` at least, of which 256 hold all from ``low`` to ``high``."""
    span = high / MOST - low / MOST
    exponent = max(floor, math.frexp(span)[1] - 1) if span else floor
    while _index(high, exponent) - _index(low, exponent) >= MOST:
        exponent += 1
    return Frame(exponent, _index(low, exponent))


def _index(value: float, exponent: int) -> int:
    return math.floor(math.ldexp(value, -exponent))


def least_exponent(dtype: np.dtype[Any], low: float, high: float) -> int:
    """Of integers 0; of floats that of the last bit of the greatest value, below which bins would tell nothing apart.

    It never falls when values are added, so that narrow bins are never asked of wide ones.
    """
    if dtype.kind != "f":
        return 0
    greatest = max(abs(low), abs(high))
    return max(_LEAST, math.frexp(greatest)[1] - np.finfo(dtype).nmant - 1) if greatest else _LEAST


def byte_counts(values: Array) -> Array:
    """How often each of 0 to 255 occurs in a contiguous uint8 array: Pillow counts four times as fast as bincount."""
    from PIL import Image  # noqa: PLC0415 - a fiftieth of a second, and only where values are counted

    if values.size == 0:
        return np.zeros(MOST, np.int64)
    return np.array(Image.frombuffer("L", (values.size, 1), values, "raw", "L", 0, 1).histogram(), np.int64)


def trimmed(frame: Frame, counts: Array) -> Bins | None:
    """Bins without the empty ones at both ends; None where all are empty."""
    held = np.flatnonzero(counts)
    if held.size == 0:
        return None
    return Bins(Frame(frame.exponent, frame.first + int(held[0])), counts[held[0] : held[-1] + 1].copy())


def _common(one: Bins, other: Bins) -> tuple[Frame, int]:
    """The narrowest bins of which 256 hold all of both, and how many hold some."""
    exponent = max(one.frame.exponent, other.frame.exponent)
    while True:
        ends = [_ends(part, exponent) for part in (one, other)]
        first, last = min(e[0] for e in ends), max(e[1] for e in ends)
        if last - first < MOST:
            return Frame(exponent, first), last - first + 1
        exponent += 1


def _ends(part: Bins, exponent: int) -> tuple[int, int]:
    shift = exponent - part.frame.exponent
    return part.frame.first >> shift, (part.frame.first + part.counts.size - 1) >> shift


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
