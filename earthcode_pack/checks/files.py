"""Files behind STAC: existence, size and checksum of assets, and the targets of links."""

from __future__ import annotations

import hashlib
import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.documents import is_data, listed, roles
from earthcode_pack.checks.targets import exists
from earthcode_pack.errors import EarthcodePackError
from earthcode_pack.storage.error_messages import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.checks.documents import Document
    from earthcode_pack.checks.remote import Probe
    from earthcode_pack.model import Finding

HASHED = 64_000_000  # bytes: a larger file is hashed only in a deep check
_HASHES = {0x11: "sha1", 0x12: "sha256", 0x13: "sha512", 0xD5: "md5"}  # codes of multihash that hashlib has
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_LARGEST_PICTURE = 5_000_000  # bytes


def file_findings(
    document: Document, *, deep: bool = False, probe: Probe | None = None, opened: bool = True
) -> Iterator[Finding]:
    """Checks the assets and links of a STAC object against the files.

    Args:
        document: The object.
        deep: Computes checksums of large files and of remote files too.
        probe: Asks for remote files; without it nothing remote is asked for.
        opened: False for an Item outside the sample, whose files are not hashed.

    Yields:
        The findings.

    """
    remote, subject = 0, document.subject
    for key, asset in document.assets().items():
        what, target = f"the asset {key} of {subject}", document.resolve(str(asset.get("href", "")))
        checksum = asset.get("file:checksum")
        if checksum is None and is_data(asset):
            message = f"the data asset {key} of {subject} has no file:checksum"
            yield rules.FILE_CHECKSUM_ABSENT.finding(subject, message, key)
        elif checksum is not None and parse_multihash(checksum) is None:
            message = f"the file:checksum of {what} is no multihash: {checksum}"
            yield rules.FILE_CHECKSUM_FORM.finding(subject, message, str(checksum))
        if target.path is not None:
            yield from _local_asset(document, what, asset, target.path, math.inf if deep else HASHED if opened else 0)
        elif target.url is not None and probe is not None and probe.may_ask(target.url):
            yield from _remote_asset(subject, what, asset, target.url, probe)
        elif target.outside:
            message = f"{what} leads out of the product: {asset.get('href')}"
            yield rules.HREF_OUTSIDE.finding(subject, message, asset.get("href"))
        else:
            remote += 1
    if remote:
        message = f"{remote} assets of {subject} are elsewhere and were not opened"
        yield rules.HREF_REMOTE.finding(subject, message, remote)
    yield from _links(document, probe)


def _local_asset(document: Document, what: str, asset: dict[str, Any], path: Path, hashed: float) -> Iterator[Finding]:
    """Checks a local file or store; its checksum only if it is smaller than ``hashed`` bytes."""
    if not exists(path):
        message = f"{what} does not exist: {asset.get('href')}"
        yield rules.HREF_MISSING.finding(document.subject, message, asset.get("href"))
        return
    subject, size, stated = document.name(path), size_of(path), asset.get("file:size")
    if type(stated) is int and stated != size:
        message = f"{subject} has {size} bytes, and {what} states {stated}"
        yield rules.FILE_SIZE.finding(subject, message, stated, size)
    if path.is_file() and "thumbnail" in roles(asset):
        with path.open("rb") as file:
            head = file.read(8)
        if not head.startswith(_PICTURES) or size >= _LARGEST_PICTURE:
            message = f"the thumbnail {subject} ({size} bytes) is not one that the PRR takes"
            yield rules.THUMBNAIL.finding(subject, message, {"size": size, "begins": head.hex()})
    checksum = parse_multihash(asset.get("file:checksum"))
    if size < hashed and checksum is not None and checksum[0] in _HASHES:
        name, digest = _HASHES[checksum[0]], checksum[1]
        true = store_digest(path, name) if path.is_dir() else digest_of(path, name) if path.is_file() else digest
        if digest != true:
            message = f"the {name} of {subject} is not the one that {what} states"
            yield rules.FILE_CHECKSUM.finding(subject, message, digest, true)


