"""Cells by two-dimensional latitude and longitude, from file to STAC; each file says where it lies by construction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import netCDF4
import numpy as np
import pytest
from builders import WGS84, bits, opened, planned, profile_of, ramp, run
from making import cube_profile, errors
from shapely.geometry import Point, shape

from earthcode_pack.checks import check
from earthcode_pack.geo.extent import grid_box
from earthcode_pack.geo.outline import grid_outline
from earthcode_pack.geo.sphere import degrees
from earthcode_pack.model import Grid
from earthcode_pack.pipeline import prepare

if TYPE_CHECKING:
    from pathlib import Path

LAT = {"standard_name": "latitude", "units": "degrees_north"}
LON = {"standard_name": "longitude", "units": "degrees_east"}
TIME = {"standard_name": "time", "long_name": "time", "units": "seconds since 2020-01-01", "calendar": "standard"}
FILL, NAN = np.float32(-999), {"_FillValue": np.float32("nan")}


def put(file: Any, name: str, values: Any, dims: tuple[str, ...], attrs: dict[str, Any]) -> None:
    """A variable as it is stored; ``_FillValue`` is one of its attributes."""
    values, attrs = np.asarray(values), dict(attrs)
    fill = attrs.pop("_FillValue", None)
    for dim, size in zip(dims, values.shape, strict=True):
        if dim not in file.dimensions:
            file.createDimension(dim, size)
    made = file.createVariable(name, values.dtype, dims, fill_value=fill)
    made.set_auto_maskandscale(False)
    made.setncatts(attrs)
    made[...] = values


def make(
    path: Path, lon: Any, lat: Any, *, attrs: Any = None, dims: Any = ("y", "x"), more: Any = None, **given: Any
) -> Path:
    """One map ``t`` on cells at ``lon`` and ``lat``, at a time of its own; ``more(file)`` adds what is odd."""
    given = {"time": 0} | given
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"title": "T", "summary": "S", "license": "CC-BY-4.0", "history": "made"})
        names, fill = given.get("names", ("lat", "lon")), {"_FillValue": FILL}
        put(file, names[0], np.asarray(lat, "f4"), given.get("at", dims), given.get("of_lat", LAT) | fill)
        put(file, names[1], np.asarray(lon, "f4"), given.get("at", dims), given.get("of_lon", LON) | fill)
        if given.get("time") is not None:
            put(file, "time", np.float64(given["time"]), (), TIME)
        about = {"units": "K", "standard_name": "air_temperature", "long_name": "T", "coordinates": "lat lon"}
        about |= {"grid_mapping": "crs"} if given.get("crs", True) else {}
        put(file, "t", ramp(*np.shape(lat)), dims, (about if attrs is None else attrs) | NAN)
        if given.get("crs", True):
            put(file, "crs", np.int32(0), (), WGS84)
        if more:
            more(file)
    return path


def plain(west: float = 10, north: float = 50, shape: tuple[int, int] = (6, 8), cell: float = 1.0) -> Any:
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return (west + cell * columns + 180) % 360 - 180, north - cell * rows


def swath(start: float = 0.2, shape: tuple[int, int] = (60, 30)) -> Any:
    """A seventh of a turn on an orbit like Sentinel-3's, from ``start`` of it after the southernmost place."""
    along = 2 * np.pi * (np.linspace(0, 0.15, shape[0]) + start) - np.pi / 2
    tip, across = np.radians(98.7), np.radians(np.linspace(-11, 11, shape[1]))
    path = np.stack([np.cos(along), np.sin(along) * np.cos(tip), np.sin(along) * np.sin(tip)], -1)
    normal = np.array([0, -np.sin(tip), np.cos(tip)])
    return degrees(path[:, None] * np.cos(across)[None, :, None] + normal * np.sin(across)[None, :, None])


def holds_all(item: dict[str, Any], lon: Any, lat: Any) -> bool:
    area = shape(item["geometry"]).buffer(0.1)
    return all(area.contains(Point(*place)) for place in zip(lon, lat, strict=True))


