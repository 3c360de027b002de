"""Grid, bands and times of a COG or a cube, measured from the data, for comparison with its STAC metadata."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from earthcode_pack.cf.axes import axes_of, axis_of, data_variables
from earthcode_pack.cf.cells import edges_of, to_units_of
from earthcode_pack.cf.grid_mappings import crs_of
from earthcode_pack.cf.missing import unpacked
from earthcode_pack.cf.places import cells_at, places_at
from earthcode_pack.cf.roles import bounds_of
from earthcode_pack.cf.times import ends_of, time_of
from earthcode_pack.cf.variables import variable_of
from earthcode_pack.checks.cog import open_tiff
from earthcode_pack.checks.netcdf import open_classic, open_modern, opened
from earthcode_pack.checks.targets import DECODED, by_name
from earthcode_pack.checks.zarr_store import open_group, open_store
from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.box import width
from earthcode_pack.geo.extent import Frame, doubt, lonlat_box
from earthcode_pack.geo.sphere import box_of_places, box_of_rings, rings_of, vectors
from earthcode_pack.nodata import nodata_values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from earthcode_pack.cf.axes import Axes
    from earthcode_pack.geo.box import Box

_METRES_PER_DEGREE = 111_320.0
_MOST_OUTLINE = 512  # cells along the longer side of the mask from which an outline is taken
_POINT = 0.01  # degrees, a kilometre: a point has no size, and boxes are rounded or widened a little


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

    @classmethod
    def of_variable(cls, name: str, held: Any) -> Band:
        """Returns the description of a variable of an xarray dataset."""
        variable = variable_of(name, held)
        return cls(
            name=name,
            dtype=variable.dtype,
            nodata=variable.nodata,
            scale=1.0 if variable.scale is None else variable.scale,
            offset=variable.offset or 0.0,
            unit=variable.units,
            dims=variable.dims,
            shape=variable.shape,
        )


@dataclass(frozen=True)
class Measured:
    """Grid and bands of one asset.

    Attributes:
        crs: The pyproj CRS, None if the data state none.
        shape: Rows and columns.
        bounds: Outer cell edges (xmin, ymin, xmax, ymax) in units of ``crs``.
        cell: Size of a cell (x, y) in units of ``crs``.
        transform: The six numbers of GDAL's affine transform.
        lonlat: Box in degrees (west, south, east, north), None if it cannot be computed.
        spread: Approximate size of a cell (x, y) in degrees.
        bands: The bands or variables.
        doubt: Uncertainty of ``lonlat`` (x, y) in degrees, from the sampling of the edges.
        dims: Ends of the numeric coordinate of each dimension of a cube.
        times: First and last time step in UTC.

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

    def cell_in_metres(self) -> tuple[float, float]:
        """Returns the shortest and longest side of a cell in metres; zeros if they are not known."""
        if self.crs is None or self.cell is None or not self.crs.axis_info:
            return 0.0, 0.0
        unit = float(self.crs.axis_info[0].unit_conversion_factor)
        if not self.crs.is_geographic:
            sides = [abs(side) * unit for side in self.cell]
            return min(sides), max(sides)
        x, y = (abs(side) * math.degrees(unit) * _METRES_PER_DEGREE for side in self.cell)
        lats = [min(abs(edge), 90.0) for edge in (self.bounds[1::2] if self.bounds else (0.0,))]
        return min(x * math.cos(math.radians(max(lats))), y), max(x, y)


# --- COG


def measure_cog(path: Path | str) -> Measured:
    """Measures a GeoTIFF from its header.

    Args:
        path: Path or URL of the file.

    Returns:
        Grid and bands.

    Raises:
        RasterioError: If GDAL cannot read the file.

    """
    from pyproj import CRS  # noqa: PLC0415 - heavy

    with open_tiff(str(path)) as src:
        a, b, c, d, e, f = tuple(src.transform)[:6]
        corners = [(a * x + b * y + c, d * x + e * y + f) for x in (0, src.width) for y in (0, src.height)]
        xs, ys = zip(*corners, strict=True)
        crs = CRS.from_user_input(src.crs) if src.crs else None
        frame = Frame.of_transform(crs.to_wkt(), tuple(src.transform), src.shape) if crs else None
        return Measured(
            crs=crs,
            shape=(src.height, src.width),
            bounds=(min(xs), min(ys), max(xs), max(ys)),
            cell=(math.hypot(a, d), math.hypot(b, e)),
            transform=(a, b, c, d, e, f),
            bands=tuple(
                Band(
                    name=src.descriptions[index],
                    dtype=src.dtypes[index],
                    nodata=nodata,
                    scale=src.scales[index],
                    offset=src.offsets[index],
                    unit=src.units[index] or None,
                )
                for index, nodata in enumerate(nodata_values(src))
            ),
            **_box_fields(frame, (src.height, src.width)),
        )


def _box_fields(frame: Frame | None, shape: tuple[int, int]) -> dict[str, Any]:
    """Returns ``lonlat``, ``spread`` and ``doubt`` of a grid; without CRS, or off the Earth, there is no box."""
    if frame is not None:
        with suppress(Unreadable):
            box = lonlat_box(frame)
            cell = (width(box) / max(shape[1], 1), (box[3] - box[1]) / max(shape[0], 1))
            return {"lonlat": box, "spread": cell, "doubt": doubt(frame)}
    return {"lonlat": None, "spread": (0.0, 0.0)}


