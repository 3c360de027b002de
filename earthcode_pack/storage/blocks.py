"""The bytes of a file on their way, held against the sha256 that they should have."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING, Any

from earthcode_pack.errors import UserError
from earthcode_pack.storage.inputs import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEP = 2**20  # bytes that are read, hashed and sent while they are in the processor's cache


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


def proven_blocks(
    local: Path, size: int, sha256: str, md5: Any = None, memory: deque[bytearray] | None = None
) -> Iterator[memoryview]:
    """The bytes of a file of ``size`` bytes; the last block comes only once the sha256 of all (hex) is proven.

    So a server that needs all of them shows nothing of a file that was changed: ``UserError`` comes before the end.
    ``md5`` is a hash that is to see the bytes too; ``memory`` keeps what is used again, for new memory costs as much
    as hashing what is read into it. A block is good until the next one is asked for.
    """
    digest, held, left = hashlib.sha256(), memoryview(b""), size
    pool = deque[bytearray]() if memory is None else memory
    buffers = [_buffer(pool), _buffer(pool) if size >= STEP else bytearray(1)]
    try:
        with open(local, "rb", buffering=0) as file:  # noqa: PTH123 - half the time of Path.open
            while left >= 0 and (read := file.readinto(buffers[0])):
                left -= read
                block = memoryview(buffers[0])[:read]
                digest.update(block)
                if md5 is not None:
                    md5.update(block)
                if held:
                    yield held
                held = block
                buffers.reverse()
                if left == 0 and read < STEP:
                    break
        refuse_changed(local, digest.hexdigest() if left == 0 else "another size", sha256)
        if held:
            yield held
    except FileNotFoundError:
        raise _changed(local, "it is gone") from None
    finally:
        pool.extend(buffer for buffer in buffers if len(buffer) == STEP)


def _buffer(pool: deque[bytearray]) -> bytearray:
    try:
        return pool.pop()
    except IndexError:
        return bytearray(STEP)


def refuse_changed(local: Path, found: str, sha256: str) -> None:
    """Raises ``UserError`` where the sha256 of a file (hex) is not the one it should have."""
    if found != sha256:
        raise _changed(local, f"its sha256 is {found[:12]}…, the manifest says {sha256[:12]}…")


def _changed(local: Path, how: str) -> UserError:
    return UserError(
        f"{local}: changed after the bundle was prepared: {how}", "prepare it again with `earthcode-pack run`"
    )
