"""Bands of a COG, and dimensions and variables of a cube, as STAC describes them against the data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.documents import listed, mappings
from earthcode_pack.checks.metadata import field, moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.checks.measured import Band, Measured
    from earthcode_pack.model import Finding

_COMPLEX = {"complex64": "cfloat32", "complex128": "cfloat64", "complex_int16": "cint16"}


def cog_bands(document: Document, key: str, asset: dict[str, Any], data: Measured) -> Iterator[Finding]:
    """The bands of a COG asset: their number, and the type, nodata, scale, offset and unit of each."""
    bands = listed(asset.get("bands"))
    where = f"the asset {key} of {document.subject}"
    if bands and len(bands) != len(data.bands):
        message = f"{where} describes {len(bands)} bands, and the file has {len(data.bands)}"
        yield rules.FACT_BANDS.finding(document.subject, message, len(bands), len(data.bands))
        return
    for stated, band in zip(bands or [{}] * len(data.bands), data.bands, strict=True):
        yield from _band(document.subject, where, {**asset, **stated}, band)


def _band(subject: str, where: str, stated: dict[str, Any], true: Band) -> Iterator[Finding]:
    dtype = _COMPLEX.get(true.dtype, true.dtype)
    told = stated.get("data_type", stated.get("raster:data_type"))
    if told is not None and told not in (dtype, "other"):
        yield rules.FACT_DTYPE.finding(subject, f"{where} states {told}, and the data are {dtype}", told, dtype)
    if stated.get("nodata") is not None and not _same_number(stated["nodata"], true.nodata, true.dtype):
        message = f"{where} states the nodata {stated['nodata']}, and the data have {true.nodata}"
        yield rules.FACT_NODATA.finding(subject, message, stated["nodata"], _json(true.nodata))
    for name, value, neutral in (("raster:scale", true.scale, 1), ("raster:offset", true.offset, 0)):
        told = stated.get(name, neutral)
        if not isinstance(told, int | float) or not math.isclose(told, value, rel_tol=1e-9, abs_tol=1e-12):
            yield rules.FACT_SCALE.finding(subject, f"{where} has {name} {told}, and the data {value}", told, value)
    if stated.get("unit") and true.unit and stated["unit"] != true.unit:
        message = f"{where} has the unit {stated['unit']}, and the data {true.unit}"
        yield rules.FACT_UNIT.finding(subject, message, stated["unit"], true.unit)


def _same_number(stated: Any, true: Any, dtype: str) -> bool:
    """Equal as values of the data's type; STAC writes NaN and infinities as text."""
    import numpy as np  # noqa: PLC0415 - heavy

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


def _json(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


# --- cubes


def cube_facts(document: Document, key: str, asset: dict[str, Any], data: Measured) -> Iterator[Finding]:
    """The dimensions, variables and bands of a cube."""
    if not data.dims:  # a pyramid: its cubes lie in groups below
        return
    where = f"the cube {key} of {document.subject}"
    true = {band.name: band for band in data.bands}
    for stated in listed(asset.get("bands")):
        if stated.get("name") in true:
            yield from _band(document.subject, where, {**asset, **stated}, true[stated["name"]])
    for name, told in mappings(field(document, asset, "cube:dimensions")).items():
        yield from _dimension(document.subject, where, name, told, data)
    variables = mappings(field(document, asset, "cube:variables"))
    for name, told in variables.items():
        yield from _cube_variable(document.subject, where, name, told, data)
    untold = sorted(str(name) for name in true.keys() - variables.keys()) if variables else []
    if untold:
        message = f"{where} does not describe {', '.join(untold)}"
        yield rules.FACT_CUBE.finding(document.subject, message, sorted(variables), sorted(map(str, true)))


def _dimension(subject: str, where: str, name: str, told: dict[str, Any], data: Measured) -> Iterator[Finding]:
    if name not in data.dims:
        if told.get("type") not in ("bands", "geometry"):
            message = f"{where} has the dimension {name}, and the data {', '.join(data.dims)}"
            yield rules.FACT_CUBE.finding(subject, message, name, list(data.dims))
        return
    extent, true = told.get("extent"), data.dims[name]
    spatial = told.get("type") == "spatial" and isinstance(extent, list) and len(extent) == 2  # noqa: PLR2004
    if spatial and true is not None and all(isinstance(end, int | float) for end in extent or []):
        cell = (true[1] - true[0]) / max(_size(name, data) - 1, 1)  # in units of the dimension, not of the CRS
        low, high = sorted(extent or [])
        if abs(low - true[0]) > cell or abs(high - true[1]) > cell:
            message = f"{where} states the extent {extent} for {name}, and the data {list(true)}"
            yield rules.FACT_CUBE.finding(subject, message, extent, list(true))


def _size(dim: str, data: Measured) -> int:
    return next((band.shape[band.dims.index(dim)] for band in data.bands if dim in band.dims), 2)


def _cube_variable(subject: str, where: str, name: str, told: dict[str, Any], data: Measured) -> Iterator[Finding]:
    true = next((band for band in data.bands if band.name == name), None)
    if true is None:
        if told.get("type") == "data" and name not in data.dims:
            message = f"{where} describes {name}, which the data do not hold"
            yield rules.FACT_CUBE.finding(subject, message, name, [band.name for band in data.bands])
        return
    if told.get("dimensions", list(true.dims)) != list(true.dims):
        message = f"{where} states the dimensions {told['dimensions']} for {name}, and the data {list(true.dims)}"
        yield rules.FACT_CUBE.finding(subject, message, told["dimensions"], list(true.dims))
    yield from _band(subject, f"{name} in {where}", _neutral(told, true), true)


def _neutral(told: dict[str, Any], true: Band) -> dict[str, Any]:
    """A cube variable as a band; the datacube extension has no scale, so that of the data stands."""
    return {"raster:scale": true.scale, "raster:offset": true.offset} | told


def time_facts(document: Document, data: Measured) -> Iterator[Finding]:
    """The period of an Item against the time axis of its cube: it holds every step."""
    properties = document.properties()
    start, end = moment(properties.get("start_datetime")), moment(properties.get("end_datetime"))
    if start is None or end is None or data.times is None:
        return
    first, last = (step.replace(microsecond=0) for step in data.times)
    if first < start.replace(microsecond=0) or last > end:
        message = f"{document.subject} lasts from {start} to {end}, and its cube from {first} to {last}"
        yield rules.FACT_TIME.finding(document.subject, message, [str(start), str(end)], [str(first), str(last)])
