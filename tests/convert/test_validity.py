"""Which cells of a raster are valid: masks and transparencies of any band order, in COG, Zarr and NetCDF."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from builders import PERIOD, make_tiff, opened, profile_of, run
from examples import spread
from rasterio.enums import ColorInterp as C

if TYPE_CHECKING:
    from pathlib import Path

RGBN = (C.red, C.green, C.blue, C.undefined)
INSIDE = np.arange(64) < 32  # of the columns
LAYOUTS = {
    "rgbn-alpha": (*RGBN, C.alpha),
    "bgr-alpha": (C.blue, C.green, C.red, C.alpha),
    "alpha-first": (C.alpha, C.red, C.green, C.blue),
    "alpha-between": (C.gray, C.alpha, C.undefined),
    "two-and-alpha": (C.gray, C.undefined, C.alpha),
}


def make_alpha(path: Path, roles: tuple[C, ...], dtype: str = "uint8", **given: Any) -> Path:
    """Each band holds ten times its number; half of the cells are outside: zero there, and in the transparency."""
    opaque = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    values = np.zeros((len(roles), 64, 64), dtype)
    for number, role in enumerate(roles, start=1):
        values[number - 1, :, INSIDE] = opaque if role is C.alpha else 10 * number
    return make_tiff(path, values, colorinterp=roles, **given)


def data_bands(roles: tuple[C, ...]) -> list[int]:
    return [number for number, role in enumerate(roles, start=1) if role is not C.alpha]


@pytest.mark.parametrize(("layout", "dtype"), spread(LAYOUTS, ["uint8", "int16", "uint16", "float32"]))
def test_each_band_of_a_cog_is_masked_by_the_transparency(tmp_path: Path, layout: str, dtype: str) -> None:
    roles = LAYOUTS[layout]
    made = run(profile_of(make_alpha(tmp_path / "a.tif", roles, dtype), time=PERIOD), tmp_path / "out")
    assert not made.failures
    assert sorted(a.asset for a in made.artifacts) == [f"band_{number}" for number in data_bands(roles)]
    for artifact in made.artifacts:
        with rasterio.open(made.root / "product" / artifact.key) as file:
            assert file.count == 1
            assert np.array_equal(file.dataset_mask() > 0, np.broadcast_to(INSIDE, (64, 64)))
        statistics, value = artifact.variables[0].statistics, 10 * int(artifact.asset[-1])
        assert statistics is not None
        assert (statistics.minimum, statistics.maximum, statistics.valid_percent) == (value, value, 50)
        assert any("transparency" in line and "mask" in line for line in artifact.changes)


def test_a_cell_that_is_seen_through_is_valid(tmp_path: Path) -> None:
    values = np.stack([np.full((4, 256), 7, "uint8"), np.full((4, 256), 8, "uint8"), np.tile(np.arange(256), (4, 1))])
    path = make_tiff(tmp_path / "a.tif", values.astype("uint8"), colorinterp=LAYOUTS["two-and-alpha"])
    for artifact in (made := run(profile_of(path, time=PERIOD), tmp_path / "out")).artifacts:
        with rasterio.open(made.root / "product" / artifact.key) as file:
            assert np.array_equal(file.dataset_mask()[0] > 0, np.arange(256) > 0)
        assert any("all others valid" in line for line in artifact.changes)


def test_alpha_of_a_thousandth_is_valid(tmp_path: Path) -> None:
    """As a byte it would round to nothing."""
    path = make_alpha(tmp_path / "a.tif", LAYOUTS["two-and-alpha"], "float32")
    with rasterio.open(path, "r+") as file:
        alpha = file.read(3) * np.float32(0.001)
        file.write(alpha, 3)
    made = run(profile_of(path, time=PERIOD, select=["band_1"]), tmp_path / "out")
    with rasterio.open(made.path) as file:
        assert (file.dataset_mask() > 0).sum() == 2048


def test_nodata_stays_missing_under_a_transparency(tmp_path: Path) -> None:
    path = make_alpha(tmp_path / "a.tif", LAYOUTS["two-and-alpha"], nodata=0)
    with rasterio.open(path, "r+") as file:
        band = file.read(1)
        band[:8, :8] = 0
        file.write(band, 1)
    made = run(profile_of(path, time=PERIOD, select=["band_1"]), tmp_path / "out")
    with rasterio.open(made.path) as file:
        assert (file.dataset_mask() > 0).sum() == 2048 - 64
    assert made.one.variables[0].statistics.minimum == 10


def test_overviews_under_a_transparency_average_valid_cells_alone(tmp_path: Path) -> None:
    values = np.zeros((2, 600, 600), "float32")
    values[:, :, 301:] = [[[5]], [[255]]]  # an odd edge: some cells of the overview lie half outside
    roles = (C.gray, C.undefined, C.alpha)
    path = make_tiff(tmp_path / "a.tif", np.stack([values[0], values[0], values[1]]), colorinterp=roles)
    made = run(profile_of(path, time=PERIOD, select=["band_1"], blocksize=256), tmp_path / "out")
    for level in (0, 1):
        with rasterio.open(made.path, overview_level=level) as file:
            assert np.unique(file.read(1, masked=True).compressed()).tolist() == [5]


def test_transparency_and_mask_together(tmp_path: Path) -> None:
    """A cell is valid where both say so."""
    mask = np.where(np.arange(64)[:, np.newaxis] < 16, 255, 0).astype("uint8") * np.ones((1, 64), "uint8")
    path = make_alpha(tmp_path / "a.tif", LAYOUTS["rgbn-alpha"], mask=mask)
    made = run(profile_of(path, time=PERIOD, select=["band_4"]), tmp_path / "out")
    with rasterio.open(made.path) as file:
        assert np.array_equal(file.dataset_mask() > 0, (mask > 0) & INSIDE)


def test_turned_with_a_transparency(tmp_path: Path) -> None:
    south_up = rasterio.Affine(10, 0, 0, 0, 10, 4600000)
    path = make_alpha(tmp_path / "a.tif", LAYOUTS["alpha-first"], transform=south_up)
    with rasterio.open(path, "r+") as file:
        alpha = file.read(1)
        alpha[:10] = 0
        file.write(alpha, 1)
    made = run(profile_of(path, time=PERIOD, select=["band_2"]), tmp_path / "out")
    with rasterio.open(made.path) as file:
        assert np.array_equal(file.dataset_mask() > 0, (alpha > 0)[::-1])


FILLS = {"nan": ("float32", None), "float": ("float32", -1), "byte": ("uint8", 255), "long": ("int64", -(2**63) + 1)}


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
@pytest.mark.parametrize(("fill", "kind"), spread(FILLS, ["alpha", "mask", "gray-alpha"]))
def test_a_cube_fills_what_is_hidden(tmp_path: Path, fmt: str, fill: str, kind: str) -> None:
    dtype, nodata = FILLS[fill]
    stated = {} if nodata is None else {"nodata": nodata}
    hidden = {"mask": np.tile(np.where(INSIDE, 255, 0).astype("uint8"), (64, 1))} if kind == "mask" else {}
    roles = {"alpha": (C.gray, C.undefined, C.alpha), "mask": (C.gray,), "gray-alpha": (C.gray, C.alpha)}[kind]
    path = make_alpha(tmp_path / "a.tif", roles, dtype, **hidden)
    if kind == "mask":
        with rasterio.open(path, "r+") as file:
            file.write(np.full((64, 64), 10, dtype), 1)
    made = run(profile_of(path, fmt, time=PERIOD, **stated), tmp_path / "out")
    variable = opened(made.path, mask_and_scale=False)["band_1"]
    assert (variable.values[:, INSIDE] == 10).all()
    outside = variable.values[:, ~INSIDE]
    assert np.isnan(outside).all() if nodata is None else (outside == nodata).all()
    assert np.array_equal(variable.attrs["_FillValue"], np.nan if nodata is None else nodata, equal_nan=True)
    statistics = made.one.variables[0].statistics
    assert statistics is not None
    assert (statistics.minimum, statistics.valid_percent) == (10, 50)
    assert any("became" in line and "band_1" in line for line in made.one.changes)


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
def test_integers_without_nodata_are_refused_and_the_remedy_works(tmp_path: Path, fmt: str) -> None:
    path = make_alpha(tmp_path / "a.tif", LAYOUTS["two-and-alpha"])
    error = run(profile_of(path, fmt, time=PERIOD), tmp_path / "out").error
    assert "band 3 (alpha)" in error
    assert "source.nodata" in error
    made = run(profile_of(path, fmt, time=PERIOD, nodata=255), tmp_path / "again")
    assert (opened(made.path, mask_and_scale=False)["band_1"].values[:, ~INSIDE] == 255).all()


def test_two_transparencies_are_refused_and_the_remedy_works(tmp_path: Path) -> None:
    path = make_alpha(tmp_path / "a.tif", (C.gray, C.undefined, C.alpha, C.alpha))
    error = run(profile_of(path, time=PERIOD), tmp_path / "out").error
    assert "bands 3 and 4" in error
    assert "gdal_translate -colorinterp_4 undefined a.tif NEW.tif" in error
    with rasterio.open(path) as old, rasterio.open(tmp_path / "NEW.tif", "w", **old.profile) as new:
        new.colorinterp = (C.gray, C.undefined, C.alpha, C.undefined)
        new.write(old.read())
    made = run(profile_of(tmp_path / "NEW.tif", time=PERIOD), tmp_path / "again")
    assert sorted(a.asset for a in made.artifacts) == ["band_1", "band_2", "band_4"]


def test_the_only_band_is_data_whatever_it_is_called(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", np.full((8, 8), 9, "uint8"), colorinterp=(C.alpha,))
    made = run(profile_of(path, time=PERIOD), tmp_path / "out")
    with rasterio.open(made.path) as file:
        assert (file.read(1) == 9).all()


def test_masks_of_single_bands(tmp_path: Path) -> None:
    """A mask directory with as many samples as bands (GDAL, GTiff driver, «Internal nodata masks»), made by hand."""
    rows = np.arange(64)
    masks = np.stack([rows < 16, rows < 32], axis=-1)  # (row, band)
    path = make_tiff(tmp_path / "a.tif", np.full((2, 64, 64), 7, "uint8"))
    _append_mask(path, np.broadcast_to(masks[:, np.newaxis], (64, 64, 2)))
    with rasterio.open(path) as file:
        assert not file.mask_flag_enums[0]  # neither of the dataset, nor of nodata or alpha
        assert np.array_equal(file.read_masks(2)[:, 0] > 0, rows < 32)
    made = run(profile_of(path, time=PERIOD), tmp_path / "out")
    for artifact, last in zip(sorted(made.artifacts, key=lambda a: a.asset), (16, 32), strict=True):
        with rasterio.open(made.root / "product" / artifact.key) as file:
            assert np.array_equal(file.dataset_mask()[:, 0] > 0, rows < last)


def _append_mask(path: Path, masks: np.ndarray) -> None:
    """A directory of NewSubfileType 4 behind the first one of a little-endian classic TIFF (TIFF 6.0, section 2)."""
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    data += bytes(-len(data) % 2)
    pixels, bands = len(data), masks.shape[2]
    data += np.where(masks, np.uint8(255), np.uint8(0)).tobytes()
    bits = len(data)
    data += struct.pack(f"<{bands}H", *([8] * bands)) if bands > 2 else b""
    struct.pack_into("<I", data, first + 2 + 12 * count, len(data))
    two_shorts = 8 | 8 << 16 if bands == 2 else bits
    entries = [
        (254, 4, 1, 4), (256, 4, 1, masks.shape[1]), (257, 4, 1, masks.shape[0]), (258, 3, bands, two_shorts),
        (259, 3, 1, 1), (262, 3, 1, 4), (273, 4, 1, pixels), (277, 3, 1, bands), (278, 4, 1, masks.shape[0]),
        (279, 4, 1, masks.size), (284, 3, 1, 1),
    ]  # fmt: skip
    data += struct.pack("<H", len(entries))
    for tag, kind, number, value in entries:
        data += struct.pack("<HHII", tag, kind, number, value)
    data += bytes(4)
    path.write_bytes(bytes(data))
