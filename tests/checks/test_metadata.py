import copy

import pytest

from earthcode_pack.checks.collection import collection_findings, union_findings
from earthcode_pack.checks.documents import Document
from earthcode_pack.checks.metadata import stac_findings

DATACUBE = "https://stac-extensions.github.io/datacube/v2.3.0/schema.json"


def changed(stac, path, value):
    """A copy in which one field has another value; None removes it."""
    out = copy.deepcopy(stac)
    target = out
    for key in path[:-1]:
        target = target[key]
    if value is None:
        target.pop(path[-1], None)
    else:
        target[path[-1]] = value
    return out


@pytest.fixture
def judge(broken):
    def judged(stac):
        document = Document(stac, "x.json", None)
        extra = collection_findings(document) if stac["type"] == "Collection" else ()
        return broken([*stac_findings(document), *extra])

    return judged


BANDS = ("assets", "sst", "bands")


@pytest.mark.parametrize(
    ("rule", "path", "value"),
    [
        ("STAC-ID", ("id",), "a b"),
        ("STAC-ID", ("id",), "x" * 101),
        ("STAC-REC-01", ("stac_version",), "1.0.0"),
        ("STAC-BBOX", ("bbox",), [0, 10, 1, 5]),
        ("STAC-BBOX", ("bbox",), [0, 0, 359, 5]),
        ("STAC-GEOMETRY", ("geometry", "coordinates"), [[[0, 0], [1, 0], [1, 1], [0, 0]]]),
        ("STAC-TIME", ("properties", "datetime"), "2021-01-01T00:00:00Z"),
        ("STAC-TIME", ("properties", "end_datetime"), "last year"),
        ("STAC-REC-04", ("assets", "sst", "roles"), ["overview"]),
        ("STAC-REC-05", ("assets", "sst", "title"), None),
        ("STAC-REC-05", ("assets", "sst", "file:size"), None),
        ("STAC-REC-06", ("properties", "proj:code"), None),
        ("STAC-REC-06", ("properties", "proj:shape"), None),
        ("STAC-REC-07", ("properties", "start_datetime"), None),
        ("STAC-REC-10", ("assets", "sst", "raster:spatial_resolution"), None),
        ("STAC-REC-10", BANDS, [{"name": "sst", "data_type": "float32"}]),
        ("STAC-REC-08", BANDS, [{"data_type": "float32", "nodata": 0}]),
        ("STAC-REC-08", BANDS, [{"name": n, "data_type": t, "nodata": 0} for n, t in (("a", "int8"), ("b", "int16"))]),
        ("DATA-REQ-01", ("assets", "sst", "type"), "application/wmo-GRIB2"),
        ("DATA-REQ-01", ("assets", "sst", "href"), "../data/a.jp2"),
        ("DATA-REQ-02", ("assets", "sst", "href"), "../data/a.shp"),
        ("FILE-NAME-DATE", ("assets", "sst", "href"), "../data/sst_31-12-2020.tif"),
        ("FILE-NAME-DATE", ("assets", "sst", "href"), "../data/sst_2020_12_31.tif"),
        ("STAC-UNIT", (*BANDS, 0, "unit"), "kelvn"),
        ("STAC-REC-09", ("assets", "sst", "href"), "../data/a.zarr"),
        ("STAC-REC-12", ("assets", "sst", "classification:classes"), [{"value": 1, "name": "tree", "title": "Tree"}]),
    ],
)
def test_one_field_of_an_item_wrong_is_the_one_finding(product, judge, rule, path, value):
    assert judge(product.item) == set()
    assert judge(changed(product.item, path, value)) == {rule}


