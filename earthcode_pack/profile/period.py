"""Moments and intervals in dates, file names and paths, and their meaning in UTC.

Precision coarser than a second means an interval (contract 4.2, «Times»): a day is 00:00:00Z to 23:59:59Z of it.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from earthcode_pack.model import Period

if TYPE_CHECKING:
    from collections.abc import Iterable

_ISO = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[T ](\d{2})(?::?(\d{2})(?::?(\d{2})(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?)?)?)?"
)
_PRECISION = ("year", "month", "day", "hour", "minute", "second")
_DAY, _SECOND = 2, 5

_FIELD = re.compile(r"\{(start|end):([^}]+)\}")
_SHOWN = "%Y-%m-%dT%H:%M:%SZ"

# Form of each strptime directive in a file name, and its precision. A number may lack its leading zeros where no other
# digit stands beside it: 2020-1-5.
_TWO = r"(?:\d{2}|(?<!\d)\d(?!\d))"
DIRECTIVES = {
    "Y": (r"\d{4}", 0), "y": (r"\d{2}", 0), "m": (_TWO, 1), "b": (r"[A-Za-z]{3}", 1), "B": (r"[A-Za-z]+", 1),
    "d": (_TWO, 2), "j": (r"(?:\d{3}|(?<!\d)\d{1,2}(?!\d))", 2), "H": (_TWO, 3), "M": (_TWO, 4), "S": (_TWO, 5),
    "f": (r"\d{1,6}", 5), "z": (r"(?:Z|[+-]\d{2}:?\d{2})", -1),
}  # fmt: skip
_FORMS = {name: re.compile(form) for name, (form, _) in DIRECTIVES.items()}
_ANY_LENGTH = "Bf"  # what these match may also end earlier; the others end in one place
WILDCARDS = ("*", "**", "**/")

Span = tuple[int, int]


def last_second(start: datetime, precision: int) -> datetime:
    """Returns the last second of the year, month, day, hour or minute (precision 0 to 4) that begins at ``start``.

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
    """Parses an ISO 8601 date or date-time of any precision; without a zone it is UTC.

    Raises:
        ValueError: the text is no such date.

    >>> parse_period("2020-02").end.isoformat()
    '2020-02-29T23:59:59+00:00'

    """
    match = _ISO.fullmatch(text.isoformat() if isinstance(text, date) else str(text).strip())
    if match is None:
        raise ValueError(f"{str(text)!r} is not an ISO 8601 date such as 2020, 2020-01-31 or 2020-01-31T12:00:00Z")
    parts = [int(part) for part in match.groups()[:6] if part is not None]
    try:
        start = datetime(*(parts + [1, 1][max(len(parts) - 1, 0) :]))  # type: ignore[arg-type]  # noqa: DTZ001
        zone = UTC if match[8] in (None, "Z") else datetime.strptime(match[8], "%z").tzinfo
        start = (start + timedelta(seconds=float(match[7] or 0))).replace(tzinfo=zone)
        return Period(start=start, end=last_second(start, len(parts) - 1))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{str(text)!r} is no date of the calendar: {error}") from None


@dataclass(frozen=True)
class TimePattern:
    """Pattern of a file's name, or of the end of its path, that contains its time.

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
        """Returns the directives of the start or of the end, in their order."""
        return [
            sign for field, layout in _FIELD.findall(self.text) if field == end for sign in re.findall("%(.)", layout)
        ]

    def _pieces(self) -> list[Piece]:
        """Splits the pattern into its parts, after any folders."""
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
        """Returns the interval that the name or the path of a file states; None where it does not match.

        Args:
            href: a name, a path or a URL; its query is ignored and its escapes are decoded.

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
        """Returns the moment that the directives of the start or of the end state together, in places of the path."""
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
    """Tells whether a directive's text is that of the moment, apart from leading zeros and case."""
    if directive in "fz":
        return True
    said = moment.strftime("%" + directive)
    return int(said) == int(text) if text.isdecimal() else said.lower() == text.lower()


def _path_of(href: str) -> str:
    """Returns the path in an href, without the query and the escapes of a URL."""
    if not href.startswith(("http://", "https://", "file://")):
        return href.rstrip("/")
    parts = urlsplit(href)
    return f"{parts.scheme}://{parts.netloc}{unquote(parts.path)}".rstrip("/")


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]


# --- matching ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """A part of a pattern: a wildcard, a strptime directive by its letter, or literal text."""

    text: str
    kind: str  # "wildcard", "directive" or "text"

    def ends(self, path: str, start: int) -> Iterable[int]:
        """Yields the places where the part may end when it begins at ``start``, the longest first."""
        if self.kind == "text":
            return [start + len(self.text)] if path.startswith(self.text, start) else []
        if self.kind == "directive":
            found = _FORMS[self.text].match(path, start)
            if found is None:
                return []
            return range(found.end(), start, -1) if self.text in _ANY_LENGTH else [found.end()]
        if self.text == "**/":
            return (end for end in range(len(path), start - 1, -1) if end == start or path[end - 1] == "/")
        slash = path.find("/", start) if self.text == "*" else -1
        return range(slash if slash >= 0 else len(path), start - 1, -1)

    def starts(self, path: str, after: bytearray) -> bytearray:
        """Marks the places where the part may begin, given those of the next part (``after``)."""
        found, size = bytearray(len(path) + 1), len(path)
        below = 0  # of folders: whether a later place behind a slash would do
        for start in range(size, -1, -1):
            if self.kind != "wildcard":
                found[start] = any(after[end] for end in self.ends(path, start))
            elif self.text == "**/":
                found[start] = after[start] or below
                below |= after[start] and start > 0 and path[start - 1] == "/"
            else:
                goes_on = start < size and (self.text == "**" or path[start] != "/")
                found[start] = after[start] or (goes_on and found[start + 1])
        return found


def spans(pieces: list[Piece], path: str, *, greedy: bool) -> tuple[Span, ...] | None:
    """Matches a whole path in time linear in its length: each part is tried once at each position.

    A regular expression with five stars backtracks with the sixth power of the length.

    Args:
        pieces: the parts of the pattern, in order.
        path: what is matched, from its first to its last character.
        greedy: makes each wildcard as long as possible, else as short.

    Returns:
        The places of the directives; None without a match.

    """
    marks = [bytearray(len(path)) + b"\x01"]
    for piece in reversed(pieces):
        marks.append(piece.starts(path, marks[-1]))
    if not marks[-1][0]:
        return None
    found, start = [], 0
    for piece, after in zip(pieces, reversed(marks[:-1]), strict=True):
        ends = piece.ends(path, start)
        tried = ends if greedy or piece.kind != "wildcard" else reversed(list(ends))
        end = next(end for end in tried if after[end])
        if piece.kind == "directive":
            found.append((start, end))
        start = end
    return tuple(found)
