"""GeoTIFF: what its header says, and its bands as variables of a dataset."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from pyproj import CRS  # before rasterio and ecCodes: see read/__init__.py
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning

from earthcode_pack.cf.flags import is_flags
from earthcode_pack.cf.missing import holds
from earthcode_pack.convert.read.foreign import gdal_translate
from earthcode_pack.convert.read.plausible import refuse_no_transform
from earthcode_pack.errors import Unreadable
from earthcode_pack.model import Grid, Variable
from earthcode_pack.nodata import as_number, is_nodata, nodata_values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from affine import Affine
    from rasterio.io import DatasetReader
    from rasterio.windows import Window

Array = np.ndarray[Any, Any]

# One GDAL thread here: work is parallel over files and blocks. Files beside the raster are not its bytes.
GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_NUM_THREADS": "1",
    "GDAL_CACHEMAX": 128 * 2**20,  # bytes: rasterio hands an int on as it is
}
_MOVED = 1e-3  # of a cell
_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@contextmanager
def open_tiff(path: Path) -> Iterator[DatasetReader]:
    """The raster, by GDAL's GTiff driver and no other: a VRT or a URL hidden in a file opens nothing.

    Raises ``Unreadable`` for what cannot become a COG: complex values, ground control points or RPCs alone.
    """
    with rasterio.Env(**GDAL_OPTIONS):
        try:
            dataset = _opened(path)
        except rasterio.errors.RasterioIOError as error:
            raise Unreadable(
                f"{path.name}: not a readable GeoTIFF ({error})",
                "fetch or write the file again, or leave it out of source.href",
            ) from error
        with dataset:
            _refuse_pages(dataset, path.name)
            _refuse_two_transparencies(dataset, path.name)
            _refuse_what_has_no_grid(dataset, path)
            yield dataset


def _opened(path: Path) -> DatasetReader:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # an error of ours says it
        return rasterio.open(path, driver="GTiff")


def _refuse_pages(dataset: DatasetReader, name: str) -> None:
    """Further pages of full resolution are further maps; overviews and masks are none."""
    pages = len(dataset.subdatasets)
    if pages > 1:
        raise Unreadable(
            f"{name}: holds {pages} pages, and only the first would be read",
            f"write each page to a file of its own: {gdal_translate(f'GTIFF_DIR:2:{name}', 'PAGE2.tif')}",
        )


def _refuse_two_transparencies(dataset: DatasetReader, name: str) -> None:
    """TIFF 6.0, ExtraSamples: each further sample has a meaning of its own, and two of them cannot say what is seen."""
    bands = _transparencies(dataset.colorinterp)
    if len(bands) > 1:
        others = [word for n in bands[1:] for word in (f"-colorinterp_{n}", "undefined")]
        raise Unreadable(
            f"{name}: bands {' and '.join(map(str, bands))} are all transparencies (alpha) of the same cells",
            f"say which is none, in a copy: {gdal_translate(*others, name, 'NEW.tif')}",
        )


def _transparencies(roles: tuple[ColorInterp, ...]) -> list[int]:
    """The bands, from one, that are transparencies of others; the only band of a raster is its data."""
    return [n for n, role in enumerate(roles, start=1) if role is ColorInterp.alpha] if len(roles) > 1 else []


def sidecars_of(path: Path) -> list[str]:
    """The names of files beside a GeoTIFF from which GDAL would take a place, a CRS, nodata or a mask."""
    names = [f"{path.name}.msk", f"{path.name}.aux.xml", f"{path.stem}.aux.xml"]
    names += [f"{path.stem}{ending}" for ending in (".tfw", ".tifw", ".tiffw", ".wld", ".prj")]
    return [name for name in names if (path.parent / name).is_file()]


def _refuse_what_has_no_grid(dataset: DatasetReader, path: Path) -> None:
    name, beside = path.name, sidecars_of(path)
    complex_bands = [dtype for dtype in dataset.dtypes if "complex" in dtype]
    if complex_bands:
        raise Unreadable(
            f"{name}: complex values ({complex_bands[0]})", "split real and imaginary parts, or amplitude and phase"
        )
    if dataset.transform.is_identity:
        kind = "only ground control points" if dataset.gcps[0] else "only RPCs" if dataset.rpcs else "no georeferencing"
        if beside:
            raise Unreadable(
                f"{name}: {kind}, and {' and '.join(beside)} beside it is not read",
                f"embed it: {gdal_translate(name, 'NEW.tif')}, with -a_srs EPSG:… where it states no CRS",
            )
        if dataset.gcps[0] or dataset.rpcs:
            raise Unreadable(f"{name}: {kind}", "warp it to a grid first, with `gdalwarp`")
        command = gdal_translate("-a_srs", "EPSG:CODE", "-a_ullr", "WEST", "NORTH", "EAST", "SOUTH", name, "NEW.tif")
        raise Unreadable(f"{name}: {kind}", f"state its edges in the units of its CRS: {command}")
    refuse_no_transform(tuple(dataset.transform)[:6], name)


def raster_grid(dataset: DatasetReader, crs: CRS) -> Grid:
    """The cells of a raster; a rotated one has the box of its four corners as bounds."""
    transform = transform_of(dataset)
    a, b, c, d, e, f = tuple(transform)[:6]
    corners = [
        transform @ corner
        for corner in ((0, 0), (dataset.width, 0), (0, dataset.height), (dataset.width, dataset.height))
    ]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    cell = math.hypot(a, d) or 1.0
    places = [round(value / cell * 1e3) for value in (a, b, c, d, e, f)]
    identity = json.dumps([crs.to_json(), places, f"{cell:.7g}", dataset.shape])
    return Grid(
        crs=crs.to_wkt(),
        shape=dataset.shape,
        dims=("y", "x"),
        bounds=(min(xs), min(ys), max(xs), max(ys)),
        transform=(a, b, c, d, e, f),
        digest=hashlib.sha256(identity.encode()).hexdigest()[:16],
    )


def transform_of(dataset: DatasetReader) -> Affine:
    """The transform, north-up where its rotation moves no corner by more than a thousandth of a cell."""
    stated: Affine = dataset.transform
    a, b, c, d, e, f = tuple(stated)[:6]
    moved = max(abs(b) * dataset.height / (abs(a) or 1), abs(d) * dataset.width / (abs(e) or 1))
    return rasterio.Affine(a, 0.0, c, 0.0, e, f) if a and e and 0 < moved < _MOVED else stated


def raster_crs(dataset: DatasetReader) -> CRS | None:
    """The CRS that the raster states; an engineering CRS («unnamed») places nothing on Earth."""
    if dataset.crs is None:
        return None
    crs = CRS.from_wkt(dataset.crs.to_wkt())
    return None if crs.is_engineering else crs


# --- variables ------------------------------------------------------------------------------------------------------


class _Header:
    """Header of all bands of a raster, asked for once: each is a call to GDAL for every band."""

    def __init__(self, dataset: DatasetReader) -> None:
        self.dataset = dataset
        self.roles: tuple[ColorInterp, ...] = dataset.colorinterp
        self.names: tuple[str | None, ...] = dataset.descriptions
        self.flags: list[list[MaskFlags]] = dataset.mask_flag_enums
        self.nodata = nodata_values(dataset)
        self.dtypes, self.units = dataset.dtypes, dataset.units
        self.scales, self.offsets, self.blocks = dataset.scales, dataset.offsets, dataset.block_shapes

    def groups(self, *, pictures: bool) -> list[tuple[str, tuple[int, ...]]]:
        """A name for each band, or ``rgb`` for a picture; a transparency is none, and goes with what it masks."""
        roles, masks = self.roles, self._masks_of_bands()
        if roles in (_RGB, (*_RGB, ColorInterp.alpha)) and not masks:
            return [("rgb", tuple(range(1, len(roles) + 1)))]
        if pictures and roles[1:] == (ColorInterp.alpha,) and not masks:
            return [(self.names[0] or "band_1", (1, 2))]
        alpha = _transparencies(roles)
        return [(self.names[i - 1] or f"band_{i}", (i,)) for i in range(1, len(roles) + 1) if i not in alpha]

    def _masks_of_bands(self) -> bool:
        """Tells whether several bands have masks of their own, which one raster of all of them cannot hold."""
        return len(self.roles) > 1 and any(not flags for flags in self.flags)

    def masks(self, bands: tuple[int, ...]) -> tuple[int, ...]:
        """Masks of a band besides nodata: 0 is the mask, others are transparencies."""
        flags = set(self.flags[bands[0] - 1])
        has_mask = flags.isdisjoint({MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha})
        alpha = [n for n in _transparencies(self.roles) if n not in bands]
        return (*((0,) if has_mask else ()), *alpha)

    def variable(self, name: str, bands: tuple[int, ...]) -> Variable:
        """Describes a band (the first one, of a picture)."""
        at, band = bands[0] - 1, bands[0]
        dtype, nodata, shape = self.dtypes[at], self.nodata[at], self.dataset.shape
        tags = self.dataset.tags(band)
        return Variable(
            name=name,
            source_name=name,
            bands=bands,
            masks=self.masks(bands),
            dtype=dtype,
            dims=("y", "x"),
            shape=shape,
            chunks=_least(self.blocks[at], shape),
            nodata=as_number(nodata, dtype) if nodata is not None and holds(dtype, nodata) else None,
            scale=None if self.scales[at] == 1 else self.scales[at],
            offset=None if self.offsets[at] == 0 else self.offsets[at],
            units=self.units[at] or None,
            attrs=dict(tags),
            categorical=self.roles[at] is ColorInterp.palette or is_flags(tags),
        )


def raster_variables(dataset: DatasetReader, *, pictures: bool = True) -> list[Variable]:
    """The bands of a raster as variables; red, green and blue are one.

    With ``pictures`` a single band keeps its transparency as a second band, else it is masked by it as all others are.
    A colour table, or CF flags among the tags of a band, say that its values are names.
    """
    header = _Header(dataset)
    return [header.variable(name, bands) for name, bands in header.groups(pictures=pictures)]


def _least(block: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    return min(block[0], shape[0]), min(block[1], shape[1])


# --- values ---------------------------------------------------------------------------------------------------------


def read_filled(dataset: DatasetReader, variable: Variable, window: Window) -> Array:
    """The values of one band (rows, columns) of a window; those that a mask or a transparency hides are nodata.

    NaN where a variable of floats has no nodata; integers without nodata cannot be filled, and stay.
    """
    block: Array = dataset.read(variable.bands[0], window=window)
    if variable.masks and (variable.nodata is not None or block.dtype.kind == "f"):
        fill = math.nan if variable.nodata is None else variable.nodata
        block[read_validity(dataset, variable, window) == 0] = fill
    return block


def read_validity(dataset: DatasetReader, variable: Variable, window: Window) -> Array:
    """Mask of the valid cells of a window (rows, columns): 255 there, 0 elsewhere.

    A transparency of 0 hides a cell; one that is seen through is valid. Nodata makes no difference where only
    the raster's own mask speaks, as in GDAL («RFC 15: Band Masks»); a transparency leaves nodata to be missing.
    """
    valid = np.ones((int(window.height), int(window.width)), bool)
    for number in variable.masks:
        seen = dataset.read(number, window=window) if number else dataset.read_masks(variable.bands[0], window=window)
        valid &= seen > 0
    if any(variable.masks) and variable.nodata is not None:
        valid &= ~is_nodata(dataset.read(variable.bands[0], window=window), variable.nodata)
    return np.where(valid, np.uint8(255), np.uint8(0))
