"""Raster metadata of the source of a COG, and the changes made for the COG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import CRS
from rasterio.enums import ColorInterp

from earthcode_pack.cf import grid_mappings
from earthcode_pack.cf.missing import NO_RANGE, RANGES, as_type, stated_nodata
from earthcode_pack.cf.times import days_that_lack, lacks_days
from earthcode_pack.convert.left_out import beside_a_map
from earthcode_pack.convert.read.agreed import crs_name
from earthcode_pack.convert.read.raster import raster_crs
from earthcode_pack.nodata import as_number, nodata_values

if TYPE_CHECKING:
    import xarray as xr
    from rasterio.io import DatasetReader

    from earthcode_pack.model import Job, Variable

_IN_THE_HEADER = {
    "units", "scale_factor", "add_offset", "_FillValue", "grid_mapping", "coordinates", "bounds", "transform", "crs",
    "_Unsigned",
}  # fmt: skip
_GDALS_OWN = {"", "IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "TIFF", "COLOR_PROFILE", "EXIF"}


@dataclass(frozen=True)
class StatedMetadata:
    """CRS, nodata and units as the file states them, before the profile."""

    crs: CRS | None
    nodata: float | int | None
    units: str | None


@dataclass(frozen=True)
class RasterMetadata:
    """Header of a map: type, packing, tags, colours; ``dropped`` names what a COG does not take over."""

    dtype: str
    count: int
    nodata: float | int | None
    scale: float | None
    offset: float | None
    units: str | None
    description: str
    tags: dict[str, str]
    band_tags: dict[str, str]
    stated: StatedMetadata
    colormap: dict[int, tuple[int, ...]] | None = None
    colorinterp: tuple[Any, ...] = ()
    has_mask: bool = False
    dropped: tuple[str, ...] = ()

    @property
    def has_alpha(self) -> bool:
        """Tells whether the last band is an alpha band."""
        return self.colorinterp[-1:] == (ColorInterp.alpha,)

    @property
    def is_palette(self) -> bool:
        """Tells whether values are indices into a colour table, so that neighbours are unrelated."""
        return self.colorinterp[:1] == (ColorInterp.palette,)


def metadata_of_raster(dataset: DatasetReader, variable: Variable) -> RasterMetadata:
    """Reads the metadata of a variable that is one or more bands of a GeoTIFF."""
    band = variable.bands[0]
    tags = dataset.tags(band)
    statistics = [key for key in tags if key.startswith("STATISTICS_")]
    # GDAL's COG driver writes the tags of bands or those of domains of the file's maker, not both.
    dropped = [f"metadata domain {name} dropped" for name in sorted(set(dataset.tag_namespaces()) - _GDALS_OWN)]
    if statistics:
        dropped.append("tags STATISTICS_* dropped: measured anew")
    dropped += [
        f"band {mask}, a transparency, became the mask of {variable.name}: cells of 0 are missing, all others valid"
        for mask in variable.masks
        if mask
    ]
    return RasterMetadata(
        dtype=variable.dtype,
        count=len(variable.bands),
        nodata=_nodata(variable.nodata, variable),
        scale=variable.scale,
        offset=variable.offset,
        units=variable.units,
        description=dataset.descriptions[band - 1] or variable.name,
        tags=dict(dataset.tags()),
        band_tags={key: value for key, value in tags.items() if key not in statistics},
        stated=StatedMetadata(
            raster_crs(dataset),
            as_number(nodata_values(dataset)[band - 1], variable.dtype),
            dataset.units[band - 1] or None,
        ),
        colormap=dataset.colormap(band) if dataset.colorinterp[band - 1] is ColorInterp.palette else None,
        colorinterp=tuple(dataset.colorinterp[b - 1] for b in variable.bands),
        has_mask=bool(variable.masks),
        dropped=tuple(dropped),
    )


def _nodata(known: float | None, variable: Variable) -> float | int | None:
    """Returns nodata, or NaN for floats without one: EarthCODE wants nodata set, and NaN costs no valid value."""
    return float("nan") if known is None and variable.dtype.startswith("float") and len(variable.bands) <= 1 else known


def metadata_of_cube(dataset: xr.Dataset, variable: Variable, dtype: str, time_dim: str | None) -> RasterMetadata:
    """Reads the metadata of a variable of a cube, whose attributes become tags.

    Args:
        dataset: the cube, undecoded.
        variable: one of its variables.
        dtype: the type of the raster.
        time_dim: the time dimension of the cube.

    """
    attrs = dataset[variable.source_name].attrs
    nodata = _nodata(as_type(variable.nodata, dtype), variable)
    left = beside_a_map(dataset, variable.source_name, grid_mappings.grid_mapping_of(dataset, variable.source_name))
    is_marked = bool(variable.missing) or variable.valid_range != NO_RANGE
    dropped = [days_that_lack(str(time_dim))] if time_dim and lacks_days(dataset, time_dim) else []
    stated = [key for key in ("missing_value", *RANGES) if key in variable.attrs]
    if stated and is_marked:
        now = "masked" if nodata is None else f"nodata ({nodata})"
        dropped.append(f"{variable.name}: cells that {' and '.join(stated)} call missing are {now}")
    if left:
        dropped.append(f"{', '.join(left)} left out: a GeoTIFF holds one variable and its place")
    return RasterMetadata(
        dtype=dtype,
        count=1,
        nodata=nodata,
        scale=variable.scale,
        offset=variable.offset,
        units=variable.units,
        description=variable.name,
        tags={str(key): _text(value) for key, value in dataset.attrs.items()},
        band_tags={str(key): _text(value) for key, value in variable.attrs.items() if key not in _IN_THE_HEADER},
        stated=StatedMetadata(
            grid_mappings.crs_of(dataset, variable.source_name),
            as_type(stated_nodata(attrs, variable.dtype), dtype),
            attrs.get("units"),
        ),
        has_mask=is_marked and nodata is None,
        dropped=tuple(dropped),
    )


def _text(value: Any) -> str:
    """Returns an attribute as a TIFF tag holds it: lists with commas."""
    return ", ".join(str(v) for v in np.asarray(value).ravel().tolist()) if not isinstance(value, str) else value


def changes_of(metadata: RasterMetadata, job: Job) -> list[str]:
    """Returns what the output of a job states that its source did not, in words.

    Args:
        metadata: raster metadata of the source.
        job: the job.

    """
    variable, stated, wanted = job.inputs[0].variables[0], metadata.stated, CRS.from_wkt(job.grid.crs)
    out = list(metadata.dropped)
    if variable.name != variable.source_name:
        out.append(f"{variable.source_name} is called {variable.name}")
    if metadata.count == 1 and metadata.description == variable.name != variable.source_name:
        out.append(f"band description added: {variable.name}")
    if metadata.units and metadata.units != stated.units:
        before = f", not {stated.units!r}" if stated.units else ""
        out.append(f"units of {variable.name} from the profile: {metadata.units}{before}")
    out += _nodata_changes(metadata, variable.name)
    if stated.crs is None:
        out.append(f"CRS {crs_name(wanted)}, by the profile")
    elif not stated.crs.equals(wanted, ignore_axis_order=True):
        out.append(f"CRS {crs_name(stated.crs)} became {crs_name(wanted)}, by the profile")
    return out


def _nodata_changes(metadata: RasterMetadata, name: str) -> list[str]:
    before, now = metadata.stated.nodata, metadata.nodata
    if repr(before) == repr(now) or before == now:
        return []
    if now is None:
        return [f"nodata {before} of {name} dropped: {metadata.dtype} has no such value"]
    if before is None and now != now:  # noqa: PLR0124 - NaN
        return [f"nodata of {name}: NaN, for the file states none"]
    return [f"nodata of {name}: {now}, by the profile" + ("" if before is None else f", not {before}")]
