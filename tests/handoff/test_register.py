from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import osc_bundles as made
import pytest

from earthcode_pack.catalogs.prr import gateway_findings, hand_over, hand_over_findings, register
from earthcode_pack.errors import UserError
from earthcode_pack.model import Level

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from earthcode_pack.bundle import Bundle

PRR: dict[str, Any] = {"prr": {"collection": "demo-prr"}, "access": "public"}
RICH = made.profile(project=made.NEW_PROJECT, store=PRR)


@pytest.fixture
def rich(tmp_path: Path) -> Bundle:
    return made.bundle(tmp_path / "bundle", RICH)


def _read(bundle: Bundle, path: str) -> dict[str, Any]:
    return dict(json.loads((bundle.root / path).read_bytes()))


def _good() -> dict[str, Any]:
    """An Item that the gateway takes."""
    item = made.item(1)
    for asset in item["assets"].values():
        asset["href"] = f"{item['id']}/{asset['href'].rpartition('/')[2]}"
    return item


def test_the_documents(rich: Bundle) -> None:
    assert hand_over(rich) == [
        "prr/collection.json", "prr/items/demo-sst_20200101.json", "prr/items/demo-sst_20200102.json", "prr/letter.md",
        "prr/stac.zip",
    ]  # fmt: skip
    assert list(hand_over_findings(rich)) == []
    assert "Nothing." in (rich.root / "prr/letter.md").read_text()


def test_the_collection_says_what_the_quality_job_asks_for(rich: Bundle, valid: Callable[..., list[str]]) -> None:
    hand_over(rich)
    record = _read(rich, "prr/collection.json")
    assert {key: record[key] for key in record if key.startswith("osc:")} == {
        "osc:type": "product",
        "osc:status": "completed",
        "osc:region": "North Atlantic",
        "osc:project": "demo-project",
        "osc:project_description": "Shows how a product comes into the catalogue.",
        "osc:project_website": "https://example.org/",
        "osc:initiative": "earthcode",
        "osc:contract-number": "4000123456/25/I-EF",
        "osc:variables": ["sea-surface-temperature"],
        "osc:missions": ["sentinel-3"],
    }
    assert (record["id"], record["processing:datetime"]) == ("demo-prr", made.STARTED)
    assert record["cf:parameter"] == [{"name": "sea_surface_temperature", "unit": "kelvin"}]
    assert not [url for url in record["stac_extensions"] if "/osc/" in url]
    assert valid(record) == []


def test_the_thumbnail_comes_with_the_collection(rich: Bundle) -> None:
    hand_over(rich)
    href = _read(rich, "prr/collection.json")["assets"]["thumbnail"]["href"]
    assert base64.b64decode(href.removeprefix("data:image/png;base64,")) == made.PNG


def test_items_in_the_form_of_the_gateway(rich: Bundle, valid: Callable[..., list[str]]) -> None:
    hand_over(rich)
    item = _read(rich, "prr/items/demo-sst_20200101.json")
    assert item["collection"] == "demo-prr"
    assert {asset["href"] for asset in item["assets"].values()} == {
        "demo-sst_20200101/demo-sst_20200101_sst.tif", "demo-sst_20200101/demo-sst_20200101.png"
    }  # fmt: skip
    assert gateway_findings(item, "demo-prr") == []
    assert valid(item) == []


def test_published_hrefs_become_staged_ones_and_strangers_stay(tmp_path: Path) -> None:
    item = made.item(1)
    item["assets"]["sst"]["href"] = "https://data.example.org/products/demo-sst/v1.0/data/demo-sst_20200101/x.tif"
    item["assets"]["other"] = {**item["assets"]["sst"], "href": "https://elsewhere.example.org/y.tif"}
    bundle = made.bundle(tmp_path / "bundle", made.PROFILE, [item])
    hand_over(bundle)
    assets = _read(bundle, "prr/items/demo-sst_20200101.json")["assets"]
    assert assets["sst"]["href"] == "demo-sst_20200101/x.tif"
    assert assets["other"]["href"] == "https://elsewhere.example.org/y.tif"


