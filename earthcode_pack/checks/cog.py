"""A GeoTIFF as a cloud-optimised one: layout, tiles, overviews, and what a reader needs to know of its cells."""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.cf_attributes import name_findings
from earthcode_pack.checks.limits import DECODED
from earthcode_pack.geo.box import HALF
from earthcode_pack.redact import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from earthcode_pack.model import Finding

_TILES = {(256, 256), (512, 512)}
_COLOURS = {"red", "green", "blue", "alpha"}
_GLOBE = 359.0  # degrees: a global grid, but for a cell
_REMOTE = "remote.tif"  # how GDAL knows a file that is read through Python
_BLOCK = 1 << 18  # bytes of one request
_LOSSY = {"JPEG", "YCbCr JPEG", "WEBP", "JXL"}


def cog_findings(href: str, subject: str, *, classes: bool = False, deep: bool = False) -> list[Finding]:
    """What a GeoTIFF breaks of the rules for COG.

    ``href`` is a path or a URL; ``classes`` says that the values are known to be categories (its STAC describes them),
    besides a colour table in the file. ``deep`` decodes every block instead of the first and the last.
    """
    from rasterio.errors import RasterioError  # noqa: PLC0415 - heavy

    found: list[Finding] = []
    try:
        with open_tiff(href) as src:
            found += [*_layout(src, subject), *_georeference(src, subject), *_cells(src, subject, classes=classes)]
            found += _valid(src, subject)
            _decode(src, deep=deep)
    except RasterioError as error:
        found.append(rules.UNREADABLE.finding(subject, f"{subject} cannot be read as GeoTIFF: {redacted(str(error))}"))
    return found


@contextmanager
def open_tiff(href: str) -> Iterator[Any]:
    """The rasterio dataset of a GeoTIFF, by its own driver only, so that no file leads to another.

    A remote one is read through fsspec, by ranges: GDAL itself asks no network. ``name`` of the dataset is what other
    libraries can open meanwhile.
    """
    import rasterio  # noqa: PLC0415 - heavy
    from rasterio.errors import NotGeoreferencedWarning  # noqa: PLC0415 - heavy

    remote = {"opener": _opener(href)} if "://" in href else {}
    alone = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if remote else {}
    with warnings.catch_warnings(), rasterio.Env(**alone):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a finding says it
        with rasterio.open(_REMOTE if remote else href, driver="GTiff", **remote) as src:
            yield src


def _opener(href: str) -> Callable[..., Any]:
    """What GDAL reads a remote file through; files that it looks for beside that one are not there."""
    from earthcode_pack.storage.inputs import filesystem  # noqa: PLC0415 - only for what is remote

    fs, path = filesystem(href)

    def opened(name: str, mode: str = "rb", **_: Any) -> Any:
        if name != _REMOTE or mode != "rb":
            raise FileNotFoundError(name)
        return io.BufferedReader(
            fs.open(path, "rb", block_size=_BLOCK)
        )  # fsspec's equal each other: rasterio drops one

    return opened


def _valid(src: Any, subject: str) -> list[Finding]:
    from rio_cogeo.cogeo import cog_validate  # noqa: PLC0415 - heavy

    _, errors, doubts = cog_validate(src.name, strict=True, quiet=True)
    return [rules.COG_VALID.finding(subject, f"{subject} is no valid COG: {text}", text) for text in [*errors, *doubts]]


def _layout(src: Any, subject: str) -> Iterator[Finding]:
    tile, size = src.block_shapes[0], (src.height, src.width)
    whole = tile[0] >= size[0] and tile[1] >= size[1] and max(tile) <= 512  # noqa: PLR2004 - a single tile
    if tile not in _TILES and not whole:
        yield rules.COG_TILE.finding(subject, f"{subject} has blocks of {tile[0]} x {tile[1]} cells", list(tile))
    yield from _overviews(src, subject)
    structure = src.tags(ns="IMAGE_STRUCTURE")
    if src.count > 1 and structure.get("INTERLEAVE") != "BAND":
        message = f"the {src.count} bands of {subject} are interleaved by {structure.get('INTERLEAVE')}"
        yield rules.COG_INTERLEAVE.finding(subject, message, structure.get("INTERLEAVE"))
    lossy = structure.get("COMPRESSION") in _LOSSY or float(structure.get("MAX_Z_ERROR", 0)) > 0
    if lossy and structure.get("COMPRESSION_REVERSIBILITY") != "LOSSLESS":
        message = f"{subject} is compressed with {structure['COMPRESSION']}, which loses detail"
        yield rules.COG_LOSSY.finding(subject, message, structure["COMPRESSION"])


