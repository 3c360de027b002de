"""The outline of the valid pixels, for ``product.footprint: data``: from a decimated mask, so memory stays small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.describe.extent import frame_of, lonlat_box
from earthcode_pack.formats import format_of
from earthcode_pack.geo.box import is_full_circle
from earthcode_pack.geo.crs import crs_of
from earthcode_pack.geo.outline import cut_rings

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from earthcode_pack.model import Artifact, Grid

_LONG_SIDE = 1024  # pixels of the mask
_CUT = 0.75  # pixels: a staircase of 45 degrees, taken at its corners, becomes a straight line
_MOST = 200  # corners; an outline with more is drawn coarser
_SEGMENTS = 64  # along a side of the grid: straight lines in one CRS are curves in the other

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def footprint(path: Path, artifact: Artifact) -> dict[str, Any] | None:
    """GeoJSON (RFC 7946) around every valid pixel of an artifact's first variable, holes filled.

    Wider than the data by a pixel of the mask at most (more where there are many small parts), and never beyond the
    grid. Of a cube, the first step with valid data. None where no pixel is valid, where the grid has no constant cell
    size, and where it goes round a pole or leaves the Earth: then the outline of the grid is what there is.
    """
    grid = artifact.grid
    if grid.transform is None or _goes_round(grid):
        return None
    mask = _raster_mask(path) if format_of(artifact.format).is_raster else _cube_mask(path, artifact)
    if not mask.any():
        return None
    rings = _rings(_outline(mask), mask.shape, grid)
    return cut_rings(rings) if all(np.isfinite(ring).all() for ring in rings) else None


def _goes_round(grid: Grid) -> bool:
    return is_full_circle(lonlat_box(grid)) and not crs_of(grid.crs).is_geographic


def _raster_mask(path: Path) -> Mask:
    import rasterio  # noqa: PLC0415 - heavy

    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(path, driver="GTiff") as raster:
        factor = max(1, -(-max(raster.shape) // _LONG_SIDE))
        shape = tuple(-(-side // factor) for side in raster.shape)
        valid: Mask = raster.dataset_mask(out_shape=shape) > 0
        if np.dtype(raster.dtypes[0]).kind == "f":
            valid &= np.isfinite(raster.read(1, out_shape=shape))
    return _spread(valid) if factor > 1 else valid


def _cube_mask(path: Path, artifact: Artifact) -> Mask:
    """In the order of the file; previews are read from north to south and from west to east."""
    from earthcode_pack.describe.preview_read import read_field  # noqa: PLC0415 - heavy

    field = read_field(path, artifact.format, artifact.variables[0], artifact.grid.dims)
    a, _, _, _, e, _ = artifact.grid.transform or (1, 0, 0, 0, -1, 0)
    valid: Mask = ~np.ma.getmaskarray(field.values[0])[:: -1 if e > 0 else 1, :: -1 if a < 0 else 1]
    return _spread(valid) if valid.shape != artifact.grid.shape else valid


def _spread(mask: Mask) -> Mask:
    """A pixel more all around: what was between the pixels that were looked at is held."""
    padded = np.pad(mask, 1)
    rows, columns = mask.shape
    shifted = [padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    spread: Mask = np.logical_or.reduce(shifted)
    return spread


def _outline(mask: Mask) -> BaseGeometry:
    """In pixels, column to the right and row down: outer rings around every valid pixel, exact where they are plain."""
    from rasterio.features import shapes  # noqa: PLC0415 - heavy
    from shapely.geometry import box, shape  # noqa: PLC0415
    from shapely.ops import unary_union  # noqa: PLC0415

    found = [shape(geometry) for geometry, _ in shapes(mask.astype("uint8"), mask=mask, connectivity=8)]
    drawn = _filled(unary_union([part.buffer(0) for part in found])).simplify(0)
    reach = _CUT
    while _corners(drawn) > _MOST and reach < max(mask.shape):
        drawn = _filled(drawn.simplify(reach).buffer(reach, join_style="mitre")).simplify(reach / 4)
        reach *= 2
    return drawn.intersection(box(0, 0, mask.shape[1], mask.shape[0]))


def _filled(geometry: BaseGeometry) -> BaseGeometry:
    from shapely.geometry import Polygon  # noqa: PLC0415 - heavy
    from shapely.ops import unary_union  # noqa: PLC0415

    return unary_union([Polygon(part.exterior) for part in _polygons(geometry)])


def _polygons(geometry: BaseGeometry) -> list[Any]:
    return [part for part in getattr(geometry, "geoms", [geometry]) if part.geom_type == "Polygon"]


def _corners(geometry: BaseGeometry) -> int:
    return sum(len(part.exterior.coords) for part in _polygons(geometry))


def _rings(geometry: BaseGeometry, shape: tuple[int, ...], grid: Grid) -> list[NDArray[np.float64]]:
    """The outer rings in longitude and latitude, with so many points that they stay true."""
    dense = geometry.segmentize(max(shape) / _SEGMENTS)
    rings = [np.asarray(part.exterior.coords)[:-1] for part in _polygons(dense)]
    return [frame_of(grid).lonlat(*(ring / np.array([shape[1], shape[0]])).T) for ring in rings]
