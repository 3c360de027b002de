"""Long arrays of a document cut down to what JSON schemas can tell apart, so that 100,000 links cost what 100 do.

Of a longer array the first members are kept, each further one of another *shape* (``shape.py``), and one pair of equal
ones where there is one (``uniqueItems``): the verdict is that of the whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks.shape import first_equal

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

_FIRST = 100  # members that are always kept: no schema of STAC bounds a length by more
_MOST = 10_000  # members of one array that are validated
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Thinned:
    """A document without what its schemas cannot tell apart; ``left`` counts members that were not validated."""

    def __init__(self, document: Any, shape: Callable[[Any], Hashable]) -> None:
        self._shape = shape
        self._kept: dict[int, list[int]] = {}
        self.left = 0
        self.document = self._thin(document)

    def _thin(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._thin(part) for key, part in value.items()}
        if not isinstance(value, list):
            return value
        if len(value) <= _FIRST:
            return [self._thin(part) for part in value]
        kept = self._chosen(value)
        thin = [self._thin(value[index]) for index in kept]
        self._kept[id(thin)] = kept
        return thin

    def _chosen(self, values: list[Any]) -> list[int]:
        seen: dict[Hashable, int] = {}
        for index, value in enumerate(values):
            seen.setdefault(self._shape(value), index)
        chosen = sorted({*range(_FIRST), *seen.values(), *first_equal(values)})
        self.left += max(0, len(chosen) - _MOST)
        return chosen[:_MOST]

    def path(self, parts: Iterable[str | int]) -> str:
        """The JSON path in the whole document of a place in this one, as jsonschema writes it."""
        at, text = self.document, "$"
        for part in parts:
            if isinstance(part, int):
                text += f"[{self._kept[id(at)][part] if id(at) in self._kept else part}]"
            else:
                text += f".{part}" if _PLAIN_NAME.fullmatch(part) else "['" + part.replace("'", r"\'") + "']"
            at = at[part]
        return text
