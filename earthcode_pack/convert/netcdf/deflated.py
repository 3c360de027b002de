"""Chunks as HDF5's shuffle and deflate filters write them, made outside HDF5, so that threads do it side by side."""

from __future__ import annotations

from typing import Any

import deflate
import numpy as np
from isal import isal_zlib

from earthcode_pack.convert.scratch import scratch

Array = np.ndarray[Any, Any]

# ISA-L makes of any level what zlib makes of 4, within 1.5 % of its size and ten times as fast. Its own level 3 is
# slower and no smaller; a larger buffer makes it faster and larger. Above 6 a person asks for small files.
_QUICK = 6
_ISAL_LEVEL, _ISAL_BUFFER, _WINDOW = 2, 3, 15
_FED = 2**20  # bytes at once: what comes out takes little more memory than it is long


def deflated(chunk: Array, level: int) -> bytes:
    """A C-contiguous chunk, shuffled, then in the zlib format (RFC 1950). ``level`` as zlib counts, 1 to 9."""
    planes = _shuffled(chunk)
    if level > _QUICK:
        return bytes(deflate.zlib_compress(planes, level))
    engine = isal_zlib.compressobj(_ISAL_LEVEL, isal_zlib.DEFLATED, _WINDOW, _ISAL_BUFFER)
    pieces = [engine.compress(planes[start : start + _FED]) for start in range(0, planes.size, _FED)]
    return b"".join([*pieces, engine.flush()])


def _shuffled(chunk: Array) -> Array:
    """The first bytes of all values, then the second ones, and so on (HDF5's H5Z_FILTER_SHUFFLE), in scratch."""
    values = chunk.reshape(-1, 1).view(np.uint8)
    planes = scratch("planes", chunk.nbytes).reshape(chunk.itemsize, -1)
    planes[...] = values.T
    return planes.reshape(-1)
