"""A bundle's product brought to its place, stage by stage; a run that was interrupted goes on."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from earthcode_pack.bundle import Bundle, values_to_json
from earthcode_pack.errors import OutsideError
from earthcode_pack.files import write_atomic
from earthcode_pack.model import Receipt, rfc3339
from earthcode_pack.storage.base import now
from earthcode_pack.storage.concurrency import as_completed, each
from earthcode_pack.upload.compare import agree, is_right, is_same_file, listing, place_of
from earthcode_pack.upload.entries import Entry, product_entries
from earthcode_pack.upload.ledger import Ledger, Row, State, ledger_path
from earthcode_pack.upload.sender import Sender, noting_errors, receipt_of
from earthcode_pack.upload.stages import COLLECTION, MANIFEST, is_data, order
from earthcode_pack.upload.tidy import remove_objects
from earthcode_pack.upload.watch import Watch, taken_by_another

if TYPE_CHECKING:
    from earthcode_pack.storage import Listed, Store
    from earthcode_pack.upload.compare import Place

logger = logging.getLogger("earthcode_pack")
Progress = Callable[[int, int], None]

_PAGE = 1000  # objects that one request lists


def upload(
    bundle: Bundle, store: Store, *, progress: Progress | None = None, receipts: Iterable[Receipt] = ()
) -> tuple[Receipt, ...]:
    """Publishes a bundle's product under ``<product id>/v<version>/``; the Collection is the last to appear.

    What the store holds already is left alone, where file, ledger and listing agree, else by HEAD: an interrupted
    upload goes on. ``receipts`` are those of other machines that put parts of it (see ``merge``). Data is verified by
    a listing before anything that refers to it appears. Before the Collection does, all objects are compared with a
    listing that is read then, also those that were found there; what is gone or another one is put again, where its
    file is on this machine. Objects of a published version are compared as they are found, and put only where they are
    not right.

    Others that publish this version meanwhile are looked for twice a second while something is put, and before the
    manifest and the Collection: the first whose manifest is there goes on. What was under way at that moment may
    arrive over its objects later; ``verify`` finds it.

    The receipts, with keys relative to ``product/`` and the sha256 in hex, are in ``receipts.json`` afterwards, and
    after an error too. ``progress`` is told the bytes that are published, and all.

    The caller sees to it that no other process uploads this bundle. Raises ``VersionTaken`` where another product is
    published under this version, or is about to be, ``UserError`` where a file is not the one that the manifest names,
    ``OutsideError`` where the storage fails.
    """
    entries = product_entries(bundle)
    place = place_of(bundle.profile(), store)
    with Ledger(ledger_path(bundle), place.name) as ledger, noting_errors(ledger):
        run = _Run(bundle, place, ledger, entries, progress or (lambda _done, _all: None))
        run.adopt([*bundle.receipts(), *receipts])
        try:
            run.run()
        finally:
            receipts = run.save()
        return receipts


class _Run:
    """One upload: what is there, what is to be put, and what is put."""

    def __init__(
        self, bundle: Bundle, place: Place, ledger: Ledger, entries: dict[str, Entry], progress: Progress
    ) -> None:
        self._bundle, self._place, self._ledger, self._entries = bundle, place, ledger, entries
        self._sender = Sender(bundle.product, place, ledger, bundle.part_sums())
        self._stages = order(entries)
        self._listed = listing(place)
        self._is_published = COLLECTION in self._listed
        self._progress = progress
        self._done, self._total = 0, sum(entry.size for entry in entries.values())
        self._watch = Watch(place, entries)
        self._doubtful: set[str] = set()  # not seen by a listing since it was put

    def adopt(self, receipts: Iterable[Receipt]) -> None:
        """Takes in what the bundle or another machine vouches for, of what the ledger does not know."""
        for receipt in receipts:
            entry, row = self._entries.get(receipt.key), self._ledger.get(receipt.key)
            if entry is None or row is not None or receipt.key not in self._listed:
                continue
            if (receipt.size, receipt.sha256) == (entry.size, entry.sha256):
                at = rfc3339(receipt.verified_at)
                self._ledger.note(Row(*entry, State.SENT, etag=receipt.etag, verified_at=at))

    def run(self) -> None:
        """Refuses, or puts what is missing and ends with the Collection."""
        self._refuse_other_version()
        missing = self._missing()
        if missing:
            self._place.store.preflight()
        missing |= self._make_room(missing)
        self._count(entry for entry in self._entries.values() if entry.key not in missing)
        with self._sender.planned(self._entries[key] for key in missing):
            for stage in self._stages:
                if stage == [COLLECTION]:
                    self._prepare_end(missing)
                self._put_stage([key for key in stage if key in missing])
        self._verify()
        self._mark(self._entries, State.COMMITTED)

    def _put_stage(self, keys: list[str]) -> None:
        """Objects that may appear together. What others refer to is right before they appear."""
        if keys in ([MANIFEST], [COLLECTION]) and not self._is_published:
            self._watch.look()
        self._put(keys)
        if keys and is_data(keys[0]):
            self._verify()

    def _prepare_end(self, missing: set[str]) -> None:
        """Prepares the Collection: nothing is left half sent, and all other objects are there, whoever put them."""
        if missing or not self._is_published:
            self._sender.sweep({*self._entries, *self._ledger.rows()})
        if not self._is_published:
            self._doubtful = self._entries.keys() - {COLLECTION}
            if wrong := self._wrong():
                self._watch.look()
                self._put_again(wrong)
        self._verify()

    # --- what is there ----------------------------------------------------------------------------------------------

    def _refuse_other_version(self) -> None:
        """Raises ``VersionTaken`` where another manifest, or a Collection without one, is published.

        A manifest without a Collection that this very bundle had put is no publication: it is taken back.
        """
        manifest = self._published_manifest()
        if manifest == self._entries[MANIFEST].sha256 or (manifest is None and not self._is_published):
            return
        row = self._ledger.get(MANIFEST)
        is_ours = row is not None and row.sha256 == manifest and row.state is not State.LEFT
        if is_ours and not self._is_published:
            self._take_back([key for key in self._ledger.rows() if not is_data(key)])
            return
        raise taken_by_another(self._place, MANIFEST if manifest else COLLECTION)

    def _published_manifest(self) -> str | None:
        """The sha256 of the manifest that is there."""
        found = self._place.store.read(self._place.prefix + MANIFEST) if MANIFEST in self._listed else None
        return None if found is None else hashlib.sha256(found).hexdigest()

    def _missing(self) -> set[str]:
        """Returns the entries to put, and notes those that are there."""
        unsure = [entry for entry in self._entries.values() if not self._is_agreed(entry)]
        asked = [entry for entry in unsure if self._has_size(entry)]
        right = zip(asked, each(self._is_right, asked, self._place.store.max_concurrency), strict=True)
        return {entry.key for entry in unsure} - {entry.key for entry, is_it in right if is_it}

    def _is_agreed(self, entry: Entry) -> bool:
        row, found = self._ledger.get(entry.key), self._listed.get(entry.key)
        path = self._bundle.product / entry.key
        if row is None or found is None or not agree(entry, row, found):
            return False
        return is_same_file(path, row) or not path.exists()  # another machine sent it

    def _has_size(self, entry: Entry) -> bool:
        found = self._listed.get(entry.key)
        return found is not None and found.size == entry.size

    def _is_right(self, entry: Entry) -> bool:
        stored = self._place.store.head(self._place.prefix + entry.key)
        if stored is not None and is_right(entry, stored):
            self._sender.found(entry, stored, rfc3339(now()))
            return True
        return False

    def _make_room(self, missing: set[str]) -> set[str]:
        """Takes back what went up ahead, or in an interrupted run, and belongs to the product no more.

        Where data is missing also what refers to data: its turn comes again. Returns the keys that are missing now.
        """
        strays = self._ledger.rows().keys() - self._entries.keys()
        if self._is_published:
            self._ledger.forget(strays)
            return set()
        refers = {key for key in self._ledger.rows() if not is_data(key)} if any(map(is_data, missing)) else set()
        return self._take_back(strays | refers) & self._entries.keys()

    def _take_back(self, keys: Iterable[str]) -> set[str]:
        gone = remove_objects(self._place, self._ledger, self._listed, keys)
        for key in gone:
            del self._listed[key]
        return set(gone)

    # --- what is put ------------------------------------------------------------------------------------------------

    def _put(self, keys: Iterable[str]) -> None:
        """All these objects; after a failure no other is begun, and what is under way may be left."""
        for row in as_completed(self._send, (self._entries[key] for key in keys), self._place.store.max_concurrency):
            self._doubtful.add(row.key)
            self._count([self._entries[row.key]])

    def _send(self, entry: Entry) -> Row:
        if not self._is_published:
            self._watch.glance()
        return self._sender.send(entry)

    def _put_again(self, keys: list[str]) -> None:
        """Puts objects again that were removed or changed since the listing, where their files are on this machine."""
        again = [key for key in keys if (self._bundle.product / key).is_file()]
        if again:
            logger.warning("%d objects were removed or changed meanwhile, and are sent again", len(again))
        self._doubtful |= set(keys)
        self._done -= sum(self._entries[key].size for key in again)
        with self._sender.planned(self._entries[key] for key in again):
            for stage in order(again):
                self._put(stage)

    def _count(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._done += entry.size
            self._progress(self._done, self._total)

    def _verify(self) -> None:
        """Compares what was put since with what the store lists now. Raises ``OutsideError`` where they differ."""
        if wrong := self._wrong():
            if not self._is_published:
                self._watch.look()  # whoever publishes meanwhile is the reason
            where = self._place.store.href(self._place.prefix + wrong[0])
            raise OutsideError(f"{where}: what is stored is not what was sent", "run again: it resumes")

    def _wrong(self) -> list[str]:
        """Returns doubtful entries that are not in the store as they should be; the others are doubtful no longer."""
        few = len(self._doubtful) <= len(self._entries) / _PAGE  # then asking for each costs no more than a listing
        listed = {} if few else listing(self._place)
        unlike = [self._entries[key] for key in sorted(self._doubtful) if not self._is_as_sent(key, listed.get(key))]
        right = zip(unlike, each(self._is_right, unlike, self._place.store.max_concurrency), strict=True)
        wrong = [entry.key for entry, is_it in right if not is_it]
        self._mark(self._doubtful.difference(wrong), State.VERIFIED)
        self._doubtful = set()
        return wrong

    def _is_as_sent(self, key: str, found: Listed | None) -> bool:
        """Tells whether a listing shows the object that the store was seen to have: by ETag, else by size and time."""
        row = self._ledger.get(key)
        if row is None or found is None or found.size != row.size:
            return False
        if row.etag and found.etag:
            return agree(self._entries[key], row, found)
        seen = datetime.fromisoformat(row.verified_at) if row.verified_at else None
        return row.is_put and seen is not None and found.modified is not None and found.modified <= seen

    def _mark(self, keys: Iterable[str], state: State) -> None:
        rows = self._ledger.rows()
        self._ledger.note(*(rows[key]._replace(state=state) for key in keys if rows[key].state is not state))

    # --- what is told -----------------------------------------------------------------------------------------------

    def _receipts(self) -> tuple[Receipt, ...]:
        """Returns the receipts of all objects that are there, in the order of publishing."""
        rows = self._ledger.rows()
        ordered = (rows[key] for stage in self._stages for key in stage if key in rows)
        return tuple(receipt for row in ordered if (receipt := receipt_of(row)) is not None)

    def save(self) -> tuple[Receipt, ...]:
        """Writes ``receipts.json``, whole or not at all."""
        receipts = self._receipts()
        write_atomic(self._bundle.root / "receipts.json", values_to_json(receipts))
        return receipts
