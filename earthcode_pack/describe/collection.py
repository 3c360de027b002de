"""The Collection: the union of its Items, and what the profile states."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pystac

from earthcode_pack.describe.assets import (
    THUMBNAIL,
    asset_title,
    cf_parameters,
    data_asset,
    described,
    fields_of,
    media_type,
    thumbnail_asset,
    use_what_it_holds,
)
from earthcode_pack.describe.cube import cube_fields
from earthcode_pack.describe.renders import renders_of
from earthcode_pack.describe.stac import OSC_THEME, SOFTWARE, as_json, extensions, link, use
from earthcode_pack.geo.clusters import extent_boxes
from earthcode_pack.geo.crs import proj_code
from earthcode_pack.model import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from earthcode_pack.describe.assets import Thumbnail
    from earthcode_pack.geo.box import Box
    from earthcode_pack.model import Artifact
    from earthcode_pack.profile import Profile
    from earthcode_pack.profile.product import Contact

_OF_ONE_ITEM = ("statistics", "raster:histogram")  # fields of bands


@dataclass
class Gathered:
    """What the Collection needs of its Items: ids in their order, and each different box once."""

    ids: list[str] = field(default_factory=list)
    boxes: dict[Box, None] = field(default_factory=dict)

    def add(self, item: dict[str, Any]) -> None:
        """Notes one Item."""
        west, south, east, north = item["bbox"]
        self.ids.append(item["id"])
        self.boxes[west, south, east, north] = None


def collection_of(
    profile: Profile, artifacts: Sequence[Artifact], gathered: Gathered, thumbnail: Thumbnail | None
) -> dict[str, Any]:
    """The Collection: the union of its Items, and what the profile states.

    Its extent is the overall box and, where Items lie far apart, a box for each of the parts.
    """
    product = profile.product
    collection = pystac.Collection(
        id=product.id,
        title=product.title,
        description=product.description,
        license=product.license,
        keywords=product.keywords or None,
        extent=_extent(artifacts, gathered),
        providers=_providers(product.contacts),
        stac_extensions=extensions("version", "processing"),
        extra_fields=_collection_fields(profile, artifacts),
    )
    _optional_fields(collection, profile, artifacts)
    _summaries(collection, artifacts)
    _cube_of(collection, profile, artifacts)
    collection.extra_fields["item_assets"] = _item_assets(collection, profile, artifacts, shown=thumbnail is not None)
    if thumbnail is not None:
        use(collection, "file")
        collection.add_asset("thumbnail", thumbnail_asset(profile, thumbnail, "./"))
    _collection_links(collection, profile)
    data = as_json(collection)
    data["links"] += map(_item_link, gathered.ids)
    return data


def _extent(artifacts: Sequence[Artifact], gathered: Gathered) -> pystac.Extent:
    boxes = [list(box) for box in extent_boxes(gathered.boxes)]
    period = [min(artifact.period.start for artifact in artifacts), max(artifact.period.end for artifact in artifacts)]
    return pystac.Extent(pystac.SpatialExtent(boxes), pystac.TemporalExtent([[*period]]))


def _item_link(name: str) -> dict[str, str]:
    return {"rel": "item", "href": f"./items/{name}.json", "type": "application/geo+json", "title": name}


def _providers(contacts: list[Contact]) -> list[pystac.Provider] | None:
    """The organisations of the contacts, each once, with the roles that STAC knows."""
    known = {"licensor", "producer", "processor", "host"}
    roles: dict[str, dict[str, None]] = {}
    for contact in contacts:
        if contact.organization:
            roles.setdefault(contact.organization, {}).update(dict.fromkeys(r for r in contact.roles if r in known))
    return [pystac.Provider(name, roles=[*held] or ["producer"]) for name, held in roles.items()] or None  # type: ignore[list-item]


def _collection_fields(profile: Profile, artifacts: Sequence[Artifact]) -> dict[str, Any]:
    product = profile.product
    processed = [artifact.processed for artifact in artifacts]
    fields: dict[str, Any] = {
        "version": product.version,
        "created": rfc3339(min(processed)),
        "updated": rfc3339(max(processed)),
        "processing:software": SOFTWARE,
        "processing:datetime": rfc3339(max(processed)),
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


def _optional_fields(collection: pystac.Collection, profile: Profile, artifacts: Sequence[Artifact]) -> None:
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
    parameters = cf_parameters(artifacts)
    use_what_it_holds(collection, parameters)
    collection.extra_fields |= parameters
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


def _summaries(collection: pystac.Collection, artifacts: Sequence[Artifact]) -> None:
    """The CRS of the Items, so that a client need not read them.

    The CF parameters stand here too: the schema of cf v0.2.0 takes summaries only with them.
    """
    codes = sorted({code for wkt in {artifact.grid.crs for artifact in artifacts} if (code := proj_code(wkt))})
    if codes:
        use(collection, "projection")
        collection.summaries = pystac.Summaries({"proj:code": codes, **cf_parameters(artifacts)})


def _cube_of(collection: pystac.Collection, profile: Profile, artifacts: Sequence[Artifact]) -> None:
    """A store that spans the Collection is an asset of it too."""
    if artifacts[0].format != "zarr":
        return
    fields = fields_of(artifacts[0])
    for name in ("datacube", "file"):
        use(collection, name)
    use_what_it_holds(collection, fields)
    collection.extra_fields |= cube_fields(artifacts[0])
    collection.add_asset("data", data_asset(profile, artifacts[0], "./", fields))


def _item_assets(
    collection: pystac.Collection, profile: Profile, artifacts: Sequence[Artifact], *, shown: bool
) -> dict[str, dict[str, Any]]:
    """What every Item holds under each key; only fields on which all of them agree."""
    by_key: dict[str, dict[str, Any]] = {}
    for artifact in artifacts:
        found = _definition(profile, artifact)
        by_key[artifact.asset] = _agreed(by_key.get(artifact.asset, found), found)
    for fields in by_key.values():
        use_what_it_holds(collection, fields)
    thumbnail = {"title": THUMBNAIL["title"], "type": THUMBNAIL["media_type"], "roles": THUMBNAIL["roles"]}
    return by_key | ({"thumbnail": thumbnail} if shown else {})


def _definition(profile: Profile, artifact: Artifact) -> dict[str, Any]:
    fields = described(artifact)
    bands = [{key: value for key, value in band.items() if key not in _OF_ONE_ITEM} for band in fields["bands"]]
    shared = {"title": asset_title(profile, artifact), "type": media_type(artifact), "roles": ["data"]}
    return shared | fields | {"bands": bands, "processing:software": SOFTWARE}


def _agreed(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if other.get(key) == value}


def _collection_links(collection: pystac.Collection, profile: Profile) -> None:
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