def _remote_asset(subject: str, what: str, asset: dict[str, Any], url: str, probe: Probe) -> Iterator[Finding]:
    """Checks existence and size of a remote asset; in a deep check also its checksum, by reading all bytes."""
    answer, stated = probe.ask_for_asset(url), asset.get("file:size")
    if answer.exists is False:
        yield rules.HREF_MISSING.finding(subject, f"{what} does not exist: {shown(url)}", shown(url))
    elif answer.exists is None:
        message = f"{what} could not be reached at {shown(url)}: {answer.why}"
        yield rules.HREF_UNREACHABLE.finding(subject, message, shown(url))
    if type(stated) is int and answer.size is not None and stated != answer.size:
        message = f"{shown(url)} has {answer.size} bytes, and {what} states {stated}"
        yield rules.FILE_SIZE.finding(subject, message, stated, answer.size)
    checksum = parse_multihash(asset.get("file:checksum"))
    if not (probe.deep and answer.exists and answer.size is not None and checksum and checksum[0] in _HASHES):
        return
    from earthcode_pack.storage.inputs import tree  # noqa: PLC0415 - only for what is remote

    digest = hashlib.new(_HASHES[checksum[0]])
    try:
        found = tree(url)
        for block in (block for path in found.files.values() for block in found.blocks(path)):
            digest.update(block)
    except EarthcodePackError as error:
        message = f"{what} could not be read: {error.message}"
        yield rules.HREF_UNREACHABLE.finding(subject, message, shown(url))
        return
    if digest.hexdigest() != checksum[1]:
        message = f"the {digest.name} of {shown(url)} is not the one that {what} states"
        yield rules.FILE_CHECKSUM.finding(subject, message, checksum[1], digest.hexdigest())


def _links(document: Document, probe: Probe | None) -> Iterator[Finding]:
    for link in listed(document.stac.get("links")):
        target, subject, href = document.resolve(str(link.get("href", ""))), document.subject, link.get("href")
        message = f"the link {link.get('rel')} of {subject} does not exist: {href}"
        if target.path is not None and link.get("rel") != "self" and not exists(target.path):
            yield rules.HREF_MISSING.finding(subject, message, href)
        elif target.url is not None and probe is not None and probe.may_ask(target.url):
            answer = probe.ask(target.url)
            if answer.exists is False:
                yield rules.HREF_MISSING.finding(subject, message, href)
            elif answer.exists is None and probe.deep:  # a sample reports only what is known to be missing
                message = f"the link {link.get('rel')} of {subject} could not be reached: {answer.why}"
                yield rules.HREF_UNREACHABLE.finding(subject, message, href)


# --- sizes and checksums


def size_of(path: Path) -> int:
    """Returns the size of a file, or of all files of a folder, in bytes."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size


def parse_multihash(text: Any) -> tuple[int, str] | None:
    """Parses a multihash in lower-case hex (multiformats.io/multihash).

    Args:
        text: A value from JSON.

    Returns:
        Code and hex digest; None if the value is no multihash.

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
    """Decodes an unsigned integer of seven bits a byte, the lowest first; returns it and the bytes after it."""
    value = 0
    for index, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:  # noqa: PLR2004 - the bit that says: more to come
            return value, data[index + 1 :]
    return value, b""


def store_digest(path: Path, name: str = "sha256") -> str:
    """Computes the hex digest of a folder: that of its sorted lines ``<digest>  <key within the folder>``."""
    files = (file for file in path.rglob("*") if file.is_file())
    lines = sorted(f"{digest_of(file, name)}  {file.relative_to(path).as_posix()}\n" for file in files)
    return hashlib.new(name, "".join(lines).encode()).hexdigest()


def digest_of(path: Path, name: str = "sha256") -> str:
    """Computes the hex digest of a file; a file that has not changed is read once."""
    status = path.stat()
    return _digest(path, name, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _digest(path: Path, name: str, size: int, changed: int) -> str:  # noqa: ARG001 - they are the key
    with path.open("rb") as file:
        return hashlib.file_digest(file, name).hexdigest()
