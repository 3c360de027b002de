"""What variables and axes are for one another, read from CF attributes and kept in the product."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
import zarr
from builders import make_nc, opened, planned, profile_of, ramp, run
from pyproj import CRS

from earthcode_pack.cf.roles import dangling, grid_mapping_for, grid_mappings, referenced, renamed
from earthcode_pack.model import rfc3339
from earthcode_pack.sources.discover import discover
from earthcode_pack.storage import IdentityCache

if TYPE_CHECKING:
    from pathlib import Path


def notes_of(profile: Any) -> list[str]:
    return [note.message for source in discover(profile, IdentityCache()).sources for note in source.notes]


# --- names that attributes hold -------------------------------------------------------------------------------------


def test_words_before_a_colon_are_terms() -> None:
    assert referenced({"cell_measures": "area: areacella volume: vol"}, "cell_measures") == ("areacella", "vol")
    assert referenced({"coordinates": "lat lon"}, "coordinates") == ("lat", "lon")
    assert referenced({}, "bounds") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("crs", {"crs": ()}),
        ("utm: x y wgs: lat lon", {"utm": ("x", "y"), "wgs": ("lat", "lon")}),
        ("utm:x y", {"utm": ("x", "y")}),
        ("", {}),
    ],
)
def test_both_forms_of_grid_mapping(text: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert grid_mappings({"grid_mapping": text}) == expected


def test_the_grid_mapping_is_that_of_the_axes_in_whatever_order() -> None:
    attrs = {"grid_mapping": "wgs: lat lon utm: x y"}
    assert grid_mapping_for(attrs, ("time", "y", "x")) == "utm"
    assert grid_mapping_for(attrs, ("row", "column")) == "wgs"


def test_references_follow_and_terms_stay() -> None:
    attrs = {"formula_terms": "ps: ps p0: p0", "ancillary_variables": "ps_err ps", "long_name": "ps"}
    assert renamed(attrs, {"ps": "pressure"}) == {
        "formula_terms": "ps: pressure p0: p0", "ancillary_variables": "ps_err pressure",
    }  # fmt: skip
    assert list(dangling({"bounds": "a", "coordinates": "b c"}, {"a", "b"})) == [("coordinates", "c")]


def hybrid(file: Any) -> None:
    """Hybrid levels, whose surface pressure and ancillary variable the profile renames, and areas of the cells."""
    file.createDimension("lev", 2)
    lev = file.createVariable("lev", "f8", ("lev",))
    lev.setncatts({"standard_name": "atmosphere_hybrid_sigma_pressure_coordinate", "positive": "down", "units": "1"})
    lev.formula_terms, lev[:] = "ap: ap b: b ps: ps_in", [0.5, 0.9]
    for name in ("ap", "b"):
        file.createVariable(name, "f8", ("lev",))[:] = [1, 2]
    for name, dims in (
        ("ps_in", ("time", "lat", "lon")),
        ("err", ("time", "lat", "lon")),
        ("areacella", ("lat", "lon")),
    ):
        made = file.createVariable(name, "f4", dims)
        made.setncatts({"units": "m2" if name == "areacella" else "K", "long_name": name, "grid_mapping": "crs"})
        made[...] = 7
    file["areacella"].standard_name = "cell_area"
    file["sst"].setncatts({"ancillary_variables": "err", "cell_measures": "area: areacella"})


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_renamed_variables_are_named_as_they_are_called(tmp_path: Path, fmt: str) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), more=hybrid)
    described = {"ps": {"from": "ps_in"}, "uncertainty": {"from": "err"}}
    made = run(profile_of(source, fmt, described=described), tmp_path / "out")
    dataset = opened(made.path, decode_cf=False)
    assert dataset["lev"].attrs["formula_terms"] == "ap: ap b: b ps: ps"
    assert dataset["sst"].attrs["ancillary_variables"] == "uncertainty"
    assert {"ps", "uncertainty", "ap", "b", "areacella"} <= set(dataset.variables)
    assert any("formula_terms" in line for line in made.one.changes)


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_areas_of_cells_are_no_data_of_the_product(tmp_path: Path, fmt: str) -> None:
    made = run(profile_of(make_nc(tmp_path / "a.nc", ramp(1, 3, 4), more=hybrid), fmt), tmp_path / "out")
    assert {variable.name for variable in made.one.variables} == {"sst", "ps_in", "err"}
    assert opened(made.path, decode_cf=False)["sst"].attrs["cell_measures"] == "area: areacella"


def test_what_is_not_selected_is_told_and_so_is_an_attribute_that_names_it(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), more=hybrid)
    profile = profile_of(source, "zarr", select=["sst"])
    assert any("ps_in, err left out: source.variables" in note for note in notes_of(profile))
    made = run(profile, tmp_path / "out")
    assert any("ancillary_variables names err, which is not in the product" in line for line in made.one.changes)


def utm(order: str) -> Any:
    def add(file: Any) -> None:
        for name, code in (("utm", 32632), ("wgs", 4326)):
            file.createVariable(name, "i4", ()).setncatts(CRS(code).to_cf())
        file["sst"].grid_mapping = order

    return add


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
@pytest.mark.parametrize("order", ["utm: y x wgs: lat lon", "wgs: lat lon utm: x y"])
def test_two_grid_mappings_of_one_variable_are_kept(tmp_path: Path, fmt: str, order: str) -> None:
    source = tmp_path / "a.nc"
    y, x = 5800000 - 1000 * np.arange(3.0), 500000 + 1000 * np.arange(4.0)
    dims = ("y", "x")
    named = {
        "y": (("y",), y, {"standard_name": "projection_y_coordinate", "units": "m"}),
        "x": (("x",), x, {"standard_name": "projection_x_coordinate", "units": "m"}),
        "lat": (dims, np.full((3, 4), 52.0), {"standard_name": "latitude", "units": "degrees_north"}),
        "lon": (dims, np.full((3, 4), 9.0), {"standard_name": "longitude", "units": "degrees_east"}),
        "utm": ((), np.int32(0), CRS(32632).to_cf()),
        "wgs": ((), np.int32(0), CRS(4326).to_cf()),
        "sst": (dims, ramp(3, 4), {"units": "K", "long_name": "sst", "grid_mapping": order, "coordinates": "lat lon"}),
    }
    xr.Dataset({key: xr.Variable(*value) for key, value in named.items()}).to_netcdf(source)
    made = run(profile_of(source, fmt, time={"start": "2020-01-01", "end": "2020-12-31"}), tmp_path / "out")
    assert CRS.from_wkt(made.one.grid.crs).to_epsg() == 32632
    dataset = opened(made.path, decode_cf=False)
    assert dataset["sst"].attrs["grid_mapping"] == order
    assert {"utm", "wgs"} <= set(dataset.variables)


# --- times ----------------------------------------------------------------------------------------------------------


def forecast(path: Path, *, valid: bool = True, leads: str = "hours") -> Path:
    """Two runs of four steps, by a time of validity for each, or by the length of the forecast alone."""
    reference = {"standard_name": "forecast_reference_time", "units": "hours since 2024-01-01"}
    factor = {"hours": 1, "days": 1 / 24, "min": 60}[leads]
    variables = {
        "time": (("time",), np.array([0, 12], "i4"), reference),
        "step": (("step",), np.array([0, 24, 48, 72]) * factor, {"standard_name": "forecast_period", "units": leads}),
        "lat": (("lat",), [52.0, 51.0, 50.0], {"standard_name": "latitude", "units": "degrees_north"}),
        "lon": (("lon",), [0.0, 1.0, 2.0, 3.0], {"standard_name": "longitude", "units": "degrees_east"}),
        "sst": (("time", "step", "lat", "lon"), ramp(2, 4, 3, 4), {"units": "K", "long_name": "sst"}),
    }
    if valid:
        moments = np.array([[0], [12]]) + np.array([0, 24, 48, 72])
        variables["valid_time"] = (
            ("time", "step"), moments, {"standard_name": "time", "units": "hours since 2024-01-01"},
        )  # fmt: skip
    xr.Dataset({key: xr.Variable(*value) for key, value in variables.items()}).to_netcdf(path)
    return path


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
@pytest.mark.parametrize(("valid", "leads"), [(True, "hours"), (False, "hours"), (False, "days"), (False, "min")])
def test_forecasts_last_until_they_are_valid(tmp_path: Path, fmt: str, valid: bool, leads: str) -> None:
    source = forecast(tmp_path / "a.nc", valid=valid, leads=leads)
    made = run(profile_of(source, fmt, crs="EPSG:4326"), tmp_path / "out")
    period = made.one.period
    assert (rfc3339(period.start), rfc3339(period.end)) == ("2024-01-01T00:00:00Z", "2024-01-04T12:00:00Z")
    (runs,) = [dim for dim in made.one.dimensions if dim.name == "time"]
    assert runs.extent == ("2024-01-01T00:00:00Z", "2024-01-01T12:00:00Z")


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_times_of_single_cells_with_gaps_leave_the_axis_alone(tmp_path: Path, fmt: str) -> None:
    def observed(file: Any) -> None:
        made = file.createVariable("observed", "f8", ("time", "lat", "lon"), fill_value=-1.0)
        made.setncatts({"standard_name": "time", "units": "seconds since 2020-01-01"})
        made[...] = np.ma.masked_less(np.arange(24.0).reshape(2, 3, 4), 3)
        file["sst"].coordinates = "observed"

    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[0, 1], more=observed)
    period = run(profile_of(source, fmt), tmp_path / "out").one.period
    assert (rfc3339(period.start), rfc3339(period.end)) == ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z")


def test_a_forecast_period_without_unit_of_time_is_refused(tmp_path: Path) -> None:
    source = forecast(tmp_path / "a.nc", valid=False)
    with xr.open_dataset(source, decode_cf=False) as dataset:
        changed = dataset.load()
    changed["step"].attrs["units"] = "K"
    changed.to_netcdf(tmp_path / "b.nc")
    assert (
        "is in 'K', which is no unit of time"
        in run(profile_of(tmp_path / "b.nc", "zarr", crs="EPSG:4326"), tmp_path / "out").error
    )


def test_variables_of_two_time_axes_are_refused(tmp_path: Path) -> None:
    def second(file: Any) -> None:
        file.createDimension("time2", 3)
        axis = file.createVariable("time2", "f8", ("time2",))
        axis.setncatts({"standard_name": "time", "units": "days since 2021-01-01"})
        axis[:] = [0, 1, 2]
        made = file.createVariable("tas", "f4", ("time2", "lat", "lon"))
        made.setncatts({"units": "K", "grid_mapping": "crs"})
        made[...] = 1

    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), more=second)
    error = run(profile_of(source, "zarr"), tmp_path / "out").error
    assert "several time axes, sst on time and tas on time2" in error
    assert run(profile_of(source, "zarr", select=["tas"]), tmp_path / "out").one.period.start.year == 2021


# --- axes -----------------------------------------------------------------------------------------------------------


def on_axis(path: Path, day: int, dtype: str, shift: float = 0.0) -> Path:
    """A grid of 1/120 degree at 170 E, whose axes float32 holds to a thousandth of a cell."""
    lat, lon = 60 - (np.arange(30) + 0.5) / 120, 170 + (np.arange(40) + 0.5 + shift) / 120
    return make_nc(path, ramp(1, 30, 40), times=[day], lat=lat.astype(dtype), lon=lon.astype(dtype))


@pytest.mark.parametrize("kinds", [("f8", "f4"), ("f4", "f8")])
@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_axes_of_two_types_are_one_grid(tmp_path: Path, fmt: str, kinds: tuple[str, str]) -> None:
    for day, kind in enumerate(kinds):
        on_axis(tmp_path / f"{day}.nc", day, kind)
    options = {"split": "none"} if fmt == "netcdf" else {}
    made = run(profile_of(tmp_path / "*.nc", fmt, **options), tmp_path / "out")
    dataset = opened(made.path)
    assert dataset["sst"].shape == (2, 30, 40)
    assert dataset["lon"].dtype == kinds[0]
    assert any("lon differs between files by up to 0.00" in line for line in made.one.changes)


def test_axes_half_a_cell_apart_are_two_grids(tmp_path: Path) -> None:
    on_axis(tmp_path / "0.nc", 0, "f8")
    on_axis(tmp_path / "1.nc", 1, "f8", shift=0.5)
    assert "0.5 of a cell apart" in planned(profile_of(tmp_path / "*.nc", "zarr")).failures[0].error


# --- Zarr -----------------------------------------------------------------------------------------------------------


def store_of_zarr_python(path: Path, **attrs: Any) -> Path:
    """A store of Zarr v2 as zarr-python writes it: each array has the fill_value 0, and zeros are data."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    every: dict[str, tuple[Any, list[str], dict[str, Any]]] = {
        "time": (np.array([0, 1]), ["time"], {"units": "days since 2020-01-01", "standard_name": "time"}),
        "lat": (np.array([1.0, 0.0, -1.0]), ["lat"], {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": (np.array([-1.0, 0.0, 1.0, 2.0]), ["lon"], {"units": "degrees_east", "standard_name": "longitude"}),
        "v": ((np.arange(24) % 3).astype("u1").reshape(2, 3, 4), ["time", "lat", "lon"], {"long_name": "v", **attrs}),
    }
    for name, (values, dims, said) in every.items():
        array = group.create_array(name, shape=values.shape, chunks=values.shape, dtype=values.dtype, fill_value=0)
        array[...] = values
        array.attrs.update({"_ARRAY_DIMENSIONS": dims, **said})
    return path


@pytest.mark.parametrize("flags", [{"flag_values": [0, 1, 2]}, {"flag_masks": [1, 2]}])
def test_zero_is_a_class_and_a_longitude_though_zarr_fills_with_it(tmp_path: Path, flags: dict[str, Any]) -> None:
    meanings = "a b c" if "flag_values" in flags else "a b"
    source = store_of_zarr_python(tmp_path / "a.zarr", **flags, flag_meanings=meanings)
    profile = profile_of(source, "zarr", crs="EPSG:4326")
    assert not [note for note in notes_of(profile) if "fill_value" in note]
    made = run(profile, tmp_path / "out")
    found = made.one.variables[0]
    assert found.nodata is None
    assert found.statistics is not None
    assert found.statistics.count == 24
    assert opened(made.path)["v"].values.ravel().tolist() == (np.arange(24) % 3).tolist()
    assert made.one.grid.bounds == (-1.5, -1.5, 2.5, 1.5)


def test_of_quantities_a_fill_value_of_zero_is_told(tmp_path: Path) -> None:
    profile = profile_of(store_of_zarr_python(tmp_path / "a.zarr", units="K"), "zarr", crs="EPSG:4326")
    assert any("the fill_value 0 of v is taken for missing" in note for note in notes_of(profile))


def test_a_stated_fill_value_of_zero_is_missing_without_a_word(tmp_path: Path) -> None:
    source = store_of_zarr_python(tmp_path / "a.zarr", units="K", _FillValue=0)
    profile = profile_of(source, "zarr", crs="EPSG:4326")
    assert not [note for note in notes_of(profile) if "fill_value" in note]
    statistics = run(profile, tmp_path / "out").one.variables[0].statistics
    assert statistics is not None
    assert statistics.count == 16


def test_stale_consolidated_metadata_hide_no_steps(tmp_path: Path) -> None:
    source = tmp_path / "a.zarr"
    with xr.open_dataset(make_nc(tmp_path / "a.nc", ramp(5, 3, 4), times=range(5)), decode_cf=False) as dataset:
        dataset.isel(time=slice(3)).to_zarr(source, zarr_format=2, consolidated=True)
        dataset.isel(time=slice(3, None)).drop_vars(["lat", "lon", "crs"]).to_zarr(
            source, append_dim="time", consolidated=False
        )
    made = run(profile_of(source, "zarr"), tmp_path / "out")
    assert opened(made.path)["sst"].values.ravel().tolist() == list(range(60))


@pytest.mark.parametrize("version", [2, 3])
def test_attributes_that_json_lacks_are_dropped_and_told(tmp_path: Path, version: int) -> None:
    odd = {
        "units": np.int32(1),
        "valid_max": np.float32("nan"),
        "reach": np.array([np.inf, 1]),
        "big": np.uint64(2**64 - 1),
    }
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), odd, more=lambda file: file.setncattr("limit", np.inf))
    made = run(profile_of(source, "zarr", version=version), tmp_path / "out")

    def no_constant(text: str) -> None:
        raise AssertionError(text)

    names = ["zarr.json", "sst/zarr.json"] if version == 3 else [".zattrs", "sst/.zattrs", ".zmetadata"]
    found = [json.loads((made.path / name).read_text(), parse_constant=no_constant) for name in names]
    attrs = found[1]["attributes"] if version == 3 else found[1]
    assert attrs["big"] == 2**64 - 1
    assert attrs["units"] == "1"
    for name, key in (("sst", "valid_max"), ("sst", "reach"), ("global attributes", "limit")):
        assert any(line.startswith(f"{name}: {key} ") and "dropped" in line for line in made.one.changes)


