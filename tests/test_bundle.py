"""The bundle on disk: digest, manifest, and files that are whole or not there."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from making import every_file, profile_of, write_tif

from earthcode_pack.bundle import Bundle, open_bundle, values_to_json
from earthcode_pack.bundle.assemble import public_name
from earthcode_pack.cli import execute
from earthcode_pack.errors import ProfileError, UserError
from earthcode_pack.files import to_json, write_atomic
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


# --- a bundle that was handed over


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of one map, in ``work``, and the folder that it publishes to."""
    folder = tmp_path_factory.mktemp("pristine")
    write_tif(folder / "raw" / "a_20200101.tif")
    prepare(profile_of(folder), folder / "work")
    return folder


@pytest.fixture
def handed(pristine: Path, tmp_path: Path) -> Bundle:
    """A copy of it that may be spoilt."""
    shutil.copytree(pristine / "work", tmp_path / "work")
    return Bundle(next((tmp_path / "work").glob("*/*")))


def commands(bundle: Bundle, capfd: pytest.CaptureFixture[str]) -> list[tuple[int, str]]:
    """What each command that reads a bundle says of it."""
    said = []
    for words in (["publish"], ["check"], ["status", "--offline"], ["report"], ["verify"], ["clean"]):
        code = execute([words[0], str(bundle.root), *words[1:]])
        said.append((code, "".join(capfd.readouterr())))
    return said


@pytest.mark.parametrize("key", ["product/data/a.tif", "product/previews", ".work/lock", "report.html"])
def test_a_link_out_of_a_bundle_is_refused_and_neither_read_nor_written(
    handed: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str], key: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    path = handed.root / key
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(secret)
    for code, said in commands(handed, capfd):
        assert code == 2
        assert f"{key} is a link that leaves it, to {secret}" in said.replace("\n", "")
        assert "hunter2" not in said
    assert secret.read_text() == "hunter2"
    assert not (tmp_path / "pub").exists()


RECORDS = ("plan.json", "findings.json", "provenance.json", "product/manifest.json", "product/collection.json")
DAMAGE = {
    "empty": b"",
    "cut": b'[{"key": "da',
    "other": b"[7]",
    "text": b'"x"',
    "latin": b"\xe4",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", RECORDS)
def test_a_damaged_record_is_told_in_words(
    handed: Bundle, capfd: pytest.CaptureFixture[str], name: str, damage: str
) -> None:
    (handed.root / name).write_bytes(DAMAGE[damage])
    said = commands(handed, capfd)
    assert all(code in (0, 1, 2) and "should not happen" not in text for code, text in said), said
    if name != "product/collection.json" and (name, damage) != ("provenance.json", "empty"):  # that one is read as none
        assert any(f"{name}: damaged" in text.replace("\n", "") for _, text in said), said


def test_a_manifest_that_names_a_file_outside_is_refused(handed: Bundle, capfd: pytest.CaptureFixture[str]) -> None:
    manifest = handed.product / "manifest.json"
    entries = json.loads(manifest.read_bytes())
    entries[0]["key"] = "data/../../../../../etc/passwd"
    manifest.write_text(json.dumps(entries))
    code, said = commands(handed, capfd)[0]
    assert code == 2
    assert "'data/../../../../../etc/passwd' is not a key" in said
