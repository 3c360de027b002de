"""The time axis of a dataset as periods in UTC, whatever its calendar (CF 4.4, 7.1, 7.4)."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import cftime
import numpy as np

from earthcode_pack.cf.missing import packed_alike, unpacked
from earthcode_pack.cf.roles import bounds_of
from earthcode_pack.cf.time_units import advice, fuzz, has_reference, in_microseconds, plain_units, snapped
from earthcode_pack.cf.units import factor as unit_factor
from earthcode_pack.errors import NotEqual, Unreadable
from earthcode_pack.model import Clock, Period

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import xarray as xr

_REFORM = (1582, 10, 15)  # from this day on the standard calendar is the Gregorian one (CF 4.4.1)
Timing = tuple[str, str]
"""Units and calendar of numbers that count time."""
GREGORIAN = ("standard", "gregorian", "proleptic_gregorian")
_REAL = (*GREGORIAN, "julian")


def periods_of(dataset: xr.Dataset, dim: str) -> tuple[Period, ...]:
    """One period for each step: the CF bounds where there are any, else instants.

    Those of a climatology last from the first bound to the last one, over all its years (CF 7.4).

    Raises ``Unreadable`` where the units hold no reference time, a value is missing or is packed.
    """
    valid = valid_times(dataset, dim)
    if valid is not None:
        return tuple(Period(start=min(run.ravel()), end=max(run.ravel())) for run in valid)
    return own_periods_of(dataset, dim)


def own_periods_of(dataset: xr.Dataset, dim: str) -> tuple[Period, ...]:
    """Periods of the coordinate itself: of the runs of a forecast, not of the times they are valid for."""
    coordinate = dataset[dim]
    _refuse_without_units(dataset, dim)
    units, calendar = units_and_calendar(coordinate)
    _refuse_what_is_no_time(coordinate, dim)
    bounds = dataset.variables.get(bounds_of(coordinate.attrs))
    if bounds is not None and bounds.shape == (coordinate.size, 2):
        pairs = decode(bounds.values, bounds.attrs.get("units", units), bounds.attrs.get("calendar", calendar), dim)
        return tuple(Period(start=min(pair), end=max(pair)) for pair in pairs)
    return tuple(Period(start=moment, end=moment) for moment in decode(coordinate.values, units, calendar, dim))


def valid_times(dataset: xr.Dataset, dim: str) -> np.ndarray[Any, Any] | None:
    """The moments for which the runs of a forecast are valid, runs first; None of an axis of valid times itself.

    By a coordinate ``time`` along the runs and their steps, else as the reference times plus the forecast periods
    (standard names ``forecast_reference_time`` and ``forecast_period``).
    """
    if dim not in dataset.variables or dataset[dim].attrs.get("standard_name") == "time":
        return None  # times of single cells beside it may have gaps, and are no axis
    stated = [
        str(name)
        for name, variable in dataset.variables.items()
        if name != dim and dim in variable.dims and variable.dtype.kind in "iuf"
        and variable.attrs.get("standard_name") == "time" and has_reference(variable.attrs.get("units"))
    ]  # fmt: skip
    is_reference = is_reference_time(dataset[dim].attrs)
    many = [name for name in stated if dataset[name].ndim > 1]
    if stated and (is_reference or many):
        variable = dataset[(many or stated)[0]]
        _refuse_what_is_no_time(variable, str(variable.name))
        values = variable.transpose(dim, ...).values
        return decode(values, *units_and_calendar(variable), str(variable.name)).reshape(values.shape[0], -1)
    return _after_reference(dataset, dim) if is_reference else None


def _after_reference(dataset: xr.Dataset, dim: str) -> np.ndarray[Any, Any] | None:
    """Reference times plus forecast periods; None without such periods."""
    leads = [v for v in dataset.variables.values() if v.attrs.get("standard_name") == "forecast_period"]
    if len(leads) != 1 or leads[0].ndim > 1 or dim in leads[0].dims:
        return None
    runs = [period.start for period in own_periods_of(dataset, dim)]
    seconds = unit_factor(str(leads[0].attrs.get("units", "")), "s")
    if seconds is None:
        raise Unreadable(
            f"the forecast_period of {dim} is in {leads[0].attrs.get('units')!r}, which is no unit of time",
            "give it units such as hours",
        )
    steps = [timedelta(seconds=float(lead) * seconds) for lead in np.atleast_1d(leads[0].values)]
    return np.array([[run + step for step in steps] for run in runs], dtype=object)


def scalar_time(dataset: xr.Dataset) -> tuple[Period, ...]:
    """The one period of a time coordinate without a dimension; none without such (CF 5.7)."""
    for name, variable in dataset.variables.items():
        if variable.ndim == 0 and variable.attrs.get("standard_name") == "time" and variable.dtype.kind in "iuf":
            return periods_of(dataset.expand_dims(dim={"_": 1}).rename({"_": f"{name}_"}), str(name))
    return ()


def is_reference_time(attrs: Mapping[Any, Any]) -> bool:
    """Tells whether times are those at which forecasts began, by their standard name."""
    return bool(attrs.get("standard_name") == "forecast_reference_time")


def calendar_of(attrs: Mapping[Any, Any]) -> str:
    """The calendar of a time coordinate; CF's default is ``standard`` (4.4.1)."""
    return str(attrs.get("calendar") or "standard").lower()


