"""What CF metadata say of a dataset of stored values: its CRS, and the cells of one-dimensional axes.

Clauses are those of the CF conventions 1.11.
"""

from __future__ import annotations

import hashlib
import json
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

from earthcode_pack import units
from earthcode_pack.cf.axes import LENGTHS
from earthcode_pack.cf.roles import grid_mapping_for
from earthcode_pack.convert.read.numbers import packed_alike, unpacked
from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.crs import unit_scale
from earthcode_pack.model import Grid

if TYPE_CHECKING:
    import xarray as xr

    from earthcode_pack.cf.axes import Axes

# A coordinate in float32 is off its place by about 1e-7 of its size: regular means within a hundredth of a cell.
_REGULAR = 0.01
_NO_DEGREES = 10_000
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


# --- CRS ------------------------------------------------------------------------------------------------------------


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
    if mapping is not None and (crs := _from_mapping(dict(dataset[mapping].attrs), mapping)) is not None:
        return crs
    stated = dataset[name].attrs.get("crs", dataset.attrs.get("crs", dataset.attrs.get("geospatial_bounds_crs")))
    if stated is not None:
        return _parse_crs(stated, f"the crs attribute of {name}")
    return _grib_earth(dataset[name].attrs)


def _from_mapping(attrs: dict[str, Any], mapping: str) -> CRS | None:
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
        raise Unreadable(f"grid mapping {mapping}: {error}", "set source.crs with override: true") from error


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
        return CRS.from_user_input(stated.item() if isinstance(stated, np.generic) else stated)
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


# --- cells ----------------------------------------------------------------------------------------------------------


def grid_of(dataset: xr.Dataset, axes: Axes, crs: CRS) -> Grid:
    """The cells of a dataset with one-dimensional x and y, from their bounds (CF 7.1) or half way between centres.

    Raises ``Unreadable`` where an axis has no coordinate, where one column or row leaves the cell size unknown, and for
    a geographic CRS with coordinates that are no degrees.
    """
    x, y = (
        edges_of(dataset, dim) * _to_units_of(crs, dataset, dim, number) for number, dim in enumerate((axes.x, axes.y))
    )
    _refuse_no_degrees(dataset, axes, crs)
    _refuse_rotated(dataset, axes, crs)
    steps = _step(x), _step(y)
    regular = steps[0] is not None and steps[1] is not None
    return Grid(
        crs=crs.to_wkt(),
        shape=(dataset.sizes[axes.y], dataset.sizes[axes.x]),
        dims=(axes.y, axes.x),
        bounds=(float(x.min()), float(y.min()), float(x.max()), float(y.max())),
        transform=(steps[0], 0.0, float(x[0]), 0.0, steps[1], float(y[0])) if regular else None,
        digest=_digest(crs, dataset[axes.x].values, dataset[axes.y].values),
    )


def _to_units_of(crs: CRS, dataset: xr.Dataset, dim: str, number: int) -> float:
    """Factor from the units of coordinates to those of their CRS: 1000 for km under metres (CF 5.6).

    Raises ``Unreadable`` for angles under a CRS in metres that is not geostationary.
    """
    stated = str(dataset[dim].attrs.get("units", "")).strip() if dim in dataset.variables else ""
    scale = unit_scale(crs, stated, number)
    if scale is None and not crs.is_geographic and units.factor(stated, "radian") is not None:
        unit = crs.axis_info[number].unit_name
        raise Unreadable(
            f"{dim} is an angle in {stated}, and {crs.name} is in {unit}",
            "set source.crs to the CRS of the data, with override: true; scan angles need a geostationary one",
        )
    return scale or 1.0  # metres under degrees are told with the values


def _refuse_rotated(dataset: xr.Dataset, axes: Axes, crs: CRS) -> None:
    """Longitudes and latitudes of a rotated pole are none on the Earth."""
    names = {dim: dataset[dim].attrs.get("standard_name") for dim in (axes.x, axes.y) if dim in dataset.variables}
    rotated = [dim for dim, name in names.items() if name in ("grid_longitude", "grid_latitude")]
    if rotated and crs.is_geographic and not crs.is_derived:
        raise Unreadable(
            f"{' and '.join(rotated)} are coordinates of a rotated pole, and {crs.name} has none",
            "give the grid mapping its figure of the Earth, such as earth_radius, and remove source.crs",
        )


