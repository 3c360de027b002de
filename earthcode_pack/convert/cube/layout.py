"""Layout of a cube: all but the values of its data variables, which is coordinates, attributes, and what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from pyproj import CRS

from earthcode_pack import __version__
from earthcode_pack.cf.axes import auxiliary_of, data_variables
from earthcode_pack.cf.flags import FLAGS
from earthcode_pack.cf.grid_mappings import crs_of
from earthcode_pack.cf.missing import OF_STORED_VALUES, PACKING, plain
from earthcode_pack.cf.roles import dangling, grid_mapping_for, grid_mappings, is_grid_mapping, renamed
from earthcode_pack.cf.times import timings_of
from earthcode_pack.convert.cube.time_axis import Notes, Run, stacked, time_axis
from earthcode_pack.convert.cube.variables import CubeVariable, LocalPaths, cube_variable, names_of
from earthcode_pack.convert.left_out import NOT_EVERYWHERE, reasons
from earthcode_pack.convert.read.agreed import crs_name
from earthcode_pack.convert.read.open import open_raw

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping
    from pathlib import Path

    from earthcode_pack.model import Input, Job

_BY_READERS = ("GRIB_radius", "GRIB_earthMajorAxisInMetres", "GRIB_earthMinorAxisInMetres")


@dataclass(frozen=True)
class Layout:
    """Variables, coordinates and attributes of a cube.

    ``attributes`` are those of the data variables by name, ``attrs`` the global ones, ``others`` are coordinates,
    bounds, grid mapping and the rest, in memory. ``changes`` says what was added, changed or dropped.
    """

    variables: dict[str, CubeVariable]
    attributes: dict[str, dict[str, Any]]
    others: dict[str, xr.Variable]
    attrs: dict[str, Any]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class _Header:
    """Header of a file: all but the values of its data variables, whose attributes are kept, in their types, by name.

    ``crs`` is of the first file alone: the plan has seen that all have one grid, and PROJ takes its time. ``auxiliary``
    are the coordinates of data that lie at places. ``reasons`` say why a variable would be missing from the cube.
    """

    dataset: xr.Dataset
    attrs: dict[str, dict[str, Any]]
    crs: CRS | None
    auxiliary: tuple[str, ...]
    reasons: dict[str, str]


def layout_of(job: Job, paths: LocalPaths) -> Layout:
    """Reads the layout of the cube that a job describes. Opens each input once, one after the other.

    Args:
        job: the job, whose plan has seen that its files can be joined.
        paths: local paths by href.

    """
    axis, notes = job.cube.time, Notes()
    headers = _headers(job.inputs, paths)
    timings = {href: timings_of(header.dataset) for href, header in headers.items()}
    runs = [Run(source, headers[source.href].dataset, timings[source.href]) for source in job.inputs]
    variables = {name: cube_variable(name, job) for name in names_of(job.inputs)}
    attributes = {name: _attributes(variable, headers, job, notes) for name, variable in variables.items()}
    others = _static(job, runs, axis, notes)
    if axis is not None:
        along = time_axis(job.inputs, runs, axis, notes)
        others |= {name: plain_variable(variable) for name, variable in along.items()}
    mapping = _grid_mapping(job, headers[job.inputs[0].href], others, notes)
    for name, attrs in attributes.items():
        attrs["grid_mapping"] = _all_mappings(attrs.get("grid_mapping"), mapping, others, name, notes)
        _keep_known_coordinates(attrs, others, headers[job.inputs[0].href].auxiliary, notes)
    shared = _global_attributes(job, [header.dataset for header in headers.values()], notes)
    every = attributes | {name: variable.attrs for name, variable in others.items()}
    _follow_renames(job, every, shared.get("external_variables", ""), notes)
    _account_for_all(job, headers, {*every}, notes)
    return Layout(variables, attributes, others, shared, tuple(notes.lines))


def _account_for_all(job: Job, headers: dict[str, _Header], written: set[str], notes: Notes) -> None:
    """Notes each variable of each file that is not in the cube and was not mentioned before."""
    names = {v.source_name: v.name for source in job.inputs for v in source.variables}
    told = " ".join(notes.lines)
    for name, why in {each: why for header in headers.values() for each, why in header.reasons.items()}.items():
        if names.get(name, name) not in written and f"{name} dropped" not in told:
            notes.add(f"{name} left out: {why}")


def _headers(inputs: tuple[Input, ...], paths: LocalPaths) -> dict[str, _Header]:
    headers: dict[str, _Header] = {}
    first: Mapping[Hashable, xr.Variable] = {}
    for href, source in {source.href: source for source in inputs}.items():
        header = headers[href] = _read_header(source, paths[href], of_crs=not headers)
        # Equal arrays are kept once: coordinates of many files may be as large as their data.
        for name, variable in header.dataset.variables.items():
            other = first.get(name)
            if other is not None and variable.ndim > 1 and variable.dtype == other.dtype and _same(variable, other):
                variable.data = other.data
        first = first or header.dataset.variables
    return headers


def _read_header(source: Input, path: Path, *, of_crs: bool) -> _Header:
    with open_raw(path, source.driver) as dataset:
        every = set(data_variables(dataset))
        attrs = {name: {str(k): _typed(v) for k, v in dataset[name].attrs.items()} for name in every}
        first = source.variables[0].source_name
        crs, auxiliary = crs_of(dataset, first) if of_crs else None, auxiliary_of(dataset, first)
        why = reasons(dataset, every)
        small = dataset.drop_vars([name for name, reason in why.items() if reason != NOT_EVERYWHERE]).load()
        small.attrs = {str(key): _typed(value) for key, value in dataset.attrs.items()}
    return _Header(small, attrs, crs, auxiliary, why)


def _typed(value: Any) -> Any:
    """Returns an attribute in its own type, bytes as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


