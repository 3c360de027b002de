"""Tracks, points and stations (CF 9), from file to STAC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import pytest
from builders import PERIOD, WGS84, bits, make_nc, opened, planned, profile_of, ramp, run
from making import cube_profile, errors
from shapely.geometry import shape

from earthcode_pack.checks import check
from earthcode_pack.geo.extent import grid_box
from earthcode_pack.geo.outline import grid_outline
from earthcode_pack.pipeline import prepare

if TYPE_CHECKING:
    from pathlib import Path

ATTRS: dict[str, dict[str, Any]] = {
    "lat": {"standard_name": "latitude", "units": "degrees_north"},
    "lon": {"standard_name": "longitude", "units": "degrees_east"},
    "time": {"standard_name": "time", "long_name": "time", "units": "seconds since 2020-01-01", "calendar": "standard"},
    "depth": {"standard_name": "depth", "long_name": "depth", "units": "m", "positive": "down", "axis": "Z"},
    "t": {"standard_name": "sea_water_temperature", "long_name": "T", "units": "K", "grid_mapping": "crs"},
    "station": {"cf_role": "timeseries_id", "long_name": "station"},
    "trajectory": {"cf_role": "trajectory_id", "long_name": "trajectory"},
    "obs_number": {"long_name": "number of the observation", "units": "1"},
}
Given = tuple[tuple[str, ...], Any]


def make(path: Path, feature: str | None = None, *, of_t: Any = None, **variables: Given) -> Path:
    """A file of variables, each (dimensions, values)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"title": "T", "summary": "S", "license": "CC-BY-4.0", "history": "made"})
        if feature:
            file.featureType = feature
        file.createVariable("crs", "i4", ()).setncatts(WGS84)
        for name, (dims, values) in variables.items():
            _put(file, name, dims, np.asarray(values), ATTRS[name] | ((of_t or {}) if name == "t" else {}))
    return path


def _put(file: Any, name: str, dims: tuple[str, ...], values: np.ndarray, attrs: dict[str, Any]) -> None:
    for dim, size in zip(dims, values.shape, strict=True):
        if dim not in file.dimensions:
            file.createDimension(dim, size)
    fill = np.float32("nan") if name == "t" else None
    made = file.createVariable(name, values.dtype, dims, fill_value=fill)
    made.setncatts(attrs)
    made[...] = values


def path_along(dim: str, n: int = 400, west: float = 170.0, width: float = 30.0) -> dict[str, Given]:
    """From the south-west to the north-east, a wave across; across the antimeridian by default. One place a second."""
    t = np.linspace(0, 1, n)
    return {
        "lat": ((dim,), -40 + 80 * t + 3 * np.sin(20 * t)),
        "lon": ((dim,), (west + width * t + 180) % 360 - 180),
        "time": ((dim,), np.arange(n, dtype="f8")),
        "t": ((dim,), ramp(n)),
    }


def packaged(tmp_path: Path, fmt: str = "zarr") -> dict[str, Any]:
    """The one Item of ``raw``, after prepare and a deep check without an error."""
    bundle = prepare(cube_profile(tmp_path, target__format=fmt), tmp_path / "work")
    wanted = ("STAC-REC-02", "STAC-DOCUMENTATION", "ACDD", "STAC-REC-06")
    assert not [text for text in errors(bundle) if not text.startswith(wanted)]
    assert not [f for f in check(bundle.product, deep=True) if f.level == "error"]
    (item,) = bundle.items()
    assert not {"proj:shape", "proj:transform", "proj:bbox"} & set(item["properties"])
    return dict(item)


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fmt", "dim", "feature"),
    [("zarr", "time", None), ("netcdf", "time", "trajectory"), ("netcdf", "obs", "Trajectory")],
)
def test_a_trajectory_is_a_line_cut_at_the_antimeridian(tmp_path: Path, fmt: str, dim: str, feature: Any) -> None:
    places = path_along(dim)
    make(tmp_path / "raw" / "a.nc", feature, **places)
    item = packaged(tmp_path, fmt)
    assert item["geometry"]["type"] == "MultiLineString"
    assert item["bbox"] == pytest.approx([170, places["lat"][1].min(), -160, places["lat"][1].max()])
    vertices = [place for line in item["geometry"]["coordinates"] for place in line]
    assert 10 < len(vertices) <= 200
    assert {180.0, -180.0} <= {lon for lon, _ in vertices}
    assert item["properties"]["start_datetime"] == "2020-01-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2020-01-01T00:06:39Z"


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
@pytest.mark.parametrize("dim", ["time", "obs"])
def test_every_place_time_and_depth_arrives_bit_for_bit(tmp_path: Path, fmt: str, dim: str) -> None:
    places = path_along(dim) | {"depth": ((dim,), ramp(400)), "trajectory": ((), np.int32(7))}
    path = make(tmp_path / "a.nc", "trajectory", **places)
    made = run(profile_of(path, fmt), tmp_path / "out")
    before, after = (opened(p, decode_cf=False, mask_and_scale=False) for p in (path, made.path))
    assert [v.name for v in made.one.variables] == ["t"]
    for name in ("t", "lat", "lon", "time", "depth", "trajectory"):
        assert bits(before[name].values) == bits(after[name].values)
        assert before[name].dims == after[name].dims
    named = {"lat", "lon", "depth", "trajectory"} | ({"time"} if dim == "obs" else set())
    assert set(after["t"].attrs["coordinates"].split()) == named
    assert after.attrs["featureType"] == "trajectory"


