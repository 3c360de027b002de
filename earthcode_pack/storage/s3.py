"""S3: every payload signed, every object verified, large files resumed.

A server that refuses a payload which is not the signed one, as Ceph RGW and Amazon's do, proves each byte itself; that
it does is tried once, before the first object is sent. Of one that does not, the md5s in its ETags are compared.
"""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from earthcode_pack.checksums import LARGE, PART, part_size
from earthcode_pack.errors import UserError
from earthcode_pack.execution.waiting import seconds_of
from earthcode_pack.model import PartSums, Receipt
from earthcode_pack.profile.field_types import bytes_per_second
from earthcode_pack.storage.base import Begun, Listed, Stored, now
from earthcode_pack.storage.concurrency import MOST, ConcurrencyLimit
from earthcode_pack.storage.connection import Timeouts
from earthcode_pack.storage.credentials import access
from earthcode_pack.storage.error_messages import outside, safe_key
from earthcode_pack.storage.file_slice import FileSlice, refuse_changed, size_of
from earthcode_pack.storage.multipart import NoParts, UploadRequest, etag_of_parts, put_parts
from earthcode_pack.storage.preflight import Preflight
from earthcode_pack.storage.retry import BadAnswer, Damaged, Refused, RetryPolicy
from earthcode_pack.storage.s3_client import S3Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from earthcode_pack.profile.model import StoreSpec
    from earthcode_pack.storage.credentials import Keys

logger = logging.getLogger("earthcode_pack")

_NO_ACL = "AccessControlListNotSupported"
_ATTEMPTS = 3  # to put an object that arrives damaged
_SMALL = 4 * 2**20  # bytes; what is larger is read from its file while it is sent
_LARGEST_PUT = 5 * 2**30  # bytes that one request puts (S3 API)


@dataclass(frozen=True)
class Settings:
    """Sizes, time-outs and retries of an upload; the defaults are for real storage, tests have less time."""

    large: int = LARGE
    part: int = PART
    timeouts: Timeouts = field(default_factory=Timeouts)
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    first_contact: RetryPolicy = field(default_factory=lambda: RetryPolicy(seconds=20, attempts=5))
    clock: Callable[[], float] = time.time

    @classmethod
    def within(cls, seconds: float) -> Settings:
        """Returns those of storage that may fail or say nothing for so long: ``store.wait`` of the profile."""
        first = min(20, seconds)
        return cls(
            timeouts=Timeouts(request=min(Timeouts.request, seconds)),
            policy=RetryPolicy.within(seconds, "store.wait"),
            first_contact=RetryPolicy(first, attempts=5, setting="store.wait" if first == seconds else ""),
        )


