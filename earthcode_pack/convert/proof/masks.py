"""Valid cells of a NetCDF source: in the output, in the statistics, and as netCDF4-python masks them.

netCDF4-python honours ``_FillValue``, ``missing_value``, ``valid_min``, ``valid_max``, ``valid_range``, ``_Unsigned``
and the default fill values of netCDF-C (``Variable.set_auto_maskandscale``); xarray knows the first two alone.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from earthcode_pack.convert.proof.decoded import REMEDY, CannotTell, Decoded, rounded_fills
from earthcode_pack.convert.read.open import LIBRARIES
from earthcode_pack.errors import NotEqual

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from earthcode_pack.convert.proof.blocks import Box
    from earthcode_pack.convert.proof.cubes import Cube

Array = np.ndarray[Any, Any]
Index = tuple[int, ...]

READER = f"netCDF4 {version('netCDF4')}"
RANGES = ("valid_min", "valid_max", "valid_range")


class Masked(NamedTuple):
    """A block as netCDF4 masks it.

    ``unknown`` are cells that may be missing without its knowing: they hold a default fill value in a variable that is
    not filled, or a fill value that is stated in another type; or the valid range is of another type than the stored
    values (unpacked limits, NetCDF User's Guide, appendix A). ``mistaken`` are cells that it may mask wrongly: bytes
    have no default fill value, and a range of ``_Unsigned`` bytes is one of numbers without a sign.
    """

    valid: Array
    unknown: Array
    mistaken: Array

    def turned(self, turn: Callable[[Array], Array]) -> Masked:
        """All arrays, turned alike."""
        return Masked(*map(turn, self))


def masked(cube: Cube, name: str, spans: Box) -> Masked:
    """The mask of a box of a variable, in the order of its dimensions.

    Raises ``CannotTell`` where netCDF4 does not read it.
    """
    import netCDF4  # noqa: PLC0415 - where there is a NetCDF source

    with LIBRARIES, ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            file = cube.netcdf or stack.enter_context(netCDF4.Dataset(cube.path))
            variable = file.variables[name]
            variable.set_auto_maskandscale(True)
            stack.callback(variable.set_auto_maskandscale, False)
            dims = tuple(variable.dimensions) if set(variable.dimensions) == set(spans) else tuple(spans)
            values = np.ma.asarray(variable[tuple(slice(*spans[dim]) for dim in dims)])
            attrs = {key: variable.getncattr(key) for key in variable.ncattrs()}
            kind = variable.dtype
        except Exception as error:
            raise CannotTell(f"{READER} does not read {name} of {cube.path.name}: {error}") from error
    unknown, mistaken = _doubts(np.ma.getdata(values), attrs, kind, netCDF4.default_fillvals)
    found = Masked(~np.ma.getmaskarray(values), unknown, mistaken)
    return found.turned(lambda block: block.transpose([dims.index(dim) for dim in spans]))


def _doubts(data: Array, attrs: Mapping[str, Any], kind: Any, defaults: Mapping[str, Any]) -> tuple[Array, Array]:
    none, every = np.zeros(data.shape, bool), np.ones(data.shape, bool)
    ranges = [np.asarray(attrs[key]).dtype for key in RANGES if key in attrs]
    is_unsigned = bool(ranges) and str(attrs.get("_Unsigned", "")).lower() == "true"
    if is_unsigned or any(each != kind for each in ranges):
        return every, every if is_unsigned else none
    if {"scale_factor", "add_offset"} & set(attrs):
        return none, none
    unknown = np.isin(data, rounded_fills(attrs, data.dtype))
    default = defaults.get(np.dtype(kind).str[1:])
    if default is None or "_FillValue" in attrs:
        return unknown, none
    with np.errstate(invalid="ignore"):
        filled = np.isclose(data.astype(np.float64), float(default), rtol=1e-6, atol=0)
    return unknown | filled, filled if np.dtype(kind).itemsize == 1 else none


def both(theirs: Decoded, ours: Decoded, mask: Masked) -> Decoded:
    """Keeps what is valid to xarray and to netCDF4; of cells that it may mask or not wrongly, what the output has."""
    valid = theirs.valid & (mask.valid | (mask.mistaken & ours.valid))
    return replace(theirs, valid=valid & (ours.valid | ~mask.unknown))


def without_ranges(theirs: Decoded, ours: Decoded, attrs: Mapping[str, Any]) -> Decoded:
    """Takes cells that a valid range may leave out as the output has them, where netCDF4 does not read the source."""
    return replace(theirs, valid=theirs.valid & ours.valid) if set(RANGES) & set(attrs) else theirs


def compare_counts(stored: Array, mask: Masked, *, count: Callable[[Array], int], cell: Callable[[Index], str]) -> None:
    """Refuses a ``count`` of valid values among stored ones that is not of those which netCDF4 leaves valid.

    ``stored`` are the values of the same block as they were written. Infinities count nowhere.
    Raises ``NotEqual``, which names a cell.
    """
    is_finite = np.isfinite(stored) if stored.dtype.kind == "f" else np.ones(stored.shape, bool)
    certain = mask.valid & is_finite & ~mask.unknown
    if (found := _first(stored, certain, count, wanted=True)) is not None:
        raise NotEqual(f"{cell(found)} is valid to {READER}, and statistics leave it out", REMEDY)
    if (found := _first(stored, ~mask.valid & ~mask.mistaken, count, wanted=False)) is not None:
        raise NotEqual(f"{cell(found)} is missing to {READER}, and statistics count it", REMEDY)


def _first(stored: Array, chosen: Array, count: Callable[[Array], int], *, wanted: bool) -> Index | None:
    """The first of the chosen cells that counts otherwise than ``wanted``; None where there is none."""
    places = np.flatnonzero(chosen)
    cells = stored.reshape(-1)[places]
    if not places.size or count(cells) == (places.size if wanted else 0):
        return None
    low, high = 0, places.size
    while high - low > 1:
        middle = (low + high) // 2
        holds = count(cells[low:middle]) == (middle - low if wanted else 0)
        low, high = (middle, high) if holds else (low, middle)
    return tuple(int(at) for at in np.unravel_index(places[low], stored.shape))
