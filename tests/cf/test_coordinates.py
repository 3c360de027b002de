"""Coordinates and kinds of values by their attributes alone, beside what netCDF4-python makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

from earthcode_pack.cf.axes import axis_of, data_variables
from earthcode_pack.cf.kinds import is_circular
from earthcode_pack.cf.missing import unpacked
from earthcode_pack.cf.times import ends_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("stored", "attrs"),
    [
        (np.array([1, 2, -9999], "i2"), {"_FillValue": np.int16(-9999), "scale_factor": 0.5, "add_offset": 10.0}),
        (np.array([1, 998, 999], "i2"), {"missing_value": np.array([998, 999], "i2")}),
        (np.array([-1, 1, 0], "i1"), {"_Unsigned": "true", "_FillValue": np.int8(0)}),
        (np.array([1, 2, 9.969209968386869e36], "f4"), {}),  # a value that was never written
        (np.array([1, np.nan, 3], ">f8"), {}),
        (np.array([1, 2, 3], ">i4"), {"scale_factor": np.float32(0.1)}),
    ],
)
def test_coordinates_are_what_netcdf4_makes_of_them(tmp_path: Path, stored: Any, attrs: dict[str, Any]) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", stored.size)
        fill = attrs.get("_FillValue", False)
        made = file.createVariable("x", stored.dtype.newbyteorder("="), ("x",), fill_value=fill)
        made.setncatts({key: value for key, value in attrs.items() if key != "_FillValue"})
        made.set_auto_maskandscale(False)
        made[:] = stored
        made.set_auto_maskandscale(True)
        theirs = np.ma.masked_invalid(made[:]).astype("f8").filled(np.nan)
    assert np.allclose(unpacked(xr.Variable("x", stored, attrs)), theirs, rtol=1e-7, equal_nan=True)


def test_a_valid_range_hides_no_longitude() -> None:
    lon = xr.Variable("x", np.array([0.0, 190.0]), {"valid_range": np.array([-180.0, 180.0])})
    assert unpacked(lon).tolist() == [0.0, 190.0]


@pytest.mark.parametrize("units", ["degree", "deg", "degrees_true", "degree true", "radian", "arcminute", "Degrees T"])
def test_directions_in_any_unit_of_angle_go_round(units: str) -> None:
    assert is_circular("wdir", {"standard_name": "wind_from_direction"}, units)


@pytest.mark.parametrize("units", ["m s-1", "1", "%", "K", "degC"])
def test_what_is_in_no_angle_does_not_go_round(units: str) -> None:
    assert not is_circular("direction", {}, units)


@pytest.mark.parametrize("units", ["km", "Mm", "feet", "mrad", "arc_minute"])
def test_lengths_and_angles_of_any_unit_make_a_map(units: str) -> None:
    axes = {name: (name, np.arange(3.0), {"axis": name.upper(), "units": units}) for name in "yx"}
    held = xr.Dataset({"sst": (("y", "x"), np.zeros((3, 3))), "lat": (("y", "x"), np.zeros((3, 3)))}, axes)
    assert data_variables(held) == ["sst", "lat"]  # on its axes, not at the places of a bare name


@pytest.mark.parametrize("kind", ["x", "y"])
def test_scan_angles_are_axes_by_their_standard_name(kind: str) -> None:
    attrs = {"standard_name": f"projection_{kind}_angular_coordinate", "units": "rad"}
    assert axis_of(xr.Dataset(coords={"scan": ("scan", np.arange(3.0), attrs)}), "scan") == kind


def test_a_model_calendar_ends_at_its_own_last_day() -> None:
    attrs = {"standard_name": "time", "units": "days since 2001-02-28", "calendar": "360_day"}
    held = xr.Dataset(coords={"time": ("time", np.array([0.5, 2.5, 3.5]), attrs)})
    assert [moment.isoformat() for moment in ends_of(held, "time")] == [
        "2001-02-28T12:00:00+00:00", "2001-03-01T12:00:00+00:00",
    ]  # fmt: skip
