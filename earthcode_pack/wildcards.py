"""Patterns of paths with wildcards and strptime directives, matched in time linear in the length of the path.

A regular expression with five stars backtracks with the sixth power of the length; here each piece of the pattern is
tried once at each position.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# How each strptime directive looks in a file name, and how fine it is. A number may lack its leading zeros where no
# other digit stands beside it: 2020-1-5.
_TWO = r"(?:\d{2}|(?<!\d)\d(?!\d))"
DIRECTIVES = {
    "Y": (r"\d{4}", 0), "y": (r"\d{2}", 0), "m": (_TWO, 1), "b": (r"[A-Za-z]{3}", 1), "B": (r"[A-Za-z]+", 1),
    "d": (_TWO, 2), "j": (r"(?:\d{3}|(?<!\d)\d{1,2}(?!\d))", 2), "H": (_TWO, 3), "M": (_TWO, 4), "S": (_TWO, 5),
    "f": (r"\d{1,6}", 5), "z": (r"(?:Z|[+-]\d{2}:?\d{2})", -1),
}  # fmt: skip
_FORMS = {name: re.compile(form) for name, (form, _) in DIRECTIVES.items()}
_ANY_LENGTH = "Bf"  # what these match may also end earlier; the others end in one place
WILDCARDS = ("*", "**", "**/")

Span = tuple[int, int]


@dataclass(frozen=True)
class Piece:
    """A part of a pattern: a wildcard, a strptime directive by its letter, or text as it is."""

    text: str
    kind: str  # "wildcard", "directive" or "text"

    def ends(self, path: str, start: int) -> Iterable[int]:
        """Yields the positions at which this piece may end when it begins at ``start``, the longest first."""
        if self.kind == "text":
            return [start + len(self.text)] if path.startswith(self.text, start) else []
        if self.kind == "directive":
            found = _FORMS[self.text].match(path, start)
            if found is None:
                return []
            return range(found.end(), start, -1) if self.text in _ANY_LENGTH else [found.end()]
        if self.text == "**/":
            return (end for end in range(len(path), start - 1, -1) if end == start or path[end - 1] == "/")
        slash = path.find("/", start) if self.text == "*" else -1
        return range(slash if slash >= 0 else len(path), start - 1, -1)

    def starts(self, path: str, after: bytearray) -> bytearray:
        """Marks the positions at which this piece may begin, given those of the next piece (``after``)."""
        found, size = bytearray(len(path) + 1), len(path)
        below = 0  # of folders: whether a later place behind a slash would do
        for start in range(size, -1, -1):
            if self.kind != "wildcard":
                found[start] = any(after[end] for end in self.ends(path, start))
            elif self.text == "**/":
                found[start] = after[start] or below
                below |= after[start] and start > 0 and path[start - 1] == "/"
            else:
                goes_on = start < size and (self.text == "**" or path[start] != "/")
                found[start] = after[start] or (goes_on and found[start + 1])
        return found


def spans(pieces: list[Piece], path: str, *, greedy: bool) -> tuple[Span, ...] | None:
    """Finds the spans of the directives where the pieces match the whole path; None where they do not.

    Args:
        pieces: the pattern, in order.
        path: is matched from its first to its last character.
        greedy: each wildcard takes as much as it can, else as little.

    """
    marks = [bytearray(len(path)) + b"\x01"]
    for piece in reversed(pieces):
        marks.append(piece.starts(path, marks[-1]))
    if not marks[-1][0]:
        return None
    found, start = [], 0
    for piece, after in zip(pieces, reversed(marks[:-1]), strict=True):
        ends = piece.ends(path, start)
        tried = ends if greedy or piece.kind != "wildcard" else reversed(list(ends))
        end = next(end for end in tried if after[end])
        if piece.kind == "directive":
            found.append((start, end))
        start = end
    return tuple(found)
