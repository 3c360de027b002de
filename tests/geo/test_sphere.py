"""Cells and places on the sphere, where the answer is known by construction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from earthcode_pack.geo.sphere import box_of_places, box_of_rings, cells_of, degrees, plane_ring, rings_of, vectors


def box_of(lon: Any, lat: Any, vertices: Any = None) -> tuple[float, ...]:
    return box_of_rings(rings_of(cells_of(np.asarray(lon, float), np.asarray(lat, float), vertices)))


def plain(west: float, north: float, shape: tuple[int, int], cell: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Centres of a grid in plain degrees, from its upper left corner."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return west + cell * columns, north - cell * rows


def corners_of(lon: np.ndarray, lat: np.ndarray, cell: float, order: Any = (0, 1, 2, 3)) -> tuple[Any, Any]:
    """The four corners of each cell in plain degrees, in any order."""
    half, order = cell / 2, list(order)
    return (
        lon[..., None] + np.array([-half, half, half, -half])[order],
        lat[..., None] + np.array([half, half, -half, -half])[order],
    )


def holds(box: tuple[float, ...], lon: Any, lat: Any, slack: float = 1e-6) -> bool:
    west, south, east, north = box
    width = (east - west) % 360 or (360.0 if east != west else 0.0)
    inside = (np.asarray(lon) - west + slack) % 360 <= width + 2 * slack
    return bool((inside & (np.asarray(lat) >= south - slack) & (np.asarray(lat) <= north + slack)).all())


# --- plain degrees, held in two dimensions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("west", "north", "shape", "expected"),
    [
        (10, 50, (10, 12), (10, 40, 22, 50)),
        (175, 10, (20, 10), (175, -10, -175, 10)),
        (190, 10, (2, 10), (-170, 8, -160, 10)),
        (0, 90, (180, 360), (-180, -90, 180, 90)),
        (-180.5, 90.5, (181, 361), (-180, -90, 180, 90)),  # centres at the poles, and the first column again
        (0, 90, (5, 10), (0, 85, 10, 90)),  # touches the pole, and goes no further round it
        (0, 90, (5, 360), (-180, 85, 180, 90)),
        (3, -80, (10, 40), (3, -90, 43, -80)),
        (0, 2, (2, 2), (0, 0, 2, 2)),
    ],
)
@pytest.mark.parametrize("turn", ["as it is", "rows up", "columns down"])
def test_plain_degrees_end_half_a_cell_beyond_the_centres(west: Any, north: Any, shape: Any, expected: Any, turn: str):
    lon, lat = plain(west, north, shape)
    if turn == "rows up":
        lon, lat = lon[::-1], lat[::-1]
    elif turn == "columns down":
        lon, lat = lon[:, ::-1], lat[:, ::-1]
    assert box_of((lon + 180) % 360 - 180, lat) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 1, 2), (2, 1, 0, 3), (1, 0, 3, 2)])
@pytest.mark.parametrize(("west", "cell"), [(10.0, 0.4), (179.0, 0.4), (-180.0, 1.0)])
def test_vertices_say_where_cells_end_in_whatever_order(order: Any, west: float, cell: float) -> None:
    """Cells of a step of one degree that are smaller than it: half way would be wrong."""
    lon, lat = plain(west, 20, (8, 9))
    lons, lats = corners_of(lon, lat, cell, order)
    found = box_of((lon + 180) % 360 - 180, lat, ((lons + 180) % 360 - 180, lats))
    edge = 0.5 - cell / 2
    expected = ((west + edge + 180) % 360 - 180, 12 + edge, (west + 9 - edge + 180) % 360 - 180, 20 - edge)
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shape", [(1, 6), (6, 1)])
def test_a_single_row_needs_vertices(shape: tuple[int, int]) -> None:
    lon, lat = plain(0, 10, shape)
    with pytest.raises(ValueError, match="one row"):
        box_of(lon, lat)
    assert box_of(lon, lat, corners_of(lon, lat, 1.0)) == pytest.approx((0, 10 - shape[0], shape[1], 10))


# --- grids that are plain elsewhere -----------------------------------------------------------------------------------


def projected(crs: str, x: float, y: float, size: float, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres of n x n cells about (x, y), and many points on their true outer edges."""
    to_lonlat = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    middle = (np.arange(n) + 0.5) / n * size - size / 2
    lon, lat = to_lonlat.transform(*np.meshgrid(x + middle, y - middle))
    along = np.linspace(-size / 2, size / 2, 400)
    end = np.full(400, size / 2)
    edge = to_lonlat.transform(x + np.r_[along, along, end, -end], y + np.r_[end, -end, along, along])
    return lon, lat, np.array(edge)


