"""Removal of objects that this package put and no reader has seen; nothing else is ever removed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from earthcode_pack.bundle import values_to_json
from earthcode_pack.files import write_atomic
from earthcode_pack.upload.compare import agree, is_right, listing, place_name, place_of, store_of
from earthcode_pack.upload.entries import Entry
from earthcode_pack.upload.ledger import Ledger, State, ledger_path, read_ledger
from earthcode_pack.upload.nodes import remember
from earthcode_pack.upload.sender import Sender, begun_of
from earthcode_pack.upload.stages import COLLECTION, MANIFEST, order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.convert.work import Sent
    from earthcode_pack.storage import Listed, Store
    from earthcode_pack.upload.compare import Place
    from earthcode_pack.upload.ledger import Row


logger = logging.getLogger("earthcode_pack")


class Removed(NamedTuple):
    """Objects removed from a store: keys relative to the product, their bytes, and open uploads."""

    objects: tuple[str, ...] = ()
    size: int = 0
    uploads: int = 0


def clean_store(bundle: Bundle, store: Store | None = None, said: Iterable[Sent] = ()) -> Removed:
    """Removes what interrupted or refused uploads of a bundle left in its store, as far as its ledger knows it.

    Uploads that are open, temporary files of a store on disk, and, while the Collection is not there, the objects that
    are still as they were put. Of a published version no object goes, nor while another bundle's manifest is there.
    Objects of the same bytes that an upload found there, and took on as they were, count as put by it. ``said`` is
    what workers put, or were to put. Without that and a ledger nothing is asked. Raises ``OutsideError`` where the
    storage fails.
    """
    profile = bundle.profile()
    if profile.store is None or profile.store.href is None:
        return Removed()
    theirs = [one for one in said if one.place == place_name(profile)]
    if not theirs and not read_ledger(ledger_path(bundle), place_name(profile))[0]:
        return Removed()
    place = place_of(profile, store or store_of(profile))
    with Ledger(ledger_path(bundle), place.name) as ledger:
        if theirs:
            remember(ledger, place.name, theirs, listing(place))
        removed = withdraw(Sender(bundle.product, place, ledger))
        ledger.note_error(None)
    _drop_receipts(bundle, set(removed.objects))
    return removed


def withdraw(sender: Sender) -> Removed:
    """Takes back everything that the ledger knows of a version that is not published. See ``clean_store``."""
    place, ledger = sender.place, sender.ledger
    listed, rows = listing(place), ledger.rows()
    uploads = _end_uploads(sender, rows)
    if COLLECTION in listed or _is_begun_by_another(place, rows, listed):
        return Removed(uploads=uploads)
    gone = remove_objects(place, ledger, listed, rows)
    ledger.flush()
    return Removed(gone, sum(listed[key].size for key in gone), uploads)


def _is_begun_by_another(place: Place, rows: dict[str, Row], listed: dict[str, Listed]) -> bool:
    """Tells whether a manifest of somebody else is there: what it names may be the very objects that are known here."""
    row, found = rows.get(MANIFEST), listed.get(MANIFEST)
    if found is None or (row is not None and _is_ours(place, row, found)):
        return False
    where = place.store.href(place.prefix + MANIFEST)
    logger.warning("%s is another bundle's, which may be about to be published: no object is removed", where)
    return True


def _end_uploads(sender: Sender, rows: dict[str, Row]) -> int:
    """Open uploads that a row names, and those of objects that were to be put."""
    named = [(key, begun) for key, row in rows.items() if (begun := begun_of(row)) is not None]
    for key, begun in named:
        sender.place.store.abort(sender.place.prefix + key, begun)
    sender.ledger.note(*(rows[key]._replace(upload_id=None, part_size=None) for key, _ in named))
    return len(named) + sender.sweep(key for key, row in rows.items() if row.state is State.SENT or not row.is_put)


def remove_objects(place: Place, ledger: Ledger, listed: dict[str, Listed], keys: Iterable[str]) -> tuple[str, ...]:
    """Removes those of the objects that are as the ledger says, what refers to others first; forgets all of them."""
    rows, wanted = ledger.rows(), list(keys)
    ours = [key for key in wanted if key in rows and key in listed and _is_ours(place, rows[key], listed[key])]
    for stage in reversed(order(ours)):
        place.store.delete(place.prefix + key for key in stage)
    ledger.forget(wanted)
    return tuple(sorted(ours))


def _is_ours(place: Place, row: Row, found: Listed) -> bool:
    """Tells whether an object is the one that a row tells of; a planned one may have arrived unnoticed.

    What was left over by an upload was put by somebody else, though it has the same bytes.
    """
    entry = Entry(row.key, row.size, row.sha256, row.media_type)
    if found.size != row.size or row.state is State.LEFT:
        return False
    return agree(entry, row, found) or is_right(entry, place.store.head(place.prefix + row.key))


def _drop_receipts(bundle: Bundle, keys: set[str]) -> None:
    kept = [receipt for receipt in bundle.receipts() if receipt.key not in keys]
    if keys and (bundle.root / "receipts.json").is_file():
        write_atomic(bundle.root / "receipts.json", values_to_json(kept))
