"""Writes a cube to one NetCDF-4 file: all metadata at its front, chunks compressed in threads, every cell compared."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5netcdf
import h5py
import numpy as np

from earthcode_pack.cf.flags import FLAGS
from earthcode_pack.cf.missing import RANGES
from earthcode_pack.checksums import checksums
from earthcode_pack.convert.cube.chunks import job_regions
from earthcode_pack.convert.cube.layout import Layout, layout_of
from earthcode_pack.convert.cube.regions import blocks_within_budget
from earthcode_pack.convert.local_inputs import local_sources
from earthcode_pack.convert.netcdf.chunks import Chunks, disk_type, refuse_full_disk, reserve
from earthcode_pack.convert.netcdf.hdf5_timestamps import zero_timestamps
from earthcode_pack.convert.proof.stores import prove_cube
from earthcode_pack.convert.work import Part, Record
from earthcode_pack.execution.threads import pool

if TYPE_CHECKING:
    from collections.abc import Generator

    import xarray as xr

    from earthcode_pack.convert.cube.variables import Array, CubeVariable, LocalPaths, Region
    from earthcode_pack.model import Job

_VERSION = ("v110", "v110")  # of HDF5's format: what netCDF-C and others have read for years
_WORTH = 2**20  # bytes of a coordinate from which on it is compressed
# They hold stored values, in the type of the variable (CF 2.5.1, 3.5).
_OF_STORED_VALUES = {"missing_value", *RANGES, *FLAGS}


def write_file(part: Part) -> Record:
    """Writes ``out.nc`` into the folder of a job, reads it back and compares every cell with the source."""
    job, folder = part.job, Path(part.folder)
    target = folder / "out.nc"
    target.unlink(missing_ok=True)
    with local_sources(job.inputs) as paths:
        layout = layout_of(job, paths)
        every = _make(layout, job, target)
        with h5py.File(target, "r+", libver=_VERSION) as file:
            written = {
                chunks.variable.name: chunks.write(file[chunks.dataset], _blocks(chunks.variable, job, paths, folder))
                for chunks in every
            }
        zero_timestamps(target)
        found = pool().submit(checksums, target)
        for chunks in every:
            chunks.compare(target, written[chunks.variable.name], paths)
        proof = prove_cube(job, target, paths)
    return Record(
        number=part.number,
        statistics={name: one.statistics for name, one in written.items()},
        compared=sum(one.cells for one in written.values()),
        proof=proof,
        changes=layout.changes,
        engine="direct",
        digests={".": found.result().sha256},
        parts=found.result().parts,
    )


def _make(layout: Layout, job: Job, target: Path) -> list[Chunks]:
    """Writes all but the values of the data variables, and closes the file, so that nothing of it comes behind them."""
    refuse_full_disk(str(target), sum(other.data.nbytes for other in layout.others.values()))
    with _new(target, _page(layout, job)) as raw:
        _create_axes(raw, layout, job.netcdf.level)
        with h5netcdf.File(raw, "w") as file:
            _metadata(layout, job, file)
            datasets = {name: file[name]._h5ds for name in layout.variables}  # noqa: SLF001 - chunks go in directly
            for dataset in datasets.values():
                reserve(dataset)
            return [Chunks(variable, job, datasets[name].name) for name, variable in layout.variables.items()]


def _blocks(variable: CubeVariable, job: Job, paths: LocalPaths, folder: Path) -> Generator[tuple[Region, Array]]:
    for region in job_regions(variable.sizes, job, variable.name):
        yield from blocks_within_budget(variable, region, job, paths, folder)


# --- metadata -------------------------------------------------------------------------------------------------------


def _page(layout: Layout, job: Job) -> int:
    """Returns the size of pages, in which metadata gathers at the front: large ones are few to fetch.

    A chunk larger than a page begins on one, and half a page is lost with each: measured 0.3 % of the file with 16 KiB
    and chunks of 7.5 MB (1.1 % with 64 KiB, 0.1 % with 4 KiB). Chunks smaller than a page share one.
    """
    chunks = job.netcdf.chunks
    smallest = min(math.prod(chunks[name].values()) * v.dtype.itemsize for name, v in layout.variables.items())
    if smallest >= _LARGE:
        return 16 * 2**10
    return 4 * 2**10 if smallest >= _SMALL else 64 * 2**10


_LARGE, _SMALL = 4 * 2**20, 128 * 2**10  # bytes of a chunk before compression


def _new(target: Path, page: int) -> h5py.File:
    """Creates a file with metadata in pages, its root group without a clock (h5py has no keyword for that)."""
    made, access = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    made.set_file_space_strategy(h5py.h5f.FSPACE_STRATEGY_PAGE, False, 1)
    made.set_file_space_page_size(page)
    made.set_obj_track_times(False)
    order = h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED  # netCDF-C asks for it
    made.set_link_creation_order(order)
    made.set_attr_creation_order(order)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    return h5py.File(h5py.h5f.create(os.fsencode(target), h5py.h5f.ACC_TRUNC, made, access))


def _create_axes(raw: h5py.File, layout: Layout, level: int) -> None:
    """Creates the coordinates of dimensions, each at once as what it stays.

    h5netcdf makes an empty dataset for every dimension and removes it when its coordinate comes. HDF5 gives away the
    space of what was removed when the last one who has it open lets go; where a profiler holds frames (Dask's workers
    have one) that is a moment later, and the same input would not always give the same bytes.
    """
    axes = {name: other for name, other in layout.others.items() if other.dims == (name,)}
    for number, (name, other) in enumerate(axes.items()):
        stored = _stored(other, level)
        made = raw.create_dataset(name, other.shape, track_order=True, **stored)
        made.make_scale(name)
        made.attrs["_Netcdf4Dimid"] = np.int32(number)
        if stored["fillvalue"] is not None:
            made.attrs["_FillValue"] = np.atleast_1d(stored["fillvalue"])  # as netCDF-C writes it


def _metadata(layout: Layout, job: Job, file: h5netcdf.File) -> None:
    sizes: dict[str, int] = {}
    for other in layout.others.values():
        sizes |= {str(dim): size for dim, size in zip(other.dims, other.shape, strict=True)}
    for variable in layout.variables.values():
        sizes |= variable.sizes
    file.dimensions.update({name: size for name, size in sizes.items() if name not in file.dimensions})
    for name, other in layout.others.items():
        _create_small(file, name, other, job.netcdf.level)
    for name, variable in layout.variables.items():
        made = file.create_variable(
            name,
            tuple(variable.sizes),
            dtype=disk_type(variable.dtype),
            fillvalue=None if variable.nodata is None else variable.dtype.type(variable.nodata),
            chunks=tuple(job.netcdf.chunks[name].values()),
            compression="gzip",
            compression_opts=job.netcdf.level,
            shuffle=True,
        )
        _set_attributes(made, layout.attributes[name], variable.dtype)
    for key, value in layout.attrs.items():
        file.attrs[key] = netcdf_attribute(value)


def _create_small(file: h5netcdf.File, name: str, variable: xr.Variable, level: int) -> None:
    """Writes a coordinate or the like whole."""
    if name in file.variables:
        made = file[name]
    else:
        made = file.create_variable(name, tuple(map(str, variable.dims)), **_stored(variable, level))
    values = variable.values
    made[...] = values.astype(made.dtype) if values.dtype.kind == "b" else values
    _set_attributes(made, variable.attrs, values.dtype)


def _stored(variable: xr.Variable, level: int) -> dict[str, Any]:
    """Returns type, fill value and filters of a coordinate: deflated where it is large, as those of a swath are."""
    values, fill = variable.values, None
    if values.dtype.kind in "iuf" and "_FillValue" in variable.attrs:
        fill = values.dtype.type(variable.attrs["_FillValue"])
    kind = h5py.string_dtype() if values.dtype.kind == "O" else disk_type(values.dtype)
    is_large = values.dtype.kind in "iuf" and values.nbytes > _WORTH
    filters = {"compression": "gzip", "compression_opts": level, "shuffle": True} if is_large else {}
    return {"dtype": kind, "fillvalue": fill, **filters}


def _set_attributes(made: Any, attrs: dict[str, Any], dtype: np.dtype[Any]) -> None:
    """Writes the attributes of a variable but ``_FillValue``, which it has from its making.

    Numbers without a type, as JSON leaves them, get the type of the variable where they fit it and stand for values.
    """
    for key, value in attrs.items():
        if key == "_FillValue":
            continue
        typed = value
        if key in _OF_STORED_VALUES and dtype.kind in "iuf" and not isinstance(value, str | np.ndarray | np.generic):
            numbers = np.asarray(value).astype(dtype)
            typed = numbers if np.array_equal(numbers, np.asarray(value)) else value
        made.attrs[key] = netcdf_attribute(typed)
    if dtype.kind == "b":
        made.attrs["dtype"] = "bool"


def netcdf_attribute(value: Any) -> Any:
    """Returns an attribute as NetCDF holds it: truth values as numbers, nothing and nested JSON of Zarr as JSON text.

    >>> netcdf_attribute({"a": None}), netcdf_attribute(True), netcdf_attribute("text")
    ('{"a": null}', 1, 'text')
    """
    if isinstance(value, bool | np.bool_):
        return int(value)
    if value is None or isinstance(value, dict):
        return json.dumps(value)
    if not isinstance(value, list | tuple):
        return value
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    if value and (numbers or all(isinstance(v, str) for v in value)):
        return list(value)
    return json.dumps(value)


def filters_of(path: Path) -> dict[str, str]:
    """Describes the compression of each variable of a file, by the filters that HDF5 knows by name."""
    with h5py.File(path, "r") as file:
        return {name: _filters(held) for name, held in file.items() if isinstance(held, h5py.Dataset)}


def _filters(dataset: Any) -> str:
    if dataset.compression is None:
        return "none"
    method = "deflate" if dataset.compression == "gzip" else str(dataset.compression)
    return ", ".join([method, f"level {dataset.compression_opts}", *(["shuffle"] if dataset.shuffle else [])])
