"""A checkout of the Open Science Catalog: each record, and records and Items against each other."""

from __future__ import annotations

from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.collection import extent_findings, facts_of
from earthcode_pack.checks.documents import Document, ProductFolder, is_record, is_stac, listed, texts
from earthcode_pack.checks.files import file_findings
from earthcode_pack.checks.metadata import boxes, moment, stac_findings
from earthcode_pack.checks.osc import rules as osc
from earthcode_pack.checks.osc.checkout import BASE, KINDS, Checkout, kind_of_key, record_key
from earthcode_pack.checks.osc.records import first_interval, links_of, properties_of, single_record_findings, theme_ids
from earthcode_pack.checks.targets import is_file
from earthcode_pack.geo.box import box_of, contains, union

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.checks.collection import ItemFacts
    from earthcode_pack.checks.schema import SchemaValidator
    from earthcode_pack.model import Finding

_TITLED = {"root", "parent", "child", "related"}
_BACK = ("projects", "themes", "variables", "eo-missions")
_SECOND = timedelta(seconds=1)  # between an end at 23:59:59 and one at midnight

Stac = dict[str, Any]


def catalogue_findings(root: Path, validator: SchemaValidator) -> Iterator[Finding]:
    """Checks a whole checkout: every record, and the Items beside the products. Nothing remote is opened.

    Args:
        root: The folder of the checkout.
        validator: Validates against the schemas.

    Yields:
        The findings.

    """
    checkout = Checkout(root)
    for key in checkout.keys():  # noqa: SIM118 - not a mapping
        yield from _file_findings(checkout, key, validator)
    for kind in KINDS:
        yield from _children_findings(checkout, kind)


def record_findings(checkout: Checkout, key: str, validator: SchemaValidator) -> Iterator[Finding]:
    """Checks one file of a checkout, against the rest of the catalogue.

    Args:
        checkout: The checkout.
        key: Path of the file below its root.
        validator: Validates against the schemas.

    Yields:
        The findings.

    """
    yield from _file_findings(checkout, key, validator)
    kind = PurePosixPath(key).parent.as_posix()
    if kind in KINDS:
        yield from _children_findings(checkout, kind)


def _file_findings(checkout: Checkout, key: str, validator: SchemaValidator) -> Iterator[Finding]:
    stac = checkout.read(key)
    if stac is None or not (is_stac(stac) or is_record(stac)):
        why = "is neither STAC nor a Record" if stac is not None else "is no JSON object"
        yield rules.JSON_FORM.finding(key, f"{key} {why}")
        return
    document = Document(stac, key, (checkout.root / key).parent, ProductFolder(checkout.root, (BASE,)))
    if is_stac(stac):
        yield from validator.findings(stac, key)
        project = key.startswith("projects/")  # its extent says nothing of data
        yield from stac_findings(document, alone=not project, record=stac["type"] != "Feature")
        yield from extent_findings(stac, key) if stac["type"] == "Collection" else ()
        if stac["type"] == "Feature":
            yield from file_findings(document)
            return
    kind = kind_of_key(key)
    if kind is not None:
        yield from single_record_findings(document, kind)
    for link in links_of(stac, "self"):
        if str(link.get("href")).startswith(f"{BASE}/") and link.get("href") != f"{BASE}/{key}":
            message = f"{key} says of itself that it is {link.get('href')}"
            yield osc.SELF.finding(key, message, link.get("href"), f"{BASE}/{key}")
    yield from _target_findings(checkout, key, stac)
    if kind is not None:
        yield from _reference_findings(checkout, key, kind, stac)
    if kind == "products":
        yield from _back_link_findings(checkout, key, stac)
        yield from _items_findings(checkout, key, stac)
    if kind == "experiments":
        yield from _experiment_findings(checkout, key)


# --- records among each other


