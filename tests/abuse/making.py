"""Sound files and profiles that hostile inputs are made of, and ways to damage them. Every byte follows from a seed."""

from __future__ import annotations

import functools
import itertools
import re
import shutil
import tempfile
import zipfile
import zlib
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import making
import numpy as np
import pyproj
import yaml
from abuse.harness import GOOD, Case, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Damage = Callable[[bytes], bytes]

ENDINGS = {"tif": "cog", "nc": "netcdf", "grib": "netcdf", "zarr": "netcdf"}
MAIN = ["run", "profile.yaml", "--workdir", "work", "--json"]


# --- sound files ----------------------------------------------------------------------------------------------------


def write_tif(path: Path, values: Any = None, **given: Any) -> Path:
    """A GeoTIFF of 64 x 64 cells of 100 m in UTM 31."""
    cells = np.random.default_rng(7).integers(0, 99, (64, 64)).astype("int16") if values is None else values
    return making.write_tif(path, cells, **given)


def write_nc(path: Path, fmt: Any = "NETCDF4", more: Callable[[Any], None] | None = None, **given: Any) -> Path:
    """A NetCDF file of one map of ``t`` on a grid of 8 x 10 degrees; ``more(file)`` adds what is odd."""
    import netCDF4

    day, data = day_of(path), given.pop("attrs", {})
    with netCDF4.Dataset(path, "w", format=fmt) as file:
        for name, values, attrs in (
            ("time", [float(day)], {"standard_name": "time", "units": "days since 2020-01-01"}),
            ("lat", np.arange(8) + 0.5, {"standard_name": "latitude", "units": "degrees_north"}),
            ("lon", np.arange(10) + 0.5, {"standard_name": "longitude", "units": "degrees_east"}),
        ):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,)).setncatts(attrs)
            file[name][:] = values
        file.createVariable("crs", "i4").setncatts(
            {
                "grid_mapping_name": "latitude_longitude",
                "semi_major_axis": 6378137.0,
                "inverse_flattening": 298.257223563,
            }
        )
        made = file.createVariable("t", "f4", ("time", "lat", "lon"), fill_value=np.float32(-999), **given)
        made.setncatts({"units": "K", "standard_name": "air_temperature", "grid_mapping": "crs"} | data)
        made[:] = np.arange(80, dtype="f4").reshape(1, 8, 10)
        if more:
            more(file)
    return path


def write_grib(path: Path, edition: int = 1) -> Path:
    """One message: 2 m temperature on a grid of 1 degree."""
    import eccodes

    message = eccodes.codes_grib_new_from_samples(f"regular_ll_sfc_grib{edition}")
    keys = {
        "Ni": 6, "Nj": 4, "latitudeOfFirstGridPointInDegrees": 50, "latitudeOfLastGridPointInDegrees": 47,
        "longitudeOfFirstGridPointInDegrees": 0, "longitudeOfLastGridPointInDegrees": 5,
        "iDirectionIncrementInDegrees": 1, "jDirectionIncrementInDegrees": 1, "bitsPerValue": 16,
        "dataDate": int(f"{date(2020, 1, 1) + timedelta(day_of(path)):%Y%m%d}"),
    }  # fmt: skip
    keys |= {"shortName": "2t"} if edition == 2 else {"indicatorOfParameter": 167, "table2Version": 128}
    for key, value in keys.items():
        eccodes.codes_set(message, key, value)
    eccodes.codes_set_values(message, 280 + np.arange(24.0) / 8)
    with path.open("wb") as file:
        eccodes.codes_write(message, file)
    eccodes.codes_release(message)
    return path


def write_zarr(path: Path, version: int = 3, *, packed: bool = False, **given: Any) -> Path:
    """A Zarr store, or one in a ZIP file, as ``write_nc``."""
    import xarray as xr

    attrs = {"units": "K", "standard_name": "air_temperature", "grid_mapping": "crs"}
    data = xr.Dataset(
        {
            "t": (("time", "lat", "lon"), np.arange(80, dtype="f4").reshape(1, 8, 10), attrs),
            "crs": ((), np.int32(0), pyproj.CRS("EPSG:4326").to_cf()),
        },
        {
            "time": (
                "time",
                np.array([day_of(path)], "f8"),
                {"standard_name": "time", "units": "days since 2020-01-01"},
            ),
            "lat": ("lat", np.arange(8) + 0.5, {"standard_name": "latitude", "units": "degrees_north"}),
            "lon": ("lon", np.arange(10) + 0.5, {"standard_name": "longitude", "units": "degrees_east"}),
        },
    )
    folder = path.with_name(f"{path.name}.folder") if packed else path
    data.to_zarr(folder, zarr_format=version, consolidated=version == 2, **given)
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(place for place in folder.rglob("*") if place.is_file()):
                archive.write(file, file.relative_to(folder))
        shutil.rmtree(folder)
    return path


SOUND: dict[str, Callable[[Path], Path]] = {"tif": write_tif, "nc": write_nc, "grib": write_grib, "zarr": write_zarr}


# --- profiles -------------------------------------------------------------------------------------------------------


