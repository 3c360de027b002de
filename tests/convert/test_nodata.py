"""Nodata of 64-bit integers as the file states it, beyond what a double holds, in every output."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from builders import PERIOD, make_nc, make_tiff, opened, profile_of, run
from examples import spread
from rasterio.io import MemoryFile

from earthcode_pack.nodata import nodata_values
from earthcode_pack.pipeline import prepare

if TYPE_CHECKING:
    from pathlib import Path

LONG = [
    ("int64", -(2**63)), ("int64", -(2**63) + 1), ("int64", 2**63 - 1), ("int64", 2**53 + 1),
    ("uint64", 2**64 - 1), ("uint64", 2**63 + 5), ("int64", -9999), ("uint64", 2**53),
]  # fmt: skip


def make_long(path: Path, dtype: str, nodata: int, shape: tuple[int, int] = (30, 40)) -> Path:
    """Numbers from 0 on, the first five rows missing, with nodata as GDAL's tools write it."""
    values = np.arange(shape[0] * shape[1], dtype=dtype).reshape(shape)
    values[:5] = nodata
    return with_nodata(make_tiff(path.with_name("plain.tif"), values), path, nodata)


def with_nodata(plain: Path, path: Path, nodata: int) -> Path:
    """A copy by way of a VRT, in which nodata is text: rasterio writes a double."""
    with MemoryFile(ext=".vrt") as made, rasterio.open(plain) as file:
        rasterio.shutil.copy(file, made.name, driver="VRT")
        text = bytes(made.getbuffer()).decode()
    stated = re.sub(r"(<VRTRasterBand[^>]*>)", rf"\1<NoDataValue>{nodata}</NoDataValue>", text)
    path.parent.mkdir(exist_ok=True)
    rasterio.shutil.copy(stated, path, driver="GTiff")
    return path


def tag_of(path: Path) -> list[bytes]:
    """The text of nodata, wherever it stands in the file."""
    return re.findall(rb"(?<![\w.+-])(-?\d{4,20})\0", path.read_bytes())


@pytest.mark.parametrize(("dtype", "nodata"), LONG)
def test_the_cog_states_it_exactly(tmp_path: Path, dtype: str, nodata: int) -> None:
    made = run(profile_of(make_long(tmp_path / "raw" / "a.tif", dtype, nodata), time=PERIOD), tmp_path / "out")
    assert str(nodata).encode() in tag_of(made.path)
    with rasterio.open(made.path) as file:
        assert (file.read_masks(1) == 0).sum() == 200
    variable = made.one.variables[0]
    assert variable.nodata == nodata
    assert isinstance(variable.nodata, int)
    assert variable.statistics is not None
    assert (variable.statistics.minimum, variable.statistics.count) == (200, 1000)
    assert not any("nodata" in line for line in made.one.changes)


