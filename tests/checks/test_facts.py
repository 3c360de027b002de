from datetime import UTC, datetime

import numpy as np
import pyproj
import pytest
import rasterio

from earthcode_pack.checks import check
from earthcode_pack.checks.facts import same_crs
from earthcode_pack.checks.measured import measure_cog, measure_cube, valid_box
from earthcode_pack.errors import Unreadable
from earthcode_pack.geo.extent import Frame, lonlat_box


@pytest.mark.parametrize(
    ("rule", "path", "value"),
    [
        ("FACT-SHAPE", ("properties", "proj:shape"), [1000, 1100]),
        ("FACT-PROJ-BBOX", ("properties", "proj:bbox"), [500005, 4589005, 509995, 4599995]),
        ("FACT-CRS", ("properties", "proj:code"), "EPSG:32632"),
        ("FACT-TRANSFORM", ("properties", "proj:transform"), [10, 0, 500005, 0, -10, 4599995]),
        (
            "FACT-BANDS",
            ("assets", "sst", "bands"),
            [{"name": n, "data_type": "float32", "nodata": -9999} for n in "ab"],
        ),
        ("FACT-DATA-TYPE", ("assets", "sst", "bands", 0, "data_type"), "int16"),
        ("FACT-NODATA", ("assets", "sst", "bands", 0, "nodata"), 0),
        ("FACT-SCALE", ("assets", "sst", "bands", 0, "raster:scale"), 0.01),
        ("FACT-UNIT", ("assets", "sst", "bands", 0, "unit"), "degC"),
        ("FACT-RESOLUTION", ("assets", "sst", "raster:spatial_resolution"), 0.0001),
        ("FACT-MEDIA-TYPE", ("assets", "sst", "type"), "application/netcdf"),
    ],
)
def test_one_fact_of_a_cog_wrong_is_the_one_finding(product, broken, rule, path, value):
    target = product.item
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    assert broken(check(product.save().root)) == {rule}


def test_a_scale_that_only_the_file_states(product, make_cog, broken):
    make_cog(product.root / "data/demo_20200101/demo_20200101_sst.tif", scale=0.5)
    assert broken(check(product.seal().root)) == {"FACT-SCALE"}
    product.asset["bands"][0]["raster:scale"] = 0.5
    assert check(product.save().root) == ()


@pytest.mark.parametrize(
    "by", [(-5, -5, 5, 5), (0.0005, 0, 0, 0), (0, 0, 0, -0.0005)], ids=["far too large", "a bit west", "a bit north"]
)
def test_a_bbox_that_is_not_the_datas(product, broken, by):
    for item in product.items.values():
        item["bbox"] = [a + b for a, b in zip(item["bbox"], by, strict=True)]
        item["geometry"] = {"type": "Point", "coordinates": [3.05, 41.5]}
    product.collection["extent"]["spatial"]["bbox"] = [product.item["bbox"]]
    assert broken(check(product.save().root)) == {"FACT-EXTENT"}


def test_a_footprint_of_the_valid_cells_may_be_smaller_than_the_grid(product, make_cog, broken):
    values = np.full((1, 1100, 1000), -9999, "float32")
    values[:, 300:600, 200:500] = 1
    corners = pyproj.Transformer.from_crs("EPSG:32631", "OGC:CRS84", always_xy=True)
    box = list(corners.transform_bounds(502000, 4594000, 505000, 4597000))
    for name, item in product.items.items():
        make_cog(product.root / "data" / name / f"{name}_sst.tif", values)
        item["bbox"], item["geometry"] = box, {"type": "Point", "coordinates": [3.04, 41.52]}
    product.collection["extent"]["spatial"]["bbox"] = [box]
    assert check(product.seal().root) == ()
    values[:, 1000:, :] = 1
    make_cog(product.root / "data/demo_20200101/demo_20200101_sst.tif", values)
    assert broken(check(product.seal().root)) == {"FACT-EXTENT"}


def test_valid_cells_are_found_to_a_cell_of_the_mask(make_cog, tmp_path):
    values = np.full((1, 1100, 1000), -9999, "float32")
    path = make_cog(tmp_path / "none.tif", values)
    assert valid_box(path) is None


# --- CRS and boxes


def box_of(crs, bounds):
    return lonlat_box(Frame.of_bounds(pyproj.CRS.from_user_input(crs).to_wkt(), bounds))


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("EPSG:4326", "OGC:CRS84", True),
        ("EPSG:4326", "EPSG:4258", False),
        ("EPSG:32631", "EPSG:32632", False),
        ("EPSG:32631", "+proj=utm +zone=31 +datum=WGS84 +units=m +no_defs", True),
        (
            "+proj=sinu +R=6371007.181 +units=m",
            "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs",
            True,
        ),
        ("+proj=sinu +R=6371007.181", "+proj=sinu +R=6378137", False),
    ],
)
@pytest.mark.filterwarnings("ignore:You will likely lose")
def test_the_same_crs_by_other_names(a, b, same):
    assert same_crs(pyproj.CRS(a), pyproj.CRS(b)) is same


