import sys
import zipfile

import pytest
from services.web import serving

from earthcode_pack.checks import check
from earthcode_pack.checks.targets import by_name, kind_of
from earthcode_pack.errors import OutsideError, UserError


@pytest.mark.parametrize("name", ["readme.txt", "data.csv", "folder"])
def test_what_is_nothing_known_is_named(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.write_text("x")
    with pytest.raises(UserError, match=name) as error:
        check(path)
    assert "STAC" in error.value.remedy


def test_what_does_not_exist_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.tif: no such file"):
        check(tmp_path / "gone.tif")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "no STAC"),
        ('{"type": "Feature"}', "stac_version"),
        ('{"type": "FeatureCollection"}', "no STAC"),
    ],
)
def test_json_that_is_no_stac_says_why(tmp_path, text, said):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=said):
        check(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("marks", "kind"),
    [
        (["profile.yaml", "product/collection.json"], "bundle"),
        (["collection.json", "manifest.json"], "product"),
        ([".zgroup"], "zarr"),
        (["zarr.json"], "zarr"),
    ],
)
def test_folders_by_what_they_hold(tmp_path, marks, kind):
    for mark in marks:
        (tmp_path / mark).parent.mkdir(exist_ok=True)
        (tmp_path / mark).touch()
    assert kind_of(str(tmp_path)) == kind


def test_names_of_any_case():
    assert [by_name(name) for name in ("A.TIFF", "a.Zarr/", "a.nc4", "a.gpkg")] == ["cog", "zarr", "netcdf", None]


def test_the_import_is_light():
    import subprocess

    heavy = "rasterio xarray zarr h5py jsonschema pystac matplotlib"
    code = f"import sys, earthcode_pack.checks; print([m for m in {heavy.split()!r} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


# --- remote


@pytest.fixture
def served(tmp_path):
    """The test's folder behind http on loopback."""
    with serving(tmp_path) as web:
        yield web.url


def test_a_remote_cog(make_cog, tmp_path, served, broken):
    make_cog(tmp_path / "good.tif")
    make_cog(tmp_path / "poor.tif", units=None)
    assert check(f"{served}/good.tif") == ()
    assert broken(check(f"{served}/poor.tif")) == {"COG-UNITS"}


@pytest.mark.parametrize("version", [2, 3])
def test_a_remote_store(cube, write_zarr, served, version):
    write_zarr(cube, version=version)
    (finding,) = check(f"{served}/demo.zarr")
    assert (finding.rule, finding.level.value) == ("ZARR-NOT-LISTED", "info")


def test_a_remote_netcdf(cube, write_netcdf, served):
    write_netcdf(cube)
    assert check(f"{served}/demo.nc") == ()


@pytest.mark.parametrize("name", ["a.tif", "a.nc", "a.zarr", "a.json"])
def test_a_remote_file_that_is_not_there_is_the_outside_worlds_fault(served, name):
    with pytest.raises(OutsideError, match=name):
        check(f"{served}/{name}")


@pytest.mark.parametrize("version", [2, 3])
def test_a_remote_zip_is_read_by_ranges(cube, write_zarr, tmp_path, version):
    store = write_zarr(cube, version=version)
    with zipfile.ZipFile(tmp_path / "demo.zarr.zip", "w") as archive:
        for file in sorted(p for p in store.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(store).as_posix())
    with serving(tmp_path) as web:
        assert check(f"{web.url}/demo.zarr.zip") == check(tmp_path / "demo.zarr.zip") == ()


def test_a_remote_zip_that_holds_the_folder(cube, write_zarr, tmp_path, broken, served):
    store = write_zarr(cube, version=2)
    with zipfile.ZipFile(tmp_path / "bad.zarr.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in store.rglob("*") if p.is_file()):
            archive.write(file, f"demo.zarr/{file.relative_to(store).as_posix()}")
    assert broken(check(f"{served}/bad.zarr.zip")) == {"ZARR-ZIP-ROOT", "ZARR-ZIP-STORED"}