# --- attributes of the data variables -------------------------------------------------------------------------------


def _attributes(variable: CubeVariable, headers: dict[str, _Header], job: Job, notes: Notes) -> dict[str, Any]:
    """Returns the files' attributes and the profile's; of those that differ between files the first file's."""
    first = variable.in_files[0]
    if first.name != first.source_name:
        notes.add(f"{first.source_name} is called {first.name}")
    raw = headers[variable.inputs[0].href].attrs[first.source_name]
    attrs = {k: v for k, v in raw.items() if k not in _BY_READERS}
    others = variable.in_files[1:]
    for key in sorted((attrs.keys() | {key for other in others for key in other.attrs}) - {*PACKING, "grid_mapping"}):
        if any(not equal(other.attrs.get(key), first.attrs.get(key)) for other in others):
            notes.add(f"{variable.name}: {key} differs between files, the first's is kept")
    _fill_value(variable, attrs, notes)
    for number in dict.fromkeys(number for held in variable.in_files for number in held.masks):
        by = f"band {number}, a transparency, hides with 0" if number else "the mask hides"
        notes.add(f"{variable.name}: cells that {by} became {variable.nodata}")
    return attrs | _from_profile(variable, attrs, job, notes)


def _fill_value(variable: CubeVariable, attrs: dict[str, Any], notes: Notes) -> None:
    """Writes the packing of the cube into the attributes: the files' own, or none but NaN for missing."""
    name = variable.name
    if variable.packing.how == "decoded":
        notes.add(f"{name}: files pack it differently, decoded to {variable.dtype} with NaN for missing")
        _drop(OF_STORED_VALUES, name, attrs, notes)
        attrs["_FillValue"] = variable.dtype.type("nan")
        return
    if variable.packing.how == "refilled":
        notes.add(f"{name}: files mark missing values differently; all are {variable.nodata} of {variable.dtype}")
        _drop([key for key in OF_STORED_VALUES if key not in ("scale_factor", "add_offset")], name, attrs, notes)
        attrs |= {key: np.asarray(attrs[key]).astype(variable.dtype) for key in FLAGS if key in attrs}
        if variable.nodata is not None:
            attrs["_FillValue"] = variable.dtype.type(variable.nodata)
        return
    before = attrs.pop("_FillValue", None)
    if variable.nodata is not None:
        attrs["_FillValue"] = variable.dtype.type(variable.nodata)
    if not equal(plain(before), variable.nodata):
        notes.add(f"{name}: _FillValue {'added' if before is None else f'{plain(before)} became'} {variable.nodata}")


def _drop(keys: Iterable[str], name: str, attrs: dict[str, Any], notes: Notes) -> None:
    """Drops attributes that hold stored values of single files; those of packing without a note."""
    for key in keys:
        if attrs.pop(key, None) is not None and key not in PACKING:
            notes.add(f"{name}: {key} dropped, it was of packed values")


