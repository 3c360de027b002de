"""What is tried before anything is sent: whether one may write and delete, and whether the server proves bytes."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from earthcode_pack.errors import OutsideError
from earthcode_pack.storage.retry import Patience, Refused, is_damaged, persist
from earthcode_pack.storage.s3_client import date_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.storage.s3_client import Calls

T = TypeVar("T")

_PROBE = b"earthcode-pack"
_SKEW = 15 * 60  # s; S3 refuses signatures that are older (RequestTimeTooSkewed)
_ODD = ("400", "InvalidRequest", "InvalidArgument")  # a refusal that does not say that it was for the bytes


class Trial:
    """Of one bucket and prefix. ``patience`` is less than with an upload, ``clock`` gives Unix time."""

    def __init__(self, calls: Calls, prefix: str, patience: Patience, clock: Callable[[], float]) -> None:
        self._calls, self._prefix, self._patience, self._clock = calls, prefix, patience, clock
        self._proves: bool | None = None
        self._trying = Lock()

    def run(self, where: str) -> None:
        """Puts, reads and deletes a tiny object, and looks at the clock. Raises what stands in the way."""
        name = self._new_name()
        answer = self._soon(lambda: self._put(name, _PROBE))
        try:
            self._look_at_clock(date_of(answer))
            self.is_proving()
            if self._soon(lambda: self._read(name)) != _PROBE:
                raise OutsideError(f"{where}: what is read there is not what was put", "check the storage")
        finally:
            self._soon(lambda: self._calls.send("DELETE", name))

    def is_proving(self) -> bool:
        """Whether the server refuses a payload that is not the signed one: it is sent one, once."""
        with self._trying:
            if self._proves is None:
                self._proves = self._is_refused(self._new_name())
        return self._proves

    def _is_refused(self, name: str) -> bool:
        try:
            self._soon(lambda: _unless_answered(lambda: self._put(name, b"another")))
        except _Answered as answer:
            return answer.proves
        self._calls.delete([name])
        return False

    def _put(self, name: str, signed: bytes) -> dict[str, str]:
        digest = hashlib.sha256(signed).hexdigest()
        return self._calls.send("PUT", name, body=(_PROBE,), length=len(_PROBE), sha256=digest).headers

    def _read(self, name: str) -> bytes:
        parts: list[bytes] = []
        self._calls.send("GET", name, take=parts.append)
        return b"".join(parts)

    def _soon(self, attempt: Callable[[], T]) -> T:
        return persist(attempt, self._patience, what=self._calls.place)

    def _look_at_clock(self, there: datetime | None) -> None:
        here = datetime.fromtimestamp(self._clock(), UTC)
        if there is not None and abs((here - there).total_seconds()) > _SKEW:
            raise Refused(403, "RequestTimeTooSkewed")

    def _new_name(self) -> str:
        return f"{self._prefix}.earthcode-pack-{uuid.uuid4().hex}"


class _Answered(Exception):
    """A refusal that is the answer to a question, and no reason to ask again."""

    def __init__(self, proves: bool) -> None:
        super().__init__()
        self.proves = proves


def _unless_answered(attempt: Callable[[], object]) -> None:
    try:
        attempt()
    except Refused as error:
        if is_damaged(error):
            raise _Answered(True) from None
        if error.code in _ODD:
            raise _Answered(False) from None
        raise