def ends_of(dataset: xr.Dataset, dim: str) -> tuple[datetime, datetime]:
    """The first and the last time of an axis, or of a forecast's steps; without the bounds of either.

    Raises ``Unreadable`` where its units hold no reference time, or all its values are missing.
    """
    valid = valid_times(dataset, dim)
    if valid is not None:
        return valid.min(), valid.max()
    first, last = decode(_ends(dataset.variables[dim], dim), *units_and_calendar(dataset[dim]), dim)
    return first, last


def period_along(dataset: xr.Dataset, name: str) -> tuple[Period, ...]:
    """The one period of a variable whose times lie along dimensions that are no time axis; none without such times.

    From the first to the last, by the bounds where there are any.
    """
    time = time_of(dataset, name)
    if time is None:
        return ()
    coordinate = dataset[time]
    units, calendar = units_and_calendar(coordinate)
    bounds = dataset.variables.get(bounds_of(coordinate.attrs))
    held = coordinate.variable if bounds is None else packed_alike(bounds, coordinate.variable)
    start, end = decode(_ends(held, time), held.attrs.get("units", units), held.attrs.get("calendar", calendar), time)
    return (Period(start=start, end=end),)


def _ends(variable: xr.Variable, name: str) -> np.ndarray[Any, Any]:
    """The least and the greatest value that is not missing; integers stay such, for floats would round them."""
    values = unpacked(variable).ravel() if variable.dtype.kind in "iuf" else np.empty(0)
    if not np.isfinite(values).any():
        raise Unreadable(f"time coordinate {name} holds no time", "set source.time: {from: filename, pattern: …}")
    at = [int(np.nanargmin(values)), int(np.nanargmax(values))]
    is_packed = {"scale_factor", "add_offset"} & set(variable.attrs)
    return np.asarray((values if is_packed else variable.values.ravel())[at])


def time_of(dataset: xr.Dataset, name: str) -> str | None:
    """The time of a variable: one that it names, else by standard name, else by its name (CF 4.4)."""
    dims, stated = set(dataset[name].dims), str(dataset[name].attrs.get("coordinates", "")).split()
    every = [
        str(key) for key, v in dataset.variables.items()
        if has_reference(v.attrs.get("units")) and v.ndim and set(v.dims) <= dims and v.dtype.kind in "iuf"
    ]  # fmt: skip
    by_name = [key for key in every if dataset[key].attrs.get("standard_name") == "time" or key.lower() == "time"]
    chosen = [key for key in every if key in stated and key in by_name] or by_name or [k for k in every if k in stated]
    return next(iter(chosen or (every if len(every) == 1 else [])), None)


