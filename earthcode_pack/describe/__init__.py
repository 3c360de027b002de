"""STAC of a product: what was measured on the files that were written, and what the profile states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyproj  # noqa: F401 - before rasterio and ecCodes: see convert/read/__init__.py

from earthcode_pack.bundle import Packed
from earthcode_pack.describe.access import closed_store, with_access
from earthcode_pack.describe.collection import collection_of
from earthcode_pack.describe.item import item_of
from earthcode_pack.describe.stac import FINGERPRINT
from earthcode_pack.geo.box import Box

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from earthcode_pack.describe.item import Thumbnail
    from earthcode_pack.model import Artifact
    from earthcode_pack.profile import Profile


class Describing:
    """The STAC of a product one object after the other: every Item in the order of their ids, then the Collection.

    Nothing is read or written. Of an Item only its id and its box are kept for the Collection, so that thousands of
    Items need little memory.

    Args:
        profile: the product's profile.
        artifacts: all files and stores of the product.
        thumbnails: previews by the id of their Item; the Collection has that with the most data, the first of equals.
        geometries: footprints (GeoJSON) by the id of their Item, where these are not the outlines of the cells.
        fingerprint: identifies the content of the product, and is noted in the Collection.

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
        self._described, self._boxes = 0, dict[Box, None]()
        self._closed, self._fingerprint = closed_store(profile), fingerprint

    def __len__(self) -> int:
        """Number of Items."""
        return len(self._groups)

    def items(self) -> Iterator[dict[str, Any]]:
        """Yields each Item as a JSON object."""
        self._described, self._boxes = 0, {}
        for name, indices in self._groups.items():
            group = [self._artifacts[index] for index in indices]
            item = item_of(self._profile, group, self._thumbnails.get(name), self._geometries.get(name))
            self._described += 1
            self._boxes[Box(*item["bbox"])] = None
            yield self._with_access(item)

    def collection(self) -> dict[str, Any]:
        """Returns the Collection of the Items, all of which must have been described before."""
        assert self._described == len(self), "the Collection is the union of all its Items"
        shown = [self._thumbnails[name] for name in self._groups if name in self._thumbnails]
        best = max(shown, key=lambda thumbnail: thumbnail.share, default=None)
        collection = collection_of(self._profile, self._artifacts, self._groups, self._boxes, best)
        marked = collection if self._fingerprint is None else collection | {FINGERPRINT: self._fingerprint}
        return self._with_access(marked)

    def _with_access(self, stac: dict[str, Any]) -> dict[str, Any]:
        return stac if self._closed is None else with_access(stac, self._closed, self._profile)
