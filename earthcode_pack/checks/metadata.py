"""STAC as APEx, the PRR and EarthCODE ask for it, beyond its schemas: a Catalog, Collection or Item by itself.

``collection.py`` compares a Collection with its Items, ``facts.py`` an Item with its data.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf.time_units import has_reference
from earthcode_pack.cf.units import is_unit, nearest
from earthcode_pack.checks import rules
from earthcode_pack.checks.cf_attributes import name_findings
from earthcode_pack.checks.documents import Document, is_data, listed, mapping, mappings, texts
from earthcode_pack.checks.targets import by_name
from earthcode_pack.geo.box import Box, box_of, contains, crosses_antimeridian, is_global, positions
from earthcode_pack.profile.field_types import is_secret
from earthcode_pack.profile.period import parse_period

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
_CRS_FIELDS = ("proj:code", "proj:wkt2", "proj:projjson", "proj:epsg")
_SCHEME_FIELDS = {"auth:refs": "auth:schemes", "storage:refs": "storage:schemes"}
_SCOPES = "scopes"  # of OAuth 2.0: its keys are names that a server gave


def stac_findings(document: Document, *, alone: bool = True, record: bool = False) -> Iterator[Finding]:
    """Checks a Catalog, Collection or Item by itself.

    Args:
        document: The object.
        alone: Whether no data stand behind its boxes.
        record: Whether it is a record of the Open Science Catalog, which takes STAC 1.0.0 and 1.1.0.

    Yields:
        The findings.

    """
    stac, subject = document.stac, document.subject
    if not record and not is_id(stac.get("id")):
        yield rules.ID_FORM.finding(subject, f"{subject} has the id {stac.get('id')!r}", stac.get("id"))
    version = re.match(r"(\d+)\.(\d+)", str(stac.get("stac_version")))
    if version and (int(version[1]), int(version[2])) < (1, 1) and not record:
        yield rules.STAC_REC_01.finding(subject, f"{subject} is STAC {stac['stac_version']}", stac["stac_version"])
    for numbers in boxes(stac):
        box = box_of(numbers)
        if box is None:
            yield rules.BBOX_FORM.finding(subject, f"{subject} has the bbox {numbers}", numbers)
        elif box[0] == box[2] and box[1] == box[3]:
            yield rules.BBOX_POINT.finding(subject, f"the bbox of {subject} is a point", numbers)
        elif alone and is_global(box):
            yield rules.BBOX_GLOBAL.finding(subject, f"the bbox of {subject} is the whole globe", numbers)
    for key, asset in document.assets().items():
        yield from _asset_findings(subject, key, asset)
    if stac["type"] == "Feature":
        yield from _geometry_findings(stac, subject)
        yield from _time_findings(document)
        yield from _data_asset_findings(document)


def is_id(value: Any) -> bool:
    """Tells whether an id has the form that the PRR's gateway enforces."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def boxes(stac: dict[str, Any]) -> list[Any]:
    """Returns each bbox of an Item or Collection, as it is written."""
    if stac["type"] == "Feature":
        return [stac["bbox"]] if "bbox" in stac else []
    found = mapping(mapping(stac.get("extent")).get("spatial")).get("bbox")
    return list(found) if isinstance(found, list) else []


def moment(text: Any) -> datetime | None:
    """Parses a STAC date-time; None if it is none."""
    try:
        return parse_period(text).start if isinstance(text, str) and "T" in text else None
    except ValueError:
        return None


def field(document: Document, asset: dict[str, Any], name: str) -> Any:
    """Returns a field of an asset, else of its Item."""
    return asset.get(name, document.properties().get(name))


def has_classes(asset: dict[str, Any]) -> bool:
    """Tells whether an asset, or a band of it, describes classes."""
    return any("classification:classes" in part for part in (asset, *listed(asset.get("bands"))))


def _asset_findings(subject: str, key: str, asset: dict[str, Any]) -> Iterator[Finding]:
    """Checks the fields that every asset has, and name and format of data."""
    missing = [name for name in ("type", "roles", "title", "file:size") if asset.get(name) in (None, [], "")]
    if missing:
        yield rules.STAC_REC_05.finding(subject, f"the asset {key} of {subject} has no {', '.join(missing)}", missing)
    if not is_data(asset):
        return
    path, kind = str(asset.get("href", "")).partition("?")[0], str(asset.get("type", "")).lower()
    dated = _OTHER_DATE.search(path.rstrip("/").rpartition("/")[2])
    if dated:
        message = f"the asset {key} of {subject} has {dated[0]} in its name, which is no date of ISO 8601"
        yield rules.NAME_DATE.finding(subject, message, dated[0])
    href, size = path.lower(), asset.get("file:size")
    message = f"the asset {key} of {subject} is {kind or href}"
    if _OTHER_RASTERS.search(kind) or href.endswith(_OTHER_RASTER_NAMES):
        yield rules.DATA_REQ_01.finding(subject, message, kind or href)
    elif href.endswith(_OTHER_VECTORS):
        yield rules.DATA_REQ_02.finding(subject, message, kind or href)
    elif kind.startswith("application/geo+json") and isinstance(size, int) and size >= _LARGEST_GEOJSON:
        yield rules.GEOJSON_SIZE.finding(subject, f"{message} of {size} bytes", size)


