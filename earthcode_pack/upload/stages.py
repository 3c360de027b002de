"""Order in which the objects of a product appear: none refers to what is not there yet."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MANIFEST, COLLECTION = "manifest.json", "collection.json"
_METADATA = {"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"}  # Zarr v3 and v2


def order(keys: Iterable[str]) -> list[list[str]]:
    """The stages of publishing, each sorted; none begins before the last is whole.

    Data, then the metadata of Zarr arrays and groups, then that of each store's root: without it, missing chunks
    would read as fill values. Then previews, the manifest, Items, the table of Items, and the Collection.

    >>> order(["collection.json", "data/a.zarr/zarr.json", "data/a.zarr/t/zarr.json", "data/a.zarr/t/c/0"])
    [['data/a.zarr/t/c/0'], ['data/a.zarr/t/zarr.json'], ['data/a.zarr/zarr.json'], ['collection.json']]
    """
    keys = sorted(keys)
    groups = {PurePosixPath(key).parent for key in keys if _is_metadata(key)}
    stages: dict[int, list[str]] = {}
    for key in keys:
        stages.setdefault(_stage(key, groups), []).append(key)
    return [stages[number] for number in sorted(stages)]


def is_data(key: str) -> bool:
    """Tells whether nothing is wrong with an object being there before everything else: it refers to nothing.

    >>> is_data("data/a.zarr/t/c/0"), is_data("data/a.zarr/t/zarr.json"), is_data("items/a.json")
    (True, False, False)
    """
    return _stage(key, set()) == 0


def _stage(key: str, groups: set[PurePosixPath]) -> int:
    path = PurePosixPath(key)
    named = {MANIFEST: 4, "items.parquet": 6, COLLECTION: 7}.get(key)
    if named is not None:
        return named
    if _is_metadata(key):
        inner = not groups.isdisjoint(path.parent.parents) and path.name != ".zmetadata"
        return 1 if inner else 2
    return {"previews": 3, "items": 5}.get(path.parts[0], 0)


def _is_metadata(key: str) -> bool:
    return key.rpartition("/")[2] in _METADATA
