"""STAC objects read from a file or URL, and the resolution of their hrefs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from earthcode_pack.errors import UserError

_LARGEST = 256_000_000  # bytes: no STAC file is larger
_DEEPEST = 64  # levels: GeoJSON has nine, PROJJSON a dozen
_DIGITS = 25  # of a whole number; a longer one is read as a float, which may be infinite
_SURROGATES = re.compile(rb"\\u[dD][89a-fA-F]")
_TYPES = ("Feature", "Collection", "Catalog")


@dataclass(frozen=True)
class ProductFolder:
    """Folder of a product, in which relative hrefs must stay.

    Attributes:
        root: The folder.
        urls: Base URLs under which the product is published: hrefs below them lead into the folder.
        whole: False for a STAC file by itself: files further up may belong to it, and are not opened.

    """

    root: Path
    urls: tuple[str, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class ResolvedHref:
    """Target of an href: a path, which may not exist, or a URL; neither if the href leads nowhere.

    ``outside`` says that it leads out of the product.
    """

    path: Path | None = None
    outside: bool = False
    url: str | None = None


@dataclass(frozen=True)
class Document:
    """A STAC object with its origin, from which its hrefs are resolved.

    Attributes:
        stac: The JSON object.
        subject: Its name in findings.
        folder: Folder of the file; None if it was fetched from a URL.
        product: Folder of the product it belongs to.
        url: URL from which it was fetched.

    """

    stac: dict[str, Any]
    subject: str
    folder: Path | None
    product: ProductFolder | None = None
    url: str | None = None

    def assets(self) -> dict[str, dict[str, Any]]:
        """Returns the assets that are objects; the schema finds the others."""
        return mappings(self.stac.get("assets"))

    def properties(self) -> dict[str, Any]:
        """Returns the properties of an Item, or the top level of a Collection."""
        return mapping(self.stac.get("properties")) if self.stac.get("type") == "Feature" else self.stac

    def resolve(self, href: str) -> ResolvedHref:
        """Resolves an href; a malformed one has an empty target."""
        path = None
        for url in self.product.urls if self.product else ():
            if self.product and path is None and href.startswith(f"{url}/"):
                path = self.product.root / unquote(href.removeprefix(f"{url}/"))
        if path is None:
            if self.url is not None or "://" in href:
                return ResolvedHref(url=_absolute_url(self.url, href))
            if href.startswith(("/", "data:")) or self.folder is None or not href:
                return ResolvedHref()
            path = self.folder / unquote(href.partition("?")[0].partition("#")[0])
        try:
            real = path.resolve()
        except (OSError, ValueError, RuntimeError):  # too long, a null byte, a loop of links
            return ResolvedHref()
        if self.product is not None and not real.is_relative_to(_real(self.product.root)):
            return ResolvedHref(outside=self.product.whole)
        return ResolvedHref(real)

    def name(self, path: Path) -> str:
        """Returns the name of a file in findings: its key relative to the product, else its path."""
        root = _real(self.product.root) if self.product else None
        return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else str(path)


@lru_cache(maxsize=64)
def _real(root: Path) -> Path:
    return root.resolve()


def _absolute_url(base: str | None, href: str) -> str | None:
    """Returns the absolute URL of an href; None unless it is http, https or s3."""
    try:
        if base is not None and base.startswith("s3://") and "://" not in href:  # urljoin does not know s3
            url = "s3" + urljoin("http" + base.removeprefix("s3"), href).removeprefix("http")
        else:
            url = urljoin(base or "", href)
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https", "s3"} and bool(parts.hostname)
    except ValueError:
        return None
    return url if known else None


# --- members of JSON of unknown form


def mapping(value: Any) -> dict[str, Any]:
    """Returns the value if it is a JSON object, else an empty object."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> dict[str, dict[str, Any]]:
    """Returns the members of a JSON object that are objects."""
    return {key: member for key, member in mapping(value).items() if isinstance(member, dict)}


