"""STAC metadata of data assets against the data: grid, CRS, bands, cubes, times, and the bbox of an Item."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.checks import rules
from earthcode_pack.checks.documents import listed, mappings
from earthcode_pack.checks.measured import Measured, measure_cog, measure_cube, valid_box
from earthcode_pack.checks.metadata import field, moment
from earthcode_pack.errors import SourceError
from earthcode_pack.geo.box import FINE, box_of, contains, excess, union, width
from earthcode_pack.geo.crs import proj_code, stated_crs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.checks.measured import Band
    from earthcode_pack.checks.targets import Kind
    from earthcode_pack.model import Finding

_NEAR = 0.1  # of a cell: tolerance of positions
_COMPLEX = {"complex64": "cfloat32", "complex128": "cfloat64", "complex_int16": "cint16"}
_MEDIA = {"cog": ("tiff",), "zarr": ("zarr",), "netcdf": ("netcdf", "hdf")}
_ORIGIN = {"x_0", "y_0", "lon_0"}  # zero by default in PROJ
_LOOSE = 0.1  # of the data's width or height that a bbox may exceed it by
_DATUM = 0.003  # degrees that a grid in degrees on another datum than WGS 84 may be off


def measure(path: Path | str, kind: Kind) -> Measured | None:
    """Measures a data file.

    Args:
        path: A path, or a URL as a string.
        kind: ``cog``, ``zarr`` or ``netcdf``.

    Returns:
        Grid and bands; None if the file cannot be read, which the checks of its format report.

    """
    from rasterio.errors import RasterioError  # noqa: PLC0415 - heavy

    try:
        return measure_cog(path) if kind == "cog" else measure_cube(path)
    except (RasterioError, SourceError, OSError, ValueError, KeyError, RuntimeError, TypeError):
        return None


def asset_facts(document: Document, key: str, asset: dict[str, Any], kind: Kind, data: Measured) -> Iterator[Finding]:
    """Compares the metadata of one asset with its data.

    Args:
        document: The Item or Collection.
        key: Key of the asset.
        asset: The asset.
        kind: ``cog``, ``zarr`` or ``netcdf``.
        data: What was measured on the data.

    Yields:
        One finding for each field that the data contradict.

    """
    where = f"the asset {key} of {document.subject}"
    yield from _grid_facts(document, asset, where, data)
    yield from _crs_facts(document, asset, where, data)
    if kind == "cog":
        bands = listed(asset.get("bands")) or [{}] * len(data.bands)
        if len(bands) != len(data.bands):
            message = f"{where} describes {len(bands)} bands, and the file has {len(data.bands)}"
            yield rules.FACT_BANDS.finding(document.subject, message, len(bands), len(data.bands))
        else:
            for stated, band in zip(bands, data.bands, strict=True):
                yield from _band_facts(document.subject, where, {**asset, **stated}, band)
    else:
        if data.dims:  # a pyramid has none at its root: its cubes lie in groups
            yield from _cube_facts(document, key, asset, data)
        yield from _time_facts(document, data)
    told = str(asset.get("type", "")).lower()
    others = [word for other, words in _MEDIA.items() if other != kind for word in words]
    if told and any(word in told for word in others) and not any(word in told for word in _MEDIA[kind]):
        message = f"{where} has the type {told}, and is {kind}"
        yield rules.FACT_MEDIA_TYPE.finding(document.subject, message, told, kind)


# --- the grid


def _grid_facts(document: Document, asset: dict[str, Any], where: str, data: Measured) -> Iterator[Finding]:
    shape, box = field(document, asset, "proj:shape"), field(document, asset, "proj:bbox")
    transform = field(document, asset, "proj:transform")
    if isinstance(shape, list) and data.shape and shape[-2:] != list(data.shape):
        message = f"proj:shape of {where} is {shape}, and the data have {list(data.shape)}"
        yield rules.FACT_SHAPE.finding(document.subject, message, shape, list(data.shape))
    if isinstance(box, list) and data.bounds and data.cell:
        flat = box if len(box) == 4 else [*box[:2], *box[3:5]]  # noqa: PLR2004 - six numbers include heights
        if not _near(flat, data.bounds, data.cell * 2):
            message = f"proj:bbox of {where} is {box}, and the cell edges of the data {list(data.bounds)}"
            yield rules.FACT_BBOX.finding(document.subject, message, box, list(data.bounds))
    if isinstance(transform, list) and data.transform and data.shape and data.cell:
        corners = np.array([(x, y, 1) for x in (0, data.shape[1]) for y in (0, data.shape[0])])
        try:
            with np.errstate(all="ignore"):  # JSON may hold infinite numbers
                shifts = corners @ np.subtract(np.array(transform[:6], "f8"), data.transform).reshape(2, 3).T
        except (TypeError, ValueError):  # not six numbers
            shifts = np.full(2, np.inf)
        if not (abs(shifts) <= _NEAR * np.array(data.cell)).all():
            message = f"proj:transform of {where} is {transform}, and that of the data {list(data.transform)}"
            yield rules.FACT_TRANSFORM.finding(document.subject, message, transform, list(data.transform))
    stated = [part.get("raster:spatial_resolution") for part in (asset, *listed(asset.get("bands")))]
    low, high = data.cell_in_metres()
    for value in {v for v in stated if isinstance(v, int | float)}:
        if high and not 0.95 * low <= value <= 1.05 * high:  # in degrees it lies between those of x and y
            message = f"raster:spatial_resolution of {where} is {value}, and a cell has {low:.6g} to {high:.6g} metres"
            yield rules.FACT_RESOLUTION.finding(document.subject, message, value, [low, high])


def _near(stated: list[Any], true: tuple[float, ...], cell: tuple[float, ...]) -> bool:
    """Tells whether numbers agree within a tenth of a cell."""
    try:
        pairs = zip(stated, true, cell, strict=True)
        return all(abs(float(a) - b) <= _NEAR * abs(step) + 1e-9 for a, b, step in pairs)
    except (TypeError, ValueError):
        return False


def _crs_facts(document: Document, asset: dict[str, Any], where: str, data: Measured) -> Iterator[Finding]:
    from pyproj.exceptions import CRSError  # noqa: PLC0415 - heavy

    for name in ("proj:code", "proj:wkt2", "proj:projjson", "proj:epsg"):
        value = field(document, asset, name)
        if not value:
            continue
        try:
            known = stated_crs(f"EPSG:{value}" if name == "proj:epsg" else value)
        except (CRSError, TypeError):
            known = None
        if known is None or data.crs is None or not same_crs(known, data.crs):
            shown = value if name in {"proj:code", "proj:epsg"} else "another CRS"
            true = data.crs.name if data.crs is not None else "no CRS"
            message = f"{name} of {where} is {shown}, and the data have {true}"
            yield rules.FACT_CRS.finding(document.subject, message, shown, true)


def same_crs(a: Any, b: Any) -> bool:
    """Tells whether two pyproj CRS are the same but for axis order and names, which GeoTIFF and CF need not keep."""
    if a.equals(b, ignore_axis_order=True):
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PROJ strings lose names
        first, second = (
            {k: v for k, v in crs.to_dict().items() if k not in {"type", "no_defs"} and (k not in _ORIGIN or v != 0)}
            for crs in (a, b)
        )
    if first and first == second:
        return True
    code = proj_code(a.to_wkt())
    return code is not None and code == proj_code(b.to_wkt())


# --- bands and cubes


def _band_facts(subject: str, where: str, stated: dict[str, Any], true: Band) -> Iterator[Finding]:
    """Compares type, nodata, scale, offset and unit of a band or variable."""
    dtype = _COMPLEX.get(true.dtype, true.dtype)
    told = stated.get("data_type", stated.get("raster:data_type"))
    if told is not None and told not in (dtype, "other"):
        yield rules.FACT_DTYPE.finding(subject, f"{where} states {told}, and the data are {dtype}", told, dtype)
    nodata = stated.get("nodata")
    if nodata is not None and not _same_number(nodata, true.nodata, true.dtype):
        message = f"{where} states the nodata {nodata}, and the data have {true.nodata}"
        number = str(true.nodata) if isinstance(true.nodata, float) and not math.isfinite(true.nodata) else true.nodata
        yield rules.FACT_NODATA.finding(subject, message, nodata, number)
    for name, value, neutral in (("raster:scale", true.scale, 1), ("raster:offset", true.offset, 0)):
        told = stated.get(name, neutral)
        if not isinstance(told, int | float) or not math.isclose(told, value, rel_tol=1e-9, abs_tol=1e-12):
            yield rules.FACT_SCALE.finding(subject, f"{where} has {name} {told}, and the data {value}", told, value)
    if stated.get("unit") and true.unit and stated["unit"] != true.unit:
        message = f"{where} has the unit {stated['unit']}, and the data {true.unit}"
        yield rules.FACT_UNIT.finding(subject, message, stated["unit"], true.unit)


def _same_number(stated: Any, true: Any, dtype: str) -> bool:
    """Compares two numbers as values of the data's type; STAC writes NaN and infinities as text."""
    if isinstance(stated, int) and isinstance(true, int):  # 64 bits hold more than a double
        return stated == true
    try:
        a, b = float(stated), float(true)
    except (TypeError, ValueError):
        return False
    if dtype == "float32":
        with np.errstate(over="ignore"):
            a, b = float(np.float32(a)), float(np.float32(b))
    return a == b or (math.isnan(a) and math.isnan(b))


