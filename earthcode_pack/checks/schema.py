"""STAC against JSON schemas: the core, and every extension that an object lists.

A schema comes from a folder that the user names, pystac, the user's cache or, once, the network. The folder is laid out
by host and path of the URLs: ``<folder>/stac-extensions.github.io/file/v2.1.0/schema.json``. A validator is compiled
once for each URL, with the schemas it refers to. A schema that is not available accepts anything, and a finding of
level info says so.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin, urlsplit

import jsonschema_rs
import platformdirs

from earthcode_pack.checks import rules
from earthcode_pack.checks.documents import texts
from earthcode_pack.errors import EarthcodePackError
from earthcode_pack.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.model import Finding

SCHEMA_HOSTS = "EARTHCODE_PACK_SCHEMA_HOSTS"
# Hosts where STAC, what it builds on, and projects of the field publish their schemas. A schema holds regular
# expressions, which can run for ever: no schema of an unknown host is fetched.
_HOSTS = frozenset(
    {
        "schemas.stacspec.org", "stac-extensions.github.io", "geojson.org", "proj.org", "json-schema.org",
        "schemas.opengis.net", "crim-ca.github.io", "cs-si.github.io", "landsat.usgs.gov", "linz.github.io",
        "stac.linz.govt.nz", "open-eo.github.io", "esa-earthcode.github.io",
    }
)  # fmt: skip
_LARGEST = 4_000_000  # bytes; the largest schema of STAC has 60 kB
_offline: list[str] = []  # why the network is not tried again in this process
_KINDS = {"Feature": "item", "Collection": "collection", "Catalog": "catalog"}
_DIALECTS = "http://json-schema.org/"  # the dialects themselves come with jsonschema-rs
_DRAFT_7 = "http://json-schema.org/draft-07/schema#"  # STAC's dialect, for a schema that names none
_MOST, _EXAMINED = 20, 1000  # errors of one schema in one file: reported, and looked through

Schema = dict[str, Any] | bool


class NoSchema(LookupError):
    """A schema is not available; the message says why."""


@dataclass
class SchemaValidator:
    """Schemas of one check.

    Attributes:
        folder: Folder of schemas; by default the one that ``EARTHCODE_PACK_SCHEMAS`` names.
        unavailable: URLs of schemas that are not available, with the reason.

    """

    folder: Path | None = None
    unavailable: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = os.environ.get("EARTHCODE_PACK_SCHEMAS")
        self.folder = self.folder or (Path(named) if named else None)

    def findings(self, stac: dict[str, Any], subject: str) -> list[Finding]:
        """Validates a Catalog, Collection or Item against the schemas of its core and its extensions.

        Args:
            stac: The JSON object.
            subject: Its name in findings.

        Returns:
            At most 20 findings for each schema.

        """
        found = []
        for url in schema_urls(stac):
            validator, missing = _compile(url, self.folder)
            self.unavailable.update(missing)
            errors = [] if validator.is_valid(stac) else validator.iter_errors(stac)
            causes = {(_json_path(cause), cause.message): cause for cause in map(_cause, islice(errors, _EXAMINED))}
            for (path, message), cause in sorted(causes.items())[:_MOST]:
                said = f"{path}: {_short(message)} ({url})"
                found.append(rules.SCHEMA.finding(subject, said, path, _short(str(cause.kind.value))))
        return found

    def unavailable_findings(self) -> list[Finding]:
        """Returns one finding for each reason why schemas were not available so far."""
        by_reason: dict[str, list[str]] = {}
        for url, why in sorted(self.unavailable.items()):
            by_reason.setdefault(why, []).append(url)
        found = []
        for why, urls in by_reason.items():
            named = urls[0] if len(urls) == 1 else f"{len(urls)} schemas of STAC and its extensions"
            subject = urls[0] if len(urls) == 1 else "STAC schemas"
            message = f"nothing was checked against {named}: {why}"
            found.append(rules.SCHEMA_UNAVAILABLE.finding(subject, message, urls))
        return found


def schema_urls(stac: dict[str, Any]) -> list[str]:
    """Returns the URLs of the schemas of the core, for its version, and of its extensions, without fragments.

    >>> schema_urls({"type": "Feature", "stac_version": "1.1.0"})
    ['https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json']
    """
    kind = _KINDS[stac["type"]]
    version = str(stac.get("stac_version", ""))
    version = version if re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", version) else "1.1.0"
    core = f"https://schemas.stacspec.org/v{version}/{kind}-spec/json-schema/{kind}.json"
    return [core, *dict.fromkeys(urldefrag(url).url for url in texts(stac.get("stac_extensions")))]


# --- validators


@lru_cache(maxsize=512)
def _compile(url: str, folder: Path | None) -> tuple[jsonschema_rs.Validator, dict[str, str]]:
    """Compiles a schema; ``format`` is not asserted (JSON Schema draft 7, section 7.2).

    Returns the validator, and why schemas it refers to are not available, by URL.
    """
    documents: dict[str, Schema] = {}
    missing: dict[str, str] = {}
    _collect(url, folder, documents, missing)
    schema = documents[url]
    if not isinstance(schema, dict):
        return jsonschema_rs.Draft7Validator(True), missing  # the URL may be no URL at all
    dialect = schema.get("$schema", _DRAFT_7)
    registry = jsonschema_rs.Registry(list(documents.items()), draft=jsonschema_rs.Draft7)
    start, lookup = {"$schema": dialect, "$ref": url}, documents.__getitem__  # instead of the network
    validator = jsonschema_rs.validator_for(start, registry=registry, validate_formats=False, retriever=lookup)
    return validator, missing


def _collect(url: str, folder: Path | None, documents: dict[str, Schema], missing: dict[str, str]) -> None:
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


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _cause(error: jsonschema_rs.ValidationError) -> jsonschema_rs.ValidationError:
    """Returns the innermost error that a person can correct: of alternatives, the one that got furthest.

    STAC's extensions are ``oneOf`` Item, Collection: the branch of another ``type`` is not the one that is meant.
    """
    meant = []
    for branch in getattr(error.kind, "context", []):
        errors = [(child.instance_path[-1:], child.kind.name, child.kind) for child in branch]
        of_other_type = any(
            (place == ["type"] and name in {"const", "enum"}) or (name == "type" and kind.value == ["null"])
            for place, name, kind in errors
        )
        if branch and not of_other_type:
            meant.append(branch)
    if not meant:
        return error
    best = min(meant, key=lambda branch: (len(branch), -max(map(_depth, branch))))
    return _cause(max(best, key=_depth))


def _depth(error: jsonschema_rs.ValidationError) -> int:
    inner = (child for branch in getattr(error.kind, "context", []) for child in branch)
    return max([len(error.instance_path), *map(_depth, inner)])


def _json_path(error: jsonschema_rs.ValidationError) -> str:
    """Returns the position as a JSONPath: ``$.assets.a['file:size']``."""
    path = "$"
    for part in error.instance_path:
        if isinstance(part, int):
            path += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z_]\w*", part, re.ASCII):
            path += f".{part}"
        else:
            escaped = part.replace("\\", "\\\\").replace("'", "\\'")
            path += f"['{escaped}']"
    return path


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."  # noqa: PLR2004 - a line or two


# --- sources


def load_schema(url: str, folder: Path | None) -> dict[str, Any]:
    """Loads a schema from the first source that has it.

    The sources are the folder, pystac's core schemas, the user's cache and, unless ``EARTHCODE_PACK_OFFLINE`` is 1,
    the network.

    Args:
        url: URL of the schema, https only.
        folder: Folder of schemas laid out by host and path.

    Returns:
        The schema.

    Raises:
        NoSchema: If no source has it, or it is not a JSON schema.

    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise NoSchema(f"{url} is no URL") from None
    path = Path(parts.netloc, *parts.path.strip("/").split("/"))
    if parts.scheme != "https" or parts.query or not parts.hostname or ".." in path.parts:
        raise NoSchema(f"{url} is not the https URL of a schema")
    if folder is not None and (folder / path).is_file():
        return _parse((folder / path).read_bytes(), url)
    if url in _bundled():
        return _bundled()[url]
    cached = cache_folder() / path
    if cached.is_file():
        return _parse(cached.read_bytes(), url)
    raw = _fetch(url)
    schema = _parse(raw, url)
    write_atomic(cached, raw)
    return schema


