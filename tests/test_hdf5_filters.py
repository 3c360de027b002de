"""HDF5 variables by filters beyond deflate: read, or refused at plan as at run with a way that works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import xarray as xr
from builders import make_nc, profile_of, ramp
from clockless import LONG

from earthcode_pack.cli import execute

if TYPE_CHECKING:
    from pathlib import Path

    import netCDF4

hdf5plugin = pytest.importorskip("hdf5plugin")

# The same commands, where the extra hdf5 is not installed.
CORE = """
import json, sys
sys.modules["hdf5plugin"] = None
from earthcode_pack.cli import execute
for command in json.loads(sys.argv[1]):
    execute([*command, "--json"])
    print("====")
"""
VALUES = ramp(2, 30, 40)


def of_the_core(folder: Path, *commands: tuple[str, str], **environment: str) -> list[Any]:
    """What each command says, in one process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CORE, json.dumps(commands)],
        capture_output=True, text=True, check=True, cwd=folder, timeout=LONG, env={**os.environ, **environment},
    )  # fmt: skip
    return [json.loads(said) for said in done.stdout.split("====\n")[:-1]]


def profile(folder: Path, name: str = "p.yaml", **given: Any) -> None:
    (folder / name).write_text(profile_of(folder / "a.nc", "zarr", **given).to_yaml())


def published(folder: Path) -> xr.Dataset:
    return xr.open_zarr(folder / ".earthcode-pack/demo/v1/product/data/demo.zarr", consolidated=False)


def add_variable(path: Path, number: int, **options: Any) -> None:
    """A copy of ``sst`` by the filter of this number, called ``tas``; without values where the filter is unknown."""
    with h5py.File(path, "a") as file:
        made = file.create_dataset("tas", VALUES.shape, "f4", chunks=(1, 30, 40), compression=number, **options)
        if h5py.h5z.filter_avail(number):
            made[:] = VALUES
        for axis, dim in enumerate(("time", "lat", "lon")):
            made.dims[axis].attach_scale(file[dim])
        made.attrs.update({"units": "K", "grid_mapping": "crs"})


@pytest.fixture
def lz4(tmp_path: Path) -> Path:
    make_nc(tmp_path / "a.nc", VALUES, times=range(2))
    add_variable(tmp_path / "a.nc", 32004)
    profile(tmp_path)
    return tmp_path


def test_what_netcdf_c_writes_needs_no_extra(tmp_path: Path) -> None:
    ways = ["zstd", "bzip2", "szip", "blosc_lz4", "blosc_zstd"]

    def more(file: netCDF4.Dataset) -> None:
        for way in ways:
            made = file.createVariable(way, "f4", ("time", "lat", "lon"), compression=way, chunksizes=(1, 30, 40))
            made.setncatts({"units": "K", "grid_mapping": "crs"})
            made[:] = VALUES

    make_nc(tmp_path / "a.nc", VALUES, times=range(2), more=more)
    profile(tmp_path)
    assert [said["failed"] for said in of_the_core(tmp_path, ("plan", "p.yaml"), ("run", "p.yaml"))] == [[], []]
    for name in ("sst", *ways):
        np.testing.assert_array_equal(published(tmp_path)[name], VALUES)


def test_a_filter_of_the_extra_is_named_by_plan_as_by_run(lz4: Path) -> None:
    profile(lz4, "sst.yaml", select=["sst"])
    planned, ran, without = of_the_core(lz4, ("plan", "p.yaml"), ("run", "p.yaml"), ("plan", "sst.yaml"))
    (failure,) = planned["failed"]
    assert failure["error"] == "a.nc: tas is stored by the HDF5 filter 32004 (LZ4), which is not installed"
    assert failure["remedy"] == "pip install 'earthcode-pack[hdf5]'"
    assert ran["failed"] == [failure]
    assert without["failed"] == []


def test_the_extra_reads_it(lz4: Path) -> None:
    assert execute(["run", str(lz4 / "p.yaml"), "--json"]) in (0, 1)  # findings stand
    np.testing.assert_array_equal(published(lz4)["tas"], VALUES)


def test_a_filter_that_nothing_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_nc(tmp_path / "a.nc", VALUES, times=range(2))
    add_variable(tmp_path / "a.nc", 65000, allow_unknown_filter=True)
    profile(tmp_path)
    failed = []
    for command in ("plan", "run"):
        assert execute([command, str(tmp_path / "p.yaml"), "--json"]) == 1
        failed += json.loads(capsys.readouterr().out)["failed"]
    assert "a.nc: tas is stored by the HDF5 filter 65000" in failed[0]["error"]
    assert "HDF5_PLUGIN_PATH" in failed[0]["remedy"]
    assert failed[0] == failed[1]


def test_a_plug_in_in_the_folder_that_hdf5_is_told_of(lz4: Path) -> None:
    assert of_the_core(lz4, ("plan", "p.yaml"), HDF5_PLUGIN_PATH=hdf5plugin.PLUGIN_PATH)[0]["failed"] == []
