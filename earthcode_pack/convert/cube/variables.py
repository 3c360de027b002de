"""Variables of a cube of many inputs: their sizes, their packing, and blocks of their stored values by region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from earthcode_pack.cf.kinds import is_categorical
from earthcode_pack.cf.missing import NO_RANGE, as_numbers, as_type, hidden, missing, number_type, unpack
from earthcode_pack.convert.cube.region_reader import BoxRequest, fill
from earthcode_pack.convert.statistics import RunningStatistics, statistics_of
from earthcode_pack.errors import Contradiction, NotEqual

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Input, Job, Variable

Array = np.ndarray[Any, Any]
Region = dict[str, tuple[int, int]]
LocalPaths = Mapping[str, Path]


_SMALL = 16  # bits: few enough values to try them all
_DOUBLE = 53  # bits of integers that a double holds exactly


@dataclass(frozen=True)
class Packing:
    """Packing of a variable in the cube.

    ``stored``: as in the files, which agree. ``refilled``: in the files' packing, with one ``nodata`` for all that is
    missing, since files mark it differently. ``decoded``: unpacked to ``dtype``, with NaN for missing.
    """

    dtype: str
    how: Literal["stored", "refilled", "decoded"]
    nodata: float | int | None

    def apply(self, block: Array, variable: Variable) -> Array:
        """Converts stored values of one file to stored values of the cube.

        Raises ``Contradiction`` where a valid value of the file is what means missing in the cube.
        """
        if self.how == "decoded":
            return unpack(block, variable, self.dtype)
        if self.how == "stored":
            return block.astype(block.dtype.newbyteorder("="), copy=False)
        gaps = missing(block, variable)
        out = as_numbers(block, variable).astype(self.dtype)
        if self.nodata is None:
            return out
        fill = out.dtype.type(self.nodata)
        if (out[~gaps] == fill).any():
            raise Contradiction(
                f"{variable.name}: files mark missing values differently, and {fill} is valid in one of them",
                "make one product of each, or give the files one _FillValue that none of them holds",
            )
        out[gaps] = fill
        return out


@dataclass(frozen=True)
class CubeVariable:
    """A data variable of the cube: sizes by dimension in the order they are stored, and the inputs that hold it."""

    name: str
    sizes: dict[str, int]
    packing: Packing
    inputs: tuple[Input, ...]
    categorical: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The stored type, in the machine's byte order."""
        return np.dtype(self.packing.dtype)

    @property
    def nodata(self) -> float | int | None:
        """The stored value that means missing."""
        return self.packing.nodata

    @property
    def in_files(self) -> list[Variable]:
        """The variable as described by each input."""
        return [held_by(source, self.name) for source in self.inputs]

    def statistics_of(self, block: Array) -> RunningStatistics:
        """Computes the statistics of the valid values of a block of stored ones, as the numbers that they stand for."""
        if self.packing.how != "stored":
            return statistics_of(block, self.nodata, categorical=self.categorical)
        first = self.in_files[0]
        numbers = as_numbers(block, first)
        nodata = as_type(self.nodata, numbers.dtype.name)
        return statistics_of(numbers, nodata, hidden(block, first), categorical=self.categorical)


def held_by(source: Input, name: str) -> Variable:
    """Returns the variable of an input that has this name in the product."""
    return next(variable for variable in source.variables if variable.name == name)


def names_of(inputs: tuple[Input, ...]) -> list[str]:
    """Returns the names of the data variables in the order of the files."""
    return list(dict.fromkeys(variable.name for source in inputs for variable in source.variables))


def cube_variable(name: str, job: Job) -> CubeVariable:
    """Returns a data variable of the cube of a job. Opens no file.

    Raises:
        Contradiction: files pack it in ways that no type holds.

    Args:
        name: of the variable in the product.
        job: the job.

    Raises:
        Contradiction: files pack it in ways that no type holds.

    """
    inputs = tuple(source for source in job.inputs if any(v.name == name for v in source.variables))
    every = [held_by(source, name) for source in inputs]
    sizes = cube_sizes(job.inputs, every[0], job.cube.time)
    categorical = is_categorical(every[0], job.described.get(name, {}))
    return CubeVariable(name, sizes, common_packing(every), inputs, categorical)