def _from_profile(variable: CubeVariable, attrs: dict[str, Any], job: Job, notes: Notes) -> dict[str, Any]:
    name, described = variable.name, job.described.get(variable.name, {})
    said = {k: v for k, v in described.items() if k not in ("classes", "units")}
    if (units := variable.in_files[0].units) and units != attrs.get("units"):  # none, or none that can be read
        said["units"] = units
    if described.get("classes") and "flag_values" not in attrs:
        said["flag_values"] = np.array([item["value"] for item in described["classes"]], variable.dtype)
        said["flag_meanings"] = " ".join(item["name"].replace(" ", "_") for item in described["classes"])
    for key, value in said.items():
        if key not in attrs:
            notes.add(f"{name}: {key} added: {plain(value)!r}")
        elif not equal(plain(attrs[key]), plain(value)):
            notes.add(f"{name}: {key} {plain(attrs[key])!r} became {plain(value)!r}, by the profile")
    return said


def _keep_known_coordinates(
    attrs: dict[str, Any], others: dict[str, xr.Variable], beside: tuple[str, ...], notes: Notes
) -> None:
    """Limits ``coordinates`` to what the cube holds, its places at least; a grid mapping is none (CF 5, 5.6)."""
    stated = str(attrs.pop("coordinates", "")).split()
    mappings = grid_mappings(attrs)
    known = [w for w in dict.fromkeys([*stated, *beside]) if w in others and w not in mappings]
    if added := [word for word in known if word not in stated]:
        notes.add(f"coordinates added: {' '.join(added)}")
    if known:
        attrs["coordinates"] = " ".join(known)


def equal(one: Any, other: Any) -> bool:
    """Tells whether two plain attributes are equal; NaN is equal to NaN."""
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - NaN


# --- coordinates and helpers ----------------------------------------------------------------------------------------


def _static(job: Job, runs: list[Run], axis: str | None, notes: Notes) -> dict[str, xr.Variable]:
    """Returns what does not run along time, from the first file; single values that differ become a series."""
    out: dict[str, xr.Variable] = {}
    renames = {v.source_name: v.name for source in job.inputs for v in source.variables}
    for _, header, _ in runs:
        for key, variable in header.variables.items():
            name = renames.get(str(key), str(key))
            if axis not in variable.dims and name != axis:
                out.setdefault(name, plain_variable(variable))
    for name, variable in out.items():
        every = [header.variables[name] for _, header, _ in runs if name in header.variables]
        if axis is None or all(_same(variable, other) for other in every):
            continue
        if variable.ndim == 0 and len(every) == len(runs):
            out[name] = plain_variable(stacked(name, runs, axis, notes))
        else:
            notes.add(f"{name} differs between files{_how_far(variable, every)}, the first's is kept")
    _describe_coordinates(job, out, notes)
    return out


def _how_far(first: xr.Variable, others: list[xr.Variable]) -> str:
    """Describes how far the numbers of an axis are apart, in its steps."""
    numbers = [other.values for other in others if other.shape == first.shape and other.dtype.kind in "iuf"]
    if first.ndim != 1 or first.size < 2 or len(numbers) < len(others):  # noqa: PLR2004 - a step lies between two
        return ""
    step = abs(float(first.values[-1]) - float(first.values[0])) / (first.size - 1)
    apart = max(float(np.abs(values.astype("f8") - first.values.astype("f8")).max()) for values in numbers)
    return f" by up to {apart / step:.2g} of a cell" if step else ""


def _same(one: xr.Variable, other: xr.Variable) -> bool:
    if one.attrs.get("units") != other.attrs.get("units"):
        return False
    return one.shape == other.shape and bool(np.array_equal(one.values, other.values, equal_nan=one.dtype.kind == "f"))


def plain_variable(variable: xr.Variable) -> xr.Variable:
    """Returns a variable in native byte order, bytes as text, so that every writer takes it."""
    values = variable.values
    if values.dtype.kind in "iuf":
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind in "SU":
        values = np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values
        values = values.astype(object)
    return xr.Variable(variable.dims, values, {str(k): _typed(v) for k, v in variable.attrs.items()})


