"""One raw file as a Source: what its header says, agreed with what the profile states."""

from __future__ import annotations

import re
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf import grid_mappings, times
from earthcode_pack.cf.axes import Axes, axes_of, data_variables
from earthcode_pack.cf.places import grid_of
from earthcode_pack.cf.roles import bounds_of
from earthcode_pack.cf.variables import variable_of
from earthcode_pack.checks import rules
from earthcode_pack.checks.cf_attributes import time_precision_findings, variable_findings
from earthcode_pack.convert import left_out
from earthcode_pack.convert.read.agreed import agreed_crs, file_period, product_variables, variable_by_name
from earthcode_pack.convert.read.file_names import name_of, stem_of, wild_parts
from earthcode_pack.convert.read.open import FILL_OF_ZARR, NOT_UTF_8, driver_of, groups_of, is_hdf5, open_raw
from earthcode_pack.convert.read.plausible import (
    refuse_beyond_budget,
    refuse_nowhere,
    refuse_packing_without_numbers,
    refuse_short_scales,
    refuse_unwritable_attributes,
    values_in,
)
from earthcode_pack.convert.read.plugins import refuse_filters_that_lack
from earthcode_pack.convert.read.raster import open_tiff, raster_crs, raster_grid, raster_variables, sidecars_of
from earthcode_pack.convert.read.whole import refuse_classic_cut_off, refuse_tiff_cut_off
from earthcode_pack.errors import Contradiction, Unreadable
from earthcode_pack.formats import format_of
from earthcode_pack.model import Driver, Finding, Grid, Period, Source, Variable, rfc3339
from earthcode_pack.storage.zarr_codecs import local_documents, refuse_undecodable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import xarray as xr
    from rasterio.io import DatasetReader

    from earthcode_pack.profile.model import Profile


_DATE = re.compile(r"(?<!\d)(19|20)\d\d[-_.]?(0[1-9]|1[0-2])([-_.]?(0[1-9]|[12]\d|3[01]))?(?!\d)")
_FEW_BANDS = 6
_ZIP_FLOOR = 100 * 10**6  # bytes: a ZIP that comes to less is read whatever its ratio


def header_of(path: Path, href: str, size: int, sha256: str, profile: Profile) -> Source:
    """The source at ``path``, known to the product as ``href``.

    Raises ``SourceError`` where the file cannot be used: unreadable, no CRS, no time, or at odds with the profile.
    """
    driver = driver_of(path)
    if driver == "Zarr":
        _refuse_unsafe_store(path, profile)
    reader = _raster_header if driver == "GTiff" else _cube_header
    facts = reader(path, driver, href, profile)
    refuse_beyond_budget(values_in(facts["variables"]), size, name_of(href), most_decoded(profile))
    refuse_packing_without_numbers(facts["variables"], name_of(href))
    refuse_nowhere(facts["grid"], name_of(href))
    return Source(href=href, driver=driver, size=size, sha256=sha256, scene=scene_of(name_of(href), profile), **facts)


def most_decoded(profile: Profile) -> int | None:
    """``compute.max_decoded`` in bytes."""
    if profile.compute.max_decoded is None:
        return None
    from dask.utils import parse_bytes  # noqa: PLC0415 - a quarter of a second, and only where a limit is set

    return int(parse_bytes(profile.compute.max_decoded))


def _refuse_unsafe_store(path: Path, profile: Profile) -> None:
    """Refuses a Zarr store that runs code, or a ZIP of one that would grow too much. Opens no array."""
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            grown = sum(member.file_size for member in archive.infolist())
        refuse_beyond_budget(grown, path.stat().st_size, path.name, most_decoded(profile), floor=_ZIP_FLOOR)
    refuse_undecodable(local_documents(path), path.name)


def scene_of(name: str, profile: Profile) -> str:
    """Name that tells files of one time apart: the text for the wildcards of a variable's pattern, else the stem."""
    variable = variable_by_name(name, profile)
    pattern = profile.product.variables[variable].from_ if variable is not None else ""
    return wild_parts(name, str(pattern)) or stem_of(name)


# --- rasters --------------------------------------------------------------------------------------------------------


