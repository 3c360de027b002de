"""Cells of one-dimensional x and y, in the units of their CRS: by bounds, or half way between centres (CF 5.6, 7.1).

Clauses are those of the CF conventions 1.11.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.cf import units
from earthcode_pack.cf.missing import packed_alike, unpacked
from earthcode_pack.cf.roles import bounds_of
from earthcode_pack.errors import Unreadable
from earthcode_pack.model import Grid

if TYPE_CHECKING:
    import xarray as xr
    from pyproj import CRS

    from earthcode_pack.cf.axes import Axes

# A coordinate in float32 is off its place by about 1e-7 of its size: regular means within a hundredth of a cell.
_REGULAR = 0.01
_NO_DEGREES = 10_000


def grid_of(dataset: xr.Dataset, axes: Axes, crs: CRS) -> Grid:
    """The cells of a dataset with one-dimensional x and y, from their bounds (CF 7.1) or half way between centres.

    Raises ``Unreadable`` where an axis has no coordinate, where one column or row leaves the cell size unknown, and for
    a geographic CRS with coordinates that are no degrees.
    """
    x, y = (
        edges_of(dataset, dim) * to_units_of(crs, dataset, dim, number) for number, dim in enumerate((axes.x, axes.y))
    )
    _refuse_no_degrees(dataset, axes, crs)
    _refuse_rotated(dataset, axes, crs)
    steps = _step(x), _step(y)
    regular = steps[0] is not None and steps[1] is not None
    return Grid(
        crs=crs.to_wkt(),
        shape=(dataset.sizes[axes.y], dataset.sizes[axes.x]),
        dims=(axes.y, axes.x),
        bounds=(float(x.min()), float(y.min()), float(x.max()), float(y.max())),
        transform=(steps[0], 0.0, float(x[0]), 0.0, steps[1], float(y[0])) if regular else None,
        digest=_digest(crs, dataset[axes.x].values, dataset[axes.y].values),
    )


def to_units_of(crs: CRS, dataset: xr.Dataset, dim: str, number: int) -> float:
    """Factor from the units of coordinates along x (0) or y (1) to those of their CRS: 1000 for km under metres.

    1 where they state none, or one of another kind: metres under degrees are told with the values. Angles of a
    geostationary CRS in metres are those of its scan: metres at the height of the satellite (CF 5.6, appendix F).

    Raises ``Unreadable`` for angles under a CRS in metres that is not geostationary.
    """
    stated = str(dataset[dim].attrs.get("units", "")) if dim in dataset.variables else ""
    if not stated.strip() or len(crs.axis_info) <= number:
        return 1.0
    unit = crs.axis_info[number]  # its factor leads to metres or radians
    size, angle = units.factor(stated, "radian" if crs.is_geographic else "m"), units.factor(stated, "radian")
    if size is None and angle is not None:
        height = _satellite_height(crs)
        if height is None:
            raise Unreadable(
                f"{dim} is an angle in {stated}, and {crs.name} is in {unit.unit_name}",
                "set source.crs to the CRS of the data, with override: true; scan angles need a geostationary one",
            )
        size = angle * height
    scale = 1.0 if size is None else size / unit.unit_conversion_factor
    return 1.0 if math.isclose(scale, 1.0, rel_tol=1e-9) else scale


def _refuse_rotated(dataset: xr.Dataset, axes: Axes, crs: CRS) -> None:
    """Longitudes and latitudes of a rotated pole are none on the Earth."""
    names = {dim: dataset[dim].attrs.get("standard_name") for dim in (axes.x, axes.y) if dim in dataset.variables}
    rotated = [dim for dim, name in names.items() if name in ("grid_longitude", "grid_latitude")]
    if rotated and crs.is_geographic and not crs.is_derived:
        raise Unreadable(
            f"{' and '.join(rotated)} are coordinates of a rotated pole, and {crs.name} has none",
            "give the grid mapping its figure of the Earth, such as earth_radius, and remove source.crs",
        )


def _refuse_no_degrees(dataset: xr.Dataset, axes: Axes, crs: CRS) -> None:
    """Metres read as degrees would claim the whole globe."""
    is_degrees = crs.is_geographic and all(axis.unit_name == "degree" for axis in crs.axis_info[:2])
    for dim in (axes.x, axes.y) if is_degrees else ():
        stated, farthest = str(dataset[dim].attrs.get("units", "")), float(np.abs(unpacked(dataset[dim])).max())
        if units.is_length(stated) or farthest > _NO_DEGREES:
            raise Unreadable(
                f"{dim} reaches {farthest:g} {stated}, and {crs.name} is in degrees",
                "set source.crs to the projection of the data, with override: true",
            )


def edges_of(dataset: xr.Dataset, dim: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The n + 1 cell edges of a one-dimensional coordinate with n values, in its own order and units."""
    if dim not in dataset.variables or dataset[dim].ndim != 1:
        raise Unreadable(
            f"dimension {dim} has no coordinate of its own, nor has each cell a latitude and longitude: the grid is "
            "bare, or curvilinear without saying where",
            "give its variables CF coordinates: latitude and longitude by row and column",
        )
    centres = unpacked(dataset[dim]).astype(np.float64)
    if not np.isfinite(centres).all():
        raise Unreadable(f"{dim} has a missing value: where its cells lie is unknown", f"give {dim} all its values")
    _refuse_unsorted(dim, centres)
    stated = _stated_edges(dataset, dim, centres)
    if stated is not None:
        return stated
    if centres.size == 1:
        raise Unreadable(f"{dim} has one value and no bounds: the size of its cell is unknown", f"give {dim} CF bounds")
    return _half_way(centres)


