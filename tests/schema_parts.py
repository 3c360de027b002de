"""Parts of which JSON schemas of STAC are made in ``stac_schemas`` and ``stac_extensions``."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema"
PROJJSON = "https://proj.org/schemas/v0.7/projjson.schema.json"
GEOJSON = "https://geojson.org/schema"

TEXT: Schema = {"type": "string"}
WORD: Schema = {"type": "string", "minLength": 1}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "pattern": r"(\+00:00|Z)$"}
OPEN_TEXT: Schema = {"type": ["string", "null"]}
OPEN_NUMBER: Schema = {"type": ["number", "null"]}
TIMES = ("start_datetime", "end_datetime")


def having(fields: dict[str, Any], *required: str) -> Schema:
    """An object with these fields, of which some must be there; others may be."""
    return {"type": "object", "properties": fields, "required": [*required]}


def own(prefix: str, fields: dict[str, Any], *required: str) -> Schema:
    """As ``having``; of the fields with the prefix of the extension there are no others."""
    named = {f"{prefix}:{name}": schema for name, schema in fields.items()}
    return having(named, *required) | {"patternProperties": {f"^(?!{prefix}:)": {}}, "additionalProperties": False}


def each(schema: Schema) -> Schema:
    """An object of objects, all of which are so."""
    return {"type": "object", "additionalProperties": schema}


def some(schema: Schema) -> Schema:
    """An object of objects, one or more of which are so."""
    return {"type": "object", "not": {"additionalProperties": {"not": schema}}}


def many(schema: Schema, least: int = 0, most: int | None = None) -> Schema:
    return {"type": "array", "items": schema, "minItems": least} | ({} if most is None else {"maxItems": most})


def distinct(schema: Schema) -> Schema:
    """A list of one or more that are not alike."""
    return many(schema, 1) | {"uniqueItems": True}


def sized(schema: Schema, *sizes: int) -> Schema:
    """A list of one of these lengths."""
    return {"oneOf": [many(schema, size, size) for size in sizes]}


def words(*allowed: str) -> Schema:
    return {"type": "string", "enum": [*allowed]}


def both(*schemas: Schema) -> Schema:
    return {"allOf": [*schemas]}


def either(*schemas: Schema) -> Schema:
    return {"anyOf": [*schemas]}


def one_of(*schemas: Schema) -> Schema:
    return {"oneOf": [*schemas]}


def any_of(*names: str) -> Schema:
    """An object with one or more of these fields."""
    return either(*(having({}, name) for name in names))


def within(schema: Schema, *places: str) -> Schema:
    """Every Asset, or definition of one, below these fields."""
    return having(dict.fromkeys(places, each(schema)))


BOX = sized(NUMBER, 4, 6)
