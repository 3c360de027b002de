"""What a bundle holds, for people: one line for each Item."""

from __future__ import annotations

from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from earthcode_pack.bundle import Bundle


class Content(NamedTuple):
    """An Item with its data assets; ``size`` in bytes, of all their files."""

    item: str
    assets: tuple[str, ...]
    size: int


def contents(bundle: Bundle) -> tuple[Content, ...]:
    """One for each Item of which something was made, in the order of their ids; none while the product is not whole."""
    if bundle.digest is None:
        return ()
    jobs = bundle.plan().jobs
    sizes = _sizes(bundle, frozenset(job.key for job in jobs))
    made = sorted((job for job in jobs if job.key in sizes), key=lambda job: (job.item, job.asset))
    groups = ((item, list(group)) for item, group in groupby(made, key=lambda job: job.item))
    return tuple(
        Content(item, tuple(job.asset for job in group), sum(sizes[job.key] for job in group)) for item, group in groups
    )


def _sizes(bundle: Bundle, keys: frozenset[str]) -> dict[str, int]:
    """Bytes by the key of the data file, or of the store that a file lies in."""
    sizes: dict[str, int] = {}
    for entry in bundle.manifest():
        path = PurePosixPath(entry.key)
        key = next((str(part) for part in (path, *path.parents) if str(part) in keys), None)
        if key is not None:
            sizes[key] = sizes.get(key, 0) + entry.size
    return sizes
