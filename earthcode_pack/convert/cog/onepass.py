"""Writes a COG in one pass: rows are read ahead, tiles are encoded in the pool, and the file is read back."""

from __future__ import annotations

from collections import deque
from concurrent.futures import wait
from contextlib import ExitStack, closing, contextmanager
from itertools import chain, pairwise
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import rasterio
import xxhash
from rasterio.windows import Window

from earthcode_pack.checks.equality import compare
from earthcode_pack.checksums import Checksums, checksums
from earthcode_pack.convert.cog.overviews import Halving, are_exact, level_shapes, streams
from earthcode_pack.convert.cog.tiff_file import TileSpool, assemble, template_of
from earthcode_pack.convert.cog.tiles import TileEncoder, cut_tile
from earthcode_pack.convert.read.raster import GDAL_OPTIONS
from earthcode_pack.convert.statistics import RunningStatistics
from earthcode_pack.errors import NotEqual
from earthcode_pack.execution.threads import cores, in_pool, pool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from rasterio.io import DatasetReader

    from earthcode_pack.convert.cog.raster_metadata import RasterMetadata
    from earthcode_pack.convert.cog.row_reader import RowReader
    from earthcode_pack.model import Job

Array = np.ndarray[Any, Any]
_RESAMPLING = {"average", "nearest", "mode"}
_IN_HAND = 128 * 2**20  # bytes of a block of rows, of which there are three at most
_AT_ONCE = 256 * 2**20  # bytes of a level whose rows must all be at hand


def is_possible(metadata: RasterMetadata, job: Job) -> bool:
    """Tells whether this engine writes what GDAL's COG driver would: the same pixels, overviews and tags."""
    encoding = job.cog
    return (
        encoding.compression in ("deflate", "zstd")
        and encoding.resampling in _RESAMPLING
        and not metadata.has_mask
        and _row_bytes(metadata, job) * encoding.blocksize <= _IN_HAND
        and (len(level_shapes(job.grid.shape, encoding.blocksize)) == 1 or _grows_alike(metadata, job))
    )


def _grows_alike(metadata: RasterMetadata, job: Job) -> bool:
    """Tells whether the overviews are those of GDAL's driver, or those that it gets wrong."""
    resampling, dtype = job.cog.resampling, np.dtype(metadata.dtype)
    shapes = level_shapes(job.grid.shape, job.cog.blocksize)
    if any(lower[1] == upper[1] for lower, upper in pairwise(shapes[1:])):
        return False  # one column: GDAL grows them all from the full resolution
    at_once = [rows * columns for rows, columns in shapes[:-1] if not streams((rows, columns), metadata, resampling)]
    if max(at_once, default=0) * metadata.count * dtype.itemsize > _AT_ONCE:
        return False
    if are_exact(metadata, resampling):
        return True
    if resampling == "average":
        has_colours, knows_missing = metadata.colormap is not None, metadata.nodata is not None
        return not (has_colours or (dtype.kind == "f" and not knows_missing))
    return resampling == "nearest" or not metadata.has_alpha


def _row_bytes(metadata: RasterMetadata, job: Job) -> int:
    return job.grid.shape[1] * metadata.count * np.dtype(metadata.dtype).itemsize


class _Block(NamedTuple):
    """Rows of the map, and the digest of their values."""

    start: int
    stop: int
    digest: bytes


