"""What a target is, by what it holds: a bundle, a product, STAC, COG, Zarr or NetCDF."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from earthcode_pack.errors import UserError

Kind = Literal["bundle", "product", "catalogue", "stac", "cog", "zarr", "netcdf"]

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
    """What to check a target as. Raises ``UserError`` that names it where it does not exist, or is nothing known."""
    if "://" in target:
        found = _remote(target)
    elif not _exists(Path(target)):
        raise UserError(f"{target}: no such file or folder", "correct the path")
    elif not (Path(target).is_file() or Path(target).is_dir()):
        raise UserError(f"{target}: a pipe, a socket or a device, and no file", f"name {_WHAT}")
    else:
        found = _folder(Path(target)) if Path(target).is_dir() else by_name(target)
    if found is None:
        raise UserError(f"{target}: nothing that can be checked", f"name {_WHAT}")
    return found


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _remote(url: str) -> Kind | None:
    """By the end of the path; where it has none, an API answers there, as in ``…/stac/collections/sst``."""
    path = urlsplit(url).path.rstrip("/")
    bare = "." not in path.rpartition("/")[2] and url.startswith("http")
    return by_name(path) or ("stac" if bare else None)


def by_name(path: str) -> Kind | None:
    """The kind that the end of a name stands for.

    >>> by_name("data/sst.zarr.zip"), by_name("data/readme.txt")
    ('zarr', None)
    """
    name = path.rstrip("/").lower()
    return next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), None)


def _folder(path: Path) -> Kind | None:
    return next((k for k, marks in _MARKS.items() for mark in marks if all((path / m).is_file() for m in mark)), None)


def format_of(path: Path) -> Kind | None:
    """The data format of an asset; None where it does not exist, or is none that is checked."""
    try:
        found = _folder(path) if path.is_dir() else by_name(path.name) if path.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None
    return found if found in {"cog", "zarr", "netcdf"} else None
