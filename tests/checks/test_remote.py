"""STAC on the net: its hrefs start where it lies, its data are read by header and a few blocks."""

import copy
import json
import shutil

import pytest
from services.web import serving

from earthcode_pack.checks import check
from earthcode_pack.checks.remote import Probe, probe_for


@pytest.fixture
def web(product):
    """The product behind http."""
    with serving(product.root) as served:
        yield served


def rules_of(findings):
    return {(finding.rule, finding.level.value) for finding in findings}


ITEM = "items/demo_20200101.json"
LINKS = [{"rel": "collection", "href": "./product/collection.json"}]
TIFF = "/data/demo_20200101/demo_20200101_sst.tif"


def test_an_item_with_its_cog(web):
    assert check(f"{web.url}/{ITEM}") == ()
    assert web.requests[TIFF] > 0


def test_of_a_cog_the_header_and_two_blocks_are_read(web, product, make_cog):
    import numpy as np

    noise = np.random.default_rng(0).random((1, 4096, 4096), dtype="float32")
    path = make_cog(product.root / TIFF[1:], noise)
    product.seal()
    found = check(f"{web.url}/{ITEM}")
    assert ("FACT-SHAPE", "error") in rules_of(found)
    assert web.given[TIFF] < path.stat().st_size / 4


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("FILE-SIZE", {"file:size": 1}),
        ("HREF-MISSING", {"href": "../data/gone.tif"}),
        ("HREF-REMOTE", {"href": "file:///etc/passwd"}),
        ("HREF-REMOTE", {"href": "http://169.254.169.254/latest/meta-data"}),
        ("HREF-REMOTE", {"href": "ftp://example.org/a.tif"}),
        ("FACT-DATA-TYPE", {"bands": [{"name": "sst", "data_type": "uint8", "nodata": -9999, "unit": "K"}]}),
    ],
)
def test_one_thing_wrong(web, product, rule, change):
    product.asset.update(change)
    product.save()
    assert {finding.rule for finding in check(f"{web.url}/{ITEM}")} == {rule}


def test_a_checksum_is_computed_where_everything_is_asked_for(web, product):
    assert check(f"{web.url}/{ITEM}", deep=True) == ()
    product.asset["file:checksum"] = "1220" + "00" * 32
    product.save()
    assert check(f"{web.url}/{ITEM}") == ()
    assert {finding.rule for finding in check(f"{web.url}/{ITEM}", deep=True)} == {"FILE-CHECKSUM"}


def test_a_query_is_not_shown(web, product):
    product.asset["file:size"] = 1
    product.save()
    (finding,) = check(f"{web.url}/{ITEM}?token=secret")
    assert finding.rule == "FILE-SIZE"
    assert "secret" not in str(finding)


def test_a_server_that_is_gone_is_info_and_asked_once(product, tmp_path, monkeypatch):
    monkeypatch.delenv("EARTHCODE_PACK_OFFLINE")
    product.asset["href"] = "http://gone.invalid/a.tif"
    product.item["assets"]["more"] = product.asset | {"href": "http://gone.invalid/b.tif"}
    path = tmp_path / "item.json"
    path.write_text(json.dumps(product.item | {"links": LINKS}))
    found = check(path)
    assert rules_of(found) == {("HREF-UNREACHABLE", "info")}
    assert len(found) == 2


def test_a_local_item_does_not_ask_this_machine(product, tmp_path, monkeypatch):
    monkeypatch.delenv("EARTHCODE_PACK_OFFLINE")
    with serving(product.root) as web:
        product.asset["href"] = f"{web.url}{TIFF}"
        (tmp_path / "item.json").write_text(json.dumps(product.item | {"links": LINKS}))
        assert rules_of(check(tmp_path / "item.json")) == {("HREF-REMOTE", "info")}
        assert not web.requests


