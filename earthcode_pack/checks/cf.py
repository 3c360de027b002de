"""CF and ACDD metadata of a NetCDF file or Zarr store, read undecoded.

Rules of xrlint are used where they fit; the others, and those where xrlint's rule is wider or narrower than what
EarthCODE asks for, are checked here.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf.axes import axes_of, axis_of, data_variables, has_direction
from earthcode_pack.cf.flags import FLAGS, is_flags
from earthcode_pack.cf.grid_mappings import crs_of_mapping
from earthcode_pack.cf.roles import bounds_of, grid_mappings, helpers, is_grid_mapping
from earthcode_pack.cf.times import names_an_interval
from earthcode_pack.checks import rules
from earthcode_pack.checks.cf_attributes import name_findings, time_axis_findings
from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Finding
    from earthcode_pack.rule import Rule

_UNCERTAIN = re.compile(
    r"uncertaint|standard_error|standard error|std_?dev|stddev|error|confidence|variance|_unc\b|\bunc_"
)
_NO_DOCUMENTATION = {"conventions", "license", "licence", "creator_url", "publisher_url", "institution",
                     "standard_name_vocabulary", "keywords_vocabulary"}  # fmt: skip
_STATUS = re.compile(r"(status_flag|quality_flag)$")
_REQUIRED = {"title": ("title",), "summary": ("summary",), "license": ("license", "licence"),
             "provenance": ("history", "source", "references")}  # fmt: skip

# xrlint's rules that fit, and the rules of ours that each stands for
_XRLINT: dict[str, tuple[Rule, ...]] = {
    "conventions": (rules.CF_CONVENTIONS,),
    "lat-coordinate": (rules.CF_LATLON,),
    "lon-coordinate": (rules.CF_LATLON,),
    "var-flags": (rules.CF_FLAGS,),
    "var-desc": (rules.CF_STANDARD_NAME, rules.CF_LONG_NAME),
    "var-units": (rules.CF_UNITS,),
}


@contextmanager
def open_raw(source: Any, engine: str, **options: Any) -> Iterator[Any]:
    """Opens a dataset with stored values and every attribute as it is; auxiliary variables become coordinates.

    Args:
        source: Whatever the engine opens.
        engine: Engine of xarray.
        **options: Options of the engine.

    Yields:
        The xarray dataset.

    """
    import xarray as xr  # noqa: PLC0415 - heavy

    with xr.open_dataset(
        source, engine=engine, decode_times=False, mask_and_scale=False, decode_coords=False, **options
    ) as dataset:
        yield dataset.set_coords([name for name in _auxiliary(dataset) if name in dataset])


def cf_findings(dataset: Any, subject: str) -> list[Finding]:
    """Checks a dataset against the rules for CF and ACDD.

    Args:
        dataset: An xarray dataset from ``open_raw``.
        subject: Name of the file or store in findings.

    Returns:
        The findings.

    """
    auxiliary = set(_auxiliary(dataset))
    quantities = [  # they need units: no grid mapping, bounds, labels, time text, flags (CF 3.1), nor ids (CF 9.5)
        str(name) for name, variable in dataset.variables.items()
        if name not in auxiliary and variable.dtype.kind in "iufcb"
        and not is_flags(variable.attrs) and "cf_role" not in variable.attrs
    ]  # fmt: skip
    return [
        *_xrlint_findings(dataset, subject, quantities),
        *_global_findings(dataset, subject, quantities),
        *_grid_mapping_findings(dataset, subject),
        *(finding for name in dataset.variables for finding in _variable_findings(dataset, str(name), subject)),
    ]


def _auxiliary(dataset: Any) -> list[str]:
    """Lists variables that describe others: those that others name, grid mappings, texts, and what is no data.

    Beside data on a map, that is every variable that lies on none: terms of formulas, single numbers.
    """
    every = dataset.variables
    stray = [str(name) for name, variable in every.items() if is_grid_mapping(variable.attrs)]
    texts = [str(name) for name, variable in every.items() if variable.dtype.kind in "SUOT"]
    try:
        data = set(data_variables(dataset))
    except Unreadable:  # several latitudes: it is not known which variables are data
        data = set()
    beside = [str(name) for name in every if data and name not in data and name not in dataset.dims]
    return [*helpers(dataset), *stray, *texts, *beside]


# --- by xrlint


def _xrlint_findings(dataset: Any, subject: str, quantities: list[str]) -> Iterator[Finding]:
    plain = dataset.copy()
    for variable in plain.variables.values():
        for key in FLAGS & set(variable.attrs):  # xrlint takes numpy's integers for something else than integers
            value = variable.attrs[key]
            numbers = value.tolist() if hasattr(value, "tolist") else value
            variable.attrs[key] = list(numbers) if isinstance(numbers, list | tuple) else [numbers]
    for message in _linter().validate(plain, file_path=subject).messages:
        match = re.search(r"\['(.*?)'\]", message.node_path or "")
        name = match[1] if match else None
        if message.rule_id in {"lat-coordinate", "lon-coordinate"} and "'units' should be" not in message.message:
            continue  # it asks for more than EarthCODE
        known = _XRLINT.get(message.rule_id, ())
        if len(known) > 1:
            known = tuple(r for r in known if f"'{r.id[3:].lower().replace('-', '_')}'" in message.message)
        if known and (known[0] is not rules.CF_UNITS or name in quantities):
            place = f"{name} in {subject}" if name else subject
            yield known[0].finding(subject, f"{place}: {message.message}", name)


@lru_cache(maxsize=1)  # it looks for plug-ins and rules each time
def _linter() -> Any:
    from xrlint.linter import new_linter  # noqa: PLC0415 - heavy

    settings: dict[str, Any] = dict.fromkeys(_XRLINT, 1)
    settings["var-desc"] = [1, {"attrs": ["standard_name", "long_name"]}]
    return new_linter(rules=settings)


# --- by hand


def _global_findings(dataset: Any, subject: str, quantities: list[str]) -> Iterator[Finding]:
    """Checks global attributes, and that the file says something of the uncertainty of its quantities."""
    attrs = {key.lower(): value for key, value in dataset.attrs.items()}
    for name, keys in _REQUIRED.items():
        if not any(attrs.get(key) for key in keys):
            yield rules.ACDD_REQUIRED.finding(subject, f"{subject} has no global {' or '.join(keys)}", name)
    missing = [key for key in ("history", "institution", "source", "references") if not attrs.get(key)]
    if missing:
        message = f"{subject} has no global {', '.join(missing)}"
        yield rules.ACDD_RECOMMENDED.finding(subject, message, missing)
    if not any("://" in str(value) for key, value in attrs.items() if key not in _NO_DOCUMENTATION):
        message = f"{subject} has no global attribute with a URL of its documentation"
        yield rules.ACDD_DOCUMENTATION.finding(subject, message)
    data = [name for name in quantities if name in dataset.data_vars]
    told = [
        f"{name} {v.attrs.get('standard_name')} {v.attrs.get('long_name')}" for name, v in dataset.variables.items()
    ]
    linked = any("ancillary_variables" in variable.attrs for variable in dataset.variables.values())
    if data and not linked and not any(_UNCERTAIN.search(words.lower()) for words in told):
        message = f"{subject} holds no uncertainty of {', '.join(data[:3])}"
        yield rules.CF_UNCERTAINTY.finding(subject, message, data[:3])


def _grid_mapping_findings(dataset: Any, subject: str) -> Iterator[Finding]:
    """Checks that data on a map or at locations, which need a datum, have a grid mapping that states a CRS."""
    for name, variable in dataset.data_vars.items():
        is_located = True
        with suppress(Unreadable):  # several latitudes, or the cells of a mesh: these need a datum too
            is_located = axes_of(dataset, str(name)) is not None
        if not is_located:
            continue
        named = list(grid_mappings(variable.attrs))
        if not named:
            message = f"{name} in {subject} lies on a grid and has no grid_mapping"
            yield rules.CF_GRID_MAPPING.finding(subject, message, str(name))
        for mapping in named:
            why = "which is not in the file"
            if mapping in dataset.variables:
                try:
                    crs = crs_of_mapping(dict(dataset.variables[mapping].attrs), mapping)
                    why = "" if crs is not None else "which states no CRS with a figure of the Earth"
                except Unreadable:
                    why = "which states no CRS that PROJ knows"
            if why:
                message = f"{name} in {subject} has the grid_mapping {mapping}, {why}"
                yield rules.CF_GRID_MAPPING.finding(subject, message, mapping)


def _variable_findings(dataset: Any, name: str, subject: str) -> Iterator[Finding]:
    attrs, standard_name = dataset.variables[name].attrs, str(dataset.variables[name].attrs.get("standard_name", ""))
    is_time = name in dataset.coords and axis_of(dataset, name) == "t"
    # units of time, latitude and longitude have rules of their own, and flags have no units (CF 3.1)
    has_other_rules = is_time or is_flags(attrs) or standard_name in {"latitude", "longitude"}
    unit = None if has_other_rules else attrs.get("units")
    yield from name_findings(subject, attrs.get("standard_name"), unit, f"{name} in {subject}")
    if is_time:
        yield from _time_findings(dataset, name, subject)
    for key in ("bounds", "climatology"):
        if key in attrs and attrs[key] not in dataset.variables:
            message = f"{name} in {subject} has the {key} {attrs[key]}, which is not in the file"
            yield rules.CF_BOUNDS.finding(subject, message, str(attrs[key]))
    if name in dataset.coords and has_direction(attrs) and str(attrs.get("positive")) not in {"up", "down"}:
        message = f"the vertical axis {name} in {subject} has positive {attrs.get('positive')!r}"
        yield rules.CF_VERTICAL.finding(subject, message, attrs.get("positive"), ["up", "down"])
    if _STATUS.search(standard_name) and "flag_meanings" not in attrs:
        yield rules.CF_FLAGS.finding(subject, f"the flags {name} in {subject} have no flag_meanings", name)


def _time_findings(dataset: Any, name: str, subject: str) -> Iterator[Finding]:
    """Checks units by cftime, which every reader uses, then precision, gaps, calendar and bounds of a time axis."""
    from earthcode_pack.cf.times import dates  # noqa: PLC0415 - cftime is heavy

    variable, where = dataset.variables[name], f"{name} in {subject}"
    units, calendar = variable.attrs.get("units"), variable.attrs.get("calendar")
    try:
        dates(0, str(units), str(calendar or "standard"))
        is_number = variable.dtype.kind in "iuf"
        found = list(time_axis_findings(variable.to_numpy(), variable.attrs, subject, where)) if is_number else []
    except (ValueError, TypeError) as error:
        message = f"{where} has the units {units!r}: {error}"
        found = [rules.CF_TIME.finding(subject, message, str(units))]
    yield from found
    if calendar is None:
        yield rules.CF_CALENDAR.finding(subject, f"{where} has no calendar")
    for other, data in dataset.data_vars.items() if not bounds_of(variable.attrs) else ():
        if names_an_interval(data.attrs, name):
            methods = str(data.attrs["cell_methods"])
            message = f"{other} in {subject} has the cell_methods {methods!r}, and {name} has no bounds"
            yield rules.CF_TIME_BOUNDS.finding(subject, message, methods)
