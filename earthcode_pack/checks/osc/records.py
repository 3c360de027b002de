"""One record of the Open Science Catalog by itself: its fields and its links."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.collection import is_doi, is_restricted, is_spdx
from earthcode_pack.checks.documents import is_record, listed, mapping, texts
from earthcode_pack.checks.metadata import boxes, is_id, moment, parameter_findings
from earthcode_pack.checks.osc import rules as osc
from earthcode_pack.checks.osc.checkout import BASE
from earthcode_pack.geo.box import box_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.model import Finding

_NAME = "Open Science Catalog"
_LABELS = {"product": "products", "project": "projects"}
_URL = "https://stac-extensions.github.io/{}/schema.json"
_EXTENSIONS = {"products": ("osc/v1.0.0", "themes/v1.0.0"), "projects": ("osc/v1.0.0", "themes/v1.0.0"),
               "variables": ("themes/v1.0.0",)}  # fmt: skip
_STAMPS = {"products": ("created", "updated"), "projects": ("updated",), "workflows": ("created", "updated"),
           "experiments": ("created", "updated")}  # fmt: skip
_CORE = "http://www.opengis.net/spec/ogcapi-records-1/1.0/req/record-core"
_PROPERTIES = ("type", "title", "description", "license", "themes")
_VIA = {"products", "projects", "themes", "variables", "eo-missions"}
_VIA_TYPES = ("application/json", "application/geo+json", "application/pdf", "application/zip", "text/html",
              "text/plain")  # fmt: skip
_MACHINE = re.compile(
    r"^(s3|gs|abfss?)://|\.(json|geojson|zarr|zip|nc4?|h5|hdf5?|tiff?|parquet|fgb|csv|gz|tar|kml)/?$"
    r"|/stac(/|$)|/collections/|thredds|opendap|/erddap|wms|wcs|wfs|\.s3[.-]|/api/|^ftps?://",
    re.IGNORECASE,
)

Stac = dict[str, Any]


def single_record_findings(document: Document, kind: str) -> Iterator[Finding]:
    """Checks a record by itself, without the rest of the catalogue.

    Args:
        document: The record.
        kind: ``products``, ``projects``, … (a folder of the catalogue).

    Yields:
        The findings.

    """
    stac, subject = document.stac, document.subject
    yield from _common_findings(stac, subject, kind)
    if kind in {"workflows", "experiments"}:
        yield from _ogc_findings(stac, subject, kind)
    elif kind in {"products", "projects"}:
        yield from _collection_findings(stac, subject)
    if kind == "products":
        yield from _product_findings(stac, subject)
    elif kind == "projects":
        officers = [c for c in listed(stac.get("contacts")) if "technical_officer" in texts(c.get("roles"))]
        if not any(officer.get("name") and listed(officer.get("emails")) for officer in officers):
            message = f"{subject} has no technical officer with name and email"
            yield osc.OFFICER.finding(subject, message, [officer.get("name") for officer in officers])
    yield from _link_findings(stac, subject, kind)
    if kind == "products":
        yield from _access_findings(stac, subject)


def kind_of_record(stac: Stac) -> str | None:
    """Returns the kind of a record that lies in no checkout; None for anything else.

    A record describes no file: it has neither assets nor ``item_assets``, which the data's own Collection has. It
    states ``osc:type`` and is rooted in the catalogue, or is an OGC record of a workflow or experiment.
    """
    if is_record(stac):
        return {"workflow": "workflows", "experiment": "experiments"}.get(str(stac["properties"].get("type")))
    own = stac.get("assets") or stac.get("item_assets") or stac.get("cube:dimensions")
    links = [link for link in listed(stac.get("links")) if link.get("rel") in ("root", "self")]
    rooted = any(link.get("title") == _NAME or str(link.get("href")).startswith(BASE) for link in links)
    return _LABELS.get(str(stac.get("osc:type"))) if rooted and not own and stac.get("type") == "Collection" else None


def properties_of(stac: Stac) -> Stac:
    """Returns the fields of a record: the properties of an OGC record, the top level of STAC."""
    return mapping(stac.get("properties")) if stac.get("type") == "Feature" else stac


def theme_ids(fields: Stac) -> list[str]:
    """Returns the ids of all concepts of ``themes``, of any scheme."""
    concepts = [concept for theme in listed(fields.get("themes")) for concept in listed(theme.get("concepts"))]
    return list(dict.fromkeys(str(concept.get("id")) for concept in concepts))


def first_interval(stac: Stac) -> list[Any] | None:
    """Returns the overall interval of a Collection, as it is written; None if it has no two ends."""
    intervals = mapping(mapping(stac.get("extent")).get("temporal")).get("interval")
    first = intervals[0] if isinstance(intervals, list) and intervals else None
    return first if isinstance(first, list) and len(first) == 2 else None  # noqa: PLR2004 - start and end


def _is_utc(value: Any) -> bool:
    return isinstance(value, str) and value.endswith("Z") and moment(value) is not None


# --- fields


def _common_findings(stac: Stac, subject: str, kind: str) -> Iterator[Finding]:
    """Checks id, title, extensions, themes and time stamps."""
    fields = properties_of(stac)
    if not is_id(stac.get("id")):
        yield osc.ID_FORM.finding(subject, f"{subject} has the id {stac.get('id')!r}", stac.get("id"))
    if not str(fields.get("title") or "").strip():
        yield osc.TITLE.finding(subject, f"{subject} has no title", fields.get("title"))
    extensions = texts(stac.get("stac_extensions"))
    missing = [name for name in _EXTENSIONS.get(kind, ()) if _URL.format(name) not in extensions]
    if missing:
        message = f"{subject} does not list the extensions {', '.join(missing)}"
        yield osc.EXTENSIONS.finding(subject, message, extensions, missing)
    if len(listed(fields.get("themes"))) > 1:
        message = f"{subject} has {len(listed(fields.get('themes')))} theme objects"
        yield osc.THEMES.finding(subject, message, theme_ids(fields))
    poor = {name: fields.get(name) for name in _STAMPS.get(kind, ()) if not _is_utc(fields.get(name))}
    if poor:
        message = f"{subject} has {', '.join(f'{name} {value!r}' for name, value in poor.items())}"
        yield osc.STAMPS.finding(subject, message, poor)


def _collection_findings(stac: Stac, subject: str) -> Iterator[Finding]:
    """Checks licence, boxes and interval of a product or project."""
    license_, ends = stac.get("license"), first_interval(stac)
    if not (isinstance(license_, str) and is_spdx(license_)):
        yield osc.LICENSE.finding(subject, f"{subject} has the license {license_!r}", license_)
    for box in boxes(stac):
        if not isinstance(box, list) or len(box) != 4:  # noqa: PLR2004 - the catalogue has no heights
            yield osc.BBOX.finding(subject, f"{subject} has the bbox {box}", box)
        elif (known := box_of(box)) is not None and known[0] > known[2]:
            yield osc.BBOX_CROSSING.finding(subject, f"the bbox {box} of {subject} has west > east", box)
    if ends is None or any(end is not None and not _is_utc(end) for end in ends):
        yield osc.INTERVAL.finding(subject, f"{subject} has the interval {ends}", ends)


def _product_findings(stac: Stac, subject: str) -> Iterator[Finding]:
    """Checks open ends, licence, DOI and ``cf:parameter`` of a product."""
    ends = first_interval(stac) or (True, True)
    for end, text, rule in zip(ends, ("start", "end"), (osc.START_OPEN, osc.END_OPEN), strict=True):
        if end is None:
            message = f"the interval of {subject} has no {text}, and its status is {stac.get('osc:status')!r}"
            yield rule.finding(subject, message, stac.get("osc:status"))
    license_, doi = str(stac.get("license")), stac.get("sci:doi")
    if license_ == "proprietary":
        yield osc.PROPRIETARY.finding(subject, f"{subject} is proprietary", license_)
    elif is_restricted(license_):
        yield rules.LICENSE.finding(subject, f"{subject} has the license {license_!r}", license_)
    if doi in (None, ""):
        yield osc.DOI_ABSENT.finding(subject, f"{subject} has no sci:doi")
    elif not is_doi(doi):
        yield osc.DOI.finding(subject, f"{subject} has the sci:doi {doi!r}", doi)
    parameters = listed(stac.get("cf:parameter"))
    if not parameters or any(not parameter.get("name") for parameter in parameters):
        message = f"{subject} has {'a cf:parameter without name' if parameters else 'no cf:parameter'}"
        yield osc.CF_PARAMETER.finding(subject, message, len(parameters))
    yield from parameter_findings(stac, subject)
    bare = [parameter for parameter in parameters if not parameter.get("unit")]
    if bare:
        names = ", ".join(str(parameter.get("name")) for parameter in bare[:5])
        spelt = " (written units, which is not in the extension)" if any("units" in p for p in bare) else ""
        yield osc.CF_UNIT.finding(subject, f"{subject} states no unit of {names}{spelt}", bare[:5])


def _ogc_findings(stac: Stac, subject: str, kind: str) -> Iterator[Finding]:
    """Checks the fields of a workflow or experiment, and the links of an experiment."""
    fields = mapping(stac.get("properties"))
    own = "osc:project" if kind == "workflows" else "osc:workflow"
    missing = [name for name in (*_PROPERTIES, own) if fields.get(name) in (None, "", [])]
    missing += [] if "geometry" in stac else ["geometry"]
    missing += [] if _CORE in texts(stac.get("conformsTo")) else ["conformsTo record-core"]
    if missing:
        yield osc.RECORD.finding(subject, f"{subject} has no {', '.join(missing)}", missing)
    if fields.get("type") not in (None, kind.removesuffix("s")):
        message = f"{subject} lies in {kind} and is a {fields.get('type')!r}"
        yield osc.RECORD.finding(subject, message, fields.get("type"), kind.removesuffix("s"))
    for relation in ("input", "environment") if kind == "experiments" else ():
        types = [link.get("type") for link in listed(stac.get("links")) if link.get("rel") == relation]
        if "application/yaml" not in types:
            message = f"{subject} has no link {relation} of type application/yaml"
            yield osc.EXPERIMENT.finding(subject, message, types)


# --- links


def links_of(stac: Stac, relation: str) -> list[Stac]:
    """Returns the links of one relation."""
    return [link for link in listed(stac.get("links")) if link.get("rel") == relation]


def _link_findings(stac: Stac, subject: str, kind: str) -> Iterator[Finding]:
    """Checks that hrefs have no spaces, and the links preview and via."""
    spaced = [str(link.get("href")) for link in listed(stac.get("links")) if " " in str(link.get("href"))]
    if spaced:
        yield osc.HREF_SPACE.finding(subject, f"{subject} has a space in the href {spaced[0]!r}", spaced)
    if kind == "themes" and not links_of(stac, "preview"):
        yield osc.PREVIEW.finding(subject, f"{subject} has no preview")
    if kind not in _VIA:
        return
    vias = links_of(stac, "via")
    if not vias:
        yield osc.VIA.finding(subject, f"{subject} has no link via")
    for link in vias:
        media_type = link.get("type")
        if media_type is not None and str(media_type).partition(";")[0] not in _VIA_TYPES:
            message = f"the link via {link.get('title')!r} of {subject} has the type {media_type}"
            yield osc.VIA_TYPE.finding(subject, message, media_type)


def _access_findings(stac: Stac, subject: str) -> Iterator[Finding]:
    """Checks the links of a product to its data and documentation.

    The look of an href tells whether a program finds the data, so that finding is of level info.
    """
    vias = links_of(stac, "via")
    if vias and vias[0].get("title") != "Access":
        message = f"the first link via of {subject} is titled {vias[0].get('title')!r}"
        yield osc.ACCESS.finding(subject, message, vias[0].get("title"), "Access")
    if not any(link.get("title") == "Documentation" for link in vias):
        titles = [link.get("title") for link in vias]
        yield osc.DOCUMENTATION.finding(subject, f"{subject} has no link via titled Documentation", titles)
    if not links_of(stac, "self"):
        yield osc.SELF_ABSENT.finding(subject, f"{subject} has no link self")
    data = [name for name in ("item", "child") if links_of(stac, name)]
    if not (stac.get("assets") or stac.get("cube:dimensions")):
        named = ", ".join(data) or "none"
        message = f"{subject} has neither assets nor datacube fields; links to what describes the data: {named}"
        yield osc.DESCRIBED.finding(subject, message, data)
    access = [str(link.get("href")) for link in vias if str(link.get("title")).startswith("Access")]
    if not data and not any(_MACHINE.search(href.partition("?")[0]) for href in access):
        message = f"{subject} has neither Items nor child, and its access seems to be for people: {access[:1]}"
        yield osc.ACCESS_FORM.finding(subject, message, access)
