"""A starter profile says what the files say, decides nothing, and loads once a person has decided."""

import re
from pathlib import Path

import numpy as np
import pyproj
import pytest

from earthcode_pack.errors import ProfileError, Unreadable, UserError
from earthcode_pack.profile import load_profile
from earthcode_pack.starter import DECIDE, starter_profile
from earthcode_pack.starter.names import guessed_pattern

ANSWERS = {
    "id": "demo",
    "title": "DEMO Something",
    "description": "Something measured.",
    "license": "CC-BY-4.0",
    "status": "ongoing",
    "version": '"2.0"',
}


def fill(text: str) -> str:
    """What a person does: every blank with an answer, every commented suggestion taken."""
    for key, answer in ANSWERS.items():
        text = re.sub(rf"^(\s+)# {key}: .*", rf"\1{key}: {answer}", text, flags=re.MULTILINE)
    text = text.replace("project:\n  id: #", "project:\n  id: demo-project #")
    return re.sub(r"^  # (time|crs): ", r"  \1: ", text, flags=re.MULTILINE)


def load(text: str, folder: Path):
    path = folder / "profile.yaml"
    path.write_text(text)
    return load_profile(path)


def write_tiff(path: Path, *, crs: str | None = "EPSG:32631", bands: int = 1) -> Path:
    import rasterio
    from affine import Affine

    path.parent.mkdir(exist_ok=True)
    options = {"width": 4, "height": 3, "count": bands, "dtype": "int16", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, **options) as dataset:
        dataset.write(np.ones((bands, 3, 4), "int16"))
    return path


