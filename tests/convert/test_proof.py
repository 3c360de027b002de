"""Outputs mean what their sources mean: readers of other projects decode both sides.

Half of these misread a good source on purpose, in ways in which the comparison of stored values takes part and so sees
nothing. The other half are good sources of many kinds, of which none may be stopped.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from builders import make_grib, make_nc, make_tiff, profile_of, ramp, run
from examples import spread
from rasterio.enums import ColorInterp

from earthcode_pack.cf import variables
from earthcode_pack.convert.cog import row_reader as planes
from earthcode_pack.convert.cog import writer as cog
from earthcode_pack.convert.cube import layout, time_axis
from earthcode_pack.convert.proof.alignment import matched, runs
from earthcode_pack.convert.proof.blocks import cells, every, samples
from earthcode_pack.convert.read import raster_cube
from earthcode_pack.errors import NotEqual
from earthcode_pack.execution import child_process as isolated
from earthcode_pack.model import Artifact, Proof

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CUBES = ("zarr", "netcdf")
ALL = ("zarr", "netcdf", "cog")
PACKED = {"units": "K", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": np.int16(-32768)}
GLOBE = {"lat": np.arange(-85.0, 90, 10), "lon": np.arange(5.0, 360, 10)}


def packed(*shape: int) -> np.ndarray:
    values = ramp(*shape, dtype="int16")
    values.flat[3] = -32768
    return values


# --- misreadings ----------------------------------------------------------------------------------------------------


def _changed(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Attributes are written otherwise than the file has them; None drops one."""
    real = layout._attributes

    def attributes(*given: Any) -> dict[str, Any]:
        found = {**real(*given), **changes}
        return {key: value for key, value in found.items() if value is not None}

    monkeypatch.setattr(layout, "_attributes", attributes)


@pytest.mark.parametrize("fmt", CUBES)
def test_another_scale_in_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fmt: str) -> None:
    make_nc(tmp_path / "a.nc", packed(2, 3, 4), PACKED, times=range(2))
    _changed(monkeypatch, scale_factor=0.1)
    error = run(profile_of(tmp_path / "a.nc", fmt), tmp_path / "out").error
    assert "a.nc: sst at [time 0, lat 0, lon 1]" in error
    assert "(time 0, lat 50, lon -9): 273.1" in error
    assert "273.25 in what was written" in error
    assert "report this message" in error


@pytest.mark.parametrize("fmt", CUBES)
def test_a_sign_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fmt: str) -> None:
    values = np.array([0, 100, -56, 3], "int8").reshape(1, 2, 2)
    make_nc(tmp_path / "a.nc", values, {"units": "1", "_Unsigned": "true"})
    _changed(monkeypatch, _Unsigned=None)
    error = run(profile_of(tmp_path / "a.nc", fmt), tmp_path / "out").error
    assert "[time 0, lat 1, lon 0]" in error
    assert "200" in error
    assert "-56 in what was written" in error


def test_a_sign_in_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.array([0, 100, -56, 3], "int8").reshape(1, 2, 2)
    make_nc(tmp_path / "a.nc", values, {"units": "1", "_Unsigned": "true"})
    monkeypatch.setattr(planes, "raster_type", lambda variable: variable.dtype)
    error = run(profile_of(tmp_path / "a.nc"), tmp_path / "out").error
    assert "row 1 and column 0" in error
    assert "200" in error
    assert "-56 in what was written" in error


@pytest.mark.parametrize("fmt", ALL)
def test_a_missing_value_that_is_overlooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fmt: str) -> None:
    values = ramp(1, 3, 4)
    values[0, 0, :2] = -1e30, -999
    attrs = {"units": "K", "_FillValue": np.float32(-1e30), "missing_value": np.float32([-999, -888])}
    make_nc(tmp_path / "a.nc", values, attrs)
    assert run(profile_of(tmp_path / "a.nc", fmt), tmp_path / "good").one.proof.masks == 12
    monkeypatch.setattr(isolated, "_IS_CHILD", True)  # in this process, where it is changed
    monkeypatch.setattr(variables, "further_missing", lambda *_, **__: ())
    error = run(profile_of(tmp_path / "a.nc", fmt), tmp_path / "out").error
    assert "lat 0, lon 1" in error if fmt != "cog" else "row 0 and column 1" in error
    assert "missing" in error