# --- all of it ------------------------------------------------------------------------------------------------------


def everything(file: Any) -> None:
    """A coordinate of text, a number beside the grid, a profile along no place, a second variable, a compound type."""
    file.createVariable("station", "S1", ("lat",))
    file.createVariable("height", "f8", ()).setncatts({"standard_name": "height", "units": "m", "positive": "up"})
    file.createDimension("band", 3)
    file.createVariable("wavelength", "f4", ("band",))[:] = [1, 2, 3]
    hybrid(file)
    odd_types(file)


@pytest.mark.parametrize("fmt", ["zarr", "netcdf", "cog"])
def test_each_variable_is_in_the_product_or_among_what_was_left_out(tmp_path: Path, fmt: str) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), more=everything)
    made = run(profile_of(source, fmt, select=["sst", "err"]), tmp_path / "out")
    with xr.open_dataset(source, decode_cf=False, engine="h5netcdf") as dataset:
        names = {str(name) for name in dataset.variables} - {"lat", "lon", "time", "crs"}
    told = [
        line.partition(" left out: ")[0].split(", ")
        for one in made.artifacts
        for line in one.changes
        if " left out: " in line
    ]
    left_out = {name for names in told for name in names}
    if fmt == "cog":
        kept = {variable.name for one in made.artifacts for variable in one.variables}
        assert names - kept - left_out == {"ps_in", "cloud"}  # data that was not selected: a finding on the source
    else:
        kept = {str(name) for name in opened(made.path, decode_cf=False).variables}
        assert names <= kept | left_out
        assert kept & left_out == set()


