"""State of each object of an upload, in SQLite: a process may end at any moment, and the next one resumes from it.

One file per bundle and machine, ``.work/ledger.sqlite``, in the bundle or in the mirror of one at a URL. It is one of
three witnesses, beside the file and the store: an object counts as published where they agree, and a ledger that is
lost or damaged costs a request for each object, nothing else.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from contextlib import closing, suppress
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Self

from earthcode_pack.errors import OutsideError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from earthcode_pack.bundle import Bundle

_FORM = 1  # of the tables; a ledger of another form is as good as lost
_PAUSE = 0.5  # s between two commits: what a crash can lose, and the store's listing brings back
_PATIENCE = 10.0  # s for one who reads it meanwhile
_TABLES = """
CREATE TABLE objects (
    place TEXT NOT NULL, key TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, media_type TEXT NOT NULL,
    state TEXT NOT NULL, mtime_ns INTEGER, inode INTEGER, etag TEXT, upload_id TEXT, part_size INTEGER,
    verified_at TEXT, PRIMARY KEY (place, key)
) WITHOUT ROWID;
CREATE TABLE errors (place TEXT PRIMARY KEY, message TEXT NOT NULL) WITHOUT ROWID;
"""


class State(StrEnum):
    """State of an object."""

    PLANNED = "planned"  # it will be put; it may have arrived, and an upload of it may be open
    LEFT = "left"  # it was to be put, and the upload ended before it was begun
    SENT = "sent"  # the store took it, and answered with what it should be
    VERIFIED = "verified"  # the store's listing, read afterwards, agrees
    COMMITTED = "committed"  # the Collection is there: readers find it


class Row(NamedTuple):
    """An object: what it is to be, the file as it was when it was read, and what the store said of it."""

    key: str  # relative to the product
    size: int
    sha256: str  # hex
    media_type: str
    state: State = State.PLANNED
    mtime_ns: int | None = None
    inode: int | None = None
    etag: str | None = None
    upload_id: str | None = None  # of the upload that is open
    part_size: int | None = None
    verified_at: str | None = None  # RFC 3339

    @property
    def is_put(self) -> bool:
        """Tells whether the store was seen to have it."""
        return self.state not in (State.PLANNED, State.LEFT)


_COLUMNS = ", ".join(Row._fields)
_SLOTS = ", ".join("?" * (len(Row._fields) + 1))


def ledger_path(bundle: Bundle, node: str | None = None) -> Path:
    """Returns the path of a bundle's ledger; ``node`` names one of several machines that upload parts of it."""
    return bundle.root / ".work" / (f"ledger-{node}.sqlite" if node else "ledger.sqlite")


