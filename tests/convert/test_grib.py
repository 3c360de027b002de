"""GRIB: small messages by ecCodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj  # noqa: F401 - before ecCodes
import pytest
import rasterio
from builders import make_grib, opened, planned, profile_of, run
from pyproj import CRS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_hours_on_the_messages_own_sphere(tmp_path: Path, fmt: str) -> None:
    values = make_grib(tmp_path / "a.grib")
    made = run(profile_of(tmp_path / "a.grib", fmt), tmp_path / "out")
    out = opened(made.path)
    assert np.array_equal(out["t2m"].values, values)
    assert [str(t)[:13] for t in out["time"].values] == ["2020-01-01T00", "2020-01-01T06"]
    assert CRS.from_wkt(made.one.grid.crs).ellipsoid.semi_major_metre == 6367470
    assert "cfgrib" not in out.attrs["history"]
    assert made.one.grid.bounds == (-0.5, 46.5, 5.5, 50.5)


def test_missing_values_are_nodata(tmp_path: Path) -> None:
    values = make_grib(tmp_path / "a.grib", hours=(0,), missing=True)
    made = run(profile_of(tmp_path / "a.grib"), tmp_path / "out")
    with rasterio.open(made.path) as file:
        assert np.array_equal(file.read(1), values[0], equal_nan=True)
        assert np.isnan(file.nodata)
        assert file.tags(1)["GRIB_paramId"] == "167"
    assert made.one.variables[0].statistics is not None
    assert made.one.variables[0].statistics.valid_percent == pytest.approx(100 * 21 / 24)


def test_steps_of_one_run_become_times(tmp_path: Path) -> None:
    make_grib(tmp_path / "a.grib", hours=(0,), steps=(3, 6))
    items = [job.item for job in planned(profile_of(tmp_path / "a.grib")).jobs]
    assert items == ["demo_20200101T030000", "demo_20200101T060000"]


def test_runs_with_steps_are_refused(tmp_path: Path) -> None:
    make_grib(tmp_path / "a.grib", hours=(0, 12), steps=(3, 6))
    (failure,) = planned(profile_of(tmp_path / "a.grib")).failures
    assert "forecast runs" in failure.error


def test_files_of_one_message_each(tmp_path: Path) -> None:
    values = [make_grib(tmp_path / f"{hour}.grib", hours=(hour,))[0] for hour in (6, 0)]
    made = run(profile_of(tmp_path / "*.grib", "zarr"), tmp_path / "out")
    out = opened(made.path)
    assert np.array_equal(out["t2m"].values, np.stack(values[::-1]))
    assert [str(t)[:13] for t in out["valid_time"].values] == ["2020-01-01T00", "2020-01-01T06"]


def test_no_index_is_left_beside_the_file(tmp_path: Path) -> None:
    make_grib(tmp_path / "a.grib")
    planned(profile_of(tmp_path / "a.grib"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.grib"]


def test_the_sphere_is_corrected_by_override(tmp_path: Path) -> None:
    make_grib(tmp_path / "a.grib", hours=(0,))
    wanted = {"value": "EPSG:4326", "override": True}
    made = run(profile_of(tmp_path / "a.grib", crs=wanted), tmp_path / "out")
    assert CRS.from_wkt(made.one.grid.crs).to_epsg() == 4326


@pytest.mark.slow
def test_era5_of_a_month(tmp_path: Path, shared: Path) -> None:
    source = shared / "data" / "era5-2mt-2019-03-uk.grib"
    made = run(profile_of(source, "zarr"), tmp_path / "out")
    assert made.one.variables[0].shape[0] == 744
