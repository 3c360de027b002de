"""Stored bytes read beside the libraries: whatever h5py and netCDF4 read is read, and what is broken is said."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Any

import h5py
import netCDF4
import numpy as np
import pytest
from builders import make_nc, ramp
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthcode_pack.convert.read.classic import variables_of
from earthcode_pack.convert.read.filters import DEFLATE, FLETCHER32, SHUFFLE
from earthcode_pack.convert.read.open import open_raw
from earthcode_pack.convert.read.plain import Plain
from earthcode_pack.convert.read.stored import Chunked, stored
from earthcode_pack.convert.read.values import values_of
from earthcode_pack.errors import Unreadable
from earthcode_pack.execution.threads import in_pool
from earthcode_pack.model import Variable

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
many = settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(values: Any, box: tuple[tuple[int, int], ...], dtype: Any) -> np.ndarray:
    out = np.full([stop - start for start, stop in box], 77, np.dtype(dtype).newbyteorder("="))
    in_pool(lambda work: work.do(), list(values.reading(box, out)))
    return out


def whole(values: Any) -> np.ndarray:
    return read(values, tuple((0, size) for size in values.shape), values.dtype)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    native = other.astype(other.dtype.newbyteorder("="))
    return one.dtype == native.dtype and one.shape == native.shape and one.tobytes() == native.tobytes()


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    spans = []
    for size in shape:
        start = draw(st.integers(0, size - 1))
        spans.append((start, draw(st.integers(start + 1, size))))
    return tuple(spans)


# --- HDF5 -----------------------------------------------------------------------------------------------------------


def make_hdf5(
    path: Path, shape: tuple[int, ...], dtype: str, *, chunks: tuple[int, ...] | None, filters: list[int], fill: Any,
    unlimited: bool = False,
) -> h5py.File:  # fmt: skip
    """A dataset ``v`` of nothing, with the filters in the order given, through HDF5's own calls."""
    file = h5py.File(path, "w")
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if chunks is not None:
        made.set_chunk(chunks)
        for number in filters:
            {DEFLATE: lambda: made.set_deflate(4), SHUFFLE: made.set_shuffle, FLETCHER32: made.set_fletcher32}[number]()
    if fill is not None:
        made.set_fill_value(np.array(fill, dtype))
    limits = tuple(h5py.h5s.UNLIMITED if unlimited else size for size in shape)
    space = h5py.h5s.create_simple(shape, limits)
    h5py.h5d.create(file.id, b"v", h5py.h5t.py_create(np.dtype(dtype)), space, made)
    return file


@st.composite
def datasets(draw: st.DrawFn) -> dict[str, Any]:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    is_chunked, unlimited = draw(st.booleans()) or draw(st.booleans()), draw(st.booleans())
    most = [12 if unlimited else size for size in shape]
    chunks = tuple(draw(st.integers(1, size)) for size in most) if is_chunked else None
    return {
        "shape": shape,
        "dtype": draw(st.sampled_from("<>")) + draw(st.sampled_from(KINDS)),
        "chunks": chunks,
        "filters": draw(st.permutations([DEFLATE, SHUFFLE, FLETCHER32]))[: draw(st.integers(0, 3))],
        "fill": draw(st.sampled_from([None, 0, 3])),
        "unlimited": unlimited and is_chunked,
    }


@given(data=st.data(), made=datasets(), seed=st.integers(0, 99))
@many
def test_any_hdf5_is_read_as_h5py_reads_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, made: dict[str, Any], seed: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.h5"
    values = np.random.default_rng(seed).integers(0, 120, made["shape"]).astype(made["dtype"])
    with make_hdf5(path, **made) as file:
        part = tuple(slice(*span) for span in data.draw(boxes(made["shape"])))
        if data.draw(st.booleans()):  # else nothing of it is there
            file["v"][part] = values[part]
    found, box = stored(path, "v"), data.draw(boxes(made["shape"]))
    with h5py.File(path) as file:
        wanted = file["v"][tuple(slice(*span) for span in box)]
        unwritten = made["chunks"] is None and file["v"].id.get_offset() is None
        at_edges = made["chunks"] and any(n % size for n, size in zip(made["shape"], made["chunks"], strict=True))
    assert found is not None or unwritten or (at_edges and made["filters"])
    if found is not None:
        assert same(read(found, box, made["dtype"]), wanted)


