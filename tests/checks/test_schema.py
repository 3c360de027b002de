import json
import shutil
import sys
from pathlib import Path

import pytest
from pystac.validation.local_validator import get_local_schema_cache

from earthcode_pack.checks import schema
from earthcode_pack.checks.schema import NoSchema, SchemaValidator, load_schema, schema_urls

FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"


@pytest.fixture
def item():
    square = [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [FILE, PROJECTION],
        "id": "a",
        "bbox": [0, 0, 1, 1],
        "geometry": {"type": "Polygon", "coordinates": square},
        "properties": {"datetime": "2020-01-01T00:00:00Z", "proj:code": "EPSG:4326"},
        "links": [],
        "assets": {"a": {"href": "a.tif", "file:size": 3}},
    }


def test_a_valid_item_has_no_finding(item, schemas):
    validator = SchemaValidator(schemas)
    assert validator.findings(item, "a") == []
    assert validator.unavailable_findings() == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("assets", "a", "file:size"), "3", "$.assets.a['file:size']"),
        (("properties", "proj:shape"), [1, "x"], "$.properties['proj:shape'][1]"),
        (("geometry", "coordinates"), [[0, 0]], "$.geometry.coordinates[0][0]"),
        (("properties", "datetime"), None, "$.properties.datetime"),
        (("properties", "proj:projjson"), {"type": "nothing"}, "$.properties['proj:projjson']"),
    ],
)
def test_one_wrong_field_is_named(item, schemas, path, value, said):
    target = item
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    messages = [finding.message for finding in SchemaValidator(schemas).findings(item, "a")]
    assert messages
    assert any(said in message for message in messages), messages


def test_a_collection_is_validated_as_one(schemas, product):
    validator = SchemaValidator(schemas)
    assert validator.findings(product.collection, "c") == []
    assert (
        "license" in validator.findings({k: v for k, v in product.collection.items() if k != "license"}, "c")[0].message
    )


def test_stac_1_0_has_its_own_core(item, schemas):
    item["stac_version"] = "1.0.0"
    assert schema_urls(item)[0] == "https://schemas.stacspec.org/v1.0.0/item-spec/json-schema/item.json"
    assert SchemaValidator(schemas).findings(item, "a") == []


def test_a_thousand_items_are_validated_each_against_schemas_that_are_compiled_once(item, schemas):
    validator = SchemaValidator(schemas)
    assert validator.findings(item, "0") == []
    compiled = schema._compile.cache_info().misses
    for number in range(1, 1000):
        item["assets"] = {"a": {"href": f"a{number}.tif", "file:size": "3" if number == 500 else number}}
        assert bool(validator.findings(item, str(number))) is (number == 500)
    assert schema._compile.cache_info().misses == compiled


def test_what_is_validated_again_is_not_compiled_again(item, schemas):
    item["assets"]["a"]["file:size"] = "3"
    validator = SchemaValidator(schemas)
    found = validator.findings(item, "a")
    compiled = schema._compile.cache_info().misses
    for _ in range(20):
        assert validator.findings(item, "a") == found
    assert schema._compile.cache_info().misses == compiled


def test_a_schema_that_cannot_be_had_is_one_finding_and_the_rest_is_enforced(item, tmp_path):
    item["assets"]["a"]["href"] = 5  # the core refuses it, and comes with pystac
    validator = SchemaValidator(tmp_path)
    assert {finding.rule for finding in (*validator.findings(item, "a"), *validator.findings(item, "b"))} == {
        "STAC-SCHEMA"
    }
    (missing,) = validator.unavailable_findings()
    assert (missing.rule, missing.level.value, missing.subject) == ("STAC-SCHEMA-UNAVAILABLE", "info", "STAC schemas")
    assert missing.measured == [FILE, PROJECTION]
    assert "EARTHCODE_PACK_OFFLINE" in missing.message


