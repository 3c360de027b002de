"""A STAC file, and where its hrefs lead on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from earthcode_pack.errors import UserError

_LARGEST = 256_000_000  # bytes: no STAC file is larger


@dataclass(frozen=True)
class Place:
    """Where a product lies: relative hrefs stay inside ``root``, and those below a base of ``urls`` lead there too."""

    root: Path
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """Where an href leads: to a path (which may not exist), out of the product, or elsewhere on the net (neither)."""

    path: Path | None = None
    outside: bool = False


@dataclass(frozen=True)
class Document:
    """A STAC object: ``subject`` names it in findings; ``folder`` is None where it was fetched from the net."""

    stac: dict[str, Any]
    subject: str
    folder: Path | None
    place: Place | None = None

    def assets(self) -> dict[str, dict[str, Any]]:
        """Its assets that are objects; the schema finds the others."""
        return mappings(self.stac.get("assets"))

    def properties(self) -> dict[str, Any]:
        """The properties of an Item, the top level of a Collection."""
        return mapping(self.stac.get("properties")) if self.stac.get("type") == "Feature" else self.stac

    def resolve(self, href: str) -> Target:
        """Where an href leads."""
        for url in self.place.urls if self.place else ():
            if href.startswith(f"{url}/"):
                return self._inside(self.place.root / unquote(href.removeprefix(f"{url}/")))  # type: ignore[union-attr]
        if "://" in href or href.startswith(("/", "data:")) or self.folder is None:
            return Target()
        return self._inside(self.folder / unquote(urlsplit(href).path))

    def _inside(self, path: Path) -> Target:
        real = path.resolve()
        if self.place is not None and not real.is_relative_to(self.place.root.resolve()):
            return Target(outside=True)
        return Target(real)

    def name(self, path: Path) -> str:
        """How findings call a file: its key relative to the product, else the path."""
        root = self.place.root.resolve() if self.place else None
        return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else str(path)


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
    raw = _read_remote(href) if "://" in href else Path(href).read_bytes()
    return parse_stac(raw, href)


def parse_stac(raw: bytes, name: str) -> dict[str, Any]:
    """The STAC object in these bytes; raises ``UserError`` that says why there is none."""
    try:
        stac = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: not JSON ({error})", "write the file again") from None
    if not isinstance(stac, dict) or stac.get("type") not in {"Feature", "Collection", "Catalog"}:
        raise UserError(f"{name}: JSON, but no STAC Catalog, Collection or Item", "name a STAC file")
    if "stac_version" not in stac:
        raise UserError(f"{name}: no STAC, for it has no stac_version", "name a STAC file (a Record is not checked)")
    return stac


def _read_remote(href: str) -> bytes:
    from earthcode_pack.storage.inputs import filesystem  # noqa: PLC0415 - only for what is remote
    from earthcode_pack.storage.words import outside  # noqa: PLC0415

    fs, path = filesystem(href)
    with outside(href), fs.open(path, "rb") as file:
        return bytes(file.read(_LARGEST))
