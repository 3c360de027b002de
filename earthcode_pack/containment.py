"""Folders that lead out of themselves: refused by name before a value of them is read.

Whoever hands a file over chooses what its links name, and could have any file of this machine read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_REMEDY = "put the data themselves there: copy with cp -rL, or write the file again"


def refuse_links(folder: Path, name: str) -> None:
    """Refuses a folder in which a symbolic link leads out, or something is neither file nor folder.

    Args:
        folder: a Zarr store, or the product of a bundle; it may itself be a link.
        name: how the message calls it.

    Raises:
        Unreadable: names the first such entry and where it leads.

    """
    root = folder.resolve()
    for entry in _entries(root):
        key = Path(entry.path).relative_to(root).as_posix()
        if entry.is_symlink():
            target = Path(entry.path).resolve()
            if not target.is_relative_to(root):
                raise Unreadable(f"{name}: {key} is a link to {Path(entry.path).readlink()}, outside of it", _REMEDY)
            mode = target.stat().st_mode if target.exists() else stat.S_IFREG
        else:
            mode = entry.stat(follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise Unreadable(f"{name}: {key} is a pipe, a socket or a device", "remove it")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))
