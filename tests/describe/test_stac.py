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
from clockless import calls_of
from making import cube_profile, every_file, profile_of, sample, write_cube, write_tif
from shapely.geometry import Point, box, shape
from stac_schemas import complaints

from earthcode_pack.describe import Describing
from earthcode_pack.describe.item import Thumbnail
from earthcode_pack.describe.stac import EXTENSIONS
from earthcode_pack.model import Artifact, Dimension, File, Grid, Histogram, Period, Statistics, WrittenVariable
from earthcode_pack.pipeline import prepare

if TYPE_CHECKING:
    from earthcode_pack.bundle import Bundle

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


@pytest.fixture
def valid(schemas: Path) -> Any:
    """Fails where a document breaks the schema of the core or of an extension that it lists, or such is not there."""

    def assert_valid(*documents: dict[str, Any]) -> None:
        assert [(document["id"], *found) for document in documents if (found := complaints(document, schemas))] == []

    return assert_valid


def describe(*args):
    describing = Describing(*args)
    items = list(describing.items())
    return describing.collection(), items


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


FORMATS = {
    "zarr": ({"target__format": "zarr"}, "application/vnd.zarr; version=3"),
    "zarr-v2-zipped": (
        {"target__format": "zarr", "target__zarr": {"version": 2, "zipped": True}}, "application/zip+zarr",
    ),
    "pyramid": (
        {"target__format": "zarr", "target__zarr": {"multiscales": True}},
        "application/vnd.zarr; version=3; profile=multiscales",
    ),
    "netcdf": ({"target__format": "netcdf"}, "application/netcdf"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_a_cube_is_described_alike(name: str, tmp_path: Path, valid: Any) -> None:
    changes, media_type = FORMATS[name]
    values = np.arange(2 * 600 * 700, dtype="f4").reshape(2, 600, 700)
    lats, lons = 0.005 + 0.01 * np.arange(600), 0.005 + 0.01 * np.arange(700)
    write_cube(tmp_path / "raw" / "a.nc", (0, 1), lats=lats, lons=lons, values=values)
    bundle = prepare(cube_profile(tmp_path, **changes), tmp_path / "work")
    collection, (item,) = read(bundle)
    valid(collection, item)
    asset = item["assets"]["data"]
    assert (asset["type"], asset["roles"]) == (media_type, ["data"])
    (band,) = asset["bands"]
    assert (band["name"], band["data_type"], band["unit"], band["nodata"]) == ("t", "float32", "K", "nan")
    assert band["statistics"].keys() >= {"minimum", "maximum", "mean", "stddev", "valid_percent", "count"}
    assert sum(band["raster:histogram"]["buckets"]) == band["statistics"]["count"] == values.size
    assert item["properties"]["cube:variables"]["t"]["dimensions"] == ["time", "lat", "lon"]
    assert item["properties"]["cube:dimensions"]["lon"]["step"] == pytest.approx(0.01)
    assert item["properties"]["proj:shape"] == [600, 700]
    assert collection["item_assets"]["data"]["type"] == media_type
    assert collection["renders"]["t"]["assets"] == ["data"]
    found = pystac.Collection.from_file(str(bundle.collection_path))
    assert Path(str(next(found.get_items()).assets["data"].get_absolute_href())).exists()
    assert ("data" in found.assets) == (name != "netcdf")


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
        (1, "land", "Land", "006400"), (2, "sea", "sea", found[1]["color_hint"]),
    ]  # fmt: skip
    colormap = collection["renders"]["cover"]["colormap"]
    assert colormap["1"] == [0, 100, 0, 255]
    assert colormap["2"] == [*bytes.fromhex(found[1]["color_hint"]), 255]  # chosen, and the same everywhere


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


def variable(name: str = "a", **given: Any) -> WrittenVariable:
    """Over ten by ten cells unless told otherwise."""
    return WrittenVariable(**({"name": name, "dtype": "float32", "dims": ("y", "x"), "shape": (10, 10)} | given))


def cube(**given: Any) -> Artifact:
    """What a conversion to Zarr v3 might have left."""
    facts: dict[str, Any] = {"format": "zarr", "key": "data/demo.zarr", "facts": {"version": 3, "zipped": False}}
    return artifact("data", **(facts | given))


CLASSES = ({"value": 1, "name": "land", "title": "Land", "color": "006400"}, {"value": 2, "name": "sea"})


def test_dimensions_are_regular_or_listed_and_never_listed_in_part(tmp_path: Path, valid: Any) -> None:
    stamps = ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", "2020-01-05T00:00:00Z")
    dims = (
        Dimension(name="time", size=3, axis="t", extent=(stamps[0], stamps[2]), values=stamps),
        Dimension(name="once", size=1, axis="t", extent=(stamps[0], stamps[0])),
        Dimension(name="depth", size=2, axis="z", units="m", extent=(0.0, 7.0), step=7.0),
        Dimension(name="level", size=3, axis="z", units="hPa", extent=(10.0, 1000.0), values=(1000.0, 500.0, 10.0)),
        Dimension(name="y", size=10, axis="y", units="m", extent=(4_999_050.0, 4_999_950.0), step=100.0),
        Dimension(name="x", size=500, axis="x", units="m", extent=(0.0, 1.0)),  # irregular, too many to list
        Dimension(name="band", size=3, axis=None, extent=(1.0, 9.0), values=(1.0, 2.0, 9.0)),
        Dimension(name="kind", size=2, axis=None, values=("up", "down"), description="Of the look"),
        Dimension(name="word", size=500, axis=None, values=("a",) * 100),
    )
    collection, (item,) = describe(profile_of(tmp_path), [cube(dimensions=dims)], {}, {})
    valid(collection, item)
    found = item["properties"]["cube:dimensions"]
    assert found == collection["cube:dimensions"]
    assert found == {
        "time": {"type": "temporal", "extent": [stamps[0], stamps[2]], "values": list(stamps), "step": None},
        "once": {"type": "temporal", "extent": [stamps[0], stamps[0]], "values": [stamps[0]], "step": None},
        "depth": {"type": "spatial", "axis": "z", "extent": [0, 7], "unit": "m", "step": 7},
        "level": {
            "type": "spatial", "axis": "z", "extent": [10, 1000], "values": [1000, 500, 10], "unit": "hPa",
            "step": None,
        },
        "y": {
            "type": "spatial", "axis": "y", "reference_system": 32631, "extent": [4_999_050, 4_999_950], "unit": "m",
            "step": 100,
        },
        "x": {"type": "spatial", "axis": "x", "reference_system": 32631, "extent": [0, 1], "unit": "m", "step": None},
        "band": {"type": "other", "extent": [1, 9], "values": [1, 2, 9], "step": None},
        "kind": {"type": "other", "values": ["up", "down"], "description": "Of the look"},
        "word": {"type": "other", "extent": [None, None]},
    }  # fmt: skip


def test_variables_of_a_cube_have_a_legend_each(tmp_path: Path, valid: Any) -> None:
    some = Statistics(minimum=1, maximum=2, mean=1.5, stddev=0.5, valid_percent=50)
    both = (
        variable("cover", dtype="uint8", classes=CLASSES, statistics=some, chunks=(5, 5)),
        variable("flag", dtype="bool", long_name="Flag"),
        variable("wave", dtype="complex64", statistics=some, units="K"),
    )  # fmt: skip
    dims = (Dimension(name="y", size=10, axis="y", extent=(0.0, 9.0), step=1.0),)
    collection, (item,) = describe(profile_of(tmp_path), [cube(variables=both, dimensions=dims)], {}, {})
    valid(collection, item)
    cover, flag, wave = item["assets"]["data"]["bands"]
    assert [c["value"] for c in cover["classification:classes"]] == [1, 2]
    assert "classification:classes" not in item["assets"]["data"]
    assert EXTENSIONS["classification"] in item["stac_extensions"]
    assert [band["data_type"] for band in (cover, flag, wave)] == ["uint8", "other", "cfloat32"]
    found = item["properties"]["cube:variables"]
    assert found["cover"] == {
        "dimensions": ["y", "x"], "type": "data", "data_type": "uint8", "shape": [10, 10], "chunks": [5, 5],
        "values": [1, 2],
    }  # fmt: skip
    assert found["flag"] == {
        "dimensions": ["y", "x"], "type": "data", "description": "Flag", "data_type": "other", "shape": [10, 10],
    }  # fmt: skip
    assert (found["wave"]["extent"], found["wave"]["unit"]) == ([1, 2], "K")
    assert collection["assets"]["data"]["bands"] == item["assets"]["data"]["bands"]
    assert collection["renders"]["cover"]["colormap"]["1"] == [0, 100, 0, 255]
    assert collection["renders"]["wave"]["assets"] == ["data"]


def test_statistics_and_histogram_stand_at_the_band(tmp_path: Path, valid: Any) -> None:
    histogram = Histogram(minimum=0.0, maximum=40.0, counts=(1, 0, 97, 2))
    some = Statistics(
        minimum=1, maximum=39, mean=25, stddev=3, valid_percent=50, count=100, histogram=histogram
    )  # fmt: skip
    collection, (item,) = describe(
        profile_of(tmp_path), [artifact(variables=(variable("index", statistics=some),))], {}, {}
    )
    valid(collection, item)
    (band,) = item["assets"]["a"]["bands"]
    assert band["statistics"] == {
        "minimum": 1, "maximum": 39, "mean": 25, "stddev": 3, "count": 100, "valid_percent": 50,
    }  # fmt: skip
    assert band["raster:histogram"] == {"count": 4, "min": 0, "max": 40, "buckets": [1, 0, 97, 2]}
    assert not {"statistics", "raster:histogram"} & collection["item_assets"]["a"]["bands"][0].keys()
    ((low, high),) = collection["renders"]["index"]["rescale"]
    assert 20 < low < 21  # two of a hundred values are below 20.1, as near as the bins tell
    assert high == 30


def test_histogram_of_less_than_three_buckets_is_left_out(tmp_path: Path, valid: Any) -> None:
    some = Statistics(
        minimum=1, maximum=1, mean=1, stddev=0, valid_percent=100, count=4,
        histogram=Histogram(minimum=1.0, maximum=2.0, counts=(4,)),
    )  # fmt: skip
    collection, (item,) = describe(profile_of(tmp_path), [artifact(variables=(variable(statistics=some),))], {}, {})
    valid(collection, item)
    assert "raster:histogram" not in item["assets"]["a"]["bands"][0]
    assert "rescale" not in collection["renders"]["a"]  # from 1 to 1 nothing can be stretched


def test_values_about_zero_are_rendered_in_two_hues(tmp_path: Path) -> None:
    some = Statistics(minimum=-3, maximum=4, mean=0, stddev=1, valid_percent=100)
    collection, _ = describe(profile_of(tmp_path), [artifact(variables=(variable(statistics=some),))], {}, {})
    assert collection["renders"]["a"] == {
        "assets": ["a"], "title": "a", "rescale": [[-4, 4]], "colormap_name": "rdbu_r",
    }  # fmt: skip


def test_what_the_profile_says_of_the_picture_is_the_render(tmp_path: Path) -> None:
    some = Statistics(minimum=-3, maximum=4, mean=0, stddev=1, valid_percent=100)
    wish = {"variable": "a", "colormap": "RdYlGn", "range": [0, 10]}
    profile = profile_of(tmp_path, product__preview=wish)
    collection, _ = describe(profile, [artifact(variables=(variable(statistics=some),))], {}, {})
    assert collection["renders"]["a"]["rescale"] == [[0, 10]]
    assert collection["renders"]["a"]["colormap_name"] == "rdylgn"


def test_picture_is_rendered_by_its_bands(tmp_path: Path, valid: Any) -> None:
    colors = ("blue", "green", "red", "alpha")
    drawn = [artifact(variables=(variable(dtype="uint8", colorinterp=colors),))]
    collection, (item,) = describe(profile_of(tmp_path), drawn, {}, {})
    valid(collection, item)
    assert collection["renders"]["a"] == {
        "assets": ["a"], "title": "a", "bidx": [3, 2, 1], "rescale": [[0, 255], [0, 255], [0, 255]],
    }  # fmt: skip
    assert [band["name"] for band in item["assets"]["a"]["bands"]] == list(colors)


def test_item_assets_say_what_all_items_share_and_no_more(tmp_path: Path, valid: Any) -> None:
    png = File(key="previews/i.png", size=9, sha256="3" * 64)
    every = [
        artifact(item="i", variables=(variable("index", nodata=-1, standard_name="air_temperature", units="K"),)),
        artifact(item="j", variables=(variable("index", nodata=-1, standard_name="air_temperature", units="K"),),
                 key="data/j/a.tif"),
    ]  # fmt: skip
    collection, items = describe(profile_of(tmp_path), every, {"i": Thumbnail(png, "index, 1 to 2")}, {})
    valid(collection, *items)
    assert collection["item_assets"]["thumbnail"] == {"title": "Preview", "type": "image/png", "roles": ["thumbnail"]}
    shared = collection["item_assets"]["a"]
    assert shared["title"] == "air temperature"
    assert shared["bands"] == [{"name": "index", "data_type": "float32", "nodata": -1, "unit": "K"}]
    assert (
        shared["cf:parameter"] == items[0]["assets"]["a"]["cf:parameter"] == [{"name": "air_temperature", "unit": "K"}]
    )
    assert not {"file:size", "file:checksum", "href"} & shared.keys()
    assert items[0]["assets"]["thumbnail"]["description"] == "index, 1 to 2"
    assert collection["summaries"] == {
        "proj:code": ["EPSG:32631"], "cf:parameter": [{"name": "air_temperature", "unit": "K"}],
    }  # fmt: skip


def test_collection_shows_the_item_with_the_most_data(tmp_path: Path) -> None:
    every = [artifact(item=name, key=f"data/{name}/a.tif") for name in "xyz"]
    shares = {"x": 0.0, "y": 0.9, "z": 0.9}
    thumbnails = {
        name: Thumbnail(File(key=f"previews/{name}.png", size=1, sha256="4" * 64), None, share)
        for name, share in shares.items()
    }
    collection, _ = describe(profile_of(tmp_path), every, thumbnails, {})
    assert collection["assets"]["thumbnail"]["href"] == "./previews/y.png"


def test_items_far_apart_have_boxes_of_their_own(tmp_path: Path, valid: Any) -> None:
    every = [artifact(item=name, corner=corner) for name, corner in (("x", 100_000.0), ("y", 600_000.0))]
    collection, items = describe(profile_of(tmp_path), every, {}, {})
    valid(collection, *items)
    overall, *parts = collection["extent"]["spatial"]["bbox"]
    assert parts == [items[0]["bbox"], items[1]["bbox"]]
    assert overall[0] == parts[0][0]
    assert overall[2] == parts[1][2]


def test_created_and_updated_are_when_it_was_processed(tmp_path: Path) -> None:
    moments = [datetime(2026, 1, day, tzinfo=UTC) for day in (3, 1, 2)]
    every = [artifact(asset, processed=moment) for asset, moment in zip("abc", moments, strict=True)]
    collection, (item,) = describe(profile_of(tmp_path), every, {}, {})
    for facts in (collection, item["properties"]):
        assert (facts["created"], facts["updated"]) == ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")
        assert facts["processing:datetime"] == facts["updated"]


def test_everything_that_the_repository_asks_of_a_collection_is_there(tmp_path: Path, valid: Any) -> None:
    """PRR quality job, codes 32 to 46, for a profile that states all of it."""
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    index = {"from": 1, "units": "1", "standard_name": "leaf_area_index", "osc": "leaf-area-index"}
    project = {
        "id": "p", "title": "P", "description": "D", "website": "https://example.org", "initiative": "apex",
        "contract_number": "4000", "technical_officer": {"name": "N", "email": "n@example.org"},
        "start": "2020-01-01", "end": "2021-01-01",
    }  # fmt: skip
    profile = profile_of(
        tmp_path, project=project, product__variables={"index": index}, product__themes=["land"],
        product__missions=["sentinel-2"],
    )  # fmt: skip
    collection, (item,) = read(prepare(profile, tmp_path / "work"))
    valid(collection, item)
    assert collection.keys() >= {
        "title", "description", "extent", "license", "processing:datetime", "osc:project", "osc:project_description",
        "osc:project_website", "osc:initiative", "osc:contract-number", "themes", "osc:variables", "cf:parameter",
        "osc:missions",
    }  # fmt: skip
    assert collection["assets"]["thumbnail"]["roles"] == ["thumbnail"]
    assert not any("/osc/" in url for url in collection["stac_extensions"])  # it refuses some of these: decision 0005


def test_pystac_reads_every_extension(tmp_path: Path) -> None:
    some = Statistics(minimum=0, maximum=1, mean=0.5, stddev=0.5, valid_percent=50)
    given = variable("index", classes=CLASSES, statistics=some, units="1", scale=0.1, standard_name="leaf_area_index")
    every = [artifact("index", variables=(given,))]
    collection, (item,) = describe(profile_of(tmp_path, product__doi="10.5281/zenodo.1"), every, {}, {})
    read_item = pystac.Item.from_dict(item)
    assert read_item.ext.proj.code == "EPSG:32631"
    assert read_item.ext.proj.shape == [10, 10]
    asset = read_item.assets["index"]
    assert asset.ext.file.size == 10
    assert [c.value for c in asset.ext.classification.classes or ()] == [1, 2]
    (band,) = asset.extra_fields["bands"]  # pystac has no class for the bands of STAC 1.1
    assert (band["name"], band["statistics"]["mean"], band["raster:scale"]) == ("index", 0.5, 0.1)
    read_back = pystac.Collection.from_dict(collection)
    assert read_back.ext.sci.doi == "10.5281/zenodo.1"
    assert read_back.ext.version.version == "1.0"
    assert read_back.item_assets["index"].properties["bands"][0]["name"] == "index"
    assert read_back.ext.render["index"].assets == ["index"]


def test_pystac_reads_a_cube(tmp_path: Path) -> None:
    write_cube(tmp_path / "raw" / "a.nc", days=(0, 1, 5))
    bundle = prepare(cube_profile(tmp_path), tmp_path / "work")
    read_back = pystac.Collection.from_file(str(bundle.collection_path))
    (item,) = read_back.get_items()
    for owner in (read_back, item):
        dims = owner.ext.cube.dimensions
        assert {name: dim.dim_type for name, dim in dims.items()} == {
            "time": "temporal", "lat": "spatial", "lon": "spatial",
        }  # fmt: skip
        assert dims["time"].to_dict()["step"] is None
        assert dims["time"].to_dict()["values"][-1] == "2020-01-06T00:00:00Z"
        assert (owner.ext.cube.variables or {})["t"].var_type == "data"
        assert owner.assets["data"].roles == ["data"]


def test_item_order_does_not_depend_on_the_order_of_the_artifacts(tmp_path: Path) -> None:
    every = [artifact(item=name, asset=asset) for name in "xyz" for asset in "ab"]
    assert describe(profile_of(tmp_path), every, {}, {}) == describe(profile_of(tmp_path), every[::-1], {}, {})


def test_a_thousand_items_take_as_much_work_each_as_a_hundred(tmp_path: Path) -> None:
    profile = profile_of(tmp_path)

    def calls(number: int) -> int:
        every = [artifact(item=f"i{n}", corner=500_000.0 + n) for n in range(number)]
        return calls_of(lambda: describe(profile, every, {}, {}))

    calls(1)  # what is done once
    hundred = calls(100)
    assert calls(1000) < 11 * hundred
    assert hundred < 100 * 2500  # 1300 each: a millisecond


def test_extensions_are_known_in_one_place_only() -> None:
    import earthcode_pack.describe as package

    folder = Path(str(package.__file__)).parent
    elsewhere = [
        p.name for p in folder.glob("*.py") if "stac-extensions.github.io" in p.read_text() and p.name != "stac.py"
    ]
    assert elsewhere == []
    assert all(url.startswith("https://stac-extensions.github.io/") for url in EXTENSIONS.values())
