"""A forecast of the FAIR score that ESA's tool will give a product in the Open Science Catalog.

The tool (github ESA-EarthCODE/earthcode-library, ``earthcode/fairtool.py``, commit 7520bde) judges the catalogue's
record, asks its links for an answer, and opens up to ten data assets of the STAC behind its ``child`` link. The
forecast judges the same record and Items. What needs the network cannot be known before the product is published:
every link is taken to answer, and every asset to open that the tool has a reader for.
"""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Literal

from earthcode_pack.bundle import read_json
from earthcode_pack.fair.offer import Offer, host_of, is_prr, is_web, offer_of
from earthcode_pack.model import Value
from earthcode_pack.product_facts import access_href, documentation_link, published_collection

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.profile import Profile

__all__ = [
    "Criterion",
    "Forecast",
    "Offer",
    "expected_record",
    "first_link",
    "forecast",
    "is_prr",
    "offer_of",
    "record_of",
]

Json = dict[str, Any]
Basis = Literal["granted", "record", "items", "network", "unknown"]

_DATA_HOSTS = (
    "*.esa.int", "s3.waw4-1.cloudferro.com", "zenodo.org", "doi.org", "*.pangaea.de", "*.copernicus.eu", "*.ac.uk",
)  # fmt: skip
_METADATA_HOSTS = ("*.esa.int", "s3.waw4-1.cloudferro.com", "*.github.org")

# In the order of the tool's answer: its key, the FAIR principle, and what is asked.
_CRITERIA = {
    "fair:Findable_has_doi": ("F1", "A DOI that resolves"),
    "fair:Findable_rich_metadata": ("F2", "Metadata of the catalogue's own extension"),
    "fair:Findable_identifier": ("F3", "An identifier of the data"),
    "fair:Findable_stac_assets": ("F3.1", "STAC of the data, which answers"),
    "fair:Findable_indexed": ("F4", "Listed in the catalogue"),
    "fair:Findable_indexed_approved_metadata": ("F4.1", "STAC on a host that ESA approves of"),
    "fair:Findable_indexed_approved_data": ("F4.2", "Data on a host that ESA approves of"),
    "fair:Accessible_general": ("A1", "Metadata over a standard protocol"),
    "fair:Accessible_protocols": ("A1.1", "An open protocol"),
    "fair:Accessible_files": ("A1.2", "Share of the data assets that open"),
    "fair:Interoperable_uses_formal_language": ("I1", "A formal language for the metadata"),
    "fair:Interoperable_controlled_vocabularies": ("I2", "Controlled vocabularies"),
    "fair:Interoperable_related_links": ("I3", "Links to project, themes and variables"),
    "fair:Interoperable_has_documentation": ("I3", "A link titled Documentation"),
    "fair:Reusable_rich_descriptions": ("R1", "Descriptions of variables, themes and extent"),
    "fair:Reusable_has_license": ("R1.1", "A standard licence"),
    "fair:Reusable_workflow_exists": ("R1.2", "A link to the experiment"),
    "fair:Reusable_cloud_assets_rate": ("R1.3", "Share of the data assets in a cloud-native format"),
    "fair:Reusable_has_visualisation": ("R1.4", "A visualisation that answers"),
    "fair:Reusable_has_access_example": ("R1.5", "An example of access that answers"),
}


class Criterion(Value):
    """One criterion: ``points`` from 0 to 1, what they were judged by, and what would raise them.

    ``basis``: ``granted`` to every record that the catalogue takes; judged by the ``record`` or the ``items``; left to
    the ``network``, taken to answer; ``unknown`` where nobody gave the Items.
    """

    key: str  # as ESA's tool names it
    principle: str
    asks: str
    points: float
    basis: Basis
    why: str
    remedy: str = ""


class Forecast(Value):
    """All criteria, in the order of ESA's tool, which gives no sum of its own."""

    criteria: tuple[Criterion, ...]

    @property
    def points(self) -> float:
        """Of all criteria."""
        return sum(criterion.points for criterion in self.criteria)

    @property
    def possible(self) -> int:
        """The most that can be had."""
        return len(self.criteria)

    @property
    def values(self) -> dict[str, float]:
        """Points by key: the tool's own answer, with 1 and 0 for its true and false."""
        return {criterion.key: criterion.points for criterion in self.criteria}


