import numpy as np
import pytest

from earthcode_pack.cf.roles import grid_mappings
from earthcode_pack.checks.cf import cf_findings, open_raw


@pytest.fixture
def judge(write_netcdf):
    def judged(dataset):
        with open_raw(str(write_netcdf(dataset)), engine="h5netcdf") as raw:
            return cf_findings(raw, "demo.nc")

    return judged


def test_a_well_described_cube_has_no_finding(cube, judge):
    assert judge(cube) == []


@pytest.mark.parametrize(
    ("rule", "variable", "changes"),
    [
        ("CF-UNITS", "sst", {"units": None}),
        ("CF-UNITS", "sst", {"units": ""}),
        ("CF-UNITS", "lat", {"units": None}),
        ("CF-TIME-UNITS", "time", {"units": "days since the flood"}),
        ("CF-TIME-UNITS", "time", {"units": "K"}),
        ("CF-TIME-CALENDAR", "time", {"calendar": None}),
        ("CF-LATLON-UNITS", "lat", {"units": "metre"}),
        ("CF-UNITS-FORM", "sst", {"units": "degrees C"}),
        ("CF-STANDARD-NAME", "sst", {"standard_name": None}),
        ("CF-STANDARD-NAME-UNKNOWN", "sst", {"standard_name": "sea_surface_temprature"}),
        ("CF-STANDARD-NAME-UNITS", "sst", {"standard_name": "sea_ice_speed"}),
        ("CF-TIME-UNITS", "time", {"units": "days since 2020-01-01 00:00:00 EST"}),
        ("CF-LONG-NAME", "sst", {"long_name": None}),
        ("CF-GRID-MAPPING", "sst", {"grid_mapping": None}),
        ("CF-GRID-MAPPING", "sst", {"grid_mapping": "nowhere"}),
        ("CF-BOUNDS", "lat", {"bounds": "lat_bnds"}),
        ("CF-FLAGS", "sst", {"flag_values": np.array([1, 2], "i1")}),
        ("CF-FLAGS", "sst", {"flag_values": np.array([1, 2], "i1"), "flag_meanings": "one two three"}),
        ("CF-FLAGS", "sst", {"standard_name": "sea_surface_temperature status_flag"}),
        ("CF-CONVENTIONS", None, {"Conventions": None}),
        ("ACDD-REQUIRED", None, {"title": None}),
        ("ACDD-REQUIRED", None, {"summary": None}),
        ("ACDD-REQUIRED", None, {"license": None}),
        ("ACDD-RECOMMENDED", None, {"institution": None}),
        ("ACDD-DOCUMENTATION", None, {"references": "Doe (2020), my thesis"}),
        ("CF-UNCERTAINTY", "sst", {"ancillary_variables": None}),
    ],
)
def test_one_attribute_wrong_is_the_one_finding(cube, judge, broken, rule, variable, changes):  # noqa: PLR0917
    attrs = cube.attrs if variable is None else cube[variable].attrs
    for key, value in changes.items():
        if value is None:
            del attrs[key]
        else:
            attrs[key] = value
    assert broken(judge(cube)) == {rule}


def test_time_bounds_are_asked_for_where_cell_methods_name_an_interval(cube, judge, broken):
    del cube["time"].attrs["bounds"]
    cube = cube.drop_vars("time_bnds")
    assert broken(judge(cube)) == {"CF-TIME-BOUNDS"}
    cube["sst"].attrs["cell_methods"] = "time: point"
    assert judge(cube) == []


@pytest.mark.parametrize("source", ["history", "source", "references"])
def test_any_account_of_its_making_is_provenance(cube, judge, broken, source):
    kept = {key: value for key, value in cube.attrs.items() if key not in {"history", "source", "references"}}
    cube.attrs = kept
    assert broken(judge(cube)) == {"ACDD-REQUIRED", "ACDD-RECOMMENDED", "ACDD-DOCUMENTATION"}
    cube.attrs = kept | {source: "x"}
    assert broken(judge(cube)) == {"ACDD-RECOMMENDED", "ACDD-DOCUMENTATION"}


def test_a_grid_mapping_that_states_nothing(cube, judge, broken):
    cube["crs"].attrs = {"comment": "to be done"}
    assert broken(judge(cube)) >= {"CF-GRID-MAPPING"}


