"""Ids, keys, collisions, cubes and fingerprints, on real files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import PERIOD, make_nc, make_tiff, planned, profile_of, ramp

from earthcode_pack.model import Plan

BY_NAME = {"from": "filename", "pattern": "*_{start:%Y%m%d}.tif"}
EAST = {"crs": "EPSG:32632"}


def keys(made: Plan) -> list[str]:
    return [job.key for job in made.jobs]


def test_one_item_for_each_time(tmp_path: Path) -> None:
    for day in (1, 2):
        make_tiff(tmp_path / f"a_2020010{day}.tif", ramp(3, 4))
    made = planned(profile_of(tmp_path / "*.tif", time=BY_NAME, described={"sst": {}}))
    assert keys(made) == [f"data/demo_2020010{day}/demo_2020010{day}_sst.tif" for day in (1, 2)]
    assert [job.asset for job in made.jobs] == ["sst", "sst"]


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize("several", [False, True])
def test_dates_in_names_of_folders(tmp_path: Path, scheme: str, several: bool) -> None:
    for month, day in (("01", "05"), ("02", "6")):
        make_tiff(tmp_path / "2020" / month / f"sst_{day}.tif", ramp(3, 4))
    time = {"from": "filename", "pattern": "{start:%Y}/{start:%m}/sst_{start:%d}.tif"}
    hrefs = [f"{scheme}{tmp_path}/2020/0{month}/*.tif" for month in (1, 2)]
    made = planned(profile_of(hrefs if several else f"{scheme}{tmp_path}/*/*/*.tif", time=time))
    assert not made.failures
    assert [job.item for job in made.jobs] == ["demo_20200105", "demo_20200206"]


def test_a_folder_that_contradicts_the_name(tmp_path: Path) -> None:
    make_tiff(tmp_path / "2019" / "sst_20200105.tif", ramp(3, 4))
    time = {"from": "filename", "pattern": "{start:%Y}/sst_{start:%Y%m%d}.tif"}
    (failure,) = planned(profile_of(tmp_path / "*" / "*.tif", time=time)).failures
    assert failure.error.startswith("2019/sst_20200105.tif: '2019/sst_20200105' states two dates: %Y is 2019")


def test_times_of_day_in_one_are_in_all(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[0.0, 1.5])
    assert [job.item for job in planned(profile_of(path)).jobs] == ["demo_20200101T000000", "demo_20200102T120000"]


def test_several_scenes_of_one_time(tmp_path: Path) -> None:
    make_tiff(tmp_path / "w_20200101.tif", ramp(3, 4))
    make_tiff(tmp_path / "e_20200101.tif", ramp(3, 4), **EAST)
    make_tiff(tmp_path / "w_20200102.tif", ramp(3, 4))
    made = planned(profile_of(tmp_path / "*.tif", time=BY_NAME))
    assert [job.item for job in made.jobs] == [
        "demo_20200101_e_20200101", "demo_20200101_w_20200101", "demo_20200102",
    ]  # fmt: skip


def test_stated_period_by_stem(tmp_path: Path) -> None:
    make_tiff(tmp_path / "wörld map.v2.tif", ramp(3, 4))
    (job,) = planned(profile_of(tmp_path / "*.tif", time=PERIOD)).jobs
    assert job.key == "data/demo_w-rld-map.v2/demo_w-rld-map.v2_band_1.tif"


@pytest.mark.parametrize("fmt", ["cog", "netcdf", "zarr"])
def test_two_files_for_one_time_and_place(tmp_path: Path, fmt: str) -> None:
    for name in ("a", "b"):
        make_nc(tmp_path / f"{name}.nc", ramp(1, 3, 4))
    make_nc(tmp_path / "c.nc", ramp(1, 3, 4), times=[3])
    made = planned(profile_of(tmp_path / "*.nc", fmt))
    assert {Path(failure.source).name for failure in made.failures} == {"a.nc", "b.nc"}
    assert all("a.nc and b.nc" in failure.error for failure in made.failures)
    assert len(made.jobs) == 1


def test_names_that_become_one_are_a_collision(tmp_path: Path) -> None:
    make_tiff(tmp_path / "a b.tif", ramp(3, 4))
    make_tiff(tmp_path / "a-b.tif", ramp(3, 4), **EAST)
    made = planned(profile_of(tmp_path / "*.tif", time=PERIOD))
    assert not made.jobs
    assert all("a b.tif" in f.error and "a-b.tif" in f.error and "demo_a-b" in f.error for f in made.failures)


def test_netcdf_one_for_each_source(tmp_path: Path) -> None:
    for day in (0, 31):
        make_nc(tmp_path / f"{day}.nc", ramp(2, 3, 4), times=[day, day + 1])
    assert keys(planned(profile_of(tmp_path / "*.nc", "netcdf"))) == ["data/demo_20200101.nc", "data/demo_20200201.nc"]
    assert keys(planned(profile_of(tmp_path / "0.nc", "netcdf"))) == ["data/demo.nc"]


@pytest.mark.parametrize(("zipped", "key"), [(False, "data/demo.zarr"), (True, "data/demo.zarr.zip")])
def test_zarr_is_one(tmp_path: Path, zipped: bool, key: str) -> None:
    make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=range(2))
    (job,) = planned(profile_of(tmp_path / "a.nc", "zarr", zipped=zipped)).jobs
    assert (job.key, job.item, job.asset) == (key, "demo", "data")


@pytest.mark.parametrize(
    ("odd", "word"),
    [({"lat": [1.0, 2, 3]}, "grid"), ({"name": "chl"}, "variables"), ({"lon": [0.0, 1, 2, 3.5]}, "grid")],
)
def test_files_that_make_no_cube_are_named_in_pairs(tmp_path: Path, odd: dict[str, Any], word: str) -> None:
    make_nc(tmp_path / "a.nc", ramp(1, 3, 4))
    make_nc(tmp_path / "b.nc", ramp(1, 3, 4), times=[1], **odd)
    (failure,) = planned(profile_of(tmp_path / "*.nc", "zarr")).failures
    assert "a.nc and b.nc differ" in failure.error
    assert word in failure.error


def test_a_crs_that_differs_in_a_cube(tmp_path: Path) -> None:
    make_tiff(tmp_path / "a_20200101.tif", ramp(3, 4))
    make_tiff(tmp_path / "b_20200102.tif", ramp(3, 4), **EAST)
    (failure,) = planned(profile_of(tmp_path / "*.tif", "zarr", time=BY_NAME)).failures
    assert "EPSG:32631" in failure.error
    assert "EPSG:32632" in failure.error


def test_variables_by_file_name(tmp_path: Path) -> None:
    for day in (1, 2):
        for name in ("sst", "chl"):
            make_tiff(tmp_path / f"{day}_{name}.tif", ramp(3, 4))
    described = {"warm": {"from": "*_sst.tif"}, "green": {"from": "*_chl.tif"}}
    time = {"from": "filename", "pattern": "{start:%Y}_*.tif"}
    for path in list(tmp_path.glob("*.tif")):
        path.rename(path.with_name(f"202{path.name}"))
    made = planned(profile_of(tmp_path / "*.tif", time=time, described=described))
    assert not made.failures
    assert [(job.item, job.asset) for job in made.jobs] == [
        ("demo_20210101", "green"), ("demo_20210101", "warm"), ("demo_20220101", "green"), ("demo_20220101", "warm"),
    ]  # fmt: skip
    (cube,) = planned(profile_of(tmp_path / "*.tif", "zarr", time=time, described=described)).jobs
    assert {variable.name for source in cube.inputs for variable in source.variables} == {"warm", "green"}


def test_a_time_that_one_variable_lacks(tmp_path: Path) -> None:
    for name in ("2021_sst", "2021_chl", "2022_sst"):
        make_tiff(tmp_path / f"{name}.tif", ramp(3, 4))
    described = {"warm": {"from": "*_sst.tif"}, "green": {"from": "*_chl.tif"}}
    time = {"from": "filename", "pattern": "{start:%Y}_*.tif"}
    made = planned(profile_of(tmp_path / "*.tif", "zarr", time=time, described=described))
    assert "2022_sst.tif" in made.failures[0].error
    assert "green" in made.failures[0].error
    assert len(made.jobs) == 1


@pytest.mark.parametrize(
    ("rule", "chunks"),
    [("maps", (1, 300, 400)), ("time-series", None), ("balanced", None), ({"lat": 100, "time": 50}, (20, 100, 400))],
)
def test_chunks(tmp_path: Path, rule: Any, chunks: tuple[int, ...] | None) -> None:
    path = make_nc(tmp_path / "a.nc", np.zeros((20, 300, 400), "f8"), times=range(20))
    (job,) = planned(profile_of(path, "zarr", chunks=rule)).jobs
    made = tuple(job.cube.chunks["sst"].values())
    assert made == chunks or chunks is None
    assert np.prod(made) * 8 <= 2 * 16 * 2**20
    if rule == "time-series":
        assert made[0] == 20


def fingerprints(profile: Any) -> list[str]:
    return [job.fingerprint for job in planned(profile).jobs]


@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_fingerprint_knows_content_and_not_place(tmp_path: Path, fmt: str) -> None:
    first = make_nc(tmp_path / "one" / "a.nc", ramp(2, 3, 4), times=range(2))
    second = tmp_path / "two" / "a.nc"
    second.parent.mkdir()
    second.write_bytes(first.read_bytes())
    os.utime(second, (1, 1))
    before = fingerprints(profile_of(first, fmt))
    assert fingerprints(profile_of(second, fmt)) == before
    make_nc(second, ramp(2, 3, 4) + 1, times=range(2))
    assert not set(fingerprints(profile_of(second, fmt))) & set(before)


@pytest.mark.parametrize(
    ("fmt", "option"), [("cog", {"blocksize": 256}), ("zarr", {"version": 2}), ("netcdf", {"level": 9})]
)
def test_fingerprint_knows_the_encoding(tmp_path: Path, fmt: str, option: dict[str, Any]) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=range(2))
    assert not set(fingerprints(profile_of(path, fmt, **option))) & set(fingerprints(profile_of(path, fmt)))


def test_fingerprint_knows_the_title_where_it_is_written(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=range(2))
    for fmt, same in (("zarr", False), ("netcdf", False), ("cog", True)):
        before, after = fingerprints(profile_of(path, fmt)), fingerprints(profile_of(path, fmt, title="DEMO other"))
        assert (before == after) is same


def test_one_changed_file_changes_one_job(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        make_tiff(tmp_path / f"a_2020010{day}.tif", ramp(3, 4))
    profile = profile_of(tmp_path / "*.tif", time=BY_NAME)
    before = fingerprints(profile)
    make_tiff(tmp_path / "a_20200102.tif", ramp(3, 4) + 1)
    after = fingerprints(profile)
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]


@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_plan_is_json_and_back(tmp_path: Path, fmt: str) -> None:
    make_nc(tmp_path / "a.nc", ramp(2, 3, 4, dtype="int16"), {"_FillValue": np.int16(-1), "units": "K"}, times=range(2))
    (tmp_path / "bad.nc").write_text("no")
    made = planned(profile_of(tmp_path / "*.nc", fmt))
    assert Plan.from_json(made.to_json()) == made
    assert made.failures


def test_plan_with_nan_is_json_and_back(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), {"_FillValue": np.float32("nan"), "units": "K"}, times=range(2))
    made = planned(profile_of(path, "zarr"))
    back = Plan.from_json(made.to_json())
    assert back.to_json() == made.to_json()
    assert np.isnan(back.jobs[0].inputs[0].variables[0].nodata or 0)


@pytest.mark.parametrize(("limit", "mebibytes"), [(None, 576), ("512MiB", 128), ("1KiB", 1), (2**40, 576)])
def test_memory_of_a_worker_bounds_what_it_has_in_hand(tmp_path: Path, limit: str | int | None, mebibytes: int) -> None:
    profile = profile_of(make_nc(tmp_path / "a.nc", ramp(3, 3, 4), times=range(3)), "zarr")
    limited = profile.model_copy(update={"compute": profile.compute.model_copy(update={"memory_limit": limit})})
    assert planned(limited).jobs[0].cube.region_bytes == mebibytes * 2**20
