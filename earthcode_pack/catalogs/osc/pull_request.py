"""The two documents of a pull request to the catalogue: the patch that `git apply` takes, and the text."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from earthcode_pack.catalogs.osc.links import LARGEST
from earthcode_pack.entry import cf_parameters, published_collection, size_in_words
from earthcode_pack.model import Finding, Level, ManifestEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from earthcode_pack.catalogs.osc.catalog import Catalog
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
        "data": f"{len(data)} files, {size_in_words(size)}",
        "format": profile.target.format,
        "variables": ", ".join(variables),
        "digest": str(digest),
    }


_CONTEXT = 3
_NO_NEWLINE = "\n\\ No newline at end of file\n"

_Block = tuple[int, int, int, int]  # a run of old lines i1:i2 that becomes new lines j1:j2


def patch(changes: Iterable[tuple[str, str | None, str | None]]) -> str:
    """The diff of files, each given as path, old text and new text; None where it is not there."""
    return "".join(_file(path, old, new) for path, old, new in changes if old != new)


def _file(path: str, old: str | None, new: str | None) -> str:
    """A file's part; paths are those of the catalogue, which need no quoting."""
    head = f"diff --git a/{path} b/{path}\n"
    head += "new file mode 100644\n" if old is None else "deleted file mode 100644\n" if new is None else ""
    names = f"--- {'/dev/null' if old is None else f'a/{path}'}\n+++ {'/dev/null' if new is None else f'b/{path}'}\n"
    hunks = "".join(_hunks(lines_of(old or ""), lines_of(new or "")))
    return head + (names + hunks if hunks else "")


def lines_of(text: str) -> list[str]:
    """Lines as git counts them: ended by LF alone, the end kept."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _hunks(old: list[str], new: list[str]) -> Iterator[str]:
    for blocks in _near(_blocks(old, new)):
        start, end = max(blocks[0][0] - _CONTEXT, 0), min(blocks[-1][1] + _CONTEXT, len(old))
        shift = blocks[0][2] - blocks[0][0]
        grown = sum((j2 - j1) - (i2 - i1) for i1, i2, j1, j2 in blocks)
        yield f"@@ -{_range(start, end)} +{_range(start + shift, end + shift + grown)} @@\n"
        for i1, i2, j1, j2 in blocks:
            yield from _marked(" ", old[start:i1])
            yield from _marked("-", old[i1:i2])
            yield from _marked("+", new[j1:j2])
            start = i2
        yield from _marked(" ", old[start:end])


def _range(start: int, end: int) -> str:
    """Counted from one; an empty range names the line before it."""
    return f"{start + 1 if end > start else start},{end - start}"


def _marked(mark: str, lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield mark + (line if line.endswith("\n") else line + _NO_NEWLINE)


def _blocks(old: list[str], new: list[str]) -> list[_Block]:
    """What differs. Equal ends are cut off first: the matcher is quadratic in lines as common as a brace."""
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    matcher = SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False)
    return [
        (i1 + head, i2 + head, j1 + head, j2 + head) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal"
    ]


def _common(one: list[str], other: list[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _near(blocks: list[_Block]) -> Iterator[list[_Block]]:
    """Blocks whose contexts touch share a hunk."""
    group: list[_Block] = []
    for block in blocks:
        if group and block[0] - group[-1][1] > 2 * _CONTEXT:
            yield group
            group = []
        group.append(block)
    if group:
        yield group
