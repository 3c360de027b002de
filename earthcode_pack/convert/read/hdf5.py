"""Opens HDF5 and NetCDF-4 as stored values, and remembers how the last files are built.

h5netcdf takes some 30 ms of CPU for the structure of a file, and header, layout, measures and proof each want it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import xarray as xr

from earthcode_pack.storage.identity import marks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from xarray.backends import H5NetCDFStore

_FILES = 16  # whose structure is remembered: names, types and attributes, and the values of 1-D coordinates


@dataclass
class _Structure:
    """A file as xarray has it; the store opens the file again whenever values are asked for."""

    store: H5NetCDFStore
    dataset: xr.Dataset
    users: int = 0

    def borrow(self) -> xr.Dataset:
        """A dataset of the borrower's own: what he changes of it nobody else sees."""
        self.users += 1
        dataset = self.dataset.copy()
        dataset.set_close(self._give_back)
        return dataset

    def _give_back(self) -> None:
        self.users -= 1
        if not self.users:
            self.store.close()  # type: ignore[no-untyped-call]


def open_hdf5(path: Path, build: Callable[[H5NetCDFStore], xr.Dataset]) -> xr.Dataset:
    """Opens a file, or one that is remembered and has not changed since, as a lazy dataset.

    No handle is kept once every dataset of the file is closed. The caller holds the lock of opening and closing.

    Args:
        path: of an HDF5 or NetCDF-4 file.
        build: makes the dataset from xarray's store.

    """
    return _structure(path, build, marks(path.stat())).borrow()


@lru_cache(maxsize=_FILES)
def _structure(path: Path, build: Callable[[H5NetCDFStore], xr.Dataset], _identity: tuple[int, ...]) -> _Structure:
    store = xr.backends.H5NetCDFStore.open(str(path), phony_dims="sort")
    try:
        return _Structure(store, build(store))
    except BaseException:
        with suppress(Exception):
            store.close()
        raise
