"""The index of a shard, at its end, and the order of its chunks (Zarr v3 core, «sharding_indexed» codec)."""

from __future__ import annotations

import struct
from itertools import product
from math import prod

import google_crc32c
import numpy as np

from earthcode_pack.files import read_at

Shape = tuple[int, ...]

_ABSENT = 2**64 - 1  # start and length of a chunk that holds nothing but the fill value
_ENTRY, _CHECKSUM = 16, 4


class Places:
    """Where the chunks of a shard lie that are stored one behind the other."""

    def __init__(self, grid: Shape) -> None:
        self._index = np.full((*grid, 2), _ABSENT, "<u8")
        self._end = 0

    def add(self, place: Shape, size: int) -> None:
        """The next chunk has ``size`` bytes."""
        self._index[place] = self._end, size
        self._end += size

    def encode(self) -> bytes:
        """Start and length of each chunk in C order, and the CRC32C of that."""
        index = self._index.tobytes()
        return index + struct.pack("<I", google_crc32c.value(index))


def read_places(file: int, size: int, grid: Shape) -> dict[Shape, tuple[int, int]]:
    """Start and length in bytes of the chunks that a shard of ``size`` bytes holds, by their place in its ``grid``.

    Raises ``ValueError`` where the index is damaged.
    """
    length = _ENTRY * prod(grid)
    data = bytearray(length + _CHECKSUM)
    read_at(file, memoryview(data), max(size - length - _CHECKSUM, 0))
    index = bytes(data[:length])
    if data[length:] != struct.pack("<I", google_crc32c.value(index)):
        raise ValueError("the index of the shard has another checksum")
    entries = np.frombuffer(index, "<u8").reshape(-1, 2).tolist()
    return {
        place: (start, count)
        for place, (start, count) in zip(product(*map(range, grid)), entries, strict=True)
        if (start, count) != (_ABSENT, _ABSENT)
    }


def morton_order(grid: Shape) -> list[Shape]:
    """The places of a grid so that neighbours lie near each other: the order in which zarr-python stores chunks.

    >>> morton_order((2, 3))
    [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    """
    return sorted(product(*map(range, grid)), key=lambda place: _morton_code(place, grid))


def _morton_code(place: Shape, grid: Shape) -> int:
    """The bits of all coordinates in turn, each as long as its dimension needs («compressed Morton code»)."""
    code, at = 0, 0
    lengths = [(size - 1).bit_length() for size in grid]
    for bit in range(max(lengths)):
        for coordinate, length in zip(place, lengths, strict=True):
            if bit < length:
                code |= (coordinate >> bit & 1) << at
                at += 1
    return code
