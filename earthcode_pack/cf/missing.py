"""Stored values of a variable that mean missing (CF 1.11, 2.5.1; NetCDF User's Guide, appendix A)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from earthcode_pack.model import Variable

Array = np.ndarray[Any, Any]
Number = float | int
Range = tuple[Number | None, Number | None]

PACKING = ("scale_factor", "add_offset", "_FillValue", "missing_value")
RANGES = ("valid_range", "valid_min", "valid_max")
OF_STORED_VALUES = (*PACKING, "_Unsigned", *RANGES)
"""Attributes that hold for the stored values of a variable alone, and for no others."""
NO_RANGE: Range = (None, None)
# What netCDF-C leaves in cells that were never written (netcdf.h); bytes have no such value.
_DEFAULT_FILLS: dict[str, Number] = {
    "int16": -32767, "uint16": 65535, "int32": -2147483647, "uint32": 4294967295,
    "int64": -9223372036854775806, "uint64": 18446744073709551614,
    "float32": 9.969209968386869e36, "float64": 9.969209968386869e36,
}  # fmt: skip
_PAIR = 2


def plain(value: Any) -> Any:
    """An attribute as JSON holds it: numpy scalars and arrays as numbers and lists."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def holds(dtype: str, value: float) -> bool:
    """Tells whether a type can hold a value.

    >>> holds("uint8", -1), holds("int16", 2.5), holds("float32", float("nan"))
    (False, False, True)
    """
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return not np.isfinite(value) or abs(value) <= np.finfo(kind).max
    if kind.kind not in "iu" or not np.isfinite(value):
        return False
    return float(value).is_integer() and np.iinfo(kind).min <= value <= np.iinfo(kind).max


def in_type(value: float, dtype: str) -> Number:
    """A number as a type with a point holds it: -9999.9 of a profile is another number in float32. Integers stay.

    >>> in_type(-9999.9, "float32"), in_type(-9999, "int16")
    (-9999.900390625, -9999)
    """
    kind = np.dtype(dtype)
    return float(kind.type(value)) if kind.kind == "f" else value


def is_unsigned(attrs: Mapping[str, Any], dtype: str) -> bool:
    """Tells whether signed integers stand for unsigned ones, by the NetCDF User's Guide's ``_Unsigned``."""
    return np.dtype(dtype).kind == "i" and str(attrs.get("_Unsigned", "")).lower() == "true"


def number_type(attrs: Mapping[str, Any], dtype: str) -> str:
    """The type of the numbers that stored values stand for: unsigned where ``_Unsigned`` says so, of one width.

    >>> number_type({"_Unsigned": "true"}, "int8"), number_type({}, "int8")
    ('uint8', 'int8')
    """
    return f"u{dtype}" if is_unsigned(attrs, dtype) else dtype


def as_type(value: float | None, dtype: str) -> Number | None:
    """A signed value as the unsigned type of its width has it, bit for bit; others as they are.

    >>> as_type(-1, "uint8"), as_type(-1, "int8")
    (255, -1)
    """
    kind = np.dtype(dtype)
    if value is None or kind.kind != "u":
        return value
    width: int = 8 * kind.itemsize
    return int(value) % (1 << width)


def stated_nodata(attrs: Mapping[str, Any], dtype: str) -> Number | None:
    """``_FillValue``, else the first ``missing_value`` (CF 2.5.1); None where the type cannot hold it."""
    fills = _numbers(attrs.get("_FillValue"), dtype)
    return next(iter(fills if "_FillValue" in attrs else _numbers(attrs.get("missing_value"), dtype)), None)


def further_missing(attrs: Mapping[str, Any], dtype: str, *, by_netcdf: bool = False) -> tuple[Number, ...]:
    """The stored values that mean missing besides ``stated_nodata``: each ``missing_value`` (CF 2.5.1).

    Of a file that netCDF-C can have written (``by_netcdf``) also its default fill value, where no ``_FillValue`` is
    stated: cells that were never written hold it.
    """
    values = list(_numbers(attrs.get("missing_value"), dtype))
    if by_netcdf and "_FillValue" not in attrs and dtype in _DEFAULT_FILLS:
        values.append(in_type(_DEFAULT_FILLS[dtype], dtype))
    first = stated_nodata(attrs, dtype)
    return tuple(value for value in dict.fromkeys(values) if value != first and not _is_nan(value))


def valid_range(attrs: Mapping[str, Any], dtype: str) -> Range:
    """The least and the greatest stored number that is valid: ``valid_range``, else ``valid_min``, ``valid_max``.

    Limits with a point over packed integers are in unpacked units, all others in packed ones (NetCDF User's Guide,
    appendix A, ``valid_range``). NaN limits nothing, nor does a range that nothing can lie in.
    """
    kind = number_type(attrs, dtype)
    pair = plain(attrs.get("valid_range"))
    low, high = (
        pair if isinstance(pair, list) and len(pair) == _PAIR else (attrs.get("valid_min"), attrs.get("valid_max"))
    )
    ends = [_limit(plain(end), attrs, kind) for end in (low, high)]
    if _is_unpacked(plain(low), plain(high), attrs, kind) and attrs.get("scale_factor", 1) < 0:
        ends.reverse()
    if None not in ends and ends[0] > ends[1]:  # type: ignore[operator] # both are numbers here
        return NO_RANGE
    return ends[0], ends[1]


