"""``report.html``: one page for people, made from the files of the bundle alone.

It opens offline: styles, map and pictures are in the page, and its content security policy forbids all else. The same
bundle gives the same bytes.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from earthcode_pack.files import write_atomic
from earthcode_pack.geo.box import union
from earthcode_pack.report import text
from earthcode_pack.report.map import WORLD, detail_view, draw_map
from earthcode_pack.report.tables import (
    ROWS,
    SHAPES,
    Items,
    gather_comparison,
    gather_failures,
    gather_files,
    gather_findings,
    gather_items,
    gather_sizes,
    gather_sources,
    published_count,
)
from earthcode_pack.report.variables import gather_variables

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jinja2 import Environment

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Failure, ManifestEntry
    from earthcode_pack.profile import Profile

_PICTURES = 12  # previews in the page
_PICTURE_BYTES = 4_000_000  # of all of them
_CAPS = {"rows": ROWS, "shapes": SHAPES, "variables": 100, "classes": 256}


@dataclass(frozen=True)
class Status:
    """State of the product: a word, and a sentence that explains it."""

    word: str
    sentence: str
    good: bool = False


@dataclass(frozen=True)
class Picture:
    """A preview in the page."""

    source: str  # a data: URL
    alt: str
    caption: str
    words: str


@dataclass(frozen=True)
class Place:
    """Destination of the product by the profile, and the number of its files that are published."""

    href: str
    link: str | None
    published: int


def write_report(bundle: Bundle) -> Path:
    """Writes ``report.html`` beside the product.

    Only ``profile.yaml`` must exist; what a stopped run has not written yet is missing from the page, which says so.

    Args:
        bundle: the folder of the product.

    Returns:
        The path of the page.

    Raises:
        ProfileError: the profile of the bundle cannot be read.

    """
    path = bundle.root / "report.html"
    page = _environment().get_template("report.html.j2").render(_context(bundle))
    write_atomic(path, page.encode("utf-8", "replace"))  # a lone surrogate in a title must not stop the report
    return path


@lru_cache(maxsize=1)  # compiling the templates takes longer than all the rest
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
    """Gathers all names that the template uses."""
    profile, provenance = bundle.profile(), bundle.provenance()
    manifest = bundle.manifest() if bundle.digest else ()
    failures = gather_failures(provenance, bundle.plan().failures if (bundle.root / "plan.json").is_file() else ())
    place = _place(profile, published_count(manifest, bundle.receipts()))
    items = gather_items(bundle, profile.product.version)
    artifacts = bundle.measured()
    sources, variables = gather_sources(provenance), gather_variables(artifacts, manifest)
    rules = gather_findings(bundle.findings(), profile.accept)
    standing = {
        level: sum(row.count for row in rules if row.level == level and row.reason is None)
        for level in ("error", "warning")
    }
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
        "rules": rules,
        "checked": (bundle.root / "findings.json").is_file(),
        "standing": standing,
        "sources": sources,
        "variables": variables,
        "comparison": gather_comparison(artifacts),
        "sizes": gather_sizes(sources, variables, manifest),
    }


def _status(bundle: Bundle, items: int, failures: list[Failure], place: Place, total: int) -> Status:
    """Returns the first obstacle to publishing, else the progress of it."""
    rules = dict.fromkeys(finding.rule for finding in bundle.standing_errors())
    failed = f"{text.plural(len(failures), 'source')} could not be used"
    if not items or not total:
        return Status("Nothing to publish", f"The product is incomplete{f': {failed}' if failures else ''}.")
    if place.published == total:
        return Status("Published", f"All {text.plural(total, 'file')} are published and verified.", good=True)
    if rules:
        remedy = "correct the product, or accept the rule in the profile with a reason"
        return Status("Blocked", f"Publishing is blocked by {', '.join(rules)}: {remedy}.")
    if place.published:
        return Status("Partly published", f"{place.published:,} of {total:,} files are published; run again.")
    if failures:
        return Status("Incomplete", f"{failed}; publishing takes --allow-incomplete.")
    return Status("Ready", "The product can be published.", good=True)


def _place(profile: Profile, published: int) -> Place:
    store, below = profile.store, profile.product.folder
    if store is None:
        return Place("", None, published)
    if store.prr is not None:
        return Place(f"the PRR, collection {store.prr.collection}", store.prr.stac, published)
    public = f"{store.public_href.rstrip('/')}/{below}" if store.public_href else None
    return Place(f"{str(store.href).rstrip('/')}/{below}", public, published)


def _handoff(bundle: Bundle) -> list[tuple[str, int]]:
    """Returns name and number of files of what the bundle holds for the catalogue and the PRR."""
    found = []
    for name in ("osc", "osc.patch", "pull_request.md", "prr"):
        path = bundle.root / name
        count = sum(file.is_file() for file in path.rglob("*")) if path.is_dir() else int(path.is_file())
        found += [(f"{name}/" if path.is_dir() else name, count)] if count else []
    return found


def _maps(items: Items) -> list[tuple[str, str]]:
    """Returns captions and SVG: the world, and before it the surroundings of an area that is small on it."""
    boxes, shapes = list(items.boxes), list(items.shapes.values())
    if not boxes:
        return []
    near = detail_view(boxes)
    title = f"Map of {text.plural(len(shapes), 'footprint')}: {text.box_text(union(boxes))}"
    views = [("Footprints", near), ("Location on the globe", WORLD)] if near else [("Footprints", WORLD)]
    return [(caption, draw_map(view, shapes, title)) for caption, view in views]


def _pictures(bundle: Bundle, items: Items, manifest: Iterable[ManifestEntry]) -> list[Picture]:
    """Returns the first thumbnails, as many as keep the page small."""
    keys = [entry.key for entry in manifest if entry.media_type == "image/png"]
    pictures, left = [], _PICTURE_BYTES
    for key in keys[:_PICTURES]:
        data = (bundle.product / key).read_bytes()
        left -= len(data)
        if left < 0:
            continue
        of, words = items.pictures.get(key, ("the product", ""))
        source = f"data:image/png;base64,{b64encode(data).decode()}"
        pictures.append(Picture(source, f"Preview of {of}{f': {words}' if words else ''}", of, words))
    return pictures
