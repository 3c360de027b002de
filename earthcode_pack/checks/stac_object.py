"""Checks of a STAC object with the files and data behind it: in a product, in any folder, or at a URL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from earthcode_pack.checks import rules
from earthcode_pack.checks.collection import (
    ItemFacts,
    collection_findings,
    extent_findings,
    facts_of,
    held_findings,
    union_findings,
)
from earthcode_pack.checks.documents import Document, ProductFolder, is_data, is_record, is_stac, listed, read_stac
from earthcode_pack.checks.facts import asset_facts, extent_facts, measure
from earthcode_pack.checks.files import file_findings
from earthcode_pack.checks.metadata import has_classes, scheme_findings, stac_findings
from earthcode_pack.checks.osc import kind_of_record, single_record_findings
from earthcode_pack.checks.remote import Probe, probe_for
from earthcode_pack.checks.statistics import statistics_findings
from earthcode_pack.checks.targets import by_name, format_findings, format_of, is_file
from earthcode_pack.errors import EarthcodePackError
from earthcode_pack.storage.error_messages import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.checks.measured import Measured
    from earthcode_pack.checks.schema import SchemaValidator
    from earthcode_pack.model import Finding

_SAMPLE = 5  # Items of a remote Collection that are read, unless the check is deep
_UP = 3  # folders above a STAC file in which its product may begin
_MARKS = ("collection.json", "catalog.json", "manifest.json")


def document_findings(
    document: Document,
    validator: SchemaValidator,
    *,
    alone: bool,
    deep: bool,
    seen: set[Path] | None = None,
    probe: Probe | None = None,
    opened: bool = True,
) -> Iterator[Finding]:
    """Checks a Catalog, Collection or Item, its files, and its data.

    Args:
        document: The object.
        validator: Validates against the schemas.
        alone: Whether no data stand behind its boxes.
        deep: Reads all data instead of headers and samples.
        seen: Data files whose format was checked before, to which this adds: a cube may be an asset of two objects.
        probe: Asks for remote files; without it nothing remote is asked for.
        opened: False for an Item outside the sample, of whose files only existence and size are checked.

    Yields:
        The findings.

    """
    yield from validator.findings(document.stac, document.subject)
    yield from stac_findings(document, alone=alone)
    yield from scheme_findings(document)
    if document.stac["type"] == "Collection":
        yield from collection_findings(document)
    yield from file_findings(document, deep=deep, probe=probe, opened=opened)
    if opened:
        yield from _data_findings(document, set() if seen is None else seen, deep=deep)
    if probe is not None:
        yield from _remote_data_findings(document, probe, deep=deep)


def _data_findings(document: Document, seen: set[Path], *, deep: bool) -> Iterator[Finding]:
    """Checks the format of local data assets, and the metadata against them."""
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


def _remote_data_findings(document: Document, probe: Probe, *, deep: bool) -> Iterator[Finding]:
    """Checks the remote data assets that the probe found, by their headers and a few blocks."""
    for key, asset in document.assets().items():
        url = document.resolve(str(asset.get("href", ""))).url
        kind = by_name(urlsplit(url).path) if url is not None and is_data(asset) else None
        if url is None or kind is None or kind == "stac":
            continue
        if not (probe.may_ask(url) and probe.ask_for_asset(url).exists):
            continue
        try:
            yield from format_findings(url, shown(url), kind, classes=has_classes(asset), deep=deep)
            data = measure(url, kind)
        except EarthcodePackError as error:
            message = f"the asset {key} of {document.subject} could not be opened: {error.message}"
            yield rules.HREF_UNREACHABLE.finding(document.subject, message, shown(url))
            continue
        if data is not None:
            yield from asset_facts(document, key, asset, kind, data)


# --- a STAC file by itself


def stac_file_findings(name: str, subject: str, validator: SchemaValidator, *, deep: bool) -> Iterator[Finding]:
    """Checks a Catalog, Collection, Item or record of the Open Science Catalog.

    Args:
        name: Path or URL of the file.
        subject: Its name in findings.
        validator: Validates against the schemas.
        deep: Reads all data, and all Items of a remote Collection.

    Yields:
        The findings.

    Raises:
        UserError: If the file is not STAC.
        OutsideError: If the server does not answer.

    """
    stac = read_stac(name, or_record=True)
    if "://" in name:
        document = Document(stac, subject, None, url=name)
    else:
        folder = Path(name).resolve().parent
        document = Document(stac, subject, folder, ProductFolder(_root(folder), whole=False))
    probe = probe_for(document.url, deep=deep)
    kind = kind_of_record(stac)
    if kind is None and not is_record(stac):
        yield from document_findings(document, validator, alone=True, deep=deep, probe=probe)
        if stac["type"] == "Collection":
            yield from _item_findings(document, validator, probe, deep=deep)
        return
    # a record of the Open Science Catalog outside a checkout: the records that it names are not looked up
    if is_stac(stac):
        yield from validator.findings(stac, subject)
        yield from stac_findings(document, record=True)
        yield from extent_findings(stac, subject)
    yield from file_findings(document, deep=deep, probe=probe)
    if kind is not None:
        yield from single_record_findings(document, kind)


def _root(folder: Path) -> Path:
    """Returns the folder of the product of a STAC file: the outermost that holds STAC, else the parent of the file's.

    Nothing outside it is opened, whatever an href says.
    """
    above = [folder, *folder.parents][: _UP + 1]
    marked = [folder for folder in above if any((folder / mark).is_file() for mark in _MARKS)]
    return marked[-1] if marked else above[min(1, len(above) - 1)]


def _item_findings(
    collection: Document, validator: SchemaValidator, probe: Probe | None, *, deep: bool
) -> Iterator[Finding]:
    """Compares a Collection with the Items that it links; checks remote Items too, by default a sample of them."""
    links = [link for link in listed(collection.stac.get("links")) if link.get("rel") == "item"]
    hrefs = list(dict.fromkeys(str(link.get("href", "")) for link in links))
    chosen = hrefs if deep or collection.url is None else _sample(hrefs)
    kept: list[ItemFacts] = []
    for href in chosen:
        source = _item_source(collection, href, probe)
        if source is None:
            continue
        remote = "://" in source
        name = shown(source) if remote else collection.name(Path(source))
        try:
            stac = read_stac(source)
        except EarthcodePackError as error:
            yield rules.JSON_FORM.finding(name, error.message)
            continue
        folder, url = (None, source) if remote else (Path(source).parent, None)
        item = Document(stac, name, folder, collection.product, url=url)
        kept.append(facts_of(item))
        if remote:
            yield from document_findings(item, validator, alone=False, deep=deep, probe=probe)
    if len(kept) == len(hrefs):
        yield from union_findings(collection, kept)
    else:
        yield from held_findings(collection, kept)


def _item_source(collection: Document, href: str, probe: Probe | None) -> str | None:
    """Returns path or URL of an Item; None if it is not there, which the check of links reports."""
    target = collection.resolve(href)
    if collection.url is None:
        return str(target.path) if target.path is not None and is_file(target.path) else None
    if target.url is None or probe is None or not probe.may_ask(target.url):
        return None
    return target.url if probe.ask(target.url).exists else None


def _sample(hrefs: list[str]) -> list[str]:
    """Returns the first, the last, and some hrefs between.

    >>> _sample(list("abcdefghi"))
    ['a', 'c', 'e', 'g', 'i']
    """
    if len(hrefs) <= _SAMPLE:
        return hrefs
    return [hrefs[round(i * (len(hrefs) - 1) / (_SAMPLE - 1))] for i in range(_SAMPLE)]
