"""Cubes cut into regions: every value once, every chunk of a source decoded once, and no more memory than allowed."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from builders import PERIOD, make_nc, make_tiff, planned, profile_of, ramp
from clockless import LONG
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthcode_pack import convert
from earthcode_pack.convert.cube import encoding as regions
from earthcode_pack.convert.cube import region_reader as pieces
from earthcode_pack.convert.cube import regions as cube_regions
from earthcode_pack.convert.cube.chunks import job_regions
from earthcode_pack.convert.cube.regions import Spill, blocks_of
from earthcode_pack.convert.cube.variables import cube_variable, read_block
from earthcode_pack.convert.local_inputs import local_sources
from earthcode_pack.convert.read import values as values_module
from earthcode_pack.convert.read.kept import Kept
from earthcode_pack.convert.read.stored import Chunked
from earthcode_pack.convert.work import Record
from earthcode_pack.errors import NotEqual, OutsideError, Unreadable
from earthcode_pack.execution.threads import in_pool

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.model import Job

MIB = 2**20


class Decoded(Counter[Any]):
    """How often each chunk was decoded, by file and place."""

    @property
    def often(self) -> set[int]:
        """The numbers that occur."""
        return set(self.values())


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Decoded:
    return counting(monkeypatch)


def counting(monkeypatch: pytest.MonkeyPatch) -> Decoded:
    counts = Decoded()
    decode = Chunked._decode

    def counted(self: Chunked, descriptor: int, place: Any, out: Any) -> None:
        counts[self.path.name, self.name, place.offset] += 1
        decode(self, descriptor, place, out)

    monkeypatch.setattr(Chunked, "_decode", counted)
    return counts


def small(monkeypatch: pytest.MonkeyPatch, limit: int, grow: int = 1) -> None:
    """A machine with so many bytes."""
    monkeypatch.setattr(regions, "IN_HAND", limit)
    monkeypatch.setattr(regions, "GROW", grow)


def job_of(href: Any, fmt: str = "zarr", **given: Any) -> Job:
    made = planned(profile_of(href, fmt, **given))
    assert not made.failures, made.failures
    return made.jobs[0]


def blocks(job: Job, scratch: Path, name: str = "sst") -> list[tuple[dict[str, tuple[int, int]], np.ndarray]]:
    """Every block of a variable."""
    variable = cube_variable(name, job)
    with local_sources(job.inputs) as paths:
        return [
            (region, block.copy())
            for part in job_regions(variable.sizes, job, name)
            for region, block in blocks_of(variable, part, job, paths, scratch)
        ]


def cube(job: Job, scratch: Path, name: str = "sst") -> np.ndarray:
    """The whole variable, every cell of which came exactly once, in whole write units."""
    variable = cube_variable(name, job)
    out, times = np.zeros(tuple(variable.sizes.values()), variable.dtype), np.zeros(tuple(variable.sizes.values()), int)
    unit = job.cube.write_unit(name)
    for region, block in blocks(job, scratch, name):
        assert list(region) == list(variable.sizes)
        assert block.flags.c_contiguous
        for dim, (start, stop) in region.items():
            assert start % unit[dim] == 0
            assert stop % unit[dim] == 0 or stop == variable.sizes[dim]
        place = tuple(slice(*span) for span in region.values())
        out[place] = block
        times[place] += 1
    assert (times == 1).all()
    return out


def make_files(folder: Path, steps: list[list[int]], ny: int, nx: int, chunks: Any, **given: Any) -> np.ndarray:
    """Files of an int32 variable that hold the steps of a cube; returns the cube."""
    values = ramp(sum(map(len, steps)), ny, nx, dtype="int32")
    for number, held in enumerate(steps):
        make_nc(folder / f"{number:02}.nc", values[held], times=held, chunks=chunks, **given)
    return values


# --- any cube -------------------------------------------------------------------------------------------------------


@st.composite
def cubes(draw: st.DrawFn) -> dict[str, Any]:
    lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=3))
    total, ny, nx = sum(lengths), draw(st.integers(2, 12)), draw(st.integers(2, 12))
    order = list(range(total)) if draw(st.booleans()) else draw(st.permutations(range(total)))
    starts = np.cumsum([0, *lengths])
    chunk = (draw(st.integers(1, min(lengths))), draw(st.integers(1, ny)), draw(st.integers(1, nx)))
    unit = {"time": draw(st.integers(1, total)), "lat": draw(st.integers(1, ny)), "lon": draw(st.integers(1, nx))}
    return {
        "steps": [list(order[start : start + n]) for start, n in zip(starts, lengths, strict=False)],
        "ny": ny, "nx": nx,
        "chunks": draw(st.sampled_from([None, chunk])),
        "fmt": draw(st.sampled_from(["NETCDF4", "NETCDF3_CLASSIC"])),
        "unit": unit,
        "limit": draw(st.sampled_from([1, 100, 1000, 5000, MIB])),
        "grow": draw(st.sampled_from([1, 500, MIB])),
        "straddling": draw(st.sampled_from([0, 400, MIB])),
    }  # fmt: skip


@given(made=cubes())
@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cube_comes_whole_and_each_chunk_is_decoded_once(
    tmp_path_factory: pytest.TempPathFactory, made: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    chunks = None if made["fmt"] == "NETCDF3_CLASSIC" else made["chunks"]
    values = make_files(folder, made["steps"], made["ny"], made["nx"], chunks, fmt=made["fmt"])
    with pytest.MonkeyPatch.context() as monkeypatch:
        small(monkeypatch, made["limit"], made["grow"])
        for module in (regions, pieces):
            monkeypatch.setattr(module, "STRADDLING", made["straddling"])
        counts = counting(monkeypatch)
        job = job_of(folder / "*.nc", chunks=made["unit"])
        assert np.array_equal(cube(job, folder), values)
    in_order = made["steps"] == [sorted(held) for held in made["steps"]] == sorted(made["steps"])
    if in_order and values.size:
        assert counts.often <= {1}
    assert [path.name for path in folder.iterdir() if path.suffix != ".nc"] == []


# --- how regions are cut --------------------------------------------------------------------------------------------


def region(sizes: tuple[int, ...], source: tuple[int, ...], unit: tuple[int, ...], tmp_path: Path, **given: Any) -> Any:
    """The region of a cube of so many cells, whose file is not written in full."""

    def more(file: netCDF4.Dataset) -> None:
        file.createVariable("v", "f4", ("time", "lat", "lon"), chunksizes=source, zlib=True)
        file["v"].setncatts({"units": "K", "grid_mapping": "crs"})

    dims = dict(zip(("time", "lat", "lon"), sizes, strict=True))
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as file:
        for dim, size in dims.items():
            file.createDimension(dim, size)
            file.createVariable(dim, "f8", (dim,))[:] = np.arange(size) * 0.01
        file["time"].setncatts({"units": "days since 2020-01-01", "standard_name": "time"})
        file["lat"].setncatts({"units": "degrees_north"})
        file["lon"].setncatts({"units": "degrees_east"})
        file.createVariable("crs", "i4", ()).setncatts({"crs_wkt": "EPSG:4326"})
        more(file)
    units = dict(zip(dims, unit, strict=True))
    return job_of(path, chunks=units, select=["v"], **given).cube.regions["v"]


@pytest.mark.parametrize(
    ("source", "unit", "expected"),
    [
        ((1, 1000, 1500), (30, 250, 250), {"time": 30, "lat": 1000, "lon": 1500}),
        ((1, 100, 1500), (30, 250, 250), {"time": 30, "lat": 500, "lon": 1500}),
        ((8, 1000, 1500), (30, 250, 250), {"lat": 1000, "lon": 1500, "time": 30}),  # 48 MB are kept
        ((32, 500, 500), (30, 250, 250), {"lat": 500, "lon": 500, "time": 90}),  # 32 MB are kept, time runs fastest
        ((40, 1000, 1500), (80, 1000, 1500), {"time": 80, "lat": 1000, "lon": 1500}),
        ((40, 1000, 1500), (30, 1000, 1500), {"time": 120, "lat": 1000, "lon": 1500}),  # 240 MB would have to be kept
        ((400, 100, 100), (1, 1000, 1500), {"time": 400, "lat": 1000, "lon": 1500}),  # time series to maps
        ((1, 1000, 1500), (400, 100, 100), {"time": 400, "lat": 1000, "lon": 1500}),  # and the other way
    ],
)
def test_regions_cut_no_chunk(tmp_path: Path, source: Any, unit: Any, expected: Any) -> None:
    found = region((400, 1000, 1500), source, unit, tmp_path)
    assert found == expected
    assert list(found)[-1] == list(expected)[-1]


def test_shards_are_what_is_written_at_once(tmp_path: Path) -> None:
    shards = {"time": 90, "lat": 500, "lon": 500}
    found = region((400, 1000, 1500), (1, 1000, 1500), (30, 250, 250), tmp_path, shards=shards)
    assert found == {"time": 90, "lat": 1000, "lon": 1500}


def test_the_sources_chunks_are_known(tmp_path: Path) -> None:
    make_nc(tmp_path / "chunked.nc", ramp(4, 6, 8), times=range(4), chunks=(2, 3, 8))
    make_nc(tmp_path / "whole.nc", ramp(4, 6, 8), times=range(4))
    make_nc(tmp_path / "classic.nc", ramp(4, 6, 8), times=range(4), fmt="NETCDF3_CLASSIC")
    made = {path.stem: job_of(path).inputs[0].variables[0].chunks for path in tmp_path.glob("*.nc")}
    assert made == {"chunked": (2, 3, 8), "whole": (), "classic": ()}
    tiff = make_tiff(tmp_path / "a.tif", np.zeros((600, 700)), tiled=True, blockxsize=256, blockysize=256)
    assert job_of(tiff, time=PERIOD).inputs[0].variables[0].chunks == (256, 256)
    attrs = {"units": "K", "crs": "EPSG:4326"}
    coords = {
        "time": ("time", [0, 1], {"units": "days since 2020-01-01"}),
        "lat": ("lat", [3.0, 2, 1]), "lon": ("lon", [1.0, 2, 3, 4]),
    }  # fmt: skip
    made_here = xr.Dataset({"sst": (("time", "lat", "lon"), ramp(2, 3, 4), attrs)}, coords)
    made_here.to_zarr(tmp_path / "a.zarr", encoding={"sst": {"chunks": (1, 3, 2)}}, zarr_format=2)
    assert job_of(tmp_path / "a.zarr").inputs[0].variables[0].chunks == (1, 3, 2)


# --- through a scratch file -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "unit"), [((1, 40, 50), (20, 7, 9)), ((20, 7, 9), (1, 40, 50)), ((6, 9, 50), (4, 40, 7))]
)
def test_what_memory_does_not_hold_is_spilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: Decoded, source: Any, unit: Any
) -> None:
    values = make_files(tmp_path / "raw", [list(range(20))], 40, 50, source)
    small(monkeypatch, limit := 40_000)  # of 160,000
    job = job_of(tmp_path / "raw" / "*.nc", chunks=dict(zip(("time", "lat", "lon"), unit, strict=True)))
    read, sizes = cube_regions.read_block, []

    def noted(*given: Any) -> np.ndarray:
        block = read(*given)
        sizes.append(block.nbytes)
        return block

    monkeypatch.setattr(cube_regions, "read_block", noted)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert np.array_equal(cube(job, scratch), values)
    assert len(sizes) > 1
    assert max(sizes) <= limit // 2
    assert max(block.nbytes for _, block in blocks(job, scratch)) <= limit // 2
    assert decoded.often == {2}  # once for each time that the cube was read
    assert list(scratch.iterdir()) == []


def test_memory_is_used_again_but_not_after_a_failure(tmp_path: Path) -> None:
    make_files(tmp_path, [list(range(4))], 40, 50, (1, 40, 50))
    job = job_of(tmp_path / "*.nc", chunks={"time": 2})
    variable = cube_variable("sst", job)
    job.cube.regions["sst"] = {"time": 2, "lat": 40, "lon": 50}
    places, failing = [], tmp_path / "00.nc"
    with local_sources(job.inputs) as paths:
        for part in job_regions(variable.sizes, job, "sst"):
            for _, block in blocks_of(variable, part, job, paths, tmp_path):
                places.append(block.ctypes.data)
        assert len(set(places)) == 1
        failing.write_bytes(failing.read_bytes()[:-4000])
        with pytest.raises(Unreadable):
            list(blocks_of(variable, part, job, paths, tmp_path))
    assert cube_regions._SPARE == []


def test_a_scratch_file_takes_the_bytes_of_one_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(tmp_path / "raw", [list(range(20))], 40, 50, (1, 20, 50))
    small(monkeypatch, 20_000)
    job = job_of(tmp_path / "raw" / "*.nc", chunks={"time": 20, "lat": 10, "lon": 10})
    leave, used = Spill.__exit__, []

    def noted(self: Spill, *given: object) -> None:
        used.append(os.fstat(self._file.fileno()).st_size)
        leave(self, *given)

    monkeypatch.setattr(Spill, "__exit__", noted)
    cube(job, tmp_path)
    assert used == [20 * 20 * 50 * 4] * 2


def test_a_full_disk_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(tmp_path / "raw", [list(range(20))], 40, 50, (1, 40, 50))
    small(monkeypatch, 20_000)
    job = job_of(tmp_path / "raw" / "*.nc", chunks={"time": 20, "lat": 10, "lon": 10})
    part = convert.begin(job, tmp_path / "work")[0]

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OutsideError, match="the disk is full"):
        convert.write(part)


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_room_of_a_part_that_failed_is_free_while_its_failure_is_known(
    fmt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever keeps the failure keeps the frames that led to it; the next part must not wait for that."""
    make_files(tmp_path / "raw", [list(range(20))], 40, 50, (1, 40, 50))
    job = job_of(tmp_path / "raw" / "*.nc", fmt, chunks={"time": 20, "lat": 10, "lon": 10})
    part = convert.begin(job, tmp_path / "work")[0]
    budget = cube_regions._budget(min(cube_regions._LIMIT, job.cube.region_bytes))

    def full(*_: Any, **__: Any) -> None:
        assert budget._taken > 0
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as now:
        place = {"zarr": "zarr.writer.write_unit", "netcdf": "netcdf.chunks.Chunks._put"}[fmt]
        now.setattr(f"earthcode_pack.convert.{place}", full)
        with pytest.raises(OutsideError, match="the disk is full") as failure:
            convert.write(part)
    assert budget._taken == 0
    assert isinstance(convert.write(part), Record)
    assert failure.value.remedy


