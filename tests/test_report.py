"""The report of small bundles made by hand: what a person must find in it, and what must never get in."""

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import yaml
from clockless import calls_of

from earthcode_pack.bundle import Bundle
from earthcode_pack.files import to_json
from earthcode_pack.report import write_report
from earthcode_pack.report.map import WORLD, View, detail_view, draw_map
from earthcode_pack.report.variables import merged, stored_bytes

PROFILE = {
    "product": {
        "id": "demo-sst",
        "title": "DEMO Sea surface temperature",
        "description": "Daily sea surface temperature of the demonstration project.",
        "license": "CC-BY-4.0",
        "version": "1.0",
        "status": "completed",
        "preview": {"variable": "sst", "colormap": "thermal", "range": [270, 305]},
        "variables": {"sst": {"units": "K", "standard_name": "sea_surface_temperature"}},
    },
    "project": {"id": "demo-project", "title": "Demonstration"},
    "source": {"href": "raw/*.nc", "time": {"from": "coordinate"}},
    "target": {"format": "cog"},
    "store": {"href": "/store/published", "public_href": "https://data.example.org"},
}
PLAN = {"product": "demo-sst", "version": "1.0", "jobs": [], "failures": []}
INLINE = {"a", "bdi", "code", "small", "span", "strong", "time"}  # do not part words
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "rect"}


def sst(**facts) -> dict:
    statistics = {"minimum": 271.5, "maximum": 303.25, "mean": 288.0, "stddev": 4.0, "valid_percent": 75.0}
    return {
        "name": "sst", "dtype": "int16", "dims": ["y", "x"], "shape": [100, 200], "units": "K",
        "long_name": "Sea surface temperature", "standard_name": "sea_surface_temperature", "classes": [],
        "statistics": statistics,
    } | facts  # fmt: skip


def artifact(key: str, **facts) -> dict:
    return {
        "key": key,
        "variables": [sst()],
        "compared": 20_000,
        "max_error": 0.0,
        "changes": ["units: added K"],
    } | facts


def item(name: str, bbox: list, geometry: dict | None = None, **assets) -> dict:
    west, south, east, north = bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    properties = {
        "datetime": None,
        "start_datetime": "2020-01-01T00:00:00Z",
        "end_datetime": "2020-01-01T23:59:59Z",
    }
    data = {"sst": {"href": f"../data/{name}/{name}_sst.tif", "file:size": 12_345}}
    geometry = geometry or {"type": "Polygon", "coordinates": [ring]}
    return {"id": name, "bbox": bbox, "geometry": geometry, "properties": properties, "assets": data | assets}


class Made(Bundle):
    """A bundle that is filled by hand."""

    def add(self, key: str, data: bytes, media_type: str) -> None:
        (self.product / key).parent.mkdir(parents=True, exist_ok=True)
        (self.product / key).write_bytes(data)
        self.note(key, len(data), media_type, hashlib.sha256(data).hexdigest())

    def note(self, key: str, size: int, media_type: str, digest: str = "0" * 64) -> None:
        path = self.product / "manifest.json"
        entries = json.loads(path.read_text()) if path.exists() else []
        entries.append({"key": key, "size": size, "sha256": f"1220{digest}", "media_type": media_type, "sources": []})
        path.write_text(to_json(entries))

    def write(self, name: str, value: object) -> None:
        (self.root / name).write_text(to_json(value))

    def page(self) -> str:
        return write_report(self).read_text(encoding="utf-8")


def made(folder: Path, profile: dict | None = None, items: tuple[dict, ...] = (), **provenance) -> Made:
    bundle = Made(folder / "demo-sst" / "v1.0")
    (bundle.product / "items").mkdir(parents=True)
    (bundle.root / "profile.yaml").write_text(yaml.safe_dump(profile or PROFILE))
    bundle.write("plan.json", PLAN)
    bundle.write("findings.json", [])
    bundle.write("provenance.json", provenance)
    for one in items:
        bundle.add(f"items/{one['id']}.json", to_json(one).encode(), "application/geo+json")
    return bundle


