"""Resampling of a variable to coarser cells, by what its values mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.cf.flags import is_flags
from earthcode_pack.cf.kinds import is_categorical, is_circular
from earthcode_pack.cf.missing import (
    NO_RANGE,
    Range,
    as_type,
    beyond,
    further_missing,
    holds,
    number_type,
    stated_nodata,
    valid_range,
)
from earthcode_pack.convert.cube.variables import names_of
from earthcode_pack.convert.zarr.pyramid import Array, Method, coarsen

if TYPE_CHECKING:
    import xarray as xr

    from earthcode_pack.model import Job


@dataclass(frozen=True)
class Resampling:
    """Method by which coarser cells are made of stored values.

    ``missing`` are the values that do not count, ``fill`` is what a cell without any other becomes, ``valid`` are the
    least and the greatest value that count. ``data`` tells a data variable from a coordinate or helper; ``dtype`` is
    how the stored bytes are to be read.
    """

    method: Method
    missing: tuple[float | int, ...]
    fill: float | int
    dtype: str
    data: bool
    valid: Range = NO_RANGE

    def apply(self, block: Array, axes: dict[int, int]) -> Array:
        """Returns the coarser cells of a block of stored values, in its own type."""
        if self.method == "nearest":
            return coarsen(block, axes, "nearest", (), None)
        numbers = block.view(self.dtype)
        outside = beyond(numbers, self.valid)
        if outside is not None and outside.any():  # ``fill`` is among ``missing`` then
            numbers = np.where(outside, numbers.dtype.type(self.fill), numbers)
        return coarsen(numbers, axes, self.method, self.missing, self.fill).view(block.dtype)


def resampling_of(name: str, variable: xr.Variable, job: Job) -> Resampling:
    """Returns mode for classes and flags, average for amounts, nearest for directions and coordinates.

    Values are averaged as they are stored: the mean of packed values is the packed mean. ``_Unsigned`` is respected.

    Args:
        name: of an array of the store.
        variable: the array, undecoded.
        job: the job that made it.

    """
    stored, data = variable.dtype.newbyteorder("=").name, name in names_of(job.inputs)
    if variable.dtype.kind not in "iuf":
        method = _method(name, variable, job) if data else "nearest"
        return Resampling(method, (), 0, variable.dtype.newbyteorder("=").str, data)
    kind, valid = number_type(variable.attrs, stored), valid_range(variable.attrs, stored)
    missing = _missing(name, variable.attrs, stored, job)
    fill = missing[0] if missing else _number_beyond(valid, kind)
    return Resampling(
        method=_method(name, variable, job) if data else "nearest",
        missing=missing if missing or valid == NO_RANGE else (fill,),
        fill=fill,
        dtype=kind,
        data=data,
        valid=valid,
    )


def _number_beyond(valid: Range, kind: str) -> float | int:
    """Returns a number that means missing where none is stated: NaN, else one beyond the valid range, else zero."""
    low, high = valid
    ends = [end for end in (None if high is None else high + 1, None if low is None else low - 1) if end is not None]
    if np.dtype(kind).kind == "f":
        return float("nan")
    return next((int(end) for end in ends if holds(kind, end)), 0)


def _method(name: str, variable: xr.Variable, job: Job) -> Method:
    held = [v for source in job.inputs for v in source.variables if v.name == name]
    described = job.described.get(name, {})
    if is_flags(variable.attrs) or any(is_categorical(v, described) for v in held):
        return "mode"
    return "nearest" if is_circular(name, variable.attrs, variable.attrs.get("units")) else "average"


def _missing(name: str, attrs: dict[Any, Any], stored: str, job: Job) -> tuple[float | int, ...]:
    """Returns the numbers that mean missing, the one that is written for missing cells first (CF 2.5.1)."""
    held = [v for source in job.inputs for v in source.variables if v.name == name and v.dtype == stored]
    further = [*further_missing(attrs, stored), *(value for v in held for value in v.missing)]
    every = [v for v in (stated_nodata(attrs, stored), *further) if v is not None and holds(stored, v)]
    return tuple(dict.fromkeys(as_type(value, number_type(attrs, stored)) or 0 for value in every))
