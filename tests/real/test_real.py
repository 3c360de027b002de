"""Real Earth-observation files, end to end; skipped where the material beside the project is not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from earthcode_pack import load_profile, prepare
from earthcode_pack.model import Level

if TYPE_CHECKING:
    from earthcode_pack.bundle import Bundle

pytestmark = pytest.mark.usefixtures("shared")
HERE = Path(__file__).parent
GIGABYTE = 1024**2  # in kB
CLASSES = {0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100}


def packaged(name: str, workdir: Path) -> Bundle:
    bundle = prepare(load_profile(HERE / f"{name}.yaml"), workdir)
    errors = [finding for finding in bundle.findings() if finding.level is Level.ERROR]
    assert not errors
    assert not bundle.provenance()["failed"]
    return bundle


def items(bundle: Bundle) -> list[dict[str, Any]]:
    return list(bundle.items())


def test_era5_grib_becomes_zarr_on_its_own_sphere(tmp_path: Path, shared: Path) -> None:
    import xarray as xr

    bundle = packaged("era5", tmp_path)
    (item,) = items(bundle)
    assert item["properties"]["proj:code"] is None
    assert "6367470" in item["properties"]["proj:wkt2"]
    assert item["bbox"] == [-10.125, 49.875, 2.125, 58.125]
    assert item["properties"]["start_datetime"] == "2019-03-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2019-03-31T23:00:00Z"
    raw = shared / "data" / "era5-2mt-2019-03-uk.grib"
    with (
        xr.open_dataset(bundle.product / "data/real-era5.zarr", engine="zarr") as zarr,
        xr.open_dataset(raw, engine="cfgrib", backend_kwargs={"indexpath": ""}, decode_timedelta=True) as grib,
    ):
        assert zarr.t2m.values.tobytes() == grib.t2m.values.tobytes()
        np.testing.assert_array_equal(zarr.time.values, grib.time.values)


@pytest.mark.parametrize("name", ["planet", "planet-netcdf"])
def test_planet_keeps_fractions_of_a_second(name: str, tmp_path: Path) -> None:
    bundle = packaged(name, tmp_path)
    starts = {item["properties"]["start_datetime"] for item in items(bundle)}
    assert "2016-12-19T10:27:29.687763Z" in starts
    ends = {item["properties"]["end_datetime"] for item in items(bundle)}
    assert "2016-12-29T12:52:42.347451Z" in ends
    assert all(item["properties"]["proj:code"] == "EPSG:32722" for item in items(bundle))


def test_modis_keeps_its_sinusoidal_crs(tmp_path: Path) -> None:
    import rasterio

    bundle = packaged("modis", tmp_path)
    (item,) = items(bundle)
    assert item["properties"]["proj:code"] is None
    assert "Sinusoidal" in item["properties"]["proj:wkt2"]
    cog = next((bundle.product / "data").rglob("*.tif"))
    with rasterio.open(cog) as dataset:
        assert dataset.crs.to_dict()["proj"] == "sinu"
        assert dataset.nodata == -28672


@pytest.mark.slow
def test_worldcover_in_bounded_memory_without_invented_classes(tmp_path: Path) -> None:
    import rasterio

    code = (
        "import resource, sys; from earthcode_pack import load_profile, prepare; "
        "prepare(load_profile(sys.argv[1]), sys.argv[2]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    run = [sys.executable, "-c", code, str(HERE / "worldcover.yaml"), str(tmp_path)]
    peak = int(subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()[-1])
    assert peak < 1.5 * GIGABYTE
    product = tmp_path / "real-worldcover/v1/product"
    assert len(list((product / "items").glob("*.json"))) == 2
    findings = json.loads((product.parent / "findings.json").read_text())
    assert not [finding for finding in findings if finding["level"] == "error"]
    for cog in (product / "data").rglob("*.tif"):
        with rasterio.open(cog) as dataset:
            levels = dataset.overviews(1)
            assert min(dataset.shape) // levels[-1] <= 512
            small = dataset.read(1, out_shape=(dataset.height // levels[1], dataset.width // levels[1]))
            assert set(np.unique(small)) <= CLASSES
            assert len(dataset.colormap(1)) == 256
