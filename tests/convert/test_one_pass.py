"""COGs of the one-pass engine beside those of GDAL's own COG driver: the same pixels, overviews, tags and order."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from builders import PERIOD, make_tiff, profile_of, run
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate

from earthcode_pack.convert.cog import onepass
from earthcode_pack.convert.cog import writer as tiff
from earthcode_pack.convert.cog.overviews import level_shapes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAST, SLOW = "one pass", "GDAL's COG driver"
OFFSETS, COUNTS = 324, 325
RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Path, Path]]:
    """The COG of a source by this engine, and by GDAL's driver."""

    def made(source: Path, **given: Any) -> tuple[Path, Path]:
        profile = profile_of(source, time=PERIOD, **given)
        fast = run(profile, tmp_path / "fast")
        monkeypatch.setattr(tiff, "is_possible", lambda *_: False)
        slow = run(profile, tmp_path / "slow")
        monkeypatch.undo()
        assert (fast.one.engine, slow.one.engine) == (FAST, SLOW)
        assert_same_facts(fast.one.variables[0], slow.one.variables[0])
        return fast.path, slow.path

    return made


def assert_same_facts(one: Any, other: Any) -> None:
    """Sums are over other blocks; counts do not depend on them."""
    found = [variable.statistics.model_dump() if variable.statistics else {} for variable in (one, other)]
    counts = [[facts.pop(key, None) for key in ("histogram", "values", "count")] for facts in found]
    assert counts[0] == counts[1]
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    assert str(one.model_copy(update={"statistics": None})) == str(other.model_copy(update={"statistics": None}))


def assert_same(fast: Path, slow: Path) -> None:
    with rasterio.open(fast) as one, rasterio.open(slow) as other:
        assert one.overviews(1) == other.overviews(1)
        levels = [None, *range(len(one.overviews(1)))]
    for level in levels:
        assert_same_level(fast, slow, {} if level is None else {"overview_level": level})
    assert directories(fast) == directories(slow)
    assert cog_validate(fast, strict=True) == cog_validate(slow, strict=True)


def assert_same_level(fast: Path, slow: Path, level: dict[str, int]) -> None:
    with rasterio.open(fast, **level) as one, rasterio.open(slow, **level) as other:
        same = one.read().tobytes() == other.read().tobytes()
        assert same, f"{level}: {np.argwhere(one.read() != other.read())[:5].tolist()}"
        assert str(one.profile) == str(other.profile)  # NaN is NaN in words
        for ns in (None, "IMAGE_STRUCTURE", "TIFF"):
            assert one.tags(ns=ns) == other.tags(ns=ns)
            assert [one.tags(i, ns=ns) for i in one.indexes] == [other.tags(i, ns=ns) for i in other.indexes]
        for name in ("scales", "offsets", "units", "descriptions", "colorinterp", "mask_flag_enums", "block_shapes"):
            assert getattr(one, name) == getattr(other, name), name


def directories(path: Path) -> list[dict[int, Any]]:
    """The tags of a classic TIFF, directory by directory; of the tables of tiles only their length."""
    data = path.read_bytes()
    assert data[:4] == b"II*\0"
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 11: 4, 12: 8, 16: 8}
    (at,) = struct.unpack_from("<I", data, 4)
    found = []
    while at:
        (count,) = struct.unpack_from("<H", data, at)
        tags = {}
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from("<HHI", data, entry)
            size = sizes[kind] * number
            where = entry + 8 if size <= 4 else struct.unpack_from("<I", data, entry + 8)[0]
            tags[tag] = number if tag in (OFFSETS, COUNTS) else (kind, number, data[where : where + size])
        found.append(tags)
        (at,) = struct.unpack_from("<I", data, at + 2 + 12 * count)
    return found


