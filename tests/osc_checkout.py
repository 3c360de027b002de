"""A small checkout of the Open Science Catalog that keeps every rule, and ways to break one of them."""

from __future__ import annotations

import copy
import json
import shutil
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

BASE = "https://esa-earthcode.github.io/open-science-catalog-metadata"
EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
THEMES = [{"scheme": "https://github.com/stac-extensions/osc#theme", "concepts": [{"id": "oceans"}]}]
STAMPS = {"created": "2025-01-01T00:00:00Z", "updated": "2025-01-01T00:00:00Z"}
PERIOD = ["2020-01-01T00:00:00Z", "2020-12-31T23:59:59Z"]
FILES = {
    "products": "collection.json", "projects": "collection.json", "themes": "catalog.json", "variables": "catalog.json",
    "eo-missions": "catalog.json", "workflows": "record.json", "experiments": "record.json",
}  # fmt: skip
TITLES = {
    "products": "Products", "projects": "Projects", "themes": "Themes", "variables": "Variables",
    "eo-missions": "EO Missions", "workflows": "Workflows", "experiments": "Experiments",
}  # fmt: skip


class Catalogue:
    """The files of a checkout by key; ``save`` writes them."""

    def __init__(self, root: Path, documents: dict[str, dict[str, Any]]) -> None:
        self.root, self.documents = root, documents

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self.documents[key]

    def save(self) -> Path:
        """Writes everything again; returns the root."""
        shutil.rmtree(self.root, ignore_errors=True)
        for key, document in self.documents.items():
            path = self.root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(document, indent=2))
        (self.root / "themes/oceans/oceans.webp").write_bytes(b"RIFF")
        for name in ("input.yaml", "environment.yaml"):
            (self.root / "experiments/run" / name).write_text("{}")
        return self.root

    def change(self, key: str, path: tuple[Any, ...], value: Any) -> None:
        """One field has another value; None removes it."""
        target: Any = self.documents[key]
        for part in path[:-1]:
            target = target[part]
        if value is None:
            del target[path[-1]]
        else:
            target[path[-1]] = value

    def relink(self, key: str, relation: str, change: dict[str, Any] | None, title: str | None = None) -> None:
        """The first link of a relation (and title) is changed, or removed where ``change`` is None."""
        links = self.documents[key]["links"]
        link = next(one for one in links if one["rel"] == relation and title in (None, one.get("title")))
        if change is None:
            links.remove(link)
        else:
            link.update(change)

    def retitle(self, key: str, title: str) -> None:
        """Another title, in the record and in every link to it."""
        old, self.documents[key]["title"] = self.documents[key]["title"], title
        for document in self.documents.values():
            for link in document["links"]:
                link["title"] = link.get("title", "").replace(old, title)

    def move(self, old: str, new: str) -> None:
        """A record under another id, everywhere."""
        text = json.dumps(self.documents).replace(f"/{old}/", f"/{new}/").replace(f'"{old}"', f'"{new}"')
        self.documents = json.loads(text)

    def drop_item(self) -> None:
        """The product without its Item."""
        del self.documents["products/sst/day.json"]
        self.relink("products/sst/collection.json", "item", None)


def osc_checkout(root: Path) -> Catalogue:
    """One record of each kind, with all links both ways."""
    documents = {
        "products/sst/collection.json": _product(),
        "products/sst/day.json": _item(),
        "projects/demo/collection.json": _project(),
        "themes/oceans/catalog.json": _catalog("themes", "oceans", "Oceans"),
        "variables/sea-surface-temperature/catalog.json": _catalog("variables", "sea-surface-temperature", "SST"),
        "eo-missions/sentinel-3/catalog.json": _catalog("eo-missions", "sentinel-3", "Sentinel-3"),
        "workflows/make/record.json": _workflow(),
        "experiments/run/record.json": _experiment(),
    }
    for kind in FILES:
        documents[f"{kind}/catalog.json"] = _folder(kind, documents)
    children = [_link("child", f"./{kind}/catalog.json", TITLES[kind]) for kind in FILES]
    documents["catalog.json"] = _stac("osc", "Open Science Catalog") | {"links": children}
    return Catalogue(root, copy.deepcopy(documents))


