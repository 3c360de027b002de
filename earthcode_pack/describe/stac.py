"""STAC 1.1: the one place that knows the extensions' URLs, and what of an artifact goes into which field."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pystac

from earthcode_pack import __version__
from earthcode_pack.describe.extent import box_geometry, lonlat_box, outline, proj_code, union
from earthcode_pack.model import Artifact, Dimension, File, Grid, Period, WrittenVariable, rfc3339

if TYPE_CHECKING:
    from earthcode_pack.profile import Profile
    from earthcode_pack.profile.model import Contact

_HOST = "https://stac-extensions.github.io"
EXTENSIONS = {
    "projection": f"{_HOST}/projection/v2.0.0/schema.json",
    "raster": f"{_HOST}/raster/v2.0.0/schema.json",
    "file": f"{_HOST}/file/v2.1.0/schema.json",
    "datacube": f"{_HOST}/datacube/v2.3.0/schema.json",
    "classification": f"{_HOST}/classification/v1.1.0/schema.json",
    "render": f"{_HOST}/render/v2.0.0/schema.json",
    "processing": f"{_HOST}/processing/v1.2.0/schema.json",
    "scientific": f"{_HOST}/scientific/v1.0.0/schema.json",
    "version": f"{_HOST}/version/v1.2.0/schema.json",
    "contacts": f"{_HOST}/contacts/v0.1.1/schema.json",
    "themes": f"{_HOST}/themes/v1.0.0/schema.json",
    "cf": f"{_HOST}/cf/v0.2.0/schema.json",
}
OSC_THEME = "https://github.com/stac-extensions/osc#theme"
_MEDIA_TYPES = {
    "cog": "image/tiff; application=geotiff; profile=cloud-optimized",
    "netcdf": "application/netcdf",
}
SOFTWARE = {"earthcode_pack": __version__}


# --- Item -----------------------------------------------------------------------------------------------------------


def item_of(profile: Profile, artifacts: list[Artifact], thumbnail: File | None) -> dict[str, Any]:
    """The Item of one or more artifacts of one time and scene.

    ``bbox`` and ``geometry`` in WGS 84 longitude and latitude; ``proj:shape`` is (rows, columns), ``proj:bbox`` in the
    units of the CRS, x before y, ``proj:transform`` GDAL's affine (a, b, c, d, e, f). Times in UTC.
    """
    boxes = [lonlat_box(artifact.grid) for artifact in artifacts]
    one_grid = len({artifact.grid.digest for artifact in artifacts}) == 1
    item = pystac.Item(
        id=artifacts[0].item,
        geometry=outline(artifacts[0].grid) if one_grid else box_geometry(union(boxes)),
        bbox=list(union(boxes)),
        datetime=min(artifact.period.start for artifact in artifacts),
        properties=_properties(profile, artifacts, one_grid),
        stac_extensions=_extensions("file", "projection", "processing"),
        collection=profile.product.id,
    )
    for artifact in artifacts:
        item.add_asset(artifact.asset, _asset(profile, artifact, one_grid, item))
    if thumbnail is not None:
        item.add_asset("thumbnail", _thumbnail(profile, thumbnail, "../"))
    _link(item, "root", "../collection.json", profile.product.title)
    _link(item, "parent", "../collection.json", profile.product.title)
    _link(item, "collection", "../collection.json", profile.product.title)
    return _as_json(item)


def _properties(profile: Profile, artifacts: list[Artifact], one_grid: bool) -> dict[str, Any]:  # noqa: FBT001
    period = Period(start=min(a.period.start for a in artifacts), end=max(a.period.end for a in artifacts))
    sources = sorted({href.rsplit("/", 1)[-1] for artifact in artifacts for href, _ in artifact.sources})
    shown = ", ".join(sources[:5]) + (f" and {len(sources) - 5} more" if len(sources) > 5 else "")  # noqa: PLR2004
    return {
        "title": f"{profile.product.title}: {artifacts[0].item}",
        "datetime": rfc3339(period.start),
        "start_datetime": rfc3339(period.start),
        "end_datetime": rfc3339(period.end),
        **({} if not one_grid else _projection(artifacts[0].grid)),
        "processing:software": SOFTWARE,
        "processing:datetime": rfc3339(max(artifact.processed for artifact in artifacts)),
        "processing:lineage": f"Converted without loss from {shown}" if not any(a.max_error for a in artifacts)
        else f"Converted from {shown}, no value off by more than {max(a.max_error for a in artifacts):g}",
    }  # fmt: skip


def _projection(grid: Grid) -> dict[str, Any]:
    code = proj_code(grid)
    out: dict[str, Any] = {"proj:code": code, "proj:shape": list(grid.shape), "proj:bbox": list(grid.bounds)}
    if code is None:
        out["proj:wkt2"] = grid.crs
    return out | ({} if grid.transform is None else {"proj:transform": list(grid.transform)})


def _asset(profile: Profile, artifact: Artifact, one_grid: bool, item: pystac.Item) -> pystac.Asset:  # noqa: FBT001
    fields = {
        "file:size": artifact.size,
        "file:checksum": checksum(artifact),
        **({} if one_grid else _projection(artifact.grid)),
        **_resolution(artifact.grid),
        "bands": [band for variable in artifact.variables for band in _bands(variable)],
        **_classification(artifact, item),
    }
    if _has_raster_fields(fields):
        _use(item, "raster")
    if artifact.dimensions:
        _use(item, "datacube")
        item.properties |= cube_fields(artifact)
    return pystac.Asset(
        href=href(profile, artifact.key, "../"), title=_asset_title(profile, artifact), roles=["data"],
        media_type=media_type(artifact), extra_fields=fields,
    )  # fmt: skip


def _has_raster_fields(fields: dict[str, Any]) -> bool:
    """Whether an asset uses the raster extension: its schema refuses to be listed in vain."""
    keys = {*fields, *(key for band in fields.get("bands", ()) for key in band)}
    return any(key.startswith("raster:") for key in keys)


def media_type(artifact: Artifact) -> str:
    """The media type of an artifact; a zipped store is the PRR's ``application/zip+zarr``."""
    if artifact.format != "zarr":
        return _MEDIA_TYPES[artifact.format]
    return (
        "application/zip+zarr"
        if artifact.facts["zipped"]
        else f"application/vnd.zarr; version={artifact.facts['version']}"
    )


