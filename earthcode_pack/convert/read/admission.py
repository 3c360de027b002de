"""Whether an input may be looked at: said before any of its bytes are hashed, or a library sees it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack import storage
from earthcode_pack.convert.read.open import driver_of
from earthcode_pack.storage.inputs import local_path

if TYPE_CHECKING:
    from collections.abc import Sequence


def refuse_what_cannot_be_read(href: str, follow: Sequence[str] = ()) -> None:
    """Refuses a local input that is no file or folder, no format that is known, or a folder with links that leave it.

    Args:
        href: of the input; one that is remote is fetched first.
        follow: folders to which links may lead besides, ``source.follow`` of the profile.

    Raises:
        Unreadable: with the way on.

    """
    path = local_path(href)
    if path is not None:
        storage.refuse_special(Path(path))
        driver_of(Path(path))
        storage.refuse_links_that_leave(Path(path), follow)
