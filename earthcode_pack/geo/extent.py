"""Bounding boxes in longitude and latitude of grids in any CRS, by their outer edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.box import CIRCLE, HALF, POLE, ROUND, Box, apart, arcs_between, box_of_arcs, smallest_arc
from earthcode_pack.geo.crs import projection_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from earthcode_pack.geo.box import Array
    from earthcode_pack.geo.crs import Mask
    from earthcode_pack.model import Grid

_PER_SIDE = 64  # points along an edge: straight lines in one CRS are curves in the other
_CLOSER, _ROUNDS = 16, 2  # further points on either side of each extreme, and how often they are added
_FEW = 20  # points along an edge, as PROJ's transform_bounds and most of its users take
_INSIDE = 200  # points across a grid whose edges leave the Earth
_BISECTIONS = 40
_EDGE = 1e-9  # of the grid: tolerance for a pole on its edge


@dataclass(frozen=True)
class Frame:
    """Outer edges of a grid: a parallelogram in the plane of a CRS (WKT).

    ``corner`` is its point at (0, 0), ``right`` and ``down`` are the vectors (dx, dy) along its first row and its first
    column, in the units of the CRS, x before y. Points in it are given as (u, v): fractions of the way right and down.
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

    @classmethod
    def of_grid(cls, grid: Grid) -> Frame:
        """Makes the frame of a grid by its affine, or by its bounds where the cells are not regular."""
        if grid.transform is None:
            return cls.of_bounds(grid.crs, grid.bounds)
        return cls.of_transform(grid.crs, grid.transform, grid.shape)

    @property
    def is_turned(self) -> bool:
        """Tells whether its sides are not parallel to the axes."""
        return self.right[1] != 0 or self.down[0] != 0

    def fractions(self, places: Array) -> tuple[Array, Array]:
        """Returns u and v of points (n, 2) in x and y."""
        (a, d), (b, e) = self.right, self.down
        x, y = (places - np.array(self.corner)).T
        with np.errstate(divide="ignore", invalid="ignore"):  # a grid without width or height holds nothing
            return (e * x - b * y) / np.float64(a * e - b * d), (a * y - d * x) / np.float64(a * e - b * d)

    def lonlat(self, u: Array, v: Array) -> Array:
        """Returns longitudes and latitudes (n, 2) of points in it, NaN off the Earth."""
        x = self.corner[0] + u * self.right[0] + v * self.down[0]
        y = self.corner[1] + u * self.right[1] + v * self.down[1]
        size = max(abs(self.right[0]) + abs(self.down[0]), abs(self.right[1]) + abs(self.down[1]))
        return projection_of(self.crs).lonlat(x, y, size)

    def ring(self, along: Array) -> Array:
        """Returns longitudes and latitudes (n, 2) of points on its edges.

        Args:
            along: number of sides from (0, 0), from 0 to 4: down, right, up and back, which is counter-clockwise where
                rows run from north to south.

        """
        side, t = np.divmod(along, 1)
        one, zero = np.ones_like(t), np.zeros_like(t)
        u = np.choose(side.astype(int), [zero, t, one, 1 - t])
        v = np.choose(side.astype(int), [t, one, 1 - t, zero])
        return self.lonlat(u, v)


def grid_box(grid: Grid) -> Box:
    """Returns the box of the outer cell edges, or of the places of data without cells, in longitude and latitude.

    Raises:
        Unreadable: no part of the grid lies on the Earth.

    """
    return Box(*grid.lonlat) if grid.lonlat is not None else lonlat_box(Frame.of_grid(grid))


@lru_cache(maxsize=4096)  # many scenes share one grid
def lonlat_box(frame: Frame) -> Box:
    """Returns the box of the part of a grid that lies on the Earth, in longitude and latitude.

    The edges are sampled, more densely near the extremes; where they leave the Earth the whole grid is sampled. The box
    of a grid that contains a pole reaches it and has every longitude.

    Raises:
        Unreadable: no part of the grid lies on the Earth.

    """
    return _box(frame, _PER_SIDE, _CLOSER)


