"""A cube to one Zarr store (v2 or v3): metadata first, then regions of whole write units, each one compared."""

from __future__ import annotations

import json
import os
import shutil
import warnings
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec

from earthcode_pack.cf.missing import plain
from earthcode_pack.checks.equality import bits, compare
from earthcode_pack.convert.chunks import job_regions, regions
from earthcode_pack.convert.cube import CubeVariable, Region, cube_variable, names_of
from earthcode_pack.convert.fetched import local_sources
from earthcode_pack.convert.held import held_blocks
from earthcode_pack.convert.layout import Layout, layout_of
from earthcode_pack.convert.proof.stores import prove_cube
from earthcode_pack.convert.statistics import Tally
from earthcode_pack.convert.work import Part, Record
from earthcode_pack.convert.zarr_units import Form, compare_unit, form_of, write_unit
from earthcode_pack.execution.threads import in_pool

if TYPE_CHECKING:
    from earthcode_pack.model import Job

_BLOCK = 2**20  # of Blosc; measured twice as fast as its default and smaller
_COPIED = 4 * 2**20  # bytes at once into a ZIP
_CHANGES = "changes.json"
Array = np.ndarray[Any, Any]
_V3_NOTE = "Consolidated metadata is currently not part in the Zarr format 3 specification"


def begin(job: Job, folder: Path) -> None:
    """Makes ``<folder>/out.zarr`` with all metadata and coordinates."""
    with local_sources(job.inputs) as paths:
        layout = _as_json(layout_of(job, paths))
    _template(layout, job, folder / "out.zarr")
    (folder / _CHANGES).write_text(json.dumps(layout.changes))


def _as_json(layout: Layout) -> Layout:
    """The layout without the attributes that JSON cannot hold, NaN and infinity (RFC 8259, 6), which become changes."""
    lines: list[str] = []

    def kept(attrs: dict[str, Any], name: str) -> dict[str, Any]:
        lost = [key for key, value in attrs.items() if key != "_FillValue" and not _is_finite(value)]
        lines.extend(f"{name}: {key} {plain(attrs[key])} dropped, JSON has no such number" for key in lost)
        return {key: value for key, value in attrs.items() if key not in lost}

    return Layout(
        variables=layout.variables,
        attributes={name: kept(attrs, name) for name, attrs in layout.attributes.items()},
        others={
            name: xr.Variable(other.dims, other.data, kept(other.attrs, name)) for name, other in layout.others.items()
        },
        attrs=kept(layout.attrs, "global attributes"),
        changes=(*layout.changes, *lines),
    )


def _is_finite(value: Any) -> bool:
    numbers = np.asarray(value)
    return numbers.dtype.kind != "f" or bool(np.isfinite(numbers).all())


def parts_of(job: Job, folder: Path) -> list[Part]:
    """The regions of whole write units that fill the store; by the job alone, so that a resumed run finds the same."""
    parts: list[Part] = []
    for name in names_of(job.inputs):
        variable = cube_variable(name, job)
        for region in job_regions(variable.sizes, job, name):
            parts.append(Part(job=job, folder=str(folder), number=len(parts), variable=name, region=region))
    return parts


def write(part: Part) -> Record:
    """Writes one region of one variable, reads it back and compares."""
    job, folder = part.job, Path(part.folder)
    variable = cube_variable(str(part.variable), job)
    target = _Target(folder / "out.zarr", variable, job)
    total, compared = Tally(), 0
    with local_sources(variable.inputs) as paths:
        with closing(held_blocks(variable, part.region, job, paths, folder)) as blocks:
            for region, block in blocks:
                total += target.write(region, block)
                compared += block.size
                del block  # before the next one is read
        proof = prove_cube(job, folder / "out.zarr", paths, variable=variable.name, region=part.region)
    return Record(
        number=part.number,
        tallies={variable.name: total},
        compared=compared,
        proof=proof,
        engine=target.engine,
        digests=target.digests,
    )