def _cube_facts(document: Document, key: str, asset: dict[str, Any], data: Measured) -> Iterator[Finding]:
    """Compares dimensions, variables and bands of a cube."""
    subject, where = document.subject, f"the cube {key} of {document.subject}"
    true = {band.name: band for band in data.bands}
    for stated in listed(asset.get("bands")):
        if stated.get("name") in true:
            yield from _band_facts(subject, where, {**asset, **stated}, true[stated["name"]])
    for name, told in mappings(field(document, asset, "cube:dimensions")).items():
        yield from _dimension_facts(subject, where, name, told, data)
    variables = mappings(field(document, asset, "cube:variables"))
    for name, told in variables.items():
        band = true.get(name)
        if band is None:
            if told.get("type") == "data" and name not in data.dims:
                message = f"{where} describes {name}, which the data do not hold"
                yield rules.FACT_CUBE.finding(subject, message, name, [band.name for band in data.bands])
            continue
        if told.get("dimensions", list(band.dims)) != list(band.dims):
            message = f"{where} states the dimensions {told['dimensions']} for {name}, and the data {list(band.dims)}"
            yield rules.FACT_CUBE.finding(subject, message, told["dimensions"], list(band.dims))
        packing = {"raster:scale": band.scale, "raster:offset": band.offset}  # datacube has no fields for it
        yield from _band_facts(subject, f"{name} in {where}", packing | told, band)
    untold = sorted(str(name) for name in true.keys() - variables.keys()) if variables else []
    if untold:
        message = f"{where} does not describe {', '.join(untold)}"
        yield rules.FACT_CUBE.finding(subject, message, sorted(variables), sorted(map(str, true)))


