"""Where data lie that have latitudes and longitudes of their own: curvilinear cells, swaths, tracks, points (CF 5, 9).

Read from the file alone, by anybody's metadata; the arithmetic is that of ``geo.sphere``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.checks.limits import DECODED

if TYPE_CHECKING:
    from earthcode_pack.geo.box import Array, Box

_NAMES = {"latitude": ("lat", "latitude", "nav_lat"), "longitude": ("lon", "long", "longitude", "nav_lon")}
_UNITS = {"latitude": ("degrees_north", "degree_north"), "longitude": ("degrees_east", "degree_east")}
_CORNERS, _PLANE = 4, 2
_PLACE = 0.01  # degrees, a kilometre: a place has no size, and boxes are rounded or widened a little
_FARTHEST = 720.0  # degrees of longitude; what lies beyond is no place, and nothing says that it is missing


class Located(NamedTuple):
    """``shape`` of cells, None for places; ``spread`` of a cell in degrees, ``doubt`` of the box (x, y)."""

    shape: tuple[int, int] | None
    lonlat: Box | None
    spread: tuple[float, float]
    doubt: tuple[float, float]


def located(dataset: Any) -> Located | None:
    """The places of a dataset as ``cf.open_raw`` gives it; None without latitudes and longitudes beside its axes."""
    names = [_name(dataset, kind) for kind in ("longitude", "latitude")]
    if None in names or dataset[names[0]].dims != dataset[names[1]].dims:
        return None
    lon, lat = (dataset[name] for name in names)
    if max(lon.size, lat.size) * 8 > DECODED:
        return Located(None, None, (0.0, 0.0), (0.0, 0.0))
    values = _values(lon), _values(lat)
    if lon.ndim < _PLANE or str(dataset.attrs.get("featureType", "")).lower() in _FEATURES:
        return _places(*values)
    return _cells(dataset, lon, lat, values)


_FEATURES = {"trajectory", "trajectoryprofile", "point", "profile", "timeseries", "timeseriesprofile"}


def _name(dataset: Any, kind: str) -> str | None:
    """The latitude or longitude with most dimensions, a plain axis excluded; None where none or several have them."""
    every = [str(name) for name in dataset.variables if name not in dataset.indexes and _is(dataset, str(name), kind)]
    most = max((dataset[name].ndim for name in every), default=0)
    chosen = [name for name in every if dataset[name].ndim == most]
    return chosen[0] if len(chosen) == 1 else None


def _is(dataset: Any, name: str, kind: str) -> bool:
    variable = dataset.variables[name]
    if variable.dtype.kind not in "iuf":
        return False
    if variable.attrs.get("standard_name"):
        return bool(variable.attrs["standard_name"] == kind)
    units = str(variable.attrs.get("units", "")).lower()
    return units in _UNITS[kind] or (units in {"", "degree", "degrees"} and name.lower() in _NAMES[kind])


def _values(variable: Any, packed: dict[str, Any] | None = None) -> Array:
    """Numbers with packing undone, NaN where they are missing or no place on Earth."""
    import numpy as np  # noqa: PLC0415 - heavy

    attrs, stored = {**(packed or {}), **variable.attrs}, variable.to_numpy()
    gaps = np.zeros(stored.shape, bool)
    for key in {"_FillValue", "missing_value"} & set(attrs):
        gaps |= stored == attrs[key]
    values = stored.astype("f8") * attrs.get("scale_factor", 1.0) + attrs.get("add_offset", 0.0)
    return np.where(gaps | ~(np.abs(values) <= _FARTHEST), np.nan, values)


def _places(lon: Array, lat: Array) -> Located | None:
    import numpy as np  # noqa: PLC0415 - heavy

    from earthcode_pack.geo.sphere import box_of_places  # noqa: PLC0415

    there = np.isfinite(lon) & np.isfinite(lat)
    box = box_of_places(lon[there], lat[there]) if there.any() else None
    return Located(None, box, (_PLACE, _PLACE), (0.0, 0.0))


def _cells(dataset: Any, lon: Any, lat: Any, values: tuple[Array, Array]) -> Located | None:
    from earthcode_pack.geo.sphere import box_of_rings, cells_of, rings_of  # noqa: PLC0415 - numpy

    shape = (int(lon.shape[-2]), int(lon.shape[-1]))
    lons, lats = (each.reshape(-1, *shape)[0] for each in values)
    corners = [_vertices(dataset, each) for each in (lon, lat)]
    vertices = None if corners[0] is None or corners[1] is None else (corners[0], corners[1])
    try:
        cells = cells_of(lons, lats, vertices)
        box = box_of_rings(rings_of(cells))
    except ValueError:  # a single row, or no cell at all
        return _places(*values)
    size = _size(lons, lats, box)
    half = (size[0] / 2, size[1] / 2)  # where cells end is a matter of opinion unless the file says
    return Located(shape, box, size, (0.0, 0.0) if vertices else half)


def _vertices(dataset: Any, coordinate: Any) -> Array | None:
    """(rows, columns, 4) where there are such bounds (CF 7.1)."""
    bounds = dataset.variables.get(coordinate.attrs.get("bounds"))
    if bounds is None or bounds.shape != (*coordinate.shape, _CORNERS) or bounds.size * 8 > DECODED:
        return None
    packed = coordinate.attrs if bounds.dtype == coordinate.dtype else {}
    values = _values(bounds, packed)
    return values.reshape(-1, *values.shape[-3:])[0, ...]


def _size(lon: Array, lat: Array, box: Box) -> tuple[float, float]:
    """A cell in degrees of longitude and latitude, roughly: the longer of the median sides."""
    import numpy as np  # noqa: PLC0415 - heavy

    from earthcode_pack.geo.sphere import vectors  # noqa: PLC0415

    towards = vectors(lon, lat)
    sides = [np.linalg.norm(np.diff(towards, axis=axis), axis=-1) for axis in (0, 1)]
    side = max((float(np.degrees(np.nanmedian(each))) for each in sides if np.isfinite(each).any()), default=0.0)
    shrink = max(np.cos(np.radians(max(abs(box[1]), abs(box[3])))), 0.01)
    return min(side / float(shrink), 360.0), side
