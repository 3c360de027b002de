"""Locks of files, and reads and writes at a position of a file, the same on Linux, macOS and Windows."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Buffer, Iterator
    from pathlib import Path

_SEEKING = Lock()  # Windows has one position for all threads that share a file


@contextmanager
def locked(path: Path, *, wait: float = 0) -> Iterator[bool]:
    """Holds an exclusive lock on a file, which the operating system releases when the process ends.

    Args:
        path: the lock file; it and its folder are created, and stay.
        wait: seconds to wait for the lock to become free; by default one attempt is made.

    Yields:
        whether the lock is held.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Reads into a buffer from a position of a file that threads share.

    Returns:
        the number of bytes read: fewer than asked for at the end of the file and, on Linux, beyond 2 GiB.

    """
    if sys.platform != "win32":
        return os.preadv(descriptor, [buffer], offset)
    with _SEEKING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        data = os.read(descriptor, len(buffer))
    buffer[: len(data)] = data
    return len(data)


def write_at(descriptor: int, data: Buffer, offset: int) -> int:
    """Writes to a position of a file that threads share.

    Returns:
        the number of bytes written, which may be fewer than given.

    """
    if sys.platform != "win32":
        return os.pwrite(descriptor, data, offset)
    with _SEEKING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, data)
