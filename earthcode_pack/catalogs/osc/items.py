"""STAC Items as the catalogue keeps them beside their product: absolute asset hrefs, the catalogue's links."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

from earthcode_pack.catalogs.osc.catalog import path_of
from earthcode_pack.catalogs.osc.extent import osc_box
from earthcode_pack.catalogs.osc.links import Link, link, self_link

LARGEST = 600  # beyond that Items stay out of the catalogue's repository

_STRUCTURE = {"root", "parent", "collection", "self", "items", "item", "child"}


def catalog_item(
    item: dict[str, Any], path: str, product: tuple[str, str], root_title: str, base: str
) -> dict[str, Any]:
    """An Item for ``path`` in the catalogue; ``product`` is its id and title, ``base`` the published folder's href.

    A box that crosses the antimeridian becomes the overall one; the geometry, which is split, tells the truth.
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
    """The folder of a product's Items."""
    return path_of("products", entry).removesuffix("/collection.json")


def _absolute(holder: Link, here: str) -> Link:
    return {**holder, "href": urljoin(here, holder["href"])}
