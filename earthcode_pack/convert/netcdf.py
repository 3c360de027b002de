"""A cube to one NetCDF-4 file: metadata at its front, chunks compressed in threads, every cell compared."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5netcdf
import h5py
import numpy as np

from earthcode_pack.checks.equality import compare
from earthcode_pack.convert.chunks import region_sizes, regions
from earthcode_pack.convert.cube import CubeVariable, LocalPaths, Region, read_block
from earthcode_pack.convert.fetched import local_sources
from earthcode_pack.convert.hdf5_clock import stop_clock
from earthcode_pack.convert.layout import Layout, layout_of
from earthcode_pack.convert.netcdf_attributes import netcdf_attribute, set_attributes
from earthcode_pack.convert.statistics import Tally
from earthcode_pack.convert.work import Part, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr

    from earthcode_pack.model import Job

_PAGE = 64 * 2**10  # metadata gathers in pages of this size at the front; larger ones waste space in every chunk
Array = np.ndarray[Any, Any]


def write(part: Part) -> Record:
    """Makes ``<folder>/out.nc``, reads it back and compares every cell with the source."""
    job, folder = part.job, Path(part.folder)
    target = folder / "out.nc"
    target.unlink(missing_ok=True)
    with local_sources(job.inputs) as paths:
        layout = layout_of(job, paths)
        tallies = _fill(layout, job, target, paths)
        stop_clock(target)
        compared = _compare(layout, job, target, paths)
    return Record(number=part.number, tallies=tallies, compared=compared, changes=layout.changes, engine="h5netcdf")


def _fill(layout: Layout, job: Job, target: Path, paths: LocalPaths) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    with _new(target) as raw, h5netcdf.File(raw, "w") as file:
        _metadata(layout, job, file)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for name, variable in layout.variables.items():
                tallies[name] = Tally()
                for region in _regions(variable, job):
                    block = read_block(variable, region, job.options["time"], paths)
                    _write_chunks(file[name]._h5ds, block, variable, region, job=job, pool=pool)  # noqa: SLF001 - chunks go in directly
                    tallies[name] += variable.tally(block)
    return tallies


def _new(target: Path) -> h5py.File:
    """An empty file with metadata in pages, its root group without a clock (h5py has no keyword for that)."""
    made, access = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    made.set_file_space_strategy(h5py.h5f.FSPACE_STRATEGY_PAGE, False, 1)
    made.set_file_space_page_size(_PAGE)
    made.set_obj_track_times(False)
    order = h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED  # netCDF-C asks for it
    made.set_link_creation_order(order)
    made.set_attr_creation_order(order)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    return h5py.File(h5py.h5f.create(os.fsencode(target), h5py.h5f.ACC_TRUNC, made, access))


def _regions(variable: CubeVariable, job: Job) -> Iterator[Region]:
    unit = job.options["chunks"][variable.name]
    size = region_sizes(variable.sizes, unit, variable.dtype.itemsize, job.options["region_bytes"])
    return regions(variable.sizes, size)


def _metadata(layout: Layout, job: Job, file: h5netcdf.File) -> None:
    file.dimensions = _dimensions(layout)
    for name, other in layout.others.items():
        _create_small(file, name, other)
    for name, variable in layout.variables.items():
        made = file.create_variable(
            name,
            tuple(variable.sizes),
            dtype=_disk_type(variable.dtype),
            fillvalue=None if variable.nodata is None else variable.dtype.type(variable.nodata),
            chunks=tuple(job.options["chunks"][name].values()),
            compression="gzip",
            compression_opts=job.options["level"],
            shuffle=True,
        )
        set_attributes(made, layout.attributes[name], variable.dtype)
    for key, value in layout.attrs.items():
        file.attrs[key] = netcdf_attribute(value)


def _disk_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """NetCDF has no truth values: xarray keeps them as int8 with the attribute ``dtype: bool``."""
    return np.dtype(np.int8) if dtype.kind == "b" else dtype


def _dimensions(layout: Layout) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for other in layout.others.values():
        sizes |= {str(dim): size for dim, size in zip(other.dims, other.shape, strict=True)}
    for variable in layout.variables.values():
        sizes |= variable.sizes
    return sizes


def _create_small(file: h5netcdf.File, name: str, variable: xr.Variable) -> None:
    values, fill = variable.values, None
    if values.dtype.kind in "iuf" and "_FillValue" in variable.attrs:
        fill = values.dtype.type(variable.attrs["_FillValue"])
    kind = h5py.string_dtype() if values.dtype.kind == "O" else _disk_type(values.dtype)
    made = file.create_variable(name, tuple(map(str, variable.dims)), dtype=kind, fillvalue=fill)
    made[...] = values.astype(kind) if values.dtype.kind == "b" else values
    set_attributes(made, variable.attrs, values.dtype)


def _write_chunks(
    dataset: Any, block: Array, variable: CubeVariable, region: Region, *, job: Job, pool: ThreadPoolExecutor
) -> None:
    """Compresses the chunks of a region in threads and writes each as it is, outside HDF5's own pipeline."""
    sizes = job.options["chunks"][variable.name]
    within = {dim: stop - start for dim, (start, stop) in region.items()}
    places = list(regions({dim: within[dim] for dim in variable.sizes}, sizes))
    level = job.options["level"]

    def encoded(place: Region) -> bytes:
        chunk = block[tuple(slice(*place[dim]) for dim in variable.sizes)].view(_disk_type(block.dtype))
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


def _compare(layout: Layout, job: Job, target: Path, paths: LocalPaths) -> int:
    compared = 0
    with h5netcdf.File(target, "r") as file:
        for name, variable in layout.variables.items():
            for region in _regions(variable, job):
                place = tuple(slice(*region[dim]) for dim in variable.sizes)
                block = read_block(variable, region, job.options["time"], paths)
                back = np.asarray(file[name][place]).view(block.dtype)
                compare(block, back, f"{job.key}: {name}{[list(r) for r in region.values()]}")
                compared += block.size
    return compared
