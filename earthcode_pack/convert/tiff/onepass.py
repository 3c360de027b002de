"""A map through the one-pass engine: rows are read ahead, tiles are encoded in the pool, and the file is read back."""

from __future__ import annotations

from collections import deque
from concurrent.futures import wait
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import chain, pairwise
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import rasterio
import xxhash
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from earthcode_pack.checks.equality import compare
from earthcode_pack.checksums import checksums
from earthcode_pack.convert.read.raster import GDAL_OPTIONS
from earthcode_pack.convert.statistics import Tally
from earthcode_pack.convert.tiff.integers import are_exact
from earthcode_pack.convert.tiff.layout import Spool, assemble, template
from earthcode_pack.convert.tiff.overviews import Halving, level_shapes, streams
from earthcode_pack.convert.tiff.tiles import Codec, cut
from earthcode_pack.errors import NotEqual
from earthcode_pack.execution.threads import cores, in_pool, pool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from rasterio.io import DatasetReader

    from earthcode_pack.checksums import Checksums
    from earthcode_pack.convert.look import Look
    from earthcode_pack.convert.planes import Plane
    from earthcode_pack.model import Job

Array = np.ndarray[Any, Any]
_RESAMPLING = {"average", "nearest", "mode"}
_IN_HAND = 128 * 2**20  # bytes of a block of rows, of which there are three at most
_AT_ONCE = 256 * 2**20  # bytes of a level whose rows must all be at hand


def is_possible(look: Look, job: Job) -> bool:
    """Whether this engine writes what GDAL's COG driver would: the same pixels, overviews and tags."""
    options = job.options
    return (
        options["compression"] in ("deflate", "zstd")
        and options["resampling"] in _RESAMPLING
        and not look.has_mask
        and _row_bytes(look, job) * options["blocksize"] <= _IN_HAND
        and (len(level_shapes(job.grid.shape, options["blocksize"])) == 1 or _grows_alike(look, job))
    )


def _grows_alike(look: Look, job: Job) -> bool:
    """Tells whether the overviews are those that GDAL's driver grows, or those that it would grow wrong."""
    resampling, dtype = job.options["resampling"], np.dtype(look.dtype)
    shapes = level_shapes(job.grid.shape, job.options["blocksize"])
    if any(lower[1] == upper[1] for lower, upper in pairwise(shapes[1:])):
        return False  # one column: GDAL grows them all from the full resolution
    at_once = [rows * columns for rows, columns in shapes[:-1] if not streams((rows, columns), look, resampling)]
    if max(at_once, default=0) * look.count * dtype.itemsize > _AT_ONCE:
        return False
    if are_exact(look, resampling):
        return True
    if resampling == "average":
        has_colours, knows_missing = look.colormap is not None, look.nodata is not None
        return not (has_colours or (dtype.kind == "f" and not knows_missing))
    return resampling == "nearest" or not look.has_alpha


def _row_bytes(look: Look, job: Job) -> int:
    return job.grid.shape[1] * look.count * np.dtype(look.dtype).itemsize


