"""Where JSON schemas come from: a folder the user names, pystac, the user's cache, and once the network.

A folder is laid out by host and path of the URL: ``<folder>/stac-extensions.github.io/file/v2.1.0/schema.json``.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs

from earthcode_pack.errors import EarthcodePackError
from earthcode_pack.files import write_atomic

SCHEMA_HOSTS = "EARTHCODE_PACK_SCHEMA_HOSTS"
# Where STAC and what it builds on publish their schemas, and projects of the field theirs. A schema holds regular
# expressions, which can take for ever: no stranger's is fetched.
_HOSTS = frozenset(
    {
        "schemas.stacspec.org", "stac-extensions.github.io", "geojson.org", "proj.org", "json-schema.org",
        "schemas.opengis.net", "crim-ca.github.io", "cs-si.github.io", "landsat.usgs.gov", "linz.github.io",
        "stac.linz.govt.nz", "open-eo.github.io", "esa-earthcode.github.io",
    }
)  # fmt: skip
_LARGEST = 4_000_000  # bytes; the largest schema of STAC has 60 kB
_offline: list[str] = []  # why the network is not tried again in this process


class NoSchema(LookupError):
    """A schema cannot be had; the message says why."""


def load_schema(url: str, folder: Path | None) -> dict[str, Any]:
    """The schema at ``url``, from the first place that has it.

    ``folder`` comes first; then pystac's core schemas, the user's cache and, unless ``EARTHCODE_PACK_OFFLINE`` is 1,
    https. Raises ``NoSchema``.
    """
    path = _relative(url)
    cached = cache_folder() / path
    if folder is not None and (folder / path).is_file():
        return _parse((folder / path).read_bytes(), url)
    if url in _bundled():
        return _bundled()[url]
    return _parse(cached.read_bytes() if cached.is_file() else _fetch(url, cached), url)


def named_folder(folder: Path | None) -> Path | None:
    """The folder given, else the one that ``EARTHCODE_PACK_SCHEMAS`` names, else none."""
    named = os.environ.get("EARTHCODE_PACK_SCHEMAS")
    return folder or (Path(named) if named else None)


def cache_folder() -> Path:
    """The user's cache of schemas."""
    return Path(platformdirs.user_cache_dir("earthcode-pack")) / "schemas"


def _relative(url: str) -> Path:
    """Host and path; a URL that would leave the folder, or is not https, has no schema here."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise NoSchema(f"{url} is no URL") from None
    path = Path(parts.netloc, *parts.path.strip("/").split("/"))
    if parts.scheme != "https" or parts.query or not parts.hostname or ".." in path.parts:
        raise NoSchema(f"{url} is not the https URL of a schema")
    return path


@lru_cache(maxsize=1)
def _bundled() -> dict[str, dict[str, Any]]:
    """The core schemas of pystac's wheel by URL, read as its data: its validator would need jsonschema.

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


def _fetch(url: str, keep: Path) -> bytes:
    """The bytes at ``url``, kept for the next time; after one failure to connect the network is not tried again."""
    if os.environ.get("EARTHCODE_PACK_OFFLINE") == "1":
        raise NoSchema("EARTHCODE_PACK_OFFLINE=1 forbids to fetch it")
    if _offline:
        raise NoSchema(_offline[0])
    raw = _download(url)
    if len(raw) > _LARGEST:
        raise NoSchema(f"{url} has more than {_LARGEST} bytes")
    _parse(raw, url)
    write_atomic(keep, raw)
    return raw


def _download(url: str) -> bytes:
    from earthcode_pack.storage.reach import ask  # noqa: PLC0415 - only for what is remote

    host = urlsplit(url).netloc
    if host not in _HOSTS and host not in os.environ.get(SCHEMA_HOSTS, "").split(","):
        raise NoSchema(f"{host} is none of the hosts whose schemas are fetched; trust it with {SCHEMA_HOSTS}")
    try:
        answered = ask("GET", url, most=_LARGEST + 1)
    except (OSError, EarthcodePackError) as error:
        _offline.append(f"{host} cannot be reached ({getattr(error, 'message', error)})")
        raise NoSchema(_offline[0]) from error
    if answered.status != HTTPStatus.OK:
        raise NoSchema(f"{host} answers {answered.status}")
    return answered.body
