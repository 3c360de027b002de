"""STAC Collections: fields that the PRR asks for, and agreement with the Items."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from earthcode_pack.checks import rules
from earthcode_pack.checks.documents import is_data, listed, mapping, mappings, roles
from earthcode_pack.checks.metadata import boxes, cube_findings, moment, parameter_findings
from earthcode_pack.checks.targets import by_name
from earthcode_pack.geo.box import Box, box_of, contains, is_union
from earthcode_pack.model import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.model import Finding

_DOCUMENTATION = ("about", "describedby", "documentation")
_DOI = re.compile(r"10\.[0-9a-zA-Z.]{4,}/\S+")
# PRR quality job, codes 32 to 46
_PRR_FIELDS = ("title", "description", "extent", "license", "processing:datetime", "osc:project",
               "osc:project_description", "osc:project_website", "osc:initiative", "osc:contract-number", "themes",
               "osc:variables", "cf:parameter", "osc:missions")  # fmt: skip


def collection_findings(document: Document) -> Iterator[Finding]:
    """Checks a Collection by itself.

    Args:
        document: The Collection.

    Yields:
        The findings.

    """
    stac, subject, links = document.stac, document.subject, listed(document.stac.get("links"))
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
    license_ = str(stac.get("license", ""))
    if not is_spdx(license_) or is_restricted(license_):
        yield rules.LICENSE.finding(subject, f"{subject} has the license {license_!r}", license_)
    if not any(link.get("rel") == "license" for link in links):
        yield rules.LICENSE_LINK.finding(subject, f"{subject} has no link to its licence")
    if not any(link.get("rel") in _DOCUMENTATION or link.get("title") == "Documentation" for link in links):
        yield rules.DOCUMENTATION_LINK.finding(subject, f"{subject} has no link to its documentation")
    renders = mappings(stac.get("renders"))
    poor = [name for name, r in renders.items() if not {"rescale", "colormap", "colormap_name"} & r.keys()]
    if poor or not renders:
        lacking = f"the renders {', '.join(poor)} of {subject} have neither rescale nor colormap"
        yield rules.METADATA_REC_07.finding(subject, lacking if poor else f"{subject} has no renders", poor or None)
    for key, asset in document.assets().items():
        if is_data(asset) and by_name(str(asset.get("href", ""))) in {"zarr", "netcdf"}:
            yield from cube_findings(document, key, asset)


def is_spdx(text: str) -> bool:
    """Tells whether a licence is an SPDX expression in SPDX's spelling, or one of STAC's two words for none.

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
    """Tells whether a DOI is bare, without a resolver's URL (DOI handbook, 2.2).

    >>> is_doi("10.5281/zenodo.1234567"), is_doi("https://doi.org/10.5281/zenodo.1234567")
    (True, False)
    """
    return isinstance(value, str) and _DOI.fullmatch(value) is not None


def is_restricted(text: str) -> bool:
    """Tells whether a licence forbids commercial use (NC) or derivatives (ND)."""
    return bool({"NC", "ND"} & set(text.split("-")))


def extent_findings(stac: dict[str, Any], subject: str) -> Iterator[Finding]:
    """Checks the extent of a Collection: the first box holds the others, and intervals run forward.

    Args:
        stac: The Collection.
        subject: Its name in findings.

    Yields:
        The findings.

    """
    overall, *more = [box_of(box) for box in boxes(stac)] or [None]
    for box in more:
        if overall is not None and box is not None and not contains(overall, box):
            message = f"the first bbox of {subject}, {list(overall)}, does not hold the further one {list(box)}"
            yield rules.EXTENT_PARTS.finding(subject, message, list(box), list(overall))
    for start, end in _intervals(stac):
        first, last = moment(start), moment(end)
        unreadable = [text for text, known in ((start, first), (end, last)) if text is not None and known is None]
        if unreadable or (first is not None and last is not None and last < first):
            message = f"the interval of {subject} is {start} to {end}"
            yield rules.INTERVAL.finding(subject, message, [start, end])


