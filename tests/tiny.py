"""A tiny hand-made bundle to publish, and a store that is watched."""

from __future__ import annotations

import hashlib
import json
from threading import Lock
from typing import TYPE_CHECKING, Any

from earthcode_pack.bundle import Bundle
from earthcode_pack.errors import OutsideError
from earthcode_pack.files import to_json
from earthcode_pack.storage import Begun, Store, Stored, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.model import Receipt

PREFIX = "tiny/v1.0/"
_ALL = 10**9
ARRAY = {
    "zarr_format": 3, "node_type": "array", "shape": [30, 100], "data_type": "uint8", "fill_value": 0,
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 100]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "codecs": [{"name": "bytes"}], "attributes": {},
}  # fmt: skip
FILES = {
    "collection.json": b'{"type": "Collection"}',
    "items/tiny.json": b'{"type": "Feature"}',
    "items.parquet": b"PAR1",
    "previews/tiny.png": b"PNG",
    "data/tiny.zarr/zarr.json": b'{"zarr_format": 3, "node_type": "group", "attributes": {}}',
    "data/tiny.zarr/sst/zarr.json": json.dumps(ARRAY).encode(),
    **{f"data/tiny.zarr/sst/c/{n}/0": bytes([n]) * 100 for n in range(30)},
}
ORDERED = [
    [f"data/tiny.zarr/sst/c/{n}/0" for n in sorted(range(30), key=str)],
    ["data/tiny.zarr/sst/zarr.json"],
    ["data/tiny.zarr/zarr.json"],
    ["previews/tiny.png"],
    ["manifest.json"],
    ["items/tiny.json"],
    ["items.parquet"],
    ["collection.json"],
]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_bundle(root: Path, store: str, files: dict[str, bytes] | None = None, **more: str) -> Bundle:
    """A bundle as prepare leaves it: the profile, the product, its manifest."""
    files = FILES if files is None else files
    for key, data in files.items():
        path = root / "product" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    entries = [
        {"key": key, "size": len(data), "sha256": f"1220{sha(data)}", "media_type": "application/octet-stream"}
        for key, data in sorted(files.items())
    ]
    (root / "product/manifest.json").write_text(to_json(entries))
    profile = {
        "product": {
            "id": "tiny", "title": "Tiny", "description": "A product of a few bytes.", "license": "CC-BY-4.0",
            "version": "1.0", "status": "completed",
        },
        "project": {"id": "demo-project"},
        "source": {"href": "raw/*.nc", "time": {"from": "coordinate"}},
        "target": {"format": "zarr"},
        "store": {"href": store, **more},
    }  # fmt: skip
    (root / "profile.yaml").write_text(json.dumps(profile))
    return Bundle(root)


def store_of(bundle: Bundle) -> Store:
    spec = bundle.profile().store
    assert spec is not None
    return open_store(spec)


def inventory(store: Store) -> dict[str, tuple[int, str | None]]:
    read = ((key, store.read(key) or b"") for key in list(store.keys()))
    return {key: (len(data), sha(data)) for key, data in read}


def whole(bundle: Bundle) -> dict[str, tuple[int, str | None]]:
    paths = [path for path in bundle.product.rglob("*") if path.is_file()]
    return {
        PREFIX + path.relative_to(bundle.product).as_posix(): (path.stat().st_size, sha(path.read_bytes()))
        for path in paths
    }


class Watched:
    """A real store that notes what is put and asked, and fails after so many, as a kill or a broken line would.

    Where it is to fail, objects go one after the other: those that are under way at a failure may not arrive.
    """

    def __init__(self, store: Store, allowed: int = _ALL) -> None:
        self._store, self.allowed, self._lock = store, allowed, Lock()
        self.put_keys: list[str] = []
        self.asked: list[str] = []
        self.begun: list[Begun] = []
        self.max_concurrency = store.max_concurrency if allowed == _ALL else 1

    def put(self, local: Path, key: str, **more: Any) -> Receipt:
        with self._lock:
            if len(self.put_keys) >= self.allowed:
                raise OutsideError("the line is cut", "run again")
            self.put_keys.append(key.removeprefix(PREFIX))
            self.begun += [more["begun"]] if more.get("begun") else []
        return self._store.put(local, key, **more)

    def head(self, key: str) -> Stored | None:
        self.asked.append(key.removeprefix(PREFIX))
        return self._store.head(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
