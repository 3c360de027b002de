"""Conformance of what can be published; of a bundle also its data against its sources, where all is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack import checks
from earthcode_pack.checks.targets import kind_of

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.model import Finding


def check(target: str | Path, *, deep: bool = False, schemas: Path | None = None) -> tuple[Finding, ...]:
    """Returns what a target breaks of the rules; see ``checks.check`` for what a target may be.

    ``deep`` reads everything instead of headers and samples. Of a bundle whose sources can still be read, every block
    is decoded by other projects' readers on both sides and compared.

    Raises ``UserError`` for what is no target, ``OutsideError`` where a server does not answer.
    """
    found = checks.check(target, deep=deep, schemas=schemas)
    name = str(target).removeprefix("file://")
    if not deep or kind_of(name) != "bundle":
        return found
    import pyproj  # noqa: F401, PLC0415 - before rasterio and ecCodes: see convert/read/__init__.py

    from earthcode_pack.bundle import open_bundle  # noqa: PLC0415 - GDAL and its like, only where they are used
    from earthcode_pack.convert.proof.bundles import whole_findings  # noqa: PLC0415

    return (*found, *whole_findings(open_bundle(name)))
