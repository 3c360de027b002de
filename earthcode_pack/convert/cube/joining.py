"""Joins sources to one cube: those that agree, and the order of their steps on its time axis."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyproj import CRS

from earthcode_pack.convert.jobs import cells_apart, failure_of
from earthcode_pack.convert.read.agreed import crs_name
from earthcode_pack.convert.read.file_names import is_pattern, name_of
from earthcode_pack.model import Failure, Period, Source, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from earthcode_pack.profile import Profile

Reasons = dict[str, tuple[Source, str]]
"""Sources that cannot be used, by href, and why."""

_BEFORE_ONE = "time axes of one cube must not overlap: leave one file out of source.href, or correct source.time"
_APART = "make one product of each, or leave one out of source.href"
_EACH = "set target.format: netcdf, whose netcdf: {split: source} makes an Item of each file"


@dataclass(frozen=True)
class Moment:
    """One step of one source on the common time axis; ``step`` is None where the source has no axis of its own."""

    source: Source
    step: int | None
    period: Period

    @property
    def label(self) -> str:
        """Label that tells moments apart: the date in a model's calendar, else the start."""
        labels = self.source.labels
        return labels[self.step] if labels and self.step is not None else rfc3339(self.period.start)


def cubes_only(sources: Iterable[Source], failures: list[Failure]) -> list[Source]:
    """Returns the sources without pictures (RGB), which have no place in a cube."""
    kept = []
    for source in sources:
        picture = next((v for v in source.variables if len(v.bands) > 1), None)
        if picture is None:
            kept.append(source)
        else:
            text = f"{name_of(source.href)}: {picture.name} is a picture of {len(picture.bands)} bands"
            failures.append(failure_of(source, text, "set target.format: cog"))
    return kept


def alike(profile: Profile, sources: tuple[Source, ...]) -> tuple[list[Source], list[Failure]]:
    """Returns the sources that agree with the first of their variables in grid, CRS and variables.

    Args:
        profile: the profile.
        sources: files that would make one cube.

    Returns:
        The sources that fit, and failures for the others that name two files.

    """
    failures: list[Failure] = []
    kept: list[Source] = []
    first: dict[tuple[str, ...], Source] = {}
    for source in cubes_only(sources, failures):
        key = group_key(source, profile)
        anchor, reference = next(iter(first.values()), source), first.get(key, source)
        difference = _difference(anchor, source, same_variables=False)
        difference = difference or _difference(reference, source, same_variables=True)
        if difference:
            failures.append(failure_of(source, difference, _APART if source.grid.kind == "grid" else _EACH))
            continue
        first.setdefault(key, source)  # one that does not fit is no measure for the rest of its variables
        kept.append(source)
    return kept, failures


def group_key(source: Source, profile: Profile) -> tuple[str, ...]:
    """Returns the variables of a file that file-name patterns tell apart: columns of one cube; else an empty key."""
    specs = profile.product.variables
    by_pattern = [v.name for v in source.variables if v.name in specs and is_pattern(specs[v.name].from_)]
    return tuple(by_pattern)


def _difference(one: Source, other: Source, *, same_variables: bool) -> str | None:
    """Describes what keeps two files out of one cube, naming both; None where nothing does."""
    a, b = name_of(one.href), name_of(other.href)
    if one.grid.digest != other.grid.digest:
        apart = cells_apart(one.grid, other.grid)
        if apart is not None:
            return f"{a} and {b} differ in their grid: their edges are up to {apart:.2g} of a cell apart"
        return f"{a} and {b} differ in their grid: {_shown(one)} and {_shown(other)}"
    if one.time_dim != other.time_dim:
        return f"{a} and {b} differ in their time axis: {one.time_dim} and {other.time_dim}"
    return _difference_in_variables(one, other) if same_variables else None


def _difference_in_variables(one: Source, other: Source) -> str | None:
    a, b = name_of(one.href), name_of(other.href)
    names = [{variable.name for variable in source.variables} for source in (one, other)]
    if names[0] != names[1]:
        return f"{a} and {b} differ in their variables: {', '.join(sorted(names[0]))} and {', '.join(sorted(names[1]))}"
    pairs = {variable.name: variable for variable in one.variables}
    for variable in other.variables:
        shapes = [
            {dim: size for dim, size in zip(v.dims, v.shape, strict=True) if dim != one.time_dim}
            for v in (pairs[variable.name], variable)
        ]
        if shapes[0] != shapes[1]:
            return f"{a} and {b} differ in {variable.name}: {shapes[0]} and {shapes[1]}"
    return None


def _shown(source: Source) -> str:
    rows, columns = source.grid.shape
    box = ", ".join(f"{edge:g}" for edge in source.grid.bounds)
    what = "cells" if source.grid.kind in ("grid", "curvilinear") else "places"
    return f"{rows} x {columns} {what} over {box} in {crs_name(CRS.from_wkt(source.grid.crs))}"


def on_one_axis(sources: list[Source], profile: Profile, failures: list[Failure]) -> list[Moment]:
    """Returns every step of every source in the order of time; files that overlap are failures that name both.

    Args:
        sources: files of one cube.
        profile: the profile.
        failures: takes those of files that are left out.

    """
    moments = [moment for source in sources for moment in moments_of(source)]
    moments.sort(key=lambda moment: (moment.period.start, moment.label))
    return _without(moments, _overlaps(moments) | _ragged(moments, profile), failures)


def moments_of(source: Source) -> list[Moment]:
    """Returns the steps of a source; one without a time axis is one step."""
    if source.time_dim is None:
        return [Moment(source, None, source.times[0])]
    return [Moment(source, step, period) for step, period in enumerate(source.times)]


def without_doubles(moments: list[Moment], failures: list[Failure]) -> list[Moment]:
    """Returns the moments of sources that no other contradicts: files of one time and place are failures."""
    return _without(moments, _overlaps(moments), failures)


def _without(moments: list[Moment], bad: Reasons, failures: list[Failure]) -> list[Moment]:
    failures.extend(failure_of(source, text, _BEFORE_ONE) for source, text in bad.values())
    return [moment for moment in moments if moment.source.href not in bad]


def _overlaps(moments: list[Moment]) -> Reasons:
    """Finds sources that hold one time of one place and the same variables, each naming two."""
    seen: dict[tuple[object, ...], Moment] = {}
    bad: Reasons = {}
    for moment in moments:
        source, start = moment.source, moment.period.start
        other = seen.setdefault((tuple(v.name for v in source.variables), source.grid.digest, moment.label), moment)
        if other is not moment:
            text = f"{name_of(other.source.href)} and {name_of(source.href)} both hold {rfc3339(start)}"
            if other.source is source:
                text = f"{name_of(source.href)} holds {rfc3339(start)} twice"
            bad |= {m.source.href: (m.source, text) for m in (other, moment)}
    return bad


def _ragged(moments: list[Moment], profile: Profile) -> Reasons:
    """Finds sources without partner: variables that come from files of their own must have the same times."""
    by_group: dict[tuple[str, ...], dict[datetime, Source]] = defaultdict(dict)
    for moment in moments:
        by_group[group_key(moment.source, profile)][moment.period.start] = moment.source
    every = {start: source for times in by_group.values() for start, source in times.items()}
    bad: Reasons = {}
    for group, times in by_group.items():
        for start in sorted(every.keys() - times.keys()):
            source, names = every[start], ", ".join(group) or "the rest"
            text = f"{name_of(source.href)} holds {rfc3339(start)}, and no file holds {names} for it"
            bad[source.href] = (source, text)
    return bad
