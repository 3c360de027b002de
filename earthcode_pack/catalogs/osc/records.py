"""The records that a product brings with it: its own, and those of a new variable, mission, project or experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.catalogs.osc.catalog import Kind, path_of
from earthcode_pack.catalogs.osc.links import JSON, Link, child, link, osc_extent, related, self_link
from earthcode_pack.errors import ProfileError
from earthcode_pack.model import rfc3339
from earthcode_pack.product_facts import (
    access_href,
    cf_parameters,
    citation_link,
    documentation_link,
    license_link,
    osc_variables,
    published_at,
    published_collection,
    themes_field,
)
from earthcode_pack.profile.period import parse_period

if TYPE_CHECKING:
    from earthcode_pack.catalogs.osc.changes import Draft
    from earthcode_pack.profile import Profile
    from earthcode_pack.profile.model import NewEntry
    from earthcode_pack.profile.product import Experiment

STAC_VERSION = "1.1.0"
RECORD_CORE = "http://www.opengis.net/spec/ogcapi-records-1/1.0/req/record-core"
_EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
_OSC, _THEMES, _CONTACTS = (_EXTENSION.format(name) for name in ("osc/v1.0.0", "themes/v1.0.0", "contacts/v0.1.1"))
_FORMATS = {"cog": "GeoTIFF", "zarr": "Zarr", "netcdf": "netCDF"}
_CODE_TYPES = {"notebook": "application/x-ipynb+json", "cwl": "application/cwl", "openeo": "application/json"}

Record = dict[str, Any]


def hierarchy(draft: Draft, kind: Kind) -> list[Link]:
    """Makes the links to the root and to the catalogue of the kind, with the titles that these state."""
    return [
        link("root", "../../catalog.json", draft.root_title()),
        link("parent", "../catalog.json", draft.index_title(kind)),
    ]


def theme_links(draft: Draft, themes: list[str]) -> list[Link]:
    """Makes a ``related`` link to every theme."""
    return [related("themes", theme, draft.title("themes", theme)) for theme in themes]


def product_record(profile: Profile, collection: Record, items: list[Record], draft: Draft, now: str) -> Record:
    """Makes ``products/<id>/collection.json`` of measured facts, the profile's ids and the targets' titles."""
    product = profile.product
    record = {
        "type": "Collection",
        "id": product.id,
        "stac_version": STAC_VERSION,
        "title": collection["title"],
        "description": collection["description"],
        "keywords": collection.get("keywords") or product.keywords,
        "license": collection["license"],
        "version": product.version,
        "created": now,
        "updated": now,
        "extent": osc_extent(collection["extent"]),
        "osc:type": "product",
        "osc:status": product.status,
        "osc:region": product.region,
        "osc:project": profile.project.id,
        "osc:variables": osc_variables(profile),
        "osc:missions": product.missions,
        "osc:experiment": profile.experiment.id if profile.experiment else None,
        "themes": themes_field(product.themes),
        "cf:parameter": cf_parameters(profile, collection),
        "sci:doi": product.doi,
        "providers": collection.get("providers"),
        "cube:dimensions": collection.get("cube:dimensions"),
        "cube:variables": collection.get("cube:variables"),
        "links": _product_links(profile, collection, items, draft),
    }
    said = {key: value for key, value in record.items() if value not in (None, [], {})}
    return {**said, "stac_extensions": _extensions(said, collection)}


def _extensions(record: Record, collection: Record) -> list[str]:
    """Lists the extensions of the record's fields; the datacube's in the version of the Collection."""
    cube = next((url for url in collection.get("stac_extensions", ()) if "/datacube/" in url), None)
    optional = {
        "cf:parameter": _EXTENSION.format("cf/v0.2.0"),
        "sci:doi": _EXTENSION.format("scientific/v1.0.0"),
        "version": _EXTENSION.format("version/v1.2.0"),
        "cube:dimensions": cube,
    }
    return [_OSC, _THEMES, *(url for key, url in optional.items() if key in record and url)]


def _product_links(profile: Profile, collection: Record, items: list[Record], draft: Draft) -> list[Link]:
    product, experiment = profile.product, profile.experiment
    made_by = [related("experiments", experiment.id, experiment.title)] if experiment else []
    references = [documentation_link(profile), license_link(profile, collection), citation_link(profile)]
    return [
        *hierarchy(draft, "products"),
        link("via", access_href(profile), "Access", "text/html" if profile.store and profile.store.prr else JSON),
        *(reference for reference in references if reference),
        related("projects", profile.project.id, draft.title("projects", profile.project.id)),
        *theme_links(draft, product.themes),
        *(related("variables", entry, draft.title("variables", entry)) for entry in osc_variables(profile)),
        *(related("eo-missions", entry, draft.title("eo-missions", entry)) for entry in product.missions),
        *made_by,
        link("child", published_collection(profile), collection["title"]),
        *(link("item", f"./{item_file(item)}", item["properties"].get("title") or item["id"]) for item in items),
        self_link(path_of("products", product.id)),
    ]


def item_file(item: Record) -> str:
    """Returns the file name of an Item in its product's folder, where ``collection.json`` is taken."""
    name = str(item["id"])
    return f"{name}-item.json" if name.lower() in ("collection", "catalog") else f"{name}.json"


def published_base(profile: Profile) -> str:
    """Returns the common start of the hrefs of all versions; the whole STAC href where the PRR has the product."""
    if profile.store and profile.store.prr:
        return published_collection(profile)
    return published_at(profile).rpartition("/v")[0] + "/v"