def packed(path: Path, **changes: Any) -> Path:
    """Six chunks, shuffled, deflated and summed, the last row of them at an edge."""
    given = {"shape": (5, 6), "dtype": "<f4", "chunks": (2, 3), "filters": [SHUFFLE, DEFLATE, FLETCHER32], "fill": 9}
    with make_hdf5(path, **(given | changes)) as file:
        file["v"][...] = ramp(*(given | changes)["shape"])
    return path


def test_a_chunk_that_was_spared_a_filter(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.h5", filters=[SHUFFLE, DEFLATE], shape=(4, 6))
    bare = np.arange(6, dtype="<f4").reshape(2, 3)
    planes = np.frombuffer(bare.tobytes(), "u1").reshape(-1, 4).T.tobytes()
    with h5py.File(path, "r+") as file:
        file["v"].id.write_direct_chunk((0, 0), bare.tobytes(), filter_mask=0b11)
        file["v"].id.write_direct_chunk((0, 3), planes, filter_mask=0b10)
        file["v"].id.write_direct_chunk((2, 0), zlib.compress(bare.tobytes()), filter_mask=0b01)
        wanted = file["v"][...]
    found = stored(path, "v")
    assert isinstance(found, Chunked)
    assert same(whole(found), wanted)
    assert (wanted[:2, :3] == bare).all()


def spoil(path: Path, corner: tuple[int, ...], at: int) -> None:
    with h5py.File(path) as file:
        info = file["v"].id.get_chunk_info_by_coord(corner)
    with path.open("r+b") as raw:
        raw.seek(info.byte_offset + (at if at >= 0 else info.size + at))
        byte = raw.read(1)[0]
        raw.seek(-1, 1)
        raw.write(bytes([byte ^ 0x55]))


@pytest.mark.parametrize(
    ("filters", "at", "word"),
    [
        ([SHUFFLE, FLETCHER32], 3, "Fletcher32"), ([SHUFFLE, DEFLATE, FLETCHER32], -1, "Fletcher32"),
        ([FLETCHER32, SHUFFLE, DEFLATE], -1, "deflated"), ([SHUFFLE, DEFLATE], -1, "deflated"),
        ([DEFLATE], 0, "deflated"), ([DEFLATE, SHUFFLE], 0, "deflated"),
    ],
)  # fmt: skip
def test_a_spoilt_chunk_is_named(tmp_path: Path, filters: list[int], at: int, word: str) -> None:
    path = packed(tmp_path / "bad.h5", filters=filters, shape=(4, 6))
    spoil(path, (2, 3), at)
    found = stored(path, "v")
    with pytest.raises(Unreadable, match=rf"bad\.h5: v: the chunk at \(2, 3\): .*{word}"):
        whole(found)
    assert isinstance(found, Chunked)
    assert read(found, ((0, 2), (0, 3)), "f4").tolist() == [[0, 1, 2], [6, 7, 8]]


def test_a_chunk_of_other_bytes_than_its_size(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.h5", filters=[DEFLATE], shape=(4, 6))
    for data in (zlib.compress(bytes(20)), zlib.compress(bytes(28))):
        with h5py.File(path, "r+") as file:
            file["v"].id.write_direct_chunk((0, 0), data)
        with pytest.raises(Unreadable, match=r"the chunk at \(0, 0\)"):
            whole(stored(path, "v"))


def test_a_chunk_that_would_take_all_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.h5"
    with make_hdf5(path, (2**20, 2**20), "<f8", chunks=(2**14, 2**14), filters=[DEFLATE], fill=None) as file:
        file["v"].id.write_direct_chunk((0, 0), zlib.compress(bytes(100)))
    with pytest.raises(Unreadable, match="cannot be 2147483648"):
        read(stored(path, "v"), ((0, 1), (0, 1)), "f8")


@pytest.mark.parametrize("filters", [[], [SHUFFLE, DEFLATE]])
def test_a_file_that_was_cut_off_after_it_was_looked_at(tmp_path: Path, filters: list[int]) -> None:
    path = packed(tmp_path / "cut.h5", filters=filters, shape=(4, 6))
    found = stored(path, "v")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Unreadable, match=r"cut\.h5: v: the chunk at .*too early"):
        whole(found)


def test_a_contiguous_file_that_was_cut_off(tmp_path: Path) -> None:
    path = packed(tmp_path / "cut.h5", chunks=None, filters=[], shape=(40, 60))
    found = stored(path, "v")
    assert isinstance(found, Plain)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Unreadable, match=r"cut\.h5: v: the file ends .*too early"):
        whole(found)


