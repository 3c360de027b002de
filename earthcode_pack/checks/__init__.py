"""Conformance of whatever can be published, whoever made it.

``check(target)`` returns findings, each made through a rule of the one catalogue in ``rules.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.checks.targets import kind_of
from earthcode_pack.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.checks.schema import SchemaBook
    from earthcode_pack.checks.targets import Kind
    from earthcode_pack.model import Finding

__all__ = ["check"]


def check(target: str | Path, *, deep: bool = False, schemas: Path | None = None) -> tuple[Finding, ...]:
    """What a target breaks of the rules; empty where it keeps them all.

    ``target`` is a bundle, a published version (a folder with ``collection.json`` and ``manifest.json``), a STAC
    Catalog, Collection or Item, a GeoTIFF, a Zarr store (folder or ``.zarr.zip``), a NetCDF or HDF5 file; the URL of a
    STAC file, GeoTIFF, Zarr store or NetCDF file; a checkout of the Open Science Catalog, or a record of it. ``deep``
    reads everything instead of headers and samples.
    ``schemas`` is a folder of JSON schemas laid out by host and path of their URLs; without it the one that
    ``EARTHCODE_PACK_SCHEMAS`` names.

    Raises ``UserError`` for what is none of these, ``OutsideError`` where a server does not answer.
    """
    from earthcode_pack.checks.schema import SchemaBook  # noqa: PLC0415 - keeps the command line quick
    from earthcode_pack.storage.reach import only_public  # noqa: PLC0415

    name = str(target)
    name = name.removeprefix("file://") if name.startswith("file://") else name
    book = SchemaBook(schemas)
    with only_public(name):
        found = tuple(_findings(name, kind_of(name), book, deep=deep))
    return (*found, *book.unavailable_findings())


def _findings(name: str, kind: Kind, book: SchemaBook, *, deep: bool) -> Iterator[Finding]:
    from earthcode_pack.bundle import open_bundle  # noqa: PLC0415 - as above
    from earthcode_pack.checks.documents import Place  # noqa: PLC0415
    from earthcode_pack.checks.formats import format_findings  # noqa: PLC0415
    from earthcode_pack.checks.product import bundle_findings, product_findings  # noqa: PLC0415

    if kind == "bundle":
        yield from bundle_findings(open_bundle(name), book, deep=deep)
    elif kind == "product":
        yield from product_findings(Place(Path(name)), book, deep=deep)
    elif kind == "catalogue":
        yield from _catalogue(name, book)
    elif kind == "stac":
        yield from _stac(name, book, deep=deep)
    else:
        yield from format_findings(name, _shown(name), kind, deep=deep)


def _catalogue(name: str, book: SchemaBook) -> Iterator[Finding]:
    from earthcode_pack.checks.osc import Checkout, catalogue_findings  # noqa: PLC0415 - as above

    checkout = Checkout.of(Path(name))
    if checkout is None:
        raise UserError(f"{name}: catalog.json is not the Open Science Catalog's", "name the STAC file itself")
    yield from catalogue_findings(checkout.root, book)


def _stac(name: str, book: SchemaBook, *, deep: bool) -> Iterator[Finding]:
    from earthcode_pack.checks.osc import Checkout, record_findings  # noqa: PLC0415
    from earthcode_pack.checks.stac_object import stac_file_findings  # noqa: PLC0415 - as above

    checkout = None if "://" in name else Checkout.of(Path(name))
    if checkout is not None:
        yield from record_findings(checkout, checkout.key(Path(name)), book)
    else:
        yield from stac_file_findings(name, _shown(name), book, deep=deep)


def _shown(name: str) -> str:
    """The name as findings may show it: without the query, user and password of a URL."""
    if "://" not in name:
        return name
    from earthcode_pack.storage.words import shown  # noqa: PLC0415 - only for what is remote

    return shown(name)
