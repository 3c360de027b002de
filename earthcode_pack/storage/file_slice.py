"""The bytes of a file on their way, held against the sha256 that they should have."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from earthcode_pack.errors import UserError
from earthcode_pack.storage.inputs import BLOCK
from earthcode_pack.storage.wire import Stretch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def checked_blocks(local: Path, sha256: str) -> Iterator[bytes]:
    """The bytes of a file in blocks; the last one is followed by ``UserError`` if the sha256 (hex) differs.

    A consumer that makes an object visible only after the end never shows a file that was changed.
    """
    digest = hashlib.sha256()
    try:
        with local.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                yield block
    except FileNotFoundError:
        raise _changed(local, "it is gone") from None
    refuse_changed(local, digest.hexdigest(), sha256)


def digests(stretch: Stretch, *kinds: str) -> tuple[str, ...]:
    """Hashes (hex, names as of hashlib) of bytes of a file, read once. Raises ``UserError`` where it ends before."""
    made = [hashlib.new(kind, usedforsecurity=False) for kind in kinds]
    for block in read(stretch):
        for each in made:
            each.update(block)
    return tuple(each.hexdigest() for each in made)


def read(stretch: Stretch) -> Iterator[memoryview]:
    """Its blocks. Raises ``UserError`` where the file ends before, is gone, or cannot be read."""
    try:
        yield from stretch.blocks()
    except FileNotFoundError:
        raise _changed(stretch.path, "it is gone") from None
    except EOFError:
        raise _changed(stretch.path, "it is shorter now") from None
    except OSError as error:
        raise unreadable(stretch.path, error) from None


def unreadable(path: Path, error: OSError) -> UserError:
    """A file that this machine does not give away."""
    return UserError(f"{path}: cannot be read ({error.strerror})", "allow reading it, or mend its disk")


def refuse_changed_file(local: Path, size: int, sha256: str) -> None:
    """Raises ``UserError`` where a file has not its size any more, or not the sha256 (hex) that it should have."""
    refuse_changed(local, digests(Stretch(local, 0, size), "sha256")[0], sha256)


def refuse_changed(local: Path, found: str, sha256: str) -> None:
    """Raises ``UserError`` where the sha256 of a file (hex) is not the one it should have."""
    if found != sha256:
        raise _changed(local, f"its sha256 is {found[:12]}…, the manifest says {sha256[:12]}…")


def _changed(local: Path, how: str) -> UserError:
    return UserError(
        f"{local}: changed after the bundle was prepared: {how}", "prepare it again with `earthcode-pack run`"
    )
