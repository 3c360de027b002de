"""The text of the pull request: what changes, what was measured, what stands open, what a person must look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.handoff.items import LARGEST
from earthcode_pack.model import Finding, Level, ManifestEntry
from earthcode_pack.product_facts import cf_parameters, format_size, published_collection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from earthcode_pack.handoff.catalog import Catalog
    from earthcode_pack.profile import Profile


def request(
    profile: Profile,
    catalog: Catalog,
    changes: Mapping[str, str],
    deleted: list[str],
    *,
    facts: Mapping[str, str],
    findings: Iterable[Finding],
) -> str:
    """``pull_request.md``: the title on its first line."""
    new = not catalog.has("products", profile.product.id)
    parts = [
        [f"# {'Add' if new else 'Update'} product: {profile.product.title}"],
        [profile.product.description],
        ["## What changes", *_changed(profile, catalog, changes, deleted)],
        ["## Measured", "Read from the data that was written, not typed.", *_table(facts)],
        ["## Findings", *_findings(profile, findings)],
        ["## For the data steward", *_checklist(profile, catalog)],
    ]
    return "\n\n".join("\n".join(_spaced(part)) for part in parts) + "\n"


def _spaced(lines: list[str]) -> Iterator[str]:
    """A blank line behind a heading and before a table or list that follows text."""
    for index, line in enumerate(lines):
        listed = line.startswith(("- ", "| "))
        if index and not (listed and lines[index - 1].startswith(line[:2])):
            yield ""
        yield line


def _changed(profile: Profile, catalog: Catalog, changes: Mapping[str, str], deleted: list[str]) -> list[str]:
    fresh = [path for path in changes if catalog.text(path) is None]
    target = f"/{profile.product.id}/collection.json"
    left = [path for path in changes if target in (catalog.text(path) or "") and target not in changes[path]]
    lines = [f"- new: `{path}`" for path in fresh]
    lines += [
        f"- changed: `{path}`" + (", which points to the product no longer" if path in left else "")
        for path in changes
        if path not in fresh
    ]
    lines += [f"- deleted (by the patch; by hand where files are laid over): `{path}`" for path in deleted]
    return lines or ["Nothing: the catalogue says all this already."]


def _table(facts: Mapping[str, str]) -> list[str]:
    rows = [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    return ["| fact | value |", "| --- | --- |", *rows]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _findings(profile: Profile, findings: Iterable[Finding]) -> list[str]:
    lines = [_finding(finding, profile.accept) for level in Level for finding in findings if finding.level is level]
    return lines or ["None."]


def _finding(finding: Finding, accepted: Mapping[str, str]) -> str:
    reason = f" — accepted: {accepted[finding.rule]}" if finding.rule in accepted else ""
    return f"- {finding.level.value} {finding.rule}, {finding.subject}: {finding.message}{reason}"


def _checklist(profile: Profile, catalog: Catalog) -> list[str]:
    """What no validator can know."""
    product = profile.product
    lines = [
        f"- [ ] the title begins with the project's abbreviation: “{product.title}”",
        f"- [ ] the licence {product.license} is the project's to give",
        f"- [ ] the themes ({', '.join(product.themes)}) and variables fit the product",
        f"- [ ] the STAC Collection is online: <{published_collection(profile)}>",
        f"- [ ] the documentation is online: <{product.documentation}>",
    ]
    if not product.doi:
        lines.append("- [ ] there is no DOI yet")
    if not catalog.has("projects", profile.project.id):
        lines.append(f"- [ ] the project {profile.project.id} is new: its officer, website and dates are right")
    new = profile.catalog.new if profile.catalog else None
    names = [*new.variables, *new.missions] if new else []
    return lines + [f"- [ ] {name} is new: the catalogue has no entry that means the same" for name in names]


def measured_facts(
    profile: Profile, collection: dict[str, Any], items: int, manifest: Iterable[ManifestEntry], digest: str | None
) -> dict[str, str]:
    """The facts of the table, by name."""
    data = [entry for entry in manifest if entry.key.startswith("data/")]
    size = sum(entry.size for entry in data)
    extent = collection["extent"]
    placed = f"; not copied here, for they are more than {LARGEST}" if items > LARGEST else ""
    variables = [f"{entry['name']} [{entry.get('unit', 'no unit')}]" for entry in cf_parameters(profile, collection)]
    return {
        "product": f"{profile.product.id}, version {profile.product.version}",
        "box (west, south, east, north)": ", ".join(f"{number:g}" for number in extent["spatial"]["bbox"][0]),
        "time": " to ".join(str(end) for end in extent["temporal"]["interval"][0]),
        "Items": f"{items}{placed}",
        "data": f"{len(data)} files, {format_size(size)}",
        "format": profile.target.format,
        "variables": ", ".join(variables),
        "digest": str(digest),
    }
