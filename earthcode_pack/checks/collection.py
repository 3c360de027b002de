"""A Collection: what the PRR wants of it, and whether it is the union of its Items."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from earthcode_pack.checks import rules
from earthcode_pack.checks.documents import listed, mapping, mappings, roles
from earthcode_pack.checks.metadata import boxes, cube_findings, is_data, moment, parameter_findings
from earthcode_pack.checks.targets import by_name
from earthcode_pack.geo.box import Box, box_of, contains, is_union
from earthcode_pack.model import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.model import Finding

_DOI = re.compile(r"10\.[0-9a-zA-Z.]{4,}/\S+")
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
    yield from extent_findings(stac, subject)
    yield from parameter_findings(stac, subject)
    doi = stac.get("sci:doi")
    if doi is not None and not is_doi(doi):
        yield rules.DOI_FORM.finding(subject, f"{subject} has the sci:doi {doi!r}", doi)
    yield from _license(stac, subject)
    if not any(_is_documentation(link) for link in listed(stac.get("links"))):
        yield rules.DOCUMENTATION_LINK.finding(subject, f"{subject} has no link to its documentation")
    yield from _renders(stac, subject)
    for key, asset in document.assets().items():
        if is_data(asset) and by_name(str(asset.get("href", ""))) in {"zarr", "netcdf"}:
            yield from cube_findings(document, key, asset)


def _license(stac: dict[str, Any], subject: str) -> Iterator[Finding]:
    license_ = str(stac.get("license", ""))
    if not is_spdx(license_) or is_restricted(license_):
        yield rules.LICENSE.finding(subject, f"{subject} has the license {license_!r}", license_)
    if not any(link.get("rel") == "license" for link in listed(stac.get("links"))):
        yield rules.LICENSE_LINK.finding(subject, f"{subject} has no link to its licence")


def _is_documentation(link: dict[str, Any]) -> bool:
    return link.get("rel") in ("about", "describedby", "documentation") or link.get("title") == "Documentation"


def is_spdx(text: str) -> bool:
    """Whether a licence is an SPDX expression as SPDX spells it, or one of STAC's two words for none.

    >>> is_spdx("CC-BY-4.0"), is_spdx("cc-by-4.0"), is_spdx("other"), is_spdx("various")
    (True, False, False, True)
    """
    if text in {"proprietary", "various"}:
        return True
    try:
        return str(canonicalize_license_expression(text)) == text
    except InvalidLicenseExpression:
        return False


def is_doi(value: Any) -> bool:
    """Whether a DOI is written bare (DOI handbook, 2.2).

    >>> is_doi("10.5281/zenodo.1234567"), is_doi("https://doi.org/10.5281/zenodo.1234567")
    (True, False)
    """
    return isinstance(value, str) and _DOI.fullmatch(value) is not None


def is_restricted(text: str) -> bool:
    """Whether a licence forbids commercial use (NC) or derivatives (ND)."""
    return bool({"NC", "ND"} & set(text.split("-")))


def _renders(stac: dict[str, Any], subject: str) -> Iterator[Finding]:
    renders = mappings(stac.get("renders"))
    poor = [name for name, r in renders.items() if not {"rescale", "colormap", "colormap_name"} & r.keys()]
    if not renders:
        yield rules.METADATA_REC_07.finding(subject, f"{subject} has no renders")
    elif poor:
        message = f"the renders {', '.join(poor)} of {subject} have neither rescale nor colormap"
        yield rules.METADATA_REC_07.finding(subject, message, poor)


# --- with its Items


@dataclass(frozen=True)
class ItemFacts:
    """What a Collection is held against of one Item; ``data`` are the keys of its data assets."""

    subject: str
    collection: Any
    box: Box | None
    ends: tuple[datetime | None, datetime | None]
    keys: tuple[str, ...]
    data: frozenset[str]


def facts_of(item: Document) -> ItemFacts:
    """The facts of an Item, small enough to be kept of ten thousand."""
    assets = item.assets()
    return ItemFacts(
        subject=item.subject,
        collection=item.stac.get("collection"),
        box=box_of(item.stac.get("bbox")),
        ends=ends_of(item),
        keys=_shared(tuple(sorted(assets))),
        data=_shared_set(frozenset(key for key, asset in assets.items() if is_data(asset))),
    )


@lru_cache(maxsize=1000)
def _shared(keys: tuple[str, ...]) -> tuple[str, ...]:
    return keys


@lru_cache(maxsize=1000)
def _shared_set(keys: frozenset[str]) -> frozenset[str]:
    return keys


def union_findings(collection: Document, items: Sequence[Document | ItemFacts]) -> Iterator[Finding]:
    """A Collection against all its Items: extents, ids, asset keys."""
    facts = [item if isinstance(item, ItemFacts) else facts_of(item) for item in items]
    if not facts:
        return
    yield from _spatial(collection, facts)
    yield from _temporal(collection, facts)
    yield from _ids(collection, facts)
    yield from _asset_keys(collection, facts)


def held_findings(collection: Document, items: Sequence[ItemFacts]) -> Iterator[Finding]:
    """A Collection against some of its Items: its extent holds them, and they name it."""
    overall = box_of(next(iter(boxes(collection.stac)), None))
    out = [item for item in items if overall and item.box and not contains(overall, item.box)]
    for item in out[:1]:
        message = (
            f"the bbox of {collection.subject} does not hold {item.subject} ({len(out)} of {len(items)} looked at)"
        )
        yield rules.EXTENT_BBOX.finding(collection.subject, message, list(overall or ()), list(item.box or ()))
    yield from _ids(collection, items)


def _ids(collection: Document, items: Sequence[ItemFacts]) -> Iterator[Finding]:
    own = collection.stac.get("id")
    for item in items:
        if item.collection != own:
            message = f"{item.subject} names the collection {item.collection!r}, and that is {own!r}"
            yield rules.COLLECTION_ID.finding(item.subject, message, item.collection, own)


def _spatial(collection: Document, items: Sequence[ItemFacts]) -> Iterator[Finding]:
    overall, *more = [box_of(box) for box in boxes(collection.stac)] or [None]
    parts = [item.box for item in items if item.box is not None]
    if overall is None or not parts:
        return
    if not is_union(overall, parts):
        sides = [min(p[0] for p in parts), min(p[1] for p in parts), max(p[2] for p in parts), max(p[3] for p in parts)]
        message = (
            f"the bbox of {collection.subject}, {list(overall)}, is not the union of those of its {len(parts)} Items, "
            f"{sides}"
        )
        yield rules.EXTENT_BBOX.finding(collection.subject, message, list(overall), sides)
    clusters = [box for box in more if box is not None]
    lost = [item for item in items if clusters and item.box and not any(contains(c, item.box) for c in clusters)]
    if lost:
        message = f"no further bbox of {collection.subject} holds {lost[0].subject}, {list(lost[0].box or ())}"
        yield rules.EXTENT_PARTS.finding(collection.subject, message, [list(c) for c in clusters], len(lost))


def extent_findings(stac: dict[str, Any], subject: str) -> Iterator[Finding]:
    """The extent of a Collection by itself: further boxes lie in the first, and intervals run forward."""
    overall, *more = [box_of(box) for box in boxes(stac)] or [None]
    for box in more:
        if overall is not None and box is not None and not contains(overall, box):
            message = f"the first bbox of {subject}, {list(overall)}, does not hold the further one {list(box)}"
            yield rules.EXTENT_PARTS.finding(subject, message, list(box), list(overall))
    for start, end in intervals_of(stac):
        first, last = moment(start), moment(end)
        unreadable = [text for text, known in ((start, first), (end, last)) if text is not None and known is None]
        if unreadable or (first is not None and last is not None and last < first):
            message = f"the interval of {subject} is {start} to {end}"
            yield rules.INTERVAL.finding(subject, message, [start, end])


def intervals_of(stac: dict[str, Any]) -> list[tuple[Any, Any]]:
    """The intervals of a Collection that have two ends, as they are written."""
    intervals = mapping(mapping(stac.get("extent")).get("temporal")).get("interval")
    pairs = intervals if isinstance(intervals, list) else []
    return [(pair[0], pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2]  # noqa: PLR2004


def _temporal(collection: Document, items: Sequence[ItemFacts]) -> Iterator[Finding]:
    start, end = next(iter(intervals_of(collection.stac)), (None, None))
    if (start, end) == (None, None):
        return  # the schema says so
    if end is None:
        yield from _open(collection)
    starts = [item.ends[0] for item in items if item.ends[0] is not None]
    stops = [item.ends[1] for item in items if item.ends[1] is not None]
    if not starts or not stops:
        return
    if moment(start) != min(starts) or (end is not None and moment(end) != max(stops)):
        true = [rfc3339(min(starts)), rfc3339(max(stops))]
        message = (
            f"the interval of {collection.subject}, {start} to {end}, is not the union of those of its {len(items)} "
            f"Items, {true[0]} to {true[1]}"
        )
        yield rules.EXTENT_TIME.finding(collection.subject, message, [start, end], true)


def _open(collection: Document) -> Iterator[Finding]:
    status = collection.stac.get("osc:status")
    if status != "ongoing":
        message = f"the interval of {collection.subject} has no end, and its status is {status!r}"
        yield rules.EXTENT_OPEN.finding(collection.subject, message, status)


def ends_of(item: Document) -> tuple[datetime | None, datetime | None]:
    """Start and end of an Item; of an instant both are it, and None is what it does not state."""
    properties = item.properties()
    instant = moment(properties.get("datetime"))
    return moment(properties.get("start_datetime")) or instant, moment(properties.get("end_datetime")) or instant


def _asset_keys(collection: Document, items: Sequence[ItemFacts]) -> Iterator[Finding]:
    usual = Counter(item.keys for item in items).most_common(1)[0][0]
    for item in items:
        if item.keys != usual:
            message = f"{item.subject} has the assets {', '.join(item.keys)}, where most Items have {', '.join(usual)}"
            yield rules.STAC_REC_03.finding(item.subject, message, list(item.keys), list(usual))
    data = {key for item in items for key in item.data}
    undescribed = sorted(data - mappings(collection.stac.get("item_assets")).keys())
    if undescribed:
        message = f"item_assets of {collection.subject} does not describe {', '.join(undescribed)}"
        yield rules.ITEM_ASSETS.finding(collection.subject, message, undescribed)
