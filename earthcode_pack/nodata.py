"""Exact nodata values of GeoTIFF: rasterio returns doubles, which round 64-bit integers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_LONG = {"int64", "uint64"}
_EXACT = 2**53  # from here on not each integer is a double (IEEE 754)


def nodata_values(dataset: DatasetReader) -> tuple[float | int | None, ...]:
    """Returns the nodata value of each band, exact for 64-bit integers.

    rasterio returns doubles, and None for those that round to a number outside the type. A VRT that GDAL makes of the
    raster has them as text («VRT driver», NoDataValue). A TIFF has one type and one nodata value for all its bands.
    """
    if _LONG.isdisjoint(dataset.dtypes):
        return tuple(dataset.nodatavals)
    import rasterio.shutil  # noqa: PLC0415 - GDAL, which the dataset has loaded
    from rasterio.io import MemoryFile  # noqa: PLC0415

    with MemoryFile(ext=".vrt") as made:
        rasterio.shutil.copy(dataset, made.name, driver="VRT")
        text = re.search(rb"<NoDataValue>\s*(-?\d+)\s*</NoDataValue>", bytes(made.getbuffer()))
    return (None if text is None else int(text[1]),) * int(dataset.count)


def is_beyond_double(nodata: float | None, dtype: str) -> bool:
    """Tells whether a nodata value is a 64-bit integer that a double may round (IEEE 754: 53 bits).

    >>> is_beyond_double(-(2**63), "int64"), is_beyond_double(-9999, "int64"), is_beyond_double(-3.4e38, "float32")
    (True, False, False)
    """
    return nodata is not None and dtype in _LONG and abs(nodata) >= _EXACT


def as_number(value: float | None, dtype: str) -> float | int | None:
    """Converts a nodata value to the type of the band: int for integers, else float."""
    if value is None:
        return None
    return int(value) if "int" in dtype and float(value).is_integer() else float(value)


def is_nodata(values: np.ndarray[Any, Any], nodata: float) -> np.ndarray[Any, Any]:
    """Marks the values that equal nodata, which may be NaN."""
    return np.isnan(values) if nodata != nodata else values == values.dtype.type(nodata)  # noqa: PLR0124 - NaN
