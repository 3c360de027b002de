"""STAC as APEx, the PRR and EarthCODE want it, beyond its schemas: one Item or one Collection by itself.

How a Collection fits its Items is in ``collection.py``, how an Item fits its data in ``facts.py``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf.time_units import has_reference
from earthcode_pack.cf.units import is_unit, nearest
from earthcode_pack.checks import rules
from earthcode_pack.checks.cf_attributes import name_findings
from earthcode_pack.checks.documents import Document, listed, mapping, mappings, roles, texts
from earthcode_pack.checks.targets import by_name
from earthcode_pack.geo.box import box_of, contains, is_global
from earthcode_pack.geo.positions import is_uncut, positions
from earthcode_pack.period import parse_period

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from earthcode_pack.model import Finding

_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_OTHER_RASTERS = re.compile(r"grib|jp2|jpeg2000|x-hdf4?$|erdas|x-ascii-grid|envi|x-netcdf3")
_DAY, _MONTH, _YEAR = r"(0[1-9]|[12]\d|3[01])", r"(0[1-9]|1[0-2])", r"(19|20)\d\d"
_OTHER_DATE = re.compile(
    rf"(?<!\d)({_DAY}[-_.]{_MONTH}[-_.]{_YEAR}|{_MONTH}[-_.]{_DAY}[-_.]{_YEAR}|{_YEAR}[_.]{_MONTH}[_.]{_DAY})(?!\d)"
)
_GRIDDED = re.compile(r"^image/|zarr|netcdf|x-hdf")
_OTHER_RASTER_NAMES = (".grib", ".grib2", ".grb", ".grb2", ".jp2", ".hdf", ".hdf4", ".asc", ".img", ".bil", ".vrt")
_OTHER_VECTORS = (".shp", ".shp.zip", ".gml", ".kml", ".kmz", ".gpx", ".mif", ".tab")
_LARGEST_GEOJSON = 5_000_000  # bytes


def stac_findings(document: Document, *, alone: bool = True, record: bool = False) -> Iterator[Finding]:
    """What a Catalog, Collection or Item breaks by itself; ``alone`` where no data stand behind its boxes.

    ``record`` says that it is one of the Open Science Catalog's, which takes STAC 1.0.0 and 1.1.0.
    """
    stac, subject = document.stac, document.subject
    if not record and not is_id(stac.get("id")):
        yield rules.ID_FORM.finding(subject, f"{subject} has the id {stac.get('id')!r}", stac.get("id"))
    version = re.match(r"(\d+)\.(\d+)", str(stac.get("stac_version")))
    if version and (int(version[1]), int(version[2])) < (1, 1) and not record:
        yield rules.STAC_REC_01.finding(subject, f"{subject} is STAC {stac['stac_version']}", stac["stac_version"])
    for box in boxes(stac):
        yield from _box(box, subject, alone=alone)
    yield from _assets(document)
    if stac["type"] == "Feature":
        yield from _item(document)


def is_id(value: Any) -> bool:
    """Whether an id keeps to the form that the PRR's gateway enforces."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def boxes(stac: dict[str, Any]) -> list[Any]:
    """Each bbox of an Item or Collection, as it is written."""
    if stac["type"] == "Feature":
        return [stac["bbox"]] if "bbox" in stac else []
    found = mapping(mapping(stac.get("extent")).get("spatial")).get("bbox")
    return list(found) if isinstance(found, list) else []


def _box(numbers: Any, subject: str, *, alone: bool) -> Iterator[Finding]:
    box = box_of(numbers)
    if box is None:
        yield rules.BBOX_FORM.finding(subject, f"{subject} has the bbox {numbers}", numbers)
    elif box[0] == box[2] and box[1] == box[3]:
        yield rules.BBOX_POINT.finding(subject, f"the bbox of {subject} is a point", numbers)
    elif alone and is_global(box):
        yield rules.BBOX_GLOBAL.finding(subject, f"the bbox of {subject} is the whole globe", numbers)


# --- assets


def _assets(document: Document) -> Iterator[Finding]:
    """STAC-REC-05 and the formats of the data."""
    for key, asset in document.assets().items():
        missing = [field for field in ("type", "roles", "title", "file:size") if asset.get(field) in (None, [], "")]
        if missing:
            message = f"the asset {key} of {document.subject} has no {', '.join(missing)}"
            yield rules.STAC_REC_05.finding(document.subject, message, missing)
        if is_data(asset):
            yield from _format(document.subject, key, asset)


def is_data(asset: dict[str, Any]) -> bool:
    """Whether an asset has the role data."""
    return "data" in roles(asset)


