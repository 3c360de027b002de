"""The forecast of the FAIR score: each criterion by construction, and all of them against ESA's own tool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from making import profile_of

from earthcode_pack.bundle import Bundle
from earthcode_pack.fair import Forecast, Offer, expected_record, forecast, offer_of, record_of
from earthcode_pack.files import to_json

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
RECORD: dict[str, Any] = {
    "sci:doi": "10.5281/zenodo.1234567",
    "links": [
        {"rel": "via", "href": "https://zenodo.org/records/1", "title": "Access"},
        {"rel": "via", "href": "https://example.org/handbook.pdf", "title": "Documentation"},
        {"rel": "related", "href": "../../experiments/run/record.json", "title": "Experiment: Run"},
        {"rel": "child", "href": "https://s3.waw4-1.cloudferro.com/EarthCODE/p/collection.json"},
        {"rel": "visualisation", "href": "https://example.org/map"},
        {"rel": "example", "href": "https://example.org/notebook.ipynb"},
    ],
}


def item(*types: str | None, href: str = "https://data.example.org/a.tif", roles: Any = ("data",)) -> dict[str, Any]:
    assets = {f"a{n}": {"href": href, "type": kind, "roles": [*roles]} for n, kind in enumerate(types)}
    return {"id": "i", "assets": assets}


def without(rel: str, title: str | None = None) -> dict[str, Any]:
    kept = [link for link in RECORD["links"] if link["rel"] != rel or (title and link.get("title") != title)]
    return RECORD | {"links": kept}


def with_href(rel: str, href: str) -> dict[str, Any]:
    record = deepcopy(RECORD)
    next(link for link in record["links"] if link["rel"] == rel)["href"] = href
    return record


def of(record: dict[str, Any], *items: dict[str, Any]) -> dict[str, float]:
    child = next((link["href"] for link in record["links"] if link["rel"] == "child"), None)
    return forecast(record, offer_of(items or [item(COG)], child)).values


def test_a_record_that_has_everything_has_every_point():
    found = forecast(RECORD, offer_of([item(COG)], None))
    assert (found.points, found.possible) == (20, 20)
    assert not [criterion for criterion in found.criteria if criterion.remedy]


def test_a_record_that_has_nothing_has_what_every_record_has():
    found = forecast({"links": []}, offer_of([item(COG)], None))
    assert found.points == 10
    assert all(criterion.remedy for criterion in found.criteria if criterion.points == 0)
    assert sum(criterion.basis == "granted" for criterion in found.criteria) == 10


@pytest.mark.parametrize(
    ("record", "lost"),
    [
        (RECORD | {"sci:doi": None}, {"Findable_has_doi"}),
        (without("via", "Access"), {"Findable_indexed_approved_data"}),  # the first via is then the handbook
        (without("via", "Documentation"), {"Interoperable_has_documentation"}),
        (without("related"), {"Reusable_workflow_exists"}),
        (without("visualisation"), {"Reusable_has_visualisation"}),
        (without("example"), {"Reusable_has_access_example"}),
        (with_href("example", "./notebook.ipynb"), {"Reusable_has_access_example"}),
        (
            without("child"),
            {
                "Findable_stac_assets", "Findable_indexed_approved_metadata", "Accessible_files",
                "Reusable_cloud_assets_rate",
            },
        ),
    ],
)  # fmt: skip
def test_what_a_record_lacks_costs_its_points_alone(record, lost):
    assert {key for key, points in of(record).items() if not points} == {f"fair:{name}" for name in lost}


@pytest.mark.parametrize(
    ("href", "data", "metadata"),
    [
        ("https://eoresults.esa.int/d/p", 1, 1),
        ("https://esa.int/p", 0, 0),
        ("https://s3.waw4-1.cloudferro.com:443/EarthCODE/p", 1, 1),
        ("https://doi.org/10.5281/zenodo.1", 1, 0),
        ("https://data.ceda.ac.uk/p", 1, 0),
        ("https://pages.github.org/p", 0, 1),
        ("https://example.org/eoresults.esa.int", 0, 0),
        ("not a url", 0, 0),
        ("https://[esa.int", 0, 0),
    ],
)
def test_hosts_are_judged_by_their_names(href, data, metadata):
    assert of(with_href("via", href))["fair:Findable_indexed_approved_data"] == data
    assert of(with_href("child", href))["fair:Findable_indexed_approved_metadata"] == metadata


@pytest.mark.parametrize(
    ("media_type", "opens", "native"),
    [
        (COG, 1, 1),
        ("IMAGE/TIFF", 1, 0),  # read in any case, counted in lower case
        ("image/cog", 1, 1),
        ("application/vnd+zarr", 1, 1),
        ("application/x-zarr", 0, 1),
        ("application/vnd.zarr; version=3", 0, 0),
        ("application/zip+zarr", 0, 0),  # taken for a ZIP, whose reader opens no URL
        ("application/x-netcdf", 1, 0),
        ("application/netcdf", 0, 0),
        (None, 1, 0),
        ("", 0, 0),
        ("application/vnd.apache.geoparquet", 1, 1),
        ("application/x; profile=cloud-optimized", 0, 1),
        ("application/pdf", 0, 0),
        ("text/csv", 1, 0),
    ],
)
def test_media_types_are_opened_and_counted_as_the_tool_does(media_type, opens, native):
    found = of(RECORD, item(media_type))
    assert (found["fair:Accessible_files"], found["fair:Reusable_cloud_assets_rate"]) == (opens, native)


def test_assets_of_several_kinds_have_the_share_of_the_points():
    found = forecast(RECORD, offer_of([item(COG), item("application/netcdf", COG, COG)], None))
    assert found.values["fair:Accessible_files"] == found.values["fair:Reusable_cloud_assets_rate"] == 0.75
    why = next(criterion.why for criterion in found.criteria if criterion.key == "fair:Accessible_files")
    assert why == "3 of 4 data assets are taken to open: the tool opens no application/netcdf by URL"


def test_only_assets_whose_sole_role_is_data_count():
    assert of(RECORD, item(COG, roles=("data", "overview")))["fair:Accessible_files"] == 0
    assert of(RECORD, item(COG, roles=("thumbnail",)), item(COG))["fair:Accessible_files"] == 1


@pytest.mark.parametrize(("href", "opens"), [("../data/a.tif", 0), ("s3://b/a.tif", 0), ("/d/p/a.tif", 1)])
def test_an_href_that_is_not_absolute_does_not_open_but_for_the_prr(href, opens):
    assert of(RECORD, item(COG, href=href))["fair:Accessible_files"] == opens
    prr = with_href("child", "https://eoresults.esa.int/stac/collections/p")
    assert of(prr, item(COG, href=href))["fair:Accessible_files"] == 1


def test_items_beyond_the_first_thousand_are_not_looked_at():
    offer = offer_of([item(COG)] * 1000 + [item("text/html")] * 500, None)
    assert (offer.items, offer.assets, offer.opened) == (1500, 1000, 1000)


def test_items_that_nobody_read_are_said_to_be_unknown():
    rates = [criterion for criterion in forecast(RECORD).criteria if criterion.basis == "unknown"]
    assert [criterion.key for criterion in rates] == ["fair:Accessible_files", "fair:Reusable_cloud_assets_rate"]


def test_a_forecast_writes_to_json_and_reads_back():
    found = forecast(RECORD, Offer())
    assert Forecast.from_json(found.to_json()) == found


# --- the record of a product ------------------------------------------------------------------------------------------


def test_the_expected_record_says_what_the_profile_says(tmp_path):
    everything = {
        "store__public_href": "https://x.esa.int/data", "product__documentation": "https://example.org/h.pdf",
        "product__doi": "10.5281/zenodo.1234567",
        "experiment": {
            "id": "run", "title": "Run",
            "workflow": {"id": "w", "title": "W", "kind": "notebook", "href": "https://example.org/w"},
        },
    }  # fmt: skip
    assert forecast(expected_record(profile_of(tmp_path, **everything)), offer_of([item(COG)], None)).points == 18
    assert forecast(expected_record(profile_of(tmp_path)), Offer()).points == 10


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    made = Bundle(tmp_path / "demo" / "v1.0")
    profile = profile_of(tmp_path, store__public_href="https://x.org/data")
    (made.root / "osc" / "products" / "demo").mkdir(parents=True)
    (made.root / "profile.yaml").write_text(profile.to_yaml())
    return made


def handed_off(bundle: Bundle, **changes: Any) -> dict[str, Any]:
    record = expected_record(bundle.profile()) | {"id": "demo"} | changes
    record["links"] = [*record["links"], {"rel": "example", "href": "https://example.org/added-by-a-steward"}]
    (bundle.root / "osc" / "products" / "demo" / "collection.json").write_text(to_json(record))
    return record


def test_what_a_steward_added_to_the_record_counts(bundle):
    record = handed_off(bundle)
    assert record_of(bundle) == record
    assert forecast(record_of(bundle)).values["fair:Reusable_has_access_example"] == 1


def test_a_hand_off_that_the_profile_has_left_behind_does_not_count(bundle):
    handed_off(bundle, **{"sci:doi": "10.5281/zenodo.1"})
    assert record_of(bundle) == expected_record(bundle.profile())


# --- ESA's own tool ---------------------------------------------------------------------------------------------------

# Runs it without a network: links answer where they are on the web, its readers of URLs succeed, those of files do
# what they do; the Items come from a file. The rest is the tool's own.
RUNNER = """
import importlib.util, json, sys, types
checkout, records, out = sys.argv[1:]
spec = importlib.util.spec_from_file_location("fairtool", f"{checkout}/earthcode/fairtool.py")
tool = importlib.util.module_from_spec(spec)
sys.modules["fairtool"] = tool
spec.loader.exec_module(tool)

