"""Boxes in longitude and latitude, as pure arithmetic.

A box is (west, south, east, north) in degrees; west > east crosses the antimeridian (RFC 7946, section 5.2).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from earthcode_pack.checks.limits import HALF, POLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Box = tuple[float, float, float, float]

FINE = 1e-6  # degrees: a tenth of a metre, what rounding to six decimals may cost


def box_of(numbers: Any) -> Box | None:
    """The horizontal part of a STAC bbox of 4 or 6 numbers; None where it is no valid box.

    >>> box_of([-10, -5, 0, 10, 5, 100])
    (-10.0, -5.0, 10.0, 5.0)
    """
    if not isinstance(numbers, list | tuple) or len(numbers) not in {4, 6}:
        return None
    if not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
        return None
    half = len(numbers) // 2
    west, south, east, north = (float(n) for n in (*numbers[:2], *numbers[half : half + 2]))
    valid = max(abs(west), abs(east)) <= HALF and -POLE <= south <= north <= POLE
    return (west, south, east, north) if valid else None


def width(box: Box) -> float:
    """Degrees of longitude from west to east.

    >>> width((170.0, 0.0, -170.0, 1.0))
    20.0
    """
    return box[2] - box[0] if box[2] >= box[0] else box[2] - box[0] + 360


def is_full_circle(box: Box) -> bool:
    """Whether it holds every longitude."""
    return width(box) >= 360 - FINE


def is_global(box: Box) -> bool:
    """Whether it claims the whole globe.

    >>> is_global((-180.0, -90.0, 180.0, 90.0))
    True
    """
    return is_full_circle(box) and box[3] - box[1] >= 180 - FINE


def contains(outer: Box, inner: Box, slack: Sequence[float] = (FINE, FINE)) -> bool:
    """Whether ``inner`` lies in ``outer``, on the circle of longitudes, but for ``slack`` degrees (x, y) on each side.

    >>> contains((170.0, -1.0, -170.0, 1.0), (-179.0, 0.0, -178.0, 1.0))
    True
    >>> contains((-170.0, -1.0, 170.0, 1.0), (-179.0, 0.0, -178.0, 1.0))
    False
    """
    if inner[1] < outer[1] - slack[1] or inner[3] > outer[3] + slack[1]:
        return False
    if is_full_circle(outer):
        return True
    offset = (inner[0] - outer[0] + slack[0]) % 360
    return offset + width(inner) <= width(outer) + 2 * slack[0]


def is_union(box: Box, parts: Sequence[Box]) -> bool:
    """Whether ``box`` holds all parts, and each of its sides touches one of them.

    Both unions of parts about the antimeridian pass: the narrowest that crosses it, and -180…180.

    >>> is_union((0.0, 0.0, 2.0, 2.0), [(0.0, 0.0, 1.0, 1.0), (1.0, 1.0, 2.0, 2.0)])
    True
    >>> is_union((-180.0, -90.0, 180.0, 90.0), [(0.0, 0.0, 1.0, 1.0)])
    False
    """
    south, north = min(part[1] for part in parts), max(part[3] for part in parts)
    if abs(box[1] - south) > FINE or abs(box[3] - north) > FINE:
        return False
    return all(contains(box, part) for part in parts) and (
        _touches(box[0], [part[0] for part in parts], parts) and _touches(box[2], [part[2] for part in parts], parts)
    )


def _touches(side: float, sides: Sequence[float], parts: Sequence[Box]) -> bool:
    crossing = abs(side) >= 180 - FINE and any(part[0] > part[2] for part in parts)
    return crossing or any(_apart(side, other) <= FINE for other in sides)


def _apart(a: float, b: float) -> float:
    """Degrees between two longitudes, the short way."""
    return abs((a - b + 180) % 360 - 180)


def excess(outer: Box, inner: Box) -> tuple[float, float]:
    """By how many degrees ``outer`` is wider and taller than ``inner``."""
    return width(outer) - width(inner), (outer[3] - outer[1]) - (inner[3] - inner[1])


def hull(parts: Sequence[Box]) -> Box:
    """The smallest box that holds all parts, crossing the antimeridian where that is narrower.

    >>> hull([(170.0, 0.0, 180.0, 1.0), (-180.0, 0.0, -170.0, 1.0)])
    (170.0, 0.0, -170.0, 1.0)
    """
    south, north = min(part[1] for part in parts), max(part[3] for part in parts)
    candidates = [(west[0], south, east[2], north) for west in parts for east in parts]
    candidates += [(-180.0, south, 180.0, north)]
    return min((c for c in candidates if all(contains(c, part) for part in parts)), key=width)


def positions(geometry: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """Every position (longitude, latitude) of a GeoJSON geometry."""
    for part in geometry.get("geometries") or []:
        yield from positions(part)
    yield from _flat(geometry.get("coordinates") or [])


def _flat(coordinates: list[Any]) -> Iterator[tuple[float, float]]:
    if coordinates and not isinstance(coordinates[0], list | tuple):
        yield cast("tuple[float, float]", tuple(coordinates[:2]))
        return
    for part in coordinates:
        yield from _flat(part)


def is_uncut(geometry: dict[str, Any]) -> bool:
    """Whether a ring or line leaps over the antimeridian: two positions that follow each other are over 180° apart.

    >>> is_uncut({"type": "Polygon", "coordinates": [[[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]]})
    True
    """
    polygons = {"Polygon": [geometry.get("coordinates")], "MultiPolygon": geometry.get("coordinates")}
    lines = {"LineString": [geometry.get("coordinates")], "MultiLineString": geometry.get("coordinates")}
    kind = str(geometry.get("type"))
    rings = [ring for polygon in polygons.get(kind) or [lines.get(kind) or []] for ring in polygon or []]
    steps = (abs(a[0] - b[0]) for ring in rings for a, b in pairwise(ring))
    return any(HALF < step < 360 - FINE for step in steps)
