"""Preflight of an upload: tries whether one may write and delete, and whether the server proves bytes."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

from earthcode_pack.errors import OutsideError
from earthcode_pack.storage.retry import Refused, RetryPolicy, is_damaged, persist

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.storage.s3_client import S3Client

_PROBE = b"earthcode-pack"
# The same names each time: what a killed run left is overwritten and removed by the next.
_NAME, _CHANGED_NAME = ".earthcode-pack-probe", ".earthcode-pack-changed-probe"
_TIMES = 5  # that a probe is read; another run with the same prefix may remove it before
_SKEW = 15 * 60  # s; S3 refuses signatures that are older (RequestTimeTooSkewed)
_ODD = ("400", "InvalidRequest", "InvalidArgument")  # a refusal that does not say that it was for the bytes


class Preflight:
    """Tries one bucket and prefix, with fewer retries than an upload; ``clock`` gives Unix time."""

    def __init__(self, client: S3Client, prefix: str, policy: RetryPolicy, clock: Callable[[], float]) -> None:
        self._client, self._prefix, self._policy, self._clock = client, prefix, policy, clock
        self._proves: bool | None = None
        self._trying = Lock()

    def run(self, where: str) -> None:
        """Puts, reads and deletes a tiny object, and looks at the clock. Raises what stands in the way."""
        name = self._prefix + _NAME
        answer = self._put(name)
        try:
            self._look_at_clock(answer)
            self.is_proving()
            tries = 1
            while (read := self._soon(lambda: self._read(name))) is None and tries < _TIMES:
                self._put(name)
                tries += 1
            if read != _PROBE:
                raise OutsideError(f"{where}: what is read there is not what was put", "check the storage")
        finally:
            self._soon(lambda: self._client.ask("delete_object", name))

    def _put(self, name: str) -> dict[str, Any]:
        return self._soon(lambda: self._client.ask("put_object", name, Body=_PROBE))

    def is_proving(self) -> bool:
        """Tells whether the server refuses a payload that is not the signed one: it is sent one, once."""
        with self._trying:
            if self._proves is None:
                self._proves = self._is_refused(self._prefix + _CHANGED_NAME)
        return self._proves

    def _is_refused(self, name: str) -> bool:
        try:
            self._soon(lambda: self._send_another(name))
        except _Answered as answer:
            return answer.proves
        self._client.delete([name])
        return False

    def _send_another(self, name: str) -> None:
        try:
            self._client.ask("put_object", name, Body=_Changing(_PROBE))
        except Refused as error:
            if is_damaged(error):
                raise _Answered(True) from None
            if error.code in _ODD:
                raise _Answered(False) from None
            raise

    def _read(self, name: str) -> bytes | None:
        """Reads an object; None where there is none."""
        parts: list[bytes] = []
        try:
            self._client.read(name, parts.append)
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return b"".join(parts)

    def _soon[T](self, attempt: Callable[[], T]) -> T:
        return persist(attempt, self._policy, what=self._client.place)

    def _look_at_clock(self, answer: dict[str, Any]) -> None:
        stated = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            there = parsedate_to_datetime(stated)
        except ValueError:
            return
        if abs((datetime.fromtimestamp(self._clock(), UTC) - there).total_seconds()) > _SKEW:
            raise Refused(403, "RequestTimeTooSkewed")


class _Changing(io.BytesIO):
    """A body that is another one once it was read, which is to be signed."""

    def read(self, size: int | None = -1) -> bytes:
        """Returns what is there, and changes it."""
        data = super().read(size)
        if data:
            self.getbuffer()[:] = _PROBE[::-1]
        return data


class _Answered(Exception):
    """A refusal that is the answer to a question, and no reason to ask again."""

    def __init__(self, proves: bool) -> None:
        super().__init__()
        self.proves = proves