def answer(url, **_):
    if not url.startswith(("http://", "https://")):
        raise tool.requests.RequestException(url)
    return types.SimpleNamespace(status_code=200)

def read(url, **_):
    if not url.startswith("https://") or "s3://" in url:
        raise ValueError(url)

def load(link, max_items=1000):
    held = [(tool.get_resolve_href(item, asset), asset.get("type"))
            for item in items for asset in item["assets"].values() if asset.get("roles") == ["data"]]
    return tool._is_prr(link), held

files = (tool.zipfile.ZipFile, open)
tool.READERS = {key: reader if reader in files else read for key, reader in tool.READERS.items()}
tool.try_response, tool.load_items_from_child_link, tool._load_zip_zarr = answer, load, read
tool.xarray = types.SimpleNamespace(open_dataset=read)
answers = []
for record, items, place in json.load(open(records)):
    product = tool.pystac.Collection.from_dict(record, migrate=False, root=None, preserve_dict=True)
    product.set_self_href(place)
    answers.append(tool.product_audit_to_fair_dict(tool.analyse_product(product, max_asset_checks=10**6)))
json.dump(answers, open(out, "w"))
"""


@pytest.fixture(scope="session")
def checkout() -> Path:
    """A checkout of github ESA-EarthCODE/earthcode-library."""
    folder = os.environ.get("EARTHCODE_LIBRARY")
    if not folder:
        pytest.skip("EARTHCODE_LIBRARY does not name a checkout of ESA-EarthCODE/earthcode-library")
    for module in ("geopandas", "rioxarray", "requests"):
        pytest.importorskip(module)
    return Path(folder)


def theirs(checkout: Path, folder: Path, cases: list[tuple[Any, ...]]) -> list[dict[str, float]]:
    """What ESA's tool answers for records with their Items and where they lie."""
    (folder / "records.json").write_text(json.dumps(cases))
    run = [sys.executable, "-W", "ignore", "-c", RUNNER, str(checkout), str(folder / "records.json"), str(folder / "o")]
    subprocess.run(run, check=True, cwd=folder)
    answers = json.loads((folder / "o").read_text())
    return [{key: float(points) for key, points in answer.items()} for answer in answers]


