"""Who holds a bundle, what is done, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from making import profile_of, write_tif

from earthcode_pack.bundle import Bundle, remove_strays
from earthcode_pack.errors import Locked, ProfileError
from earthcode_pack.pipeline import prepare
from earthcode_pack.run.workspace import Workspace, bundle_of
from earthcode_pack.storage import IdentityCache

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


def test_bundle_lies_where_the_contract_says_and_nothing_is_made(tmp_path: Path) -> None:
    bundle = bundle_of(profile_of(tmp_path), tmp_path / "work")
    assert bundle.root == tmp_path / "work" / "demo" / "v1.0"
    assert not (tmp_path / "work").exists()


def test_bundle_in_a_workdir_at_a_url_has_a_folder_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARTHCODE_PACK_SCRATCH", str(tmp_path / "scratch"))
    bundle = bundle_of(profile_of(tmp_path), "s3a://bucket/work/")
    assert bundle.name == bundle.url == "s3://bucket/work/demo/v1.0"
    assert bundle.root.relative_to(tmp_path / "scratch" / "workdirs").parts[1:] == ("demo", "v1.0")
    assert bundle == bundle_of(profile_of(tmp_path), "s3://bucket/work") != bundle_of(profile_of(tmp_path), "s3://b/w")
    assert not (tmp_path / "scratch").exists()
    with pytest.raises(ProfileError, match="cannot be written to"):
        bundle_of(profile_of(tmp_path), "https://host/work")


def test_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    workspace = Workspace(Bundle(tmp_path))
    with pytest.raises(ZeroDivisionError), workspace.held():
        raise ZeroDivisionError
    with workspace.held(), pytest.raises(Locked, match=str(tmp_path)), Workspace(Bundle(tmp_path)).held():
        pass


def test_leftovers_of_a_killed_run_are_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".plan.json.4711.part").write_text("{")
    with Workspace(Bundle(tmp_path)).held():
        assert not (tmp_path / ".plan.json.4711.part").exists()


def test_withdrawn_product_is_neither_whole_nor_checked(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    bundle = prepare(profile_of(tmp_path), tmp_path / "work")
    bundle.withdraw()
    assert bundle.digest is None
    assert not (bundle.root / "findings.json").exists()


def test_job_is_done_while_every_byte_is_there(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    bundle = prepare(profile_of(tmp_path), tmp_path / "work")
    workspace, (job,) = Workspace(bundle), bundle.plan().jobs
    artifact = workspace.done(job, IdentityCache())
    assert artifact is not None
    assert artifact.fingerprint == job.fingerprint
    path = bundle.product / artifact.key
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert workspace.done(job, IdentityCache()) is None
    assert workspace.done(job.model_copy(update={"fingerprint": "other"}), IdentityCache()) is None


def test_what_no_job_needs_is_dropped(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    bundle = prepare(profile_of(tmp_path), tmp_path / "work")
    workspace = Workspace(bundle)
    (workspace.root / "jobs" / "stale").mkdir(parents=True)
    workspace.forget_all_but(())
    assert not list((workspace.root / "artifacts").iterdir())
    assert not (workspace.root / "jobs" / "stale").exists()


def test_strays_go_and_empty_folders_with_them(tmp_path: Path) -> None:
    for key in ("a/b/c.txt", "a/d.txt", "e/f.txt"):
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_text(key)
    remove_strays(tmp_path, {"a/d.txt"})
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["a", "a/d.txt"]
