from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING

import osc_bundles as made
import pytest

from earthcode_pack.catalogs.osc import open_catalog
from earthcode_pack.errors import OutsideError, ProfileError, UserError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made.small_catalog(tmp_path / "metadata")


def _tar(target: Path, folder: Path, top: str = "top") -> str:
    with tarfile.open(target, "w:gz") as tar:
        tar.add(folder, arcname=top)
    return str(target)


def test_a_checkout_is_read_where_it_is(folder: Path, tmp_path: Path) -> None:
    catalog = open_catalog(str(folder), tmp_path / "work")
    assert catalog.root == folder
    assert catalog.ids("themes") == ("land", "oceans")
    assert catalog.title("variables", "sea-surface-temperature") == "Sea Surface Temperaturé"
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("top", ["top", "."])
def test_a_tar_with_and_without_a_top_folder(top: str, folder: Path, tmp_path: Path) -> None:
    catalog = open_catalog(_tar(tmp_path / "osc.tar.gz", folder, top), tmp_path / "work")
    assert catalog.has("projects", "4dmed-sea")
    assert (
        catalog.text("eo-missions/sentinel-3/catalog.json")
        == (folder / "eo-missions/sentinel-3/catalog.json").read_bytes().decode()
    )


def test_a_zip_by_url(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "osc.zip", "w") as archive:
        for path in folder.rglob("*.json"):
            archive.write(path, f"top/{path.relative_to(folder)}")
    catalog = open_catalog((tmp_path / "osc.zip").as_uri(), tmp_path / "work")
    assert catalog.ids("projects") == ("4dmed-sea",)


def test_an_archive_is_unpacked_once(folder: Path, tmp_path: Path) -> None:
    href = _tar(tmp_path / "osc.tar.gz", folder)
    first = open_catalog(href, tmp_path / "work")
    (first.root / "mark").touch()
    assert (open_catalog(href, tmp_path / "work").root / "mark").exists()


def _hostile(target: Path, name: str, link: bytes | None = None) -> str:
    with tarfile.open(target, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = link or tarfile.REGTYPE, "/etc/passwd" if link else ""
        member.size = 0 if link else 1
        tar.addfile(member, io.BytesIO(b"x"))
    return str(target)


@pytest.mark.parametrize(
    ("name", "link", "words"),
    [
        ("/etc/evil.json", None, "outside"),
        ("top/../../evil.json", None, "outside"),
        ("..\\evil.json", None, "outside"),
        ("C:\\evil.json", None, "outside"),
        ("top/evil.json", tarfile.SYMTYPE, "link"),
        ("top/evil.json", tarfile.LNKTYPE, "link"),
    ],
)
def test_members_that_leave_the_folder_are_refused(name: str, link: bytes | None, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        open_catalog(_hostile(tmp_path / "evil.tar.gz", name, link), tmp_path / "work")
    assert not list(tmp_path.rglob("evil.json"))


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        member = zipfile.ZipInfo("top/link")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(UserError, match="link"):
        open_catalog(str(tmp_path / "evil.zip"), tmp_path / "work")


def test_half_an_archive_is_no_archive(folder: Path, tmp_path: Path) -> None:
    whole = tmp_path / "osc.tar.gz"
    _tar(whole, folder)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(OutsideError, match="no whole archive"):
        open_catalog(str(whole), tmp_path / "work")
    assert not list((tmp_path / "work").glob("catalog-*"))


def test_a_git_repository_is_cloned_and_cloned_afresh(folder: Path, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.autocrlf=false"]
        subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    url = (folder / ".git").as_uri()
    first = open_catalog(url, tmp_path / "work")
    assert (
        first.text("eo-missions/sentinel-3/catalog.json")
        == (folder / "eo-missions/sentinel-3/catalog.json").read_bytes().decode()
    )
    (folder / "themes" / "land" / "catalog.json").unlink()
    git("commit", "--quiet", "-a", "-m", "two")
    assert open_catalog(f"git+{url}", tmp_path / "work").ids("themes") == ("oceans",)


def test_a_clone_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="cannot be cloned") as caught:
        open_catalog((tmp_path / "nowhere.git").as_uri(), tmp_path / "work")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("href", ["/nowhere/osc", "nowhere", "--upload-pack=touch", "ext::sh -c true"])
def test_what_is_no_catalogue_at_all_is_the_profiles_fault(href: str, tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"catalog\.metadata"):
        open_catalog(href, tmp_path)


def test_a_missing_archive_is_the_outsides(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="cannot be read"):
        open_catalog(str(tmp_path / "none.tar.gz"), tmp_path)


def test_another_folder_is_refused_by_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lacks products/catalog\.json"):
        open_catalog(str(tmp_path), tmp_path)


def test_a_broken_file_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "themes" / "land" / "catalog.json").write_text("{")
    with pytest.raises(OutsideError, match=r"land/catalog\.json"):
        open_catalog(str(folder), tmp_path).title("themes", "land")


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "headers"])
def test_an_archive_that_unpacks_to_more_than_it_may_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earthcode_pack.catalogs.osc.catalog._LARGEST", 1 << 20)
    size = 1 << 21
    path = tmp_path / f"osc.{kind.replace('headers', 'tar.gz')}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("top/a.json", bytes(size))
    else:
        with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
            member = tarfile.TarInfo("top/a.json")
            member.size = size if kind == "tar.gz" else 0
            member.pax_headers = {"comment": "x" * size} if kind == "headers" else {}
            tar.addfile(member, io.BytesIO(bytes(size)))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(UserError, match="more than 1048576 bytes"):
        open_catalog(str(path), tmp_path / "work")
    assert not [path for path in (tmp_path / "work").rglob("*") if path.is_file()]


def test_a_link_in_a_repository_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"id": "secret"}')
    shutil.rmtree(folder / "themes" / "land")
    (folder / "themes" / "land").mkdir()
    (folder / "themes" / "land" / "catalog.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(OutsideError, match=r"land/catalog\.json"):
        open_catalog(str(folder), tmp_path).title("themes", "land")


@pytest.mark.parametrize("name", ["a" * 300 + "/evil.json", "/".join(["evil"] * 500)])
def test_a_name_that_no_file_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(UserError, match="outside"):
        open_catalog(str(tmp_path / "evil.zip"), tmp_path / "work")
