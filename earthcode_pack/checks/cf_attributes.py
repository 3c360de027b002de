"""Units by UDUNITS and standard names by the CF table, wherever they stand: attributes, bands, cubes, STAC fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.cf import standard_names, units
from earthcode_pack.cf.kinds import is_circular
from earthcode_pack.cf.time_units import has_reference
from earthcode_pack.checks import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.model import Finding, Variable
    from earthcode_pack.profile.model import Profile


def name_findings(subject: str, name: Any, unit: Any, where: str | None = None) -> Iterator[Finding]:
    """What is wrong with a standard name, a unit, and the two together; either may be None.

    ``where`` is what they are of, in words; the subject where it is left out. Units that hold a reference time are not
    judged (CF 4.4 has rules of its own), nor is what is no text.
    """
    place = where or subject
    text = unit.strip() if isinstance(unit, str) and not has_reference(unit) else ""
    if text and not units.is_unit(text):
        yield unit_finding(subject, text, place)
    if standard_names.is_stated(name):
        yield from _named(subject, str(name).strip(), text, place)


def unit_finding(subject: str, unit: str, where: str) -> Finding:
    """That UDUNITS cannot read a unit, with the nearest that it can."""
    near = units.nearest(unit)
    hint = f"; write {near!r}" if near else ""
    return rules.CF_UNITS_FORM.finding(
        subject, f"{where} has the units {unit!r}, which UDUNITS cannot read{hint}", unit
    )


def _named(subject: str, name: str, unit: str, where: str) -> Iterator[Finding]:
    version = standard_names.table().version
    if not standard_names.known(name):
        near = standard_names.nearest(name)
        hint = f"; near it are {', '.join(near)}" if near else ""
        message = f"{where} has the standard_name {name!r}, which version {version} of the CF table lacks{hint}"
        yield rules.CF_STANDARD_NAME_UNKNOWN.finding(subject, message, name, near or None)
        return
    present = standard_names.alias_of(name)
    if present is not None:
        message = f"{where} has the standard_name {name}, which CF now calls {present}"
        yield rules.CF_STANDARD_NAME_ALIAS.finding(subject, message, name, present)
    canonical = standard_names.canonical_units(name)
    if canonical and unit and not fits(unit, canonical):
        message = f"{where} has the units {unit!r}, and its standard_name {name} is of quantities in {canonical!r}"
        yield rules.CF_STANDARD_NAME_UNITS.finding(subject, message, unit, canonical)


def fits(unit: str, canonical: str) -> bool:
    """Whether a unit can be that of a name with these canonical units (CF 3.3); what UDUNITS cannot read, can.

    >>> fits("degC", "K"), fits("%", "1"), fits("psu", "1e-3"), fits("m", "K")
    (True, True, True, False)
    """
    return not units.is_unit(unit) or units.convertible(unit, canonical)


def variable_notes(variables: Iterable[Variable], profile: Profile) -> Iterator[Finding]:
    """What the words of variables, as file and profile agree on them, will break: known before anything is written.

    Their subject is the variable, so that many files say it once.
    """
    missing = rules.COG_UNITS if profile.target.format == "cog" else rules.CF_UNITS
    for variable in variables:
        spec = profile.product.variables.get(variable.name)
        name = (spec.standard_name if spec else None) or variable.attrs.get("standard_name")
        is_quantity = not (variable.categorical or (spec and spec.classes) or len(variable.bands) > 1)
        if is_quantity and not variable.units and variable.dtype != "bool":
            message = f"{variable.name} states no units: set product.variables.{variable.name}.units"
            yield missing.finding(variable.name, message)
        yield from name_findings(variable.name, name, variable.units if is_quantity else None)
        if is_quantity:
            yield from _averaged_angles(variable, profile)


def _averaged_angles(variable: Variable, profile: Profile) -> Iterator[Finding]:
    """A profile that asks for the mean of directions: between 350 and 10 degrees it is south."""
    spec, wanted = profile.product.variables.get(variable.name), profile.target.cog.resampling
    words = {"standard_name": spec.standard_name, "long_name": spec.long_name} if spec else {}
    stated = {**variable.attrs, **{key: value for key, value in words.items() if value}}
    is_mean = profile.target.format == "cog" and wanted in ("average", "bilinear")
    if is_mean and is_circular(variable.name, stated, variable.units):
        message = (
            f"{variable.name} holds angles in {variable.units}, and target.cog.resampling {wanted} makes means of them"
        )
        yield rules.COG_CIRCULAR.finding(variable.name, message, wanted)
