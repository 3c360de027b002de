"""The rules that the PRR's registration gateway enforces on an Item (github EOEPCA/reg-api, server and client)."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from earthcode_pack.catalogs.prr import rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Finding, JsonValue
    from earthcode_pack.rule import Rule

_EXTENSIONS = ("/authentication/", "/storage/", "/alternate-assets/")
_STORE_FIELDS = ("auth:", "storage:")

Record = dict[str, Any]


def is_closed(stac: Record) -> bool:
    """Tells if an Item or Collection says how readers with credentials get into its store."""
    return any(part in url for url in stac.get("stac_extensions", ()) for part in _EXTENSIONS[:2])


def without_store_access(stac: Record) -> Record:
    """Removes authentication schemes, references to them, and alternates at another store from an Item or Collection.

    At the PRR the hrefs are those of its archive, and how that lets readers in is the PRR's to say; its operator learns
    of access restrictions by the letter.
    """
    if not is_closed(stac):
        return stac
    kept = [url for url in stac["stac_extensions"] if not any(part in url for part in _EXTENSIONS)]
    holders: Record = {
        name: {key: _plain(holder) for key, holder in stac[name].items()}
        for name in ("assets", "item_assets")
        if name in stac
    }
    own = {"properties": _plain(stac["properties"])} if "properties" in stac else {}
    links = [_plain(link) for link in stac.get("links", ())]
    return {**_plain(stac), **own, **holders, "stac_extensions": kept, "links": links}


def _plain(fields: Record) -> Record:
    return {key: value for key, value in fields.items() if not key.startswith(_STORE_FIELDS) and key != "alternate"}


_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_FIELDS: dict[str, type] = {"href": str, "type": str, "roles": list, "file:size": int}
_MULTIHASH = re.compile(r"1220[0-9a-f]{64}")
_NOT_RECOMMENDED = re.compile(r"netcdf|x-hdf|zarr; *version=3")
_STRUCTURE = {"root", "parent", "collection", "self", "items", "item"}

Item = dict[str, Any]


def gateway_item(item: Item, collection: str, public: str | None = None) -> Item:
    """Rewrites an Item as the gateway takes it: the PRR's Collection, the file extension, relative hrefs.

    Args:
        item: an Item of the bundle.
        collection: id of the PRR's Collection.
        public: href of the published product's folder; what lies elsewhere keeps its absolute href, and the gateway
            does not move it.

    Returns:
        The Item, with hrefs ``<item id>/<file name>`` and an interval as its time.

    """
    item = without_store_access(item)
    extensions = list(dict.fromkeys([*item.get("stac_extensions", ()), rules.FILE_SCHEMA]))
    kept = [link for link in item.get("links", ()) if link.get("rel") not in _STRUCTURE and "://" in link["href"]]
    assets = {key: {**asset, "href": _staged(item, asset["href"], public)} for key, asset in item["assets"].items()}
    links = [{"rel": rel, "href": "../collection.json", "type": "application/json"} for rel in ("root", "collection")]
    changed = {"stac_extensions": extensions, "collection": collection, "links": [*links, *kept], "assets": assets}
    properties = item["properties"]
    instant = properties.get("datetime")
    ends = {key: properties.get(key) or instant for key in ("start_datetime", "end_datetime")}
    timed = {**properties, "datetime": instant or ends["start_datetime"], **ends}
    return {**item, **changed, "properties": timed}


def _staged(item: Item, href: str, public: str | None) -> str:
    own = "://" not in href or (public is not None and href.startswith(f"{public}/"))
    return f"{item['id']}/{PurePosixPath(href).name}" if own else href


def product_key(item: Item, href: str, public: str | None = None) -> str:
    """Returns the key of an asset below ``product/``; an absolute href elsewhere as it is."""
    if public is not None and href.startswith(f"{public}/"):
        return href.removeprefix(f"{public}/")
    return href if "://" in href else urljoin(f"/items/{item['id']}.json", href).lstrip("/")


def gateway_findings(item: Item, collection: str | None = None) -> list[Finding]:
    """Finds what the gateway would refuse of an Item (422), as errors, and what it would leave undone, as warnings.

    Files and their sizes are not looked at.

    Args:
        item: an Item in the gateway's form.
        collection: the one in the gateway's URL, where it is known.

    """
    assets: dict[str, Any] = item["assets"] if isinstance(item.get("assets"), dict) else {}
    return [
        *_item_findings(item, collection),
        *_time_findings(item),
        *_name_findings(item, assets),
        *(found for key, asset in assets.items() for found in _asset_findings(item, key, asset)),
    ]


def format_findings(item: Item) -> Iterator[Finding]:
    """Yields data in formats that the PRR's quality job takes and does not recommend (its code 102)."""
    for key, asset in item["assets"].items():
        kind = str(asset.get("type", "")).lower()
        if "data" in (asset.get("roles") or ()) and _NOT_RECOMMENDED.search(kind):
            message = f"the asset {key!r} is {kind}, which the PRR takes and does not recommend"
            yield about(rules.NOT_RECOMMENDED, item, message)


