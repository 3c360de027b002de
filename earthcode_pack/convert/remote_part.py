"""A part of a job whose folder is a URL: made in scratch of this machine, then put there, each file verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.checksums import checksums
from earthcode_pack.errors import OutsideError
from earthcode_pack.model import File
from earthcode_pack.storage import Folder, each
from earthcode_pack.storage.scratch import here, scratch_for, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from earthcode_pack.convert.work import Part, Record, Sent

    Made = Callable[[Part, Path, tuple[File, ...]], Sent | None]

BASE = "begun.zip"  # in the folder of a job: what its parts need of it


def write(part: Part, work: Callable[[Part], Record], made: Made | None = None) -> Record:
    """Does the work of a part in scratch of this machine, then uploads its files.

    In the process of the run itself the files are moved into the mirror of the job's folder too, and those of a job of
    one part go nowhere else.

    Args:
        part: the part, whose folder is a URL.
        work: writes it into a local folder.
        made: called elsewhere, with the part, the folder and its files while they are here.

    Returns:
        The record of the part with the files that are in the job's folder now, and what ``made`` returned.

    Raises:
        OutsideError: the storage fails.

    """
    target, mirror = Folder(part.folder), here(part.folder)
    with scratch_for(part.folder) as folder:
        base = unpack(_base(target, mirror), folder) if part.variable is not None else set()
        record = work(part.model_copy(update={"folder": str(folder)}))
        files = tuple(_files_in(folder, base))
        if mirror is None or part.variable is not None:
            each(lambda file: target.put(folder / file.key, file.key, file.sha256), files)
            record = record.model_copy(update={"files": files})
        if mirror is not None:
            for file in files:
                place = mirror / file.key
                place.parent.mkdir(parents=True, exist_ok=True)
                (folder / file.key).replace(place)
        elif made is not None:
            record = record.model_copy(update={"sent": made(part, folder, files)})
    return record


def _base(target: Folder, mirror: Path | None) -> bytes:
    """Returns the archive of what the parts of a job need, from the run's own mirror where this is the run."""
    if mirror is not None:
        return (mirror / BASE).read_bytes()
    found = target.read(BASE)
    if found is None:
        raise OutsideError(f"{target.href(BASE)}: no such object any more", "run again: it goes on from here")
    return found


def _files_in(folder: Path, base: set[str]) -> Iterator[File]:
    """Yields the files that a part left in its folder besides those it was given, with their checksums."""
    for path in sorted(folder.rglob("*")):
        key = path.relative_to(folder).as_posix()
        if path.is_file() and not path.name.endswith(".part") and key not in base:
            found = checksums(path)
            yield File(key=key, size=path.stat().st_size, sha256=found.sha256, parts=found.parts)
