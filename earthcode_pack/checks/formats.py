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
    """Raises ``OutsideError`` where it is not there or may not be read: neither is a fault of the file."""
    from earthcode_pack.storage import is_there  # noqa: PLC0415 - only for what is remote

    is_folder = kind == "zarr" and not urlsplit(href).path.rstrip("/").endswith(".zip")
    names = [f"{href.rstrip('/')}/{name}" for name in ("zarr.json", ".zmetadata", ".zgroup")]
    refused: list[OutsideError] = []
    for one in names if is_folder else [href]:
        try:
            if is_there(one):
                return
        except OutsideError as error:  # a bucket that may not be listed refuses what is not there, too
            refused.append(error)
    raise refused[0] if refused else OutsideError(f"{subject}: there is no such object", "check the href")
