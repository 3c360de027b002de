"""Boxes and outlines of grids whose answer is known by construction."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyproj
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from shapely.geometry import LinearRing, Point, shape

from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.box import union
from earthcode_pack.geo.crs import proj_code
from earthcode_pack.geo.extent import grid_box
from earthcode_pack.geo.outline import box_geometry
from earthcode_pack.geo.outline import grid_outline as outline
from earthcode_pack.model import Grid

RADIUS = 6371007.181  # of the sphere that MODIS stands on
SINUSOIDAL = pyproj.CRS.from_proj4(f"+proj=sinu +lon_0=0 +R={RADIUS} +units=m +type=crs")
GEOSTATIONARY = pyproj.CRS.from_proj4("+proj=geos +h=35785831 +lon_0=0 +sweep=y +ellps=WGS84 +type=crs")
ROTATED = pyproj.CRS.from_cf(
    {
        "grid_mapping_name": "rotated_latitude_longitude",
        "grid_north_pole_latitude": 39.25,
        "grid_north_pole_longitude": -162.0,
        "earth_radius": 6371229.0,
    }
)


def grid_of(crs: Any, bounds: tuple[float, ...], shape: tuple[int, int] = (10, 20), *, south_up: bool = False) -> Grid:
    """A regular grid over bounds (xmin, ymin, xmax, ymax)."""
    xmin, ymin, xmax, ymax = (float(value) for value in bounds)
    a, e = (xmax - xmin) / shape[1], (ymax - ymin) / shape[0]
    transform = (a, 0.0, xmin, 0.0, e, ymin) if south_up else (a, 0.0, xmin, 0.0, -e, ymax)
    return Grid(
        crs=pyproj.CRS.from_user_input(crs).to_wkt(),
        shape=shape,
        dims=("y", "x"),
        bounds=(xmin, ymin, xmax, ymax),
        transform=transform,
        digest="d",
    )


def edges_in_lonlat(grid: Grid, n: int = 500) -> np.ndarray:
    """Many points on the outer edges, transformed one by one."""
    xmin, ymin, xmax, ymax = grid.bounds
    xs, ys = np.linspace(xmin, xmax, n), np.linspace(ymin, ymax, n)
    x = np.concatenate([xs, xs, np.full(n, xmin), np.full(n, xmax)])
    y = np.concatenate([np.full(n, ymin), np.full(n, ymax), ys, ys])
    return np.column_stack(pyproj.Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True).transform(x, y))


def holds(box: tuple[float, ...], lon: float, lat: float, slack: float = 1e-3) -> bool:
    west, south, east, north = box
    width = (east - west) % 360 or (360.0 if east != west else 0.0)
    return (lon - west + slack) % 360 <= width + 2 * slack and south - slack <= lat <= north + slack


def rings_of(geometry: dict[str, Any]) -> list[Any]:
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return [ring for part in parts for ring in part]


def assert_is_rfc7946(geometry: dict[str, Any]) -> None:
    """Valid, closed, counter-clockwise outside, within ±180 and ±90."""
    assert shape(geometry).is_valid
    for ring in rings_of(geometry):
        assert ring[0] == ring[-1]
        assert LinearRing(ring).is_ccw
        assert all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in ring)


# --- longitude and latitude -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("south_up", [False, True])
def test_box_is_that_of_the_edges_whatever_the_order_of_rows(south_up: bool) -> None:
    assert grid_box(grid_of("EPSG:4326", (5, 40, 15, 50), south_up=south_up)) == (5, 40, 15, 50)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((0, -90, 360, 90), (-180, -90, 180, 90)),  # global, from Greenwich
        ((-0.5, -90, 359.5, 90), (-180, -90, 180, 90)),  # global, centres on whole degrees
        ((0, -60, 361, 60), (-180, -60, 180, 60)),  # one column twice
        ((190, 0, 200, 10), (-170, 0, -160, 10)),  # regional, wholly above 180
        ((170, 0, 190, 10), (170, 0, -170, 10)),  # across the antimeridian
        ((-190, 0, -170, 10), (170, 0, -170, 10)),  # the same, named otherwise
        ((350, 0, 370, 10), (-10, 0, 10, 10)),  # across Greenwich
        ((180, 0, 190, 10), (-180, 0, -170, 10)),  # begins at 180
        ((170, 0, 180, 10), (170, 0, 180, 10)),  # ends at 180
        ((0, -90.5, 10, 90.5), (0, -90, 10, 90)),  # centres on the poles
        ((180, -10, 540, 10), (-180, -10, 180, 10)),
    ],
)
def test_longitudes_come_within_180(bounds: tuple[float, ...], expected: tuple[float, ...]) -> None:
    grid = grid_of("EPSG:4326", bounds)
    assert grid_box(grid) == expected
    assert_is_rfc7946(outline(grid))
    assert outline(grid)["type"] == ("Polygon" if expected[0] < expected[2] else "MultiPolygon")


def test_one_cell() -> None:
    assert grid_box(grid_of("EPSG:4326", (10, 20, 11, 21), (1, 1))) == (10, 20, 11, 21)


def test_irregular_axes_have_bounds_alone() -> None:
    grid = grid_of("EPSG:4326", (350, -10, 370, 10)).model_copy(update={"transform": None})
    assert grid_box(grid) == (-10, -10, 10, 10)


def test_box_across_the_antimeridian_is_two_polygons() -> None:
    geometry = box_geometry((170, 0, -170, 10))
    assert_is_rfc7946(geometry)
    assert shape(geometry).area == pytest.approx(200)
    assert {tuple(shape({"type": "Polygon", "coordinates": part}).bounds) for part in geometry["coordinates"]} == {
        (170, 0, 180, 10),
        (-180, 0, -170, 10),
    }


def test_longitudes_from_paris() -> None:
    west, _, east, _ = grid_box(grid_of("EPSG:4807", (0, 50, 2, 52)))  # grads
    assert west == pytest.approx(2.33722917, abs=1e-3)
    assert east == pytest.approx(2.33722917 + 1.8, abs=1e-3)


# --- projections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crs", "bounds"),
    [
        ("EPSG:32631", (166000, 4590000, 833000, 5600000)),  # a whole zone: the edges bulge
        ("EPSG:32601", (300000, 5_000_000, 700000, 6_000_000)),
        ("EPSG:3035", (2_500_000, 1_400_000, 7_400_000, 5_500_000)),  # Europe
        ("EPSG:3413", (-600_000, -1_800_000, 500_000, -900_000)),  # beside the pole
        (SINUSOIDAL, (0, 0, 1111950.5, 1111950.5)),
        ("EPSG:3857", (-1e6, -2e6, 3e6, 4e6)),
        (ROTATED, (-10, -10, 5, 8)),
    ],
)
def test_box_holds_every_point_of_the_edges(crs: Any, bounds: tuple[float, ...]) -> None:
    grid = grid_of(crs, bounds)
    box, points = grid_box(grid), edges_in_lonlat(grid)
    assert all(holds(box, lon, lat, slack=2e-3) for lon, lat in points)
    west, south, east, north = box
    assert [south, north] == pytest.approx([points[:, 1].min(), points[:, 1].max()], abs=2e-3)
    if west < east:
        assert [west, east] == pytest.approx([points[:, 0].min(), points[:, 0].max()], abs=2e-3)
    assert_is_rfc7946(outline(grid))


def test_edges_bulge_beyond_the_corners() -> None:
    grid = grid_of("EPSG:32631", (166000, 4590000, 833000, 5600000))
    to_lonlat = pyproj.Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True)
    corners = to_lonlat.transform([166000, 833000], [5600000, 5600000])[1]
    assert grid_box(grid)[3] > max(corners) + 0.05


def test_zone_1_crosses_the_antimeridian() -> None:
    grid = grid_of("EPSG:32601", (300000, 6_000_000, 700000, 6_100_000))  # 177°W ± 3°
    west, _, east, _ = grid_box(grid)
    assert west > 0 > east
    assert outline(grid)["type"] == "MultiPolygon"
    assert shape(outline(grid)).area < 10


@pytest.mark.parametrize(("crs", "pole", "limit"), [("EPSG:3413", 90, 3), ("EPSG:3031", -90, 1)])
def test_grid_over_a_pole_reaches_it_and_holds_the_circle(crs: str, pole: int, limit: int) -> None:
    box = grid_box(grid_of(crs, (-3e6, -2e6, 2e6, 3e6)))
    assert (box[0], box[2]) == (-180, 180)
    assert box[limit] == pole
    to_lonlat = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    corners = [abs(to_lonlat.transform(x, y)[1]) for x in (-3e6, 2e6) for y in (-2e6, 3e6)]
    assert abs(box[4 - limit]) == pytest.approx(min(corners), abs=1e-6)
    assert_is_rfc7946(outline(grid_of(crs, (-3e6, -2e6, 2e6, 3e6))))


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((0, -3e6, 3e6, 0), (0, 90)),  # EPSG:3995: 0° points down
        ((0, 0, 3e6, 3e6), (90, 180)),
        ((-3e6, 0, 0, 3e6), (-180, -90)),
        ((-3e6, -3e6, 3e6, 0), (-90, 90)),  # half of the circle
        ((-3e6, 0, 3e6, 3e6), (90, -90)),
    ],
)
def test_pole_on_the_edge_is_no_reason_for_the_circle(bounds: tuple[float, ...], expected: tuple[float, float]) -> None:
    box = grid_box(grid_of("EPSG:3995", bounds))
    assert (box[0] % 360, box[2] % 360) == pytest.approx((expected[0] % 360, expected[1] % 360), abs=1e-6)
    assert box[3] == 90
    assert_is_rfc7946(outline(grid_of("EPSG:3995", bounds)))


def test_rotated_pole_grid_over_the_north_pole() -> None:
    box = grid_box(grid_of(ROTATED, (-60, 20, 60, 80)))
    assert (box[0], box[2], box[3]) == (-180, 180, 90)


def test_sheared_and_turned_rasters() -> None:
    grid = grid_of("EPSG:4326", (0, 0, 10, 10)).model_copy(
        update={"transform": (1.0, 1.0, 0.0, 1.0, -1.0, 0.0), "shape": (10, 10)}
    )
    assert grid_box(grid) == pytest.approx((0, -10, 20, 10))
    assert shape(outline(grid)).area == pytest.approx(200, rel=0.01)


# --- grids that leave the Earth ---------------------------------------------------------------------------------------


def test_geostationary_disc_reaches_the_limb_and_no_further() -> None:
    limb = np.degrees(np.arccos(6378137 / (6378137 + 35785831)))
    half = 5_570_248.686
    west, south, east, north = grid_box(grid_of(GEOSTATIONARY, (-half, -half, half, half)))
    assert [west, east] == pytest.approx([-limb, limb], abs=0.1)
    assert [south, north] == pytest.approx([-limb, limb], abs=0.3)


def test_sinusoidal_tile_beyond_the_antimeridian() -> None:
    """MODIS h03v05: its corners lie off the Earth, where the projection would fold back to 180°E."""
    tile = 1111950.5197
    west, south, east, north = grid_box(grid_of(SINUSOIDAL, (-15 * tile, 3 * tile, -14 * tile, 4 * tile)))
    last = np.degrees(np.arccos(140 / 180))  # where the eastern edge of the tile meets 180°W
    assert (south, north) == pytest.approx((30, last), abs=0.01)
    assert west == pytest.approx(-180, abs=0.01)
    assert east == pytest.approx(-140 / np.cos(np.radians(30)), abs=0.1)


def test_sinusoidal_globe() -> None:
    x, y = np.pi * RADIUS, np.pi * RADIUS / 2
    assert grid_box(grid_of(SINUSOIDAL, (-x, -y, x, y))) == pytest.approx((-180, -90, 180, 90), abs=0.01)


def test_grid_wholly_off_the_earth_is_refused_with_a_remedy() -> None:
    with pytest.raises(Unreadable, match="on the Earth") as error:
        grid_box(grid_of(GEOSTATIONARY, (6e6, 6e6, 7e6, 7e6)))
    assert "source.crs" in error.value.remedy


# --- the circle -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(170, 0, 175, 1), (-175, 2, -170, 3)], (170, 0, -170, 3)),  # either side of 180: no needless globe
        ([(-180, -90, 180, 90), (0, 0, 1, 1)], (-180, -90, 180, 90)),
        ([(0, 0, 10, 10), (2, 2, 3, 3)], (0, 0, 10, 10)),  # nested
        ([(170, 0, 180, 1), (-180, 0, -170, 1)], (170, 0, -170, 1)),  # they touch at 180
        ([(-180, 0, 0, 1), (0, 0, 180, 1)], (-180, 0, 180, 1)),
        ([(170, 0, -170, 1)], (170, 0, -170, 1)),
        ([(-170, 0, -165, 1), (0, 0, 10, 1), (170, 0, -130, 1)], (170, 0, 10, 1)),  # one reaches round to the first
        ([(5, 5, 5, 5)], (5, 5, 5, 5)),
    ],
)
def test_union_on_the_circle(boxes: list[Any], expected: tuple[float, ...]) -> None:
    assert union(boxes) == expected


def _width(box: tuple[float, ...]) -> float:
    return box[2] - box[0] if box[0] <= box[2] else box[2] - box[0] + 360


_starts = st.integers(-180, 179)
_widths = st.integers(0, 300)


@given(st.lists(st.tuples(_starts, _widths), min_size=1, max_size=6))
def test_union_holds_all_and_is_never_wider_than_needed(arcs: list[tuple[int, int]]) -> None:
    """Against the circle counted in half degrees: what is left over is one gap, the widest there is."""
    covered = np.zeros(720, dtype=bool)
    for start, width in arcs:
        covered[np.arange((start + 180) * 2, (start + 180 + width) * 2 + 1) % 720] = True
    boxes = [(s, 0, s + w if s + w <= 180 else s + w - 360, 1) for s, w in arcs]
    found = union(boxes)
    free = np.flatnonzero(~covered)
    assume(free.size)
    runs = np.diff(np.flatnonzero(np.append(covered, covered)))
    assert _width(found) == 360 - runs.max() / 2
    assert all(holds(found, lon, 0.5, 1e-6) for s, w in arcs for lon in (s, s + w / 2, s + w))


def test_the_edge_of_the_full_disk_touches_the_limb_only() -> None:
    """The north-western quarter of a disk: its outer corner leaves the Earth, its inner one is below the satellite."""
    half = 5_570_248.686
    west, south, east, north = grid_box(grid_of(GEOSTATIONARY, (-half, 0, 0, half)))
    limb = np.degrees(np.arccos(6378137 / (6378137 + 35785831)))
    assert (south, east) == pytest.approx((0, 0), abs=1e-6)
    assert [west, north] == pytest.approx([-limb, limb], abs=0.3)
    assert_is_rfc7946(outline(grid_of(GEOSTATIONARY, (-half, 0, 0, half))))


def test_a_window_at_the_limb_holds_what_it_shows_of_the_earth() -> None:
    grid = grid_of(GEOSTATIONARY, (4.2e6, 2.0e6, 5.5e6, 3.3e6))  # its right upper part is space
    box = grid_box(grid)
    x, y = np.meshgrid(np.linspace(4.2e6, 5.5e6, 300), np.linspace(2.0e6, 3.3e6, 300))
    there = pyproj.Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True)
    lon, lat = there.transform(x.ravel(), y.ravel())
    seen = np.isfinite(lon) & np.isfinite(lat)
    assert 0.2 < seen.mean() < 0.9
    assert all(holds(box, *place, slack=0.01) for place in zip(lon[seen], lat[seen], strict=True))
    assert box[0] == pytest.approx(lon[seen].min(), abs=0.1)
    assert box[1] == pytest.approx(lat[seen].min(), abs=0.1)
    assert 60 < box[2] < 81.5
    assert_is_rfc7946(outline(grid))


def test_a_disk_over_the_pacific_crosses_the_antimeridian() -> None:
    crs = pyproj.CRS.from_proj4("+proj=geos +h=35785831 +lon_0=-137.2 +sweep=x +ellps=GRS80 +type=crs")  # GOES West
    half = 5_434_894.885
    west, south, east, north = grid_box(grid_of(crs, (-half, -half, half, half)))
    assert west == pytest.approx(-137.2 - 81.3 + 360, abs=0.5)
    assert east == pytest.approx(-137.2 + 81.3, abs=0.5)
    assert (south, north) == pytest.approx((-81.3, 81.3), abs=0.1)


@pytest.mark.parametrize(
    ("crs", "bounds", "pole"),
    [
        ("EPSG:3413", (-2e6, 0, 2e6, 2e6), 90),
        ("EPSG:3031", (0, -1e6, 3e6, 1e6), -90),
        ("EPSG:3031", (-1e6, -3e6, 1e6, 0), -90),
    ],
)
def test_an_edge_through_a_pole_reaches_it_and_half_the_circle(crs: str, bounds: Any, pole: int) -> None:
    box = grid_box(grid_of(crs, bounds))
    assert pole in box
    assert _width(box) == pytest.approx(180, abs=1e-3)
    assert_is_rfc7946(outline(grid_of(crs, bounds)))


@given(st.floats(-180, 360), st.floats(-89, 88), st.integers(1, 60), st.integers(1, 400), st.floats(0.05, 1))
def test_a_plain_grid_of_any_origin_holds_each_of_its_centres(
    west: float, south: float, rows: int, columns: int, cell: float
) -> None:
    rows = min(rows, max(1, int((90 - south) / cell)))
    grid = grid_of("EPSG:4326", (west, south, west + columns * cell, south + rows * cell), (rows, columns))
    box = grid_box(grid)
    lons = west + cell * (np.arange(columns) + 0.5)
    assert all(holds(box, lon, south + cell / 2) for lon in lons)
    assert _width(box) == pytest.approx(min(columns * cell, 360), abs=1e-6)


@given(st.lists(st.tuples(_starts, _widths, st.integers(-90, 89), st.integers(0, 20)), min_size=1, max_size=6))
def test_a_union_contains_each_part_and_the_union_of_its_parts(parts: list[tuple[int, int, int, int]]) -> None:
    boxes = [(s, y, s + w if s + w <= 180 else s + w - 360, min(y + h, 90)) for s, w, y, h in parts]
    whole = union(boxes)
    assert all(holds(whole, lon, lat, 1e-6) for s, w, y, _ in parts for lon in (s, s + w / 2, s + w) for lat in (y,))
    assert union([whole, *boxes]) == whole
    assert _width(whole) >= max(_width(box) for box in boxes)


# --- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crs", "code"),
    [("EPSG:32631", "EPSG:32631"), ("EPSG:3035", "EPSG:3035"), (SINUSOIDAL, None), ("OGC:CRS84", "OGC:CRS84")],
)
def test_code_only_where_an_authority_knows_it(crs: Any, code: str | None) -> None:
    assert proj_code(pyproj.CRS.from_user_input(crs).to_wkt()) == code


def test_outline_follows_the_edges_closer_than_its_box() -> None:
    grid = grid_of("EPSG:32631", (166000, 5590000, 833000, 6600000))
    assert shape(outline(grid)).area < 0.95 * shape(box_geometry(grid_box(grid))).area
    middle = pyproj.Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True).transform(500000, 6000000)
    assert shape(outline(grid)).contains(Point(middle))


@given(
    st.sampled_from(["EPSG:32631", "EPSG:32701", "EPSG:3413", "EPSG:3031", "EPSG:3035", "EPSG:6933", "EPSG:8857"]),
    st.floats(-4e6, 4e6), st.floats(-4e6, 4e6), st.floats(1e3, 2e6), st.floats(1e3, 2e6),
)  # fmt: skip
@example("EPSG:32701", 0.0, 0.0, 500046.0, 1000.0)  # a sliver at the pole, which rounding makes touch itself
@example("EPSG:3413", -2.0, 1.0, 3115.0, 1000.0)  # a metre from the pole
def test_any_grid_has_a_box_that_holds_its_cells(crs: str, x: float, y: float, width: float, height: float) -> None:
    grid = grid_of(crs, (x, y, x + width, y + height))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            box = grid_box(grid)
        except Unreadable:
            return
        assert_is_rfc7946(outline(grid))
    assert -180 <= box[0] <= 180 and -180 <= box[2] <= 180 and -90 <= box[1] <= box[3] <= 90  # noqa: PT018
    columns, rows = np.meshgrid(np.linspace(x, x + width, 7), np.linspace(y, y + height, 7))
    there = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    lons, lats = there.transform(columns.ravel(), rows.ravel())
    back = there.transform(lons, lats, direction="INVERSE")
    on_earth = np.hypot(back[0] - columns.ravel(), back[1] - rows.ravel()) < 1
    slack = 0.02 + 0.002 * (box[3] - box[1])
    assert all(
        holds(box, lon, lat, slack) for lon, lat in zip(lons[on_earth], lats[on_earth], strict=True) if abs(lat) < 89.9
    )
