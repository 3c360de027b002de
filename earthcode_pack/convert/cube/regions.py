"""Reads the stored values of a part of a cube block by block: as much at once as memory allows.

Where a region of whole chunks and whole write units is larger than that (chunks of single days to chunks over the whole
time axis), it takes two passes: boxes of whole source chunks into a scratch file, and out of it blocks of whole units.
"""

from __future__ import annotations

import ctypes
import math
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from earthcode_pack.convert.cube.chunks import chunk_sizes, cuts_of, grown, time_boundaries, whole_chunks
from earthcode_pack.convert.cube.variables import Array, CubeVariable, LocalPaths, Region, read_block
from earthcode_pack.convert.read.plain import exactly
from earthcode_pack.execution.threads import Budget, in_pool
from earthcode_pack.files import write_at

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from earthcode_pack.model import Job


# In hand at once: the pool's threads share in one large block, so that a second one would only take memory.
_LIMIT = 192 * 2**20
_LARGE = 64 * 2**20
_budget = lru_cache(maxsize=None)(Budget)  # by its limit, of which a run has one


def blocks_within_budget(
    variable: CubeVariable, region: Region, job: Job, paths: LocalPaths, folder: Path
) -> Generator[tuple[Region, Array]]:
    """Yields the blocks of a region (``blocks_of``) within a budget of bytes that all parts of this process share.

    To be closed (``contextlib.closing``), which gives the room back. A failure keeps the generator alive as long as it
    is known itself, and other parts would wait for the room until then.

    Args:
        variable: the variable.
        region: start and stop by dimension.
        job: the job.
        paths: local paths by href.
        folder: the job's own, where what does not fit into memory is spilt.

    """
    most, size = job.cube.region_bytes, _count(region) * variable.dtype.itemsize
    with _budget(min(_LIMIT, most)).hold(min(size, most)):
        if size > _LARGE:
            # Free memory goes back before much of it is asked for: glibc keeps some for each thread, measured a tenth
            # of the peak.
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
            if trim is not None:
                trim(0)
        yield from blocks_of(variable, region, job, paths, folder)


def blocks_of(
    variable: CubeVariable, region: Region, job: Job, paths: LocalPaths, scratch: Path
) -> Iterator[tuple[Region, Array]]:
    """Yields regions of whole write units that fill ``region``, each with its stored values, C-contiguous.

    Valid until the next block is asked for. Each chunk of a source is decoded once. What does not fit into
    ``region_bytes`` of the job is spilt into an unlinked file in ``scratch``, of the size of the region at most.
    Raises ``OSError`` (ENOSPC) where the disk is full.
    """
    axis, limit = job.cube.time, job.cube.region_bytes
    if _count(region) * variable.dtype.itemsize <= limit:
        with _memory_for(variable, region) as into:
            yield region, read_block(variable, region, axis, paths, into)
        return
    unit = job.cube.write_unit(variable.name)
    unit_cuts = {dim: cuts_of(region[dim], unit[dim]) for dim in variable.sizes}
    blocks = list(grown(unit_cuts, variable.dtype.itemsize, limit // 2))
    with Spill(scratch, variable.dtype, blocks) as spill:
        for box in grown(_chunk_cuts(variable, region, axis), variable.dtype.itemsize, limit // 2):
            spill.write(box, read_block(variable, box, axis, paths))
        for number, block in enumerate(blocks):
            yield block, spill.read(number)


_SPARE: list[Array] = []  # memory of the last block; fresh memory costs a tenth of what is read into it


@contextmanager
def _memory_for(variable: CubeVariable, region: Region) -> Iterator[Array]:
    size = _count(region) * variable.dtype.itemsize
    try:
        spare = _SPARE.pop()
    except IndexError:
        spare = np.empty(0, np.uint8)
    if not size <= spare.size <= 2 * size:
        del spare
        spare = np.empty(size, np.uint8)
    yield spare[:size].view(variable.dtype).reshape([stop - start for start, stop in region.values()])
    _SPARE[:] = [spare]  # not after a failure: pieces of work that had begun still write into it


def _chunk_cuts(variable: CubeVariable, region: Region, axis: str | None) -> dict[str, list[int]]:
    """Returns where a region can be cut between chunks of the sources."""
    chunks = [{dim: n for dim, n in chunk_sizes(held).items() if dim != axis} for held in variable.in_files]
    least = whole_chunks(variable.sizes, dict.fromkeys(variable.sizes, 1), chunks)
    cuts = {dim: cuts_of(region[dim], least[dim]) for dim in variable.sizes}
    if axis in cuts:
        start, stop = region[axis]
        along = time_boundaries(variable.inputs, variable.name, axis)
        cuts[axis] = [start, *(at for at in along if start < at < stop), stop]
    return cuts


# --- what memory does not hold ----------------------------------------------------------------------------------------


@dataclass
class _Block:
    """Place of a block in the file, and the pieces of it that are there, one after the other."""

    region: Region
    start: int
    pieces: list[tuple[Region, int]] = field(default_factory=list)
    used: int = 0


class Spill:
    """An unlinked scratch file for what memory does not hold: values go in by boxes and come out by blocks.

    Every piece of a box lies in one stretch of the file, and every block does: few calls, and large ones.
    """

    def __init__(self, folder: Path, dtype: np.dtype[Any], blocks: Sequence[Region]) -> None:
        sizes = [_count(block) * dtype.itemsize for block in blocks]
        starts = np.cumsum([0, *sizes]).tolist()
        self._dtype = dtype
        self._blocks = [_Block(block, start) for block, start in zip(blocks, starts, strict=False)]
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, box: Region, values: Array) -> None:
        """Writes the values of a box; boxes do not overlap. Raises ``OSError`` where the disk is full."""
        work = []
        for block in self._blocks:
            common = {
                dim: (max(start, block.region[dim][0]), min(stop, block.region[dim][1]))
                for dim, (start, stop) in box.items()
            }
            if all(start < stop for start, stop in common.values()):
                offset = block.start + block.used
                block.pieces.append((common, offset))
                block.used += _count(common) * self._dtype.itemsize
                work.append(partial(self._put, offset, values[_within(common, box)]))
        in_pool(lambda put: put(), work)

    def _put(self, offset: int, piece: Array) -> None:
        data = np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data
        while data:
            written = write_at(self._file.fileno(), data, offset)
            data, offset = data[written:], offset + written

    def read(self, number: int) -> Array:
        """Reads the values of a block, once all boxes are written that it has a part of."""
        block = self._blocks[number]
        out = np.empty([stop - start for start, stop in block.region.values()], self._dtype)
        in_pool(lambda piece: self._get(*piece, block.region, out), block.pieces)
        return out

    def _get(self, common: Region, offset: int, region: Region, out: Array) -> None:
        target = out[_within(common, region)]
        data = target.reshape(-1) if target.flags.c_contiguous else np.empty(target.size, self._dtype)
        exactly(self._file.fileno(), offset, data.view(np.uint8))
        target[...] = data.reshape(target.shape)


def _count(region: Region) -> int:
    return math.prod(stop - start for start, stop in region.values())


def _within(part: Region, whole: Region) -> tuple[slice, ...]:
    return tuple(slice(part[dim][0] - whole[dim][0], part[dim][1] - whole[dim][0]) for dim in whole)