class Ledger:
    """The rows of one place (a prefix of a store), held in memory and written behind. Any thread may call.

    Raises ``OutsideError`` where the disk fails; a damaged file is made anew.
    """

    def __init__(self, path: Path, place: str) -> None:
        self._path, self._place, self._lock = path, place, Lock()
        self._changed: dict[str, Row | None] = {}  # None for what is forgotten
        self._noted: deque[tuple[str, Row | None]] = deque()  # what is to be among them: no lock is needed for that
        self._error: str | None = None
        self._next = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection, self._rows = self._opened()
        except sqlite3.OperationalError as error:
            raise self._in_words(error) from None
        except (sqlite3.DatabaseError, ValueError):
            self._connection, self._rows = self._anew()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(*() if error is None else (OutsideError,)):  # what led here counts
            self.close()

    def close(self) -> None:
        """Writes what is not on disk yet, and lets go of the file."""
        try:
            self.flush()
        finally:
            self._connection.close()

    def rows(self) -> dict[str, Row]:
        """All rows by key."""
        with self._lock:
            return dict(self._rows)

    def get(self, key: str) -> Row | None:
        """The row of an object."""
        return self._rows.get(key)

    def note(self, *rows: Row, now: bool = False) -> None:
        """Takes rows in; they are on disk within half a second of work, or before this returns where ``now``."""
        for row in rows:
            if self._rows.get(row.key) != row:
                self._rows[row.key] = row
                self._noted.append((row.key, row))
        if (now or time.monotonic() >= self._next) and self._lock.acquire(blocking=now):
            try:  # nobody waits for who is writing already
                self._write()
            finally:
                self._lock.release()

    def forget(self, keys: Iterable[str]) -> None:
        """Drops rows."""
        with self._lock:
            for key in keys:
                if self._rows.pop(key, None) is not None:
                    self._noted.append((key, None))

    def note_error(self, message: str | None) -> None:
        """Notes the error that the upload ended with, in words; None where it succeeded."""
        with self._lock:
            if message != self._error:
                self._error = message
                self._write(errors=True)

    def flush(self) -> None:
        """Writes what is not on disk yet."""
        with self._lock:
            self._write()

    def _write(self, *, errors: bool = False) -> None:
        while self._noted:
            key, row = self._noted.popleft()
            self._changed[key] = row
        if self._changed or errors:
            try:
                self._commit(errors=errors)
            except sqlite3.OperationalError as error:
                raise self._in_words(error) from None
            except sqlite3.ProgrammingError:  # such as one that is closed: the file is sound, and others may hold it
                raise
            except sqlite3.DatabaseError:
                self._connection.close()
                self._changed = dict(self._rows)
                self._connection, _ = self._anew()
                self._commit(errors=errors)
        self._changed = {}
        self._next = time.monotonic() + _PAUSE

    def _commit(self, *, errors: bool) -> None:
        gone = [(self._place, key) for key, row in self._changed.items() if row is None]
        new = [(self._place, *row) for row in self._changed.values() if row is not None]
        with self._connection as connection:
            connection.executemany("DELETE FROM objects WHERE place = ? AND key = ?", gone)
            connection.executemany(f"INSERT OR REPLACE INTO objects (place, {_COLUMNS}) VALUES ({_SLOTS})", new)  # noqa: S608 - names of its own
            if errors:
                connection.execute("DELETE FROM errors WHERE place = ?", (self._place,))
            if errors and self._error is not None:
                connection.execute("INSERT INTO errors VALUES (?, ?)", (self._place, self._error))

    def _opened(self) -> tuple[sqlite3.Connection, dict[str, Row]]:
        connection = sqlite3.connect(self._path, timeout=_PATIENCE, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # a commit outlives the process, if not the machine
            _see_to_tables(connection)
            self._error = _error_in(connection, self._place)
            return connection, _rows_in(connection, self._place)
        except BaseException:
            connection.close()
            raise

    def _anew(self) -> tuple[sqlite3.Connection, dict[str, Row]]:
        for ending in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        try:
            return self._opened()
        except sqlite3.DatabaseError as error:
            raise self._in_words(error) from None

    def _in_words(self, error: sqlite3.DatabaseError) -> OutsideError:
        return OutsideError(
            f"{self._path}: the ledger of the upload cannot be used ({error})",
            "free space, allow writing there, or end who holds it, and run again: it resumes",
        )


def _see_to_tables(connection: sqlite3.Connection) -> None:
    form = _form(connection)
    if form == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_FORM}; COMMIT")
    elif form != _FORM:
        raise sqlite3.DatabaseError(f"tables of form {form}")


def _form(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def read_ledger(path: Path, place: str) -> tuple[dict[str, Row], str | None]:
    """The rows and the last error of a ledger, which another process may write meanwhile; nothing where none is."""
    if path.is_file():
        alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"  # leaves no file behind
        with (
            suppress(sqlite3.DatabaseError, ValueError),
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{alone}", timeout=1, uri=True)) as connection,
        ):
            if _form(connection) == _FORM:
                return _rows_in(connection, place), _error_in(connection, place)
    return {}, None


def _rows_in(connection: sqlite3.Connection, place: str) -> dict[str, Row]:
    found = connection.execute(f"SELECT {_COLUMNS} FROM objects WHERE place = ?", (place,))  # noqa: S608 - as above
    rows = (Row(*values) for values in found)
    return {row.key: row._replace(state=State(row.state)) for row in rows}


def _error_in(connection: sqlite3.Connection, place: str) -> str | None:
    found = connection.execute("SELECT message FROM errors WHERE place = ?", (place,)).fetchone()
    return None if found is None else str(found[0])
