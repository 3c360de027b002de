"""Reads one map by rows in the order of a COG, north first and within ±180, from a raster or a step of a cube."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from rasterio.windows import Window

from earthcode_pack.cf.missing import hidden, number_type
from earthcode_pack.convert.cog.raster_metadata import RasterMetadata, metadata_of_cube, metadata_of_raster
from earthcode_pack.convert.read.kept import Kept
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
_SLAB_BYTES = 64 * 2**20  # bytes of steps that are decoded together
# Two slabs: maps come in the order of time, and a few workers stand near each other.
_SLABS: Kept[Array] = Kept(2 * _SLAB_BYTES, lambda slab: slab.nbytes)
_ROWS_OF_CHUNKS = 256 * 2**20  # bytes of rows that are held because the file's chunks hold them together


class RowReader(Protocol):
    """A map that is read by rows."""

    metadata: RasterMetadata
    block_rows: int  # rows that the file decodes together

    def rows(self, start: int, stop: int) -> Array:
        """Returns rows ``start`` to ``stop`` of the turned map: (bands, rows, columns) of stored values."""

    def mask(self, start: int, stop: int) -> Array | None:
        """Returns GDAL's mask (rows, columns) of the same rows, 0 for missing cells; None where nodata suffices."""


class RasterReader:
    """Bands of a GeoTIFF; ``is_as_stored``: GDAL reads the same cells and mask from the file itself."""

    def __init__(self, dataset: DatasetReader, variable: Variable, orientation: Orientation) -> None:
        self._dataset, self._bands = dataset, list(variable.bands)
        self._orientation = orientation
        self.metadata = metadata_of_raster(dataset, variable)
        self._variable = variable.model_copy(update={"nodata": self.metadata.nodata})
        self.block_rows = int(dataset.block_shapes[self._bands[0] - 1][0])
        self.is_as_stored = orientation.is_identity and not any(variable.masks)

    def rows(self, start: int, stop: int) -> Array:
        """Implements ``RowReader``."""
        window = _window(start, stop, self._orientation)
        return _turned(np.asarray(self._dataset.read(self._bands, window=window)), self._orientation)

    def mask(self, start: int, stop: int) -> Array | None:
        """Implements ``RowReader``."""
        if not self.metadata.has_mask:
            return None
        valid = read_validity(self._dataset, self._variable, _window(start, stop, self._orientation))
        return np.asarray(_turned(valid[np.newaxis], self._orientation)[0])


class CubeReader:
    """One step of a variable of a cube."""

    def __init__(self, dataset: xr.Dataset, source: Input, orientation: Orientation, path: Path) -> None:
        variable, (y, x) = source.variables[0], source.grid.dims
        step = _one_step(dataset[variable.source_name].transpose(..., y, x), source, path)
        self._map = step.squeeze([dim for dim in step.dims if dim not in (y, x)])
        self._y = y
        self.block_rows = int(dataset[variable.source_name].encoding.get("preferred_chunks", {}).get(y, 1))
        self._held: tuple[int, Array] | None = None
        self._orientation = orientation
        self._dtype, self._variable = raster_type(variable), variable
        self.metadata = metadata_of_cube(dataset, variable, self._dtype, source.time_dim)

    def rows(self, start: int, stop: int) -> Array:
        """Implements ``RowReader``."""
        window = _window(start, stop, self._orientation)
        block = self._rows_of_file(window.row_off, window.row_off + window.height)
        native = block.astype(block.dtype.newbyteorder("="), copy=False)
        rows, gaps = native.view(self._dtype), hidden(native, self._variable)
        if gaps is not None and self.metadata.nodata is not None:  # of a GeoTIFF one value means missing
            rows = np.where(gaps, rows.dtype.type(self.metadata.nodata), rows)
        return _turned(rows[np.newaxis], self._orientation)

    def _rows_of_file(self, start: int, stop: int) -> Array:
        """Decodes whole rows of chunks once, where memory allows, and keeps them for the call that follows."""
        if self._held is None or not self._held[0] <= start <= stop <= self._held[0] + len(self._held[1]):
            first, last = start // self.block_rows * self.block_rows, -(-stop // self.block_rows) * self.block_rows
            if (last - first) * self._map[0].nbytes > _ROWS_OF_CHUNKS:
                first, last = start, stop
            self._held = first, self._map.isel({self._y: slice(first, last)}).values
        first, rows = self._held
        return rows[start - first : stop - first]

    def mask(self, start: int, stop: int) -> Array | None:
        """Masks cells of a cube that are missing by no value, such as by ``valid_range``; see ``RowReader``."""
        if not self.metadata.has_mask:
            return None
        window = _window(start, stop, self._orientation)
        block = self._rows_of_file(window.row_off, window.row_off + window.height)
        gaps = hidden(block, self._variable)
        valid = np.full((1, *block.shape), 255, np.uint8)
        if gaps is not None:
            valid[0][gaps] = 0
        return np.asarray(_turned(valid, self._orientation)[0])


def _one_step(cube: xr.DataArray, source: Input, path: Path) -> xr.DataArray:
    """Returns the map of an input, in memory where it is small: it is copied and compared from one reading.

    Steps that lie in one chunk of the file are decoded together: each map would decode them all again.
    """
    time = source.time_dim
    if time not in cube.dims:
        return cube.load() if cube.nbytes <= _AT_ONCE else cube
    step, length = source.steps[0], int(cube.encoding.get("preferred_chunks", {}).get(time, 1))
    one = cube.isel({time: step})
    if one.nbytes > _AT_ONCE:
        return one
    if length == 1 or one.nbytes * length > _SLAB_BYTES:
        return one.copy(data=np.asarray(one.values))
    start, stat = step // length * length, path.stat()
    key = (path, stat.st_mtime_ns, stat.st_size, cube.name, cube.dims, start)
    slab = _SLABS.get(key, lambda: np.asarray(cube.isel({time: slice(start, start + length)}).values))
    return one.copy(data=slab.take(step - start, axis=cube.dims.index(time)))


def raster_type(variable: Variable) -> str:
    """Returns the type in a GeoTIFF, which has no truth values and no ``_Unsigned``; the bytes are the same."""
    return "uint8" if variable.dtype == "bool" else number_type(variable.attrs, variable.dtype)


@contextmanager
def open_rows(path: Path, source: Input, orientation: Orientation) -> Iterator[RowReader]:
    """Opens the map that an input of a COG job names: its only variable, at its only step.

    Args:
        path: local path of the source.
        source: the input, with one variable and at most one step.
        orientation: the turn from the grid of the source to that of the COG.

    """
    variable = source.variables[0]
    if source.driver == "GTiff":
        with open_tiff(path) as dataset:
            yield RasterReader(dataset, variable, orientation)
    else:
        from earthcode_pack.convert.read.open import open_raw  # noqa: PLC0415 - xarray, which a GeoTIFF does not need

        with open_raw(path, source.driver) as cube:
            yield CubeReader(cube, source, orientation, path)


def _window(start: int, stop: int, orientation: Orientation) -> Window:
    """Returns the window of the source that becomes rows ``start`` to ``stop``."""
    height, width = orientation.grid.shape
    first = height - stop if orientation.flip else start
    return Window(0, first, width, stop - start)


def _turned(block: Array, orientation: Orientation) -> Array:
    """Returns a block of whole rows (bands, rows, columns), flipped, mirrored and rolled."""
    block = block[:, ::-1] if orientation.flip else block
    block = block[:, :, ::-1] if orientation.mirror else block
    return np.roll(block, -orientation.roll, axis=2) if orientation.roll else block
