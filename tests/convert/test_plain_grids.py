"""Plain grids at the ends of the Earth: poles, the antimeridian, single cells, columns that repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import make_nc, profile_of, ramp, run
from making import cube_profile, write_cube
from shapely.geometry import shape

from earthcode_pack.checks import check
from earthcode_pack.geo.extent import grid_box
from earthcode_pack.geo.outline import grid_outline
from earthcode_pack.pipeline import prepare

if TYPE_CHECKING:
    from pathlib import Path

LONS, LATS = np.arange(-180, 181, 20.0), np.arange(-90, 91, 15.0)


@pytest.mark.parametrize(
    ("lats", "lons", "expected"),
    [
        (LATS, LONS, (-180, -90, 180, 90)),  # centres at the poles; the last column repeats the first
        (LATS[::-1], LONS[::-1], (-180, -90, 180, 90)),
        (LATS, LONS[:-1] + 180, (-180, -90, 180, 90)),
        (LATS, LONS + 180, (-180, -90, 180, 90)),  # 0 to 360 and 360 again
        ([10.0, 11], [179.5, 180.5, 181.5], (179, 9.5, -178, 11.5)),
        ([11.0, 10], [200.0, 201, 202], (-160.5, 9.5, -157.5, 11.5)),
        ([11.0, 10], [359.5, 360.5], (-1, 9.5, 1, 11.5)),
        ([89.0, 87], [10.0, 12], (9, 86, 13, 90)),
    ],
)
@pytest.mark.parametrize("fmt", ["zarr", "cog"])
def test_edges_of_plain_grids(tmp_path: Path, fmt: str, lats: Any, lons: Any, expected: tuple[float, ...]) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(1, len(lats), len(lons)), lat=lats, lon=lons)
    grid = run(profile_of(path, fmt), tmp_path / "out").one.grid
    assert grid_box(grid) == pytest.approx(expected)
    width = (expected[2] - expected[0]) % 360 or 360
    assert shape(grid_outline(grid)).area == pytest.approx(width * (expected[3] - expected[1]))


@pytest.mark.parametrize("fmt", ["zarr", "netcdf", "cog"])
def test_a_single_cell_is_as_large_as_its_bounds(tmp_path: Path, fmt: str) -> None:
    def bounds(file: Any) -> None:
        file.createDimension("nv", 2)
        for name, ends in (("lat", (46.0, 48.0)), ("lon", (179.0, 182.0))):
            file[name].bounds = f"{name}_bnds"
            file.createVariable(f"{name}_bnds", "f8", (name, "nv"))[:] = [ends]

    path = make_nc(tmp_path / "a.nc", ramp(1, 1, 1), lat=[47.0], lon=[180.5], more=bounds)
    assert grid_box(run(profile_of(path, fmt), tmp_path / "out").one.grid) == (179, 46, -178, 48)


@pytest.mark.parametrize("fmt", ["zarr", "cog"])
def test_a_globe_whose_last_column_repeats_the_first_is_one_circle(tmp_path: Path, fmt: str) -> None:
    write_cube(tmp_path / "raw" / "a.nc", lats=LATS, lons=LONS)
    bundle = prepare(cube_profile(tmp_path, target__format=fmt), tmp_path / "work")
    item = next(iter(bundle.items()))
    assert item["bbox"] == [-180, -90, 180, 90]
    assert item["properties"]["proj:bbox"] == [-190, -97.5, 190, 97.5]
    assert not [f for f in check(bundle.product, deep=True) if f.level == "error"]
