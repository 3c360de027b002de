"""The folder that holds a prepared product (contract 4.4): its files, its digest, and values read from it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path, PurePosixPath
from textwrap import indent
from typing import TYPE_CHECKING, Any, overload

from pydantic import TypeAdapter

from earthcode_pack.errors import Unreadable, UserError
from earthcode_pack.files import refuse_links, sha256
from earthcode_pack.model import File, Finding, Level, ManifestEntry, PartSums, Plan, Receipt, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.model import Value
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
_MEASURED = '    {"fingerprint":'  # begins the line of an artifact in provenance.json


@dataclass(frozen=True)
class Bundle:
    """A bundle in its folder, ``<workdir>/<product id>/v<version>``. Each call reads the files as they are now."""

    root: Path
    skipped: int = 0  # jobs that the run which opened it found done
    url: str | None = None  # of the bundle, where its workdir is one; then ``root`` is its mirror on this machine

    @property
    def name(self) -> str:
        """Folder or URL, as a person or another command names it."""
        return self.url or str(self.root)

    @property
    def product(self) -> Path:
        """Folder of what is published, byte for byte."""
        return self.root / "product"

    @property
    def collection_path(self) -> Path:
        """Path of the STAC Collection."""
        return self.product / "collection.json"

    @property
    def digest(self) -> str | None:
        """``sha256:`` and the digest of the manifest; None while the product is not whole."""
        manifest = self.product / "manifest.json"
        return f"sha256:{sha256(manifest)}" if manifest.is_file() else None

    def manifest(self) -> tuple[ManifestEntry, ...]:
        """Lists every file of the product but the manifest itself."""
        with _parsing(path := self.product / "manifest.json"):
            return _MANIFEST.validate_json(path.read_bytes())

    def collection(self) -> dict[str, Any]:
        """Reads the STAC Collection as JSON."""
        return read_json(self.collection_path)

    def items(self) -> Iterator[dict[str, Any]]:
        """Yields the STAC Items as JSON, in the order of their ids."""
        for path in sorted((self.product / "items").glob("*.json")):
            yield read_json(path)

    def profile(self) -> Profile:
        """Returns the profile, with absolute paths; it is read again only where the file changed.

        Raises ``ProfileError`` where it cannot be read.
        """
        path = (self.root / "profile.yaml").absolute()
        found = path.stat() if path.is_file() else None
        state = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size) if found else None
        return _profile(path, state).model_copy(deep=True)  # frozen, but for its lists and mappings

    def plan(self) -> Plan:
        """Reads the jobs and their fingerprints."""
        with _parsing(path := self.root / "plan.json"):
            return Plan.from_json(path.read_bytes())

    def findings(self) -> tuple[Finding, ...]:
        """Reads the findings of the checks; none before they ran."""
        return _read_if_there(self.root / "findings.json", _FINDINGS) or ()

    def receipts(self) -> tuple[Receipt, ...]:
        """Reads the receipts of all objects published so far."""
        return _read_if_there(self.root / "receipts.json", _RECEIPTS) or ()

    def part_sums(self) -> dict[str, PartSums]:
        """Reads the checksums of the parts of large files, by the sha256 of the whole."""
        return _read_if_there(self.root / PARTS, _PARTS) or {}

    def provenance(self) -> dict[str, Any]:
        """Reads the record of the run: software, sources, failures, approvals; not the measurements of artifacts."""
        with _parsing(self.root / "provenance.json"):
            lines = "".join(line for line in self.provenance_lines() if not line.startswith(_MEASURED))
            found = json.loads(lines) if lines else {}
            if not isinstance(found, dict):
                raise TypeError("no JSON object")
            return found

    def measured(self) -> Measurements:
        """Returns the measurements of each artifact, of the record of the run."""
        return Measurements(self)

    def provenance_lines(self) -> Iterator[str]:
        """Yields the lines of ``provenance.json``; none where there is no such file."""
        path = self.root / "provenance.json"
        if path.is_file():
            with path.open(encoding="utf-8") as file:
                yield from file

    def withdraw(self) -> None:
        """Removes the manifest and the findings: the product is about to change, and is not whole till then."""
        for path in (self.product / "manifest.json", self.root / "findings.json"):
            path.unlink(missing_ok=True)

    def standing_errors(self) -> tuple[Finding, ...]:
        """Returns the findings that block publishing: errors that the profile does not accept."""
        accepted = self.profile().accept
        return tuple(f for f in self.findings() if f.level is Level.ERROR and f.rule not in accepted)


class Measurements:
    """Iterable of the measurements of artifacts, one to a line of ``provenance.json``, read anew by each loop."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def __iter__(self) -> Iterator[dict[str, Any]]:
        lines = (line for line in self._bundle.provenance_lines() if line.startswith(_MEASURED))
        first = next(lines, None)
        if first is None:  # a record in another layout
            yield from self._bundle.provenance().get("artifacts", ())
            return
        for line in chain([first], lines):
            yield json.loads(line.rstrip().rstrip(","))