def cache_folder() -> Path:
    """Returns the user's cache of schemas."""
    return Path(platformdirs.user_cache_dir("earthcode-pack")) / "schemas"


@lru_cache(maxsize=1)
def _bundled() -> dict[str, dict[str, Any]]:
    """Returns the core schemas of pystac's wheel by URL, read as its data: its validator would need jsonschema.

    The URL comes from the file's name, since ``$id`` of some differs from what the other schemas refer to.
    """
    folder = files("pystac.validation.jsonschemas")
    found = {f"https://geojson.org/schema/{file.name}": file for file in (folder / "geojson").iterdir()}
    for version in (folder / "stac-spec").iterdir():
        for file in version.iterdir():
            part = file.name.removesuffix(".json")
            spec = part if part in {"catalog", "collection"} else "item"
            found[f"https://schemas.stacspec.org/{version.name}/{spec}-spec/json-schema/{file.name}"] = file
    return {url: json.loads(file.read_bytes()) for url, file in found.items()}


def _parse(raw: bytes, url: str) -> dict[str, Any]:
    try:
        schema = json.loads(raw)
    except ValueError as error:
        raise NoSchema(f"{url} is not JSON") from error
    if not isinstance(schema, dict):
        raise NoSchema(f"{url} is not a JSON schema")
    return schema


def _fetch(url: str) -> bytes:
    """Fetches a schema; after one failure to connect the network is not tried again."""
    from earthcode_pack.storage.reach import ask  # noqa: PLC0415 - only for what is remote

    if os.environ.get("EARTHCODE_PACK_OFFLINE") == "1":
        raise NoSchema("EARTHCODE_PACK_OFFLINE=1 forbids to fetch it")
    if _offline:
        raise NoSchema(_offline[0])
    host = urlsplit(url).netloc
    if host not in _HOSTS and host not in os.environ.get(SCHEMA_HOSTS, "").split(","):
        raise NoSchema(f"{host} is none of the hosts whose schemas are fetched; trust it with {SCHEMA_HOSTS}")
    try:
        answer = ask("GET", url, most=_LARGEST + 1)
    except (OSError, EarthcodePackError) as error:
        _offline.append(f"{host} cannot be reached ({getattr(error, 'message', error)})")
        raise NoSchema(_offline[0]) from error
    if answer.status != HTTPStatus.OK:
        raise NoSchema(f"{host} answers {answer.status}")
    if len(answer.body) > _LARGEST:
        raise NoSchema(f"{url} has more than {_LARGEST} bytes")
    return answer.body
