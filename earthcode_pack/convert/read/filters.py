"""HDF5's filters undone outside HDF5, so that threads do it side by side: deflate, shuffle and Fletcher32."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import deflate
import numpy as np
from numcodecs import blosc
from numcodecs.fletcher32 import Fletcher32

from earthcode_pack.convert.buffers import scratch

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]
Buffer = bytes | bytearray | memoryview | Array

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3  # H5Z_FILTER_…
_SUM = 4  # bytes of a Fletcher32 checksum
_MOST = 1032  # what a byte of deflate can stand for at most (zlib's technical details)
_FRAMED = 2**30  # Blosc takes no more
# Blosc's header of one block that is stored, its bytes shuffled: version 2, codec version 1, flags, type size, bytes,
# block size, bytes with this header; then where the block begins, and its length.
_STORED = struct.Struct("<BBBBIIIII")
_FLAGS = 0x91  # shuffled, not split, Zstandard


class BadChunk(Exception):
    """The bytes of a chunk are not what its filters wrote."""


class Filter(NamedTuple):
    """A filter of HDF5; ``size`` is the bytes of an element, of shuffle alone."""

    number: int
    size: int = 1


def undo(raw: Buffer, filters: Sequence[Filter], out: Array) -> None:
    """The bytes that the filters were given, into ``out`` (one-dimensional, contiguous uint8).

    ``filters`` are in the order in which they were applied. Raises ``BadChunk``.
    """
    before = _sizes(filters, out.size)
    for each, size in zip(reversed(filters[1:]), reversed(before[1:]), strict=True):
        raw = _undone(each, raw, size)
    if filters and filters[0].number == SHUFFLE:
        unshuffle(_checked(raw, out.size), filters[0].size, out)
        return
    raw = _undone(filters[0], raw, out.size) if filters else raw
    out[...] = np.frombuffer(_checked(raw, out.size), np.uint8)


def _sizes(filters: Sequence[Filter], size: int) -> list[int]:
    """The bytes that each filter was given; true up to the first deflate, the only one that needs to know."""
    sums = [sum(each.number == FLETCHER32 for each in filters[:index]) for index in range(len(filters))]
    return [size + _SUM * count for count in sums]


def _undone(each: Filter, raw: Buffer, size: int) -> Buffer:
    if each.number == DEFLATE:
        return _inflated(raw, size)
    if each.number == FLETCHER32:
        return _without_sum(raw)
    elements = np.empty(len(raw), np.uint8)
    unshuffle(raw, each.size, elements)
    return elements


def _inflated(raw: Buffer, size: int) -> Buffer:
    if size > _MOST * len(raw):
        raise BadChunk(f"{len(raw)} deflated bytes cannot be {size}")
    try:
        return _checked(deflate.zlib_decompress(raw, size), size)
    except deflate.DeflateError as error:
        raise BadChunk(f"not deflated bytes, or not {size} of them") from error


def _without_sum(raw: Buffer) -> Buffer:
    try:
        return memoryview(Fletcher32().decode(raw))
    except (RuntimeError, ValueError) as error:
        raise BadChunk("its Fletcher32 checksum is another") from error


def _checked(raw: Buffer, size: int) -> Buffer:
    if len(raw) != size:
        raise BadChunk(f"{len(raw)} bytes instead of {size}")
    return raw


def unshuffle(raw: Buffer, itemsize: int, out: Array) -> None:
    """First bytes, second bytes and so on of all elements as elements; bytes of no whole element are at the end.

    Blosc does it ten times as fast as numpy, where the bytes are framed as a block that it only has to unshuffle.
    """
    size = len(raw)
    if itemsize in (2, 4, 8) and size % itemsize == 0 and itemsize < size < _FRAMED:
        framed = scratch("unshuffle", _STORED.size + size)
        _STORED.pack_into(framed.data, 0, 2, 1, _FLAGS, itemsize, size, size, framed.size, _STORED.size - 4, size)
        framed[_STORED.size :] = np.frombuffer(raw, np.uint8)
        blosc.decompress(framed, out)
        return
    whole = size - size % itemsize
    planes = np.frombuffer(raw, np.uint8, whole).reshape(itemsize, -1)
    out[:whole].reshape(-1, itemsize)[...] = planes.T
    out[whole:] = np.frombuffer(raw, np.uint8, size - whole, whole)
