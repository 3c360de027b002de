"""Footprints on a map, as SVG in the page: equirectangular, with a graticule and the coarse shape of land.

Geometries are in WGS 84, edges straight in longitude and latitude, cut at the antimeridian (RFC 7946). A map of an area
across the antimeridian is centred on the area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from math import ceil, cos, floor, radians
from typing import TYPE_CHECKING, Any

from earthcode_pack.geo.box import CIRCLE, HALF, POLE, union, width
from earthcode_pack.report.text import degrees

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.geo.box import Box

WIDTH = 640  # user units of the drawing; the page scales it
_STEPS = (60.0, 30.0, 15.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_LINES = 5  # of the graticule, each way
_DETAIL = 60.0  # degrees: an area smaller than this has a map of its own
_LAND_FROM = 40.0  # degrees across: the coarse land would mislead on a smaller map
_TINT = 0.3  # opacity of all footprints where they overlap
_TINY = 8.0  # user units: a footprint smaller than this also gets a dot

Ring = Sequence[Sequence[float]]
Points = Sequence[tuple[float, float]]  # of the drawing


@dataclass(frozen=True)
class View:
    """The part of the globe that a map shows, in degrees; ``east`` may exceed 180."""

    west: float
    south: float
    east: float
    north: float

    @property
    def height(self) -> float:
        """Height of the drawing: lengths are true along its middle latitude, except on the world map."""
        across = self.east - self.west
        shrink = 1.0 if across >= CIRCLE else max(cos(radians((self.south + self.north) / 2)), 0.1)
        return WIDTH * (self.north - self.south) / (across * shrink)

    def at(self, lon: float, lat: float) -> tuple[float, float]:
        """Converts longitude and latitude to x and y of the drawing."""
        x = (lon - self.west) / (self.east - self.west) * WIDTH
        y = (self.north - lat) / (self.north - self.south) * self.height
        return x, y


WORLD = View(-HALF, -POLE, HALF, POLE)


def detail_view(boxes: Sequence[Box]) -> View | None:
    """Returns the surroundings of some boxes, no flatter than 5 : 2 and no taller than 4 : 3 on the ground.

    It is None where the world map shows them well.

    >>> detail_view([(170, -10, -170, 10)])
    View(west=164.0, south=-12.0, east=196.0, north=12.0)
    """
    west, south, _, north = overall = union(boxes)
    across, up = width(overall), north - south
    if max(across, up) > _DETAIL:
        return None
    shrink = max(cos(radians((south + north) / 2)), 0.1)
    margin = 0.1 * max(across * shrink, up, 0.01)
    tall = max(up + 2 * margin, (across * shrink + 2 * margin) / 2.5)
    wide = max(across + 2 * margin / shrink, 4 / 3 * (up + 2 * margin) / shrink)
    low, high = ((south + north) / 2 + side * tall / 2 for side in (-1, 1))
    left, right = (west + across / 2 + side * wide / 2 for side in (-1, 1))
    return View(*(round(degree, 6) for degree in (left, max(low, -POLE), right, min(high, POLE))))


def draw_map(view: View, shapes: Iterable[dict[str, Any]], title: str) -> str:
    """Draws GeoJSON geometries as one SVG element; the title is escaped, all else are numbers and own labels."""
    from markupsafe import escape  # noqa: PLC0415 - only the report needs it

    drawn = {kind: list(dict.fromkeys(paths)) for kind, paths in _drawn(view, shapes).items()}
    lines, labels = _graticule(view)
    parts = [
        f'<svg class="map" role="img" viewBox="0 0 {WIDTH} {view.height:.1f}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
        f'<rect class="sea" width="{WIDTH}" height="{view.height:.1f}"/>',
        f'<path class="land" d="{_land(view)}"/>' if view.east - view.west >= _LAND_FROM else "",
        *lines,
        f'<g fill-opacity="{max(_TINT / max(len(drawn["footprint"]), 3), 0.01):.2f}">',
        *(f'<path class="footprint" d="{path}"/>' for path in drawn["footprint"]),
        "</g>",
        *(f'<path class="{kind}" d="{path}"/>' for kind in ("outline", "track") for path in drawn[kind] if path),
        *(f'<circle class="dot" {place} r="5"/>' for place in drawn["dot"]),
        *labels,
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def _drawn(view: View, shapes: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Returns paths of areas, outlines and tracks, and dots for points and for shapes too small to see."""
    drawn: dict[str, list[str]] = {"footprint": [], "outline": [], "track": [], "dot": []}
    for kind, rings in _parts(shapes):
        for placed in _placed(view, rings):
            if kind == "Polygon":
                drawn["footprint"].append("".join(f"{_path(ring)}Z" for ring in placed))
                drawn["outline"].append("".join(map(_outline, rings, placed)))
            if kind == "LineString":
                drawn["track"].append(_path(placed[0]))
            xs, ys = zip(*(point for ring in placed for point in ring), strict=True)
            (left, right), (top, bottom) = (min(xs), max(xs)), (min(ys), max(ys))
            if max(right - left, bottom - top) <= _TINY:
                drawn["dot"].append(f'cx="{round((left + right) / 2)}" cy="{round((top + bottom) / 2)}"')
    return drawn


