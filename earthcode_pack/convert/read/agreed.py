"""Agreement of a file with the profile: period, CRS, names, units and nodata."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pyproj import CRS

from earthcode_pack.cf import standard_names, units
from earthcode_pack.cf.flags import contradiction
from earthcode_pack.cf.missing import holds, in_type
from earthcode_pack.convert.read.file_names import is_pattern
from earthcode_pack.errors import Contradiction, Unreadable
from earthcode_pack.geo.crs import proj_code
from earthcode_pack.profile.period import TimePattern

if TYPE_CHECKING:
    from earthcode_pack.model import Period, Variable
    from earthcode_pack.profile.model import CrsSpec, Profile
    from earthcode_pack.profile.product import ClassSpec, VariableSpec

_ALIKE = 20  # of PROJ's 100: the same projection and ellipsoid, the datum without a name
_SAME_ELLIPSOID = 1e-5  # metres; GRS 80 and WGS 84 are ten times as far apart


def file_period(href: str, profile: Profile) -> tuple[Period | None, bool]:
    """The period by the file's name or path, or by the profile, and whether it is only a stated period of validity."""
    spec = profile.source.time
    if spec.pattern is not None:
        return _named_period(href, spec.pattern), False
    if spec.from_ is None:
        return spec.period, True
    return None, False


def _named_period(href: str, pattern: str) -> Period:
    name = "/".join(href.rstrip("/").split("/")[-1 - pattern.strip("/").count("/") :])
    try:
        period = TimePattern(pattern).period(href)
    except ValueError as error:
        raise Contradiction(
            f"{name}: {error}", f"rename the file, or correct source.time.pattern {pattern!r}"
        ) from error
    if period is None:
        raise Contradiction(
            f"{name}: the name does not match source.time.pattern {pattern!r}", "correct the pattern or source.href"
        )
    return period


def agreed_crs(measured: CRS | None, stated: CrsSpec | None, name: str) -> CRS:
    """The file's CRS, or the profile's where the file has none or the profile overrides it."""
    if stated is None:
        if measured is None:
            raise Unreadable(f"{name}: states no CRS", "set source.crs to the EPSG code of the data, such as EPSG:4326")
        return measured
    wanted = CRS.from_user_input(stated.value)
    if measured is None or stated.override or _leaves_open(measured, wanted):
        return wanted
    if not measured.equals(wanted, ignore_axis_order=True):
        raise Contradiction(
            f"{name}: its CRS is {crs_name(measured)}, source.crs says {crs_name(wanted)}",
            "remove source.crs, or write source.crs: {value: …, override: true}",
        )
    return measured


def _leaves_open(measured: CRS, wanted: CRS) -> bool:
    """Tells whether a file states the ellipsoid and no datum, and the profile names one on that ellipsoid."""
    if measured.datum is None or measured.datum.name not in ("undefined", "unknown"):
        return False
    if not (measured.is_geographic and wanted.is_geographic) or measured.is_derived or wanted.is_derived:
        return measured.to_epsg(min_confidence=_ALIKE) == wanted.to_epsg() is not None
    one, other = measured.ellipsoid, wanted.ellipsoid
    assert one is not None and other is not None, "a geographic CRS has an ellipsoid"  # noqa: PT018
    apart = (one.semi_major_metre - other.semi_major_metre, one.semi_minor_metre - other.semi_minor_metre)
    return max(map(abs, apart)) < _SAME_ELLIPSOID


def crs_name(crs: CRS) -> str:
    """A CRS in few words: its code, else its name, else itself."""
    return proj_code(crs.to_wkt()) or (crs.name if crs.name != "unknown" else crs.to_string())


def product_variables(found: list[Variable], name: str, profile: Profile) -> tuple[Variable, ...]:
    """The selected variables under their names in the product, held against what the profile says of them."""
    if not found:
        raise Unreadable(f"{name}: holds no variable on a map", "leave the file out of source.href")
    selected = _selected(found, profile.source.variables, name)
    renamed = [
        variable.model_copy(update={"name": _product_name(variable, found, name, profile)}) for variable in selected
    ]
    twice = {v.name for v in renamed if [w.name for w in renamed].count(v.name) > 1}
    if twice:
        raise Contradiction(f"{name}: two of its variables become {min(twice)}", "correct product.variables.*.from")
    return tuple(_described(variable, profile, name) for variable in renamed)


def _selected(found: list[Variable], wanted: list[str] | None, name: str) -> list[Variable]:
    if wanted is None:
        return found
    held = {variable.source_name: variable for variable in found}
    missing = [key for key in wanted if key not in held]
    if missing:
        raise Contradiction(f"{name}: holds no {missing[0]}; it has {', '.join(held)}", "correct source.variables")
    return [held[key] for key in wanted]