# --- end to end -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fmt", "start"), [("zarr", 0.2), ("netcdf", 0.45)], ids=["midlatitudes", "over the pole"])
def test_a_swath_becomes_a_product_without_an_error(tmp_path: Path, fmt: str, start: float) -> None:
    lon, lat = swath(start)
    lon[:, :2] = lat[:, :2] = lon[30] = FILL
    make(tmp_path / "raw" / "a.nc", lon, lat)
    bundle = prepare(cube_profile(tmp_path, target__format=fmt), tmp_path / "work")
    assert not [text for text in errors(bundle) if not text.startswith(("STAC-REC-02", "STAC-DOCUMENTATION", "ACDD"))]
    assert not [f for f in check(bundle.product, deep=True) if f.level == "error"]
    (item,) = bundle.items()
    there = lon[:, 2:] != FILL
    there[30] = False
    assert holds_all(item, lon[:, 2:][there], lat[:, 2:][there])
    assert item["properties"]["proj:shape"] == [60, 30]
    assert "proj:transform" not in item["properties"]
    if start == 0.45:
        assert (item["bbox"][0], item["bbox"][2], item["bbox"][3]) == (-180, 180, 90)
    else:
        assert item["bbox"][2] - item["bbox"][0] < 90


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_coordinates_and_their_bounds_arrive_bit_for_bit(tmp_path: Path, fmt: str) -> None:
    lon, lat = swath()
    lon[:, 0] = np.nan  # beside the fill value: another way to say missing
    vertices = np.random.default_rng(1).normal(size=(2, 60, 30, 4)).astype("f4") / 10

    def bounds(file: Any) -> None:
        for name, middle, off in (("lat", lat, vertices[0]), ("lon", lon, vertices[1])):
            file[name].bounds = f"{name}_vertices"
            put(file, f"{name}_vertices", (middle[..., None] + off).astype("f4"), ("y", "x", "vertex"), {})

    path = make(tmp_path / "a.nc", lon, lat, more=bounds)
    made = run(profile_of(path, fmt), tmp_path / "out")
    assert made.one.grid.kind == "curvilinear"
    before, after = (opened(p, decode_cf=False, mask_and_scale=False) for p in (path, made.path))
    for name in ("t", "lat", "lon", "lat_vertices", "lon_vertices", "time"):
        assert bits(before[name].values) == bits(after[name].values)
        assert before[name].dims == after[name].dims
        assert before[name].dtype == after[name].dtype


def test_large_coordinates_of_a_netcdf_file_are_compressed(tmp_path: Path) -> None:
    lon, lat = plain(shape=(400, 800), cell=0.01)
    made = run(profile_of(make(tmp_path / "raw" / "a.nc", lon, lat), "netcdf"), tmp_path / "out")
    with h5py.File(made.path) as file:
        assert file["lat"].compression == "gzip"
        assert file["lat"].id.get_storage_size() < 0.2 * file["lat"].nbytes
        assert bits(file["lat"][()]) == bits(np.asarray(lat, "f4"))


def test_each_file_of_a_split_product_has_its_own_footprint(tmp_path: Path) -> None:
    places = [swath(0.2), swath(0.7), plain(175)]
    for number, (lon, lat) in enumerate(places):
        make(tmp_path / "raw" / f"{number}.nc", lon, lat, time=3600 * number)
    bundle = prepare(cube_profile(tmp_path, target__format="netcdf"), tmp_path / "work")
    items = list(bundle.items())
    assert len(items) == 3
    assert all(holds_all(item, np.ravel(lon), np.ravel(lat)) for item, (lon, lat) in zip(items, places, strict=True))
    assert len({str(item["geometry"]) for item in items}) == 3
    assert items[2]["bbox"] == pytest.approx([175, 44, -177, 50])
    assert items[2]["geometry"]["type"] == "MultiPolygon"
    assert not [f for f in check(bundle.product, deep=True) if f.level == "error"]


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_files_of_one_curvilinear_grid_are_steps_of_time(tmp_path: Path, fmt: str) -> None:
    paths = [make(tmp_path / f"{n}.nc", *swath(), time=86400 * n) for n in range(3)]
    options = {"split": "none"} if fmt == "netcdf" else {}
    made = run(profile_of(paths, fmt, **options), tmp_path / "out")
    assert dict(opened(made.path)["t"].sizes) == {"time": 3, "y": 60, "x": 30}
    assert opened(made.path)["lat"].dims == ("y", "x")


