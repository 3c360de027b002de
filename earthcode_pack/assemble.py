"""From artifacts and STAC to the bundle on disk: Items, Collection, manifest (contract 4.4)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthcode_pack.bundle import Bundle, media_type, sha256, to_json, values_to_json, write_atomic
from earthcode_pack.model import Artifact, ManifestEntry
from earthcode_pack.storage.words import shown
from earthcode_pack.workspace import Workspace, remove_strays

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.describe import Description

_MANY = 500  # Items beyond which clients want a table
_TABLE = "items.parquet"


def assemble(bundle: Bundle, description: Description, artifacts: list[Artifact], previews: Iterable[str]) -> None:
    """Writes STAC and the manifest, last the manifest; removes what no longer belongs to the product."""
    texts = {f"items/{item['id']}.json": to_json(item) for item in description.items}
    texts["collection.json"] = to_json(description.collection)
    if not all(_holds(bundle.product / key, text) for key, text in texts.items()):
        Workspace(bundle).withdraw()
    for key, text in texts.items():
        write_atomic(bundle.product / key, text)
    table = [_TABLE] if len(description.items) > _MANY else []
    if table:
        _write_table(bundle, description.items)
    _write_manifest(bundle.product, artifacts, [*texts, *previews, *table])


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _write_manifest(product: Path, artifacts: list[Artifact], others: list[str]) -> None:
    """The manifest of the data, whose hashes are known, and of the other files; what it does not name goes."""
    sources = {file.key: _sources(artifact) for artifact in artifacts for file in artifact.files}
    hashes = {file.key: (file.size, file.sha256) for artifact in artifacts for file in artifact.files}
    keys = sorted({*sources, *others})
    entries = [_entry(product, key, hashes.get(key), sources.get(key, ())) for key in keys]
    remove_strays(product, {*keys, "manifest.json"})
    write_atomic(product / "manifest.json", values_to_json(entries))


def _entry(
    product: Path, key: str, known: tuple[int, str] | None, sources: tuple[dict[str, str], ...]
) -> ManifestEntry:
    size, digest = known or ((product / key).stat().st_size, sha256(product / key))
    return ManifestEntry(key=key, size=size, sha256=f"1220{digest}", media_type=media_type(key), sources=sources)


def _sources(artifact: Artifact) -> tuple[dict[str, str], ...]:
    return tuple({"href": public_name(href), "sha256": f"1220{digest}"} for href, digest in artifact.sources)


def public_name(href: str) -> str:
    """A source as others may see it: a URL without secrets, or the file's name, never a path of the machine.

    >>> public_name("/data/raw/sst_20200101.nc")
    'sst_20200101.nc'
    """
    return shown(href) if "://" in href else Path(href).name


def _write_table(bundle: Bundle, items: list[dict[str, Any]]) -> None:
    """All Items in one table (stac-geoparquet), made anew only when they changed."""
    target, mark = bundle.product / _TABLE, bundle.root / ".work" / f"{_TABLE}.sha256"
    digest = hashlib.sha256(to_json(items).encode()).hexdigest()
    if target.is_file() and mark.is_file() and mark.read_text() == f"{digest} {sha256(target)}":
        return
    import stac_geoparquet.arrow  # noqa: PLC0415 - Arrow takes half a second, and few products need it

    temporary = mark.with_suffix(".part")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    stac_geoparquet.arrow.to_parquet(stac_geoparquet.arrow.parse_stac_items_to_arrow(items), temporary)
    temporary.replace(target)
    write_atomic(mark, f"{digest} {sha256(target)}")
