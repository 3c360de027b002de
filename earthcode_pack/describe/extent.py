"""From cells in their own CRS to boxes and outlines in longitude and latitude (RFC 7946; OGC:CRS84).

A box is (west, south, east, north) in degrees, longitudes within ±180; ``west > east`` where it crosses the
antimeridian (RFC 7946, 5.2).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import antimeridian
import numpy as np
from pyproj import CRS, Transformer
from shapely import from_wkt
from shapely.geometry import LinearRing, MultiPolygon, Polygon, mapping
from shapely.geometry.polygon import orient
from shapely.ops import unary_union

from earthcode_pack.errors import Unreadable
from earthcode_pack.sphere import CIRCLE, HALF, POLE, ROUND, arc, rounded, smallest_arc, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.model import Grid

Box = tuple[float, float, float, float]
Array = np.ndarray[Any, np.dtype[np.float64]]

_PER_SIDE = 64  # points along an edge: straight lines in one CRS are curves in the other
_INSIDE = 200  # points across a grid whose edges leave the Earth
_OUTLINE = 12  # points along an edge that a footprint keeps
_BISECTIONS = 40
_BACK = 1e-6  # of the grid's size: how far a place may be from where it was, there and back
_DENSE = 2.0  # degrees; a gap between points of a grid narrower than this is none
_DIGITS = 9  # a tenth of a millimetre


def lonlat_box(grid: Grid) -> Box:
    """The box of the outer cell edges, or of the places of data that have no cells."""
    if grid.lonlat is not None:
        return grid.lonlat
    if _is_plain_geographic(grid):
        west, south, east, north = grid.bounds
        return rounded(*arc(west, east - west), max(south, -POLE), min(north, POLE))
    ring = _ring(grid, _PER_SIDE)
    poles = _poles_inside(grid)
    if not np.isfinite(ring).all():
        return _around_poles(_box_of_points(_on_earth(grid)), poles)
    if _touches_pole(ring):
        return _around_poles(_box_of_points(ring), poles)
    lons, lats = _around(ring[:, 0]), ring[:, 1]
    circle = abs(lons[-1] - lons[0]) > HALF
    west, width = (-HALF, CIRCLE) if circle else (float(lons.min()), float(lons.max() - lons.min()))
    return _around_poles(rounded(*arc(west, width), float(lats.min()), float(lats.max())), poles)


def outline(grid: Grid) -> dict[str, Any]:
    """The footprint of a grid as GeoJSON, cut at the antimeridian (RFC 7946, 3.1.9).

    A path is a line, single places are points.
    """
    if grid.outline is not None:
        return _geojson(from_wkt(grid.outline))
    box = lonlat_box(grid)
    if _is_plain_geographic(grid) or box[2] - box[0] == CIRCLE:
        return box_geometry(box)
    ring = _ring(grid, _OUTLINE)
    if not np.isfinite(ring).all() or _touches_pole(ring) or _passes_a_pole(ring):
        return box_geometry(box)
    return cut([ring])


def cut(rings: Iterable[Array]) -> dict[str, Any]:
    """Outer rings (n, 2) in longitude and latitude, not closed, as GeoJSON within ±180 (RFC 7946, 3.1.6 and 3.1.9).

    Two neighbours of a ring are less than 180° apart; no ring holds a pole.
    """
    whole = unary_union([_simple(part) for ring in rings for part in _within_180(ring) if part.area])
    parts = [orient(part) for part in getattr(whole, "geoms", [whole])]
    return _geojson(parts[0] if len(parts) == 1 else MultiPolygon(parts))


def _simple(part: Polygon) -> Polygon:
    """Rounding makes a sliver near a pole touch itself."""
    return part if part.is_valid else part.buffer(0)


def _within_180(ring: Array) -> list[Polygon]:
    """One polygon, or its parts either side of the antimeridian."""
    if np.abs(ring[:, 0]).max() <= HALF and np.ptp(ring[:, 0]) < HALF:
        return [Polygon(ring.round(_DIGITS))]
    fixed = antimeridian.fix_polygon(Polygon(_counter_clockwise(ring).round(_DIGITS)), fix_winding=False)
    return list(getattr(fixed, "geoms", [fixed]))


def _counter_clockwise(ring: Array) -> Array:
    """By the longitudes without jumps: the numbers themselves mislead where they cross 180."""
    unwrapped = np.column_stack([_around(ring[:, 0])[:-1], ring[:, 1]])
    return ring if LinearRing(unwrapped).is_ccw else ring[::-1]


def box_geometry(box: Box) -> dict[str, Any]:
    """A box as GeoJSON, two polygons where it crosses the antimeridian."""
    west, south, east, north = box
    if west <= east:
        return _geojson(_rectangle(west, south, east, north))
    halves = [_rectangle(west, south, HALF, north), _rectangle(-HALF, south, east, north)]
    return _geojson(MultiPolygon([half for half in halves if half.area]))


def union(boxes: Iterable[Box]) -> Box:
    """The smallest box on the circle that holds them all: never a needless globe.

    >>> union([(170.0, 0.0, 175.0, 1.0), (-175.0, 2.0, -170.0, 3.0)])
    (170.0, 0.0, -170.0, 3.0)
    """
    every = list(boxes)
    south, north = min(box[1] for box in every), max(box[3] for box in every)
    west, width = smallest_arc([(box[0], _width(box)) for box in every])
    return rounded(*arc(west, width), south, north)


@lru_cache(maxsize=64)
def proj_code(wkt: str) -> str | None:
    """``EPSG:32631``, or None where no authority knows the CRS."""
    authority = crs_of(wkt).to_authority()
    return ":".join(authority) if authority else None


@lru_cache(maxsize=64)
def crs_of(wkt: str) -> CRS:
    """The CRS of a grid; kept, for thousands of Items share a few."""
    return CRS.from_wkt(wkt)


def _width(box: Box) -> float:
    return box[2] - box[0] if box[0] <= box[2] else box[2] - box[0] + CIRCLE


def _around(lons: Array) -> Array:
    """Longitudes along a closed ring without jumps; the last point is the first again, perhaps a circle further."""
    return unwrapped(np.append(lons, lons[0]))


# --- edges in another CRS -------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def to_lonlat(wkt: str) -> Transformer:
    """From a CRS, x before y, to longitude and latitude."""
    return Transformer.from_crs(crs_of(wkt), "OGC:CRS84", always_xy=True)


def _is_plain_geographic(grid: Grid) -> bool:
    """Longitude and latitude from Greenwich themselves: not rotated, not derived."""
    crs = crs_of(grid.crs)
    turned = grid.transform is not None and (grid.transform[1] != 0 or grid.transform[3] != 0)
    meridian = crs.prime_meridian.longitude if crs.prime_meridian else 0.0
    degrees = all(axis.unit_name == "degree" for axis in crs.axis_info[:2])
    return crs.is_geographic and not crs.is_derived and not turned and meridian == 0 and degrees


def _ring(grid: Grid, per_side: int) -> Array:
    """Points along the outer edges, counter-clockwise in the grid, as (n, 2) longitudes and latitudes; not closed."""
    t = np.linspace(0, 1, per_side, endpoint=False)
    zero, one = np.zeros(per_side), np.ones(per_side)
    columns = np.concatenate([t, one, 1 - t, zero])
    rows = np.concatenate([one, 1 - t, zero, t])
    return lonlat(grid, columns, rows)


def _on_earth(grid: Grid) -> Array:
    """Points all over a grid that leaves the Earth: those on it, and the limb itself."""
    t = np.linspace(0, 1, _INSIDE)
    columns, rows = np.meshgrid(t, t)
    points = lonlat(grid, columns.ravel(), rows.ravel())
    seen = np.isfinite(points).all(axis=1).reshape(columns.shape)
    if not seen.any():
        raise Unreadable(
            "no cell of the grid lies on the Earth", "set source.crs with override: true to the CRS of the data"
        )
    return np.vstack([points[seen.ravel()], *(_limb(grid, columns, rows, seen, axis) for axis in (0, 1))])


def _limb(grid: Grid, columns: Array, rows: Array, seen: Any, axis: int) -> Array:
    """The last points on the Earth between neighbours on it and off it, by bisection."""
    places = np.stack([columns, rows])
    first, second = (np.take(places, index, axis + 1) for index in (range(_INSIDE - 1), range(1, _INSIDE)))
    here, there = (np.take(seen, index, axis) for index in (range(_INSIDE - 1), range(1, _INSIDE)))
    border = here != there
    on = np.where(here, first, second)[:, border]
    off = np.where(here, second, first)[:, border]
    for _ in range(_BISECTIONS):
        middle = (on + off) / 2
        is_on = np.isfinite(lonlat(grid, *middle)).all(axis=1)
        on, off = np.where(is_on, middle, on), np.where(is_on, off, middle)
    return lonlat(grid, *on)


def lonlat(grid: Grid, columns: Array, rows: Array) -> Array:
    """Places on the grid as fractions (column to the right, row down) in longitude and latitude; NaN off the Earth."""
    x, y = _place(grid, columns, rows)
    there = np.column_stack(to_lonlat(grid.crs).transform(x, y))
    there[~np.isfinite(there).all(axis=1)] = np.nan
    back = to_lonlat(grid.crs).transform(there[:, 0], there[:, 1], direction="INVERSE")
    size = max(grid.bounds[2] - grid.bounds[0], grid.bounds[3] - grid.bounds[1])
    off = ~(np.hypot(back[0] - x, back[1] - y) < size * _BACK)  # beyond its limb a projection may fold back
    if not crs_of(grid.crs).is_geographic:
        there[off & (np.abs(there[:, 1]) < POLE - ROUND)] = np.nan
    return there


def _place(grid: Grid, columns: Array, rows: Array) -> tuple[Array, Array]:
    """Fractions of the grid in its CRS."""
    height, width = grid.shape
    if grid.transform is not None:
        a, b, c, d, e, f = grid.transform
        return a * columns * width + b * rows * height + c, d * columns * width + e * rows * height + f
    west, south, east, north = grid.bounds
    return west + columns * (east - west), north + rows * (south - north)


def _poles_inside(grid: Grid) -> set[float]:
    """The poles that lie within the grid, not on its edge."""
    return {pole for pole in (POLE, -POLE) if _holds_pole(grid, pole)}


def _holds_pole(grid: Grid, pole: float) -> bool:
    x, y = to_lonlat(grid.crs).transform(0.0, pole, direction="INVERSE")
    if not np.isfinite([x, y]).all() or abs(to_lonlat(grid.crs).transform(x, y)[1] - pole) > ROUND:
        return False
    if grid.transform is None:
        west, south, east, north = grid.bounds
        column, row = (x - west) / (east - west), (north - y) / (north - south)
    else:
        a, b, c, d, e, f = grid.transform
        det = a * e - b * d
        column = (e * (x - c) - b * (y - f)) / det / grid.shape[1]
        row = (a * (y - f) - d * (x - c)) / det / grid.shape[0]
    return bool(ROUND < column < 1 - ROUND and ROUND < row < 1 - ROUND)


def _touches_pole(ring: Array) -> bool:
    return bool((np.abs(ring[:, 1]) > POLE - ROUND).any())


def _passes_a_pole(ring: Array) -> bool:
    """Whether two neighbours are a quarter of the circle apart: so near a pole no line between them is the edge."""
    return bool(np.abs(np.diff(_around(ring[:, 0]))).max() > CIRCLE / 4)


def _around_poles(box: Box, poles: set[float]) -> Box:
    """A grid over a pole reaches it, and holds every longitude."""
    if not poles:
        return box
    return (-HALF, -POLE if -POLE in poles else box[1], HALF, POLE if POLE in poles else box[3])


def _box_of_points(points: Array) -> Box:
    """Of points so dense that the widest gap between their longitudes is none of the grid's."""
    lons = points[np.abs(points[:, 1]) < POLE - ROUND, 0]  # a pole has every longitude, and none
    west, width = smallest_arc([(float(lon), 0.0) for lon in np.unique(lons.round(_DIGITS))])
    width = CIRCLE if CIRCLE - width < _DENSE else width
    return rounded(*arc(west, width), float(points[:, 1].min()), float(points[:, 1].max()))


# --- GeoJSON --------------------------------------------------------------------------------------------------------


def _rectangle(west: float, south: float, east: float, north: float) -> Polygon:
    return Polygon([(west, south), (east, south), (east, north), (west, north)])


def _geojson(shape: Any) -> dict[str, Any]:
    data = mapping(shape)
    return {"type": data["type"], "coordinates": _lists(data["coordinates"])}


def _lists(value: Any) -> Any:
    return [_lists(part) for part in value] if isinstance(value, tuple | list) else float(value)
