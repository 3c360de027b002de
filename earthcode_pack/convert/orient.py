"""North-up and within ±180: how a grid is turned for a COG. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyproj import CRS

if TYPE_CHECKING:
    from earthcode_pack.model import Grid

_CIRCLE = 360.0
_CELL = 0.01  # a hundredth of a cell is rounding


@dataclass(frozen=True)
class Orientation:
    """``flip`` the rows, then move the first ``roll`` columns to the end; ``grid`` is what results."""

    flip: bool
    roll: int
    grid: Grid
    changes: tuple[str, ...]

    @property
    def is_identity(self) -> bool:
        """Whether cells stay where they are in the file."""
        return not self.flip and not self.roll


def orientation(grid: Grid) -> Orientation:
    """How a regular grid becomes north-up and, where it covers the globe from 0 to 360, runs from −180 to 180.

    A grid wholly east of 180 is named by its western longitudes: the same cells, no value moves.
    """
    assert grid.transform is not None, "only regular grids have an orientation"
    a, b, c, d, e, f = grid.transform
    changes: list[str] = []
    flip = e > 0 and b == d == 0
    if flip:
        f, e = f + e * grid.shape[0], -e
        changes.append("rows flipped: north is up")
    roll, c = _roll(grid, a, c, changes) if _is_geographic(grid) and b == d == 0 and a > 0 else (0, c)
    width, height = grid.shape[1], grid.shape[0]
    bounds = (c, f + e * height, c + a * width, f) if b == d == 0 and a > 0 and e < 0 else grid.bounds
    turned = grid.model_copy(update={"transform": (a, b, c, d, e, f), "bounds": bounds})
    return Orientation(flip, roll, turned, tuple(changes))


def _is_geographic(grid: Grid) -> bool:
    return CRS.from_wkt(grid.crs).is_geographic


def _roll(grid: Grid, step: float, west: float, changes: list[str]) -> tuple[int, float]:
    """Columns to move, and the western edge that results."""
    width = grid.shape[1]
    half = _CIRCLE / 2
    is_circle = abs(width * step - _CIRCLE) < _CELL * step * width
    beyond = west + width * step - half
    if is_circle and beyond > _CELL * step:
        columns = round((half - west) / step)
        changes.append(f"columns rolled by {columns}: longitudes from 0…360 to −180…180")
        return columns % width, west + columns * step - _CIRCLE
    if west >= half - _CELL * step:
        changes.append("longitudes above 180 named as west of Greenwich")
        return 0, west - _CIRCLE
    return 0, west
