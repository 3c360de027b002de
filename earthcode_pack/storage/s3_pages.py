"""Answers of the S3 API that are documents: their entries, and what asks for the page after one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus
from xml.etree import ElementTree as ET

from earthcode_pack.storage.retry import Damaged
from earthcode_pack.storage.stores import Listed

if TYPE_CHECKING:
    from collections.abc import Callable


def xml(body: bytes) -> ET.Element:
    """A document. Raises ``Damaged`` where it is none."""
    try:
        return ET.fromstring(body)  # noqa: S314 - expat bounds entities; the server is the user's
    except ET.ParseError:
        raise Damaged("the server's answer is no XML") from None


def text(element: ET.Element, name: str) -> str:
    """Of an entry that must be there. Raises ``Damaged`` where it is not."""
    found = element.findtext(f"{{*}}{name}")
    if found is None:
        raise Damaged(f"the server's answer has no {name}")
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


def listed(entry: ET.Element, key_of: Callable[[str], str], without: int) -> Listed:
    """An object, its key without so many characters at the begin: in one pass, not validated, for there are thousands.

    Raises ``Damaged`` where something is missing.
    """
    told = {child.tag.rpartition("}")[2]: child.text or "" for child in entry}
    try:
        modified = told.get("LastModified")
        return Listed.model_construct(
            key=key_of(told["Key"])[without:],
            size=int(told["Size"]),
            etag=told.get("ETag", "").strip('"') or None,
            modified=datetime.fromisoformat(modified).replace(microsecond=0) if modified else None,
        )
    except (KeyError, ValueError):
        raise Damaged("the server's listing is not one of S3") from None
