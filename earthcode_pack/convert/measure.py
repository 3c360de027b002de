"""What an output is, read back from its own header: the facts that describe hands to STAC."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import CRS

from earthcode_pack.cf import grid_mappings, times
from earthcode_pack.cf.axes import axes_of, axis_of, data_variables
from earthcode_pack.cf.flags import bitfields_of, classes_of, colored, of_table
from earthcode_pack.cf.missing import unpacked
from earthcode_pack.cf.places import grid_of
from earthcode_pack.cf.standard_names import is_stated
from earthcode_pack.cf.variables import variable_of
from earthcode_pack.model import Dimension, Driver, Grid, Job, Variable, WrittenVariable, rfc3339
from earthcode_pack.nodata import nodata_values

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

    from earthcode_pack.convert.statistics import Tally

_RUNS = "Reference times of forecasts, which are valid later."
_FEW = 100  # values of an irregular dimension that are worth listing


def measure(
    path: Path, job: Job, tallies: dict[str, Tally]
) -> tuple[Grid, tuple[WrittenVariable, ...], tuple[Dimension, ...]]:
    """Grid, variables and, of a cube, dimensions."""
    if job.format == "cog":
        return (*measure_cog(path, job, tallies), ())
    return measure_cube(path, "Zarr" if job.format == "zarr" else "netCDF", job, tallies)


def measure_cog(path: Path, job: Job, tallies: dict[str, Tally]) -> tuple[Grid, tuple[WrittenVariable, ...]]:
    """Grid and variable of a COG."""
    import rasterio  # noqa: PLC0415 - each format's libraries where they are used

    from earthcode_pack.convert.read.raster import GDAL_OPTIONS, raster_grid  # noqa: PLC0415

    source = job.inputs[0].variables[0]
    with rasterio.Env(**GDAL_OPTIONS), rasterio.open(path, driver="GTiff") as dataset:
        crs = CRS.from_wkt(dataset.crs.to_wkt())
        grid = raster_grid(dataset, crs)
        scale, offset = _unless(dataset.scales[0], 1), _unless(dataset.offsets[0], 0)
        statistics, table = _statistics(tallies, source, scale, offset), _table(dataset)
        named = colored(classes_of(job.described.get(source.name, {}), source.attrs), table)
        written = WrittenVariable(
            name=source.name,
            dtype=dataset.dtypes[0],
            dims=("y", "x"),
            shape=dataset.shape,
            chunks=dataset.block_shapes[0],
            nodata=_number(nodata_values(dataset)[0], dataset.dtypes[0]),
            scale=scale,
            offset=offset,
            units=dataset.units[0] or None,
            colorinterp=tuple(interp.name for interp in dataset.colorinterp),
            classes=named or of_table(table, statistics.values if statistics else ()),
            bitfields=bitfields_of(source.attrs, source.dtype),
            statistics=statistics,
            **_names(source, job),
        )
    return grid, (written,)


def _unless(value: float, neutral: float) -> float | None:
    return None if value == neutral else float(value)


def _number(value: float | None, dtype: str) -> float | int | str | None:
    if value is None:
        return None
    if value != value:  # noqa: PLR0124 - NaN, which JSON lacks
        return "nan"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    return int(value) if "int" in dtype else float(value)


def _names(source: Variable, job: Job) -> dict[str, str | None]:
    """Standard and long name: the profile's, else the source's."""
    said = {**source.attrs, **job.described.get(source.name, {})}
    words = {key: said.get(key) for key in ("standard_name", "long_name")}
    return {key: value if is_stated(value) else None for key, value in words.items()}


def _table(dataset: Any) -> dict[int, tuple[int, ...]] | None:
    """The colour table; None where there is none."""
    try:
        return dict(dataset.colormap(1))
    except ValueError:
        return None


def _statistics(tallies: dict[str, Tally], source: Variable, scale: float | None, offset: float | None) -> Any:
    sums = tallies.get(source.name)
    return sums.statistics(scale, offset) if sums else None


def measure_cube(
    path: Path, driver: Driver, job: Job, tallies: dict[str, Tally]
) -> tuple[Grid, tuple[WrittenVariable, ...], tuple[Dimension, ...]]:
    """Grid, variables and dimensions of a Zarr store or a NetCDF file."""
    from earthcode_pack.convert.read.open import open_raw  # noqa: PLC0415 - xarray, which a COG does not need

    sources = {v.name: v for i in job.inputs for v in i.variables}
    with open_raw(path, driver) as dataset:
        held = set(data_variables(dataset))
        names = [name for name in sources if name in held]  # a store lists its arrays in the order of the disk
        axes = axes_of(dataset, names[0])
        crs = grid_mappings.crs_of(dataset, names[0])
        assert axes is not None and crs is not None, "the layout gave every variable a grid mapping"  # noqa: PT018
        grid = grid_of(dataset, axes, crs, outlined=True)
        variables = tuple(_written(dataset, name, sources[name], job, tallies) for name in names)
        dims = dict.fromkeys(str(dim) for name in names for dim in dataset[name].dims)
        dimensions = tuple(_dimension(dataset, dim, grid, names[0]) for dim in dims)
    return grid, variables, dimensions


def _written(dataset: xr.Dataset, name: str, source: Variable, job: Job, tallies: dict[str, Tally]) -> WrittenVariable:
    held = variable_of(name, dataset[name])
    return WrittenVariable(
        name=name,
        dtype=held.dtype,
        dims=held.dims,
        shape=held.shape,
        chunks=tuple(job.options["chunks"][name].values()),
        nodata=_number(held.nodata, held.dtype),
        scale=held.scale,
        offset=held.offset,
        units=held.units,
        classes=classes_of(job.described.get(name, {}), held.attrs),
        bitfields=bitfields_of(held.attrs, held.dtype),
        statistics=_statistics(tallies, source.model_copy(update={"name": name}), held.scale, held.offset),
        **_names(held, job),
    )


def _dimension(dataset: xr.Dataset, dim: str, grid: Grid, variable: str) -> Dimension:
    axis = axis_of(dataset, dim)
    size = dataset.sizes[dim]
    if grid.kind != "grid" and dim in grid.dims:
        return _along_places(dataset, dim, variable, axis)
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


def _along_places(dataset: xr.Dataset, dim: str, variable: str, axis: str | None) -> Dimension:
    """Rows, columns or places by their number; places along a time axis by the ends of that."""
    size = dataset.sizes[dim]
    if axis == "t" and dim in dataset.variables and (found := times.period_along(dataset, variable)):
        return Dimension(name=dim, size=size, axis="t", extent=(rfc3339(found[0].start), rfc3339(found[0].end)))
    return Dimension(name=dim, size=size, axis=None, extent=(0, size - 1), step=1)


def _extent(values: np.ndarray[Any, Any], axis: str | None, grid: Grid, dim: str) -> dict[str, Any]:
    """Ends of the centres, and the step where it is one."""
    if not values.size:
        return {}
    numbers = values.astype(np.float64)
    out: dict[str, Any] = {"extent": (float(numbers.min()), float(numbers.max()))}
    if axis in ("x", "y") and grid.transform is not None and dim in grid.dims:
        step, own = abs(grid.transform[0] if axis == "x" else grid.transform[4]), _own_step(numbers)
        return out | {"step": step if own is None or np.isclose(own, step, rtol=0.01) else own}
    steps = np.diff(numbers)
    if steps.size and np.allclose(steps, steps[0], rtol=1e-6):
        return out | {"step": abs(float(steps[0]))}
    return out | ({"values": tuple(numbers.tolist())} if values.size <= _FEW else {})


def _own_step(numbers: np.ndarray[Any, Any]) -> float | None:
    """The mean step in the units of the coordinate, which may be others than those of the CRS (km, m)."""
    return float(abs(numbers[-1] - numbers[0])) / (numbers.size - 1) if numbers.size > 1 else None


def _time_dimension(dataset: xr.Dataset, dim: str) -> Dimension:
    periods = times.own_periods_of(dataset, dim)
    starts = [period.start for period in periods]
    steps = {later - earlier for earlier, later in pairwise(starts)}
    return Dimension(
        name=dim,
        size=len(periods),
        axis="t",
        extent=(rfc3339(min(starts)), rfc3339(max(period.end for period in periods))),
        step=duration(steps.pop().total_seconds()) if len(steps) == 1 else None,
        values=tuple(rfc3339(start) for start in starts) if len(steps) > 1 and len(starts) <= _FEW else None,
        description=_RUNS if times.is_reference_time(dataset[dim].attrs) else None,
    )


def duration(seconds: float) -> str:
    """An ISO 8601 duration.

    >>> duration(86400.0), duration(3600.0), duration(90.5)
    ('P1D', 'PT1H', 'PT90.5S')
    """
    for size, unit in ((86400, "P{:d}D"), (3600, "PT{:d}H"), (60, "PT{:d}M")):
        if seconds % size == 0:
            return unit.format(int(seconds // size))
    return f"PT{seconds:g}S"