def _target_findings(checkout: Checkout, key: str, stac: Stac) -> Iterator[Finding]:
    """Checks that links within the catalogue lead to a file, and have its title."""
    for link in listed(stac.get("links")):
        relation, target = str(link.get("rel")), checkout.target(key, link.get("href"))
        if target is None or relation == "self":
            continue
        if not is_file(checkout.root / target):
            message = f"the link {relation} of {key} does not exist: {link.get('href')}"
            yield rules.HREF_MISSING.finding(key, message, link.get("href"))
            continue
        entry = checkout.entry(target) if relation in _TITLED and target.endswith(".json") else None
        if entry is None or entry.title is None:
            continue
        allowed, kind = [entry.title], kind_of_key(target)
        if relation == "related" and kind is not None:
            plain = [entry.title] if kind == "products" else []  # no word is laid down for a product
            allowed = [f"{KINDS[kind][0]}: {entry.title}", *plain]
        if link.get("title") not in allowed:
            title, wanted = link.get("title"), allowed[0]
            message = f"the link {relation} of {key} is titled {title!r}, its target {target} {wanted!r}"
            yield osc.LINK_TITLE.finding(key, message, title, wanted)


def _reference_findings(checkout: Checkout, key: str, kind: str, stac: Stac) -> Iterator[Finding]:
    """Checks root, parent and id of a record, and that the records it names exist and are linked."""
    entry, name = checkout.entry(key), key.split("/")[1]
    for relation, target in (("root", "catalog.json"), ("parent", f"{kind}/catalog.json")):
        found = entry.targets.get(relation, frozenset()) if entry else frozenset()
        if target not in found:
            message = f"the link {relation} of {key} leads to {', '.join(sorted(found)) or 'nothing'}"
            yield osc.ROOT.finding(key, message, sorted(found), target)
    if stac.get("id") != name:
        yield osc.ID.finding(key, f"{key} has the id {stac.get('id')!r}", stac.get("id"), name)
    for other, named in _named(stac):
        label = KINDS[other][0].lower()
        if not checkout.holds(other, named):
            message = f"{key} names the {label} {named}, which the catalogue does not hold"
            yield osc.REFERENCE.finding(key, message, named)
        elif entry is not None and not entry.leads_to(record_key(other, named), "related"):
            yield osc.RELATED.finding(key, f"{key} names the {label} {named} and has no related link to it", named)


def _named(stac: Stac) -> list[tuple[str, str]]:
    """Returns kind and id of the records that a record names."""
    fields = properties_of(stac)
    single = {"projects": "osc:project", "workflows": "osc:workflow", "experiments": "osc:experiment"}
    several = {"variables": "osc:variables", "eo-missions": "osc:missions"}
    return [
        *((kind, str(fields[name])) for kind, name in single.items() if fields.get(name)),
        *(("themes", name) for name in theme_ids(fields)),
        *((kind, name) for kind, field in several.items() for name in dict.fromkeys(texts(fields.get(field)))),
    ]


def linking_back(stac: Stac) -> list[tuple[str, str]]:
    """Returns kind and id of the records that link back to a product: project, themes, variables and missions."""
    return [(kind, name) for kind, name in _named(stac) if kind in _BACK]


def _back_link_findings(checkout: Checkout, key: str, stac: Stac) -> Iterator[Finding]:
    """Checks that records link back to a product, and that its title begins with its project."""
    for kind, name in linking_back(stac):
        other = record_key(kind, name)
        entry = checkout.entry(other)
        if entry is not None and not entry.leads_to(key, "child", "item", "related"):
            message = f"{key} belongs to {other}, which does not link back to it"
            yield osc.BACK_LINK.finding(key, message, other)
    project = str(stac.get("osc:project"))
    entry = checkout.entry(record_key("projects", project)) if project in checkout.ids("projects") else None
    spelt = (stac.get("title"), project, entry.title if entry else None)  # abbreviations are spelt in many ways
    title, *names = ("".join(c for c in str(text or "").lower() if c.isalnum()) for text in spelt)
    if title and any(names) and not any(name and title.startswith(name) for name in names):
        message = f"the title of {key}, {stac.get('title')!r}, does not begin with its project {project}"
        yield osc.TITLE_PROJECT.finding(key, message, stac.get("title"), project)