def _format(subject: str, key: str, asset: dict[str, Any]) -> Iterator[Finding]:
    dated = _OTHER_DATE.search(str(asset.get("href", "")).partition("?")[0].rstrip("/").rpartition("/")[2])
    if dated:
        message = f"the asset {key} of {subject} has {dated[0]} in its name, which is no date of ISO 8601"
        yield rules.NAME_DATE.finding(subject, message, dated[0])
    href, kind = str(asset.get("href", "")).lower().partition("?")[0], str(asset.get("type", "")).lower()
    size = asset["file:size"] if isinstance(asset.get("file:size"), int) else 0
    message = f"the asset {key} of {subject} is {kind or href}"
    if _OTHER_RASTERS.search(kind) or href.endswith(_OTHER_RASTER_NAMES):
        yield rules.DATA_REQ_01.finding(subject, message, kind or href)
    elif href.endswith(_OTHER_VECTORS):
        yield rules.DATA_REQ_02.finding(subject, message, kind or href)
    elif kind.startswith("application/geo+json") and size >= _LARGEST_GEOJSON:
        yield rules.GEOJSON_SIZE.finding(subject, f"{message} of {size} bytes", size)


# --- one Item


def _item(document: Document) -> Iterator[Finding]:
    yield from _geometry(document.stac, document.subject)
    yield from _times(document)
    data = {key: asset for key, asset in document.assets().items() if is_data(asset)}
    if not data:
        message = f"{document.subject} has no asset with role data"
        yield rules.STAC_REC_04.finding(document.subject, message, sorted(document.assets()))
    yield from _projection(document, data)
    for key, asset in data.items():
        kind = by_name(str(asset.get("href", "")).partition("?")[0])
        if kind == "cog":
            yield from _raster(document, key, asset)
        elif kind in {"zarr", "netcdf"}:
            yield from cube_findings(document, key, asset)
        yield from _classes(document, key, asset)
        yield from _units(document, key, asset)


def _geometry(item: dict[str, Any], subject: str) -> Iterator[Finding]:
    geometry, box = mapping(item.get("geometry")), box_of(item.get("bbox"))
    if not geometry or box is None:
        return
    try:
        out = next((p for p in positions(geometry) if not contains(box, (p[0], p[1], p[0], p[1]))), None)
        uncut = is_uncut(geometry)
    except (TypeError, IndexError, KeyError, ValueError, AttributeError, RecursionError):
        return  # the schema says so
    if out is not None:
        message = f"the geometry of {subject} leaves its bbox, at {list(out)}"
        yield rules.GEOMETRY.finding(subject, message, list(out), item["bbox"])
    if uncut and (box[0] > box[2] or out is not None):  # else it is a wide one, within a bbox that does not cross
        yield rules.GEOMETRY_SPLIT.finding(subject, f"the geometry of {subject} crosses the antimeridian uncut")


def _times(document: Document) -> Iterator[Finding]:
    properties, subject = document.properties(), document.subject
    keys = ("start_datetime", "datetime", "end_datetime")
    missing = [key for key in keys if properties.get(key) is None]
    if missing:
        yield rules.STAC_REC_07.finding(subject, f"{subject} has no {', '.join(missing)}", missing)
    stated = {key: properties[key] for key in keys if properties.get(key) is not None}
    moments = [moment(text) for text in stated.values()]
    known = [m for m in moments if m is not None]
    if len(known) < len(moments) or known != sorted(known):
        message = f"the times of {subject} are not in order: {', '.join(f'{k} {v}' for k, v in stated.items())}"
        yield rules.TIME_ORDER.finding(subject, message, stated)


def moment(text: Any) -> datetime | None:
    """The moment that a STAC date-time states; None where it is none."""
    try:
        return parse_period(text).start if isinstance(text, str) and "T" in text else None
    except ValueError:
        return None


def field(document: Document, asset: dict[str, Any], name: str) -> Any:
    """A field of an asset, else of its Item."""
    return asset.get(name, document.properties().get(name))


