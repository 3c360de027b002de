"""Hostile GeoTIFF, and files that only call themselves so."""

from __future__ import annotations

import os
import socket
import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from abuse.harness import MARKUP, Case, Site
from abuse.making import (
    MAIN,
    beside_good,
    damaged,
    flipped,
    overwritten,
    profile_data,
    truncated,
    write_profile,
    write_tif,
    zeros_deflated,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_KINDS: dict[str, dict[str, Any]] = {
    "strips": {},
    "deflate": {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
    "bigtiff": {"BIGTIFF": "YES", "compress": "lzw", "predictor": 2},
}


def cases() -> Iterator[Case]:
    for kind, options in _KINDS.items():
        write = partial(write_tif, **options)
        yield damaged(f"tif/truncated-{kind}", "tif", write, truncated())
        yield damaged(f"tif/flipped-{kind}", "tif", write, flipped())
        yield damaged(f"tif/overwritten-{kind}", "tif", write, overwritten())
    yield from beside_good("tif/none", {name: _bytes(data) for name, data in _no_tiff().items()}, "tif", refused=True)
    yield from beside_good("tif/refused", REFUSED, "tif", refused=True)
    yield from beside_good("tif/odd", _ODD, "tif")
    names = {ascii(name)[:60]: partial(_named, name=name) for name in _NAMES}
    yield from beside_good("tif/name", names, "tif")
    yield Case("tif/bands-2000", _bands_planned)


def _bytes(data: bytes) -> Callable[[Site, Path], Any]:
    return lambda _site, path: path.write_bytes(data)


# --- headers by hand ------------------------------------------------------------------------------------------------


def tiff(tags: dict[int, tuple[int, tuple[int, ...]]], *, data: bytes = b"", follows: int = 0) -> bytes:
    """A little-endian TIFF 6.0 of one directory; ``tags`` map the number to type (3 SHORT, 4 LONG) and values.

    ``data`` stands at offset 8; ``follows`` is the offset of the next directory.
    """
    directory = 8 + len(data) + len(data) % 2
    beyond, entries = directory + 6 + 12 * len(tags), b""
    extra = b""
    for tag, (kind, values) in sorted(tags.items()):
        raw = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(raw) > 4:
            raw, extra = struct.pack("<I", beyond + len(extra)), extra + raw
        entries += struct.pack("<HHI", tag, kind, len(values)) + raw.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<I", directory) + data.ljust(directory - 8, b"\0")
    return head + struct.pack("<H", len(tags)) + entries + struct.pack("<I", follows) + extra


def _tags(width: int, height: int, **changes: tuple[int, tuple[int, ...]]) -> dict[int, tuple[int, tuple[int, ...]]]:
    """Of a picture of bytes in one strip at offset 8; a change is ``t<number>``."""
    base = {
        256: (4, (width,)), 257: (4, (height,)), 258: (3, (8,)), 259: (3, (1,)), 262: (3, (1,)), 273: (4, (8,)),
        277: (3, (1,)), 278: (4, (height,)), 279: (4, (min(width * height, 2**32 - 1),)),
        34735: (3, (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32631)),
    }  # fmt: skip
    return base | {int(key[1:]): value for key, value in changes.items()}


def _bomb(side: int) -> bytes:
    """Zeros of side x side bytes in one strip of deflate."""
    data = zeros_deflated(side * side)
    return tiff(_tags(side, side, t259=(3, (8,)), t279=(4, (len(data),))), data=data)


def _no_tiff() -> dict[str, bytes]:
    """Files that are no TIFF, or one that cannot be read."""
    picture = bytes(16)
    return {
        "empty": b"",
        "one-byte": b"I",
        "text": b"not an image\n" * 99,
        "zeros": bytes(10_000),
        "page-of-html": b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
        "elf": b"\x7fELF" + bytes(500),
        "gzip": b"\x1f\x8b\x08" + bytes(500),
        "json": b'{"type": "FeatureCollection"}',
        "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "header-alone": b"II*\0\x08\0\0\0",
        "directory-beyond-end": b"II*\0" + struct.pack("<I", 2**32 - 2),
        "directory-cyclic": tiff(_tags(4, 4), data=picture, follows=24)[:8] + b"II*\0\x04\0\0\0",
        "no-size": tiff({key: value for key, value in _tags(4, 4).items() if key > 257}, data=picture),
        "zero-size": tiff(_tags(0, 0), data=picture),
        "largest-size": tiff(_tags(2**31 - 1, 2**31 - 1), data=picture),
        "terabyte-strip": tiff(_tags(10**6, 10**6), data=picture),
        "terabyte-tiles": tiff(
            _tags(10**6, 10**6, t322=(4, (2**20,)), t323=(4, (2**20,)), t324=(4, (8,)), t325=(4, (16,))), data=picture
        ),
        "bands-65535": tiff(_tags(2000, 2000, t277=(3, (65535,))), data=picture),
        "bits-65535": tiff(_tags(4, 4, t258=(3, (65535,))), data=picture),
        "unknown-compression": tiff(_tags(4, 4, t259=(3, (60000,))), data=picture),
        "deflate-of-noise": tiff(_tags(4, 4, t259=(3, (8,))), data=b"\xde\xad" * 8),
        "jpeg-of-noise": tiff(_tags(16, 16, t259=(3, (7,))), data=b"\xff\xd8\xff" * 80),
        "lerc-of-noise": tiff(_tags(16, 16, t259=(3, (34887,))), data=b"Lerc2 " + bytes(250)),
        "zero-rows-a-strip": tiff(_tags(4, 4, t278=(4, (0,))), data=picture),
        "count-of-2-32": b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 270, 2, 2**32 - 1, 8) + bytes(4),
        "directory-of-65535": b"II*\0\x08\0\0\0\xff\xff" + bytes(12 * 100),
        "bigtiff-of-2-64": b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**64 - 1),
        "deflate-bomb": _bomb(120_000),
    }


