"""The clock in HDF5 files with paged file space."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import h5py
import pytest

from earthcode_pack.convert.netcdf.hdf5_timestamps import zero_timestamps

if TYPE_CHECKING:
    from pathlib import Path


def paged(path: Path) -> Path:
    made = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    made.set_obj_track_times(False)
    made.set_file_space_strategy(h5py.h5f.FSPACE_STRATEGY_PAGE, False, 1)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    with h5py.File(h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, made, access)) as file:
        file.create_dataset("a", data=[1, 2, 3], track_times=False)
    return path


def test_a_second_apart_and_the_same_bytes(tmp_path: Path) -> None:
    one = paged(tmp_path / "one.h5")
    time.sleep(1.1)
    two = paged(tmp_path / "two.h5")
    assert one.read_bytes() != two.read_bytes(), "HDF5 has learnt to leave the clock out: this module can go"
    for path in (one, two):
        zero_timestamps(path)
    assert one.read_bytes() == two.read_bytes()
    with h5py.File(one) as file:
        assert file["a"][...].tolist() == [1, 2, 3]
        assert file.id.get_create_plist().get_file_space_strategy()[0] == h5py.h5f.FSPACE_STRATEGY_PAGE


def test_a_file_without_an_extension_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["a"] = 1
    before = path.read_bytes()
    zero_timestamps(path)
    assert path.read_bytes() == before


def test_a_damaged_header_is_not_made_to_look_right(tmp_path: Path) -> None:
    path = paged(tmp_path / "bad.h5")
    data = bytearray(path.read_bytes())
    at = data.index(b"OHDR") + 30
    data[at] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="checksum"):
        zero_timestamps(path)
