"""Writes the arrays of one level of a pyramid from those of the level before, chunk by chunk."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from earthcode_pack.checks.equality import compare
from earthcode_pack.convert.cube.chunks import region_sizes, regions
from earthcode_pack.convert.zarr.pyramid import fitted
from earthcode_pack.execution.threads import Budget, in_pool

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.convert.zarr.pyramid import Array, Resampling

Sizes = dict[str, int]
Region = dict[str, tuple[int, int]]

_PIECE = 8 * 2**20  # bytes written at once: enough that waking a thread costs nothing
_BLOCK = 4 * 2**20  # bytes made at once, of four times as many of the level before: what caches hold
_READ = 3  # copies of a block: as it is read, as numbers, and as the coarser cells that it makes
_WRITTEN = 6  # copies of a piece, measured on shards: made, padded, encoded, joined, read back, and its bits
_OF_THE_BASE = ("actual_range",)  # attributes that are true of the full resolution alone


@dataclass(frozen=True)
class BaseArray:
    """An array of the base: the names of its dimensions, of its CF bounds ("" without), and its resampling."""

    name: str
    dims: tuple[str, ...]
    resampling: Resampling
    bounds: str


@dataclass(frozen=True)
class LevelJob:
    """A level and the one before as folders; ``sizes`` of y and x, and the ``steps`` from the one to the other."""

    before: Path
    folder: Path
    sizes: Sizes
    steps: Sizes
    version: int  # of the Zarr format
    limit: int  # bytes in hand at once
    subject: str  # of messages


@dataclass(frozen=True)
class _Piece:
    """Whole write units of one array of a level, and the array that they are made from."""

    level: LevelJob
    source: BaseArray
    before: Any
    array: Any
    region: Region

    @property
    def steps(self) -> list[int]:
        """Cells of the level before that make one, along each axis."""
        return [self.level.steps.get(dim, 1) for dim in self.source.dims]


def write_edges(base: Path, folder: Path, name: str, edges: Array, version: int) -> None:
    """Writes a coordinate of y or x, or its bounds: centres of cells, or edges of each in the order of the base.

    Args:
        base: the store.
        folder: that of the level.
        name: of the coordinate or its bounds.
        edges: of the cells of the level, one more than there are cells, in units of the CRS.
        version: of the Zarr format.

    """
    before = zarr.open_array(base, path=name, mode="r")
    values = (edges[:-1] + edges[1:]) / 2
    if before.ndim == 2:  # noqa: PLR2004 - bounds
        first = np.asarray(before[0], np.float64)
        swapped = (first[1] - first[0]) * (edges[1] - edges[0]) < 0
        values = np.stack([edges[1:], edges[:-1]] if swapped else [edges[:-1], edges[1:]], axis=1)
    if before.dtype.kind == "f":
        MetadataNode(folder / name, version).make_array_like(
            MetadataNode(base / name, version), {0: len(values)}, _OF_THE_BASE
        )
        zarr.open_array(folder, path=name, mode="r+")[...] = values.astype(before.dtype)
    else:  # centres of coarser cells lie between whole numbers
        zarr.create_array(
            folder,
            name=name,
            data=values,
            chunks=values.shape,
            attributes={key: value for key, value in before.attrs.items() if key not in (*_OF_THE_BASE, "_FillValue")},
            zarr_format=before.metadata.zarr_format,
            dimension_names=getattr(before.metadata, "dimension_names", None),
        )


def write_cells(level: LevelJob, arrays: list[BaseArray]) -> None:
    """Writes every array that lies on y or x, in the pool.

    Args:
        level: the level.
        arrays: those of the base.

    Raises:
        NotEqual: what is read back differs from what was computed.

    """
    budget = Budget(level.limit)

    def write(piece: _Piece) -> None:
        with budget.hold(_in_hand(piece)):
            _write(piece)

    in_pool(write, [piece for source in arrays for piece in _pieces(level, source)])


def _pieces(level: LevelJob, source: BaseArray) -> list[_Piece]:
    """Writes the metadata of an array, and returns its pieces."""
    like, node = (MetadataNode(folder / source.name, level.version) for folder in (level.before, level.folder))
    along = {axis: level.sizes[dim] for axis, dim in enumerate(source.dims) if dim in level.sizes}
    node.make_array_like(like, along, _OF_THE_BASE)
    before = zarr.open_array(level.before, path=source.name, mode="r")
    array = zarr.open_array(level.folder, path=source.name, mode="r+")
    sizes = dict(zip(source.dims, array.shape, strict=True))
    unit = dict(zip(source.dims, array.shards or array.chunks, strict=True))
    region = region_sizes(sizes, unit, array.dtype.itemsize, min(level.limit // 16, _PIECE))
    return [_Piece(level, source, before, array, place) for place in regions(sizes, region)]


def _write(piece: _Piece) -> None:
    """Computes one piece, writes it, reads it back and compares."""
    starts = {dim: start for dim, (start, _) in piece.region.items()}
    lengths = {dim: stop - start for dim, (start, stop) in piece.region.items()}
    made = np.empty(tuple(lengths.values()), piece.array.dtype)
    for block in regions(lengths, _block(piece, lengths)):
        inside = tuple(slice(*span) for span in block.values())
        place = {dim: (start + starts[dim], stop + starts[dim]) for dim, (start, stop) in block.items()}
        spans = zip(place.values(), piece.steps, piece.before.shape, strict=True)
        cells = piece.before[tuple(slice(a * step, min(b * step, size)) for (a, b), step, size in spans)]
        made[inside] = piece.source.resampling.apply(cells, {axis: n for axis, n in enumerate(piece.steps) if n > 1})
    target = tuple(slice(*span) for span in piece.region.values())
    piece.array[target] = made
    where = f"{piece.level.subject}: level {piece.level.folder.name} of {piece.source.name}"
    compare(made, np.asarray(piece.array[target]), f"{where}{[list(span) for span in piece.region.values()]}")


def _block(piece: _Piece, lengths: Sizes) -> Sizes:
    """Returns the size of what is computed at once: whole chunks of the level before, within a share of the limit."""
    chunks = zip(piece.source.dims, piece.before.chunks, piece.steps, strict=True)
    unit = {dim: max(chunk // step, 1) for dim, chunk, step in chunks}
    return region_sizes(lengths, unit, piece.array.dtype.itemsize, min(piece.level.limit // 32, _BLOCK))


def _in_hand(piece: _Piece) -> int:
    """Returns the bytes of a piece at most: what is written, and a block of the level before, with their copies."""
    lengths = {dim: stop - start for dim, (start, stop) in piece.region.items()}
    block = prod(_block(piece, lengths).values()) * prod(piece.steps)
    return (_WRITTEN * prod(lengths.values()) + _READ * block) * int(piece.array.dtype.itemsize)


# --- metadata of groups and arrays, v2 or v3, as JSON -----------------------------------------------------------------

_V3 = 3
_META, _ARRAY, _GROUP, _ATTRS = "zarr.json", ".zarray", ".zgroup", ".zattrs"


@dataclass(frozen=True)
class MetadataNode:
    """A group or array by its folder."""

    folder: Path
    version: int

    def attributes(self) -> dict[str, Any]:
        """Returns its attributes as stored."""
        if self.version == _V3:
            return dict(self._read(_META).get("attributes", {}))
        return self._read(_ATTRS) if (self.folder / _ATTRS).is_file() else {}

    def set_attributes(self, attrs: dict[str, Any]) -> None:
        """Replaces its attributes; drops the consolidated metadata of a v3 group, which held the old ones."""
        if self.version != _V3:
            self._write(_ATTRS, attrs)
            return
        meta = self._read(_META)
        meta.pop("consolidated_metadata", None)
        self._write(_META, meta | {"attributes": attrs})

    def make_group(self, attrs: dict[str, Any]) -> None:
        """Creates a group."""
        self.folder.mkdir()
        if self.version == _V3:
            self._write(_META, {"attributes": attrs, "zarr_format": 3, "node_type": "group"})
            return
        self._write(_GROUP, {"zarr_format": 2})
        self._write(_ATTRS, attrs)

    def make_array_like(self, other: MetadataNode, sizes: dict[int, int], drop: tuple[str, ...]) -> None:
        """Creates an array without chunks, like another in all but the sizes of some axes, and some attributes."""
        self.folder.mkdir()
        name = _META if self.version == _V3 else _ARRAY
        meta = other._read(name)
        meta["shape"] = [sizes.get(axis, size) for axis, size in enumerate(meta["shape"])]
        _fit_chunks(meta, sizes)
        self._write(name, meta)
        if self.version != _V3 and (other.folder / _ATTRS).is_file():
            shutil.copyfile(other.folder / _ATTRS, self.folder / _ATTRS)
        attrs = other.attributes()
        if set(drop) & set(attrs):
            self.set_attributes({key: value for key, value in attrs.items() if key not in drop})

    def _read(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / name).read_text())
        return content

    def _write(self, name: str, content: dict[str, Any]) -> None:
        """Writes a file by one rename."""
        part = self.folder / f"{name}.part"
        part.write_text(json.dumps(content, indent=2))
        os.replace(part, self.folder / name)  # noqa: PTH105 - atomic on every platform


def _fit_chunks(meta: dict[str, Any], sizes: dict[int, int]) -> None:
    """Fits chunks and shards, in place, of an array that has its new shape."""
    if "chunks" in meta:
        meta["chunks"] = [fitted(c, None, sizes[i])[0] if i in sizes else c for i, c in enumerate(meta["chunks"])]
        return
    outer = meta["chunk_grid"]["configuration"]["chunk_shape"]
    sharding = next((codec["configuration"] for codec in meta["codecs"] if codec["name"] == "sharding_indexed"), None)
    for axis, size in sizes.items():
        if sharding is None:
            outer[axis], _ = fitted(outer[axis], None, size)
        else:
            sharding["chunk_shape"][axis], outer[axis] = fitted(sharding["chunk_shape"][axis], outer[axis], size)