def _raster_header(path: Path, _driver: Driver, href: str, profile: Profile) -> dict[str, Any]:
    name = name_of(href)
    with open_tiff(path) as dataset:
        found = raster_variables(dataset, pictures=format_of(profile.target.format).is_raster)
        refuse_beyond_budget(values_in(found), path.stat().st_size, name, most_decoded(profile))
        refuse_tiff_cut_off(dataset, path)
        crs = agreed_crs(raster_crs(dataset), profile.source.crs, name)
        notes = [*_sidecar_notes(path, name), *_band_notes(dataset, name)]
        grid = raster_grid(dataset, crs)
    period, stated = file_period(href, profile)
    if period is None:
        raise Contradiction(
            f"{name}: source.time says {{from: coordinate}}, and a GeoTIFF has no time coordinate",
            "set source.time: {from: filename, pattern: …}, or {start: …, end: …}",
        )
    variables = product_variables(found, name, profile)
    if not format_of(profile.target.format).is_raster:
        variables = tuple(_with_nodata_for_masked(variable, name) for variable in variables)
    return {
        "grid": grid,
        "variables": variables,
        "times": (period,),
        "stated_period": stated,
        "notes": (*notes, *variable_findings(variables, profile)),
    }


def _with_nodata_for_masked(variable: Variable, name: str) -> Variable:
    """A cube has no masks: what one hides becomes nodata, NaN where floats state none.

    Raises ``Unreadable`` for integers without nodata, of which every value may be valid.
    """
    if not variable.masks or variable.nodata is not None or len(variable.bands) > 1:
        return variable
    if variable.dtype.startswith("float"):
        return variable.model_copy(update={"nodata": float("nan")})
    by = "its mask" if variable.masks[0] == 0 else f"band {variable.masks[0]} (alpha)"
    raise Unreadable(
        f"{name}: {by} says which cells of {variable.source_name} are missing, and {variable.dtype} states no nodata "
        "that could say so in a cube",
        "set source.nodata to a value that no valid cell has, or target.format: cog, which keeps masks",
    )


def _sidecar_notes(path: Path, name: str) -> Iterator[Finding]:
    beside = sidecars_of(path)
    if beside:
        message = f"{name}: {' and '.join(beside)} beside it is not read"
        yield rules.COG_SIDECAR.finding(name, message, beside)


def _band_notes(dataset: DatasetReader, name: str) -> Iterator[Finding]:
    """Many bands that are named like dates are steps of time, and no variables."""
    dated = [text for text in dataset.descriptions if text and _DATE.search(text)]
    if len(dated) > _FEW_BANDS and len(dated) == dataset.count:
        message = (
            f"{name}: its {len(dated)} bands are named like dates ({dated[0]} to {dated[-1]}), probably a time axis"
        )
        yield rules.COG_BANDS_OF_TIME.finding(name, message, len(dated))


# --- cubes ----------------------------------------------------------------------------------------------------------


def _cube_header(path: Path, driver: Driver, href: str, profile: Profile) -> dict[str, Any]:
    name = name_of(href)
    with open_raw(path, driver) as dataset:
        refuse_unwritable_attributes(dataset, name)
        _refuse_ragged(dataset, name)
        with _naming(name):
            held = [variable_of(key, dataset[key], by_netcdf=driver == "netCDF") for key in data_variables(dataset)]
        groups = groups_of(path, driver)
        if groups and not held:
            raise _only_groups(groups, driver, href)
        found = product_variables(held, name, profile)
        _refuse_empty(found, name)
        data, chosen = ({variable.source_name: None for variable in each} for each in (held, found))
        _refuse_unreadable(path, driver, [str(key) for key in dataset.variables if key in chosen or key not in data])
        grid, time_dim = _one_grid(dataset, found, name, profile)
        periods, stated = _cube_periods(dataset, time_dim, found[0].source_name, href, profile)
        has_axis = time_dim in dataset.variables
        notes = [*left_out.notes(dataset, data, chosen, name), *_fill_notes(dataset, found, name)]
        notes += _text_notes(dataset, name)
        notes += _time_notes(dataset, str(time_dim), found, name) if has_axis else ()
        labels = times.labels_of(dataset, str(time_dim)) if has_axis and len(periods) == dataset.sizes[time_dim] else ()
        coordinates = {str(key): v for key, v in dataset.variables.items() if key not in data}
        shapes = {key: {str(dim): size for dim, size in v.sizes.items()} for key, v in coordinates.items()}
        clocks = times.clocks_of(dataset, str(time_dim), coordinates) if has_axis else ()
    return {
        "grid": grid,
        "variables": found,
        "times": periods,
        "labels": labels,
        "clocks": clocks,
        "shapes": shapes,
        "time_dim": time_dim,
        "stated_period": stated,
        "notes": (*notes, *_group_notes(groups, name), *variable_findings(found, profile)),
    }


