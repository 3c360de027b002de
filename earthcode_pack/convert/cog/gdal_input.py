"""Inputs of GDAL's COG driver: a VRT over the raster itself, or a turned copy of it in scratch."""

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

    from earthcode_pack.convert.cog.raster_metadata import RasterMetadata
    from earthcode_pack.convert.cog.row_reader import RowReader
    from earthcode_pack.model import Grid

BLOCK_BYTES = 32 * 2**20
GDAL_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
    "uint64": "UInt64", "int64": "Int64", "float32": "Float32", "float64": "Float64",
}  # fmt: skip


def blocks_of_rows(grid: Grid, dtype: str, count: int) -> Iterator[tuple[int, int]]:
    """Yields start and stop of blocks of whole rows, each a multiple of 512 rows where the budget of bytes lets it."""
    height, width = grid.shape
    rows = BLOCK_BYTES // max(width * np.dtype(dtype).itemsize * count, 1)
    step = max(rows // 512 * 512, min(rows, 512), 1)
    for start in range(0, height, step):
        yield start, min(start + step, height)


# --- a view: no copy of the data ------------------------------------------------------------------------------------


def vrt_of(path: Path | str, metadata: RasterMetadata, grid: Grid, bands: Iterable[int]) -> str:
    """Returns a VRT over bands of a GeoTIFF, with the metadata that the COG shall have, and its mask.

    Args:
        path: the GeoTIFF.
        metadata: what the COG says of its bands.
        grid: the grid of the COG, of which that of the GeoTIFF is not another orientation.
        bands: numbers of bands, from one.

    Returns:
        The XML, which GDAL opens in place of a name.

    """
    height, width = grid.shape
    numbers = tuple(bands)
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ET.SubElement(root, "SRS").text = CRS.from_wkt(grid.crs).to_wkt()
    assert grid.transform is not None, "plan lets only regular grids through"
    a, b, c, d, e, f = grid.transform
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(v)) for v in (c, a, b, f, d, e))
    _add_tags(root, metadata.tags)
    for number, band in enumerate(numbers, start=1):
        _add_band(root, number, band, path, metadata)
    if metadata.has_mask:
        mask = ET.SubElement(ET.SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
        _add_source(mask, path, f"mask,{numbers[0]}")
    return ET.tostring(root, encoding="unicode")


def _add_band(root: ET.Element, number: int, band: int, path: Path | str, metadata: RasterMetadata) -> None:
    element = ET.SubElement(root, "VRTRasterBand", dataType=GDAL_TYPES[metadata.dtype], band=str(number))
    if number == 1:
        _add_tags(element, metadata.band_tags)
        ET.SubElement(element, "Description").text = metadata.description if metadata.count == 1 else ""
    values = {
        "UnitType": metadata.units,
        "Offset": metadata.offset,
        "Scale": metadata.scale,
        "NoDataValue": metadata.nodata,
    }
    for tag, value in values.items():
        if value is not None:
            ET.SubElement(element, tag).text = str(value)
    interpretation = metadata.colorinterp[number - 1] if metadata.colorinterp else ColorInterp.gray
    name = "Palette" if interpretation is ColorInterp.palette else interpretation.name.capitalize()
    ET.SubElement(element, "ColorInterp").text = name
    if metadata.colormap:
        table = ET.SubElement(element, "ColorTable")
        for c1, c2, c3, c4 in metadata.colormap.values():
            ET.SubElement(table, "Entry", c1=str(c1), c2=str(c2), c3=str(c3), c4=str(c4))
    _add_source(element, path, str(band))


def _add_tags(element: ET.Element, tags: dict[str, str]) -> None:
    parent = ET.SubElement(element, "Metadata")
    for key, value in tags.items():
        ET.SubElement(parent, "MDI", key=key).text = value


def _add_source(element: ET.Element, path: Path | str, band: str) -> None:
    simple = ET.SubElement(element, "SimpleSource")
    ET.SubElement(simple, "SourceFilename", relativeToVRT="0").text = str(path)
    ET.SubElement(simple, "SourceBand").text = band


# --- a copy: steps of cubes, flipped and rolled rasters -------------------------------------------------------------


def write_copy(reader: RowReader, grid: Grid, path: Path) -> str:
    """Writes the turned map as a plain GeoTIFF at ``path``, and returns what GDAL shall open (see ``exact_input``).

    Args:
        reader: reads the map.
        grid: the grid of the COG.
        path: of the copy.

    """
    metadata, width = reader.metadata, grid.shape[1]
    profile = creation_profile(metadata, grid)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile, bigtiff="IF_SAFER") as file:
        set_metadata(file, metadata)
        for start, stop in blocks_of_rows(grid, metadata.dtype, metadata.count):
            window = Window(0, start, width, stop - start)
            file.write(reader.rows(start, stop), window=window)
            if (mask := reader.mask(start, stop)) is not None:
                file.write_mask(mask, window=window)
    return exact_input(str(path), metadata, grid)


def creation_profile(metadata: RasterMetadata, grid: Grid) -> dict[str, Any]:
    """Returns rasterio's creation profile for the GeoTIFF of a map; see ``exact_input`` for nodata."""
    height, width = grid.shape
    return {
        "driver": "GTiff", "dtype": metadata.dtype, "count": metadata.count, "height": height, "width": width,
        "crs": CRS.from_wkt(grid.crs), "transform": rasterio.Affine(*(grid.transform or ())),
        "nodata": None if is_beyond_double(metadata.nodata, metadata.dtype) else metadata.nodata,
    }  # fmt: skip


def exact_input(name: str, metadata: RasterMetadata, grid: Grid) -> str:
    """Returns the name of a raster, or a VRT over it where nodata is an integer that rasterio's doubles do not hold.

    Args:
        name: of a raster that GDAL opens.
        metadata: what the COG says of its bands.
        grid: the grid of the COG.

    """
    if is_beyond_double(metadata.nodata, metadata.dtype):
        return vrt_of(name, metadata, grid, range(1, metadata.count + 1))
    return name


def set_metadata(file: Any, metadata: RasterMetadata) -> None:
    """Writes the metadata that the COG shall have into a new raster."""
    file.update_tags(**metadata.tags)
    file.update_tags(1, **metadata.band_tags)
    if metadata.count == 1:
        file.set_band_description(1, metadata.description)
    file.scales = [1.0 if metadata.scale is None else metadata.scale] * metadata.count
    file.offsets = [0.0 if metadata.offset is None else metadata.offset] * metadata.count
    if metadata.units:
        file.units = [metadata.units] * metadata.count
    if metadata.colormap:
        file.write_colormap(1, metadata.colormap)
    elif metadata.colorinterp:
        file.colorinterp = metadata.colorinterp
