"""The boxes of a Collection's extent: overall, then parts where Items lie far apart."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthcode_pack.catalogs.osc.links import osc_boxes
from earthcode_pack.geo import box as box_module
from earthcode_pack.geo.box import MOST, Box, extent_boxes, union

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def width(box: Box) -> float:
    return (box[2] - box[0]) % 360 or (360.0 if box[0] != box[2] else 0.0)


def holds(outer: Box, inner: Box) -> bool:
    """Whether a box lies in another, on the circle."""
    ahead = (inner[0] - outer[0]) % 360
    ahead = 0.0 if ahead > 360 - 1e-6 else ahead
    east = ahead + width(inner) <= width(outer) + 1e-6 or width(outer) >= 360 - 1e-6
    return east and outer[1] <= inner[1] + 1e-9 and inner[3] <= outer[3] + 1e-9


def test_tiles_that_touch_are_one() -> None:
    assert extent_boxes([(0.0, 0.0, 10.0, 10.0), (10.0, 0.0, 20.0, 10.0)]) == [(0.0, 0.0, 20.0, 10.0)]
    assert extent_boxes([(0.0, 0.0, 10.0, 10.0), (10.0, 10.0, 20.0, 20.0)]) == [(0.0, 0.0, 20.0, 20.0)]


def test_a_single_place_visited_often_is_one() -> None:
    assert extent_boxes([(5.0, 45.0, 6.0, 46.0)] * 1000) == [(5.0, 45.0, 6.0, 46.0)]


def test_two_continents_have_a_box_each() -> None:
    europe, america = (-10.0, 36.0, 30.0, 70.0), (-125.0, 25.0, -70.0, 50.0)
    guiana = (-54.0, 2.0, -52.0, 6.0)
    assert extent_boxes([europe, guiana]) == [(-54.0, 2.0, 30.0, 70.0), guiana, europe]
    assert extent_boxes([europe, america])[0] == (-125.0, 25.0, 30.0, 70.0)


def test_an_outlier_beside_a_full_box_is_no_reason_for_more() -> None:
    assert len(extent_boxes([(0.0, 0.0, 40.0, 30.0), (45.0, 0.0, 46.0, 1.0)])) == 1


def test_sites_a_kilometre_apart_are_not_far_apart() -> None:
    assert len(extent_boxes([(5.0, 45.0, 5.001, 45.001), (5.01, 45.01, 5.011, 45.011)])) == 1


def test_either_side_of_the_antimeridian_is_one_place() -> None:
    fiji, samoa, rome = (177.0, -19.0, -178.0, -16.0), (-173.0, -14.0, -171.0, -13.0), (12.0, 41.0, 13.0, 42.0)
    overall, *parts = extent_boxes([fiji, samoa, rome])
    assert overall == union([fiji, samoa, rome])
    assert parts == [rome, (177.0, -19.0, -171.0, -13.0)]


def test_either_side_of_180_where_the_whole_circle_is_taken() -> None:
    ring = [(float(lon), 0.0, lon + 10.0, 1.0) for lon in range(-180, 180, 10)]
    assert extent_boxes(ring) == [(-180.0, 0.0, 180.0, 1.0)]
    poles = [*ring, (0.0, 88.0, 1.0, 89.0)]
    overall, *parts = extent_boxes(poles)
    assert overall == (-180.0, 0.0, 180.0, 89.0)
    assert parts == [(-180.0, 0.0, 180.0, 1.0), (0.0, 88.0, 1.0, 89.0)]


def test_points_without_area_have_parts_too() -> None:
    assert extent_boxes([(0.0, 0.0, 0.0, 0.0), (50.0, 0.0, 50.0, 0.0)])[1:] == [(0, 0, 0, 0), (50, 0, 50, 0)]


def test_many_sites_have_a_few_boxes() -> None:
    sites = [(lon, lat, lon + 0.1, lat + 0.1) for lon in range(-75, 75, 30) for lat in range(-75, 75, 30)]
    parts = extent_boxes([tuple(map(float, site)) for site in sites])[1:]  # type: ignore[misc]
    assert len(parts) <= MOST


def test_there_is_never_a_second_box_alone() -> None:
    """STAC 1.1: one box, or the overall one and two parts at least."""
    for gap in range(60):
        assert len(extent_boxes([(0.0, 0.0, 1.0, 1.0), (gap + 1.0, 0.0, gap + 2.0, 1.0)])) in (1, 3)


def _box(west: float, south: float, wide: float, high: float) -> Box:
    east = west + wide
    return west, south, east if east <= 180 else east - 360, south + high


def _degrees(least: float, most: float) -> st.SearchStrategy[float]:
    return st.floats(least, most).map(lambda value: round(value, 3))


boxes = st.builds(_box, _degrees(-180, 179), _degrees(-90, 80), _degrees(0, 20), _degrees(0, 10))


@given(st.lists(boxes, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_parts_hold_every_item_and_lie_within_the_whole_in_any_order(items: list[Box], chance: random.Random) -> None:
    overall, *parts = extent_boxes(items)
    assert overall == union(items)
    assert len(parts) == 0 or 2 <= len(parts) <= MOST
    assert all(holds(overall, part) for part in parts)
    assert all(any(holds(part, item) for part in parts) for item in items if parts)
    again = [*items, *items]
    chance.shuffle(again)
    assert extent_boxes(again) == [overall, *parts]


@pytest.mark.parametrize("spread", [0.01, 0.1, 5.0])
def test_of_ten_thousand_not_all_are_compared_with_all(spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    compared, gaps = [0], box_module._gaps

    def counted(boxes: list[Box], origin: float | None) -> NDArray[np.float64]:
        compared[0] += len(boxes) ** 2
        return gaps(boxes, origin)

    def comparisons(number: int) -> int:
        chance = random.Random(1)
        corners = [(chance.uniform(-170, 170), chance.uniform(-80, 80)) for _ in range(number)]
        compared[0] = 0
        assert len(extent_boxes([(west, south, west + spread, south + spread) for west, south in corners])) <= MOST + 1
        return compared[0]

    monkeypatch.setattr(box_module, "_gaps", counted)
    assert comparisons(10_000) < 6 * comparisons(2_500)
    assert comparisons(10_000) < 10_000**2 / 20


# --- as the Open Science Catalog has them -----------------------------------------------------------------------------


def test_parts_pass_through_to_the_catalogue() -> None:
    far = [list(box) for box in extent_boxes([(0.0, 0.0, 1.0, 1.0), (60.0, 40.0, 61.0, 41.0)])]
    assert osc_boxes(far) == far == [[0, 0, 61, 41], [0, 0, 1, 1], [60, 40, 61, 41]]


def test_parts_across_the_antimeridian_are_cut_for_the_catalogue() -> None:
    far = [list(box) for box in extent_boxes([(177.0, -19.0, -178.0, -16.0), (-120.0, 30.0, -119.0, 31.0)])]
    assert far[0] == [177, -19, -119, 31]
    assert osc_boxes(far) == [
        [-180, -19, 180, 31], [-120, 30, -119, 31], [177, -19, 180, -16], [-180, -19, -178, -16],
    ]  # fmt: skip
