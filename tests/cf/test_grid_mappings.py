"""A grid mapping of latitude and longitude that names no datum: built from its numbers, equal to what pyproj makes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pyproj import CRS

from earthcode_pack.cf.grid_mappings import _crs_by_cf

WGS84 = {"semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}
STATED = [
    WGS84,
    {"semi_major_axis": 6378137.0, "semi_minor_axis": 6356752.3},
    {**WGS84, "semi_minor_axis": 6356752.314245179},
    {"earth_radius": 6371000.0},
    {"semi_major_axis": 6371000.0, "inverse_flattening": 0.0},
    {"semi_major_axis": 6378137.0},
    {**WGS84, "longitude_of_prime_meridian": 0.0},
    {**WGS84, "longitude_of_prime_meridian": 2.337229},
    {**WGS84, "horizontal_datum_name": "World Geodetic System 1984"},
]


@pytest.mark.parametrize("figure", STATED, ids=str)
def test_it_is_what_pyproj_makes(figure: dict[str, Any]) -> None:
    attrs = {"grid_mapping_name": "latitude_longitude", **figure}
    assert _crs_by_cf(json.dumps(attrs)) == CRS.from_cf(attrs)
