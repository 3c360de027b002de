"""What file names say of time: a pattern that fits all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from earthcode_pack.period import TimePattern

if TYPE_CHECKING:
    from collections.abc import Sequence

_YEAR, _MONTH, _DAY = r"(?:18|19|20|21)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
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
    (_YEAR, "%Y"),
]


def guessed_pattern(names: Sequence[str]) -> str | None:
    """A pattern for ``source.time`` by which every name states a time; None where there is none.

    What stands before and after the date, and differs, becomes ``*``. Two dates are taken as start and end.

    >>> guessed_pattern(["ndvi_T31_20200615.tif", "ndvi_T32_20200725.tif"])
    'ndvi_*_{start:%Y%m%d}.tif'
    >>> guessed_pattern(["map_20200101-20201231.tif"])
    'map_{start:%Y%m%d}-{end:%Y%m%d}.tif'
    """
    for form, layout in _FORMS:
        dates = [_dates(name, form) for name in names]
        count = len(dates[0])
        if count not in (1, 2) or any(len(found) != count for found in dates):
            continue
        pattern = _joined([_around(name, found) for name, found in zip(names, dates, strict=True)], layout)
        if all(_reads(pattern, name) for name in names):
            return pattern
    return None


def _dates(name: str, form: str) -> list[tuple[int, int]]:
    """Where dates stand; digits beside them would make them something else."""
    return [match.span() for match in re.finditer(rf"(?<!\d){form}(?!\d)", name)]


def _around(name: str, spans: list[tuple[int, int]]) -> list[str]:
    """The pieces of a name before, between and after its dates."""
    ends = [0, *(edge for span in spans for edge in span), len(name)]
    return [name[ends[i] : ends[i + 1]] for i in range(0, len(ends), 2)]


def _joined(pieces: list[list[str]], layout: str) -> str:
    fields = [f"{{start:{layout}}}", f"{{end:{layout}}}"]
    parts = [_common(column) for column in zip(*pieces, strict=True)]
    return "".join(part + field for part, field in zip(parts, [*fields[: len(parts) - 1], ""], strict=True))


def _common(column: tuple[str, ...]) -> str:
    """The piece itself where all agree, else what they begin and end with around a star."""
    if len(set(column)) == 1:
        return column[0].replace("{", "*").replace("}", "*")
    head = common_start(column)
    tail = common_start([text[len(head) :][::-1] for text in column])[::-1]
    return f"{head}*{tail}"


def common_start(texts: Sequence[str]) -> str:
    """What all begin with; where it is not all of them, up to the last separator, so that no word is cut.

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
    return head[: max(head.rfind(sign) for sign in "_-. ") + 1]


def _reads(pattern: str, name: str) -> bool:
    try:
        return TimePattern(pattern).period(name) is not None
    except ValueError:
        return False
