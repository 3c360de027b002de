"""What verify sees: presence, sizes, checksums, and whether readers can open it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from tiny import PREFIX, make_bundle, sha, store_of, whole

from earthcode_pack.errors import UserError
from earthcode_pack.model import Level
from earthcode_pack.upload import upload, verify

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle


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
