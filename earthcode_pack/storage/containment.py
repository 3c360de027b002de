"""Refusal of inputs whose values lie elsewhere than in their own bytes, or run code when they are read.

HDF5 can take values from any file of the machine: by external links, by external raw storage (h5d, User's Guide 5.5.4)
and as virtual datasets (RFC HDF5 Virtual Dataset). Their sha256 would be that of another file, and who packages files
of others would publish his own. Zarr names a codec by its id, and that of pickle runs what it reads.
"""

from __future__ import annotations

import json
import zipfile
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from earthcode_pack.errors import Unreadable
from earthcode_pack.storage.local_files import files_below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_ZARR_METADATA = {"zarr.json", ".zarray", ".zmetadata"}
_METADATA_BYTES = 256 * 2**20  # of one such file
_REWRITE = (
    "xarray.load_dataset('OLD', engine='h5netcdf', decode_cf=False, phony_dims='sort')"
    ".to_netcdf('NEW.nc', engine='h5netcdf')"
)
_ONE_FILE = f'write it into one file: `python -c "import xarray; {_REWRITE}"`, or name the file that holds the values'


def refuse_values_elsewhere(path: Path) -> None:
    """Refuses an HDF5 or NetCDF-4 file of which anything, in any group, lies in another file.

    Reads metadata alone, once for each state of a file. Raises ``Unreadable`` that names the object and the other file.
    """
    found = path.stat()
    _refuse_values_elsewhere(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=1024)
def _refuse_values_elsewhere(path: Path, _size: int, _changed: int) -> None:
    import h5py  # noqa: PLC0415 - heavy

    with h5py.File(path, "r") as file:
        refuse_values_elsewhere_of(file, path.name)


def refuse_values_elsewhere_of(file: Any, called: str) -> None:
    """Refuses as ``refuse_values_elsewhere`` does, an open ``h5py.File``; ``called`` is how the message names it."""
    for name, what in _elsewhere(file.id):
        raise Unreadable(f"{called}: {name} {what}: only what lies in the file itself is read", _ONE_FILE)


def _elsewhere(root: Any) -> Iterator[tuple[str, str]]:
    """What lies elsewhere, by its name, and how; each object is looked at once, and no link of it is followed."""
    import h5py  # noqa: PLC0415 - heavy

    names: list[tuple[bytes, int]] = []
    root.links.visit(lambda name, info: names.append((name, info.type)), info=True)
    for name, kind in names:
        shown = name.decode("utf-8", "replace")
        if kind == h5py.h5l.TYPE_EXTERNAL:
            target = root.links.get_val(name)[0].decode("utf-8", "replace")
            yield shown, f"is an external link to {target}"
        elif kind == h5py.h5l.TYPE_HARD:
            made = h5py.h5o.open(root, name)
            if isinstance(made, h5py.h5d.DatasetID):
                yield from ((shown, what) for what in _storage_elsewhere(made.get_create_plist()))
        elif kind != h5py.h5l.TYPE_SOFT:
            yield shown, f"is a link of a kind that is not known ({kind})"


def _storage_elsewhere(made: Any) -> Iterator[str]:
    import h5py  # noqa: PLC0415 - heavy

    for index in range(made.get_external_count()):
        yield f"is stored in another file, {made.get_external(index)[0].decode('utf-8', 'replace')}"
    if made.get_layout() == h5py.h5d.VIRTUAL:
        for index in range(made.get_virtual_count()):
            if (name := made.get_virtual_filename(index)) != ".":
                yield f"is a virtual dataset of another file, {name}"


def refuse_codecs_that_run_code(path: Path) -> None:
    """Refuses a Zarr store, a folder or a ZIP, whose metadata name the pickle codec; no array is opened.

    Raises ``Unreadable`` that names the array.
    """
    for key, text in _metadata(path):
        if b"pickle" in text and _names_pickle(_parsed(path, key, text)):
            raise Unreadable(
                f"{path.name}: {key} names the codec pickle, which runs code of whoever wrote it",
                "write the store again with another codec, such as numcodecs.VLenUTF8() for text",
            )


def _metadata(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in files_below(path):
            if file.name in _ZARR_METADATA:
                yield file.relative_to(path).as_posix(), file.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.rpartition("/")[2] in _ZARR_METADATA:
                with archive.open(name) as member:
                    yield name, member.read(_METADATA_BYTES)


def _parsed(path: Path, key: str, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            f"{path.name}: {key} is not JSON that can be read ({type(error).__name__})", "write the store again"
        ) from error


def _names_pickle(metadata: Any) -> bool:
    """Tells whether a codec is named so anywhere: in filters, compressors, and in the codecs of shards."""
    pending = [metadata]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if any("pickle" in str(value.get(key)) for key in ("id", "name")):
                return True
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return False