# --- types ----------------------------------------------------------------------------------------------------------


def odd_types(file: Any) -> None:
    """An enumeration of NetCDF-4, text on the map, and a compound type."""
    cloud = file.createEnumType(np.uint8, "cloud_t", {"clear": 0, "stratus": 1, "unknown": 255})
    made = file.createVariable("cloud", cloud, ("time", "lat", "lon"), fill_value=np.uint8(255))
    made.setncatts({"long_name": "Cloud", "grid_mapping": "crs"})
    made[:] = np.arange(12).reshape(1, 3, 4) % 2
    file.createVariable("code", "S1", ("lat", "lon"))
    pair = file.createCompoundType(np.dtype([("a", "f4"), ("b", "f4")]), "pair_t")
    file.createVariable("pair", pair, ("lat", "lon"))


@pytest.mark.parametrize("fmt", ["zarr", "netcdf", "cog"])
def test_names_of_an_enumeration_are_classes_and_a_compound_type_is_told(tmp_path: Path, fmt: str) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), more=odd_types)
    profile = profile_of(source, fmt)
    assert any("pair is of a compound type and is not packaged" in note for note in notes_of(profile))
    made = run(profile, tmp_path / "out")
    (cloud,) = [variable for one in made.artifacts for variable in one.variables if variable.name == "cloud"]
    assert cloud.classes == ({"value": 0, "name": "clear"}, {"value": 1, "name": "stratus"})
    assert cloud.statistics is not None
    assert cloud.statistics.values == ((0, 6), (1, 6))


