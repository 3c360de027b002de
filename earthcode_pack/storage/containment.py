"""Refusal of HDF5 whose values lie elsewhere than in its own bytes.

HDF5 can take values from any file of the machine: by external links, by external raw storage (h5d, User's Guide 5.5.4)
and as virtual datasets (RFC HDF5 Virtual Dataset). Their sha256 would be that of another file, and who packages files
of others would publish his own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from earthcode_pack.errors import Unreadable
from earthcode_pack.storage.identity import marks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_REWRITE = (
    "xarray.load_dataset('OLD', engine='h5netcdf', decode_cf=False, phony_dims='sort')"
    ".to_netcdf('NEW.nc', engine='h5netcdf')"
)
_ONE_FILE = f'write it into one file: `python -c "import xarray; {_REWRITE}"`, or name the file that holds the values'


def refuse_values_elsewhere(path: Path) -> None:
    """Refuses an HDF5 or NetCDF-4 file of which anything, in any group, lies in another file.

    Reads metadata alone, once for each state of a file. Raises ``Unreadable`` that names the object and the other file.
    """
    _refuse_values_elsewhere(path, marks(path.stat()))


@lru_cache(maxsize=1024)
def _refuse_values_elsewhere(path: Path, _state: tuple[int, ...]) -> None:
    import h5py  # noqa: PLC0415 - heavy

    with h5py.File(path, "r") as file:
        refuse_values_elsewhere_of(file, path.name)


def refuse_values_elsewhere_of(file: Any, called: str) -> None:
    """Refuses as ``refuse_values_elsewhere`` does, an open ``h5py.File``; ``called`` is how the message names it."""
    for name, what in _elsewhere(file.id):
        raise Unreadable(f"{called}: {name} {what}: only what lies in the file itself is read", _ONE_FILE)


def _elsewhere(root: Any) -> Iterator[tuple[str, str]]:
    """Yields what lies elsewhere, by its name, and how; each object once, and no link of it is followed."""
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
