"""Coordinate reference systems that CF metadata state: grid mappings, ``crs`` attributes, GRIB's own Earth (CF 5.6).

Clauses are those of the CF conventions 1.11.
"""

from __future__ import annotations

import json
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

from earthcode_pack.cf.roles import grid_mapping_for
from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.crs import stated_crs

if TYPE_CHECKING:
    import xarray as xr

# What a grid mapping says of the ellipsoid or the datum (CF, appendix F, table F.1); without any it names no place.
_MORE_THAN_AN_ELLIPSOID = {
    "reference_ellipsoid_name", "horizontal_datum_name", "geographic_crs_name", "prime_meridian_name",
    "longitude_of_prime_meridian", "towgs84",
}  # fmt: skip
_FIGURE_OF_THE_EARTH = {
    "semi_major_axis", "semi_minor_axis", "inverse_flattening", "earth_radius", "reference_ellipsoid_name",
    "horizontal_datum_name", "geographic_crs_name",
}  # fmt: skip

_ASKING = threading.Lock()  # one thread asks PROJ, the others wait for its answer


def grid_mapping_of(dataset: xr.Dataset, name: str) -> str | None:
    """The name of the grid mapping variable of a variable's axes (CF 5.6)."""
    stated = grid_mapping_for(dataset[name].attrs, tuple(map(str, dataset[name].dims)))
    if stated in dataset.variables:
        return stated
    return next((candidate for candidate in ("spatial_ref", "crs") if candidate in dataset.variables), None)


def crs_of(dataset: xr.Dataset, name: str) -> CRS | None:
    """The CRS that the file states for a variable: grid mapping, then a ``crs`` attribute, then GRIB's own Earth.

    None where it states none: latitude and longitude alone name no datum. Raises ``Unreadable`` for a CRS that PROJ
    does not take.
    """
    mapping = grid_mapping_of(dataset, name)
    if mapping is not None and (crs := crs_of_mapping(dict(dataset[mapping].attrs), mapping)) is not None:
        return crs
    stated = dataset[name].attrs.get("crs", dataset.attrs.get("crs", dataset.attrs.get("geospatial_bounds_crs")))
    if stated is not None:
        return _parse_crs(stated, f"the crs attribute of {name}")
    return _grib_earth(dataset[name].attrs)


def crs_of_mapping(attrs: dict[str, Any], mapping: str) -> CRS | None:
    """The CRS of the attributes of a grid mapping variable; None of one without a figure of the Earth.

    Raises ``Unreadable`` for a CRS that PROJ does not take.
    """
    for key in ("crs_wkt", "spatial_ref", "epsg_code", "crs"):
        if attrs.get(key):
            return _parse_crs(attrs[key], f"{mapping}.{key}")
    if "grid_mapping_name" not in attrs or not _FIGURE_OF_THE_EARTH & set(attrs):
        return None  # PROJ would take WGS 84 for granted
    stated = json.dumps(attrs, sort_keys=True, default=_as_json)
    try:
        with _ASKING:
            return _crs_by_cf(stated)
    except (CRSError, KeyError) as error:
        raise Unreadable(f"grid mapping {mapping}: {str(error)[:200]}", "set source.crs with override: true") from error


def without_figure(dataset: xr.Dataset, name: str) -> str | None:
    """The grid mapping of a variable that names a projection and no figure of the Earth; None where it has one."""
    mapping = grid_mapping_of(dataset, name)
    kind = dataset[mapping].attrs.get("grid_mapping_name") if mapping else None
    return mapping if kind not in (None, "latitude_longitude") and crs_of(dataset, name) is None else None


def _as_json(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value.tolist()


@lru_cache(maxsize=64)
def _crs_by_cf(attrs: str) -> CRS:
    """PROJ looks a third of a second for a datum without a name, and every file of a product states the same."""
    stated = json.loads(attrs)
    is_plain = stated["grid_mapping_name"] == "latitude_longitude" and not _MORE_THAN_AN_ELLIPSOID & set(stated)
    if is_plain and (figure := _figure(stated)):
        return CRS.from_json_dict(_nameless(figure))
    return CRS.from_cf(stated)


def _figure(stated: dict[str, Any]) -> dict[str, Any]:
    """The numbers of an ellipsoid, in the words of PROJJSON; none where they do not suffice."""
    if "earth_radius" in stated:
        return {"radius": stated["earth_radius"]}
    numbers = ("semi_major_axis", "semi_minor_axis", "inverse_flattening")
    figure: dict[str, Any] = {key: stated[key] for key in numbers if key in stated}
    return figure if "semi_major_axis" in figure and len(figure) > 1 else {}


def _nameless(figure: dict[str, Any]) -> dict[str, Any]:
    """Longitude and latitude on an ellipsoid of which only numbers are known, as ``CRS.from_cf`` has it: PROJJSON."""
    axes = [("Longitude", "lon", "east"), ("Latitude", "lat", "north")]
    return {
        "type": "GeographicCRS",
        "name": "undefined",
        "datum": {
            "type": "GeodeticReferenceFrame",
            "name": "undefined",
            "ellipsoid": {"name": "undefined", **figure},
        },
        "coordinate_system": {
            "subtype": "ellipsoidal",
            "axis": [
                {"name": name, "abbreviation": short, "direction": way, "unit": "degree"} for name, short, way in axes
            ],
        },
    }


def _parse_crs(stated: Any, where: str) -> CRS:
    try:
        return stated_crs(stated.item() if isinstance(stated, np.generic) else stated)
    except CRSError as error:
        raise Unreadable(
            f"{where}: {stated!r} is no CRS that PROJ knows", "set source.crs with override: true"
        ) from error


def _grib_earth(attrs: dict[str, Any]) -> CRS | None:
    """A regular GRIB grid on the sphere or spheroid that the message names (WMO code table 3.2)."""
    if not str(attrs.get("GRIB_gridType", "")).endswith(("_ll", "_gg")) or "rotated" in str(attrs["GRIB_gridType"]):
        return None
    major, minor = attrs.get("GRIB_earthMajorAxisInMetres"), attrs.get("GRIB_earthMinorAxisInMetres")
    if major and minor:
        return CRS.from_dict({"proj": "longlat", "a": float(major), "b": float(minor)})
    return CRS.from_dict({"proj": "longlat", "R": float(attrs["GRIB_radius"])}) if attrs.get("GRIB_radius") else None