@pytest.fixture
def many(product):
    """The same product with nine Items of one day each."""
    for day in range(3, 10):
        name = f"demo_202001{day:02}"
        item = copy.deepcopy(product.item) | {"id": name}
        item["properties"] |= {
            "datetime": f"2020-01-{day:02}T00:00:00Z",
            "start_datetime": f"2020-01-{day:02}T00:00:00Z",
            "end_datetime": f"2020-01-{day:02}T23:59:59Z",
        }
        item["assets"]["sst"]["href"] = f"../data/{name}/{name}_sst.tif"
        (product.root / "data" / name).mkdir()
        shutil.copy(product.root / TIFF[1:], product.root / "data" / name / f"{name}_sst.tif")
        product.items[name] = item
        product.collection["links"].append({"rel": "item", "href": f"./items/{name}.json"})
    product.collection["extent"]["temporal"]["interval"] = [["2020-01-01T00:00:00Z", "2020-01-09T23:59:59Z"]]
    product.collection["links"] = [link for link in product.collection["links"] if link["rel"] != "license"]
    product.collection["links"].append({"rel": "license", "href": "./collection.json"})
    return product.seal()


def test_of_a_collection_some_items_are_read_and_all_where_asked_for(web, many):
    assert {f.rule for f in check(f"{web.url}/collection.json")} <= {"HREF-REMOTE"}
    assert 1 < sum(path.startswith("/items/") for path in web.given) < len(many.items)
    assert check(f"{web.url}/collection.json", deep=True) == ()
    assert sum(path.startswith("/items/") for path in web.given) == len(many.items)


def test_a_collection_that_does_not_hold_its_items(web, many):
    many.collection["extent"]["spatial"]["bbox"] = [[0, 0, 1, 1]]
    many.save()
    found = check(f"{web.url}/collection.json")
    assert "STAC-EXTENT-BBOX" in {finding.rule for finding in found}


def test_an_api_gives_its_collection_without_a_suffix(web, product):
    shutil.copy(product.root / "collection.json", product.root / "demo")
    assert {finding.rule for finding in check(f"{web.url}/demo")} <= {"HREF-REMOTE"}


@pytest.mark.parametrize("version", [2, 3])
def test_an_item_of_a_remote_store(product, cube, write_zarr, version):
    write_zarr(cube, version=version).rename(product.root / "data" / "demo.zarr")
    assert {"ZARR-NOT-LISTED", "STAC-REC-09", "FACT-SHAPE", "FACT-CRS"} <= _of_cube(product, "demo.zarr")
    assert "HREF-MISSING" in _of_cube(product, "gone.zarr")


def test_an_item_of_a_remote_netcdf(product, cube, write_netcdf):
    write_netcdf(cube).rename(product.root / "data" / "demo.nc")
    assert {"STAC-REC-09", "FACT-SHAPE", "FACT-CRS"} <= _of_cube(product, "demo.nc")


def _of_cube(product, name):
    """What is found of the Item of a raster where a cube lies, which contradicts it."""
    product.asset["href"] = f"../data/{name}"
    product.save()
    with serving(product.root) as web:
        return {finding.rule for finding in check(f"{web.url}/{ITEM}")}


def test_an_item_in_s3(product, bucket):
    from pathlib import Path

    import boto3

    s3 = boto3.client("s3")
    for path in (Path(p) for p in product.root.rglob("*")):
        if path.is_file():
            s3.upload_file(str(path), bucket, path.relative_to(product.root).as_posix())
    assert check(f"s3://{bucket}/{ITEM}") == ()
    s3.delete_object(Bucket=bucket, Key=TIFF[1:])
    assert {finding.rule for finding in check(f"s3://{bucket}/{ITEM}")} == {"HREF-MISSING"}


def test_offline_nothing_but_the_stacs_own_host_is_asked():
    probe = probe_for("http://127.0.0.1:1/item.json", deep=False)
    assert probe is not None
    assert probe.may_ask("http://127.0.0.1:1/a.tif")
    assert not probe.may_ask("https://example.org/a.tif")
    assert probe_for(None, deep=False) is None


def test_a_sample_ends_where_its_number_is_used_up(monkeypatch):
    monkeypatch.delenv("EARTHCODE_PACK_OFFLINE")
    probe, deep = Probe(origin="gone.invalid"), Probe(deep=True)
    for number in range(100):
        if probe.may_ask(f"http://gone.invalid/{number}"):
            probe.ask(f"http://gone.invalid/{number}")
    assert not probe.may_ask("http://gone.invalid/another")
    assert deep.may_ask("http://gone.invalid/another")
