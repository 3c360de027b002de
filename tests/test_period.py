import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthcode_pack.model import Period, rfc3339
from earthcode_pack.profile.period import TimePattern, last_second, parse_period

YEARS = st.integers(1, 9999)
DAYS = st.dates()
SECONDS = st.datetimes().map(lambda moment: moment.replace(microsecond=0))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2020", utc(2020, 1, 1), utc(2020, 12, 31, 23, 59, 59)),
        (2020, utc(2020, 1, 1), utc(2020, 12, 31, 23, 59, 59)),
        ("2020-02", utc(2020, 2, 1), utc(2020, 2, 29, 23, 59, 59)),
        ("2021-02", utc(2021, 2, 1), utc(2021, 2, 28, 23, 59, 59)),
        ("2020-12-31", utc(2020, 12, 31), utc(2020, 12, 31, 23, 59, 59)),
        (date(2020, 1, 31), utc(2020, 1, 31), utc(2020, 1, 31, 23, 59, 59)),
        ("2020-01-31T12", utc(2020, 1, 31, 12), utc(2020, 1, 31, 12, 59, 59)),
        ("2020-01-31T12:30", utc(2020, 1, 31, 12, 30), utc(2020, 1, 31, 12, 30, 59)),
        ("2020-01-31 12:30:15", utc(2020, 1, 31, 12, 30, 15), utc(2020, 1, 31, 12, 30, 15)),
        ("2020-01-31T123015Z", utc(2020, 1, 31, 12, 30, 15), utc(2020, 1, 31, 12, 30, 15)),
        ("2020-01-01T01:00:00+02:00", utc(2019, 12, 31, 23), utc(2019, 12, 31, 23)),
        ("2020-01-01T01:30+0200", utc(2019, 12, 31, 23, 30), utc(2019, 12, 31, 23, 30, 59)),
        (datetime(2020, 1, 1, 6, tzinfo=UTC), utc(2020, 1, 1, 6), utc(2020, 1, 1, 6)),
    ],
)
def test_a_precision_coarser_than_a_second_means_an_interval(text, start, end) -> None:
    assert parse_period(text) == Period(start=start, end=end)


def test_a_fraction_of_a_second_is_kept() -> None:
    moment = utc(2016, 12, 19, 10, 27, 29, 687763)
    assert parse_period("2016-12-19T10:27:29.687763Z") == Period(start=moment, end=moment)


def test_the_last_day_of_the_calendar_has_an_end() -> None:
    assert parse_period("9999-12-31").end == utc(9999, 12, 31, 23, 59, 59)
    assert parse_period("9999").end == utc(9999, 12, 31, 23, 59, 59)


@pytest.mark.parametrize(
    "text",
    [
        *("", "today", "2020-13-01", "2020-02-30", "0000", "20200131", "2020-1-1", "2020-01-31T25", "2020-1230"),
        *("2020-01-31T12:00:00+99:99", "9999-12-31T23:00:00-05:00", "0001-01-01T00:00:00+05:00", "2020-05:00"),
    ],
)
def test_what_is_no_date_is_refused_by_its_own_text(text) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_period(text)


@given(DAYS)
def test_any_day_lasts_a_day_less_a_second(day) -> None:
    period = parse_period(day.isoformat())
    assert period.start.date() == period.end.date() == day
    assert period.end - period.start == timedelta(days=1, seconds=-1)
    assert parse_period(day) == period


@given(YEARS, st.integers(1, 12))
def test_any_month_ends_on_its_last_day(year, month) -> None:
    period = parse_period(f"{year:04}-{month:02}")
    assert (period.start.day, period.end.day) == (1, monthrange(year, month)[1])
    assert (period.end.year, period.end.month) == (year, month)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES))
def test_any_moment_in_any_zone_is_that_instant_in_utc(moment) -> None:
    assert parse_period(moment.isoformat()) == Period(start=moment, end=moment)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_reads_back_from_its_text(moment) -> None:
    assert parse_period(rfc3339(moment)).start == moment


@given(st.text(max_size=30))
def test_any_text_is_a_period_or_a_value_error(text) -> None:
    try:
        period = parse_period(text)
    except ValueError:
        return
    assert period.start <= period.end


@given(SECONDS, st.integers(0, 5))
def test_the_last_second_lies_within_what_begins_there(moment, precision) -> None:
    cut = datetime(*([*moment.timetuple()[: precision + 1], 1, 1][: max(precision + 1, 3)]))
    end = last_second(cut, precision)
    assert end.timetuple()[: precision + 1] == cut.timetuple()[: precision + 1]
    if end.year < 9999:
        assert (end + timedelta(seconds=1)).timetuple()[: precision + 1] != cut.timetuple()[: precision + 1]


