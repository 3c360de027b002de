"""The hand-over route: a self-contained Collection, zipped, whose hrefs are those of the PRR's archive, ``/d/…``.

The gateway refuses that form and wants relative hrefs; EarthCODE's PRR tutorials ask for it (both as of 2026).
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from earthcode_pack.bundle import to_json, write_atomic
from earthcode_pack.catalogs.prr.closed import without_store_access
from earthcode_pack.catalogs.prr.collection import own_collection, prr_id, public_folder
from earthcode_pack.catalogs.prr.gateway import gateway_item, product_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.bundle import Bundle

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
