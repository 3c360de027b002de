"""Where the time axis of a cube can be cut without cutting a chunk of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.model import Input, Variable


def time_borders(inputs: Iterable[Input], name: str, axis: str) -> list[int]:
    """Positions along the time axis of the cube, from 0 to its length, between which lie whole chunks of the sources.

    Files that are steps, and those of which nothing is known, can be cut everywhere.
    """
    borders, first = [0], 0
    for source in inputs:
        held = next((variable for variable in source.variables if variable.name == name), None)
        if held is None:
            continue
        borders.extend(first + at for at in _of_input(source.steps or (0,), chunk_sizes(held).get(axis, 1)))
        first += len(source.steps) or 1
    return borders


def _of_input(steps: tuple[int, ...], length: int) -> list[int]:
    """Where another chunk of one file begins, and the end."""
    if length == 1:
        return list(range(1, len(steps) + 1))
    chunk = np.asarray(steps) // length
    return [*(int(at) + 1 for at in np.flatnonzero(np.diff(chunk))), len(steps)]


def chunk_sizes(held: Variable) -> dict[str, int]:
    """The chunk of a variable in its file by dimension; empty where it has none."""
    return dict(zip(held.dims, held.chunks, strict=False))
