"""Roles of dimensions and variables by CF metadata: which axes they are, and which variables lie on a map.

Clauses are those of the CF conventions 1.11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf.roles import bounds_of, helpers
from earthcode_pack.cf.time_units import has_reference
from earthcode_pack.cf.units import is_angle, is_length
from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from earthcode_pack.model import GridKind

_LATITUDE = {"degrees_north", "degree_north", "degrees_n", "degree_n", "degreesn", "degreen"}  # 4.1
_LONGITUDE = {"degrees_east", "degree_east", "degrees_e", "degree_e", "degreese", "degreee"}  # 4.2
_STANDARD_NAMES = {
    "latitude": "y", "projection_y_coordinate": "y", "projection_y_angular_coordinate": "y", "grid_latitude": "y",
    "longitude": "x", "projection_x_coordinate": "x", "projection_x_angular_coordinate": "x", "grid_longitude": "x",
    "time": "t",
}  # fmt: skip
_NAMES = {
    "y": "y", "lat": "y", "latitude": "y", "northing": "y", "rlat": "y", "yc": "y", "nav_lat": "y",
    "x": "x", "lon": "x", "long": "x", "longitude": "x", "easting": "x", "rlon": "x", "xc": "x", "nav_lon": "x",
    "time": "t", "t": "t", "valid_time": "t",
}  # fmt: skip
_PLACE_NAMES = {
    "latitude": ("lat", "latitude", "nav_lat"), "longitude": ("lon", "longitude", "long", "nav_lon"),
}  # fmt: skip
_HEIGHTS = {"height", "altitude", "depth", "height_above_mean_sea_level", "height_above_reference_ellipsoid"}
_PRESSURE = re.compile(r"pressure|sigma|hybrid")
_PLANE = 2  # dimensions of the cells of a map
_PATHS = ("trajectory", "trajectoryprofile")  # 9.1
_FEATURES = (*_PATHS, "point", "profile", "timeseries", "timeseriesprofile")


@dataclass(frozen=True)
class Axes:
    """The dimensions of a variable by their meaning; ``others`` are vertical, ensemble and the like.

    Where its data lie at places rather than on axes, ``latitude`` and ``longitude`` name the variables that hold them
    (5.2, 9): of cells in rows and columns (``y``, ``x``), of one dimension (``x``; ``y`` is empty, or tells paths
    apart), or of one place alone (both empty). Such a dimension is no time axis, whatever it is called.
    """

    y: str
    x: str
    time: str | None
    others: tuple[str, ...]
    kind: GridKind = "grid"
    latitude: str | None = None
    longitude: str | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """The names of latitude and longitude, where the data lie at places."""
        return tuple(name for name in (self.latitude, self.longitude) if name)


def axis_of(dataset: xr.Dataset, dim: str) -> str | None:
    """``x``, ``y``, ``z`` or ``t`` for a dimension, by axis, standard name, units and, last, its name (CF 4)."""
    attrs = dataset.variables[dim].attrs if dim in dataset.variables else {}
    units = str(attrs.get("units", "")).lower()
    if str(attrs.get("axis", "")).lower() in ("x", "y", "z", "t"):
        return str(attrs["axis"]).lower()
    if attrs.get("standard_name") in _STANDARD_NAMES:
        return _STANDARD_NAMES[attrs["standard_name"]]
    if units in _LATITUDE or units in _LONGITUDE:
        return "y" if units in _LATITUDE else "x"
    if has_reference(units):
        return "t"
    if "positive" in attrs:  # 4.3
        return "z"
    return _NAMES.get(dim.lower())


def axes_of(dataset: xr.Dataset, name: str) -> Axes | None:
    """The axes of a variable; None where it lies neither on a map nor at places.

    Raises ``Unreadable`` where several latitudes or longitudes could be its own.
    """
    return _axes_among(dataset, name, _places_of(dataset))


def _axes_among(dataset: xr.Dataset, name: str, places: Places) -> Axes | None:
    """Returns the axes as ``axes_of`` does; ``places`` are looked up once for all variables of a dataset."""
    dims = [str(dim) for dim in dataset.variables[name].dims]
    kinds = {dim: axis_of(dataset, dim) for dim in dims}
    by_kind = {kind: dim for dim, kind in reversed(kinds.items()) if kind}
    plain = None
    if "x" in by_kind and "y" in by_kind:
        named = (by_kind["y"], by_kind["x"], by_kind.get("t"))
        plain = Axes(*named, tuple(dim for dim in dims if dim not in named))
        if _is_horizontal(dataset, plain.y) and _is_horizontal(dataset, plain.x):
            return plain
    if _is(dataset, name, "latitude") or _is(dataset, name, "longitude"):
        return plain  # it is a place, and has none
    return _at_places(dataset, name, dims, by_kind.get("t"), places) or plain


def _is_horizontal(dataset: xr.Dataset, dim: str) -> bool:
    """Tells whether a dimension has coordinates that are places, not numbers of rows or columns."""
    attrs = dataset.variables[dim].attrs if dim in dataset.variables else {}
    units = str(attrs.get("units", "")).lower()
    return (
        attrs.get("standard_name") in _STANDARD_NAMES
        or units in _LATITUDE | _LONGITUDE
        or is_length(units)
        or is_angle(units)
    )


def data_variables(dataset: xr.Dataset) -> list[str]:
    """The numeric variables that lie on a map and are not coordinates, bounds or grid mappings of others.

    Where none lies on a map, those that lie at places: along a track, at points or stations.
    """
    beside = helpers(dataset) | {str(dim) for dim in dataset.dims}
    numeric = [str(name) for name, v in dataset.variables.items() if name not in beside and v.dtype.kind in "iufb"]
    candidates = _places_of(dataset)
    found = {name: axes for name in numeric if (axes := _axes_among(dataset, name, candidates)) is not None}
    places = {name for axes in found.values() for name in axes.places}
    is_map = any(axes.kind in ("grid", "curvilinear") for name, axes in found.items() if name not in places)
    return [
        name for name, axes in found.items()
        if name not in places and dataset.variables[name].attrs.get("standard_name") not in _STANDARD_NAMES
        and (axes.kind == "grid" or not _is_coordinate(dataset, name))
        and is_map == (axes.kind in ("grid", "curvilinear"))
    ]  # fmt: skip


def _is_coordinate(dataset: xr.Dataset, name: str) -> bool:
    """Tells whether a variable beside others says itself that it is a coordinate or an identifier (4, 9.5)."""
    attrs = dataset.variables[name].attrs
    return bool({"axis", "positive", "cf_role", "sample_dimension", "instance_dimension"} & set(attrs)) or (
        has_reference(attrs.get("units"))
    )


def has_direction(attrs: Mapping[Any, Any]) -> bool:
    """Tells whether a vertical coordinate needs ``positive``: one that is no pressure, which states it itself (4.3)."""
    name = str(attrs.get("standard_name", ""))
    return (attrs.get("axis") == "Z" or name in _HEIGHTS) and not _PRESSURE.search(name)


def auxiliary_of(dataset: xr.Dataset, name: str) -> tuple[str, ...]:
    """The coordinates beside its axes that a variable at places has: those, times, heights, identifiers (5)."""
    axes = axes_of(dataset, name)
    if axes is None or axes.kind == "grid":
        return ()
    dims = set(dataset.variables[name].dims)
    beside = [str(key) for key, v in dataset.variables.items() if key not in dataset.dims and set(v.dims) <= dims]
    return tuple(dict.fromkeys([*axes.places, *(key for key in beside if _is_coordinate(dataset, key))]))


# --- places ---------------------------------------------------------------------------------------------------------


Places = dict[str, list[str]]
"""The names of all latitudes and of all longitudes of a dataset."""


def _places_of(dataset: xr.Dataset) -> Places:
    names = [str(name) for name in dataset.variables]
    return {kind: [name for name in names if _is(dataset, name, kind)] for kind in ("latitude", "longitude")}


def _at_places(dataset: xr.Dataset, name: str, dims: list[str], time: str | None, places: Places) -> Axes | None:
    """The axes of a variable that has latitudes and longitudes of its own, both on the same of its dimensions."""
    lat, lon = (_coordinate(dataset, name, dims, kind, places[kind]) for kind in ("latitude", "longitude"))
    if lat is None or lon is None or dataset.variables[lat].dims != dataset.variables[lon].dims:
        return None
    along = [str(dim) for dim in dataset.variables[lat].dims if dataset.sizes[dim] > 1 or dim != time]
    if len(along) > _PLANE:
        along = [dim for dim in along if dim != time]
    if len(along) > _PLANE:
        return None
    y, x = ["", "", *along][-2:]
    if not y:
        _refuse_mesh(dataset, name, lat)
    kind = _kind(dataset, y, x, time)
    axis = None if time in (y, x) else time
    return Axes(y, x, axis, tuple(dim for dim in dims if dim not in (y, x, axis)), kind, lat, lon)


def _refuse_mesh(dataset: xr.Dataset, name: str, lat: str) -> None:
    """Cells in one dimension are no points: those of a mesh (UGRID), with corners (7.1), of a reduced Gaussian grid."""
    attrs, place = dataset.variables[name].attrs, dataset.variables[lat]
    bounds = bounds_of(place.attrs)
    has_corners = bounds in dataset.variables and dataset.variables[bounds].shape[-1] > 2  # noqa: PLR2004 - ends of an interval
    if has_corners or "mesh" in attrs or str(attrs.get("GRIB_gridType", "")).startswith("reduced"):
        raise Unreadable(
            f"{name} lies on the cells of an unstructured grid along {', '.join(map(str, place.dims))}",
            "resample it to a regular grid first (GRIB: cdo setgridtype,regular)",
        )


def _kind(dataset: xr.Dataset, y: str, x: str, time: str | None) -> GridKind:
    """Finds the kind of places by the featureType (9.4), else two dimensions are cells, and one along time a path."""
    feature = str(dataset.attrs.get("featureType", "")).lower()
    if feature not in _FEATURES:
        return "curvilinear" if y else "track" if x and x == time else "points"
    return "track" if feature in _PATHS else "points"


def _coordinate(dataset: xr.Dataset, name: str, dims: list[str], kind: str, every: list[str]) -> str | None:
    """The latitude or longitude of a variable: one that it names (5), else the only one on its dimensions."""
    stated = f"{dataset.variables[name].attrs.get('coordinates', '')} {dataset.attrs.get('coordinates', '')}".split()
    fitting = [
        each for each in every if each != name and {str(dim) for dim in dataset.variables[each].dims} <= set(dims)
    ]
    chosen = [each for each in stated if each in fitting] or fitting
    most = max((dataset.variables[each].ndim for each in chosen), default=0)
    chosen = [each for each in dict.fromkeys(chosen) if dataset.variables[each].ndim == most]
    by_name = [each for each in chosen if each.lower() in _PLACE_NAMES[kind]]
    if len(chosen) > 1 and len(by_name) != 1:
        raise Unreadable(
            f"{name} has several {kind}s: {', '.join(chosen)}",
            f"name one of them in the attribute coordinates of {name}",
        )
    return next(iter(by_name if len(chosen) > 1 else chosen), None)


def _is(dataset: xr.Dataset, name: str, kind: str) -> bool:
    """Tells whether a variable is a latitude or longitude: by standard name, units or, without either, its name."""
    attrs: dict[str, Any] = dict(dataset.variables[name].attrs)
    if dataset.variables[name].dtype.kind not in "iuf":
        return False
    if attrs.get("standard_name"):
        return bool(attrs["standard_name"] == kind)
    units = str(attrs.get("units", "")).lower()
    if units in _LATITUDE | _LONGITUDE:
        return units in (_LATITUDE if kind == "latitude" else _LONGITUDE)
    return name.lower() in _PLACE_NAMES[kind] and (not units or is_angle(units))
