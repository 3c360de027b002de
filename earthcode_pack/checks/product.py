"""A bundle or published version as a whole: its STAC, its files, its data, and that they agree.

Its Items are read one by one and forgotten; what is kept of each is what the Collection is held against.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from earthcode_pack.checks import rules
from earthcode_pack.checks.closed import closed_findings
from earthcode_pack.checks.collection import ItemFacts, facts_of, union_findings
from earthcode_pack.checks.documents import Document, Place, listed, parse_stac, read_stac
from earthcode_pack.checks.files import manifest_findings
from earthcode_pack.checks.limits import OPENED
from earthcode_pack.checks.metadata import is_data
from earthcode_pack.checks.remote import probe_for
from earthcode_pack.checks.single import document_findings
from earthcode_pack.errors import Unreadable, UserError
from earthcode_pack.files import refuse_links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.checks.schema import SchemaBook
    from earthcode_pack.model import Finding


def bundle_findings(bundle: Bundle, book: SchemaBook, *, deep: bool) -> Iterator[Finding]:
    """What a prepared bundle breaks; those of the PRR's gateway too where the profile names the PRR."""
    profile = bundle.profile()
    store = profile.store
    urls: tuple[str, ...] = ()
    if store is not None and store.public_href:
        urls = (f"{store.public_href.rstrip('/')}/{profile.product.folder}",)
    if not bundle.collection_path.is_file():
        raise UserError(f"{bundle.root}: the bundle holds no product yet", "run the profile again")
    yield from product_findings(Place(bundle.product, urls), book, deep=deep)
    yield from closed_findings(bundle, profile)
    if store is not None and store.prr is not None:
        from earthcode_pack.catalogs.prr import hand_over_findings  # noqa: PLC0415 - only where the PRR is the store

        yield from hand_over_findings(bundle)


@dataclass
class _Kept:
    """What is kept of the documents of a product: the Collection, facts of the Items, and where assets lead."""

    collection: Document | None = None
    items: list[ItemFacts] = field(default_factory=list)
    targets: set[Path] = field(default_factory=set)
    unread: set[Path] = field(default_factory=set)
    has_data: bool = False

    def add(self, document: Document, *, opened: bool) -> None:
        """Keeps what the whole is held against; ``opened`` says whether its data are read."""
        assets = document.assets().values()
        self.has_data = self.has_data or any(is_data(asset) for asset in assets)
        paths = {document.resolve(str(asset.get("href", ""))).path for asset in assets}
        own = {path for path in paths if path is not None}
        self.targets |= own
        self.unread |= set() if opened else own
        if document.stac["type"] == "Collection":
            self.collection = document
        elif document.stac["type"] == "Feature":
            self.items.append(facts_of(document))


def product_findings(place: Place, book: SchemaBook, *, deep: bool) -> Iterator[Finding]:
    """What a folder with ``collection.json``, ``items/`` and ``manifest.json`` breaks.

    What is on the net is asked for only where ``deep``.
    """
    root = place.root
    try:
        refuse_links(root)
    except Unreadable as error:
        yield rules.HREF_OUTSIDE.finding(root.name, error.message)
        return
    place = Place(root, (*place.urls, *_own_url(root)))
    probe = probe_for(None, deep=deep) if deep else None
    kept = _Kept()
    seen: set[Path] = set()
    paths = [root / "collection.json", *sorted((root / "items").glob("*.json"))]
    step = 1 if deep else max(1, ceil((len(paths) - 1) / OPENED))
    for index, path in enumerate(paths):
        subject = path.relative_to(root).as_posix()
        try:
            document = Document(parse_stac(path.read_bytes(), subject), subject, path.parent, place)
        except (UserError, OSError) as error:
            yield rules.JSON_FORM.finding(subject, str(getattr(error, "message", error)))
            continue
        opened = index % step == 0 or path == paths[-1]
        kept.add(document, opened=opened)
        yield from document_findings(document, book, alone=False, deep=deep, seen=seen, probe=probe, opened=opened)
    if kept.collection is not None:
        yield from union_findings(kept.collection, kept.items)
    if step > 1:
        message = f"the data of one Item in {step} were opened, of {len(paths) - 1}"
        yield rules.SAMPLED.finding("items", message, step)
    yield from _accompanied(root, kept)
    if (root / "manifest.json").is_file():
        yield from manifest_findings(root, deep=deep, unread=kept.unread)


def _own_url(root: Path) -> tuple[str, ...]:
    """Where the Collection says that it is published."""
    try:
        links = listed(read_stac(str(root / "collection.json")).get("links"))
    except (UserError, OSError):
        return ()
    own = [str(link.get("href")) for link in links if link.get("rel") == "self"]
    return tuple(href.rpartition("/")[0] for href in own if "://" in href and href.endswith("/collection.json"))


def _accompanied(root: Path, kept: _Kept) -> Iterator[Finding]:
    """DATA-REQ-03: every data file is an asset, and there is at least one."""
    if not kept.has_data:
        yield rules.DATA_REQ_03.finding("collection.json", "the product has no data asset")
    for path in sorted((root / "data").rglob("*")):
        real = path.resolve()
        if path.is_file() and kept.targets.isdisjoint((real, *real.parents)):
            key = path.relative_to(root).as_posix()
            yield rules.DATA_REQ_03.finding(key, f"{key} is no asset of any Item")
