"""Makes the sample products: small, invented, and odd in the ways that real products are (README.md lists how).

``python sample_data/make.py [FOLDER]`` writes the files beside this script, or below FOLDER. The seed and all dates are
fixed, so a second run with the same libraries writes the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import netCDF4
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio import Affine

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SEED = 20200101
HISTORY = "2020-03-01T00:00:00Z sample_data/make.py"
SST_SHAPE = (90, 180)  # 2 degrees
SST_FILL = -32768
FREEZING = 273.15
WGS84 = {  # written out: what PROJ says of EPSG:4326 changes with its version
    "grid_mapping_name": "latitude_longitude",
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
    "longitude_of_prime_meridian": 0.0,
    "horizontal_datum_name": "World Geodetic System 1984",
    "crs_wkt": 'GEOGCRS["WGS 84",DATUM["World Geodetic System 1984",ELLIPSOID["WGS 84",6378137,298.257223563]],'
    'CS[ellipsoidal,2],AXIS["latitude",north],AXIS["longitude",east],ANGLEUNIT["degree",0.0174532925199433],'
    'ID["EPSG",4326]]',
}
NDVI_SHAPE = (257, 301)  # rows, columns; no multiple of a block
NDVI_NODATA = -32768
LANDCOVER_SHAPE = (600, 700)

# Centre longitude and latitude, and half axes, of ellipses that stand in for continents.
CONTINENTS = [
    (20, 5, 22, 34), (5, 22, 22, 14), (60, 55, 65, 18), (105, 45, 40, 25), (80, 20, 11, 14), (134, -25, 20, 12),
    (262, 45, 32, 20), (255, 62, 45, 9), (300, -10, 20, 18), (291, -35, 9, 20), (318, 72, 18, 11), (268, 17, 9, 7),
]  # fmt: skip

# A scene: zone, date, easting and northing of its upper left corner. Both zones see 6°E, where they meet.
SCENES = [
    (31, "20200615", 710_000, 5_210_000),
    (32, "20200615", 262_000, 5_210_000),
    (31, "20200710", 710_000, 5_210_000),
    (32, "20200725", 262_000, 5_210_000),
]

# Value: colour. 70 stands in the table and in no cell.
LANDCOVER_COLORS = {
    0: (0, 0, 0, 0), 10: (0, 100, 0, 255), 30: (255, 255, 76, 255), 40: (240, 150, 255, 255),
    50: (250, 0, 0, 255), 70: (240, 240, 240, 255), 80: (0, 100, 200, 255),
}  # fmt: skip


def main(folder: Path) -> None:
    """All three products below ``folder``."""
    rng = np.random.default_rng(SEED)
    make_sst(folder / "sst", rng)
    make_ndvi(folder / "scenes", rng)
    make_landcover(folder / "landcover", rng)


def make_sst(folder: Path, rng: np.random.Generator) -> None:
    """Two monthly files of a daily cube, each with its own time units."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = _smooth(rng, SST_SHAPE, 12, wrap=True)
    for month, first_day, days in (("2020-01", 0, 31), ("2020-02", 31, 29)):
        with netCDF4.Dataset(folder / f"sst_{month}.nc", "w", format="NETCDF4") as file:
            _sst_globals(file)
            _sst_coordinates(file, month, days)
            _sst_variables(file, np.arange(first_day, first_day + days), noise)


def make_ndvi(folder: Path, rng: np.random.Generator) -> None:
    """Scenes in two UTM zones, striped, with the empty corners of a slanting orbit."""
    for zone, date, left, top in SCENES:
        ndvi = np.clip(0.45 + 0.15 * _smooth(rng, NDVI_SHAPE, 25) + 0.02 * rng.standard_normal(NDVI_SHAPE), -1, 1)
        stored = np.where(_outside_orbit(NDVI_SHAPE), NDVI_NODATA, np.round(ndvi * 10_000)).astype("int16")
        path = folder / f"ndvi_T{zone}_{date}.tif"
        with _geotiff(path, stored, 32600 + zone, (left, top), nodata=NDVI_NODATA) as file:
            file.scales, file.units, file.descriptions = (0.0001,), ("1",), ("ndvi",)
            file.write(stored, 1)


def make_landcover(folder: Path, rng: np.random.Generator) -> None:
    """One map of classes with a colour table, and a gap without data."""
    height, wet = _smooth(rng, LANDCOVER_SHAPE, 40), _smooth(rng, LANDCOVER_SHAPE, 25)
    water, forest, meadow, town = wet > 1.3, height > 0.7, wet > 0.2, height < -1.2  # noqa: PLR2004 - to taste
    classes = np.select([water, forest, meadow, town], [80, 10, 30, 50], 40).astype("uint8")
    classes[:60, :90] = 0
    path = folder / "landcover_2021.tif"
    with _geotiff(path, classes, 3035, (4_000_000, 3_000_000), nodata=0) as file:
        file.descriptions = ("landcover",)
        file.write(classes, 1)
        file.write_colormap(1, LANDCOVER_COLORS)


def _sst_globals(file: Any) -> None:
    file.setncatts(
        {
            "Conventions": "CF-1.11",
            "title": "DEMO daily sea surface temperature",
            "summary": "Invented daily means for trying out the packaging; they describe no ocean.",
            "institution": "Example Institute",
            "source": "sample_data/make.py",
            "license": "CC-BY-4.0",
            "history": HISTORY,
        }
    )


