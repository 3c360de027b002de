"""Time axis of a cube: joined from the files' own axes, or made from the periods of files without one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from earthcode_pack.cf.times import GREGORIAN, Timing, converted, days_that_lack, lacks_days
from earthcode_pack.convert.cube.variables import names_of
from earthcode_pack.errors import Contradiction

if TYPE_CHECKING:
    from datetime import datetime

    from earthcode_pack.model import Input, Period

Array = np.ndarray[Any, Any]


@dataclass
class Notes:
    """Descriptions of what a conversion added, changed or dropped, each once, in the order of their first mention."""

    lines: dict[str, None] = field(default_factory=dict)

    def add(self, line: str) -> None:
        """Adds a line, once."""
        self.lines.setdefault(line)


class Run(NamedTuple):
    """Steps of a file, with its header, and units and calendar of its time coordinates by name."""

    source: Input
    header: xr.Dataset
    timings: dict[str, Timing]


_EPOCH = "1970-01-01 00:00:00"


def time_axis(inputs: tuple[Input, ...], runs: list[Run], axis: str, notes: Notes) -> dict[str, xr.Variable]:
    """Returns the time coordinate, its bounds and all that runs along it, by name.

    Args:
        inputs: those of the job.
        runs: one for each input.
        axis: the time dimension.
        notes: takes what was changed.

    Raises:
        Contradiction: calendars differ.
        NotEqual: an instant cannot be written in the units of the first file.

    """
    name = names_of(inputs)[0]
    held = [run for run in runs if any(variable.name == name for variable in run.source.variables)]
    periods = [period for source, _, _ in held for period in source.periods]
    if held[0].source.time_dim is None or any(axis not in header.variables for _, header, _ in held):
        return _made_axis(periods, axis, notes)  # each file is one step, as the plan has seen
    if lacks_days(held[0].header, axis):
        notes.add(days_that_lack(axis))
    along = [str(key) for key, variable in held[0].header.variables.items() if axis in variable.dims]
    everywhere = [key for key in along if all(key in header.variables for _, header, _ in held)]
    for key in along:
        if key not in everywhere:
            notes.add(f"{key} dropped: not every file holds it")
    return {key: _joined(key, held, axis, notes) for key in everywhere}


def _made_axis(periods: list[Period], axis: str, notes: Notes) -> dict[str, xr.Variable]:
    """Returns the start of each period, with bounds where they are intervals."""
    attrs = {
        "standard_name": "time", "axis": "T", "units": f"seconds since {_EPOCH}", "calendar": "proleptic_gregorian",
    }  # fmt: skip
    notes.add(f"{axis} added, from the times of the files")
    starts = np.array([_seconds(period.start) for period in periods])
    if all(period.is_instant for period in periods):
        return {axis: xr.Variable((axis,), starts, attrs)}
    bounds = np.array([[_seconds(period.start), _seconds(period.end)] for period in periods])
    return {
        axis: xr.Variable((axis,), starts, {**attrs, "bounds": f"{axis}_bnds"}),
        f"{axis}_bnds": xr.Variable((axis, "bnds"), bounds),
    }


def _seconds(moment: datetime) -> int | float:
    seconds = moment.timestamp()
    return int(seconds) if seconds.is_integer() else seconds


def _joined(name: str, runs: list[Run], axis: str, notes: Notes) -> xr.Variable:
    """Joins one variable of all files along time, in the units of the first file where it holds times."""
    first = runs[0].header.variables[name]
    pieces = []
    for run in runs:
        piece = run.header.variables[name].isel({axis: list(run.source.steps)}).values
        pieces.append(_like_first(piece, name, runs[0], run, notes))
    return xr.Variable(first.dims, _concatenated(pieces, first.dims.index(axis)), first.attrs)


def stacked(name: str, runs: list[Run], axis: str, notes: Notes) -> xr.Variable:
    """Returns a single value of each file as a series along time, each repeated for the steps of its file."""
    first = runs[0].header.variables[name]
    notes.add(f"{name} differs between files: a series along {axis}")
    pieces = [
        np.repeat(_like_first(run.header.variables[name].values, name, runs[0], run, notes), len(run.source.steps) or 1)
        for run in runs
    ]
    return xr.Variable((axis,), _concatenated(pieces, 0), first.attrs)


def _concatenated(pieces: list[Array], axis: int) -> Array:
    if all(piece.dtype.kind in "iuf" for piece in pieces):
        kind = np.result_type(*[piece.dtype.newbyteorder("=") for piece in pieces])
        pieces = [piece.astype(kind) for piece in pieces]
    return np.concatenate(pieces, axis=axis)


def _like_first(values: Array, name: str, first: Run, run: Run, notes: Notes) -> Array:
    timing = first.timings.get(name)
    return values if timing is None else in_units(values, run.timings.get(name, timing), timing, name, notes)


def in_units(values: Array, given: Timing, wanted: Timing, name: str, notes: Notes) -> Array:
    """Converts instants to other units and calendar.

    Args:
        values: numbers that count time.
        given: their units and calendar.
        wanted: the units and calendar of the first file.
        name: what the values are of, in errors and notes.
        notes: takes what was changed.

    Raises:
        Contradiction: one of the calendars has other days.
        NotEqual: the units are too coarse for an instant.

    """
    if given == wanted:
        return values
    if given[1] != wanted[1] and not {given[1], wanted[1]} <= {*GREGORIAN}:
        raise Contradiction(
            f"{name}: calendars {wanted[1]!r} and {given[1]!r} in one cube", "make one product of each calendar"
        )
    notes.add(f"{name}: in the units of the first file, {wanted[0]!r}; the instants are the same")
    return converted(values, given, wanted, name)
