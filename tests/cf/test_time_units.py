"""Time axes: reference times with zones, digits, and gaps, each with an answer known by construction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthcode_pack.cf.time_units import Gaps, advice, fuzz, gaps, plain_units, snapped

FIRST = datetime(2020, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("units", "plain"),
    [
        ("days since 2000-01-01", "days since 2000-01-01 00:00:00"),
        ("days since 2000-01-01 00:00:00 UTC", "days since 2000-01-01 00:00:00"),
        ("days since 2000-01-01T00:00:00Z", "days since 2000-01-01 00:00:00"),
        ("days since 2000-01-01 00:00:00 +02:00", "days since 2000-01-01 00:00:00 +02:00"),
        ("days since 2000-01-01 00:00:00+2", "days since 2000-01-01 00:00:00 +02:00"),
        ("days since 2000-01-01 00:00 -0330", "days since 2000-01-01 00:00:00 -03:30"),
        ("days since 2000-01-01 00:00 -330", "days since 2000-01-01 00:00:00 -03:30"),
        ("seconds since 1-1-1 0:0:0.5", "seconds since 1-1-1 00:00:0.5"),
    ],
)
def test_every_form_of_reference_in_one(units: str, plain: str) -> None:
    assert plain_units(units) == plain


@pytest.mark.parametrize(
    "units",
    [
        *("days since 2000-01-01 00:00:00 EST", "days since the flood", "days since 2000-01-01 25:00", "K", "days"),
        *("days since 2000-01-01 00:60", "days since -4712-01-01", "days since 2000-01", "days since 20000101"),
    ],
)
def test_what_a_reader_would_leave_out_is_refused(units: str) -> None:
    with pytest.raises(ValueError, match=r"holds no reference time|no clock shows"):
        plain_units(units)


def test_months_are_no_days_of_a_calendar() -> None:
    assert "365.242198781" in advice("months since 2000-01-01")
    assert "days since" in advice("moons since 2000-01-01")


def test_the_digits_of_a_number_are_those_of_its_time() -> None:
    assert fuzz(np.array([18000], "f4"), "days since 1970-01-01") == 0  # whole days are exact
    assert fuzz(np.array([18000], "i4"), "days since 1970-01-01") == 0
    assert fuzz(np.array([18000.5], "f4"), "days since 1970-01-01") == 2**-10 * 86400e6
    assert fuzz(np.array([0.5, np.nan, 0.1]), "hours since 1970-01-01") == np.spacing(0.5) * 3600e6 / 2
    assert fuzz(np.array([0.5]), "fortnights since 1970-01-01") == 0


@given(second=st.integers(0, 86399), day=st.integers(1, 800_000))
def test_a_whole_second_in_float64_days_is_that_second(second: int, day: int) -> None:
    """What cftime makes of it is within half a unit in the last place, and a microsecond for its own rounding."""
    value = np.array([day + second / 86400])
    true = datetime(1, 1, 1) + timedelta(days=day, seconds=second)
    off = timedelta(microseconds=round(fuzz(value, "days since 0001-01-01")))
    for moment in (true - off, true, true + off):
        assert snapped(moment, fuzz(value, "days since 0001-01-01")) == true


def test_microseconds_that_an_integer_states_are_kept() -> None:
    moment = datetime(2020, 1, 1, microsecond=1)
    assert snapped(moment, 0.0) == moment


@pytest.mark.parametrize("step", [timedelta(seconds=1), timedelta(hours=6), timedelta(days=1), timedelta(days=8)])
def test_gaps_of_a_regular_axis(step: timedelta) -> None:
    kept = [n for n in range(30) if n not in (3, 10, 11, 12, 20)]
    found = gaps([FIRST + n * step for n in kept][::-1])
    assert found == Gaps(5, FIRST + 9 * step, FIRST + 13 * step)


def test_months_and_years_are_regular_by_the_calendar() -> None:
    months = [datetime(2020 + n // 12, 1 + n % 12, 15) for n in range(24) if n not in (5, 6)]
    assert gaps(months) == Gaps(2, datetime(2020, 5, 15), datetime(2020, 8, 15))
    assert gaps([datetime(year, 1, 1) for year in (2000, 2001, 2002, 2004)]) == Gaps(
        1, datetime(2002, 1, 1), datetime(2004, 1, 1)
    )


@pytest.mark.parametrize(
    "days", [[], [1], [1, 5], [1, 2, 3, 4], [1, 2, 4, 7, 11], [1, 2, 3, 4.5, 6], [1, 3, 7, 9, 19, 31]]
)
def test_what_is_whole_or_irregular_has_no_gap(days: list[float]) -> None:
    assert gaps([FIRST + timedelta(days=day) for day in days]) is None
