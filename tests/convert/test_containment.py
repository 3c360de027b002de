"""Inputs whose values lie in other files, or whose links lead out: refused by name before a value is read."""

from __future__ import annotations

import json
import os
import pickle
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import xarray as xr
from builders import PERIOD, make_nc, make_tiff, make_zarr, profile_of, ramp, run

from earthcode_pack import storage
from earthcode_pack.errors import Unreadable
from earthcode_pack.profile import load_profile
from earthcode_pack.sources.discover import discover
from earthcode_pack.starter import starter_profile
from earthcode_pack.storage.containment import refuse_values_elsewhere
from earthcode_pack.storage.zarr_codecs import local_documents, refuse_undecodable

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.profile import Profile

SECRET = np.arange(12.0) + 7000  # what must not come out


def found_in(profile: Profile) -> tuple[list[str], list[str]]:
    """The names of the sources that can be used, and the errors with their remedies."""
    sources = discover(profile, storage.IdentityCache())
    return [Path(s.href).name for s in sources.sources], [f"{f.error} — {f.remedy}" for f in sources.failures]


# --- HDF5 and NetCDF-4: links and storage that leave the file -------------------------------------------------------


def _secret(folder: Path) -> Path:
    path = folder / "secret" / "s.h5"
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file["sst"] = SECRET.reshape(1, 3, 4)
        file["lat"] = [50.0, 49, 48]
    (folder / "secret" / "s.bin").write_bytes(SECRET.tobytes())
    return path


def _external_link(file: h5py.File, folder: Path) -> None:
    del file["sst"]
    file["sst"] = h5py.ExternalLink(str(_secret(folder)), "sst")


def _external_coordinate(file: h5py.File, folder: Path) -> None:
    file["lat_of_others"] = h5py.ExternalLink(str(_secret(folder)), "lat")


def _external_link_in_a_group(file: h5py.File, folder: Path) -> None:
    file["deep/deeper/sst"] = h5py.ExternalLink(str(_secret(folder)), "sst")


def _external_group(file: h5py.File, folder: Path) -> None:
    file["deep"] = h5py.ExternalLink(str(_secret(folder)), "/")


def _relative_external_link(file: h5py.File, folder: Path) -> None:
    _secret(folder)
    file["other"] = h5py.ExternalLink("../secret/s.h5", "sst")


def _raw_storage(file: h5py.File, folder: Path) -> None:
    del file["sst"]
    where = [(str(_secret(folder).with_suffix(".bin")), 0, SECRET.nbytes)]
    file.create_dataset("sst", (1, 3, 4), "f8", external=where)