def _projection(document: Document, data: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """Of rasters and cubes: a table, a model or a text has neither shape nor cells."""
    for key, asset in data.items():
        if not _is_gridded(asset):
            continue
        missing = [name for name in ("proj:bbox", "proj:shape") if not field(document, asset, name)]
        if not any(field(document, asset, name) for name in ("proj:code", "proj:wkt2", "proj:projjson", "proj:epsg")):
            missing.insert(0, "proj:code")
        if missing:
            message = f"{document.subject} states no {', '.join(missing)} for the asset {key}"
            yield rules.STAC_REC_06.finding(document.subject, message, missing)


def _is_gridded(asset: dict[str, Any]) -> bool:
    path, kind = str(asset.get("href", "")).partition("?")[0], str(asset.get("type", "")).lower()
    return (
        by_name(path) in {"cog", "zarr", "netcdf"} or bool(_GRIDDED.search(kind)) or bool(_OTHER_RASTERS.search(kind))
    )


def _raster(document: Document, key: str, asset: dict[str, Any]) -> Iterator[Finding]:
    subject, bands = document.subject, listed(asset.get("bands"))
    if not bands or any(not (band.get("name") or band.get("eo:common_name")) for band in bands):
        message = f"the asset {key} of {subject} has {'a band without name' if bands else 'no bands'}"
        yield rules.STAC_REC_08.finding(subject, message, len(bands))
    types = sorted({str(t) for band in bands or [{}] if (t := band.get("data_type", asset.get("data_type")))})
    if bands and len(types) != 1:
        message = f"the bands of the asset {key} of {subject} have the data types {types}"
        yield rules.STAC_REC_08.finding(subject, message, types)
    missing = [name for name in ("raster:spatial_resolution", "nodata") if not _stated(asset, bands, name)]
    if _is_picture(bands) or has_classes(asset):
        missing = [name for name in missing if name != "nodata"]
    if _is_geographic(str(field(document, asset, "proj:code"))):  # a resolution is in metres
        missing = [name for name in missing if name == "nodata"]
    if missing:
        message = f"the asset {key} of {subject} has no {', '.join(missing)}"
        yield rules.STAC_REC_10.finding(subject, message, missing)


@lru_cache(maxsize=1000)
def _is_geographic(code: str) -> bool:
    from pyproj import CRS  # noqa: PLC0415 - heavy
    from pyproj.exceptions import CRSError  # noqa: PLC0415 - heavy

    try:
        return bool(CRS.from_user_input(code).is_geographic)
    except CRSError:
        return False


def _stated(asset: dict[str, Any], bands: list[dict[str, Any]], name: str) -> bool:
    return name in asset or (bool(bands) and all(name in band for band in bands))


def _is_picture(bands: list[dict[str, Any]]) -> bool:
    return {"red", "green", "blue"} <= {str(band.get("eo:common_name", band.get("name"))).lower() for band in bands}


def has_classes(asset: dict[str, Any]) -> bool:
    """Whether an asset, or a band of it, describes classes."""
    return any("classification:classes" in part for part in (asset, *listed(asset.get("bands"))))


def cube_findings(document: Document, key: str, asset: dict[str, Any]) -> Iterator[Finding]:
    """STAC-REC-09 and STAC-REC-11, of an asset of an Item or a Collection."""
    extensions = texts(document.stac.get("stac_extensions"))
    versions = [m[1] for e in extensions if (m := re.search(r"/datacube/v(\d+)\.", e))]
    if not versions:
        message = f"{document.subject} has the cube {key} and does not list the datacube extension"
        yield rules.STAC_REC_09.finding(document.subject, message, extensions)
        return
    missing = [name for name in ("cube:dimensions", "cube:variables") if not mappings(field(document, asset, name))]
    if missing or max(map(int, versions)) < 2:  # noqa: PLR2004 - the version that APEx names
        message = f"{document.subject} states no {', '.join(missing) or 'version 2 of datacube'} for the cube {key}"
        yield rules.STAC_REC_11.finding(document.subject, message, missing or versions)


def _classes(document: Document, key: str, asset: dict[str, Any]) -> Iterator[Finding]:
    parts = [asset, *listed(asset.get("bands"))]
    classes = [c for part in parts for c in listed(part.get("classification:classes"))]
    poor = [c.get("value") for c in classes if not (c.get("title") and c.get("color_hint"))]
    if poor:
        message = f"classes {poor[:5]} of the asset {key} of {document.subject} lack title or color_hint"
        yield rules.STAC_REC_12.finding(document.subject, message, poor)


def _units(document: Document, key: str, asset: dict[str, Any]) -> Iterator[Finding]:
    """Units as UDUNITS reads them, each spelling once: STAC's common metadata and datacube ask for these."""
    parts = {f"a band of {key}": band for band in listed(asset.get("bands"))} | {key: asset}
    for field_name in ("cube:variables", "cube:dimensions"):
        parts |= mappings(field(document, asset, field_name))
    spelt = {str(part["unit"]): name for name, part in parts.items() if isinstance(part.get("unit"), str)}
    for unit, name in spelt.items():
        yield from _unit(document.subject, unit, f"{name} of {document.subject}")


def _unit(subject: str, unit: str, where: str) -> Iterator[Finding]:
    if has_reference(unit) or is_unit(unit):
        return
    near = nearest(unit)
    message = f"{where} has the unit {unit!r}, which UDUNITS cannot read" + (f"; write {near!r}" if near else "")
    yield rules.STAC_UNIT.finding(subject, message, unit, near)


def parameter_findings(stac: dict[str, Any], subject: str) -> Iterator[Finding]:
    """``cf:parameter`` of a Collection: names of the CF table, units that UDUNITS reads, the two together."""
    for parameter in listed(stac.get("cf:parameter")):
        name, unit, where = parameter.get("name"), parameter.get("unit"), f"cf:parameter of {subject}"
        known = unit if isinstance(unit, str) and is_unit(unit) else None
        yield from name_findings(subject, name, known, where)
        if isinstance(unit, str) and known is None:
            yield from _unit(subject, unit, where)
