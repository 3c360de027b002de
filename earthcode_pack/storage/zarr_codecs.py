"""Zarr arrays that are refused before anything of them is decoded: by what their metadata name.

The pickle codec of numcodecs rebuilds objects by calling whatever the stored bytes name
(https://docs.python.org/3/library/pickle.html, «Warning»). Storage transformers (Zarr v3 core, «Storage transformers»)
change stored bytes; zarr-python passes over them, although a reader that does not know one must fail.
"""

from __future__ import annotations

import json
import zipfile
from functools import partial
from typing import TYPE_CHECKING, Any

from earthcode_pack.errors import Unreadable
from earthcode_pack.storage.local_files import files_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

RUN_CODE = frozenset({"pickle", "cloudpickle", "dill"})  # ids in Zarr v2, names below ``numcodecs.`` in v3
_DOCUMENTS = {".zarray", ".zmetadata", "zarr.json"}
_DOCUMENT_BYTES = 256 * 2**20  # of one in a ZIP
_WITHIN = ("compressor", "filters", "object_codec", "codecs", "configuration", "index_codecs")
_ARRAYS = ("metadata", "consolidated_metadata")


def codecs_that_run_code(metadata: Any) -> Iterator[str]:
    """Yields the codecs of an array, or of the arrays in consolidated metadata, that would run stored code.

    Args:
        metadata: parsed ``.zarray``, ``zarr.json`` or ``.zmetadata``, or what ``ArrayMetadata.to_dict`` gives.

    >>> list(codecs_that_run_code({"zarr_format": 2, "filters": [{"id": "pickle", "protocol": 5}]}))
    ['pickle']
    >>> list(codecs_that_run_code({"zarr_format": 3, "attributes": {"name": "pickle"}, "codecs": [{"name": "bytes"}]}))
    []

    """
    if not isinstance(metadata, dict):
        return
    for key in _WITHIN:
        value = metadata.get(key)
        for codec in value if isinstance(value, list | tuple) else [value]:
            name = codec.get("id", codec.get("name")) if isinstance(codec, dict) else None
            if isinstance(name, str) and name.lower().rpartition(".")[2] in RUN_CODE:
                yield name
            yield from codecs_that_run_code(codec)
    for key in _ARRAYS:
        arrays = metadata.get(key)
        for part in arrays.values() if isinstance(arrays, dict) else ():
            yield from codecs_that_run_code(part)
            yield from codecs_that_run_code({_ARRAYS[0]: part} if key == _ARRAYS[1] else None)


def storage_transformers_of(metadata: Any) -> Iterator[str]:
    """Yields the storage transformers of an array of Zarr v3 that a reader must understand.

    >>> list(storage_transformers_of({"storage_transformers": [{"name": "chunk-manifest-json"}]}))
    ['chunk-manifest-json']
    """
    named = metadata.get("storage_transformers") if isinstance(metadata, dict) else None
    for transformer in named if isinstance(named, list | tuple) else ():
        if not isinstance(transformer, dict):
            yield str(transformer)
        elif transformer.get("must_understand") is not False:
            yield str(transformer.get("name"))


def refuse_undecodable(documents: Iterable[tuple[str, Any]], name: str) -> None:
    """Refuses a Zarr store of which an array has a codec that runs code, or a storage transformer.

    Args:
        documents: key and parsed JSON of metadata, of ``local_documents`` or ``array_documents``, say. Opening a group
            decodes nothing.
        name: how the message calls the store.

    Raises:
        Unreadable: names the document and the codec or storage transformer.

    """
    for key, document in documents:
        for codec in codecs_that_run_code(document):
            raise Unreadable(
                f"{name}: {key} names the codec {codec}, which runs code that is stored with the data",
                "have it written again with another codec, such as vlen-utf8 for texts",
            )
        for transformer in storage_transformers_of(document):
            raise Unreadable(
                f"{name}: {key} names the storage transformer {transformer}, which Zarr's library does not apply",
                "have it written again without storage transformers",
            )


def documents_of(keys: Iterable[str], read: Callable[[str], bytes]) -> Iterator[tuple[str, Any]]:
    """Yields key and parsed JSON of each metadata document among the keys of a store; what is no JSON is left out."""
    for key in keys:
        if key.rpartition("/")[2] in _DOCUMENTS:
            try:
                yield key, json.loads(read(key))
            except (ValueError, RecursionError):
                continue


def local_documents(path: Path) -> Iterator[tuple[str, Any]]:
    """Yields key and parsed JSON of each metadata document of a local store, a folder or a ZIP."""
    if path.is_dir():
        keys = (file.relative_to(path).as_posix() for file in files_below(path))
        yield from documents_of(keys, lambda key: (path / key).read_bytes())
        return
    with zipfile.ZipFile(path) as archive:
        yield from documents_of(archive.namelist(), partial(_member, archive))


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        return member.read(_DOCUMENT_BYTES)


def array_documents(group: Any) -> Iterator[tuple[str, Any]]:
    """Yields name and metadata of each array of an open Zarr group."""
    for name, array in group.arrays():
        yield name, array.metadata.to_dict()
