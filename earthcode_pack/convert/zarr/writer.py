"""Writes a cube to one Zarr store (v2 or v3): metadata first, then regions of whole write units, each compared."""

from __future__ import annotations

import json
import os
import shutil
import warnings
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec

from earthcode_pack.cf.missing import plain
from earthcode_pack.checks.equality import bits, compare
from earthcode_pack.convert.cube.chunks import job_regions, regions
from earthcode_pack.convert.cube.layout import Layout, layout_of
from earthcode_pack.convert.cube.regions import blocks_within_budget
from earthcode_pack.convert.cube.variables import CubeVariable, Region, cube_variable, names_of
from earthcode_pack.convert.local_inputs import local_sources
from earthcode_pack.convert.proof.stores import prove_cube
from earthcode_pack.convert.statistics import RunningStatistics
from earthcode_pack.convert.work import Part, Record
from earthcode_pack.convert.zarr.objects import StoredForm, compare_unit, form_of, write_unit
from earthcode_pack.execution.threads import in_pool

if TYPE_CHECKING:
    from earthcode_pack.model import Job

_BLOCK = 2**20  # of Blosc; measured twice as fast as its default and smaller
_COPIED = 4 * 2**20  # bytes at once into a ZIP
_CHANGES = "changes.json"
Array = np.ndarray[Any, Any]
_V3_NOTE = "Consolidated metadata is currently not part in the Zarr format 3 specification"


def create_store(job: Job, folder: Path) -> None:
    """Writes ``out.zarr`` into the folder of a job, with all metadata and coordinates."""
    with local_sources(job.inputs) as paths:
        layout = _as_json(layout_of(job, paths))
    _template(layout, job, folder / "out.zarr")
    (folder / _CHANGES).write_text(json.dumps(layout.changes))


def _as_json(layout: Layout) -> Layout:
    """Returns the layout without attributes that JSON lacks, NaN and infinity (RFC 8259, 6), which become changes."""
    lines: list[str] = []

    def is_finite(value: Any) -> bool:
        numbers = np.asarray(value)
        return numbers.dtype.kind != "f" or bool(np.isfinite(numbers).all())

    def kept(attrs: dict[str, Any], name: str) -> dict[str, Any]:
        lost = [key for key, value in attrs.items() if key != "_FillValue" and not is_finite(value)]
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


def parts_of(job: Job, folder: Path) -> list[Part]:
    """Returns the regions of whole write units that fill the store, by the job alone: a resumed run finds the same."""
    parts: list[Part] = []
    for name in names_of(job.inputs):
        variable = cube_variable(name, job)
        for region in job_regions(variable.sizes, job, name):
            parts.append(Part(job=job, folder=str(folder), number=len(parts), variable=name, region=region))
    return parts


def write_region(part: Part) -> Record:
    """Writes one region of one variable, reads it back and compares it with the sources."""
    job, folder = part.job, Path(part.folder)
    variable = cube_variable(str(part.variable), job)
    target = _ArrayWriter(folder / "out.zarr", variable, job)
    total, compared = RunningStatistics(), 0
    with local_sources(variable.inputs) as paths:
        with closing(blocks_within_budget(variable, part.region, job, paths, folder)) as blocks:
            for region, block in blocks:
                total += target.write(region, block)
                compared += block.size
                del block  # before the next one is read
        proof = prove_cube(job, folder / "out.zarr", paths, variable=variable.name, region=part.region)
    return Record(
        number=part.number,
        statistics={variable.name: total},
        compared=compared,
        proof=proof,
        engine=target.engine,
        digests=target.digests,
    )


