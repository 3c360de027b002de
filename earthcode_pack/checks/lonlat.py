"""Boxes in longitude and latitude of grids in any CRS, by sampling their edges and their inside."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks.limits import HALF, POLE

if TYPE_CHECKING:
    from earthcode_pack.checks.boxes import Box

_SAMPLES = 101  # along each edge, and a third of it each way inside
_COARSE = 21  # what PROJ's users mostly take


@lru_cache(maxsize=4096)  # many scenes share one grid
def lonlat_box(crs: Any, bounds: tuple[float, float, float, float], samples: int = _SAMPLES) -> Box | None:
    """The box in degrees of outer edges in any CRS, edges and inside sampled; None where PROJ has no answer.

    A pole inside reaches ±90 and the full circle; an antimeridian inside gives west > east.
    """
    if crs.is_geographic and abs(_degrees(crs) - 1) < 1e-9:  # noqa: PLR2004
        return _wrapped(bounds)
    points = _on_earth(crs, bounds, samples)
    if not points:
        return None
    south, north = min(p[1] for p in points), max(p[1] for p in points)
    poles = [pole for pole in (POLE, -POLE) if _inside(crs, pole, bounds)]
    if poles:
        return (-HALF, min([south, *poles]), HALF, max([north, *poles]))
    west, east = _arc([p[0] for p in points], samples)
    return (west, south, east, north)


def doubt(crs: Any, bounds: tuple[float, float, float, float], box: Box | None) -> tuple[float, float]:
    """By how many degrees (x, y) the box depends on how densely the edges are sampled."""
    coarse = lonlat_box(crs, bounds, _COARSE)
    if box is None or coarse is None:
        return 0.0, 0.0
    turns = [abs((a - b + HALF) % 360 - HALF) for a, b in ((box[0], coarse[0]), (box[2], coarse[2]))]
    return max(turns), max(abs(box[1] - coarse[1]), abs(box[3] - coarse[3]))


def _degrees(crs: Any) -> float:
    return math.degrees(float(crs.axis_info[0].unit_conversion_factor))


def _wrapped(bounds: tuple[float, float, float, float]) -> Box:
    """Longitudes of any range in ±180; latitudes of edges beyond a pole end there."""
    west, south, east, north = bounds
    south, north = max(south, -POLE), min(north, POLE)
    if east - west >= 2 * HALF - 1e-6:
        return (-HALF, south, HALF, north)
    if west >= -HALF and east <= HALF:
        return (west, south, east, north)
    west, east = ((edge + HALF) % 360 - HALF for edge in (west, east))
    return (west, south, HALF if east == -HALF else east, north)


@lru_cache(maxsize=256)
def _to_degrees(crs: Any) -> Any:
    from pyproj import Transformer  # noqa: PLC0415 - heavy

    return Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)


def _on_earth(crs: Any, bounds: tuple[float, float, float, float], samples: int) -> list[tuple[float, float]]:
    """Sampled points in degrees, those only that lead back to where they came from: outside of its Earth PROJ wraps."""
    left, bottom, right, top = bounds
    along = [i / (samples - 1) for i in range(samples)]
    within = along[::3]
    unit = [p for t in along for p in ((t, 0), (t, 1), (0, t), (1, t))] + [(s, t) for s in within for t in within]
    xs = [left + (right - left) * s for s, _ in unit]
    ys = [bottom + (top - bottom) * t for _, t in unit]
    transformer = _to_degrees(crs)
    lons, lats = transformer.transform(xs, ys)
    back = zip(*transformer.transform(lons, lats, direction="INVERSE"), strict=True)
    near = 1e-6 * max(right - left, top - bottom)
    places = zip(lons, lats, xs, ys, back, strict=True)
    same = ((lon, lat, math.hypot(abs(u) - abs(x), v - y)) for lon, lat, x, y, (u, v) in places)  # ±180 are one
    return [(lon, lat) for lon, lat, apart in same if apart <= near and abs(lat) <= POLE]


def _inside(crs: Any, pole: float, bounds: tuple[float, float, float, float]) -> bool:
    """Whether a pole is a single point within the bounds; cylinders spread it over an edge."""
    xs, ys = _to_degrees(crs).transform([0, 90, 180], [pole] * 3, direction="INVERSE")
    finite = all(map(math.isfinite, (*xs, *ys)))
    one = finite and max(xs) - min(xs) < 1 and max(ys) - min(ys) < 1
    return bool(one and bounds[0] < xs[0] < bounds[2] and bounds[1] < ys[0] < bounds[3])


def _arc(lons: list[float], samples: int) -> tuple[float, float]:
    """The shortest arc that holds all longitudes; the full circle where no gap is wider than the samples'."""
    around = sorted({(lon + HALF) % 360 - HALF for lon in lons})
    gaps = [(b - a, a, b) for a, b in pairwise([*around, around[0] + 360])]
    gap, east, west = max(gaps)
    if gap <= 1.05 * 3 * 360 / (samples - 1):
        return -HALF, HALF
    return (west if west < HALF else west - 360), east


def spread(box: Box | None, shape: tuple[int, int]) -> tuple[float, float]:
    """A cell in degrees, x and y, roughly."""
    if box is None:
        return 0.0, 0.0
    east = box[2] if box[2] >= box[0] else box[2] + 360
    return (east - box[0]) / max(shape[1], 1), (box[3] - box[1]) / max(shape[0], 1)
