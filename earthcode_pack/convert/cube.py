"""Many inputs as one cube: sizes, packing, and blocks of stored values by region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.convert.packing import Packing, common_packing
from earthcode_pack.convert.read.open import open_raw
from earthcode_pack.convert.read.packing import as_type, is_unsigned
from earthcode_pack.convert.statistics import Tally, tally
from earthcode_pack.errors import NotEqual

if TYPE_CHECKING:
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
        """Statistics of a block of stored values, as numbers without a sign where they stand for such."""
        if not self.packing.decoded and is_unsigned(self.in_files[0].attrs, self.packing.dtype):
            kind = f"u{self.packing.dtype}"
            return tally(block.view(kind), as_type(self.nodata, kind))
        return tally(block, self.nodata)


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
    return CubeVariable(name, cube_sizes(job.inputs, every[0], job.options["time"]), common_packing(every), inputs)


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


def read_block(variable: CubeVariable, region: Region, axis: str | None, paths: LocalPaths) -> Array:
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
            pieces.append(_piece(source, variable, region, paths, axis=axis, steps=slice(low, high)))
        first += count
    return np.ascontiguousarray(np.concatenate(pieces, axis=list(variable.sizes).index(str(axis))))


def _static_block(variable: CubeVariable, region: Region, paths: LocalPaths) -> Array:
    """Each file is read once, however many runs of its steps there are."""
    once = list({source.href: source for source in variable.inputs}.values())
    first = _piece(once[0], variable, region, paths, axis=None, steps=slice(0, 1))
    for source in once[1:]:
        if _piece(source, variable, region, paths, axis=None, steps=slice(0, 1)).tobytes() != first.tobytes():
            names = Path(once[0].href).name, Path(source.href).name
            raise NotEqual(
                f"{variable.name} has no time axis and differs between {names[0]} and {names[1]}",
                "give it a time axis, or leave it out with source.variables",
            )
    return np.ascontiguousarray(first)


def _piece(
    source: Input, variable: CubeVariable, region: Region, paths: LocalPaths, *, axis: str | None, steps: slice
) -> Array:
    held = held_by(source, variable.name)
    with open_raw(paths[source.href], source.driver) as dataset:
        array = dataset[held.source_name]
        index: dict[str, Any] = {dim: slice(*region[str(dim)]) for dim in array.dims if dim in region and dim != axis}
        if axis in array.dims:
            index[str(axis)] = _as_slice(source.steps[steps])
        values = variable.packing.apply(array.isel(index).values, held)
    return values if axis in array.dims or axis is None else values[np.newaxis]


def _as_slice(steps: tuple[int, ...]) -> slice | list[int]:
    """Consecutive steps as a slice: readers are far faster with it."""
    consecutive = steps == tuple(range(steps[0], steps[-1] + 1))
    return slice(steps[0], steps[-1] + 1) if consecutive else list(steps)