@lru_cache(maxsize=4096)
def doubt(frame: Frame) -> tuple[float, float]:
    """Returns the error in degrees (x, y) of a box that is sampled coarsely along the edges, as most tools do.

    Raises:
        Unreadable: no part of the grid lies on the Earth.

    """
    box, few = lonlat_box(frame), _box(frame, _FEW, closer=0)
    x, y = (max(apart(box[side], few[side]) for side in sides) for sides in ((0, 2), (1, 3)))
    return x, y


def _box(frame: Frame, per_side: int, closer: int) -> Box:
    along = np.arange(4 * per_side) / per_side
    points = frame.ring(along)
    for _ in range(_ROUNDS if closer else 0):
        if np.isfinite(points).all():
            along = _refined(along, points, closer)
            points = frame.ring(along)
    arcs, lats = _arcs(points, np.roll(points, -1, axis=0)), points[:, 1]
    leaves = not np.isfinite(points).all()
    if leaves or (np.abs(lats) > POLE - ROUND).any():  # a pole on an edge has every longitude, and none
        more, heights = _over_all(frame, _INSIDE if leaves else _FEW)
        arcs, lats = np.vstack([arcs, more]), np.concatenate([lats[np.isfinite(lats)], heights])
    return _with_poles(frame, arcs, lats)


def _with_poles(frame: Frame, arcs: Array, lats: Array) -> Box:
    """Extends a box to the poles in the grid or on its edge; a pole that is a point within it has every longitude."""
    latitudes, every = [float(lats.min()), float(lats.max())], False
    for pole in projection_of(frame.crs).poles:
        u, v = frame.fractions(pole.places)
        low, high = np.minimum(u, v), np.maximum(u, v)
        if ((low >= -_EDGE) & (high <= 1 + _EDGE)).any():
            latitudes.append(pole.latitude)
            every |= pole.is_point and bool(((low >= ROUND) & (high <= 1 - ROUND)).all())
    circle = np.array([[-HALF, CIRCLE]])
    return box_of_arcs(circle if every or not arcs.size else arcs, min(latitudes), max(latitudes))


def _refined(along: Array, ring: Array, more_places: int) -> Array:
    """Adds points along the edges, on either side of the westernmost, easternmost, southernmost and northernmost."""
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


def _arcs(first: Array, second: Array) -> Array:
    """Returns the arcs between pairs of points that are both on the Earth and not at a pole."""
    known = np.isfinite(first + second).all(axis=1) & (np.abs(first[:, 1]) < POLE - ROUND)
    known &= np.abs(second[:, 1]) < POLE - ROUND
    return arcs_between(first[known, 0], second[known, 0])


# --- grids that leave the Earth ---------------------------------------------------------------------------------------


@lru_cache(maxsize=2)  # its box, and how far it is in doubt
def _over_all(frame: Frame, across: int) -> tuple[Array, Array]:
    """Returns arcs of longitude between neighbours all over a grid, and latitudes, of what lies on the Earth."""
    t = np.linspace(0, 1, across + 1)
    u, v = np.meshgrid(t, t)
    points = frame.lonlat(u.ravel(), v.ravel()).reshape(*u.shape, 2)
    seen = np.isfinite(points).all(axis=-1)
    if not seen.any():
        raise Unreadable(
            "no cell of the grid lies on the Earth", "set source.crs with override: true to the CRS of the data"
        )
    arcs, lats = [], [points[seen][:, 1]]
    for one, other in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):  # neighbours by row, by column
        first, second = (np.stack([u[side], v[side]]) for side in (one, other))
        on, limb = _limb(frame, first, second, seen[one], seen[other])
        arcs += [_arcs(points[one].reshape(-1, 2), points[other].reshape(-1, 2)), _arcs(on, limb)]
        lats.append(limb[:, 1])
    return np.vstack(arcs), np.concatenate(lats)


def _limb(frame: Frame, first: Array, second: Array, here: Mask, there: Mask) -> tuple[Array, Array]:
    """Bisects between neighbours of which one is off the Earth; returns the one on it and the last point on it."""
    border = here != there
    on = np.where(here, first, second)[:, border]
    off = np.where(here, second, first)[:, border]
    start = frame.lonlat(*on)
    for _ in range(_BISECTIONS):
        middle = (on + off) / 2
        is_on = np.isfinite(frame.lonlat(*middle)).all(axis=1)
        on, off = np.where(is_on, middle, on), np.where(is_on, off, middle)
    return start, frame.lonlat(*on)
