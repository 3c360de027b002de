"""How the cells of a variable make a coarser one: by what its values mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.cf.missing import as_type, holds, is_unsigned, stated_nodata
from earthcode_pack.convert.cube import names_of
from earthcode_pack.convert.pyramid import Array, Method, coarsen
from earthcode_pack.kinds import is_categorical, is_circular

if TYPE_CHECKING:
    import xarray as xr

    from earthcode_pack.model import Job

_FLAGS = ("flag_values", "flag_masks", "flag_meanings")


@dataclass(frozen=True)
class Resampling:
    """``missing`` are the stored values that do not count, ``fill`` what a cell without any other becomes.

    ``data`` tells a data variable from a coordinate or helper; ``dtype`` is how the stored bytes are to be read.
    """

    method: Method
    missing: tuple[float | int, ...]
    fill: float | int
    dtype: str
    data: bool

    def apply(self, block: Array, axes: dict[int, int]) -> Array:
        """The coarser cells of a block of stored values, in its own type."""
        if self.method == "nearest":
            return coarsen(block, axes, "nearest", (), None)
        return coarsen(block.view(self.dtype), axes, self.method, self.missing, self.fill).view(block.dtype)


def resampling_of(name: str, variable: xr.Variable, job: Job) -> Resampling:
    """Mode for classes and flags, average for amounts, nearest for what neither fits: directions and coordinates.

    Values are averaged as they are stored: the mean of packed values is the packed mean. ``_Unsigned`` is kept to.
    """
    dtype = variable.dtype.newbyteorder("=").str if variable.dtype.kind in "iufb" else variable.dtype.str
    if is_unsigned(variable.attrs, variable.dtype.name):
        dtype = f"u{variable.dtype.itemsize}"
    data = name in names_of(job.inputs)
    nodata = stated_nodata(variable.attrs, variable.dtype.name)
    neutral = float("nan") if variable.dtype.kind == "f" else 0
    return Resampling(
        method=_method(name, variable, job) if data else "nearest",
        missing=_missing(variable.attrs, variable.dtype.name, dtype),
        fill=neutral if nodata is None else (as_type(nodata, dtype) or 0),
        dtype=dtype,
        data=data,
    )


def _method(name: str, variable: xr.Variable, job: Job) -> Method:
    held = [v for source in job.inputs for v in source.variables if v.name == name]
    described = job.described.get(name, {})
    if any(key in variable.attrs for key in _FLAGS) or any(is_categorical(v, described) for v in held):
        return "mode"
    return "nearest" if is_circular(name, variable.attrs, variable.attrs.get("units")) else "average"


def _missing(attrs: dict[Any, Any], stored: str, dtype: str) -> tuple[float | int, ...]:
    """``_FillValue`` and every ``missing_value`` (CF 2.5.1) that the type can hold."""
    if np.dtype(stored).kind not in "iuf":
        return ()
    stated = [value for key in ("_FillValue", "missing_value") for value in np.asarray(attrs.get(key, ())).ravel()]
    kept = [value.item() for value in stated if value.dtype.kind in "iuf" and holds(stored, value.item())]
    return tuple(dict.fromkeys(as_type(value, dtype) or 0 for value in kept))
