"""Watch for somebody else who publishes the same version during an upload."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from earthcode_pack.errors import VersionTaken
from earthcode_pack.upload.compare import is_right
from earthcode_pack.upload.stages import COLLECTION, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from earthcode_pack.upload.compare import Place
    from earthcode_pack.upload.entries import Entry

_AGAIN = 0.5  # s between two looks: two requests, whatever number of objects goes up meanwhile


class Watch:
    """Looks for a manifest or a Collection that is none of ``ours``. Any thread may call.

    What is put between a look and the moment at which another one's Collection appears is not held back by it.
    """

    def __init__(self, place: Place, ours: Mapping[str, Entry] | None = None) -> None:
        self._place, self._ours = place, ours or {}
        self._next, self._lock = 0.0, Lock()

    def glance(self) -> None:
        """Looks as ``look`` does, unless it was done just now or another thread is at it; waits for the first."""
        if time.monotonic() < self._next or not self._lock.acquire(blocking=not self._next):
            return
        try:
            if time.monotonic() >= self._next:
                self.look()
        finally:
            self._lock.release()

    def look(self) -> None:
        """Raises ``VersionTaken`` where another product is published as this version, or is about to be."""
        for key in (MANIFEST, COLLECTION):
            if not self._is_free(key):
                raise taken_by_another(self._place, key)
        self._next = time.monotonic() + _AGAIN

    def _is_free(self, key: str) -> bool:
        store, path, entry = self._place.store, self._place.prefix + key, self._ours.get(key)
        found = store.head(path)
        if found is None or entry is None:
            return found is None
        unsaid = found.sha256 is None and found.size == entry.size
        return is_right(entry, found) or (unsaid and store.sha256(path) == entry.sha256)


def taken_by_another(place: Place, key: str) -> VersionTaken:
    """Makes the error for an object that belongs to another upload."""
    where = place.store.href(place.prefix + key)
    return VersionTaken(f"{where}: another product is published as this version", "raise product.version")
