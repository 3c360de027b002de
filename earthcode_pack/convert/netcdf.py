"""A cube to one NetCDF-4 file: metadata at its front, chunks compressed in threads, every cell compared."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5netcdf
import numpy as np

from earthcode_pack.checks.equality import compare
from earthcode_pack.convert.chunks import region_sizes, regions
from earthcode_pack.convert.cube import CubeVariable, Layout, Region, layout_of, read_block
from earthcode_pack.convert.statistics import Tally, tally
from earthcode_pack.convert.work import Part, Record, local_sources

if TYPE_CHECKING:
    import xarray as xr

    from earthcode_pack.model import Job

REGION_BYTES = 96 * 2**20
_PAGE = 64 * 2**10  # metadata gathers in pages of this size at the front; larger ones waste space in every chunk
Array = np.ndarray[Any, Any]


def write(part: Part) -> Record:
    """Makes ``<folder>/out.nc``, reads it back and compares every cell with the source."""
    job, folder = part.job, Path(part.folder)
    target = folder / "out.nc"
    target.unlink(missing_ok=True)
    with local_sources(job.inputs, folder) as paths:
        layout = layout_of(job, paths)
        tallies = _fill(layout, job, target, paths)
        compared = _compare(layout, job, target, paths)
    return Record(number=part.number, tallies=tallies, compared=compared, changes=layout.changes, engine="h5netcdf")


def _fill(layout: Layout, job: Job, target: Path, paths: dict[str, Path]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    with h5netcdf.File(target, "w", fs_strategy="page", fs_page_size=_PAGE, libver=("v110", "v110")) as file:
        _metadata(layout, job, file)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for name, variable in layout.variables.items():
                tallies[name] = Tally()
                for region in _regions(variable, job):
                    block = read_block(variable, region, job.options["time"], paths)
                    _write_chunks(file[name]._h5ds, block, variable, region, job, pool)  # noqa: SLF001 - chunks go in directly
                    tallies[name] += tally(block, variable.nodata)
    return tallies


def _regions(variable: CubeVariable, job: Job) -> Iterator[Region]:
    size = region_sizes(variable.sizes, job.options["chunks"][variable.name], variable.dtype.itemsize, REGION_BYTES)
    return regions(variable.sizes, size)


def _metadata(layout: Layout, job: Job, file: h5netcdf.File) -> None:
    file.dimensions = _dimensions(layout)
    for name, other in layout.others.items():
        _create_small(file, name, other)
    for name, variable in layout.variables.items():
        made = file.create_variable(
            name,
            tuple(variable.sizes),
            dtype=variable.dtype,
            fillvalue=None if variable.nodata is None else variable.dtype.type(variable.nodata),
            chunks=tuple(job.options["chunks"][name].values()),
            compression="gzip",
            compression_opts=job.options["level"],
            shuffle=True,
        )
        _attributes(made, variable.attrs, variable.dtype)
    for key, value in layout.attrs.items():
        file.attrs[key] = value


def _dimensions(layout: Layout) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for other in layout.others.values():
        sizes |= {str(dim): size for dim, size in zip(other.dims, other.shape, strict=True)}
    for variable in layout.variables.values():
        sizes |= variable.sizes
    return sizes


def _create_small(file: h5netcdf.File, name: str, variable: xr.Variable) -> None:
    values = variable.values
    if values.dtype.kind in "US":
        values = values.astype(object)
    fill = variable.attrs.get("_FillValue") if values.dtype.kind in "iuf" else None
    kind = h5netcdf.legacyapi.h5py.string_dtype() if values.dtype.kind == "O" else values.dtype
    made = file.create_variable(
        name, tuple(map(str, variable.dims)), dtype=kind, fillvalue=None if fill is None else values.dtype.type(fill)
    )
    made[...] = values
    _attributes(made, variable.attrs, values.dtype)


def _attributes(made: Any, attrs: dict[str, Any], dtype: np.dtype[Any]) -> None:
    """Attributes, those that hold stored values in the type of the variable (CF 2.5.1, 3.5)."""
    typed = {"missing_value", "valid_min", "valid_max", "valid_range", "flag_values", "flag_masks"}
    for key, value in attrs.items():
        if key == "_FillValue" or value is None:
            continue
        made.attrs[key] = (
            np.asarray(value, dtype) if key in typed and not isinstance(value, str) and dtype.kind in "iuf" else value
        )


def _write_chunks(
    dataset: Any, block: Array, variable: CubeVariable, region: Region, job: Job, pool: ThreadPoolExecutor
) -> None:
    """Compresses the chunks of a region in threads and writes each as it is, outside HDF5's own pipeline."""
    sizes = job.options["chunks"][variable.name]
    within = {dim: stop - start for dim, (start, stop) in region.items()}
    places = list(regions({dim: within[dim] for dim in variable.sizes}, sizes))
    level = job.options["level"]

    def encoded(place: Region) -> bytes:
        chunk = block[tuple(slice(*place[dim]) for dim in variable.sizes)]
        return encode_chunk(chunk, tuple(sizes[dim] for dim in variable.sizes), variable.nodata, level)

    for place, data in zip(places, pool.map(encoded, places), strict=True):
        dataset.id.write_direct_chunk(tuple(region[dim][0] + place[dim][0] for dim in variable.sizes), data)


def encode_chunk(chunk: Array, shape: tuple[int, ...], nodata: float | None, level: int) -> bytes:
    """A chunk as HDF5's shuffle and deflate filters write it; one at the edge is filled up."""
    if chunk.shape != shape:
        whole = np.full(shape, 0 if nodata is None else nodata, chunk.dtype)
        whole[tuple(slice(0, n) for n in chunk.shape)] = chunk
        chunk = whole
    raw = np.ascontiguousarray(chunk).view(np.uint8).reshape(-1, chunk.dtype.itemsize)
    return zlib.compress(np.ascontiguousarray(raw.T).tobytes(), level)


def _compare(layout: Layout, job: Job, target: Path, paths: dict[str, Path]) -> int:
    compared = 0
    with h5netcdf.File(target, "r") as file:
        for name, variable in layout.variables.items():
            for region in _regions(variable, job):
                place = tuple(slice(*region[dim]) for dim in variable.sizes)
                block = read_block(variable, region, job.options["time"], paths)
                compare(block, np.asarray(file[name][place]), f"{job.key}: {name}{[list(r) for r in region.values()]}")
                compared += block.size
    return compared