def test_files_of_different_places_in_one_cube_are_an_error_that_names_both(tmp_path: Path) -> None:
    lon, lat = swath()
    paths = [make(tmp_path / f"{n}.nc", lon + 0.01 * n, lat, time=86400 * n) for n in range(2)]
    error = run(profile_of(paths, "zarr"), tmp_path / "out").error
    assert "0.nc and 1.nc differ in their grid" in error
    assert "split: source" in error


def test_rows_that_have_times_of_their_own_cannot_be_joined(tmp_path: Path) -> None:
    def timed(path: Path, offset: float) -> Path:
        def along(file: Any) -> None:
            put(file, "time", np.arange(6.0) + offset, ("y",), TIME)

        return make(path, *plain(), time=None, more=along)

    one = timed(tmp_path / "0.nc", 0)
    made = run(profile_of(one, "zarr"), tmp_path / "one")
    assert (made.one.period.end - made.one.period.start).total_seconds() == 5
    both = run(profile_of([one, timed(tmp_path / "1.nc", 60)], "zarr"), tmp_path / "both")
    assert "time lies along y" in both.error
    assert "split: source" in both.error


# --- where the cells are ----------------------------------------------------------------------------------------------


def grid_of(path: Path, **given: Any) -> Grid:
    made = planned(profile_of(path, "zarr", **given))
    assert not made.failures, made.failures
    return made.jobs[0].grid


@pytest.mark.parametrize(
    ("west", "north", "cells", "expected"),
    [
        (10, 50, (6, 8), (10, 44, 18, 50)),
        (175, 10, (20, 10), (175, -10, -175, 10)),
        (0, 90, (180, 360), (-180, -90, 180, 90)),
        (-180.5, 90.5, (181, 361), (-180, -90, 180, 90)),
    ],
)
def test_plain_degrees_in_two_dimensions(tmp_path: Path, west: Any, north: Any, cells: Any, expected: Any) -> None:
    grid = grid_of(make(tmp_path / "a.nc", *plain(west, north, cells)))
    assert grid_box(grid) == pytest.approx(expected, abs=1e-4)
    assert Grid.from_json(grid.to_json()) == grid


def test_vertices_come_before_half_steps(tmp_path: Path) -> None:
    lon, lat = plain()

    def bounds(file: Any) -> None:
        for name, middle, off in (("lat", lat, [1, -1, -1, 1]), ("lon", lon, [-1, -1, 1, 1])):
            file[name].bounds = f"{name}_vertices"
            put(file, f"{name}_vertices", middle[..., None] + 0.25 * np.array(off), ("y", "x", "vertex"), {})

    assert grid_box(grid_of(make(tmp_path / "a.nc", lon, lat, more=bounds))) == (10.25, 44.25, 17.75, 49.75)


@pytest.mark.parametrize(
    "given",
    [
        {"attrs": {"units": "K"}},  # only one latitude and longitude fit
        {"attrs": {"units": "K"}, "of_lat": {"units": "degrees_north"}, "of_lon": {"units": "degrees_east"}},
        {"attrs": {"units": "K"}, "of_lat": {}, "of_lon": {}},  # by their names alone
        {"of_lat": {"units": "degree_N"}, "of_lon": {"units": "degree_E"}},
    ],
)
def test_latitude_and_longitude_are_known_by_any_of_their_marks(tmp_path: Path, given: Any) -> None:
    path = make(tmp_path / "a.nc", *plain(), **given)
    assert grid_box(grid_of(path)) == pytest.approx((10, 44, 18, 50), abs=1e-4)
    made = run(profile_of(path, "netcdf"), tmp_path / "out")
    assert set(opened(made.path, decode_cf=False)["t"].attrs["coordinates"].split()) == {"lat", "lon", "time"}


