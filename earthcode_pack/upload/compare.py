"""Comparison of a product with the store, by three witnesses: the file, the ledger, the store."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from earthcode_pack.errors import UserError
from earthcode_pack.model import Value
from earthcode_pack.storage import open_store
from earthcode_pack.storage.concurrency import each
from earthcode_pack.storage.error_messages import shown
from earthcode_pack.upload.entries import Entry, product_entries, published_prefix
from earthcode_pack.upload.ledger import ledger_path, read_ledger
from earthcode_pack.upload.stages import COLLECTION

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.profile import Profile
    from earthcode_pack.storage import Listed, Store, Stored
    from earthcode_pack.upload.ledger import Row


class Difference(Value):
    """Keys, relative to the product: what would be put (new, changed), left alone (same), and what is none of it."""

    new: tuple[str, ...]
    same: tuple[str, ...]
    changed: tuple[str, ...]
    stray: tuple[str, ...]
    size: int  # bytes that would be put
    is_published: bool  # whether the Collection is there: then this version never changes

    def counts(self) -> dict[str, int]:
        """Objects of each kind, and the bytes that would be put."""
        kinds = {"new": self.new, "same": self.same, "changed": self.changed, "stray": self.stray}
        return {name: len(keys) for name, keys in kinds.items()} | {"bytes": self.size}


class Place(NamedTuple):
    """Destination of a product: the store, the prefix of its keys, and a name of both for the ledger."""

    store: Store
    prefix: str
    name: str


def place_of(profile: Profile, store: Store) -> Place:
    """Returns the destination of a product in a store."""
    return Place(store, published_prefix(profile), place_name(profile))


def place_name(profile: Profile) -> str:
    """Endpoint, href and prefix: tells one place from another, and holds no secret. Nothing is asked for it."""
    spec, prefix = profile.store, published_prefix(profile)
    if spec is None or spec.href is None:
        return prefix
    return " ".join(filter(None, (spec.endpoint_url, f"{shown(spec.href).rstrip('/')}/{prefix}")))


def store_of(profile: Profile) -> Store:
    """The store that a profile names. Raises ``UserError`` where it names none."""
    if profile.store is None:
        raise UserError(f"{profile.product.id}: its profile names no store", "set store.href")
    return open_store(profile.store)


def difference(bundle: Bundle, store: Store | None = None) -> Difference:
    """The dry run of ``upload``: sends nothing and writes nothing.

    Where file, ledger and listing agree nothing more is asked; of other objects in their right size the store is asked
    for the sha256. ``store`` is the one of the profile by default. Raises ``UserError`` for a product that is not
    whole, ``OutsideError`` where the storage fails.
    """
    profile = bundle.profile()
    place = place_of(profile, store or store_of(profile))
    entries = product_entries(bundle)
    listed = listing(place)
    rows, _ = read_ledger(ledger_path(bundle), place.name)
    ask = partial(_is_there, bundle.product, place, listed, rows)
    there = dict(zip(entries, each(ask, entries.values(), place.store.max_concurrency), strict=True))
    return Difference(
        new=tuple(sorted(entries.keys() - listed.keys())),
        same=tuple(sorted(key for key, is_there in there.items() if is_there)),
        changed=tuple(sorted(key for key in entries.keys() & listed.keys() if not there[key])),
        stray=tuple(sorted(listed.keys() - entries.keys())),
        size=sum(entry.size for entry in entries.values() if not there[entry.key]),
        is_published=COLLECTION in listed,
    )


def _is_there(product: Path, place: Place, listed: dict[str, Listed], rows: dict[str, Row], entry: Entry) -> bool:
    found, row = listed.get(entry.key), rows.get(entry.key)
    if found is None or found.size != entry.size:
        return False
    if row is not None and agree(entry, row, found) and is_same_file(product / entry.key, row):
        return True
    return is_right(entry, place.store.head(place.prefix + entry.key))


def listing(place: Place) -> dict[str, Listed]:
    """Lists the objects below the prefix, by keys relative to the product."""
    return {found.key.removeprefix(place.prefix): found for found in place.store.listing(place.prefix)}


def is_right(entry: Entry, stored: Stored | None) -> bool:
    """Tells whether a stored object is the one that the manifest names; one whose sha256 nobody states is not."""
    return stored is not None and (stored.size, stored.sha256) == (entry.size, entry.sha256)


def agree(entry: Entry, row: Row, found: Listed) -> bool:
    """Tells whether manifest, ledger and listing name the same object.

    Size and ETag tell it. A store without ETags (a disk) has the time of writing instead, to the second.
    """
    if not row.is_put or (row.sha256, row.size, found.size) != (entry.sha256, entry.size, entry.size):
        return False
    if row.etag or found.etag:
        return _plain(row.etag) == _plain(found.etag)
    at = datetime.fromisoformat(row.verified_at) if row.verified_at else None
    return at is not None and found.modified is not None and found.modified < at


def _plain(etag: str | None) -> str:
    return (etag or "").strip('"')


def is_same_file(path: Path, row: Row) -> bool:
    """Tells whether a file is, by size, time and inode, the one that was read when it was sent."""
    return identity(path) == (row.size, row.mtime_ns, row.inode)


def identity(path: Path) -> tuple[int, int, int] | None:
    """Size, time and inode of a file; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
