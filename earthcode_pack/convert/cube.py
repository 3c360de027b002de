"""Many inputs as one cube: blocks of stored values by region, coordinates, attributes, and what had to change."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import xarray as xr
from pyproj import CRS

from earthcode_pack.convert.packing import PACKING, Packing, common_packing
from earthcode_pack.convert.read import cf
from earthcode_pack.convert.read.header import plain
from earthcode_pack.convert.read.open import open_raw
from earthcode_pack.convert.read.times import decode, time_units
from earthcode_pack.errors import Contradiction, NotEqual
from earthcode_pack.model import Input, Job, Period, Variable
from earthcode_pack.plan.cubes import cube_sizes

Array = np.ndarray[Any, Any]
Region = dict[str, tuple[int, int]]

_EPOCH = "1970-01-01 00:00:00"
_NOT_ATTRIBUTES = {"grid_mapping"}
_BY_READERS = ("GRIB_radius", "GRIB_earthMajorAxisInMetres", "GRIB_earthMinorAxisInMetres")


@dataclass(frozen=True)
class CubeVariable:
    """A data variable of the cube: sizes by dimension in the order they are stored, and its attributes."""

    name: str
    sizes: dict[str, int]
    packing: Packing
    attrs: dict[str, Any]
    inputs: tuple[Input, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The stored type, in the machine's byte order."""
        return np.dtype(self.packing.dtype)

    @property
    def nodata(self) -> float | int | None:
        """The stored value that means missing."""
        return self.packing.nodata


@dataclass(frozen=True)
class Layout:
    """Everything of a cube but the values of its data variables."""

    variables: dict[str, CubeVariable]
    others: dict[str, xr.Variable]  # coordinates, bounds, grid mapping and the rest, in memory
    attrs: dict[str, Any]
    changes: tuple[str, ...]


@dataclass
class _Notes:
    """Changes in words, each once."""

    lines: dict[str, None] = field(default_factory=dict)

    def add(self, line: str) -> None:
        self.lines.setdefault(line)


# --- layout ---------------------------------------------------------------------------------------------------------


def layout_of(job: Job, paths: dict[str, Path]) -> Layout:
    """The layout of the cube that a job describes. Opens each input once, one after the other.

    Raises ``Contradiction`` where files cannot be joined (calendars differ).
    """
    axis = job.options["time"]
    notes = _Notes()
    headers = [_read_header(source, paths[source.href]) for source in job.inputs]
    first = headers[0]
    variables = {name: _variable(name, job, notes) for name in _names(job.inputs)}
    others = _static(job, headers, axis, notes)
    if axis is not None:
        others |= _time_axis(job, headers, axis, notes)
    mapping = _grid_mapping(job, first, others, notes)
    for variable in variables.values():
        variable.attrs["grid_mapping"] = mapping
        _keep_known_coordinates(variable.attrs, others)
    return Layout(variables, others, _global_attributes(job, headers, notes), tuple(notes.lines))


def _keep_known_coordinates(attrs: dict[str, Any], others: dict[str, xr.Variable]) -> None:
    """``coordinates`` names what the cube holds, and the grid mapping is none (CF 5, 5.6)."""
    known = [
        word for word in str(attrs.pop("coordinates", "")).split() if word in others and word != attrs["grid_mapping"]
    ]
    if known:
        attrs["coordinates"] = " ".join(known)


def _names(inputs: tuple[Input, ...]) -> list[str]:
    return list(dict.fromkeys(v.name for i in inputs for v in i.variables))


def _read_header(source: Input, path: Path) -> xr.Dataset:
    """All but the data variables of a file, loaded."""
    with open_raw(path, source.driver) as dataset:
        every = set(cf.data_variables(dataset))
        dropped = every | {name for name, v in dataset.variables.items() if v.dtype.kind not in "iufbSUO"}
        small = dataset.drop_vars(dropped, errors="ignore").load()
        small.attrs = {str(key): value for key, value in dataset.attrs.items()}
    return small


def cube_variable(name: str, job: Job) -> CubeVariable:
    """A data variable of the cube, by the job alone: no file is opened."""
    return _variable(name, job, _Notes())


