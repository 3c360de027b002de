"""Tiles of a TIFF: cut, predicted and compressed. Pixels are interleaved, as in GDAL's COGs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, Any]

_ISA_L = 3  # its level, in size like level 6 of zlib, at several times the speed
_MUCH = 1.02
_BEYOND_ISA_L = 7  # from here on people ask for small files: libdeflate, as in GDAL


def cut(rows: Array, left: int, blocksize: int) -> Array:
    """One tile (rows, columns, bands) of ``blocksize`` from rows of a level; at the rims the last cells repeat."""
    part = np.moveaxis(rows[:, :, left : left + blocksize], 0, 2)
    height, width = part.shape[:2]
    if (height, width) == (blocksize, blocksize):
        return np.ascontiguousarray(part)
    tile = np.empty((blocksize, blocksize, part.shape[2]), part.dtype)
    tile[:height, :width] = part
    tile[:height, width:] = part[:, -1:]
    tile[height:] = tile[height - 1]
    return tile


class Codec:
    """How tiles are encoded; for deflate by ISA-L, unless the data are such that libdeflate makes them much smaller."""

    def __init__(self, compression: str, level: int, *, predict: bool) -> None:
        self._filtered: Callable[[Array], bytes] = predicted if predict else _plain
        self._level = level
        self._compress = _compressor(compression, level)
        self.is_open = self._compress is _by_isa_l  # whether samples decide
        self._sizes = [0, 0]  # of the samples, by ISA-L and by libdeflate

    def consider(self, tile: Array) -> None:
        """Weighs the two by one more sample. In one thread, so that the same data give the same bytes."""
        data = self._filtered(tile)
        quick, small = _by_isa_l(data), _by_libdeflate(data, self._level)
        self._sizes[0] += len(quick)
        self._sizes[1] += len(small)
        is_larger = self._sizes[0] > _MUCH * self._sizes[1]
        self._compress = partial(_by_libdeflate, level=self._level) if is_larger else _by_isa_l

    def encoder(self) -> Callable[[Array], bytes]:
        """The encoder by what is known up to now."""
        filtered, compress = self._filtered, self._compress
        return lambda tile: compress(filtered(tile))


def _compressor(compression: str, level: int) -> Callable[[bytes], bytes]:
    if compression == "zstd":
        from numcodecs import zstd  # noqa: PLC0415 - each codec where it is used

        return lambda data: bytes(zstd.compress(data, level))
    return partial(_by_libdeflate, level=level) if level >= _BEYOND_ISA_L else _by_isa_l


def _by_isa_l(data: bytes) -> bytes:
    from isal import isal_zlib  # noqa: PLC0415

    return bytes(isal_zlib.compress(data, _ISA_L))


def _by_libdeflate(data: bytes, level: int) -> bytes:
    import deflate  # noqa: PLC0415

    return bytes(deflate.zlib_compress(data, level))


def _plain(tile: Array) -> bytes:
    return tile.tobytes()


def predicted(tile: Array) -> bytes:
    """Differences between neighbours in a row: TIFF 6.0, section 14, and Adobe's Technical Note 3 for floats."""
    if tile.dtype.kind == "f":
        return _float_predicted(tile)
    out = np.empty_like(tile)
    out[:, 0] = tile[:, 0]
    np.subtract(tile[:, 1:], tile[:, :-1], out=out[:, 1:])
    return out.tobytes()


def _float_predicted(tile: Array) -> bytes:
    """The bytes of a row by their significance, highest first, then as differences over as many bytes as bands."""
    height, width, bands = tile.shape
    size = tile.dtype.itemsize
    by_byte = tile.view(np.uint8).reshape(height, width * bands, size)
    planes = np.empty((height, size, width * bands), np.uint8)
    for significance in range(size):
        planes[:, significance] = by_byte[:, :, size - 1 - significance]
    flat = planes.reshape(height, -1)
    out = np.empty_like(flat)
    out[:, :bands] = flat[:, :bands]
    np.subtract(flat[:, bands:], flat[:, :-bands], out=out[:, bands:])
    return out.tobytes()
