"""Writes a product into its bundle: Items, Collection, manifest (contract 4.4)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.bundle import PARTS, Bundle, media_type, part_sums, remove_strays, values_to_json
from earthcode_pack.files import sha256, to_json, write_atomic
from earthcode_pack.geoparquet import ItemTable
from earthcode_pack.model import Artifact, ManifestEntry
from earthcode_pack.storage.error_messages import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from earthcode_pack.describe import Describing

Known = dict[str, tuple[int, str]]  # size and sha256 (hex) by key

_MANY = 500  # Items beyond which clients want a table
_TABLE = "items.parquet"


class StacWriter:
    """Writes the STAC of a product, and notes size and sha256 of each file by key (``known``).

    The product is withdrawn before the first of its bytes changes.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._is_withdrawn = False
        self.known: Known = {}

    def write(self, describing: Describing, progress: Callable[[int, int], None] | None = None) -> Known:
        """Writes every Item, beyond 500 a table of them, and at last the Collection; returns ``known``."""
        with ItemTable(self._bundle.root / ".work", enough=len(describing) > _MANY) as rows:
            for done, item in enumerate(describing.items(), start=1):
                self._put(f"items/{item['id']}.json", to_json(item))
                rows.add(item)
                if progress:
                    progress(done, len(describing))
            self._put_table(rows)
        self._put("collection.json", to_json(describing.collection()))
        return self.known

    def _put(self, key: str, text: str) -> None:
        raw, path = text.encode(), self._bundle.product / key
        self.known[key] = len(raw), hashlib.sha256(raw).hexdigest()
        if not (path.is_file() and path.read_bytes() == raw):
            self._withdraw()
            write_atomic(path, raw)

    def _put_table(self, rows: ItemTable) -> None:
        """Writes the table of Items where an Item changed."""
        target, mark = self._bundle.product / _TABLE, self._bundle.root / ".work" / f"{_TABLE}.sha256"
        if not rows.enough:
            return
        if not (target.is_file() and mark.is_file() and mark.read_text() == f"{rows.digest} {sha256(target)}"):
            self._withdraw()
            rows.write(target)
            write_atomic(mark, f"{rows.digest} {sha256(target)}")
        self.known[_TABLE] = target.stat().st_size, sha256(target)

    def _withdraw(self) -> None:
        if not self._is_withdrawn:
            self._bundle.withdraw()
        self._is_withdrawn = True


def assemble(bundle: Bundle, artifacts: Sequence[Artifact], others: Known) -> None:
    """Writes the manifest of the product, last of all, and removes files that it does not name.

    Args:
        bundle: whose data and STAC are written.
        artifacts: the data.
        others: size and sha256 of the other files, by key.

    """
    known = {file.key: (file.size, file.sha256) for artifact in artifacts for file in artifact.files} | others
    remove_strays(bundle.product, {*known, "manifest.json"})
    # checksums of parts are for the upload: the manifest has those of whole files alone (contract 4.4)
    parts, path = part_sums(file for artifact in artifacts for file in artifact.files), bundle.root / PARTS
    if parts or path.is_file():
        write_atomic(path, to_json({sha256: one.model_dump() for sha256, one in sorted(parts.items())}))
    made_by = {file.key: artifact for artifact in artifacts for file in artifact.files}
    entries = (_entry(key, *known[key], made_by.get(key)) for key in sorted(known))
    write_atomic(bundle.product / "manifest.json", values_to_json(entries))


def _entry(key: str, size: int, digest: str, artifact: Artifact | None) -> ManifestEntry:
    made_of = () if artifact is None else artifact.sources
    sources = tuple({"href": public_name(href), "sha256": f"1220{sha256}"} for href, sha256 in made_of)
    return ManifestEntry(key=key, size=size, sha256=f"1220{digest}", media_type=media_type(key), sources=sources)


def public_name(href: str) -> str:
    """Names a source as others may see it: a URL without secrets, or the file's name, never a path of the machine.

    >>> public_name("/data/raw/sst_20200101.nc")
    'sst_20200101.nc'
    """
    return shown(href) if "://" in href else Path(href).name
