"""The chunks of NetCDF-4 files, compressed without HDF5: every reader takes them, and nothing else gets through."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import h5netcdf
import h5py
import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr
from builders import Watched, make_nc, profile_of, ramp, run
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthcode_pack.convert.cube.variables import CubeVariable, Packing
from earthcode_pack.convert.netcdf import chunks as netcdf_chunks
from earthcode_pack.convert.netcdf import writer as netcdf
from earthcode_pack.convert.netcdf.chunks import Chunks, Written, deflate_chunk, disk_type, ordered_map, reserve
from earthcode_pack.errors import NotEqual
from earthcode_pack.execution.threads import cores
from earthcode_pack.model import Job, NetcdfEncoding

if TYPE_CHECKING:
    from pathlib import Path

TYPES = ["bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def chunks_of(values: np.ndarray, chunks: tuple[int, ...], fill: Any, level: int = 4) -> Chunks:
    dims = [f"d{n}" for n in range(values.ndim)]
    variable = CubeVariable("v", dict(zip(dims, values.shape, strict=True)), Packing(values.dtype.name, True, fill), ())
    by_dim = dict(zip(dims, chunks, strict=True))
    options = NetcdfEncoding(chunks={"v": by_dim}, level=level, time=None, regions={"v": by_dim}, region_bytes=2**20)
    return Chunks(variable, Job.model_construct(key="k.nc", options=options), "/v")


def written(path: Path, values: np.ndarray, every: Chunks) -> Written:
    dims, kind = every.variable.sizes, disk_type(values.dtype)
    fill = None if every.variable.nodata is None else values.dtype.type(every.variable.nodata)
    with h5netcdf.File(path, "w", libver="v110") as file:
        file.dimensions = dict(dims)
        how = {"chunks": every.shape, "compression": "gzip", "compression_opts": 4, "shuffle": True}
        reserve(file.create_variable("v", tuple(dims), dtype=kind, fillvalue=fill, **how)._h5ds)
    with h5py.File(path, "r+", libver="v110") as file:
        block = np.ascontiguousarray(values)
        region = {dim: (0, size) for dim, size in dims.items()}
        return every.write(file["v"], (found for found in [(region, block)]))


@st.composite
def arrays(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...], Any, int]:
    """Values, some regions of nothing but the fill value, chunks, fill value and level."""
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    chunks = tuple(draw(st.integers(1, size)) for size in shape)
    fill = draw(st.sampled_from([None, 0, 1] if dtype.kind != "f" else [None, 0, float("nan"), -9999]))
    values = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 3, shape).astype(dtype)
    for _ in range(draw(st.integers(0, 3))):
        start = tuple(draw(st.integers(0, size - 1)) for size in shape)
        values[tuple(slice(at, None) for at in start)] = 0 if fill is None else fill
    if dtype.kind == "f" and draw(st.booleans()):
        values.reshape(-1)[-1:].view(f"u{dtype.itemsize}")[...] = {4: 0x7FC00001, 8: 0x7FF8000000000001}[dtype.itemsize]
    return values, chunks, fill, draw(st.integers(1, 9))


@given(array=arrays())
@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hdf5_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, array: Any) -> None:
    values, chunks, fill, level = array
    path = tmp_path_factory.mktemp("nc") / "a.nc"
    every = chunks_of(values, chunks, fill, level)
    known = written(path, values, every)
    with h5py.File(path) as file:
        assert file["v"][...].tobytes() == values.tobytes()
    with h5netcdf.File(path, "r") as file:
        assert np.asarray(file["v"][...]).tobytes() == values.tobytes()
    assert (known.cells, known.statistics.total) == (values.size, values.size)
    every.compare(path, known, {})


@given(array=arrays(), where=st.integers(0, 10**6))
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_other_values_are_found(tmp_path_factory: pytest.TempPathFactory, array: Any, where: int) -> None:
    values, chunks, fill, level = array
    other = values.copy()
    other.reshape(-1).view(np.uint8)[where % values.nbytes] ^= 1
    path, every = tmp_path_factory.mktemp("nc") / "a.nc", chunks_of(values, chunks, fill, level)
    known = written(path, values, every)
    written(path, other, every)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(netcdf_chunks, "read_block", lambda *how: values[tuple(slice(*r) for r in how[1].values())])
        with pytest.raises(NotEqual, match=r"k\.nc: v\[\[.*: 1 of \d+ values differ"):
            every.compare(path, known, {})


def test_a_damaged_chunk_is_found(tmp_path: Path) -> None:
    values = ramp(8, 9)
    every = chunks_of(values, (4, 9), None)
    known = written(tmp_path / "a.nc", values, every)
    with h5py.File(tmp_path / "a.nc") as file:
        info = file["v"].id.get_chunk_info(1)
    data = bytearray((tmp_path / "a.nc").read_bytes())
    data[info.byte_offset + info.size - 2] ^= 1
    (tmp_path / "a.nc").write_bytes(data)
    with pytest.raises(NotEqual, match=r"cannot be read back \(.*the chunk at \(4, 0\)"):
        every.compare(tmp_path / "a.nc", known, {})


def test_the_source_spoilt_between_reading_and_writing_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(chunk: np.ndarray, level: int) -> bytes:
        chunk = chunk.copy()
        chunk.flat[5] ^= 1
        return deflate_chunk(chunk, level)

    monkeypatch.setattr(netcdf_chunks, "deflate_chunk", spoilt)
    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=range(2))
    made = run(profile_of(source, "netcdf"), tmp_path / "out")
    assert "sst[[0, 2], [0, 3], [0, 4]]: 1 of 24 values differ, the first at (0, 1, 1)" in made.error
    assert not made.artifacts


@pytest.mark.parametrize("level", [1, 6, 7, 9])
def test_higher_levels_are_not_larger(level: int) -> None:
    chunk = np.random.default_rng(3).normal(280, 5, (30, 50, 50)).round(1).astype("f4").view("u4")
    assert len(deflate_chunk(chunk, 9)) <= len(deflate_chunk(chunk, level)) <= len(deflate_chunk(chunk, 1))


# --- the file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [np.float32("nan"), np.float32(-9), None], ids=["nan", "-9", "none"])
def test_chunks_of_nothing_are_left_out_and_every_reader_sees_them(tmp_path: Path, fill: Any) -> None:
    values = ramp(6, 4, 5)
    values[[0, 2, 3]] = 0 if fill is None else fill
    attrs = {"units": "K"} | ({} if fill is None else {"_FillValue": fill})
    made = run(
        profile_of(make_nc(tmp_path / "a.nc", values, attrs, times=range(6)), "netcdf", chunks={"time": 1}),
        tmp_path / "out",
    )
    assert made.one.engine == "direct"
    with h5py.File(made.path) as file:
        assert file["sst"].id.get_num_chunks() == (6 if fill is None else 4)  # the first one always is there
        assert file["sst"][...].tobytes() == values.tobytes()
    with netCDF4.Dataset(made.path) as file:
        file.set_auto_mask(False)
        assert file["sst"][:].tobytes() == values.tobytes()
    with xr.open_dataset(made.path, engine="h5netcdf", mask_and_scale=False) as file:
        assert file["sst"].values.tobytes() == values.tobytes()
    with rasterio.open(f"netcdf:{made.path}:sst") as file:
        assert np.array_equal(file.read(), values, equal_nan=True)


def two_variables(file: netCDF4.Dataset) -> None:
    other = file.createVariable("other", "f4", ("time", "lat", "lon"))
    other.setncatts({"units": "1", "grid_mapping": "crs"} | {f"note_{n}": "words " * 50 for n in range(12)})
    other[:] = np.random.default_rng(2).normal(size=other.shape)
    file.setncatts({f"remark_{n}": "words " * 50 for n in range(40)})


@pytest.mark.parametrize("chunks", [{"time": 1, "lat": 10, "lon": 10}, {"time": 20}], ids=["many", "few"])
def test_nothing_but_data_comes_after_the_first_chunk(tmp_path: Path, chunks: dict[str, int]) -> None:
    values = np.random.default_rng(1).normal(size=(40, 60, 80)).astype("float32")
    source = make_nc(tmp_path / "a.nc", values, times=range(40), more=two_variables)
    made = run(profile_of(source, "netcdf", chunks=chunks), tmp_path / "out")
    with made.path.open("rb", buffering=0) as raw:
        watched = Watched(raw)
        offsets: list[int] = []
        with h5netcdf.File(watched, "r") as file:
            for variable in file.variables.values():
                assert variable.shape is not None
                assert dict(variable.attrs) is not None
            for name in ("sst", "other"):
                file[name]._h5ds.id.chunk_iter(lambda info: offsets.append(info.byte_offset))
    assert len(offsets) == 2 * (40 * 6 * 8 if chunks["time"] == 1 else 2)
    assert watched.furthest <= min(offsets)


def test_little_is_lost_between_large_chunks(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(8, 1000, 600))
    made = run(
        profile_of(make_nc(tmp_path / "a.nc", values, times=range(8)), "netcdf", chunks={"time": 1}), tmp_path / "out"
    )
    with h5py.File(made.path) as file:
        assert file.id.get_create_plist().get_file_space_page_size() == 16 * 2**10
        used = sum(file["sst"].id.get_chunk_info(n).size for n in range(8))
    assert used < made.path.stat().st_size <= 1.005 * used


def bounded(file: netCDF4.Dataset) -> None:
    """A dimension without a coordinate, and a coordinate of text."""
    file.createDimension("nv", 2)
    file.createVariable("time_bounds", "f8", ("time", "nv"))[:] = np.arange(14).reshape(7, 2)
    file["time"].bounds = "time_bounds"
    file.createVariable("station", str, ("lat",))[:] = np.array([f"s{n}" for n in range(10)], object)


def test_an_axis_keeps_its_fill_value(tmp_path: Path) -> None:
    with xr.open_dataset(make_nc(tmp_path / "a.nc", ramp(7, 10, 12), times=range(7)), decode_cf=False) as source:
        source["lat"].encoding["_FillValue"] = -999
        source.to_netcdf(tmp_path / "b.nc")
    path = run(profile_of(tmp_path / "b.nc", "netcdf"), tmp_path / "out").path
    with netCDF4.Dataset(path) as file:
        assert file["lat"]._FillValue == -999
        assert file["lat"]._FillValue.dtype == file["lat"].dtype
        assert {name: dim.size for name, dim in file.dimensions.items()} == {"time": 7, "lat": 10, "lon": 12}
    with h5py.File(path) as file:
        assert file["lat"].attrs["_FillValue"].shape == (1,)
        assert file["lat"].fillvalue == -999


def test_bytes_do_not_depend_on_who_holds_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a profiler does (Dask's workers have one): what HDF5 has open in a frame then stays open for a while."""
    source = make_nc(tmp_path / "a.nc", ramp(7, 10, 12), times=range(7), more=bounded)
    before = run(profile_of(source, "netcdf"), tmp_path / "before").path.read_bytes()
    held: list[Any] = []

    def make(*args: Any) -> Any:
        sys.setprofile(lambda *what: held.append(what))
        try:
            return real(*args)
        finally:
            sys.setprofile(None)

    real = netcdf._make
    monkeypatch.setattr(netcdf, "_make", make)
    again = run(profile_of(source, "netcdf"), tmp_path / "again").path.read_bytes()
    held.clear()
    assert again == before


# --- turns ----------------------------------------------------------------------------------------------------------


def test_results_come_in_order_and_few_are_ahead() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return number * 2

    taken = []
    for result in ordered_map(work, range(200)):
        taken.append(result)
        assert len(begun) <= len(taken) + 2 * cores()
    assert taken == [2 * number for number in range(200)]


def test_an_error_ends_the_turns() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return 1 // (3 - number)

    with pytest.raises(ZeroDivisionError):
        list(ordered_map(work, range(1000)))
    assert len(begun) < 50
