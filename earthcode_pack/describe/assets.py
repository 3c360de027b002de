"""An artifact as a STAC asset: its bands, classes, projection, size and checksum."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import pystac

from earthcode_pack.colormap import class_color
from earthcode_pack.describe.cube import cube_fields
from earthcode_pack.describe.stac import data_type, finite_statistics, histogram_of, href, statistics_of, use
from earthcode_pack.formats import format_of
from earthcode_pack.geo.crs import crs_of, proj_code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.model import Artifact, File, Grid, WrittenVariable
    from earthcode_pack.profile import Profile

_MEDIA_TYPES = {
    "cog": "image/tiff; application=geotiff; profile=cloud-optimized",
    "netcdf": "application/netcdf",
}
THUMBNAIL: dict[str, Any] = {"title": "Preview", "media_type": "image/png", "roles": ["thumbnail"]}


class Thumbnail(NamedTuple):
    """The preview of an Item: its file, what it shows in words, and the share of its pixels that show data."""

    file: File
    words: str | None = None
    share: float = 1.0


def asset_of(profile: Profile, artifact: Artifact, item: pystac.Item, *, own_projection: bool) -> pystac.Asset:
    """The data asset of an artifact; lists in ``item`` what it uses, and gives it the fields of its cube.

    ``own_projection`` is for Items whose assets differ in their grid. ``raster:spatial_resolution`` in metres.
    """
    fields = fields_of(artifact) | (projection(artifact.grid) if own_projection else {})
    if artifact.dimensions:
        use(item, "datacube")
        item.properties |= cube_fields(artifact)
    use_what_it_holds(item, fields)
    return data_asset(profile, artifact, "../", fields)


def data_asset(profile: Profile, artifact: Artifact, up: str, fields: dict[str, Any]) -> pystac.Asset:
    """An artifact as an asset with these fields; ``up`` leads from its STAC file to the product."""
    return pystac.Asset(
        href=href(profile, artifact.key, up), title=asset_title(profile, artifact), roles=["data"],
        media_type=media_type(artifact), extra_fields=fields,
    )  # fmt: skip


def fields_of(artifact: Artifact) -> dict[str, Any]:
    """What is known of a file or store, its grid apart: size, checksum, bands, classes, CF parameters."""
    return {"file:size": artifact.size, "file:checksum": checksum(artifact), **described(artifact)}


def described(artifact: Artifact) -> dict[str, Any]:
    """What is not about the bytes of one file, and so may hold for all Items."""
    return {
        **resolution(artifact.grid),
        "bands": [band for variable in artifact.variables for band in bands_of(variable, len(artifact.variables))],
        **_classification(artifact),
        **cf_parameters([artifact]),
    }


def cf_parameters(artifacts: Iterable[Artifact]) -> dict[str, Any]:
    """``cf:parameter`` (cf extension 0.2): every standard name once, with the unit; nothing where there is none."""
    found: dict[str, str | None] = {}
    for artifact in artifacts:
        for variable in artifact.variables:
            if variable.standard_name and found.get(variable.standard_name) is None:
                found[variable.standard_name] = variable.units
    parameters = [{"name": name} | ({"unit": unit} if unit else {}) for name, unit in found.items()]
    return {"cf:parameter": parameters} if parameters else {}


def use_what_it_holds(target: pystac.Item | pystac.Collection, fields: dict[str, Any]) -> None:
    """Lists the extensions of an asset's fields and bands, those only: a schema refuses to be listed in vain."""
    keys = {*fields, *(key for band in fields.get("bands", ()) for key in band)}
    for prefix in ("raster", "classification", "cf"):
        if any(key.startswith(f"{prefix}:") for key in keys):
            use(target, prefix)


def media_type(artifact: Artifact) -> str:
    """The media type of an artifact; a zipped store is the PRR's ``application/zip+zarr``.

    A pyramid has the profile of radiantearth's ``stac-best-practices`` for Zarr.
    """
    if artifact.format != "zarr":
        return _MEDIA_TYPES[artifact.format]
    if artifact.facts["zipped"]:
        return "application/zip+zarr"
    return f"application/vnd.zarr; version={artifact.facts['version']}{'; profile=multiscales' * _has_levels(artifact)}"


def _has_levels(artifact: Artifact) -> bool:
    """Whether a store holds a coarser level: the group ``1``, by its files."""
    level = {f"{artifact.key}/1/{name}" for name in ("zarr.json", ".zgroup")}
    return any(file.key in level for file in artifact.files)


