"""The inputs of the benchmarks: made once, always the same, with what makes real data hard to compress and to read.

========== =====================================================================================================
``big``    one GeoTIFF of uint16 in strips of a row, deflate 6 with predictor 2, noise on hills, a slanted swath
``daily``  GeoTIFFs of 2000 x 2000 float32, one a day, deflate with predictor 3, an eighth of the cells nodata
``cube``   NetCDF-4 files of a month: two float32 variables (time, 1000, 1500), one chunk a day, zlib 4 and shuffle
========== =====================================================================================================

Each file has its own seeds, so that few of them are the first of many, and is renamed to its name when it is whole.
"""

from __future__ import annotations

import calendar
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Kind = Literal["big", "daily", "cube"]

ROWS = 500  # of the big picture that are made at once
DAY = (2000, 2000)
FIELD = (1000, 1500)
YEAR = 2023
FILL = np.float32(-9999)
COAST, SHORE = -0.9, -0.75  # hills below are nodata: an eighth of a day, a sixth of a field


@dataclass(frozen=True)
class Sizes:
    """How much of each kind: ``big`` in pixels along an edge, ``daily`` in files, ``cube`` in months."""

    big: int = 20000
    daily: int = 60
    cube: int = 12


FULL, QUICK = Sizes(), Sizes(big=8000, daily=12, cube=3)


def inputs(kind: Kind, folder: Path, count: int) -> list[Path]:
    """The files of one kind in ``folder``, by name and in order; those that are missing are made."""
    makers = {"big": _big, "daily": _daily, "cube": _cube}
    folder.mkdir(parents=True, exist_ok=True)
    files = makers[kind](folder, count)
    for path, make in files.items():
        if not path.exists():
            with _whole(path) as part:
                make(part)
    return list(files)


def _big(folder: Path, edge: int) -> dict[Path, Callable[[Path], None]]:
    return {folder / f"big-{edge}.tif": partial(write_big, edge=edge)}


def _daily(folder: Path, count: int) -> dict[Path, Callable[[Path], None]]:
    days = [date(2024, 1, 1) + timedelta(days=number) for number in range(count)]
    return {folder / f"lst_{day}.tif": partial(write_day, number=number) for number, day in enumerate(days)}


def _cube(folder: Path, months: int) -> dict[Path, Callable[[Path], None]]:
    return {folder / f"cube_{YEAR}{month:02d}.nc": partial(write_month, month=month) for month in range(1, months + 1)}


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes ``path`` when all is written."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    yield part
    part.replace(path)


# --- fields -----------------------------------------------------------------------------------------------------------


def hills(shape: tuple[int, int], seed: int, octaves: int = 6) -> Floats:
    """A smooth field about zero: octaves of random knots, joined by straight lines."""
    random = np.random.default_rng(seed)
    field = np.zeros(shape, "f4")
    for octave in range(octaves):
        knots = 4 * 2**octave
        values = random.standard_normal((knots + 1, knots + 1)).astype("f4")
        row, down = _between(knots, shape[0])
        column, right = _between(knots, shape[1])
        lines = values[row] * (1 - down)[:, None] + values[row + 1] * down[:, None]
        field += (lines[:, column] * (1 - right) + lines[:, column + 1] * right) / np.float32(1.8**octave)
    return field


def _between(knots: int, size: int) -> tuple[NDArray[np.intp], Floats]:
    """For each of ``size`` cells the knot before it, and how far it is on the way to the next one."""
    place = np.linspace(0, knots, size, endpoint=False)
    before = place.astype(np.intp)
    return before, (place - before).astype("f4")


_known_hills = cache(hills)  # of those that many files share


def rounded(values: Floats, bits: int) -> Floats:
    """Only so many bits of the mantissa kept, as products are stored whose precision is known."""
    drop = 23 - bits
    words = values.view("u4")
    kept: Floats = ((words + np.uint32(1 << (drop - 1))) & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).view("f4")
    return kept


# --- files ------------------------------------------------------------------------------------------------------------


def write_big(path: Path, edge: int) -> None:
    """One picture of ``edge`` pixels, nodata 0 outside the swath, with tags, scale, offset and a band's description."""
    import rasterio  # noqa: PLC0415 - a test of the arithmetic needs none

    random, profile = np.random.default_rng(2), _tif("uint16", 0, (edge, edge), predictor=2)
    profile |= {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 300000, 0, -10, 5300000), "blockysize": 1}
    with rasterio.open(path, "w", **profile, zlevel=6, num_threads="all_cpus", bigtiff="if_safer") as file:
        for top in range(0, edge, ROWS):
            rows = np.arange(top, min(top + ROWS, edge))
            file.write(_swath(rows, edge, random), 1, window=((top, top + len(rows)), (0, edge)))
        file.update_tags(TIFFTAG_DATETIME="2024:01:02 03:04:05", mission="S2")
        file.set_band_description(1, "B04")
        file.scales, file.offsets, file.units = (0.0001,), (-0.1,), ("1",)


