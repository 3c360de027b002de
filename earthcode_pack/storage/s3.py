"""S3: every payload signed, every object verified, large files resumed.

A server that refuses a payload which is not the signed one, as Ceph RGW and Amazon's do, proves each byte itself; that
it does is tried once, before the first object is sent. Of one that does not, the md5s in its ETags are compared.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from earthcode_pack.checksums import LARGE, PART, part_size
from earthcode_pack.errors import UserError
from earthcode_pack.execution.waiting import seconds_of
from earthcode_pack.model import PartSums, Receipt
from earthcode_pack.profile.rules import bytes_per_second
from earthcode_pack.storage.blocks import digests, refuse_changed
from earthcode_pack.storage.pace import MOST, Pace
from earthcode_pack.storage.retry import BadAnswer, Damaged, Patience, Refused
from earthcode_pack.storage.s3_access import access
from earthcode_pack.storage.s3_calls import Calls
from earthcode_pack.storage.s3_parts import NoParts, Sending, etag_of_parts, put_parts, unless_changed
from earthcode_pack.storage.s3_trial import Trial
from earthcode_pack.storage.sigv4 import Signer
from earthcode_pack.storage.stores import Begun, Listed, Stored, now
from earthcode_pack.storage.wire import Stretch, Timeouts, Wire
from earthcode_pack.storage.words import outside, safe_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from earthcode_pack.profile.model import StoreSpec
    from earthcode_pack.storage.sigv4 import Keys


logger = logging.getLogger("earthcode_pack")

_NO_ACL = "AccessControlListNotSupported"
_SENDINGS = 3  # of an object that arrives damaged
_LARGEST_PUT = 5 * 2**30  # bytes that one request puts (S3 API)


@dataclass(frozen=True)
class Settings:
    """How to send; the defaults are for real storage, tests have less time."""

    large: int = LARGE
    part: int = PART
    timeouts: Timeouts = field(default_factory=Timeouts)
    patience: Patience = field(default_factory=Patience)
    first_contact: Patience = field(default_factory=lambda: Patience(seconds=20, attempts=5))
    clock: Callable[[], float] = time.time

    @classmethod
    def within(cls, seconds: float) -> Settings:
        """For storage that may fail or say nothing for so long: ``store.wait`` of the profile."""
        first = min(20, seconds)
        return cls(
            timeouts=Timeouts(request=min(Timeouts.request, seconds)),
            patience=Patience.within(seconds, "store.wait"),
            first_contact=Patience(first, attempts=5, setting="store.wait" if first == seconds else ""),
        )


class S3Store:
    """A bucket and prefix. Credentials come from the environment and the AWS files, unless ``keys`` are given."""

    def __init__(self, spec: StoreSpec, *, keys: Keys | None = None, settings: Settings | None = None) -> None:
        assert spec.href is not None
        bucket, _, prefix = spec.href.removeprefix("s3://").partition("/")
        self._bucket, self._prefix = bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        if not bucket:
            raise UserError(f"store.href: {spec.href} names no bucket", "write s3://bucket/prefix")
        self._settings = settings or Settings.within(seconds_of(spec.wait))
        self._rate = bytes_per_second(spec.rate) if spec.rate else None
        self._pace = Pace(rate=self._rate)
        way = access(spec, keys)
        wire = Wire(way.endpoint, way.ca, _paced(self._settings.timeouts, self._rate))
        signer = Signer(way.keys, way.region, self._settings.clock)
        patience, first_contact = self._settings.patience, self._settings.first_contact
        self._calls = Calls(wire, signer, bucket, self._pace, patience, first_contact)
        self._is_public = spec.access == "public"
        self._trial = Trial(self._calls, self._prefix, first_contact, self._settings.clock)

    def __repr__(self) -> str:
        return f"S3Store({self.href('')})"

    @property
    def most(self) -> int:
        """As ``Store.most``: more while the server keeps up."""
        return self._pace.limit

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
        """As ``Store.put``; ``x-amz-meta-sha256`` carries the sha256. Above 256 MB in parts, which are resumed.

        An object that turns out wrong is removed again.
        """
        name, size = self._name(key), _size(local)
        with outside(self.href(key)):
            headers, compare = self._headers(sha256, media_type), not self._trial.is_proving()
            sending = Sending(local, name, size, sha256, headers, compare, None if compare else parts)
            is_large = size > self._settings.large
            etag = self._persist_public(
                lambda sending: self._put_large(sending, begun, note) if is_large else self._put_small(sending), sending
            )
        return Receipt(key=key, size=size, sha256=sha256, etag=etag, verified_at=now())

    def _put_small(self, sending: Sending) -> str:
        """One request; its ETag. What turns out damaged is sent again, as far as patience goes."""
        for _ in range(_SENDINGS - 1):
            with suppress(Damaged):
                return self._put_once(sending)
        return self._put_once(sending)

    def _put_once(self, sending: Sending) -> str:
        etag, md5 = self._calls.persist(lambda: self._attempt(sending))
        return etag if md5 in (None, etag) else self._confirm(sending, None)

    def _attempt(self, sending: Sending) -> tuple[str, str | None]:
        """The ETag and, of a server that proves nothing itself, the md5 that it should be."""
        stretch, md5 = Stretch(sending.local, 0, sending.size), None
        if sending.compare:
            sha256, md5 = digests(stretch, "sha256", "md5")
            refuse_changed(sending.local, sha256, sending.sha256)
        with unless_changed(sending):
            answer = self._calls.put(sending.name, stretch, sending.sha256, headers=sending.headers)
        return answer.headers.get("etag", "").strip('"'), md5

    def _put_large(self, sending: Sending, begun: Begun | None, note: Callable[[Begun], None] | None) -> str:
        """In parts; or in one request, where the server knows none."""
        part = part_size(sending.size, self._settings.part)
        try:
            etags = put_parts(self._calls, sending, part, begun, note)
        except NoParts:
            if sending.size > _LARGEST_PUT:
                raise Refused(501, "NotImplemented") from None
            logger.warning("%s takes nothing in parts: a file that is interrupted begins anew", self.href(""))
            return self._put_small(sending)
        return self._confirm(sending, etag_of_parts(etags))

    def _confirm(self, sending: Sending, etag: str | None) -> str:
        """HEAD; where the ETag is not made of md5s, as under some encryption, the bytes are read back.

        Raises ``Damaged``, once the object is removed, where it is not what was sent.
        """
        found = self._calls.head(sending.name) or {}
        told = found.get("etag", "").strip('"')
        same = bool(found) and (_length(found), found.get("x-amz-meta-sha256")) == (sending.size, sending.sha256)
        if same and (told == etag or self._digest(sending.name, sending.size) == sending.sha256):
            return told
        self._calls.delete([sending.name])
        raise Damaged("what is stored is not what was sent")

    def _headers(self, sha256: str, media_type: str) -> dict[str, str]:
        headers = {"content-type": media_type, "x-amz-meta-sha256": sha256}
        return {**headers, "x-amz-acl": "public-read"} if self._is_public else headers

    def _persist_public(self, put: Callable[[Sending], str], sending: Sending) -> str:
        """Puts; a bucket that takes no ACLs is opened by its policy, and gets none."""
        try:
            return put(sending)
        except Refused as error:
            if error.code != _NO_ACL or "x-amz-acl" not in sending.headers:
                raise
            if self._is_public:
                logger.warning("s3://%s takes no ACLs: only its policy can make objects public", self._bucket)
            self._is_public = False
            headers = {name: value for name, value in sending.headers.items() if name != "x-amz-acl"}
            return put(sending._replace(headers=headers))

    def abort(self, key: str, begun: Begun) -> None:
        """As ``Store.abort``."""
        with outside(self.href(key)):
            self._calls.abort(self._name(key), begun.upload_id)

    def open_uploads(self, folder: str = "") -> Iterator[tuple[str, str]]:
        """As ``Store.open_uploads``."""
        with outside(self.href(folder)):
            for name, upload in self._calls.uploads(self._prefix + folder):
                yield name.removeprefix(self._prefix), upload

    def delete(self, keys: Iterable[str]) -> None:
        """As ``Store.delete``."""
        with outside(self.href("")):
            self._calls.delete(self._name(key) for key in keys)

    def preflight(self) -> None:
        """As ``Store.preflight``: in some twenty seconds it is clear whether the storage can be reached at all."""
        with outside(self.href("")):
            self._trial.run(self.href(""))

    # --- reading ------------------------------------------------------------------------------------------------------

    def head(self, key: str) -> Stored | None:
        """As ``Reader.head``; the sha256 is the one stated when the object was put."""
        with outside(self.href(key)):
            found = self._calls.head(self._name(key))
            if found is None:
                return None
            size, etag = _length(found), found.get("etag", "").strip('"') or None
        return Stored(key=key, size=size, sha256=found.get("x-amz-meta-sha256"), etag=etag)

    def read(self, key: str) -> bytes | None:
        """As ``Reader.read``."""
        parts: list[bytes] = []
        with outside(self.href(key)):
            there = self._calls.get(self._name(key), parts.append, parts.clear)
        return b"".join(parts) if there else None

    def sha256(self, key: str) -> str | None:
        """As ``Reader.sha256``."""
        with outside(self.href(key)):
            name = self._name(key)
            found = self._calls.head(name)
            return None if found is None else self._digest(name, _length(found))

    def _digest(self, name: str, size: int) -> str | None:
        digest = hashlib.sha256()

        def begin() -> None:
            nonlocal digest
            digest = hashlib.sha256()

        def take(data: bytes) -> None:
            digest.update(data)

        there = self._calls.get(name, take, begin, size)
        return digest.hexdigest() if there else None

    def keys(self, folder: str = "") -> Iterator[str]:
        """As ``Reader.keys``."""
        return (listed.key for listed in self.listing(folder))

    def listing(self, folder: str = "") -> Iterator[Listed]:
        """As ``Store.listing``."""
        with outside(self.href(folder)):
            yield from self._calls.listing(self._prefix + folder, len(self._prefix))

    def href(self, key: str) -> str:
        """``s3://bucket/prefix/key``."""
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def _name(self, key: str) -> str:
        return self._prefix + safe_key(key)


def _paced(timeouts: Timeouts, rate: float | None) -> Timeouts:
    """With the time that requests take which share a rate."""
    return timeouts if rate is None else replace(timeouts, slowest=min(timeouts.slowest, rate / (2 * MOST)))


def _length(headers: Mapping[str, str]) -> int:
    """Bytes of an object. Raises ``BadAnswer`` where HEAD does not tell: without it objects cannot be told apart."""
    told = headers.get("content-length", "")
    if not told.isdigit():
        raise BadAnswer("a HEAD of an object states no size (Content-Length)")
    return int(told)


def _size(local: Path) -> int:
    """Bytes; 0 of a file that is gone, which whoever reads it tells."""
    try:
        return os.stat(local).st_size  # noqa: PTH116 - half the time of Path.stat
    except FileNotFoundError:
        return 0