def test_an_instant_becomes_an_interval(tmp_path: Path) -> None:
    item = made.item(1)
    del item["properties"]["start_datetime"], item["properties"]["end_datetime"]
    bundle = made.bundle(tmp_path / "bundle", RICH, [item])
    hand_over(bundle)
    properties = _read(bundle, "prr/items/demo-sst_20200101.json")["properties"]
    assert properties["start_datetime"] == properties["end_datetime"] == "2020-01-01T00:00:00Z"


def test_the_letter_makes_its_five_points(rich: Bundle) -> None:
    hand_over(rich)
    text = (rich.root / "prr/letter.md").read_text()
    size = sum(entry.size for entry in rich.manifest())
    for words in (
        "Copy: Ada Officer <ada@example.org>",
        "1. **Project name**: Demonstration project (`demo-project`)",
        f"2. **Total size**: {size / 1000:.1f} kB ({size} bytes)",
        "3. **STAC folder**: sent with this letter, `collection.json` and `items/` with 2 Items",
        "4. **Link to the data**: to be staged",
        "5. **Access restrictions**: none",
    ):
        assert words in text


def test_what_a_known_project_leaves_out_comes_from_its_record(tmp_path: Path) -> None:
    bundle = made.bundle(tmp_path / "bundle")
    links = [
        {"rel": "via", "href": "https://example.org/eo"},
        {"rel": "via", "href": "https://example.org/p", "title": "Website"},
    ]
    hand_over(bundle, {"title": "4DMED", "description": "The sea.", "links": links})
    record = _read(bundle, "prr/collection.json")
    assert (record["osc:project_description"], record["osc:project_website"]) == ("The sea.", "https://example.org/p")
    assert "4DMED (`4dmed-sea`)" in (bundle.root / "prr/letter.md").read_text()


def test_what_is_missing_is_named_with_the_key_that_helps(tmp_path: Path) -> None:
    bundle = made.bundle(tmp_path / "bundle", made.profile(product__missions=None), assets={})
    found = {finding.rule: finding for finding in hand_over_findings(bundle)}
    assert set(found) == {f"PRR-QA-{code:03}" for code in (34, 39, 40, 41, 42, 46)}
    assert {finding.level for finding in found.values()} == {Level.WARNING}
    hand_over(bundle)
    text = (bundle.root / "prr/letter.md").read_text()
    for words in (
        "set project.initiative",
        "set product.missions",
        "set store.access",
        "set project.technical_officer",
    ):
        assert words in text


@pytest.mark.parametrize(
    "content", [b"RIFF\x00\x00\x00\x00WEBPVP8 ", made.PNG + bytes(5_000_000)], ids=["webp", "5 MB"]
)
def test_thumbnails_that_the_prr_refuses(content: bytes, rich: Bundle) -> None:
    (rich.product / "previews" / "thumbnail.png").write_bytes(content)
    assert [finding.rule for finding in hand_over_findings(rich)] == ["PRR-QA-034"]


def test_a_second_hand_over_writes_the_same_bytes_and_sweeps_items_that_went(rich: Bundle) -> None:
    hand_over(rich)
    before = {path: path.read_bytes() for path in rich.root.rglob("*") if path.is_file()}
    (rich.root / "prr/items/gone.json").write_text("{}")
    hand_over(rich)
    assert {path: path.read_bytes() for path in rich.root.rglob("*") if path.is_file()} == before


def test_sizes_folders_and_absent_files_are_seen(tmp_path: Path) -> None:
    one, two = made.item(1), made.item(2)
    one["assets"]["sst"]["file:size"] = 5
    two["assets"]["zarr"] = {**two["assets"]["sst"], "href": "../data/demo-sst_20200102"}
    bundle = made.bundle(tmp_path / "bundle", RICH, [one])
    (bundle.product / "items" / "demo-sst_20200102.json").write_text(json.dumps(two))
    found = {(finding.rule, finding.subject) for finding in hand_over_findings(bundle)}
    assert ("PRR-GATEWAY-SIZE", "demo-sst_20200101") in found
    assert ("PRR-GATEWAY-ABSENT", "demo-sst_20200102") in found


