"""The records of a checkout among each other: what they name exists, is called rightly, and links back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import osc_rules as osc
from earthcode_pack.checks import rules
from earthcode_pack.checks.documents import listed, texts
from earthcode_pack.checks.osc.checkout import KINDS, kind_of_key, record_key
from earthcode_pack.checks.osc.records import properties_of, theme_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.checks.osc.checkout import Checkout
    from earthcode_pack.model import Finding

_TITLED = {"root", "parent", "child", "related"}
_BACK = ("projects", "themes", "variables", "eo-missions")

Stac = dict[str, Any]


def cross_findings(checkout: Checkout, key: str, stac: Stac) -> Iterator[Finding]:
    """What a record says of other files of its checkout, against these files."""
    kind = kind_of_key(key)
    yield from _targets(checkout, key, stac)
    if kind is None:
        return
    yield from _structure(checkout, key, kind)
    if stac.get("id") != key.split("/")[1]:
        message = f"{key} has the id {stac.get('id')!r}"
        yield osc.ID.finding(key, message, stac.get("id"), key.split("/")[1])
    for other, name in _named(stac):
        yield from _reference(checkout, key, other, name)
    if kind == "products":
        yield from _back_links(checkout, key, backed(stac))
        yield from _project_title(checkout, key, stac)
    if kind == "experiments":
        yield from _experiment_back(checkout, key)


def _named(stac: Stac) -> list[tuple[str, str]]:
    """What a record names by id, as kind and id."""
    fields = properties_of(stac)
    single = {"projects": "osc:project", "workflows": "osc:workflow", "experiments": "osc:experiment"}
    several = {"variables": "osc:variables", "eo-missions": "osc:missions"}
    return [
        *((kind, str(fields[name])) for kind, name in single.items() if fields.get(name)),
        *(("themes", name) for name in theme_ids(fields)),
        *((kind, name) for kind, field in several.items() for name in dict.fromkeys(texts(fields.get(field)))),
    ]


def backed(stac: Stac) -> list[tuple[str, str]]:
    """What links back to a product, as kind and id: its project, themes, variables and missions."""
    return [(kind, name) for kind, name in _named(stac) if kind in _BACK]


def _targets(checkout: Checkout, key: str, stac: Stac) -> Iterator[Finding]:
    """Links within the catalogue: whether they lead to a file, and have its title."""
    for link in listed(stac.get("links")):
        relation, target = str(link.get("rel")), checkout.target(key, link.get("href"))
        if target is None or relation == "self":
            continue
        if not (checkout.root / target).is_file():
            message = f"the link {relation} of {key} does not exist: {link.get('href')}"
            yield rules.HREF_MISSING.finding(key, message, link.get("href"))
        elif relation in _TITLED and target.endswith(".json"):
            yield from _title(checkout, key, link, target)


def _title(checkout: Checkout, key: str, link: Stac, target: str) -> Iterator[Finding]:
    entry, kind = checkout.entry(target), kind_of_key(target)
    if entry is None or entry.title is None:
        return
    allowed = [entry.title]
    if link.get("rel") == "related" and kind is not None:
        plain = [entry.title] if kind == "products" else []  # no word is laid down for a product
        allowed = [f"{KINDS[kind][0]}: {entry.title}", *plain]
    if link.get("title") not in allowed:
        message = (
            f"the link {link.get('rel')} of {key} is titled {link.get('title')!r}, its target {target} {allowed[0]!r}"
        )
        yield osc.LINK_TITLE.finding(key, message, link.get("title"), allowed[0])


def _structure(checkout: Checkout, key: str, kind: str) -> Iterator[Finding]:
    entry = checkout.entry(key)
    for relation, target in (("root", "catalog.json"), ("parent", f"{kind}/catalog.json")):
        found = entry.targets.get(relation, frozenset()) if entry else frozenset()
        if target not in found:
            message = f"the link {relation} of {key} leads to {', '.join(sorted(found)) or 'nothing'}"
            yield osc.ROOT.finding(key, message, sorted(found), target)


def _reference(checkout: Checkout, key: str, kind: str, name: str) -> Iterator[Finding]:
    entry, label = checkout.entry(key), KINDS[kind][0].lower()
    if not checkout.holds(kind, name):
        message = f"{key} names the {label} {name}, which the catalogue does not hold"
        yield osc.REFERENCE.finding(key, message, name)
    elif entry is not None and not entry.leads_to(record_key(kind, name), "related"):
        yield osc.RELATED.finding(key, f"{key} names the {label} {name} and has no related link to it", name)


def _back_links(checkout: Checkout, key: str, named: list[tuple[str, str]]) -> Iterator[Finding]:
    for kind, name in named:
        other = record_key(kind, name)
        entry = checkout.entry(other)
        if entry is not None and not entry.leads_to(key, "child", "item", "related"):
            message = f"{key} belongs to {other}, which does not link back to it"
            yield osc.BACK_LINK.finding(key, message, other)


def _project_title(checkout: Checkout, key: str, stac: Stac) -> Iterator[Finding]:
    project = str(stac.get("osc:project"))
    entry = checkout.entry(record_key("projects", project)) if project in checkout.ids("projects") else None
    title, names = _plain(stac.get("title")), {_plain(project), _plain(entry.title if entry else None)} - {""}
    if title and names and not any(title.startswith(name) for name in names):
        message = f"the title of {key}, {stac.get('title')!r}, does not begin with its project {project}"
        yield osc.TITLE_PROJECT.finding(key, message, stac.get("title"), project)


def _plain(text: Any) -> str:
    """Letters and digits only, in lower case: abbreviations are spelt in many ways."""
    return "".join(c for c in str(text or "").lower() if c.isalnum())


def _experiment_back(checkout: Checkout, key: str) -> Iterator[Finding]:
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


def sub_catalogue_findings(checkout: Checkout, kind: str) -> Iterator[Finding]:
    """The children, or items, of ``<kind>/catalog.json`` against the folders beside it, both ways."""
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
