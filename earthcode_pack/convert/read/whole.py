"""Refusal of files that end before their header says: cut off by a download or a full disk."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from earthcode_pack.convert.read.classic import variables_of
from earthcode_pack.convert.read.plain import REMEDY
from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from rasterio.io import DatasetReader


def refuse_classic_cut_off(path: Path, variables: Collection[str]) -> None:
    """Refuses a classic NetCDF file that ends before one of these variables does. Raises ``Unreadable``."""
    for name, held in variables_of(path).items():
        if name in variables and held.missing:
            raise Unreadable(f"{path.name}: {name}: the file ends {held.missing} bytes too early", REMEDY)


def refuse_tiff_cut_off(dataset: DatasetReader, path: Path) -> None:
    """Refuses a TIFF that ends before one of its blocks does, of the first and last row of them in each band.

    HDF5 and ecCodes say so themselves when they open a file. Raises ``Unreadable``.
    """
    size = path.stat().st_size
    for band in dataset.indexes:
        rows, columns = dataset.block_shapes[band - 1]
        last = -(-dataset.height // rows) - 1
        across = range(-(-dataset.width // columns))
        for place in chain(((x, last) for x in across), ((x, 0) for x in across)):
            missing = _end_of_block(dataset, band, *place) - size
            if missing > 0:
                raise Unreadable(f"{path.name}: band {band}: the file ends {missing} bytes too early", REMEDY)


def _end_of_block(dataset: DatasetReader, band: int, x: int, y: int) -> int:
    """Behind the last byte of a block, by GDAL's metadata domain TIFF; 0 of a sparse block."""
    offset, size = (dataset.get_tag_item(f"BLOCK_{key}_{x}_{y}", "TIFF", bidx=band) for key in ("OFFSET", "SIZE"))
    return int(offset or 0) + int(size or 0)
