"""The change set: every file of the catalogue that a product touches, and its new text. Pure."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import yaml

from earthcode_pack.handoff.catalog import PREFIXES, Catalog, Kind, path_of
from earthcode_pack.handoff.draft import Draft
from earthcode_pack.handoff.ids import check_ids, is_new_project
from earthcode_pack.handoff.items import LARGEST, catalog_item, item_folder
from earthcode_pack.handoff.links import Link, child
from earthcode_pack.handoff.records import (
    experiment_record,
    item_file,
    mission_record,
    product_record,
    project_record,
    published_base,
    variable_record,
    workflow_record,
)
from earthcode_pack.product_facts import osc_variables, published_at
from earthcode_pack.profile.model import NewEntries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from earthcode_pack.profile import Profile

Record = dict[str, Any]


def change_set(
    profile: Profile,
    collection: Record,
    items: Iterable[Record],
    catalog: Catalog,
    now: str,
    *,
    environment: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Path relative to the catalogue's root → new text, for every file that is new or changes; writes nothing.

    ``collection`` and ``items`` are the bundle's STAC, ``now`` an RFC 3339 time for ``created`` and ``updated``,
    ``environment`` what the experiment's ``environment.yaml`` says of the software. Existing files keep every byte
    that need not change. Beyond 600 Items, and where the PRR serves them, Items stay out.

    Raises what ``check_ids`` raises.
    """
    check_ids(profile, catalog)
    draft = Draft(catalog)
    _add_new_entries(draft, profile, collection, now)
    copied = _catalogued(profile, items)
    _add_product(draft, profile, collection, copied, now)
    _add_experiment(draft, profile, now, environment or {})
    _point_back(draft, profile)
    _retitle(draft, profile)
    return draft.texts()


def stale_items(profile: Profile, catalog: Catalog, changes: Mapping[str, str]) -> list[str]:
    """Item files of an earlier version that the new record links no more.

    They are to be deleted, which laying files over cannot do.
    """
    path = path_of("products", profile.product.id)
    if path not in changes or catalog.text(path) is None:
        return []
    old, new = _item_paths(catalog.text(path) or "{}", profile), _item_paths(changes[path], profile)
    return [gone for gone in sorted(old - new) if catalog.text(gone) is not None]


def _item_paths(text: str, profile: Profile) -> set[str]:
    links: list[Link] = json.loads(text).get("links", [])
    folder = item_folder(profile.product.id)
    return {folder + link["href"][1:] for link in links if link["rel"] == "item" and link["href"].startswith("./")}


def _catalogued(profile: Profile, items: Iterable[Record]) -> list[Record]:
    """The Items that go into the catalogue: all or none."""
    if profile.store and profile.store.prr:
        return []
    some = list(islice(items, LARGEST + 1))
    return some if len(some) <= LARGEST else []


def _add_new_entries(draft: Draft, profile: Profile, collection: Record, now: str) -> None:
    """Variables, missions and the project that the catalogue lacks and the product names."""
    new = profile.catalog.new if profile.catalog else NewEntries()
    for entry in osc_variables(profile):
        if not draft.catalog.has("variables", entry):
            spec = new.variables[entry]
            record = variable_record(entry, spec, spec.themes or profile.product.themes, draft, now)
            _add(draft, "variables", entry, record)
    for entry in profile.product.missions:
        if not draft.catalog.has("eo-missions", entry):
            _add(draft, "eo-missions", entry, mission_record(entry, new.missions[entry], draft, now))
    if is_new_project(profile, draft.catalog):
        _add(draft, "projects", profile.project.id, project_record(profile, collection, draft, now))


def _add(draft: Draft, kind: Kind, entry: str, record: Record, base: str = "") -> None:
    draft.put(path_of(kind, entry), record, base)
    draft.list_in(kind, entry)


