"""How a cube is cut into regions: whole write units, no chunk of a source cut, and as much as memory allows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from earthcode_pack.convert.cube.chunk_boundaries import chunk_sizes, time_borders
from earthcode_pack.convert.cube.chunks import common_step, longest_cut, region_sizes, whole_chunks
from earthcode_pack.convert.cube.packing import common_packing
from earthcode_pack.convert.cube.region_reader import STRADDLING

if TYPE_CHECKING:
    from earthcode_pack.model import Input

Sizes = dict[str, int]

# Of 1 GiB that a worker may take by default, libraries have 200 MiB; a region is in memory once, and encoded in pieces.
IN_HAND = 576 * 2**20
GROW = 96 * 2**20  # regions that could be smaller grow to so much: few of them, and work for all threads
_LEAST = 2**20
_SHARE = 4  # libraries, the region, what is kept for the next one, and the pieces that are decoded and encoded


def in_hand(memory_limit: str | int | None) -> int:
    """The bytes of stored values that a worker has in hand at once, by the memory that it may take.

    >>> in_hand("1GiB") // 2**20, in_hand(None) // 2**20
    (256, 576)
    """
    if memory_limit is None:
        return IN_HAND
    from dask.utils import parse_bytes  # noqa: PLC0415 - only where a limit is set

    return max(_LEAST, min(int(parse_bytes(memory_limit)) // _SHARE, IN_HAND))


def region_of(
    name: str, inputs: tuple[Input, ...], sizes: Sizes, unit: Sizes, *, axis: str | None, limit: int
) -> Sizes:
    """The size of a region by dimension, in the order of the loops over regions: the last one runs fastest.

    Each chunk of a source lies in one region, or, along time, reaches into the next and is small enough to be kept.
    A region may be larger than ``limit``; then it is read by way of a scratch file.
    Raises ``Contradiction`` where files pack the variable in ways that no type holds.
    """
    held = [variable for source in inputs for variable in source.variables if variable.name == name]
    chunks = {tuple((dim, size) for dim, size in chunk_sizes(v).items() if dim != axis) for v in held}
    region, itemsize = whole_chunks(sizes, unit, map(dict, chunks)), np.dtype(common_packing(held).dtype).itemsize
    if axis not in sizes:
        return region_sizes(sizes, region, itemsize, min(GROW, limit))
    borders = time_borders(inputs, name, axis)
    step_bytes = math.prod(region.values()) // region[axis] * itemsize
    cut = longest_cut(region[axis], borders)
    if cut * step_bytes > min(STRADDLING, limit // 2):
        region[axis] = common_step(region[axis], borders)
        cut = 0
    if not cut:
        return region_sizes(sizes, region, itemsize, min(GROW, limit))
    return _along_time(sizes, region, axis, min(GROW, limit) // step_bytes)


def _along_time(sizes: Sizes, region: Sizes, axis: str, steps: int) -> Sizes:
    """A region that grows in time alone, which runs fastest: what is kept is needed next."""
    length = max(steps // region[axis], 1) * region[axis]
    return {dim: region[dim] for dim in sizes if dim != axis} | {axis: min(length, sizes[axis])}
