"""The files behind STAC: whether they are there, with the sizes and checksums that are stated; and the manifest."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from earthcode_pack.checks import rules
from earthcode_pack.checks.documents import listed, roles
from earthcode_pack.checks.limits import CHECKSUM
from earthcode_pack.checks.targets import by_name
from earthcode_pack.errors import EarthcodePackError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.checks.remote import Answer, Probe
    from earthcode_pack.model import Finding

_HASHES = {0x11: "sha1", 0x12: "sha256", 0x13: "sha512", 0xD5: "md5"}  # of multihash's codes those that hashlib has
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_LARGEST_PICTURE = 5_000_000  # bytes


def file_findings(
    document: Document, *, deep: bool = False, probe: Probe | None = None, opened: bool = True
) -> Iterator[Finding]:
    """Assets and links of a STAC object against the files; checksums of large files only where ``deep``.

    ``probe`` asks for what is on the net, as far as it goes; without it nothing there is asked for. Where not
    ``opened`` no checksum is computed.
    """
    remote = 0
    for key, asset in document.assets().items():
        target = document.resolve(str(asset.get("href", "")))
        yield from _checksum_form(document, key, asset)
        if target.path is not None:
            yield from _near(document, key, asset, target.path, deep=deep, opened=opened)
        elif target.url is not None and probe is not None and probe.may_ask(target.url):
            yield from _afar(document, key, asset, target.url, probe)
        elif target.outside:
            message = f"the asset {key} of {document.subject} leads out of the product: {asset.get('href')}"
            yield rules.HREF_OUTSIDE.finding(document.subject, message, asset.get("href"))
        else:
            remote += 1
    if remote:
        message = f"{remote} assets of {document.subject} are elsewhere and were not opened"
        yield rules.HREF_REMOTE.finding(document.subject, message, remote)
    yield from _links(document, probe)


def _near(
    document: Document, key: str, asset: dict[str, Any], path: Path, *, deep: bool, opened: bool
) -> Iterator[Finding]:
    if _exists(path):
        yield from _against_file(document, key, asset, path)
        if deep or (opened and size_of(path) < CHECKSUM):
            yield from _checksum(document, key, asset, path)
    else:
        message = f"the asset {key} of {document.subject} does not exist: {asset.get('href')}"
        yield rules.HREF_MISSING.finding(document.subject, message, asset.get("href"))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _afar(document: Document, key: str, asset: dict[str, Any], url: str, probe: Probe) -> Iterator[Finding]:
    """An asset on the net: there, and of the size that is stated. A store is there where its metadata are."""
    shown, answer = _shown(url), answer_for(url, probe)
    what = f"the asset {key} of {document.subject}"
    if answer.exists is False:
        yield rules.HREF_MISSING.finding(document.subject, f"{what} does not exist: {shown}", shown)
    elif answer.exists is None:
        message = f"{what} could not be reached at {shown}: {answer.why}"
        yield rules.HREF_UNREACHABLE.finding(document.subject, message, shown)
    stated = asset.get("file:size")
    if is_whole(stated) and answer.size is not None and stated != answer.size:
        message = f"{shown} has {answer.size} bytes, and the asset {key} of {document.subject} states {stated}"
        yield rules.FILE_SIZE.finding(document.subject, message, stated, answer.size)
    if probe.deep and answer.exists and answer.size is not None:
        yield from _remote_checksum(document, key, asset, url)


def _remote_checksum(document: Document, key: str, asset: dict[str, Any], url: str) -> Iterator[Finding]:
    """Of all bytes, which are fetched and not kept."""
    from earthcode_pack.storage.inputs import tree  # noqa: PLC0415 - only for what is remote

    stated, shown = parse_multihash(asset.get("file:checksum")), _shown(url)
    if stated is None or stated[0] not in _HASHES:
        return
    digest = hashlib.new(_HASHES[stated[0]])
    try:
        found = tree(url)
        for block in (block for path in found.files.values() for block in found.blocks(path)):
            digest.update(block)
    except EarthcodePackError as error:
        message = f"the asset {key} of {document.subject} could not be read: {error.message}"
        yield rules.HREF_UNREACHABLE.finding(document.subject, message, shown)
        return
    if digest.hexdigest() != stated[1]:
        message = f"the {digest.name} of {shown} is not the one that the asset {key} of {document.subject} states"
        yield rules.FILE_CHECKSUM.finding(document.subject, message, stated[1], digest.hexdigest())


def answer_for(url: str, probe: Probe) -> Answer:
    """What a probe says of an asset; of a Zarr store, which is no object, by those that it must have."""
    if by_name(urlsplit(url).path) != "zarr" or urlsplit(url).path.rstrip("/").endswith(".zip"):
        return probe.ask(url)
    answers = [probe.ask(f"{url.rstrip('/')}/{name}") for name in ("zarr.json", ".zmetadata", ".zgroup")]
    found = next((a for a in answers if a.exists), None) or next((a for a in answers if a.exists is None), answers[0])
    return replace(found, size=None)


def is_whole(value: Any) -> bool:
    """Whether JSON holds a whole number there; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(url: str) -> str:
    from earthcode_pack.storage.error_messages import shown  # noqa: PLC0415 - only for what is remote

    return shown(url)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size


