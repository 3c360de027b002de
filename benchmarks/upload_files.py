"""What is uploaded: bundles by construction, a large file in one and many small ones in the other."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from earthcode_pack.bundle import PARTS
from earthcode_pack.checksums import checksums
from earthcode_pack.files import to_json, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

OBJECT = 250_000  # bytes
_BLOCK = 10**6
_TYPES = {".tif": "image/tiff; application=geotiff; profile=cloud-optimized", ".json": "application/json"}


@dataclass(frozen=True)
class Files:
    """A bundle; ``data`` is what the peers upload too: a file, or a folder."""

    bundle: Path
    data: Path

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return sum(path.stat().st_size for path in self.paths)

    @property
    def paths(self) -> list[Path]:
        """The files of the data."""
        return [self.data] if self.data.is_file() else sorted(path for path in self.data.rglob("*") if path.is_file())

    def expected(self, *, ours: bool) -> dict[str, int]:
        """Key and size of each object of the data, as a peer or as we name them."""
        root = self.bundle / "product" if ours else self.data if self.data.is_dir() else self.data.parent
        before = f"{self.bundle.name}/v1.0/" if ours else ""
        return {f"{before}{path.relative_to(root).as_posix()}": path.stat().st_size for path in self.paths}

    def forget(self) -> None:
        """As if it had never been uploaded."""
        for path in (*self.bundle.glob(".work/ledger*"), self.bundle / "receipts.json"):
            path.unlink(missing_ok=True)


def one_file(folder: Path, size: int) -> Files:
    """A bundle of one file of ``size`` bytes, made where it is missing; a run had taken the sums of its parts too."""
    name = f"file-{size}"
    files = Files(folder / name, folder / name / "product/data/big/big.tif")
    if not (files.bundle / "profile.yaml").is_file():
        _write(files.data, size)
        _finish(files.bundle, name)
    if not (files.bundle / PARTS).is_file():
        whole, parts = checksums(files.data)
        write_atomic(files.bundle / PARTS, to_json({whole: parts.model_dump()} if parts else {}))
    return files


def many_objects(folder: Path, count: int) -> Files:
    """A bundle of a Zarr store of so many chunks, made where it is missing."""
    name = f"objects-{count}"
    files = Files(folder / name, folder / name / "product/data/many.zarr")
    if not (files.bundle / "profile.yaml").is_file():
        for number in range(count):
            _write(files.data / f"t/c/{number // 100}/{number % 100}", OBJECT, number)
        (files.data / "zarr.json").write_text("{}")
        _finish(files.bundle, name)
    return files


def _write(path: Path, size: int, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = random.Random(seed)  # noqa: S311 - no secret
    with path.open("wb") as file:
        for first in range(0, size, _BLOCK):
            file.write(noise.randbytes(min(_BLOCK, size - first)))


def _finish(bundle: Path, name: str) -> None:
    """Collection, manifest and, last of all, the profile."""
    product = bundle / "product"
    (product / "collection.json").write_text("{}")
    paths = sorted(path for path in product.rglob("*") if path.is_file())
    (product / "manifest.json").write_text(json.dumps([_entry(product, path) for path in paths]))
    profile: dict[str, dict[str, Any]] = {
        "product": {"id": name, "title": name, "description": "Noise.", "license": "CC0-1.0", "version": "1.0"},
        "project": {"id": "bench"},
        "source": {"href": "none.tif", "time": {"start": "2024-01-01", "end": "2024-01-01"}},
        "target": {"format": "zarr"},
    }
    profile["product"]["status"] = "completed"
    (bundle / "profile.yaml").write_text(yaml.safe_dump(profile))


def _entry(product: Path, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    media_type = _TYPES.get(path.suffix, "application/octet-stream")
    size = path.stat().st_size
    return {
        "key": path.relative_to(product).as_posix(),
        "size": size,
        "sha256": f"1220{digest}",
        "media_type": media_type,
    }
