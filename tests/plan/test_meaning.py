"""Units, standard names and classes: profile against file, and file against file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import make_nc, make_tiff, opened, planned, profile_of, ramp, run

from earthcode_pack.errors import ProfileError
from earthcode_pack.sources.discover import discover
from earthcode_pack.storage import IdentityCache

if TYPE_CHECKING:
    from pathlib import Path

PERIOD = {"start": "2020-01-01", "end": "2020-12-31"}


def cube(path: Path, day: int = 0, **attrs: Any) -> Path:
    return make_nc(path, ramp(1, 3, 4), {"units": "K", "long_name": "t", **attrs}, times=[day])


@pytest.mark.parametrize(
    ("of_file", "stated"), [("K", "kelvin"), ("m s-1", "m/s"), ("mg m-3", "mg/m3"), ("psu", "psu")]
)
def test_two_spellings_of_one_unit_agree_and_the_files_is_kept(tmp_path: Path, of_file: str, stated: str) -> None:
    source = cube(tmp_path / "a.nc", units=of_file)
    made = run(profile_of(source, "zarr", described={"sst": {"units": stated}}), tmp_path / "out")
    assert made.one.variables[0].units == of_file


@pytest.mark.parametrize(("of_file", "stated"), [("K", "degC"), ("m", "cm"), ("1", "%"), ("odd", "K")])
def test_another_unit_is_an_error_that_names_both(tmp_path: Path, of_file: str, stated: str) -> None:
    source = cube(tmp_path / "a.nc", units=of_file)
    (failure,) = planned(profile_of(source, "zarr", described={"sst": {"units": stated}})).failures
    assert f"a.nc: sst is in {of_file!r}, the profile says {stated!r}" in failure.error
    assert "product.variables.sst.units" in failure.remedy


@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_what_udunits_cannot_read_is_written_as_the_profile_has_it(tmp_path: Path, fmt: str) -> None:
    source = cube(tmp_path / "a.nc", units="PSU")
    made = run(profile_of(source, fmt, described={"sst": {"units": "1e-3"}}), tmp_path / "out")
    assert made.one.variables[0].units == "1e-3"
    assert any("PSU" in line and "1e-3" in line for line in made.one.changes), made.one.changes
    if fmt != "cog":
        assert opened(made.path)["sst"].attrs["units"] == "1e-3"


def test_a_misspelling_without_units_in_the_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    source = cube(tmp_path / "a.nc", units="")
    (failure,) = planned(profile_of(source, "zarr", described={"sst": {"units": "psu"}})).failures
    assert "'psu'" in failure.error
    assert failure.remedy == 'set product.variables.sst.units: "1e-3"'


def test_a_slip_is_refused_with_the_profile(tmp_path: Path) -> None:
    said = "product.variables.sst.units: 'kelvn' is no unit that UDUNITS reads; did you mean kelvin?"
    with pytest.raises(ProfileError, match=re.escape(said)):
        profile_of(tmp_path / "a.nc", described={"sst": {"units": "kelvn"}})


@pytest.mark.parametrize("of_file", ["", "DN"])
def test_a_unit_of_the_field_that_nobody_else_knows_is_kept_and_noted(tmp_path: Path, of_file: str) -> None:
    source = cube(tmp_path / "a.nc", units=of_file)
    profile = profile_of(source, "zarr", described={"sst": {"units": "DN"}})
    assert run(profile, tmp_path / "out").one.variables[0].units == "DN"
    notes = [note for found in discover(profile, IdentityCache(tmp_path / "c")).sources for note in found.notes]
    assert [(note.rule, note.level, note.measured) for note in notes if "UNITS" in note.rule] == [
        ("CF-UNITS-FORM", "warning", "DN")
    ]


def test_another_standard_name_is_an_error_and_an_alias_is_not(tmp_path: Path) -> None:
    source = cube(tmp_path / "a.nc", standard_name="air_pressure_at_sea_level", units="Pa")
    same = profile_of(source, described={"sst": {"standard_name": "air_pressure_at_mean_sea_level"}})
    assert not planned(same).failures
    (failure,) = planned(profile_of(source, described={"sst": {"standard_name": "air_pressure"}})).failures
    assert "is air_pressure_at_sea_level, the profile says air_pressure" in failure.error


@pytest.mark.parametrize("of_file", ["unknown", "sst_foundation"])
def test_a_name_that_cf_lacks_is_the_profiles_to_correct(tmp_path: Path, of_file: str) -> None:
    source = cube(tmp_path / "a.nc", standard_name=of_file)
    described = {"sst": {"standard_name": "sea_surface_temperature"}}
    made = run(profile_of(source, "zarr", described=described), tmp_path / "out")
    assert made.one.variables[0].standard_name == "sea_surface_temperature"


@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_files_in_two_units_are_no_product(tmp_path: Path, fmt: str) -> None:
    cube(tmp_path / "a.nc", 0)
    cube(tmp_path / "b.nc", 1, units="kelvin")
    cube(tmp_path / "c.nc", 2, units="degC")
    made = planned(profile_of(tmp_path / "*.nc", fmt))
    (failure,) = made.failures
    assert failure.source.endswith("c.nc")
    assert "a.nc and c.nc differ in the units of sst: 'K' and 'degC'" in failure.error
    assert sum(len(job.inputs) for job in made.jobs) == 2


def test_files_of_two_quantities_are_no_product(tmp_path: Path) -> None:
    cube(tmp_path / "a.nc", 0, standard_name="air_temperature")
    cube(tmp_path / "b.nc", 1, standard_name="sea_surface_temperature")
    (failure,) = planned(profile_of(tmp_path / "*.nc", "zarr")).failures
    assert "the standard_name of sst: air_temperature and sea_surface_temperature" in failure.error


@pytest.mark.parametrize(("fmt", "rule"), [("cog", "COG-UNITS"), ("zarr", "CF-UNITS")])
def test_missing_units_are_known_when_it_is_planned(tmp_path: Path, fmt: str, rule: str) -> None:
    for name in ("a.nc", "b.nc"):
        cube(tmp_path / name, units="")
    notes = [note for s in discover(profile_of(tmp_path / "*.nc", fmt), IdentityCache()).sources for note in s.notes]
    assert {(note.rule, note.subject) for note in notes} == {(rule, "sst")}
    assert "product.variables.sst.units" in notes[0].message


def test_classes_pictures_and_truths_need_no_units(tmp_path: Path) -> None:
    make_tiff(tmp_path / "a.tif", np.ones((3, 4), "uint8"), colormap={1: (1, 2, 3, 255)})
    make_tiff(tmp_path / "b.tif", np.ones((3, 3, 4), "uint8"), photometric="RGB")
    sources = discover(profile_of(tmp_path / "*.tif", time=PERIOD), IdentityCache()).sources
    assert [source.notes for source in sources] == [(), ()]
