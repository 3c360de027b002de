"""Two bundles of one version at the same time: the first to be published is published as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from clockless import LONG
from tiny import FILES, ORDERED, PREFIX, Watched, inventory, make_bundle, sha, store_of, whole

from earthcode_pack.errors import OutsideError, VersionTaken
from earthcode_pack.model import File
from earthcode_pack.upload import clean_store, standing, upload, verify
from earthcode_pack.upload.early import Ahead

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from earthcode_pack.bundle import Bundle

CHUNK = "data/tiny.zarr/sst/c/0/0"
SAME_DATA = FILES | {"collection.json": b'{"type": "Collection", "b": 1}'}
OTHER_DATA = SAME_DATA | {key: bytes([99]) * 100 for key in FILES if key.endswith("/0")}
NEVER = 1e9


class Meanwhile(Watched):
    """Before the object of a key is put, or the so many-eth object, something happens; one object after the other."""

    def __init__(self, bundle: Bundle, before: str | int, happens: Callable[[], object]) -> None:
        super().__init__(store_of(bundle))
        self.max_concurrency, self._before, self._happens = 1, before, happens

    def put(self, local: Path, key: str, **more: Any) -> Any:
        if self._before in (len(self.put_keys), key.removeprefix(PREFIX)):
            self._before = ""
            self._happens()
        return super().put(local, key, **more)


@pytest.fixture
def other(bundle: Bundle, tmp_path: Path) -> Callable[[dict[str, bytes]], Bundle]:
    """Makes another bundle for the place of the first."""
    spec = bundle.profile().store
    assert spec is not None
    assert spec.href is not None
    href = spec.href
    return lambda files: make_bundle(tmp_path / "other", href, files)


def _cut(bundle: Bundle, allowed: int) -> None:
    """Puts so many objects, begins another one, and no more."""
    with pytest.raises(OutsideError, match="the line is cut"):
        upload(bundle, Watched(store_of(bundle), allowed=allowed))


def _put(bundle: Bundle, tmp_path: Path, key: str, data: bytes) -> None:
    (tmp_path / "theirs").write_bytes(data)
    store_of(bundle).put(tmp_path / "theirs", PREFIX + key, sha256=sha(data), media_type="text/plain")


# --- what was there at the beginning ----------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["gone", "longer", "manifest"])
def test_what_is_lost_before_the_collection_is_sent_again(
    bundle: Bundle, tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It was put by an interrupted run, and nobody had a reason to look at it again."""
    _cut(bundle, 35)
    assert PREFIX + "manifest.json" in inventory(store_of(bundle))
    key = "manifest.json" if change == "manifest" else CHUNK

    def lose() -> None:
        if change == "longer":
            _put(bundle, tmp_path, key, b"theirs" * 100)
        else:
            store_of(bundle).delete([PREFIX + key])

    told: list[tuple[int, int]] = []
    store = Meanwhile(bundle, "items.parquet", lose)
    upload(bundle, store, progress=lambda done, total: told.append((done, total)))
    assert store.put_keys == ["items.parquet", key, "collection.json"]
    assert inventory(store_of(bundle)) == whole(bundle)
    assert told[-1][0] == told[-1][1]
    assert "1 objects were removed or changed meanwhile" in caplog.text


