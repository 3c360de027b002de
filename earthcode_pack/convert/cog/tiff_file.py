"""Assembles the file of a COG: GDAL's structural header, all directories, overviews from the smallest, the base.

The tags are lifted from a small COG that GDAL itself writes with the same metadata; only sizes and the tables of tiles
are new. Formats: TIFF 6.0, BigTIFF (libtiff), «COG — Cloud Optimized GeoTIFF generator», GDAL's raster driver manual.
"""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import rasterio.shutil
from rasterio.io import MemoryFile

from earthcode_pack.convert.cog.gdal_input import creation_profile, exact_input, set_metadata

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.convert.cog.raster_metadata import RasterMetadata
    from earthcode_pack.model import Grid

_WIDTH, _LENGTH, _TILE_WIDTH, _TILE_LENGTH, _OFFSETS, _COUNTS = 256, 257, 322, 323, 324, 325  # tags
_SMALL = 128  # the edge of the smallest tile that GDAL's COG driver takes
_SHORT, _LONG, _LONG8 = 3, 4, 16  # types of a field
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CLASSIC, _BIG = 42, 43
_LARGEST_CLASSIC = 2**32 - 2**16
_IN_MEMORY = 16 * 2**20  # bytes of tiles of a level
_COPIED = 2**20  # bytes that are copied at once


class Field(NamedTuple):
    """A tag's type, number of values, and their bytes."""

    kind: int
    number: int
    data: bytes


Directory = dict[int, Field]


@dataclass(frozen=True)
class Template:
    """``ghost`` is GDAL's structural header, the directories those of the full resolution and of an overview."""

    ghost: bytes
    full: Directory
    overview: Directory
    blocksize: int


class TileSpool:
    """Tiles of a level in their order, framed as GDAL frames them: in memory, or in a file where there are many."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._written = file, 0
        self._held: list[bytes] = []
        self.offsets: list[int] = []  # from the start of the level
        self.counts: list[int] = []
        self.size = 0

    def add(self, tile: bytes) -> None:
        """Adds a tile: its size before it, its last four bytes again behind it."""
        self.offsets.append(self.size + 4)
        self.counts.append(len(tile))
        self._held += (struct.pack("<I", len(tile)), tile, tile[-4:])
        self.size += len(tile) + 8
        if self.size - self._written > _IN_MEMORY:
            self._file.writelines(self._held)
            self._held.clear()
            self._written = self.size

    def append_to(self, target: IO[bytes]) -> None:
        """Writes the level where ``target`` stands."""
        self._file.flush()
        target.flush()
        self._file.seek(0)
        shutil.copyfileobj(self._file, target, _COPIED)
        target.writelines(self._held)


# --- the template ---------------------------------------------------------------------------------------------------


def template_of(metadata: RasterMetadata, grid: Grid, options: dict[str, Any], levels: int) -> Template:
    """Reads the tags that GDAL writes for a map from a small one with the same metadata.

    It has two tiles, so that there is an overview, or one: GDAL notes the resampling only where there are overviews.

    Args:
        metadata: what the COG says of its bands.
        grid: the grid of the COG.
        options: creation options of GDAL's COG driver.
        levels: number of levels, that of the full resolution included.

    """
    small = grid.model_copy(update={"shape": (2, (2 if levels > 1 else 1) * _SMALL)})
    with MemoryFile(ext=".tif") as source, MemoryFile(ext=".tif") as written:
        with source.open(**creation_profile(metadata, small)) as file:
            set_metadata(file, metadata)
        given = {**options, "BLOCKSIZE": _SMALL, "LEVEL": 1, "BIGTIFF": "YES", "NUM_THREADS": "1"}
        rasterio.shutil.copy(exact_input(source.name, metadata, small), written.name, driver="COG", **given)
        return read_template(bytes(written.getbuffer()), options["BLOCKSIZE"])


def read_template(data: bytes, blocksize: int) -> Template:
    """Reads the template from a BigTIFF that GDAL's COG driver wrote, for tiles of ``blocksize``."""
    (at,) = struct.unpack_from("<Q", data, 8)
    directories = []
    while at:
        directory, at = _read_directory(data, at)
        directories.append(directory)
    # The structural header is ``GDAL_STRUCTURAL_METADATA_SIZE=NNNNNN bytes`` and a line feed, then as many bytes.
    start = 16
    end = data.index(b"\n", start) + 1
    size = int(data[start:end].split(b"=")[1].split()[0])
    return Template(data[start : end + size], directories[0], directories[-1], blocksize)