def about(rule: Rule, item: Item, message: str, measured: JsonValue = None, allowed: JsonValue = None) -> Finding:
    """Makes the finding that an Item breaks a rule."""
    return rule.finding(str(item.get("id")), message, measured, allowed)


def _item_findings(item: Item, collection: str | None) -> Iterator[Finding]:
    name = item.get("id")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield about(rules.ID, item, f"the id {name!r} has other characters", name)
    listed = item.get("stac_extensions")
    if not isinstance(listed, list) or rules.FILE_SCHEMA not in listed:
        yield about(rules.FILE_EXTENSION, item, "the file extension is not listed")
    own = item.get("collection", collection)  # null is not the one in the URL
    if collection is not None and own != collection:
        message = f"the Item belongs to {own!r}, the gateway is asked for {collection!r}"
        yield about(rules.COLLECTION, item, message, own, collection)


def _time_findings(item: Item) -> Iterator[Finding]:
    """Yields times that are absent or not ISO 8601; ``datetime`` may be null."""
    properties = item.get("properties") or {}
    for key in ("start_datetime", "end_datetime", "datetime"):
        value = properties.get(key)
        if value is None and key != "datetime":
            yield about(rules.TIME, item, f"{key} is missing")
        if value is not None and not _is_iso(value):
            yield about(rules.TIME, item, f"{key} {value!r} is not ISO 8601", value)


def _is_iso(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _name_findings(item: Item, assets: dict[str, Any]) -> Iterator[Finding]:
    """Yields absent roles, and file names: folders in an href are dropped, so each name must be right and unique."""
    objects = [asset for asset in assets.values() if isinstance(asset, dict)]
    if not {"data", "documentation"} & {role for asset in objects for role in asset.get("roles") or ()}:
        yield about(rules.DATA_ROLE, item, "no asset has the role data or documentation")
    hrefs = [asset.get("href") for asset in objects]
    moved = [PurePosixPath(href).name for href in hrefs if isinstance(href, str) and "://" not in href]
    for name, count in Counter(moved).items():
        if not _NAME.fullmatch(name):
            yield about(rules.NAME, item, f"the file name {name!r} has other characters")
        if count > 1:
            message = f"{count} assets are named {name!r}: the gateway drops the folders"
            yield about(rules.NAME_UNIQUE, item, message, count, 1)
    for name, other in pairwise(sorted(set(moved))):
        if name and other.startswith(name):  # a.tif.xml: the gateway takes it for a part of a.tif, and leaves it behind
            message = f"the file name {other!r} begins with {name!r}: the gateway would archive the shorter one alone"
            yield about(rules.NAME_UNIQUE, item, message, other)


def _asset_findings(item: Item, key: str, asset: Any) -> Iterator[Finding]:
    if not isinstance(asset, dict):
        yield about(rules.ASSET, item, f"the asset {key!r} is not an object")
        return
    for field, kind in _FIELDS.items():
        value = asset.get(field)
        if not isinstance(value, kind) or isinstance(value, bool):
            yield about(rules.ASSET, item, f"the asset {key!r} has no {field} of type {kind.__name__}", value)
    href = asset.get("href")
    if isinstance(href, str) and "://" in href:
        message = f"the asset {key!r} is remote: the gateway keeps {href} and does not archive it"
        yield about(rules.REMOTE, item, message)
    elif isinstance(href, str) and (href.startswith("/") or ".." in PurePosixPath(href).parts):
        message = f"the href {href} of the asset {key!r} is not relative to the stage-in bucket's root"
        yield about(rules.HREF, item, message, href)
    checksum = asset.get("file:checksum")
    if checksum is not None and not (isinstance(checksum, str) and _MULTIHASH.fullmatch(checksum)):
        message = f"the asset {key!r} has a file:checksum that is no sha256 multihash in lower-case hex"
        yield about(rules.CHECKSUM, item, message, checksum)
