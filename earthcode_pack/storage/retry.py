"""Retries transient failures with exponential backoff and full jitter, within a bounded time.

https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from earthcode_pack.execution.waiting import waiting
from earthcode_pack.storage.concurrency import check_cancelled, pause

if TYPE_CHECKING:
    from collections.abc import Callable


_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "InvalidDigest"}
_PASSING_CODES = _DAMAGED | {
    *("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "TooManyRequests", "OperationAborted"),
}
_BUSY = {"SlowDown", "ServiceUnavailable", "TooManyRequests", "429", "503"}
_NEVER = {501, 505, 507}  # not implemented, another HTTP, full


class Refused(Exception):
    """The server answered that it does not do what was asked: the S3 error code, else the status."""

    def __init__(self, status: int, code: str = "") -> None:
        super().__init__(f"status code: {status}")
        self.status, self.code = status, code or str(status)
        self.response = {"Error": {"Code": self.code}}  # as botocore has it


class Damaged(OSError):
    """The bytes that are stored, or came, are not those that were sent."""


class BadAnswer(Damaged):
    """An answer that is none of S3; its text is of this program, and may be shown."""


@dataclass(frozen=True)
class RetryPolicy:
    """Bounds retries: none begins once nothing useful came for ``seconds``, nor are there more than ``attempts``.

    Waits between them grow from ``first`` to ``longest`` seconds. ``setting`` is the key of the profile that says so.
    """

    seconds: float = 300
    attempts: int = 12
    first: float = 0.2
    longest: float = 20
    setting: str = ""

    @classmethod
    def within(cls, seconds: float, setting: str = "") -> RetryPolicy:
        """Returns a policy with as many attempts as fit into a time: pauses are half of ``longest`` on average."""
        return cls(seconds, attempts=8 + int(2 * seconds / cls.longest), setting=setting)

    def wait(self, attempt: int) -> float:
        """Seconds after the ``attempt``-th failure, counted from one: anything up to what is due (full jitter)."""
        return random.uniform(0, min(self.longest, self.first * 2 ** (attempt - 1)))  # noqa: S311 - no secret


def is_passing(error: BaseException) -> bool:
    """Tells whether another attempt may succeed: 5xx, 408, 429, damaged bytes, and a connection that broke.

    Never 403, a missing bucket, nor a certificate that is not trusted.
    """
    if isinstance(error, Refused):
        passing = error.status >= 500 and error.status not in _NEVER  # noqa: PLR2004
        return passing or error.status in (408, 429) or error.code in _PASSING_CODES
    return isinstance(error, OSError) and not isinstance(error, ValueError)  # as ssl.SSLCertVerificationError is


def is_damaged(error: BaseException) -> bool:
    """Tells whether the server got other bytes than were signed."""
    return isinstance(error, Refused) and error.code in _DAMAGED


def is_busy(error: BaseException) -> bool:
    """Tells whether the server asked for less at once (503, 429)."""
    return isinstance(error, Refused) and (error.code in _BUSY or error.status in (429, 503))


def persist[T](
    attempt: Callable[[], T],
    patience: RetryPolicy,
    *,
    what: str = "the storage",
    failed: Callable[[BaseException], None] = lambda _error: None,
    sleep: Callable[[float], None] = pause,
) -> T:
    """Makes an attempt, and again where it fails in passing; ``failed`` is told of each failure.

    ``what`` answers is said while it is waited for (``waiting``), with the number of the attempt and the last failure.

    Raises what the last attempt raised, and ``Cancelled`` where the context is cancelled.
    """
    with waiting(f"{what} to answer", patience.seconds, patience.setting) as told:
        for number in range(1, patience.attempts):
            check_cancelled()
            try:
                return attempt()
            except Exception as error:
                failed(error)
                pause = patience.wait(number)
                if not is_passing(error) or told.seconds + pause > patience.seconds:
                    raise
                told.tell(f"attempt {number + 1} of {patience.attempts}, after {_in_short(error)}")
            sleep(pause)
        return attempt()


def _in_short(error: BaseException) -> str:
    """A failure without anything that a server wrote."""
    if isinstance(error, Refused):
        return f"it answered {error.code}"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
