"""CF and ACDD metadata of a NetCDF file or Zarr store, read undecoded.

What xrlint has a fitting rule for is asked of xrlint; the rest, or where its rule is wider or narrower than what
EarthCODE asks for, is looked at here.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf.axes import axes_of, axis_of, data_variables, has_direction
from earthcode_pack.cf.flags import FLAGS, is_flags
from earthcode_pack.cf.grid_mappings import crs_of_mapping
from earthcode_pack.cf.roles import bounds_of, grid_mappings, helpers, is_grid_mapping
from earthcode_pack.cf.times import names_an_interval
from earthcode_pack.checks import rules
from earthcode_pack.checks.cf_attributes import name_findings
from earthcode_pack.checks.time_facts import axis_findings
from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.model import Finding
    from earthcode_pack.rule import Rule

_UNCERTAIN = re.compile(
    r"uncertaint|standard_error|standard error|std_?dev|stddev|error|confidence|variance|_unc\b|\bunc_"
)
_NO_DOCUMENTATION = {"conventions", "license", "licence", "creator_url", "publisher_url", "institution",
                     "standard_name_vocabulary", "keywords_vocabulary"}  # fmt: skip
_STATUS = re.compile(r"(status_flag|quality_flag)$")

# xrlint's rules that fit, and ours that each one stands for.
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
    """The xarray dataset with stored values and every attribute as it is; auxiliary variables are coordinates."""
    import xarray as xr  # noqa: PLC0415 - heavy

    with xr.open_dataset(
        source, engine=engine, decode_times=False, mask_and_scale=False, decode_coords=False, **options
    ) as dataset:
        yield dataset.set_coords([name for name in _auxiliary(dataset) if name in dataset])


def cf_findings(dataset: Any, subject: str) -> list[Finding]:
    """What a dataset from ``open_raw`` breaks of the rules for CF and ACDD."""
    return [
        *_linted(dataset, subject),
        *_globals(dataset, subject),
        *_uncertainty(dataset, subject),
        *_grid_mappings(dataset, subject),
        *(finding for name in dataset.variables for finding in _variable(dataset, str(name), subject)),
    ]


def _auxiliary(dataset: Any) -> list[str]:
    """Variables that describe others: those that are named by others, stray grid mappings, and what is no data.

    Beside data on a map that is what lies on none: texts, terms of formulas, single numbers.
    """
    every = dataset.variables
    stray = [str(name) for name, variable in every.items() if is_grid_mapping(variable.attrs)]
    texts = [str(name) for name, variable in every.items() if variable.dtype.kind in "SUOT"]
    return [*helpers(dataset), *stray, *texts, *_beside_data(dataset)]


def _beside_data(dataset: Any) -> list[str]:
    """Variables that are neither data nor axes; none where no variable lies on a map or at places."""
    try:
        data = set(data_variables(dataset))
    except Unreadable:  # several latitudes: nobody knows which are data
        return []
    return [str(name) for name in dataset.variables if name not in data and name not in dataset.dims] if data else []


# --- by xrlint


def _linted(dataset: Any, subject: str) -> Iterator[Finding]:
    quantities = {*quantities_of(dataset)}
    for message in _linter().validate(_plain(dataset), file_path=subject).messages:
        name = _named(message.node_path)
        known = _rule_of(message)
        if known is None or (known is rules.CF_UNITS and name not in quantities):
            continue
        place = f"{name} in {subject}" if name else subject
        yield known.finding(subject, f"{place}: {message.message}", name)


@lru_cache(maxsize=1)  # it looks for plug-ins and rules each time
def _linter() -> Any:
    from xrlint.linter import new_linter  # noqa: PLC0415 - heavy

    settings: dict[str, Any] = dict.fromkeys(_XRLINT, 1)
    settings["var-desc"] = [1, {"attrs": ["standard_name", "long_name"]}]
    return new_linter(rules=settings)


def _plain(dataset: Any) -> Any:
    """The same with flags as lists of Python's integers: xrlint takes numpy's for something else."""
    plain = dataset.copy()
    for variable in plain.variables.values():
        for key in FLAGS & set(variable.attrs):
            value = variable.attrs[key]
            listed = value.tolist() if hasattr(value, "tolist") else value
            variable.attrs[key] = list(listed) if isinstance(listed, list | tuple) else [listed]
    return plain


def _named(node_path: str | None) -> str | None:
    match = re.search(r"\['(.*?)'\]", node_path or "")
    return match[1] if match else None


def _rule_of(message: Any) -> Rule | None:
    """Ours for xrlint's message; None where the message says more than we ask."""
    known = _XRLINT.get(message.rule_id, ())
    if message.rule_id in {"lat-coordinate", "lon-coordinate"} and "'units' should be" not in message.message:
        return None
    wanted = [r for r in known if len(known) == 1 or f"'{r.id[3:].lower().replace('-', '_')}'" in message.message]
    return wanted[0] if wanted else None


def quantities_of(dataset: Any) -> list[str]:
    """The variables that need units: no grid mapping, bounds, labels, time text, flags (CF 3.1), nor ids (CF 9.5)."""
    auxiliary = set(_auxiliary(dataset))
    return [
        str(name) for name, variable in dataset.variables.items()
        if name not in auxiliary and variable.dtype.kind in "iufcb"
        and not is_flags(variable.attrs) and "cf_role" not in variable.attrs
    ]  # fmt: skip


# --- by hand


