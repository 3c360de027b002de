"""Data at places: two-dimensional and discrete latitudes and longitudes as a Grid (CF 5.2, 7.1, 9)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from earthcode_pack.cf import cells, units
from earthcode_pack.cf.missing import packed_alike, unpacked
from earthcode_pack.cf.roles import bounds_of
from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.box import CIRCLE
from earthcode_pack.geo.sphere import box_of_places, box_of_rings, cells_of, rings_of
from earthcode_pack.model import Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import xarray as xr
    from pyproj import CRS

    from earthcode_pack.cf.axes import Axes
    from earthcode_pack.geo.box import Array, Box
    from earthcode_pack.geo.sphere import Cells

_PER_SIDE = 16  # cells along a side of a tile that an outline is drawn by
_POLE, _CIRCLE = 90.001, 720.0  # degrees: beyond there is no place
_SAME = 1e6  # parts of a degree: what is closer is one place
_REMEDY_SIZE = "give latitude and longitude CF bounds (CF 7.1)"


def grid_of(dataset: xr.Dataset, axes: Axes, crs: CRS, *, outlined: bool = False) -> Grid:
    """Finds where the cells or places of a dataset lie; ``outlined`` draws the outline of those that need one.

    Raises ``Unreadable`` where it does not say.
    """
    if axes.kind == "grid":
        return cells.grid_of(dataset, axes, crs)
    return _grid_at_places(dataset, axes, crs, outlined=outlined)


def _grid_at_places(dataset: xr.Dataset, axes: Axes, crs: CRS, *, outlined: bool) -> Grid:
    """The cells or places of data that latitude and longitude variables locate; on the datum of ``crs``.

    Raises ``Unreadable`` where no place is known, where one is beyond the Earth, where cells move along time, and
    where a single row or column leaves their size unknown.
    """
    lon, lat = places_at(dataset, axes)
    box, draw = _cells(dataset, axes, lon, lat) if axes.kind == "curvilinear" else _places(axes, lon, lat)
    west, south, east, north = box
    return Grid(
        crs=crs.to_wkt(),
        shape=(lat.shape[0], lat.shape[1]),
        dims=(axes.y, axes.x),
        bounds=(west, south, east if east >= west else east + 360, north),
        transform=None,
        digest=_digest(crs, axes.kind, lon, lat),
        lonlat=box,
        kind=axes.kind,
        outline=draw() if outlined else None,
    )


def places_at(dataset: xr.Dataset, axes: Axes) -> tuple[Array, Array]:
    """Longitudes and latitudes in degrees (rows, columns) of data that lie at places, NaN where they are missing.

    Raises ``Unreadable`` where none is known, one is beyond the Earth, or they move along time.
    """
    lat, lon = _values(dataset, str(axes.latitude), axes), _values(dataset, str(axes.longitude), axes)
    if not (np.isfinite(lat) & np.isfinite(lon)).any():
        raise Unreadable(f"{axes.latitude} and {axes.longitude} hold no place", "leave the file out of source.href")
    _refuse_nowhere(lat, str(axes.latitude), _POLE)
    _refuse_nowhere(lon, str(axes.longitude), _CIRCLE)
    return lon, lat


def cells_at(dataset: xr.Dataset, axes: Axes, lon: Array, lat: Array) -> tuple[Cells, bool]:
    """The cells of places in rows and columns, and whether the file states their corners (CF 7.1).

    Raises ``Unreadable`` where neither corners nor neighbours tell the size of the cells.
    """
    vertices = _vertices(dataset, axes)
    try:
        cells = cells_of(lon, lat, vertices)
    except ValueError:
        size = f"{lat.shape[0]} x {lat.shape[1]}"
        raise Unreadable(
            f"{axes.latitude} ({size}) has no bounds: the size of its cells is unknown", _REMEDY_SIZE
        ) from None
    if not cells.valid.any():
        raise Unreadable(f"the bounds of {axes.latitude} and {axes.longitude} hold no cell", "correct or remove them")
    return cells, vertices is not None


def _cells(dataset: xr.Dataset, axes: Axes, lon: Array, lat: Array) -> tuple[Box, Callable[[], str]]:
    """The box, and how to draw the outline."""
    cells, _ = cells_at(dataset, axes, lon, lat)
    return box_of_rings(rings_of(cells)), lambda: _area(cells) or _points(lon, lat)


def _places(axes: Axes, lon: Array, lat: Array) -> tuple[Box, Callable[[], str]]:
    """Outlines a path, straight in the plane between its places; a path of one place is that place."""
    if axes.kind == "track":
        paths = list(_paths(lon, lat))
        if paths:
            rings = [np.column_stack([np.unwrap(path[0], period=CIRCLE), path[1]]) for path in paths]
            return box_of_rings(rings), lambda: _lines(paths)
    return box_of_places(*_known(lon, lat)), lambda: _points(lon, lat)


def _area(cells: Cells) -> str:
    from earthcode_pack.geo.outline import area_outline  # noqa: PLC0415 - shapely is heavy, and few grids need it

    return area_outline(rings_of(cells, _PER_SIDE))


def _lines(paths: list[tuple[Array, Array]]) -> str:
    from earthcode_pack.geo.outline import path_outline  # noqa: PLC0415 - likewise

    return path_outline(paths)


def _points(lon: Array, lat: Array) -> str:
    from earthcode_pack.geo.outline import places_outline  # noqa: PLC0415 - likewise

    return places_outline(*_known(lon, lat))


def _known(lon: Array, lat: Array) -> tuple[Array, Array]:
    there = np.isfinite(lon) & np.isfinite(lat)
    return lon[there].astype(np.float64), lat[there].astype(np.float64)


def _paths(lon: Array, lat: Array) -> Iterator[tuple[Array, Array]]:
    for lons, lats in (_known(*row) for row in zip(lon, lat, strict=True)):
        if lons.size > 1:
            yield lons, lats


# --- values ---------------------------------------------------------------------------------------------------------


def _values(dataset: xr.Dataset, name: str, axes: Axes) -> Array:
    """(rows, columns) of one latitude or longitude in degrees; what has a time axis must not move along it."""
    variable = dataset[name]
    every = unpacked(variable.transpose(..., *(dim for dim in (axes.y, axes.x) if dim)))
    shape = tuple(dataset.sizes[dim] if dim else 1 for dim in (axes.y, axes.x))
    first, *rest = every.reshape(-1, *shape)
    if any(not np.array_equal(first, other, equal_nan=True) for other in rest):
        raise Unreadable(f"{name} moves along time", "split the file by time, one place of the grid each")
    return np.asarray(first) * _to_degrees(variable)


def _to_degrees(variable: xr.DataArray) -> float:
    """Factor from the units of a latitude or longitude to degrees; 1 where it states no angle (CF 4.1, 4.2)."""
    size = units.factor(str(variable.attrs.get("units", "")), "degree")
    return 1.0 if size is None or np.isclose(size, 1.0, rtol=1e-9) else size


def _refuse_nowhere(values: Array, name: str, limit: float) -> None:
    with np.errstate(invalid="ignore"):
        beyond = values[np.abs(values) > limit]
    if beyond.size:
        raise Unreadable(
            f"{name} holds {float(beyond[0]):g}, which is no {'latitude' if limit == _POLE else 'longitude'}",
            f"give {name} the _FillValue {float(beyond[0]):g} if that means missing, or correct it",
        )


def _vertices(dataset: xr.Dataset, axes: Axes) -> tuple[Array, Array] | None:
    """Longitudes and latitudes (rows, columns, 4) of the corners, where both have such bounds (CF 7.1)."""
    found = []
    for name in (str(axes.longitude), str(axes.latitude)):
        bounds = bounds_of(dataset[name].attrs)
        if bounds not in dataset.variables or not {axes.y, axes.x} <= set(dataset[bounds].dims):
            return None
        variable = dataset[bounds]
        last = next((dim for dim in reversed(variable.dims) if dim not in dataset[name].dims), None)
        if last is None or dataset.sizes[last] != 4:  # noqa: PLR2004 - corners
            return None
        variable = variable.transpose(..., axes.y, axes.x, last)
        values = unpacked(packed_alike(variable.variable, dataset[name].variable))
        found.append(values.reshape(-1, *values.shape[-3:])[0] * _to_degrees(dataset[name]))
    return found[0], found[1]


def _digest(crs: CRS, kind: str, lon: Array, lat: Array) -> str:
    """One hash for the same places in the same order."""
    digest = hashlib.sha256(f"{kind} {lon.shape} {crs.to_json()}".encode())
    for values in (lon, lat):
        for row in values:
            known = np.isfinite(row)
            digest.update(known.tobytes())
            digest.update(np.round(row[known].astype(np.float64) * _SAME).astype(np.int64).tobytes())
    return digest.hexdigest()[:16]
