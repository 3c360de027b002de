"""What the report says of compression is what the output itself says, not what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import PERIOD, make_nc, make_tiff, profile_of, ramp, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("fmt", "options", "words"),
    [
        ("zarr", {"version": 3}, "Blosc zstd, level"),
        ("zarr", {"version": 2, "zipped": True}, "Blosc zstd, level"),
        ("zarr", {"version": 3, "chunks": {"time": 1}, "shards": {"time": 4}}, "sharded"),
        ("netcdf", {"level": 2}, "deflate, level 2, shuffle"),
    ],
    ids=["zarr 3", "zarr 2 zipped", "shards", "netcdf"],
)
def test_a_cube(tmp_path: Path, fmt: str, options: dict[str, Any], words: str) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(8, 4, 5), times=range(8))
    codecs = run(profile_of(source, fmt, **options), tmp_path / "out").one.facts["codecs"]
    assert list(codecs) == ["sst"]
    assert words in codecs["sst"]


@pytest.mark.parametrize(
    ("options", "words"), [({"compression": "zstd", "level": 7}, "zstd, level 7"), ({}, "deflate")]
)
def test_a_map(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    source = make_tiff(tmp_path / "a_20200101.tif", np.arange(300, dtype="int16").reshape(15, 20), nodata=-1)
    made = run(profile_of(source, "cog", time=PERIOD, **options), tmp_path / "out").one
    (found,) = made.facts["codecs"].values()
    assert found.startswith(words)
