"""Blocks of a cube within a budget of bytes that all parts of this process share."""

from __future__ import annotations

import ctypes
import math
from functools import lru_cache
from typing import TYPE_CHECKING

from earthcode_pack.convert.regions import blocks_of
from earthcode_pack.execution.threads import Budget

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from earthcode_pack.convert.cube import Array, CubeVariable, LocalPaths, Region
    from earthcode_pack.model import Job

# In hand at once: the pool's threads share in one large block, so that a second one would only take memory.
_LIMIT = 192 * 2**20
_LARGE = 64 * 2**20
_budget = lru_cache(maxsize=None)(Budget)  # by its limit, of which a run has one


def held_blocks(
    variable: CubeVariable, region: Region, job: Job, paths: LocalPaths, folder: Path
) -> Generator[tuple[Region, Array]]:
    """The blocks of a region (``blocks_of``), once there is room for them beside those of other parts.

    To be closed (``contextlib.closing``), which gives the room back. A failure keeps the generator alive as long as it
    is known itself, and other parts would wait for the room until then.

    ``folder`` is the job's own: what does not fit into memory is spilt there.
    """
    most = job.options["region_bytes"]
    size = math.prod(stop - start for start, stop in region.values()) * variable.dtype.itemsize
    with _budget(min(_LIMIT, most)).hold(min(size, most)):
        if size > _LARGE:
            _give_back()
        yield from blocks_of(variable, region, job, paths, folder)


def _give_back() -> None:
    """Free memory, before much of it is asked for: glibc keeps some for each thread, measured a tenth of the peak."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)