def field(dtype: str, shape: tuple[int, int], nodata: float | None, seed: int = 0) -> np.ndarray:
    """Noise over the range of the type, a corner and a tenth of the cells missing."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        values = (rng.standard_normal(shape) * 1000).astype(kind)
    else:
        values = rng.integers(np.iinfo(kind).min // 2, np.iinfo(kind).max // 2, shape).astype(kind)
    if nodata is not None:
        values[: shape[0] // 2, : shape[1] // 3] = nodata
        values[rng.random(shape) < 0.1] = nodata
    return values


SIZES = [(256, 256), (530, 300), (301, 511), (1, 900)]
FLOATS = ("float32", "float64")
TYPES = [
    *itertools.product(("uint8", "int8", "uint16", "int16", "uint32", "int32"), (None, 7)),
    *itertools.product(FLOATS, (None, 7, "nan")),
]


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize(("dtype", "nodata"), TYPES)
def test_types_sizes_and_nodata(both: Any, tmp_path: Path, dtype: str, nodata: Any, shape: tuple[int, int]) -> None:
    missing = float("nan") if nodata == "nan" else nodata
    source = make_tiff(tmp_path / "a.tif", field(dtype, shape, missing), nodata=missing)
    assert_same(*both(source, blocksize=256))


@pytest.mark.parametrize("compression", ["deflate", "zstd"])
@pytest.mark.parametrize("resampling", ["average", "nearest", "mode"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_codecs_and_resamplings(both: Any, tmp_path: Path, dtype: str, compression: str, resampling: str) -> None:
    values = (field(dtype, (550, 545), None) % 7).astype(dtype)
    source = make_tiff(tmp_path / "a.tif", values, nodata=3)
    assert_same(*both(source, compression=compression, resampling=resampling, level=1, blocksize=256))


@pytest.mark.parametrize("where", ["corner", "nowhere", "sparse"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16"])
def test_tiles_with_and_without_missing_cells(both: Any, tmp_path: Path, dtype: str, where: str) -> None:
    """GDAL's reading rounds floats otherwise where nothing is missing; its overviews do not."""
    values = np.abs(field(dtype, (1024, 600), None)) + 1
    if where == "corner":
        values[:30, :30] = 0
    if where == "sparse":
        values[np.random.default_rng(5).random(values.shape) < 4e-5] = 0
    assert_same(*both(make_tiff(tmp_path / "a.tif", values.astype(dtype), nodata=0), blocksize=256))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_mean_that_equals_nodata_is_not_missing(both: Any, tmp_path: Path, dtype: str) -> None:
    values = np.ones((600, 600), dtype)
    values[::2] = -1
    for nodata in (0.0, -5.0):
        values[:2, :2] = nodata
        assert_same(*both(make_tiff(tmp_path / "a.tif", values + nodata, nodata=nodata), blocksize=256))