def _refuse_without_units(dataset: xr.Dataset, dim: str) -> None:
    """A dimension without times of its own, beside which other variables hold them, as those of WRF do."""
    if has_reference(dataset[dim].attrs.get("units")):
        return
    beside = [
        str(name)
        for name, variable in dataset.variables.items()
        if name != dim and dim in variable.dims and (has_reference(variable.attrs.get("units")) or name == "Times")
    ]
    if beside:
        raise Unreadable(
            f"dimension {dim} has no times of its own; {' and '.join(beside)} along it hold some",
            f"write them as its coordinate, such as {beside[-1]} as {dim}({dim}) with units such as "
            '"minutes since 2020-01-01", or set source.time: {from: filename, pattern: …}',
        )


def units_and_calendar(coordinate: xr.DataArray | xr.Variable) -> Timing:
    """Units and calendar as they are stated; the CF default calendar is ``standard`` (4.4.1)."""
    units = str(coordinate.attrs.get("units", ""))
    if not has_reference(units):
        raise Unreadable(
            f"time coordinate {getattr(coordinate, 'name', '')!s}: units {units[:100]!r} name no reference time",
            'give it units such as "days since 2020-01-01", or set source.time: {from: filename, pattern: …}',
        )
    return units, calendar_of(coordinate.attrs)


def timings_of(dataset: xr.Dataset) -> dict[str, Timing]:
    """Units and calendar of each time coordinate, and of the bounds of those, which inherit them (CF 7.1)."""
    own, inherited = dict[str, Timing](), dict[str, Timing]()
    for name, variable in dataset.variables.items():
        if has_reference(variable.attrs.get("units")):
            timing = own[str(name)] = units_and_calendar(variable)
            if bounds := bounds_of(variable.attrs):
                inherited.setdefault(bounds, timing)
    return inherited | own


def clocks_of(dataset: xr.Dataset, time_dim: str, coordinates: Iterable[str]) -> tuple[Clock, ...]:
    """Selects the coordinates that count time, along the time axis or once."""
    found, timings = [], timings_of(dataset)
    for name in coordinates:
        variable = dataset.variables[name]
        timing = timings.get(name) if variable.dtype.kind in "iuf" else None
        if timing is not None and (time_dim in variable.dims or not variable.ndim):
            found.append(Clock(name=name, units=timing[0], calendar=timing[1], values=variable.values.ravel().tolist()))
    return tuple(found)


def _refuse_what_is_no_time(coordinate: xr.DataArray, name: str) -> None:
    if coordinate.attrs.get("scale_factor", 1) != 1 or coordinate.attrs.get("add_offset", 0) != 0:
        raise Unreadable(f"time coordinate {name} is packed with scale and offset", "write its times as they are")
    missing = np.isnan(unpacked(coordinate))
    if missing.any():
        stored = coordinate.values[missing][0]
        raise Unreadable(
            f"time coordinate {name}: a value is missing ({stored})", "fill the axis, or leave the file out"
        )