@pytest.mark.parametrize(
    ("rule", "path", "value"),
    [
        ("STAC-REC-01", ("stac_version",), "1.0.0"),
        ("STAC-REC-02", ("osc:contract-number",), None),
        ("STAC-REC-02", ("assets",), None),
        ("STAC-LICENSE", ("license",), "other"),
        ("STAC-LICENSE", ("license",), "CC BY 4.0"),
        ("STAC-LICENSE", ("license",), "CC-BY-NC-4.0"),
        ("STAC-LICENSE-LINK", ("links", 0, "rel"), "related"),
        ("STAC-DOCUMENTATION", ("links", 1), {"rel": "about-us", "href": "https://example.org"}),
        ("METADATA-REC-07", ("renders",), None),
        ("METADATA-REC-07", ("renders", "sst"), {"assets": ["sst"]}),
        ("STAC-BBOX", ("extent", "spatial", "bbox"), [[0, 0, 1]]),
        ("STAC-BBOX-GLOBAL", ("extent", "spatial", "bbox"), [[-180, -90, 180, 90]]),
        ("STAC-BBOX-POINT", ("extent", "spatial", "bbox"), [[5, 5, 5, 5]]),
        ("STAC-EXTENT-PARTS", ("extent", "spatial", "bbox"), [[0, 0, 5, 5], [0, 0, 1, 1], [4, 4, 6, 5]]),
        ("STAC-INTERVAL", ("extent", "temporal", "interval"), [["2020-01-02T00:00:00Z", "2020-01-01T00:00:00Z"]]),
        ("STAC-INTERVAL", ("extent", "temporal", "interval"), [["yesterday", None]]),
        ("STAC-DOI", ("sci:doi",), "https://doi.org/10.5281/zenodo.1"),
        ("STAC-UNIT", ("cf:parameter", 0, "unit"), "kelvn"),
        ("CF-STANDARD-NAME-UNKNOWN", ("cf:parameter", 0, "name"), "temperature_of_the_sea"),
    ],
)
def test_one_field_of_a_collection_wrong_is_the_one_finding(product, judge, rule, path, value):
    assert judge(product.collection) == set()
    assert judge(changed(product.collection, path, value)) == {rule}


def test_a_globe_that_was_measured_is_no_question(product, broken):
    stac = changed(product.collection, ("extent", "spatial", "bbox"), [[-180, -90, 180, 90]])
    assert broken(stac_findings(Document(stac, "x", None), alone=False)) == set()


def test_a_crossing_item_with_a_cut_geometry(product, judge):
    item = product.item | {"bbox": [177, -20, -178, -12]}
    halves = [
        [[[177, -20], [180, -20], [180, -12], [177, -12], [177, -20]]],
        [[[-180, -20], [-178, -20], [-178, -12], [-180, -12], [-180, -20]]],
    ]
    assert judge(item | {"geometry": {"type": "MultiPolygon", "coordinates": halves}}) == set()
    ring = [[[177, -20], [-178, -20], [-178, -12], [177, -12], [177, -20]]]
    assert judge(item | {"geometry": {"type": "Polygon", "coordinates": ring}}) == {"STAC-GEOMETRY-SPLIT"}


def test_a_crs_without_a_code_is_stated_by_wkt(product, judge):
    item = changed(product.item, ("properties", "proj:code"), None)
    item["properties"] |= {"proj:code": None, "proj:wkt2": "PROJCRS[...]"}
    assert judge(item) == set()


def test_a_grid_in_degrees_has_no_resolution_in_metres(product, judge):
    item = changed(product.item, ("assets", "sst", "raster:spatial_resolution"), None)
    item["properties"]["proj:code"] = "EPSG:4326"
    assert judge(item) == set()


def test_a_picture_needs_no_nodata(product, judge):
    bands = [{"name": name, "data_type": "uint8"} for name in ("red", "green", "blue")]
    assert judge(changed(product.item, BANDS, bands)) == set()


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({"cube:dimensions": {"x": {}}, "cube:variables": {"sst": {}}}, set()),
        ({"cube:dimensions": {"x": {}}}, {"STAC-REC-11"}),
        ({}, {"STAC-REC-11"}),
    ],
)
@pytest.mark.parametrize("where", ["asset", "properties"])
def test_a_cube_has_dimensions_and_variables(product, judge, fields, rules, where):
    item = changed(product.item, ("assets", "sst", "href"), "../data/a.nc")
    item["stac_extensions"].append(DATACUBE)
    (item["assets"]["sst"] if where == "asset" else item["properties"]).update(fields)
    assert judge(item) == rules


def test_datacube_of_version_1_is_too_old(product, judge):
    item = changed(product.item, ("assets", "sst", "href"), "../data/a.nc")
    item["properties"] |= {"cube:dimensions": {"x": {}}, "cube:variables": {"sst": {}}}
    item["stac_extensions"].append(DATACUBE.replace("2.3.0", "1.0.0"))
    assert judge(item) == {"STAC-REC-11"}


