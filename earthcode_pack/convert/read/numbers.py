"""Numbers of coordinates: packing undone, NaN where they are missing (CF 2.5.1, 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.cf.missing import is_unsigned

if TYPE_CHECKING:
    import xarray as xr

Array = np.ndarray[Any, Any]

_NETCDF_FILL = 9.969209968386869e36  # what netCDF-C leaves in numbers with a point that nobody wrote


def unpacked(variable: xr.DataArray | xr.Variable) -> Array:
    """The numbers of a variable of stored values, in the type of the file where that has a point, else float64."""
    stored, attrs = variable.values, variable.attrs
    if is_unsigned(attrs, stored.dtype.newbyteorder("=").name):
        stored = stored.view(stored.dtype.str.replace("i", "u"))
    values = stored.astype(stored.dtype.newbyteorder("=") if stored.dtype.kind == "f" else np.float64)
    gaps = _gaps(stored, attrs)
    if {"scale_factor", "add_offset"} & set(attrs):
        values = values.astype(np.float64) * attrs.get("scale_factor", 1.0) + attrs.get("add_offset", 0.0)
    values[gaps] = np.nan
    return values


def _gaps(stored: Array, attrs: dict[Any, Any]) -> Array:
    fills = [np.asarray(attrs[key]).ravel() for key in ("_FillValue", "missing_value") if key in attrs]
    numbers = [fill.astype(stored.dtype) for fill in fills if fill.dtype.kind in "iuf"]
    gaps = np.isin(stored, np.concatenate(numbers)) if numbers else np.zeros(stored.shape, bool)
    return gaps | np.isclose(stored, _NETCDF_FILL, rtol=1e-6, atol=0) if stored.dtype.kind == "f" else gaps


def packed_alike(bounds: xr.Variable, coordinate: xr.Variable) -> xr.Variable:
    """Bounds with the attributes of their coordinate, which they inherit (7.1); packing only in the same type."""
    out = bounds.copy(deep=False)
    inherited = coordinate.attrs if bounds.dtype == coordinate.dtype else {}
    out.attrs = {**inherited, **bounds.attrs}
    return out
