"""The extensions of STAC that products and the Open Science Catalog list, as JSON schemas by hand.

What their specifications say of the fields, which of them are required, and in which objects they may be.
"""

from __future__ import annotations

from schema_parts import (
    BOX,
    COUNT,
    DIALECT,
    FLAG,
    GEOJSON,
    NUMBER,
    OPEN_NUMBER,
    OPEN_TEXT,
    PROJJSON,
    TEXT,
    TIME,
    WHOLE,
    WORD,
    Schema,
    any_of,
    both,
    distinct,
    each,
    either,
    having,
    many,
    one_of,
    own,
    sized,
    some,
    within,
    words,
)

EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
Kinds = tuple[Schema | None, Schema | None, Schema | None]  # of an Item, of a Collection, of a Catalog


def schema_of(name: str) -> Schema:
    """Of the form that STAC's template of an extension has: one branch for each type of document."""
    listed = {"type": "array", "contains": {"const": EXTENSION.format(name)}}
    branches = [
        both(having({"type": {"const": kind}}, "type"), schema)
        for kind, schema in zip(("Feature", "Collection", "Catalog"), FIELDS[name], strict=True)
        if schema is not None
    ]
    return {"$schema": f"{DIALECT}#", **having({"stac_extensions": listed}, "stac_extensions"), **one_of(*branches)}


def _file() -> Kinds:
    values = having({"values": many({}, 1), "summary": WORD}, "values", "summary")
    file = own(
        "file",
        {
            "byte_order": words("big-endian", "little-endian"), "header_size": COUNT, "size": COUNT,
            "checksum": {"type": "string", "pattern": "^[a-f0-9]+$"}, "values": many(values, 1),
            "local_path": {"type": "string", "pattern": r"^[^\r\n\t\\:'\"/]+(/[^\r\n\t\\:'\"/]+)*/?$"},
        },
    )  # fmt: skip
    links = having({"links": many(file)})
    return (
        both(links, within(file, "assets"), having({}, "assets")),
        both(links, within(file, "assets", "item_assets")),
        links,
    )


def _projection() -> Kinds:
    lat, lon = ({"type": "number", "minimum": -most, "maximum": most} for most in (90, 180))
    projection = own(
        "proj",
        {
            "code": OPEN_TEXT, "wkt2": OPEN_TEXT, "projjson": one_of({"$ref": PROJJSON}, {"type": "null"}),
            "geometry": {"$ref": f"{GEOJSON}/Geometry.json"}, "bbox": BOX, "shape": many(WHOLE, 2, 2),
            "centroid": having({"lat": lat, "lon": lon}, "lat", "lon"), "transform": sized(NUMBER, 6, 9),
        },
    )  # fmt: skip
    return (
        both(having({"properties": projection}, "properties", "assets"), within(projection, "assets")),
        within(projection, "assets", "item_assets"),
        None,
    )


def _raster() -> Kinds:
    histogram = having(
        {"count": NUMBER, "min": NUMBER, "max": NUMBER, "buckets": many(WHOLE, 3)}, "count", "min", "max", "buckets"
    )
    fields = {
        "bits_per_sample": WHOLE, "sampling": words("area", "point"), "scale": NUMBER, "offset": NUMBER,
        "spatial_resolution": NUMBER, "histogram": histogram | {"additionalProperties": False},
    }  # fmt: skip
    raster = own("raster", fields)
    bands = having({"bands": many(raster)})
    part = both(raster, bands)
    named = any_of(*(f"raster:{name}" for name in fields))
    in_bands = having({"bands": {"type": "array", "contains": named}}, "bands")
    used = either(named, in_bands)
    in_assets = having({"assets": some(used)}, "assets")
    return (
        both(
            having({"properties": part}), within(part, "assets"),
            either(having({"properties": used}, "properties"), in_assets),
        ),
        both(
            bands, within(part, "assets", "item_assets"), having({"summaries": bands}),
            either(
                in_bands, in_assets, having({"item_assets": some(used)}, "item_assets"),
                having({"summaries": used}, "summaries"),
            ),
        ),
        {},
    )  # fmt: skip


