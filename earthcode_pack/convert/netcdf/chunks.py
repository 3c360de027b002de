"""Chunks of a NetCDF-4 variable: compressed in threads, put into the file as they are, and read back from it."""

from __future__ import annotations

import errno
import os
import shutil
from collections import deque
from concurrent.futures import wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import deflate
import h5netcdf
import numpy as np
import xxhash
from isal import isal_zlib

from earthcode_pack.checks.equality import compare
from earthcode_pack.convert.buffers import is_only, scratch, whole_chunk
from earthcode_pack.convert.cube.chunks import regions
from earthcode_pack.convert.cube.variables import read_block
from earthcode_pack.convert.read.stored import stored
from earthcode_pack.convert.statistics import RunningStatistics
from earthcode_pack.errors import NotEqual, Unreadable
from earthcode_pack.execution.threads import cores, in_pool, pool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future

    import h5py

    from earthcode_pack.convert.cube.variables import Array, CubeVariable, LocalPaths, Region
    from earthcode_pack.model import Job

Corner = tuple[int, ...]
_METADATA = 2**20  # bytes that HDF5 may have in hand when it closes a file
# ISA-L makes of any level what zlib makes of 4, within 1.5 % of its size and ten times as fast. Its own level 3 is
# slower and no smaller; a larger buffer makes it faster and larger. Above 6 a person asks for small files.
_QUICK = 6
_ISAL_LEVEL, _ISAL_BUFFER, _WINDOW = 2, 3, 15
_FED = 2**20  # bytes at once: what comes out takes little more memory than it is long