def _variable(name: str, job: Job, notes: _Notes) -> CubeVariable:
    held = tuple(i for i in job.inputs if any(v.name == name for v in i.variables))
    every = [next(v for v in i.variables if v.name == name) for i in held]
    packing = common_packing(every)
    if packing.decoded:
        notes.add(f"{name}: files pack it differently, decoded to {packing.dtype} with NaN for missing")
    if every[0].name != every[0].source_name:
        notes.add(f"{every[0].source_name} is called {name}")
    sizes = cube_sizes(job.inputs, every[0], job.options["time"])
    return CubeVariable(name, sizes, packing, _attributes(every, packing, job, notes), held)


def _attributes(every: list[Variable], packing: Packing, job: Job, notes: _Notes) -> dict[str, Any]:
    """The files' attributes and the profile's; those that differ between files are the first's."""
    first = every[0]
    attrs = {k: v for k, v in first.attrs.items() if k not in _NOT_ATTRIBUTES and k not in _BY_READERS}
    for key in attrs:
        if key not in PACKING and any(
            other.attrs.get(key) != attrs[key] for other in every[1:] if attrs[key] == attrs[key]
        ):  # noqa: PLR0124
            notes.add(f"{first.name}: {key} differs between files, the first's is kept")
    attrs |= _packing_attributes(first, packing)
    for key in PACKING if packing.decoded else ():
        attrs.pop(key, None)
    if packing.decoded:
        attrs["_FillValue"] = float("nan")
    return attrs | _from_profile(first, attrs, job, notes)


def _packing_attributes(variable: Variable, packing: Packing) -> dict[str, Any]:
    """Nodata that a reader or the profile knows and the attributes do not say."""
    if packing.decoded or variable.nodata is None or "_FillValue" in variable.attrs:
        stated = variable.attrs.get("_FillValue")
        return {"_FillValue": variable.nodata} if stated is not None and variable.nodata != stated else {}
    return {"_FillValue": variable.nodata}


def _from_profile(variable: Variable, attrs: dict[str, Any], job: Job, notes: _Notes) -> dict[str, Any]:
    said = {k: v for k, v in job.described.get(variable.name, {}).items() if k != "classes"}
    said.pop("units", None) if attrs.get("units") else None
    if variable.units and not attrs.get("units"):
        said["units"] = variable.units
    classes = job.described.get(variable.name, {}).get("classes")
    if classes and "flag_values" not in attrs:
        said["flag_values"] = [item["value"] for item in classes]
        said["flag_meanings"] = " ".join(item["name"].replace(" ", "_") for item in classes)
    for key, value in said.items():
        if key in attrs and attrs[key] != value:
            notes.add(f"{variable.name}: {key} {attrs[key]!r} became {value!r}, by the profile")
        elif key not in attrs:
            notes.add(f"{variable.name}: {key} added: {value!r}")
    return said


def _static(job: Job, headers: list[xr.Dataset], axis: str | None, notes: _Notes) -> dict[str, xr.Variable]:
    """Coordinates and helpers that do not run along time, from the first file."""
    out: dict[str, xr.Variable] = {}
    renames = {v.source_name: v.name for i in job.inputs for v in i.variables}
    for header in headers:
        for key, variable in header.variables.items():
            name = renames.get(str(key), str(key))
            if axis in variable.dims or name in out:
                if name in out and axis not in variable.dims and not _same(out[name], variable):
                    notes.add(f"{name} differs between files, the first's is kept")
                continue
            out[name] = _plain_variable(variable)
    _describe_coordinates(job, out, notes)
    return out


def _same(one: xr.Variable, other: xr.Variable) -> bool:
    return one.shape == other.shape and bool(np.array_equal(one.values, other.values, equal_nan=one.dtype.kind == "f"))


def _plain_variable(variable: xr.Variable) -> xr.Variable:
    """Native byte order and plain attributes, so that every writer takes them."""
    values = variable.values
    if values.dtype.kind in "iuf":
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
    attrs = {str(k): plain(v) for k, v in variable.attrs.items()}
    return xr.Variable(variable.dims, values, attrs)


def _describe_coordinates(job: Job, out: dict[str, xr.Variable], notes: _Notes) -> None:
    """Standard name and units of x and y where the file gives none (CF 4, 5.6); a raster's never has any."""
    crs = CRS.from_wkt(job.grid.crs)
    known = {entry.get("axis"): entry for entry in crs.cs_to_cf()}
    for dim, axis in zip(job.grid.dims, ("Y", "X"), strict=True):
        for key in ("standard_name", "units"):
            if dim in out and axis in known and not out[dim].attrs.get(key):
                out[dim].attrs[key] = known[axis][key]
                notes.add(f"{dim}: {key} added: {known[axis][key]}")


