"""Blocks as a reader of another project decodes them, and whether those of a source and of its output agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.errors import NotEqual

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from earthcode_pack.model import Variable

Array = np.ndarray[Any, Any]
Index = tuple[int, ...]

REMEDY = "report this message with the file: the conversion must not be used"
_ULP = float(np.finfo(np.float32).eps)


class CannotTell(Exception):
    """A reader cannot open or decode a source: nothing is known then, and the proof says so."""


@dataclass(frozen=True)
class Decoded:
    """Unpacked values, and which of them are valid; ``step`` is the unit of packed ones (``scale_factor``), else 0.

    Of ``doubtful`` cells the reader may not know whether they are valid.
    """

    values: Array
    valid: Array
    step: float = 0.0
    doubtful: Array | None = None

    @classmethod
    def of(cls, values: Array, step: float = 0.0) -> Decoded:
        """Makes a block of values of which NaN alone is missing."""
        numbers = values.astype(np.uint8) if values.dtype.kind == "b" else values
        valid = ~np.isnan(numbers) if numbers.dtype.kind == "f" else np.ones(numbers.shape, bool)
        return cls(numbers, valid, step)


def agree(source: Decoded, written: Decoded, cell: Callable[[Index], str], *, bound: float = 0.0) -> None:
    """Refuses two blocks that have not the same valid cells with equal values.

    Packed values may differ by half a unit, and where one reader unpacks in single precision by one unit in the last
    place of float32. ``bound`` is what a lossy encoding may add. ``cell`` names a cell: file, variable, coordinates.
    Raises ``NotEqual``, which names the first cell and both values.
    """
    if source.doubtful is not None:
        source = replace(source, valid=np.where(source.doubtful, written.valid, source.valid))
    moved = source.valid != written.valid
    if moved.any():
        raise NotEqual(_words(source, written, moved, cell), REMEDY)
    differs = source.valid & (source.values != written.values)
    allowed = max(source.step, written.step) / 2 + bound
    is_single = np.float32 in (source.values.dtype, written.values.dtype)
    is_rounded = is_single and (allowed > 0 or source.values.dtype != written.values.dtype)
    if differs.any() and (allowed > 0 or is_rounded):
        one, other = (block.values[differs].astype(np.float64) for block in (source, written))
        with np.errstate(invalid="ignore"):
            rounding = _ULP * np.abs(one) if is_rounded else 1e-12 * np.abs(one)
            differs[differs] = ~(np.abs(one - other) <= allowed + rounding)
    if differs.any():
        raise NotEqual(_words(source, written, differs, cell), REMEDY)


def _words(source: Decoded, written: Decoded, differs: Array, cell: Callable[[Index], str]) -> str:
    first = tuple(int(at) for at in np.argwhere(differs)[0])
    return (
        f"{cell(first)}: {_value(source, first)} in the source and {_value(written, first)} in what was written, as "
        f"other readers decode them ({int(differs.sum())} of {differs.size} cells differ)"
    )


def _value(block: Decoded, index: Index) -> str:
    return str(block.values[index].item()) if block.valid[index] else "missing"


def rounded_fills(attrs: Mapping[str, Any], kind: np.dtype[Any]) -> Array:
    """Fill values that are stated in a wider type and are others in ``kind``: readers compare them as they are.

    >>> rounded_fills({"missing_value": np.float64(-9999.9)}, np.dtype("f4")).size
    1
    """
    found = [np.zeros(0, kind)]
    for key in ("_FillValue", "missing_value"):
        stated = np.asarray(attrs.get(key, [])).ravel()
        if stated.dtype.kind == "f" and kind.kind == "f" and stated.dtype.itemsize > kind.itemsize:
            held = stated.astype(kind)
            found.append(held[held.astype(stated.dtype) != stated])
    return np.concatenate(found)


def by_profile(variable: Variable, attrs: Mapping[str, Any]) -> float | int | None:
    """Returns the nodata of the plan where the file states another ``_FillValue`` and ``missing_value``, else None."""
    if variable.nodata is None:
        return None
    stated = [np.asarray(attrs[key]).ravel() for key in ("_FillValue", "missing_value") if key in attrs]
    kind = np.dtype(variable.dtype)
    wanted = np.asarray(variable.nodata)
    for values in (each for each in stated if each.dtype.kind in "iuf"):
        with np.errstate(all="ignore"):
            same = (values == wanted) | (values.astype(kind) == wanted.astype(kind))
        if same.any() or (wanted != wanted and np.isnan(values).any()):  # noqa: PLR0124 - NaN
            return None
    return variable.nodata
