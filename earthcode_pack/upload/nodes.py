"""Machines that share no disk: each puts the data that it has, with a ledger of its own; one of them ends the upload.

The one that ends it calls ``upload`` with the merged receipts: what the others put is found there and not sent again,
and the Collection appears after all of it.
"""

from __future__ import annotations

import platform
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from earthcode_pack.errors import OutsideError, UserError, VersionTaken
from earthcode_pack.upload.compare import agree, listing, place_of
from earthcode_pack.upload.entries import Entry, product_entries
from earthcode_pack.upload.ledger import Ledger, ledger_path
from earthcode_pack.upload.sender import Sender, noting_errors, receipt_of
from earthcode_pack.upload.stages import COLLECTION, is_data

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Receipt
    from earthcode_pack.storage import Store


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
        sender, rows = Sender(bundle.product, place, ledger), ledger.rows()
        there = {e.key for e in entries if e.key in rows and e.key in listed and agree(e, rows[e.key], listed[e.key])}
        missing = [entry for entry in entries if entry.key not in there]
        sender.plan(missing)
        with ThreadPoolExecutor(store.most, "earthcode-pack-upload") as pool:
            sent = list(pool.map(sender.send, missing))
        sender.sweep(row.key for row in sent)
        return merge(receipt for entry in entries if (receipt := receipt_of(ledger.rows()[entry.key])) is not None)


def _wanted(entries: dict[str, Entry], keys: list[str]) -> list[Entry]:
    wrong = [key for key in keys if key not in entries or not is_data(key)]
    if wrong:
        raise UserError(
            f"{wrong[0]}: no data of this product", "name keys of the manifest below data/, without metadata"
        )
    return [entries[key] for key in sorted(set(keys))]


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
