"""A bundle or published version as a whole: its STAC, its files, its data, and that they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.checks import rules
from earthcode_pack.checks.collection import collection_findings, union_findings
from earthcode_pack.checks.documents import Document, Place, listed, parse_stac, read_stac
from earthcode_pack.checks.extent_facts import extent_facts
from earthcode_pack.checks.facts import asset_facts, measure
from earthcode_pack.checks.files import file_findings, manifest_findings
from earthcode_pack.checks.formats import format_findings
from earthcode_pack.checks.metadata import has_classes, is_data, stac_findings
from earthcode_pack.checks.targets import format_of
from earthcode_pack.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.checks.measured import Measured
    from earthcode_pack.checks.schema import SchemaBook
    from earthcode_pack.model import Finding


def bundle_findings(bundle: Bundle, book: SchemaBook, *, deep: bool) -> Iterator[Finding]:
    """What a prepared bundle breaks; those of the PRR's gateway too where the profile names the PRR."""
    profile = bundle.profile()
    store = profile.store
    urls: tuple[str, ...] = ()
    if store is not None and store.public_href:
        urls = (f"{store.public_href.rstrip('/')}/{profile.product.id}/v{profile.product.version}",)
    if not bundle.collection_path.is_file():
        raise UserError(f"{bundle.root}: the bundle holds no product yet", "run the profile again")
    yield from product_findings(Place(bundle.product, urls), book, deep=deep)
    if store is not None and store.prr is not None:
        from earthcode_pack.register import hand_over_findings  # noqa: PLC0415 - only where the PRR is the store

        yield from hand_over_findings(bundle)


def product_findings(place: Place, book: SchemaBook, *, deep: bool) -> Iterator[Finding]:
    """What a folder with ``collection.json``, ``items/`` and ``manifest.json`` breaks."""
    root = place.root
    place = Place(root, (*place.urls, *_own_url(root)))
    documents, broken = _documents(place)
    yield from broken
    seen: set[Path] = set()
    for document in documents:
        yield from document_findings(document, book, alone=False, deep=deep, seen=seen)
    collections = [document for document in documents if document.stac["type"] == "Collection"]
    items = [document for document in documents if document.stac["type"] == "Feature"]
    for collection in collections:
        yield from union_findings(collection, items)
    yield from _accompanied(root, documents)
    if (root / "manifest.json").is_file():
        yield from manifest_findings(root, deep=deep)


def _own_url(root: Path) -> tuple[str, ...]:
    """Where the Collection says that it is published."""
    try:
        links = listed(read_stac(str(root / "collection.json")).get("links"))
    except UserError:
        return ()
    own = [str(link.get("href")) for link in links if link.get("rel") == "self"]
    return tuple(href.rpartition("/")[0] for href in own if "://" in href and href.endswith("/collection.json"))


def _documents(place: Place) -> tuple[list[Document], list[Finding]]:
    documents, broken = [], []
    for path in [place.root / "collection.json", *sorted((place.root / "items").glob("*.json"))]:
        subject = path.relative_to(place.root).as_posix()
        try:
            documents.append(Document(parse_stac(path.read_bytes(), subject), subject, path.parent, place))
        except UserError as error:
            broken.append(rules.JSON_FORM.finding(subject, error.message))
    return documents, broken


def _accompanied(root: Path, documents: list[Document]) -> Iterator[Finding]:
    """DATA-REQ-03: every data file is an asset, and there is at least one."""
    targets = {
        document.resolve(str(asset.get("href"))).path for document in documents for asset in document.assets().values()
    }
    if not any(is_data(asset) for document in documents for asset in document.assets().values()):
        yield rules.DATA_REQ_03.finding("collection.json", "the product has no data asset")
    for path in sorted((root / "data").rglob("*")):
        real = path.resolve()
        if path.is_file() and not targets & {real, *real.parents}:
            key = path.relative_to(root).as_posix()
            yield rules.DATA_REQ_03.finding(key, f"{key} is no asset of any Item")


# --- one STAC object with the data behind it


def document_findings(
    document: Document, book: SchemaBook, *, alone: bool, deep: bool, seen: set[Path] | None = None
) -> Iterator[Finding]:
    """A Catalog, Collection or Item by itself, its files, and its data where they are on this machine.

    ``seen`` holds the data files whose format was checked already: a cube may be an asset of Item and Collection.
    """
    yield from book.findings(document.stac, document.subject)
    yield from stac_findings(document, alone=alone)
    if document.stac["type"] == "Collection":
        yield from collection_findings(document)
    yield from file_findings(document, deep=deep)
    yield from _data(document, set() if seen is None else seen, deep=deep)


def _data(document: Document, seen: set[Path], *, deep: bool) -> Iterator[Finding]:
    measured: dict[Path, Measured] = {}
    for key, asset in document.assets().items():
        path = document.resolve(str(asset.get("href", ""))).path
        kind = format_of(path) if path is not None and path.exists() and is_data(asset) else None
        if path is None or kind is None:
            continue
        if path not in seen:
            seen.add(path)
            yield from format_findings(str(path), document.name(path), kind, classes=has_classes(asset), deep=deep)
        data = measure(path, kind)
        if data is not None:
            measured[path] = data
            yield from asset_facts(document, key, asset, kind, data)
    if document.stac["type"] == "Feature":
        yield from extent_facts(document, measured)


def collection_file_findings(document: Document) -> Iterator[Finding]:
    """A Collection read by itself against those of its Items that lie beside it."""
    items = []
    for link in listed(document.stac.get("links")):
        path = document.resolve(str(link.get("href", ""))).path if link.get("rel") == "item" else None
        if path is not None and path.is_file():
            try:
                items.append(Document(read_stac(str(path)), str(path), path.parent))
            except UserError as error:
                yield rules.JSON_FORM.finding(str(path), error.message)
    yield from union_findings(document, items)
