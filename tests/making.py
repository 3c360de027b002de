"""Raw files and profiles by construction, for tests of the pipeline as a whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import rasterio
import yaml

from earthcode_pack.profile import load_profile

if TYPE_CHECKING:
    from earthcode_pack.bundle import Bundle
    from earthcode_pack.profile import Profile

ROOT = Path(__file__).resolve().parent.parent
SECRET = "n0t-to-be-shown"  # that no message, file or log may hold
EPOCH = "1767225600"  # 2026-01-01


def write_tif(path: Path, values: Any = None, **given: Any) -> Path:
    """A GeoTIFF of one band, 16 x 20 cells of 100 m in UTM 31 unless told otherwise; no crs where ``crs`` is None."""
    rng = np.random.default_rng(7)
    cells = np.asarray(rng.integers(0, 100, (16, 20)).astype("int16") if values is None else values)
    crs = given.pop("crs", "EPSG:32631")
    corner, cell = given.pop("corner", (500_000.0, 5_000_000.0)), given.pop("cell", 100.0)
    place = given.pop("transform", rasterio.Affine(cell, 0, corner[0], 0, -cell, corner[1]))
    tags = given.pop("tags", {})
    layout = {"height": cells.shape[-2], "width": cells.shape[-1], "dtype": cells.dtype, "nodata": -1} | given
    path.parent.mkdir(parents=True, exist_ok=True)
    stack = cells if cells.ndim == 3 else cells[np.newaxis]
    wkt = pyproj.CRS.from_user_input(crs).to_wkt() if crs else None
    with rasterio.open(path, "w", driver="GTiff", count=len(stack), crs=wkt, transform=place, **layout) as file:
        file.write(stack)
        file.update_tags(**tags)
    return path


def write_cube(path: Path, days: Any = (0, 1, 2), **given: Any) -> Path:
    """A NetCDF-4 file: ``t`` (time, lat, lon) in EPSG:4326, from Greenwich eastwards by default."""
    import netCDF4

    lats, lons = given.get("lats", np.arange(-5, 5) + 0.5), given.get("lons", np.arange(0, 12) + 0.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        file.setncatts({"title": "T", "summary": "S", "license": "CC-BY-4.0", "history": "made"})
        time = {
            "standard_name": "time",
            "units": "days since 2020-01-01",
            "calendar": given.get("calendar", "standard"),
        }
        _coordinate(file, "time", np.asarray(days, "f8"), time)
        _coordinate(file, "lat", lats, {"standard_name": "latitude", "units": "degrees_north"})
        _coordinate(file, "lon", lons, {"standard_name": "longitude", "units": "degrees_east"})
        file.createVariable("crs", "i4").setncatts(
            {"grid_mapping_name": "latitude_longitude", "crs_wkt": pyproj.CRS("EPSG:4326").to_wkt()}
        )
        data = file.createVariable("t", "f4", ("time", "lat", "lon"), fill_value=np.float32("nan"))
        attrs = {"units": "K", "standard_name": "air_temperature", "long_name": "Temperature", "grid_mapping": "crs"}
        data.setncatts(attrs | given.get("attrs", {}))
        shape = (len(days), len(lats), len(lons))
        data[:] = given.get("values", np.arange(np.prod(shape), dtype="f4").reshape(shape))
    return path


def _coordinate(file: Any, name: str, values: Any, attrs: dict[str, Any]) -> None:
    file.createDimension(name, len(values))
    file.createVariable(name, "f8", (name,)).setncatts(attrs)
    file[name][:] = values


def profile_data(**changes: Any) -> dict[str, Any]:
    """A profile for ``raw/a_<date>.tif``; a change is a dotted key with ``__`` for the dot, None takes a key out."""
    data: dict[str, Any] = {
        "product": {
            "id": "demo", "title": "DEMO Product", "description": "Made for a test.", "license": "CC-BY-4.0",
            "version": "1.0", "status": "completed",
            "variables": {"index": {"from": 1, "units": "1", "long_name": "Index"}},
        },
        "project": {"id": "demo-project"},
        "source": {"href": "raw/*.tif", "time": {"from": "filename", "pattern": "a_{start:%Y%m%d}*.tif"}},
        "target": {"format": "cog"},
        "store": {"href": "published"},
    }  # fmt: skip
    for key, value in changes.items():
        part = data
        *path, last = key.split("__")
        for name in path:
            part = part.setdefault(name, {})
        part[last] = value
        if value is None:
            del part[last]
    return data


def profile_of(folder: Path, **changes: Any) -> Profile:
    """The profile of ``profile_data``, for files below ``folder``."""
    return load_profile(profile_data(**changes), folder)


def cube_profile(folder: Path, **changes: Any) -> Profile:
    """A profile for ``raw/*.nc`` as Zarr."""
    cube = {
        "source__href": "raw/*.nc", "source__time": {"from": "coordinate"}, "target__format": "zarr",
        "product__variables": {"t": {"osc": "air-temperature"}},
    }  # fmt: skip
    return profile_of(folder, **(cube | changes))


def sample(name: str, store: Path, **product: Any) -> Profile:
    """One of the profiles of the project, published to ``store`` without a public address."""
    data = yaml.safe_load((ROOT / "profiles" / f"{name}.yaml").read_text())
    data["store"] = {"href": str(store)}
    data["product"] |= product
    return load_profile(data, ROOT / "profiles")


def every_file(folder: Path) -> dict[str, bytes]:
    """All files below a folder by their path."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def moments(folder: Path) -> dict[str, int]:
    """When each file below a folder was last written, in ns."""
    return {p.relative_to(folder).as_posix(): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def errors(bundle: Bundle) -> list[str]:
    """Findings worse than info, as text."""
    return [f"{f.rule} {f.subject}: {f.message}" for f in bundle.findings() if f.level != "info"]


def age(folder: Path) -> None:
    """Sets all files back by an hour, as if they had lain there."""
    for path in folder.rglob("*"):
        if path.is_file():
            stamp = path.stat().st_mtime - 3600
            os.utime(path, (stamp, stamp))
