"""Numbers, sizes, times and places for people: pure functions, the filters of the report's templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from earthcode_pack.geo.box import CIRCLE, HALF

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
_DAY_START, _DAY_END = "T00:00:00Z", "T23:59:59Z"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """Formats a count with its noun.

    >>> plural(1, "Item"), plural(10000, "Item"), plural(2, "entry", "entries")
    ('1 Item', '10,000 Items', '2 entries')
    """
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def size(count: float) -> str:
    """Formats bytes in powers of a thousand (ISO/IEC 80000-13).

    >>> size(999), size(3_462_108), size(0)
    ('999 bytes', '3.46 MB', '0 bytes')
    """
    power = 0
    while count >= 999.5 and power < len(_UNITS) - 1:  # noqa: PLR2004 - what rounds to 1000
        count, power = count / 1000, power + 1
    return f"{count:.0f} {_UNITS[power]}" if power == 0 else f"{count:.3g} {_UNITS[power]}"


def number(value: Any) -> str:
    """Formats a number with six significant digits, an integer in full, None as a dash.

    >>> number(287.65432109), number(12345678), number(None), number("NaN")
    ('287.654', '12,345,678', '—', 'NaN')
    """
    if value is None:
        return "—"
    if isinstance(value, bool | str):
        return str(value)
    whole = isinstance(value, int) or (value == round(value, 0) and abs(value) < 1e15)  # noqa: PLR2004
    return f"{int(value):,}" if whole else f"{value:.6g}"


def interval(start: str | None, end: str | None) -> Markup:
    """Formats an interval of RFC 3339 times, whole days by their dates; no moment is broken at the end of a line.

    >>> str(interval("2020-01-01T00:00:00Z", "2020-01-31T23:59:59Z"))
    '<time>2020-01-01</time> to <time>2020-01-31</time>'
    >>> str(interval("2020-01-01T12:00:00Z", "2020-01-01T12:00:00Z"))
    '<time>2020-01-01 12:00:00Z</time>'
    """
    if not start or not end:
        moments = [("from " if start else "until ", known) for known in (start, end) if known]
    else:
        if start.endswith(_DAY_START) and end.endswith(_DAY_END):
            start, end = start.removesuffix(_DAY_START), end.removesuffix(_DAY_END)
        moments = [("", start), *([] if start == end else [(" to ", end)])]
    pieces = [Markup("{}<time>{}</time>").format(lead, moment.replace("T", " ")) for lead, moment in moments]
    return Markup().join(pieces) or Markup("—")


def degrees(value: float, letters: str) -> str:
    """Formats a longitude (``letters`` "EW") or latitude ("NS"); longitudes beyond 180° are wrapped.

    >>> degrees(-10.5, "EW"), degrees(190, "EW"), degrees(0, "NS"), degrees(-180, "EW")
    ('10.5° W', '170° W', '0°', '180° W')
    """
    if letters == "EW" and abs(value) > HALF:
        value = (value + HALF) % CIRCLE - HALF
    digits = f"{abs(value):.4f}".rstrip("0").rstrip(".")
    half = letters[value < 0] if float(digits) else ""
    return f"{digits}° {half}".rstrip()


def box_text(bbox: Sequence[float]) -> str:
    """Formats a STAC bbox of four or six numbers; west may be east of east, across the antimeridian (RFC 7946, 5.2).

    >>> box_text([170, -10, -170, 10.25])
    '170° E to 170° W, 10° S to 10.25° N'
    """
    west, south, east, north = (float(bbox[n]) for n in (0, 1, len(bbox) // 2, len(bbox) // 2 + 1))
    return f"{degrees(west, 'EW')} to {degrees(east, 'EW')}, {degrees(south, 'NS')} to {degrees(north, 'NS')}"


def extent(bbox: Sequence[float] | None) -> Markup:
    """Formats a STAC bbox, breaking lines between longitudes and latitudes only; None as a dash."""
    spans = box_text(bbox).split(", ") if bbox else ["—"]
    return Markup(", ").join(Markup("<span class='whole'>{}</span>").format(span) for span in spans)


def clip(value: Any, most: int = 1200) -> str:
    """Shortens a text of others to what a page bears.

    >>> clip("abcdefgh", 3), clip([1, 2])
    ('abc… (8 characters in all)', '[1, 2]')
    """
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters in all)"


def seconds(value: float) -> str:
    """Formats a duration.

    >>> seconds(0.12345), seconds(75), seconds(7325)
    ('0.12 s', '1 min 15 s', '2 h 2 min')
    """
    if value < 60:  # noqa: PLR2004
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"  # noqa: PLR2004
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004
