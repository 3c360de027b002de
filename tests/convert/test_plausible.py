"""Headers that claim what cannot be: sizes, places, numbers and text, each refused or told in one sentence."""

from __future__ import annotations

import json
import os
import zipfile
from typing import TYPE_CHECKING

import h5py
import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr
from builders import PERIOD, make_nc, make_tiff, make_zarr, opened, planned, profile_of, ramp, run

from earthcode_pack import pipeline, storage
from earthcode_pack.convert.read.plausible import printable, refuse_beyond_budget
from earthcode_pack.errors import Unreadable
from earthcode_pack.profile.model import Compute
from earthcode_pack.sources.discover import discover

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.profile import Profile

Affine = rasterio.Affine
CRS = {"value": "EPSG:4326", "override": True}


def error_of(profile: Profile) -> str:
    """What is said of the only source, at the dry run."""
    failures = planned(profile).failures
    assert len(failures) == 1, failures
    assert "\n" not in failures[0].error
    return f"{failures[0].error} — {failures[0].remedy}"


# --- sizes ----------------------------------------------------------------------------------------------------------


def _giant(path: Path, edge: int) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", width=edge, height=edge, count=1, dtype="uint8", sparse_ok=True, tiled=True,
        blockxsize=4096, blockysize=4096, BIGTIFF="YES", crs="EPSG:3035", transform=Affine(10, 0, 0, 0, -10, 0),
    ):  # fmt: skip
        return path


def test_sparse_giant(tmp_path: Path) -> None:
    path = _giant(tmp_path / "a.tif", 10**6)
    assert path.stat().st_size < 10**6
    error = error_of(profile_of(path, time=PERIOD))
    assert "a.tif: " in error
    assert "that claim to hold 1 TB: no compression makes so much of data" in error
    assert "set compute.max_decoded: 1 TB" in error
    allowed = profile_of(path, time=PERIOD).model_copy(update={"compute": Compute(max_decoded="1 TB")})
    assert not planned(allowed).failures, "the remedy works"


def test_max_decoded_bounds_what_the_default_lets_through(tmp_path: Path) -> None:
    profile = profile_of(make_tiff(tmp_path / "a.tif", ramp(30, 40)), time=PERIOD)
    assert not planned(profile).failures
    bounded = profile.model_copy(update={"compute": Compute(max_decoded=4000)})
    assert "claim to hold 4.8 kB: compute.max_decoded is 4 kB" in error_of(bounded)


def test_budget_needs_both_size_and_ratio() -> None:
    refuse_beyond_budget(10**10, 1, "a", None)
    refuse_beyond_budget(11 * 10**11, 10**9, "a", None)
    with pytest.raises(Unreadable, match=r"a: 1 GB that claim to hold 1\.1 TB"):
        refuse_beyond_budget(11 * 10**11 + 1, 10**9, "a", None)


def test_file_of_holes_is_not_hashed(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", ramp(3, 4))
    os.truncate(path, 2**40)
    assert "that claim to hold 1.1 TB" in error_of(profile_of(path, time=PERIOD))


@pytest.mark.parametrize("shape", [(10**7, 10**7), (10**9, 10**9)])
def test_zarr_that_claims_terabytes(tmp_path: Path, shape: tuple[int, int]) -> None:
    store = make_zarr(tmp_path / "a.zarr")
    for name, size in (("lat", shape[0]), ("lon", shape[1]), ("sst", None)):
        told = json.loads((store / name / "zarr.json").read_text())
        told["shape"] = [2, *shape] if size is None else [size]
        (store / name / "zarr.json").write_text(json.dumps(told))
    assert "a.zarr: " in error_of(profile_of(store, "zarr", crs=CRS))


def test_zip_bomb(tmp_path: Path) -> None:
    store = make_zarr(tmp_path / "a.zarr")
    with zipfile.ZipFile(tmp_path / "b.zarr.zip", "w", zipfile.ZIP_LZMA) as archive:
        for file in store.rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(store))
        archive.writestr("sst/c/9/0/0", bytes(200 * 10**6))
    error = error_of(profile_of(tmp_path / "b.zarr.zip", "zarr", crs=CRS))
    assert "b.zarr.zip: " in error
    assert "that claim to hold 200 MB" in error


