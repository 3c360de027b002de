"""Checks of a GeoTIFF as a COG: layout, tiles, overviews, georeference, and the metadata of its bands."""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.cf_attributes import name_findings
from earthcode_pack.checks.targets import DECODED
from earthcode_pack.geo.box import HALF
from earthcode_pack.redact import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Finding

_TILES = {(256, 256), (512, 512)}
_COLOURS = {"red", "green", "blue", "alpha"}
_GLOBE = 359.0  # degrees: width of a global grid, less a cell
_REMOTE = "remote.tif"  # GDAL's name of a file that is read through Python
_BLOCK = 1 << 18  # bytes of one request
_LOSSY = {"JPEG", "YCbCr JPEG", "WEBP", "JXL"}


def cog_findings(href: str, subject: str, *, classes: bool = False, deep: bool = False) -> list[Finding]:
    """Checks a GeoTIFF against the rules for COG.

    Args:
        href: Path or URL of the file.
        subject: Name of the file in findings.
        classes: Whether STAC describes the values as categories; a colour table in the file says so too.
        deep: Decodes every block instead of the first and the last.

    Returns:
        The findings, one of them that the file is unreadable where GDAL cannot open or decode it.

    """
    from rasterio.errors import RasterioError  # noqa: PLC0415 - heavy
    from rio_cogeo.cogeo import cog_validate  # noqa: PLC0415 - heavy

    found: list[Finding] = []
    try:
        with open_tiff(href) as src:
            found += [*_layout(src, subject), *_georeference(src, subject), *_bands(src, subject, classes=classes)]
            _, errors, doubts = cog_validate(src.name, strict=True, quiet=True)
            for text in (*errors, *doubts):
                found.append(rules.COG_VALID.finding(subject, f"{subject} is no valid COG: {text}", text))
            windows = [window for _, window in src.block_windows(1)]
            if prod(src.block_shapes[0]) * src.count * 16 <= DECODED:  # no type has more than 16 bytes
                for window in windows if deep else windows[:: max(1, len(windows) - 1)]:
                    src.read(window=window)  # raises where the block does not decode
    except RasterioError as error:
        found.append(rules.UNREADABLE.finding(subject, f"{subject} cannot be read as GeoTIFF: {redacted(str(error))}"))
    return found


@contextmanager
def open_tiff(href: str) -> Iterator[Any]:
    """Opens a GeoTIFF with GDAL's own driver only and without sidecar files, so that no file leads to another.

    A remote file is read through fsspec, by ranges: GDAL itself never uses the network.

    Args:
        href: Path or URL of the file.

    Yields:
        The rasterio dataset; while it is open, other libraries can open its ``name``.

    """
    import rasterio  # noqa: PLC0415 - heavy
    from rasterio.errors import NotGeoreferencedWarning  # noqa: PLC0415 - heavy

    options: dict[str, Any] = {}
    if "://" in href:
        from earthcode_pack.storage.inputs import filesystem  # noqa: PLC0415 - only for what is remote

        fs, path = filesystem(href)

        def opener(name: str, mode: str = "rb", **_: Any) -> Any:
            if name != _REMOTE or mode != "rb":
                raise FileNotFoundError(name)
            # fsspec's files compare equal to each other, and rasterio would drop one: hence the reader
            return io.BufferedReader(fs.open(path, "rb", block_size=_BLOCK))

        options = {"opener": opener}
    alone = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
    with warnings.catch_warnings(), rasterio.Env(**alone):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a finding says it
        with rasterio.open(_REMOTE if options else href, driver="GTiff", **options) as src:
            yield src


def _layout(src: Any, subject: str) -> Iterator[Finding]:
    """Checks tiles, overviews, interleaving and compression."""
    tile, size = src.block_shapes[0], (src.height, src.width)
    whole = tile[0] >= size[0] and tile[1] >= size[1] and max(tile) <= 512  # noqa: PLR2004 - a single tile
    if tile not in _TILES and not whole:
        yield rules.COG_TILE.finding(subject, f"{subject} has blocks of {tile[0]} x {tile[1]} cells", list(tile))
    expected = overview_factors(*size, max(tile) if src.profile.get("tiled") else 512)
    for band in src.indexes:
        factors = src.overviews(band)
        if factors[: len(expected)] != expected:
            message = f"band {band} of {subject} has overviews {factors}, not {expected}"
            yield rules.COG_OVERVIEWS.finding(subject, message, factors, expected)
    structure = src.tags(ns="IMAGE_STRUCTURE")
    if src.count > 1 and structure.get("INTERLEAVE") != "BAND":
        message = f"the {src.count} bands of {subject} are interleaved by {structure.get('INTERLEAVE')}"
        yield rules.COG_INTERLEAVE.finding(subject, message, structure.get("INTERLEAVE"))
    lossy = structure.get("COMPRESSION") in _LOSSY or float(structure.get("MAX_Z_ERROR", 0)) > 0
    if lossy and structure.get("COMPRESSION_REVERSIBILITY") != "LOSSLESS":
        message = f"{subject} is compressed with {structure['COMPRESSION']}, which loses detail"
        yield rules.COG_LOSSY.finding(subject, message, structure["COMPRESSION"])


def overview_factors(height: int, width: int, tile: int) -> list[int]:
    """Returns the factors of two down to the overview that fits in one tile.

    >>> overview_factors(2000, 1000, 512)
    [2, 4]
    """
    factors: list[int] = []
    while ceil(max(height, width) / 2 ** len(factors)) > tile:
        factors.append(2 ** (len(factors) + 1))
    return factors


def _georeference(src: Any, subject: str) -> Iterator[Finding]:
    """Checks CRS, geotransform, orientation and the longitudes of a global grid."""
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


def _bands(src: Any, subject: str, *, classes: bool) -> Iterator[Finding]:
    """Checks the number of variables, and nodata, units and standard name of each band that is no colour."""
    roles = [role.name for role in src.colorinterp]
    picture = {"red", "green", "blue"} <= set(roles)
    quantities = [band for band, role in zip(src.indexes, roles, strict=True) if role not in _COLOURS]
    if len(quantities) > 1 or (picture and quantities):
        message = f"{subject} holds {len(quantities)} variables"
        yield rules.COG_VARIABLE.finding(subject, message, len(quantities))
    has_mask = any(flag.name in {"per_dataset", "alpha"} for flags in src.mask_flag_enums for flag in flags)
    for band in quantities:
        categorical, dtype = classes or roles[band - 1] == "palette", src.dtypes[band - 1]
        if src.nodatavals[band - 1] is None and not (picture or has_mask):
            number = rules.COG_NODATA if "float" in dtype else rules.COG_NODATA_INTEGER
            rule = rules.COG_NODATA_CLASSES if categorical else number
            yield rule.finding(subject, f"band {band} of {subject} ({dtype}) has neither nodata nor mask", dtype)
        # a conversion from CF keeps the standard name among the band's tags
        unit, name = src.units[band - 1], src.tags(band).get("standard_name")
        if not (unit or categorical):
            message = f"band {band} ({src.descriptions[band - 1] or 'unnamed'}) of {subject} has no unit"
            yield rules.COG_UNITS.finding(subject, message, band)
        yield from name_findings(subject, name, None if categorical else unit, f"band {band} of {subject}")