def _render() -> Kinds:
    render = having(
        {
            **dict.fromkeys(("title", "colormap_name", "color_formula", "resampling"), TEXT),
            **dict.fromkeys(("minmax_zoom", "bidx"), many(NUMBER)), "rescale": many(many(NUMBER)),
            "assets": many(TEXT), "nodata": {"type": ["number", "string"]}, "colormap": {"type": "object"},
            "expression": {"type": ["string", "object", "array"]},
        },
        "assets",
    )  # fmt: skip
    return (
        having({"properties": having({"renders": each(render)}, "renders")}, "properties", "assets"),
        both(having({"renders": some(render)}, "renders"), any_of("assets", "item_assets")),
        None,
    )


def _dimension() -> Schema:
    system = one_of(TEXT, COUNT, {"$ref": PROJJSON})
    values = many({"type": ["number", "string"]}, 1)
    told = {"description": TEXT, "step": OPEN_NUMBER}
    spatial = told | {"type": {"const": "spatial"}, "reference_system": system}
    extent, open_extent = many(NUMBER, 2, 2), many(OPEN_NUMBER, 2, 2)
    no_axis = {"not": {"required": ["axis"]}}
    horizontal = having(
        spatial | {"axis": words("x", "y"), "extent": extent, "values": many(NUMBER, 1)}, "type", "axis", "extent"
    )
    vertical = having(
        spatial | {"axis": {"const": "z"}, "extent": open_extent, "values": values, "unit": TEXT}, "type", "axis"
    )
    geometry = having(
        {
            "type": {"const": "geometry"}, "bbox": BOX, "axes": many(words("x", "y", "z")) | {"uniqueItems": True},
            "values": many(TEXT, 1), "reference_system": system, "description": TEXT,
        },
        "type", "bbox",
    )  # fmt: skip
    temporal = having(
        {
            "type": {"const": "temporal"}, "extent": many(OPEN_TEXT, 2, 2), "values": many(TEXT, 1), "step": OPEN_TEXT,
            "description": TEXT,
        },
        "type", "extent",
    )  # fmt: skip
    other = having(
        told | {
            "type": TEXT | {"not": {"enum": ["spatial", "geometry"]}}, "extent": open_extent, "values": values,
            "unit": TEXT, "reference_system": TEXT, "dimensions": many(TEXT),
        },
        "type",
    )  # fmt: skip
    limits = any_of("extent", "values")
    return either(horizontal, both(vertical, limits), geometry, both(temporal, no_axis), both(other, limits, no_axis))


def _datacube() -> Kinds:
    sizes = ("8", "16", "32", "64")
    types = [f"{kind}{size}" for kind in ("int", "uint") for size in sizes] + [f"float{size}" for size in sizes[1:]]
    variable = having(
        {
            "dimensions": many(TEXT), "variable_type": words("data", "auxiliary"), "description": TEXT, "unit": TEXT,
            "values": many({}, 1), "extent": many({"type": ["string", "number", "null"]}, 2, 2),
            "nodata": one_of(NUMBER, words("nan", "inf", "-inf")),
            "data_type": words(*types, "cint16", "cint32", "cfloat32", "cfloat64", "other"),
        },
        "dimensions",
    )  # fmt: skip
    cube = own("cube", {"dimensions": each(_dimension()), "variables": each(variable)})
    whole = both(having({}, "cube:dimensions"), cube)
    named = any_of("cube:dimensions", "cube:variables")
    in_assets = having({"assets": some(whole)}, "assets")
    return (
        either(having({"properties": whole}, "properties"), in_assets),
        either(
            whole, in_assets, having({"item_assets": some(both(named, cube))}, "item_assets"),
            having({"summaries": named}, "summaries"),
        ),
        None,
    )  # fmt: skip


