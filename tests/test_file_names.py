"""File names that tell tiles, variables and dates apart: Items and their assets."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import PERIOD, make_nc, make_tiff, planned, profile_of, ramp

from earthcode_pack.convert.read.file_names import wild_parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def items_of(
    folder: Path, names: Sequence[str], patterns: dict[str, str], time: Any, target: str = "cog"
) -> dict[str, list[str]]:
    """The variables of each Item that is planned for files of these names; those of tile B lie on another grid."""
    for name in names:
        place = {"crs": "EPSG:32632"} if "B" in name else {}
        if name.endswith(".nc"):
            make_nc(folder / name, ramp(3, 4), dims=("lat", "lon"), lon=np.arange(4.0) + len(place))
        else:
            make_tiff(folder / name, ramp(3, 4), **place)
    described = {key: {"from": pattern} for key, pattern in patterns.items()}
    made = planned(profile_of(folder / "*", target, time=time, described=described))
    assert not made.failures
    items: dict[str, set[str]] = defaultdict(set)
    for job in made.jobs:
        items[job.item] |= {variable.name for source in job.inputs for variable in source.variables}
    return {item: sorted(variables) for item, variables in items.items()}


def named(time: str) -> dict[str, str]:
    return {"from": "filename", "pattern": time}


@pytest.mark.parametrize("variables", [("lai", "fapar"), ("b1", "b11", "b1a"), ("LAI", "lai")])
@pytest.mark.parametrize(
    ("form", "pattern", "time", "items"),
    [
        ("{tile}_{var}_20240601.tif", "*_{var}_*.tif", "*_{start:%Y%m%d}.tif", "demo_20240601_{tile}_20240601"),
        ("{tile}_{var}_20240601.tif", "*_{var}_20240601.tif", "*_{start:%Y%m%d}.tif", "demo_20240601_{tile}"),
        ("{var}_{tile}_20240601.tif", "{var}_*.tif", "*_{start:%Y%m%d}.tif", "demo_20240601_{tile}_20240601"),
        ("{tile}_20240601_{var}.tif", "*_{var}.tif", "*_{start:%Y%m%d}_*.tif", "demo_20240601_{tile}_20240601"),
        ("20240601_{tile}_{var}.tif", "*_{var}.tif", "{start:%Y%m%d}_*.tif", "demo_20240601_20240601_{tile}"),
        ("20240601_{tile}_{var}_v1.tif", "*_*_{var}_v?.tif", "{start:%Y%m%d}_*", "demo_20240601_20240601_{tile}_1"),
        ("{tile}_{var}_20240601.tif", "?_{var}_????????.tif", "*_{start:%Y%m%d}.tif", "demo_20240601_{tile}_20240601"),
        ("{tile}{var}-20240601.tif", "*{var}-*", "*{start:%Y%m%d}.tif", "demo_20240601_{tile}_20240601"),
        ("{tile}_{var}.tif", "[AB]*_{var}.tif", None, "demo_{tile}"),
        ("{tile}.{var}.v1.tiff", "*.{var}.*", None, "demo_{tile}_v1"),
    ],
)  # fmt: skip
def test_an_item_for_each_tile_with_every_variable(
    tmp_path: Path, variables: tuple[str, ...], *, form: str, pattern: str, time: str | None, items: str
) -> None:
    names = [form.format(tile=tile, var=var) for tile, var in product("AB", variables)]
    patterns = {var: pattern.format(var=var) for var in variables}
    made = items_of(tmp_path, names, patterns, named(time) if time else PERIOD)
    assert made == {items.format(tile=tile): sorted(variables) for tile in "AB"}


def test_tiles_variables_and_dates_as_netcdf(tmp_path: Path) -> None:
    """Three variables of two tiles on two dates: a file for each tile and date."""
    names = [f"{t}_{v}_2024060{d}.nc" for t, v, d in product("AB", ("lai", "fapar", "fcover"), "12")]
    patterns = {name: f"*_{name}_*.nc" for name in ("lai", "fapar", "fcover")}
    made = items_of(tmp_path, names, patterns, named("*_{start:%Y%m%d}.nc"), "netcdf")
    assert made == {f"demo_2024060{d}_{t}_2024060{d}": ["fapar", "fcover", "lai"] for t, d in product("AB", "12")}


@pytest.mark.parametrize("ending", ["tif", "nc"])
def test_variables_by_name_are_columns_of_one_cube(tmp_path: Path, ending: str) -> None:
    names = [f"A_{v}_2024060{d}.{ending}" for v, d in product(("b1", "b11"), "12")]
    patterns = {"b1": "?_b1_????????.*", "b11": "?_b11_????????.*"}
    assert items_of(tmp_path, names, patterns, named("*_{start:%Y%m%d}.*"), "zarr") == {"demo": ["b1", "b11"]}


@pytest.mark.parametrize("target", ["cog", "netcdf"])
def test_files_that_share_no_scene_are_named_by_whole_stems(tmp_path: Path, target: str) -> None:
    names = ["EO_ES_2024_LAI_S2_GPR.nc", "EO_ES_2024_CCC_S2_NN.nc"]
    made = items_of(tmp_path, names, {"lai": "*_LAI_*.nc", "ccc": "*_CCC_*.nc"}, PERIOD, target)
    assert made == {"demo_EO_ES_2024_LAI_S2_GPR": ["lai"], "demo_EO_ES_2024_CCC_S2_NN": ["ccc"]}


def test_a_tile_without_one_of_the_variables_is_named_like_the_others(tmp_path: Path) -> None:
    made = items_of(
        tmp_path, ["A_lai.tif", "A_fapar.tif", "B_lai.tif"], {v: f"*_{v}.tif" for v in ("lai", "fapar")}, PERIOD
    )
    assert made == {"demo_A": ["fapar", "lai"], "demo_B": ["lai"]}


def test_a_name_that_fits_the_patterns_of_two_variables(tmp_path: Path) -> None:
    make_tiff(tmp_path / "A_b11.tif", ramp(3, 4))
    described = {"b1": {"from": "*_b1*.tif"}, "b11": {"from": "*_b11*.tif"}}
    (failure,) = planned(profile_of(tmp_path / "*", time=PERIOD, described=described)).failures
    assert "A_b11.tif: matches the patterns of two variables, *_b1*.tif (b1) and *_b11*.tif (b11)" in failure.error
    assert "product.variables.*.from" in failure.remedy
    described["b1"] = {"from": "*_b1.tif"}
    assert not planned(profile_of(tmp_path / "*", time=PERIOD, described=described)).failures


@pytest.mark.parametrize(
    ("name", "pattern", "parts"),
    [
        ("a_LAI_b_LAI_c.tif", "*_LAI_*.tif", "a_b_LAI_c"),
        ("a_LAI.tif", "*_LAI*", "a"),
        ("a_LAI.v1.zarr.zip", "*_LAI.*", "a_v1"),
        ("LAI.tif", "*LAI*.tif", ""),
        ("a1_LAI.tif", "a[!2]_?AI*", "1_L"),
        ("a(1)+_LAI.tif", "a(1)+*_LAI.tif", ""),
    ],
)
def test_what_wildcards_stand_for(name: str, pattern: str, parts: str) -> None:
    assert wild_parts(name, pattern) == parts
