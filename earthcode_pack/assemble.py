"""From artifacts and STAC to the bundle on disk: Items, Collection, manifest (contract 4.4)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthcode_pack.bundle import Bundle, sha256, to_json, values_to_json, write_atomic
from earthcode_pack.describe import Description
from earthcode_pack.model import Artifact, ManifestEntry
from earthcode_pack.storage.words import shown
from earthcode_pack.workspace import remove_strays

if TYPE_CHECKING:
    from collections.abc import Iterable

_MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized", ".nc": "application/netcdf", ".png": "image/png",
    ".json": "application/json", ".parquet": "application/vnd.apache.parquet", ".zip": "application/zip+zarr",
}  # fmt: skip
_MANY = 500  # Items beyond which clients want a table


def assemble(bundle: Bundle, description: Description, artifacts: Iterable[Artifact], previews: Iterable[str]) -> None:
    """Writes STAC and the manifest, last the manifest; removes what no longer belongs to the product."""
    written = {f"items/{item['id']}.json": to_json(item) for item in description.items}
    written["collection.json"] = to_json(description.collection)
    for key, text in written.items():
        write_atomic(bundle.product / key, text)
    sources = {file.key: _sources(artifact) for artifact in artifacts for file in artifact.files}
    hashes = {file.key: (file.size, file.sha256) for artifact in artifacts for file in artifact.files}
    others = [*written, *previews, *_parquet(bundle, description.items)]
    keys = sorted({*sources, *others})
    remove_strays(bundle.product, {*keys, "manifest.json"})
    entries = [_entry(bundle.product, key, hashes.get(key), sources.get(key, ())) for key in keys]
    write_atomic(bundle.product / "manifest.json", values_to_json(entries))


def _entry(
    product: Path, key: str, known: tuple[int, str] | None, sources: tuple[dict[str, str], ...]
) -> ManifestEntry:
    size, digest = known or ((product / key).stat().st_size, sha256(product / key))
    return ManifestEntry(key=key, size=size, sha256=f"1220{digest}", media_type=_media_type(key), sources=sources)


def _media_type(key: str) -> str:
    if key.startswith("items/") and key.endswith(".json"):
        return "application/geo+json"
    return _MEDIA_TYPES.get(Path(key).suffix, "application/octet-stream")


def _sources(artifact: Artifact) -> tuple[dict[str, str], ...]:
    return tuple({"href": public_name(href), "sha256": f"1220{digest}"} for href, digest in artifact.sources)


def public_name(href: str) -> str:
    """A source as others may see it: a URL without secrets, or the file's name, never a path of the machine.

    >>> public_name("/data/raw/sst_20200101.nc")
    'sst_20200101.nc'
    """
    return shown(href) if "://" in href else Path(href).name


def _parquet(bundle: Bundle, items: list[dict[str, Any]]) -> list[str]:
    """Beyond 500 Items also one table of them (stac-geoparquet), made anew only when the Items changed."""
    if len(items) <= _MANY:
        return []
    target, mark = bundle.product / "items.parquet", bundle.root / ".work" / "items.parquet.sha256"
    digest = hashlib.sha256(to_json(items).encode()).hexdigest()
    if not (target.is_file() and mark.is_file() and mark.read_text() == digest):
        import stac_geoparquet.arrow  # noqa: PLC0415 - Arrow takes half a second, and few products need it

        batches = stac_geoparquet.arrow.parse_stac_items_to_arrow(items)
        stac_geoparquet.arrow.to_parquet(batches, target)
        write_atomic(mark, digest)
    return ["items.parquet"]
