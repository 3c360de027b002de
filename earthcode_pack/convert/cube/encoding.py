"""Chunks, shards and regions of cubes: the encodings of their jobs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from earthcode_pack.convert.cube.chunks import (
    chunk_sizes,
    chunks_by_rule,
    common_step,
    explicit_chunks,
    longest_cut,
    region_sizes,
    time_boundaries,
    whole_chunks,
)
from earthcode_pack.convert.cube.region_reader import STRADDLING
from earthcode_pack.convert.cube.variables import common_packing, cube_sizes
from earthcode_pack.errors import Contradiction
from earthcode_pack.model import NetcdfEncoding, ZarrEncoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from earthcode_pack.model import Input, Variable
    from earthcode_pack.profile import Profile

Sizes = dict[str, int]


# Of 1 GiB that a worker may take by default, libraries have 200 MiB; a region is in memory once, and encoded in pieces.
IN_HAND = 576 * 2**20
GROW = 96 * 2**20  # regions that could be smaller grow to so much: few of them, and work for all threads
_LEAST = 2**20
_SHARE = 4  # libraries, the region, what is kept for the next one, and the pieces that are decoded and encoded


def zarr_encoding(profile: Profile, inputs: tuple[Input, ...], axis: str | None) -> ZarrEncoding:
    """Returns how a store is encoded, by the profile.

    Args:
        profile: the profile.
        inputs: those of the job.
        axis: the time dimension of the cube.

    Raises:
        Contradiction: the profile names a dimension that no variable has, or shards that cut chunks.

    """
    zarr, sizes = profile.target.zarr, _sizes_of(inputs, axis)
    chunks = _all_chunks("zarr", zarr.chunks, inputs, sizes, axis)
    shards = _all_shards(zarr.shards, chunks, sizes) if zarr.shards else None
    limit = region_bytes(profile.compute.memory_limit)
    return ZarrEncoding(
        chunks=chunks,
        shards=shards,
        version=zarr.version,
        zipped=zarr.zipped,
        multiscales=zarr.multiscales,
        time=axis,
        regions=_regions(inputs, sizes, shards or chunks, axis, limit),
        region_bytes=limit,
    )


def netcdf_encoding(profile: Profile, inputs: tuple[Input, ...], axis: str | None) -> NetcdfEncoding:
    """Returns how a file is encoded, by the profile; arguments and errors as of ``zarr_encoding``."""
    netcdf, sizes = profile.target.netcdf, _sizes_of(inputs, axis)
    chunks = _all_chunks("netcdf", netcdf.chunks, inputs, sizes, axis)
    limit = region_bytes(profile.compute.memory_limit)
    return NetcdfEncoding(
        chunks=chunks,
        level=netcdf.level,
        time=axis,
        regions=_regions(inputs, sizes, chunks, axis, limit),
        region_bytes=limit,
    )


def _variables_of(inputs: tuple[Input, ...]) -> dict[str, Variable]:
    """Returns the variables by name, as the first file has them."""
    variables: dict[str, Variable] = {}
    for source in inputs:
        variables |= {v.name: v for v in source.variables if v.name not in variables}
    return variables


def _sizes_of(inputs: tuple[Input, ...], axis: str | None) -> dict[str, Sizes]:
    return {name: cube_sizes(inputs, variable, axis) for name, variable in _variables_of(inputs).items()}


def _regions(
    inputs: tuple[Input, ...], sizes: dict[str, Sizes], units: dict[str, Sizes], axis: str | None, limit: int
) -> dict[str, Sizes]:
    return {name: region_of(name, inputs, sizes[name], unit, axis=axis, limit=limit) for name, unit in units.items()}


def _all_chunks(
    name: str, wanted: str | Mapping[str, int], inputs: tuple[Input, ...], sizes: dict[str, Sizes], axis: str | None
) -> dict[str, Sizes]:
    if not isinstance(wanted, str):
        _refuse_unknown_dims(f"target.{name}.chunks", wanted, sizes)
        return {key: explicit_chunks(wanted, size) for key, size in sizes.items()}
    return {
        key: chunks_by_rule(wanted, sizes[key], np.dtype(variable.dtype).itemsize, axis, inputs[0].grid.dims)
        for key, variable in _variables_of(inputs).items()
    }


def _all_shards(wanted: Sizes, chunks: dict[str, Sizes], sizes: dict[str, Sizes]) -> dict[str, Sizes]:
    _refuse_unknown_dims("target.zarr.shards", wanted, sizes)
    return {
        name: {dim: _shard(dim, wanted.get(dim), chunk, sizes[name][dim]) for dim, chunk in by_dim.items()}
        for name, by_dim in chunks.items()
    }


def _shard(dim: str, wanted: int | None, chunk: int, size: int) -> int:
    """Returns whole chunks; at the end of a dimension a shard may reach beyond it (Zarr v3, sharding codec)."""
    whole = -(-size // chunk) * chunk
    if wanted is None or chunk >= size:  # one chunk spans the dimension
        return whole
    if wanted % chunk:
        raise Contradiction(
            f"target.zarr.shards.{dim}: {wanted} is no multiple of its chunks of {chunk}",
            f"set {wanted // chunk * chunk or chunk}",
        )
    return min(wanted, whole)


def _refuse_unknown_dims(key: str, wanted: Mapping[str, int], sizes: dict[str, Sizes]) -> None:
    every = list(dict.fromkeys(dim for by_dim in sizes.values() for dim in by_dim))
    unknown = [dim for dim in wanted if dim not in every]
    if unknown:
        raise Contradiction(f"{key} names {unknown[0]}, and the data has {', '.join(every)}", f"correct {key}")


# --- regions: whole write units, no chunk of a source cut, and as much as memory allows -------------------------------


def region_bytes(memory_limit: str | int | None) -> int:
    """Returns the bytes of stored values that a worker has in memory at once, by the memory that it may take.

    >>> region_bytes("1GiB") // 2**20, region_bytes(None) // 2**20
    (256, 576)
    """
    if memory_limit is None:
        return IN_HAND
    from dask.utils import parse_bytes  # noqa: PLC0415 - only where a limit is set

    return max(_LEAST, min(int(parse_bytes(memory_limit)) // _SHARE, IN_HAND))


def region_of(
    name: str, inputs: tuple[Input, ...], sizes: Sizes, unit: Sizes, *, axis: str | None, limit: int
) -> Sizes:
    """Returns the size of a region by dimension, in the order of the loops over regions: the last runs fastest.

    Each chunk of a source lies in one region, or, along time, reaches into the next and is small enough to be kept.

    Args:
        name: of a variable.
        inputs: those of the job.
        sizes: of the variable in the cube, by dimension.
        unit: of what is written at once, by dimension.
        axis: the time dimension of the cube.
        limit: bytes of a region; a larger one is read by way of a scratch file.

    Raises:
        Contradiction: files pack the variable in ways that no type holds.

    """
    held = [variable for source in inputs for variable in source.variables if variable.name == name]
    chunks = {tuple((dim, size) for dim, size in chunk_sizes(v).items() if dim != axis) for v in held}
    region, itemsize = whole_chunks(sizes, unit, map(dict, chunks)), np.dtype(common_packing(held).dtype).itemsize
    if axis not in sizes:
        return region_sizes(sizes, region, itemsize, min(GROW, limit))
    boundaries = time_boundaries(inputs, name, axis)
    step_bytes = math.prod(region.values()) // region[axis] * itemsize
    cut = longest_cut(region[axis], boundaries)
    if cut * step_bytes > min(STRADDLING, limit // 2):
        region[axis] = common_step(region[axis], boundaries)
        cut = 0
    if not cut:
        return region_sizes(sizes, region, itemsize, min(GROW, limit))
    # It grows in time alone, which runs fastest: what is kept is needed next.
    length = max(min(GROW, limit) // step_bytes // region[axis], 1) * region[axis]
    return {dim: region[dim] for dim in sizes if dim != axis} | {axis: min(length, sizes[axis])}
