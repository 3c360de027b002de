"""One map to one cloud-optimised GeoTIFF, by GDAL's COG driver, read back and compared with its source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from earthcode_pack.checks.equality import compare
from earthcode_pack.convert.orient import orientation
from earthcode_pack.convert.planes import Plane, RasterPlane, open_plane
from earthcode_pack.convert.read.raster import GDAL_OPTIONS
from earthcode_pack.convert.statistics import Tally, tally
from earthcode_pack.convert.work import Part, Record, local_sources
from earthcode_pack.errors import NotEqual, OutsideError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Grid, Job

BLOCK_BYTES = 32 * 2**20
_GDAL_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
    "uint64": "UInt64", "int64": "Int64", "float32": "Float32", "float64": "Float64",
}  # fmt: skip


def write(part: Part) -> Record:
    """Makes ``<folder>/out.tif`` for a job of one map and compares every cell with the source."""
    job, folder = part.job, Path(part.folder)
    target = folder / "out.tif"
    target.unlink(missing_ok=True)
    source = job.inputs[0]
    turn = orientation(source.grid)
    with local_sources(job.inputs, folder) as paths, rasterio.Env(**GDAL_OPTIONS):
        path = paths[source.href]
        with open_plane(path, source, turn) as plane:
            direct = isinstance(plane, RasterPlane) and turn.is_identity
            view = _view(path.resolve(), plane, job) if direct else _staged(plane, job.grid, folder / "staged.tif")
            _encode(view, target, job.options)
            (folder / "staged.tif").unlink(missing_ok=True)
            tallies, error = _compare(plane, target, job)
            changes = (*turn.changes, *_changes(plane, job))
    cells = job.grid.shape[0] * job.grid.shape[1]
    return Record(
        number=part.number,
        tallies={job.asset: tallies},
        compared=cells,
        max_error=error,
        changes=changes,
        engine="gdal-cog",
    )


# --- the source as GDAL sees it -------------------------------------------------------------------------------------


def _view(path: Path, plane: Plane, job: Job) -> str:
    """A VRT of our own making over the bands of a GeoTIFF, with the metadata that the COG shall have: no copy of data."""
    height, width = job.grid.shape
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ET.SubElement(root, "SRS").text = CRS.from_wkt(job.grid.crs).to_wkt()
    assert job.grid.transform is not None, "plan lets only regular grids through"
    a, b, c, d, e, f = job.grid.transform
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(v)) for v in (c, a, b, f, d, e))
    _metadata(root, plane.look.tags)
    for number, band in enumerate(job.inputs[0].variables[0].bands, start=1):
        _view_band(root, number, band, path, plane)
    if plane.look.has_mask:
        mask = ET.SubElement(ET.SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
        _simple_source(mask, path, f"mask,{job.inputs[0].variables[0].bands[0]}")
    return ET.tostring(root, encoding="unicode")


def _view_band(root: ET.Element, number: int, band: int, path: Path, plane: Plane) -> None:
    look = plane.look
    element = ET.SubElement(root, "VRTRasterBand", dataType=_GDAL_TYPES[look.dtype], band=str(number))
    _metadata(element, look.band_tags)
    if look.count == 1:
        ET.SubElement(element, "Description").text = look.description
    values = {"UnitType": look.units, "Offset": look.offset, "Scale": look.scale, "NoDataValue": look.nodata}
    for tag, value in values.items():
        if value is not None:
            ET.SubElement(element, tag).text = str(value)
    interpretation = look.colorinterp[number - 1]
    ET.SubElement(element, "ColorInterp").text = (
        "Palette" if interpretation is ColorInterp.palette else interpretation.name.capitalize()
    )
    for c1, c2, c3, c4 in (look.colormap or {}).values():
        entries = element.find("ColorTable")
        table = entries if entries is not None else ET.SubElement(element, "ColorTable")
        ET.SubElement(table, "Entry", c1=str(c1), c2=str(c2), c3=str(c3), c4=str(c4))
    _simple_source(element, path, str(band))


def _metadata(element: ET.Element, tags: dict[str, str]) -> None:
    metadata = ET.SubElement(element, "Metadata")
    for key, value in tags.items():
        ET.SubElement(metadata, "MDI", key=key).text = value


def _simple_source(element: ET.Element, path: Path, band: str) -> None:
    simple = ET.SubElement(element, "SimpleSource")
    ET.SubElement(simple, "SourceFilename", relativeToVRT="0").text = str(path)
    ET.SubElement(simple, "SourceBand").text = band


def _staged(plane: Plane, grid: Grid, path: Path) -> str:
    """A plain GeoTIFF of the turned map in scratch: for steps of cubes, flipped and rolled rasters."""
    look, (height, width) = plane.look, grid.shape
    profile = {
        "driver": "GTiff", "dtype": look.dtype, "count": look.count, "height": height, "width": width,
        "crs": CRS.from_wkt(grid.crs), "transform": rasterio.Affine(*(grid.transform or ())), "nodata": look.nodata,
        "bigtiff": "IF_SAFER",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as staged:
        _dress(staged, plane)
        for start, stop in blocks_of_rows(grid, look.dtype, look.count):
            staged.write(plane.rows(start, stop), window=Window(0, start, width, stop - start))
            if look.has_mask:
                staged.write_mask(plane.mask(start, stop)[0], window=Window(0, start, width, stop - start))
    return str(path)


def _dress(staged: Any, plane: Plane) -> None:
    look = plane.look
    staged.update_tags(**look.tags)
    for band in range(1, look.count + 1):
        staged.update_tags(band, **look.band_tags)
    if look.count == 1:
        staged.set_band_description(1, look.description)
    staged.scales = [look.scale if look.scale is not None else 1.0] * look.count
    staged.offsets = [look.offset if look.offset is not None else 0.0] * look.count
    if look.units:
        staged.units = [look.units] * look.count
    if look.colormap:
        staged.write_colormap(1, look.colormap)
    elif look.colorinterp:
        staged.colorinterp = look.colorinterp


def blocks_of_rows(grid: Grid, dtype: str, count: int) -> Iterator[tuple[int, int]]:
    """Start and stop of blocks of whole rows, each a multiple of 512 rows where the budget of bytes lets it."""
    height, width = grid.shape
    rows = BLOCK_BYTES // max(width * np.dtype(dtype).itemsize * count, 1)
    step = max(rows // 512 * 512, min(rows, 512), 1)
    for start in range(0, height, step):
        yield start, min(start + step, height)


# --- the COG --------------------------------------------------------------------------------------------------------


def _encode(view: str, target: Path, options: dict[str, Any]) -> None:
    try:
        with rasterio.open(view) as source:
            rasterio.shutil.copy(source, target, driver="COG", **_creation_options(options, source))
    except rasterio.errors.RasterioIOError as error:
        if "space" in str(error).lower():
            raise OutsideError(f"{target}: {error}", "free space in the workdir, and run again") from error
        raise


def _creation_options(options: dict[str, Any], source: Any) -> dict[str, Any]:
    """GDAL's names; overviews grow from the data, never from those that the source happens to have."""
    compression = options["compression"]
    out = {
        "COMPRESS": compression.upper(),
        "BLOCKSIZE": options["blocksize"],
        "OVERVIEWS": "IGNORE_EXISTING",
        "OVERVIEW_RESAMPLING": options["resampling"].upper(),
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": os.environ.get("GDAL_NUM_THREADS", "1"),  # the mapper shares out the cores
    }
    if compression in ("deflate", "zstd"):
        out["LEVEL"] = options["level"]
    if compression == "lerc":
        out["MAX_Z_ERROR"] = options["max_error"]
    elif source.colorinterp[0] is not ColorInterp.palette:  # neighbours in a palette are unrelated
        out["PREDICTOR"] = "YES"
    return out