def _describe_coordinates(job: Job, out: dict[str, xr.Variable], notes: Notes) -> None:
    """Adds standard name and units of x and y where the file gives none (CF 4, 5.6); a raster's never has any."""
    if job.grid.kind != "grid":
        return
    known = {entry.get("axis"): entry for entry in CRS.from_wkt(job.grid.crs).cs_to_cf()}
    for dim, axis in zip(job.grid.dims, ("Y", "X"), strict=True):
        for key in ("standard_name", "units"):
            if dim in out and axis in known and not out[dim].attrs.get(key):
                out[dim].attrs[key] = known[axis][key]
                notes.add(f"{dim}: {key} added: {known[axis][key]}")


# --- CRS and global attributes --------------------------------------------------------------------------------------


def _grid_mapping(job: Job, first: _Header, others: dict[str, xr.Variable], notes: Notes) -> str:
    """Returns the name of the grid mapping variable; makes it where the file has none, or the profile overrides it."""
    variable = job.inputs[0].variables[0]
    stated = grid_mapping_for(first.attrs[variable.source_name], job.grid.dims)
    names = [name for name in (stated, "spatial_ref", "crs") if name and name in others and _is_mapping(others[name])]
    crs = CRS.from_wkt(job.grid.crs)
    if names and first.crs is not None and first.crs.equals(crs, ignore_axis_order=True):
        return names[0]
    free = (name for name in (stated, "crs", "spatial_ref") if name and (name not in others or others[name].ndim == 0))
    name = next(free, "grid_mapping")
    others[name] = xr.Variable((), np.int32(0), {k: plain(v) for k, v in crs.to_cf().items()})
    before = f", not {crs_name(first.crs)}" if names and first.crs is not None else ""
    notes.add(f"grid mapping {name} added: {crs_name(crs)}{before}")
    return name


def _all_mappings(stated: Any, mapping: str, others: dict[str, xr.Variable], name: str, notes: Notes) -> str:
    """Returns the extended form of a grid_mapping (CF 5.6) of the file where the cube holds all that it names."""
    every = grid_mappings({"grid_mapping": stated or ""})
    if mapping in every and len(every) > 1 and all(m in others and _is_mapping(others[m]) for m in every):
        return str(stated)
    for other in every.keys() - {mapping} if len(every) > 1 else ():
        notes.add(f"{name}: grid_mapping {stated!r} became {mapping!r}, without {other}")
    return mapping


def _follow_renames(job: Job, every: dict[str, dict[str, Any]], external: Any, notes: Notes) -> None:
    """Renames variables in the attributes that name them (CF 3.4, 4.3.3, 7.2)."""
    names = {v.source_name: v.name for source in job.inputs for v in source.variables if v.name != v.source_name}
    known = {*every, *str(external).split()}  # a file beside this one may hold cell measures (CF 2.6.3)
    for name, attrs in every.items():
        for key, text in renamed(attrs, names).items():
            notes.add(f"{name}: {key} {attrs[key]!r} became {text!r}, as its variables are called")
            attrs[key] = text
        for key, missing in dangling(attrs, known):
            notes.add(f"{name}: {key} names {missing}, which is not in the product")


def _is_mapping(variable: xr.Variable) -> bool:
    return variable.ndim == 0 and is_grid_mapping(variable.attrs)


def _global_attributes(job: Job, headers: list[xr.Dataset], notes: Notes) -> dict[str, Any]:
    """Returns the attributes that all files share, overridden by those of the profile."""
    first = {str(k): v for k, v in headers[0].attrs.items() if k != "coordinates"}
    shared = {k: v for k, v in first.items() if all(equal(plain(h.attrs.get(k)), plain(v)) for h in headers[1:])}
    for key in sorted({str(key) for header in headers for key in header.attrs} - shared.keys() - {"coordinates"}):
        notes.add(f"global attribute {key} differs between files: not kept")
    for key, value in job.attributes.items():
        if key in shared and not equal(plain(shared[key]), value):
            notes.add(f"global attribute {key}: {plain(shared[key])!r} became {value!r}, by the profile")
    added = sorted(job.attributes.keys() - shared.keys())
    if added:
        notes.add(f"global attributes added: {', '.join(added)}")
    # The line that this package adds (CF 2.6.2) has no clock, so that the same input gives the same bytes.
    files = len({source.href for source in job.inputs})
    line = f"packaged from {files} file{'s' if files > 1 else ''} by earthcode_pack {__version__}, values compared"
    before = shared.get("history")
    return shared | job.attributes | {"history": f"{before}\n{line}" if before else line}
