"""A STAC file by itself, local or on the net: it, the data behind it, and a Collection's Items."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.collection import ItemFacts, extent_findings, facts_of, held_findings, union_findings
from earthcode_pack.checks.documents import (
    Document,
    Place,
    is_file,
    is_record,
    is_stac,
    listed,
    read_stac,
    read_stac_or_record,
)
from earthcode_pack.checks.files import file_findings
from earthcode_pack.checks.metadata import stac_findings
from earthcode_pack.checks.osc import kind_of_record, stray_record_findings
from earthcode_pack.checks.remote import Probe, probe_for
from earthcode_pack.checks.single import document_findings
from earthcode_pack.errors import EarthcodePackError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.checks.schema import SchemaBook
    from earthcode_pack.model import Finding

_SAMPLE = 5  # Items of a remote Collection that are read, unless all are asked for
_UP = 3  # folders above a STAC file in which its product may begin
_MARKS = ("collection.json", "catalog.json", "manifest.json")


def stac_file_findings(name: str, subject: str, book: SchemaBook, *, deep: bool) -> Iterator[Finding]:
    """What a Catalog, Collection, Item or record of the Open Science Catalog breaks, by its path or URL."""
    url = name if "://" in name else None
    document = _document(read_stac_or_record(name), subject, name)
    probe = probe_for(url, deep=deep)
    kind = kind_of_record(document.stac)
    if kind is not None or is_record(document.stac):
        yield from _record(document, kind, book, probe, deep=deep)
        return
    yield from document_findings(document, book, alone=True, deep=deep, probe=probe)
    if document.stac["type"] == "Collection":
        yield from _with_items(document, book, probe, deep=deep)


def _document(stac: dict[str, Any], subject: str, name: str) -> Document:
    if "://" in name:
        return Document(stac, subject, None, url=name)
    folder = Path(name).resolve().parent
    return Document(stac, subject, folder, Place(_root(folder), whole=False))


def _root(folder: Path) -> Path:
    """Where the product of a STAC file begins: the outermost folder that holds STAC, else the one above the file's.

    Nothing beyond it is opened, whatever an href says.
    """
    above = [folder, *folder.parents][: _UP + 1]
    marked = [place for place in above if any((place / mark).is_file() for mark in _MARKS)]
    return marked[-1] if marked else above[min(1, len(above) - 1)]


def _record(
    document: Document, kind: str | None, book: SchemaBook, probe: Probe | None, *, deep: bool
) -> Iterator[Finding]:
    """A record of the Open Science Catalog that lies in no checkout: what it says of others is not looked up."""
    if is_stac(document.stac):
        yield from book.findings(document.stac, document.subject)
        yield from stac_findings(document, record=True)
        yield from extent_findings(document.stac, document.subject)
    yield from file_findings(document, deep=deep, probe=probe)
    if kind is not None:
        yield from stray_record_findings(document, kind)


# --- a Collection's Items


def _with_items(collection: Document, book: SchemaBook, probe: Probe | None, *, deep: bool) -> Iterator[Finding]:
    """The Items that a Collection links: those beside it for its extent, those on the net one by one."""
    links = [link for link in listed(collection.stac.get("links")) if link.get("rel") == "item"]
    hrefs = list(dict.fromkeys(str(link.get("href", "")) for link in links))
    if collection.url is None:
        yield from _beside(collection, hrefs)
        return
    chosen = hrefs if deep else _spread(hrefs)
    kept: list[ItemFacts] = []
    for href in chosen:
        yield from _afar(collection, href, book, probe, kept, deep=deep)
    if chosen and len(chosen) == len(hrefs) == len(kept):
        yield from union_findings(collection, kept)
    else:
        yield from held_findings(collection, kept)


def _beside(collection: Document, hrefs: list[str]) -> Iterator[Finding]:
    kept, unread = [], 0
    for href in hrefs:
        path = collection.resolve(href).path
        if path is None or not is_file(path):
            unread += 1
            continue
        try:
            kept.append(facts_of(Document(read_stac(str(path)), collection.name(path), path.parent, collection.place)))
        except EarthcodePackError as error:
            yield rules.JSON_FORM.finding(collection.name(path), error.message)
    yield from held_findings(collection, kept) if unread else union_findings(collection, kept)


def _spread(hrefs: list[str]) -> list[str]:
    """A few of many: the first, the last, and some between.

    >>> _spread(list("abcdefghi"))
    ['a', 'c', 'e', 'g', 'i']
    """
    if len(hrefs) <= _SAMPLE:
        return hrefs
    return [hrefs[round(i * (len(hrefs) - 1) / (_SAMPLE - 1))] for i in range(_SAMPLE)]


def _afar(
    collection: Document, href: str, book: SchemaBook, probe: Probe | None, kept: list[ItemFacts], *, deep: bool
) -> Iterator[Finding]:
    from earthcode_pack.storage.words import shown  # noqa: PLC0415 - only for what is remote

    url = collection.resolve(href).url
    if url is None or probe is None or not probe.may_ask(url) or probe.ask(url).exists is not True:
        return  # its own link says so
    try:
        item = Document(read_stac(url), shown(url), None, url=url)
    except EarthcodePackError as error:
        yield rules.JSON_FORM.finding(shown(url), error.message)
        return
    kept.append(facts_of(item))
    yield from document_findings(item, book, alone=False, deep=deep, probe=probe)
