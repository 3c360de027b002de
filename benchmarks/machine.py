"""Where and with what it was measured."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = (
    *("numpy", "rasterio", "rio-cogeo", "odc-geo", "xarray", "dask", "zarr", "numcodecs"),
    *("netcdf4", "h5netcdf", "h5py", "isal", "deflate", "xxhash"),
)


def facts() -> list[str]:
    """Date, machine and versions, a line each."""
    return [f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}", f"Python {platform.python_version()}, {_versions()}"]


def load() -> float:
    """How many processes wanted a core in the last minute, this one included: more than one, and others are at work."""
    return os.getloadavg()[0]


def _processor() -> str:
    cores, memory = len(os.sched_getaffinity(0)), psutil.virtual_memory().total / 2**30
    return f"{cores} cores of {_model()}, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def _model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _versions() -> str:
    import h5py  # noqa: PLC0415 - only to ask what it stands on
    import rasterio  # noqa: PLC0415

    libraries = [f"GDAL {rasterio.__gdal_version__}", f"HDF5 {h5py.version.hdf5_version}"]
    return ", ".join([*libraries, *(f"{name} {found}" for name in PACKAGES if (found := _version(name)))])


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