def _parts(shapes: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Sequence[Ring]]]:
    """Yields every polygon, line and point of GeoJSON geometries, by its type and as rings of positions."""
    for shape in shapes:
        kind, coordinates = str(shape.get("type")), shape.get("coordinates", [])
        if kind == "GeometryCollection":
            yield from _parts(shape.get("geometries", []))
        single = kind.removeprefix("Multi")
        for one in coordinates if kind != single else [coordinates]:
            if one and single in ("Polygon", "LineString", "Point"):
                yield single, {"Polygon": one, "LineString": [one], "Point": [[one]]}[single]


def _placed(view: View, rings: Sequence[Ring]) -> Iterator[list[Points]]:
    """Yields rings in the drawing, for each turn of the globe that brings more than an edge of them into view."""
    places = [[(float(position[0]), float(position[1])) for position in ring] for ring in rings]
    lons = [lon for lon, _ in places[0]]
    for turn in (-CIRCLE, 0, CIRCLE):
        west, east = min(lons) + turn, max(lons) + turn
        if (west < view.east and east > view.west) or (west == east and view.west <= west <= view.east):
            yield [[view.at(lon + turn, lat) for lon, lat in ring] for ring in places]


def _path(points: Points) -> str:
    return "M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _outline(ring: Ring, placed: Points) -> str:
    """Returns the edges of a ring without those along ±180° and the poles, which are no edges on the globe."""
    path, pen = [], False
    for (one, two), (start, end) in zip(pairwise(ring), pairwise(placed), strict=True):
        is_seam = any(one[axis] == two[axis] and abs(one[axis]) == limit for axis, limit in ((0, HALF), (1, POLE)))
        path += [] if is_seam or pen else [f"M{start[0]:.1f},{start[1]:.1f}"]
        path += [] if is_seam else [f"L{end[0]:.1f},{end[1]:.1f}"]
        pen = not is_seam
    return "".join(path)


def _land(view: View) -> str:
    path = ""
    for line in files("earthcode_pack").joinpath("templates/land.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            ring = [[float(degree) for degree in corner.split(",")] for corner in line.split()]
            path += "".join(f"{_path(placed)}Z" for (placed,) in _placed(view, [ring]))
    return path


def _graticule(view: View) -> tuple[list[str], list[str]]:
    """Returns the lines of the graticule and their labels."""
    lines, labels = [], []
    for lon in _marks(view.west, view.east):
        x, _ = view.at(lon, 0)
        name = "180°" if lon % CIRCLE == HALF else degrees(lon, "EW")  # east and west meet
        lines.append(f'<path class="line" d="M{x:.1f},0V{view.height:.1f}"/>')
        labels.append(f'<text x="{x:.1f}" y="{view.height - 8:.1f}" text-anchor="middle">{name}</text>')
    for lat in _marks(view.south, view.north):
        _, y = view.at(0, lat)
        lines.append(f'<path class="line" d="M0,{y:.1f}H{WIDTH}"/>')
        if y < view.height - 30:  # the meridians' labels stand there
            labels.append(f'<text x="6" y="{y - 4:.1f}">{degrees(lat, "NS")}</text>')
    return lines, labels


def _marks(low: float, high: float) -> list[float]:
    """Returns the multiples of a step strictly inside, a few of them."""
    step = next((step for step in reversed(_STEPS) if (high - low) / step <= _LINES), _STEPS[0])
    return [round(n * step, 6) for n in range(ceil(low / step), floor(high / step) + 1) if low < n * step < high]
