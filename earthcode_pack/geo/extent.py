"""Boxes in longitude and latitude of grids in any CRS, by their edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.box import CIRCLE, HALF, POLE, ROUND, apart, arcs_between, box_of_arcs, smallest_arc
from earthcode_pack.geo.crs import projection_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from earthcode_pack.geo.box import Array, Box
    from earthcode_pack.geo.crs import Mask, Pole

_PER_SIDE = 64  # places along an edge: straight lines in one CRS are curves in the other
_CLOSER, _ROUNDS = 16, 2  # places on either side of the farthest, by which it is found closer, and how often
_FEW = 20  # places along an edge, as PROJ's transform_bounds and its users mostly take
_INSIDE = 200  # places across a grid whose edges leave the Earth
_BISECTIONS = 40
_EDGE = 1e-9  # of the grid: what lies on its edge


@dataclass(frozen=True)
class Frame:
    """The outer edges of a grid: a parallelogram in the plane of a CRS (WKT).

    ``corner`` is its place at (0, 0), ``right`` and ``down`` are the vectors along its first row and its first column
    (dx, dy), in the units of the CRS, x before y. A place in it is (u, v): fractions of the way right and down.
    """

    crs: str
    corner: tuple[float, float]
    right: tuple[float, float]
    down: tuple[float, float]

    @classmethod
    def of_bounds(cls, crs: str, bounds: Sequence[float]) -> Frame:
        """Makes the frame of outer edges (xmin, ymin, xmax, ymax), rows from north to south."""
        west, south, east, north = (float(side) for side in bounds)
        return cls(crs, (west, north), (east - west, 0.0), (0.0, south - north))

    @classmethod
    def of_transform(cls, crs: str, transform: Sequence[float], shape: Sequence[int]) -> Frame:
        """Makes the frame of GDAL's affine (a, b, c, d, e, f) and (rows, columns)."""
        a, b, c, d, e, f = (float(number) for number in transform[:6])
        height, width = shape[-2:]
        return cls(crs, (c, f), (a * width, d * width), (b * height, e * height))

    @property
    def size(self) -> float:
        """The longer side of its box, in units of the CRS."""
        return max(abs(self.right[0]) + abs(self.down[0]), abs(self.right[1]) + abs(self.down[1]))

    @property
    def is_turned(self) -> bool:
        """Tells whether its sides are not those of the axes."""
        return self.right[1] != 0 or self.down[0] != 0

    def places(self, u: Array, v: Array) -> tuple[Array, Array]:
        """X and y of places in it."""
        x = self.corner[0] + u * self.right[0] + v * self.down[0]
        return x, self.corner[1] + u * self.right[1] + v * self.down[1]

    def fractions(self, places: Array) -> tuple[Array, Array]:
        """U and v of places (n, 2) in x and y."""
        (a, d), (b, e) = self.right, self.down
        x, y = (places - np.array(self.corner)).T
        with np.errstate(divide="ignore", invalid="ignore"):  # a grid without width or height holds nothing
            return (e * x - b * y) / np.float64(a * e - b * d), (a * y - d * x) / np.float64(a * e - b * d)

    def lonlat(self, u: Array, v: Array) -> Array:
        """Longitudes and latitudes (n, 2) of places in it; NaN off the Earth."""
        return projection_of(self.crs).lonlat(*self.places(u, v), self.size)

    def ring(self, along: Array) -> Array:
        """Longitudes and latitudes (n, 2) of places on its edges, by how many sides they are away from (0, 0).

        From there sides run down, right, up and back (0…4): counter-clockwise where rows run from north to south.
        """
        side, t = np.divmod(along, 1)
        one, zero = np.ones_like(t), np.zeros_like(t)
        u = np.choose(side.astype(int), [zero, t, one, 1 - t])
        v = np.choose(side.astype(int), [t, one, 1 - t, zero])
        return self.lonlat(u, v)


@lru_cache(maxsize=4096)  # many scenes share one grid
def lonlat_box(frame: Frame) -> Box:
    """The box of all of a grid that lies on the Earth, in longitude and latitude.

    Sampled along the edges, closer where they reach farthest; over the whole grid where its edges leave the Earth. A
    grid over a pole reaches it and holds every longitude.

    Raises ``Unreadable`` where no place of it lies on the Earth.
    """
    return _box(frame, _PER_SIDE, _CLOSER)


@lru_cache(maxsize=4096)
def doubt(frame: Frame) -> tuple[float, float]:
    """Degrees (x, y) by which a box is off that is taken from a few places of each edge, as most tools do.

    Raises ``Unreadable`` where no place of the grid lies on the Earth.
    """
    box, few = lonlat_box(frame), _box(frame, _FEW, closer=0)
    x, y = (max(apart(box[side], few[side]) for side in sides) for sides in ((0, 2), (1, 3)))
    return x, y


