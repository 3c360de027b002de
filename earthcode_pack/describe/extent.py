"""The box and the footprint of what was written, by its grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.geo import extent, outline
from earthcode_pack.geo.extent import Frame

if TYPE_CHECKING:
    from earthcode_pack.geo.box import Box
    from earthcode_pack.model import Grid


def frame_of(grid: Grid) -> Frame:
    """The outer edges of a grid in its CRS."""
    if grid.transform is None:
        return Frame.of_bounds(grid.crs, grid.bounds)
    return Frame.of_transform(grid.crs, grid.transform, grid.shape)


def lonlat_box(grid: Grid) -> Box:
    """The box of the outer cell edges, or of the places of data that have no cells."""
    return grid.lonlat if grid.lonlat is not None else extent.lonlat_box(frame_of(grid))


def footprint_of(grid: Grid) -> dict[str, Any]:
    """The footprint of a grid as GeoJSON, cut at the antimeridian (RFC 7946, 3.1.9).

    A path is a line, single places are points.
    """
    return outline.geojson(grid.outline) if grid.outline is not None else outline.outline(frame_of(grid))