def _sst_coordinates(file: Any, month: str, days: int) -> None:
    rows, columns = SST_SHAPE
    for name, size in (("time", days), ("lat", rows), ("lon", columns), ("nv", 2)):
        file.createDimension(name, size)
    since = {"units": f"days since {month}-01 00:00:00", "calendar": "standard"}
    middle = np.arange(days) + 0.5
    time = {"standard_name": "time", "long_name": "time", "axis": "T", "bounds": "time_bnds", **since}
    _coordinate(file, "time", middle, time)
    north = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"}
    _coordinate(file, "lat", np.arange(-89.0, 90, 2), north)
    east = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"}
    _coordinate(file, "lon", np.arange(1.0, 360, 2), east)
    bounds = file.createVariable("time_bnds", "f8", ("time", "nv"))
    bounds[:] = np.stack([middle - 0.5, middle + 0.5], axis=1)
    file.createVariable("crs", "i4", ()).setncatts(WGS84)


def _coordinate(file: Any, name: str, values: npt.NDArray[Any], attributes: dict[str, str]) -> None:
    variable = file.createVariable(name, "f8", (name,))
    variable.setncatts(attributes)
    variable[:] = values


def _sst_variables(file: Any, day: npt.NDArray[np.int64], noise: Floats) -> None:
    """Packed temperature, and its quality as flags; ``day`` counts from 1 January."""
    kelvin, land = _temperature(day, noise), _land()
    shared = {"dimensions": ("time", "lat", "lon"), "zlib": True, "complevel": 6, "chunksizes": (1, *SST_SHAPE)}
    sst = file.createVariable("analysed_sst", "i2", fill_value=np.int16(SST_FILL), **shared)
    sst.set_auto_maskandscale(False)
    sst.setncatts(
        {
            "standard_name": "sea_surface_temperature",
            "long_name": "analysed sea surface temperature",
            "units": "K",
            "scale_factor": 0.01,
            "add_offset": FREEZING,
            "cell_methods": "time: mean",
            "grid_mapping": "crs",
            "ancillary_variables": "quality",
        }
    )
    sst[:] = np.where(land, SST_FILL, np.round((kelvin - FREEZING) / 0.01)).astype("int16")
    quality = file.createVariable("quality", "u1", fill_value=False, **shared)
    quality.setncatts(
        {
            "standard_name": "quality_flag",
            "long_name": "quality of the sea surface temperature",
            "units": "1",
            "flag_values": np.array([0, 1, 2], "u1"),
            "flag_meanings": "good near_ice land",
            "grid_mapping": "crs",
        }
    )
    quality[:] = np.select([np.broadcast_to(land, kelvin.shape), kelvin < FREEZING], [2, 1], 0).astype("uint8")


def _temperature(day: npt.NDArray[np.int64], noise: Floats) -> Floats:
    """Kelvin, (time, lat, lon): warm about the equator, with eddies that drift eastwards."""
    latitude = np.radians(np.arange(-89.0, 90, 2))[:, None]
    mean = 271.6 + 29.0 * np.clip(np.cos(latitude * 1.05 + 0.08), 0, None) ** 2
    drift = np.stack([np.roll(noise, int(number) // 3, axis=1) for number in day])
    return cast("Floats", np.clip(mean + 0.8 * drift, 271.35, 308))


def _land() -> Bools:
    latitude, longitude = np.meshgrid(np.arange(-89.0, 90, 2), np.arange(1.0, 360, 2), indexing="ij")
    land = latitude < -75 - 6 * np.sin(np.radians(longitude))
    for east, north, width, height in CONTINENTS:
        away = (longitude - east + 180) % 360 - 180
        land |= (away / width) ** 2 + ((latitude - north) / height) ** 2 < 1
    return cast("Bools", land)


def _smooth(rng: np.random.Generator, shape: tuple[int, int], size: int, *, wrap: bool = False) -> Floats:
    """Noise of zero mean and unit deviation, smooth over ``size`` cells: averaged three times along both axes."""
    field = rng.standard_normal(shape)
    for axis in (0, 1):
        for _ in range(3):
            padding = [(0, 0), (0, 0)]
            padding[axis] = (size // 2, size - 1 - size // 2)
            padded = np.pad(field, padding, mode="wrap" if wrap and axis == 1 else "reflect")
            field = np.lib.stride_tricks.sliding_window_view(padded, size, axis=axis).mean(axis=-1)
    return cast("Floats", (field - field.mean()) / field.std())


def _outside_orbit(shape: tuple[int, int]) -> Bools:
    row, column = np.indices(shape)
    outside: Bools = (column < 40 - row / 6) | (column > 280 + (shape[0] - row) / 8)
    return outside


def _geotiff(path: Path, data: npt.NDArray[Any], epsg: int, corner: tuple[int, int], nodata: int) -> Any:
    """A striped GeoTIFF with 100 m cells, open for writing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return rasterio.open(
        path, "w", driver="GTiff", height=data.shape[0], width=data.shape[1], count=1, dtype=data.dtype,
        crs=f"EPSG:{epsg}", transform=Affine(100, 0, corner[0], 0, -100, corner[1]), nodata=nodata,
        tiled=False, compress="deflate", predictor=2,
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
