"""Jobs of cubes: one Zarr store, or NetCDF files by source, year, month or as one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from earthcode_pack.convert.chunks import chunks_by_rule, explicit_chunks
from earthcode_pack.convert.read.header import name_of
from earthcode_pack.errors import Contradiction, ProfileError, SourceError, Unreadable
from earthcode_pack.model import Failure, Input, Job, Period, Source, Variable, rfc3339
from earthcode_pack.plan.attributes import described, global_attributes
from earthcode_pack.plan.names import dated_id, scene_id, with_times_of_day
from earthcode_pack.plan.scenes import input_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from earthcode_pack.profile import Profile

_BEFORE_ONE = "time axes of one cube must not overlap: leave one file out of source.href, or correct source.time"


@dataclass(frozen=True)
class Moment:
    """One step of one source on the common time axis; ``step`` is None where the source has no axis of its own."""

    source: Source
    step: int | None
    period: Period


def plan_store(profile: Profile, sources: tuple[Source, ...]) -> tuple[list[Job], list[Failure]]:
    """One job for the whole store."""
    _refuse_what_is_not_written_yet(profile)
    usable, failures = _alike(profile, sources)
    moments = _on_one_axis(usable, profile, failures)
    if not moments:
        return [], failures
    product = profile.product.id
    zipped = ".zip" if profile.target.zarr.zipped else ""
    return _try_jobs(profile, [(product, f"data/{product}.zarr{zipped}", moments)], failures), failures


def plan_files(profile: Profile, sources: tuple[Source, ...]) -> tuple[list[Job], list[Failure]]:
    """A job for each NetCDF file."""
    if profile.target.netcdf.split == "source":
        failures: list[Failure] = []
        groups = [
            group
            for group in _files_by_source(profile, _cubes_only(sources, failures))
            if _fits_itself(group, profile, failures)
        ]
    else:
        usable, failures = _alike(profile, sources)
        groups = _files_by_time(profile, _on_one_axis(usable, profile, failures))
    named = _named(profile, groups)
    return _try_jobs(profile, _without_collisions(named, failures), failures), failures


def _refuse_what_is_not_written_yet(profile: Profile) -> None:
    if profile.target.zarr.multiscales:
        raise ProfileError("target.zarr.multiscales: pyramids are not written yet", "set multiscales: false")
    if profile.target.zarr.version == 2 and profile.target.zarr.shards:  # noqa: PLR2004 - the Zarr version
        raise ProfileError("target.zarr.shards: Zarr v2 has no shards", "set version: 3, or shards: null")


# --- which files make one cube --------------------------------------------------------------------------------------


def _cubes_only(sources: Iterable[Source], failures: list[Failure]) -> list[Source]:
    """Pictures (RGB) have no place in a cube."""
    kept = []
    for source in sources:
        picture = next((v for v in source.variables if len(v.bands) > 1), None)
        if picture is None:
            kept.append(source)
        else:
            failures.append(
                _failure(
                    source,
                    f"{name_of(source.href)}: {picture.name} is a picture of {len(picture.bands)} bands",
                    "set target.format: cog",
                )
            )
    return kept


def _alike(profile: Profile, sources: tuple[Source, ...]) -> tuple[list[Source], list[Failure]]:
    """The sources that agree with the first of their variables in grid, CRS and variables."""
    failures: list[Failure] = []
    kept: list[Source] = []
    first: dict[tuple[str, ...], Source] = {}
    for source in _cubes_only(sources, failures):
        key = _group_key(source, profile)
        reference = first.setdefault(key, source)
        difference = _difference(next(iter(first.values())), source, same_variables=False) if key in first else None
        difference = difference or _difference(reference, source, same_variables=True)
        if difference:
            failures.append(_failure(source, difference, "make one product of each, or leave one out of source.href"))
        else:
            kept.append(source)
    return kept, failures


def _group_key(source: Source, profile: Profile) -> tuple[str, ...]:
    """Files of one variable each, told apart by file-name patterns, are columns of one cube; all others one group."""
    specs = profile.product.variables
    by_pattern = [v.name for v in source.variables if v.name in specs and "*" in str(specs[v.name].from_)]
    return tuple(by_pattern)


def _difference(one: Source, other: Source, *, same_variables: bool) -> str | None:
    """In words what keeps two files out of one cube, naming both; None where nothing does."""
    a, b = name_of(one.href), name_of(other.href)
    if one.grid.digest != other.grid.digest:
        return f"{a} and {b} differ in their grid: {_shown(one)} and {_shown(other)}"
    if one.time_dim != other.time_dim:
        return f"{a} and {b} differ in their time axis: {one.time_dim} and {other.time_dim}"
    if not same_variables:
        return None
    names = [{variable.name for variable in source.variables} for source in (one, other)]
    if names[0] != names[1]:
        return f"{a} and {b} differ in their variables: {', '.join(sorted(names[0]))} and {', '.join(sorted(names[1]))}"
    return _difference_in_shape(one, other)


def _shown(source: Source) -> str:
    west, south, east, north = source.grid.bounds
    rows, columns = source.grid.shape
    name = source.grid.crs.split('"')[1] if '"' in source.grid.crs else ""
    return f"{rows} x {columns} cells over {west:g}, {south:g}, {east:g}, {north:g} in {name}"


def _difference_in_shape(one: Source, other: Source) -> str | None:
    pairs = {variable.name: variable for variable in one.variables}
    for variable in other.variables:
        shapes = [_shape_without(v, one.time_dim) for v in (pairs[variable.name], variable)]
        if shapes[0] != shapes[1]:
            return (
                f"{name_of(one.href)} and {name_of(other.href)} differ in {variable.name}: {shapes[0]} and {shapes[1]}"
            )
    return None


def _shape_without(variable: Variable, dim: str | None) -> dict[str, int]:
    return {d: n for d, n in zip(variable.dims, variable.shape, strict=True) if d != dim}


def _on_one_axis(sources: list[Source], profile: Profile, failures: list[Failure]) -> list[Moment]:
    """Every step of every source in the order of time; files that overlap are failures that name both."""
    moments = [moment for source in sources for moment in _moments(source)]
    moments.sort(key=lambda moment: moment.period.start)
    bad = _overlaps(moments, profile) | _ragged(moments, profile)
    failures.extend(_failure(source, text, _BEFORE_ONE) for source, text in bad.values())
    return [moment for moment in moments if moment.source.href not in bad]


def _moments(source: Source) -> list[Moment]:
    if source.time_dim is None:
        return [Moment(source, None, source.times[0])]
    return [Moment(source, step, period) for step, period in enumerate(source.times)]


def _overlaps(moments: list[Moment], profile: Profile) -> dict[str, tuple[Source, str]]:
    seen: dict[tuple[tuple[str, ...], datetime], Moment] = {}
    bad: dict[str, tuple[Source, str]] = {}
    for moment in moments:
        key = (_group_key(moment.source, profile), moment.period.start)
        other = seen.setdefault(key, moment)
        if other is not moment:
            names = name_of(other.source.href), name_of(moment.source.href)
            text = f"{names[0]} and {names[1]} both hold {rfc3339(moment.period.start)}"
            bad |= {m.source.href: (m.source, text) for m in (other, moment)}
    return bad


def _ragged(moments: list[Moment], profile: Profile) -> dict[str, tuple[Source, str]]:
    """Variables that come from files of their own must have the same times."""
    by_group: dict[tuple[str, ...], dict[datetime, Source]] = defaultdict(dict)
    for moment in moments:
        by_group[_group_key(moment.source, profile)][moment.period.start] = moment.source
    every = {start for times in by_group.values() for start in times}
    bad: dict[str, tuple[Source, str]] = {}
    for group, times in by_group.items():
        for start in sorted(every - set(times)):
            for other in by_group.values():
                if start in other:
                    text = f"{name_of(other[start].href)} holds {rfc3339(start)}, and no file holds {', '.join(group) or 'the rest'} for it"
                    bad[other[start].href] = (other[start], text)
    return bad


def _failure(source: Source, error: str, remedy: str) -> Failure:
    return Failure(source=source.href, error=error, remedy=remedy)


# --- which moments make one file ------------------------------------------------------------------------------------


def _files_by_source(profile: Profile, sources: list[Source]) -> list[list[Moment]]:
    """One file for each source; files of one variable each that belong together by pattern make one."""
    groups: dict[tuple[object, ...], list[Moment]] = defaultdict(list)
    for source in sources:
        together = bool(_group_key(source, profile))
        key = (source.scene, source.times[0].start) if together else (source.href,)
        groups[key].extend(_moments(source))
    return list(groups.values())


def _fits_itself(group: list[Moment], profile: Profile, failures: list[Failure]) -> bool:
    sources = tuple({moment.source.href: moment.source for moment in group}.values())
    if len(sources) == 1:
        return True
    kept, bad = _alike(profile, sources)
    failures.extend(bad)
    return len(kept) == len(sources)


def _files_by_time(profile: Profile, moments: list[Moment]) -> list[list[Moment]]:
    layout = {"none": "", "year": "%Y", "month": "%Y%m"}[profile.target.netcdf.split]
    return [list(group) for _, group in groupby(moments, key=lambda moment: moment.period.start.strftime(layout))]


def _named(profile: Profile, groups: list[list[Moment]]) -> list[tuple[str, str, list[Moment]]]:
    product = profile.product.id
    if len(groups) == 1:
        return [(product, f"data/{product}.nc", groups[0])]
    times_of_day = with_times_of_day(group[0].period for group in groups)
    starts = [group[0].period.start for group in groups]
    out = []
    for group in groups:
        first = group[0]
        scene = first.source.scene if starts.count(first.period.start) > 1 else None
        item = (
            scene_id(product, first.source.scene) if first.source.stated_period
            else dated_id(product, first.period, times_of_day=times_of_day, scene=scene)
        )  # fmt: skip
        out.append((item, f"data/{item}.nc", group))
    return out


def _without_collisions(
    named: list[tuple[str, str, list[Moment]]], failures: list[Failure]
) -> list[tuple[str, str, list[Moment]]]:
    by_item: dict[str, list[list[Moment]]] = defaultdict(list)
    for item, _, group in named:
        by_item[item].append(group)
    for item, groups in by_item.items():
        if len(groups) > 1:
            names = [name_of(group[0].source.href) for group in groups]
            text = f"{names[0]} and {names[1]} would both be written as Item {item}"
            failures.extend(
                _failure(group[0].source, text, "rename one, or leave one out of source.href") for group in groups
            )
    return [entry for entry in named if len(by_item[entry[0]]) == 1]


# --- the jobs -------------------------------------------------------------------------------------------------------


def _try_jobs(profile: Profile, named: list[tuple[str, str, list[Moment]]], failures: list[Failure]) -> list[Job]:
    jobs = []
    for item, key, moments in named:
        try:
            jobs.append(_job(profile, item, key, moments))
        except SourceError as error:
            failures.append(_failure(moments[0].source, error.message, error.remedy))
    return jobs


def _job(profile: Profile, item: str, key: str, moments: list[Moment]) -> Job:
    inputs = _inputs(profile, moments)
    first = moments[0].source
    periods = [moment.period for moment in moments]
    return Job(
        format=profile.target.format,
        item=item,
        asset="data",
        key=key,
        inputs=inputs,
        period=Period(start=min(p.start for p in periods), end=max(p.end for p in periods)),
        grid=first.grid,
        options=_options(profile, inputs, axis_name(inputs)),
        attributes=global_attributes(profile),
        described=described(profile),
        crs_override=bool(profile.source.crs and profile.source.crs.override),
    )


def _inputs(profile: Profile, moments: list[Moment]) -> tuple[Input, ...]:
    """Runs of consecutive steps of one source, group by group of variables."""
    by_group: dict[tuple[str, ...], list[Moment]] = defaultdict(list)
    for moment in moments:
        by_group[_group_key(moment.source, profile)].append(moment)
    inputs = []
    for group in by_group.values():
        for _, run in groupby(group, key=lambda moment: moment.source.href):
            members = list(run)
            source = members[0].source
            steps = tuple(m.step for m in members if m.step is not None)
            inputs.append(input_of(source, source.variables, steps, () if steps else tuple(m.period for m in members)))
    return tuple(inputs)


def axis_name(inputs: tuple[Input, ...]) -> str | None:
    """The time dimension of a cube: the files' own, ``time`` where files become steps, None for a single map."""
    first = inputs[0]
    if first.time_dim is not None:
        return first.time_dim
    maps = [i for i in inputs if i.variables[0].name == first.variables[0].name]
    return "time" if len(maps) > 1 else None