# --- files that lead elsewhere, or without end ----------------------------------------------------------------------


def _vrt(source: str) -> str:
    return (
        '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32631</SRS>'
        "<GeoTransform>500000,100,0,5000000,0,-100</GeoTransform>"
        f'<VRTRasterBand dataType="Int16" band="1"><SimpleSource><SourceFilename>{source}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def _vrt_outside(site: Site, path: Path) -> None:
    write_tif(site.outside / "secret.tif")
    path.write_text(_vrt(str(site.outside / "secret.tif")))


def _vrt_raw(site: Site, path: Path) -> None:
    band = (
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
        f"<SourceFilename>{site.outside}/secret.txt</SourceFilename></VRTRasterBand>"
    )
    path.write_text(f'<VRTDataset rasterXSize="20" rasterYSize="20">{band}</VRTDataset>')


def _side_file_outside(ending: str) -> Callable[[Site, Path], Any]:
    """A side file that is a link out of the folder; the raster itself has no place."""

    def write(site: Site, path: Path) -> None:
        write_tif(path, crs=None, transform=rasterio.Affine.identity())
        name = path.with_suffix(ending) if ending == ".tfw" else path.with_name(path.name + ending)
        name.symlink_to(site.outside / "secret.txt")

    return write


def _sparse(side: int, dtype: str = "uint8") -> Callable[[Site, Path], Any]:
    """A sound GeoTIFF of a few kB to MB that has no tile stored."""

    def write(_site: Site, path: Path) -> None:
        layout = {"tiled": True, "blockxsize": 4096, "blockysize": 4096, "SPARSE_OK": "TRUE", "BIGTIFF": "YES"}
        place = {"crs": "EPSG:32631", "transform": rasterio.Affine(1, 0, 500_000, 0, -1, 5_000_000)}
        with rasterio.open(path, "w", "GTiff", side, side, 1, dtype=dtype, **place, **layout, compress="deflate"):
            pass

    return write


def _terabyte_of_holes(_site: Site, path: Path) -> None:
    write_tif(path)
    os.truncate(path, 10**12)


def _socket(_site: Site, path: Path) -> None:
    os.chdir(path.parent)
    socket.socket(socket.AF_UNIX).bind(path.name)


REFUSED: dict[str, Callable[[Site, Path], Any]] = {
    "vrt-outside": _vrt_outside,
    "vrt-raw-outside": _vrt_raw,
    "vrt-to-loopback": lambda site, path: path.write_text(_vrt(f"/vsicurl/{site.url}/a.tif")),
    "vrt-in-zip": lambda site, path: path.write_text(_vrt(f"/vsizip/{site.outside}/a.zip/a.tif")),
    "vrt-of-itself": lambda _site, path: path.write_text(_vrt(str(path))),
    "gti-outside": lambda site, path: path.write_text(
        f"<GDALTileIndexDataset><IndexDataset>{site.outside}/secret.txt</IndexDataset></GDALTileIndexDataset>"
    ),
    "wms-to-loopback": lambda site, path: path.write_text(
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{site.url}/${{z}}.png</ServerUrl></Service></GDAL_WMS>'
    ),
    "stac-to-loopback": lambda site, path: path.write_text(
        f'{{"type": "Feature", "stac_version": "1.0.0", "assets": {{"a": {{"href": "{site.url}/a.tif"}}}}}}'
    ),
    "envi-outside": lambda site, path: path.write_text(f"ENVI\nsamples = 9\nlines = 9\ndata file = {site.outside}\n"),
    "sparse-terabyte": _sparse(1_000_000),
    "sparse-of-doubles": _sparse(100_000, "float64"),
    "named-pipe": lambda _site, path: os.mkfifo(path),
    "socket": _socket,
    "zeros-of-a-device": lambda _site, path: path.symlink_to("/dev/zero"),
    "link-to-nothing": lambda _site, path: path.symlink_to("nothing-there"),
    "link-to-itself": lambda _site, path: path.symlink_to(path.name),
    "folder": lambda _site, path: path.mkdir(),
    "terabyte-of-zeros": lambda _site, path: (path.touch(), os.truncate(path, 10**12)),
    "unreadable-place": lambda _site, path: write_tif(path, crs=None),
    "tfw-outside": _side_file_outside(".tfw"),
    "aux-xml-outside": _side_file_outside(".aux.xml"),
}

# --- sound headers that say odd things ------------------------------------------------------------------------------


def _cells(width: float, height: float, west: float = 500_000, north: float = 5_000_000) -> Callable[[Site, Path], Any]:
    place = rasterio.Affine(width, 0, west, 0, height, north)
    return lambda _site, path: write_tif(path, transform=place)


def _crs_of(text: str) -> Callable[[Site, Path], Any]:
    """A CRS in words, in a side file, in which OUTSIDE stands for the folder outside and URL for the port."""

    def write(site: Site, path: Path) -> None:
        write_tif(path, crs=None)
        words = text.replace("OUTSIDE", str(site.outside)).replace("URL", site.url).replace("<", "&lt;")
        path.with_name(path.name + ".aux.xml").write_text(f"<PAMDataset><SRS>{words}</SRS></PAMDataset>")

    return write


_GRID_FILE = (
    'GEOGCS["a",DATUM["d",SPHEROID["s",6378137,298],EXTENSION["PROJ4_GRIDS","{0}"]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]]'
)
_XML_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><PAMDataset><SRS>&j;</SRS></PAMDataset>"
)


