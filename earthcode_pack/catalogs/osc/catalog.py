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
from dataclasses import dataclass
from functools import cached_property
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
    """Where an entry lies, relative to the catalogue's root.

    >>> path_of("eo-missions", "sentinel-3")
    'eo-missions/sentinel-3/catalog.json'
    """
    return f"{kind}/{entry}/{FILES[kind]}"


def title_in(record: dict[str, Any]) -> str:
    """The title of a STAC object or of a Record, which keeps it among its properties."""
    holder = record.get("properties", {}) if record.get("type") == "Feature" else record
    return str(holder.get("title") or record.get("id", ""))


@dataclass(frozen=True)
class Catalog:
    """The catalogue by its folder. Files are read when they are asked for; paths are relative to ``root``."""

    root: Path

    @cached_property
    def _ids(self) -> dict[str, tuple[str, ...]]:
        return {}

    def ids(self, kind: Kind) -> tuple[str, ...]:
        """The ids of one kind, sorted: the folders that hold its file."""
        if kind not in self._ids:
            found = (self.root / kind).glob(f"*/{FILES[kind]}")
            self._ids[kind] = tuple(sorted(path.parent.name for path in found))
        return self._ids[kind]

    def has(self, kind: Kind, entry: str) -> bool:
        """Whether the entry exists; upper and lower case differ, as they do in the catalogue's links."""
        return entry in self.ids(kind)

    def title(self, kind: Kind, entry: str) -> str:
        """The title as the entry itself states it."""
        return title_in(self.read(path_of(kind, entry)))

    def text(self, path: str) -> str | None:
        """A file as it is, line ends and all; None where there is none, or where a link leads out of the catalogue."""
        file = self.root / path
        try:
            if not file.resolve().is_relative_to(self.root.resolve()):
                return None
            return file.read_bytes().decode() if file.is_file() else None
        except (OSError, UnicodeDecodeError) as error:
            raise OutsideError(f"{file}: cannot be read ({error})", "look at the catalogue's copy") from error

    def read(self, path: str) -> dict[str, Any]:
        """A file as JSON.

        Raises ``OutsideError`` where it is missing or is no JSON object.
        """
        text = self.text(path)
        try:
            return dict(json.loads((text or "").removeprefix("\ufeff")))
        except (ValueError, TypeError) as error:
            raise OutsideError(
                f"{self.root / path}: no JSON object ({error})", "look at the catalogue's copy"
            ) from error

    def record(self, kind: Kind, entry: str) -> dict[str, Any] | None:
        """The record of an entry; None where the catalogue has none."""
        return self.read(path_of(kind, entry)) if self.has(kind, entry) else None

    def paths(self) -> Iterator[str]:
        """Every JSON file, sorted."""
        for path in sorted(self.root.rglob("*.json")):
            yield path.relative_to(self.root).as_posix()


def catalog_in(folder: Path) -> Catalog:
    """The catalogue in a folder.

    Raises ``UserError`` where the folder holds something else.
    """
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
    """The catalogue that ``metadata`` names: a checkout, a .tar.gz or .zip archive (any fsspec URL), or a git URL.

    Archives are unpacked and repositories cloned below ``workdir``; a checkout is read where it is.

    Raises ``ProfileError`` where there is no such thing, ``OutsideError`` where it cannot be had, ``UserError`` where
    it is not the Open Science Catalog or its archive would write outside its folder.
    """
    if Path(metadata).is_dir() and not _is_bare(Path(metadata)):
        return catalog_in(Path(metadata))
    if _ARCHIVE.search(urlsplit(metadata).path):
        return catalog_in(_unpacked(metadata, workdir))
    if _GIT.match(metadata) or Path(metadata).is_dir():
        return catalog_in(_cloned(metadata, workdir))
    raise ProfileError(
        f"catalog.metadata: {metadata} is no folder, archive or git URL",
        "set it to a checkout, a .tar.gz or .zip archive or a git URL of open-science-catalog-metadata",
    )


def _is_bare(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir()


def _cloned(url: str, workdir: Path) -> Path:
    """A fresh clone; the one before goes, for the catalogue moves on."""
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
        raise OutsideError(
            f"catalog.metadata: {url} cannot be cloned ({_reason(error)})",
            "see that git is installed and may read it, or name a checkout or an archive",
        ) from error
    return target


def _reason(error: Exception) -> str:
    stderr = getattr(error, "stderr", None)
    lines = stderr.decode(errors="replace").strip().splitlines() if stderr else []
    return lines[-1] if lines else str(error)


def _unpacked(href: str, workdir: Path) -> Path:
    """The archive's files in a folder named by its content, so that a second run unpacks nothing."""
    workdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=workdir) as scratch:
        archive = Path(scratch) / "archive"
        digest = _fetched(href, archive)
        target = workdir / f"catalog-{digest[:16]}"
        if not target.is_dir():
            files = Path(scratch) / "files"
            _unpack(href, archive, files)
            _inner(files).rename(target)
    return target


def _fetched(href: str, target: Path) -> str:
    """Copies an archive here; returns its sha256."""
    import fsspec  # noqa: PLC0415 - keeps the import of this module light

    def copy() -> None:
        with fsspec.open(href, "rb") as source, target.open("wb") as copy:
            _copy(href, source, copy, _LARGEST)

    if "://" not in href and not Path(href).is_file():
        raise OutsideError(f"catalog.metadata: {href} cannot be read (it is no file)", "name one that can be read")
    try:
        bounded(
            copy, Wait(f"the archive of the catalogue, {shown(href)},", _CLONE_SECONDS), "name one that can be read"
        )
    except (OSError, ValueError, ImportError) as error:
        raise OutsideError(f"catalog.metadata: {href} cannot be read ({error})", "name one that can be read") from error
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(href: str, archive: Path, folder: Path) -> None:
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
            _write(href, folder / name, content, size)
    except (OSError, EOFError, RuntimeError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        raise OutsideError(f"catalog.metadata: {href} is no whole archive ({error})", "fetch it again") from error


def _inflated(href: str, archive: Path) -> Path:
    """The archive without gzip around it, of which no more is unpacked than an archive may have."""
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
    if (
        "\0" in name
        or len(name) > _LONGEST
        or any(len(part.encode(errors="replace")) > _PART for part in name.split("/"))
    ):
        return True
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or any(":" in part for part in path.parts[:1])


def _write(href: str, path: Path, content: IO[bytes], size: int) -> None:
    """Takes no more bytes than the archive's index promised, block by block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        _copy(href, content, file, size)


def _copy(href: str, source: IO[bytes] | gzip.GzipFile, target: IO[bytes], most: int) -> None:
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
            link = stat.S_ISLNK(member.external_attr >> 16)
            _refuse(archive.name, member.filename, "a link", wrong=link)
            if not member.is_dir():
                with packed.open(member) as content:
                    yield member.filename, member.file_size, content


def _inner(folder: Path) -> Path:
    """The folder itself, or the one folder in it that archives of repositories have at their top."""
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