@pytest.mark.parametrize("fmt", ALL)
def test_a_valid_range_that_is_overlooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fmt: str) -> None:
    values = ramp(1, 3, 4, dtype="int16")
    values[0, 2, 3] = 9999
    make_nc(tmp_path / "a.nc", values, {"units": "1", "valid_range": np.array([0, 100], "int16")})
    assert run(profile_of(tmp_path / "a.nc", fmt), tmp_path / "good").one.proof.masks == 12
    monkeypatch.setattr(isolated, "_IS_CHILD", True)  # in this process, where it is changed
    monkeypatch.setattr(variables, "valid_range", lambda *_: (None, None))
    error = run(profile_of(tmp_path / "a.nc", fmt), tmp_path / "out").error
    assert "missing" in error
    assert ("lat 2, lon 3" if fmt != "cog" else "row 2 and column 3") in error


@pytest.mark.parametrize("fmt", CUBES)
def test_a_fill_value_that_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fmt: str) -> None:
    make_nc(tmp_path / "a.nc", packed(1, 3, 4), PACKED)
    monkeypatch.setattr(isolated, "_IS_CHILD", True)  # in this process, where it is changed
    monkeypatch.setattr(variables, "stated_nodata", lambda *_: None)
    error = run(profile_of(tmp_path / "a.nc", fmt), tmp_path / "out").error
    assert "lat 0, lon 3" in error
    assert "missing in the source" in error


@pytest.mark.parametrize("fmt", CUBES)
@pytest.mark.parametrize("name", ["time", "time_bnds"])
def test_times_of_another_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fmt: str, name: str) -> None:
    for number in (0, 1):
        path = tmp_path / f"{number}.nc"
        make_nc(path, ramp(2, 3, 4), times=[2 * number, 2 * number + 1], more=_bounds, calendar="360_day")
    real = time_axis._joined

    def shifted(which: str, *given: Any) -> xr.Variable:
        out = real(which, *given)
        return xr.Variable(out.dims, out.values + np.float64(which == name), out.attrs)

    monkeypatch.setattr(time_axis, "_joined", shifted)
    error = run(
        profile_of(tmp_path / "*.nc", fmt, **({"split": "none"} if fmt == "netcdf" else {})), tmp_path / "o"
    ).error
    assert f"0.nc: {name} of data/demo" in error
    assert "2020-01-01T00:00:00 in the source and 2020-01-02T00:00:00 in what was written" in error


def _bounds(file: Any) -> None:
    file.createDimension("nv", 2)
    times = file["time"][:]
    file["time"].bounds = "time_bnds"
    file.createVariable("time_bnds", "f8", ("time", "nv"))[:] = np.stack([times, times + 1], axis=1)


def test_a_globe_rolled_by_a_column_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_nc(tmp_path / "a.nc", ramp(1, 18, 36), **GLOBE)
    real = cog.orientation

    def further(grid: Any) -> Any:
        found = real(grid)
        return replace(found, roll=found.roll + 1)

    monkeypatch.setattr(cog, "orientation", further)
    error = run(profile_of(tmp_path / "a.nc"), tmp_path / "out").error
    assert "row 0 and column 0 of data/demo_20200101/demo_20200101_sst.tif (x -175, y 85)" in error
    assert "630.0 in the source and 631.0 in what was written" in error  # row 17, and column 18 of those from Greenwich


def test_a_map_in_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiff(tmp_path / "a.tif", ramp(6, 8))
    real = cog.orientation

    def flipped(grid: Any) -> Any:
        return replace(real(grid), flip=True)

    monkeypatch.setattr(cog, "orientation", flipped)
    error = run(profile_of(tmp_path / "a.tif", time=_year()), tmp_path / "out").error
    assert "row 0 and column 0" in error
    assert "0.0 in the source and 40.0 in what was written" in error


def test_rows_of_a_raster_the_wrong_way_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiff(tmp_path / "a.tif", ramp(6, 8))
    real = raster_cube._centres

    def mirrored(*given: Any) -> dict[str, Any]:
        found = real(*given)
        return {**found, "y": found["y"][::-1]}

    monkeypatch.setattr(raster_cube, "_centres", mirrored)
    error = run(profile_of(tmp_path / "a.tif", "zarr", time=_year()), tmp_path / "out").error
    assert "40.0 in the source and 0.0 in what was written" in error