def profile_data(ending: str = "tif", target: str | None = None, **changes: Any) -> dict[str, Any]:
    """A profile for ``raw/*``; changes as those of ``making.profile_data``."""
    times = {"from": "coordinate"} if ending != "tif" else {"from": "filename", "pattern": "*_{start:%Y%m%d}*.tif"}
    given = {"source__href": f"raw/*.{ending}", "source__time": times, "target__format": target or ENDINGS[ending]}
    return making.profile_data(**(given | ({} if ending == "tif" else {"product__variables": None}) | changes))


def write_profile(site: Site, data: dict[str, Any]) -> None:
    (site.inside / "profile.yaml").write_text(yaml.safe_dump(data))


def beside_good(
    name: str, writes: Mapping[str, Callable[[Site, Path], Any]], ending: str, target: str | None = None, **given: bool
) -> Iterator[Case]:
    """Cases of bad files beside a sound one, up to twelve in each.

    Args:
        name: of the cases.
        writes: what makes a bad file at a path in ``raw``, by name. It may choose another name in that folder.
        ending: of the files' names, which is also the kind of the sound one.
        target: format of the product.
        given: ``keeps_good``, ``refused``.
    """

    def make(site: Site, parts: tuple[tuple[str, Callable[[Site, Path], Any]], ...]) -> list[str]:
        _raw(site, ending)
        for number, (_, write) in enumerate(parts):
            write(site, site.inside / "raw" / f"{stem(number)}.{ending}")
        write_profile(site, profile_data(ending, target))
        return MAIN

    for number, chosen in enumerate(itertools.batched(writes.items(), 12)):
        yield Case(f"{name}-{number}", make, chosen, **given)


def damaged(name: str, ending: str, write: Callable[[Path], Path], damages: dict[str, Damage]) -> Case:
    """A case of files that are damaged somewhere, each of a day of its own, beside a sound one.

    What damage leaves readable may say anything, so that the sound one may contradict it: then both are named.
    """

    def make(site: Site, parts: tuple[tuple[str, Damage], ...]) -> list[str]:
        _raw(site, ending)
        for number, (_, damage) in enumerate(parts):
            path = write(site.inside / "raw" / f"{stem(number)}.{ending}")
            path.write_bytes(damage(path.read_bytes()))
        write_profile(site, profile_data(ending))
        return MAIN

    return Case(name, make, tuple(damages.items()), keeps_good=False)


def stem(number: int) -> str:
    """Of a bad file: two of one time and place would be refused for that."""
    return f"bad{number:03}_{date(2020, 1, 1) + timedelta(number):%Y%m%d}"


def day_of(path: Path) -> int:
    """The day that a name ends with, since 2020-01-01; 0 where it ends with none."""
    found = re.search(r"_(\d{8})$", path.name.partition(".")[0])
    return (datetime.strptime(found[1], "%Y%m%d").date() - date(2020, 1, 1)).days if found else 0


def _raw(site: Site, ending: str) -> None:
    (site.inside / "raw").mkdir()
    SOUND[ending](site.inside / "raw" / f"{GOOD}.{ending}")


# --- damage ---------------------------------------------------------------------------------------------------------


@functools.cache
def bytes_of(write: Callable[[Path], Path]) -> bytes:
    """What ``write`` writes into a file."""
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder) / "file").read_bytes()


def truncated(count: int = 12) -> dict[str, Damage]:
    """Cuts at so many offsets, closer to each other in the header."""

    def cut(share: float) -> Damage:
        return lambda data: data[: int(len(data) * share)]

    return {f"cut at {(n / count) ** 2:.4f}": cut((n / count) ** 2) for n in range(count)}


def flipped(count: int = 30) -> dict[str, Damage]:
    """Flips one to eight bits, half of the times in the first 512 bytes."""

    def flip(seed: int) -> Damage:
        def changed(data: bytes) -> bytes:
            random, out = Random(seed), bytearray(data)
            for _ in range(1 + seed % 8):
                out[random.randrange(min(len(data), 512) if seed % 2 else len(data))] ^= 1 << random.randrange(8)
            return bytes(out)

        return changed

    return {f"flips {seed}": flip(seed) for seed in range(count)}


def overwritten(count: int = 10) -> dict[str, Damage]:
    """Replaces 4 bytes of the first 1,024 by an extreme number: 0, -1, the largest integers."""
    words = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f")

    def put(seed: int) -> Damage:
        def changed(data: bytes) -> bytes:
            place = Random(seed).randrange(max(min(len(data), 1024) - 4, 1))
            return data[:place] + words[seed % 4] + data[place + 4 :]

        return changed

    return {f"word {seed}": put(seed) for seed in range(count)}


def zeros_deflated(size: int) -> bytes:
    """So many zeros as zlib packs them (RFC 1950), about 1,000 times smaller; a multiple of 1,000,000."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    sum_of_zeros = (size % 65521) << 16 | 1  # Adler-32
    return b"\x78\xda" + block * (size // 1_000_000) + end + sum_of_zeros.to_bytes(4, "big")
