"""Messages for failures of storage, with the remedy; a server's answer is read for its code and never shown.

An answer can hold access keys, and a URL its signature: neither may reach a message (design, rule 8).
"""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from earthcode_pack.errors import EarthcodePackError, OutsideError, UserError
from earthcode_pack.redact import shown
from earthcode_pack.storage.retry import BadAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["code_of", "expiry", "in_words", "outside", "refused", "safe_key", "shown"]

NO_CREDENTIALS = (
    "there are no credentials for the storage",
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or name store.profile",
)

# What the code of an answer, or the text of an exception without one, means; the first that fits counts.
_MEANINGS = (
    (
        r"RequestTimeTooSkewed|RequestExpired",
        "the clock of this machine differs too much from the storage's",
        "set the clock of this machine and run again",
    ),
    (r"ExpiredToken|TokenRefreshRequired", "the credentials have expired", "renew them and run again"),
    (r"NoSuchBucket|InvalidBucketName", "the bucket does not exist", "create it, or correct the href"),
    (
        r"QuotaExceeded|InsufficientStorage|StorageFull|^507$",
        "the storage is full, or its quota used up",
        "free space or have the quota raised, and run again: it resumes",
    ),
    (
        r"SignatureDoesNotMatch|InvalidAccessKeyId|InvalidToken|NotSignedUp",
        "the storage does not accept these credentials",
        NO_CREDENTIALS[1],
    ),
    (r"NoCredentials|PartialCredentials|locate credentials", *NO_CREDENTIALS),
    (
        r"AccessDenied|AccountProblem|^40[13]$|Forbidden|Unauthorized|PermissionError|PermissionDenied|Unauthenticated",
        "the storage refuses access (403)",
        "check the credentials, and that they may read and write there",
    ),
    (
        r"PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint|^301$",
        "the bucket is in another region or at another endpoint",
        "set store.region, store.endpoint_url",
    ),
    (
        r"XAmzContentSHA256Mismatch|^Damaged|BadDigest|IncompleteBody|InvalidDigest",
        "the bytes were damaged on their way",
        "run again: it resumes",
    ),
    (
        r"SlowDown|ServiceUnavailable|TooManyRequests|InternalError|^(429|5\d\d)$",
        "the storage is overloaded or out of order",
        "run again later: it resumes",
    ),
    (
        r"[Cc]ertificate|CERTIFICATE|SSLError|UnknownIssuer",
        "the storage's certificate is not trusted",
        "set store.ca_bundle, or AWS_CA_BUNDLE, to the authority that signed it",
    ),
    (
        (
            r"EndpointConnection|Connect|gaierror|No route|HTTPClientError|"
            r"error sending request|dns error|[Tt]ime(d )?out|Name or service"
        ),
        "the storage cannot be reached",
        "check store.endpoint_url (or AWS_ENDPOINT_URL) and the network, and run again: it resumes",
    ),
)
_NOT_FOUND = (r"NoSuchKey|^404$|^NotFound$|^FileNotFoundError", "there is no such object", "check the name")


def in_words(error: BaseException, where: str) -> EarthcodePackError:
    """Returns an error that says what went wrong at ``where``, and what to do; one of ours stays as it is."""
    error = _answer_behind(error)
    if isinstance(error, EarthcodePackError):
        return error
    if isinstance(error, OSError) and error.errno in _ON_DISK and "SSL" not in type(error).__name__:
        return OutsideError(f"{shown(where)}: {_ON_DISK[error.errno][0]}", _ON_DISK[error.errno][1])
    if isinstance(error, BadAnswer):
        return OutsideError(f"{shown(where)}: {error}", "see that it is S3 storage, and no proxy changes its answers")
    code = code_of(error)
    if where.startswith(("http://", "https://")) and code in _REFUSALS:
        meaning, remedy = refused(where, _reached(error), code)
        return OutsideError(f"{shown(where)}: {meaning}", remedy)
    for pattern, meaning, remedy in (*_MEANINGS, _NOT_FOUND):
        if re.search(pattern, code or f"{type(error).__name__} {error}"):
            return OutsideError(f"{shown(where)}: {meaning}", remedy)
    return OutsideError(f"{shown(where)}: the storage failed ({code or type(error).__name__})", "run again: it resumes")


_REFUSALS = frozenset({"400", "401", "403"})  # of links; a signed one that has expired meets one of them


def _answer_behind(error: BaseException) -> BaseException:
    """Fsspec's http says «not found» whatever the server answered, or none: the answer is the cause."""
    cause = error.__cause__
    if cause is None or not isinstance(error, FileNotFoundError):
        return error
    is_told = isinstance(getattr(cause, "status", None), int) or isinstance(cause, OSError | EarthcodePackError)
    return cause if is_told else error


