"""The change set: each file of the catalogue that a product changes, and its new text. Writes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import yaml

from earthcode_pack.catalogs.osc.catalog import PREFIXES, Catalog, Kind, path_of, title_in
from earthcode_pack.catalogs.osc.ids import check_ids, is_new_project
from earthcode_pack.catalogs.osc.json_edit import edit_json
from earthcode_pack.catalogs.osc.links import (
    LARGEST,
    Link,
    catalog_item,
    child,
    item_folder,
    link,
    merged_links,
    with_link,
)
from earthcode_pack.catalogs.osc.records import (
    experiment_record,
    item_file,
    mission_record,
    product_record,
    project_record,
    published_base,
    variable_record,
    workflow_record,
)
from earthcode_pack.files import to_json
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
    """Computes the new text of every file of the catalogue that is new or changes; writes nothing.

    Existing files keep every byte that need not change. Beyond 600 Items, and where the PRR serves them, Items stay
    out.

    Args:
        profile: of the product.
        collection: the bundle's STAC Collection.
        items: the bundle's STAC Items.
        catalog: the catalogue as it is.
        now: RFC 3339 time for ``created`` and ``updated``.
        environment: the software, for the experiment's ``environment.yaml``.

    Returns:
        The texts by path, relative to the catalogue's root.

    Raises:
        UnknownId: as ``check_ids``, whose other errors are raised too.

    """
    check_ids(profile, catalog)
    draft = Draft(catalog)
    _add_new_entries(draft, profile, collection, now)
    some = [] if profile.store and profile.store.prr else list(islice(items, LARGEST + 1))
    _add_product(draft, profile, collection, some if len(some) <= LARGEST else [], now)
    _add_experiment(draft, profile, now, environment or {})
    _point_back(draft, profile)
    _retitle(draft, profile)
    return draft.texts()


def stale_items(profile: Profile, catalog: Catalog, changes: Mapping[str, str]) -> list[str]:
    """Lists Item files of an earlier version, not linked any more: laying files over cannot delete them."""
    path = path_of("products", profile.product.id)
    if path not in changes or catalog.text(path) is None:
        return []
    old, new = _item_paths(catalog.text(path) or "{}", profile), _item_paths(changes[path], profile)
    return [gone for gone in sorted(old - new) if catalog.text(gone) is not None]


def _item_paths(text: str, profile: Profile) -> set[str]:
    links: list[Link] = json.loads(text).get("links", [])
    folder = item_folder(profile.product.id)
    return {folder + link["href"][1:] for link in links if link["rel"] == "item" and link["href"].startswith("./")}


def _add_new_entries(draft: Draft, profile: Profile, collection: Record, now: str) -> None:
    """Adds the variables, missions and the project that the product names and the catalogue lacks."""
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
    """Adds the workflow unless the catalogue has it, the experiment with its two YAML files, and links between them."""
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
    for name, data in (("input", inputs), ("environment", {key: value for key, value in about.items() if value})):
        draft.plain[f"{folder}/{name}.yaml"] = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _point_back(draft: Draft, profile: Profile) -> None:
    """Links the product as ``child`` of its project, themes, variables and missions, and of no others."""
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
    """Reads which entries the product's record names in the catalogue as it is; none where it is new."""
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
            links = draft.read(path).get("links", [])
            draft.relink(path, [_retitled(link, path, f"products{target}", title) for link in links])


def _retitled(link: Link, path: str, target: str, title: str) -> Link:
    """Gives a link to the product its new title; leaves any other as it is."""
    titled = {"child": title, "parent": title, "collection": title, "related": f"{PREFIXES['products']}: {title}"}
    href = str(link.get("href"))
    points = href == f"../../{target}" or (path == "products/catalog.json" and f"products/{href[2:]}" == target)
    return {**link, "title": titled[link["rel"]]} if points and link.get("rel") in titled else link


@dataclass
class Draft:
    """A change set in the making: new values by path, over a catalogue that stays as it is."""

    catalog: Catalog
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    plain: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> dict[str, Any]:
        """Returns a file as it will be."""
        return self.values[path] if path in self.values else self.catalog.read(path)

    def title(self, kind: Kind, entry: str) -> str:
        """Returns an entry's title as it will be."""
        return title_in(self.read(path_of(kind, entry)))

    def index_title(self, kind: Kind) -> str:
        """Returns the title of the catalogue of one kind, such as "Products"."""
        return title_in(self.read(f"{kind}/catalog.json"))

    def root_title(self) -> str:
        """Returns the title of the whole, "Open Science Catalog"."""
        return title_in(self.read("catalog.json"))

    def put(self, path: str, record: dict[str, Any], base: str = "") -> None:
        """Lays a record over the one that is there, whose other fields stay, and so does ``created``.

        A record without news keeps its ``updated`` too, so that handing off again changes nothing.
        """
        if self.catalog.text(path) is None:
            self.values[path] = record
            return
        old = self.read(path)
        merged = _merged(old, record, base)
        if _without(merged, "updated") != _without(old, "updated"):
            self.values[path] = merged

    def point(self, path: str, target: Link) -> None:
        """Adds a link to a file, or corrects the one that points to the same place."""
        self.relink(path, with_link(self.read(path).get("links", []), target))

    def relink(self, path: str, links: list[Link]) -> None:
        """Replaces the links of a file, where they differ."""
        record = self.read(path)
        if links != record.get("links", []):
            self.values[path] = {**record, "links": links}

    def list_in(self, kind: Kind, entry: str) -> None:
        """Lists an entry in the catalogue of its kind; Records are listed as items."""
        rel = "item" if kind in ("workflows", "experiments") else "child"
        href = path_of(kind, entry).replace(f"{kind}/", "./", 1)
        self.point(f"{kind}/catalog.json", link(rel, href, self.title(kind, entry)))

    def unpoint(self, path: str, rel: str, href: str) -> None:
        """Removes a link that is no longer true; nothing where the file or the link is not there."""
        if self.catalog.text(path) is not None:
            links = self.read(path).get("links", [])
            self.relink(path, [old for old in links if (old.get("rel"), old.get("href")) != (rel, href)])

    def texts(self) -> dict[str, str]:
        """Returns the new text of every file that is new or differs, by path; unchanged bytes of old ones are kept."""
        new = dict(self.plain)
        for path, value in self.values.items():
            old = self.catalog.text(path)
            new[path] = to_json(value) if old is None else edit_json(old, value)
        return {path: text for path, text in sorted(new.items()) if text != self.catalog.text(path)}


def _merged(old: dict[str, Any], new: dict[str, Any], base: str) -> dict[str, Any]:
    merged = {**old, **new, "links": merged_links(old.get("links", []), new["links"], base)}
    if "properties" in new:
        merged["properties"] = _kept_created(old.get("properties", {}), new["properties"])
    for key in ("stac_extensions", "conformsTo"):
        if key in new:
            merged[key] = list(dict.fromkeys([*old.get(key, []), *new[key]]))
    return _kept_created(old, merged)


def _kept_created(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {**old, **new} | ({"created": old["created"]} if "created" in old else {})


def _without(record: dict[str, Any], key: str) -> dict[str, Any]:
    """Leaves a time stamp out of a record, at its top and among its properties."""
    rest = {name: value for name, value in record.items() if name != key}
    if isinstance(rest.get("properties"), dict):
        rest["properties"] = {name: value for name, value in rest["properties"].items() if name != key}
    return rest
