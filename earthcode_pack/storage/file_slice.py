"""Bytes of a file as the body of a request, held against the sha256 that they should have."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING

from earthcode_pack.errors import UserError
from earthcode_pack.execution.waiting import moved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BLOCK = 2**18  # bytes that are read, and sent, at once


class ChangedBytes(Exception):
    """The bytes that were signed have not the sha256 that they should have; nothing was sent."""


class FileSlice:
    """``size`` bytes of a file from the ``first`` on: a body that botocore reads to sign it, and again to send it.

    Blocks of 256 KiB are read, whatever less is asked for: an HTTP client would send 16 KiB at a time. ``sha256`` (hex)
    is what the bytes should have, where that is known; ``spend`` is told of bytes before they are sent.
    """

    def __init__(
        self,
        path: Path,
        first: int,
        size: int,
        *,
        sha256: str | None = None,
        spend: Callable[[int], None] = lambda _size: None,
    ) -> None:
        self.path, self.first, self.size = path, first, size
        self.failure: Exception | None = None  # of reading, which clients report as one of the network
        self._sha256, self._spend, self._is_sending = sha256, spend, False
        self._position = 0

    def __len__(self) -> int:
        return self.size

    def tell(self) -> int:
        """Returns the position in the slice."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves in the slice."""
        self._position = offset + (self.size if whence == io.SEEK_END else 0)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Returns the next bytes of the slice, at least ``size`` of them where there are so many."""
        wanted = self.size - self._position
        if size >= 0:
            wanted = min(wanted, max(size, BLOCK))
        try:
            data = self._read(wanted)
        except Exception as error:
            self.failure = error
            raise
        self._position += len(data)
        return data

    def _read(self, wanted: int) -> bytes:
        if not wanted:
            return b""
        if self._is_sending:
            moved()
            self._spend(wanted)
        file = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        try:
            os.lseek(file, self.first + self._position, os.SEEK_SET)
            data = os.read(file, wanted)
        finally:
            os.close(file)
        if len(data) < wanted:
            raise EOFError(str(self.path))
        return data

    def send(self, signed: str) -> None:
        """Begins sending bytes that were signed with this sha256. Raises ``ChangedBytes`` for another than expected."""
        if self._sha256 not in (None, signed):
            raise ChangedBytes
        self._is_sending = True

    def blocks(self) -> Iterator[bytes]:
        """Yields all bytes. Raises ``UserError`` where the file ends before, is gone, or cannot be read."""
        self._position = 0
        try:
            while block := self.read(BLOCK):
                yield block
        except FileNotFoundError:
            raise _changed(self.path, "it is gone") from None
        except EOFError:
            raise _changed(self.path, "it is shorter now") from None
        except OSError as error:
            raise unreadable(self.path, error) from None

    def digests(self, *kinds: str) -> tuple[str, ...]:
        """Returns hashes of the bytes in hex, by names of hashlib, in one reading. Raises as ``blocks`` does."""
        made = [hashlib.new(kind, usedforsecurity=False) for kind in kinds]
        for block in self.blocks():
            for each in made:
                each.update(block)
        return tuple(each.hexdigest() for each in made)


def size_of(local: Path) -> int:
    """Returns the bytes of a file. Raises ``UserError`` where it is gone."""
    try:
        return os.stat(local).st_size  # noqa: PTH116 - half the time of Path.stat
    except FileNotFoundError:
        raise _changed(local, "it is gone") from None


def checked_blocks(local: Path, sha256: str) -> Iterator[bytes]:
    """Yields the bytes of a file; the last block is followed by ``UserError`` if the sha256 (hex) differs.

    A consumer that makes an object visible only after the end never shows a file that was changed.
    """
    digest = hashlib.sha256()
    try:
        with local.open("rb") as file:
            while block := file.read(8 * 2**20):
                digest.update(block)
                yield block
    except FileNotFoundError:
        raise _changed(local, "it is gone") from None
    refuse_changed(local, digest.hexdigest(), sha256)


def unreadable(path: Path, error: OSError) -> UserError:
    """Returns the error of a file that this machine does not give away."""
    return UserError(f"{path}: cannot be read ({error.strerror})", "allow reading it, or mend its disk")


def refuse_changed_file(local: Path, size: int, sha256: str) -> None:
    """Raises ``UserError`` where a file has not its size any more, or not the sha256 (hex) that it should have."""
    refuse_changed(local, FileSlice(local, 0, size).digests("sha256")[0], sha256)


def refuse_changed(local: Path, found: str, sha256: str) -> None:
    """Raises ``UserError`` where the sha256 of a file (hex) is not the one it should have."""
    if found != sha256:
        raise _changed(local, f"its sha256 is {found[:12]}…, the manifest says {sha256[:12]}…")


def _changed(local: Path, how: str) -> UserError:
    return UserError(
        f"{local}: changed after the bundle was prepared: {how}", "prepare it again with `earthcode-pack run`"
    )
