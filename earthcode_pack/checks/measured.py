"""What a COG or a cube says of itself, read from the data: the measure that its STAC is held against."""

from __future__ import annotations

import calendar
import math
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from earthcode_pack.cf.cells import unit_scale
from earthcode_pack.cf.roles import grid_mapping_for
from earthcode_pack.checks.cf import crs_of, is_time, open_raw
from earthcode_pack.checks.cog import open_tiff
from earthcode_pack.checks.limits import DECODED
from earthcode_pack.checks.netcdf import opened
from earthcode_pack.checks.positions import located
from earthcode_pack.checks.targets import by_name
from earthcode_pack.checks.zarr_store import open_group, open_store
from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.box import width
from earthcode_pack.geo.extent import Frame, doubt, lonlat_box
from earthcode_pack.nodata import nodata_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from earthcode_pack.geo.box import Box

_Y = ("projection_y_coordinate", "latitude", "grid_latitude")
_X = ("projection_x_coordinate", "longitude", "grid_longitude")
_MOST_OUTLINE = 512  # cells along the longer side of the mask that an outline is taken from


@dataclass(frozen=True)
class Band:
    """A band of a COG or a variable of a cube; ``dims`` and ``shape`` are empty for a COG."""

    name: str | None
    dtype: str
    nodata: float | str | None
    scale: float
    offset: float
    unit: str | None
    dims: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Grid and bands of one asset.

    ``bounds`` are the outer cell edges (xmin, ymin, xmax, ymax) in ``crs``, ``cell`` the size of a cell (x, y) in its
    units, ``transform`` GDAL's affine. ``lonlat`` is the box in degrees, None where it cannot be computed; ``spread``
    is a cell in degrees, roughly, ``doubt`` how far ``lonlat`` depends on the sampling of the edges. ``times`` are
    the first and the last step, as ISO text.
    """

    crs: Any
    shape: tuple[int, int] | None
    bounds: tuple[float, float, float, float] | None
    cell: tuple[float, float] | None
    transform: tuple[float, ...] | None
    lonlat: Box | None
    spread: tuple[float, float]
    bands: tuple[Band, ...]
    doubt: tuple[float, float] = (0.0, 0.0)
    dims: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    times: tuple[str, str] | None = None


# --- COG


def measure_cog(path: Path | str) -> Measured:
    """A GeoTIFF, from its header. Raises rasterio's errors."""
    from pyproj import CRS  # noqa: PLC0415 - heavy

    with open_tiff(str(path)) as src:
        crs = CRS.from_user_input(src.crs) if src.crs else None
        cell = (math.hypot(src.transform.a, src.transform.d), math.hypot(src.transform.b, src.transform.e))
        frame = Frame.of_transform(crs.to_wkt(), tuple(src.transform), src.shape) if crs else None
        return Measured(
            crs=crs,
            shape=(src.height, src.width),
            bounds=_corners(src),
            cell=cell,
            transform=tuple(src.transform)[:6],
            bands=tuple(_cog_band(src, index, nodata) for index, nodata in enumerate(nodata_values(src))),
            **_placed(frame, (src.height, src.width)),
        )


def _placed(frame: Frame | None, shape: tuple[int, int]) -> dict[str, Any]:
    """The box of a grid, a cell of it and its doubt, in degrees; without CRS, or off the Earth, there is no box."""
    try:
        if frame is None:
            return {"lonlat": None, "spread": (0.0, 0.0)}
        box = lonlat_box(frame)
        cell = (width(box) / max(shape[1], 1), (box[3] - box[1]) / max(shape[0], 1))
        return {"lonlat": box, "spread": cell, "doubt": doubt(frame)}
    except Unreadable:
        return {"lonlat": None, "spread": (0.0, 0.0)}


def _corners(src: Any) -> tuple[float, float, float, float]:
    """The box of the four corners, whichever way the rows run."""
    a, b, c, d, e, f = tuple(src.transform)[:6]
    corners = [(a * x + b * y + c, d * x + e * y + f) for x in (0, src.width) for y in (0, src.height)]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _cog_band(src: Any, index: int, nodata: float | None) -> Band:
    return Band(
        name=src.descriptions[index],
        dtype=src.dtypes[index],
        nodata=nodata,
        scale=src.scales[index],
        offset=src.offsets[index],
        unit=src.units[index] or None,
    )


