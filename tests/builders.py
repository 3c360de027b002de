"""Raw files and profiles by construction, and the verbs from discover to finish on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003
from typing import Any

import netCDF4
import numpy as np
import pyproj  # noqa: F401 - before ecCodes and GDAL
import rasterio
import xarray as xr

from earthcode_pack import convert, storage
from earthcode_pack.convert.work import Record
from earthcode_pack.errors import SourceError
from earthcode_pack.model import Artifact, Failure, Plan
from earthcode_pack.plan import plan
from earthcode_pack.profile import Profile, load_profile
from earthcode_pack.sources.discover import discover

DAYS = "days since 2020-01-01"
WGS84 = {
    "grid_mapping_name": "latitude_longitude",
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
    "longitude_of_prime_meridian": 0.0,
}


# --- raw files ------------------------------------------------------------------------------------------------------


def make_tiff(path: Path, values: np.ndarray, **given: Any) -> Path:
    """A GeoTIFF of 10 m cells in UTM 31. Keywords: any creation option, and those taken out below."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stack = values if values.ndim == 3 else values[np.newaxis]
    transform = given.pop("transform", rasterio.Affine(10, 0, 500000, 0, -10, 4600000))
    extras = {key: given.pop(key) for key in tuple(given) if key in _DRESS}
    profile = {
        "driver": "GTiff", "count": stack.shape[0], "height": stack.shape[1], "width": stack.shape[2],
        "dtype": stack.dtype, "crs": "EPSG:32631", "transform": transform, **given,
    }  # fmt: skip
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as file:
        for key, value in extras.items():
            if key != "mask":
                _DRESS[key](file, value)
        file.write(stack)
        if "mask" in extras:
            file.write_mask(extras["mask"])
    return path


_DRESS: dict[str, Any] = {
    "tags": lambda file, tags: file.update_tags(**tags),
    "band_tags": lambda file, tags: file.update_tags(1, **tags),
    "domain": lambda file, pair: file.update_tags(ns=pair[0], **pair[1]),
    "colormap": lambda file, table: file.write_colormap(1, table),
    "colorinterp": lambda file, names: setattr(file, "colorinterp", names),
    "descriptions": lambda file, names: setattr(file, "descriptions", names),
    "units": lambda file, units: setattr(file, "units", [units] * file.count),
    "scale": lambda file, scale: setattr(file, "scales", [scale] * file.count),
    "offset": lambda file, offset: setattr(file, "offsets", [offset] * file.count),
    "mask": None,
}


def make_nc(
    path: Path, values: np.ndarray, attrs: dict[str, Any] | None = None, *,
    times: Any = (0,), units: str = DAYS, calendar: str | None = None, lat: Any = None, lon: Any = None,
    dims: tuple[str, ...] = ("time", "lat", "lon"), name: str = "sst", crs: bool = True,
    fmt: Any = "NETCDF4", chunks: Any = None, more: Any = None,
) -> Path:  # fmt: skip
    """A NetCDF of one variable; ``more(file)`` adds what is odd. ``attrs`` are those of the variable as stored."""
    path.parent.mkdir(parents=True, exist_ok=True)
    attrs = dict({"units": "K", "long_name": "sea surface temperature"} if attrs is None else attrs)
    sizes = dict(zip(dims, values.shape, strict=True))
    with netCDF4.Dataset(path, "w", format=fmt) as file:
        for dim, size in sizes.items():
            file.createDimension(dim, size)
        ny, nx = sizes.get("lat", 0), sizes.get("lon", 0)
        lat = 50 - np.arange(ny) * min(1, 130 / max(ny, 1)) if lat is None else np.asarray(lat)
        lon = np.arange(nx) - 10.0 if lon is None else np.asarray(lon)
        _coordinate(file, "lat", lat, units="degrees_north", standard_name="latitude")
        _coordinate(file, "lon", lon, units="degrees_east", standard_name="longitude")
        if "time" in sizes:
            said = {"units": units, "standard_name": "time"} | ({"calendar": calendar} if calendar else {})
            _coordinate(file, "time", np.asarray(times), **said)
        fill = attrs.pop("_FillValue", None)
        made = file.createVariable(
            name, values.dtype, dims, fill_value=fill, chunksizes=chunks, zlib=chunks is not None, endian="native"
        )
        made.set_auto_maskandscale(False)
        made.setncatts(attrs | ({"grid_mapping": "crs"} if crs else {}))
        made[...] = values
        if crs:
            file.createVariable("crs", "i4", ()).setncatts(WGS84)
        file.setncatts({"title": "raw", "Conventions": "CF-1.8"})
        if more:
            more(file)
    return path


def _coordinate(file: Any, name: str, values: np.ndarray, **attrs: Any) -> None:
    if file.data_model.startswith("NETCDF3") and values.dtype == np.int64:
        values = values.astype("int32")
    if name in file.dimensions:
        made = file.createVariable(name, values.dtype, (name,))
        made.setncatts(attrs)
        made[:] = values


