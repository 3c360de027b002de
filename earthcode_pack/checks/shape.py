"""What JSON schemas can tell apart of a document, so that ten thousand Items of one form are validated once.

Two documents have one *shape* for a set of schemas where no keyword of these can tell them apart: keys, array lengths
and types are kept; of a string the literals, patterns and lengths that the schemas name, of a number the bounds and
literals. Equal shapes have equal verdicts, for ``format`` is not asserted (JSON Schema draft 7, section 7.2).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

_LENGTHS = {"minLength", "maxLength"}
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_LITERALS = {"const", "enum"}


@dataclass
class _Words:
    """What the schemas name."""

    strings: set[str] = field(default_factory=set)
    numbers: set[float] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)
    lengths: set[int] = field(default_factory=set)
    bounds: set[float] = field(default_factory=set)
    exact: bool = False  # multipleOf looks at every digit
    unique: bool = False


def shapes_for(schemas: Iterable[Any]) -> Callable[[Any], Hashable]:
    """The function that gives the shape of a document for these schemas, which hold all that they refer to."""
    words = _Words()
    for schema in schemas:
        _collect(schema, words)
    return _shaper(words)


def _collect(schema: Any, words: _Words) -> None:
    for key, value in _keywords(schema):
        if key in _LITERALS:
            _literals(value, words)
        elif key == "pattern" and isinstance(value, str):
            words.patterns.add(value)
        elif key in _LENGTHS and _is_number(value):
            words.lengths.add(int(value))
        elif key in _BOUNDS and _is_number(value):
            words.bounds.add(value)
        words.exact = words.exact or key == "multipleOf"
        words.unique = words.unique or key == "uniqueItems"


def _keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value at any depth: names of properties among them, which only add words."""
    pairs = list(schema.items()) if isinstance(schema, dict) else []
    yield from pairs
    for part in (
        [value for _, value in pairs] if isinstance(schema, dict) else schema if isinstance(schema, list) else []
    ):
        yield from _keywords(part)


def _literals(value: Any, words: _Words) -> None:
    if isinstance(value, str):
        words.strings.add(value)
    elif _is_number(value):
        words.numbers.add(value)
    elif isinstance(value, dict):
        _literals(list(value.values()), words)
    elif isinstance(value, list):
        for part in value:
            _literals(part, words)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shaper(words: _Words) -> Callable[[Any], Hashable]:
    patterns, lengths, bounds = (
        [re.compile(p) for p in sorted(words.patterns)],
        sorted(words.lengths),
        sorted(words.bounds),
    )

    @lru_cache(maxsize=10_000)
    def of_text(text: str) -> Hashable:
        if text in words.strings:
            return text
        places = bisect_left(lengths, len(text)), bisect_right(lengths, len(text))
        return (*places, *(pattern.search(text) is not None for pattern in patterns))

    def of_number(number: float) -> Hashable:
        if words.exact or number in words.numbers or number != number:  # noqa: PLR0124 - NaN has no place
            return ("number", type(number).__name__, repr(number))
        is_whole = isinstance(number, int) or number.is_integer()
        return (is_whole, bisect_left(bounds, number), bisect_right(bounds, number))

    def of(value: Any) -> Hashable:
        if isinstance(value, str):
            return of_text(value)
        if value is None or isinstance(value, bool):
            return ("plain", value)
        if isinstance(value, dict):
            return ("object", *((key, of(value[key])) for key in sorted(value)))
        if isinstance(value, list):
            return ("array", words.unique and _is_unique(value), *map(of, value))
        return of_number(value)

    return of


def _is_unique(values: list[Any]) -> bool:
    return not first_equal(values)


def first_equal(values: list[Any]) -> tuple[int, ...]:
    """The places of the first two equal members; none where all differ.

    By the values as written: 1 and 1.0 differ here, and are one to a schema, so numbers are told apart as floats.
    """
    seen: dict[str, int] = {}
    for index, value in enumerate(values):
        first = seen.setdefault(repr(_plain(value)), index)
        if first != index:
            return first, index
    return ()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _plain(part)) for key, part in value.items())
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53 else value
