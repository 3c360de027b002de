"""Boxes in longitude and latitude, and arcs of longitudes on the circle: pure arithmetic.

A box is (west, south, east, north) in degrees, longitudes within ±180 and latitudes within ±90; ``west > east`` where
it crosses the antimeridian (RFC 7946, 5.2). An arc is (west, width), its west anywhere on the circle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Array = np.ndarray[Any, np.dtype[np.float64]]
Box = tuple[float, float, float, float]

CIRCLE, HALF, POLE = 360.0, 180.0, 90.0
ROUND = 1e-6  # degrees, a tenth of a metre: less than this short of a circle is a circle
FINE = ROUND  # degrees: what rounding to six decimals may cost
_DIGITS = 9  # a tenth of a millimetre


# --- arcs of longitude ------------------------------------------------------------------------------------------------


def arc(west: float, width: float) -> tuple[float, float]:
    """West and east within ±180 of an arc that begins anywhere on the circle.

    >>> arc(350.0, 20.0), arc(170.0, 20.0), arc(0.0, 361.0)
    ((-10.0, 10.0), (170.0, -170.0), (-180.0, 180.0))
    """
    if width >= CIRCLE - ROUND:
        return -HALF, HALF
    start = (west + HALF) % CIRCLE - HALF
    end = start + width
    if end <= HALF + ROUND:
        return start, min(end, HALF)
    return (start if start < HALF - ROUND else -HALF), end - CIRCLE


def smallest_arc(arcs: Sequence[tuple[float, float]] | Array) -> tuple[float, float]:
    """The arc (west, width) that is left when the widest gap between arcs (n, 2) is taken from the circle.

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
    """Arcs (n, 2) between longitudes the short way; none between those on opposite meridians."""
    step = (second - first + HALF) % CIRCLE - HALF
    known = np.abs(step) < HALF - ROUND
    return np.column_stack([np.where(step < 0, second, first), np.abs(step)])[known]


def apart(one: float, other: float) -> float:
    """Degrees between two longitudes, the short way.

    >>> apart(179.0, -179.0)
    2.0
    """
    return abs((one - other + HALF) % CIRCLE - HALF)


def unwrapped(lon: Array) -> Array:
    """Longitudes without jumps, each within 180° of the one before."""
    return np.unwrap(lon, period=CIRCLE)


# --- boxes ------------------------------------------------------------------------------------------------------------


def box_of(numbers: Any) -> Box | None:
    """The horizontal part of a bbox of 4 or 6 numbers (RFC 7946, 5); None where it is no valid box.

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


def rounded(west: float, east: float, south: float, north: float) -> Box:
    """A box, to a tenth of a millimetre."""
    return tuple(round(float(value), _DIGITS) + 0.0 for value in (west, south, east, north))  # type: ignore[return-value]


def box_of_arcs(arcs: Sequence[tuple[float, float]] | Array, south: float, north: float) -> Box:
    """The smallest box that holds arcs of longitude, latitudes beyond a pole ending there."""
    return rounded(*arc(*smallest_arc(arcs)), max(south, -POLE), min(north, POLE))


def width(box: Box) -> float:
    """Degrees of longitude from west to east.

    >>> width((170.0, 0.0, -170.0, 1.0))
    20.0
    """
    return box[2] - box[0] if box[2] >= box[0] else box[2] - box[0] + CIRCLE


def is_full_circle(box: Box) -> bool:
    """Tells whether a box holds every longitude."""
    return width(box) >= CIRCLE - ROUND


def is_global(box: Box) -> bool:
    """Tells whether a box claims the whole globe.

    >>> is_global((-180.0, -90.0, 180.0, 90.0))
    True
    """
    return is_full_circle(box) and box[3] - box[1] >= 2 * POLE - ROUND


def contains(outer: Box, inner: Box, slack: Sequence[float] = (FINE, FINE)) -> bool:
    """Tells whether ``inner`` lies in ``outer``, but for ``slack`` degrees (x, y) on each side.

    >>> contains((170.0, -1.0, -170.0, 1.0), (-179.0, 0.0, -178.0, 1.0))
    True
    >>> contains((-170.0, -1.0, 170.0, 1.0), (-179.0, 0.0, -178.0, 1.0))
    False
    """
    if inner[1] < outer[1] - slack[1] or inner[3] > outer[3] + slack[1]:
        return False
    if width(outer) + 2 * slack[0] >= CIRCLE:
        return True
    offset = (inner[0] - outer[0] + slack[0]) % CIRCLE
    return offset + width(inner) <= width(outer) + 2 * slack[0]


def union(boxes: Iterable[Box]) -> Box:
    """The smallest box on the circle that holds them all: never a needless globe.

    >>> union([(170.0, 0.0, 175.0, 1.0), (-175.0, 2.0, -170.0, 3.0)])
    (170.0, 0.0, -170.0, 3.0)
    """
    every = list(boxes)
    south, north = min(box[1] for box in every), max(box[3] for box in every)
    return box_of_arcs([(box[0], width(box)) for box in every], south, north)


def is_union(box: Box, parts: Sequence[Box]) -> bool:
    """Tells whether ``box`` holds all parts, and each of its sides touches one of them.

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
    crossing = abs(side) >= HALF - FINE and any(part[0] > part[2] for part in parts)
    return crossing or any(apart(side, other) <= FINE for other in sides)


def excess(outer: Box, inner: Box) -> tuple[float, float]:
    """Degrees by which ``outer`` is wider and taller than ``inner``."""
    return width(outer) - width(inner), (outer[3] - outer[1]) - (inner[3] - inner[1])


def cut(box: Box) -> list[Box]:
    """Two boxes where it crosses the antimeridian; one where it does not, or ends on it.

    >>> cut((170.0, -20.0, -170.0, -10.0))
    [(170.0, -20.0, 180.0, -10.0), (-180.0, -20.0, -170.0, -10.0)]
    """
    west, south, east, north = box
    if west <= east:
        return [box]
    halves = [(west, south, HALF, north), (-HALF, south, east, north)]
    return [half for half in halves if half[0] < half[2]]
