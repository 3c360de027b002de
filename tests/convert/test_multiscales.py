"""Pyramids in Zarr stores: known cells, true places, whole datasets, and what the conventions ask for."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rioxarray  # noqa: F401 - .rio
import zarr
from builders import make_nc, opened, planned, profile_of, ramp, run
from making import cube_profile, errors, every_file, write_cube

from earthcode_pack import convert
from earthcode_pack.checks import check
from earthcode_pack.convert.zarr.multiscales import add_levels
from earthcode_pack.convert.zarr.pyramid import coarsen, levels_of
from earthcode_pack.pipeline import prepare

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

SMALL = {"time": 2, "lat": 2, "lon": 2}
FORMS = [
    {"version": 3},
    {"version": 2},
    {"version": 3, "shards": {"time": 2, "lat": 4, "lon": 4}},
    {"version": 3, "zipped": True},
    {"version": 2, "zipped": True},
]
FILL = np.int16(-9)


def pyramid(source: Any, tmp_path: Path, **given: Any) -> Path:
    options = {"multiscales": True, "chunks": SMALL} | given
    return run(profile_of(source, "zarr", **options), tmp_path / "out").path


def level(path: Path, number: int, **options: Any) -> xr.Dataset:
    return opened(path, group=str(number), **options)


def one_map(tmp_path: Path, cells: Any, attrs: dict[str, Any] | None = None, **given: Any) -> np.ndarray:
    """The first level of a map of one time, as stored."""
    values = np.asarray(cells)[np.newaxis]
    made = pyramid(make_nc(tmp_path / "a.nc", values, attrs), tmp_path, **given)
    return np.asarray(zarr.open_group(made, mode="r")["1/sst"])[0]


def slow_means(values: np.ndarray) -> np.ndarray:
    """Averages of two by two, one cell after the other; what is missing is NaN."""
    height, width = values.shape[-2:]
    out = np.full((*values.shape[:-2], -(-height // 2), -(-width // 2)), np.nan, values.dtype)
    for index in np.ndindex(out.shape):
        y, x = index[-2:]
        cells = values[(*index[:-2], slice(2 * y, 2 * y + 2), slice(2 * x, 2 * x + 2))].astype("f8").ravel()
        kept = [cell for cell in cells if cell == cell]  # noqa: PLR0124 - NaN
        if kept:
            out[index] = sum(kept) / len(kept)
    return out


# --- cells ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_level_of_an_odd_grid_with_gaps(tmp_path: Path, form: dict[str, Any]) -> None:
    values = np.random.default_rng(1).normal(size=(3, 5, 7)).astype("float32")
    values[0, :2, :3] = np.nan
    values[2, 4, 6] = np.nan
    made = pyramid(make_nc(tmp_path / "a.nc", values, times=range(3)), tmp_path, **form)
    one, two = level(made, 1), level(made, 2)
    np.testing.assert_array_equal(one["sst"], slow_means(values))
    np.testing.assert_array_equal(two["sst"], slow_means(one["sst"].values))
    assert np.isnan(one["sst"][0, 0, 0])
    assert np.isnan(one["sst"][2, 2, 3])
    np.testing.assert_array_equal(opened(made)["sst"], values)
    assert one["sst"].dtype == np.float32
    with pytest.raises((KeyError, FileNotFoundError, OSError)):
        level(made, 3)


def test_integers_are_rounded_half_up_and_nodata_does_not_count(tmp_path: Path) -> None:
    cells = np.array([[1, 2, -1, -2, 7], [2, 2, -1, -2, FILL], [FILL, FILL, FILL, 4, FILL]], "int16")
    attrs = {"units": "K", "scale_factor": 0.5, "add_offset": 10.0, "_FillValue": FILL}
    made = one_map(tmp_path, cells, attrs)
    assert made.tolist() == [[2, -1, 7], [FILL, 4, FILL]]  # 7/4, -6/4
    assert made.dtype == np.int16


def test_half_is_rounded_up_below_zero_too() -> None:
    cells = np.array([[-1, -2, 1, 2, -3, -3]], "int8")
    assert coarsen(cells, {1: 2}, "average", (), 0).tolist() == [[-1, 2, -3]]


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_sums_that_leave_the_type(dtype: str) -> None:
    top = np.iinfo(dtype).max
    cells = np.array([[top, top, top, 3], [top, top, top - 4, 4]], dtype)
    exact = [top, (2 * (2 * top - 4 + 7) + 4) // 8]
    assert coarsen(cells, {0: 2, 1: 2}, "average", (), 0).tolist() == [exact]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_averages_of_integers_against_fractions(dtype: str) -> None:
    limits, rng = np.iinfo(dtype), np.random.default_rng(3)
    cells = rng.integers(limits.min, limits.max, (6, 8), dtype, endpoint=True)
    cells[rng.random(cells.shape) < 0.3] = 5
    made = coarsen(cells, {0: 2, 1: 2}, "average", (5,), 5)
    for y, x in np.ndindex(made.shape):
        kept = [int(v) for v in cells[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel() if v != 5]
        assert made[y, x] == ((2 * sum(kept) + len(kept)) // (2 * len(kept)) if kept else 5)


def test_signed_bytes_that_stand_for_unsigned_ones(tmp_path: Path) -> None:
    cells = np.array([[100, 140], [120, 255]], "uint8").view("int8")
    attrs = {"units": "1", "_Unsigned": "true", "_FillValue": np.int8(-1)}
    assert one_map(tmp_path, cells, attrs).view("uint8").tolist() == [[120]]


def test_infinity_and_a_missing_value_beside_nan(tmp_path: Path) -> None:
    cells = np.array([[np.inf, -np.inf, np.nan, -999], [1, 2, -999, -999], [np.inf, 1, 5, np.nan]], "float32")
    attrs = {"units": "K", "_FillValue": np.float32(-999)}
    made = one_map(tmp_path, cells, attrs)
    assert np.isnan(made[0, 0])
    assert (made[0, 1], made[1, 0], made[1, 1]) == (-999, np.inf, 5)


@pytest.mark.parametrize("said", ["flags", "profile"])
def test_classes_keep_the_most_frequent(tmp_path: Path, said: str) -> None:
    cells = np.array([[1, 2, 3, 1, 9], [2, 4, 1, 3, 9], [9, 9, 4, 4, 2]], "uint8")
    attrs: dict[str, Any] = {"units": "1", "_FillValue": np.uint8(9)}
    classes = [{"value": value, "name": f"c{value}"} for value in (1, 2, 3, 4)]
    given = {"described": {"sst": {"classes": classes}}} if said == "profile" else {}
    if said == "flags":
        attrs |= {"flag_values": np.array([1, 2, 3, 4], "uint8"), "flag_meanings": "a b c d"}
    assert one_map(tmp_path, cells, attrs, **given).tolist() == [[2, 3, 9], [9, 4, 2]]  # 3 and 1 twice: the first


def test_directions_are_not_averaged(tmp_path: Path) -> None:
    attrs = {"units": "degree", "standard_name": "wind_from_direction"}
    assert one_map(tmp_path, np.array([[359, 1], [359, 1]], "float32"), attrs).tolist() == [[359]]


def test_a_cube_with_depth_and_a_variable_along_one_axis(tmp_path: Path) -> None:
    values = ramp(2, 2, 4, 6)

    def more(file: Any) -> None:
        file.createVariable("depth", "f8", ("depth",))[:] = [0, 10]
        file["depth"].setncatts({"units": "m", "positive": "down", "axis": "Z"})
        file.createVariable("zonal", "f4", ("time", "lat"))[:] = ramp(2, 4)

    source = make_nc(tmp_path / "a.nc", values, times=range(2), dims=("time", "depth", "lat", "lon"), more=more)
    one = level(pyramid(source, tmp_path), 1)
    np.testing.assert_array_equal(one["sst"], slow_means(values))
    assert one["depth"].values.tolist() == [0, 10]
    assert one["zonal"].shape == (2, 2)


def test_an_order_of_dimensions_with_time_last(tmp_path: Path) -> None:
    values = ramp(5, 4, 3)
    one = level(pyramid(make_nc(tmp_path / "a.nc", values, times=range(3), dims=("lat", "lon", "time")), tmp_path), 1)
    np.testing.assert_array_equal(one["sst"].transpose("time", "lat", "lon"), slow_means(values.transpose(2, 0, 1)))


def test_random_grids_chunks_and_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for number in range(4):
        shape = tuple(int(n) for n in rng.integers(1, 24, 3))
        shape = (min(shape[0], 4), max(shape[1], 2), max(shape[2], 2))
        values = rng.normal(size=shape).astype("float64")
        values[rng.random(shape) < 0.3] = np.nan
        chunks = {dim: int(rng.integers(1, size + 1)) for dim, size in zip(("time", "lat", "lon"), shape, strict=True)}
        folder = tmp_path / str(number)
        made = pyramid(make_nc(folder / "a.nc", values, times=range(shape[0])), folder, chunks=chunks)
        before = values
        for index, made_level in enumerate(levels_of(shape[1:], (chunks["lat"], chunks["lon"])), 1):
            before = slow_means(before)
            if before.shape[-2:] == made_level.shape:
                np.testing.assert_array_equal(level(made, index)["sst"], before)


def test_a_level_of_nothing_writes_no_chunk(tmp_path: Path) -> None:
    values = np.full((1, 4, 4), np.nan, "float32")
    made = pyramid(make_nc(tmp_path / "a.nc", values), tmp_path)
    assert not (made / "1" / "sst" / "c").exists()


# --- places ---------------------------------------------------------------------------------------------------------


def test_coordinates_are_the_centres_of_the_coarser_cells(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 5, 7), lat=np.arange(5.0) * 10, lon=np.arange(7, dtype="float32") - 3)
    made = pyramid(source, tmp_path)
    one, two = level(made, 1), level(made, 2)
    assert one["lat"].values.tolist() == [5, 25, 45]  # the last is made of one row, and is as large as the others
    assert one["lon"].values.tolist() == [-2.5, -0.5, 1.5, 3.5]
    assert two["lat"].values.tolist() == [15, 55]
    assert one["lon"].dtype == np.float32
    for dim in ("lat", "lon"):
        assert one[dim].attrs == opened(made)[dim].attrs


def test_whole_degrees_are_stored_as_whole_numbers_and_their_levels_are_not(tmp_path: Path) -> None:
    for form in FORMS[:2]:
        folder = tmp_path / str(form["version"])
        made = pyramid(make_nc(folder / "a.nc", ramp(1, 4, 4)), folder, **form)
        assert opened(made)["lat"].dtype == np.int64
        assert level(made, 1)["lat"].values.tolist() == [49.5, 47.5]


@pytest.mark.parametrize("down", [True, False])
def test_bounds_of_the_cells_go_with_them(tmp_path: Path, down: bool) -> None:
    lat = np.array([50.0, 49, 48, 47, 46]) if down else np.arange(46.0, 51)
    step = lat[1] - lat[0]

    def more(file: Any) -> None:
        file.createDimension("nv", 2)
        file["lat"].bounds = "lat_bnds"
        low_first = np.stack([lat - 0.5, lat + 0.5], axis=1)
        file.createVariable("lat_bnds", "f8", ("lat", "nv"))[:] = low_first

    one = level(pyramid(make_nc(tmp_path / "a.nc", ramp(1, 5, 4), lat=lat, more=more), tmp_path), 1)
    centres = one["lat"].values
    np.testing.assert_array_equal(centres, lat[0] + step / 2 + 2 * step * np.arange(3))
    np.testing.assert_array_equal(one["lat_bnds"], np.stack([centres - 1, centres + 1], axis=1))


def test_two_dimensional_positions_are_those_of_a_cell(tmp_path: Path) -> None:
    def more(file: Any) -> None:
        for name, values in (("longitude", ramp(4, 4) + 170), ("latitude", ramp(4, 4))):
            file.createVariable(name, "f4", ("lat", "lon"))[:] = values
            file[name].setncatts({"standard_name": name})
        file["sst"].coordinates = "latitude longitude"

    one = level(pyramid(make_nc(tmp_path / "a.nc", ramp(1, 4, 4), more=more), tmp_path), 1)
    assert one["longitude"].values.tolist() == [[170, 172], [178, 180]]
    assert "latitude" in one["sst"].coords


@pytest.mark.filterwarnings("ignore:Use `@` matmul")  # inside rioxarray
def test_readers_of_a_level_find_the_place_that_the_layout_states(tmp_path: Path) -> None:
    def more(file: Any) -> None:
        file["crs"].GeoTransform = "-10.5 1.0 0.0 50.5 0.0 -1.0"

    made = pyramid(make_nc(tmp_path / "a.nc", ramp(1, 9, 11), more=more), tmp_path)
    for entry in zarr.open_group(made, mode="r").attrs["multiscales"]["layout"][1:]:
        dataset = level(made, int(entry["asset"]), decode_coords="all")
        assert dataset.rio.crs == opened(made, decode_coords="all").rio.crs
        assert list(dataset["sst"].rio.transform())[:6] == entry["spatial:transform"]
        assert list(dataset["sst"].rio.shape) == entry["spatial:shape"]
        assert tuple(dataset["sst"].rio.transform(recalc=True)) == tuple(dataset["sst"].rio.transform())


def test_levels_end_with_one_chunk_or_a_tile() -> None:
    assert [one.shape for one in levels_of((3000, 1000), (1000, 1000))] == [
        (1500, 500),
        (750, 250),
        (375, 125),
        (188, 63),
    ]
    assert [one.shape for one in levels_of((100, 90), (100, 90))] == [(50, 45)]
    assert [(one.shape, one.step, one.scale) for one in levels_of((1, 5), (1, 2))] == [
        ((1, 3), (1, 2), (1, 2)),
        ((1, 2), (1, 2), (1, 4)),
    ]
    assert levels_of((1, 1), (1, 1)) == []


# --- what the store says --------------------------------------------------------------------------------------------

CONVENTIONS = {
    "multiscales": "d35379db-88df-4056-af3a-620245f8e347",
    "spatial": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
    "proj": "f17cb550-5864-4468-aeb7-f3180cfb622f",
}


@pytest.mark.parametrize("form", FORMS[:3], ids=str)
def test_the_group_says_what_the_conventions_ask_for(tmp_path: Path, form: dict[str, Any]) -> None:
    write_cube(tmp_path / "a.nc")
    made = pyramid(tmp_path / "a.nc", tmp_path, **form)
    attrs = dict(zarr.open_group(made, mode="r").attrs)
    listed = {entry["name"]: entry for entry in attrs["zarr_conventions"]}
    assert {name: entry["uuid"] for name, entry in listed.items()} == CONVENTIONS
    for name, entry in listed.items():
        assert set(entry) == {"schema_url", "spec_url", "uuid", "name", "description"}
        assert entry["schema_url"].endswith(f"/zarr-conventions/{name}/refs/tags/v0.1/schema.json")
    assert attrs["proj:code"] == "EPSG:4326"
    assert attrs["spatial:dimensions"] == ["lat", "lon"]
    assert attrs["spatial:registration"] == "pixel"
    assert attrs["spatial:bbox"] == [0, -5, 12, 5]
    assert "spatial:transform" not in attrs  # of each level alone
    layout = attrs["multiscales"]["layout"]
    assert [entry["asset"] for entry in layout] == [".", "1", "2", "3"]
    assert [entry.get("derived_from") for entry in layout] == [None, ".", "1", "2"]
    assert [entry["transform"]["scale"] for entry in layout] == [[1, 1], [2, 2], [2, 2], [2, 2]]
    assert all(entry["transform"]["translation"] == [0, 0] for entry in layout)
    assert [entry["spatial:shape"] for entry in layout] == [[10, 12], [5, 6], [3, 3], [2, 2]]
    assert [entry["spatial:transform"][0] for entry in layout] == [1, 2, 4, 8]
    assert all(entry["spatial:transform"][2::3] == [0, -5] for entry in layout)
    assert attrs["multiscales"]["resampling_method"] == "average"
    pattern = r"^(?!/)(?!.*(\.\.))([^/]+(/[^/]+)*)$"  # of the schema
    assert all(re.fullmatch(pattern, entry["asset"]) for entry in layout)


def test_a_crs_without_a_code_is_written_out(tmp_path: Path) -> None:
    made = pyramid(make_nc(tmp_path / "a.nc", ramp(1, 4, 4)), tmp_path)
    attrs = zarr.open_group(made, mode="r").attrs
    assert "proj:code" not in attrs
    assert str(attrs["proj:wkt2"]).startswith("GEOGCRS[")


def test_methods_that_differ_are_told_by_variable(tmp_path: Path) -> None:
    def more(file: Any) -> None:
        file.createVariable("quality", "u1", ("time", "lat", "lon"))[:] = 1
        flags = {"flag_values": np.array([0, 1], "u1"), "flag_meanings": "bad good", "grid_mapping": "crs"}
        file["quality"].setncatts(flags)

    made = pyramid(make_nc(tmp_path / "a.nc", ramp(1, 4, 4), more=more), tmp_path)
    said = zarr.open_group(made, mode="r").attrs["multiscales"]
    assert said["resampling_methods"] == {"quality": "mode", "sst": "average"}
    assert "resampling_method" not in said


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_each_level_is_a_dataset_like_the_base(tmp_path: Path, form: dict[str, Any]) -> None:
    def more(file: Any) -> None:
        file["sst"].actual_range = np.array([0, 34], "f4")

    values = ramp(2, 5, 7)
    made = pyramid(make_nc(tmp_path / "a.nc", values, times=range(2), more=more), tmp_path, **form)
    base, one = (opened(made, **where) for where in ({}, {"group": "1"}))
    assert set(base.variables) == set(one.variables)
    assert one.attrs["title"] == base.attrs["title"]
    assert one["time"].identical(base["time"])
    assert {k: v for k, v in base["sst"].attrs.items() if k != "actual_range"} == one["sst"].attrs
    assert "multiscales" not in one.attrs
    kept = ("compressors", "shards") if form["version"] == 3 else ("compressors", "filters")
    assert {k: one["sst"].encoding[k] for k in kept[:1]} == {k: base["sst"].encoding[k] for k in kept[:1]}
    assert ("shards" in form) == bool(one["sst"].encoding.get("shards"))


def test_the_consolidated_metadata_of_the_root_covers_the_levels(tmp_path: Path) -> None:
    made = pyramid(make_nc(tmp_path / "a.nc", ramp(1, 5, 7)), tmp_path)
    known = zarr.open_group(made, mode="r").metadata.consolidated_metadata
    assert known is not None
    assert {"1/sst", "1/lat", "1/crs", "2/sst", "sst"} <= set(known.flattened_metadata)


# --- again, and from a pyramid --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_same_bytes_each_time(tmp_path: Path, form: dict[str, Any]) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 5, 7))
    first, second = (pyramid(source, tmp_path / name, **form) for name in ("one", "two"))
    assert every_file(first.parent) == every_file(second.parent)


@pytest.mark.parametrize("version", [2, 3])
def test_a_finish_that_was_killed_is_done_again(tmp_path: Path, version: int) -> None:
    profile = profile_of(
        make_nc(tmp_path / "a.nc", ramp(1, 5, 7)), "zarr", chunks=SMALL, multiscales=True, version=version
    )
    (job,) = planned(profile).jobs
    folder = tmp_path / "work"
    for part in convert.begin(job, folder):
        convert.write(part)
    store = folder / "out.zarr"
    add_levels(store, job)
    whole = every_file(store)
    shutil.rmtree(store / "2")
    (store / "1" / "sst" / (".zarray" if version == 2 else "zarr.json")).write_text("{")
    add_levels(store, job)
    assert every_file(store) == whole
    narrow = job.model_copy(update={"options": job.zarr.model_copy(update={"region_bytes": 2**10})})
    add_levels(store, narrow)
    assert every_file(store) == whole


def test_a_source_that_was_a_pyramid(tmp_path: Path) -> None:
    raw = opened(pyramid(make_nc(tmp_path / "a.nc", ramp(1, 8, 8)), tmp_path / "raw"))
    license_ = {"uuid": "b77365e5-2b0c-4141-b917-c03b7c68e935", "name": "license"}
    raw.attrs["zarr_conventions"] = [*raw.attrs["zarr_conventions"], license_]
    raw.attrs["spatial:bbox"] = [0, 0, 1, 1]
    raw.drop_encoding().to_zarr(tmp_path / "again.zarr", zarr_format=2, consolidated=True)
    attrs = zarr.open_group(pyramid(tmp_path / "again.zarr", tmp_path), mode="r").attrs
    assert [entry["name"] for entry in attrs["zarr_conventions"]] == ["license", *CONVENTIONS]
    assert attrs["spatial:bbox"] == [-10.5, 42.5, -2.5, 50.5]


# --- what has no levels ---------------------------------------------------------------------------------------------


def test_rows_that_are_not_evenly_spaced_are_refused_when_it_is_planned(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 4, 4), lat=[10, 9, 7, 4.0])
    plan = planned(profile_of(source, "zarr", multiscales=True))
    assert plan.jobs == ()
    assert "a.nc is not evenly spaced along lat or lon" in plan.failures[0].error
    assert "multiscales: false" in plan.failures[0].remedy
    assert planned(profile_of(source, "zarr")).failures == ()


def test_a_variable_called_as_a_level(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 4, 4), name="1")
    assert "variable 1 is called" in planned(profile_of(source, "zarr", multiscales=True)).failures[0].error
    assert planned(profile_of(source, "zarr")).failures == ()


# --- STAC, checks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"multiscales": True}, "application/vnd.zarr; version=3; profile=multiscales"),
        ({"multiscales": True, "version": 2}, "application/vnd.zarr; version=2; profile=multiscales"),
        ({"multiscales": True, "version": 2, "zipped": True}, "application/zip+zarr"),
        ({}, "application/vnd.zarr; version=3"),
    ],
    ids=str,
)
def test_stac_and_the_checks_of_a_product(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    write_cube(tmp_path / "raw" / "a.nc", values=ramp(3, 10, 12) + 270)
    profile = cube_profile(tmp_path, target__zarr={"chunks": {"time": 3, "lat": 4, "lon": 4}} | options)
    bundle = prepare(profile, tmp_path / "work")
    (item,) = (bundle.product / "items").glob("*.json")
    assert json.loads(item.read_text())["assets"]["data"]["type"] == told
    assert json.loads((bundle.product / "collection.json").read_text())["assets"]["data"]["type"] == told
    assert [line for line in errors(bundle) if "ZARR" in line or "FACT" in line or "CUBE" in line] == []
    stores = sorted((bundle.product / "data").iterdir())
    rules = {finding.rule for finding in check(stores[0], deep=True)}
    assert not rules & {"ZARR-FILL-ONLY", "ZARR-CONSOLIDATED-STALE", "ZARR-LEVELS", "ZARR-COORDINATES"}
    assert sum(f.rule == "ZARR-CHUNK-SMALL" for f in check(stores[0], deep=True)) == 1  # of the base alone


@pytest.mark.parametrize(
    ("dtype", "attrs", "odd", "expected"),
    [
        ("f4", {"missing_value": np.array([-8, -7], "f4")}, {(0, 0): -8, (0, 1): -7}, 5.5),
        ("i2", {"valid_range": np.array([0, 100], "i2")}, {(0, 0): 999, (0, 1): -5}, 6),
        ("i2", {"valid_max": np.int16(100), "_FillValue": np.int16(-1)}, {(0, 0): 999, (0, 1): -1}, 6),
        ("f4", {}, {(0, 0): 9.969209968386869e36, (0, 1): np.nan}, 5.5),
    ],
    ids=["several missing_value", "valid_range alone", "valid_max and _FillValue", "never written"],
)
def test_levels_are_made_of_what_is_valid(
    tmp_path: Path, dtype: str, attrs: dict[str, Any], odd: dict[tuple[int, int], float], expected: float
) -> None:
    """The first cell of level 1 stands for (0, 0), (0, 1), (1, 0) and (1, 1); the last two are valid: 5 and 6."""
    values = np.full((1, 300, 300), 1, dtype)
    values[0, 1, 0], values[0, 1, 1] = 5, 6
    for (row, column), value in odd.items():
        values[0, row, column] = value
    source = make_nc(
        tmp_path / "a.nc", values, {"units": "1", "long_name": "v", **attrs},
        lat=50 - np.arange(300) / 10, lon=np.arange(300) / 10,
    )  # fmt: skip
    made = run(profile_of(source, "zarr", multiscales=True), tmp_path / "out")
    assert opened_level(made.path, mask_and_scale=False)["sst"].values[0, 0, 0] == pytest.approx(expected)


def opened_level(path: Path, **options: Any) -> Any:
    import xarray as xr

    with xr.open_dataset(path, engine="zarr", group="1", **options) as dataset:
        return dataset.load()
