"""Files of this machine that an href names: what a pattern matches, and where the links of a folder lead.

A link that the pattern itself matches is followed, as archives are linked. A link inside a folder, such as a Zarr
store, is followed only where it leads to a place in that folder, or in one that ``source.follow`` names.
"""

from __future__ import annotations

import glob as patterns
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_KINDS = {
    stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
}  # fmt: skip
_NAMED = "leave it out of source.href; data are read from files and folders alone"


def matches(pattern: str) -> list[str]:
    """The paths that a glob matches, sorted; ``**`` enters each folder once, so that circles of links end."""
    head, deep, rest = (f"{pattern}/*" if pattern.endswith("/**") else pattern).partition("**/")
    if not deep or (head and not head.endswith("/")):
        return sorted(patterns.glob(pattern, recursive=True))  # noqa: PTH207
    seen: set[tuple[int, int]] = set()
    found: set[str] = set()
    for top in matches(head) if head else ["."]:
        for folder in _folders(top, seen):
            found.update(matches(os.path.join(patterns.escape(folder if head else folder[2:]), rest)))  # noqa: PTH118
    return sorted(found)


def _folders(top: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Yields a folder and all visible ones below it."""
    for folder, below, _ in _walk(top, seen):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield folder


def _walk(top: str | Path, seen: set[tuple[int, int]] | None = None) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walks as ``os.walk``, through links too, into each folder once: so circles of links end."""
    seen = set() if seen is None else seen
    for folder, below, names in os.walk(top, followlinks=True):
        here = os.stat(folder)  # noqa: PTH116
        if (here.st_dev, here.st_ino) in seen:
            below.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        yield folder, below, names


def files_below(folder: Path) -> list[Path]:
    """All files of a folder, sorted, those behind links included; a circle of links is entered once.

    Raises ``Unreadable`` for what is no file: a pipe, which would be waited for, or a device, which may never end.
    """
    found = [Path(top) / name for top, _, names in _walk(folder) for name in names]
    for path in found:
        refuse_special(path, f"{folder.name}: {path.relative_to(folder).as_posix()}")
    return sorted(found)


def refuse_links_that_leave(path: Path, follow: Sequence[str] = ()) -> None:
    """Refuses a folder with links that leave it; the path itself may be a link. Opens nothing.

    Args:
        path: as ``source.href`` names it.
        follow: folders to which links may lead besides, ``source.follow`` of the profile.

    Raises:
        Unreadable: names the link and where it leads.

    """
    if path.is_dir():
        within = [os.path.realpath(folder) for folder in (str(path), *follow)]
        for link in _links(path):
            _refuse_leaving(link, path, within)


def _links(folder: Path) -> Iterator[Path]:
    """The links in a folder, of files and of folders, those behind links that lead elsewhere included."""
    for top, below, names in _walk(folder):
        yield from (path for path in (Path(top, name) for name in (*below, *names)) if path.is_symlink())


def _refuse_leaving(link: Path, folder: Path, within: Iterable[str]) -> None:
    target = os.path.realpath(link)
    if not any(target == top or target.startswith(top.rstrip("/") + os.sep) for top in within):
        raise Unreadable(
            f"{folder.name}: {link.relative_to(folder).as_posix()} is a link that leaves it, to {target}",
            f"put the files themselves there, such as with `cp -rL`, or allow it: source.follow: "
            f"[{os.path.dirname(target)}]",  # noqa: PTH120
        )


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
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is not None:
        raise Unreadable(f"{name or path}: {kind}, and no file", _NAMED)