def _reached(error: BaseException) -> str:
    """The URL that answered, after redirections, as aiohttp keeps it."""
    return str(getattr(getattr(error, "request_info", None), "real_url", ""))


_ON_DISK = {
    errno.ENOSPC: ("the disk is full", "free space and run again: it resumes"),
    errno.EFBIG: ("the file is too large for this file system", "correct store.href"),
    errno.EDQUOT: ("the disk quota is used up", "free space and run again: it resumes"),
    errno.EACCES: ("permission denied", "allow writing there, or correct store.href"),
    errno.EPERM: ("permission denied", "allow writing there, or correct store.href"),
    errno.EROFS: ("the file system is read-only", "correct store.href"),
    errno.ENAMETOOLONG: ("the name is too long for this file system", "choose a shorter product.id"),
    errno.ENOTDIR: ("a file stands where a folder is needed", "remove it, or correct store.href"),
    errno.EISDIR: ("a folder stands where a file is needed", "remove it, or correct store.href"),
}


def code_of(error: BaseException) -> str | None:
    """Returns the S3 error code (``NoSuchKey``), else the HTTP status, that a client's exception carries.

    botocore, and ``Refused``, keep it in ``response``; others in their text, or as ``status``.
    """
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", "")) or None
    for pattern in (r"<Code>(\w+)</Code>", r"status code: (\d{3})"):
        match = re.search(pattern, str(error))
        if match:
            return match[1]
    status = getattr(error, "status", None)
    return str(status) if isinstance(status, int) else None


@contextmanager
def outside(where: str) -> Iterator[None]:
    """Turns whatever a storage client raises into an ``OutsideError`` in words, and hides the original."""
    try:
        yield
    except (AssertionError, AttributeError, NameError, TypeError):
        raise  # a fault of this program
    except Exception as error:  # noqa: BLE001 - clients raise what they like
        raise in_words(error, where) from None


def safe_key(key: str) -> str:
    """Returns the key, if it is a plain relative path; else ``UserError``: it could name a place outside the store.

    >>> safe_key("data/a.tif")
    'data/a.tif'
    >>> safe_key("data/../../etc")
    Traceback (most recent call last):
    ...
    earthcode_pack.errors.UserError: 'data/../../etc' is not a key such as data/a.tif — rename it
    """
    parts = key.split("/")
    if "\\" in key or re.search(r"[\x00-\x1f\x7f]", key) or any(part in ("", ".", "..") for part in parts):
        raise UserError(f"{key!r} is not a key such as data/a.tif", "rename it")
    return key


# --- links that are refused: a signed one ends at a moment that its query tells --------------------------------------


def expiry(href: str) -> datetime | None:
    """Returns when a signed link ends (UTC); None where it does not say so, as one that is not signed.

    AWS and Google state a date and seconds, older forms and Swift Unix time, Azure a time in ISO 8601.

    >>> print(expiry("https://host/a.nc?X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature=abc"))
    2020-01-01 00:01:00+00:00
    >>> expiry("https://host/a.nc?year=2020") is None
    True
    """
    said = {key.lower(): value for key, value in parse_qsl(urlsplit(href).query)}
    try:
        for maker in ("x-amz", "x-goog"):
            if f"{maker}-expires" in said:
                signed = datetime.strptime(said[f"{maker}-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                return signed + timedelta(seconds=int(said[f"{maker}-expires"]))
        if moment := said.get("expires") or said.get("temp_url_expires"):
            return datetime.fromtimestamp(int(moment), UTC)
        return datetime.fromisoformat(said["se"]).replace(tzinfo=UTC) if "se" in said else None
    except (KeyError, ValueError, OverflowError):
        return None


def refused(href: str, reached: str, status: str) -> tuple[str, str]:
    """Explains why a server refuses a link with this status, and what to do.

    ``reached`` is the URL that refused, after redirections: a portal sends its readers to signed links.
    """
    now = datetime.now(UTC)
    for link, what, renewal in (
        (href, "the link", "get a new link and run again"),
        (reached, "the signed link that it leads to", "run again for a new one, or ask who serves it"),
    ):
        if (end := expiry(link)) is not None and end <= now:
            return f"{what} has expired ({end:%Y-%m-%dT%H:%M:%SZ})", f"{renewal}: it resumes"
    return (
        f"the server refuses access ({status})",
        "see that it is there, that you may read it, and that the link is still valid, and run again: it resumes",
    )
