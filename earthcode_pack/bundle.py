"""The folder on disk that holds a prepared product (contract 4.4): where each part lies, and its digest."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from textwrap import indent
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from earthcode_pack.errors import UserError, full_disk
from earthcode_pack.model import File, Finding, Level, ManifestEntry, PartSums, Plan, Receipt, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.profile import Profile

_MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized", ".nc": "application/netcdf",
    ".json": "application/json", ".parquet": "application/vnd.apache.parquet", ".zip": "application/zip+zarr",
    ".png": "image/png",
}  # fmt: skip
_MANIFEST = TypeAdapter(tuple[ManifestEntry, ...])
_FINDINGS = TypeAdapter(tuple[Finding, ...])
PARTS = ".work/parts.json"
_PARTS = TypeAdapter(dict[str, PartSums])
_RECEIPTS = TypeAdapter(tuple[Receipt, ...])


@dataclass(frozen=True)
class Bundle:
    """A bundle by its folder, ``<workdir>/<product id>/v<version>``. Reading is lazy: the files are the truth."""

    root: Path
    skipped: int = 0  # jobs that the run which opened it found done
    url: str | None = None  # where it really lies; then ``root`` is what this machine has of it

    @property
    def name(self) -> str:
        """How a person, or another command, names it: by its folder or its URL."""
        return self.url or str(self.root)

    @property
    def product(self) -> Path:
        """What is published, byte for byte."""
        return self.root / "product"

    @property
    def collection_path(self) -> Path:
        """The STAC Collection."""
        return self.product / "collection.json"

    @property
    def digest(self) -> str | None:
        """``sha256:`` and the digest of the manifest; None while the product is not whole."""
        manifest = self.product / "manifest.json"
        return f"sha256:{sha256(manifest)}" if manifest.is_file() else None

    def manifest(self) -> tuple[ManifestEntry, ...]:
        """Every file of the product but the manifest itself."""
        return _MANIFEST.validate_json((self.product / "manifest.json").read_bytes())

    def collection(self) -> dict[str, Any]:
        """The STAC Collection as JSON."""
        return read_json(self.collection_path)

    def items(self) -> Iterator[dict[str, Any]]:
        """The STAC Items as JSON, in the order of their ids."""
        for path in sorted((self.product / "items").glob("*.json")):
            yield read_json(path)

    def profile(self) -> Profile:
        """The profile that made it, paths resolved; read again only where the file changed.

        Raises ``ProfileError`` where it cannot be read.
        """
        path = (self.root / "profile.yaml").absolute()
        found = path.stat() if path.is_file() else None
        state = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size) if found else None
        return _profile(path, state).model_copy(deep=True)  # frozen, but for its lists and mappings

    def plan(self) -> Plan:
        """The jobs and their fingerprints."""
        return Plan.from_json((self.root / "plan.json").read_bytes())

    def findings(self) -> tuple[Finding, ...]:
        """What the checks found; none before they ran."""
        path = self.root / "findings.json"
        return _FINDINGS.validate_json(path.read_bytes()) if path.is_file() else ()

    def receipts(self) -> tuple[Receipt, ...]:
        """Every object published so far."""
        path = self.root / "receipts.json"
        return _RECEIPTS.validate_json(path.read_bytes()) if path.is_file() else ()

    def part_sums(self) -> dict[str, PartSums]:
        """The sums of the parts of large files of the product, by the sha256 of the whole."""
        path = self.root / PARTS
        return _PARTS.validate_json(path.read_bytes()) if path.is_file() else {}

    def provenance(self) -> dict[str, Any]:
        """What ran, on what, with what."""
        path = self.root / "provenance.json"
        return read_json(path) if path.is_file() else {}

    def standing_errors(self) -> tuple[Finding, ...]:
        """Findings that block publishing: errors that the profile does not accept."""
        accepted = self.profile().accept
        return tuple(f for f in self.findings() if f.level is Level.ERROR and f.rule not in accepted)


@lru_cache(maxsize=8)
def _profile(path: Path, state: tuple[int, ...] | None) -> Profile:  # noqa: ARG001 - the key
    """To read the YAML takes thirty times as long as to copy what it says."""
    from earthcode_pack.profile import load_profile  # noqa: PLC0415 - workers need none

    return load_profile(path)


def open_bundle(path: str | Path) -> Bundle:
    """The bundle in a folder; raises ``UserError`` where there is none."""
    root = Path(path).absolute()
    if not (root / "profile.yaml").is_file():
        raise UserError(f"{root}: no bundle (it holds no profile.yaml)", "name the folder that `run` printed")
    return Bundle(root)


def part_sums(files: Iterable[File]) -> dict[str, PartSums]:
    """The sums of the parts of those that have them, by the sha256 of the whole."""
    return {file.sha256: file.parts for file in files if file.parts is not None}


def media_type(key: str) -> str:
    """Of a file of a product, by its key.

    >>> media_type("items/a.json"), media_type("data/a.zarr/t/c/0")
    ('application/geo+json', 'application/octet-stream')
    """
    if key.startswith("items/") and key.endswith(".json"):
        return "application/geo+json"
    return _MEDIA_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    return dict(json.loads(path.read_bytes()))


def write_atomic(path: Path, data: str | bytes) -> None:
    """Writes a file whole or not at all; one that holds these bytes already is left alone.

    Raises ``OutsideError`` where the disk is full.
    """
    raw = data.encode() if isinstance(data, str) else data
    if path.is_file() and path.read_bytes() == raw:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(raw)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        if full := full_disk(error, str(path)):
            raise full from error
        raise


def to_json(data: Any) -> str:
    """Two-space JSON, UTF-8, with a final newline; NaN is refused (RFC 8259, section 6)."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def values_to_json(values: Iterable[Value]) -> str:
    """A list of values as JSON, as ``to_json`` writes it; NaN and infinities in measured values become strings."""
    parts = [indent(value.model_dump_json(indent=2), "  ") for value in values]
    return "[\n" + ",\n".join(parts) + "\n]\n" if parts else "[]\n"


def sha256(path: Path) -> str:
    """The hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