def odd_ones(file: h5py.File) -> None:
    file.create_dataset("lzf", data=ramp(4, 4), chunks=(2, 2), compression="lzf")
    file.create_dataset("offset", data=ramp(4, 4, dtype="i4"), chunks=(2, 2), scaleoffset=0)
    file.create_dataset("truth", data=ramp(4, 4) > 3)
    file.create_dataset("complex", data=ramp(4, 4, dtype="c8"))
    file.create_dataset("text", data=np.array([b"a", b"b"]))
    file.create_dataset("scalar", data=1.0)
    file.create_dataset("outside", shape=(4, 4), dtype="f4", external=[("beside.bin", 0, h5py.h5f.UNLIMITED)])
    layout = h5py.VirtualLayout((4, 4), "f4")
    layout[...] = h5py.VirtualSource(file["lzf"])
    file.create_virtual_dataset("virtual", layout)
    file["elsewhere"] = h5py.ExternalLink("other.h5", "v")
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((2, 2))
    h5py.h5d.create(file.id, b"compact", h5py.h5t.py_create(np.dtype("f4")), space, compact)
    never = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    never.set_chunk((2, 2))
    never.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    h5py.h5d.create(file.id, b"unfilled", h5py.h5t.py_create(np.dtype("f4")), space, never)


def test_what_hdf5_alone_can_read_is_left_to_it(tmp_path: Path) -> None:
    packed(tmp_path / "other.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        odd_ones(file)
        names = list(file)
    assert {name: stored(tmp_path / "a.h5", name) for name in names} == dict.fromkeys(names)
    with h5py.File(tmp_path / "block.h5", "w", userblock_size=512) as file:
        file["v"] = ramp(4, 4)
    assert stored(tmp_path / "block.h5", "v") is None
    assert stored(tmp_path / "block.h5", "absent") is None


@pytest.mark.parametrize("kind", ["deflate", "lzf", "offset"])
def test_every_filter_gives_the_values(tmp_path: Path, kind: str) -> None:
    path, values = tmp_path / "a.nc", ramp(4, 6, dtype="i4")
    options: dict[str, Any] = {
        "deflate": {"compression": "gzip"},
        "lzf": {"compression": "lzf"},
        "offset": {"scaleoffset": 0},
    }
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=values, chunks=(2, 3), **options[kind])
    held = Variable(name="v", source_name="v", dtype="int32", dims=("phony_dim_0", "phony_dim_1"), shape=(4, 6))
    with values_of(path, "netCDF", held) as found:
        assert isinstance(found, Chunked) is (kind == "deflate")
        assert same(read(found, ((1, 4), (2, 5)), "i4"), values[1:4, 2:5])


def test_a_variable_called_like_a_dimension(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("y", 3)
        file.createDimension("x", 4)
        file.createVariable("y", "f4", ("x", "y"))[:] = ramp(4, 3)
    found = stored(tmp_path / "a.nc", "y")
    assert found is not None
    assert same(whole(found), ramp(4, 3))


def test_an_unlimited_dimension_that_another_variable_made_longer(tmp_path: Path) -> None:
    def longer(file: netCDF4.Dataset) -> None:
        file.createDimension("n", None)
        file.createVariable("other", "f4", ("n",))[:] = ramp(9)
        file.createVariable("v", "f4", ("n",), fill_value=-1)[:] = ramp(5)

    path = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), more=longer)
    held = Variable(name="v", source_name="v", dtype="float32", dims=("n",), shape=(9,))
    with values_of(path, "netCDF", held) as found:
        assert same(read(found, ((3, 9),), "f4"), np.array([3, 4, -1, -1, -1, -1], "f4"))


# --- classic NetCDF -------------------------------------------------------------------------------------------------


CLASSIC = {"NETCDF3_CLASSIC": 6, "NETCDF3_64BIT_OFFSET": 6, "NETCDF3_64BIT_DATA": 11}
CLASSIC_KINDS = ["i1", "i2", "i4", "f4", "f8", "S1", "u1", "u2", "u4", "i8", "u8"]


@st.composite
def classic_files(draw: st.DrawFn) -> dict[str, Any]:
    model = draw(st.sampled_from(list(CLASSIC)))
    sizes = {"r": draw(st.integers(1, 5)), "y": draw(st.integers(1, 6)), "x": draw(st.integers(1, 7))}
    dims = st.sampled_from([("r", "y", "x"), ("r", "x"), ("y", "x"), ("r",), ("x",), ()])
    kinds = st.sampled_from(CLASSIC_KINDS[: CLASSIC[model]])
    variables = draw(st.lists(st.tuples(dims, kinds), min_size=1, max_size=5))
    return {"model": model, "sizes": sizes, "variables": variables, "unlimited": draw(st.booleans())}


