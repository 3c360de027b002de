"""bundle → receipts: what is published, in an order in which nothing refers to what is not there yet."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from earthcode_pack.bundle import Bundle, open_bundle, values_to_json, write_atomic
from earthcode_pack.errors import UserError, VersionTaken
from earthcode_pack.model import Finding, Level, ManifestEntry, Receipt
from earthcode_pack.storage import Reader, Store, Stored, open_reader, open_store
from earthcode_pack.storage.inputs import local_path
from earthcode_pack.storage.stores import now
from earthcode_pack.storage.words import safe_key, shown

if TYPE_CHECKING:
    from earthcode_pack.profile import Profile

Progress = Callable[[int, int], None]

_THREADS = 8
_PAUSE = 2.0  # s between two writings of the receipts, and ten times what the last one took
_MANIFEST, _COLLECTION = "manifest.json", "collection.json"
_METADATA = {"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"}  # Zarr v3 and v2
_ENTRIES = TypeAdapter(tuple[ManifestEntry, ...])


class Entry(NamedTuple):
    """A file of the product as the manifest knows it; ``sha256`` in hex, without the multihash's prefix."""

    key: str
    size: int
    sha256: str
    media_type: str


def upload(bundle: Bundle, store: Store, *, progress: Progress | None = None) -> tuple[Receipt, ...]:
    """Publishes a bundle's product under ``<product id>/v<version>/``; the Collection is the last to appear.

    What the store holds already, by HEAD, is left alone: an interrupted upload goes on. The receipts, with keys
    relative to ``product/`` and the sha256 in hex, are written to ``receipts.json`` meanwhile, and after an error too.
    ``progress`` is told the bytes that are published, and all.

    Raises ``VersionTaken`` where another product is published under this version, ``UserError`` where a file is not
    the one that the manifest names, ``OutsideError`` where the storage fails.
    """
    entries = {entry.key: entry for entry in _product(bundle)}
    run = _Run(bundle, store, entries)
    run.refuse_other_version()
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            for stage in order(entries):
                run.publish(stage, pool, progress or (lambda _done, _all: None))
    finally:
        run.save()
    return run.receipts()


def order(keys: Iterable[str]) -> list[list[str]]:
    """The stages of publishing, each sorted; none begins before the last is whole.

    Data, then the metadata of Zarr arrays and groups, then that of each store's root: without it, missing chunks
    would read as fill values. Then previews, the manifest, Items, the table of Items, and the Collection.

    >>> order(["collection.json", "data/a.zarr/zarr.json", "data/a.zarr/t/zarr.json", "data/a.zarr/t/c/0"])
    [['data/a.zarr/t/c/0'], ['data/a.zarr/t/zarr.json'], ['data/a.zarr/zarr.json'], ['collection.json']]
    """
    keys = sorted(keys)
    groups = {PurePosixPath(key).parent for key in keys if _is_metadata(key)}
    stages: dict[int, list[str]] = {}
    for key in keys:
        stages.setdefault(_stage(key, groups), []).append(key)
    return [stages[number] for number in sorted(stages)]


def _stage(key: str, groups: set[PurePosixPath]) -> int:
    path = PurePosixPath(key)
    named = {_MANIFEST: 4, "items.parquet": 6, _COLLECTION: 7}.get(key)
    if named is not None:
        return named
    if _is_metadata(key):
        inner = not groups.isdisjoint(path.parent.parents) and path.name != ".zmetadata"
        return 1 if inner else 2
    return {"previews": 3, "items": 5}.get(path.parts[0], 0)


def _is_metadata(key: str) -> bool:
    return key.rpartition("/")[2] in _METADATA


def published_prefix(profile: Profile) -> str:
    """``<product id>/v<version>/``: where a product lies below its store (contract 4.4)."""
    return f"{profile.product.id}/v{profile.product.version}/"


def published_href(profile: Profile) -> str | None:
    """Where the Collection is found once published: below ``public_href``, else the store's own; None without one."""
    store = profile.store
    base = store and (store.public_href or store.href)
    return f"{base.rstrip('/')}/{published_prefix(profile)}{_COLLECTION}" if base else None


