"""STAC against JSON schemas: the core, and every extension that it lists.

A validator is compiled once for each URL; what it refers to is read beforehand, so that validating needs no look-up.
A part that cannot be had accepts anything, and a finding of level info says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin

import jsonschema_rs

from earthcode_pack.checks import rules
from earthcode_pack.checks.documents import texts
from earthcode_pack.checks.schema_sources import NoSchema, load_schema, named_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.model import Finding

_KINDS = {"Feature": "item", "Collection": "collection", "Catalog": "catalog"}
_DIALECTS = "http://json-schema.org/"  # the dialects themselves come with jsonschema-rs
_DRAFT_7 = "http://json-schema.org/draft-07/schema#"  # of a schema that names no dialect: STAC's
_MOST = 20  # errors of one schema in one file that are told apart


@dataclass
class SchemaBook:
    """The schemas of one check: what STAC breaks of them, and the URLs that could not be had, with the reason."""

    folder: Path | None = None
    unavailable: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = named_folder(self.folder)

    def findings(self, stac: dict[str, Any], subject: str) -> list[Finding]:
        """What the schemas of its core and its extensions refuse in a Catalog, Collection or Item."""
        return [finding for url in schema_urls(stac) for finding in self._against(url, stac, subject)]

    def unavailable_findings(self) -> list[Finding]:
        """One finding for each reason why schemas could not be read so far, with all of them."""
        by_reason: dict[str, list[str]] = {}
        for url, why in sorted(self.unavailable.items()):
            by_reason.setdefault(why, []).append(url)
        return [_unavailable(urls, why) for why, urls in by_reason.items()]

    def _against(self, url: str, stac: dict[str, Any], subject: str) -> Iterator[Finding]:
        compiled = _compile(url, self.folder)
        self.unavailable.update(compiled.missing)
        errors = [] if compiled.validator.is_valid(stac) else compiled.validator.iter_errors(stac)
        causes = {(_json_path(cause), cause.message): cause for cause in map(_cause, errors)}
        for (path, message), cause in sorted(causes.items())[:_MOST]:
            said = f"{path}: {_short(message)} ({url})"
            yield rules.SCHEMA.finding(subject, said, path, _short(str(cause.kind.value)))


def _unavailable(urls: list[str], why: str) -> Finding:
    if len(urls) == 1:
        return rules.SCHEMA_UNAVAILABLE.finding(urls[0], f"nothing was checked against {urls[0]}: {why}", urls)
    message = f"nothing was checked against {len(urls)} schemas of STAC and its extensions: {why}"
    return rules.SCHEMA_UNAVAILABLE.finding("STAC schemas", message, urls)


@dataclass(frozen=True)
class _Compiled:
    validator: jsonschema_rs.Validator
    missing: dict[str, str]


@lru_cache(maxsize=512)
def _compile(url: str, folder: Path | None) -> _Compiled:
    """A validator of one schema; ``format`` is not asserted (JSON Schema draft 7, section 7.2)."""
    documents: dict[str, dict[str, Any] | bool] = {}
    missing: dict[str, str] = {}
    _collect(url, folder, documents, missing)
    schema = documents[url]
    dialect = schema.get("$schema", _DRAFT_7) if isinstance(schema, dict) else _DRAFT_7
    registry = jsonschema_rs.Registry(list(documents.items()), draft=jsonschema_rs.Draft7)
    start = {"$schema": dialect, "$ref": url}
    validator = jsonschema_rs.validator_for(start, registry=registry, validate_formats=False, retriever=_no_network)
    return _Compiled(validator, missing)


def _no_network(url: str) -> Any:
    """Refuses what the registry lacks, which jsonschema-rs would fetch."""
    raise LookupError(url)


def _collect(
    url: str, folder: Path | None, documents: dict[str, dict[str, Any] | bool], missing: dict[str, str]
) -> None:
    """Reads the schema at ``url`` and all that it refers to; True, which accepts anything, stands for none."""
    try:
        schema = documents[url] = load_schema(url, folder)
    except NoSchema as error:
        missing[url] = str(error)
        documents[url] = True
        return
    base = urljoin(url, str(schema.get("$id", "")))
    for reference in _references(schema):
        target = urldefrag(urljoin(base, reference)).url
        if target not in {*documents, urldefrag(base).url} and not target.startswith(_DIALECTS):
            _collect(target, folder, documents, missing)


def schema_urls(stac: dict[str, Any]) -> list[str]:
    """The schema of the core for its version, and those of its extensions, without fragments.

    >>> schema_urls({"type": "Feature", "stac_version": "1.1.0"})
    ['https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json']
    """
    kind = _KINDS[stac["type"]]
    version = str(stac.get("stac_version", ""))
    version = version if re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", version) else "1.1.0"
    core = f"https://schemas.stacspec.org/v{version}/{kind}-spec/json-schema/{kind}.json"
    return [core, *dict.fromkeys(urldefrag(url).url for url in texts(stac.get("stac_extensions")))]


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _cause(error: jsonschema_rs.ValidationError) -> jsonschema_rs.ValidationError:
    """The innermost error that a person can mend: of alternatives, the one that came furthest.

    STAC's extensions are ``oneOf`` Item, Collection: the branch of another ``type`` is not what was meant.
    """
    branches = [branch for branch in getattr(error.kind, "context", []) if branch]
    meant = [branch for branch in branches if not any(_other_type(child) for child in branch)]
    if not meant:
        return error
    best = min(meant, key=lambda branch: (len(branch), -max(map(_depth, branch))))
    return _cause(max(best, key=_depth))


def _other_type(error: jsonschema_rs.ValidationError) -> bool:
    """Whether the branch is for another kind of thing: another ``type``, or null where something is."""
    path, kind = error.instance_path, error.kind.name
    is_type = bool(path) and path[-1] == "type" and kind in {"const", "enum"}
    return is_type or (kind == "type" and error.kind.value == ["null"])


def _depth(error: jsonschema_rs.ValidationError) -> int:
    inner = (child for branch in getattr(error.kind, "context", []) for child in branch)
    return max([len(error.instance_path), *map(_depth, inner)])


def _json_path(error: jsonschema_rs.ValidationError) -> str:
    """The place as a JSONPath: ``$.assets.a['file:size']``."""
    parts = (f"[{part}]" if isinstance(part, int) else _member(part) for part in error.instance_path)
    return "$" + "".join(parts)


def _member(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f".{name}" if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else f"['{escaped}']"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."  # noqa: PLR2004 - a line or two
