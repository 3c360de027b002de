"""Nodata of GeoTIFF as the file states it: rasterio hands it on as a double, which rounds integers of 64 bits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_EXACT = 2**53  # from here on not each integer is a double (IEEE 754)


def nodata_values(dataset: DatasetReader) -> tuple[float | int | None, ...]:
    """Nodata of each band as the file states it; 64-bit integers exactly, which rasterio hands on as doubles.

    A VRT that GDAL makes of the raster has them as text («VRT driver», NoDataValue). A TIFF has one for all bands.
    """
    stated: tuple[float | None, ...] = dataset.nodatavals
    is_exact = all(v is None or not is_beyond_double(v, t) for v, t in zip(stated, dataset.dtypes, strict=True))
    if is_exact:
        return stated
    import rasterio.shutil  # noqa: PLC0415 - GDAL, which the dataset has loaded
    from rasterio.io import MemoryFile  # noqa: PLC0415

    with MemoryFile(ext=".vrt") as made:
        rasterio.shutil.copy(dataset, made.name, driver="VRT")
        text = re.search(rb"<NoDataValue>\s*(-?\d+)\s*</NoDataValue>", bytes(made.getbuffer()))
    return tuple(None if value is None or text is None else int(text[1]) for value in stated)


def is_beyond_double(nodata: float | None, dtype: str) -> bool:
    """Whether a nodata value is one of a 64-bit integer that a double may round (IEEE 754: 53 bits).

    >>> is_beyond_double(-(2**63), "int64"), is_beyond_double(-9999, "int64"), is_beyond_double(-3.4e38, "float32")
    (True, False, False)
    """
    return nodata is not None and dtype in ("int64", "uint64") and abs(nodata) >= _EXACT


def as_number(value: float | None, dtype: str) -> float | int | None:
    """A nodata value as the number it stands for in the type of the band."""
    if value is None:
        return None
    return int(value) if "int" in dtype and float(value).is_integer() else float(value)


def is_nodata(values: np.ndarray[Any, Any], nodata: float) -> np.ndarray[Any, Any]:
    """Which values are nodata, NaN included where that is it."""
    return np.isnan(values) if nodata != nodata else values == values.dtype.type(nodata)  # noqa: PLR0124 - NaN
