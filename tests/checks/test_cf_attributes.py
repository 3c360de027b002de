import pytest

from earthcode_pack.checks.cf_attributes import name_findings


@pytest.mark.parametrize(
    ("name", "unit", "rules"),
    [
        ("sea_surface_temperature", "K", []),
        ("sea_surface_temperature", "degC", []),
        ("sea_surface_temperature", "m", ["CF-STANDARD-NAME-UNITS"]),
        ("sea_surface_temperature standard_error", "K", []),
        ("sea_surface_temperature status_flag", "m", []),
        ("sea_surface_temperature status_flag", None, []),
        ("sea_surface_temperature number_of_observations", "1", []),
        ("sea_surface_temperature number_of_observations", "K", ["CF-STANDARD-NAME-UNITS"]),
        ("sea_ice_area_fraction", "%", []),
        ("sea_ice_area_fraction", "1", []),
        ("sea_water_practical_salinity", "1e-3", []),
        ("sea_water_salinity", "psu", ["CF-UNITS-FORM"]),
        ("region", "1", []),
        ("time", "days since 2000-01-01", []),
        ("air_pressure_at_sea_level", "hPa", ["CF-STANDARD-NAME-ALIAS"]),
        ("air_pressure_at_sea_level", "K", ["CF-STANDARD-NAME-ALIAS", "CF-STANDARD-NAME-UNITS"]),
        ("sea_surface_temprature", "m", ["CF-STANDARD-NAME-UNKNOWN"]),
        ("unknown", "K", []),
        (None, "whatever", ["CF-UNITS-FORM"]),
        (None, None, []),
        ("", "", []),
        (7, 7, []),
        ("sound_pressure_level_in_water", "dB", []),
    ],
)
def test_name_and_unit(name, unit, rules) -> None:
    assert [finding.rule for finding in name_findings("x", name, unit)] == rules


def test_the_nearest_stand_in_the_message() -> None:
    (form,) = name_findings("a.nc", None, "PSU", "salt in a.nc")
    assert form.message == "salt in a.nc has the units 'PSU', which UDUNITS cannot read; write '1e-3'"
    (unknown,) = name_findings("a.nc", "sea_surface_temprature", None)
    assert "sea_surface_temperature" in unknown.message
    assert unknown.allowed[0] == "sea_surface_temperature"


def test_levels_follow_the_contract() -> None:
    levels = {f.rule: f.level.value for f in name_findings("x", "air_pressure_at_sea_level", "K")}
    levels |= {f.rule: f.level.value for f in name_findings("x", "nothing_known", "psu")}
    assert levels == {
        "CF-STANDARD-NAME-ALIAS": "info",
        "CF-STANDARD-NAME-UNITS": "error",
        "CF-STANDARD-NAME-UNKNOWN": "warning",
        "CF-UNITS-FORM": "warning",
    }