def test_a_lossy_map_keeps_its_bound_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiff(tmp_path / "a.tif", np.sin(ramp(64, 64)).astype("f4"))
    lossy = {"compression": "lerc", "tolerance": {"band_1": {"absolute": 0.01}}, "time": _year()}
    assert run(profile_of(tmp_path / "a.tif", **lossy), tmp_path / "good").one.proof.cells == 64 * 64
    monkeypatch.setattr(cog, "_compare", lambda *_: (cog.RunningStatistics(), 0.0))
    real = cog._creation_options
    monkeypatch.setattr(cog, "_creation_options", lambda *given: {**real(*given), "MAX_Z_ERROR": 0.5})
    assert "cells differ" in run(profile_of(tmp_path / "a.tif", **lossy), tmp_path / "out").error


def _year() -> dict[str, str]:
    return {"start": "2020-01-01", "end": "2020-12-31"}


# --- good sources ---------------------------------------------------------------------------------------------------


def _with(path: Path, values: np.ndarray, attrs: dict[str, Any] | None = None, **given: Any) -> None:
    make_nc(path / "a.nc", values, attrs, **given)


def _with_gaps(dtype: str = "float32", gap: Any = np.nan) -> np.ndarray:
    values = ramp(2, 3, 4, dtype=dtype)
    values[1, 1, 1:3] = gap
    return values


def _labels(file: Any) -> None:
    file.createVariable("station", str, ("time",))[:] = np.array(["a", "b"], object)


def _two_packings(path: Path) -> None:
    make_nc(path / "a.nc", packed(1, 3, 4), PACKED, times=[0])
    make_nc(path / "b.nc", packed(1, 3, 4), {**PACKED, "scale_factor": 0.02}, times=[1])


def _days_in_other_units(path: Path) -> None:
    make_nc(path / "a.nc", ramp(2, 3, 4), times=[0, 1], calendar="standard")
    make_nc(path / "b.nc", ramp(2, 3, 4), times=[48, 72], units="hours since 2020-01-01", calendar="gregorian")


NETCDF: dict[str, Callable[[Path], None]] = {
    "packed": partial(_with, values=packed(2, 3, 4), attrs=PACKED, times=[0, 1]),
    "packed in single precision": partial(
        _with, values=packed(2, 3, 4), times=[0, 1],
        attrs={**PACKED, "scale_factor": np.float32(0.01), "add_offset": np.float32(20)},
    ),
    "an offset alone": partial(_with, values=ramp(1, 3, 4, dtype="int16"), attrs={"units": "K", "add_offset": 0.5}),
    "unsigned bytes": partial(
        _with, values=_with_gaps("int8", -1), times=[0, 1],
        attrs={"units": "1", "_Unsigned": "true", "scale_factor": 0.5, "_FillValue": np.int8(-1)},
    ),
    "missing values": partial(
        _with, values=_with_gaps(gap=[-999, -888]), times=[0, 1],
        attrs={"units": "K", "_FillValue": np.float32(1e20), "missing_value": np.float32([-999, -888])},
    ),
    "a missing value alone": partial(
        _with, values=_with_gaps("int32", -9), times=[0, 1], attrs={"units": "1", "missing_value": np.int32(-9)}
    ),
    "valid range": partial(
        _with, values=_with_gaps("int16", 999), times=[0, 1], attrs={"units": "1", "valid_max": np.int16(500)}
    ),
    "valid range in unpacked units": partial(
        _with, values=_with_gaps("int16", 999), times=[0, 1],
        attrs={"units": "1", "valid_max": 50.0, "scale_factor": 0.1, "_FillValue": np.int16(-1)},
    ),
    "cells that were never written": partial(_with, values=_with_gaps("int16", -32767), times=[0, 1]),
    "NaN without a word": partial(_with, values=_with_gaps(), times=[0, 1]),
    "infinite": partial(_with, values=_with_gaps(gap=[np.inf, -np.inf]), times=[0, 1]),
    "doubles": partial(_with, values=_with_gaps("float64"), times=[0, 1]),
    "classes": partial(
        _with, values=_with_gaps("uint8", 7), times=[0, 1],
        attrs={"flag_values": np.arange(24, dtype="u1"), "flag_meanings": " ".join("abcdefghijklmnopqrstuvwx")},
    ),
    "64 bits": partial(_with, values=ramp(1, 3, 4, dtype="int64") + 2**53 + 1),
    "64 bits with gaps": partial(
        _with, values=_with_gaps("int64", -9), times=[0, 1], attrs={"units": "1", "_FillValue": np.int64(-9)}
    ),
    "time last": partial(_with, values=ramp(3, 4, 2), dims=("lat", "lon", "time"), times=[0, 1]),
    "columns first": partial(_with, values=ramp(2, 4, 3), dims=("time", "lon", "lat"), times=[0, 1]),
    "from south to north, from Greenwich": partial(_with, values=ramp(1, 18, 36), **GLOBE),
    "to the west": partial(_with, values=ramp(1, 3, 4), lon=[3.0, 2.0, 1.0, 0.0]),
    "chunks": partial(_with, values=ramp(4, 30, 40), times=range(4), chunks=(2, 10, 10)),
    "classic": partial(_with, values=packed(2, 3, 4), attrs=PACKED, times=[0, 1], fmt="NETCDF3_CLASSIC"),
    "text beside": partial(_with, values=ramp(2, 3, 4), times=[0, 1], more=_labels),
    "bounds of time": partial(_with, values=ramp(2, 3, 4), times=[0, 1], more=_bounds),
    "days of a model": partial(_with, values=ramp(2, 3, 4), times=[40, 41], calendar="360_day"),
    "years without leap days": partial(_with, values=ramp(2, 3, 4), times=[58.5, 59.25], calendar="noleap"),
    "nanoseconds": partial(
        _with, values=ramp(2, 3, 4), times=np.array([0, 10**9 + 1000]), units="nanoseconds since 2020-01-01"
    ),
    "far times": partial(_with, values=ramp(2, 3, 4), times=[0, 1], units="days since 1650-01-01", calendar="standard"),
    "two packings": _two_packings,
    "other units of time": _days_in_other_units,
}  # fmt: skip


