"""A NetCDF file on object storage: version, chunks, filters, place of the metadata, and its CF metadata."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.cf import cf_findings, open_raw
from earthcode_pack.checks.limits import DECODED, LARGEST_CHUNK, SMALL, refuse_large_coordinate
from earthcode_pack.errors import Unreadable
from earthcode_pack.execution.child_process import for_opening, isolated
from earthcode_pack.redact import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Finding

_CLASSIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")


def netcdf_findings(href: str, subject: str, *, deep: bool = False) -> list[Finding]:
    """What a NetCDF or HDF5 file breaks of the rules; ``deep`` decodes every chunk instead of one of each variable.

    ``href`` is a path, or any fsspec URL whose server answers ranges.
    """
    found: list[Finding] = []
    try:
        with opened(href) as file:
            classic = file.read(4) in _CLASSIC
            file.seek(0)
            kept = _classic(href, subject) if classic else _modern(file, href, subject, deep=deep)
            found.extend(kept)  # item by item: what was found before the file breaks is kept
    except Unreadable as error:
        found.append(rules.UNREADABLE.finding(subject, error.message))
    except (OSError, ValueError, RuntimeError, KeyError, OverflowError, MemoryError) as error:
        found.append(rules.UNREADABLE.finding(subject, f"{subject} cannot be read as NetCDF: {redacted(str(error))}"))
    return found


@contextmanager
def opened(href: str) -> Iterator[Any]:
    """The bytes behind a path or URL, as a file of which parts can be read."""
    if "://" not in href:
        with Path(href).open("rb") as file:
            yield file
        return
    from earthcode_pack.storage.inputs import filesystem  # noqa: PLC0415 - only for what is remote

    fs, path = filesystem(href)
    with fs.open(path, "rb") as file:
        yield file


def _classic(href: str, subject: str) -> Iterator[Finding]:
    yield rules.NC_VERSION.finding(subject, f"{subject} is NetCDF-3", "NetCDF-3")
    if "://" not in href:
        with open_classic(Path(href)) as dataset:
            yield from cf_findings(dataset, subject)


def _modern(file: Any, href: str, subject: str, *, deep: bool) -> Iterator[Finding]:
    with open_modern(file if "://" in href else href, subject) as dataset:
        yield from _coordinates(dataset, subject)
        yield from cf_findings(dataset, subject)
    yield from _storage(file, subject, deep=deep)


@contextmanager
def open_classic(path: Path) -> Iterator[Any]:
    """A NetCDF-3 file as ``open_raw`` gives it, once a child process has opened it too.

    netCDF-C reads some damaged headers out of bounds, and crashes. Raises ``Unreadable`` where it does.
    """
    found = path.stat()
    _opened_apart(path, found.st_size, found.st_mtime_ns)
    with open_raw(str(path), engine="netcdf4") as dataset:
        yield dataset


@lru_cache(maxsize=1000)
def _opened_apart(path: Path, size: int, _changed: int) -> None:
    isolated(_open_with_netcdf_c, str(path.absolute()), subject=path.name, limits=for_opening(size))


def _open_with_netcdf_c(path: str) -> None:
    """Opens a file and reads all its attributes; runs in a child process."""
    import netCDF4  # noqa: PLC0415 - heavy

    with netCDF4.Dataset(path) as file:
        held: list[netCDF4.Dataset | netCDF4.Variable[Any]] = [file, *file.variables.values()]
        for one in held:
            for name in one.ncattrs():
                one.getncattr(name)


@contextmanager
def open_modern(source: Any, name: str) -> Iterator[Any]:
    """A NetCDF-4 or HDF5 file, by its path or as an open file, as ``open_raw`` gives it.

    Raises ``Unreadable`` where it keeps values in other files; ``name`` is how the message calls it.
    """
    import h5py  # noqa: PLC0415 - heavy

    from earthcode_pack.storage.containment import refuse_values_elsewhere_of  # noqa: PLC0415 - zarr, s3fs

    with h5py.File(source, "r") as root:
        refuse_values_elsewhere_of(root, name)
        for key, item in root.items():
            if isinstance(item, h5py.Dataset) and item.is_scale:
                refuse_large_coordinate(name, key, item.nbytes)
    with open_raw(source, engine="h5netcdf", phony_dims="access") as dataset:
        yield dataset


def _coordinates(dataset: Any, subject: str) -> Iterator[Finding]:
    for name in dimensions_without_coordinate(dataset):
        yield rules.NC_COORDINATES.finding(subject, f"no coordinate runs along {name} in {subject}", name)


def dimensions_without_coordinate(dataset: Any) -> list[str]:
    """Dimensions of data variables along which no coordinate runs, one- or two-dimensional."""
    used = {str(dim) for variable in dataset.data_vars.values() for dim in variable.dims}
    along = {str(dim) for coordinate in dataset.coords.values() for dim in coordinate.dims}
    return sorted(used - along)


def _storage(file: Any, subject: str, *, deep: bool) -> Iterator[Finding]:
    import h5py  # noqa: PLC0415 - heavy

    with h5py.File(file, "r") as root:
        arrays = {name: node for name, node in root.items() if isinstance(node, h5py.Dataset) and not _is_bare(node)}
        for name, array in arrays.items():
            yield from _array(array, name, subject)
        groups = [name for name, node in root.items() if isinstance(node, h5py.Group)]
        if groups:
            message = f"{subject} has groups that were not looked at: {', '.join(groups)}"
            yield rules.NC_GROUPS.finding(subject, message, groups)
        if not _paged(root) and _size(file) > SMALL:
            message = f"the metadata of {subject} lies all over the file"
            yield rules.NC_METADATA.finding(subject, message, "file space without pages")
        for array in arrays.values():
            _decode(array, deep=deep)


def _is_bare(array: Any) -> bool:
    """Whether it only stands for a dimension that has no variable (netCDF-4 keeps such arrays)."""
    return bytes(array.attrs.get("NAME", b"")).startswith(b"This is a netCDF dimension but not a netCDF variable")


def _size(file: Any) -> int:
    file.seek(0, 2)
    return int(file.tell())


def _paged(root: Any) -> bool:
    import h5py  # noqa: PLC0415 - heavy

    return bool(root.id.get_create_plist().get_file_space_strategy()[0] == h5py.h5f.FSPACE_STRATEGY_PAGE)


def _array(array: Any, name: str, subject: str) -> Iterator[Finding]:
    if array.nbytes <= SMALL:
        return
    if array.chunks is None:
        yield rules.NC_CHUNKED.finding(subject, f"{name} in {subject} is not chunked", "contiguous")
    elif _block(array) > LARGEST_CHUNK:
        yield rules.NC_CHUNKED.finding(
            subject, f"{name} in {subject} has chunks of {_block(array)} bytes", _block(array)
        )
    if not _compressed(array):
        yield rules.NC_COMPRESSED.finding(subject, f"{name} in {subject} is not compressed", "none")


def _block(array: Any) -> int:
    """Bytes of a decoded chunk."""
    return int(prod(array.chunks or array.shape) * array.dtype.itemsize)


def _compressed(array: Any) -> bool:
    """Whether a filter besides shuffle (2) and the checksum (3) is at work, by the numbers of the HDF Group."""
    properties = array.id.get_create_plist()
    return any(properties.get_filter(i)[0] not in {2, 3} for i in range(properties.get_nfilters()))


def _decode(array: Any, *, deep: bool) -> None:
    """Reads chunk by chunk; HDF5 raises where one does not decode."""
    if array.chunks is None or array.size == 0 or _block(array) > DECODED:
        return
    for selection in array.iter_chunks():
        array[selection]
        if not deep:
            return