# --- numbers as text, angles in other units -------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["scale_factor", "add_offset", "missing_value"])
@pytest.mark.parametrize("text", ["0.5", "-999", "1e3f"])
def test_a_number_as_text_is_refused_by_name(tmp_path: Path, key: str, text: str) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), {"units": "K", key: text})
    failure = planned(profile_of(source, "zarr")).failures[0]
    assert f"sst: its {key} is {text!r}, which is no number" in failure.error
    assert f"ncatted -a {key},sst" in failure.remedy


def test_a_missing_value_in_words_is_no_number_and_hides_nothing(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), {"units": "K", "missing_value": "none"})
    found = run(profile_of(source, "netcdf"), tmp_path / "out").one.variables[0].statistics
    assert found is not None
    assert found.count == 12


def test_a_scale_in_a_list_of_zarr_is_that_number(tmp_path: Path) -> None:
    source = tmp_path / "a.zarr"
    with xr.open_dataset(make_nc(tmp_path / "a.nc", ramp(1, 3, 4, dtype="i2")), decode_cf=False) as dataset:
        dataset.to_zarr(source, zarr_format=3, consolidated=False)
    metadata = json.loads((source / "sst/zarr.json").read_text())
    metadata["attributes"]["scale_factor"] = [0.5]
    (source / "sst/zarr.json").write_text(json.dumps(metadata))
    made = run(profile_of(source, "zarr"), tmp_path / "out")
    assert opened(made.path)["sst"].values.max() == 5.5


