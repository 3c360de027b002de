"""The schemas that are made where the published ones are not at hand: they accept and refuse what those do."""

from __future__ import annotations

import copy
import itertools
import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pyproj
import pytest
from osc_checkout import osc_checkout
from stac_extensions import EXTENSION
from stac_schemas import CORE, complaints, refuses, schemas_of, write_schemas

from earthcode_pack.describe.stac import EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Json = dict[str, Any]

S3 = {"type": "aws-s3", "platform": "https://{bucket}.s3.{region}.amazonaws.com", "bucket": "lab", "region": "eu-1"}
BANDS = {"bands": [{"name": "a", "raster:scale": 0.1}]}
CLASSES = [{"value": 1, "description": "Land", "name": "land", "color_hint": "00FF00"}]
CUBE = {
    "cube:dimensions": {
        "x": {"type": "spatial", "axis": "x", "extent": [0, 1], "step": 0.1},
        "z": {"type": "spatial", "axis": "z", "values": [1, 2], "unit": "m"},
        "t": {"type": "temporal", "extent": ["2020-01-01T00:00:00Z", None], "step": "P1D"},
        "g": {"type": "geometry", "bbox": [0, 0, 1, 1], "axes": ["x", "y"]},
        "b": {"type": "bands", "values": ["a", "b"]},
    },
    "cube:variables": {"v": {"dimensions": ["x", "t"], "unit": "K", "data_type": "int16", "nodata": "nan"}},
}
CONTACT = {
    "name": "Ada", "roles": ["producer"], "emails": [{"value": "a@example.org"}], "phones": [{"value": "+431234567"}],
    "logo": {"href": "https://example.org", "rel": "icon", "type": "image/png"},
    "addresses": [{"city": "Graz", "deliveryPoint": ["1"]}],
}  # fmt: skip
RENDER = {"a": {"assets": ["data"], "rescale": [[0, 1]], "colormap_name": "viridis", "nodata": -1}}
THEMES = [{"scheme": "s", "concepts": [{"id": "oceans"}]}]
DATA = {"href": "a.tif", "type": "image/tiff", "roles": ["data"]}


def item(name: str, properties: Json | None = None, **of_asset: Any) -> Json:
    """An Item that lists one extension; one Asset has the fields given."""
    square = [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]
    return {
        "type": "Feature", "stac_version": "1.1.0", "stac_extensions": [EXTENSION.format(name)], "id": "a",
        "bbox": [0, 0, 1, 1], "geometry": {"type": "Polygon", "coordinates": square}, "links": [],
        "properties": {"datetime": "2020-01-01T00:00:00Z"} | (properties or {}), "assets": {"data": DATA | of_asset},
    }  # fmt: skip


