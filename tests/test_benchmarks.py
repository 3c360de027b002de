"""The benchmarks measure what they say; how fast anything is, no test asks."""

import json
import resource
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyproj  # noqa: F401 - before rasterio
import pytest
import rasterio
from clockless import LONG, until

from benchmarks import describing, peers, tables
from benchmarks import inputs as making
from benchmarks.__main__ import main
from benchmarks.contest import Contest, by_number, by_time
from benchmarks.figures import Results, as_json, verdict
from benchmarks.measure import Cost, Failed, measure, memory, remove, size_of
from benchmarks.ready import NEEDS, make_ready, python_with
from benchmarks.same import difference
from benchmarks.sampling import Sampler
from benchmarks.works import OURS, WORKS, works_of

DEFLATE = next(work for work in WORKS if work.name == "deflate")
CHUNKED = next(work for work in WORKS if work.name == "chunks")


@pytest.fixture
def small(monkeypatch) -> None:
    """Pictures and fields of a few cells, made by the same recipe."""
    monkeypatch.setattr(making, "DAY", (60, 50))
    monkeypatch.setattr(making, "FIELD", (40, 60))


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_the_big_picture_lies_in_strips_of_a_row_with_nodata_outside_a_slanted_swath(tmp_path) -> None:
    (path,) = making.inputs("big", tmp_path, 640)
    with rasterio.open(path) as file:
        assert (file.dtypes, file.nodata, file.block_shapes) == (("uint16",), 0, [(1, 640)])
        assert file.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
        assert file.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "2"
        assert (file.descriptions, file.scales, file.offsets) == (("B04",), (0.0001,), (-0.1,))
        valid = file.read(1) != 0
    assert 0.14 < 1 - valid.mean() < 0.16
    assert valid[0, 0]
    assert not valid[-1, 0]
    assert not valid[0, -1]


def test_a_day_has_its_date_in_its_name_and_an_eighth_of_nodata(tmp_path) -> None:
    (path,) = making.inputs("daily", tmp_path, 1)
    assert path.name == "lst_2024-01-01.tif"
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"
        values = file.read(1)
    assert (values.dtype, values.shape) == (np.float32, (2000, 2000))
    assert 0.1 < np.mean(values == file.nodata) < 0.15
    assert 200 < values[values != file.nodata].min() < values.max() < 400


@pytest.mark.usefixtures("small")
def test_a_month_reads_as_the_fields_it_was_made_of(tmp_path) -> None:
    import netCDF4

    (_, path) = making.inputs("cube", tmp_path, 2)
    drift = making.hills(making.FIELD, 202, 5)
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        assert (path.name, file["time"].units) == ("cube_202302.nc", "days since 2023-02-01")
        assert file["time"][:].tolist() == [day + 0.5 for day in range(28)]
        for name in ("sst", "chl"):
            assert file[name].chunking() == [1, 40, 60]
            assert {key: file[name].filters()[key] for key in ("zlib", "shuffle", "complevel")} == {
                "zlib": True,
                "shuffle": True,
                "complevel": 4,
            }
            for day in (0, 27):
                made = making.fields_of_day(day, 2, 28, drift)[name]
                assert file[name][day].tobytes() == made.tobytes()


def test_rounded_values_keep_twelve_bits_and_are_near() -> None:
    values = np.random.default_rng(0).lognormal(size=1000).astype("f4")
    kept = making.rounded(values, 12)
    assert not (kept.view("u4") & 0x7FF).any()
    assert np.abs(kept / values - 1).max() <= 2**-13


@pytest.mark.usefixtures("small")
def test_few_inputs_are_the_first_of_many_and_are_made_once(tmp_path) -> None:
    few = making.inputs("daily", tmp_path, 2)
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in few]
    many = making.inputs("daily", tmp_path, 3)
    assert many[:2] == few
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in few] == before
    elsewhere = making.inputs("daily", tmp_path / "other", 3)
    assert [path.read_bytes() for path in elsewhere] == [path.read_bytes() for path in many]


@pytest.mark.usefixtures("small")
def test_an_input_whose_making_was_interrupted_is_made_again(tmp_path, monkeypatch) -> None:
    whole = making.write_day

    def interrupted(path, number) -> None:
        whole(path, number)
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "write_day", interrupted)
    with pytest.raises(KeyboardInterrupt):
        making.inputs("daily", tmp_path, 1)
    assert list(tmp_path.glob("lst*")) == []
    monkeypatch.undo()
    (path,) = making.inputs("daily", tmp_path, 1)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


