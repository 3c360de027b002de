"""A STAC file, and where its hrefs lead on this machine."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from earthcode_pack.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

_LARGEST = 256_000_000  # bytes: no STAC file is larger
_DEEPEST = 64  # levels: GeoJSON has nine, PROJJSON a dozen
_DIGITS = 25  # of a whole number; a longer one is a float, infinite perhaps
_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")
_TYPES = ("Feature", "Collection", "Catalog")


@dataclass(frozen=True)
class Place:
    """Where a product lies: relative hrefs stay inside ``root``, and those below a base of ``urls`` lead there too.

    ``whole`` is false of a STAC file by itself: what lies further up may belong to it, and is not opened.
    """

    root: Path
    urls: tuple[str, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class Target:
    """Where an href leads: to a path (which may not exist), out of the product, to a URL, or to none of these."""

    path: Path | None = None
    outside: bool = False
    url: str | None = None


@dataclass(frozen=True)
class Document:
    """A STAC object: ``subject`` names it in findings.

    ``folder`` is None where it was fetched from the net; ``url`` is then where from, and its hrefs start there.
    """

    stac: dict[str, Any]
    subject: str
    folder: Path | None
    place: Place | None = None
    url: str | None = None

    def assets(self) -> dict[str, dict[str, Any]]:
        """Its assets that are objects; the schema finds the others."""
        return mappings(self.stac.get("assets"))

    def properties(self) -> dict[str, Any]:
        """The properties of an Item, the top level of a Collection."""
        return mapping(self.stac.get("properties")) if self.stac.get("type") == "Feature" else self.stac

    def resolve(self, href: str) -> Target:
        """Where an href leads. Raises nothing: what is no href leads nowhere."""
        for url in self.place.urls if self.place else ():
            if href.startswith(f"{url}/"):
                return self._inside(self.place.root / unquote(href.removeprefix(f"{url}/")))  # type: ignore[union-attr]
        if self.url is not None or "://" in href:
            return Target(url=_remote(self.url, href))
        if href.startswith(("/", "data:")) or self.folder is None or not href:
            return Target()
        return self._inside(self.folder / unquote(href.partition("?")[0].partition("#")[0]))

    def _inside(self, path: Path) -> Target:
        try:
            real = path.resolve()
        except (OSError, ValueError, RuntimeError):  # too long, a null byte, a circle of links
            return Target()
        if self.place is not None and not real.is_relative_to(_real(self.place.root)):
            return Target(outside=self.place.whole)
        return Target(real)

    def name(self, path: Path) -> str:
        """How findings call a file: its key relative to the product, else the path."""
        root = _real(self.place.root) if self.place else None
        return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else str(path)


@lru_cache(maxsize=64)
def _real(root: Path) -> Path:
    return root.resolve()


def _remote(base: str | None, href: str) -> str | None:
    """The absolute URL of an href; None where it is not http, https or s3, such as ``file://``."""
    try:
        url = urljoin(base or "", href) if base is None or not base.startswith("s3://") else _in_bucket(base, href)
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https", "s3"} and bool(parts.hostname)
    except ValueError:
        return None
    return url if known else None


def _in_bucket(base: str, href: str) -> str:
    """What ``urljoin`` does, which does not know s3."""
    return href if "://" in href else "s3" + urljoin("http" + base.removeprefix("s3"), href).removeprefix("http")


def mapping(value: Any) -> dict[str, Any]:
    """The value where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> dict[str, dict[str, Any]]:
    """The members of a JSON object that are objects."""
    return {key: member for key, member in mapping(value).items() if isinstance(member, dict)}


def listed(value: Any) -> list[dict[str, Any]]:
    """The members of a JSON array that are objects."""
    return [member for member in value if isinstance(member, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The members of a JSON array that are strings."""
    return [member for member in value if isinstance(member, str)] if isinstance(value, list) else []


