"""A product's record against the Items that lie beside it: its extent holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import osc_rules as osc
from earthcode_pack.checks.collection import ends_of
from earthcode_pack.checks.metadata import boxes, moment
from earthcode_pack.checks.osc.records import first_interval
from earthcode_pack.geo.box import Box, box_of, contains, union

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.checks.osc.checkout import Checkout
    from earthcode_pack.model import Finding

_SECOND = timedelta(seconds=1)  # between an end at 23:59:59 and one at midnight


@dataclass
class Seen:
    """What is kept of the Items of a product: boxes, times and ids, not the documents."""

    parts: dict[str, Box] = field(default_factory=dict)
    times: dict[str, tuple[datetime | None, datetime | None]] = field(default_factory=dict)

    def add(self, key: str, item: Document) -> None:
        """Keeps the facts of one Item."""
        box = box_of(item.stac.get("bbox"))
        if box is not None:
            self.parts[key] = box
        self.times[key] = ends_of(item)


def item_findings(checkout: Checkout, key: str, stac: dict[str, Any], seen: Seen) -> Iterator[Finding]:
    """The record with this key against its Items."""
    yield from _boxes(key, stac, seen)
    yield from _period(key, stac, seen)
    entry = checkout.entry(key)
    for other in sorted(seen.times):
        if entry is not None and not entry.leads_to(other, "item"):
            yield osc.ITEM_UNLINKED.finding(other, f"{key} has no item link to {other}", other)


def _boxes(key: str, stac: dict[str, Any], seen: Seen) -> Iterator[Finding]:
    overall = box_of(next(iter(boxes(stac)), None))
    if overall is None:
        return
    out = [other for other, box in seen.parts.items() if not contains(overall, box)]
    if out:
        true = list(union(list(seen.parts.values())))
        message = f"the box of {key}, {list(overall)}, does not hold {_some(out, seen.parts)}; all Items: {true}"
        yield osc.ITEMS_EXTENT.finding(key, message, list(overall), true)


def _some(names: list[str], parts: dict[str, Box]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}, {list(parts[names[0]])}{more}"


def _period(key: str, stac: dict[str, Any], seen: Seen) -> Iterator[Finding]:
    start, end = (moment(text) for text in first_interval(stac) or (None, None))
    early = [other for other, (first, _) in seen.times.items() if start and first and first < start - _SECOND]
    late = [other for other, (_, last) in seen.times.items() if end and last and last > end + _SECOND]
    if early or late:
        other = (early or late)[0]
        first, last = ("open" if t is None else t.isoformat() for t in seen.times[other])
        message = f"the interval of {key}, {first_interval(stac)}, does not hold {other}, {first} to {last}"
        more = len({*early, *late}) - 1
        message += f", and {more} more" if more else ""
        yield osc.ITEMS_PERIOD.finding(key, message, first_interval(stac), [first, last])
