"""Writes and reads back the objects of a Zarr array one by one, byte for byte as zarr-python writes them."""

from __future__ import annotations

import hashlib
import os
import struct
import sys
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import google_crc32c
import numcodecs.blosc
import numpy as np

from earthcode_pack.checks.equality import compare
from earthcode_pack.convert.buffers import is_only, is_same, scratch, whole_chunk
from earthcode_pack.convert.statistics import RunningStatistics
from earthcode_pack.errors import NotEqual
from earthcode_pack.files import read_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import zarr

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

# The threads are the pool's: Blosc's own would share one context, and one lock.
numcodecs.blosc.use_threads = False

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_BLOSC_HEADER = 16  # bytes
_ABSENT = 2**64 - 1  # start and length of a chunk that holds nothing but the fill value
_ENTRY, _CHECKSUM = 16, 4  # bytes of the index of a shard, for each chunk and behind it


@dataclass(frozen=True)
class Blosc:
    """A configuration of Blosc 1, by the names of the Zarr v3 codec; ``shuffle`` as Blosc counts: none, bytes, bits."""

    cname: str
    clevel: int
    shuffle: int
    blocksize: int
    typesize: int

    def encode(self, chunk: Array) -> bytes:
        """Compresses a C-contiguous chunk, in the thread that asks."""
        data: bytes = numcodecs.blosc.compress(
            chunk, self.cname.encode(), self.clevel, self.shuffle, self.blocksize, self.typesize
        )
        return data


@dataclass(frozen=True)
class StoredForm:
    """Form of an array on disk. ``unit`` is the shape of an object, ``chunk`` of what is compressed at once in it.

    A shard may hold one chunk alone; it ends with an index all the same.
    """

    folder: Path
    unit: Shape
    chunk: Shape
    fill: Array  # one value, as an unsigned integer of the type's width
    codec: Blosc
    key: Callable[[Shape], str]
    is_sharded: bool

    def path(self, index: Shape) -> Path:
        """Returns the path of an object by its place among the objects."""
        return self.folder / self.key(index)

    @cached_property
    def grid(self) -> Shape:
        """Chunks in an object along each dimension."""
        return tuple(unit // chunk for unit, chunk in zip(self.unit, self.chunk, strict=True))

    @cached_property
    def order(self) -> list[Shape]:
        """Places of the chunks of an object in the order in which they are stored."""
        return morton_order(self.grid)

    @property
    def nbytes(self) -> int:
        """Bytes of a chunk before compression."""
        return int(np.prod(self.chunk)) * self.fill.itemsize


# --- what is covered ------------------------------------------------------------------------------------------------


def form_of(array: zarr.Array[Any], folder: Path) -> StoredForm | None:
    """Returns the form of the array whose objects lie below ``folder``; None for one that only zarr-python can write.

    It is taken from the metadata as the Zarr specification has them, not from zarr-python's classes of codecs.

    Args:
        array: the array.
        folder: that of its objects.

    """
    if not array.dtype.isnative or array.dtype.kind not in "biuf" or not array.shape:
        return None
    metadata: dict[str, Any] = array.metadata.to_dict()
    is_v2 = metadata["zarr_format"] == 2  # noqa: PLR2004 - the version
    codec = _blosc_of_v2(metadata, array.dtype) if is_v2 else _blosc_of_v3(metadata)
    if codec is None:
        return None
    value = 0 if array.fill_value is None else array.fill_value  # as zarr-python takes none
    fill = np.asarray(value, array.dtype).view(f"u{array.dtype.itemsize}")
    key = array.metadata.encode_chunk_key
    return StoredForm(folder, array.shards or array.chunks, array.chunks, fill, codec, key, array.shards is not None)


def _blosc_of_v2(metadata: dict[str, Any], dtype: np.dtype[Any]) -> Blosc | None:
    codec = metadata["compressor"] or {}
    if codec.get("id") != "blosc" or metadata["filters"] or metadata["order"] != "C":
        return None
    return Blosc(codec["cname"], codec["clevel"], codec["shuffle"], codec["blocksize"], dtype.itemsize)


def _blosc_of_v3(metadata: dict[str, Any]) -> Blosc | None:
    codecs = metadata["codecs"]
    if len(codecs) == 1 and codecs[0]["name"] == "sharding_indexed":
        sharding = codecs[0]["configuration"]
        if sharding.get("index_location", "end") != "end":
            return None
        match sharding["index_codecs"]:
            case [{"name": "bytes"} as plain, {"name": "crc32c"}] if _endian(plain) == "little":
                pass
            case _:
                return None
        codecs = sharding["codecs"]
    match codecs:
        case [{"name": "bytes"} as plain, {"name": "blosc", "configuration": codec}] if _endian(plain) == sys.byteorder:
            shuffle = _SHUFFLES[codec["shuffle"]]
            return Blosc(codec["cname"], codec["clevel"], shuffle, codec["blocksize"], codec["typesize"])
    return None


def _endian(codec: dict[str, Any]) -> str:
    """Returns the byte order that a codec states; this machine's where it states none, as it does for single bytes."""
    return str(codec.get("configuration", {}).get("endian", sys.byteorder))


# --- writing --------------------------------------------------------------------------------------------------------


def write_unit(
    form: StoredForm, cells: Array, index: Shape, statistics_of: Callable[[Array], RunningStatistics]
) -> tuple[RunningStatistics, str | None]:
    """Writes an object in one rename; what holds nothing but the fill value, bit for bit, is left out.

    Args:
        form: the form of the array.
        cells: the values of the object, clipped at the end of the array.
        index: its place among the objects.
        statistics_of: computes the statistics of values.

    Returns:
        The statistics of all cells, and the sha256 of the object, None where it is left out.

    """
    data: list[bytes] = []
    entries, end, total = np.full((*form.grid, 2), _ABSENT, "<u8"), 0, RunningStatistics()
    for place, piece in _pieces(form, cells):
        chunk = whole_chunk(piece, form.chunk, form.fill)
        total += statistics_of(chunk.view(cells.dtype) if piece.shape == chunk.shape else piece)
        if not is_only(chunk, form.fill):
            data.append(form.codec.encode(chunk))
            entries[place] = end, len(data[-1])
            end += len(data[-1])
    if data and form.is_sharded:
        stored = entries.tobytes()  # start and length of each chunk in C order, and the CRC32C of that
        data.append(stored + struct.pack("<I", google_crc32c.value(stored)))
    return total, _replace(form.path(index), data)


def _pieces(form: StoredForm, cells: Array) -> Iterator[tuple[Shape, Array]]:
    """Yields the chunks of an object that lie in the array, as they are stored, clipped at its end."""
    for place in form.order:
        piece = cells[tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, form.chunk, strict=True))]
        if piece.size:
            yield place, piece


