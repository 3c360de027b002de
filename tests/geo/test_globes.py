"""Boxes and outlines of globes, of nearly global grids and of full disks, whose answer is known by construction."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import pytest
from shapely.geometry import shape

from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.extent import Frame, doubt, lonlat_box
from earthcode_pack.geo.outline import outline

if TYPE_CHECKING:
    from earthcode_pack.geo.box import Box

WEB = math.pi * 6378137  # metres from Greenwich to the antimeridian on web Mercator and on the equator
MODIS = 6371007.181  # radius of its sphere
GLOBE = (-180, -90, 180, 90)


def frame(crs: Any, bounds: tuple[float, ...]) -> Frame:
    return Frame.of_bounds(pyproj.CRS.from_user_input(crs).to_wkt(), bounds)


def about(x: float, y: float, beyond: float = 0.0) -> tuple[float, ...]:
    return -x - beyond, -y - beyond, x + beyond, y + beyond


def assert_box(grid: Frame, expected: tuple[float, ...], near: float = 1e-4) -> Box:
    """Box, a valid outline of some area in it, and JSON without infinity."""
    box = lonlat_box(grid)
    assert box == pytest.approx(expected, abs=near)
    drawn = shape(outline(grid))
    assert drawn.is_valid
    assert drawn.area > 0
    west, south, east, north = box
    if west < east:
        assert drawn.bounds == pytest.approx((west, south, east, north), abs=0.5)
    json.dumps([box, outline(grid)], allow_nan=False)
    assert max(doubt(grid)) < 1
    return box


# --- globes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beyond", [0, 1e-6, -1e-9, 1000], ids=["exact", "a rounding more", "a rounding less", "more"])
@pytest.mark.parametrize(
    ("crs", "x", "y"),
    [
        ("EPSG:4087", WEB, WEB / 2),
        ("ESRI:54009", 18040095.6961473, 9020047.848073646),  # Mollweide
        ("ESRI:54030", 17005833.330525, 8625154.471849944),  # Robinson
        ("EPSG:8857", 17243959.0622, 8392927.599),  # Equal Earth
        (f"+proj=sinu +R={MODIS} +type=crs", math.pi * MODIS, math.pi * MODIS / 2),
        ("ESRI:54012", math.pi * 6378137 * 2 / math.sqrt(math.pi * 4), 8.5e6),  # Eckert IV
    ],
)
def test_a_globe_is_one_in_every_projection(crs: str, x: float, y: float, beyond: float) -> None:
    grid = frame(crs, about(x, y, beyond))
    assert_box(grid, GLOBE)
    assert shape(outline(grid)).area == pytest.approx(360 * 180, rel=1e-4)


@pytest.mark.parametrize(
    ("crs", "x", "y", "north"),
    [
        ("EPSG:3857", WEB, WEB, 85.051129),
        ("EPSG:6933", 17367530.445161, 7314540.830865, 85.044566),  # EASE-Grid 2.0, 36 km to 1 km
        ("EPSG:3410", 17334193.943686, 7331177.9, 85.211092),  # the first EASE-Grid
    ],
)
@pytest.mark.parametrize("beyond", [0, 1e-6, -1e-6])
def test_a_cylinder_ends_where_its_edges_are(crs: str, x: float, y: float, north: float, beyond: float) -> None:
    assert_box(frame(crs, about(x, y, beyond)), (-180, -north, 180, north), near=1e-6)


@pytest.mark.parametrize("beyond", [0, 3e-14, -3e-14, 1e-12, 1e-7])
def test_degrees_that_overshoot_180_by_a_rounding(beyond: float) -> None:
    assert_box(frame("EPSG:4326", about(180, 90, beyond)), GLOBE, near=1e-9)


@pytest.mark.parametrize(
    ("crs", "bounds", "expected"),
    [
        ("EPSG:3413", (-3850000, -5350000, 3750000, 5850000), (-180, 30.979512, 180, 90)),  # NSIDC's sea ice
        ("EPSG:3031", (-3950000, -3950000, 3950000, 4350000), (-180, -90, 180, -39.363355)),
        ("EPSG:6931", (-9e6, -9e6, 9e6, 9e6), (-180, -84.634050, 180, 90)),  # LAEA: its corners leave the Earth's disc
        ("EPSG:6932", (-9e6, -9e6, 9e6, 9e6), (-180, -90, 180, 84.634050)),
        ("+proj=laea +lat_0=0 +type=crs", (-12.8e6, -12.8e6, 12.8e6, 12.8e6), GLOBE),
    ],
)
def test_a_grid_over_a_pole(crs: str, bounds: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert_box(frame(crs, bounds), expected, near=0.01)


# --- nearly a globe ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("free", [0.01, 1.0, 6.0, 10.9])
@pytest.mark.parametrize(("crs", "middle"), [("EPSG:3857", 0), ("EPSG:3832", 150), ("EPSG:4087", 0), ("EPSG:3395", 0)])
def test_what_is_left_free_of_the_circle_stays_free(crs: str, middle: float, free: float) -> None:
    x = WEB * (1 - free / 360)
    west, south, east, north = lonlat_box(frame(crs, about(x, 5e6)))
    assert (west - middle + 180) % 360 == pytest.approx(free / 2, abs=1e-6)
    assert (middle + 180 - east) % 360 == pytest.approx(free / 2, abs=1e-6)
    drawn = shape(outline(frame(crs, about(x, 5e6))))
    assert drawn.is_valid
    assert drawn.area == pytest.approx((360 - free) * (north - south), rel=1e-3)


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:4087", "EPSG:6933", "EPSG:4326"])
def test_a_cylinder_goes_on_beyond_the_antimeridian(crs: str) -> None:
    there = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    half, (x, y) = there.transform(180, 0)[0], there.transform(100, 10)
    assert_box(frame(crs, (x, 0, half + half - x, y)), (100, 0, -100, 10), near=1e-6)
    assert_box(frame(crs, (0, 0, 2 * half, y)), (-180, 0, 180, 10), near=1e-6)


def test_what_is_turned_by_a_rounding_is_where_it_was() -> None:
    wkt = pyproj.CRS("EPSG:32632").to_wkt()
    plain = lonlat_box(Frame.of_transform(wkt, (10, 0, 600000, 0, -10, 5000000), (30, 40)))
    assert lonlat_box(Frame.of_transform(wkt, (10, 1.4e-14, 600000, -2.2e-15, -10, 5000000), (30, 40))) == plain
    globe = Frame.of_transform(pyproj.CRS("EPSG:4326").to_wkt(), (0.5, 1e-15, -180, 1e-15, -0.5, 90), (360, 720))
    assert_box(globe, GLOBE, near=1e-9)


# --- full disks -------------------------------------------------------------------------------------------------------

SATELLITES = {
    "Meteosat": (0.0, 35785831, "y", 6378169, 6356583.8, 5570248.5),
    "Meteosat, Indian Ocean": (45.5, 35785831, "y", 6378169, 6356583.8, 5570248.5),
    "GOES-East": (-75.0, 35786023, "x", 6378137, 6356752.31414, 5434894.9),
    "GOES-West": (-137.0, 35786023, "x", 6378137, 6356752.31414, 5434894.9),
    "Himawari": (140.7, 35785863, "y", 6378137, 6356752.3, 5500000),
}


def disk_of(name: str) -> tuple[pyproj.CRS, float, float]:
    lon, height, sweep, a, b, half = SATELLITES[name]
    text = f"+proj=geos +lon_0={lon} +h={height} +sweep={sweep} +a={a} +b={b} +units=m +type=crs"
    return pyproj.CRS(text), lon, half


def within(lon: float) -> float:
    return (lon + 180) % 360 - 180


def limb(height: float, radius: float) -> float:
    return math.degrees(math.acos(radius / (radius + height)))


@pytest.mark.parametrize("name", SATELLITES)
def test_a_full_disk_reaches_the_limb_both_ways(name: str) -> None:
    crs, lon, half = disk_of(name)
    reach = limb(SATELLITES[name][1], SATELLITES[name][3])
    box = assert_box(frame(crs, about(half, half)), (within(lon - reach), -81.32, within(lon + reach), 81.32), 0.01)
    assert (box[0] > box[2]) is (name in ("GOES-West", "Himawari"))


@pytest.mark.parametrize("part", [(-1, 0, 0, 1), (0.5, 0.5, 1, 1), (-1, 0.6, 1, 1), (-0.3, -0.3, 0.3, 0.3)])
@pytest.mark.parametrize("name", SATELLITES)
def test_a_part_of_a_disk_holds_what_it_shows_of_the_earth(name: str, part: tuple[float, ...]) -> None:
    crs, middle, half = disk_of(name)
    bounds = tuple(half * side for side in part)
    x, y = np.meshgrid(np.linspace(bounds[0], bounds[2], 400), np.linspace(bounds[1], bounds[3], 400))
    lon, lat = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(x, y)
    seen = np.isfinite(lon) & np.isfinite(lat)
    beside = (lon[seen] - middle + 180) % 360 - 180
    west, south, east, north = lonlat_box(frame(crs, bounds))
    found = (west - middle + 180) % 360 - 180, south, (east - middle + 180) % 360 - 180, north
    dense = (beside.min(), lat[seen].min(), beside.max(), lat[seen].max())
    assert found == pytest.approx(dense, abs=1.5)  # at the limb a cell is a degree long
    assert all(a <= b + 1e-6 for a, b in zip((*found[:2], *dense[2:]), (*dense[:2], *found[2:]), strict=True))
    assert shape(outline(frame(crs, bounds))).is_valid


def test_space_alone_is_no_place() -> None:
    crs, _, half = disk_of("Meteosat")
    with pytest.raises(Unreadable, match="on the Earth"):
        lonlat_box(frame(crs, (0.9 * half, 0.9 * half, half, half)))


def test_another_planet_is_refused_in_words() -> None:
    with pytest.raises(Unreadable, match=r"cannot transform the CRS Mars") as error:
        lonlat_box(frame("IAU_2015:49900", (0, 0, 1, 1)))
    assert "source.crs" in error.value.remedy


@pytest.mark.parametrize("code", ["EPSG:4978", "EPSG:5773"], ids=["geocentric", "heights"])
def test_what_is_no_crs_of_a_map_is_refused(code: str) -> None:
    with pytest.raises(Unreadable, match="is not a map CRS"):
        lonlat_box(frame(code, (100, 10, 101, 11)))


@pytest.mark.parametrize("code", ["EPSG:4979", "EPSG:9518"], ids=["3-D", "with heights"])
def test_heights_are_left_out(code: str) -> None:
    assert_box(frame(code, (100, 10, 101, 11)), (100, 10, 101, 11), near=1e-9)
