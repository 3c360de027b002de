"""One step of a cube as xarray decodes it, for the proof of the COG that was made of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.convert.proof.cubes import Cube, open_cube
from earthcode_pack.convert.proof.decoded import CannotTell, Decoded
from earthcode_pack.convert.proof.maps import placed
from earthcode_pack.convert.proof.missing import READER, compare_missing
from earthcode_pack.convert.proof.nodata import by_profile
from earthcode_pack.convert.proof.places import runs
from earthcode_pack.convert.proof.times import compare_period
from earthcode_pack.convert.read.agreed import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from earthcode_pack.convert.proof.blocks import Box, Sizes
    from earthcode_pack.convert.proof.gdal import Raster
    from earthcode_pack.model import Input, Job

Array = np.ndarray[Any, Any]


@dataclass
class StepSide:
    """The map of an input: its only variable at its only step."""

    cube: Cube
    source: Input
    path: Path
    count: Callable[[Array], int]
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
        return Decoded(found.values[np.newaxis], found.valid[np.newaxis], found.step)

    def _stored(self, rows: Array, columns: Array) -> Array:
        y, x = self.source.grid.dims
        box = self._box(rows, columns)
        block = self.cube.stored(self.source.variables[0].source_name, box, self._chunks() or None)
        block = block.transpose([list(box).index(dim) for dim in (*(d for d in box if d not in (y, x)), y, x)])
        return block.reshape(block.shape[-2:])[np.ix_(rows - rows.min(), columns - columns.min())]

    def _box(self, rows: Array, columns: Array) -> Box:
        source, variable = self.source, self.source.variables[0]
        step = source.steps[0] if source.steps and source.time_dim in variable.dims else 0
        ends = {source.grid.dims[0]: rows, source.grid.dims[1]: columns, source.time_dim: np.array([step])}
        return {
            dim: (int(ends[dim].min()), int(ends[dim].max()) + 1) if dim in ends else (0, 1) for dim in variable.dims
        }

    def missing(
        self, rows: Array, columns: Array, stored: Callable[[], Array], cell: Callable[[tuple[int, ...]], str]
    ) -> int:
        """See ``maps.Side``; of NetCDF alone."""
        variable = self.source.variables[0]
        attrs = self.cube.variable(variable.source_name).attrs
        if self.source.driver != "netCDF" or by_profile(variable, attrs) is not None:
            return 0
        y, x = self.source.grid.dims
        values, start = stored(), 0
        for down in runs(rows):
            begin = 0
            for right in runs(columns):
                part = values[:, start : start + down.size, begin : begin + right.size]
                self._compare(part, down, right, (y, x), _shifted(cell, start, begin))
                begin += right.size
            start += down.size
        return int(values[0].size)

    def _compare(
        self, part: Array, rows: Array, columns: Array, dims: tuple[str, str], cell: Callable[[tuple[int, ...]], str]
    ) -> None:
        """The part of a block is turned as its file has it."""
        down, right = (-1 if indexes[0] > indexes[-1] else 1 for indexes in (rows, columns))
        box = self._box(rows, columns)
        turned = part[0, ::down, ::right]
        order = [dim for dim in box if dim in dims]
        aligned = turned.transpose([dims.index(dim) for dim in order])
        stored = aligned.reshape([high - low for low, high in box.values()])

        def named(index: tuple[int, ...]) -> str:
            at = {dim: index[number] for number, dim in enumerate(box)}
            row, column = at[dims[0]], at[dims[1]]
            return cell((rows.size - 1 - row if down < 0 else row, columns.size - 1 - column if right < 0 else column))

        try:
            said = compare_missing(
                self.path, self.source.variables[0].source_name, box, stored, count=self.count, cell=named
            )
        except CannotTell as error:
            said = str(error)
        else:
            self.readers = tuple(dict.fromkeys((*self.readers, READER)))
        if said and said not in self.limits:
            self.limits.append(said)


def _shifted(cell: Callable[[tuple[int, ...]], str], rows: int, columns: int) -> Callable[[tuple[int, ...]], str]:
    return lambda index: cell((index[-2] + rows, index[-1] + columns))


@contextmanager
def open_step(source: Input, path: Path, job: Job, count: Callable[[Array], int]) -> Iterator[StepSide]:
    """The map of an input, its time held against the period of the job. Raises ``CannotTell`` and ``NotEqual``."""
    variable = source.variables[0]
    with open_cube(path, source.driver, variable) as cube:
        side = StepSide(cube, source, path, count, (cube.reader,))
        axis = source.time_dim if source.time_dim in variable.dims else None
        try:
            step = source.steps[0] if source.steps else None
            where = f"{name_of(source.href)}: {job.key}"
            side.steps = int(compare_period(cube, axis, step, job.period, where))
        except CannotTell as error:
            side.limits.append(str(error))
        yield side
