"""Checks of a Zarr store, as a folder, zipped or remote: metadata, chunks, and the levels of a pyramid."""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.cf import cf_findings, open_raw
from earthcode_pack.checks.netcdf import dimensions_without_coordinate, opened
from earthcode_pack.checks.targets import DECODED, LARGEST_CHUNK, refuse_large_coordinate
from earthcode_pack.errors import Unreadable
from earthcode_pack.files import refuse_links
from earthcode_pack.redact import redacted
from earthcode_pack.storage.zarr_codecs import (
    array_documents,
    documents_of,
    local_documents,
    refuse_undecodable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Finding

MANY = 1000  # objects
_SMALLEST_CHUNK = 1_000_000  # bytes, compressed: below it the requests cost more than the bytes
_WIDE = 2048  # rows and columns: a larger grid is not shown on a map without coarser levels
_MAP = 2  # dimensions
_BROKEN = (OSError, ValueError, KeyError, RuntimeError, TypeError, OverflowError, MemoryError, zipfile.BadZipFile)


@dataclass(frozen=True)
class _Store:
    """An open store, and the size in bytes of each key; None if keys cannot be listed."""

    handle: Any
    subject: str
    sizes: dict[str, int] | None


def zarr_findings(href: str, subject: str, *, deep: bool = False) -> list[Finding]:
    """Checks a Zarr store against the rules.

    Args:
        href: A folder or ``.zarr.zip``, by its path or any fsspec URL whose server answers range requests.
        subject: Name of the store in findings.
        deep: Reads every stored chunk instead of one of each variable.

    Returns:
        The findings, one of them that the store is unreadable where zarr cannot open or decode it.

    """
    found: list[Finding] = []
    try:
        sizes = None
        if is_zip(href):
            with opened(href) as file, zipfile.ZipFile(file) as archive:  # a remote zip is read by ranges
                members = archive.infolist()
            found += _zip_members(members, subject)
            if any(finding.rule == rules.ZARR_ZIP_ROOT.id for finding in found):
                return found
            sizes = {member.filename: member.compress_size for member in members}
        elif "://" not in href:
            files = (path for path in Path(href).rglob("*") if path.is_file())
            sizes = {path.relative_to(href).as_posix(): path.stat().st_size for path in files}
        with open_store(href) as handle:
            found.extend(_groups(_Store(handle, subject, sizes), deep=deep))  # keeps what came before an error
    except Unreadable as error:
        found.append(rules.UNREADABLE.finding(subject, error.message))
    except _BROKEN as error:
        message = f"{subject} cannot be read as Zarr: {type(error).__name__}: {redacted(str(error))}"
        found.append(rules.UNREADABLE.finding(subject, message))
    return found


def is_zip(href: str) -> bool:
    """Tells whether a store is a zip, by its name."""
    return href.partition("?")[0].rstrip("/").endswith(".zip")


def _zip_members(members: list[zipfile.ZipInfo], subject: str) -> Iterator[Finding]:
    names = {member.filename for member in members}
    if "zarr.json" not in names and not {".zgroup", ".zattrs"} <= names:
        message = f"the root of {subject} holds neither .zgroup and .zattrs nor zarr.json"
        yield rules.ZARR_ZIP_ROOT.finding(subject, message, sorted(name.split("/")[0] for name in names)[:5])
    deflated = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    if deflated:
        message = f"{len(deflated)} members of {subject} are compressed, {deflated[0]} for one"
        yield rules.ZARR_ZIP_STORED.finding(subject, message, len(deflated))


# --- opening


@contextmanager
def open_store(href: str) -> Iterator[Any]:
    """Opens a folder, a zip or an fsspec URL as a read-only Zarr store, without running code of its codecs.

    Args:
        href: Path or URL.

    Yields:
        The store.

    Raises:
        Unreadable: If a codec would run code, a link leads out of the folder, or a member of a zip is too large.

    """
    from zarr.storage import FsspecStore, LocalStore, ZipStore  # noqa: PLC0415 - heavy

    if "://" in href:
        from earthcode_pack.storage.inputs import filesystem  # noqa: PLC0415 - only for what is remote

        fs, path = filesystem(f"zip://::{href}" if is_zip(href) else href)
        yield FsspecStore.from_mapper(fs.get_mapper(path.rstrip("/")), read_only=True)
    elif is_zip(href):
        refuse_undecodable(_zip_documents(href), Path(href).name)
        with ZipStore(href, mode="r") as store:
            yield store
    else:
        refuse_links(Path(href))
        refuse_undecodable(local_documents(Path(href)), Path(href).name)
        yield LocalStore(href, read_only=True)


def _zip_documents(href: str) -> Iterator[tuple[str, Any]]:
    """Yields the metadata in a zip, none of whose members may unpack to more than a chunk may have."""
    with zipfile.ZipFile(href) as archive:
        members = archive.infolist()
        large = next((m for m in members if m.compress_type != zipfile.ZIP_STORED and m.file_size > DECODED), None)
        if large is not None:
            raise Unreadable(
                f"{Path(href).name}: {large.filename} unpacks to {large.file_size} bytes, more than {DECODED}",
                "zip the store again without compression",
            )
        yield from documents_of((member.filename for member in members), archive.read)


@contextmanager
def open_group(handle: Any, path: str = "") -> Iterator[Any]:
    """Opens a group of a store with stored values, by its consolidated metadata where there are any.

    Args:
        handle: A store from ``open_store``.
        path: Path of the group, empty for the root.

    Yields:
        The xarray dataset, as ``open_raw`` gives it.

    Raises:
        Unreadable: If a codec would run code.

    """
    import zarr  # noqa: PLC0415 - heavy

    root = zarr.open_group(handle, mode="r")
    group: Any = root[path] if path else root
    refuse_undecodable(array_documents(group), "the store")  # also of a remote store
    for name, array in group.arrays():
        if _dimensions(array) == (name,):
            refuse_large_coordinate("the store", name, array.nbytes)
    consolidated = root.metadata.consolidated_metadata is not None
    with open_raw(handle, "zarr", group=path or None, consolidated=consolidated) as dataset:
        yield dataset


# --- groups and arrays


def _groups(store: _Store, *, deep: bool) -> Iterator[Finding]:
    import zarr  # noqa: PLC0415 - heavy

    root, subject = zarr.open_group(store.handle, mode="r"), store.subject
    yield from _consolidated(root, store)
    members = sorted(root.members(max_depth=None))
    nodes = {"": root} | {path: node for path, node in members if isinstance(node, zarr.Group)}
    data = {path: group for path, group in nodes.items() if any(True for _ in group.arrays())}
    if not data:
        yield rules.ZARR_EMPTY.finding(subject, f"{subject} holds no array")
    yield from _level_findings(nodes, subject)
    levels = {  # groups that a layout derives from another: their chunks are those of what they are made from
        _asset_path(path, entry) for path, group in nodes.items() for entry in _layout(group) if "derived_from" in entry
    }
    for path, group in data.items():
        refuse_undecodable(array_documents(group), subject)
        unnamed = list(_dimension_names(group, path, subject))
        yield from unnamed
        if not unnamed:  # xarray does not open it otherwise
            with open_group(store.handle, path) as dataset:
                yield from _coordinates_and_fills(dataset, subject)
                if path == next(iter(data)):  # the other levels of a pyramid repeat the metadata
                    yield from cf_findings(dataset, subject)
        for name, array in group.arrays():
            yield from _chunks(array, _join(path, name), store, deep=deep, judge_sizes=path not in levels)
    if store.sizes is None:
        yield rules.ZARR_NOT_LISTED.finding(subject, f"the chunks of {subject} were not listed")


def _join(path: str, name: str) -> str:
    return f"{path}/{name}".strip("/")


def _consolidated(root: Any, store: _Store) -> Iterator[Finding]:
    """Checks that there are consolidated metadata, and that they are those of the arrays."""
    import zarr  # noqa: PLC0415 - heavy

    if root.metadata.consolidated_metadata is None:
        message = f"{store.subject} (Zarr v{root.metadata.zarr_format}) has no consolidated metadata"
        yield rules.ZARR_CONSOLIDATED.finding(store.subject, message)
    elif store.sizes is not None:
        told, true = (
            {
                name: [list(node.shape), str(node.dtype), list(node.chunks), str(node.fill_value)]
                for name, node in group.members(max_depth=None)
                if isinstance(node, zarr.Array)
            }
            for group in (root, zarr.open_group(store.handle, mode="r", use_consolidated=False))
        )
        wrong = sorted(name for name in told.keys() | true.keys() if told.get(name) != true.get(name))
        if wrong:
            message = f"the consolidated metadata of {store.subject} differ from those of {', '.join(wrong)}"
            measured, allowed = {n: told.get(n) for n in wrong}, {n: true.get(n) for n in wrong}
            yield rules.ZARR_STALE.finding(store.subject, message, measured, allowed)


def _dimension_names(group: Any, path: str, subject: str) -> Iterator[Finding]:
    for name, array in group.arrays():
        names = array.attrs.get("_ARRAY_DIMENSIONS")
        if array.metadata.zarr_format != 2:  # noqa: PLR2004 - since v3 they are part of the format
            names = getattr(array.metadata, "dimension_names", None)
        if array.ndim and (names is None or len(names) != array.ndim or None in names):
            message = f"{_join(path, name)} in {subject} names its {array.ndim} dimensions {names}"
            yield rules.ZARR_DIMENSIONS.finding(subject, message, list(names or []), array.ndim)


def _dimensions(array: Any) -> tuple[str, ...]:
    """Returns the names of an array's dimensions: its own in v3, xarray's attribute in v2."""
    return tuple(getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ())


def _coordinates_and_fills(dataset: Any, subject: str) -> Iterator[Finding]:
    """Checks coordinates, and that chunks which were never written read as nodata."""
    for name in dimensions_without_coordinate(dataset):
        yield rules.ZARR_COORDINATES.finding(subject, f"no coordinate runs along {name} in {subject}", name)
    for name, variable in dataset.data_vars.items():
        fill, nodata = variable.encoding.get("fill_value"), variable.attrs.get("_FillValue")
        known = fill is not None and nodata is not None
        if known and fill != nodata and not (fill != fill and nodata != nodata):  # noqa: PLR0124 - NaN
            message = f"{name} in {subject} has the fill_value {fill} and the _FillValue {nodata}"
            yield rules.ZARR_FILL_VALUE.finding(subject, message, float(fill), float(nodata))


# --- chunks


def _chunks(array: Any, full: str, store: _Store, *, deep: bool, judge_sizes: bool) -> Iterator[Finding]:
    """Checks the sizes of stored chunks, or shards, and decodes them."""
    subject, stored = store.subject, list(_stored(array, full, store.sizes))
    is_coordinate = full.rpartition("/")[2] in _dimensions(array)
    if judge_sizes and store.sizes is not None and stored and not is_coordinate:
        sizes = [store.sizes[key] for key, _ in stored]
        mean, largest = sum(sizes) // len(sizes), max(sizes)
        if largest > LARGEST_CHUNK:
            message = f"the largest chunk of {full} in {subject} has {largest} bytes"
            yield rules.ZARR_CHUNK_LARGE.finding(subject, message, largest, LARGEST_CHUNK)
        if len(sizes) > 1 and mean < _SMALLEST_CHUNK:
            rule = rules.ZARR_MANY_SMALL if len(sizes) > MANY else rules.ZARR_CHUNK_SMALL
            message = f"the {len(sizes)} chunks of {full} in {subject} have {mean} bytes on average"
            yield rule.finding(subject, message, {"chunks": len(sizes), "mean": mean}, _SMALLEST_CHUNK)
    if prod(array.shards or array.chunks) * array.dtype.itemsize > DECODED:
        message = f"a chunk of {full} in {subject} decodes to more than {DECODED} bytes, and was not read"
        yield rules.ZARR_CHUNK_LARGE.finding(subject, message, list(array.shards or array.chunks))
        return
    filled = [key for key, block in (stored if deep else stored[:1]) if _is_fill(array, block)]
    if deep and filled and not is_coordinate:
        message = f"{len(filled)} chunks of {full} in {subject} hold only the fill value, {filled[0]} for one"
        yield rules.ZARR_FILL_ONLY.finding(subject, message, len(filled))


def _stored(array: Any, full: str, sizes: dict[str, int] | None) -> Iterator[tuple[str, tuple[slice, ...]]]:
    """Yields key and cells of each stored chunk, or shard; of a store that cannot be listed, of the first only."""
    steps = array.shards or array.chunks
    grid = [range(ceil(length / step)) for length, step in zip(array.shape, steps, strict=True)]
    for index in product(*grid):
        key = f"{full}/{array.metadata.encode_chunk_key(index)}"
        block = tuple(slice(i * step, (i + 1) * step) for i, step in zip(index, steps, strict=True))
        if sizes is None or key in sizes:
            yield key, block
        if sizes is None:
            return


def _is_fill(array: Any, block: tuple[slice, ...]) -> bool:
    """Decodes a block, and tells whether every cell holds the fill value."""
    values, fill = array[block], array.fill_value
    if fill is None or values.dtype.kind not in "iufb":
        return False
    same = values == fill
    return bool((same | (values != values)).all() if fill != fill else same.all())  # noqa: PLR0124 - NaN


# --- pyramids (zarr-conventions, multiscales v0.1)


def _level_findings(nodes: dict[str, Any], subject: str) -> Iterator[Finding]:
    """Checks levels against their layout, and finds large grids without levels; ``nodes`` are all groups by path."""
    layouts = {path: _layout(group) for path, group in nodes.items()}
    for place, entry in ((path, entry) for path, layout in layouts.items() for entry in layout):
        path, asset = _asset_path(place, entry), entry["asset"]
        parent, _, name = path.rpartition("/")
        arrays = list(nodes[path].arrays()) if path in nodes else []
        if path not in nodes and parent in nodes:  # the asset is one array
            arrays = [(key, array) for key, array in nodes[parent].arrays() if key == name]
        if not arrays:
            message = f"multiscales of {subject} names {asset}, which is not there"
            yield rules.ZARR_LEVELS.finding(subject, message, path)
        stated, named = entry.get("spatial:shape"), nodes[place].attrs.get("spatial:dimensions")
        shapes = {}
        if isinstance(named, list) and len(named) == _MAP:  # the names of y and x
            on_map = {key: (array, dims) for key, array in arrays if set(named) <= {*(dims := _dimensions(array))}}
            shapes = {key: [array.shape[dims.index(dim)] for dim in named] for key, (array, dims) in on_map.items()}
        if isinstance(stated, list) and shapes and stated not in shapes.values():
            message = f"multiscales of {subject} states the shape {stated} of level {asset}"
            yield rules.ZARR_LEVELS.finding(subject, message, shapes, stated)
    if not any(layouts.values()):
        arrays = [(_join(path, name), array) for path, group in nodes.items() for name, array in group.arrays()]
        wide = {name: list(a.shape) for name, a in arrays if a.ndim >= _MAP and min(a.shape[-_MAP:]) > _WIDE}
        if wide:
            message = f"{', '.join(wide)} in {subject} have no coarser levels"
            yield rules.ZARR_MULTISCALES.finding(subject, message, wide)


def _layout(group: Any) -> list[dict[str, Any]]:
    """Returns the entries of a group's layout that name an asset; other forms of ``multiscales`` are not checked."""
    stated = group.attrs.get("multiscales")
    layout = stated.get("layout") if isinstance(stated, dict) else None
    entries = layout if isinstance(layout, list) else []
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("asset"), str)]


def _asset_path(path: str, entry: dict[str, Any]) -> str:
    """Returns the path of the asset of an entry in a group's layout; ``.`` is the group itself."""
    return path if entry["asset"] == "." else _join(path, entry["asset"])
