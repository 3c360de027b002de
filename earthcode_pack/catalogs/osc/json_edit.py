"""Edits JSON text with the smallest change: key order, indentation, escapes, blanks and line ends stay.

A reviewer reads the diff, and three hundred of the catalogue's files would not survive ``json.dumps``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n]*")
_IDENTITY = ("href", "id", "name", "scheme", "title")  # what tells one object of an array from its neighbours


def edit_json(text: str, new: Any) -> str:
    r"""Changes the fewest bytes of ``text`` so that it parses to ``new``.

    >>> edit_json('{"a": 1.0,\r\n  "b": "\\u00e9"}', {"a": 1, "b": "é", "c": None})
    '{"a": 1.0,\r\n  "b": "\\u00e9",\r\n  "c": null}'

    Raises ``ValueError`` where ``text`` is not JSON.
    """
    start = _skip(text, 1 if text.startswith("\ufeff") else 0)
    old, end = _DECODER.raw_decode(text, start)
    return text[:start] + _edit(text[start:end], old, new, _style(text), "") + text[end:]


@dataclass(frozen=True)
class _Style:
    """Style of a JSON file."""

    step: str
    newline: str
    ascii: bool
    colon: str

    def dump(self, value: Any, indent: str, *, flat: bool) -> str:
        comma = ", " if self.colon == ": " else ","
        if flat:
            return json.dumps(value, ensure_ascii=self.ascii, separators=(comma, self.colon))
        text = json.dumps(value, ensure_ascii=self.ascii, indent=self.step, separators=(",", self.colon))
        return text.replace("\n", self.newline + indent)


@dataclass(frozen=True)
class _Part:
    """A member or an element: the blanks around it, and its text, in which the value begins at ``at``."""

    before: str
    text: str
    after: str
    at: int
    value: Any
    key: str | None = None

    def indent(self, outer: str) -> str:
        return self.before.rpartition("\n")[2] if "\n" in self.before else outer


def _style(text: str) -> _Style:
    first = re.search(r"\n([ \t]+)\S", text)
    escaped = text.isascii() and re.search(r"\\u[0-9a-fA-F]{4}", text) is not None
    colon = ": " if '": ' in text or '":' not in text else ":"
    return _Style(first[1] if first else "  ", "\r\n" if "\r\n" in text else "\n", escaped, colon)


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _same(one: Any, other: Any) -> bool:
    """Compares JSON values: 1 is 1.0 but not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _edit(text: str, old: Any, new: Any, style: _Style, indent: str) -> str:
    if _same(old, new):
        return text
    if isinstance(old, dict) and isinstance(new, dict):
        parts = _parts(text)
        return _Container(text, parts, style, indent).rebuild(_members(parts, new))
    if isinstance(old, list) and isinstance(new, list):
        parts = _parts(text)
        return _Container(text, parts, style, indent).rebuild(_elements(parts, new))
    return style.dump(new, indent, flat="\n" not in text and isinstance(old, dict | list))


def _parts(text: str) -> list[_Part]:
    """Splits the text of a container into its members or elements."""
    parts: list[_Part] = []
    at, end = 1, _skip(text, 1)
    while text[end] not in "]}":
        part = _part(text, at)
        parts.append(part)
        at += len(part.before) + len(part.text) + len(part.after)
        end, at = at, at + 1
    return parts


def _part(text: str, at: int) -> _Part:
    start = _skip(text, at)
    key, value_at = None, start
    if text[0] == "{":
        key, colon = _DECODER.raw_decode(text, start)
        value_at = _skip(text, _skip(text, colon) + 1)
    value, end = _DECODER.raw_decode(text, value_at)
    return _Part(text[at:start], text[start:end], text[end : _skip(text, end)], value_at - start, value, key)


_Entry = tuple[_Part | None, str | None, Any]


