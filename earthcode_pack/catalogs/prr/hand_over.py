"""The documents of the PRR's hand-over route: `prr/collection.json`, Items, `stac.zip` and the letter."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from earthcode_pack.catalogs.prr import rules
from earthcode_pack.catalogs.prr.collection import (
    collection_findings,
    collection_for_prr,
    prr_collection,
    prr_id,
    public_folder,
)
from earthcode_pack.catalogs.prr.gateway import (
    about,
    format_findings,
    gateway_findings,
    gateway_item,
    product_key,
    without_store_access,
)
from earthcode_pack.files import to_json, write_atomic
from earthcode_pack.product_facts import format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Finding
    from earthcode_pack.profile import Profile

ZIP = "prr/stac.zip"
MANY = 600  # Items beyond which they stay out of the Open Science Catalog

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP can state: no clock in the bytes

Record = dict[str, Any]


def hand_over(bundle: Bundle, project: Mapping[str, Any] | None = None) -> list[str]:
    """Writes ``prr/`` into the bundle: Collection, Items in the gateway's form, ``stac.zip`` and the letter.

    The ZIP is the self-contained Collection of the hand-over route. Files of Items that the product no longer has are
    removed; the same bundle gives the same bytes.

    Args:
        bundle: a prepared bundle.
        project: the project's record in the Open Science Catalog, for the description and website that a profile of a
            known project leaves out.

    Returns:
        The paths written, relative to the bundle, sorted.

    """
    profile, record = bundle.profile(), project or {}
    names = []
    for item in bundle.items():
        names.append(str(item["id"]))
        staged = gateway_item(item, prr_id(profile), public_folder(profile))
        write_atomic(bundle.root / "prr" / "items" / f"{item['id']}.json", to_json(staged))
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
    return sorted([*texts, *written, write_zip(bundle, texts["prr/collection.json"])])


def hand_over_findings(bundle: Bundle, project: Mapping[str, Any] | None = None) -> Iterator[Finding]:
    """Yields what the PRR would refuse or miss in the Collection and in every Item, sizes by the manifest included."""
    profile = bundle.profile()
    names = [str(item["id"]) for item in bundle.items()]
    yield from collection_findings(bundle, prr_collection(bundle, names, project or {}))
    if not names:
        yield rules.EMPTY.finding(prr_id(profile), "the Collection has no Items")
    sizes = {entry.key: entry.size for entry in bundle.manifest()}
    for item in bundle.items():
        staged = gateway_item(item, prr_id(profile), public_folder(profile))
        yield from gateway_findings(staged, prr_id(profile))
        yield from _size_findings(item, sizes, public_folder(profile))
        yield from format_findings(item)


def _size_findings(item: dict[str, Any], sizes: dict[str, int], public: str | None) -> Iterator[Finding]:
    """Yields sizes that differ from the files, folders (which fail in the QA job) and absent files."""
    for name, asset in item["assets"].items():
        key = product_key(item, asset["href"], public)
        if key in sizes and sizes[key] != asset.get("file:size"):
            message = f"the asset {name!r} says {asset.get('file:size')} bytes and has {sizes[key]}"
            yield about(rules.SIZE, item, message, sizes[key])
        if any(other.startswith(f"{key}/") for other in sizes):
            message = f"the asset {name!r} is a folder: the PRR's QA job takes a Zarr store as ZIP only"
            yield about(rules.FOLDER, item, message)
        elif key not in sizes and "://" not in key:
            yield about(rules.ABSENT, item, f"the file of the asset {name!r} is not in the bundle")


def letter(profile: Profile, project: Mapping[str, Any], items: int, size: int, findings: Iterable[Finding]) -> str:
    """Writes the text of ``letter.md``: to the EarthCODE team, ESA's technical officer in copy."""
    officer = profile.project.technical_officer
    missing = "ESA's technical officer — name missing: set project.technical_officer"
    copy = f"{officer.name} <{officer.email}>" if officer else missing
    sent = f"sent with this letter, `collection.json` and `items/` with {items} Items, zipped as `stac.zip`"
    sent += f"; with more than {MANY} the Items stay out of the Open Science Catalog" if items > MANY else ""
    product, name = profile.product, profile.project.title or project.get("title") or profile.project.id
    lines = [
        "To: the EarthCODE team\n",
        f"Copy: {copy}\n",
        f"Subject: {product.title}, version {product.version}, for the Project Results Repository\n",
        f"Please register the Collection `{prr_id(profile)}` (`collection.json`) and let its owner add Items.\n",
        f"1. **Project name**: {name} (`{profile.project.id}`)",
        f"2. **Total size**: {format_size(size)}",
        f"3. **STAC folder**: {sent}",
        f"4. **Link to the data**: {_link(profile)}",
        f"5. **Access restrictions**: {_access(profile)}",
        "\n## What is missing\n",
        *([f"- {found.rule}, {found.subject}: {found.message}; {found.remedy}" for found in findings] or ["Nothing."]),
    ]
    return "\n".join(lines) + "\n"


def _link(profile: Profile) -> str:
    public = public_folder(profile)
    if public is not None:
        return f"<{public}/>"
    if profile.store and profile.store.prr:
        bucket = profile.store.prr.bucket or "the user's own"
        return f"to be staged in the PRR's stage-in bucket ({bucket}), under the Items' ids"
    return "missing: set store.public_href"


def _access(profile: Profile) -> str:
    """States the access that the profile states: a default would be a guess."""
    if profile.store is None or "access" not in profile.store.model_fields_set:
        return "missing: set store.access to public or private"
    return "none" if profile.store.access == "public" else "readers need credentials"


def write_zip(bundle: Bundle, collection: str) -> str:
    """Writes ``prr/stac.zip``: ``collection.json`` (the text given) and ``items/<id>.json``; returns its path.

    The hrefs are those of the PRR's archive, ``/d/<collection>/<key>``: the gateway refuses that form and wants
    relative hrefs, EarthCODE's PRR tutorials ask for it (both as of 2026). The same bundle gives the same bytes.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, record in _documents(bundle, json.loads(collection)):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, to_json(record))
    write_atomic(bundle.root / ZIP, buffer.getvalue())
    return ZIP


def _documents(bundle: Bundle, collection: Record) -> Iterator[tuple[str, Record]]:
    """Yields name and content of each document; a cube is an asset of its Collection too."""
    profile = bundle.profile()
    name, public = prr_id(profile), public_folder(profile)
    shown = collection.get("assets", {})  # the thumbnail, as the operator takes it
    own = collection_for_prr(bundle).get("assets", {}).items()
    data = {
        key: {**asset, "href": _archived(asset["href"].removeprefix("./"), name)}
        for key, asset in own
        if key not in shown
    }
    yield "collection.json", {**collection, "assets": {**shown, **data}} if data else collection
    for item in bundle.items():
        yield f"items/{item['id']}.json", archived_item(item, name, public)


def archived_item(item: Record, collection: str, public: str | None = None) -> Record:
    """Makes an Item of the self-contained Collection; an asset elsewhere keeps its href."""
    form = gateway_item(item, collection, public)
    assets = {
        key: {**asset, "href": _archived(product_key(item, asset["href"], public), collection)}
        for key, asset in without_store_access(item)["assets"].items()
    }
    parent = {"rel": "parent", "href": "../collection.json", "type": "application/json"}
    return {**form, "assets": assets, "links": [parent, *form["links"]]}


def _archived(key: str, collection: str) -> str:
    return key if "://" in key else f"/d/{collection}/{key}"
