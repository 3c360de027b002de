"""One map as rows in the order of a COG: north first, within ±180, from a raster or from a step of a cube."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import rasterio
from rasterio.windows import Window

from earthcode_pack.convert.orient import Orientation
from earthcode_pack.convert.read.open import open_raw
from earthcode_pack.convert.read.raster import open_tiff
from earthcode_pack.model import Input, Variable

if TYPE_CHECKING:
    import xarray as xr
    from rasterio.io import DatasetReader

Array = np.ndarray[Any, Any]

_IN_THE_HEADER = {
    "units",
    "scale_factor",
    "add_offset",
    "_FillValue",
    "grid_mapping",
    "coordinates",
    "bounds",
    "transform",
    "crs",
}


@dataclass(frozen=True)
class Look:
    """What a GeoTIFF says of its bands besides their values."""

    dtype: str
    count: int
    nodata: float | int | None
    scale: float | None
    offset: float | None
    units: str | None
    description: str
    tags: dict[str, str]
    band_tags: dict[str, str]
    colormap: dict[int, tuple[int, ...]] | None = None
    colorinterp: tuple[Any, ...] = ()
    has_mask: bool = False


class Plane(Protocol):
    """A map that is read by rows."""

    look: Look
    orientation: Orientation

    def rows(self, start: int, stop: int) -> Array:
        """Rows ``start`` to ``stop`` of the turned map: (bands, rows, columns) of stored values."""

    def mask(self, start: int, stop: int) -> Array:
        """GDAL's mask of the same rows, 0 where there is no data."""


class RasterPlane:
    """Bands of a GeoTIFF."""

    def __init__(self, dataset: DatasetReader, variable: Variable, orientation: Orientation) -> None:
        self._dataset, self._bands = dataset, list(variable.bands)
        self.orientation = orientation
        self.look = _raster_look(dataset, variable)

    def rows(self, start: int, stop: int) -> Array:
        """See ``Plane``."""
        window = _window(start, stop, self.orientation)
        return turned(np.asarray(self._dataset.read(self._bands, window=window)), self.orientation)

    def mask(self, start: int, stop: int) -> Array:
        """See ``Plane``."""
        window = _window(start, stop, self.orientation)
        return turned(np.asarray(self._dataset.read_masks(self._bands, window=window)), self.orientation)


class CubePlane:
    """One step of a variable of a cube."""

    def __init__(self, dataset: xr.Dataset, source: Input, variable: Variable, orientation: Orientation) -> None:
        y, x = source.grid.dims
        plane = dataset[variable.source_name].transpose(..., y, x)
        if source.time_dim in plane.dims:
            plane = plane.isel({source.time_dim: source.steps[0]})
        self._plane = plane.squeeze([dim for dim in plane.dims if dim not in (y, x)])
        self._y = y
        self.orientation = orientation
        self.look = _cube_look(dataset, variable)

    def rows(self, start: int, stop: int) -> Array:
        """See ``Plane``."""
        window = _window(start, stop, self.orientation)
        block = self._plane.isel({self._y: slice(window.row_off, window.row_off + window.height)}).values
        native = block.astype(block.dtype.newbyteorder("="), copy=False)
        stored = native.view(np.uint8) if native.dtype == bool else native
        return turned(stored[np.newaxis], self.orientation)

    def mask(self, start: int, stop: int) -> Array:
        """See ``Plane``."""
        rows = self.rows(start, stop)
        if self.look.nodata is None:
            return np.full(rows.shape, 255, np.uint8)
        missing = np.isnan(rows) if self.look.nodata != self.look.nodata else rows == self.look.nodata  # noqa: PLR0124
        return np.where(missing, 0, 255).astype(np.uint8)


@contextmanager
def open_plane(path: Path, source: Input, orientation: Orientation) -> Iterator[Plane]:
    """The map that an input of a COG job names: its only variable, at its only step."""
    variable = source.variables[0]
    if source.driver == "GTiff":
        with open_tiff(path) as dataset:
            yield RasterPlane(dataset, variable, orientation)
    else:
        with open_raw(path, source.driver) as cube:
            yield CubePlane(cube, source, variable, orientation)


def _window(start: int, stop: int, orientation: Orientation) -> Window:
    """The rows in the source that become rows ``start`` to ``stop``."""
    height, width = orientation.grid.shape
    first = height - stop if orientation.flip else start
    return Window(0, first, width, stop - start)


def turned(block: Array, orientation: Orientation) -> Array:
    """A block of whole rows (bands, rows, columns), flipped and rolled."""
    block = block[:, ::-1] if orientation.flip else block
    return np.roll(block, -orientation.roll, axis=2) if orientation.roll else block


def _raster_look(dataset: DatasetReader, variable: Variable) -> Look:
    band = variable.bands[0]
    return Look(
        dtype=variable.dtype,
        count=len(variable.bands),
        nodata=variable.nodata,
        scale=variable.scale,
        offset=variable.offset,
        units=variable.units,
        description=dataset.descriptions[band - 1] or variable.name,
        tags=dict(dataset.tags()),
        band_tags={k: v for k, v in dataset.tags(band).items() if not k.startswith("STATISTICS_")},
        colormap=dataset.colormap(band) if variable.categorical else None,
        colorinterp=tuple(dataset.colorinterp[b - 1] for b in variable.bands),
        has_mask=rasterio.enums.MaskFlags.per_dataset in dataset.mask_flag_enums[band - 1]
        and rasterio.enums.MaskFlags.alpha not in dataset.mask_flag_enums[band - 1],
    )


def _cube_look(dataset: xr.Dataset, variable: Variable) -> Look:
    return Look(
        dtype="uint8" if variable.dtype == "bool" else variable.dtype,
        count=1,
        nodata=variable.nodata,
        scale=variable.scale,
        offset=variable.offset,
        units=variable.units,
        description=variable.name,
        tags={str(k): _text(v) for k, v in dataset.attrs.items()},
        band_tags={str(k): _text(v) for k, v in variable.attrs.items() if k not in _IN_THE_HEADER},
    )


def _text(value: Any) -> str:
    """An attribute as a TIFF tag holds it: lists with commas."""
    return ", ".join(str(v) for v in np.asarray(value).ravel().tolist()) if not isinstance(value, str) else value
