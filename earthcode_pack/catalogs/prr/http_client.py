"""HTTP client of the PRR: GET and HEAD are retried; POST is sent once, and the catalogue asked what came of it.

The password goes to the gateway alone, never to the catalogue or the archive, and into no message.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3 import Retry, Timeout
from urllib3.exceptions import HTTPError, SSLError

from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.execution.waiting import DEFAULT_SECONDS, Wait, bounded, moved, waiting
from earthcode_pack.storage.connection import CONNECT, IDLE, urllib3_pool
from earthcode_pack.storage.error_messages import refused, shown
from earthcode_pack.storage.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3 import BaseHTTPResponse, PoolManager

    from earthcode_pack.catalogs.prr.settings import Account

PATIENCE = RetryPolicy(attempts=6, first=0.5)
_INGESTED = 600.0  # s; the gateway moves a batch's files before it answers
_SETTING = "store.wait"
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSING = frozenset({400, 401, 403})
_CONNECTIONS = 8
_BLOCK = 2**20
_OK, _NOT_FOUND = 200, 404


class Unanswered(OutsideError):
    """No answer to a request, which may have been done or not: the catalogue must be asked."""


@dataclass(frozen=True)
class Reply:
    """Answer of the gateway: the status and, where it was JSON, the body."""

    status: int
    body: Any


def waits(limit: float, told: Wait | None = None) -> Iterator[float]:
    """Yields seconds to wait before each further attempt, until ``limit`` seconds have passed.

    ``told``, the wait that is logged, gets the number of the attempt.
    """
    end = time.monotonic() + limit
    for attempt in range(1, PATIENCE.attempts):
        pause = PATIENCE.wait(attempt)
        if time.monotonic() + pause > end:
            return
        if told is not None:
            told.tell(f"attempt {attempt + 1} of {PATIENCE.attempts}")
        yield pause


class Web:
    """HTTP connection pool. Methods raise ``OutsideError`` where the server cannot be reached or fails for good.

    Args:
        ca_bundle: file of certificate authorities to trust.
        wait: bound in seconds of each answer, and of all attempts to get one.

    """

    def __init__(self, ca_bundle: str | None = None, wait: float = DEFAULT_SECONDS) -> None:
        self._ca, self.wait = ca_bundle, wait
        self._pools: dict[tuple[str, str], PoolManager] = {}  # by scheme and host

    def json(self, url: str) -> dict[str, Any] | None:
        """Reads the JSON object at a URL; None where there is none (404)."""
        answer = self._asked("GET", url)
        if answer.status == _NOT_FOUND:
            return None
        found = _parsed(answer.data)
        if answer.status != _OK or not isinstance(found, dict):
            raise OutsideError(f"{url}: answers {answer.status}, which is no STAC", "correct store.prr.stac, or wait")
        return found

    def head(self, url: str) -> tuple[int, int | None]:
        """Returns status and stated size in bytes of a URL."""
        answer = self._asked("HEAD", url)
        size = answer.headers.get("Content-Length")
        return answer.status, int(size) if size is not None and size.isdigit() else None

    def sha256(self, url: str) -> str:
        """Reads the bytes at a URL in blocks; returns their sha256 (hex)."""
        digest = hashlib.sha256()
        answer = self._asked("GET", url, preload_content=False)
        try:
            if answer.status != _OK:
                raise _refusal(url, answer)
            with waiting(f"{_host(url)} to send a file"):
                for block in answer.stream(_BLOCK):
                    moved()
                    digest.update(block)
        except HTTPError as error:
            raise _unanswered(url, error) from None
        finally:
            answer.release_conn()
        return digest.hexdigest()

    def post(self, url: str, value: Any, account: Account) -> Reply:
        """Posts JSON, once. Raises ``Unanswered`` where the outcome is unknown."""
        body = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        word = base64.b64encode(f"{account.user}:{account.password}".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {word}"}
        answer = self._one("POST", url, _INGESTED, body=body, headers=headers)
        parsed = _parsed(answer.data)
        if answer.status in _BUSY or (answer.status // 100 == _OK // 100 and parsed is None):
            time.sleep(_told_to_wait(answer.headers))
            raise Unanswered(f"{url}: answers {answer.status}", "run again: it resumes")
        return Reply(answer.status, parsed)

    def _asked(self, method: str, url: str, **more: Any) -> BaseHTTPResponse:
        """Sends a request that changes nothing, and retries transient failures."""
        with waiting(f"{_host(url)} to answer", self.wait, _SETTING) as told:
            pauses = waits(self.wait, told)
            while True:
                try:
                    answer = self._one(method, url, **more)
                    if answer.status not in _BUSY:
                        return answer
                    failure = Unanswered(f"{url}: answers {answer.status}", "run again: it resumes")
                    wait = _told_to_wait(answer.headers)
                except Unanswered as error:
                    failure, wait = error, 0.0
                pause = next(pauses, None)
                if pause is None:
                    raise OutsideError(failure.message, failure.remedy)
                time.sleep(max(pause, wait))

    def _one(self, method: str, url: str, seconds: float = IDLE, **more: Any) -> BaseHTTPResponse:
        """Sends a request once; GET and HEAD follow redirections, POST does not: its password is for this server.

        An answer that arrives too slowly counts as none; the body of a file may take longer.
        """
        seconds = min(seconds, self.wait)
        more["timeout"] = Timeout(connect=min(CONNECT, self.wait), read=seconds)
        once = Retry(
            connect=0, read=0, status=0, other=0, redirect=0 if method == "POST" else 3, raise_on_redirect=False
        )
        request = partial(self._pool(url).request, method, url, retries=once, **more)
        wait = Wait(f"{_host(url)} to answer", min(seconds + CONNECT, self.wait), _SETTING)
        try:
            return bounded(request, wait, "run again: it resumes")
        except HTTPError as error:
            raise _unanswered(url, error) from None
        except OutsideError as error:
            raise Unanswered(error.message, error.remedy) from None

    def _pool(self, url: str) -> PoolManager:
        """Returns the pool of direct connections, or of those through the proxy that the environment names."""
        server = urlsplit(url)[:2]
        if server not in self._pools:
            self._pools[server] = urllib3_pool(url, self._ca, _CONNECTIONS)
        return self._pools[server]


def _refusal(url: str, answer: BaseHTTPResponse) -> OutsideError:
    """Makes the error for a file that is refused; a signed link may have expired."""
    if answer.status not in _REFUSING:
        return OutsideError(f"{shown(url)}: answers {answer.status}", "run again")
    meaning, remedy = refused(url, answer.geturl() or "", str(answer.status))
    return OutsideError(f"{shown(url)}: {meaning}", remedy)


def _host(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{url} is no URL of a server", "write https://…")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _unanswered(url: str, error: Exception) -> OutsideError:
    cause = getattr(error, "reason", error)
    if isinstance(cause, SSLError):
        return OutsideError(f"{_host(url)}: its certificate is not trusted", "name its authority: store.ca_bundle")
    return Unanswered(f"{_host(url)}: no answer ({type(cause).__name__})", "run again: it resumes")


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _told_to_wait(headers: Mapping[str, str]) -> float:
    """Reads ``Retry-After`` in seconds, up to the longest pause."""
    told = headers.get("Retry-After", "")
    return min(float(told), PATIENCE.longest) if told.isdigit() else 0.0
