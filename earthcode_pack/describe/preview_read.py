"""Few cells of a written file, spread over all of it: what a thumbnail is drawn from. Memory never grows with the file.

Rows come out from north to south and columns from west to east, whatever the order in the file.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.cf.axes import axes_of
from earthcode_pack.cf.kinds import is_circular
from earthcode_pack.cf.missing import unpack, unpacked
from earthcode_pack.cf.units import same
from earthcode_pack.cf.variables import variable_of
from earthcode_pack.errors import Unreadable
from earthcode_pack.formats import format_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from earthcode_pack.model import Format, Variable, WrittenVariable

LONG_SIDE = 512  # pixels
_TRIES = 50  # time steps looked at from the first one on, and as many again spread over the rest

Rgba = tuple[int, int, int, int]
Array = np.ma.MaskedArray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Field:
    """A decimated picture: ``values`` (band, row, column) with nodata masked, unpacked unless it has a ``palette``.

    ``size`` is the height and width in pixels that keep the shape of the area on the ground.
    """

    values: Array
    size: tuple[int, int]
    palette: dict[int, Rgba]
    alpha: NDArray[np.uint8] | None = None  # of an RGB picture: its mask


def read_field(target: Path, format: Format, variable: WrittenVariable, dims: tuple[str, str] | None) -> Field:  # noqa: A002
    """One variable of a COG, Zarr store (or its zip) or NetCDF-4 file, decimated to at most about a million cells.

    Of a cube the first step with valid data is taken. ``dims`` names the rows and the columns (``Grid.dims``), the last
    two dimensions by default.

    Raises ``Unreadable`` where the file holds no such variable, or one that is no picture: text, or a single dimension.
    """
    if format_of(format).is_raster:
        return _read_cog(target, variable)
    with _dataset(target, format) as dataset:
        return _read_cube(dataset, target, variable, dims)


def picture_size(shape: tuple[int, int], cell: tuple[float, float] = (1.0, 1.0)) -> tuple[int, int]:
    """Height and width in pixels, at most ``LONG_SIDE``; ``cell`` is the height and width of one cell.

    A small grid is enlarged by a whole number, so that its cells stay squares.

    >>> picture_size((36000, 18000)), picture_size((10, 20)), picture_size((10, 10), (2.0, 1.0))
    ((512, 256), (250, 500), (500, 250))
    """
    natural = [count * side / min(cell) for count, side in zip(shape, cell, strict=True)]
    longest = max(natural)
    factor = LONG_SIDE / longest if longest > LONG_SIDE else LONG_SIDE // longest
    height, width = (max(1, round(side * factor)) for side in natural)
    return height, width


def _read_cog(target: Path, variable: WrittenVariable) -> Field:
    import rasterio  # noqa: PLC0415 - heavy

    options = {"GDAL_PAM_ENABLED": "NO", "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}  # no .aux.xml, read or written
    try:
        with rasterio.Env(**options), rasterio.open(target, driver="GTiff") as raster:
            return _cog_field(raster, variable)
    except rasterio.errors.RasterioError as error:
        raise Unreadable(f"{target.name}: no preview of {variable.name}: {error}", "run again to write it") from error


def _cog_field(raster: Any, variable: WrittenVariable) -> Field:
    picture = rgb_bands(variable.colorinterp)
    bands = picture or (1,)
    palette = {} if picture else _color_table(raster)
    categorical = bool(palette or variable.classes)
    words = {"standard_name": variable.standard_name, "long_name": variable.long_name}
    has_mean = not (categorical or is_circular(variable.name, words, variable.units))
    size = picture_size(raster.shape, (abs(raster.res[1]), abs(raster.res[0])))
    shape = (min(size[0], raster.height), min(size[1], raster.width))
    values = raster.read(
        bands,
        out_shape=(len(bands), *shape),
        masked=True,
        resampling=_resampling("average" if has_mean else "nearest"),
    )
    alpha = raster.dataset_mask(out_shape=shape) if picture else None
    values = _valid(values if categorical or picture else _unpacked(values, variable))
    down = slice(None, None, -1 if raster.transform.e > 0 else 1)
    return Field(values[:, down], size, palette, None if alpha is None else alpha[down])


def rgb_bands(colorinterp: tuple[str, ...]) -> tuple[int, int, int] | None:
    """The numbers, from one, of the red, green and blue bands; None where there are not all three."""
    if not {"red", "green", "blue"} <= set(colorinterp):
        return None
    red, green, blue = (colorinterp.index(color) + 1 for color in ("red", "green", "blue"))
    return red, green, blue


def _resampling(name: str) -> Any:
    from rasterio.enums import Resampling  # noqa: PLC0415 - heavy

    return Resampling[name]


def _color_table(raster: Any) -> dict[int, Rgba]:
    try:
        return dict(raster.colormap(1))
    except ValueError:  # rasterio's way to say that there is none
        return {}


def _unpacked(values: Array, variable: WrittenVariable) -> Array:
    """Stored value times scale plus offset (GDAL raster data model, «Raster Band»)."""
    if variable.scale is None and variable.offset is None:
        return values
    scale = 1.0 if variable.scale is None else variable.scale
    unpacked: Array = values * scale + (variable.offset or 0.0)
    return unpacked


def _valid(values: Array) -> Array:
    """With NaN and infinity masked too, and the magnitude of complex numbers."""
    if values.dtype.kind == "c":
        values = np.ma.abs(values)
    return np.ma.masked_invalid(values) if values.dtype.kind == "f" else values


@contextmanager
def _dataset(target: Path, format: Format) -> Iterator[xr.Dataset]:  # noqa: A002
    """Opened lazily, stored values with all their attributes; a zip is closed with it."""
    import xarray as xr  # noqa: PLC0415 - heavy

    with ExitStack() as stack:
        try:
            opened = _zip_store(target, stack) if target.suffix == ".zip" else target
            engine = "zarr" if format == "zarr" else "h5netcdf"  # named: without it every engine is loaded
            beside: dict[str, Any] = (
                {"consolidated": False} if format == "zarr" else {}
            )  # on a disk the metadata of each array is near
            dataset = xr.open_dataset(
                opened, engine=engine, chunks=None, decode_times=False, decode_timedelta=False,
                mask_and_scale=False, decode_coords=False, **beside,
            )  # fmt: skip
        except (OSError, ValueError, KeyError) as error:
            raise Unreadable(f"{target.name}: no preview: {error}", "run again to write it") from error
        yield stack.enter_context(dataset)


def _zip_store(target: Path, stack: ExitStack) -> Any:
    from zarr.storage import ZipStore  # noqa: PLC0415 - heavy

    store = ZipStore(target, mode="r", read_only=True)
    stack.callback(store.close)
    return store


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
    """The variable with its rows and columns last; nothing is read yet."""
    if variable.name not in dataset.variables:
        raise Unreadable(
            f"{target.name}: no variable {variable.name!r}; it holds {', '.join(map(str, dataset.data_vars))}",
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
    """So many cells that at least ``LONG_SIDE`` are left, beginning half a step from the edge."""
    step = max(1, size // LONG_SIDE)
    return slice(step // 2, None, step)


def _first_valid(array: xr.DataArray, held: Variable) -> Array:
    """(1, row, column) of the first step with valid data, unpacked; all masked where no step looked at has any."""
    values: Array = np.ma.array(np.zeros((1, *array.shape[-2:])), mask=True)
    for step in _steps(int(np.prod(array.shape[:-2], dtype="int64"))):
        index = np.unravel_index(step, array.shape[:-2]) if array.ndim > 2 else ()  # noqa: PLR2004
        stored = array[tuple(int(n) for n in index)].values[np.newaxis]
        values = np.ma.masked_invalid(unpack(np.abs(stored) if stored.dtype.kind == "c" else stored, held, "float64"))
        if values.count():
            break
    return values


def _steps(total: int) -> Iterator[int]:
    """The first steps one by one, then some spread over the rest: an empty cube must not be read whole.

    >>> list(_steps(3)), len(list(_steps(100_000))), max(_steps(100_000))
    ([0, 1, 2], 100, 99999)
    """
    yield from range(min(total, _TRIES))
    if total > _TRIES:
        yield from dict.fromkeys(np.linspace(_TRIES, total - 1, _TRIES, dtype="int64").tolist())


def _grows(dataset: xr.Dataset, dim: str, other: str, place: str | None, *, unknown: bool) -> bool:
    """Whether going along ``dim`` leads north (or east); ``unknown`` where no coordinate tells.

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
    """Height and width of a cell where both axes tell it in one unit, else a square."""
    axes = [axis for dim in (y, x) if (axis := _coordinate(dataset, dim)) is not None and axis.size > 1]
    units = [str(axis.attrs.get("units", "")) for axis in axes]
    if len(axes) < 2 or not same(*units):  # noqa: PLR2004 - rows and columns
        return 1.0, 1.0
    height, width = (float(np.median(np.abs(np.diff(unpacked(axis))))) for axis in axes)
    known = all(np.isfinite(side) and side > 0 for side in (height, width))
    return (height, width) if known else (1.0, 1.0)