def collection(name: str, **more: Any) -> Json:
    """A Collection that lists one extension."""
    extent = {"spatial": {"bbox": [[0, 0, 1, 1]]}, "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]}}
    return {
        "type": "Collection", "stac_version": "1.1.0", "stac_extensions": [EXTENSION.format(name)], "id": "a",
        "description": "A", "license": "CC-BY-4.0", "extent": extent, "links": [], "assets": {"data": DATA},
    } | more  # fmt: skip


def dotted(prefix: str, fields: Json) -> Json:
    return {f"{prefix}:{name}": value for name, value in fields.items()}


def _good() -> Iterator[Json]:
    """Documents with every field that a product may have, and some that it has not."""
    for name in ("authentication/v1.1.0", "storage/v2.0.0"):
        prefix = name[: name.index("/")].removesuffix("entication")
        schemes = {f"{prefix}:schemes": {"s3": {"type": "s3"} if prefix == "auth" else S3}}
        refs = {f"{prefix}:refs": ["s3"]}
        yield item(name, schemes, **refs, alternate={"s3": {"href": "s3://lab/a.tif", **refs}})
        yield collection(name, **schemes, item_assets={"data": {"type": "a", "title": "A", **refs}})
    alternate = {"s3": {"href": "s3://lab/a.tif", "alternate:name": "S3"}}
    yield collection("alternate-assets/v1.2.0", assets={"data": DATA | {"alternate": alternate}})
    yield item("alternate-assets/v1.2.0", alternate=alternate)
    cf = {"cf:parameter": [{"name": "sea_surface_temperature", "unit": "K"}]}
    yield item("cf/v0.2.0", cf, **cf)
    yield collection("cf/v0.2.0", **cf)
    bits = {"offset": 0, "length": 2, "classes": CLASSES, "name": "q", "roles": ["data"]}
    yield item("classification/v1.1.0", dotted("classification", {"classes": CLASSES}))
    yield item("classification/v1.1.0", **dotted("classification", {"classes": CLASSES, "bitfields": [bits]}))
    yield item("contacts/v0.1.1", {"contacts": [CONTACT]})
    yield collection("contacts/v0.1.1", contacts=[CONTACT])
    yield item("datacube/v2.3.0", CUBE)
    axis = {"type": "spatial", "axis": "x", "extent": [0, 1], "reference_system": 4326}
    yield item("datacube/v2.3.0", {"cube:dimensions": {"x": axis}})
    yield item("datacube/v2.3.0", **CUBE)
    yield collection("datacube/v2.3.0", **CUBE)
    yield item("file/v2.1.0", **dotted("file", {"size": 3, "checksum": "1220ab", "local_path": "a/b.tif"}))
    yield collection("file/v2.1.0", links=[{"rel": "item", "href": "a.json", "file:size": 3}])
    processing = dotted(
        "processing",
        {"software": {"a": "1"}, "datetime": "2026-01-01T00:00:00Z", "level": "L3", "lineage": "made",
         "expression": {"format": "gdal-calc", "expression": "A+B"}},
    )  # fmt: skip
    yield item("processing/v1.2.0", processing)
    yield collection("processing/v1.2.0", providers=[{"name": "P", "roles": ["processor"], **processing}])
    grid = dotted(
        "proj", {"code": "EPSG:4326", "shape": [2, 3], "transform": [1, 0, 0, 0, -1, 0], "bbox": [0, 0, 1, 1]}
    )
    yield item("projection/v2.0.0", grid | {"proj:centroid": {"lat": 0.5, "lon": 0.5}})
    yield item("projection/v2.0.0", {"proj:projjson": pyproj.CRS("EPSG:4326").to_json_dict()})
    yield collection("projection/v2.0.0", item_assets={"data": {"title": "A", "type": "a", **grid}})
    histogram = {"count": 3, "min": 0, "max": 1, "buckets": [1, 2, 3]}
    yield item("raster/v2.0.0", **dotted("raster", {"sampling": "area", "histogram": histogram}), **BANDS)
    yield item("raster/v2.0.0", {"raster:spatial_resolution": 10})
    yield collection("raster/v2.0.0", item_assets={"data": {"title": "A", "type": "a", **BANDS}})
    yield item("render/v2.0.0", {"renders": RENDER})
    yield collection("render/v2.0.0", renders=RENDER)
    cited = dotted("sci", {"doi": "10.5281/zenodo.1", "citation": "Doe", "publications": [{"doi": "10.5281/zenodo.2"}]})
    yield item("scientific/v1.0.0", cited)
    yield collection("scientific/v1.0.0", **cited)
    yield item("themes/v1.0.0", {"themes": THEMES})
    yield collection("themes/v1.0.0", themes=THEMES)
    yield item("version/v1.2.0", {"version": "1", "deprecated": False})
    yield collection("version/v1.2.0", version="1", experimental=True)


GOOD = list(_good())


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every member."""
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from nodes(part, (*path, key))


def put(document: Json, path: tuple[Any, ...], value: Any) -> Json:
    """A copy that has another value there, or nothing where it is ``...``."""
    out = copy.deepcopy(document)
    target: Any = out
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    if value is ...:
        del target[path[-1]]
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_schemas(tmp_path_factory.mktemp("made"))


@pytest.fixture(params=["made", "schemas"])
def folder(request: pytest.FixtureRequest) -> Path:
    """What is made, and what all tests have."""
    return request.getfixturevalue(request.param)


def test_whatever_a_product_lists_has_a_schema(made: Path) -> None:
    for url in EXTENSIONS.values():
        jsonschema.Draft7Validator.check_schema(json.loads((made / url.removeprefix("https://")).read_bytes()))
    assert {document["stac_extensions"][0] for document in GOOD} == set(EXTENSIONS.values())


def test_what_is_right_is_accepted(folder: Path, tmp_path: Path) -> None:
    records = [record for record in osc_checkout(tmp_path).documents.values() if "stac_version" in record]
    assert [found for document in (*GOOD, *records) if (found := complaints(document, folder))] == []


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("alternate-assets", ("assets", "data", "alternate", "s3", "href"), ...),
        ("authentication", ("properties", "auth:schemes"), ...),
        ("authentication", ("properties", "auth:schemes", "s3", "type"), ...),
        ("authentication", ("properties", "auth:schemes", "s3", "in"), "header"),
        ("authentication", ("assets", "data", "auth:refs"), "s3"),
        ("cf", ("assets", "data", "cf:parameter"), ...),
        ("cf", ("properties", "cf:parameter", 0, "name"), ...),
        ("classification", ("properties", "classification:classes", 0, "value"), "1"),
        ("classification", ("properties", "classification:classes", 0, "color_hint"), "#00FF00"),
        ("contacts", ("properties", "contacts", 0, "name"), ...),
        ("contacts", ("properties", "contacts", 0, "phones", 0, "value"), "0043 1"),
        ("datacube", ("properties", "cube:dimensions"), ...),
        ("datacube", ("properties", "cube:dimensions", "x", "extent"), [0, None]),
        ("datacube", ("properties", "cube:dimensions", "z", "values"), ...),
        ("datacube", ("properties", "cube:variables", "v", "data_type"), "short"),
        ("file", ("assets", "data", "file:size"), "3"),
        ("file", ("assets", "data", "file:checksum"), "1220AB"),
        ("file", ("assets", "data", "file:unit"), "B"),
        ("processing", ("properties", "processing:software"), "a 1"),
        ("processing", ("properties", "processing:datetime"), "2026-01-01T00:00:00+01:00"),
        ("projection", ("properties", "proj:shape"), [1, 2, 3]),
        ("projection", ("properties", "proj:transform"), [1, 0, 0, 0, -1]),
        ("projection", ("properties", "proj:projjson"), {"type": "nothing"}),
        ("projection", ("properties", "proj:centroid", "lat"), 91),
        ("projection", ("properties", "proj:epsg"), 4326),
        ("raster", ("assets", "data", "raster:histogram", "buckets"), [1, 2]),
        ("raster", ("assets", "data", "bands", 0, "raster:scale"), "1"),
        ("render", ("properties", "renders", "a", "assets"), ...),
        ("render", ("properties", "renders"), ...),
        ("scientific", ("properties", "sci:doi"), "https://doi.org/10.5281/zenodo.1"),
        ("storage", ("properties", "storage:schemes", "s3", "platform"), ...),
        ("storage", ("properties", "storage:schemes", "s3", "bucket"), "Lab"),
        ("themes", ("properties", "themes", 0, "scheme"), ...),
        ("themes", ("properties", "themes"), []),
        ("version", ("properties", "version"), 1),
    ],
)
def test_one_thing_wrong_is_refused(folder: Path, name: str, path: tuple[Any, ...], value: Any) -> None:
    url = EXTENSIONS[name]
    good = next(document for document in GOOD if document["stac_extensions"] == [url])
    assert refuses(url, put(good, path, value), folder)


def test_alternates_are_held_to_what_an_asset_is(made: Path) -> None:
    """The published schemas of these look at the alternates of no Item, or not at what they hold."""
    for name, field, value in (("authentication", "auth:refs", "s3"), ("alternate-assets", "href", None)):
        url = EXTENSIONS[name]
        good = next(item for item in GOOD if item["stac_extensions"] == [url] and item["type"] == "Feature")
        assert refuses(url, put(good, ("assets", "data", "alternate", "s3", field), value), made)


@pytest.mark.parametrize("key", ["id", "description", "links", "stac_version", "type", "license", "extent"])
def test_the_core_of_1_0_wants_what_it_wants(folder: Path, tmp_path: Path, key: str) -> None:
    osc = osc_checkout(tmp_path)
    for kind, record in (("catalog", osc["catalog.json"]), ("collection", osc["products/sst/collection.json"])):
        url = CORE.format("1.0.0", kind, kind)
        assert not refuses(url, record, folder)
        assert refuses(url, record | {key: None}, folder) == (key in record)
        assert key not in record or refuses(url, put(record, (key,), ...), folder)


# --- beside the published ones ----------------------------------------------------------------------------------------

ODD = (..., None, True, 0, -1, 1.5, "", "x", [], {}, [None], [1, 2], ["x", "x"], {"x": 1}, {"x": {}})
STRICTER = {EXTENSIONS[name] for name in ("alternate-assets", "authentication", "storage")}  # of what alternates hold


@pytest.mark.slow
@pytest.mark.usefixtures("shared")
def test_the_published_ones_say_the_same_whatever_stands_anywhere(made: Path, schemas: Path, tmp_path: Path) -> None:
    records = [record for record in osc_checkout(tmp_path).documents.values() if record.get("stac_version") == "1.0.0"]
    records.append(_item_of_1_0())
    told_apart = []
    for document in (*GOOD, *records):
        urls = document["stac_extensions"] if document in GOOD else schemas_of(document)
        for url, path, value in itertools.product(urls, filter(_is_told, nodes(document)), ODD):
            changed = put(document, path, value)
            one, other = (refuses(url, changed, folder) for folder in (made, schemas))
            if one != other and not (one and url in STRICTER):
                told_apart.append((url, path, value))
    assert told_apart == []


def _is_told(path: tuple[Any, ...]) -> bool:
    """Not what chooses the schema, nor what all leave to the core, nor what is the same file, or the same once more."""
    chosen = path[0] in {"type", "stac_version", "stac_extensions", "geometry"}
    core = path in {("assets",), ("item_assets",)}
    return not (chosen or core or "proj:projjson" in path[:-1] or (path[0] == "links" and path[1:2] > (1,)))


def _item_of_1_0() -> Json:
    times = dict.fromkeys(("start_datetime", "end_datetime", "created", "updated"), "2020-01-01T00:00:00Z")
    common = {"title": "A", "description": "A", "license": "MIT", "providers": [{"name": "P", "roles": ["host"]}]}
    new = item("file/v2.1.0", times | common, title="A", created="2020-01-01T00:00:00Z")
    return new | {"stac_version": "1.0.0", "links": [{"rel": "collection", "href": "c.json"}], "collection": "c"}
