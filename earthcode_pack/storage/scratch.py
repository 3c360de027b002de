"""Places of this machine for what lies at a URL: mirrors of bundles, and folders for parts under way."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from earthcode_pack.storage.error_messages import safe_key

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRATCH = ".work/scratch"  # in a mirror
_HELD: dict[str, Path] = {}  # folders by the URL that they mirror, while this process works on them


def mirrors() -> Path:
    """Returns the folder of mirrors: ``workdirs`` in ``EARTHCODE_PACK_SCRATCH``, else in the user's cache."""
    return (_given() or Path(platformdirs.user_cache_dir("earthcode-pack"))) / "workdirs"


def _given() -> Path | None:
    given = os.environ.get("EARTHCODE_PACK_SCRATCH")
    return Path(given).absolute() if given else None


@contextmanager
def standing_for(url: str, root: Path) -> Iterator[None]:
    """``root`` stands for a URL in this process: parts made in it need not travel."""
    _HELD[url] = root
    try:
        yield
    finally:
        del _HELD[url]


def stands_here(url: str, root: Path) -> bool:
    """Tells whether ``root`` stands for a URL in this process now."""
    return _HELD.get(url) == root


def here(url: str) -> Path | None:
    """Returns what stands in this process for a URL below a mirrored one."""
    return next((root / url[len(top) + 1 :] for top, root in _HELD.items() if url.startswith(f"{top}/")), None)


@contextmanager
def scratch_for(url: str) -> Iterator[Path]:
    """A folder for what is made for a URL, removed afterwards: on the disk of its mirror where that is here."""
    top = next((root / SCRATCH for held, root in _HELD.items() if url.startswith(f"{held}/")), _given())
    if top is not None:
        top.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="earthcode-pack-", dir=top) as folder:
        yield Path(folder)


def pack(folder: Path, target: Path) -> None:
    """Writes all files of a folder into one ZIP, which may lie in it."""
    temporary = target.with_suffix(".part")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path not in (temporary, target))
    with zipfile.ZipFile(temporary, "w") as archive:
        for path in paths:
            archive.write(path, path.relative_to(folder).as_posix())
    temporary.replace(target)


def unpack(data: bytes, folder: Path) -> set[str]:
    """Writes what ``pack`` has packed, except what is there already. Returns the keys of all."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        keys = {safe_key(name) for name in archive.namelist()}
        for key in sorted(keys):
            if not (folder / key).is_file():
                archive.extract(key, folder)
    return keys
