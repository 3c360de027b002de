"""How what was written is compressed, in words, by what its own metadata say."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from earthcode_pack.model import Job

Json = dict[str, Any]

_SHUFFLES = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}  # as Zarr v2 counts what v3 names
_PLAIN = ("bytes", "crc32c", "transpose")  # codecs of Zarr v3 that do not compress


def codecs_of(path: Path, job: Job, names: Iterable[str]) -> dict[str, str]:
    """The compression of each variable of an output, by its name; one is missing where nothing says it.

    A TIFF names its method and not the level, which is the job's.
    """
    if job.format == "cog":
        level = job.options.get("level")
        words = ", ".join([str(job.options["compression"]), *([f"level {level}"] if level else [])])
        return dict.fromkeys(names, words)
    arrays = {key: _words(array) for key, array in _arrays(path).items()} if job.format == "zarr" else _filters(path)
    return {name: arrays[name] for name in names if name in arrays}


def _filters(path: Path) -> dict[str, str]:
    import h5py  # noqa: PLC0415 - of NetCDF alone

    with h5py.File(path, "r") as file:
        return {name: _hdf5_words(held) for name, held in file.items() if isinstance(held, h5py.Dataset)}


def _hdf5_words(dataset: Any) -> str:
    """By the filters that HDF5 knows by name."""
    if dataset.compression is None:
        return "none"
    method = "deflate" if dataset.compression == "gzip" else str(dataset.compression)
    return ", ".join([method, f"level {dataset.compression_opts}", *(["shuffle"] if dataset.shuffle else [])])


def _arrays(path: Path) -> Json:
    """The consolidated metadata of arrays, by their path in the store."""
    three, two = _read(path, "zarr.json"), _read(path, ".zmetadata")
    if three:
        held = three.get("consolidated_metadata") or {}
        return {key: value for key, value in held.get("metadata", {}).items() if value.get("node_type") == "array"}
    suffix = "/.zarray"
    return {key.removesuffix(suffix): value for key, value in two.get("metadata", {}).items() if key.endswith(suffix)}


def _read(path: Path, name: str) -> Json:
    if path.is_dir():
        return dict(json.loads((path / name).read_bytes())) if (path / name).is_file() else {}
    with zipfile.ZipFile(path) as store:
        return dict(json.loads(store.read(name))) if name in store.namelist() else {}


def _words(array: Json) -> str:
    """Of Zarr v3 (core specification, ``codecs``), or v2 (``compressor``)."""
    if "codecs" not in array:
        compressor = array.get("compressor") or {}
        return _codec(str(compressor.get("id", "none")), compressor)
    codecs = list(array["codecs"])
    sharded = next((codec for codec in codecs if codec["name"] == "sharding_indexed"), None)
    inner = sharded["configuration"]["codecs"] if sharded else codecs
    words = [_codec(codec["name"], codec.get("configuration", {})) for codec in inner if codec["name"] not in _PLAIN]
    return ", ".join([*words, *(["sharded"] if sharded else [])] or ["none"])


def _codec(name: str, settings: Json) -> str:
    """A codec with its settings.

    >>> _codec("blosc", {"cname": "zstd", "clevel": 1, "shuffle": 1})
    'Blosc zstd, level 1, shuffle'
    """
    level = settings.get("clevel", settings.get("level"))
    shuffle = _SHUFFLES.get(settings.get("shuffle", 0), settings.get("shuffle"))
    parts = [f"Blosc {settings.get('cname')}" if name == "blosc" else name]
    parts += [f"level {level}"] if level is not None else []
    return ", ".join([*parts, *([str(shuffle)] if shuffle != "noshuffle" else [])])
