"""Overviews of 64-bit integers with nodata, exactly: GDAL takes them for doubles, and missing cells become numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.convert.cog.raster_metadata import Look

Array = np.ndarray[Any, Any]
Spans = list[tuple[Array, Array]]  # see ``overviews.spans``

_TYPES = (np.dtype(np.int64), np.dtype(np.uint64))


def are_exact(look: Look, resampling: str) -> bool:
    """Tells whether overviews of a map are grown here: of 64-bit integers that have nodata, by average or mode.

    GDAL 3.12 writes 0 for missing cells in both, or 2^63 - 1024 for a nodata of 2^63 - 1.
    """
    return np.dtype(look.dtype) in _TYPES and look.nodata is not None and resampling in ("average", "mode")


def reduced(block: Array, rows: Spans, columns: Spans, nodata: int, resampling: str) -> Array:
    """New cells (bands, rows, columns) of a block of whole old ones; nodata where nothing below is valid.

    ``rows`` and ``columns`` are the old cells below each new one, counted from the first of the block, with weights.
    """
    parts = list(_parts(block, rows, columns))
    values = np.stack([part for part, _ in parts])
    weights = np.stack([np.broadcast_to(weight, part.shape) for part, weight in parts])
    weights = np.where(values == block.dtype.type(nodata), 0.0, weights)
    made = _mode(values, weights) if resampling == "mode" else _mean(values, weights, nodata)
    return np.where(weights.any(axis=0), made, block.dtype.type(nodata))


def _parts(block: Array, rows: Spans, columns: Spans) -> Iterator[tuple[Array, Array]]:
    """The first of the old cells below each new one with its weight, then the second, …, from north-west."""
    for row, share in rows:
        for column, part in columns:
            yield block[:, row[:, np.newaxis], column], share[:, np.newaxis] * part


def _mode(values: Array, weights: Array) -> Array:
    """The value of the most cells; of several the first from the north-west."""
    valid = weights > 0
    counts = [((values == value) & valid).sum(axis=0) for value in values]
    chosen = np.argmax(np.where(valid, np.stack(counts), 0), axis=0)
    return np.asarray(np.take_along_axis(values, chosen[np.newaxis], axis=0)[0])


def _mean(values: Array, weights: Array, nodata: int) -> Array:
    """The weighted mean, to the nearest integer: of the differences from the least one, which a double holds better.

    A mean that equals nodata becomes the least value, which is valid.
    """
    greatest = np.iinfo(values.dtype).max
    least = np.where(weights > 0, values, greatest).min(axis=0)
    above = np.where(weights > 0, (values - least).view(np.uint64), 0).astype(np.float64)
    total = weights.sum(axis=0)
    mean = np.divide((above * weights).sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    made = least + np.floor(mean + 0.5).astype(np.uint64).view(values.dtype)
    return np.where(made == values.dtype.type(nodata), least, made)
