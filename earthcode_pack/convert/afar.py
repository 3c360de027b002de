"""A part of a job whose folder is a URL: made in scratch of this machine, then put there, each file verified."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from earthcode_pack.checksums import checksums
from earthcode_pack.errors import OutsideError
from earthcode_pack.model import File
from earthcode_pack.storage import Folder, each
from earthcode_pack.storage.scratch import here, scratch_for, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from earthcode_pack.convert.work import Part, Record, Sent

    Made = Callable[[Part, Path, tuple[File, ...]], Sent | None]

BASE = "begun.zip"  # in the folder of a job: what its parts need of it


def is_afar(part: Part) -> bool:
    """Whether the folder of a part is a URL."""
    return "://" in part.folder


def write(part: Part, work: Callable[[Part], Record], made: Made | None = None) -> Record:
    """As ``work`` in a folder of this machine; the record names the files that are in the job's folder then.

    What this process's own run will finish is moved into the mirror of that folder too, and a whole job goes nowhere
    else. Elsewhere ``made`` is called with the part, the folder and its files while they are here, and what it says is
    in the record. Raises ``OutsideError`` where the storage fails.
    """
    target, mirror = Folder(part.folder), here(part.folder)
    with scratch_for(part.folder) as folder:
        base = unpack(_base(target, mirror), folder) if part.variable is not None else set()
        record = work(part.model_copy(update={"folder": str(folder)}))
        files = tuple(_file(path, folder) for path in _made(folder, base))
        if mirror is None or part.variable is not None:
            each(partial(_put, target, folder), files)
            record = record.model_copy(update={"files": files})
        if mirror is not None:
            for file in files:
                _move(folder / file.key, mirror / file.key)
        elif made is not None:
            record = record.model_copy(update={"sent": made(part, folder, files)})
    return record


def _base(target: Folder, mirror: Path | None) -> bytes:
    if mirror is not None:
        return (mirror / BASE).read_bytes()
    found = target.read(BASE)
    if found is None:
        raise OutsideError(f"{target.href(BASE)}: it is gone", "run again: it goes on from here")
    return found


def _made(folder: Path, base: set[str]) -> list[Path]:
    """What a part left in its folder, besides what it was given."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".part"))
    return sorted(path for path in paths if path.relative_to(folder).as_posix() not in base)


def _file(path: Path, folder: Path) -> File:
    found = checksums(path)
    key = path.relative_to(folder).as_posix()
    return File(key=key, size=path.stat().st_size, sha256=found.sha256, parts=found.parts)


def _put(target: Folder, folder: Path, file: File) -> None:
    target.put(folder / file.key, file.key, file.sha256)


def _move(made: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    made.replace(place)
