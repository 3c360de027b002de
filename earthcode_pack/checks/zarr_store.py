"""A Zarr store, as a folder, zipped or remote: metadata that lets a reader start, and chunks that serve it."""

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
from earthcode_pack.checks.limits import DECODED, LARGEST_CHUNK, MANY, SMALLEST_CHUNK, refuse_large_coordinate
from earthcode_pack.checks.netcdf import dimensions_without_coordinate, opened
from earthcode_pack.checks.pyramid import derived_levels, dimensions_of, level_findings, walk
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

_BROKEN = (OSError, ValueError, KeyError, RuntimeError, TypeError, OverflowError, MemoryError, zipfile.BadZipFile)


@dataclass(frozen=True)
class _Store:
    """An open store: what zarr takes, and the size of each stored key where they can be listed."""

    handle: Any
    subject: str
    sizes: dict[str, int] | None


def zarr_findings(href: str, subject: str, *, deep: bool = False) -> list[Finding]:
    """What a Zarr store breaks of the rules; ``deep`` reads every stored chunk instead of one of each variable.

    ``href`` is a folder or a ``.zarr.zip``, by its path or any fsspec URL whose server answers ranges.
    """
    found: list[Finding] = []
    try:
        found += _zip(href, subject) if is_zip(href) else []
        if any(finding.rule == rules.ZARR_ZIP_ROOT.id for finding in found):
            return found
        with open_store(href) as handle:
            found.extend(_groups(_Store(handle, subject, _sizes(href)), deep=deep))  # keeps what came before an error
    except Unreadable as error:
        found.append(rules.UNREADABLE.finding(subject, error.message))
    except _BROKEN as error:
        message = f"{subject} cannot be read as Zarr: {type(error).__name__}: {redacted(str(error))}"
        found.append(rules.UNREADABLE.finding(subject, message))
    return found


def is_zip(href: str) -> bool:
    """Whether it is a zip by its name."""
    return href.partition("?")[0].rstrip("/").endswith(".zip")


@contextmanager
def _archive(href: str) -> Iterator[zipfile.ZipFile]:
    """A zip, of which a remote one is read by ranges: its directory at the end, then what is asked for."""
    with opened(href) as file, zipfile.ZipFile(file) as archive:
        yield archive


@contextmanager
def open_store(href: str) -> Iterator[Any]:
    """A read-only store of a folder, a zip, or what is behind an fsspec URL."""
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
    """Metadata in a zip, of which no member unpacks to more than a chunk may have."""
    with _archive(href) as archive:
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
    """A group of an open store as ``open_raw`` gives it, by its consolidated metadata where there are any."""
    import zarr  # noqa: PLC0415 - heavy

    root = zarr.open_group(handle, mode="r")
    group: Any = root[path] if path else root
    refuse_undecodable(array_documents(group), "the store")  # a remote one, too
    for name, array in group.arrays():
        if dimensions_of(array) == (name,):
            refuse_large_coordinate("the store", name, array.nbytes)
    consolidated = root.metadata.consolidated_metadata is not None
    with open_raw(handle, "zarr", group=path or None, consolidated=consolidated) as dataset:
        yield dataset


def _zip(href: str, subject: str) -> Iterator[Finding]:
    with _archive(href) as archive:
        members = archive.infolist()
    names = {member.filename for member in members}
    v2 = {".zgroup", ".zattrs"} & names
    if "zarr.json" not in names and v2 != {".zgroup", ".zattrs"}:
        message = f"the root of {subject} holds neither .zgroup and .zattrs nor zarr.json"
        yield rules.ZARR_ZIP_ROOT.finding(subject, message, sorted(name.split("/")[0] for name in names)[:5])
    deflated = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    if deflated:
        message = f"{len(deflated)} members of {subject} are compressed, {deflated[0]} for one"
        yield rules.ZARR_ZIP_STORED.finding(subject, message, len(deflated))


def _sizes(href: str) -> dict[str, int] | None:
    if "://" in href and not is_zip(href):
        return None
    if is_zip(href):
        with _archive(href) as archive:
            return {member.filename: member.compress_size for member in archive.infolist()}
    root = Path(href)
    return {p.relative_to(root).as_posix(): p.stat().st_size for p in root.rglob("*") if p.is_file()}


def _groups(store: _Store, *, deep: bool) -> Iterator[Finding]:
    import zarr  # noqa: PLC0415 - heavy

    root = zarr.open_group(store.handle, mode="r")
    yield from _consolidated(root, store)
    nodes = dict(walk(root))
    data = {path: group for path, group in nodes.items() if any(True for _ in group.arrays())}
    if not data:
        yield rules.ZARR_EMPTY.finding(store.subject, f"{store.subject} holds no array")
    levels = derived_levels(nodes)
    yield from level_findings(nodes, store.subject)
    for path, group in data.items():
        refuse_undecodable(array_documents(group), store.subject)
        unnamed = list(_dimension_names(group, path, store))
        yield from unnamed
        if not unnamed:  # xarray does not open it otherwise
            with open_group(store.handle, path) as dataset:
                yield from _dataset(dataset, store, full=path == next(iter(data)))
        yield from _chunks(group, path, store, deep=deep, sizes=path not in levels)
    if store.sizes is None:
        yield rules.ZARR_NOT_LISTED.finding(store.subject, f"the chunks of {store.subject} were not listed")


