"""What run would refuse is refused by plan, in the same words, where headers and coordinates show it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import netCDF4
import numpy as np
import pytest
from builders import PERIOD, make_nc, make_tiff, opened, planned, profile_of, ramp, run

from earthcode_pack.cli import execute

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALUES = ramp(2, 3, 4)
BY_NAME = {"from": "filename", "pattern": "*_{start:%Y%m%d}.nc"}


def two(folder: Path, **second: Any) -> None:
    make_nc(folder / "a.nc", VALUES, times=[0, 1])
    make_nc(folder / "b.nc", VALUES, **({"times": [5, 6]} | second))


def calendars(folder: Path) -> None:
    two(folder, calendar="noleap")


def coarse_units(folder: Path) -> None:
    two(folder, times=np.array([5 * 10**9 + 1, 6 * 10**9 + 1]), units="nanoseconds since 2020-01-05")


def bounds_of_another_shape(folder: Path) -> None:
    for name, start, length in (("a", 0, 2), ("b", 5, 3)):

        def more(file: netCDF4.Dataset, length: int = length) -> None:
            file.createDimension("nv", length)
            file.createVariable("aux", "f8", ("time", "nv"))[:] = 1
            file["sst"].coordinates = "aux"

        make_nc(folder / f"{name}.nc", VALUES, times=[start, start + 1], more=more)


def times_of_places(folder: Path) -> None:
    def more(file: netCDF4.Dataset) -> None:
        time = file.createVariable("time", "f8", ("lat", "lon"))
        time[:] = 1
        time.setncatts({"units": "days since 2020-01-01", "standard_name": "time"})

    for name in ("a_20200101", "b_20200102"):
        make_nc(folder / f"{name}.nc", ramp(3, 4), dims=("lat", "lon"), more=more)


def steps_without_times(folder: Path) -> None:
    make_nc(folder / "a_20200101.nc", VALUES, times=[0, 0.5])
    make_nc(folder / "b_20200105.nc", ramp(1, 3, 4), times=[4])
    with netCDF4.Dataset(folder / "b_20200105.nc", "a") as file:
        file.renameVariable("time", "counter")
        del file["counter"].units
        del file["counter"].standard_name


@pytest.mark.parametrize(
    ("make", "time", "said"),
    [
        (calendars, None, "a.nc and b.nc: time: calendars 'standard' and 'noleap' in one cube"),
        (coarse_units, None, "a.nc and b.nc: time: 'nanoseconds since 2020-01-05' cannot be written as"),
        (bounds_of_another_shape, None, "a.nc and b.nc differ in aux: {'time': 2, 'nv': 2} and {'time': 2, 'nv': 3}"),
        (times_of_places, BY_NAME, "a_20200101.nc: time lies along lat, lon, and files would become steps of time"),
        (steps_without_times, BY_NAME, "b_20200105.nc has no coordinate time, and a_20200101.nc has one for 2 steps"),
    ],
)
@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_files_that_are_no_one_cube(
    tmp_path: Path, make: Callable[[Path], None], time: Any, said: str, fmt: str
) -> None:
    make(tmp_path)
    options = {"split": "none"} if fmt == "netcdf" else {}
    made = planned(profile_of(tmp_path / "*.nc", fmt, time=time, **options))
    assert not made.jobs
    (failure,) = made.failures
    assert failure.error.startswith(said)
    assert failure.remedy


@pytest.mark.parametrize("fmt", ["cog", "netcdf"])
def test_files_of_their_own_may_have_calendars_of_their_own(tmp_path: Path, fmt: str) -> None:
    calendars(tmp_path)
    assert not planned(profile_of(tmp_path / "*.nc", fmt)).failures


@pytest.mark.parametrize("bare", ["a_20200101.nc", "b_20200102.nc"])
def test_single_steps_of_which_one_has_no_time_get_the_times_of_their_names(tmp_path: Path, bare: str) -> None:
    for day, name in enumerate(("a_20200101.nc", "b_20200102.nc")):
        make_nc(tmp_path / name, ramp(1, 3, 4), times=[day])
    with netCDF4.Dataset(tmp_path / bare, "a") as file:
        file.renameVariable("time", "counter")
    out = opened(run(profile_of(tmp_path / "*.nc", "zarr", time=BY_NAME), tmp_path / "out").path)
    assert [str(moment)[:10] for moment in out["time"].values] == ["2020-01-01", "2020-01-02"]


def test_dimensions_in_another_order(tmp_path: Path) -> None:
    make_nc(tmp_path / "a.nc", VALUES, times=[0, 1])
    make_nc(tmp_path / "b.nc", VALUES.transpose(1, 2, 0).copy(), times=[5, 6], dims=("lat", "lon", "time"))
    out = opened(run(profile_of(tmp_path / "*.nc", "netcdf", split="none"), tmp_path / "out").path)
    np.testing.assert_array_equal(out["sst"].transpose("time", "lat", "lon"), np.concatenate([VALUES, VALUES]))


@pytest.mark.parametrize("name", ["zarr.json", ".zarray"])
def test_a_variable_that_is_called_as_metadata_of_zarr(tmp_path: Path, name: str) -> None:
    make_nc(tmp_path / "a.nc", VALUES, times=[0, 1])
    described = {name: {"from": "sst"}}
    (failure,) = planned(profile_of(tmp_path / "a.nc", "zarr", described=described)).failures
    assert f"variable {name} is called as a file of Zarr's metadata" in failure.error
    assert not planned(profile_of(tmp_path / "a.nc", "netcdf", described=described)).failures


# --- files that are cut off -------------------------------------------------------------------------------------------


def classic(path: Path, fmt: str) -> None:
    make_nc(path, ramp(2, 90, 80), times=[0, 1], fmt=fmt)


def tiled(path: Path, values: np.ndarray | None = None, **options: Any) -> None:
    make_tiff(
        path,
        np.ones((2, 150, 170), "float32") if values is None else values,
        tiled=True,
        blockxsize=64,
        blockysize=64,
        **options,
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda path: classic(path, "NETCDF3_CLASSIC"), lambda path: classic(path, "NETCDF3_64BIT_OFFSET"),
        lambda path: classic(path, "NETCDF3_64BIT_DATA"), lambda path: make_tiff(path, ramp(150, 170)),
        tiled, lambda path: tiled(path, interleave="band"), lambda path: tiled(path, BIGTIFF="YES"),
    ],
)  # fmt: skip
def test_a_file_that_is_cut_off(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "a.dat"
    make(path)
    profile = profile_of(path, time=PERIOD)
    assert not planned(profile).failures
    path.write_bytes(path.read_bytes()[:-500])
    (failure,) = planned(profile).failures
    assert "a.dat: " in failure.error
    assert "the file ends" in failure.error
    assert "bytes too early" in failure.error


def test_a_sparse_tiff_is_whole(tmp_path: Path) -> None:
    make_tiff(
        tmp_path / "a.tif", np.zeros((150, 170), "uint8"), SPARSE_OK=True, tiled=True, blockxsize=64, blockysize=64
    )
    assert not planned(profile_of(tmp_path / "a.tif", time=PERIOD)).failures


# --- types ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "kind"), [("complex64", "complex"), (np.dtype([("i", "f4"), ("q", "f4")]), "compound")]
)
def test_a_type_that_is_left_out_is_named(
    tmp_path: Path, dtype: Any, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_nc(tmp_path / "a.nc", VALUES, times=[0, 1])
    with h5py.File(tmp_path / "a.nc", "a") as file:
        made = file.create_dataset("odd", data=np.zeros((2, 3, 4), dtype))
        for axis, dim in enumerate(("time", "lat", "lon")):
            made.dims[axis].attach_scale(file[dim])
    (tmp_path / "p.yaml").write_text(profile_of(tmp_path / "a.nc", "zarr").to_yaml())
    execute(["plan", str(tmp_path / "p.yaml"), "--json"])
    assert json.loads(capsys.readouterr().out)["findings"]["warning"] == 1
    execute(["run", str(tmp_path / "p.yaml"), "--json"])
    findings = json.loads((tmp_path / ".earthcode-pack/demo/v1/findings.json").read_text())
    (said,) = [finding["message"] for finding in findings if finding["rule"] == "CF-TYPES"]
    assert said == f"a.nc: odd is of a {kind} type and is not packaged"