def _refuse_no_degrees(dataset: xr.Dataset, axes: Axes, crs: CRS) -> None:
    """Metres read as degrees would claim the whole globe."""
    is_degrees = crs.is_geographic and all(axis.unit_name == "degree" for axis in crs.axis_info[:2])
    for dim in (axes.x, axes.y) if is_degrees else ():
        units, farthest = str(dataset[dim].attrs.get("units", "")), float(np.abs(unpacked(dataset[dim])).max())
        if units.lower() in LENGTHS or farthest > _NO_DEGREES:
            raise Unreadable(
                f"{dim} reaches {farthest:g} {units}, and {crs.name} is in degrees",
                "set source.crs to the projection of the data, with override: true",
            )


def edges_of(dataset: xr.Dataset, dim: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The n + 1 cell edges of a one-dimensional coordinate with n values, in its own order and units."""
    if dim not in dataset.variables or dataset[dim].ndim != 1:
        raise Unreadable(
            f"dimension {dim} has no coordinate of its own, nor has each cell a latitude and longitude: the grid is "
            "bare, or curvilinear without saying where",
            "give its variables CF coordinates: latitude and longitude by row and column",
        )
    centres = unpacked(dataset[dim]).astype(np.float64)
    if not np.isfinite(centres).all():
        raise Unreadable(f"{dim} has a missing value: where its cells lie is unknown", f"give {dim} all its values")
    _refuse_unsorted(dim, centres)
    stated = _stated_edges(dataset, dim, centres)
    if stated is not None:
        return stated
    if centres.size == 1:
        raise Unreadable(f"{dim} has one value and no bounds: the size of its cell is unknown", f"give {dim} CF bounds")
    return _half_way(centres)


def _refuse_unsorted(dim: str, centres: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """A coordinate variable is monotonic (CF 1.3, 5)."""
    rises = np.diff(centres) > 0
    turns = np.flatnonzero(rises != rises[:1]) if rises.size else rises
    if turns.size:
        at = int(turns[0])
        raise Unreadable(
            f"{dim} is not monotonic: {centres[at]:g} is followed by {centres[at + 1]:g}",
            f"sort the data along {dim}, as xarray's sortby does; longitudes may go on beyond 180",
        )


def _stated_edges(
    dataset: xr.Dataset, dim: str, centres: np.ndarray[Any, np.dtype[np.float64]]
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    name = dataset[dim].attrs.get("bounds")
    if name not in dataset.variables or dataset[name].shape != (dataset.sizes[dim], 2):
        return None
    pairs = unpacked(packed_alike(dataset[name].variable, dataset[dim].variable)).astype(np.float64)
    descending = centres[0] > centres[-1]
    first, last = (1, 0) if descending == (pairs[0, 0] < pairs[0, 1]) else (0, 1)
    return np.append(pairs[:, first], pairs[-1, last])


def _half_way(centres: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Edges from centres: exact multiples of one step where the centres are regular."""
    n = centres.size
    step = (centres[-1] - centres[0]) / (n - 1)
    even = centres[0] + step * np.arange(n)
    if np.abs(centres - even).max() <= _REGULAR * abs(step):
        return np.asarray(centres[0] - step / 2 + step * np.arange(n + 1))
    middles = (centres[:-1] + centres[1:]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def _step(edges: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    """The size of the cells, negative where they descend; None where they differ."""
    n = edges.size - 1
    step = (edges[-1] - edges[0]) / n
    even = edges[0] + step * np.arange(n + 1)
    return float(step) if np.abs(edges - even).max() <= _REGULAR * abs(step) else None


def _digest(crs: CRS, *coordinates: np.ndarray[Any, Any]) -> str:
    """One hash for one grid: the CRS as PROJ writes it and the coordinates to a millionth of a cell."""
    text = [crs.to_json()]
    for values in coordinates:
        cell = abs(float(values[-1]) - float(values[0])) / max(values.size - 1, 1) or 1.0
        text.append(str(np.round(values.astype(np.float64) / cell * 1e3).astype(np.int64).tobytes()))
    return hashlib.sha256("|".join(text).encode()).hexdigest()[:16]
