"""What a worker that shares no disk does with the store, in this process: as if its mirror were on another machine."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from clockless import LONG
from making import EPOCH, cube_profile, every_file, profile_of, write_cube, write_tif
from tiny import Watched, make_bundle

from earthcode_pack.convert.work import Sent
from earthcode_pack.errors import OutsideError, VersionTaken
from earthcode_pack.model import File, Receipt
from earthcode_pack.pipeline import open_bundle, prepare, publish
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.run.workspace import Workspace
from earthcode_pack.storage import Folder, Store, open_store
from earthcode_pack.storage.base import now
from earthcode_pack.upload import clean_store, worker
from earthcode_pack.upload.compare import place_name
from earthcode_pack.upload.early import Ahead
from earthcode_pack.upload.ledger import Ledger, Row, State, ledger_path, read_ledger
from earthcode_pack.upload.nodes import remember
from earthcode_pack.upload.worker import writer

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.profile import Profile

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four scenes and a cube; the parts of jobs are made as if elsewhere, one after the other."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    monkeypatch.setenv("EARTHCODE_PACK_SCRATCH", str(tmp_path / "machine"))
    monkeypatch.setattr("earthcode_pack.convert.remote_part.here", lambda _url: None)
    monkeypatch.setattr("earthcode_pack.execution.mapper.cores", lambda: 1)
    for day in range(1, 5):
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif", np.full((16, 20), day, "int16"))
    write_cube(tmp_path / "raw" / "t.nc")
    return tmp_path


class Stores:
    """The stores that workers and the run open; ``allowed`` bounds what workers may put."""

    def __init__(self) -> None:
        self.allowed = 10**9
        self.workers: list[Watched] = []
        self.run: list[Watched] = []

    def worker(self, spec: Any) -> Store:
        self.workers.append(Watched(open_store(spec), self.allowed))
        return self.workers[-1]

    def ours(self, spec: Any) -> Store:
        self.run.append(Watched(open_store(spec)))
        return self.run[-1]

    def by_workers(self) -> set[str]:
        return {key.removeprefix("demo/v1.0/") for one in self.workers for key in one.put_keys}

    def by_run(self) -> set[str]:
        return {key.removeprefix("demo/v1.0/") for one in self.run for key in one.put_keys}


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    made = Stores()
    monkeypatch.setattr("earthcode_pack.upload.worker.open_store", made.worker)
    monkeypatch.setattr("earthcode_pack.upload.compare.open_store", made.ours)
    monkeypatch.setattr("earthcode_pack.storage.open_store", made.ours)
    return made


def there(href: str) -> dict[str, bytes]:
    folder = Folder(f"{href}/demo/v1.0")
    return {key: folder.read(key) or b"" for key in folder.listing()}


def test_a_store_that_breaks_under_a_worker_is_left_to_the_run(
    raw: Path, s3_href: str, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    stores.allowed = 2
    with caplog.at_level(logging.WARNING, "earthcode_pack"):
        bundle = prepare(profile_of(raw, store={"href": s3_href}), f"file://{raw}/work", ahead=True)
    assert len(stores.by_workers()) == 2
    assert len([line for line in caplog.messages if "this run does so in the end: the line is cut" in line]) == 1
    assert publish(bundle)
    assert there(s3_href) == every_file(bundle.product)
    assert not stores.by_workers() & stores.by_run()


def test_what_was_said_is_known_though_the_store_broke(raw: Path, s3_href: str, stores: Stores) -> None:
    """The object whose putting failed may have arrived."""
    stores.allowed = 2
    bundle = prepare(profile_of(raw, store={"href": s3_href}), f"file://{raw}/work", ahead=True)
    said = Workspace(bundle).sent()
    assert [len(one.receipts) for one in said if one.receipts] == [1, 1]
    assert [len(one.files) for one in said if one.files] == [1]
    (raw / "machine").rename(raw / "gone")  # another machine, which has no ledger
    elsewhere = open_bundle(bundle.name)
    removed = clean_store(elsewhere, said=Workspace(elsewhere).sent())
    named = {file.key for one in said for file in (*one.receipts, *one.files)}
    assert len(named) == 3
    assert set(removed.objects) == named  # and not what this machine's own ledger would know


def test_nothing_is_put_where_the_version_is_published(
    raw: Path, s3_href: str, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a version of the program that noted no fingerprint; one that has another fingerprint is refused before."""
    profile = profile_of(raw, store={"href": s3_href})
    with monkeypatch.context() as older:
        older.setattr("earthcode_pack.pipeline.fingerprint", lambda *_: None)
        publish(prepare(profile, f"file://{raw}/work"))
    before = there(s3_href)
    write_tif(raw / "raw" / "a_20200102.tif", np.full((16, 20), 77, "int16"))
    bundle = prepare(profile, f"file://{raw}/work", ahead=True)
    assert stores.workers
    assert not stores.by_workers()
    with pytest.raises(VersionTaken):
        publish(bundle)
    assert there(s3_href) == before


