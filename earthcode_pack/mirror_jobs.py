"""The folder of a job whose bundle lies at a URL: workers put parts there, whoever runs on fetches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.convert.remote_part import BASE
from earthcode_pack.convert.work import Sent
from earthcode_pack.mirror import JOBS
from earthcode_pack.storage import each
from earthcode_pack.storage.scratch import pack, unpack
from earthcode_pack.storage.words import safe_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from earthcode_pack.convert.work import Part, Record
    from earthcode_pack.mirror import Mirror
    from earthcode_pack.model import File


SENT = "sent"  # in the folder of a job: what workers said before they put data into a store


def said_there(mirror: Mirror) -> list[Sent]:
    """What workers said, in the folders of all jobs that are not done, that they would put into a store."""
    keys = [key for key in mirror.folder.listing(JOBS) if key.split("/")[-2] == SENT]
    return [Sent.from_json(raw) for raw in each(mirror.folder.read, sorted(keys)) if raw]


class JobThere:
    """A job's folder here and there. Keys in records are relative to it."""

    def __init__(self, mirror: Mirror, name: str) -> None:
        self._mirror, self._key = mirror, f"{JOBS}{name}"
        self._folder = mirror.root / self._key

    def bring(self) -> None:
        """What an interrupted run had begun: the base, and the records of parts."""
        below = f"{self._key}/"
        theirs = {safe_key(key) for key in self._mirror.there if key.startswith((f"{below}records/", below + BASE))}
        missing = [key for key in theirs if not (self._mirror.root / key).is_file()]
        each(lambda key: self._mirror.folder.get(key, self._mirror.root / key), missing)
        if (self._folder / BASE).is_file():
            unpack((self._folder / BASE).read_bytes(), self._folder)

    def has(self, record: Record) -> bool:
        """Whether the files of a part are here, or there, in their size."""
        return all(self._is_here(file) or self._is_there(file) for file in record.files)

    def collect(self, records: Iterable[Record]) -> None:
        """Brings the files of parts that are not here, each compared with its sha256."""
        missing = [file for record in records for file in record.files if not self._is_here(file)]
        each(self._get, missing)

    def share(self, parts: list[Part]) -> list[Part]:
        """The parts as workers anywhere can do them: what ``begin`` made lies there, in one object."""
        if any(part.variable is not None for part in parts):
            self._share_base()
        url = f"{self._mirror.url}/{self._key}"
        return [part.model_copy(update={"folder": url}) for part in parts]

    def _share_base(self) -> None:
        base, key = self._folder / BASE, f"{self._key}/{BASE}"
        is_new = not base.is_file()  # then there are no parts yet
        if is_new:
            pack(self._folder, base)
        if is_new or key not in self._mirror.there:
            self._mirror.send([key])

    def note(self, record: Record) -> None:
        """Takes there that a part is done, once its files are there."""
        if record.files:
            self._mirror.send([f"{self._key}/records/{record.number}.json"])

    def drop(self) -> None:
        """Removes the folder there."""
        self._mirror.folder.remove(self._mirror.folder.listing(f"{self._key}/"))

    def _get(self, file: File) -> None:
        self._mirror.folder.get(f"{self._key}/{file.key}", self._path(file), file.sha256)

    def _path(self, file: File) -> Path:
        return self._folder / safe_key(file.key)

    def _is_here(self, file: File) -> bool:
        path = self._path(file)
        return path.is_file() and path.stat().st_size == file.size

    def _is_there(self, file: File) -> bool:
        found = self._mirror.there.get(f"{self._key}/{file.key}")
        return found is not None and found.size == file.size