@pytest.mark.parametrize(("name", "fmt"), spread(NETCDF, ALL))
def test_good_netcdf_is_let_through(tmp_path: Path, name: str, fmt: str) -> None:
    NETCDF[name](tmp_path)
    made = run(profile_of(tmp_path / "*.nc", fmt), tmp_path / "out")
    assert not made.failures
    proof = sum((artifact.proof for artifact in made.artifacts), Proof())
    size = sum(int(np.prod(v.shape)) for artifact in made.artifacts for v in artifact.variables)
    assert proof.limits == ()
    assert proof.cells == proof.masks == size
    assert proof.variables == ("sst",)
    assert any("xarray" in reader for reader in proof.readers)
    assert any("netCDF4 " in reader for reader in proof.readers)
    if fmt != "cog":
        assert proof.times == sum(a.variables[0].shape[a.variables[0].dims.index("time")] for a in made.artifacts)


RASTERS: dict[str, dict[str, Any]] = {
    "floats": {"values": ramp(40, 50)},
    "NaN": {"values": np.where(ramp(40, 50) % 7 == 0, np.nan, ramp(40, 50)).astype("f4"), "nodata": float("nan")},
    "NaN without a word": {"values": np.where(ramp(40, 50) % 7 == 0, np.nan, ramp(40, 50)).astype("f4")},
    "nodata": {"values": ramp(40, 50, dtype="int16"), "nodata": 7},
    "a decimal nodata": {"values": np.where(ramp(40, 50) == 3, -9999.9, ramp(40, 50)).astype("f4"), "nodata": -9999.9},
    "packed": {"values": ramp(40, 50, dtype="int16"), "nodata": 7, "scale": 0.1, "offset": 5.0},
    "tiles": {"values": ramp(300, 300, dtype="uint16"), "tiled": True, "blockxsize": 128, "blockysize": 128},
    "large": {"values": ramp(700, 900, dtype="uint16"), "compress": "deflate"},
    "north is down": {"values": ramp(40, 50), "transform": rasterio.Affine(10, 0, 5e5, 0, 10, 46e5)},
    "rotated": {"values": ramp(40, 50), "transform": rasterio.Affine(8, 6, 5e5, 6, -8, 46e5)},
    "the globe from Greenwich": {
        "values": ramp(18, 36), "transform": rasterio.Affine(10, 0, 0, 0, -10, 90), "crs": "EPSG:4326"
    },
    "a mask": {"values": ramp(40, 50, dtype="uint8"), "mask": (ramp(40, 50) % 3 > 0).astype("u1") * 255},
    "a picture": {"values": ramp(3, 40, 50, dtype="uint8"), "photometric": "RGB"},
    "a picture with a mask": {
        "values": ramp(3, 40, 50, dtype="uint8"), "photometric": "RGB",
        "mask": (ramp(40, 50) % 3 > 0).astype("u1") * 255,
    },
    "a picture with alpha": {
        "values": np.concatenate([ramp(3, 40, 50, dtype="uint8"), (ramp(1, 40, 50) % 3 > 0).astype("u1") * 255]),
        "photometric": "RGB", "alpha": "YES",
    },
    "grey with alpha": {
        "values": np.concatenate([ramp(1, 40, 50, dtype="uint8"), (ramp(1, 40, 50) % 3 > 0).astype("u1") * 255]),
        "colorinterp": [ColorInterp.gray, ColorInterp.alpha],
    },
    "a palette": {"values": ramp(40, 50, dtype="uint8") % 4, "colormap": {n: (n, n, n, 255) for n in range(4)}},
    "64 bits": {"values": ramp(40, 50, dtype="int64") + 2**53 + 1},
    "bytes with a sign": {"values": ramp(40, 50, dtype="int8"), "nodata": -5},
}  # fmt: skip
ONLY_MAPS = {name for name in RASTERS if "picture" in name or "alpha" in name or "mask" in name or name == "rotated"}


