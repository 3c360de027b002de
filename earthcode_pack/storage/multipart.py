"""A large file in parts: several are sent at once, and an upload that was interrupted is resumed."""

from __future__ import annotations

import hashlib
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.errors import UserError
from earthcode_pack.execution.threads import carried
from earthcode_pack.storage.base import Begun
from earthcode_pack.storage.concurrency import cancelled_by, check_cancelled
from earthcode_pack.storage.file_slice import (
    ChangedBytes,
    FileSlice,
    refuse_changed,
    refuse_changed_file,
    unreadable,
)
from earthcode_pack.storage.retry import BadAnswer, Damaged, Refused, is_damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from earthcode_pack.model import PartSums
    from earthcode_pack.storage.s3_client import Part, S3Client

_SENDERS = 16  # threads
_NO_PARTS = (405, 501)  # MethodNotAllowed, NotImplemented


class NoParts(Exception):
    """The server takes nothing in parts."""


class UploadRequest(NamedTuple):
    """A file and what it becomes.

    Attributes:
        local: The file.
        name: Prefix and key of the object.
        size: Bytes.
        sha256: What the file should have, in hex.
        media_type: Of the object.
        acl: The canned ACL of the object; None for the bucket's default.
        compare: The server does not prove that it got what was signed: its ETags must be md5s.
        parts: As of ``Store.put``.

    """

    local: Path
    name: str
    size: int
    sha256: str
    media_type: str
    acl: str | None
    compare: bool
    parts: PartSums | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """Arguments of botocore's client for the object."""
        told = {"ContentType": self.media_type, "Metadata": {"sha256": self.sha256}}
        return {**told, "ACL": self.acl} if self.acl else told

    @contextmanager
    def unless_changed(self) -> Iterator[None]:
        """Raises ``UserError`` where bytes that were refused, or ended too soon, are of a file that was changed."""
        try:
            yield
        except (EOFError, FileNotFoundError, ChangedBytes):
            refuse_changed_file(self.local, self.size, self.sha256)
            raise Damaged("the file was changed while it was sent") from None
        except Refused as error:
            if is_damaged(error):
                refuse_changed_file(self.local, self.size, self.sha256)
            raise
        except OSError as error:
            if isinstance(error, ConnectionError | TimeoutError) or error.errno is None:  # not of the disk
                raise
            raise unreadable(self.local, error) from None


def etag_of_parts(etags: list[str]) -> str | None:
    """Returns the ETag of an object sent in parts that have these, md5(md5s)-N; None where they are no md5s."""
    try:
        md5s = b"".join(bytes.fromhex(etag) for etag in etags)
    except ValueError:
        return None
    return f"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-{len(etags)}"


def put_parts(
    client: S3Client,
    request: UploadRequest,
    part: int,
    begun: Begun | None,
    note: Callable[[Begun], None] | None,
) -> list[str]:
    """Sends a file in parts, and completes the upload.

    Args:
        client: The bucket.
        request: The file.
        part: Bytes of each part of an upload that is opened.
        begun: The open upload to resume, where there is one.
        note: Is told of an upload that is opened.

    Returns:
        The ETags of the parts.

    Raises:
        UserError: The file is not the one that was meant; nothing of it stays at the server.
        NoParts: The server takes none. What else fails leaves the upload open for a run that knows of it.

    """
    there = client.parts(request.name, begun.upload_id) if begun is not None else None
    if begun is None or there is None:
        there, begun = {}, Begun(upload_id=_opened(client, request), part_size=part)
        if note is not None:
            note(begun)
    try:
        etags = _Upload(client, request, begun, there).run()
        client.complete(request.name, begun.upload_id, etags)
    except UserError:
        client.abort(request.name, begun.upload_id)
        raise
    except BaseException:
        if note is None:
            client.abort(request.name, begun.upload_id)
        raise
    return etags


def _opened(client: S3Client, request: UploadRequest) -> str:
    try:
        return client.create(request.name, **request.parameters)
    except Refused as error:
        if error.status in _NO_PARTS or error.code == "InvalidRequest":  # which the PRR's staging area says
            raise NoParts from None
        raise


