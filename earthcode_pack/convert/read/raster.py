"""GeoTIFF: what its header says, and its bands as variables of a dataset."""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import rasterio
import xarray as xr
from pyproj import CRS  # before rasterio and ecCodes: see read/__init__.py
from rasterio.enums import ColorInterp

from earthcode_pack.errors import Unreadable
from earthcode_pack.model import Grid, Variable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rasterio.io import DatasetReader

# One GDAL thread here: work is parallel over files and blocks. Files beside the raster are not its bytes.
GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_NUM_THREADS": "1",
    "GDAL_CACHEMAX": 256,
}
_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@contextmanager
def open_tiff(path: Path) -> Iterator[DatasetReader]:
    """The raster, by GDAL's GTiff driver and no other: a VRT or a URL hidden in a file opens nothing.

    Raises ``Unreadable`` for what cannot become a COG: complex values, ground control points or RPCs alone.
    """
    with rasterio.Env(**GDAL_OPTIONS):
        try:
            dataset = rasterio.open(path, driver="GTiff")
        except rasterio.errors.RasterioIOError as error:
            raise Unreadable(
                f"{path.name}: not a readable GeoTIFF ({error})", "repair the file, or leave it out"
            ) from error
        with dataset:
            _refuse_what_has_no_grid(dataset, path.name)
            yield dataset


def _refuse_what_has_no_grid(dataset: DatasetReader, name: str) -> None:
    complex_bands = [dtype for dtype in dataset.dtypes if "complex" in dtype]
    if complex_bands:
        raise Unreadable(
            f"{name}: complex values ({complex_bands[0]})", "split real and imaginary parts, or amplitude and phase"
        )
    if dataset.transform.is_identity:
        kind = "only ground control points" if dataset.gcps[0] else "only RPCs" if dataset.rpcs else "no georeferencing"
        raise Unreadable(f"{name}: {kind}", "warp it to a grid first, with `gdalwarp`")


def band_groups(dataset: DatasetReader) -> list[tuple[str, tuple[int, ...]]]:
    """Variables of a raster: a name for each band, or ``rgb`` for a picture (red, green, blue and perhaps alpha)."""
    if dataset.colorinterp[:3] == _RGB and dataset.count <= 4:  # noqa: PLR2004 - and alpha
        return [("rgb", tuple(dataset.indexes))]
    return [(dataset.descriptions[i - 1] or f"band_{i}", (i,)) for i in dataset.indexes]


def raster_grid(dataset: DatasetReader, crs: CRS) -> Grid:
    """The cells of a raster; a rotated one has the box of its four corners as bounds."""
    a, b, c, d, e, f = tuple(dataset.transform)[:6]
    corners = [
        dataset.transform @ corner
        for corner in ((0, 0), (dataset.width, 0), (0, dataset.height), (dataset.width, dataset.height))
    ]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    cell = math.hypot(a, d) or 1.0
    places = [round(value / cell * 1e3) for value in (a, b, c, d, e, f)]
    identity = json.dumps([crs.to_json(), places, dataset.shape])
    return Grid(
        crs=crs.to_wkt(),
        shape=dataset.shape,
        dims=("y", "x"),
        bounds=(min(xs), min(ys), max(xs), max(ys)),
        transform=(a, b, c, d, e, f),
        digest=hashlib.sha256(identity.encode()).hexdigest()[:16],
    )


def raster_crs(dataset: DatasetReader) -> CRS | None:
    """The CRS that the raster states; an engineering CRS («unnamed») places nothing on Earth."""
    if dataset.crs is None:
        return None
    crs = CRS.from_wkt(dataset.crs.to_wkt())
    return None if crs.is_engineering else crs


def raster_variable(dataset: DatasetReader, name: str, bands: tuple[int, ...]) -> Variable:
    """What the header says of a band (of the first, for a picture)."""
    index = bands[0] - 1
    scale, offset = dataset.scales[index], dataset.offsets[index]
    return Variable(
        name=name,
        source_name=name,
        bands=bands,
        dtype=dataset.dtypes[index],
        dims=("y", "x"),
        shape=dataset.shape,
        nodata=as_number(dataset.nodatavals[index], dataset.dtypes[index]),
        scale=None if scale == 1 else scale,
        offset=None if offset == 0 else offset,
        units=dataset.units[index] or None,
        attrs=dict(dataset.tags(bands[0])),
        categorical=has_classes(dataset, bands[0]),
    )


def has_classes(dataset: DatasetReader, band: int) -> bool:
    """Whether a colour table says that the values are names."""
    return dataset.colorinterp[band - 1] is ColorInterp.palette


def as_number(value: float | None, dtype: str) -> float | int | None:
    """GDAL's double as the number it stands for in the type of the band."""
    if value is None:
        return None
    return int(value) if "int" in dtype and float(value).is_integer() else float(value)


def open_raster(path: Path) -> xr.Dataset:
    """The bands as variables ``(y, x)`` with cell-centre coordinates, read lazily through GDAL."""
    import rioxarray  # noqa: PLC0415 - two seconds, and only where a raster becomes a cube

    with open_tiff(path) as dataset:
        groups = band_groups(dataset)
        variables = {name: raster_variable(dataset, name, bands) for name, bands in groups}
        tags = {key: value for key, value in dataset.tags().items() if key != "AREA_OR_POINT"}
    with rasterio.Env(**GDAL_OPTIONS):
        stack: Any = rioxarray.open_rasterio(path, cache=False, mask_and_scale=False, lock=None)
    stack = stack.reset_coords("spatial_ref", drop=True)
    single = {name: variable for name, variable in variables.items() if len(variable.bands) == 1}
    bands = {name: stack.isel(band=variable.bands[0] - 1, drop=True).variable for name, variable in single.items()}
    for name, band in bands.items():
        band.attrs = _cf_attributes(single[name])
    out = xr.Dataset(bands, coords=stack.drop_vars("band").coords, attrs=tags)
    out.set_close(stack.close)
    return out


def _cf_attributes(variable: Variable) -> dict[str, Any]:
    packing = {"_FillValue": variable.nodata, "scale_factor": variable.scale, "add_offset": variable.offset}
    stated = {key: value for key, value in {**packing, "units": variable.units}.items() if value is not None}
    return {**variable.attrs, **stated}
