"""Alignment of the cells of a source and of its output by their coordinates, whatever was flipped or rolled."""

from __future__ import annotations

from typing import Any

import numpy as np

from earthcode_pack.convert.proof.decoded import REMEDY
from earthcode_pack.errors import NotEqual
from earthcode_pack.geo.box import CIRCLE

Array = np.ndarray[Any, Any]

_AWAY = 0.3  # of a cell: coordinates are rounded, and a neighbour is one cell away
_SAME = 1e-3  # by how much the sizes of cells differ where units are the same


def matched(source: Array, written: Array, cell: float, *, on_circle: bool, where: str) -> Array:
    """The index in ``source`` of each coordinate of ``written``; both are centres of cells along one axis.

    ``cell`` is the size of a cell in the output. Where the source's cells have another, its units are others (km, rad),
    and its coordinates are read in the output's. ``on_circle``: longitudes, of which 360 degrees make one place.
    Raises ``NotEqual`` where the source has no cell at a coordinate.
    """
    if source.size > 1:
        ratio = abs(float(source[-1]) - float(source[0])) / (source.size - 1) / cell
        source = source / ratio if abs(ratio - 1) > _SAME else source
    order = np.argsort(source, kind="stable")
    ordered = np.asarray(source[order], np.float64)
    best, away = np.zeros(written.size, np.intp), np.full(written.size, np.inf)
    for turn in (0, CIRCLE, -CIRCLE) if on_circle else (0,):
        wanted = written.astype(np.float64) + turn
        right = np.clip(np.searchsorted(ordered, wanted), 1, ordered.size - 1) if ordered.size > 1 else np.zeros(1, int)
        near = np.where(np.abs(ordered[right - 1] - wanted) < np.abs(ordered[right] - wanted), right - 1, right)
        distance = np.abs(ordered[near] - wanted)
        best, away = np.where(distance < away, order[near], best), np.minimum(distance, away)
    lost = np.flatnonzero(~(away <= _AWAY * cell))
    if lost.size:
        first = int(lost[0])
        nearest = float(source[best[first]])
        raise NotEqual(
            f"{where}: a cell written at {float(written[first]):.10g} is none of the source's, whose nearest lies at "
            f"{nearest:.10g}",
            REMEDY,
        )
    return best


def runs(indexes: Array) -> list[Array]:
    """Indexes cut where they do not go on by one, up or down.

    >>> [run.tolist() for run in runs(np.array([7, 8, 9, 0, 1]))]
    [[7, 8, 9], [0, 1]]
    """
    if indexes.size < 2:  # noqa: PLR2004 - nothing to cut
        return [indexes]
    steps = np.diff(indexes)
    turns = np.flatnonzero((np.abs(steps) != 1) | (steps != steps[0]))
    if not turns.size:
        return [indexes]
    at = max(int(turns[0]), 0) + 1
    return [indexes[:at], *runs(indexes[at:])]