def _dimension_facts(subject: str, where: str, name: str, told: dict[str, Any], data: Measured) -> Iterator[Finding]:
    if name not in data.dims:
        if told.get("type") not in ("bands", "geometry"):
            message = f"{where} has the dimension {name}, and the data {', '.join(data.dims)}"
            yield rules.FACT_CUBE.finding(subject, message, name, list(data.dims))
        return
    extent, true = told.get("extent"), data.dims[name]
    spatial = told.get("type") == "spatial" and isinstance(extent, list) and len(extent) == 2  # noqa: PLR2004
    if spatial and true is not None and all(isinstance(end, int | float) for end in extent or []):
        size = next((band.shape[band.dims.index(name)] for band in data.bands if name in band.dims), 2)
        cell = (true[1] - true[0]) / max(size - 1, 1)  # in units of the dimension, not of the CRS
        low, high = sorted(extent or [])
        if abs(low - true[0]) > cell or abs(high - true[1]) > cell:
            message = f"{where} states the extent {extent} for {name}, and the data {list(true)}"
            yield rules.FACT_CUBE.finding(subject, message, extent, list(true))


def _time_facts(document: Document, data: Measured) -> Iterator[Finding]:
    """Checks that the period of an Item holds every step of its cube."""
    properties = document.properties()
    start, end = moment(properties.get("start_datetime")), moment(properties.get("end_datetime"))
    if start is None or end is None or data.times is None:
        return
    first, last = (step.replace(microsecond=0) for step in data.times)
    if first < start.replace(microsecond=0) or last > end:
        message = f"{document.subject} lasts from {start} to {end}, and its cube from {first} to {last}"
        yield rules.FACT_TIME.finding(document.subject, message, [str(start), str(end)], [str(first), str(last)])


