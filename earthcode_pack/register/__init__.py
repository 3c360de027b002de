"""The PRR: the only place that knows it. The documents of the hand-over, and what its gateway would refuse.

Sources: github EOEPCA/reg-api (gateway, client, QA job) and EarthCODE's PRR tutorials. Registration over the network
comes in a later version; until then ``prr/`` goes to the PRR's operator with its letter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from earthcode_pack.bundle import Bundle, to_json, write_atomic
from earthcode_pack.errors import UserError
from earthcode_pack.model import Finding, Level
from earthcode_pack.register.collection import collection_findings, prr_collection, prr_id, public_folder
from earthcode_pack.register.gateway import finding, format_findings, gateway_findings, gateway_item, product_key
from earthcode_pack.register.letter import letter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from earthcode_pack.profile import Profile

__all__ = ["gateway_findings", "hand_over", "hand_over_findings", "register"]


def hand_over(bundle: Bundle, project: Mapping[str, Any] | None = None) -> list[str]:
    """Writes ``prr/`` into the bundle: Collection, Items in the gateway's form, letter; returns the relative paths.

    ``project`` is the project's record in the Open Science Catalog, for the description and website that a profile of
    a known project leaves out. Files of Items that are no more go; the same bundle gives the same bytes.
    """
    profile, record = bundle.profile(), project or {}
    names = [_write_item(bundle, profile, item) for item in bundle.items()]
    size = sum(entry.size for entry in bundle.manifest())
    found = hand_over_findings(bundle, record)
    written = [f"prr/items/{name}.json" for name in names]
    texts = {
        "prr/collection.json": to_json(prr_collection(bundle, names, record)),
        "prr/letter.md": letter(profile, record, len(names), size, found),
    }
    for stale in set((bundle.root / "prr" / "items").glob("*.json")) - {bundle.root / path for path in written}:
        stale.unlink()
    for path, text in texts.items():
        write_atomic(bundle.root / path, text)
    return sorted([*texts, *written])


def _write_item(bundle: Bundle, profile: Profile, item: dict[str, Any]) -> str:
    name = str(item["id"])
    staged = gateway_item(item, prr_id(profile), public_folder(profile))
    write_atomic(bundle.root / "prr" / "items" / f"{name}.json", to_json(staged))
    return name


def hand_over_findings(bundle: Bundle, project: Mapping[str, Any] | None = None) -> Iterator[Finding]:
    """What the PRR would refuse or miss: the Collection, every Item, and sizes against the manifest."""
    profile = bundle.profile()
    names = [str(item["id"]) for item in bundle.items()]
    yield from collection_findings(bundle, prr_collection(bundle, names, project or {}))
    if not names:
        yield finding("EMPTY", {"id": prr_id(profile)}, "the Collection has no Items", "prepare the product again")
    sizes = {entry.key: entry.size for entry in bundle.manifest()}
    for item in bundle.items():
        staged = gateway_item(item, prr_id(profile), public_folder(profile))
        yield from gateway_findings(staged, prr_id(profile))
        yield from _size_findings(item, sizes, public_folder(profile))
        yield from format_findings(item)


def _size_findings(item: dict[str, Any], sizes: dict[str, int], public: str | None) -> Iterator[Finding]:
    """A file's size must be the real one; folders are taken, but fail in the QA job."""
    for name, asset in item["assets"].items():
        key = product_key(item, asset["href"], public)
        if key in sizes and sizes[key] != asset.get("file:size"):
            message = f"the asset {name!r} says {asset.get('file:size')} bytes and has {sizes[key]}"
            yield finding("SIZE", item, message, "prepare the product again", measured=sizes[key])
        if any(other.startswith(f"{key}/") for other in sizes):
            message = f"the asset {name!r} is a folder: the PRR's QA job takes a Zarr store as ZIP only"
            yield finding("FOLDER", item, message, "set target.zarr: {version: 2, zipped: true}", level=Level.WARNING)
        elif key not in sizes and "://" not in key:
            yield finding("ABSENT", item, f"the file of the asset {name!r} is not in the bundle", "prepare it again")


def register(bundle: Bundle) -> NoReturn:
    """Registers a product with the PRR over the network: not in this version.

    Raises ``UserError`` with the way that there is.
    """
    store = bundle.profile().store
    if store is None or store.prr is None:
        raise UserError(f"{bundle.root}: the profile names no PRR", "set store.prr, or publish to store.href")
    raise UserError(
        f"{bundle.root}: this version does not register Items with the PRR over the network",
        f"send {bundle.root / 'prr'} to the PRR's operator: letter.md says what goes with it",
    )