def test_a_track_near_greenwich_is_one_line_close_to_its_places(tmp_path: Path) -> None:
    places = path_along("time", 20_000, west=-10)
    made = run(profile_of(make(tmp_path / "a.nc", **places), "zarr"), tmp_path / "out")
    line = shape(grid_outline(made.one.grid))
    assert line.geom_type == "LineString"
    assert len(line.coords) <= 200
    every = shape({"type": "MultiPoint", "coordinates": np.c_[places["lon"][1], places["lat"][1]][::50].tolist()})
    assert max(line.distance(place) for place in every.geoms) < 0.05
    assert line.length == pytest.approx(
        np.hypot(*np.diff(np.r_[[places["lon"][1]], [places["lat"][1]]])).sum(), rel=0.01
    )


def test_missing_places_are_left_out_of_the_line(tmp_path: Path) -> None:
    places = path_along("time", west=0)
    lat = places["lat"][1].copy()
    lat[:50] = lat[300] = np.nan
    made = run(profile_of(make(tmp_path / "a.nc", **places | {"lat": (("time",), lat)}), "zarr"), tmp_path / "out")
    assert grid_box(made.one.grid) == pytest.approx((50 * 30 / 399, np.nanmin(lat), 30, np.nanmax(lat)))


def test_several_trajectories_of_one_length_are_several_lines(tmp_path: Path) -> None:
    dims, shift = ("trajectory", "obs"), np.array([[0.0], [40.0]])
    one = {name: values for name, (_, values) in path_along("obs", 50, west=0).items()}
    both = {name: (dims, (one[name] + shift * (name == "lon")).astype("f8")) for name in ("lat", "lon", "time")}
    make(tmp_path / "raw" / "a.nc", "trajectory", **both, t=(dims, ramp(2, 50)), trajectory=(("trajectory",), [1, 2]))
    item = packaged(tmp_path)
    assert len(item["geometry"]["coordinates"]) == 2
    assert item["bbox"][0::2] == pytest.approx([0, 70])


def test_two_tracks_of_one_netcdf_product_are_two_items(tmp_path: Path) -> None:
    for number in (0, 1):
        places = path_along("time", west=20 * number)
        make(tmp_path / "raw" / f"{number}.nc", **places | {"time": (("time",), np.arange(400.0) + 3600 * number)})
    bundle = prepare(cube_profile(tmp_path, target__format="netcdf"), tmp_path / "work")
    assert [item["bbox"][0] for item in bundle.items()] == [0, 20]
    made = planned(profile_of(tmp_path / "raw" / "*.nc", "zarr"))
    assert "differ in their grid" in made.failures[0].error
    assert "split: source" in made.failures[0].remedy


# --- points -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("feature", "fmt"), [("point", "netcdf"), (None, "zarr")])
def test_observations_are_points_in_any_order(tmp_path: Path, feature: str | None, fmt: str) -> None:
    make(tmp_path / "raw" / "a.nc", feature, **path_along("obs", 30))
    item = packaged(tmp_path, fmt)
    assert item["geometry"]["type"] == "MultiPoint"
    assert len(item["geometry"]["coordinates"]) == 30
    assert (item["bbox"][0], item["bbox"][2]) == (170, -160)


def test_many_points_are_thinned_and_stay_where_they_are(tmp_path: Path) -> None:
    places = path_along("obs", 30_000)
    made = run(profile_of(make(tmp_path / "a.nc", "point", **places), "zarr"), tmp_path / "out")
    some = np.array(grid_outline(made.one.grid)["coordinates"])
    assert 50 < len(some) <= 200
    every = np.c_[places["lon"][1], places["lat"][1]].round(7)
    assert {tuple(place) for place in some} <= {tuple(place) for place in every}
    assert grid_box(made.one.grid)[0::2] == (170, -160)


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_stations_with_a_time_axis(tmp_path: Path, fmt: str) -> None:
    make(
        tmp_path / "raw" / "a.nc", "timeSeries", station=(("station",), [11, 12, 13]),
        lat=(("station",), [10.0, 20, 30]), lon=(("station",), [-170.0, 175, 178]),
        time=(("time",), np.arange(4) * 86400.0), t=(("station", "time"), ramp(3, 4)), of_t={"coordinates": "lat lon"},
    )  # fmt: skip
    item = packaged(tmp_path, fmt)
    assert item["geometry"]["type"] == "MultiPoint"
    assert item["bbox"] == [175, 10, -170, 30]
    assert item["properties"]["end_datetime"] == "2020-01-04T00:00:00Z"
    assert item["properties"]["cube:dimensions"]["time"]["step"] == "P1D"


