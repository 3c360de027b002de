"""Sizes of chunks and of the regions that are written at once. Pure arithmetic on mappings from dimension to size."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise, product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from earthcode_pack.model import Job

Sizes = dict[str, int]
Region = dict[str, tuple[int, int]]

# Stored bytes of a chunk before compression: about 8 MB compressed, what object stores serve best (Pangeo, EarthCODE).
CHUNK_BYTES = 16 * 2**20


def chunks_by_rule(rule: str, sizes: Mapping[str, int], itemsize: int, time: str | None, yx: tuple[str, str]) -> Sizes:
    """Chunk sizes for ``time-series`` (long in time), ``maps`` (long in space) or ``balanced`` (as many cuts each way).

    >>> chunks_by_rule("maps", {"time": 365, "y": 2000, "x": 2000}, 4, "time", ("y", "x"))
    {'time': 1, 'y': 2000, 'x': 2000}
    >>> chunks_by_rule("time-series", {"time": 365, "y": 2000, "x": 2000}, 4, "time", ("y", "x"))
    {'time': 365, 'y': 106, 'x': 106}
    """
    ways: dict[str, set[str | None]] = {"time-series": {time}, "maps": {*yx}, "balanced": {*sizes}}
    long = ways[rule]
    shrinking = set(yx) if rule != "balanced" else set(sizes)
    start = {dim: size if dim in long or dim in yx else 1 for dim, size in sizes.items()}
    return _shrink(start, shrinking, itemsize)


def _shrink(start: Sizes, dims: set[str], itemsize: int) -> Sizes:
    """Divides the named dimensions by one number of parts until a chunk keeps the budget."""
    parts = 1
    longest = max(start.values(), default=1)
    while True:
        chunk = {dim: math.ceil(size / parts) if dim in dims else size for dim, size in start.items()}
        if math.prod(chunk.values()) * itemsize <= CHUNK_BYTES or parts >= longest:
            return chunk
        parts += 1


def explicit_chunks(wanted: Mapping[str, int], sizes: Mapping[str, int]) -> Sizes:
    """The stated sizes, none longer than its dimension; a dimension that is not named is one chunk."""
    return {dim: min(wanted.get(dim, size), size) for dim, size in sizes.items()}


def region_sizes(sizes: Mapping[str, int], unit: Mapping[str, int], itemsize: int, budget: int) -> Sizes:
    """Whole write units, grown from the last dimension to the first while a region keeps the budget of bytes.

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
    """The regions that fill a variable, by the job alone: each of whole write units, and none cuts a source's chunk.

    They come in the order that ``plan`` gave them: along time first where chunks of the sources reach from one region
    into the next.
    """
    size = job.options["regions"][name]
    for region in regions({dim: sizes[dim] for dim in size}, size):
        yield {dim: region[dim] for dim in sizes}


def regions(sizes: Mapping[str, int], region: Mapping[str, int]) -> Iterator[Region]:
    """Every region as start and stop by dimension, the last dimension running fastest.

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
    """The least that is whole write units and cuts no chunk of any source; at most the whole dimension.

    >>> whole_chunks({"t": 90, "y": 999, "x": 1500}, {"t": 30, "y": 250, "x": 250}, [{"y": 100, "x": 1500}])
    {'t': 30, 'y': 500, 'x': 1500}
    """
    every = [dict(chunk) for chunk in sources]
    return {
        dim: min(math.lcm(min(unit[dim], size), *(chunk.get(dim, 1) for chunk in every)), size)
        for dim, size in sizes.items()
    }


def longest_cut(step: int, borders: Sequence[int]) -> int:
    """The longest stretch between two borders that a multiple of ``step`` cuts; 0 where all lie on borders.

    >>> longest_cut(30, range(0, 97, 8)), longest_cut(32, range(0, 97, 8))
    (8, 0)
    """
    known = set(borders)
    cuts = [at for at in range(step, borders[-1], step) if at not in known]
    return max((_stretch(at, borders) for at in cuts), default=0)


def _stretch(at: int, borders: Sequence[int]) -> int:
    after = bisect_right(borders, at)
    return borders[after] - borders[after - 1]


def common_step(unit: int, borders: Sequence[int]) -> int:
    """The least multiple of ``unit`` that cuts nothing between borders, or the whole of it.

    >>> common_step(30, range(0, 1000, 8)), common_step(30, [0, 31, 59, 90])
    (120, 90)
    """
    lengths = {high - low for low, high in pairwise(borders)}
    regular = {high - low for low, high in pairwise(borders[:-1])} or lengths  # the last may be a rest
    step = math.lcm(unit, *regular)
    return step if step < borders[-1] and not longest_cut(step, borders) else borders[-1]


# --- boxes and blocks of a region that memory does not hold ---------------------------------------------------------


def merged(borders: Sequence[int], length: int) -> list[tuple[int, int]]:
    """Neighbouring stretches joined while they are not longer than ``length``; one that is longer stays as it is.

    >>> merged([0, 31, 59, 90], 60)
    [(0, 59), (59, 90)]
    """
    cuts = [borders[0]]
    for before, border in pairwise(borders):
        if border - cuts[-1] > length and before > cuts[-1]:
            cuts.append(before)
    return list(pairwise([*cuts, borders[-1]]))


def grown(borders: Mapping[str, Sequence[int]], itemsize: int, budget: int) -> Iterator[Region]:
    """Boxes between borders, grown from the last dimension to the first while one keeps the budget of bytes.

    >>> list(grown({"t": range(5), "x": [0, 3, 6]}, 4, 50))
    [{'t': (0, 2), 'x': (0, 6)}, {'t': (2, 4), 'x': (0, 6)}]
    """
    spans = {dim: list(pairwise(cuts)) for dim, cuts in borders.items()}
    for dim in reversed(list(spans)):
        others = math.prod(_longest(spans[other]) for other in spans if other != dim) * itemsize
        spans[dim] = merged(borders[dim], budget // others)
    for corner in product(*spans.values()):
        yield dict(zip(spans, corner, strict=True))


def _longest(spans: Iterable[tuple[int, int]]) -> int:
    return max(stop - start for start, stop in spans)


def cuts_of(span: tuple[int, int], step: int) -> list[int]:
    """Every ``step`` from the start on, and the end.

    >>> cuts_of((10, 17), 3)
    [10, 13, 16, 17]
    """
    return [*range(*span, step), span[1]]