def test_a_zarr_folder_is_told_to_be_zipped(tmp_path: Path) -> None:
    item = made.item(1)
    item["assets"]["sst"]["href"] = "../data/demo-sst.zarr/zarr.json"
    bundle = made.bundle(tmp_path / "bundle", RICH, [item])
    item["assets"]["sst"]["href"] = "../data/demo-sst.zarr"
    (bundle.product / "items" / "demo-sst_20200101.json").write_text(json.dumps(item))
    assert [finding.rule for finding in hand_over_findings(bundle)] == ["PRR-GATEWAY-FOLDER"]


def test_a_good_item_passes() -> None:
    assert gateway_findings(_good()) == []
    assert gateway_findings(_good(), "demo-sst") == []


def _with(**changes: Any) -> dict[str, Any]:
    return {**_good(), **changes}


def _asset(**changes: Any) -> dict[str, Any]:
    item = _good()
    item["assets"]["sst"] = {key: value for key, value in (item["assets"]["sst"] | changes).items() if value is not ...}
    return item


def _times(**changes: Any) -> dict[str, Any]:
    item = _good()
    return {
        **item,
        "properties": {key: value for key, value in (item["properties"] | changes).items() if value is not ...},
    }


BROKEN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "id with a slash": (_with(id="a/b"), ["ID"]),
    "id too long": (_with(id="a" * 101), ["ID"]),
    "no id": (_with(id=None), ["ID"]),
    "file extension not listed": (_with(stac_extensions=[]), ["FILE-EXTENSION"]),
    "another collection": (_with(collection="other"), ["COLLECTION"]),
    "no start": (_times(start_datetime=...), ["TIME"]),
    "null end": (_times(end_datetime=None), ["TIME"]),
    "no ISO time": (_times(start_datetime="1 January"), ["TIME"]),
    "a number for a time": (_times(datetime=2020), ["TIME"]),
    "null datetime, which is right": (_times(datetime=None), []),
    "no collection, which is right": ({k: v for k, v in _good().items() if k != "collection"}, []),
    "no type": (_asset(type=...), ["ASSET"]),
    "roles as a word": (_asset(roles="data"), ["DATA-ROLE", "ASSET"]),
    "size as a word": (_asset(**{"file:size": "4"}), ["ASSET"]),
    "true for a size": (_asset(**{"file:size": True}), ["ASSET"]),
    "no href": (_asset(href=...), ["ASSET"]),
    "no data": (_asset(roles=["metadata"]), ["DATA-ROLE"]),
    "documentation alone, which is right": (_asset(roles=["documentation"]), []),
    "no assets": (_with(assets={}), ["DATA-ROLE"]),
    "assets as a list": (_with(assets=[]), ["DATA-ROLE"]),
    "an asset as a word": (_with(assets={"a": "b"}), ["DATA-ROLE", "ASSET"]),
    "the hand-over form": (_asset(href="/d/demo-prr/x.tif"), ["HREF"]),
    "out of the bucket": (_asset(href="../x.tif"), ["HREF"]),
    "blank in the name": (_asset(href="a/b c.tif"), ["NAME"]),
    "two of one name": (_asset(href="a/demo-sst_20200101.png"), ["NAME-UNIQUE"]),
    "two names that begin alike": (_asset(href="a/demo-sst_20200101.png.aux.xml"), ["NAME-UNIQUE"]),
    "remote": (_asset(href="https://example.org/x.tif"), ["REMOTE"]),
    "bare sha256": (_asset(**{"file:checksum": "ab" * 32}), ["CHECKSUM"]),
}


@pytest.mark.parametrize(("item", "rules"), BROKEN.values(), ids=BROKEN)
def test_each_rule_of_the_gateway(item: dict[str, Any], rules: list[str]) -> None:
    found = gateway_findings(item, "demo-sst")
    assert [finding.rule for finding in found] == [f"PRR-GATEWAY-{rule}" for rule in rules]
    soft = {"PRR-GATEWAY-REMOTE", "PRR-GATEWAY-CHECKSUM"}
    assert all((finding.level is Level.WARNING) == (finding.rule in soft) and finding.remedy for finding in found)


def test_a_profile_without_the_prr_registers_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names no PRR"):
        register(made.bundle(tmp_path / "other"))
