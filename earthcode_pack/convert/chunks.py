"""Sizes of chunks and of the regions that are written at once. Pure arithmetic on mappings from dimension to size."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Sizes = dict[str, int]

# Stored bytes of a chunk before compression: about 8 MB compressed, what object stores serve best (Pangeo, EarthCODE).
CHUNK_BYTES = 16 * 2**20


def chunks_by_rule(rule: str, sizes: Mapping[str, int], itemsize: int, time: str | None, yx: tuple[str, str]) -> Sizes:
    """Chunk sizes for ``time-series`` (long in time), ``maps`` (long in space) or ``balanced`` (as many cuts each way).

    >>> chunks_by_rule("maps", {"time": 365, "y": 2000, "x": 2000}, 4, "time", ("y", "x"))
    {'time': 1, 'y': 2000, 'x': 2000}
    >>> chunks_by_rule("time-series", {"time": 365, "y": 2000, "x": 2000}, 4, "time", ("y", "x"))
    {'time': 365, 'y': 107, 'x': 107}
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


def regions(sizes: Mapping[str, int], region: Mapping[str, int]) -> Iterator[dict[str, tuple[int, int]]]:
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
