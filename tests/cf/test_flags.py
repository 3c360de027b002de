"""Classes: from the profile, CF flags, colour tables and masks; contradictions, and values that no class names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from builders import PERIOD, make_nc, make_tiff, planned, profile_of, run

from earthcode_pack.cf.flags import bitfields_of, contradiction, flags_of
from earthcode_pack.checks.artifacts import class_findings

if TYPE_CHECKING:
    from pathlib import Path

COVER = np.array([[1, 1, 2], [2, 2, 4]], "uint8")
TWO = [{"value": 1, "name": "water", "title": "Open water"}, {"value": 2, "name": "tree-cover"}]


def with_flags(path: Path, values: np.ndarray = COVER, **attrs: Any) -> Path:
    flags = {"flag_values": np.array([1, 2], values.dtype), "flag_meanings": "water tree_cover"}
    return make_nc(path, values[np.newaxis], {"long_name": "cover", "units": "1", **flags, **attrs}, name="cover")


def test_flags_of_a_cube_become_classes_with_counts(tmp_path: Path) -> None:
    made = run(profile_of(with_flags(tmp_path / "a.nc", flag_colors="#0064C8 #006400"), "zarr"), tmp_path / "out")
    (variable,) = made.one.variables
    assert variable.classes == (
        {"value": 1, "name": "water", "color": "0064C8"},
        {"value": 2, "name": "tree_cover", "color": "006400"},
    )
    assert variable.statistics is not None
    assert variable.statistics.values == ((1, 2), (2, 3), (4, 1))


@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_a_value_that_no_class_names_is_found_with_its_count(tmp_path: Path, fmt: str) -> None:
    made = run(profile_of(with_flags(tmp_path / "a.nc"), fmt), tmp_path / "out")
    (finding,) = class_findings(made.artifacts)
    assert (finding.rule, finding.level, finding.subject) == ("CLASS-UNNAMED", "warning", "cover")
    assert "4 (1 cells)" in finding.message
    assert finding.measured == {"4": 1}


def test_nodata_needs_no_class(tmp_path: Path) -> None:
    made = run(profile_of(with_flags(tmp_path / "a.nc", _FillValue=np.uint8(4)), "zarr"), tmp_path / "out")
    assert class_findings(made.artifacts) == []


def test_classes_of_the_profile_count_all_files(tmp_path: Path) -> None:
    for day in (1, 2):
        make_tiff(tmp_path / f"c_2020010{day}.tif", COVER)
    time = {"from": "filename", "pattern": "c_{start:%Y%m%d}.tif"}
    described = {"cover": {"from": 1, "classes": TWO}}
    made = run(profile_of(tmp_path / "*.tif", time=time, described=described), tmp_path / "out")
    (finding,) = class_findings(made.artifacts)
    assert finding.measured == {"4": 2}


def test_tags_of_a_geotiff_hold_flags_too(tmp_path: Path) -> None:
    tags = {"flag_values": "1, 2", "flag_meanings": "water tree_cover"}
    path = make_tiff(tmp_path / "a.tif", COVER, band_tags=tags, descriptions=["cover"])
    profile = profile_of(path, time={"start": "2020", "end": "2020"})
    assert planned(profile).jobs[0].cog.resampling == "mode"
    (variable,) = run(profile, tmp_path / "out").one.variables
    assert [item["name"] for item in variable.classes] == ["water", "tree_cover"]


def test_colours_of_the_table_fill_in_where_the_profile_has_none(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", COVER, colormap={1: (0, 100, 200, 255), 2: (1, 2, 3, 255)})
    classes = [{**TWO[0], "color": "FFFFFF"}, TWO[1]]
    profile = profile_of(path, time={"start": "2020", "end": "2020"}, described={"c": {"from": 1, "classes": classes}})
    (variable,) = run(profile, tmp_path / "out").one.variables
    assert [item["color"] for item in variable.classes] == ["FFFFFF", "010203"]


def test_a_colour_table_alone_gives_colours_and_no_names(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", COVER, colormap={1: (0, 100, 200, 255), 2: (1, 2, 3, 255)})
    made = run(profile_of(path, time=PERIOD), tmp_path / "out").one
    counts = dict(zip(*(part.tolist() for part in np.unique(COVER, return_counts=True)), strict=True))
    found = {item["value"]: item for item in made.variables[0].classes}
    assert set(found) == set(counts)
    assert (found[1]["name"], found[1]["color"]) == ("1", "0064C8")
    (finding,) = class_findings([made])
    assert (finding.rule, finding.measured) == ("CLASS-UNNAMED", {str(value): n for value, n in counts.items()})


def test_a_class_that_profile_and_file_name_differently(tmp_path: Path) -> None:
    classes = [TWO[0], {"value": 2, "name": "snow"}]
    profile = profile_of(with_flags(tmp_path / "a.nc"), "zarr", described={"cover": {"classes": classes}})
    (failure,) = planned(profile).failures
    assert "2 is 'tree_cover' in the file, and 'snow' in the profile" in failure.error
    assert "product.variables.cover.classes" in failure.remedy


def test_case_hyphens_and_titles_are_no_contradiction() -> None:
    stated = {"classes": [{"value": 1, "name": "w", "title": "Water"}, {"value": 2, "name": "Tree-Cover"}]}
    assert contradiction(stated, {"flag_values": [1, 2], "flag_meanings": "water tree_cover"}) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], [1, 2]),
        ("1b, 2b", [1, 2]),
        ("1 2", [1, 2]),
        ([1.0, 2.0], [1, 2]),
        ([1.5, 2], []),
        ("one two", []),
        (3, []),
    ],
)
def test_every_form_of_flag_values(values: Any, expected: list[int]) -> None:
    assert [item["value"] for item in flags_of({"flag_values": values, "flag_meanings": "a b"})] == expected


def test_masks_without_values_are_flags_of_one_bit() -> None:
    fields = bitfields_of({"flag_masks": [2, 1], "flag_meanings": "cloudy_pixel land"}, "uint8")
    assert [(f["offset"], f["length"], f["name"]) for f in fields] == [(0, 1, "land"), (1, 1, "cloudy_pixel")]
    assert fields[1]["classes"] == [
        {"value": 0, "name": "not_cloudy_pixel", "description": "not cloudy pixel"},
        {"value": 1, "name": "cloudy_pixel", "description": "cloudy pixel"},
    ]


def test_masks_with_values_as_in_cf_example_3_5() -> None:
    """CF 1.11, example 3.5: a boolean flag and an enumerated one in a byte."""
    attrs = {
        "flag_masks": [1, 2, 12, 12, 12],
        "flag_values": [1, 2, 4, 8, 12],
        "flag_meanings": "low_battery processor_fault user_fault sensor_offline sensor_fault",
    }
    assert flags_of(attrs) == ()
    last = bitfields_of(attrs, "int16")[-1]
    assert (last["offset"], last["length"]) == (2, 2)
    assert [item["value"] for item in last["classes"]] == [1, 2, 3]


@pytest.mark.parametrize(
    "attrs", [{"flag_masks": [5], "flag_meanings": "gap"}, {"flag_masks": [1, 2], "flag_meanings": "one"}, {}]
)
def test_masks_that_are_no_fields(attrs: dict[str, Any]) -> None:
    assert bitfields_of(attrs, "int16") == ()


def test_bit_fields_keep_the_schema_of_their_extension(tmp_path: Path, schemas: Path) -> None:
    from earthcode_pack.describe.item import bands_of
    from earthcode_pack.describe.stac import EXTENSIONS

    flags = {"flag_masks": np.array([1, 6, 6], "u1"), "flag_values": np.array([1, 2, 4], "u1")}
    attrs = {"long_name": "quality", **flags, "flag_meanings": "land cloud snow"}
    made = run(profile_of(make_nc(tmp_path / "a.nc", COVER[np.newaxis], attrs, name="q"), "zarr"), tmp_path / "out")
    (variable,) = made.one.variables
    assert (variable.classes, len(variable.bitfields)) == ((), 2)
    (band,) = bands_of(variable, among=2)
    fields = {"classification:bitfields": band["classification:bitfields"]}
    schema = json.loads((schemas / "stac-extensions.github.io/classification/v1.1.0/schema.json").read_text())
    item = {"type": "Feature", "stac_extensions": [EXTENSIONS["classification"]], "properties": fields, "assets": {}}
    jsonschema.Draft7Validator(schema).validate(item)
    fields["classification:bitfields"][0]["length"] = 0
    assert not jsonschema.Draft7Validator(schema).is_valid(item)
    assert class_findings(made.artifacts) == []
