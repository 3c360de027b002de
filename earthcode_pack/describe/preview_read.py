"""Decimated reading of a written file for its thumbnail: memory does not grow with the file.

Rows come out from north to south and columns from west to east, whatever the order in the file.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.cf.axes import axes_of
from earthcode_pack.cf.kinds import is_circular
from earthcode_pack.cf.missing import unpack, unpacked
from earthcode_pack.cf.units import same
from earthcode_pack.cf.variables import variable_of
from earthcode_pack.describe.rendering import rgb_bands
from earthcode_pack.errors import Unreadable
from earthcode_pack.formats import format_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from earthcode_pack.model import Format, Variable, WrittenVariable

LONG_SIDE = 512  # pixels
_TRIES = 50  # time steps tried from the first one on, and as many again spread over the rest

Rgba = tuple[int, int, int, int]
Array = np.ma.MaskedArray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Field:
    """A decimated field, its rows from north to south, its columns from west to east.

    Attributes:
        values: (band, row, column) with nodata masked, unpacked unless there is a palette.
        size: height and width in pixels that keep the proportions of the area.
        palette: colour table of a COG.
        alpha: mask of an RGB picture (row, column).

    """

    values: Array
    size: tuple[int, int]
    palette: dict[int, Rgba]
    alpha: NDArray[np.uint8] | None = None


def read_field(target: Path, format: Format, variable: WrittenVariable, dims: tuple[str, str] | None) -> Field:  # noqa: A002
    """Reads one variable of a COG, Zarr store (or its zip) or NetCDF-4 file, decimated to a million cells or fewer.

    Args:
        target: path of the file or store.
        format: its format.
        variable: what to read; of a cube the first step with valid data.
        dims: names of the rows and the columns (``Grid.dims``), the last two dimensions by default.

    Raises:
        Unreadable: the file has no such variable, or one that cannot be drawn: text, or a single dimension.

    """
    if format_of(format).is_raster:
        import rasterio  # noqa: PLC0415 - heavy

        options = {
            "GDAL_PAM_ENABLED": "NO",
            "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        }  # no .aux.xml
        try:
            with rasterio.Env(**options), rasterio.open(target, driver="GTiff") as raster:
                return _cog_field(raster, variable)
        except rasterio.errors.RasterioError as error:
            message = f"{target.name}: no preview of {variable.name}: {error}"
            raise Unreadable(message, "run again to write it") from error
    with _dataset(target, format) as dataset:
        return _read_cube(dataset, target, variable, dims)


def picture_size(shape: tuple[int, int], cell: tuple[float, float] = (1.0, 1.0)) -> tuple[int, int]:
    """Returns height and width in pixels, at most ``LONG_SIDE``; a small grid is enlarged by a whole number.

    Args:
        shape: rows and columns.
        cell: height and width of one cell, in any unit.

    >>> picture_size((36000, 18000)), picture_size((10, 20)), picture_size((10, 10), (2.0, 1.0))
    ((512, 256), (250, 500), (500, 250))

    """
    natural = [count * side / min(cell) for count, side in zip(shape, cell, strict=True)]
    longest = max(natural)
    factor = LONG_SIDE / longest if longest > LONG_SIDE else LONG_SIDE // longest
    height, width = (max(1, round(side * factor)) for side in natural)
    return height, width


def _cog_field(raster: Any, variable: WrittenVariable) -> Field:
    from rasterio.enums import Resampling  # noqa: PLC0415 - heavy

    picture = rgb_bands(variable.colorinterp)
    bands = picture or (1,)
    palette: dict[int, Rgba] = {}
    if not picture:
        with suppress(ValueError):  # there is no colour table
            palette = dict(raster.colormap(1))
    categorical = bool(palette or variable.classes)
    words = {"standard_name": variable.standard_name, "long_name": variable.long_name}
    has_mean = not (categorical or is_circular(variable.name, words, variable.units))
    size = picture_size(raster.shape, (abs(raster.res[1]), abs(raster.res[0])))
    shape = (min(size[0], raster.height), min(size[1], raster.width))
    values = raster.read(
        bands,
        out_shape=(len(bands), *shape),
        masked=True,
        resampling=Resampling.average if has_mean else Resampling.nearest,
    )
    alpha = raster.dataset_mask(out_shape=shape) if picture else None
    if not (categorical or picture) and (variable.scale, variable.offset) != (None, None):
        values = values * (1.0 if variable.scale is None else variable.scale) + (variable.offset or 0.0)
    values = np.ma.abs(values) if values.dtype.kind == "c" else values
    values = np.ma.masked_invalid(values) if values.dtype.kind == "f" else values
    down = slice(None, None, -1 if raster.transform.e > 0 else 1)
    return Field(values[:, down], size, palette, None if alpha is None else alpha[down])


@contextmanager
def _dataset(target: Path, format: Format) -> Iterator[xr.Dataset]:  # noqa: A002
    """Opens a store or file lazily, with stored values and all attributes."""
    import xarray as xr  # noqa: PLC0415 - heavy
    from zarr.storage import ZipStore  # noqa: PLC0415 - heavy

    with ExitStack() as stack:
        try:
            opened: Any = target
            if target.suffix == ".zip":
                opened = ZipStore(target, mode="r", read_only=True)
                stack.callback(opened.close)
            engine = "zarr" if format == "zarr" else "h5netcdf"  # named: without it every engine is loaded
            # on a disk the metadata of each array is near
            options: dict[str, Any] = {"consolidated": False} if format == "zarr" else {}
            dataset = xr.open_dataset(
                opened, engine=engine, chunks=None, decode_times=False, decode_timedelta=False,
                mask_and_scale=False, decode_coords=False, **options,
            )  # fmt: skip
        except (OSError, ValueError, KeyError) as error:
            raise Unreadable(f"{target.name}: no preview: {error}", "run again to write it") from error
        yield stack.enter_context(dataset)


def _read_cube(dataset: xr.Dataset, target: Path, variable: WrittenVariable, dims: tuple[str, str] | None) -> Field:
    array = _plane(dataset, target, variable, dims)
    y, x = (str(dim) for dim in array.dims[-2:])
    thin = array.isel({y: _every(array.sizes[y]), x: _every(array.sizes[x])})
    axes = axes_of(dataset, variable.name)
    down = slice(None, None, -1 if _grows(dataset, y, x, axes.latitude if axes else None, unknown=False) else 1)
    right = slice(None, None, 1 if _grows(dataset, x, y, axes.longitude if axes else None, unknown=True) else -1)
    size = picture_size((array.sizes[y], array.sizes[x]), _cell(dataset, y, x))
    return Field(_first_valid(thin, variable_of(variable.name, array, by_netcdf=True))[:, down, right], size, {})


def _plane(dataset: xr.Dataset, target: Path, variable: WrittenVariable, dims: tuple[str, str] | None) -> xr.DataArray:
    """Returns the variable with its rows and columns last; nothing is read yet."""
    if variable.name not in dataset.variables:
        raise Unreadable(
            f"{target.name}: no variable {variable.name!r}; it has {', '.join(map(str, dataset.data_vars))}",
            "name one of them in product.preview.variable",
        )
    array = dataset[variable.name]
    chosen = dims or tuple(array.dims[-2:])
    drawable = len(chosen) == 2 and set(chosen) <= set(array.dims) and all(array.sizes[dim] for dim in chosen)  # noqa: PLR2004
    if not drawable or array.dtype.kind not in "biufc":
        raise Unreadable(
            f"{target.name}: {variable.name} ({array.dtype}, {dict(array.sizes)}) is no picture: numbers over two axes",
            "name another variable in product.preview.variable",
        )
    return array.transpose(..., *chosen)


def _every(size: int) -> slice:
    """Returns the slice that keeps at least ``LONG_SIDE`` cells, beginning half a step from the edge."""
    step = max(1, size // LONG_SIDE)
    return slice(step // 2, None, step)


def _first_valid(array: xr.DataArray, held: Variable) -> Array:
    """Returns the first step with valid data (1, row, column), unpacked; all masked where no step tried has any."""
    values: Array = np.ma.array(np.zeros((1, *array.shape[-2:])), mask=True)
    for step in _steps(int(np.prod(array.shape[:-2], dtype="int64"))):
        index = np.unravel_index(step, array.shape[:-2]) if array.ndim > 2 else ()  # noqa: PLR2004
        stored = array[tuple(int(n) for n in index)].values[np.newaxis]
        values = np.ma.masked_invalid(unpack(np.abs(stored) if stored.dtype.kind == "c" else stored, held, "float64"))
        if values.count():
            break
    return values


def _steps(total: int) -> Iterator[int]:
    """Yields the first steps one by one, then some spread over the rest: an empty cube must not be read whole.

    >>> list(_steps(3)), len(list(_steps(100_000))), max(_steps(100_000))
    ([0, 1, 2], 100, 99999)
    """
    yield from range(min(total, _TRIES))
    if total > _TRIES:
        yield from dict.fromkeys(np.linspace(_TRIES, total - 1, _TRIES, dtype="int64").tolist())


def _grows(dataset: xr.Dataset, dim: str, other: str, place: str | None, *, unknown: bool) -> bool:
    """Tells whether going along ``dim`` leads north (or east); ``unknown`` where no coordinate tells.

    A two-dimensional latitude or longitude (``place``) tells, as along the track of a swath, else the axis' own
    coordinate. Most of the steps decide, for longitudes may jump at 180°.
    """
    own = _coordinate(dataset, dim)
    if place is not None and set(dataset[place].dims) == {dim, other}:
        own = dataset[place].isel({other: dataset.sizes[other] // 2})
    steps = np.diff(unpacked(own)) if own is not None else np.empty(0)
    steps = steps[np.isfinite(steps)]
    return bool(np.median(steps) > 0) if steps.size else unknown


def _coordinate(dataset: xr.Dataset, dim: str) -> xr.DataArray | None:
    found = dataset[dim] if dim in dataset.variables else None
    return found if found is not None and found.ndim == 1 and found.dtype.kind in "iuf" else None


def _cell(dataset: xr.Dataset, y: str, x: str) -> tuple[float, float]:
    """Returns height and width of a cell where both axes are known in one unit, else those of a square."""
    axes = [axis for dim in (y, x) if (axis := _coordinate(dataset, dim)) is not None and axis.size > 1]
    units = [str(axis.attrs.get("units", "")) for axis in axes]
    if len(axes) < 2 or not same(*units):  # noqa: PLR2004 - rows and columns
        return 1.0, 1.0
    height, width = (float(np.median(np.abs(np.diff(unpacked(axis))))) for axis in axes)
    known = all(np.isfinite(side) and side > 0 for side in (height, width))
    return (height, width) if known else (1.0, 1.0)