def packed(folder: Path) -> Path:
    """The same as a tarball, all below one folder, with another project, theme and mission that a product may name."""
    osc = osc_checkout(folder / "open-science-catalog-metadata")
    osc.move("demo", "4dmed-sea")
    osc["projects/4dmed-sea/collection.json"]["description"] = "What the sea does, told by satellites. " * 4
    for kind, name, title in (("themes", "land", "Land"), ("eo-missions", "sentinel-2", "Sentinel-2")):
        record = _catalog(kind, name, title)
        record["links"] = [link for link in record["links"] if link["rel"] not in {"child", "preview"}]
        osc.documents[f"{kind}/{name}/catalog.json"] = record
        osc[f"{kind}/catalog.json"]["links"].append(_link("child", f"./{name}/catalog.json", title))
    with tarfile.open(folder / "osc-catalog.tar.gz", "w:gz") as archive:
        archive.add(osc.save(), osc.root.name)
    return folder / "osc-catalog.tar.gz"


def _link(relation: str, href: str, title: str, kind: str = "application/json") -> dict[str, Any]:
    return {"rel": relation, "href": href, "type": kind, "title": title}


def _structure(kind: str, name: str) -> list[dict[str, Any]]:
    own = f"{BASE}/{kind}/{name}/{FILES[kind]}"
    return [
        _link("root", "../../catalog.json", "Open Science Catalog"),
        _link("parent", "../catalog.json", TITLES[kind]),
        {"rel": "self", "href": own, "type": "application/json"},
    ]


def _stac(name: str, title: str) -> dict[str, Any]:
    return {"type": "Catalog", "id": name, "stac_version": "1.0.0", "title": title, "description": title}


def _folder(kind: str, documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    relation = "item" if kind in {"workflows", "experiments"} else "child"
    found = {key: d for key, d in documents.items() if key.startswith(f"{kind}/") and key.endswith(FILES[kind])}
    links = [_link(relation, f".{key.removeprefix(kind)}", _title(document)) for key, document in found.items()]
    return _stac(kind, TITLES[kind]) | {"links": [_link("root", "../catalog.json", "Open Science Catalog"), *links]}


def _title(document: dict[str, Any]) -> str:
    return str(document.get("title") or document["properties"]["title"])


def _catalog(kind: str, name: str, title: str) -> dict[str, Any]:
    links = [
        *_structure(kind, name),
        {"rel": "via", "href": "https://example.org/about", "title": "Description", "type": "text/html"},
        _link("child", "../../products/sst/collection.json", "DEMO sea surface temperature"),
    ]
    more: dict[str, Any] = {}
    if kind == "themes":
        links.append({"rel": "preview", "href": "./oceans.webp", "type": "image/webp", "title": "Image"})
    if kind == "variables":
        more = {"themes": THEMES, "stac_extensions": [EXTENSION.format("themes/v1.0.0")]}
        links.append(_link("related", "../../themes/oceans/catalog.json", "Theme: Oceans"))
    return _stac(name, title) | more | {"links": links}


def _extent() -> dict[str, Any]:
    return {"spatial": {"bbox": [[0, 40, 10, 50]]}, "temporal": {"interval": [PERIOD]}}


def _product() -> dict[str, Any]:
    extensions = ("osc/v1.0.0", "themes/v1.0.0", "cf/v0.2.0")
    return {
        **_stac("sst", "DEMO sea surface temperature"),
        "type": "Collection",
        "stac_extensions": [EXTENSION.format(name) for name in extensions],
        "license": "CC-BY-4.0",
        "extent": _extent(),
        "osc:type": "product",
        "osc:status": "completed",
        "osc:project": "demo",
        "osc:region": "Atlantic",
        "osc:variables": ["sea-surface-temperature"],
        "osc:missions": ["sentinel-3"],
        "osc:experiment": "run",
        "themes": THEMES,
        "cf:parameter": [{"name": "sea_surface_temperature", "unit": "K"}],
        "sci:doi": "10.5281/zenodo.1234567",
        **STAMPS,
        "links": [
            *_structure("products", "sst"),
            {"rel": "via", "href": "https://example.org/data/sst.zarr", "title": "Access"},
            {"rel": "via", "href": "https://example.org/handbook.pdf", "title": "Documentation"},
            _link("related", "../../themes/oceans/catalog.json", "Theme: Oceans"),
            _link("related", "../../projects/demo/collection.json", "Project: DEMO"),
            _link("related", "../../variables/sea-surface-temperature/catalog.json", "Variable: SST"),
            _link("related", "../../eo-missions/sentinel-3/catalog.json", "EO Mission: Sentinel-3"),
            _link("related", "../../experiments/run/record.json", "Experiment: DEMO run"),
            _link("item", "./day.json", "A day"),
        ],
    }


def _item() -> dict[str, Any]:
    asset = {"href": "https://example.org/data/table.parquet", "type": "application/x-parquet", "title": "Table",
             "roles": ["data"], "file:size": 1, "file:checksum": "1220" + "ab" * 32}  # fmt: skip
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [EXTENSION.format("file/v2.1.0")],
        "id": "day",
        "collection": "sst",
        "bbox": [0, 41, 9, 50],
        "geometry": {"type": "Polygon", "coordinates": [[[0, 41], [9, 41], [9, 50], [0, 50], [0, 41]]]},
        "properties": {"datetime": PERIOD[0], "start_datetime": PERIOD[0], "end_datetime": "2020-01-01T23:59:59Z"},
        "links": [_link("collection", "./collection.json", "DEMO sea surface temperature")],
        "assets": {"data": asset},
    }


