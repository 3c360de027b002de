"""prepare and publish as a whole, on real files: resume, failures, approval, determinism."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from clockless import LONG
from making import EPOCH, cube_profile, errors, every_file, moments, profile_of, sample, write_cube, write_tif

from earthcode_pack.errors import Locked, NotApproved, OutsideError, ProfileError, UnknownId, VersionTaken
from earthcode_pack.model import Finding, Level, Sources
from earthcode_pack.pipeline import dry_run, open_bundle, prepare, publish, summarise
from earthcode_pack.run.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

# rasterio silences this one where it writes, and in threads one silence ends another's.
pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
SAMPLES = ("sst-zarr", "ndvi-cog", "landcover-cog")


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """A folder with three dated scenes below ``raw``."""
    for day in (1, 2, 3):
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif", np.full((16, 20), day, "int16"))
    return tmp_path


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_products_run_and_resume_without_changing_a_byte(name: str, tmp_path: Path) -> None:
    profile = sample(name, tmp_path / "published")
    bundle = prepare(profile, tmp_path / "work")
    href = publish(bundle)
    assert errors(bundle) == []
    assert summarise(bundle, href).skipped == 0
    assert href == f"{tmp_path}/published/{profile.product.id}/v1.0/collection.json"
    assert every_file(bundle.product) == every_file(Path(href).parent)

    before, written = every_file(bundle.root), moments(bundle.product)
    again = prepare(profile, tmp_path / "work")
    assert publish(again) == href
    summary = summarise(again, href)
    assert summary.skipped == len(bundle.plan().jobs) > 0
    after = every_file(bundle.root)
    assert [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)] == []
    assert moments(bundle.product) == written


def test_everything_that_the_contract_lists_is_in_the_bundle(scenes: Path) -> None:
    bundle = prepare(profile_of(scenes), scenes / "work")
    publish(bundle)
    assert bundle.root == scenes / "work" / "demo" / "v1.0"
    names = {path.name for path in bundle.root.iterdir()}
    wanted = {
        "product",
        "profile.yaml",
        "plan.json",
        "findings.json",
        "provenance.json",
        "receipts.json",
        "report.html",
    }
    assert wanted | {"prr"} <= names
    assert {path.name for path in bundle.product.iterdir()} == {
        "collection.json", "items", "data", "previews", "manifest.json",
    }  # fmt: skip
    assert (bundle.product / "data" / "demo_20200101" / "demo_20200101_index.tif").is_file()


# --- what changed, and only that --------------------------------------------------------------------------------------


def test_changed_source_redoes_its_own_job_only(scenes: Path) -> None:
    bundle = prepare(profile_of(scenes), scenes / "work")
    before = moments(bundle.product / "data")
    write_tif(scenes / "raw" / "a_20200102.tif", np.full((16, 20), 77, "int16"))
    again = prepare(profile_of(scenes), scenes / "work")
    assert summarise(again).skipped == 2
    after = moments(again.product / "data")
    assert {key for key in before if before[key] != after[key]} == {"demo_20200102/demo_20200102_index.tif"}
    assert bundle.digest == again.digest  # the same folder


def test_file_that_was_only_touched_is_the_same_file(scenes: Path) -> None:
    prepare(profile_of(scenes), scenes / "work")
    (scenes / "raw" / "a_20200102.tif").touch()
    assert summarise(prepare(profile_of(scenes), scenes / "work")).skipped == 3


def test_removed_source_leaves_no_file(scenes: Path) -> None:
    prepare(profile_of(scenes), scenes / "work")
    (scenes / "raw" / "a_20200102.tif").unlink()
    bundle = prepare(profile_of(scenes), scenes / "work")
    assert not [key for key in every_file(bundle.product) if "20200102" in key]
    assert summarise(bundle).items == 2
    assert not (bundle.product / "data" / "demo_20200102").exists()
    assert b"20200102" not in bundle.collection_path.read_bytes()


@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_damaged_output_is_made_again(scenes: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    bundle = prepare(profile_of(scenes), scenes / "work")
    digest = bundle.digest
    path = bundle.product / "data" / "demo_20200102" / "demo_20200102_index.tif"
    raw = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    else:
        raw[-1] ^= 0xFF
        path.write_bytes(bytes(raw) if damage == "flip" else bytes(raw[:-10]))
    again = prepare(profile_of(scenes), scenes / "work")
    assert summarise(again).skipped == 2
    assert again.digest == digest


def test_foreign_file_in_the_product_is_removed(scenes: Path) -> None:
    bundle = prepare(profile_of(scenes), scenes / "work")
    (bundle.product / "data" / "notes.txt").write_text("mine")
    (bundle.product / "previews" / ".demo.png.99.part").write_text("half")
    assert prepare(profile_of(scenes), scenes / "work").digest == bundle.digest
    assert "data/notes.txt" not in every_file(bundle.product)
    assert not list(bundle.product.rglob("*.part"))


def test_title_alone_changes_no_data(scenes: Path) -> None:
    first = prepare(profile_of(scenes), scenes / "work")
    digest, before = first.digest, moments(first.product / "data")
    again = prepare(profile_of(scenes, product__title="DEMO Other"), scenes / "work")
    assert again.digest != digest
    assert moments(again.product / "data") == before


def test_preview_range_changes_the_previews_alone(scenes: Path) -> None:
    first = prepare(profile_of(scenes), scenes / "work")
    before = every_file(first.product)
    wish = {"variable": "index", "colormap": "magma", "range": [0, 50]}
    after = every_file(prepare(profile_of(scenes, product__preview=wish), scenes / "work").product)
    assert {key for key in before if key.startswith("previews/") and before[key] != after[key]} != set()
    assert all(before[key] == after[key] for key in before if key.startswith("data/"))


# --- the same bytes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_two_workdirs_hold_the_same_product(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    one, two = (prepare(sample(name, tmp_path / "p"), tmp_path / work) for work in ("one", "two"))
    assert every_file(one.product) == every_file(two.product)
    assert one.digest == two.digest


def test_where_the_raw_files_lie_does_not_matter(scenes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    other = scenes / "else where"
    shutil.copytree(scenes / "raw", other / "raw")
    one, two = (prepare(profile_of(folder), folder / "work") for folder in (scenes, other))
    assert every_file(one.product) == every_file(two.product)


@pytest.mark.parametrize("make", [profile_of, cube_profile])
def test_no_path_of_the_machine_is_in_the_product(make: Callable[..., Any], scenes: Path) -> None:
    write_cube(scenes / "raw" / "t.nc")
    bundle = prepare(make(scenes), scenes / "work")
    told = [key for key, raw in every_file(bundle.product).items() if str(scenes).encode() in raw]
    assert told == []


# --- counted ----------------------------------------------------------------------------------------------------------


def test_parts_whose_results_come_twice_or_never_are_counted(scenes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three jobs the first comes twice, the last never: what is made and what failed are all that was planned."""

    @contextmanager
    def careless(_compute: Any) -> Iterator[Any]:
        def each(function: Any, items: Any) -> Iterator[tuple[int, Any]]:
            results = [(index, function(item)) for index, item in enumerate(items)]
            yield from [results[0], results[0], *results[1:-1]]

        yield each

    monkeypatch.setattr("earthcode_pack.run.execute.mapper", careless)
    summary = summarise(prepare(profile_of(scenes), scenes / "work"))
    assert (summary.items, len(summary.failed)) == (2, 1)
    (failure,) = summary.failed
    assert failure.source.endswith("a_20200103.tif")
    assert "no result came of part 0" in failure.error
    monkeypatch.undo()
    again = summarise(prepare(profile_of(scenes), scenes / "work"))
    assert (again.items, again.skipped, again.failed) == (3, 2, ())


