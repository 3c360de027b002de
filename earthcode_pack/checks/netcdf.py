"""Checks of a NetCDF file on object storage: version, chunks, filters, place of the metadata, and CF."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.cf import cf_findings, open_raw
from earthcode_pack.checks.targets import DECODED, LARGEST_CHUNK, refuse_large_coordinate
from earthcode_pack.errors import Unreadable
from earthcode_pack.execution.child_process import for_opening, isolated
from earthcode_pack.redact import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Finding

_CLASSIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_SMALL = 4_000_000  # bytes: one or two requests fetch it whole
_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"  # netCDF-4's attribute NAME of such an array
_SHUFFLE_OR_CHECKSUM = {2, 3}  # the HDF Group's numbers of filters that do not compress


def netcdf_findings(href: str, subject: str, *, deep: bool = False) -> list[Finding]:
    """Checks a NetCDF or HDF5 file against the rules.

    Args:
        href: Path, or any fsspec URL whose server answers range requests.
        subject: Name of the file in findings.
        deep: Decodes every chunk instead of one of each variable.

    Returns:
        The findings, one of them that the file is unreadable where a library cannot open or decode it.

    """
    found: list[Finding] = []
    try:
        with opened(href) as file:
            classic = file.read(4) in _CLASSIC
            file.seek(0)
            if not classic:  # one by one: what was found before the file breaks is kept
                found.extend(_modern(file, href, subject, deep=deep))
        if classic:
            found.append(rules.NC_VERSION.finding(subject, f"{subject} is NetCDF-3", "NetCDF-3"))
        if classic and "://" not in href:
            with open_classic(Path(href)) as dataset:
                found += cf_findings(dataset, subject)
    except Unreadable as error:
        found.append(rules.UNREADABLE.finding(subject, error.message))
    except (OSError, ValueError, RuntimeError, KeyError, OverflowError, MemoryError) as error:
        found.append(rules.UNREADABLE.finding(subject, f"{subject} cannot be read as NetCDF: {redacted(str(error))}"))
    return found


@contextmanager
def opened(href: str) -> Iterator[Any]:
    """Opens a path or URL as a binary file with random access.

    Args:
        href: Path or URL.

    Yields:
        The file.

    """
    if "://" not in href:
        with Path(href).open("rb") as file:
            yield file
        return
    from earthcode_pack.storage.inputs import filesystem  # noqa: PLC0415 - only for what is remote

    fs, path = filesystem(href)
    with fs.open(path, "rb") as file:
        yield file


@contextmanager
def open_classic(path: Path) -> Iterator[Any]:
    """Opens a NetCDF-3 file with stored values, after a child process opened it without a crash.

    netCDF-C reads some damaged headers out of bounds.

    Args:
        path: The file.

    Yields:
        The xarray dataset, as ``open_raw`` gives it.

    Raises:
        Unreadable: If the child process crashed.

    """
    found = path.stat()
    _open_apart(path, found.st_size, found.st_mtime_ns)
    with open_raw(str(path), engine="netcdf4") as dataset:
        yield dataset


@lru_cache(maxsize=1000)
def _open_apart(path: Path, size: int, _changed: int) -> None:
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
    """Opens a NetCDF-4 or HDF5 file with stored values.

    Args:
        source: Path, or open file.
        name: Name of the file in error messages.

    Yields:
        The xarray dataset, as ``open_raw`` gives it.

    Raises:
        Unreadable: If the file keeps values in other files.

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


def dimensions_without_coordinate(dataset: Any) -> list[str]:
    """Lists the dimensions of data variables along which no coordinate runs, one- or two-dimensional.

    Args:
        dataset: An xarray dataset as ``open_raw`` gives it.

    Returns:
        Their names, sorted.

    """
    used = {str(dim) for variable in dataset.data_vars.values() for dim in variable.dims}
    along = {str(dim) for coordinate in dataset.coords.values() for dim in coordinate.dims}
    return sorted(used - along)


def _modern(file: Any, href: str, subject: str, *, deep: bool) -> Iterator[Finding]:
    """Checks coordinates, CF, chunks, filters, groups and the place of the metadata; decodes chunks at last."""
    import h5py  # noqa: PLC0415 - heavy

    with open_modern(file if "://" in href else href, subject) as dataset:
        for name in dimensions_without_coordinate(dataset):
            yield rules.NC_COORDINATES.finding(subject, f"no coordinate runs along {name} in {subject}", name)
        yield from cf_findings(dataset, subject)
    with h5py.File(file, "r") as root:
        arrays = {
            name: node
            for name, node in root.items()
            if isinstance(node, h5py.Dataset) and not bytes(node.attrs.get("NAME", b"")).startswith(_NO_VARIABLE)
        }
        for name, array in arrays.items():
            yield from _array(array, name, subject)
        groups = [name for name, node in root.items() if isinstance(node, h5py.Group)]
        if groups:
            message = f"{subject} has groups that were not looked at: {', '.join(groups)}"
            yield rules.NC_GROUPS.finding(subject, message, groups)
        paged = root.id.get_create_plist().get_file_space_strategy()[0] == h5py.h5f.FSPACE_STRATEGY_PAGE
        if not paged and file.seek(0, 2) > _SMALL:
            message = f"the metadata of {subject} lies all over the file"
            yield rules.NC_METADATA.finding(subject, message, "file space without pages")
        for array in arrays.values():
            if array.chunks is not None and array.size and _chunk_bytes(array) <= DECODED:
                for selection in array.iter_chunks():
                    array[selection]  # HDF5 raises where a chunk does not decode
                    if not deep:
                        break


def _array(array: Any, name: str, subject: str) -> Iterator[Finding]:
    """Checks chunks and compression of a large array."""
    if array.nbytes <= _SMALL:
        return
    size = _chunk_bytes(array)
    if array.chunks is None:
        yield rules.NC_CHUNKED.finding(subject, f"{name} in {subject} is not chunked", "contiguous")
    elif size > LARGEST_CHUNK:
        yield rules.NC_CHUNKED.finding(subject, f"{name} in {subject} has chunks of {size} bytes", size)
    properties = array.id.get_create_plist()
    filters = {properties.get_filter(index)[0] for index in range(properties.get_nfilters())}
    if not filters - _SHUFFLE_OR_CHECKSUM:
        yield rules.NC_COMPRESSED.finding(subject, f"{name} in {subject} is not compressed", "none")


def _chunk_bytes(array: Any) -> int:
    """Returns the size of a decoded chunk in bytes."""
    return int(prod(array.chunks or array.shape) * array.dtype.itemsize)
