"""The fields of one record of the catalogue, as its table of fields wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import osc_rules as osc
from earthcode_pack.checks import rules
from earthcode_pack.checks.collection import is_doi, is_restricted, is_spdx
from earthcode_pack.checks.documents import listed, mapping, texts
from earthcode_pack.checks.metadata import boxes, is_id, moment, parameter_findings
from earthcode_pack.geo.box import box_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Finding

_URL = "https://stac-extensions.github.io/{}/schema.json"
_EXTENSIONS = {"products": ("osc/v1.0.0", "themes/v1.0.0"), "projects": ("osc/v1.0.0", "themes/v1.0.0"),
               "variables": ("themes/v1.0.0",)}  # fmt: skip
_CORE = "http://www.opengis.net/spec/ogcapi-records-1/1.0/req/record-core"
_PROPERTIES = ("type", "title", "description", "license", "themes")

Stac = dict[str, Any]


def field_findings(stac: Stac, subject: str, kind: str) -> Iterator[Finding]:
    """What a record of this kind (``products``, ``projects``, …) breaks by its own fields."""
    yield from _common(stac, subject, kind)
    if kind in {"workflows", "experiments"}:
        yield from _ogc(stac, subject, kind)
    elif kind in {"products", "projects"}:
        yield from _collection(stac, subject)
    if kind == "products":
        yield from _product(stac, subject)
    elif kind == "projects":
        yield from _officer(stac, subject)


def properties_of(stac: Stac) -> Stac:
    """Where the fields are: the properties of an OGC record, the top level of STAC."""
    return mapping(stac.get("properties")) if stac.get("type") == "Feature" else stac


def theme_ids(fields: Stac) -> list[str]:
    """The ids of all concepts of ``themes``, whatever the scheme."""
    concepts = [concept for theme in listed(fields.get("themes")) for concept in listed(theme.get("concepts"))]
    return list(dict.fromkeys(str(concept.get("id")) for concept in concepts))


def _common(stac: Stac, subject: str, kind: str) -> Iterator[Finding]:
    fields = properties_of(stac)
    if not is_id(stac.get("id")):
        yield osc.ID_FORM.finding(subject, f"{subject} has the id {stac.get('id')!r}", stac.get("id"))
    if not str(fields.get("title") or "").strip():
        yield osc.TITLE.finding(subject, f"{subject} has no title", fields.get("title"))
    listed_extensions = texts(stac.get("stac_extensions"))
    missing = [name for name in _EXTENSIONS.get(kind, ()) if _URL.format(name) not in listed_extensions]
    if missing:
        message = f"{subject} does not list the extensions {', '.join(missing)}"
        yield osc.EXTENSIONS.finding(subject, message, listed_extensions, missing)
    if len(listed(fields.get("themes"))) > 1:
        message = f"{subject} has {len(listed(fields.get('themes')))} theme objects"
        yield osc.THEMES.finding(subject, message, theme_ids(fields))
    if kind in {"products", "projects", "workflows", "experiments"}:
        yield from _stamps(fields, subject, ("updated",) if kind == "projects" else ("created", "updated"))


def _stamps(fields: Stac, subject: str, names: tuple[str, ...]) -> Iterator[Finding]:
    poor = {name: fields.get(name) for name in names if not _is_utc(fields.get(name))}
    if poor:
        message = f"{subject} has {', '.join(f'{name} {value!r}' for name, value in poor.items())}"
        yield osc.STAMPS.finding(subject, message, poor)


def _is_utc(value: Any) -> bool:
    return isinstance(value, str) and value.endswith("Z") and moment(value) is not None


# --- products and projects


def _collection(stac: Stac, subject: str) -> Iterator[Finding]:
    license_ = stac.get("license")
    if not (isinstance(license_, str) and is_spdx(license_)):
        yield osc.LICENSE.finding(subject, f"{subject} has the license {license_!r}", license_)
    for box in boxes(stac):
        if not isinstance(box, list) or len(box) != 4:  # noqa: PLR2004 - the catalogue has no heights
            yield osc.BBOX.finding(subject, f"{subject} has the bbox {box}", box)
        elif (known := box_of(box)) is not None and known[0] > known[2]:
            yield osc.BBOX_CROSSING.finding(subject, f"the bbox {box} of {subject} has west > east", box)
    yield from _interval(stac, subject)


def _interval(stac: Stac, subject: str) -> Iterator[Finding]:
    ends = first_interval(stac)
    if ends is None or any(end is not None and not _is_utc(end) for end in ends):
        yield osc.INTERVAL.finding(subject, f"{subject} has the interval {ends}", ends)


def first_interval(stac: Stac) -> list[Any] | None:
    """The overall interval of a Collection, as it is written; None where it has no two ends."""
    intervals = mapping(mapping(stac.get("extent")).get("temporal")).get("interval")
    first = intervals[0] if isinstance(intervals, list) and intervals else None
    return first if isinstance(first, list) and len(first) == 2 else None  # noqa: PLR2004 - start and end


def _product(stac: Stac, subject: str) -> Iterator[Finding]:
    for end, text, broken in zip(
        first_interval(stac) or (), ("start", "end"), (osc.START_OPEN, osc.END_OPEN), strict=False
    ):
        if end is None:
            message = f"the interval of {subject} has no {text}, and its status is {stac.get('osc:status')!r}"
            yield broken.finding(subject, message, stac.get("osc:status"))
    license_ = str(stac.get("license"))
    if license_ == "proprietary":
        yield osc.PROPRIETARY.finding(subject, f"{subject} is proprietary", license_)
    elif is_restricted(license_):
        yield rules.LICENSE.finding(subject, f"{subject} has the license {license_!r}", license_)
    yield from _doi(stac.get("sci:doi"), subject)
    yield from _parameters(stac, subject)


def _doi(doi: Any, subject: str) -> Iterator[Finding]:
    if doi in (None, ""):
        yield osc.DOI_ABSENT.finding(subject, f"{subject} has no sci:doi")
    elif not is_doi(doi):
        yield osc.DOI.finding(subject, f"{subject} has the sci:doi {doi!r}", doi)


def _parameters(stac: Stac, subject: str) -> Iterator[Finding]:
    parameters = listed(stac.get("cf:parameter"))
    if not parameters or any(not parameter.get("name") for parameter in parameters):
        message = f"{subject} has {'a cf:parameter without name' if parameters else 'no cf:parameter'}"
        yield osc.CF_PARAMETER.finding(subject, message, len(parameters))
    bare = [parameter for parameter in parameters if not parameter.get("unit")]
    yield from parameter_findings(stac, subject)
    if bare:
        names = ", ".join(str(parameter.get("name")) for parameter in bare[:5])
        spelt = " (written units, which is not in the extension)" if any("units" in p for p in bare) else ""
        yield osc.CF_UNIT.finding(subject, f"{subject} states no unit of {names}{spelt}", bare[:5])


def _officer(stac: Stac, subject: str) -> Iterator[Finding]:
    officers = [
        contact for contact in listed(stac.get("contacts")) if "technical_officer" in texts(contact.get("roles"))
    ]
    if not any(officer.get("name") and listed(officer.get("emails")) for officer in officers):
        message = f"{subject} has no technical officer with name and email"
        yield osc.OFFICER.finding(subject, message, [officer.get("name") for officer in officers])


# --- workflows and experiments


def _ogc(stac: Stac, subject: str, kind: str) -> Iterator[Finding]:
    fields = mapping(stac.get("properties"))
    own = ("osc:project",) if kind == "workflows" else ("osc:workflow",)
    missing = [name for name in (*_PROPERTIES, *own) if fields.get(name) in (None, "", [])]
    missing += [] if "geometry" in stac else ["geometry"]
    missing += [] if _CORE in texts(stac.get("conformsTo")) else ["conformsTo record-core"]
    if missing:
        yield osc.RECORD.finding(subject, f"{subject} has no {', '.join(missing)}", missing)
    if fields.get("type") not in (None, kind.removesuffix("s")):
        message = f"{subject} lies in {kind} and is a {fields.get('type')!r}"
        yield osc.RECORD.finding(subject, message, fields.get("type"), kind.removesuffix("s"))
    if kind == "experiments":
        yield from _experiment(stac, subject)


def _experiment(stac: Stac, subject: str) -> Iterator[Finding]:
    for relation in ("input", "environment"):
        found = [link for link in listed(stac.get("links")) if link.get("rel") == relation]
        if not any(link.get("type") == "application/yaml" for link in found):
            message = f"{subject} has no link {relation} of type application/yaml"
            yield osc.EXPERIMENT.finding(subject, message, [link.get("type") for link in found])
