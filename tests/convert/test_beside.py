"""What lies beside or behind the raster that is read: sidecars, further pages, other formats. Each remedy is tried."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from builders import PERIOD, make_tiff, planned, profile_of, ramp, run
from rasterio.enums import ColorInterp, Resampling

if TYPE_CHECKING:
    from pathlib import Path

PLACE = rasterio.Affine(10, 0, 500000, 0, -10, 4600000)


def typed(text: str, folder: Path) -> Path:
    """Runs the ``gdal_translate`` of a remedy as it is printed: GDAL's tool, or what rasterio has of it."""
    found = re.search(r"`(gdal_translate [^`]+)`", text)
    assert found, text
    words = shlex.split(found[1])
    if tool := shutil.which("gdal_translate"):
        subprocess.run([tool, *words[1:]], cwd=folder, check=True, capture_output=True)
    else:
        _translate(words[1:], folder)
    return folder / words[-1]


def _translate(words: list[str], folder: Path) -> None:
    source, target = words[-2:]
    head, _, name = source.rpartition(":")
    place = f"{head}:{folder / name}" if head else str(folder / source)
    rasterio.shutil.copy(place, folder / target, driver="GTiff")
    roles = dict(zip(words[:-2:2], words[1:-2:2], strict=False))
    with rasterio.open(folder / target, "r+") as file:
        file.colorinterp = [
            ColorInterp[roles.get(f"-colorinterp_{n}", role.name)] for n, role in enumerate(file.colorinterp, 1)
        ]


# --- sidecars -------------------------------------------------------------------------------------------------------


def baseline(path: Path, **given: Any) -> Path:
    """Place, CRS and nodata in .aux.xml alone."""
    path.parent.mkdir(exist_ok=True)
    return make_tiff(path, ramp(30, 40, dtype="float32"), PROFILE="BASELINE", nodata=-9999, **given)


@pytest.mark.parametrize("name", ["a.tif", "a b'c.tif"])
def test_a_place_in_aux_xml_is_embedded_by_the_remedy(tmp_path: Path, name: str) -> None:
    path = baseline(tmp_path / name)
    assert (tmp_path / f"{name}.aux.xml").is_file()
    error = run(profile_of(path, time=PERIOD), tmp_path / "out").error
    assert f"{name}.aux.xml beside it is not read" in error
    assert "gdalwarp" not in error
    made = run(profile_of(typed(error, tmp_path), time=PERIOD), tmp_path / "again")
    assert made.one.variables[0].nodata == -9999
    with rasterio.open(made.path) as file:
        assert (file.crs.to_epsg(), file.transform) == (32631, PLACE)


def test_a_world_file_is_embedded_by_the_remedy(tmp_path: Path) -> None:
    path = baseline(tmp_path / "a.tif", TFW="YES")
    (tmp_path / "a.tif.aux.xml").unlink()
    error = run(profile_of(path, time=PERIOD, crs="EPSG:32631"), tmp_path / "out").error
    assert "a.tfw beside it is not read" in error
    made = run(profile_of(typed(error, tmp_path), time=PERIOD, crs="EPSG:32631"), tmp_path / "again")
    with rasterio.open(made.path) as file:
        assert file.transform == PLACE


@pytest.mark.parametrize("beside", ["a.tif.msk", "a.tif.aux.xml", "a.aux.xml", "a.tfw", "a.wld", "a.prj"])
def test_every_sidecar_is_named(tmp_path: Path, beside: str) -> None:
    path = make_tiff(tmp_path / "a.tif", ramp(8, 9))
    (tmp_path / beside).write_text("10\n0\n0\n-10\n5\n5\n")
    assert beside in _notes(path, tmp_path)["COG-SIDECAR"].message