def _product(bundle: Bundle) -> tuple[Entry, ...]:
    """All files of the product, the manifest itself included. Raises ``UserError`` where it is not whole."""
    path = bundle.product / _MANIFEST
    if not path.is_file():
        raise UserError(f"{bundle.root}: the product is not whole (no {_MANIFEST})", "prepare it again")
    entries = _entries(path.read_bytes(), str(path))
    if _COLLECTION not in {entry.key for entry in entries}:
        raise UserError(f"{path}: names no {_COLLECTION}", "prepare it again")
    return entries


def _entries(manifest: bytes, where: str) -> tuple[Entry, ...]:
    """What a manifest names, and itself. Raises ``UserError`` for what is none, or names a hostile key."""
    try:
        named = _ENTRIES.validate_json(manifest)
    except ValueError:
        raise UserError(f"{where}: not a manifest", "prepare the product again") from None
    itself = Entry(_MANIFEST, len(manifest), hashlib.sha256(manifest).hexdigest(), "application/json")
    return (*(Entry(safe_key(e.key), e.size, e.sha256.removeprefix("1220"), e.media_type) for e in named), itself)


class _Run:
    """One upload: what is there, what is recorded."""

    def __init__(self, bundle: Bundle, store: Store, entries: dict[str, Entry]) -> None:
        self._bundle, self._store, self._entries = bundle, store, entries
        self._prefix = published_prefix(bundle.profile())
        self._present = {key.removeprefix(self._prefix) for key in store.keys(self._prefix)}
        self._receipts = {
            receipt.key: receipt for receipt in bundle.receipts() if receipt.key in self._present & entries.keys()
        }
        self._done = 0
        self._next_save = 0.0

    def refuse_other_version(self) -> None:
        """Raises ``VersionTaken`` where another manifest, or a Collection without one, is published."""
        published = self._store.read(self._prefix + _MANIFEST) if _MANIFEST in self._present else None
        other = published is not None and hashlib.sha256(published).hexdigest() != self._entries[_MANIFEST].sha256
        if other or (published is None and _COLLECTION in self._present):
            where = self._store.href(self._prefix + (_MANIFEST if other else _COLLECTION))
            raise VersionTaken(f"{where}: another product is published as this version", "raise product.version")

    def publish(self, stage: list[str], pool: ThreadPoolExecutor, progress: Progress) -> None:
        """All objects of a stage; after a failure those under way are recorded, no other is begun."""
        futures = [pool.submit(self._one, self._entries[key]) for key in stage]
        failures: list[BaseException] = []
        try:
            for future in as_completed(futures):
                failures += self._record(future, progress)
                if failures:
                    _cancel(futures)
        finally:
            _cancel(futures)
        if failures:
            raise failures[0]

    def _record(self, future: Future[Receipt], progress: Progress) -> list[BaseException]:
        if future.cancelled():
            return []
        if (failure := future.exception()) is not None:
            return [failure]
        receipt = future.result()
        self._receipts[receipt.key] = receipt
        self._done += receipt.size
        progress(self._done, sum(entry.size for entry in self._entries.values()))
        if time.monotonic() > self._next_save:
            self.save()
        return []

    def _one(self, entry: Entry) -> Receipt:
        """The receipt of an object that is there as it should be, or was put."""
        stored = self._store.head(self._prefix + entry.key) if entry.key in self._present else None
        if stored is None or (stored.size, stored.sha256) != (entry.size, entry.sha256):
            receipt = self._store.put(
                self._bundle.product / entry.key,
                self._prefix + entry.key,
                sha256=entry.sha256,
                media_type=entry.media_type,
            )
            return receipt.model_copy(update={"key": entry.key})
        return self._known(entry.key, stored)

    def _known(self, key: str, stored: Stored) -> Receipt:
        """The earlier receipt where it is of this object; else one of now."""
        fresh = Receipt(key=key, size=stored.size, sha256=str(stored.sha256), etag=stored.etag, verified_at=now())
        earlier = self._receipts.get(key)
        same = earlier is not None and earlier.model_copy(update={"verified_at": fresh.verified_at}) == fresh
        return earlier if earlier is not None and same else fresh

    def receipts(self) -> tuple[Receipt, ...]:
        """In the order of publishing."""
        ordered = [key for stage in order(self._entries) for key in stage]
        return tuple(self._receipts[key] for key in ordered if key in self._receipts)

    def save(self) -> None:
        """Writes ``receipts.json``, whole or not at all."""
        started = time.monotonic()
        write_atomic(self._bundle.root / "receipts.json", values_to_json(self.receipts()))
        ended = time.monotonic()
        self._next_save = ended + max(_PAUSE, 10 * (ended - started))