def whole(record: dict[str, Any]) -> dict[str, Any]:
    box, interval = {"bbox": [[0, 0, 1, 1]]}, {"interval": [["2020-01-01T00:00:00Z", None]]}
    facts = {"type": "Collection", "stac_version": "1.0.0", "id": "p", "description": "d", "license": "CC-BY-4.0"}
    return facts | {"extent": {"spatial": box, "temporal": interval}} | record


TYPES = (
    COG, "IMAGE/TIFF", "image/cog", "application/vnd+zarr", "application/x-zarr", "application/vnd.zarr; version=3",
    "application/zip+zarr", "application/x-netcdf", "application/netcdf", None, "", "application/vnd.apache.geoparquet",
    "application/vnd.apache.parquet", "application/geo+json", "application/x; profile=cloud-optimized", "text/csv",
    "application/pdf", "text/plain", "application/x-shapefile", "application/vnd+zarr; version=2; profile=x",
)  # fmt: skip
PRR = with_href("child", "https://eoresults.esa.int/stac/collections/p")


def test_esas_tool_agrees_on_every_case_by_construction(checkout, tmp_path):
    records = [RECORD, PRR, without("child"), without("via"), without("related"), without("example")]
    records += [with_href(rel, href) for rel in ("via", "child", "example") for href in ("./a", "ftp://x.esa.int/a")]
    cases = [(record, [item(COG)]) for record in records]
    cases += [(record, [item(kind)]) for record in (RECORD, PRR) for kind in TYPES]
    cases += [(RECORD, [item(*TYPES)]), (RECORD, []), (RECORD, [item(COG, roles=("data", "x"))])]
    cases += [(RECORD, [item(COG, href=href)]) for href in ("../a.tif", "s3://b/a.tif")]
    answers = theirs(checkout, tmp_path, [(whole(record), items, None) for record, items in cases])
    for (record, items), answer in zip(cases, answers, strict=True):
        child = next((link["href"] for link in record["links"] if link["rel"] == "child"), None)
        assert forecast(record, offer_of(items, child)).values == pytest.approx(answer), (record, items)


@pytest.mark.slow
def test_esas_tool_agrees_on_every_product_of_the_catalogue(checkout, shared, tmp_path):
    from earthcode_pack.catalogs.osc import open_catalog

    catalog = open_catalog(str(shared / "osc-catalog.tar.gz"), tmp_path)
    records = [catalog.record("products", entry) for entry in catalog.ids("products")]
    assert len(records) == 351
    places = [str(catalog.root / "products" / record["id"] / "collection.json") for record in records]
    cases = [(record, [item(COG)], place) for record, place in zip(records, places, strict=True)]
    answers = theirs(checkout, tmp_path, cases)
    for record, answer in zip(records, answers, strict=True):
        assert of(record) == answer, record["id"]
