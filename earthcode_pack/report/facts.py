"""What the report says, gathered from the files of a bundle: each file is read once, and what grows is capped.

``provenance.json`` is read leniently: a run that stopped early has left out a part, and the report says what is there.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.model import Proof
from earthcode_pack.report.text import lonlat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import ManifestEntry, Receipt
    from earthcode_pack.report.map import Box
    from earthcode_pack.report.variables import VariableRow

ROWS = 200  # of a table
SHAPES = 2000  # different footprints on the map

Json = dict[str, Any]


@dataclass(frozen=True)
class ItemRow:
    """One Item in the table."""

    id: str
    start: str | None
    end: str | None
    bbox: Sequence[float] | None
    assets: tuple[str, ...]
    size: int | None


class Thumbnail(NamedTuple):
    """Whose picture a file is, and what it shows."""

    item: str
    words: str | None


@dataclass
class Items:
    """Of all Items: how many, the first rows, the different footprints, and whose thumbnail a file is."""

    count: int = 0
    rows: list[ItemRow] = field(default_factory=list)
    shapes: dict[str, Json] = field(default_factory=dict)
    boxes: dict[Box, None] = field(default_factory=dict)
    thumbnails: dict[str, Thumbnail] = field(default_factory=dict)  # by key in product/
    nowhere: int = 0  # without a geometry


def gather_items(bundle: Bundle, version: str) -> Items:
    """Reads the Items once; memory does not grow with their number beyond the caps."""
    items = Items()
    for item in bundle.items():
        items.count += 1
        if len(items.rows) < ROWS:
            items.rows.append(_row(item))
        _place(items, item)
        _picture(items, item, version)
    return items


def _picture(items: Items, item: Json, version: str) -> None:
    asset = item.get("assets", {}).get("thumbnail", {})
    if asset.get("href"):
        shown = Thumbnail(str(item.get("id")), asset.get("description"))
        items.thumbnails.setdefault(key_of(str(asset["href"]), version), shown)


def _row(item: Json) -> ItemRow:
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


def _place(items: Items, item: Json) -> None:
    geometry, bbox = item.get("geometry"), item.get("bbox")
    if not geometry or not bbox:
        items.nowhere += 1
    elif len(items.shapes) < SHAPES:
        items.shapes.setdefault(repr(geometry), geometry)
        items.boxes.setdefault(lonlat(bbox))


def key_of(href: str, version: str) -> str:
    """The key in ``product/`` of an Item's asset, its href relative or ``<public_href>/<id>/v<version>/<key>``.

    >>> key_of("../previews/a.png", "1.0"), key_of("https://x.org/p/v1.0/previews/a.png", "1.0")
    ('previews/a.png', 'previews/a.png')
    """
    if "://" in href:
        return href.partition(f"/v{version}/")[2]
    return posixpath.normpath(posixpath.join("items", href))


@dataclass(frozen=True)
class Comparison:
    """How exactly the written files equal their sources."""

    files: int
    cells: int
    worst: float
    lossy: tuple[Json, ...]  # the files that differ, worst first
    changes: tuple[tuple[str, int], ...]  # what was added, changed or dropped, and in how many files
    engines: tuple[tuple[str, int], ...]  # what wrote the files, and how many of them
    proof: Proof  # of all files, by readers of other projects


def gather_comparison(artifacts: Iterable[Json]) -> Comparison:
    """Totals; the files themselves only where they differ."""
    changes, engines, lossy, proof = Counter[str](), Counter[str](), list[Json](), Proof()
    files = cells = 0
    for artifact in artifacts:
        files += "compared" in artifact
        cells += int(artifact.get("compared", 0))
        changes.update(map(str, artifact.get("changes", ())))
        engines.update([str(artifact["engine"])] if artifact.get("engine") else [])
        lossy += [artifact] if _error(artifact) else []
        proof += Proof.model_validate(artifact["proof"]) if artifact.get("proof") else Proof()
    lossy.sort(key=_error, reverse=True)
    return Comparison(
        files=files,
        cells=cells,
        worst=max(map(_error, lossy), default=0.0),
        lossy=tuple(lossy),
        changes=tuple(changes.items()),
        engines=tuple(engines.items()),
        proof=proof,
    )


def _error(artifact: Json) -> float:
    return float(artifact.get("max_error", 0))


@dataclass(frozen=True)
class FileRow:
    """A file of the product, or a store of many."""

    key: str
    media_type: str
    size: int
    files: int
    sha256: str


def gather_files(manifest: Iterable[ManifestEntry]) -> list[FileRow]:
    """The manifest, with the chunks of a Zarr store in one row."""
    rows: dict[str, FileRow] = {}
    for entry in manifest:
        head, store, _ = entry.key.partition(".zarr/")
        key = head + store
        before = rows.get(key)
        rows[key] = FileRow(
            key=key,
            media_type="application/vnd.zarr" if store else entry.media_type,
            size=entry.size + (before.size if before else 0),
            files=1 + (before.files if before else 0),
            sha256="" if store else entry.sha256,
        )
    return list(rows.values())


def published_count(manifest: Iterable[ManifestEntry], receipts: Iterable[Receipt]) -> int:
    """How many files of the manifest are published with their bytes."""
    there = {(receipt.key, _plain(receipt.sha256)) for receipt in receipts}
    return sum((entry.key, _plain(entry.sha256)) in there for entry in manifest)


def _plain(digest: str) -> str:
    """A sha256 without the multihash prefix ``1220``."""
    return digest[4:] if len(digest) == 68 else digest  # noqa: PLR2004


@dataclass(frozen=True)
class SourceRow:
    """An input file as the run found it."""

    href: str
    size: int
    sha256: str


def gather_sources(provenance: Json) -> list[SourceRow]:
    """As far as the run recorded them: ``sources``, a list of {href, size, sha256}; each once."""
    found = {str(source.get("href")): source for source in provenance.get("sources", ())}
    return [
        SourceRow(href, int(source.get("size", 0)), str(source.get("sha256", ""))) for href, source in found.items()
    ]


@dataclass(frozen=True)
class Sizes:
    """Bytes: of the sources, of the arrays without compression, of the product's data and of the rest of it."""

    sources: int
    source: int
    decoded: int
    data_files: int
    data: int
    rest_files: int
    rest: int

    @property
    def against_source(self) -> float | None:
        """How many times smaller the data are than the sources."""
        return self.source / self.data if self.source and self.data else None

    @property
    def against_arrays(self) -> float | None:
        """How many times smaller the data are than their arrays."""
        return self.decoded / self.data if self.decoded and self.data else None


def gather_sizes(
    sources: Sequence[SourceRow], variables: Iterable[VariableRow], manifest: Sequence[ManifestEntry]
) -> Sizes:
    """Of the sources as far as the run recorded them."""
    data = [entry.size for entry in manifest if entry.key.startswith("data/")]
    rest = [entry.size for entry in manifest if not entry.key.startswith("data/")]
    return Sizes(
        sources=len(sources),
        source=sum(source.size for source in sources),
        decoded=sum(row.decoded for row in variables),
        data_files=len(data),
        data=sum(data),
        rest_files=len(rest),
        rest=sum(rest),
    )
