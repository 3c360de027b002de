"""How a file says that a value is missing, or that integers have no sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


def plain(value: Any) -> Any:
    """An attribute as JSON holds it: numpy scalars and arrays as numbers and lists."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def holds(dtype: str, value: float) -> bool:
    """Whether a type can hold a value.

    >>> holds("uint8", -1), holds("int16", 2.5), holds("float32", float("nan"))
    (False, False, True)
    """
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return not np.isfinite(value) or abs(value) <= np.finfo(kind).max
    if kind.kind not in "iu" or not np.isfinite(value):
        return False
    return float(value).is_integer() and np.iinfo(kind).min <= value <= np.iinfo(kind).max


def in_type(value: float, dtype: str) -> float | int:
    """A number as a type with a point holds it: -9999.9 of a profile is another number in float32. Integers stay.

    >>> in_type(-9999.9, "float32"), in_type(-9999, "int16")
    (-9999.900390625, -9999)
    """
    kind = np.dtype(dtype)
    return float(kind.type(value)) if kind.kind == "f" else value


def stated_nodata(attrs: Mapping[str, Any], dtype: str) -> float | int | None:
    """``_FillValue``, else ``missing_value`` (CF 2.5.1); None where there is none, or the type cannot hold it."""
    fill = attrs.get("_FillValue", attrs.get("missing_value"))
    first = np.asarray(fill).ravel()[:1]
    if fill is None or first.size == 0 or first.dtype.kind not in "iuf":
        return None
    value: float | int = first[0].item()
    if not holds(dtype, value):
        return None
    return int(value) if np.dtype(dtype).kind in "iu" else float(value)


def as_type(value: float | None, dtype: str) -> float | int | None:
    """A signed value as the unsigned type of its width has it, bit for bit; others as they are.

    >>> as_type(-1, "uint8"), as_type(-1, "int8")
    (255, -1)
    """
    kind = np.dtype(dtype)
    if value is None or kind.kind != "u":
        return value
    width: int = 8 * kind.itemsize
    return int(value) % (1 << width)


def is_unsigned(attrs: Mapping[str, Any], dtype: str) -> bool:
    """Whether signed integers stand for unsigned ones, by the NetCDF User's Guide's ``_Unsigned``."""
    return np.dtype(dtype).kind == "i" and str(attrs.get("_Unsigned", "")).lower() == "true"
