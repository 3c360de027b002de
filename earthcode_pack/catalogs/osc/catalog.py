"""The Open Science Catalog's metadata as files: opened from a checkout, an archive or a git URL, and read.

Layout and file names: https://github.com/ESA-EarthCODE/open-science-catalog-metadata
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from earthcode_pack.errors import OutsideError, ProfileError, UserError
from earthcode_pack.execution.waiting import Wait, bounded, waiting
from earthcode_pack.redact import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["products", "projects", "themes", "variables", "eo-missions", "workflows", "experiments"]

FILES: dict[Kind, str] = {
    "products": "collection.json",
    "projects": "collection.json",
    "themes": "catalog.json",
    "variables": "catalog.json",
    "eo-missions": "catalog.json",
    "workflows": "record.json",
    "experiments": "record.json",
}
PREFIXES: dict[Kind, str] = {
    "products": "Product",
    "projects": "Project",
    "themes": "Theme",
    "variables": "Variable",
    "eo-missions": "EO Mission",
    "workflows": "Workflow",
    "experiments": "Experiment",
}


def path_of(kind: Kind, entry: str) -> str:
    """Returns the path of an entry, relative to the catalogue's root.

    >>> path_of("eo-missions", "sentinel-3")
    'eo-missions/sentinel-3/catalog.json'
    """
    return f"{kind}/{entry}/{FILES[kind]}"


def title_in(record: dict[str, Any]) -> str:
    """Returns the title of a STAC object, or of a Record, which has it among its properties."""
    holder = record.get("properties", {}) if record.get("type") == "Feature" else record
    return str(holder.get("title") or record.get("id", ""))


@dataclass(frozen=True)
class Catalog:
    """The catalogue in a folder. Files are read on demand; paths are relative to ``root``."""

    root: Path
    _ids: dict[Kind, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    def ids(self, kind: Kind) -> tuple[str, ...]:
        """Returns the ids of one kind, sorted: the folders that hold its file."""
        if kind not in self._ids:
            found = (self.root / kind).glob(f"*/{FILES[kind]}")
            self._ids[kind] = tuple(sorted(path.parent.name for path in found))
        return self._ids[kind]

    def has(self, kind: Kind, entry: str) -> bool:
        """Tells if the entry exists; upper and lower case differ, as they do in the catalogue's links."""
        return entry in self.ids(kind)

    def title(self, kind: Kind, entry: str) -> str:
        """Returns the title that the entry itself states."""
        return title_in(self.read(path_of(kind, entry)))

    def text(self, path: str) -> str | None:
        """Returns the text of a file, line ends as they are; None where it is absent or a link that leads outside."""
        file = self.root / path
        try:
            if not file.resolve().is_relative_to(self.root.resolve()):
                return None
            return file.read_bytes().decode() if file.is_file() else None
        except (OSError, UnicodeDecodeError) as error:
            raise OutsideError(f"{file}: cannot be read ({error})", "look at the catalogue's copy") from error

    def read(self, path: str) -> dict[str, Any]:
        """Reads a file as JSON; raises ``OutsideError`` where it is absent or no JSON object."""
        text = self.text(path)
        try:
            return dict(json.loads((text or "").removeprefix("\ufeff")))
        except (ValueError, TypeError) as error:
            raise OutsideError(
                f"{self.root / path}: no JSON object ({error})", "look at the catalogue's copy"
            ) from error

    def record(self, kind: Kind, entry: str) -> dict[str, Any] | None:
        """Reads the record of an entry; None where the catalogue has none."""
        return self.read(path_of(kind, entry)) if self.has(kind, entry) else None

    def paths(self) -> Iterator[str]:
        """Yields the path of every JSON file, sorted."""
        for path in sorted(self.root.rglob("*.json")):
            yield path.relative_to(self.root).as_posix()


def catalog_in(folder: Path) -> Catalog:
    """Opens the catalogue in a folder; raises ``UserError`` where the folder holds something else."""
    missing = [f"{kind}/catalog.json" for kind in FILES if not (folder / kind / "catalog.json").is_file()]
    if missing or not (folder / "catalog.json").is_file():
        lacking = ", ".join(missing or ["catalog.json"])
        raise UserError(
            f"{folder}: not the Open Science Catalog's metadata (it lacks {lacking})",
            "set catalog.metadata to a checkout, archive or git URL of open-science-catalog-metadata",
        )
    return Catalog(folder)


_ARCHIVE = re.compile(r"\.(tar|tar\.gz|tgz|zip)$")
_GIT = re.compile(r"^(git@[\w.-]+:|ssh://|git://|git\+|https?://|file://)")
_LARGEST = 512 * 1024**2  # bytes of an archive, packed as unpacked; the catalogue of 2026 has 24 MB
_MOST = 200_000  # members; it has 3,000
_BLOCK = 1 << 20
_LONGEST, _PART = 1000, 255  # of a path, and of a name in it
_CLONE_SECONDS = 600


