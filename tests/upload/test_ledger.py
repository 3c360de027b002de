"""The ledger: what it keeps, what it costs, and that losing it loses nothing."""

from __future__ import annotations

import sqlite3
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tiny import FILES, PREFIX, Watched, inventory, make_bundle, store_of, whole

from earthcode_pack.errors import OutsideError
from earthcode_pack.upload import standing, upload
from earthcode_pack.upload.ledger import Ledger, Row, State, ledger_path, read_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle

ROW = Row("data/a.tif", 3, "ab" * 32, "image/tiff")


def test_rows_outlive_the_process_and_places_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / ".work" / "ledger.sqlite"
    with Ledger(path, "here") as ledger:
        ledger.note(ROW, ROW._replace(key="data/b.tif", state=State.SENT, etag="e", mtime_ns=2**62))
        ledger.note_error("the disk is full")
    with Ledger(path, "there") as ledger:
        assert ledger.rows() == {}
    with Ledger(path, "here") as ledger:
        assert ledger.rows()["data/a.tif"] == ROW
        assert ledger.rows()["data/b.tif"].state is State.SENT
        ledger.forget(["data/a.tif"])
    rows, error = read_ledger(path, "here")
    assert (list(rows), error) == (["data/b.tif"], "the disk is full")


def test_many_rows_are_few_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one in half a second: on a clock that moves by a millisecond with each row."""
    clock = count()
    monkeypatch.setattr("earthcode_pack.upload.ledger.time", SimpleNamespace(monotonic=lambda: next(clock) / 1000))
    commits = []
    commit = Ledger._commit
    monkeypatch.setattr(Ledger, "_commit", lambda self, **more: (commits.append(1), commit(self, **more)))
    with Ledger(tmp_path / "ledger.sqlite", "here") as ledger:
        for number in range(2000):
            ledger.note(ROW._replace(key=f"data/{number}"))
    assert len(commits) == 5  # at once, after each half second, and at the end
    assert len(read_ledger(tmp_path / "ledger.sqlite", "here")[0]) == 2000


def test_what_must_not_be_lost_is_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path, "here") as ledger:
        ledger.note(ROW)
        ledger.note(ROW._replace(upload_id="u", part_size=5), now=True)
        assert read_ledger(path, "here")[0]["data/a.tif"].upload_id == "u"


@pytest.mark.parametrize("damage", ["cut", "other", "zeros", "form", "state"])
def test_damaged_ledger_is_made_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path, "here") as ledger:
        ledger.note(ROW)
    raw = path.read_bytes()
    if damage in ("form", "state"):
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99" if damage == "form" else "UPDATE objects SET state = 'odd'")
        connection.close()
    else:
        path.write_bytes(
            {"cut": raw[:5000], "other": b"no ledger at all" * 99, "zeros": raw[:100] + bytes(9000)}[damage]
        )
    assert read_ledger(path, "here")[0] == {}
    with Ledger(path, "here") as ledger:
        assert ledger.rows() == {}
        ledger.note(ROW)
    assert read_ledger(path, "here")[0] == {"data/a.tif": ROW}


def test_a_ledger_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").mkdir()
    with pytest.raises(OutsideError, match="the ledger of the upload cannot be used") as caught:
        Ledger(tmp_path / "ledger.sqlite", "here")
    assert caught.value.exit_code == 3


def test_a_ledger_that_is_closed_does_not_take_the_file_from_others(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    closed, open_ = Ledger(path, "here"), Ledger(path, "there")
    with open_:
        closed.close()
        with pytest.raises(sqlite3.ProgrammingError):
            closed.note(ROW, now=True)
        open_.note(ROW, now=True)
        assert read_ledger(path, "there")[0] == {ROW.key: ROW}


# --- in an upload -----------------------------------------------------------------------------------------------------


def test_states_of_a_published_product(bundle: Bundle) -> None:
    assert standing(bundle) is None
    upload(bundle, store_of(bundle))
    told = standing(bundle)
    assert told is not None
    assert (told.objects["committed"], sum(told.objects.values())) == (len(FILES) + 1, len(FILES) + 1)
    assert (told.open_uploads, told.error) == (0, None)
    assert told.size["committed"] == sum(size for size, _ in whole(bundle).values())


def test_states_and_the_error_of_an_upload_that_failed(bundle: Bundle) -> None:
    with pytest.raises(OutsideError):
        upload(bundle, Watched(store_of(bundle), allowed=31))
    told = standing(bundle)
    assert told is not None
    assert told.objects == {"planned": len(FILES) + 1 - 31, "sent": 1, "verified": 30, "committed": 0}
    assert told.error == "the line is cut — run again"
    upload(bundle, store_of(bundle))
    again = standing(bundle)
    assert again is not None
    assert again.error is None


def test_where_all_agree_no_object_is_asked_for(s3_href: str, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", s3_href)
    upload(bundle, store_of(bundle))
    store = Watched(store_of(bundle), allowed=0)
    upload(bundle, store)
    assert store.asked == []


def test_an_object_or_file_that_changed_is_asked_for(s3_href: str, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", s3_href)
    upload(bundle, store_of(bundle))
    (bundle.product / "items/tiny.json").touch()
    key = "data/tiny.zarr/sst/c/7/0"
    _overwrite(s3_href, key)
    store = Watched(store_of(bundle))
    upload(bundle, store)
    assert sorted(set(store.asked)) == [key, "items/tiny.json"]
    assert store.put_keys == [key]
    assert inventory(store_of(bundle)) == whole(bundle)


def _overwrite(s3_href: str, key: str) -> None:
    import boto3

    bucket, _, prefix = s3_href.removeprefix("s3://").partition("/")
    boto3.client("s3").put_object(Bucket=bucket, Key=f"{prefix}/{PREFIX}{key}", Body=b"x" * 100)


@pytest.mark.parametrize("loss", ["gone", "damaged", "with its receipts"])
def test_without_a_ledger_nothing_is_sent_again(bundle: Bundle, loss: str) -> None:
    receipts = upload(bundle, store_of(bundle))
    path = ledger_path(bundle)
    path.write_bytes(b"odd" * 1000) if loss == "damaged" else path.unlink()
    if loss == "with its receipts":
        (bundle.root / "receipts.json").unlink()
    store = Watched(store_of(bundle), allowed=0)
    again = upload(bundle, store)
    assert sorted(store.asked) == sorted([*FILES, "manifest.json"])
    if loss != "with its receipts":
        assert again == receipts
    assert [(r.key, r.sha256, r.etag) for r in again] == [(r.key, r.sha256, r.etag) for r in receipts]
    told = standing(bundle)
    assert told is not None
    assert told.objects["committed"] == len(FILES) + 1


def test_no_secret_is_in_ledger_or_receipts(s3_href: str, tmp_path: Path) -> None:
    from making import SECRET

    bundle = make_bundle(tmp_path / "bundle", s3_href)
    upload(bundle, store_of(bundle))
    written = ledger_path(bundle).read_bytes() + (bundle.root / "receipts.json").read_bytes()
    assert SECRET.encode() not in written
    assert b"Signature" not in written
