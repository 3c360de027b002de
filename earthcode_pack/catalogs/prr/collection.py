"""The Collection that the PRR's operator registers, and what the PRR's QA job would miss in it (codes 32 to 46)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from earthcode_pack.catalogs.prr import rules
from earthcode_pack.catalogs.prr.gateway import is_closed, without_store_access
from earthcode_pack.product_facts import (
    cf_parameters,
    citation_link,
    documentation_link,
    license_link,
    osc_variables,
    published_at,
    record_time,
    themes_field,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Finding
    from earthcode_pack.profile import Profile

_EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
_LARGEST_THUMBNAIL = 5_000_000  # bytes
_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}

Record = dict[str, Any]


def prr_id(profile: Profile) -> str:
    """Returns the id of the PRR's Collection: the profile's, or the product's."""
    prr = profile.store.prr if profile.store else None
    return prr.collection if prr else profile.product.id


def public_folder(profile: Profile) -> str | None:
    """Returns the published product's href; None where readers have none."""
    return published_at(profile) if profile.store and profile.store.public_href else None


def collection_for_prr(bundle: Bundle) -> Record:
    """Rewrites the bundle's Collection without what it takes from a closed store, or states of one."""
    collection, public = bundle.collection(), public_folder(bundle.profile())
    if not is_closed(collection):
        return collection
    told, base = without_store_access(collection), f"{public}/" if public else "./"
    assets = told.get("assets", {}).items()
    return {**told, "assets": {key: {**asset, "href": asset["href"].replace(base, "./")} for key, asset in assets}}


def prr_collection(bundle: Bundle, items: list[str], project: Mapping[str, Any]) -> Record:
    """Makes the Collection that the PRR's operator registers, with the fields that the PRR asks for.

    The osc extension is not listed: its schema is closed and refuses the project's fields.

    Args:
        bundle: a prepared bundle.
        items: ids of the Items, linked as files of the same folder.
        project: the project's record in the Open Science Catalog, for what the profile leaves out.

    """
    profile, collection = bundle.profile(), collection_for_prr(bundle)
    added = {
        "id": prr_id(profile),
        "processing:datetime": collection.get("processing:datetime") or record_time(bundle),
        **_osc_fields(profile, project),
        "themes": themes_field(profile.product.themes) if profile.product.themes else None,
        "cf:parameter": cf_parameters(profile, collection),
        "sci:doi": profile.product.doi,
        "assets": _assets(bundle, collection),
    }
    said = {key: value for key, value in added.items() if value not in (None, [], {})}
    record = {key: value for key, value in collection.items() if key not in ("assets", "links")} | said
    return {**record, "stac_extensions": _extensions(record), "links": _links(profile, collection, items)}


def _osc_fields(profile: Profile, project: Mapping[str, Any]) -> Record:
    stated, product = profile.project, profile.product
    return {
        "osc:type": "product",
        "osc:status": product.status,
        "osc:region": product.region,
        "osc:project": stated.id,
        "osc:project_description": stated.description or project.get("description"),
        "osc:project_website": stated.website or _website(project),
        "osc:initiative": stated.initiative,
        "osc:contract-number": stated.contract_number,
        "osc:variables": osc_variables(profile),
        "osc:missions": product.missions,
    }


def _website(project: Mapping[str, Any]) -> str | None:
    vias = [link for link in project.get("links", ()) if link.get("rel") == "via"]
    named = [link for link in vias if link.get("title") == "Website"]
    return next((str(link["href"]) for link in [*named, *vias]), None)


def _extensions(record: Record) -> list[str]:
    fields = {
        "themes": _EXTENSION.format("themes/v1.0.0"),
        "cf:parameter": _EXTENSION.format("cf/v0.2.0"),
        "sci:doi": _EXTENSION.format("scientific/v1.0.0"),
    }
    listed = [url for url in record.get("stac_extensions", ()) if "/osc/" not in url]
    return list(dict.fromkeys([*listed, *(url for key, url in fields.items() if key in record)]))


def _links(profile: Profile, collection: Record, items: list[str]) -> list[Record]:
    references = [documentation_link(profile), license_link(profile, collection), citation_link(profile)]
    return [
        {"rel": "root", "href": "./collection.json", "type": "application/json"},
        *(dict(reference) for reference in references if reference),
        *({"rel": "item", "href": f"./items/{name}.json", "type": "application/geo+json"} for name in items),
    ]


def _assets(bundle: Bundle, collection: Record) -> Record:
    """Keeps assets that are absolute, and the thumbnail as the operator takes it: an http(s) or data URL."""
    assets: Record = {}
    for key, asset in collection.get("assets", {}).items():
        href = asset["href"] if "://" in asset["href"] else _thumbnail_href(bundle, asset)
        if href is not None:
            assets[key] = {**asset, "href": href}
    return assets


def _thumbnail_href(bundle: Bundle, asset: Record) -> str | None:
    if "thumbnail" not in asset.get("roles", ()):
        return None
    public = public_folder(bundle.profile())
    if public is not None and not is_closed(bundle.collection()):
        return f"{public}/{asset['href'].removeprefix('./')}"
    content = _content(bundle, asset)
    return f"data:{_picture(content)};base64,{base64.b64encode(content).decode()}" if _picture(content) else None


def _content(bundle: Bundle, asset: Record) -> bytes:
    """Reads the bytes of an asset of the Collection; none where it is not in the bundle."""
    public = public_folder(bundle.profile())
    key = str(asset["href"]).removeprefix(f"{public}/").removeprefix("./")
    path = (bundle.product / key).resolve()
    inside = path.is_relative_to(bundle.product.resolve()) and path.is_file()
    return path.read_bytes() if inside else b""


def _picture(content: bytes) -> str | None:
    """Returns the media type by the first bytes; None for what the PRR does not take, such as webp."""
    return next((kind for magic, kind in _PICTURES.items() if content.startswith(magic)), None)


def collection_findings(bundle: Bundle, record: Record) -> Iterator[Finding]:
    """Yields a warning for each field that the PRR's QA job would miss, with the profile key that sets it."""
    subject = str(record["id"])
    for field, rule in rules.QUALITY.items():
        if field != "thumbnail" and not record.get(field):
            yield rule.finding(subject, f"{field} is missing")
    rule = rules.QUALITY["thumbnail"]
    thumbnails = [asset for asset in bundle.collection().get("assets", {}).values() if "thumbnail" in asset["roles"]]
    if not thumbnails:
        yield rule.finding(subject, "there is no thumbnail")
    for asset in thumbnails:
        content = _content(bundle, asset)
        if _picture(content) is None or len(content) >= _LARGEST_THUMBNAIL:
            message = f"the thumbnail {asset['href'][:100]} ({len(content)} bytes) is not one that the PRR takes"
            yield rule.finding(subject, message, remedy="make it a PNG, JPEG, GIF, BMP or TIFF below 5 MB")