@pytest.mark.parametrize(
    ("name", "fmt"), [(name, fmt) for name in RASTERS for fmt in ALL if fmt == "cog" or name not in ONLY_MAPS]
)
def test_good_rasters_are_let_through(tmp_path: Path, name: str, fmt: str) -> None:
    given = dict(RASTERS[name])
    make_tiff(tmp_path / "a.tif", given.pop("values"), **given)
    made = run(profile_of(tmp_path / "a.tif", fmt, time=_year()), tmp_path / "out")
    proof = made.one.proof
    assert proof.limits == ()
    assert proof.blocks == (3 if name == "large" else 1)
    assert proof.cells > (20_000 if name == "large" else 600)
    assert proof.readers[-1 if fmt != "cog" else 0].startswith("GDAL")
    assert ("xarray" in str(proof.readers)) == (fmt != "cog")


@pytest.mark.parametrize("fmt", ALL)
@pytest.mark.parametrize("nodata", [7, {"value": 7, "override": True}])
def test_the_profile_says_what_is_missing(tmp_path: Path, fmt: str, nodata: Any) -> None:
    """The sources' own word, or silence, is not what readers of the output shall hear."""
    stated = 3 if isinstance(nodata, dict) else None
    make_tiff(tmp_path / "a.tif", ramp(6, 8, dtype="int16"), nodata=stated)
    make_nc(
        tmp_path / "a.nc",
        ramp(1, 6, 8, dtype="int16"),
        {"units": "1"} | ({"_FillValue": np.int16(3)} if stated else {}),
    )
    for name, time in (("a.tif", _year()), ("a.nc", None)):
        made = run(profile_of(tmp_path / name, fmt, time=time, nodata=nodata), tmp_path / f"{name}.out")
        assert made.one.proof.cells == 48
        assert made.one.proof.limits == ()


@pytest.mark.parametrize("fmt", ALL)
@pytest.mark.parametrize("missing", [False, True])
def test_good_grib_is_let_through(tmp_path: Path, fmt: str, missing: bool) -> None:
    make_grib(tmp_path / "a.grib", missing=missing)
    made = run(profile_of(tmp_path / "a.grib", fmt), tmp_path / "out")
    assert not made.failures
    proof = sum((artifact.proof for artifact in made.artifacts), Proof())
    assert proof.cells == 48
    assert proof.times == 2
    assert proof.limits == ()
    assert "cfgrib" in str(proof.readers)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", ["bool", "float32", "uint16"])
def test_good_zarr_is_let_through(tmp_path: Path, version: int, kind: str) -> None:
    make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[0, 1])
    with xr.open_dataset(tmp_path / "a.nc", decode_times=False) as dataset:
        changed = dataset.assign(sst=dataset["sst"].astype(kind).assign_attrs(units="1"))
        changed["sst"].encoding = {}
        changed.to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=version == 2)
    for fmt in ALL:
        made = run(profile_of(tmp_path / "a.zarr", fmt), tmp_path / fmt)
        assert not made.failures
        assert sum((artifact.proof for artifact in made.artifacts), Proof()).cells == 24


