"""Product facts that the records of the Open Science Catalog and the PRR share: themes, variables, links, hrefs."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from earthcode_pack.errors import UserError
from earthcode_pack.model import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.profile import Profile

THEME_SCHEME = "https://github.com/stac-extensions/osc#theme"
PRR_STAC = "https://eoresults.esa.int/stac"

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
_TYPES = {".pdf": "application/pdf", ".html": "text/html", ".json": "application/json", ".txt": "text/plain"}


def themes_field(ids: list[str]) -> list[dict[str, Any]]:
    """Returns ``themes`` of the themes extension: one object with all concepts.

    ESA's validator reads the first object only.
    """
    return [{"scheme": THEME_SCHEME, "concepts": [{"id": theme} for theme in ids]}]


def osc_variables(profile: Profile) -> list[str]:
    """Returns the catalogue's ids of the product's variables, without duplicates."""
    return list(dict.fromkeys(spec.osc for spec in profile.product.variables.values() if spec.osc))


def cf_parameters(profile: Profile, collection: dict[str, Any]) -> list[dict[str, str]]:
    """Returns ``cf:parameter``: CF name and unit of every variable.

    Args:
        profile: States units that were not measured.
        collection: The STAC Collection; a ``cf:parameter`` of its own is returned as it is.

    Returns:
        One object for each variable, without duplicates.

    """
    stated = collection.get("cf:parameter") or collection.get("summaries", {}).get("cf:parameter")
    if stated:
        return [dict(parameter) for parameter in stated]
    specs = profile.product.variables
    found: list[dict[str, str]] = []
    for name, measured in (dict(_measured_units(collection)) or dict.fromkeys(specs)).items():
        spec = specs.get(name)
        unit = measured or (spec.units if spec else None)
        parameter = {"name": (spec.standard_name if spec else None) or name} | ({"unit": unit} if unit else {})
        if parameter not in found:
            found.append(parameter)
    return found


def _measured_units(collection: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yields name and unit of each data variable: those of the cube, else of the Items' data assets.

    An asset ``data`` holds a variable in each band; other assets are named after their variable.
    """
    cube = collection.get("cube:variables", {})
    for name, variable in cube.items():
        if variable.get("type", "data") == "data":
            yield name, variable.get("unit")
    for key, asset in {} if cube else collection.get("item_assets", {}).items():
        if "data" not in asset.get("roles", ()):
            continue
        bands = asset.get("bands", [])
        if key != "data" or not bands:
            yield key, asset.get("unit") or next((band.get("unit") for band in bands), None)
        for band in bands if key == "data" else ():
            yield band.get("name", key), band.get("unit") or asset.get("unit")


def published_at(profile: Profile) -> str:
    """Returns the absolute href of the folder of this version, without a final slash (contract 4.3).

    Raises:
        UserError: If the store has no public URL.

    """
    store = profile.store
    if store is None or store.public_href is None:
        raise UserError("the product has no public address", "set store.public_href")
    return f"{store.public_href.rstrip('/')}/{profile.product.folder}"


def published_collection(profile: Profile) -> str:
    """Returns the absolute href of the published STAC Collection: in the store, or at the PRR's STAC API."""
    prr = profile.store.prr if profile.store else None
    if prr is None:
        return f"{published_at(profile)}/collection.json"
    return f"{(prr.stac or PRR_STAC).rstrip('/')}/collections/{prr.collection}"


def access_href(profile: Profile) -> str:
    """Returns the href for access to the data: the Collection, or its page in the PRR's browser."""
    href = published_collection(profile)
    if profile.store is None or profile.store.prr is None:
        return href
    parts = urlsplit(href)
    return f"{parts.scheme}://{parts.netloc}/browser/#/external/{parts.netloc}{parts.path}"


def documentation_link(profile: Profile) -> dict[str, str] | None:
    """Returns the link ``via`` "Documentation"; None if the profile names none."""
    href = profile.product.documentation
    if href is None:
        return None
    media_type = _TYPES.get(PurePosixPath(urlsplit(href).path).suffix.lower())
    return {"rel": "via", "href": href} | ({"type": media_type} if media_type else {}) | {"title": "Documentation"}


def license_link(profile: Profile, collection: dict[str, Any]) -> dict[str, str]:
    """Returns the link to the licence's text: that of the Collection, of the profile, or SPDX's page."""
    own = next((link for link in collection.get("links", ()) if link.get("rel") == "license"), None)
    if own and "://" in own.get("href", ""):
        return dict(own)
    href = profile.product.license_href or f"https://spdx.org/licenses/{profile.product.license}.html"
    return {"rel": "license", "href": href, "title": profile.product.license}


def citation_link(profile: Profile) -> dict[str, str] | None:
    """Returns the link ``cite-as`` to the DOI; None if there is none."""
    doi = profile.product.doi
    return {"rel": "cite-as", "href": f"https://doi.org/{doi}", "title": f"DOI {doi}"} if doi else None


def record_time(bundle: Bundle) -> str:
    """Returns the time stamp of catalogue records, as RFC 3339 in UTC.

    It is ``SOURCE_DATE_EPOCH``, else the start of the bundle's run: the current time would change the bytes with
    every run.

    Raises:
        UserError: If neither is known.

    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    started = datetime.fromtimestamp(int(epoch), UTC).isoformat() if epoch else bundle.provenance().get("started")
    if not started:
        raise UserError(
            f"{bundle.root}: provenance.json does not say when the run started",
            "prepare the bundle again, or set SOURCE_DATE_EPOCH",
        )
    return rfc3339(datetime.fromisoformat(started))


def format_size(size: int) -> str:
    """Formats a size in decimal units and in bytes.

    >>> format_size(1234567)
    '1.2 MB (1234567 bytes)'
    """
    power = min((len(str(size)) - 1) // 3, len(_UNITS) - 1)
    return f"{size} bytes" if power == 0 else f"{size / 1000**power:.1f} {_UNITS[power]} ({size} bytes)"
