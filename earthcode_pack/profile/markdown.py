"""Writes docs/profile.md from the model: ``python -m earthcode_pack.profile.markdown FILE``."""

from __future__ import annotations

import sys
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from earthcode_pack.profile import rules
from earthcode_pack.profile.model import Profile

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Section = tuple[str, type[BaseModel]]  # a key such as product.contacts[], and the model behind it

_HEAD = """\
# The profile

A profile is a YAML file that says what cannot be measured; everything else comes from the data. The folder
[`profiles/`](../profiles) holds complete ones with comments to copy.

An unknown key is an error that suggests the nearest one, as is a key written twice. Relative paths start at the folder
of the profile. YAML reads some words as numbers or truth values: put `"1.0"`, `"006400"` and `"NO"` in quotes. Keys and
passwords of a storage never stand in a profile: they come from the environment or the AWS files.

- An **id** is 1 to 100 of the characters `A-Z a-z 0-9 . _ -`.
- A **date** is `2020`, `2020-01`, `2020-01-31` or `2020-01-31T12:00:00Z`; a coarse one means all of its day,
  month or year, and without a zone it is UTC.
- A **URL** begins with `https://` or `http://`.

`make docs` writes this page from the descriptions in `earthcode_pack/profile/`.
"""

# The types of rules.py in words; the first that fits.
_WORDS: list[tuple[Any, str]] = [
    (rules.Slug, "id"),
    (rules.License, "[SPDX id](https://spdx.org/licenses), `proprietary` or `various`"),
    (rules.Doi, "DOI such as `10.5281/zenodo.1234567`"),
    (rules.Url, "URL"),
    (rules.Email, "e-mail address"),
    (rules.Dated, "date"),
    (rules.Units, "units"),
    (rules.HexColor, 'colour: six hexadecimal digits such as `"006400"`'),
    (rules.Size, "whole number above 0"),
    (rules.Pattern, "pattern such as `sst_{start:%Y%m%d}_*.tif`"),
    (rules.Crs, "EPSG code, WKT or PROJ string"),
    (rules.Href, "path or URL"),
    (rules.Repository, "`owner/name`"),
    (rules.ClassPath, "module and class"),
    (rules.Settings, "mapping, without secrets"),
    (rules.Text, "text"),
    (str, "text"),
    (bool, "`true` or `false`"),
    (int, "whole number"),
    (float, "number"),
    (Any, "anything"),
]


def markdown() -> str:
    """Makes the page: a section for each part of the profile, a row for each key."""
    return "\n".join([_HEAD, *(_section(section) for section in _sections(("", Profile)))])


def _sections(section: Section) -> list[Section]:
    """Lists the section and all below it, in the order of the model."""
    key, model = section
    hints = get_type_hints(model, include_extras=True)
    below = [
        part for name, field in model.model_fields.items() for part in _parts(_join(key, name, field), hints[name])
    ]
    return [section, *(deeper for part in below for deeper in _sections(part))]


def _join(key: str, name: str, field: FieldInfo) -> str:
    return f"{key}.{field.alias or name}".lstrip(".")


def _parts(key: str, hint: Any) -> list[Section]:
    """Lists the models of a key, with ``[]`` for a list and ``.<name>`` for a mapping."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [(key, hint)]
    suffix = {list: "[]", dict: ".<name>"}.get(get_origin(hint), "")
    inner = get_args(hint)[:1] if get_origin(hint) is Annotated else get_args(hint)
    return [part for arg in inner for part in _parts(key + suffix, arg)]


def _section(section: Section) -> str:
    key, model = section
    level = "##" if "." not in key else "###"
    hints = get_type_hints(model, include_extras=True)
    rows = [_row(_join(key, name, field), field, hints[name]) for name, field in model.model_fields.items()]
    title = f"`{key}`" if key else "Top level"
    about = "\n".join(line.strip() for line in (model.__doc__ or "").strip().splitlines())
    return "\n".join(
        [f"{level} {title}\n", f"{about}\n", "| key | value | default | meaning |", "|---|---|---|---|", *rows, ""]
    )


def _row(key: str, field: FieldInfo, hint: Any) -> str:
    below = _parts(key, hint)
    value = _link(below[0][0], hint) if below else _type(hint) + _bounds(field)
    cells = [f"`{key.rpartition('.')[2]}`", value, _default(field), field.description or ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _link(key: str, hint: Any) -> str:
    anchor = "".join(letter for letter in key.lower() if letter.isalnum() or letter in "-_")
    kind = "list of" if key.endswith("[]") else "mapping of names to" if key.endswith("<name>") else "mapping:"
    short = ", or its `value` alone" if any(_has(arg, rules.stated) for arg in get_args(hint)) else ""
    return f"{kind} [`{key}`](#{anchor}){short}"


def _type(hint: Any) -> str:
    words = next((words for known, words in _WORDS if hint == known), None)
    if words is not None:
        return words
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type(args[0]) + (", or one alone" if _has(hint, rules.listed) else "")
    if origin in (Union, UnionType):
        return " or ".join(_type(arg) for arg in args if arg is not NoneType)
    return _container(origin, args)


def _has(hint: Any, rule: Any) -> bool:
    return any(getattr(part, "func", None) is rule for part in getattr(hint, "__metadata__", ()))


def _container(origin: Any, args: tuple[Any, ...]) -> str:
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in args)
    if origin is list:
        return f"list of {_type(args[0])}"
    if origin is tuple:
        return f"`[…, …]`: {len(args)} of {_type(args[0])}"
    if origin is dict:
        return f"mapping of names to {_type(args[1])}"
    raise TypeError(f"no words for {origin or args}: add them to _WORDS")


def _bounds(field: FieldInfo) -> str:
    limits = {
        name: getattr(rule, name) for rule in field.metadata for name in ("gt", "ge", "le") if hasattr(rule, name)
    }
    words = {"gt": "above", "ge": "from", "le": "to"}
    return "".join(f" {words[name]} {limit:g}" for name, limit in limits.items() if field.annotation is not str)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = field.default
    if default is None or default in ([], {}) or isinstance(default, BaseModel):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
