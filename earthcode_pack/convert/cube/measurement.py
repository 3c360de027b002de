"""Measures the output of a job of a cube, read back from its own metadata: the facts that STAC states."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.cf import grid_mappings, times
from earthcode_pack.cf.axes import axes_of, axis_of, data_variables
from earthcode_pack.cf.flags import bitfields_of, classes_of
from earthcode_pack.cf.missing import unpacked
from earthcode_pack.cf.places import grid_of
from earthcode_pack.cf.variables import variable_of
from earthcode_pack.convert.read.open import open_raw
from earthcode_pack.convert.work import Measured, json_number, stated_names
from earthcode_pack.formats import format_of
from earthcode_pack.model import Dimension, Grid, Job, WrittenVariable, rfc3339

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

    from earthcode_pack.convert.statistics import RunningStatistics

_RUNS = "Reference times of forecasts, which are valid later."
_FEW = 100  # values of an irregular dimension that are worth listing


def measure(path: Path, job: Job, statistics: dict[str, RunningStatistics], codecs: dict[str, str]) -> Measured:
    """Reads the facts of a Zarr store or a NetCDF file.

    Args:
        path: the output.
        job: the job that made it.
        statistics: those of the stored values, by variable.
        codecs: compression by variable, of all that the output holds.

    """
    expected = dict.fromkeys(v.name for source in job.inputs for v in source.variables)
    with open_raw(path, format_of(job.format).driver) as dataset:
        held = set(data_variables(dataset))
        names = [name for name in expected if name in held]  # a store lists its arrays in the order of the disk
        axes, crs = axes_of(dataset, names[0]), grid_mappings.crs_of(dataset, names[0])
        assert axes is not None and crs is not None, "the layout gave every variable a grid mapping"  # noqa: PT018
        grid = grid_of(dataset, axes, crs, outlined=True)
        variables = tuple(_written(dataset, name, job, statistics.get(name)) for name in names)
        dims = dict.fromkeys(str(dim) for name in names for dim in dataset[name].dims)
        dimensions = tuple(_dimension(dataset, dim, grid, names[0]) for dim in dims)
    return Measured(grid, variables, dimensions, {name: codecs[name] for name in names if name in codecs})


def _written(dataset: xr.Dataset, name: str, job: Job, statistics: RunningStatistics | None) -> WrittenVariable:
    held = variable_of(name, dataset[name])
    return WrittenVariable(
        name=name,
        dtype=held.dtype,
        dims=held.dims,
        shape=held.shape,
        chunks=tuple(job.cube.chunks[name].values()),
        nodata=json_number(held.nodata, held.dtype),
        scale=held.scale,
        offset=held.offset,
        units=held.units,
        classes=classes_of(job.described.get(name, {}), held.attrs),
        bitfields=bitfields_of(held.attrs, held.dtype),
        statistics=statistics.statistics(held.scale, held.offset) if statistics else None,
        **stated_names(held, job),
    )


def _dimension(dataset: xr.Dataset, dim: str, grid: Grid, variable: str) -> Dimension:
    axis = axis_of(dataset, dim)
    size = dataset.sizes[dim]
    if grid.kind != "grid" and dim in grid.dims:
        if axis == "t" and dim in dataset.variables and (found := times.period_along(dataset, variable)):
            return Dimension(name=dim, size=size, axis="t", extent=(rfc3339(found[0].start), rfc3339(found[0].end)))
        return Dimension(name=dim, size=size, axis=None, extent=(0, size - 1), step=1)  # places by their number
    if dim not in dataset.variables:
        return Dimension(name=dim, size=size, axis=None, extent=(0, size - 1), step=1)
    if axis == "t":
        return _time_dimension(dataset, dim)
    if dataset[dim].dtype.kind not in "iuf":
        return Dimension(name=dim, size=size, axis=None, values=tuple(str(v) for v in dataset[dim].values[:_FEW]))
    values = unpacked(dataset[dim])
    values = values[np.isfinite(values)]
    known = axis if axis in ("x", "y", "z") else None
    return Dimension(
        name=dim, size=size, axis=known, units=dataset[dim].attrs.get("units"), **_extent(values, known, grid, dim)
    )


def _extent(values: np.ndarray[Any, Any], axis: str | None, grid: Grid, dim: str) -> dict[str, Any]:
    """Returns the ends of the cell centres, and the step where it is constant."""
    if not values.size:
        return {}
    numbers = values.astype(np.float64)
    out: dict[str, Any] = {"extent": (float(numbers.min()), float(numbers.max()))}
    if axis in ("x", "y") and grid.transform is not None and dim in grid.dims:
        step = abs(grid.transform[0] if axis == "x" else grid.transform[4])
        # The coordinate may have other units than the CRS (km, m).
        own = float(abs(numbers[-1] - numbers[0])) / (numbers.size - 1) if numbers.size > 1 else step
        return out | {"step": step if np.isclose(own, step, rtol=0.01) else own}
    steps = np.diff(numbers)
    if steps.size and np.allclose(steps, steps[0], rtol=1e-6):
        return out | {"step": abs(float(steps[0]))}
    return out | ({"values": tuple(numbers.tolist())} if values.size <= _FEW else {})


def _time_dimension(dataset: xr.Dataset, dim: str) -> Dimension:
    periods = times.own_periods_of(dataset, dim)
    starts = [period.start for period in periods]
    steps = {later - earlier for earlier, later in pairwise(starts)}
    return Dimension(
        name=dim,
        size=len(periods),
        axis="t",
        extent=(rfc3339(min(starts)), rfc3339(max(period.end for period in periods))),
        step=_duration(steps.pop().total_seconds()) if len(steps) == 1 else None,
        values=tuple(rfc3339(start) for start in starts) if len(steps) > 1 and len(starts) <= _FEW else None,
        description=_RUNS if times.is_reference_time(dataset[dim].attrs) else None,
    )


def _duration(seconds: float) -> str:
    """Returns an ISO 8601 duration.

    >>> _duration(86400.0), _duration(3600.0), _duration(90.5)
    ('P1D', 'PT1H', 'PT90.5S')
    """
    for size, unit in ((86400, "P{:d}D"), (3600, "PT{:d}H"), (60, "PT{:d}M")):
        if seconds % size == 0:
            return unit.format(int(seconds // size))
    return f"PT{seconds:g}S"
