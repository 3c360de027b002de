"""Rasters as GDAL decodes them: its masks, and its scales and offsets applied."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window

from earthcode_pack.convert.proof.alignment import runs
from earthcode_pack.convert.proof.decoded import CannotTell, Decoded, by_profile
from earthcode_pack.convert.read.raster import GDAL_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rasterio.io import DatasetReader

    from earthcode_pack.model import Variable

Array = np.ndarray[Any, Any]

READER = f"GDAL {rasterio.__gdal_version__}"


class Raster:
    """Bands of an open raster. ``nodata`` is the profile's, where it says what the file does not."""

    def __init__(self, dataset: DatasetReader, bands: Sequence[int], nodata: float | None = None) -> None:
        self._dataset, self._bands, self._nodata = dataset, list(bands), nodata
        self.affine: Any = dataset.transform
        self.shape: tuple[int, int] = dataset.shape
        self.chunk: tuple[int, int] = dataset.block_shapes[self._bands[0] - 1]

    @property
    def is_geographic(self) -> bool:
        """Tells whether its coordinates are longitudes and latitudes."""
        return bool(self._dataset.crs and self._dataset.crs.is_geographic)

    @property
    def is_straight(self) -> bool:
        """Tells whether rows run along one axis of the CRS, but for rounding."""
        affine = self.affine
        turned = abs(affine.b) * self.shape[0] + abs(affine.d) * self.shape[1]
        return bool(turned < 1e-2 * min(abs(affine.a) or 1.0, abs(affine.e) or 1.0))

    def xs(self, start: int = 0, stop: int | None = None) -> Array:
        """Centres of columns."""
        columns = np.arange(start, self.shape[1] if stop is None else stop)
        return np.asarray(self.affine.c + self.affine.a * (columns + 0.5))

    def ys(self, start: int = 0, stop: int | None = None) -> Array:
        """Centres of rows."""
        rows = np.arange(start, self.shape[0] if stop is None else stop)
        return np.asarray(self.affine.f + self.affine.e * (rows + 0.5))

    def stored(self, rows: Array, columns: Array) -> tuple[Array, Array]:
        """Stored values, and GDAL's masks (0 where invalid), of those rows and columns: (bands, rows, columns)."""
        parts = [[self._window(down, right) for right in runs(columns)] for down in runs(rows)]
        values = np.concatenate([np.concatenate([part[0] for part in row], axis=2) for row in parts], axis=1)
        masks = np.concatenate([np.concatenate([part[1] for part in row], axis=2) for row in parts], axis=1)
        return values, masks

    def decoded(self, rows: Array, columns: Array) -> Decoded:
        """Unpacked values of those rows and columns (bands, rows, columns)."""
        values, masks = self.stored(rows, columns)
        valid = masks != 0
        if self._nodata is not None:
            valid &= values != np.asarray(self._nodata).astype(values.dtype)
        if values.dtype.kind == "f":
            valid &= ~np.isnan(values)
        index = self._bands[0] - 1
        scale, offset = self._dataset.scales[index], self._dataset.offsets[index]
        if (scale, offset) == (1, 0):
            return Decoded(values, valid)
        return Decoded(values.astype(np.float64) * scale + offset, valid, abs(scale))

    def _window(self, rows: Array, columns: Array) -> tuple[Array, Array]:
        top, left = int(rows.min()), int(columns.min())
        window = Window(left, top, columns.size, rows.size)
        values, masks = self._dataset.read(self._bands, window=window), self._masks(window)
        place = np.ix_(range(values.shape[0]), rows - top, columns - left)
        return values[place], masks[place]

    def _masks(self, window: Window) -> Array:
        masks = np.asarray(self._dataset.read_masks(self._bands, window=window))
        masks[:, self._transparent(window)] = 0
        if self._nodata is None:
            return masks
        for number, band in enumerate(self._bands):
            if MaskFlags.nodata in self._dataset.mask_flag_enums[band - 1]:
                masks[number] = 255  # the profile replaces the nodata of the file
        return masks

    def _transparent(self, window: Window) -> Array:
        """Cells that an alpha band leaves out: GDAL takes it for a mask only behind one or three bands."""
        roles = self._dataset.colorinterp
        if ColorInterp.alpha not in roles:
            return np.zeros((window.height, window.width), bool)
        return np.asarray(self._dataset.read(roles.index(ColorInterp.alpha) + 1, window=window) == 0)


@contextmanager
def open_source(path: Path, variable: Variable) -> Iterator[Raster]:
    """The bands of a variable of a GeoTIFF. Raises ``CannotTell`` where GDAL does not open it."""
    with rasterio.Env(**GDAL_OPTIONS):
        try:
            dataset = rasterio.open(path, driver="GTiff")
        except rasterio.errors.RasterioIOError as error:
            raise CannotTell(f"{READER} does not open {path.name}: {error}") from error
        with dataset:
            stated = dataset.nodatavals[variable.bands[0] - 1]
            attrs = {} if stated is None else {"_FillValue": stated}
            yield Raster(dataset, variable.bands, by_profile(variable, attrs))