def _classification() -> Kinds:
    colour = {"type": "string", "pattern": "^[0-9A-Fa-f]{6}$"}
    value = having({"value": WHOLE, "description": TEXT, "name": TEXT, "color_hint": colour}, "value", "description")
    bits = having(
        {
            "offset": COUNT, "length": WHOLE | {"minimum": 1}, "classes": distinct(value), "roles": distinct(TEXT),
            "description": TEXT, "name": TEXT,
        },
        "offset", "length", "classes",
    )  # fmt: skip
    classes = own("classification", {"bitfields": distinct(bits), "classes": distinct(value)})
    part = both(classes, having({"raster:bands": many(classes)}))
    return (
        both(having({"properties": classes}, "properties", "assets"), within(part, "assets")),
        both(having({"summaries": classes}), within(part, "assets", "item_assets")),
        None,
    )


def _processing() -> Kinds:
    fields = {
        "expression": having({"format": TEXT, "expression": {}}, "format", "expression"), "lineage": TEXT,
        "level": TEXT, "facility": TEXT, "version": TEXT, "datetime": TIME,
        "software": {"type": "object", "patternProperties": {".": TEXT}},
    }  # fmt: skip
    processing, named = own("processing", fields), any_of(*(f"processing:{name}" for name in fields))
    roles = having({"roles": {"type": "array", "contains": {"enum": ["producer", "processor"]}}}, "roles")
    return (
        both(
            having({"properties": both(named, processing)}, "properties", "assets"), within(processing, "assets"),
        ),
        both(
            having({"providers": many(processing)}), within(processing, "assets", "item_assets"),
            either(
                having({"providers": {"type": "array", "contains": both(roles, named)}}, "providers"),
                *(having({place: some(named)}, place) for place in ("assets", "item_assets")),
                having({"summaries": named}, "summaries"),
            ),
        ),
        None,
    )  # fmt: skip


def _scientific() -> Kinds:
    doi = {"type": "string", "pattern": r"^10\.[0-9a-zA-Z]{4,}/\S+$"}
    fields = {"doi": doi, "citation": TEXT, "publications": many(having({"doi": doi, "citation": TEXT}))}
    cited, named = own("sci", fields), any_of(*(f"sci:{name}" for name in fields))
    whole = both(named, cited)
    return (
        both(having({"properties": whole}, "properties", "assets"), within(cited, "assets")),
        either(
            whole, *(having({place: some(whole)}, place) for place in ("assets", "item_assets")),
            having({"summaries": named}, "summaries"),
        ),
        None,
    )  # fmt: skip


def _version() -> Kinds:
    version = having({"version": TEXT, "deprecated": FLAG, "experimental": FLAG})
    return (
        both(having({"properties": version}, "properties", "assets"), within(version, "assets")),
        both(version, within(version, "assets", "item_assets")),
        version,
    )


def _contacts() -> Kinds:
    roles = many(WORD)
    link = having({"href": WORD, "rel": WORD, "type": TEXT, "title": TEXT}, "rel", "href")
    phone = having({"value": {"type": "string", "pattern": r"^\+[1-9][0-9]{3,14}$"}, "roles": roles}, "value")
    address = {"deliveryPoint": many(TEXT), "roles": roles}
    address |= dict.fromkeys(("city", "administrativeArea", "postalCode", "country"), TEXT)
    contact = having(
        {
            "name": TEXT, "identifier": TEXT, "positionName": TEXT, "organization": TEXT, "roles": roles,
            "logo": both(link, having({"rel": {"const": "icon"}}, "type")), "phones": many(phone),
            "emails": many(having({"value": TEXT, "roles": roles}, "value")), "addresses": many(having(address)),
            "links": many(both(link, having({}, "type"))), "contactInstructions": many(TEXT),
        },
        "name",
    )  # fmt: skip
    return _of_everything("contacts", contact)


def _themes() -> Kinds:
    concept = having({"id": WORD, "title": WORD, "description": WORD, "url": TEXT}, "id")
    return _of_everything("themes", having({"concepts": many(concept, 1), "scheme": WORD}, "concepts", "scheme"))


def _of_everything(name: str, member: Schema) -> Kinds:
    """A list that a document of any type may have, and must once it lists the extension."""
    there = having({name: many(member, 1)}, name)
    return (
        having({"properties": there}, "properties"),
        either(there, having({"summaries": having({}, name)}, "summaries")),
        there,
    )