def _product_name(variable: Variable, found: list[Variable], file: str, profile: Profile) -> str:
    specs = profile.product.variables
    by_file = variable_by_name(file, profile)
    if by_file is not None:
        if len(found) > 1 and profile.source.variables is None:
            raise Contradiction(
                f"{file}: matches product.variables.{by_file}.from and holds {len(found)} variables",
                "select one with source.variables",
            )
        return by_file
    named = next((key for key, spec in specs.items() if _means(spec, variable)), None)
    if named is not None:
        return named
    # A raster band without a name, and one description without a source: they can only mean each other.
    nameless = [key for key, spec in specs.items() if spec.from_ is None]
    if len(found) == 1 and len(nameless) == len(specs) == 1 and variable.source_name in ("band_1", "rgb"):
        return nameless[0]
    return variable.source_name


def variable_by_name(file: str, profile: Profile) -> str | None:
    """The variable whose file-name pattern a file's name fits; None where it fits none.

    Raises ``Contradiction`` where it fits those of two variables.
    """
    specs = profile.product.variables
    fitting = [key for key, spec in specs.items() if is_pattern(spec.from_) and fnmatchcase(file, str(spec.from_))]
    if len(fitting) > 1:
        listed = " and ".join(f"{specs[key].from_} ({key})" for key in fitting[:2])
        raise Contradiction(
            f"{file}: matches the patterns of two variables, {listed}",
            "write out in product.variables.*.from what tells them apart, such as the signs beside the variable's name",
        )
    return fitting[0] if fitting else None


def _means(spec: VariableSpec, variable: Variable) -> bool:
    if isinstance(spec.from_, int):
        return spec.from_ in variable.bands[:1] and variable.source_name != "rgb"
    return spec.from_ == variable.source_name


def _described(variable: Variable, profile: Profile, file: str) -> Variable:
    """Units and nodata as file and profile agree on them; a standard name or class on which they do not is refused."""
    spec = profile.product.variables.get(variable.name)
    if spec is not None and spec.standard_name:
        _refuse_another_name(variable, spec.standard_name, file)
    if spec is not None and spec.classes:
        _refuse_other_classes(variable, spec.classes, file)
    agreed = _agreed_units(variable, spec.units if spec else None, file)
    return variable.model_copy(update={"nodata": _agreed_nodata(variable, profile, file), "units": agreed})


def _agreed_units(variable: Variable, stated: str | None, file: str) -> str | None:
    """The file's units, or the profile's where the file has none, or spells them in a way that UDUNITS cannot read."""
    name, measured, key = variable.name, variable.units, f"product.variables.{variable.name}.units"
    if not stated or stated == measured:
        return measured
    if not measured and not units.is_unit(stated) and units.nearest(stated):  # a profile may repeat its files alone
        raise Contradiction(
            f"{file}: {name} states no units, and the profile's {stated!r} are none that UDUNITS reads",
            f'set {key}: "{units.nearest(stated)}"',
        )
    if measured and not units.same(stated, measured):
        raise Contradiction(
            f"{file}: {name} is in {measured!r}, the profile says {stated!r}", f"correct {key}, or the file"
        )
    return stated if not measured or (units.is_unit(stated) and not units.is_unit(measured)) else measured


def _refuse_another_name(variable: Variable, stated: str, file: str) -> None:
    """A file's name that the CF table lacks is no fact; the profile's then stands."""
    measured = variable.attrs.get("standard_name")
    if not standard_names.is_stated(measured) or not standard_names.known(measured):
        return
    if not standard_names.same(measured, stated):
        raise Contradiction(
            f"{file}: the standard_name of {variable.name} is {measured}, the profile says {stated}",
            f"correct product.variables.{variable.name}.standard_name, or the file",
        )


def _refuse_other_classes(variable: Variable, stated: list[ClassSpec], file: str) -> None:
    found = contradiction({"classes": [item.model_dump() for item in stated]}, variable.attrs)
    if found is not None:
        raise Contradiction(
            f"{file}: class {found} ({variable.name})",
            f"correct product.variables.{variable.name}.classes, or the file",
        )


def difference(one: Variable, other: Variable) -> str | None:
    """Words the units or standard name that differ between two files for one variable; None where they agree.

    What one of them leaves out is no difference.
    """
    if one.units and other.units and not units.same(one.units, other.units):
        return f"the units of {one.name}: {one.units!r} and {other.units!r}"
    a, b = one.attrs.get("standard_name"), other.attrs.get("standard_name")
    if standard_names.is_stated(a) and standard_names.is_stated(b) and not standard_names.same(a, b):
        return f"the standard_name of {one.name}: {a} and {b}"
    return None


def _agreed_nodata(variable: Variable, profile: Profile, file: str) -> float | int | None:
    stated, measured = profile.source.nodata, variable.nodata
    if stated is None:
        return measured
    if measured is not None and not stated.override:
        wanted = in_type(stated.value, variable.dtype)
        if measured == wanted or (measured != measured and wanted != wanted):  # noqa: PLR0124 - NaN
            return measured
        raise Contradiction(
            f"{file}: nodata of {variable.name} is {measured}, source.nodata says {stated.value}",
            "remove source.nodata, or write source.nodata: {value: …, override: true}",
        )
    if not holds(variable.dtype, stated.value):
        raise Contradiction(
            f"{file}: nodata {stated.value} does not fit the type {variable.dtype} of {variable.name}",
            "correct source.nodata",
        )
    return in_type(stated.value, variable.dtype)
