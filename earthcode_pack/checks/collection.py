"""A Collection: what the PRR wants of it, and whether it is the union of its Items."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from earthcode_pack.checks import rules
from earthcode_pack.checks.boxes import box_of, is_union
from earthcode_pack.checks.documents import listed, mapping, mappings, roles
from earthcode_pack.checks.metadata import boxes, cube_findings, is_data, moment
from earthcode_pack.checks.targets import by_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.model import Finding

# PRR quality job, codes 32 to 46.
_PRR_FIELDS = ("title", "description", "extent", "license", "processing:datetime", "osc:project",
               "osc:project_description", "osc:project_website", "osc:initiative", "osc:contract-number", "themes",
               "osc:variables", "cf:parameter", "osc:missions")  # fmt: skip


def collection_findings(document: Document) -> Iterator[Finding]:
    """What a Collection breaks by itself."""
    stac, subject = document.stac, document.subject
    missing = [name for name in _PRR_FIELDS if stac.get(name) in (None, "", [], {})]
    if not any("thumbnail" in roles(asset) for asset in document.assets().values()):
        missing.append("thumbnail")
    if missing:
        yield rules.STAC_REC_02.finding(subject, f"{subject} has no {', '.join(missing)}", missing)
    yield from _license(stac, subject)
    yield from _renders(stac, subject)
    for key, asset in document.assets().items():
        if is_data(asset) and by_name(str(asset.get("href", ""))) in {"zarr", "netcdf"}:
            yield from cube_findings(document, key, asset)


def _license(stac: dict[str, Any], subject: str) -> Iterator[Finding]:
    license_ = str(stac.get("license", ""))
    poor = not _is_spdx(license_) or {"NC", "ND"} & set(license_.split("-"))
    if poor:
        yield rules.LICENSE.finding(subject, f"{subject} has the license {license_!r}", license_)
    if not any(link.get("rel") == "license" for link in listed(stac.get("links"))):
        yield rules.LICENSE_LINK.finding(subject, f"{subject} has no link to its licence")


def _is_spdx(text: str) -> bool:
    if text in {"proprietary", "various"}:
        return True
    try:
        return str(canonicalize_license_expression(text)) == text
    except InvalidLicenseExpression:
        return False


def _renders(stac: dict[str, Any], subject: str) -> Iterator[Finding]:
    renders = mappings(stac.get("renders"))
    poor = [name for name, r in renders.items() if not {"rescale", "colormap", "colormap_name"} & r.keys()]
    if not renders:
        yield rules.METADATA_REC_07.finding(subject, f"{subject} has no renders")
    elif poor:
        message = f"the renders {', '.join(poor)} of {subject} have neither rescale nor colormap"
        yield rules.METADATA_REC_07.finding(subject, message, poor)


# --- with its Items


def union_findings(collection: Document, items: Sequence[Document]) -> Iterator[Finding]:
    """A Collection against all its Items: extents, ids, asset keys."""
    if not items:
        return
    yield from _spatial(collection, items)
    yield from _temporal(collection, items)
    for item in items:
        if item.stac.get("collection") != collection.stac.get("id"):
            message = f"{item.subject} names the collection {item.stac.get('collection')!r}"
            yield rules.COLLECTION_ID.finding(
                item.subject, message, item.stac.get("collection"), collection.stac.get("id")
            )
    yield from _asset_keys(collection, items)


def _spatial(collection: Document, items: Sequence[Document]) -> Iterator[Finding]:
    overall = box_of(next(iter(boxes(collection.stac)), None))
    parts = [box for item in items if (box := box_of(item.stac.get("bbox"))) is not None]
    if overall is not None and parts and not is_union(overall, parts):
        message = f"the bbox of {collection.subject} is not the union of those of its {len(parts)} Items"
        sides = [min(p[0] for p in parts), min(p[1] for p in parts), max(p[2] for p in parts), max(p[3] for p in parts)]
        yield rules.EXTENT_BBOX.finding(collection.subject, message, list(overall), sides)


def _temporal(collection: Document, items: Sequence[Document]) -> Iterator[Finding]:
    intervals = mapping(mapping(collection.stac.get("extent")).get("temporal")).get("interval")
    try:
        start, end = intervals[0]  # type: ignore[index]
    except (TypeError, IndexError, ValueError):
        return  # the schema says so
    ends = [_ends(item) for item in items]
    starts, stops = [a for a, _ in ends if a is not None], [b for _, b in ends if b is not None]
    if end is None:
        yield from _open(collection)
    if not starts or not stops:
        return
    if moment(start) != min(starts) or (end is not None and moment(end) != max(stops)):
        message = f"the interval of {collection.subject} is not the union of those of its {len(items)} Items"
        true = [min(starts).isoformat(), max(stops).isoformat()]
        yield rules.EXTENT_TIME.finding(collection.subject, message, [start, end], true)


def _open(collection: Document) -> Iterator[Finding]:
    status = collection.stac.get("osc:status")
    if status != "ongoing":
        message = f"the interval of {collection.subject} has no end, and its status is {status!r}"
        yield rules.EXTENT_OPEN.finding(collection.subject, message, status)


def _ends(item: Document) -> tuple[datetime | None, datetime | None]:
    properties = item.properties()
    instant = moment(properties.get("datetime"))
    return moment(properties.get("start_datetime")) or instant, moment(properties.get("end_datetime")) or instant


def _asset_keys(collection: Document, items: Sequence[Document]) -> Iterator[Finding]:
    keys = {item.subject: tuple(sorted(item.assets())) for item in items}
    usual = Counter(keys.values()).most_common(1)[0][0]
    for subject, found in keys.items():
        if found != usual:
            message = f"{subject} has the assets {', '.join(found)}, where most Items have {', '.join(usual)}"
            yield rules.STAC_REC_03.finding(subject, message, list(found), list(usual))
    data = {key for item in items for key, asset in item.assets().items() if is_data(asset)}
    undescribed = sorted(data - mappings(collection.stac.get("item_assets")).keys())
    if undescribed:
        message = f"item_assets of {collection.subject} does not describe {', '.join(undescribed)}"
        yield rules.ITEM_ASSETS.finding(collection.subject, message, undescribed)
