"""Guesses a time pattern from file names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from earthcode_pack.profile.period import TimePattern

if TYPE_CHECKING:
    from collections.abc import Sequence

_YEAR, _MONTH, _DAY = r"(?:18|19|20|21)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_DAY_OF_YEAR = r"(?:[012]\d\d|3[0-5]\d|36[0-6])"
_CLOCK = r"(?:[01]\d|2[0-3])[0-5]\d[0-5]\d"

# From the finest to the coarsest: a date, as it stands in a name, and as strptime reads it.
_FORMS = [
    (f"{_YEAR}{_MONTH}{_DAY}T{_CLOCK}", "%Y%m%dT%H%M%S"),
    (f"{_YEAR}{_MONTH}{_DAY}_{_CLOCK}", "%Y%m%d_%H%M%S"),
    (f"{_YEAR}{_MONTH}{_DAY}{_CLOCK}", "%Y%m%d%H%M%S"),
    (f"{_YEAR}-{_MONTH}-{_DAY}", "%Y-%m-%d"),
    (f"{_YEAR}_{_MONTH}_{_DAY}", "%Y_%m_%d"),
    (f"{_YEAR}{_MONTH}{_DAY}", "%Y%m%d"),
    (f"{_YEAR}-{_MONTH}", "%Y-%m"),
    (f"{_YEAR}{_MONTH}", "%Y%m"),
    (f"{_YEAR}{_DAY_OF_YEAR}", "%Y%j"),
    (_YEAR, "%Y"),
]

# What may stand between a start and an end. Landsat's second date is that of processing.
_BESIDE = re.compile(r"[-_. ]*(?:(?:to|until|end)[-_. ]*)?", re.IGNORECASE)
_SECOND_IS_PROCESSING = re.compile(r"L[COTEM]0\d_")
_TWO_DATES = 2  # and with three pieces around them

# How many parts of a path, these parts with what stands around the date as groups, and the parts of the date.
_FOLDERS = [
    (4, f"()(?:{_YEAR})(/)(?:{_MONTH})(/)(?:{_DAY})(/[^/]*)", ("%Y", "%m", "%d")),
    (3, f"()(?:{_YEAR})(/)(?:{_MONTH})(/(?:[^/]*[^/0-9])?)(?:{_DAY})((?![0-9])[^/]*)", ("%Y", "%m", "%d")),
    (2, f"()(?:{_YEAR})(/(?:[^/]*[^/0-9])?)(?:{_MONTH}{_DAY})((?![0-9])[^/]*)", ("%Y", "%m%d")),
    (3, f"()(?:{_YEAR})(/)(?:{_DAY_OF_YEAR})(/[^/]*)", ("%Y", "%j")),
    (2, f"()(?:{_YEAR}{_MONTH}{_DAY})(/[^/]*)", ("%Y%m%d",)),
    (2, f"()(?:{_YEAR}-{_MONTH}-{_DAY})(/[^/]*)", ("%Y-%m-%d",)),
    (3, f"()(?:{_YEAR})(/)(?:{_MONTH})(/[^/]*)", ("%Y", "%m")),
    (2, f"()(?:{_YEAR}{_MONTH})(/[^/]*)", ("%Y%m",)),
    (2, f"()(?:{_YEAR}-{_MONTH})(/[^/]*)", ("%Y-%m",)),
    (2, f"()(?:{_YEAR})(/[^/]*)", ("%Y",)),
]


def guessed_pattern(hrefs: Sequence[str]) -> str | None:
    """Guesses a pattern for ``source.time`` by which every file states a time; None where there is none.

    The dates of the names, else those of the folders. What stands before and after a date, and differs, becomes ``*``.
    Two dates side by side are start and end; of dates apart, as in the names of Sentinel products, the first is when
    the data was taken, and the others are left open.

    >>> guessed_pattern(["ndvi_T31_20200615.tif", "ndvi_T32_20200725.tif"])
    'ndvi_*_{start:%Y%m%d}.tif'
    >>> guessed_pattern(["map_20200101-20201231.tif"])
    'map_{start:%Y%m%d}-{end:%Y%m%d}.tif'
    >>> guessed_pattern(["raw/2020/01/sst_05.nc", "raw/2020/02/sst_06.nc"])
    '{start:%Y}/{start:%m}/sst_{start:%d}.nc'
    """
    names = [href.rstrip("/").rpartition("/")[2] for href in hrefs]
    return _of_names(names, hrefs) or _of_folders(hrefs)


def _of_names(names: Sequence[str], hrefs: Sequence[str]) -> str | None:
    for form, layout in _FORMS:
        dates = [_dates(name, form) for name in names]
        count = len(dates[0])
        if not count or any(len(found) != count for found in dates):
            continue
        pieces = [_around(name, found) for name, found in zip(names, dates, strict=True)]
        pattern = _joined(pieces, layout)
        if _reads_all(pattern, hrefs):
            return pattern
    return None


def _of_folders(hrefs: Sequence[str]) -> str | None:
    """Guesses from a year in a folder, and month and day in folders below it or in the name."""
    for depth, form, layout in _FOLDERS:
        tails = ["/".join(href.rstrip("/").split("/")[-depth:]) for href in hrefs]
        matches = [re.fullmatch(form, tail) for tail in tails]
        if not all(matches):
            continue
        pieces = [match.groups() for match in matches if match is not None]
        fields = [f"{{start:{part}}}" for part in layout]
        common = [_common(column) for column in zip(*pieces, strict=True)]
        pattern = "".join(part + field for part, field in zip(common, [*fields, ""], strict=True))
        if _reads_all(pattern, hrefs):
            return pattern
    return None


def _dates(name: str, form: str) -> list[tuple[int, int]]:
    """Finds dates in a name that have no digits beside them."""
    return [match.span() for match in re.finditer(rf"(?<!\d){form}(?!\d)", name)]


def _around(name: str, spans: list[tuple[int, int]]) -> list[str]:
    """Splits a name into the pieces before, between and after its dates."""
    ends = [0, *(edge for span in spans for edge in span), len(name)]
    return [name[ends[i] : ends[i + 1]] for i in range(0, len(ends), 2)]


def _joined(pieces: list[list[str]], layout: str) -> str:
    """Makes a pattern with the first date as start, and the second as end where it follows the first."""
    columns = [_common(column) for column in zip(*pieces, strict=True)]
    start, end = f"{{start:{layout}}}", f"{{end:{layout}}}"
    if len(columns) > _TWO_DATES and not _SECOND_IS_PROCESSING.match(pieces[0][0]) and _BESIDE.fullmatch(columns[1]):
        return columns[0] + start + columns[1] + end + "*".join(columns[2:])
    return columns[0] + start + "*".join(columns[1:])


def _common(column: tuple[str, ...]) -> str:
    """Returns the piece itself where all agree, else its common start and end around a star."""
    if len(set(column)) == 1:
        return column[0].replace("{", "*").replace("}", "*")
    head = common_start(column)
    tail = common_start([text[len(head) :][::-1] for text in column])[::-1]
    return f"{head}*{tail}"


def common_start(texts: Sequence[str]) -> str:
    """Returns the common start; where texts go on, up to the last separator, so that no word is cut.

    >>> common_start(["ndvi_T31_a", "ndvi_T32_b"]), common_start(["sst_", "sst_"])
    ('ndvi_', 'sst_')
    """
    length = 0
    for signs in zip(*texts, strict=False):
        if len(set(signs)) > 1:
            break
        length += 1
    head = texts[0][:length]
    if len(set(texts)) == 1:
        return head
    return head[: max(head.rfind(sign) for sign in "_-. /") + 1]


def _reads_all(pattern: str, hrefs: Sequence[str]) -> bool:
    try:
        made = TimePattern(pattern)
        return all(made.period(href) is not None for href in hrefs)
    except ValueError:
        return False
