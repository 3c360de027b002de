"""SHA-256 of files and, for large files, of the parts of a multipart upload.

Both are computed in one read, so that storage which verifies signed parts needs no second read of the file.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from earthcode_pack.files import sha256
from earthcode_pack.model import PartSums

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 256 * 10**6  # bytes; larger files are uploaded in parts, and resumed
PART = 16 * 2**20  # bytes
_PARTS = 10_000  # limit of an upload (S3 API)
_BLOCK = 2**20


class Checksums(NamedTuple):
    """SHA-256 of a file in hex, and of its parts where the file is large."""

    sha256: str
    parts: PartSums | None = None


def part_size(size: int, least: int = PART) -> int:
    """Returns the part size of an object: 16 MiB, or the whole MiB that keep it within 10,000 parts.

    Args:
        size: Size of the object in bytes.
        least: Smallest part size in bytes.

    Returns:
        Size of each part but the last, in bytes.

    >>> part_size(0) // 2**20, part_size(10**12) // 2**20
    (16, 96)

    """
    return max(least, -(-size // _PARTS // 2**20) * 2**20)


def checksums(path: Path) -> Checksums:
    """Computes the checksums of a file in one read.

    Args:
        path: The file.

    Returns:
        The SHA-256 of the file; for a file above ``LARGE`` also those of its parts.

    """
    size = path.stat().st_size
    if size <= LARGE:
        return Checksums(sha256(path))
    step, whole, parts = part_size(size), hashlib.sha256(), []
    with path.open("rb", buffering=0) as file:
        for first in range(0, size, step):
            part, left = hashlib.sha256(), min(step, size - first)
            while left and (block := file.read(min(_BLOCK, left))):
                whole.update(block)
                part.update(block)
                left -= len(block)
            parts.append(part.hexdigest())
    return Checksums(whole.hexdigest(), PartSums(size=step, sha256=tuple(parts)))
