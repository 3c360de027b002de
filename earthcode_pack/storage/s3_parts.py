"""A large file in parts: sent at once, and gone on with where a run was killed."""

from __future__ import annotations

import hashlib
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple

from earthcode_pack.errors import UserError
from earthcode_pack.storage.blocks import STEP, refuse_changed
from earthcode_pack.storage.retry import Damaged
from earthcode_pack.storage.stores import Begun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from io import FileIO
    from pathlib import Path

    from earthcode_pack.storage.s3_calls import Calls, Part

PART = 16 * 2**20  # bytes
_PARTS = 10_000  # an upload holds no more (S3 API)
_SENDERS = 16  # threads


class Sending(NamedTuple):
    """A file and what it becomes. ``compare`` tells that the server proves nothing itself: its ETags must be md5s."""

    local: Path
    name: str
    size: int
    sha256: str
    headers: Mapping[str, str]
    compare: bool


def part_size(size: int, least: int = PART) -> int:
    """Bytes of each part of an object of ``size`` bytes: 16 MiB, or as many MiB as keep it within 10,000 parts.

    >>> part_size(0) // 2**20, part_size(10**12) // 2**20
    (16, 96)
    """
    return max(least, -(-size // _PARTS // 2**20) * 2**20)


def etag_of_parts(etags: list[str]) -> str:
    """The ETag of an object sent in parts that have these: md5(md5s)-N."""
    md5s = b"".join(bytes.fromhex(etag) for etag in etags)
    return f"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-{len(etags)}"


def put_parts(
    calls: Calls, sending: Sending, part: int, begun: Begun | None, note: Callable[[Begun], None] | None
) -> list[str]:
    """Sends a file in parts of ``part`` bytes, or of those of ``begun``, and completes it; the ETags of the parts.

    Raises ``UserError`` where the file is not the one that was meant; then nothing of it stays at the server. What
    else fails leaves the upload open for a run that knows of it by ``note`` or ``begun``.
    """
    there = calls.parts(sending.name, begun.upload_id) if begun is not None else None
    if begun is None or there is None:
        there, begun = {}, Begun(upload_id=calls.create(sending.name, sending.headers), part_size=part)
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


class _Upload:
    """The parts of one file: read and hashed in order by one thread, sent by others."""

    def __init__(self, calls: Calls, sending: Sending, begun: Begun, there: Mapping[int, Part]) -> None:
        self._calls, self._sending, self._begun, self._there = calls, sending, begun, there
        self._buffers: list[bytearray] = []
        self._sent: dict[int, Future[str]] = {}
        self._etags: dict[int, str] = {}

    def run(self) -> list[str]:
        """The ETags in order, once every byte is sent and the sha256 of all is the one that was stated."""
        with ThreadPoolExecutor(_SENDERS, "earthcode-pack-parts") as pool:
            try:
                digest = self._read(pool)
                refuse_changed(self._sending.local, digest, self._sending.sha256)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
            self._etags |= {number: future.result() for number, future in self._sent.items()}
        return [self._etags[number] for number in sorted(self._etags)]

    def _read(self, pool: ThreadPoolExecutor) -> str:
        """The sha256 of all; raises what the sending of a part raised, as soon as that is known."""
        whole = hashlib.sha256()
        try:
            with self._sending.local.open("rb", buffering=0) as file:
                for number, size in self._plan():
                    self._offer(pool, number, self._block(file, size, whole))
        except FileNotFoundError:
            refuse_changed(self._sending.local, "it is gone", self._sending.sha256)
        wait(self._sent.values(), return_when="FIRST_EXCEPTION")
        return whole.hexdigest()

    def _plan(self) -> Iterator[tuple[int, int]]:
        """Number and size of each part."""
        size, part = self._sending.size, self._begun.part_size
        for number, first in enumerate(range(0, size, part), 1):
            yield number, min(part, size - first)

    def _block(self, file: FileIO, size: int, whole: hashlib._Hash) -> memoryview:
        """The next bytes, in memory that is used again."""
        self._calls.pace.take(size)
        block = memoryview(self._buffers.pop() if self._buffers else bytearray(self._begun.part_size))[:size]
        for first in range(0, size, STEP):
            step = block[first : first + STEP]
            if file.readinto(step) != len(step):
                refuse_changed(self._sending.local, "another size", self._sending.sha256)
            whole.update(step)
        return block

    def _offer(self, pool: ThreadPoolExecutor, number: int, block: memoryview) -> None:
        """Sends a part unless it is there; raises what another one raised."""
        there = self._there.get(number)
        if there is not None and (there.size, there.etag) == (len(block), _md5(block)):
            self._etags[number] = there.etag
            self._free(block)
            return
        self._sent[number] = pool.submit(self._send, number, block)
        for future in wait(self._sent.values(), timeout=0, return_when=FIRST_COMPLETED).done:
            future.result()

    def _send(self, number: int, block: memoryview) -> str:
        """Hashes and sends: while the reader hashes the whole of the file, in its order, on another core."""
        try:
            sha256 = hashlib.sha256(block).hexdigest()
            return self._calls.persist(lambda: self._attempt(number, block, sha256))
        finally:
            self._free(block)

    def _attempt(self, number: int, block: memoryview, sha256: str) -> str:
        query = {"partNumber": str(number), "uploadId": self._begun.upload_id}
        blocks = paced(self._calls, block)
        answer = self._calls.send(
            "PUT", self._sending.name, query=query, blocks=blocks, length=len(block), sha256=sha256
        )
        etag = answer.headers.get("etag", "").strip('"')
        if not etag or (self._sending.compare and etag != _md5(block)):
            raise Damaged("the ETag of a part is not that of the bytes sent")
        return etag

    def _free(self, block: memoryview) -> None:
        self._buffers.append(block.obj)  # type: ignore[arg-type]
        self._calls.pace.give(len(block))


def paced(calls: Calls, block: memoryview) -> Iterator[memoryview]:
    """A block whole, or in steps where there is a rate to keep."""
    step = STEP if calls.pace.has_rate else len(block)
    for first in range(0, len(block), step):
        piece = block[first : first + step]
        calls.pace.spend(len(piece))
        yield piece


def _md5(block: memoryview) -> str:
    return hashlib.md5(block, usedforsecurity=False).hexdigest()
