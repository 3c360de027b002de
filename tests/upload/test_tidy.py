"""The dry run, and what clean takes back: only what this bundle put, and only while nobody can have seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from tiny import FILES, PREFIX, Watched, inventory, make_bundle, sha, store_of, whole

from earthcode_pack.errors import OutsideError, VersionTaken
from earthcode_pack.upload import Removed, clean_store, difference, standing, upload
from earthcode_pack.upload.ledger import ledger_path

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle

SIZE = sum(len(data) for data in FILES.values())


def _put(bundle: Bundle, tmp_path: Path, key: str, data: bytes) -> None:
    (tmp_path / "theirs").write_bytes(data)
    store_of(bundle).put(tmp_path / "theirs", PREFIX + key, sha256=sha(data), media_type="text/plain")


def _half(bundle: Bundle, allowed: int = 17) -> None:
    with pytest.raises(OutsideError):
        upload(bundle, Watched(store_of(bundle), allowed=allowed))


# --- difference -------------------------------------------------------------------------------------------------------


def test_before_the_first_upload_all_is_new(bundle: Bundle) -> None:
    told = difference(bundle)
    assert set(told.new) == {*FILES, "manifest.json"}
    assert (told.same, told.changed, told.stray, told.is_published) == ((), (), (), False)
    assert told.size == SIZE + (bundle.product / "manifest.json").stat().st_size
    assert not ledger_path(bundle).exists()


def test_new_same_changed_and_stray(bundle: Bundle, tmp_path: Path) -> None:
    _half(bundle)
    _put(bundle, tmp_path, "items/tiny.json", b"{'type': 'Feature'}!")
    _put(bundle, tmp_path, "items.parquet", b"PAR2")  # in the right size
    _put(bundle, tmp_path, "notes.txt", b"theirs")
    before = inventory(store_of(bundle))
    told = difference(bundle)
    assert told.changed == ("items.parquet", "items/tiny.json")
    assert told.stray == ("notes.txt",)
    assert len(told.same) == 17
    assert {*told.new, *told.same, *told.changed} == {*FILES, "manifest.json"}
    assert inventory(store_of(bundle)) == before


def test_after_the_upload_all_is_the_same(bundle: Bundle) -> None:
    upload(bundle, store_of(bundle))
    told = difference(bundle)
    assert (told.new, told.changed, told.stray, told.size, told.is_published) == ((), (), (), 0, True)


# --- clean ------------------------------------------------------------------------------------------------------------


def test_an_unpublished_version_is_taken_back_and_nothing_else(bundle: Bundle, tmp_path: Path) -> None:
    _put(bundle, tmp_path, "notes.txt", b"theirs")
    _half(bundle)
    key = "data/tiny.zarr/sst/c/0/0"
    _put(bundle, tmp_path, key, b"theirs now")
    removed = clean_store(bundle)
    assert len(removed.objects) == 16
    assert removed.size == 1600
    assert {name.removeprefix(PREFIX) for name in inventory(store_of(bundle))} == {"notes.txt", key}
    assert bundle.receipts() == tuple(r for r in bundle.receipts() if r.key == key)
    told = standing(bundle)
    assert told is not None
    assert (sum(told.objects.values()), told.error) == (0, None)
    assert clean_store(bundle) == Removed()


def test_of_a_published_version_nothing_goes(bundle: Bundle) -> None:
    upload(bundle, store_of(bundle))
    assert clean_store(bundle) == Removed()
    assert inventory(store_of(bundle)) == whole(bundle)


def test_what_another_bundle_put_is_not_known_and_stays(bundle: Bundle, tmp_path: Path) -> None:
    _half(bundle)
    before = inventory(store_of(bundle))
    spec = bundle.profile().store
    assert spec is not None
    assert spec.href is not None
    other = make_bundle(tmp_path / "other", spec.href)
    assert clean_store(other) == Removed()
    assert inventory(store_of(bundle)) == before


def test_only_open_uploads_of_this_product_are_ended(s3_href: str, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", s3_href)
    _half(bundle)
    bucket, _, prefix = s3_href.removeprefix("s3://").partition("/")
    client = boto3.client("s3")
    names = [f"{prefix}/{PREFIX}collection.json", f"{prefix}/{PREFIX}theirs.tif", f"{prefix}/another/v1.0/a.tif"]
    for name in names:
        client.create_multipart_upload(Bucket=bucket, Key=name)
    assert clean_store(bundle).uploads == 1
    left = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert sorted(one["Key"] for one in left) == sorted(names[1:])


def test_an_upload_ends_what_killed_ones_left_open(s3_href: str, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", s3_href)
    bucket, _, prefix = s3_href.removeprefix("s3://").partition("/")
    client = boto3.client("s3")
    client.create_multipart_upload(Bucket=bucket, Key=f"{prefix}/{PREFIX}previews/tiny.png")
    upload(bundle, store_of(bundle))
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


def test_half_written_files_on_disk_go(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    _half(bundle)
    folder = tmp_path / "published" / PREFIX / "previews"
    folder.mkdir(parents=True)
    (folder / ".tiny.png.0123456789ab.part").write_bytes(b"P")
    (folder / ".other.png.0123456789ab.part").write_bytes(b"P")
    assert clean_store(bundle).uploads == 1
    assert [path.name for path in folder.iterdir()] == [".other.png.0123456789ab.part"]


# --- a product that changed before it was published -------------------------------------------------------------------


def _changed(bundle: Bundle, store: str) -> Bundle:
    files = {key: data for key, data in FILES.items() if key != "data/tiny.zarr/sst/c/3/0"}
    (bundle.product / "data/tiny.zarr/sst/c/3/0").unlink()
    return make_bundle(bundle.root, store, files | {"items/tiny.json": b"{}"})


@pytest.mark.parametrize("allowed", [17, 34, 35])
def test_what_belongs_to_it_no_more_is_taken_back(tmp_path: Path, allowed: int) -> None:
    """Also a manifest and Items that were there already: without a Collection nobody was told of them."""
    store = str(tmp_path / "published")
    bundle = make_bundle(tmp_path / "bundle", store)
    _half(bundle, allowed)
    changed = _changed(bundle, store)
    upload(changed, store_of(changed))
    assert inventory(store_of(changed)) == whole(changed)


def test_another_bundles_manifest_is_not_taken_back(tmp_path: Path) -> None:
    store = str(tmp_path / "published")
    bundle = make_bundle(tmp_path / "bundle", store)
    _half(bundle, 35)
    before = inventory(store_of(bundle))
    other = _changed(make_bundle(tmp_path / "other", store), store)
    with pytest.raises(VersionTaken):
        upload(other, store_of(other))
    assert inventory(store_of(bundle)) == before


def test_what_is_stored_wrong_is_seen_before_anything_refers_to_it(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))

    class Losing(Watched):
        """Takes an object, and has it no more."""

        def put(self, local: Path, key: str, **more: Any) -> Any:
            receipt = super().put(local, key, **more)
            if key.endswith("c/5/0"):
                self._store.delete([key])
            return receipt

    with pytest.raises(OutsideError, match=r"c/5/0: what is stored is not what was sent"):
        upload(bundle, Losing(store_of(bundle)))
    assert all("/sst/c/" in key for key in inventory(store_of(bundle)))
    upload(bundle, store_of(bundle))
    assert inventory(store_of(bundle)) == whole(bundle)


def test_metadata_of_data_that_changed_is_taken_back_first(tmp_path: Path) -> None:
    """Killed after the metadata of a Zarr store; until its new chunks are there nothing describes them."""
    store = str(tmp_path / "published")
    bundle = make_bundle(tmp_path / "bundle", store)
    _half(bundle, 32)
    changed = make_bundle(bundle.root, store, FILES | {"data/tiny.zarr/sst/c/3/0": b"?" * 100})
    with pytest.raises(OutsideError):
        upload(changed, Watched(store_of(changed), allowed=0))
    assert not [key for key in inventory(store_of(changed)) if key.endswith("zarr.json")]
    told: list[tuple[int, int]] = []
    upload(changed, store_of(changed), progress=lambda done, total: told.append((done, total)))
    assert inventory(store_of(changed)) == whole(changed)
    assert told[-1][0] == told[-1][1]


def test_another_machine_that_was_faster_is_not_overwritten(tmp_path: Path) -> None:
    store = str(tmp_path / "published")
    bundle = make_bundle(tmp_path / "bundle", store)

    class Slow(Watched):
        """While its Items go up, another machine publishes."""

        def put(self, local: Path, key: str, **more: Any) -> Any:
            if key.endswith("items/tiny.json"):
                _put(bundle, tmp_path, "collection.json", b"theirs")
            return super().put(local, key, **more)

    with pytest.raises(VersionTaken):
        upload(bundle, Slow(store_of(bundle)))
    assert store_of(bundle).read(PREFIX + "collection.json") == b"theirs"