def _globals(dataset: Any, subject: str) -> Iterator[Finding]:
    attrs = {key.lower(): value for key, value in dataset.attrs.items()}
    wanted = {"title": ("title",), "summary": ("summary",), "license": ("license", "licence"),
              "provenance": ("history", "source", "references")}  # fmt: skip
    for name, keys in wanted.items():
        if not any(attrs.get(key) for key in keys):
            yield rules.ACDD_REQUIRED.finding(subject, f"{subject} has no global {' or '.join(keys)}", name)
    missing = [key for key in ("history", "institution", "source", "references") if not attrs.get(key)]
    if missing:
        message = f"{subject} has no global {', '.join(missing)}"
        yield rules.ACDD_RECOMMENDED.finding(subject, message, missing)
    if not any("://" in str(value) for key, value in attrs.items() if key not in _NO_DOCUMENTATION):
        message = f"{subject} has no global attribute with a URL of its documentation"
        yield rules.ACDD_DOCUMENTATION.finding(subject, message)


def _uncertainty(dataset: Any, subject: str) -> Iterator[Finding]:
    """Of quantities alone: classes and flags have none."""
    quantities = [name for name in quantities_of(dataset) if name in dataset.data_vars]
    told = [
        f"{name} {v.attrs.get('standard_name')} {v.attrs.get('long_name')}" for name, v in dataset.variables.items()
    ]
    linked = any("ancillary_variables" in variable.attrs for variable in dataset.variables.values())
    if quantities and not linked and not any(_UNCERTAIN.search(words.lower()) for words in told):
        message = f"{subject} holds no uncertainty of {', '.join(quantities[:3])}"
        yield rules.CF_UNCERTAINTY.finding(subject, message, quantities[:3])


def _grid_mappings(dataset: Any, subject: str) -> Iterator[Finding]:
    for name, variable in dataset.data_vars.items():
        if not _is_placed(dataset, str(name)):
            continue
        named = list(grid_mappings(variable.attrs))
        if not named:
            message = f"{name} in {subject} lies on a grid and has no grid_mapping"
            yield rules.CF_GRID_MAPPING.finding(subject, message, str(name))
        for mapping in named:
            why = _no_crs(dataset, mapping)
            if why:
                message = f"{name} in {subject} has the grid_mapping {mapping}, {why}"
                yield rules.CF_GRID_MAPPING.finding(subject, message, mapping)


def _is_placed(dataset: Any, name: str) -> bool:
    """Whether a variable lies on a map or at places, which need a datum."""
    try:
        return axes_of(dataset, name) is not None
    except Unreadable:  # several latitudes, or the cells of a mesh
        return True


def _no_crs(dataset: Any, mapping: str) -> str:
    """Why the grid mapping states no CRS; empty where it does."""
    if mapping not in dataset.variables:
        return "which is not in the file"
    try:
        crs = crs_of_mapping(dict(dataset.variables[mapping].attrs), mapping)
    except Unreadable:
        return "which states no CRS that PROJ knows"
    return "" if crs is not None else "which states no CRS with a figure of the Earth"


def _variable(dataset: Any, name: str, subject: str) -> Iterator[Finding]:
    variable = dataset.variables[name]
    attrs = variable.attrs
    is_time = name in dataset.coords and axis_of(dataset, name) == "t"
    judged = None if is_time else _judged_units(attrs)
    yield from name_findings(subject, attrs.get("standard_name"), judged, f"{name} in {subject}")
    if is_time:
        yield from _time(name, variable, subject)
        yield from _time_bounds(dataset, name, subject)
    for key in ("bounds", "climatology"):
        if key in attrs and attrs[key] not in dataset.variables:
            message = f"{name} in {subject} has the {key} {attrs[key]}, which is not in the file"
            yield rules.CF_BOUNDS.finding(subject, message, str(attrs[key]))
    if name in dataset.coords and has_direction(attrs) and str(attrs.get("positive")) not in {"up", "down"}:
        message = f"the vertical axis {name} in {subject} has positive {attrs.get('positive')!r}"
        yield rules.CF_VERTICAL.finding(subject, message, attrs.get("positive"), ["up", "down"])
    if _STATUS.search(str(attrs.get("standard_name", ""))) and "flag_meanings" not in attrs:
        yield rules.CF_FLAGS.finding(subject, f"the flags {name} in {subject} have no flag_meanings", name)


def _judged_units(attrs: dict[str, Any]) -> Any:
    """Units that CF 3.1 is asked about: those of time, latitude and longitude have rules of their own, flags none."""
    is_other = is_flags(attrs) or str(attrs.get("standard_name")) in {"latitude", "longitude"}
    return None if is_other else attrs.get("units")


def _time(name: str, variable: Any, subject: str) -> Iterable[Finding]:
    """Whether cftime, which every reader asks, can decode the units, and leaves nothing of them out."""
    from earthcode_pack.cf.times import dates  # noqa: PLC0415 - cftime is heavy

    units, calendar = variable.attrs.get("units"), variable.attrs.get("calendar")
    found: list[Finding] = []
    try:
        dates(0, str(units), str(calendar or "standard"))
        if variable.dtype.kind in "iuf":
            found += axis_findings(variable.to_numpy(), variable.attrs, subject, f"{name} in {subject}")
    except (ValueError, TypeError) as error:
        message = f"{name} in {subject} has the units {units!r}: {error}"
        found.append(rules.CF_TIME.finding(subject, message, str(units)))
    if calendar is None:
        found.append(rules.CF_CALENDAR.finding(subject, f"{name} in {subject} has no calendar"))
    return found


def _time_bounds(dataset: Any, name: str, subject: str) -> Iterator[Finding]:
    if bounds_of(dataset.variables[name].attrs):
        return
    for other, variable in dataset.data_vars.items():
        if names_an_interval(variable.attrs, name):
            methods = str(variable.attrs["cell_methods"])
            message = f"{other} in {subject} has the cell_methods {methods!r}, and {name} has no bounds"
            yield rules.CF_TIME_BOUNDS.finding(subject, message, methods)
