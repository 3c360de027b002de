"""One digest for grids that are one: axes of files differ by the rounding of their types, float32 beside float64."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earthcode_pack.model import Grid, Source

SAME = 0.01  # of a cell; a coordinate in float32 is off its place by about 1e-7 of its size
Place = tuple[str, tuple[int, int], int, int]


def on_shared_grids(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """The sources, each with the digest of the first one whose cells are its own to a hundredth of a cell."""
    known: dict[Place, list[Grid]] = {}
    return tuple(_with_known_digest(source, known) for source in sources)


def cells_apart(one: Grid, other: Grid) -> float | None:
    """Distance of the outer edges of two grids, in cells of the first; None where they do not compare."""
    if one.transform is None or other.transform is None or (one.shape, one.crs) != (other.shape, other.crs):
        return None
    width, height = _cell(one)
    offsets = [abs(a - b) for a, b in zip(one.bounds, other.bounds, strict=True)]
    return max(max(offsets[0::2]) / width, max(offsets[1::2]) / height)


def _with_known_digest(source: Source, known: dict[Place, list[Grid]]) -> Source:
    grid = source.grid
    if grid.transform is None or grid.kind != "grid":
        return source
    width, height = _cell(grid)
    column, row = round(grid.bounds[0] / width), round(grid.bounds[1] / height)
    for dx, dy in product((0, -1, 1), repeat=2):
        for other in known.get((grid.crs, grid.shape, column + dx, row + dy), ()):
            apart = cells_apart(other, grid)
            if apart is not None and apart <= SAME and _turns(other) == _turns(grid):
                if other.digest == grid.digest:
                    return source
                return source.model_copy(update={"grid": grid.model_copy(update={"digest": other.digest})})
    known.setdefault((grid.crs, grid.shape, column, row), []).append(grid)
    return source


def _cell(grid: Grid) -> tuple[float, float]:
    (rows, columns), (west, south, east, north) = grid.shape, grid.bounds
    return (east - west) / columns or 1.0, (north - south) / rows or 1.0


def _turns(grid: Grid) -> tuple[bool, ...]:
    """The signs of the transform, by which rows run north or south; rotated grids of one box are told by them."""
    assert grid.transform is not None, "irregular grids keep their digest"
    return tuple(value > 0 for value in (*grid.transform[:2], *grid.transform[3:5]))
