"""Local files, the same on Linux, macOS and Windows: whole-file writes, checksums, locks, positional reads, links."""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from earthcode_pack.errors import Unreadable, full_disk

if TYPE_CHECKING:
    from collections.abc import Buffer, Iterable, Iterator, Sequence

_KINDS = {
    stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
}  # fmt: skip
_SEEKING = Lock()  # Windows has one position for all threads that share a file


def write_atomic(path: Path, data: str | bytes | Iterable[str]) -> None:
    """Writes a file whole or not at all; a file that holds these bytes already is left alone.

    Args:
        path: of the file; its folder is created.
        data: text, bytes, or pieces of text, which are never in memory as a whole.

    Raises:
        OutsideError: the disk is full.

    """
    raw = data.encode() if isinstance(data, str) else data
    if isinstance(raw, bytes) and path.is_file() and path.read_bytes() == raw:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(raw, bytes):
            temporary.write_bytes(raw)
        else:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(raw)
        if path.is_file() and not isinstance(raw, bytes) and filecmp.cmp(path, temporary, shallow=False):
            temporary.unlink()
        else:
            temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        if full := full_disk(error, str(path)):
            raise full from error
        raise


def to_json(data: Any) -> str:
    """Formats JSON with two spaces of indentation and a final newline; NaN is refused (RFC 8259, section 6)."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def sha256(path: Path) -> str:
    """Computes the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def walk(top: str | Path, seen: set[tuple[int, int]] | None = None) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walks as ``os.walk``, through links too, into each folder once, so that circles of links end."""
    seen = set() if seen is None else seen
    for folder, below, names in os.walk(top, followlinks=True):
        here = os.stat(folder)  # noqa: PTH116
        if (here.st_dev, here.st_ino) in seen:
            below.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        yield folder, below, names


def refuse_links(folder: Path, follow: Sequence[str] | None = None, name: str | None = None) -> None:
    """Refuses a folder in which a link leads outside, or an entry is neither file nor folder; opens nothing.

    A folder from somebody else could have any file of this machine read through its links.

    Args:
        folder: a Zarr store, or the product of a bundle; it may itself be a link.
        follow: folders to which links may lead besides, ``source.follow`` of the profile; None where none can be
            allowed.
        name: what the error calls the folder, its own name by default.

    Raises:
        Unreadable: names the first such entry, and where the link leads.

    """
    within = [os.path.realpath(top) for top in (str(folder), *(follow or ()))]
    for top, below, names in walk(folder):
        for entry in (*below, *names):
            path = Path(top, entry)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                continue
            what = f"{name or folder.name}: {path.relative_to(folder).as_posix()}"
            if not stat.S_ISLNK(mode):
                _refuse_kind(mode, what)
            target = os.path.realpath(path)
            if not any(target == root or target.startswith(root.rstrip("/") + os.sep) for root in within):
                allow = "" if follow is None else f", or allow it: source.follow: [{Path(target).parent}]"
                raise Unreadable(
                    f"{what} is a link that leaves it, to {target}",
                    f"put the files themselves there, such as with `cp -rL`{allow}",
                )
            refuse_special(path, what)


def refuse_special(path: Path, name: str | None = None) -> None:
    """Refuses a path that is neither file nor folder: a pipe, a device, a link to nothing or in a circle.

    Args:
        path: the path.
        name: what the error calls it, the path itself by default.

    Raises:
        Unreadable: names the path and what it is.

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
    _refuse_kind(mode, name or str(path))


def _refuse_kind(mode: int, name: str) -> None:
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is not None:
        raise Unreadable(f"{name}: {kind}, and no file", "remove it, or leave it out of source.href")