@pytest.mark.parametrize(
    ("crs", "bounds", "box"),
    [
        ("EPSG:4326", (0, -90, 360, 90), (-180, -90, 180, 90)),
        ("EPSG:4326", (-0.125, -90.125, 359.875, 90.125), (-180, -90, 180, 90)),
        ("EPSG:4326", (170, -5, 190, 5), (170, -5, -170, 5)),
        ("EPSG:4326", (180, -5, 190, 5), (-180, -5, -170, 5)),
        ("EPSG:3413", (-1e6, -1e6, 1e6, 1e6), (-180, None, 180, 90)),
        ("EPSG:32601", (166021, 0, 833978, 1000000), (179.96, 0, -173.96, None)),
        ("EPSG:3857", (-20037508.34, -20037508.34, 20037508.34, 20037508.34), (-180, -85.05, 180, 85.05)),
        ("EPSG:6933", (-17367530.44, -7314540.83, 17367530.44, 7314540.83), (-180, -85.04, 180, 85.04)),
        ("EPSG:3832", (2800000, -1e6, 3500000, 1e6), (175.15, None, -178.56, None)),
    ],
)
def test_boxes_of_grids_whose_place_is_known(crs, bounds, box):
    found = box_of(crs, bounds)
    for side, expected in zip(found, box, strict=True):
        assert expected is None or side == pytest.approx(expected, abs=0.05)


def test_edges_bulge_between_the_corners():
    crs = pyproj.CRS("EPSG:3035")
    bounds = (2500000, 1500000, 6500000, 5500000)
    corners = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(
        *zip(*[(x, y) for x in bounds[::2] for y in bounds[1::2]], strict=True)
    )
    box = box_of(crs, bounds)
    reference = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform_bounds(*bounds, densify_pts=200)
    assert box == pytest.approx(reference, abs=1e-3)
    assert box[1] < min(corners[1]) - 0.1 or box[3] > max(corners[1]) + 0.1


def test_a_sinusoidal_globe_whose_corners_leave_the_earth():
    half = np.pi * 6371007.181
    assert box_of("+proj=sinu +R=6371007.181", (-half, -half / 2, half, half / 2)) == pytest.approx(
        (-180, -90, 180, 90), abs=1e-4
    )


def test_what_is_nowhere_on_earth_has_no_box():
    with pytest.raises(Unreadable, match="on the Earth"):
        box_of("+proj=sinu +R=6371007.181", (1e8, 1e8, 2e8, 2e8))


def test_a_cog_is_measured_by_its_edges(make_cog, tmp_path):
    data = measure_cog(make_cog(tmp_path / "a.tif"))
    assert (data.shape, data.bounds, data.cell) == ((1100, 1000), (500000, 4589000, 510000, 4600000), (10, 10))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_sheared_grid_has_the_box_of_its_corners(make_cog, tmp_path):
    turned = rasterio.Affine(0, -1, 100, 1, 0, 200)
    data = measure_cog(make_cog(tmp_path / "a.tif", np.ones((1, 20, 10), "f4"), transform=turned))
    assert data.bounds == pytest.approx((80, 200, 100, 210))
    assert data.cell == pytest.approx((1, 1))


def test_a_cube_is_measured_half_a_step_beyond_its_centres(cube, write_zarr):
    data = measure_cube(write_zarr(cube))
    assert (data.shape, data.bounds, data.lonlat) == ((8, 10), (10, 0, 20, 8), (10, 0, 20, 8))
    assert data.times == (datetime(2020, 1, 1, 12, tzinfo=UTC), datetime(2020, 1, 3, 12, tzinfo=UTC))


def test_cell_bounds_come_before_half_steps(cube, write_netcdf):
    cube["lat_bnds"] = (("lat", "bnds"), np.stack([cube["lat"] - 0.25, cube["lat"] + 0.25], 1))
    cube["lat"].attrs["bounds"] = "lat_bnds"
    assert measure_cube(write_netcdf(cube)).bounds == (10, 0.25, 20, 7.75)


def test_the_30th_of_february_is_the_last_day_of_its_month(cube, write_netcdf):
    cube["time"].attrs |= {"calendar": "360_day", "units": "days since 2001-02-28"}
    assert measure_cube(write_netcdf(cube)).times == (datetime(2001, 2, 28, 12, tzinfo=UTC),) * 2


def test_days_of_the_julian_calendar_are_those_of_the_gregorian_one(cube, write_netcdf):
    cube["time"].attrs |= {"calendar": "julian", "units": "days since 2020-01-01"}  # Gregorian 2020-01-14
    first = measure_cube(write_netcdf(cube)).times[0]
    assert (first.year, first.month) == (2020, 1)
    assert first.day == 14 + int(cube["time"].values[0])


def test_axes_in_other_angles_lie_where_those_in_degrees_do(cube, write_netcdf):
    for name in ("lat", "lon"):
        cube[name] = (name, np.radians(cube[name].values), cube[name].attrs | {"units": "radian"})
    data = measure_cube(write_netcdf(cube))
    assert data.lonlat == pytest.approx((10, 0, 20, 8))


def test_times_as_text_leave_the_grid_measured(cube, write_netcdf):
    cube = cube.drop_vars("time_bnds")
    cube["time"] = ("time", np.array(["2020-01-01", "2020-01-02", "2020-01-03"], object), {"standard_name": "time"})
    data = measure_cube(write_netcdf(cube))
    assert (data.shape, data.times) == ((8, 10), None)


def test_a_bare_number_as_units_is_no_angle(cube, write_netcdf):
    cube["lat"].attrs["units"] = "1"
    assert measure_cube(write_netcdf(cube)).lonlat == pytest.approx((10, 0, 20, 8))


def test_data_without_a_crs_cannot_be_held_against_a_bbox(product, make_cog, broken):
    make_cog(product.root / "data/demo_20200101/demo_20200101_sst.tif", crs=None)
    assert broken(check(product.seal().root)) == {"COG-CRS", "FACT-CRS", "FACT-EXTENT-UNKNOWN"}
