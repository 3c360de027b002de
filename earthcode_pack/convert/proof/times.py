"""Times as xarray and cftime decode them: of an output and of its sources, step by step, bounds too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cftime
import numpy as np
import xarray as xr

from earthcode_pack.cf.time_units import plain_units
from earthcode_pack.convert.proof.decoded import REMEDY, CannotTell
from earthcode_pack.errors import NotEqual

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from earthcode_pack.convert.proof.cubes import Cube
    from earthcode_pack.model import Period

Array = np.ndarray[Any, Any]

_ROUNDING = 1000  # microseconds: numbers with a point in other units round
_GREGORIAN = ("standard", "gregorian", "proleptic_gregorian")
_REFORM = 1583  # from this year on these calendars agree


def time_names(cube: Cube, axis: str) -> list[str]:
    """The variables along the axis that hold times: by their units, or as the bounds of such (CF 4.4, 7.1)."""
    found = [str(name) for name, v in cube.dataset.variables.items() if axis in v.dims and is_time(v)]
    bounds = [str(cube.dataset.variables[name].attrs.get(key)) for name in found for key in ("bounds", "climatology")]
    return found + [name for name in bounds if name in cube.dataset.variables and name not in found]


def is_time(variable: xr.Variable) -> bool:
    """Tells whether its units count from a reference time (CF 4.4)."""
    return variable.dtype.kind in "iuf" and " since " in str(variable.attrs.get("units", ""))


def times_of(cube: Cube, names: Sequence[str], axis: str, steps: Sequence[int]) -> dict[str, Array]:
    """The times of those variables at some steps; one without the axis is repeated. Missing variables are left out.

    Raises ``CannotTell`` where xarray cannot decode them, or reads their units otherwise than CF 4.4 has it.
    """
    held = {name: cube.dataset.variables[name] for name in names if name in cube.dataset.variables}
    refuse_half_read(cube, held)
    chosen = {}
    for name, variable in held.items():
        values = variable.values
        if axis in variable.dims:
            values = values.take(list(steps), axis=variable.dims.index(axis))
        chosen[name] = xr.Variable([f"_{dim}" if dim == axis else dim for dim in variable.dims], values, variable.attrs)
    decoded = _decoded(cube, chosen)
    return {
        name: decoded[name].values if axis in held[name].dims else np.repeat(decoded[name].values, len(steps))
        for name in chosen
    }


def _decoded(cube: Cube, variables: dict[str, xr.Variable]) -> xr.Dataset:
    """Decodes by cftime, which knows each calendar; what it does not know (nanoseconds) as numpy's times."""
    try:
        return cube.decode(variables, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True))
    except CannotTell:
        return cube.decode(variables, decode_times=True)


def refuse_half_read(cube: Cube, names: Iterable[str]) -> None:
    """Raises ``CannotTell`` where cftime would leave out an hour or a zone that it does not understand."""
    for name in names:
        attrs = cube.dataset.variables[name].attrs
        units, calendar = str(attrs.get("units", "")), str(attrs.get("calendar", "standard")).lower()
        if " since " not in units or "nano" in units.lower() or units.lower().startswith("ns "):
            continue
        try:
            same = cftime.num2date(0, units, calendar) == cftime.num2date(0, plain_units(units), calendar)
        except ValueError:
            continue  # xarray will say so, or not
        if not same:
            raise CannotTell(f"cftime reads {units!r} of {name} in {cube.path.name} only in part")


def compare_times(source: Array, written: Array, where: str) -> None:
    """Refuses two arrays that do not hold the same instants. Raises ``NotEqual``, which names the first other one.

    Raises ``CannotTell`` where the readers gave times of kinds that cannot be compared.
    """
    if source.shape != written.shape:
        raise NotEqual(f"{where}: {source.shape} times in the source, {written.shape} in what was written", REMEDY)
    for index in np.ndindex(source.shape):
        one, other = source[index], written[index]
        if _apart(one, other) > _ROUNDING:
            step = ", ".join(map(str, index))
            raise NotEqual(
                f"{where}: step {step} is {_text(one)} in the source and {_text(other)} in what was written", REMEDY
            )


def _apart(one: Any, other: Any) -> float:
    """Microseconds between two times; 0 where both are missing."""
    if isinstance(one, np.datetime64) and isinstance(other, np.datetime64):
        if np.isnat(one) or np.isnat(other):
            return 0.0 if np.isnat(one) and np.isnat(other) else np.inf
        return 0.0 if one == other else np.inf
    if not (isinstance(one, cftime.datetime) and isinstance(other, cftime.datetime)):
        if one is None or other is None or one != one or other != other:  # noqa: PLR0124 - NaN
            return 0.0 if type(one) is type(other) else np.inf
        raise CannotTell(f"times of two kinds, {type(one).__name__} and {type(other).__name__}")
    if one.calendar != other.calendar:
        one = one.change_calendar(other.calendar)
    return abs(float((other - one).total_seconds())) * 1e6


def _text(moment: Any) -> str:
    return str(moment.isoformat()) if isinstance(moment, cftime.datetime) else str(moment)


# --- against a period -----------------------------------------------------------------------------------------------


def compare_period(cube: Cube, axis: str | None, step: int | None, period: Period, where: str) -> bool:
    """Refuses times of a step outside the period of the plan; returns whether there were any to compare.

    By the bounds where there are any. Raises ``NotEqual`` that shows both, and ``CannotTell``.
    """
    name = _time_of_step(cube, axis)
    if name is None:
        return False
    attrs = cube.dataset.variables[name].attrs
    bounds = str(attrs.get("bounds", attrs.get("climatology", "")))
    times = times_of(cube, [name, *([bounds] if bounds in cube.dataset.variables else [])], axis or "", [step or 0])
    moments = np.ravel(times.get(bounds, times[name]))
    if not all(isinstance(moment, cftime.datetime) for moment in moments):
        return False
    if any(moment.calendar not in _GREGORIAN or moment.year < _REFORM for moment in moments):
        return False
    start, end = (
        cftime.datetime(*moment.timetuple()[:6], moment.microsecond, calendar=moments[0].calendar)
        for moment in (period.start, period.end)
    )
    if (start - min(moments)).total_seconds() > 1 or (max(moments) - end).total_seconds() > 1:
        found = " to ".join(_text(moment) for moment in dict.fromkeys((min(moments), max(moments))))
        raise NotEqual(f"{where}: its time is {found} in the source, and the product says {start} to {end}", REMEDY)
    return True


def _time_of_step(cube: Cube, axis: str | None) -> str | None:
    """The time coordinate of the axis, or the only one without a dimension."""
    variables = cube.dataset.variables
    if axis is not None:
        return axis if axis in variables and axis in variables[axis].dims and is_time(variables[axis]) else None
    scalars = [str(n) for n, v in variables.items() if v.ndim == 0 and v.attrs.get("standard_name") == "time"]
    return scalars[0] if len(scalars) == 1 and is_time(variables[scalars[0]]) else None