def test_curvilinear_cells(tmp_path: Path) -> None:
    def places(file: Any) -> None:
        for name, unit in (("nav_lat", "degrees_north"), ("nav_lon", "degrees_east")):
            made = file.createVariable(name, "f8", ("j", "i"))
            made.units = unit
            made[:] = ramp(4, 5) + (np.arange(5) / 10 if name == "nav_lat" else np.arange(4)[:, None])
        file["sst"].coordinates = "nav_lat nav_lon"

    make_nc(tmp_path / "a.nc", ramp(1, 4, 5), dims=("time", "j", "i"), more=places)
    for fmt in CUBES:
        assert run(profile_of(tmp_path / "a.nc", fmt), tmp_path / fmt).one.proof.cells == 20


# --- what is kept of it ---------------------------------------------------------------------------------------------


def test_parts_of_a_store_prove_each_block_once(tmp_path: Path) -> None:
    make_nc(tmp_path / "a.nc", ramp(8, 200, 200), times=range(8), chunks=(1, 100, 100))
    made = run(profile_of(tmp_path / "a.nc", "zarr", chunks={"time": 1, "lat": 100, "lon": 100}), tmp_path / "out")
    assert made.one.proof.blocks == 3
    assert made.one.proof.times == 8
    assert made.one.proof.limits == ()


def test_a_reader_that_cannot_tell_is_named(tmp_path: Path) -> None:
    """cftime leaves out a zone without minutes."""
    make_nc(tmp_path / "a.nc", ramp(1, 3, 4), units="hours since 2020-01-01 00:00 +2")
    proof = run(profile_of(tmp_path / "a.nc", "zarr"), tmp_path / "out").one.proof
    assert proof.cells == 12
    assert len(proof.limits) == 1
    assert "cftime reads 'hours since 2020-01-01 00:00 +2'" in proof.limits[0]


def test_artifacts_without_a_proof_read_back(tmp_path: Path) -> None:
    make_tiff(tmp_path / "a.tif", ramp(6, 8))
    artifact = run(profile_of(tmp_path / "a.tif", time=_year()), tmp_path / "out").one
    assert Artifact.from_json(artifact.to_json()) == artifact
    old = artifact.model_dump(mode="json", exclude={"proof"})
    assert Artifact.model_validate(old).proof == Proof()


# --- arithmetic -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "units"),
    [
        ({"y": 5000, "x": 7000}, [{"y": 512, "x": 512}, {"y": 1, "x": 7000}]),
        ({"t": 365, "y": 1000, "x": 1500}, [{"t": 30, "y": 256, "x": 256}, {"t": 1, "y": 1000, "x": 1500}]),
        ({"y": 1000, "x": 1500, "t": 365}, [{"y": 8, "x": 8, "t": 365}, {}]),
        ({"x": 10**7}, [{"x": 1000}]),
    ],
)
def test_samples_are_the_ends_and_a_middle(sizes: dict[str, int], units: list[dict[str, int]]) -> None:
    first, middle, last = samples(sizes, units, ("t",))
    for dim, size in sizes.items():
        assert first[dim][0] == 0
        assert last[dim][1] == size
        assert middle[dim][0] <= (size - 1) // 2 < middle[dim][1]
    assert max(map(cells, (first, middle, last))) <= 2**19


def test_a_giant_chunk_is_decoded_once() -> None:
    sizes = {"y": 5000, "x": 7000}
    assert len(samples(sizes, [{"y": 512, "x": 512}, sizes])) == 1


def test_every_block_is_every_cell_once() -> None:
    seen = np.zeros((70, 90, 33), int)
    for box in every({"t": 70, "y": 90, "x": 33}, {"t": 7, "y": 16, "x": 33}):
        seen[tuple(slice(*span) for span in box.values())] += 1
    assert (seen == 1).all()


def test_cells_are_found_by_their_coordinates() -> None:
    east = np.arange(0.5, 360)
    found = matched(east, np.arange(-179.5, -170), 1.0, on_circle=True, where="columns")
    assert found.tolist() == list(range(180, 190))
    kilometres = np.arange(0.25, 5, 0.5)
    assert matched(kilometres, kilometres[3:5] * 1000, 500.0, on_circle=False, where="x").tolist() == [3, 4]
    with pytest.raises(NotEqual, match=r"columns: a cell written at 10.9 is none of the source's"):
        matched(east, np.array([9.5, 10.9]), 1.0, on_circle=True, where="columns")


def test_runs_go_up_or_down() -> None:
    found = runs(np.array([3, 4, 5, 9, 8, 7, 0]))
    assert [run.tolist() for run in found] == [[3, 4, 5], [9, 8, 7], [0]]
