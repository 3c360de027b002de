"""The Collection: the union of its Items, and what the profile states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pystac

from earthcode_pack.describe.assets import (
    asset_title,
    bands_of,
    checksum,
    media_type,
    resolution,
    thumbnail_asset,
    use_what_it_holds,
)
from earthcode_pack.describe.cube import cube_fields
from earthcode_pack.describe.extent import union
from earthcode_pack.describe.renders import renders_of
from earthcode_pack.describe.stac import OSC_THEME, SOFTWARE, as_json, extensions, href, link, use
from earthcode_pack.model import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.model import Artifact, File
    from earthcode_pack.profile import Profile
    from earthcode_pack.profile.model import Contact


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
        stac_extensions=extensions("version", "processing"),
        extra_fields=_collection_fields(profile, artifacts),
    )
    _optional_fields(collection, profile, artifacts)
    _cube_of(collection, profile, artifacts)
    _item_assets(collection, artifacts)
    if thumbnail is not None:
        collection.add_asset("thumbnail", thumbnail_asset(profile, thumbnail, "./"))
    _collection_links(collection, profile, items)
    return as_json(collection)


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
        # osc v1.0.0 is not listed: it refuses the fields that only the PRR knows. The catalogue's record lists it.
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
        use(collection, "themes")
        collection.extra_fields["themes"] = [
            {"scheme": OSC_THEME, "concepts": [{"id": theme} for theme in product.themes]}
        ]
    if product.contacts:
        use(collection, "contacts")
        collection.extra_fields["contacts"] = [_contact(contact) for contact in product.contacts]
    if product.doi:
        use(collection, "scientific")
        collection.extra_fields["sci:doi"] = product.doi
    parameters = _cf_parameters(artifacts)
    if parameters:
        use(collection, "cf")
        collection.extra_fields["cf:parameter"] = parameters
    renders = renders_of(profile, artifacts)
    if renders:
        use(collection, "render")
        collection.extra_fields["renders"] = renders


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
        use(collection, name)
    collection.extra_fields |= cube_fields(artifacts[0])
    collection.add_asset("data", pystac.Asset(
        href=href(profile, artifacts[0].key, "./"), title=asset_title(profile, artifacts[0]), roles=["data"],
        media_type=media_type(artifacts[0]),
        extra_fields={"file:size": artifacts[0].size, "file:checksum": checksum(artifacts[0])},
    ))  # fmt: skip


def _item_assets(collection: pystac.Collection, artifacts: list[Artifact]) -> None:
    """What every Item holds under each key; only fields on which all of them agree."""
    by_key: dict[str, list[dict[str, Any]]] = {}
    for artifact in artifacts:
        bands = [
            {k: v for k, v in band.items() if k != "statistics"} for v in artifact.variables for band in bands_of(v)
        ]
        shared = {"type": media_type(artifact), "roles": ["data"], "processing:software": SOFTWARE, "bands": bands}
        by_key.setdefault(artifact.asset, []).append(shared | resolution(artifact.grid))
    definitions = {key: _agreed(found) for key, found in by_key.items()}
    for fields in definitions.values():
        use_what_it_holds(collection, fields)
    collection.extra_fields["item_assets"] = definitions


def _agreed(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in found[0].items() if all(other.get(key) == value for other in found[1:])}


def _collection_links(collection: pystac.Collection, profile: Profile, items: list[dict[str, Any]]) -> None:
    product = profile.product
    link(collection, "root", "./collection.json", product.title)
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
