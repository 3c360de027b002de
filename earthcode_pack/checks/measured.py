"""What a COG or a cube says of itself, read from the data: the measure that its STAC is held against."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from earthcode_pack.cf.axes import axes_of, axis_of, data_variables
from earthcode_pack.cf.cells import edges_of, to_units_of
from earthcode_pack.cf.grid_mappings import crs_of
from earthcode_pack.cf.missing import unpacked
from earthcode_pack.cf.times import ends_of, time_of
from earthcode_pack.cf.variables import variable_of
from earthcode_pack.checks.cog import open_tiff
from earthcode_pack.checks.limits import DECODED
from earthcode_pack.checks.netcdf import open_classic, open_modern, opened
from earthcode_pack.checks.positions import located
from earthcode_pack.checks.targets import by_name
from earthcode_pack.checks.zarr_store import open_group, open_store
from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.box import width
from earthcode_pack.geo.extent import Frame, doubt, lonlat_box
from earthcode_pack.nodata import nodata_values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from earthcode_pack.cf.axes import Axes
    from earthcode_pack.geo.box import Box

_MOST_OUTLINE = 512  # cells along the longer side of the mask that an outline is taken from


@dataclass(frozen=True)
class Band:
    """A band of a COG or a variable of a cube; ``dims`` and ``shape`` are empty for a COG."""

    name: str | None
    dtype: str
    nodata: float | None
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
    the first and the last step in UTC.
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
    times: tuple[datetime, datetime] | None = None


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
    with open_classic(path) if classic else open_modern(str(path), path.name) as dataset:
        yield dataset


@contextmanager
def _open_remote(url: str) -> Iterator[Any]:
    if by_name(urlsplit(url).path) == "zarr":
        with open_store(url) as store, open_group(store) as dataset:
            yield dataset
        return
    with opened(url) as file, open_modern(file, "the file") as dataset:
        yield dataset


def measure_cube(path: Path | str) -> Measured:
    """A Zarr store or NetCDF file, by its path or URL, from its coordinates. Raises what its reader raises."""
    with open_cube(path) as dataset:
        name, axes = _first_on_a_map(dataset)
        crs = _stated_crs(dataset, name)
        grid: dict[str, Any] = {"shape": None, "bounds": None, "cell": None, "transform": None, "lonlat": None}
        grid |= {"spread": (0.0, 0.0)} | _place(dataset, axes, crs)
        return Measured(
            **grid,
            crs=crs,
            bands=tuple(_cube_band(str(name), held) for name, held in dataset.data_vars.items()),
            dims={str(dim): _extent(dataset, str(dim)) for dim in dataset.sizes},
            times=_steps(dataset, name, axes),
        )


def _first_on_a_map(dataset: Any) -> tuple[str, Axes | None]:
    """The first data variable on a map or at places, and its axes; no name where there is none."""
    try:
        return next(((name, axes_of(dataset, name)) for name in data_variables(dataset)), ("", None))
    except Unreadable:  # of an unstructured grid, or with several latitudes
        return "", None


def _stated_crs(dataset: Any, name: str) -> Any:
    try:
        return crs_of(dataset, name) if name else None
    except Unreadable:
        return None


def _place(dataset: Any, axes: Axes | None, crs: Any) -> dict[str, Any]:
    """Shape, edges and box of the cells or places of a variable; nothing where it does not say where they are."""
    try:
        if axes is None:
            return {}
        return _grid(dataset, crs, axes) if axes.kind == "grid" else located(dataset, axes)._asdict()
    except Unreadable:
        return {}


def _grid(dataset: Any, crs: Any, axes: Axes) -> dict[str, Any]:
    """The cells between one-dimensional axes, in the units of the CRS."""
    (left, right), (bottom, top) = (_ends(dataset, crs, dim, number) for number, dim in enumerate((axes.x, axes.y)))
    shape, bounds = (dataset.sizes[axes.y], dataset.sizes[axes.x]), (left, bottom, right, top)
    cell = ((right - left) / shape[1], (top - bottom) / shape[0])
    frame = Frame.of_bounds(crs.to_wkt(), bounds) if crs else None
    return {"shape": shape, "bounds": bounds, "cell": cell} | _placed(frame, shape)


def _ends(dataset: Any, crs: Any, dim: str, number: int) -> tuple[float, float]:
    """The outer edges along x or y; the place itself of a single cell whose size is not stated."""
    try:
        edges = edges_of(dataset, dim)
    except Unreadable:
        if dataset.sizes[dim] > 1 or dim not in dataset.variables:
            raise
        edges = unpacked(dataset[dim])
    edges = edges * (to_units_of(crs, dataset, dim, number) if crs else 1.0)
    return float(edges.min()), float(edges.max())


def _cube_band(name: str, held: Any) -> Band:
    variable = variable_of(name, held)
    return Band(
        name=name,
        dtype=variable.dtype,
        nodata=variable.nodata,
        scale=1.0 if variable.scale is None else variable.scale,
        offset=variable.offset or 0.0,
        unit=variable.units,
        dims=variable.dims,
        shape=variable.shape,
    )


def _extent(dataset: Any, dim: str) -> tuple[float, float] | None:
    """First and last value along a dimension, sorted; None without a numeric coordinate."""
    if dim not in dataset.indexes or dataset[dim].dtype.kind not in "iuf" or not dataset.sizes[dim]:
        return None
    values = unpacked(dataset[dim])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else None


def _steps(dataset: Any, name: str, axes: Axes | None) -> tuple[datetime, datetime] | None:
    """The first and the last step of the time axis, or of times along places."""
    every = [axes.time] if axes and axes.time else [str(dim) for dim in dataset.indexes if axis_of(dataset, dim) == "t"]
    time = next((dim for dim in every if dim in dataset.variables), None) or (name and time_of(dataset, name))
    try:
        return ends_of(dataset, time) if time else None
    except Unreadable:  # CF-TIME-UNITS says so
        return None
