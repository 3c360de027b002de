"""A variable of stored values as its CF attributes describe it: packing, missing values, units, flags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from earthcode_pack.cf.flags import is_flags
from earthcode_pack.cf.missing import further_missing, plain, stated_nodata, valid_range
from earthcode_pack.errors import Unreadable
from earthcode_pack.model import Variable

if TYPE_CHECKING:
    import xarray as xr

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?[bslfd]?")  # as Python or CDL writes it
_PACKING = ("scale_factor", "add_offset")


def variable_of(name: str, variable: xr.Variable | xr.DataArray, *, by_netcdf: bool = False) -> Variable:
    """The variable under its own name; ``by_netcdf`` where netCDF-C can have written it, whose default fill is missing.

    Raises ``Unreadable`` where text stands for a number in an attribute of packing or of missing values.
    """
    attrs = {str(key): plain(value) for key, value in variable.attrs.items()}
    _refuse_words_for_numbers(name, attrs)
    dtype = variable.dtype.newbyteorder("=").name
    return Variable(
        name=name,
        source_name=name,
        dtype=dtype,
        dims=tuple(str(dim) for dim in variable.dims),
        shape=variable.shape,
        chunks=_chunks(variable, attrs),
        nodata=stated_nodata(attrs, dtype),
        missing=further_missing(attrs, dtype, by_netcdf=by_netcdf),
        valid_range=valid_range(attrs, dtype),
        scale=attrs.get("scale_factor"),
        offset=attrs.get("add_offset"),
        units=_units(attrs.get("units")),
        attrs=attrs,
        categorical=is_flags(attrs),
    )


def _units(stated: Any) -> str | None:
    """The attribute as text: some write the number 1."""
    if isinstance(stated, int | float):
        return f"{stated:g}"
    return None if stated is None else str(stated)


def _refuse_words_for_numbers(name: str, attrs: dict[str, Any]) -> None:
    """Packing is numbers (CF 8.1), and so is what means missing, where a text of it is a number (CF 2.5.1)."""
    for key in (*_PACKING, "_FillValue", "missing_value"):
        stated = attrs.get(key)
        is_packing = key in attrs and key in _PACKING and not isinstance(stated, int | float)
        if is_packing or (isinstance(stated, str) and _NUMBER.fullmatch(stated.strip())):
            raise Unreadable(
                f"{name}: its {key} is {stated!r}, which is no number",
                f"write the attribute as a number; of a NetCDF with `ncatted -a {key},{name},o,d,NUMBER FILE`",
            )


def _chunks(variable: xr.Variable | xr.DataArray, attrs: dict[str, Any]) -> tuple[int, ...]:
    """Returns the shape decoded at once: a chunk of NetCDF and Zarr, or one map, which is a message of a GRIB."""
    found = variable.encoding.get("chunksizes") or variable.encoding.get("chunks") or ()
    if "GRIB_gridType" in attrs:
        found = (*(1 for _ in variable.shape[:-2]), *variable.shape[-2:])
    return tuple(min(int(length), size) for length, size in zip(found, variable.shape, strict=False))
