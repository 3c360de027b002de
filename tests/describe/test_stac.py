"""Items and Collections of real conversions: valid, readable by pystac, and true."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac
import pytest
from making import cube_profile, every_file, profile_of, sample, write_cube, write_tif
from shapely.geometry import Point, box, shape

from earthcode_pack.checks.schema import SchemaBook
from earthcode_pack.describe import describe
from earthcode_pack.describe.stac import EXTENSIONS
from earthcode_pack.model import Artifact, File, Grid, Period, Statistics, WrittenVariable
from earthcode_pack.pipeline import prepare

if TYPE_CHECKING:
    from earthcode_pack.bundle import Bundle

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


@pytest.fixture
def valid(shared: Path) -> Any:
    """Fails where a document breaks the schema of the core or of an extension that it lists."""

    def assert_valid(*documents: dict[str, Any]) -> None:
        book = SchemaBook(shared / "schemas")
        broken = [f"{d['id']}: {f.message}" for d in documents for f in book.findings(d, d["id"])]
        assert broken == []
        assert not book.unavailable

    return assert_valid


def read(bundle: Bundle) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return bundle.collection(), list(bundle.items())


@pytest.mark.parametrize("name", ["sst-zarr", "ndvi-cog", "landcover-cog"])
def test_samples_are_valid_and_pystac_reads_them(name: str, tmp_path: Path, valid: Any) -> None:
    bundle = prepare(sample(name, tmp_path / "published"), tmp_path / "work")
    collection, items = read(bundle)
    valid(collection, *items)
    read_back = pystac.Collection.from_file(str(bundle.collection_path))
    found = list(read_back.get_items(recursive=True))
    assert {item.id for item in found} == {item["id"] for item in items}
    for owner in (read_back, *found):
        for asset in owner.assets.values():
            assert Path(str(asset.get_absolute_href())).exists()
        for link in owner.links:
            if link.rel in {"root", "parent", "collection", "item"}:
                assert Path(str(link.get_absolute_href())).is_file()


@pytest.mark.parametrize("name", ["sst-zarr", "ndvi-cog", "landcover-cog"])
def test_what_every_item_must_have(name: str, tmp_path: Path) -> None:
    bundle = prepare(sample(name, tmp_path / "published"), tmp_path / "work")
    collection, items = read(bundle)
    assert collection["stac_version"] == "1.1.0"
    assert {tuple(sorted(item["assets"])) for item in items} == {tuple(sorted(items[0]["assets"]))}
    for item in items:
        properties = item["properties"]
        assert {
            "datetime",
            "start_datetime",
            "end_datetime",
            "proj:code",
            "proj:bbox",
            "proj:shape",
        } <= properties.keys()
        assert all(properties[key].endswith("Z") for key in ("datetime", "start_datetime", "end_datetime"))
        assert "data" in {role for asset in item["assets"].values() for role in asset["roles"]}
        assert item["assets"]["thumbnail"]["roles"] == ["thumbnail"]
        for key, asset in item["assets"].items():
            assert {"href", "type", "title", "roles", "file:size", "file:checksum"} <= asset.keys()
            assert key == "thumbnail" or asset["roles"] == ["data"]
    assert collection["item_assets"].keys() >= {key for key in items[0]["assets"] if key != "thumbnail"}


def test_checksums_and_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    bundle = prepare(profile_of(tmp_path), tmp_path / "work")
    for asset in next(bundle.items())["assets"].values():
        raw = (bundle.product / "items" / asset["href"]).resolve().read_bytes()
        assert asset["file:size"] == len(raw)
        assert asset["file:checksum"] == "1220" + hashlib.sha256(raw).hexdigest()
    for entry in bundle.manifest():
        raw = (bundle.product / entry.key).read_bytes()
        assert (entry.size, entry.sha256) == (len(raw), "1220" + hashlib.sha256(raw).hexdigest())


def test_checksum_of_a_store_is_that_of_its_sorted_lines(tmp_path: Path) -> None:
    write_cube(tmp_path / "raw" / "a.nc")
    bundle = prepare(cube_profile(tmp_path), tmp_path / "work")
    files = every_file(bundle.product / "data" / "demo.zarr")
    lines = sorted(f"{hashlib.sha256(raw).hexdigest()}  {key}\n" for key, raw in files.items())
    asset = next(bundle.items())["assets"]["data"]
    assert asset["file:checksum"] == "1220" + hashlib.sha256("".join(lines).encode()).hexdigest()
    assert asset["file:size"] == sum(map(len, files.values()))
    assert bundle.collection()["assets"]["data"]["file:checksum"] == asset["file:checksum"]


def test_cube_has_its_dimensions_and_variables(tmp_path: Path, valid: Any) -> None:
    write_cube(tmp_path / "raw" / "a.nc", days=(0, 1, 2))
    bundle = prepare(cube_profile(tmp_path), tmp_path / "work")
    collection, (item,) = read(bundle)
    valid(collection, item)
    for cube in (collection, item["properties"]):
        dims = cube["cube:dimensions"]
        assert dims["lat"] == {
            "type": "spatial", "axis": "y", "reference_system": 4326, "extent": [-4.5, 4.5], "step": 1.0,
            "unit": "degrees_north",
        }  # fmt: skip
        assert dims["lon"]["extent"] == [0.5, 11.5]
        assert dims["time"] == {
            "type": "temporal", "extent": ["2020-01-01T00:00:00Z", "2020-01-03T00:00:00Z"], "step": "P1D",
        }  # fmt: skip
        variable = cube["cube:variables"]["t"]
        assert variable["dimensions"] == ["time", "lat", "lon"]
        assert (variable["type"], variable["unit"], variable["shape"]) == ("data", "K", [3, 10, 12])
        assert variable["extent"] == [0, 359]
    assert item["bbox"] == [0, -5, 12, 5]
    assert collection["cf:parameter"] == [{"name": "air_temperature", "unit": "K"}]


def test_public_href_makes_every_href_absolute(tmp_path: Path, valid: Any) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    collection, (item,) = read(prepare(profile_of(tmp_path, store__public_href="https://x.org/d/"), tmp_path / "work"))
    valid(collection, item)
    assert item["assets"]["index"]["href"] == "https://x.org/d/demo/v1.0/data/demo_20200101/demo_20200101_index.tif"
    assert collection["assets"]["thumbnail"]["href"].startswith("https://x.org/d/demo/v1.0/previews/")


def test_nan_as_nodata_is_a_word(tmp_path: Path, valid: Any) -> None:
    values = np.full((16, 20), 1.5, "float32")
    values[:2] = np.nan
    values[4, 4] = np.inf
    write_tif(tmp_path / "raw" / "a_20200101.tif", values, nodata=np.nan)
    bundle = prepare(profile_of(tmp_path), tmp_path / "work")
    collection, (item,) = read(bundle)
    valid(collection, item)
    band = item["assets"]["index"]["bands"][0]
    assert band["nodata"] == "nan"
    assert band["statistics"]["maximum"] == 1.5
    for path in bundle.root.rglob("*.json"):
        json.loads(path.read_bytes(), parse_constant=lambda word, path=path: pytest.fail(f"{path}: {word}"))


def test_crs_without_a_code_is_written_out(tmp_path: Path, valid: Any) -> None:
    sinusoidal = "+proj=sinu +lon_0=0 +R=6371007.181 +units=m +type=crs"
    write_tif(tmp_path / "raw" / "a_20200101.tif", crs=sinusoidal, corner=(0.0, 1_000_000.0), cell=463.3)
    collection, (item,) = read(prepare(profile_of(tmp_path), tmp_path / "work"))
    valid(collection, item)
    assert item["properties"]["proj:code"] is None
    assert "Sinusoidal" in item["properties"]["proj:wkt2"]


def test_fractions_of_a_second_are_kept(tmp_path: Path, valid: Any) -> None:
    write_tif(tmp_path / "raw" / "a_20161219T102729.687763.tif")
    timed = {"from": "filename", "pattern": "a_{start:%Y%m%dT%H%M%S.%f}.tif"}
    collection, (item,) = read(prepare(profile_of(tmp_path, source__time=timed), tmp_path / "work"))
    valid(collection, item)
    assert item["properties"]["datetime"] == "2016-12-19T10:27:29.687763Z"
    assert collection["extent"]["temporal"]["interval"][0][0] == "2016-12-19T10:27:29.687763Z"


def test_day_in_a_name_is_an_interval(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    (item,) = prepare(profile_of(tmp_path), tmp_path / "work").items()
    assert item["properties"]["start_datetime"] == "2020-01-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2020-01-01T23:59:59Z"


def test_classes_have_titles_and_colours(tmp_path: Path, valid: Any) -> None:
    classes = [{"value": 1, "name": "land", "title": "Land", "color": "006400"}, {"value": 2, "name": "sea"}]
    variables = {"cover": {"from": 1, "units": "1", "classes": classes}}
    values = np.tile(np.array([1, 2], "uint8"), (16, 10))
    write_tif(tmp_path / "raw" / "a_20200101.tif", values, nodata=0)
    collection, (item,) = read(prepare(profile_of(tmp_path, product__variables=variables), tmp_path / "work"))
    valid(collection, item)
    found = item["assets"]["cover"]["classification:classes"]
    assert [(c["value"], c["name"], c["title"], c.get("color_hint")) for c in found] == [
        (1, "land", "Land", "006400"), (2, "sea", "sea", None),
    ]  # fmt: skip
    colormap = collection["renders"]["cover"]["colormap"]
    assert colormap["1"] == [0, 100, 0, 255]
    assert len(colormap["2"]) == 4


def test_picture_has_a_band_for_each_colour(tmp_path: Path, valid: Any) -> None:
    stack = np.random.default_rng(1).integers(0, 255, (3, 16, 20)).astype("uint8")
    write_tif(tmp_path / "raw" / "a_20200101.tif", stack, photometric="RGB", nodata=None)
    collection, (item,) = read(prepare(profile_of(tmp_path, product__variables=None), tmp_path / "work"))
    valid(collection, item)
    (asset,) = (asset for key, asset in item["assets"].items() if key != "thumbnail")
    assert [band["name"] for band in asset["bands"]] == ["red", "green", "blue"]


def test_profile_with_the_least_there_is(tmp_path: Path, valid: Any) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    collection, (item,) = read(prepare(profile_of(tmp_path, product__variables=None), tmp_path / "work"))
    valid(collection, item)
    assert not {"themes", "contacts", "keywords", "providers", "sci:doi", "osc:missions"} & collection.keys()


def test_profile_with_everything(tmp_path: Path, valid: Any) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    contacts = [{"name": "Jane Doe", "organization": "Institute", "email": "jane@example.org", "roles": ["producer"]}]
    collection, (item,) = read(prepare(
        profile_of(
            tmp_path, product__contacts=contacts, product__keywords=["a"], product__themes=["land", "oceans"],
            product__doi="10.5281/zenodo.1", product__missions=["sentinel-2"], product__license="proprietary",
            product__license_href="https://example.org/licence", product__documentation="https://example.org/d.pdf",
        ), tmp_path / "work",
    ))  # fmt: skip
    valid(collection, item)
    assert collection["themes"][0]["concepts"] == [{"id": "land"}, {"id": "oceans"}]
    assert collection["providers"] == [{"name": "Institute", "roles": ["producer"]}]
    links = {link["rel"]: link["href"] for link in collection["links"]}
    assert links["license"] == "https://example.org/licence"
    assert links["cite-as"] == "https://doi.org/10.5281/zenodo.1"
    assert collection["sci:doi"] == "10.5281/zenodo.1"


# --- the outline of the data ------------------------------------------------------------------------------------------


def test_footprint_of_the_data_holds_every_valid_pixel_and_little_else(tmp_path: Path, valid: Any) -> None:
    rows, columns = np.mgrid[0:300, 0:300]
    inside = (np.abs(rows - columns) < 60) & ~((rows > 140) & (rows < 150))
    write_tif(tmp_path / "raw" / "a_20200101.tif", np.where(inside, 5, -1).astype("int16"))
    collection, (item,) = read(prepare(profile_of(tmp_path, product__footprint="data"), tmp_path / "work"))
    valid(collection, item)
    outline, whole = shape(item["geometry"]), box(*item["bbox"])
    assert outline.is_valid
    assert outline.area < 1.1 * inside.mean() * whole.area
    import pyproj

    there = pyproj.Transformer.from_crs("EPSG:32631", "OGC:CRS84", always_xy=True)
    found = np.argwhere(inside)[::53]
    lons, lats = there.transform(500_000 + 100 * (found[:, 1] + 0.5), 5_000_000 - 100 * (found[:, 0] + 0.5))
    assert all(outline.contains(Point(place)) for place in zip(lons, lats, strict=True))
    assert whole.buffer(1e-6).contains(outline)


@pytest.mark.parametrize("size", [16, 2500])
def test_footprint_of_full_pixels_is_the_grid(tmp_path: Path, size: int) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif", np.ones((size, size), "int16"))
    (item,) = prepare(profile_of(tmp_path, product__footprint="data"), tmp_path / "work").items()
    (plain,) = prepare(profile_of(tmp_path), tmp_path / "plain").items()
    one, other = shape(item["geometry"]), shape(plain["geometry"])
    assert one.symmetric_difference(other).area < 1e-3 * other.area


def test_footprint_across_the_antimeridian_is_two_polygons(tmp_path: Path, valid: Any) -> None:
    values = np.full((1, 10, 20), 280, "f4")
    values[:, :, :3] = np.nan
    write_cube(tmp_path / "raw" / "a.nc", (0,), lons=np.arange(170, 190) + 0.5, values=values)
    collection, (item,) = read(prepare(cube_profile(tmp_path, product__footprint="data"), tmp_path / "work"))
    valid(collection, item)
    assert item["bbox"] == [170, -5, -170, 5]
    assert item["geometry"]["type"] == "MultiPolygon"
    assert shape(item["geometry"]).area == pytest.approx(170)
    assert not shape(item["geometry"]).intersects(Point(172, -4))


def test_footprint_of_speckle_stays_small(tmp_path: Path) -> None:
    values = np.where(np.random.default_rng(3).random((400, 400)) < 0.02, 1, -1).astype("int16")
    write_tif(tmp_path / "raw" / "a_20200101.tif", values)
    (item,) = prepare(profile_of(tmp_path, product__footprint="data"), tmp_path / "work").items()
    assert len(json.dumps(item["geometry"])) < 60_000
    assert shape(item["geometry"]).is_valid


def test_footprint_without_a_valid_pixel_is_the_grid(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif", np.full((16, 20), -1, "int16"))
    (item,) = prepare(profile_of(tmp_path, product__footprint="data"), tmp_path / "work").items()
    assert shape(item["geometry"]).area > 0
    assert "statistics" not in item["assets"]["index"]["bands"][0]


# --- without files ----------------------------------------------------------------------------------------------------


def artifact(asset: str = "a", corner: float = 500_000.0, **given: Any) -> Artifact:
    """What a conversion might have left."""
    import pyproj

    grid = Grid(
        crs=pyproj.CRS("EPSG:32631").to_wkt(), shape=(10, 10), dims=("y", "x"),
        bounds=(corner, 4_999_000, corner + 1000, 5_000_000), digest=str(corner),
        transform=(100.0, 0.0, corner, 0.0, -100.0, 5_000_000.0),
    )  # fmt: skip
    variable = WrittenVariable(name=asset, dtype="float32", dims=("y", "x"), shape=(10, 10), units="1")
    day = Period(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2020, 1, 1, 23, 59, 59, tzinfo=UTC))
    key = f"data/i/{asset}.tif"
    facts: dict[str, Any] = {
        "fingerprint": "f", "item": "i", "asset": asset, "key": key, "format": "cog", "grid": grid, "period": day,
        "files": (File(key=key, size=10, sha256="0" * 64),), "variables": (variable,),
        "sources": (("/secret/place/raw_a.tif", "1" * 64),), "compared": 100, "max_error": 0.0,
        "processed": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return Artifact(**(facts | given))


def test_assets_on_other_grids_have_their_own_projection(tmp_path: Path, valid: Any) -> None:
    every = [artifact("a"), artifact("b", corner=600_000.0)]
    collection, (item,) = describe(profile_of(tmp_path), every, {}, {})
    valid(collection, item)
    assert "proj:code" not in item["properties"]
    assert [item["assets"][key]["proj:bbox"][0] for key in "ab"] == [500_000, 600_000]
    assert item["bbox"][2] - item["bbox"][0] > 1


def test_numbers_that_json_lacks_never_get_in(tmp_path: Path, valid: Any) -> None:
    overflow = Statistics(minimum=-1e308, maximum=1e308, mean=0, stddev=float("inf"), valid_percent=100)
    variable = WrittenVariable(name="a", dtype="float64", dims=("y", "x"), shape=(10, 10), statistics=overflow)
    collection, (item,) = describe(profile_of(tmp_path), [artifact(variables=(variable,))], {}, {})
    valid(collection, item)
    json.dumps([collection, item], allow_nan=False)
    assert "renders" not in collection


@pytest.mark.parametrize(
    "href", ["/secret/place/raw.tif", "https://me:word@host/secret/raw.tif?X-Amz-Signature=secret"]
)
def test_neither_folder_nor_secret_of_a_source_is_told(tmp_path: Path, href: str) -> None:
    text = json.dumps(describe(profile_of(tmp_path), [artifact(sources=((href, "1" * 64),))], {}, {}))
    assert "raw.tif" in text
    assert "secret" not in text
    assert "word" not in text


def test_item_order_does_not_depend_on_the_order_of_the_artifacts(tmp_path: Path) -> None:
    every = [artifact(item=name, asset=asset) for name in "xyz" for asset in "ab"]
    assert describe(profile_of(tmp_path), every, {}, {}) == describe(profile_of(tmp_path), every[::-1], {}, {})


def test_a_thousand_items_are_described_within_seconds(tmp_path: Path) -> None:
    import time

    every = [artifact(item=f"i{n}", corner=500_000.0 + n) for n in range(1000)]
    began = time.perf_counter()
    describe(profile_of(tmp_path), every, {}, {})
    assert time.perf_counter() - began < 6  # a tenth of what 10,000 may take


def test_extensions_are_known_in_one_place_only() -> None:
    import earthcode_pack.describe as package

    folder = Path(str(package.__file__)).parent
    elsewhere = [
        p.name for p in folder.glob("*.py") if "stac-extensions.github.io" in p.read_text() and p.name != "stac.py"
    ]
    assert elsewhere == []
    assert all(url.startswith("https://stac-extensions.github.io/") for url in EXTENSIONS.values())
