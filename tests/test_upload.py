"""Publishing a tiny hand-made bundle: order, resume after a kill, a version that is taken, what verify sees."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

import boto3
import pytest

from earthcode_pack import upload as module
from earthcode_pack.bundle import Bundle, to_json
from earthcode_pack.errors import OutsideError, UserError, VersionTaken
from earthcode_pack.model import Level, Receipt
from earthcode_pack.profile import load_profile
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage import LocalStore, Store, open_store
from earthcode_pack.upload import order, published_href, upload, verify

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "tiny/v1.0/"
FILES = {
    "collection.json": b'{"type": "Collection"}',
    "items/tiny.json": b'{"type": "Feature"}',
    "items.parquet": b"PAR1",
    "previews/tiny.png": b"PNG",
    "data/tiny.zarr/zarr.json": b'{"zarr_format": 3, "node_type": "group"}',
    "data/tiny.zarr/sst/zarr.json": b'{"zarr_format": 3, "node_type": "array"}',
    **{f"data/tiny.zarr/sst/c/{n}/0": bytes([n]) * 100 for n in range(30)},
}
ORDERED = [
    [f"data/tiny.zarr/sst/c/{n}/0" for n in sorted(range(30), key=str)],
    ["data/tiny.zarr/sst/zarr.json"],
    ["data/tiny.zarr/zarr.json"],
    ["previews/tiny.png"],
    ["manifest.json"],
    ["items/tiny.json"],
    ["items.parquet"],
    ["collection.json"],
]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_bundle(root: Path, store: str, files: dict[str, bytes] | None = None, **more: str) -> Bundle:
    """A bundle as prepare leaves it: the profile, the product, its manifest."""
    files = FILES if files is None else files
    for key, data in files.items():
        path = root / "product" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    entries = [
        {"key": key, "size": len(data), "sha256": f"1220{sha(data)}", "media_type": "application/octet-stream"}
        for key, data in sorted(files.items())
    ]
    (root / "product/manifest.json").write_text(to_json(entries))
    profile = {
        "product": {
            "id": "tiny", "title": "Tiny", "description": "A product of a few bytes.", "license": "CC-BY-4.0",
            "version": "1.0", "status": "completed",
        },
        "project": {"id": "demo-project"},
        "source": {"href": "raw/*.nc", "time": {"from": "coordinate"}},
        "target": {"format": "zarr"},
        "store": {"href": store, **more},
    }  # fmt: skip
    (root / "profile.yaml").write_text(json.dumps(profile))
    return Bundle(root)


@pytest.fixture
def s3_href(bucket: str) -> str:
    return f"s3://{bucket}/some/where"


@pytest.fixture(params=["local", "s3"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    href = str(tmp_path / "published") if request.param == "local" else request.getfixturevalue("s3_href")
    return make_bundle(tmp_path / "bundle", href)


def store_of(bundle: Bundle) -> Store:
    spec = bundle.profile().store
    assert spec is not None
    return open_store(spec)


def inventory(store: Store) -> dict[str, tuple[int, str | None]]:
    return {key: (len(store.read(key) or b""), store.sha256(key)) for key in list(store.keys())}


def whole(bundle: Bundle) -> dict[str, tuple[int, str | None]]:
    paths = [path for path in bundle.product.rglob("*") if path.is_file()]
    return {
        PREFIX + path.relative_to(bundle.product).as_posix(): (path.stat().st_size, sha(path.read_bytes()))
        for path in paths
    }


class Watched:
    """A real store that notes what is put, and fails after so many, as a kill or a broken line would."""

    def __init__(self, store: Store, allowed: int = 10**9) -> None:
        self._store, self.allowed, self.put_keys, self._lock = store, allowed, list[str](), Lock()

    def put(self, local: Path, key: str, *, sha256: str, media_type: str) -> Receipt:
        with self._lock:
            if len(self.put_keys) >= self.allowed:
                raise OutsideError("the line is cut", "run again")
            self.put_keys.append(key.removeprefix(PREFIX))
        return self._store.put(local, key, sha256=sha256, media_type=media_type)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


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
    monkeypatch.setattr(module, "now", lambda: datetime(2100, 1, 1, tzinfo=UTC))
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


# --- verify -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [False, True])
def test_what_is_right_has_no_finding(bundle: Bundle, read: bool) -> None:
    upload(bundle, store_of(bundle))
    spec = bundle.profile().store
    assert spec is not None
    assert verify(bundle, read=read) == ()
    assert verify(str(bundle.root), read=read) == ()
    assert verify(f"{spec.href}/{PREFIX}", read=read) == ()
    assert verify(f"{spec.href}/{PREFIX}collection.json", read=read) == ()


def test_missing_damaged_and_stray_objects_are_found(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    upload(bundle, store_of(bundle))
    published = tmp_path / "published" / PREFIX
    (published / "items/tiny.json").unlink()
    (published / "previews/tiny.png").write_bytes(b"longer")
    (published / "data/tiny.zarr/sst/c/7/0").write_bytes(bytes(100))
    (published / "data/stray.tif").write_bytes(b"")
    for target in (bundle, published):
        found = {finding.subject: (finding.rule, finding.level) for finding in verify(target)}
        assert found == {
            "items/tiny.json": ("PUB-PRESENT", Level.ERROR),
            "previews/tiny.png": ("PUB-SIZE", Level.ERROR),
            "data/tiny.zarr/sst/c/7/0": ("PUB-CHECKSUM", Level.ERROR),
            "data/stray.tif": ("PUB-STRAY", Level.WARNING),
        }
    size = next(finding for finding in verify(bundle) if finding.rule == "PUB-SIZE")
    assert (size.measured, size.allowed) == (6, 3)


def test_damage_that_s3_does_not_state_is_found_by_reading(s3_href: str, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", s3_href)
    upload(bundle, store_of(bundle))
    name, key = s3_href.removeprefix("s3://").split("/")[0], f"some/where/{PREFIX}previews/tiny.png"
    boto3.client("s3").put_object(Bucket=name, Key=key, Body=b"png", Metadata={"sha256": sha(b"PNG")})
    assert verify(bundle) == ()
    assert [finding.rule for finding in verify(bundle, read=True)] == ["PUB-CHECKSUM"]


def test_a_url_without_checksums_says_once_that_only_sizes_were_compared(tmp_path: Path) -> None:
    import fsspec

    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    upload(bundle, store_of(bundle))
    fs = fsspec.filesystem("memory")
    fs.put(str(tmp_path / "published"), "/web", recursive=True)
    try:
        assert [(f.rule, f.level) for f in verify(f"memory://web/{PREFIX}")] == [("PUB-UNREAD", Level.INFO)]
        assert verify(f"memory://web/{PREFIX}", read=True) == ()
    finally:
        fs.rm("/web", recursive=True)


def test_nothing_published_is_an_error_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a bundle nor a published version"):
        verify(str(tmp_path))
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    assert {finding.rule for finding in verify(bundle)} == {"PUB-PRESENT"}
    assert len(verify(bundle)) == len(whole(bundle))


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