def _intervals(stac: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Returns the intervals of a Collection that have two ends, as they are written."""
    intervals = mapping(mapping(stac.get("extent")).get("temporal")).get("interval")
    pairs = intervals if isinstance(intervals, list) else []
    return [(pair[0], pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2]  # noqa: PLR2004


# --- with its Items


@dataclass(frozen=True)
class ItemFacts:
    """Facts of an Item with which its Collection is compared.

    ``ends`` are start and end, the same for an instant, and None for what it does not state; ``keys`` are those of its
    assets, ``data`` those of its data assets.
    """

    subject: str
    collection: Any
    box: Box | None
    ends: tuple[datetime | None, datetime | None]
    keys: tuple[str, ...]
    data: tuple[str, ...]


def facts_of(item: Document) -> ItemFacts:
    """Returns the facts of an Item, small enough to be kept of ten thousand."""
    assets, properties = item.assets(), item.properties()
    start, instant, end = (moment(properties.get(key)) for key in ("start_datetime", "datetime", "end_datetime"))
    return ItemFacts(
        subject=item.subject,
        collection=item.stac.get("collection"),
        box=box_of(item.stac.get("bbox")),
        ends=(start or instant, end or instant),
        keys=_shared(tuple(sorted(assets))),
        data=_shared(tuple(key for key, asset in assets.items() if is_data(asset))),
    )


@lru_cache(maxsize=1000)
def _shared(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the same object for equal keys, which most Items have."""
    return keys


def union_findings(collection: Document, items: Sequence[Document | ItemFacts]) -> Iterator[Finding]:
    """Compares a Collection with all its Items: extents, ids, asset keys.

    Args:
        collection: The Collection.
        items: Its Items, or the facts of them.

    Yields:
        The findings.

    """
    facts = [item if isinstance(item, ItemFacts) else facts_of(item) for item in items]
    if facts:
        yield from _box_findings(collection, facts)
        yield from _period_findings(collection, facts)
        yield from _id_findings(collection, facts)
        yield from _asset_key_findings(collection, facts)


def held_findings(collection: Document, items: Sequence[ItemFacts]) -> Iterator[Finding]:
    """Compares a Collection with some of its Items: its extent holds them, and they name it.

    Args:
        collection: The Collection.
        items: Facts of some of its Items.

    Yields:
        The findings.

    """
    overall = box_of(next(iter(boxes(collection.stac)), None))
    out = [item for item in items if overall and item.box and not contains(overall, item.box)]
    if out:
        first, count = out[0], f"{len(out)} of {len(items)} looked at"
        message = f"the bbox of {collection.subject} does not hold {first.subject} ({count})"
        yield rules.EXTENT_BBOX.finding(collection.subject, message, list(overall or ()), list(first.box or ()))
    yield from _id_findings(collection, items)


def _id_findings(collection: Document, items: Sequence[ItemFacts]) -> Iterator[Finding]:
    own = collection.stac.get("id")
    for item in items:
        if item.collection != own:
            message = f"{item.subject} names the collection {item.collection!r}, and that is {own!r}"
            yield rules.COLLECTION_ID.finding(item.subject, message, item.collection, own)


def _box_findings(collection: Document, items: Sequence[ItemFacts]) -> Iterator[Finding]:
    """Checks that the first box is the union of those of the Items, and that the others together hold them."""
    subject = collection.subject
    overall, *more = [box_of(box) for box in boxes(collection.stac)] or [None]
    parts = [item.box for item in items if item.box is not None]
    if overall is None or not parts:
        return
    if not is_union(overall, parts):
        sides = [min(p[0] for p in parts), min(p[1] for p in parts), max(p[2] for p in parts), max(p[3] for p in parts)]
        message = (
            f"the bbox of {subject}, {list(overall)}, is not the union of those of its {len(parts)} Items, {sides}"
        )
        yield rules.EXTENT_BBOX.finding(subject, message, list(overall), sides)
    clusters = [box for box in more if box is not None]
    lost = [item for item in items if clusters and item.box and not any(contains(c, item.box) for c in clusters)]
    if lost:
        message = f"no further bbox of {subject} holds {lost[0].subject}, {list(lost[0].box or ())}"
        yield rules.EXTENT_PARTS.finding(subject, message, [list(c) for c in clusters], len(lost))


def _period_findings(collection: Document, items: Sequence[ItemFacts]) -> Iterator[Finding]:
    """Checks that the first interval is the union of those of the Items, and open only while the product grows."""
    subject, status = collection.subject, collection.stac.get("osc:status")
    start, end = next(iter(_intervals(collection.stac)), (None, None))
    if (start, end) == (None, None):
        return  # the schema says so
    if end is None and status != "ongoing":
        message = f"the interval of {subject} has no end, and its status is {status!r}"
        yield rules.EXTENT_OPEN.finding(subject, message, status)
    starts = [item.ends[0] for item in items if item.ends[0] is not None]
    stops = [item.ends[1] for item in items if item.ends[1] is not None]
    if not starts or not stops:
        return
    if moment(start) != min(starts) or (end is not None and moment(end) != max(stops)):
        true = [rfc3339(min(starts)), rfc3339(max(stops))]
        message = (
            f"the interval of {subject}, {start} to {end}, is not the union of those of its {len(items)} Items, "
            f"{true[0]} to {true[1]}"
        )
        yield rules.EXTENT_TIME.finding(subject, message, [start, end], true)


def _asset_key_findings(collection: Document, items: Sequence[ItemFacts]) -> Iterator[Finding]:
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