def _overviews(src: Any, subject: str) -> Iterator[Finding]:
    expected = overview_factors(src.height, src.width, max(src.block_shapes[0]) if src.profile.get("tiled") else 512)
    for band in src.indexes:
        factors = src.overviews(band)
        if factors[: len(expected)] != expected:
            message = f"band {band} of {subject} has overviews {factors}, not {expected}"
            yield rules.COG_OVERVIEWS.finding(subject, message, factors, expected)


def overview_factors(height: int, width: int, tile: int) -> list[int]:
    """The factors of two down to the overview that fits in one tile.

    >>> overview_factors(2000, 1000, 512)
    [2, 4]
    """
    factors: list[int] = []
    while ceil(max(height, width) / 2 ** len(factors)) > tile:
        factors.append(2 ** (len(factors) + 1))
    return factors


def _georeference(src: Any, subject: str) -> Iterator[Finding]:
    transform = src.transform
    if src.crs is None:
        yield rules.COG_CRS.finding(subject, f"{subject} has no CRS")
    if transform.is_identity:
        yield rules.COG_GEOREFERENCE.finding(subject, f"{subject} has no geotransform", list(transform)[:6])
    elif not (transform.a > 0 > transform.e and transform.b == transform.d == 0):
        yield rules.COG_NORTH_UP.finding(subject, f"{subject} is not north-up", list(transform)[:6])
    left, _, right, _ = src.bounds
    if src.crs is not None and src.crs.is_geographic and right - left >= _GLOBE and right > HALF + transform.a:
        message = f"{subject} covers the globe with longitudes {left} to {right}"
        yield rules.COG_LONGITUDE.finding(subject, message, [left, right])


def _cells(src: Any, subject: str, *, classes: bool) -> Iterator[Finding]:
    roles = [role.name for role in src.colorinterp]
    picture = {"red", "green", "blue"} <= set(roles)
    quantities = [band for band, role in zip(src.indexes, roles, strict=True) if role not in _COLOURS]
    if len(quantities) > 1 or (picture and quantities):
        message = f"{subject} holds {len(quantities)} variables"
        yield rules.COG_VARIABLE.finding(subject, message, len(quantities))
    if not (picture or _masked(src)):
        yield from _nodata(src, subject, quantities, classes=classes)
    for band in quantities:
        yield from _units(src, subject, band, are_classes=classes or roles[band - 1] == "palette")


def _units(src: Any, subject: str, band: int, *, are_classes: bool) -> Iterator[Finding]:
    """The unit of a band, and the standard name among its tags, as a conversion from CF keeps it."""
    unit, name = src.units[band - 1], src.tags(band).get("standard_name")
    if not (unit or are_classes):
        message = f"band {band} ({src.descriptions[band - 1] or 'unnamed'}) of {subject} has no unit"
        yield rules.COG_UNITS.finding(subject, message, band)
    yield from name_findings(subject, name, None if are_classes else unit, f"band {band} of {subject}")


def _masked(src: Any) -> bool:
    return any(flag.name in {"per_dataset", "alpha"} for flags in src.mask_flag_enums for flag in flags)


def _nodata(src: Any, subject: str, bands: Iterable[int], *, classes: bool) -> Iterator[Finding]:
    for band in bands:
        if src.nodatavals[band - 1] is not None:
            continue
        dtype = src.dtypes[band - 1]
        categorical = classes or src.colorinterp[band - 1].name == "palette"
        integer = rules.COG_NODATA if "float" in dtype else rules.COG_NODATA_INTEGER
        broken = rules.COG_NODATA_CLASSES if categorical else integer
        yield broken.finding(subject, f"band {band} of {subject} ({dtype}) has neither nodata nor mask", dtype)


def _decode(src: Any, *, deep: bool) -> None:
    """Reads blocks; GDAL raises where one does not decode."""
    windows = [window for _, window in src.block_windows(1)]
    if prod(src.block_shapes[0]) * src.count * 16 > DECODED:  # no type has more than 16 bytes
        return
    for window in windows if deep else windows[:: max(1, len(windows) - 1)]:
        src.read(window=window)
