"""Links and special files of folders: what leads out, or never ends, is refused by name before a value is read.

Whoever hands a folder over chooses what its links name, and could have any file of this machine read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_KINDS = {
    stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
}  # fmt: skip


def walk(top: str | Path, seen: set[tuple[int, int]] | None = None) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walks as ``os.walk``, through links too, into each folder once: so circles of links end."""
    seen = set() if seen is None else seen
    for folder, below, names in os.walk(top, followlinks=True):
        here = os.stat(folder)  # noqa: PTH116
        if (here.st_dev, here.st_ino) in seen:
            below.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        yield folder, below, names


def refuse_links(folder: Path, follow: Sequence[str] | None = None, name: str | None = None) -> None:
    """Refuses a folder in which a link leads out, or something is neither file nor folder. Opens nothing.

    Args:
        folder: a Zarr store, or the product of a bundle; it may itself be a link.
        follow: folders to which links may lead besides, ``source.follow`` of the profile; None where none can be
            allowed.
        name: what the error calls the folder, its own name by default.

    Raises:
        Unreadable: names the first such entry, and where the link leads.

    """
    within = [os.path.realpath(top) for top in (str(folder), *(follow or ()))]
    for top, below, names in walk(folder):
        for path in (Path(top, name) for name in (*below, *names)):
            what = f"{name or folder.name}: {path.relative_to(folder).as_posix()}"
            if not path.is_symlink():
                _refuse_kind(path.lstat().st_mode, what)
                continue
            target = os.path.realpath(path)
            if not any(target == root or target.startswith(root.rstrip("/") + os.sep) for root in within):
                allow = "" if follow is None else f", or allow it: source.follow: [{Path(target).parent}]"
                raise Unreadable(
                    f"{what} is a link that leaves it, to {target}",
                    f"put the files themselves there, such as with `cp -rL`{allow}",
                )
            refuse_special(path, what)


def refuse_special(path: Path, name: str | None = None) -> None:
    """Refuses what is neither file nor folder: a pipe, a device, a link that leads nowhere or in a circle.

    ``name`` is what the error calls it, the path itself by default. Raises ``Unreadable``.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        what = "a link to a file that is not there" if path.is_symlink() else "no such file"
        raise Unreadable(f"{name or path}: {what}", "correct source.href, or fetch the file") from None
    except OSError as error:
        raise Unreadable(
            f"{name or path}: cannot be read ({error.strerror})", "check its permissions and links"
        ) from None
    _refuse_kind(mode, name or str(path))


def _refuse_kind(mode: int, name: str) -> None:
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is not None:
        raise Unreadable(f"{name}: {kind}, and no file", "remove it, or leave it out of source.href")