def _beside(ending: str, text: str) -> Callable[[Site, Path], Any]:
    def write(site: Site, path: Path) -> None:
        write_tif(path)
        path.with_name(path.name + ending).write_text(text.replace("OUTSIDE", str(site.outside)))

    return write


def _link_beside(ending: str) -> Callable[[Site, Path], Any]:
    def write(site: Site, path: Path) -> None:
        write_tif(path)
        path.with_name(path.name + ending).symlink_to(site.outside / "secret.txt")

    return write


def _pages(_site: Site, path: Path) -> None:
    """A chain of 20,000 directories, each of a picture of 4 x 4."""
    one = tiff(_tags(4, 4), data=bytes(16))
    size, body = len(one) - 8, one[8:]
    out = bytearray(one[:8])
    for number in range(20_000):
        shifted = bytearray(body)
        end = 16 + 2 + 12 * len(_tags(4, 4))
        follows = 8 + (number + 1) * size + 16
        shifted[end : end + 4] = struct.pack("<I", follows if number < 19_999 else 0)
        out += shifted
    path.write_bytes(bytes(out))


_ODD: dict[str, Callable[[Site, Path], Any]] = {
    "cells-1e300": _cells(1e300, -1e300),
    "cells-0": _cells(0, 0),
    "cells-1e-300": _cells(1e-300, -1e-300),
    "cells-nan": _cells(float("nan"), float("nan")),
    "cells-inf": _cells(float("inf"), -1),
    "cells-beyond-the-zone": _cells(1e6, -1e6),
    "corner-1e308": _cells(100, -100, 1e308, 1e308),
    "cells-sheared": lambda _site, path: write_tif(path, transform=rasterio.Affine(1, 1, 0, 1, 1, 0)),
    "values-1e308": lambda _site, path: write_tif(path, np.full((64, 64), 1.7e308), nodata=None),
    "values-inf": lambda _site, path: write_tif(path, np.full((64, 64), np.inf, "f4"), nodata=None),
    "values-nan-alone": lambda _site, path: write_tif(path, np.full((64, 64), np.nan, "f4"), nodata=None),
    "nodata-alone": lambda _site, path: write_tif(path, np.full((64, 64), -1, "i2")),
    "complex": lambda _site, path: write_tif(path, np.full((64, 64), 1 + 2j, "c8"), nodata=None),
    "bands-200": lambda _site, path: _bands(path, 200),
    "pages-20000": _pages,
    "markup-in-tags": lambda _site, path: write_tif(path, tags={"TIFFTAG_IMAGEDESCRIPTION": MARKUP, MARKUP: MARKUP}),
    "escapes-in-tags": lambda _site, path: write_tif(path, tags={"A": "\x1b[2J\x1b]0;title\x07", "B": "a\nb\rc"}),
    "tag-of-megabytes": lambda _site, path: write_tif(path, tags={"A": "x" * 5_000_000}),
    "tags-20000": lambda _site, path: write_tif(path, tags={f"A{n}": "x" for n in range(20_000)}),
    "tag-of-template": lambda _site, path: write_tif(path, tags={"A": "{{ 7*7 }} {% raw %} %s {0.__class__}"}),
    "crs-with-grid-file": _crs_of(_GRID_FILE.format("OUTSIDE/secret.txt")),
    "crs-with-grid-at-loopback": _crs_of(_GRID_FILE.format("URL/a.gsb")),
    "crs-of-proj-with-grid": _crs_of("+proj=longlat +ellps=GRS80 +nadgrids=OUTSIDE/secret.txt +no_defs"),
    "crs-of-proj-init": _crs_of("+init=OUTSIDE/secret.txt:1"),
    "crs-nested": _crs_of('GEOGCS["a",' * 20_000),
    "crs-of-a-url": _crs_of("URL/crs.wkt"),
    "crs-of-a-file": _crs_of("OUTSIDE/secret.txt"),
    "crs-with-markup": _crs_of(f'LOCAL_CS["{MARKUP}",UNIT["metre",1]]'),
    "aux-xml-bomb": _beside(".aux.xml", _XML_BOMB),
    "aux-xml-entity": _beside(
        ".aux.xml",
        '<!DOCTYPE a [<!ENTITY s SYSTEM "file://OUTSIDE/secret.txt">]><PAMDataset><Metadata><MDI key="a">&s;</MDI>'
        "</Metadata></PAMDataset>",
    ),
    "aux-xml-nested": _beside(".aux.xml", "<PAMDataset>" * 50_000),
    "overviews-outside": _link_beside(".ovr"),
    "mask-outside": _link_beside(".msk"),
    "holes-of-a-terabyte": _terabyte_of_holes,
}