# --- time -----------------------------------------------------------------------------------------------------------


def _time_axis(job: Job, headers: list[xr.Dataset], axis: str, notes: _Notes) -> dict[str, xr.Variable]:
    name = _names(job.inputs)[0]
    runs = [(i, h) for i, h in zip(job.inputs, headers, strict=True) if any(v.name == name for v in i.variables)]
    if runs[0][0].time_dim is None:
        return _made_axis([period for source, _ in runs for period in source.periods], axis, notes)
    if axis not in runs[0][1].variables:
        raise Contradiction(f"dimension {axis} has no coordinate", "set source.time: {from: filename, pattern: …}")
    along = [str(key) for key, variable in runs[0][1].variables.items() if axis in variable.dims]
    return {key: _joined(key, runs, axis, notes) for key in along if all(key in h.variables for _, h in runs)}


def _made_axis(periods: list[Period], axis: str, notes: _Notes) -> dict[str, xr.Variable]:
    """A time axis from file names: the start of each period, with bounds where they are intervals."""
    starts = [_seconds(period.start) for period in periods]
    attrs = {
        "standard_name": "time",
        "axis": "T",
        "units": f"seconds since {_EPOCH}",
        "calendar": "proleptic_gregorian",
    }
    notes.add(f"{axis} added, from the names of the files")
    if all(period.is_instant for period in periods):
        return {axis: xr.Variable((axis,), np.array(starts), attrs)}
    bounds = np.array([[_seconds(period.start), _seconds(period.end)] for period in periods])
    return {
        axis: xr.Variable((axis,), np.array(starts), {**attrs, "bounds": f"{axis}_bnds"}),
        f"{axis}_bnds": xr.Variable((axis, "bnds"), bounds),
    }


def _seconds(moment: Any) -> int | float:
    seconds = moment.timestamp()
    return int(seconds) if seconds.is_integer() else float(seconds)


def _joined(name: str, runs: list[tuple[Input, xr.Dataset]], axis: str, notes: _Notes) -> xr.Variable:
    """One variable of all files along time, in the units of the first file where it holds times."""
    first = runs[0][1].variables[name]
    timing = _timing(name, runs[0][1])
    pieces = []
    for source, header in runs:
        piece = header.variables[name].isel({axis: list(source.steps)})
        values = piece.values
        if timing is not None:
            values = _in_units(values, _timing(name, header) or timing, timing, name, notes)
        pieces.append(values)
    kind = np.result_type(*[piece.dtype.newbyteorder("=") for piece in pieces]) if first.dtype.kind in "iuf" else None
    joined = np.concatenate(
        [piece.astype(kind) if kind is not None else piece for piece in pieces], axis=first.dims.index(axis)
    )
    return _plain_variable(xr.Variable(first.dims, joined, first.attrs))


def _timing(name: str, header: xr.Dataset) -> tuple[str, str] | None:
    """Units and calendar of a time coordinate, or of the bounds of one, which inherit them (CF 7.1)."""
    variable = header.variables[name]
    if " since " in str(variable.attrs.get("units", "")):
        return time_units(variable)
    owner = next(
        (v for v in header.variables.values() if name in (v.attrs.get("bounds"), v.attrs.get("climatology"))), None
    )
    return time_units(owner) if owner is not None and " since " in str(owner.attrs.get("units", "")) else None


def _in_units(values: Array, given: tuple[str, str], wanted: tuple[str, str], name: str, notes: _Notes) -> Array:
    """The same instants in other units, checked by decoding them again."""
    if given == wanted:
        return values
    if given[1] != wanted[1]:
        raise Contradiction(
            f"{name}: calendars {wanted[1]!r} and {given[1]!r} in one cube", "make one product of each calendar"
        )
    notes.add(f"{name}: in the units of the first file, {wanted[0]!r}; the instants are the same")
    moments = cftime.num2date(values, given[0], given[1], only_use_cftime_datetimes=True)
    out = np.asarray(cftime.date2num(moments, wanted[0], wanted[1]))
    if not np.array_equal(decode(out, *wanted, name), decode(values, *given, name)):
        raise NotEqual(
            f"{name}: {given[0]!r} cannot be written as {wanted[0]!r} without rounding",
            "give the files one unit of time",
        )
    return out


