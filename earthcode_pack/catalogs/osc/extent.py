"""Boxes as the Open Science Catalog takes them: four numbers, west before east, within ±180."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from earthcode_pack.geo.box import HALF, cut

if TYPE_CHECKING:
    from earthcode_pack.geo.box import Box as Corners

Box = list[float]


def osc_boxes(boxes: list[list[float]]) -> list[Box]:
    """A Collection's boxes without crossings: all longitudes, then the true boxes cut at the antimeridian.

    RFC 7946's west > east stands in the STAC that is published; whether the catalogue's validator takes it is unknown.
    One box or at least three, as STAC 1.1 demands of ``extent.spatial.bbox``.

    >>> osc_boxes([[170, -20, -170, -10]])
    [[-180.0, -20, 180.0, -10], [170, -20, 180.0, -10], [-180.0, -20, -170, -10]]
    """
    overall, *parts = [_flat(box) for box in boxes]
    pieces = [piece for box in parts or [overall] for piece in _pieces(box)]
    if not parts and len(pieces) == 1:
        return pieces
    return [_whole(overall), *pieces] if len(pieces) > 1 else [_whole(overall)]


def osc_box(box: list[float]) -> Box:
    """One box, for an Item, which has no more: overall where it crosses the antimeridian."""
    return _whole(_flat(box))


def osc_extent(extent: dict[str, Any]) -> dict[str, Any]:
    """A Collection's extent with boxes in the catalogue's form."""
    return {
        "spatial": {"bbox": osc_boxes(extent["spatial"]["bbox"])},
        "temporal": {"interval": extent["temporal"]["interval"]},
    }


def _flat(box: list[float]) -> Box:
    """Without heights."""
    return [*box[:2], *box[3:5]] if len(box) == 6 else list(box)  # noqa: PLR2004 - RFC 7946, section 5


def _whole(box: Box) -> Box:
    west, south, east, north = box
    return [-HALF, south, HALF, north] if west > east else box


def _pieces(box: Box) -> list[Box]:
    return [list(piece) for piece in cut(cast("Corners", tuple(box)))]
