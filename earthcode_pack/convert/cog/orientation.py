"""Orientation of a grid for a COG: north-up, west to east and within ±180. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pyproj import CRS

from earthcode_pack.geo.box import CIRCLE, HALF

if TYPE_CHECKING:
    from earthcode_pack.model import Grid

_CELL = 0.01  # a hundredth of a cell is rounding


@dataclass(frozen=True)
class Orientation:
    """``flip`` the rows and ``mirror`` the columns, then move the first ``roll`` columns to the end.

    ``grid`` is what results, and ``changes`` says it in words.
    """

    flip: bool
    mirror: bool
    roll: int
    grid: Grid
    changes: tuple[str, ...]

    @property
    def is_identity(self) -> bool:
        """Tells whether cells stay where they are in the file."""
        return not (self.flip or self.mirror or self.roll)


@lru_cache(maxsize=1024)
def orientation(grid: Grid) -> Orientation:
    """Turns a regular grid north-up and, where it covers the globe from 0 to 360, to -180 to 180.

    A grid wholly east of 180 is named by its western longitudes: the same cells, no value moves. One that is rotated
    stays as it is.
    """
    assert grid.transform is not None, "only regular grids have an orientation"
    a, b, c, d, e, f = grid.transform
    if b != 0 or d != 0:
        return Orientation(flip=False, mirror=False, roll=0, grid=grid, changes=())
    height, width = grid.shape
    changes: list[str] = []
    if flip := e > 0:
        f, e = f + e * height, -e
        changes.append("rows flipped: north is up")
    if mirror := a < 0:
        c, a = c + a * width, -a
        changes.append("columns mirrored: west is left")
    roll, c = _roll(width, a, c, changes) if CRS.from_wkt(grid.crs).is_geographic else (0, c)
    turned = {"transform": (a, b, c, d, e, f), "bounds": (c, f + e * height, c + a * width, f)}
    return Orientation(flip, mirror, roll, grid.model_copy(update=turned), tuple(changes))


def _roll(width: int, step: float, west: float, changes: list[str]) -> tuple[int, float]:
    """Returns the columns to move, and the western edge that results."""
    rounding = _CELL * step
    is_circle = abs(width * step - CIRCLE) <= rounding
    if is_circle and west + HALF > step / 2 + rounding and west < HALF:
        columns = round((HALF - west) / step)
        changes.append(f"columns rolled by {columns}: longitudes from 0…360 to -180…180")
        return columns % width, west + columns * step - CIRCLE
    if west >= HALF - rounding:
        changes.append("longitudes above 180 named as west of Greenwich")
        return 0, west - CIRCLE
    return 0, west
