"""The documents of the PRR's hand-over route: `prr/collection.json`, Items, `stac.zip` and the letter."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from earthcode_pack.catalogs.prr.collection import own_collection, prr_id, public_folder
from earthcode_pack.catalogs.prr.gateway import gateway_item, product_key, without_store_access
from earthcode_pack.entry import size_in_words
from earthcode_pack.files import to_json, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Finding
    from earthcode_pack.profile import Profile


def letter(profile: Profile, project: Mapping[str, Any], items: int, size: int, findings: Iterable[Finding]) -> str:
    """``letter.md``: to the EarthCODE team, ESA's technical officer in copy."""
    officer = profile.project.technical_officer
    copy = f"{officer.name} <{officer.email}>" if officer else "ESA's technical officer — name missing: "
    copy += "" if officer else "set project.technical_officer"
    product, name = profile.product, profile.project.title or project.get("title") or profile.project.id
    lines = [
        "To: the EarthCODE team\n",
        f"Copy: {copy}\n",
        f"Subject: {product.title}, version {product.version}, for the Project Results Repository\n",
        f"Please register the Collection `{prr_id(profile)}` (`collection.json`) and let its owner add Items.\n",
        f"1. **Project name**: {name} (`{profile.project.id}`)",
        f"2. **Total size**: {size_in_words(size)}",
        f"3. **STAC folder**: {_folder(items)}",
        f"4. **Link to the data**: {_link(profile)}",
        f"5. **Access restrictions**: {_access(profile)}",
        "\n## What is missing\n",
        *([f"- {found.rule}, {found.subject}: {found.message}; {found.remedy}" for found in findings] or ["Nothing."]),
    ]
    return "\n".join(lines) + "\n"


def _folder(items: int) -> str:
    """Beyond 600 Items the ZIP goes to the PRR alone (EarthCODE's PRR tutorial)."""
    sent = f"sent with this letter, `collection.json` and `items/` with {items} Items, zipped as `stac.zip`"
    return f"{sent}; with more than {MANY} the Items stay out of the Open Science Catalog" if items > MANY else sent


def _link(profile: Profile) -> str:
    public = public_folder(profile)
    if public is not None:
        return f"<{public}/>"
    if profile.store and profile.store.prr:
        bucket = profile.store.prr.bucket or "the user's own"
        return f"to be staged in the PRR's stage-in bucket ({bucket}), under the Items' ids"
    return "missing: set store.public_href"


def _access(profile: Profile) -> str:
    """As the profile states it: a default would be a guess."""
    if profile.store is None or "access" not in profile.store.model_fields_set:
        return "missing: set store.access to public or private"
    return "none" if profile.store.access == "public" else "readers need credentials"


ZIP = "prr/stac.zip"
MANY = 600  # Items beyond which they stay out of the Open Science Catalog

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP can state: no clock in the bytes

Record = dict[str, Any]


def write_zip(bundle: Bundle, collection: str) -> str:
    """Writes ``prr/stac.zip`` and returns its path: ``collection.json`` (the text given) and ``items/<id>.json``.

    The href of a file of the product is ``/d/<collection>/<its key>``: its place below the link to the data. The same
    bundle gives the same bytes.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in _documents(bundle, collection):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, text)
    write_atomic(bundle.root / ZIP, buffer.getvalue())
    return ZIP


def _documents(bundle: Bundle, collection: str) -> Iterator[tuple[str, str]]:
    profile = bundle.profile()
    name, public = prr_id(profile), public_folder(profile)
    yield "collection.json", to_json(_with_data(json.loads(collection), own_collection(bundle), name))
    for item in bundle.items():
        yield f"items/{item['id']}.json", to_json(handed_over(item, name, public))


def handed_over(item: Record, collection: str, public: str | None = None) -> Record:
    """An Item of the self-contained Collection; an asset that lies elsewhere keeps its href."""
    form = gateway_item(item, collection, public)
    assets = {
        key: {**asset, "href": _archived(product_key(item, asset["href"], public), collection)}
        for key, asset in without_store_access(item)["assets"].items()
    }
    parent = {"rel": "parent", "href": "../collection.json", "type": "application/json"}
    return {**form, "assets": assets, "links": [parent, *form["links"]]}


def _archived(key: str, collection: str) -> str:
    return key if "://" in key else f"/d/{collection}/{key}"


def _with_data(record: Record, own: Record, name: str) -> Record:
    """A cube is an asset of its Collection too; the thumbnail is there as the operator takes it."""
    data = {
        key: {**asset, "href": _archived(asset["href"].removeprefix("./"), name)}
        for key, asset in own.get("assets", {}).items()
        if key not in record.get("assets", {})
    }
    return {**record, "assets": {**record.get("assets", {}), **data}} if data else record
