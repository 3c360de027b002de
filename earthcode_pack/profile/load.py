"""Reading a profile, with messages that name the line, the key and the nearest valid one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from earthcode_pack.errors import ProfileError
from earthcode_pack.profile.model import Profile

P = TypeVar("P", bound=BaseModel)
Loc = tuple[str | int, ...]


def load_profile(profile: str | Path | Mapping[str, Any], base: str | Path | None = None) -> Profile:
    """The profile, validated, its relative paths made absolute.

    ``profile`` is a path, any fsspec URL, or a mapping in the form of the YAML; ``base`` is what relative paths stand
    on, the folder of the file by default and the current one for a mapping.

    Raises ``ProfileError`` that names the file, the line, the key and the nearest valid one.
    """
    if isinstance(profile, Mapping):
        return _resolve(_validate(dict(profile), "profile", {}), str(base or Path.cwd()))
    href = str(profile)
    text = _read(href)
    folder = base or (href.rsplit("/", 1)[0] if "://" in href else Path(href).resolve().parent)
    data, lines = _parse(text, Path(href).name)
    return _resolve(_validate(data, Path(href).name, lines), str(folder))


def _read(href: str) -> str:
    import fsspec  # noqa: PLC0415 - keeps the import of this module light

    try:
        with fsspec.open(href, "rt", encoding="utf-8") as file:
            return str(file.read())
    except (OSError, UnicodeDecodeError, ValueError, ImportError) as error:
        raise ProfileError(f"{href}: the profile cannot be read ({error})", "name an existing YAML file") from error


def _parse(text: str, name: str) -> tuple[Any, dict[Loc, int]]:
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        lines: dict[Loc, int] = {}
        if node is not None:
            _mark(node, (), lines, name)
        return yaml.safe_load(text), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        raise ProfileError(f"{where}: not YAML: {getattr(error, 'problem', error)}", "correct the line") from error


def _mark(node: yaml.Node, path: Loc, lines: dict[Loc, int], name: str) -> None:
    """Where each key stands, for the messages; a key written twice is an error (YAML 1.2, 3.2.1.3)."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _mark(child, (*path, index), lines, name)
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            here = (*path, str(key.value))
            if here in lines:
                raise ProfileError(
                    f"{name}:{key.start_mark.line + 1}: {_dotted(here)} is written twice", "keep one of them"
                )
            lines[here] = key.start_mark.line + 1
            _mark(child, here, lines, name)


def _validate(data: Any, name: str, lines: dict[Loc, int]) -> Profile:
    if not isinstance(data, dict):
        raise ProfileError(
            f"{name}: the profile is not a mapping of keys", "begin with product:, as docs/profile.md shows"
        )
    try:
        return Profile.model_validate(data)
    except ValidationError as error:
        problems = [_problem(dict(problem), name, lines) for problem in error.errors()]
        unique = list(dict.fromkeys(problems))
        raise ProfileError(
            "\n".join(message for message, _ in unique), "; ".join(dict.fromkeys(r for _, r in unique))
        ) from None


def _problem(problem: dict[str, Any], name: str, lines: dict[Loc, int]) -> tuple[str, str]:
    """One message with line and key, and its remedy."""
    loc = tuple(part for part in problem["loc"] if not _is_branch(part))
    known = next((loc[:n] for n in range(len(loc), -1, -1) if loc[:n] in lines), ())
    where = f"{name}:{lines[known]}" if known in lines else name
    key = _dotted(loc) or "profile"
    if problem["type"] == "extra_forbidden":
        return f"{where}: {key}: unknown key{_nearest(str(loc[-1]), _keys_at(loc[:-1]))}", "correct or remove the key"
    if problem["type"] == "missing":
        return f"{where}: {key}: missing", f"set {key}"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) and "password" not in message else ""
    return f"{where}: {key}: {message}{shown}", f"correct {key}"


def _is_branch(part: str | int) -> bool:
    """Pydantic names the branch of a union in the location; a reader of YAML has not written it."""
    return isinstance(part, str) and bool(
        re.match(r"(dict|list|literal|function|constrained|str|int|float)(\[|-|$)", part)
    )


def _keys_at(loc: Loc) -> list[str]:
    """The keys that the model knows where ``loc`` points."""
    kinds: list[Any] = [Profile]
    for part in loc:
        kinds = [_step(kind, part) for kind in kinds]
    models = [model for kind in kinds for model in _models(kind)]
    return [field.alias or key for model in models for key, field in model.model_fields.items()]


def _step(kind: Any, part: str | int) -> Any:
    """The type behind one step: a field of a model, or the members of a list or mapping."""
    for model in _models(kind):
        fields = {field.alias or key: field.annotation for key, field in model.model_fields.items()}
        return fields.get(str(part))
    members = [arg for branch in _branches(kind) for arg in get_args(branch)[-1:]]
    return members[0] if members else None


def _branches(kind: Any) -> list[Any]:
    """The alternatives of an optional, a union or an annotated type."""
    if get_origin(kind) is Annotated:
        return _branches(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [branch for arg in get_args(kind) for branch in _branches(arg)]
    return [kind]


def _models(kind: Any) -> list[type[BaseModel]]:
    return [branch for branch in _branches(kind) if isinstance(branch, type) and issubclass(branch, BaseModel)]


def _dotted(loc: Loc) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; known keys: {', '.join(known)}" if known else ""


def _resolve(profile: Profile, base: str) -> Profile:
    """The same profile with paths that no longer depend on where it was read."""
    source = profile.source.model_copy(update={"href": [_absolute(href, base) for href in profile.source.href]})
    changes: dict[str, Any] = {"source": source}
    if profile.store is not None:
        changes["store"] = _with_paths(profile.store, ("href", "ca_bundle"), base)
    if profile.catalog is not None:
        changes["catalog"] = _with_paths(profile.catalog, ("metadata",), base)
    return profile.model_copy(update=changes)


def _with_paths(part: P, keys: tuple[str, ...], base: str) -> P:
    given = {key: getattr(part, key) for key in keys if getattr(part, key) is not None}
    return part.model_copy(update={key: _absolute(href, base) for key, href in given.items()})


def _absolute(href: str, base: str) -> str:
    if "://" in href or href.startswith("git@"):
        return href
    if "://" in base:
        return f"{base.rstrip('/')}/{href}"
    path = (Path(base) / Path(href).expanduser()).absolute()
    return str(Path(*path.parts[:1], *_without_dots(path.parts[1:])))


def _without_dots(parts: tuple[str, ...]) -> list[str]:
    """``a/../b`` → ``b``, without following links and without touching a glob's stars."""
    kept: list[str] = []
    for part in parts:
        kept = kept[:-1] if part == ".." else [*kept, part]
    return kept
