"""Which cells of a NetCDF source count as valid: in the statistics of this package, and as netCDF4-python masks them.

netCDF4-python honours ``_FillValue``, ``missing_value``, ``valid_min``, ``valid_max``, ``valid_range``, ``_Unsigned``,
and the default fill values of netCDF-C (its ``Variable.set_auto_maskandscale``).
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from earthcode_pack.convert.proof.decoded import REMEDY, CannotTell
from earthcode_pack.convert.read.open import LIBRARIES
from earthcode_pack.errors import NotEqual

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from earthcode_pack.convert.proof.blocks import Box

Array = np.ndarray[Any, Any]
Index = tuple[int, ...]

READER = f"netCDF4 {version('netCDF4')}"
_RANGES = ("valid_min", "valid_max", "valid_range")


def compare_missing(
    path: Path, name: str, spans: Box, stored: Array, *, count: Callable[[Array], int], cell: Callable[[Index], str]
) -> str | None:
    """Nothing where ``count``, which tells how many of some stored values are valid, counts what netCDF4 leaves valid.

    ``stored`` are the values of the box as they were written, in the order of its dimensions. What lies outside a
    ``valid_range`` or is a default fill value that the file does not state is no difference; it is said in words.

    Raises ``NotEqual``, which names a cell, and ``CannotTell`` where netCDF4 does not read the variable.
    """
    masked, default, attrs = _masked(path, name, spans)
    with np.errstate(invalid="ignore"):
        valid = ~np.ma.getmaskarray(masked) & np.isfinite(np.ma.getdata(masked))
    if (found := _first(stored, valid, count, wanted=True)) is not None:
        raise NotEqual(f"{cell(found)} is valid to {READER}, and statistics leave it out", REMEDY)
    gaps = ~valid
    if _count(stored, gaps, count) == 0:
        return None
    odd = gaps & ~_is_known_limit(np.ma.getdata(masked), stored, default, attrs)
    if (found := _first(stored, odd, count, wanted=False)) is not None:
        raise NotEqual(f"{cell(found)} is missing to {READER}, and statistics count it", REMEDY)
    why = next((key for key in _RANGES if key in attrs), "the default fill value")
    return f"{name}: statistics count values that netCDF4-python masks by {why}"


def _masked(path: Path, name: str, spans: Box) -> tuple[Any, Any, dict[str, Any]]:
    """Values as netCDF4 masks and unpacks them, the default fill value of their type, and the attributes."""
    import netCDF4  # noqa: PLC0415 - where there is a NetCDF source

    with LIBRARIES, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with netCDF4.Dataset(path) as file:
                variable = file.variables[name]
                variable.set_auto_maskandscale(True)
                dims = tuple(variable.dimensions) if set(variable.dimensions) == set(spans) else tuple(spans)
                values = np.ma.asarray(variable[tuple(slice(*spans[dim]) for dim in dims)])
                attrs = {key: variable.getncattr(key) for key in variable.ncattrs()}
                default = netCDF4.default_fillvals.get(variable.dtype.str[1:])
        except Exception as error:
            raise CannotTell(f"{READER} does not read {name} of {path.name}: {error}") from error
    return values.transpose([dims.index(dim) for dim in spans]), default, attrs


def _is_known_limit(data: Array, stored: Array, default: Any, attrs: dict[str, Any]) -> Array:
    """Which cells hold a default fill value that is not stated, or lie outside a valid range and are no other gap."""
    known = np.zeros(data.shape, bool)
    if default is not None and "_FillValue" not in attrs:
        with np.errstate(invalid="ignore"):
            known |= np.isclose(stored.astype(np.float64), float(default), rtol=1e-6, atol=0)
    if any(key in attrs for key in _RANGES):
        gaps = [np.asarray(attrs[key]).ravel() for key in ("_FillValue", "missing_value") if key in attrs]
        numbers = [each.astype(stored.dtype) for each in gaps if each.dtype.kind in "iuf"]
        known |= ~np.isin(stored, np.concatenate(numbers)) if numbers else True
    return known


def _count(stored: Array, chosen: Array, count: Callable[[Array], int]) -> int:
    cells = stored[chosen]
    return count(cells) if cells.size else 0


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
