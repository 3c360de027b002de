"""Published objects: what a store can do, the one on disk, and one that is only read."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.model import Moment, Receipt, Value
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage.inputs import BLOCK, ask, filesystem, local_path
from earthcode_pack.storage.words import in_words, outside, safe_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

STEP = 2**20  # bytes that are read, hashed and sent while they are in the processor's cache
_MOST = 8  # threads
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{12}\.part")


class Stored(Value):
    """An object as the store describes it; ``sha256`` (hex) is None where the store does not know it."""

    key: str
    size: int
    sha256: str | None
    etag: str | None = None


class Listed(Value):
    """An object as a listing tells it; ``modified`` is when the store took it, where the store says."""

    key: str
    size: int
    etag: str | None = None
    modified: Moment | None = None


class Begun(Value):
    """A multipart upload of one file that is open at the store: whoever has this can go on with it."""

    upload_id: str
    part_size: int  # bytes of each part but the last


class Reader(Protocol):
    """Objects by key: a relative path with slashes. All raise ``OutsideError`` where the storage fails."""

    def head(self, key: str) -> Stored | None:
        """What is stored under a key; None where nothing is."""

    def read(self, key: str) -> bytes | None:
        """The bytes of a small object; None where there is none."""

    def sha256(self, key: str) -> str | None:
        """The sha256 (hex) of the object's bytes, read now in blocks; None where there is none."""

    def keys(self, folder: str = "") -> Iterator[str]:
        """All keys below a folder (``""``, or ending in a slash), in the order of the store."""

    def href(self, key: str) -> str:
        """Where the object is: a path or a URL, never a signed one."""


class Store(Reader, Protocol):
    """Where objects can be put: many at once, from the threads of whoever calls."""

    @property
    def most(self) -> int:
        """Threads that are worth having; how many of them really send, the store decides as it goes."""

    def put(
        self,
        local: Path,
        key: str,
        *,
        sha256: str,
        media_type: str,
        begun: Begun | None = None,
        note: Callable[[Begun], None] | None = None,
    ) -> Receipt:
        """Publishes a file, whole and verified or not at all. The receipt's sha256 is the one given, in hex.

        ``note`` is told once of a multipart upload that was opened for it, as soon as it is; ``begun`` is what an
        earlier call told of this very key, size and sha256: parts that are there and right are not sent again, and
        one that the store no longer knows is opened anew. Small files need neither.

        Raises ``UserError`` for a key that is no plain relative path, and where the bytes of the file are not those
        that ``sha256`` (hex) names; ``OutsideError`` where the storage fails.
        """

    def listing(self, folder: str = "") -> Iterator[Listed]:
        """As ``keys``, with what the listing tells of each object: a request for a thousand of them."""

    def delete(self, keys: Iterable[str]) -> None:
        """Removes objects; what is gone already is no failure."""

    def open_uploads(self, folder: str = "") -> Iterator[tuple[str, str]]:
        """Key and upload id of each upload below a folder that was begun, and neither completed nor aborted."""

    def abort(self, key: str, begun: Begun) -> None:
        """Ends an open upload and removes what there is of it; one that is gone is no failure."""

    def preflight(self) -> None:
        """Puts, reads and deletes a tiny object, and looks at the clock.

        Raises ``OutsideError`` or ``UserError``, with the remedy, where an upload could not succeed.
        """


def open_store(spec: StoreSpec) -> Store:
    """The store that a profile names. Raises ``UserError`` where it is none that can be written to."""
    if spec.href is None:
        raise UserError(
            "store.prr is served by register, not by a store",
            "use `earthcode-pack publish`, or set store.href to publish elsewhere",
        )
    path = local_path(spec.href)
    if path is not None:
        return LocalStore(Path(path))
    if spec.href.startswith("s3://"):
        from earthcode_pack.storage.s3 import S3Store  # noqa: PLC0415 - brings urllib3

        return S3Store(spec)
    raise UserError(f"store.href: {spec.href} cannot be written to", "name a path or s3://bucket/prefix")


def open_reader(href: str) -> Reader:
    """What is published at a folder's href: a path, s3:// with the settings of the environment, or any fsspec URL."""
    return UrlReader(href) if local_path(href) is None and not href.startswith("s3://") else open_store(_at(href))


def _at(href: str) -> StoreSpec:
    return StoreSpec(href=href)


