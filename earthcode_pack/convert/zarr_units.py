"""The objects of a Zarr array, written and read back one by one, byte for byte as zarr-python writes them."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.checks.equality import compare
from earthcode_pack.convert import shards
from earthcode_pack.convert.blosc import Blosc, decode_into
from earthcode_pack.convert.cells import is_only, is_same, whole_chunk
from earthcode_pack.convert.scratch import scratch
from earthcode_pack.convert.statistics import Tally
from earthcode_pack.errors import NotEqual
from earthcode_pack.files import read_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import zarr

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


@dataclass(frozen=True)
class Form:
    """How an array lies on disk. ``unit`` is the shape of an object, ``chunk`` of what is compressed at once in it.

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
        """Where an object lies, by its place among the objects."""
        return self.folder / self.key(index)

    @cached_property
    def grid(self) -> Shape:
        """Chunks in an object along each dimension."""
        return tuple(unit // chunk for unit, chunk in zip(self.unit, self.chunk, strict=True))

    @cached_property
    def order(self) -> list[Shape]:
        """The chunks of an object as they are stored."""
        return shards.morton_order(self.grid)

    @property
    def nbytes(self) -> int:
        """Of a chunk before compression."""
        return int(np.prod(self.chunk)) * self.fill.itemsize


# --- what is covered ------------------------------------------------------------------------------------------------


def form_of(array: zarr.Array[Any], folder: Path) -> Form | None:
    """The form of the array whose objects lie below ``folder``; None for one that only zarr-python can write.

    It is taken from the metadata as the Zarr specification has them, not from zarr-python's classes of codecs.
    """
    if not array.dtype.isnative or array.dtype.kind not in "biuf" or not array.shape:
        return None
    metadata: dict[str, Any] = array.metadata.to_dict()
    codec = _v2(metadata, array.dtype) if metadata["zarr_format"] == 2 else _v3(metadata)  # noqa: PLR2004 - the version
    if codec is None:
        return None
    value = 0 if array.fill_value is None else array.fill_value  # as zarr-python takes none
    fill = np.asarray(value, array.dtype).view(f"u{array.dtype.itemsize}")
    key = array.metadata.encode_chunk_key
    return Form(folder, array.shards or array.chunks, array.chunks, fill, codec, key, array.shards is not None)


def _v2(metadata: dict[str, Any], dtype: np.dtype[Any]) -> Blosc | None:
    codec = metadata["compressor"] or {}
    if codec.get("id") != "blosc" or metadata["filters"] or metadata["order"] != "C":
        return None
    return Blosc(codec["cname"], codec["clevel"], codec["shuffle"], codec["blocksize"], dtype.itemsize)


def _v3(metadata: dict[str, Any]) -> Blosc | None:
    codecs = metadata["codecs"]
    if len(codecs) == 1 and codecs[0]["name"] == "sharding_indexed":
        sharding = codecs[0]["configuration"]
        if sharding.get("index_location", "end") != "end" or not _is_plain_index(sharding["index_codecs"]):
            return None
        codecs = sharding["codecs"]
    match codecs:
        case [{"name": "bytes"} as plain, {"name": "blosc", "configuration": codec}] if _endian(plain) == sys.byteorder:
            shuffle = _SHUFFLES[codec["shuffle"]]
            return Blosc(codec["cname"], codec["clevel"], shuffle, codec["blocksize"], codec["typesize"])
    return None


def _is_plain_index(codecs: Any) -> bool:
    match codecs:
        case [{"name": "bytes"} as plain, {"name": "crc32c"}]:
            return _endian(plain) == "little"
    return False


def _endian(codec: dict[str, Any]) -> str:
    """The byte order that a codec states; this machine's where it states none, as it does for single bytes."""
    return str(codec.get("configuration", {}).get("endian", sys.byteorder))


# --- writing --------------------------------------------------------------------------------------------------------


def write_unit(form: Form, cells: Array, index: Shape, tally: Callable[[Array], Tally]) -> tuple[Tally, str | None]:
    """Writes an object in one rename: ``cells`` are its values, clipped at the end of the array.

    What holds nothing but the fill value, bit for bit, is left out. The statistics are of all cells; the sha256 is that
    of the object, None where there is none.
    """
    data: list[bytes] = []
    places, total = shards.Places(form.grid), Tally()
    for place, piece in _pieces(form, cells):
        chunk = whole_chunk(piece, form.chunk, form.fill)
        total += tally(chunk.view(cells.dtype) if piece.shape == chunk.shape else piece)
        if not is_only(chunk, form.fill):
            data.append(form.codec.encode(chunk))
            places.add(place, len(data[-1]))
    if data and form.is_sharded:
        data.append(places.encode())
    return total, _replace(form.path(index), data)


def _pieces(form: Form, cells: Array) -> Iterator[tuple[Shape, Array]]:
    """The chunks of an object that lie in the array, as they are stored, clipped at its end."""
    for place in form.order:
        piece = cells[tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, form.chunk, strict=True))]
        if piece.size:
            yield place, piece


def _replace(path: Path, data: list[bytes]) -> str | None:
    """Puts a file in its place whole, or takes it away where there is nothing to write; its sha256."""
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


def compare_unit(form: Form, cells: Array, index: Shape, where: str) -> None:
    """Reads an object from disk and compares it bit for bit with the values that it was made of.

    Raises ``NotEqual``.
    """
    path = form.path(index)
    try:
        with path.open("rb", buffering=0) as file:
            _compare_chunks(form, cells, file.fileno(), where)
    except FileNotFoundError:
        _compare_absent(form, cells, where)
    except (ValueError, RuntimeError) as error:  # of the codec
        raise NotEqual(f"{where}: {path.name} cannot be read back ({error})", "see that the disk is sound") from error


def _compare_chunks(form: Form, cells: Array, file: int, where: str) -> None:
    size = os.fstat(file).st_size
    places = shards.read_places(file, size, form.grid) if form.is_sharded else {form.order[0]: (0, size)}
    for place, piece in _pieces(form, cells):
        if place not in places:
            _compare_absent(form, piece, f"{where}, chunk {list(place)}")
            continue
        chunk = _read_chunk(form, file, *places[place])[tuple(slice(0, n) for n in piece.shape)]
        if not is_same(piece.view(form.fill.dtype), chunk):
            compare(piece, chunk.view(piece.dtype), where)


def _read_chunk(form: Form, file: int, start: int, size: int) -> Array:
    data = scratch("file", size)
    if read_at(file, data.data, start) != size:
        raise ValueError(f"ends before {start + size}")
    chunk = scratch("decoded", form.nbytes)
    decode_into(data, chunk)
    return chunk.view(form.fill.dtype).reshape(form.chunk)


def _compare_absent(form: Form, cells: Array, where: str) -> None:
    """What is not there reads as the fill value."""
    compare(cells, np.broadcast_to(form.fill, cells.shape).view(cells.dtype), where)
