"""Fill values that nodata does not name, and bands that may be an unnamed transparency: by the statistics alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from builders import PERIOD, make_tiff, profile_of, run
from rasterio.enums import ColorInterp as C

from earthcode_pack.checks.artifacts import nodata_findings, transparency_findings

if TYPE_CHECKING:
    from pathlib import Path

FLOAT_MAX, DOUBLE_FILL = float(np.finfo("float32").max), 9.969209968386869e36
LONG = -(2**63)


def findings(path: Path, tmp_path: Path, **given: Any) -> list[Any]:
    return nodata_findings(run(profile_of(path, time=PERIOD, **given), tmp_path / "out").artifacts)


@pytest.mark.parametrize(
    ("dtype", "fill", "nodata"),
    [
        ("float32", -FLOAT_MAX, -3.4e38), ("float32", FLOAT_MAX, -9999), ("float32", -FLOAT_MAX, None),
        ("float64", -9999.0000001, -9999), ("float64", 1.00000002004e20, 1e20), ("float32", DOUBLE_FILL, -1),
        ("int32", -(2**31), -9999), ("int64", LONG, -9), ("uint32", 2**32 - 1, 0), ("int64", 2**63 - 1, None),
    ],
)  # fmt: skip
def test_a_fill_that_nodata_does_not_name(tmp_path: Path, dtype: str, fill: float, nodata: float | None) -> None:
    values = np.linspace(1, 50, 1200).astype(dtype).reshape(30, 40)
    values[:5] = fill
    path = make_tiff(tmp_path / "a.tif", values, nodata=nodata)
    (found,) = findings(path, tmp_path)
    assert (found.rule, found.level, found.subject) == ("NODATA-NOT-THE-FILL", "warning", "band_1")
    assert ("no cell holds" in found.message) == (nodata is not None)
    with rasterio.open(tmp_path / "out" / "product" / "data" / "demo_a" / "demo_a_band_1.tif") as file:
        assert file.read(1).tobytes() == values.tobytes()
    if abs(fill) < 2**53 or dtype.startswith("float"):  # the remedy: then nothing is left to find
        right = {"value": float(values[0, 0]) if dtype.startswith("float") else int(fill), "override": True}
        assert not findings(path, tmp_path / "again", nodata=right)


@pytest.mark.parametrize(
    ("dtype", "value", "nodata"),
    [
        ("float32", -9990.0, -9999), ("int16", -32768, -9999), ("uint16", 65535, 0), ("float64", 1e24, -1),
        ("uint8", 255, 0), ("int32", -9998, -9999), ("float32", 0.0, 1e-30), ("float32", -FLOAT_MAX, -FLOAT_MAX),
    ],
)  # fmt: skip
def test_an_extreme_that_may_be_a_measurement(tmp_path: Path, dtype: str, value: float, nodata: float) -> None:
    values = np.linspace(1, 50, 1200).astype(dtype).reshape(30, 40)
    values[:5] = value
    assert not findings(make_tiff(tmp_path / "a.tif", values, nodata=nodata), tmp_path)


def test_packed_values_are_compared_as_stored(tmp_path: Path) -> None:
    values = np.linspace(1, 50, 1200).astype("int32").reshape(30, 40)
    values[:5] = -(2**31)
    assert findings(make_tiff(tmp_path / "a.tif", values, nodata=-9999, scale=0.01, offset=273.15), tmp_path)


@pytest.mark.parametrize(("dtype", "greatest"), [("uint8", 255), ("uint16", 65535)])
@pytest.mark.parametrize("fmt", ["cog", "netcdf"])
def test_a_band_that_may_be_an_unnamed_alpha(tmp_path: Path, dtype: str, greatest: int, fmt: str) -> None:
    values = np.stack(
        [np.arange(1200).reshape(30, 40) % 251, np.where(np.arange(1200).reshape(30, 40) < 300, 0, greatest)]
    )
    path = make_tiff(tmp_path / "a.tif", values.astype(dtype), colorinterp=(C.gray, C.undefined))
    made = run(profile_of(path, fmt, time=PERIOD), tmp_path / "out")
    (found,) = transparency_findings(made.artifacts)
    assert (found.rule, found.subject) == ("ALPHA-UNNAMED", "band_2")
    assert "-colorinterp_N alpha" in found.remedy
    with rasterio.open(path, "r+") as file:  # the remedy
        file.colorinterp = (C.gray, C.alpha)
    again = run(profile_of(path, time=PERIOD), tmp_path / "again")
    assert not transparency_findings(again.artifacts)
    assert again.one.variables[0].statistics.count == 900


def test_a_binary_map_of_its_own_is_no_alpha(tmp_path: Path) -> None:
    values = np.where(np.arange(1200).reshape(30, 40) < 300, 0, 255).astype("uint8")
    made = run(profile_of(make_tiff(tmp_path / "a.tif", values), time=PERIOD), tmp_path / "out")
    assert not transparency_findings(made.artifacts)
