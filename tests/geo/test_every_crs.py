"""Boxes of grids in every projected and geographic CRS of PROJ's database that has an area of use.

The judge is PROJ itself: its transform of the edges, densified, written here without the package.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import pytest
from pyproj.aoi import AreaOfUse
from pyproj.database import query_crs_info
from pyproj.enums import PJType
from pyproj.exceptions import ProjError

from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.crs import projection_of
from earthcode_pack.geo.extent import Frame, lonlat_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

AUTHORITIES = ("EPSG", "ESRI", "IGNF", "OGC")
EVERY = 200  # of the codes, where not all are walked
PARTS = 40  # of all codes, so that several processes share them
SMALL = (10.0, 250.0)  # metres: a cell of a drone or of Sentinel-2, a tile
LARGE = 0.8  # of the area of use
DENSE = 400  # places along an edge
NEAR = 2e-7  # degrees: two centimetres
JUMP = 2e-5  # degrees, two metres: by so much a datum shift jumps where one of its regions ends (IGNF, islands)


@cache
def codes() -> list[str]:
    """Those with an area of use, without what is deprecated."""
    kinds = [PJType.PROJECTED_CRS, PJType.GEOGRAPHIC_2D_CRS]
    every = [info for authority in AUTHORITIES for info in query_crs_info(authority, kinds)]
    return [f"{info.auth_name}:{info.code}" for info in every if info.area_of_use and not info.deprecated]


def edges(bounds: tuple[float, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    west, south, east, north = bounds
    xs, ys = np.linspace(west, east, DENSE), np.linspace(south, north, DENSE)
    x = np.concatenate([xs, np.full(DENSE, east), xs[::-1], np.full(DENSE, west)])
    return x, np.concatenate([np.full(DENSE, south), ys, np.full(DENSE, north), ys[::-1]])


class Judge:
    """PROJ's answer for one CRS."""

    def __init__(self, code: str, there: pyproj.Transformer | None = None) -> None:
        self.crs = pyproj.CRS(code)
        self.there = there or pyproj.Transformer.from_crs(self.crs, "OGC:CRS84", always_xy=True)
        assert isinstance(self.crs.area_of_use, AreaOfUse)
        west, south, east, north = self.crs.area_of_use.bounds
        self.area = west, south, east if east > west else east + 360, north

    def middle(self) -> tuple[float, float]:
        """In its own units, of the area of use."""
        west, south, east, north = self.area
        x, y = self.there.transform((west + east) / 2, (south + north) / 2, direction="INVERSE")
        return float(x), float(y)

    def metre(self) -> float:
        unit = self.crs.axis_info[0].unit_conversion_factor
        return 1 / unit / 6_378_137 if self.crs.is_geographic else 1 / unit

    def small(self, side: float) -> tuple[float, ...]:
        x, y = self.middle()
        half = side * self.metre() / 2
        return x - half, y - half, x + half, y + half

    def large(self) -> tuple[float, ...] | None:
        """The box in its units of most of the area of use; None where PROJ has no finite answer for it."""
        west, south, east, north = self.area
        wide, tall = (1 - LARGE) / 2 * (east - west), (1 - LARGE) / 2 * (north - south)
        lon, lat = edges((west + wide, south + tall, east - wide, north - tall))
        x, y = self.there.transform(lon, lat, direction="INVERSE")
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            return None
        bounds = tuple(float(value) for value in (x.min(), y.min(), x.max(), y.max()))
        return bounds if bounds[2] > bounds[0] and bounds[3] > bounds[1] else None

    def box(self, bounds: tuple[float, ...]) -> tuple[float, float, float, float] | None:
        """West, width, south, north of the edges by PROJ; None where they leave it, or hold a pole."""
        poles = self.there.transform([0, 0], [90, -90], direction="INVERSE")
        if any(bounds[0] <= x <= bounds[2] and bounds[1] <= y <= bounds[3] for x, y in zip(*poles, strict=True)):
            return None  # its edges do not tell
        x, y = edges(bounds)
        lon, lat = self.there.transform(x, y)
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            return None
        back = self.there.transform(lon, lat, direction="INVERSE")
        if np.hypot(back[0] - x, back[1] - y).max() > 1000 * self.metre():  # no change of datum, but a fold
            return None
        around = np.unwrap(np.append(lon, lon[0]), period=360)
        if abs(around[-1] - around[0]) > 180 or np.abs(np.diff(around)).max() > 30:
            return None
        return float(around.min()), float(np.ptp(around)), float(lat.min()), float(lat.max())


def wrong(code: str, *, own: bool = True) -> list[str]:
    """What is not PROJ's answer, by a transformer of its ``own`` or by that of the package, for they take long."""
    wkt = pyproj.CRS(code).to_wkt()
    try:
        judge = Judge(code, None if own else projection_of(wkt).to_lonlat)
    except (ProjError, Unreadable):  # Mars, and a few projections that PROJ lacks
        with pytest.raises(ProjError):
            Judge(code)
        with pytest.raises(Unreadable, match="PROJ cannot transform"):
            projection_of(wkt)
        return []
    grids = {"one cell": judge.small(SMALL[0]), "tile": judge.small(SMALL[1]), "large": judge.large()}
    return [found for name, bounds in grids.items() if bounds and (found := differs(judge, wkt, name, bounds))]


def differs(judge: Judge, wkt: str, name: str, bounds: tuple[float, ...]) -> str | None:
    right = judge.box(bounds)
    if right is None:
        return None
    west, south, east, north = lonlat_box(Frame.of_bounds(wkt, bounds))
    width = east - west if east >= west else east - west + 360
    slack = JUMP + 1e-5 * (right[1] + right[3] - right[2]) if name == "large" else NEAR
    turned = abs((west - right[0] + 180) % 360 - 180)
    off = max(turned, abs(width - right[1]), abs(south - right[2]), abs(north - right[3]))
    return None if off <= slack else f"{wkt[:60]}: {name}, off by {off:g}: {(west, south, east, north)}, PROJ {right}"


@pytest.mark.parametrize(
    "code",
    [
        "EPSG:2056", "EPSG:28992", "EPSG:5514", "EPSG:23030",  # shifts of datum that come back to millimetres
        "EPSG:5513", "EPSG:2193", "EPSG:27700", "EPSG:2046", "EPSG:2263", "EPSG:4807", "EPSG:4267", "EPSG:3832",
    ],
)  # fmt: skip
def test_box_is_that_of_the_edges_in_national_grids(code: str) -> None:
    """Datums, axes to the south and west, feet, grads, Paris, the antimeridian."""
    assert wrong(code) == []


@pytest.mark.parametrize("code", codes()[::EVERY])
def test_box_is_that_of_the_edges_in_a_sample_of_all_codes(code: str) -> None:
    assert wrong(code, own=False) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_box_is_that_of_the_edges_in_all_codes(part: int) -> None:
    assert [found for code in codes()[part::PARTS] for found in wrong(code, own=False)] == []
