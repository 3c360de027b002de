"""The checks of each data format, by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from earthcode_pack.errors import OutsideError

if TYPE_CHECKING:
    from earthcode_pack.checks.targets import Kind
    from earthcode_pack.model import Finding


def format_findings(href: str, subject: str, kind: Kind, *, classes: bool = False, deep: bool = False) -> list[Finding]:
    """What a COG, Zarr store or NetCDF file breaks of the rules for its format.

    ``href`` is a path or URL; ``classes`` says that the values of a COG are known to be categories.
    """
    if "://" in href:
        _reachable(href, subject, kind)
    if kind == "cog":
        from earthcode_pack.checks.cog import cog_findings  # noqa: PLC0415 - heavy

        return cog_findings(href, subject, classes=classes, deep=deep)
    if kind == "zarr":
        from earthcode_pack.checks.zarr_store import zarr_findings  # noqa: PLC0415 - heavy

        return zarr_findings(href, subject, deep=deep)
    from earthcode_pack.checks.netcdf import netcdf_findings  # noqa: PLC0415 - heavy

    return netcdf_findings(href, subject, deep=deep)


def _reachable(href: str, subject: str, kind: Kind) -> None:
    """Raises ``OutsideError`` where nothing answers, so that a dead server is no fault of the file."""
    from earthcode_pack.storage.inputs import filesystem  # noqa: PLC0415 - only for what is remote
    from earthcode_pack.storage.words import outside  # noqa: PLC0415

    fs, path = filesystem(href)
    is_folder = kind == "zarr" and not urlsplit(href).path.rstrip("/").endswith(".zip")
    names = [f"{path.rstrip('/')}/{name}" for name in ("zarr.json", ".zmetadata", ".zgroup")]
    with outside(href):
        found = any(fs.exists(name) for name in (names if is_folder else [path]))
    if not found:
        raise OutsideError(
            f"{subject}: no such object, or its server does not answer", "check the href and the network"
        )
