"""From cells in their own CRS to boxes and outlines in longitude and latitude (RFC 7946; OGC:CRS84).

A box is (west, south, east, north) in degrees, longitudes within ±180; ``west > east`` where it crosses the
antimeridian (RFC 7946, 5.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import antimeridian
import numpy as np
from pyproj import CRS, Transformer
from shapely.geometry import Polygon, mapping

from earthcode_pack.errors import Unreadable
from earthcode_pack.model import Grid

Box = tuple[float, float, float, float]
Array = np.ndarray[Any, np.dtype[np.float64]]

_CIRCLE, _HALF, _POLE = 360.0, 180.0, 90.0
_PER_SIDE = 64  # points along an edge: straight lines in one CRS are curves in the other
_INSIDE = 200  # points across a grid whose edges leave the Earth
_OUTLINE = 12  # points along an edge that a footprint keeps
_DIGITS = 9  # a tenth of a millimetre
_ROUND = 1e-6  # degrees; less than this short of a circle is a circle


def lonlat_box(grid: Grid) -> Box:
    """The box of the outer cell edges."""
    if _is_plain_geographic(grid):
        west, south, east, north = grid.bounds
        return _rounded(*_arc(west, east - west), max(south, -_POLE), min(north, _POLE))
    ring = _ring(grid, _PER_SIDE)
    if not np.isfinite(ring).all():
        return _box_of_points(_inside(grid))
    lons, lats = _unwrapped(ring[:, 0]), ring[:, 1]
    south, north = float(lats.min()), float(lats.max())
    poles = _poles_inside(grid)
    if poles or abs(lons[-1] - lons[0]) > _HALF:
        south = -_POLE if -_POLE in poles else south
        north = _POLE if _POLE in poles else north
        return _rounded(-_HALF, _HALF, south, north)
    return _rounded(*_arc(float(lons.min()), float(lons.max() - lons.min())), south, north)


def outline(grid: Grid) -> dict[str, Any]:
    """The footprint of a grid as GeoJSON, cut at the antimeridian (RFC 7946, 3.1.9)."""
    box = lonlat_box(grid)
    if _is_plain_geographic(grid) or box[2] - box[0] == _CIRCLE:
        return box_geometry(box)
    ring = _ring(grid, _OUTLINE)
    if not np.isfinite(ring).all():
        return box_geometry(box)
    closed = np.vstack([ring, ring[:1]]).round(_DIGITS)
    return _geojson(antimeridian.fix_polygon(Polygon(closed), fix_winding=True))


def box_geometry(box: Box) -> dict[str, Any]:
    """A box as GeoJSON, two polygons where it crosses the antimeridian."""
    west, south, east, north = box
    if west <= east:
        return _geojson(_rectangle(west, south, east, north))
    halves = [_rectangle(west, south, _HALF, north), _rectangle(-_HALF, south, east, north)]
    rings = [mapping(half)["coordinates"] for half in halves]
    return {"type": "MultiPolygon", "coordinates": _lists(rings)}


def union(boxes: Iterable[Box]) -> Box:
    """The smallest box on the circle that holds them all: never a needless globe.

    >>> union([(170.0, 0.0, 175.0, 1.0), (-175.0, 2.0, -170.0, 3.0)])
    (170.0, 0.0, -170.0, 3.0)
    """
    every = list(boxes)
    south, north = min(box[1] for box in every), max(box[3] for box in every)
    west, width = _smallest_arc([(box[0], _width(box)) for box in every])
    return _rounded(*_arc(west, width), south, north)


def proj_code(grid: Grid) -> str | None:
    """``EPSG:32631``, or None where no authority knows the CRS."""
    authority = _crs(grid.crs).to_authority()
    return ":".join(authority) if authority else None


# --- circles --------------------------------------------------------------------------------------------------------


def _arc(west: float, width: float) -> tuple[float, float]:
    """West and east within ±180 of an arc that begins anywhere on the circle."""
    if width >= _CIRCLE - _ROUND:
        return -_HALF, _HALF
    start = (west + _HALF) % _CIRCLE - _HALF
    end = start + width
    if end <= _HALF + _ROUND:
        return start, min(end, _HALF)
    return (start if start < _HALF - _ROUND else -_HALF), end - _CIRCLE


def _width(box: Box) -> float:
    return box[2] - box[0] if box[0] <= box[2] else box[2] - box[0] + _CIRCLE


def _smallest_arc(arcs: list[tuple[float, float]]) -> tuple[float, float]:
    """The arc that is left when the widest gap between arcs is taken from the circle."""
    ordered = sorted(((west + _HALF) % _CIRCLE - _HALF, width) for west, width in arcs)
    reach, gaps = ordered[0][0] + ordered[0][1], []
    for west, width in ordered[1:]:
        gaps.append((west - reach, west))
        reach = max(reach, west + width)
    gaps.append((ordered[0][0] + _CIRCLE - reach, ordered[0][0]))
    gap, west = max(gaps)
    return (west, _CIRCLE - gap) if gap > _ROUND else (-_HALF, _CIRCLE)


def _unwrapped(lons: Array) -> Array:
    """Longitudes along a closed ring without jumps; the last point is the first again, perhaps a circle further."""
    return np.unwrap(np.append(lons, lons[0]), period=_CIRCLE)


def _rounded(west: float, east: float, south: float, north: float) -> Box:
    box = tuple(round(float(value), _DIGITS) + 0.0 for value in (west, south, east, north))
    return box  # type: ignore[return-value]


# --- edges in another CRS -------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _crs(wkt: str) -> CRS:
    return CRS.from_wkt(wkt)


@lru_cache(maxsize=64)
def _to_lonlat(wkt: str) -> Transformer:
    return Transformer.from_crs(_crs(wkt), "OGC:CRS84", always_xy=True)


def _is_plain_geographic(grid: Grid) -> bool:
    """Longitude and latitude from Greenwich themselves: not rotated, not derived."""
    crs = _crs(grid.crs)
    turned = grid.transform is not None and (grid.transform[1] != 0 or grid.transform[3] != 0)
    meridian = crs.prime_meridian.longitude if crs.prime_meridian else 0.0
    return crs.is_geographic and not crs.is_derived and not turned and meridian == 0


def _ring(grid: Grid, per_side: int) -> Array:
    """Points along the outer edges, counter-clockwise in the grid, as (n, 2) longitudes and latitudes; not closed."""
    t = np.linspace(0, 1, per_side, endpoint=False)
    zero, one = np.zeros(per_side), np.ones(per_side)
    columns = np.concatenate([t, one, 1 - t, zero])
    rows = np.concatenate([one, 1 - t, zero, t])
    return _lonlat(grid, columns, rows)


def _inside(grid: Grid) -> Array:
    """Points all over the grid, only those that lie on the Earth."""
    t = np.linspace(0, 1, _INSIDE)
    columns, rows = (axis.ravel() for axis in np.meshgrid(t, t))
    points = _lonlat(grid, columns, rows)
    points = points[np.isfinite(points).all(axis=1)]
    if points.size == 0:
        raise Unreadable(
            "no cell of the grid lies on the Earth", "set source.crs with override: true to the CRS of the data"
        )
    return points


def _lonlat(grid: Grid, columns: Array, rows: Array) -> Array:
    """Places on the grid as fractions (column to the right, row down) in longitude and latitude."""
    height, width = grid.shape
    if grid.transform is not None:
        a, b, c, d, e, f = grid.transform
        x = a * columns * width + b * rows * height + c
        y = d * columns * width + e * rows * height + f
    else:
        west, south, east, north = grid.bounds
        x, y = west + columns * (east - west), north + rows * (south - north)
    return np.column_stack(_to_lonlat(grid.crs).transform(x, y))


def _poles_inside(grid: Grid) -> set[float]:
    """The poles that lie within the grid."""
    west, south, east, north = grid.bounds
    inside = set()
    for pole in (_POLE, -_POLE):
        x, y = _to_lonlat(grid.crs).transform(0.0, pole, direction="INVERSE")
        back = _to_lonlat(grid.crs).transform(x, y)[1] if np.isfinite([x, y]).all() else np.nan
        if west < x < east and south < y < north and abs(back - pole) < _ROUND:
            inside.add(pole)
    return inside


def _box_of_points(points: Array) -> Box:
    west, width = _smallest_arc([(float(lon), 0.0) for lon in np.unique(points[:, 0].round(3))])
    return _rounded(*_arc(west, width), float(points[:, 1].min()), float(points[:, 1].max()))


# --- GeoJSON --------------------------------------------------------------------------------------------------------


def _rectangle(west: float, south: float, east: float, north: float) -> Polygon:
    return Polygon([(west, south), (east, south), (east, north), (west, north)])


def _geojson(shape: Any) -> dict[str, Any]:
    data = mapping(shape)
    return {"type": data["type"], "coordinates": _lists(data["coordinates"])}


def _lists(value: Any) -> Any:
    return [_lists(part) for part in value] if isinstance(value, tuple | list) else float(value)
