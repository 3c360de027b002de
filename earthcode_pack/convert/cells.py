"""The cells of one chunk as bits: filled up to the chunk's shape, told from nothing, and compared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from earthcode_pack.convert.scratch import scratch

Array = np.ndarray[Any, Any]

_SLAB = 2**16  # cells that are looked at together, so that what is worked on stays in the cache


def whole_chunk(cells: Array, shape: tuple[int, ...], fill: Array) -> Array:
    """A chunk as unsigned integers of ``fill``'s type, C-contiguous, in scratch: filled up where the array ends in it.

    ``fill`` is the fill value's bits. Valid until this thread asks for the next one.
    """
    chunk = scratch("chunk", math.prod(shape) * fill.itemsize).view(fill.dtype).reshape(shape)
    if cells.shape != shape:
        chunk[...] = fill
    chunk[tuple(slice(0, n) for n in cells.shape)] = cells.view(fill.dtype)
    return chunk


def is_only(chunk: Array, value: Array) -> bool:
    """Whether a C-contiguous array of integers holds one value alone. Most are told by their first cells."""
    flat = chunk.reshape(-1)
    return all(bool((flat[start : start + _SLAB] == value).all()) for start in range(0, flat.size, _SLAB))


def is_same(one: Array, other: Array) -> bool:
    """Whether two arrays of integers of one shape, not empty, are equal; slab by slab, which takes little memory."""
    while one.ndim > 1 and len(one) == 1:
        one, other = one[0], other[0]
    rows = max(1, _SLAB * len(one) // one.size)
    return all(np.array_equal(one[i : i + rows], other[i : i + rows]) for i in range(0, len(one), rows))
