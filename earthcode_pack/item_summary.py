"""Summary of the Items of a bundle: their data assets and sizes."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from earthcode_pack.bundle import Bundle


class ItemSummary(NamedTuple):
    """An Item, the keys of its data assets, and the size of all their files in bytes."""

    item: str
    assets: tuple[str, ...]
    size: int


def item_summaries(bundle: Bundle) -> tuple[ItemSummary, ...]:
    """Summarises the Items that have data, sorted by id; empty for a product that is incomplete.

    Args:
        bundle: A prepared bundle, with its plan and manifest.

    Returns:
        One summary for each Item.

    """
    if bundle.digest is None:
        return ()
    jobs = {job.key: job for job in bundle.plan().jobs}
    sizes: Counter[str] = Counter()
    for entry in bundle.manifest():
        path = PurePosixPath(entry.key)
        # the key of the data file, or of the store that holds the file
        sizes.update({key: entry.size for part in (path, *path.parents) if (key := str(part)) in jobs})
    items: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for key, size in sizes.items():
        items[jobs[key].item].append((jobs[key].asset, size))
    return tuple(
        ItemSummary(item, tuple(asset for asset, _ in sorted(assets)), sum(size for _, size in assets))
        for item, assets in sorted(items.items())
    )