def cube_sizes(inputs: tuple[Input, ...], variable: Variable, axis: str | None) -> dict[str, int]:
    """The sizes of a variable in the whole cube, by dimension, in the order of the file; a new time axis comes first."""
    held = [i for i in inputs if any(v.name == variable.name for v in i.variables)]
    steps = sum(len(i.steps) or 1 for i in held)
    sizes = dict(zip(variable.dims, variable.shape, strict=True))
    if axis is not None and held[0].time_dim is None:
        return {axis: steps, **sizes}
    return {dim: steps if dim == axis else size for dim, size in sizes.items()}


def _options(profile: Profile, inputs: tuple[Input, ...], axis: str | None) -> dict[str, Any]:
    variables = {v.name: v for i in inputs for v in i.variables}
    sizes = {name: cube_sizes(inputs, v, axis) for name, v in variables.items()}
    target = profile.target.zarr if profile.target.format == "zarr" else profile.target.netcdf
    chunks = {name: _chunks(target.chunks, sizes[name], variables[name], inputs[0], axis) for name in variables}
    if profile.target.format == "netcdf":
        return {"chunks": chunks, "level": profile.target.netcdf.level, "time": axis}
    zarr = profile.target.zarr
    shards = {name: _shards(zarr.shards, chunks[name], sizes[name]) for name in variables} if zarr.shards else None
    return {"chunks": chunks, "shards": shards, "version": zarr.version, "zipped": zarr.zipped, "time": axis}