def _raw_storage_of_a_coordinate(file: h5py.File, _folder: Path) -> None:
    file.create_dataset("deep/passwords", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def _virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((1, 3, 4), "f8")
    layout[:] = h5py.VirtualSource(str(_secret(folder)), "sst", (1, 3, 4))
    del file["sst"]
    file.create_virtual_dataset("sst", layout)


def _virtual_in_a_group(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(_secret(folder)), "lat", (3,))
    file.create_virtual_dataset("deep/lat", layout)


LEAVING: list[tuple[Callable[[h5py.File, Path], None], str]] = [
    (_external_link, r"sst is an external link to .*s\.h5"),
    (_external_coordinate, r"lat_of_others is an external link"),
    (_external_link_in_a_group, r"deep/deeper/sst is an external link"),
    (_external_group, r"deep is an external link"),
    (_relative_external_link, r"other is an external link to \.\./secret/s\.h5"),
    (_raw_storage, r"sst is stored in another file, .*s\.bin"),
    (_raw_storage_of_a_coordinate, r"deep/passwords is stored in another file, /etc/passwd"),
    (_virtual, r"sst is a virtual dataset of another file, .*s\.h5"),
    (_virtual_in_a_group, r"deep/lat is a virtual dataset"),
]


@pytest.mark.parametrize(("leave", "said"), LEAVING, ids=lambda value: getattr(value, "__name__", None))
@pytest.mark.parametrize("name", ["a.nc", "a.h5"])
def test_hdf5_that_leaves_its_file(tmp_path: Path, name: str, leave: Any, said: str) -> None:
    path = make_nc(tmp_path / "raw" / name, ramp(1, 3, 4))
    make_nc(tmp_path / "raw" / f"good_{name}", ramp(1, 3, 4) + 50)
    with h5py.File(path, "a") as file:
        leave(file, tmp_path)
    names, errors = found_in(profile_of(tmp_path / "raw" / "*", "netcdf", time=PERIOD))
    assert names == [f"good_{name}"]
    assert len(errors) == 1
    with pytest.raises(Unreadable, match=rf"{name}: {said}.*: only what lies in the file itself is read"):
        refuse_values_elsewhere(path)


def test_the_remedy_brings_the_values_into_one_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "OLD", "w") as file:
        file.create_dataset("a", (12,), "f8", external=[(str(_secret(tmp_path).with_suffix(".bin")), 0, SECRET.nbytes)])
        file["b"] = h5py.ExternalLink(str(tmp_path / "secret" / "s.h5"), "sst")
        layout = h5py.VirtualLayout((1, 3, 4), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret" / "s.h5"), "sst", (1, 3, 4))
        file.create_virtual_dataset("c", layout)
    with pytest.raises(Unreadable) as refusal:
        refuse_values_elsewhere(tmp_path / "OLD")
    command = shlex.split(refusal.value.remedy.split("`")[1])
    subprocess.run([sys.executable, *command[1:]], cwd=tmp_path, check=True, timeout=300)
    refuse_values_elsewhere(tmp_path / "NEW.nc")
    with xr.open_dataset(tmp_path / "NEW.nc") as dataset:
        assert all(dataset[name].values.ravel().tolist() == SECRET.tolist() for name in "abc")


def test_links_within_an_hdf5_file_are_its_own(tmp_path: Path) -> None:
    path = make_nc(tmp_path / "a.nc", ramp(1, 3, 4))
    with h5py.File(path, "a") as file:
        file["g/again"] = file["sst"]
        file["g/circle"] = h5py.SoftLink("/g")
        file["g/up"] = file["/"]
        file["nowhere"] = h5py.SoftLink("/not/there")
        layout = h5py.VirtualLayout((1, 3, 4), "f4")
        layout[:] = h5py.VirtualSource(".", "sst", (1, 3, 4))
        file.create_virtual_dataset("g/view", layout)
    refuse_values_elsewhere(path)


# --- Zarr: links and codecs -----------------------------------------------------------------------------------------


def _zarr_profile(href: Path, **source: Any) -> Profile:
    made = profile_of(href, "zarr", crs="EPSG:4326")
    return made.model_copy(update={"source": made.source.model_copy(update=source)})


def _swap(path: Path, target: Path) -> None:
    """Moves a file or folder away, and leaves a link."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    path.symlink_to(os.path.relpath(target, path.parent))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("part", ["chunk", "array", "metadata", "chunk to /etc/passwd"])
def test_links_that_leave_a_zarr_store(tmp_path: Path, version: int, part: str) -> None:
    store = make_zarr(tmp_path / "raw" / "a.zarr", version)
    chunk = store / "sst" / ("c/1/0/0" if version == 3 else "1.0.0")
    link = {"array": store / "sst", "metadata": store / ("zarr.json" if version == 3 else ".zgroup")}.get(part, chunk)
    if part == "chunk to /etc/passwd":
        chunk.unlink()
        chunk.symlink_to("/etc/passwd")
    else:
        _swap(link, tmp_path / "outside" / link.name)
    _, (error,) = found_in(_zarr_profile(store))
    assert f"a.zarr: {link.relative_to(store).as_posix()} is a link that leaves it, to " in error
    with pytest.raises(Unreadable, match="is a link that leaves it"):
        starter_profile([str(store)])


def test_follow_lets_links_lead_to_a_folder_that_the_profile_names(tmp_path: Path) -> None:
    store = make_zarr(tmp_path / "raw" / "a.zarr")
    whole = storage.identify(str(store))
    _swap(store / "sst", tmp_path / "pool" / "sst")
    _swap(tmp_path / "pool" / "sst" / "c" / "0", tmp_path / "pool" / "0")
    _, (error,) = found_in(_zarr_profile(store))
    assert f"source.follow: [{tmp_path}/pool]" in error
    made = run(_zarr_profile(store, follow=[str(tmp_path / "pool")]), tmp_path / "out")
    assert not made.failures
    assert made.one.sources == ((str(store), whole[1]),), "what is behind the links is hashed"
    _, (error,) = found_in(_zarr_profile(store, follow=[str(tmp_path / "poo")]))
    assert "is a link that leaves it" in error


def test_follow_is_relative_to_the_profile(tmp_path: Path) -> None:
    text = json.dumps(profile_of("raw/a.zarr", "zarr").model_dump(mode="json", by_alias=True, exclude_unset=True))
    data = json.loads(text)
    data["source"] |= {"href": "raw/a.zarr", "follow": "../pool"}
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "profile.yaml").write_text(json.dumps(data))
    assert load_profile(tmp_path / "p" / "profile.yaml").source.follow == [str(tmp_path / "pool")]


def test_links_that_stay_and_stores_that_are_links(tmp_path: Path) -> None:
    store = make_zarr(tmp_path / "archive" / "a.zarr")
    chunk = store / "sst" / "c" / "1" / "0" / "0"
    chunk.unlink()
    chunk.symlink_to("../../0/0/0")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.zarr").symlink_to("../archive/a.zarr")
    made = run(_zarr_profile(tmp_path / "raw" / "*.zarr"), tmp_path / "out")
    with xr.open_zarr(made.path) as written:
        assert written.sst.values[1].tolist() == ramp(3, 4).tolist()


@pytest.mark.parametrize(
    ("key", "metadata"),
    [
        (".zarray", {"filters": [{"id": "pickle", "protocol": 5}], "compressor": None}),
        (".zarray", {"filters": None, "compressor": {"id": "pickle"}}),
        ("zarr.json", {"codecs": [{"name": "numcodecs.pickle", "configuration": {}}]}),
        ("zarr.json", {"codecs": [{"name": "sharding_indexed", "configuration": {"codecs": [{"name": "pickle"}]}}]}),
        ("zarr.json", {"consolidated_metadata": {"metadata": {"x": {"filters": [{"id": "pickle"}]}}}}),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_codec_that_runs_code(tmp_path: Path, key: str, metadata: dict[str, Any], zipped: bool) -> None:
    store = make_zarr(tmp_path / "a.zarr", 2 if key == ".zarray" else 3)
    (store / "words").mkdir()
    told = json.loads((store / "lat" / key).read_text()) | metadata
    (store / "words" / key).write_text(json.dumps(told))
    (store / "words" / ("0" if key == ".zarray" else "c")).write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    if zipped:
        import shutil

        store = Path(shutil.make_archive(str(tmp_path / "b.zarr"), "zip", store))
    _, (error,) = found_in(_zarr_profile(store))
    assert re.search(rf"{store.name}: words/{key} names the codec (numcodecs\.)?pickle, which runs code", error)
    assert not (tmp_path / "ran").exists()


class Trap:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_words_that_only_mention_pickle(tmp_path: Path) -> None:
    store = make_zarr(tmp_path / "a.zarr")
    told = json.loads((store / "zarr.json").read_text())
    (store / "zarr.json").write_text(json.dumps(told | {"attributes": {"title": "made of pickle files"}}))
    refuse_undecodable(local_documents(store), store.name)


def test_storage_transformer_that_zarr_python_passes_over(tmp_path: Path) -> None:
    store = make_zarr(tmp_path / "a.zarr")
    name = next(path for path in sorted(store.glob("*/zarr.json")))
    told = json.loads(name.read_text())
    name.write_text(json.dumps(told | {"storage_transformers": [{"name": "odd", "must_understand": False}]}))
    refuse_undecodable(local_documents(store), store.name)
    name.write_text(json.dumps(told | {"storage_transformers": [{"name": "odd"}]}))
    with pytest.raises(Unreadable, match=r"a\.zarr: .*zarr\.json names the storage transformer odd"):
        refuse_undecodable(local_documents(store), store.name)


# --- what is no file ------------------------------------------------------------------------------------------------


def test_pipes_devices_and_links_that_lead_nowhere(tmp_path: Path) -> None:
    make_tiff(tmp_path / "good.tif", ramp(3, 4))
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "zero.tif").symlink_to("/dev/zero")
    (tmp_path / "nowhere.tif").symlink_to("not-there.tif")
    (tmp_path / "circle.tif").symlink_to("circle.tif")
    names, errors = found_in(profile_of(tmp_path / "*.tif", time=PERIOD))
    assert names == ["good.tif"]
    said = "\n".join(errors)
    for words in ("pipe.tif: a named pipe", "zero.tif: a device", "nowhere.tif: a link to a file that is not there"):
        assert words in said
    assert "circle.tif: cannot be read" in said


def test_pipe_inside_a_store(tmp_path: Path) -> None:
    store = make_zarr(tmp_path / "a.zarr")
    os.mkfifo(store / "sst" / "c" / "2")
    _, (error,) = found_in(_zarr_profile(store))
    assert "a.zarr: sst/c/2: a named pipe" in error


def test_device_named_by_the_profile() -> None:
    _, (error,) = found_in(profile_of("/dev/zero", time=PERIOD))
    assert "/dev/zero: a device, and no file" in error


def test_folder_that_is_no_store_is_not_hashed(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    with (tmp_path / "big" / "hole.bin").open("wb") as file:
        file.truncate(2**40)  # 1 TiB of zeros would take hours
    _, (error,) = found_in(profile_of(tmp_path / "big", time=PERIOD))
    assert "big: a folder, and no Zarr store" in error


def test_circles_of_links_end(tmp_path: Path) -> None:
    make_tiff(tmp_path / "raw" / "deep" / "a.tif", ramp(3, 4))
    for name in ("one", "two", "three"):
        (tmp_path / "raw" / "deep" / name).symlink_to("..")  # by name alone: 3 to the power of 40 paths
    found = storage.glob(f"{tmp_path}/raw/**/*.tif")
    assert found == [f"{tmp_path}/raw/deep/a.tif"]
    store = make_zarr(tmp_path / "raw" / "a.zarr")
    for name in ("one", "two"):
        (store / "sst" / name).symlink_to("..")
    assert found_in(_zarr_profile(store)) == (["a.zarr"], [])


def test_stars_enter_folders_that_are_links(tmp_path: Path) -> None:
    make_tiff(tmp_path / "archive" / "2020" / "a.tif", ramp(3, 4))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "2020").symlink_to("../archive/2020")
    assert storage.glob(f"{tmp_path}/raw/**/*.tif") == [f"{tmp_path}/raw/2020/a.tif"]