class _ArrayWriter:
    """Writer of one array of the store, to which blocks of whole write units go."""

    def __init__(self, store: Path, variable: CubeVariable, job: Job) -> None:
        self._variable, self._key, self._store = variable, job.key, store
        self.digests: dict[str, str] = {}  # sha256 by place in the store
        self._array = zarr.open_array(store, path=variable.name, mode="r+")
        self._form = form_of(self._array, store / variable.name)

    @property
    def engine(self) -> str:
        return "direct" if self._form else "zarr-python"

    def write(self, region: Region, block: Array) -> RunningStatistics:
        """Writes a block, reads it back from disk and compares. Returns the statistics of its values."""
        if self._form is None:
            return self._write_through(region, block)
        form, sizes = self._form, {dim: stop - start for dim, (start, stop) in region.items()}
        places = list(regions(sizes, dict(zip(region, form.unit, strict=True))))
        chunk = dict(zip(sizes, form.chunk, strict=True))

        def work(number: int) -> RunningStatistics:
            total = self._write_unit(form, region, block, places[number])
            if number == 0:
                self._spot_check(region, block, {dim: (0, min(chunk[dim], size)) for dim, size in sizes.items()})
            if number == len(places) - 1:
                last = {dim: ((size - 1) // chunk[dim] * chunk[dim], size) for dim, size in sizes.items()}
                self._spot_check(region, block, last)
            return total

        return sum(in_pool(work, range(len(places))), RunningStatistics())

    def _write_unit(self, form: StoredForm, region: Region, block: Array, place: Region) -> RunningStatistics:
        cells = _part(block, place)
        index = tuple((region[dim][0] + place[dim][0]) // n for dim, n in zip(region, form.unit, strict=True))
        total, digest = write_unit(form, cells, index, self._variable.statistics_of)
        if digest is not None:
            self.digests[form.path(index).relative_to(self._store).as_posix()] = digest
        compare_unit(form, cells, index, self._where(region, place))
        return total

    def _spot_check(self, region: Region, block: Array, place: Region) -> None:
        """Compares one chunk of a block, as zarr-python reads it.

        Every value was compared when its unit was read back; this would find a mistake that our reading and writing
        share. All units by way of zarr-python take a third of the CPU time of a conversion to shards.
        """
        cells = _part(block, place)
        back = self._array[tuple(slice(region[dim][0] + a, region[dim][0] + b) for dim, (a, b) in place.items())]
        compare(cells, np.asarray(back).view(cells.dtype), self._where(region, place))

    def _where(self, region: Region, place: Region) -> str:
        bounds = [[region[dim][0] + start, region[dim][0] + stop] for dim, (start, stop) in place.items()]
        return f"{self._key}: {self._variable.name}{bounds}"

    def _write_through(self, region: Region, block: Array) -> RunningStatistics:
        """Writes and compares a block through zarr-python, whatever the codecs."""
        place = tuple(slice(*bounds) for bounds in region.values())
        fill = self._array.fill_value
        array = self._array
        if block.dtype.kind == "f" and fill is not None and np.isnan(fill):
            # Chunks of nothing but the fill value are left out, unless they hold another NaN than that.
            differs = np.isnan(block) & (bits(block) != bits(np.asarray(fill, block.dtype)))
            array = array.with_config({"write_empty_chunks": bool(differs.any())})
        array[place] = block
        compare(block, np.asarray(self._array[place]), f"{self._key}: {self._variable.name}{[*region.values()]}")
        return self._variable.statistics_of(block)


def _part(block: Array, place: Region) -> Array:
    return block[tuple(slice(*span) for span in place.values())]


def finish_store(job: Job, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Completes the store once all regions are written, with its levels where the job has some.

    Args:
        job: the job.
        folder: its folder.

    Returns:
        The path of the store, or of its ZIP, and what it states that the files did not, in words.

    """
    store = folder / "out.zarr"
    for leftover in store.rglob("*.part"):  # of a run that was killed
        leftover.unlink()
    if job.zarr.multiscales:
        from earthcode_pack.convert.zarr import multiscales  # noqa: PLC0415 - where there is a pyramid

        multiscales.add_levels(store, job)
    path = _zipped(store, folder / "out.zarr.zip") if job.zarr.zipped else store
    return path, tuple(json.loads((folder / _CHANGES).read_text()))


def _template(layout: Layout, job: Job, target: Path) -> None:
    """Writes groups, arrays, attributes and coordinates through xarray, so that xarray reads them as its own."""
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
            zarr_format=job.zarr.version,
            write_empty_chunks=False,
        )


def _encoding(variable: CubeVariable, job: Job) -> dict[str, Any]:
    """Returns chunks, codec and fill value: an absent chunk must read as missing, or as zero where no value is."""
    name, version = variable.name, job.zarr.version
    chunks = tuple(job.zarr.chunks[name].values())
    encoding: dict[str, Any] = {"chunks": chunks, "compressors": (compressor(version),)}
    if job.zarr.shards:
        encoding["shards"] = tuple(job.zarr.shards[name].values())
    if version == 3:  # noqa: PLR2004 - the Zarr version; in v2 xarray takes _FillValue itself
        neutral = float("nan") if variable.dtype.kind == "f" else 0  # as xarray writes what states none
        encoding["fill_value"] = variable.dtype.type(neutral if variable.nodata is None else variable.nodata)
    return encoding


def compressor(version: int) -> Any:
    """Returns the codec of data variables, as zarr-python takes it for a version of the format."""
    if version == 3:  # noqa: PLR2004 - the Zarr version
        return BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", blocksize=_BLOCK)
    return numcodecs.Blosc(cname="zstd", clevel=1, shuffle=numcodecs.Blosc.SHUFFLE, blocksize=_BLOCK)


def _zipped(store: Path, target: Path) -> Path:
    """Writes the store at the root of a ZIP, members stored, in one order and without a clock (PRR's form of Zarr)."""
    temporary = target.with_suffix(".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(p for p in store.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(store).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.external_attr, entry.file_size = 0o644 << 16, path.stat().st_size
            with path.open("rb") as file, archive.open(entry, "w") as member:
                shutil.copyfileobj(file, member, _COPIED)
    os.replace(temporary, target)  # noqa: PTH105 - atomic on every platform
    return target


# --- codecs in words ------------------------------------------------------------------------------------------------

_SHUFFLES = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}  # as Zarr v2 counts what v3 names
_UNCOMPRESSED = ("bytes", "crc32c", "transpose")  # codecs of Zarr v3 that do not compress


def codecs_of(path: Path) -> dict[str, str]:
    """Describes the compression of each array of a store, a folder or a ZIP, by its own metadata."""
    return {key: _array_text(array) for key, array in _arrays(path).items()}


def _arrays(path: Path) -> dict[str, Any]:
    """Returns the consolidated metadata of arrays, by their path in the store."""
    three, two = _read(path, "zarr.json"), _read(path, ".zmetadata")
    if three:
        held = three.get("consolidated_metadata") or {}
        return {key: value for key, value in held.get("metadata", {}).items() if value.get("node_type") == "array"}
    suffix = "/.zarray"
    return {key.removesuffix(suffix): value for key, value in two.get("metadata", {}).items() if key.endswith(suffix)}


def _read(path: Path, name: str) -> dict[str, Any]:
    if path.is_dir():
        return dict(json.loads((path / name).read_bytes())) if (path / name).is_file() else {}
    with zipfile.ZipFile(path) as store:
        return dict(json.loads(store.read(name))) if name in store.namelist() else {}


def _array_text(array: dict[str, Any]) -> str:
    """Describes the compression of an array of Zarr v3 (core specification, ``codecs``), or v2 (``compressor``)."""
    if "codecs" not in array:
        compressor = array.get("compressor") or {}
        return _codec_text(str(compressor.get("id", "none")), compressor)
    codecs = list(array["codecs"])
    sharded = next((codec for codec in codecs if codec["name"] == "sharding_indexed"), None)
    inner = sharded["configuration"]["codecs"] if sharded else codecs
    words = [
        _codec_text(codec["name"], codec.get("configuration", {}))
        for codec in inner
        if codec["name"] not in _UNCOMPRESSED
    ]
    return ", ".join([*words, *(["sharded"] if sharded else [])] or ["none"])


def _codec_text(name: str, settings: dict[str, Any]) -> str:
    """Describes a codec with its settings.

    >>> _codec_text("blosc", {"cname": "zstd", "clevel": 1, "shuffle": 1})
    'Blosc zstd, level 1, shuffle'
    """
    level = settings.get("clevel", settings.get("level"))
    shuffle = _SHUFFLES.get(settings.get("shuffle", 0), settings.get("shuffle"))
    parts = [f"Blosc {settings.get('cname')}" if name == "blosc" else name]
    parts += [f"level {level}"] if level is not None else []
    return ", ".join([*parts, *([str(shuffle)] if shuffle != "noshuffle" else [])])