def _box(frame: Frame, per_side: int, closer: int) -> Box:
    along = np.arange(4 * per_side) / per_side
    points = frame.ring(along)
    for _ in range(_ROUNDS if closer else 0):
        if np.isfinite(points).all():
            along = _closer(along, points, closer)
            points = frame.ring(along)
    arcs, lats = _arcs(points, np.roll(points, -1, axis=0)), points[:, 1]
    leaves = not np.isfinite(points).all()
    if leaves or (np.abs(lats) > POLE - ROUND).any():  # a pole on an edge has every longitude, and none
        more, heights = _over_all(frame, _INSIDE if leaves else _FEW)
        arcs, lats = np.vstack([arcs, more]), np.concatenate([lats[np.isfinite(lats)], heights])
    return _with_poles(frame, arcs, lats)


def _with_poles(frame: Frame, arcs: Array, lats: Array) -> Box:
    """A pole that lies within a grid or on its edge is reached; one that is a place within it has every longitude."""
    reached = [pole for pole in projection_of(frame.crs).poles if _within(frame, pole, _EDGE).any()]
    every = any(pole.is_point and _within(frame, pole, -ROUND).all() for pole in reached)
    latitudes = [float(lats.min()), float(lats.max()), *(pole.latitude for pole in reached)]
    circle = np.array([[-HALF, CIRCLE]])
    return box_of_arcs(circle if every or not arcs.size else arcs, min(latitudes), max(latitudes))


def _within(frame: Frame, pole: Pole, slack: float) -> Mask:
    u, v = frame.fractions(pole.places)
    within: Mask = (np.minimum(u, v) >= -slack) & (np.maximum(u, v) <= 1 + slack)
    return within


def _closer(along: Array, ring: Array, more_places: int) -> Array:
    """More places along the edges, on either side of those that reach farthest to each side."""
    lons, lats = ring.T
    arcs = arcs_between(lons, np.roll(lons, -1))
    west, width = smallest_arc(arcs) if arcs.size else (-HALF, CIRCLE)
    ahead = (lons - west + HALF - width / 2) % CIRCLE  # the middle of the arc at 180
    farthest = {int(index) for index in (lats.argmin(), lats.argmax(), ahead.argmin(), ahead.argmax())}
    more = [along]
    for index in farthest:
        before, here = along[index - 1], along[index]
        after = along[(index + 1) % along.size]
        before, after = before - 4 * (before > here), after + 4 * (after < here)
        more.append(np.linspace(before, after, 2 * more_places + 1) % 4)
    return np.unique(np.concatenate(more))


# --- grids that leave the Earth ---------------------------------------------------------------------------------------


@lru_cache(maxsize=2)  # its box, and how far it is in doubt
def _over_all(frame: Frame, across: int) -> tuple[Array, Array]:
    """Arcs of longitude between neighbours all over a grid, and latitudes: of what lies on the Earth, to its limb."""
    t = np.linspace(0, 1, across + 1)
    u, v = np.meshgrid(t, t)
    points = frame.lonlat(u.ravel(), v.ravel()).reshape(*u.shape, 2)
    seen = np.isfinite(points).all(axis=-1)
    if not seen.any():
        raise Unreadable(
            "no cell of the grid lies on the Earth", "set source.crs with override: true to the CRS of the data"
        )
    arcs, lats = [], [points[seen][:, 1]]
    for axis in (0, 1):
        first, second = _pairs(points, axis)
        on, limb = _limb(frame, np.stack([u, v]), seen, axis)
        arcs += [_arcs(first.reshape(-1, 2), second.reshape(-1, 2)), _arcs(on, limb)]
        lats.append(limb[:, 1])
    return np.vstack(arcs), np.concatenate(lats)


def _arcs(first: Array, second: Array) -> Array:
    """Arcs between pairs of places that are both on the Earth and no pole."""
    known = np.isfinite(first + second).all(axis=1) & (np.abs(first[:, 1]) < POLE - ROUND)
    known &= np.abs(second[:, 1]) < POLE - ROUND
    return arcs_between(first[known, 0], second[known, 0])


def _pairs(values: Any, axis: int) -> tuple[Any, Any]:
    """All of an array but the last, and all but the first along an axis: neighbours."""
    last = values.shape[axis] - 1
    return np.take(values, range(last), axis), np.take(values, range(1, last + 1), axis)


def _limb(frame: Frame, places: Array, seen: Mask, axis: int) -> tuple[Array, Array]:
    """Places on the Earth beside one off it, and the last places on it between the two, by bisection."""
    (first, second), (here, there) = _pairs(places, axis + 1), _pairs(seen, axis)
    border = here != there
    on = np.where(here, first, second)[:, border]
    off = np.where(here, second, first)[:, border]
    start = frame.lonlat(*on)
    for _ in range(_BISECTIONS):
        middle = (on + off) / 2
        is_on = np.isfinite(frame.lonlat(*middle)).all(axis=1)
        on, off = np.where(is_on, middle, on), np.where(is_on, off, middle)
    return start, frame.lonlat(*on)