# --- CRS and global attributes --------------------------------------------------------------------------------------


def _grid_mapping(job: Job, first: xr.Dataset, others: dict[str, xr.Variable], notes: _Notes) -> str:
    """The name of the grid mapping variable, made where the file has none or the profile overrides it (CF 5.6)."""
    crs = CRS.from_wkt(job.grid.crs)
    for name, variable in others.items():
        if (
            not job.crs_override
            and variable.ndim == 0
            and {"crs_wkt", "spatial_ref", "grid_mapping_name"} & set(variable.attrs)
        ):
            return name
    name = "spatial_ref" if "crs" in others and "spatial_ref" not in others else "crs"
    others[name] = xr.Variable((), np.int32(0), {k: plain(v) for k, v in crs.to_cf().items()})
    notes.add(f"grid mapping {name} added: {crs.name}")
    return name


def _global_attributes(job: Job, headers: list[xr.Dataset], notes: _Notes) -> dict[str, Any]:
    """The attributes that all files share, under those of the profile."""
    first = {str(k): plain(v) for k, v in headers[0].attrs.items() if k != "coordinates"}
    shared = {k: v for k, v in first.items() if all(_equal(plain(h.attrs.get(k)), v) for h in headers[1:])}
    for key in first.keys() - shared.keys():
        notes.add(f"global attribute {key} differs between files: not kept")
    for key, value in job.attributes.items():
        if key in shared and shared[key] != value:
            notes.add(f"global attribute {key}: {shared[key]!r} became {value!r}, by the profile")
    added = sorted(job.attributes.keys() - shared.keys())
    if added:
        notes.add(f"global attributes added: {', '.join(added)}")
    return shared | job.attributes


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - NaN


# --- values ---------------------------------------------------------------------------------------------------------


def read_block(variable: CubeVariable, region: Region, axis: str | None, paths: dict[str, Path]) -> Array:
    """The stored values of a region, in the order of the variable's dimensions. Opens only the files it needs.

    Raises ``NotEqual`` where a variable without time differs between the files that hold it.
    """
    if axis not in variable.sizes:
        return _static_block(variable, region, paths)
    start, stop = region[str(axis)]
    pieces, first = [], 0
    for source in variable.inputs:
        count = len(source.steps) or 1
        low, high = max(start - first, 0), min(stop - first, count)
        if low < high:
            pieces.append(_piece(source, variable, region, axis, paths, (low, high)))
        first += count
    return np.ascontiguousarray(np.concatenate(pieces, axis=list(variable.sizes).index(str(axis))))


def _static_block(variable: CubeVariable, region: Region, paths: dict[str, Path]) -> Array:
    blocks = [_piece(source, variable, region, None, paths, (0, 1)) for source in variable.inputs]
    for source, block in zip(variable.inputs[1:], blocks[1:], strict=True):
        if block.tobytes() != blocks[0].tobytes():
            raise NotEqual(
                f"{variable.name} has no time axis and differs between {Path(variable.inputs[0].href).name} and {Path(source.href).name}",
                "give it a time axis, or leave it out with source.variables",
            )
    return np.ascontiguousarray(blocks[0])


def _piece(
    source: Input,
    variable: CubeVariable,
    region: Region,
    axis: str | None,
    paths: dict[str, Path],
    steps: tuple[int, int],
) -> Array:
    held = next(v for v in source.variables if v.name == variable.name)
    with open_raw(paths[source.href], source.driver) as dataset:
        array = dataset[held.source_name]
        index: dict[str, Any] = {dim: slice(*region[dim]) for dim in array.dims if dim in region and dim != axis}
        if axis in array.dims:
            index[str(axis)] = _as_slice(source.steps[steps[0] : steps[1]])
        values = variable.packing.apply(array.isel(index).values, held)
    return values if axis in array.dims or axis is None else values[np.newaxis]


def _as_slice(steps: tuple[int, ...]) -> slice | list[int]:
    """Consecutive steps as a slice: readers are far faster with it."""
    return (
        slice(steps[0], steps[-1] + 1)
        if steps[-1] - steps[0] == len(steps) - 1 and list(steps) == sorted(steps)
        else list(steps)
    )
