"""Plans the jobs of cubes: one Zarr store, or NetCDF files by source, year, month or as one."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from earthcode_pack.convert.cube.encoding import netcdf_encoding, zarr_encoding
from earthcode_pack.convert.cube.joining import (
    Moment,
    alike,
    cubes_only,
    group_key,
    moments_of,
    on_one_axis,
    without_doubles,
)
from earthcode_pack.convert.cube.time_axis import Notes, in_units
from earthcode_pack.convert.cube.variables import axis_name
from earthcode_pack.convert.jobs import (
    PLACES,
    dated_id,
    described,
    failure_of,
    global_attributes,
    input_of,
    scene_id,
    with_times_of_day,
)
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.errors import Contradiction, ProfileError, SourceError, Unreadable
from earthcode_pack.model import Failure, Input, Job, NetcdfEncoding, Period, Source, ZarrEncoding

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.profile import Profile


class _Output(NamedTuple):
    """A file or store to make: the id of its Item, and the moments that it holds, in the order of time."""

    item: str
    moments: list[Moment]


def plan_store(profile: Profile, sources: tuple[Source, ...]) -> tuple[list[Job], list[Failure]]:
    """Returns one job for the whole store, and failures for sources that do not fit."""
    if profile.target.zarr.version == 2 and profile.target.zarr.shards:  # noqa: PLR2004 - the Zarr version
        raise ProfileError("target.zarr.shards: Zarr v2 has no shards", "set version: 3, or shards: null")
    usable, failures = alike(profile, sources)
    moments = on_one_axis(usable, profile, failures)
    files = [_Output(profile.product.id, moments)] if moments else []
    ending = ".zarr.zip" if profile.target.zarr.zipped else ".zarr"
    return _try_jobs(profile, files, failures, _store_encoding, ending), failures


def plan_files(profile: Profile, sources: tuple[Source, ...]) -> tuple[list[Job], list[Failure]]:
    """Returns a job for each NetCDF file, and failures for sources that do not fit."""
    if profile.target.netcdf.split == "source":
        groups, failures = _files_by_source(profile, sources)
    else:
        usable, failures = alike(profile, sources)
        layout = {"none": "", "year": "%Y", "month": "%Y%m"}[profile.target.netcdf.split]
        moments = on_one_axis(usable, profile, failures)
        groups = [list(group) for _, group in groupby(moments, key=lambda m: m.period.start.strftime(layout))]
    files = _without_collisions(_named(profile, groups), failures)
    return _try_jobs(profile, files, failures, netcdf_encoding, ".nc"), failures


# --- which moments make one file ------------------------------------------------------------------------------------


def _files_by_source(profile: Profile, given: tuple[Source, ...]) -> tuple[list[list[Moment]], list[Failure]]:
    """Groups moments by source; files of one variable each that belong together by pattern are one group."""
    failures: list[Failure] = []
    groups: dict[tuple[object, ...], list[Moment]] = defaultdict(list)
    usable = [moment for source in cubes_only(given, failures) for moment in moments_of(source)]
    for moment in without_doubles(usable, failures):
        source = moment.source
        together = bool(group_key(source, profile))
        groups[(source.scene, source.times[0].start) if together else (source.href,)].append(moment)
    fitting = []
    for group in groups.values():
        sources = tuple({moment.source.href: moment.source for moment in group}.values())
        kept, bad = alike(profile, sources) if len(sources) > 1 else (sources, [])
        failures.extend(bad)
        if len(kept) == len(sources):
            fitting.append(sorted(group, key=lambda moment: moment.period.start))
    return fitting, failures


def _named(profile: Profile, groups: list[list[Moment]]) -> list[_Output]:
    product = profile.product.id
    if len(groups) == 1:
        return [_Output(product, groups[0])]
    times_of_day = with_times_of_day(group[0].period for group in groups)
    starts = Counter(group[0].period.start for group in groups)
    files = []
    for first, *rest in groups:
        scene = first.source.scene if starts[first.period.start] > 1 else None
        item = dated_id(product, first.period, times_of_day=times_of_day, scene=scene)
        if first.source.stated_period:
            item = scene_id(product, first.source.scene)
        files.append(_Output(item, [first, *rest]))
    return files


def _without_collisions(files: list[_Output], failures: list[Failure]) -> list[_Output]:
    by_item: dict[str, list[Source]] = defaultdict(list)
    for file in files:
        by_item[file.item].append(file.moments[0].source)
    for item, sources in by_item.items():
        if len(sources) > 1:
            text = f"{name_of(sources[0].href)} and {name_of(sources[1].href)} would both be written as Item {item}"
            remedy = "rename one, or leave one out of source.href"
            failures.extend(failure_of(source, text, remedy) for source in sources)
    return [file for file in files if len(by_item[file.item]) == 1]


# --- the jobs -------------------------------------------------------------------------------------------------------


def _try_jobs(
    profile: Profile,
    files: list[_Output],
    failures: list[Failure],
    encoding_of: Callable[[Profile, tuple[Input, ...], str | None], ZarrEncoding | NetcdfEncoding],
    ending: str,
) -> list[Job]:
    jobs = []
    for file in files:
        try:
            inputs = _inputs(profile, file.moments)
            axis = axis_name(inputs)
            sources = list({moment.source.href: moment.source for moment in file.moments}.values())
            _refuse_coordinates_that_differ(sources, axis)
            _refuse_clocks_that_differ(sources)
            job = Job(
                format=profile.target.format,
                item=file.item,
                asset="data",
                key=f"data/{file.item}{ending}",
                inputs=inputs,
                period=Period(
                    start=min(moment.period.start for moment in file.moments),
                    end=max(moment.period.end for moment in file.moments),
                ),
                grid=file.moments[0].source.grid,
                options=encoding_of(profile, inputs, axis),
                attributes=global_attributes(profile),
                described=described(profile),
            )
            jobs.append(job)
        except SourceError as error:
            failures.append(failure_of(file.moments[0].source, error.message, error.remedy))
    return jobs


def _store_encoding(profile: Profile, inputs: tuple[Input, ...], axis: str | None) -> ZarrEncoding:
    if profile.target.zarr.multiscales:
        _refuse_what_has_no_levels(inputs)
    _refuse_names_of_metadata(inputs)
    return zarr_encoding(profile, inputs, axis)


def _refuse_names_of_metadata(inputs: tuple[Input, ...]) -> None:
    """Refuses names of files of Zarr's metadata: an array lies in a folder of its name, beside those of its group."""
    for name in (variable.name for source in inputs for variable in source.variables):
        if name == "zarr.json" or name.startswith(".z"):
            raise Contradiction(
                f"variable {name} is called as a file of Zarr's metadata",
                f"rename it: product.variables: {{<name>: {{from: {name}}}}}",
            )