def _swath(rows: NDArray[np.intp], edge: int, random: np.random.Generator) -> NDArray[np.uint16]:
    base, columns = _known_hills((2000, 2000), 1), np.arange(edge)
    values = base[rows * 2000 // edge][:, columns * 2000 // edge]
    values *= 700
    values += 3000
    values += 25 * random.standard_normal(values.shape, dtype="f4")
    pixels = values.clip(1, 65535).astype("u2")
    slant = (rows * 0.15).astype(int)[:, None]
    pixels[(columns < slant) | (columns > edge - 0.15 * edge + slant)] = 0
    return pixels


def write_day(path: Path, number: int) -> None:
    """A day of temperatures in kelvin, the same coast on each."""
    import rasterio  # noqa: PLC0415

    values = 280 + 10 * _known_hills(DAY, 7) + hills(DAY, 100 + number, 4)
    values += 0.05 * np.random.default_rng(number).standard_normal(DAY, dtype="f4")
    values[_known_hills(DAY, 8) < COAST] = FILL
    profile = _tif("float32", float(FILL), DAY, predictor=3)
    place = rasterio.Affine(0.005, 0, 5, 0, -0.005, 50)
    with rasterio.open(path, "w", **profile, crs="EPSG:4326", transform=place, num_threads="all_cpus") as file:
        file.write(values, 1)
        file.update_tags(date=str(number))
        file.set_band_description(1, "lst")


def _tif(dtype: str, nodata: float, shape: tuple[int, int], predictor: int) -> dict[str, Any]:
    size = {"height": shape[0], "width": shape[1], "count": 1, "dtype": dtype, "nodata": nodata}
    return {"driver": "GTiff", **size, "compress": "deflate", "predictor": predictor}


def write_month(path: Path, month: int) -> None:
    """A month of two variables with coasts: one in steps of 0.001, one with 12 bits of mantissa and NaN as fill.

    netCDF4 writes the header; the chunks, which it would deflate in one thread, are what it would have written.
    """
    import h5py  # noqa: PLC0415

    days = calendar.monthrange(YEAR, month)[1]
    _write_header(path, month, days)
    with h5py.File(path, "r+") as file, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        drift = hills(FIELD, 200 + month, 5)
        work = partial(_chunks_of_day, month=month, days=days, drift=drift)
        for name in ("sst", "chl"):
            file[name].resize(days, axis=0)
        for day, chunks in enumerate(pool.map(work, range(days))):
            for name, chunk in chunks.items():
                file[name].id.write_direct_chunk((day, 0, 0), chunk)


def _chunks_of_day(day: int, month: int, days: int, drift: Floats) -> dict[str, bytes]:
    return {name: _deflated(values) for name, values in fields_of_day(day, month, days, drift).items()}


def fields_of_day(day: int, month: int, days: int, drift: Floats) -> dict[str, Floats]:
    """The two fields of a day, fill values on land."""
    noise = np.random.default_rng((month, day)).standard_normal(FIELD, dtype="f4")
    land = _known_hills(FIELD, 8) < SHORE
    warm = 288 + 8 * _known_hills(FIELD, 20) + (0.6 + day / days) * drift + 0.02 * noise
    green = np.exp(0.8 * _known_hills(FIELD, 21) + 0.3 * np.roll(drift, 17 * day, 1) + 0.05 * noise[::-1])
    sst = (np.round(warm * 1000) / 1000).astype("f4")
    chl = rounded(green.astype("f4"), 12)
    sst[land], chl[land] = FILL, np.nan
    return {"sst": sst, "chl": chl}


def _deflated(values: Floats) -> bytes:
    """As HDF5's shuffle and deflate filters leave them: first bytes first, then zlib at level 4."""
    planes = np.ascontiguousarray(values.reshape(-1).view("u1").reshape(-1, values.itemsize).T)
    return zlib.compress(planes.data, 4)


def _write_header(path: Path, month: int, days: int) -> None:
    import netCDF4  # noqa: PLC0415

    with netCDF4.Dataset(path, "w") as file:
        for name, size in {"time": None, "lat": FIELD[0], "lon": FIELD[1]}.items():
            file.createDimension(name, size)
        _coordinate(file, "time", np.arange(days) + 0.5, f"days since {YEAR}-{month:02d}-01", "time")
        _coordinate(file, "lat", np.linspace(70, 30, FIELD[0], dtype="f4"), "degrees_north", "latitude")
        _coordinate(file, "lon", np.linspace(-30, 30, FIELD[1], dtype="f4"), "degrees_east", "longitude")
        ellipsoid = {"semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}
        file.createVariable("crs", "i4", ()).setncatts({"grid_mapping_name": "latitude_longitude", **ellipsoid})
        limits = np.array([250, 330], "f4")
        _field(file, "sst", FILL, units="K", standard_name="sea_surface_temperature", valid_range=limits)
        _field(file, "chl", np.float32(np.nan), units="mg m-3", long_name="chlorophyll")
        file.setncatts({"Conventions": "CF-1.8", "title": "bench cube", "institution": "ESA"})


def _coordinate(file: Any, name: str, values: NDArray[np.floating], units: str, standard_name: str) -> None:
    coordinate = file.createVariable(name, values.dtype, (name,), chunksizes=(512,) if name == "time" else None)
    coordinate.setncatts({"units": units, "standard_name": standard_name})
    if name == "time":
        coordinate.calendar = "standard"
    coordinate[:] = values


def _field(file: Any, name: str, fill: np.float32, **attributes: Any) -> None:
    codec = {"zlib": True, "complevel": 4, "shuffle": True, "chunksizes": (1, *FIELD)}
    field = file.createVariable(name, "f4", ("time", "lat", "lon"), fill_value=fill, **codec)
    field.setncatts({**attributes, "grid_mapping": "crs"})
