"""The stored values of a part of a cube, block by block: as much at once as memory allows.

Where a region of whole chunks and whole write units is larger than that (chunks of single days to chunks over the whole
time axis), it takes two passes: boxes of whole source chunks into a scratch file, and out of it blocks of whole units.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from earthcode_pack.convert.cube.chunk_boundaries import chunk_sizes, time_borders
from earthcode_pack.convert.cube.chunks import cuts_of, grown, whole_chunks
from earthcode_pack.convert.cube.spill import Spill
from earthcode_pack.convert.cube.variables import Array, CubeVariable, LocalPaths, Region, read_block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.model import Job


def blocks_of(
    variable: CubeVariable, region: Region, job: Job, paths: LocalPaths, scratch: Path
) -> Iterator[tuple[Region, Array]]:
    """Regions of whole write units that fill ``region``, each with its stored values, C-contiguous.

    Valid until the next block is asked for. Each chunk of a source is decoded once. What does not fit into
    ``job.options["region_bytes"]`` is spilt into an unlinked file in ``scratch``, of the size of the region at most.
    Raises ``OSError`` (ENOSPC) where the disk is full.
    """
    axis, limit = job.options["time"], job.options["region_bytes"]
    if _bytes(variable, region) <= limit:
        with _memory_for(variable, region) as into:
            yield region, read_block(variable, region, axis, paths, into)
        return
    blocks = list(grown(_unit_cuts(variable, region, job), variable.dtype.itemsize, limit // 2))
    with Spill(scratch, variable.dtype, blocks) as spill:
        for box in grown(_chunk_cuts(variable, region, axis), variable.dtype.itemsize, limit // 2):
            spill.write(box, read_block(variable, box, axis, paths))
        for number, block in enumerate(blocks):
            yield block, spill.read(number)


_SPARE: list[Array] = []  # memory of the last block; fresh memory costs a tenth of what is read into it


@contextmanager
def _memory_for(variable: CubeVariable, region: Region) -> Iterator[Array]:
    size = _bytes(variable, region)
    try:
        spare = _SPARE.pop()
    except IndexError:
        spare = np.empty(0, np.uint8)
    if not size <= spare.size <= 2 * size:
        del spare
        spare = np.empty(size, np.uint8)
    yield spare[:size].view(variable.dtype).reshape([stop - start for start, stop in region.values()])
    _SPARE[:] = [spare]  # not after a failure: pieces of work that had begun still write into it


def _bytes(variable: CubeVariable, region: Region) -> int:
    return math.prod(stop - start for start, stop in region.values()) * variable.dtype.itemsize


def _unit_cuts(variable: CubeVariable, region: Region, job: Job) -> dict[str, list[int]]:
    """Where a region can be cut between write units."""
    unit = (job.options.get("shards") or job.options["chunks"])[variable.name]
    return {dim: cuts_of(region[dim], unit[dim]) for dim in variable.sizes}


def _chunk_cuts(variable: CubeVariable, region: Region, axis: str | None) -> dict[str, list[int]]:
    """Where a region can be cut between chunks of the sources."""
    chunks = [{dim: n for dim, n in chunk_sizes(held).items() if dim != axis} for held in variable.in_files]
    least = whole_chunks(variable.sizes, dict.fromkeys(variable.sizes, 1), chunks)
    cuts = {dim: cuts_of(region[dim], least[dim]) for dim in variable.sizes}
    if axis in cuts:
        start, stop = region[axis]
        along = time_borders(variable.inputs, variable.name, axis)
        cuts[axis] = [start, *(at for at in along if start < at < stop), stop]
    return cuts
