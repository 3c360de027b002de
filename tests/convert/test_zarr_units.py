"""The objects of Zarr arrays, written without zarr-python: the bytes that it writes, and nothing else gets through."""

from __future__ import annotations

import os
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from builders import make_nc, profile_of, ramp, run
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import every_file
from zarr.codecs import GzipCodec

from earthcode_pack.convert.statistics import RunningStatistics, statistics_of
from earthcode_pack.convert.zarr import writer as module
from earthcode_pack.convert.zarr.objects import StoredForm, compare_unit, form_of, write_unit
from earthcode_pack.errors import NotEqual

if TYPE_CHECKING:
    from pathlib import Path

TYPES = ["bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]
ODD_NAN = {4: 0x7FC00001, 8: 0x7FF8000000000001}


def count(cells: np.ndarray) -> RunningStatistics:
    return statistics_of(cells, None)


def create(path: Path, values: np.ndarray, **how: Any) -> zarr.Array[Any]:
    version = how["zarr_format"]
    return zarr.create_array(
        path, shape=values.shape, dtype=values.dtype, compressors=module.compressor(version), **how
    )


def units(form: StoredForm, values: np.ndarray) -> list[tuple[tuple[int, ...], np.ndarray]]:
    grid = [range(-(-size // unit)) for size, unit in zip(values.shape, form.unit, strict=True)]
    return [
        (index, values[tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, form.unit, strict=True))])
        for index in product(*grid)
    ]


def made(path: Path, values: np.ndarray, **how: Any) -> StoredForm:
    form = form_of(create(path, values, **how), path)
    assert form is not None
    for index, cells in units(form, values):
        write_unit(form, cells, index, count)
    return form


def compare_all(form: StoredForm, values: np.ndarray) -> None:
    for index, cells in units(form, values):
        compare_unit(form, cells, index, "here")


@st.composite
def arrays(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, Any]]:
    """Values, some regions of nothing but the fill value, and how they are stored."""
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    chunks = tuple(draw(st.integers(1, 5)) for _ in shape)
    version = draw(st.sampled_from([2, 3]))
    neutral: list[Any] = [0, np.nan, -0.0, -9999] if dtype.kind == "f" else [0, 1]
    fill = draw(st.sampled_from([None, *neutral] if version == 2 else neutral))
    values = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 3, shape).astype(dtype)
    for _ in range(draw(st.integers(0, 3))):
        start = tuple(draw(st.integers(0, size - 1)) for size in shape)
        values[tuple(slice(at, None) for at in start)] = 0 if fill is None else fill
    if draw(st.integers(0, 4)) == 0:
        values[...] = 0 if fill is None else fill
    if dtype.kind == "f" and draw(st.integers(0, 4)) == 0:
        values.reshape(-1)[-1:].view(f"u{dtype.itemsize}")[...] = ODD_NAN[dtype.itemsize]
    how = {"chunks": chunks, "zarr_format": version, "fill_value": fill}
    if version == 3 and draw(st.booleans()):
        how["shards"] = tuple(n * draw(st.integers(1, 3)) for n in chunks)
    return values, how


def has_odd_nan(values: np.ndarray) -> bool:
    if values.dtype.kind != "f":
        return False
    return bool((values.view(f"u{values.itemsize}") == ODD_NAN[values.itemsize]).any())


@given(array=arrays())
@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_bytes_of_zarr_python(tmp_path_factory: pytest.TempPathFactory, array: Any) -> None:
    values, how = array
    folder = tmp_path_factory.mktemp("units")
    create(folder / "theirs", values, **how)[...] = values
    form = made(folder / "ours", values, **how)
    if not has_odd_nan(values):  # zarr-python takes every NaN for one
        assert every_file(folder / "ours") == every_file(folder / "theirs")
    back = np.asarray(zarr.open_array(folder / "ours", mode="r")[...])
    assert back.tobytes() == values.tobytes()
    compare_all(form, values)


@given(array=arrays(), where=st.integers(0, 10**6))
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_other_values_are_found(tmp_path_factory: pytest.TempPathFactory, array: Any, where: int) -> None:
    values, how = array
    form = made(tmp_path_factory.mktemp("units"), values, **how)
    other = values.copy()
    other.reshape(-1).view(np.uint8)[where % values.nbytes] ^= 1
    with pytest.raises(NotEqual, match=r"here: 1 of \d+ values differ|here, chunk"):
        compare_all(form, other)


SHARDED = {"chunks": (2, 2), "shards": (4, 4), "zarr_format": 3, "fill_value": 0}
PLAIN = {"chunks": (4, 4), "zarr_format": 2, "fill_value": 0}


