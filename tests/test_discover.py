"""Which files there are, and what their headers say."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from builders import PERIOD, make_nc, make_tiff, profile_of, ramp

from earthcode_pack import storage
from earthcode_pack.errors import ProfileError
from earthcode_pack.model import Sources  # noqa: TC001
from earthcode_pack.sources.discover import discover


def found(*hrefs: object, **given: object) -> Sources:
    return discover(profile_of(list(hrefs), **given), storage.IdentityCache())  # type: ignore[arg-type]


def test_no_match_names_the_pattern(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"source\.href.*\*\.nope"):
        found(tmp_path / "*.nope", time=PERIOD)


def test_a_file_of_two_patterns_comes_once_in_order(tmp_path: Path) -> None:
    for name in "cab":
        make_tiff(tmp_path / f"{name}.tif", ramp(3, 4) + ord(name))
    sources = found(tmp_path / "b.tif", tmp_path / "*.tif", time=PERIOD).sources
    assert [Path(source.href).name for source in sources] == ["b.tif", "a.tif", "c.tif"]


def test_identity_and_header(tmp_path: Path) -> None:
    import hashlib

    path = make_nc(tmp_path / "a.nc", ramp(2, 3, 4), times=[0, 1])
    (source,) = found(path).sources
    assert source.size == path.stat().st_size
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.driver == "netCDF"
    assert source.grid.bounds == (-10.5, 47.5, -6.5, 50.5)
    assert source.grid.transform == (1, 0, -10.5, 0, -1, 50.5)
    assert source.time_dim == "time"
    assert [variable.name for variable in source.variables] == ["sst"]


def test_float32_coordinates_are_one_grid_with_float64(tmp_path: Path) -> None:
    lon = 5.05 + 0.1 * np.arange(40)
    make_nc(tmp_path / "a.nc", ramp(1, 3, 40), lon=lon)
    make_nc(tmp_path / "b.nc", ramp(1, 3, 40), lon=lon.astype("f4"))
    one, other = found(tmp_path / "*.nc").sources
    assert one.grid.digest == other.grid.digest


def test_progress_counts_every_file(tmp_path: Path) -> None:
    for name in "abc":
        make_tiff(tmp_path / f"{name}.tif", ramp(3, 4))
    seen: list[tuple[int, int]] = []
    profile = profile_of(tmp_path / "*.tif", time=PERIOD)
    discover(profile, storage.IdentityCache(), lambda done, every: seen.append((done, every)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
