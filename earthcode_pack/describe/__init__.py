"""From artifacts to STAC: what was measured on what was written, and what the profile states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pyproj  # noqa: F401 - before rasterio and ecCodes: see convert/read/__init__.py

from earthcode_pack.describe.collection import collection_of
from earthcode_pack.describe.item import item_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.model import Artifact, File
    from earthcode_pack.profile import Profile


class Description(NamedTuple):
    """The STAC of a product, as JSON objects."""

    collection: dict[str, Any]
    items: list[dict[str, Any]]


def describe(
    profile: Profile,
    artifacts: list[Artifact],
    thumbnails: dict[str, File],
    geometries: dict[str, dict[str, Any]],
    progress: Callable[[int, int], None] | None = None,
) -> Description:
    """The Collection and its Items, in the order of their ids. Pure.

    ``thumbnails`` holds the preview of each Item by its id; the Collection shows the first of them. ``geometries``
    holds the footprint of the Items whose geometry is not that of their cells.
    """
    groups: dict[str, list[Artifact]] = {}
    for artifact in sorted(artifacts, key=lambda artifact: (artifact.item, artifact.asset)):
        groups.setdefault(artifact.item, []).append(artifact)
    items = []
    for done, (name, group) in enumerate(groups.items(), start=1):
        items.append(item_of(profile, group, thumbnails.get(name), geometries.get(name)))
        if progress:
            progress(done, len(groups))
    first = next((thumbnails[name] for name in groups if name in thumbnails), None)
    return Description(collection_of(profile, artifacts, items, first), items)
