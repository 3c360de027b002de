"""Filters of HDF5 beyond deflate: which plug-ins undo them, and what is said where one is missing."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.errors import Unreadable, install_extra

if TYPE_CHECKING:
    from collections.abc import Iterable

    import h5py

# Numbers that The HDF Group has given to filters which the package hdf5plugin holds.
_HELD = {
    307: "bzip2", 32001: "Blosc", 32004: "LZ4", 32008: "bitshuffle", 32013: "ZFP", 32015: "Zstandard", 32017: "SZ",
    32018: "FCIDECOMP", 32024: "SZ3", 32026: "Blosc2", 32028: "SPERR",
}  # fmt: skip


@cache
def load_plugins() -> None:
    """Make h5py read what netCDF-C writes, and with the extra hdf5 what the package hdf5plugin knows.

    netCDF4-python brings the plug-ins of netCDF-C in its wheels: Zstandard, Blosc, bzip2 and szip. HDF5 itself looks
    into the folders that HDF5_PLUGIN_PATH names.
    """
    import h5py  # noqa: PLC0415 - heavy
    import netCDF4  # noqa: PLC0415 - heavy

    folder = Path(netCDF4.__file__).parent / "plugins"
    if folder.is_dir():
        h5py.h5pl.append(str(folder).encode())
    if find_spec("hdf5plugin") is not None:
        with suppress(ImportError):  # built for another HDF5: what is missing then, is said of the file
            import hdf5plugin  # noqa: F401, PLC0415


def refuse_filters_that_lack(path: Path, variables: Iterable[str]) -> None:
    """Refuses an HDF5 file of which a variable, in its root, is stored by a filter that cannot be undone here.

    Reads metadata alone. Raises ``Unreadable`` that names variable and filter.
    """
    import h5py  # noqa: PLC0415 - heavy

    load_plugins()
    with h5py.File(path, "r") as file:
        for name in variables:
            dataset = file.get(name)
            if isinstance(dataset, h5py.Dataset):
                _refuse(dataset, f"{path.name}: {name}")


def _refuse(dataset: h5py.Dataset, what: str) -> None:
    import h5py  # noqa: PLC0415 - heavy

    made = dataset.id.get_create_plist()
    for number, _flags, _values, said in map(made.get_filter, range(made.get_nfilters())):
        if not h5py.h5z.filter_avail(number):
            label = _HELD.get(number) or said.decode("utf-8", "replace") or "without a name"
            raise Unreadable(
                f"{what} is stored by the HDF5 filter {number} ({label}), which is not installed", _way(number)
            )


def _way(number: int) -> str:
    if number in _HELD and find_spec("hdf5plugin") is None:
        return install_extra("hdf5")
    return (
        "set HDF5_PLUGIN_PATH to the folder of its plug-in, or write the file again, where it can be read, without "
        "filters: `nccopy -F none OLD.nc NEW.nc`"
    )
