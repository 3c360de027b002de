import json
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

from earthcode_pack.checks import check
from earthcode_pack.checks.files import parse_multihash
from earthcode_pack.errors import UserError


def test_a_good_product_keeps_every_rule(product):
    assert check(product.root) == ()
    assert check(product.root, deep=True) == ()


def test_an_item_and_a_collection_of_it_by_themselves(product):
    assert check(product.root / "items" / "demo_20200101.json") == ()
    assert check(product.root / "collection.json") == ()


# --- files


def test_a_wrong_size(product, broken):
    product.asset["file:size"] += 1
    assert broken(check(product.save().root)) == {"FILE-SIZE"}


def test_a_wrong_checksum(product, broken):
    product.asset["file:checksum"] = "1220" + "ab" * 32
    assert broken(check(product.save().root)) == {"FILE-CHECKSUM"}


@pytest.mark.parametrize("text", ["ab" * 32, "1220" + "AB" * 32, "1220abcd"])
def test_a_checksum_that_is_no_multihash(product, broken, text):
    product.asset["file:checksum"] = text
    assert "FILE-CHECKSUM-FORM" in broken(check(product.save().root))


def test_other_multihashes_are_verified_too(product, broken):
    import hashlib

    path = product.root / "data/demo_20200101/demo_20200101_sst.tif"
    product.asset["file:checksum"] = "d50110" + hashlib.md5(path.read_bytes()).hexdigest()
    assert broken(check(product.save().root)) <= {"STAC-SCHEMA-UNAVAILABLE"}
    product.asset["file:checksum"] = "1114" + "00" * 20
    assert "FILE-CHECKSUM" in broken(check(product.save().root))
    assert parse_multihash("1114" + "00" * 20) == (0x11, "00" * 20)


def test_no_checksum(product, broken):
    del product.asset["file:checksum"]
    assert broken(check(product.save().root)) == {"FILE-CHECKSUM-ABSENT"}


def test_an_asset_that_does_not_exist(product, broken):
    (product.root / "data/demo_20200101/demo_20200101_sst.tif").unlink()
    assert broken(check(product.save().root)) == {"HREF-MISSING"}


def test_a_link_that_leads_nowhere(product, broken):
    product.item["links"].append({"rel": "parent", "href": "../catalog.json"})
    assert broken(check(product.save().root)) == {"HREF-MISSING"}


@pytest.mark.parametrize("href", ["../../secret.tif", "../data/%2e%2e/../../secret.tif"])
def test_an_href_that_leaves_the_product_is_not_followed(product, broken, href):
    shutil.copy(product.root / "data/demo_20200101/demo_20200101_sst.tif", product.root.parent / "secret.tif")
    product.asset["href"] = href
    assert broken(check(product.save().root)) == {"HREF-OUTSIDE", "DATA-REQ-03"}


def test_a_link_on_disk_that_leaves_the_product_is_not_followed(product, broken):
    inside = product.root / "data/demo_20200101/demo_20200101_sst.tif"
    inside.rename(product.root.parent / "secret.tif")
    inside.symlink_to(product.root.parent / "secret.tif")
    assert "HREF-OUTSIDE" in broken(check(product.root))


def test_an_asset_elsewhere_is_told_and_not_opened(product, broken):
    product.asset["href"] = "https://example.org/a.tif"
    found = check(product.save().root)
    assert broken(found) == {"HREF-REMOTE", "DATA-REQ-03"}
    assert next(f for f in found if f.rule == "HREF-REMOTE").level.value == "info"


def test_a_thumbnail_that_the_prr_refuses(product, broken):
    path = product.root / "previews" / "demo.png"
    path.write_bytes(b"RIFF\x00\x00\x00\x00WEBP")
    assert broken(check(product.seal().root)) == {"PRR-THUMBNAIL"}


# --- the manifest


def test_files_that_the_manifest_does_not_know(product):
    (product.root / "notes.txt").write_text("x")
    found = check(product.root)
    assert [(finding.rule, finding.subject) for finding in found] == [("MANIFEST", "notes.txt")]