def valid_box(path: Path) -> Box | None:
    """Measures the box of the valid cells of a GeoTIFF, from a mask of at most 512 cells a side.

    Args:
        path: The file.

    Returns:
        The box in degrees, each side of which is off by less than a cell of the mask; None without valid cells, or
        without a CRS.

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
        box: Box | None = _box_fields(Frame.of_transform(wkt, tuple(inner), shape), src.shape)["lonlat"]
        return box


# --- cubes


@contextmanager
def open_cube(path: Path | str) -> Iterator[Any]:
    """Opens a Zarr store or NetCDF file with stored values, as ``open_raw`` does.

    Args:
        path: A path, or a URL as a string.

    Yields:
        The xarray dataset.

    """
    with ExitStack() as stack:
        is_zarr = by_name(urlsplit(path).path) == "zarr" if isinstance(path, str) else path.is_dir()
        if is_zarr or (not isinstance(path, str) and path.suffix == ".zip"):
            yield stack.enter_context(open_group(stack.enter_context(open_store(str(path)))))
        elif isinstance(path, str):
            yield stack.enter_context(open_modern(stack.enter_context(opened(path)), "the file"))
        else:
            with path.open("rb") as file:
                classic = file.read(3) == b"CDF"
            yield stack.enter_context(open_classic(path) if classic else open_modern(str(path), path.name))


def measure_cube(path: Path | str) -> Measured:
    """Measures a Zarr store or NetCDF file from its coordinates.

    Args:
        path: A path, or a URL as a string.

    Returns:
        Grid, variables, dimensions and times.

    Raises:
        Exception: Whatever the reader of the format raises.

    """
    with open_cube(path) as dataset:
        name, axes, crs, times = "", None, None, None
        with suppress(Unreadable):  # an unstructured grid, or several latitudes
            name, axes = next(((name, axes_of(dataset, name)) for name in data_variables(dataset)), ("", None))
        with suppress(Unreadable):
            crs = crs_of(dataset, name) if name else None
        grid: dict[str, Any] = {"shape": None, "bounds": None, "cell": None, "transform": None, "lonlat": None}
        grid["spread"] = (0.0, 0.0)
        with suppress(Unreadable):  # the variable does not say where its cells are
            if axes is not None:
                grid |= _grid(dataset, crs, axes) if axes.kind == "grid" else _locations(dataset, axes)
        dims = {str(dim): _ends_of_dimension(dataset, str(dim)) for dim in dataset.sizes}
        steps = [axes.time] if axes and axes.time else [str(d) for d in dataset.indexes if axis_of(dataset, d) == "t"]
        time = next((dim for dim in steps if dim in dataset.variables), None) or (name and time_of(dataset, name))
        with suppress(Unreadable):  # CF-TIME-UNITS says so
            times = ends_of(dataset, time) if time else None
        bands = tuple(Band.of_variable(str(name), held) for name, held in dataset.data_vars.items())
        return Measured(**grid, crs=crs, bands=bands, dims=dims, times=times)


def _grid(dataset: Any, crs: Any, axes: Axes) -> dict[str, Any]:
    """Measures the cells between one-dimensional axes, in the units of the CRS."""
    ends = []
    for number, dim in enumerate((axes.x, axes.y)):
        try:
            edges = edges_of(dataset, dim)
        except Unreadable:
            if dataset.sizes[dim] > 1 or dim not in dataset.variables:
                raise
            edges = unpacked(dataset[dim])  # the centre of a single cell whose size is not stated
        edges = edges * (to_units_of(crs, dataset, dim, number) if crs else 1.0)
        ends.append((float(edges.min()), float(edges.max())))
    (left, right), (bottom, top) = ends
    shape, bounds = (dataset.sizes[axes.y], dataset.sizes[axes.x]), (left, bottom, right, top)
    cell = ((right - left) / shape[1], (top - bottom) / shape[0])
    frame = Frame.of_bounds(crs.to_wkt(), bounds) if crs else None
    return {"shape": shape, "bounds": bounds, "cell": cell} | _box_fields(frame, shape)


def _locations(dataset: Any, axes: Axes) -> dict[str, Any]:
    """Measures data with latitudes and longitudes of their own (CF 5, 9): swaths, tracks, points.

    There is no box where there are too many locations to read. Raises ``Unreadable`` where one is beyond the Earth,
    or none is known.
    """
    bounds = {bounds_of(dataset[name].attrs) for name in axes.places} & {*dataset.variables}
    if max(dataset[name].size for name in (*axes.places, *bounds)) * 8 > DECODED:
        return {}
    lon, lat = places_at(dataset, axes)
    if axes.kind == "curvilinear":
        with suppress(Unreadable):  # a single row
            cells, has_vertices = cells_at(dataset, axes, lon, lat)
            box = box_of_rings(rings_of(cells))
            towards = vectors(lon, lat)
            sides = [np.linalg.norm(np.diff(towards, axis=axis), axis=-1) for axis in (0, 1)]
            medians = [float(np.degrees(np.nanmedian(each))) for each in sides if np.isfinite(each).any()]
            side, shrink = max(medians, default=0.0), max(np.cos(np.radians(max(abs(box[1]), abs(box[3])))), 0.01)
            size = (min(side / float(shrink), 360.0), side)  # degrees of longitude and latitude
            doubt_ = (0.0, 0.0) if has_vertices else (size[0] / 2, size[1] / 2)  # the cell edges are estimated
            return {"shape": (lat.shape[0], lat.shape[1]), "lonlat": box, "spread": size, "doubt": doubt_}
    known = np.isfinite(lon) & np.isfinite(lat)
    return {"lonlat": box_of_places(lon[known], lat[known]), "spread": (_POINT, _POINT)}


def _ends_of_dimension(dataset: Any, dim: str) -> tuple[float, float] | None:
    """Returns the least and greatest value along a dimension; None without a numeric coordinate."""
    if dim not in dataset.indexes or dataset[dim].dtype.kind not in "iuf" or not dataset.sizes[dim]:
        return None
    values = unpacked(dataset[dim])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else None
