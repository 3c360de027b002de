import json
import shutil
import zipfile

import numpy as np
import pytest
import zarr

from earthcode_pack.checks import check
from earthcode_pack.checks.zarr_store import MANY


@pytest.mark.parametrize("version", [2, 3])
def test_a_good_store_keeps_every_rule(cube, write_zarr, version):
    assert check(write_zarr(cube, version=version), deep=True) == ()


def zipped(folder, path, compression=zipfile.ZIP_STORED, prefix=""):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_a_good_zipped_store(cube, write_zarr, tmp_path, version):
    assert check(zipped(write_zarr(cube, version=version), tmp_path / "demo.zarr.zip"), deep=True) == ()


def test_a_deflated_zip(cube, write_zarr, tmp_path, broken):
    path = zipped(write_zarr(cube), tmp_path / "demo.zarr.zip", zipfile.ZIP_DEFLATED)
    assert broken(check(path)) == {"ZARR-ZIP-STORED"}


def test_a_zip_of_the_folder_instead_of_its_content(cube, write_zarr, tmp_path, broken):
    path = zipped(write_zarr(cube, version=2), tmp_path / "demo.zarr.zip", prefix="demo.zarr/")
    assert broken(check(path)) == {"ZARR-ZIP-ROOT"}


def test_a_zip_without_attributes_fails_in_the_prr(cube, write_zarr, tmp_path, broken):
    store = write_zarr(cube, version=2)
    (store / ".zattrs").unlink()
    assert "ZARR-ZIP-ROOT" in broken(check(zipped(store, tmp_path / "demo.zarr.zip")))


@pytest.mark.parametrize("version", [2, 3])
def test_no_consolidated_metadata(cube, write_zarr, broken, version):
    assert broken(check(write_zarr(cube, version=version, consolidated=False))) == {"ZARR-CONSOLIDATED"}


def test_consolidated_metadata_of_an_older_state(cube, write_zarr, broken):
    store = write_zarr(cube, version=2)
    shutil.rmtree(store / "time_bnds")
    found = check(store)
    assert "ZARR-CONSOLIDATED-STALE" in broken(found)
    assert any("time_bnds" in finding.message for finding in found)


def test_a_v2_array_without_dimension_names(cube, write_zarr, broken):
    store = write_zarr(cube, version=2)
    attrs = json.loads((store / "sst" / ".zattrs").read_text())
    del attrs["_ARRAY_DIMENSIONS"]
    (store / "sst" / ".zattrs").write_text(json.dumps(attrs))
    zarr.consolidate_metadata(str(store), zarr_format=2)
    assert broken(check(store)) == {"ZARR-DIMENSION-NAMES"}


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_v3_array_without_dimension_names(tmp_path, broken):
    group = zarr.create_group(tmp_path / "bare.zarr")
    group.create_array("a", data=np.ones((4, 4), "f4"))
    zarr.consolidate_metadata(group.store)
    assert broken(check(tmp_path / "bare.zarr")) == {"ZARR-DIMENSION-NAMES"}


def test_a_dimension_without_coordinate(cube, write_zarr, broken):
    assert "ZARR-COORDINATES" in broken(check(write_zarr(cube.drop_vars("lat"))))


def test_an_empty_store(tmp_path, broken):
    zarr.create_group(tmp_path / "empty.zarr", zarr_format=2)
    zarr.consolidate_metadata(str(tmp_path / "empty.zarr"), zarr_format=2)
    assert broken(check(tmp_path / "empty.zarr")) == {"ZARR-EMPTY"}


def test_several_tiny_chunks_are_worth_a_word(cube, write_zarr):
    (finding,) = check(write_zarr(cube, encoding={"sst": {"chunks": (1, 8, 10)}}))
    assert (finding.rule, finding.level.value, finding.measured["chunks"]) == ("ZARR-CHUNK-SMALL", "info", 3)