def now() -> datetime:
    """The present second, in UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def checked_blocks(local: Path, sha256: str, size: int = BLOCK, md5s: list[bytes] | None = None) -> Iterator[bytes]:
    """The bytes of a file in blocks of ``size``; the last one is followed by ``UserError`` if the sha256 differs.

    A consumer that makes an object visible only after the end never shows a file that was changed. ``md5s`` collects
    the md5 of each block: an ETag is made of them.
    """
    digest = hashlib.sha256()
    try:
        with local.open("rb") as file:
            while block := file.read(size):
                digest.update(block)
                if md5s is not None:
                    md5s.append(hashlib.md5(block, usedforsecurity=False).digest())
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


class LocalStore:
    """A folder: so that everything can be tried without a server."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._is_new = not self._root.exists()

    def __repr__(self) -> str:
        return f"LocalStore({self._root})"

    @property
    def most(self) -> int:
        """As ``Store.most``."""
        return _MOST

    def put(
        self,
        local: Path,
        key: str,
        *,
        sha256: str,
        media_type: str,  # noqa: ARG002 - a disk has none
        begun: Begun | None = None,  # noqa: ARG002 - what a killed run left is found by its name
        note: Callable[[Begun], None] | None = None,  # noqa: ARG002
    ) -> Receipt:
        """As ``Store.put``: to a temporary name beside it, read back, renamed.

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
        """As ``Reader.head``; the sha256 is of the bytes on disk, read now."""
        with outside(self.href(key)):
            digest = self.sha256(key)
            return Stored(key=key, size=self._path(key).stat().st_size, sha256=digest) if digest else None

    def read(self, key: str) -> bytes | None:
        """As ``Reader.read``."""
        path = self._path(key)
        with outside(str(path)):
            return path.read_bytes() if path.is_file() else None

    def sha256(self, key: str) -> str | None:
        """As ``Reader.sha256``."""
        path = self._path(key)
        with outside(str(path)):
            return _hash(path) if path.is_file() else None

    def keys(self, folder: str = "") -> Iterator[str]:
        """As ``Reader.keys``, without what a killed run left half-written."""
        for parent, folders, names in os.walk(self._root / folder):
            folders.sort()
            for name in sorted(names):
                if not _TEMPORARY.fullmatch(name):
                    yield Path(parent, name).relative_to(self._root).as_posix()

    def listing(self, folder: str = "") -> Iterator[Listed]:
        """As ``Store.listing``; ``modified`` is the file's mtime."""
        with outside(str(self._root / folder)):
            for key in self.keys(folder):
                stat = self._path(key).stat()
                yield Listed(key=key, size=stat.st_size, modified=datetime.fromtimestamp(int(stat.st_mtime), UTC))

    def delete(self, keys: Iterable[str]) -> None:
        """As ``Store.delete``; folders that are empty then go too, the store's own where this made it."""
        end = self._root.parent if self._is_new else self._root
        for key in keys:
            path = self._path(key)
            with outside(str(path)):
                path.unlink(missing_ok=True)
                _remove_empty(path.parent, end)

    def open_uploads(self, folder: str = "") -> Iterator[tuple[str, str]]:
        """As ``Store.open_uploads``: what killed runs left half-written; the id is the name of the temporary file."""
        for parent, folders, names in os.walk(self._root / folder):
            folders.sort()
            for name in sorted(names):
                if match := _TEMPORARY.fullmatch(name):
                    yield Path(parent, match[1]).relative_to(self._root).as_posix(), name

    def abort(self, key: str, begun: Begun) -> None:
        """As ``Store.abort``."""
        if _TEMPORARY.fullmatch(begun.upload_id):
            path = self._path(key).with_name(begun.upload_id)
            with outside(str(path)):
                path.unlink(missing_ok=True)

    def preflight(self) -> None:
        """As ``Store.preflight``."""
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


class UrlReader:
    """What is published behind an fsspec URL, such as https: it tells sizes, seldom checksums.

    ``keys`` is empty where the protocol has no listing that can be trusted, as https.
    """

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/")
        self._fs: Any = filesystem(root)[0]

    def head(self, key: str) -> Stored | None:
        """As ``Reader.head``, without a sha256."""
        info = self._ask(self._fs.info, key)
        if info is None:
            return None
        size = info.get("size")
        return Stored(key=key, size=len(self.read(key) or b"") if size is None else size, sha256=None)

    def read(self, key: str) -> bytes | None:
        """As ``Reader.read``."""
        found: bytes | None = self._ask(self._fs.cat_file, key)
        return found

    def sha256(self, key: str) -> str | None:
        """As ``Reader.sha256``."""

        def digest(path: str) -> str:
            with self._fs.open(path, "rb", block_size=BLOCK) as file:
                total = hashlib.sha256()
                while block := file.read(BLOCK):
                    total.update(block)
                return total.hexdigest()

        found: str | None = self._ask(digest, key)
        return found

    def keys(self, folder: str = "") -> Iterator[str]:
        """As ``Reader.keys``; nothing over https."""
        if self._root.startswith("http"):
            return
        root = filesystem(self._root)[1].rstrip("/") + "/"
        with outside(self._root):
            yield from (path.removeprefix(root) for path in self._fs.find(root + folder))

    def href(self, key: str) -> str:
        """The URL of the object."""
        return f"{self._root}/{safe_key(key)}"

    def _ask(self, question: Any, key: str) -> Any:
        return ask(question, filesystem(self.href(key))[1], self.href(key))
