"""The bundle on disk: digest, manifest, and files that are whole or not there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from making import every_file, profile_of, write_tif

from earthcode_pack.assemble import public_name
from earthcode_pack.bundle import Bundle, open_bundle, to_json, values_to_json, write_atomic
from earthcode_pack.errors import ProfileError, UserError
from earthcode_pack.model import Finding, Level
from earthcode_pack.pipeline import prepare

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


def test_digest_is_that_of_the_manifest_which_names_every_other_file(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    bundle = prepare(profile_of(tmp_path), tmp_path / "work")
    files = every_file(bundle.product)
    assert bundle.digest == "sha256:" + hashlib.sha256(files.pop("manifest.json")).hexdigest()
    assert [entry.key for entry in bundle.manifest()] == sorted(files)
    types = {Path(entry.key).suffix: entry.media_type for entry in bundle.manifest()}
    assert types[".tif"] == "image/tiff; application=geotiff; profile=cloud-optimized"
    assert types[".png"] == "image/png"
    data = next(entry for entry in bundle.manifest() if entry.key.endswith(".tif"))
    raw = (tmp_path / "raw" / "a_20200101.tif").read_bytes()
    assert data.sources == ({"href": "a_20200101.tif", "sha256": "1220" + hashlib.sha256(raw).hexdigest()},)


def test_a_profile_is_read_once_until_its_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import earthcode_pack.profile

    read = []
    load = earthcode_pack.profile.load_profile
    monkeypatch.setattr(earthcode_pack.profile, "load_profile", lambda path: read.append(path) or load(path))
    bundle, path = Bundle(tmp_path), tmp_path / "profile.yaml"
    write_atomic(path, profile_of(tmp_path).to_yaml())
    first = bundle.profile()
    first.accept["COG-CRS"] = "changed by somebody who got it"
    assert [dict(Bundle(tmp_path).profile().accept) for _ in range(3)] == [{}] * 3
    assert len(read) == 1
    write_atomic(path, profile_of(tmp_path, accept={"COG-CRS": "an old trial"}).to_yaml())
    assert dict(bundle.profile().accept) == {"COG-CRS": "an old trial"}
    path.write_text(profile_of(tmp_path, accept={"COG-CRS": "in its place, again"}).to_yaml())
    assert dict(bundle.profile().accept) == {"COG-CRS": "in its place, again"}
    assert len(read) == 3
    path.unlink()
    for _ in range(2):
        with pytest.raises(ProfileError, match="cannot be read"):
            bundle.profile()


def test_bundle_without_a_product_has_no_digest(tmp_path: Path) -> None:
    assert Bundle(tmp_path).digest is None
    assert Bundle(tmp_path).findings() == ()
    assert Bundle(tmp_path).provenance() == {}


def test_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no bundle"):
        open_bundle(tmp_path)


def test_unchanged_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_atomic(path, "one")
    before = path.stat().st_mtime_ns, path.stat().st_ino
    write_atomic(path, b"one")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    write_atomic(path, "two")
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_nan_never_reaches_a_file() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"a": float("nan")})
    finding = Finding(
        rule="R", level=Level.ERROR, subject="s", message="m", measured=float("inf"), allowed=float("nan")
    )
    (told,) = json.loads(values_to_json([finding]), parse_constant=pytest.fail)
    assert (told["measured"], told["allowed"]) == ("Infinity", "NaN")


@pytest.mark.parametrize(
    ("href", "name"),
    [
        ("/data/raw/a.nc", "a.nc"),
        ("/data/raw/a.zarr", "a.zarr"),
        ("https://me:word@host/a.nc?X-Amz-Signature=1", "https://host/a.nc"),
        ("s3://bucket/a.nc", "s3://bucket/a.nc"),
    ],
)
def test_name_of_a_source_for_everybody(href: str, name: str) -> None:
    assert public_name(href) == name
