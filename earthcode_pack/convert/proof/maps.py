"""The proof of a COG: GDAL decodes what was written, and GDAL or xarray the source, cell for cell by coordinates."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import rasterio

from earthcode_pack.convert.proof.alignment import matched
from earthcode_pack.convert.proof.blocks import cells, every, samples
from earthcode_pack.convert.proof.decoded import CannotTell, Decoded, agree
from earthcode_pack.convert.proof.gdal import READER, Raster, open_source
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.convert.read.raster import GDAL_OPTIONS
from earthcode_pack.model import Proof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from earthcode_pack.convert.proof.blocks import Box, Sizes
    from earthcode_pack.model import Input, Job

Array = np.ndarray[Any, Any]


class Side(Protocol):
    """The source of a map, as a reader of another project has it."""

    readers: tuple[str, ...]
    limits: list[str]
    steps: int

    @property
    def chunk(self) -> Sizes:
        """Rows and columns that the reader decodes together."""

    def indexes(self, written: Raster, box: Box) -> tuple[Array, Array]:
        """The rows and columns that lie where those of a box of the output do."""

    def decoded(self, rows: Array, columns: Array) -> Decoded:
        """Unpacked values of these rows and columns: (bands, rows, columns)."""

    def settled(self, theirs: Decoded, ours: Decoded, rows: Array, columns: Array) -> tuple[Decoded, int]:
        """The decoded block of the source with all that is missing, and how many cells netCDF4 was asked about."""


def prove_map(job: Job, target: Path, paths: Mapping[str, Path], *, whole: bool = False) -> Proof:
    """Decodes blocks of a COG and of its source, and compares them; all blocks where ``whole``.

    Raises ``NotEqual``, which names file, variable, cell and both values.
    """
    source = job.inputs[0]
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(**GDAL_OPTIONS))
        dataset = stack.enter_context(rasterio.open(target, driver="GTiff"))
        written = Raster(dataset, dataset.indexes)
        try:
            side = _side_of(source, paths[source.href], job, stack)
            return _compared(job, written, side, whole=whole)
        except CannotTell as error:
            return Proof(limits=(str(error),))


def _side_of(source: Input, path: Path, job: Job, stack: ExitStack) -> Side:
    if source.driver == "GTiff":
        return RasterSide(stack.enter_context(open_source(path, source.variables[0])))
    from earthcode_pack.convert.proof.steps import open_step  # noqa: PLC0415 - xarray, which a GeoTIFF does not need

    return stack.enter_context(open_step(source, path, job))


@dataclass
class RasterSide:
    """Bands of a GeoTIFF."""

    raster: Raster
    readers: tuple[str, ...] = (READER,)
    limits: list[str] = field(default_factory=list)
    steps: int = 0

    @property
    def chunk(self) -> Sizes:
        """Rows and columns that GDAL decodes together."""
        return dict(zip(("y", "x"), self.raster.chunk, strict=True))

    def indexes(self, written: Raster, box: Box) -> tuple[Array, Array]:
        """See ``Side``. A rotated raster stays as it is, cell for cell."""
        if not self.raster.is_straight:
            return np.arange(*box["y"]), np.arange(*box["x"])
        return placed(self.raster.ys(), self.raster.xs(), written, box)

    def decoded(self, rows: Array, columns: Array) -> Decoded:
        """See ``Side``."""
        return self.raster.decoded(rows, columns)

    def settled(
        self,
        theirs: Decoded,
        ours: Decoded,  # noqa: ARG002 - GDAL knows all masks
        rows: Array,  # noqa: ARG002
        columns: Array,  # noqa: ARG002
    ) -> tuple[Decoded, int]:
        """See ``Side``."""
        return theirs, 0


def placed(ys: Array, xs: Array, written: Raster, box: Box) -> tuple[Array, Array]:
    """Rows and columns of a source by the centres of its cells, where those of a box of the output lie."""
    rows = matched(ys, written.ys(*box["y"]), abs(written.affine.e), on_circle=False, where="rows of the map")
    columns = matched(
        xs, written.xs(*box["x"]), abs(written.affine.a), on_circle=written.is_geographic, where="columns of the map"
    )
    return rows, columns


def _compared(job: Job, written: Raster, side: Side, *, whole: bool) -> Proof:
    total = Proof(variables=(job.asset,), times=side.steps)
    bound = float(job.cog.max_error)
    for box in _boxes(written, side, whole=whole):
        rows, columns = side.indexes(written, box)
        cell = _namer(job, written, box)
        ours = written.decoded(np.arange(*box["y"]), np.arange(*box["x"]))
        theirs, asked = side.settled(side.decoded(rows, columns), ours, rows, columns)
        agree(theirs, ours, cell, bound=bound * (ours.step or 1.0))
        total += Proof(blocks=1, cells=cells(box), masks=asked)
    return total + Proof(readers=(READER, *side.readers), limits=tuple(side.limits))


def _boxes(written: Raster, side: Side, *, whole: bool) -> Iterator[Box]:
    sizes, tile = dict(zip(("y", "x"), written.shape, strict=True)), dict(zip(("y", "x"), written.chunk, strict=True))
    yield from every(sizes, tile) if whole else samples(sizes, [tile, side.chunk])


def _namer(job: Job, written: Raster, box: Box) -> Callable[[tuple[int, ...]], str]:
    """Words for a cell of a block: file, variable, row and column, and its coordinates."""

    def cell(index: tuple[int, ...]) -> str:
        row, column = box["y"][0] + index[-2], box["x"][0] + index[-1]
        x, y = written.affine @ (column + 0.5, row + 0.5)
        name = f"{name_of(job.inputs[0].href)}: {job.asset}"
        return f"{name}, row {row} and column {column} of {job.key} (x {x:.10g}, y {y:.10g})"

    return cell