# --- costs ------------------------------------------------------------------------------------------------------------


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_memory_of_a_grandchild_is_seen(tmp_path, monkeypatch) -> None:
    seen = tmp_path / "seen"

    def noted(tree) -> int:
        found = memory(tree)
        if found > 200e6:
            seen.touch()
        return found

    monkeypatch.setattr("benchmarks.measure.memory", noted)
    holds = (
        "import os, sys, time; block = bytearray(b'x') * 200_000_000\n"
        f"while not os.path.exists({str(seen)!r}): time.sleep(0.02)\n"
        "open(sys.argv[1], 'w').write('done')"
    )
    starts = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True)"
    cost = measure(python(starts, holds, tmp_path / "out"), tmp_path / "out")
    assert 200e6 < cost.peak < 300e6
    assert cost.size == 4


def test_memory_of_a_short_process_is_seen_by_the_kernel(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.measure.INTERVAL", 60)  # it ends before anyone looks a second time
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    holds = f"block = bytearray(b'x') * {ours + 100_000_000}; open({str(tmp_path / 'out')!r}, 'w').write('done')"
    assert measure(python(holds), tmp_path / "out").peak > ours + 100_000_000


def test_time_of_a_grandchild_is_counted_and_waiting_is_not_cpu_time(tmp_path) -> None:
    """By what the processes say of themselves: however busy the machine is, CPU time is no less than that of the one
    that works, and the other one's waiting, before it starts that, is wall time alone.
    """
    works = "import time, sys\nwhile (used := time.process_time()) < 0.4: pass\nopen(sys.argv[1], 'w').write(str(used))"
    starts = (
        "import subprocess, sys, time; begin = time.perf_counter(); time.sleep(0.5); "
        "open(sys.argv[2] + '-waited', 'w').write(str(time.perf_counter() - begin)); "
        "subprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True)"
    )
    cost = measure(python(starts, works, tmp_path / "out"), tmp_path / "out")
    used, waited = (float((tmp_path / name).read_text()) for name in ("out", "out-waited"))
    assert used <= cost.cpu + 0.02  # s, of clocks that tick apart
    assert cost.cpu + waited <= cost.wall + 0.2


def test_a_process_that_fails_is_quoted(tmp_path) -> None:
    with pytest.raises(Failed, match=r"(?s)ended with 3.*no such codec"):
        measure(python("import sys; print('no such codec', file=sys.stderr); sys.exit(3)"), tmp_path / "out")


def test_a_process_that_writes_nothing_fails(tmp_path) -> None:
    with pytest.raises(Failed, match="wrote nothing"):
        measure(python("pass"), tmp_path / "out")


def test_a_process_that_leaves_another_behind_fails_and_the_other_is_ended(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.measure.GRACE", 0.2)
    code = (
        "import subprocess, sys; other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(9999)']);"
        "open(sys.argv[1], 'w').write(str(other.pid))"
    )
    with pytest.raises(Failed, match="left processes behind"):
        measure(python(code, tmp_path / "out"), tmp_path / "out")
    other = int((tmp_path / "out").read_text())
    until(lambda: not _lives(other), "an end of the process that was left behind")


def _lives(pid: int) -> bool:
    """Whether a process is more than an entry that nobody has asked for yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_size_is_of_every_file_below_and_what_is_removed_is_gone(tmp_path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(bytes(10))
    (tmp_path / "a" / "d").write_bytes(bytes(5))
    assert size_of(tmp_path / "a") == 15
    remove(tmp_path / "a")
    remove(tmp_path / "a")
    assert size_of(tmp_path / "a") == 0


# --- figures ----------------------------------------------------------------------------------------------------------


def results(ours: list[float], gdal: list[float], work=DEFLATE) -> Results:
    costs = {who: [Cost(wall, 2 * wall, int(wall * 1e8), 1000) for wall in walls] for who, walls in
             ((OURS, ours), ("gdal", gdal))}  # fmt: skip
    made = Results(work)
    made.costs.update(costs)
    return made


def test_ratios_are_taken_pair_by_pair_before_the_median() -> None:
    assert results([1, 2, 9], [2, 8, 9]).ratio("gdal", "wall") == 0.5  # the medians alone would give 2 / 8
    assert results([1, 2, 9], [2, 8, 9]).ratio("gdal", "cpu") == 0.5
    assert results([1, 2, 9], [2, 8, 9]).ratio("gdal", "size") == 1


def test_a_round_that_a_peer_did_not_end_makes_no_pair() -> None:
    assert results([1, 2, 30], [2, 8]).ratio("gdal", "wall") == pytest.approx((0.5 + 0.25) / 2)


def test_memory_is_the_highest_of_the_rounds_and_bound_by_that_of_the_peer() -> None:
    made = results([1, 3, 2], [2, 2, 4])
    assert made.peak(OURS) == 300
    assert made.memory_limit() == pytest.approx(1.15 * 400)
    assert results([1], []).memory_limit() is None
    assert results([1], [1], CHUNKED).memory_limit() == 600


def test_the_last_line_is_json_in_the_form_that_is_agreed() -> None:
    line = as_json("cog", [results([1, 1], [4, 4]), Results(CHUNKED)])
    assert "\n" not in line
    assert json.loads(line) == {
        "benchmark": "cog",
        "ratios": {"deflate": {"gdal": {"wall": 0.25, "cpu": 0.25, "size": 1.0}}},
        "peak_memory_mb": {"deflate": 100.0},
    }


def test_a_target_is_met_up_to_itself() -> None:
    assert verdict(0.40, 0.4) == "≤0.4 met"
    assert verdict(0.41, 0.4) == "≤0.4 missed"
    assert verdict(0.41, None) == ""


def test_tables_show_targets_of_the_kind_of_run_and_fit_a_terminal() -> None:
    made = [results([1.5, 1.5], [3, 3])]
    full, quick = tables.ratio_rows(made, False), tables.ratio_rows(made, True)
    assert full == [["deflate", "gdal", "0.50 ≤0.4 missed", "0.50 ≤0.45 missed", "1.000 ≤1.02 met"]]
    assert quick == [["deflate", "gdal", "0.50 ≤0.6 met", "0.50", "1.000 ≤1.02 met"]]
    for head, rows in ((tables.RATIOS, full), (tables.COSTS, tables.cost_rows(made)), (tables.MEMORY, [])):
        assert all(len(line) <= 80 for line in tables.text(head, rows).splitlines())
        assert len(tables.markdown(head, rows).splitlines()) == 2 + len(rows)
    assert all(len(line) <= 80 for line in tables.listed("word " * 50, wrap=True).splitlines())


# --- works ------------------------------------------------------------------------------------------------------------


def test_every_peer_of_every_work_can_be_called_and_says_what_it_needs() -> None:
    assert {f"{work.name}/{peer}" for work in WORKS for peer in work.peers} == {*peers.ONE, *peers.MANY}
    assert {peer for work in WORKS for peer in work.peers} == set(NEEDS)


def test_a_quick_run_leaves_out_shards_and_odc_geo() -> None:
    assert [work.name for work in works_of("zarr", quick=True)] == ["chunks"]
    assert [work.name for work in works_of("zarr", quick=False)] == ["chunks", "shards"]
    assert DEFLATE.peers_of(quick=True) == ["gdal", "rio-cogeo"]
    assert DEFLATE.peers_of(quick=False) == ["gdal", "rio-cogeo", "odc-geo"]


def test_netcdf_is_always_of_three_months() -> None:
    (netcdf,) = works_of("netcdf", quick=False)
    assert (netcdf.count(making.FULL), netcdf.count(making.QUICK)) == (3, 3)
    assert (CHUNKED.count(making.FULL), CHUNKED.count(making.QUICK)) == (12, 3)


def test_a_work_that_is_none_is_refused(capsys) -> None:
    assert main(["cog", "--work", "shards"]) == 2
    assert "cog has no work 'shards'" in capsys.readouterr().err


def test_a_peer_that_is_not_installed_is_found_in_another_python_or_not_at_all(monkeypatch) -> None:
    assert python_with("gdal", None) == sys.executable
    monkeypatch.setitem(NEEDS, "odc-geo", ("no_such_module.cog", "odc-geo[tiff]"))
    assert python_with("odc-geo", None) is None
    assert python_with("odc-geo", sys.executable) is None


# --- contests ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def ready(tmp_path):
    """A picture of 640 cells along an edge to be converted by us, by GDAL and by nobody."""
    work = replace(DEFLATE, peers={"gdal": DEFLATE.peers["gdal"], "nobody": DEFLATE.peers["gdal"]})
    return make_ready(work, making.inputs("big", tmp_path, 640), tmp_path / "runs" / "deflate")


def test_ours_and_a_peer_are_measured_on_the_same_work_and_a_peer_that_fails_is_named(ready) -> None:
    told: list[str] = []
    contest = Contest(ready, {"nobody": sys.executable, "gdal": sys.executable}, told.append)
    by_number([contest], 2)
    (failure,) = contest.failures
    assert failure.startswith("deflate: nobody ended with 1")
    assert "KeyError: 'deflate/nobody'" in failure
    assert failure in told
    assert {who: len(costs) for who, costs in contest.results.costs.items()} == {OURS: 2, "gdal": 2}
    assert all(cost.wall > 0 and cost.cpu > 0 and cost.size > 0 and cost.peak > 30e6 for cost in
               (*contest.results.costs[OURS], *contest.results.costs["gdal"]))  # fmt: skip
    assert contest.results.peers == ["gdal"]
    assert contest.engines
    assert sorted(path.name for path in ready.folder.iterdir()) == ["plan.json", "profile.yaml"]


def test_ours_that_fails_ends_the_contest_and_says_why(ready) -> None:
    ready.files[0].write_bytes(ready.files[0].read_bytes()[:1000])
    contest = Contest(ready, {"gdal": sys.executable}, lambda _message: None)
    contest.round()
    assert contest.failures[0].startswith("deflate: ours ended with 1")
    assert ready.files[0].name in contest.failures[0]
    assert contest.expected() == float("inf")
    assert contest.results.peers == []


class Counted:
    """A contest whose rounds take a known time, of a clock that only they move."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds, self.rounds = clock, seconds, 0

    def round(self) -> None:
        self.clock[0] += self.seconds
        self.rounds += 1

    def expected(self) -> float:
        return self.seconds


def test_a_quick_run_does_one_round_of_each_and_then_what_fits(monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("benchmarks.contest.time.monotonic", lambda: clock[0])
    long, short = Counted(clock, 20), Counted(clock, 5)
    by_time([long, short], 45)
    assert (long.rounds, short.rounds, clock[0]) == (1, 4, 40)
    late = Counted(clock, 60)
    by_time([late], 45)
    assert late.rounds == 1


# --- equality ---------------------------------------------------------------------------------------------------------


def test_a_picture_with_one_other_pixel_is_another(tmp_path) -> None:
    sources = making.inputs("big", tmp_path, 640)
    made, other = tmp_path / "made.tif", tmp_path / "other.tif"
    peers.main(["deflate/gdal", str(sources[0]), str(made)])
    assert difference("cog", sources, made) is None
    with rasterio.open(sources[0]) as file:
        profile, values = file.profile, file.read()
    values[0, 639, 320] += 1
    profile.update(driver="COG", compress="deflate", blocksize=512)
    for key in ("blockxsize", "blockysize", "tiled", "interleave"):
        profile.pop(key, None)
    with rasterio.open(other, "w", **profile) as file:
        file.write(values)
    assert difference("cog", sources, other) == "other.tif: other pixels"
    assert "not in tiles" in difference("cog", sources, sources[0])
    assert difference("cog", [*sources, *sources], made) == "1 files for 2"


@pytest.mark.usefixtures("small")
def test_a_cube_with_other_values_or_times_is_another(tmp_path) -> None:
    import netCDF4

    sources = making.inputs("cube", tmp_path, 1)
    made = tmp_path / "made.nc"
    shutil.copy(sources[0], made)
    assert difference("netcdf", sources, made) is None
    with netCDF4.Dataset(made, "r+") as file:
        file["chl"][30, 5, 5] = 99.0
    assert difference("netcdf", sources, made) is None, "the sample holds the steps 0 and 30, of 30 the second row"
    with netCDF4.Dataset(made, "r+") as file:
        file["chl"][0, 5, 5] = 99.0
    assert difference("netcdf", sources, made).startswith("chl differs at")
    with netCDF4.Dataset(made, "r+") as file:
        file["time"][30] = 99.0
    assert difference("netcdf", sources, made) == "other times"


# --- profile ----------------------------------------------------------------------------------------------------------


def spinning(sampler: Sampler) -> None:
    end = time.monotonic() + LONG
    while not sampler._here.total() > 20 and time.monotonic() < end:
        pass


def test_the_sampler_names_what_was_busy(tmp_path) -> None:
    with Sampler(tmp_path / "report.txt") as sampler:
        spinning(sampler)
    report = (tmp_path / "report.txt").read_text()
    assert "test_benchmarks.py spinning" in report
    assert "threading.py" not in report.split("within")[0], "threads that wait are left out"


# --- describing -------------------------------------------------------------------------------------------------------


def test_describing_is_measured_in_processes_of_their_own(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(describing, "QUICK_COUNTS", (3, 9))
    assert main(["describe", "--quick", "--data", str(tmp_path)]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last.keys() >= {"benchmark", "ratios", "peak_memory_mb"}
    assert last["benchmark"] == "describe"
    assert last["peak_memory_mb"].keys() == last["seconds"].keys() == {"items-3", "items-9"}
    assert all(value > 0 for value in last["seconds"].values())
    assert list((tmp_path / "runs").iterdir()) == []


def test_items_that_were_lost_fail_the_measurement(tmp_path) -> None:
    describing.run(3, tmp_path)
    describing._compare(tmp_path / "product", 3)
    next((tmp_path / "product" / "items").iterdir()).unlink()
    with pytest.raises(Failed, match="'files': 2"):
        describing._compare(tmp_path / "product", 3)


def test_growth_leaves_out_what_describing_is_given() -> None:
    few = describing.Outcome(100, 1.0, 1.0, 1.0, artifacts=1_000_000, peak=100_000_000, size=1)
    many = describing.Outcome(200, 1.0, 1.0, 1.0, artifacts=2_000_000, peak=101_500_000, size=1)
    assert describing.growth(few, many) == 5.0