def decode(values: np.ndarray[Any, Any], units: str, calendar: str, name: str) -> np.ndarray[Any, Any]:
    """Moments (aware, UTC, to the microsecond) in the shape of ``values``."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Unreadable(f"time coordinate {name}: a value is missing", "fill the time axis, or leave the file out")
    if calendar == "tai":
        raise Unreadable(f"time coordinate {name}: calendar 'tai' leaves out leap seconds", "write its times in UTC")
    try:
        moments = dates(values, units, calendar)
        rounding = fuzz(*in_microseconds(values, units))
        to_utc = np.frompyfunc(lambda moment: snapped(gregorian(moment, calendar), rounding), 1, 1)
        return np.asarray(to_utc(moments), dtype=object)
    except (ValueError, OverflowError, Warning) as error:
        message = f"time coordinate {name}: {units!r}, calendar {calendar!r}: {error}"
        raise Unreadable(message, advice(units)) from error


def gregorian(moment: Any, calendar: str) -> datetime:
    """The moment in the Gregorian calendar: real calendars by the day, model calendars by the label.

    A date that the Gregorian calendar lacks (30 February of ``360_day``) becomes the last day of its month.
    Raises ``ValueError`` for years that RFC 3339, and so STAC, cannot state: before 1 and after 9999.
    """
    if calendar in _REAL and (calendar == "julian" or _day(moment) < _REFORM):
        moment = moment.change_calendar("proleptic_gregorian")  # a millisecond each
    if not MINYEAR <= moment.year <= MAXYEAR:
        raise ValueError(f"{moment.isoformat()} lies outside the years 1 to 9999, which is all that STAC can state")
    day = min(moment.day, monthrange(moment.year, moment.month)[1])
    return datetime(
        moment.year, moment.month, day, moment.hour, moment.minute, moment.second, moment.microsecond, tzinfo=UTC
    )


def _day(moment: Any) -> tuple[int, int, int]:
    return moment.year, moment.month, moment.day


def lacks_days(dataset: xr.Dataset, dim: str) -> bool:
    """Tells whether the axis holds a date that the Gregorian calendar lacks."""
    if dim not in dataset.variables or not has_reference(dataset[dim].attrs.get("units")):
        return False
    return units_and_calendar(dataset[dim])[1] not in _REAL and any(
        moment.day > monthrange(moment.year, moment.month)[1] for moment in _own_dates(dataset, dim)
    )


def labels_of(dataset: xr.Dataset, dim: str) -> tuple[str, ...]:
    """The dates of an axis in its own calendar, as ISO 8601 writes them; none where the Gregorian calendar has all."""
    return tuple(moment.isoformat() for moment in _own_dates(dataset, dim)) if lacks_days(dataset, dim) else ()


def _own_dates(dataset: xr.Dataset, dim: str) -> Any:
    return np.atleast_1d(dates(dataset[dim].values, *units_and_calendar(dataset[dim])))


def dates(values: Any, units: str, calendar: str) -> Any:
    """The dates of a calendar that numbers of time stand for, as cftime has them, in the shape of ``values``.

    Raises ``ValueError`` or ``OverflowError`` for units and numbers that are none.
    """
    values, units = in_microseconds(np.asarray(values), units)
    return cftime.num2date(values, plain_units(units), calendar, only_use_cftime_datetimes=True)


def converted(values: np.ndarray[Any, Any], given: Timing, wanted: Timing, name: str) -> np.ndarray[Any, Any]:
    """Numbers of one pair of units and calendar as those of another, checked by decoding them again.

    Raises ``NotEqual`` where the units are too coarse for an instant.
    """
    moments = dates(values, *given)
    if given[1] != wanted[1]:
        moments = np.vectorize(lambda moment: moment.change_calendar(wanted[1]), otypes=[object])(moments)
    whole, coarse = in_microseconds(values, given[0])  # cftime knows no nanoseconds
    _, units = in_microseconds(values, wanted[0])
    out = np.asarray(cftime.date2num(moments, plain_units(units), wanted[1])) * (1 if units == wanted[0] else 1000)
    is_whole = coarse == given[0] or np.array_equal(whole * 1000, values)
    if not is_whole or not np.array_equal(decode(out, *wanted, name), decode(values, *given, name)):
        raise NotEqual(
            f"{name}: {given[0]!r} cannot be written as {wanted[0]!r} without rounding",
            "give the files one unit of time",
        )
    return out


def days_that_lack(dim: str) -> str:
    """Words the note on dates that the Gregorian calendar lacks."""
    return f"{dim}: dates that the Gregorian calendar lacks (30 February) are the last day of their month in STAC"


def names_an_interval(attrs: dict[str, Any], dim: str) -> bool:
    """Tells whether ``cell_methods`` says that values stand for intervals of time (CF 7.3), such as ``time: mean``."""
    methods = str(attrs.get("cell_methods", ""))
    return bool(re.search(rf"\b{re.escape(dim)}\s*:\s*(?!point)\w+", methods))
