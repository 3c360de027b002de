import h5netcdf
import h5py
import numpy as np
import pytest
import xarray as xr

from earthcode_pack.checks import check

BIG = (40, 200, 200)  # 6.4 MB of float32


@pytest.fixture
def big(cube):
    """The cube on a grid that is too large to be fetched at once."""
    grid = {"time": np.arange(40.0), "lat": np.linspace(20, 0, 200), "lon": np.linspace(0, 20, 200)}
    values = np.random.default_rng(1).random(BIG, "f4")
    out = xr.Dataset({"sst": (("time", "lat", "lon"), values), "crs": cube["crs"]}, coords=grid, attrs=cube.attrs)
    for name in ("sst", "time", "lat", "lon"):
        out[name].attrs = {k: v for k, v in cube[name].attrs.items() if k not in ("bounds", "cell_methods")}
    return out


def paged(dataset, path, **encoding):
    with h5netcdf.File(path, "w", fs_strategy="page", fs_page_size=65536) as file:
        store = xr.backends.H5NetCDFStore(file)
        writer = xr.backends.common.ArrayWriter()
        xr.backends.writers.dump_to_store(dataset, store, writer, encoding={"sst": encoding})
        writer.sync()
    return path


def test_a_good_file_keeps_every_rule(cube, write_netcdf):
    assert check(write_netcdf(cube), deep=True) == ()


def test_a_large_file_in_pages_keeps_every_rule(big, tmp_path):
    assert check(paged(big, tmp_path / "big.nc", zlib=True, chunksizes=(10, 100, 100)), deep=True) == ()


def test_metadata_all_over_a_large_file(big, write_netcdf):
    (finding,) = check(write_netcdf(big, chunksizes=(10, 100, 100)))
    assert (finding.rule, finding.level.value) == ("NETCDF-METADATA", "info")


def test_neither_chunked_nor_compressed(big, tmp_path, broken):
    assert broken(check(paged(big, tmp_path / "big.nc", contiguous=True))) == {"NETCDF-CHUNKS", "NETCDF-COMPRESSION"}


def test_chunked_but_only_shuffled(big, tmp_path, broken):
    path = paged(big, tmp_path / "big.nc", chunksizes=(10, 100, 100), shuffle=True)
    assert broken(check(path)) == {"NETCDF-COMPRESSION"}


def test_a_chunk_above_200_megabytes(tmp_path, broken):
    path = tmp_path / "wide.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", shape=(60_000_000,), dtype="f4", chunks=(60_000_000,), compression="gzip")
    assert "NETCDF-CHUNKS" in broken(check(path))


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT"])
def test_netcdf_3(cube, tmp_path, broken, form):
    cube["crs"] = cube["crs"].astype("i4")
    cube.to_netcdf(tmp_path / "old.nc", engine="netcdf4", format=form)
    assert broken(check(tmp_path / "old.nc")) == {"NETCDF-4"}


def test_a_dimension_without_coordinate(cube, write_netcdf, broken):
    assert "NETCDF-COORDINATES" in broken(check(write_netcdf(cube.drop_vars("lat"))))


def test_curvilinear_coordinates_are_coordinates(cube, write_netcdf):
    lon, lat = np.meshgrid(cube["lon"], cube["lat"])
    curved = cube.drop_vars(["lat", "lon"]).rename(lat="y", lon="x")
    keep = ("standard_name", "long_name", "units")
    for name, values in (("lat", lat), ("lon", lon)):
        attrs = {key: cube[name].attrs[key] for key in keep}
        curved = curved.assign_coords({name: (("y", "x"), values, attrs)})
    assert check(write_netcdf(curved)) == ()


def test_groups_are_said_not_to_be_judged(cube, write_netcdf):
    path = write_netcdf(cube)
    with h5py.File(path, "a") as file:
        file.create_group("more")
    (finding,) = check(path)
    assert (finding.rule, finding.level.value, finding.measured) == ("NETCDF-GROUPS", "info", ["more"])


def test_a_damaged_chunk_is_found_by_reading_everything(cube, write_netcdf, broken):
    path = write_netcdf(cube, chunksizes=(1, 8, 10))
    with h5py.File(path) as file:
        where = file["sst"].id.get_chunk_info(2)
    raw = bytearray(path.read_bytes())
    raw[where.byte_offset : where.byte_offset + where.size] = bytes(where.size)
    path.write_bytes(raw)
    assert broken(check(path)) == set()
    assert broken(check(path, deep=True)) == {"FORMAT-UNREADABLE"}


def test_what_only_looks_like_netcdf(tmp_path, broken):
    (tmp_path / "no.nc").write_bytes(b"nothing of the kind")
    assert broken(check(tmp_path / "no.nc")) == {"FORMAT-UNREADABLE"}


def test_a_damaged_classic_file(tmp_path, broken):
    (tmp_path / "old.nc").write_bytes(b"CDF\x01 and then nothing")
    assert "FORMAT-UNREADABLE" in broken(check(tmp_path / "old.nc"))


def test_an_hdf5_file_that_is_no_netcdf_is_judged_all_the_same(tmp_path, broken):
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["a"] = np.ones((3, 3))
    assert {"CF-UNITS", "ACDD-REQUIRED", "NETCDF-COORDINATES"} <= broken(check(tmp_path / "plain.h5"))


def test_a_netcdf_3_header_that_crashes_its_library_is_a_finding(tmp_path):
    """The number of a dimension's variables has a bit flipped: netCDF-C reads out of bounds, or refuses."""
    path = tmp_path / "a.nc"
    xr.Dataset({"x": ("t", [1.0, 2.0])}, {"t": [0, 1]}).to_netcdf(path, format="NETCDF3_CLASSIC")
    raw = bytearray(path.read_bytes())
    raw[12:16] = b"\x7f\xff\xff\xff"  # nelems of dim_list (NetCDF classic format, 2)
    path.write_bytes(raw)
    (finding,) = [finding for finding in check(path, deep=True) if finding.rule == "FORMAT-UNREADABLE"]
    assert "a.nc: the library that reads it crashed" in finding.message or "NetCDF" in finding.message
