"""Packing of a variable in a cube of many files, which may pack it differently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from earthcode_pack.cf.missing import NO_RANGE, as_numbers, missing, number_type, unpack
from earthcode_pack.errors import Contradiction

if TYPE_CHECKING:
    from earthcode_pack.model import Variable

Array = np.ndarray[Any, Any]

_SMALL = 16  # bits: few enough values to try them all
_DOUBLE = 53  # bits of integers that a double holds exactly


@dataclass(frozen=True)
class Packing:
    """Packing of a variable in the cube.

    ``stored``: as in the files, which agree. ``refilled``: in the files' packing, with one ``nodata`` for all that is
    missing, since files mark it differently. ``decoded``: unpacked to ``dtype``, with NaN for missing.
    """

    dtype: str
    how: Literal["stored", "refilled", "decoded"]
    nodata: float | int | None

    def apply(self, block: Array, variable: Variable) -> Array:
        """Stored values of one file as stored values of the cube.

        Raises ``Contradiction`` where a valid value of the file is what means missing in the cube.
        """
        if self.how == "decoded":
            return unpack(block, variable, self.dtype)
        if self.how == "stored":
            return block.astype(block.dtype.newbyteorder("="), copy=False)
        return self._refilled(block, variable)

    def _refilled(self, block: Array, variable: Variable) -> Array:
        gaps = missing(block, variable)
        out = as_numbers(block, variable).astype(self.dtype)
        if self.nodata is None:
            return out
        fill = out.dtype.type(self.nodata)
        if (out[~gaps] == fill).any():
            raise Contradiction(
                f"{variable.name}: files mark missing values differently, and {fill} is valid in one of them",
                "make one product of each, or give the files one _FillValue that none of them holds",
            )
        out[gaps] = fill
        return out


def common_packing(variables: list[Variable]) -> Packing:
    """The files' own packing where they agree, else one that holds every value of all of them exactly.

    Files that differ in what means missing alone, or in the width of their integers, keep their numbers. Others become
    the smallest float type that holds all. Raises ``Contradiction`` where no type does (64-bit integers and a scale).
    """
    first = variables[0]
    if all(_packed_as(variable) == _packed_as(first) for variable in variables):
        return Packing(first.dtype, "stored", first.nodata)
    return _refilled(variables) or _decoded(variables)


def _packed_as(variable: Variable) -> tuple[object, ...]:
    kind = number_type(variable.attrs, variable.dtype)
    return (variable.dtype, kind, *_scaled(variable), repr((variable.nodata, variable.missing)), variable.valid_range)


def _scaled(variable: Variable) -> tuple[float, float]:
    scale, offset = variable.scale, variable.offset
    return (1.0 if scale is None else scale, 0.0 if offset is None else offset)


def _refilled(variables: list[Variable]) -> Packing | None:
    """One type for the stored numbers of all files; None where they are packed apart, or no integer type holds all."""
    kinds = {number_type(variable.attrs, variable.dtype) for variable in variables}
    if (
        len({_scaled(variable) for variable in variables}) > 1
        or len({np.dtype(kind).kind in "iu" for kind in kinds}) > 1
    ):
        return None
    common = np.result_type(*kinds)
    is_float = common.kind == "f"
    if is_float and not all(np.dtype(kind).kind == "f" for kind in kinds):
        return None  # int64 beside uint64
    fills = [variable.nodata for variable in variables if variable.nodata is not None]
    nodata = next(iter(fills), None)
    if is_float and len({repr(variable.nodata) for variable in variables}) > 1:
        nodata = float("nan")  # which costs no valid value
    if nodata is None and any(variable.missing or variable.valid_range != NO_RANGE for variable in variables):
        return None  # no value is known to be free for what is missing
    return Packing(common.name, "refilled", nodata)


def _decoded(variables: list[Variable]) -> Packing:
    dtype = "float32" if all(_fits_float32(variable) for variable in variables) else "float64"
    for variable in variables:
        kind = np.dtype(variable.dtype)
        if kind.kind in "iu" and kind.itemsize * 8 > _DOUBLE:
            raise Contradiction(
                f"{variable.name}: files pack it differently, and no type holds {variable.dtype} exactly",
                "make one product of each packing",
            )
    return Packing(dtype, "decoded", float("nan"))


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