@pytest.mark.parametrize(
    ("pattern", "name", "start", "end"),
    [
        ("sst_{start:%Y%m%d}_*.tif", "sst_20200131_v1.tif", utc(2020, 1, 31), utc(2020, 1, 31, 23, 59, 59)),
        ("a_{start:%Y%m}.tif", "a_202002.tif", utc(2020, 2, 1), utc(2020, 2, 29, 23, 59, 59)),
        ("*{start:%Y}.tif", "a_b_2020.tif", utc(2020, 1, 1), utc(2020, 12, 31, 23, 59, 59)),
        ("{start:%Y%j}.tif", "2020366.tif", utc(2020, 12, 31), utc(2020, 12, 31, 23, 59, 59)),
        ("{start:%y%m%dT%H}*", "200131T06Z.tif", utc(2020, 1, 31, 6), utc(2020, 1, 31, 6, 59, 59)),
        ("{start:%d%b%Y}.tif", "31Jan2020.tif", utc(2020, 1, 31), utc(2020, 1, 31, 23, 59, 59)),
        ("{start:%Y%m%dT%H%M%S%z}.tif", "20200101T010000+0200.tif", utc(2019, 12, 31, 23), utc(2019, 12, 31, 23)),
        ("{start:%Y%m%dT%H%M%S%z}.tif", "20200101T010000Z.tif", utc(2020, 1, 1, 1), utc(2020, 1, 1, 1)),
        ("{start:%Y%m%d}-{end:%Y%m%d}.nc", "20200101-20200110.nc", utc(2020, 1, 1), utc(2020, 1, 10, 23, 59, 59)),
        ("{start:%Y}_{end:%Y%m}.nc", "2020_202106.nc", utc(2020, 1, 1), utc(2021, 6, 30, 23, 59, 59)),
        ("a.b+{start:%Y-%m-%d}.nc", "a.b+2020-01-31.nc", utc(2020, 1, 31), utc(2020, 1, 31, 23, 59, 59)),
        ("{start:%Y%m%d}", "99991231", utc(9999, 12, 31), utc(9999, 12, 31, 23, 59, 59)),
        ("a_{start:%Y-%m-%d}.nc", "a_2020-1-5.nc", utc(2020, 1, 5), utc(2020, 1, 5, 23, 59, 59)),
        ("*{start:%d-%m-%Y}.nc", "run15-1-2020.nc", utc(2020, 1, 15), utc(2020, 1, 15, 23, 59, 59)),
        ("a_{start:%Y.%j}_*", "a_2020.5_v1.nc", utc(2020, 1, 5), utc(2020, 1, 5, 23, 59, 59)),
        ("a_{start:%Y}_*_{start:%m}.nc", "a_2020_x_02.nc", utc(2020, 2, 1), utc(2020, 2, 29, 23, 59, 59)),
        ("{start:%Y%m%d}_*_{start:%Y%j}.nc", "20200201_x_2020032.nc", utc(2020, 2, 1), utc(2020, 2, 1, 23, 59, 59)),
        ("*{start:%Y%m%d}*", "L820200115_x.tif", utc(2020, 1, 15), utc(2020, 1, 15, 23, 59, 59)),
        ("{start:%d%b%Y}_{start:%m}.tif", "31JAN2020_1.tif", utc(2020, 1, 31), utc(2020, 1, 31, 23, 59, 59)),
    ],
)
def test_a_name_states_its_period(pattern, name, start, end) -> None:
    assert TimePattern(pattern).period(name) == Period(start=start, end=end)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("{start:%Y}/{start:%m}/sst_{start:%d}.nc", "{}/2020/01/sst_05.nc"),
        ("{start:%Y}/{start:%m}/sst_{start:%d}.nc", "{}/2020/1/sst_5.nc"),
        ("{start:%Y/%m/%d}/*.nc", "{}/2020/01/05/sst.nc"),
        ("*/{start:%Y/%j}/*.nc", "{}/2020/005/sst 1.nc"),
        ("raw/{start:%Y%m%d}/**/sst.nc", "{}/20200105/a/b/sst.nc"),
        ("raw/**/{start:%Y%m%d}.nc", "{}/20200105.nc"),
        ("/data/raw/{start:%Y%m%d}.nc", "{}/20200105.nc"),
        ("sst_{start:%Y%m%d}.zarr/*", "{}/sst_20200105.zarr/0/"),
        ("{start:%Y%m%d}.nc", "{}/2019/20200105.nc"),
    ],
)
@pytest.mark.parametrize(
    "root", ["/data/raw", "data/raw", "file:///data/raw", "s3://data/raw", "https://example.org:8443/data/raw"]
)
def test_a_pattern_spans_the_path_as_far_as_it_names_folders(root, pattern, path) -> None:
    period = TimePattern(pattern).period(path.format(root))
    assert period == Period(start=utc(2020, 1, 5), end=utc(2020, 1, 5, 23, 59, 59))