def checksum(artifact: Artifact) -> str:
    """A multihash (sha2-256). Of a store: of the sorted lines ``<sha256>  <key within the store>``."""
    if len(artifact.files) == 1:
        return f"1220{artifact.files[0].sha256}"
    lines = sorted(f"{file.sha256}  {file.key.removeprefix(artifact.key + '/')}\n" for file in artifact.files)
    return "1220" + hashlib.sha256("".join(lines).encode()).hexdigest()


def _asset_title(profile: Profile, artifact: Artifact) -> str:
    if artifact.format != "cog":
        return f"{profile.product.title} ({'Zarr' if artifact.format == 'zarr' else 'NetCDF-4'})"
    variable = artifact.variables[0]
    return variable.long_name or (variable.standard_name or variable.name).replace("_", " ")


def _resolution(grid: Grid) -> dict[str, Any]:
    """``raster:spatial_resolution`` is a distance on the ground, so only in a projected CRS, in metres."""
    from pyproj import CRS  # noqa: PLC0415

    if grid.transform is None:
        return {}
    crs = CRS.from_wkt(grid.crs)
    metres = crs.axis_info[0].unit_conversion_factor if crs.is_projected and crs.axis_info else None
    return {"raster:spatial_resolution": math.hypot(grid.transform[0], grid.transform[3]) * metres} if metres else {}


def _bands(variable: WrittenVariable) -> list[dict[str, Any]]:
    names = variable.colorinterp if len(variable.colorinterp) > 1 else (variable.name,)
    return [_band(variable, name) for name in names]


def _band(variable: WrittenVariable, name: str) -> dict[str, Any]:
    is_number = variable.statistics is not None and len(variable.colorinterp) <= 1
    statistics = variable.statistics.model_dump() if is_number and variable.statistics else None
    given = {
        "name": name,
        "description": variable.long_name,
        "data_type": variable.dtype,
        "nodata": variable.nodata,
        "unit": variable.units,
        "raster:scale": variable.scale,
        "raster:offset": variable.offset,
        "statistics": statistics,
    }
    return {key: value for key, value in given.items() if value is not None}


