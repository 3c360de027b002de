"""Overviews as GDAL grows them: each from the one before, its rows as soon as the rows below them are there.

Sizes are halved and rounded down, as in GDAL's COG driver. The arithmetic is GDAL's own, which reads the rows from a
dataset in memory; but for floats with missing values, where GDAL's reading and its overviews round differently, and for
integers of 64 bits with missing values, which GDAL takes for doubles.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rasterio.io import DatasetWriter

    from earthcode_pack.convert.cog.raster_metadata import RasterMetadata

Array = np.ndarray[Any, Any]
Shape = tuple[int, int]  # rows, columns

_ROUNDING = 1e-8  # of a cell, as GDAL has it


def level_shapes(shape: Shape, blocksize: int) -> list[Shape]:
    """Returns the shape of the full resolution, then of overviews by two until one tile holds all.

    Args:
        shape: rows and columns.
        blocksize: rows and columns of a tile.

    Examples:
        >>> level_shapes((1025, 700), 512)
        [(1025, 700), (512, 350)]

    """
    shapes = [shape]
    while max(shapes[-1]) > blocksize:
        height, width = shapes[-1]
        shapes.append((max(height // 2, 1), max(width // 2, 1)))
    return shapes


def streams(shape: Shape, metadata: RasterMetadata, resampling: str) -> bool:
    """Tells whether a level can be halved by strips; else all its rows must be at hand at once.

    GDAL reads a part with its own origin, so cells that cut others would be weighted with another rounding.
    """
    of_our_own = (resampling == "average" and metadata.dtype.startswith("float")) or are_exact(metadata, resampling)
    if resampling == "nearest" or of_our_own:
        return True
    return shape[0] % 2 == 0 or shape[0] == 1


class Halving:
    """Reduces the rows of a level, fed from north to south, to rows of the next."""

    def __init__(self, shape: Shape, target: Shape, metadata: RasterMetadata, resampling: str) -> None:
        self._shape, self._target, self._metadata = shape, target, metadata
        self._ratio = shape[0] / target[0]
        self._resampling = resampling
        self._streams = streams(shape, metadata, resampling)
        # No mean of valid values is nodata: it is an end of a type whose means GDAL has a fast way for.
        never_nodata = (
            resampling == "average"
            and metadata.dtype in ("uint8", "uint16")
            and not metadata.has_alpha
            and metadata.nodata in (0, np.iinfo(metadata.dtype).max)
        )
        self._is_plain = never_nodata and self._ratio == shape[1] / target[1] == 2  # noqa: PLR2004
        self._columns = spans(0, target[1], shape[1] / target[1], shape[1])
        self._held: list[Array] = []
        self._first = self._fed = self._made = 0  # rows: where the held ones begin, of the level, of the target

    def feed(self, rows: Array) -> Array | None:
        """Returns rows of the target (bands, rows, columns) that can be made now; None where more is needed first."""
        self._held.append(rows)
        self._fed += rows.shape[1]
        done = self._fed == self._shape[0]
        ready = self._target[0] if done else min(int(self._fed / self._ratio + _ROUNDING), self._target[0])
        if ready <= self._made or not (done or self._streams):
            return None
        held = self._held[0] if len(self._held) == 1 else np.concatenate(self._held, axis=1)
        if self._resampling == "nearest":
            made = self._nearest(held, ready)
        elif are_exact(self._metadata, self._resampling) or (self._resampling == "average" and held.dtype.kind == "f"):
            made = self._by_lines(held, ready)
        else:
            made = self._by_gdal(held, ready)
        row = math.floor(ready * self._ratio + _ROUNDING)
        rest = held[:, row - self._first :]
        self._held, self._first, self._made = ([rest] if rest.shape[1] else []), row, ready
        return made

    def _nearest(self, held: Array, ready: int) -> Array:
        rows = (0.5 + np.arange(self._made, ready) * self._ratio).astype(int) - self._first
        columns = (0.5 + np.arange(self._target[1]) * (self._shape[1] / self._target[1])).astype(int)
        inside = np.minimum(rows, held.shape[1] - 1), np.minimum(columns, self._shape[1] - 1)
        return np.ascontiguousarray(held[:, inside[0][:, np.newaxis], inside[1]])

    def _by_gdal(self, held: Array, ready: int) -> Array:
        """Reads just these rows resampled by GDAL; an alpha band counts only where something is seen."""
        if self._metadata.has_alpha:
            alpha = self._read(held[-1:], ready, 0, ())
            return np.concatenate([self._read(held, ready, None, self._metadata.colorinterp)[:-1], alpha])
        if self._is_plain:
            return self._read_by_columns(held)
        return self._read(held, ready, self._metadata.nodata, ())

    def _read_by_columns(self, held: Array) -> Array:
        """Averages by GDAL, which is five times as fast, and the same, where it is told that no cell is missing."""
        nodata = self._metadata.nodata
        made = np.empty((held.shape[0], held.shape[1] // 2, self._target[1]), held.dtype)
        lacking = _runs((held == nodata).any(axis=(0, 1)))
        with _dataset(held, nodata, ()) as dataset:
            for known in (nodata, None):
                dataset.nodata = known
                for start, stop in lacking[known is not None]:
                    window = Window(start, 0, stop - start, held.shape[1])
                    shape = (held.shape[0], held.shape[1] // 2, (stop - start) // 2)
                    made[:, :, start // 2 : stop // 2] = dataset.read(
                        window=window, out_shape=shape, resampling=Resampling.average
                    )
        return made

    def _read(self, held: Array, ready: int, nodata: float | None, colorinterp: tuple[Any, ...]) -> Array:
        width, start, stop = self._shape[1], self._made * self._ratio, ready * self._ratio
        with _dataset(held, nodata, colorinterp) as dataset:
            return np.asarray(
                dataset.read(
                    window=Window(0, start - self._first, width, stop - start),
                    out_shape=(held.shape[0], ready - self._made, self._target[1]),
                    resampling=Resampling[self._resampling],
                )
            )

    def _by_lines(self, held: Array, ready: int) -> Array:
        """Reduces a few lines at a time: what is worked on stays in the cache."""
        made = np.empty((held.shape[0], ready - self._made, self._target[1]), held.dtype)
        lines = max(_CELLS // self._shape[1], 1)
        for start in range(self._made, ready, lines):
            stop = min(start + lines, ready)
            made[:, start - self._made : stop - self._made] = self._lines(held, start, stop)
        return made

    def _lines(self, held: Array, start: int, stop: int) -> Array:
        """Returns the mean of the valid cells below each new one, in double precision, cells at rims by their share.

        Integers of 64 bits are reduced exactly.
        """
        rows = spans(start, stop, self._ratio, self._shape[0])
        first, last = int(rows[0][0][0]), max(int(index[-1]) for index, _ in rows) + 1
        part = held[:, first - self._first : last - self._first]
        if held.dtype.kind != "f":
            within = [(index - first, share) for index, share in rows]
            return _reduce_integers(part, within, self._columns, int(self._metadata.nodata or 0), self._resampling)
        sums, weights = _weighted_sums(part, self._metadata.nodata, self._columns)
        total, weight = _over_rows(sums, weights, rows, first)
        return _rounded(total, weight, self._metadata.nodata, held.dtype)


@contextmanager
def _dataset(held: Array, nodata: float | None, colorinterp: tuple[Any, ...]) -> Iterator[DatasetWriter]:
    """Opens rows as a dataset of GDAL in memory."""
    bands, height, width = held.shape
    with rasterio.open(
        "rows", "w+", driver="MEM", width=width, height=height, count=bands, dtype=held.dtype, nodata=nodata,
        transform=_SOMEWHERE,
    ) as dataset:  # fmt: skip
        if colorinterp:
            dataset.colorinterp = colorinterp
        dataset.write(held)
        yield dataset


def _runs(lacks: Array) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Returns spans of columns, in steps of ``_COLUMNS``, in which nothing is missing, and in which something is.

    >>> _runs(np.arange(1200) == 600)
    ([(0, 512), (1024, 1200)], [(512, 1024)])
    """
    edges = [*range(0, lacks.size, _COLUMNS), lacks.size]
    spans: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for start, stop in pairwise(edges):
        kind = spans[bool(lacks[start:stop].any())]
        goes_on = kind and kind[-1][1] == start
        kind.append((kind.pop()[0] if goes_on else start, stop))
    return spans


