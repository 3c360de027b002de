"""From artifacts to STAC: what was measured on what was written, and what the profile states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pyproj  # noqa: F401 - before rasterio and ecCodes: see convert/read/__init__.py

from earthcode_pack.describe.access import closed_store, with_access
from earthcode_pack.describe.collection import Gathered, collection_of
from earthcode_pack.describe.item import item_of
from earthcode_pack.describe.stac import FINGERPRINT
from earthcode_pack.packed import Packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from earthcode_pack.describe.assets import Thumbnail
    from earthcode_pack.model import Artifact
    from earthcode_pack.profile import Profile


class Description(NamedTuple):
    """The STAC of a product, as JSON objects."""

    collection: dict[str, Any]
    items: list[dict[str, Any]]


class Describing:
    """The STAC of a product as it is made: every Item in the order of their ids, then the Collection. Pure.

    Of an Item only its id and its box are kept for the Collection, so that thousands of Items need little memory.
    ``thumbnails`` holds the preview of each Item by its id; the Collection shows the one with the most data, the first
    of equals. ``geometries`` holds the footprint of the Items whose geometry is not that of their cells.
    ``fingerprint`` is noted in the Collection.
    """

    def __init__(
        self,
        profile: Profile,
        artifacts: Sequence[Artifact],
        thumbnails: Mapping[str, Thumbnail],
        geometries: Mapping[str, dict[str, Any]],
        fingerprint: str | None = None,
    ) -> None:
        self._profile, self._thumbnails, self._geometries = profile, thumbnails, geometries
        order = sorted((artifact.item, artifact.asset, place) for place, artifact in enumerate(artifacts))
        places = [place for *_, place in order]
        self._artifacts: Sequence[Artifact] = (
            artifacts.picked(places) if isinstance(artifacts, Packed) else [artifacts[place] for place in places]
        )
        self._groups: dict[str, list[int]] = {}
        for index, (item, *_) in enumerate(order):
            self._groups.setdefault(item, []).append(index)
        self._gathered = Gathered()
        self._closed, self._fingerprint = closed_store(profile), fingerprint

    def __len__(self) -> int:
        """How many Items there are."""
        return len(self._groups)

    def items(self) -> Iterator[dict[str, Any]]:
        """Each Item as a JSON object."""
        self._gathered = Gathered()
        for name, indices in self._groups.items():
            group = [self._artifacts[index] for index in indices]
            item = item_of(self._profile, group, self._thumbnails.get(name), self._geometries.get(name))
            self._gathered.add(item)
            yield self._with_access(item)

    def collection(self) -> dict[str, Any]:
        """The Collection of the Items, once all of them were asked for."""
        assert len(self._gathered.ids) == len(self), "the Collection is the union of all its Items"
        shown = [self._thumbnails[name] for name in self._groups if name in self._thumbnails]
        best = max(shown, key=lambda thumbnail: thumbnail.share, default=None)
        collection = collection_of(self._profile, self._artifacts, self._gathered, best)
        marked = collection if self._fingerprint is None else collection | {FINGERPRINT: self._fingerprint}
        return self._with_access(marked)

    def _with_access(self, stac: dict[str, Any]) -> dict[str, Any]:
        return stac if self._closed is None else with_access(stac, self._closed, self._profile)


def describe(
    profile: Profile,
    artifacts: Sequence[Artifact],
    thumbnails: Mapping[str, Thumbnail],
    geometries: Mapping[str, dict[str, Any]],
) -> Description:
    """The Collection and its Items all at once; see ``Describing`` for those who write them one by one."""
    describing = Describing(profile, artifacts, thumbnails, geometries)
    items = list(describing.items())
    return Description(describing.collection(), items)
