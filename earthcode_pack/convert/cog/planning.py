"""Plans the jobs of COGs: one variable per file, one Item per time and scene."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from earthcode_pack.cf.kinds import is_categorical, is_circular
from earthcode_pack.convert.cog.gdal_input import GDAL_TYPES
from earthcode_pack.convert.cog.orientation import orientation
from earthcode_pack.convert.jobs import (
    PLACES,
    dated_id,
    described,
    failure_of,
    input_of,
    safe,
    scene_id,
    with_times_of_day,
)
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.errors import Contradiction, SourceError, Unreadable
from earthcode_pack.model import CogEncoding, Failure, Job, Period, Source, Variable, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.profile import Profile

_LEVELS = {"deflate": 6, "zstd": 9, "lzw": None, "lerc": None}


@dataclass(frozen=True)
class Scene:
    """One variable of one source at one time: what becomes one COG."""

    source: Source
    variable: Variable
    period: Period
    step: int | None
    item: str = ""


def plan_scenes(profile: Profile, sources: tuple[Source, ...]) -> tuple[list[Job], list[Failure]]:
    """Returns a job for each map, and failures for sources that cannot become maps or conflict with each other.

    Args:
        profile: the profile.
        sources: the sources that discover found usable.

    """
    failures: list[Failure] = []
    scenes: list[Scene] = []
    about = described(profile)
    for source in sources:
        try:
            _refuse_what_is_no_map(source, profile.target.cog.resampling, about)
        except SourceError as error:
            failures.append(failure_of(source, error.message, error.remedy))
            continue
        scenes += [
            Scene(source, variable, period, step if source.time_dim in variable.dims else None)
            for step, period in enumerate(source.times)
            for variable in source.variables
        ]
    # Of two files for one variable, time and place neither can be preferred.
    scenes = _without_conflicts(
        scenes,
        lambda scene: (scene.variable.name, scene.period.start, scene.period.end, scene.source.grid.digest),
        "{a} and {b} both hold {variable} of {time} for one place",
        failures,
    )
    scenes = _without_conflicts(
        _named(scenes, profile.product.id),
        lambda scene: (scene.item, safe(scene.variable.name)),
        "{a} and {b} would both be written as Item {item}, asset {variable}",
        failures,
    )
    return [_job(scene, profile, about.get(scene.variable.name, {})) for scene in scenes], failures


def _refuse_what_is_no_map(source: Source, resampling: str | None, about: dict[str, dict[str, Any]]) -> None:
    name = name_of(source.href)
    if source.grid.kind != "grid":
        raise Unreadable(
            f"{name}: its data lie {PLACES[source.grid.kind]}, and a GeoTIFF holds rows and columns of one size",
            "resample it to a regular grid first, or set target.format: zarr or netcdf",
        )
    if source.grid.transform is None:
        raise Unreadable(
            f"{name}: its cells have no constant size, and a GeoTIFF needs one", "set target.format: zarr or netcdf"
        )
    for variable in source.variables:
        if variable.dtype != "bool" and variable.dtype not in GDAL_TYPES:
            raise Unreadable(
                f"{name}: {variable.name} is {variable.dtype}, which GeoTIFF lacks", "set target.format: zarr"
            )
        sizes = dict(zip(variable.dims, variable.shape, strict=True))
        others = [dim for dim in variable.dims if dim not in (*source.grid.dims, source.time_dim) and sizes[dim] > 1]
        if others:
            raise Unreadable(
                f"{name}: {variable.name} has {others[0]} ({sizes[others[0]]} values) besides time, y and x",
                "set target.format: zarr or netcdf, or source.variables without it",
            )
        if resampling in ("average", "bilinear") and is_categorical(variable, about.get(variable.name, {})):
            raise Contradiction(
                f"{name}: {variable.name} holds classes, and target.cog.resampling {resampling} would invent some",
                "set target.cog.resampling: mode or nearest, or leave it out",
            )


def _without_conflicts(
    scenes: list[Scene], key_of: Callable[[Scene], object], message: str, failures: list[Failure]
) -> list[Scene]:
    """Returns the scenes of sources that no other contradicts; those that share a key are failures that name two."""
    groups: dict[object, list[Scene]] = defaultdict(list)
    for scene in scenes:
        groups[key_of(scene)].append(scene)
    bad: dict[str, Failure] = {}
    remedy = "rename one, leave one out of source.href, or correct source.time.pattern"
    for group in (group for group in groups.values() if len(group) > 1):
        first, second = group[:2]
        text = message.format(
            a=name_of(first.source.href),
            b=name_of(second.source.href),
            variable=first.variable.name,
            time=rfc3339(first.period.start),
            item=first.item,
        )
        for scene in group:
            bad.setdefault(scene.source.href, failure_of(scene.source, text, remedy))
    failures.extend(bad.values())
    return [scene for scene in scenes if scene.source.href not in bad]


def _named(scenes: list[Scene], product: str) -> list[Scene]:
    """Gives each scene the id of its Item; several of one time are told apart by the names of their files.

    They are several where a variable comes twice, or variables lie on different grids.
    """
    times_of_day = with_times_of_day(scene.period for scene in scenes)
    by_time: dict[Period, list[Scene]] = defaultdict(list)
    for scene in scenes:
        by_time[scene.period].append(scene)
    several = {}
    for period, group in by_time.items():
        names = [scene.variable.name for scene in group]
        are_alike = len(set(names)) == len(names) and len({scene.source.grid.digest for scene in group}) == 1
        several[period] = not are_alike and len({scene.source.scene for scene in group}) > 1
    out = []
    for scene in scenes:
        name = scene.source.scene
        suffix = name if several[scene.period] else None
        item = dated_id(product, scene.period, times_of_day=times_of_day, scene=suffix)
        out.append(replace(scene, item=scene_id(product, name) if scene.source.stated_period else item))
    return out


def _job(scene: Scene, profile: Profile, about: dict[str, Any]) -> Job:
    source, variable, cog = scene.source, scene.variable, profile.target.cog
    steps = () if scene.step is None else (scene.step,)
    # Classes have no mean, and what goes round a circle has none along a line.
    method: Literal["mode", "nearest", "average"] = "average"
    if is_categorical(variable, about):
        method = "mode"
    elif is_circular(variable.name, {**variable.attrs, **about}, variable.units):
        method = "nearest"
    tolerance = profile.target.tolerance.get(variable.name)
    is_lossy = cog.compression == "lerc" and tolerance is not None
    return Job(
        format="cog",
        item=scene.item,
        asset=variable.name,
        key=f"data/{scene.item}/{safe(f'{scene.item}_{variable.name}')}.tif",
        inputs=(input_of(source, (variable,), steps, (scene.period,)),),
        period=scene.period,
        grid=orientation(source.grid).grid,
        options=CogEncoding(
            blocksize=cog.blocksize,
            compression=cog.compression,
            level=cog.level if cog.level is not None else _LEVELS[cog.compression],
            resampling=cog.resampling or method,
            max_error=tolerance.absolute if is_lossy and tolerance else 0.0,
        ),
        described={variable.name: about},
    )
