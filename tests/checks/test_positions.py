"""Curvilinear cells, swaths, tracks and points of anybody's making, against what their Items say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import pytest
import xarray as xr

from earthcode_pack.checks import check
from earthcode_pack.checks.measured import measure_cube
from earthcode_pack.geo.box import crosses_antimeridian

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAT = {"standard_name": "latitude", "units": "degrees_north"}
LON = {"standard_name": "longitude", "units": "degrees_east"}
TIME = {"standard_name": "time", "units": "seconds since 2020-01-01", "calendar": "standard"}


def dataset(dims: tuple[str, ...], lon: Any, lat: Any, more: Any = None, **attrs: Any) -> xr.Dataset:
    """Values at places, and times along the first dimension."""
    lon, lat = np.asarray(lon, "f8"), np.asarray(lat, "f8")
    crs = pyproj.CRS("EPSG:4326").to_cf()
    about = {"units": "K", "grid_mapping": "crs", "coordinates": "lat lon stamp", "_FillValue": np.float32("nan")}
    return xr.Dataset(
        {
            "sst": (dims, np.zeros(lon.shape, "f4"), about),
            "lat": (dims, lat, LAT),
            "lon": (dims, lon, LON),
            "stamp": (dims[:1], np.arange(lon.shape[0], dtype="f8"), TIME),
            "crs": ((), np.int32(0), crs),
        }
        | (more or {}),
        attrs=attrs,
    )


def patch(west: float, south: float, shape: tuple[int, int] = (20, 30), turn: float = 30.0) -> Any:
    """Places of a turned patch of steps of half a degree, its middle at the middle of a box of 10 by 10."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] * 0.5
    rows, columns = rows - rows.mean(), columns - columns.mean()
    a = np.radians(turn)
    lon = west + 5 + columns * np.cos(a) - rows * np.sin(a)
    return (lon + 180) % 360 - 180, south + 5 + columns * np.sin(a) + rows * np.cos(a)


@pytest.fixture
def measured(tmp_path: Path) -> Callable[[xr.Dataset], Any]:
    def measure(data: xr.Dataset) -> Any:
        data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        return measure_cube(tmp_path / "a.nc")

    return measure


@pytest.mark.parametrize("west", [10.0, 175.0, -185.0])
def test_cells_are_measured_half_a_step_beyond_their_centres(measured: Any, west: float) -> None:
    lon, lat = patch(west, 0)
    data = measured(dataset(("y", "x"), lon, lat))
    # a row of 30 and a column of 20 half degrees, turned by 30 degrees
    height, width = 15 * np.sin(np.radians(30)) + 10 * np.cos(np.radians(30)), 15 * np.cos(np.radians(30)) + 5
    middle = (west + 5 + 180) % 360 - 180
    expected = [middle - width / 2, 5 - height / 2, middle + width / 2, 5 + height / 2]
    expected[0::2] = [(side + 180) % 360 - 180 for side in expected[0::2]]
    assert data.lonlat == pytest.approx(expected, abs=0.02)
    assert data.shape == (20, 30)
    assert data.doubt[1] == pytest.approx(0.25, rel=0.02)
    assert data.times == (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, 0, 0, 19, tzinfo=UTC))


def test_vertices_leave_no_doubt(measured: Any) -> None:
    rows, columns = np.mgrid[:4, :5] * 1.0
    corners = {
        "lat_bnds": (("y", "x", "nv"), rows[..., None] + 0.2 * np.array([-1, -1, 1, 1])),
        "lon_bnds": (("y", "x", "nv"), columns[..., None] + 0.2 * np.array([-1, 1, 1, -1])),
    }
    data = dataset(("y", "x"), columns, rows, corners)
    for name in ("lat", "lon"):
        data[name].attrs["bounds"] = f"{name}_bnds"
    found = measured(data)
    assert found.lonlat == pytest.approx((-0.2, -0.2, 4.2, 3.2))
    assert found.doubt == (0, 0)


def test_numbers_of_rows_are_no_place(measured: Any) -> None:
    lon, lat = patch(10, 0)
    data = dataset(("y", "x"), lon, lat).assign_coords(y=np.arange(20), x=np.arange(30))
    assert measured(data).lonlat[0] > 5


def test_missing_places_do_not_count(measured: Any) -> None:
    lon, lat = patch(10, 0)
    whole = measured(dataset(("y", "x"), lon, lat)).lonlat
    lat[:5] = -999
    data = dataset(("y", "x"), lon, lat)
    data["lat"].attrs["_FillValue"] = -999.0
    part = measured(data).lonlat
    assert part[1] > whole[1] + 1
    assert part[3] == pytest.approx(whole[3])


@pytest.mark.parametrize("units", ["radian", "arcminute"])
def test_places_in_other_angles(measured: Any, units: str) -> None:
    lon, lat = patch(10, 0)
    true = measured(dataset(("y", "x"), lon, lat)).lonlat
    size = {"radian": np.pi / 180, "arcminute": 60.0}[units]
    data = dataset(("y", "x"), lon * size, lat * size)
    for name in ("lat", "lon"):
        data[name].attrs["units"] = units
    assert measured(data).lonlat == pytest.approx(true)


