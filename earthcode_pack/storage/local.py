"""A folder as a store."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.model import PartSums, Receipt
from earthcode_pack.storage.base import Listed, Stored, now
from earthcode_pack.storage.error_messages import in_words, outside, safe_key
from earthcode_pack.storage.file_slice import checked_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from earthcode_pack.storage.base import Begun

_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{12}\.part")


class LocalStore:
    """A folder: so that everything can be tried without a server."""

    max_concurrency = 8

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._is_new = not self._root.exists()

    def __repr__(self) -> str:
        return f"LocalStore({self._root})"

    def put(
        self,
        local: Path,
        key: str,
        *,
        sha256: str,
        media_type: str,  # noqa: ARG002 - a disk has none
        begun: Begun | None = None,  # noqa: ARG002 - what a killed run left is found by its name
        note: Callable[[Begun], None] | None = None,  # noqa: ARG002
        parts: PartSums | None = None,  # noqa: ARG002 - what is written here is read back
    ) -> Receipt:
        """Writes to a temporary name beside the target, reads it back, and renames it (``Store.put``).

        The temporary name is made of the content's: two runs write the same bytes to it, and what a killed one left is
        taken up by the next.
        """
        target = self._path(key)
        temporary = target.with_name(f".{target.name[-200:]}.{sha256[:12]}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            size = _write(checked_blocks(local, sha256), temporary)
            if _hash(temporary) != sha256:
                temporary.unlink(missing_ok=True)
                raise OutsideError(f"{target}: what was written differs from what was sent", "check the disk")
            temporary.replace(target)
        except (OSError, UserError) as error:
            _remove(temporary)
            raise in_words(error, str(target)) from None
        return Receipt(key=key, size=size, sha256=sha256, verified_at=now())

    def head(self, key: str) -> Stored | None:
        """See ``Reader.head``; the sha256 is of the bytes on disk, read now."""
        with outside(self.href(key)):
            digest = self.sha256(key)
            return Stored(key=key, size=self._path(key).stat().st_size, sha256=digest) if digest else None

    def read(self, key: str) -> bytes | None:
        """See ``Reader.read``."""
        path = self._path(key)
        with outside(str(path)):
            return path.read_bytes() if path.is_file() else None

    def sha256(self, key: str) -> str | None:
        """See ``Reader.sha256``."""
        path = self._path(key)
        with outside(str(path)):
            return _hash(path) if path.is_file() else None

    def keys(self, folder: str = "") -> Iterator[str]:
        """See ``Reader.keys``, without what a killed run left half-written."""
        for parent, folders, names in os.walk(self._root / folder):
            folders.sort()
            for name in sorted(names):
                if not _TEMPORARY.fullmatch(name):
                    yield Path(parent, name).relative_to(self._root).as_posix()

    def listing(self, folder: str = "") -> Iterator[Listed]:
        """See ``Store.listing``; ``modified`` is the file's mtime."""
        with outside(str(self._root / folder)):
            for key in self.keys(folder):
                stat = self._path(key).stat()
                yield Listed(key=key, size=stat.st_size, modified=datetime.fromtimestamp(int(stat.st_mtime), UTC))

    def delete(self, keys: Iterable[str]) -> None:
        """See ``Store.delete``; folders that are empty then go too, the store's own where this made it."""
        end = self._root.parent if self._is_new else self._root
        for key in keys:
            path = self._path(key)
            with outside(str(path)):
                path.unlink(missing_ok=True)
                _remove_empty(path.parent, end)

    def open_uploads(self, folder: str = "") -> Iterator[tuple[str, str]]:
        """See ``Store.open_uploads``: what killed runs left half-written; the id is the name of the temporary file."""
        for parent, folders, names in os.walk(self._root / folder):
            folders.sort()
            for name in sorted(names):
                if match := _TEMPORARY.fullmatch(name):
                    yield Path(parent, match[1]).relative_to(self._root).as_posix(), name

    def abort(self, key: str, begun: Begun) -> None:
        """See ``Store.abort``."""
        if _TEMPORARY.fullmatch(begun.upload_id):
            path = self._path(key).with_name(begun.upload_id)
            with outside(str(path)):
                path.unlink(missing_ok=True)

    def preflight(self) -> None:
        """See ``Store.preflight``."""
        probe = self._root / f".{uuid.uuid4().hex}.{'0' * 12}.part"
        with outside(str(self._root)):
            self._root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"1")
            probe.unlink()

    def href(self, key: str) -> str:
        """The path of the object."""
        return str(self._path(key))

    def _path(self, key: str) -> Path:
        return self._root / safe_key(key)


def _write(blocks: Iterable[bytes], path: Path) -> int:
    """Bytes written from the start of the file, which is neither emptied before nor longer afterwards."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "wb") as file:
        for block in blocks:
            file.write(block)
        return file.truncate()


def _remove_empty(folder: Path, root: Path) -> None:
    """A folder and those above it below the root, as far as they are empty."""
    with suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the error that led here counts


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
