"""A checkout of the Open Science Catalog's metadata on disk: its records by key, and the targets of their links."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from earthcode_pack.checks.documents import listed, load_json, mapping

BASE = "https://esa-earthcode.github.io/open-science-catalog-metadata"
_LARGEST = 64_000_000  # bytes: no record is larger

# by folder: the word for it in titles of related links, and the file that describes it
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
    """Title, relations, and link targets (keys, by relation) of a record, which other records refer to."""

    title: str | None
    targets: dict[str, frozenset[str]]
    relations: frozenset[str] = frozenset()

    def leads_to(self, key: str, *relations: str) -> bool:
        """Tells whether a link of one of these relations leads to the file with this key."""
        return any(key in self.targets.get(relation, ()) for relation in relations)


@dataclass
class Checkout:
    """A checkout by its root. A *key* is the path of a file below it, with slashes."""

    root: Path
    _entries: dict[str, Entry | None] = field(default_factory=dict)
    _folders: dict[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path) -> Checkout | None:
        """Returns the checkout that a file or folder is part of; None if it is in none."""
        real = Path(os.path.abspath(path))  # noqa: PTH100 - a link to a file elsewhere is not part of it
        return next((cls(folder) for folder in [real, *real.parents][:4] if _is_catalogue(folder)), None)

    def key(self, path: Path) -> str:
        """Returns the key of a file of the checkout."""
        return Path(os.path.abspath(path)).relative_to(self.root).as_posix()  # noqa: PTH100 - as above

    def keys(self) -> list[str]:
        """Lists the JSON files of the catalogue: by kind its sub-catalogue, then the files of each record, sorted."""
        found = ["catalog.json"]
        for kind in KINDS:
            folder = self.root / kind
            inside = [file for name in sorted(self.ids(kind)) for file in sorted((folder / name).glob("*.json"))]
            files = [file for file in (folder / "catalog.json", *inside) if file.is_file()]
            found += [file.relative_to(self.root).as_posix() for file in files]
        return found

    def ids(self, kind: str) -> frozenset[str]:
        """Returns the ids of the records of a kind: the names of their folders, but of links out of the checkout."""
        if kind not in self._folders:
            folder, root = self.root / kind, self.root.resolve()
            names = os.scandir(folder) if folder.is_dir() and folder.resolve().is_relative_to(root) else ()
            self._folders[kind] = frozenset(
                entry.name for entry in names if entry.is_dir() and Path(entry).resolve().is_relative_to(root)
            )
        return self._folders[kind]

    def holds(self, kind: str, name: str) -> bool:
        """Tells whether a record exists, by its folder and file."""
        return name in self.ids(kind) and self.entry(record_key(kind, name)) is not None

    def read(self, key: str) -> dict[str, Any] | None:
        """Reads the JSON object in a file; None if there is none."""
        path = self.root / key
        try:
            if path.stat().st_size > _LARGEST or not path.resolve().is_relative_to(self.root.resolve()):
                return None
            data = load_json(path.read_bytes())
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) else None

    def entry(self, key: str) -> Entry | None:
        """Returns title and links of the record with this key; None if there is none."""
        if key not in self._entries:
            data = self.read(key)
            self._entries[key] = None
            if data is not None:
                targets: dict[str, set[str]] = {}
                for link in listed(data.get("links")):
                    target = self.target(key, link.get("href"))
                    if target is not None:
                        targets.setdefault(str(link.get("rel")), set()).add(target)
                title = data.get("title") or mapping(data.get("properties")).get("title")
                self._entries[key] = Entry(
                    title=title if isinstance(title, str) else None,
                    targets={relation: frozenset(keys) for relation, keys in targets.items()},
                    relations=frozenset(str(link.get("rel")) for link in listed(data.get("links"))),
                )
        return self._entries[key]

    def target(self, key: str, href: Any) -> str | None:
        """Returns the key that an href leads to, relative or the public address; None if it leads elsewhere.

        Args:
            key: Key of the file that has the link.
            href: The href.

        """
        if not isinstance(href, str) or href.startswith(("/", "data:")):
            return None
        if href.startswith(f"{BASE}/"):
            return os.path.normpath(unquote(href.removeprefix(f"{BASE}/")))
        if "://" in href or not href:
            return None
        normal = os.path.normpath(os.path.join(os.path.dirname(key), unquote(urlsplit(href).path)))  # noqa: PTH118, PTH120 - a key
        return None if normal.startswith("..") else normal


def _is_catalogue(folder: Path) -> bool:
    """Tells whether a folder is the root of a checkout: its ``catalog.json`` is the Open Science Catalog's."""
    root = folder / "catalog.json"
    if not (folder / "products").is_dir() or not root.is_file() or root.stat().st_size > _LARGEST:
        return False
    try:
        return mapping(load_json(root.read_bytes())).get("id") == "osc"
    except ValueError:
        return False


def record_key(kind: str, name: str) -> str:
    """Returns the key of a record.

    >>> record_key("products", "sst"), record_key("themes", "oceans")
    ('products/sst/collection.json', 'themes/oceans/catalog.json')
    """
    return f"{kind}/{name}/{KINDS[kind][1]}"


def kind_of_key(key: str) -> str | None:
    """Returns the kind of the record with this key; None for a sub-catalogue, an Item and the rest.

    >>> kind_of_key("products/sst/collection.json"), kind_of_key("products/sst/item.json")
    ('products', None)
    """
    parts = key.split("/")
    known = len(parts) == 3 and parts[0] in KINDS and parts[2] == KINDS[parts[0]][1]  # noqa: PLR2004 - kind/id/file
    return parts[0] if known else None
