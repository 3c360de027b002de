"""Refusal of headers that claim what cannot be: sizes, places, text, and numbers that do not unpack.

Everything here is metadata, and said before a value is read.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import CRS

from earthcode_pack.errors import AGAIN, Unreadable
from earthcode_pack.geo.crs import projection_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import xarray as xr

    from earthcode_pack.model import Grid, Variable

GB = 10**9
_FLOOR, RATIO = 10 * GB, 1100  # deflate makes at most 1,032 bytes of one
_POLE, _CIRCLE = 90.0, 720.0  # degrees
_FARTHEST = 1e9  # metres from the origin of a projection: twenty times around the Earth
_STEPS = 8  # cells narrower than so many steps of a double lie on one another
_DEEP = 64  # attributes nested deeper are no metadata


def refuse_beyond_budget(decoded: int, stored: int, name: str, most: int | None, *, floor: int = _FLOOR) -> None:
    """Refuses an input that would grow too much: beyond ``compute.max_decoded``, or beyond what compression can do.

    Args:
        decoded: bytes of all its values, as its header says.
        stored: bytes that it takes.
        name: of the input.
        most: ``compute.max_decoded`` in bytes; None for 10 GB and 1,100 times the stored bytes, both.
        floor: bytes below which nothing is refused without ``most``.

    Raises:
        Unreadable: with both sizes.

    """
    if decoded > (most if most is not None else max(floor, RATIO * stored)):
        told = f"compute.max_decoded is {_size(most)}" if most is not None else "no compression makes so much of data"
        raise Unreadable(
            f"{name}: {_size(stored)} that claim to hold {_size(decoded)}: {told}",
            f"where that is meant, set compute.max_decoded: {_size(decoded, up=True)}; else leave it out",
        )


def _size(count: int, *, up: bool = False) -> str:
    """Bytes as people, and the profile, write them."""
    for factor, unit in ((10**12, "TB"), (GB, "GB"), (10**6, "MB"), (1000, "kB")):
        if count >= factor:
            return f"{math.ceil(count / factor)} {unit}" if up else f"{count / factor:.3g} {unit}"
    return f"{count} bytes"


def values_in(variables: Iterable[Variable]) -> int:
    """Bytes of the values of variables."""
    return sum(math.prod(v.shape) * max(len(v.bands), 1) * np.dtype(v.dtype).itemsize for v in variables)


def refuse_nowhere(grid: Grid, name: str) -> None:
    """Refuses cells that lie on one another, beyond the Earth, or in a CRS without a way to it. Raises ``Unreadable``.

    A latitude may end half a cell beyond a pole, where a grid counts the pole as the middle of a cell.
    """
    if grid.kind != "grid":
        return
    try:
        projection_of(grid.crs)
    except Unreadable as error:
        raise Unreadable(f"{name}: {error.message}", error.remedy) from error
    west, south, east, north = grid.bounds
    crs = CRS.from_wkt(grid.crs)
    for axis, low, high, count in (("x", west, east, grid.shape[1]), ("y", south, north, grid.shape[0])):
        farthest = max(abs(low), abs(high))
        if not math.isfinite(farthest):
            raise Unreadable(f"{name}: its cells run from {low:g} to {high:g} along {axis}", AGAIN)
        if count > 1 and (high - low) / count < _STEPS * np.spacing(farthest):
            raise Unreadable(f"{name}: its {count} cells along {axis} all lie at {low:g}", f"correct its {axis}")
        most = _limit(crs, axis) + (high - low) / count
        if farthest > most:
            unit = crs.axis_info[0].unit_name if crs.axis_info else "units"
            raise Unreadable(
                f"{name}: its cells reach {low:g} to {high:g} along {axis}, which is nowhere in {crs.name} ({unit})",
                "correct its place, or set source.crs to the CRS of the data, with override: true",
            )


def _limit(crs: CRS, axis: str) -> float:
    """Returns the largest distance of a coordinate from zero, in the units of a CRS."""
    unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    if not crs.is_geographic:
        return _FARTHEST / (unit or 1.0)
    return math.radians(_POLE if axis == "y" else _CIRCLE) / (unit or 1.0)


def refuse_no_transform(transform: tuple[float, ...], name: str) -> None:
    """Refuses an affine transform (a, b, c, d, e, f) that gives cells no place or no area. Raises ``Unreadable``."""
    a, b, _, d, e, _ = transform
    if not all(map(math.isfinite, transform)) or a * e == b * d:
        raise Unreadable(
            f"{name}: its pixels have no size or no place: transform {', '.join(f'{v:g}' for v in transform)}",
            "state its edges in the units of its CRS: `gdal_edit.py -a_ullr WEST NORTH EAST SOUTH FILE`",
        )


def refuse_packing_without_numbers(variables: Iterable[Variable], name: str) -> None:
    """Refuses variables whose ``scale_factor`` or ``add_offset`` is not finite (CF 8.1). Raises ``Unreadable``."""
    for variable in variables:
        for key, value in (("scale_factor", variable.scale), ("add_offset", variable.offset)):
            if value is not None and not math.isfinite(value):
                raise Unreadable(
                    f"{name}: the {key} of {variable.source_name} is {value}: no number comes of its values",
                    f"correct it; of a NetCDF with `ncatted -a {key},{variable.source_name},o,d,NUMBER FILE`",
                )


def refuse_unwritable_attributes(dataset: xr.Dataset, name: str) -> None:
    """Refuses attributes nested deeper than metadata are, and what is no text in UTF-8. Raises ``Unreadable``."""
    held: list[tuple[str, Mapping[Any, Any]]] = [("", dataset.attrs)]
    held += [(f" of {key}", variable.attrs) for key, variable in dataset.variables.items()]
    for where, attrs in held:
        for key, value in attrs.items():
            if _depth(value) > _DEEP:
                raise Unreadable(f"{name}: the attribute {key}{where} is nested deeper than {_DEEP} levels", AGAIN)
            if not _is_unicode({str(key): value}):
                told = ascii(key)[1:-1]
                raise Unreadable(f"{name}: the attribute {told}{where} holds half a surrogate pair, no text", AGAIN)
    for key in (*dataset.variables, *dataset.dims):
        if printable(str(key)) != str(key):
            raise Unreadable(f"{name}: the name {printable(str(key))} is no UTF-8", "rename it (`ncrename`)")


def refuse_short_scales(path: Path, variables: Iterable[str]) -> None:
    """Refuses HDF5 data of which a fixed dimension has a shorter scale: only the corner that the scale covers is read.

    Along an unlimited dimension NetCDF-4 lets a scale be shorter, and fills it up. Raises ``Unreadable``.
    """
    import h5py  # noqa: PLC0415 - heavy

    with h5py.File(path, "r") as file:
        for name in variables:
            data = file.get(name)
            if not isinstance(data, h5py.Dataset):
                continue
            for dim, size in zip(data.dims, data.shape or (), strict=True):
                for scale in dim.values():
                    if scale.shape and scale.shape[0] < size and scale.maxshape[0] is not None:
                        raise Unreadable(
                            f"{path.name}: {name} has {size} values along {scale.name.strip('/')}, which has "
                            f"{scale.shape[0]}: only a corner of it would be read",
                            "write the file again, with dimension scales as long as the data",
                        )


def _is_unicode(value: Any) -> bool:
    """Tells whether all text in a value can be written as UTF-8: JSON may escape halves of surrogate pairs."""
    try:
        json.dumps(value, default=str, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _depth(value: Any) -> int:
    """Levels of lists and mappings within one another."""
    level, depth = [value], 0
    while level and depth <= _DEEP:
        nested = [part for part in level if isinstance(part, dict | list)]
        level = [x for part in nested for x in (part.values() if isinstance(part, dict) else part)]
        depth += bool(nested)
    return depth


def printable(text: str) -> str:
    r"""Text for people and for JSON: bytes that are no UTF-8 as ``\xe9``.

    >>> printable("caf\udce9.nc")
    'caf\\xe9.nc'
    """
    return os.fsencode(text).decode("utf-8", "backslashreplace") if _is_odd(text) else text


def _is_odd(text: str) -> bool:
    return any("\udc80" <= sign <= "\udcff" for sign in text)


def with_latin_1(dataset: xr.Dataset) -> list[str]:
    """Reads attributes that are no UTF-8 (NUG, Appendix B) as Latin-1, in place; what was read so, in words."""
    told = []
    for where, attrs in [("", dataset.attrs), *((f" of {key}", v.attrs) for key, v in dataset.variables.items())]:
        for key, value in attrs.items():
            if isinstance(value, str) and _is_odd(value):
                attrs[key] = value.encode("utf-8", "surrogateescape").decode("latin-1")
                told.append(f"the attribute {key}{where} is no UTF-8; read as Latin-1 it is {attrs[key]!r}")
    return told
