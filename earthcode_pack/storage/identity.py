"""Identity of inputs: size and sha256, without reading again what has not changed."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from earthcode_pack.errors import Unreadable
from earthcode_pack.files import write_atomic
from earthcode_pack.storage.error_messages import shown
from earthcode_pack.storage.inputs import Tree, local_path, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_THREADS = 8
_SETTLED = 2 * 10**9  # ns; a file changed later than this before it was hashed may have changed again unseen
_FORM = 1

# inode, size, mtime_ns, ctime_ns, sha256, moment of the entry in ns
_Entry = tuple[int, int, int, int, str, int]
_ENTRIES = TypeAdapter(dict[str, _Entry])


class IdentityCache:
    """sha256 of local files by path, as git's index keeps them; for many threads.

    An entry is trusted only where inode, size, mtime and ctime all agree and both times are at least two seconds older
    than the entry: a change within the clock's grain would not show otherwise (git, racy-git). A cache that cannot be
    read is an empty one. ``clock`` gives nanoseconds since 1970.
    """

    def __init__(self, path: Path | None = None, clock: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._clock = clock
        self._lock = Lock()
        self._entries: dict[str, _Entry] = _load(path) if path else {}

    def identify(self, path: str) -> tuple[int, str]:
        """Size and sha256 of one local file. Raises ``Unreadable`` where it cannot be read, or changes meanwhile."""
        key = os.path.abspath(path)  # noqa: PTH100 - Path.absolute keeps «..»
        try:
            before = os.stat(path)  # noqa: PTH116
            if not stat.S_ISREG(before.st_mode):
                raise Unreadable(f"{path}: a pipe, device or folder, not a file", "write it to a file")
            with self._lock:
                entry = self._entries.get(key)
            if entry is not None and entry[:4] == marks(before) and _is_settled(entry):
                return entry[1], entry[4]
            moment = self._clock()
            with open(path, "rb") as file:  # noqa: PTH123
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if marks(os.stat(path)) != marks(before):  # noqa: PTH116
                raise changed(path)
        except OSError as error:
            raise Unreadable(f"{path}: cannot be read ({error.strerror})", "check the file") from error
        with self._lock:
            self._entries[key] = (*marks(before), digest, moment)
        return before.st_size, digest

    def has_moved(self, path: str) -> bool:
        """Tells whether inode, size or mtime of a local file differ from when it was identified, or it is gone."""
        with self._lock:
            entry = self._entries.get(os.path.abspath(path))  # noqa: PTH100
        try:
            return entry is not None and entry[:3] != marks(os.stat(path))[:3]  # noqa: PTH116
        except OSError:
            return True

    def save(self) -> None:
        """Writes the cache, whole or not at all; nothing where it has no path."""
        if self._path is not None:
            with self._lock:
                write_atomic(self._path, json.dumps({"form": _FORM, "files": self._entries}, sort_keys=True) + "\n")


def identify(href: str, cache: IdentityCache | Path | None = None) -> tuple[int, str]:
    """Size in bytes and sha256 of an input: of its bytes, or of a folder's ``sha256sum`` lines, sorted.

    The lines of a folder, such as a Zarr store, are ``<sha256>  <key relative to it>``, each ended by a newline.
    A remote input is read once.
    ``cache`` may be the path of one, which is then loaded and saved.
    Raises ``Unreadable`` where there is no such input, ``OutsideError`` where the storage does not answer.
    """
    if isinstance(cache, Path):
        loaded = IdentityCache(cache)
        identity = identify(href, loaded)
        loaded.save()
        return identity
    found = tree(href)
    measured = list(_measure(found, cache or IdentityCache()))
    if not found.is_folder:
        return measured[0][1:]
    lines = sorted(f"{digest}  {key}\n" for key, _, digest in measured)
    return sum(size for _, size, _ in measured), hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256(href: str) -> str:
    """The sha256 of an input as ``identify`` defines it, read anew."""
    return identify(href)[1]


def is_unchanged(href: str, digest: str, cache: IdentityCache) -> bool:
    """Tells whether a local input is the one that was identified, and was it all the while; True for a remote one.

    Every write to a file sets its mtime (POSIX.1-2017, ``write``), and a new file has another inode. So inode, size and
    mtime as they were say that nothing was written between then and now. Where only the ctime differs (a new link,
    another owner), or the file was younger than two seconds when it was hashed, its bytes are hashed again.

    Not seen: writes through a memory map that the kernel has not written back yet, and clocks that are set back.
    """
    if local_path(href) is None:
        return True
    try:
        files = tree(href).files.values()
        return not any(map(cache.has_moved, files)) and identify(href, cache)[1] == digest
    except Unreadable:
        return False


def changed(href: str) -> Unreadable:
    """The failure of an input that is not what it was when it was hashed."""
    return Unreadable(
        f"{shown(href)}: it changed after it was hashed, so what was read may be neither the old nor the new file",
        "run again when nothing writes to it",
    )


def _measure(found: Tree, cache: IdentityCache) -> Iterator[tuple[str, int, str]]:
    """Key, size and sha256 of each file."""

    def one(file: tuple[str, str]) -> tuple[str, int, str]:
        key, path = file
        return (key, *(cache.identify(path) if local_path(found.href) else _stream(found, path)))

    if len(found.files) == 1:
        yield one(*found.files.items())
        return
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(one, found.files.items())


def _stream(found: Tree, path: str) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for block in found.blocks(path):
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()


def _is_settled(entry: _Entry) -> bool:
    """Tells whether a later change would show: its times are older than its hashing by more than their grain."""
    return max(entry[2:4]) + _SETTLED <= entry[5]


def marks(found: os.stat_result) -> tuple[int, int, int, int]:
    """Inode, size, mtime and ctime: a file in which one of them differs may be another one."""
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _load(path: Path) -> dict[str, _Entry]:
    try:
        data = json.loads(path.read_bytes())
        return _ENTRIES.validate_python(data["files"]) if data["form"] == _FORM else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
