"""Cost that grows with the number of files and variables, not with its square; memory that hardly grows at all."""

from __future__ import annotations

import cProfile
import gc
import json
import pstats
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from builders import make_nc, np
from making import profile_of, write_tif

from benchmarks.describing import artifact
from earthcode_pack.bundle import Bundle, Packed, pack, plan_to_json
from earthcode_pack.bundle.provenance import measured, provenance_json
from earthcode_pack.checks.cf import cf_findings, open_raw
from earthcode_pack.convert.read.kept import Kept
from earthcode_pack.files import write_atomic
from earthcode_pack.model import Artifact, Plan, Sources
from earthcode_pack.plan import plan
from earthcode_pack.sources.discover import discover
from earthcode_pack.storage import IdentityCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import netCDF4


def calls_of(work: Callable[[], Any]) -> int:
    """Python calls, those into C included."""
    profile = cProfile.Profile()
    profile.enable()
    work()
    profile.disable()
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def with_scalars(path: Path, count: int) -> Path:
    """A cube of one map beside so many single numbers."""

    def more(file: netCDF4.Dataset) -> None:
        for number in range(count):
            file.createVariable(f"s{number}", "f4").units = "1"

    return make_nc(path, np.zeros((1, 4, 5), "f4"), more=more)


def test_planning_is_linear_in_variables_beside_the_map(tmp_path: Path) -> None:
    def planned(count: int) -> None:
        href = str(with_scalars(tmp_path / f"{count}.nc", count))
        profile = profile_of(
            tmp_path,
            source__href=href,
            source__time={"from": "coordinate"},
            target__format="zarr",
            product__variables={},
        )
        made = plan(profile, discover(profile, IdentityCache(tmp_path / f"{count}.json")))
        assert len(made.jobs) == 1

    planned(10)  # imports
    few, many = (calls_of(lambda count=count: planned(count)) for count in (50, 200))
    assert many < 6 * few


def test_checking_is_linear_in_variables(tmp_path: Path) -> None:
    def checked(count: int) -> None:
        with open_raw(str(with_scalars(tmp_path / f"{count}.nc", count)), "netcdf4") as dataset:
            cf_findings(dataset, "a.nc")

    checked(10)  # imports
    few, many = (calls_of(lambda count=count: checked(count)) for count in (50, 200))
    assert many < 6 * few


def test_keeping_many_values_is_linear() -> None:
    def fill(count: int) -> Kept[bytes]:
        kept: Kept[bytes] = Kept(count // 2, len)
        for number in range(count):
            kept.get(number, lambda: b"x")
        assert kept.kept == count // 2
        return kept

    few, many = (calls_of(lambda count=count: fill(count)) for count in (500, 4_000))
    assert many < 10 * few


# --- memory -----------------------------------------------------------------------------------------------------------


def held_by(make: Callable[[], Any]) -> int:
    """Bytes that what ``make`` returns keeps."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = make()
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        del kept
        return size
    finally:
        tracemalloc.stop()


def test_artifacts_take_three_kilobytes_each() -> None:
    artifact(0)
    size = held_by(lambda: Packed(Artifact, (pack(artifact(number)) for number in range(300))))
    assert size < 300 * 3_000


def test_sources_and_jobs_of_one_grid_take_eight_kilobytes_each(tmp_path: Path) -> None:
    for day in range(1, 29):
        for month in range(1, 9):
            write_tif(tmp_path / "raw" / f"a_2020{month:02}{day:02}.tif")

    def planned() -> tuple[Sources, Plan]:
        profile = profile_of(tmp_path)
        found = discover(profile, IdentityCache(tmp_path / "identities.json"))
        return found, plan(profile, found)

    planned()  # imports, and what they keep
    assert held_by(planned) < 224 * 8_000


def test_packed_values_are_what_was_packed() -> None:
    every = [artifact(number) for number in range(5)]
    packed = Packed(Artifact, map(pack, every))
    assert list(packed) == every
    assert (packed[-1], len(packed), list(packed[1:3])) == (every[-1], 5, every[1:3])
    assert list(packed.picked([3, 0])) == [every[3], every[0]]
    with pytest.raises(IndexError):
        packed[5]


def test_record_of_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path)
    record = {"started": "2020-01-01T00:00:00Z", "failed": [], "approvals": []}
    for count in (0, 1, 3):
        every = [artifact(number) for number in range(count)]
        write_atomic(tmp_path / "provenance.json", provenance_json(record, measured(every)))
        whole = json.loads((tmp_path / "provenance.json").read_text())
        assert whole == record | {"artifacts": [json.loads(one.model_dump_json(exclude={"files"})) for one in every]}
        assert list(bundle.measured()) == whole["artifacts"]
        assert bundle.provenance() == record | {"artifacts": []}


def test_record_in_another_layout_is_read_too(tmp_path: Path) -> None:
    whole = {"failed": [], "artifacts": [json.loads(artifact(0).model_dump_json(exclude={"files"}))]}
    (tmp_path / "provenance.json").write_text(json.dumps(whole, indent=2))
    assert list(Bundle(tmp_path).measured()) == whole["artifacts"]


def test_record_of_many_files_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        every = Packed(Artifact, (pack(artifact(number)) for number in range(count)))
        tracemalloc.start()
        try:
            write_atomic(tmp_path / f"{count}" / "provenance.json", provenance_json({}, measured(every)))
            assert sum(1 for _ in Bundle(tmp_path / f"{count}").measured()) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)  # what is made once
    few, many = peak(10), peak(150)
    assert many - few < (tmp_path / "150" / "provenance.json").stat().st_size / 3


def test_plan_is_written_as_one_value(tmp_path: Path) -> None:
    profile = profile_of(
        tmp_path, source__href=str(with_scalars(tmp_path / "a.nc", 1)), source__time={"from": "coordinate"},
        target__format="zarr", product__variables={},
    )  # fmt: skip
    made = plan(profile, discover(profile, IdentityCache(tmp_path / "i.json")))
    assert len(made.jobs) == 1
    for jobs in ((), made.jobs, made.jobs * 2):
        value = Plan(product="a", version="1", jobs=jobs)
        assert "".join(plan_to_json(value)) == value.to_json()