def damaged(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
        return
    if how == "cut":
        data = data[:-5]
    elif how == "empty":
        data = bytearray()
    elif how == "index":
        data[-10] ^= 1
    path.write_bytes(data)


DAMAGES = [*product(["sharded", "plain"], ["gone", "cut", "empty"]), ("sharded", "index")]


@pytest.mark.parametrize(("kind", "damage"), DAMAGES)
def test_a_damaged_object_is_found(tmp_path: Path, kind: str, damage: str) -> None:
    how = SHARDED if kind == "sharded" else PLAIN
    values = ramp(6, 5, dtype="int16") + 1
    form = made(tmp_path, values, **how)
    compare_unit(form, values[:4, :4], (0, 0), "here")
    damaged(form.path((0, 0)), damage)
    with pytest.raises(NotEqual, match="here"):
        compare_unit(form, values[:4, :4], (0, 0), "here")


def test_a_shard_of_one_chunk_has_an_index_too(tmp_path: Path) -> None:
    values, how = ramp(4, 5) + 1, {"chunks": (2, 5), "shards": (2, 5), "zarr_format": 3, "fill_value": 0}
    create(tmp_path / "theirs", values, **how)[...] = values
    form = made(tmp_path / "ours", values, **how)
    assert every_file(tmp_path / "ours") == every_file(tmp_path / "theirs")
    compare_all(form, values)


def test_what_an_earlier_run_left_goes_where_nothing_belongs(tmp_path: Path) -> None:
    values = ramp(4, 4)
    form = made(tmp_path, values, **PLAIN)
    write_unit(form, np.zeros_like(values), (0, 0), count)
    assert not form.path((0, 0)).exists()
    compare_unit(form, np.zeros_like(values), (0, 0), "here")
    with pytest.raises(NotEqual, match="15 of 16 values differ"):
        compare_unit(form, values, (0, 0), "here")


def test_no_half_object_is_ever_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = ramp(4, 4)
    form = made(tmp_path, values, **PLAIN)
    before = form.path((0, 0)).read_bytes()

    def full(self: Path, target: Path) -> None:
        assert target == form.path((0, 0))
        assert self.read_bytes() != before
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(type(tmp_path), "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_unit(form, values + 1, (0, 0), count)
    assert form.path((0, 0)).read_bytes() == before


def test_statistics_are_of_the_cells_and_not_of_what_fills_them_up(tmp_path: Path) -> None:
    values = ramp(5, 7) + 1
    form = form_of(create(tmp_path, values, chunks=(2, 2), shards=(8, 8), zarr_format=3, fill_value=0), tmp_path)
    assert form is not None
    found, _ = write_unit(form, values, (0, 0), count)
    assert (found.total, found.count, found.minimum, found.maximum) == (35, 35, 1, 35)
    assert found.mean == pytest.approx(18)


STRANGE: list[tuple[str, dict[str, Any]]] = [
    ("gzip", {"compressors": (GzipCodec(),), "zarr_format": 3}),
    ("none", {"compressors": None, "zarr_format": 3}),
    ("F order", {"compressors": module.compressor(2), "zarr_format": 2, "order": "F"}),
    ("big endian", {"compressors": module.compressor(2), "zarr_format": 2, "dtype": ">f4"}),
    ("no dimension", {"compressors": module.compressor(2), "zarr_format": 2, "shape": (), "chunks": ()}),
]


@pytest.mark.parametrize("how", [how for _, how in STRANGE], ids=[name for name, _ in STRANGE])
@pytest.mark.filterwarnings("ignore:The `order` keyword")
def test_what_is_left_to_zarr_python(tmp_path: Path, how: dict[str, Any]) -> None:
    array = zarr.create_array(tmp_path, **{"shape": (4, 4), "chunks": (2, 2), "dtype": "f4", "fill_value": 0} | how)
    assert form_of(array, tmp_path) is None


@pytest.mark.parametrize("fill", [np.float32("nan"), np.float32(-9)])
def test_another_codec_goes_through_zarr_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fill: Any) -> None:
    monkeypatch.setattr(module, "compressor", lambda *_: GzipCodec())
    values = ramp(4, 3, 4)
    values[2:] = fill
    values[3, 0, :1].view("u4")[...] = ODD_NAN[4]
    source = make_nc(tmp_path / "a.nc", values, {"units": "K", "_FillValue": fill}, times=range(4))
    result = run(profile_of(source, "zarr", chunks={"time": 1}), tmp_path / "out")
    assert result.one.engine == "zarr-python"
    assert np.asarray(zarr.open_group(result.path, mode="r")["sst"]).tobytes() == values.tobytes()
