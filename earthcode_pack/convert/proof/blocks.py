"""The blocks of a variable that are decoded on both sides: pure arithmetic on sizes and chunks."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

Box = dict[str, tuple[int, int]]
"""Start and stop by dimension."""
Sizes = dict[str, int]

_WHOLE = 2**17  # cells: a variable of so few is one block
_LEAST, _SHARE = 2**15, 64  # cells that are decoded for a block, and the part of all cells that they may be
_GIANT = 2**23  # cells of a chunk that is decoded for one block alone
MOST = 2**19  # cells of a block: 4 MiB of float64


def samples(sizes: Sizes, units: Sequence[Mapping[str, int]], fixed: Collection[str] = ()) -> list[Box]:
    """The first, a middle and the last block along every dimension; all cells at once where they are few.

    A block lies in one chunk of each of ``units`` (of the source, of the output; a dimension that one lacks is not
    cut), so that little is decoded beside it. Small chunks are taken several at once, not along ``fixed`` dimensions.

    >>> samples({"y": 1000, "x": 1000}, [{"y": 100, "x": 500}])[::2]
    [{'y': (0, 100), 'x': (0, 500)}, {'y': (900, 1000), 'x': (500, 1000)}]
    """
    total = math.prod(sizes.values())
    if total <= _WHOLE:
        return [{dim: (0, size) for dim, size in sizes.items()}]
    budget = min(max(total // _SHARE, _LEAST), MOST)
    grown = [_grown(sizes, unit, budget, fixed) for unit in units]
    is_giant = any(unit and math.prod(whole.values()) > _GIANT for unit, whole in zip(units, grown, strict=True))
    places = (1,) if is_giant else (0, 1, 2)
    found = [_around({dim: (size - 1) * place // 2 for dim, size in sizes.items()}, sizes, grown) for place in places]
    return [box for number, box in enumerate(found) if box not in found[:number]]


def every(sizes: Sizes, unit: Mapping[str, int]) -> Iterator[Box]:
    """Blocks of whole chunks, of at most ``MOST`` cells where a chunk is no larger, that fill a variable."""
    steps = _grown(sizes, unit, MOST // 2, ())
    for corner in product(*(range(0, size, steps[dim]) for dim, size in sizes.items())):
        yield {
            dim: (start, min(start + steps[dim], size))
            for (dim, size), start in zip(sizes.items(), corner, strict=True)
        }


def within(box: Box, region: Mapping[str, tuple[int, int]] | None) -> Box | None:
    """Returns the part of a box that lies in a region; None where none does."""
    if region is None:
        return box
    common = {dim: (max(low, region[dim][0]), min(high, region[dim][1])) for dim, (low, high) in box.items()}
    return common if all(low < high for low, high in common.values()) else None


def cells(box: Box) -> int:
    """The number of cells of a box."""
    return math.prod(high - low for low, high in box.values())


def _grown(sizes: Sizes, unit: Mapping[str, int], budget: int, fixed: Collection[str]) -> Sizes:
    """Chunks put together, along the last dimensions first, while they hold no more cells than ``budget``."""
    steps = {dim: max(1, min(unit.get(dim, size), size)) for dim, size in sizes.items()}
    for dim in reversed(sizes):
        while dim not in fixed and steps[dim] < sizes[dim] and 2 * math.prod(steps.values()) <= budget:
            steps[dim] = min(2 * steps[dim], sizes[dim])
    return steps


def _around(point: Sizes, sizes: Sizes, units: Sequence[Sizes]) -> Box:
    """The cells that share a chunk of each kind with a cell, as many of them as a block may have."""
    box = {}
    for dim, at in point.items():
        low = max(at // unit[dim] * unit[dim] for unit in units)
        high = min(sizes[dim], *(at // unit[dim] * unit[dim] + unit[dim] for unit in units))
        box[dim] = (low, high)
    while cells(box) > MOST:
        widest = max(box, key=lambda dim: box[dim][1] - box[dim][0])
        low, high = box[widest]
        middle = (low + high) // 2
        box[widest] = (low, middle) if point[widest] < middle else (middle, high)
    return box