@pytest.mark.parametrize(("field", "value"), [("size", 1), ("sha256", "1220" + "00" * 32), ("key", "gone.txt")])
def test_a_manifest_that_is_wrong(product, broken, field, value):
    entries = json.loads((product.root / "manifest.json").read_text())
    entries[0][field] = value
    (product.root / "manifest.json").write_text(json.dumps(entries))
    assert broken(check(product.root)) == {"MANIFEST"}


@pytest.mark.parametrize("text", ["{", "{}", "[1]"])
def test_a_manifest_that_is_none(product, broken, text):
    (product.root / "manifest.json").write_text(text)
    assert broken(check(product.root)) == {"MANIFEST"}


# --- the whole


def test_of_very_many_items_some_data_are_opened_and_all_where_asked_for(product, broken, monkeypatch):
    monkeypatch.setattr("earthcode_pack.checks.product.OPENED", 1)
    name = "demo_20200101"  # the Collection comes first and the last Item is always opened
    product.items["demo_20200101"]["assets"]["sst"]["file:checksum"] = "1220" + "00" * 32
    assert broken(check(product.save().root)) == {"DATA-SAMPLED"}
    assert broken(check(product.root, deep=True)) == {"FILE-CHECKSUM"}
    product.items[name]["assets"]["sst"]["file:size"] = 1
    assert broken(check(product.save().root)) == {"DATA-SAMPLED", "FILE-SIZE"}


def test_further_boxes_that_hold_not_every_item(product, broken):
    box = product.collection["extent"]["spatial"]["bbox"][0]
    west, south, east, north = box
    product.collection["extent"]["spatial"]["bbox"] = [box, *([[west, south, east, (south + north) / 2]] * 2)]
    assert broken(check(product.save().root)) == {"STAC-EXTENT-PARTS"}


def test_a_contradiction_shows_both_values(product):
    product.collection["extent"]["spatial"]["bbox"] = [[0, 0, 1, 1]]
    product.collection["extent"]["temporal"]["interval"] = [["2019-01-01T00:00:00Z", "2020-01-02T23:59:59Z"]]
    found = {finding.rule: finding for finding in check(product.save().root)}
    assert found.keys() == {"STAC-EXTENT-BBOX", "STAC-EXTENT-TIME"}
    assert "[0.0, 0.0, 1.0, 1.0]" in found["STAC-EXTENT-BBOX"].message
    assert str(product.item["bbox"][0]) in found["STAC-EXTENT-BBOX"].message
    assert "2019-01-01T00:00:00Z" in found["STAC-EXTENT-TIME"].message
    assert "2020-01-01T00:00:00Z" in found["STAC-EXTENT-TIME"].message


def test_data_without_an_item(product):
    (product.root / "data" / "stray.tif").write_bytes(b"x")
    found = check(product.save().root)
    assert [(finding.rule, finding.subject) for finding in found] == [("DATA-REQ-03", "data/stray.tif")]


def test_a_product_without_data(product, broken):
    shutil.rmtree(product.root / "data")
    shutil.rmtree(product.root / "items")
    product.items = {}
    assert "DATA-REQ-03" in broken(check(product.save().root))


def test_an_item_that_is_no_json(product, broken):
    (product.root / "items" / "demo_20200102.json").write_text("{")
    assert "STAC-JSON" in broken(check(product.root))


def test_the_formats_of_the_assets_are_checked_under_their_key(product, make_cog):
    make_cog(product.root / "data/demo_20200101/demo_20200101_sst.tif", units=None)
    found = check(product.seal().root)
    assert [(finding.rule, finding.subject) for finding in found] == [
        ("COG-UNITS", "data/demo_20200101/demo_20200101_sst.tif")
    ]


def test_a_schema_that_is_broken_and_one_that_is_missing(product, broken):
    product.item["properties"]["proj:shape"] = "large"
    product.collection["stac_extensions"].append("https://example.org/none.json")
    found = check(product.save().root)
    assert broken(found) == {"STAC-SCHEMA", "STAC-SCHEMA-UNAVAILABLE"}
    assert [f.subject for f in found if f.rule == "STAC-SCHEMA-UNAVAILABLE"] == ["https://example.org/none.json"]


# --- hrefs under the public address


