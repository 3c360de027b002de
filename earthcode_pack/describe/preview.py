"""Thumbnails: a small PNG of one variable, drawn from the written file (contract 4.3, asset ``thumbnail``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from earthcode_pack.describe.preview_read import LONG_SIDE, Array, Field, Rgba, picture_size, read_field
from earthcode_pack.describe.rendering import PERCENTILES, class_color, color_scale, named_colormap

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from earthcode_pack.describe.rendering import Range
    from earthcode_pack.model import Format, WrittenVariable

__all__ = ["LONG_SIDE", "MAX_BYTES", "Drawing", "draw", "picture_size"]

MAX_BYTES = 500_000
_CLEAR: Rgba = (0, 0, 0, 0)
_UNNAMED: Rgba = (128, 128, 128, 255)  # of a category that neither the classes nor the colour table know
_PALETTE = 256  # colours that a PNG palette holds (PNG 3rd edition, 11.2.2)

Picture = np.ndarray[Any, np.dtype[np.uint8]]


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
