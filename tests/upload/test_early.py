"""A run without approval sends data while it converts; nobody is told of it before the whole product is there."""

from __future__ import annotations

import json
import logging
from threading import Barrier
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from clockless import LONG
from making import EPOCH, cube_profile, every_file, profile_of, write_cube, write_tif
from tiny import PREFIX, make_bundle

from earthcode_pack import cli, pipeline
from earthcode_pack.errors import OutsideError
from earthcode_pack.model import File
from earthcode_pack.pipeline import prepare, publish
from earthcode_pack.run.execute import Forward, execute
from earthcode_pack.run.workspace import bundle_of
from earthcode_pack.storage import LocalStore
from earthcode_pack.upload import clean_store, standing
from earthcode_pack.upload.early import Ahead
from earthcode_pack.upload.ledger import ledger_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from earthcode_pack.profile import Profile

# rasterio silences this one where it writes, and in threads one silence ends another's.
pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Three dated scenes and a cube below ``raw``."""
    for day in (1, 2, 3):
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif", np.full((16, 20), day, "int16"))
    write_cube(tmp_path / "raw" / "t.nc")
    return tmp_path


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The describing waits until what is queued is sent, as in a long run it would be."""
    write = pipeline.StacWriter.write

    def later(*given: Any, **more: Any) -> Any:
        _settle()
        return write(*given, **more)

    monkeypatch.setattr(pipeline.StacWriter, "write", later)


_RUNNING: list[Ahead] = []


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    begin = Ahead.__init__

    def noted(self: Ahead, *given: Any, **more: Any) -> None:
        begin(self, *given, **more)
        _RUNNING.append(self)

    monkeypatch.setattr(Ahead, "__init__", noted)
    yield
    _RUNNING.clear()


def _settle() -> None:
    """Waits for the queue of those that send ahead."""
    for one in _RUNNING[-1:]:
        meeting = Barrier(2)  # of its two threads, once they have nothing else to do
        for meets in [one._pool.submit(meeting.wait, LONG) for _ in range(2)]:
            meets.result(LONG)


def _there(folder: Path) -> set[str]:
    return set(every_file(folder / "published")) if (folder / "published").exists() else set()


@pytest.mark.parametrize("make", [profile_of, cube_profile])
@pytest.mark.usefixtures("patient")
def test_data_alone_is_there_before_the_product_is_whole(make: Callable[..., Profile], scenes: Path) -> None:
    bundle = prepare(make(scenes), scenes / "work", ahead=True)
    data = {entry.key for entry in bundle.manifest() if entry.key.startswith("data/")}
    metadata = {key for key in data if key.endswith("zarr.json")}
    assert _there(scenes) == {f"demo/v1.0/{key}" for key in data - metadata}
    assert data - metadata
    told = standing(bundle)
    assert told is not None
    assert told.objects["sent"] == len(data - metadata)
    assert publish(bundle)
    assert every_file(scenes / "published/demo/v1.0") == every_file(bundle.product)


