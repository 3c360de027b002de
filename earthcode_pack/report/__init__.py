"""``report.html``: one page that a person reads, made of nothing but what lies in the bundle.

It opens offline and asks for nothing: styles, map and pictures stand in the page, and its policy forbids the rest. The
same bundle gives the same bytes.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from earthcode_pack.bundle import write_atomic
from earthcode_pack.report import text
from earthcode_pack.report.facts import (
    ROWS,
    SHAPES,
    Items,
    gather_comparison,
    gather_files,
    gather_items,
    gather_sizes,
    gather_sources,
    published_count,
)
from earthcode_pack.report.findings import gather_failures, gather_findings
from earthcode_pack.report.map import WORLD, detail_view, draw_map, map_title
from earthcode_pack.report.variables import gather_variables

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jinja2 import Environment

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Failure, Finding, ManifestEntry
    from earthcode_pack.profile import Profile
    from earthcode_pack.report.facts import Thumbnail

_PICTURES = 12  # previews in the page
_PICTURE_BYTES = 4_000_000  # of all of them
_CAPS = {"rows": ROWS, "shapes": SHAPES, "variables": 100, "classes": 256}


@dataclass(frozen=True)
class Status:
    """Where the product stands: a word, and a sentence that says what it means."""

    word: str
    sentence: str
    good: bool


@dataclass(frozen=True)
class Picture:
    """A preview in the page."""

    source: str  # a data: URL
    alt: str
    caption: str
    words: str


@dataclass(frozen=True)
class Place:
    """Where the product goes: what the profile names, and how much of it is there."""

    href: str
    link: str | None
    published: int


def write_report(bundle: Bundle) -> Path:
    """Writes ``report.html`` beside the product and gives its path.

    Needs only ``profile.yaml``; what a stopped run has not written yet is missing from the page, which says so. Raises
    ``ProfileError`` where that profile cannot be read.
    """
    path = bundle.root / "report.html"
    page = _environment().get_template("report.html.j2").render(_context(bundle))
    write_atomic(path, page.encode("utf-8", "replace"))  # a lone surrogate in a title must not stop the report
    return path


@lru_cache(maxsize=1)  # to compile the templates takes longer than all the rest
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - only the report needs it

    environment = Environment(
        loader=PackageLoader("earthcode_pack"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = ("size", "number", "interval", "extent", "seconds", "plural", "clip")
    environment.filters.update({name: getattr(text, name) for name in names})
    return environment


def _context(bundle: Bundle) -> dict[str, Any]:
    """Everything the template names."""
    profile, provenance = bundle.profile(), bundle.provenance()
    manifest = bundle.manifest() if bundle.digest else ()
    failures = gather_failures(provenance, _planned(bundle))
    place = _place(bundle, profile, manifest)
    items = gather_items(bundle, profile.product.version)
    return {
        "profile": profile,
        "collection": bundle.collection() if bundle.collection_path.is_file() else {},
        "digest": bundle.digest,
        "status": _status(bundle, items.count, failures, place, len(manifest)),
        "place": place,
        "total": len(manifest),
        "handoff": _handoff(bundle),
        "failures": failures,
        "items": items,
        "maps": _maps(items),
        "pictures": _pictures(bundle, items, manifest),
        "provenance": provenance,
        "files": gather_files(manifest),
        "caps": _CAPS,
        **_found(bundle, profile),
        **_measured(provenance, bundle.measured(), manifest),
    }


def _planned(bundle: Bundle) -> tuple[Failure, ...]:
    return bundle.plan().failures if (bundle.root / "plan.json").is_file() else ()


def _found(bundle: Bundle, profile: Profile) -> dict[str, Any]:
    """What the checks say."""
    rules = gather_findings(bundle.findings(), profile.accept)

    def standing(level: str) -> int:
        return sum(row.count for row in rules if row.level == level and row.reason is None)

    return {"rules": rules, "checked": (bundle.root / "findings.json").is_file(), "standing": standing}


def _measured(
    provenance: dict[str, Any], artifacts: Iterable[dict[str, Any]], manifest: tuple[ManifestEntry, ...]
) -> dict[str, Any]:
    """What was measured on the sources and on what was written."""
    sources = gather_sources(provenance)
    variables = gather_variables(artifacts, manifest)
    return {
        "sources": sources,
        "variables": variables,
        "comparison": gather_comparison(artifacts),
        "sizes": gather_sizes(sources, variables, manifest),
    }


def _status(bundle: Bundle, items: int, failures: list[Failure], place: Place, total: int) -> Status:
    """The first thing that stands in the way, else how far the product has come."""
    errors = bundle.standing_errors()
    if not items or not total:
        why = f": {text.plural(len(failures), 'source')} could not be used" if failures else ""
        return Status("Nothing to publish", f"The product is not whole{why}.", good=False)
    if place.published == total:
        return Status("Published", f"All {text.plural(total, 'file')} are published and verified.", good=True)
    if errors:
        return Status("Blocked", _blocked(errors), good=False)
    if place.published:
        return Status("Partly published", f"{place.published:,} of {total:,} files are there; run again.", good=False)
    if failures:
        what = text.plural(len(failures), "source")
        return Status("Incomplete", f"{what} could not be used; publishing takes --allow-incomplete.", good=False)
    return Status("Ready", "Nothing stands in the way of publishing.", good=True)


def _blocked(errors: Iterable[Finding]) -> str:
    rules = dict.fromkeys(finding.rule for finding in errors)
    return f"Publishing is blocked by {', '.join(rules)}: mend it, or accept the rule in the profile with a reason."


def _place(bundle: Bundle, profile: Profile, manifest: tuple[ManifestEntry, ...]) -> Place:
    store, below = profile.store, f"{profile.product.id}/v{profile.product.version}"
    published = published_count(manifest, bundle.receipts())
    if store is None:
        return Place("", None, published)
    if store.prr is not None:
        return Place(f"the PRR, collection {store.prr.collection}", store.prr.stac, published)
    public = f"{store.public_href.rstrip('/')}/{below}" if store.public_href else None
    return Place(f"{str(store.href).rstrip('/')}/{below}", public, published)


def _handoff(bundle: Bundle) -> list[tuple[str, int]]:
    """What there is for the catalogue and the PRR: its name and the number of files."""
    found = []
    for name in ("osc", "osc.patch", "pull_request.md", "prr"):
        path = bundle.root / name
        count = sum(file.is_file() for file in path.rglob("*")) if path.is_dir() else int(path.is_file())
        found += [(f"{name}/" if path.is_dir() else name, count)] if count else []
    return found


def _maps(items: Items) -> list[tuple[str, str]]:
    """Caption and SVG: the surroundings where the world would show them too small, and the world."""
    boxes, shapes = list(items.boxes), list(items.shapes.values())
    if not boxes:
        return []
    title, near = map_title(boxes, len(shapes)), detail_view(boxes)
    views = [("Where in the world" if near else "Footprints", WORLD)]
    views = [("Footprints", near), *views] if near else views
    return [(caption, draw_map(view, shapes, title)) for caption, view in views]


def _pictures(bundle: Bundle, items: Items, manifest: Iterable[ManifestEntry]) -> list[Picture]:
    """Thumbnails, as many as keep the page light."""
    keys = [entry.key for entry in manifest if entry.media_type == "image/png"]
    pictures, left = [], _PICTURE_BYTES
    for key in keys[:_PICTURES]:
        data = (bundle.product / key).read_bytes()
        left -= len(data)
        if left >= 0:
            pictures.append(_picture(data, items.thumbnails.get(key)))
    return pictures


def _picture(data: bytes, shown: Thumbnail | None) -> Picture:
    """What it shows stands in the Item, where it was drawn by a version that says so."""
    source = f"data:image/png;base64,{b64encode(data).decode()}"
    of = shown.item if shown else "the product"
    words = shown.words if shown and shown.words else ""
    return Picture(source, f"Preview of {of}{f': {words}' if words else ''}", of, words)