def _checksum_form(document: Document, key: str, asset: dict[str, Any]) -> Iterator[Finding]:
    stated = asset.get("file:checksum")
    if stated is None and "data" in roles(asset):
        message = f"the data asset {key} of {document.subject} has no file:checksum"
        yield rules.FILE_CHECKSUM_ABSENT.finding(document.subject, message, key)
    elif stated is not None and parse_multihash(stated) is None:
        message = f"the file:checksum of the asset {key} of {document.subject} is no multihash: {stated}"
        yield rules.FILE_CHECKSUM_FORM.finding(document.subject, message, str(stated))


def parse_multihash(text: Any) -> tuple[int, str] | None:
    """Code and hex digest of a multihash in lower-case hex (multiformats.io/multihash); None where it is none.

    >>> parse_multihash("1220" + "ab" * 32) == (0x12, "ab" * 32)
    True
    >>> parse_multihash("ab" * 32) is None
    True
    """
    if not isinstance(text, str) or not re.fullmatch(r"([0-9a-f]{2})+", text):
        return None
    code, rest = _varint(bytes.fromhex(text))
    length, digest = _varint(rest)
    return (code, digest.hex()) if length == len(digest) > 0 else None


def _varint(data: bytes) -> tuple[int, bytes]:
    """An unsigned integer of seven bits a byte, the lowest first, and what follows it."""
    value = 0
    for index, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:  # noqa: PLR2004 - the bit that says: more to come
            return value, data[index + 1 :]
    return value, b""


def _against_file(document: Document, key: str, asset: dict[str, Any], path: Path) -> Iterator[Finding]:
    subject, size = document.name(path), size_of(path)
    stated = asset.get("file:size")
    if is_whole(stated) and stated != size:
        message = f"{subject} has {size} bytes, and the asset {key} of {document.subject} states {stated}"
        yield rules.FILE_SIZE.finding(subject, message, stated, size)
    if path.is_file() and "thumbnail" in roles(asset):
        yield from _thumbnail(path, subject, size)


def _checksum(document: Document, key: str, asset: dict[str, Any], path: Path) -> Iterator[Finding]:
    stated = parse_multihash(asset.get("file:checksum"))
    if stated is None or stated[0] not in _HASHES:
        return
    name, digest = _HASHES[stated[0]], stated[1]
    true = store_digest(path, name) if path.is_dir() else digest_of(path, name) if path.is_file() else digest
    if digest != true:
        subject = document.name(path)
        message = f"the {name} of {subject} is not the one that the asset {key} of {document.subject} states"
        yield rules.FILE_CHECKSUM.finding(subject, message, digest, true)


