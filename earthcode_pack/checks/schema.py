"""STAC against JSON schemas: the core, and every extension that it lists.

A validator is compiled once for each URL; what it refers to is read beforehand, so that validating needs no look-up.
Of many Items that the schemas cannot tell apart (``shape.py``) the first is validated, where it is valid.
A part that cannot be had accepts anything, and a finding of level info says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin

from earthcode_pack.checks import rules
from earthcode_pack.checks.documents import texts
from earthcode_pack.checks.schema_sources import NoSchema, load_schema, named_folder
from earthcode_pack.checks.shape import shapes_for
from earthcode_pack.checks.thin import Thinned

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from pathlib import Path

    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

    from earthcode_pack.model import Finding

_KINDS = {"Feature": "item", "Collection": "collection", "Catalog": "catalog"}
_DIALECTS = "http://json-schema.org/"  # the dialects themselves come with jsonschema
_SHAPES = 500  # that are remembered
_MOST = 20  # errors of one schema in one file that are told apart


@dataclass
class SchemaBook:
    """The schemas of one check: what STAC breaks of them, and the URLs that could not be had, with the reason."""

    folder: Path | None = None
    unavailable: dict[str, str] = field(default_factory=dict)
    _valid: set[Hashable] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder = named_folder(self.folder)

    def findings(self, stac: dict[str, Any], subject: str) -> list[Finding]:
        """What the schemas of its core and its extensions refuse in a Catalog, Collection or Item."""
        urls = tuple(schema_urls(stac))
        try:
            shaper = _shaper(urls, self.folder)
            shape = (urls, shaper(stac))
            if shape in self._valid:
                return []
            thin = Thinned(stac, shaper)
            found = [finding for url in urls for finding in self._against(url, thin, subject)]
        except RecursionError:
            return [rules.SCHEMA.finding(subject, f"{subject} is nested too deeply to be validated")]
        if thin.left:
            message = f"{thin.left} members of long arrays of {subject} were not validated"
            found.append(rules.SCHEMA_SAMPLED.finding(subject, message, thin.left))
        if not found and len(self._valid) < _SHAPES:
            self._valid.add(shape)
        return found

    def unavailable_findings(self) -> list[Finding]:
        """One finding for each reason why schemas could not be read so far, with all of them."""
        by_reason: dict[str, list[str]] = {}
        for url, why in sorted(self.unavailable.items()):
            by_reason.setdefault(why, []).append(url)
        return [_unavailable(urls, why) for why, urls in by_reason.items()]

    def _against(self, url: str, thin: Thinned, subject: str) -> Iterator[Finding]:
        compiled = _compile(url, self.folder)
        self.unavailable.update(compiled.missing)
        errors = sorted(compiled.validator.iter_errors(thin.document), key=lambda e: e.json_path)
        causes = {(cause.json_path, cause.message): cause for cause in map(_cause, errors)}
        for cause in list(causes.values())[:_MOST]:
            path = thin.path(cause.absolute_path)
            message = f"{path}: {_short(cause.message)} ({url})"
            yield rules.SCHEMA.finding(subject, message, path, _short(str(cause.validator_value)))


def _unavailable(urls: list[str], why: str) -> Finding:
    if len(urls) == 1:
        return rules.SCHEMA_UNAVAILABLE.finding(urls[0], f"nothing was checked against {urls[0]}: {why}", urls)
    message = f"nothing was checked against {len(urls)} schemas of STAC and its extensions: {why}"
    return rules.SCHEMA_UNAVAILABLE.finding("STAC schemas", message, urls)


@dataclass(frozen=True)
class _Compiled:
    validator: Validator
    missing: dict[str, str]
    documents: tuple[Any, ...]


@lru_cache(maxsize=512)
def _compile(url: str, folder: Path | None) -> _Compiled:
    from jsonschema.validators import Draft7Validator, validator_for  # noqa: PLC0415 - heavy
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # noqa: PLC0415 - heavy
    from referencing.jsonschema import DRAFT7  # noqa: PLC0415 - heavy

    documents: dict[str, dict[str, Any] | bool] = {}
    missing: dict[str, str] = {}
    _collect(url, folder, documents, missing)
    schema = documents[url]
    registry = REGISTRY.with_resources((name, DRAFT7.create_resource(part)) for name, part in documents.items())
    kind: type[Validator] = validator_for(schema, default=Draft7Validator)
    return _Compiled(kind(schema, registry=registry.crawl()), missing, tuple(documents.values()))


@lru_cache(maxsize=512)
def _shaper(urls: tuple[str, ...], folder: Path | None) -> Callable[[Any], Hashable]:
    return shapes_for(document for url in urls for document in _compile(url, folder).documents)


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


def _cause(error: ValidationError) -> ValidationError:
    """The innermost error that a person can mend: of alternatives, the one that came furthest.

    STAC's extensions are ``oneOf`` Item, Collection: the branch of another ``type`` is not what was meant.
    """
    branches: dict[Any, list[ValidationError]] = {}
    for child in error.context or []:
        branches.setdefault(child.relative_schema_path[0], []).append(child)
    meant = [branch for branch in branches.values() if not any(_other_type(child) for child in branch)]
    if error.validator not in {"oneOf", "anyOf"} or not meant:
        return error
    best = min(meant, key=lambda branch: (len(branch), -max(_depth(child) for child in branch)))
    return _cause(max(best, key=_depth))


def _other_type(error: ValidationError) -> bool:
    """Whether the branch is for another kind of thing: another ``type``, or null where something is."""
    path = list(error.absolute_path)
    kind = bool(path) and path[-1] == "type" and error.validator in {"const", "enum"}
    return kind or (error.validator == "type" and error.validator_value == "null")


def _depth(error: ValidationError) -> int:
    return max([len(error.absolute_path), *(_depth(child) for child in error.context or [])])


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."  # noqa: PLR2004 - a line or two
