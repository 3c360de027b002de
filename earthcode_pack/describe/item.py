"""A STAC Item and its assets: bands, classes, projection, cube, size and checksum of the files that were written."""

from __future__ import annotations

import hashlib
import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import pystac

from earthcode_pack.describe.rendering import class_color
from earthcode_pack.describe.stac import (
    SOFTWARE,
    as_json,
    data_type,
    finite_statistics,
    href,
    present,
    statistics_of,
)
from earthcode_pack.formats import format_of
from earthcode_pack.geo.box import union
from earthcode_pack.geo.crs import crs_of, proj_code
from earthcode_pack.geo.extent import grid_box
from earthcode_pack.geo.outline import box_geometry, grid_outline
from earthcode_pack.model import rfc3339
from earthcode_pack.storage.error_messages import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.model import Artifact, Dimension, File, Grid, WrittenVariable
    from earthcode_pack.profile import Profile

_MEDIA_TYPES = {
    "cog": "image/tiff; application=geotiff; profile=cloud-optimized",
    "netcdf": "application/netcdf",
}
THUMBNAIL: dict[str, Any] = {"title": "Preview", "media_type": "image/png", "roles": ["thumbnail"]}
_BUCKETS = 3  # at least: raster extension 2.0
_SHOWN = 5  # sources that the lineage names


class Thumbnail(NamedTuple):
    """The preview of an Item: its file, a description of what it shows, and the share of its pixels with data."""

    file: File
    words: str | None = None
    share: float = 1.0


