"""Files of formats that are not opened: each refusal says what they are, and what it tells to do works."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import eccodes
import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.shutil
import xarray as xr
from builders import PERIOD, make_tiff, planned, profile_of, ramp
from clockless import LONG

from earthcode_pack.cli import execute
from earthcode_pack.errors import Unreadable
from earthcode_pack.starter import starter_profile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALUES = ramp(40, 60, dtype="uint8")
Told = dict[str, str]


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[Path], Told]:
    """What ``plan`` and ``init`` say of a file, both alike: error and remedy."""

    def told(path: Path) -> Told:
        (failure,) = planned(profile_of(path, time=PERIOD)).failures
        with pytest.raises(Unreadable) as caught:
            starter_profile([str(path)], tmp_path)
        assert (caught.value.message, caught.value.remedy) == (failure.error, failure.remedy)
        assert failure.error.startswith(path.name)
        return {"error": failure.error, "remedy": failure.remedy}

    return told


def follow(said: Told, folder: Path, **words: str) -> None:
    """Runs the first command of a remedy in ``folder``, ``words`` in place of what it leaves open."""
    command = re.findall("`([^`]+)`", said["remedy"])[0]
    for word, value in words.items():
        command = command.replace(word, value)
    program, *given = shlex.split(command)
    if program == "rio":
        from click.testing import CliRunner
        from rasterio.rio.main import main_group  # a second, with matplotlib

        with contextlib.chdir(folder):
            assert CliRunner().invoke(main_group, given).exit_code == 0
        return
    program = sys.executable if program == "python" else program
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}, to try what a message tells to do")
    subprocess.run([program, *given], cwd=folder, check=True, capture_output=True, timeout=LONG)


def is_usable(path: Path, values: np.ndarray) -> bool:
    """Whether a raster is planned without a failure, and holds these values."""
    with rasterio.open(path) as file:
        return not planned(profile_of(path, time=PERIOD)).failures and (file.read(1) == values).all()


def test_the_same_words_by_plan_and_by_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b.jp2").write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n")
    (tmp_path / "p.yaml").write_text(profile_of(tmp_path / "b.jp2", time=PERIOD).to_yaml())
    failed = []
    for command in ("plan", "run"):
        assert execute([command, str(tmp_path / "p.yaml"), "--json"]) == 1
        failed += json.loads(capsys.readouterr().out)["failed"]
    assert failed[0] == failed[1]
    assert "a JPEG 2000" in failed[0]["error"]


# --- rasters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "driver", "what"),
    [
        ("b.jp2", "JP2OpenJPEG", "JPEG 2000"), ("b.img", "HFA", "Erdas"), ("b.dat", "ENVI", "ENVI"),
        ("b.bil", "EHdr", "BIL"), ("b.png", "PNG", "PNG"), ("b.gpkg", "GPKG", "GeoPackage"), ("b.vrt", "VRT", "VRT"),
        ("b.asc", "AAIGrid", "ASCII grid"), ("a b.jp2", "JP2OpenJPEG", "JPEG 2000"),
    ],
)  # fmt: skip
def test_a_raster_that_gdal_reads(
    tmp_path: Path, refused: Callable[..., Told], name: str, driver: str, what: str
) -> None:
    make_tiff(tmp_path / "source.tif", VALUES)
    options = {"REVERSIBLE": "YES", "QUALITY": "100"} if driver == "JP2OpenJPEG" else {}
    options |= {"TILE_FORMAT": "PNG"} if driver == "GPKG" else {}
    rasterio.shutil.copy(tmp_path / "source.tif", tmp_path / name, driver=driver, **options)
    said = refused(tmp_path / name)
    assert what in said["error"]
    follow(said, tmp_path)
    assert is_usable((tmp_path / name).with_suffix(".tif"), VALUES)


def test_hdf4(tmp_path: Path, refused: Callable[..., Told]) -> None:
    make_tiff(tmp_path / "source.tif", VALUES)
    drivers = (
        subprocess.run(["gdalinfo", "--formats"], capture_output=True, text=True, check=False).stdout
        if shutil.which("gdalinfo")
        else ""
    )
    if "HDF4Image" not in drivers:
        (tmp_path / "b.hdf").write_bytes(b"\x0e\x03\x13\x01" + bytes(200))
        assert "HDF4" in refused(tmp_path / "b.hdf")["error"]
        pytest.skip("needs a gdalinfo that reads HDF4, to try what the message tells to do")
    subprocess.run(
        ["gdal_translate", "-of", "HDF4Image", "source.tif", "b.hdf"], cwd=tmp_path, check=True, capture_output=True
    )
    said = refused(tmp_path / "b.hdf")
    assert "HDF4" in said["error"]
    follow(said, tmp_path)
    subprocess.run(["gdal_translate", "b.hdf", "b.tif"], cwd=tmp_path, check=True, capture_output=True)
    assert is_usable(tmp_path / "b.tif", VALUES)


# --- archives, folders ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["b.zip", "b.tar", "b.tar.gz", "b.tgz"])
def test_an_archive(tmp_path: Path, refused: Callable[..., Told], name: str) -> None:
    source = make_tiff(tmp_path / "in" / "a.tif", VALUES)
    if name.endswith("zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(source, "maps/a.tif")
    else:
        with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as archive:
            archive.add(source, "maps/a.tif")
    said = refused(tmp_path / name)
    assert "it holds maps/a.tif" in said["remedy"]
    follow(said, tmp_path, FOLDER="out")
    assert is_usable(tmp_path / "out" / "maps" / "a.tif", VALUES)


def test_a_file_in_gzip(tmp_path: Path, refused: Callable[..., Told]) -> None:
    raw = make_tiff(tmp_path / "in" / "a.tif", VALUES).read_bytes()
    (tmp_path / "a.tif.gz").write_bytes(gzip.compress(raw))
    follow(refused(tmp_path / "a.tif.gz"), tmp_path)
    assert is_usable(tmp_path / "a.tif", VALUES)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a.tif"], "maps/*.tif"),
        (["notes.txt", "more.txt", "x/a.tif"], "maps/**/*.tif"),
        (["IMG/a.jp2", "IMG/b.jp2", "manifest.safe"], "maps/**/*.jp2"),
        (["a.zarr/zarr.json", "a.zarr/t/c/0"], "maps/*.zarr"),
    ],
)
def test_a_folder_of_files(tmp_path: Path, refused: Callable[..., Told], names: list[str], told: str) -> None:
    for name in names:
        (tmp_path / "maps" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "maps" / name).write_text("x")
    said = refused(tmp_path / "maps")
    assert said["remedy"].endswith(f"such as {told}")
    pattern = re.findall(r"such as (\S+)", said["remedy"])[0]
    assert list(tmp_path.glob(pattern))


def test_an_empty_folder(tmp_path: Path, refused: Callable[..., Told]) -> None:
    (tmp_path / "maps").mkdir()
    assert "without files" in refused(tmp_path / "maps")["error"]


# --- features, tables -------------------------------------------------------------------------------------------------


FEATURES = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature", "properties": {"v": 7},
            "geometry": {"type": "Polygon", "coordinates": [[[1, 1], [5, 1], [5, 4], [1, 4], [1, 1]]]},
        }
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "driver"), [("b.json", None), ("b.shp", "ESRI Shapefile"), ("b.gpkg", "GPKG"), ("b.fgb", "FlatGeobuf")]
)
def test_features(tmp_path: Path, refused: Callable[..., Told], name: str, driver: str | None) -> None:
    (tmp_path / "f.json").write_text(json.dumps(FEATURES))
    if driver is None:
        (tmp_path / name).write_text(json.dumps(FEATURES))
    elif shutil.which("ogr2ogr"):
        subprocess.run(["ogr2ogr", "-f", driver, name, "f.json"], cwd=tmp_path, check=True, capture_output=True)
    else:
        pytest.skip("needs ogr2ogr, to write features")
    said = refused(tmp_path / name)
    said["remedy"] = said["remedy"][said["remedy"].index("`gdal_rasterize") :]
    follow(said, tmp_path, FIELD="v", XSIZE="1", YSIZE="1", NODATA="-1")
    with rasterio.open(tmp_path / "b.tif") as file:
        values = file.read(1, masked=True)
        assert values.mask.any()
        assert (values.compressed() == 7).all()
    assert not planned(profile_of(tmp_path / "b.tif", time=PERIOD)).failures


def test_a_table(tmp_path: Path, refused: Callable[..., Told]) -> None:
    """Written as the message says, it is a cube."""
    rows = [("2020-01-01", lat, lon, lat * 10 + lon) for lat in (1, 2, 3) for lon in (4, 5)]
    table = pd.DataFrame(rows, columns=["time", "lat", "lon", "v"])
    table.to_csv(tmp_path / "b.csv", index=False)
    said = refused(tmp_path / "b.csv")
    assert "text ('time,lat,lon,v' …)" in said["error"]
    table["time"] = pd.to_datetime(table["time"])
    expression = re.findall(r"`(xarray\..*?)\.to_netcdf", said["remedy"])[0]
    cube = eval(expression, {"xarray": xr, "table": table})
    for axis, units in re.findall(r"(lat|lon) \((degrees_\w+)\)", said["remedy"]):
        cube[axis].attrs["units"] = units
    cube.to_netcdf(tmp_path / "b.nc")
    made = planned(profile_of(tmp_path / "b.nc", "zarr", crs="EPSG:4326"))
    assert not made.failures
    assert made.jobs[0].grid.bounds == (3.5, 0.5, 5.5, 3.5)


# --- what is no data --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "error", "remedy"),
    [
        ("a.tif", b"", "is empty (0 bytes)", "fetch or write the file again"),
        ("a.nc", b"", "is empty (0 bytes)", "fetch or write the file again"),
        ("a.nc", b"\n<!DOCTYPE html><html>", "a page that a server sent instead", "fetch or write the file again"),
        ("a.tif", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS", "git lfs pull --include a.tif"),
        ("a.hdr", b"ENVI\nsamples = 3", "header of an ENVI raster", "source.href end like the data"),
        ("a.aux.xml", b"<PAMDataset></PAMDataset>", "notes beside a raster", "source.href end like the data"),
        ("a.bin", bytes(range(1, 200)), "unknown (it begins with", "leave it out of source.href"),
        ("a.zip", b"PK\3\4 cut off", "zip archive", "python -m zipfile"),
        ("a.grib", b"GRI", "text ('GRI' …)", "write it as NetCDF"),
    ],
)
def test_what_is_no_data(
    tmp_path: Path, refused: Callable[..., Told], *, name: str, data: bytes, error: str, remedy: str
) -> None:
    (tmp_path / name).write_bytes(data)
    said = refused(tmp_path / name)
    assert error in said["error"]
    assert remedy in said["remedy"]


# --- GRIB -------------------------------------------------------------------------------------------------------------


def make_grib(path: Path, *messages: dict[str, Any], heading: bytes = b"") -> None:
    """A GRIB 2 of 3 x 4 cells; the values of each message are its number and 11 more."""
    grid = {
        "Ni": 4, "Nj": 3, "latitudeOfFirstGridPointInDegrees": 52, "latitudeOfLastGridPointInDegrees": 50,
        "longitudeOfFirstGridPointInDegrees": 0, "longitudeOfLastGridPointInDegrees": 3,
        "iDirectionIncrementInDegrees": 1, "jDirectionIncrementInDegrees": 1, "dataDate": 20200101, "dataTime": 0,
        "bitsPerValue": 16,
    }  # fmt: skip
    with path.open("wb") as file:
        file.write(heading)
        for number, keys in enumerate(messages):
            message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            for key, value in (grid | keys).items():
                eccodes.codes_set(message, key, value)
            eccodes.codes_set_values(message, np.arange(12.0) + 100 * number)
            eccodes.codes_write(message, file)
            eccodes.codes_release(message)


def grib_copied(said: Told, folder: Path) -> list[Path]:
    """The files that the ``grib_copy`` of a remedy leaves: by ecCodes' tool, else by its Python bindings."""
    _, *options, source, target = shlex.split(re.findall("`(grib_copy [^`]+)`", said["remedy"])[0])
    before = set(folder.iterdir())
    if shutil.which("grib_copy"):
        subprocess.run(["grib_copy", *options, source, target], cwd=folder, check=True, capture_output=True)
        return sorted(set(folder.iterdir()) - before)
    unwanted = re.findall(r"count!=(\d+)", " ".join(options))
    with (folder / source).open("rb") as file:
        number = 0
        while (message := eccodes.codes_grib_new_from_file(file)) is not None:
            number += 1
            name = re.sub(r"\[(\w+)\]", lambda key: eccodes.codes_get_string(message, key[1]), target)
            if str(number) not in unwanted:
                with (folder / name).open("ab") as out:
                    eccodes.codes_write(message, out)
            eccodes.codes_release(message)
    return sorted(set(folder.iterdir()) - before)