def write_cog(
    reader: RowReader,
    job: Job,
    target: Path,
    options: dict[str, Any],
    statistics_of: Callable[[Array], RunningStatistics],
) -> tuple[RunningStatistics, Checksums]:
    """Writes a COG and compares every cell with the source.

    Args:
        reader: reads the map.
        job: the job.
        target: path of the COG.
        options: creation options of GDAL's COG driver.
        statistics_of: computes the statistics of a block of rows.

    Returns:
        The statistics of the valid cells, and the checksums of the file.

    Raises:
        NotEqual: the file holds other values than the source.

    """
    found, blocks, blocksize = RunningStatistics(), [], job.cog.blocksize
    # Whole rows of tiles, and of what the file decodes together where that is not too much.
    step = -(-reader.block_rows // blocksize) * blocksize
    step = step if step * _row_bytes(reader.metadata, job) <= _IN_HAND else blocksize
    with ExitStack() as stack:
        pyramid = _PyramidWriter(reader.metadata, job, target.parent, stack)
        ahead = stack.enter_context(closing(_read_ahead(reader, job.grid.shape[0], step)))
        for start, stop, rows in ahead:
            pyramid.feed(rows)
            blocks.append(_Block(start, stop, _digest(rows)))
            found += statistics_of(rows)
        pyramid.drain(0)
        assemble(
            target, template_of(reader.metadata, job.grid, options, len(pyramid.shapes)), pyramid.shapes, pyramid.spools
        )
    hashed = pool().submit(checksums, target)
    _verify(target, blocks, reader, job)
    return found, hashed.result()


def _digest(rows: Array) -> bytes:
    return xxhash.xxh3_128_digest(np.ascontiguousarray(rows).data)


def _read_ahead(reader: RowReader, height: int, step: int) -> Generator[tuple[int, int, Array]]:
    """Yields blocks of rows; while one is worked on, the next is read."""
    spans = [(start, min(start + step, height)) for start in range(0, height, step)]
    ahead: Future[Array] = pool().submit(reader.rows, *spans[0])
    try:
        for number, (start, stop) in enumerate(spans):
            rows = ahead.result()
            if number + 1 < len(spans):
                ahead = pool().submit(reader.rows, *spans[number + 1])
            yield start, stop, rows
    finally:
        wait([ahead])  # the source must not be closed under it


class _PyramidWriter:
    """Writer of all levels of a COG, which grow from north to south."""

    def __init__(self, metadata: RasterMetadata, job: Job, folder: Path, stack: ExitStack) -> None:
        encoding = job.cog
        self._blocksize = encoding.blocksize
        self.shapes = level_shapes(job.grid.shape, self._blocksize)
        files = [TemporaryFile(dir=folder) for _ in self.shapes]  # noqa: SIM115 - the stack closes them
        self.spools = [TileSpool(stack.enter_context(file)) for file in files]
        self._halvings = [
            Halving(shape, target, metadata, encoding.resampling)
            for shape, target in zip(self.shapes, self.shapes[1:], strict=False)
        ]
        self._waiting: list[list[Array]] = [[] for _ in self.shapes]
        self._reached = [0] * len(self.shapes)
        self._encoder = TileEncoder(encoding.compression, encoding.level, predict=not metadata.is_palette)
        self._rows_of_tiles = 0  # of the full resolution
        self._tiles: deque[tuple[int, Future[bytes]]] = deque()

    def feed(self, rows: Array) -> None:
        """Takes a block of rows of the full resolution; waits for the tiles of the block before."""
        before, level = len(self._tiles), 0
        made: Array | None = rows
        while made is not None:
            self._waiting[level].append(made)
            self._reached[level] += made.shape[1]
            self._cut(level)
            made = self._halvings[level].feed(made) if level < len(self._halvings) else None
            level += 1
        self.drain(len(self._tiles) - before)

    def _cut(self, level: int) -> None:
        """Submits the rows of tiles of a level that are full, or the last."""
        waiting, blocksize = self._waiting[level], self._blocksize
        is_last = self._reached[level] == self.shapes[level][0]
        height = sum(rows.shape[1] for rows in waiting)
        if height < blocksize and not is_last:
            return
        rows = waiting[0] if len(waiting) == 1 else np.concatenate(waiting, axis=1)
        waiting.clear()
        whole = height if is_last else height // blocksize * blocksize
        for top in range(0, whole, blocksize):
            self._submit(level, rows[:, top : min(top + blocksize, whole)])
        if whole < height:
            waiting.append(rows[:, whole:])

    def _submit(self, level: int, rows: Array) -> None:
        """Encodes a row of tiles in the pool."""
        lefts = range(0, rows.shape[2], self._blocksize)
        if level == 0 and self._encoder.is_open:
            number = self._rows_of_tiles
            self._rows_of_tiles += 1
            if number & (number - 1) == 0:  # a tile of rows 0, 1, 2, 4, 8, … of tiles, each time another
                left = lefts[(number.bit_length() + len(lefts) // 2) % len(lefts)]
                self._encoder.add_sample(cut_tile(rows, left, self._blocksize))
        encode, blocksize = self._encoder.function(), self._blocksize
        for left in lefts:
            work = pool().submit(lambda left: encode(cut_tile(rows, left, blocksize)), left)
            self._tiles.append((level, work))

    def drain(self, keep: int) -> None:
        """Spools tiles in their order until only ``keep`` are under way."""
        while len(self._tiles) > keep:
            level, tile = self._tiles.popleft()
            self.spools[level].add(tile.result())


def _verify(target: Path, blocks: list[_Block], reader: RowReader, job: Job) -> None:
    """Reads the file once, as GDAL reads it, and compares the digests of all values."""
    size = -(-len(blocks) // (2 * cores()))
    groups = [blocks[start : start + size] for start in range(0, len(blocks), size)]

    def differing(group: list[_Block]) -> list[_Block]:
        with _reading(target) as written:
            return [block for block in group if _digest(_rows_of(written, block)) != block.digest]

    for block in chain.from_iterable(in_pool(differing, groups)):
        where = f"{job.key} ({job.asset}), rows from {block.start}"
        with _reading(target) as written:
            compare(reader.rows(block.start, block.stop), _rows_of(written, block), where)
        raise NotEqual(f"{where}: the source changed while it was read", "run again when nothing writes to it")


@contextmanager
def _reading(target: Path) -> Iterator[DatasetReader]:
    with rasterio.Env(**GDAL_OPTIONS), rasterio.open(target, driver="GTiff") as written:
        yield written


def _rows_of(written: DatasetReader, block: _Block) -> Array:
    return np.asarray(written.read(window=Window(0, block.start, written.width, block.stop - block.start)))