def _step(plane: Plane, job: Job) -> int:
    """Rows of a block: whole rows of tiles, and of what the file decodes together where that is not too much."""
    blocksize: int = job.options["blocksize"]
    together = -(-plane.block_rows // blocksize) * blocksize
    return together if together * _row_bytes(plane.look, job) <= _IN_HAND else blocksize


class _Block(NamedTuple):
    """Rows of the map, and the fingerprint of their values."""

    start: int
    stop: int
    digest: bytes


def write_cog(
    plane: Plane, job: Job, target: Path, options: dict[str, Any], tally_of: Callable[[Array], Tally]
) -> tuple[Tally, Checksums]:
    """Writes ``target`` and compares every cell with the source; the tally of the valid ones, and the file's sums.

    ``options`` are those of GDAL's COG driver. Raises ``NotEqual``.
    """
    tally, blocks = Tally(), []
    with ExitStack() as stack:
        growth = _Growth(plane.look, job, target.parent, stack)
        ahead = stack.enter_context(closing(_read_ahead(plane, job.grid.shape[0], _step(plane, job))))
        for start, stop, rows in ahead:
            growth.feed(rows)
            blocks.append(_Block(start, stop, _digest(rows)))
            tally += tally_of(rows)
        growth.drain(0)
        assemble(target, template(plane.look, job.grid, options, len(growth.shapes)), growth.shapes, growth.spools)
    found = pool().submit(checksums, target)
    _verify(target, blocks, plane, job)
    return tally, found.result()


def _digest(rows: Array) -> bytes:
    return xxhash.xxh3_128_digest(np.ascontiguousarray(rows).data)


def _read_ahead(plane: Plane, height: int, step: int) -> Generator[tuple[int, int, Array]]:
    """Blocks of rows; while one is worked on, the next is read."""
    spans = [(start, min(start + step, height)) for start in range(0, height, step)]
    ahead: Future[Array] = pool().submit(plane.rows, *spans[0])
    try:
        for number, (start, stop) in enumerate(spans):
            rows = ahead.result()
            if number + 1 < len(spans):
                ahead = pool().submit(plane.rows, *spans[number + 1])
            yield start, stop, rows
    finally:
        wait([ahead])  # the source must not be closed under it


class _Growth:
    """All levels of a COG, growing from north to south."""

    def __init__(self, look: Look, job: Job, folder: Path, stack: ExitStack) -> None:
        options = job.options
        self._blocksize: int = options["blocksize"]
        self.shapes = level_shapes(job.grid.shape, self._blocksize)
        files = [TemporaryFile(dir=folder) for _ in self.shapes]  # noqa: SIM115 - the stack closes them
        self.spools = [Spool(stack.enter_context(file)) for file in files]
        self._halvings = [
            Halving(shape, target, look, options["resampling"])
            for shape, target in zip(self.shapes, self.shapes[1:], strict=False)
        ]
        self._waiting: list[list[Array]] = [[] for _ in self.shapes]
        self._reached = [0] * len(self.shapes)
        self._codec = Codec(options["compression"], options["level"], predict=not _is_palette(look))
        self._rows_of_tiles = 0  # of the full resolution
        self._tiles: deque[tuple[int, Future[bytes]]] = deque()

    def feed(self, rows: Array) -> None:
        """A block of rows of the full resolution; waits for the tiles of the block before."""
        before = len(self._tiles)
        self._feed(0, rows)
        self.drain(len(self._tiles) - before)

    def _feed(self, level: int, rows: Array) -> None:
        """Rows of a level: tiles where a row of tiles is full, and rows of the next level."""
        self._waiting[level].append(rows)
        self._reached[level] += rows.shape[1]
        self._cut(level)
        if level < len(self._halvings):
            above = self._halvings[level].feed(rows)
            if above is not None:
                self._feed(level + 1, above)

    def _cut(self, level: int) -> None:
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
        lefts = range(0, rows.shape[2], self._blocksize)
        if level == 0 and self._codec.is_open:
            self._sample(rows, lefts)
        encode = self._codec.encoder()
        for left in lefts:
            self._tiles.append((level, pool().submit(_tile, encode, rows, left, self._blocksize)))

    def _sample(self, rows: Array, lefts: range) -> None:
        """A tile of rows 0, 1, 2, 4, 8, … of tiles, each time another."""
        number = self._rows_of_tiles
        self._rows_of_tiles += 1
        if number & (number - 1) == 0:
            self._codec.consider(
                cut(rows, lefts[(number.bit_length() + len(lefts) // 2) % len(lefts)], self._blocksize)
            )

    def drain(self, keep: int) -> None:
        """Spools tiles in their order until only ``keep`` are under way."""
        while len(self._tiles) > keep:
            level, tile = self._tiles.popleft()
            self.spools[level].add(tile.result())


def _tile(encode: Callable[[Array], bytes], rows: Array, left: int, blocksize: int) -> bytes:
    return encode(cut(rows, left, blocksize))


def _is_palette(look: Look) -> bool:
    """Neighbours in a palette are unrelated."""
    return look.colorinterp[:1] == (ColorInterp.palette,)


def _verify(target: Path, blocks: list[_Block], plane: Plane, job: Job) -> None:
    """Reads the file once, as GDAL reads it, and compares the fingerprints of all values."""
    size = -(-len(blocks) // (2 * cores()))
    groups = [blocks[start : start + size] for start in range(0, len(blocks), size)]
    for block in chain.from_iterable(in_pool(partial(_different, target), groups)):
        where = f"{job.key} ({job.asset}), rows from {block.start}"
        with _reading(target) as written:
            compare(plane.rows(block.start, block.stop), _rows_of(written, block), where)
        raise NotEqual(f"{where}: the source changed while it was read", "run again when nothing writes to it")


def _different(target: Path, blocks: list[_Block]) -> list[_Block]:
    with _reading(target) as written:
        return [block for block in blocks if _digest(_rows_of(written, block)) != block.digest]


@contextmanager
def _reading(target: Path) -> Iterator[DatasetReader]:
    with rasterio.Env(**GDAL_OPTIONS), rasterio.open(target, driver="GTiff") as written:
        yield written


def _rows_of(written: DatasetReader, block: _Block) -> Array:
    return np.asarray(written.read(window=Window(0, block.start, written.width, block.stop - block.start)))
