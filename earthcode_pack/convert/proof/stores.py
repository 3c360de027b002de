"""The proof of a Zarr store or NetCDF file: xarray decodes what was written, and xarray or GDAL each source."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from earthcode_pack.convert.cube.variables import CubeVariable, cube_variable, held_by, names_of
from earthcode_pack.convert.proof.alignment import matched
from earthcode_pack.convert.proof.blocks import every, samples, within
from earthcode_pack.convert.proof.cubes import Cube, open_cube
from earthcode_pack.convert.proof.decoded import REMEDY, CannotTell, Decoded, agree, by_profile
from earthcode_pack.convert.proof.gdal import READER as GDAL
from earthcode_pack.convert.proof.gdal import open_source
from earthcode_pack.convert.proof.masks import READER as NETCDF4
from earthcode_pack.convert.proof.masks import Masked, both, compare_counts, masked, without_ranges
from earthcode_pack.convert.proof.times import compare_times, refuse_half_read, time_names, times_of
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.errors import NotEqual
from earthcode_pack.formats import format_of
from earthcode_pack.model import Proof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from earthcode_pack.convert.cube.variables import Region
    from earthcode_pack.convert.proof.blocks import Box
    from earthcode_pack.model import Input, Job, Variable

Array = np.ndarray[Any, Any]
Index = tuple[int, ...]

_OPEN = 4  # sources at once


def prove_cube(
    job: Job,
    target: Path,
    paths: Mapping[str, Path],
    *,
    variable: str | None = None,
    region: Region | None = None,
    whole: bool = False,
) -> Proof:
    """Decodes blocks of a store or file and of its sources, and compares them; all blocks where ``whole``.

    Where a part of a job was written, ``variable`` and ``region`` say which: the blocks that lie in it are compared,
    and the steps of the time axis of that region, once for all variables.
    Raises ``NotEqual``, which names file, variable, cell and both values.
    """
    with ExitStack() as stack:
        sources = _Sources(paths, stack)
        try:
            written = stack.enter_context(open_cube(target, format_of(job.format).driver))
        except CannotTell as error:
            raise NotEqual(f"{job.key}: what was written cannot be opened: {error}", REMEDY) from error
        work = _Work(job, written, sources)
        total = Proof()
        for name in [variable] if variable else names_of(job.inputs):
            total += _variable(work, cube_variable(name, job), region, whole=whole)
        first = names_of(job.inputs)[0]
        if variable in (None, first) and _is_at_start(region, job.cube.time):
            total += _times(work, cube_variable(first, job), region)
        return total


def _is_at_start(region: Region | None, axis: str | None) -> bool:
    """Tells whether a region is the first along all dimensions but time, so that each step is looked at once."""
    return region is None or all(start == 0 for dim, (start, _) in region.items() if dim != axis)


class _Work(NamedTuple):
    job: Job
    written: Cube
    sources: _Sources


class _Sources:
    """The cubes that are open, a few at once."""

    def __init__(self, paths: Mapping[str, Path], stack: ExitStack) -> None:
        self._paths = paths
        self._open: OrderedDict[tuple[str, str], tuple[ExitStack, Cube]] = OrderedDict()
        stack.callback(self._close, 0)

    def path(self, source: Input) -> Path:
        """The local copy of an input."""
        return self._paths[source.href]

    def cube(self, source: Input, variable: Variable) -> Cube:
        """An open input. Raises ``CannotTell`` where no reader opens it."""
        key = (source.href, variable.source_name)
        if key not in self._open:
            self._close(_OPEN - 1)
            inner = ExitStack()
            self._open[key] = inner, inner.enter_context(open_cube(self.path(source), source.driver, variable))
        self._open.move_to_end(key)
        return self._open[key][1]

    def _close(self, left: int) -> None:
        while len(self._open) > left:
            self._open.popitem(last=False)[1][0].close()


# --- values and masks -----------------------------------------------------------------------------------------------


def _variable(work: _Work, variable: CubeVariable, region: Region | None, *, whole: bool) -> Proof:
    job, axis = work.job, work.job.cube.time
    unit = job.cube.chunks[variable.name]
    held = variable.in_files[0]
    chunk = dict(zip(held.dims, held.chunks, strict=False))
    if axis in variable.sizes:
        chunk.setdefault(axis, 1)
    found = (
        every(variable.sizes, unit)
        if whole
        else iter(samples(variable.sizes, [unit, chunk], () if axis is None else (axis,)))
    )
    total = Proof()
    for box in (part for each in found if (part := within(each, region)) is not None):
        total += _block(work, variable, box)
    return total


def _block(work: _Work, variable: CubeVariable, box: Box) -> Proof:
    """One block of the output against what each source has of it."""
    name, axis = variable.name, work.job.cube.time
    try:
        stored = work.written.stored(name, box)
        ours = work.written.decoded(name, stored, tuple(box))
    except CannotTell as error:
        raise NotEqual(f"{work.job.key}: {name}: what was written cannot be read: {error}", REMEDY) from error
    total = Proof(variables=(name,), readers=(work.written.reader,))
    for source, steps, span in _shares(variable, box, axis):
        place = tuple(slice(*span) if dim == axis else slice(None) for dim in box)
        part = _Part(
            source, held_by(source, name), steps, {**box, **({axis: _moved(box[axis], span)} if axis in box else {})}
        )
        cell = _namer(work, variable, part)
        try:
            theirs, reader = _decoded(work, part, tuple(box), axis)
        except CannotTell as error:
            total += Proof(limits=(str(error),))
            continue
        share = Decoded(ours.values[place], ours.valid[place], ours.step)
        mask, limit = _mask(work, part, axis)
        if variable.packing.how != "stored":
            theirs = _with_all_gaps(work, part, theirs, share, mask)
        agree(theirs, share, cell)
        if mask is not None:
            compare_counts(stored[place], mask, count=lambda some: variable.statistics_of(some).count, cell=cell)
            total += Proof(masks=int(mask.valid.size), readers=(NETCDF4,))
        total += Proof(blocks=1, cells=theirs.values.size, readers=(reader,), limits=limit)
    return total


class _Part(NamedTuple):
    """The part of a block that one source holds: ``steps`` of its time axis; ``box`` is that of the output."""

    source: Input
    held: Variable
    steps: tuple[int, ...]
    box: Box


def _moved(outer: tuple[int, int], inner: tuple[int, int]) -> tuple[int, int]:
    return outer[0] + inner[0], outer[0] + inner[1]


def _shares(
    variable: CubeVariable, box: Box, axis: str | None
) -> Iterator[tuple[Input, tuple[int, ...], tuple[int, int]]]:
    """The inputs that a block is made of: each with steps that follow one another in it, and their place in the block.

    A variable without a time axis is in every input; the first is looked at.
    """
    if axis is None or axis not in box:
        yield variable.inputs[0], (), (0, 0)
        return
    (start, stop), first = box[axis], 0
    for source in variable.inputs:
        count = len(source.steps) or 1
        low, high = max(start - first, 0), min(stop - first, count)
        if low < high:
            yield source, source.steps[low:high], (first + low - start, first + high - start)
        first += count


def _decoded(work: _Work, part: _Part, dims: tuple[str, ...], axis: str | None) -> tuple[Decoded, str]:
    """Decodes the part of a block that a source holds, in the dimensions of the output, and who decoded it."""
    if part.source.driver == "GTiff":
        return _of_raster(work, part, dims, axis), GDAL
    cube, name = work.sources.cube(part.source, part.held), part.held.source_name
    stored = _stored(cube, part, dims, axis)
    found = cube.decoded(name, stored, dims, by_profile(part.held, cube.variable(name).attrs))
    return found, cube.reader


def _stored(cube: Cube, part: _Part, dims: tuple[str, ...], axis: str | None) -> Array:
    """Stored values in the dimensions of the output; a file that is one step has no time axis."""
    held, own = part.held, {dim: part.box[dim] for dim in part.held.dims if dim != axis}
    chunk = dict(zip(held.dims, held.chunks, strict=False)) or None
    if axis not in held.dims:
        block = cube.stored(held.source_name, {dim: own[dim] for dim in dims if dim in own}, chunk)
        return block if axis not in dims else np.expand_dims(block, dims.index(axis))
    low, high = min(part.steps), max(part.steps) + 1
    box = {dim: (low, high) if dim == axis else own[dim] for dim in dims}
    block = cube.stored(held.source_name, box, chunk)
    return block.take([step - low for step in part.steps], axis=dims.index(axis))


def _of_raster(work: _Work, part: _Part, dims: tuple[str, ...], axis: str | None) -> Decoded:
    y, x = part.held.dims
    with open_source(work.sources.path(part.source), part.held) as raster:
        ys, xs = (work.written.coordinate(dim) for dim in (y, x))
        if ys is None or xs is None:
            raise CannotTell(f"{work.job.key}: no coordinates along {y} and {x}")
        affine, name = raster.affine, name_of(part.source.href)
        rows = matched(raster.ys(), ys[slice(*part.box[y])], abs(affine.e), on_circle=False, where=f"{name}: {y}")
        columns = matched(raster.xs(), xs[slice(*part.box[x])], abs(affine.a), on_circle=False, where=f"{name}: {x}")
        found = raster.decoded(rows, columns)
    order = [dim for dim in dims if dim != axis]
    shape = [part.box[dim][1] - part.box[dim][0] for dim in dims]
    values, valid = (
        each[0].transpose([(y, x).index(dim) for dim in order]).reshape(shape) for each in (found.values, found.valid)
    )
    return Decoded(values, valid, found.step)


def _mask(work: _Work, part: _Part, axis: str | None) -> tuple[Masked | None, tuple[str, ...]]:
    """The mask of a NetCDF source whose file says itself what is missing, in the dimensions of the output."""
    source, held, dims = part.source, part.held, tuple(part.box)
    if source.driver != "netCDF" or _has_gaps(part.steps):
        return None, ()
    cube = work.sources.cube(source, held)
    if by_profile(held, cube.variable(held.source_name).attrs) is not None:
        return None, ()
    box = {dim: span for dim, span in part.box.items() if dim != axis or axis in held.dims}
    if axis in box:
        box[axis] = (part.steps[0], part.steps[-1] + 1)
    try:
        mask = masked(cube, held.source_name, box)
    except CannotTell as error:
        return None, (str(error),)
    if len(box) == len(dims):
        return mask, ()
    return mask.turned(lambda block: np.expand_dims(block, dims.index(str(axis)))), ()


def _with_all_gaps(work: _Work, part: _Part, theirs: Decoded, ours: Decoded, mask: Masked | None) -> Decoded:
    """Adds what valid ranges leave out: an output of files that mark missing values differently marks all alike."""
    if mask is not None:
        return both(theirs, ours, mask)
    if part.source.driver == "GTiff":
        return theirs
    cube = work.sources.cube(part.source, part.held)
    return without_ranges(theirs, ours, cube.variable(part.held.source_name).attrs)


def _has_gaps(steps: tuple[int, ...]) -> bool:
    return any(after != before + 1 for before, after in pairwise(steps))


def _namer(work: _Work, variable: CubeVariable, part: _Part) -> Callable[[Index], str]:
    """Words for a cell of a block: file, variable, index and coordinates."""

    def cell(index: Index) -> str:
        at = {dim: part.box[dim][0] + place for dim, place in zip(part.box, index, strict=True)}
        coordinates = {dim: work.written.coordinate(dim) for dim in at}
        known = [f"{dim} {values[at[dim]]:.10g}" for dim, values in coordinates.items() if values is not None]
        where = ", ".join(f"{dim} {number}" for dim, number in at.items())
        shown = f" ({', '.join(known)})" if known else ""
        return f"{name_of(part.source.href)}: {variable.name} at [{where}] of {work.job.key}{shown}"

    return cell


# --- times ----------------------------------------------------------------------------------------------------------


def _times(work: _Work, variable: CubeVariable, region: Region | None) -> Proof:
    """The times along the axis, bounds too, of each source against the output; those of files' names by the plan."""
    axis = work.job.cube.time
    if axis is None or axis not in variable.sizes:
        return Proof()
    names = time_names(work.written, axis)
    try:
        refuse_half_read(work.written, names)
    except CannotTell as error:
        return Proof(limits=(str(error),))
    box = {axis: (0, variable.sizes[axis]) if region is None else region[axis]}
    total, start = Proof(), box[axis][0]
    for source, steps, (low, high) in _shares(variable, box, axis):
        held = held_by(source, variable.name)
        if source.driver == "GTiff" or axis not in held.dims:
            continue
        try:
            cube = work.sources.cube(source, held)
            if axis not in cube.dataset.variables:
                continue
            theirs = times_of(cube, names, axis, steps)
        except CannotTell as error:
            total += Proof(limits=(str(error),))
            continue
        ours = _written_times(work, names, axis, range(start + low, start + high))
        for name, moments in theirs.items():
            where = f"{name_of(source.href)}: {name} of {work.job.key}"
            try:
                compare_times(moments, ours[name], where)
            except CannotTell as error:
                total += Proof(limits=(str(error),))
        total += Proof(times=len(steps), readers=(cube.reader,))
    return total


def _written_times(work: _Work, names: list[str], axis: str, steps: range) -> dict[str, Array]:
    try:
        return times_of(work.written, names, axis, steps)
    except CannotTell as error:
        raise NotEqual(f"{work.job.key}: its times cannot be read: {error}", REMEDY) from error