# --- Items


def _geometry_findings(item: dict[str, Any], subject: str) -> Iterator[Finding]:
    geometry, box = mapping(item.get("geometry")), box_of(item.get("bbox"))
    if not geometry or box is None:
        return
    try:
        out = next((p for p in positions(geometry) if not contains(box, Box(*p, *p))), None)
        uncut = crosses_antimeridian(geometry)
    except (TypeError, IndexError, KeyError, ValueError, AttributeError, RecursionError):
        return  # the schema says so
    if out is not None:
        message = f"the geometry of {subject} leaves its bbox, at {list(out)}"
        yield rules.GEOMETRY.finding(subject, message, list(out), item["bbox"])
    if uncut and (box[0] > box[2] or out is not None):  # else it is a wide one, within a bbox that does not cross
        yield rules.GEOMETRY_SPLIT.finding(subject, f"the geometry of {subject} crosses the antimeridian uncut")


def _time_findings(document: Document) -> Iterator[Finding]:
    properties, subject = document.properties(), document.subject
    keys = ("start_datetime", "datetime", "end_datetime")
    stated = {key: properties[key] for key in keys if properties.get(key) is not None}
    missing = [key for key in keys if key not in stated]
    if missing:
        yield rules.STAC_REC_07.finding(subject, f"{subject} has no {', '.join(missing)}", missing)
    known = [m for text in stated.values() if (m := moment(text)) is not None]
    if len(known) < len(stated) or known != sorted(known):
        message = f"the times of {subject} are not in order: {', '.join(f'{k} {v}' for k, v in stated.items())}"
        yield rules.TIME_ORDER.finding(subject, message, stated)


def _data_asset_findings(document: Document) -> Iterator[Finding]:
    """Checks the data assets of an Item: projection, bands or cube, classes and units of each."""
    subject = document.subject
    data = {key: asset for key, asset in document.assets().items() if is_data(asset)}
    if not data:
        message = f"{subject} has no asset with role data"
        yield rules.STAC_REC_04.finding(subject, message, sorted(document.assets()))
    for key, asset in data.items():
        path, media = str(asset.get("href", "")).partition("?")[0], str(asset.get("type", "")).lower()
        kind = by_name(path)
        # a table, a model or a text has neither shape nor cells
        if kind in {"cog", "zarr", "netcdf"} or _GRIDDED.search(media) or _OTHER_RASTERS.search(media):
            missing = [name for name in ("proj:bbox", "proj:shape") if not field(document, asset, name)]
            if not any(field(document, asset, name) for name in _CRS_FIELDS):
                missing.insert(0, "proj:code")
            if missing:
                message = f"{subject} states no {', '.join(missing)} for the asset {key}"
                yield rules.STAC_REC_06.finding(subject, message, missing)
        if kind == "cog":
            yield from _raster_findings(document, key, asset)
        elif kind in {"zarr", "netcdf"}:
            yield from cube_findings(document, key, asset)
        parts = [asset, *listed(asset.get("bands"))]
        classes = [c for part in parts for c in listed(part.get("classification:classes"))]
        poor = [c.get("value") for c in classes if not (c.get("title") and c.get("color_hint"))]
        if poor:
            message = f"classes {poor[:5]} of the asset {key} of {subject} lack title or color_hint"
            yield rules.STAC_REC_12.finding(subject, message, poor)
        yield from _unit_findings(document, key, asset)


def _raster_findings(document: Document, key: str, asset: dict[str, Any]) -> Iterator[Finding]:
    """Checks the bands and raster fields of a COG asset."""
    subject, bands = document.subject, listed(asset.get("bands"))
    if not bands or any(not (band.get("name") or band.get("eo:common_name")) for band in bands):
        message = f"the asset {key} of {subject} has {'a band without name' if bands else 'no bands'}"
        yield rules.STAC_REC_08.finding(subject, message, len(bands))
    types = sorted({str(t) for band in bands or [{}] if (t := band.get("data_type", asset.get("data_type")))})
    if bands and len(types) != 1:
        message = f"the bands of the asset {key} of {subject} have the data types {types}"
        yield rules.STAC_REC_08.finding(subject, message, types)
    names = [str(band.get("eo:common_name", band.get("name"))).lower() for band in bands]
    is_picture = {"red", "green", "blue"} <= set(names)
    wanted = [] if _is_geographic(str(field(document, asset, "proj:code"))) else ["raster:spatial_resolution"]  # metres
    wanted += [] if is_picture or has_classes(asset) else ["nodata"]
    missing = [name for name in wanted if name not in asset and not (bands and all(name in band for band in bands))]
    if missing:
        message = f"the asset {key} of {subject} has no {', '.join(missing)}"
        yield rules.STAC_REC_10.finding(subject, message, missing)