def test_a_nested_schema_that_is_missing_leaves_the_outer_one_enforced(item, schemas, tmp_path):
    shutil.copytree(
        schemas / "stac-extensions.github.io/projection/v2.0.0",
        tmp_path / "stac-extensions.github.io/projection/v2.0.0",
    )
    item["stac_extensions"] = [PROJECTION]
    item["properties"] |= {"proj:shape": "x", "proj:projjson": {"type": "nothing"}}
    validator = SchemaValidator(tmp_path)
    assert [finding.measured for finding in validator.findings(item, "a")] == ["$.properties['proj:shape']"]
    assert [finding.subject for finding in validator.unavailable_findings()] == [
        "https://proj.org/schemas/v0.7/projjson.schema.json"
    ]


def test_the_users_cache_comes_before_the_network(tmp_path):
    kept = schema.cache_folder() / "example.org" / "s.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"type": "object"}))
    assert load_schema("https://example.org/s.json", tmp_path) == {"type": "object"}


def test_the_core_schemas_are_those_pystac_validates_with_and_need_no_jsonschema(monkeypatch):
    expected = get_local_schema_cache()
    monkeypatch.setitem(sys.modules, "jsonschema", None)  # which the core does not install
    monkeypatch.delitem(sys.modules, "pystac.validation.local_validator")
    schema._bundled.cache_clear()
    assert len(expected) > 10
    assert {url: load_schema(url, None) for url in expected} == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/s.json",
        "file:///etc/passwd",
        "https://example.org/../../etc/passwd",
        "nonsense",
        "https:///x",
    ],
)
def test_what_is_no_https_url_is_not_looked_for(url, tmp_path):
    with pytest.raises(NoSchema):
        load_schema(url, tmp_path)


@pytest.mark.parametrize("name", ["a\x00b.tif", "0000-00-00T00:00:00Z", "://", "http://[", "%", ""])
def test_an_extension_that_is_no_url_is_unavailable(name, item, tmp_path):
    book = SchemaValidator(tmp_path)
    book.findings(item | {"stac_extensions": [name]}, "a")
    assert name in {finding.subject for finding in book.unavailable_findings()}


def test_after_one_failure_the_network_is_not_tried_again(monkeypatch, tmp_path):
    monkeypatch.delenv("EARTHCODE_PACK_OFFLINE")
    monkeypatch.setenv("EARTHCODE_PACK_SCHEMA_HOSTS", "gone.invalid,gone.example")
    monkeypatch.setattr(schema, "_offline", [])
    for url in ("https://gone.invalid/a.json", "https://gone.example/b.json"):
        with pytest.raises(NoSchema, match=r"gone\.invalid cannot be reached"):
            load_schema(url, tmp_path)


def test_a_stranger_s_schema_is_not_fetched(monkeypatch, tmp_path):
    monkeypatch.delenv("EARTHCODE_PACK_OFFLINE")
    monkeypatch.setattr(schema, "_offline", [])
    for host in ("127.0.0.1:9", "example.org", "stac-extensions.github.io.example.org"):
        with pytest.raises(NoSchema, match="none of the hosts whose schemas are fetched"):
            load_schema(f"https://{host}/v1/schema.json", tmp_path)


def test_a_broken_schema_file_says_so(tmp_path):
    path = Path(tmp_path / "example.org" / "s.json")
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(NoSchema, match="not JSON"):
        load_schema("https://example.org/s.json", tmp_path)


LONG = 50_000


@pytest.mark.timeout(120)  # seconds, where each link would be validated
def test_of_a_long_array_the_member_that_is_wrong_is_named_by_its_place(item, schemas):
    links = [{"rel": "item", "href": f"./{number}.json"} for number in range(LONG)]
    validator = SchemaValidator(schemas)
    assert validator.findings(item | {"links": links}, "a") == []
    links[40_000] = {"rel": 7, "href": "./a.json"}
    (finding,) = validator.findings(item | {"links": links}, "a")
    assert finding.message.startswith("$.links[40000].rel: ")


def test_two_equal_members_far_apart_are_found(item, schemas):
    extensions = [f"https://example.org/{number}/schema.json" for number in range(300)]
    extensions[250] = extensions[120]
    (finding,) = SchemaValidator(schemas).findings(item | {"stac_extensions": extensions}, "a")
    assert finding.message.startswith("$.stac_extensions: ")