def _refuse_coordinates_that_differ(sources: list[Source], axis: str | None) -> None:
    """Refuses coordinates along time that cannot be joined: of other shapes, or along other dimensions alone."""
    first, *others = sources
    if axis is None:
        return
    for source in sources:
        here = source.shapes.get(axis, {})
        if here and axis not in here:
            raise Contradiction(
                f"{name_of(source.href)}: {axis} lies along {', '.join(here)}, and files would become steps of {axis}",
                "set target.format: netcdf, whose netcdf: {split: source} makes an Item of each file",
            )
    _refuse_missing_times([source for source in sources if source.time_dim == axis], axis)
    for source in others:
        for name in first.shapes.keys() & source.shapes.keys():
            one, other = first.shapes[name], source.shapes[name]
            if axis in one and one | {axis: 0} != other | {axis: 0}:
                raise Contradiction(
                    f"{name_of(first.href)} and {name_of(source.href)} differ in {name}: {one} and {other}",
                    "make one product of each, or leave one out of source.href",
                )


def _refuse_missing_times(sources: list[Source], axis: str) -> None:
    """Refuses files of several steps without a coordinate where others have one; of single steps a period is enough."""
    bare = next((source for source in sources if axis not in source.shapes), None)
    timed = next((source for source in sources if axis in source.shapes and len(source.times) > 1), None)
    if bare is not None and timed is not None:
        without, steps = name_of(bare.href), f"{name_of(timed.href)} has one for {len(timed.times)} steps"
        raise Contradiction(
            f"{without} has no coordinate {axis}, and {steps}",
            f"write the time of {without} into it, or make one product of each",
        )


def _refuse_clocks_that_differ(sources: list[Source]) -> None:
    """Refuses times that the units and calendar of the first file, in which an axis is written, cannot hold."""
    first, *others = sources
    wanted = {clock.name: clock for clock in first.clocks}
    for source in others:
        for clock in source.clocks:
            here = wanted.get(clock.name, clock)
            where = f"{name_of(first.href)} and {name_of(source.href)}: {clock.name}"
            given = (clock.units, clock.calendar)
            try:
                in_units(np.asarray(clock.values), given, (here.units, here.calendar), where, Notes())
            except (ValueError, OverflowError) as error:  # cftime's, of numbers that are no time
                raise Unreadable(f"{where}: {error}", "correct the file, or leave it out of source.href") from error


def _refuse_what_has_no_levels(inputs: tuple[Input, ...]) -> None:
    """Refuses grids without an affine, by which levels are placed (zarr-conventions spatial), and names of levels."""
    grid = inputs[0].grid
    if grid.kind != "grid":
        raise Contradiction(
            f"target.zarr.multiscales: {name_of(inputs[0].href)} holds data {PLACES[grid.kind]}, and levels hold only "
            "rows and columns of one size",
            "set multiscales: false, or resample the product to a regular grid",
        )
    if grid.transform is None:
        raise Contradiction(
            f"target.zarr.multiscales: {name_of(inputs[0].href)} is not evenly spaced along {grid.dims[0]} or "
            f"{grid.dims[1]}, and levels hold only grids that are",
            "set multiscales: false, or resample the product to a regular grid",
        )
    name = next((v.name for source in inputs for v in source.variables if v.name.isdecimal()), None)
    if name is not None:
        raise Contradiction(
            f"target.zarr.multiscales: variable {name} is called as the groups of the levels are",
            f"rename it: product.variables: {{<name>: {{from: {name}}}}}",
        )


def _inputs(profile: Profile, moments: list[Moment]) -> tuple[Input, ...]:
    """Returns runs of consecutive steps of one source, group by group of variables."""
    by_group: dict[tuple[str, ...], list[Moment]] = defaultdict(list)
    for moment in moments:
        by_group[group_key(moment.source, profile)].append(moment)
    inputs = []
    for group in by_group.values():
        for _, run in groupby(group, key=lambda moment: moment.source.href):
            members = list(run)
            source = members[0].source
            steps = tuple(m.step for m in members if m.step is not None)
            periods = tuple(m.period for m in members) if len(steps) < 2 else ()  # noqa: PLR2004 - an axis of its own
            inputs.append(input_of(source, source.variables, steps, periods))
    return tuple(inputs)