# --- killed -----------------------------------------------------------------------------------------------------------

_RUN = """
import sys
from pathlib import Path
from earthcode_pack.pipeline import prepare
from earthcode_pack.profile import load_profile
print("go", flush=True)
print(prepare(load_profile(sys.argv[1]), sys.argv[2]).digest)
"""


def _start(profile: Path, work: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"SOURCE_DATE_EPOCH": EPOCH, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(profile), str(work)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "go\n"
    return run


def _written(folder: Path, make: Callable[..., Any]) -> Path:
    path = folder / "profile.yaml"
    path.write_text(make(folder).to_yaml())
    return path


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("make", [profile_of, cube_profile])
def test_killed_at_any_moment_and_run_again_gives_the_same_bytes(make: Callable[..., Any], tmp_path: Path) -> None:
    for day in range(1, 9):
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif", np.full((600, 600), day, "int16"))
    for month in range(3):
        write_cube(
            tmp_path / "raw" / f"t_{month}.nc", np.arange(30) + 30 * month, lats=np.arange(60), lons=np.arange(90)
        )
    profile = _written(tmp_path, make)
    began = time.monotonic()
    whole = _start(profile, tmp_path / "whole")
    assert whole.wait(LONG) == 0
    seconds = time.monotonic() - began
    expected = every_file(tmp_path / "whole" / "demo" / "v1.0" / "product")

    chance = random.Random(11)
    for _ in range(5):
        run = _start(profile, tmp_path / "killed")
        time.sleep(chance.uniform(0.1, seconds))
        run.send_signal(signal.SIGKILL)
        run.wait(LONG)
        assert run.stdout is not None
        run.stdout.close()
    last = _start(profile, tmp_path / "killed")
    assert last.wait(LONG) == 0
    for run in (whole, last):
        assert run.stdout is not None
        run.stdout.close()
    assert every_file(tmp_path / "killed" / "demo" / "v1.0" / "product") == expected
    assert not list((tmp_path / "killed").rglob("*.part"))


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def _moments_of_death() -> list[str]:
    return [
        "earthcode_pack.run.workspace.Workspace.keep",  # the output is in its place, and not noted
        "earthcode_pack.run.workspace.Workspace.keep_record",
        "earthcode_pack.convert._publish",
        "earthcode_pack.pipeline.illustrate",
        "earthcode_pack.pipeline.assemble",
        "earthcode_pack.bundle.assemble._entry",
        "earthcode_pack.pipeline.provenance",
        "earthcode_pack.pipeline.values_to_json",
    ]


@pytest.mark.parametrize("moment", _moments_of_death())
@pytest.mark.parametrize("make", [profile_of, cube_profile])
def test_run_that_dies_there_goes_on(
    make: Callable[..., Any], moment: str, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    write_cube(scenes / "raw" / "t.nc")
    expected = every_file(prepare(make(scenes), scenes / "whole").product)

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(moment, die)
        with pytest.raises(Killed):
            prepare(make(scenes), scenes / "work")
    left = open_bundle(scenes / "work" / "demo" / "v1.0")
    assert publish(left) is None  # neither half of a product nor one that was not checked
    bundle = prepare(make(scenes), scenes / "work")
    assert every_file(bundle.product) == expected
    assert publish(bundle) is not None


# --- one at a time ----------------------------------------------------------------------------------------------------


def test_second_run_at_the_same_time_is_refused(scenes: Path) -> None:
    bundle = prepare(profile_of(scenes), scenes / "work")
    holder = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, 2); print('held', flush=True); input()"
    lock = bundle.root / ".work" / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        for work in (lambda: prepare(profile_of(scenes), scenes / "work"), lambda: publish(bundle)):
            with pytest.raises(Locked) as caught:
                work()
            assert isinstance(caught.value, OutsideError)
            assert caught.value.exit_code == 3
        other.communicate("\n", timeout=LONG)
    assert publish(bundle)


# --- publishing -------------------------------------------------------------------------------------------------------


def test_a_product_that_another_machine_makes_anew_meanwhile_is_not_the_approved_one(
    scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reviewer's machine has the product that was approved; at the workdir's URL there is another one."""
    workdir = f"file://{scenes}/work"
    monkeypatch.setenv("EARTHCODE_PACK_SCRATCH", str(scenes / "one"))
    prepare(profile_of(scenes), workdir)
    reviewed = open_bundle(f"{workdir}/demo/v1.0")
    digest = reviewed.digest
    monkeypatch.setenv("EARTHCODE_PACK_SCRATCH", str(scenes / "two"))
    write_tif(scenes / "raw" / "a_20200102.tif", np.full((16, 20), 77, "int16"))
    anew = prepare(profile_of(scenes), workdir)
    with pytest.raises(NotApproved, match=str(anew.digest)):
        publish(reviewed, approve=digest)
    assert not (scenes / "published").exists()
    assert publish(anew, approve=anew.digest)
    assert [one["digest"] for one in anew.provenance()["approvals"]] == [anew.digest]


def test_errors_of_a_product_that_is_made_anew_meanwhile_stand(scenes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = prepare(profile_of(scenes), scenes / "work")
    held = Workspace.held

    def later(self: Workspace) -> AbstractContextManager[None]:
        (bundle.root / "findings.json").unlink()  # as a run does before it changes the product
        return held(self)

    monkeypatch.setattr(Workspace, "held", later)
    assert publish(bundle) is None
    assert not (scenes / "published").exists()


def test_only_the_approved_digest_is_published_and_the_approval_noted_once(scenes: Path) -> None:
    bundle = prepare(profile_of(scenes), scenes / "work")
    with pytest.raises(NotApproved, match="sha256:0"):
        publish(bundle, approve="sha256:0")
    assert not (scenes / "published").exists()
    for _ in range(2):
        assert publish(bundle, approve=bundle.digest)
    approvals = bundle.provenance()["approvals"]
    assert [set(approval) for approval in approvals] == [{"digest", "at"}]
    assert approvals[0]["digest"] == bundle.digest
    assert prepare(profile_of(scenes), scenes / "work").provenance()["approvals"] == approvals


def test_published_version_never_changes(scenes: Path) -> None:
    publish(prepare(profile_of(scenes), scenes / "work"))
    published = every_file(scenes / "published")
    write_tif(scenes / "raw" / "a_20200102.tif", np.full((16, 20), 77, "int16"))
    bundle = prepare(profile_of(scenes), scenes / "work")
    with pytest.raises(VersionTaken) as caught:
        publish(bundle)
    assert "raise product.version" in caught.value.remedy
    assert caught.value.exit_code == 2
    assert every_file(scenes / "published") == published
    raised = prepare(profile_of(scenes, product__version="1.1"), scenes / "work")
    assert publish(raised) == f"{scenes}/published/demo/v1.1/collection.json"


def test_errors_block_publishing_unless_they_are_accepted(scenes: Path) -> None:
    nameless = {"index": {"from": 1, "long_name": "Index"}}  # no units: an error
    bundle = prepare(profile_of(scenes, product__variables=nameless), scenes / "work")
    rules = {finding.rule for finding in bundle.standing_errors()}
    assert rules
    assert publish(bundle) is None
    assert not (scenes / "published").exists()
    accept = dict.fromkeys(rules, "an index of an invented product")
    accepted = prepare(profile_of(scenes, product__variables=nameless, accept=accept), scenes / "work")
    assert summarise(accepted).findings["error"] == 0
    assert publish(accepted)


def test_without_a_store_nothing_is_published(scenes: Path) -> None:
    bundle = prepare(profile_of(scenes, store=None), scenes / "work")
    assert publish(bundle) is None


# --- the dry run ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [profile_of, cube_profile])
def test_dry_run_writes_nothing_and_foretells(make: Callable[..., Any], scenes: Path) -> None:
    write_cube(scenes / "raw" / "t.nc")
    before = every_file(scenes)
    planned, summary = dry_run(make(scenes), scenes / "work")
    assert every_file(scenes) == before
    assert not (scenes / "work").exists()
    bundle = prepare(make(scenes), scenes / "work")
    assert [job.fingerprint for job in planned.jobs] == [job.fingerprint for job in bundle.plan().jobs]
    done = summarise(bundle)
    assert (summary.items, summary.assets, summary.digest) == (done.items, done.assets, None)
    assert dry_run(make(scenes), scenes / "work")[1].skipped == len(planned.jobs)


def test_unknown_colormap_is_wrong_by_itself(scenes: Path) -> None:
    profile = profile_of(scenes, product__preview={"variable": "index", "colormap": "virdis"})
    for work in (dry_run, prepare):
        with pytest.raises(ProfileError, match="virdis"):
            work(profile, scenes / "work")
    assert not (scenes / "work").exists()


def test_preview_of_a_variable_that_is_not_there(scenes: Path) -> None:
    profile = profile_of(scenes, product__preview={"variable": "nothing"}, product__variables={})
    for work in (dry_run, prepare):
        with pytest.raises(ProfileError, match="'nothing' is none of the product's variables, band_1"):
            work(profile, scenes / "work")


def test_pattern_that_matches_nothing(scenes: Path) -> None:
    with pytest.raises(ProfileError, match="no file matches"):
        dry_run(profile_of(scenes, source__href="raw/*.tiff"), scenes / "work")


def test_what_sources_leave_open_is_found_once(scenes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from earthcode_pack import pipeline

    note = Finding(rule="CF-TIME-BOUNDS", level=Level.WARNING, subject="a.nc", message="time: mean, and no bounds")
    look = pipeline.discover

    def discover(*given: Any, **named: Any) -> Sources:
        found = look(*given, **named)
        noted = tuple(source.model_copy(update={"notes": (note,)}) for source in found.sources)
        return found.model_copy(update={"sources": noted})

    monkeypatch.setattr(pipeline, "discover", discover)
    assert dry_run(profile_of(scenes), scenes / "work")[1].findings == {"error": 0, "warning": 1, "info": 0}
    assert [f for f in prepare(profile_of(scenes), scenes / "work").findings() if f == note] == [note]


# --- the catalogue ----------------------------------------------------------------------------------------------------


def _catalogued(folder: Path, catalogue: Path, **changes: Any) -> Any:
    known = {
        "product__themes": ["land"], "product__missions": ["sentinel-2"], "project__id": "4dmed-sea",
        "product__documentation": "https://example.org/handbook.pdf", "store__public_href": "https://example.org/data",
        "catalog__metadata": str(catalogue),
    }  # fmt: skip
    return profile_of(folder, **(known | changes))


def test_hand_off_is_there_after_publishing(scenes: Path, catalogue: Path) -> None:
    profile = _catalogued(scenes, catalogue)
    bundle = prepare(profile, scenes / "work")
    assert not bundle.standing_errors()
    assert publish(bundle) == "https://example.org/data/demo/v1.0/collection.json"
    assert json.loads((bundle.root / "osc/products/demo/collection.json").read_bytes())["id"] == "demo"
    assert "products/demo" in (bundle.root / "osc.patch").read_text()
    assert (bundle.root / "pull_request.md").stat().st_size > 0
    assert {path.name for path in (bundle.root / "prr").iterdir()} >= {"collection.json", "items", "letter.md"}
    described = json.loads((bundle.root / "prr/collection.json").read_bytes())["osc:project_description"]
    assert len(described) > 100, "a known project's own words, which the profile leaves out"
    before = every_file(bundle.root)
    publish(prepare(profile, scenes / "work"))
    assert every_file(bundle.root) == before


def test_unknown_theme_is_refused_before_any_work(scenes: Path, catalogue: Path) -> None:
    profile = _catalogued(scenes, catalogue, product__themes=["lnad"])
    for work in (dry_run, prepare):
        with pytest.raises(UnknownId, match="lnad") as caught:
            work(profile, scenes / "work")
        assert caught.value.exit_code == 2
    assert not (scenes / "work").exists()


# --- many -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_beyond_500_items_there_is_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    first = write_tif(tmp_path / "raw" / "a_20200101T000000.tif", np.arange(4, dtype="int16").reshape(2, 2))
    for second in range(1, 501):
        shutil.copy(first, first.with_name(f"a_20200101T{second // 3600:02}{second // 60 % 60:02}{second % 60:02}.tif"))
    timed = {"from": "filename", "pattern": "a_{start:%Y%m%dT%H%M%S}.tif"}
    bundle = prepare(profile_of(tmp_path, source__time=timed), tmp_path / "work")
    assert summarise(bundle).items == 501
    table = pq.read_table(bundle.product / "items.parquet")
    assert sorted(table["id"].to_pylist()) == [item["id"] for item in bundle.items()]
    assert "items.parquet" in {entry.key for entry in bundle.manifest()}
    digest = bundle.digest
    (bundle.product / "items.parquet").unlink()
    assert prepare(profile_of(tmp_path, source__time=timed), tmp_path / "work").digest == digest


def test_profile_in_the_bundle_is_all_that_publish_needs(scenes: Path) -> None:
    bundle = prepare(profile_of(scenes), scenes / "work")
    assert yaml.safe_load((bundle.root / "profile.yaml").read_text())["store"]["href"] == str(scenes / "published")
    shutil.rmtree(scenes / "raw")
    assert publish(open_bundle(bundle.root)) == f"{scenes}/published/demo/v1.0/collection.json"