class S3Store:
    """A bucket and prefix. Credentials come from the environment and the AWS files, unless ``keys`` are given."""

    max_concurrency = MOST

    def __init__(self, spec: StoreSpec, *, keys: Keys | None = None, settings: Settings | None = None) -> None:
        assert spec.href is not None
        bucket, _, prefix = spec.href.removeprefix("s3://").partition("/")
        self._bucket, self._prefix = bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        if not bucket:
            raise UserError(f"store.href: {spec.href} names no bucket", "write s3://bucket/prefix")
        self._settings = settings or Settings.within(seconds_of(spec.wait))
        rate = bytes_per_second(spec.rate) if spec.rate else None
        self._limit = ConcurrencyLimit(rate=rate)
        settings = self._settings
        timeouts = _slowed(settings.timeouts, rate)
        self._client = S3Client(
            access(spec, keys),
            bucket,
            self._limit,
            timeouts=timeouts,
            policy=settings.policy,
            first_contact=settings.first_contact,
        )
        self._is_public = spec.access == "public"
        self._preflight = Preflight(self._client, self._prefix, settings.first_contact, settings.clock)

    def __repr__(self) -> str:
        return f"S3Store({self.href('')})"

    # --- putting ------------------------------------------------------------------------------------------------------

    def put(
        self,
        local: Path,
        key: str,
        *,
        sha256: str,
        media_type: str,
        begun: Begun | None = None,
        note: Callable[[Begun], None] | None = None,
        parts: PartSums | None = None,
    ) -> Receipt:
        """Puts a file (``Store.put``); above 256 MB in parts, which are resumed.

        ``x-amz-meta-sha256`` carries the sha256. An object that turns out wrong is removed again.
        """
        name, size = self._name(key), size_of(local)
        with outside(self.href(key)):
            compare = not self._preflight.is_proving()
            acl = "public-read" if self._is_public else None
            request = UploadRequest(local, name, size, sha256, media_type, acl, compare, None if compare else parts)
            is_large = size > self._settings.large
            etag = self._retried_without_acl(
                lambda request: self._put_large(request, begun, note) if is_large else self._put_whole(request), request
            )
        return Receipt(key=key, size=size, sha256=sha256, etag=etag, verified_at=now())

    def _put_whole(self, request: UploadRequest) -> str:
        """Puts a file in one request; returns its ETag. What turns out damaged is sent again, a few times."""
        for _ in range(_ATTEMPTS - 1):
            with suppress(Damaged):
                return self._put_once(request)
        return self._put_once(request)

    def _put_once(self, request: UploadRequest) -> str:
        is_small = request.size <= _SMALL and request.acl is None
        etag, md5 = self._client.persist(partial(self._put_bytes if is_small else self._put_file, request))
        return etag if md5 in (None, etag) else self._confirm(request, None)

    def _put_bytes(self, request: UploadRequest) -> tuple[str, str | None]:
        """Puts a small file; returns the ETag and, of a server that proves nothing itself, the md5 that it should be.

        obstore signs a hash of the bytes that it is given, so they are compared with what they should be before.
        """
        blocks = list(FileSlice(request.local, 0, request.size).blocks())
        data = b"".join(blocks)
        refuse_changed(request.local, hashlib.sha256(data).hexdigest(), request.sha256)
        for block in blocks:
            self._limit.spend(len(block))
        with request.unless_changed():
            etag = self._client.put_small(request.name, data, request.media_type, {"sha256": request.sha256})
        return etag, hashlib.md5(data, usedforsecurity=False).hexdigest() if request.compare else None

    def _put_file(self, request: UploadRequest) -> tuple[str, str | None]:
        """Puts a file of any size, as ``_put_bytes``."""
        md5 = FileSlice(request.local, 0, request.size).digests("md5")[0] if request.compare else None
        body = FileSlice(request.local, 0, request.size, sha256=request.sha256, spend=self._limit.spend)
        with request.unless_changed():
            return self._client.send("put_object", request.name, body, **request.parameters), md5

    def _put_large(self, request: UploadRequest, begun: Begun | None, note: Callable[[Begun], None] | None) -> str:
        """Puts a file in parts; or in one request, where the server knows none."""
        part = part_size(request.size, self._settings.part)
        try:
            etags = put_parts(self._client, request, part, begun, note)
        except NoParts:
            if request.size > _LARGEST_PUT:
                raise Refused(501, "NotImplemented") from None
            logger.warning("%s takes nothing in parts: a file that is interrupted begins anew", self.href(""))
            return self._put_whole(request)
        return self._confirm(request, etag_of_parts(etags))

    def _confirm(self, request: UploadRequest, etag: str | None) -> str:
        """HEAD; where the ETag is not made of md5s, as under some encryption, the bytes are read back.

        Raises ``Damaged``, once the object is removed, where it is not what was sent.
        """
        stored = self._stored(request.name)
        if stored is not None and (stored.size, stored.sha256) == (request.size, request.sha256):
            found = stored.etag or ""
            if found == etag or self._digest(request.name, request.size) == request.sha256:
                return found
        self._client.delete([request.name])
        raise Damaged("what is stored is not what was sent")

    def _retried_without_acl(self, put: Callable[[UploadRequest], str], request: UploadRequest) -> str:
        """Puts; a bucket that takes no ACLs is opened by its policy, and gets none."""
        try:
            return put(request)
        except Refused as error:
            if error.code != _NO_ACL or request.acl is None:
                raise
            if self._is_public:
                logger.warning("s3://%s takes no ACLs: only its policy can make objects public", self._bucket)
            self._is_public = False
            return put(request._replace(acl=None))

    def abort(self, key: str, begun: Begun) -> None:
        """See ``Store.abort``."""
        with outside(self.href(key)):
            self._client.abort(self._name(key), begun.upload_id)

    def open_uploads(self, folder: str = "") -> Iterator[tuple[str, str]]:
        """See ``Store.open_uploads``."""
        with outside(self.href(folder)):
            for name, upload in self._client.uploads(self._prefix + folder):
                yield name.removeprefix(self._prefix), upload

    def delete(self, keys: Iterable[str]) -> None:
        """See ``Store.delete``."""
        with outside(self.href("")):
            self._client.delete(self._name(key) for key in keys)

    def preflight(self) -> None:
        """See ``Store.preflight``: in some twenty seconds it is clear whether the storage can be reached at all."""
        with outside(self.href("")):
            self._preflight.run(self.href(""))

    # --- reading ------------------------------------------------------------------------------------------------------

    def head(self, key: str) -> Stored | None:
        """See ``Reader.head``; the sha256 is the one stated when the object was put."""
        with outside(self.href(key)):
            found = self._stored(self._name(key))
        return None if found is None else found.model_copy(update={"key": key})

    def _stored(self, name: str) -> Stored | None:
        """The answer of HEAD. Raises ``BadAnswer`` where that is no size: without it objects cannot be told apart."""
        found = self._client.head(name)
        if found is None:
            return None
        if "ContentLength" not in found:
            raise BadAnswer("a HEAD of an object states no size (Content-Length)")
        etag = str(found.get("ETag", "")).strip('"') or None
        return Stored(key=name, size=found["ContentLength"], sha256=found.get("Metadata", {}).get("sha256"), etag=etag)

    def read(self, key: str) -> bytes | None:
        """See ``Reader.read``."""
        parts: list[bytes] = []
        with outside(self.href(key)):
            there = self._client.get(self._name(key), parts.append, parts.clear)
        return b"".join(parts) if there else None

    def sha256(self, key: str) -> str | None:
        """See ``Reader.sha256``."""
        with outside(self.href(key)):
            name = self._name(key)
            found = self._stored(name)
            return None if found is None else self._digest(name, found.size)

    def _digest(self, name: str, size: int) -> str | None:
        digest = hashlib.sha256()

        def begin() -> None:
            nonlocal digest
            digest = hashlib.sha256()

        def take(data: bytes) -> None:
            digest.update(data)

        there = self._client.get(name, take, begin, size)
        return digest.hexdigest() if there else None

    def keys(self, folder: str = "") -> Iterator[str]:
        """See ``Reader.keys``."""
        return (listed.key for listed in self.listing(folder))

    def listing(self, folder: str = "") -> Iterator[Listed]:
        """See ``Store.listing``."""
        with outside(self.href(folder)):
            yield from self._client.listing(self._prefix + folder, len(self._prefix))

    def href(self, key: str) -> str:
        """``s3://bucket/prefix/key``."""
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def _name(self, key: str) -> str:
        return self._prefix + safe_key(key)


def _slowed(timeouts: Timeouts, rate: float | None) -> Timeouts:
    """Returns timeouts with the time added that requests take which share a rate."""
    return timeouts if rate is None else replace(timeouts, slowest=min(timeouts.slowest, rate / (2 * MOST)))
