"""Units as UDUNITS reads them, and what people write instead."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from earthcode_pack.cf import units


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "%",
        "K",
        "kelvin",
        "°C",
        "mg m-3",
        "mg/m3",
        "kg m**-2 s**-1",
        "W.m-2",
        "1e-3",
        "lg(re 1 mg m-3)",
        "dB",
        "level",
    ],
)
def test_what_udunits_or_cf_knows_is_a_unit(text: str) -> None:
    assert units.is_unit(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "psu", "unitless", "-", "none", "unknown", "no_unit", "degrees C", "(0 - 1)", "m of water", "x" * 999],
)
def test_what_only_people_know_is_none(text: str) -> None:
    assert not units.is_unit(text)


def test_the_short_list_is_of_units() -> None:
    """It is believed without asking UDUNITS."""
    assert [text for text in units._KNOWN if units._parsed(units._OF_CF.get(text, text)) is None] == []


def test_what_people_mean_is_of_units() -> None:
    assert [meant for many in units._MEANT.values() for meant in many if not units.is_unit(meant)] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("K", "kelvin"), ("m s-1", "m/s"), ("mg m-3", "mg/m3"), ("degC", "celsius"), ("%", "percent"), ("1", "1.0"),
        ("psu", "1e-3"), ("PSU", "1"), ("unitless", "1"), ("degrees C", "degC"), ("nonsense", " nonsense"),
        ("g kg-1", "1e-3"), ("decibel", "dB"), ("days since 2000-01-01", "days since 2000-1-1 00:00"),
    ],
)  # fmt: skip
def test_one_unit_in_two_spellings(one: str, other: str) -> None:
    assert units.same(one, other)
    assert units.same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("K", "degC"),
        ("m", "cm"),
        ("1", "%"),
        ("nonsense", "other"),
        ("psu", "K"),
        ("degC", "degF"),
        ("dB", "1"),
        ("K", ""),
    ],
)
def test_two_units_however_near(one: str, other: str) -> None:
    assert not units.same(one, other)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("psu", "1e-3"), ("Unitless", "1"), ("degrees C", "degC"), ("deg", "degree"), ("(mg/m3)", "mg/m3"), ("k", "K"),
        ("kelvn", "kelvin"), ("hpa", "hPa"), ("m sec-1", "m s-1"), ("something else", None),
    ],
)  # fmt: skip
def test_the_nearest_unit(text: str, near: str | None) -> None:
    assert units.nearest(text) == near


def test_convertible_is_of_dimension_alone() -> None:
    assert units.convertible("degF", "K")
    assert units.convertible("dB", "1")
    assert not units.convertible("mm day-1", "kg m-2 s-1")
    assert not units.convertible("psu", "1")


def test_many_threads_ask_at_once() -> None:
    asked = [f"{n} m s-{1 + n % 3}" for n in range(1, 400)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(units.is_unit, asked * 3))


def test_common_units_need_no_library_and_nothing_is_written_to_the_terminal() -> None:
    code = (
        "import sys, earthcode_pack.cf.units as u; assert u.is_unit('K') and u.same('m', ' m'); "
        "assert 'gimli' not in sys.modules; u.is_unit('[m]'); u.is_unit('(0 - 1)')"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
