"""Levels of lower resolution: their sizes, their places, and the cells that are made of finer ones. Arithmetic.

Each level has half the rows and columns of the one before, rounded up: the last cell of an odd row or column is made
of what remains. It keeps the size of the others on the ground, so that one transform holds for the whole level.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from earthcode_pack.cf.flags import is_flags
from earthcode_pack.cf.kinds import is_categorical, is_circular
from earthcode_pack.cf.missing import (
    NO_RANGE,
    Range,
    as_type,
    beyond,
    further_missing,
    holds,
    number_type,
    stated_nodata,
    valid_range,
)
from earthcode_pack.convert.cube.variables import names_of

if TYPE_CHECKING:
    import xarray as xr

    from earthcode_pack.model import Job

Array = np.ndarray[Any, Any]
Shape = tuple[int, int]
Transform = tuple[float, float, float, float, float, float]
Method = Literal["average", "mode", "nearest"]

SMALLEST = 256  # cells: what one tile of a map shows
_LONG = 8  # bytes of integers whose sums may leave their type


@dataclass(frozen=True)
class Level:
    """A coarser level: rows and columns, and the cells of the level before, and of the base, that make one."""

    shape: Shape
    step: Shape
    scale: Shape


def levels_of(shape: Shape, chunk: Shape) -> list[Level]:
    """Returns the levels of a grid, by two until both sizes are at most a chunk of the base and ``SMALLEST``.

    At least one, unless the grid is a single cell. A size of one is not halved.

    Args:
        shape: rows and columns of the base.
        chunk: rows and columns of a chunk of the base.

    Examples:
        >>> [level.shape for level in levels_of((5, 7), (2, 2))]
        [(3, 4), (2, 2)]

    """
    levels: list[Level] = []
    size, scale, enough = shape, (1, 1), tuple(min(length, SMALLEST) for length in chunk)
    while max(size) > 1 and (not levels or size[0] > enough[0] or size[1] > enough[1]):
        step = (min(size[0], 2), min(size[1], 2))
        size = (coarser(size[0]), coarser(size[1]))
        scale = (scale[0] * step[0], scale[1] * step[1])
        levels.append(Level(size, step, scale))
    return levels


def coarser(size: int) -> int:
    """Returns half a size, rounded up.

    >>> coarser(8), coarser(7), coarser(1)
    (4, 4, 1)
    """
    return -(-size // 2)


def scaled(transform: Transform, scale: Shape) -> Transform:
    """Returns the affine of a grid whose cells are ``scale`` (rows, columns) cells of another of the same corner.

    >>> scaled((10.0, 0.0, 500000.0, 0.0, -10.0, 4600000.0), (2, 4))
    (40.0, 0.0, 500000.0, 0.0, -20.0, 4600000.0)
    """
    a, b, c, d, e, f = transform
    return (a * scale[1], b * scale[0], c, d * scale[1], e * scale[0], f)


def fitted(chunk: int, shard: int | None, size: int) -> tuple[int, int | None]:
    """Returns chunk and shard of a level along one axis: those of the base, no longer than what they hold.

    Args:
        chunk: cells of a chunk of the base.
        shard: cells of a shard of the base, None without shards.
        size: cells of the level.

    Examples:
        >>> fitted(250, 1000, 1100), fitted(250, 1000, 600), fitted(250, 1000, 100), fitted(250, None, 100)
        ((250, 1000), (250, 750), (100, 100), (100, None))

    """
    short = min(chunk, size)
    return short, None if shard is None else min(shard // chunk, -(-size // short)) * short


def edges_of(transform: Transform, shape: Shape) -> tuple[Array, Array]:
    """Returns the edges of rows and columns, one more than there are cells, of a grid that is not rotated.

    >>> [edges.tolist() for edges in edges_of((2.0, 0.0, 10.0, 0.0, -1.0, 5.0), (2, 1))]
    [[5.0, 4.0, 3.0], [10.0, 12.0]]
    """
    a, _, c, _, e, f = transform
    return f + e * np.arange(shape[0] + 1), c + a * np.arange(shape[1] + 1)


def coarsen(block: Array, axes: dict[int, int], method: Method, missing: tuple[float | int, ...], fill: Any) -> Array:
    """Reduces a block to coarser cells of the same type.

    Args:
        block: the cells.
        axes: cells that make one, one or two, by axis.
        method: ``average`` is exact and rounded half up in integers, in double precision otherwise. ``mode`` is the
            most frequent value, the first of several in the order of the block. ``nearest`` is the first cell, missing
            or not.
        missing: values that do not count, as NaN does not.
        fill: what a cell of nothing but missing ones becomes.

    """
    if method == "nearest":
        return np.ascontiguousarray(block[_every(block.ndim, axes, dict.fromkeys(axes, 0))])
    cells, valid = _members(block, axes, missing)
    if method == "mode":
        return _mode(cells, valid, fill)
    return _whole_average(cells, valid, fill) if block.dtype.kind in "iu" else _average(cells, valid, fill)


def _every(ndim: int, axes: dict[int, int], starts: dict[int, int]) -> tuple[slice, ...]:
    return tuple(slice(starts[axis], None, axes[axis]) if axis in axes else slice(None) for axis in range(ndim))


def _members(
    block: Array, axes: dict[int, int], missing: tuple[float | int, ...]
) -> tuple[list[Array], list[Array | None]]:
    """Returns the first cells of all coarser ones, the second, …, and where they count; None where all of them do."""
    cells: list[Array] = []
    valid: list[Array | None] = []
    shape = tuple(-(-size // axes.get(axis, 1)) for axis, size in enumerate(block.shape))
    for number in range(int(np.prod(list(axes.values())))):
        starts, rest = {}, number
        for axis in sorted(axes, reverse=True):
            rest, starts[axis] = divmod(rest, axes[axis])
        member = block[_every(block.ndim, axes, starts)]
        counts = _counting(member, missing)
        if member.shape != shape:  # the last row or column has no second cell
            counts = np.ones(member.shape, bool) if counts is None else counts
            member, counts = _padded(member, shape), _padded(counts, shape)
        cells.append(member)
        valid.append(counts)
    return cells, valid


def _counting(cells: Array, missing: tuple[float | int, ...]) -> Array | None:
    gone = np.isnan(cells) if cells.dtype.kind == "f" else None
    for value in missing:
        if value == value:  # noqa: PLR0124 - NaN is none already
            same = cells == cells.dtype.type(value)
            gone = same if gone is None else gone | same
    return None if gone is None or not gone.any() else cast("Array", ~gone)


def _padded(cells: Array, shape: tuple[int, ...]) -> Array:
    out = np.zeros(shape, cells.dtype)
    out[tuple(slice(size) for size in cells.shape)] = cells
    return out


def _count(valid: list[Array | None], shape: tuple[int, ...]) -> Array | int:
    """Returns how many cells count: one number where none is missing anywhere."""
    if all(counts is None for counts in valid):
        return len(valid)
    total = np.zeros(shape, np.int8)
    for counts in valid:
        total += 1 if counts is None else counts
    return total


def _average(cells: list[Array], valid: list[Array | None], fill: Any) -> Array:
    total = np.zeros(cells[0].shape, np.float64)
    count = _count(valid, total.shape)
    with np.errstate(invalid="ignore", over="ignore"):  # infinities, of which there may be two
        for cell, counts in zip(cells, valid, strict=True):
            total += cell if counts is None else np.where(counts, cell, 0)
        total /= np.maximum(count, 1)
        return _filled(total.astype(cells[0].dtype), count, fill)


def _whole_average(cells: list[Array], valid: list[Array | None], fill: Any) -> Array:
    """Averages in integers throughout; those of eight bytes by quotients and remainders, whose sums fit the type."""
    dtype = cells[0].dtype
    wide = dtype if dtype.itemsize == _LONG else np.dtype(np.int32 if dtype.itemsize < 4 else np.int64)  # noqa: PLR2004
    count = _count(valid, cells[0].shape)
    divisor = np.maximum(count, 1).astype(wide) if isinstance(count, np.ndarray) else wide.type(count)
    total, rest = np.zeros(cells[0].shape, wide), np.zeros(cells[0].shape, wide)
    for cell, counts in zip(cells, valid, strict=True):
        value = (cell if counts is None else np.where(counts, cell, 0)).astype(wide, copy=False)
        if dtype.itemsize == _LONG:
            total += value // divisor
            rest += value - value // divisor * divisor
        else:
            rest += value
    mean = total + (2 * rest + divisor) // (2 * divisor)
    return _filled(mean.astype(dtype), count, fill)


def _mode(cells: list[Array], valid: list[Array | None], fill: Any) -> Array:
    votes = [np.ones(cells[0].shape, np.int8) for _ in cells]
    for one, other in combinations(range(len(cells)), 2):
        same = cells[one] == cells[other]
        for counts in (valid[one], valid[other]):
            if counts is not None:
                same &= counts
        votes[one] += same
        votes[other] += same
    best, most = cells[0].copy(), np.zeros(cells[0].shape, np.int8)
    for cell, counts, own in zip(cells, valid, votes, strict=True):
        if counts is not None:
            np.multiply(own, counts, out=own)
        wins = own > most
        np.copyto(best, cell, where=wins)
        np.copyto(most, own, where=wins)
    return _filled(best, most, fill)


def _filled(values: Array, count: Array | int, fill: Any) -> Array:
    if isinstance(count, np.ndarray):
        values[count == 0] = fill
    return values


# --- resampling of a variable, by what its values mean ----------------------------------------------------------------


@dataclass(frozen=True)
class Resampling:
    """Method by which coarser cells are made of stored values.

    ``missing`` are the values that do not count, ``fill`` is what a cell without any other becomes, ``valid`` are the
    least and the greatest value that count. ``data`` tells a data variable from a coordinate or helper; ``dtype`` is
    how the stored bytes are to be read.
    """

    method: Method
    missing: tuple[float | int, ...]
    fill: float | int
    dtype: str
    data: bool
    valid: Range = NO_RANGE

    def apply(self, block: Array, axes: dict[int, int]) -> Array:
        """Returns the coarser cells of a block of stored values, in its own type."""
        if self.method == "nearest":
            return coarsen(block, axes, "nearest", (), None)
        numbers = block.view(self.dtype)
        outside = beyond(numbers, self.valid)
        if outside is not None and outside.any():  # ``fill`` is among ``missing`` then
            numbers = np.where(outside, numbers.dtype.type(self.fill), numbers)
        return coarsen(numbers, axes, self.method, self.missing, self.fill).view(block.dtype)


def resampling_of(name: str, variable: xr.Variable, job: Job) -> Resampling:
    """Returns mode for classes and flags, average for amounts, nearest for directions and coordinates.

    Values are averaged as they are stored: the mean of packed values is the packed mean. ``_Unsigned`` is respected.

    Args:
        name: of an array of the store.
        variable: the array, undecoded.
        job: the job that made it.

    """
    stored, data = variable.dtype.newbyteorder("=").name, name in names_of(job.inputs)
    if variable.dtype.kind not in "iuf":
        method = _method(name, variable, job) if data else "nearest"
        return Resampling(method, (), 0, variable.dtype.newbyteorder("=").str, data)
    kind, valid = number_type(variable.attrs, stored), valid_range(variable.attrs, stored)
    missing = _missing(name, variable.attrs, stored, job)
    fill = missing[0] if missing else _number_beyond(valid, kind)
    return Resampling(
        method=_method(name, variable, job) if data else "nearest",
        missing=missing if missing or valid == NO_RANGE else (fill,),
        fill=fill,
        dtype=kind,
        data=data,
        valid=valid,
    )


def _number_beyond(valid: Range, kind: str) -> float | int:
    """Returns a number that means missing where none is stated: NaN, else one beyond the valid range, else zero."""
    low, high = valid
    ends = [end for end in (None if high is None else high + 1, None if low is None else low - 1) if end is not None]
    if np.dtype(kind).kind == "f":
        return float("nan")
    return next((int(end) for end in ends if holds(kind, end)), 0)


def _method(name: str, variable: xr.Variable, job: Job) -> Method:
    held = [v for source in job.inputs for v in source.variables if v.name == name]
    described = job.described.get(name, {})
    if is_flags(variable.attrs) or any(is_categorical(v, described) for v in held):
        return "mode"
    return "nearest" if is_circular(name, variable.attrs, variable.attrs.get("units")) else "average"


def _missing(name: str, attrs: dict[Any, Any], stored: str, job: Job) -> tuple[float | int, ...]:
    """Returns the numbers that mean missing, the one that is written for missing cells first (CF 2.5.1)."""
    held = [v for source in job.inputs for v in source.variables if v.name == name and v.dtype == stored]
    further = [*further_missing(attrs, stored), *(value for v in held for value in v.missing)]
    every = [v for v in (stated_nodata(attrs, stored), *further) if v is not None and holds(stored, v)]
    return tuple(dict.fromkeys(as_type(value, number_type(attrs, stored)) or 0 for value in every))