def test_nothing_is_put_any_more_once_it_is_published_meanwhile(
    raw: Path, s3_href: str, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earthcode_pack.upload.watch._AGAIN", -1.0)
    worker = stores.worker

    def opened(spec: Any) -> Store:
        found = worker(spec)
        real = found.put

        def put(local: Path, key: str, **more: Any) -> Receipt:
            (raw / "other.json").write_text("{}")
            Folder(f"{s3_href}/demo/v1.0").put(raw / "other.json", "collection.json")
            return real(local, key, **more)

        found.put = put  # type: ignore[method-assign]
        return found

    monkeypatch.setattr("earthcode_pack.upload.worker.open_store", opened)
    prepare(profile_of(raw, store={"href": s3_href}), f"file://{raw}/work", ahead=True)
    assert len(stores.by_workers()) == 1


@pytest.mark.parametrize(
    ("changes", "seen"),
    [({}, True), ({"target__zarr": {"version": 2}}, True), ({"target__zarr": {"zipped": True, "version": 2}}, False)],
)
def test_of_a_store_the_chunks_are_put_and_of_its_zip_nothing(
    changes: dict[str, Any], seen: bool, raw: Path, s3_href: str, stores: Stores
) -> None:
    bundle = prepare(cube_profile(raw, store={"href": s3_href}, **changes), f"file://{raw}/work", ahead=True)
    assert publish(bundle)
    assert bool(stores.by_workers()) is seen
    assert not [key for key in stores.by_workers() if key.rpartition("/")[2].startswith((".z", "zarr.json"))]
    assert there(s3_href) == every_file(bundle.product)


def test_the_run_puts_into_a_store_on_disk(raw: Path, stores: Stores) -> None:
    bundle = prepare(profile_of(raw), f"file://{raw}/work", ahead=True)
    assert publish(bundle)
    assert not stores.workers


def test_a_source_that_changed_between_two_runs_is_put_anew(raw: Path, s3_href: str, stores: Stores) -> None:
    profile = profile_of(raw, store={"href": s3_href})
    prepare(profile, f"file://{raw}/work", ahead=True)
    write_tif(raw / "raw" / "a_20200102.tif", np.full((16, 20), 77, "int16"))
    (raw / "raw" / "a_20200104.tif").unlink()
    bundle = prepare(profile, f"file://{raw}/work", ahead=True)
    assert publish(bundle)
    assert there(s3_href) == every_file(bundle.product)
    assert len(stores.workers) == 2
    assert len(stores.workers[1].put_keys) == 1
    assert not {key for key in stores.by_run() if key.startswith("data/")}


def test_what_changed_and_must_not_be_published_is_taken_back(raw: Path, s3_href: str, stores: Stores) -> None:
    profile = profile_of(raw, store={"href": s3_href})
    prepare(profile, f"file://{raw}/work", ahead=True)
    write_tif(raw / "raw" / "a_20200102.tif", np.full((16, 20), 77, "int16"))
    (raw / "raw" / "a_20200107.tif").write_bytes(b"II*\0")
    bundle = prepare(profile, f"file://{raw}/work", ahead=True)
    assert stores.workers[1].put_keys
    assert bundle.provenance()["failed"]
    assert there(s3_href) == {}


def test_what_came_over_another_object_and_was_only_said_is_taken_back(raw: Path, s3_href: str) -> None:
    """A worker put its part of a changed source, and died before it could tell."""
    profile = profile_of(raw, store={"href": s3_href})
    bundle = prepare(profile, f"file://{raw}/work", ahead=True)
    (raw / "new.tif").write_bytes(b"new")
    key = min(there(s3_href))
    Folder(f"{s3_href}/demo/v1.0").put(raw / "new.tif", key)
    file = File(key=key, size=3, sha256=hashlib.sha256(b"new").hexdigest())
    said = [Sent(place=place_name(profile), node="left", files=(file,))]
    assert key in clean_store(bundle, said=said).objects
    assert there(s3_href) == {}


def test_two_runs_in_one_process_do_not_close_each_others_ledgers(
    tmp_path: Path, s3_href: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARTHCODE_PACK_SCRATCH", str(tmp_path / "machine"))
    monkeypatch.setattr(worker, "_NODES", {})
    spec = StoreSpec(href=s3_href)
    errands = [worker.Errand(store=spec, prefix="demo/v1/", place="there", run=str(number)) for number in range(12)]
    with worker._node_of(errands[0]) as first:
        for errand in errands[1:]:
            with worker._node_of(errand) as other:
                assert other is not first
        assert first._ledger is not None
        first._ledger.note(Row("data/a.tif", 3, "ab" * 32, "image/tiff"), now=True)
        with worker._node_of(errands[0]) as again:
            assert again is first
    assert len(worker._NODES) == worker._KEPT
    for node in worker._NODES.values():
        node.close()


def test_what_a_worker_said_counts_before_what_was_left_here(tmp_path: Path) -> None:
    """An upload ended before it was begun; then a worker was to put it, and died."""
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    place = place_name(bundle.profile())
    file = File(key="data/a.tif", size=3, sha256="2" * 64)
    with Ledger(ledger_path(bundle), place) as ledger:
        ledger.note(Row(file.key, 3, file.sha256, "image/tiff", State.LEFT))
        remember(ledger, place, [Sent(place=place, node="left", files=(file,))], listed={})
        assert ledger.rows()[file.key].state is State.PLANNED


# --- what the run makes of it -----------------------------------------------------------------------------------------


def _sent(profile: Profile, sha256: str, node: str = "left") -> Sent:
    receipt = Receipt(key="data/a.tif", size=3, sha256=sha256, etag="e", verified_at=now())
    return Sent(place=place_name(profile), node=node, receipts=(receipt,))


def test_other_bytes_of_another_node_are_an_error(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    ahead = Ahead(bundle, bundle.profile())
    try:
        ahead.adopt(_sent(bundle.profile(), "0" * 64))
        ahead.adopt(_sent(bundle.profile(), "0" * 64, "right"))
        ahead.adopt(_sent(bundle.profile(), "1" * 64).model_copy(update={"place": "elsewhere"}))
        with pytest.raises(OutsideError, match="two machines put different bytes"):
            ahead.adopt(_sent(bundle.profile(), "1" * 64, "right"))
    finally:
        ahead.close()


def test_receipts_of_what_is_gone_are_not_believed(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    file = File(key="data/b.tif", size=3, sha256="2" * 64)
    known = [_sent(bundle.profile(), "0" * 64), _sent(bundle.profile(), "0" * 64).model_copy(update={"files": (file,)})]
    ahead = Ahead(bundle, bundle.profile(), known)
    ahead._sender.result(LONG)
    ahead.close()
    rows, _ = read_ledger(ledger_path(bundle), place_name(bundle.profile()))
    assert {key: row.state for key, row in rows.items()} == {"data/b.tif": State.PLANNED}


def test_what_a_worker_puts_now_counts_before_what_the_ledger_knew(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    place = place_name(bundle.profile())
    with Ledger(ledger_path(bundle), place) as ledger:
        for digit in "012":
            remember(ledger, place, [_sent(bundle.profile(), digit * 64)])
            assert ledger.rows()["data/a.tif"].sha256 == digit * 64
        remember(ledger, place, [_sent(bundle.profile(), "0" * 64)], listed={})  # of any time: nothing is there
        assert ledger.rows()["data/a.tif"].sha256 == "2" * 64


def test_a_part_that_is_written_on_one_disk_goes_no_other_way(tmp_path: Path) -> None:
    from earthcode_pack import convert

    bundle = make_bundle(tmp_path / "bundle", "s3://bucket/pub")
    assert writer(bundle, bundle.profile()) is convert.write
