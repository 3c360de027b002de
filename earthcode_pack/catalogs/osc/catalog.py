"""The Open Science Catalog's metadata as files: a checkout, an archive, or a clone of its repository.

Layout and file names: https://github.com/ESA-EarthCODE/open-science-catalog-metadata
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from earthcode_pack.errors import OutsideError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Kind = Literal["products", "projects", "themes", "variables", "eo-missions", "workflows", "experiments"]

FILES: dict[Kind, str] = {
    "products": "collection.json",
    "projects": "collection.json",
    "themes": "catalog.json",
    "variables": "catalog.json",
    "eo-missions": "catalog.json",
    "workflows": "record.json",
    "experiments": "record.json",
}
PREFIXES: dict[Kind, str] = {
    "products": "Product",
    "projects": "Project",
    "themes": "Theme",
    "variables": "Variable",
    "eo-missions": "EO Mission",
    "workflows": "Workflow",
    "experiments": "Experiment",
}


def path_of(kind: Kind, entry: str) -> str:
    """Where an entry lies, relative to the catalogue's root.

    >>> path_of("eo-missions", "sentinel-3")
    'eo-missions/sentinel-3/catalog.json'
    """
    return f"{kind}/{entry}/{FILES[kind]}"


def title_in(record: dict[str, Any]) -> str:
    """The title of a STAC object or of a Record, which keeps it among its properties."""
    holder = record.get("properties", {}) if record.get("type") == "Feature" else record
    return str(holder.get("title") or record.get("id", ""))


@dataclass(frozen=True)
class Catalog:
    """The catalogue by its folder. Files are read when they are asked for; paths are relative to ``root``."""

    root: Path

    @cached_property
    def _ids(self) -> dict[str, tuple[str, ...]]:
        return {}

    def ids(self, kind: Kind) -> tuple[str, ...]:
        """The ids of one kind, sorted: the folders that hold its file."""
        if kind not in self._ids:
            found = (self.root / kind).glob(f"*/{FILES[kind]}")
            self._ids[kind] = tuple(sorted(path.parent.name for path in found))
        return self._ids[kind]

    def has(self, kind: Kind, entry: str) -> bool:
        """Whether the entry exists; upper and lower case differ, as they do in the catalogue's links."""
        return entry in self.ids(kind)

    def title(self, kind: Kind, entry: str) -> str:
        """The title as the entry itself states it."""
        return title_in(self.read(path_of(kind, entry)))

    def text(self, path: str) -> str | None:
        """A file as it is, line ends and all; None where there is none, or where a link leads out of the catalogue."""
        file = self.root / path
        try:
            if not file.resolve().is_relative_to(self.root.resolve()):
                return None
            return file.read_bytes().decode() if file.is_file() else None
        except (OSError, UnicodeDecodeError) as error:
            raise OutsideError(f"{file}: cannot be read ({error})", "look at the catalogue's copy") from error

    def read(self, path: str) -> dict[str, Any]:
        """A file as JSON.

        Raises ``OutsideError`` where it is missing or is no JSON object.
        """
        text = self.text(path)
        try:
            return dict(json.loads((text or "").removeprefix("\ufeff")))
        except (ValueError, TypeError) as error:
            raise OutsideError(
                f"{self.root / path}: no JSON object ({error})", "look at the catalogue's copy"
            ) from error

    def record(self, kind: Kind, entry: str) -> dict[str, Any] | None:
        """The record of an entry; None where the catalogue has none."""
        return self.read(path_of(kind, entry)) if self.has(kind, entry) else None

    def paths(self) -> Iterator[str]:
        """Every JSON file, sorted."""
        for path in sorted(self.root.rglob("*.json")):
            yield path.relative_to(self.root).as_posix()


def catalog_in(folder: Path) -> Catalog:
    """The catalogue in a folder.

    Raises ``UserError`` where the folder holds something else.
    """
    missing = [f"{kind}/catalog.json" for kind in FILES if not (folder / kind / "catalog.json").is_file()]
    if missing or not (folder / "catalog.json").is_file():
        lacking = ", ".join(missing or ["catalog.json"])
        raise UserError(
            f"{folder}: not the Open Science Catalog's metadata (it lacks {lacking})",
            "set catalog.metadata to a checkout, archive or git URL of open-science-catalog-metadata",
        )
    return Catalog(folder)
