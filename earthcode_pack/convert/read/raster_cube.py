"""A GeoTIFF as a dataset: its bands as variables on y and x, read window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from rasterio.windows import Window
from xarray.backends import BackendArray
from xarray.core import indexing

from earthcode_pack.convert.read.raster import open_tiff, raster_variables, read_filled, transform_of
from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from pathlib import Path

    from rasterio.io import DatasetReader

    from earthcode_pack.model import Variable


class _Band(BackendArray):
    """One band; every reading opens the file anew, so that threads share nothing."""

    def __init__(self, path: Path, variable: Variable, shape: tuple[int, int]) -> None:
        self._path, self._variable = path, variable
        self.dtype, self.shape = np.dtype(variable.dtype), shape

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[int | slice, ...]) -> np.ndarray[Any, Any]:
        rows, columns = (_span(part, size) for part, size in zip(key, self.shape, strict=True))
        window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        with open_tiff(self._path) as dataset:
            block = read_filled(dataset, self._variable, window)
        within = (slice(None, None, part.step) if isinstance(part, slice) else 0 for part in key)
        return np.asarray(block[tuple(within)])


def _span(key: int | slice, size: int) -> range:
    """The consecutive cells that hold all that a key asks for."""
    if not isinstance(key, slice):
        return range(key % size, key % size + 1)
    asked = range(size)[key]
    return range(min(asked), max(asked) + 1) if asked else range(0)


def open_raster(path: Path) -> xr.Dataset:
    """The bands as variables ``(y, x)`` with the centres of the cells as coordinates.

    Raises ``Unreadable`` for a rotated raster, whose cells have no such coordinates.
    """
    with open_tiff(path) as dataset:
        coords = _centres(dataset, path.name)
        variables = [variable for variable in raster_variables(dataset, pictures=False) if len(variable.bands) == 1]
        tags = {key: value for key, value in dataset.tags().items() if key != "AREA_OR_POINT"}
        shape = dataset.shape
    bands = {variable.name: _lazy(path, variable, shape) for variable in variables}
    return xr.Dataset(bands, coords=coords, attrs=tags)


def _lazy(path: Path, variable: Variable, shape: tuple[int, int]) -> xr.Variable:
    band = _Band(path, variable, shape)
    return xr.Variable(("y", "x"), indexing.LazilyIndexedArray(band), _cf_attributes(variable))


def _centres(dataset: DatasetReader, name: str) -> dict[str, np.ndarray[Any, Any]]:
    a, b, c, d, e, f = tuple(transform_of(dataset))[:6]
    if b or d:
        raise Unreadable(f"{name}: its grid is rotated", "set target.format: cog, or warp it to a grid first")
    height, width = dataset.shape
    return {"y": f + e * (np.arange(height) + 0.5), "x": c + a * (np.arange(width) + 0.5)}


def _cf_attributes(variable: Variable) -> dict[str, Any]:
    packing = {"_FillValue": variable.nodata, "scale_factor": variable.scale, "add_offset": variable.offset}
    stated = {key: value for key, value in {**packing, "units": variable.units}.items() if value is not None}
    return {**variable.attrs, **stated}