_COLUMNS = 512
_CELLS = 2**16  # of a level, that are averaged at once
_SOMEWHERE = rasterio.Affine(2, 0, 0, 0, -2, 0)  # rasterio warns of datasets without a transform

Span = tuple[Array, Array]  # for each new cell: the index of an old one, and its weight


def spans(start: int, stop: int, ratio: float, size: int) -> list[Span]:
    """Returns the old cells below each of the new cells ``start`` to ``stop``: the first of each, then the second ones.

    A new cell reaches from ``j * ratio`` to ``(j + 1) * ratio``; what it cuts counts by the share that lies inside. The
    weight is zero where a new cell has fewer old ones.
    """
    new = np.arange(start, stop)
    left, right = new * ratio, (new + 1) * ratio
    first = (left + _ROUNDING).astype(np.int64)
    last = np.minimum(np.maximum(np.ceil(right - _ROUNDING).astype(np.int64), first + 1), size)
    out = []
    for number in range(int((last - first).max())):
        index = first + number
        weight = np.where(index + 1 == last, 1.0 - (last - right), 1.0)
        if number == 0:
            weight = np.where(first + 1 == last, 1.0, 1.0 - (left - first))
        out.append((np.minimum(index, size - 1), np.where(index < last, weight, 0.0)))
    return out


