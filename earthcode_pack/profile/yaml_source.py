"""YAML with positions: the data, the line of each key, and unquoted values as they were written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from earthcode_pack.errors import ProfileError

Loc = tuple[str | int, ...]

MAX_SIZE = 1_000_000  # characters; a profile has a few thousand
MAX_KEYS = 50_000
MAX_DEPTH = 30


@dataclass(frozen=True)
class Written:
    """A profile as it was written; without lines and plain values where it was given as a mapping."""

    name: str
    data: Any
    lines: dict[Loc, int] = field(default_factory=dict)
    plain: dict[Loc, str] = field(default_factory=dict)

    def where(self, loc: Loc) -> str:
        """Returns file and line of the deepest part of ``loc`` that was written."""
        known = next((loc[:n] for n in range(len(loc), 0, -1) if loc[:n] in self.lines), None)
        return self.name if known is None else f"{self.name}:{self.lines[known]}"


class _Loader(yaml.SafeLoader):
    """Safe YAML loader that keeps dates as text, so that 2020-13-01 is an error with a line."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

_REMEDIES = {
    "mapping values are not allowed here": "put a text with a colon in quotes, and check the indentation",
    "found character '\\t' that cannot start any token": "indent with spaces, not with tabs",
    "while scanning an alias": "put a text that begins with * in quotes",
}


def parse(text: str, name: str) -> Written:
    """Parses the YAML text of a file called ``name``.

    Raises ``ProfileError`` with the line where it is no YAML, names a key twice (YAML 1.2, 3.2.1.3), or expands to
    more than any profile holds.
    """
    written = Written(name, None)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return written
        _mark(node, (), written)
        return Written(name, loader.construct_document(node), written.lines, written.plain)
    except (RecursionError, ValueError) as error:
        raise ProfileError(f"{name}: not a profile: {error}", "write a profile as docs/profile.md shows") from None
    except yaml.YAMLError as error:
        raise _not_yaml(error, name) from None


def _not_yaml(error: yaml.YAMLError, name: str) -> ProfileError:
    mark = getattr(error, "problem_mark", None)
    problem = (getattr(error, "problem", None) or str(error)).splitlines()[0]
    where = f"{name}:{mark.line + 1}" if mark else name
    context = getattr(error, "context", None) or ""
    remedy = next((words for start, words in _REMEDIES.items() if start in (problem, context)), "correct the line")
    return ProfileError(f"{where}: not YAML: {problem}", remedy)


def _mark(node: yaml.Node, path: Loc, written: Written) -> None:
    """Notes the line of each key, and refuses aliases that expand without end."""
    line = node.start_mark.line + 1
    written.lines.setdefault(path, line)
    if len(path) > MAX_DEPTH or len(written.lines) > MAX_KEYS:
        raise ProfileError(
            f"{written.name}:{line}: nested deeper, or with more keys, than a profile is", "use no alias"
        )
    if isinstance(node, yaml.ScalarNode) and node.style is None:
        written.plain[path] = node.value
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _mark(child, (*path, index), written)
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            _mark(child, _new_key(key, path, written), written)


def _new_key(key: yaml.Node, path: Loc, written: Written) -> Loc:
    here, line = (*path, str(key.value)), key.start_mark.line + 1
    if here in written.lines:
        raise ProfileError(f"{written.name}:{line}: {dotted(here)} is written twice", "keep one of them")
    written.lines[here] = line
    return here


def dotted(loc: Loc) -> str:
    """Formats a key as people write it.

    >>> dotted(("product", "contacts", 0, "name"))
    'product.contacts[0].name'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
