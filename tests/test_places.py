"""Places of products as a whole: the box in STAC is true, and the checks of the package agree with it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import pytest
import rasterio
from making import profile_of
from shapely.geometry import shape

from earthcode_pack.pipeline import prepare, summarise

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle

PLACES = ("FACT-", "STAC-BBOX", "STAC-GEOMETRY", "STAC-EXTENT", "COG-GEOREFERENCE")
PERIOD = {"start": "2020-01-01", "end": "2020-12-31"}
GOES_HEIGHT, GOES_LIMB = 35786023.0, 5434894.9
GOES_WEST = "+proj=geos +lon_0=-137 +h=35786023 +sweep=x +ellps=GRS80 +type=crs"
GOES = {
    "grid_mapping_name": "geostationary", "perspective_point_height": GOES_HEIGHT, "sweep_angle_axis": "x",
    "longitude_of_projection_origin": -75.0, "latitude_of_projection_origin": 0.0,
    "semi_major_axis": 6378137.0, "semi_minor_axis": 6356752.31414,
}  # fmt: skip


def item_of(bundle: Bundle) -> dict[str, Any]:
    """The one Item; nothing is found wrong with its places."""
    wrong = [f"{f.rule}: {f.message}" for f in bundle.findings() if f.level == "error" and f.rule.startswith(PLACES)]
    assert wrong == []
    [path] = (bundle.root / "product/items").glob("*.json")
    item: dict[str, Any] = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert shape(item["geometry"]).is_valid
    assert shape(item["geometry"]).area > 0
    return item


def mapped(folder: Path, target: str, crs: Any, place: rasterio.Affine, rows: int = 40) -> dict[str, Any]:
    """The Item of a GeoTIFF of 40 columns."""
    (folder / "raw").mkdir()
    kept = {"driver": "GTiff", "crs": pyproj.CRS(crs).to_wkt(), "transform": place, "dtype": "int16", "nodata": -1}
    with rasterio.open(folder / "raw/a_20200101.tif", "w", height=rows, width=40, count=1, **kept) as file:
        file.write((np.indices((rows, 40)).sum(0) // 9).astype("int16"), 1)
    return item_of(prepare(profile_of(folder, target__format=target, source__time=PERIOD), folder / "work"))


def over(bounds: tuple[float, ...], rows: int = 40) -> rasterio.Affine:
    west, south, east, north = bounds
    return rasterio.Affine((east - west) / 40, 0, west, 0, (south - north) / rows, north)


@pytest.mark.parametrize(
    ("crs", "bounds", "box", "target"),
    [
        ("EPSG:2056", (2600000, 1199750, 2600250, 1200000), (7.43864, 46.94883, 7.44192, 46.95108), "zarr"),
        ("EPSG:28992", (155000, 462990, 155010, 463000), (5.38720, 52.15508, 5.38735, 52.15517), "cog"),
        ("EPSG:3857", (-19700000, -1e7, 19700000, 1.4e7), (-176.96811, -66.44603, 176.96811, 77.29159), "cog"),
        ("EPSG:3857", (-19700000, -1e7, 19700000, 1.4e7), (-176.96811, -66.44603, 176.96811, 77.29159), "netcdf"),
        ("ESRI:54009", (-18040095.7, -9020047.85, 18040095.7, 9020047.85), (-180, -90, 180, 90), "cog"),
        ("EPSG:3031", (-3950000, -3950000, 3950000, 4350000), (-180, -90, 180, -39.36335), "zarr"),
        (GOES_WEST, (-GOES_LIMB, -GOES_LIMB, GOES_LIMB, GOES_LIMB), (141.70, -81.33, -55.70, 81.33), "cog"),
        (GOES_WEST, (-GOES_LIMB, -GOES_LIMB, GOES_LIMB, GOES_LIMB), (141.70, -81.33, -55.70, 81.33), "zarr"),
    ],
)
def test_box_of_a_map(tmp_path: Path, crs: str, bounds: tuple[float, ...], box: tuple[float, ...], target: str) -> None:
    item = mapped(tmp_path, target, crs, over(bounds))
    assert item["bbox"] == pytest.approx(box, abs=0.01 if abs(box[1]) > 80 else 2e-5)


def test_a_turned_map_agrees_with_its_own_check(tmp_path: Path) -> None:
    """The box of the corners in the CRS is wider than the map."""
    place = rasterio.Affine(800, 500, 500_000, 500, -800, 6_000_000)
    item = mapped(tmp_path, "cog", "EPSG:32631", place)
    there = pyproj.Transformer.from_crs("EPSG:32631", "OGC:CRS84", always_xy=True)
    t = np.linspace(0, 40, 400)
    zero, end = np.zeros(400), np.full(400, 40)
    x, y = place @ (np.concatenate([t, t, zero, end]), np.concatenate([zero, end, t, t]))
    lon, lat = there.transform(x, y)
    assert item["bbox"] == pytest.approx([lon.min(), lat.min(), lon.max(), lat.max()], abs=1e-4)


# --- cubes ------------------------------------------------------------------------------------------------------------


def write_scan(path: Path, units: str, mapping: dict[str, Any], half: float, **layout: Any) -> None:
    """A cube of 30 x 40 cells about the middle of the projection, its axes packed as those of GOES-R ABI are."""
    import netCDF4

    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"title": "T", "summary": "S", "license": "CC-BY-4.0", "history": "made"})
        for name, n, way in (("y", 30, -1), ("x", 40, 1)):
            file.createDimension(name, n)
            axis = file.createVariable(name, "i2" if layout.get("packed") else "f8", (name,))
            step = 2 * half / n
            if layout.get("packed"):
                axis.setncatts({"scale_factor": way * step, "add_offset": -way * (half - step / 2)})
            axis.setncatts({"units": units, "standard_name": f"projection_{name}_coordinate"})
            axis[:] = -way * (half - step / 2) + way * step * np.arange(n)
        file.createDimension("time", 1)
        time = file.createVariable("time", "f8", ("time",))
        time.setncatts({"standard_name": "time", "units": "days since 2020-01-01", "calendar": "standard"})
        time[:] = 0
        file.createVariable("proj", "i4", ()).setncatts(mapping)
        data = file.createVariable("t", "f4", ("time", "y", "x"), fill_value=np.float32("nan"))
        data.setncatts({"units": "K", "long_name": "Temperature", "grid_mapping": "proj"})
        data[:] = np.arange(1200, dtype="f4").reshape(1, 30, 40)


def cube_of(folder: Path, target: str, **changes: Any) -> Any:
    profile = profile_of(
        folder, target__format=target, source__href="raw/*.nc", source__time={"from": "coordinate"},
        product__variables={"t": {"standard_name": "air_temperature"}}, **changes,
    )  # fmt: skip
    return prepare(profile, folder / "work")


@pytest.mark.parametrize(
    ("units", "target", "part"),
    [
        ("rad", "zarr", 1.0), ("rad", "cog", 1.0), ("radian", "netcdf", 0.3), ("m", "zarr", 1.0),
        ("km", "netcdf", 0.3), ("degrees", "zarr", 0.3),
    ],
)  # fmt: skip
def test_scan_angles_are_placed_by_the_height_of_the_satellite(
    tmp_path: Path, units: str, target: str, part: float
) -> None:
    size = {"m": 1.0, "km": 1000.0, "degrees": math.radians(GOES_HEIGHT)}.get(units, GOES_HEIGHT)
    write_scan(tmp_path / "raw/a.nc", units, GOES, part * GOES_LIMB / size, packed=units == "rad")
    reach = {1.0: 81.33, 0.3: 15.57}[part]
    item = item_of(cube_of(tmp_path, target))
    assert item["bbox"] == pytest.approx([-75 - reach, -reach, -75 + reach, reach], abs=0.5)


@pytest.mark.parametrize("units", ["rad", "degrees"])
def test_angles_on_a_plane_are_refused_by_name(tmp_path: Path, units: str) -> None:
    polar = pyproj.CRS("EPSG:3413").to_cf()
    write_scan(tmp_path / "raw/a.nc", units, polar, 0.1)
    bundle = cube_of(tmp_path, "zarr")
    [failure] = summarise(bundle).failed
    assert f"is an angle in {units}" in failure.error
    assert "source.crs" in failure.remedy


@pytest.mark.parametrize(("units", "size"), [("m", 1.0), ("km", 1000.0), ("US_survey_foot", 1200 / 3937)])
def test_lengths_of_any_unit_on_a_polar_plane(tmp_path: Path, units: str, size: float) -> None:
    write_scan(tmp_path / "raw/a.nc", units, pyproj.CRS("EPSG:3413").to_cf(), 3e5 / size)
    item = item_of(cube_of(tmp_path, "zarr"))
    assert item["bbox"] == pytest.approx([-180, 86.06, 180, 90], abs=0.05)
