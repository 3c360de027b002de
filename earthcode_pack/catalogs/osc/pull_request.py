"""The two documents of a pull request to the catalogue: the patch that `git apply` takes, and the text."""

from __future__ import annotations

import re
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

from earthcode_pack.catalogs.osc.links import LARGEST
from earthcode_pack.model import Finding, Level, ManifestEntry
from earthcode_pack.product_facts import cf_parameters, format_size, published_collection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from earthcode_pack.catalogs.osc.catalog import Catalog
    from earthcode_pack.profile import Profile


def request(
    profile: Profile,
    catalog: Catalog,
    changes: Mapping[str, str],
    deleted: list[str],
    *,
    facts: Mapping[str, str],
    findings: Sequence[Finding],
) -> str:
    """Writes the text of ``pull_request.md``, with the title on its first line."""
    new = not catalog.has("products", profile.product.id)
    cells = ((name, value.replace("|", "\\|").replace("\n", " ")) for name, value in facts.items())
    rows = [f"| {name} | {value} |" for name, value in cells]
    sorted_findings = [finding for level in Level for finding in findings if finding.level is level]
    parts = [
        [f"# {'Add' if new else 'Update'} product: {profile.product.title}"],
        [profile.product.description],
        ["## What changes", *_changed(profile, catalog, changes, deleted)],
        ["## Measured", "Read from the data that was written, not typed.", "| fact | value |", "| --- | --- |", *rows],
        ["## Findings", *([_finding(one, profile.accept) for one in sorted_findings] or ["None."])],
        ["## For the data steward", *_checklist(profile, catalog)],
    ]
    return "\n\n".join("\n".join(_spaced(part)) for part in parts) + "\n"


def _spaced(lines: list[str]) -> Iterator[str]:
    """Puts a blank line after a heading, and before a table or list that follows text."""
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


def _finding(finding: Finding, accepted: Mapping[str, str]) -> str:
    reason = f" — accepted: {accepted[finding.rule]}" if finding.rule in accepted else ""
    return f"- {finding.level.value} {finding.rule}, {finding.subject}: {finding.message}{reason}"


def _checklist(profile: Profile, catalog: Catalog) -> list[str]:
    """Lists what no validator can check."""
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
    """Collects the facts of the table "Measured", by name."""
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


def patch(changes: Iterable[tuple[str, str | None, str | None]]) -> str:
    """Writes a unified diff that ``git apply`` accepts (https://git-scm.com/docs/diff-format).

    Args:
        changes: path, old text and new text of each file, None where there is none; paths need no quoting.

    Returns:
        The diff, with line ends and missing final newlines as they are.

    """
    return "".join(_file_diff(path, old, new) for path, old, new in changes if old != new)


def _file_diff(path: str, old: str | None, new: str | None) -> str:
    mode = "new file mode 100644\n" if old is None else "deleted file mode 100644\n" if new is None else ""
    source, target = "/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}"
    # git ends lines by LF alone, and str.splitlines by others too
    before, after = (re.findall(r"[^\n]*\n|[^\n]+", text or "") for text in (old, new))
    lines = unified_diff(before, after, source, target)
    marked = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return f"diff --git a/{path} b/{path}\n{mode}" + "".join(marked)
