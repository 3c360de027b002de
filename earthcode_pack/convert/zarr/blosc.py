"""Blosc as Zarr stores it: a chunk in, a compressed buffer out, in the thread that asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numcodecs.blosc
import numpy as np

# The threads are the pool's: Blosc's own would share one context, and one lock.
numcodecs.blosc.use_threads = False

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Blosc:
    """A configuration of Blosc 1, by the names of the Zarr v3 codec; ``shuffle`` as Blosc counts: none, bytes, bits."""

    cname: str
    clevel: int
    shuffle: int
    blocksize: int
    typesize: int

    def encode(self, chunk: Array) -> bytes:
        """A C-contiguous chunk, compressed."""
        data: bytes = numcodecs.blosc.compress(
            chunk, self.cname.encode(), self.clevel, self.shuffle, self.blocksize, self.typesize
        )
        return data


def decode_into(data: Array, out: Array) -> None:
    """Decompresses a whole Blosc buffer into C-contiguous ``out`` of exactly its size.

    Raises ``ValueError`` where the buffer is not whole, or not of that size; ``RuntimeError`` where it is damaged.
    """
    if data.nbytes < _HEADER or _sizes(data) != (out.nbytes, data.nbytes):
        raise ValueError(f"{data.nbytes} bytes are no whole Blosc buffer of {out.nbytes}")
    numcodecs.blosc.decompress(data, out)


_HEADER = 16


def _sizes(data: Array) -> tuple[int, int]:
    """Bytes before and after compression, as the header says (Blosc 1 chunk format)."""
    before, _, after = np.frombuffer(data[4:_HEADER], "<u4")
    return int(before), int(after)