# --- the bbox of an Item


def extent_facts(document: Document, paths: dict[Path, Measured]) -> Iterator[Finding]:
    """Checks that the bbox of an Item holds the boxes of all its data, and is not much larger.

    Args:
        document: The Item.
        paths: What was measured on each data file.

    Yields:
        The findings.

    """
    box = box_of(document.stac.get("bbox"))
    if box is None or not paths:
        return
    unknown = [document.name(path) for path, data in paths.items() if data.lonlat is None]
    for name in unknown:
        message = f"the extent of {name} in longitude and latitude is not known"
        yield rules.FACT_EXTENT_UNKNOWN.finding(document.subject, message, name)
    for path, data in paths.items():
        if data.lonlat is None or contains(box, data.lonlat, _slack(data)):
            continue
        # a bbox smaller than the grid is right where it holds the valid cells
        valid = valid_box(path) if path.suffix.lower() in {".tif", ".tiff"} else None
        if valid is None or not contains(box, valid, _slack(data)):
            true = list(data.lonlat)
            message = f"the bbox of {document.subject}, {list(box)}, does not hold {document.name(path)}, {true}"
            yield rules.FACT_EXTENT.finding(document.subject, message, list(box), true)
    if unknown:
        return
    measured = list(paths.values())
    whole = union(list(dict.fromkeys(data.lonlat for data in measured if data.lonlat is not None)))
    cell = max(data.spread[0] for data in measured), max(data.spread[1] for data in measured)
    wide, tall = excess(box, whole)
    slack_x, slack_y = (2 * side + FINE for side in cell)
    if wide > _LOOSE * width(whole) + slack_x or tall > _LOOSE * (whole[3] - whole[1]) + slack_y:
        message = f"the bbox of {document.subject}, {list(box)}, is far larger than its data, {list(whole)}"
        yield rules.FACT_EXTENT.finding(document.subject, message, list(box), list(whole))


def _slack(data: Measured) -> tuple[float, float]:
    """Returns the tolerance in degrees (x, y): a tenth of a cell, the uncertainty of the box, and that of the datum."""
    is_wgs84 = data.crs is None or any(
        name in str(data.crs.datum and data.crs.datum.name) for name in ("1984", "WGS84")
    )
    datum = 0.0 if is_wgs84 or not data.crs.is_geographic else _DATUM
    x, y = (_NEAR * cell + unsure + FINE + datum for cell, unsure in zip(data.spread, data.doubt, strict=True))
    return x, y
