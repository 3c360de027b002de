"""Rasters of other formats, known by their first bytes: not opened here, and the way out through GDAL's own tool."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = "GeoTIFF, NetCDF, HDF5, GRIB or Zarr"
_KNOWN = {
    b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000", b"EHFA_HEADER_TAG": "ERDAS Imagine",
    b"ncols": "an Arc/Info ASCII grid", b"NCOLS": "an Arc/Info ASCII grid", b"NITF": "NITF", b"NSIF": "NITF",
    b"<VRTDataset": "a VRT, which names other files", b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG",
    b"SIMPLE  =": "FITS", b"DSAA": "a Surfer grid", b"DSBB": "a Surfer grid", b"DSRB": "a Surfer grid",
    b"SQLite format 3": "GeoPackage", b"\x0e\x03\x13\x01": "HDF4",
}  # fmt: skip
_SETS = {"HDF4", "GeoPackage"}  # several rasters in one file
_LONGEST = max(map(len, _KNOWN))
_HEADER = b"ENVI"


def refusal(path: Path) -> Unreadable:
    """Why a file that is none of the formats read here is refused, and how to make a GeoTIFF of it."""
    start = _begins_with(path)
    if start.startswith(_HEADER):
        return Unreadable(
            f"{path.name}: the header of an ENVI raster, and not {FORMATS}",
            "leave it out of source.href, and make a GeoTIFF of its data file with `gdal_translate`",
        )
    known = next((name for magic, name in _KNOWN.items() if start.startswith(magic)), None)
    header = None if known else _header_of(path)
    if header is not None:
        known = f"a flat binary raster (ENVI or ESRI) with the header {header}"
    options = ("-sds",) if known in _SETS else ()
    command = gdal_translate(*options, path.name, f"{path.stem}.tif")
    if known is None:
        return Unreadable(
            f"{path.name}: not {FORMATS} (it begins with {start[:4]!r})",
            f"leave it out of source.href, or repair it; where GDAL reads it, make a GeoTIFF of it: {command}",
        )
    return Unreadable(
        f"{path.name}: {known}, and not {FORMATS}",
        f"make a GeoTIFF of it, and name that in source.href: {command}",
    )


def gdal_translate(*words: str) -> str:
    """The command as it is typed into a shell, where the file lies.

    >>> gdal_translate("-b", "1", "a b.tif", "NEW.tif")
    "`gdal_translate -b 1 'a b.tif' NEW.tif`"
    """
    return f"`{shlex.join(['gdal_translate', *words])}`"


def _begins_with(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST)


def _header_of(path: Path) -> str | None:
    """The name of the text beside a flat binary that says what it holds (GDAL, drivers ENVI and EHdr)."""
    names = dict.fromkeys([f"{path.name}.hdr", f"{path.stem}.hdr", f"{path.stem}.HDR"])
    return next((name for name in names if name != path.name and (path.parent / name).is_file()), None)
