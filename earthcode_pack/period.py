"""Moments and intervals as people write them, and what they mean in UTC.

Precision coarser than a second means an interval (contract 4.2, «Times»): a day is 00:00:00Z to 23:59:59Z of it.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from earthcode_pack.model import Period

_ISO = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[T ](\d{2})(?::?(\d{2})(?::?(\d{2})(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?)?)?)?"
)
_PRECISION = ("year", "month", "day", "hour", "minute", "second")
_DAY, _SECOND = 2, 5

# How each strptime directive looks in a file name, and how fine it is.
_DIRECTIVES = {
    "Y": (r"\d{4}", 0), "y": (r"\d{2}", 0), "m": (r"\d{2}", 1), "b": (r"[A-Za-z]{3}", 1), "B": (r"[A-Za-z]+", 1),
    "d": (r"\d{2}", 2), "j": (r"\d{3}", 2), "H": (r"\d{2}", 3), "M": (r"\d{2}", 4), "S": (r"\d{2}", 5),
    "f": (r"\d{1,6}", 5), "z": (r"(?:Z|[+-]\d{2}:?\d{2})", -1),
}  # fmt: skip


def last_second(start: datetime, precision: int) -> datetime:
    """The end of the year, month, day, hour or minute (precision 0 to 4) that begins at ``start``.

    >>> last_second(datetime(2020, 2, 1), 1)
    datetime.datetime(2020, 2, 29, 23, 59, 59)
    """
    if precision == _SECOND:
        return start
    if precision >= _DAY:
        step = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1))[precision - _DAY]
        return start + (step - timedelta(seconds=1))  # not start + step, which 9999-12-31 does not have
    month = start.month if precision == 1 else 12
    day = monthrange(start.year, month)[1]
    return start.replace(month=month, day=day, hour=23, minute=59, second=59)


def parse_period(text: str | date | int) -> Period:
    """What an ISO 8601 date or date-time of any precision stands for; without a zone it is UTC.

    >>> parse_period("2020-02").end.isoformat()
    '2020-02-29T23:59:59+00:00'

    Raises ``ValueError`` where the text is no such date.
    """
    match = _ISO.fullmatch(text.isoformat() if isinstance(text, date) else str(text).strip())
    if match is None:
        raise ValueError(f"{str(text)!r} is not an ISO 8601 date such as 2020, 2020-01-31 or 2020-01-31T12:00:00Z")
    parts = [int(part) for part in match.groups()[:6] if part is not None]
    try:
        start = datetime(*(parts + [1, 1][max(len(parts) - 1, 0) :]))  # type: ignore[arg-type]  # noqa: DTZ001
        start = (start + timedelta(seconds=float(match[7] or 0))).replace(tzinfo=_zone(match[8]))
        return Period(start=start, end=last_second(start, len(parts) - 1))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{str(text)!r} is no date of the calendar: {error}") from None


def _zone(text: str | None) -> tzinfo | None:
    return UTC if text in (None, "Z") else datetime.strptime(str(text), "%z").tzinfo


@dataclass(frozen=True)
class TimePattern:
    """``sst_{start:%Y%m%d}_*.tif``: ``*`` matches anything, ``{start:…}`` and ``{end:…}`` hold strptime directives."""

    text: str

    def __post_init__(self) -> None:
        fields = re.findall(r"\{(start|end):([^}]+)\}", self.text)
        names = [name for name, _ in fields]
        if "start" not in names:
            raise ValueError(f"the pattern {self.text!r} names no time: write {{start:%Y%m%d}} where the date stands")
        if len(set(names)) < len(names):
            raise ValueError(f"the pattern {self.text!r} names {{start:…}} or {{end:…}} twice: write * for one of them")
        self._regex()
        for _, layout in fields:
            self._check_dates(layout)

    def _check_dates(self, layout: str) -> None:
        """Refuses what strptime would fill in from 1 January 1900: a day without its month, an hour without its day."""
        directives = re.findall(r"%(.)", layout)
        if len(set(directives)) < len(directives):
            raise ValueError(f"{{…:{layout}}} in the pattern {self.text!r} holds a directive twice")
        levels = {_DIRECTIVES[directive][1] for directive in directives}
        wanted = set(range(max(levels, default=0) + 1)) | {0}
        missing = wanted - levels - ({1} if "j" in directives else set())
        if missing:
            raise ValueError(f"{{…:{layout}}} in the pattern {self.text!r} lacks the {_PRECISION[min(missing)]}")

    def _regex(self) -> re.Pattern[str]:
        parts = re.split(r"(\*|\{[^}]*\})", self.text)
        return re.compile("".join(self._piece(part) for part in parts))

    def _piece(self, part: str) -> str:
        if part == "*":
            return ".*"
        if not part.startswith("{"):
            return re.escape(part)
        field = re.fullmatch(r"\{(start|end):([^}]+)\}", part)
        if field is None:
            raise ValueError(f"{part!r} in the pattern {self.text!r} is neither {{start:…}} nor {{end:…}}")
        return f"(?P<{field[1]}>{self._directives(field[2])})"

    def _directives(self, layout: str) -> str:
        pieces = re.split(r"(%.)", layout)
        unknown = [piece for piece in pieces if piece.startswith("%") and piece[1:] not in _DIRECTIVES]
        if unknown:
            raise ValueError(f"{unknown[0]} in the pattern {self.text!r} is none of %{' %'.join(_DIRECTIVES)}")
        return "".join(_DIRECTIVES[p[1]][0] if p.startswith("%") else re.escape(p) for p in pieces)

    def period(self, name: str) -> Period | None:
        """The interval that a file name states; None where the name does not match.

        Raises ``ValueError`` where it matches and is no date (2020-13-01), or ends before it starts.

        >>> TimePattern("a_{start:%Y%m}.tif").period("a_202002.tif").end.isoformat()
        '2020-02-29T23:59:59+00:00'
        """
        match = self._regex().fullmatch(name)
        if match is None:
            return None
        found = {end: self._moment(end, text) for end, text in match.groupdict().items()}
        period = Period(start=found["start"].start, end=found.get("end", found["start"]).end)
        if period.end < period.start:
            raise ValueError(
                f"{name} ends ({period.end:%Y-%m-%dT%H:%M:%SZ}) before it starts ({period.start:%Y-%m-%dT%H:%M:%SZ})"
            )
        return period

    def _moment(self, end: str, text: str) -> Period:
        layout = re.search(r"\{" + end + r":([^}]+)\}", self.text)
        assert layout is not None  # the regex was built from it
        precision = max(_DIRECTIVES[d][1] for d in re.findall(r"%(.)", layout[1]))
        try:
            start = datetime.strptime(text, layout[1])  # noqa: DTZ007 - the next line gives it its zone
            start = start if start.tzinfo else start.replace(tzinfo=UTC)
            return Period(start=start, end=last_second(start, precision))
        except (ValueError, OverflowError):
            raise ValueError(f"{text!r} is no date of the calendar, read as {layout[1]}") from None
