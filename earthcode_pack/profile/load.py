"""Reads a profile from a file, a URL or a mapping; its paths no longer depend on where it was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from earthcode_pack.errors import EarthcodePackError, OutsideError, ProfileError
from earthcode_pack.profile.messages import explain
from earthcode_pack.profile.model import Profile
from earthcode_pack.redact import shown

Loc = tuple[str | int, ...]

MAX_SIZE = 1_000_000  # characters; a profile has a few thousand
MAX_KEYS = 50_000
MAX_DEPTH = 30


@dataclass(frozen=True)
class Written:
    """A profile as its author knows it; lines and values are unknown where it came as a mapping."""

    name: str
    data: Any
    lines: dict[Loc, int] = field(default_factory=dict)
    plain: dict[Loc, str] = field(default_factory=dict)

    def where(self, loc: Loc) -> str:
        """The file and the line of the deepest part of ``loc`` that was written."""
        known = next((loc[:n] for n in range(len(loc), 0, -1) if loc[:n] in self.lines), None)
        return self.name if known is None else f"{self.name}:{self.lines[known]}"


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a date stays the text that was written: 2020-13-01 is then an error with a line."""


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
    """What stands in the YAML text of a file called ``name``.

    Raises ``ProfileError`` with the line where it is no YAML, names a key twice (YAML 1.2, 3.2.1.3), or unfolds to
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
    """Notes where each key stands, and stops what refers to itself or unfolds without end."""
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
    """A key as people write it.

    >>> dotted(("product", "contacts", 0, "name"))
    'product.contacts[0].name'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


_ABSENT = (404, 410)


def load_profile(profile: str | Path | Mapping[str, Any], base: str | Path | None = None) -> Profile:
    """The profile, validated, its relative paths made absolute.

    ``profile`` is a path, any fsspec URL, or a mapping in the form of the YAML; ``base`` is what relative paths stand
    on, the folder of the file by default and the current one for a mapping.

    Raises ``ProfileError`` that names the file, the line, the key and the nearest valid one, ``OutsideError`` where the
    server of a URL does not answer, or refuses it.
    """
    if isinstance(profile, Mapping):
        written = Written("profile", dict(profile))
        return _resolve(_validate(written), str(base or Path.cwd()))
    href = str(profile)
    folder = base or (shown(href).rsplit("/", 1)[0] if "://" in href else Path(href).resolve().parent)
    written = parse(_read(href), Path(shown(href)).name)
    return _resolve(_validate(written), str(folder))


def _open(href: str) -> Any:
    if "://" not in href and "::" not in href:
        if Path(href).is_fifo() and not href.startswith(("/dev/", "/proc/")):  # those of a shell, <(…), are written to
            raise OSError("a pipe, which nobody may ever write to")
        return Path(href).open(encoding="utf-8")
    from fsspec.core import url_to_fs  # noqa: PLC0415 - takes as long as all the rest of reading a profile

    fs, path = url_to_fs(href)
    return fs.open(path, "rt", encoding="utf-8")


def _read(href: str) -> str:
    try:
        with _open(href) as file:
            text = str(file.read(MAX_SIZE + 1))
    except Exception as error:  # noqa: BLE001 - every file system raises its own
        raise _unread(href, error) from None
    if len(text) > MAX_SIZE:
        raise ProfileError(f"{shown(href)}: larger than {MAX_SIZE} characters", "name a profile, not data")
    return text


def _unread(href: str, error: Exception) -> EarthcodePackError:
    """A name that leads to no text is its author's to mend; a server that refuses, or is not there, is not."""
    what, answer = f"{shown(href)}: the profile cannot be read", _answer_behind(error)
    status = getattr(answer, "status", None)
    if "://" not in href or isinstance(answer, (ValueError, ImportError)):
        return ProfileError(f"{what} ({error})", "name an existing YAML file")
    if status in _ABSENT or isinstance(answer, FileNotFoundError):
        return ProfileError(f"{what} (there is no such file)", "name an existing YAML file")
    why = f"the server answers {status}" if isinstance(status, int) else type(answer).__name__
    return OutsideError(f"{what} ({why})", "see that you may read it, and that the link is still valid, and run again")


def _answer_behind(error: Exception) -> BaseException:
    """Fsspec's http says «not found» whatever the server answered, or none: the answer is the cause."""
    return (error.__cause__ or error) if isinstance(error, FileNotFoundError) else error


def _validate(written: Written) -> Profile:
    if not isinstance(written.data, dict):
        raise ProfileError(
            f"{written.name}: the profile is not a mapping of keys", "begin with product:, as docs/profile.md shows"
        )
    try:
        return Profile.model_validate(written.data)
    except ValidationError as error:
        raise explain(error, written) from None


def _resolve(profile: Profile, base: str) -> Profile:
    """The same profile with paths that no longer depend on where it was read."""
    paths = {key: [_absolute(href, base) for href in getattr(profile.source, key)] for key in ("href", "follow")}
    source = profile.source.model_copy(update={key: hrefs for key, hrefs in paths.items() if hrefs})
    changes: dict[str, Any] = {"source": source}
    if profile.store is not None:
        changes["store"] = _with_paths(profile.store, ("href", "ca_bundle"), base)
    if profile.catalog is not None:
        changes["catalog"] = _with_paths(profile.catalog, ("metadata",), base)
    return profile.model_copy(update=changes)


def _with_paths[P: BaseModel](part: P, keys: tuple[str, ...], base: str) -> P:
    given = {key: getattr(part, key) for key in keys if getattr(part, key) is not None}
    return part.model_copy(update={key: _absolute(href, base) for key, href in given.items()})


def _absolute(href: str, base: str) -> str:
    if "://" in href or href.startswith("git@"):
        return href
    if "://" in base and not href.startswith(("/", "~")):
        root, _, folder = base.partition("://")[2].partition("/")
        parts = _without_dots((*folder.split("/"), *href.split("/")))
        return "/".join([f"{base.partition('://')[0]}://{root}", *parts])
    path = (Path(base) / Path(href).expanduser()).absolute()
    return str(Path(*path.parts[:1], *_without_dots(path.parts[1:])))


def _without_dots(parts: tuple[str, ...]) -> list[str]:
    """``a/../b`` → ``b``, without following links and without touching a glob's stars."""
    kept: list[str] = []
    for part in parts:
        if part not in ("", "."):
            kept = kept[:-1] if part == ".." else [*kept, part]
    return kept