def test_other_bytes_in_the_same_size_are_seen_too(s3_href: str, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", s3_href)
    upload(bundle, Meanwhile(bundle, "items.parquet", lambda: _put(bundle, tmp_path, CHUNK, b"?" * 100)))
    assert inventory(store_of(bundle)) == whole(bundle)


def test_what_another_machine_put_and_is_lost_withholds_the_collection(bundle: Bundle) -> None:
    """Its file is not here: the next run brings it."""
    _cut(bundle, 34)
    (bundle.product / CHUNK).unlink()
    with pytest.raises(OutsideError, match=r"c/0/0: what is stored is not what was sent"):
        upload(bundle, Meanwhile(bundle, "items.parquet", lambda: store_of(bundle).delete([PREFIX + CHUNK])))
    assert PREFIX + "collection.json" not in inventory(store_of(bundle))
    (bundle.product / CHUNK).write_bytes(FILES[CHUNK])
    upload(bundle, store_of(bundle))
    assert inventory(store_of(bundle)) == whole(bundle)


# --- a version that is published while another run puts ---------------------------------------------------------------


def test_nothing_is_put_any_more_once_another_product_is_published(
    bundle: Bundle, other: Callable[[dict[str, bytes]], Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earthcode_pack.upload.watch._AGAIN", -1.0)
    late = other(OTHER_DATA)
    store = Meanwhile(late, "", lambda: None)
    published: list[object] = []
    head = store.head

    def look(key: str) -> Any:
        if len(store.put_keys) == 3 and not published:
            published.append(upload(bundle, store_of(bundle)))
        return head(key)

    store.head = look  # type: ignore[method-assign]
    with pytest.raises(VersionTaken, match=r"manifest\.json: another product is published"):
        upload(late, store)
    assert len(store.put_keys) == 3
    assert verify(bundle) == ()
    assert clean_store(late).objects == ()
    assert inventory(store_of(bundle)) == whole(bundle)


def test_who_published_meanwhile_is_the_reason_why_data_is_another(
    bundle: Bundle, other: Callable[[dict[str, bytes]], Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earthcode_pack.upload.watch._AGAIN", NEVER)
    late = other({key: data + b"b" for key, data in OTHER_DATA.items()})
    store = Meanwhile(late, 3, lambda: upload(bundle, store_of(bundle)))
    with pytest.raises(VersionTaken):
        upload(late, store)
    assert store_of(bundle).read(PREFIX + "collection.json") == FILES["collection.json"]


@pytest.mark.parametrize("name", ["manifest.json", "collection.json"])
def test_the_first_object_waits_for_a_look(bundle: Bundle, tmp_path: Path, name: str) -> None:
    """The listing may be old by then."""
    store = Watched(store_of(bundle))

    def preflight() -> None:
        _put(bundle, tmp_path, name, b"theirs")

    store.preflight = preflight  # type: ignore[attr-defined]
    with pytest.raises(VersionTaken, match=name):
        upload(bundle, store)
    assert store.put_keys == []


@pytest.mark.parametrize(("name", "put"), [("manifest.json", 33), ("manifest.json", 36), ("collection.json", 36)])
def test_manifest_and_collection_are_not_put_over_anothers(
    bundle: Bundle, tmp_path: Path, name: str, put: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theirs comes while the last object before ours goes up, or while the last before the Collection does."""
    monkeypatch.setattr("earthcode_pack.upload.watch._AGAIN", NEVER)
    keys = [key for stage in ORDERED for key in stage][:put]
    store = Meanwhile(bundle, keys[-1], lambda: _put(bundle, tmp_path, name, b"theirs"))
    with pytest.raises(VersionTaken, match=name):
        upload(bundle, store)
    assert store.put_keys == keys
    assert store_of(bundle).read(PREFIX + name) == b"theirs"


def test_looks_are_few(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthcode_pack.upload.watch._AGAIN", NEVER)
    store = Watched(store_of(bundle))
    upload(bundle, store)
    assert sorted(store.asked) == ["collection.json"] * 3 + ["manifest.json"] * 3


def test_the_same_product_may_be_published_by_two(bundle: Bundle, other: Callable[[dict[str, bytes]], Bundle]) -> None:
    same = other(FILES)
    upload(bundle, Meanwhile(bundle, "items/tiny.json", lambda: upload(same, store_of(same))))
    assert inventory(store_of(bundle)) == whole(bundle)


def test_what_goes_ahead_is_not_put_over_what_was_published_since(
    bundle: Bundle, other: Callable[[dict[str, bytes]], Bundle]
) -> None:
    late = other(OTHER_DATA)
    ahead = Ahead(late, late.profile())
    ahead._sender.result(LONG)
    upload(bundle, store_of(bundle))
    ahead.offer(File(key=key, size=len(data), sha256=sha(data)) for key, data in OTHER_DATA.items())
    ahead._pool.shutdown()
    assert ahead.withdraw().objects == ()
    ahead.close()
    assert inventory(store_of(bundle)) == whole(bundle)


# --- what is taken back -----------------------------------------------------------------------------------------------


def test_what_was_planned_and_another_bundle_put_stays(
    bundle: Bundle, other: Callable[[dict[str, bytes]], Bundle]
) -> None:
    """The bytes are the same; only what the cut upload had begun is its own."""
    late = other(SAME_DATA)
    _cut(late, 10)
    _cut(bundle, 15)  # finds the ten
    assert len(inventory(store_of(bundle))) == 25
    assert sorted(clean_store(late).objects) == sorted(ORDERED[0][:11])  # the last one's answer may have been lost
    assert len(inventory(store_of(bundle))) == 14
    upload(bundle, store_of(bundle))
    assert inventory(store_of(bundle)) == whole(bundle)


def test_what_is_left_counts_as_planned_and_goes_up_with_the_next(bundle: Bundle) -> None:
    _cut(bundle, 10)
    told = standing(bundle)
    assert told is not None
    assert set(told.objects) == {"planned", "sent", "verified", "committed"}
    assert told.objects["planned"] == len(FILES) + 1 - 10
    upload(bundle, store_of(bundle))
    assert len(inventory(store_of(bundle))) == len(FILES) + 1


@pytest.mark.parametrize("how", ["clean", "withdraw"])
def test_nothing_is_taken_back_while_anothers_manifest_is_there(
    bundle: Bundle, other: Callable[[dict[str, bytes]], Bundle], how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It names the very objects that were put here, and its Collection may be on its way."""
    late = other(SAME_DATA)
    _cut(late, 10)
    removed: list[object] = []

    def take_back() -> None:
        if how == "clean":
            removed.extend(clean_store(late).objects)
            return
        ahead = Ahead(late, late.profile())
        ahead._sender.result(LONG)
        removed.extend(ahead.withdraw().objects)
        ahead.close()

    upload(bundle, Meanwhile(bundle, "items.parquet", take_back))
    assert removed == []
    assert "is another bundle's" in caplog.text
    assert inventory(store_of(bundle)) == whole(bundle)


def test_a_manifest_that_was_only_planned_is_not_taken_back_as_ones_own(
    bundle: Bundle, tmp_path: Path, other: Callable[[dict[str, bytes]], Bundle]
) -> None:
    """Another machine put the very manifest that the cut upload would have put; then the product changed here."""
    same = other(FILES)
    _cut(bundle, 10)
    _cut(same, 35 - 10)
    before = inventory(store_of(same))
    assert PREFIX + "manifest.json" in before
    spec = bundle.profile().store
    assert spec is not None
    changed = make_bundle(tmp_path / "bundle", str(spec.href), SAME_DATA)
    with pytest.raises(VersionTaken):
        upload(changed, store_of(changed))
    assert inventory(store_of(same)) == before