def roles(asset: dict[str, Any]) -> list[str]:
    """The roles of an asset."""
    return texts(asset.get("roles"))


def read_stac(href: str) -> dict[str, Any]:
    """The Catalog, Collection or Item in a file or at a URL.

    Raises ``UserError`` where it is not STAC, ``OutsideError`` where the server does not answer.
    """
    raw = _read_remote(href) if "://" in href else _read_local(Path(href))
    return parse_stac(raw, href)


def parse_stac(raw: bytes, name: str) -> dict[str, Any]:
    """The STAC object in these bytes; raises ``UserError`` that says why there is none."""
    stac = _parse(raw, name)
    if not isinstance(stac, dict) or stac.get("type") not in _TYPES:
        raise UserError(f"{name}: JSON, but no STAC Catalog, Collection or Item", "name a STAC file")
    if not is_stac(stac):
        raise UserError(f"{name}: no STAC, for it has no stac_version", "name a STAC file")
    return stac


def read_stac_or_record(href: str) -> dict[str, Any]:
    """What ``read_stac`` gives, or an OGC record of a workflow or experiment. Raises what it raises."""
    raw = _read_remote(href) if "://" in href else _read_local(Path(href))
    data = _parse(raw, href)
    return data if is_record(data) else parse_stac(raw, href)


def is_stac(data: Any) -> bool:
    """Whether parsed JSON is a Catalog, Collection or Item, whatever else is wrong with it."""
    return isinstance(data, dict) and _type_of(data) in _TYPES and "stac_version" in data


def is_record(data: Any) -> bool:
    """Whether parsed JSON is an OGC API record (Records, part 1): a Feature that says so, and is no STAC."""
    if not isinstance(data, dict) or data.get("type") != "Feature" or "stac_version" in data:
        return False
    return isinstance(data.get("properties"), dict) and any(
        "ogcapi-records" in c for c in texts(data.get("conformsTo"))
    )


def _type_of(data: dict[str, Any]) -> str:
    return data["type"] if isinstance(data.get("type"), str) else ""


def _parse(raw: bytes, name: str) -> Any:
    try:
        return load_json(raw)
    except ValueError as error:
        raise UserError(f"{name}: not JSON ({error})", "write the file again") from None


def load_json(raw: bytes) -> Any:
    """JSON of a stranger, made harmless: no number that a float cannot hold, no half of a surrogate pair.

    Raises ``ValueError`` for what is no JSON, or is nested deeper than any STAC.
    """
    try:
        data = json.loads(raw, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _is_deeper(data, _DEEPEST):
        raise ValueError(f"nested deeper than {_DEEPEST} levels")
    return _paired(data) if _HALVES.search(raw) else data


def _whole(text: str) -> int | float:
    return int(text) if len(text) < _DIGITS else float(text)


def _is_deeper(data: Any, most: int) -> bool:
    level = [data]
    for _ in range(most):
        level = [part for value in level if isinstance(value, dict | list) for part in _parts(value)]
        if not level:
            return False
    return True


def _parts(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _paired(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()
    if isinstance(data, dict):
        return {_paired(key): _paired(value) for key, value in data.items()}
    return [_paired(value) for value in data] if isinstance(data, list) else data


def is_file(path: Path) -> bool:
    """Whether there is a file; not where no file can have such a name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _read_local(path: Path) -> bytes:
    """The bytes of a file that is no larger than a STAC file may be."""
    if path.stat().st_size > _LARGEST:
        raise UserError(f"{path}: {path.stat().st_size} bytes, and no STAC file has more than {_LARGEST}", "split it")
    return path.read_bytes()


def _read_remote(href: str) -> bytes:
    from earthcode_pack.storage.error_messages import outside  # noqa: PLC0415
    from earthcode_pack.storage.inputs import filesystem  # noqa: PLC0415 - only for what is remote

    fs, path = filesystem(href)
    with outside(href), fs.open(path, "rb") as file:
        return bytes(file.read(_LARGEST))
