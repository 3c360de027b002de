"""Files of one cube that pack values differently: decoded to the smallest type that holds all values exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.errors import Contradiction

if TYPE_CHECKING:
    from earthcode_pack.model import Variable

Array = np.ndarray[Any, Any]

PACKING = ("scale_factor", "add_offset", "_FillValue", "missing_value")
_SMALL = 16  # bits: few enough values to try them all
_DOUBLE = 53  # bits of integers that a double holds exactly


@dataclass(frozen=True)
class Packing:
    """How a variable is stored in the cube: as in the files, or decoded to ``dtype`` with NaN for missing."""

    dtype: str
    decoded: bool
    nodata: float | int | None

    def apply(self, block: Array, variable: Variable) -> Array:
        """Stored values of one file as stored values of the cube."""
        native = block.astype(block.dtype.newbyteorder("="), copy=False)
        if not self.decoded:
            return native
        return unpack(native, variable, self.dtype)


def common_packing(variables: list[Variable]) -> Packing:
    """The files' own packing where they agree, else the smallest float type that holds every value exactly.

    Raises ``Contradiction`` where no type does (64-bit integers beside a scale).
    """
    first = variables[0]
    if all(_packed_as(variable) == _packed_as(first) for variable in variables):
        return Packing(first.dtype, decoded=False, nodata=first.nodata)
    dtype = "float32" if all(_fits_float32(variable) for variable in variables) else "float64"
    for variable in variables:
        kind = np.dtype(variable.dtype)
        if kind.kind in "iu" and kind.itemsize * 8 > _DOUBLE:
            raise Contradiction(
                f"{variable.name}: files pack it differently, and no type holds {variable.dtype} exactly",
                "make one product of each packing",
            )
    return Packing(dtype, decoded=True, nodata=float("nan"))


def _packed_as(variable: Variable) -> tuple[object, ...]:
    return (variable.dtype, variable.scale, variable.offset, repr(variable.nodata))


def _fits_float32(variable: Variable) -> bool:
    """Whether every value that can be stored is, unpacked, a float32: tried on all of them where they are few."""
    kind = np.dtype(variable.dtype)
    if kind.kind == "f":
        return kind.itemsize <= np.float32().itemsize and variable.scale is None and variable.offset is None
    if kind.itemsize * 8 > _SMALL:
        return False
    every = np.arange(np.iinfo(kind).min, np.iinfo(kind).max + 1).astype(kind)
    values = unpack(every, variable, "float64")
    kept = values[~np.isnan(values)]
    return bool((kept.astype(np.float32).astype(np.float64) == kept).all())


def unpack(block: Array, variable: Variable, dtype: str) -> Array:
    """``stored * scale_factor + add_offset`` in double precision, missing values as NaN (CF 8.1, 2.5.1)."""
    values = block.astype(np.float64)
    if variable.scale is not None:
        values *= variable.scale
    if variable.offset is not None:
        values += variable.offset
    if variable.nodata is not None:
        values[block == np.asarray(variable.nodata).astype(block.dtype)] = np.nan
    return values.astype(dtype)
