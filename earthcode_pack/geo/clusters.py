"""Many boxes as few: the overall one, and its parts where they lie far apart.

STAC 1.1, Collection, "Spatial Extent Object": the first box is the overall one, those after it are its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from earthcode_pack.geo.box import CIRCLE, ROUND, union, width

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from earthcode_pack.geo.box import Box

MOST = 10  # parts
_NEAR = 1.0  # degrees, about 100 km: nothing nearer is far apart
_SHARE = 0.1  # of the longer side of the overall box: a gap that is less is no reason for another box
_FULL = 0.5  # of the overall box: parts that fill more of it tell nothing that it does not
_WIDER = 1.5
_AT_ONCE = 200  # boxes that are compared each with each


def extent_boxes(boxes: Iterable[Box]) -> list[Box]:
    """The overall box, and from two to ``MOST`` parts of it where that says more; each as RFC 7946 has boxes.

    Parts lie more than a degree apart, in longitude or in latitude, and more than a tenth of the longer side of the
    overall box; each holds the Items that no such gap divides. There are none where they would fill more than half of
    the overall box (in degrees). Where there would be more than ``MOST``, wider gaps are taken. The order of the boxes
    and how often one occurs do not matter.

    >>> extent_boxes([(0.0, 0.0, 1.0, 1.0), (1.0, 0.0, 2.0, 1.0)])
    [(0.0, 0.0, 2.0, 1.0)]
    >>> extent_boxes([(0.0, 0.0, 1.0, 1.0), (20.0, 10.0, 21.0, 11.0)])
    [(0.0, 0.0, 21.0, 11.0), (0.0, 0.0, 1.0, 1.0), (20.0, 10.0, 21.0, 11.0)]
    """
    every = set(boxes)
    overall = union(every)
    parts = _parts(every, overall)
    return [overall, *parts] if len(parts) > 1 and sum(map(_area, parts)) <= _FULL * _area(overall) else [overall]


def _parts(boxes: set[Box], overall: Box) -> list[Box]:
    origin = None if width(overall) >= CIRCLE else overall[0]
    reach = max(_NEAR, _SHARE * max(width(overall), overall[3] - overall[1]))
    parts = _apart(sorted(boxes), reach, origin)
    while len(parts) > MOST:
        reach *= _WIDER
        parts = _apart(parts, reach, origin)
    return parts


def _apart(boxes: list[Box], reach: float, origin: float | None) -> list[Box]:
    """Boxes around groups, until every two of them are further apart than ``reach``.

    Longitudes are counted from ``origin``, the west of all, so that no box goes round the other way; on a whole circle,
    which has no west, it is None. Neighbours by longitude are joined first, so that never all are compared with all.
    """
    while True:
        chunks = (boxes[start : start + _AT_ONCE] for start in range(0, len(boxes), _AT_ONCE))
        groups = [group for chunk in chunks for group in _grouped(chunk, reach, origin)]
        if len(groups) == len(boxes):
            return boxes
        boxes = sorted(union(group) if origin is None else _around(group, origin) for group in groups)


def _grouped(boxes: list[Box], reach: float, origin: float | None) -> list[list[Box]]:
    """Boxes that a chain of gaps of at most ``reach`` joins (single linkage)."""
    near = _gaps(boxes, origin) <= reach
    group, before = np.arange(len(boxes)), None
    while before is None or (group != before).any():  # the least number among those near, until none changes
        before, group = group, np.where(near, group, len(boxes)).min(axis=1)
    groups: dict[int, list[Box]] = {}
    for box, number in zip(boxes, group.tolist(), strict=True):
        groups.setdefault(number, []).append(box)
    return list(groups.values())


def _gaps(boxes: list[Box], origin: float | None) -> NDArray[np.float64]:
    """Degrees between every two boxes, in longitude or in latitude, whichever is more; none or less where they meet."""
    places = [(_ahead(box, origin or 0.0), box[1], width(box), box[3]) for box in boxes]
    start, south, wide, north = np.array(places).T
    ahead = start - start[:, np.newaxis]  # from the west of one (row) eastwards to that of the other
    beyond = (ahead % CIRCLE if origin is None else ahead) - wide[:, np.newaxis]
    across = np.minimum(beyond, beyond.T) if origin is None else np.maximum(beyond, beyond.T)
    along = south - north[:, np.newaxis]
    gaps: NDArray[np.float64] = np.maximum(across, np.maximum(along, along.T))
    return gaps


def _around(boxes: list[Box], origin: float) -> Box:
    first = min(boxes, key=lambda box: _ahead(box, origin))
    last = max(boxes, key=lambda box: _ahead(box, origin) + width(box))
    return first[0], min(box[1] for box in boxes), last[2], max(box[3] for box in boxes)


def _ahead(box: Box, origin: float) -> float:
    """How far east of the origin a box begins; what rounding puts west of it begins there."""
    ahead = (box[0] - origin) % CIRCLE
    return 0.0 if ahead > CIRCLE - ROUND else ahead


def _area(box: Box) -> float:
    """In square degrees."""
    return width(box) * (box[3] - box[1])
