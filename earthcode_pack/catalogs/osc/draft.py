"""A change set while it grows: what files will say, over a catalogue that stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from earthcode_pack.bundle import to_json
from earthcode_pack.catalogs.osc.catalog import Catalog, Kind, path_of, title_in
from earthcode_pack.catalogs.osc.jsontext import edit_json
from earthcode_pack.catalogs.osc.links import Link, link, merged_links, with_link, without_link

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Draft:
    """New values by path; reading falls back on the catalogue."""

    catalog: Catalog
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    plain: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> dict[str, Any]:
        """A file as it will be."""
        return self.values[path] if path in self.values else self.catalog.read(path)

    def title(self, kind: Kind, entry: str) -> str:
        """An entry's title as it will be."""
        return title_in(self.read(path_of(kind, entry)))

    def index_title(self, kind: Kind) -> str:
        """The title of the catalogue of one kind, such as "Products"."""
        return title_in(self.read(f"{kind}/catalog.json"))

    def root_title(self) -> str:
        """The title of the whole, "Open Science Catalog"."""
        return title_in(self.read("catalog.json"))

    def put(self, path: str, record: dict[str, Any], base: str = "") -> None:
        """A record, laid over the one that is there: what only the old one says stays, and so does ``created``.

        A record that says nothing new keeps its ``updated`` too, so that handing off again changes nothing.
        """
        if self.catalog.text(path) is None:
            self.values[path] = record
            return
        old = self.read(path)
        merged = _merged(old, record, base)
        if _without(merged, "updated") != _without(old, "updated"):
            self.values[path] = merged

    def point(self, path: str, target: Link) -> None:
        """Adds a link to a file, or corrects the one that points to the same place."""
        record = self.read(path)
        links = with_link(record.get("links", []), target)
        if links != record.get("links"):
            self.values[path] = {**record, "links": links}

    def list_in(self, kind: Kind, entry: str) -> None:
        """Lists an entry in the catalogue of its kind; Records are listed as items."""
        rel = "item" if kind in ("workflows", "experiments") else "child"
        href = path_of(kind, entry).replace(f"{kind}/", "./", 1)
        self.point(f"{kind}/catalog.json", link(rel, href, self.title(kind, entry)))

    def unpoint(self, path: str, rel: str, href: str) -> None:
        """Removes a link that is no longer true; nothing where the file or the link is not there."""
        if self.catalog.text(path) is None:
            return
        record = self.read(path)
        links = without_link(record.get("links", []), rel, href)
        if links != record.get("links", []):
            self.values[path] = {**record, "links": links}

    def texts(self) -> dict[str, str]:
        """Path → new text of every file that is new or differs, the unchanged bytes of old ones kept."""
        return dict(sorted(self._texts()))

    def _texts(self) -> Iterator[tuple[str, str]]:
        for path, value in self.values.items():
            old = self.catalog.text(path)
            new = to_json(value) if old is None else edit_json(old, value)
            if new != old:
                yield path, new
        for path, text in self.plain.items():
            if text != self.catalog.text(path):
                yield path, text


def _merged(old: dict[str, Any], new: dict[str, Any], base: str) -> dict[str, Any]:
    merged = {**old, **new, "links": merged_links(old.get("links", []), new["links"], base)}
    if "properties" in new:
        merged["properties"] = _kept_created(old.get("properties", {}), new["properties"])
    for key in ("stac_extensions", "conformsTo"):
        if key in new:
            merged[key] = list(dict.fromkeys([*old.get(key, []), *new[key]]))
    return _kept_created(old, merged)


def _kept_created(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {**old, **new} | ({"created": old["created"]} if "created" in old else {})


def _without(record: dict[str, Any], key: str) -> dict[str, Any]:
    """The record without a stamp, at its top and among its properties."""
    rest = {name: value for name, value in record.items() if name != key}
    if isinstance(rest.get("properties"), dict):
        rest["properties"] = {name: value for name, value in rest["properties"].items() if name != key}
    return rest