def valid_box(path: Path) -> Box | None:
    """The box in degrees of the valid cells of a GeoTIFF, from a mask of at most 512 cells a side; None without any.

    Each side is out by less than a cell of that mask.
    """
    from pyproj import CRS  # noqa: PLC0415 - heavy

    with open_tiff(str(path)) as src:
        step = max(1, math.ceil(max(src.shape) / _MOST_OUTLINE))
        if src.crs is None or src.width * src.height * 16 > DECODED * step * step:
            return None
        mask = src.read_masks(1, out_shape=(math.ceil(src.height / step), math.ceil(src.width / step))) > 0
        rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
        if not len(rows):
            return None
        ys = [src.height * edge / mask.shape[0] for edge in (rows[0] + 1, rows[-1])]  # inside by a cell
        xs = [src.width * edge / mask.shape[1] for edge in (columns[0] + 1, columns[-1])]
        inner = src.transform @ src.transform.translation(min(xs), min(ys))
        shape = (max(ys) - min(ys), max(xs) - min(xs))
        wkt = CRS.from_user_input(src.crs).to_wkt()
        box: Box | None = _placed(Frame.of_transform(wkt, tuple(inner), shape), src.shape)["lonlat"]
        return box


# --- cubes


@contextmanager
def open_cube(path: Path | str) -> Iterator[Any]:
    """A Zarr store or NetCDF file, by its path or URL, as ``open_raw`` gives it."""
    if isinstance(path, str):
        with _open_remote(path) as dataset:
            yield dataset
        return
    if path.is_dir() or path.suffix == ".zip":
        with open_store(str(path)) as store, open_group(store) as dataset:
            yield dataset
        return
    with path.open("rb") as file:
        classic = file.read(3) == b"CDF"
    options = {"engine": "netcdf4"} if classic else {"engine": "h5netcdf", "phony_dims": "access"}
    with open_raw(str(path), **options) as dataset:
        yield dataset


@contextmanager
def _open_remote(url: str) -> Iterator[Any]:
    if by_name(urlsplit(url).path) == "zarr":
        with open_store(url) as store, open_group(store) as dataset:
            yield dataset
        return
    with opened(url) as file, open_raw(file, engine="h5netcdf", phony_dims="access") as dataset:
        yield dataset


def measure_cube(path: Path | str) -> Measured:
    """A Zarr store or NetCDF file, by its path or URL, from its coordinates. Raises what its reader raises."""
    with open_cube(path) as dataset:
        x, y = _axis(dataset, "X", _X), _axis(dataset, "Y", _Y)
        crs = _cube_crs(dataset)
        places = None if x and y and _is_place(dataset, x) and _is_place(dataset, y) else located(dataset)
        grid: dict[str, Any] = {} if places is None else places._asdict()
        if places is None and x and y:
            grid = _grid(dataset, crs, x, y)
        return Measured(
            **({"shape": None, "bounds": None, "cell": None, "transform": None, "lonlat": None,
                "spread": (0.0, 0.0)} | grid),
            crs=crs,
            bands=tuple(_cube_band(dataset, str(name)) for name in dataset.data_vars),
            dims={str(dim): _extent(dataset, str(dim)) for dim in dataset.sizes},
            times=_steps(dataset),
        )  # fmt: skip


def _axis(dataset: Any, axis: str, names: Sequence[str]) -> str | None:
    """The dimension coordinate along x or y, by CF 4, else by its name."""
    plain = {"X": ("x", "lon", "longitude"), "Y": ("y", "lat", "latitude")}[axis]
    one_dimensional = [name for name in dataset.indexes if dataset[name].dtype.kind in "iuf"]
    for name in one_dimensional:
        attrs = dataset[name].attrs
        if attrs.get("standard_name") in names or attrs.get("axis") == axis:
            return str(name)
    return next((str(name) for name in one_dimensional if str(name).lower() in plain), None)


def _is_place(dataset: Any, name: str) -> bool:
    """Whether an axis says that it holds places, not numbers of rows or columns."""
    attrs = dataset[name].attrs
    return attrs.get("standard_name") in (*_X, *_Y) or str(attrs.get("units", "1")).lower() not in {"", "1", "count"}


def _cube_crs(dataset: Any) -> Any:
    for variable in dataset.data_vars.values():
        mapping = grid_mapping_for(variable.attrs, tuple(map(str, variable.dims)))
        if mapping in dataset.variables:
            return crs_of(dataset.variables[mapping].attrs)
    return None


