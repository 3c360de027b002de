"""The samples are what their README says, and the script that stands beside them makes them."""

import runpy
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import rasterio

from earthcode_pack.profile import load_profile

FILES = sorted(
    ["landcover/landcover_2021.tif", "sst/sst_2020-01.nc", "sst/sst_2020-02.nc"]
    + [f"scenes/ndvi_{scene}.tif" for scene in ("T31_20200615", "T31_20200710", "T32_20200615", "T32_20200725")]
)


@pytest.fixture(scope="module")
def samples(root) -> Path:
    return root / "sample_data"


@pytest.fixture(scope="module")
def remade(root, tmp_path_factory) -> tuple[Path, Path]:
    make = runpy.run_path(str(root / "sample_data" / "make.py"))["main"]
    folders = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    for folder in folders:
        make(folder)
    return folders


def _files(folder: Path) -> list[str]:
    data = (path for path in folder.rglob("*.*") if path.suffix in (".nc", ".tif"))
    return sorted(str(path.relative_to(folder)) for path in data)


def test_there_are_three_small_products(samples) -> None:
    assert _files(samples) == FILES
    assert sum((samples / name).stat().st_size for name in FILES) < 5_000_000


def test_the_script_writes_the_same_bytes_twice(remade) -> None:
    first, second = remade
    assert _files(first) == FILES
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".tif")])
def test_the_committed_geotiffs_are_those_of_the_script(samples, remade, name) -> None:
    with rasterio.open(samples / name) as there, rasterio.open(remade[0] / name) as here:
        assert there.profile == here.profile
        assert there.tags(1) == here.tags(1)
        np.testing.assert_array_equal(there.read(), here.read())


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".nc")])
def test_the_committed_netcdfs_are_those_of_the_script(samples, remade, name) -> None:
    with netCDF4.Dataset(samples / name) as there, netCDF4.Dataset(remade[0] / name) as here:
        assert there.__dict__ == here.__dict__
        assert list(there.variables) == list(here.variables)
        for key, variable in there.variables.items():
            variable.set_auto_maskandscale(False)
            here[key].set_auto_maskandscale(False)
            np.testing.assert_equal(variable.__dict__, here[key].__dict__)
            np.testing.assert_array_equal(variable[...], here[key][...])


def test_sst_has_longitudes_to_360_ascending_latitudes_and_land(samples) -> None:
    with netCDF4.Dataset(samples / "sst/sst_2020-01.nc") as file:
        assert (file["lon"][0], file["lon"][-1], file["lat"][0], file["lat"][-1]) == (1, 359, -89, 89)
        sst, quality = file["analysed_sst"], file["quality"]
        assert (sst.dtype, sst.scale_factor, sst.add_offset) == (np.int16, 0.01, 273.15)
        assert 0.25 < np.ma.getmaskarray(sst[:]).mean() < 0.35
        assert 271 < sst[:].min() < sst[:].max() < 310
        assert sst.grid_mapping == "crs"
        assert "_FillValue" not in quality.ncattrs()
        np.testing.assert_array_equal(quality[:] == 2, np.ma.getmaskarray(sst[:]))


def test_sst_files_count_their_days_from_their_own_month(samples) -> None:
    with (
        netCDF4.Dataset(samples / "sst/sst_2020-01.nc") as first,
        netCDF4.Dataset(samples / "sst/sst_2020-02.nc") as next_,
    ):
        assert (first["time"].units, next_["time"].units) == (
            "days since 2020-01-01 00:00:00",
            "days since 2020-02-01 00:00:00",
        )
        assert (len(first["time"]), len(next_["time"])) == (31, 29)
        np.testing.assert_array_equal(next_["time_bnds"][0], [0, 1])


def test_scenes_lie_in_two_zones_and_share_a_day(samples) -> None:
    zones = {}
    for path in (samples / "scenes").glob("*.tif"):
        with rasterio.open(path) as file:
            zones[path.stem] = file.crs.to_epsg()
            assert (file.width, file.height, file.dtypes, file.nodata) == (301, 257, ("int16",), -32768)
            assert (file.scales, file.block_shapes, file.overviews(1)) == ((0.0001,), [(13, 301)], [])
            assert 0.02 < (file.read(1) == file.nodata).mean() < 0.2
    assert sorted(zones.values()) == [32631, 32631, 32632, 32632]
    assert {zone for stem, zone in zones.items() if stem.endswith("20200615")} == {32631, 32632}


def test_landcover_has_colours_without_names_and_a_class_without_cells(samples) -> None:
    with rasterio.open(samples / "landcover/landcover_2021.tif") as file:
        colors, values = file.colormap(1), set(np.unique(file.read(1)).tolist())
        assert (file.crs.to_epsg(), file.nodata, file.shape) == (3035, 0, (600, 700))
    assert values == {0, 10, 30, 40, 50, 80}
    assert colors[70] == (240, 240, 240, 255)


def test_the_legend_of_the_profile_has_the_colours_of_the_file(root, samples) -> None:
    classes = load_profile(root / "profiles/landcover-cog.yaml").product.variables["landcover"].classes
    with rasterio.open(samples / "landcover/landcover_2021.tif") as file:
        colors = file.colormap(1)
    assert [bytes(colors[spec.value][:3]).hex().upper() for spec in classes] == [spec.color for spec in classes]
