"""Footprints in longitude and latitude as WKT within ±180, of at most a few hundred vertices (RFC 7946, 3.1.9)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.sphere import CIRCLE, HALF, POLE, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.sphere import Array

_MOST = 200  # vertices
_GRID = 1e-7  # degrees, a centimetre: what is closer is one place
_FINEST = 1 / 4096  # of the longer side: what a vertex must stand out by
_HOLE = 0.01  # of the area around it: a smaller hole is filled


def area_outline(rings: Iterable[Array]) -> str:
    """The union of rings in the plane (``sphere.rings_of``) as a Polygon or MultiPolygon, exteriors anticlockwise.

    Empty where no ring has an area.
    """
    import shapely  # noqa: PLC0415 - heavy, and few grids need it

    tiles = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings if len(ring) > 2]  # noqa: PLR2004
    pieces = [piece for tile in tiles for piece in _within_180(tile)]
    whole = _polygons(shapely.union_all(pieces, grid_size=_GRID))
    simple = _polygons(shapely.make_valid(_simplified(shapely.MultiPolygon([_filled(part) for part in whole]))))
    parts = [shapely.orient_polygons(part, exterior_cw=False) for part in simple]
    return "" if not parts else _wkt(parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts))


def path_outline(lines: Iterable[tuple[Array, Array]]) -> str:
    """Paths by their places in order, straight in the plane between them: a LineString or MultiLineString."""
    import shapely  # noqa: PLC0415 - heavy

    paths = [shapely.LineString(np.column_stack([unwrapped(lon), lat])) for lon, lat in lines]
    pieces = [line for path in paths for piece in _within_180(path) for line in _of_type(piece, "LineString")]
    lines_ = _of_type(_simplified(shapely.MultiLineString(pieces)), "LineString")
    return _wkt(lines_[0] if len(lines_) == 1 else shapely.MultiLineString(lines_))


def places_outline(lon: Array, lat: Array) -> str:
    """Single places: a Point, or a MultiPoint; of many, some that are spread over all of them."""
    import shapely  # noqa: PLC0415 - heavy

    places = np.unique(np.column_stack([(lon + HALF) % CIRCLE - HALF, lat]), axis=0)
    some = _thinned(places)
    return _wkt(shapely.Point(some[0]) if len(some) == 1 else shapely.MultiPoint(some))


# --- how ------------------------------------------------------------------------------------------------------------


def _within_180(shape: Any) -> list[Any]:
    """What lies in each turn of the circle, moved within ±180."""
    import shapely  # noqa: PLC0415

    west, _, east, _ = shape.bounds
    turns = range(math.floor((west + HALF) / CIRCLE), max(math.ceil((east - HALF) / CIRCLE), 0) + 1)
    every = [shape.intersection(shapely.box(turn * CIRCLE - HALF, -POLE, turn * CIRCLE + HALF, POLE)) for turn in turns]
    moved = [shapely.transform(part, _by(turn)) for turn, part in zip(turns, every, strict=True)]
    return [part for part in moved if not part.is_empty]


def _by(turn: int) -> Any:
    return lambda places: places - np.array([turn * CIRCLE, 0.0])


def _of_type(shape: Any, name: str) -> list[Any]:
    """The parts of one type; what an intersection leaves of others is on a border."""
    parts = [part for one in getattr(shape, "geoms", [shape]) for part in getattr(one, "geoms", [one])]
    return [part for part in parts if part.geom_type == name and not part.is_empty]


def _polygons(shape: Any) -> list[Any]:
    return _of_type(shape, "Polygon")


def _filled(polygon: Any) -> Any:
    import shapely  # noqa: PLC0415

    solid = shapely.Polygon(polygon.exterior)
    holes = [ring for ring in polygon.interiors if shapely.Polygon(ring).area > _HOLE * solid.area]
    return shapely.Polygon(polygon.exterior, holes)


def _simplified(shape: Any) -> Any:
    """With no more vertices than are worth keeping, none of them moved."""
    import shapely  # noqa: PLC0415

    west, south, east, north = shape.bounds if not shape.is_empty else (0, 0, 0, 0)
    reach = max(east - west, north - south) * _FINEST
    out = shapely.simplify(shape, reach)
    while shapely.get_num_coordinates(out) > _MOST and reach < CIRCLE:
        reach *= 1.5
        out = shapely.simplify(shape, reach)
    return out


def _thinned(places: Array) -> Array:
    """One of the places in each cell of a raster that grows coarser until there are few enough."""
    side, out = float(np.ptp(places, axis=0).max()) * _FINEST, places
    while len(out) > _MOST:
        _, first = np.unique(np.floor(places / side), axis=0, return_index=True)
        out, side = places[np.sort(first)], 1.5 * side
    return out


def _wkt(shape: Any) -> str:
    import shapely  # noqa: PLC0415

    return str(shapely.to_wkt(shape, rounding_precision=7))