@pytest.mark.parametrize(("dtype", "nodata"), LONG[:5:2])
@pytest.mark.parametrize("resampling", ["average", "nearest", "mode"])
def test_overviews_leave_it_out(tmp_path: Path, dtype: str, nodata: int, resampling: str) -> None:
    values = np.full((600, 600), 7, dtype)
    values[:301] = nodata  # an odd edge
    path = with_nodata(make_tiff(tmp_path / "plain.tif", values), tmp_path / "a.tif", nodata)
    made = run(profile_of(path, time=PERIOD, blocksize=256, resampling=resampling), tmp_path / "out")
    assert str(nodata).encode() in tag_of(made.path)
    for level in (0, 1):
        with rasterio.open(made.path, overview_level=level) as file:
            block = file.read(1)
        assert set(np.unique(block).tolist()) == {7, nodata}
        assert abs(int((block == 7).sum()) - block.size // 2) <= 2 * block.shape[1]


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("shape", [(512, 512), (511, 515), (2, 600), (600, 1)], ids=str)
def test_overviews_of_one_number_hold_that_number(tmp_path: Path, dtype: str, shape: tuple[int, int]) -> None:
    """No double holds it."""
    number = 2**53 + 1
    values = np.full(shape, number, dtype)
    values[:, :1] = 0
    values[: shape[0] // 3] = number
    made = run(
        profile_of(make_tiff(tmp_path / "a.tif", values, nodata=0), time=PERIOD, blocksize=256), tmp_path / "out"
    )
    with rasterio.open(made.path) as file:
        levels = range(len(file.overviews(1)))
    assert levels
    for level in levels:
        with rasterio.open(made.path, overview_level=level) as file:
            assert set(np.unique(file.read(1)).tolist()) <= {number, 0}


def test_mean_and_mode_of_long_integers(tmp_path: Path) -> None:
    """Cells of four: three and one; two that are missing; a mean that would be nodata; differences beyond 63 bits."""
    cells = [[[5, 5], [5, 9]], [[-1, -1], [4, 8]], [[-2, 0], [-2, 0]], [[-(2**63), 2**63 - 1], [-1, -1]]]
    values = np.tile(np.concatenate([np.array(cell) for cell in cells], axis=1), (150, 75)).astype("int64")
    found = {}
    for resampling in ("average", "mode"):
        path = make_tiff(tmp_path / "a.tif", values, nodata=-1)
        made = run(profile_of(path, time=PERIOD, blocksize=512, resampling=resampling), tmp_path / resampling)
        with rasterio.open(made.path, overview_level=0) as file:
            found[resampling] = file.read(1)[0, :4].tolist()
    assert found["average"] == [6, 6, -2, 0]
    assert found["mode"] == [5, 4, -2, -(2**63)]


def test_a_codec_of_gdal_alone_takes_the_nearest_and_says_so(tmp_path: Path) -> None:
    values = np.full((600, 600), 7, "int64")
    values[:301] = -9999
    path = make_tiff(tmp_path / "a.tif", values, nodata=-9999)
    made = run(profile_of(path, time=PERIOD, compression="lzw", resampling="mode", blocksize=256), tmp_path / "out")
    with rasterio.open(made.path, overview_level=1) as file:
        assert set(np.unique(file.read(1)).tolist()) == {7, -9999}
    assert any("nearest" in line and "mode" in line for line in made.one.changes)


@pytest.mark.parametrize(("long", "fmt"), spread(LONG, ["zarr", "netcdf"]))
def test_a_cube_states_it_exactly(tmp_path: Path, fmt: str, long: tuple[str, int]) -> None:
    dtype, nodata = long
    path = make_long(tmp_path / "raw" / "a.tif", dtype, nodata)
    made = run(profile_of(path, fmt, time=PERIOD), tmp_path / "out")
    variable = opened(made.path, mask_and_scale=False)["band_1"]
    assert int(variable.attrs["_FillValue"]) == nodata
    assert (variable.values == np.asarray(nodata, dtype)).sum() == 200
    assert made.one.variables[0].nodata == nodata
    assert made.one.variables[0].statistics.minimum == 200


@pytest.mark.parametrize(("dtype", "nodata"), LONG[:6])
def test_from_a_cube_to_a_cog(tmp_path: Path, dtype: str, nodata: int) -> None:
    values = np.arange(24, dtype=dtype).reshape(1, 4, 6)
    values[0, 0] = nodata
    path = make_nc(tmp_path / "a.nc", values, {"_FillValue": np.asarray(nodata, dtype)[()]})
    made = run(profile_of(path), tmp_path / "out")
    assert str(nodata).encode() in tag_of(made.path)
    with rasterio.open(made.path) as file:
        assert (file.read_masks(1) == 0).sum() == 6


@pytest.mark.parametrize(("dtype", "nodata"), LONG[:6])
def test_turned_or_stated_by_the_profile(tmp_path: Path, dtype: str, nodata: int) -> None:
    values = np.arange(1200, dtype=dtype).reshape(30, 40)
    values[:5] = nodata
    path = make_tiff(tmp_path / "a.tif", values, transform=rasterio.Affine(10, 0, 0, 0, 10, 4600000))
    made = run(profile_of(path, time=PERIOD, nodata=nodata), tmp_path / "out")
    assert made.one.variables[0].nodata == nodata
    with rasterio.open(made.path) as file:
        assert (file.read_masks(1)[-5:] == 0).all()
        assert (file.read_masks(1)[:-5] > 0).all()


def test_a_neighbour_that_rounds_to_the_same_double_is_a_contradiction(tmp_path: Path) -> None:
    path = make_long(tmp_path / "raw" / "a.tif", "int64", -(2**63))
    error = run(profile_of(path, time=PERIOD, nodata=-(2**63) + 1), tmp_path / "out").error
    assert "-9223372036854775808" in error
    assert "-9223372036854775807" in error


def test_it_is_checked_exactly(tmp_path: Path) -> None:
    """The product's own check compares STAC and data: a nodata that differs by one is another."""
    from earthcode_pack.checks import check

    path = make_long(tmp_path / "raw" / "a.tif", "uint64", 2**64 - 1)
    bundle = prepare(profile_of(path, time=PERIOD, described={"n": {"from": 1, "units": "1"}}), tmp_path / "work")
    assert not [f for f in bundle.findings() if f.level == "error"]
    assert not [f for f in check(bundle.root, deep=True) if f.level == "error"]
    item = next((bundle.product / "items").glob("*.json"))
    stated = json.loads(item.read_text())
    assert stated["assets"]["n"]["bands"][0]["nodata"] == 2**64 - 1 if "bands" in stated["assets"]["n"] else True
    item.write_text(item.read_text().replace(str(2**64 - 1), str(2**64 - 2)))
    assert [f.rule for f in check(bundle.product) if f.rule == "FACT-NODATA"]


def test_many_bands_share_it(tmp_path: Path) -> None:
    plain = make_tiff(tmp_path / "plain.tif", np.ones((3, 4, 5), "int64"))
    with rasterio.open(with_nodata(plain, tmp_path / "a.tif", 2**63 - 1)) as file:
        assert nodata_values(file) == (2**63 - 1,) * 3