@pytest.mark.usefixtures("patient")
def test_what_went_up_is_not_sent_again(scenes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = prepare(profile_of(scenes), scenes / "work", ahead=True)
    sent: list[str] = []
    put = LocalStore.put
    monkeypatch.setattr(
        LocalStore, "put", lambda self, path, key, **more: (sent.append(key), put(self, path, key, **more))[1]
    )
    publish(bundle)
    assert sent
    assert not [key for key in sent if "/data/" in key]


def test_the_same_is_published_with_and_without(scenes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    publish(prepare(profile_of(scenes), scenes / "one"))
    expected = every_file(scenes / "published")
    publish(prepare(profile_of(scenes, store__href="other"), scenes / "two", ahead=True))
    assert every_file(scenes / "other") == expected


@pytest.mark.parametrize("wish", [{}, {"ahead": False}])
def test_nothing_goes_up_where_it_is_not_asked_for(scenes: Path, wish: dict[str, bool]) -> None:
    bundle = prepare(profile_of(scenes), scenes / "work", **wish)
    assert not _there(scenes)
    assert not ledger_path(bundle).exists()


def _command(scenes: Path, *arguments: str, **changes: Any) -> int:
    path = scenes / "profile.yaml"
    path.write_text(profile_of(scenes, **changes).to_yaml())
    return cli.execute(["run", str(path), "--workdir", str(scenes / "work"), *arguments])


@pytest.mark.usefixtures("patient")
def test_run_sends_ahead_and_prepare_only_does_not(scenes: Path) -> None:
    assert _command(scenes, "--prepare-only") == 0
    assert not _there(scenes)
    assert not _RUNNING
    assert _command(scenes) == 0
    assert len(_RUNNING) == 1
    assert "demo/v1.0/collection.json" in _there(scenes)


# --- what must not be published ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("patient")
def test_with_a_failed_source_it_is_taken_back(scenes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (scenes / "raw" / "a_20200104.tif").write_bytes(b"II*\0")
    went_up: list[set[str]] = []
    assemble = pipeline.assemble
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "assemble", lambda *given: (went_up.append(_there(scenes)), assemble(*given)))
        assert _command(scenes) == 1
    assert len(went_up[0]) == 3
    assert _there(scenes) == set()
    assert _command(scenes, "--allow-incomplete") == 1
    assert "demo/v1.0/collection.json" in _there(scenes)


@pytest.mark.usefixtures("patient")
def test_with_an_error_finding_it_is_taken_back(scenes: Path) -> None:
    nameless = {"index": {"from": 1, "long_name": "Index"}}  # no units: an error
    bundle = prepare(profile_of(scenes, product__variables=nameless), scenes / "work", ahead=True)
    assert bundle.standing_errors()
    assert _there(scenes) == set()
    told = standing(bundle)
    assert told is not None
    assert sum(told.objects.values()) == 0


@pytest.mark.usefixtures("patient")
def test_after_ctrl_c_it_stays_for_the_next_run_or_clean(scenes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        _settle()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.StacWriter, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(profile_of(scenes), scenes / "work", ahead=True)
    assert len(_there(scenes)) == 3
    bundle = bundle_of(profile_of(scenes), scenes / "work")
    assert len(clean_store(bundle).objects) == 3
    assert _there(scenes) == set()
    assert publish(prepare(profile_of(scenes), scenes / "work", ahead=True))


@pytest.mark.usefixtures("patient")
def test_data_of_a_source_that_is_gone_is_taken_back(scenes: Path) -> None:
    prepare(profile_of(scenes), scenes / "work", ahead=True)
    (scenes / "raw" / "a_20200102.tif").unlink()
    bundle = prepare(profile_of(scenes), scenes / "work", ahead=True)
    publish(bundle)
    assert every_file(scenes / "published/demo/v1.0") == every_file(bundle.product)


@pytest.mark.usefixtures("patient")
def test_a_published_version_is_not_touched(scenes: Path) -> None:
    """By a version of the program that noted no fingerprint; one that has another fingerprint is refused before."""
    publish(prepare(profile_of(scenes), scenes / "work"))
    path = scenes / "published/demo/v1.0/collection.json"
    collection = json.loads(path.read_bytes())
    del collection["earthcode_pack:fingerprint"]
    path.write_text(json.dumps(collection))
    before = every_file(scenes / "published")
    write_tif(scenes / "raw" / "a_20200102.tif", np.full((16, 20), 77, "int16"))
    write_tif(scenes / "raw" / "a_20200105.tif", np.full((16, 20), 5, "int16"))
    bundle = prepare(profile_of(scenes), scenes / "work", ahead=True)
    assert every_file(scenes / "published") == before
    clean_store(bundle)
    assert every_file(scenes / "published") == before


def test_a_version_that_another_machine_publishes_meanwhile_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("earthcode_pack.upload.watch._AGAIN", -1.0)
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    ahead = Ahead(bundle, bundle.profile())
    ahead._sender.result(LONG)
    theirs = tmp_path / "published" / PREFIX / "collection.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("{}")
    ahead.offer(File(key=e.key, size=e.size, sha256=e.sha256.removeprefix("1220")) for e in bundle.manifest())
    _settle()
    ahead.close()
    assert _there(tmp_path) == {f"{PREFIX}collection.json"}
    assert "another product is published as this version" in caplog.text


# --- what it must not break -------------------------------------------------------------------------------------------


def test_a_store_that_fails_does_not_fail_the_conversion(scenes: Path, caplog: pytest.LogCaptureFixture) -> None:
    (scenes / "published").write_text("a file stands here")
    with caplog.at_level(logging.WARNING, "earthcode_pack"):
        bundle = prepare(profile_of(scenes), scenes / "work", ahead=True)
    assert bundle.digest is not None
    with pytest.raises(OutsideError):
        publish(bundle)


@pytest.mark.usefixtures("patient")
def test_with_a_workdir_at_a_url_the_machine_that_runs_sends(scenes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARTHCODE_PACK_SCRATCH", str(scenes / "scratch"))
    workdir = f"file://{scenes}/work"
    bundle = prepare(profile_of(scenes), workdir, ahead=True)
    assert len(_there(scenes)) == 3
    publish(bundle)
    assert every_file(scenes / "published/demo/v1.0") == every_file(scenes / "work/demo/v1.0/product")
    assert not [key for key in every_file(scenes / "work") if "ledger" in key]


def test_artifacts_are_told_as_they_are_done(scenes: Path) -> None:
    profile = profile_of(scenes)
    bundle = prepare(profile, scenes / "work")
    told: list[str] = []
    from earthcode_pack.run.workspace import Workspace
    from earthcode_pack.storage import IdentityCache

    workspace = Workspace(bundle)
    cache = IdentityCache(workspace.identities)
    (bundle.product / bundle.plan().jobs[2].key).unlink()
    execute(
        bundle.plan(),
        workspace,
        profile,
        cache,
        lambda _d, _t: None,
        forward=Forward(tell=lambda one: told.append(one.key)),
    )
    assert told == [job.key for job in bundle.plan().jobs]