def test_numbers_of_rows_and_columns_are_no_places(tmp_path: Path) -> None:
    def numbers(file: Any) -> None:
        put(file, "y", np.arange(6), ("y",), {"units": "1", "axis": "Y", "long_name": "row"})
        put(file, "x", np.arange(8), ("x",), {"units": "1", "axis": "X", "long_name": "column"})

    path = make(tmp_path / "a.nc", *plain(), more=numbers)
    made = run(profile_of(path, "zarr"), tmp_path / "out")
    assert grid_box(made.one.grid) == pytest.approx((10, 44, 18, 50), abs=1e-4)
    assert "standard_name" not in opened(made.path)["y"].attrs
    assert {dim.axis for dim in made.one.dimensions} == {None}


def test_axes_of_a_projection_come_before_two_dimensions(tmp_path: Path) -> None:
    def axes(file: Any) -> None:
        put(file, "y", 5e6 - 1000.0 * np.arange(6), ("y",), {"units": "m", "standard_name": "projection_y_coordinate"})
        put(file, "x", 5e5 + 1000.0 * np.arange(8), ("x",), {"units": "m", "standard_name": "projection_x_coordinate"})

    path = make(tmp_path / "a.nc", *plain(), crs=False, more=axes)
    grid = grid_of(path, crs="EPSG:32631")
    assert (grid.kind, grid.bounds) == ("grid", (499500, 4994500, 507500, 5000500))


def test_packed_latitudes_are_degrees(tmp_path: Path) -> None:
    lon, lat = plain(175)
    packing = {"scale_factor": 1e-3, "add_offset": 5.0}

    def packed(file: Any) -> None:
        for name, values, attrs in (("nav_lat", lat, LAT), ("nav_lon", lon, LON)):
            stored = np.round((values - 5) / 1e-3).astype("i4")
            stored[0] = -(2**31)
            put(file, name, stored, ("y", "x"), {**attrs, **packing, "_FillValue": np.int32(-(2**31))})
        file["t"].coordinates = "nav_lat nav_lon"

    path = make(tmp_path / "a.nc", lon, lat, more=packed)
    assert grid_box(grid_of(path)) == pytest.approx((175, 44, -177, 49), abs=0.01)
    made = run(profile_of(path, "netcdf"), tmp_path / "out")
    assert opened(made.path, decode_cf=False)["nav_lat"].dtype == "int32"


def test_a_single_step_of_time_before_rows_and_columns(tmp_path: Path) -> None:
    lon, lat = plain()
    path = make(tmp_path / "a.nc", lon[None], lat[None], dims=("time", "y", "x"), time=None, more=_with_axis)
    made = run(profile_of(path, "zarr"), tmp_path / "out")
    assert made.one.grid.kind == "curvilinear"
    assert opened(made.path)["lat"].dims == ("time", "y", "x")


def _with_axis(file: Any) -> None:
    put(file, "time", np.arange(1.0), ("time",), TIME)


# --- what cannot be used ----------------------------------------------------------------------------------------------


def test_no_cog_of_it(tmp_path: Path) -> None:
    made = planned(profile_of(make(tmp_path / "a.nc", *plain()), "cog"))
    assert not made.jobs
    assert "a.nc" in made.failures[0].error
    assert "two-dimensional" in made.failures[0].error
    assert "resample" in made.failures[0].remedy
    assert "netcdf" in made.failures[0].remedy


def test_no_levels_of_it(tmp_path: Path) -> None:
    made = planned(profile_of(make(tmp_path / "a.nc", *plain()), "zarr", multiscales=True))
    assert "multiscales" in made.failures[0].error
    assert "resample" in made.failures[0].remedy


def test_no_datum_no_place(tmp_path: Path) -> None:
    path = make(tmp_path / "a.nc", *plain(), crs=False)
    assert "source.crs" in run(profile_of(path, "zarr"), tmp_path / "out").error
    assert grid_of(path, crs="EPSG:4258").kind == "curvilinear"