def _fill_notes(dataset: xr.Dataset, found: tuple[Variable, ...], name: str) -> Iterator[Finding]:
    """Variables whose fill value of Zarr v2 is 0, which is what Zarr writes where nobody chose one."""
    for variable in found:
        if FILL_OF_ZARR in dataset[variable.source_name].encoding:
            message = f"{name}: the fill_value 0 of {variable.name} is taken for missing, as xarray takes it"
            yield rules.ZARR_FILL_ZERO.finding(name, message, 0)


def _text_notes(dataset: xr.Dataset, name: str) -> Iterator[Finding]:
    """Reports attributes that are no UTF-8, and how they were read."""
    for words in dataset.encoding.get(NOT_UTF_8, ()):
        yield rules.CF_TEXT.finding(name, f"{name}: {words}", words)


def _refuse_unreadable(path: Path, driver: Driver, variables: list[str]) -> None:
    """Refuses what would fail when values are read, and can be known before."""
    if is_hdf5(path):
        refuse_filters_that_lack(path, variables)
        refuse_short_scales(path, variables)
    elif driver == "netCDF":
        refuse_classic_cut_off(path, variables)


def _only_groups(groups: dict[str, list[str]], driver: Driver, href: str) -> Unreadable:
    """The error for a file whose variables all lie in groups, with the way to take those of one."""
    name, (first, *_) = name_of(href), groups
    listed = ", ".join(f"{group.strip('/')} ({', '.join(names[:3])})" for group, names in sorted(groups.items())[:9])
    way = (
        f"name the group in source.href, such as {href.rstrip('/')}{first}"
        if driver == "Zarr"
        else f"write a group to a file of its own, such as with `ncks -G : -g {first.strip('/')} {name} NEW.nc`"
    )
    return Unreadable(f"{name}: its variables lie in groups, which are not read: {listed}", way)


def _group_notes(groups: dict[str, list[str]], name: str) -> Iterator[Finding]:
    """Reports groups beside the root, which are not packaged."""
    if groups:
        listed = ", ".join(f"{group} ({', '.join(names)})" for group, names in sorted(groups.items()))
        yield rules.CF_GROUPS.finding(
            name, f"{name}: of the groups beside its root nothing is packaged: {listed}", listed
        )


def _refuse_ragged(dataset: xr.Dataset, name: str) -> None:
    """Several features one after the other in one dimension (CF 9.3.3, 9.3.4)."""
    ragged = [
        v for v, variable in dataset.variables.items() if {"sample_dimension", "instance_dimension"} & {*variable.attrs}
    ]
    if ragged:
        raise Unreadable(
            f"{name}: {ragged[0]} says that it is a ragged array of several features",
            "write one file for each of them, or one dimension for features and one for samples (CF 9.3.1)",
        )