def _identity(local: Path) -> tuple[int, ...] | None:
    try:
        found = local.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class _Upload:
    """The parts of one file.

    A part whose sum is known is sent only if what is signed has it, and the server proves that it got it. Else one
    thread hashes the file whole, in its order, and others send what it has read.
    """

    def __init__(self, client: S3Client, request: UploadRequest, begun: Begun, there: Mapping[int, Part]) -> None:
        self._client, self._request, self._begun, self._there = client, request, begun, there
        self._known = _known(request, begun)
        self._stop = Event()

    def run(self) -> list[str]:
        """Returns the ETags in order, once every byte is sent and the sha256 of all is the one that was stated.

        A part whose sum is not known is signed as it is when it is sent, after it was read for the sum of all: a file
        that changed in between is seen by its identity.
        """
        local, before = self._request.local, _identity(self._request.local)
        with ThreadPoolExecutor(_SENDERS, "earthcode-pack-parts") as pool:
            try:
                etags = [future.result() for future in self._begin(pool)]
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        if _identity(local) != before:
            refuse_changed_file(local, self._request.size, self._request.sha256)
            raise Damaged("the file was touched while it was sent")
        return etags

    def _begin(self, pool: ThreadPoolExecutor) -> list[Future[str]]:
        """Hands out the parts, and reads the file where their sums are not known.

        Raises ``UserError`` where it is not the one that was meant, and what the sending of a part raised, as soon as
        that is known.
        """
        with cancelled_by(self._stop):
            send = carried(self._send)
        whole, sent, left = hashlib.sha256(), list[Future[str]](), set[Future[str]]()
        is_read = not self._known
        for number in range(1, -(-self._request.size // self._begun.part_size) + 1):
            check_cancelled()
            for block in self._part(number).blocks() if is_read else ():
                whole.update(block)
            sent.append(pool.submit(send, number))
            is_enough = len(left) >= 2 * _SENDERS
            done, left = wait({*left, sent[-1]}, timeout=None if is_enough else 0, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
        wait(left, return_when=FIRST_EXCEPTION)
        if is_read:
            refuse_changed(self._request.local, whole.hexdigest(), self._request.sha256)
        return sent

    def _part(self, number: int) -> FileSlice:
        first = (number - 1) * self._begun.part_size
        size = min(self._begun.part_size, self._request.size - first)
        expected, spend = self._known.get(number), self._client.limit.spend
        return FileSlice(self._request.local, first, size, sha256=expected, spend=spend)

    def _send(self, number: int) -> str:
        if self._is_there(number):
            return self._there[number].etag
        return self._client.persist(lambda: self._attempt(number))

    def _is_there(self, number: int) -> bool:
        there, part = self._there.get(number), self._part(number)
        if there is None or there.size != part.size:
            return False
        md5, sha256 = part.digests("md5", "sha256")
        return there.etag == md5 and self._known.get(number, sha256) == sha256

    def _attempt(self, number: int) -> str:
        """Sends a part; where it is refused, and the file is the one that was meant, its sum was wrong."""
        md5 = self._part(number).digests("md5") if self._request.compare else ()
        where = {"PartNumber": number, "UploadId": self._begun.upload_id}
        try:
            with self._request.unless_changed():
                etag = self._client.send("upload_part", self._request.name, self._part(number), **where)
        except (Damaged, Refused) as error:
            if is_damaged(error) or not isinstance(error, BadAnswer | Refused):
                self._known.pop(number, None)
            raise
        if not etag or (md5 and (etag,) != md5):
            raise Damaged("the ETag of a part is not that of the bytes sent")
        return etag


def _known(request: UploadRequest, begun: Begun) -> dict[int, str]:
    """The sums by part number, where there are any of parts of this size, and as many as the file has."""
    parts = request.parts
    if parts is None or parts.size != begun.part_size or len(parts.sha256) != -(-request.size // parts.size):
        return {}
    return dict(enumerate(parts.sha256, 1))