@pytest.mark.parametrize("n", [5, 40, 41])
@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3413", 90), ("EPSG:3031", -90)])
@pytest.mark.parametrize("centre", [(0, 0), (3e5, -2e5)])
def test_cells_over_a_pole_reach_it_and_hold_the_circle(crs: str, pole: int, n: int, centre: Any) -> None:
    lon, lat, edges = projected(crs, *centre, 4e6, n)
    west, south, east, north = box_of(lon, lat)
    assert (west, east, max(abs(south), abs(north))) == (-180, 180, 90)
    assert (north if pole > 0 else south) == pole
    cell = 4e6 / n / 111e3
    assert min(abs(south), abs(north)) == pytest.approx(np.abs(edges[1]).min(), abs=0.05 * cell)


@pytest.mark.parametrize("crs", ["EPSG:3413", "EPSG:3031", "EPSG:32601", "EPSG:3832"])
@pytest.mark.parametrize("place", [(2.5e6, -2e6), (5e5, 1.5e6)])
def test_cells_of_a_projection_end_where_it_does(crs: str, place: tuple[float, float]) -> None:
    lon, lat, edges = projected(crs, *place, 8e5, 80)
    box = box_of(lon, lat)
    assert holds(box, *edges, slack=0.02)
    assert box == pytest.approx(box_of_places(*edges), abs=0.03)


def tripolar() -> tuple[np.ndarray, np.ndarray]:
    """As ocean models have it: plain degrees from 80°S to 60°N, then a cap folded along the meridians 0 and 180."""
    lon, lat = plain(0, 60, (70, 180), 2.0)
    squeeze = (np.arange(15) + 0.5)[:, None] / 15  # the uppermost row lies along the fold, from either side
    theta = np.radians(lon[0])
    towards = np.stack([np.cos(theta) + 0 * squeeze, np.sin(theta) * squeeze])
    cap_lon = np.degrees(np.arctan2(towards[1], towards[0]))
    cap_lat = 90 - 30 * np.hypot(*towards)
    return np.vstack([cap_lon, (lon + 180) % 360 - 180]), np.vstack([cap_lat, lat])


def test_a_grid_whose_north_is_folded_holds_its_cells() -> None:
    west, south, east, north = box_of(*tripolar())
    assert (west, east) == (-180, 180)
    assert south == pytest.approx(-80, abs=0.01)
    assert north == pytest.approx(90, abs=0.1)


# --- swaths -----------------------------------------------------------------------------------------------------------


def swath(turns: float = 0.15, start: float = 0.0, tilt: float = 98.7, half: float = 12.0, shape: Any = (120, 40)):
    """Centres of a swath along a great circle, ``turns`` of it, from ``start`` after the southernmost place."""
    along = 2 * np.pi * (np.linspace(0, turns, shape[0]) + start) - np.pi / 2
    tip, across = np.radians(tilt), np.radians(np.linspace(-half, half, shape[1]))
    path = np.stack([np.cos(along), np.sin(along) * np.cos(tip), np.sin(along) * np.sin(tip)], -1)
    normal = np.array([0, -np.sin(tip), np.cos(tip)])
    return degrees(path[:, None] * np.cos(across)[None, :, None] + normal * np.sin(across)[None, :, None])


@pytest.mark.parametrize("start", np.linspace(0, 0.95, 12))
def test_a_swath_anywhere_on_its_orbit_holds_its_centres_and_little_more(start: float) -> None:
    lon, lat = swath(start=start)
    box = box_of(lon, lat)
    assert holds(box, lon, lat)
    centres = box_of_places(lon.ravel(), lat.ravel())
    over_pole = np.abs(vectors(lon, lat)[..., 2]).max() > np.cos(np.radians(0.7))
    if over_pole:
        assert (box[0], box[2]) == (-180, 180)
    assert box[3] - centres[3] < 0.7 and centres[1] - box[1] < 0.7  # noqa: PT018