def variable_record(entry: str, new: NewEntry, themes: list[str], draft: Draft, now: str) -> Record:
    """Makes ``variables/<id>/catalog.json`` of a variable that the catalogue lacks."""
    about = link("via", new.href, "Description", "text/html")
    related_themes = theme_links(draft, themes)
    links = [*hierarchy(draft, "variables"), about, *related_themes, self_link(path_of("variables", entry))]
    record = _catalog_record(entry, new, links, now)
    return {**record, "stac_extensions": [_THEMES], "themes": themes_field(themes)}


def mission_record(entry: str, new: NewEntry, draft: Draft, now: str) -> Record:
    """Makes ``eo-missions/<id>/catalog.json`` of a mission that the catalogue lacks."""
    about = link("via", new.href, "Description", "text/html")
    links = [*hierarchy(draft, "eo-missions"), about, self_link(path_of("eo-missions", entry))]
    return _catalog_record(entry, new, links, now)


def _catalog_record(entry: str, new: NewEntry, links: list[Link], now: str) -> Record:
    return {
        "type": "Catalog",
        "id": entry,
        "stac_version": STAC_VERSION,
        "title": new.title,
        "description": new.description,
        "keywords": [],
        "updated": now,
        "links": links,
    }


def project_record(profile: Profile, collection: Record, draft: Draft, now: str) -> Record:
    """Makes ``projects/<id>/collection.json`` of a project that the catalogue lacks, with its first product's box.

    Raises ``ProfileError`` where the profile does not say what the record needs.
    """
    project, themes = profile.project, profile.product.themes
    if project.website is None or project.start is None or project.end is None:
        raise ProfileError("a new project needs project.website, project.start and project.end", "set them")
    start, end = rfc3339(parse_period(project.start).start), rfc3339(parse_period(project.end).end)
    return {
        "type": "Collection",
        "id": project.id,
        "stac_version": STAC_VERSION,
        "stac_extensions": [_OSC, _THEMES, _CONTACTS],
        "title": project.title,
        "description": project.description,
        "license": collection["license"],
        "updated": now,
        "extent": {**osc_extent(collection["extent"]), "temporal": {"interval": [[start, end]]}},
        "osc:type": "project",
        "osc:status": "planned" if now < start else "completed" if now > end else "ongoing",
        "themes": themes_field(themes),
        "contacts": _contacts(profile),
        "links": [
            *hierarchy(draft, "projects"),
            link("via", project.website, "Website", "text/html"),
            license_link(profile, collection),
            *theme_links(draft, themes),
            self_link(path_of("projects", project.id)),
        ],
    }


def _contacts(profile: Profile) -> list[Record]:
    """Lists the technical officer, and the organisations of the product's contacts as the consortium."""
    officer = profile.project.technical_officer
    if officer is None:
        raise ProfileError("a new project needs project.technical_officer", "set its name and email")
    officers: list[Record] = [
        {"name": officer.name, "roles": ["technical_officer"], "emails": [{"value": officer.email}]}
    ]
    names = dict.fromkeys(contact.organization or contact.name for contact in profile.product.contacts)
    return [*officers, *({"name": name, "roles": ["consortium_member"]} for name in names)]


def workflow_record(profile: Profile, draft: Draft, now: str) -> Record:
    """Makes ``workflows/<id>/record.json`` of the experiment's workflow, an OGC API Record."""
    experiment = _experiment(profile)
    workflow = experiment.workflow
    code = link("application", workflow.href, workflow.title, _CODE_TYPES.get(workflow.kind.lower()))
    links = [
        *hierarchy(draft, "workflows"),
        related("projects", profile.project.id, draft.title("projects", profile.project.id)),
        *theme_links(draft, profile.product.themes),
        code,
        child("experiments", experiment.id, experiment.title),
        self_link(path_of("workflows", workflow.id)),
    ]
    description = f"{workflow.title} ({workflow.kind}): the workflow that made {profile.product.title}."
    about = {"type": "workflow", "title": workflow.title, "description": description}
    return _feature(profile, workflow.id, about | {"osc:project": profile.project.id}, links, now)


def experiment_record(profile: Profile, draft: Draft, now: str) -> Record:
    """Makes ``experiments/<id>/record.json`` of what made the product, an OGC API Record."""
    experiment = _experiment(profile)
    workflow = experiment.workflow.id
    links = [
        *hierarchy(draft, "experiments"),
        child("products", profile.product.id, draft.title("products", profile.product.id)),
        related("workflows", workflow, draft.title("workflows", workflow)),
        related("projects", profile.project.id, draft.title("projects", profile.project.id)),
        *theme_links(draft, profile.product.themes),
        link("input", "./input.yaml", "Input parameters", "application/yaml"),
        link("environment", "./environment.yaml", "Execution environment", "application/yaml"),
        self_link(path_of("experiments", experiment.id)),
    ]
    description = f"{experiment.title}: the run that made {profile.product.title}."
    about = {"type": "experiment", "title": experiment.title, "description": description}
    made_by = {"osc:workflow": workflow, "version": profile.product.version}
    return _feature(profile, experiment.id, about | made_by, links, now)


def _experiment(profile: Profile) -> Experiment:
    if profile.experiment is None:
        raise ProfileError("the profile names no experiment", "set experiment")
    return profile.experiment


def _feature(profile: Profile, entry: str, about: Record, links: list[Link], now: str) -> Record:
    """Makes an OGC API Record of a workflow or experiment."""
    properties = {
        "created": now,
        "updated": now,
        **{key: about[key] for key in ("type", "title", "description")},
        "keywords": profile.product.keywords,
        "formats": [{"name": _FORMATS[profile.target.format]}],
        "license": profile.product.license,
        "themes": themes_field(profile.product.themes),
        **about,
    }
    return {
        "id": entry,
        "type": "Feature",
        "conformsTo": [RECORD_CORE],
        "geometry": None,
        "properties": properties,
        "linkTemplates": [],
        "links": links,
    }
