"""Equality of written and read values: bit for bit, or within the bound that the profile allows."""

from __future__ import annotations

from typing import Any

import numpy as np

from earthcode_pack.errors import NotEqual

Array = np.ndarray[Any, Any]

_REPORT = "run again; if it stays, report it with this message: the conversion must not be used"


def compare(source: Array, written: Array, where: str, *, max_error: float = 0.0, nodata: float | None = None) -> float:
    """Compares two blocks of stored values; NaN payloads and the sign of zero count.

    Args:
        source: Values as they were read.
        written: Values as they were written, decoded again.
        where: The block in words, for messages.
        max_error: Largest difference allowed between valid values; missing values must not differ.
        nodata: Value that means missing, besides NaN.

    Returns:
        The largest difference, 0.0 if the blocks are equal bit for bit.

    Raises:
        NotEqual: If they differ; the message has position and values of the first difference, and their number.

    """
    if source.shape != written.shape or source.dtype != written.dtype:
        raise NotEqual(
            f"{where}: written as {written.dtype}{written.shape}, read as {source.dtype}{source.shape}", _REPORT
        )
    differs = bits(source) != bits(written)
    if not differs.any():
        return 0.0
    if max_error <= 0:
        raise NotEqual(_first(source, written, differs, where), _REPORT)
    gaps = _missing(source, nodata)
    moved = gaps != _missing(written, nodata)
    if moved.any():
        raise NotEqual(f"{_first(source, written, moved, where)}: missing in one of them", _REPORT)
    error = np.abs(source.astype(np.float64) - written.astype(np.float64))[~gaps]
    worst = float(error.max(initial=0.0))
    if worst > max_error:
        raise NotEqual(
            f"{where}: differs by up to {worst:g}, target.tolerance allows {max_error:g}",
            "raise the tolerance, or use a lossless compression",
        )
    return worst


def compare_masks(source: Array, written: Array, where: str) -> None:
    """Compares two masks, in which 0 means missing.

    Args:
        source: Mask as it was read.
        written: Mask as it was written.
        where: The block in words, for messages.

    Raises:
        NotEqual: If a cell is valid in one mask and not in the other.

    """
    differs = (source == 0) != (written == 0)
    if differs.any():
        raise NotEqual(f"the mask of {_first(source, written, differs, where)}", _REPORT)


def bits(block: Array) -> Array:
    """Returns the block as unsigned integers of its own width, so that NaN compares too."""
    return np.ascontiguousarray(block).view(f"u{block.dtype.itemsize}")


def _missing(block: Array, nodata: float | None) -> Array:
    missing = np.isnan(block) if block.dtype.kind == "f" else np.zeros(block.shape, bool)
    return missing if nodata is None else missing | (block == nodata)


def _first(source: Array, written: Array, differs: Array, where: str) -> str:
    place = tuple(int(i) for i in np.argwhere(differs)[0])
    values = f"read {source[place]!r}, wrote {written[place]!r}"
    return f"{where}: {int(differs.sum())} of {differs.size} values differ, the first at {place}: {values}"
