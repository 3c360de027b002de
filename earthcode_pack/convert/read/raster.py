"""GeoTIFF: what its header says, and its bands as variables of a dataset."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import rasterio
from pyproj import CRS  # before rasterio and ecCodes: see read/__init__.py
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from earthcode_pack.cf.missing import holds
from earthcode_pack.errors import Unreadable
from earthcode_pack.model import Grid, Variable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from affine import Affine
    from rasterio.io import DatasetReader

# One GDAL thread here: work is parallel over files and blocks. Files beside the raster are not its bytes.
GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_NUM_THREADS": "1",
    "GDAL_CACHEMAX": 128 * 2**20,  # bytes: rasterio hands an int on as it is
}
_MOVED = 1e-3  # of a cell
_FLAGS = {"flag_values", "flag_masks"}  # CF 3.5, as a conversion from NetCDF keeps them
_PAIR = 2  # a band and its transparency
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
            _refuse_lost_transparency(dataset, path.name)
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
            f"write each page to a file of its own: `gdal_translate GTIFF_DIR:2:{name} PAGE2.tif`",
        )


def _refuse_lost_transparency(dataset: DatasetReader, name: str) -> None:
    """A transparency goes with one band, or with red, green and blue; of others the validity would be lost."""
    roles = dataset.colorinterp
    if ColorInterp.alpha in roles and len(roles) > _PAIR and roles != (*_RGB, ColorInterp.alpha):
        band, bands = (
            roles.index(ColorInterp.alpha) + 1,
            [n for n in dataset.indexes if roles[n - 1] != ColorInterp.alpha],
        )
        raise Unreadable(
            f"{name}: band {band} is the transparency (alpha) of {len(bands)} bands, and their validity would be lost",
            f"make a mask of it: `gdal_translate {' '.join(f'-b {n}' for n in bands)} -mask {band} "
            f"--config GDAL_TIFF_INTERNAL_MASK YES {name} NEW.tif`",
        )


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
                f"embed it: `gdal_translate {name} NEW.tif`, with -a_srs EPSG:… where it states no CRS",
            )
        raise Unreadable(f"{name}: {kind}", "warp it to a grid first, with `gdalwarp`")


def band_groups(dataset: DatasetReader) -> list[tuple[str, tuple[int, ...]]]:
    """Variables of a raster: a name for each band, or ``rgb`` for a picture. A transparency goes with what it masks."""
    if dataset.colorinterp in (_RGB, (*_RGB, ColorInterp.alpha)):
        return [("rgb", tuple(dataset.indexes))]
    if dataset.colorinterp[1:] == (ColorInterp.alpha,):
        return [(dataset.descriptions[0] or "band_1", (1, 2))]
    return [(dataset.descriptions[i - 1] or f"band_{i}", (i,)) for i in dataset.indexes]


def raster_grid(dataset: DatasetReader, crs: CRS) -> Grid:
    """The cells of a raster; a rotated one has the box of its four corners as bounds."""
    transform = _without_rounding(dataset)
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


def _without_rounding(dataset: DatasetReader) -> Affine:
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


def raster_variable(dataset: DatasetReader, name: str, bands: tuple[int, ...]) -> Variable:
    """What the header says of a band (of the first, for a picture)."""
    index = bands[0] - 1
    scale, offset = dataset.scales[index], dataset.offsets[index]
    dtype, nodata = dataset.dtypes[index], dataset.nodatavals[index]
    return Variable(
        name=name,
        source_name=name,
        bands=bands,
        dtype=dtype,
        dims=("y", "x"),
        shape=dataset.shape,
        chunks=_least(dataset.block_shapes[index], dataset.shape),
        nodata=as_number(nodata, dtype) if nodata is not None and holds(dtype, nodata) else None,
        scale=None if scale == 1 else scale,
        offset=None if offset == 0 else offset,
        units=dataset.units[index] or None,
        attrs=dict(dataset.tags(bands[0])),
        categorical=has_classes(dataset, bands[0]),
    )


def _least(block: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    return min(block[0], shape[0]), min(block[1], shape[1])


def has_classes(dataset: DatasetReader, band: int) -> bool:
    """Whether a colour table, or CF flags among the tags of the band, say that the values are names."""
    return dataset.colorinterp[band - 1] is ColorInterp.palette or not _FLAGS.isdisjoint(dataset.tags(band))


def as_number(value: float | None, dtype: str) -> float | int | None:
    """GDAL's double as the number it stands for in the type of the band."""
    if value is None:
        return None
    return int(value) if "int" in dtype and float(value).is_integer() else float(value)
