"""Outlines in longitude and latitude, cut at ±180 (RFC 7946, 3.1.9): of grids as GeoJSON, of cells and paths as WKT."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import antimeridian
import numpy as np
import shapely
from shapely.geometry import LinearRing, MultiPolygon, Polygon, mapping
from shapely.geometry.polygon import orient

from earthcode_pack.geo.box import CIRCLE, HALF, POLE, ROUND, cut, is_full_circle, unwrapped
from earthcode_pack.geo.crs import crs_of, is_greenwich_degrees
from earthcode_pack.geo.extent import lonlat_box

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.geo.box import Array, Box
    from earthcode_pack.geo.extent import Frame

_PER_SIDE = 12  # places along an edge that an outline keeps
_DIGITS = 9  # of a degree: a tenth of a millimetre
_MOST = 200  # vertices
_GRID = 1e-7  # degrees, a centimetre: what is closer is one place
_FINEST = 1 / 4096  # of the longer side: what a vertex must stand out by
_HOLE = 0.01  # of the area around it: a smaller hole is filled


# --- GeoJSON ----------------------------------------------------------------------------------------------------------


def outline(frame: Frame) -> dict[str, Any]:
    """The outer edges of a grid as GeoJSON; its box where they leave the Earth, pass a pole or hold every longitude.

    Raises ``Unreadable`` where no place of the grid lies on the Earth.
    """
    box = lonlat_box(frame)
    if (is_greenwich_degrees(crs_of(frame.crs)) and not frame.is_turned) or is_full_circle(box):
        return box_geometry(box)
    ring = frame.ring(np.arange(4 * _PER_SIDE) / _PER_SIDE)
    if not np.isfinite(ring).all() or _touches_pole(ring) or _passes_a_pole(ring):
        return box_geometry(box)
    return cut_rings([ring])


def box_geometry(box: Box) -> dict[str, Any]:
    """A box as GeoJSON, two polygons where it crosses the antimeridian."""
    halves = [_rectangle(*half) for half in cut(box)]
    return geojson(halves[0] if len(halves) == 1 else MultiPolygon(halves))


def cut_rings(rings: Iterable[Array]) -> dict[str, Any]:
    """Outer rings (n, 2) in longitude and latitude, not closed, as GeoJSON within ±180 (RFC 7946, 3.1.6 and 3.1.9).

    Two neighbours of a ring are less than 180° apart; no ring holds a pole.
    """
    whole = shapely.union_all([_simple(part) for ring in rings for part in _fixed(ring) if part.area])
    parts = [orient(part) for part in getattr(whole, "geoms", [whole])]
    return geojson(parts[0] if len(parts) == 1 else MultiPolygon(parts))


def geojson(shape: Any) -> dict[str, Any]:
    """A shape, or WKT, as GeoJSON with lists of numbers."""
    data = mapping(shapely.from_wkt(shape) if isinstance(shape, str) else shape)
    return {"type": data["type"], "coordinates": _lists(data["coordinates"])}


def _lists(value: Any) -> Any:
    return [_lists(part) for part in value] if isinstance(value, tuple | list) else float(value)


def _rectangle(west: float, south: float, east: float, north: float) -> Polygon:
    return Polygon([(west, south), (east, south), (east, north), (west, north)])


def _around(lons: Array) -> Array:
    """Longitudes along a closed ring without jumps; the last point is the first again, perhaps a circle further."""
    return unwrapped(np.append(lons, lons[0]))


def _touches_pole(ring: Array) -> bool:
    return bool((np.abs(ring[:, 1]) > POLE - ROUND).any())


def _passes_a_pole(ring: Array) -> bool:
    """Tells whether neighbours are a quarter of the circle apart: so near a pole no line between them is an edge."""
    return bool(np.abs(np.diff(_around(ring[:, 0]))).max() > CIRCLE / 4)


def _simple(part: Polygon) -> Polygon:
    """Rounding makes a sliver near a pole touch itself."""
    return part if part.is_valid else part.buffer(0)


def _fixed(ring: Array) -> list[Polygon]:
    """One polygon, or its parts either side of the antimeridian."""
    if np.abs(ring[:, 0]).max() <= HALF and np.ptp(ring[:, 0]) < HALF:
        return [Polygon(ring.round(_DIGITS))]
    fixed = antimeridian.fix_polygon(Polygon(_counter_clockwise(ring).round(_DIGITS)), fix_winding=False)
    return list(getattr(fixed, "geoms", [fixed]))


def _counter_clockwise(ring: Array) -> Array:
    """Uses the longitudes without jumps: the numbers themselves mislead where they cross 180."""
    straight = np.column_stack([_around(ring[:, 0])[:-1], ring[:, 1]])
    return ring if LinearRing(straight).is_ccw else ring[::-1]


# --- WKT --------------------------------------------------------------------------------------------------------------


def area_outline(rings: Iterable[Array]) -> str:
    """The union of rings in the plane (``sphere.rings_of``) as a Polygon or MultiPolygon, exteriors anticlockwise.

    Empty where no ring has an area.
    """
    tiles = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings if len(ring) > 2]  # noqa: PLR2004
    pieces = [piece for tile in tiles for piece in _within_180(tile)]
    whole = _polygons(shapely.union_all(pieces, grid_size=_GRID))
    simple = _polygons(shapely.make_valid(_simplified(shapely.MultiPolygon([_filled(part) for part in whole]))))
    parts = [shapely.orient_polygons(part, exterior_cw=False) for part in simple]
    return "" if not parts else _wkt(parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts))


def path_outline(lines: Iterable[tuple[Array, Array]]) -> str:
    """Paths by their places in order, straight in the plane between them: a LineString or MultiLineString."""
    paths = [shapely.LineString(np.column_stack([unwrapped(lon), lat])) for lon, lat in lines]
    pieces = [line for path in paths for piece in _within_180(path) for line in _of_type(piece, "LineString")]
    lines_ = _of_type(_simplified(shapely.MultiLineString(pieces)), "LineString")
    return _wkt(lines_[0] if len(lines_) == 1 else shapely.MultiLineString(lines_))


def places_outline(lon: Array, lat: Array) -> str:
    """Single places: a Point, or a MultiPoint; of many, some that are spread over all of them."""
    places = np.unique(np.column_stack([(lon + HALF) % CIRCLE - HALF, lat]), axis=0)
    some = _thinned(places)
    return _wkt(shapely.Point(some[0]) if len(some) == 1 else shapely.MultiPoint(some))


def _within_180(shape: Any) -> list[Any]:
    """What lies in each turn of the circle, moved within ±180."""
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
    solid = shapely.Polygon(polygon.exterior)
    holes = [ring for ring in polygon.interiors if shapely.Polygon(ring).area > _HOLE * solid.area]
    return shapely.Polygon(polygon.exterior, holes)


def _simplified(shape: Any) -> Any:
    """With no more vertices than are worth keeping, none of them moved."""
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
    return str(shapely.to_wkt(shape, rounding_precision=7))