def test_thousands_of_tiny_chunks_are_a_warning(cube, write_zarr, broken):
    long = cube.isel(time=np.zeros(MANY + 1, int)).assign_coords(time=np.arange(MANY + 1.0)).drop_vars("time_bnds")
    long["time"].attrs = {k: v for k, v in cube["time"].attrs.items() if k != "bounds"}
    long["sst"].attrs.pop("cell_methods")
    assert broken(check(write_zarr(long, encoding={"sst": {"chunks": (1, 8, 10)}}))) == {"ZARR-MANY-SMALL"}


def test_shards_count_as_the_objects_that_they_are(cube, write_zarr):
    assert check(write_zarr(cube, encoding={"sst": {"chunks": (1, 8, 10), "shards": (3, 8, 10)}}), deep=True) == ()


def test_a_chunk_above_200_megabytes(cube, write_zarr, broken):
    store = write_zarr(cube)
    with (store / "sst" / "c" / "0" / "0" / "0").open("ab") as file:
        file.truncate(200_000_001)
    assert "ZARR-CHUNK-LARGE" in broken(check(store))


def test_a_chunk_that_claims_to_decode_to_a_terabyte_is_not_read(cube, write_zarr):
    store = write_zarr(cube)
    for path in (store / "sst" / "zarr.json", store / "zarr.json"):
        path.write_text(
            path.read_text().replace('"chunk_shape": [\n            3,', '"chunk_shape": [\n            3000000000,')
        )
    text = (store / "sst" / "zarr.json").read_text()
    node = json.loads(text)
    node["chunk_grid"]["configuration"]["chunk_shape"] = [3000000000, 8, 10]
    node["shape"] = [3000000000, 8, 10]
    (store / "sst" / "zarr.json").write_text(json.dumps(node))
    root = json.loads((store / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"]["sst"] = node
    (store / "zarr.json").write_text(json.dumps(root))
    messages = [finding.message for finding in check(store, deep=True)]
    assert any("was not read" in message or "conflicting sizes" in message for message in messages), messages


def test_a_stored_chunk_of_fill_values_is_seen_by_reading_everything(cube, write_zarr, broken):
    cube["sst"][1] = np.nan
    chunks = {"chunks": (1, 8, 10)}
    store = write_zarr(cube, encoding={"sst": chunks}, write_empty_chunks=True)
    assert "ZARR-FILL-ONLY" not in broken(check(store))
    assert "ZARR-FILL-ONLY" in broken(check(store, deep=True))
    sparse = write_zarr(cube, "sparse.zarr", encoding={"sst": chunks}, write_empty_chunks=False)
    assert "ZARR-FILL-ONLY" not in broken(check(sparse, deep=True))


def test_a_fill_value_that_is_not_the_nodata(cube, write_zarr, broken):
    cube["sst"] = cube["sst"].astype("int16").assign_attrs(cube["sst"].attrs | {"_FillValue": np.int16(-9)})
    assert broken(check(write_zarr(cube))) == {"ZARR-FILL-VALUE"}
    assert check(write_zarr(cube, "v2.zarr", version=2)) == ()


def test_a_damaged_chunk(cube, write_zarr, broken):
    store = write_zarr(cube)
    (store / "sst" / "c" / "0" / "0" / "0").write_bytes(b"no zstd")
    assert "FORMAT-UNREADABLE" in broken(check(store))


def test_metadata_that_are_no_json(cube, write_zarr, broken):
    store = write_zarr(cube)
    (store / "zarr.json").write_text("{")
    assert broken(check(store)) == {"FORMAT-UNREADABLE"}


def test_a_zip_that_is_none(tmp_path, broken):
    (tmp_path / "x.zarr.zip").write_bytes(b"PK no")
    assert broken(check(tmp_path / "x.zarr.zip")) == {"FORMAT-UNREADABLE"}


def test_a_pyramid_is_looked_at_level_by_level(cube, write_zarr):
    store = write_zarr(cube, group="0")
    write_zarr(cube.isel(lat=slice(None, None, 2)), group="1", mode="a")
    with pytest.warns(UserWarning, match="Consolidated"):
        zarr.consolidate_metadata(str(store), zarr_format=3)
    assert check(store, deep=True) == ()