def write_cube(path: Path, **attributes: str) -> Path:
    import netCDF4

    path.parent.mkdir(exist_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", 2), ("lat", 3), ("lon", 4)):
            file.createDimension(name, size)
        axes = {"time": ("days since 2020-01-01", [0, 1]), "lat": ("degrees_north", [1, 2, 3])}
        axes["lon"] = ("degrees_east", [1, 2, 3, 4])
        for name, (units, values) in axes.items():
            axis = file.createVariable(name, "f8", (name,))
            axis.setncatts({"units": units, "standard_name": {"lat": "latitude", "lon": "longitude"}.get(name, name)})
            axis[:] = values
        mapping = file.createVariable("crs", "i4")
        mapping.setncatts({"grid_mapping_name": "latitude_longitude", "crs_wkt": pyproj.CRS(4326).to_wkt()})
        values = file.createVariable("sst", "f4", ("time", "lat", "lon"), fill_value=-9.0)
        values.setncatts({"units": "K", "grid_mapping": "crs", "long_name": "surface: hot\n# and {cold}"})
        values[:] = 280
        file.setncatts(attributes)
    return path


def test_scenes_with_dates_in_their_names(tmp_path):
    for name in ("ndvi_T31_20200615.tif", "ndvi_T32_20200725.tif"):
        write_tiff(tmp_path / "raw" / name)
    text = starter_profile([str(tmp_path / "raw" / "*.tif")], tmp_path)
    profile = load(fill(text), tmp_path)
    assert profile.source.href == [str(tmp_path / "raw" / "*.tif")]
    assert profile.source.time.pattern == "ndvi_*_{start:%Y%m%d}.tif"
    assert profile.source.crs is None
    assert "WGS 84 / UTM zone 31N" in text
    assert profile.target.format == "cog"
    assert {name: spec.from_ for name, spec in profile.product.variables.items()} == {"ndvi": 1}


def test_nothing_is_decided_for_a_person(tmp_path):
    text = starter_profile([str(write_tiff(tmp_path / "raw" / "ndvi_20200615.tif", crs=None))], tmp_path)
    with pytest.raises(ProfileError) as caught:
        load(text, tmp_path)
    for key in (*(f"product.{key}" for key in ANSWERS), "source.time"):
        assert f"{key}: missing" in caught.value.message
    assert "project.id: is empty" in caught.value.message
    assert re.search(rf"^  # crs: .*{DECIDE} the files state none", text, re.MULTILINE)


def test_files_without_a_date_or_a_crs(tmp_path):
    text = starter_profile([str(write_tiff(tmp_path / "raw" / "map.tif", crs=None))], tmp_path)
    assert "  # time: {start: 2020-01-01, end: 2020-12-31}" in text
    profile = load(fill(text), tmp_path)
    assert profile.source.crs is not None
    assert profile.source.time.from_ is None


def test_a_cube_with_times_of_its_own(tmp_path):
    cube = write_cube(tmp_path / "raw" / "sst.nc", title="A title", license="CC0-1.0", institution="Some: place # 1")
    text = starter_profile([str(cube)], tmp_path)
    assert '# title: "A title"' in text
    assert "2020-01-01T00:00:00Z to 2020-01-02T00:00:00Z" in text
    assert "float32, time=2 lat=3 lon=4, units K, nodata -9.0" in text
    profile = load(fill(text), tmp_path)
    assert profile.source.time.from_ == "coordinate"
    assert profile.target.format == "zarr"
    assert profile.product.institution == "Some: place # 1"
    assert list(profile.product.variables) == ["sst"]


def test_what_a_file_says_cannot_leave_its_comment(tmp_path):
    hostile = "x\nstore: {href: /elsewhere}\n\u2028catalog: {metadata: /}\r\ncompute: {cluster_class: os.system}"
    text = starter_profile([str(write_cube(tmp_path / "raw" / "a.nc", title=hostile, references=hostile))], tmp_path)
    profile = load(fill(text), tmp_path)
    assert (profile.store, profile.catalog, profile.compute.cluster_class) == (None, None, None)


def test_bands_each_become_a_variable(tmp_path):
    text = starter_profile([str(write_tiff(tmp_path / "raw" / "refl.tif", bands=2))], tmp_path)
    profile = load(fill(text), tmp_path)
    assert {name: spec.from_ for name, spec in profile.product.variables.items()} == {"refl_1": 1, "refl_2": 2}


def test_a_glob_that_the_shell_took_apart_is_put_together(tmp_path):
    files = [str(write_tiff(tmp_path / "raw" / f"a_{year}.tif")) for year in (2019, 2020, 2021)]
    assert "href: raw/*.tif" in starter_profile(files, tmp_path).replace('"', "")
    some = load(fill(starter_profile(files[:2], tmp_path)), tmp_path)
    assert some.source.href == files[:2]


def test_a_broken_file_is_named_and_the_others_are_described(tmp_path):
    write_tiff(tmp_path / "raw" / "a_2020.tif")
    (tmp_path / "raw" / "b_2020.tif").write_bytes(b"not a picture")
    text = starter_profile([str(tmp_path / "raw" / "*.tif")], tmp_path)
    assert re.search(r"^# could not be used: b_2020\.tif", text, re.MULTILINE)
    assert load(fill(text), tmp_path).target.format == "cog"


def test_dates_in_the_names_of_folders(tmp_path):
    for day in ("2020/01", "2020/02"):
        (tmp_path / "raw" / day).mkdir(parents=True)
        write_tiff(tmp_path / "raw" / day / "ndvi_05.tif")
    text = starter_profile([str(tmp_path / "raw" / "*" / "*" / "*.tif")], tmp_path)
    assert "the name 2020/01/ndvi_05.tif says 2020-01-05T00:00:00Z to 2020-01-05T23:59:59Z" in text
    assert load(fill(text), tmp_path).source.time.pattern == "{start:%Y}/{start:%m}/ndvi_{start:%d}.tif"


def test_files_that_cannot_be_used_at_all(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"not a picture")
    with pytest.raises(Unreadable, match=r"a\.tif"):
        starter_profile([str(tmp_path / "a.tif")], tmp_path)
    with pytest.raises(UserError, match="no file matches"):
        starter_profile([str(tmp_path / "*.nc")], tmp_path)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["a_20200101.tif", "b_20200102.tif"], "*_{start:%Y%m%d}.tif"),
        (["x_20200101T120000_T31.tif", "x_20200102T120000_T32.tif"], "x_{start:%Y%m%dT%H%M%S}_*.tif"),
        (["x_2020-01.nc", "x_2020-02.nc"], "x_{start:%Y-%m}.nc"),
        (["x_2020.nc"], "x_{start:%Y}.nc"),
        (["map_20200101-20201231.tif"], "map_{start:%Y%m%d}-{end:%Y%m%d}.tif"),
        (["map_20201231-20200101.tif"], None),  # it would end before it starts
        (["a_20200101.tif", "a.tif"], None),  # one has no date
        (["a_20201301.tif"], None),  # no month 13, and no year of four digits either
        (["tile_123456789.tif"], None),  # a number, not a date
        (["S2A_MSIL2A_20240601T103031_N0510_R108_T32ULB_20240601T163200.tif"],
         "S2A_MSIL2A_{start:%Y%m%dT%H%M%S}_N0510_R108_T32ULB_*.tif"),
        (["S2A_MSIL2A_20240601T103031_N0510_R108_T32ULB_20240601T163200.tif",
          "S2B_MSIL2A_20240604T103029_N0511_R008_T31UFS_20240605T001122.tif"],
         "*_MSIL2A_{start:%Y%m%dT%H%M%S}_*_*.tif"),
        (["S1A_IW_GRDH_1SDV_20240601T050000_20240601T050025_054_06.tif"],
         "S1A_IW_GRDH_1SDV_{start:%Y%m%dT%H%M%S}_{end:%Y%m%dT%H%M%S}_054_06.tif"),
        (["S3A_SL_2_LST____20240601T100000_20240601T100300_20240602T170000_0179.nc"],
         "S3A_SL_2_LST____{start:%Y%m%dT%H%M%S}_{end:%Y%m%dT%H%M%S}_*_0179.nc"),
        (["LC08_L2SP_193025_20200615_20200824_02_T1_SR_B4.TIF"], "LC08_L2SP_193025_{start:%Y%m%d}_*_02_T1_SR_B4.TIF"),
        (["MOD13Q1.A2020001.h18v04.tif", "MOD13Q1.A2020017.h18v04.tif"], "MOD13Q1.A{start:%Y%j}.h18v04.tif"),
        (["from_20200101_to_20201231.nc"], "from_{start:%Y%m%d}_to_{end:%Y%m%d}.nc"),
        (["raw/2020/01/05/a.nc", "raw/2020/01/06/b.nc"], "{start:%Y}/{start:%m}/{start:%d}/*.nc"),
        (["raw/2020/01/sst_05.nc", "raw/2020/02/sst_06.nc"], "{start:%Y}/{start:%m}/sst_{start:%d}.nc"),
        (["raw/2020/01/05.nc"], "{start:%Y}/{start:%m}/{start:%d}.nc"),
        (["s3://b/2020/sst_0105.nc", "s3://b/2021/sst_0106.nc"], "{start:%Y}/sst_{start:%m%d}.nc"),
        (["raw/2020/005/a.nc"], "{start:%Y}/{start:%j}/a.nc"),
        (["raw/20200105/a.nc", "raw/20200106/a.nc"], "{start:%Y%m%d}/a.nc"),
        (["raw/2020/a.nc", "raw/2021/a.nc"], "{start:%Y}/a.nc"),
        (["raw/2020-01/a_20200105.nc"], "a_{start:%Y%m%d}.nc"),
        (["raw/x/a.nc"], None),
    ],
)  # fmt: skip
def test_a_pattern_is_guessed_where_all_names_fit_it(names, pattern):
    assert guessed_pattern(names) == pattern
