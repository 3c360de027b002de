"""Opens GeoTIFF, NetCDF, HDF5, GRIB and Zarr as a dataset of *stored* values: no unpacking, no decoding of times."""

from __future__ import annotations

import threading
import zipfile
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from earthcode_pack.cf.axes import data_variables
from earthcode_pack.cf.flags import is_flags, of_enumeration
from earthcode_pack.convert.read import foreign
from earthcode_pack.convert.read.grib_cubes import refuse_doubles, several_cubes, several_runs
from earthcode_pack.convert.read.hdf5 import open_hdf5
from earthcode_pack.convert.read.plausible import with_latin_1
from earthcode_pack.convert.read.plugins import load_plugins
from earthcode_pack.errors import Unreadable, install_extra
from earthcode_pack.storage.containment import refuse_values_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from earthcode_pack.model import Driver

# netCDF-C and ecCodes are not thread-safe: one lock for opening, closing and reading. h5py has a lock of its own.
_OPENING = threading.RLock()
LIBRARIES = _OPENING  # for other modules that open files through netCDF-C

_MAGIC: dict[bytes, Driver] = {
    b"II*\0": "GTiff", b"MM\0*": "GTiff", b"II+\0": "GTiff", b"MM\0+": "GTiff",
    b"\x89HDF": "netCDF", b"CDF\x01": "netCDF", b"CDF\x02": "netCDF", b"CDF\x05": "netCDF",
    b"GRIB": "GRIB",
}  # fmt: skip
_ZARR_FILES = ("zarr.json", ".zgroup", ".zmetadata")
FILL_OF_ZARR = "fill_of_zarr"  # in the encoding of a variable whose _FillValue is but the fill value of its array
NOT_UTF_8 = "not_utf_8"  # in the encoding of a dataset: which attributes were read as Latin-1, in words


def driver_of(path: Path) -> Driver:
    """Recognises the format by the bytes, whatever the name says.

    Raises ``Unreadable`` for anything but the formats that this package opens.
    """
    if path.is_dir():
        if any((path / name).is_file() for name in _ZARR_FILES):
            return "Zarr"
        raise foreign.refusal(path)
    magic = _begins_with(path)
    if magic in _MAGIC:
        return _MAGIC[magic]
    if magic == b"PK\x03\x04" and _is_zipped_zarr(path):
        return "Zarr"
    raise foreign.refusal(path)


