import pytest

from earthcode_pack.geo.box import (
    box_of,
    contains,
    crosses_antimeridian,
    is_global,
    is_union,
    positions,
    smallest_arc,
    union,
)

FIJI = (177.0, -20.0, -178.0, -12.0)


@pytest.mark.parametrize(
    "numbers",
    [[0, 0, 1], [0, 10, 1, 5], [0, 0, 361, 1], [0, -91, 1, 1], ["0", 0, 1, 1], [float("nan"), 0, 1, 1], None, {"a": 1}],
)
def test_what_is_no_box(numbers):
    assert box_of(numbers) is None


def test_a_box_over_the_antimeridian_holds_both_sides_and_not_greenwich():
    assert contains(FIJI, (179.0, -15.0, 180.0, -14.0))
    assert contains(FIJI, (-180.0, -15.0, -179.0, -14.0))
    assert contains(FIJI, (179.5, -15.0, -179.5, -14.0))
    assert not contains(FIJI, (0.0, -15.0, 1.0, -14.0))


def test_a_box_that_is_a_millionth_short_still_holds():
    assert contains((0.0, 0.0, 1.0, 1.0), (-1e-7, 0.0, 1.0, 1.0 + 1e-7))
    assert not contains((0.0, 0.0, 1.0, 1.0), (-1e-3, 0.0, 1.0, 1.0))


@pytest.mark.parametrize("box", [(177.0, -20.0, -170.0, 0.0), (-180.0, -20.0, 180.0, 0.0)])
def test_two_ways_to_unite_about_the_antimeridian(box):
    assert is_union(box, [FIJI, (-175.0, -10.0, -170.0, 0.0)])


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 3.0, 2.0), (-180.0, -90.0, 180.0, 90.0), (0.0, -1.0, 2.0, 2.0)]
)
def test_what_is_smaller_or_larger_is_no_union(box):
    assert not is_union(box, [(0.0, 0.0, 1.0, 1.0), (1.0, 1.0, 2.0, 2.0)])


def test_the_globe_is_global_also_with_heights():
    assert is_global(box_of([-180, -90, -10, 180, 90, 100]))
    assert not is_global(FIJI)


def test_the_union_takes_the_short_way_round():
    assert union([(170.0, 0.0, 175.0, 1.0), (-175.0, 2.0, -170.0, 3.0)]) == (170.0, 0.0, -170.0, 3.0)


def test_a_cut_geometry_is_not_uncut():
    halves = [
        [[[177, -20], [180, -20], [180, -12], [177, -20]]],
        [[[-180, -20], [-178, -20], [-178, -12], [-180, -20]]],
    ]
    assert not crosses_antimeridian({"type": "MultiPolygon", "coordinates": halves})
    assert crosses_antimeridian(
        {"type": "Polygon", "coordinates": [[[177, -20], [-178, -20], [-178, -12], [177, -20]]]}
    )


def test_positions_of_a_collection_of_geometries():
    point = {"type": "Point", "coordinates": [1, 2, 3]}
    assert list(positions({"type": "GeometryCollection", "geometries": [point, point]})) == [(1, 2), (1, 2)]


@pytest.mark.parametrize(
    ("spans", "arc"),
    [
        ([(0, 10), (20, 30)], (0, 30)),
        ([(350, 360), (0, 10)], (-10, 10)),
        ([(170, -170)], (170, 190)),
        ([(-180, 180)], (-180, 180)),
        ([(-180, 180), (5, 6)], (-180, 180)),
        ([(0, 360)], (0, 360)),
        ([(-170, -160), (150, 160)], (150, 200)),
    ],
)
def test_the_shortest_arc_that_holds_all(spans, arc):
    west, width = smallest_arc([(west, (east - west) % 360 or east - west) for west, east in spans])
    assert width == arc[1] - arc[0]
    assert width == 360 or west % 360 == arc[0] % 360