@pytest.mark.parametrize("feature", [None, "trajectory", "point"])
def test_places_along_one_dimension(measured: Any, feature: str | None) -> None:
    attrs = {"featureType": feature} if feature else {}
    data = measured(dataset(("obs",), [179.0, -179, -178], [1.0, 2, 3], **attrs))
    assert data.lonlat == (179, 1, -178, 3)
    assert data.shape is None


# --- an Item and its swath --------------------------------------------------------------------------------------------


def write_item(folder: Path, data: xr.Dataset, box: list[float], **properties: Any) -> Path:
    data.to_netcdf(folder / "a.nc", engine="h5netcdf")
    item = {
        "type": "Feature", "stac_version": "1.1.0", "stac_extensions": [], "id": "a", "bbox": box,
        "geometry": {"type": "Point", "coordinates": box[:2]},
        "properties": {
            "datetime": "2020-01-01T00:00:00Z", "start_datetime": "2020-01-01T00:00:00Z",
            "end_datetime": "2020-01-01T01:00:00Z", **properties,
        },
        "links": [], "assets": {"data": {"href": "a.nc", "type": "application/netcdf", "roles": ["data"]}},
    }  # fmt: skip
    (folder / "a.json").write_text(json.dumps(item))
    return folder / "a.json"


def facts(path: Path) -> set[str]:
    return {finding.rule for finding in check(path) if finding.rule.startswith("FACT")}


SWATH = patch(175, 0)
TRUE = [170.991, -3.08, -170.991, 13.08]  # measured by the formula above


@pytest.mark.parametrize(
    ("box", "rules"),
    [
        (TRUE, set()),
        ([171.2, -2.9, -171.2, 12.9], set()),  # of the centres: where a cell ends is not stated
        ([170.9, -3.2, -170.9, 13.2], set()),
        ([-180, -3.08, 180, 13.08], {"FACT-EXTENT"}),  # the needless globe
        ([-170.991, -3.08, 170.991, 13.08], {"FACT-EXTENT"}),  # the other way round
        ([172.5, -3.08, -170.991, 13.08], {"FACT-EXTENT"}),
        ([0, 0, 20, 30], {"FACT-EXTENT"}),  # of the array
    ],
)
def test_the_bbox_of_a_swath_across_the_antimeridian(tmp_path: Path, box: list[float], rules: set[str]) -> None:
    assert facts(write_item(tmp_path, dataset(("y", "x"), *SWATH), box)) == rules


def test_the_shape_and_the_times_of_a_swath(tmp_path: Path) -> None:
    data = dataset(("y", "x"), *SWATH)
    assert facts(write_item(tmp_path, data, TRUE, **{"proj:shape": [30, 20]})) == {"FACT-SHAPE"}
    late = {"start_datetime": "2020-01-01T00:00:05Z", "datetime": "2020-01-01T00:00:05Z"}
    assert facts(write_item(tmp_path, data, TRUE, **late)) == {"FACT-TIME"}


def test_a_forecast_lasts_while_its_steps_are_valid(tmp_path: Path) -> None:
    """One run at 00:00 whose steps are valid from 00:10 to 00:30; the Item lasts from the first to the last of them."""
    data = dataset(("y", "x"), *SWATH).drop_vars("stamp")
    reference = {"standard_name": "forecast_reference_time", "units": "hours since 2020-01-01", "calendar": "standard"}
    lead = {"standard_name": "forecast_period", "units": "minutes"}
    data = data.expand_dims(time=1, step=3, axis=(0, 1)).assign_coords(
        time=("time", [0], reference), step=("step", [10, 20, 30], lead)
    )
    data["lat"], data["lon"], data["crs"] = data["lat"][0, 0], data["lon"][0, 0], data["crs"][0, 0]
    data["sst"].attrs["coordinates"] = "lat lon"
    ends = {"start_datetime": "2020-01-01T00:10:00Z", "end_datetime": "2020-01-01T00:30:00Z"}
    assert facts(write_item(tmp_path, data, TRUE, **ends)) == set()
    ends["end_datetime"] = "2020-01-01T00:20:00Z"
    assert facts(write_item(tmp_path, data, TRUE, **ends)) == {"FACT-TIME"}


@pytest.mark.parametrize(
    ("box", "rules"),
    [
        ([5, 1, 7, 3], set()),
        ([4.99, 0.99, 7.01, 3.01], set()),
        ([-180, -90, 180, 90], {"FACT-EXTENT"}),
        ([5, 1, 6, 3], {"FACT-EXTENT"}),
    ],
)
def test_the_bbox_of_a_track(tmp_path: Path, box: list[float], rules: set[str]) -> None:
    assert facts(write_item(tmp_path, dataset(("obs",), [5.0, 6, 7], [1.0, 2, 3]), box)) == rules


@pytest.mark.parametrize(
    ("geometry", "uncut"),
    [
        ({"type": "LineString", "coordinates": [[179, 0], [-179, 1]]}, True),
        ({"type": "MultiLineString", "coordinates": [[[179, 0], [180, 0.5]], [[-180, 0.5], [-179, 1]]]}, False),
        ({"type": "MultiPoint", "coordinates": [[179, 0], [-179, 1]]}, False),
        ({"type": "Point", "coordinates": [179, 0]}, False),
    ],
)
def test_lines_are_cut_as_rings_are(geometry: dict[str, Any], uncut: bool) -> None:
    assert crosses_antimeridian(geometry) is uncut
