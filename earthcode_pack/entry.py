"""What the Open Science Catalog and the PRR both say of a product: its themes, variables, links, and where it lies."""

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
    """The themes extension's field: one object with all concepts, for ESA's validator looks at the first alone."""
    return [{"scheme": THEME_SCHEME, "concepts": [{"id": theme} for theme in ids]}]


def osc_variables(profile: Profile) -> list[str]:
    """The catalogue's variables that the product's variables are, each once."""
    return list(dict.fromkeys(spec.osc for spec in profile.product.variables.values() if spec.osc))


def cf_parameters(profile: Profile, collection: dict[str, Any]) -> list[dict[str, str]]:
    """``cf:parameter``: CF name and unit of every variable, the unit as measured and else as the profile states it.

    A Collection that carries the field itself is believed.
    """
    stated = collection.get("cf:parameter") or collection.get("summaries", {}).get("cf:parameter")
    if stated:
        return [dict(parameter) for parameter in stated]
    measured = dict(_measured(collection)) or dict.fromkeys(profile.product.variables)
    found = [_parameter(profile, name, unit) for name, unit in measured.items()]
    return [parameter for index, parameter in enumerate(found) if parameter not in found[:index]]


def _parameter(profile: Profile, name: str, unit: str | None) -> dict[str, str]:
    spec = profile.product.variables.get(name)
    unit = unit or (spec.units if spec else None)
    standard_name = spec.standard_name if spec else None
    return {"name": standard_name or name} | ({"unit": unit} if unit else {})


def _measured(collection: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Name and unit of each data variable: of the cube where there is one, else of the Items' data assets."""
    cube = collection.get("cube:variables", {})
    for name, variable in cube.items():
        if variable.get("type", "data") == "data":
            yield name, variable.get("unit")
    for key, asset in {} if cube else collection.get("item_assets", {}).items():
        if "data" in asset.get("roles", ()):
            yield from _of_asset(key, asset)


def _of_asset(key: str, asset: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """An asset named after its variable; the bands of one that is named ``data``."""
    bands = asset.get("bands", [])
    if key != "data" or not bands:
        yield key, asset.get("unit") or next((band.get("unit") for band in bands), None)
    for band in bands if key == "data" else ():
        yield band.get("name", key), band.get("unit") or asset.get("unit")


def published_at(profile: Profile) -> str:
    """The absolute href of the folder of this version, without a final slash (contract 4.3).

    Raises ``UserError`` where readers cannot find it by URL.
    """
    store = profile.store
    if store is None or store.public_href is None:
        raise UserError("the product has no public address", "set store.public_href")
    return f"{store.public_href.rstrip('/')}/{profile.product.folder}"


def published_collection(profile: Profile) -> str:
    """The absolute href of the published STAC Collection: in the store, or at the PRR's STAC API."""
    prr = profile.store.prr if profile.store else None
    if prr is None:
        return f"{published_at(profile)}/collection.json"
    return f"{(prr.stac or PRR_STAC).rstrip('/')}/collections/{prr.collection}"


def access_href(profile: Profile) -> str:
    """Where the data is reached: the Collection; at the PRR the page of its browser that shows it."""
    href = published_collection(profile)
    if profile.store is None or profile.store.prr is None:
        return href
    parts = urlsplit(href)
    return f"{parts.scheme}://{parts.netloc}/browser/#/external/{parts.netloc}{parts.path}"


def documentation_link(profile: Profile) -> dict[str, str] | None:
    """``via`` "Documentation"; None where the profile names none."""
    href = profile.product.documentation
    if href is None:
        return None
    media_type = _TYPES.get(PurePosixPath(urlsplit(href).path).suffix.lower())
    return {"rel": "via", "href": href} | ({"type": media_type} if media_type else {}) | {"title": "Documentation"}


def license_link(profile: Profile, collection: dict[str, Any]) -> dict[str, str]:
    """The licence's text: the Collection's own link, the profile's, or SPDX's page."""
    own = next((link for link in collection.get("links", ()) if link.get("rel") == "license"), None)
    if own and "://" in own.get("href", ""):
        return dict(own)
    href = profile.product.license_href or f"https://spdx.org/licenses/{profile.product.license}.html"
    return {"rel": "license", "href": href, "title": profile.product.license}


def citation_link(profile: Profile) -> dict[str, str] | None:
    """``cite-as`` the DOI; None where there is none."""
    doi = profile.product.doi
    return {"rel": "cite-as", "href": f"https://doi.org/{doi}", "title": f"DOI {doi}"} if doi else None


def moment_of(bundle: Bundle) -> str:
    """The time that records carry: ``SOURCE_DATE_EPOCH``, else when the bundle's run started; RFC 3339 in UTC.

    Raises ``UserError`` where neither is known: "now" would change the bytes with every run.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    started = datetime.fromtimestamp(int(epoch), UTC).isoformat() if epoch else bundle.provenance().get("started")
    if not started:
        raise UserError(
            f"{bundle.root}: provenance.json does not say when the run started",
            "prepare the bundle again, or set SOURCE_DATE_EPOCH",
        )
    return rfc3339(datetime.fromisoformat(started))


def size_in_words(size: int) -> str:
    """Decimal units, and the bytes.

    >>> size_in_words(1234567)
    '1.2 MB (1234567 bytes)'
    """
    power = min((len(str(size)) - 1) // 3, len(_UNITS) - 1)
    return f"{size} bytes" if power == 0 else f"{size / 1000**power:.1f} {_UNITS[power]} ({size} bytes)"