def test_a_disk_that_takes_little_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: write(fd, data[:100], offset))
    whole, values = {"y": (3, 13), "x": (0, 20)}, ramp(10, 20)
    with Spill(tmp_path, values.dtype, [{"y": (3, 8), "x": (0, 20)}, {"y": (8, 13), "x": (0, 20)}]) as spill:
        spill.write(whole, values)
        assert np.array_equal(np.concatenate([spill.read(0), spill.read(1)]), values)


# --- chunks that reach into the next region -------------------------------------------------------------------------


def test_chunks_that_reach_into_the_next_region_are_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: Decoded
) -> None:
    values = make_files(tmp_path, [list(range(31)), list(range(31, 59)), list(range(59, 90))], 6, 8, (8, 3, 4))
    small(monkeypatch, MIB)
    of_others = pieces._LAYERS.kept  # what a test that stopped half-way has left
    job = job_of(tmp_path / "*.nc", chunks={"time": 30, "lat": 3, "lon": 2})
    assert job.cube.regions["sst"] == {"lat": 3, "lon": 4, "time": 30}
    assert np.array_equal(cube(job, tmp_path), values)
    assert decoded.often == {1}
    assert len(decoded) == (4 + 4 + 4) * 4
    assert pieces._LAYERS.kept == of_others