def _is_half(columns: list[Span]) -> bool:
    """Tells whether every new cell lies on exactly two old ones."""
    return len(columns) == 2 and all((weight == 1).all() for _, weight in columns)  # noqa: PLR2004 - as it says


def _weighted_sums(rows: Array, nodata: float | None, columns: list[Span]) -> tuple[Array, Array]:
    """Returns sums of the valid values along a row and of their weights, for each new column."""
    valid = _valid(rows, nodata)
    values = rows.astype(np.float64)
    if not valid.all():
        np.copyto(values, 0.0, where=~valid)
    if _is_half(columns):
        size = 2 * columns[0][0].size
        pairs = valid.view(np.uint8)
        pairs_of_values = values[..., 0:size:2] + values[..., 1:size:2]
        pairs_of_values += 0.0  # a sum of negative zeros is zero: GDAL's sums begin with it
        return pairs_of_values, pairs[..., 0:size:2] + pairs[..., 1:size:2]
    shape = (*rows.shape[:-1], columns[0][0].size)
    sums, weights = np.zeros(shape), np.zeros(shape)
    for index, weight in columns:
        sums += values[..., index] * weight
        weights += valid[..., index] * weight
    return sums, weights


def _valid(rows: Array, nodata: float | None) -> Array:
    """Returns where values are not nodata, nor so close that GDAL takes them for it (``ARE_REAL_EQUAL``)."""
    if nodata is None or math.isnan(nodata):
        return np.asarray(rows == rows)  # noqa: PLR0124 - NaN
    below, above = _neighbours(nodata, rows.dtype)
    valid: Array = ~((rows > below) & (rows < above))
    return valid


