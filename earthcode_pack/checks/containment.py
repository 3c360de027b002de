"""Stores and files that lead out of themselves: refused by name before a value of them is read.

Whoever hands a file over chooses what its links name, and could have any file of this machine read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthcode_pack.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_REMEDY = "put the data themselves there: copy with cp -rL, or write the file again"
_HDF5_REMEDY = "write it again with its values inside: h5repack, or nccopy"


def refuse_links(folder: Path, name: str) -> None:
    """Refuses a folder in which a symbolic link leads out, or something is neither file nor folder.

    Args:
        folder: a Zarr store, or the product of a bundle; it may itself be a link.
        name: how the message calls it.

    Raises:
        Unreadable: names the first such entry and where it leads.

    """
    root = folder.resolve()
    for entry in _entries(root):
        key = Path(entry.path).relative_to(root).as_posix()
        if entry.is_symlink():
            target = Path(entry.path).resolve()
            if not target.is_relative_to(root):
                raise Unreadable(f"{name}: {key} is a link to {Path(entry.path).readlink()}, outside of it", _REMEDY)
            mode = target.stat().st_mode if target.exists() else stat.S_IFREG
        else:
            mode = entry.stat(follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise Unreadable(f"{name}: {key} is a pipe, a socket or a device", "remove it")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))


def refuse_hdf5_links(root: Any, name: str) -> None:
    """Refuses an HDF5 file that keeps values in other files: by links, raw storage, or virtual datasets.

    HDF5 User's Guide: external links (H5L), external storage (H5P_SET_EXTERNAL), virtual datasets (H5P_SET_VIRTUAL).

    Args:
        root: an open ``h5py.File``; nothing is read but its metadata.
        name: how the message calls the file.

    Raises:
        Unreadable: names the object and the file that it leads to.

    """
    for key, what in _leading_out(root):
        raise Unreadable(f"{name}: {key} {what}", _HDF5_REMEDY)


def _leading_out(root: Any) -> Iterator[tuple[str, str]]:
    import h5py  # noqa: PLC0415 - heavy

    links: list[tuple[bytes, int]] = []
    root.id.links.visit(lambda key, info: links.append((key, info.type)), info=True)
    for raw, kind in links:
        key = raw.decode(errors="replace")
        if kind == h5py.h5l.TYPE_EXTERNAL:
            yield key, f"is an external link to {_text(root.id.links.get_val(raw)[0])}"
        elif kind == h5py.h5l.TYPE_HARD:
            node = h5py.h5o.open(root.id, raw)
            if isinstance(node, h5py.h5d.DatasetID):
                yield from ((key, what) for what in _kept_elsewhere(node.get_create_plist()))


def _kept_elsewhere(properties: Any) -> Iterator[str]:
    import h5py  # noqa: PLC0415 - heavy

    if properties.get_external_count():
        yield f"keeps its values in {_text(properties.get_external(0)[0])}"
    if properties.get_layout() == h5py.h5d.VIRTUAL:
        files = (properties.get_virtual_filename(index) for index in range(properties.get_virtual_count()))
        yield from (f"is a virtual dataset over {_text(file)}" for file in files if _text(file) != ".")


def _text(raw: bytes | str) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else raw
