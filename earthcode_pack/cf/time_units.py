"""Time axes as CF states them: the reference time of their units, how exact their numbers are, and their gaps."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# What cftime takes, and how long each is in microseconds; months and years have no length in days (CF 4.4).
_SECOND = 10**6
_LENGTHS = {
    **dict.fromkeys(("microsecond", "microseconds", "microsec", "microsecs"), 1),
    **dict.fromkeys(("millisecond", "milliseconds", "millisec", "millisecs", "msec", "msecs", "ms"), 1000),
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), _SECOND),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), 60 * _SECOND),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), 3600 * _SECOND),
    **dict.fromkeys(("day", "days", "d"), 86400 * _SECOND),
    **dict.fromkeys(("common_year", "common_years"), 365 * 86400 * _SECOND),
}
_NANOSECONDS = {
    "nanosecond",
    "nanoseconds",
    "nanosec",
    "nanosecs",
    "nsec",
    "nsecs",
    "ns",
}  # xarray writes them, UDUNITS reads them, cftime does not
_OF_UDUNITS = {"month", "months", "year", "years", "yr", "week", "weeks"}
_UNITS = re.compile(r"\s*(\S+)\s+since\s+(.*?)\s*", re.IGNORECASE)
_REFERENCE = re.compile(
    r"(?P<date>\d{1,4}-\d{1,2}-\d{1,2})"
    r"(?:(?:[T ]\s*)(?P<hour>\d{1,2})(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2}(?:\.\d*)?))?)?"
    r"(?:\s*(?P<zone>Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?))?)?",
    re.IGNORECASE,
)


def has_reference(units: object) -> bool:
    """Tells whether units count from a reference time (CF 4.4).

    >>> has_reference("days since 2000-01-01"), has_reference("days"), has_reference(None)
    (True, False, False)
    """
    return " since " in str(units).lower()


def plain_units(units: str) -> str:
    """Units of time with the reference as every reader understands it: a date, a clock time and ``±HH:MM``.

    cftime leaves out a zone, or an hour, that it does not understand, without a word.

    >>> plain_units("days since 2000-1-1"), plain_units("hours since 2000-01-01T06 +2")
    ('days since 2000-1-1 00:00:00', 'hours since 2000-01-01 06:00:00 +02:00')

    Raises ``ValueError`` for a reference that is none.
    """
    stated = _UNITS.fullmatch(units)
    found = _REFERENCE.fullmatch(stated[2]) if stated else None
    if stated is None or found is None:
        raise ValueError(f"{units!r} holds no reference time such as 2000-01-01 00:00:00, with UTC or an offset +02:00")
    hour, minute, second = int(found["hour"] or 0), int(found["minute"] or 0), found["second"] or "0"
    if hour >= 24 or minute >= 60 or float(second) >= 60:  # noqa: PLR2004 - of a clock
        raise ValueError(f"{units!r}: no clock shows {hour:02}:{minute:02}:{second}")
    clock = f"{hour:02}:{minute:02}:{second.zfill(2)}"
    return f"{stated[1]} since {found['date']} {clock}{_offset(found['zone'])}"


def _offset(zone: str | None) -> str:
    if zone is None or zone.upper() in ("Z", "UTC", "GMT"):
        return ""
    digits = zone[1:].replace(":", "")
    hours, minutes = (digits, "00") if len(digits) <= 2 else (digits[:-2], digits[-2:])  # noqa: PLR2004 - HH, HHMM
    return f" {zone[0]}{int(hours):02}:{minutes}"


def advice(units: str) -> str:
    """Words the remedy for units that cannot be decoded."""
    stated = _UNITS.fullmatch(units)
    if stated and stated[1].lower() in _OF_UDUNITS:
        return (
            f"write the times in days: UDUNITS takes {stated[1]} for a part of 365.242198781 days, "
            "which falls on no day of a calendar (CF 4.4)"
        )
    return 'write them as CF 4.4 says, such as "days since 2000-01-01 00:00:00"'


def length(units: str) -> int | None:
    """Returns the length of the unit in microseconds; None where it is not known."""
    stated = _UNITS.fullmatch(units)
    return _LENGTHS.get(stated[1].lower()) if stated else None


def in_microseconds(values: Any, units: str) -> tuple[Any, str]:
    """Values and units as cftime takes them: nanoseconds, which it does not know, become microseconds.

    STAC states no more than that, and integers stay integers.

    >>> import numpy as np
    >>> in_microseconds(np.array([2_000_001_500]), "nanoseconds since 2020-01-01")
    (array([2000001]), 'microseconds since 2020-01-01')
    """
    stated = _UNITS.fullmatch(units)
    if stated is None or stated[1].lower() not in _NANOSECONDS:
        return values, units
    return (values // 1000 if values.dtype.kind in "iu" else values / 1000), f"microseconds since {stated[2]}"


def fuzz(values: Any, units: str) -> float:
    """Returns the rounding of a time in microseconds: half a unit in the last place of its number.

    0 for integers, and for whole numbers of whatever type, which are exact.
    """
    import numpy as np  # noqa: PLC0415 - heavy

    size = length(units)
    if values.dtype.kind != "f" or size is None or values.size == 0:
        return 0.0
    broken = np.abs(values[np.isfinite(values) & (values != np.floor(values))])
    return float(np.spacing(broken.max())) * size / 2 if broken.size else 0.0


def snapped(moment: datetime, fuzz: float) -> datetime:
    """The whole second, else the whole millisecond, that a moment is as far as its number can tell.

    >>> from datetime import datetime
    >>> snapped(datetime(2000, 1, 1, 0, 59, 59, 999997), fuzz=5).isoformat()
    '2000-01-01T01:00:00'
    """
    for step in (_SECOND, 1000) if fuzz else ():
        away = (moment.microsecond + step // 2) % step - step // 2
        if abs(away) <= fuzz + 0.5:  # and cftime rounds to a microsecond
            return moment - timedelta(microseconds=away)
    return moment


@dataclass(frozen=True)
class Gaps:
    """Steps that a regular axis lacks: how many, and those on both sides of the longest gap."""

    missing: int
    before: datetime
    after: datetime


def gaps(moments: Sequence[datetime]) -> Gaps | None:
    """The gaps of an axis that is regular but for them: by days, hours and the like, or by calendar months.

    None where nothing is missing, or no step holds for more than half of the axis.
    """
    ordered = sorted(set(moments))
    steps = _months(ordered) or _durations(ordered)
    if len(steps) < 2:  # noqa: PLR2004 - one step is no rule
        return None
    usual, times = Counter(steps).most_common(1)[0]
    if times * 2 <= len(steps) or any(step % usual for step in steps):
        return None
    missing = sum(step // usual - 1 for step in steps)
    longest = max(range(len(steps)), key=steps.__getitem__)
    return Gaps(missing, ordered[longest], ordered[longest + 1]) if missing else None


def _months(moments: list[datetime]) -> list[int]:
    """Steps in whole months; none where the day of the month or the time of day differ."""
    if len({(m.day, m.hour, m.minute, m.second, m.microsecond) for m in moments}) != 1:
        return []
    return [(b.year - a.year) * 12 + b.month - a.month for a, b in pairwise(moments)]


def _durations(moments: list[datetime]) -> list[int]:
    """Steps in microseconds."""
    return [_microseconds(later - earlier) for earlier, later in pairwise(moments)]


def _microseconds(span: timedelta) -> int:
    return (span.days * 86400 + span.seconds) * _SECOND + span.microseconds


def in_words(found: Gaps) -> str:
    """The gaps in a sentence's tail."""
    steps = f"{found.missing} step{'s' if found.missing > 1 else ''}"
    return f"lacks {steps}; its longest gap is between {found.before.isoformat()} and {found.after.isoformat()}"
