"""What means missing, in every way that files say it; netCDF4-python and GDAL judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import pytest
import rasterio
from builders import make_nc, opened, planned, profile_of, run
from examples import spread

from earthcode_pack.cf.missing import valid_range

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.model import Statistics

SHAPE = (1, 3, 4)
DEFAULT = {"i2": -32767, "i4": -2147483647, "f4": np.float32(9.969209968386869e36), "f8": 9.969209968386869e36}


def stored(dtype: str, **odd: Any) -> np.ndarray:
    """Values 1 to 12 of a type; keywords ``c0``, ``c1``, … put others at the front."""
    values = np.arange(1, 13).astype(dtype).reshape(SHAPE)
    for place, value in odd.items():
        values.reshape(-1)[int(place[1:])] = value
    return values


def by_netcdf4(path: Path, name: str = "sst") -> np.ma.MaskedArray:
    with netCDF4.Dataset(path) as file:
        return np.ma.masked_invalid(np.ma.asarray(file[name][:]).astype("f8"))


def agrees(found: Statistics | None, expected: np.ma.MaskedArray) -> bool:
    assert found is not None
    ends = (found.minimum, found.maximum, found.mean, found.count)
    wanted = (expected.min(), expected.max(), expected.mean(), expected.count())
    return bool(np.allclose(ends, wanted, rtol=1e-6))


SAID: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "_FillValue": ("i2", {"_FillValue": np.int16(-9)}, {"c0": -9}),
    "missing_value alone": ("f4", {"missing_value": np.float32(-8888)}, {"c3": -8888}),
    "missing_value of double over float": ("f4", {"missing_value": -9999.5}, {"c3": -9999.5}),
    "missing_value beside _FillValue": (
        "f4", {"_FillValue": np.float32(-9999), "missing_value": np.float32(-8888)}, {"c0": -9999, "c1": -8888},
    ),
    "several missing_value": (
        "i2", {"_FillValue": np.int16(-9), "missing_value": np.array([-8, -7], "i2")}, {"c0": -9, "c1": -8, "c2": -7},
    ),
    "NaN beside missing_value": ("f8", {"missing_value": -1.0}, {"c0": np.nan, "c1": -1}),
    "valid_range": ("i2", {"valid_range": np.array([2, 11], "i2")}, {"c5": 500, "c6": -500}),
    "valid_min and valid_max": ("f4", {"valid_min": np.float32(2), "valid_max": np.float32(11)}, {"c5": 500}),
    "valid_max alone, packed": ("i2", {"valid_max": np.int16(11), "scale_factor": 0.5, "add_offset": 3.0}, {"c5": 99}),
    "unsigned bytes with a fill": ("i1", {"_Unsigned": "true", "_FillValue": np.int8(-1)}, {"c0": -1, "c1": -128}),
    "cells that were never written, i2": ("i2", {}, {"c0": DEFAULT["i2"]}),
    "cells that were never written, f4": ("f4", {}, {"c0": DEFAULT["f4"]}),
    "cells that were never written, f8": ("f8", {"units": "1"}, {"c0": DEFAULT["f8"]}),
}  # fmt: skip


@pytest.mark.parametrize(("case", "fmt"), spread(SAID, ["zarr", "netcdf", "cog"]))
def test_statistics_are_of_what_netcdf4_calls_valid(tmp_path: Path, case: str, fmt: str) -> None:
    dtype, attrs, odd = SAID[case]
    source = make_nc(tmp_path / "a.nc", stored(dtype, **odd), dict(attrs))
    made = run(profile_of(source, fmt), tmp_path / "out")
    assert agrees(made.one.variables[0].statistics, by_netcdf4(source)), made.one.variables[0].statistics


BEYOND_NETCDF4: dict[str, tuple[str, dict[str, Any], dict[str, Any], int]] = {
    "range of unsigned bytes": (
        "i1", {"_Unsigned": "true", "valid_range": np.array([2, -6], "i1")}, {"c0": -6, "c1": -1}, 11,
    ),
    "a byte of -127": ("i1", {}, {"c0": -127}, 12),  # NUG: bytes have no default fill value
    "a double that float32 holds as another": ("f4", {"missing_value": -9999.9}, {"c0": -9999.9}, 11),
}  # fmt: skip


@pytest.mark.parametrize("case", BEYOND_NETCDF4)
@pytest.mark.parametrize("fmt", ["zarr", "netcdf", "cog"])
def test_where_netcdf4_fails_the_number_of_valid_cells(tmp_path: Path, fmt: str, case: str) -> None:
    dtype, attrs, odd, valid = BEYOND_NETCDF4[case]
    made = run(profile_of(make_nc(tmp_path / "a.nc", stored(dtype, **odd), dict(attrs)), fmt), tmp_path / "out")
    found = made.one.variables[0].statistics
    assert found is not None
    assert found.count == valid


@pytest.mark.parametrize("case", SAID)
def test_a_cog_masks_what_netcdf4_masks(tmp_path: Path, case: str) -> None:
    dtype, attrs, odd = SAID[case]
    source = make_nc(tmp_path / "a.nc", stored(dtype, **odd), dict(attrs))
    made = run(profile_of(source), tmp_path / "out")
    with rasterio.open(made.path) as file:
        read = file.read(1, masked=True)
        values = read.astype("f8") * file.scales[0] + file.offsets[0]
    expected = by_netcdf4(source)[0]
    assert np.array_equal(np.ma.getmaskarray(np.ma.masked_invalid(values)), np.ma.getmaskarray(expected))
    assert np.ma.allclose(values, expected)


@pytest.mark.parametrize(("case", "fmt"), spread(SAID, ["zarr", "netcdf"]))
def test_cubes_keep_what_is_stored_and_what_says_it(tmp_path: Path, case: str, fmt: str) -> None:
    dtype, attrs, odd = SAID[case]
    values = stored(dtype, **odd)
    made = run(profile_of(make_nc(tmp_path / "a.nc", values, dict(attrs)), fmt), tmp_path / "out")
    kept = opened(made.path, mask_and_scale=False)["sst"]
    assert np.array_equal(kept.values, values, equal_nan=dtype[0] == "f")
    assert all(np.array_equal(kept.attrs[key], value) for key, value in attrs.items())


# --- files that say it differently ----------------------------------------------------------------------------------


def joined(tmp_path: Path, *files: tuple[np.ndarray, dict[str, Any]], fmt: str = "zarr") -> Any:
    for day, (values, attrs) in enumerate(files):
        make_nc(tmp_path / f"{day}.nc", values, dict(attrs), times=[day])
    options = {"split": "none"} if fmt == "netcdf" else {}
    return run(profile_of(tmp_path / "*.nc", fmt, **options), tmp_path / "out")


@pytest.mark.parametrize("fmt", ["zarr", "netcdf"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"_FillValue": np.int16(-9999)}, {"_FillValue": np.int16(-32768)}),
        ({"_FillValue": np.int16(-9999)}, {}),
        ({}, {"_FillValue": np.int16(-9999)}),
        ({"_FillValue": np.int16(-9999), "missing_value": np.int16(-1)}, {"missing_value": np.int16(-1)}),
        ({"_FillValue": np.int16(-9999)}, {"_FillValue": np.int16(-9999), "valid_max": np.int16(12)}),
    ],
)
def test_classes_stay_integers_where_only_the_fill_differs(
    tmp_path: Path, fmt: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    flags = {"flag_values": np.array([1, 2], "i2"), "flag_meanings": "a b"}
    fills = [said.get("_FillValue", said.get("missing_value")) for said in (first, second)]
    values = [stored("i2") if fill is None else stored("i2", c0=fill) for fill in fills]
    made = joined(tmp_path, (values[0], first | flags), (values[1], second | flags), fmt=fmt)
    assert opened(made.path, mask_and_scale=False)["sst"].dtype == "int16"
    decoded = opened(made.path)["sst"].values
    for step, fill in enumerate(fills):
        expected = stored("f8")[0] if fill is None else stored("f8", c0=np.nan)[0]
        assert np.array_equal(decoded[step], expected, equal_nan=True)
    assert made.one.variables[0].classes == ({"value": 1, "name": "a"}, {"value": 2, "name": "b"})


def test_a_fill_that_is_valid_in_the_other_file_is_refused(tmp_path: Path) -> None:
    one = stored("i2", c0=-9999), {"_FillValue": np.int16(-9999)}
    other = stored("i2", c0=-1, c1=-9999), {"_FillValue": np.int16(-1)}
    assert "-9999 is valid in one of them" in joined(tmp_path, one, other).error


def test_integers_of_two_widths_keep_their_numbers(tmp_path: Path) -> None:
    one, other = (
        (stored("u1", c0=255), {"_FillValue": np.uint8(255)}),
        (stored("i2", c0=-9), {"_FillValue": np.int16(-9)}),
    )
    made = joined(tmp_path, one, other)
    raw, decoded = opened(made.path, mask_and_scale=False)["sst"], opened(made.path)["sst"].values
    assert raw.dtype == "int16"
    assert np.isnan(decoded[:, 0, 0]).all()
    assert np.array_equal(decoded[:, 1:], np.stack([stored("f8")[0, 1:]] * 2))


def test_fills_of_floats_become_nan(tmp_path: Path) -> None:
    one, other = (stored("f4", c0=-9), {"_FillValue": np.float32(-9)}), (stored("f4", c0=np.nan, c1=-9), {})
    decoded = opened(joined(tmp_path, one, other).path)["sst"].values
    assert np.isnan(decoded[:, 0, 0]).all()
    assert decoded[1, 0, 1] == -9


@pytest.mark.parametrize("scales", [(0.5, 0.25), (0.5, 0.1)])
def test_unsigned_bytes_packed_apart_stay_positive(tmp_path: Path, scales: tuple[float, float]) -> None:
    numbers = np.array([0, 100, 127, 128, 200, 254, 255, 1, 2, 3, 129, 250], "u1").reshape(SHAPE)
    said = {"_Unsigned": "true", "_FillValue": np.int8(-1), "units": "1"}
    files = [(numbers.view("i1"), {**said, "scale_factor": scale}) for scale in scales]
    decoded = opened(joined(tmp_path, *files).path)["sst"].values
    for step, scale in enumerate(scales):
        expected = np.where(numbers[0] == 255, np.nan, numbers[0] * scale)
        assert np.allclose(decoded[step], expected, equal_nan=True)


def test_missing_values_and_ranges_of_files_packed_apart_are_nan(tmp_path: Path) -> None:
    one = stored("i2", c0=-8, c1=99), {"scale_factor": 0.5, "missing_value": np.int16(-8), "valid_max": np.int16(12)}
    decoded = opened(joined(tmp_path, one, (stored("i2"), {"scale_factor": 2.0})).path)["sst"].values
    assert np.isnan(decoded[0].ravel()).nonzero()[0].tolist() == [0, 1]
    assert decoded[0, 2, 3] == 6
    assert decoded[1, 2, 3] == 24


# --- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attrs", "dtype", "expected"),
    [
        ({"valid_range": np.array([0.0, 1.0]), "scale_factor": 0.01}, "int16", (0.0, 100.0)),
        ({"valid_range": np.array([0.0, 1.0]), "scale_factor": -0.01}, "int16", (-100.0, 0.0)),
        ({"valid_min": 2.0, "scale_factor": 0.5, "add_offset": 1.0}, "uint8", (2.0, None)),
        ({"valid_range": np.array([0, -1], "i1"), "_Unsigned": "true"}, "int8", (0, 255)),
        ({"valid_max": np.float32("nan")}, "float32", (None, None)),
        ({"valid_range": np.array([5, 1])}, "int32", (None, None)),
        ({"valid_range": "0, 10"}, "int32", (None, None)),
        ({"valid_range": np.array([1.0, 2.0])}, "float32", (1.0, 2.0)),
    ],
)
def test_limits_in_stored_numbers(attrs: dict[str, Any], dtype: str, expected: tuple[Any, Any]) -> None:
    """NetCDF User's Guide, appendix A: limits of the unpacked type are in unpacked units."""
    assert valid_range(attrs, dtype) == pytest.approx(expected)


def test_the_plan_says_nothing_of_gaps_that_are_usual(tmp_path: Path) -> None:
    made = planned(profile_of(make_nc(tmp_path / "a.nc", stored("f4")), "zarr"))
    assert not made.failures
