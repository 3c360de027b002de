"""A bundle's product brought to its place, stage by stage; a run that was interrupted goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from earthcode_pack.bundle import Bundle, values_to_json, write_atomic
from earthcode_pack.errors import OutsideError, VersionTaken
from earthcode_pack.model import Receipt, rfc3339
from earthcode_pack.storage.crew import by_crew, each
from earthcode_pack.storage.stores import now
from earthcode_pack.upload.compare import agree, is_right, is_same_file, listing, place_of
from earthcode_pack.upload.entries import Entry, product_entries
from earthcode_pack.upload.ledger import Ledger, Row, State, ledger_path
from earthcode_pack.upload.sender import Sender, noting_errors, receipt_of
from earthcode_pack.upload.stages import COLLECTION, MANIFEST, is_data, order
from earthcode_pack.upload.tidy import remove_objects

if TYPE_CHECKING:
    from earthcode_pack.storage import Listed, Store
    from earthcode_pack.upload.compare import Place

Progress = Callable[[int, int], None]

_PAGE = 1000  # objects that one request lists


def upload(
    bundle: Bundle, store: Store, *, progress: Progress | None = None, receipts: Iterable[Receipt] = ()
) -> tuple[Receipt, ...]:
    """Publishes a bundle's product under ``<product id>/v<version>/``; the Collection is the last to appear.

    What the store holds already is left alone, where file, ledger and listing agree, else by HEAD: an interrupted
    upload goes on. ``receipts`` are those of other machines that put parts of it (see ``merge``). Data is verified by
    a listing before anything that refers to it appears, and all of it once more before the Collection does. The
    receipts, with keys relative to ``product/`` and the sha256 in hex, are in ``receipts.json`` afterwards, and after
    an error too. ``progress`` is told the bytes that are published, and all.

    The caller sees to it that no other process uploads this bundle. Raises ``VersionTaken`` where another product is
    published under this version, ``UserError`` where a file is not the one that the manifest names, ``OutsideError``
    where the storage fails.
    """
    entries = product_entries(bundle)
    place = place_of(bundle.profile(), store)
    with Ledger(ledger_path(bundle), place.name) as ledger, noting_errors(ledger):
        run = _Run(bundle, place, ledger, entries, progress or (lambda _done, _all: None))
        run.adopt([*bundle.receipts(), *receipts])
        try:
            run.run()
        finally:
            run.save()
        return run.receipts()


class _Run:
    """One upload: what is there, what is to be put, and what is put."""

    def __init__(
        self, bundle: Bundle, place: Place, ledger: Ledger, entries: dict[str, Entry], progress: Progress
    ) -> None:
        self._bundle, self._place, self._ledger, self._entries = bundle, place, ledger, entries
        self._sender = Sender(bundle.product, place, ledger)
        self._stages = order(entries)
        self._listed = listing(place)
        self._is_published = COLLECTION in self._listed
        self._progress = progress
        self._done, self._total = 0, sum(entry.size for entry in entries.values())
        self._doubtful: set[str] = set()  # put since the last listing

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
        self._sender.plan(self._entries[key] for key in missing)
        self._count(entry for entry in self._entries.values() if entry.key not in missing)
        for stage in self._stages:
            if stage == [COLLECTION]:
                self._prepare_end(missing)
            self._put(key for key in stage if key in missing)
            if is_data(stage[0]):
                self._verify()
        self._verify()
        self._mark(self._entries, State.COMMITTED)

    def _prepare_end(self, missing: set[str]) -> None:
        """What precedes the Collection: the rest is right, nothing is left half sent, nobody else was faster."""
        self._verify()
        if missing or not self._is_published:
            self._sender.sweep({*self._entries, *self._ledger.rows()})
        if not self._is_published:
            theirs = self._place.store.head(self._place.prefix + COLLECTION)
            if theirs is not None and not is_right(self._entries[COLLECTION], theirs):
                raise self._taken_by_another(COLLECTION)

    # --- what is there ----------------------------------------------------------------------------------------------

    def _refuse_other_version(self) -> None:
        """Raises ``VersionTaken`` where another manifest, or a Collection without one, is published.

        A manifest without a Collection that this very bundle had put is no publication: it is taken back.
        """
        manifest = self._published_manifest()
        if manifest == self._entries[MANIFEST].sha256 or (manifest is None and not self._is_published):
            return
        row = self._ledger.get(MANIFEST)
        if not self._is_published and row is not None and row.sha256 == manifest:
            self._take_back([key for key in self._ledger.rows() if not is_data(key)])
            return
        raise self._taken_by_another(MANIFEST if manifest else COLLECTION)

    def _taken_by_another(self, key: str) -> VersionTaken:
        where = self._place.store.href(self._place.prefix + key)
        return VersionTaken(f"{where}: another product is published as this version", "raise product.version")

    def _published_manifest(self) -> str | None:
        """The sha256 of the manifest that is there."""
        found = self._place.store.read(self._place.prefix + MANIFEST) if MANIFEST in self._listed else None
        return None if found is None else hashlib.sha256(found).hexdigest()

    def _missing(self) -> set[str]:
        """What is to be put; of the rest it is noted that it is there."""
        unsure = [entry for entry in self._entries.values() if not self._is_agreed(entry)]
        asked = [entry for entry in unsure if self._has_size(entry)]
        right = zip(asked, each(self._is_right, asked, self._most), strict=True)
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
        """All these objects; after a failure those under way are recorded, no other is begun."""
        for row in by_crew(self._sender.send, (self._entries[key] for key in keys), self._most):
            self._doubtful.add(row.key)
            self._count([self._entries[row.key]])

    def _most(self) -> int:
        return self._place.store.most

    def _count(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._done += entry.size
            self._progress(self._done, self._total)

    def _verify(self) -> None:
        """Compares what was put since with what the store lists now. Raises ``OutsideError`` where they differ."""
        few = len(self._doubtful) <= len(self._entries) / _PAGE  # then asking for each costs no more than a listing
        listed = {} if few else listing(self._place)
        for key in sorted(self._doubtful):
            self._confirm(self._entries[key], listed.get(key))
        self._mark(self._doubtful, State.VERIFIED)
        self._doubtful = set()

    def _confirm(self, entry: Entry, found: Listed | None) -> None:
        row = self._ledger.get(entry.key)
        assert row is not None, "it was sent"
        stated = row.etag and found and found.etag
        same = found is not None and found.size == entry.size and (not stated or agree(entry, row, found))
        if not same and not self._is_right(entry):
            where = self._place.store.href(self._place.prefix + entry.key)
            raise OutsideError(f"{where}: what is stored is not what was sent", "run again: it resumes")

    def _mark(self, keys: Iterable[str], state: State) -> None:
        rows = self._ledger.rows()
        self._ledger.note(*(rows[key]._replace(state=state) for key in keys))

    # --- what is told -----------------------------------------------------------------------------------------------

    def receipts(self) -> tuple[Receipt, ...]:
        """Of what is there, in the order of publishing."""
        rows = self._ledger.rows()
        ordered = (rows[key] for stage in self._stages for key in stage if key in rows)
        return tuple(receipt for row in ordered if (receipt := receipt_of(row)) is not None)

    def save(self) -> None:
        """Writes ``receipts.json``, whole or not at all."""
        write_atomic(self._bundle.root / "receipts.json", values_to_json(self.receipts()))
