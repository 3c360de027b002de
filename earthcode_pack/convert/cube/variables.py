"""Many inputs as one cube: sizes, packing, and blocks of stored values by region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.cf.kinds import is_categorical
from earthcode_pack.cf.missing import as_numbers, as_type, hidden
from earthcode_pack.convert.cube.packing import Packing, common_packing
from earthcode_pack.convert.cube.region_reader import Want, fill
from earthcode_pack.convert.statistics import Tally, tally
from earthcode_pack.errors import NotEqual

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Input, Job, Variable

Array = np.ndarray[Any, Any]
Region = dict[str, tuple[int, int]]
LocalPaths = Mapping[str, Path]


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
        """The variable as each input has it."""
        return [held_by(source, self.name) for source in self.inputs]

    def tally(self, block: Array) -> Tally:
        """Statistics of the valid values of a block of stored ones, as the numbers that they stand for."""
        if self.packing.how != "stored":
            return tally(block, self.nodata, categorical=self.categorical)
        first = self.in_files[0]
        numbers = as_numbers(block, first)
        nodata = as_type(self.nodata, numbers.dtype.name)
        return tally(numbers, nodata, hidden(block, first), categorical=self.categorical)


def held_by(source: Input, name: str) -> Variable:
    """The variable of an input that has this name in the product."""
    return next(variable for variable in source.variables if variable.name == name)


def names_of(inputs: tuple[Input, ...]) -> list[str]:
    """The names of the data variables in the order of the files."""
    return list(dict.fromkeys(variable.name for source in inputs for variable in source.variables))


def cube_variable(name: str, job: Job) -> CubeVariable:
    """A data variable of the cube, by the job alone: no file is opened.

    Raises ``Contradiction`` where files pack it in ways that no type holds.
    """
    inputs = tuple(source for source in job.inputs if any(v.name == name for v in source.variables))
    every = [held_by(source, name) for source in inputs]
    sizes = cube_sizes(job.inputs, every[0], job.options["time"])
    categorical = is_categorical(every[0], job.described.get(name, {}))
    return CubeVariable(name, sizes, common_packing(every), inputs, categorical)


# --- its shape ------------------------------------------------------------------------------------------------------


def axis_name(inputs: tuple[Input, ...]) -> str | None:
    """The time dimension of a cube: the files' own, ``time`` where files become steps, None for a single map."""
    first = inputs[0]
    if first.time_dim is not None:
        return first.time_dim
    maps = [i for i in inputs if i.variables[0].name == first.variables[0].name]
    return "time" if len(maps) > 1 else None


def cube_sizes(inputs: tuple[Input, ...], variable: Variable, axis: str | None) -> dict[str, int]:
    """The sizes of a variable in the whole cube by dimension, in the order of the file; a new time axis is first."""
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
    """The stored values of a region, in the order of the variable's dimensions. Opens only the files it needs.

    Decodes in the threads of this process, ``into`` an array of that shape and type where there is one.
    Raises ``NotEqual`` where a variable without time differs between the files that hold it, and ``Unreadable``.
    """
    if axis not in variable.sizes:
        return _static_block(variable, region, paths)
    block = _empty(variable, region) if into is None else into
    fill(list(_wants(variable, region, str(axis), block, paths)), variable.packing)
    return block


def _empty(variable: CubeVariable, region: Region) -> Array:
    return np.empty([region[dim][1] - region[dim][0] for dim in variable.sizes], variable.dtype)


def _wants(variable: CubeVariable, region: Region, axis: str, block: Array, paths: LocalPaths) -> Iterator[Want]:
    """What the region takes from each input, and where in the block it goes."""
    every: dict[str, tuple[int, ...]] = {}
    for source in variable.inputs:
        every[source.href] = every.get(source.href, ()) + source.steps
    (start, stop), first = region[axis], 0
    for source in variable.inputs:
        count = len(source.steps) or 1
        low, high = max(start - first, 0), min(stop - first, count)
        if low < high:
            want = _want(source, variable, region, block, paths)
            out = _part(variable, want.held, axis, block, (first + low - start, first + high - start))
            yield replace(want, out=out, axis=axis, steps=source.steps[low:high], every=every[source.href])
        first += count


def _want(source: Input, variable: CubeVariable, region: Region, block: Array, paths: LocalPaths) -> Want:
    held = held_by(source, variable.name)
    return Want(paths[source.href], source.driver, held, {dim: region[dim] for dim in held.dims}, block)


def _part(variable: CubeVariable, held: Variable, axis: str, block: Array, span: tuple[int, int]) -> Array:
    """The steps of a block as a file holds them: without a time axis where it has none, dimensions in its order."""
    dims = list(variable.sizes)
    part = block[(slice(None),) * dims.index(axis) + (slice(*span),)]
    if axis not in held.dims:
        part = part.squeeze(dims.index(axis))
        dims.remove(axis)
    return part.transpose([dims.index(dim) for dim in held.dims])


def _static_block(variable: CubeVariable, region: Region, paths: LocalPaths) -> Array:
    """Each file is read once, however many runs of its steps there are."""
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
    want = _want(source, variable, region, block, paths)
    out = block.transpose([list(variable.sizes).index(dim) for dim in want.held.dims])
    fill([replace(want, out=out)], variable.packing)
    return block
