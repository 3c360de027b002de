"""Outlines of valid pixels of grids that are turned, sheared, projected, and that cross the antimeridian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import pytest
import rasterio
from builders import PERIOD, make_nc, make_tiff, profile_of, run
from shapely.geometry import LinearRing, Point, shape

from earthcode_pack.describe.footprint import footprint
from earthcode_pack.geo.extent import grid_box
from earthcode_pack.geo.outline import grid_outline

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 120
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]
BAND = np.abs(ROWS - COLUMNS) < 30
DISC = np.hypot(ROWS - 70, COLUMNS - 50) < 35
TURNED = rasterio.Affine(800, 500, 500_000, 500, -800, 6_000_000)
SHEARED = rasterio.Affine(900, 400, 400_000, -300, -1000, 6_000_000)
NORTH_UP = rasterio.Affine(3000, 0, 200_000, 0, -3000, 6_000_000)


def found(tmp_path: Path, mask: np.ndarray, crs: str, transform: rasterio.Affine) -> tuple[dict[str, Any], Any]:
    """The footprint of a GeoTIFF's valid pixels, and its grid."""
    path = make_tiff(tmp_path / "a.tif", np.where(mask, 5, -1).astype("int16"), nodata=-1, crs=crs, transform=transform)
    made = run(profile_of(path, "cog", time=PERIOD), tmp_path / "out")
    geometry = footprint(made.path, made.one)
    assert geometry is not None
    return geometry, made.one.grid


def places(mask: np.ndarray, crs: str, transform: rasterio.Affine) -> list[tuple[float, float]]:
    """The centres of some valid pixels."""
    a, b, c, d, e, f = tuple(transform)[:6]
    column, row = COLUMNS[mask][::37] + 0.5, ROWS[mask][::37] + 0.5
    x, y = a * column + b * row + c, d * column + e * row + f
    lon, lat = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(x, y)
    return list(zip(lon, lat, strict=True))


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:32601", "EPSG:32660", "EPSG:3832"])
@pytest.mark.parametrize(
    ("transform", "mask"),
    [(NORTH_UP, BAND), (TURNED, BAND), (SHEARED, DISC)],
    ids=["north up, band", "turned, band", "sheared, disc"],
)
def test_outline_holds_every_valid_pixel_and_little_else(
    tmp_path: Path, crs: str, transform: rasterio.Affine, mask: np.ndarray
) -> None:
    if crs == "EPSG:3832":  # metres from 150°E: moved to the antimeridian
        a, b, c, d, e, f = tuple(transform)[:6]
        transform = rasterio.Affine(a, b, c + 2_800_000, d, e, f - 6_000_000)
    geometry, grid = found(tmp_path, mask, crs, transform)
    area, whole = shape(geometry), shape(grid_outline(grid))
    assert area.is_valid
    assert all(area.buffer(1e-6).contains(Point(place)) for place in places(mask, crs, transform))
    assert area.area == pytest.approx(mask.mean() * whole.area, rel=0.08)
    assert whole.buffer(0.01).contains(area)
    polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    for polygon in polygons:
        assert LinearRing(polygon[0]).is_ccw
        assert all(-180 <= lon <= 180 for lon, _ in polygon[0])


def test_a_projected_grid_across_the_antimeridian_has_two_parts(tmp_path: Path) -> None:
    transform = rasterio.Affine(3000, 0, 150_000, 0, -3000, 6_000_000)  # the zone begins at 180°
    geometry, grid = found(tmp_path, BAND, "EPSG:32601", transform)
    west, _, east, _ = grid_box(grid)
    assert west > 0 > east
    assert geometry["type"] == "MultiPolygon"
    sides = {np.sign(np.mean([lon for lon, _ in polygon[0]])) for polygon in geometry["coordinates"]}
    assert sides == {-1, 1}


@pytest.mark.parametrize("crs", ["EPSG:3413", "EPSG:3031"])
def test_data_around_a_pole_are_outlined_by_their_grid(tmp_path: Path, crs: str) -> None:
    path = make_tiff(
        tmp_path / "a.tif", np.where(DISC, 5, -1).astype("int16"), nodata=-1, crs=crs,
        transform=rasterio.Affine(25_000, 0, -1_500_000, 0, -25_000, 1_500_000),
    )  # fmt: skip
    made = run(profile_of(path, "cog", time=PERIOD), tmp_path / "out")
    assert footprint(made.path, made.one) is None
    assert grid_box(made.one.grid)[0::2] == (-180, 180)


def test_a_rotated_pole(tmp_path: Path) -> None:
    """Columns and rows as a regional climate model has them, in a cube."""
    mapping = {
        "grid_mapping_name": "rotated_latitude_longitude", "grid_north_pole_latitude": 39.25,
        "grid_north_pole_longitude": -162.0, "earth_radius": 6371229.0,
    }  # fmt: skip

    def rotated(file: Any) -> None:
        file["lat"].setncatts({"standard_name": "grid_latitude", "units": "degrees"})
        file["lon"].setncatts({"standard_name": "grid_longitude", "units": "degrees"})
        file.createVariable("rotated_pole", "i4", ()).setncatts(mapping)
        file["sst"].grid_mapping = "rotated_pole"

    values = np.where(DISC, 1, np.nan).astype("f4")[None]
    axis = 0.1 * np.arange(SIZE)
    path = make_nc(
        tmp_path / "a.nc", values, {"units": "K", "_FillValue": np.float32("nan")}, lat=5 - axis, lon=-5 + axis,
        crs=False, more=rotated,
    )  # fmt: skip
    made = run(profile_of(path, "netcdf"), tmp_path / "out")
    geometry = footprint(made.path, made.one)
    assert geometry is not None
    area = shape(geometry)
    there = pyproj.Transformer.from_crs(pyproj.CRS.from_cf(mapping), "OGC:CRS84", always_xy=True)
    lons, lats = there.transform(-5 + axis[COLUMNS[DISC]], 5 - axis[ROWS[DISC]])
    assert all(area.contains(Point(place)) for place in zip(lons[::37], lats[::37], strict=True))
    assert area.area < 1.1 * DISC.mean() * shape(grid_outline(made.one.grid)).area
