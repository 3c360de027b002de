"""Messages for what pydantic finds wrong with a profile: line, key, nearest valid key, remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from earthcode_pack.errors import ProfileError
from earthcode_pack.profile.model import Profile
from earthcode_pack.profile.rules import PATTERNS, may_hold_a_secret
from earthcode_pack.profile.yaml_source import Loc, Written, dotted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SHOWN = 80  # characters of a given value
_MOST = 20  # problems that are told

# How pydantic names the branch of a union in a location, and a key as against its value.
_BRANCH = re.compile(r"(dict|list|literal|function|constrained|nullable|str|int|float)(\[|-|$)|\[key\]$")

# Pydantic's kinds of problems, as patterns, in plain words.
_PLAIN = [
    (r"model_(attributes_)?type|dict_type", "must be a mapping of keys"),
    (r"list_type", "must be a list, such as [one, two]"),
    (r"tuple_type|too_long", "must be a list of two, such as [0, 1]"),
    (r"(string_)?too_short", "must not be empty"),
    (r"string_type", "must be text"),
    (r"int_", "must be a whole number"),
    (r"float_", "must be a number"),
    (r"bool_", "must be true or false"),
]


@dataclass(frozen=True)
class _Problem:
    loc: Loc
    kind: str
    text: str
    value: Any


def explain(error: ValidationError, written: Written) -> ProfileError:
    """Makes the error: a line for each problem (file, line, key, what is wrong, the value), and the remedies."""
    details = error.errors(include_url=False)
    problems = [_problem(detail, written) for detail in details[: 5 * _MOST]]  # of a union there are several for a key
    locs = list(dict.fromkeys(problem.loc for problem in problems))
    deepest = [loc for loc in locs if not any(loc == other[: len(loc)] and loc != other for other in locs)]
    lines = [_line([p for p in problems if p.loc == loc], written) for loc in deepest[:_MOST]]
    told = [line for line, _ in lines]
    if more := len(deepest) - len(lines) + max(len(details) - 5 * _MOST, 0):
        told.append(f"and {more} more")
    return ProfileError("\n".join(told), "; ".join(dict.fromkeys(remedy for _, remedy in lines)))


def _problem(detail: ErrorDetails, written: Written) -> _Problem:
    loc, kind = _as_written(detail["loc"], written.data), detail["type"]
    text = _words(detail, loc, written)
    key, colon, rest = text.partition(": ")
    if kind == "value_error" and colon and key.split(".")[0] in _keys_at(loc):  # a rule on several keys names one
        return _Problem((*loc, *key.split(".")), kind, rest, None)
    return _Problem(loc, kind, text, detail.get("input"))


def _as_written(loc: Loc, data: Any) -> Loc:
    """Reduces a location to what was written: without branches of unions, and parts behind a short form."""
    kept: Loc = ()
    for part in loc:
        if isinstance(data, str | int | float):
            break
        if _holds(data, part):
            kept, data = (*kept, part), data[part]
        elif not (isinstance(part, str) and _BRANCH.match(part)):
            kept, data = (*kept, part), None
    return kept


def _holds(data: Any, part: str | int) -> bool:
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def _line(problems: list[_Problem], written: Written) -> tuple[str, str]:
    """Joins all problems of one key in one line, the alternatives of a union by "or"; returns the remedy too."""
    first = problems[0]
    key = dotted(first.loc) or "profile"
    texts = list(dict.fromkeys(problem.text for problem in problems))
    text = " or ".join([texts[0], *(other.removeprefix("must be ") for other in texts[1:])])
    remedy = {"missing": f"set {key}", "extra_forbidden": f"correct or remove {key}"}.get(first.kind, f"correct {key}")
    return f"{written.where(first.loc)}: {key}: {_hidden(text, first.value)}{_given(first, text)}", remedy


def _given(problem: _Problem, text: str) -> str:
    value = problem.value
    if problem.kind in ("missing", "extra_forbidden", "string_type") or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, str) and may_hold_a_secret(value):
        return " (the value is not shown: it may hold a secret)"
    shown = value if not isinstance(value, str) or len(value) <= SHOWN else value[:SHOWN] + "…"
    return "" if isinstance(value, str) and (not value or repr(value) in text) else f" (given: {shown!r})"


def _hidden(text: str, value: Any) -> str:
    """Removes a value that may hold a secret from the text of a rule, which quotes it."""
    return text.replace(repr(value), "the value") if isinstance(value, str) and may_hold_a_secret(value) else text


def _words(detail: ErrorDetails, loc: Loc, written: Written) -> str:
    """Says what is wrong with a key, or with its value."""
    if detail["type"] == "missing":
        return "missing"
    if detail["type"] == "extra_forbidden":
        homes = [key for key in Profile.model_fields if loc[-1] in _keys_at((key,))]
        elsewhere = f" ({loc[-1]} belongs under {' or '.join(homes)})" if homes else ""
        return f"unknown key{_nearest(str(loc[-1]), _keys_at(loc[:-1]))}{elsewhere}"
    if detail.get("input") is None:
        return "is empty: write a value, or remove the key"
    return _value_words(detail, loc, written)


def _value_words(detail: ErrorDetails, loc: Loc, written: Written) -> str:
    """Says what is wrong with a value, beginning with "must be" where that fits."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "string_type" and isinstance(value, str | int | float):
        return f'must be text: put it in quotes, "{written.plain.get(loc, value)}"'
    if kind == "string_pattern_mismatch":
        return f"must be {PATTERNS.get(context['pattern'], context['pattern'])}"
    if kind == "literal_error":
        literals = [branch for branch in _branches(_kind_at(loc)) if get_origin(branch) is Literal]
        allowed = [str(choice) for literal in literals for choice in get_args(literal)]
        near = difflib.get_close_matches(str(value), allowed, n=1, cutoff=0.6)
        return f"must be {context['expected']}" + (f"; did you mean {near[0]}?" if near else "")
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return next((words for pattern, words in _PLAIN if re.match(pattern, kind)), message)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; known keys: {', '.join(known)}" if known else ""


def _keys_at(loc: Loc) -> list[str]:
    """Lists the keys that the model knows at a location."""
    models = _models(_kind_at(loc))
    return [field.alias or key for model in models for key, field in model.model_fields.items()]


def _kind_at(loc: Loc) -> Any:
    kind: Any = Profile
    for part in loc:
        kind = _member_kind(kind, part)
    return kind


def _member_kind(kind: Any, part: str | int) -> Any:
    """Returns the type of a field of a model, or of the members of a list or mapping."""
    for model in _models(kind):
        fields = {field.alias or key: field.annotation for key, field in model.model_fields.items()}
        return fields.get(str(part))
    members = [arg for branch in _branches(kind) if get_origin(branch) in (list, dict) for arg in get_args(branch)[-1:]]
    return members[0] if members else None


def _branches(kind: Any) -> list[Any]:
    """Lists the alternatives of an optional, a union or an annotated type."""
    if get_origin(kind) is Annotated:
        return _branches(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [branch for arg in get_args(kind) for branch in _branches(arg)]
    return [kind]


def _models(kind: Any) -> list[type[BaseModel]]:
    return [branch for branch in _branches(kind) if isinstance(branch, type) and issubclass(branch, BaseModel)]