def test_a_grid_mapping_without_a_figure_of_the_earth(cube, judge, broken):
    cube["crs"].attrs = {"grid_mapping_name": "latitude_longitude"}
    assert broken(judge(cube)) >= {"CF-GRID-MAPPING"}
    cube["crs"].attrs["earth_radius"] = 6371229.0
    assert judge(cube) == []


def test_a_spatial_ref_with_only_wkt_is_a_crs(cube, judge):
    cube["crs"].attrs = {"crs_wkt": cube["crs"].attrs["crs_wkt"]}
    assert judge(cube) == []


@pytest.mark.parametrize(
    ("attrs", "rules"),
    [
        ({"standard_name": "depth", "units": "m", "positive": "down"}, set()),
        ({"standard_name": "depth", "units": "m"}, {"CF-VERTICAL"}),
        ({"axis": "Z", "units": "m", "positive": "under"}, {"CF-VERTICAL"}),
        ({"standard_name": "air_pressure", "axis": "Z", "units": "hPa"}, set()),
    ],
)
def test_a_vertical_axis_says_which_way_it_points(cube, judge, broken, attrs, rules):
    deep = cube.expand_dims(z=[1.0, 2.0])
    deep = deep.assign({name: cube[name] for name in ("crs", "time_bnds")})
    deep["z"].attrs = attrs | {"long_name": "z"}
    assert broken(judge(deep)) == rules


def test_flags_labels_bounds_and_grid_mappings_need_no_units(cube, judge):
    flags = np.ones((8, 10), "i1")
    attrs = {"standard_name": "quality_flag", "long_name": "quality", "grid_mapping": "crs"}
    meanings = {"flag_values": np.array([0, 1], "i1"), "flag_meanings": "bad good"}
    cube["quality"] = (("lat", "lon"), flags, attrs | meanings)
    cube = cube.assign_coords(name=("time", np.array(["a", "b", "c"])))
    assert judge(cube) == []


def test_one_flag_alone_is_a_list_too(cube, judge):
    attrs = {"standard_name": "quality_flag", "long_name": "quality", "grid_mapping": "crs"}
    cube["quality"] = (
        ("lat", "lon"),
        np.ones((8, 10), "i1"),
        attrs | {"flag_masks": np.int8(1), "flag_meanings": "bad"},
    )
    assert judge(cube) == []


def test_a_series_without_a_grid_needs_no_grid_mapping(cube, judge):
    series = cube[["time_bnds"]].assign(sst=cube["sst"].mean(("lat", "lon"), keep_attrs=True))
    del series["sst"].attrs["grid_mapping"]
    assert judge(series) == []


@pytest.mark.parametrize(
    "units", ["days since 1970-01-01T00:00:00Z", "hours since 1850-01-01", "seconds since 1970-1-1 0:0:0"]
)
def test_every_form_of_time_that_readers_take(cube, judge, units):
    cube["time"].attrs["units"] = units
    assert judge(cube) == []


def test_a_calendar_of_360_days(cube, judge):
    cube["time"].attrs["calendar"] = "360_day"
    assert judge(cube) == []


def test_the_long_form_of_grid_mapping():
    assert grid_mappings({"grid_mapping": "crs_osgb: x y crs_wgs84: latitude longitude"}) == {
        "crs_osgb": ("x", "y"),
        "crs_wgs84": ("latitude", "longitude"),
    }
    assert grid_mappings({}) == {}


def test_a_time_axis_that_lacks_steps(cube, judge):
    axis = cube.isel(time=np.zeros(6, int))
    axis["time"] = ("time", np.array([0, 1, 2, 5, 6, 7], "f8"), cube["time"].attrs)
    (finding,) = judge(axis)
    assert (finding.rule, finding.level) == ("CF-TIME-GAPS", "info")
    assert "lacks 2 steps" in finding.message
    axis["time"].attrs["calendar"] = "noleap"
    assert judge(axis) == []


def test_times_with_too_few_digits(cube, judge, broken):
    axis = cube.isel(time=[0])
    axis["time"] = ("time", np.array([18000.3], "f4"), cube["time"].attrs)
    assert broken(judge(axis)) == {"CF-TIME-PRECISION"}


def test_an_uncertainty_is_known_by_its_names_too(cube, judge, broken):
    del cube["sst"].attrs["ancillary_variables"]
    assert "CF-UNCERTAINTY" in broken(judge(cube))
    cube["sst_unc"] = cube["sst"].assign_attrs(long_name="Uncertainty")
    assert "CF-UNCERTAINTY" not in broken(judge(cube))