def _edges(dataset: Any, name: str) -> list[float]:
    """Outer cell edges: by the bounds where there are any, else half a step beyond the first and last centre."""
    bounds = dataset[name].attrs.get("bounds")
    if bounds in dataset.variables and dataset[bounds].ndim == 2:  # noqa: PLR2004 - (n, 2), CF 7.1
        values = _unpacked(dataset[bounds], dataset[name].attrs)
        return sorted([float(values.min()), float(values.max())])
    centres = _unpacked(dataset[name], {}).tolist()
    if len(centres) == 1:
        return [centres[0], centres[0]]
    return sorted([centres[0] - (centres[1] - centres[0]) / 2, centres[-1] + (centres[-1] - centres[-2]) / 2])


def _unpacked(variable: Any, inherited: dict[str, Any]) -> Any:
    """Coordinates with packing undone (CF 8.1)."""
    attrs = {**inherited, **variable.attrs}
    return variable.to_numpy().astype("f8") * attrs.get("scale_factor", 1.0) + attrs.get("add_offset", 0.0)


def _grid(dataset: Any, crs: Any, x: str, y: str) -> dict[str, Any]:
    """The cells between one-dimensional axes, in the units of the CRS."""
    (left, right), (bottom, top) = (_in_units_of(crs, dataset, axis, number) for number, axis in enumerate((x, y)))
    shape, bounds = (dataset.sizes[y], dataset.sizes[x]), (left, bottom, right, top)
    cell = ((right - left) / shape[1], (top - bottom) / shape[0])
    frame = Frame.of_bounds(crs.to_wkt(), bounds) if crs else None
    return {"shape": shape, "bounds": bounds, "cell": cell} | _placed(frame, shape)


def _in_units_of(crs: Any, dataset: Any, name: str, number: int) -> list[float]:
    scale = unit_scale(crs, str(dataset[name].attrs.get("units", "")), number) if crs else None
    return [edge * (scale or 1.0) for edge in _edges(dataset, name)]


def _cube_band(dataset: Any, name: str) -> Band:
    variable = dataset[name]
    attrs = variable.attrs
    nodata = attrs.get("_FillValue", attrs.get("missing_value"))
    return Band(
        name=name,
        dtype=variable.dtype.name,
        nodata=None if nodata is None else _plain(nodata),
        scale=float(attrs.get("scale_factor", 1)),
        offset=float(attrs.get("add_offset", 0)),
        unit=attrs.get("units"),
        dims=tuple(map(str, variable.dims)),
        shape=tuple(map(int, variable.shape)),
    )


def _plain(value: Any) -> float | str:
    number = value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value
    return number if isinstance(number, int | float) else str(number)


def _extent(dataset: Any, dim: str) -> tuple[float, float] | None:
    """First and last value along a dimension, sorted; None without a numeric coordinate."""
    if dim not in dataset.indexes or dataset[dim].dtype.kind not in "iuf" or not dataset.sizes[dim]:
        return None
    values = _unpacked(dataset[dim], {})
    return float(values.min()), float(values.max())


def _steps(dataset: Any) -> tuple[str, str] | None:
    """The first and the last step of the time axis, as ISO text; a 30 February is the last day of its month."""
    import xarray as xr  # noqa: PLC0415 - heavy

    every = [str(name) for name in (*dataset.indexes, *dataset.coords) if is_time(str(name), dataset[name].attrs)]
    name = next((each for each in every if dataset[each].ndim and dataset[each].dtype.kind in "iuf"), None)
    if name is None or not dataset[name].size:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dates beyond datetime64 come as cftime, which is right here
        try:
            values = xr.decode_cf(dataset[[name]], decode_timedelta=False)[name].to_numpy().ravel()
            values = values[values == values]  # noqa: PLR0124 - what is missing equals nothing
        except (ValueError, OverflowError):
            return None  # CF-TIME-UNITS says so
    return (_iso(values.min()), _iso(values.max())) if values.size else None


def _iso(value: Any) -> str:
    if hasattr(value, "calendar"):  # cftime
        day = min(value.day, calendar.monthrange(value.year, value.month)[1])
        return f"{value.year:04}-{value.month:02}-{day:02}T{value.hour:02}:{value.minute:02}:{value.second:02}"
    return str(value.astype("datetime64[us]"))
