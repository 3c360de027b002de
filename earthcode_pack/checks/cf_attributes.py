"""CF attributes against UDUNITS and the CF table: units, standard names, and the precision and gaps of time axes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf import standard_names, time_units, units
from earthcode_pack.cf.kinds import is_circular
from earthcode_pack.checks import rules
from earthcode_pack.errors import SourceError
from earthcode_pack.formats import format_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from earthcode_pack.model import Finding, Variable
    from earthcode_pack.profile.model import Profile

_MOST_STEPS = 20_000  # of a time axis that is searched for gaps
_HALF_A_SECOND = 500_000  # microseconds


def name_findings(subject: str, name: Any, unit: Any, where: str | None = None) -> Iterator[Finding]:
    """Checks a standard name, a unit, and that they fit each other.

    Args:
        subject: Subject of the findings.
        name: The standard name, None if there is none.
        unit: The unit, None if there is none. Units with a reference time are not checked here (CF 4.4).
        where: What has the name and unit, in words; the subject by default.

    Yields:
        The findings.

    """
    place = where or subject
    text = unit.strip() if isinstance(unit, str) and not time_units.has_reference(unit) else ""
    if text and not units.is_unit(text):
        spelling = units.nearest(text)
        hint = f"; write {spelling!r}" if spelling else ""
        message = f"{place} has the units {text!r}, which UDUNITS cannot read{hint}"
        yield rules.CF_UNITS_FORM.finding(subject, message, text)
    if not standard_names.is_stated(name):
        return
    stated = str(name).strip()
    if not standard_names.known(stated):
        version, near = standard_names.table().version, standard_names.nearest(stated)
        hint = f"; near it are {', '.join(near)}" if near else ""
        message = f"{place} has the standard_name {stated!r}, which version {version} of the CF table lacks{hint}"
        yield rules.CF_STANDARD_NAME_UNKNOWN.finding(subject, message, stated, near or None)
        return
    present, canonical = standard_names.alias_of(stated), standard_names.canonical_units(stated)
    if present is not None:
        message = f"{place} has the standard_name {stated}, which CF now calls {present}"
        yield rules.CF_STANDARD_NAME_ALIAS.finding(subject, message, stated, present)
    if canonical and text and units.is_unit(text) and not units.convertible(text, canonical):
        message = f"{place} has the units {text!r}, and its standard_name {stated} is of quantities in {canonical!r}"
        yield rules.CF_STANDARD_NAME_UNITS.finding(subject, message, text, canonical)


def variable_findings(variables: Iterable[Variable], profile: Profile) -> Iterator[Finding]:
    """Finds the rules that a product will break by the metadata of its variables, before anything is written.

    Args:
        variables: The variables of a source, as the profile describes them.
        profile: The profile.

    Yields:
        Findings whose subject is the variable, so that many files give one finding.

    """
    is_raster = format_of(profile.target.format).is_raster
    missing = rules.COG_UNITS if is_raster else rules.CF_UNITS
    for variable in variables:
        spec = profile.product.variables.get(variable.name)
        name = (spec.standard_name if spec else None) or variable.attrs.get("standard_name")
        is_quantity = not (variable.categorical or (spec and spec.classes) or len(variable.bands) > 1)
        if is_quantity and not variable.units and variable.dtype != "bool":
            message = f"{variable.name} states no units: set product.variables.{variable.name}.units"
            yield missing.finding(variable.name, message)
        yield from name_findings(variable.name, name, variable.units if is_quantity else None)
        resampling = profile.target.cog.resampling
        is_mean = is_quantity and is_raster and resampling in ("average", "bilinear")
        stated = {"standard_name": name, "long_name": (spec.long_name if spec else None)}
        attrs = {**variable.attrs, **{key: value for key, value in stated.items() if value}}
        if is_mean and is_circular(variable.name, attrs, variable.units):
            message = (
                f"{variable.name} holds angles in {variable.units}, and target.cog.resampling {resampling} makes means "
                "of them"
            )
            yield rules.COG_CIRCULAR.finding(variable.name, message, resampling)


def time_axis_findings(values: Any, attrs: dict[str, Any], subject: str, where: str) -> Iterator[Finding]:
    """Checks the precision and the regularity of a time axis; gaps of model calendars are not looked for.

    Args:
        values: The stored numbers of the time coordinate.
        attrs: Its attributes, with units that can be decoded.
        subject: Subject of the findings.
        where: The coordinate in words.

    Yields:
        The findings.

    """
    from earthcode_pack.cf.times import GREGORIAN, calendar_of, decode  # noqa: PLC0415 - cftime is heavy

    text = str(attrs.get("units", ""))
    yield from time_precision_findings(values, text, subject, where)
    if values.ndim == 1 and 2 < values.size <= _MOST_STEPS and calendar_of(attrs) in GREGORIAN:  # noqa: PLR2004 - two have no gap
        with suppress(SourceError):  # CF-TIME-UNITS says so
            yield from gap_findings(decode(values, text, "proleptic_gregorian", where).tolist(), subject, where)


def time_precision_findings(values: Any, unit: str, subject: str, where: str) -> Iterator[Finding]:
    """Finds times whose floating-point type is coarser than half a second.

    Args:
        values: The stored numbers of a time coordinate.
        unit: Their units, with the reference time.
        subject: Subject of the finding.
        where: The coordinate in words.

    Yields:
        At most one finding.

    """
    error = time_units.fuzz(values, unit)
    if error > _HALF_A_SECOND:
        message = f"{where} is {values.dtype.name} in {unit!r}: its times are exact to {error / 1e6:.3g} s only"
        yield rules.CF_TIME_PRECISION.finding(subject, message, round(error / 1e6, 3))


def gap_findings(moments: list[datetime], subject: str, where: str) -> Iterator[Finding]:
    """Finds the first gap in moments that are otherwise regular.

    Args:
        moments: The moments, sorted.
        subject: Subject of the finding.
        where: What has the moments, in words.

    Yields:
        At most one finding.

    """
    found = time_units.gaps(moments)
    if found is not None:
        ends = [found.before.isoformat(), found.after.isoformat()]
        yield rules.CF_TIME_GAPS.finding(subject, f"{where} {time_units.in_words(found)}", ends)