def listed(value: Any) -> list[dict[str, Any]]:
    """Returns the members of a JSON array that are objects."""
    return [member for member in value if isinstance(member, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """Returns the members of a JSON array that are strings."""
    return [member for member in value if isinstance(member, str)] if isinstance(value, list) else []


def roles(asset: dict[str, Any]) -> list[str]:
    """Returns the roles of an asset."""
    return texts(asset.get("roles"))


def is_data(asset: dict[str, Any]) -> bool:
    """Tells whether an asset has the role data."""
    return "data" in roles(asset)


# --- reading


def read_stac(href: str, *, or_record: bool = False) -> dict[str, Any]:
    """Reads a Catalog, Collection or Item.

    Args:
        href: Path or URL.
        or_record: Also reads an OGC record of a workflow or experiment.

    Returns:
        The JSON object.

    Raises:
        UserError: If the file is not STAC.
        OutsideError: If the server does not answer.

    """
    if "://" in href:
        from earthcode_pack.storage.error_messages import outside  # noqa: PLC0415
        from earthcode_pack.storage.inputs import filesystem  # noqa: PLC0415 - only for what is remote

        fs, path = filesystem(href)
        with outside(href), fs.open(path, "rb") as file:
            return parse_stac(file.read(_LARGEST), href, or_record=or_record)
    size = Path(href).stat().st_size
    if size > _LARGEST:
        raise UserError(f"{href}: {size} bytes, and no STAC file has more than {_LARGEST}", "split it")
    return parse_stac(Path(href).read_bytes(), href, or_record=or_record)


def parse_stac(raw: bytes, name: str, *, or_record: bool = False) -> dict[str, Any]:
    """Parses a Catalog, Collection or Item.

    Args:
        raw: The bytes of the file.
        name: Name of the file in messages.
        or_record: Also parses an OGC record of a workflow or experiment.

    Returns:
        The JSON object.

    Raises:
        UserError: If the bytes are not STAC.

    """
    try:
        stac = load_json(raw)
    except ValueError as error:
        raise UserError(f"{name}: not JSON ({error})", "write the file again") from None
    if or_record and is_record(stac):
        return mapping(stac)
    if not isinstance(stac, dict) or stac.get("type") not in _TYPES:
        raise UserError(f"{name}: JSON, but no STAC Catalog, Collection or Item", "name a STAC file")
    if not is_stac(stac):
        raise UserError(f"{name}: no STAC, for it has no stac_version", "name a STAC file")
    return stac


def is_stac(data: Any) -> bool:
    """Tells whether parsed JSON is a Catalog, Collection or Item, valid or not."""
    kind = data.get("type") if isinstance(data, dict) else None
    return isinstance(kind, str) and kind in _TYPES and "stac_version" in data


def is_record(data: Any) -> bool:
    """Tells whether parsed JSON is an OGC API record (Records, part 1): a Feature that says so, and is no STAC."""
    if not isinstance(data, dict) or data.get("type") != "Feature" or "stac_version" in data:
        return False
    is_claimed = any("ogcapi-records" in name for name in texts(data.get("conformsTo")))
    return is_claimed and isinstance(data.get("properties"), dict)


def load_json(raw: bytes) -> Any:
    """Parses JSON of unknown origin, without numbers that no float can hold and without unpaired surrogates.

    Args:
        raw: The bytes.

    Returns:
        The value.

    Raises:
        ValueError: If the bytes are not JSON, or are nested deeper than any STAC.

    """
    try:
        data = json.loads(raw, parse_int=lambda text: int(text) if len(text) < _DIGITS else float(text))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level, depth = [data], 0
    while level and depth < _DEEPEST:
        inner = [value for value in level if isinstance(value, dict | list)]
        level = [part for value in inner for part in (value.values() if isinstance(value, dict) else value)]
        depth += 1
    if level:
        raise ValueError(f"nested deeper than {_DEEPEST} levels")
    return _paired(data) if _SURROGATES.search(raw) else data


def _paired(data: Any) -> Any:
    """Replaces unpaired surrogates by question marks."""
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()
    if isinstance(data, dict):
        return {_paired(key): _paired(value) for key, value in data.items()}
    return [_paired(value) for value in data] if isinstance(data, list) else data
