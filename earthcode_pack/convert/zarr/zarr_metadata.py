"""Metadata of one group or array of a Zarr folder, v2 or v3, read and written as JSON."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from earthcode_pack.convert.zarr.pyramid import fitted

if TYPE_CHECKING:
    from pathlib import Path

_V3 = 3
_META, _ARRAY, _GROUP, _ATTRS = "zarr.json", ".zarray", ".zgroup", ".zattrs"


@dataclass(frozen=True)
class MetadataNode:
    """A group or array by its folder."""

    folder: Path
    version: int

    def attributes(self) -> dict[str, Any]:
        """Returns its attributes as stored."""
        if self.version == _V3:
            return dict(self._read(_META).get("attributes", {}))
        return self._read(_ATTRS) if (self.folder / _ATTRS).is_file() else {}

    def set_attributes(self, attrs: dict[str, Any]) -> None:
        """Replaces its attributes; drops the consolidated metadata of a v3 group, which held the old ones."""
        if self.version != _V3:
            self._write(_ATTRS, attrs)
            return
        meta = self._read(_META)
        meta.pop("consolidated_metadata", None)
        self._write(_META, meta | {"attributes": attrs})

    def make_group(self, attrs: dict[str, Any]) -> None:
        """Creates a group."""
        self.folder.mkdir()
        if self.version == _V3:
            self._write(_META, {"attributes": attrs, "zarr_format": 3, "node_type": "group"})
            return
        self._write(_GROUP, {"zarr_format": 2})
        self._write(_ATTRS, attrs)

    def make_array_like(self, other: MetadataNode, sizes: dict[int, int], drop: tuple[str, ...]) -> None:
        """Creates an array without chunks, like another in all but the sizes of some axes, and some attributes."""
        self.folder.mkdir()
        name = _META if self.version == _V3 else _ARRAY
        meta = other._read(name)
        meta["shape"] = [sizes.get(axis, size) for axis, size in enumerate(meta["shape"])]
        _fit_chunks(meta, sizes)
        self._write(name, meta)
        if self.version != _V3 and (other.folder / _ATTRS).is_file():
            shutil.copyfile(other.folder / _ATTRS, self.folder / _ATTRS)
        attrs = other.attributes()
        if set(drop) & set(attrs):
            self.set_attributes({key: value for key, value in attrs.items() if key not in drop})

    def _read(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / name).read_text())
        return content

    def _write(self, name: str, content: dict[str, Any]) -> None:
        """Writes a file by one rename."""
        part = self.folder / f"{name}.part"
        part.write_text(json.dumps(content, indent=2))
        os.replace(part, self.folder / name)  # noqa: PTH105 - atomic on every platform


def _fit_chunks(meta: dict[str, Any], sizes: dict[int, int]) -> None:
    """Fits chunks and shards, in place, of an array that has its new shape."""
    if "chunks" in meta:
        meta["chunks"] = [fitted(c, None, sizes[i])[0] if i in sizes else c for i, c in enumerate(meta["chunks"])]
        return
    outer = meta["chunk_grid"]["configuration"]["chunk_shape"]
    sharding = next((codec["configuration"] for codec in meta["codecs"] if codec["name"] == "sharding_indexed"), None)
    for axis, size in sizes.items():
        if sharding is None:
            outer[axis], _ = fitted(outer[axis], None, size)
        else:
            sharding["chunk_shape"][axis], outer[axis] = fitted(sharding["chunk_shape"][axis], outer[axis], size)
