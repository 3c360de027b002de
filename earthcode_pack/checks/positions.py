"""Where data lie that have latitudes and longitudes of their own (CF 5, 9): swaths, tracks, points."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from earthcode_pack.cf.places import cells_at, places_at
from earthcode_pack.cf.roles import bounds_of
from earthcode_pack.checks.limits import DECODED
from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.sphere import box_of_places, box_of_rings, rings_of, vectors

if TYPE_CHECKING:
    import xarray as xr

    from earthcode_pack.cf.axes import Axes
    from earthcode_pack.geo.box import Array, Box

_PLACE = 0.01  # degrees, a kilometre: a place has no size, and boxes are rounded or widened a little


class Located(NamedTuple):
    """``shape`` of cells, None for places; ``spread`` of a cell in degrees, ``doubt`` of the box (x, y)."""

    shape: tuple[int, int] | None
    lonlat: Box | None
    spread: tuple[float, float]
    doubt: tuple[float, float]


def located(dataset: xr.Dataset, axes: Axes) -> Located:
    """The places of data that do not lie on axes; without a box where there are too many to read.

    Raises ``Unreadable`` where a place is beyond the Earth, or none is known.
    """
    bounds = {bounds_of(dataset[name].attrs) for name in axes.places} & {*dataset.variables}
    if max(dataset[name].size for name in (*axes.places, *bounds)) * 8 > DECODED:
        return Located(None, None, (0.0, 0.0), (0.0, 0.0))
    lon, lat = places_at(dataset, axes)
    if axes.kind != "curvilinear":
        return _places(lon, lat)
    try:
        cells, has_vertices = cells_at(dataset, axes, lon, lat)
    except Unreadable:  # a single row
        return _places(lon, lat)
    box = box_of_rings(rings_of(cells))
    size = _size(lon, lat, box)
    doubt = (0.0, 0.0) if has_vertices else (size[0] / 2, size[1] / 2)  # where cells end is a matter of opinion
    return Located((lat.shape[0], lat.shape[1]), box, size, doubt)


def _places(lon: Array, lat: Array) -> Located:
    there = np.isfinite(lon) & np.isfinite(lat)
    return Located(None, box_of_places(lon[there], lat[there]), (_PLACE, _PLACE), (0.0, 0.0))


def _size(lon: Array, lat: Array, box: Box) -> tuple[float, float]:
    """A cell in degrees of longitude and latitude, roughly: the longer of the median sides."""
    towards = vectors(lon, lat)
    sides = [np.linalg.norm(np.diff(towards, axis=axis), axis=-1) for axis in (0, 1)]
    side = max((float(np.degrees(np.nanmedian(each))) for each in sides if np.isfinite(each).any()), default=0.0)
    shrink = max(np.cos(np.radians(max(abs(box[1]), abs(box[3])))), 0.01)
    return min(side / float(shrink), 360.0), side
