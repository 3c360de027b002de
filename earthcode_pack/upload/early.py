"""Data goes up while the rest of the product is still being made: a thread or two beside the conversion.

Workers that share no disk put theirs themselves (``worker``); here it is known what they put.

What refers to data (metadata of Zarr, manifest, Items, Collection) is ``upload``'s, which finds the data there. What
the storage refuses here is no failure: the upload at the end tries again, and says it.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Event, Lock
from typing import TYPE_CHECKING

from earthcode_pack.errors import EarthcodePackError
from earthcode_pack.model import rfc3339
from earthcode_pack.storage import Stored
from earthcode_pack.storage.concurrency import cancelled_by
from earthcode_pack.upload.compare import agree, identity, listing, place_name, place_of, store_of
from earthcode_pack.upload.ledger import Ledger, ledger_path
from earthcode_pack.upload.nodes import entry_of, merge, remember
from earthcode_pack.upload.sender import Sender, receipt_of
from earthcode_pack.upload.stages import is_data
from earthcode_pack.upload.tidy import Removed, withdraw
from earthcode_pack.upload.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.convert.work import Sent
    from earthcode_pack.model import File, PartSums, Receipt
    from earthcode_pack.profile import Profile
    from earthcode_pack.storage import Listed, Store
    from earthcode_pack.upload.entries import Entry

logger = logging.getLogger("earthcode_pack")

_THREADS = 2  # the conversion needs the cores


class Ahead:
    """Sends data of a bundle ahead: ``offer`` files that are final, then ``close``, or ``withdraw`` and ``close``.

    The bundle's profile need not be written yet. Nothing is sent where there are objects that refer to data: the
    version is published, or was begun to be. ``known`` is what workers of earlier runs put, or were to put.
    """

    def __init__(self, bundle: Bundle, profile: Profile, known: Iterable[Sent] = ()) -> None:
        self._bundle, self._profile = bundle, profile
        self._known, self._place = list(known), place_name(profile)
        self._told: list[Sent] = []  # by workers of this run
        self._theirs: dict[str, Receipt] = {}
        self._troubles: set[tuple[str, str]] = set()
        self._taking = Lock()
        self._listed: dict[str, Listed] = {}
        self._ledger: Ledger | None = None
        self._watch: Watch | None = None
        self._stopped, self._cut = Event(), Event()
        self._pool = ThreadPoolExecutor(_THREADS, "earthcode-pack-ahead")
        self._sender: Future[Sender | None] = Future()
        try:
            store = store_of(profile)  # here: what it imports is not imported in two threads at once
        except EarthcodePackError as error:
            self._give_up(error)
            self._sender.set_result(None)
        else:
            self._sender = self._submit(self._open, store)

    def offer(self, files: Iterable[File]) -> None:
        """Queues files of the product, whole and verified, that are on this machine; what is no data is left alone."""
        for file in files:
            entry = entry_of(file.key, file.size, file.sha256)
            if is_data(entry.key) and not self._is_theirs(entry) and not self._stopped.is_set():
                self._submit(self._send, entry, file.parts)

    def _submit[**P, R](self, work: Callable[P, R], *given: P.args, **named: P.kwargs) -> Future[R]:
        """Submits a call to the pool, in the context of the caller, until ``cut``."""
        with cancelled_by(self._cut):
            context = copy_context()
        return self._pool.submit(lambda: context.run(work, *given, **named))

    def cut(self) -> None:
        """Leaves what is under way, after an interruption: ``close`` waits for nothing then."""
        self._stopped.set()
        self._cut.set()

    def adopt(self, sent: Sent) -> None:
        """Takes in what a worker has put: it is not sent again, and taken back with the rest.

        Raises ``OutsideError`` where another worker has put other bytes under one of the keys.
        """
        if sent.place != self._place:
            return
        if sent.trouble is not None and (sent.node, sent.trouble) not in self._troubles:
            self._troubles.add((sent.node, sent.trouble))
            words = "a worker on %s does not put all it makes into the store, this run does so in the end: %s"
            logger.warning(words, sent.node, sent.trouble)
        with self._taking:
            for receipt in sent.receipts:
                other = self._theirs.get(receipt.key)
                (self._theirs[receipt.key],) = merge([receipt], [] if other is None else [other])
            self._told.append(sent)
            if self._ledger is not None:
                remember(self._ledger, self._place, [sent])

    def withdraw(self, said: Iterable[Sent] = ()) -> Removed:
        """Takes back what went up, in this run or an interrupted one: the product must not be published.

        ``said`` is what workers said that they would put, of which some may have died since.
        """
        self._stop()
        sender = self._sender.result() if self._sender.done() and not self._sender.cancelled() else None
        if sender is None:
            if self._theirs:
                logger.warning("what workers put into the store stays until `earthcode-pack clean`")
            return Removed()
        theirs = list(said)
        if not theirs and not sender.ledger.rows():
            return Removed()
        try:
            if theirs:
                remember(sender.ledger, self._place, theirs, listing(sender.place))
            removed = withdraw(sender)
        except EarthcodePackError as error:
            logger.warning("what went up ahead stays until `earthcode-pack clean`: %s", error)
            return Removed()
        logger.info("%d objects that went up ahead are taken back: the product is not published", len(removed.objects))
        return removed

    def close(self) -> None:
        """Waits for what is under way; what is queued is left to ``upload``."""
        self._stop()
        if self._theirs:
            nodes = sorted({one.node for one in self._told if one.receipts})
            logger.info("%d objects were put by the workers that made them (%s)", len(self._theirs), ", ".join(nodes))
        if self._ledger is not None:
            self._ledger.close()

    def _stop(self) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def _open(self, store: Store) -> Sender | None:
        try:
            place = place_of(self._profile, store)
            self._watch, self._listed = Watch(place), listing(place)
            ledger = Ledger(ledger_path(self._bundle), place.name)
            with self._taking:
                self._ledger = ledger
                remember(ledger, place.name, self._known, self._listed)
                remember(ledger, place.name, self._told)
            return Sender(self._bundle.product, place, ledger)
        except Exception as error:  # noqa: BLE001 - as below
            self._give_up(error)
            return None

    def _send(self, entry: Entry, parts: PartSums | None) -> None:
        sender = self._sender.result()
        if sender is None or self._stopped.is_set() or not self._may_send(entry):
            return
        try:
            if self._is_theirs(entry):
                return
            if self._watch is not None:
                self._watch.glance()
            sender.plan([entry], now=False)
            sender.send(entry, parts)
        except Exception as error:  # noqa: BLE001 - whatever it is, the upload at the end tries again
            self._give_up(error)

    def _may_send(self, entry: Entry) -> bool:
        """Refuses to overwrite an object of the same size: ``upload`` compares it."""
        if not all(map(is_data, self._listed)):
            return False
        found = self._listed.get(entry.key)
        row = None if self._ledger is None else self._ledger.get(entry.key)
        if found is not None and row is not None and agree(entry, row, found):
            if (receipt := receipt_of(row)) is not None:
                self._note_file(entry, receipt)  # a worker of an earlier run put it: the file here is new
            return False
        return (found is None or found.size != entry.size) and (self._bundle.product / entry.key).is_file()

    def _is_theirs(self, entry: Entry) -> bool:
        """Tells whether a worker has put these bytes; the ledger knows then of which file here that is true as well."""
        receipt = self._theirs.get(entry.key)
        if receipt is None or (receipt.size, receipt.sha256) != (entry.size, entry.sha256):
            return False
        self._note_file(entry, receipt)
        return True

    def _note_file(self, entry: Entry, receipt: Receipt) -> None:
        sender = self._sender.result() if self._sender.done() and not self._sender.cancelled() else None
        if sender is not None and identity(self._bundle.product / entry.key) is not None:
            stored = Stored(key=entry.key, size=entry.size, sha256=entry.sha256, etag=receipt.etag)
            sender.found(entry, stored, rfc3339(receipt.verified_at))

    def _give_up(self, error: Exception) -> None:
        if not self._stopped.is_set():
            told = error if isinstance(error, EarthcodePackError) else type(error).__name__
            logger.warning("nothing more goes up before the product is whole: %s", told)
        self._stopped.set()