def make_grib(path: Path, hours: Any = (0, 6), *, missing: bool = False, steps: Any = (0,), **keys: Any) -> np.ndarray:
    """2 m temperature on a 1 degree grid; what the messages hold, after their own rounding."""
    import eccodes

    held, shape = [], (4, 6)
    with path.open("wb") as file:
        for hour in hours:
            for step in steps:
                message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
                grid = {
                    "Ni": shape[1], "Nj": shape[0], "latitudeOfFirstGridPointInDegrees": 50,
                    "latitudeOfLastGridPointInDegrees": 47, "longitudeOfFirstGridPointInDegrees": 0,
                    "longitudeOfLastGridPointInDegrees": 5, "iDirectionIncrementInDegrees": 1,
                    "jDirectionIncrementInDegrees": 1, "dataDate": 20200101, "dataTime": hour * 100,
                    "stepRange": step, "indicatorOfParameter": 167, "table2Version": 128, "bitsPerValue": 16,
                }  # fmt: skip
                for key, value in {**grid, **keys}.items():
                    eccodes.codes_set(message, key, value)
                values = 280 + np.arange(24.0) / 8 + hour + step
                if missing:
                    eccodes.codes_set(message, "bitmapPresent", 1)
                    values[:3] = eccodes.codes_get(message, "missingValue")
                eccodes.codes_set_values(message, values)
                stored = eccodes.codes_get_values(message).reshape(shape)
                held.append(np.where(stored == eccodes.codes_get(message, "missingValue"), np.nan, stored))
                eccodes.codes_write(message, file)
                eccodes.codes_release(message)
    return np.array(held, "float32")


def make_zarr(path: Path, version: int = 3) -> Path:
    """A store of one variable (time, lat, lon) in two chunks."""
    values = xr.DataArray(ramp(2, 3, 4), dims=("time", "lat", "lon"), attrs={"units": "K"})
    axes: dict[str, Any] = {
        "time": ("time", [0, 1], {"units": "days since 2020-01-01", "standard_name": "time"}),
        "lat": ("lat", [50.0, 49, 48], {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": ("lon", [1.0, 2, 3, 4], {"units": "degrees_east", "standard_name": "longitude"}),
    }
    dataset = xr.Dataset({"sst": values}, coords=axes)
    dataset.to_zarr(path, zarr_format=version, encoding={"sst": {"chunks": (1, 3, 4)}}, consolidated=False)
    return path


def ramp(*shape: int, dtype: Any = "float32") -> np.ndarray:
    """Every cell another value, as far as the type can tell them apart."""
    return np.arange(int(np.prod(shape))).astype(dtype).reshape(shape)


# --- profiles -------------------------------------------------------------------------------------------------------


def profile_of(href: Any, fmt: str = "cog", *, time: Any = None, **given: Any) -> Profile:
    """A profile of one product. Keywords: ``crs``, ``nodata``, ``select`` of the source, ``described``, options."""
    source = {"href": [str(h) for h in href] if isinstance(href, list | tuple) else str(href)}
    source["time"] = time or {"from": "coordinate"}
    source |= {key: given.pop(key) for key in ("crs", "nodata") if key in given}
    source |= {"variables": given.pop("select")} if "select" in given else {}
    target = {"format": fmt, "tolerance": given.pop("tolerance", {})}
    product = {
        "id": "demo", "title": given.pop("title", "DEMO product"), "description": "A product made by construction.",
        "license": "CC-BY-4.0", "version": "1", "status": "completed", "variables": given.pop("described", {}),
    }  # fmt: skip
    return load_profile(
        {"product": product, "project": {"id": "demo-project"}, "source": source, "target": {**target, fmt: given}}
    )


PERIOD = {"start": "2020-01-01", "end": "2020-12-31"}


# --- the verbs ------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """What the verbs left."""

    root: Path
    plan: Plan
    artifacts: list[Artifact]
    failures: list[Failure]

    @property
    def one(self) -> Artifact:
        """The only artifact; fails with the failures where there is none."""
        assert not self.failures, self.failures
        assert len(self.artifacts) == 1, [a.key for a in self.artifacts]
        return self.artifacts[0]

    @property
    def path(self) -> Path:
        """Its file or store."""
        return self.root / "product" / self.one.key

    @property
    def error(self) -> str:
        """The only failure, in words with its remedy."""
        assert len(self.failures) == 1, self.failures
        return f"{self.failures[0].error} — {self.failures[0].remedy}"


def planned(profile: Profile) -> Plan:
    """Discover and plan."""
    return plan(profile, discover(profile, storage.IdentityCache()))


def run(profile: Profile, root: Path) -> Run:
    """Discover, plan, convert, in this thread."""
    made = planned(profile)
    artifacts, failures = [], list(made.failures)
    for job in made.jobs:
        folder = root / "work" / job.fingerprint[:16]
        try:
            records = [convert.write(part) for part in convert.begin(job, folder)]
        except SourceError as error:
            failures.append(Failure(source=job.inputs[0].href, error=error.message, remedy=error.remedy))
            continue
        bad = [record for record in records if isinstance(record, Failure)]
        failures.extend(bad)
        if not bad:
            good = [record for record in records if isinstance(record, Record)]
            artifacts.append(convert.finish(job, good, folder, root / "product"))
    return Run(root, made, artifacts, failures)


def opened(path: Path, **options: Any) -> xr.Dataset:
    """A Zarr store or NetCDF file as a user opens it, loaded."""
    engine = "zarr" if ".zarr" in path.name else "h5netcdf"
    where: Any = str(path)
    if path.name.endswith(".zip"):
        import zarr

        where = zarr.storage.ZipStore(path, mode="r")
    with xr.open_dataset(where, engine=engine, **options) as dataset:
        return dataset.load()


class Watched:
    """A binary file that notes how far it was read; it must be opened without a buffer."""

    def __init__(self, raw: Any) -> None:
        self._raw, self.furthest = raw, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def readinto(self, buffer: Any) -> int:
        self.furthest = max(self.furthest, self._raw.tell() + len(buffer))
        return int(self._raw.readinto(buffer) or 0)


def bits(values: np.ndarray) -> bytes:
    """The bytes of values in the machine's order."""
    return np.ascontiguousarray(values).astype(values.dtype.newbyteorder("="), copy=False).tobytes()
