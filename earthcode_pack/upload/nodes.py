"""Machines that share no disk: each puts the data that it has, with a ledger of its own; one of them ends the upload.

The one that ends it calls ``upload`` with the merged receipts: what the others put is found there and not sent again,
and the Collection appears after all of it.
"""

from __future__ import annotations

import platform
from functools import partial
from typing import TYPE_CHECKING

from earthcode_pack.bundle import media_type
from earthcode_pack.errors import OutsideError, UserError, VersionTaken
from earthcode_pack.model import rfc3339
from earthcode_pack.storage import each
from earthcode_pack.storage.base import now
from earthcode_pack.upload.compare import agree, is_right, listing, place_of
from earthcode_pack.upload.entries import Entry, product_entries
from earthcode_pack.upload.ledger import Ledger, Row, State, ledger_path
from earthcode_pack.upload.sender import Sender, noting_errors, receipt_of
from earthcode_pack.upload.stages import COLLECTION, is_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.convert.work import Sent
    from earthcode_pack.model import Receipt
    from earthcode_pack.storage import Listed, Store


def upload_part(bundle: Bundle, store: Store, keys: Iterable[str], *, node: str | None = None) -> tuple[Receipt, ...]:
    """Puts some of a bundle's data, and nothing that refers to it. Returns the receipts of these keys.

    The bundle needs profile and manifest, and the files of these keys. ``node`` names the ledger, by default the
    machine's name. Raises ``UserError`` for keys that are no data of the product, ``VersionTaken`` where this version
    is published, ``OutsideError`` where the storage fails.
    """
    place = place_of(bundle.profile(), store)
    entries = _wanted(product_entries(bundle), list(keys))
    listed = listing(place)
    if COLLECTION in listed:
        raise VersionTaken(f"{place.name}: this version is published", "raise product.version")
    with Ledger(ledger_path(bundle, node or platform.node()), place.name) as ledger, noting_errors(ledger):
        sender = Sender(bundle.product, place, ledger, bundle.part_sums())
        missing = missing_of(sender, listed, entries)
        with sender.planned(missing):
            sent = each(sender.send, missing, store.max_concurrency)
        sender.sweep(row.key for row in sent)
        return receipts_of(ledger, entries)


def _wanted(entries: dict[str, Entry], keys: list[str]) -> list[Entry]:
    wrong = [key for key in keys if key not in entries or not is_data(key)]
    if wrong:
        raise UserError(
            f"{wrong[0]}: no data of this product", "name keys of the manifest below data/, without metadata"
        )
    return [entries[key] for key in sorted(set(keys))]


def missing_of(sender: Sender, listed: Mapping[str, Listed], entries: Iterable[Entry]) -> list[Entry]:
    """Those that are not in the store as they should be; of the others the ledger knows it then.

    Where ledger and listing do not tell, the store is asked for the sha256 of an object that has the right size.
    """
    wanted = list(entries)
    there = each(partial(_is_there, sender, listed), wanted)
    return [entry for entry, is_there in zip(wanted, there, strict=True) if not is_there]


def _is_there(sender: Sender, listed: Mapping[str, Listed], entry: Entry) -> bool:
    row, found = sender.ledger.get(entry.key), listed.get(entry.key)
    if found is None or found.size != entry.size:
        return False
    if row is not None and agree(entry, row, found):
        return True
    stored = sender.place.store.head(sender.place.prefix + entry.key)
    if stored is None or not is_right(entry, stored):
        return False
    sender.found(entry, stored, rfc3339(now()))
    return True


def receipts_of(ledger: Ledger, entries: Iterable[Entry]) -> tuple[Receipt, ...]:
    """Returns the receipts of a ledger for these entries, by key."""
    rows = (ledger.get(entry.key) for entry in entries)
    return merge(receipt for row in rows if row is not None and (receipt := receipt_of(row)) is not None)


def merge(*receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """The receipts of several machines as one list by key; of two for an object the later one.

    Raises ``OutsideError`` where two machines put different bytes under one key.
    """
    merged: dict[str, Receipt] = {}
    for receipt in sorted((one for some in receipts for one in some), key=lambda one: (one.key, one.verified_at)):
        other = merged.get(receipt.key)
        if other is not None and (other.size, other.sha256) != (receipt.size, receipt.sha256):
            raise OutsideError(
                f"{receipt.key}: two machines put different bytes ({other.sha256[:12]}…, {receipt.sha256[:12]}…)",
                "have all of them work on one bundle, and run again",
            )
        merged[receipt.key] = receipt
    return tuple(merged.values())


# --- what workers said ----------------------------------------------------------------------------------------------


def remember(ledger: Ledger, place: str, said: Iterable[Sent], listed: Mapping[str, Listed] | None = None) -> None:
    """Takes into a ledger what workers put, or said that they would put, at a place.

    Without a listing the receipts are of now. Else they are of any time: what is ``listed`` decides which count, and
    whether what was to be put may have come over what the ledger knows.
    """
    ours = [one for one in said if one.place == place]
    for row in (_row_of(receipt) for one in ours for receipt in one.receipts):
        if (listed is None or _agrees(row, listed.get(row.key))) and not _is_known(row, ledger.get(row.key)):
            ledger.note(row)
    for file in (file for one in ours for file in one.files):
        known, found = ledger.get(file.key), listed.get(file.key) if listed is not None else None
        other = known is not None and known.sha256 != file.sha256 and found is not None and not _agrees(known, found)
        if known is None or known.state is State.LEFT or (other and found is not None and found.size == file.size):
            ledger.note(Row(*entry_of(file.key, file.size, file.sha256)))


def _row_of(receipt: Receipt) -> Row:
    entry = entry_of(receipt.key, receipt.size, receipt.sha256)
    return Row(*entry, State.SENT, etag=receipt.etag, verified_at=rfc3339(receipt.verified_at))


def _agrees(row: Row, found: Listed | None) -> bool:
    return found is not None and agree(Entry(row.key, row.size, row.sha256, row.media_type), row, found)


def _is_known(row: Row, known: Row | None) -> bool:
    same = known is not None and (known.sha256, known.etag) == (row.sha256, row.etag)
    return same and known is not None and known.is_put


def entry_of(key: str, size: int, sha256: str) -> Entry:
    """A file of data as the manifest will name it."""
    return Entry(key, size, sha256, media_type(key))


def take_over(bundle: Bundle, store: Store, said: Iterable[Sent]) -> tuple[Receipt, ...]:
    """Merges the receipts of workers for the data that a listing finds as they put it.

    The bundle's own ledger knows all of it then, also what is no part of the product any more.
    """
    place, ours = place_of(bundle.profile(), store), list(said)
    if not any(one.place == place.name for one in ours):
        return ()
    listed, entries = listing(place), product_entries(bundle)
    with Ledger(ledger_path(bundle), place.name) as ledger:
        remember(ledger, place.name, ours, listed)
    receipts = (receipt for one in ours if one.place == place.name for receipt in one.receipts)
    return merge(receipt for receipt in receipts if _is_still(receipt, entries, listed))


def _is_still(receipt: Receipt, entries: Mapping[str, Entry], listed: Mapping[str, Listed]) -> bool:
    """Tells whether a receipt is of a file of the product as it is, and of the object that is there."""
    entry = entries.get(receipt.key)
    is_ours = entry is not None and (entry.size, entry.sha256) == (receipt.size, receipt.sha256)
    return is_ours and _agrees(_row_of(receipt), listed.get(receipt.key))