def store_digest(path: Path, name: str = "sha256") -> str:
    """The hex digest of a folder: of its sorted lines ``<digest>  <key within the folder>``."""
    files = (file for file in path.rglob("*") if file.is_file())
    lines = sorted(f"{digest_of(file, name)}  {file.relative_to(path).as_posix()}\n" for file in files)
    return hashlib.new(name, "".join(lines).encode()).hexdigest()


def digest_of(path: Path, name: str = "sha256") -> str:
    """The hex digest of a file; one that has not changed since is not read twice."""
    status = path.stat()
    return _digest(path, name, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _digest(path: Path, name: str, size: int, changed: int) -> str:  # noqa: ARG001 - they are the key
    with path.open("rb") as file:
        return hashlib.file_digest(file, name).hexdigest()


def _thumbnail(path: Path, subject: str, size: int) -> Iterator[Finding]:
    with path.open("rb") as file:
        head = file.read(8)
    if not head.startswith(_PICTURES) or size >= _LARGEST_PICTURE:
        message = f"the thumbnail {subject} ({size} bytes) is not one that the PRR takes"
        yield rules.THUMBNAIL.finding(subject, message, {"size": size, "begins": head.hex()})


def _links(document: Document, probe: Probe | None) -> Iterator[Finding]:
    for link in listed(document.stac.get("links")):
        target = document.resolve(str(link.get("href", "")))
        message = f"the link {link.get('rel')} of {document.subject} does not exist: {link.get('href')}"
        if target.path is not None and link.get("rel") != "self" and not _exists(target.path):
            yield rules.HREF_MISSING.finding(document.subject, message, link.get("href"))
        elif target.url is not None and probe is not None and probe.may_ask(target.url):
            answer = probe.ask(target.url)
            if answer.exists is False:
                yield rules.HREF_MISSING.finding(document.subject, message, link.get("href"))
            elif answer.exists is None and probe.deep:  # of a sample, only what is known to be gone is told
                message = f"the link {link.get('rel')} of {document.subject} could not be reached: {answer.why}"
                yield rules.HREF_UNREACHABLE.finding(document.subject, message, link.get("href"))


# --- the manifest


def manifest_findings(root: Path, *, deep: bool = False, unread: AbstractSet[Path] = frozenset()) -> Iterator[Finding]:
    """The manifest of a product against its files, both ways; of those that are to stay ``unread`` the size only."""
    root = root.resolve()  # as ``unread`` is
    entries = _manifest(root / "manifest.json")
    if entries is None:
        yield rules.MANIFEST.finding("manifest.json", "manifest.json is not a list of {key, size, sha256}")
        return
    found = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
    for key in sorted(found.keys() - entries.keys() - {"manifest.json"}):
        yield rules.MANIFEST.finding(key, f"{key} is not in the manifest")
    for key, entry in entries.items():
        if key not in found:
            yield rules.MANIFEST.finding(key, f"{key} is in the manifest and does not exist")
        else:
            yield from _entry(key, entry, found[key], hashed=deep or _is_hashed(found[key], unread))


def _manifest(path: Path) -> dict[str, dict[str, Any]] | None:
    try:
        entries = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    good = isinstance(entries, list) and len(listed(entries)) == len(entries)
    return {str(entry.get("key")): entry for entry in entries} if good else None


def _is_hashed(path: Path, unread: AbstractSet[Path]) -> bool:
    below = bool(unread) and not unread.isdisjoint((path, *path.parents))
    return path.stat().st_size < CHECKSUM and not below


def _entry(key: str, entry: dict[str, Any], path: Path, *, hashed: bool) -> Iterator[Finding]:
    size = path.stat().st_size
    if entry.get("size") != size:
        message = f"{key} has {size} bytes, and the manifest states {entry.get('size')}"
        yield rules.MANIFEST.finding(key, message, entry.get("size"), size)
    elif hashed and entry.get("sha256") != f"1220{digest_of(path)}":
        message = f"the sha256 of {key} is not the one in the manifest"
        yield rules.MANIFEST.finding(key, message, entry.get("sha256"), f"1220{digest_of(path)}")
