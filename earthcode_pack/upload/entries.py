"""Objects to publish, by the manifest, and their place once published."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from earthcode_pack.errors import UserError
from earthcode_pack.model import ManifestEntry
from earthcode_pack.storage.error_messages import safe_key
from earthcode_pack.upload.stages import COLLECTION, MANIFEST

if TYPE_CHECKING:
    from earthcode_pack.bundle import Bundle
    from earthcode_pack.profile import Profile

_ENTRIES = TypeAdapter(tuple[ManifestEntry, ...])


class Entry(NamedTuple):
    """A file of the product as the manifest knows it; ``sha256`` in hex, without the multihash's prefix."""

    key: str
    size: int
    sha256: str
    media_type: str


def published_prefix(profile: Profile) -> str:
    """``<product id>/v<version>/``: where a product lies below its store (contract 4.4)."""
    return f"{profile.product.folder}/"


def published_href(profile: Profile) -> str | None:
    """Returns the href of the published Collection, below ``public_href`` or the store's own; None without a store."""
    store = profile.store
    base = store and (store.public_href or store.href)
    return f"{base.rstrip('/')}/{published_prefix(profile)}{COLLECTION}" if base else None


def product_entries(bundle: Bundle) -> dict[str, Entry]:
    """All files of the product, the manifest itself included. Raises ``UserError`` where it is not whole."""
    path = bundle.product / MANIFEST
    if not path.is_file():
        raise UserError(f"{bundle.root}: the product is not whole (no {MANIFEST})", "prepare it again")
    entries = {entry.key: entry for entry in entries_of(path.read_bytes(), str(path))}
    if COLLECTION not in entries:
        raise UserError(f"{path}: names no {COLLECTION}", "prepare it again")
    return entries


def entries_of(manifest: bytes, where: str) -> tuple[Entry, ...]:
    """Returns the entries of a manifest, and its own. Raises ``UserError`` for what is none, or names a hostile key."""
    try:
        named = _ENTRIES.validate_json(manifest)
    except ValueError:
        raise UserError(f"{where}: not a manifest", "prepare the product again") from None
    itself = Entry(MANIFEST, len(manifest), hashlib.sha256(manifest).hexdigest(), "application/json")
    return (*(Entry(safe_key(e.key), e.size, e.sha256.removeprefix("1220"), e.media_type) for e in named), itself)
