"""Bad files among good ones: named with the reason and the remedy, while the others go on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from making import cube_profile, every_file, profile_of, write_cube, write_tif

from earthcode_pack.pipeline import dry_run, may_publish, prepare, publish, summarise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


def _truncated(path: Path) -> None:
    write_tif(path, np.arange(250_000, dtype="int32").reshape(500, 500), compress="deflate")
    path.write_bytes(path.read_bytes()[:20_000])


def _damaged(path: Path) -> None:
    """Its header is sound; a strip in the middle is not."""
    write_tif(path, np.random.default_rng(1).integers(0, 99, (500, 500)).astype("int16"), compress="deflate")
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 4000] = b"\xff" * 4000  # an invalid block of deflate (RFC 1951, 3.2.3)
    path.write_bytes(bytes(raw))


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "empty|not|no "),
    "text": (lambda path: path.write_text("not an image"), ""),
    "truncated": (_truncated, ""),
    "damaged": (_damaged, ""),
    "without-crs": (lambda path: write_tif(path, crs=None), "CRS"),
    "vrt": (lambda path: path.write_text("<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>"), ""),
}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("kind", BAD)
def test_bad_file_is_named_and_the_others_go_on(kind: str, tmp_path: Path) -> None:
    make, words = BAD[kind]
    for day in (1, 2):
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif")
    make(tmp_path / "raw" / "a_20200103.tif")
    bundle = prepare(profile_of(tmp_path), tmp_path / "work")
    summary = summarise(bundle)
    assert (summary.items, summary.assets) == (2, 2)
    (failure,) = summary.failed
    assert failure.source.endswith("a_20200103.tif")
    assert "20200103" in failure.error
    assert failure.remedy
    assert not words or any(word in failure.error for word in words.split("|"))
    assert publish(bundle) is None
    assert not (tmp_path / "published").exists()
    assert not may_publish(bundle)
    assert publish(bundle, allow_incomplete=True) == f"{tmp_path}/published/demo/v1.0/collection.json"
    assert len(list((tmp_path / "published").rglob("*.tif"))) == 2


@pytest.mark.parametrize("kind", ["empty", "text", "without-crs"])
def test_what_can_be_known_now_is_known_at_the_dry_run(kind: str, tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    BAD[kind][0](tmp_path / "raw" / "a_20200103.tif")
    _, summary = dry_run(profile_of(tmp_path), tmp_path / "work")
    assert [failure.source[-14:] for failure in summary.failed] == ["a_20200103.tif"]


def test_all_files_bad_leaves_no_product(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif", crs=None)
    bundle = prepare(profile_of(tmp_path), tmp_path / "work")
    summary = summarise(bundle)
    assert (summary.digest, summary.items, summary.assets, len(summary.failed)) == (None, 0, 0, 1)
    assert "source.crs" in summary.failed[0].remedy
    assert publish(bundle, allow_incomplete=True) is None
    assert (bundle.root / "report.html").is_file()


def test_product_whose_files_all_turned_bad_is_gone(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    assert prepare(profile_of(tmp_path), tmp_path / "work").digest
    write_tif(tmp_path / "raw" / "a_20200101.tif", crs=None)
    bundle = prepare(profile_of(tmp_path), tmp_path / "work")
    assert bundle.digest is None
    assert every_file(bundle.product) == {}
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    assert prepare(profile_of(tmp_path), tmp_path / "work").digest


def test_mended_file_makes_the_product_whole(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    write_tif(tmp_path / "raw" / "a_20200102.tif", crs=None)
    assert not may_publish(prepare(profile_of(tmp_path), tmp_path / "work"))
    write_tif(tmp_path / "raw" / "a_20200102.tif")
    bundle = prepare(profile_of(tmp_path), tmp_path / "work")
    assert summarise(bundle).failed == ()
    assert publish(bundle)


def test_cubes_that_do_not_fit_together_name_both_files(tmp_path: Path) -> None:
    write_cube(tmp_path / "raw" / "a.nc", (0, 1))
    write_cube(tmp_path / "raw" / "b.nc", (2, 3), lons=np.arange(0, 12) + 0.25)
    bundle = prepare(cube_profile(tmp_path), tmp_path / "work")
    (failure,) = summarise(bundle).failed
    assert "a.nc" in failure.error
    assert "b.nc" in failure.error
    assert publish(bundle) is None


def test_units_against_the_profile_show_both_values(tmp_path: Path) -> None:
    write_cube(tmp_path / "raw" / "a.nc")
    bundle = prepare(cube_profile(tmp_path, product__variables={"t": {"units": "degC"}}), tmp_path / "work")
    (failure,) = summarise(bundle).failed
    assert "'K'" in failure.error
    assert "'degC'" in failure.error


def test_name_with_odd_characters_becomes_a_safe_key(tmp_path: Path) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    odd = tmp_path / "raw" / "Größe (m) & more.tif"
    shutil.move(tmp_path / "raw" / "a_20200101.tif", odd)
    stated = {"start": "2020-01-01", "end": "2020-12-31"}
    bundle = prepare(profile_of(tmp_path, source__time=stated), tmp_path / "work")
    assert [item["id"] for item in bundle.items()] == ["demo_Gr--e--m----more"]
    assert publish(bundle)
