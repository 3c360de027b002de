"""Requests to one bucket of S3 storage, each answered or refused, and tried again where the failure may pass.

botocore's client asks and sends files and parts of them; obstore, which sends many small objects with a third of the
work, sends those that need no ACL and reads objects (decision 0021). Neither tries anything again by itself.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.errors import EarthcodePackError
from earthcode_pack.execution.waiting import moved
from earthcode_pack.storage.base import Listed
from earthcode_pack.storage.concurrency import Cancelled, interruptible
from earthcode_pack.storage.connection import Timeouts, endpoint_of, obstore_options, proxy_for
from earthcode_pack.storage.file_slice import ChangedBytes, FileSlice
from earthcode_pack.storage.retry import BadAnswer, Refused, RetryPolicy, is_busy, persist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from obstore.store import S3Credential

    from earthcode_pack.storage.concurrency import ConcurrencyLimit
    from earthcode_pack.storage.credentials import Access

logger = logging.getLogger("earthcode_pack")

_GONE = ("NoSuchKey", "404", "NotFound", "NoSuchUpload")
_FORBIDDEN = 403
_MAX_KEYS = 1000  # of a request that deletes
_BLOCK = 2**20  # bytes of an object that are read at once
_RENEWED = timedelta(minutes=1)  # after which obstore asks again for keys that are renewed


class Part(NamedTuple):
    """A part that the server has."""

    size: int
    etag: str


class S3Client:
    """A bucket. Names are whole: prefix and key. Any thread may call.

    Args:
        access: Endpoint and credentials.
        bucket: The bucket's name.
        limit: Requests at once, shared by all threads.
        timeouts: Of each request.
        policy: Retries of a server that has answered before.
        first_contact: Retries of one that has not: it may not exist.

    Raises:
        UserError: The endpoint, or the proxy that the environment names, is none.

    """

    def __init__(
        self,
        access: Access,
        bucket: str,
        limit: ConcurrencyLimit,
        *,
        timeouts: Timeouts,
        policy: RetryPolicy,
        first_contact: RetryPolicy,
    ) -> None:
        authority = endpoint_of(access.endpoint).netloc.rpartition("@")[2]
        proxy_for(access.endpoint)
        self.place = f"the storage at {authority} (bucket {bucket})"
        self.limit = limit
        self._access, self._bucket, self._timeouts = access, bucket, timeouts
        self._policy, self._first_contact = policy, first_contact
        self._has_answered = False
        self._has_obstore = _has_runtime()  # until it refuses a self-signed certificate that OpenSSL trusts
        self._is_told = False  # that open uploads cannot be ended
        self._making = Lock()
        self._botocore: Any = None
        self._obstores: dict[float, Any] = {}

    # --- one attempt --------------------------------------------------------------------------------------------------

    def ask(self, operation: str, name: str = "", *, size: int = 0, **parameters: Any) -> dict[str, Any]:
        """Makes one request that moves ``size`` bytes, by the name of a method of botocore's client.

        Raises:
            Refused: Any answer but success.
            OSError: No answer comes in time, or it is none of S3.

        """
        key = {"Key": name} if name else {}
        call = partial(getattr(self._client(), operation), Bucket=self._bucket, **key, **parameters)
        with self._translated():
            answer: dict[str, Any] = interruptible(call, self._timeouts.of(size))
        return answer

    def send(self, operation: str, name: str, body: FileSlice, **parameters: Any) -> str:
        """Makes one request with bytes of a file; returns the ETag. Raises as ``ask`` does, and what reading raised."""
        try:
            answer = self.ask(operation, name, size=body.size, Body=body, **parameters)
        except Exception:
            if body.failure is not None:
                raise body.failure from None
            raise
        return _etag(answer)

    def put_small(self, name: str, data: bytes, media_type: str, metadata: Mapping[str, str]) -> str:
        """Puts bytes in one request; returns the ETag. Raises as ``ask`` does."""
        import obstore  # noqa: PLC0415 - only for S3

        if not self._has_obstore:
            put = {"Body": data, "ContentType": media_type, "Metadata": metadata}
            return _etag(self.ask("put_object", name, size=len(data), **put))
        store, attributes = self._obstore(len(data)), {"Content-Type": media_type, **metadata}
        call = partial(obstore.put, store, name, data, attributes=attributes, use_multipart=False)
        with self._translated(by_obstore=True):
            return _unquoted(interruptible(call, 2 * self._timeouts.of(len(data)))["e_tag"])

    def read(self, name: str, take: Callable[[bytes], object], size: int = 0) -> None:
        """Reads an object of about ``size`` bytes; ``take`` gets its bytes in blocks. Raises as ``ask`` does."""
        import obstore  # noqa: PLC0415 - only for S3

        def attempt() -> None:
            if self._has_obstore:
                blocks = obstore.get(self._obstore(size), name).stream(min_chunk_size=_BLOCK)
            else:
                blocks = self._client().get_object(Bucket=self._bucket, Key=name)["Body"].iter_chunks(_BLOCK)
            for block in blocks:
                moved()
                take(bytes(block))

        with self._translated(by_obstore=self._has_obstore):
            interruptible(attempt, 2 * self._timeouts.of(size))

    @contextmanager
    def _translated(self, *, by_obstore: bool = False) -> Iterator[None]:
        """Raises failures of the clients as ours, without anything that a server wrote."""
        try:
            yield
        except (EarthcodePackError, Cancelled, ChangedBytes):
            raise
        except Exception as error:  # noqa: BLE001 - obstore raises what it likes
            failure = _failure(error)
            self._has_answered |= isinstance(failure, Refused)
            if by_obstore and self._access.ca and isinstance(failure, ssl.SSLCertVerificationError):
                self._has_obstore = False
                failure = ConnectionError("obstore does not trust the certificate")  # botocore may, the next time
            raise failure from None
        self._has_answered = True

    def _client(self) -> Any:
        with self._making:
            if self._botocore is None:
                self._botocore = self._access.client(self._timeouts)
                self._botocore.meta.events.register("before-send.s3", _begin_sending)
            return self._botocore

    def _obstore(self, size: int) -> Any:
        """A store whose requests may take as long as one of ``size`` bytes: obstore's time-out is of the store."""
        from obstore.store import S3Store  # noqa: PLC0415 - only for S3

        seconds = self._timeouts.request
        while seconds < self._timeouts.of(size):
            seconds *= 2
        with self._making:
            if seconds not in self._obstores:
                endpoint = self._access.endpoint
                self._obstores[seconds] = S3Store(
                    self._bucket,
                    endpoint=endpoint,
                    aws_endpoint_url_s3=endpoint,  # else the environment's comes first
                    region=self._access.region,
                    credential_provider=self._credentials,
                    virtual_hosted_style_request=False,
                    unsigned_payload=False,
                    skip_signature=False,
                    **obstore_options(endpoint, self._access.ca, self._timeouts.connect, seconds),
                )
            return self._obstores[seconds]

    def _credentials(self) -> S3Credential:
        keys = self._access.keys()
        until = datetime.now(UTC) + _RENEWED if self._access.session is not None else None
        return {
            "access_key_id": keys.access,
            "secret_access_key": keys.secret,
            "token": keys.token,
            "expires_at": until,
        }

    def persist[T](self, attempt: Callable[[], T]) -> T:
        """Makes an attempt, again where it fails in passing; each has its turn."""

        def in_turn() -> T:
            with self.limit.turn():
                moved()  # what comes before this request has its own bound
                return attempt()

        policy = self._policy if self._has_answered else self._first_contact
        return persist(in_turn, policy, what=self.place, failed=self._failed)

    def _failed(self, error: BaseException) -> None:
        if is_busy(error):
            self.limit.slow_down()

    # --- objects ------------------------------------------------------------------------------------------------------

    def head(self, name: str) -> dict[str, Any] | None:
        """Returns what HEAD tells of an object; None where there is none."""
        return self._unless_gone(lambda: self.ask("head_object", name))

    def get(self, name: str, take: Callable[[bytes], object], begin: Callable[[], object], size: int = 0) -> bool:
        """Reads an object into ``take``; ``begin`` is called before each attempt. False where there is none."""

        def attempt() -> bool:
            begin()
            self.read(name, take, size)
            return True

        return self._unless_gone(attempt) is not None

    def delete(self, names: Iterable[str]) -> None:
        """Removes objects, a thousand at once."""
        waiting = list(names)
        for first in range(0, len(waiting), _MAX_KEYS):
            objects = [{"Key": name} for name in waiting[first : first + _MAX_KEYS]]
            answer = self.persist(partial(self.ask, "delete_objects", Delete={"Objects": objects, "Quiet": True}))
            failed = [str(entry.get("Code")) for entry in answer.get("Errors", [])]
            if any(code not in _GONE for code in failed):
                raise Refused(500, failed[0])

    def _unless_gone[T](self, attempt: Callable[[], T]) -> T | None:
        try:
            return self.persist(attempt)
        except Refused as error:
            if error.code in _GONE:
                return None
            raise

    # --- listings -----------------------------------------------------------------------------------------------------

    def listing(self, prefix: str, without: int = 0) -> Iterator[Listed]:
        """Yields the objects of a prefix; keys are names without so many characters at their begin."""
        for page in self._pages("list_objects_v2", "Contents", _next_objects, Prefix=prefix):
            for entry in page.get("Contents", []):
                yield _listed(entry, prefix, without)

    def uploads(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yields name and id of each open multipart upload of a prefix."""
        for page in self._pages("list_multipart_uploads", "Uploads", _next_uploads, Prefix=prefix):
            for entry in page.get("Uploads", []):
                yield entry["Key"], entry["UploadId"]

    def parts(self, name: str, upload: str) -> dict[int, Part] | None:
        """Returns by number the parts of an open upload that are there; None where the server does not know it."""
        try:
            pages = list(self._pages("list_parts", "Parts", _next_parts, Key=name, UploadId=upload))
        except Refused as error:
            if error.code in _GONE:
                return None
            raise
        entries = [entry for page in pages for entry in page.get("Parts", [])]
        return {entry["PartNumber"]: Part(entry["Size"], _etag(entry)) for entry in entries}

    def _pages(
        self, operation: str, kind: str, following: Callable[[Any], dict[str, Any]], **query: Any
    ) -> Iterator[dict[str, Any]]:
        """Yields pages; ``following`` gives what asks for the page after one.

        Raises ``BadAnswer`` where a page brings nothing new, or they do not come to an end.
        """
        watch = _Pages()
        while True:
            page = self.persist(lambda asked=dict(query): _checked(self.ask(operation, **asked)))  # type: ignore[misc]
            watch.take(page.get(kind, []))
            yield page
            if not page["IsTruncated"]:
                return
            told = following(page)
            if not all(told.values()) or told.items() <= query.items():
                raise BadAnswer("the listing has no end")
            query |= told

    # --- multipart uploads --------------------------------------------------------------------------------------------

    def create(self, name: str, **headers: Any) -> str:
        """Opens an upload and gives its id; others of this very name, which a killed run or a lost answer left, end.

        Only one run sends to a prefix: they are nobody's. Where the keys may not look for them, they stay.
        """
        answers: list[str] = []

        def attempt() -> None:
            answers.append("")
            answers[-1] = self.ask("create_multipart_upload", name, **headers)["UploadId"]

        self._end_others(name)
        self.persist(attempt)
        if len(answers) > 1:
            self._end_others(name, answers[-1])
        return answers[-1]

    def _end_others(self, name: str, mine: str = "") -> None:
        try:
            for key, upload in list(self.uploads(name)):
                if key == name and upload != mine:
                    self.abort(name, upload)
        except Refused as error:
            if error.status != _FORBIDDEN:
                raise
            if not self._is_told:
                words = "s3://%s: what killed runs left of large files may stay: the keys may not look for it (%s)"
                logger.warning(words, self._bucket, error.code)
            self._is_told = True

    def complete(self, name: str, upload: str, etags: Sequence[str]) -> None:
        """Makes one object of the parts. An upload that is gone may have been completed: who asked looks at it."""
        parts = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in enumerate(etags, 1)]
        ask = partial(self.ask, "complete_multipart_upload", name, UploadId=upload, MultipartUpload={"Parts": parts})
        try:
            self.persist(ask)
        except Refused as error:
            if error.code != "NoSuchUpload":
                raise

    def abort(self, name: str, upload: str) -> None:
        """Ends an upload; one that is gone is no failure."""
        self._unless_gone(lambda: self.ask("abort_multipart_upload", name, UploadId=upload))


_RUNTIME: list[int] = []


def _has_runtime() -> bool:
    """Tells whether obstore works in this process: the threads of its runtime are not in a forked one."""
    if not _RUNTIME:
        _RUNTIME.append(os.getpid())
    return _RUNTIME[0] == os.getpid()


def _begin_sending(request: Any, **_: Any) -> None:
    """Is called by botocore once a request is signed."""
    if isinstance(request.body, FileSlice):
        signed = request.headers["X-Amz-Content-SHA256"]
        request.body.send(signed.decode() if isinstance(signed, bytes) else signed)


# --- failures ---------------------------------------------------------------------------------------------------------


def _failure(error: Exception) -> Exception:
    """Returns a failure of botocore or obstore as ours, or itself where it is none of a request."""
    from botocore import exceptions  # noqa: PLC0415 - heavy
    from botocore.parsers import ResponseParserError  # noqa: PLC0415
    from obstore.exceptions import BaseError  # noqa: PLC0415 - only for S3

    if isinstance(error, exceptions.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        return Refused(status, error.response.get("Error", {}).get("Code", ""))
    if isinstance(error, ResponseParserError):
        return BadAnswer("the server's answer is no XML")
    is_of_obstore = isinstance(error, BaseError | FileNotFoundError | PermissionError)
    if is_of_obstore or isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return _by_text(f"{type(error).__name__} {error}")
    return error


def _by_text(text: str) -> Exception:
    """A failure that its client tells in words, which may repeat what the server wrote."""
    if status := re.search(r"status code: (\d{3})", text):
        code = re.search(r"<Code>(\w+)</Code>", text)
        return Refused(int(status[1]), code[1] if code else "")
    if re.search(r"[Cc]ertificate|CERTIFICATE|UnknownIssuer", text):
        return ssl.SSLCertVerificationError("the certificate is not trusted")
    if "eader missing" in text or "Got invalid" in text:
        return BadAnswer("the server's answer is not one of S3")
    return (
        TimeoutError("timed out")
        if re.search(r"kind: Timeout|TimeoutError|timed out", text)
        else ConnectionError("no connection, or it broke")
    )


# --- answers ----------------------------------------------------------------------------------------------------------


def _checked(page: dict[str, Any]) -> dict[str, Any]:
    """A page of a listing. Raises ``BadAnswer`` for what is none: botocore takes an empty answer for an empty list."""
    if "IsTruncated" not in page:
        raise BadAnswer("the server's listing is not one of S3")
    return page


def _next_objects(page: Any) -> dict[str, Any]:
    return {"ContinuationToken": page.get("NextContinuationToken")}


def _next_uploads(page: Any) -> dict[str, Any]:
    """Returns the marker of the next page by the last upload: servers differ in encoding ``NextKeyMarker``."""
    last = page["Uploads"][-1] if page.get("Uploads") else {}
    return {"KeyMarker": last.get("Key"), "UploadIdMarker": last.get("UploadId")}


def _next_parts(page: Any) -> dict[str, Any]:
    return {"PartNumberMarker": page.get("NextPartNumberMarker")}


def _listed(entry: dict[str, Any], prefix: str, without: int) -> Listed:
    """An object, not validated, for there are thousands. Raises ``BadAnswer`` for what was not asked for."""
    key = entry.get("Key", "")
    if "Size" not in entry:
        raise BadAnswer("the server's listing is not one of S3")
    if not key.startswith(prefix):
        raise BadAnswer("the server's listing names objects that were not asked for")
    modified = entry.get("LastModified")
    return Listed.model_construct(
        key=key[without:],
        size=entry["Size"],
        etag=_etag(entry) or None,
        modified=modified.replace(microsecond=0) if modified else None,
    )


def _etag(answer: Mapping[str, Any]) -> str:
    return _unquoted(answer.get("ETag"))


def _unquoted(etag: str | None) -> str:
    return (etag or "").strip('"')


class _Pages:
    """Watches the pages of one listing: each brings something new, and they end.

    A listing of a million objects is a thousand pages; S3 may leave a page nearly empty, but not all of them.
    """

    _ENTRIES, _PAGES, _FEW = 10_000_000, 200, 10  # at most; pages that need not be full; entries of a page on average

    def __init__(self) -> None:
        self._pages = self._entries = 0
        self._first: set[str] = set()

    def take(self, entries: list[dict[str, Any]]) -> None:
        """Takes in the entries of a page. Raises ``BadAnswer`` where it repeats another one, or there are too many."""
        self._pages += 1
        self._entries += len(entries)
        first = str(entries[0]) if entries else ""
        is_slow = self._pages > self._PAGES and self._entries < self._FEW * self._pages
        if first in self._first or is_slow or self._entries > self._ENTRIES:
            raise BadAnswer(f"the listing has no end ({self._pages} pages, {self._entries} entries)")
        self._first.update([first] if first else [])