def test_a_url_is_read_without_its_query_and_escapes() -> None:
    pattern = TimePattern("my maps/a_{start:%Y%m%d}.nc")
    url = "https://example.org/my%20maps/a_20200105.nc?download=1"
    assert pattern.period(url) == pattern.period("my maps/a_20200105.nc") is not None


@pytest.mark.parametrize("path", ["2020/a.nc", "2020/01/x/a.nc", "x2020/01/a.nc", "2020/01/a.nc/b"])
def test_a_path_that_does_not_match_states_none(path) -> None:
    assert TimePattern("{start:%Y}/{start:%m}/*.nc").period(path) is None


@pytest.mark.parametrize("name", ["sst_2020131.tif", "sst_20200131.tiff", "xsst_20200131.tif", "sst_20200131xtif", ""])
def test_a_name_that_does_not_match_states_none(name) -> None:
    assert TimePattern("sst_{start:%Y%m%d}.tif").period(name) is None


@pytest.mark.parametrize(
    ("pattern", "name", "said"),
    [
        ("{start:%Y%m%d}.tif", "20201301.tif", "'20201301' is no date"),
        ("{start:%Y%m%d}.tif", "20200230.tif", "'20200230' is no date"),
        ("{start:%Y%m%d}_{end:%Y%m%d}", "20200102_20200101", "before it starts"),
        ("{start:%Y%m%dT%H%M%S%z}", "99991231T230000-0500", "is no date"),
        ("{start:%Y}/a_{start:%Y%m%d}", "2019/a_20200101", "states two dates: %Y is 2019"),
        ("{start:%Y%m%d}_{start:%Y%j}", "20200201_2020033", "states two dates"),
        ("{start:%b%Y}_{start:%m}", "jan2020_02", "states two dates"),
        ("*_{start:%Y%m%d}_*", "a_20200101_b_20200105_c.tif", "matches in two ways, 2020-01-05.* and 2020-01-01"),
        ("{start:%Y}/**/a.nc", "raw/2019/2020/b/a.nc", "matches in two ways"),
    ],
)
def test_a_name_that_matches_and_is_no_date_is_refused(pattern, name, said) -> None:
    with pytest.raises(ValueError, match=said):
        TimePattern(pattern).period(name)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("sst_*.tif", "names no time"),
        ("{end:%Y}.tif", "names no time"),
        ("{start:%Y}{begin:%Y}.tif", "neither {start:…} nor {end:…}"),
        ("{start:%Y%Y}", "twice"),
        ("{start:%Y%Q}", "%Q in the pattern"),
        ("{start:%Y%}", "% in the pattern"),
        ("{start:%H%M}.tif", "lacks the year"),
        ("{start:%z}.tif", "lacks the year"),
        ("{start:abc}.tif", "lacks the year"),
        ("{start:%Y%d}.tif", "lacks the month"),
        ("{start:%Y%m%H}.tif", "lacks the day"),
        ("{start:%Y%m%dT%H%M}_{end:%H%M}.tif", "lacks the year"),
    ],
)
def test_a_pattern_that_would_be_filled_in_by_guessing_is_refused(pattern, said) -> None:
    with pytest.raises(ValueError, match=said):
        TimePattern(pattern)


@given(
    st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),
    st.text(st.characters(exclude_characters="*{}"), max_size=9),
)
def test_any_moment_reads_back_from_a_name_around_it(moment, around) -> None:
    pattern = TimePattern(around + "{start:%Y%m%dT%H%M%S%f}" + around)
    period = pattern.period(f"{around}{moment:%Y%m%dT%H%M%S%f}{around}")
    assert period == Period(start=moment, end=moment)


@given(st.text("{}*:%YmdHMSfzjbstarend_.", max_size=40), st.text("20 0113_.T+Z", max_size=20))
def test_any_pattern_and_name_give_a_period_none_or_a_value_error(pattern, name) -> None:
    try:
        TimePattern(pattern).period(name)
    except ValueError:
        return


@pytest.mark.timeout(60)  # seconds, where trying all ways would be hours
@pytest.mark.parametrize("name", ["_" * 250 + "x.nc", "_a" * 120 + ".nc", "/_" * 2000 + "2020010.nc"])
def test_many_wildcards_and_a_long_name_take_no_long_time(name) -> None:
    assert TimePattern("**/*_*_*_*_*_*_{start:%Y%m%d}_*_*.nc").period(name) is None


def test_many_wildcards_match_what_they_always_did() -> None:
    pattern = TimePattern("**/*_*_{start:%Y%m%d}_*_{end:%B%Y}*.nc")
    period = pattern.period("/data/x/sst_l4_20200131_v2_February2020.nc")
    assert period == Period(start=utc(2020, 1, 31), end=utc(2020, 2, 29, 23, 59, 59))