def _add_product(draft: Draft, profile: Profile, collection: Record, items: list[Record], now: str) -> None:
    entry = profile.product.id
    record = product_record(profile, collection, items, draft, now)
    _add(draft, "products", entry, record, published_base(profile))
    for item in items:
        path = f"{item_folder(entry)}/{item_file(item)}"
        product = entry, str(record["title"])
        draft.values[path] = catalog_item(item, path, product, draft.root_title(), published_at(profile))


def _add_experiment(draft: Draft, profile: Profile, now: str, environment: Mapping[str, Any]) -> None:
    """The workflow unless the catalogue has it, the experiment, its two YAML files, and the way back."""
    experiment = profile.experiment
    if experiment is None:
        return
    workflow = experiment.workflow.id
    if not draft.catalog.has("workflows", workflow):
        _add(draft, "workflows", workflow, workflow_record(profile, draft, now))
    _add(draft, "experiments", experiment.id, experiment_record(profile, draft, now))
    draft.point(path_of("workflows", workflow), child("experiments", experiment.id, experiment.title))
    folder = f"experiments/{experiment.id}"
    inputs = {"inputs": [entry.model_dump() for entry in experiment.inputs], "parameters": experiment.parameters}
    about = {"workflow": experiment.workflow.model_dump(), "packaging": dict(environment)}
    draft.plain[f"{folder}/input.yaml"] = _yaml(inputs)
    draft.plain[f"{folder}/environment.yaml"] = _yaml({key: value for key, value in about.items() if value})


def _yaml(data: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))


def _point_back(draft: Draft, profile: Profile) -> None:
    """``child`` to the product from its project, themes, variables and missions, and from no others."""
    entry = profile.product.id
    named: dict[Kind, list[str]] = {
        "projects": [profile.project.id],
        "themes": profile.product.themes,
        "variables": osc_variables(profile),
        "eo-missions": profile.product.missions,
    }
    target = child("products", entry, draft.title("products", entry))
    for kind, entries in _named_before(draft.catalog, entry).items():
        for gone in set(entries) - set(named[kind] or entries):
            draft.unpoint(path_of(kind, gone), "child", target["href"])
    for kind, entries in named.items():
        for name in entries:
            draft.point(path_of(kind, name), target)


def _named_before(catalog: Catalog, entry: str) -> dict[Kind, list[str]]:
    """What the product's record names in the catalogue as it is; nothing where it is new."""
    if not catalog.has("products", entry):
        return {}
    record = catalog.read(path_of("products", entry))
    concepts = [concept["id"] for theme in record.get("themes", ()) for concept in theme.get("concepts", ())]
    return {
        "projects": [record.get("osc:project", "")],
        "themes": concepts,
        "variables": record.get("osc:variables", []),
        "eo-missions": record.get("osc:missions", []),
    }


def _retitle(draft: Draft, profile: Profile) -> None:
    """Brings the title of every link to a product up to date, wherever in the catalogue it stands."""
    entry = profile.product.id
    if not draft.catalog.has("products", entry):
        return
    title, target = draft.title("products", entry), f"/{entry}/collection.json"
    for path in draft.catalog.paths():
        if target in (draft.catalog.text(path) or "") and path != path_of("products", entry):
            _retitle_in(draft, path, f"products{target}", title)


def _retitle_in(draft: Draft, path: str, target: str, title: str) -> None:
    record = draft.read(path)
    links = [_retitled(link, path, target, title) for link in record.get("links", ())]
    if links != record.get("links"):
        draft.values[path] = {**record, "links": links}


def _retitled(link: Link, path: str, target: str, title: str) -> Link:
    """A link that points to the product, with its title; any other as it is."""
    titled = {"child": title, "parent": title, "collection": title, "related": f"{PREFIXES['products']}: {title}"}
    href = str(link.get("href"))
    points = href == f"../../{target}" or (path == "products/catalog.json" and f"products/{href[2:]}" == target)
    return {**link, "title": titled[link["rel"]]} if points and link.get("rel") in titled else link
