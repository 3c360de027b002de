"""Sizes and boundaries of chunks, and the regions that are written at once. Pure arithmetic."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from earthcode_pack.model import Input, Job, Variable

Sizes = dict[str, int]
Region = dict[str, tuple[int, int]]

# Stored bytes of a chunk before compression: about 8 MB compressed, what object stores serve best (Pangeo, EarthCODE).
CHUNK_BYTES = 16 * 2**20


def chunks_by_rule(rule: str, sizes: Mapping[str, int], itemsize: int, time: str | None, yx: tuple[str, str]) -> Sizes:
    """Returns chunk sizes for ``time-series`` (long in time), ``maps`` (in space) or ``balanced`` (equal cuts).

    Args:
        rule: ``time-series``, ``maps`` or ``balanced``.
        sizes: cells by dimension.
        itemsize: bytes of a stored value.
        time: the time dimension, None without one.
        yx: the dimensions of rows and columns.

    Examples:
        >>> chunks_by_rule("maps", {"time": 365, "y": 2000, "x": 2000}, 4, "time", ("y", "x"))
        {'time': 1, 'y': 2000, 'x': 2000}
        >>> chunks_by_rule("time-series", {"time": 365, "y": 2000, "x": 2000}, 4, "time", ("y", "x"))
        {'time': 365, 'y': 106, 'x': 106}

    """
    ways: dict[str, set[str | None]] = {"time-series": {time}, "maps": {*yx}, "balanced": {*sizes}}
    long = ways[rule]
    shrinking = set(yx) if rule != "balanced" else set(sizes)
    start = {dim: size if dim in long or dim in yx else 1 for dim, size in sizes.items()}
    parts, longest = 1, max(start.values(), default=1)
    while True:  # divides the dimensions by one number of parts until a chunk keeps the budget
        chunk = {dim: math.ceil(size / parts) if dim in shrinking else size for dim, size in start.items()}
        if math.prod(chunk.values()) * itemsize <= CHUNK_BYTES or parts >= longest:
            return chunk
        parts += 1


def explicit_chunks(wanted: Mapping[str, int], sizes: Mapping[str, int]) -> Sizes:
    """Returns the stated sizes, none longer than its dimension; a dimension that is not named is one chunk."""
    return {dim: min(wanted.get(dim, size), size) for dim, size in sizes.items()}


def region_sizes(sizes: Mapping[str, int], unit: Mapping[str, int], itemsize: int, budget: int) -> Sizes:
    """Grows whole write units from the last dimension to the first while a region keeps the budget of bytes.

    Args:
        sizes: cells by dimension.
        unit: cells of a write unit by dimension.
        itemsize: bytes of a stored value.
        budget: bytes of a region, unless a single unit is larger.

    Examples:
        >>> region_sizes({"t": 90, "y": 1000, "x": 1500}, {"t": 30, "y": 250, "x": 250}, 4, 200_000_000)
        {'t': 30, 'y': 1000, 'x': 1500}

    """
    region = {dim: min(unit[dim], size) for dim, size in sizes.items()}
    for dim in reversed(list(sizes)):
        others = math.prod(region.values()) // region[dim] * itemsize
        fitting = max(budget // max(others * unit[dim], 1), 1) * unit[dim]
        region[dim] = max(region[dim], min(fitting, sizes[dim]))
    return region


def job_regions(sizes: Mapping[str, int], job: Job, name: str) -> Iterator[Region]:
    """Yields the regions that fill a variable: each of whole write units, and none cuts a chunk of a source.

    They come in the order that ``plan`` gave them: along time first where chunks of the sources reach from one region
    into the next.

    Args:
        sizes: cells of the variable by dimension.
        job: the job.
        name: of the variable.

    """
    size = job.cube.regions[name]
    for region in regions({dim: sizes[dim] for dim in size}, size):
        yield {dim: region[dim] for dim in sizes}


def regions(sizes: Mapping[str, int], region: Mapping[str, int]) -> Iterator[Region]:
    """Yields every region as start and stop by dimension, the last dimension running fastest.

    >>> list(regions({"x": 5}, {"x": 3}))
    [{'x': (0, 3)}, {'x': (3, 5)}]
    """
    starts = [
        [(start, min(start + region[dim], size)) for start in range(0, size, region[dim])]
        for dim, size in sizes.items()
    ]
    for corner in product(*starts):
        yield dict(zip(sizes, corner, strict=True))


def whole_chunks(sizes: Mapping[str, int], unit: Mapping[str, int], sources: Iterable[Mapping[str, int]]) -> Sizes:
    """Returns the least size that is whole write units and cuts no source chunk; at most the whole dimension.

    >>> whole_chunks({"t": 90, "y": 999, "x": 1500}, {"t": 30, "y": 250, "x": 250}, [{"y": 100, "x": 1500}])
    {'t': 30, 'y': 500, 'x': 1500}
    """
    every = [dict(chunk) for chunk in sources]
    return {
        dim: min(math.lcm(min(unit[dim], size), *(chunk.get(dim, 1) for chunk in every)), size)
        for dim, size in sizes.items()
    }


def longest_cut(step: int, boundaries: Sequence[int]) -> int:
    """Returns the longest stretch between two boundaries that a multiple of ``step`` cuts; 0 where it cuts none.

    >>> longest_cut(30, range(0, 97, 8)), longest_cut(32, range(0, 97, 8))
    (8, 0)
    """
    known = set(boundaries)
    after = (bisect_right(boundaries, at) for at in range(step, boundaries[-1], step) if at not in known)
    return max((boundaries[stop] - boundaries[stop - 1] for stop in after), default=0)


def common_step(unit: int, boundaries: Sequence[int]) -> int:
    """Returns the least multiple of ``unit`` that cuts nothing between boundaries, or their whole span.

    >>> common_step(30, range(0, 1000, 8)), common_step(30, [0, 31, 59, 90])
    (120, 90)
    """
    lengths = {high - low for low, high in pairwise(boundaries)}
    regular = {high - low for low, high in pairwise(boundaries[:-1])} or lengths  # the last may be a rest
    step = math.lcm(unit, *regular)
    return step if step < boundaries[-1] and not longest_cut(step, boundaries) else boundaries[-1]


# --- boxes and blocks of a region that memory does not hold ---------------------------------------------------------


def merged(boundaries: Sequence[int], length: int) -> list[tuple[int, int]]:
    """Joins neighbouring stretches while they are not longer than ``length``; one that is longer stays as it is.

    >>> merged([0, 31, 59, 90], 60)
    [(0, 59), (59, 90)]
    """
    cuts = [boundaries[0]]
    for before, boundary in pairwise(boundaries):
        if boundary - cuts[-1] > length and before > cuts[-1]:
            cuts.append(before)
    return list(pairwise([*cuts, boundaries[-1]]))


def grown(boundaries: Mapping[str, Sequence[int]], itemsize: int, budget: int) -> Iterator[Region]:
    """Yields boxes between boundaries, grown from the last dimension to the first within a budget of bytes.

    Args:
        boundaries: positions by dimension, the first and the last included.
        itemsize: bytes of a stored value.
        budget: bytes of a box, unless the least one is larger.

    Examples:
        >>> list(grown({"t": range(5), "x": [0, 3, 6]}, 4, 50))
        [{'t': (0, 2), 'x': (0, 6)}, {'t': (2, 4), 'x': (0, 6)}]

    """
    spans = {dim: list(pairwise(cuts)) for dim, cuts in boundaries.items()}
    for dim in reversed(list(spans)):
        longest = (max(stop - start for start, stop in spans[other]) for other in spans if other != dim)
        others = math.prod(longest) * itemsize
        spans[dim] = merged(boundaries[dim], budget // others)
    for corner in product(*spans.values()):
        yield dict(zip(spans, corner, strict=True))


def cuts_of(span: tuple[int, int], step: int) -> list[int]:
    """Returns every ``step`` from the start on, and the end.

    >>> cuts_of((10, 17), 3)
    [10, 13, 16, 17]
    """
    return [*range(*span, step), span[1]]


# --- boundaries of the chunks of the sources --------------------------------------------------------------------------


def time_boundaries(inputs: Iterable[Input], name: str, axis: str) -> list[int]:
    """Returns positions along the time axis of the cube, from 0 to its length, between which whole source chunks lie.

    Files that are steps, and those of which nothing is known, can be cut everywhere.

    Args:
        inputs: those of the job, in the order of time.
        name: of a variable.
        axis: the time dimension of the cube.

    """
    boundaries, first = [0], 0
    for source in inputs:
        held = next((variable for variable in source.variables if variable.name == name), None)
        if held is None:
            continue
        steps, length = source.steps or (0,), chunk_sizes(held).get(axis, 1)
        inner: Sequence[int] = range(1, len(steps))
        if length > 1:
            inner = (np.flatnonzero(np.diff(np.asarray(steps) // length)) + 1).tolist()
        boundaries.extend(first + at for at in (*inner, len(steps)))
        first += len(source.steps) or 1
    return boundaries


def chunk_sizes(held: Variable) -> dict[str, int]:
    """Returns the chunk of a variable in its file by dimension; empty where it has none."""
    return dict(zip(held.dims, held.chunks, strict=False))