@pytest.mark.parametrize("nodata", ["max", "min"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_nodata_at_an_end_of_its_type(both: Any, tmp_path: Path, dtype: str, nodata: str) -> None:
    """The default of several GIS; the sum of two such values is infinite."""
    missing = float(getattr(np.finfo(dtype), nodata))
    source = make_tiff(tmp_path / "a.tif", field(dtype, (600, 600), missing), nodata=missing)
    assert_same(*both(source, blocksize=256))


def test_infinities_and_negative_zero(both: Any, tmp_path: Path) -> None:
    values = field("float32", (600, 600), float("nan"))
    values[10:40, 500:520], values[50:60, 500:520], values[70:90, 400:] = np.inf, -np.inf, -0.0
    assert_same(*both(make_tiff(tmp_path / "a.tif", values, nodata=float("nan")), blocksize=256))


@pytest.mark.parametrize(
    ("bands", "resampling"),
    [*itertools.product([3], ["average", "nearest", "mode"]), (4, "average"), (4, "nearest")],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_pictures_with_and_without_transparency(
    both: Any, tmp_path: Path, dtype: str, bands: int, resampling: str
) -> None:
    values = np.stack([field(dtype, (801, 600), None, seed) for seed in range(bands)])
    if bands == 4:
        values[3] = np.where(np.indices((801, 600)).sum(0) % 700 < 300, 0, np.iinfo(dtype).max)
    source = make_tiff(tmp_path / "a.tif", values, photometric="RGB", colorinterp=RGBA[:bands])
    assert_same(*both(source, blocksize=256, resampling=resampling))


def test_the_most_frequent_colour_with_transparency_is_left_to_gdal(tmp_path: Path) -> None:
    values = np.stack([field("uint8", (300, 300), None, seed) for seed in range(4)])
    source = make_tiff(tmp_path / "a.tif", values, photometric="RGB", colorinterp=RGBA)
    assert run(profile_of(source, time=PERIOD, resampling="mode", blocksize=256), tmp_path / "o").one.engine == SLOW


def test_a_band_with_transparency(both: Any, tmp_path: Path) -> None:
    values = np.stack([field("uint8", (700, 600), None), np.full((700, 600), 255, "uint8")])
    values[1, 100:300, 50:400] = 0
    source = make_tiff(tmp_path / "a.tif", values, colorinterp=(ColorInterp.gray, ColorInterp.alpha))
    assert_same(*both(source, blocksize=256))


@pytest.mark.parametrize("resampling", ["nearest", "mode"])
def test_colour_table(both: Any, tmp_path: Path, resampling: str) -> None:
    values = (field("uint8", (777, 600), None) % 4).astype("uint8")
    table = {0: (0, 0, 0, 0), 1: (255, 0, 0, 255), 2: (0, 255, 0, 255), 3: (0, 0, 255, 255)}
    source = make_tiff(tmp_path / "a.tif", values, colormap=table, nodata=0)
    assert_same(*both(source, blocksize=256, resampling=resampling))


def test_words_scale_and_point_pixels(both: Any, tmp_path: Path) -> None:
    source = make_tiff(
        tmp_path / "a.tif", field("int16", (600, 700), -9999), nodata=-9999, scale=0.01, offset=273.15, units="K",
        tags={"mission": "Sentinel-3", "AREA_OR_POINT": "Point", "ünicode": "grün & <blau>"},
        band_tags={"wavelength": "10.8 µm"}, descriptions=["surface temperature"],
    )  # fmt: skip
    fast, slow = both(source, blocksize=256)
    assert_same(fast, slow)
    with rasterio.open(fast) as file:
        assert file.tags()["mission"] == "Sentinel-3"
        assert (file.scales, file.offsets, file.units) == ((0.01,), (273.15,), ("K",))


def test_rotated_grid_and_own_crs(both: Any, tmp_path: Path) -> None:
    turned = rasterio.Affine(10, 3, 500000, 2, -10, 4600000)
    local = "+proj=laea +lat_0=45 +lon_0=10 +R=6371000 +units=m +no_defs"
    source = make_tiff(tmp_path / "a.tif", field("uint8", (300, 300), None), transform=turned, crs=local)
    assert_same(*both(source, blocksize=256))


@pytest.mark.parametrize("level", [1, 6, 7, 12])
def test_deflate_levels(both: Any, tmp_path: Path, level: int) -> None:
    values = np.cumsum(field("int16", (600, 600), None) % 9, axis=1).astype("int16")
    fast, slow = both(make_tiff(tmp_path / "a.tif", values), level=level, blocksize=256)
    assert_same(fast, slow)
    assert fast.stat().st_size < 1.03 * slow.stat().st_size


@given(
    dtype=st.sampled_from(["uint8", "int16", "uint32", "float32", "float64"]),
    shape=st.tuples(st.integers(1, 900), st.integers(4, 900)),
    nodata=st.sampled_from([None, 0, 7]),
    resampling=st.sampled_from(["average", "nearest", "mode"]),
    compression=st.sampled_from(["deflate", "zstd"]),
    seed=st.integers(0, 9),
)
@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_is_what_gdal_writes(  # noqa: PLR0917 - drawn
    both: Any, tmp_path: Path, dtype: str, shape: Any, nodata: Any, resampling: str, compression: str, seed: int
) -> None:
    values = (field(dtype, shape, None, seed) % 50).astype(dtype)
    values[np.random.default_rng(seed).random(shape) < 0.02 * seed] = 0
    source = make_tiff(tmp_path / "a.tif", values, nodata=nodata)
    assert_same(*both(source, blocksize=256, resampling=resampling, compression=compression, level=1))


# --- what is not for it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"resampling": "bilinear"}, {"compression": "lzw"}], ids=str)
def test_other_codecs_and_resamplings_are_left_to_gdal(tmp_path: Path, options: dict[str, Any]) -> None:
    source = make_tiff(tmp_path / "a.tif", field("int16", (99, 80), None))
    made = run(profile_of(source, time=PERIOD, **options), tmp_path)
    assert made.one.engine == SLOW


def test_what_gdal_grows_in_ways_of_its_own_is_left_to_it(tmp_path: Path) -> None:
    source = make_tiff(tmp_path / "a.tif", field("uint8", (1030, 1), 7), nodata=7)
    assert run(profile_of(source, time=PERIOD, blocksize=256), tmp_path).one.engine == SLOW


def test_long_integers_without_nodata(both: Any, tmp_path: Path) -> None:
    assert_same(*both(make_tiff(tmp_path / "a.tif", field("int64", (601, 600), None)), blocksize=256))


def test_a_very_wide_picture_is_left_to_gdal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onepass, "_IN_HAND", 80 * 2 * 512 - 1)
    source = make_tiff(tmp_path / "a.tif", field("int16", (99, 80), None))
    assert run(profile_of(source, time=PERIOD), tmp_path).one.engine == SLOW


@pytest.mark.parametrize("block", [16, 512, 1008])
def test_blocks_of_the_source_of_any_height(both: Any, tmp_path: Path, block: int) -> None:
    layout = {"tiled": True, "blockxsize": 64, "blockysize": block, "compress": "deflate"}
    source = make_tiff(tmp_path / "a.tif", field("uint16", (1500, 700), 0), nodata=0, **layout)
    assert_same(*both(source, blocksize=256))


def test_masks_are_left_to_gdal(tmp_path: Path) -> None:
    mask = np.full((99, 80), 255, "uint8")
    mask[:9] = 0
    made = run(
        profile_of(make_tiff(tmp_path / "a.tif", field("int16", (99, 80), None), mask=mask), time=PERIOD), tmp_path
    )
    assert made.one.engine == SLOW


# --- the file -------------------------------------------------------------------------------------------------------


def test_big_tiff_where_four_gigabytes_do_not_suffice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthcode_pack.convert.cog.tiff_file._LARGEST_CLASSIC", 1000)
    values = field("uint16", (700, 800), 0)
    made = run(profile_of(make_tiff(tmp_path / "a.tif", values, nodata=0), time=PERIOD, blocksize=256), tmp_path / "o")
    assert made.path.read_bytes()[:4] == b"II+\0"
    with rasterio.open(made.path) as file:
        assert np.array_equal(file.read(1), values)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.overviews(1) == [2, 4]
    assert cog_validate(made.path, strict=True)[0]


@pytest.mark.parametrize("limit", [0, 100_000])
def test_tiles_that_do_not_stay_in_memory(
    both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr("earthcode_pack.convert.cog.tiff_file._IN_MEMORY", limit)
    fast, slow = both(make_tiff(tmp_path / "a.tif", field("uint16", (700, 800), 0), nodata=0), blocksize=256)
    assert_same(fast, slow)


def test_a_wrong_tile_does_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One value off in one tile is found when the file is read back, and said with its place and both values."""

    def spoilt(rows: np.ndarray, left: int, blocksize: int) -> np.ndarray:
        tile = cut(rows, left, blocksize)
        if left == 256 and rows[0, 0, 0] == 77:
            tile[3, 5, 0] += 1
        return tile

    cut = onepass.cut_tile
    monkeypatch.setattr(onepass, "cut_tile", spoilt)
    values = field("uint16", (700, 800), None)
    values[256] = 77
    made = run(profile_of(make_tiff(tmp_path / "a.tif", values), time=PERIOD, blocksize=256), tmp_path / "o")
    expected = f"(0, 3, 261): read np.uint16({values[259, 261]}), wrote np.uint16({values[259, 261] + 1})"
    assert expected in made.error
    assert "rows from 256" in made.error


def test_levels_halve_until_one_tile() -> None:
    assert level_shapes((20000, 20000), 512)[-2:] == [(625, 625), (312, 312)]
    assert level_shapes((3, 2000), 512) == [(3, 2000), (1, 1000), (1, 500)]
    assert level_shapes((512, 512), 512) == [(512, 512)]