def _cf() -> Kinds:
    parameter = having({"name": WORD, "unit": TEXT}, "name")
    named = own("cf", {"parameter": many(parameter, 1)})
    used = having({"assets": some(both(having({}, "cf:parameter"), named))}, "assets")
    return (
        both(having({"properties": named}), within(named, "assets"), used),
        both(named, within(named, "assets", "item_assets")),
        None,
    )


def _authentication() -> Kinds:
    """Of the schemes that of S3, which has nothing but its type and a description."""
    others = dict.fromkeys(("name", "in", "scheme", "flows", "openIdConnectUrl"), False)
    scheme = having({"type": TEXT, "description": TEXT}, "type")
    scheme |= {"if": {"properties": {"type": {"const": "s3"}}}, "then": {"properties": others}}
    return _schemes("auth", scheme, TEXT)


def _storage() -> Kinds:
    scheme = having(
        {
            "type": TEXT, "platform": {"type": "string", "pattern": r"^[\w\+.-]+://"}, "region": TEXT,
            "requester_pays": FLAG,
        },
        "type", "platform",
    )  # fmt: skip
    amazon = {
        "platform": {"const": "https://{bucket}.s3.{region}.amazonaws.com"},
        "bucket": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-.]{1,61}[a-z0-9]$"},
        "region": {"type": "string", "pattern": "^[a-z0-9-]+$"},
    }
    scheme |= {"if": {"properties": {"type": {"const": "aws-s3"}}}, "then": {"properties": amazon}}
    return _schemes("storage", scheme, WORD)


def _schemes(prefix: str, scheme: Schema, name: Schema) -> Kinds:
    """Schemes that a document declares, and references to them in links, in Assets and in the alternates of these."""
    declared = own(prefix, {"schemes": each(scheme)}, f"{prefix}:schemes")
    refers = own(prefix, {"refs": many(name)})
    links = having({"links": many(refers)})
    asset = both(refers, having({"alternate": each(refers)}))
    return (
        both(having({"properties": declared}, "properties"), links, within(asset, "assets")),
        both(declared, links, within(asset, "assets", "item_assets")),
        both(declared, links),
    )


def _alternate_assets() -> Kinds:
    other = having({"alternate:name": WORD, "title": TEXT, "description": TEXT})
    there = both(other, having({"href": WORD}, "href"))

    def assets(alternate: Schema) -> Schema:
        return having({"alternate:name": WORD, "alternate": each(alternate) | {"minProperties": 1}})

    absent = assets(both(other, having({"href": False})))
    return (
        both(having({}, "assets"), within(assets(there), "assets")),
        both(within(assets(there), "assets"), within(absent, "item_assets")),
        None,
    )


def _osc() -> Kinds:
    status = words("planned", "ongoing", "completed")
    project = {"type": {"const": "project"}, "status": status, "workflows": many(WORD)}
    product = {
        "type": {"const": "product"}, "status": status, "project": WORD, "region": WORD, "variables": many(WORD),
        "missions": many(WORD), "experiment": WORD,
    }  # fmt: skip
    record = one_of(
        own("osc", product, "osc:type", "osc:status", "osc:project"), own("osc", project, "osc:type", "osc:status")
    )
    return having({"properties": record}, "properties"), record, record


FIELDS: dict[str, Kinds] = {
    "alternate-assets/v1.2.0": _alternate_assets(),
    "authentication/v1.1.0": _authentication(),
    "cf/v0.2.0": _cf(),
    "classification/v1.1.0": _classification(),
    "contacts/v0.1.1": _contacts(),
    "datacube/v2.2.0": _datacube(),
    "datacube/v2.3.0": _datacube(),
    "file/v2.1.0": _file(),
    "osc/v1.0.0": _osc(),
    "processing/v1.2.0": _processing(),
    "projection/v2.0.0": _projection(),
    "raster/v2.0.0": _raster(),
    "render/v2.0.0": _render(),
    "scientific/v1.0.0": _scientific(),
    "storage/v2.0.0": _storage(),
    "themes/v1.0.0": _themes(),
    "version/v1.2.0": _version(),
}
