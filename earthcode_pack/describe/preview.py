"""Thumbnails: a small PNG of one variable, drawn from the written file (contract 4.3, asset ``thumbnail``).

Files are read decimated, so that memory does not grow with them. Rows come out from north to south and columns from
west to east, whatever the order in the file.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from earthcode_pack.cf.axes import axes_of
from earthcode_pack.cf.kinds import is_circular
from earthcode_pack.cf.missing import unpack, unpacked
from earthcode_pack.cf.units import same
from earthcode_pack.cf.variables import variable_of
from earthcode_pack.describe.rendering import PERCENTILES, class_color, color_scale, named_colormap, rgb_bands
from earthcode_pack.errors import Unreadable
from earthcode_pack.formats import format_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from earthcode_pack.describe.rendering import Range
    from earthcode_pack.model import Format, Variable, WrittenVariable

Rgba = tuple[int, int, int, int]
Array = np.ma.MaskedArray[Any, np.dtype[Any]]
Picture = np.ndarray[Any, np.dtype[np.uint8]]

LONG_SIDE = 512  # pixels
_TRIES = 50  # time steps tried from the first one on, and as many again spread over the rest
MAX_BYTES = 500_000
_CLEAR: Rgba = (0, 0, 0, 0)
_UNNAMED: Rgba = (128, 128, 128, 255)  # of a category that neither the classes nor the colour table know
_PALETTE = 256  # colours that a PNG palette holds (PNG 3rd edition, 11.2.2)


# --- drawing ----------------------------------------------------------------------------------------------------------


class Drawing(NamedTuple):
    """A PNG, a description of what it shows, and the share of its pixels with data."""

    png: bytes
    words: str
    share: float


def draw(
    target: Path,
    format: Format,  # noqa: A002
    variable: WrittenVariable,
    *,
    colormap: str | None = None,
    value_range: Range | None = None,
    dims: tuple[str, str] | None = None,
) -> Drawing:
    """Draws a PNG of at most 512 pixels on the long side and under 500 kB; the same bytes each time.

    North is up, west is left, and the cells keep their proportions. Pixels without data are transparent. Categories
    (``classes``, or a colour table in the COG) have their own colours; red, green and blue bands make a picture;
    anything else is stretched over a colour map. Of a cube the first step with valid data is drawn.

    Args:
        target: path of the file or store.
        format: its format.
        variable: what to draw.
        colormap: name of the colour map.
        value_range: ends of the stretch in the units of the unpacked values, by default ``rendering.color_scale`` of
            the 2nd to the 98th percentile.
        dims: names of the rows and the columns of a cube (``Grid.dims``), the last two dimensions by default.

    Raises:
        Unreadable: nothing can be drawn.
        ProfileError: the colour map is unknown.

    """
    field = read_field(target, format, variable, dims)
    painted, how = _painted(field, variable, colormap, value_range)
    share = float(np.count_nonzero(painted[..., 3])) / painted[..., 3].size
    picture = _enlarged(painted, field.size)
    while len(png := _encoded(picture)) >= MAX_BYTES:  # noise in true colour: a palette bounds the size
        height, width = picture.shape[:2]
        picture = _enlarged(picture, (max(1, height * 4 // 5), max(1, width * 4 // 5)))
    return Drawing(png, f"{variable.name}, {how}", share)


def _painted(
    field: Field, variable: WrittenVariable, colormap: str | None, value_range: Range | None
) -> tuple[Picture, str]:
    """Returns the picture (row, column, RGBA) and a description of it."""
    values: Array = field.values[0]
    clear = np.ma.getmaskarray(values)
    if field.alpha is not None:
        clear, how = field.alpha == 0, "red, green and blue"
        picture = _rgb(field.values, clear, value_range)
    elif field.palette or variable.classes:
        how = "in the colours of its classes"
        colors, (found, which) = (
            _class_colors(field.palette, variable),
            np.unique(values.filled(0), return_inverse=True),
        )
        table = np.array([colors.get(float(value), _UNNAMED) for value in found], dtype="uint8")
        picture = table[which.reshape(values.shape)]
    else:
        values = np.ma.array(values, dtype="float64")
        name, (low, high) = color_scale(colormap, value_range, _percentiles(values.compressed()))
        unit = "" if variable.units in (None, "1") else f" {variable.units}"
        how = f"{low:.4g} to {high:.4g}{unit} ({name})"
        scale: Any = named_colormap(name)
        picture = scale(_stretched(values, (low, high)), N=_PALETTE - 1, bytes=True).copy()  # one is left for no data
    picture[clear] = _CLEAR
    return picture, how


def _stretched(values: Array, value_range: Range | None) -> NDArray[np.float64]:
    """Scales values to 0…1 over the range, to ½ where the range is a point; masked values become 0."""
    numbers: Array = np.ma.array(values, dtype="float64")
    low, high = value_range or _percentiles(numbers.compressed())
    span = high - low
    if not span or not np.isfinite(span):
        return np.full(numbers.shape, 0.5)
    scaled: NDArray[np.float64] = np.clip((numbers.filled(low) - low) / span, 0, 1)
    return scaled


def _percentiles(valid: NDArray[np.float64]) -> Range:
    """Returns the ends of the stretch: minimum and maximum where the percentiles are equal."""
    if not valid.size:
        return 0.0, 1.0
    low, high = np.percentile(valid, PERCENTILES)
    return (float(low), float(high)) if high > low else (float(valid.min()), float(valid.max()))


def _class_colors(palette: dict[int, Rgba], variable: WrittenVariable) -> dict[float, Rgba]:
    """Returns the colour of each value: that of the class, else of the colour table, else a distinct one."""
    colors: dict[float, Rgba] = {float(value): color for value, color in palette.items()}
    for number, entry in enumerate(variable.classes):
        if entry.get("color") or float(entry["value"]) not in colors:
            colors[float(entry["value"])] = *class_color(entry.get("color"), number), 255
    return colors


def _rgb(values: Array, clear: NDArray[np.bool_], value_range: Range | None) -> Picture:
    """Combines three bands: bytes are shown as they are, finer numbers share one stretch, so that the hue stays."""
    if values.dtype != np.uint8 or value_range:
        seen = np.ma.masked_where(np.broadcast_to(clear, values.shape) | np.ma.getmaskarray(values), values.data)
        color = np.round(255 * _stretched(seen, value_range)).astype("uint8")
    else:
        color = values.data
    return np.dstack([*color, np.full(clear.shape, 255, dtype="uint8")])


def _enlarged(picture: Picture, size: tuple[int, int]) -> Picture:
    """Resamples to ``size`` (height, width) by the nearest cell."""
    rows, columns = (
        np.minimum((np.arange(pixels) + 0.5) * cells / pixels, cells - 1).astype("intp")
        for pixels, cells in zip(size, picture.shape, strict=False)
    )
    return picture[np.ix_(rows, columns)]


def _encoded(picture: Picture) -> bytes:
    """Encodes with a palette where the colours fit one; GDAL adds neither a time nor its own name."""
    import rasterio  # noqa: PLC0415 - heavy
    from rasterio.io import MemoryFile  # noqa: PLC0415

    bands, palette = np.moveaxis(picture, -1, 0), dict[int, Rgba]()
    words = np.ascontiguousarray(picture).view("<u4")  # one number for each colour
    colors, which = np.unique(words, return_inverse=True)
    if len(colors) <= _PALETTE:
        parts = colors.view("uint8").reshape(-1, 4).tolist()
        palette = {index: (r, g, b, a) for index, (r, g, b, a) in enumerate(parts)}
        bands = which.reshape(1, *picture.shape[:2]).astype("uint8")
    count, height, width = bands.shape
    anywhere = rasterio.Affine.translation(0, 1)  # without one GDAL warns that the picture is nowhere
    layout = {"count": count, "height": height, "width": width, "dtype": "uint8", "transform": anywhere}
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), MemoryFile() as memory:
        with memory.open(driver="PNG", **layout) as png:
            png.write(bands)
            if palette:
                png.write_colormap(1, palette)
        return bytes(memory.read())


# --- reading ----------------------------------------------------------------------------------------------------------


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