def test_files_of_the_same_stations_are_one_series(tmp_path: Path) -> None:
    for day in (0, 1):
        make(
            tmp_path / f"{day}.nc", "timeSeries", lat=(("station",), [10.0, 20]), lon=(("station",), [1.0, 2]),
            time=(("time",), [day * 86400.0]), t=(("station", "time"), ramp(2, 1) + day),
        )  # fmt: skip
    made = run(profile_of(tmp_path / "*.nc", "zarr"), tmp_path / "out")
    assert opened(made.path)["t"].values.tolist() == [[0, 1], [1, 2]]


def test_one_station_is_a_point(tmp_path: Path) -> None:
    make(
        tmp_path / "raw" / "a.nc", "timeSeries", lat=((), 47.0), lon=((), 8.5),
        time=(("time",), np.arange(4) * 3600.0), t=(("time",), ramp(4)),
    )  # fmt: skip
    item = packaged(tmp_path)
    assert item["geometry"] == {"type": "Point", "coordinates": [8.5, 47.0]}
    assert item["bbox"] == [8.5, 47, 8.5, 47]


def test_profiles_at_places_and_times_of_their_own(tmp_path: Path) -> None:
    make(
        tmp_path / "raw" / "a.nc", "profile", lat=(("profile",), [10.0, 20]), lon=(("profile",), [1.0, 2]),
        time=(("profile",), [0.0, 3600]), depth=(("depth",), [1.0, 2, 5]), t=(("profile", "depth"), ramp(2, 3)),
    )  # fmt: skip
    item = packaged(tmp_path)
    assert item["geometry"]["type"] == "MultiPoint"
    assert item["properties"]["end_datetime"] == "2020-01-01T01:00:00Z"
    assert item["properties"]["cube:dimensions"]["depth"]["axis"] == "z"


# --- what it is not ---------------------------------------------------------------------------------------------------


def test_a_plain_grid_is_no_track_though_it_holds_lines_too(tmp_path: Path) -> None:
    def lines(file: Any) -> None:
        file.createVariable("zonal", "f4", ("lat",))[:] = 1
        file.createVariable("orbit", "i4", ("time",))[:] = 1

    path = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[0, 1], more=lines)
    made = run(profile_of(path, "zarr"), tmp_path / "out")
    assert made.one.grid.kind == "grid"
    assert [v.name for v in made.one.variables] == ["sst"]
    assert {"zonal", "orbit"} <= set(opened(made.path).variables)


def test_a_ragged_array_is_refused_by_name(tmp_path: Path) -> None:
    places = path_along("obs", 30)
    path = make(tmp_path / "a.nc", "trajectory", **places)
    with netCDF4.Dataset(path, "a") as file:
        file.createDimension("trajectory", 2)
        file.createVariable("row_size", "i4", ("trajectory",)).sample_dimension = "obs"
    error = run(profile_of(path, "zarr"), tmp_path / "out").error
    assert "row_size" in error
    assert "ragged" in error


@pytest.mark.parametrize("sign", ["corners", "mesh"])
def test_cells_of_a_mesh_are_no_points(tmp_path: Path, sign: str) -> None:
    path = make(tmp_path / "a.nc", **path_along("cell", 30))
    with netCDF4.Dataset(path, "a") as file:
        if sign == "corners":
            file.createDimension("nv", 3)
            file.createVariable("lat_vertices", "f8", ("cell", "nv"))[:] = 0
            file["lat"].bounds = "lat_vertices"
        else:
            file["t"].mesh = "topology"
    error = run(profile_of(path, "zarr"), tmp_path / "out").error
    assert "unstructured" in error
    assert "resample" in error


def test_no_cog_and_no_levels_of_a_track(tmp_path: Path) -> None:
    path = make(tmp_path / "a.nc", **path_along("time"))
    assert "along a track" in planned(profile_of(path, "cog")).failures[0].error
    assert "along a track" in planned(profile_of(path, "zarr", multiscales=True)).failures[0].error


def test_a_track_without_times_needs_a_stated_period(tmp_path: Path) -> None:
    places = path_along("obs", 30)
    del places["time"]
    path = make(tmp_path / "a.nc", "trajectory", **places)
    assert "no time coordinate" in run(profile_of(path, "zarr"), tmp_path / "out").error
    made = run(profile_of(path, "zarr", time=PERIOD), tmp_path / "stated")
    assert (made.one.period.start.month, made.one.period.end.month) == (1, 12)


def test_times_that_are_missing_here_and_there(tmp_path: Path) -> None:
    places = path_along("obs", 30)
    times = places["time"][1].copy()
    times[[0, -1]] = np.nan
    made = run(profile_of(make(tmp_path / "a.nc", **places | {"time": (("obs",), times)}), "zarr"), tmp_path / "out")
    assert (made.one.period.start.second, made.one.period.end.second) == (1, 28)