def _compare(plane: Plane, target: Path, job: Job) -> tuple[Tally, float]:
    """Every cell and every mask, block by block."""
    worst, sums = 0.0, Tally()
    where = f"{job.key} ({job.asset})"
    with rasterio.open(target, driver="GTiff") as written:
        for start, stop in blocks_of_rows(job.grid, plane.look.dtype, plane.look.count):
            window = Window(0, start, job.grid.shape[1], stop - start)
            rows, back = plane.rows(start, stop), written.read(window=window)
            place = f"{where}, rows from {start}"
            worst = max(worst, compare(rows, back, place, max_error=job.options["max_error"], nodata=plane.look.nodata))
            if plane.look.has_mask and not np.array_equal(
                plane.mask(start, stop)[0], written.dataset_mask(window=window)
            ):
                raise NotEqual(f"{place}: the mask differs", "report it: the conversion must not be used")
            sums += tally(rows[0] if plane.look.count == 1 else rows, plane.look.nodata)
    return sums, worst


def _changes(plane: Plane, job: Job) -> list[str]:
    """What the output says that the source did not, in words."""
    variable, out = job.inputs[0].variables[0], []
    if variable.name != variable.source_name:
        out.append(f"{variable.source_name} is called {variable.name}")
    if (
        variable.units
        and variable.attrs.get("units") is None
        and variable.units == job.described.get(variable.name, {}).get("units")
    ):
        out.append(f"units of {variable.name} from the profile: {variable.units}")
    if plane.look.count == 1 and plane.look.description == variable.name != variable.source_name:
        out.append(f"band description added: {variable.name}")
    return out
