"""Rows of the report's tables, gathered from the files of a bundle: each file is read once, long tables are cut.

``provenance.json`` is read leniently: a run that stopped early has left out a part, and the report shows the rest.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.geo.box import Box, box_of
from earthcode_pack.model import Failure, Finding, Level, Proof

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import ManifestEntry, Receipt
    from earthcode_pack.report.variables import VariableRow

ROWS = 200  # of a table
SHAPES = 2000  # different footprints on the map
SUBJECTS = 5  # of one message, and messages of one rule
_LEVELS = (Level.ERROR, Level.WARNING, Level.INFO)
_DIGEST = 64  # hexadecimal digits of a sha256, before which a multihash has 1220

Json = dict[str, Any]


# --- Items ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ItemRow:
    """One Item in the table."""

    id: str
    start: str | None
    end: str | None
    bbox: Sequence[float] | None
    assets: tuple[str, ...]
    size: int | None


@dataclass
class Items:
    """A summary of all Items, with the first rows and the different footprints."""

    count: int = 0
    rows: list[ItemRow] = field(default_factory=list)
    shapes: dict[str, Json] = field(default_factory=dict)
    boxes: dict[Box, None] = field(default_factory=dict)
    pictures: dict[str, tuple[str, str]] = field(default_factory=dict)  # Item and description by key in product/
    nowhere: int = 0  # without a geometry


def gather_items(bundle: Bundle, version: str) -> Items:
    """Reads the Items once; memory does not grow with their number beyond the limits of the tables."""
    items = Items()
    for item in bundle.items():
        items.count += 1
        if len(items.rows) < ROWS:
            items.rows.append(_item_row(item))
        geometry, box = item.get("geometry"), box_of(item.get("bbox"))
        if not geometry or box is None:
            items.nowhere += 1
        elif len(items.shapes) < SHAPES:
            items.shapes.setdefault(repr(geometry), geometry)
            items.boxes.setdefault(box)
        asset = item.get("assets", {}).get("thumbnail", {})
        if asset.get("href"):
            key = _key_of(str(asset["href"]), version)
            items.pictures.setdefault(key, (str(item.get("id")), asset.get("description") or ""))
    return items


def _item_row(item: Json) -> ItemRow:
    properties, assets = item.get("properties", {}), item.get("assets", {})
    moment = properties.get("datetime")
    sizes = [asset["file:size"] for asset in assets.values() if "file:size" in asset]
    return ItemRow(
        id=str(item.get("id")),
        start=properties.get("start_datetime") or moment,
        end=properties.get("end_datetime") or moment,
        bbox=item.get("bbox"),
        assets=tuple(assets),
        size=sum(sizes) if sizes else None,
    )


def _key_of(href: str, version: str) -> str:
    """Returns the key in ``product/`` of an Item's asset, by its href: relative or ``…/<id>/v<version>/<key>``.

    >>> _key_of("../previews/a.png", "1.0"), _key_of("https://x.org/p/v1.0/previews/a.png", "1.0")
    ('previews/a.png', 'previews/a.png')
    """
    if "://" in href:
        return href.partition(f"/v{version}/")[2]
    return posixpath.normpath(posixpath.join("items", href))


# --- equality ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """Differences of the written files from their sources."""

    files: int
    cells: int
    worst: float
    lossy: tuple[Json, ...]  # the files that differ, worst first
    changes: tuple[tuple[str, int], ...]  # what was added, changed or dropped, and in how many files
    engines: tuple[tuple[str, int], ...]  # what wrote the files, and how many of them
    proof: Proof  # of all files, by readers of other projects


def gather_comparison(artifacts: Iterable[Json]) -> Comparison:
    """Sums up the comparisons of all files."""
    changes, engines, lossy, proof = Counter[str](), Counter[str](), list[tuple[float, Json]](), Proof()
    files = cells = 0
    for artifact in artifacts:
        files += "compared" in artifact
        cells += int(artifact.get("compared", 0))
        changes.update(map(str, artifact.get("changes", ())))
        engines.update([str(artifact["engine"])] if artifact.get("engine") else [])
        if error := float(artifact.get("max_error", 0)):
            lossy.append((error, artifact))
        proof += Proof.model_validate(artifact["proof"]) if artifact.get("proof") else Proof()
    lossy.sort(key=lambda pair: pair[0], reverse=True)
    return Comparison(
        files=files,
        cells=cells,
        worst=max((error for error, _ in lossy), default=0.0),
        lossy=tuple(artifact for _, artifact in lossy),
        changes=tuple(changes.items()),
        engines=tuple(engines.items()),
        proof=proof,
    )


# --- files ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileRow:
    """A source, a file of the product, or a store of many files."""

    name: str  # href of a source, key of a file
    size: int
    sha256: str
    media_type: str = ""
    files: int = 1


def gather_files(manifest: Iterable[ManifestEntry]) -> list[FileRow]:
    """Lists the manifest, with the chunks of a Zarr store in one row."""
    rows: dict[str, FileRow] = {}
    for entry in manifest:
        head, store, _ = entry.key.partition(".zarr/")
        key = head + store
        before = rows.get(key)
        rows[key] = FileRow(
            name=key,
            media_type="application/vnd.zarr" if store else entry.media_type,
            size=entry.size + (before.size if before else 0),
            files=1 + (before.files if before else 0),
            sha256="" if store else entry.sha256,
        )
    return list(rows.values())


def published_count(manifest: Iterable[ManifestEntry], receipts: Iterable[Receipt]) -> int:
    """Counts the files of the manifest that are published with their bytes."""
    there = {(receipt.key, receipt.sha256[-_DIGEST:]) for receipt in receipts}
    return sum((entry.key, entry.sha256[-_DIGEST:]) in there for entry in manifest)


def gather_sources(provenance: Json) -> list[FileRow]:
    """Lists the sources that the run recorded, each once."""
    found = {str(source.get("href")): source for source in provenance.get("sources", ())}
    return [FileRow(href, int(source.get("size", 0)), str(source.get("sha256", ""))) for href, source in found.items()]


@dataclass(frozen=True)
class Sizes:
    """Bytes of the sources, of the arrays without compression, of the product's data and of the rest of it."""

    sources: int
    source: int
    decoded: int
    data_files: int
    data: int
    rest_files: int
    rest: int
    against_source: float | None  # compression, times
    against_arrays: float | None