@given(data=st.data(), made=classic_files())
@many
def test_any_classic_file_is_read_as_netcdf4_reads_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, made: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.nc"
    with netCDF4.Dataset(path, "w", format=made["model"]) as file:
        file.setncatts({"title": "odd", "numbers": np.arange(3, dtype="i2")})
        for dim, size in made["sizes"].items():
            file.createDimension(dim, None if dim == "r" and made["unlimited"] else size)
        for number, (dims, kind) in enumerate(made["variables"]):
            variable = file.createVariable(f"v{number}", kind, dims)
            variable.units = "x" * number
            shape = tuple(made["sizes"][dim] for dim in dims)
            values = np.random.default_rng(number).integers(48, 110, shape)
            variable[...] = values.astype("u1").view("S1") if kind == "S1" else values.astype(kind)
    found = variables_of(path)
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        file.set_auto_scale(False)
        assert list(found) == list(file.variables)
        for name, variable in file.variables.items():
            if not variable.dimensions:
                continue
            box = data.draw(boxes(variable.shape))
            wanted = variable[tuple(slice(*span) for span in box)]
            assert same(read(found[name], box, wanted.dtype), np.asarray(wanted))


@pytest.mark.parametrize("model", CLASSIC)
def test_classic_files_as_xarray_reads_them(tmp_path: Path, model: str) -> None:
    def more(file: netCDF4.Dataset) -> None:
        file.createDimension("record", None)
        for number, kind in enumerate(("i2", "f8", "i1")):
            file.createVariable(f"r{number}", kind, ("record", "lat", "lon"))[:] = ramp(3, 5, 7)

    path = make_nc(tmp_path / "a.nc", ramp(2, 5, 7), times=range(2), fmt=model, more=more)
    found = variables_of(path)
    with open_raw(path, "netCDF") as dataset:
        for name in ("sst", "r0", "r1", "r2"):
            assert same(whole(found[name]), dataset[name].values)


def test_parts_of_a_large_map_take_few_bytes_in_between(tmp_path: Path) -> None:
    values = np.arange(3 * 400 * 500, dtype="i4").reshape(3, 400, 500)
    path = make_nc(tmp_path / "a.nc", values, times=range(3), fmt="NETCDF3_CLASSIC")
    found = variables_of(path)["sst"]
    for box in [((0, 3), (17, 18), (100, 499)), ((1, 3), (0, 400), (250, 251)), ((2, 3), (399, 400), (499, 500))]:
        assert same(read(found, box, "i4"), values[tuple(slice(*span) for span in box)])


@pytest.mark.parametrize("model", CLASSIC)
def test_a_classic_file_that_was_cut_off(tmp_path: Path, model: str) -> None:
    path = make_nc(tmp_path / "cut.nc", ramp(2, 30, 40), times=range(2), fmt=model)
    full = path.read_bytes()
    path.write_bytes(full[: len(full) - 2000])
    with pytest.raises(Unreadable, match=r"cut\.nc: .* too early"):
        [whole(found) for found in variables_of(path).values() if found.shape]
    for size in (3, 5, 30, 100, 200):
        path.write_bytes(full[:size])
        with pytest.raises(Unreadable, match=r"cut\.nc: the NetCDF header is broken"):
            variables_of(path)


@pytest.mark.parametrize("version", [1, 2, 5])
def test_a_classic_header_that_lies_takes_no_memory(tmp_path: Path, version: int) -> None:
    path = tmp_path / "lies.nc"
    for tag in (10, 11, 12, 99):
        path.write_bytes(b"CDF" + bytes([version]) + bytes(7) + bytes([tag]) + b"\x7f\xff\xff\xff" * 9)
        with pytest.raises(Unreadable, match="header is broken"):
            variables_of(path)


def test_records_that_are_not_counted_yet_are_left_to_the_library(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=range(2), fmt="NETCDF3_CLASSIC")
    data = bytearray(path.read_bytes())
    data[4:8] = b"\xff" * 4
    path.write_bytes(data)
    assert variables_of(path) == {}


def test_one_record_variable_alone_is_not_filled_up(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("r", None)
        file.createDimension("x", 3)
        file.createVariable("v", "i2", ("r", "x"))[:] = ramp(4, 3, dtype="i2")
    assert variables_of(path)["v"].strides == (6, 2)
    assert same(whole(variables_of(path)["v"]), ramp(4, 3, dtype="i2"))
    assert math.prod(variables_of(path)["v"].shape) == 12
