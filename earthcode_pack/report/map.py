"""Footprints on a map, as SVG that stands in the page: equirectangular, with a graticule and the coarse shape of land.

Geometries are taken as RFC 7946 has them: in WGS 84, edges straight in longitude and latitude, split at the
antimeridian. A map of an area across the antimeridian is centred on the area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import ceil, cos, floor, radians
from typing import TYPE_CHECKING, Any

from earthcode_pack.report.text import box, degrees

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH = 640  # user units of the drawing; the page scales it
_STEPS = (60.0, 30.0, 15.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_LINES = 5  # of the graticule, each way
_DETAIL = 60.0  # degrees: an area smaller than this has a map of its own
_LAND_FROM = 40.0  # degrees across: the coarse land would mislead on a smaller map
_TINT = 0.3  # opacity of all footprints where they lie upon each other
_TINY = 8.0  # user units: a footprint smaller than this also gets a dot

Box = tuple[float, float, float, float]
Ring = Sequence[Sequence[float]]


@dataclass(frozen=True)
class View:
    """The part of the globe that a map shows, in degrees; ``east`` may exceed 180."""

    west: float
    south: float
    east: float
    north: float

    @property
    def height(self) -> float:
        """Of the drawing: lengths are true along its middle latitude, except on the world map."""
        across = self.east - self.west
        shrink = 1.0 if across >= 360 else max(cos(radians((self.south + self.north) / 2)), 0.1)  # noqa: PLR2004
        return WIDTH * (self.north - self.south) / (across * shrink)

    def at(self, lon: float, lat: float) -> tuple[float, float]:
        """Longitude and latitude to x and y of the drawing."""
        x = (lon - self.west) / (self.east - self.west) * WIDTH
        y = (self.north - lat) / (self.north - self.south) * self.height
        return x, y


WORLD = View(-180, -90, 180, 90)


def detail_view(boxes: Sequence[Box]) -> View | None:
    """The surroundings of some boxes; None where there are none, or the world map shows them well.

    >>> detail_view([(170, -10, -170, 10)])
    View(west=164.0, south=-12.0, east=196.0, north=12.0)
    """
    if not boxes:
        return None
    west, east = longitudes([(box[0], box[2]) for box in boxes])
    south, north = min(box[1] for box in boxes), max(box[3] for box in boxes)
    if max(east - west, north - south) > _DETAIL:
        return None
    return _padded(west, south, east, north)


def _padded(west: float, south: float, east: float, north: float) -> View:
    """With air around, no flatter than 5 : 2 and no taller than 4 : 3 on the ground."""
    shrink = max(cos(radians((south + north) / 2)), 0.1)
    air = 0.1 * max((east - west) * shrink, north - south, 0.01)
    tall = max(north - south + 2 * air, ((east - west) * shrink + 2 * air) / 2.5)
    wide = max((east - west) + 2 * air / shrink, 4 / 3 * (north - south + 2 * air) / shrink)
    low, high = ((south + north) / 2 + side * tall / 2 for side in (-1, 1))
    left, right = ((west + east) / 2 + side * wide / 2 for side in (-1, 1))
    return View(*(round(degree, 6) for degree in (left, max(low, -90.0), right, min(high, 90.0))))


def longitudes(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The shortest arc (west, east ≥ west) that holds all spans on the circle.

    >>> longitudes([(170, 175), (-178, -170)]), longitudes([(-180, 180)])
    ((170.0, 190.0), (-180.0, 180.0))
    """
    arcs = [(west, east if east >= west else east + 360) for west, east in map(_normal, spans)]
    turned = sorted((west + turn, east + turn) for west, east in arcs for turn in (-360, 0, 360))
    best, reach = (0.0, -180.0), turned[0][1]
    for (_, end), (start, _) in pairwise(turned):
        reach = max(reach, end)
        if start - reach > best[0] and -180 <= start < 180:  # noqa: PLR2004
            best = (start - reach, start)
    return best[1], best[1] + 360 - best[0]


def _normal(span: tuple[float, float]) -> tuple[float, float]:
    west, east = float(span[0]), float(span[1])
    shift = 360 * floor((west + 180) / 360)
    return west - shift, east - shift


