"""Statistics that STAC states, against all values: only with --deep, for everything must be read."""

import numpy as np
import pytest
import xarray as xr

from earthcode_pack.checks import check
from earthcode_pack.checks.documents import Document
from earthcode_pack.checks.statistics import Moments, statistics_findings


def stated(product, make_cog, values, statistics, **given):
    """The product with other values in its first COG, whose band states these statistics."""
    make_cog(product.root / "data/demo_20200101/demo_20200101_sst.tif", values, **given)
    product.asset["bands"][0] |= {"statistics": statistics}
    return product.seal().root


RAMP = np.arange(1100 * 1000, dtype="float32").reshape(1, 1100, 1000)
TRUE = {"minimum": 0.0, "maximum": 1099999.0, "mean": 549999.5, "stddev": 317542.65, "valid_percent": 100.0}


def test_what_is_true_is_no_finding(product, make_cog):
    assert check(stated(product, make_cog, RAMP, TRUE), deep=True) == ()


@pytest.mark.parametrize("name", sorted(TRUE))
def test_what_is_wrong_is_found_where_everything_is_read(product, make_cog, name):
    root = stated(product, make_cog, RAMP, TRUE | {name: TRUE[name] * 0.9 - (100 if name == "minimum" else 0)})
    assert check(root) == ()
    (finding,) = check(root, deep=True)
    assert finding.rule == "FACT-STATISTICS"
    assert name in finding.message


def test_nodata_does_not_count(product, make_cog):
    values = RAMP.copy()
    values[0, :550] = -9999
    told = {"minimum": 550000.0, "valid_percent": 50.0}
    assert check(stated(product, make_cog, values, told), deep=True) == ()


@pytest.mark.parametrize("factor", [1.0, 0.1])
def test_packed_values_count_as_stored_or_unpacked(product, make_cog, factor):
    told = {"minimum": 0.0, "maximum": 1099999.0 * factor, "mean": 549999.5 * factor}
    product.asset["bands"][0]["raster:scale"] = 0.1
    assert check(stated(product, make_cog, RAMP, told, scale=0.1), deep=True) == ()


def test_sums_of_parts_are_those_of_the_whole():
    values, sums = np.random.default_rng(0).normal(1e6, 1, 1000), Moments()
    for part in np.split(values, [1, 10, 10, 400]):
        sums.add(part, part.size + 1)
    found = sums.of(2, 1)
    assert found["mean"] == pytest.approx(values.mean() * 2 + 1)
    assert found["stddev"] == pytest.approx(values.std() * 2)
    assert found["valid_percent"] == pytest.approx(100 * 1000 / 1005)


@pytest.mark.parametrize(
    ("attrs", "hidden"),
    [
        ({"valid_range": np.array([0, 100], "i2")}, 999),
        ({"valid_max": np.int16(100)}, 999),
        ({"missing_value": np.array([998, 999], "i2")}, 999),
        ({}, -32767),  # what netCDF-C leaves in cells that were never written
    ],
)
def test_values_that_cf_calls_missing_do_not_count(tmp_path, attrs, hidden):
    values = np.arange(12, dtype="i2").reshape(3, 4)
    values[0, 0] = hidden
    held = xr.Dataset({"sst": (("lat", "lon"), values, attrs | {"units": "K"})})
    held.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={"sst": {"_FillValue": None}})
    asset = {"cube:variables": {"sst": {"type": "data", "statistics": {"minimum": 1.0, "maximum": 11.0}}}}
    document = Document({"assets": {"data": asset}}, "a.json", tmp_path)
    assert list(statistics_findings(document, "data", asset, "netcdf", tmp_path / "a.nc")) == []
    asset["cube:variables"]["sst"]["statistics"]["maximum"] = 999.0
    (finding,) = statistics_findings(document, "data", asset, "netcdf", tmp_path / "a.nc")
    assert finding.rule == "FACT-STATISTICS"
