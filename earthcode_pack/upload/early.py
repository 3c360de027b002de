"""Data goes up while the rest of the product is still being made: a thread or two beside the conversion.

What refers to data (metadata of Zarr, manifest, Items, Collection) is ``upload``'s, which finds the data there. What
the storage refuses here is no failure: the upload at the end tries again, and says it.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

from earthcode_pack.bundle import media_type
from earthcode_pack.errors import EarthcodePackError, VersionTaken
from earthcode_pack.upload.compare import listing, place_of, store_of
from earthcode_pack.upload.entries import Entry
from earthcode_pack.upload.ledger import Ledger, ledger_path
from earthcode_pack.upload.sender import Sender
from earthcode_pack.upload.stages import COLLECTION, is_data
from earthcode_pack.upload.tidy import Removed, withdraw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import File
    from earthcode_pack.profile import Profile
    from earthcode_pack.storage import Listed, Store

logger = logging.getLogger("earthcode_pack")

_THREADS = 2  # the conversion needs the cores
_AGAIN = 5.0  # s between two looks at whether the version is published


class Ahead:
    """Sends data of a bundle ahead: ``offer`` files that are final, then ``close``, or ``withdraw`` and ``close``.

    The bundle's profile need not be written yet. Nothing is sent where there are objects that refer to data: the
    version is published, or was begun to be.
    """

    def __init__(self, bundle: Bundle, profile: Profile) -> None:
        self._bundle, self._profile = bundle, profile
        self._listed: dict[str, Listed] = {}
        self._ledger: Ledger | None = None
        self._stopped = Event()
        self._asked = time.monotonic()
        self._pool = ThreadPoolExecutor(_THREADS, "earthcode-pack-ahead")
        self._sender: Future[Sender | None] = Future()
        try:
            store = store_of(profile)  # here: what it imports is not imported in two threads at once
        except EarthcodePackError as error:
            self._give_up(error)
            self._sender.set_result(None)
        else:
            self._sender = self._pool.submit(self._open, store)

    def offer(self, files: Iterable[File]) -> None:
        """Queues files of the product, whole and verified, that are on this machine; what is no data is left alone."""
        for file in files:
            if is_data(file.key) and not self._stopped.is_set():
                self._pool.submit(self._send, Entry(file.key, file.size, file.sha256, media_type(file.key)))

    def withdraw(self) -> Removed:
        """Takes back what went up, in this run or an interrupted one: the product must not be published."""
        self._stop()
        sender = self._sender.result() if self._sender.done() and not self._sender.cancelled() else None
        if sender is None or not sender.ledger.rows():
            return Removed()
        try:
            removed = withdraw(sender)
        except EarthcodePackError as error:
            logger.warning("what went up ahead stays until `earthcode-pack clean`: %s", error)
            return Removed()
        logger.info("%d objects that went up ahead are taken back: the product is not published", len(removed.objects))
        return removed

    def close(self) -> None:
        """Waits for what is under way; what is queued is left to ``upload``."""
        self._stop()
        if self._ledger is not None:
            self._ledger.close()

    def _stop(self) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def _open(self, store: Store) -> Sender | None:
        try:
            place = place_of(self._profile, store)
            self._listed = listing(place)
            self._ledger = Ledger(ledger_path(self._bundle), place.name)
            return Sender(self._bundle.product, place, self._ledger)
        except Exception as error:  # noqa: BLE001 - as below
            self._give_up(error)
            return None

    def _send(self, entry: Entry) -> None:
        sender = self._sender.result()
        if sender is None or self._stopped.is_set() or not self._may_send(entry):
            return
        try:
            self._look_again(sender)
            sender.plan([entry], now=False)
            sender.send(entry)
        except Exception as error:  # noqa: BLE001 - whatever it is, the upload at the end tries again
            self._give_up(error)

    def _may_send(self, entry: Entry) -> bool:
        """Not over what is there in this size already: ``upload`` asks what that is."""
        if not all(map(is_data, self._listed)):
            return False
        found = self._listed.get(entry.key)
        return (found is None or found.size != entry.size) and (self._bundle.product / entry.key).is_file()

    def _look_again(self, sender: Sender) -> None:
        """Another machine may have published this version meanwhile."""
        if time.monotonic() - self._asked > _AGAIN:
            self._asked = time.monotonic()
            if sender.place.store.head(sender.place.prefix + COLLECTION) is not None:
                raise VersionTaken(f"{sender.place.name}: it is published meanwhile", "raise product.version")

    def _give_up(self, error: Exception) -> None:
        if not self._stopped.is_set():
            told = error if isinstance(error, EarthcodePackError) else type(error).__name__
            logger.warning("nothing more goes up before the product is whole: %s", told)
        self._stopped.set()