@lru_cache(maxsize=8)
def _profile(path: Path, state: tuple[int, ...] | None) -> Profile:  # noqa: ARG001 - the key
    """Reads a profile; this takes thirty times as long as to copy it."""
    from earthcode_pack.profile import load_profile  # noqa: PLC0415 - workers need none

    return load_profile(path)


def open_bundle(path: str | Path) -> Bundle:
    """Opens the bundle in a folder; raises ``UserError`` where there is none, or where a link in it leads outside."""
    root = Path(path).absolute()
    if not (root / "profile.yaml").is_file():
        raise UserError(f"{root}: no bundle (it holds no profile.yaml)", "name the folder that `run` printed")
    try:
        refuse_links(root, name=str(root))
    except Unreadable as error:  # a link would be published as what it leads to, or written through
        raise UserError(error.message, error.remedy) from None
    return Bundle(root)


@contextmanager
def _parsing(path: Path) -> Iterator[None]:
    """Raises ``UserError`` where a record of a bundle is missing or damaged."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: the bundle lacks this file", "run the profile again") from None
    except (ValueError, TypeError, RecursionError) as error:
        what = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: damaged ({what})", "remove it and run the profile again, or copy the bundle again"
        ) from None


def _read_if_there[T](path: Path, adapter: TypeAdapter[T]) -> T | None:
    with _parsing(path):
        return adapter.validate_json(path.read_bytes()) if path.is_file() else None


def part_sums(files: Iterable[File]) -> dict[str, PartSums]:
    """Collects the checksums of parts, of the files that have some, by the sha256 of the whole."""
    return {file.sha256: file.parts for file in files if file.parts is not None}


def media_type(key: str) -> str:
    """Returns the media type of a file of a product by its key.

    >>> media_type("items/a.json"), media_type("data/a.zarr/t/c/0")
    ('application/geo+json', 'application/octet-stream')
    """
    if key.startswith("items/") and key.endswith(".json"):
        return "application/geo+json"
    return _MEDIA_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object from a file of a bundle; raises ``UserError`` where it holds none."""
    with _parsing(path):
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict):
            raise TypeError("no JSON object")
        return found


def plan_to_json(plan: Plan) -> Iterator[str]:
    """Yields the text of ``plan.json`` job by job, as ``to_json`` writes it."""
    before, _, after = plan.model_copy(update={"jobs": ()}).to_json().partition('"jobs": []')
    yield before
    separator = '"jobs": [\n'
    for job in plan.jobs:
        yield separator + indent(job.model_dump_json(indent=2), "    ")
        separator = ",\n"
    yield ("\n  ]" if plan.jobs else '"jobs": []') + after


def values_to_json(values: Iterable[Value]) -> str:
    """Formats a list of values as ``to_json`` does; NaN and infinities in measured values become strings."""
    parts = [indent(value.model_dump_json(indent=2), "  ") for value in values]
    return "[\n" + ",\n".join(parts) + "\n]\n" if parts else "[]\n"


def remove_strays(folder: Path, keys: set[str]) -> None:
    """Removes each file below a folder whose key (relative POSIX path) is not among these, and empty folders."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(folder).as_posix() not in keys:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


class Packed[V: Value](Sequence[V]):
    """Sequence of many values in little memory: each is held as compressed JSON of about a kilobyte (``pack``).

    Every access parses the value again: iterate once where that is possible.
    """

    def __init__(self, kind: type[V], held: Iterable[bytes]) -> None:
        self._kind, self._held = kind, list(held)

    def picked(self, places: Iterable[int]) -> Packed[V]:
        """Returns the values at some indexes, in the order of ``places``."""
        return Packed(self._kind, (self._held[place] for place in places))

    def __len__(self) -> int:
        return len(self._held)

    @overload
    def __getitem__(self, index: int) -> V: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[V]: ...

    def __getitem__(self, index: int | slice) -> V | Sequence[V]:
        if isinstance(index, slice):
            return Packed(self._kind, self._held[index])
        return self._kind.from_json(zlib.decompress(self._held[index]))


def pack(value: Value) -> bytes:
    """Compresses a value into the form that ``Packed`` holds."""
    return zlib.compress(value.model_dump_json().encode(), 1)
