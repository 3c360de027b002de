"""Moments and intervals as people write them, and what they mean in UTC.

Precision coarser than a second means an interval (contract 4.2, «Times»): a day is 00:00:00Z to 23:59:59Z of it.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from urllib.parse import unquote, urlsplit

from earthcode_pack.model import Period
from earthcode_pack.wildcards import DIRECTIVES, WILDCARDS, Piece, Span, spans

_ISO = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[T ](\d{2})(?::?(\d{2})(?::?(\d{2})(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?)?)?)?"
)
_PRECISION = ("year", "month", "day", "hour", "minute", "second")
_DAY, _SECOND = 2, 5

_FIELD = re.compile(r"\{(start|end):([^}]+)\}")
_SHOWN = "%Y-%m-%dT%H:%M:%SZ"


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
    """Pattern of a file's name, or of the end of its path, by which it states its time.

    ``sst_{start:%Y%m%d}_*.tif``, ``{start:%Y}/{start:%m}/sst_{start:%d}.nc``: ``{start:…}`` and ``{end:…}`` hold
    strptime directives, in one place or several; ``*`` matches anything within a name, ``**`` anything. What stands
    twice must agree. The end is included: ``{end:%Y%m%d}`` is the last second of that day.
    """

    text: str

    def __post_init__(self) -> None:
        fields = _FIELD.findall(self.text)
        if "start" not in [end for end, _ in fields]:
            raise ValueError(f"the pattern {self.text!r} names no time: write {{start:%Y%m%d}} where the date stands")
        for _, layout in fields:
            self._check_directives(layout)
        self._pieces()
        for end in {end for end, _ in fields}:
            self._check_precision(end)

    def _check_directives(self, layout: str) -> None:
        directives = re.findall(r"%.?", layout)
        unknown = [directive for directive in directives if directive[1:] not in DIRECTIVES]
        if unknown:
            raise ValueError(f"{unknown[0]} in the pattern {self.text!r} is none of %{' %'.join(DIRECTIVES)}")
        if len(set(directives)) < len(directives):
            raise ValueError(f"{{…:{layout}}} in the pattern {self.text!r} holds a directive twice")

    def _check_precision(self, end: str) -> None:
        """Refuses what strptime would fill in from 1 January 1900: a day without its month, an hour without its day."""
        directives = self._directives(end)
        levels = {DIRECTIVES[directive][1] for directive in directives}
        wanted = set(range(max(levels, default=0) + 1)) | {0}
        missing = wanted - levels - ({1} if "j" in directives else set())
        if missing:
            raise ValueError(f"{{{end}:…}} in the pattern {self.text!r} lacks the {_PRECISION[min(missing)]}")

    def _directives(self, end: str) -> list[str]:
        """Directives of the start or of the end, in the order in which they stand."""
        return [
            sign for field, layout in _FIELD.findall(self.text) if field == end for sign in re.findall("%(.)", layout)
        ]

    def _pieces(self) -> list[Piece]:
        """What stands in the pattern, in order; folders before it are left open."""
        parts = re.split(r"(\*\*/|\*\*?|\{[^}]*\})", "**/" + self.text.strip("/"))
        return [piece for part in parts if part for piece in self._piece(part)]

    def _piece(self, part: str) -> list[Piece]:
        if part in WILDCARDS:
            return [Piece(part, "wildcard")]
        if not part.startswith("{"):
            return [Piece(part, "text")]
        field = _FIELD.fullmatch(part)
        if field is None:
            raise ValueError(f"{part!r} in the pattern {self.text!r} is neither {{start:…}} nor {{end:…}}")
        inner = filter(None, re.split(r"(%.)", field[2]))
        return [Piece(p[1], "directive") if p.startswith("%") else Piece(p, "text") for p in inner]

    def period(self, href: str) -> Period | None:
        """The interval that the name or the path of a file states; None where it does not match.

        Args:
            href: a name, a path or a URL, whose query is left out and whose escapes are decoded.

        Raises:
            ValueError: it matches and is no date (2020-13-01), ends before it starts, or can be read in two ways.

        >>> TimePattern("a_{start:%Y%m}.tif").period("a_202002.tif").end.isoformat()
        '2020-02-29T23:59:59+00:00'
        >>> TimePattern("{start:%Y}/{start:%j}/*.nc").period("s3://raw/2020/366/a.nc").start.isoformat()
        '2020-12-31T00:00:00+00:00'

        """
        path = _path_of(href)
        pieces = self._pieces()
        matches = [spans(pieces, path, greedy=greedy) for greedy in (True, False)]
        readings = {tuple(path[slice(*span)] for span in match): match for match in matches if match is not None}
        found: list[Period] = []
        errors: list[ValueError] = []
        for match in readings.values():
            try:
                found.append(self._read(match, path))
            except ValueError as error:
                errors.append(error)
        if len(set(found)) > 1:
            ways = " and ".join(f"{period.start:{_SHOWN}} to {period.end:{_SHOWN}}" for period in found)
            raise ValueError(f"{_name_of(path)} matches in two ways, {ways}: write out what stands beside the date")
        if errors and not found:
            raise errors[0]
        return found[0] if found else None

    def _read(self, match: tuple[Span, ...], path: str) -> Period:
        fields = [end for end, layout in _FIELD.findall(self.text) for _ in re.findall("%.", layout)]
        moments = {
            end: self._moment(end, path, [span for span, e in zip(match, fields, strict=True) if e == end])
            for end in set(fields)
        }
        period = Period(start=moments["start"].start, end=moments.get("end", moments["start"]).end)
        if period.end < period.start:
            raise ValueError(
                f"{_name_of(path)} ends ({period.end:{_SHOWN}}) before it starts ({period.start:{_SHOWN}})"
            )
        return period

    def _moment(self, end: str, path: str, places: list[Span]) -> Period:
        """Moment that the directives of the start or of the end state together, in these places of the path."""
        directives, texts = self._directives(end), [path[slice(*place)] for place in places]
        once = dict(zip(directives, texts, strict=True))
        shown = path[places[0][0] : places[-1][1]]
        try:
            start = datetime.strptime(" ".join(once.values()), " ".join(f"%{key}" for key in once))  # noqa: DTZ007
            found = start if start.tzinfo else start.replace(tzinfo=UTC)
            period = Period(start=found, end=last_second(found, max(DIRECTIVES[key][1] for key in once)))
        except (ValueError, OverflowError):
            raise ValueError(f"{shown!r} is no date of the calendar, read as %{'%'.join(once)}") from None
        for key, value in zip(directives, texts, strict=True):
            if not _says(start, key, value):
                raise ValueError(f"{shown!r} states two dates: %{key} is {value}, and not that of {start.isoformat()}")
        return period


def _says(moment: datetime, directive: str, text: str) -> bool:
    """Tells whether a directive's text is that of the moment, leading zeros and case apart."""
    if directive in "fz":
        return True
    said = moment.strftime("%" + directive)
    return int(said) == int(text) if text.isdecimal() else said.lower() == text.lower()


def _path_of(href: str) -> str:
    """The path that an href names: of a URL of the web without query and escapes."""
    if not href.startswith(("http://", "https://", "file://")):
        return href.rstrip("/")
    parts = urlsplit(href)
    return f"{parts.scheme}://{parts.netloc}{unquote(parts.path)}".rstrip("/")


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]