@pytest.fixture
def whole(tmp_path) -> Made:
    bundle = made(
        tmp_path,
        items=(item("demo-sst_20200101", [-10, 40, 20, 60]),),
        artifacts=[artifact("data/demo-sst_20200101/demo-sst_20200101_sst.tif")],
        software={"earthcode_pack": "0.1.0", "gdal": "3.9.3"},
        started="2026-01-01T10:00:00Z",
        finished="2026-01-01T10:02:05Z",
        seconds={"convert": 125.0},
        peak_memory_mb=512.4,
        sources=[{"href": "raw/a.nc", "size": 80_000}],
    )
    bundle.note("data/demo-sst_20200101/demo-sst_20200101_sst.tif", 10_000, "image/tiff; application=geotiff")
    return bundle


def finding(rule: str = "DATA-REQ-01", level: str = "error", **more) -> dict:
    facts = {"subject": "sst", "message": "no units", "measured": None, "allowed": None, "remedy": "set units"}
    return {"rule": rule, "level": level} | facts | more


class Outline(HTMLParser):
    """The page's ids, links, tags and text; complains about tags that are not closed in turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.refs: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        self.text += "" if tag in INLINE else " "
        self.ids += [found["id"]] if "id" in found else []
        self.refs += [found[key] for key in ("href", "src") if key in found]
        self._open += [] if tag in VOID else [tag]

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        self.text += "" if tag in INLINE else " "

    def handle_data(self, data):
        self.text += data if self._open[-1:] != ["style"] else ""


def text(page: str) -> str:
    return " ".join(Outline(page).text.split())


def test_a_whole_product_is_ready_and_its_facts_are_there(whole):
    page = text(whole.page())
    assert "✓ Ready." in page
    for fact in (
        "DEMO Sea surface temperature", "CC-BY-4.0", str(whole.digest), "demo-sst_20200101", "2020-01-01",
        "10° W to 20° E, 40° N to 60° N", "sea_surface_temperature", "int16", "271.5 288 303.25 4 75.0 %",
        "Every stored value is identical", "units: added K", "8.00 : 1", "4.00 : 1", "gdal 3.9.3", "2 min 5 s",
        "512 MB", "Nothing is published yet", "/store/published/demo-sst/v1.0",
    ):  # fmt: skip
        assert fact in page, fact


def test_the_same_bundle_gives_the_same_bytes(whole):
    assert whole.page() == whole.page()


def test_the_page_asks_the_network_for_nothing(whole):
    page = Outline(whole.page())
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "form", "base"}
    assert all(ref.startswith(("#", "data:image/png;base64,", "https://")) for ref in page.refs)
    assert not re.search(r"@import|url\(", whole.page())
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy


def test_the_page_is_semantic(whole):
    page = Outline(whole.page())
    tags = [tag for tag, _ in page.tags]
    assert next(attrs for tag, attrs in page.tags if tag == "html")["lang"] == "en"
    assert tags.count("h1") == 1
    assert tags.count("table") == tags.count("caption")
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    parts = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "td": "cell"}
    assert all(attrs.get("role") == parts[tag] for tag, attrs in page.tags if tag in parts), "kept where shown as lists"
    assert len(page.ids) == len(set(page.ids))
    assert {ref[1:] for ref in page.refs if ref.startswith("#")} <= set(page.ids)


def test_a_standing_error_blocks_and_comes_with_its_remedy(whole):
    whole.write("findings.json", [finding(measured="none", allowed="UDUNITS")])
    page = text(whole.page())
    assert "✕ Blocked. Publishing is blocked by DATA-REQ-01" in page
    assert "Measured: none · Allowed: UDUNITS" in page
    assert "Remedy: set units" in page


def test_an_accepted_error_does_not_block_and_its_reason_is_told(tmp_path):
    profile = PROFILE | {"accept": {"DATA-REQ-01": "an index has no units"}}
    bundle = made(tmp_path, profile, (item("a", [0, 0, 1, 1]),))
    bundle.write("findings.json", [finding()])
    page = text(bundle.page())
    assert "✓ Ready." in page
    assert "Accepted by the profile: an index has no units" in page


def test_ten_thousand_findings_of_one_rule_are_one_entry(whole):
    whole.write("findings.json", [finding(level="warning", subject=f"item-{n}") for n in range(10_000)])
    page = text(whole.page())
    assert "10,000 times" in page
    assert "item-0, item-1, item-2, item-3, item-4 and 9,995 more: no units" in page
    assert "item-5" not in page


def test_ten_thousand_messages_of_one_rule_are_five_and_a_count(whole):
    whole.write("findings.json", [finding(level="info", message=f"differs by {n}") for n in range(10_000)])
    page = text(whole.page())
    assert "differs by 4" in page
    assert "differs by 5" not in page
    assert "9,995 more messages; all are in findings.json" in page


def test_errors_come_before_warnings_and_accepted_ones_last_of_their_level(tmp_path):
    bundle = made(tmp_path, PROFILE | {"accept": {"B": "so be it"}})
    levels = (("I", "info"), ("W", "warning"), ("B", "error"), ("A", "error"))
    bundle.write("findings.json", [finding(rule, level) for rule, level in levels])
    assert re.findall(r"</span>(\w)</h3>", bundle.page()) == ["A", "B", "W", "I"]


def test_a_product_of_failures_only_has_a_report(tmp_path):
    failed = [{"source": "raw/a.tif", "error": "no CRS", "remedy": "set source.crs"}]
    bundle = made(tmp_path, failed=failed)
    page = text(bundle.page())
    assert "✕ Nothing to publish. The product is incomplete: 1 source could not be used." in page
    for fact in ("raw/a.tif", "no CRS", "set source.crs", "There is no Item.", "no footprint", "none: the product"):
        assert fact in page, fact


def test_a_failure_of_plan_and_run_is_told_once(whole):
    failure = {"source": "raw/b.tif", "error": "no CRS", "remedy": ""}
    whole.write("plan.json", PLAN | {"failures": [failure]})
    whole.write("provenance.json", {"failed": [failure]})
    page = whole.page()
    assert page.count("raw/b.tif") == 1
    assert "Incomplete.</strong> 1 source could not be used; publishing takes --allow-incomplete" in page


def test_only_a_profile_is_needed(tmp_path):
    root = tmp_path / "demo-sst" / "v1.0"
    root.mkdir(parents=True)
    (root / "profile.yaml").write_text(yaml.safe_dump(PROFILE))
    page = text(Made(root).page())
    assert "The product has not been checked yet." in page
    assert "There is no record of a run yet." in page


def test_what_is_published_is_counted_by_its_bytes(whole):
    receipts = [
        {
            "key": entry.key,
            "size": entry.size,
            "sha256": entry.sha256[4:],
            "etag": None,
            "verified_at": "2026-01-01T00:00:00Z",
        }
        for entry in whole.manifest()
    ]
    whole.write("receipts.json", receipts)
    page = text(whole.page())
    assert "✓ Published. All 2 files are published and verified." in page
    assert "https://data.example.org/demo-sst/v1.0" in page
    receipts[0]["sha256"] = "f" * 64  # of an earlier version of the file
    whole.write("receipts.json", receipts)
    assert "✕ Partly published. 1 of 2 files are published" in text(whole.page())


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}\u202e"


def test_hostile_strings_stay_text(tmp_path):
    profile = PROFILE | {"product": PROFILE["product"] | {"title": HOSTILE, "description": HOSTILE}}
    hostile = item("a", [0, 0, 1, 1], thumbnail={"href": "../previews/a.png"}) | {"id": HOSTILE}
    bundle = made(
        tmp_path,
        profile,
        artifacts=[
            artifact(HOSTILE, variables=[sst(name=HOSTILE, classes=[{"value": 1, "name": HOSTILE, "color": HOSTILE}])])
        ],
        failed=[{"source": HOSTILE, "error": HOSTILE, "remedy": HOSTILE}],
        software={HOSTILE: HOSTILE},
        approvals=[{HOSTILE: HOSTILE}],
    )
    bundle.add("items/a.json", to_json(hostile).encode(), "application/geo+json")
    bundle.add("previews/a.png", b"\x89PNG", "image/png")
    bundle.write("findings.json", [finding(subject=HOSTILE, message=HOSTILE, measured=[HOSTILE], remedy=HOSTILE)])
    page = bundle.page()
    outline = Outline(page)
    assert not [tag for tag, attrs in outline.tags if tag == "script" or "onerror" in attrs or attrs.get("src") == "x"]
    assert "{{ 7*7 }}" in outline.text
    assert outline.text.count("<script>alert(1)</script>") >= 8


def test_half_of_a_surrogate_pair_does_not_stop_the_report(tmp_path):
    bundle = made(tmp_path, failed=[{"source": "a", "error": "x", "remedy": ""}])
    (bundle.root / "provenance.json").write_text(r'{"failed": [{"source": "\ud800.nc", "error": "x"}]}')
    assert "?.nc" in bundle.page()


def test_previews_stand_in_the_page_with_the_item_they_show(whole):
    whole.add("previews/a.png", b"\x89PNG\r\n", "image/png")
    href = "https://data.example.org/demo-sst/v1.0/previews/a.png"
    one = item("with-picture", [0, 0, 1, 1], thumbnail={"href": href, "description": "sst, 270 to 305 K (thermal)"})
    whole.add("items/with-picture.json", to_json(one).encode(), "application/geo+json")
    pictures = [attrs for tag, attrs in Outline(whole.page()).tags if tag == "img"]
    assert "with-picture sst, 270 to 305 K (thermal)" in text(whole.page())
    assert [(picture["alt"], picture["src"]) for picture in pictures] == [
        ("Preview of with-picture: sst, 270 to 305 K (thermal)", "data:image/png;base64,iVBORw0K")
    ]


def test_the_previews_of_many_items_do_not_make_the_page_heavy(whole):
    for number in range(30):
        whole.add(f"previews/{number}.png", b"p" * 450_000, "image/png")
    page = whole.page()
    assert len(page) < 6_000_000
    assert "of 30 previews are listed; all of them are in product/previews/" in text(page)


def test_a_lossy_file_is_named_with_its_error(tmp_path):
    lossy = artifact("data/a.tif", max_error=0.001)
    bundle = made(tmp_path, artifacts=[lossy, artifact("data/b.tif")])
    page = text(bundle.page())
    assert "1 file differs, by at most 0.001" in page
    assert "data/a.tif 20,000 0.001" in page
    assert "Every stored value is identical" not in page


def stats(values: list[float], cells: int, **more) -> dict:
    known = np.asarray(values, float)
    return {
        "minimum": known.min(), "maximum": known.max(), "mean": known.mean(), "stddev": known.std(),
        "valid_percent": 100 * len(values) / cells, "count": len(values),
    } | more  # fmt: skip


def test_statistics_of_all_files_are_those_of_their_values_and_a_file_without_valid_ones_adds_none(tmp_path):
    empty = {"minimum": "NaN", "maximum": "NaN", "mean": "NaN", "stddev": "NaN", "valid_percent": 0.0, "count": 0}
    found = [stats([1, 2, 3], 4), empty, stats([10, 20], 4)]
    variables = [sst(shape=[2, 2], statistics=one, dtype=f"int{8 << n}") for n, one in enumerate(found)]
    page = text(made(tmp_path, artifacts=[artifact("k", variables=[one]) for one in variables]).page())
    every = np.array([1, 2, 3, 10, 20])
    assert f"1 {every.mean():g} 20 {every.std():.6g} {100 * 5 / 12:.1f} %" in page
    assert "int8, int16, int32" in page


def test_statistics_of_an_earlier_version_have_neither_count_nor_histogram(tmp_path):
    page = text(made(tmp_path, artifacts=[artifact("k")]).page())
    assert "271.5 288 303.25 4 75.0 %" in page
    assert "Distribution of" not in page


def histogram(low: float, high: float, counts: list[int]) -> dict:
    return {"minimum": low, "maximum": high, "counts": counts}


def test_a_distribution_is_drawn_and_told_in_numbers(tmp_path):
    one = sst(statistics=sst()["statistics"] | {"histogram": histogram(270, 274, [1, 0, 6, 3])})
    page = made(tmp_path, artifacts=[artifact("k", variables=[one])]).page()
    drawing = ET.fromstring(re.search(r'<svg class="columns".*?</svg>', page)[0])
    told = next(node.text for node in drawing.iter() if node.tag.endswith("title"))
    assert told == "Distribution of sst from 270 to 274 K; most values, 60 %, lie between 272 and 273"
    bars = next(node.get("d") for node in drawing.iter() if node.get("class") == "column")
    assert re.findall(r"v-([\d.]+)h", bars) == ["6.7", "40.0", "20.0"], "as high as the counts, none for none"
    assert "Distribution of sst in numbers" in text(page)
    assert "272 273 6 60.0 %" in text(page)


@pytest.mark.parametrize(
    ("histograms", "start", "width", "counts"),
    [
        ([], None, None, None),
        ([histogram(0, 4, [0, 0])], None, None, None),
        ([histogram(0, 4, [1, 2, 3, 4])], 0, 1, (1, 2, 3, 4)),
        ([histogram(0, 4, [1, 2, 3, 4]), histogram(-4, 12, [1] * 8)], -4, 2, (1, 1, 4, 8, 1, 1, 1, 1)),
        ([histogram(0, 256, [1] * 256)], 0, 8, (8,) * 32),
        ([histogram(0.1, 0.4, [1, 1, 1]), histogram(0.3, 0.6, [2, 2, 2])], 0.1, 0.1, (1, 1, 3, 2, 2)),
    ],
)
def test_histograms_of_several_files_are_one(histograms, start, width, counts):
    columns = merged(histograms)
    if counts is None:
        assert columns is None
    else:
        assert (columns.start, columns.width) == (pytest.approx(start), pytest.approx(width))
        assert columns.counts == counts


def test_a_legend_has_swatch_value_name_and_share(tmp_path):
    classes = [
        {"value": 10, "name": "tree", "title": "Tree cover", "color": "006400"},
        {"value": 11, "name": "snow"},
        {"value": 13, "name": "water", "color": "0064C8"},
    ]
    counts = ([[10, 4], [11, 30]], [[10, 5], [12, 1]])
    found = [sst(classes=classes, statistics=sst()["statistics"] | {"values": one}) for one in counts]
    page = made(tmp_path, artifacts=[artifact("k", variables=[one]) for one in found]).page()
    for row in (
        "10 Tree cover #006400 9 22.5 %", "11 snow none 30 75.0 %", "13 water #0064C8 0 0.0 %",
        "12 no class has this value none 1 2.5 %",
    ):  # fmt: skip
        assert row in text(page)
    assert page.count('fill="#006400"') == 1
    assert "271.5" not in page, "the values of classes are names: their least is none"


def test_a_legend_that_one_file_did_not_count_has_no_share(tmp_path):
    one = sst(classes=[{"value": 1, "name": "land"}])
    counted = one | {"statistics": one["statistics"] | {"values": [[1, 5]]}}
    page = made(tmp_path, artifacts=[artifact("k", variables=[variable]) for variable in (one, counted)]).page()
    assert "Value Class Colour 1 land none" in text(page)


def test_bit_fields_are_told_by_their_bits(tmp_path):
    classes = [{"value": 0, "name": "clear"}, {"value": 1, "name": "cloud"}]
    fields = [{"offset": 0, "length": 2, "name": "sky", "classes": classes}, {"offset": 7, "length": 1, "name": "day"}]
    page = made(tmp_path, artifacts=[artifact("k", variables=[sst(bitfields=fields)])]).page()
    assert "0 to 1 sky 0 clear, 1 cloud 7 day" in text(page)


def test_the_compression_is_what_was_found_in_the_output(tmp_path):
    codecs = {"sst": "Blosc lz4, level 3, shuffle"}
    page = made(tmp_path, artifacts=[artifact("data/p.zarr", format="zarr", facts={"codecs": codecs})]).page()
    assert "Blosc lz4, level 3, shuffle" in text(page)


def test_stored_bytes_are_of_the_files_of_a_variable(whole):
    held = [artifact("data/p.zarr", variables=[sst(), sst(name="flag")]), artifact("data/a.tif", variables=[sst()])]
    held += [artifact("data/both.nc", variables=[sst(), sst(name="flag")])]
    sizes = {"data/p.zarr/sst/c/0/0": 1, "data/p.zarr/1/sst/c/0": 2, "data/p.zarr/flag/c/0": 4, "data/p.zarr/time/0": 8}
    sizes |= {"data/a.tif": 16, "data/both.nc": 32, "data/p.zarr/sst": 64}
    for key, size in sizes.items():
        whole.note(key, size, "x/y")
    assert stored_bytes(held, whole.manifest()) == {"sst": 1 + 2 + 16, "flag": 4}


def test_a_message_of_many_lines_keeps_them_and_one_without_end_is_cut(tmp_path):
    failed = [{"source": "a", "error": "\n".join(f"line {n}" for n in range(12)), "remedy": "r" * 50_000}]
    page = made(tmp_path, failed=failed).page()
    assert '<p class="said">line 0\nline 1\n' in page
    assert ".said { white-space: pre-line; }" in page
    assert "… (50,000 characters in all)" in page
    assert len(page) < 50_000


def test_who_asks_for_a_rule_stands_with_it(whole):
    whole.write("findings.json", [finding("STAC-REC-04", message="sst has none")])
    page = text(whole.page())
    assert "Required by: APEx" in page
    assert "sst has none" in page
    assert "sst: sst has none" not in page, "a message that names its subject is not told it again"


def _luminance(color: str) -> float:
    """Of sRGB (WCAG 2.2, relative luminance)."""
    digits = color * 2 if len(color) == 3 else color
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_text_stands_out_from_its_ground_by_day_and_by_night(whole):
    schemes = re.findall(r":root \{(.*?)\}", whole.page(), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colors = dict(re.findall(r"--(\w+): #(\w+);", scheme))
        for text_color in ("ink", "soft", "accent", "bad", "warn", "good"):
            for ground in ("paper", "sea"):
                dark, light = sorted(_luminance(colors[name]) for name in (text_color, ground))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{text_color} on {ground} (WCAG 2.2, 1.4.3)"


def test_sources_stand_with_their_checksums(tmp_path):
    sources = [{"href": f"raw/{n}.nc", "size": 1000, "sha256": f"{n:064}"} for n in range(300)]
    page = text(made(tmp_path, sources=sources).page())
    assert f"raw/7.nc {7:064}"[:22] in page
    assert "The first 200 of 300 source files are listed; all of them are in provenance.json" in page


def test_the_chunks_of_a_store_are_one_row(whole):
    for number in range(500):
        whole.note(f"data/demo-sst.zarr/sst/c/{number}", 100, "application/octet-stream")
    page = text(whole.page())
    assert "data/demo-sst.zarr/ application/vnd.zarr 500 files 50 kB" in page
    assert "sst/c/7" not in page


def of_items(folder: Path, number: int) -> Made:
    bundle = made(folder)
    for n in range(number):
        west = -180 + n % 360
        one = item(f"i{n:05}", [west, n // 360, west + 1, n // 360 + 1])
        (bundle.product / "items" / f"i{n:05}.json").write_text(to_json(one))
    bundle.note("data/x", 1, "image/tiff")
    return bundle


@pytest.fixture(scope="module")
def ten_thousand(tmp_path_factory) -> Made:
    return of_items(tmp_path_factory.mktemp("ten-thousand"), 10_000)


def test_ten_thousand_items_take_no_more_work_each_than_a_thousand(tmp_path, ten_thousand):
    few = of_items(tmp_path, 1000)
    few.page()  # what is done once
    assert calls_of(ten_thousand.page) < 11 * calls_of(few.page)


def test_ten_thousand_items_are_capped_and_the_page_says_so(ten_thousand):
    page = ten_thousand.page()
    assert len(page) < 1_000_000
    assert "The first 200 of 10,000 Items are listed; all of them are in product/items/" in text(page)
    assert "The map shows the first 2,000 different footprints" in text(page)
    assert "i00199" in page
    assert "i00200" not in page


def drawn(view: View, *shapes: dict) -> ET.Element:
    return ET.fromstring(draw_map(view, shapes, "a <title> & more"))


def footprints(svg: ET.Element) -> list[np.ndarray]:
    paths = [node.get("d") for node in svg.iter() if node.get("class") == "footprint"]
    return [np.array([pair.split(",") for pair in re.findall(r"[-\d.]+,[-\d.]+", path)], dtype=float) for path in paths]


def polygon(west: float, south: float, east: float, north: float) -> list:
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


def test_the_world_map_puts_a_box_where_it_is():
    (corners,) = footprints(drawn(WORLD, {"type": "Polygon", "coordinates": polygon(-90, -45, 90, 45)}))
    assert corners.min(axis=0).tolist() == [160, 80]
    assert corners.max(axis=0).tolist() == [480, 240]


def test_a_footprint_across_the_antimeridian_is_whole_on_its_own_map():
    halves = {"type": "MultiPolygon", "coordinates": [polygon(170, -10, 180, 10), polygon(-180, -10, -170, 10)]}
    view = detail_view([(170, -10, -170, 10)])
    assert (view.west, view.east) == (164, 196)
    left, right = sorted(footprints(drawn(view, halves)), key=lambda corners: corners.min())
    assert left[:, 0].max() == right[:, 0].min() == 320
    assert left[:, 0].min() > 0
    assert right[:, 0].max() < 640


def outlines(svg: ET.Element) -> str:
    return "".join(node.get("d") for node in svg.iter() if node.get("class") == "outline")


def test_the_seam_of_a_split_footprint_is_no_edge_of_it():
    halves = {"type": "MultiPolygon", "coordinates": [polygon(170, -10, 180, 10), polygon(-180, -10, -170, 10)]}
    path = outlines(drawn(detail_view([(170, -10, -170, 10)]), halves))
    assert path.count("L") == 6, "of eight edges, two lie along the antimeridian"
    assert path.count("M") == 3


def test_a_cap_over_a_pole_has_its_parallel_alone_for_an_edge():
    assert outlines(drawn(WORLD, {"type": "Polygon", "coordinates": polygon(-180, 60, 180, 90)})).count("L") == 1
    assert not outlines(drawn(WORLD, {"type": "Polygon", "coordinates": polygon(-180, -90, 180, 90)}))


def test_a_footprint_too_small_to_see_gets_a_dot_and_a_map_of_its_own():
    tiny = {"type": "Polygon", "coordinates": polygon(10, 50, 10.01, 50.01)}
    circles = [node for node in drawn(WORLD, tiny).iter() if node.get("class") == "dot"]
    assert [(node.get("cx"), node.get("cy")) for node in circles] == [("338", "71")]
    view = detail_view([(10, 50, 10.01, 50.01)])
    assert not [node for node in drawn(view, tiny).iter() if node.get("class") == "dot"]


def test_points_and_tracks_are_drawn_and_no_two_dots_are_the_same():
    shapes = [
        {"type": "MultiPoint", "coordinates": [[0, 0], [0, 0]]},
        {"type": "GeometryCollection", "geometries": [{"type": "LineString", "coordinates": [[0, 0], [90, 45, 7]]}]},
    ]
    kinds = [node.get("class") for node in drawn(WORLD, *shapes).iter()]
    assert kinds.count("dot") == 1
    assert kinds.count("track") == 1


@pytest.mark.parametrize("south", [-90, 80, 89.9])
def test_a_map_near_a_pole_stays_on_the_globe(south):
    view = detail_view([(0, south, 10, min(south + 5, 90))])
    assert -90 <= view.south < view.north <= 90
    assert 0 < view.height < 2000
