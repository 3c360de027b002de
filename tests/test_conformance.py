"""A deep check of a bundle holds its data against the sources that can still be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from making import cube_profile, profile_of, write_cube, write_tif

from earthcode_pack import check
from earthcode_pack.pipeline import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Finding


def prepared(folder: Path, fmt: str) -> Bundle:
    if fmt == "cog":
        write_tif(folder / "raw" / "a_20200101.tif", np.arange(400 * 500, dtype="int32").reshape(400, 500))
        return prepare(profile_of(folder), folder / "work")
    write_cube(folder / "raw" / "a.nc", days=range(4), lats=np.arange(200) / 10, lons=np.arange(300) / 10)
    return prepare(cube_profile(folder, target__format=fmt), folder / "work")


def proofs(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.message for finding in findings if finding.rule == "DATA-PROOF"]


@pytest.mark.parametrize("fmt", ["cog", "zarr", "netcdf"])
def test_every_block_of_a_bundle(tmp_path: Path, fmt: str) -> None:
    bundle = prepared(tmp_path, fmt)
    (said,) = proofs(bundle.findings())
    assert "have the same values and missing cells, as decoded by" in said
    assert said[0].isdigit()
    assert "other projects" in (bundle.root / "report.html").read_text()
    (deep,) = [finding for finding in check(bundle.root, deep=True) if finding.rule == "DATA-PROOF"]
    assert "every block" in deep.message
    assert deep.measured["cells"] == (400 * 500 if fmt == "cog" else 4 * 200 * 300)
    assert proofs(check(bundle.root)) == []


def test_another_value_in_a_block_that_no_sample_meets(tmp_path: Path) -> None:
    bundle = prepared(tmp_path, "cog")
    (path,) = bundle.product.glob("data/*/*.tif")
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        cells = file.read()
        cells[0, 13, 400] += 1
        file.write(cells)
    (found,) = [finding for finding in check(bundle.root, deep=True) if finding.rule == "DATA-DIFFERS"]
    assert found.level == "error"
    assert "row 13 and column 400" in found.message
    assert "6900 in the source and 6901 in what was written" in found.message


def test_sources_that_are_gone_or_changed_are_named(tmp_path: Path) -> None:
    bundle = prepared(tmp_path, "cog")
    (source,) = (tmp_path / "raw").iterdir()
    content = source.read_bytes()
    source.unlink()
    assert proofs(check(bundle.root, deep=True)) == [
        f"not compared with its sources: {source.name} cannot be read any more"
    ]
    source.write_bytes(content + b"\0")
    assert proofs(check(bundle.root, deep=True)) == [f"not compared with its sources: {source.name} has changed since"]
    source.write_bytes(content)
    assert "every block" in proofs(check(bundle.root, deep=True))[0]
