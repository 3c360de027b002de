"""The STAC Collection: the union of its Items, and what the profile states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pystac

from earthcode_pack.describe.item import (
    THUMBNAIL,
    asset_title,
    cf_parameters,
    cube_fields,
    data_asset,
    file_fields,
    media_type,
    shared_fields,
    thumbnail_asset,
)
from earthcode_pack.describe.rendering import renders_of
from earthcode_pack.describe.stac import OSC_THEME, SOFTWARE, as_json, present
from earthcode_pack.geo.box import extent_boxes
from earthcode_pack.geo.crs import proj_code
from earthcode_pack.model import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from earthcode_pack.describe.item import Thumbnail
    from earthcode_pack.geo.box import Box
    from earthcode_pack.model import Artifact
    from earthcode_pack.profile import Profile

_OF_ONE_ITEM = ("statistics", "raster:histogram")  # fields of bands
_ROLES = ("licensor", "producer", "processor", "host")  # STAC 1.1, Provider Object


def collection_of(
    profile: Profile,
    artifacts: Sequence[Artifact],
    items: Iterable[str],
    boxes: Iterable[Box],
    thumbnail: Thumbnail | None,
) -> dict[str, Any]:
    """Describes a product as a Collection.

    Args:
        profile: the product's profile.
        artifacts: all files and stores of the product.
        items: ids of all Items, in their order.
        boxes: boxes of all Items; the extent is the overall box and, where they lie far apart, a box for each part.
        thumbnail: the preview of the product.

    """
    product, periods = profile.product, [artifact.period for artifact in artifacts]
    times = [min(period.start for period in periods), max(period.end for period in periods)]
    codes = sorted({code for wkt in {artifact.grid.crs for artifact in artifacts} if (code := proj_code(wkt))})
    parameters = cf_parameters(artifacts)
    is_cube = artifacts[0].format == "zarr"  # one store that spans the Collection
    roles: dict[str, dict[str, None]] = {}  # by organisation
    for contact in product.contacts:
        if contact.organization:
            roles.setdefault(contact.organization, {}).update(dict.fromkeys(r for r in contact.roles if r in _ROLES))
    collection = pystac.Collection(
        id=product.id,
        title=product.title,
        description=product.description,
        license=product.license,
        keywords=product.keywords or None,
        extent=pystac.Extent(
            pystac.SpatialExtent([list(box) for box in extent_boxes(boxes)]), pystac.TemporalExtent([[*times]])
        ),
        providers=[pystac.Provider(name, roles=[*held] or ["producer"]) for name, held in roles.items()] or None,  # type: ignore[list-item]
        # the schema of cf v0.2.0 accepts summaries only with the CF parameters
        summaries=pystac.Summaries({"proj:code": codes, **parameters} if codes else {}),
        extra_fields={
            **_stated_fields(profile, artifacts),
            **parameters,
            **present({"renders": renders_of(profile, artifacts) or None}),
            **(cube_fields(artifacts[0]) if is_cube else {}),
            "item_assets": _item_assets(profile, artifacts, with_thumbnail=thumbnail is not None),
        },
    )
    if is_cube:
        collection.add_asset("data", data_asset(profile, artifacts[0], "./", file_fields(artifacts[0])))
    if thumbnail is not None:
        collection.add_asset("thumbnail", thumbnail_asset(profile, thumbnail, "./"))
    _add_links(collection, profile)
    data = as_json(collection)
    data["links"] += [
        {"rel": "item", "href": f"./items/{name}.json", "type": "application/geo+json", "title": name} for name in items
    ]
    return data


def _stated_fields(profile: Profile, artifacts: Sequence[Artifact]) -> dict[str, Any]:
    product, project = profile.product, profile.project
    processed = [artifact.processed for artifact in artifacts]
    themes = [{"id": theme} for theme in product.themes]
    contacts = [
        present(
            {
                "name": contact.name,
                "organization": contact.organization,
                "emails": [{"value": contact.email}] if contact.email else None,
                "roles": contact.roles or None,
            }
        )
        for contact in product.contacts
    ]
    fields: dict[str, Any] = {
        "version": product.version,
        "created": rfc3339(min(processed)),
        "updated": rfc3339(max(processed)),
        "processing:software": SOFTWARE,
        "processing:datetime": rfc3339(max(processed)),
        # osc v1.0.0 is not listed: it refuses the fields that only the PRR knows. The catalogue's record lists it.
        "osc:type": "product",
        "osc:project": project.id,
        "osc:project_description": project.description,
        "osc:project_website": project.website,
        "osc:initiative": project.initiative,
        "osc:contract-number": project.contract_number,
        "osc:status": product.status,
        "osc:region": product.region,
        "osc:missions": product.missions or None,
        "osc:variables": [spec.osc for spec in product.variables.values() if spec.osc] or None,
        "osc:experiment": profile.experiment and profile.experiment.id,
        "themes": [{"scheme": OSC_THEME, "concepts": themes}] if themes else None,
        "contacts": contacts or None,
        "sci:doi": product.doi or None,
    }
    return present(fields)


def _item_assets(profile: Profile, artifacts: Sequence[Artifact], *, with_thumbnail: bool) -> dict[str, dict[str, Any]]:
    """Describes what every Item holds under each asset key, by the fields on which all of them agree."""
    by_key: dict[str, dict[str, Any]] = {}
    for artifact in artifacts:
        fields = shared_fields(artifact)
        bands = [{key: value for key, value in band.items() if key not in _OF_ONE_ITEM} for band in fields["bands"]]
        found = {
            "title": asset_title(profile, artifact),
            "type": media_type(artifact),
            "roles": ["data"],
            **fields,
            "bands": bands,
            "processing:software": SOFTWARE,
        }
        agreed = by_key.get(artifact.asset, found)
        by_key[artifact.asset] = {key: value for key, value in agreed.items() if found.get(key) == value}
    if with_thumbnail:
        by_key["thumbnail"] = {
            "title": THUMBNAIL["title"],
            "type": THUMBNAIL["media_type"],
            "roles": THUMBNAIL["roles"],
        }
    return by_key


def _add_links(collection: pystac.Collection, profile: Profile) -> None:
    product = profile.product
    links = [pystac.Link("root", "./collection.json", "application/json", product.title)]
    if product.license_href:
        links.append(pystac.Link("license", product.license_href, title="Licence"))
    elif product.license not in ("proprietary", "various"):
        page = f"https://spdx.org/licenses/{product.license}.html"
        links.append(pystac.Link("license", page, "text/html", product.license))
    if product.documentation:
        links.append(pystac.Link("about", product.documentation, title="Documentation"))
    if product.doi:
        links.append(pystac.Link("cite-as", f"https://doi.org/{product.doi}"))
    collection.add_links(links)
