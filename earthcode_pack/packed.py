"""Many values in little memory."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.model import Source, Value


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


class Shared:
    """Holds each distinct grid and variable once, where many sources have the same: 5 of their 8 kilobytes."""

    def __init__(self) -> None:
        self._held: dict[tuple[type[Value], bytes], Value] = {}

    def source(self, source: Source) -> Source:
        """The same source, of which grid and variables may be another source's."""
        variables = tuple(map(self._once, source.variables))
        return source.model_copy(update={"grid": self._once(source.grid), "variables": variables})

    def _once[V: Value](self, value: V) -> V:
        digest = hashlib.sha256(value.model_dump_json().encode()).digest()
        held = self._held.setdefault((type(value), digest), value)
        assert isinstance(held, type(value))
        return held
