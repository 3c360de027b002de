"""Cuts, predicts and compresses the tiles of a TIFF. Pixels are interleaved, as in GDAL's COGs."""

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


def cut_tile(rows: Array, left: int, blocksize: int) -> Array:
    """Cuts a tile (rows, columns, bands) of ``blocksize`` from rows of a level; at the rims the last cells repeat."""
    part = np.moveaxis(rows[:, :, left : left + blocksize], 0, 2)
    height, width = part.shape[:2]
    if (height, width) == (blocksize, blocksize):
        return np.ascontiguousarray(part)
    tile = np.empty((blocksize, blocksize, part.shape[2]), part.dtype)
    tile[:height, :width] = part
    tile[:height, width:] = part[:, -1:]
    tile[height:] = tile[height - 1]
    return tile


class TileEncoder:
    """Encoder of tiles; deflate is ISA-L's, unless samples tell that libdeflate makes the data much smaller."""

    def __init__(self, compression: str, level: int | None, *, predict: bool) -> None:
        self._filter: Callable[[Array], bytes] = predicted if predict else lambda tile: tile.tobytes()
        self._level = level or 0
        self._compress: Callable[[bytes], bytes] = _by_isa_l
        if compression == "zstd":
            from numcodecs import zstd  # noqa: PLC0415 - each codec where it is used

            self._compress = lambda data: bytes(zstd.compress(data, level))
        elif self._level >= _BEYOND_ISA_L:
            self._compress = partial(_by_libdeflate, level=self._level)
        self.is_open = self._compress is _by_isa_l  # whether samples decide
        self._sizes = [0, 0]  # of the samples, by ISA-L and by libdeflate

    def add_sample(self, tile: Array) -> None:
        """Compares the two on one more sample. In one thread, so that the same data give the same bytes."""
        data = self._filter(tile)
        quick, small = _by_isa_l(data), _by_libdeflate(data, self._level)
        self._sizes[0] += len(quick)
        self._sizes[1] += len(small)
        is_larger = self._sizes[0] > _MUCH * self._sizes[1]
        self._compress = partial(_by_libdeflate, level=self._level) if is_larger else _by_isa_l

    def function(self) -> Callable[[Array], bytes]:
        """Returns the function that encodes a tile, by the samples up to now."""
        filtered, compress = self._filter, self._compress
        return lambda tile: compress(filtered(tile))


def _by_isa_l(data: bytes) -> bytes:
    from isal import isal_zlib  # noqa: PLC0415

    return bytes(isal_zlib.compress(data, _ISA_L))


def _by_libdeflate(data: bytes, level: int) -> bytes:
    import deflate  # noqa: PLC0415

    return bytes(deflate.zlib_compress(data, level))


def predicted(tile: Array) -> bytes:
    """Takes differences between neighbours in a row: TIFF 6.0, section 14, and Adobe's Technical Note 3 for floats."""
    if tile.dtype.kind == "f":
        return _float_predicted(tile)
    out = np.empty_like(tile)
    out[:, 0] = tile[:, 0]
    np.subtract(tile[:, 1:], tile[:, :-1], out=out[:, 1:])
    return out.tobytes()


def _float_predicted(tile: Array) -> bytes:
    """Sorts the bytes of a row by significance, highest first, then takes differences over as many bytes as bands."""
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