# --- places ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32631"])
@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (Affine(1e300, 0, 0, 0, -1e300, 0), "which is nowhere in"),
        (Affine(1e10, 0, 0, 0, -1e10, 0), "which is nowhere in"),
        (Affine(0, 0, 10, 0, 0, 10), "its pixels have no size or no place"),
        (Affine(1e-300, 0, 10, 0, -1e-300, 10), "its pixels have no size or no place"),
        (Affine(float("nan"), 0, 10, 0, -1, 10), "its pixels have no size or no place"),
        (Affine(1, 0, float("inf"), 0, -1, 10), "its pixels have no size or no place"),
    ],
)
def test_pixels_that_lie(tmp_path: Path, transform: Affine, said: str, crs: str) -> None:
    path = make_tiff(tmp_path / "a.tif", ramp(3, 4), transform=transform, crs=crs)
    for fmt in ("cog", "zarr"):
        error = error_of(profile_of(path, fmt, time=PERIOD))
        assert error.startswith("a.tif: ")
        assert said in error


@pytest.mark.parametrize(
    ("lat", "said"),
    [
        ([5.0, 5, 5], "its 3 cells along y all lie at 5"),
        ([5, 5 + 1e-15, 5 + 2e-15], "its 3 cells along y all lie at 5"),
        ([500.0, 400, 300], "which is nowhere in"),
        ([1e300, 1e299, 0], "1e+300"),
    ],
)
def test_latitudes_that_lie(tmp_path: Path, lat: list[float], said: str) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(1, 3, 4), lat=lat)
    for fmt in ("cog", "netcdf"):
        assert said in error_of(profile_of(path, fmt))


def test_half_a_cell_beyond_the_poles_is_a_place(tmp_path: Path) -> None:
    lat, lon = np.linspace(90, -90, 19), np.linspace(0, 350, 36)
    path = make_nc(tmp_path / "a.nc", ramp(1, 19, 36), lat=lat, lon=lon)
    assert not planned(profile_of(path, "netcdf")).failures


@pytest.mark.parametrize("unlimited", [False, True])
def test_scales_shorter_than_the_data(tmp_path: Path, unlimited: bool) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        sizes = (None, None, None) if unlimited else (1, 6, 8)
        file.create_dataset("sst", data=ramp(1, 6, 8), maxshape=sizes)
        for axis, (name, values, units) in enumerate(
            [("time", [0.0], "days since 2020-01-01"), ("lat", [50.0, 49, 48], "degrees_north"),
             ("lon", [1.0, 2, 3, 4], "degrees_east")]
        ):  # fmt: skip
            file.create_dataset(name, data=values, maxshape=(None if unlimited else len(values),))
            file[name].attrs["units"] = units
            file[name].make_scale(name)
            file["sst"].dims[axis].attach_scale(file[name])
    error = error_of(profile_of(path, "netcdf", crs=CRS))
    assert ("lon is not monotonic" if unlimited else "sst has 6 values along lat, which has 3") in error


# --- numbers and text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["scale_factor", "add_offset"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_packing_that_is_no_number(tmp_path: Path, key: str, value: float) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(1, 3, 4, dtype="int16"), {"units": "K", key: np.float64(value)})
    for fmt in ("cog", "zarr"):
        assert f"a.nc: the {key} of sst is {value}" in error_of(profile_of(path, fmt))
    tiff = make_tiff(tmp_path / "a.tif", ramp(3, 4), **{"scale" if key == "scale_factor" else "offset": value})
    assert f"a.tif: the {key} of band_1 is {value}" in error_of(profile_of(tiff, time=PERIOD))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("where", ["", "sst"])
def test_attributes_nested_without_end(tmp_path: Path, version: int, where: str) -> None:
    store = make_zarr(tmp_path / "a.zarr", version)
    path = store / where / (".zattrs" if version == 2 else "zarr.json")
    deep = '{"a":' * 200 + "1" + "}" * 200
    told = json.loads(path.read_text())
    held = told if version == 2 else told["attributes"]
    held["deep"] = "HERE"
    path.write_text(json.dumps(told).replace('"HERE"', deep))
    error = error_of(profile_of(store, "zarr", crs=CRS))
    assert "a.zarr: the attribute deep" in error
    assert "is nested deeper than 64 levels" in error
    path.write_text(json.dumps(told).replace('"HERE"', '{"a":' * 100_000 + "1" + "}" * 100_000))
    assert "a.zarr" in error_of(profile_of(store, "zarr", crs=CRS))