T2 = {"shortName": "2t"}
LEVEL = {"shortName": "t", "typeOfLevel": "isobaricInhPa"}
U = {"shortName": "u", "typeOfLevel": "isobaricInhPa"}
RAIN = {"shortName": "tp"}


@pytest.mark.parametrize(
    ("messages", "error", "parts"),
    [
        ([T2, {"shortName": "10u"}], "several hypercubes: 2t (heightAboveGround 2), 10u (heightAboveGround 10)", 2),
        ([LEVEL | {"level": 1000}, LEVEL | {"level": 850}, U | {"level": 850}], "several hypercubes: t (iso", 2),
        ([T2 | {"stepRange": 3}, RAIN | {"stepRange": "0-6"}], "several hypercubes: 2t", 2),
        ([RAIN | {"stepRange": "0-6"}, RAIN | {"stepRange": "3-6"}], "messages 1 and 2 both hold tp", 2),
        ([T2, T2 | {"longitudeOfFirstGridPointInDegrees": 10, "longitudeOfLastGridPointInDegrees": 13}],
         "messages 1 and 2 both hold 2t of 20200101 0000, step 0 (md5GridSection: ", 2),
        ([T2, T2 | {"stepRange": 6}, T2], "messages 1 and 3 both hold 2t", 1),
        ([T2 | {"dataDate": day, "stepRange": step} for day in (20200101, 20200102) for step in (0, 6)],
         "2 forecast runs with 2 steps each", 2),
        ([T2 | {"dataTime": hour, "stepRange": step} for hour in (0, 1200) for step in (0, 6)],
         "2 forecast runs with 2 steps each", 2),
    ],
)  # fmt: skip
def test_messages_that_are_no_one_cube(
    tmp_path: Path, refused: Callable[..., Told], messages: list[dict[str, Any]], error: str, parts: int
) -> None:
    make_grib(tmp_path / "a.grib2", *messages)
    said = refused(tmp_path / "a.grib2")
    assert error in said["error"]
    made = grib_copied(said, tmp_path)
    assert len(made) == parts
    for path in made:
        assert not planned(profile_of(path, "zarr")).failures


def test_a_grib_behind_the_heading_of_a_bulletin(tmp_path: Path, refused: Callable[..., Told]) -> None:
    make_grib(tmp_path / "a.grib2", T2, heading=b"\x01\r\r\n123\r\r\nHTXX11 ECMF 010000\r\r\n")
    said = refused(tmp_path / "a.grib2")
    assert "a GRIB behind another heading" in said["error"]
    if shutil.which("grib_copy") is None:
        pytest.skip("needs grib_copy, to try what the message tells to do")
    (made,) = grib_copied(said, tmp_path)
    assert not planned(profile_of(made, "zarr")).failures