def _experiment_findings(checkout: Checkout, key: str) -> Iterator[Finding]:
    """Checks that the products of an experiment name it."""
    entry, name = checkout.entry(key), key.split("/")[1]
    products = {t for r in ("child", "related") for t in (entry.targets.get(r, ()) if entry else ())}
    for product in sorted(t for t in products if kind_of_key(t) == "products"):
        stac, other = checkout.read(product), checkout.entry(product)
        if stac is not None and other is not None:
            missing = [] if stac.get("osc:experiment") == name else ["osc:experiment"]
            missing += [] if other.leads_to(key, "related", "child") else ["a related link"]
            if missing:
                message = f"{product} is what {key} made, and does not name it by {' and '.join(missing)}"
                yield osc.EXPERIMENT_BACK.finding(product, message, missing)


def _children_findings(checkout: Checkout, kind: str) -> Iterator[Finding]:
    """Compares the children, or items, of ``<kind>/catalog.json`` with the folders beside it, both ways."""
    key = f"{kind}/catalog.json"
    entry = checkout.entry(key)
    if entry is None:
        yield osc.CHILDREN.finding(key, f"{key} does not exist or is no JSON object")
        return
    linked = {target for relation in ("child", "item") for target in entry.targets.get(relation, ())}
    there = {record_key(kind, name) for name in checkout.ids(kind)}
    for target in sorted(there - linked):
        yield osc.CHILDREN.finding(key, f"{key} does not link {target}", target)
    for target in sorted(t for t in linked - there if t.startswith(f"{kind}/")):
        yield osc.CHILDREN.finding(key, f"{key} links {target}, which has no folder", target)


# --- a product's record and the Items beside it


def _items_findings(checkout: Checkout, key: str, stac: Stac) -> Iterator[Finding]:
    """Checks that Items name their Collection and are linked, and that its extent holds them."""
    items: dict[str, ItemFacts] = {}
    for path in sorted((checkout.root / key).parent.glob("*.json")):
        other = path.relative_to(checkout.root).as_posix()
        item = checkout.read(other) if other != key else None
        if item is not None and is_stac(item) and item["type"] == "Feature":
            items[other] = facts_of(Document(item, other, None))
            if item.get("collection") != stac.get("id"):
                message = f"{other} names the collection {item.get('collection')!r}"
                yield rules.COLLECTION_ID.finding(other, message, item.get("collection"), stac.get("id"))
    yield from _item_extent_findings(key, stac, items)
    entry = checkout.entry(key)
    for other in sorted(items):
        if entry is not None and not entry.leads_to(other, "item"):
            yield osc.ITEM_UNLINKED.finding(other, f"{key} has no item link to {other}", other)


def _item_extent_findings(key: str, stac: Stac, items: dict[str, ItemFacts]) -> Iterator[Finding]:
    overall = box_of(next(iter(boxes(stac)), None))
    parts = {other: item.box for other, item in items.items() if item.box is not None}
    out = [other for other, box in parts.items() if overall is not None and not contains(overall, box)]
    if out and overall is not None:
        more, true = f" and {len(out) - 1} more" if len(out) > 1 else "", list(union(list(parts.values())))
        held = f"{out[0]}, {list(parts[out[0]])}{more}"
        message = f"the box of {key}, {list(overall)}, does not hold {held}; all Items: {true}"
        yield osc.ITEMS_EXTENT.finding(key, message, list(overall), true)
    start, end = (moment(text) for text in first_interval(stac) or (None, None))
    times = {other: item.ends for other, item in items.items()}
    early = [other for other, (first, _) in times.items() if start and first and first < start - _SECOND]
    late = [other for other, (_, last) in times.items() if end and last and last > end + _SECOND]
    if early or late:
        other = (early or late)[0]
        ends = ["open" if t is None else t.isoformat() for t in times[other]]
        message = f"the interval of {key}, {first_interval(stac)}, does not hold {other}, {ends[0]} to {ends[1]}"
        count = len({*early, *late}) - 1
        message += f", and {count} more" if count else ""
        yield osc.ITEMS_PERIOD.finding(key, message, first_interval(stac), ends)