def _consolidated(root: Any, store: _Store) -> Iterator[Finding]:
    import zarr  # noqa: PLC0415 - heavy

    if root.metadata.consolidated_metadata is None:
        message = f"{store.subject} (Zarr v{root.metadata.zarr_format}) has no consolidated metadata"
        yield rules.ZARR_CONSOLIDATED.finding(store.subject, message)
    elif store.sizes is not None:
        told, true = _arrays(root), _arrays(zarr.open_group(store.handle, mode="r", use_consolidated=False))
        wrong = sorted(name for name in told.keys() | true.keys() if told.get(name) != true.get(name))
        if wrong:
            message = f"the consolidated metadata of {store.subject} differ from those of {', '.join(wrong)}"
            yield rules.ZARR_STALE.finding(
                store.subject, message, {n: told.get(n) for n in wrong}, {n: true.get(n) for n in wrong}
            )


def _arrays(root: Any) -> dict[str, list[Any]]:
    found = {f"{path}/{name}".lstrip("/"): array for path, group in walk(root) for name, array in group.arrays()}
    return {name: [list(a.shape), str(a.dtype), list(a.chunks), str(a.fill_value)] for name, a in found.items()}


def _dimension_names(group: Any, path: str, store: _Store) -> Iterator[Finding]:
    for name, array in group.arrays():
        names = array.attrs.get("_ARRAY_DIMENSIONS")
        if array.metadata.zarr_format != 2:  # noqa: PLR2004 - since v3 they are part of the format
            names = getattr(array.metadata, "dimension_names", None)
        if array.ndim and (names is None or len(names) != array.ndim or None in names):
            message = f"{path}/{name}".lstrip("/") + f" in {store.subject} names its {array.ndim} dimensions {names}"
            yield rules.ZARR_DIMENSIONS.finding(store.subject, message, list(names or []), array.ndim)


def _dataset(dataset: Any, store: _Store, *, full: bool) -> Iterator[Finding]:
    """Coordinates, CF, and nodata that a chunk which was never written would not have."""
    for name in dimensions_without_coordinate(dataset):
        yield rules.ZARR_COORDINATES.finding(store.subject, f"no coordinate runs along {name} in {store.subject}", name)
    for name, variable in dataset.data_vars.items():
        fill, nodata = variable.encoding.get("fill_value"), variable.attrs.get("_FillValue")
        if fill is not None and nodata is not None and not _same(fill, nodata):
            message = f"{name} in {store.subject} has the fill_value {fill} and the _FillValue {nodata}"
            yield rules.ZARR_FILL_VALUE.finding(store.subject, message, float(fill), float(nodata))
    if full:  # the other levels of a pyramid say the same again
        yield from cf_findings(dataset, store.subject)


def _same(a: Any, b: Any) -> bool:
    return bool(a == b or (a != a and b != b))  # noqa: PLR0124 - NaN


def _chunks(group: Any, path: str, store: _Store, *, deep: bool, sizes: bool) -> Iterator[Finding]:
    """``sizes`` is false of the levels of a pyramid, which have the chunks of what they are made from."""
    for name, array in group.arrays():
        full = f"{path}/{name}".lstrip("/")
        stored = list(_stored(array, full, store.sizes))
        if sizes and store.sizes is not None and name not in dimensions_of(array):
            yield from _chunk_sizes([store.sizes[key] for key, _ in stored], full, store.subject)
        if prod(array.shards or array.chunks) * array.dtype.itemsize > DECODED:
            message = f"a chunk of {full} in {store.subject} decodes to more than {DECODED} bytes, and was not read"
            yield rules.ZARR_CHUNK_LARGE.finding(store.subject, message, list(array.shards or array.chunks))
            continue
        empty = [
            key
            for key, block in (stored if deep else stored[:1])
            if _is_fill(array, block) and name not in dimensions_of(array)
        ]
        if deep and empty:
            message = f"{len(empty)} chunks of {full} in {store.subject} hold only the fill value, {empty[0]} for one"
            yield rules.ZARR_FILL_ONLY.finding(store.subject, message, len(empty))


def _stored(array: Any, full: str, sizes: dict[str, int] | None) -> Iterator[tuple[str, tuple[slice, ...]]]:
    """Each stored chunk, or shard: its key, and the cells that it holds. The first one only of a remote store."""
    steps = array.shards or array.chunks
    grid = [range(ceil(length / step)) for length, step in zip(array.shape, steps, strict=True)]
    for index in product(*grid):
        key = f"{full}/{array.metadata.encode_chunk_key(index)}"
        block = tuple(slice(i * step, (i + 1) * step) for i, step in zip(index, steps, strict=True))
        if sizes is None or key in sizes:
            yield key, block
        if sizes is None:
            return


def _chunk_sizes(sizes: list[int], full: str, subject: str) -> Iterator[Finding]:
    if len(sizes) == 0:
        return
    mean, largest = sum(sizes) // len(sizes), max(sizes)
    if largest > LARGEST_CHUNK:
        message = f"the largest chunk of {full} in {subject} has {largest} bytes"
        yield rules.ZARR_CHUNK_LARGE.finding(subject, message, largest, LARGEST_CHUNK)
    if len(sizes) > 1 and mean < SMALLEST_CHUNK:
        rule = rules.ZARR_MANY_SMALL if len(sizes) > MANY else rules.ZARR_CHUNK_SMALL
        message = f"the {len(sizes)} chunks of {full} in {subject} have {mean} bytes on average"
        yield rule.finding(subject, message, {"chunks": len(sizes), "mean": mean}, SMALLEST_CHUNK)


def _is_fill(array: Any, block: tuple[slice, ...]) -> bool:
    """Whether every cell of the block, which is decoded here, holds the fill value."""
    values, fill = array[block], array.fill_value
    if fill is None or values.dtype.kind not in "iufb":
        return False
    same = values == fill
    return bool((same | (values != values)).all() if fill != fill else same.all())  # noqa: PLR0124 - NaN