def test_a_large_geojson(product, judge):
    asset = {
        "href": "a.geojson",
        "type": "application/geo+json",
        "title": "A",
        "roles": ["data"],
        "file:size": 6_000_000,
    }
    item = changed(product.item, ("assets", "outline"), asset)
    assert judge(item) == {"EXPLORER-REC-04"}


@pytest.mark.parametrize(
    "path",
    [
        ("properties",),
        ("assets",),
        ("links",),
        ("bbox",),
        ("geometry",),
        ("stac_extensions",),
        ("assets", "sst"),
        BANDS,
        ("assets", "sst", "roles"),
        ("assets", "sst", "href"),
        ("assets", "sst", "file:size"),
        ("properties", "datetime"),
        ("geometry", "coordinates"),
        ("properties", "proj:bbox"),
        ("properties", "proj:shape"),
        ("properties", "proj:code"),
    ],
)
@pytest.mark.parametrize("value", [5, "text", ["text"], {"a": 1}, [[1]], True])
def test_fields_of_any_type_do_not_stop_the_check(product, judge, path, value):
    judge(changed(product.item, path, value))


# --- a Collection and its Items


@pytest.fixture
def unite(product, broken):
    def united():
        items = [Document(item, name, None) for name, item in product.items.items()]
        return broken(union_findings(Document(product.collection, "collection.json", None), items))

    return united


def test_a_collection_is_the_union_of_its_items(unite):
    assert unite() == set()


@pytest.mark.parametrize("box", [[-180, -90, 180, 90], [3.0, 41.0, 3.01, 41.01]])
def test_a_box_that_is_not_the_union(product, unite, box):
    product.collection["extent"]["spatial"]["bbox"] = [box]
    assert unite() == {"STAC-EXTENT-BBOX"}


@pytest.mark.parametrize(
    "interval", [["2020-01-01T00:00:00Z", "2020-01-01T23:59:59Z"], ["2019-01-01T00:00:00Z", "2020-01-02T23:59:59Z"]]
)
def test_an_interval_that_is_not_the_union(product, unite, interval):
    product.collection["extent"]["temporal"]["interval"] = [interval]
    assert unite() == {"STAC-EXTENT-TIME"}


def test_an_open_end_is_right_while_the_product_grows(product, unite):
    product.collection["extent"]["temporal"]["interval"] = [["2020-01-01T00:00:00Z", None]]
    assert unite() == {"STAC-EXTENT-OPEN"}
    product.collection["osc:status"] = "ongoing"
    assert unite() == set()


def test_an_item_of_another_collection(product, unite):
    product.item["collection"] = "other"
    assert unite() == {"STAC-COLLECTION-ID"}


def test_items_with_different_asset_keys(product, unite):
    product.item["assets"]["SST"] = product.item["assets"].pop("sst")
    assert unite() == {"STAC-REC-03", "STAC-ITEM-ASSETS"}


def test_item_assets_that_do_not_describe_the_data(product, unite):
    product.collection["item_assets"] = {}
    assert unite() == {"STAC-ITEM-ASSETS"}


@pytest.mark.parametrize("box", [[177, -20, -170, 0], [-180, -20, 180, 0]])
def test_a_union_over_the_antimeridian(product, unite, box):
    first, second = product.items.values()
    first["bbox"], second["bbox"] = [177, -20, -178, -12], [-175, -10, -170, 0]
    product.collection["extent"]["spatial"]["bbox"] = [box]
    assert unite() == set()


def test_dates_of_iso_8601_in_names_are_none_of_our_business(product, judge):
    for name in ("sst_20201231.tif", "sst_2020-12-31.tif", "sst_20201231T120000.tif", "v1.2.2020.tif"):
        assert judge(changed(product.item, ("assets", "sst", "href"), f"../data/{name}")) == set()


def test_a_wide_item_about_the_antimeridian_is_no_uncut_one(product, judge):
    ring = [[[170, -85], [170, -64], [-176, -64], [-176, -85], [170, -85]]]
    item = product.item | {"bbox": [-176, -85, 170, -64], "geometry": {"type": "Polygon", "coordinates": ring}}
    assert judge(item) == set()


def test_of_a_table_no_shape_is_asked(product, judge):
    item = changed(product.item, ("assets", "sst", "href"), "../data/a.parquet")
    item["assets"]["sst"]["type"] = "application/vnd.apache.parquet"
    for name in ("proj:shape", "proj:bbox", "proj:code"):
        del item["properties"][name]
    assert judge(item) == set()