def _refuse_unsorted(dim: str, centres: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """A coordinate variable is monotonic (CF 1.3, 5)."""
    rises = np.diff(centres) > 0
    turns = np.flatnonzero(rises != rises[:1]) if rises.size else rises
    if turns.size:
        at = int(turns[0])
        raise Unreadable(
            f"{dim} is not monotonic: {centres[at]:g} is followed by {centres[at + 1]:g}",
            f"sort the data along {dim}, as xarray's sortby does; longitudes may go on beyond 180",
        )


def _stated_edges(
    dataset: xr.Dataset, dim: str, centres: np.ndarray[Any, np.dtype[np.float64]]
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    name = bounds_of(dataset[dim].attrs)
    if name not in dataset.variables or dataset[name].shape != (dataset.sizes[dim], 2):
        return None
    pairs = unpacked(packed_alike(dataset[name].variable, dataset[dim].variable)).astype(np.float64)
    descending = centres[0] > centres[-1]
    first, last = (1, 0) if descending == (pairs[0, 0] < pairs[0, 1]) else (0, 1)
    return np.append(pairs[:, first], pairs[-1, last])


def _half_way(centres: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Edges from centres: exact multiples of one step where the centres are regular."""
    n = centres.size
    step = (centres[-1] - centres[0]) / (n - 1)
    even = centres[0] + step * np.arange(n)
    if np.abs(centres - even).max() <= _REGULAR * abs(step):
        return np.asarray(centres[0] - step / 2 + step * np.arange(n + 1))
    middles = (centres[:-1] + centres[1:]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def _step(edges: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    """The size of the cells, negative where they descend; None where they differ."""
    n = edges.size - 1
    step = (edges[-1] - edges[0]) / n
    even = edges[0] + step * np.arange(n + 1)
    return float(step) if np.abs(edges - even).max() <= _REGULAR * abs(step) else None


def _digest(crs: CRS, *coordinates: np.ndarray[Any, Any]) -> str:
    """One hash for one grid: the CRS as PROJ writes it and the coordinates to a millionth of a cell."""
    text = [crs.to_json()]
    for values in coordinates:
        cell = abs(float(values[-1]) - float(values[0])) / max(values.size - 1, 1) or 1.0
        text.append(str(np.round(values.astype(np.float64) / cell * 1e3).astype(np.int64).tobytes()))
    return hashlib.sha256("|".join(text).encode()).hexdigest()[:16]


def _satellite_height(crs: CRS) -> float | None:
    """Height of the satellite of a geostationary CRS above the ellipsoid, in metres; None for others."""
    projection = crs.coordinate_operation
    if projection is None or not projection.method_name.lower().startswith("geostationary"):
        return None
    heights = [each for each in projection.params if "height" in each.name.lower()]
    return float(heights[0].value) * heights[0].unit_conversion_factor if heights else None
