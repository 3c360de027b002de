"""A cube to one Zarr store (v2 or v3): metadata first, then regions of whole write units, each one compared."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec

from earthcode_pack.checks.equality import bits, compare
from earthcode_pack.convert.chunks import region_sizes, regions
from earthcode_pack.convert.cube import CubeVariable, cube_variable, names_of, read_block
from earthcode_pack.convert.fetched import local_sources
from earthcode_pack.convert.layout import Layout, layout_of
from earthcode_pack.convert.work import Part, Record

if TYPE_CHECKING:
    from earthcode_pack.model import Job

_BLOCK = 2**20  # of Blosc; measured twice as fast as its default and smaller
_CHANGES = "changes.json"
Array = np.ndarray[Any, Any]
_V3_NOTE = "Consolidated metadata is currently not part in the Zarr format 3 specification"


def begin(job: Job, folder: Path) -> None:
    """Makes ``<folder>/out.zarr`` with all metadata and coordinates."""
    with local_sources(job.inputs) as paths:
        layout = layout_of(job, paths)
    _template(layout, job, folder / "out.zarr")
    (folder / _CHANGES).write_text(json.dumps(layout.changes))


def parts_of(job: Job, folder: Path) -> list[Part]:
    """The regions of whole write units that fill the store; by the job alone, so that a resumed run finds the same."""
    parts: list[Part] = []
    for name in names_of(job.inputs):
        variable = cube_variable(name, job)
        unit = (job.options["shards"] or job.options["chunks"])[name]
        size = region_sizes(variable.sizes, unit, variable.dtype.itemsize, job.options["region_bytes"])
        for region in regions(variable.sizes, size):
            parts.append(Part(job=job, folder=str(folder), number=len(parts), variable=name, region=region))
    return parts


def write(part: Part) -> Record:
    """Writes one region of one variable, reads it back and compares."""
    job, folder = part.job, Path(part.folder)
    variable = cube_variable(str(part.variable), job)
    with local_sources(variable.inputs) as paths:
        block = read_block(variable, part.region, job.options["time"], paths)
    place = tuple(slice(*part.region[dim]) for dim in variable.sizes)
    _writable(folder / "out.zarr", variable, block)[place] = block
    back = np.asarray(zarr.open_array(folder / "out.zarr", path=variable.name, mode="r")[place])
    where = f"{job.key}: {variable.name}{[list(part.region[dim]) for dim in variable.sizes]}"
    compare(block, back, where)
    return Record(
        number=part.number,
        tallies={variable.name: variable.tally(block)},
        compared=block.size,
        engine="zarr-python",
    )


def _writable(store: Path, variable: CubeVariable, block: Array) -> Any:
    """The array; chunks of nothing but the fill value are left out, unless they hold another NaN than that."""
    array = zarr.open_array(store, path=variable.name, mode="r+")
    if block.dtype.kind != "f" or array.fill_value is None or not np.isnan(array.fill_value):
        return array
    fill = np.asarray(array.fill_value, block.dtype)
    whole = bool((np.isnan(block) & (bits(block) != bits(fill))).any())
    return array.with_config({"write_empty_chunks": whole})


def changes(folder: Path) -> tuple[str, ...]:
    """What the store says that the files did not, in words."""
    return tuple(json.loads((folder / _CHANGES).read_text()))


def finish(job: Job, folder: Path) -> Path:
    """The finished store, or its ZIP."""
    store = folder / "out.zarr"
    return _zipped(store, folder / "out.zarr.zip") if job.options["zipped"] else store


def _template(layout: Layout, job: Job, target: Path) -> None:
    """Groups, arrays, attributes and coordinates, through xarray, so that xarray reads them as its own."""
    import dask.array  # noqa: PLC0415 - only to stand for values that are not there yet

    data = {
        name: xr.Variable(
            tuple(v.sizes),
            dask.array.zeros(tuple(v.sizes.values()), dtype=v.dtype, chunks=-1),
            layout.attributes[name],
        )
        for name, v in layout.variables.items()
    }
    dataset = xr.Dataset({**layout.others, **data}, attrs=layout.attrs)
    for name, variable in layout.variables.items():
        dataset[name].encoding = _encoding(variable, job)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_V3_NOTE)
        dataset.to_zarr(
            target,
            mode="w",
            compute=False,
            consolidated=True,
            zarr_format=job.options["version"],
            write_empty_chunks=False,
        )


def _encoding(variable: CubeVariable, job: Job) -> dict[str, Any]:
    """Chunks, codec and fill value: a chunk that is not there must read as missing, or as zero where nothing is."""
    name, version = variable.name, job.options["version"]
    encoding: dict[str, Any] = {"chunks": tuple(job.options["chunks"][name].values()), "compressors": _codec(version)}
    if job.options["shards"]:
        encoding["shards"] = tuple(job.options["shards"][name].values())
    if version == 3:  # noqa: PLR2004 - the Zarr version; in v2 xarray takes _FillValue itself
        encoding["fill_value"] = _fill_value(variable)
    return encoding


def _fill_value(variable: CubeVariable) -> Any:
    """What an absent chunk reads as: missing, which xarray writes as NaN for floats that state nothing, else zero."""
    neutral = float("nan") if variable.dtype.kind == "f" else 0
    return variable.dtype.type(neutral if variable.nodata is None else variable.nodata)


def _codec(version: int) -> tuple[Any, ...]:
    if version == 3:  # noqa: PLR2004 - the Zarr version
        return (BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", blocksize=_BLOCK),)
    import numcodecs  # noqa: PLC0415 - of v2 alone

    return (numcodecs.Blosc(cname="zstd", clevel=1, shuffle=numcodecs.Blosc.SHUFFLE, blocksize=_BLOCK),)


def _zipped(store: Path, target: Path) -> Path:
    """The store at the root of a ZIP, members stored, in one order and without a clock (PRR's form of Zarr)."""
    temporary = target.with_suffix(".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(p for p in store.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(store).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    os.replace(temporary, target)  # noqa: PTH105 - atomic on every platform
    return target
