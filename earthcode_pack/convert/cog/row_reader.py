"""One map as rows in the order of a COG: north first, within ±180, from a raster or from a step of a cube."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from rasterio.windows import Window

from earthcode_pack.cf.missing import hidden, number_type
from earthcode_pack.convert.cog.raster_metadata import Look, cube_look, raster_look
from earthcode_pack.convert.cog.slabs import step_of
from earthcode_pack.convert.read.raster import open_tiff, read_validity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import xarray as xr
    from rasterio.io import DatasetReader

    from earthcode_pack.convert.cog.orientation import Orientation
    from earthcode_pack.model import Input, Variable

Array = np.ndarray[Any, Any]

_AT_ONCE = 32 * 2**20  # bytes of a map that is held in memory whole
_ROWS_OF_CHUNKS = 256 * 2**20  # bytes of rows that are held because the file's chunks hold them together


class Plane(Protocol):
    """A map that is read by rows."""

    look: Look
    block_rows: int  # rows that the file decodes together

    def rows(self, start: int, stop: int) -> Array:
        """Rows ``start`` to ``stop`` of the turned map: (bands, rows, columns) of stored values."""

    def mask(self, start: int, stop: int) -> Array | None:
        """GDAL's mask of the same rows (rows, columns), 0 where there is no data; None where nodata says it all."""


class RasterPlane:
    """Bands of a GeoTIFF; ``is_as_stored`` where GDAL reads the same cells and mask from the file itself."""

    def __init__(self, dataset: DatasetReader, variable: Variable, orientation: Orientation) -> None:
        self._dataset, self._bands = dataset, list(variable.bands)
        self._orientation = orientation
        self.look = raster_look(dataset, variable)
        self._variable = variable.model_copy(update={"nodata": self.look.nodata})
        self.block_rows = int(dataset.block_shapes[self._bands[0] - 1][0])
        self.is_as_stored = orientation.is_identity and not any(variable.masks)

    def rows(self, start: int, stop: int) -> Array:
        """See ``Plane``."""
        window = _window(start, stop, self._orientation)
        return turned(np.asarray(self._dataset.read(self._bands, window=window)), self._orientation)

    def mask(self, start: int, stop: int) -> Array | None:
        """See ``Plane``."""
        if not self.look.has_mask:
            return None
        valid = read_validity(self._dataset, self._variable, _window(start, stop, self._orientation))
        return np.asarray(turned(valid[np.newaxis], self._orientation)[0])


class CubePlane:
    """One step of a variable of a cube."""

    def __init__(self, dataset: xr.Dataset, source: Input, orientation: Orientation, path: Path) -> None:
        variable, (y, x) = source.variables[0], source.grid.dims
        plane = _one_step(dataset[variable.source_name].transpose(..., y, x), source, path)
        self._plane = plane.squeeze([dim for dim in plane.dims if dim not in (y, x)])
        self._y = y
        self.block_rows = int(dataset[variable.source_name].encoding.get("preferred_chunks", {}).get(y, 1))
        self._held: tuple[int, Array] | None = None
        self._orientation = orientation
        self._dtype, self._variable = raster_type(variable), variable
        self.look = cube_look(dataset, variable, self._dtype, source.time_dim)

    def rows(self, start: int, stop: int) -> Array:
        """See ``Plane``."""
        window = _window(start, stop, self._orientation)
        block = self._rows_of_file(window.row_off, window.row_off + window.height)
        native = block.astype(block.dtype.newbyteorder("="), copy=False)
        rows, gaps = native.view(self._dtype), hidden(native, self._variable)
        if gaps is not None and self.look.nodata is not None:  # of a GeoTIFF one value means missing
            rows = np.where(gaps, rows.dtype.type(self.look.nodata), rows)
        return turned(rows[np.newaxis], self._orientation)

    def _rows_of_file(self, start: int, stop: int) -> Array:
        """Whole rows of chunks are decoded once, where memory allows, and kept for the call that follows."""
        if self._held is None or not self._held[0] <= start <= stop <= self._held[0] + len(self._held[1]):
            first, last = start // self.block_rows * self.block_rows, -(-stop // self.block_rows) * self.block_rows
            if (last - first) * self._plane[0].nbytes > _ROWS_OF_CHUNKS:
                first, last = start, stop
            self._held = first, self._plane.isel({self._y: slice(first, last)}).values
        first, rows = self._held
        return rows[start - first : stop - first]

    def mask(self, start: int, stop: int) -> Array | None:
        """Masks cells of a cube that are missing by no value, such as by ``valid_range``; see ``Plane``."""
        if not self.look.has_mask:
            return None
        window = _window(start, stop, self._orientation)
        block = self._rows_of_file(window.row_off, window.row_off + window.height)
        gaps = hidden(block, self._variable)
        valid = np.full((1, *block.shape), 255, np.uint8)
        if gaps is not None:
            valid[0][gaps] = 0
        return np.asarray(turned(valid, self._orientation)[0])


def _one_step(cube: xr.DataArray, source: Input, path: Path) -> xr.DataArray:
    """The map of an input, in memory where it is small: it is staged and compared from one reading."""
    if source.time_dim not in cube.dims:
        return cube.load() if cube.nbytes <= _AT_ONCE else cube
    plane = cube.isel({source.time_dim: source.steps[0]})
    if plane.nbytes > _AT_ONCE:
        return plane
    return plane.copy(data=step_of(cube, str(source.time_dim), source.steps[0], path))


def raster_type(variable: Variable) -> str:
    """The type of a variable in a GeoTIFF, which has no truth values and no ``_Unsigned``; the bytes are the same."""
    return "uint8" if variable.dtype == "bool" else number_type(variable.attrs, variable.dtype)


@contextmanager
def open_plane(path: Path, source: Input, orientation: Orientation) -> Iterator[Plane]:
    """The map that an input of a COG job names: its only variable, at its only step."""
    variable = source.variables[0]
    if source.driver == "GTiff":
        with open_tiff(path) as dataset:
            yield RasterPlane(dataset, variable, orientation)
    else:
        from earthcode_pack.convert.read.open import open_raw  # noqa: PLC0415 - xarray, which a GeoTIFF does not need

        with open_raw(path, source.driver) as cube:
            yield CubePlane(cube, source, orientation, path)


def _window(start: int, stop: int, orientation: Orientation) -> Window:
    """The rows in the source that become rows ``start`` to ``stop``."""
    height, width = orientation.grid.shape
    first = height - stop if orientation.flip else start
    return Window(0, first, width, stop - start)


def turned(block: Array, orientation: Orientation) -> Array:
    """A block of whole rows (bands, rows, columns), flipped, mirrored and rolled."""
    block = block[:, ::-1] if orientation.flip else block
    block = block[:, :, ::-1] if orientation.mirror else block
    return np.roll(block, -orientation.roll, axis=2) if orientation.roll else block
