"""Targets of a check: their kind, by name and content, and the checks of each data format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from earthcode_pack.errors import OutsideError, Unreadable, UserError

if TYPE_CHECKING:
    from earthcode_pack.model import Finding

Kind = Literal["bundle", "product", "catalogue", "stac", "cog", "zarr", "netcdf"]

LARGEST_CHUNK = 200_000_000  # bytes, compressed: EarthCODE's upper end
DECODED = 1 << 28  # bytes: a block that would decode to more is not read, for files may claim anything
ZARR_MARKS = ("zarr.json", ".zmetadata", ".zgroup")  # objects of which a Zarr store has one at least

_SUFFIXES: dict[str, Kind] = {
    ".json": "stac", ".geojson": "stac", ".tif": "cog", ".tiff": "cog", ".zarr": "zarr", ".zarr.zip": "zarr",
    ".nc": "netcdf", ".nc4": "netcdf", ".cdf": "netcdf", ".h5": "netcdf", ".hdf5": "netcdf", ".he5": "netcdf",
}  # fmt: skip
_MARKS: dict[Kind, tuple[set[str], ...]] = {
    "bundle": ({"profile.yaml"},),
    "product": ({"collection.json", "manifest.json"},),
    "catalogue": ({"catalog.json", "products/catalog.json"},),
    "zarr": ({"zarr.json"}, {".zgroup"}, {".zmetadata"}, {".zarray"}),
}
_WHAT = (
    "a bundle, a published version, a checkout of the Open Science Catalog, a STAC file, .tif, .nc, .h5, a Zarr folder "
    "or .zarr.zip"
)


def kind_of(target: str) -> Kind:
    """Returns the kind of a target, by its name or, for a folder, by the files in it.

    Args:
        target: Path or URL. A URL without a suffix is taken for an API's STAC, as in ``…/stac/collections/sst``.

    Returns:
        The kind.

    Raises:
        UserError: If the target does not exist or is of no known kind.

    """
    if "://" in target:
        path = urlsplit(target).path.rstrip("/")
        bare = "." not in path.rpartition("/")[2] and target.startswith("http")
        found = by_name(path) or ("stac" if bare else None)
    elif not exists(Path(target)):
        raise UserError(f"{target}: no such file or folder", "correct the path")
    elif not (Path(target).is_file() or Path(target).is_dir()):
        raise UserError(f"{target}: a pipe, a socket or a device, and no file", f"name {_WHAT}")
    else:
        found = _kind_of_folder(Path(target)) if Path(target).is_dir() else by_name(target)
    if found is None:
        raise UserError(f"{target}: nothing that can be checked", f"name {_WHAT}")
    return found


def exists(path: Path) -> bool:
    """Tells whether a file or folder exists; false for a name that no file can have."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Tells whether a file exists; false for a name that no file can have."""
    return exists(path) and path.is_file()


def by_name(path: str) -> Kind | None:
    """Returns the kind that the suffix of a name stands for.

    >>> by_name("data/sst.zarr.zip"), by_name("data/readme.txt")
    ('zarr', None)
    """
    name = path.rstrip("/").lower()
    return next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), None)


def _kind_of_folder(path: Path) -> Kind | None:
    return next((k for k, marks in _MARKS.items() for mark in marks if all((path / m).is_file() for m in mark)), None)


def format_of(path: Path) -> Kind | None:
    """Returns the data format of a file or folder; None if it does not exist, or has none that is checked."""
    if not exists(path):
        return None
    found = _kind_of_folder(path) if path.is_dir() else by_name(path.name) if path.is_file() else None
    return found if found in {"cog", "zarr", "netcdf"} else None


def refuse_large_coordinate(name: str, coordinate: str, size: int) -> None:
    """Refuses a coordinate that opening a file would read whole.

    Args:
        name: Name of the file in the message.
        coordinate: Name of the coordinate.
        size: Its decoded size in bytes.

    Raises:
        Unreadable: If the coordinate is larger than ``DECODED``.
    """
    if size > DECODED:
        raise Unreadable(
            f"{name}: the coordinate {coordinate} has {size} bytes, more than {DECODED}", "write it again in parts"
        )


def is_zarr_folder(url: str) -> bool:
    """Tells whether a URL is of a Zarr store that is no zip, and so no object by itself.

    >>> is_zarr_folder("s3://bucket/sst.zarr"), is_zarr_folder("s3://bucket/sst.zarr.zip")
    (True, False)
    """
    path = urlsplit(url).path.rstrip("/")
    return by_name(path) == "zarr" and not path.endswith(".zip")


def format_findings(href: str, subject: str, kind: Kind, *, classes: bool = False, deep: bool = False) -> list[Finding]:
    """Checks a COG, Zarr store or NetCDF file against the rules for its format.

    Args:
        href: Path or URL.
        subject: Name of the file in findings.
        kind: ``cog``, ``zarr`` or ``netcdf``.
        classes: Whether the values of a COG are known to be categories.
        deep: Reads all data instead of headers and samples.

    Returns:
        The findings.

    Raises:
        OutsideError: If a remote object does not exist or may not be read, which is no fault of the file.

    """
    if "://" in href:
        from earthcode_pack.storage import is_there  # noqa: PLC0415 - only for what is remote

        refused: list[OutsideError] = []
        for one in [f"{href.rstrip('/')}/{mark}" for mark in ZARR_MARKS] if is_zarr_folder(href) else [href]:
            try:
                if is_there(one):
                    break
            except OutsideError as error:  # a bucket that may not be listed also refuses what is not there
                refused.append(error)
        else:
            raise refused[0] if refused else OutsideError(f"{subject}: there is no such object", "check the href")
    if kind == "cog":
        from earthcode_pack.checks.cog import cog_findings  # noqa: PLC0415 - heavy

        return cog_findings(href, subject, classes=classes, deep=deep)
    if kind == "zarr":
        from earthcode_pack.checks.zarr_store import zarr_findings  # noqa: PLC0415 - heavy

        return zarr_findings(href, subject, deep=deep)
    from earthcode_pack.checks.netcdf import netcdf_findings  # noqa: PLC0415 - heavy

    return netcdf_findings(href, subject, deep=deep)