def test_a_mask_beside_the_raster_is_embedded_by_the_remedy(tmp_path: Path) -> None:
    path, inside = tmp_path / "a.tif", np.tile(np.where(np.arange(64) < 32, 255, 0).astype("uint8"), (64, 1))
    make_tiff(path, np.full((64, 64), 7, "uint8"))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(inside)
    note = _notes(path, tmp_path)["COG-SIDECAR"]
    assert "a.tif.msk" in note.message
    assert "GDAL_TIFF_INTERNAL_MASK YES" in note.remedy
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        rasterio.shutil.copy(path, tmp_path / "NEW.tif", driver="GTiff")
    made = run(profile_of(tmp_path / "NEW.tif", time=PERIOD), tmp_path / "out")
    with rasterio.open(made.path) as file:
        assert np.array_equal(file.dataset_mask(), inside)


def _notes(path: Path, tmp_path: Path) -> dict[str, Any]:
    from earthcode_pack.sources.discover import discover
    from earthcode_pack.storage import IdentityCache

    sources = discover(profile_of(path, time=PERIOD), IdentityCache(tmp_path / "identities.json")).sources
    return {note.rule: note for source in sources for note in source.notes}


# --- pages ----------------------------------------------------------------------------------------------------------


def make_pages(path: Path, count: int) -> Path:
    for page in range(1, count + 1):
        plain = make_tiff(path.with_name("page.tif"), np.full((30, 40), 100 * page, "int16"))
        options = {"APPEND_SUBDATASET": "YES"} if page > 1 else {}
        rasterio.shutil.copy(plain, path, driver="GTiff", **options)
        plain.unlink()
    return path


@pytest.mark.parametrize("name", ["pages.tif", "three pages.tif"])
@pytest.mark.parametrize("fmt", ["cog", "zarr"])
def test_further_pages_are_refused_and_the_remedy_gives_one(tmp_path: Path, name: str, fmt: str) -> None:
    error = run(profile_of(make_pages(tmp_path / name, 3), fmt, time=PERIOD), tmp_path / "out").error
    assert f"{name}: holds 3 pages" in error
    made = run(profile_of(typed(error, tmp_path), time=PERIOD), tmp_path / "again")
    with rasterio.open(made.path) as file:
        assert (file.read(1) == 200).all()


def test_overviews_and_masks_are_no_pages(tmp_path: Path) -> None:
    mask = np.tile(np.where(np.arange(600) < 300, 255, 0).astype("uint8"), (600, 1))
    path = make_tiff(tmp_path / "a.tif", ramp(600, 600, dtype="int16"), mask=mask, tiled=True)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], Resampling.nearest)
    assert not planned(profile_of(path, time=PERIOD)).failures


# --- grids ----------------------------------------------------------------------------------------------------------


def test_one_origin_and_other_cells_are_other_grids(tmp_path: Path) -> None:
    for name, size in (("rain", 0.1), ("snow", 0.2)):
        transform = rasterio.Affine(size, 0, 0, 0, -size, 0)
        values = np.full((50, 50), size, "float32")
        make_tiff(tmp_path / f"{name}.tif", values, crs="EPSG:4326", transform=transform)
    described = {"rain": {"from": "rain*"}, "snow": {"from": "snow*"}}
    (failure,) = planned(profile_of(tmp_path / "*.tif", "zarr", time=PERIOD, described=described)).failures
    assert "rain.tif and snow.tif differ in their grid" in failure.error


@pytest.mark.parametrize("turn", [(1.4e-14, -2.2e-15), (1e-7, 0.0), (0.0, -1e-6)], ids=str)
@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_a_rotation_that_is_rounding_is_none(tmp_path: Path, turn: tuple[float, float], fmt: str) -> None:
    transform = rasterio.Affine(10, turn[0], 600000, turn[1], -10, 5000000)
    path = make_tiff(tmp_path / "a.tif", ramp(30, 40), transform=transform)
    made = run(profile_of(path, fmt, time=PERIOD), tmp_path / "out")
    assert made.one.grid.bounds == (600000, 4999700, 600400, 5000000)
