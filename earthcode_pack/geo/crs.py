"""Coordinate reference systems, and the transformation of x and y to longitude and latitude.

Coordinates are x before y, in the units of the CRS; longitudes and latitudes are those of OGC:CRS84 in degrees.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.box import POLE, Array

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_INIT_FILE = re.compile(r"\binit\s*=(?!\s*(?:epsg|esri|iau\w*|ogc):)", re.IGNORECASE)
_BACK = 1e-6  # of the size of a grid: the largest error of a transformation there and back
_METRE = 1.0  # likewise, in metres: inverses of some projections are truncated series
_STEPS = 9  # around the circle of longitudes
_PARALLELS = (-60.0, 0.0, 45.0)
_ALIKE = 1e-6  # of a step: rounding
_AT_POLE = 1e-6  # degrees


@dataclass(frozen=True)
class Pole:
    """A pole in the plane of a CRS: its ``places`` (n, 2) by PROJ, and whether these are a single point."""

    latitude: float
    places: Array
    is_point: bool


@dataclass(frozen=True)
class Projection:
    """Transformation from a CRS to longitude and latitude, with properties of its plane.

    Attributes:
        crs: the horizontal CRS.
        to_lonlat: to OGC:CRS84, with a change of datum.
        plane: to the longitude and latitude that are projected, without a change of datum; None for a geographic CRS.
        quarter: 90° in the unit of the latitudes that are projected.
        period: length of the circle of longitudes along x for cylindrical projections, else None.
        metre: length of a metre in the units of the CRS.
        poles: the poles that have places in the plane.

    """

    crs: CRS
    to_lonlat: Transformer
    plane: Transformer | None
    quarter: float
    period: float | None
    metre: float
    poles: tuple[Pole, ...]

    def lonlat(self, x: Array, y: Array, size: float) -> Array:
        """Transforms points of a grid to longitudes and latitudes (n, 2), NaN for points off the Earth.

        Beyond their limb projections fold back or wrap: a point is on the Earth where the inverse leads back to it.

        Args:
            x: easting or longitude in the units of the CRS.
            y: northing or latitude, likewise.
            size: longer side of the grid, likewise; the inverse must be exact to a millionth of it.

        Returns:
            Longitude and latitude of each point in degrees.

        """
        if self.crs.is_geographic and not self.crs.is_derived:  # the edges of cells centred on a pole lie beyond it
            y = y.clip(-self.quarter, self.quarter)
        there = np.column_stack(self.to_lonlat.transform(x, y))
        off = ~np.isfinite(there).all(axis=1) | (np.abs(there[:, 1]) > POLE + _AT_POLE)
        if self.plane is not None:
            lon, lat = self.plane.transform(x, y)
            back = self.plane.transform(lon, lat, direction="INVERSE")
            with np.errstate(invalid="ignore"):
                across = back[0] - x
                if self.period is not None:
                    across = (across + self.period / 2) % self.period - self.period / 2
                near = np.hypot(across, back[1] - y) <= max(size * _BACK, self.metre * _METRE)
            at_pole = (np.abs(lat) > self.quarter - _AT_POLE) & np.isfinite(lat) & np.isfinite(back[1])
            off |= ~(near | at_pole)
        there[off] = np.nan
        return there


@lru_cache(maxsize=256)
def proj_code(wkt: str) -> str | None:
    """Looks up the code of a CRS, such as ``EPSG:32631``; None where no authority has one.

    Cached, since a search without result takes PROJ a third of a second.
    """
    authority = crs_of(wkt).to_authority()
    return ":".join(authority) if authority else None


def stated_crs(value: Any) -> CRS:
    """The CRS that someone states, as a code, WKT or PROJ string.

    Raises ``CRSError`` for what is none, and for ``+init=`` with the name of a file, which PROJ would read.
    """
    if isinstance(value, str) and _INIT_FILE.search(value):
        raise CRSError("+init= names a file")
    return CRS.from_user_input(value)


@lru_cache(maxsize=64)
def crs_of(wkt: str) -> CRS:
    """Parses a WKT CRS; cached, since thousands of grids share a few."""
    return CRS.from_wkt(wkt)


@lru_cache(maxsize=64)
def projection_of(wkt: str) -> Projection:
    """Builds the transformation from a CRS to longitude and latitude.

    Args:
        wkt: a CRS, of which the horizontal part is used.

    Raises:
        Unreadable: the CRS does not locate places on the Earth: an engineering CRS, or that of another planet.

    """
    crs = crs_of(wkt)
    while crs.is_compound:
        crs = crs.sub_crs_list[0]
    crs = crs.to_2d() if len(crs.axis_info) > 2 else crs  # noqa: PLR2004 - dimensions
    remedy = "set source.crs with override: true to the CRS of the data"
    if crs.is_geocentric or crs.is_vertical or crs.is_engineering:
        raise Unreadable(f"{crs.name}, a {crs.type_name}, is not a map CRS", remedy)
    base = crs.geodetic_crs
    quarter = math.pi / 2 / base.axis_info[0].unit_conversion_factor if base else POLE
    try:
        to_lonlat, plane = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True), _without_datum(crs)
    except ProjError as error:
        message = f"PROJ cannot transform the CRS {crs.name} to longitude and latitude on the Earth: {error}"
        raise Unreadable(message, remedy) from error
    axis = crs.axis_info[0].unit_conversion_factor  # metres or radians
    metre = 1 / (axis * 6_378_137.0) if crs.is_geographic else 1 / axis
    poles = tuple(pole for latitude in (POLE, -POLE) if (pole := _pole(to_lonlat, latitude, metre)).places.size)
    period = _period(plane, quarter / POLE) if plane is not None else None
    return Projection(crs, to_lonlat, plane, quarter, period, metre, poles)


def is_greenwich_degrees(crs: CRS) -> bool:
    """Tells whether a CRS has longitude and latitude from Greenwich in degrees, neither rotated nor derived."""
    meridian = crs.prime_meridian.longitude if crs.prime_meridian else 0.0
    degrees = all(axis.unit_name == "degree" for axis in crs.axis_info[:2])
    return bool(crs.is_geographic and not crs.is_derived and meridian == 0 and degrees)


def _without_datum(crs: CRS) -> Transformer | None:
    """Returns PROJ's inverse alone, from a projected CRS to the longitude and latitude that it projects."""
    while crs.is_bound and crs.source_crs is not None:
        crs = crs.source_crs
    if crs.is_geographic or crs.geodetic_crs is None:
        return None
    return Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)


