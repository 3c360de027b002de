"""A file that takes what memory does not hold: values go in by boxes and come out by blocks."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from earthcode_pack.convert.read.plain import exactly
from earthcode_pack.execution.threads import in_pool
from earthcode_pack.files import write_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from earthcode_pack.convert.chunks import Region

Array = np.ndarray[Any, Any]


@dataclass
class _Block:
    """Where a block lies in the file, and the pieces of it that are there, one after the other."""

    region: Region
    start: int
    pieces: list[tuple[Region, int]] = field(default_factory=list)
    used: int = 0


class Spill:
    """A scratch file for blocks, which nobody else sees and which goes with the process.

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
        """Takes the values of a box; boxes do not overlap. Raises ``OSError`` where the disk is full."""
        work = []
        for block in self._blocks:
            common = _common(box, block.region)
            if common is not None:
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
        """The values of a block, once all boxes are written that it has a part of."""
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


def _common(one: Region, other: Region) -> Region | None:
    both = {dim: (max(one[dim][0], other[dim][0]), min(one[dim][1], other[dim][1])) for dim in one}
    return both if all(start < stop for start, stop in both.values()) else None


def _within(part: Region, whole: Region) -> tuple[slice, ...]:
    return tuple(slice(part[dim][0] - whole[dim][0], part[dim][1] - whole[dim][0]) for dim in whole)
