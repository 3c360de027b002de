"""Outlines in longitude and latitude, cut at ±180 (RFC 7946, 3.1.9): of grids as GeoJSON, of cells and paths as WKT."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import antimeridian
import numpy as np
import shapely
import shapely.affinity
from shapely.geometry import mapping
from shapely.geometry.polygon import orient

from earthcode_pack.geo.box import CIRCLE, HALF, POLE, ROUND, cut, is_full_circle
from earthcode_pack.geo.crs import crs_of, is_greenwich_degrees
from earthcode_pack.geo.extent import Frame, lonlat_box

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.geo.box import Array, Box
    from earthcode_pack.model import Grid

_PER_SIDE = 12  # points along an edge of an outline
_DIGITS = 9  # of a degree: a tenth of a millimetre
_MOST = 200  # vertices
_GRID = 1e-7  # degrees, a centimetre: closer points are one point
_FINEST = 1 / 4096  # of the longer side: tolerance of the simplification
_HOLE = 0.01  # of the area around it: a smaller hole is filled


# --- GeoJSON ----------------------------------------------------------------------------------------------------------


def grid_outline(grid: Grid) -> dict[str, Any]:
    """Returns the footprint of a grid as GeoJSON: a polygon, a line for a track, points for single places.

    Raises:
        Unreadable: no part of the grid lies on the Earth.

    """
    return geojson(shapely.from_wkt(grid.outline)) if grid.outline is not None else outline(Frame.of_grid(grid))


def outline(frame: Frame) -> dict[str, Any]:
    """Returns the outer edges of a grid as GeoJSON, or its box.

    The box is used where the edges leave the Earth, pass close to a pole or go round the Earth.

    Raises:
        Unreadable: no part of the grid lies on the Earth.

    """
    box = lonlat_box(frame)
    if (is_greenwich_degrees(crs_of(frame.crs)) and not frame.is_turned) or is_full_circle(box):
        return box_geometry(box)
    ring = frame.ring(np.arange(4 * _PER_SIDE) / _PER_SIDE)
    if not np.isfinite(ring).all() or (np.abs(ring[:, 1]) > POLE - ROUND).any():
        return box_geometry(box)
    steps = np.diff(np.unwrap(np.append(ring[:, 0], ring[0, 0]), period=CIRCLE))
    if np.abs(steps).max() > CIRCLE / 4:  # so near a pole no straight line between neighbours is an edge
        return box_geometry(box)
    return cut_rings([ring])


def box_geometry(box: Box) -> dict[str, Any]:
    """Returns a box as GeoJSON, two polygons where it crosses the antimeridian."""
    halves = [
        shapely.Polygon([(west, south), (east, south), (east, north), (west, north)])
        for west, south, east, north in cut(box)
    ]
    return geojson(halves[0] if len(halves) == 1 else shapely.MultiPolygon(halves))


def cut_rings(rings: Iterable[Array]) -> dict[str, Any]:
    """Returns rings as GeoJSON within ±180, cut at the antimeridian (RFC 7946, 3.1.6 and 3.1.9).

    Args:
        rings: outer rings (n, 2) in longitude and latitude, not closed, neighbours less than 180° apart, without a pole
            inside.

    """
    parts = [part for ring in rings for part in _cut_ring(ring) if part.area]
    # rounding makes a sliver near a pole touch itself
    whole = shapely.union_all([part if part.is_valid else part.buffer(0) for part in parts])
    turned = [orient(part) for part in getattr(whole, "geoms", [whole])]
    return geojson(turned[0] if len(turned) == 1 else shapely.MultiPolygon(turned))


def geojson(shape: Any) -> dict[str, Any]:
    """Returns a shape as GeoJSON with lists of numbers."""
    found: dict[str, Any] = json.loads(json.dumps(mapping(shape)))
    return found


def _cut_ring(ring: Array) -> list[shapely.Polygon]:
    """Returns one polygon, or its parts on either side of the antimeridian."""
    lon, lat = ring.T
    if np.abs(lon).max() <= HALF and np.ptp(lon) < HALF:
        return [shapely.Polygon(ring.round(_DIGITS))]
    straight = np.column_stack([np.unwrap(np.append(lon, lon[0]), period=CIRCLE)[:-1], lat])
    turned = ring if shapely.LinearRing(straight).is_ccw else ring[::-1]
    fixed = antimeridian.fix_polygon(shapely.Polygon(turned.round(_DIGITS)), fix_winding=False)
    return list(getattr(fixed, "geoms", [fixed]))


# --- WKT --------------------------------------------------------------------------------------------------------------


def area_outline(rings: Iterable[Array]) -> str:
    """Returns the union of rings in the plane (``sphere.rings_of``) as WKT of a Polygon or MultiPolygon.

    Exteriors run anticlockwise; the text is empty where no ring has an area.
    """
    tiles = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings if len(ring) > 2]  # noqa: PLR2004
    whole = _of_type(shapely.union_all([part for tile in tiles for part in _within_180(tile)], grid_size=_GRID))
    filled = []
    for part in whole:
        least = _HOLE * shapely.Polygon(part.exterior).area
        filled.append(shapely.Polygon(part.exterior, [h for h in part.interiors if shapely.Polygon(h).area > least]))
    simple = _of_type(shapely.make_valid(_simplified(shapely.MultiPolygon(filled))))
    parts = [shapely.orient_polygons(part, exterior_cw=False) for part in simple]
    return "" if not parts else _wkt(parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts))


def path_outline(lines: Iterable[tuple[Array, Array]]) -> str:
    """Returns paths (longitudes, latitudes in order) as WKT of a LineString or MultiLineString."""
    paths = [shapely.LineString(np.column_stack([np.unwrap(lon, period=CIRCLE), lat])) for lon, lat in lines]
    pieces = [line for path in paths for piece in _within_180(path) for line in _of_type(piece, "LineString")]
    simple = _of_type(_simplified(shapely.MultiLineString(pieces)), "LineString")
    return _wkt(simple[0] if len(simple) == 1 else shapely.MultiLineString(simple))


def places_outline(lon: Array, lat: Array) -> str:
    """Returns places as WKT of a Point or a MultiPoint; of many places, some that are spread over all of them."""
    places = np.unique(np.column_stack([(lon + HALF) % CIRCLE - HALF, lat]), axis=0)
    side, some = float(np.ptp(places, axis=0).max()) * _FINEST, places
    while len(some) > _MOST:  # one place in each cell of a raster that grows coarser
        _, first = np.unique(np.floor(places / side), axis=0, return_index=True)
        some, side = places[np.sort(first)], 1.5 * side
    return _wkt(shapely.Point(some[0]) if len(some) == 1 else shapely.MultiPoint(some))


def _within_180(shape: Any) -> list[Any]:
    """Returns the parts of a shape in each turn of the circle, moved within ±180."""
    west, _, east, _ = shape.bounds
    moved = []
    for turn in range(math.floor((west + HALF) / CIRCLE), max(math.ceil((east - HALF) / CIRCLE), 0) + 1):
        shift = turn * CIRCLE
        part = shape.intersection(shapely.box(shift - HALF, -POLE, shift + HALF, POLE))
        moved.append(shapely.affinity.translate(part, xoff=-shift))
    return [part for part in moved if not part.is_empty]


def _of_type(shape: Any, name: str = "Polygon") -> list[Any]:
    """Returns the parts of one type; an intersection leaves parts of other types only on a border."""
    parts = [part for one in getattr(shape, "geoms", [shape]) for part in getattr(one, "geoms", [one])]
    return [part for part in parts if part.geom_type == name and not part.is_empty]


def _simplified(shape: Any) -> Any:
    """Removes vertices until at most ``_MOST`` are left; no vertex is moved."""
    west, south, east, north = shape.bounds if not shape.is_empty else (0, 0, 0, 0)
    reach = max(east - west, north - south) * _FINEST
    out = shapely.simplify(shape, reach)
    while shapely.get_num_coordinates(out) > _MOST and reach < CIRCLE:
        reach *= 1.5
        out = shapely.simplify(shape, reach)
    return out


def _wkt(shape: Any) -> str:
    return str(shapely.to_wkt(shape, rounding_precision=7))
