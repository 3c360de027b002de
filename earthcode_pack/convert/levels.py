"""The arrays of one level of a pyramid, made from those of the level before, chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from earthcode_pack.checks.equality import compare
from earthcode_pack.convert.chunks import region_sizes, regions
from earthcode_pack.convert.node import Node
from earthcode_pack.execution.threads import Budget, in_pool

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.convert.pyramid import Array
    from earthcode_pack.convert.resampling import Resampling

Sizes = dict[str, int]
Region = dict[str, tuple[int, int]]

_PIECE = 8 * 2**20  # bytes written at once: enough that waking a thread costs nothing
_BLOCK = 4 * 2**20  # bytes made at once, of four times as many of the level before: what caches hold
_READ = 3  # copies of a block: as it is read, as numbers, and as the coarser cells that it makes
_WRITTEN = 6  # copies of a piece, measured on shards: made, padded, encoded, joined, read back, and its bits
_OF_THE_BASE = ("actual_range",)  # attributes that are true of the full resolution alone


@dataclass(frozen=True)
class Source:
    """An array of the base: the names of its dimensions, of its CF bounds ("" without), and how it is made coarser."""

    name: str
    dims: tuple[str, ...]
    resampling: Resampling
    bounds: str


@dataclass(frozen=True)
class Making:
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

    making: Making
    source: Source
    before: Any
    array: Any
    region: Region

    @property
    def steps(self) -> list[int]:
        """How many cells of the level before make one, along each axis."""
        return [self.making.steps.get(dim, 1) for dim in self.source.dims]


def write_edges(base: Path, folder: Path, name: str, edges: Array, version: int) -> None:
    """A coordinate of y or x, or its bounds: centres of the cells, or both edges of each in the order of the base."""
    before = zarr.open_array(base, path=name, mode="r")
    values = (edges[:-1] + edges[1:]) / 2
    if before.ndim == 2:  # noqa: PLR2004 - bounds
        first = np.asarray(before[0], np.float64)
        swapped = (first[1] - first[0]) * (edges[1] - edges[0]) < 0
        values = np.stack([edges[1:], edges[:-1]] if swapped else [edges[:-1], edges[1:]], axis=1)
    if before.dtype.kind == "f":
        Node(folder / name, version).make_array_like(Node(base / name, version), {0: len(values)}, _OF_THE_BASE)
        zarr.open_array(folder, path=name, mode="r+")[...] = values.astype(before.dtype)
    else:  # centres of coarser cells lie between whole numbers
        _write_new(folder, name, values, before)


def _write_new(folder: Path, name: str, values: Array, like: Any) -> None:
    zarr.create_array(
        folder,
        name=name,
        data=values,
        chunks=values.shape,
        attributes={key: value for key, value in like.attrs.items() if key not in (*_OF_THE_BASE, "_FillValue")},
        zarr_format=like.metadata.zarr_format,
        dimension_names=getattr(like.metadata, "dimension_names", None),
    )


def write_cells(making: Making, arrays: list[Source]) -> None:
    """Every array that lies on y or x, in the pool.

    Raises ``NotEqual`` where what is read back differs from what was computed.
    """
    budget = Budget(making.limit)

    def write(piece: _Piece) -> None:
        with budget.hold(_in_hand(piece)):
            _write(piece)

    in_pool(write, [piece for source in arrays for piece in _pieces(making, source)])


def _pieces(making: Making, source: Source) -> list[_Piece]:
    """The pieces of an array, whose metadata are written here."""
    like, node = (Node(folder / source.name, making.version) for folder in (making.before, making.folder))
    along = {axis: making.sizes[dim] for axis, dim in enumerate(source.dims) if dim in making.sizes}
    node.make_array_like(like, along, _OF_THE_BASE)
    before = zarr.open_array(making.before, path=source.name, mode="r")
    array = zarr.open_array(making.folder, path=source.name, mode="r+")
    sizes = dict(zip(source.dims, array.shape, strict=True))
    unit = dict(zip(source.dims, array.shards or array.chunks, strict=True))
    region = region_sizes(sizes, unit, array.dtype.itemsize, min(making.limit // 16, _PIECE))
    return [_Piece(making, source, before, array, place) for place in regions(sizes, region)]


def _write(piece: _Piece) -> None:
    """One piece: made, written, read back and compared."""
    starts = {dim: start for dim, (start, _) in piece.region.items()}
    lengths = {dim: stop - start for dim, (start, stop) in piece.region.items()}
    made = np.empty(tuple(lengths.values()), piece.array.dtype)
    for block in regions(lengths, _block(piece, lengths)):
        inside = tuple(slice(*span) for span in block.values())
        place = {dim: (start + starts[dim], stop + starts[dim]) for dim, (start, stop) in block.items()}
        made[inside] = _coarser_cells(piece, place)
    target = tuple(slice(*span) for span in piece.region.values())
    piece.array[target] = made
    where = f"{piece.making.subject}: level {piece.making.folder.name} of {piece.source.name}"
    compare(made, np.asarray(piece.array[target]), f"{where}{[list(span) for span in piece.region.values()]}")


def _coarser_cells(piece: _Piece, place: Region) -> Array:
    spans = zip(place.values(), piece.steps, piece.before.shape, strict=True)
    cells = piece.before[tuple(slice(a * step, min(b * step, size)) for (a, b), step, size in spans)]
    return piece.source.resampling.apply(cells, {axis: step for axis, step in enumerate(piece.steps) if step > 1})


def _block(piece: _Piece, lengths: Sizes) -> Sizes:
    """How much of a piece is made at once: of whole chunks of the level before, as many as a share of the limit."""
    chunks = zip(piece.source.dims, piece.before.chunks, piece.steps, strict=True)
    unit = {dim: max(chunk // step, 1) for dim, chunk, step in chunks}
    return region_sizes(lengths, unit, piece.array.dtype.itemsize, min(piece.making.limit // 32, _BLOCK))


def _in_hand(piece: _Piece) -> int:
    """Bytes at most: what is written, and a block of the level before, each in its forms."""
    lengths = {dim: stop - start for dim, (start, stop) in piece.region.items()}
    block = prod(_block(piece, lengths).values()) * prod(piece.steps)
    return (_WRITTEN * prod(lengths.values()) + _READ * block) * int(piece.array.dtype.itemsize)
