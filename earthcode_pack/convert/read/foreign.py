"""Files of formats that are not opened: what they are by their bytes, and the way to a format that is."""

from __future__ import annotations

import shlex
import tarfile
import zipfile
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from earthcode_pack.errors import AGAIN, Unreadable

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = "GeoTIFF, NetCDF, HDF5, GRIB or Zarr"
_ENDINGS = {".tif", ".tiff", ".nc", ".nc4", ".h5", ".he5", ".hdf5", ".grib", ".grb", ".grib2", ".grb2", ".zarr", ".jp2"}
_MOST_FILES = 10_000  # of a folder that are looked at
_HEAD = 600  # bytes: a tar's mark stands at 257, a GRIB may stand behind the heading of a bulletin
_LEAVE = "leave it out of source.href, or convert it to GeoTIFF or NetCDF"

# What a file begins with, what that is, and which of the ways below leads on.
_BEGINNINGS: list[tuple[bytes, str, str]] = [
    (b"\0\0\0\x0cjP  ", "a JPEG 2000", "raster"), (b"\xff\x4f\xff\x51", "a JPEG 2000", "raster"),
    (b"EHFA_HEADER_TAG", "an Erdas Imagine raster", "raster"), (b"NITF", "a NITF", "raster"),
    (b"<VRTDataset", "a VRT of GDAL", "raster"), (b"ncols", "an Arc/Info ASCII grid", "raster"),
    (b"\x89PNG", "a PNG", "raster"), (b"\xff\xd8\xff", "a JPEG", "raster"), (b"GIF8", "a GIF", "raster"),
    (b"\x0e\x03\x13\x01", "an HDF4", "hdf4"),
    (b"SQLite format 3", "a GeoPackage or another SQLite database", "tiles"),
    (b"\0\0\x27\x0a", "a Shapefile", "vector"), (b"fgb", "a FlatGeobuf", "vector"),
    (b"PAR1", "a Parquet file", "table"),
    (b"ENVI", "the header of an ENVI raster", "part"), (b"PROJCS[", "a CRS as WKT", "part"),
    (b"GEOGCS[", "a CRS as WKT", "part"), (b"<PAMDataset", "what GDAL notes beside a raster", "part"),
    (b"BYTEORDER", "the header of a raster", "part"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file", "lfs"),
    (b"PK\x03\x04", "a zip archive", "zip"), (b"PK\x05\x06", "an empty zip archive", "leave"),
    (b"\x1f\x8b", "compressed by gzip", "gzip"), (b"BZh", "compressed by bzip2", "leave"),
    (b"\xfd7zXZ", "compressed by xz", "leave"), (b"BUFR", "a BUFR", "leave"), (b"SIMPLE  =", "a FITS", "leave"),
]  # fmt: skip


_RASTERIZE = "`gdal_rasterize -a FIELD -a_nodata NODATA -tr XSIZE YSIZE {name} {stem}.tif`"
_WAYS = {
    "raster": "convert it to GeoTIFF: `rio convert {name} {stem}.tif`, or `gdal_translate {name} {stem}.tif`",
    "hdf4": "convert it with a GDAL that reads HDF4, such as Debian's: `gdalinfo {name}` names its data sets as "
    "SUBDATASET_n_NAME, `gdal_translate SUBDATASET_n_NAME {stem}_n.tif` converts one",
    "tiles": "convert a raster of it to GeoTIFF: `rio convert {name} {stem}.tif`; put features on a grid: "
    f"{_RASTERIZE}",
    "vector": f"put features on a grid: {_RASTERIZE}",
    "table": "write it as NetCDF by CF, such as by pandas and xarray: `xarray.Dataset.from_dataframe(table.set_index("
    "['time', 'lat', 'lon'])).to_netcdf(\"{stem}.nc\")`, with units on lat (degrees_north) and lon (degrees_east)",
    "part": "leave it out: let source.href end like the data alone, such as on *.tif",
    "lfs": "fetch the file itself: `git lfs pull --include {name}`",
    "bulletin": "copy its messages alone: `grib_copy {name} NEW.grib` (ecCodes)",
    "again": AGAIN,
    "leave": _LEAVE,
}


def refusal(path: Path) -> Unreadable:
    """The error for a file or folder that is none of the formats that are opened: what it is, and the way on.

    Reads the beginning of the file, or the names in an archive or folder.
    """
    if path.is_dir():
        return _of_folder(path)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return Unreadable(f"{path.name}: is empty (0 bytes)", AGAIN)
    what, way = _recognised(path, head)
    return Unreadable(f"{path.name}: {what}, and not {FORMATS}", way)


def _recognised(path: Path, head: bytes) -> tuple[str, str]:
    """Returns the format of a file, and the way on."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    begins = ((what, kind) for mark, what, kind in _BEGINNINGS if start.startswith(mark))
    what, kind = next(begins, None) or _by_content(path, head, start)
    return what, _way(kind, path)


def _by_content(path: Path, head: bytes, start: bytes) -> tuple[str, str]:
    line = start.split(b"\n")[0][:40].decode("utf-8", "replace").strip()
    looks = [
        (head[257:262] == b"ustar", "a tar archive", "tar"),
        (start[:14].lower().startswith((b"<!doctype html", b"<html")), "a page that a server sent instead", "again"),
        (b"GRIB" in head, "a GRIB behind another heading", "bulletin"),
        (start[:1] in {b"{", b"["}, "JSON", "vector"),
        (_has_header(path), "a raster whose header is a file beside it (ENVI, BIL)", "raster"),
        (_is_text(head), f"text ({line!r} …)", "table"),
        (True, f"unknown (it begins with {head[:4]!r})", "leave"),
    ]
    return next((what, kind) for holds, what, kind in looks if holds)


def _has_header(path: Path) -> bool:
    beside = (path.with_suffix(".hdr"), path.with_name(f"{path.name}.hdr"))
    return any(header != path and header.is_file() for header in beside)


def _is_text(head: bytes) -> bool:
    return all(byte >= ord(" ") or byte in b"\t\r\n" for byte in head)


def _way(kind: str, path: Path) -> str:
    name, stem = shlex.quote(path.name), shlex.quote(path.stem)  # as they are typed into a shell
    if kind == "gzip" and not path.name.endswith((".tar.gz", ".tgz")):
        return f"unpack it: `python -m gzip -d {name}`"
    if kind == "zip":
        return _unpacked("zipfile", name, _names_in_zip(path))
    if kind in ("tar", "gzip"):
        return _unpacked("tarfile", name, _names_in_tar(path))
    return _WAYS[kind].format(name=name, stem=stem)


def _unpacked(module: str, name: str, names: list[str]) -> str:
    held = f"; it holds {', '.join(names[:3])}{' …' if len(names) > 3 else ''}" if names else ""  # noqa: PLR2004
    return f"unpack it: `python -m {module} -e {name} FOLDER`, and name its files in source.href{held}"


def _names_in_zip(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [name for name in archive.namelist() if not name.endswith("/")]
    except zipfile.BadZipFile:
        return []


def _names_in_tar(path: Path) -> list[str]:
    try:
        with tarfile.open(path) as archive:
            return [member.name for member in archive if member.isfile()]
    except (tarfile.TarError, OSError, EOFError):
        return []


def _of_folder(path: Path) -> Unreadable:
    """The error for a folder that is no Zarr store, with the glob that names its data."""
    name = path.name
    if (path / ".zarray").is_file() or (path / ".zattrs").is_file():
        return Unreadable(f"{name}: a Zarr array without a group", "name the folder of its group in source.href")
    every = islice((file.relative_to(path) for file in path.rglob("*")), _MOST_FILES)
    files = [file for file in every if file.suffix and not file.name.startswith(".")]
    if not files:
        return Unreadable(f"{name}: a folder without files, and no Zarr store", "leave it out of source.href")
    endings = Counter(("**/" if len(file.parts) > 1 else "", file.suffix) for file in files)
    (deep, ending), _ = max(endings.items(), key=lambda item: (item[0][1].lower() in _ENDINGS, item[1]))
    return Unreadable(
        f"{name}: a folder, and no Zarr store", f"name the files in it in source.href, such as {name}/{deep}*{ending}"
    )


def gdal_translate(*words: str) -> str:
    """The command as it is typed into a shell, where the file lies.

    >>> gdal_translate("-b", "1", "a b.tif", "NEW.tif")
    "`gdal_translate -b 1 'a b.tif' NEW.tif`"
    """
    return f"`{shlex.join(['gdal_translate', *words])}`"
