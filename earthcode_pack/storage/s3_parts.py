"""A large file in parts: sent at once, and gone on with where a run was killed."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

from earthcode_pack.errors import UserError
from earthcode_pack.execution.threads import carried
from earthcode_pack.storage.blocks import digests, read, refuse_changed, refuse_changed_file, unreadable
from earthcode_pack.storage.retry import Damaged, Refused, is_damaged
from earthcode_pack.storage.stopping import go_on, until
from earthcode_pack.storage.stores import Begun
from earthcode_pack.storage.wire import Stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from earthcode_pack.model import PartSums
    from earthcode_pack.storage.s3_calls import Calls, Part

_SENDERS = 16  # threads
_NO_PARTS = (405, 501)  # MethodNotAllowed, NotImplemented


class NoParts(Exception):
    """The server takes nothing in parts."""


class Sending(NamedTuple):
    """A file and what it becomes.

    ``compare`` tells that the server proves nothing itself: its ETags must be md5s. ``parts`` are as of ``Store.put``.
    """

    local: Path
    name: str
    size: int
    sha256: str
    headers: Mapping[str, str]
    compare: bool
    parts: PartSums | None = None


def etag_of_parts(etags: list[str]) -> str | None:
    """The ETag of an object sent in parts that have these: md5(md5s)-N; None where they are no md5s."""
    try:
        md5s = b"".join(bytes.fromhex(etag) for etag in etags)
    except ValueError:
        return None
    return f"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-{len(etags)}"


def put_parts(
    calls: Calls, sending: Sending, part: int, begun: Begun | None, note: Callable[[Begun], None] | None
) -> list[str]:
    """Sends a file in parts of ``part`` bytes, or of those of ``begun``, and completes it; the ETags of the parts.

    Raises ``UserError`` where the file is not the one that was meant; then nothing of it stays at the server. What
    else fails leaves the upload open for a run that knows of it by ``note`` or ``begun``. ``NoParts`` where the server
    takes none.
    """
    there = calls.parts(sending.name, begun.upload_id) if begun is not None else None
    if begun is None or there is None:
        there, begun = {}, Begun(upload_id=_opened(calls, sending), part_size=part)
        if note is not None:
            note(begun)
    try:
        etags = _Upload(calls, sending, begun, there).run()
        calls.complete(sending.name, begun.upload_id, etags)
    except UserError:
        calls.abort(sending.name, begun.upload_id)
        raise
    except BaseException:
        if note is None:
            calls.abort(sending.name, begun.upload_id)
        raise
    return etags


def _identity(local: Path) -> tuple[int, ...] | None:
    try:
        found = local.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@contextmanager
def unless_changed(sending: Sending) -> Iterator[None]:
    """A body that the server refuses, or that ended before, may be of a file that was changed: ``UserError`` then."""
    try:
        yield
    except (EOFError, FileNotFoundError):
        refuse_changed_file(sending.local, sending.size, sending.sha256)
        raise Damaged("the file was changed while it was sent") from None
    except OSError as error:
        if error.filename is None:  # the line's, not the disk's
            raise
        raise unreadable(sending.local, error) from None
    except Refused as error:
        if is_damaged(error):
            refuse_changed_file(sending.local, sending.size, sending.sha256)
        raise


def _opened(calls: Calls, sending: Sending) -> str:
    try:
        return calls.create(sending.name, sending.headers)
    except Refused as error:
        if error.status in _NO_PARTS or error.code == "InvalidRequest":  # which the PRR's staging area says
            raise NoParts from None
        raise


class _Upload:
    """The parts of one file.

    Where their sums are known they are sent as they lie: the server refuses a part that has another one. Else one
    thread hashes the file whole, in its order, and others hash and send what it has read.
    """

    def __init__(self, calls: Calls, sending: Sending, begun: Begun, there: Mapping[int, Part]) -> None:
        self._calls, self._sending, self._begun, self._there = calls, sending, begun, there
        self._known = _known(sending, begun)
        self._sent: list[Future[str]] = []
        self._stop = Event()

    def run(self) -> list[str]:
        """The ETags in order, once every byte is sent and the sha256 of all is the one that was stated.

        A part whose sum is not known is signed as it is when it is sent, after it was read for the sum of all: a file
        that changed in between is seen by its identity.
        """
        local, before = self._sending.local, _identity(self._sending.local)
        with ThreadPoolExecutor(_SENDERS, "earthcode-pack-parts") as pool:
            try:
                self._begin(pool)
                etags = [future.result() for future in self._sent]
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        if _identity(local) != before:
            refuse_changed_file(local, self._sending.size, self._sending.sha256)
            raise Damaged("the file was touched while it was sent")
        return etags

    def _begin(self, pool: ThreadPoolExecutor) -> None:
        """Hands out the parts, and reads the file where their sums are not known.

        Raises ``UserError`` where it is not the one that was meant, and what the sending of a part raised, as soon as
        that is known.
        """
        with until(self._stop):
            send = carried(self._send)
        whole, left, is_read = hashlib.sha256(), deque[Future[str]](), not self._known
        for number, stretch in self._plan():
            go_on()
            with self._room(stretch):
                for block in read(stretch) if is_read else ():
                    whole.update(block)
                future = pool.submit(send, (number, stretch))
            future.add_done_callback(partial(self._give_unsent, stretch))
            self._sent.append(future)
            left.append(future)
            while left and left[0].done():
                left.popleft().result()
        wait(left, return_when=FIRST_EXCEPTION)
        if is_read:
            refuse_changed(self._sending.local, whole.hexdigest(), self._sending.sha256)

    def _give_unsent(self, stretch: Stretch, future: Future[str]) -> None:
        if future.cancelled():
            self._calls.pace.give(stretch.size)

    @contextmanager
    def _room(self, stretch: Stretch) -> Iterator[None]:
        """Taken, and given back by who sends; or here, where it does not come so far."""
        self._calls.pace.take(stretch.size)
        try:
            yield
        except BaseException:
            self._calls.pace.give(stretch.size)
            raise

    def _plan(self) -> Iterator[tuple[int, Stretch]]:
        """Number and bytes of each part."""
        size, part = self._sending.size, self._begun.part_size
        for number, first in enumerate(range(0, size, part), 1):
            yield number, Stretch(self._sending.local, first, min(part, size - first))

    def _send(self, part: tuple[int, Stretch]) -> str:
        number, stretch = part
        try:
            if self._is_there(number, stretch):
                return self._there[number].etag
            return self._calls.persist(lambda: self._attempt(number, stretch))
        finally:
            self._calls.pace.give(stretch.size)

    def _is_there(self, number: int, stretch: Stretch) -> bool:
        there = self._there.get(number)
        if there is None or there.size != stretch.size:
            return False
        md5, sha256 = digests(stretch, "md5", "sha256")
        return there.etag == md5 and self._known.get(number, sha256) == sha256

    def _attempt(self, number: int, stretch: Stretch) -> str:
        """Sent by the kernel; hashed before where that is needed, while it is in memory from the reading of all."""
        kinds = ("sha256", "md5") if self._sending.compare else ("sha256",)
        sha256, *md5 = (self._known[number],) if number in self._known else digests(stretch, *kinds)
        query = {"partNumber": str(number), "uploadId": self._begun.upload_id}
        with self._doubting(number), unless_changed(self._sending):
            answer = self._calls.put(self._sending.name, stretch, sha256, query=query)
        etag = answer.headers.get("etag", "").strip('"')
        if not etag or (md5 and [etag] != md5):
            raise Damaged("the ETag of a part is not that of the bytes sent")
        return etag

    @contextmanager
    def _doubting(self, number: int) -> Iterator[None]:
        """A part that is refused, though the file is the one that was meant, is hashed the next time."""
        try:
            yield
        except Refused as error:
            if is_damaged(error):
                self._known.pop(number, None)
            raise


def _known(sending: Sending, begun: Begun) -> dict[int, str]:
    """The sums by part number, where there are any of parts of this size, and as many as the file has."""
    parts = sending.parts
    if parts is None or parts.size != begun.part_size or len(parts.sha256) != -(-sending.size // parts.size):
        return {}
    return dict(enumerate(parts.sha256, 1))
