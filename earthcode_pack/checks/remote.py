"""What is on the net: whether it is there, how large it is, and whether it may be opened.

A few answers only, unless everything is asked for; no host that did not answer is asked again; and no STAC of a
stranger makes this machine ask its own network: an address of it is asked only where the STAC came from there.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from earthcode_pack.errors import EarthcodePackError
from earthcode_pack.redact import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT = 10  # seconds for one answer
_PATIENCE = 60  # seconds for all of them, unless everything is asked for
_MOST = 12  # hrefs that are asked for, unless everything is
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_NO_HEAD = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST}


@dataclass(frozen=True)
class Answer:
    """What a server said of an href: ``exists`` is None, with the reason in ``why``, where it did not say."""

    exists: bool | None
    size: int | None = None
    why: str = ""


@dataclass
class Probe:
    """Asks for hrefs on the net during one check. ``origin`` is the host that the STAC came from, if any."""

    deep: bool = False
    origin: str | None = None
    _known: dict[str, Answer] = field(default_factory=dict)
    _dead: dict[str, str] = field(default_factory=dict)
    _began: float = field(default_factory=monotonic)

    def may_ask(self, url: str) -> bool:
        """Whether the href can be asked for: it was already, or neither number nor time is used up."""
        if url in self._known:
            return True
        left = self.deep or (len(self._known) < _MOST and monotonic() - self._began < _PATIENCE)
        return left and self._is_allowed(urlsplit(url).scheme, urlsplit(url).hostname or "")

    def _is_allowed(self, scheme: str, host: str) -> bool:
        if host == self.origin:
            return True
        return not is_offline() and (scheme == "s3" or not _is_own_network(host))

    def ask(self, url: str) -> Answer:
        """Whether there is something at a URL, and how large it is. Raises nothing."""
        if url not in self._known:
            self._known[url] = self._ask(url)
        return self._known[url]

    def _ask(self, url: str) -> Answer:
        host = urlsplit(url).netloc
        if "@" in host:
            return Answer(None, why="its href holds a user, and is not asked for")
        if host in self._dead:
            return Answer(None, why=self._dead[host])
        try:
            return _object(url) if url.startswith("s3://") else _head(url)
        except (OSError, ValueError, EarthcodePackError) as error:
            why = getattr(error, "reason", None) or getattr(error, "message", None) or error
            self._dead[host] = redacted(f"{type(error).__name__}: {why}")
            return Answer(None, why=self._dead[host])


def probe_for(url: str | None, *, deep: bool) -> Probe | None:
    """A probe for a STAC file at a URL, or on this machine; None where nothing may be asked.

    ``EARTHCODE_PACK_OFFLINE=1`` forbids the network but for the host that the STAC came from.
    """
    host = urlsplit(url).hostname if url else None
    return None if host is None and is_offline() else Probe(deep=deep, origin=host)


def is_offline() -> bool:
    """Whether the environment forbids the network."""
    return os.environ.get("EARTHCODE_PACK_OFFLINE") == "1"


def gdal_settings() -> Mapping[str, str]:
    """GDAL's settings for reading a few blocks of a remote file, at the S3 endpoint that boto3 would take."""
    settings = {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_TIMEOUT": "30",
        "GDAL_HTTP_CONNECTTIMEOUT": str(_TIMEOUT),
        "GDAL_HTTP_MAX_RETRY": "1",
        "VSI_CACHE": "TRUE",
    }
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "")
    if endpoint.netloc:
        settings |= {"AWS_S3_ENDPOINT": endpoint.netloc, "AWS_VIRTUAL_HOSTING": "FALSE"}
        settings |= {"AWS_HTTPS": "YES" if endpoint.scheme == "https" else "NO"}
    return settings


def _is_own_network(host: str) -> bool:
    """Whether a host is this machine or of a private network, by its name alone.

    >>> [_is_own_network(host) for host in ("127.0.0.1", "localhost", "169.254.169.254", "example.org")]
    [True, True, True, False]
    """
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host.isdigit() or host.startswith("0x")  # other spellings of an address


def _head(url: str) -> Answer:
    try:
        return _size(Request(url, method="HEAD"))  # noqa: S310 - documents.py lets http and https pass only
    except HTTPError as error:
        if error.code in _GONE:
            return Answer(exists=False)
        if error.code not in _NO_HEAD:
            return Answer(None, why=f"the server answers {error.code}")
    try:
        return _size(Request(url, headers={"Range": "bytes=0-0"}))  # noqa: S310 - as above
    except HTTPError as error:
        return Answer(exists=False) if error.code in _GONE else Answer(None, why=f"the server answers {error.code}")


def _size(request: Request) -> Answer:
    with urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310 - as above
        whole = answer.headers.get("Content-Range", "").rpartition("/")[2] or answer.headers.get("Content-Length", "")
        encoded = answer.headers.get("Content-Encoding") not in (None, "identity")
        return Answer(exists=True, size=int(whole) if whole.isdigit() and not encoded else None)


def _object(url: str) -> Answer:
    from earthcode_pack.storage.inputs import ask, filesystem  # noqa: PLC0415 - only for what is remote

    fs, path = filesystem(url)
    info = ask(fs.info, path, url)
    return Answer(exists=False) if info is None else Answer(exists=True, size=info.get("size"))
