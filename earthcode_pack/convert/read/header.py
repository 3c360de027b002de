"""One raw file as a Source: what its header says, agreed with what the profile states."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import CRS

from earthcode_pack.convert.read import cf, times
from earthcode_pack.convert.read.open import driver_of, open_raw
from earthcode_pack.convert.read.raster import band_groups, open_tiff, raster_crs, raster_grid, raster_variable
from earthcode_pack.errors import Contradiction, Unreadable
from earthcode_pack.model import Driver, Grid, Period, Source, Variable, rfc3339
from earthcode_pack.period import TimePattern

if TYPE_CHECKING:
    import xarray as xr

    from earthcode_pack.profile.model import CrsSpec, Profile, VariableSpec

# One quantity, several spellings: files and people use both.
_SAME_UNITS = (
    {"k", "kelvin", "degk", "degrees_kelvin"}, {"1", "-", "dimensionless", "unitless", "none"}, {"%", "percent"},
    {"m", "meter", "metre", "meters", "metres"}, {"degc", "celsius", "degrees_celsius", "degree_celsius", "°c"},
    {"m/s", "m s-1", "m s^-1", "m.s-1", "meter second-1"}, {"mg m-3", "mg/m3", "mg m^-3", "milligram m-3"},
)  # fmt: skip


def header_of(path: Path, href: str, size: int, sha256: str, profile: Profile) -> Source:
    """The source at ``path``, known to the product as ``href``.

    Raises ``SourceError`` where the file cannot be used: unreadable, no CRS, no time, or at odds with the profile.
    """
    driver = driver_of(path)
    reader = _raster_header if driver == "GTiff" else _cube_header
    facts = reader(path, driver, href, profile)
    return Source(href=href, driver=driver, size=size, sha256=sha256, scene=scene_of(name_of(href), profile), **facts)


def name_of(href: str) -> str:
    """The base name of an href."""
    return PurePosixPath(href.rstrip("/")).name


def stem_of(name: str) -> str:
    """The name without its format's ending.

    >>> stem_of("a.zarr.zip"), stem_of("v1.2_b.tif")
    ('a', 'v1.2_b')
    """
    name = name.removesuffix(".zip") if name.endswith(".zarr.zip") else name
    return name.rsplit(".", 1)[0] if "." in name else name


def scene_of(name: str, profile: Profile) -> str:
    """What tells files of one time apart: what the stars of a variable's pattern stand for, else the stem."""
    for spec in profile.product.variables.values():
        if _is_pattern(spec.from_) and fnmatchcase(name, str(spec.from_)):
            head, _, tail = str(spec.from_).partition("*")
            return name[len(head) : len(name) - len(tail.replace("*", ""))].strip("_-.") or stem_of(name)
    return stem_of(name)


# --- rasters --------------------------------------------------------------------------------------------------------


def _raster_header(path: Path, _driver: Driver, href: str, profile: Profile) -> dict[str, Any]:
    name = name_of(href)
    with open_tiff(path) as dataset:
        crs = agreed_crs(raster_crs(dataset), profile.source.crs, name)
        found = [raster_variable(dataset, group, bands) for group, bands in band_groups(dataset)]
        grid = raster_grid(dataset, crs)
    period, stated = _file_period(name, profile)
    if period is None:
        raise Contradiction(
            f"{name}: source.time says {{from: coordinate}}, and a GeoTIFF has no time coordinate",
            "set source.time: {from: filename, pattern: …}, or {start: …, end: …}",
        )
    return {
        "grid": grid,
        "variables": _product_variables(found, name, profile),
        "times": (period,),
        "stated_period": stated,
    }


# --- cubes ----------------------------------------------------------------------------------------------------------


def _cube_header(path: Path, driver: Driver, href: str, profile: Profile) -> dict[str, Any]:
    name = name_of(href)
    with open_raw(path, driver) as dataset:
        found = _product_variables([_cube_variable(dataset, v) for v in cf.data_variables(dataset)], name, profile)
        _refuse_empty(found, name)
        grid, time_dim = _one_grid(dataset, found, name, profile)
        periods, stated = _cube_periods(dataset, time_dim, name, profile)
    return {
        "grid": grid,
        "variables": found,
        "times": periods,
        "time_dim": time_dim,
        "stated_period": stated,
    }


