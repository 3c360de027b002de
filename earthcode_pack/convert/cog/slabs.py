"""Steps of a cube that lie in one chunk of its file are decoded together: each map would decode them all again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

Array = np.ndarray[Any, Any]

SLAB_BYTES = 64 * 2**20
_KEPT = 2  # slabs: maps come in the order of time, and a few workers stand near each other
_LOCK = threading.Lock()
_SLABS: OrderedDict[tuple[object, ...], Array] = OrderedDict()


def step_of(variable: xr.DataArray, dim: str, step: int, path: Path) -> Array:
    """The stored values at one step, ``dim`` first dropped; from memory where a neighbour was read before."""
    length = _chunk_length(variable, dim)
    if length == 1 or variable.nbytes // variable.sizes[dim] * length > SLAB_BYTES:
        return np.asarray(variable.isel({dim: step}).values)
    start = step // length * length
    slab = _slab(variable, dim, slice(start, start + length), path)
    return np.asarray(slab.take(step - start, axis=variable.dims.index(dim)))


def _chunk_length(variable: xr.DataArray, dim: str) -> int:
    """Steps in a chunk of the file, 1 where it has none."""
    return int(variable.encoding.get("preferred_chunks", {}).get(dim, 1))


def _slab(variable: xr.DataArray, dim: str, steps: slice, path: Path) -> Array:
    stat = path.stat()
    key = (path, stat.st_mtime_ns, stat.st_size, variable.name, variable.dims, steps.start)
    with _LOCK:
        if key not in _SLABS:
            _SLABS[key] = np.asarray(variable.isel({dim: steps}).values)
        _SLABS.move_to_end(key)
        while len(_SLABS) > _KEPT:
            _SLABS.popitem(last=False)
        return _SLABS[key]