@lru_cache(maxsize=1000)
def _is_geographic(code: str) -> bool:
    from pyproj.exceptions import CRSError  # noqa: PLC0415 - heavy

    from earthcode_pack.geo.crs import stated_crs  # noqa: PLC0415

    try:
        return bool(stated_crs(code).is_geographic)
    except CRSError:
        return False


def cube_findings(document: Document, key: str, asset: dict[str, Any]) -> Iterator[Finding]:
    """Checks the datacube fields of an asset of an Item or a Collection (STAC-REC-09, STAC-REC-11).

    Args:
        document: The Item or Collection.
        key: Key of the asset.
        asset: The asset, a Zarr store or NetCDF file.

    Yields:
        At most one finding.

    """
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


# --- units and standard names


def _unit_findings(document: Document, key: str, asset: dict[str, Any]) -> Iterator[Finding]:
    """Checks the units of bands, variables and dimensions by UDUNITS, each spelling once."""
    parts = {f"a band of {key}": band for band in listed(asset.get("bands"))} | {key: asset}
    for field_name in ("cube:variables", "cube:dimensions"):
        parts |= mappings(field(document, asset, field_name))
    spelt = {str(part["unit"]): name for name, part in parts.items() if isinstance(part.get("unit"), str)}
    for unit, name in spelt.items():
        if not (has_reference(unit) or is_unit(unit)):
            yield _unreadable_unit(document.subject, unit, f"{name} of {document.subject}")


def _unreadable_unit(subject: str, unit: str, where: str) -> Finding:
    near = nearest(unit)
    message = f"{where} has the unit {unit!r}, which UDUNITS cannot read" + (f"; write {near!r}" if near else "")
    return rules.STAC_UNIT.finding(subject, message, unit, near)


def parameter_findings(stac: dict[str, Any], subject: str) -> Iterator[Finding]:
    """Checks ``cf:parameter`` of a Collection: standard names, units, and that they fit each other.

    Args:
        stac: The Collection.
        subject: Its name in findings.

    Yields:
        The findings.

    """
    for parameter in listed(stac.get("cf:parameter")):
        unit, where = parameter.get("unit"), f"cf:parameter of {subject}"
        known = unit if isinstance(unit, str) and is_unit(unit) else None
        yield from name_findings(subject, parameter.get("name"), known, where)
        if isinstance(unit, str) and known is None and not has_reference(unit):
            yield _unreadable_unit(subject, unit, where)


# --- closed data: authentication extension 1.1, storage extension 2.0


def scheme_findings(document: Document) -> Iterator[Finding]:
    """Checks that schemes of access to closed data are declared where they are named, and hold no secret.

    References in ``item_assets`` are not checked: they name schemes of the Items.

    Args:
        document: A Catalog, Collection or Item.

    Yields:
        The findings, which never quote a secret.

    """
    subject = document.subject
    holders: list[tuple[str, dict[str, Any]]] = []
    for key, asset in document.assets().items():
        holders.append((f"the asset {key}", asset))
        alternates = mappings(asset.get("alternate")).items()
        holders += [(f"the alternate {name} of the asset {key}", alternate) for name, alternate in alternates]
    holders += [(f"the link {link.get('rel')}", link) for link in listed(document.stac.get("links"))]
    for refs, schemes in _SCHEME_FIELDS.items():
        declared = mapping(document.properties().get(schemes))
        for where, holder in holders:
            unknown = [name for name in texts(holder.get(refs)) if name not in declared]
            if unknown:
                message = f"{refs} of {where} of {subject} names {', '.join(unknown)}, which {schemes} lacks"
                yield rules.SCHEME_UNKNOWN.finding(subject, message, unknown, sorted(declared))
        for path in _secrets(declared, schemes):
            yield rules.SCHEME_SECRET.finding(subject, f"{path} of {subject} looks like a secret", path)


def _secrets(value: Any, path: str, key: str = "") -> Iterator[str]:
    """Yields the paths of what looks like a secret, never the secret itself."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _secrets(part, f"{path}.{name}", "" if key == _SCOPES else str(name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _secrets(part, f"{path}[{number}]", key)
    elif isinstance(value, str) and is_secret(key, value):
        yield path