def _neighbours(nodata: float, dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Returns the values next to nodata, on either side, that differ by more than two epsilons of their sum.

    The sum is taken of halves: beside the largest value of a type it would be infinite, and everything near.
    """
    value, ends = dtype.type(nodata), []
    for way in (-np.inf, np.inf):
        with np.errstate(over="ignore"):
            near = np.nextafter(value, dtype.type(way))
            while np.isfinite(near) and abs(near - value) < np.finfo(dtype).eps * abs(near / 2 + value / 2) * 4:
                near = np.nextafter(near, dtype.type(way))
        ends.append(near)
    return ends[0], ends[1]


def _over_rows(sums: Array, weights: Array, rows: list[Span], first: int) -> tuple[Array, Array]:
    """Adds sums of rows from north to south."""
    if _is_half(rows):
        start, size = int(rows[0][0][0]) - first, 2 * rows[0][0].size
        north, south = slice(start, start + size, 2), slice(start + 1, start + size, 2)
        return sums[:, north] + sums[:, south], weights[:, north] + weights[:, south]
    total = weight = None
    for index, share in rows:
        held = np.minimum(index - first, sums.shape[1] - 1)
        column = share[:, np.newaxis]
        total = sums[:, held] * column if total is None else total + sums[:, held] * column
        weight = weights[:, held] * column if weight is None else weight + weights[:, held] * column
    assert total is not None and weight is not None, "a cell lies on something"  # noqa: PT018
    return total, weight


def _rounded(total: Array, weight: Array, nodata: float | None, dtype: np.dtype[Any]) -> Array:
    """Returns the means in their type: missing where nothing was valid, and no valid one equal to nodata."""
    missing = float("nan") if nodata is None else nodata
    mean = np.full(total.shape, missing)
    with np.errstate(over="ignore", invalid="ignore"):
        np.divide(total, weight, out=mean, where=weight > 0)
        out = mean.astype(dtype)
    if not math.isnan(missing):
        clash = (out == dtype.type(missing)) & (weight > 0)
        value = dtype.type(missing)
        out[clash] = np.nextafter(value, dtype.type(0 if value == np.finfo(dtype).max else np.inf))  # the one beside it
    return out


# --- 64-bit integers with nodata, exactly: GDAL takes them for doubles, and missing cells become numbers --------------

_EXACT_TYPES = (np.dtype(np.int64), np.dtype(np.uint64))


def are_exact(metadata: RasterMetadata, resampling: str) -> bool:
    """Tells whether overviews are computed here: of 64-bit integers that have nodata, by average or mode.

    GDAL 3.12 writes 0 for missing cells in both, or 2^63 - 1024 for a nodata of 2^63 - 1.
    """
    return (
        np.dtype(metadata.dtype) in _EXACT_TYPES and metadata.nodata is not None and resampling in ("average", "mode")
    )


def _reduce_integers(block: Array, rows: list[Span], columns: list[Span], nodata: int, resampling: str) -> Array:
    """Returns new cells (bands, rows, columns) of a block of whole old ones; nodata where nothing below is valid.

    ``rows`` and ``columns`` are the old cells below each new one, counted from the first of the block, with weights.
    """
    # The first of the old cells below each new one with its weight, then the second, …, from north-west.
    parts = [
        (block[:, row[:, np.newaxis], column], share[:, np.newaxis] * part)
        for row, share in rows
        for column, part in columns
    ]
    values = np.stack([part for part, _ in parts])
    weights = np.stack([np.broadcast_to(weight, part.shape) for part, weight in parts])
    weights = np.where(values == block.dtype.type(nodata), 0.0, weights)
    made = _integer_mode(values, weights) if resampling == "mode" else _integer_mean(values, weights, nodata)
    return np.where(weights.any(axis=0), made, block.dtype.type(nodata))


def _integer_mode(values: Array, weights: Array) -> Array:
    """Returns the value of the most cells; of several the first from the north-west."""
    valid = weights > 0
    counts = [((values == value) & valid).sum(axis=0) for value in values]
    chosen = np.argmax(np.where(valid, np.stack(counts), 0), axis=0)
    return np.asarray(np.take_along_axis(values, chosen[np.newaxis], axis=0)[0])


def _integer_mean(values: Array, weights: Array, nodata: int) -> Array:
    """Returns the weighted mean, to the nearest integer: of differences from the least one, which doubles hold better.

    A mean that equals nodata becomes the least value, which is valid.
    """
    greatest = np.iinfo(values.dtype).max
    least = np.where(weights > 0, values, greatest).min(axis=0)
    above = np.where(weights > 0, (values - least).view(np.uint64), 0).astype(np.float64)
    total = weights.sum(axis=0)
    mean = np.divide((above * weights).sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    made = least + np.floor(mean + 0.5).astype(np.uint64).view(values.dtype)
    return np.where(made == values.dtype.type(nodata), least, made)
