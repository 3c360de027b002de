"""Outline of the valid pixels, for ``product.footprint: data``: from a decimated mask, so that memory stays small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from earthcode_pack.formats import format_of
from earthcode_pack.geo.box import is_full_circle
from earthcode_pack.geo.crs import crs_of
from earthcode_pack.geo.extent import Frame, grid_box
from earthcode_pack.geo.outline import cut_rings

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.model import Artifact

_LONG_SIDE = 1024  # pixels of the mask
_CUT = 0.75  # pixels: a staircase of 45 degrees, taken at its corners, becomes a straight line
_MOST = 200  # vertices; an outline with more is simplified further
_SEGMENTS = 64  # along a side of the grid: straight lines in one CRS are curves in the other

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def footprint(path: Path, artifact: Artifact) -> dict[str, Any] | None:
    """Returns GeoJSON (RFC 7946) around every valid pixel of an artifact's first variable, holes filled.

    It exceeds the data by a pixel of the mask at most (more where there are many small parts), and never the grid. Of a
    cube, the first step with valid data is taken.

    Args:
        path: the file or store.
        artifact: its description.

    Returns:
        A Polygon or MultiPolygon; None where no pixel is valid, where the grid has no constant cell size, and where it
        goes round a pole or leaves the Earth: then the outline of the grid is to be used.

    """
    grid = artifact.grid
    if grid.transform is None or (is_full_circle(grid_box(grid)) and not crs_of(grid.crs).is_geographic):
        return None
    mask = _raster_mask(path) if format_of(artifact.format).is_raster else _cube_mask(path, artifact)
    if not mask.any():
        return None
    rows, columns = mask.shape
    dense = _outline(mask).segmentize(max(rows, columns) / _SEGMENTS)
    corners = [np.asarray(part.exterior.coords)[:-1] / np.array([columns, rows]) for part in _polygons(dense)]
    rings = [Frame.of_grid(grid).lonlat(*ring.T) for ring in corners]
    return cut_rings(rings) if all(np.isfinite(ring).all() for ring in rings) else None


def _raster_mask(path: Path) -> Mask:
    import rasterio  # noqa: PLC0415 - heavy

    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(path, driver="GTiff") as raster:
        factor = max(1, -(-max(raster.shape) // _LONG_SIDE))
        shape = tuple(-(-side // factor) for side in raster.shape)
        valid: Mask = raster.dataset_mask(out_shape=shape) > 0
        if np.dtype(raster.dtypes[0]).kind == "f":
            valid &= np.isfinite(raster.read(1, out_shape=shape))
    return _dilated(valid) if factor > 1 else valid


def _cube_mask(path: Path, artifact: Artifact) -> Mask:
    """Returns the mask in the order of the file; previews are read from north to south and from west to east."""
    from earthcode_pack.describe.preview_read import read_field  # noqa: PLC0415 - heavy

    field = read_field(path, artifact.format, artifact.variables[0], artifact.grid.dims)
    a, _, _, _, e, _ = artifact.grid.transform or (1, 0, 0, 0, -1, 0)
    valid: Mask = ~np.ma.getmaskarray(field.values[0])[:: -1 if e > 0 else 1, :: -1 if a < 0 else 1]
    return _dilated(valid) if valid.shape != artifact.grid.shape else valid


def _dilated(mask: Mask) -> Mask:
    """Grows the mask by a pixel on all sides, to cover what lies between the sampled pixels."""
    padded = np.pad(mask, 1)
    rows, columns = mask.shape
    shifted = [padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    grown: Mask = np.logical_or.reduce(shifted)
    return grown


def _outline(mask: Mask) -> Any:
    """Returns outer rings around every valid pixel, column to the right and row down; exact for simple outlines."""
    from rasterio.features import shapes  # noqa: PLC0415 - heavy

    found = [shapely.geometry.shape(part) for part, _ in shapes(mask.astype("uint8"), mask=mask, connectivity=8)]
    drawn = _filled(shapely.union_all([part.buffer(0) for part in found])).simplify(0)
    reach = _CUT
    while sum(len(part.exterior.coords) for part in _polygons(drawn)) > _MOST and reach < max(mask.shape):
        drawn = _filled(drawn.simplify(reach).buffer(reach, join_style="mitre")).simplify(reach / 4)
        reach *= 2
    return drawn.intersection(shapely.box(0, 0, mask.shape[1], mask.shape[0]))


def _filled(geometry: Any) -> Any:
    return shapely.union_all([shapely.Polygon(part.exterior) for part in _polygons(geometry)])


def _polygons(geometry: Any) -> list[Any]:
    return [part for part in getattr(geometry, "geoms", [geometry]) if part.geom_type == "Polygon"]