def _bands_planned(site: Site) -> list[str]:
    """A file of 2,000 products: what is looked at is the plan, for to make them all is work."""
    (site.inside / "raw").mkdir()
    _bands(site.inside / "raw" / "a_20200101.tif", 2000)
    write_profile(site, profile_data("tif", product__variables=None))
    return ["plan", *MAIN[1:]]


def _bands(path: Path, count: int) -> None:
    write_tif(path, np.zeros((count, 4, 4), "i2"))


# --- names ----------------------------------------------------------------------------------------------------------

_NAMES = (
    b"caf\xe9_20200101.tif", b"a\nb_20200101.tif", b"-rf_20200101.tif", b"$(touch outside)_20200101.tif",
    b"`id`_20200101.tif", b"..._20200101.tif", b"a b'c\"d_20200101.tif", b"{start}_20200101.tif",
    b"%s%n_20200101.tif", b"[ab]*?_20200101.tif", b"\x1b[31m_20200101.tif",
    MARKUP.replace("/", "_").encode() + b"_20200101.tif",
    "\u202egnp_20200101.tif".encode(), "\U0001f30d_20200101.tif".encode(), b"x" * 230 + b"_20200101.tif",
    b"a;b&c|d_20200101.tif", b"\\..\\..\\a_20200101.tif", b"a#b?c=d_20200101.tif", b"a%2e%2e%2fb_20200101.tif",
    b"vsicurl_http:__20200101.tif", "A\u030a_20200101.tif".encode(),
    b"a:b_20200101.tif", b"NETCDF:a_20200101.tif", b"~_20200101.tif", b"a=b::c_20200101.tif",
)  # fmt: skip


def _named(site: Site, path: Path, name: bytes) -> None:
    day = os.fsencode(path.stem[-8:])
    place = os.fsencode(path.parent) + b"/" + name.replace(b"20200101", day)
    write_tif(site.inside / "made.tif").rename(os.fsdecode(place))
