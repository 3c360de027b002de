"""The CF standard name table of the package: what it holds, and that it is made from the published one."""

from __future__ import annotations

import gzip

import pytest

from earthcode_pack.cf import standard_names, units

XML = """<?xml version="1.0"?>
<standard_name_table>
  <version_number>7</version_number>
  <entry id="sea_ice_speed"><canonical_units>m s-1</canonical_units><description>left out</description></entry>
  <entry id="air_temperature"><canonical_units>K</canonical_units></entry>
  <entry id="region"><canonical_units></canonical_units></entry>
  <alias id="old_name"><entry_id>air_temperature</entry_id></alias>
  <alias id="split_name"><entry_id>air_temperature</entry_id><entry_id>sea_ice_speed</entry_id></alias>
</standard_name_table>"""


def test_the_lines_are_facts_in_order() -> None:
    assert standard_names._rows(XML) == [
        "7", "air_temperature K", "old_name = air_temperature", "region ", "sea_ice_speed m s-1",
        "split_name = air_temperature or sea_ice_speed",
    ]  # fmt: skip


def test_the_table_is_whole_and_small() -> None:
    found = standard_names.table()
    assert found.version >= 93
    assert len(found.units) > 5000
    assert len(found.aliases) > 500
    assert standard_names._FILE.stat().st_size < 150_000
    assert gzip.decompress(standard_names._FILE.read_bytes()).decode().splitlines()[1:] == sorted(
        gzip.decompress(standard_names._FILE.read_bytes()).decode().splitlines()[1:]
    )


def test_udunits_reads_the_units_of_the_table() -> None:
    assert {unit for unit in standard_names.table().units.values() if unit and not units.is_unit(unit)} == set()


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("sea_surface_temperature", True), ("air_temperature standard_error", True), ("region", True),
        ("air_temperature  status_flag", True), ("air_pressure_at_sea_level", True), ("sst", False), ("", False),
        ("Sea_Surface_Temperature", False), ("air_temperature error", False), ("air_temperature status_flag x", False),
    ],
)  # fmt: skip
def test_names_with_and_without_modifiers(name: str, known: bool) -> None:
    assert standard_names.known(name) is known


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("air_temperature", "K"), ("air_temperature standard_error", "K"), ("air_temperature status_flag", ""),
        ("air_temperature number_of_observations", "1"), ("region", ""), ("air_pressure_at_sea_level", "Pa"),
        ("sea_water_practical_salinity", "1"), ("sst", None),
    ],
)  # fmt: skip
def test_canonical_units(name: str, canonical: str | None) -> None:
    assert standard_names.canonical_units(name) == canonical


def test_an_alias_and_its_present_name() -> None:
    assert (
        standard_names.alias_of("air_pressure_at_sea_level standard_error")
        == "air_pressure_at_mean_sea_level standard_error"
    )
    assert standard_names.alias_of("air_pressure_at_mean_sea_level") is None
    assert standard_names.same("air_pressure_at_sea_level", "air_pressure_at_mean_sea_level")
    assert not standard_names.same("air_temperature", "sea_surface_temperature")


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("sea_surface_temprature", "sea_surface_temperature"), ("Sea surface temperature", "sea_surface_temperature"),
        ("air_temp", "air_temperature"), ("sea_water_salinty", "sea_water_salinity"),
    ],
)  # fmt: skip
def test_the_nearest_names(name: str, first: str) -> None:
    assert standard_names.nearest(name)[0] == first
    assert len(standard_names.nearest(name, 2)) <= 2


def test_nothing_is_near_to_nonsense() -> None:
    assert standard_names.nearest("qqqq") == []
    assert standard_names.nearest("") == []


def test_what_is_stated() -> None:
    assert [standard_names.is_stated(text) for text in ("x", "", "unknown", None, 3)] == [
        True,
        False,
        False,
        False,
        False,
    ]
