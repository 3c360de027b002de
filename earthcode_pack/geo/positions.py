"""Positions of GeoJSON geometries (RFC 7946): which there are, and whether they leap over the antimeridian."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from earthcode_pack.geo.box import CIRCLE, FINE, HALF

if TYPE_CHECKING:
    from collections.abc import Iterator


def positions(geometry: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """Every position (longitude, latitude) of a GeoJSON geometry."""
    for part in geometry.get("geometries") or []:
        yield from positions(part)
    yield from _flat(geometry.get("coordinates") or [])


def _flat(coordinates: list[Any]) -> Iterator[tuple[float, float]]:
    if coordinates and not isinstance(coordinates[0], list | tuple):
        yield cast("tuple[float, float]", tuple(coordinates[:2]))
        return
    for part in coordinates:
        yield from _flat(part)


def is_uncut(geometry: dict[str, Any]) -> bool:
    """Tells whether a ring or line leaps over the antimeridian: neighbouring positions are over 180° apart.

    >>> is_uncut({"type": "Polygon", "coordinates": [[[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]]})
    True
    """
    polygons = {"Polygon": [geometry.get("coordinates")], "MultiPolygon": geometry.get("coordinates")}
    lines = {"LineString": [geometry.get("coordinates")], "MultiLineString": geometry.get("coordinates")}
    kind = str(geometry.get("type"))
    rings = [ring for polygon in polygons.get(kind) or [lines.get(kind) or []] for ring in polygon or []]
    steps = (abs(a[0] - b[0]) for ring in rings for a, b in pairwise(ring))
    return any(HALF < step < CIRCLE - FINE for step in steps)