class _Target:
    """One array of the store, to which blocks of whole write units go."""

    def __init__(self, store: Path, variable: CubeVariable, job: Job) -> None:
        self._variable, self._key, self._store = variable, job.key, store
        self.digests: dict[str, str] = {}  # sha256 by place in the store
        self._array = zarr.open_array(store, path=variable.name, mode="r+")
        self._form = form_of(self._array, store / variable.name)

    @property
    def engine(self) -> str:
        return "direct" if self._form else "zarr-python"

    def write(self, region: Region, block: Array) -> Tally:
        """Writes a block, reads it back from disk and compares. Returns the statistics of its values."""
        if self._form is None:
            return self._write_through(region, block)
        return self._write_units(self._form, region, block)

    def _write_units(self, form: Form, region: Region, block: Array) -> Tally:
        """Each write unit is a piece of work of the pool. The first and the last are read by zarr-python as well."""
        sizes = {dim: stop - start for dim, (start, stop) in region.items()}
        places = list(regions(sizes, dict(zip(region, form.unit, strict=True))))
        first, last = _corners(form, sizes)

        def work(number: int) -> Tally:
            total = self._write_unit(form, region, block, places[number])
            if number == 0:
                self._spot_check(region, block, first)
            if number == len(places) - 1:
                self._spot_check(region, block, last)
            return total

        return sum(in_pool(work, range(len(places))), Tally())

    def _write_unit(self, form: Form, region: Region, block: Array, place: Region) -> Tally:
        cells = _part(block, place)
        index = tuple((region[dim][0] + place[dim][0]) // n for dim, n in zip(region, form.unit, strict=True))
        total, digest = write_unit(form, cells, index, self._variable.tally)
        if digest is not None:
            self.digests[form.path(index).relative_to(self._store).as_posix()] = digest
        compare_unit(form, cells, index, self._where(region, place))
        return total

    def _spot_check(self, region: Region, block: Array, place: Region) -> None:
        """One chunk of a block, as zarr-python gives it to users.

        Every value was compared when its unit was read back; this would find a mistake that our reading and writing
        share. All units by way of zarr-python take a third of the CPU time of a conversion to shards.
        """
        cells = _part(block, place)
        back = self._array[tuple(slice(region[dim][0] + a, region[dim][0] + b) for dim, (a, b) in place.items())]
        compare(cells, np.asarray(back).view(cells.dtype), self._where(region, place))

    def _where(self, region: Region, place: Region) -> str:
        bounds = [[region[dim][0] + start, region[dim][0] + stop] for dim, (start, stop) in place.items()]
        return f"{self._key}: {self._variable.name}{bounds}"

    def _write_through(self, region: Region, block: Array) -> Tally:
        """Through zarr-python, whatever the codecs."""
        place = tuple(slice(*bounds) for bounds in region.values())
        _writable(self._array, block)[place] = block
        compare(block, np.asarray(self._array[place]), f"{self._key}: {self._variable.name}{[*region.values()]}")
        return self._variable.tally(block)


def _writable(array: zarr.Array[Any], block: Array) -> Any:
    """The array; chunks of nothing but the fill value are left out, unless they hold another NaN than that."""
    if block.dtype.kind != "f" or array.fill_value is None or not np.isnan(array.fill_value):
        return array
    fill = np.asarray(array.fill_value, block.dtype)
    whole = bool((np.isnan(block) & (bits(block) != bits(fill))).any())
    return array.with_config({"write_empty_chunks": whole})


def _part(block: Array, place: Region) -> Array:
    return block[tuple(slice(*span) for span in place.values())]


def _corners(form: Form, sizes: dict[str, int]) -> tuple[Region, Region]:
    """The first and the last chunk of a block, the last one clipped."""
    first = {dim: (0, min(chunk, size)) for (dim, size), chunk in zip(sizes.items(), form.chunk, strict=True)}
    last = {
        dim: ((size - 1) // chunk * chunk, size) for (dim, size), chunk in zip(sizes.items(), form.chunk, strict=True)
    }
    return first, last


def changes(folder: Path) -> tuple[str, ...]:
    """What the store says that the files did not, in words."""
    return tuple(json.loads((folder / _CHANGES).read_text()))


def finish(job: Job, folder: Path) -> Path:
    """The finished store, or its ZIP."""
    store = folder / "out.zarr"
    for leftover in store.rglob("*.part"):  # of a run that was killed
        leftover.unlink()
    if job.options["multiscales"]:
        from earthcode_pack.convert import multiscales  # noqa: PLC0415 - where there is a pyramid

        multiscales.add_levels(store, job)
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
            entry.external_attr, entry.file_size = 0o644 << 16, path.stat().st_size
            with path.open("rb") as file, archive.open(entry, "w") as member:
                shutil.copyfileobj(file, member, _COPIED)
    os.replace(temporary, target)  # noqa: PTH105 - atomic on every platform
    return target
