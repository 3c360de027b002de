"""Checks of a bundle or published version as a whole: STAC, files, data, manifest, and that they agree.

Items are read one by one and dropped; of each, the facts are kept with which the Collection is compared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from earthcode_pack.checks import rules
from earthcode_pack.checks.collection import ItemFacts, facts_of, union_findings
from earthcode_pack.checks.documents import (
    Document,
    ProductFolder,
    is_data,
    listed,
    mapping,
    mappings,
    parse_stac,
    read_stac,
)
from earthcode_pack.checks.files import HASHED, digest_of
from earthcode_pack.checks.remote import probe_for
from earthcode_pack.checks.stac_object import document_findings
from earthcode_pack.errors import Unreadable, UserError
from earthcode_pack.files import refuse_links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.checks.schema import SchemaValidator
    from earthcode_pack.model import Finding

OPENED = 1000  # Items whose data are opened, spread over all, unless the check is deep


def bundle_findings(bundle: Bundle, validator: SchemaValidator, *, deep: bool) -> Iterator[Finding]:
    """Checks a prepared bundle, including the rules of the PRR's gateway if the profile names the PRR.

    Args:
        bundle: The bundle.
        validator: Validates against the schemas.
        deep: Reads all data instead of headers and samples.

    Yields:
        The findings.

    Raises:
        UserError: If the bundle holds no product yet.

    """
    profile = bundle.profile()
    store = profile.store
    urls: tuple[str, ...] = ()
    if store is not None and store.public_href:
        urls = (f"{store.public_href.rstrip('/')}/{profile.product.folder}",)
    if not bundle.collection_path.is_file():
        raise UserError(f"{bundle.root}: the bundle holds no product yet", "run the profile again")
    yield from product_findings(ProductFolder(bundle.product, urls), validator, deep=deep)
    if store is not None and store.access == "private" and (store.href or "").startswith("s3://"):
        try:
            stac = mapping(bundle.collection())
        except (UserError, OSError, ValueError):
            stac = None  # a finding of its own
        if stac is not None and not (mappings(stac.get("auth:schemes")) and mappings(stac.get("storage:schemes"))):
            message = (
                "readers of the product need keys of its S3 storage, and collection.json does not say where that is"
            )
            yield rules.CLOSED.finding("collection.json", message)
    if store is not None and store.prr is not None:
        from earthcode_pack.catalogs.prr import hand_over_findings  # noqa: PLC0415 - only where the PRR is the store

        yield from hand_over_findings(bundle)


@dataclass
class _Product:
    """Facts of the documents of a product: the Collection, its Items, and the targets of their assets."""

    collection: Document | None = None
    items: list[ItemFacts] = field(default_factory=list)
    targets: set[Path] = field(default_factory=set)
    unread: set[Path] = field(default_factory=set)
    has_data: bool = False

    def add(self, document: Document, *, opened: bool) -> None:
        """Adds a document; ``opened`` tells whether its data are read."""
        assets = document.assets().values()
        self.has_data = self.has_data or any(map(is_data, assets))
        own = {target for asset in assets if (target := document.resolve(str(asset.get("href", ""))).path) is not None}
        self.targets |= own
        self.unread |= set() if opened else own
        if document.stac["type"] == "Collection":
            self.collection = document
        elif document.stac["type"] == "Feature":
            self.items.append(facts_of(document))


def product_findings(folder: ProductFolder, validator: SchemaValidator, *, deep: bool) -> Iterator[Finding]:
    """Checks a folder with ``collection.json``, ``items/`` and ``manifest.json``.

    Args:
        folder: The folder.
        validator: Validates against the schemas.
        deep: Reads all data instead of headers and samples, and asks for remote files.

    Yields:
        The findings.

    """
    root = folder.root
    try:
        refuse_links(root)
    except Unreadable as error:
        yield rules.HREF_OUTSIDE.finding(root.name, error.message)
        return
    folder = ProductFolder(root, (*folder.urls, *_own_urls(root)))
    probe = probe_for(None, deep=deep) if deep else None
    kept = _Product()
    seen: set[Path] = set()
    paths = [root / "collection.json", *sorted((root / "items").glob("*.json"))]
    step = 1 if deep else max(1, ceil((len(paths) - 1) / OPENED))
    for index, path in enumerate(paths):
        subject = path.relative_to(root).as_posix()
        try:
            document = Document(parse_stac(path.read_bytes(), subject), subject, path.parent, folder)
        except (UserError, OSError) as error:
            yield rules.JSON_FORM.finding(subject, str(getattr(error, "message", error)))
            continue
        opened = index % step == 0 or path == paths[-1]
        kept.add(document, opened=opened)
        yield from document_findings(document, validator, alone=False, deep=deep, seen=seen, probe=probe, opened=opened)
    if kept.collection is not None:
        yield from union_findings(kept.collection, kept.items)
    if step > 1:
        message = f"the data of one Item in {step} were opened, of {len(paths) - 1}"
        yield rules.SAMPLED.finding("items", message, step)
    if not kept.has_data:
        yield rules.DATA_REQ_03.finding("collection.json", "the product has no data asset")
    for path in sorted((root / "data").rglob("*")):
        real = path.resolve()
        if path.is_file() and kept.targets.isdisjoint((real, *real.parents)):
            key = path.relative_to(root).as_posix()
            yield rules.DATA_REQ_03.finding(key, f"{key} is no asset of any Item")
    if (root / "manifest.json").is_file():
        yield from _manifest_findings(root.resolve(), deep=deep, unread=kept.unread)


def _own_urls(root: Path) -> list[str]:
    """Returns the base URL under which the Collection says that it is published, if any."""
    try:
        links = listed(read_stac(str(root / "collection.json")).get("links"))
    except (UserError, OSError):
        return []
    own = [str(link.get("href")) for link in links if link.get("rel") == "self"]
    return [href.rpartition("/")[0] for href in own if "://" in href and href.endswith("/collection.json")]


def _manifest_findings(root: Path, *, deep: bool, unread: AbstractSet[Path]) -> Iterator[Finding]:
    """Compares the manifest with the files, both ways; of those ``unread`` the size only."""
    try:
        entries = json.loads((root / "manifest.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        entries = None
    if not isinstance(entries, list) or len(listed(entries)) < len(entries):
        yield rules.MANIFEST.finding("manifest.json", "manifest.json is not a list of {key, size, sha256}")
        return
    stated = {str(entry.get("key")): entry for entry in entries}
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    for key in sorted(found.keys() - stated.keys() - {"manifest.json"}):
        yield rules.MANIFEST.finding(key, f"{key} is not in the manifest")
    for key, entry in stated.items():
        path = found.get(key)
        if path is None:
            yield rules.MANIFEST.finding(key, f"{key} is in the manifest and does not exist")
            continue
        size, is_unread = path.stat().st_size, not unread.isdisjoint((path, *path.parents))
        if entry.get("size") != size:
            message = f"{key} has {size} bytes, and the manifest states {entry.get('size')}"
            yield rules.MANIFEST.finding(key, message, entry.get("size"), size)
        elif deep or (size < HASHED and not is_unread):
            digest = f"1220{digest_of(path)}"
            if entry.get("sha256") != digest:
                message = f"the sha256 of {key} is not the one in the manifest"
                yield rules.MANIFEST.finding(key, message, entry.get("sha256"), digest)