# --- its shape ------------------------------------------------------------------------------------------------------


def axis_name(inputs: tuple[Input, ...]) -> str | None:
    """Returns the time dimension: the files' own, ``time`` where files become steps, None for a single map."""
    first = inputs[0]
    if first.time_dim is not None:
        return first.time_dim
    maps = [i for i in inputs if i.variables[0].name == first.variables[0].name]
    return "time" if len(maps) > 1 else None


def cube_sizes(inputs: tuple[Input, ...], variable: Variable, axis: str | None) -> dict[str, int]:
    """Returns the sizes of a variable in the cube by dimension, in the order of the file; a new time axis is first.

    Args:
        inputs: those of the job.
        variable: as one of the inputs has it.
        axis: the time dimension of the cube.

    """
    held = [i for i in inputs if any(v.name == variable.name for v in i.variables)]
    steps = sum(len(i.steps) or 1 for i in held)
    sizes = dict(zip(variable.dims, variable.shape, strict=True))
    if axis is not None and held[0].time_dim is None:
        return {axis: steps, **sizes}
    return {dim: steps if dim == axis else size for dim, size in sizes.items()}


# --- its values -----------------------------------------------------------------------------------------------------


def read_block(
    variable: CubeVariable, region: Region, axis: str | None, paths: LocalPaths, into: Array | None = None
) -> Array:
    """Reads the stored values of a region in the threads of this process. Opens only the files it needs.

    Args:
        variable: the variable.
        region: start and stop by dimension.
        axis: the time dimension of the cube.
        paths: local paths by href.
        into: an array of the shape and type of the region, to be filled.

    Returns:
        The values, in the order of the variable's dimensions.

    Raises:
        NotEqual: a variable without time differs between the files that hold it.
        Unreadable: a file is broken.

    """
    if axis not in variable.sizes:
        return _static_block(variable, region, paths)
    block = _empty(variable, region) if into is None else into
    fill(list(_requests(variable, region, str(axis), block, paths)), variable.packing)
    return block


def _empty(variable: CubeVariable, region: Region) -> Array:
    return np.empty([region[dim][1] - region[dim][0] for dim in variable.sizes], variable.dtype)


def _requests(
    variable: CubeVariable, region: Region, axis: str, block: Array, paths: LocalPaths
) -> Iterator[BoxRequest]:
    """Yields what the region takes from each input, and where in the block it goes."""
    every: dict[str, tuple[int, ...]] = {}
    for source in variable.inputs:
        every[source.href] = every.get(source.href, ()) + source.steps
    (start, stop), first = region[axis], 0
    for source in variable.inputs:
        count = len(source.steps) or 1
        low, high = max(start - first, 0), min(stop - first, count)
        if low < high:
            request = _request(source, variable, region, block, paths)
            out = _part(variable, request.held, axis, block, (first + low - start, first + high - start))
            yield replace(request, out=out, axis=axis, steps=source.steps[low:high], every=every[source.href])
        first += count


def _request(source: Input, variable: CubeVariable, region: Region, block: Array, paths: LocalPaths) -> BoxRequest:
    held = held_by(source, variable.name)
    return BoxRequest(paths[source.href], source.driver, held, {dim: region[dim] for dim in held.dims}, block)


def _part(variable: CubeVariable, held: Variable, axis: str, block: Array, span: tuple[int, int]) -> Array:
    """Returns the steps of a block as a file holds them: dimensions in its order, no time axis where it has none."""
    dims = list(variable.sizes)
    part = block[(slice(None),) * dims.index(axis) + (slice(*span),)]
    if axis not in held.dims:
        part = part.squeeze(dims.index(axis))
        dims.remove(axis)
    return part.transpose([dims.index(dim) for dim in held.dims])


