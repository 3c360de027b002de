"""A cache of arrays that several parts read: least recently used, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator


class _Entry[V]:
    """``value`` is empty until it is made; who waits for it waits for the lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.value: list[V] = []
        self.size = 0


class Kept[V]:
    """Values by key, of at most ``limit`` bytes in all. Each is made once, however many threads ask for it at once."""

    def __init__(self, limit: int, size: Callable[[V], int]) -> None:
        self._limit, self._size = limit, size
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[V]] = OrderedDict()
        self._total = 0

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of ``key``, made where it is not kept. Raises what ``make`` raises; then nothing is kept."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
        with entry.lock:
            if not entry.value:
                entry.value = [self._made(key, make)]
                self._count(key, entry)
            return entry.value[0]

    def drop(self, key: Hashable) -> None:
        """Forgets a value that nobody needs any more."""
        with self._lock:
            entry = self._entries.pop(key, None)
            self._total -= entry.size if entry is not None else 0

    @property
    def kept(self) -> int:
        """The bytes of all values that are kept."""
        return self._total

    def _made(self, key: Hashable, make: Callable[[], V]) -> V:
        try:
            return make()
        except BaseException:
            self.drop(key)
            raise

    def _count(self, key: Hashable, entry: _Entry[V]) -> None:
        """Adds the size of a value that was made, and forgets those that were used longest ago."""
        with self._lock:
            if self._entries.get(key) is not entry:
                return  # dropped meanwhile
            entry.size = self._size(entry.value[0])
            self._total += entry.size
            for old in list(self._oldest()):
                del self._entries[old]

    def _oldest(self) -> Iterator[Hashable]:
        """The values to forget until the rest fits, those used longest ago first; none that is being made."""
        for key, entry in self._entries.items():
            if self._total <= self._limit:
                return
            if entry.size:
                self._total -= entry.size
                yield key