def _begins_with(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def is_hdf5(path: Path) -> bool:
    """Tells whether a file is HDF5, as NetCDF-4 is."""
    return path.is_file() and _begins_with(path) == b"\x89HDF"


def _is_zipped_zarr(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name in archive.namelist() for name in _ZARR_FILES)
    except zipfile.BadZipFile:
        return False


@contextmanager
def open_raw(path: Path, driver: Driver) -> Iterator[xr.Dataset]:
    """The file as a lazy dataset whose values are the stored ones, bit for bit.

    Attributes keep packing (``scale_factor``, ``add_offset``, ``_FillValue``) and time ``units``. Safe in threads.
    Raises ``Unreadable`` with the library's own words.
    """
    try:
        with _OPENING:
            dataset = _OPENERS[driver](path)
    except Unreadable:
        raise
    except Exception as error:  # every library has exceptions of its own
        raise Unreadable(
            f"{path.name}: cannot be read as {driver} ({_words(error)})",
            "fetch or write the file again, or leave it out",
        ) from error
    try:
        yield dataset
    finally:
        with _OPENING:
            dataset.close()


def _words(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _raw(path: Any, engine: str, **options: Any) -> xr.Dataset:
    # The engine is always named: guessing loads every engine there is.
    return xr.open_dataset(
        path, engine=engine, decode_times=False, decode_timedelta=False, mask_and_scale=False, decode_coords=False,
        chunks=None, cache=False, **options,
    )  # fmt: skip


def _netcdf(path: Path) -> xr.Dataset:
    if is_hdf5(path):
        load_plugins()
        refuse_values_elsewhere(path)
        return open_hdf5(path, _of_store)
    dataset = _raw(path, "netcdf4", lock=_OPENING)
    _restore_text(path, dataset)
    return _with_text(dataset)


def _of_store(store: xr.backends.H5NetCDFStore) -> xr.Dataset:
    return _with_text(_with_enumerations(_raw(store, "store")))


def _with_text(dataset: xr.Dataset) -> xr.Dataset:
    dataset.encoding[NOT_UTF_8] = with_latin_1(dataset)
    return dataset


def _restore_text(path: Path, dataset: xr.Dataset) -> None:
    """Reads text of a classic file again, of which netCDF4-python replaced what is no UTF-8 by U+FFFD."""
    import netCDF4  # noqa: PLC0415 - heavy, and loaded already

    for name, attrs in [("", dataset.attrs), *((str(key), v.attrs) for key, v in dataset.variables.items())]:
        lost = [key for key, value in attrs.items() if isinstance(value, str) and "\ufffd" in value]
        if lost:
            with netCDF4.Dataset(path) as file:
                holder = file[name] if name else file
                read = {key: holder.getncattr(key, encoding="latin-1") for key in lost}
            attrs.update(
                {key: value.encode("latin-1").decode("utf-8", "surrogateescape") for key, value in read.items()}
            )


def _with_enumerations(dataset: xr.Dataset) -> xr.Dataset:
    """The names of the values of an enumerated type as flags (CF 3.5), but for the one that means missing."""
    for variable in dataset.variables.values():
        names = (np.dtype(variable.encoding.get("dtype", variable.dtype)).metadata or {}).get("enum")
        if names and not is_flags(variable.attrs):
            stated = of_enumeration({value: name for name, value in names.items()}, variable.attrs.get("_FillValue"))
            variable.attrs |= stated | {"flag_values": np.array(stated["flag_values"], variable.dtype)}
    return dataset


def _grib(path: Path) -> xr.Dataset:
    return _with_coordinates(_grib_index(path, path.stat().st_mtime_ns).copy())


@lru_cache(maxsize=4)  # the index of the messages costs far more than a map, and every map of a cube needs it
def _grib_index(path: Path, _changed: int) -> xr.Dataset:
    """One hypercube; ``errors=raise`` drops no message in silence, and no index file is left beside the GRIB.

    Raises ``Unreadable`` where the reader of GRIB is not installed.
    """
    if find_spec("cfgrib") is None:
        raise Unreadable(f"{path.name}: GRIB needs the extra grib, which is not installed", install_extra("grib"))
    import cfgrib  # noqa: PLC0415 - only for GRIB

    keys = ["radius", "earthMajorAxisInMetres", "earthMinorAxisInMetres"]
    options = {"indexpath": "", "errors": "raise", "read_keys": keys}
    try:
        dataset = _raw(path, "cfgrib", lock=_OPENING, backend_kwargs=options)
    except cfgrib.DatasetBuildError as error:
        raise several_cubes(path) from error
    refuse_doubles(path)
    dataset.attrs.pop("history", None)  # holds the time of reading, and the path
    return _forecast_as_time(dataset, path)


def _with_coordinates(dataset: xr.Dataset) -> xr.Dataset:
    """A GRIB's step, level and number as auxiliary coordinates of its variables (CF 5.7).

    The reader gives NaN for what the message's bitmap leaves out: that is the fill value.
    """
    maps = [name for name in dataset.data_vars if "GRIB_gridType" in dataset[name].attrs]
    helpers = [str(name) for name in dataset.variables if name not in maps and name not in dataset.dims]
    for name in maps:
        dataset[name].attrs["_FillValue"] = dataset[name].dtype.type("nan")
        dataset[name].attrs["coordinates"] = " ".join(sorted(helpers))
    return dataset


def _forecast_as_time(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    """One forecast run: its steps become the time axis, at the time that they are valid for."""
    if "step" not in dataset.dims:
        return dataset
    if "time" in dataset.dims:
        raise several_runs(path, dataset.sizes["time"], dataset.sizes["step"])
    run = dataset.rename({"time": "forecast_reference_time"}).swap_dims(step="valid_time")
    return run.rename({"valid_time": "time"})


def zarr_store(path: Path) -> Any:
    """Returns zarr-python's store of a folder or a ZIP, to be read."""
    import zarr  # noqa: PLC0415 - half a second, and only for Zarr

    return zarr.storage.ZipStore(path, mode="r") if path.is_file() else zarr.storage.LocalStore(path, read_only=True)


def _zarr(path: Path) -> xr.Dataset:
    import zarr  # noqa: PLC0415 - half a second, and only for Zarr

    store = zarr_store(path)
    dataset = _raw(store, "zarr", consolidated=False)  # consolidated metadata may be stale
    for variable in dataset.variables.values():  # a list of one number, as a conversion from HDF5 leaves it
        lists = {key: variable.attrs[key] for key in ("scale_factor", "add_offset") if key in variable.attrs}
        variable.attrs |= {key: x[0] for key, x in lists.items() if isinstance(x, list) and len(x) == 1}
    group = zarr.open_group(store, mode="r", use_consolidated=False)
    if group.metadata.zarr_format == 2:  # noqa: PLR2004 - the Zarr version
        _without_default_fills(dataset, group)
    return dataset


def _without_default_fills(dataset: xr.Dataset, group: Any) -> None:
    """Takes the ``_FillValue`` 0 away where Zarr v2 wrote it of itself and zeros are sure to be meant.

    xarray hands the fill value of a v2 array on as ``_FillValue``; 0 is that of arrays for which nobody gave one. No
    coordinate has missing values (CF 2.5.1), and flags name what they hold. Of others ``FILL_OF_ZARR`` tells.
    """
    data = data_variables(dataset)
    for name, variable in dataset.variables.items():
        if variable.attrs.get("_FillValue") != 0 or "_FillValue" in group[str(name)].attrs:
            continue
        if name not in data or is_flags(variable.attrs) or variable.dtype.kind == "b":
            del variable.attrs["_FillValue"]
        else:
            variable.encoding[FILL_OF_ZARR] = True


def load_libraries(path: Path) -> None:
    """Loads what reads a file of this kind, before processes are forked that then need not do so themselves.

    Nothing of the file is read but its beginning; the reader of GRIB stays out of this process.
    """
    driver = driver_of(path)
    if driver == "GTiff":
        import rasterio  # noqa: PLC0415 - each where it is needed

        with rasterio.Env():  # GDAL registers its drivers
            return
    if driver == "Zarr":
        import zarr  # noqa: F401, PLC0415
    elif is_hdf5(path):
        import h5netcdf  # noqa: F401, PLC0415

        load_plugins()


def groups_of(path: Path, driver: Driver) -> dict[str, list[str]]:
    """The arrays in each group below the root of an HDF5 file or a Zarr store, by the path of the group.

    The reader takes the root alone.
    """
    if driver == "netCDF" and is_hdf5(path):
        return _groups_of_hdf5(path)
    return _groups_of_zarr(path) if driver == "Zarr" else {}


def _groups_of_hdf5(path: Path) -> dict[str, list[str]]:
    import h5py  # noqa: PLC0415 - heavy

    found: dict[str, list[str]] = {}

    def look(name: str, item: Any) -> None:
        group, _, own = name.rpartition("/")
        if group and isinstance(item, h5py.Dataset) and item.attrs.get("CLASS") != b"DIMENSION_SCALE":
            found.setdefault(f"/{group}", []).append(own)

    with h5py.File(path, "r") as file:
        file.visititems(look)
    return found


def _groups_of_zarr(path: Path) -> dict[str, list[str]]:
    import zarr  # noqa: PLC0415 - half a second, and only for Zarr

    root: Any = zarr.open_group(zarr_store(path), mode="r", use_consolidated=False)
    found: dict[str, list[str]] = {}
    for name, _ in root.members(max_depth=None):
        group, _, own = name.rpartition("/")
        if group and isinstance(root[name], zarr.Array):
            found.setdefault(f"/{group}", []).append(own)
    return found


def _tiff(path: Path) -> xr.Dataset:
    from earthcode_pack.convert.read.raster_cube import open_raster  # noqa: PLC0415 - GDAL, only for GeoTIFF

    return open_raster(path)


_OPENERS: dict[str, Callable[[Path], xr.Dataset]] = {
    "GTiff": _tiff,
    "netCDF": _netcdf,
    "GRIB": _grib,
    "Zarr": _zarr,
}
