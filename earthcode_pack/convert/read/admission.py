"""Refusal of inputs before any of their bytes are hashed, or a library sees them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.convert.read.open import driver_of
from earthcode_pack.convert.read.plausible import RATIO, printable, refuse_beyond_budget
from earthcode_pack.errors import Unreadable
from earthcode_pack.files import refuse_links, refuse_special
from earthcode_pack.storage.inputs import local_path

if TYPE_CHECKING:
    from collections.abc import Sequence


def refuse_what_cannot_be_read(href: str, follow: Sequence[str] = (), most: int | None = None) -> None:
    """Refuses a local input that is no file or folder, no format that is known, or a folder with links that leave it.

    Args:
        href: of the input; one that is remote is fetched first.
        follow: folders to which links may lead besides, ``source.follow`` of the profile.
        most: bytes of ``compute.max_decoded``.

    Raises:
        Unreadable: with the way on.

    """
    if printable(href) != href:
        raise Unreadable(f"{printable(href)}: its name is no UTF-8", "rename it, such as with `convmv -t UTF-8`")
    path = local_path(href)
    if path is not None:
        refuse_special(Path(path))
        _refuse_holes(Path(path), most)
        driver_of(Path(path))
        if Path(path).is_dir():
            refuse_links(Path(path), follow)


def _refuse_holes(path: Path, most: int | None) -> None:
    """Refuses a file that is nearly nothing but holes: to hash a terabyte of zeros takes an hour."""
    found = path.stat()
    if sys.platform != "win32" and path.is_file():
        stored = 512 * found.st_blocks
        refuse_beyond_budget(found.st_size, stored, path.name, None if most is None else max(most, RATIO * stored))