def checksum(artifact: Artifact) -> str:
    """A multihash (sha2-256). Of a store: of the sorted lines ``<sha256>  <key within the store>``."""
    if len(artifact.files) == 1:
        return f"1220{artifact.files[0].sha256}"
    lines = sorted(f"{file.sha256}  {file.key.removeprefix(artifact.key + '/')}\n" for file in artifact.files)
    return "1220" + hashlib.sha256("".join(lines).encode()).hexdigest()


def asset_title(profile: Profile, artifact: Artifact) -> str:
    """The quantity of a COG; of a cube the product's title."""
    written = format_of(artifact.format)
    if not written.is_raster:
        return f"{profile.product.title} ({written.title})"
    variable = artifact.variables[0]
    return variable.long_name or (variable.standard_name or variable.name).replace("_", " ")


def projection(grid: Grid) -> dict[str, Any]:
    """The projection extension's fields; ``proj:wkt2`` where the CRS has no code (contract 4.2).

    Tracks and points have no shape. The box of a curvilinear grid is known in degrees alone.
    """
    code = proj_code(grid.crs)
    out: dict[str, Any] = {"proj:code": code}
    if grid.kind in ("grid", "curvilinear"):
        out["proj:shape"] = list(grid.shape)
    if grid.kind == "grid" or (grid.kind == "curvilinear" and crs_of(grid.crs).is_geographic):
        out["proj:bbox"] = list(grid.bounds)
    if code is None:
        out["proj:wkt2"] = grid.crs
    return out | ({} if grid.transform is None else {"proj:transform": list(grid.transform)})


def resolution(grid: Grid) -> dict[str, Any]:
    """``raster:spatial_resolution`` is a distance on the ground, so only in a projected CRS, in metres."""
    crs = crs_of(grid.crs)
    if grid.transform is None or not crs.is_projected or not crs.axis_info:
        return {}
    size = math.hypot(grid.transform[0], grid.transform[3]) * crs.axis_info[0].unit_conversion_factor
    return {"raster:spatial_resolution": size}


def bands_of(variable: WrittenVariable, among: int = 1) -> list[dict[str, Any]]:
    """One for each band in the order of the file, named after the variable; of a picture after its colours.

    ``among`` is the number of the asset's variables: of several each has its own legend, else it is the asset's.
    """
    names = variable.colorinterp if len(variable.colorinterp) > 1 else (variable.name,)
    legend = _legend(variable) if among > 1 else {}
    return [_band(variable, name) | legend for name in names]


def _band(variable: WrittenVariable, name: str) -> dict[str, Any]:
    statistics = finite_statistics(variable)
    given = {
        "name": name,
        "description": variable.long_name,
        "data_type": data_type(variable.dtype),
        "nodata": variable.nodata,
        "unit": variable.units,
        "raster:scale": variable.scale,
        "raster:offset": variable.offset,
        "statistics": statistics_of(statistics) if statistics else None,
        "raster:histogram": histogram_of(statistics),
    }
    return {key: value for key, value in given.items() if value is not None}


def _classification(artifact: Artifact) -> dict[str, Any]:
    """The legend of an asset that holds one variable (classification 1.1)."""
    return _legend(artifact.variables[0]) if len(artifact.variables) == 1 else {}


def _legend(variable: WrittenVariable) -> dict[str, Any]:
    classes = [_class(cls, number) for number, cls in enumerate(variable.classes)]
    given = {"classification:classes": classes, "classification:bitfields": list(variable.bitfields)}
    return {key: value for key, value in given.items() if value}


def _class(cls: dict[str, Any], number: int) -> dict[str, Any]:
    """``color_hint`` is the colour that the thumbnail and the render have too."""
    title = cls.get("title") or cls["name"]
    return {
        "value": cls["value"],
        "name": cls["name"],
        "title": title,
        "description": cls.get("description") or title,
        "color_hint": bytes(class_color(cls.get("color"), number)).hex().upper(),
    }


def thumbnail_asset(profile: Profile, thumbnail: Thumbnail, up: str) -> pystac.Asset:
    """The preview of an Item or of the Collection; ``up`` leads from its STAC file to the product."""
    file = thumbnail.file
    fields = {"file:size": file.size, "file:checksum": f"1220{file.sha256}"}
    return pystac.Asset(href(profile, file.key, up), **THUMBNAIL, description=thumbnail.words, extra_fields=fields)