def _read_directory(data: bytes, at: int) -> tuple[Directory, int]:
    (count,) = struct.unpack_from("<Q", data, at)
    fields: Directory = {}
    for entry in range(at + 8, at + 8 + 20 * count, 20):
        tag, kind, number = struct.unpack_from("<HHQ", data, entry)
        size = _SIZES[kind] * number
        where = entry + 12 if size <= 8 else struct.unpack_from("<Q", data, entry + 12)[0]  # noqa: PLR2004 - it fits
        fields[tag] = Field(kind, number, data[where : where + size])
    (following,) = struct.unpack_from("<Q", data, at + 8 + 20 * count)
    return fields, following


# --- the file -------------------------------------------------------------------------------------------------------


def assemble(target: Path, template: Template, shapes: list[tuple[int, int]], spools: list[TileSpool]) -> None:
    """Writes the file; classic TIFF where four gigabytes suffice.

    Args:
        target: its path.
        template: tags of the directories.
        shapes: rows and columns of each level, the full resolution first.
        spools: tiles of each level.

    """
    big = _places(template, shapes, spools, big=False)[2] > _LARGEST_CLASSIC
    starts, bases, _ = _places(template, shapes, spools, big=big)
    with target.open("wb") as file:
        header = struct.pack("<2sHHHQ", b"II", _BIG, 8, 0, starts[0])
        if not big:
            header = struct.pack("<2sHI", b"II", _CLASSIC, starts[0])
        file.write(header + template.ghost)
        for level, start in enumerate(starts):
            place = _Place(start, bases[level], following=(*starts, 0)[level + 1])
            file.seek(start)
            file.write(_directory(template, level, shapes[level], spools[level], place, big=big))
        for level in reversed(range(len(spools))):
            file.seek(bases[level])
            spools[level].append_to(file)


def _places(
    template: Template, shapes: list[tuple[int, int]], spools: list[TileSpool], *, big: bool
) -> tuple[list[int], list[int], int]:
    """Returns where each directory and the tiles of each level begin, and where the file ends."""
    at = (16 if big else 8) + len(template.ghost)
    at += -at % 8
    starts = []
    for level, spool in enumerate(spools):
        starts.append(at)
        at += len(_directory(template, level, shapes[level], spool, _Place(0, 0, 0), big=big))
    bases = [0] * len(spools)
    for level in reversed(range(len(spools))):
        bases[level] = at
        at += spools[level].size
    return starts, bases, at


class _Place(NamedTuple):
    """Offsets of a directory, of the tiles of its level, and of the next directory."""

    at: int
    tiles: int
    following: int


def _directory(
    template: Template, level: int, shape: tuple[int, int], spool: TileSpool, place: _Place, *, big: bool
) -> bytes:
    """Returns a directory and, behind it, the values that do not fit into its entries."""
    fields = dict(template.overview if level else template.full)
    fields[_LENGTH], fields[_WIDTH] = (_number(size) for size in shape)
    fields[_TILE_LENGTH] = fields[_TILE_WIDTH] = _number(template.blocksize)
    fields[_OFFSETS] = _table(spool.offsets, place.tiles, _LONG8 if big else _LONG)
    fields[_COUNTS] = _table(spool.counts, 0, _LONG)
    inline, entry = (8, "<HHQ") if big else (4, "<HHI")
    head = struct.pack("<Q" if big else "<H", len(fields))
    rest = b""
    end = place.at + len(head) + len(fields) * (struct.calcsize(entry) + inline) + inline
    end += -end % 8
    for tag, field in sorted(fields.items()):
        value = field.data
        if len(value) > inline:
            value = struct.pack("<Q" if big else "<I", end + len(rest))
            rest += field.data + bytes(-len(field.data) % 8)
        head += struct.pack(entry, tag, field.kind, field.number) + value.ljust(inline, b"\0")
    head += struct.pack("<Q" if big else "<I", place.following)
    return head + bytes(-(place.at + len(head)) % 8) + rest


def _number(value: int) -> Field:
    short = value < 2**16
    return Field(_SHORT if short else _LONG, 1, struct.pack("<H" if short else "<I", value))


def _table(values: list[int], base: int, kind: int) -> Field:
    numbers = np.array(values, np.uint64) + np.uint64(base)
    return Field(kind, len(values), numbers.astype("<u8" if kind == _LONG8 else "<u4").tobytes())
