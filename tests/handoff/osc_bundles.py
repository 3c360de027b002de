"""Bundles and small catalogues made by hand: what the modules before the hand-off leave, and what it is laid over."""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import yaml

from earthcode_pack.bundle import Bundle
from earthcode_pack.files import to_json

if TYPE_CHECKING:
    from pathlib import Path

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000a49444154789c6300010000050001"
    "0d0a2db40000000049454e44ae426082"
)
STARTED = "2026-11-21T06:00:00Z"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
DATACUBE = "https://stac-extensions.github.io/datacube/v2.2.0/schema.json"

PROFILE: dict[str, Any] = {
    "product": {
        "id": "demo-sst",
        "title": "DEMO Sea surface temperature",
        "description": "Daily sea surface temperature of the demonstration project.",
        "license": "CC-BY-4.0",
        "version": "1.0",
        "status": "completed",
        "region": "North Atlantic",
        "keywords": ["ocean", "temperature"],
        "themes": ["oceans"],
        "missions": ["sentinel-3"],
        "documentation": "https://example.org/handbook.pdf",
        "doi": "10.5281/zenodo.1234567",
        "contacts": [{"name": "Jane Doe", "organization": "Example Institute", "roles": ["producer"]}],
        "variables": {
            "sst": {
                "osc": "sea-surface-temperature",
                "standard_name": "sea_surface_temperature",
                "units": "K",
                "long_name": "Sea surface temperature",
            }
        },
    },
    "project": {"id": "4dmed-sea"},
    "source": {"href": "raw/*.nc", "time": {"from": "coordinate"}},
    "target": {"format": "cog"},
    "store": {"href": "published", "public_href": "https://data.example.org/products"},
    "catalog": {"metadata": "osc"},
}
NEW_PROJECT: dict[str, Any] = {
    "id": "demo-project",
    "title": "Demonstration project",
    "description": "Shows how a product comes into the catalogue.",
    "website": "https://example.org/",
    "contract_number": "4000123456/25/I-EF",
    "initiative": "earthcode",
    "technical_officer": {"name": "Ada Officer", "email": "ada@example.org"},
    "start": "2024-01-01",
    "end": "2025-12-31",
}
EXPERIMENT: dict[str, Any] = {
    "id": "demo-run",
    "title": "Demonstration run",
    "workflow": {
        "id": "demo-workflow",
        "title": "Demonstration workflow",
        "kind": "notebook",
        "href": "https://example.org/run.ipynb",
    },
    "inputs": [{"href": "https://example.org/raw", "title": "Raw data"}],
    "parameters": {"window": 7},
}


def profile(**changes: Any) -> dict[str, Any]:
    """The profile with changes such as ``product__title="…"``; None removes the key."""
    data = deepcopy(PROFILE)
    for path, value in changes.items():
        *parts, last = path.split("__")
        holder = data
        for part in parts:
            holder = holder.setdefault(part, {})
        holder[last] = value
        if value is None:
            del holder[last]
    return data


def collection(box: list[float] | None = None) -> dict[str, Any]:
    """A Collection as describe makes it; without assets."""
    stated = PROFILE["product"]
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "stac_extensions": [DATACUBE],
        "id": stated["id"],
        "title": stated["title"],
        "description": stated["description"],
        "license": stated["license"],
        "keywords": stated["keywords"],
        "version": stated["version"],
        "providers": [{"name": "Example Institute", "roles": ["producer"]}],
        "extent": {
            "spatial": {"bbox": [box or [-30.0, 30.0, -10.0, 45.5]]},
            "temporal": {"interval": [["2020-01-01T00:00:00Z", "2020-01-02T23:59:59Z"]]},
        },
        "cube:dimensions": {"time": {"type": "temporal", "extent": ["2020-01-01T00:00:00Z", "2020-01-02T23:59:59Z"]}},
        "cube:variables": {"sst": {"dimensions": ["time"], "type": "data", "unit": "kelvin"}},
        "item_assets": {"sst": {"type": "image/tiff", "roles": ["data"]}},
        "links": [
            {"rel": "self", "href": "./collection.json"},
            {"rel": "license", "href": "https://creativecommons.org/licenses/by/4.0/", "title": "CC-BY-4.0"},
        ],
        "assets": {
            "thumbnail": {"href": "./previews/thumbnail.png", "type": "image/png", "roles": ["thumbnail"]},
        },
    }


