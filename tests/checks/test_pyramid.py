"""What ``multiscales`` says of a store, against the store."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import zarr

from earthcode_pack.checks import check

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import xarray as xr

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")


@pytest.fixture
def with_levels(cube: xr.Dataset, write_zarr: Callable[..., Path]) -> Callable[..., Path]:
    """A store with one coarser level and the layout that is given."""

    def write(layout: list[dict[str, Any]], group: str = "1") -> Path:
        store = write_zarr(cube)
        write_zarr(cube.isel(lat=slice(None, None, 2), lon=slice(None, None, 2)), group=group, mode="a")
        said = {"multiscales": {"layout": layout}, "spatial:dimensions": ["lat", "lon"]}
        zarr.open_group(store, mode="r+", use_consolidated=False).attrs.update(said)
        zarr.consolidate_metadata(str(store), zarr_format=3)
        return store

    return write


GOOD = [
    {"asset": ".", "spatial:shape": [8, 10]},
    {"asset": "1", "derived_from": ".", "spatial:shape": [4, 5]},
]


def test_a_layout_that_is_true(with_levels: Callable[..., Path]) -> None:
    assert check(with_levels(GOOD), deep=True) == ()


def test_a_layout_of_arrays(with_levels: Callable[..., Path]) -> None:
    layout = [{"asset": "sst", "spatial:shape": [8, 10]}, {"asset": "1/sst", "spatial:shape": [4, 5]}]
    assert check(with_levels(layout)) == ()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"asset": "2", "derived_from": "1"}, "names 2, which is not there"),
        ({"asset": "1/salt", "derived_from": "sst"}, "names 1/salt, which is not there"),
        ({"asset": "1", "spatial:shape": [5, 4]}, r"states the shape \[5, 4\] of level 1"),
        ({"asset": ".", "spatial:shape": [80, 100]}, r"states the shape \[80, 100\] of level \."),
    ],
)
def test_a_layout_that_is_not(with_levels: Callable[..., Path], entry: dict[str, Any], words: str) -> None:
    (finding,) = check(with_levels([*GOOD, entry]))
    assert (finding.rule, finding.level.value) == ("ZARR-LEVELS", "error")
    assert re.search(words, finding.message)


@pytest.mark.parametrize("other", ["text", [{"datasets": []}], {"layout": 3}, {"layout": [7, {"asset": None}]}])
def test_other_forms_of_multiscales_are_not_judged(cube: Any, write_zarr: Any, other: Any) -> None:
    store = write_zarr(cube.assign_attrs(multiscales=other))
    assert json.loads((store / "zarr.json").read_text())["attributes"]["multiscales"] == other
    assert check(store) == ()


def test_a_wide_map_without_levels_is_worth_a_word(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "wide.zarr")
    for name, shape, dims in (("a", (1, 3000, 3000), ("time", "lat", "lon")), ("rows", (3000, 2), ("lat", "nv"))):
        group.create_array(name, shape=shape, dtype="f4", chunks=(*shape[:-1], 100), dimension_names=dims)
    zarr.consolidate_metadata(group.store)
    (finding,) = [found for found in check(tmp_path / "wide.zarr") if found.rule == "ZARR-MULTISCALES"]
    assert finding.level.value == "info"
    assert finding.measured == {"a": [1, 3000, 3000]}
