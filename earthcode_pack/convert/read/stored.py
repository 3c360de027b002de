"""A variable of an HDF5 or NetCDF-4 file as stored bytes: chunks read and decoded side by side, outside HDF5's lock.

HDF5 says once where the chunks lie; from then on it is not asked. What it alone can decode is left to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np

from earthcode_pack.convert.buffers import scratch
from earthcode_pack.convert.read.filters import DEFLATE, FLETCHER32, SHUFFLE, BadChunk, Filter, undo
from earthcode_pack.convert.read.plain import REMEDY, WORK_BYTES, Plain, Work, exactly, opened, packed_strides
from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.convert.read.plain import Array, Box

_KNOWN = {DEFLATE, SHUFFLE, FLETCHER32}
_TYPES = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {"f2", "f4", "f8"}
_TIMES = 4  # a chunk is in memory while it is decoded: as stored, inflated, framed, and whole where a part is wanted
_HIDDEN = "_nc4_non_coord_"  # netCDF-C's name for a variable that is called like a dimension and is not its coordinate


class _Place(NamedTuple):
    """Place of the bytes of a chunk, and a bit for each filter that was not applied."""

    offset: int
    size: int
    mask: int


@dataclass(frozen=True)
class Chunked:
    """A variable in chunks. ``numbers`` are those of the chunks that are there, sorted; ``places`` go with them.

    ``dtype`` is that of the file, byte order included; ``fill`` is what a chunk that is not there holds.
    """

    path: Path
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    filters: tuple[Filter, ...]
    numbers: Array
    places: Array
    fill: Array
    file_size: int

    @property
    def nbytes(self) -> int:
        """Approximate size in memory of this description."""
        return 1000 + self.numbers.nbytes + self.places.nbytes

    @property
    def chunk_bytes(self) -> int:
        """Size of a chunk without its filters."""
        return math.prod(self.chunk) * self.dtype.itemsize

    def reading(self, box: Box, out: Array) -> Iterator[Work]:
        """Pieces of work for the pool that fill ``out``, in the machine's byte order, with the values of a box.

        Each raises ``Unreadable`` where a chunk is cut off, or is not what its filters wrote.
        """
        together = max(1, WORK_BYTES // self.chunk_bytes)
        hit = [range(low // size, -(-high // size)) for (low, high), size in zip(box, self.chunk, strict=True)]
        corners = list(product(*hit))
        for start in range(0, len(corners), together):
            yield Work(partial(self._fill, corners[start : start + together], box, out), _TIMES * self.chunk_bytes)

    def _fill(self, corners: list[tuple[int, ...]], box: Box, out: Array) -> None:
        with opened(self.path) as descriptor:
            for corner in corners:
                try:
                    self._copy(descriptor, corner, box, out)
                except (BadChunk, EOFError) as error:
                    at = tuple(number * size for number, size in zip(corner, self.chunk, strict=True))
                    raise Unreadable(f"{self.path.name}: {self.name}: the chunk at {at}: {error}", REMEDY) from error

    def _copy(self, descriptor: int, corner: tuple[int, ...], box: Box, out: Array) -> None:
        """Copies the part of one chunk that lies in the box; a whole chunk is decoded in place."""
        within, wanted = zip(*map(_overlap, corner, self.chunk, self.shape, box), strict=True)
        target, place = out[within], self._place(corner)
        if place is None:
            target[...] = self.fill
        elif target.shape == self.chunk and target.flags.c_contiguous:
            self._decode(descriptor, place, target)
        else:
            whole = scratch("chunk", self.chunk_bytes).view(out.dtype).reshape(self.chunk)
            self._decode(descriptor, place, whole)
            target[...] = whole[wanted]

    def _place(self, corner: tuple[int, ...]) -> _Place | None:
        number = np.ravel_multi_index(corner, _grid(self.shape, self.chunk))
        index = int(np.searchsorted(self.numbers, number))
        if index == self.numbers.size or self.numbers[index] != number:
            return None
        return _Place(*map(int, self.places[index]))

    def _decode(self, descriptor: int, place: _Place, out: Array) -> None:
        if place.offset + place.size > self.file_size:
            raise EOFError(f"it ends {place.offset + place.size - self.file_size} bytes behind the end of the file")
        raw = scratch("raw", place.size)
        exactly(descriptor, place.offset, raw)
        applied = [each for bit, each in enumerate(self.filters) if not place.mask >> bit & 1]
        undo(raw, applied, out.reshape(-1).view(np.uint8))
        if not self.dtype.isnative:
            out.byteswap(inplace=True)


def _overlap(number: int, size: int, end: int, span: tuple[int, int]) -> tuple[slice, slice]:
    """Along one dimension: where the chunk goes in what is read, and which part of the chunk that is."""
    start = number * size
    low, high = max(span[0], start), min(span[1], start + size, end)
    return slice(low - span[0], high - span[0]), slice(low - start, high - start)


def _grid(shape: tuple[int, ...], chunk: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-(-size // length) for size, length in zip(shape, chunk, strict=True))


# --- what HDF5 says -------------------------------------------------------------------------------------------------


def stored(path: Path, name: str) -> Chunked | Plain | None:
    """Describes how a variable lies in its file; None where HDF5 has to read it: other filters, types and layouts.

    Reads metadata alone. Raises what h5py raises for a file that it does not open.
    """
    with h5py.File(path, "r") as file:
        dataset = file.get(_HIDDEN + name, file.get(name))
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim == 0 or not _is_simple(file, dataset):
            return None
        layout = dataset.id.get_create_plist().get_layout()
        if layout == h5py.h5d.CONTIGUOUS:
            return _contiguous(path, name, dataset)
        return _chunked(path, name, dataset) if layout == h5py.h5d.CHUNKED else None


def _is_simple(file: h5py.File, dataset: h5py.Dataset) -> bool:
    """Tells whether the bytes are in this file at the places it says, and are numbers as numpy has them."""
    kind = np.dtype(dataset.dtype.str)
    return (
        kind.str[1:] in _TYPES
        and dataset.id.get_type().equal(h5py.h5t.py_create(kind))
        and dataset.file.filename == file.filename
        and file.userblock_size == 0
        and dataset.id.get_create_plist().get_external_count() == 0
    )


def _contiguous(path: Path, name: str, dataset: h5py.Dataset) -> Plain | Chunked | None:
    offset = dataset.id.get_offset()
    if dataset.id.get_create_plist().get_nfilters():
        return None
    dtype = np.dtype(dataset.dtype.str)
    if offset is None:
        return _unwritten(path, name, dataset)
    strides = packed_strides(dataset.shape, dtype.itemsize)
    return Plain(path, name, dtype, dataset.shape, offset, strides, path.stat().st_size)


def _unwritten(path: Path, name: str, dataset: h5py.Dataset) -> Chunked | None:
    """A variable of which nothing is stored, as one chunk that is not there."""
    dtype, none = np.dtype(dataset.dtype.str), np.empty(0, np.int64)
    fill = np.asarray(dataset.fillvalue, dtype.newbyteorder("="))
    found = Chunked(
        path, name, dtype, dataset.shape, dataset.shape, (), none, none.reshape(-1, 3), fill, path.stat().st_size
    )
    return None if 0 in dataset.shape or _is_undefined(dataset, found) else found


def _chunked(path: Path, name: str, dataset: h5py.Dataset) -> Chunked | None:
    filters = _filters(dataset)
    grid = _grid(dataset.shape, dataset.chunks)
    if filters is None or math.prod(grid) >= np.iinfo(np.int64).max or not hasattr(dataset.id, "chunk_iter"):
        return None
    numbers, places = _places(dataset, grid)
    dtype = np.dtype(dataset.dtype.str)
    found = Chunked(
        path, name, dtype, dataset.shape, dataset.chunks, filters, numbers, places,
        np.asarray(dataset.fillvalue, dtype.newbyteorder("=")), path.stat().st_size,
    )  # fmt: skip
    return None if _is_undefined(dataset, found) or _may_be_bare(found) else found


def _filters(dataset: h5py.Dataset) -> tuple[Filter, ...] | None:
    """The pipeline in the order in which it was applied; None where HDF5 has to undo it."""
    made = dataset.id.get_create_plist()
    every = [made.get_filter(index) for index in range(made.get_nfilters())]
    numbers = [number for number, *_ in every]
    if not set(numbers) <= _KNOWN or numbers.count(DEFLATE) > 1:
        return None
    itemsize = dataset.dtype.itemsize
    return tuple(Filter(number, (values or (itemsize,))[0]) for number, _flags, values, _words in every)


def _places(dataset: h5py.Dataset, grid: tuple[int, ...]) -> tuple[Array, Array]:
    """The numbers of the chunks that are there, sorted, and offset, size and filter mask of each."""
    found: list[tuple[int, int, int, int]] = []

    def note(info: Any) -> None:
        corner = tuple(at // size for at, size in zip(info.chunk_offset, dataset.chunks, strict=True))
        number = int(np.ravel_multi_index(corner, grid))
        found.append((number, info.byte_offset, info.size, info.filter_mask))

    dataset.id.chunk_iter(note)
    table = np.array(sorted(found), np.int64).reshape(-1, 4)
    return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1:])


def _is_undefined(dataset: h5py.Dataset, found: Chunked) -> bool:
    """Tells whether chunks are missing, and HDF5 was told to fill nothing in."""
    made = dataset.id.get_create_plist()
    told = (
        made.get_fill_time() != h5py.h5d.FILL_TIME_NEVER and made.fill_value_defined() != h5py.h5d.FILL_VALUE_UNDEFINED
    )
    return not told and found.numbers.size < math.prod(_grid(found.shape, found.chunk))


def _may_be_bare(found: Chunked) -> bool:
    """Tells whether a chunk at an edge may lie unfiltered, which HDF5 can do without a note in its mask."""
    grid = _grid(found.shape, found.chunk)
    whole = found.numbers[found.places[:, 1] == found.chunk_bytes]
    corners = np.unravel_index(whole, grid)
    reaches = zip(corners, found.chunk, found.shape, strict=True)
    return bool(found.filters) and any((corner * size + size > end).any() for corner, size, end in reaches)
