"""Times: units per file, calendars, fractions of a second, names, and files in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import PERIOD, bits, make_nc, make_tiff, opened, planned, profile_of, ramp, run

if TYPE_CHECKING:
    from pathlib import Path

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