def _static_block(variable: CubeVariable, region: Region, paths: LocalPaths) -> Array:
    """Reads each file once, however many runs of its steps there are, and compares them."""
    first, *rest = {source.href: source for source in variable.inputs}.values()
    block = _map_of(first, variable, region, paths)
    for source in rest:
        if _map_of(source, variable, region, paths).tobytes() != block.tobytes():
            names = Path(first.href).name, Path(source.href).name
            raise NotEqual(
                f"{variable.name} has no time axis and differs between {names[0]} and {names[1]}",
                "give it a time axis, or leave it out with source.variables",
            )
    return block


def _map_of(source: Input, variable: CubeVariable, region: Region, paths: LocalPaths) -> Array:
    block = _empty(variable, region)
    request = _request(source, variable, region, block, paths)
    out = block.transpose([list(variable.sizes).index(dim) for dim in request.held.dims])
    fill([replace(request, out=out)], variable.packing)
    return block


# --- packing of files that may differ ---------------------------------------------------------------------------------


def common_packing(variables: list[Variable]) -> Packing:
    """Returns the files' own packing where they agree, else one that holds every value of all of them exactly.

    Files that differ in what means missing alone, or in the width of their integers, keep their numbers. Others become
    the smallest float type that holds all. Raises ``Contradiction`` where no type does (64-bit integers and a scale).
    """
    first = variables[0]
    if all(_packed_as(variable) == _packed_as(first) for variable in variables):
        return Packing(first.dtype, "stored", first.nodata)
    return _refilled(variables) or _decoded(variables)


def _packed_as(variable: Variable) -> tuple[object, ...]:
    kind = number_type(variable.attrs, variable.dtype)
    return (variable.dtype, kind, *_scaled(variable), repr((variable.nodata, variable.missing)), variable.valid_range)


def _scaled(variable: Variable) -> tuple[float, float]:
    scale, offset = variable.scale, variable.offset
    return (1.0 if scale is None else scale, 0.0 if offset is None else offset)


def _refilled(variables: list[Variable]) -> Packing | None:
    """Returns one type for the stored numbers of all files; None where scales differ, or no integer type holds all."""
    kinds = {number_type(variable.attrs, variable.dtype) for variable in variables}
    if (
        len({_scaled(variable) for variable in variables}) > 1
        or len({np.dtype(kind).kind in "iu" for kind in kinds}) > 1
    ):
        return None
    common = np.result_type(*kinds)
    is_float = common.kind == "f"
    if is_float and not all(np.dtype(kind).kind == "f" for kind in kinds):
        return None  # int64 beside uint64
    fills = [variable.nodata for variable in variables if variable.nodata is not None]
    nodata = next(iter(fills), None)
    if is_float and len({repr(variable.nodata) for variable in variables}) > 1:
        nodata = float("nan")  # which costs no valid value
    if nodata is None and any(variable.missing or variable.valid_range != NO_RANGE for variable in variables):
        return None  # no value is known to be free for what is missing
    return Packing(common.name, "refilled", nodata)


def _decoded(variables: list[Variable]) -> Packing:
    dtype = "float32" if all(_fits_float32(variable) for variable in variables) else "float64"
    for variable in variables:
        kind = np.dtype(variable.dtype)
        if kind.kind in "iu" and kind.itemsize * 8 > _DOUBLE:
            raise Contradiction(
                f"{variable.name}: files pack it differently, and no type holds {variable.dtype} exactly",
                "make one product of each packing",
            )
    return Packing(dtype, "decoded", float("nan"))


def _fits_float32(variable: Variable) -> bool:
    """Tells whether every value that can be stored is, unpacked, a float32: tried on all of them where they are few."""
    kind = np.dtype(variable.dtype)
    if kind.kind == "f":
        return kind.itemsize <= np.float32().itemsize and variable.scale is None and variable.offset is None
    if kind.itemsize * 8 > _SMALL:
        return False
    every = np.arange(np.iinfo(kind).min, np.iinfo(kind).max + 1).astype(kind)
    values = unpack(every, variable, "float64")
    kept = values[~np.isnan(values)]
    return bool((kept.astype(np.float32).astype(np.float64) == kept).all())