def _classification(artifact: Artifact, item: pystac.Item) -> dict[str, Any]:
    classes = [cls for variable in artifact.variables for cls in variable.classes]
    if not classes or len(artifact.variables) > 1:
        return {}
    _use(item, "classification")
    return {"classification:classes": [_class(cls) for cls in classes]}


def _class(cls: dict[str, Any]) -> dict[str, Any]:
    title = cls.get("title") or cls["name"]
    given = {
        "value": cls["value"],
        "name": cls["name"],
        "title": title,
        "description": cls.get("description") or title,
        "color_hint": cls.get("color"),
    }
    return {key: value for key, value in given.items() if value is not None}


# --- cubes ----------------------------------------------------------------------------------------------------------


def cube_fields(artifact: Artifact) -> dict[str, Any]:
    """``cube:dimensions`` and ``cube:variables`` of a Zarr store or a NetCDF file (datacube 2.3)."""
    return {
        "cube:dimensions": {dim.name: _dimension(dim, artifact.grid) for dim in artifact.dimensions},
        "cube:variables": {variable.name: _cube_variable(variable) for variable in artifact.variables},
    }


def _dimension(dim: Dimension, grid: Grid) -> dict[str, Any]:
    kind = {"x": "spatial", "y": "spatial", "z": "spatial", "t": "temporal"}.get(dim.axis or "", "other")
    out: dict[str, Any] = {"type": kind}
    if kind == "spatial":
        out |= {"axis": dim.axis, "reference_system": _reference_system(grid)} if dim.axis != "z" else {"axis": "z"}
    if dim.extent != (None, None):
        out["extent"] = list(dim.extent)
    if dim.values is not None:
        out["values"] = list(dim.values)
    out |= {"step": dim.step} if dim.step is not None or dim.axis else {}
    return out | ({"unit": dim.units} if dim.units and kind != "temporal" else {})


def _reference_system(grid: Grid) -> Any:
    code = proj_code(grid)
    return int(code.removeprefix("EPSG:")) if code and code.startswith("EPSG:") else grid.crs


def _cube_variable(variable: WrittenVariable) -> dict[str, Any]:
    statistics = variable.statistics
    given = {
        "dimensions": list(variable.dims),
        "type": "data",
        "description": variable.long_name,
        "unit": variable.units,
        "data_type": variable.dtype,
        "nodata": variable.nodata,
        "shape": list(variable.shape),
        "chunks": list(variable.chunks),
        "extent": [statistics.minimum, statistics.maximum] if statistics else None,
    }
    return {key: value for key, value in given.items() if value is not None}


# --- Collection -----------------------------------------------------------------------------------------------------


def collection_of(
    profile: Profile, artifacts: list[Artifact], items: list[dict[str, Any]], thumbnail: File | None
) -> dict[str, Any]:
    """The Collection: the union of its Items, and what the profile states."""
    product = profile.product
    collection = pystac.Collection(
        id=product.id,
        title=product.title,
        description=product.description,
        license=product.license,
        keywords=product.keywords or None,
        extent=_extent(items),
        providers=_providers(product.contacts),
        stac_extensions=_extensions("version", "processing"),
        extra_fields=_collection_fields(profile, artifacts),
    )
    _optional_fields(collection, profile, artifacts)
    if thumbnail is not None:
        collection.add_asset("thumbnail", _thumbnail(profile, thumbnail, "./"))
    _collection_links(collection, profile, items)
    return _as_json(collection)


def _extent(items: list[dict[str, Any]]) -> pystac.Extent:
    box = union(tuple(item["bbox"]) for item in items)
    starts = [pystac.utils.str_to_datetime(item["properties"]["start_datetime"]) for item in items]
    ends = [pystac.utils.str_to_datetime(item["properties"]["end_datetime"]) for item in items]
    return pystac.Extent(pystac.SpatialExtent([list(box)]), pystac.TemporalExtent([[min(starts), max(ends)]]))


