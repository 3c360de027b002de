"""A folder behind any fsspec URL that takes files whole: the workdir of runs whose machines share no disk."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.errors import OutsideError
from earthcode_pack.files import sha256
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage.base import Store, UrlReader
from earthcode_pack.storage.concurrency import each
from earthcode_pack.storage.error_messages import code_of, outside, safe_key, shown
from earthcode_pack.storage.inputs import ask, aws_environment, filesystem
from earthcode_pack.storage.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterable


_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "modified", "LastModified", "last_modified", "created")
_OBJECT_STORES = ("s3://", "gs://", "gcs://", "abfs://", "abfss://", "az://", "oss://")
_TAKEN = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")


class Remote(NamedTuple):
    """An object as a listing tells it: ``mark`` is another one after each writing, and empty where nothing is told."""

    size: int
    mark: str


class Folder:
    """Objects by keys relative to a URL. What is put is verified: by size, and by sha256 on S3 and on disk.

    All raise ``OutsideError`` where the storage fails, and ``UserError`` for a key that is no plain relative path.
    Credentials and the endpoint are those granted for the URL, else of the environment and the AWS files, as for
    sources.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._fs, path = filesystem(self.url)
        self._root = path.rstrip("/")

    def __repr__(self) -> str:
        return f"Folder({shown(self.url)})"

    def href(self, key: str) -> str:
        """The URL of an object, as a message may show it."""
        return shown(f"{self.url}/{key}")

    def listing(self, below: str = "") -> dict[str, Remote]:
        """Every object below a folder (``""``, or ending in a slash) by its key; nothing where there is no folder."""
        with outside(self.href(below)):
            try:
                found = self._fs.find(f"{self._root}/{below}".rstrip("/"), detail=True)
            except FileNotFoundError:
                return {}
        files = [info for info in found.values() if info.get("type") == "file"]
        return {str(info["name"]).removeprefix(f"{self._root}/"): _remote(info) for info in files}

    def read(self, key: str) -> bytes | None:
        """The bytes of a small object; None where there is none."""
        found: bytes | None = ask(self._fs.cat_file, self._path(key), self.href(key))
        return found

    def sha256(self, key: str) -> str | None:
        """The sha256 (hex) of an object: the one stated when it was put, else of its bytes, read now; None without."""
        store, name = self._store(key)
        stored = store.head(name)
        return (stored.sha256 or store.sha256(name)) if stored is not None else None

    def put(self, local: Path, key: str, digest: str | None = None) -> None:
        """Puts a file. ``digest`` is its sha256 (hex) where that is known."""
        store, name = self._store(key)
        if isinstance(store, UrlReader):
            self._put(local, key)
        else:
            store.put(local, name, sha256=digest or sha256(local), media_type="application/octet-stream")

    def _put(self, local: Path, key: str) -> None:
        with outside(self.href(key)):
            self._fs.put_file(str(local), self._path(key))
            size = self._fs.info(self._path(key)).get("size")
        if size != local.stat().st_size:
            raise OutsideError(f"{self.href(key)}: {size} bytes came of {local.stat().st_size}", "run again")

    def get(self, key: str, target: Path, digest: str | None = None) -> None:
        """Copies an object to a path, whole or not at all; its sha256 (hex) is compared where ``digest`` states it."""
        part = target.with_name(f".{target.name[-200:]}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            with outside(self.href(key)):
                target.parent.mkdir(parents=True, exist_ok=True)
                self._fs.get_file(self._path(key), str(part))
                if digest is not None and sha256(part) != digest:
                    raise OutsideError(f"{self.href(key)}: its bytes are not those that were put", "run again")
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def create(self, key: str, data: bytes) -> bool:
        """Writes a small object where there is none; whether it did.

        Two writers at the same moment are told apart where the protocol can do so; else read again what is there.
        """
        path = self._path(key)
        with outside(self.href(key)):
            if not self.url.startswith(_OBJECT_STORES):  # which would make a bucket that is not there
                self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            try:
                self._fs.pipe_file(path, data, mode="create")
            except FileExistsError:
                return False
            except Exception as error:  # noqa: BLE001 - clients raise what they like
                if _code(error) in _TAKEN:
                    return False
                if _code(error) not in ("NotImplemented", "501"):
                    raise (error.__cause__ or error) from None  # which tells a bucket from an object that is not there
                self._fs.pipe_file(path, data)  # a server without conditional writing
        return True

    def remove(self, keys: Iterable[str]) -> None:
        """Removes objects; what is gone already is no failure."""
        each(self._remove, keys)

    def _remove(self, key: str) -> None:
        with outside(self.href(key)):
            try:
                self._fs.rm_file(self._path(key))
            except FileNotFoundError:
                return

    def _path(self, key: str) -> str:
        return f"{self._root}/{safe_key(key)}"

    def _store(self, key: str) -> tuple[Store | UrlReader, str]:
        """A store that verifies what it puts, and the name of an object there."""
        if self.url.startswith("s3://"):
            safe_key(self._path(key).partition("/")[2])  # s3fs keeps an empty part of a path, which a store would drop
            return _s3(os.getpid(), aws_environment(), self.url), safe_key(key)
        if self.url.startswith("file://"):
            return LocalStore(Path(self._root)), safe_key(key)
        return UrlReader(self.url), safe_key(key)


@lru_cache(maxsize=16)  # folders of jobs that a process works on at once
def _s3(process: int, environment: int, url: str) -> Store:  # noqa: ARG001 - they are the key
    """One client per process, environment and folder: keys may be good for what lies below it, and nothing else."""
    from earthcode_pack.storage.s3 import S3Store  # noqa: PLC0415 - brings sockets and XML

    return S3Store(StoreSpec(href=url))


def _remote(info: dict[str, Any]) -> Remote:
    marks = (str(info[name]).strip('"') for name in _MARKS if info.get(name) is not None)
    return Remote(int(info.get("size") or 0), next(marks, ""))


def _code(error: BaseException) -> str | None:
    """The code of an answer; s3fs raises errors of Python, with botocore's as their cause."""
    return code_of(error) or (code_of(error.__cause__) if error.__cause__ is not None else None)
