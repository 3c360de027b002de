"""Time axes as they are: numbers that cannot hold their times, and gaps in what is otherwise regular."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf import time_units
from earthcode_pack.checks import rules
from earthcode_pack.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from earthcode_pack.model import Artifact, Finding

_MOST = 20_000  # steps that are looked at
_HALF_A_SECOND = 500_000  # microseconds


def axis_findings(values: Any, attrs: dict[str, Any], subject: str, where: str) -> Iterator[Finding]:
    """Of the numbers of a time coordinate with units that can be decoded; nothing of a model's calendar."""
    from earthcode_pack.cf.times import GREGORIAN, calendar_of, decode  # noqa: PLC0415 - cftime is heavy

    units = str(attrs.get("units", ""))
    yield from precision_findings(values, units, subject, where)
    if values.ndim == 1 and 2 < values.size <= _MOST and calendar_of(attrs) in GREGORIAN:  # noqa: PLR2004 - two have no gap
        with suppress(SourceError):  # CF-TIME-UNITS says so
            yield from _gap(decode(values, units, "proleptic_gregorian", where).tolist(), subject, where)


def precision_findings(values: Any, units: str, subject: str, where: str) -> Iterator[Finding]:
    """That half a unit in the last place of the times is more than half a second."""
    fuzz = time_units.fuzz(values, units)
    if fuzz > _HALF_A_SECOND:
        message = f"{where} is {values.dtype.name} in {units!r}: its times are exact to {fuzz / 1e6:.3g} s only"
        yield rules.CF_TIME_PRECISION.finding(subject, message, round(fuzz / 1e6, 3))


def gap_findings(artifacts: Iterable[Artifact]) -> list[Finding]:
    """Of the Items of each asset by their start, where there are several; a cube shows its own."""
    starts: dict[str, set[datetime]] = {}
    for artifact in artifacts:
        starts.setdefault(artifact.asset, set()).add(artifact.period.start)
    return [
        finding for asset, moments in starts.items() for finding in _gap(sorted(moments), asset, f"the time of {asset}")
    ]


def _gap(moments: list[datetime], subject: str, where: str) -> Iterator[Finding]:
    found = time_units.gaps(moments)
    if found is not None:
        ends = [found.before.isoformat(), found.after.isoformat()]
        yield rules.CF_TIME_GAPS.finding(subject, f"{where} {time_units.in_words(found)}", ends)