def absolute(product, base):
    """The same product with the hrefs of its assets below ``base``."""
    for item in product.items.values():
        for asset in item["assets"].values():
            asset["href"] = asset["href"].replace("..", base)
    product.collection["assets"]["thumbnail"]["href"] = f"{base}/previews/demo.png"


def test_a_published_version_maps_its_own_address_onto_itself(product, broken):
    absolute(product, "https://example.org/demo/v1")
    product.save()
    assert broken(check(product.root)) == {"HREF-REMOTE", "DATA-REQ-03"}
    product.collection["links"].append({"rel": "self", "href": "https://example.org/demo/v1/collection.json"})
    assert check(product.save().root) == ()


@pytest.fixture
def bundle(product, tmp_path):
    """The product in a bundle, by a profile that publishes below https://example.org/data."""
    root = tmp_path / "demo" / "v1"
    root.mkdir(parents=True)
    product.root = product.root.rename(root / "product")
    profile = {
        "product": {
            "id": "demo",
            "title": "DEMO",
            "description": "D",
            "license": "CC-BY-4.0",
            "version": "1",
            "status": "completed",
        },
        "project": {"id": "demo"},
        "source": {"href": ["raw/*.tif"], "time": {"start": "2020-01-01", "end": "2020-12-31"}},
        "target": {"format": "cog"},
        "store": {"href": "published", "public_href": "https://example.org/data/"},
    }
    (root / "profile.yaml").write_text(yaml.safe_dump(profile))
    return root, profile, product


def test_a_bundle_maps_the_profiles_address_onto_its_product(bundle):
    root, _, product = bundle
    absolute(product, "https://example.org/data/demo/v1")
    product.asset["file:size"] += 1
    product.save()
    found = check(root)
    assert [(f.rule, f.subject) for f in found] == [("FILE-SIZE", "data/demo_20200101/demo_20200101_sst.tif")]


def test_a_bundle_for_the_prr_is_held_against_its_gateway(bundle, broken):
    root, profile, product = bundle
    profile["store"] = {"prr": {"collection": "demo"}}
    (root / "profile.yaml").write_text(yaml.safe_dump(profile))
    assert not any(rule.startswith("PRR-GATEWAY") for rule in broken(check(root)))
    del product.asset["type"]
    product.save()
    assert any(rule.startswith("PRR-GATEWAY") for rule in broken(check(root)))


def test_a_bundle_without_product_says_so(bundle):
    root, _, product = bundle
    shutil.rmtree(product.root)
    with pytest.raises(UserError, match="no product yet"):
        check(root)


# --- a cube as asset of Item and Collection


@pytest.fixture
def cubes(product, cube, write_zarr):
    """The same product with one Zarr store instead of scenes."""

    def made(zipped: bool = False):
        store = write_zarr(cube, version=2)
        shutil.rmtree(product.root / "data")
        shutil.rmtree(product.root / "items")
        (product.root / "data").mkdir()
        key = "data/demo.zarr.zip" if zipped else "data/demo.zarr"
        if zipped:
            with zipfile.ZipFile(product.root / key, "w") as archive:
                for file in sorted(p for p in store.rglob("*") if p.is_file()):
                    archive.write(file, file.relative_to(store).as_posix())
        else:
            store.rename(product.root / key)
        _describe(product, key)
        return product

    return made


