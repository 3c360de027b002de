"""Files of this machine that an href names: what a pattern matches, and what a folder holds.

A link that the pattern itself matches is followed, as archives are linked. A link inside a folder, such as a Zarr
store, is followed only where it leads to a place in that folder, or in one that ``source.follow`` names.
"""

from __future__ import annotations

import glob as patterns
import os
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.files import refuse_special, walk

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    for folder, below, _ in walk(top, seen):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield folder


def files_below(folder: Path) -> list[Path]:
    """Returns all files of a folder, sorted, those behind links included; a circle of links is entered once.

    Raises ``Unreadable`` for what is no file: a pipe, which would be waited for, or a device, which may never end.
    """
    found = [Path(top) / name for top, _, names in walk(folder) for name in names]
    for path in found:
        refuse_special(path, f"{folder.name}: {path.relative_to(folder).as_posix()}")
    return sorted(found)
