"""Attributes as NetCDF holds them: text, numbers and one-dimensional arrays of numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from earthcode_pack.cf.flags import FLAGS
from earthcode_pack.cf.missing import RANGES

# They hold stored values, in the type of the variable (CF 2.5.1, 3.5).
_OF_STORED_VALUES = {"missing_value", *RANGES, *FLAGS}


def set_attributes(made: Any, attrs: dict[str, Any], dtype: np.dtype[Any]) -> None:
    """Gives a variable its attributes; ``_FillValue`` it has from its making."""
    for key, value in attrs.items():
        if key != "_FillValue":
            typed = _in_type(value, dtype) if key in _OF_STORED_VALUES else value
            made.attrs[key] = netcdf_attribute(typed)
    if dtype.kind == "b":
        made.attrs["dtype"] = "bool"


def _in_type(value: Any, dtype: np.dtype[Any]) -> Any:
    """Numbers of Python, which JSON left without a type, in the type of the variable where they fit it."""
    if isinstance(value, str | np.ndarray | np.generic) or dtype.kind not in "iuf":
        return value
    typed = np.asarray(value).astype(dtype)
    return typed if np.array_equal(typed, np.asarray(value)) else value


def netcdf_attribute(value: Any) -> Any:
    """What NetCDF has no type for (truth values, nothing, nested JSON of Zarr) as a number or as JSON text.

    >>> netcdf_attribute({"a": None}), netcdf_attribute(True), netcdf_attribute("text")
    ('{"a": null}', 1, 'text')
    """
    if isinstance(value, bool | np.bool_):
        return int(value)
    if value is None or isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return _list(list(value))
    return value


def _list(values: list[Any]) -> Any:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if values and (numbers or all(isinstance(v, str) for v in values)):
        return values
    return json.dumps(values)
