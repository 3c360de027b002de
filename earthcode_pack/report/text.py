"""Numbers, sizes, times and places as a person reads them. Pure functions; the report's filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
_DAY_START, _DAY_END = "T00:00:00Z", "T23:59:59Z"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> plural(1, "Item"), plural(10000, "Item"), plural(2, "entry", "entries")
    ('1 Item', '10,000 Items', '2 entries')
    """
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def size(count: float) -> str:
    """Bytes in powers of a thousand (ISO/IEC 80000-13).

    >>> size(999), size(3_462_108), size(0)
    ('999 bytes', '3.46 MB', '0 bytes')
    """
    power = 0
    while count >= 999.5 and power < len(_UNITS) - 1:  # noqa: PLR2004 - what rounds to 1000
        count, power = count / 1000, power + 1
    return f"{count:.0f} {_UNITS[power]}" if power == 0 else f"{count:.3g} {_UNITS[power]}"


def number(value: Any) -> str:
    """At most six digits that count; an integer in full; a dash where there is none.

    >>> number(287.65432109), number(12345678), number(None), number("NaN")
    ('287.654', '12,345,678', '—', 'NaN')
    """
    if value is None:
        return "—"
    if isinstance(value, bool | str):
        return str(value)
    whole = isinstance(value, int) or (value == round(value, 0) and abs(value) < 1e15)  # noqa: PLR2004
    return f"{int(value):,}" if whole else f"{value:.6g}"


def period(start: str | None, end: str | None) -> str:
    """An interval of RFC 3339 times; whole days by their dates.

    >>> period("2020-01-01T00:00:00Z", "2020-01-31T23:59:59Z")
    '2020-01-01 to 2020-01-31'
    >>> period("2020-01-01T12:00:00Z", "2020-01-01T12:00:00Z")
    '2020-01-01 12:00:00Z'
    """
    return "".join(lead + moment for lead, moment in _moments(start, end)) or "—"


def interval(start: str | None, end: str | None) -> Markup:
    """As ``period``, for a page: no moment is broken at the end of a line.

    >>> str(interval("2020-01-01T00:00:00Z", "2020-01-01T23:59:59Z"))
    '<time>2020-01-01</time>'
    """
    pieces = [Markup("{}<time>{}</time>").format(lead, moment) for lead, moment in _moments(start, end)]
    return Markup().join(pieces) or Markup("—")


def _moments(start: str | None, end: str | None) -> list[tuple[str, str]]:
    """What stands before each moment, and the moment."""
    if not start or not end:
        return [("from " if start else "until ", _moment(known)) for known in (start, end) if known]
    if start.endswith(_DAY_START) and end.endswith(_DAY_END):
        start, end = start.removesuffix(_DAY_START), end.removesuffix(_DAY_END)
    return [("", _moment(start)), *([] if start == end else [(" to ", _moment(end))])]


def _moment(text: str) -> str:
    return text.replace("T", " ")


def degrees(value: float, letters: str) -> str:
    """A longitude (``letters`` "EW") or latitude ("NS") with its half of the globe; longitudes beyond 180° come back.

    >>> degrees(-10.5, "EW"), degrees(190, "EW"), degrees(0, "NS"), degrees(-180, "EW")
    ('10.5° W', '170° W', '0°', '180° W')
    """
    if letters == "EW" and abs(value) > 180:  # noqa: PLR2004
        value = (value + 180) % 360 - 180
    digits = f"{abs(value):.4f}".rstrip("0").rstrip(".")
    half = letters[value < 0] if float(digits) else ""
    return f"{digits}° {half}".rstrip()


def box(bbox: Sequence[float] | None) -> str:
    """A STAC bbox, of two or three dimensions; west may be east of east, across the antimeridian (RFC 7946, 5.2).

    >>> box([170, -10, -170, 10.25])
    '170° E to 170° W, 10° S to 10.25° N'
    """
    return ", ".join(_spans(bbox)) if bbox else "—"


def extent(bbox: Sequence[float] | None) -> Markup:
    """As ``box``, for a page: a line ends between longitudes and latitudes."""
    spans = _spans(bbox) if bbox else ["—"]
    return Markup(", ").join(Markup("<span class='whole'>{}</span>").format(span) for span in spans)


def _spans(bbox: Sequence[float]) -> list[str]:
    west, south, east, north = lonlat(bbox)
    return [f"{degrees(west, 'EW')} to {degrees(east, 'EW')}", f"{degrees(south, 'NS')} to {degrees(north, 'NS')}"]


def lonlat(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    """West, south, east, north of a STAC bbox of four or six numbers."""
    half = len(bbox) // 2
    west, south, east, north = (float(bbox[n]) for n in (0, 1, half, half + 1))
    return west, south, east, north


def clip(value: Any, most: int = 1200) -> str:
    """A text that somebody else wrote, no longer than a page bears; the rest is where the page says.

    >>> clip("abcdefgh", 3), clip([1, 2])
    ('abc… (8 characters in all)', '[1, 2]')
    """
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters in all)"


def seconds(value: float) -> str:
    """A duration.

    >>> seconds(0.12345), seconds(75), seconds(7325)
    ('0.12 s', '1 min 15 s', '2 h 2 min')
    """
    if value < 60:  # noqa: PLR2004
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"  # noqa: PLR2004
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004