def draw_map(view: View, shapes: Iterable[dict[str, Any]], title: str) -> str:
    """One SVG element; only numbers and its own labels go into it, but for ``title``, which is escaped."""
    from markupsafe import escape  # noqa: PLC0415 - only the report needs it

    drawn = {kind: list(dict.fromkeys(paths)) for kind, paths in _sorted(view, shapes).items()}
    parts = [
        f'<svg class="map" role="img" viewBox="0 0 {WIDTH} {view.height:.1f}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
        f'<rect class="sea" width="{WIDTH}" height="{view.height:.1f}"/>',
        f'<path class="land" d="{_land(view)}"/>' if view.east - view.west >= _LAND_FROM else "",
        *_graticule(view),
        f'<g fill-opacity="{max(_TINT / max(len(drawn["footprint"]), 3), 0.01):.2f}">',
        *(f'<path class="footprint" d="{path}"/>' for path in drawn["footprint"]),
        "</g>",
        *(f'<path class="{kind}" d="{path}"/>' for kind in ("outline", "track") for path in drawn[kind] if path),
        *(f'<circle class="dot" {place} r="5"/>' for place in drawn["dot"]),
        *_labels(view),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def map_title(boxes: Sequence[Box], count: int) -> str:
    """What a reader who does not see the map is told."""
    west, east = longitudes([(box[0], box[2]) for box in boxes])
    south, north = min(box[1] for box in boxes), max(box[3] for box in boxes)
    return f"Map of {count:,} footprint{'' if count == 1 else 's'}: {box((west, south, east, north))}"


def _sorted(view: View, shapes: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Paths of areas, of their outlines and of tracks, and dots for points and for what is too small to see."""
    drawn: dict[str, list[str]] = {"footprint": [], "outline": [], "track": [], "dot": []}
    for kind, rings in _parts(shapes):
        for placed in _placed(view, rings):
            if kind == "area":
                drawn["footprint"].append("".join(_path(ring, closed=True) for ring in placed))
                drawn["outline"].append("".join(map(_outline, rings, placed)))
            if kind == "track":
                drawn["track"].append(_path(placed[0], closed=False))
            drawn["dot"] += _dot([point for ring in placed for point in ring])
    return drawn


def _parts(shapes: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Sequence[Ring]]]:
    """Every polygon, line and point of GeoJSON geometries, as rings of positions."""
    for shape in shapes:
        kind, coordinates = str(shape.get("type")), shape.get("coordinates", [])
        if kind == "GeometryCollection":
            yield from _parts(shape.get("geometries", []))
        for one in coordinates if kind.startswith("Multi") else [coordinates]:
            single = kind.removeprefix("Multi")
            if single in ("Polygon", "LineString") and one:
                yield ("area", one) if single == "Polygon" else ("track", [one])
            if single == "Point" and one:
                yield "point", [[one]]


def _placed(view: View, rings: Sequence[Ring]) -> Iterator[list[list[tuple[float, float]]]]:
    """In the drawing, wherever a turn of the globe brings it into view."""
    places = [[(float(position[0]), float(position[1])) for position in ring] for ring in rings]
    west, east = (edge(lon for lon, _ in places[0]) for edge in (min, max))
    for turn in (-360, 0, 360):
        if _is_seen(view, west + turn, east + turn):
            yield [[view.at(lon + turn, lat) for lon, lat in ring] for ring in places]


def _is_seen(view: View, west: float, east: float) -> bool:
    """Whether more than an edge of it is in view; of what has no width, its place."""
    return (west < view.east and east > view.west) or (west == east and view.west <= west <= view.east)


def _path(points: Sequence[tuple[float, float]], *, closed: bool) -> str:
    return "M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + ("Z" if closed else "")


def _outline(ring: Ring, placed: Sequence[tuple[float, float]]) -> str:
    """The edges of a ring but for the seams, which a map adds and the globe has not: along ±180° and the poles."""
    path, pen = [], False
    for (one, two), (start, end) in zip(pairwise(ring), pairwise(placed), strict=True):
        is_seam = _is_end(one[0], two[0], 180) or _is_end(one[1], two[1], 90)
        path += [] if is_seam or pen else [f"M{start[0]:.1f},{start[1]:.1f}"]
        path += [] if is_seam else [f"L{end[0]:.1f},{end[1]:.1f}"]
        pen = not is_seam
    return "".join(path)


def _is_end(one: float, two: float, end: float) -> bool:
    return float(one) == float(two) and abs(one) == end


def _dot(points: Sequence[tuple[float, float]]) -> list[str]:
    """The middle of what is too small to see."""
    (left, right), (top, bottom) = ((min(values), max(values)) for values in zip(*points, strict=True))
    if max(right - left, bottom - top) > _TINY:
        return []
    return [f'cx="{round((left + right) / 2)}" cy="{round((top + bottom) / 2)}"']


@cache
def _land_rings() -> tuple[tuple[tuple[float, float], ...], ...]:
    lines = files("earthcode_pack").joinpath("templates/land.txt").read_text(encoding="utf-8").splitlines()
    corners = ([corner.split(",") for corner in line.split()] for line in lines if not line.startswith("#"))
    return tuple(tuple((float(lon), float(lat)) for lon, lat in ring) for ring in corners)


def _land(view: View) -> str:
    return "".join(_path(ring, closed=True) for land in _land_rings() for (ring,) in _placed(view, [land]))


def _marks(low: float, high: float, step: float) -> list[float]:
    """The multiples of a step strictly inside."""
    first, last = ceil(low / step), floor(high / step)
    return [round(n * step, 6) for n in range(first, last + 1) if low < n * step < high]


def _step(span: float) -> float:
    return next((step for step in reversed(_STEPS) if span / step <= _LINES), _STEPS[0])


def _graticule(view: View) -> Iterator[str]:
    meridians, parallels = _lines(view)
    for lon in meridians:
        x, _ = view.at(lon, 0)
        yield f'<path class="line" d="M{x:.1f},0V{view.height:.1f}"/>'
    for lat in parallels:
        _, y = view.at(0, lat)
        yield f'<path class="line" d="M0,{y:.1f}H{WIDTH}"/>'


def _labels(view: View) -> Iterator[str]:
    meridians, parallels = _lines(view)
    for lon in meridians:
        x, _ = view.at(lon, 0)
        yield f'<text x="{x:.1f}" y="{view.height - 8:.1f}" text-anchor="middle">{_meridian(lon)}</text>'
    for lat in parallels:
        _, y = view.at(0, lat)
        if y < view.height - 30:  # the meridians' labels stand there
            yield f'<text x="6" y="{y - 4:.1f}">{degrees(lat, "NS")}</text>'


def _meridian(lon: float) -> str:
    """East and west meet at 180°."""
    return "180°" if lon % 360 == 180 else degrees(lon, "EW")  # noqa: PLR2004


def _lines(view: View) -> tuple[list[float], list[float]]:
    """Meridians and parallels, in degrees."""
    across, up = view.east - view.west, view.north - view.south
    return _marks(view.west, view.east, _step(across)), _marks(view.south, view.north, _step(up))
