import numpy as np
import pytest
import rasterio

from earthcode_pack.checks import check
from earthcode_pack.checks.cog import cog_findings, overview_factors

SMALL = np.ones((1, 300, 300), "float32")


def test_a_good_cog_keeps_every_rule(make_cog, tmp_path):
    assert check(make_cog(tmp_path / "good.tif"), deep=True) == ()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("rule", "given"),
    [
        ("COG-CRS", {"crs": None}),
        ("COG-GEOREFERENCE", {"transform": None}),
        ("COG-NORTH-UP", {"transform": rasterio.Affine(10, 0, 0, 0, 10, 0)}),
        ("COG-NODATA", {"nodata": None}),
        ("COG-UNITS", {"units": None}),
        ("CF-UNITS-FORM", {"units": "psu"}),
        ("EXPLORER-REC-01", {"cog": {"BLOCKSIZE": "1024"}}),
        ("COG-LOSSY", {"cog": {"COMPRESS": "LERC", "MAX_Z_ERROR": "0.1"}}),
    ],
)
def test_one_thing_wrong_is_the_one_finding(make_cog, tmp_path, broken, rule, given):
    assert broken(check(make_cog(tmp_path / "odd.tif", **given))) == {rule}


def test_no_overviews(make_cog, tmp_path, broken):
    path = make_cog(tmp_path / "flat.tif", cog={"OVERVIEWS": "NONE"})
    assert broken(check(path)) == {"COG-VALID", "EXPLORER-REC-02"}


def test_overviews_that_stop_too_early(make_cog, tmp_path, broken):
    path = make_cog(tmp_path / "few.tif", cog={"OVERVIEW_COUNT": "1"})
    found = check(path)
    assert broken(found) == {"EXPLORER-REC-02"}
    assert (found[0].measured, found[0].allowed) == ([2], [2, 4])


def test_stripes_are_no_cog(tmp_path, broken):
    path = tmp_path / "stripes.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, height=600, width=600, dtype="float32", nodata=-1,
                       crs="EPSG:32631", transform=rasterio.Affine(10, 0, 0, 0, -10, 0)) as dst:  # fmt: skip
        dst.write(np.ones((1, 600, 600), "float32"))
        dst.units = ["K"]
    assert broken(check(path)) == {"COG-VALID", "EXPLORER-REC-01", "EXPLORER-REC-02"}


def test_two_quantities_in_one_file_interleaved_by_pixel(make_cog, tmp_path, broken):
    values = np.ones((2, 300, 300), "float32")
    path = make_cog(tmp_path / "two.tif", values, cog={"INTERLEAVE": "PIXEL"}, staged={"photometric": "MINISBLACK"})
    assert broken(check(path)) == {"COG-ONE-VARIABLE", "EXPLORER-REC-03"}


def test_a_picture_is_one_variable_without_unit_or_nodata(make_cog, tmp_path):
    values = np.ones((3, 300, 300), "uint8")
    given = {"units": None, "nodata": None, "staged": {"photometric": "RGB"}, "cog": {"INTERLEAVE": "BAND"}}
    assert check(make_cog(tmp_path / "rgb.tif", values, **given)) == ()


def test_an_integer_quantity_without_nodata_is_a_warning(make_cog, tmp_path):
    (finding,) = check(make_cog(tmp_path / "whole.tif", SMALL.astype("int16"), nodata=None))
    assert (finding.rule, finding.level.value) == ("COG-NODATA-INTEGER", "warning")


def test_classes_by_their_colour_table_need_no_unit_and_no_nodata(make_cog, tmp_path):
    path = make_cog(
        tmp_path / "classes.tif", SMALL.astype("uint8"), nodata=None, units=None, colormap={1: (0, 99, 0, 255)}
    )
    (finding,) = check(path)
    assert (finding.rule, finding.level.value) == ("COG-NODATA-CLASSES", "info")


def test_classes_that_only_the_item_describes(make_cog, tmp_path, broken):
    path = str(make_cog(tmp_path / "classes.tif", SMALL.astype("uint8"), units=None, nodata=0))
    assert broken(cog_findings(path, "classes.tif")) == {"COG-UNITS"}
    assert cog_findings(path, "classes.tif", classes=True) == []


def test_a_mask_stands_for_nodata(make_cog, tmp_path):
    values = np.ones((2, 300, 300), "uint8")
    path = make_cog(tmp_path / "alpha.tif", values, nodata=None, staged={"alpha": "yes"}, cog={"INTERLEAVE": "BAND"})
    assert check(path) == ()


def test_a_globe_from_0_to_360(make_cog, tmp_path, broken):
    values = np.ones((1, 180, 360), "float32")
    given = {"crs": "EPSG:4326", "cell": 1.0}
    assert broken(check(make_cog(tmp_path / "a.tif", values, corner=(0, 90), **given))) == {"COG-LONGITUDE"}
    assert check(make_cog(tmp_path / "b.tif", values, corner=(-180, 90), **given)) == ()


def test_a_grid_over_the_antimeridian_may_go_beyond_180(make_cog, tmp_path):
    assert check(make_cog(tmp_path / "fiji.tif", SMALL, crs="EPSG:4326", cell=0.01, corner=(178, -16))) == ()


def test_a_damaged_tile_in_the_middle_is_found_by_reading_everything(make_cog, tmp_path, broken):
    path = make_cog(tmp_path / "damaged.tif", cog={"BLOCKSIZE": "256"})
    raw = bytearray(path.read_bytes())
    with rasterio.open(path) as src:
        offset = int(src.get_tag_item("BLOCK_OFFSET_2_2", "TIFF", bidx=1))
    raw[offset + 8 : offset + 40] = bytes(32)
    path.write_bytes(raw)
    assert broken(check(path)) == set()
    assert "FORMAT-UNREADABLE" in broken(check(path, deep=True))


def test_what_only_looks_like_a_tiff(tmp_path, broken):
    path = tmp_path / "vrt.tif"
    path.write_text('<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>')
    assert broken(check(path)) == {"FORMAT-UNREADABLE"}


@pytest.mark.parametrize(
    ("size", "tile", "factors"),
    [((512, 512), 512, []), ((513, 10), 512, [2]), ((36000, 36000), 512, [2, 4, 8, 16, 32, 64, 128])],
)
def test_the_factors_down_to_one_tile(size, tile, factors):
    assert overview_factors(*size, tile) == factors