@pytest.mark.parametrize("units", ["radian", "rad", "arcminute"])
def test_places_of_cells_in_other_angles_lie_where_those_in_degrees_do(tmp_path: Path, units: str) -> None:
    dims, size = ("y", "x"), 60.0 if units == "arcminute" else np.pi / 180
    lat, lon = np.mgrid[10:13, 20:24] * size
    named = {
        "lat": (dims, lat, {"standard_name": "latitude", "units": units}),
        "lon": (dims, lon, {"standard_name": "longitude", "units": units}),
        "sst": (dims, ramp(3, 4), {"units": "K", "long_name": "sst", "coordinates": "lat lon"}),
    }
    xr.Dataset({key: xr.Variable(*value) for key, value in named.items()}).to_netcdf(tmp_path / "a.nc")
    period = {"start": "2020-01-01", "end": "2020-12-31"}
    profile = profile_of(tmp_path / "a.nc", "zarr", crs="EPSG:4326", time=period)
    made = run(profile, tmp_path / "out")
    assert made.one.grid.lonlat == pytest.approx((19.5, 9.5, 23.5, 12.5))
    assert np.array_equal(opened(made.path)["lat"].values, lat)


def test_runs_that_nothing_says_the_validity_of_are_told(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[0, 1])
    with xr.open_dataset(source, decode_cf=False) as dataset:
        changed = dataset.load()
    changed["time"].attrs["standard_name"] = "forecast_reference_time"
    changed.to_netcdf(tmp_path / "b.nc")
    assert any("nothing says when they are valid" in note for note in notes_of(profile_of(tmp_path / "b.nc", "zarr")))


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_hybrid_levels_areas_and_enumerations_break_no_rule_of_ours(tmp_path: Path, fmt: str) -> None:
    """What describe leaves to coordinates and helpers, check does not miss in STAC, nor its units and grid mapping."""
    from earthcode_pack.pipeline import prepare

    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), more=everything)
    found = prepare(profile_of(source, fmt), tmp_path / "work").findings()
    rules = {finding.rule for finding in found if finding.level == "error"}
    assert not {rule for rule in rules if rule.startswith(("FACT-", "CF-GRID", "CF-BOUNDS", "CF-UNITS", "DATA-"))}, (
        found
    )