@pytest.mark.parametrize(("lat", "words"), [(1e20, "1e+20"), (-9999.0, "-9999")])
def test_a_latitude_that_is_none_is_not_taken_for_missing(tmp_path: Path, lat: float, words: str) -> None:
    lons, lats = plain()
    lats[2, 3] = lat
    error = run(profile_of(make(tmp_path / "a.nc", lons, lats), "zarr"), tmp_path / "out").error
    assert words in error
    assert "_FillValue" in error


def test_no_place_at_all(tmp_path: Path) -> None:
    lon, lat = plain()
    path = make(tmp_path / "a.nc", lon * 0 + FILL, lat)
    assert "no place" in run(profile_of(path, "zarr"), tmp_path / "out").error


def test_a_single_row_without_bounds(tmp_path: Path) -> None:
    path = make(tmp_path / "a.nc", *plain(shape=(1, 8)))
    assert "bounds" in run(profile_of(path, "zarr"), tmp_path / "out").error


def test_several_latitudes_are_not_chosen_from(tmp_path: Path) -> None:
    lon, lat = plain()
    path = make(
        tmp_path / "a.nc", lon, lat, attrs={"units": "K"}, names=("lat_centre", "lon"),
        more=lambda file: put(file, "lat_nadir", lat, ("y", "x"), LAT),
    )  # fmt: skip
    error = run(profile_of(path, "zarr"), tmp_path / "out").error
    assert "lat_centre, lat_nadir" in error
    assert "coordinates" in error


def test_a_grid_that_moves(tmp_path: Path) -> None:
    lon, lat = plain()

    def moving(file: Any) -> None:
        put(file, "step", np.arange(2.0), ("step",), TIME | {"axis": "T"})
        for name, values, attrs in (("nav_lat", lat, LAT), ("nav_lon", lon, LON)):
            put(file, name, np.stack([values, values + 1]), ("step", "y", "x"), attrs)
        put(file, "v", ramp(2, 6, 8), ("step", "y", "x"), {"units": "K", "coordinates": "nav_lat nav_lon"})

    path = make(tmp_path / "a.nc", lon, lat, more=moving)
    assert "moves along time" in run(profile_of(path, "zarr", select=["v"], crs="EPSG:4326"), tmp_path / "out").error


@pytest.mark.parametrize("lat", [(10.0, 11.0, np.nan), (5e6, 5.1e6, 5.2e6)])
def test_an_axis_that_holds_no_degrees(tmp_path: Path, lat: Any) -> None:
    from builders import make_nc

    path = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), lat=lat)
    error = run(profile_of(path, "zarr"), tmp_path / "out").error
    assert ("missing" if lat[2] != lat[2] else "is in degrees") in error


def test_packed_axes_are_degrees(tmp_path: Path) -> None:
    from builders import make_nc

    def packed(file: Any) -> None:
        file["lat"].setncatts({"scale_factor": 0.5, "add_offset": 1.0})

    made = run(
        profile_of(make_nc(tmp_path / "a.nc", ramp(1, 3, 4), lat=[10, 8, 6], more=packed), "zarr"), tmp_path / "o"
    )
    assert made.one.grid.bounds == (-10.5, 3.5, -6.5, 6.5)
    assert {dim.name: dim.extent for dim in made.one.dimensions}["lat"] == (4.0, 6.0)


# --- the outline ------------------------------------------------------------------------------------------------------


def test_the_outline_is_short_valid_and_close(tmp_path: Path) -> None:
    lon, lat = swath(0.3, (400, 200))
    made = run(profile_of(make(tmp_path / "a.nc", lon, lat), "zarr"), tmp_path / "out")
    area = shape(grid_outline(made.one.grid))
    assert area.is_valid
    assert len(str(made.one.grid.outline)) < 10_000
    ring = np.r_[np.c_[lon[0], lat[0]], np.c_[lon[:, -1], lat[:, -1]], np.c_[lon[-1], lat[-1]][::-1]]
    ring = np.r_[ring, np.c_[lon[:, 0], lat[:, 0]][::-1]]
    centres = shape({"type": "Polygon", "coordinates": [ring.tolist()]})
    assert area.buffer(0.02).contains(centres)
    assert area.area == pytest.approx(centres.area, rel=0.02)