def item(day: int, box: list[float] | None = None, payload: bytes = b"tiff") -> dict[str, Any]:
    """An Item of one day with one COG and a preview."""
    name, box = f"demo-sst_2020010{day}", box or [-30.0, 30.0, -10.0, 45.5]
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [FILE],
        "id": name,
        "collection": "demo-sst",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": box,
        "properties": {
            "datetime": f"2020-01-0{day}T00:00:00Z",
            "start_datetime": f"2020-01-0{day}T00:00:00Z",
            "end_datetime": f"2020-01-0{day}T23:59:59Z",
            "title": f"Sea surface temperature of 2020-01-0{day}",
        },
        "links": [
            {"rel": "collection", "href": "../collection.json", "type": "application/json"},
            {"rel": "root", "href": "../collection.json", "type": "application/json"},
            {"rel": "about", "href": "../readme.html"},
        ],
        "assets": {
            "sst": {
                "href": f"../data/{name}/{name}_sst.tif",
                "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                "title": "Sea surface temperature",
                "roles": ["data"],
                "file:size": len(payload),
                "file:checksum": "1220" + hashlib.sha256(payload).hexdigest(),
            },
            "thumbnail": {
                "href": f"../previews/{name}.png",
                "type": "image/png",
                "title": "Preview",
                "roles": ["thumbnail"],
                "file:size": len(PNG),
                "file:checksum": "1220" + hashlib.sha256(PNG).hexdigest(),
            },
        },
    }


def bundle(
    root: Path, stated: dict[str, Any] | None = None, items: list[dict[str, Any]] | None = None, **changes: Any
) -> Bundle:
    """A bundle on disk; ``changes`` are members of the Collection."""
    product = root / "product"
    items = [item(1), item(2)] if items is None else items
    _write(root / "profile.yaml", yaml.safe_dump(stated or PROFILE))
    _write(root / "provenance.json", to_json({"started": STARTED, "software": {"earthcode-pack": "0.1.0"}}))
    _write(product / "collection.json", to_json(collection() | changes))
    _write(product / "previews" / "thumbnail.png", PNG)
    for each in items:
        _write(product / "items" / f"{each['id']}.json", to_json(each))
        for asset in each["assets"].values():
            _write(product / "items" / asset["href"], PNG if asset["type"] == "image/png" else b"tiff")
    _write(product / "manifest.json", to_json(_manifest(product)))
    return Bundle(root)


def _manifest(product: Path) -> list[dict[str, Any]]:
    files = [path for path in sorted(product.resolve().rglob("*")) if path.is_file() and path.name != "manifest.json"]
    return [
        {
            "key": path.relative_to(product.resolve()).as_posix(),
            "size": path.stat().st_size,
            "sha256": "1220" + hashlib.sha256(path.read_bytes()).hexdigest(),
            "media_type": "application/octet-stream",
            "sources": [],
        }
        for path in files
    ]


def _write(path: Path, content: str | bytes) -> None:
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def small_catalog(root: Path) -> Path:
    """A catalogue in which each file is written in another odd way."""
    entries = {
        "projects/4dmed-sea/collection.json": ("4DMED Sea “project” à Malmö", {"indent": 4}, "\n"),
        "themes/oceans/catalog.json": ("Oceans", {"indent": "\t", "ensure_ascii": False}, ""),
        "themes/land/catalog.json": ("Land", {"indent": 2}, ""),
        "variables/sea-surface-temperature/catalog.json": ("Sea Surface Temperaturé", {"indent": 2}, ""),
        "variables/sea-level/catalog.json": ("Sea level", {"indent": 2}, "\n\n"),
        "eo-missions/sentinel-3/catalog.json": ("Sentinel-3", {"indent": 2}, "\r\n"),
    }
    for path, (title, style, end) in entries.items():
        text = json.dumps(_entry(path, title), **style) + end
        _write(root / path, text.replace("\r\n", "\n").replace("\n", "\r\n") if end == "\r\n" else text)
    kinds = ("products", "projects", "themes", "variables", "eo-missions", "workflows", "experiments")
    for kind in kinds:
        _write(root / kind / "catalog.json", json.dumps(_index(kind, entries), indent=2, ensure_ascii=False))
    _write(root / "catalog.json", to_json({"type": "Catalog", "id": "osc", "title": "Open Science Catalog"}))
    return root


def _entry(path: str, title: str) -> dict[str, Any]:
    kind, name, _ = path.split("/")
    return {
        "type": "Collection" if kind == "projects" else "Catalog",
        "id": name,
        "stac_version": "1.0.0",
        "links": [
            {"rel": "root", "href": "../../catalog.json", "type": "application/json", "title": "Open Science Catalog"},
            {"rel": "child", "href": "../../products/other/collection.json", "type": "application/json", "title": "é"},
            {"rel": "parent", "href": "../catalog.json", "type": "application/json"},
        ],
        "updated": "2025-01-01T00:00:00.000000Z",
        "title": title,
    }


def _index(kind: str, entries: dict[str, Any]) -> dict[str, Any]:
    paths = [path for path in entries if path.startswith(f"{kind}/")]
    links = [{"rel": "child", "href": "./" + path.partition("/")[2], "title": entries[path][0]} for path in paths]
    title = "EO Missions" if kind == "eo-missions" else kind.title()
    return {
        "type": "Catalog",
        "id": kind,
        "title": title,
        "links": [{"rel": "root", "href": "../catalog.json"}, *links],
    }