def expected_record(profile: Profile) -> Json:
    """What the catalogue's record will say of a product, as far as the score asks: links and DOI, from the profile.

    Without ``store.public_href`` and ``store.prr`` it has no address to name.
    """
    store, experiment = profile.store, profile.experiment
    documentation = documentation_link(profile)
    links = [documentation] if documentation else []
    if store is not None and (store.prr is not None or store.public_href is not None):
        links.insert(0, {"rel": "via", "href": access_href(profile), "title": "Access"})
        links.append({"rel": "child", "href": published_collection(profile)})
    if experiment is not None:
        record = f"../../experiments/{experiment.id}/record.json"
        links.append({"rel": "related", "href": record, "title": f"Experiment: {experiment.title}"})
    return {"sci:doi": profile.product.doi, "links": links}


def record_of(bundle: Bundle) -> Json:
    """The record of the hand-off, which may hold what a steward added; the expected one where that is out of date."""
    profile = bundle.profile()
    expected = expected_record(profile)
    path = bundle.root / "osc" / "products" / profile.product.id / "collection.json"
    written = read_json(path) if path.is_file() else {}
    return written if _says(written, expected) else expected


def _says(record: Json, expected: Json) -> bool:
    """Whether a record still says what the profile makes of it."""
    links = [(link.get("rel"), link.get("href"), link.get("title")) for link in record.get("links", ())]
    wanted = [(link["rel"], link["href"], link.get("title")) for link in expected["links"]]
    there = all(one in links or (one[2] is None and one[:2] in [link[:2] for link in links]) for one in wanted)
    return bool(record) and there and record.get("sci:doi") == expected["sci:doi"]


def first_link(record: Json, rel: str) -> str | None:
    """The href of the first link of a relation, as ESA's tool takes it; None where there is none."""
    return next((str(link.get("href")) for link in record.get("links", ()) if link.get("rel") == rel), None)


def forecast(record: Json, offer: Offer | None = None) -> Forecast:
    """The points that ESA's tool will give a record of the catalogue.

    ``offer`` is what the Items behind its ``child`` link hold. Where they are more than ten assets of several kinds the
    tool draws ten by chance, and the forecast is what it finds on average.
    """
    child, via = first_link(record, "child"), first_link(record, "via")
    judged = (
        _doi(record.get("sci:doi")),
        _stac(child),
        _host("fair:Findable_indexed_approved_metadata", "STAC", child, _METADATA_HOSTS),
        _host("fair:Findable_indexed_approved_data", "data", via, _DATA_HOSTS),
        _opening(child, offer),
        _documentation(record),
        _workflow(record),
        _cloud_native(child, offer),
        _extra("fair:Reusable_has_visualisation", first_link(record, "visualisation"), "visualisation"),
        _extra("fair:Reusable_has_access_example", first_link(record, "example"), "example"),
    )
    by_key = {criterion.key: criterion for criterion in judged}
    return Forecast(criteria=tuple(by_key.get(key) or _granted(key) for key in _CRITERIA))


def _criterion(key: str, points: float, basis: Basis, why: str, remedy: str = "") -> Criterion:
    """A criterion with all its points needs no remedy."""
    principle, asks = _CRITERIA[key]
    remedy = "" if points == 1 else remedy
    return Criterion(key=key, principle=principle, asks=asks, points=points, basis=basis, why=why, remedy=remedy)


def _granted(key: str) -> Criterion:
    return _criterion(key, 1, "granted", "granted to every record that the catalogue's validator has let in")


def _doi(doi: str | None) -> Criterion:
    key = "fair:Findable_has_doi"
    if not doi:
        return _criterion(key, 0, "record", "the record has no DOI", "set product.doi")
    doubt = "" if doi.startswith("10.") else "; but it is not bare, so that may fail"
    return _criterion(key, 1, "network", f"https://doi.org/{doi} is taken to answer{doubt}")


