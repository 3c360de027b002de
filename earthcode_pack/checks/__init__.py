"""Checks of whatever can be published, whoever made it.

``check(target)`` returns findings, each made by a rule of the one catalogue in ``rules.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.checks.targets import format_findings, kind_of
from earthcode_pack.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.checks.schema import SchemaValidator
    from earthcode_pack.checks.targets import Kind
    from earthcode_pack.model import Finding

__all__ = ["check"]


def check(target: str | Path, *, deep: bool = False, schemas: Path | None = None) -> tuple[Finding, ...]:
    """Checks a target against the rules.

    Args:
        target: A bundle, a published version (a folder with ``collection.json`` and ``manifest.json``), a STAC
            Catalog, Collection or Item, a GeoTIFF, a Zarr store (folder or ``.zarr.zip``), a NetCDF or HDF5 file; the
            URL of a STAC file, GeoTIFF, Zarr store or NetCDF file; a checkout of the Open Science Catalog, or a record
            of it.
        deep: Reads everything instead of headers and samples.
        schemas: Folder of JSON schemas laid out by host and path of their URLs; by default the one that
            ``EARTHCODE_PACK_SCHEMAS`` names.

    Returns:
        The findings; empty for a target that keeps all rules.

    Raises:
        UserError: If the target is none of these.
        OutsideError: If a server does not answer.

    """
    from earthcode_pack.checks.schema import SchemaValidator  # noqa: PLC0415 - keeps the command line quick
    from earthcode_pack.storage.reach import only_public  # noqa: PLC0415

    name = str(target).removeprefix("file://")
    validator = SchemaValidator(schemas)
    with only_public(name):
        found = tuple(_findings(name, kind_of(name), validator, deep=deep))
    return (*found, *validator.unavailable_findings())


def _findings(name: str, kind: Kind, validator: SchemaValidator, *, deep: bool) -> Iterator[Finding]:
    from earthcode_pack.bundle import open_bundle  # noqa: PLC0415 - as above
    from earthcode_pack.checks.documents import ProductFolder  # noqa: PLC0415
    from earthcode_pack.checks.osc import Checkout, catalogue_findings, record_findings  # noqa: PLC0415
    from earthcode_pack.checks.product import bundle_findings, product_findings  # noqa: PLC0415
    from earthcode_pack.checks.stac_object import stac_file_findings  # noqa: PLC0415
    from earthcode_pack.storage.error_messages import shown  # noqa: PLC0415

    subject = shown(name) if "://" in name else name
    checkout = None if "://" in name or kind not in {"catalogue", "stac"} else Checkout.of(Path(name))
    if kind == "bundle":
        yield from bundle_findings(open_bundle(name), validator, deep=deep)
    elif kind == "product":
        yield from product_findings(ProductFolder(Path(name)), validator, deep=deep)
    elif kind == "catalogue":
        if checkout is None:
            raise UserError(f"{name}: catalog.json is not the Open Science Catalog's", "name the STAC file itself")
        yield from catalogue_findings(checkout.root, validator)
    elif checkout is not None:
        yield from record_findings(checkout, checkout.key(Path(name)), validator)
    elif kind == "stac":
        yield from stac_file_findings(name, subject, validator, deep=deep)
    else:
        yield from format_findings(name, subject, kind, deep=deep)
