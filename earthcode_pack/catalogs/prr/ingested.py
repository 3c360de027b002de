"""What is ingested against what would be: the gateway has neither PUT nor PATCH, so a difference is for people."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from earthcode_pack.catalogs.prr import rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Finding

CLOCKS = frozenset({"created", "updated", "published", "processing:datetime"})  # they differ from run to run

Item = dict[str, Any]


def item_differences(posted: Item, ingested: Item) -> Iterator[Finding]:
    """How an Item of the catalogue differs from the one that would be posted under its id.

    Other files (name, ``file:size``, ``file:checksum``) are an error, other metadata a warning, a checksum that is not
    stated an info. Of what the catalogue adds by itself nothing is said.
    """
    yield from _asset_differences(posted, ingested)
    for field in ("geometry", "bbox"):
        if posted.get(field) != ingested.get(field):
            yield _metadata(posted, field, ingested.get(field), posted.get(field))
    theirs = ingested.get("properties") or {}
    for key, value in posted["properties"].items():
        if key not in CLOCKS and not _same(value, theirs.get(key)):
            yield _metadata(posted, key, theirs.get(key), value)


def _asset_differences(posted: Item, ingested: Item) -> Iterator[Finding]:
    ours, theirs = posted["assets"], ingested.get("assets") or {}
    for key in sorted(ours.keys() | theirs.keys()):
        if key not in theirs:
            yield _data(posted, f"the ingested Item has no asset {key!r}", None, ours[key]["href"])
        elif key not in ours:
            yield _data(posted, f"only the ingested Item has an asset {key!r}", theirs[key].get("href"), None)
        else:
            yield from _of_asset(posted, key, ours[key], theirs[key])


def _of_asset(item: Item, key: str, ours: Item, theirs: Item) -> Iterator[Finding]:
    remote = "://" in ours["href"]
    pairs = {
        "name": (_name(ours, remote), _name(theirs, remote)),
        "file:size": (ours.get("file:size"), theirs.get("file:size")),
        "file:checksum": (ours.get("file:checksum"), theirs.get("file:checksum")),
    }
    for field, (wanted, found) in pairs.items():
        if field == "file:checksum" and None in (wanted, found):
            yield _unstated(item, key)
        elif wanted != found:
            yield _data(item, f"the ingested asset {key!r} has another {field}", found, wanted)
    for field in sorted(ours.keys() - {"href", *pairs}):
        if not _same(ours[field], theirs.get(field)):
            yield _metadata(item, f"{key}: {field}", theirs.get(field), ours[field])


def _name(asset: Item, remote: bool) -> str:
    """The gateway keeps the base name of what it moves, and the whole href of what it leaves elsewhere."""
    href = str(asset.get("href"))
    return href if remote else PurePosixPath(href.partition("?")[0]).name


def _same(wanted: Any, found: Any) -> bool:
    return wanted == found or (_moment(wanted) is not None and _moment(wanted) == _moment(found))


def _moment(value: Any) -> datetime | None:
    """RFC 3339 has many ways to write one moment."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo is not None else None


def _data(item: Item, message: str, measured: Any, allowed: Any) -> Finding:
    return rules.INGESTED_DATA.finding(str(item["id"]), message, measured, allowed)


def _metadata(item: Item, field: str, measured: Any, allowed: Any) -> Finding:
    message = f"the Item is ingested with another {field}"
    return rules.INGESTED_METADATA.finding(str(item["id"]), message, measured, allowed)


def _unstated(item: Item, key: str) -> Finding:
    message = f"of the asset {key!r} no file:checksum is stated on both sides: its name and size were compared"
    return rules.INGESTED_UNSTATED.finding(str(item["id"]), message)
