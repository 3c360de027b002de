"""Targets by construction: a COG, a cube and a product that keep every rule, and ways to break one of them."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import xarray as xr

    from earthcode_pack.model import Finding

EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
UTM = pyproj.CRS("EPSG:32631")
UTM_BOX = (500000, 4589000, 510000, 4600000)


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def broken() -> Callable[[Iterable[Finding]], set[str]]:
    """The ids of the rules that are broken."""
    return lambda findings: {finding.rule for finding in findings}


@pytest.fixture
def make_cog() -> Callable[..., Path]:
    """Writes a COG of 1100 x 1000 cells of 10 m in UTM 31; keywords change one thing each."""
    import rasterio
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy as gdal_copy

    def make(path: Path, values: np.ndarray | None = None, **given: Any) -> Path:
        if values is None:
            rows, columns = np.mgrid[0:1100, 0:1000]
            values = (rows + columns / 1000).astype("float32")[None]
        options = {"crs": UTM, "nodata": -9999.0, "units": "K", "corner": (500000, 4600000), "cell": 10.0} | given
        cell, (x, y) = options["cell"], options["corner"]
        transform = options.get("transform", rasterio.Affine(cell, 0, x, 0, -cell, y))
        profile = {
            "driver": "GTiff",
            "count": values.shape[0],
            "height": values.shape[1],
            "width": values.shape[2],
            "dtype": values.dtype,
            "crs": options["crs"],
            "nodata": options["nodata"],
            **options.get("staged", {}),
        }
        profile |= {"transform": transform} if transform else {}
        with MemoryFile() as memory:
            with memory.open(**profile) as staged:
                staged.write(values)
                if options["units"]:
                    staged.units = [options["units"]] * values.shape[0]
                if "colormap" in options:
                    staged.write_colormap(1, options["colormap"])
                if "scale" in options:
                    staged.scales = [options["scale"]] * values.shape[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            cog = {"driver": "COG", "BLOCKSIZE": "512", "COMPRESS": "DEFLATE"} | options.get("cog", {})
            if cog.get("INTERLEAVE") == "BAND":  # GDAL's COG driver has it since 3.11
                cog = {
                    "driver": "GTiff",
                    "TILED": "YES",
                    "COPY_SRC_OVERVIEWS": "YES",
                    "INTERLEAVE": "BAND",
                    "BLOCKXSIZE": "512",
                    "BLOCKYSIZE": "512",
                }
            gdal_copy(memory.name, path, **cog)
        return path

    return make


@pytest.fixture
def cube() -> xr.Dataset:
    """Three days of temperature on 8 x 10 cells of a degree in EPSG:4326; encoded and described as CF and ACDD want."""
    import xarray as xr

    day = {
        "standard_name": "time",
        "long_name": "time",
        "axis": "T",
        "bounds": "time_bnds",
        "calendar": "standard",
        "units": "days since 2020-01-01",
    }
    lat = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"}
    lon = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"}
    sst = {
        "standard_name": "sea_surface_temperature",
        "long_name": "Temperature",
        "units": "K",
        "grid_mapping": "crs",
        "cell_methods": "time: mean",
        "_FillValue": np.float32("nan"),
        "ancillary_variables": "sst_error",  # of a file of its own
    }
    return xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), np.arange(240, dtype="f4").reshape(3, 8, 10), sst),
            "crs": ((), np.int32(0), pyproj.CRS("EPSG:4326").to_cf()),
            "time_bnds": (("time", "bnds"), np.array([[0, 1], [1, 2], [2, 3]], "f8")),
        },
        coords={
            "time": ("time", np.array([0.5, 1.5, 2.5]), day),
            "lat": ("lat", np.arange(7.5, -0.5, -1), lat),
            "lon": ("lon", np.arange(10.5, 20.5, 1), lon),
        },
        attrs={
            "title": "T",
            "summary": "S",
            "license": "CC-BY-4.0",
            "history": "made",
            "institution": "I",
            "source": "s",
            "references": "https://example.org/handbook.pdf",
            "Conventions": "CF-1.11, ACDD-1.3",
        },
    )


@pytest.fixture
def write_zarr(tmp_path: Path) -> Callable[..., Path]:
    import warnings

    def write(dataset: xr.Dataset, name: str = "demo.zarr", version: int = 3, **options: Any) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that consolidated metadata are not in the specification of v3
            dataset.to_zarr(tmp_path / name, zarr_format=version, **{"consolidated": True, **options})
        return tmp_path / name

    return write


@pytest.fixture
def write_netcdf(tmp_path: Path) -> Callable[..., Path]:
    def write(dataset: xr.Dataset, name: str = "demo.nc", **encoding: Any) -> Path:
        told = {"sst": {"zlib": True, **encoding}}
        dataset.to_netcdf(tmp_path / name, engine="h5netcdf", encoding=told)
        return tmp_path / name

    return write


# --- a product


def item_of(name: str = "demo_20200101") -> dict[str, Any]:
    """An Item of the COG that ``make_cog`` writes."""
    box = list(pyproj.Transformer.from_crs(UTM, "OGC:CRS84", always_xy=True).transform_bounds(*UTM_BOX))
    west, south, east, north = box
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [EXTENSION.format(e) for e in ("file/v2.1.0", "projection/v2.0.0", "raster/v2.0.0")],
        "id": name,
        "collection": "demo",
        "bbox": box,
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
        },
        "properties": {
            "datetime": "2020-01-01T00:00:00Z",
            "start_datetime": "2020-01-01T00:00:00Z",
            "end_datetime": "2020-01-01T23:59:59Z",
            "proj:code": "EPSG:32631",
            "proj:shape": [1100, 1000],
            "proj:bbox": list(UTM_BOX),
            "proj:transform": [10, 0, 500000, 0, -10, 4600000],
        },
        "links": [
            {"rel": rel, "href": "../collection.json", "type": "application/json"} for rel in ("root", "collection")
        ],
        "assets": {
            "sst": {
                "href": f"../data/{name}/{name}_sst.tif",
                "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                "title": "Temperature",
                "roles": ["data"],
                "bands": [{"name": "sst", "data_type": "float32", "nodata": -9999, "unit": "K"}],
                "raster:spatial_resolution": 10,
            }
        },
    }


def collection_of(items: list[dict[str, Any]]) -> dict[str, Any]:
    boxes = np.array([item["bbox"] for item in items])
    times = [item["properties"] for item in items]
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "stac_extensions": [EXTENSION.format(e) for e in ("file/v2.1.0", "render/v2.0.0")],
        "id": "demo",
        "title": "DEMO Temperature",
        "description": "Temperature of the demonstration.",
        "license": "CC-BY-4.0",
        "extent": {
            "spatial": {"bbox": [[*boxes[:, :2].min(0).tolist(), *boxes[:, 2:].max(0).tolist()]]},
            "temporal": {
                "interval": [[min(t["start_datetime"] for t in times), max(t["end_datetime"] for t in times)]]
            },
        },
        "processing:datetime": "2026-01-01T00:00:00Z",
        "osc:project": "demo",
        "osc:project_description": "A demonstration.",
        "osc:project_website": "https://example.org",
        "osc:initiative": "earthcode",
        "osc:contract-number": "1",
        "osc:variables": ["sea-surface-temperature"],
        "osc:missions": ["sentinel-3"],
        "cf:parameter": [{"name": "sea_surface_temperature", "unit": "K"}],
        "themes": [{"scheme": "https://github.com/stac-extensions/osc#theme", "concepts": [{"id": "oceans"}]}],
        "item_assets": {"sst": {"type": "image/tiff; application=geotiff; profile=cloud-optimized", "roles": ["data"]}},
        "renders": {"sst": {"assets": ["sst"], "rescale": [[270, 305]]}},
        "assets": {
            "thumbnail": {
                "href": "./previews/demo.png",
                "type": "image/png",
                "title": "Preview",
                "roles": ["thumbnail"],
            }
        },
        "links": [
            {"rel": "license", "href": "https://spdx.org/licenses/CC-BY-4.0.html"},
            {"rel": "about", "href": "https://example.org/handbook.pdf", "title": "Documentation"},
            *({"rel": "item", "href": f"./items/{item['id']}.json"} for item in items),
        ],
    }


class Product:
    """A product on disk; ``save`` writes STAC and manifest as they stand, ``sealed`` measures sizes and sums first."""

    def __init__(self, root: Path, items: list[dict[str, Any]]) -> None:
        self.root, self.items = root, {item["id"]: item for item in items}
        self.collection = collection_of(items)

    def seal(self) -> Product:
        """Writes sizes and checksums as they are on disk, then everything."""
        for item in self.items.values():
            for asset in item["assets"].values():
                self.measure(asset, self.root / "items")
        self.measure(self.collection["assets"]["thumbnail"], self.root)
        return self.save()

    @staticmethod
    def measure(asset: dict[str, Any], folder: Path) -> None:
        path = Path(os.path.normpath(folder / asset["href"]))
        if path.is_file():
            asset["file:size"] = path.stat().st_size
            asset["file:checksum"] = "1220" + hashlib.sha256(path.read_bytes()).hexdigest()

    def save(self) -> Product:
        write_json(self.root / "collection.json", self.collection)
        for name, item in self.items.items():
            write_json(self.root / "items" / f"{name}.json", item)
        files = [p for p in sorted(self.root.rglob("*")) if p.is_file() and p.name != "manifest.json"]
        write_json(self.root / "manifest.json", [self.entry(path) for path in files])
        return self

    def entry(self, path: Path) -> dict[str, Any]:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        key = path.relative_to(self.root).as_posix()
        return {"key": key, "size": path.stat().st_size, "sha256": f"1220{digest}", "media_type": "x", "sources": []}

    @property
    def item(self) -> dict[str, Any]:
        return self.items["demo_20200101"]

    @property
    def asset(self) -> dict[str, Any]:
        return self.item["assets"]["sst"]


def write_json(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2))
    return path


@pytest.fixture(scope="session")
def _pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pristine")


@pytest.fixture
def product(_pristine: Path, tmp_path: Path, make_cog: Callable[..., Path]) -> Product:
    """Two Items of one COG each, and a Collection, that keep every rule."""
    names = ["demo_20200101", "demo_20200102"]
    items = [item_of(name) for name in names]
    items[1]["properties"] |= {
        "datetime": "2020-01-02T00:00:00Z",
        "start_datetime": "2020-01-02T00:00:00Z",
        "end_datetime": "2020-01-02T23:59:59Z",
    }
    if not (_pristine / "data").exists():
        for name in names:
            make_cog(_pristine / "data" / name / f"{name}_sst.tif")
        (_pristine / "previews").mkdir()
        (_pristine / "previews" / "demo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    shutil.copytree(_pristine, tmp_path / "product")
    return Product(tmp_path / "product", copy.deepcopy(items)).seal()
