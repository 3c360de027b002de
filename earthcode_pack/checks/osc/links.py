"""The links of one record of the catalogue by themselves: what is there, how it is called, of what type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import osc_rules as osc
from earthcode_pack.checks.documents import listed
from earthcode_pack.checks.osc.checkout import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Finding

_VIA_TYPES = (
    "application/json",
    "application/geo+json",
    "application/pdf",
    "application/zip",
    "text/html",
    "text/plain",
)
_MACHINE = re.compile(
    r"^(s3|gs|abfss?)://|\.(json|geojson|zarr|zip|nc4?|h5|hdf5?|tiff?|parquet|fgb|csv|gz|tar|kml)/?$"
    r"|/stac(/|$)|/collections/|thredds|opendap|/erddap|wms|wcs|wfs|\.s3[.-]|/api/|^ftps?://",
    re.IGNORECASE,
)
_VIA = {"products", "projects", "themes", "variables", "eo-missions"}

Stac = dict[str, Any]


def link_findings(stac: Stac, subject: str, kind: str) -> Iterator[Finding]:
    """What the links of a record of this kind break by themselves."""
    links = listed(stac.get("links"))
    spaced = [str(link.get("href")) for link in links if " " in str(link.get("href"))]
    if spaced:
        yield osc.HREF_SPACE.finding(subject, f"{subject} has a space in the href {spaced[0]!r}", spaced)
    if kind == "themes" and not _of(links, "preview"):
        yield osc.PREVIEW.finding(subject, f"{subject} has no preview")
    if kind in _VIA:
        yield from _via(links, subject)
    if kind == "products":
        yield from _product(stac, links, subject)


def _of(links: list[Stac], relation: str) -> list[Stac]:
    return [link for link in links if link.get("rel") == relation]


def _via(links: list[Stac], subject: str) -> Iterator[Finding]:
    vias = _of(links, "via")
    if not vias:
        yield osc.VIA.finding(subject, f"{subject} has no link via")
    for link in vias:
        kind = link.get("type")
        if kind is not None and str(kind).partition(";")[0] not in _VIA_TYPES:
            message = f"the link via {link.get('title')!r} of {subject} has the type {kind}"
            yield osc.VIA_TYPE.finding(subject, message, kind)


def _product(stac: Stac, links: list[Stac], subject: str) -> Iterator[Finding]:
    vias = _of(links, "via")
    if vias and vias[0].get("title") != "Access":
        message = f"the first link via of {subject} is titled {vias[0].get('title')!r}"
        yield osc.ACCESS.finding(subject, message, vias[0].get("title"), "Access")
    if not any(link.get("title") == "Documentation" for link in vias):
        titles = [link.get("title") for link in vias]
        yield osc.DOCUMENTATION.finding(subject, f"{subject} has no link via titled Documentation", titles)
    if not _of(links, "self"):
        yield osc.SELF_ABSENT.finding(subject, f"{subject} has no link self")
    described = [name for name in ("assets", "cube:dimensions") if stac.get(name)]
    if not described:
        more = ", ".join(name for name in ("item", "child") if _of(links, name))
        message = (
            f"{subject} has neither assets nor datacube fields; links to what describes the data: {more or 'none'}"
        )
        yield osc.DESCRIBED.finding(subject, message, more.split(", ") if more else [])
    yield from _machine(links, subject)


def _machine(links: list[Stac], subject: str) -> Iterator[Finding]:
    """Whether a program finds the data; by the look of the hrefs only, so it is info."""
    access = [str(link.get("href")) for link in _of(links, "via") if str(link.get("title")).startswith("Access")]
    known = [href for href in access if _MACHINE.search(href.partition("?")[0])]
    if not (known or _of(links, "item") or _of(links, "child")):
        message = f"{subject} has neither Items nor child, and its access seems to be for people: {access[:1]}"
        yield osc.ACCESS_FORM.finding(subject, message, access)


def self_findings(stac: Stac, subject: str, key: str) -> Iterator[Finding]:
    """The link self against the key of the file."""
    for link in _of(listed(stac.get("links")), "self"):
        if str(link.get("href")).startswith(f"{BASE}/") and link.get("href") != f"{BASE}/{key}":
            message = f"{subject} says of itself that it is {link.get('href')}"
            yield osc.SELF.finding(subject, message, link.get("href"), f"{BASE}/{key}")
