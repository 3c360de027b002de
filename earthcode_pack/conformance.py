"""Conformance checks of a target, and the comparison of a bundle's data with its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack import checks
from earthcode_pack.checks.targets import kind_of

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.model import Finding


def check(target: str | Path, *, deep: bool = False, schemas: Path | None = None) -> tuple[Finding, ...]:
    """Checks a target against the rules.

    Args:
        target: Path or URL of a bundle, product, STAC file, COG, Zarr store or NetCDF file; see ``checks.check``.
        deep: Reads all data instead of headers and samples. The data of a bundle is also compared, block by block,
            with its sources where they can be read, both decoded by readers of other projects.
        schemas: Folder of JSON schemas laid out by host and path of their URLs.

    Returns:
        The findings; empty for a target that keeps all rules.

    Raises:
        UserError: If the target cannot be checked.
        OutsideError: If a server does not answer.

    """
    found = checks.check(target, deep=deep, schemas=schemas)
    name = str(target).removeprefix("file://")
    if not deep or kind_of(name) != "bundle":
        return found
    import pyproj  # noqa: F401, PLC0415 - before rasterio and ecCodes: see convert/read/__init__.py

    from earthcode_pack.bundle import open_bundle  # noqa: PLC0415 - GDAL and the like only where they are used
    from earthcode_pack.convert.proof.bundles import whole_findings  # noqa: PLC0415

    return (*found, *whole_findings(open_bundle(name)))
