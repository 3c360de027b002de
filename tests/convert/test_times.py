"""Times: units per file, calendars, fractions of a second, names, and files in any order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import PERIOD, bits, make_nc, make_tiff, opened, planned, profile_of, ramp, run

from earthcode_pack.checks.artifacts import item_gap_findings
from earthcode_pack.model import Sources, rfc3339
from earthcode_pack.sources.discover import discover
from earthcode_pack.storage import IdentityCache

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.profile import Profile


def found(profile: Profile) -> Sources:
    return discover(profile, IdentityCache())


ONE_FILE = {"zarr": {}, "netcdf": {"split": "none"}}


def starts(made: Any) -> list[str]:
    return [str(value)[:19] for value in opened(made.path)["time"].values]


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_units_per_file_and_files_out_of_order(tmp_path: Path, fmt: str) -> None:
    make_nc(tmp_path / "a.nc", ramp(2, 3, 4) + 100, times=[0, 1], units="days since 2020-02-01")
    make_nc(tmp_path / "b.nc", ramp(2, 3, 4), times=[24, 48], units="hours since 2020-01-01")
    made = run(profile_of(tmp_path / "*.nc", fmt, **ONE_FILE[fmt]), tmp_path / "out")
    assert starts(made) == [f"2020-{day}T00:00:00" for day in ("01-02", "01-03", "02-01", "02-02")]
    values = opened(made.path)["sst"].values
    assert bits(values) == bits(np.concatenate([ramp(2, 3, 4), ramp(2, 3, 4) + 100]))
    assert any("in the units of the first file" in line for line in made.one.changes)


def test_interleaved_files_and_a_gap(tmp_path: Path) -> None:
    make_nc(tmp_path / "a.nc", np.stack([np.full((3, 4), n, "f4") for n in (0, 4)]), times=[0, 4])
    make_nc(tmp_path / "b.nc", np.stack([np.full((3, 4), n, "f4") for n in (9, 2)]), times=[9, 2])
    made = run(profile_of(tmp_path / "*.nc", "zarr", chunks={"time": 3}), tmp_path / "out")
    assert opened(made.path)["sst"].values[:, 0, 0].tolist() == [0, 2, 4, 9]
    assert starts(made) == [f"2020-01-{day:02}T00:00:00" for day in (1, 3, 5, 10)]


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_overlap_names_both_files(tmp_path: Path, fmt: str) -> None:
    make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[0, 1])
    make_nc(tmp_path / "b.nc", ramp(2, 3, 4), times=[1, 2])
    make_nc(tmp_path / "c.nc", ramp(1, 3, 4), times=[5])
    made = run(profile_of(tmp_path / "*.nc", fmt, **ONE_FILE[fmt]), tmp_path / "out")
    assert len(made.failures) == 2
    assert all("a.nc and b.nc both hold 2020-01-02T00:00:00Z" in failure.error for failure in made.failures)
    assert len(made.artifacts) == 1


def test_30_february_becomes_the_last_day(tmp_path: Path) -> None:
    source = make_nc(
        tmp_path / "a.nc", ramp(2, 3, 4), times=[59, 60], units="days since 2020-01-01", calendar="360_day"
    )
    made = run(profile_of(source, "zarr"), tmp_path / "out")
    assert made.one.period.start.isoformat() == "2020-02-29T00:00:00+00:00"
    assert made.one.period.end.isoformat() == "2020-03-01T00:00:00+00:00"
    assert any("30 February" in line for line in made.one.changes), made.one.changes
    assert opened(made.path, decode_times=False)["time"].attrs["calendar"] == "360_day"


def test_noleap(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[58, 59], calendar="noleap")
    made = planned(profile_of(source))
    assert [job.item for job in made.jobs] == ["demo_20200228", "demo_20200301"]


def test_calendars_do_not_mix(tmp_path: Path) -> None:
    make_nc(tmp_path / "a.nc", ramp(1, 3, 4), times=[0], calendar="noleap")
    make_nc(tmp_path / "b.nc", ramp(1, 3, 4), times=[1])
    assert "calendars" in run(profile_of(tmp_path / "*.nc", "zarr"), tmp_path / "out").error


def test_standard_and_gregorian_are_one_calendar(tmp_path: Path) -> None:
    make_nc(tmp_path / "a.nc", ramp(1, 3, 4), times=[0], calendar="gregorian")
    make_nc(tmp_path / "b.nc", ramp(1, 3, 4), times=[1], calendar="proleptic_gregorian")
    assert len(starts(run(profile_of(tmp_path / "*.nc", "zarr"), tmp_path / "out"))) == 2


@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_fractions_of_a_second_are_kept(tmp_path: Path, fmt: str) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), times=[37649687763], units="microseconds since 2016-12-19")
    made = run(profile_of(source, fmt), tmp_path / "out")
    assert made.one.period.start.isoformat() == "2016-12-19T10:27:29.687763+00:00"
    if fmt == "cog":
        assert made.one.item == "demo_20161219T102729"
    else:
        assert str(opened(made.path)["time"].values[0]) == "2016-12-19T10:27:29.687763000"


@pytest.mark.parametrize(
    ("name", "pattern", "start", "end", "item"),
    [
        ("s_20200229.tif", "s_{start:%Y%m%d}.tif", "2020-02-29T00:00:00", "2020-02-29T23:59:59", "demo_20200229"),
        ("s_202002.tif", "s_{start:%Y%m}.tif", "2020-02-01T00:00:00", "2020-02-29T23:59:59", "demo_20200201"),
        ("s_2020.tif", "s_{start:%Y}.tif", "2020-01-01T00:00:00", "2020-12-31T23:59:59", "demo_20200101"),
        ("s_2020_2021_x.tif", "s_{start:%Y}_{end:%Y}_*.tif", "2020-01-01T00:00:00", "2021-12-31T23:59:59", "demo_20200101"),  # noqa: E501
        ("s_20200102T030405.tif", "s_{start:%Y%m%dT%H%M%S}.tif", "2020-01-02T03:04:05", "2020-01-02T03:04:05", "demo_20200102T030405"),  # noqa: E501
        ("s_2020060.tif", "s_{start:%Y%j}.tif", "2020-02-29T00:00:00", "2020-02-29T23:59:59", "demo_20200229"),
    ],
)  # fmt: skip
def test_names_that_hold_the_time(  # noqa: PLR0917 - a table
    tmp_path: Path, name: str, pattern: str, start: str, end: str, item: str
) -> None:
    make_tiff(tmp_path / name, ramp(3, 4))
    (job,) = planned(profile_of(tmp_path / name, time={"from": "filename", "pattern": pattern})).jobs
    assert job.period.start.isoformat() == f"{start}+00:00"
    assert job.period.end.isoformat() == f"{end}+00:00"
    assert job.item == item


def test_a_name_that_does_not_match(tmp_path: Path) -> None:
    make_tiff(tmp_path / "other.tif", ramp(3, 4))
    made = planned(profile_of(tmp_path / "*.tif", time={"from": "filename", "pattern": "s_{start:%Y}.tif"}))
    assert "other.tif" in made.failures[0].error
    assert "s_{start:%Y}.tif" in made.failures[0].error


@pytest.mark.parametrize("fmt", ["cog", "zarr"])
def test_no_time_axis_where_one_is_promised(tmp_path: Path, fmt: str) -> None:
    make_tiff(tmp_path / "a.tif", ramp(3, 4))
    make_nc(tmp_path / "b.nc", ramp(3, 4), dims=("lat", "lon"))
    failures = planned(profile_of(tmp_path / "*.*", fmt)).failures
    assert len(failures) == 2
    assert all("source.time" in failure.error + failure.remedy for failure in failures)


def test_scalar_time_coordinate(tmp_path: Path) -> None:
    def scalar(day: int) -> Any:
        def add(file: Any) -> None:
            made = file.createVariable("when", "f8", ())
            made.setncatts({"units": "days since 2020-01-01", "standard_name": "time"})
            made[...] = day
            file["sst"].coordinates = "when"

        return add

    for day in (1, 0):
        make_nc(tmp_path / f"{1 - day}.nc", ramp(3, 4) + day, dims=("lat", "lon"), more=scalar(day))
    made = run(profile_of(tmp_path / "*.nc", "zarr"), tmp_path / "out")
    assert starts(made) == ["2020-01-01T00:00:00", "2020-01-02T00:00:00"]
    assert np.array_equal(opened(made.path)["sst"], np.stack([ramp(3, 4), ramp(3, 4) + 1]))
    assert [str(v)[:10] for v in opened(made.path)["when"].values] == ["2020-01-01", "2020-01-02"]


def test_a_step_without_a_coordinate_takes_its_name(tmp_path: Path) -> None:
    import netCDF4

    for day in (1, 2):
        path = make_nc(tmp_path / f"s_2020010{day}.nc", ramp(1, 3, 4) + day)
        with netCDF4.Dataset(path, "a") as file:
            file.renameVariable("time", "unused")
            file["unused"].delncattr("standard_name")
            file["unused"].units = "1"
    time = {"from": "filename", "pattern": "s_{start:%Y%m%d}.nc"}
    made = run(profile_of(tmp_path / "*.nc", "zarr", time=time), tmp_path / "out")
    assert starts(made) == ["2020-01-01T00:00:00", "2020-01-02T00:00:00"]


def test_bounds_make_intervals(tmp_path: Path) -> None:
    def bounds(file: Any) -> None:
        file.createDimension("nv", 2)
        file["time"].bounds = "time_bnds"
        file.createVariable("time_bnds", "f8", ("time", "nv"))[:] = [[0, 1], [1, 2]]

    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[0.5, 1.5], more=bounds)
    jobs = planned(profile_of(source)).jobs
    assert [job.period.end.isoformat() for job in jobs] == ["2020-01-02T00:00:00+00:00", "2020-01-03T00:00:00+00:00"]
    assert [job.item for job in jobs] == ["demo_20200101", "demo_20200102"]


def test_stated_period_that_the_data_contradicts(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), times=[400])
    error = planned(profile_of(source, "zarr", time=PERIOD)).failures[0].error
    assert "2021-02-04" in error
    assert "2020-12-31" in error


def test_a_missing_time_is_named(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[0.0, np.nan])
    assert "a.nc" in planned(profile_of(source)).failures[0].error


@pytest.mark.parametrize(
    ("split", "items"),
    [
        ("year", ["demo_20200101", "demo_20210101"]),
        ("none", ["demo"]),
        ("month", ["demo_20200101", "demo_20200201", "demo_20210101"]),
    ],
)
def test_netcdf_by_year_and_month(tmp_path: Path, split: str, items: list[str]) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(4, 3, 4), times=[0, 1, 31, 366])
    made = run(profile_of(source, "netcdf", split=split), tmp_path / "out")
    assert not made.failures
    assert [a.item for a in made.artifacts] == items
    joined = np.concatenate([opened(made.root / "product" / a.key)["sst"].values for a in made.artifacts])
    assert np.array_equal(joined, ramp(4, 3, 4))


# --- climatologies, calendars, zones, digits ------------------------------------------------------------------------


def with_bounds(key: str, pairs: Any, **attrs: Any) -> Any:
    def add(file: Any) -> None:
        file.createDimension("nv", 2)
        file["time"].setncattr(key, "time_bnds")
        made = file.createVariable("time_bnds", "f8", ("time", "nv"))
        made.setncatts(attrs)
        made[:] = pairs

    return add


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_a_climatology_lasts_from_its_first_year_to_its_last(tmp_path: Path, fmt: str) -> None:
    """CF 1.11, 7.4: January and February of 1981 to 2010, at their middle."""
    pairs = [[0, 10623], [31, 10651]]  # to 2010-02-01 and 2010-03-01
    more = with_bounds("climatology", pairs)
    attrs = {"units": "K", "cell_methods": "time: mean within years time: mean over years"}
    source = make_nc(
        tmp_path / "a.nc", ramp(2, 3, 4), attrs, times=[5479.5, 5509], units="days since 1981-01-01", more=more
    )
    made = run(profile_of(source, fmt), tmp_path / "out")
    assert made.one.period.start.isoformat() == "1981-01-01T00:00:00+00:00"
    assert made.one.period.end.isoformat() == "2010-03-01T00:00:00+00:00"
    held = opened(made.path, decode_times=False)
    assert held["time"].attrs["climatology"] == "time_bnds"
    assert np.array_equal(held["time_bnds"], pairs)
    (dimension,) = [dim for dim in made.one.dimensions if dim.axis == "t"]
    assert dimension.extent == ("1981-01-01T00:00:00Z", "2010-03-01T00:00:00Z")


def test_each_map_of_a_climatology_states_its_years(tmp_path: Path) -> None:
    more = with_bounds("climatology", [[0, 10623], [31, 10651]])
    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[1, 2], units="days since 1981-01-01", more=more)
    found = [(job.item, job.period.end.isoformat()[:10]) for job in planned(profile_of(source)).jobs]
    assert found == [("demo_19810101", "2010-02-01"), ("demo_19810201", "2010-03-01")]


def test_bounds_that_run_backwards_and_have_units_of_their_own(tmp_path: Path) -> None:
    more = with_bounds("bounds", [[24, 0]], units="hours since 2020-01-05")
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), times=[4.5], more=more)
    (job,) = planned(profile_of(source)).jobs
    assert [m.isoformat()[:10] for m in (job.period.start, job.period.end)] == ["2020-01-05", "2020-01-06"]


@pytest.mark.parametrize(
    ("units", "calendar", "value", "start"),
    [
        ("days since 2000-01-01 00:00:00 +02:00", None, 0, "1999-12-31T22:00:00Z"),
        ("days since 2000-01-01 00:00:00 -3:30", None, 0, "2000-01-01T03:30:00Z"),
        ("days since 2000-01-01 00:00:00 UTC", None, 0.25, "2000-01-01T06:00:00Z"),
        ("hours since 2000-01-01T06Z", None, 1, "2000-01-01T07:00:00Z"),
        ("days since 2001-01-01", "noleap", 365 * 3 + 59, "2004-03-01T00:00:00Z"),
        ("days since 2001-01-01", "365_day", 59, "2001-03-01T00:00:00Z"),
        ("days since 2001-01-01", "all_leap", 59, "2001-02-28T00:00:00Z"),
        ("days since 2001-01-01", "360_day", 360, "2002-01-01T00:00:00Z"),
        ("days since 2000-01-01", "julian", 0, "2000-01-14T00:00:00Z"),
        ("days since 1582-10-04", "standard", 1, "1582-10-15T00:00:00Z"),
        ("days since 1582-10-04", "proleptic_gregorian", 1, "1582-10-05T00:00:00Z"),
        ("days since 1500-01-01", "gregorian", 0, "1500-01-10T00:00:00Z"),
        ("days since 0001-01-01", "proleptic_gregorian", 700000 + 1 / 24, "1917-07-16T01:00:00Z"),
        ("days since 1970-01-01", None, 20000 + 43200.1 / 86400, "2024-10-04T12:00:00.100000Z"),
        ("seconds since 1970-01-01", None, 1e9 + 0.123456, "2001-09-09T01:46:40.123456Z"),
        ("months since 2000-01-01", "360_day", 1, "2000-02-01T00:00:00Z"),
        ("days since 9999-12-31", "proleptic_gregorian", 0, "9999-12-31T00:00:00Z"),
    ],
)
def test_an_instant_in_every_calendar_and_zone(
    tmp_path: Path, units: str, calendar: str | None, value: float, start: str
) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), times=[value], units=units, calendar=calendar)
    (job,) = planned(profile_of(source)).jobs
    assert rfc3339(job.period.start) == start
    assert job.period.is_instant


@pytest.mark.parametrize(
    ("units", "calendar", "value", "said"),
    [
        ("days since 2000-01-01 00:00:00 EST", None, 0, "EST"),
        ("months since 2000-01-01", None, 1, "365.242198781 days"),
        ("weeks since 2000-01-01", None, 1, "write the times in days"),
        ("days since 0000-01-01", "noleap", 0, "outside the years 1 to 9999"),
        ("days since 9999-12-31", None, 1, "outside the years 1 to 9999"),
        ("days since 2000-01-01", "mayan", 0, "mayan"),
        ("days since 2000-01-01", "tai", 0, "leap seconds"),
        ("days since 2000-13-01", None, 0, "2000-13-01"),
    ],
)
def test_times_that_mean_nothing_certain_are_refused(
    tmp_path: Path, units: str, calendar: str | None, value: float, said: str
) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), times=[value], units=units, calendar=calendar)
    (failure,) = planned(profile_of(source)).failures
    assert failure.error.startswith("a.nc: time coordinate time")
    assert said in failure.error + failure.remedy


def test_a_missing_time_among_integers_is_named(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file["time"].missing_value = np.int32(-99)

    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=np.array([0, -99], "i4"), more=fill)
    (failure,) = planned(profile_of(source)).failures
    assert "a.nc: time coordinate time: a value is missing (-99)" in failure.error


def test_a_packed_time_axis_is_refused(tmp_path: Path) -> None:
    def pack(file: Any) -> None:
        file["time"].scale_factor = 0.5

    (failure,) = planned(profile_of(make_nc(tmp_path / "a.nc", ramp(1, 3, 4), more=pack))).failures
    assert "packed" in failure.error


def test_a_descending_axis_is_turned(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(3, 3, 4), times=[2, 1, 0])
    made = run(profile_of(source, "zarr"), tmp_path / "out")
    assert starts(made) == [f"2020-01-0{day}T00:00:00" for day in (1, 2, 3)]
    assert np.array_equal(opened(made.path)["sst"], ramp(3, 3, 4)[::-1])


def test_one_time_twice_in_a_file_is_an_error(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[1, 1])
    for fmt in ("zarr", "cog"):
        (failure,) = planned(profile_of(source, fmt)).failures
        assert "2020-01-02T00:00:00Z" in failure.error


def test_zones_that_differ_between_files_are_one_axis(tmp_path: Path) -> None:
    make_nc(tmp_path / "a.nc", ramp(1, 3, 4), times=[0], units="hours since 2020-01-01 00:00 +2")
    make_nc(tmp_path / "b.nc", ramp(1, 3, 4), times=[0], units="hours since 2020-01-01 00:00:00Z")
    made = run(profile_of(tmp_path / "*.nc", "zarr"), tmp_path / "out")
    assert not made.failures
    assert made.one.period.start.isoformat() == "2019-12-31T22:00:00+00:00"
    assert made.one.period.end.isoformat() == "2020-01-01T00:00:00+00:00"


def test_float32_days_that_hide_the_hour_are_noted(tmp_path: Path) -> None:
    odd = make_nc(
        tmp_path / "a.nc", ramp(2, 3, 4), times=np.array([18000.3, 18001.3], "f4"), units="days since 1970-01-01"
    )
    whole = make_nc(
        tmp_path / "b.nc", ramp(2, 3, 4), times=np.array([18000, 18001], "f4"), units="days since 1970-01-01"
    )
    (source,) = found(profile_of(odd)).sources
    assert [(note.rule, note.measured) for note in source.notes] == [("CF-TIME-PRECISION", 84.375)]
    (source,) = found(profile_of(whole)).sources
    assert source.notes == ()


def test_maps_by_the_month_that_lack_one(tmp_path: Path) -> None:
    for month in (1, 2, 3, 5, 6):
        make_tiff(tmp_path / f"s_2020{month:02}.tif", ramp(3, 4))
    time = {"from": "filename", "pattern": "s_{start:%Y%m}.tif"}
    made = run(profile_of(tmp_path / "*.tif", time=time), tmp_path / "out")
    (finding,) = item_gap_findings(made.artifacts)
    assert (finding.rule, finding.level) == ("CF-TIME-GAPS", "info")
    assert "lacks 1 step" in finding.message
    assert finding.measured == ["2020-03-01T00:00:00+00:00", "2020-05-01T00:00:00+00:00"]


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_nanoseconds_beside_days(tmp_path: Path, fmt: str) -> None:
    """As xarray writes them; cftime knows none."""
    day = 86_400_000_000_000
    make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=np.array([0, day]), units="nanoseconds since 2020-01-01")
    make_nc(tmp_path / "b.nc", ramp(2, 3, 4), times=np.array([31, 32]), units="days since 2020-01-01")
    made = run(profile_of(tmp_path / "*.nc", fmt, **ONE_FILE[fmt]), tmp_path / "out")
    assert starts(made) == [f"2020-{text}T00:00:00" for text in ("01-01", "01-02", "02-01", "02-02")]


def test_nanoseconds_keep_their_microseconds(tmp_path: Path) -> None:
    make_nc(tmp_path / "a.nc", ramp(1, 3, 4), times=np.array([1_500_001_999]), units="nanoseconds since 2020-01-01")
    (source,) = found(profile_of(tmp_path / "a.nc", "zarr")).sources
    assert [rfc3339(period.start) for period in source.times] == ["2020-01-01T00:00:01.500001Z"]


@pytest.mark.parametrize("split", [[0, 30], [0, 29, 30]], ids=["one file", "29 and 30 February in two files"])
def test_each_day_of_a_360_day_february_is_a_step(tmp_path: Path, split: list[int]) -> None:
    units = "days since 2001-02-01"
    for first, last in itertools.pairwise(split):
        times = np.arange(first, last)
        make_nc(tmp_path / f"{first}.nc", ramp(last - first, 3, 4), times=times, units=units, calendar="360_day")
    made = run(profile_of(tmp_path / "*.nc", "zarr"), tmp_path / "out")
    raw = opened(made.path, decode_times=False)["time"]
    assert raw.attrs["calendar"] == "360_day"
    assert raw.values.tolist() == list(range(30))


def test_nanoseconds_that_other_units_cannot_hold_are_refused(tmp_path: Path) -> None:
    make_nc(tmp_path / "a.nc", ramp(1, 3, 4), times=np.array([0]), units="days since 2020-01-01")
    make_nc(
        tmp_path / "b.nc", ramp(1, 3, 4), times=np.array([86_400_000_000_001]), units="nanoseconds since 2020-01-01"
    )
    (failure,) = run(profile_of(tmp_path / "*.nc", "zarr"), tmp_path / "out").failures
    assert "without rounding" in failure.error
