"""What the Items of a product offer to ESA's FAIR tool, counted as it counts: see ``fair``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]

_MOST_ITEMS = 1000  # that the tool looks at
_PRR = "https://eoresults.esa.int"
_UNTYPED = "application/x-netcdf"  # what the tool takes an asset without a media type for

# Whether the tool's reader of a media type takes a URL: the first entry that the type contains decides.
_OPENS = {
    "application/x-netcdf": True, "application/vnd+zarr": True, "image/tiff": True, "image/cog": True,
    "application/zip": False, "application/pdf": False, "text/plain": False, "text/csv": True,
    "application/vnd.apache.parquet": True, "application/x-shapefile": True,
    "application/vnd.apache.geoparquet": True, "application/geo+json": True,
}  # fmt: skip
_CLOUD_NATIVE = {
    "application/vnd.apache.geoparquet", "application/geoparquet", "image/cog", "image/tiff", "application/vnd+zarr",
    "application/x-zarr", "profile=cloud-optimized",
}  # fmt: skip


@dataclass
class Offer:
    """What the Items offer to ESA's tool, counted: of the first thousand Items, the assets with the sole role data."""

    prr: bool = False  # whether the PRR serves them, which writes their hrefs itself
    items: int = 0
    assets: int = 0
    opened: int = 0
    cloud_native: int = 0
    relative: int = 0  # hrefs that the tool would take for local files, or misread
    unread: Counter[str] = field(default_factory=Counter)  # media types without a reader for URLs
    foreign: Counter[str] = field(default_factory=Counter)  # media types not counted as cloud-native

    def add(self, item: Json) -> None:
        """Counts one Item."""
        self.items += 1
        for asset in item.get("assets", {}).values() if self.items <= _MOST_ITEMS else ():
            if asset.get("roles") == ["data"]:
                media_type = asset.get("type")
                self._count(str(asset.get("href")), _UNTYPED if media_type is None else str(media_type))

    def _count(self, href: str, media_type: str) -> None:
        reads, native = _has_reader(media_type), _is_cloud_native(media_type)
        found = self.prr or is_web(href) or href.startswith("/")
        self.assets += 1
        self.opened += reads and found
        self.cloud_native += native
        self.relative += not found
        self.unread.update([] if reads else [media_type])
        self.foreign.update([] if native else [media_type])


def is_prr(href: str | None) -> bool:
    """Whether ESA's tool takes a link for one of the PRR."""
    return _PRR in (href or "")


def is_web(href: str | None) -> bool:
    """Whether a link can be asked for an answer."""
    return host_of(href) != "" and str(href).lower().startswith(("http://", "https://"))


def host_of(href: str | None) -> str:
    """The host of a URL; empty where it has none."""
    try:
        return urlsplit(href or "").hostname or ""
    except ValueError:  # brackets that hold no address
        return ""


def offer_of(items: Iterable[Json], child: str | None) -> Offer:
    """What some Items offer, behind the record's ``child`` link."""
    offer = Offer(prr=is_prr(child))
    for item in items:
        offer.add(item)
    return offer


def _has_reader(media_type: str) -> bool:
    known = next((known for known in _OPENS if known in media_type.lower()), None)
    return known is not None and _OPENS[known]


def _is_cloud_native(media_type: str) -> bool:
    """By the type or by all that follows it: the tool cuts at the first semicolon."""
    return any(part.strip() in _CLOUD_NATIVE for part in media_type.split(";", 1))