def disk_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Returns the type on disk: truth values, which NetCDF lacks, are int8 (xarray adds ``dtype: bool``)."""
    return np.dtype(np.int8) if dtype.kind == "b" else dtype


@dataclass
class Written:
    """Facts of the values that were put into the file, gathered while they were at hand.

    ``digests`` are those of the cells of each chunk, without what fills it up at an edge, by its first cell.
    """

    statistics: RunningStatistics = field(default_factory=RunningStatistics)
    digests: dict[Corner, bytes] = field(default_factory=dict)
    cells: int = 0


class _Chunk(NamedTuple):
    corner: Corner
    data: bytes | None  # None where the fill value says it all
    digest: bytes
    statistics: RunningStatistics


def refuse_full_disk(path: str, size: int) -> None:
    """Raises ``OSError`` (ENOSPC) where a file cannot grow by so many bytes, and by metadata.

    HDF5 must not find out by itself: it keeps what it could not write, and may crash when the file is closed.
    """
    if shutil.disk_usage(Path(path).parent).free < size + _METADATA:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


class Chunks:
    """The chunks of one variable of a file. ``dataset`` is its name in HDF5."""

    def __init__(self, variable: CubeVariable, job: Job, dataset: str) -> None:
        self.variable, self.job, self.dataset = variable, job, dataset
        self.shape = tuple(job.netcdf.chunks[variable.name].values())
        fill = 0 if variable.nodata is None else variable.nodata
        self.fill = np.asarray(fill, variable.dtype).view(f"u{variable.dtype.itemsize}")

    # --- writing ----------------------------------------------------------------------------------------------------

    def write(self, dataset: h5py.Dataset, blocks: Generator[tuple[Region, Array]]) -> Written:
        """Puts blocks of whole chunks into the dataset, in their order, and tells what they were."""
        written = Written()
        with closing(blocks):
            for region, block in blocks:
                with closing(ordered_map(self._encoder(region, block), self._places(region))) as chunks:
                    for chunk in chunks:
                        self._put(dataset, chunk)
                        written.digests[chunk.corner] = chunk.digest
                        written.statistics += chunk.statistics
                written.cells += block.size
                del block  # before the next one is read
        return written

    def _put(self, dataset: h5py.Dataset, chunk: _Chunk) -> None:
        if chunk.data is not None:
            refuse_full_disk(dataset.file.filename, len(chunk.data))
            dataset.id.write_direct_chunk(chunk.corner, chunk.data)

    def _places(self, region: Region) -> list[Region]:
        """Returns the chunks of a region, as places in it, clipped at its end."""
        sizes = {dim: stop - start for dim, (start, stop) in region.items()}
        return list(regions(sizes, dict(zip(region, self.shape, strict=True))))

    def _encoder(self, region: Region, block: Array) -> Callable[[Region], _Chunk]:
        """Returns the function that encodes the chunk at a place in a block."""
        first = {dim: start for dim, (start, _) in region.items()}

        def encoded(place: Region) -> _Chunk:
            cells = block[tuple(slice(*bounds) for bounds in place.values())]
            whole = whole_chunk(cells, self.shape, self.fill)
            ours = whole if cells.shape == whole.shape else np.ascontiguousarray(cells)
            corner = tuple(first[dim] + start for dim, (start, _) in place.items())
            return _Chunk(
                corner, self._data(whole, corner), _digest(ours), self.variable.statistics_of(ours.view(block.dtype))
            )

        return encoded

    def _data(self, chunk: Array, corner: Corner) -> bytes | None:
        """Compresses a chunk; None for fill values alone, as which HDF5 reads absent chunks; see ``reserve``."""
        if self.variable.nodata is not None and any(corner) and is_only(chunk, self.fill):
            return None
        return deflate_chunk(chunk, self.job.netcdf.level)

    # --- reading back -----------------------------------------------------------------------------------------------

    def compare(self, path: Path, written: Written, paths: LocalPaths) -> None:
        """Reads every chunk of the file and compares its digest with that of the values it was made of.

        Raises ``NotEqual`` that says where values differ.
        """
        place = {dim: (0, size) for dim, size in self.variable.sizes.items()}
        places = self._places(place)
        wrong = next(
            (p for p, same in zip(places, self._compared(path, written, places), strict=True) if not same), None
        )
        if wrong is not None:
            self._tell(path, wrong, paths)
        self._spot_check(path, written, places)

    def _compared(self, path: Path, written: Written, places: list[Region]) -> list[bool]:
        """Tells whether each chunk is what was written, read with our own threads where HDF5 is not needed."""
        found = stored(path, self.dataset)
        if found is None:
            with self._opened(path) as read:
                return [self._is_same(read(place), place, written) for place in places]

        def same(place: Region) -> bool:
            sizes = [stop - start for start, stop in place.values()]
            cells = scratch("cells", int(np.prod(sizes)) * self.fill.itemsize).view(self.disk_type).reshape(sizes)
            for work in found.reading(tuple(place.values()), cells):
                work.do()
            return self._is_same(cells, place, written)

        try:
            return in_pool(same, places)
        except Unreadable as error:
            raise NotEqual(
                f"{self.job.key}: cannot be read back ({error.message})", "see that the disk is sound"
            ) from error

    @property
    def disk_type(self) -> np.dtype[Any]:
        return disk_type(self.variable.dtype)

    def _is_same(self, cells: Array, place: Region, written: Written) -> bool:
        return _digest(cells) == written.digests[tuple(start for start, _ in place.values())]

    def _spot_check(self, path: Path, written: Written, places: list[Region]) -> None:
        """Compares the first and the last chunk as h5netcdf reads them: HDF5 itself finds and decodes them."""
        with self._opened(path) as read:
            for place in (places[0], places[-1]):
                if not self._is_same(read(place), place, written):
                    raise NotEqual(f"{self._where(place)}: h5netcdf reads other values than were written", _REPORT)

    @contextmanager
    def _opened(self, path: Path) -> Iterator[Callable[[Region], Array]]:
        """Reads places through h5netcdf."""
        with h5netcdf.File(path, "r") as file:
            variable = file[self.variable.name]
            yield lambda place: np.ascontiguousarray(variable[tuple(slice(*bounds) for bounds in place.values())])

    def _tell(self, path: Path, place: Region, paths: LocalPaths) -> None:
        """Reads a chunk of the source again, to say where the file differs from it. Raises ``NotEqual``."""
        source = read_block(self.variable, place, self.job.netcdf.time, paths)
        with self._opened(path) as read:
            compare(source, read(place).view(source.dtype), self._where(place))
        raise NotEqual(f"{self._where(place)}: read back as other values than were written", _REPORT)

    def _where(self, place: Region) -> str:
        return f"{self.job.key}: {self.variable.name}{[list(bounds) for bounds in place.values()]}"


_REPORT = "run again; if it stays, report it with this message: the conversion must not be used"


def _digest(cells: Array) -> bytes:
    """Hashes the bytes of C-contiguous cells by XXH3, 128 bits, which finds errors at the speed of memory."""
    digest: bytes = xxhash.xxh3_128_digest(cells.reshape(-1).view(np.uint8).data)
    return digest


def reserve(dataset: h5py.Dataset) -> None:
    """Writes a first chunk, to be replaced: HDF5 lays out the index of chunks, which so lies before all data."""
    dataset.id.write_direct_chunk((0,) * dataset.ndim, b"\0")


def deflate_chunk(chunk: Array, level: int) -> bytes:
    """Shuffles and compresses a C-contiguous chunk as HDF5's filters do, outside HDF5, so in threads.

    Args:
        chunk: the chunk.
        level: as zlib counts, 1 to 9.

    Returns:
        The bytes of the chunk in the file: shuffled (``H5Z_FILTER_SHUFFLE``), then in the zlib format (RFC 1950).

    """
    # The first bytes of all values, then the second ones, and so on.
    shuffled = scratch("planes", chunk.nbytes).reshape(chunk.itemsize, -1)
    shuffled[...] = chunk.reshape(-1, 1).view(np.uint8).T
    planes = shuffled.reshape(-1)
    if level > _QUICK:
        return bytes(deflate.zlib_compress(planes, level))
    engine = isal_zlib.compressobj(_ISAL_LEVEL, isal_zlib.DEFLATED, _WINDOW, _ISAL_BUFFER)
    pieces = [engine.compress(planes[start : start + _FED]) for start in range(0, planes.size, _FED)]
    return b"".join([*pieces, engine.flush()])


def ordered_map[A, R](work: Callable[[A], R], items: Iterable[A]) -> Generator[R]:
    """Yields the results of ``work`` in the order of ``items``; a few are done ahead, so that few are in memory.

    When it is closed (``contextlib.closing``), no piece of work is under way any more.
    """
    todo = iter(items)
    running: deque[Future[R]] = deque(pool().submit(work, item) for item in islice(todo, 2 * cores()))
    try:
        while running:
            result = running.popleft().result()
            running.extend(pool().submit(work, item) for item in islice(todo, 1))
            yield result
    finally:
        for future in running:
            future.cancel()
        wait(running)
