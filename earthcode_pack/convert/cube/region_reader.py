"""Reads what a region takes from its inputs: boxes of stored values, decoded side by side, and each chunk once.

A chunk that reaches beyond a region in time (eight steps in a chunk, thirty in a region) is kept for the next one.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.convert.read.kept import Kept
from earthcode_pack.convert.read.plain import Work
from earthcode_pack.convert.read.values import Values, values_of
from earthcode_pack.execution.threads import cores, in_pool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.convert.cube.variables import Packing
    from earthcode_pack.convert.read.plain import Box
    from earthcode_pack.model import Driver, Variable

Array = np.ndarray[Any, Any]

STRADDLING = 64 * 2**20  # bytes of chunks that are kept for the next region
_AT_WORK = 256 * 2**20  # bytes that the pieces of work of one region take beside it
_UNPACKED = 2**20  # values that are unpacked at once: it takes several times their bytes


@dataclass(frozen=True)
class BoxRequest:
    """Request for a box of a variable of one file; ``out`` is filled, its dimensions in the order of the file.

    ``spans`` are start and stop by dimension. Along ``axis``, where the file has it, ``steps`` are wanted, in this
    order; ``every`` are the steps that the whole cube takes from the file.
    """

    path: Path
    driver: Driver
    held: Variable
    spans: dict[str, tuple[int, int]]
    out: Array
    axis: str | None = None
    steps: tuple[int, ...] = ()
    every: tuple[int, ...] = ()


def fill(requests: list[BoxRequest], packing: Packing) -> None:
    """Fills requests with values as the cube stores them.

    Args:
        requests: the boxes.
        packing: that of the cube.

    Raises:
        Unreadable: a file is broken.

    """
    if packing.how == "stored":
        _run([work for request in requests for work in _work_for(request, request.out)])
        return
    raws = [np.empty(request.out.shape, request.held.dtype) for request in requests]
    _run([work for request, raw in zip(requests, raws, strict=True) for work in _work_for(request, raw)])
    _run([work for request, raw in zip(requests, raws, strict=True) for work in _unpacking(request, raw, packing)])


def _run(every: list[Work]) -> None:
    """Does work in the pool, a few pieces at once where they take much memory each."""
    most = max((work.nbytes for work in every), default=1)
    together = len(every) if most * cores() <= _AT_WORK else max(1, _AT_WORK // most)
    for start in range(0, len(every), together or 1):
        in_pool(lambda work: work.do(), every[start : start + together])


def _unpacking(request: BoxRequest, raw: Array, packing: Packing) -> Iterator[Work]:
    def unpack(part: slice) -> None:
        request.out[part] = packing.apply(raw[part], request.held)

    step = max(1, _UNPACKED * raw.shape[0] // raw.size)
    for start in range(0, raw.shape[0], step):
        yield Work(partial(unpack, slice(start, start + step)), 32 * _UNPACKED)


def _work_for(request: BoxRequest, out: Array) -> list[Work]:
    with values_of(request.path, request.driver, request.held) as values:
        return [work for box, part in _boxes(request, out) for work in _reading(values, request, box, part)]


def _boxes(request: BoxRequest, out: Array) -> Iterator[tuple[Box, Array]]:
    """Yields a box for each run of consecutive steps."""
    dims = request.held.dims
    if request.axis not in dims:
        yield tuple(request.spans[dim] for dim in dims), out
        return
    at = dims.index(request.axis)
    for start, stop in _runs(request.steps):
        spans = {**request.spans, request.axis: (request.steps[start], request.steps[stop - 1] + 1)}
        yield tuple(spans[dim] for dim in dims), _along(out, at, start, stop)


def _runs(steps: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yields where steps that follow one another begin and end.

    >>> list(_runs((4, 5, 6, 9, 2, 3)))
    [(0, 3), (3, 4), (4, 6)]
    """
    breaks = [at for at in range(1, len(steps)) if steps[at] != steps[at - 1] + 1]
    yield from zip([0, *breaks], [*breaks, len(steps)], strict=True)


def _along(array: Array, axis: int, start: int, stop: int) -> Array:
    return array[(slice(None),) * axis + (slice(start, stop),)]


# --- chunks that reach beyond what is wanted ------------------------------------------------------------------------


@dataclass
class _Layer:
    """The steps of one chunk along time, and how many of them are still to be taken."""

    values: Array
    left: int


_LAYERS: Kept[_Layer] = Kept(STRADDLING, lambda layer: layer.values.nbytes)
_TAKING = threading.Lock()


def _reading(values: Values, request: BoxRequest, box: Box, out: Array) -> Iterator[Work]:
    """Yields the work for a box; its share of chunks that reach beyond it is taken from memory."""
    at = request.held.dims.index(request.axis) if request.axis in request.held.dims else 0
    # Steps that one decoding gives; 1 where time does not matter.
    length = request.held.chunks[at] if request.axis in request.held.dims and request.held.chunks else 1
    (first, last), end = box[at], request.held.shape[at]
    for low, high in _cuts(first, last, length, end):
        part, target = (*box[:at], (low, high), *box[at + 1 :]), _along(out, at, low - first, high - first)
        layer = low // length * length, min(low // length * length + length, end)
        fits = target.nbytes // (high - low) * length <= STRADDLING
        if layer[0] <= low and high <= layer[1] and (low, high) != layer and fits:
            _take(values, request, (*box[:at], layer, *box[at + 1 :]), part, target)
        else:
            yield from values.reading(part, target)


def _cuts(first: int, last: int, length: int, end: int) -> list[tuple[int, int]]:
    """Cuts steps where a chunk begins that is not whole among them, or ends.

    >>> _cuts(5, 30, 8, 100), _cuts(8, 30, 8, 30), _cuts(3, 5, 8, 100)
    ([(5, 8), (8, 24), (24, 30)], [(8, 30)], [(3, 5)])
    """
    head = min(-(-first // length) * length, last)
    tail = last if last == end else max(last // length * length, head)
    return [(low, high) for low, high in ((first, head), (head, tail), (tail, last)) if low < high]


def _take(values: Values, request: BoxRequest, chunk: Box, box: Box, out: Array) -> None:
    """Copies the share of a box in a chunk of which other regions take the rest; decodes it once."""
    at = request.held.dims.index(str(request.axis))
    stat, (start, stop) = request.path.stat(), chunk[at]
    key = (request.path, stat.st_mtime_ns, stat.st_size, request.held.source_name, chunk)

    def decoded() -> _Layer:
        array = np.empty([high - low for low, high in chunk], out.dtype)
        _run(list(values.reading(chunk, array)))
        return _Layer(array, sum(start <= step < stop for step in request.every))

    layer = _LAYERS.get(key, decoded)
    out[...] = _along(layer.values, at, box[at][0] - start, box[at][1] - start)
    with _TAKING:
        layer.left -= box[at][1] - box[at][0]
        if layer.left <= 0:
            _LAYERS.drop(key)
