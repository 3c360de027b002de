"""One STAC object with the data behind it: in a product, in a folder of anybody's, or on the net."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from earthcode_pack.checks import rules
from earthcode_pack.checks.closed import scheme_findings
from earthcode_pack.checks.collection import collection_findings
from earthcode_pack.checks.extent_facts import extent_facts
from earthcode_pack.checks.facts import asset_facts, measure
from earthcode_pack.checks.files import answer_for, file_findings
from earthcode_pack.checks.formats import format_findings
from earthcode_pack.checks.metadata import has_classes, is_data, stac_findings
from earthcode_pack.checks.statistics import statistics_findings
from earthcode_pack.checks.targets import by_name, format_of
from earthcode_pack.errors import EarthcodePackError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.checks.measured import Measured
    from earthcode_pack.checks.remote import Probe
    from earthcode_pack.checks.schema import SchemaBook
    from earthcode_pack.checks.targets import Kind
    from earthcode_pack.model import Finding


def document_findings(
    document: Document,
    book: SchemaBook,
    *,
    alone: bool,
    deep: bool,
    seen: set[Path] | None = None,
    probe: Probe | None = None,
    opened: bool = True,
) -> Iterator[Finding]:
    """A Catalog, Collection or Item by itself, its files, and its data where they can be had.

    ``seen`` holds the data files whose format was checked already: a cube may be an asset of Item and Collection.
    Where not ``opened``, of the files only existence and size are looked at.
    """
    yield from book.findings(document.stac, document.subject)
    yield from stac_findings(document, alone=alone)
    yield from scheme_findings(document)
    if document.stac["type"] == "Collection":
        yield from collection_findings(document)
    yield from file_findings(document, deep=deep, probe=probe, opened=opened)
    if opened:
        yield from _data(document, set() if seen is None else seen, deep=deep)
    if probe is not None:
        yield from _remote_data(document, probe, deep=deep)


def _data(document: Document, seen: set[Path], *, deep: bool) -> Iterator[Finding]:
    measured: dict[Path, Measured] = {}
    for key, asset in document.assets().items():
        path = document.resolve(str(asset.get("href", ""))).path
        kind = format_of(path) if path is not None and is_data(asset) else None
        if path is None or kind is None:
            continue
        if path not in seen:
            seen.add(path)
            yield from format_findings(str(path), document.name(path), kind, classes=has_classes(asset), deep=deep)
        data = measure(path, kind)
        if data is not None:
            measured[path] = data
            yield from asset_facts(document, key, asset, kind, data)
        if deep:
            yield from statistics_findings(document, key, asset, kind, path)
    if document.stac["type"] == "Feature":
        yield from extent_facts(document, measured)


# --- on the net


def _remote_data(document: Document, probe: Probe, *, deep: bool) -> Iterator[Finding]:
    """The data assets that the probe found on the net, by their headers and a few blocks."""
    for key, asset in document.assets().items():
        url = document.resolve(str(asset.get("href", ""))).url
        kind = by_name(urlsplit(url).path) if url is not None and is_data(asset) else None
        if url is None or kind not in {"cog", "zarr", "netcdf"} or not probe.may_ask(url):
            continue
        if answer_for(url, probe).exists:
            yield from _remote_asset(document, key, asset, url, kind, deep=deep)


def _remote_asset(
    document: Document, key: str, asset: dict[str, Any], url: str, kind: Kind, *, deep: bool
) -> Iterator[Finding]:
    from earthcode_pack.storage.error_messages import shown  # noqa: PLC0415 - only for what is remote

    try:
        yield from format_findings(url, shown(url), kind, classes=has_classes(asset), deep=deep)
        data = measure(url, kind)
    except EarthcodePackError as error:
        message = f"the asset {key} of {document.subject} could not be opened: {error.message}"
        yield rules.HREF_UNREACHABLE.finding(document.subject, message, shown(url))
        return
    if data is not None:
        yield from asset_facts(document, key, asset, kind, data)
