"""Checks the ids of a profile: in the catalogue, or described well enough to be added to it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from earthcode_pack.errors import ProfileError, UnknownId, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.catalogs.osc.catalog import Catalog, Kind
    from earthcode_pack.profile import Profile

_NEEDED = ("title", "description", "website", "technical_officer", "start", "end")
_WORDS: dict[Kind, str] = {
    "themes": "theme",
    "eo-missions": "mission",
    "variables": "variable",
    "projects": "project",
    "products": "product",
    "workflows": "workflow",
    "experiments": "experiment",
}


def check_ids(profile: Profile, catalog: Catalog) -> None:
    """Checks that every id of a profile is in the catalogue or described under ``catalog.new``.

    Raises:
        UnknownId: names all unknown themes, missions, variables and the project, each with its key and the nearest ids.
        ProfileError: a new project lacks what its record needs.
        UserError: this version does not deliver in the way that ``catalog.deliver`` asks for.

    """
    way = profile.catalog.deliver if profile.catalog else "folder"
    if way != "folder":
        raise UserError(
            f"catalog.deliver: {way} is not done by this version",
            "set catalog.deliver: folder and apply the bundle's osc.patch to your fork",
        )
    unknown = list(_unknown(profile, catalog))
    if unknown:
        raise UnknownId(
            "\n".join(unknown),
            "correct the ids, or describe what the catalogue lacks: catalog.new.variables, catalog.new.missions, or "
            "project.title and the rest of a new project",
        )
    if is_new_project(profile, catalog):
        _complete_project(profile, catalog)


def is_new_project(profile: Profile, catalog: Catalog) -> bool:
    """Tells if the catalogue lacks the project, so that its record is to be made."""
    return not catalog.has("projects", profile.project.id)


def _unknown(profile: Profile, catalog: Catalog) -> Iterator[str]:
    """Yields one line for each id that is neither in the catalogue nor described."""
    for kind, key, entry, described in _named(profile):
        if entry not in described and not catalog.has(kind, entry):
            yield _unknown_line(kind, key, entry, [*catalog.ids(kind), *described])
    project = profile.project
    described = [key for key in _NEEDED if getattr(project, key) is not None]
    if is_new_project(profile, catalog) and not described:  # a slip of the pen rather than a new project
        yield _unknown_line("projects", "project.id", project.id, list(catalog.ids("projects")))


def _named(profile: Profile) -> Iterator[tuple[Kind, str, str, list[str]]]:
    """Yields every id with its kind, its key in the profile, and the new ids of its kind."""
    product, new = profile.product, profile.catalog.new if profile.catalog else None
    for index, theme in enumerate(product.themes):
        yield "themes", f"product.themes[{index}]", theme, []
    for index, mission in enumerate(product.missions):
        yield "eo-missions", f"product.missions[{index}]", mission, list(new.missions if new else ())
    for name, spec in product.variables.items():
        if spec.osc is not None:
            yield "variables", f"product.variables.{name}.osc", spec.osc, list(new.variables if new else ())
    for name, entry in (new.variables if new else {}).items():
        for index, theme in enumerate(entry.themes):
            yield "themes", f"catalog.new.variables.{name}.themes[{index}]", theme, []


def _unknown_line(kind: Kind, key: str, entry: str, known: list[str]) -> str:
    near = _nearest(entry, known)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"{key}: the Open Science Catalog has no {_WORDS[kind]} {entry!r}{hint}"


def _nearest(entry: str, known: list[str]) -> list[str]:
    """Returns up to three ids that look alike, whatever the case, or that contain the words asked for."""
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(entry.lower(), list(lower), n=3, cutoff=0.6)
    within = [name for name in lower if entry.lower().replace("_", "-") in name]
    return [lower[name] for name in dict.fromkeys([*near, *within])][:3]


def _complete_project(profile: Profile, catalog: Catalog) -> None:
    missing = [f"project.{key}" for key in _NEEDED if getattr(profile.project, key) is None]
    near = _nearest(profile.project.id, list(catalog.ids("projects")))
    if missing:
        raise ProfileError(
            f"project.id: {profile.project.id!r} is new to the catalogue, and {', '.join(missing)} is missing",
            f"set {', '.join(missing)}, or correct project.id"
            + (f" (did you mean {' or '.join(near)}?)" if near else ""),
        )