def _pole(to_lonlat: Transformer, latitude: float, metre: float) -> Pole:
    lons = np.linspace(-180, 180, 4 * _STEPS + 1)
    places = np.column_stack(to_lonlat.transform(lons, np.full(lons.size, latitude), direction="INVERSE"))
    places = places[np.isfinite(places).all(axis=1)]
    back = np.asarray(to_lonlat.transform(places[:, 0], places[:, 1])[1]) if places.size else np.empty(0)
    places = places[np.abs(back - latitude) < _AT_POLE]
    return Pole(latitude, places, is_point=bool(places.size) and float(np.ptp(places, axis=0).max()) < metre)


def _period(plane: Transformer, degree: float) -> float | None:
    """Returns the length of the circle of longitudes along x, where meridians are parallel lines at even distances."""
    lons = np.arange(_STEPS) * degree * 360 / _STEPS
    rows = [plane.transform(lons, np.full(_STEPS, lat * degree), direction="INVERSE") for lat in _PARALLELS]
    xs, ys = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        return None
    step = float(np.median(np.diff(xs[1])))
    uneven = np.abs(np.diff(xs, axis=1) - step) > _ALIKE * abs(step)  # but where x leaps back to the west
    if np.ptp(ys, axis=1).max() > _ALIKE * abs(step) or uneven.sum(axis=1).max() > 1:
        return None
    return abs(step) * _STEPS