def gather_sizes(
    sources: Sequence[FileRow], variables: Iterable[VariableRow], manifest: Sequence[ManifestEntry]
) -> Sizes:
    """Sums up sizes; those of the sources are 0 where the run has not recorded them."""
    data = [entry.size for entry in manifest if entry.key.startswith("data/")]
    rest = [entry.size for entry in manifest if not entry.key.startswith("data/")]
    source, decoded, written = sum(row.size for row in sources), sum(row.decoded for row in variables), sum(data)
    return Sizes(
        sources=len(sources),
        source=source,
        decoded=decoded,
        data_files=len(data),
        data=written,
        rest_files=len(rest),
        rest=sum(rest),
        against_source=source / written if source and written else None,
        against_arrays=decoded / written if decoded and written else None,
    )


# --- findings and failures --------------------------------------------------------------------------------------------


class Message(NamedTuple):
    """One message of a rule, with the first of the subjects that it is about and the number of the others."""

    message: str
    measured: Any
    allowed: Any
    subjects: tuple[str, ...]  # none where the message begins with the only one
    others: int


@dataclass(frozen=True)
class RuleRow:
    """All findings of one rule, level and remedy.

    Attributes:
        rule: id of the rule.
        level: its level.
        remedy: what to do.
        reason: the profile's, where it accepts the rule.
        count: number of findings.
        messages: the first messages.
        others: number of further messages.
        source: who asks for the rule, where readers know them.
        measures: what the rule looks at; empty for a rule that is not in the catalogue.

    """

    rule: str
    level: Level
    remedy: str
    reason: str | None
    count: int
    messages: list[Message]
    others: int
    source: str
    measures: str


def gather_findings(findings: Iterable[Finding], accepted: dict[str, str]) -> list[RuleRow]:
    """Groups findings by rule, and by message within a rule; errors come first, accepted rules last in their level.

    Args:
        findings: of all checks.
        accepted: the profile's reasons by rule.

    """
    from earthcode_pack.checks.rules import catalogue  # noqa: PLC0415 - the checks are heavy

    groups: dict[tuple[str, Level, str], dict[tuple[str, str, str], list[Finding]]] = {}
    for finding in findings:
        by_message = groups.setdefault((finding.rule, finding.level, finding.remedy), {})
        by_message.setdefault((finding.message, repr(finding.measured), repr(finding.allowed)), []).append(finding)
    known = {rule.id: rule for rule in catalogue()} if groups else {}
    rows = []
    for (rule, level, remedy), by_message in groups.items():
        messages = [_message(same) for same in islice(by_message.values(), SUBJECTS)]
        asked = known.get(rule)
        rows.append(
            RuleRow(
                rule,
                level,
                remedy,
                accepted.get(rule),
                count=sum(map(len, by_message.values())),
                messages=messages,
                others=len(by_message) - len(messages),
                source=asked.source if asked and not asked.source.startswith("contract") else "",
                measures=asked.measures if asked else "",
            )
        )
    return sorted(rows, key=lambda row: (_LEVELS.index(row.level), row.reason is not None))


def _message(same: Sequence[Finding]) -> Message:
    one = same[0]
    is_named = len(same) == 1 and one.message.startswith(one.subject)
    subjects = () if is_named else tuple(finding.subject for finding in same[:SUBJECTS])
    return Message(one.message, one.measured, one.allowed, subjects, max(len(same) - SUBJECTS, 0))


def gather_failures(provenance: Json, planned: Iterable[Failure]) -> list[Failure]:
    """Lists the sources that the plan and the run could not use, each once."""
    ran = (
        Failure(**{key: str(entry.get(key, "")) for key in Failure.model_fields})
        for entry in provenance.get("failed", ())
    )
    return list(dict.fromkeys([*planned, *ran]))