def _cube_variable(dataset: xr.Dataset, name: str) -> Variable:
    variable = dataset[name]
    attrs = {key: plain(value) for key, value in variable.attrs.items()}
    fill = attrs.get("_FillValue", attrs.get("missing_value"))
    return Variable(
        name=name,
        source_name=name,
        dtype=variable.dtype.newbyteorder("=").name,
        dims=tuple(str(dim) for dim in variable.dims),
        shape=variable.shape,
        nodata=fill[0] if isinstance(fill, list) else fill,
        scale=attrs.get("scale_factor"),
        offset=attrs.get("add_offset"),
        units=attrs.get("units"),
        attrs=attrs,
        categorical="flag_values" in attrs or "flag_masks" in attrs,
    )


def plain(value: Any) -> Any:
    """An attribute as JSON holds it: numpy scalars and arrays as numbers and lists."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _refuse_empty(found: tuple[Variable, ...], name: str) -> None:
    empty = [variable.name for variable in found if 0 in variable.shape]
    if empty:
        raise Unreadable(f"{name}: {empty[0]} has no values (shape {found[0].shape})", "leave the file out")


def _one_grid(dataset: xr.Dataset, found: tuple[Variable, ...], name: str, profile: Profile) -> tuple[Grid, str | None]:
    """The grid that all variables share, and the time dimension."""
    axes = {variable.source_name: cf.axes_of(dataset, variable.source_name) for variable in found}
    first_name, first = next((key, value) for key, value in axes.items() if value is not None)
    for other, value in axes.items():
        if value is not None and (value.y, value.x) != (first.y, first.x):
            raise Contradiction(
                f"{name}: {first_name} lies on ({first.y}, {first.x}) and {other} on ({value.y}, {value.x})",
                "select variables of one grid with source.variables",
            )
    crs = agreed_crs(cf.crs_of(dataset, first_name), profile.source.crs, name)
    try:
        grid = cf.grid_of(dataset, first, crs)
    except Unreadable as error:
        raise Unreadable(f"{name}: {error.message}", error.remedy) from None
    return grid, next((value.time for value in axes.values() if value is not None and value.time), None)


def _cube_periods(
    dataset: xr.Dataset, time_dim: str | None, name: str, profile: Profile
) -> tuple[tuple[Period, ...], bool]:
    """The periods of the axis, held against what the name or the profile states; else that one period."""
    try:
        measured = times.periods_of(dataset, time_dim) if time_dim else _scalar_time(dataset)
    except Unreadable as error:
        raise Unreadable(f"{name}: {error.message}", error.remedy) from None
    stated, is_validity = _file_period(name, profile)
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


def _scalar_time(dataset: xr.Dataset) -> tuple[Period, ...]:
    """A time coordinate without a dimension (CF 5.7)."""
    for name, variable in dataset.variables.items():
        if variable.ndim == 0 and variable.attrs.get("standard_name") == "time" and variable.dtype.kind in "iuf":
            return times.periods_of(dataset.expand_dims(dim={"_": 1}).rename({"_": f"{name}_"}), str(name))
    return ()


def _refuse_outside(measured: tuple[Period, ...], stated: Period, name: str) -> None:
    start, end = min(p.start for p in measured), max(p.end for p in measured)
    last_second = 1.0  # a period that ends 23:59:59 holds bounds that end at the next 00:00:00
    if start < stated.start or (end - stated.end).total_seconds() > last_second:
        raise Contradiction(
            f"{name}: its time axis runs from {rfc3339(start)} to {rfc3339(end)}, the profile or its name says "
            f"{rfc3339(stated.start)} to {rfc3339(stated.end)}",
            "correct source.time, or use {from: coordinate}",
        )


# --- what the profile states ----------------------------------------------------------------------------------------


def _file_period(name: str, profile: Profile) -> tuple[Period | None, bool]:
    """The period by the file's name or by the profile, and whether it is only a stated period of validity."""
    spec = profile.source.time
    if spec.pattern is not None:
        return _named_period(name, spec.pattern), False
    if spec.from_ is None:
        return spec.period, True
    return None, False


def _named_period(name: str, pattern: str) -> Period:
    try:
        period = TimePattern(pattern).period(name)
    except ValueError as error:
        raise Contradiction(
            f"{name}: {error}", f"rename the file, or correct source.time.pattern {pattern!r}"
        ) from error
    if period is None:
        raise Contradiction(
            f"{name}: the name does not match source.time.pattern {pattern!r}", "correct the pattern or source.href"
        )
    return period