def _project() -> dict[str, Any]:
    officer = {"name": "A. Officer", "emails": [{"value": "a@example.org"}], "roles": ["technical_officer"]}
    extensions = ("osc/v1.0.0", "themes/v1.0.0", "contacts/v0.1.1")
    return {
        **_stac("demo", "DEMO"),
        "type": "Collection",
        "stac_extensions": [EXTENSION.format(name) for name in extensions],
        "license": "proprietary",
        "extent": _extent(),
        "osc:type": "project",
        "osc:status": "completed",
        "themes": THEMES,
        "contacts": [officer],
        **STAMPS,
        "links": [
            *_structure("projects", "demo"),
            {"rel": "via", "href": "https://example.org", "title": "Website"},
            _link("related", "../../themes/oceans/catalog.json", "Theme: Oceans"),
            _link("child", "../../products/sst/collection.json", "DEMO sea surface temperature"),
        ],
    }


def _record(kind: str, name: str, title: str, more: dict[str, Any], links: list[dict[str, Any]]) -> dict[str, Any]:
    properties = {"type": kind.removesuffix("s"), "title": title, "description": title, "license": "MIT",
                  "themes": THEMES, **STAMPS, **more}  # fmt: skip
    related = _link("related", "../../themes/oceans/catalog.json", "Theme: Oceans")
    return {
        "id": name,
        "type": "Feature",
        "geometry": None,
        "conformsTo": ["http://www.opengis.net/spec/ogcapi-records-1/1.0/req/record-core"],
        "properties": properties,
        "links": [*_structure(kind, name), related, *links],
    }


def _workflow() -> dict[str, Any]:
    project = _link("related", "../../projects/demo/collection.json", "Project: DEMO")
    return _record("workflows", "make", "DEMO workflow", {"osc:project": "demo"}, [project])


def _experiment() -> dict[str, Any]:
    links = [
        _link("related", "../../workflows/make/record.json", "Workflow: DEMO workflow"),
        _link("child", "../../products/sst/collection.json", "DEMO sea surface temperature"),
        _link("input", "./input.yaml", "Input", "application/yaml"),
        _link("environment", "./environment.yaml", "Environment", "application/yaml"),
    ]
    return _record("experiments", "run", "DEMO run", {"osc:workflow": "make"}, links)
