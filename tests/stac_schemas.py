"""The JSON schemas of STAC in a folder, by host and path of their URL, where the published ones are not at hand.

The core of STAC 1.1 and GeoJSON come with pystac, PROJJSON with PROJ. The core of 1.0, in which the Open Science
Catalog is written, and the extensions stand here: what their specifications say of the fields, which are required,
and in which objects they may be. ``complaints`` holds a document against a folder, with jsonschema alone.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pyproj
import referencing
from pystac.validation.local_validator import get_local_schema_cache
from referencing.jsonschema import DRAFT7
from schema_parts import (
    BOX,
    DIALECT,
    GEOJSON,
    PROJJSON,
    TEXT,
    TIME,
    TIMES,
    WORD,
    Schema,
    both,
    each,
    either,
    having,
    many,
    one_of,
    words,
)
from stac_extensions import EXTENSION, FIELDS, schema_of

CORE = "https://schemas.stacspec.org/v{}/{}-spec/json-schema/{}.json"


def complaints(document: dict[str, Any], folder: Path) -> list[str]:
    """What the schemas of its core and of its extensions have against a document. Raises where one is not there."""
    return [
        f"{url}: {error.json_path}: {error.message[:300]}"
        for url in schemas_of(document)
        for error in _validator(url, folder).iter_errors(document)
    ]


def refuses(url: str, document: dict[str, Any], folder: Path) -> bool:
    """Whether one schema has anything against it."""
    return not _validator(url, folder).is_valid(document)


def schemas_of(document: dict[str, Any]) -> list[str]:
    kind = {"Feature": "item", "Collection": "collection", "Catalog": "catalog"}[document["type"]]
    return [CORE.format(document["stac_version"], kind, kind), *document.get("stac_extensions", ())]


@functools.cache
def _validator(url: str, folder: Path) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(_read(url, folder), registry=_registry(folder))


@functools.cache
def _registry(folder: Path) -> Any:
    known = {f"https://{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*.json")}
    schemas = {url: json.loads(path.read_bytes()) for url, path in known.items()}
    schemas[DIALECT] = jsonschema.Draft7Validator.META_SCHEMA
    resources = [(url, referencing.Resource.from_contents(schema, DRAFT7)) for url, schema in schemas.items()]
    return referencing.Registry().with_resources(resources).crawl()


def _read(url: str, folder: Path) -> Schema:
    return dict(json.loads((folder / url.removesuffix("#").split("://", 1)[1]).read_bytes()))


def write_schemas(folder: Path) -> Path:
    """Writes all of them; returns the folder."""
    projjson = json.loads((Path(pyproj.datadir.get_data_dir()) / "projjson.schema.json").read_bytes())
    core = {CORE.format("1.0.0", kind, kind): schema for kind, schema in _core_1_0().items()}
    extensions = {EXTENSION.format(name): schema_of(name) for name in FIELDS}
    for url, schema in {**get_local_schema_cache(), PROJJSON: projjson, **core, **extensions}.items():
        path = folder / url.split("://", 1)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(schema | {"$id": url}))
    return folder


def _provider(name: Schema) -> Schema:
    roles = many(words("producer", "licensor", "processor", "host"))
    return having({"name": name, "description": TEXT, "url": TEXT, "roles": roles}, "name")


LICENSE: Schema = {"type": "string", "pattern": r"^[\w\-\.\+]+$"}
LINK = having({"href": WORD, "rel": WORD, "type": TEXT, "title": TEXT}, "rel", "href")
COMMON = having(
    {
        "title": TEXT, "description": TEXT, "license": LICENSE, "providers": many(_provider(WORD)), "created": TIME,
        "updated": TIME, "datetime": TIME | {"type": ["string", "null"]}, **dict.fromkeys(TIMES, TIME),
    }
) | {"dependencies": {start: [end] for start, end in (TIMES, TIMES[::-1])}}  # fmt: skip
ASSET = both(
    having({"href": WORD, "title": TEXT, "description": TEXT, "type": TEXT, "roles": many(TEXT)}, "href"), COMMON
)


def _core_1_0() -> dict[str, Schema]:
    shared = {
        "stac_version": {"const": "1.0.0"}, "stac_extensions": many(TEXT) | {"uniqueItems": True},
        "id": WORD, "links": many(LINK),
    }  # fmt: skip
    said = {**shared, "title": TEXT, "description": WORD}
    extent = having(
        {
            "spatial": having({"bbox": many(BOX, 1)}, "bbox"),
            "temporal": having(
                {"interval": many(many(TIME | {"type": ["string", "null"]}, 2, 2), 1)}, "interval"
            ),
        },
        "spatial", "temporal",
    )  # fmt: skip
    collection = {
        "type": {"const": "Collection"}, "keywords": many(TEXT), "license": LICENSE, "providers": many(_provider(TEXT)),
        "extent": extent, "assets": each(ASSET),
        "summaries": each(either({"type": "object", "minProperties": 1}, {"type": "array", "minItems": 1})),
    }  # fmt: skip
    needed = ("stac_version", "type", "id", "description", "links")
    return {
        "catalog": having(said | {"type": {"const": "Catalog"}}, *needed),
        "collection": having(said | collection, *needed, "license", "extent"),
        "item": both({"$ref": f"{GEOJSON}/Feature.json"}, _place(), _item(shared), _member()),
    }


def _place() -> Schema:
    """A geometry and its box, or neither."""
    there = having({"geometry": {"$ref": f"{GEOJSON}/Geometry.json"}, "bbox": BOX}, "geometry", "bbox")
    return one_of(there, having({"geometry": {"type": "null"}, "bbox": False}, "geometry"))


def _item(shared: dict[str, Schema]) -> Schema:
    timed = either(having({"datetime": TEXT}, "datetime"), having({}, "datetime", *TIMES))
    return having(
        {**shared, "assets": each(ASSET), "properties": both(COMMON, timed)},
        "stac_version", "id", "links", "assets", "properties",
    )  # fmt: skip


def _member() -> Schema:
    """An Item names its Collection where it has a link to it, and nowhere else."""
    linked = {"contains": having({"rel": {"const": "collection"}}, "rel")}
    return {
        "if": {"properties": {"links": linked}},
        "then": having({"collection": WORD}, "collection"),
        "else": having({"collection": False}),
    }