def agreed_crs(measured: CRS | None, stated: CrsSpec | None, name: str) -> CRS:
    """The file's CRS, or the profile's where the file has none or the profile overrides it."""
    if stated is None:
        if measured is None:
            raise Unreadable(f"{name}: states no CRS", "set source.crs to the EPSG code of the data, such as EPSG:4326")
        return measured
    wanted = CRS.from_user_input(stated.value)
    if measured is not None and not stated.override and not measured.equals(wanted, ignore_axis_order=True):
        raise Contradiction(
            f"{name}: its CRS is {_named(measured)}, source.crs says {_named(wanted)}",
            "remove source.crs, or write source.crs: {value: …, override: true}",
        )
    return measured if measured is not None and not stated.override else wanted


def _named(crs: CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else crs.name if crs.name != "unknown" else crs.to_string()


def _product_variables(found: list[Variable], name: str, profile: Profile) -> tuple[Variable, ...]:
    """The selected variables under their names in the product, held against what the profile says of them."""
    if not found:
        raise Unreadable(f"{name}: holds no variable on a map", "leave the file out of source.href")
    selected = _selected(found, profile.source.variables, name)
    renamed = [
        variable.model_copy(update={"name": _product_name(variable, found, name, profile)}) for variable in selected
    ]
    twice = {v.name for v in renamed if [w.name for w in renamed].count(v.name) > 1}
    if twice:
        raise Contradiction(f"{name}: two of its variables become {min(twice)}", "correct product.variables.*.from")
    return tuple(_described(variable, profile, name) for variable in renamed)


def _selected(found: list[Variable], wanted: list[str] | None, name: str) -> list[Variable]:
    if wanted is None:
        return found
    held = {variable.source_name: variable for variable in found}
    missing = [key for key in wanted if key not in held]
    if missing:
        raise Contradiction(f"{name}: holds no {missing[0]}; it has {', '.join(held)}", "correct source.variables")
    return [held[key] for key in wanted]


def _product_name(variable: Variable, found: list[Variable], file: str, profile: Profile) -> str:
    specs = profile.product.variables
    for key, spec in specs.items():
        if _is_pattern(spec.from_) and fnmatchcase(file, str(spec.from_)):
            if len(found) > 1 and profile.source.variables is None:
                raise Contradiction(
                    f"{file}: matches product.variables.{key}.from and holds {len(found)} variables",
                    "select one with source.variables",
                )
            return key
        if _means(spec, variable):
            return key
    # A raster band without a name, and one description without a source: they can only mean each other.
    nameless = [key for key, spec in specs.items() if spec.from_ is None]
    if len(found) == 1 and len(nameless) == len(specs) == 1 and variable.source_name in ("band_1", "rgb"):
        return nameless[0]
    return variable.source_name


def _is_pattern(source: str | int | None) -> bool:
    return isinstance(source, str) and any(star in source for star in "*?")


def _means(spec: VariableSpec, variable: Variable) -> bool:
    if isinstance(spec.from_, int):
        return variable.bands == (spec.from_,)
    return spec.from_ == variable.source_name


def _described(variable: Variable, profile: Profile, file: str) -> Variable:
    """Units and nodata as file and profile agree on them."""
    spec = profile.product.variables.get(variable.name)
    units = spec.units if spec else None
    if units and variable.units and not same_units(units, variable.units):
        raise Contradiction(
            f"{file}: {variable.name} is in {variable.units!r}, the profile says {units!r}",
            f"correct product.variables.{variable.name}.units, or the file",
        )
    return variable.model_copy(
        update={"nodata": _agreed_nodata(variable, profile, file), "units": variable.units or units}
    )


def same_units(one: str, other: str) -> bool:
    """Whether two spellings name one unit."""
    pair = {one.strip().lower(), other.strip().lower()}
    return len(pair) == 1 or any(pair <= group for group in _SAME_UNITS)


def _agreed_nodata(variable: Variable, profile: Profile, file: str) -> float | int | None:
    stated, measured = profile.source.nodata, variable.nodata
    if stated is None:
        return measured
    if measured is not None and not stated.override:
        if measured == stated.value or (measured != measured and stated.value != stated.value):  # noqa: PLR0124 - NaN
            return measured
        raise Contradiction(
            f"{file}: nodata of {variable.name} is {measured}, source.nodata says {stated.value}",
            "remove source.nodata, or write source.nodata: {value: …, override: true}",
        )
    if not _fits(stated.value, variable.dtype):
        raise Contradiction(
            f"{file}: nodata {stated.value} does not fit the type {variable.dtype} of {variable.name}",
            "correct source.nodata",
        )
    return stated.value


def _fits(value: float, dtype: str) -> bool:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return True
    return value == value and float(value).is_integer() and np.iinfo(kind).min <= value <= np.iinfo(kind).max  # noqa: PLR0124 - NaN
