"""GeoTIFF in, COG out: every cell, every word of the header, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from builders import PERIOD, make_tiff, profile_of, ramp, run
from rasterio.enums import ColorInterp, MaskFlags
from rio_cogeo.cogeo import cog_validate

if TYPE_CHECKING:
    from pathlib import Path

TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]


def to_cog(path: Path, tmp_path: Path, **given: Any) -> Any:
    return run(profile_of(path, time=PERIOD, **given), tmp_path / "out")


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


def is_cog(path: Path) -> bool:
    valid, errors, warnings = cog_validate(path, strict=True)
    assert (errors, warnings) == ([], [])
    return bool(valid)


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_keeps_its_extremes(tmp_path: Path, dtype: str) -> None:
    kind = np.dtype(dtype)
    ends = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    values = ramp(37, 53, dtype=dtype)
    values[0, :2] = ends.min, ends.max
    made = to_cog(make_tiff(tmp_path / "a.tif", values), tmp_path)
    assert read(made.path)[0].tobytes() == values.tobytes()
    assert made.one.variables[0].dtype == dtype
    assert made.one.compared == values.size
    assert is_cog(made.path)


@pytest.mark.parametrize(
    "layout",
    [{"tiled": True, "blockxsize": 64, "blockysize": 32}, {"blockysize": 1}, {"compress": "lzw", "predictor": 2},
     {"interleave": "pixel", "compress": "deflate"}],
    ids=["tiles", "strips", "lzw", "pixel"],
)  # fmt: skip
def test_odd_sizes_and_layouts(tmp_path: Path, layout: dict[str, Any]) -> None:
    values = ramp(601, 1023, dtype="int32")
    made = to_cog(make_tiff(tmp_path / "a.tif", values, **layout), tmp_path, blocksize=256)
    assert np.array_equal(read(made.path)[0], values)
    assert is_cog(made.path)
    with rasterio.open(made.path) as file:
        assert file.block_shapes == [(256, 256)]
        assert file.overviews(1) == [2, 4]
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


@pytest.mark.parametrize("compression", ["deflate", "zstd", "lzw"])
def test_compressions_are_lossless(tmp_path: Path, compression: str) -> None:
    values = np.random.default_rng(1).normal(size=(70, 80)).astype("float32")
    made = to_cog(make_tiff(tmp_path / "a.tif", values), tmp_path, compression=compression)
    assert read(made.path)[0].tobytes() == values.tobytes()
    with rasterio.open(made.path) as file:
        assert file.compression.name.lower() == compression


def test_south_up_is_flipped_and_said(tmp_path: Path) -> None:
    values = ramp(20, 30)
    path = make_tiff(tmp_path / "a.tif", values, transform=rasterio.Affine(10, 0, 500000, 0, 10, 4600000))
    made = to_cog(path, tmp_path)
    assert np.array_equal(read(made.path)[0], values[::-1])
    with rasterio.open(made.path) as file:
        assert tuple(file.transform)[:6] == (10, 0, 500000, 0, -10, 4600200)
    assert "rows flipped: north is up" in made.one.changes


def test_east_to_west_is_mirrored_and_said(tmp_path: Path) -> None:
    values = ramp(20, 30)
    path = make_tiff(tmp_path / "a.tif", values, transform=rasterio.Affine(-10, 0, 500300, 0, -10, 4600000))
    made = to_cog(path, tmp_path)
    assert np.array_equal(read(made.path)[0], values[:, ::-1])
    with rasterio.open(made.path) as file:
        assert tuple(file.transform)[:6] == (10, 0, 500000, 0, -10, 4600000)
    assert "columns mirrored: west is left" in made.one.changes


def test_flipped_with_an_internal_mask(tmp_path: Path) -> None:
    values = ramp(20, 30)
    mask = np.where(ramp(20, 30) % 3 == 0, 0, 255).astype("uint8")
    path = make_tiff(tmp_path / "a.tif", values, mask=mask, transform=rasterio.Affine(10, 0, 0, 0, 10, 4600000))
    made = to_cog(path, tmp_path)
    with rasterio.open(made.path) as file:
        assert np.array_equal(file.dataset_mask(), mask[::-1])


def test_rotated_stays_rotated(tmp_path: Path) -> None:
    values = ramp(20, 30)
    turned = (
        rasterio.Affine.translation(500000, 4600000) @ rasterio.Affine.rotation(30) @ rasterio.Affine.scale(10, -10)
    )
    made = to_cog(make_tiff(tmp_path / "a.tif", values, transform=turned), tmp_path)
    with rasterio.open(made.path) as file:
        assert file.transform.almost_equals(turned)
        assert np.array_equal(file.read(1), values)
    west, south, east, north = made.one.grid.bounds
    assert (west, north) == (pytest.approx(500000), pytest.approx(4600000 + 150))
    assert east > 500000 + 250
    assert south < 4600000 - 170


def test_internal_mask_is_kept(tmp_path: Path) -> None:
    values = ramp(40, 30, dtype="uint8")
    mask = np.where(values % 2 == 0, 0, 255).astype("uint8")
    made = to_cog(make_tiff(tmp_path / "a.tif", values, mask=mask), tmp_path)
    with rasterio.open(made.path) as file:
        assert np.array_equal(file.dataset_mask(), mask)
        assert np.array_equal(file.read(1), values)
        assert file.mask_flag_enums[0] == [MaskFlags.per_dataset]
    assert made.one.variables[0].statistics is not None
    assert made.one.variables[0].statistics.minimum == 1  # masked cells do not count
    assert made.one.variables[0].statistics.valid_percent == pytest.approx(50)
    assert is_cog(made.path)


def test_rgb_picture_stays_one_picture(tmp_path: Path) -> None:
    values = ramp(3, 40, 30, dtype="uint8")
    made = to_cog(make_tiff(tmp_path / "a.tif", values, photometric="RGB"), tmp_path)
    with rasterio.open(made.path) as file:
        assert file.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert np.array_equal(file.read(), values)
    assert made.one.asset == "rgb"


def test_alpha_is_kept(tmp_path: Path) -> None:
    values = ramp(4, 40, 30, dtype="uint8")
    made = to_cog(make_tiff(tmp_path / "a.tif", values, photometric="RGB", alpha="YES"), tmp_path)
    with rasterio.open(made.path) as file:
        assert file.colorinterp[3] is ColorInterp.alpha
        assert np.array_equal(file.read(), values)


def test_gray_with_alpha_stays_together(tmp_path: Path) -> None:
    values = np.stack([ramp(40, 30, dtype="uint8"), np.where(np.eye(40, 30) > 0, 0, 255).astype("uint8")])
    path = make_tiff(tmp_path / "a.tif", values, colorinterp=(ColorInterp.gray, ColorInterp.alpha))
    made = to_cog(path, tmp_path)
    with rasterio.open(made.path) as file:
        assert file.colorinterp == (ColorInterp.gray, ColorInterp.alpha)
        assert np.array_equal(file.read(), values)


def test_colour_table_and_classes_are_not_invented(tmp_path: Path) -> None:
    values = np.where(np.add.outer(np.arange(600), np.arange(700)) % 2, 10, 50).astype("uint8")
    table = {10: (0, 100, 0, 255), 50: (250, 0, 0, 255), 70: (1, 2, 3, 255)}
    made = to_cog(make_tiff(tmp_path / "a.tif", values, colormap=table, nodata=0), tmp_path)
    with rasterio.open(made.path) as file:
        assert {key: file.colormap(1)[key] for key in table} == table
        assert file.colorinterp == (ColorInterp.palette,)
        assert file.overviews(1)
        small = file.read(1, out_shape=(300, 350))
    assert set(np.unique(small)) <= {10, 50}
    assert is_cog(made.path)


def test_average_of_classes_is_refused(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", ramp(4, 4, dtype="uint8"), colormap={1: (1, 1, 1, 255)})
    made = to_cog(path, tmp_path, resampling="average")
    assert "a.tif" in made.error
    assert "resampling" in made.error


def test_words_of_the_header_are_kept(tmp_path: Path) -> None:
    path = make_tiff(
        tmp_path / "a.tif", ramp(20, 30, dtype="int16"), nodata=-32768, scale=0.01, offset=273.15, units="K",
        descriptions=("skin temperature",), tags={"PROCESSOR": "a & b <c>", "TIFFTAG_DATETIME": "2020:01:01 00:00:00"},
        band_tags={"wavelength": "11 µm"}, domain=("MINE", {"key": "value"}),
    )  # fmt: skip
    made = to_cog(path, tmp_path)
    with rasterio.open(made.path) as file:
        assert (file.nodata, file.scales, file.offsets, file.units) == (-32768, (0.01,), (273.15,), ("K",))
        assert file.descriptions == ("skin temperature",)
        assert file.tags()["PROCESSOR"] == "a & b <c>"
        assert file.tags()["TIFFTAG_DATETIME"] == "2020:01:01 00:00:00"
        assert file.tags(1)["wavelength"] == "11 µm"
    assert "metadata domain MINE dropped" in made.one.changes
    written = made.one.variables[0]
    assert (written.scale, written.offset, written.units, written.nodata) == (0.01, 273.15, "K", -32768)
    assert written.statistics is not None
    assert written.statistics.maximum == pytest.approx(599 * 0.01 + 273.15)


def test_pixel_is_point_stays_in_place(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", ramp(20, 30), tags={"AREA_OR_POINT": "Point"})
    made = to_cog(path, tmp_path)
    with rasterio.open(path) as source, rasterio.open(made.path) as file:
        assert file.transform == source.transform
        assert file.tags()["AREA_OR_POINT"] == "Point"


def test_floats_that_state_no_nodata_get_nan(tmp_path: Path) -> None:
    values = ramp(20, 30)
    made = to_cog(make_tiff(tmp_path / "a.tif", values, nodata=None), tmp_path)
    with rasterio.open(made.path) as file:
        assert np.isnan(file.nodata)
        assert file.read(1).tobytes() == values.tobytes()
    assert "nodata of band_1: NaN, for the file states none" in made.one.changes


@pytest.mark.parametrize("nodata", [float("nan"), -9999, -3.4028234663852886e38])
def test_nodata_is_what_it_was(tmp_path: Path, nodata: float) -> None:
    values = ramp(20, 30)
    values[3] = nodata
    made = to_cog(make_tiff(tmp_path / "a.tif", values, nodata=nodata), tmp_path)
    with rasterio.open(made.path) as file:
        assert repr(file.nodata) == repr(float(nodata))
        assert file.read(1).tobytes() == values.tobytes()
    assert made.one.variables[0].statistics is not None
    assert made.one.variables[0].statistics.valid_percent == pytest.approx(95)


def test_nodata_that_the_type_cannot_hold_masks_nothing(tmp_path: Path) -> None:
    values = np.full((20, 30), 247, "uint8")  # what -9 becomes when it is wrapped
    values[0] = 7
    path = tmp_path / "a.tif"
    # rasterio refuses to write such a value; GDAL reads it from the tag, whoever wrote it
    make_tiff(path, values, nodata=99)
    path.write_bytes(path.read_bytes().replace(b"99\x00", b"-9\x00"))
    made = to_cog(path, tmp_path)
    assert made.one.variables[0].statistics is not None
    assert made.one.variables[0].statistics.valid_percent == 100


def test_nodata_of_the_profile_is_said(tmp_path: Path) -> None:
    values = ramp(20, 30)
    values[0] = -1
    made = to_cog(make_tiff(tmp_path / "a.tif", values), tmp_path, nodata=-1)
    with rasterio.open(made.path) as file:
        assert file.nodata == -1
    assert any("nodata" in line and "-1" in line for line in made.one.changes), made.one.changes


def test_nodata_contradiction_names_both(tmp_path: Path) -> None:
    made = to_cog(make_tiff(tmp_path / "a.tif", ramp(4, 4), nodata=-5), tmp_path, nodata=-1)
    assert "-5" in made.error
    assert "-1" in made.error
    assert "override" in made.error


def test_nodata_of_the_profile_overrides(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", ramp(4, 4), nodata=-5)
    made = to_cog(path, tmp_path, nodata={"value": -1, "override": True})
    with rasterio.open(made.path) as file:
        assert file.nodata == -1


def test_statistics_tags_of_the_source_are_dropped_and_said(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", ramp(4, 4), band_tags={"STATISTICS_MEAN": "wrong", "kept": "yes"})
    made = to_cog(path, tmp_path)
    with rasterio.open(made.path) as file:
        assert file.tags(1) == {"kept": "yes"}
    assert any("STATISTICS" in line for line in made.one.changes), made.one.changes


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_ground_control_points_alone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "gcp.tif"
    points = [rasterio.control.GroundControlPoint(r, c, 5 + c / 10, 50 - r / 10) for r, c in ((0, 0), (0, 9), (9, 0))]
    with rasterio.open(path, "w", driver="GTiff", width=10, height=10, count=1, dtype="uint8") as file:
        file.gcps = (points, rasterio.crs.CRS.from_epsg(4326))
        file.write(ramp(1, 10, 10, dtype="uint8"))
    assert "ground control points" in to_cog(path, tmp_path).error


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_rpcs_alone_are_refused(tmp_path: Path) -> None:
    coefficients = [1.0, *[0.0] * 19]
    rpcs = rasterio.rpc.RPC(
        height_off=0, height_scale=1, lat_off=50, lat_scale=1, line_den_coeff=coefficients,
        line_num_coeff=coefficients, line_off=5, line_scale=5, long_off=5, long_scale=1,
        samp_den_coeff=coefficients, samp_num_coeff=coefficients, samp_off=5, samp_scale=5,
    )  # fmt: skip
    path = tmp_path / "rpc.tif"
    with rasterio.open(path, "w", driver="GTiff", width=10, height=10, count=1, dtype="uint8") as file:
        file.rpcs = rpcs
        file.write(ramp(1, 10, 10, dtype="uint8"))
    assert "RPC" in to_cog(path, tmp_path).error


def test_no_georeferencing_needs_no_warning(tmp_path: Path) -> None:
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        make_tiff(tmp_path / "a.tif", ramp(4, 4), transform=rasterio.Affine.identity())
    assert "no georeferencing" in to_cog(tmp_path / "a.tif", tmp_path).error


def test_complex_values_are_refused(tmp_path: Path) -> None:
    assert "complex" in to_cog(make_tiff(tmp_path / "a.tif", ramp(4, 4, dtype="complex64")), tmp_path).error


def test_no_crs_names_the_key(tmp_path: Path) -> None:
    assert "source.crs" in to_cog(make_tiff(tmp_path / "a.tif", ramp(4, 4), crs=None), tmp_path).error


def test_crs_of_the_profile_where_there_is_none(tmp_path: Path) -> None:
    made = to_cog(make_tiff(tmp_path / "a.tif", ramp(4, 4), crs=None), tmp_path, crs="EPSG:3035")
    with rasterio.open(made.path) as file:
        assert file.crs.to_epsg() == 3035
    assert any("CRS" in line and "3035" in line for line in made.one.changes), made.one.changes


def test_crs_contradiction_names_both(tmp_path: Path) -> None:
    error = to_cog(make_tiff(tmp_path / "a.tif", ramp(4, 4)), tmp_path, crs="EPSG:3035").error
    assert "32631" in error
    assert "3035" in error
    assert "override" in error


def test_crs_override(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", ramp(4, 4))
    made = to_cog(path, tmp_path, crs={"value": "EPSG:32632", "override": True})
    with rasterio.open(made.path) as file:
        assert file.crs.to_epsg() == 32632
    assert any("CRS" in line and "32631" in line for line in made.one.changes), made.one.changes


def test_bands_become_files_by_name(tmp_path: Path) -> None:
    values = ramp(3, 20, 30, dtype="int16")
    path = make_tiff(tmp_path / "a.tif", values, descriptions=("red edge", None, "nir"), photometric="MINISBLACK")
    made = to_cog(path, tmp_path, described={"swir": {"from": 2}})
    assert sorted(a.asset for a in made.artifacts) == ["nir", "red edge", "swir"]
    for artifact, band in zip(sorted(made.artifacts, key=lambda a: a.asset), (2, 0, 1), strict=True):
        assert np.array_equal(read(made.root / "product" / artifact.key)[0], values[band])
        assert " " not in artifact.key


def test_global_raster_from_0_to_360_is_rolled(tmp_path: Path) -> None:
    values = ramp(18, 36)
    path = make_tiff(tmp_path / "a.tif", values, crs="EPSG:4326", transform=rasterio.Affine(10, 0, 0, 0, -10, 90))
    made = to_cog(path, tmp_path)
    assert np.array_equal(read(made.path)[0], np.roll(values, 18, axis=1))
    assert made.one.grid.bounds == (-180, -90, 180, 90)
    assert any("rolled" in line for line in made.one.changes)


def test_lerc_keeps_its_bound(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(300, 300)).astype("float32")
    values[0] = np.nan
    path = make_tiff(tmp_path / "a.tif", values, nodata=float("nan"))
    made = to_cog(path, tmp_path, compression="lerc", tolerance={"t": {"absolute": 0.01}}, described={"t": {"from": 1}})
    assert 0 < made.one.max_error <= 0.01
    assert np.nanmax(np.abs(read(made.path)[0] - values)) == pytest.approx(made.one.max_error)
    assert np.isnan(read(made.path)[0][0]).all()


def test_spaces_and_unicode_in_the_name(tmp_path: Path) -> None:
    made = to_cog(make_tiff(tmp_path / "Größe & höhe 'x'.tif", ramp(4, 4)), tmp_path)
    assert made.one.item == "demo_Gr--e---h-he--x-"
    assert np.array_equal(read(made.path)[0], ramp(4, 4))


def test_symlinked_input(tmp_path: Path) -> None:
    make_tiff(tmp_path / "deep" / "real.tif", ramp(4, 4))
    (tmp_path / "link.tif").symlink_to("deep/real.tif")
    made = to_cog(tmp_path / "link.tif", tmp_path)
    assert made.one.item == "demo_link"


def test_twice_is_the_same_bytes(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", ramp(600, 700), nodata=3)
    profile = profile_of(path, time=PERIOD)
    first, second = (run(profile, tmp_path / name).path.read_bytes() for name in ("one", "two"))
    assert first == second


@pytest.mark.parametrize("stated", [-9999.9, None], ids=["the file", "the profile alone"])
def test_nodata_of_the_profile_is_a_number_of_the_bands_type(tmp_path: Path, stated: float | None) -> None:
    """-9999.9 is another number in float32, and the same nodata."""
    values = ramp(20, 30)
    values[:5] = np.float32(-9999.9)
    source = make_tiff(tmp_path / "a.tif", values, nodata=stated)
    made = run(profile_of(source, time=PERIOD, nodata=-9999.9), tmp_path / "out")
    with rasterio.open(made.path) as file:
        assert file.nodata == float(np.float32(-9999.9))
        assert (file.read_masks(1) == 0).sum() == 150
