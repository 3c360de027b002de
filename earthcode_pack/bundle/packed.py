"""Many values in little memory."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.model import Value


class Packed[V: Value](Sequence[V]):
    """A sequence of values, each held as compressed JSON of about a kilobyte (``pack``).

    Every access makes the value anew: go through it in one pass where that is possible.
    """

    def __init__(self, kind: type[V], held: Iterable[bytes]) -> None:
        self._kind, self._held = kind, list(held)

    def picked(self, places: Iterable[int]) -> Packed[V]:
        """The values at some places, in the order of ``places``."""
        return Packed(self._kind, (self._held[place] for place in places))

    def __len__(self) -> int:
        return len(self._held)

    @overload
    def __getitem__(self, index: int) -> V: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[V]: ...

    def __getitem__(self, index: int | slice) -> V | Sequence[V]:
        if isinstance(index, slice):
            return Packed(self._kind, self._held[index])
        return self._kind.from_json(zlib.decompress(self._held[index]))


def pack(value: Value) -> bytes:
    """A value as ``Packed`` holds it."""
    return zlib.compress(value.model_dump_json().encode(), 1)