def item_of(
    profile: Profile, artifacts: list[Artifact], thumbnail: Thumbnail | None, geometry: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Describes the artifacts of one time and scene as an Item.

    ``bbox`` and ``geometry`` are in WGS 84 longitude and latitude; ``proj:shape`` is (rows, columns), ``proj:bbox`` in
    the units of the CRS, x before y, ``proj:transform`` GDAL's affine (a, b, c, d, e, f). Times are in UTC.

    Args:
        profile: the product's profile.
        artifacts: what was written, at least one.
        thumbnail: the preview.
        geometry: GeoJSON of the footprint; the outline of the grid by default.

    """
    box = union(grid_box(artifact.grid) for artifact in artifacts)
    one_grid = len({artifact.grid.digest for artifact in artifacts}) == 1
    start = min(artifact.period.start for artifact in artifacts)
    processed = [artifact.processed for artifact in artifacts]
    properties = {
        "title": f"{profile.product.title}: {artifacts[0].item}",
        "datetime": rfc3339(start),
        "start_datetime": rfc3339(start),
        "end_datetime": rfc3339(max(artifact.period.end for artifact in artifacts)),
        "created": rfc3339(min(processed)),
        "updated": rfc3339(max(processed)),
        "processing:software": SOFTWARE,
        "processing:datetime": rfc3339(max(processed)),
        "processing:lineage": _lineage(artifacts),
    }
    item = pystac.Item(
        id=artifacts[0].item,
        geometry=geometry or (grid_outline(artifacts[0].grid) if one_grid else box_geometry(box)),
        bbox=list(box),
        datetime=start,
        properties=properties | (_projection(artifacts[0].grid) if one_grid else {}),
        collection=profile.product.id,
    )
    for artifact in artifacts:
        item.properties |= cube_fields(artifact)
        fields = file_fields(artifact) | ({} if one_grid else _projection(artifact.grid))
        item.add_asset(artifact.asset, data_asset(profile, artifact, "../", fields))
    if thumbnail is not None:
        item.add_asset("thumbnail", thumbnail_asset(profile, thumbnail, "../"))
    for rel in ("root", "parent", "collection"):
        item.add_link(pystac.Link(rel, "../collection.json", "application/json", profile.product.title))
    return as_json(item)


def _lineage(artifacts: list[Artifact]) -> str:
    """Names the source files, without folders and queries, and the largest error."""
    sources = sorted({PurePosixPath(shown(href)).name for artifact in artifacts for href, _ in artifact.sources})
    names = ", ".join(sources[:_SHOWN]) + (f" and {len(sources) - _SHOWN} more" if len(sources) > _SHOWN else "")
    error = max(artifact.max_error for artifact in artifacts)
    return (
        f"Converted from {names}, no value off by more than {error:g}"
        if error
        else f"Converted without loss from {names}"
    )


def _projection(grid: Grid) -> dict[str, Any]:
    """Returns the projection extension's fields; ``proj:wkt2`` where the CRS has no code (contract 4.2).

    Tracks and points have no shape. The box of a curvilinear grid is known in degrees alone.
    """
    code = proj_code(grid.crs)
    has_box = grid.kind == "grid" or (grid.kind == "curvilinear" and crs_of(grid.crs).is_geographic)
    fields = {
        "proj:shape": list(grid.shape) if grid.kind in ("grid", "curvilinear") else None,
        "proj:bbox": list(grid.bounds) if has_box else None,
        "proj:wkt2": grid.crs if code is None else None,
        "proj:transform": None if grid.transform is None else list(grid.transform),
    }
    return {"proj:code": code, **present(fields)}


# --- assets -----------------------------------------------------------------------------------------------------------


def data_asset(profile: Profile, artifact: Artifact, up: str, fields: dict[str, Any]) -> pystac.Asset:
    """Makes the asset of an artifact.

    Args:
        profile: the product's profile.
        artifact: the file or store.
        up: path from the folder of the STAC file to ``product/``.
        fields: further fields of the asset.

    """
    return pystac.Asset(
        href=href(profile, artifact.key, up), title=asset_title(profile, artifact), roles=["data"],
        media_type=media_type(artifact), extra_fields=fields,
    )  # fmt: skip


def thumbnail_asset(profile: Profile, thumbnail: Thumbnail, up: str) -> pystac.Asset:
    """Makes the asset of a preview; ``up`` leads from the folder of the STAC file to ``product/``."""
    file = thumbnail.file
    fields = {"file:size": file.size, "file:checksum": f"1220{file.sha256}"}
    return pystac.Asset(href(profile, file.key, up), **THUMBNAIL, description=thumbnail.words, extra_fields=fields)


def asset_title(profile: Profile, artifact: Artifact) -> str:
    """Returns the quantity of a COG, the product's title for a cube."""
    if not format_of(artifact.format).is_raster:
        return f"{profile.product.title} ({format_of(artifact.format).title})"
    variable = artifact.variables[0]
    return variable.long_name or (variable.standard_name or variable.name).replace("_", " ")


def media_type(artifact: Artifact) -> str:
    """Returns the media type of an artifact; that of a zipped store is the PRR's ``application/zip+zarr``.

    A pyramid has the profile of radiantearth's ``stac-best-practices`` for Zarr: it has the group ``1``.
    """
    if artifact.format != "zarr":
        return _MEDIA_TYPES[artifact.format]
    if artifact.facts["zipped"]:
        return "application/zip+zarr"
    level = {f"{artifact.key}/1/{name}" for name in ("zarr.json", ".zgroup")}
    has_levels = any(file.key in level for file in artifact.files)
    return f"application/vnd.zarr; version={artifact.facts['version']}{'; profile=multiscales' * has_levels}"


def file_fields(artifact: Artifact) -> dict[str, Any]:
    """Returns the fields of a file or store: size, multihash (sha2-256), and those that it shares with other Items.

    The checksum of a store is that of the sorted lines ``<sha256>  <key within the store>``.
    """
    digest = artifact.files[0].sha256
    if len(artifact.files) > 1:
        lines = sorted(f"{file.sha256}  {file.key.removeprefix(artifact.key + '/')}\n" for file in artifact.files)
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return {"file:size": artifact.size, "file:checksum": f"1220{digest}", **shared_fields(artifact)}


def shared_fields(artifact: Artifact) -> dict[str, Any]:
    """Returns the fields that may be the same in all Items: resolution, bands, classes, CF parameters.

    ``raster:spatial_resolution`` is a distance on the ground, so only in a projected CRS, in metres.
    """
    grid, variables = artifact.grid, artifact.variables
    crs, fields = crs_of(grid.crs), dict[str, Any]()
    if grid.transform is not None and crs.is_projected and crs.axis_info:
        size = math.hypot(grid.transform[0], grid.transform[3]) * crs.axis_info[0].unit_conversion_factor
        fields["raster:spatial_resolution"] = size
    fields["bands"] = [band for variable in variables for band in bands_of(variable, len(variables))]
    return fields | (_legend(variables[0]) if len(variables) == 1 else {}) | cf_parameters([artifact])


def cf_parameters(artifacts: Iterable[Artifact]) -> dict[str, Any]:
    """Returns ``cf:parameter`` (cf extension 0.2): each standard name once, with its unit; empty without any."""
    found: dict[str, str | None] = {}
    for artifact in artifacts:
        for variable in artifact.variables:
            if variable.standard_name and found.get(variable.standard_name) is None:
                found[variable.standard_name] = variable.units
    parameters = [{"name": name} | ({"unit": unit} if unit else {}) for name, unit in found.items()]
    return {"cf:parameter": parameters} if parameters else {}


def bands_of(variable: WrittenVariable, among: int = 1) -> list[dict[str, Any]]:
    """Describes the bands in the order of the file, named after the variable, or its colours where it is a picture.

    Args:
        variable: the variable as it was written.
        among: number of variables of the asset; of several each band has a legend, else the asset has it.

    """
    statistics = finite_statistics(variable)
    histogram = statistics.histogram if statistics else None
    if histogram and (len(histogram.counts) < _BUCKETS or not math.isfinite(histogram.minimum + histogram.maximum)):
        histogram = None
    fields = {
        "description": variable.long_name,
        "data_type": data_type(variable.dtype),
        "nodata": variable.nodata,
        "unit": variable.units,
        "raster:scale": variable.scale,
        "raster:offset": variable.offset,
        "statistics": statistics_of(statistics) if statistics else None,
        "raster:histogram": histogram
        and {
            "count": len(histogram.counts),
            "min": histogram.minimum,
            "max": histogram.maximum,
            "buckets": list(histogram.counts),
        },
    }
    names = variable.colorinterp if len(variable.colorinterp) > 1 else (variable.name,)
    legend = _legend(variable) if among > 1 else {}
    return [{"name": name, **present(fields), **legend} for name in names]


def _legend(variable: WrittenVariable) -> dict[str, Any]:
    """Returns classes and bit fields (classification 1.1); a class has the colour of thumbnail and render."""
    classes = []
    for number, entry in enumerate(variable.classes):
        title = entry.get("title") or entry["name"]
        classes.append(
            {
                "value": entry["value"],
                "name": entry["name"],
                "title": title,
                "description": entry.get("description") or title,
                "color_hint": bytes(class_color(entry.get("color"), number)).hex().upper(),
            }
        )
    given = {"classification:classes": classes, "classification:bitfields": list(variable.bitfields)}
    return {key: value for key, value in given.items() if value}


# --- cubes ------------------------------------------------------------------------------------------------------------


def cube_fields(artifact: Artifact) -> dict[str, Any]:
    """Returns ``cube:dimensions`` and ``cube:variables`` (datacube 2.3) of an artifact; empty without dimensions."""
    if not artifact.dimensions:
        return {}
    return {
        "cube:dimensions": {dim.name: _dimension(dim, artifact.grid) for dim in artifact.dimensions},
        "cube:variables": {variable.name: _cube_variable(variable) for variable in artifact.variables},
    }


def _dimension(dim: Dimension, grid: Grid) -> dict[str, Any]:
    """Describes a dimension: regular with a step, else with all its values, or with its extent where they are many."""
    kind = {"x": "spatial", "y": "spatial", "z": "spatial", "t": "temporal"}.get(dim.axis or "", "other")
    listed = None
    if dim.step is None and dim.values is not None:
        listed = list(dim.values) if len(dim.values) == dim.size else None
    elif dim.step is None and dim.extent[0] == dim.extent[1]:
        listed = [end for end in dim.extent[:1] if end is not None] or None
    code = proj_code(grid.crs) or ""
    is_number = dim.axis is not None or dim.extent != (None, None)
    reference_system = int(code.removeprefix("EPSG:")) if code.startswith("EPSG:") else grid.crs
    given = {
        "axis": dim.axis if kind == "spatial" else None,
        "reference_system": reference_system if dim.axis in ("x", "y") else None,
        "description": dim.description,
        "extent": list(dim.extent) if is_number or listed is None else None,
        "values": listed,
        "unit": dim.units if kind != "temporal" else None,
    }
    return {"type": kind} | present(given) | ({"step": dim.step} if is_number else {})


def _cube_variable(variable: WrittenVariable) -> dict[str, Any]:
    """Describes a variable: quantities have an extent, categories their values."""
    statistics = finite_statistics(variable) if not variable.classes else None
    given = {
        "dimensions": list(variable.dims),
        "type": "data",
        "description": variable.long_name,
        "unit": variable.units,
        "data_type": data_type(variable.dtype),
        "nodata": variable.nodata,
        "shape": list(variable.shape),
        "chunks": list(variable.chunks) or None,
        "extent": [statistics.minimum, statistics.maximum] if statistics else None,
        "values": [item["value"] for item in variable.classes] or None,
    }
    return present(given)