def _members(parts: list[_Part], new: dict[str, Any]) -> list[_Entry]:
    """Lists the members to write: the old in their order, then the new; of a duplicate key the last one counts."""
    last = {part.key: part for part in parts}
    kept: list[_Entry] = [
        (part, part.key, new[str(part.key)] if last[part.key] is part else part.value)
        for part in parts
        if part.key in new
    ]
    return kept + [(None, key, value) for key, value in new.items() if key not in last]


def _elements(parts: list[_Part], new: list[Any]) -> list[_Entry]:
    """Lists the elements to write, each with the old one that it continues: equal, or of the same identity."""
    free = list(parts)
    equal = [_take(free, _same, value) for value in new]
    return [(part or _take(free, _alike, value), None, value) for part, value in zip(equal, new, strict=True)]


def _take(free: list[_Part], agree: Callable[[Any, Any], bool], value: Any) -> _Part | None:
    for index, part in enumerate(free):
        if agree(part.value, value):
            return free.pop(index)
    return None


def _alike(old: Any, new: Any) -> bool:
    if isinstance(old, list) and isinstance(new, list):
        return True
    if not (isinstance(old, dict) and isinstance(new, dict)) or old.get("rel") != new.get("rel"):
        return False
    return any(key in old and old[key] == new.get(key) for key in _IDENTITY)


@dataclass(frozen=True)
class _Container:
    """An object or array to rewrite: its text, its parts, and the style of its file."""

    text: str
    parts: list[_Part]
    style: _Style
    indent: str

    def rebuild(self, entries: list[_Entry]) -> str:
        """Writes the container's text from the entries; unchanged ones keep their text."""
        if not entries:
            return self.text[0] + self.text[-1]
        if not self.parts:
            return _fill(self.text, entries, self.style, self.indent)
        chunks: list[str] = []
        model = self.parts[0]
        for number, entry in enumerate(entries):
            model = entry[0] or model
            last = number == len(entries) - 1
            after = "" if last or entry[0] is None or entry[0] is self.parts[-1] else entry[0].after
            chunks.append(self._lead(entry[0], model, first=number == 0) + self._written(entry, model) + after)
        return self.text[0] + ",".join(chunks) + self.parts[-1].after + self.text[-1]

    def _lead(self, part: _Part | None, model: _Part, *, first: bool) -> str:
        """Returns the blanks before an entry."""
        if part is not None and ("\n" in part.before or (part is self.parts[0]) == first):
            return part.before
        blanks = self.parts[0].before if first else model.before
        if "\n" in blanks:
            return self.style.newline + blanks.rpartition("\n")[2]
        return blanks if first or len(self.parts) > 1 else " "

    def _written(self, entry: _Entry, model: _Part) -> str:
        """Writes one entry: an old one edited, a new one in the style of its neighbour ``model``."""
        part, key, value = entry
        here = model.indent(self.indent)
        if part is not None:
            return part.text[: part.at] + _edit(part.text[part.at :], part.value, value, self.style, here)
        sibling = isinstance(model.value, dict | list) and key is None
        flat = "\n" not in (model.text if sibling else self.text)
        return _named(key, self.style) + _stepped(self.style, model, here).dump(value, here, flat=flat)


def _stepped(style: _Style, model: _Part, indent: str) -> _Style:
    """Adapts the style to the indentation step of the neighbour; files mix steps."""
    inner = re.match(r"[{\[][ \t]*\r?\n([ \t]+)", model.text[model.at :])
    step = inner[1].removeprefix(indent) if inner and inner[1].startswith(indent) else ""
    return replace(style, step=step) if step else style


def _named(key: str | None, style: _Style) -> str:
    return "" if key is None else json.dumps(key, ensure_ascii=style.ascii) + style.colon


def _fill(text: str, entries: Iterable[_Entry], style: _Style, indent: str) -> str:
    """Writes the first entries of a container that was empty."""
    inner = indent + style.step
    body = [_named(key, style) + style.dump(value, inner, flat=False) for _, key, value in entries]
    blank = style.newline + inner
    return text[0] + blank + f",{blank}".join(body) + style.newline + indent + text[-1]
