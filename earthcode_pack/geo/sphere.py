"""Cells and places on the sphere as rings in the plane of longitude and latitude, and their boxes: pure arithmetic.

Degrees throughout. A ring is an (n, 2) array, not closed, of longitudes *without jumps* and latitudes: its longitudes
may lie beyond ±180, and where it goes round a pole, or touches one, it runs along the whole edge ±90 of the plane.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.geo.box import CIRCLE, HALF, POLE, ROUND, box_of_arcs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.geo.box import Array, Box

Index = np.ndarray[Any, np.dtype[np.intp]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_AT_POLE = 1e-7  # degrees: a centimetre
_TILES = 16  # along each axis: a tile is small on the Earth, so that its ring is simple in the plane
_SAMPLE = 64  # cells that tell in which order vertices come
_SIDES = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)])  # the corners of a cell, by row and column, in turn


def box_of_rings(rings: Iterable[Array]) -> Box:
    """Returns the smallest box that contains all rings, or lines without jumps in longitude."""
    every = list(rings)
    south, north = min(ring[:, 1].min() for ring in every), max(ring[:, 1].max() for ring in every)
    arcs = [(float(ring[:, 0].min()), float(np.ptp(ring[:, 0]))) for ring in every]
    return box_of_arcs(arcs, float(south), float(north))


def box_of_places(lon: Array, lat: Array) -> Box:
    """Returns the smallest box that contains all places, given by longitudes and latitudes of one shape."""
    every = np.unique(lon % CIRCLE)
    return box_of_arcs(np.column_stack([every, np.zeros_like(every)]), float(lat.min()), float(lat.max()))


# --- directions -----------------------------------------------------------------------------------------------------


def vectors(lon: Array, lat: Array) -> Array:
    """Returns unit vectors (…, 3) towards places, NaN for missing ones."""
    lam, phi = np.radians(lon, dtype=np.float64), np.radians(lat, dtype=np.float64)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def degrees(towards: Array) -> tuple[Array, Array]:
    """Returns longitudes and latitudes of vectors (…, 3) of any length."""
    x, y, z = np.moveaxis(towards, -1, 0)
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


# --- cells ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cells:
    """Cells in rows and columns by their centres, NaN where a place is missing; both arrays (rows, columns).

    ``vertices`` are longitudes and latitudes (rows, columns, 4), ``order`` says which of them is which corner, in the
    order of ``_SIDES``; ``edges`` are those of a grid in plain longitude and latitude (columns + 1, rows + 1). Without
    either, cells end half way to their neighbours, and, at the border, as far beyond the centre as on its other side.
    """

    lon: Array
    lat: Array
    vertices: tuple[Array, Array] | None = None
    order: tuple[int, ...] = (0, 1, 2, 3)
    edges: tuple[Array, Array] | None = None

    @property
    def valid(self) -> Mask:
        """Mask of the cells that have a place."""
        here: Mask = np.isfinite(self.lon) & np.isfinite(self.lat)
        if self.vertices is None:
            return here
        corners = np.isfinite(self.vertices[0]).all(axis=-1) & np.isfinite(self.vertices[1]).all(axis=-1)
        return here & corners

    def corners(self, rows: Index, columns: Index, sides: Index) -> tuple[Array, Array]:
        """Returns longitudes and latitudes of one corner of each of some valid cells."""
        if self.vertices is not None:
            place = rows, columns, np.array(self.order)[sides]
            return self.vertices[0][place].astype(np.float64), self.vertices[1][place].astype(np.float64)
        down, right = _SIDES[sides].T
        if self.edges is not None:
            return self.edges[0][columns + (right > 0)], self.edges[1][rows + (down > 0)]
        return degrees(self._half_way(rows, columns, down, right))

    def _half_way(self, rows: Index, columns: Index, down: Index, right: Index) -> Array:
        """Returns the middle of four centres, as vectors."""
        nowhere = np.zeros_like(down)
        here = self._towards(rows, columns)
        beside = self._next(here, rows, columns, nowhere, right)
        below = self._next(here, rows, columns, down, nowhere)
        across = self._towards(rows + down, columns + right)
        across = np.where(np.isfinite(across), across, beside + below - here)
        return np.asarray(here + beside + below + across)

    def _next(self, here: Array, rows: Index, columns: Index, down: Index, right: Index) -> Array:
        """Returns the neighbour; where there is none, the opposite one turned about the centre."""
        there = self._towards(rows + down, columns + right)
        opposite = self._towards(rows - down, columns - right)
        turned = 2 * (here * opposite).sum(axis=-1, keepdims=True) * here - opposite
        turned = np.where(np.isfinite(turned), turned, here)
        return np.where(np.isfinite(there), there, turned)

    def _towards(self, rows: Index, columns: Index) -> Array:
        height, width = self.lon.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        places = rows.clip(0, height - 1), columns.clip(0, width - 1)
        return vectors(np.where(inside, self.lon[places], np.nan), np.where(inside, self.lat[places], np.nan))


def cells_of(lon: Array, lat: Array, vertices: tuple[Array, Array] | None = None) -> Cells:
    """Makes cells from centres and vertices.

    Args:
        lon: longitudes of the centres (rows, columns).
        lat: latitudes of the centres.
        vertices: longitudes and latitudes (rows, columns, 4) in any order that goes round the cell.

    Raises:
        ValueError: there are no vertices, and a single row or column leaves the size of cells unknown.

    """
    cells = Cells(lon, lat)
    if vertices is not None:
        return replace(cells, vertices=vertices, order=_order(cells, vertices))
    if min(lon.shape) == 1:
        raise ValueError("one row or column")
    return replace(cells, edges=_plain_edges(lon, lat))


def _order(cells: Cells, vertices: tuple[Array, Array]) -> tuple[int, ...]:
    """Finds the order of the vertices in which they lie nearest to the corners that the centres suggest."""
    rows, columns = np.nonzero(replace(cells, vertices=vertices).valid)
    step = max(1, rows.size // _SAMPLE)
    rows, columns = rows[::step], columns[::step]
    guessed = [vectors(*cells.corners(rows, columns, np.full(rows.size, side))) for side in range(4)]
    given = [vectors(vertices[0][rows, columns, k], vertices[1][rows, columns, k]) for k in range(4)]
    apart = np.array([[np.abs(a - b).sum() for b in given] for a in guessed])
    turns = [order for order in permutations(range(4)) if (order[2] - order[0]) % 4 == 2]  # noqa: PLR2004 - opposite
    return min(turns, key=lambda order: sum(apart[side, k] for side, k in enumerate(order)))


def _plain_edges(lon: Array, lat: Array) -> tuple[Array, Array] | None:
    """Returns edges (columns + 1, rows + 1) where longitudes differ by column alone and latitudes by row alone."""
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    if np.abs(lon - lon[:1]).max() > ROUND or np.abs(lat - lat[:, :1]).max() > ROUND:
        return None
    columns, rows = lon[0].astype(np.float64), lat[:, 0].astype(np.float64)
    return _between(np.unwrap(columns, period=CIRCLE)), _between(rows).clip(-POLE, POLE)


def _between(centres: Array) -> Array:
    middles = (centres[:-1] + centres[1:]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def rings_of(cells: Cells, per_side: int | None = None) -> Iterator[Array]:
    """Yields rings that together cover the cells: of tiles, small enough that each is simple in the plane.

    Args:
        cells: the cells; in a tile, all between the first and the last valid cell of a row counts as covered.
        per_side: number of cells along each side of a complete tile whose corners are kept, all by default.

    """
    height, width = cells.lon.shape
    valid = cells.valid
    for top, bottom in _cuts(height):
        for left, right in _cuts(width):
            within = valid[top:bottom, left:right]
            if within.any():
                rows, columns, sides = _hull(within, per_side if within.all() else None)
                yield plane_ring(*cells.corners(rows + top, columns + left, sides))


def _cuts(size: int) -> Iterator[tuple[int, int]]:
    at = np.unique(np.linspace(0, size, min(size, _TILES) + 1).astype(int))
    return zip(at[:-1].tolist(), at[1:].tolist(), strict=True)


def _hull(valid: Mask, per_side: int | None) -> tuple[Index, Index, Index]:
    """Returns corners (row, column, side) around the valid cells of a tile, clockwise as the array is printed."""
    rows = np.flatnonzero(valid.any(axis=1))
    rows = rows[_some(rows.size, per_side)]
    first = valid[rows].argmax(axis=1)
    last = valid.shape[1] - 1 - valid[rows, ::-1].argmax(axis=1)
    top, bottom = (first[end] + _some(last[end] - first[end] + 1, per_side) for end in (0, -1))
    parts = [
        (np.full(top.size, rows[0]), top, (0, 1)),
        (rows, last, (1, 2)),
        (np.full(bottom.size, rows[-1]), bottom[::-1], (2, 3)),
        (rows[::-1], first[::-1], (3, 0)),
    ]
    row, column = (np.concatenate([np.repeat(part[axis], 2) for part in parts]) for axis in (0, 1))
    return row, column, np.concatenate([np.tile(side, along.size) for along, _, side in parts])


def _some(size: int, most: int | None) -> Index:
    return np.unique(np.linspace(0, size - 1, min(size, most or size)).astype(int))


# --- rings in the plane ---------------------------------------------------------------------------------------------


def plane_ring(lon: Array, lat: Array) -> Array:
    """Returns a closed path on the sphere as a ring in the plane.

    A path round a pole is closed along that pole; one that touches a pole, along the part of it that it spans.

    Args:
        lon: longitudes of the path, which spans less than 180° unless it goes round a pole.
        lat: its latitudes.

    """
    leap = np.abs((np.roll(lon, -1) - lon + HALF) % CIRCLE - HALF) > HALF - ROUND
    near = np.abs(lat + np.roll(lat, -1)) > 2 * POLE - 2  # within a degree or so
    after = np.flatnonzero(leap & near & (np.abs(lat) < POLE - _AT_POLE)) + 1
    # insert the pole between two places on opposite meridians near it
    lon, lat = np.insert(lon, after, lon[after - 1]), np.insert(lat, after, np.copysign(POLE, lat[after - 1]))
    at_pole = np.abs(lat) > POLE - _AT_POLE
    if at_pole.all():
        return np.column_stack([lon, lat])
    if at_pole.any():
        return _from_pole(lon, lat, at_pole)
    around = np.unwrap(np.append(lon, lon[0]), period=CIRCLE)
    if abs(around[-1] - around[0]) < HALF:
        return np.column_stack([around[:-1], lat])
    pole = float(np.copysign(POLE, lat.mean()))
    ring = np.column_stack([around, np.append(lat, lat[0])])
    return np.vstack([ring, [[around[-1], pole], [around[0], pole]]])


def _from_pole(lon: Array, lat: Array, at_pole: Mask) -> Array:
    """Gives each pole, which has every longitude, those of its neighbours before and after."""
    start = -int(np.flatnonzero(at_pole & ~np.roll(at_pole, -1))[0])  # from a place at the pole on to one that is not
    lon, lat, at_pole = np.roll(lon, start), np.roll(lat, start), np.roll(at_pole, start)
    away = np.flatnonzero(~at_pole)
    around, points = np.unwrap(lon[away], period=CIRCLE), []
    for index, before in enumerate(np.searchsorted(away, np.arange(lon.size))):
        if at_pole[index]:
            sides = around[max(before - 1, 0) : before + 1]
            points += [(side, float(np.copysign(POLE, lat[index]))) for side in sides]
        else:
            points.append((around[before], lat[index]))
    return np.array([*points, (around[-1], float(np.copysign(POLE, lat[0])))])
