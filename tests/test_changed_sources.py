"""Sources that change between two looks at them: no product holds what was not hashed, and the file is named."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr
import zarr
from examples import spread
from making import cube_profile, every_file, profile_of, write_cube, write_tif

from earthcode_pack.pipeline import prepare, summarise
from earthcode_pack.run.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.profile import Profile

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
CHANGED = "it changed after it was hashed"


def overwritten(path: Path) -> None:
    """Other values in place, in the same size, with the old time stamp put back."""
    before = path.stat()
    with path.open("r+b") as file:
        raw = bytearray(file.read())
        raw[-64:] = bytes(byte ^ 0x10 for byte in raw[-64:])
        file.seek(0)
        file.write(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def replaced(path: Path) -> None:
    """Another file of the same size and time under the same name."""
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    overwritten(copy)
    copy.replace(path)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def removed(path: Path) -> None:
    path.unlink()


def there_and_back(path: Path) -> None:
    """What was read in between is unknown, whatever the file holds now."""
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + b"?")
    path.write_bytes(raw)


def scenes(folder: Path, **changes: Any) -> Profile:
    for day in (1, 2, 3):
        write_tif(folder / "raw" / f"a_2020010{day}.tif", np.full((16, 20), day, "int16"), compress=None)
    return profile_of(folder, **changes)


def maps_of_a_cube(folder: Path) -> Profile:
    write_cube(folder / "raw" / "t.nc", range(3))
    return cube_profile(folder, target__format="cog")


def cube(folder: Path, **changes: Any) -> Profile:
    write_cube(folder / "raw" / "t.nc", range(3))
    return cube_profile(folder, **changes)


def store(folder: Path, **changes: Any) -> Profile:
    """A Zarr store as source."""
    write_cube(folder / "t.nc", range(3))
    with xr.open_dataset(folder / "t.nc", decode_cf=False) as data:
        data.chunk({"time": 1}).to_zarr(folder / "raw" / "t.zarr", zarr_format=3, consolidated=False)
    return cube_profile(folder, source__href="raw/t.zarr", **changes)


CASES: dict[str, tuple[Callable[[Path], Profile], str]] = {
    "tif-cog": (scenes, "raw/a_20200102.tif"),
    "nc-cog": (maps_of_a_cube, "raw/t.nc"),
    "nc-zarr": (cube, "raw/t.nc"),
    "nc-netcdf": (lambda folder: cube(folder, target__format="netcdf"), "raw/t.nc"),
    "zarr-zarr": (store, "raw/t.zarr/t/c/1/0/0"),
    "zarr-cog": (lambda folder: store(folder, target__format="cog"), "raw/t.zarr/t/c/1/0/0"),
}


def prepared(profile: Profile, work: Path, happens: Callable[[], None]) -> Bundle:
    """Prepares; something happens when the last source was hashed."""
    left = [happens]

    def progress(stage: str, done: int, total: int) -> None:
        if left and stage == "discover" and done == total:
            left.pop()()

    return prepare(profile, work, progress=progress)


def is_told(bundle: Bundle, path: Path) -> bool:
    return any(CHANGED in one.error and path.name in one.source + one.error for one in summarise(bundle).failed)


@pytest.mark.parametrize(("case", "change"), spread(CASES, [overwritten, replaced, cut, removed, there_and_back]))
def test_source_that_changes_between_hash_and_conversion(
    case: str, change: Callable[[Path], None], tmp_path: Path
) -> None:
    make, name = CASES[case]
    profile, path = make(tmp_path), tmp_path / name
    bundle = prepared(profile, tmp_path / "work", lambda: change(path))
    assert is_told(bundle, tmp_path / ("raw/t.zarr" if "t.zarr" in name else name))
    made = every_file(bundle.product)
    assert not [key for key in made if key.startswith("data/") and "20200102" in key]
    if case != "tif-cog":  # all comes from that source
        assert made == {}


@pytest.mark.parametrize("case", ["nc-cog", "nc-zarr", "nc-netcdf", "zarr-zarr", "zarr-cog"])
def test_source_that_changes_after_a_part_was_read(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part may hold either; it was compared with what it was made of, and its record is kept."""
    make, name = CASES[case]
    profile, keep, left = make(tmp_path), Workspace.keep_record, [tmp_path / name]

    def kept(*given: Any) -> None:
        keep(*given)
        if left:
            there_and_back(left.pop())

    monkeypatch.setattr(Workspace, "keep_record", kept)
    bundle = prepare(profile, tmp_path / "work")
    assert is_told(bundle, tmp_path / ("raw/t.zarr" if "t.zarr" in name else name))
    assert every_file(bundle.product) == {}


@pytest.mark.parametrize("case", ["tif-cog", "nc-zarr", "zarr-zarr"])
def test_the_next_run_makes_all_of_what_is_there_now(case: str, tmp_path: Path) -> None:
    """Parts that were made of the file of another moment are not kept, though it is the hashed one again."""
    make, name = CASES[case]
    profile, path = make(tmp_path), tmp_path / name
    raw = path.read_bytes()
    bundle = prepared(profile, tmp_path / "work", lambda: overwritten(path))
    assert summarise(bundle).failed
    path.write_bytes(raw)
    again = prepare(profile, tmp_path / "work")
    assert summarise(again).failed == ()
    fresh = prepare(profile, tmp_path / "fresh")
    data = [{k: v for k, v in every_file(one.product).items() if k.startswith("data/")} for one in (again, fresh)]
    assert data[0] == data[1]


def test_other_sources_go_on(tmp_path: Path) -> None:
    profile = scenes(tmp_path)
    path = tmp_path / "raw" / "a_20200102.tif"
    bundle = prepared(profile, tmp_path / "work", lambda: replaced(path))
    with rasterio.open(bundle.product / "data/demo_20200103/demo_20200103_index.tif") as written:
        assert set(np.unique(written.read(1))) == {3}
    assert {entry.sources[0]["href"] for entry in bundle.manifest() if entry.sources} == {
        "a_20200101.tif", "a_20200103.tif",
    }  # fmt: skip


def test_new_links_and_owners_are_no_change(tmp_path: Path) -> None:
    profile = cube(tmp_path)
    path = tmp_path / "raw" / "t.nc"

    def linked() -> None:
        os.link(path, tmp_path / "link.nc")
        path.chmod(0o600)

    bundle = prepared(profile, tmp_path / "work", linked)
    assert summarise(bundle).failed == ()
    made = zarr.open_group(bundle.product / "data" / "demo.zarr", mode="r")
    with netCDF4.Dataset(path) as source:
        assert np.array_equal(np.asarray(made["t"]), np.asarray(source["t"]))
