"""Answers of the S3 API that are documents: their entries, and what asks for the page after one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus
from xml.etree import ElementTree as ET

from earthcode_pack.storage.base import Listed
from earthcode_pack.storage.retry import BadAnswer

if TYPE_CHECKING:
    from collections.abc import Callable


def xml(body: bytes) -> ET.Element:
    """A document. Raises ``BadAnswer`` where it is none."""
    try:
        return ET.fromstring(body)  # noqa: S314 - expat bounds entities; the server is the user's
    except ET.ParseError:
        raise BadAnswer("the server's answer is no XML") from None


def text(element: ET.Element, name: str) -> str:
    """Of an entry that must be there. Raises ``BadAnswer`` where it is not."""
    found = element.findtext(f"{{*}}{name}")
    if found is None:
        raise BadAnswer(f"the server's answer has no {name}")
    return found


def key_of(page: ET.Element) -> Callable[[str], str]:
    """How keys in a page are read, of which ``encoding-type=url`` was asked.

    A space is ``+`` at Amazon, as forms have it, and a server that does so names the encoding. Ceph RGW lists uploads
    with ``%20`` and without a word, other servers just as the keys are.
    """
    return unquote_plus if page.findtext("{*}EncodingType") == "url" else unquote


def next_objects(page: ET.Element) -> dict[str, str]:
    """The token is no key: it is sent as it is."""
    return {"continuation-token": page.findtext("{*}NextContinuationToken") or ""}


def next_uploads(page: ET.Element) -> dict[str, str]:
    """By the last one of the page: of ``NextKeyMarker`` it is not told whether it is encoded, and on Ceph it is not."""
    last = page.findall("{*}Upload")[-1:]
    keys = [key_of(page)(text(entry, "Key")) for entry in last]
    ids = [text(entry, "UploadId") for entry in last]
    return {"key-marker": "".join(keys), "upload-id-marker": "".join(ids)}


def next_parts(page: ET.Element) -> dict[str, str]:
    """By number."""
    return {"part-number-marker": page.findtext("{*}NextPartNumberMarker") or ""}


def listed(entry: ET.Element, key_of: Callable[[str], str], prefix: str, without: int) -> Listed:
    """An object, its key without so many characters at the begin: in one pass, not validated, for there are thousands.

    Raises ``BadAnswer`` where something is missing, or the object has another prefix than was asked for.
    """
    told = {child.tag.rpartition("}")[2]: child.text or "" for child in entry}
    try:
        modified, key = told.get("LastModified"), key_of(told["Key"])
        if not key.startswith(prefix):
            raise BadAnswer("the server's listing names objects that were not asked for")
        return Listed.model_construct(
            key=key[without:],
            size=int(told["Size"]),
            etag=told.get("ETag", "").strip('"') or None,
            modified=datetime.fromisoformat(modified).replace(microsecond=0) if modified else None,
        )
    except (KeyError, ValueError):
        raise BadAnswer("the server's listing is not one of S3") from None


class Listing:
    """Watches the pages of one listing: each brings something new, and they end.

    A listing of a million objects is a thousand pages; S3 may leave a page nearly empty, but not all of them.
    """

    _MOST, _PAGES, _FEW = 10_000_000, 200, 10  # entries; pages that need not be full; entries of a page on average

    def __init__(self) -> None:
        self._pages = self._entries = 0
        self._first: set[str] = set()

    def take(self, entries: list[ET.Element]) -> None:
        """Takes in the entries of a page. Raises ``BadAnswer`` where it repeats another one, or there are too many."""
        self._pages += 1
        self._entries += len(entries)
        first = "".join(entries[0].itertext()) if entries else ""
        is_slow = self._pages > self._PAGES and self._entries < self._FEW * self._pages
        if first in self._first or is_slow or self._entries > self._MOST:
            raise BadAnswer(f"the listing has no end ({self._pages} pages, {self._entries} entries)")
        self._first.update([first] if first else [])