def _replace(path: Path, data: list[bytes]) -> str | None:
    """Puts a file in its place whole, or removes it where there is nothing to write; returns its sha256."""
    if not data:
        path.unlink(missing_ok=True)
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    with temporary.open("wb") as file:
        file.writelines(data)
    temporary.replace(path)
    digest = hashlib.sha256()
    for piece in data:
        digest.update(piece)
    return digest.hexdigest()


# --- reading back ---------------------------------------------------------------------------------------------------


def compare_unit(form: StoredForm, cells: Array, index: Shape, where: str) -> None:
    """Reads an object from disk and compares it bit for bit with the values that it was made of.

    Args:
        form: the form of the array.
        cells: the values.
        index: its place among the objects.
        where: names the values in errors.

    Raises:
        NotEqual: it holds other values, or cannot be read.

    """
    path = form.path(index)
    try:
        with path.open("rb", buffering=0) as file:
            _compare_chunks(form, cells, file.fileno(), where)
    except FileNotFoundError:
        _compare_absent(form, cells, where)
    except (ValueError, RuntimeError) as error:  # of the codec
        raise NotEqual(f"{where}: {path.name} cannot be read back ({error})", "see that the disk is sound") from error


def _compare_chunks(form: StoredForm, cells: Array, file: int, where: str) -> None:
    size = os.fstat(file).st_size
    places = _read_index(file, size, form.grid) if form.is_sharded else {form.order[0]: (0, size)}
    for place, piece in _pieces(form, cells):
        if place not in places:
            _compare_absent(form, piece, f"{where}, chunk {list(place)}")
            continue
        chunk = _read_chunk(form, file, *places[place])[tuple(slice(0, n) for n in piece.shape)]
        if not is_same(piece.view(form.fill.dtype), chunk):
            compare(piece, chunk.view(piece.dtype), where)


def _read_chunk(form: StoredForm, file: int, start: int, size: int) -> Array:
    data = scratch("file", size)
    if read_at(file, data.data, start) != size:
        raise ValueError(f"ends before {start + size}")
    chunk = scratch("decoded", form.nbytes)
    if size >= _BLOSC_HEADER:  # bytes before and after compression (Blosc 1 chunk format)
        before, _, after = np.frombuffer(data[4:_BLOSC_HEADER], "<u4").tolist()
    if size < _BLOSC_HEADER or (before, after) != (chunk.nbytes, size):
        raise ValueError(f"{size} bytes are no whole Blosc buffer of {chunk.nbytes}")
    numcodecs.blosc.decompress(data, chunk)
    return chunk.view(form.fill.dtype).reshape(form.chunk)


def _compare_absent(form: StoredForm, cells: Array, where: str) -> None:
    """Compares cells of an absent object or chunk, which reads as the fill value."""
    compare(cells, np.broadcast_to(form.fill, cells.shape).view(cells.dtype), where)


# --- shards: the index at the end, and the order of chunks (Zarr v3 core, sharding_indexed codec) --------------------


def _read_index(file: int, size: int, grid: Shape) -> dict[Shape, tuple[int, int]]:
    """Returns start and length in bytes of the chunks that a shard of ``size`` bytes holds, by place in its ``grid``.

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
    """Returns the places of a grid in the order in which zarr-python stores chunks: neighbours lie near each other.

    >>> morton_order((2, 3))
    [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    """
    return sorted(product(*map(range, grid)), key=lambda place: _morton_code(place, grid))


def _morton_code(place: Shape, grid: Shape) -> int:
    """Interleaves the bits of all coordinates, each as long as its dimension needs (compressed Morton code)."""
    code, at = 0, 0
    lengths = [(size - 1).bit_length() for size in grid]
    for bit in range(max(lengths)):
        for coordinate, length in zip(place, lengths, strict=True):
            if bit < length:
                code |= (coordinate >> bit & 1) << at
                at += 1
    return code
