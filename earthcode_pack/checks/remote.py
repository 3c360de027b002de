"""What is on the net: whether it is there, how large it is, and whether it may be opened.

A few answers only, unless everything is asked for; no host that did not answer is asked again; and no STAC of a
stranger makes this machine ask its own network (``storage.reach``), but for the very server that the STAC came from.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from earthcode_pack.redact import redacted

if TYPE_CHECKING:
    from earthcode_pack.storage.reach import Answered

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
    """Asks for hrefs on the net during one check. ``origin`` is the host and port that the STAC came from, if any."""

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
        return left and self._is_allowed(url)

    def _is_allowed(self, url: str) -> bool:
        from earthcode_pack.storage.reach import may_reach  # noqa: PLC0415 - only for what is remote

        try:
            if _host(url) == self.origin:
                return True
            return not is_offline() and (url.startswith("s3://") or may_reach(url))
        except ValueError:  # a port that there is not
            return False

    def ask(self, url: str) -> Answer:
        """Whether there is something at a URL, and how large it is. Raises nothing."""
        if url not in self._known:
            self._known[url] = self._ask(url)
        return self._known[url]

    def _ask(self, url: str) -> Answer:
        if "@" in urlsplit(url).netloc:
            return Answer(None, why="its href holds a user, and is not asked for")
        host = _host(url)
        if host in self._dead:
            return Answer(None, why=self._dead[host])
        try:
            return _object(url) if url.startswith("s3://") else _head(url)
        except Exception as error:  # noqa: BLE001 - clients raise what they like
            why = getattr(error, "reason", None) or getattr(error, "message", None) or error
            self._dead[host] = redacted(f"{type(error).__name__}: {why}")
            return Answer(None, why=self._dead[host])


def probe_for(url: str | None, *, deep: bool) -> Probe | None:
    """A probe for a STAC file at a URL, or on this machine; None where nothing may be asked.

    ``EARTHCODE_PACK_OFFLINE=1`` forbids the network but for the host that the STAC came from.
    """
    host = _host(url) if url else None
    return None if host is None and is_offline() else Probe(deep=deep, origin=host)


def _host(url: str) -> str:
    """Host and port of a URL, without the user."""
    return urlsplit(url).netloc.rpartition("@")[2]


def is_offline() -> bool:
    """Whether the environment forbids the network."""
    return os.environ.get("EARTHCODE_PACK_OFFLINE") == "1"


def _head(url: str) -> Answer:
    from earthcode_pack.storage.reach import ask  # noqa: PLC0415 - only for what is remote

    answered = ask("HEAD", url)
    if answered.status in _NO_HEAD:
        answered = ask("GET", url, headers={"Range": "bytes=0-0"})
    if answered.status in _GONE:
        return Answer(exists=False)
    if answered.status >= HTTPStatus.BAD_REQUEST:
        return Answer(None, why=f"the server answers {answered.status}")
    return Answer(exists=True, size=_size(answered))


def _size(answered: Answered) -> int | None:
    headers = answered.headers
    whole = headers.get("content-range", "").rpartition("/")[2] or headers.get("content-length", "")
    encoded = headers.get("content-encoding") not in (None, "identity")
    return int(whole) if whole.isdigit() and not encoded else None


def _object(url: str) -> Answer:
    from earthcode_pack.storage.inputs import ask, filesystem  # noqa: PLC0415 - only for what is remote

    fs, path = filesystem(url)
    info = ask(fs.info, path, url)
    return Answer(exists=False) if info is None else Answer(exists=True, size=info.get("size"))
