"""Published objects: what a store can do, which one a profile names, and one that is only read."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from earthcode_pack.errors import UserError
from earthcode_pack.model import Moment, PartSums, Receipt, Value
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage.error_messages import outside, safe_key
from earthcode_pack.storage.inputs import BLOCK, ask, filesystem, local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


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
        """Returns what is stored under a key; None where nothing is."""

    def read(self, key: str) -> bytes | None:
        """Returns the bytes of a small object; None where there is none."""

    def sha256(self, key: str) -> str | None:
        """Returns the sha256 (hex) of an object's bytes, read now in blocks; None where there is none."""

    def keys(self, folder: str = "") -> Iterator[str]:
        """Yields the keys below a folder (``""``, or ending in a slash), in the order of the store."""

    def href(self, key: str) -> str:
        """Returns the path or URL of an object, never a signed one."""


class Store(Reader, Protocol):
    """Objects that can be written too; any thread may call."""

    max_concurrency: int  # calls at once that may be worth it

    def put(
        self,
        local: Path,
        key: str,
        *,
        sha256: str,
        media_type: str,
        begun: Begun | None = None,
        note: Callable[[Begun], None] | None = None,
        parts: PartSums | None = None,
    ) -> Receipt:
        """Publishes a file, whole and verified or not at all. The receipt's sha256 is the one given, in hex.

        ``parts`` are the sums of the parts of what has this sha256, taken in the same reading: with them the file need
        not be read again where the storage proves what it takes.

        ``note`` is told once of a multipart upload that was opened for it, as soon as it is; ``begun`` is what an
        earlier call told of this very key, size and sha256: parts that are there and right are not sent again, and
        one that the store no longer knows is opened anew. Small files need neither.

        Raises ``UserError`` for a key that is no plain relative path, and where the bytes of the file are not those
        that ``sha256`` (hex) names; ``OutsideError`` where the storage fails.
        """

    def listing(self, folder: str = "") -> Iterator[Listed]:
        """Yields what a listing tells of each object: one request for a thousand of them."""

    def delete(self, keys: Iterable[str]) -> None:
        """Removes objects; what is gone already is no failure."""

    def open_uploads(self, folder: str = "") -> Iterator[tuple[str, str]]:
        """Yields key and upload id of each upload below a folder that was neither completed nor aborted."""

    def abort(self, key: str, begun: Begun) -> None:
        """Ends an open upload and removes what there is of it; one that is gone is no failure."""

    def preflight(self) -> None:
        """Puts, reads and deletes a tiny object, and looks at the clock.

        Raises ``OutsideError`` or ``UserError``, with the remedy, where an upload could not succeed.
        """


def open_store(spec: StoreSpec) -> Store:
    """Opens the store that a profile names.

    Raises ``UserError`` where it is none that can be written to.
    """
    if spec.href is None:
        raise UserError(
            "store.prr is served by register, not by a store",
            "use `earthcode-pack publish`, or set store.href to publish elsewhere",
        )
    path = local_path(spec.href)
    if path is not None:
        from earthcode_pack.storage.local import LocalStore  # noqa: PLC0415 - it stands on this module

        return LocalStore(Path(path))
    if spec.href.startswith("s3://"):
        from earthcode_pack.storage.s3 import S3Store  # noqa: PLC0415 - brings sockets and XML

        return S3Store(spec)
    raise UserError(f"store.href: {spec.href} cannot be written to", "name a path or s3://bucket/prefix")


def open_reader(href: str) -> Reader:
    """Opens a published folder by its href: a path, s3:// with the settings of the environment, or any fsspec URL."""
    return UrlReader(href) if local_path(href) is None and not href.startswith("s3://") else open_store(_at(href))


def _at(href: str) -> StoreSpec:
    return StoreSpec(href=href)


def now() -> datetime:
    """Returns the present second, in UTC."""
    return datetime.now(UTC).replace(microsecond=0)


class UrlReader:
    """Reads what is published behind an fsspec URL, such as https: it tells sizes, seldom checksums.

    ``keys`` is empty where the protocol has no listing that can be trusted, as https.
    """

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/")
        self._fs: Any = filesystem(root)[0]

    def head(self, key: str) -> Stored | None:
        """See ``Reader.head``, without a sha256."""
        info = self._ask(self._fs.info, key)
        if info is None:
            return None
        size = info.get("size")
        return Stored(key=key, size=len(self.read(key) or b"") if size is None else size, sha256=None)

    def read(self, key: str) -> bytes | None:
        """See ``Reader.read``."""
        found: bytes | None = self._ask(self._fs.cat_file, key)
        return found

    def sha256(self, key: str) -> str | None:
        """See ``Reader.sha256``."""

        def digest(path: str) -> str:
            with self._fs.open(path, "rb", block_size=BLOCK) as file:
                total = hashlib.sha256()
                while block := file.read(BLOCK):
                    total.update(block)
                return total.hexdigest()

        found: str | None = self._ask(digest, key)
        return found

    def keys(self, folder: str = "") -> Iterator[str]:
        """See ``Reader.keys``; nothing over https."""
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
