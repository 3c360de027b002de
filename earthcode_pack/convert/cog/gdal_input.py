"""A map as GDAL reads it while it writes a COG: a view of the raster itself, or a turned copy in scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from earthcode_pack.nodata import is_beyond_double

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from earthcode_pack.convert.cog.raster_metadata import Look
    from earthcode_pack.convert.cog.row_reader import Plane
    from earthcode_pack.model import Grid

BLOCK_BYTES = 32 * 2**20
GDAL_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
    "uint64": "UInt64", "int64": "Int64", "float32": "Float32", "float64": "Float64",
}  # fmt: skip


def blocks_of_rows(grid: Grid, dtype: str, count: int) -> Iterator[tuple[int, int]]:
    """Start and stop of blocks of whole rows, each a multiple of 512 rows where the budget of bytes lets it."""
    height, width = grid.shape
    rows = BLOCK_BYTES // max(width * np.dtype(dtype).itemsize * count, 1)
    step = max(rows // 512 * 512, min(rows, 512), 1)
    for start in range(0, height, step):
        yield start, min(start + step, height)


# --- a view: no copy of the data ------------------------------------------------------------------------------------


def view(path: Path | str, look: Look, grid: Grid, bands: Iterable[int]) -> str:
    """A VRT of our own making over bands of a GeoTIFF, with the metadata that the COG shall have, and its mask."""
    height, width = grid.shape
    numbers = tuple(bands)
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ET.SubElement(root, "SRS").text = CRS.from_wkt(grid.crs).to_wkt()
    assert grid.transform is not None, "plan lets only regular grids through"
    a, b, c, d, e, f = grid.transform
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(v)) for v in (c, a, b, f, d, e))
    _metadata(root, look.tags)
    for number, band in enumerate(numbers, start=1):
        _band(root, number, band, path, look)
    if look.has_mask:
        mask = ET.SubElement(ET.SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
        _simple_source(mask, path, f"mask,{numbers[0]}")
    return ET.tostring(root, encoding="unicode")


def _band(root: ET.Element, number: int, band: int, path: Path | str, look: Look) -> None:
    element = ET.SubElement(root, "VRTRasterBand", dataType=GDAL_TYPES[look.dtype], band=str(number))
    if number == 1:
        _metadata(element, look.band_tags)
        ET.SubElement(element, "Description").text = look.description if look.count == 1 else ""
    values = {"UnitType": look.units, "Offset": look.offset, "Scale": look.scale, "NoDataValue": look.nodata}
    for tag, value in values.items():
        if value is not None:
            ET.SubElement(element, tag).text = str(value)
    interpretation = look.colorinterp[number - 1] if look.colorinterp else ColorInterp.gray
    name = "Palette" if interpretation is ColorInterp.palette else interpretation.name.capitalize()
    ET.SubElement(element, "ColorInterp").text = name
    if look.colormap:
        _color_table(element, look.colormap)
    _simple_source(element, path, str(band))


def _color_table(element: ET.Element, colormap: dict[int, tuple[int, ...]]) -> None:
    table = ET.SubElement(element, "ColorTable")
    for c1, c2, c3, c4 in colormap.values():
        ET.SubElement(table, "Entry", c1=str(c1), c2=str(c2), c3=str(c3), c4=str(c4))


def _metadata(element: ET.Element, tags: dict[str, str]) -> None:
    metadata = ET.SubElement(element, "Metadata")
    for key, value in tags.items():
        ET.SubElement(metadata, "MDI", key=key).text = value


def _simple_source(element: ET.Element, path: Path | str, band: str) -> None:
    simple = ET.SubElement(element, "SimpleSource")
    ET.SubElement(simple, "SourceFilename", relativeToVRT="0").text = str(path)
    ET.SubElement(simple, "SourceBand").text = band


# --- a copy: steps of cubes, flipped and rolled rasters -------------------------------------------------------------


def staged(plane: Plane, grid: Grid, path: Path) -> str:
    """A plain GeoTIFF of the turned map at ``path``, with the metadata that the COG shall have, by what GDAL opens."""
    look, width = plane.look, grid.shape[1]
    profile = plain_profile(look, grid)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile, bigtiff="IF_SAFER") as file:
        dress(file, look)
        for start, stop in blocks_of_rows(grid, look.dtype, look.count):
            window = Window(0, start, width, stop - start)
            file.write(plane.rows(start, stop), window=window)
            if (mask := plane.mask(start, stop)) is not None:
                file.write_mask(mask, window=window)
    return seen_exactly(str(path), look, grid)


def plain_profile(look: Look, grid: Grid) -> dict[str, Any]:
    """Creation profile of rasterio for the GeoTIFF of a map; see ``seen_exactly`` for nodata."""
    height, width = grid.shape
    return {
        "driver": "GTiff", "dtype": look.dtype, "count": look.count, "height": height, "width": width,
        "crs": CRS.from_wkt(grid.crs), "transform": rasterio.Affine(*(grid.transform or ())),
        "nodata": None if is_beyond_double(look.nodata, look.dtype) else look.nodata,
    }  # fmt: skip


def seen_exactly(name: str, look: Look, grid: Grid) -> str:
    """The raster of that name, or a view of it with the nodata that rasterio, which takes doubles, could not write."""
    return view(name, look, grid, range(1, look.count + 1)) if is_beyond_double(look.nodata, look.dtype) else name


def dress(file: Any, look: Look) -> None:
    """Gives a new raster the metadata that the COG shall have."""
    file.update_tags(**look.tags)
    file.update_tags(1, **look.band_tags)
    if look.count == 1:
        file.set_band_description(1, look.description)
    file.scales = [1.0 if look.scale is None else look.scale] * look.count
    file.offsets = [0.0 if look.offset is None else look.offset] * look.count
    if look.units:
        file.units = [look.units] * look.count
    if look.colormap:
        file.write_colormap(1, look.colormap)
    elif look.colorinterp:
        file.colorinterp = look.colorinterp
