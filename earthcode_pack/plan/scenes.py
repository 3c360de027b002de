"""Jobs of COGs: one variable per file, one Item per time and scene."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf.kinds import is_categorical, is_circular
from earthcode_pack.convert.orient import orientation
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.convert.stage import GDAL_TYPES
from earthcode_pack.errors import Contradiction, SourceError, Unreadable
from earthcode_pack.model import Failure, Input, Job, Period, Source, Variable, rfc3339
from earthcode_pack.plan.attributes import described
from earthcode_pack.plan.names import dated_id, safe, scene_id, with_times_of_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.profile import Profile
    from earthcode_pack.profile.formats import CogOptions

WHERE = {
    "curvilinear": "in cells by two-dimensional latitude and longitude",
    "track": "along a track",
    "points": "at single places",
}
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
    """A job for each map; failures for sources that cannot become maps or stand in each other's way."""
    failures: list[Failure] = []
    usable = [source for source in sources if _can_be_maps(source, profile, failures)]
    scenes = _without_doubles([scene for source in usable for scene in _scenes_of(source)], failures)
    named = _without_collisions(_named(scenes, profile.product.id), failures)
    return [_job(scene, profile) for scene in named], failures


def _can_be_maps(source: Source, profile: Profile, failures: list[Failure]) -> bool:
    try:
        _refuse_what_is_no_map(source)
        for variable in source.variables:
            _refuse_invented_classes(source, variable, profile)
    except SourceError as error:
        failures.append(Failure(source=source.href, error=error.message, remedy=error.remedy))
        return False
    return True


def _refuse_what_is_no_map(source: Source) -> None:
    name = name_of(source.href)
    if source.grid.kind != "grid":
        raise Unreadable(
            f"{name}: its data lie {WHERE[source.grid.kind]}, and a GeoTIFF holds rows and columns of one size",
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


def _refuse_invented_classes(source: Source, variable: Variable, profile: Profile) -> None:
    wanted = profile.target.cog.resampling
    if wanted in ("average", "bilinear") and is_categorical(variable, described(profile).get(variable.name, {})):
        name = name_of(source.href)
        raise Contradiction(
            f"{name}: {variable.name} holds classes, and target.cog.resampling {wanted} would invent some",
            "set target.cog.resampling: mode or nearest, or leave it out",
        )


def _scenes_of(source: Source) -> Iterator[Scene]:
    for step, period in enumerate(source.times):
        for variable in source.variables:
            yield Scene(source, variable, period, step if source.time_dim in variable.dims else None)


def _without_doubles(scenes: list[Scene], failures: list[Failure]) -> list[Scene]:
    """Two files for one variable, time and place: neither can be preferred."""
    places: dict[tuple[object, ...], list[Scene]] = defaultdict(list)
    for scene in scenes:
        places[(scene.variable.name, scene.period.start, scene.period.end, scene.source.grid.digest)].append(scene)
    doubles = [group for group in places.values() if len(group) > 1]
    return _dropped(scenes, doubles, "{a} and {b} both hold {variable} of {time} for one place", failures)


def _without_collisions(scenes: list[Scene], failures: list[Failure]) -> list[Scene]:
    keys: dict[tuple[str, str], list[Scene]] = defaultdict(list)
    for scene in scenes:
        keys[(scene.item, safe(scene.variable.name))].append(scene)
    collisions = [group for group in keys.values() if len(group) > 1]
    return _dropped(scenes, collisions, "{a} and {b} would both be written as Item {item}, asset {variable}", failures)


def _dropped(scenes: list[Scene], groups: list[list[Scene]], message: str, failures: list[Failure]) -> list[Scene]:
    bad: dict[str, str] = {}
    for group in groups:
        names = [name_of(scene.source.href) for scene in group]
        text = message.format(
            a=names[0],
            b=names[1],
            variable=group[0].variable.name,
            time=rfc3339(group[0].period.start),
            item=group[0].item,
        )
        for scene in group:
            bad.setdefault(scene.source.href, text)
    remedy = "rename one, leave one out of source.href, or correct source.time.pattern"
    failures.extend(Failure(source=href, error=text, remedy=remedy) for href, text in bad.items())
    return [scene for scene in scenes if scene.source.href not in bad]


def _named(scenes: list[Scene], product: str) -> list[Scene]:
    times_of_day = with_times_of_day(scene.period for scene in scenes)
    by_time: dict[tuple[object, object], list[Scene]] = defaultdict(list)
    for scene in scenes:
        by_time[(scene.period.start, scene.period.end)].append(scene)
    several = {time: _are_several(group) for time, group in by_time.items()}
    return [replace(scene, item=_item(scene, product, several, times_of_day)) for scene in scenes]


def _item(scene: Scene, product: str, several: dict[tuple[object, object], bool], times_of_day: bool) -> str:
    if scene.source.stated_period:
        return scene_id(product, scene.source.scene)
    suffix = scene.source.scene if several[(scene.period.start, scene.period.end)] else None
    return dated_id(product, scene.period, times_of_day=times_of_day, scene=suffix)


def _are_several(group: Iterable[Scene]) -> bool:
    """Several scenes of one time: a variable comes twice, or variables lie on different grids."""
    members = list(group)
    if len({scene.source.scene for scene in members}) == 1:
        return False
    names = [scene.variable.name for scene in members]
    return len(set(names)) < len(names) or len({scene.source.grid.digest for scene in members}) > 1


def _job(scene: Scene, profile: Profile) -> Job:
    about = described(profile).get(scene.variable.name, {})
    return Job(
        format="cog",
        item=scene.item,
        asset=scene.variable.name,
        key=f"data/{scene.item}/{safe(f'{scene.item}_{scene.variable.name}')}.tif",
        inputs=(
            input_of(scene.source, (scene.variable,), () if scene.step is None else (scene.step,), (scene.period,)),
        ),
        period=scene.period,
        grid=orientation(scene.source.grid).grid,
        options=_options(profile.target.cog, scene.variable, about, profile),
        described={scene.variable.name: about},
    )


def input_of(
    source: Source, variables: tuple[Variable, ...], steps: tuple[int, ...], periods: tuple[Period, ...]
) -> Input:
    """What a job reads of a source."""
    return Input(
        href=source.href,
        driver=source.driver,
        sha256=source.sha256,
        grid=source.grid,
        variables=variables,
        time_dim=source.time_dim,
        steps=steps,
        periods=periods,
    )


def _resampling(variable: Variable, about: dict[str, Any]) -> str:
    """Mode for classes, nearest for what goes round a circle, and has no mean along a line; average for amounts."""
    if is_categorical(variable, about):
        return "mode"
    return "nearest" if is_circular(variable.name, {**variable.attrs, **about}, variable.units) else "average"


def _options(cog: CogOptions, variable: Variable, about: dict[str, Any], profile: Profile) -> dict[str, Any]:
    tolerance = profile.target.tolerance.get(variable.name)
    lossy = cog.compression == "lerc" and tolerance is not None
    return {
        "blocksize": cog.blocksize,
        "compression": cog.compression,
        "level": cog.level if cog.level is not None else _LEVELS[cog.compression],
        "resampling": cog.resampling or _resampling(variable, about),
        "max_error": tolerance.absolute if lossy and tolerance else 0.0,
    }
