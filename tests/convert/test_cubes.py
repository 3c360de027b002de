"""NetCDF, GRIB and Zarr in; Zarr and NetCDF out: stored bytes, decoded values, words and instants."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path  # noqa: TC003
from typing import Any

import h5netcdf
import netCDF4
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401 - .rio
import xarray as xr
import zarr
from builders import PERIOD, Run, Watched, bits, make_nc, make_tiff, opened, profile_of, ramp, run
from pyproj import CRS

ZARRS = [{"version": 3}, {"version": 2}, {"version": 3, "zipped": True}, {"version": 2, "zipped": True}]
TARGETS = [("zarr", {"version": 3}), ("zarr", {"version": 2}), ("netcdf", {})]
IDS = ["zarr3", "zarr2", "netcdf"]
FILL = np.int16(-32768)


def to(fmt: str, href: Any, tmp_path: Path, **given: Any) -> Run:
    return run(profile_of(href, fmt, **given), tmp_path / "out")


def stored(path: Path, name: str = "sst") -> np.ndarray:
    """The stored values, by a reader that knows nothing of CF."""
    if ".zarr" in path.name:
        store: Any = zarr.storage.ZipStore(path, mode="r") if path.name.endswith(".zip") else str(path)
        return np.asarray(zarr.open_group(store, mode="r")[name])
    with h5netcdf.File(path, "r") as file:
        return np.asarray(file[name][...])


def packed(tmp_path: Path, name: str = "a.nc", **given: Any) -> Path:
    values = ramp(3, 8, 9, dtype="int16")
    values[:, :2] = FILL
    attrs = {"units": "K", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": FILL, "valid_max": np.int16(500)}
    return make_nc(tmp_path / name, values, attrs, times=given.pop("times", range(3)), **given)


def same_decoded(source: Path, made: Path) -> None:
    with xr.open_dataset(source, engine="netcdf4") as raw:
        given = raw.load()
    out = opened(made)
    for name in given.variables:
        xr.testing.assert_equal(
            given[name].drop_vars("crs", errors="ignore"), out[name].drop_vars("crs", errors="ignore")
        )
        assert out[name].dtype == given[name].dtype or given[name].dtype.kind in "OU"  # text


@pytest.mark.parametrize("options", ZARRS, ids=str)
def test_packed_cube_to_zarr(tmp_path: Path, options: dict[str, Any]) -> None:
    source = packed(tmp_path)
    made = to("zarr", source, tmp_path, chunks={"time": 2, "lat": 2, "lon": 9}, **options)
    with netCDF4.Dataset(source) as file:
        file.set_auto_maskandscale(False)
        assert bits(stored(made.path)) == bits(file["sst"][:])
    same_decoded(source, made.path)
    attrs = opened(made.path, mask_and_scale=False)["sst"].attrs
    assert (attrs["scale_factor"], attrs["add_offset"], attrs["_FillValue"], attrs["valid_max"]) == (
        0.01,
        273.15,
        FILL,
        500,
    )
    assert opened(made.path, decode_coords="all").rio.crs.is_geographic


def test_zip_has_the_group_at_its_root_and_members_stored(tmp_path: Path) -> None:
    made = to("zarr", packed(tmp_path), tmp_path, version=2, zipped=True)
    with zipfile.ZipFile(made.path) as archive:
        assert ".zgroup" in archive.namelist()
        assert ".zmetadata" in archive.namelist()
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_packed_cube_to_netcdf_for_every_reader(tmp_path: Path) -> None:
    source = packed(tmp_path)
    made = to("netcdf", source, tmp_path, chunks={"time": 1, "lat": 4, "lon": 4})
    same_decoded(source, made.path)
    with netCDF4.Dataset(source) as one, netCDF4.Dataset(made.path) as other:
        for file in (one, other):
            file.set_auto_maskandscale(False)
        assert bits(one["sst"][:]) == bits(other["sst"][:])
        assert other["sst"].chunking() == [1, 4, 4]
        assert other["sst"].filters()["zlib"]
        assert other["sst"].filters()["shuffle"]
        assert type(other["sst"].valid_max) is type(one["sst"].valid_max)
        assert other["sst"]._FillValue == FILL
        assert other.Conventions == "CF-1.11, ACDD-1.3"
        assert other.title == "DEMO product"
    assert any("title" in line and "raw" in line for line in made.one.changes)
    with rasterio.open(f"netcdf:{made.path}:sst") as file:
        assert file.count == 3
        assert file.nodata == FILL
        assert np.array_equal(file.read(), stored(made.path))
        assert file.crs.is_geographic


def test_metadata_lies_near_the_front(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(40, 60, 80)).astype("float32")
    made = to("netcdf", make_nc(tmp_path / "a.nc", values, times=range(40)), tmp_path, chunks={"time": 1})
    with made.path.open("rb", buffering=0) as raw:
        watched = Watched(raw)
        with h5netcdf.File(watched, "r") as file:
            assert file["sst"].shape == values.shape
            assert dict(file["sst"].attrs)["units"] == "K"
    assert watched.furthest < 200_000 < made.path.stat().st_size


ODD_NAN = np.array([0x7FC00001], "uint32").view("float32")[0]


@pytest.mark.parametrize(("fmt", "options"), TARGETS, ids=IDS)
@pytest.mark.parametrize("fill", [None, np.float32("nan"), np.float32(0)])
def test_nan_payloads_and_minus_zero(tmp_path: Path, fmt: str, options: dict[str, Any], fill: Any) -> None:
    values = ramp(4, 2, 3)
    values[0], values[1], values[2] = -0.0, ODD_NAN, np.nan
    attrs = {"units": "K"} | ({} if fill is None else {"_FillValue": fill})
    made = to(fmt, make_nc(tmp_path / "a.nc", values, attrs, times=range(4)), tmp_path, chunks={"time": 1}, **options)
    assert bits(stored(made.path)) == bits(values)


@pytest.mark.parametrize(("fmt", "options"), TARGETS, ids=IDS)
@pytest.mark.parametrize("fill", [np.int16(-1), np.int16(0), np.float32("nan"), np.float32(1e20), np.float64(-999)])
def test_chunks_of_nothing_read_as_missing(tmp_path: Path, fmt: str, options: dict[str, Any], fill: Any) -> None:
    values = np.full((4, 2, 3), fill)
    values[0] = 7
    source = make_nc(tmp_path / "a.nc", values, {"units": "K", "_FillValue": fill}, times=range(4))
    made = to(fmt, source, tmp_path, chunks={"time": 1}, **options)
    assert np.isnan(opened(made.path)["sst"].values[1:]).all()
    assert (opened(made.path)["sst"].values[0] == 7).all()
    assert bits(stored(made.path)) == bits(values)
    if fmt == "zarr":
        chunks = [path for path in (made.path / "sst").rglob("*") if path.is_file() and path.suffix != ".json"]
        chunks = [path for path in chunks if path.name not in (".zarray", ".zattrs")]
        assert len(chunks) == 1, chunks


@pytest.mark.parametrize(("fmt", "options"), TARGETS, ids=IDS)
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
)
def test_every_type(tmp_path: Path, fmt: str, options: dict[str, Any], dtype: str) -> None:
    values = ramp(2, 3, 4, dtype=dtype)
    kind = np.dtype(dtype)
    values[0, 0, :2] = (np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)).min, values.max()
    made = to(fmt, make_nc(tmp_path / "a.nc", values, times=range(2)), tmp_path, **options)
    assert stored(made.path).dtype == kind
    assert bits(stored(made.path)) == bits(values)


@pytest.mark.parametrize(("fmt", "options"), [*TARGETS, ("cog", {})], ids=[*IDS, "cog"])
def test_netcdf_3_is_big_endian(tmp_path: Path, fmt: str, options: dict[str, Any]) -> None:
    values = ramp(2, 3, 4, dtype="int16")
    source = make_nc(tmp_path / "a.nc", values, times=range(2), fmt="NETCDF3_CLASSIC")
    made = to(fmt, source, tmp_path, **options)
    assert not made.failures
    if fmt != "cog":
        assert bits(stored(made.path)) == bits(values)
        assert stored(made.path).dtype == np.dtype("int16")
        return
    for step, artifact in enumerate(made.artifacts):
        with rasterio.open(made.root / "product" / artifact.key) as file:
            assert np.array_equal(file.read(1), values[step])


@pytest.mark.parametrize(("fmt", "options"), [*TARGETS, ("cog", {})], ids=[*IDS, "cog"])
def test_unsigned_in_netcdf_3(tmp_path: Path, fmt: str, options: dict[str, Any]) -> None:
    values = np.array([[[0, 100, 200, 255]] * 2], "uint8")
    attrs = {"units": "1", "_Unsigned": "true", "_FillValue": np.int8(-1), "scale_factor": 0.5}
    source = make_nc(tmp_path / "a.nc", values.view("int8"), attrs, fmt="NETCDF3_CLASSIC")
    made = to(fmt, source, tmp_path, **options)
    measured = made.one.variables[0].statistics
    assert measured is not None
    assert (measured.minimum, measured.maximum, measured.valid_percent) == (0, 100, 75)
    if fmt == "cog":
        with rasterio.open(made.path) as file:
            assert (file.dtypes[0], file.nodata, file.scales) == ("uint8", 255, (0.5,))
            assert np.array_equal(file.read(), values)
    else:
        assert bits(stored(made.path)) == values.tobytes()
        assert np.nanmax(opened(made.path)["sst"].values) == 100


def test_big_endian_netcdf_4_and_zarr(tmp_path: Path) -> None:
    values = ramp(1, 3, 4, dtype=">f8")
    xr.Dataset(
        {"sst": (("time", "lat", "lon"), values, {"units": "K", "crs": "EPSG:4326"})},
        {"time": ("time", [0], {"units": "days since 2020-01-01"}), "lat": [3.0, 2, 1], "lon": [1.0, 2, 3, 4]},
    ).to_zarr(tmp_path / "a.zarr", zarr_format=2)
    made = to("zarr", tmp_path / "a.zarr", tmp_path)
    assert stored(made.path).dtype == np.dtype("<f8")
    assert np.array_equal(stored(made.path), values)


@pytest.mark.parametrize(("fmt", "options"), [*TARGETS, ("cog", {})], ids=[*IDS, "cog"])
@pytest.mark.parametrize("version", [2, 3])
def test_truth_values_of_zarr(tmp_path: Path, fmt: str, options: dict[str, Any], version: int) -> None:
    values = ramp(1, 3, 4) % 2 == 0
    zarr_source(tmp_path / "a.zarr", values, version, units="1")
    made = to(fmt, tmp_path / "a.zarr", tmp_path, **options)
    if fmt == "cog":
        with rasterio.open(made.path) as file:
            assert file.dtypes == ("uint8",)
            assert np.array_equal(file.read(), values)
    else:
        assert opened(made.path)["sst"].dtype == bool
        assert np.array_equal(opened(made.path)["sst"], values)


def zarr_source(path: Path, values: np.ndarray, version: Any, **attrs: Any) -> Path:
    coords = {
        "time": ("time", np.arange(values.shape[0]), {"units": "days since 2020-01-01", "standard_name": "time"}),
        "lat": ("lat", 50.0 - np.arange(values.shape[1]), {"units": "degrees_north"}),
        "lon": ("lon", np.arange(values.shape[2]) - 10.0, {"units": "degrees_east"}),
    }
    folder = path.with_suffix("") if path.suffix == ".zip" else path
    made = xr.Dataset({"sst": (("time", "lat", "lon"), values, {"crs": "EPSG:4326", **attrs})}, coords)
    made.to_zarr(folder, zarr_format=version, consolidated=False)
    if folder != path:
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.rglob("*"):
                archive.write(file, file.relative_to(folder))
    return path


@pytest.mark.parametrize("name", ["a.zarr", "a.zarr.zip"])
@pytest.mark.parametrize("version", [2, 3])
def test_zarr_in(tmp_path: Path, name: str, version: int) -> None:
    source = zarr_source(tmp_path / name, ramp(2, 3, 4), version, units="K", nested={"a": [1, None]}, flag=True)
    for fmt in ("zarr", "netcdf"):
        made = run(profile_of(source, fmt), tmp_path / fmt)
        assert bits(stored(made.path)) == bits(ramp(2, 3, 4))
        nested = opened(made.path)["sst"].attrs["nested"]
        assert (json.loads(nested) if isinstance(nested, str) else nested) == {"a": [1, None]}
    assert not run(profile_of(source, "cog"), tmp_path / "cog").failures


def test_float32_scale_stays_float32_in_netcdf(tmp_path: Path) -> None:
    attrs = {
        "units": "K",
        "scale_factor": np.float32(0.1),
        "add_offset": np.float32(5),
        "valid_range": np.array([0, 9], "i2"),
    }
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4, dtype="int16"), attrs)
    made = to("netcdf", source, tmp_path)
    same_decoded(source, made.path)
    with netCDF4.Dataset(source) as one, netCDF4.Dataset(made.path) as other:
        assert other["sst"].scale_factor.dtype == one["sst"].scale_factor.dtype
        assert other["sst"].valid_range.dtype == np.dtype("int16")


def with_helpers(file: netCDF4.Dataset) -> None:
    file.createDimension("nv", 2)
    file.createDimension("strlen", 5)
    file["time"].bounds = "time_bnds"
    file.createVariable("time_bnds", "f8", ("time", "nv"))[:] = [[0, 1], [1, 2]]
    mask = file.createVariable("mask", "i1", ("lat", "lon"))
    mask.setncatts(
        {"units": "1", "flag_values": np.array([0, 1], "i1"), "flag_meanings": "sea land", "grid_mapping": "crs"}
    )
    mask[:] = np.arange(12).reshape(3, 4) % 2
    names = file.createVariable("orbit", "S1", ("time", "strlen"))
    names._Encoding = "ascii"
    names[:] = np.array(["abc", "defgh"], "S5")
    if file.data_model == "NETCDF4":
        label = file.createVariable("label", str, ("time",))
        label[0], label[1] = "größer", ""
    count = file.createVariable("count", "i4", ("time",), fill_value=-9)
    count[:] = np.ma.masked_equal([4, -9], -9)
    level = file.createVariable("depth", "f4", ())
    level.setncatts({"units": "m", "positive": "down"})
    level[...] = 0.5


@pytest.mark.parametrize("model", ["NETCDF4", "NETCDF3_CLASSIC"])
@pytest.mark.parametrize(("fmt", "options"), TARGETS, ids=IDS)
def test_helpers_are_kept(tmp_path: Path, fmt: str, options: dict[str, Any], model: str) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=range(2), more=with_helpers, fmt=model)
    made = to(fmt, source, tmp_path, **options)
    same_decoded(source, made.path)
    out = opened(made.path, decode_times=False)
    assert out["mask"].dims == ("lat", "lon")
    assert out["mask"].dtype == np.int8
    assert [str(v) for v in opened(made.path)["orbit"].values] == ["abc", "defgh"]
    assert out["time"].attrs["bounds"] == "time_bnds"
    assert made.one.period.end.isoformat() == "2020-01-03T00:00:00+00:00"
    assert {v.name for v in made.one.variables} == {"sst", "mask"}


def test_maps_of_a_variable_without_time_beside_one_with(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=range(2), more=with_helpers)
    made = to("cog", source, tmp_path)
    assert sorted(a.key for a in made.artifacts) == [
        f"data/demo_2020010{day}/demo_2020010{day}_{name}.tif" for day in (1, 2) for name in ("mask", "sst")
    ]


@pytest.mark.parametrize(("fmt", "options"), TARGETS, ids=IDS)
def test_explicit_chunks_beside_a_variable_without_time(tmp_path: Path, fmt: str, options: dict[str, Any]) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=range(2), more=with_helpers)
    made = to(fmt, source, tmp_path, chunks={"time": 1, "lat": 2, "lon": 2}, **options)
    assert {v.name: v.chunks for v in made.one.variables} == {"sst": (1, 2, 2), "mask": (2, 2)}


def test_latitude_and_longitude_in_the_other_order(tmp_path: Path) -> None:
    values = ramp(1, 4, 3)
    source = make_nc(tmp_path / "a.nc", values, dims=("time", "lon", "lat"))
    with rasterio.open(to("cog", source, tmp_path).path) as file:
        assert np.array_equal(file.read(1), values[0].T)
    for fmt in ("zarr", "netcdf"):
        made = run(profile_of(source, fmt), tmp_path / fmt)
        assert made.one.variables[0].dims == ("time", "lon", "lat")
        assert made.one.grid.shape == (3, 4)
        assert np.array_equal(stored(made.path), values)


def test_ascending_latitude_is_flipped(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), lat=[10.0, 11, 12])
    made = to("cog", source, tmp_path)
    with rasterio.open(made.path) as file:
        assert np.array_equal(file.read(1), ramp(3, 4)[::-1])
        assert file.bounds == (-10.5, 9.5, -6.5, 12.5)
    assert "rows flipped: north is up" in made.one.changes


def test_global_0_to_360_is_rolled(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 18, 36), lat=85.0 - 10 * np.arange(18), lon=5.0 + 10 * np.arange(36))
    made = to("cog", source, tmp_path)
    with rasterio.open(made.path) as file:
        assert file.bounds == (-180, -90, 180, 90)
        assert np.array_equal(file.read(1), np.roll(ramp(18, 36), 18, axis=1))
    assert any("rolled" in line for line in made.one.changes)


def test_almost_global_is_not_rolled(tmp_path: Path) -> None:
    lon = 1.0 + 2 * np.arange(179)  # 0 to 358: rolling would close a gap of one cell
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 179), lon=lon)
    made = to("cog", source, tmp_path)
    with rasterio.open(made.path) as file:
        assert file.bounds[0::2] == (0, 358)
        assert np.array_equal(file.read(1), ramp(3, 179))


def test_regional_beyond_180_is_named_western(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), lon=[200.0, 201, 202, 203])
    made = to("cog", source, tmp_path)
    with rasterio.open(made.path) as file:
        assert file.bounds[0::2] == (-160.5, -156.5)
        assert np.array_equal(file.read(1), ramp(3, 4))
    assert any("180" in line for line in made.one.changes)


def test_extra_dimension_of_one(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(2, 1, 3, 4), times=range(2), dims=("time", "depth", "lat", "lon"))
    made = to("cog", source, tmp_path)
    with rasterio.open(made.root / "product" / made.artifacts[1].key) as file:
        assert np.array_equal(file.read(1), ramp(2, 1, 3, 4)[1, 0])


@pytest.mark.parametrize(("fmt", "options"), TARGETS, ids=IDS)
def test_extra_dimension_of_five(tmp_path: Path, fmt: str, options: dict[str, Any]) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(2, 5, 3, 4), times=range(2), dims=("time", "depth", "lat", "lon"))
    made = to(fmt, source, tmp_path, **options)
    assert np.array_equal(stored(made.path), ramp(2, 5, 3, 4))
    assert [d.name for d in made.one.dimensions] == ["time", "depth", "lat", "lon"]
    error = run(profile_of(source, "cog"), tmp_path / "cog").error
    assert "depth (5 values)" in error
    assert "zarr" in error


def test_no_crs_names_the_key(tmp_path: Path) -> None:
    assert "source.crs" in to("zarr", make_nc(tmp_path / "a.nc", ramp(1, 3, 4), crs=False), tmp_path).error


def _without_a_figure_of_the_earth(file: Any) -> None:
    for key in ("semi_major_axis", "inverse_flattening", "longitude_of_prime_meridian"):
        file["crs"].delncattr(key)


def test_grid_mapping_without_an_ellipsoid_names_no_place(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), more=_without_a_figure_of_the_earth)
    assert "states no CRS" in to("zarr", source, tmp_path).error
    made = to("zarr", source, tmp_path, crs="EPSG:4326")
    assert opened(made.path, decode_coords="all").rio.crs.to_epsg() == 4326


def test_ellipsoid_without_a_datum_leaves_it_to_the_profile(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4))
    assert CRS.from_wkt(to("zarr", source, tmp_path).one.grid.crs).to_authority() is None
    made = to("zarr", source, tmp_path, crs="EPSG:4326")
    assert CRS.from_wkt(made.one.grid.crs).to_authority() == ("EPSG", "4326")
    assert opened(made.path, decode_coords="all").rio.crs.to_epsg() == 4326


@pytest.mark.parametrize(("fmt", "options"), TARGETS, ids=IDS)
def test_crs_of_the_profile(tmp_path: Path, fmt: str, options: dict[str, Any]) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), crs=False)
    made = to(fmt, source, tmp_path, crs="EPSG:4326", **options)
    assert opened(made.path, decode_coords="all").rio.crs.to_epsg() == 4326
    assert any("grid mapping" in line for line in made.one.changes)


@pytest.mark.parametrize(("fmt", "options"), TARGETS, ids=IDS)
def test_crs_override_replaces_the_grid_mapping(tmp_path: Path, fmt: str, options: dict[str, Any]) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4))
    made = to(fmt, source, tmp_path, crs={"value": "EPSG:4258", "override": True}, **options)
    assert opened(made.path, decode_coords="all").rio.crs.to_epsg() == 4258
    assert "4258" in to(fmt, source, tmp_path, crs="EPSG:4258", **options).error


@pytest.mark.parametrize(("fmt", "options"), TARGETS, ids=IDS)
def test_scenes_become_a_cube(tmp_path: Path, fmt: str, options: dict[str, Any]) -> None:
    for day in (3, 1, 2):
        make_tiff(tmp_path / f"ndvi_2020010{day}.tif", ramp(5, 6, dtype="int16") + day, nodata=-1, scale=0.5, units="1")
    time = {"from": "filename", "pattern": "ndvi_{start:%Y%m%d}.tif"}
    split = {"split": "none"} if fmt == "netcdf" else {}
    made = to(fmt, tmp_path / "*.tif", tmp_path, time=time, described={"ndvi": {}}, **options, **split)
    assert np.array_equal(stored(made.path, "ndvi"), [ramp(5, 6, dtype="int16") + day for day in (1, 2, 3)])
    out = opened(made.path)
    assert [str(t)[:10] for t in out["time"].values] == ["2020-01-01", "2020-01-02", "2020-01-03"]
    assert str(out["time_bnds"].values[2, 1])[:19] == "2020-01-03T23:59:59"
    assert opened(made.path, decode_coords="all").rio.crs.to_epsg() == 32631
    assert (out["x"].values[0], out["y"].values[0]) == (500005, 4599995)


@pytest.mark.parametrize(("fmt", "options"), TARGETS, ids=IDS)
def test_files_that_pack_differently_decode_exactly(tmp_path: Path, fmt: str, options: dict[str, Any]) -> None:
    for day, scale in enumerate((0.5, 0.25)):
        values = ramp(1, 3, 4, dtype="int16")
        values[0, 0, 0] = FILL
        attrs = {"units": "K", "scale_factor": scale, "_FillValue": FILL, "valid_max": np.int16(9)}
        make_nc(tmp_path / f"{day}.nc", values, attrs, times=[day])
    split = {"split": "none"} if fmt == "netcdf" else {}
    made = to(fmt, tmp_path / "*.nc", tmp_path, **options, **split)
    wanted = np.stack([ramp(3, 4) * 0.5, ramp(3, 4) * 0.25])
    wanted[:, 0, 0] = wanted[:, 2, 2:] = np.nan  # the fill, and what lies beyond valid_max
    out = opened(made.path)["sst"]
    assert np.array_equal(out, wanted, equal_nan=True)
    assert out.dtype == np.float32
    assert "valid_max" not in out.attrs
    assert any("pack" in line for line in made.one.changes)
    assert any("valid_max dropped" in line for line in made.one.changes)


@pytest.mark.parametrize(("fmt", "options"), TARGETS, ids=IDS)
def test_renamed_selected_and_described(tmp_path: Path, fmt: str, options: dict[str, Any]) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), {"long_name": "old"}, times=range(2), more=with_helpers)
    described = {"warm": {"from": "sst", "units": "degC", "long_name": "new"}}
    made = to(fmt, source, tmp_path, select=["sst"], described=described, **options)
    out = opened(made.path)
    assert set(out.data_vars) & {"sst", "warm", "mask"} == {"warm"}
    assert out["warm"].attrs["units"] == "degC"
    assert out["warm"].attrs["long_name"] == "new"
    for word in ("sst is called warm", "units added", "'old' became 'new'"):
        assert any(word in line for line in made.one.changes), (word, made.one.changes)


def test_shards(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(7, 10, 12), times=range(7))
    made = to(
        "zarr", source, tmp_path, chunks={"time": 30, "lat": 3, "lon": 4}, shards={"time": 90, "lat": 6, "lon": 8}
    )
    array = zarr.open_group(made.path, mode="r")["sst"]
    assert (array.chunks, array.shards) == ((7, 3, 4), (7, 6, 8))
    assert np.array_equal(stored(made.path), ramp(7, 10, 12))


def test_shards_that_cut_chunks_are_refused(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(7, 10, 12), times=range(7))
    error = to("zarr", source, tmp_path, chunks={"lat": 3}, shards={"lat": 7}).error
    assert "target.zarr.shards.lat" in error


@pytest.mark.parametrize("key", ["chunks", "shards"])
def test_unknown_dimension_is_named(tmp_path: Path, key: str) -> None:
    error = to("zarr", make_nc(tmp_path / "a.nc", ramp(7, 10, 12), times=range(7)), tmp_path, **{key: {"y": 5}}).error
    assert f"target.zarr.{key} names y" in error
    assert "lat" in error


@pytest.mark.parametrize(("fmt", "options"), [*TARGETS, ("zarr", {"zipped": True})], ids=[*IDS, "zip"])
def test_twice_is_the_same_bytes(tmp_path: Path, fmt: str, options: dict[str, Any]) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(7, 10, 12), times=range(7), more=None)
    first, second = (run(profile_of(source, fmt, **options), tmp_path / name).one for name in ("one", "two"))
    assert [(f.key, f.sha256) for f in first.files] == [(f.key, f.sha256) for f in second.files]


def test_global_attributes_that_differ_are_said(tmp_path: Path) -> None:
    for day in (0, 1):
        make_nc(
            tmp_path / f"{day}.nc",
            ramp(1, 3, 4),
            times=[day],
            more=lambda f, d=day: f.setncatts({"orbit": d, "sensor": "X"}),
        )
    made = to("zarr", tmp_path / "*.nc", tmp_path)
    out = opened(made.path)
    assert out.attrs["sensor"] == "X"
    assert "orbit" not in out.attrs
    assert any("orbit" in line for line in made.one.changes)


def test_single_values_that_differ_become_a_series(tmp_path: Path) -> None:
    def cycle(number: int) -> Any:
        def add(file: netCDF4.Dataset) -> None:
            file.createVariable("cycle", "i4", ())[...] = number

        return add

    for day in (0, 1):
        make_nc(tmp_path / f"{day}.nc", ramp(2, 3, 4), times=[2 * day, 2 * day + 1], more=cycle(7 + day))
    made = to("zarr", tmp_path / "*.nc", tmp_path)
    assert opened(made.path)["cycle"].values.tolist() == [7, 7, 8, 8]
    assert opened(made.path)["cycle"].dims == ("time",)


def test_missing_value_alone(tmp_path: Path) -> None:
    values = ramp(1, 3, 4)
    values[0, 0] = -99
    source = make_nc(tmp_path / "a.nc", values, {"units": "K", "missing_value": np.float32(-99)})
    made = to("zarr", source, tmp_path)
    assert np.isnan(opened(made.path)["sst"].values[0, 0]).all()
    assert any("_FillValue added" in line for line in made.one.changes)
    with rasterio.open(run(profile_of(source), tmp_path / "cog").path) as file:
        assert file.nodata == -99


def test_a_fill_value_that_the_type_cannot_hold(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(1, 3, 4, dtype="int16"), {"units": "K", "missing_value": 1e20})
    for fmt in ("zarr", "netcdf", "cog"):
        made = run(profile_of(source, fmt), tmp_path / fmt)
        assert made.one.variables[0].nodata is None
        assert made.one.variables[0].statistics is not None
        assert made.one.variables[0].statistics.valid_percent == 100


def test_stated_period_of_a_cube_without_time(tmp_path: Path) -> None:
    source = make_nc(tmp_path / "a.nc", ramp(3, 4), dims=("lat", "lon"))
    made = to("zarr", source, tmp_path, time=PERIOD)
    assert made.one.period.end.isoformat() == "2020-12-31T23:59:59+00:00"
    assert stored(made.path).shape == (3, 4)
