"""Hundreds of bands in one raster: work grows with their number, not with its square."""

from __future__ import annotations

import cProfile
import pstats
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from builders import PERIOD, make_tiff, opened, profile_of, run

from earthcode_pack.cf.axes import data_variables
from earthcode_pack.convert.read.raster_cube import open_raster

if TYPE_CHECKING:
    from pathlib import Path


def make_bands(path: Path, count: int) -> Path:
    """One value in each band: its number."""
    values = np.broadcast_to(np.arange(1, count + 1, dtype="int16")[:, np.newaxis, np.newaxis], (count, 4, 5))
    return make_tiff(path, np.ascontiguousarray(values), nodata=-1)


def calls_for(path: Path) -> int:
    """Python calls that reading a header takes."""
    profile = cProfile.Profile()
    profile.enable()
    names = data_variables(open_raster(path))
    profile.disable()
    with rasterio.open(path) as file:
        assert len(names) == file.count
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def test_reading_the_header_of_many_bands_is_linear(tmp_path: Path) -> None:
    few, many = (make_bands(tmp_path / f"{count}.tif", count) for count in (50, 200))
    calls_for(few)  # imports
    assert calls_for(many) < 6 * calls_for(few)


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_each_band_keeps_its_values(tmp_path: Path, fmt: str) -> None:
    made = run(profile_of(make_bands(tmp_path / "a.tif", 40), fmt, time=PERIOD), tmp_path / "out")
    data = opened(made.path, mask_and_scale=False)
    assert [int(data[f"band_{number}"].values.ravel()[7]) for number in range(1, 41)] == list(range(1, 41))
