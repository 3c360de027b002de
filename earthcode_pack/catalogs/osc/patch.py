"""A unified diff that ``git apply`` accepts, byte for byte: line ends, missing final newlines, new and deleted files.

Format: https://git-scm.com/docs/diff-format
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CONTEXT = 3
_NO_NEWLINE = "\n\\ No newline at end of file\n"

_Block = tuple[int, int, int, int]  # a run of old lines i1:i2 that becomes new lines j1:j2


def patch(changes: Iterable[tuple[str, str | None, str | None]]) -> str:
    """The diff of files, each given as path, old text and new text; None where it is not there."""
    return "".join(_file(path, old, new) for path, old, new in changes if old != new)


def _file(path: str, old: str | None, new: str | None) -> str:
    """A file's part; paths are those of the catalogue, which need no quoting."""
    head = f"diff --git a/{path} b/{path}\n"
    head += "new file mode 100644\n" if old is None else "deleted file mode 100644\n" if new is None else ""
    names = f"--- {'/dev/null' if old is None else f'a/{path}'}\n+++ {'/dev/null' if new is None else f'b/{path}'}\n"
    hunks = "".join(_hunks(lines_of(old or ""), lines_of(new or "")))
    return head + (names + hunks if hunks else "")


def lines_of(text: str) -> list[str]:
    """Lines as git counts them: ended by LF alone, the end kept."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _hunks(old: list[str], new: list[str]) -> Iterator[str]:
    for blocks in _near(_blocks(old, new)):
        start, end = max(blocks[0][0] - _CONTEXT, 0), min(blocks[-1][1] + _CONTEXT, len(old))
        shift = blocks[0][2] - blocks[0][0]
        grown = sum((j2 - j1) - (i2 - i1) for i1, i2, j1, j2 in blocks)
        yield f"@@ -{_range(start, end)} +{_range(start + shift, end + shift + grown)} @@\n"
        for i1, i2, j1, j2 in blocks:
            yield from _marked(" ", old[start:i1])
            yield from _marked("-", old[i1:i2])
            yield from _marked("+", new[j1:j2])
            start = i2
        yield from _marked(" ", old[start:end])


def _range(start: int, end: int) -> str:
    """Counted from one; an empty range names the line before it."""
    return f"{start + 1 if end > start else start},{end - start}"


def _marked(mark: str, lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield mark + (line if line.endswith("\n") else line + _NO_NEWLINE)


def _blocks(old: list[str], new: list[str]) -> list[_Block]:
    """What differs. Equal ends are cut off first: the matcher is quadratic in lines as common as a brace."""
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    matcher = SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False)
    return [
        (i1 + head, i2 + head, j1 + head, j2 + head) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal"
    ]


def _common(one: list[str], other: list[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _near(blocks: list[_Block]) -> Iterator[list[_Block]]:
    """Blocks whose contexts touch share a hunk."""
    group: list[_Block] = []
    for block in blocks:
        if group and block[0] - group[-1][1] > 2 * _CONTEXT:
            yield group
            group = []
        group.append(block)
    if group:
        yield group
