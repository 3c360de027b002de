"""A wrong output is never let through, and what is done is not done again."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import PERIOD, bits, make_nc, make_tiff, opened, planned, profile_of, ramp, run
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthcode_pack import convert
from earthcode_pack.checks.equality import compare, compare_masks
from earthcode_pack.convert.work import Record
from earthcode_pack.convert.zarr.objects import Blosc
from earthcode_pack.errors import NotEqual
from earthcode_pack.execution import threads as parallel
from earthcode_pack.files import write_atomic
from earthcode_pack.model import Failure

if TYPE_CHECKING:
    from pathlib import Path


def test_a_difference_says_where_and_what() -> None:
    wrong = ramp(3, 4)
    wrong[1, 2] = 99
    with pytest.raises(NotEqual, match=r"here: 1 of 12 values differ, the first at \(1, 2\): read .*6.*, wrote .*99"):
        compare(ramp(3, 4), wrong, "here")


@pytest.mark.parametrize(
    ("one", "other"),
    [(0.0, -0.0), (np.nan, -np.nan), (1.0, np.nan)],
)
def test_bits_count(one: float, other: float) -> None:
    with pytest.raises(NotEqual):
        compare(np.array([one]), np.array([other]), "here")


def test_another_type_is_another_value() -> None:
    with pytest.raises(NotEqual, match="float64"):
        compare(ramp(3), ramp(3).astype("f8"), "here")


def test_the_bound_is_enforced_and_missing_values_stay() -> None:
    source = np.array([1.0, np.nan, 3])
    assert compare(source, np.array([1.25, np.nan, 3]), "here", max_error=0.5) == 0.25
    with pytest.raises(NotEqual, match=r"up to 0\.75"):
        compare(source, np.array([1.75, np.nan, 3]), "here", max_error=0.5)
    with pytest.raises(NotEqual, match="missing in one"):
        compare(source, np.array([1.0, 2, 3]), "here", max_error=9)
    with pytest.raises(NotEqual, match="missing in one"):
        compare(np.array([1.0, -9]), np.array([1.0, -9.1]), "here", max_error=9, nodata=-9)
    with pytest.raises(NotEqual):
        compare(np.array([1.0, np.inf]), np.array([1.0, 5]), "here", max_error=9)


def test_masks() -> None:
    compare_masks(np.array([0, 255]), np.array([0, 1]), "here")
    with pytest.raises(NotEqual, match="mask of here"):
        compare_masks(np.array([0, 255]), np.array([0, 0]), "here")


def test_a_spoilt_zarr_part_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = Blosc.encode

    def spoilt(self: Blosc, chunk: np.ndarray) -> bytes:
        """Other values than it is given: a faulty memory."""
        chunk = chunk.copy()
        chunk.flat[5] ^= 1
        return encode(self, chunk)

    monkeypatch.setattr(Blosc, "encode", spoilt)
    made = run(profile_of(make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=range(2)), "zarr"), tmp_path / "out")
    assert "1 of 24 values differ, the first at (0, 1, 1)" in made.error
    assert not made.artifacts


def test_statistics_are_the_same_whatever_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).normal(size=(30, 40, 50)).astype("f4")
    source = make_nc(tmp_path / "a.nc", values, times=range(30))
    for fmt in ("zarr", "netcdf"):
        found = []
        for threads in (1, 2, 5):
            monkeypatch.setattr(parallel, "_ALLOWED", [threads])
            parallel.pool.cache_clear()
            options = {"chunks": {"time": 7, "lat": 9, "lon": 50}}
            found.append(run(profile_of(source, fmt, **options), tmp_path / f"{fmt}{threads}").one.variables)
        assert found[0] == found[1] == found[2]
        assert found[0][0].statistics is not None
        assert found[0][0].statistics.mean == pytest.approx(values.mean(dtype="f8"), rel=1e-12)
    monkeypatch.undo()
    parallel.pool.cache_clear()


def parts(profile: Any, root: Path) -> tuple[Any, list[Any], Path]:
    (job,) = planned(profile).jobs
    folder = root / "work"
    return job, convert.begin(job, folder), folder


def test_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from earthcode_pack.convert.cube import encoding as regions

    monkeypatch.setattr(regions, "GROW", 4 * 12 * 4)
    profile = profile_of(make_nc(tmp_path / "a.nc", ramp(20, 3, 4), times=range(20)), "zarr", chunks={"time": 2})
    job, every, folder = parts(profile, tmp_path / "one")
    assert len(every) == 5
    records = {part.number: convert.write(part) for part in every[:2]}
    stamps = {path: path.stat().st_mtime_ns for path in (folder / "out.zarr").rglob("c/*/*/*")}
    again = convert.begin(job, folder)
    assert again == every
    records |= {part.number: convert.write(part) for part in again if part.number not in records}
    assert stamps
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    done = [record for record in records.values() if isinstance(record, Record)]
    resumed = convert.finish(job, done, folder, tmp_path / "one" / "product")
    whole = run(profile, tmp_path / "two").one
    assert resumed.model_copy(update={"processed": whole.processed}) == whole


@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_killed_between_the_move_and_the_note(tmp_path: Path, fmt: str) -> None:
    profile = profile_of(make_nc(tmp_path / "a.nc", ramp(1, 3, 4)), fmt)
    job, every, folder = parts(profile, tmp_path)
    for _ in range(2):
        records = [record for record in map(convert.write, convert.begin(job, folder)) if isinstance(record, Record)]
        for record in records:
            write_atomic(folder / "records" / f"{record.number}.json", record.to_json())
        assert len(records) == len(every)
        convert.finish(job, records, folder, tmp_path / "product")
        assert (tmp_path / "product" / job.key).exists()


def test_threads_and_classic_files(tmp_path: Path) -> None:
    paths = [
        make_nc(tmp_path / f"{n:02}.nc", ramp(1, 30, 40) + n, times=[n], fmt=("NETCDF3_CLASSIC", "NETCDF4")[n % 2])
        for n in range(24)
    ]
    jobs, before = planned(profile_of([*paths])).jobs, threading.active_count()
    with ThreadPoolExecutor(4) as pool:
        every = [part for job in jobs for part in convert.begin(job, tmp_path / "work" / job.item)]
        records = list(pool.map(convert.write, every))
    assert not [record for record in records if isinstance(record, Failure)]
    assert len(records) == 24
    assert threading.active_count() - before < 16


@pytest.mark.slow
def test_dask_workers(tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    paths = [make_nc(tmp_path / f"{n}.nc", ramp(1, 3, 4) + n, times=[n]) for n in range(4)]
    (job,) = planned(profile_of([*paths], "zarr", chunks={"time": 1})).jobs
    every = convert.begin(job, tmp_path / "work")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        records = client.gather(client.map(convert.write, every))
    made = convert.finish(job, records, tmp_path / "work", tmp_path / "product")
    assert made.compared == 48


def test_bad_tiff_statistics_do_not_hide_a_good_file(tmp_path: Path) -> None:
    made = run(profile_of(make_tiff(tmp_path / "a.tif", np.full((3, 4), np.nan, "f4")), time=PERIOD), tmp_path / "out")
    assert made.one.variables[0].statistics is None


@st.composite
def cubes(draw: st.DrawFn) -> tuple[np.ndarray, tuple[str, ...], dict[str, int], Any]:
    """Values with any bits, the order of their dimensions, chunks and a fill value."""
    dtype = np.dtype(draw(st.sampled_from(["i1", "u2", "i4", "u8", "f4", "f8"])))
    sizes = {dim: draw(st.integers(low, 5)) for dim, low in (("time", 1), ("lat", 2), ("lon", 2))}
    dims = tuple(draw(st.permutations(list(sizes))))
    count = int(np.prod(list(sizes.values())))
    raw = draw(st.binary(min_size=dtype.itemsize * count, max_size=dtype.itemsize * count))
    values = np.frombuffer(raw, dtype).reshape([sizes[dim] for dim in dims]).copy()
    fill = draw(st.sampled_from([None, values.flat[0], dtype.type(0)]))
    if fill is not None and draw(st.booleans()):
        values[..., :1] = fill
    chunks = {dim: draw(st.integers(1, 6)) for dim in sizes}
    return values, dims, chunks, fill


@given(cube=cubes(), fmt=st.sampled_from([("zarr", {"version": 2}), ("zarr", {"version": 3}), ("netcdf", {})]))
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bits_come_through(tmp_path_factory: pytest.TempPathFactory, cube: Any, fmt: Any) -> None:
    values, dims, chunks, fill = cube
    folder = tmp_path_factory.mktemp("any")
    attrs = {"units": "1"} | ({} if fill is None else {"_FillValue": fill})
    source = make_nc(folder / "a.nc", values, attrs, dims=dims, times=range(values.shape[dims.index("time")]))
    made = run(profile_of(source, fmt[0], chunks=chunks, **fmt[1]), folder / "out")
    out = opened(made.path, mask_and_scale=False)["sst"]
    assert out.dims == dims
    assert bits(out.values) == bits(values)


@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_the_sha256_of_every_file_is_that_of_its_bytes(tmp_path: Path, fmt: str) -> None:
    """Most are taken while the bytes are at hand, and not from the file."""
    options = {"chunks": {"time": 2, "lat": 3, "lon": 3}} if fmt != "cog" else {}
    source = make_nc(tmp_path / "a.nc", ramp(4, 5, 6), times=range(4))
    made = run(profile_of(source, fmt, **options), tmp_path / "out")
    files = [file for artifact in made.artifacts for file in artifact.files]
    assert len(files) == {"cog": 4, "zarr": len(files), "netcdf": 1}[fmt]
    for file in files:
        data = (made.root / "product" / file.key).read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