def test_regions_side_by_side_share_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: Decoded) -> None:
    values = make_files(tmp_path, [list(range(60))], 6, 8, (8, 6, 8))
    small(monkeypatch, MIB)
    job = job_of(tmp_path / "*.nc", chunks={"time": 5, "lat": 3, "lon": 2})
    variable = cube_variable("sst", job)
    parts = list(job_regions(variable.sizes, job, "sst"))
    assert len(parts) == 12
    found: dict[int, np.ndarray] = {}
    decode = Chunked._decode

    def slow(*given: Any) -> None:
        time.sleep(0.01)
        decode(*given)

    monkeypatch.setattr(Chunked, "_decode", slow)
    with local_sources(job.inputs) as paths:

        def one(number: int) -> None:
            found[number] = read_block(variable, parts[number], "time", paths)

        threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
    assert np.array_equal(np.concatenate([found[number] for number in range(12)]), values)
    assert decoded.often == {1}


def test_what_is_kept_has_a_limit_and_a_failure_is_not_kept() -> None:
    kept: Kept[bytes] = Kept(10, len)
    assert [kept.get(n, lambda n=n: bytes(n)) for n in (4, 5, 6)] == [bytes(4), bytes(5), bytes(6)]
    assert kept.kept == 6
    assert kept.get(11, lambda: bytes(11)) == bytes(11)
    assert kept.kept <= 10
    with pytest.raises(ZeroDivisionError):
        kept.get("bad", lambda: bytes(1 // 0))
    assert kept.get("bad", lambda: b"good") == b"good"


def test_what_many_ask_for_is_made_once() -> None:
    kept: Kept[bytes] = Kept(10, len)
    made = []

    def make() -> bytes:
        time.sleep(0.02)
        made.append(1)
        return b"x"

    assert in_pool(lambda _: kept.get("one", make), range(8)) == [b"x"] * 8
    assert made == [1]


# --- inputs as they come --------------------------------------------------------------------------------------------


def test_units_gaps_and_unsorted_files_on_one_axis(tmp_path: Path) -> None:
    values = ramp(9, 4, 5, dtype="int16")
    make_nc(tmp_path / "b.nc", values[[2, 0, 1]], times=[2, 0, 1], chunks=(2, 2, 5))
    make_nc(tmp_path / "a.nc", values[[3, 5, 7]], times=[72.0, 120, 168], units="hours since 2020-01-01")
    make_nc(tmp_path / "c.nc", values[[4, 6]], times=[0, 2], units="days since 2020-01-05", fmt="NETCDF3_CLASSIC")
    make_nc(tmp_path / "d.nc", values[[8]], times=[10], units="days since 2020-02-01")
    job = job_of(tmp_path / "*.nc", chunks={"time": 2, "lat": 2, "lon": 2})
    assert np.array_equal(cube(job, tmp_path), values)
    assert [len(source.steps) for source in job.inputs] == [3, 1, 1, 1, 1, 1, 1]


def test_an_overlap_names_both_files(tmp_path: Path) -> None:
    make_nc(tmp_path / "a.nc", ramp(3, 4, 5), times=[0, 1, 2])
    make_nc(tmp_path / "b.nc", ramp(2, 4, 5), times=[48.0, 72], units="hours since 2020-01-01")
    made = planned(profile_of(tmp_path / "*.nc", "zarr"))
    assert not made.jobs
    assert {failure.error for failure in made.failures} == {"a.nc and b.nc both hold 2020-01-03T00:00:00Z"}


def test_dimensions_in_another_order_in_one_file(tmp_path: Path) -> None:
    values = ramp(4, 5, 5)
    make_nc(tmp_path / "a.nc", values[:2], times=[0, 1])
    make_nc(
        tmp_path / "b.nc", values[2:].transpose(0, 2, 1), times=[2, 3], dims=("time", "lon", "lat"), chunks=(1, 5, 2)
    )
    assert np.array_equal(cube(job_of(tmp_path / "*.nc"), tmp_path), values)


def test_time_that_runs_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: Decoded) -> None:
    values = ramp(6, 7, 20)
    make_nc(tmp_path / "a.nc", values, dims=("lat", "lon", "time"), times=range(20), chunks=(6, 7, 3))
    small(monkeypatch, 1500)
    job = job_of(tmp_path / "a.nc", chunks={"time": 20, "lat": 2, "lon": 2})
    assert np.array_equal(cube(job, tmp_path), values)
    assert decoded.often == {1}


def test_packings_that_differ_are_decoded_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_UNPACKED", 7)
    values = ramp(2, 3, 4, dtype="int16")
    for day, scale in enumerate((0.5, 0.25)):
        attrs = {"units": "K", "scale_factor": scale, "_FillValue": np.int16(3)}
        make_nc(tmp_path / f"{day}.nc", values[day : day + 1], attrs, times=[day], chunks=(1, 2, 2))
    found = cube(job_of(tmp_path / "*.nc"), tmp_path)
    assert found.dtype == np.float32
    wanted = np.where(values == 3, np.nan, values * np.array([0.5, 0.25])[:, None, None])
    assert np.array_equal(found, wanted.astype("f4"), equal_nan=True)


def test_maps_without_time_that_differ(tmp_path: Path) -> None:
    def mask(value: int) -> Any:
        def add(file: netCDF4.Dataset) -> None:
            made = file.createVariable("mask", "i1", ("lat", "lon"), zlib=True, chunksizes=(2, 2))
            made.setncatts({"units": "1", "grid_mapping": "crs"})
            made[:] = ramp(3, 4, dtype="i1")
            made[2, 3] = value

        return add

    for day in range(3):
        make_nc(tmp_path / f"{day}.nc", ramp(1, 3, 4), times=[day], more=mask(7))
    job = job_of(tmp_path / "*.nc")
    assert cube(job, tmp_path, "mask")[2, 3] == 7
    make_nc(tmp_path / "2.nc", ramp(1, 3, 4), times=[2], more=mask(8))
    with pytest.raises(NotEqual, match=r"mask has no time axis and differs between 0\.nc and 2\.nc"):
        cube(job, tmp_path, "mask")


def test_rasters_as_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = ramp(5, 60, 70, dtype="uint16")
    for day in range(5):
        make_tiff(
            tmp_path / f"a_2020010{day + 1}.tif", values[day], tiled=True, blockxsize=16, blockysize=16, compress="lzw"
        )
    small(monkeypatch, 20_000)
    by_name = {"from": "filename", "pattern": "a_{start:%Y%m%d}.tif"}
    job = job_of(tmp_path / "*.tif", time=by_name, chunks={"time": 5, "y": 25, "x": 25})
    assert np.array_equal(cube(job, tmp_path, "band_1"), values)


@pytest.mark.parametrize(
    "options", [{"tiled": True, "blockxsize": 16, "blockysize": 32}, {"blockysize": 7}, {}], ids=str
)
def test_rows_of_tiles_are_read_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr(values_module, "WORK_BYTES", 3000)
    values = ramp(100, 70, dtype="uint16")
    path = make_tiff(tmp_path / "a.tif", values, **options)
    (held,) = job_of(path, time=PERIOD).inputs[0].variables
    with values_module.values_of(path, "GTiff", held) as found:
        for box in [((0, 100), (0, 70)), ((13, 90), (5, 69)), ((33, 34), (0, 1))]:
            out = np.zeros([stop - start for start, stop in box], "u2")
            work = list(found.reading(box, out))
            in_pool(lambda one: one.do(), work)
            assert np.array_equal(out, values[tuple(slice(*span) for span in box)])
            assert (len(work) > 1) is (out.size > 1)


def test_a_raster_that_was_cut_off_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 9999, (200, 200)).astype("uint16")
    path = make_tiff(tmp_path / "cut.tif", noise, compress="deflate")
    job = job_of(path, time=PERIOD)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(Unreadable, match=r"cut\.tif: band_1"):
        cube(job, tmp_path, "band_1")


def test_regions_fill_the_cube_whatever_the_format(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(9, 10, 11), times=range(9), chunks=(2, 4, 11))
    for fmt, rule in product(("zarr", "netcdf"), ("maps", "time-series", "balanced")):
        assert np.array_equal(cube(job_of(path, fmt, chunks=rule), tmp_path), ramp(9, 10, 11))
