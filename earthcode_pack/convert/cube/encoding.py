"""Chunks, shards and levels of cubes: the options of their jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.convert.cube.chunks import chunks_by_rule, explicit_chunks
from earthcode_pack.convert.cube.region_sizes import in_hand, region_of
from earthcode_pack.convert.cube.variables import cube_sizes
from earthcode_pack.errors import Contradiction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from earthcode_pack.model import Input, Variable
    from earthcode_pack.profile import Profile

Sizes = dict[str, int]


def cube_options(profile: Profile, inputs: tuple[Input, ...], axis: str | None) -> dict[str, Any]:
    """How a cube is stored: chunks (and shards) by variable and dimension, and the name of its time dimension.

    ``regions`` are what is read and written at once, ``region_bytes`` what may be in memory of them.

    Raises ``Contradiction`` where the profile names a dimension that no variable has, or shards that cut chunks.
    """
    variables: dict[str, Variable] = {}
    for source in inputs:
        variables |= {v.name: v for v in source.variables if v.name not in variables}  # as the first file has them
    sizes = {name: cube_sizes(inputs, variable, axis) for name, variable in variables.items()}
    chunks = _all_chunks(profile, variables, sizes, inputs[0], axis)
    if profile.target.format == "netcdf":
        own: dict[str, Any] = {"level": profile.target.netcdf.level}
    else:
        zarr = profile.target.zarr
        shards = _all_shards(zarr.shards, chunks, sizes) if zarr.shards else None
        own = {"shards": shards, "version": zarr.version, "zipped": zarr.zipped, "multiscales": zarr.multiscales}
    limit = in_hand(profile.compute.memory_limit)
    regions = {
        name: region_of(name, inputs, sizes[name], unit, axis=axis, limit=limit)
        for name, unit in (own.get("shards") or chunks).items()
    }
    return {"chunks": chunks, **own, "time": axis, "regions": regions, "region_bytes": limit}


def _all_chunks(
    profile: Profile, variables: dict[str, Variable], sizes: dict[str, Sizes], first: Input, axis: str | None
) -> dict[str, Sizes]:
    name = profile.target.format
    wanted = profile.target.zarr.chunks if name == "zarr" else profile.target.netcdf.chunks
    if not isinstance(wanted, str):
        _refuse_unknown_dims(f"target.{name}.chunks", wanted, sizes)
        return {key: explicit_chunks(wanted, size) for key, size in sizes.items()}
    return {
        key: chunks_by_rule(wanted, sizes[key], np.dtype(variable.dtype).itemsize, axis, first.grid.dims)
        for key, variable in variables.items()
    }


def _all_shards(wanted: Sizes, chunks: dict[str, Sizes], sizes: dict[str, Sizes]) -> dict[str, Sizes]:
    _refuse_unknown_dims("target.zarr.shards", wanted, sizes)
    return {
        name: {dim: _shard(dim, wanted.get(dim), chunk, sizes[name][dim]) for dim, chunk in by_dim.items()}
        for name, by_dim in chunks.items()
    }


def _shard(dim: str, wanted: int | None, chunk: int, size: int) -> int:
    """A shard holds whole chunks; at the end of a dimension it may reach beyond it (Zarr v3, sharding codec)."""
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
