"""The Open Science Catalog as a target: a small checkout that keeps every rule, and one thing wrong at a time."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from osc_checkout import Catalogue, osc_checkout

from earthcode_pack.checks import check
from earthcode_pack.checks.osc import Checkout, kind_of_record
from earthcode_pack.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

MAY_BE_RIGHT = {"OSC-DATA-DESCRIBED", "HREF-REMOTE"}  # what a good record has all the same


@pytest.fixture
def osc(tmp_path: Path) -> Catalogue:
    return osc_checkout(tmp_path / "osc")


def broken(osc: Catalogue) -> set[str]:
    return {finding.rule for finding in check(osc.save())} - MAY_BE_RIGHT


def test_a_good_catalogue_keeps_every_rule(osc):
    assert broken(osc) == set()


def test_a_record_of_it_by_itself_has_the_rest_at_hand(osc):
    product = osc.save() / "products/sst/collection.json"
    assert {finding.rule for finding in check(product)} <= MAY_BE_RIGHT
    osc.relink("themes/oceans/catalog.json", "child", None)
    osc.save()
    assert {finding.rule for finding in check(product)} - MAY_BE_RIGHT == {"OSC-BACK-LINK"}


P, R, W, X = ("products/sst/collection.json", "projects/demo/collection.json", "workflows/make/record.json",
              "experiments/run/record.json")  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "key", "path", "value"),
    [
        ("OSC-TITLE", "eo-missions/sentinel-3/catalog.json", ("title",), None),
        ("OSC-LICENSE", P, ("license",), "other"),
        ("OSC-LICENSE", R, ("license",), "cc-by-4.0"),
        ("OSC-LICENSE-PROPRIETARY", P, ("license",), "proprietary"),
        ("STAC-LICENSE", P, ("license",), "CC-BY-NC-4.0"),
        ("OSC-BBOX-CROSSING", R, ("extent", "spatial", "bbox"), [[170, -10, -170, 10]]),
        ("OSC-BBOX", R, ("extent", "spatial", "bbox"), [[1, 2, 0, 3, 4, 100]]),
        ("STAC-BBOX", R, ("extent", "spatial", "bbox"), [[0, 0, 359, 1]]),
        ("STAC-BBOX-POINT", R, ("extent", "spatial", "bbox"), [[1, 2, 1, 2]]),
        ("STAC-BBOX-GLOBAL", P, ("extent", "spatial", "bbox"), [[-180, -90, 180, 90]]),
        ("STAC-EXTENT-PARTS", P, ("extent", "spatial", "bbox"), [[0, 40, 10, 50], [0, 40, 11, 50]]),
        ("OSC-ITEMS-EXTENT", P, ("extent", "spatial", "bbox"), [[1, 40, 10, 50]]),
        ("OSC-ITEMS-PERIOD", P, ("extent", "temporal", "interval"), [["2020-01-02T00:00:00Z", "2020-12-31T23:59:59Z"]]),
        ("OSC-START-OPEN", P, ("extent", "temporal", "interval"), [[None, "2020-12-31T23:59:59Z"]]),
        ("OSC-END-OPEN", P, ("extent", "temporal", "interval"), [["2020-01-01T00:00:00Z", None]]),
        ("OSC-INTERVAL", R, ("extent", "temporal", "interval"), [["2020-01-01T00:00:00+00:00", None]]),
        ("STAC-INTERVAL", R, ("extent", "temporal", "interval"), [["2020-01-02T00:00:00Z", "2020-01-01T00:00:00Z"]]),
        ("OSC-STAMPS", P, ("created",), None),
        ("OSC-STAMPS", W, ("properties", "updated"), "2025-01-01T00:00:00+00:00"),
        ("OSC-DOI", P, ("sci:doi",), "https://doi.org/10.5281/zenodo.1"),
        ("OSC-DOI-ABSENT", P, ("sci:doi",), None),
        ("OSC-CF-PARAMETER", P, ("cf:parameter",), None),
        ("OSC-CF-UNIT", P, ("cf:parameter", 0), {"name": "sea_surface_temperature", "units": "K"}),
        ("STAC-UNIT", P, ("cf:parameter", 0, "unit"), "kelvn"),
        ("CF-STANDARD-NAME-UNKNOWN", P, ("cf:parameter", 0, "name"), "sea_temperature_of_the_surface"),
        ("CF-STANDARD-NAME-UNITS", P, ("cf:parameter", 0, "unit"), "m"),
        ("OSC-TECHNICAL-OFFICER", R, ("contacts", 0, "roles"), ["producer"]),
        ("OSC-RECORD", W, ("conformsTo",), ["https://example.org/ogcapi-records"]),
        ("OSC-RECORD", W, ("properties", "license"), None),
        ("OSC-RECORD", X, ("properties", "type"), "workflow"),
        ("OSC-ID", W, ("id",), "other"),
        ("OSC-THEMES", W, ("properties", "themes"), [{"scheme": "s", "concepts": [{"id": "oceans"}]}] * 2),
        ("OSC-REFERENCE", P, ("osc:missions",), ["sentinel-9"]),
        ("OSC-TITLE-PROJECT", P, ("title",), None),
    ],
)
def test_one_field_wrong_is_the_one_finding(osc, rule, key, path, value):
    if rule == "OSC-TITLE-PROJECT":
        osc.retitle(key, "Sea surface temperature")
    else:
        osc.change(key, path, value)
    assert broken(osc) == {rule}


@pytest.mark.parametrize(
    ("rule", "key", "relation", "change"),
    [
        ("OSC-ACCESS", P, "via", {"title": "Data"}),
        ("OSC-VIA-TYPE", P, "via", {"type": "application/vnd+zarr"}),
        ("OSC-SELF", P, "self", {"href": "https://esa-earthcode.github.io/open-science-catalog-metadata/x.json"}),
        ("OSC-SELF-ABSENT", P, "self", None),
        ("OSC-ROOT", R, "root", None),
        ("OSC-LINK-TITLE", P, "parent", {"title": "The products"}),
        ("OSC-LINK-TITLE", P, "related", {"title": "oceans"}),
        ("OSC-RELATED", P, "related", None),
        ("OSC-HREF-SPACE", P, "via", {"href": "https://example.org/a b.zip"}),
        ("OSC-PREVIEW", "themes/oceans/catalog.json", "preview", None),
        ("OSC-VIA", "eo-missions/sentinel-3/catalog.json", "via", None),
        ("OSC-BACK-LINK", "eo-missions/sentinel-3/catalog.json", "child", None),
        ("OSC-CHILDREN", "variables/catalog.json", "child", None),
        ("OSC-CHILDREN", "experiments/catalog.json", "item", None),
        ("OSC-EXPERIMENT", X, "input", {"type": "text/plain"}),
        ("HREF-MISSING", X, "environment", {"href": "./env.yaml"}),
        ("OSC-ITEM-UNLINKED", P, "item", None),
    ],
)
def test_one_link_wrong_is_the_one_finding(osc, rule, key, relation, change):
    osc.relink(key, relation, change)
    assert broken(osc) == {rule}


def test_documentation_is_titled_so(osc):
    osc.relink(P, "via", None, title="Documentation")
    assert broken(osc) == {"OSC-DOCUMENTATION"}


def test_access_for_people_only(osc):
    osc.relink(P, "via", {"href": "https://example.org/records/1"}, title="Access")
    assert broken(osc) == set()  # for there is an Item
    osc.drop_item()
    assert broken(osc) == {"OSC-ACCESS-FORM"}


def test_a_child_that_the_catalogue_does_not_hold(osc):
    osc["themes/catalog.json"]["links"].append({"rel": "child", "href": "./land/catalog.json", "title": "Land"})
    assert broken(osc) == {"OSC-CHILDREN", "HREF-MISSING"}


def test_an_experiment_that_its_product_does_not_name(osc):
    del osc[P]["osc:experiment"]
    osc.relink(P, "related", None, title="Experiment: DEMO run")
    assert broken(osc) == {"OSC-EXPERIMENT-BACK"}


def test_an_extension_that_is_not_listed(osc):
    osc[R]["stac_extensions"] = [url for url in osc[R]["stac_extensions"] if "themes" not in url]
    assert broken(osc) == {"OSC-EXTENSIONS"}


def test_an_id_that_is_too_long_for_windows(osc):
    osc.move("sea-surface-temperature", "t" * 101)
    assert broken(osc) == {"OSC-ID-FORM"}


def test_an_item_beside_a_record_is_held_to_what_is_asked_of_items(osc):
    osc["products/sst/day.json"]["collection"] = "other"
    osc["products/sst/day.json"]["assets"]["data"]["roles"] = ["overview"]
    assert broken(osc) == {"STAC-COLLECTION-ID", "STAC-REC-04"}


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "FeatureCollection"}'])
def test_what_is_no_record_is_named(osc, text):
    (osc.save() / "products/sst/notes.json").write_text(text)
    found = [f for f in check(osc.root) if f.rule not in MAY_BE_RIGHT]
    assert [(f.rule, f.subject) for f in found] == [("STAC-JSON", "products/sst/notes.json")]


# --- outside of a checkout


def test_a_record_that_lies_elsewhere_is_judged_by_itself(osc, tmp_path):
    path = tmp_path / "collection.json"
    record = osc[P] | {"links": [link for link in osc[P]["links"] if "://" in link["href"]]}
    path.write_text(json.dumps(record | {"sci:doi": "doi:10.1/x"}))
    rules = {finding.rule for finding in check(path)}
    assert "OSC-DOI" in rules
    assert not rules & {"STAC-REC-02", "METADATA-REC-07", "STAC-REC-01", "OSC-BACK-LINK"}


def test_an_experiment_that_lies_elsewhere(osc, tmp_path):
    (tmp_path / "record.json").write_text(json.dumps(osc[X] | {"links": []}))
    assert {finding.rule for finding in check(tmp_path / "record.json")} == {"OSC-EXPERIMENT"}


def test_the_datas_own_collection_is_no_record(osc, product):
    assert kind_of_record(osc[P]) == "products"
    assert kind_of_record(osc[R]) == "projects"
    assert kind_of_record(osc[X]) == "experiments"
    assert kind_of_record(product.collection | {"osc:type": "product"}) is None
    assert kind_of_record(osc[P] | {"assets": {"data": {"href": "x"}}}) is None


def test_a_catalog_with_products_that_is_another_one(tmp_path):
    (tmp_path / "products").mkdir()
    for name in ("catalog.json", "products/catalog.json"):
        (tmp_path / name).write_text('{"type": "Catalog", "id": "mine", "stac_version": "1.1.0"}')
    assert Checkout.of(tmp_path) is None
    with pytest.raises(UserError, match="not the Open Science Catalog"):
        check(tmp_path)


# --- the page of what the real one breaks


def test_the_page_is_the_same_each_time_and_names_no_folder(osc):
    from benchmarks.catalogue import page

    osc.relink(P, "self", None)
    findings = check(osc.save())
    text = page(osc.root, findings, "abc", "1 May 2026")
    assert text == page(osc.root, tuple(reversed(findings)), "abc", "1 May 2026")
    assert "| OSC-SELF-ABSENT | warning | 1 | 1 | products/sst/collection.json has no link self |" in text
    assert "1 products, 1 projects, 1 themes, 1 variables, 1 eo-missions, 1 workflows, 1 experiments, 1 Items" in text
    assert str(osc.root) not in text


def test_what_another_makes_of_the_json_does_not_matter(osc: Any):
    """Every value of a record in turn is something else: findings, never a traceback."""
    record = osc[P]
    for key in list(record):
        for value in (None, 1, "x", [], {}, [None], [[1]], {"a": [1]}):
            osc.documents[P] = copy.deepcopy(record) | {key: value}
            assert isinstance(check(osc.save()), tuple)
