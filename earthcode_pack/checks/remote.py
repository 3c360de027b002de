"""Requests for remote assets and links during a check: existence and size.

Requests are few unless the check is deep, and a host that failed is not asked again. STAC of unknown origin can't make
this machine send requests to its own network (``storage.reach``), except to the server that the STAC came from.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from time import monotonic
from urllib.parse import urlsplit

from earthcode_pack.checks.targets import ZARR_MARKS, is_zarr_folder
from earthcode_pack.redact import redacted

_SECONDS = 60  # for all requests, unless the check is deep
_MOST = 12  # requests, unless the check is deep
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_NO_HEAD = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST}


@dataclass(frozen=True)
class Answer:
    """Answer of a server about an href; ``exists`` is None, with the reason in ``why``, if it is not known."""

    exists: bool | None
    size: int | None = None
    why: str = ""


@dataclass
class Probe:
    """Asks servers about hrefs during one check; ``origin`` is the host and port that the STAC came from."""

    deep: bool = False
    origin: str | None = None
    _known: dict[str, Answer] = field(default_factory=dict)
    _dead: dict[str, str] = field(default_factory=dict)
    _began: float = field(default_factory=monotonic)

    def may_ask(self, url: str) -> bool:
        """Tells whether a URL may be asked for: its host is allowed, and neither number nor time is used up."""
        from earthcode_pack.storage.reach import may_reach  # noqa: PLC0415 - only for what is remote

        if url in self._known:
            return True
        if not self.deep and (len(self._known) >= _MOST or monotonic() - self._began >= _SECONDS):
            return False
        try:
            if _host(url) == self.origin:
                return True
            return not _is_offline() and (url.startswith("s3://") or may_reach(url))
        except ValueError:  # an invalid port
            return False

    def ask(self, url: str) -> Answer:
        """Asks whether a URL exists, and its size. Raises nothing."""
        if url not in self._known:
            host = _host(url)
            if "@" in urlsplit(url).netloc:
                answer = Answer(None, why="its href holds a user, and is not asked for")
            elif host in self._dead:
                answer = Answer(None, why=self._dead[host])
            else:
                try:
                    answer = _ask_s3(url) if url.startswith("s3://") else _ask_http(url)
                except Exception as error:  # noqa: BLE001 - clients raise what they like
                    why = getattr(error, "reason", None) or getattr(error, "message", None) or error
                    self._dead[host] = redacted(f"{type(error).__name__}: {why}")
                    answer = Answer(None, why=self._dead[host])
            self._known[url] = answer
        return self._known[url]

    def ask_for_asset(self, url: str) -> Answer:
        """Asks for an asset; for a Zarr store, which is no object, by the objects that it must have."""
        if not is_zarr_folder(url):
            return self.ask(url)
        answers = [self.ask(f"{url.rstrip('/')}/{mark}") for mark in ZARR_MARKS]
        unknown = next((answer for answer in answers if answer.exists is None), answers[0])
        return replace(next((answer for answer in answers if answer.exists), unknown), size=None)


def probe_for(url: str | None, *, deep: bool) -> Probe | None:
    """Makes the probe of a check.

    Args:
        url: URL of the STAC file; None for a file on this machine.
        deep: Asks for everything instead of a sample.

    Returns:
        The probe; None for a local file if ``EARTHCODE_PACK_OFFLINE=1``, which forbids all other hosts.

    """
    host = _host(url) if url else None
    return None if host is None and _is_offline() else Probe(deep=deep, origin=host)


def _host(url: str) -> str:
    """Returns host and port of a URL, without the user."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _is_offline() -> bool:
    return os.environ.get("EARTHCODE_PACK_OFFLINE") == "1"


def _ask_http(url: str) -> Answer:
    from earthcode_pack.storage.reach import ask  # noqa: PLC0415 - only for what is remote

    response = ask("HEAD", url)
    if response.status in _NO_HEAD:
        response = ask("GET", url, headers={"Range": "bytes=0-0"})
    if response.status in _GONE:
        return Answer(exists=False)
    if response.status >= HTTPStatus.BAD_REQUEST:
        return Answer(None, why=f"the server answers {response.status}")
    headers = response.headers
    whole = headers.get("content-range", "").rpartition("/")[2] or headers.get("content-length", "")
    encoded = headers.get("content-encoding") not in (None, "identity")
    return Answer(exists=True, size=int(whole) if whole.isdigit() and not encoded else None)


def _ask_s3(url: str) -> Answer:
    from earthcode_pack.storage.inputs import ask, filesystem  # noqa: PLC0415 - only for what is remote

    fs, path = filesystem(url)
    info = ask(fs.info, path, url)
    return Answer(exists=False) if info is None else Answer(exists=True, size=info.get("size"))
