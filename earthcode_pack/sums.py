"""What a file's bytes sum up to: its sha256 and, of a large one, those of the parts in which storage takes it.

Storage that checks what is signed proves each byte by them, and nobody needs to read the file again to hash it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from earthcode_pack.files import sha256
from earthcode_pack.model import PartSums

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 256 * 10**6  # bytes; what is larger is sent in parts, and resumed
PART = 16 * 2**20  # bytes
_PARTS = 10_000  # an upload holds no more (S3 API)
_BLOCK = 2**20


class Sums(NamedTuple):
    """The sha256 of a file in hex, and those of its parts where it is large."""

    sha256: str
    parts: PartSums | None = None


def part_size(size: int, least: int = PART) -> int:
    """Bytes of each part of an object of ``size`` bytes: 16 MiB, or as many MiB as keep it within 10,000 parts.

    >>> part_size(0) // 2**20, part_size(10**12) // 2**20
    (16, 96)
    """
    return max(least, -(-size // _PARTS // 2**20) * 2**20)


def sums(path: Path) -> Sums:
    """The sums of a file, read once."""
    size = path.stat().st_size
    if size <= LARGE:
        return Sums(sha256(path))
    step, whole, parts = part_size(size), hashlib.sha256(), []
    with path.open("rb", buffering=0) as file:
        for first in range(0, size, step):
            part, left = hashlib.sha256(), min(step, size - first)
            while left and (block := file.read(min(_BLOCK, left))):
                whole.update(block)
                part.update(block)
                left -= len(block)
            parts.append(part.hexdigest())
    return Sums(whole.hexdigest(), PartSums(size=step, sha256=tuple(parts)))