def _limit(end: Any, attrs: Mapping[str, Any], kind: str) -> Number | None:
    end = end[0] if isinstance(end, list) and len(end) == 1 else end
    if not isinstance(end, int | float) or _is_nan(end):
        return None
    if _is_unpacked(end, end, attrs, kind):
        return float((end - attrs.get("add_offset", 0.0)) / attrs.get("scale_factor", 1.0))
    return as_type(end, kind) if isinstance(end, int) else end


def _is_unpacked(low: Any, high: Any, attrs: Mapping[str, Any], kind: str) -> bool:
    has_point = any(isinstance(end, float) for end in (low, high))
    return has_point and np.dtype(kind).kind in "iu" and bool({"scale_factor", "add_offset"} & set(attrs))


def _numbers(stated: Any, dtype: str) -> tuple[Number, ...]:
    """The numbers of an attribute that a type can hold, as it holds them."""
    every = np.asarray([] if stated is None else stated).ravel()
    if every.dtype.kind not in "iuf":
        return ()
    held = [value for value in every.tolist() if holds(dtype, value)]
    return tuple(int(value) if np.dtype(dtype).kind in "iu" else in_type(value, dtype) for value in held)


def _is_nan(value: float) -> bool:
    return value != value  # noqa: PLR0124 - NaN


# --- over arrays ----------------------------------------------------------------------------------------------------


def as_numbers(block: Array, variable: Variable) -> Array:
    """Stored values as the numbers that they stand for: ``_Unsigned`` ones without a sign, bit for bit."""
    native = block.astype(block.dtype.newbyteorder("="), copy=False)
    return native.view(number_type(variable.attrs, variable.dtype)) if native.dtype.kind == "i" else native


def hidden(block: Array, variable: Variable) -> Array | None:
    """Marks the values of a block that are missing and neither nodata nor NaN; None where there are none."""
    numbers = as_numbers(block, variable)
    found = beyond(numbers, variable.valid_range)
    for value in variable.missing:
        gaps = numbers == as_type(value, numbers.dtype.name)
        found = gaps if found is None else np.logical_or(found, gaps, out=found)
    return found if found is not None and found.any() else None


def beyond(numbers: Array, limits: Range) -> Array | None:
    """Marks the numbers that lie outside a valid range; None without limits."""
    low, high = limits
    below = None if low is None else numbers < low
    above = None if high is None else numbers > high
    return below if above is None else above if below is None else below | above


def missing(block: Array, variable: Variable) -> Array:
    """Marks the stored values of a block that mean missing, for whatever reason."""
    native = block.astype(block.dtype.newbyteorder("="), copy=False)
    gaps = np.isnan(native) if native.dtype.kind == "f" else np.zeros(native.shape, bool)
    if variable.nodata is not None and not _is_nan(variable.nodata):
        gaps |= native == native.dtype.type(variable.nodata)
    further = hidden(native, variable)
    return gaps if further is None else gaps | further


def unpack(block: Array, variable: Variable, dtype: str) -> Array:
    """``stored * scale_factor + add_offset`` in double precision, missing values as NaN (CF 8.1, 2.5.1)."""
    values = as_numbers(block, variable).astype(np.float64)
    if variable.scale is not None:
        values *= variable.scale
    if variable.offset is not None:
        values += variable.offset
    values[missing(block, variable)] = np.nan
    return values.astype(dtype)


# --- coordinates ----------------------------------------------------------------------------------------------------


def unpacked(variable: xr.DataArray | xr.Variable) -> Array:
    """The numbers of a coordinate of stored values, NaN where they are missing (CF 2.5.1, 8.1).

    In the type of the file where that has a point and no packing, else float64. A valid range hides none of them:
    longitudes beyond 180 lie where they lie.
    """
    stored, attrs = variable.values, variable.attrs
    dtype = stored.dtype.newbyteorder("=").name
    first = stated_nodata(attrs, dtype)
    marks = [*(() if first is None else (first,)), *further_missing(attrs, dtype, by_netcdf=True)]
    gaps = np.isin(stored, np.array(marks, stored.dtype)) if marks else np.zeros(stored.shape, bool)
    numbers = stored.view(stored.dtype.str.replace("i", "u")) if is_unsigned(attrs, dtype) else stored
    values = numbers.astype(dtype if stored.dtype.kind == "f" else np.float64)
    if {"scale_factor", "add_offset"} & set(attrs):
        values = values.astype(np.float64) * attrs.get("scale_factor", 1.0) + attrs.get("add_offset", 0.0)
    values[gaps] = np.nan
    return values


def packed_alike(bounds: xr.Variable, coordinate: xr.Variable) -> xr.Variable:
    """Bounds with the attributes of their coordinate, which they inherit (7.1); packing only in the same type."""
    out = bounds.copy(deep=False)
    inherited = coordinate.attrs if bounds.dtype == coordinate.dtype else {}
    out.attrs = {**inherited, **bounds.attrs}
    return out
