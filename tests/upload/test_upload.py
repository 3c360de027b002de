"""Publishing a tiny hand-made bundle: order, resume after a kill, a version that is taken."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tiny import FILES, ORDERED, PREFIX, Watched, inventory, make_bundle, sha, store_of, whole

from earthcode_pack.errors import OutsideError, UserError, VersionTaken
from earthcode_pack.files import to_json
from earthcode_pack.profile import load_profile
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage import LocalStore, open_store
from earthcode_pack.upload import order, published_href, upload, verify

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle

# --- order ------------------------------------------------------------------------------------------------------------


def test_order_of_a_zarr_3_product() -> None:
    assert order([*reversed(FILES), "manifest.json"]) == ORDERED


def test_order_of_nested_zarr_2_groups_and_of_plain_files() -> None:
    keys = ["a.zarr/.zmetadata", "a.zarr/.zgroup", "a.zarr/.zattrs", "a.zarr/g/.zgroup", "a.zarr/g/t/.zarray"]
    keys += ["a.zarr/g/t/.zattrs", "a.zarr/g/t/0.0", "b.tif", "README.md"]
    stages = order(f"data/{key}" for key in keys)
    assert stages == [
        ["data/README.md", "data/a.zarr/g/t/0.0", "data/b.tif"],
        ["data/a.zarr/g/.zgroup", "data/a.zarr/g/t/.zarray", "data/a.zarr/g/t/.zattrs"],
        ["data/a.zarr/.zattrs", "data/a.zarr/.zgroup", "data/a.zarr/.zmetadata"],
    ]
    assert order([]) == []


def test_a_file_that_is_only_called_like_the_collection_is_data() -> None:
    assert order(["data/collection.json", "data/manifest.json", "collection.json"]) == [
        ["data/collection.json", "data/manifest.json"],
        ["collection.json"],
    ]


# --- upload -----------------------------------------------------------------------------------------------------------


def test_what_is_published_is_the_product_byte_for_byte(bundle: Bundle) -> None:
    told: list[tuple[int, int]] = []
    receipts = upload(bundle, store_of(bundle), progress=lambda done, total: told.append((done, total)))
    assert inventory(store_of(bundle)) == whole(bundle)
    assert [receipt.key for receipt in receipts] == [key for stage in ORDERED for key in stage]
    assert {PREFIX + r.key: (r.size, r.sha256) for r in receipts} == whole(bundle)
    assert bundle.receipts() == receipts
    total = sum(size for size, _ in whole(bundle).values())
    assert told[-1] == (total, total)
    assert sorted(told) == told


def test_stages_follow_each_other(bundle: Bundle) -> None:
    store = Watched(store_of(bundle))
    upload(bundle, store)
    assert sorted(store.put_keys[:30]) == sorted(ORDERED[0])
    assert store.put_keys[30:] == [key for stage in ORDERED[1:] for key in stage]


def test_a_second_run_sends_nothing_and_changes_no_byte(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(bundle, store_of(bundle))
    before = (bundle.root / "receipts.json").read_bytes()
    monkeypatch.setattr("earthcode_pack.upload.sending.now", lambda: datetime(2100, 1, 1, tzinfo=UTC))
    store = Watched(store_of(bundle), allowed=0)
    upload(bundle, store)
    assert (bundle.root / "receipts.json").read_bytes() == before


@pytest.mark.parametrize("allowed", [0, 1, 17, 30, 31, 33, 34, 36])
def test_killed_after_n_objects_the_next_run_ends_the_same(tmp_path: Path, allowed: int) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    store = Watched(store_of(bundle), allowed=allowed)
    with pytest.raises(OutsideError, match="the line is cut"):
        upload(bundle, store)
    published = set(store_of(bundle).keys())
    assert len(published) == allowed
    assert PREFIX + "collection.json" not in published
    assert {PREFIX + receipt.key for receipt in bundle.receipts()} == published
    second = Watched(store_of(bundle))
    receipts = upload(bundle, second)
    assert len(second.put_keys) == len(whole(bundle)) - allowed
    assert second.put_keys[-1] == "collection.json"
    assert inventory(store_of(bundle)) == whole(bundle)
    assert bundle.receipts() == receipts
    assert len(receipts) == len(whole(bundle))


def test_an_interrupt_keeps_the_receipts_and_stops(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))

    def interrupt(done: int, _total: int) -> None:
        if done >= 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upload(bundle, store_of(bundle), progress=interrupt)
    assert bundle.receipts()
    assert {r.key for r in bundle.receipts()} <= {key.removeprefix(PREFIX) for key in list(store_of(bundle).keys())}
    assert PREFIX + "collection.json" not in set(store_of(bundle).keys())
    upload(bundle, store_of(bundle))
    assert inventory(store_of(bundle)) == whole(bundle)


def test_without_receipts_what_is_there_is_found_by_head(bundle: Bundle) -> None:
    upload(bundle, store_of(bundle))
    (bundle.root / "receipts.json").unlink()
    receipts = upload(bundle, Watched(store_of(bundle), allowed=0))
    assert {PREFIX + r.key: (r.size, r.sha256) for r in receipts} == whole(bundle)


def test_receipts_of_objects_that_are_gone_are_not_kept(bundle: Bundle, tmp_path: Path) -> None:
    upload(bundle, store_of(bundle))
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "elsewhere"))
    with pytest.raises(OutsideError):
        upload(bundle, Watched(store_of(bundle), allowed=0))
    assert bundle.receipts() == ()


def test_a_damaged_object_is_sent_again(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    upload(bundle, store_of(bundle))
    (tmp_path / "published" / PREFIX / "data/tiny.zarr/sst/c/7/0").write_bytes(bytes(100))
    store = Watched(store_of(bundle))
    upload(bundle, store)
    assert store.put_keys == ["data/tiny.zarr/sst/c/7/0"]
    assert inventory(store_of(bundle)) == whole(bundle)


def test_a_published_version_never_changes(bundle: Bundle, tmp_path: Path) -> None:
    upload(bundle, store_of(bundle))
    published = inventory(store_of(bundle))
    spec = bundle.profile().store
    assert spec is not None
    assert spec.href is not None
    other = make_bundle(tmp_path / "other", spec.href, FILES | {"items/tiny.json": b"{}"})
    with pytest.raises(VersionTaken, match=r"raise product\.version") as caught:
        upload(other, store_of(other))
    assert caught.value.exit_code == 2
    assert inventory(store_of(bundle)) == published


def test_a_collection_without_manifest_is_somebody_elses(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "theirs.json").write_bytes(b"{}")
    store = store_of(bundle)
    store.put(tmp_path / "theirs.json", PREFIX + "collection.json", sha256=sha(b"{}"), media_type="application/json")
    with pytest.raises(VersionTaken, match=r"collection\.json"):
        upload(bundle, store)
    assert store.read(PREFIX + "collection.json") == b"{}"


def test_another_version_is_not_in_the_way(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    (tmp_path / "published/tiny/v1.00").mkdir(parents=True)
    (tmp_path / "published/tiny/v1.00/manifest.json").write_text("[]")
    upload(bundle, store_of(bundle))
    assert verify(bundle) == ()


@pytest.mark.parametrize("key", ["data/tiny.zarr/sst/c/7/0", "items/tiny.json", "collection.json"])
def test_a_file_changed_after_preparing_is_named_and_the_collection_withheld(bundle: Bundle, key: str) -> None:
    (bundle.product / key).write_bytes(b"changed")
    with pytest.raises(UserError, match=key.rpartition("/")[2] + ": changed after the bundle was prepared"):
        upload(bundle, store_of(bundle))
    published = set(store_of(bundle).keys())
    assert PREFIX + key not in published
    assert PREFIX + "collection.json" not in published


@pytest.mark.parametrize("key", ["../evil", "/etc/passwd", "data/../../evil", "data\\evil", "data//evil"])
def test_hostile_keys_of_a_manifest_are_refused_before_anything_is_sent(tmp_path: Path, key: str) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    entries = json.loads((bundle.product / "manifest.json").read_text())
    entries.append({"key": key, "size": 0, "sha256": f"1220{sha(b'')}", "media_type": "text/plain"})
    (bundle.product / "manifest.json").write_text(to_json(entries))
    with pytest.raises(UserError, match="not a key"):
        upload(bundle, store_of(bundle))
    assert not (tmp_path / "published").exists()


@pytest.mark.parametrize("manifest", [None, "[]", "{}", "not json"])
def test_a_product_that_is_not_whole_is_not_sent(tmp_path: Path, manifest: str | None) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    (bundle.product / "manifest.json").unlink()
    if manifest is not None:
        (bundle.product / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match="manifest"):
        upload(bundle, store_of(bundle))
    assert not (tmp_path / "published").exists()


# --- hrefs ------------------------------------------------------------------------------------------------------------


def test_where_the_collection_is_found(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "a", "s3://bucket/pre/")
    assert published_href(bundle.profile()) == "s3://bucket/pre/tiny/v1.0/collection.json"
    public = make_bundle(tmp_path / "b", "s3://bucket/pre", public_href="https://example.org/data/")
    assert published_href(public.profile()) == "https://example.org/data/tiny/v1.0/collection.json"
    local = make_bundle(tmp_path / "c", str(tmp_path / "published"))
    assert published_href(local.profile()) == f"{tmp_path}/published/tiny/v1.0/collection.json"
    without = load_profile(local.root / "profile.yaml").model_copy(update={"store": None})
    assert published_href(without) is None


def test_the_prr_is_named_as_what_cannot_be_sent_to_yet() -> None:
    with pytest.raises(UserError, match=r"store\.prr"):
        open_store(StoreSpec.model_validate({"prr": {"collection": "demo"}}))


def test_a_copied_local_store_is_the_same_store(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    upload(bundle, store_of(bundle))
    shutil.copytree(tmp_path / "published", tmp_path / "copy")
    assert verify(str(tmp_path / "copy" / PREFIX), read=True) == ()
    assert inventory(LocalStore(tmp_path / "copy")) == whole(bundle)