def _latin_1(path: Path, kind: str) -> Path:
    made = make_nc(path.with_name("made"), ramp(1, 3, 4))
    if kind == "classic":
        xr.load_dataset(made, decode_cf=False).to_netcdf(path, format="NETCDF3_CLASSIC", engine="netcdf4")
        with netCDF4.Dataset(path, "a") as file:
            file.institution, file["sst"].comment = "Universit@ de Li#ge", "in @C"
        path.write_bytes(path.read_bytes().replace(b"Universit@ de Li#ge", b"Universit\xe9 de Li\xe8ge"))
        path.write_bytes(path.read_bytes().replace(b"in @C", b"in \xb0C"))
        return path
    made.rename(path)
    with h5py.File(path, "a") as file:
        file.attrs.create("institution", np.bytes_(b"Universit\xe9 de Li\xe8ge"))
        file["sst"].attrs.create("comment", np.bytes_(b"in \xb0C"))
    return path


@pytest.mark.parametrize("kind", ["classic", "hdf5"])
@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_latin_1_in_attributes(tmp_path: Path, kind: str, fmt: str) -> None:
    profile = profile_of(_latin_1(tmp_path / "a.nc", kind), fmt)
    (source,) = discover(profile, storage.IdentityCache()).sources
    told = sorted(note.message for note in source.notes if note.rule == "CF-TEXT")
    assert told == [
        "a.nc: the attribute comment of sst is no UTF-8; read as Latin-1 it is 'in °C'",
        "a.nc: the attribute institution is no UTF-8; read as Latin-1 it is 'Université de Liège'",
    ]
    made = run(profile, tmp_path / "out")
    if fmt == "cog":
        with rasterio.open(made.path) as raster:
            assert raster.tags(1)["comment"] == "in °C"
    else:
        assert opened(made.path).sst.attrs["comment"] == "in °C"


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    make_tiff(tmp_path / "good.tif", ramp(3, 4))
    bad = os.fsencode(make_tiff(tmp_path / "e.tif", ramp(3, 4))).replace(b"e.tif", b"caf\xe9.tif")
    (tmp_path / "e.tif").rename(os.fsdecode(bad))
    made = run(profile_of(tmp_path / "*.tif", time=PERIOD), tmp_path / "out")
    assert "caf\\xe9.tif: its name is no UTF-8" in made.error
    assert json.loads(made.failures[0].to_json())["source"].endswith("caf\\xe9.tif")
    assert len(made.artifacts) == 1
    assert printable("plain.nc") == "plain.nc"


def test_damaged_block_is_one_sentence_with_its_cause(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.random.default_rng(1).integers(0, 255, (300, 300)).astype("uint8")
    path = make_tiff(tmp_path / "a.tif", values, compress="deflate")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 50] = b"\xff" * 50
    path.write_bytes(data)
    error = run(profile_of(path, time=PERIOD), tmp_path / "out").error
    assert "of a.tif: CPLE_AppDefinedError: " in error
    assert "See previous exception" not in error
    assert not [line for line in caplog.records if line.exc_info]


@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_values_at_the_end_of_the_numbers_make_a_product(tmp_path: Path, fmt: str) -> None:
    values = ramp(1, 3, 4, dtype="float64")
    values[0, :, 0], values[0, :, 1] = 1.7e308, -1.7e308
    bundle = pipeline.prepare(profile_of(make_nc(tmp_path / "a.nc", values), fmt), tmp_path / "w")
    summary = pipeline.summarise(bundle)
    assert (summary.assets, summary.failed) == (1, ())
    for path in bundle.product.rglob("*.json"):
        json.loads(path.read_text(), parse_constant=_not_json)


def _not_json(name: str) -> None:
    raise AssertionError(f"{name} is no JSON (RFC 8259)")


def test_half_a_surrogate_pair_in_an_attribute(tmp_path: Path) -> None:
    store = make_zarr(tmp_path / "a.zarr", 2)
    (name,) = [
        path.parent.name for path in store.glob("*/.zattrs") if "units" in path.read_text() and "K" in path.read_text()
    ]
    path = store / name / ".zattrs"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"comment": "\ud800"}))
    (store / ".zmetadata").unlink(missing_ok=True)
    assert f"the attribute comment of {name} holds half a surrogate pair" in error_of(profile_of(store, "netcdf"))


def test_crs_of_another_planet_is_one_files_failure(tmp_path: Path) -> None:
    def mars(file: netCDF4.Dataset) -> None:
        file["crs"].setncatts({"semi_major_axis": 3396190.0, "inverse_flattening": 169.89})

    make_nc(tmp_path / "raw" / "a.nc", ramp(1, 3, 4), more=mars)
    make_nc(tmp_path / "raw" / "b.nc", ramp(1, 3, 4), times=(1,))
    result = planned(profile_of(tmp_path / "raw" / "*.nc", "netcdf"))
    assert [failure.source.rpartition("/")[2] for failure in result.failures] == ["a.nc"]
    assert len(result.jobs) == 1
