"""A checkout of the catalogue's metadata on disk: which record is where, and what its links lead to."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from earthcode_pack.checks.documents import listed, load_json, mapping

BASE = "https://esa-earthcode.github.io/open-science-catalog-metadata"
_LARGEST = 64_000_000  # bytes: no record is larger

# By folder: how a related link calls one, and the file that describes it.
KINDS: dict[str, tuple[str, str]] = {
    "products": ("Product", "collection.json"),
    "projects": ("Project", "collection.json"),
    "themes": ("Theme", "catalog.json"),
    "variables": ("Variable", "catalog.json"),
    "eo-missions": ("EO Mission", "catalog.json"),
    "workflows": ("Workflow", "record.json"),
    "experiments": ("Experiment", "record.json"),
}


@dataclass(frozen=True)
class Entry:
    """What other files ask of a record: its title, its relations, and the keys that its links of each lead to."""

    title: str | None
    targets: dict[str, frozenset[str]]
    relations: frozenset[str] = frozenset()

    def leads_to(self, key: str, *relations: str) -> bool:
        """Whether a link of one of these relations leads to the file with this key."""
        return any(key in self.targets.get(relation, ()) for relation in relations)


@dataclass
class Checkout:
    """A checkout by its root. A *key* is the path of a file below it, with slashes."""

    root: Path
    _entries: dict[str, Entry | None] = field(default_factory=dict)
    _folders: dict[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path) -> Checkout | None:
        """The checkout that a file or folder is part of; None where it is in none."""
        real = Path(os.path.abspath(path))  # noqa: PTH100 - a link to a file elsewhere is not part of it
        return next((cls(folder) for folder in [real, *real.parents][:4] if is_catalogue(folder)), None)

    def key(self, path: Path) -> str:
        """The key of a file of the checkout."""
        return Path(os.path.abspath(path)).relative_to(self.root).as_posix()  # noqa: PTH100 - as above

    def keys(self) -> list[str]:
        """The JSON files of the catalogue, sorted: records and sub-catalogues first, then Items beside them."""
        found = [key for kind in KINDS for key in self._of_kind(kind)]
        return ["catalog.json", *found]

    def _of_kind(self, kind: str) -> list[str]:
        inside = (file for name in sorted(self.ids(kind)) for file in sorted((self.root / kind / name).glob("*.json")))
        top = [f"{kind}/catalog.json"] if (self.root / kind / "catalog.json").is_file() else []
        return [*top, *(file.relative_to(self.root).as_posix() for file in inside if file.is_file())]

    def ids(self, kind: str) -> frozenset[str]:
        """The folders of a kind: what the catalogue holds of it. A link that leads out of the checkout is none."""
        if kind not in self._folders:
            folder, root = self.root / kind, self.root.resolve()
            names = os.scandir(folder) if folder.is_dir() and folder.resolve().is_relative_to(root) else ()
            self._folders[kind] = frozenset(
                entry.name for entry in names if entry.is_dir() and Path(entry).resolve().is_relative_to(root)
            )
        return self._folders[kind]

    def holds(self, kind: str, name: str) -> bool:
        """Whether a record exists, by its folder and file."""
        return name in self.ids(kind) and self.entry(record_key(kind, name)) is not None

    def read(self, key: str) -> dict[str, Any] | None:
        """The JSON object in a file; None where there is none."""
        path = self.root / key
        try:
            if path.stat().st_size > _LARGEST or not path.resolve().is_relative_to(self.root.resolve()):
                return None
            data = load_json(path.read_bytes())
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) else None

    def entry(self, key: str) -> Entry | None:
        """What other files ask of the one with this key; None where there is none."""
        if key not in self._entries:
            data = self.read(key)
            self._entries[key] = None if data is None else self._entry(key, data)
        return self._entries[key]

    def _entry(self, key: str, data: dict[str, Any]) -> Entry:
        targets: dict[str, set[str]] = {}
        for link in listed(data.get("links")):
            target = self.target(key, link.get("href"))
            if target is not None:
                targets.setdefault(str(link.get("rel")), set()).add(target)
        relations = frozenset(str(link.get("rel")) for link in listed(data.get("links")))
        return Entry(title_of(data), {relation: frozenset(keys) for relation, keys in targets.items()}, relations)

    def target(self, key: str, href: Any) -> str | None:
        """The key of the file that an href of another leads to, be it relative or the public address; else None."""
        if not isinstance(href, str) or href.startswith(("/", "data:")):
            return None
        if href.startswith(f"{BASE}/"):
            return os.path.normpath(unquote(href.removeprefix(f"{BASE}/")))
        if "://" in href or not href:
            return None
        normal = os.path.normpath(os.path.join(os.path.dirname(key), unquote(urlsplit(href).path)))  # noqa: PTH118, PTH120 - a key
        return None if normal.startswith("..") else normal


def is_catalogue(folder: Path) -> bool:
    """Whether a folder is the root of a checkout: its ``catalog.json`` is the Open Science Catalog's."""
    root = folder / "catalog.json"
    if not (folder / "products").is_dir() or not root.is_file() or root.stat().st_size > _LARGEST:
        return False
    try:
        return mapping(load_json(root.read_bytes())).get("id") == "osc"
    except ValueError:
        return False


def record_key(kind: str, name: str) -> str:
    """The key of a record.

    >>> record_key("products", "sst"), record_key("themes", "oceans")
    ('products/sst/collection.json', 'themes/oceans/catalog.json')
    """
    return f"{kind}/{name}/{KINDS[kind][1]}"


def kind_of_key(key: str) -> str | None:
    """The kind of the record with this key; None for a sub-catalogue, an Item and the rest.

    >>> kind_of_key("products/sst/collection.json"), kind_of_key("products/sst/item.json")
    ('products', None)
    """
    parts = key.split("/")
    known = len(parts) == 3 and parts[0] in KINDS and parts[2] == KINDS[parts[0]][1]  # noqa: PLR2004 - kind/id/file
    return parts[0] if known else None


def title_of(data: dict[str, Any]) -> str | None:
    """The title of a Collection or Catalog, or of a Record or Item."""
    title = data.get("title") or mapping(data.get("properties")).get("title")
    return title if isinstance(title, str) else None
