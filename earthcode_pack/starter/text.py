"""Text of a starter profile: YAML with comments, written line by line for readability."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from earthcode_pack.cf.standard_names import is_stated
from earthcode_pack.model import Source, Variable, rfc3339
from earthcode_pack.profile.period import TimePattern
from earthcode_pack.starter.names import common_start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.starter import Found

DECIDE = "decide:"
_LONGEST = 140  # characters of a comment that a file fills


def profile(found: Found) -> str:
    """Writes the YAML; text from files cannot leave its comment or its quotes."""
    parts = [
        _head(found),
        _product(found),
        ["project:", f"  id: # {DECIDE} the project's id in the Open Science Catalog"],
        _source(found),
        _target(found),
        _store(),
    ]
    return "\n".join("\n".join(part) + "\n" for part in parts)


def _head(found: Found) -> Iterator[str]:
    yield f"# A starter profile: {len(found.seen)} of {_files(len(found.names))} looked at."
    yield f"# Each line marked `{DECIDE}` needs a person: fill it in, and take away a # before the key."
    yield "# What the data say of themselves is measured and need not stand here."
    for failure in found.failures:
        yield f"# could not be used: {_plain(failure.error)} -> {_plain(failure.remedy)}"


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def _product(found: Found) -> Iterator[str]:
    yield "product:"
    yield _blank("id", _slug(_stem(found)), "a short name for folders and for the STAC Collection")
    yield _blank("title", _said(found, "title"), "as a reader finds it, beginning with the project's abbreviation")
    yield _blank("description", _said(found, "summary", "description", "comment"), "two or three sentences")
    yield _blank("license", _said(found, "license"), "an SPDX id such as CC-BY-4.0, or proprietary | various")
    yield _blank("version", "1.0", "a published version never changes")
    yield _blank("status", "completed", "planned | ongoing | completed", quoted=False)
    for key in ("institution", "source", "references"):
        if _said(found, key):
            yield f"  {key}: {_quoted(_said(found, key))} # as the files say"
    yield "  # Optional: region, keywords, themes, missions, documentation, doi, contacts, footprint, preview"
    yield "  variables:"
    for variable, _ in _variables(found):
        yield from _variable(variable, found)


def _variable(variable: Variable, found: Found) -> Iterator[str]:
    origin = str(variable.bands[0]) if len(variable.bands) == 1 else _quoted(variable.source_name)
    yield f"    {_quoted(_name(variable, found))}: # {DECIDE} the name that readers see"
    yield f"      from: {origin} # in the files: {_facts(variable)}"
    for attribute, hint in (
        ("units", 'as UDUNITS writes them; "1" where there is no dimension'),
        ("standard_name", "of the CF standard name table, or leave it out"),
        ("long_name", "in words"),
    ):
        if not variable.attrs.get(attribute) and not getattr(variable, attribute, None):
            yield f"      # {attribute}: # {DECIDE} {hint}"
    if variable.categorical:
        yield f'      # classes: [{{value: 1, name: water, title: Water, color: "0064C8"}}] # {DECIDE} what values mean'


def _name(variable: Variable, found: Found) -> str:
    """Returns the name in the files; bands without one are named after the files."""
    if not re.fullmatch(r"band_\d+", variable.source_name):
        return _slug(variable.source_name)
    stem = _slug(_stem(found))
    return stem if len(_variables(found)) == 1 else f"{stem}_{variable.bands[0]}"


def _facts(variable: Variable) -> str:
    shape = " ".join(f"{dim}={size}" for dim, size in zip(variable.dims, variable.shape, strict=True))
    said = [text for key in ("standard_name", "long_name") if is_stated(text := variable.attrs.get(key))]
    nodata = "no nodata value" if variable.nodata is None else f"nodata {variable.nodata}"
    packing = f"scale {variable.scale}, offset {variable.offset or 0}" if variable.scale is not None else ""
    parts = [variable.dtype, shape, f"units {variable.units}" if variable.units else "no units", nodata, packing, *said]
    return _plain(", ".join(part for part in parts if part))


def _source(found: Found) -> Iterator[str]:
    yield "source:"
    hrefs = [_quoted(href) for href in found.hrefs]
    if len(hrefs) == 1:
        yield f"  href: {hrefs[0]} # {_files(len(found.names))}"
    else:
        yield "  href:"
        yield from (f"    - {href}" for href in hrefs)
    names = [variable.source_name for variable, source in _variables(found) if source.driver != "GTiff"]
    if len(names) > 1:
        listed = ", ".join(_quoted(name) for name in names)
        yield f"  variables: [{listed}] # {DECIDE} which of them; all without this key"
    yield _time(found)
    yield _crs(found)
    if any(variable.nodata is None for variable, _ in _variables(found)):
        yield f"  # nodata: -9999 # {DECIDE} some state none; leave it out where every cell is valid"


def _time(found: Found) -> str:
    if found.times_from == "coordinate":
        starts, ends = zip(*((p.start, p.end) for source in found.seen for p in source.times), strict=True)
        span = f"{rfc3339(min(starts))} to {rfc3339(max(ends))}"
        return f"  time: {{from: coordinate}} # {span} in the files that were looked at"
    if found.times_from == "filename" and found.pattern:
        first = TimePattern(found.pattern).period(found.paths[0])
        assert first is not None  # the pattern fits all paths
        tail = "/".join(found.paths[0].rstrip("/").split("/")[-1 - found.pattern.count("/") :])
        said = f"the name {_plain(tail)} says {rfc3339(first.start)} to {rfc3339(first.end)}"
        return f"  # time: {{from: filename, pattern: {_quoted(found.pattern)}}} # {DECIDE} {said}"
    return f"  # time: {{start: 2020-01-01, end: 2020-12-31}} # {DECIDE} the period that the data stand for"


def _crs(found: Found) -> str:
    if not found.has_crs:
        return f"  # crs: EPSG:4326 # {DECIDE} the files state none"
    names = sorted({_crs_name(source.grid.crs) for source in found.seen})
    return f"  # The files state their CRS: {_plain(', '.join(names))}"


def _crs_name(crs: str) -> str:
    """Returns the code of a CRS, or the name within its WKT."""
    named = re.match(r'\w+\["([^"]*)"', crs)
    return named[1].replace("unknown", "one without a name") if named else crs


def _target(found: Found) -> list[str]:
    raster = all(source.driver == "GTiff" for source in found.seen)
    chosen = "cog # one file for each scene" if raster else "zarr # one cube"
    return ["target:", f"  format: {chosen}; {DECIDE} cog | zarr | netcdf"]


def _store() -> list[str]:
    return [
        "# Without a store the product is prepared and goes nowhere.",
        "# store:",
        f"#   href: published # {DECIDE} a folder, or s3://bucket/prefix",
        "#   public_href: https://example.org/data # where readers find it; a catalog needs it",
    ]


def _variables(found: Found) -> list[tuple[Variable, Source]]:
    """Lists each variable once, as the first file has it."""
    seen: dict[str, tuple[Variable, Source]] = {}
    for source in found.seen:
        for variable in source.variables:
            seen.setdefault(variable.source_name, (variable, source))
    return list(seen.values())


def _said(found: Found, *keys: str) -> str:
    """Returns the first global attribute of these names that is set, whatever its case."""
    said = {key.lower(): value for key, value in found.attributes.items()}
    return next((said[key] for key in keys if said.get(key)), "")


def _stem(found: Found) -> str:
    """Returns the common start of the names, up to a date."""
    heads = [re.split(r"\d{4,}|\.", name)[0] for name in found.names]
    return common_start(heads).strip("-_. ") or heads[0].strip("-_. ") or "product"


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:100].strip("-.") or "name"


def _blank(key: str, suggestion: str, hint: str, *, quoted: bool = True) -> str:
    value = _quoted(_plain(suggestion)) if quoted and suggestion else suggestion or "…"
    return f"  # {key}: {value} # {DECIDE} {hint}"


def _quoted(text: str) -> str:
    """Writes a YAML scalar in double quotes with JSON's escapes (YAML 1.2, 5.7), or bare where that is safe."""
    return (
        text if re.fullmatch(r"[A-Za-z][\w./-]*", text, re.ASCII) and text.lower() not in _WORDS else json.dumps(text)
    )


_WORDS = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}


def _plain(text: str) -> str:
    """Reduces text to one printable line, cut where it is long."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= _LONGEST else line[:_LONGEST].rstrip() + "…"