def _providers(contacts: list[Contact]) -> list[pystac.Provider] | None:
    """The organisations of the contacts, each once, with the roles that STAC knows."""
    known = {"licensor", "producer", "processor", "host"}
    roles: dict[str, dict[str, None]] = {}
    for contact in contacts:
        if contact.organization:
            roles.setdefault(contact.organization, {}).update(dict.fromkeys(r for r in contact.roles if r in known))
    return [pystac.Provider(name, roles=[*held] or ["producer"]) for name, held in roles.items()] or None  # type: ignore[list-item]


def _collection_fields(profile: Profile, artifacts: list[Artifact]) -> dict[str, Any]:
    product = profile.product
    fields: dict[str, Any] = {
        "version": product.version,
        "processing:software": SOFTWARE,
        "processing:datetime": rfc3339(max(artifact.processed for artifact in artifacts)),
        # Not listed as an extension: osc v1.0.0 refuses the fields that only the PRR knows, and is listed in the catalogue.
        "osc:type": "product",
        "osc:project": profile.project.id,
        "osc:project_description": profile.project.description,
        "osc:project_website": profile.project.website,
        "osc:initiative": profile.project.initiative,
        "osc:contract-number": profile.project.contract_number,
        "osc:status": product.status,
        "osc:region": product.region,
        "osc:missions": product.missions or None,
        "osc:variables": [spec.osc for spec in product.variables.values() if spec.osc] or None,
        "osc:experiment": profile.experiment and profile.experiment.id,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _optional_fields(collection: pystac.Collection, profile: Profile, artifacts: list[Artifact]) -> None:
    product = profile.product
    if product.themes:
        _use(collection, "themes")
        collection.extra_fields["themes"] = [
            {"scheme": OSC_THEME, "concepts": [{"id": theme} for theme in product.themes]}
        ]
    if product.contacts:
        _use(collection, "contacts")
        collection.extra_fields["contacts"] = [_contact(contact) for contact in product.contacts]
    if product.doi:
        _use(collection, "scientific")
        collection.extra_fields["sci:doi"] = product.doi
    parameters = _cf_parameters(artifacts)
    if parameters:
        _use(collection, "cf")
        collection.extra_fields["cf:parameter"] = parameters
    _cube_of(collection, profile, artifacts)
    _item_assets(collection, artifacts)
    _renders(collection, profile, artifacts)


def _contact(contact: Contact) -> dict[str, Any]:
    given = {
        "name": contact.name,
        "organization": contact.organization,
        "emails": [{"value": contact.email}] if contact.email else None,
        "roles": contact.roles or None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _cf_parameters(artifacts: Iterable[Artifact]) -> list[dict[str, str]]:
    found: dict[str, str | None] = {}
    for artifact in artifacts:
        for variable in artifact.variables:
            if variable.standard_name:
                found.setdefault(variable.standard_name, variable.units)
    return [{"name": name} | ({"unit": unit} if unit else {}) for name, unit in found.items()]


def _cube_of(collection: pystac.Collection, profile: Profile, artifacts: list[Artifact]) -> None:
    """A store that spans the Collection is an asset of it too."""
    if artifacts[0].format != "zarr":
        return
    for name in ("datacube", "file"):
        _use(collection, name)
    collection.extra_fields |= cube_fields(artifacts[0])
    collection.add_asset("data", pystac.Asset(
        href=href(profile, artifacts[0].key, "./"), title=_asset_title(profile, artifacts[0]), roles=["data"],
        media_type=media_type(artifacts[0]),
        extra_fields={"file:size": artifacts[0].size, "file:checksum": checksum(artifacts[0])},
    ))  # fmt: skip


def _item_assets(collection: pystac.Collection, artifacts: list[Artifact]) -> None:
    """What every Item holds under each key; only fields on which all of them agree."""
    by_key: dict[str, list[dict[str, Any]]] = {}
    for artifact in artifacts:
        bands = [{k: v for k, v in band.items() if k != "statistics"} for v in artifact.variables for band in _bands(v)]
        shared = {"type": media_type(artifact), "roles": ["data"], "processing:software": SOFTWARE, "bands": bands}
        by_key.setdefault(artifact.asset, []).append(shared | _resolution(artifact.grid))
    definitions = {key: _agreed(found) for key, found in by_key.items()}
    collection.extra_fields["item_assets"] = definitions
    if any(_has_raster_fields(fields) for fields in definitions.values()):
        _use(collection, "raster")


def _agreed(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in found[0].items() if all(other.get(key) == value for other in found[1:])}


def _renders(collection: pystac.Collection, profile: Profile, artifacts: list[Artifact]) -> None:
    """How a client would draw each quantity: over the range of all Items, or the profile's."""
    ranges: dict[str, list[float]] = {}
    for artifact in artifacts:
        for variable in artifact.variables:
            if variable.statistics is None or variable.classes or len(variable.colorinterp) > 1:
                continue
            low, high = ranges.get(variable.name, [math.inf, -math.inf])
            ranges[variable.name] = [min(low, variable.statistics.minimum), max(high, variable.statistics.maximum)]
    is_cog = artifacts[0].format == "cog"
    renders = {name: _render(profile, name, name if is_cog else "data", span) for name, span in ranges.items()}
    renders |= {v.name: _class_render(v, v.name if is_cog else "data") for a in artifacts for v in a.variables if v.classes}
    if renders:
        _use(collection, "render")
        collection.extra_fields["renders"] = renders


def _render(profile: Profile, name: str, asset: str, span: list[float]) -> dict[str, Any]:
    preview = profile.product.preview
    chosen = preview if preview and preview.variable == name else None
    return {
        "title": name,
        "assets": [asset],
        "rescale": [list(chosen.range) if chosen and chosen.range else span],
        "colormap_name": chosen.colormap if chosen else "viridis",
    }


def _class_render(variable: WrittenVariable, asset: str) -> dict[str, Any]:
    """A colour for each class, as clients of the render extension take it: value to (red, green, blue, alpha)."""
    colored = [item for item in variable.classes if item.get("color")]
    colormap = {str(item["value"]): [*bytes.fromhex(item["color"]), 255] for item in colored}
    out: dict[str, Any] = {"title": variable.name, "assets": [asset], "resampling": "nearest"}
    return out | ({"colormap": colormap} if colormap else {})


def _collection_links(collection: pystac.Collection, profile: Profile, items: list[dict[str, Any]]) -> None:
    product = profile.product
    _link(collection, "root", "./collection.json", product.title)
    if product.license_href:
        collection.add_link(pystac.Link("license", product.license_href, title="Licence"))
    elif product.license not in ("proprietary", "various"):
        collection.add_link(
            pystac.Link("license", f"https://spdx.org/licenses/{product.license}.html", "text/html", product.license)
        )
    if product.documentation:
        collection.add_link(pystac.Link("about", product.documentation, title="Documentation"))
    if product.doi:
        collection.add_link(pystac.Link("cite-as", f"https://doi.org/{product.doi}"))
    for item in items:
        collection.add_link(pystac.Link("item", f"./items/{item['id']}.json", "application/geo+json", item["id"]))


# --- shared ---------------------------------------------------------------------------------------------------------


def href(profile: Profile, key: str, up: str) -> str:
    """Where a reader finds a key of the product: relative to the STAC file, or under ``store.public_href``."""
    product, store = profile.product, profile.store
    if store is None or store.public_href is None:
        return f"{up}{key}"
    return f"{store.public_href.rstrip('/')}/{product.id}/v{product.version}/{key}"


def _thumbnail(profile: Profile, file: File, up: str) -> pystac.Asset:
    fields = {"file:size": file.size, "file:checksum": f"1220{file.sha256}"}
    return pystac.Asset(
        href=href(profile, file.key, up),
        title="Preview",
        media_type="image/png",
        roles=["thumbnail"],
        extra_fields=fields,
    )


def _extensions(*names: str) -> list[str]:
    return [EXTENSIONS[name] for name in names]


def _use(target: pystac.Item | pystac.Collection, name: str) -> None:
    if EXTENSIONS[name] not in target.stac_extensions:
        target.stac_extensions.append(EXTENSIONS[name])


def _link(target: pystac.Item | pystac.Collection, rel: str, where: str, title: str) -> None:
    target.add_link(pystac.Link(rel, where, "application/json", title))


def _as_json(target: pystac.Item | pystac.Collection) -> dict[str, Any]:
    """The object as it is written: links as given, none to itself, since the bundle may lie anywhere."""
    data = target.to_dict(include_self_link=False, transform_hrefs=False)
    data["stac_extensions"] = sorted(data["stac_extensions"])
    return data
