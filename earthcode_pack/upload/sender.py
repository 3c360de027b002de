"""Puts files of a product, each noted in the ledger before and after."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from earthcode_pack.errors import EarthcodePackError, OutsideError
from earthcode_pack.model import Receipt, rfc3339
from earthcode_pack.storage import Begun
from earthcode_pack.upload.compare import identity
from earthcode_pack.upload.ledger import Row, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from earthcode_pack.model import PartSums
    from earthcode_pack.storage import Stored
    from earthcode_pack.upload.compare import Place
    from earthcode_pack.upload.entries import Entry
    from earthcode_pack.upload.ledger import Ledger

logger = logging.getLogger("earthcode_pack")


class Sender:
    """The files of a product on their way to one place. ``send`` may be called from many threads.

    ``parts`` are the sums of the parts of large files, by the sha256 of the whole.
    """

    def __init__(
        self, product: Path, place: Place, ledger: Ledger, parts: Mapping[str, PartSums] | None = None
    ) -> None:
        self.product, self.place, self.ledger = product, place, ledger
        self._parts = parts or {}
        self._begun: set[str] = set()

    @contextmanager
    def planned(self, entries: Iterable[Entry]) -> Iterator[None]:
        """Plans as ``plan``; what was not begun in the end is noted as not put by this upload."""
        wanted = list(entries)
        self.plan(wanted)
        try:
            yield
        finally:
            rows = (self.ledger.get(entry.key) for entry in wanted if entry.key not in self._begun)
            left = [row for row in rows if row is not None and row.state is State.PLANNED]
            self.ledger.note(*(row._replace(state=State.LEFT) for row in left))

    def plan(self, entries: Iterable[Entry], *, now: bool = True) -> None:
        """Notes what will be put; an open upload of the same bytes is kept, one of others is ended."""
        rows = []
        for entry in entries:
            row = self.ledger.get(entry.key)
            begun = begun_of(row) if row is not None else None
            if row is not None and begun is not None and (row.size, row.sha256) == (entry.size, entry.sha256):
                rows.append(row._replace(state=State.PLANNED))
                continue
            if begun is not None:
                self.place.store.abort(self.place.prefix + entry.key, begun)
            rows.append(Row(*entry))
        self.ledger.note(*rows, now=now)

    def send(self, entry: Entry, parts: PartSums | None = None) -> Row:
        """Puts a planned file; ``parts`` are of one whose sums the sender does not know.

        Raises what ``Store.put`` raises; what was sent of a large file until then is kept.
        """
        planned = self.ledger.get(entry.key) or Row(*entry)
        self._begun.add(entry.key)
        path = self.product / entry.key
        _, mtime_ns, inode = identity(path) or (0, None, None)

        def note(begun: Begun) -> None:
            self.ledger.note(planned._replace(upload_id=begun.upload_id, part_size=begun.part_size), now=True)

        receipt = self.place.store.put(
            path,
            self.place.prefix + entry.key,
            sha256=entry.sha256,
            media_type=entry.media_type,
            begun=begun_of(planned),
            note=note,
            parts=parts or self._parts.get(entry.sha256),
        )
        sent = Row(*entry, State.SENT, mtime_ns, inode, receipt.etag, verified_at=rfc3339(receipt.verified_at))
        self.ledger.note(sent)
        return sent

    def found(self, entry: Entry, stored: Stored, at: str) -> Row:
        """Notes an object that is there as it should be, by HEAD, whoever put it. ``at``: when that was seen."""
        _, mtime_ns, inode = identity(self.product / entry.key) or (0, None, None)
        row = self.ledger.get(entry.key)
        same = row is not None and (row.sha256, row.etag) == (entry.sha256, stored.etag) and row.verified_at
        state = row.state if row is not None and same and row.is_put else State.SENT
        seen = row.verified_at if row is not None and same else at
        noted = Row(*entry, state, mtime_ns, inode, stored.etag, verified_at=seen)
        self.ledger.note(noted)
        return noted

    def sweep(self, keys: Iterable[str]) -> int:
        """Ends what is open of uploads of these keys, of which none is under way; how many that were.

        A process that was killed, or an answer that was lost, leaves parts that cost money and that no listing of
        objects shows.
        """
        ours = {self.place.prefix + key for key in keys}
        try:
            left = [(key, upload) for key, upload in self.place.store.open_uploads(self.place.prefix) if key in ours]
            for key, upload in left:
                self.place.store.abort(key, Begun(upload_id=upload, part_size=0))
        except OutsideError as error:  # not every key may list uploads
            logger.warning("open uploads could not be looked for: %s", error)
            return 0
        return len(left)


def begun_of(row: Row) -> Begun | None:
    """The open upload that a row knows."""
    if row.upload_id is None or row.part_size is None:
        return None
    return Begun(upload_id=row.upload_id, part_size=row.part_size)


def receipt_of(row: Row) -> Receipt | None:
    """Makes the receipt of a row; None while the object is only planned."""
    if not row.is_put or row.verified_at is None:
        return None
    at = datetime.fromisoformat(row.verified_at)
    return Receipt(key=row.key, size=row.size, sha256=row.sha256, etag=row.etag, verified_at=at)


@contextmanager
def noting_errors(ledger: Ledger) -> Iterator[None]:
    """The ledger keeps what an upload ended with, in words that hold no secret."""
    try:
        yield
    except EarthcodePackError as error:
        ledger.note_error(str(error))
        raise
    except BaseException as error:
        ledger.note_error(type(error).__name__)
        raise
    else:
        ledger.note_error(None)
