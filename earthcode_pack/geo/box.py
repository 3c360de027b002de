"""Boxes in longitude and latitude, intervals on the circle of longitudes, and positions of GeoJSON: pure arithmetic.

Degrees throughout, longitude before latitude (OGC:CRS84). An arc is an interval of longitudes (west, width), its west
anywhere on the circle.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Array = np.ndarray[Any, np.dtype[np.float64]]

CIRCLE, HALF, POLE = 360.0, 180.0, 90.0
ROUND = 1e-6  # degrees, a tenth of a metre: less than this short of a circle is a circle
FINE = ROUND  # degrees: what rounding to six decimals may cost
_DIGITS = 9  # of a degree: a tenth of a millimetre

MOST = 10  # parts of an extent
_NEAR = 1.0  # degrees, about 100 km: smaller gaps do not separate parts
_SHARE = 0.1  # of the longer side of the overall box: smaller gaps do not separate parts
_FULL = 0.5  # of the area of the overall box: parts that fill more of it add no information
_WIDER = 1.5
_AT_ONCE = 200  # boxes compared pairwise


class Box(NamedTuple):
    """Longitudes within ±180 and latitudes within ±90; ``west > east`` across the antimeridian (RFC 7946, 5.2)."""

    west: float
    south: float
    east: float
    north: float


# --- arcs of longitude ------------------------------------------------------------------------------------------------


def smallest_arc(arcs: Sequence[tuple[float, float]] | Array) -> tuple[float, float]:
    """Returns the smallest arc that contains all arcs: the circle without its widest gap.

    >>> smallest_arc([(170.0, 5.0), (-175.0, 5.0)])
    (170.0, 20.0)
    """
    every = np.array(arcs, dtype=np.float64).reshape(-1, 2)
    every[:, 0] = (every[:, 0] + HALF) % CIRCLE - HALF
    every = every[np.lexsort((every[:, 1], every[:, 0]))]
    ends = np.maximum.accumulate(every[:, 0] + every[:, 1])
    reach = np.concatenate([[-math.inf], ends[:-1]])  # where the arcs before end, of which the last may reach round
    gaps = every[:, 0] - np.maximum(reach, ends[-1] - CIRCLE)
    widest = int(np.flatnonzero(gaps == gaps.max())[-1])
    gap = float(gaps[widest])
    return (float(every[widest, 0]), CIRCLE - gap) if gap > ROUND else (-HALF, CIRCLE)


def arcs_between(first: Array, second: Array) -> Array:
    """Returns the shorter arcs (n, 2) between pairs of longitudes; pairs on opposite meridians are left out."""
    step = (second - first + HALF) % CIRCLE - HALF
    known = np.abs(step) < HALF - ROUND
    return np.column_stack([np.where(step < 0, second, first), np.abs(step)])[known]


def apart(one: float, other: float) -> float:
    """Returns the smaller difference of two longitudes in degrees.

    >>> apart(179.0, -179.0)
    2.0
    """
    return abs((one - other + HALF) % CIRCLE - HALF)


# --- boxes ------------------------------------------------------------------------------------------------------------


def box_of(numbers: Any) -> Box | None:
    """Reads the horizontal part of a bbox of 4 or 6 numbers (RFC 7946, 5); None for anything that is no valid box.

    >>> box_of([-10, -5, 0, 10, 5, 100])
    Box(west=-10.0, south=-5.0, east=10.0, north=5.0)
    """
    if not isinstance(numbers, list | tuple) or len(numbers) not in {4, 6}:
        return None
    if not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
        return None
    half = len(numbers) // 2
    box = Box(*(float(n) for n in (*numbers[:2], *numbers[half : half + 2])))
    valid = max(abs(box.west), abs(box.east)) <= HALF and -POLE <= box.south <= box.north <= POLE
    return box if valid else None


def box_of_arcs(arcs: Sequence[tuple[float, float]] | Array, south: float, north: float) -> Box:
    """Returns the smallest box that contains arcs of longitude, with latitudes clipped to the poles.

    >>> box_of_arcs([(170.0, 20.0)], -5.0, 95.0)
    Box(west=170.0, south=-5.0, east=-170.0, north=90.0)
    """
    start, length = smallest_arc(arcs)
    west = (start + HALF) % CIRCLE - HALF
    east = west + length
    if length >= CIRCLE - ROUND:
        west, east = -HALF, HALF
    elif east <= HALF + ROUND:
        east = min(east, HALF)
    else:
        west, east = (west if west < HALF - ROUND else -HALF), east - CIRCLE
    sides = (west, max(south, -POLE), east, min(north, POLE))
    return Box(*(round(float(side), _DIGITS) + 0.0 for side in sides))


def width(box: Box) -> float:
    """Returns the degrees of longitude from west to east.

    >>> width(Box(170.0, 0.0, -170.0, 1.0))
    20.0
    """
    return box[2] - box[0] if box[2] >= box[0] else box[2] - box[0] + CIRCLE


def is_full_circle(box: Box) -> bool:
    """Tells whether a box contains every longitude."""
    return width(box) >= CIRCLE - ROUND


def is_global(box: Box) -> bool:
    """Tells whether a box covers the whole globe.

    >>> is_global(Box(-180.0, -90.0, 180.0, 90.0))
    True
    """
    return is_full_circle(box) and box[3] - box[1] >= 2 * POLE - ROUND


def contains(outer: Box, inner: Box, slack: Sequence[float] = (FINE, FINE)) -> bool:
    """Tells whether ``inner`` lies in ``outer``, with ``slack`` degrees (x, y) allowed on each side.

    >>> contains(Box(170.0, -1.0, -170.0, 1.0), Box(-179.0, 0.0, -178.0, 1.0))
    True
    >>> contains(Box(-170.0, -1.0, 170.0, 1.0), Box(-179.0, 0.0, -178.0, 1.0))
    False
    """
    if inner[1] < outer[1] - slack[1] or inner[3] > outer[3] + slack[1]:
        return False
    if width(outer) + 2 * slack[0] >= CIRCLE:
        return True
    offset = (inner[0] - outer[0] + slack[0]) % CIRCLE
    return offset + width(inner) <= width(outer) + 2 * slack[0]


def union(boxes: Iterable[Box]) -> Box:
    """Returns the smallest box that contains all boxes, across the antimeridian where that is narrower.

    >>> union([Box(170.0, 0.0, 175.0, 1.0), Box(-175.0, 2.0, -170.0, 3.0)])
    Box(west=170.0, south=0.0, east=-170.0, north=3.0)
    """
    every = list(boxes)
    south, north = min(box[1] for box in every), max(box[3] for box in every)
    return box_of_arcs([(box[0], width(box)) for box in every], south, north)


def is_union(box: Box, parts: Sequence[Box]) -> bool:
    """Tells whether ``box`` contains all parts and each of its sides touches one of them.

    Both unions of parts at the antimeridian pass: the narrowest one, which crosses it, and -180…180.

    >>> is_union(Box(0.0, 0.0, 2.0, 2.0), [Box(0.0, 0.0, 1.0, 1.0), Box(1.0, 1.0, 2.0, 2.0)])
    True
    >>> is_union(Box(-180.0, -90.0, 180.0, 90.0), [Box(0.0, 0.0, 1.0, 1.0)])
    False
    """
    south, north = min(part[1] for part in parts), max(part[3] for part in parts)
    if abs(box[1] - south) > FINE or abs(box[3] - north) > FINE or not all(contains(box, part) for part in parts):
        return False
    crossed = any(part[0] > part[2] for part in parts)
    return all(
        (crossed and abs(box[side]) >= HALF - FINE) or any(apart(box[side], part[side]) <= FINE for part in parts)
        for side in (0, 2)
    )


def excess(outer: Box, inner: Box) -> tuple[float, float]:
    """Returns the degrees by which ``outer`` is wider and taller than ``inner``."""
    return width(outer) - width(inner), (outer[3] - outer[1]) - (inner[3] - inner[1])


def cut(box: Box) -> list[Box]:
    """Cuts a box at the antimeridian: two boxes where it crosses it, else one.

    >>> [tuple(half) for half in cut(Box(170.0, -20.0, -170.0, -10.0))]
    [(170.0, -20.0, 180.0, -10.0), (-180.0, -20.0, -170.0, -10.0)]
    """
    west, south, east, north = box
    if west <= east:
        return [box]
    halves = [Box(west, south, HALF, north), Box(-HALF, south, east, north)]
    return [half for half in halves if half.west < half.east]


# --- extents of many boxes --------------------------------------------------------------------------------------------


def extent_boxes(boxes: Iterable[Box]) -> list[Box]:
    """Summarises boxes as a STAC spatial extent: the overall box, and its parts where these lie far apart.

    STAC 1.1, Collection, "Spatial Extent Object": the first box is the overall one, those after it are its parts. Parts
    are separated, in longitude or in latitude, by more than a degree and more than a tenth of the longer side of the
    overall box. There are none where they would fill more than half of the overall box (in square degrees). Where there
    would be more than ``MOST``, wider gaps are required. The result does not depend on the order of the boxes.

    >>> [tuple(box) for box in extent_boxes([Box(0.0, 0.0, 1.0, 1.0), Box(1.0, 0.0, 2.0, 1.0)])]
    [(0.0, 0.0, 2.0, 1.0)]
    >>> [tuple(box) for box in extent_boxes([Box(0.0, 0.0, 1.0, 1.0), Box(20.0, 10.0, 21.0, 11.0)])]
    [(0.0, 0.0, 21.0, 11.0), (0.0, 0.0, 1.0, 1.0), (20.0, 10.0, 21.0, 11.0)]
    """
    every = sorted(set(boxes))
    overall = union(every)
    origin = None if width(overall) >= CIRCLE else overall.west
    reach = max(_NEAR, _SHARE * max(width(overall), overall.north - overall.south))
    parts = _separate(every, reach, origin)
    while len(parts) > MOST:
        reach *= _WIDER
        parts = _separate(parts, reach, origin)
    areas = [width(box) * (box[3] - box[1]) for box in (overall, *parts)]
    return [overall, *parts] if len(parts) > 1 and sum(areas[1:]) <= _FULL * areas[0] else [overall]


def _separate(boxes: list[Box], reach: float, origin: float | None) -> list[Box]:
    """Joins boxes until all gaps between them are wider than ``reach``.

    Longitudes are counted from ``origin``, the overall west, so that no box goes round the other way; it is None on a
    whole circle, which has no west. Neighbours by longitude are joined first, so that the work stays linear.
    """
    while True:
        chunks = (boxes[start : start + _AT_ONCE] for start in range(0, len(boxes), _AT_ONCE))
        groups = [group for chunk in chunks for group in _linked(chunk, reach, origin)]
        if len(groups) == len(boxes):
            return boxes
        boxes = sorted(union(group) if origin is None else _hull(group, origin) for group in groups)


def _linked(boxes: list[Box], reach: float, origin: float | None) -> list[list[Box]]:
    """Groups boxes by single linkage: those that a chain of gaps of at most ``reach`` joins."""
    near = _gaps(boxes, origin) <= reach
    group, before = np.arange(len(boxes)), None
    while before is None or (group != before).any():  # the least number among those near, until none changes
        before, group = group, np.where(near, group, len(boxes)).min(axis=1)
    groups: dict[int, list[Box]] = {}
    for box, number in zip(boxes, group.tolist(), strict=True):
        groups.setdefault(number, []).append(box)
    return list(groups.values())


def _gaps(boxes: list[Box], origin: float | None) -> Array:
    """Returns the gaps (n, n) in degrees, the larger of longitude and latitude; at most 0 between boxes that meet."""
    start, south, wide, north = np.array([(_ahead(b, origin or 0.0), b[1], width(b), b[3]) for b in boxes]).T
    ahead = start - start[:, np.newaxis]  # from the west of one (row) eastwards to that of the other
    beyond = (ahead % CIRCLE if origin is None else ahead) - wide[:, np.newaxis]
    across = np.minimum(beyond, beyond.T) if origin is None else np.maximum(beyond, beyond.T)
    along = south - north[:, np.newaxis]
    gaps: Array = np.maximum(across, np.maximum(along, along.T))
    return gaps


def _hull(boxes: list[Box], origin: float) -> Box:
    """Returns the box around boxes that all lie east of the origin."""
    first = min(boxes, key=lambda box: _ahead(box, origin))
    last = max(boxes, key=lambda box: _ahead(box, origin) + width(box))
    return Box(first[0], min(box[1] for box in boxes), last[2], max(box[3] for box in boxes))


def _ahead(box: Box, origin: float) -> float:
    """Returns the degrees from the origin east to the box; a box just west of it by rounding begins at 0."""
    ahead = (box[0] - origin) % CIRCLE
    return 0.0 if ahead > CIRCLE - ROUND else ahead


# --- positions of GeoJSON ---------------------------------------------------------------------------------------------


def positions(geometry: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """Yields every position (longitude, latitude) of a GeoJSON geometry (RFC 7946, 3.1)."""
    for part in geometry.get("geometries") or []:
        yield from positions(part)
    stack = [geometry.get("coordinates") or []]
    while stack:
        value = stack.pop()
        if value and not isinstance(value[0], list | tuple):
            yield value[0], value[1]
        else:
            stack += reversed(value)


def crosses_antimeridian(geometry: dict[str, Any]) -> bool:
    """Tells whether a ring or line crosses the antimeridian uncut: neighbouring positions are over 180° apart.

    >>> crosses_antimeridian({"type": "LineString", "coordinates": [[179, 0], [-179, 0]]})
    True
    """
    coordinates = geometry.get("coordinates") or []
    match geometry.get("type"):
        case "LineString":
            lines = [coordinates]
        case "Polygon" | "MultiLineString":
            lines = coordinates
        case "MultiPolygon":
            lines = [ring for polygon in coordinates for ring in polygon]
        case _:
            return False
    steps = (abs(a[0] - b[0]) for line in lines for a, b in pairwise(line))
    return any(HALF < step < CIRCLE - FINE for step in steps)
