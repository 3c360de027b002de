"""Buffers that a thread of the pool uses again, and the cells of one chunk as bits in them.

Fresh memory costs as much as what is done in it.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_KEPT = 32 * 2**20  # bytes that a thread keeps for one purpose; more is given back after each use
_HELD = threading.local()
_SLAB = 2**16  # cells that are looked at together, so that what is worked on stays in the cache


def scratch(purpose: str, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Returns ``size`` bytes of any content, valid until this thread asks for the same purpose again."""
    if size > _KEPT:
        return np.empty(size, np.uint8)
    held: dict[str, np.ndarray[Any, np.dtype[np.uint8]]] = _HELD.__dict__
    if purpose not in held or held[purpose].size < size:
        held[purpose] = np.empty(size, np.uint8)
    return held[purpose][:size]


def whole_chunk(cells: Array, shape: tuple[int, ...], fill: Array) -> Array:
    """Copies a chunk, as unsigned integers of ``fill``'s type, C-contiguous, into scratch: filled up at array ends.

    ``fill`` is the fill value's bits. Valid until this thread asks for the next one.
    """
    chunk = scratch("chunk", math.prod(shape) * fill.itemsize).view(fill.dtype).reshape(shape)
    if cells.shape != shape:
        chunk[...] = fill
    chunk[tuple(slice(0, n) for n in cells.shape)] = cells.view(fill.dtype)
    return chunk


def is_only(chunk: Array, value: Array) -> bool:
    """Tells whether a C-contiguous array of integers holds one value alone. Most are told by their first cells."""
    flat = chunk.reshape(-1)
    return all(bool((flat[start : start + _SLAB] == value).all()) for start in range(0, flat.size, _SLAB))


def is_same(one: Array, other: Array) -> bool:
    """Tells whether two arrays of integers of one shape, not empty, are equal; slab by slab, to save memory."""
    while one.ndim > 1 and len(one) == 1:
        one, other = one[0], other[0]
    rows = max(1, _SLAB * len(one) // one.size)
    return all(np.array_equal(one[i : i + rows], other[i : i + rows]) for i in range(0, len(one), rows))
