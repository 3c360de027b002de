"""Opening of published data as a reader would: GeoTIFF with GDAL, Zarr with zarr, NetCDF with HDF5's library."""

from __future__ import annotations

import warnings
from contextlib import closing
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.redact import redacted
from earthcode_pack.upload.stages import is_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from earthcode_pack.model import Finding
    from earthcode_pack.storage.reader_config import ReaderConfig

_ROOTS = {"zarr.json", ".zgroup", ".zarray"}


def openable(keys: Iterable[str]) -> list[str]:
    """The keys of files and the folders of Zarr stores that a reader opens, sorted.

    >>> openable(["data/a/a.tif", "data/b.zarr/zarr.json", "data/b.zarr/t/zarr.json", "data/b.zarr/t/c/0"])
    ['data/a/a.tif', 'data/b.zarr']
    """
    known = list(keys)
    roots = {str(PurePosixPath(key).parent) for key in known if PurePosixPath(key).name in _ROOTS}
    stores = {root for root in roots if root.startswith("data/") and not _is_inside(root, roots)}
    files = {key for key in known if is_data(key) and _opener(key) is not None and not _is_inside(key, stores)}
    return sorted(stores | files)


def _is_inside(key: str, folders: set[str]) -> bool:
    return any(str(folder) in folders for folder in PurePosixPath(key).parents)


def belongs(key: str, thing: str) -> bool:
    """Tells whether a key is that of a thing that is opened, or lies in it."""
    return key == thing or key.startswith(f"{thing}/")


def open_finding(window: ReaderConfig, key: str) -> Finding | None:
    """Opens a file or store and reads a little at its beginning and end; a finding where that fails, else None."""
    opener = _opener(key) or (_zarr, "zarr")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the reader's taste, as of a raster without a place
            opener[0](window, key)
    except Exception as error:  # noqa: BLE001 - readers raise what they like
        message = f"{key} does not open with {opener[1]}: {type(error).__name__}: {_clean(str(error))}"
        return rules.PUB_OPEN.finding(key, message)
    return None


def _opener(key: str) -> tuple[Callable[[ReaderConfig, str], None], str] | None:
    endings = {".tif": (_tiff, "GDAL"), ".nc": (_netcdf, "h5netcdf"), ".zarr.zip": (_zipped, "zarr")}
    return next((opener for ending, opener in endings.items() if key.endswith(ending)), None)


def _clean(text: str) -> str:
    """The first line of a message; a query in it may be a signature."""
    return redacted(text.partition("\n")[0])[:300]


def _tiff(window: ReaderConfig, key: str) -> None:
    """The first and the last block, and the smallest overview."""
    import rasterio  # noqa: PLC0415 - heavy

    with window.gdal(), rasterio.open(window.href(key), driver="GTiff") as file:
        blocks = [block for _, block in file.block_windows(1)]
        for block in {*blocks[:1], *blocks[-1:]}:
            file.read(1, window=block)
        last = file.overviews(1)[-1:] or [1]
        file.read(1, out_shape=(-(-file.height // last[0]), -(-file.width // last[0])))


def _zarr(window: ReaderConfig, key: str) -> None:
    fs, root = window.files()
    _read_store(fs, f"{root.rstrip('/')}/{key}")


def _zipped(window: ReaderConfig, key: str) -> None:
    import fsspec  # noqa: PLC0415

    fs, root = window.files()
    with fs.open(f"{root.rstrip('/')}/{key}", "rb") as file:
        _read_store(fsspec.filesystem("zip", fo=file, skip_instance_cache=True), "")


def _read_store(fs: Any, path: str) -> None:
    """Every array of every group: its first and its last chunk.

    The file system is asked from threads: then its sessions are its own to close.
    """
    import zarr  # noqa: PLC0415 - heavy
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper  # noqa: PLC0415

    store = zarr.storage.FsspecStore(AsyncFileSystemWrapper(fs, asynchronous=True), read_only=True, path=path)
    node = zarr.open(store, mode="r")
    found = [one for _, one in node.members(max_depth=None)] if isinstance(node, zarr.Group) else [node]
    for array in found:
        if isinstance(array, zarr.Array) and 0 not in array.shape:
            array[tuple(slice(0, 1) for _ in array.shape)]
            array[tuple(slice(size - 1, size) for size in array.shape)]


def _netcdf(window: ReaderConfig, key: str) -> None:
    """Every variable: its first and its last value."""
    import h5netcdf  # noqa: PLC0415 - heavy

    fs, root = window.files()
    with fs.open(f"{root.rstrip('/')}/{key}", "rb") as raw, closing(h5netcdf.File(raw, "r")) as file:
        for variable in file.variables.values():
            if 0 not in variable.shape:
                variable[tuple(slice(0, 1) for _ in variable.shape)]
                variable[tuple(slice(size - 1, size) for size in variable.shape)]
