"""Angles that go round: 350 and 10 degrees are both northerly, and no overview says south."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from builders import PERIOD, make_nc, make_tiff, planned, profile_of, run

from earthcode_pack.cf.kinds import is_circular

if TYPE_CHECKING:
    from pathlib import Path

NORTHERLY = np.where(np.indices((1, 300, 300))[2] % 2, 350, 10)
WIND = {"units": "degree", "standard_name": "wind_from_direction"}


def seen_in_overviews(path: Path) -> set[float]:
    found: set[float] = set()
    with rasterio.open(path) as file:
        levels = range(len(file.overviews(1)))
    assert levels
    for level in levels:
        with rasterio.open(path, overview_level=level) as file:
            found |= set(np.unique(file.read(1)).tolist())
    return found


@pytest.mark.parametrize("dtype", ["int16", "uint16", "float32"])
@pytest.mark.parametrize(
    "words",
    [WIND, {"units": "degrees", "standard_name": "sea_surface_wave_to_direction"},
     {"units": "degrees", "long_name": "Solar azimuth"}, {"units": "degree", "long_name": "Interferometric phase"}],
    ids=["wind", "wave", "azimuth", "phase"],
)  # fmt: skip
def test_a_cog_takes_the_nearest(tmp_path: Path, dtype: str, words: dict[str, str]) -> None:
    path = make_tiff(tmp_path / "a.tif", NORTHERLY[0].astype(dtype), nodata=999)
    made = run(profile_of(path, time=PERIOD, described={"v": {"from": 1, **words}}, blocksize=256), tmp_path / "out")
    assert seen_in_overviews(made.path) <= {10, 350}


def test_words_of_the_file_suffice(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", NORTHERLY[0].astype("f4"), band_tags=WIND, units="degree")
    made = run(profile_of(path, time=PERIOD, blocksize=256), tmp_path / "out")
    assert seen_in_overviews(made.path) <= {10, 350}


def test_from_a_cube_to_a_cog(tmp_path: Path) -> None:
    lat, lon = np.linspace(50, 40, 300), np.linspace(0, 10, 300)
    path = make_nc(tmp_path / "a.nc", NORTHERLY.astype("f4"), WIND, lat=lat, lon=lon)
    made = run(profile_of(path, blocksize=256), tmp_path / "out")
    assert seen_in_overviews(made.path) <= {10, 350}


def test_levels_of_a_zarr_take_the_nearest(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", np.tile(NORTHERLY[0, :, :256], (2, 4)).astype("f4"))
    described = {"v": {"from": 1, "units": "degree", "long_name": "Solar azimuth"}}
    made = run(profile_of(path, "zarr", time=PERIOD, described=described, multiscales=True), tmp_path / "out")
    with xr.open_dataset(made.path, engine="zarr", group="1", consolidated=False) as level:
        assert set(np.unique(level["v"].values).tolist()) <= {10, 350}


@pytest.mark.parametrize("resampling", ["average", "bilinear"])
@pytest.mark.parametrize("words", [WIND, {"units": "K"}], ids=["wind", "amount"])
def test_a_profile_that_asks_for_a_mean_is_warned(tmp_path: Path, resampling: str, words: dict[str, str]) -> None:
    from earthcode_pack.sources.discover import discover
    from earthcode_pack.storage import IdentityCache

    path = make_tiff(tmp_path / "a.tif", NORTHERLY[0].astype("int16"), nodata=-1)
    described = {"v": {"from": 1, **words}}
    profile = profile_of(path, time=PERIOD, described=described, resampling=resampling)
    assert planned(profile).jobs[0].cog.resampling == resampling
    notes = [note for s in discover(profile, IdentityCache(tmp_path / "i.json")).sources for note in s.notes]
    warned = [note for note in notes if note.rule == "COG-CIRCULAR"]
    assert bool(warned) == (words is WIND)
    assert all("nearest" in note.remedy and resampling in note.message for note in warned)


@pytest.mark.parametrize(
    ("name", "attrs", "units", "circular"),
    [
        ("wdir", {"standard_name": "wind_from_direction"}, "degrees", True),
        ("wdir", {"standard_name": "wind_from_direction"}, None, True),
        ("v", {"standard_name": "sea_surface_wave_mean_from_direction"}, "degrees", True),
        ("v", {"standard_name": "direction_of_sea_ice_velocity"}, "degree", True),
        ("v", {"standard_name": "platform_course"}, "degree", True),
        ("v", {"standard_name": "relative_sensor_azimuth_angle"}, "rad", True),
        ("longitude", {}, "degrees_east", True),
        ("phase", {}, "radian", True),
        ("aspect", {}, "degrees", True),
        ("wind_dir", {}, "degree_true", True),
        ("spread", {"standard_name": "sea_surface_wave_directional_spread"}, "degree", False),
        ("zenith", {"standard_name": "solar_zenith_angle"}, "degree", False),
        ("slope", {"standard_name": "ground_slope_angle"}, "degree", False),
        ("v", {"standard_name": "toa_bidirectional_reflectance"}, "1", False),
        ("v", {"standard_name": "eastward_derivative_of_wind_from_direction"}, "degree m-1", False),
        ("v", {"standard_name": "probability_distribution_of_wind_from_direction_over_time"}, "1", False),
        ("v", {"long_name": "Temperature of the mixed phase"}, "degC", False),
        ("latitude", {}, "degrees_north", False),
    ],
)
def test_which_quantities_go_round(name: str, attrs: dict[str, Any], units: str | None, circular: bool) -> None:
    assert is_circular(name, attrs, units) is circular