def test_missing_places_at_the_edges_of_a_swath_belong_to_no_cell() -> None:
    lon, lat = swath(start=0.2)
    whole = box_of(lon, lat)
    lon[:, :6] = np.nan
    lat[-9:] = np.nan
    lon[40:44] = lat[40:44] = np.nan  # some lost lines, between others
    box = box_of(lon, lat)
    there = np.isfinite(lon) & np.isfinite(lat)
    assert holds(box, lon[there], lat[there])
    assert box[3] < whole[3] - 2
    kept_lon, kept_lat = (each[:-9, 6:] for each in swath(start=0.2))
    assert box == pytest.approx(box_of(kept_lon, kept_lat), abs=1e-9)


def test_a_full_orbit_holds_both_poles_but_not_by_claiming_them() -> None:
    lon, lat = swath(turns=1.2, shape=(600, 40))
    assert box_of(lon, lat) == (-180, -90, 180, 90)
    lon, lat = swath(turns=1.2, tilt=60, half=5, shape=(600, 40))
    west, south, east, north = box_of(lon, lat)
    assert (west, east) == (-180, 180)
    assert (south, north) == pytest.approx((-65, 65), abs=0.3)


@settings(max_examples=examples(40))
@given(
    st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(0, 360)),
    st.tuples(st.integers(2, 9), st.integers(2, 9)), st.floats(0.01, 3),
)  # fmt: skip
def test_any_patch_has_a_box_that_holds_its_centres(place: Any, shape: tuple[int, int], cell: float) -> None:
    """A regular patch anywhere on the sphere, turned by any angle."""
    (lon0, lat0, turned), (rows, columns) = place, shape
    y, x = np.mgrid[:rows, :columns] * np.radians(cell)
    y, x = y - y.mean(), x - x.mean()
    a = np.radians(turned)
    flat = np.stack([np.ones_like(x), x * np.cos(a) - y * np.sin(a), x * np.sin(a) + y * np.cos(a)], -1)
    phi, lam = np.radians(lat0), np.radians(lon0)
    tilt = np.array([[np.cos(phi), 0, -np.sin(phi)], [0, 1, 0], [np.sin(phi), 0, np.cos(phi)]])
    turn = np.array([[np.cos(lam), -np.sin(lam), 0], [np.sin(lam), np.cos(lam), 0], [0, 0, 1]])
    lon, lat = degrees(flat @ tilt.T @ turn.T)
    box = box_of(lon, lat)
    assert holds(box, lon, lat, slack=1e-6)
    reach = cell * max(rows, columns)
    assert box[3] - box[1] <= 2 * reach + 1e-6


# --- rings in the plane -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lon", "lat", "expected"),
    [
        ([0, 90, 180, -90], [80, 80, 80, 80], (360, 80, 90)),  # round the pole
        ([170, -170, -170, 170], [0, 0, 5, 5], (20, 0, 5)),
        ([10, 20, 123], [80, 80, 90], (10, 80, 90)),  # touches the pole, whose longitude means nothing
        ([10, 20, 123, 45], [80, 80, 90, 90], (10, 80, 90)),
        ([0, 0, 180, 180], [85, 89.5, 89.5, 85], (180, 85, 90)),  # an edge through the pole
    ],
)
def test_a_ring_at_a_pole_runs_along_it(lon: Any, lat: Any, expected: tuple[float, float, float]) -> None:
    ring = plane_ring(np.array(lon, float), np.array(lat, float))
    assert (np.ptp(ring[:, 0]), ring[:, 1].min(), ring[:, 1].max()) == pytest.approx(expected)


def test_places_either_side_of_180() -> None:
    assert box_of_places(np.array([179.0, -179.0, 181.5]), np.array([0.0, 1.0, 2.0])) == (179, 0, -178.5, 2)
    assert box_of_places(np.array([5.0]), np.array([6.0])) == (5, 6, 5, 6)