def _cancel(futures: Iterable[Future[Receipt]]) -> None:
    for future in futures:
        future.cancel()


def verify(target: Bundle | Path | str, read: bool = False) -> tuple[Finding, ...]:
    """What is published against its manifest: presence, size and sha256; nothing found is all right.

    ``target`` is a bundle, whose own manifest counts, or the href of a published version (its folder, manifest or
    Collection), whose published one does. The sha256 is the one the storage states, of a path that of its bytes; with
    ``read`` every byte is fetched and hashed. Raises ``UserError`` where nothing is published at an href,
    ``OutsideError`` where the storage fails.
    """
    reader, prefix, entries = _published(target)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda entry: _compare(entry, reader, prefix, read), entries))
    known = {entry.key for entry in entries}
    strays = sorted({key.removeprefix(prefix) for key in reader.keys(prefix)} - known)
    findings = [finding for finding in found if finding is not None]
    unknown = [finding for finding in findings if finding.rule == "PUB-UNREAD"]
    return (*(f for f in findings if f not in unknown), *unknown[:1], *(_stray(key) for key in strays))


def _published(target: Bundle | Path | str) -> tuple[Reader, str, tuple[Entry, ...]]:
    """Where the objects are, what comes before their keys, and what should be there."""
    bundle = _bundle(target)
    if bundle is not None:
        profile = bundle.profile()
        if profile.store is None:
            raise UserError(f"{bundle.root}: its profile names no store", "set store.href")
        return open_store(profile.store), published_prefix(profile), _product(bundle)
    href = str(target).removesuffix(_COLLECTION).removesuffix(_MANIFEST).rstrip("/")
    reader = open_reader(href)
    manifest = reader.read(_MANIFEST)
    if manifest is None:
        raise UserError(f"{shown(href)}: neither a bundle nor a published version (no {_MANIFEST})", "correct the href")
    return reader, "", _entries(manifest, reader.href(_MANIFEST))


def _bundle(target: Bundle | Path | str) -> Bundle | None:
    if isinstance(target, Bundle):
        return target
    path = local_path(str(target))
    return open_bundle(path) if path is not None and (Path(path) / "profile.yaml").is_file() else None


def _compare(entry: Entry, reader: Reader, prefix: str, read: bool) -> Finding | None:
    stored = reader.head(prefix + entry.key)
    if stored is None:
        return _finding("PUB-PRESENT", entry.key, "is not published", None, entry.size)
    if stored.size != entry.size:
        return _finding("PUB-SIZE", entry.key, "has another size than the manifest says", stored.size, entry.size)
    digest = reader.sha256(prefix + entry.key) if read else stored.sha256
    if digest is None:
        return _unread(entry.key)
    if digest != entry.sha256:
        return _finding("PUB-CHECKSUM", entry.key, "has another sha256 than the manifest says", digest, entry.sha256)
    return None


def _finding(rule: str, key: str, message: str, measured: int | str | None, allowed: int | str) -> Finding:
    return Finding(
        rule=rule,
        level=Level.ERROR,
        subject=key,
        message=f"{key} {message}",
        measured=measured,
        allowed=allowed,
        remedy="publish the bundle again: what is right is left alone",
    )


def _unread(key: str) -> Finding:
    return Finding(
        rule="PUB-UNREAD",
        level=Level.INFO,
        subject=key,
        message="the storage does not state checksums, of this object for one: only its size was compared",
        remedy="verify with --read",
    )


def _stray(key: str) -> Finding:
    return Finding(
        rule="PUB-STRAY",
        level=Level.WARNING,
        subject=key,
        message=f"{key} is published and the manifest does not name it",
        remedy="remove it if it is not wanted",
    )