def _time_notes(dataset: xr.Dataset, time_dim: str, found: tuple[Variable, ...], name: str) -> Iterator[Finding]:
    """Notes what the time axis leaves open: intervals without bounds, and dates that only a model's calendar has."""
    bare = bounds_of(dataset[time_dim].attrs) is None
    for variable in found if bare else ():
        if times.names_an_interval(variable.attrs, time_dim):
            methods = variable.attrs["cell_methods"]
            message = f"{name}: {variable.name} is of intervals ({methods}), and {time_dim} has no bounds"
            yield rules.CF_TIME_BOUNDS.finding(name, message, methods)
    coordinate = dataset[time_dim]
    if times.is_reference_time(coordinate.attrs) and times.valid_times(dataset, time_dim) is None:
        message = f"{name}: {time_dim} holds times at which forecasts began, and nothing says when they are valid"
        yield rules.CF_TIME_REFERENCE.finding(name, message, coordinate.attrs["standard_name"])
    yield from time_precision_findings(
        coordinate.values, str(coordinate.attrs.get("units")), name, f"{name}: {time_dim}"
    )
    if times.lacks_days(dataset, time_dim):
        yield rules.CF_TIME_LABELS.finding(
            name, f"{name}: {times.days_that_lack(time_dim)}", dataset[time_dim].calendar
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Errors within name the file."""
    try:
        yield
    except Unreadable as error:
        raise Unreadable(f"{name}: {error.message}", error.remedy) from None


def _refuse_empty(found: tuple[Variable, ...], name: str) -> None:
    empty = [variable.name for variable in found if 0 in variable.shape]
    if empty:
        raise Unreadable(f"{name}: {empty[0]} has no values (shape {found[0].shape})", "leave the file out")


def _one_grid(dataset: xr.Dataset, found: tuple[Variable, ...], name: str, profile: Profile) -> tuple[Grid, str | None]:
    """The grid that all variables share, and the time dimension."""
    axes = {variable.source_name: axes_of(dataset, variable.source_name) for variable in found}
    first_name, first = next((key, value) for key, value in axes.items() if value is not None)
    for other, value in axes.items():
        if value is not None and _place(value) != _place(first):
            raise Contradiction(
                f"{name}: {first_name} lies on ({_shown(first)}) and {other} on ({_shown(value)})",
                "select variables of one grid with source.variables",
            )
    measured = grid_mappings.crs_of(dataset, first_name)
    mapping = grid_mappings.without_figure(dataset, first_name) if profile.source.crs is None else None
    if mapping is not None:
        kind = dataset[mapping].attrs["grid_mapping_name"]
        raise Unreadable(
            f"{name}: the grid mapping {mapping} ({kind}) states no figure of the Earth",
            f"give {mapping} the attribute earth_radius, or semi_major_axis and inverse_flattening; or set source.crs "
            "to the whole projection, as WKT or PROJ",
        )
    crs = agreed_crs(measured, profile.source.crs, name)
    with _naming(name):
        return grid_of(dataset, first, crs), _one_time_axis(axes, name)


def _one_time_axis(axes: dict[str, Axes | None], name: str) -> str | None:
    """The time dimension that all variables share which have one."""
    along = {value.time: variable for variable, value in axes.items() if value is not None and value.time}
    if len(along) > 1:
        listed = " and ".join(f"{variable} on {time}" for time, variable in along.items())
        raise Contradiction(
            f"{name}: its variables have several time axes, {listed}",
            "select variables of one time axis with source.variables",
        )
    return next(iter(along), None)


def _place(axes: Axes) -> tuple[str, ...]:
    return (axes.y, axes.x, *axes.places)


def _shown(axes: Axes) -> str:
    return ", ".join(dict.fromkeys(part for part in _place(axes) if part))


def _cube_periods(
    dataset: xr.Dataset, time_dim: str | None, variable: str, href: str, profile: Profile
) -> tuple[tuple[Period, ...], bool]:
    """The periods of the axis, held against what the name or the profile states; else that one period."""
    name = name_of(href)
    with _naming(name):
        measured = _measured_periods(dataset, time_dim, variable, profile)
    stated, is_validity = file_period(href, profile)
    if measured and stated:
        _refuse_outside(measured, stated, name)
    if measured and (stated is None or is_validity or len(measured) > 1):
        return measured, False
    if stated is not None:
        return (stated,), is_validity
    raise Contradiction(
        f"{name}: source.time says {{from: coordinate}}, and the file has no time coordinate",
        "set source.time: {from: filename, pattern: …}, or {start: …, end: …}",
    )


def _measured_periods(dataset: xr.Dataset, time_dim: str | None, variable: str, profile: Profile) -> tuple[Period, ...]:
    """Returns the periods of the time axis, of rows or places, or of a single time; none where only a name dates."""
    if time_dim is None:
        return times.period_along(dataset, variable) or times.scalar_time(dataset)
    bare = time_dim not in dataset.variables and dataset.sizes[time_dim] == 1
    return () if bare and profile.source.time.from_ != "coordinate" else times.periods_of(dataset, time_dim)


def _refuse_outside(measured: tuple[Period, ...], stated: Period, name: str) -> None:
    start, end = min(p.start for p in measured), max(p.end for p in measured)
    last_second = 1.0  # a period that ends 23:59:59 holds bounds that end at the next 00:00:00
    if start < stated.start or (end - stated.end).total_seconds() > last_second:
        raise Contradiction(
            f"{name}: its time axis runs from {rfc3339(start)} to {rfc3339(end)}, the profile or its name says "
            f"{rfc3339(stated.start)} to {rfc3339(stated.end)}",
            "correct source.time, or use {from: coordinate}",
        )
