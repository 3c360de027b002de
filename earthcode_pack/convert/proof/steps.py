"""One step of a cube as xarray decodes it, for the proof of the COG that was made of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.convert.proof.alignment import runs
from earthcode_pack.convert.proof.cubes import Cube, open_cube, within, worth_keeping
from earthcode_pack.convert.proof.decoded import CannotTell, Decoded, by_profile
from earthcode_pack.convert.proof.maps import placed
from earthcode_pack.convert.proof.masks import READER, Masked, both, masked, without_ranges
from earthcode_pack.convert.proof.times import compare_period
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.convert.read.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.convert.proof.blocks import Box, Sizes
    from earthcode_pack.convert.proof.gdal import Raster
    from earthcode_pack.model import Input, Job

Array = np.ndarray[Any, Any]

_MASKS: Kept[Masked] = Kept(16 * 2**20, lambda mask: 2 * mask.valid.size)  # of chunks that hold many steps


@dataclass
class StepSide:
    """The map of an input: its only variable at its only step."""

    cube: Cube
    source: Input
    path: Path
    readers: tuple[str, ...]
    limits: list[str] = field(default_factory=list)
    steps: int = 0

    @property
    def chunk(self) -> Sizes:
        """Rows and columns of a chunk of the file."""
        y, x = self.source.grid.dims
        sizes = self._chunks()
        return {"y": sizes[y], "x": sizes[x]} if {y, x} <= set(sizes) else {}

    def _chunks(self) -> Sizes:
        variable = self.source.variables[0]
        return dict(zip(variable.dims, variable.chunks, strict=False))

    def indexes(self, written: Raster, box: Box) -> tuple[Array, Array]:
        """See ``maps.Side``."""
        ys, xs = (self.cube.coordinate(dim) for dim in self.source.grid.dims)
        if ys is None or xs is None:
            raise CannotTell(f"{self.cube.reader} sees no coordinates of {self.source.grid.dims} in {self.path.name}")
        return placed(ys, xs, written, box)

    def decoded(self, rows: Array, columns: Array) -> Decoded:
        """See ``maps.Side``."""
        variable, dims = self.source.variables[0], self.source.grid.dims
        nodata = by_profile(variable, self.cube.variable(variable.source_name).attrs)
        stored = np.concatenate(
            [np.concatenate([self._stored(down, right) for right in runs(columns)], axis=1) for down in runs(rows)]
        )
        found = self.cube.decoded(variable.source_name, stored, dims, nodata)
        doubtful = None if found.doubtful is None else found.doubtful[np.newaxis]
        return Decoded(found.values[np.newaxis], found.valid[np.newaxis], found.step, doubtful)

    def _stored(self, rows: Array, columns: Array) -> Array:
        box = self._box(rows, columns)
        block = self.cube.stored(self.source.variables[0].source_name, box, self._chunks() or None)
        return self._plane(block, box, rows, columns)

    def _plane(self, block: Array, box: Box, rows: Array, columns: Array) -> Array:
        """A block of the file as rows and columns, in their order."""
        y, x = self.source.grid.dims
        block = block.transpose([list(box).index(dim) for dim in (*(d for d in box if d not in (y, x)), y, x)])
        return block.reshape(block.shape[-2:])[np.ix_(rows - rows.min(), columns - columns.min())]

    def _box(self, rows: Array, columns: Array) -> Box:
        source, variable = self.source, self.source.variables[0]
        step = source.steps[0] if source.steps and source.time_dim in variable.dims else 0
        ends = {source.grid.dims[0]: rows, source.grid.dims[1]: columns, source.time_dim: np.array([step])}
        return {
            dim: (int(ends[dim].min()), int(ends[dim].max()) + 1) if dim in ends else (0, 1) for dim in variable.dims
        }

    def settled(self, theirs: Decoded, ours: Decoded, rows: Array, columns: Array) -> tuple[Decoded, int]:
        """Masks by netCDF4, which knows valid ranges, as a COG masks all that is missing; see ``maps.Side``."""
        variable = self.source.variables[0]
        attrs = self.cube.variable(variable.source_name).attrs
        if by_profile(variable, attrs) is not None:
            return theirs, 0
        if self.source.driver != "netCDF":
            return without_ranges(theirs, ours, attrs), 0
        try:
            mask = self._mask(rows, columns)
        except CannotTell as error:
            self.limits.append(str(error))
            return without_ranges(theirs, ours, attrs), 0
        self.readers = tuple(dict.fromkeys((*self.readers, READER)))
        return both(theirs, ours, mask), int(mask.valid.size)

    def _mask(self, rows: Array, columns: Array) -> Masked:
        parts = [[self._mask_of(down, right) for right in runs(columns)] for down in runs(rows)]
        return Masked(
            *(np.concatenate([np.concatenate([part[n] for part in row], axis=1) for row in parts]) for n in range(3))
        )

    def _mask_of(self, rows: Array, columns: Array) -> Masked:
        box = self._box(rows, columns)
        name, chunks = self.source.variables[0].source_name, self._chunks()
        sizes = dict(zip(self.source.variables[0].dims, self.source.variables[0].shape, strict=True))
        whole = worth_keeping(box, sizes, chunks) if chunks else None
        if whole is None:
            found = masked(self.cube, name, box)
        else:
            stat = self.path.stat()
            key = (self.path, stat.st_mtime_ns, stat.st_size, name, tuple(whole.values()))
            found = _MASKS.get(key, lambda: masked(self.cube, name, whole))
            found = found.turned(lambda block: block[within(whole, box)])
        return found.turned(lambda block: self._plane(block, box, rows, columns))


@contextmanager
def open_step(source: Input, path: Path, job: Job) -> Iterator[StepSide]:
    """The map of an input, its time held against the period of the job. Raises ``CannotTell`` and ``NotEqual``."""
    variable = source.variables[0]
    with open_cube(path, source.driver, variable) as cube:
        side = StepSide(cube, source, path, (cube.reader,))
        axis = source.time_dim if source.time_dim in variable.dims else None
        try:
            step = source.steps[0] if source.steps else None
            where = f"{name_of(source.href)}: {job.key}"
            side.steps = int(compare_period(cube, axis, step, job.period, where))
        except CannotTell as error:
            side.limits.append(str(error))
        yield side