def open_catalog(metadata: str, workdir: Path) -> Catalog:
    """Opens the catalogue that ``catalog.metadata`` of a profile names.

    Args:
        metadata: a checkout, a .tar.gz or .zip archive (any fsspec URL), or a git URL.
        workdir: the folder below which archives are unpacked and repositories cloned; a checkout is read in place.

    Raises:
        ProfileError: ``metadata`` is none of these.
        OutsideError: it cannot be fetched.
        UserError: it is not the Open Science Catalog, or its archive would write outside its folder.

    """
    folder = Path(metadata)
    is_bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()  # a git repository without a checkout
    if folder.is_dir() and not is_bare:
        return catalog_in(folder)
    if _ARCHIVE.search(urlsplit(metadata).path):
        return catalog_in(_unpacked(metadata, workdir))
    if _GIT.match(metadata) or folder.is_dir():
        return catalog_in(_cloned(metadata, workdir))
    raise ProfileError(
        f"catalog.metadata: {metadata} is no folder, archive or git URL",
        "set it to a checkout, a .tar.gz or .zip archive or a git URL of open-science-catalog-metadata",
    )


def _cloned(url: str, workdir: Path) -> Path:
    """Clones a repository anew in place of an earlier clone, since the catalogue moves on."""
    target = workdir / f"catalog-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
    shutil.rmtree(target, ignore_errors=True)
    workdir.mkdir(parents=True, exist_ok=True)
    command = ["git", "clone", "--quiet", "--depth", "1", "-c", "core.autocrlf=false", "-c", "core.symlinks=false"]
    command += ["--", url.removeprefix("git+"), str(target)]
    environment = {"GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", **os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        with waiting(f"git to clone {shown(url)}", _CLONE_SECONDS):
            subprocess.run(command, check=True, capture_output=True, timeout=_CLONE_SECONDS, env=environment)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        stderr = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
        reason = stderr.splitlines()[-1] if stderr else error
        raise OutsideError(
            f"catalog.metadata: {url} cannot be cloned ({reason})",
            "see that git is installed and may read it, or name a checkout or an archive",
        ) from error
    return target


def _unpacked(href: str, workdir: Path) -> Path:
    """Unpacks an archive into a folder named by its content, so that a second run unpacks nothing."""
    workdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=workdir) as scratch:
        archive = Path(scratch) / "archive"
        _fetch(href, archive)
        with archive.open("rb") as file:
            target = workdir / f"catalog-{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"
        if not target.is_dir():
            files = Path(scratch) / "files"
            _unpack(href, archive, files)
            inside = list(files.iterdir())  # archives of repositories have one folder at their top
            (inside[0] if len(inside) == 1 and inside[0].is_dir() else files).rename(target)
    return target


def _fetch(href: str, target: Path) -> None:
    import fsspec  # noqa: PLC0415 - keeps the import of this module light

    def copy() -> None:
        with fsspec.open(href, "rb") as source, target.open("wb") as file:
            _copy(href, source, file, _LARGEST)

    if "://" not in href and not Path(href).is_file():
        raise OutsideError(f"catalog.metadata: {href} cannot be read (it is no file)", "name one that can be read")
    wait = Wait(f"the archive of the catalogue, {shown(href)},", _CLONE_SECONDS)
    try:
        bounded(copy, wait, "name one that can be read")
    except (OSError, ValueError, ImportError) as error:
        raise OutsideError(f"catalog.metadata: {href} cannot be read ({error})", "name one that can be read") from error


def _unpack(href: str, archive: Path, folder: Path) -> None:
    """Unpacks the members into a folder; names, kinds and sizes are checked before each is written."""
    room = _LARGEST
    folder.mkdir()
    try:
        archive = _inflated(href, archive)
        members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
        for number, (name, size, content) in enumerate(members(archive)):
            room -= size
            _refuse(href, name, f"one of more than {_MOST}", wrong=number >= _MOST)
            _refuse(href, name, "a path outside the archive", wrong=_leaves(name))
            _refuse(href, name, f"more than {_LARGEST} bytes", wrong=room < 0)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                _copy(href, content, file, size)
    except (OSError, EOFError, RuntimeError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        raise OutsideError(f"catalog.metadata: {href} is no whole archive ({error})", "fetch it again") from error


def _inflated(href: str, archive: Path) -> Path:
    """Returns the archive without gzip around it, inflated no further than an archive may be large."""
    with archive.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return archive
    plain = archive.with_name("inflated")
    with gzip.open(archive) as source, plain.open("wb") as copy:
        _copy(href, source, copy, _LARGEST)
    return plain


def _refuse(href: str, name: str, what: str, *, wrong: bool) -> None:
    if wrong:
        raise UserError(f"catalog.metadata: {href}: refused, its member {name!r} is {what}", "use an archive you trust")


def _leaves(name: str) -> bool:
    """Tells if a member would be written outside the folder, or under a name that no file can have."""
    too_long = len(name) > _LONGEST or any(len(part.encode(errors="replace")) > _PART for part in name.split("/"))
    path = PurePosixPath(name.replace("\\", "/"))
    drive = any(":" in part for part in path.parts[:1])
    return "\0" in name or too_long or path.is_absolute() or ".." in path.parts or drive


def _copy(href: str, source: IO[bytes] | gzip.GzipFile, target: IO[bytes], most: int) -> None:
    """Copies a stream block by block, and stops with an error beyond ``most`` bytes."""
    copied = 0
    while block := source.read(_BLOCK):
        copied += len(block)
        if copied > most:
            raise UserError(f"catalog.metadata: {href} has more than {most} bytes", "use an archive you trust")
        target.write(block)


def _tar_members(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            _refuse(archive.name, member.name, "a link or a device", wrong=not (member.isfile() or member.isdir()))
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name, member.size, content


def _zip_members(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            _refuse(archive.name, member.filename, "a link", wrong=stat.S_ISLNK(member.external_attr >> 16))
            if not member.is_dir():
                with packed.open(member) as content:
                    yield member.filename, member.file_size, content
