"""Files that lie, are broken, or would reach beyond themselves: named, and the others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from builders import PERIOD, make_nc, make_tiff, profile_of, ramp, run

if TYPE_CHECKING:
    from pathlib import Path

VRT = """<VRTDataset rasterXSize="4" rasterYSize="4"><SRS>EPSG:4326</SRS><GeoTransform>0,1,0,4,0,-1</GeoTransform>
<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename>/vsicurl/http://127.0.0.1:1/x.tif</SourceFilename>
</SimpleSource></VRTRasterBand></VRTDataset>"""
LIES = {
    "empty": b"", "text": b"time,value\n1,2\n", "vrt": VRT.encode(), "tiff": b"II*\0" + b"\xff" * 60,
    "hdf": b"\x89HDF\r\n\x1a\n" + b"\0" * 90, "cdf": b"CDF\x01" + b"\xff" * 90, "grib": b"GRIB" + b"\xff" * 90,
    "zip": b"PK\x03\x04" + b"\0" * 60,
}  # fmt: skip


@pytest.mark.parametrize("kind", LIES)
@pytest.mark.parametrize("ending", ["tif", "nc"])
def test_a_file_that_lies_does_not_stop_the_others(tmp_path: Path, kind: str, ending: str) -> None:
    (tmp_path / f"bad.{ending}").write_bytes(LIES[kind])
    make_tiff(tmp_path / "good.tif", ramp(3, 4))
    made = run(profile_of(tmp_path / "*.*", time=PERIOD), tmp_path / "out")
    assert f"bad.{ending}" in made.error
    assert made.failures[0].remedy
    assert [artifact.item for artifact in made.artifacts] == ["demo_good"]


def test_truncated_tiff(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 255, (200, 200)).astype("uint8")
    path = make_tiff(tmp_path / "cut.tif", values)
    path.write_bytes(path.read_bytes()[:20_000])
    make_tiff(tmp_path / "good.tif", ramp(3, 4))
    made = run(profile_of(tmp_path / "*.tif", time=PERIOD), tmp_path / "out")
    assert "cut" in made.error
    assert len(made.artifacts) == 1


@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
@pytest.mark.parametrize("part", [0.5, 0.98])
def test_truncated_netcdf(tmp_path: Path, fmt: str, part: float) -> None:
    values = np.random.default_rng(1).normal(size=(1, 100, 100))
    path = make_nc(tmp_path / "cut.nc", values, chunks=(1, 10, 10))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    made = run(profile_of(path, fmt), tmp_path / "out")
    assert "cut.nc" in made.error or "demo" in made.error
    assert not made.artifacts


def test_a_folder_that_is_no_zarr(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    assert "Zarr" in run(profile_of(tmp_path / "a.zarr", "zarr"), tmp_path / "out").error


def test_no_variable_on_a_map(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(3), dims=("time",), times=range(3))
    assert "no variable on a map" in run(profile_of(path, "zarr"), tmp_path / "out").error


def test_no_steps_at_all(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(0, 3, 4), times=[])
    assert "a.nc" in run(profile_of(path, "zarr"), tmp_path / "out").error


def test_curvilinear_grid_is_named(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), dims=("time", "y", "x"))
    assert "curvilinear" in run(profile_of(path, "zarr"), tmp_path / "out").error


def test_irregular_latitudes_are_no_cog(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), lat=[10.0, 11, 13])
    error = run(profile_of(path), tmp_path / "out").error
    assert "constant size" in error
    assert "zarr" in error
    assert not run(profile_of(path, "zarr"), tmp_path / "zarr").failures


def test_selected_variable_that_is_not_there(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(1, 3, 4))
    error = run(profile_of(path, "zarr", select=["chl"]), tmp_path / "out").error
    assert "chl" in error
    assert "sst" in error


def test_units_contradiction_names_both(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(1, 3, 4))
    error = run(profile_of(path, "zarr", described={"sst": {"units": "m"}}), tmp_path / "out").error
    assert "'K'" in error
    assert "'m'" in error
