"""A checkout of the catalogue, record by record; or one record of it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.collection import extent_findings
from earthcode_pack.checks.documents import Document, Place, is_record, is_stac, listed
from earthcode_pack.checks.files import file_findings
from earthcode_pack.checks.metadata import stac_findings
from earthcode_pack.checks.osc.checkout import BASE, KINDS, Checkout, kind_of_key
from earthcode_pack.checks.osc.cross import cross_findings, sub_catalogue_findings
from earthcode_pack.checks.osc.items import Seen, item_findings
from earthcode_pack.checks.osc.links import link_findings, self_findings
from earthcode_pack.checks.osc.records import field_findings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.checks.schema import SchemaBook
    from earthcode_pack.model import Finding

_NAME = "Open Science Catalog"
_LABELS = {"product": "products", "project": "projects"}


def catalogue_findings(root: Path, book: SchemaBook) -> Iterator[Finding]:
    """What a whole checkout breaks: every record, and the Items beside the products. Nothing remote is opened."""
    checkout = Checkout(root)
    for key in checkout.keys():  # noqa: SIM118 - not a mapping
        yield from _file(checkout, key, book)
    for kind in KINDS:
        yield from sub_catalogue_findings(checkout, kind)


def record_findings(checkout: Checkout, key: str, book: SchemaBook) -> Iterator[Finding]:
    """What one file of a checkout breaks, the rest of the catalogue being at hand."""
    yield from _file(checkout, key, book)
    kind = PurePosixPath(key).parent.as_posix()
    if kind in KINDS:
        yield from sub_catalogue_findings(checkout, kind)


def stray_record_findings(document: Document, kind: str) -> Iterator[Finding]:
    """What a record outside of a checkout breaks by itself."""
    yield from field_findings(document.stac, document.subject, kind)
    yield from link_findings(document.stac, document.subject, kind)


def kind_of_record(stac: dict[str, Any]) -> str | None:
    """The kind of a record that lies in no checkout; None of anything else.

    A record describes no file: it has neither assets nor ``item_assets``, which the data's own Collection has. It says
    ``osc:type`` and is rooted in the catalogue, or is an OGC record of a workflow or experiment.
    """
    if is_record(stac):
        return {"workflow": "workflows", "experiment": "experiments"}.get(str(stac["properties"].get("type")))
    own = stac.get("assets") or stac.get("item_assets") or stac.get("cube:dimensions")
    links = [link for link in listed(stac.get("links")) if link.get("rel") in ("root", "self")]
    rooted = any(link.get("title") == _NAME or str(link.get("href")).startswith(BASE) for link in links)
    return _LABELS.get(str(stac.get("osc:type"))) if rooted and not own and stac.get("type") == "Collection" else None


def _file(checkout: Checkout, key: str, book: SchemaBook) -> Iterator[Finding]:
    stac = checkout.read(key)
    if stac is None or not (is_stac(stac) or is_record(stac)):
        why = "is neither STAC nor a Record" if stac is not None else "is no JSON object"
        yield rules.JSON_FORM.finding(key, f"{key} {why}")
        return
    folder = (checkout.root / key).parent
    document = Document(stac, key, folder, Place(checkout.root, (BASE,)))
    if is_stac(stac):
        yield from book.findings(stac, key)
        project = key.startswith("projects/")  # its extent says nothing of data
        yield from stac_findings(document, alone=not project, record=stac["type"] != "Feature")
        yield from extent_findings(stac, key) if stac["type"] == "Collection" else ()
    if is_stac(stac) and stac["type"] == "Feature":
        yield from file_findings(document)
        return
    yield from _record(checkout, key, document)


def _record(checkout: Checkout, key: str, document: Document) -> Iterator[Finding]:
    kind = kind_of_key(key)
    if kind is not None:
        yield from stray_record_findings(document, kind)
    yield from self_findings(document.stac, key, key)
    yield from cross_findings(checkout, key, document.stac)
    if kind == "products":
        yield from _with_items(checkout, key, document.stac)


def _with_items(checkout: Checkout, key: str, stac: dict[str, Any]) -> Iterator[Finding]:
    seen = Seen()
    for path in sorted((checkout.root / key).parent.glob("*.json")):
        other = path.relative_to(checkout.root).as_posix()
        item = checkout.read(other) if other != key else None
        if item is not None and is_stac(item) and item["type"] == "Feature":
            seen.add(other, Document(item, other, None))
            yield from _of_collection(other, item, stac)
    yield from item_findings(checkout, key, stac, seen)


def _of_collection(key: str, item: dict[str, Any], stac: dict[str, Any]) -> Iterator[Finding]:
    if item.get("collection") != stac.get("id"):
        message = f"{key} names the collection {item.get('collection')!r}"
        yield rules.COLLECTION_ID.finding(key, message, item.get("collection"), stac.get("id"))