def _stac(child: str | None) -> Criterion:
    key, remedy = "fair:Findable_stac_assets", "set store.public_href, or publish through store.prr"
    if not is_web(child):
        return _criterion(key, 0, "record", "no child link leads to STAC on the web", remedy)
    return _criterion(key, 1, "network", f"{child} is taken to answer")


def _host(key: str, what: str, href: str | None, approved: tuple[str, ...]) -> Criterion:
    host = host_of(href)
    hosts = ", ".join(approved)
    if any(fnmatch(host, pattern) for pattern in approved):
        return _criterion(key, 1, "record", f"{host} is one of {hosts}")
    why = f"{host} is none of {hosts}" if host else f"no link leads to the {what}"
    return _criterion(key, 0, "record", why, "set store.public_href to an address at one of them, or use store.prr")


def _opening(child: str | None, offer: Offer | None) -> Criterion:
    key = "fair:Accessible_files"
    if child is None or offer is None or not offer.assets:
        return _no_assets(key, child, offer)
    opened = f"{offer.opened:,} of {offer.assets:,} data assets are taken to open"
    if offer.opened == offer.assets:
        return _criterion(key, 1, "network", opened)
    reasons = [f"the tool opens no {_listed(offer.unread)} by URL"] if offer.unread else []
    reasons += [f"{offer.relative:,} hrefs are not absolute"] if offer.relative else []
    remedy = _other_format(offer.unread) if offer.unread else "set store.public_href"
    return _criterion(key, offer.opened / offer.assets, "items", f"{opened}: {', and '.join(reasons)}", remedy)


def _cloud_native(child: str | None, offer: Offer | None) -> Criterion:
    key = "fair:Reusable_cloud_assets_rate"
    if child is None or offer is None or not offer.assets:
        return _no_assets(key, child, offer)
    counted = f"{offer.cloud_native:,} of {offer.assets:,} data assets have a media type that the tool counts"
    if not offer.foreign:
        return _criterion(key, 1, "items", counted)
    why = f"{counted}: {_listed(offer.foreign)} is not among them"
    return _criterion(key, offer.cloud_native / offer.assets, "items", why, _other_format(offer.foreign))


def _no_assets(key: str, child: str | None, offer: Offer | None) -> Criterion:
    if child is None:
        remedy = "set store.public_href, or publish through store.prr"
        return _criterion(key, 0, "record", "no child link leads to the Items", remedy)
    if offer is None:
        return _criterion(key, 0, "unknown", f"the Items behind {child} were not read", "read them")
    return _criterion(key, 0, "items", "no Item has an asset whose roles are just data", "package the product again")


def _listed(types: Counter[str]) -> str:
    return " or ".join(dict.fromkeys(types))


def _other_format(types: Iterable[str]) -> str:
    """What a profile can do about media types that the tool does not know."""
    if all("zarr" in media_type for media_type in types):
        return "none in the profile: the tool knows Zarr as application/vnd+zarr alone"
    return "set target.format to cog, where scenes suit the data"


def _documentation(record: Json) -> Criterion:
    key = "fair:Interoperable_has_documentation"
    if any(link.get("title") == "Documentation" for link in record.get("links", ())):
        return _criterion(key, 1, "record", "a link is titled Documentation")
    return _criterion(key, 0, "record", "no link is titled Documentation", "set product.documentation")


def _workflow(record: Json) -> Criterion:
    key = "fair:Reusable_workflow_exists"
    titles = [link.get("title") for link in record.get("links", ()) if link.get("rel") == "related"]
    named = next((title for title in titles if isinstance(title, str) and "Experiment: " in title), None)
    if named:
        return _criterion(key, 1, "record", f"a link is titled {named}")
    return _criterion(key, 0, "record", "no related link names an experiment", "set experiment")


def _extra(key: str, href: str | None, rel: str) -> Criterion:
    if is_web(href):
        return _criterion(key, 1, "network", f"{href} is taken to answer")
    remedy = f"none in the profile: add a link of relation {rel} to the record in the catalogue; hand-offs keep it"
    return _criterion(key, 0, "record", f"the record has no link of relation {rel} to the web", remedy)