def _describe(product, key):
    item = product.item
    product.items = {"demo_20200101": item}
    item["bbox"] = [10.0, 0.0, 20.0, 8.0]
    item["geometry"]["coordinates"] = [[[10, 0], [20, 0], [20, 8], [10, 8], [10, 0]]]
    item["stac_extensions"][-1] = "https://stac-extensions.github.io/datacube/v2.3.0/schema.json"  # in place of raster
    item["properties"] = {
        "datetime": "2020-01-01T00:00:00Z",
        "start_datetime": "2020-01-01T00:00:00Z",
        "end_datetime": "2020-01-04T00:00:00Z",
        "proj:code": "EPSG:4326",
        "proj:shape": [8, 10],
        "proj:bbox": [10, 0, 20, 8],
    }
    item["assets"] = {
        "data": {
            "href": f"../{key}",
            "type": "application/zip+zarr" if key.endswith("zip") else "application/vnd.zarr; version=2",
            "title": "Cube",
            "roles": ["data"],
            "cube:dimensions": {
                "time": {"type": "temporal", "extent": ["2020-01-01T00:00:00Z", "2020-01-04T00:00:00Z"]},
                "lat": {"type": "spatial", "axis": "y", "extent": [0.5, 7.5]},
                "lon": {"type": "spatial", "axis": "x", "extent": [10.5, 19.5]},
            },
            "cube:variables": {
                "sst": {
                    "dimensions": ["time", "lat", "lon"],
                    "type": "data",
                    "unit": "K",
                    "data_type": "float32",
                    "nodata": "nan",
                }
            },
        }
    }
    product.collection["item_assets"] = {"data": {"title": "Cube", "roles": ["data"]}}
    product.collection["links"] = product.collection["links"][:2]
    product.collection["extent"] = {
        "spatial": {"bbox": [[10.0, 0.0, 20.0, 8.0]]},
        "temporal": {"interval": [["2020-01-01T00:00:00Z", "2020-01-04T00:00:00Z"]]},
    }
    _measure(product, key)


def _measure(product, key):
    import hashlib

    path, asset = product.root / key, product.item["assets"]["data"]
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    asset["file:size"] = sum(file.stat().st_size for file in files)
    digests = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    lines = sorted(f"{digest}  {Path(file).relative_to(path).as_posix()}\n" for file, digest in digests.items())
    whole = hashlib.sha256("".join(lines).encode()).hexdigest() if path.is_dir() else digests[path]
    asset["file:checksum"] = f"1220{whole}"
    product.save()


@pytest.mark.parametrize("zipped", [False, True])
def test_a_product_of_one_cube(cubes, zipped):
    assert check(cubes(zipped).root, deep=True) == ()


def test_a_store_in_which_one_byte_changed(cubes, broken):
    product = cubes()
    attrs = product.root / "data/demo.zarr/sst/.zattrs"
    attrs.write_text(attrs.read_text().replace("Temperature", "temperature"))
    assert broken(check(product.root)) == {"FILE-CHECKSUM", "MANIFEST"}


@pytest.mark.parametrize(
    ("rule", "path", "value"),
    [
        ("FACT-SHAPE", ("properties", "proj:shape"), [10, 8]),
        ("FACT-PROJ-BBOX", ("properties", "proj:bbox"), [10.5, 0.5, 19.5, 7.5]),
        ("FACT-CRS", ("properties", "proj:code"), "EPSG:3857"),
        ("FACT-EXTENT", ("bbox",), [10.5, 0.5, 19.5, 7.5]),
        ("FACT-EXTENT", ("bbox",), [-180, -90, 180, 90]),
        ("FACT-TIME", ("properties", "end_datetime"), "2020-01-02T00:00:00Z"),
        ("FACT-CUBE", ("assets", "data", "cube:dimensions", "lat", "extent"), [-90, 90]),
        (
            "FACT-CUBE",
            ("assets", "data", "cube:dimensions", "depth"),
            {"type": "spatial", "axis": "z", "extent": [0, 1]},
        ),
        ("FACT-CUBE", ("assets", "data", "cube:variables", "sst", "dimensions"), ["lat", "lon", "time"]),
        ("FACT-CUBE", ("assets", "data", "cube:variables", "wind"), {"dimensions": [], "type": "data"}),
        ("FACT-DATA-TYPE", ("assets", "data", "cube:variables", "sst", "data_type"), "float64"),
        ("FACT-NODATA", ("assets", "data", "cube:variables", "sst", "nodata"), -9999),
        ("FACT-UNIT", ("assets", "data", "cube:variables", "sst", "unit"), "degC"),
        ("FACT-MEDIA-TYPE", ("assets", "data", "type"), "application/netcdf"),
    ],
)
def test_one_fact_of_a_cube_wrong(cubes, broken, rule, path, value):
    product = cubes()
    target = product.item
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    found = broken(check(product.save().root))
    assert rule in found
    assert found <= {rule, "STAC-EXTENT-BBOX", "STAC-EXTENT-TIME", "STAC-GEOMETRY"}