def _chunks(wanted: Any, sizes: dict[str, int], variable: Variable, first: Input, axis: str | None) -> dict[str, int]:
    if isinstance(wanted, str):
        return chunks_by_rule(wanted, sizes, _itemsize(variable), axis, first.grid.dims)
    _refuse_unknown_dims("chunks", wanted, sizes, variable)
    return explicit_chunks(wanted, sizes)


def _itemsize(variable: Variable) -> int:
    import numpy as np  # noqa: PLC0415 - planning alone needs it nowhere else

    return int(np.dtype(variable.dtype).itemsize)


def _shards(wanted: dict[str, int], chunks: dict[str, int], sizes: dict[str, int]) -> dict[str, int]:
    """Shards hold whole chunks; at the end of a dimension one may reach beyond it (Zarr v3, sharding codec)."""
    out = {}
    for dim, chunk in chunks.items():
        size = wanted.get(dim, -(-sizes[dim] // chunk) * chunk)
        if size % chunk:
            raise Contradiction(
                f"target.zarr.shards.{dim}: {size} is no multiple of its chunks of {chunk}",
                f"set {size // chunk * chunk or chunk}",
            )
        out[dim] = min(size, -(-sizes[dim] // chunk) * chunk)
    return out


def _refuse_unknown_dims(key: str, wanted: dict[str, int], sizes: dict[str, int], variable: Variable) -> None:
    unknown = [dim for dim in wanted if dim not in sizes]
    if unknown:
        raise Unreadable(
            f"target.*.{key} names {unknown[0]}, and {variable.name} has the dimensions {', '.join(sizes)}",
            f"correct target.*.{key}",
        )
