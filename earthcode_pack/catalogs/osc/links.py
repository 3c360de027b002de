"""Links, boxes and Items in the form of the Open Science Catalog, and the merge of a record's old and new links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urljoin

from earthcode_pack.catalogs.osc.catalog import PREFIXES, Kind, path_of
from earthcode_pack.geo.box import HALF, cut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.geo.box import Box

JSON = "application/json"
PUBLIC = "https://esa-earthcode.github.io/open-science-catalog-metadata/"

Link = dict[str, Any]

LARGEST = 600  # beyond that Items stay out of the catalogue's repository

_STRUCTURE = {"root", "parent", "collection", "self", "items", "item", "child"}


def link(rel: str, href: str, title: str | None = None, media_type: str | None = JSON) -> Link:
    """Makes a link with its members in the catalogue's order."""
    return (
        {"rel": rel, "href": href} | ({"type": media_type} if media_type else {}) | ({"title": title} if title else {})
    )


def self_link(path: str) -> Link:
    """Makes the link to where the catalogue publishes a file."""
    return link("self", PUBLIC + path)


def related(kind: Kind, entry: str, title: str) -> Link:
    """Makes the ``related`` link to an entry, with the title that the catalogue's validator wants.

    >>> related("themes", "land", "Land")["title"]
    'Theme: Land'
    """
    return link("related", f"../../{path_of(kind, entry)}", f"{PREFIXES[kind]}: {title}")


def child(kind: Kind, entry: str, title: str) -> Link:
    """Makes the ``child`` link to an entry of another kind."""
    return link("child", f"../../{path_of(kind, entry)}", title)


def with_link(links: list[Link], new: Link) -> list[Link]:
    """Adds a link after the last of its relation, or renews the one with the same target."""
    for index, old in enumerate(links):
        if (old.get("rel"), old.get("href")) == (new["rel"], new["href"]):
            return [*links[:index], {**old, **new}, *links[index + 1 :]]
    peers = [index for index, old in enumerate(links) if old.get("rel") == new["rel"]]
    at = peers[-1] + 1 if peers else len(links)
    return [*links[:at], new, *links[at:]]


def merged_links(old: list[Link], new: Iterable[Link], base: str = "") -> list[Link]:
    """Merges a record's links: the old ones in their order, renewed or dropped, then the new ones.

    Dropped are ``item`` links and ``related`` links to themes, variables, missions and projects that are no longer
    named, where the new record names any of that kind. ``base`` tells an earlier version's ``child`` from a stranger's.
    """
    fresh = {_slot(entry, base): entry for entry in new}
    kinds = {kind for kind in map(_kind, fresh.values()) if kind}
    kept = [entry for entry in old if _slot(entry, base) in fresh or _kind(entry) not in kinds]
    links = [{**entry, **fresh[_slot(entry, base)]} if _slot(entry, base) in fresh else entry for entry in kept]
    known = {_slot(entry, base) for entry in kept}
    for slot, entry in fresh.items():
        links = links if slot in known else with_link(links, entry)
    return _access_first(links)


def _slot(entry: Link, base: str) -> tuple[str, str]:
    """Returns the key under which two links are the same place in a record."""
    rel, href = str(entry.get("rel")), str(entry.get("href"))
    if rel in ("root", "parent", "self", "license", "collection"):
        return rel, ""
    if rel == "via" and entry.get("title") in ("Access", "Documentation"):
        return rel, str(entry["title"])
    if rel == "child" and base and href.startswith(base):
        return rel, base
    return rel, href


def _kind(entry: Link) -> str | None:
    """Returns the kind of entry that a link names, where the record decides on links of that kind."""
    if entry.get("rel") == "item":
        return "item"
    folder = str(entry.get("href")).removeprefix("../../").partition("/")[0]
    decided = entry.get("rel") == "related" and folder in ("projects", "themes", "variables", "eo-missions")
    return folder if decided else None


def _access_first(links: list[Link]) -> list[Link]:
    """Moves the ``via`` link "Access" before the others: readers and the catalogue's pages take the first."""
    vias = [index for index, entry in enumerate(links) if entry.get("rel") == "via"]
    access = next((index for index in vias if links[index].get("title") == "Access"), None)
    if access is None or access == vias[0]:
        return links
    rest = [entry for index, entry in enumerate(links) if index != access]
    return [*rest[: vias[0]], links[access], *rest[vias[0] :]]


def osc_extent(extent: dict[str, Any]) -> dict[str, Any]:
    """Rewrites a Collection's extent with boxes in the catalogue's form."""
    return {
        "spatial": {"bbox": osc_boxes(extent["spatial"]["bbox"])},
        "temporal": {"interval": extent["temporal"]["interval"]},
    }


def osc_boxes(boxes: list[list[float]]) -> list[list[float]]:
    """Rewrites boxes (west, south, east, north; degrees) of a Collection so that none crosses the antimeridian.

    A box across it becomes all longitudes, followed by the true boxes cut at the antimeridian: RFC 7946's west > east
    stands in the STAC that is published; whether the catalogue's validator takes it is unknown. The result is one box
    or at least three, as STAC 1.1 demands of ``extent.spatial.bbox``.

    >>> osc_boxes([[170, -20, -170, -10]])
    [[-180.0, -20, 180.0, -10], [170, -20, 180.0, -10], [-180.0, -20, -170, -10]]
    """
    overall, *parts = map(_without_heights, boxes)
    pieces = [list(piece) for box in parts or [overall] for piece in cut(cast("Box", tuple(box)))]
    if not parts and len(pieces) == 1:
        return pieces
    return [osc_box(overall), *pieces] if len(pieces) > 1 else [osc_box(overall)]


def osc_box(box: list[float]) -> list[float]:
    """Rewrites the box of an Item, which has only one: all longitudes where it crosses the antimeridian."""
    west, south, east, north = _without_heights(box)
    return [-HALF, south, HALF, north] if west > east else [west, south, east, north]


def _without_heights(box: list[float]) -> list[float]:
    return [*box[:2], *box[3:5]] if len(box) == 6 else list(box)  # noqa: PLR2004 - RFC 7946, section 5


def catalog_item(
    item: dict[str, Any], path: str, product: tuple[str, str], root_title: str, base: str
) -> dict[str, Any]:
    """Rewrites an Item for the catalogue, with absolute asset hrefs.

    A box that crosses the antimeridian becomes all longitudes; the geometry, which is split, tells the truth.

    Args:
        item: the Item of the bundle.
        path: of the Item in the catalogue.
        product: id and title of its product.
        root_title: title of the catalogue.
        base: href of the published product's folder.

    """
    here = f"{base}/items/{item['id']}.json"
    entry, title = product
    structure = [
        link("root", "../../catalog.json", root_title),
        link("parent", "./collection.json", title),
        link("collection", "./collection.json", title),
    ]
    others = [_absolute(old, here) for old in item.get("links", ()) if old.get("rel") not in _STRUCTURE]
    box = {"bbox": osc_box(item["bbox"])} if item.get("bbox") else {}
    assets = {key: _absolute(asset, here) for key, asset in item["assets"].items()}
    return {**item, **box, "collection": entry, "links": [*structure, *others, self_link(path)], "assets": assets}


def item_folder(entry: str) -> str:
    """Returns the folder of a product's Items."""
    return path_of("products", entry).removesuffix("/collection.json")


def _absolute(holder: Link, here: str) -> Link:
    return {**holder, "href": urljoin(here, holder["href"])}
