"""What a GeoTIFF says of its bands besides their values: as the source has it, and what of it is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import CRS
from rasterio.enums import ColorInterp

from earthcode_pack.cf import grid_mappings
from earthcode_pack.cf.missing import NO_RANGE, RANGES, as_type, stated_nodata
from earthcode_pack.cf.times import days_that_lack, lacks_days
from earthcode_pack.convert.cube.left_out import beside_a_map
from earthcode_pack.convert.read.agreed import crs_name
from earthcode_pack.convert.read.raster import raster_crs
from earthcode_pack.nodata import as_number, nodata_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from rasterio.io import DatasetReader

    from earthcode_pack.model import Job, Variable

_IN_THE_HEADER = {
    "units", "scale_factor", "add_offset", "_FillValue", "grid_mapping", "coordinates", "bounds", "transform", "crs",
    "_Unsigned",
}  # fmt: skip
_GDALS_OWN = {"", "IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "TIFF", "COLOR_PROFILE", "EXIF"}


@dataclass(frozen=True)
class Stated:
    """What the file itself says, before the profile."""

    crs: CRS | None
    nodata: float | int | None
    units: str | None


@dataclass(frozen=True)
class Look:
    """The header of a map: types, packing, words, colours; ``dropped`` says what a COG does not take over."""

    dtype: str
    count: int
    nodata: float | int | None
    scale: float | None
    offset: float | None
    units: str | None
    description: str
    tags: dict[str, str]
    band_tags: dict[str, str]
    stated: Stated
    colormap: dict[int, tuple[int, ...]] | None = None
    colorinterp: tuple[Any, ...] = ()
    has_mask: bool = False
    dropped: tuple[str, ...] = ()

    @property
    def has_alpha(self) -> bool:
        """Whether the last band is a transparency."""
        return self.colorinterp[-1:] == (ColorInterp.alpha,)


def raster_look(dataset: DatasetReader, variable: Variable) -> Look:
    """Of bands of a GeoTIFF."""
    band = variable.bands[0]
    tags = dataset.tags(band)
    statistics = [key for key in tags if key.startswith("STATISTICS_")]
    return Look(
        dtype=variable.dtype,
        count=len(variable.bands),
        nodata=_nodata(variable.nodata, variable),
        scale=variable.scale,
        offset=variable.offset,
        units=variable.units,
        description=dataset.descriptions[band - 1] or variable.name,
        tags=dict(dataset.tags()),
        band_tags={key: value for key, value in tags.items() if key not in statistics},
        stated=Stated(
            raster_crs(dataset),
            as_number(nodata_values(dataset)[band - 1], variable.dtype),
            dataset.units[band - 1] or None,
        ),
        colormap=dataset.colormap(band) if dataset.colorinterp[band - 1] is ColorInterp.palette else None,
        colorinterp=tuple(dataset.colorinterp[b - 1] for b in variable.bands),
        has_mask=bool(variable.masks),
        dropped=(*_dropped(dataset, statistics), *_masked_by(variable)),
    )


def _nodata(known: float | None, variable: Variable) -> float | int | None:
    """NaN for floats that state none: EarthCODE wants nodata set, and it takes no value from them."""
    return float("nan") if known is None and variable.dtype.startswith("float") and len(variable.bands) <= 1 else known


def _masked_by(variable: Variable) -> tuple[str, ...]:
    return tuple(
        f"band {band}, a transparency, became the mask of {variable.name}: cells of 0 are missing, all others valid"
        for band in variable.masks
        if band
    )


def _dropped(dataset: DatasetReader, statistics: list[str]) -> tuple[str, ...]:
    """GDAL's COG driver writes the tags of bands or those of domains of the file's maker, not both."""
    lines = [f"metadata domain {name} dropped" for name in sorted(set(dataset.tag_namespaces()) - _GDALS_OWN)]
    return (*lines, *(("tags STATISTICS_* dropped: measured anew",) if statistics else ()))


def cube_look(dataset: xr.Dataset, variable: Variable, dtype: str, time_dim: str | None) -> Look:
    """Of a variable of a cube, whose attributes become tags; ``dtype`` is what the raster holds."""
    attrs = dataset[variable.source_name].attrs
    nodata = _nodata(as_type(variable.nodata, dtype), variable)
    left = beside_a_map(dataset, variable.source_name, grid_mappings.grid_mapping_of(dataset, variable.source_name))
    marks = variable.missing or variable.valid_range != NO_RANGE
    return Look(
        dtype=dtype,
        count=1,
        nodata=nodata,
        scale=variable.scale,
        offset=variable.offset,
        units=variable.units,
        description=variable.name,
        tags={str(key): _text(value) for key, value in dataset.attrs.items()},
        band_tags={str(key): _text(value) for key, value in variable.attrs.items() if key not in _IN_THE_HEADER},
        stated=Stated(
            grid_mappings.crs_of(dataset, variable.source_name),
            as_type(stated_nodata(attrs, variable.dtype), dtype),
            attrs.get("units"),
        ),
        has_mask=bool(marks) and nodata is None,
        dropped=(
            *((days_that_lack(str(time_dim)),) if time_dim and lacks_days(dataset, time_dim) else ()),
            *_marked_otherwise(variable, nodata),
            *((f"{', '.join(left)} left out: a GeoTIFF holds one variable and its place",) if left else ()),
        ),
    )


def _marked_otherwise(variable: Variable, nodata: float | None) -> Iterator[str]:
    """Says which cells besides nodata are missing in the source, and that they are nodata or masked in the COG."""
    stated = [key for key in ("missing_value", *RANGES) if key in variable.attrs]
    if stated and (variable.missing or variable.valid_range != NO_RANGE):
        now = "masked" if nodata is None else f"nodata ({nodata})"
        yield f"{variable.name}: cells that {' and '.join(stated)} call missing are {now}"


def _text(value: Any) -> str:
    """An attribute as a TIFF tag holds it: lists with commas."""
    return ", ".join(str(v) for v in np.asarray(value).ravel().tolist()) if not isinstance(value, str) else value


def changes_of(look: Look, job: Job) -> list[str]:
    """What the output says that the source did not, in words."""
    variable = job.inputs[0].variables[0]
    out = list(look.dropped)
    if variable.name != variable.source_name:
        out.append(f"{variable.source_name} is called {variable.name}")
    if look.count == 1 and look.description == variable.name != variable.source_name:
        out.append(f"band description added: {variable.name}")
    if look.units and look.units != look.stated.units:
        before = f", not {look.stated.units!r}" if look.stated.units else ""
        out.append(f"units of {variable.name} from the profile: {look.units}{before}")
    return out + _nodata_changes(look, variable.name) + _crs_changes(look, CRS.from_wkt(job.grid.crs))


def _nodata_changes(look: Look, name: str) -> list[str]:
    before, now = look.stated.nodata, look.nodata
    if repr(before) == repr(now) or before == now:
        return []
    if now is None:
        return [f"nodata {before} of {name} dropped: {look.dtype} has no such value"]
    if before is None and now != now:  # noqa: PLR0124 - NaN
        return [f"nodata of {name}: NaN, for the file states none"]
    return [f"nodata of {name}: {now}, by the profile" + ("" if before is None else f", not {before}")]


def _crs_changes(look: Look, wanted: CRS) -> list[str]:
    before = look.stated.crs
    if before is None:
        return [f"CRS {crs_name(wanted)}, by the profile"]
    same = before.equals(wanted, ignore_axis_order=True)
    return [] if same else [f"CRS {crs_name(before)} became {crs_name(wanted)}, by the profile"]
