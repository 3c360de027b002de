"""Mirror of a bundle at a URL: a folder of this machine that is kept equal to the remote one, which is the truth.

Product data is fetched when it is read; new data is sent job by job, and the manifest last, so that readers of the URL
find a whole product or none.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from earthcode_pack.convert.remote_part import BASE
from earthcode_pack.convert.work import Sent
from earthcode_pack.files import sha256, write_atomic
from earthcode_pack.model import Artifact, File, Plan
from earthcode_pack.storage import Folder, each
from earthcode_pack.storage.error_messages import safe_key, shown
from earthcode_pack.storage.remote_lock import RemoteLock
from earthcode_pack.storage.scratch import SCRATCH, pack, standing_for, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.convert.work import Part, Record
    from earthcode_pack.model import File
    from earthcode_pack.storage import Remote

JOBS = ".work/jobs/"
_MANIFEST = "product/manifest.json"
_DATA = "product/data/"
_HOLDER = ".work/held.json"  # there alone
_LEDGER = ".work/mirror.json"  # this machine's own, as are the others
_OWN = (_LEDGER, ".work/ledger", ".work/lock", ".work/identities.json", f"{SCRATCH}/", _HOLDER)


class _Same(NamedTuple):
    """State of a local file, and mark (ETag or the like) of the remote one, when both were equal."""

    size: int
    mtime_ns: int
    mark: str


_SAME = TypeAdapter(dict[str, _Same])


class Mirror:
    """A bundle here (local) and there (at its URL). Only the run that holds it writes there."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url, self.folder = root, url, Folder(url)
        remedy = f"wait for it to end; if that machine is gone: earthcode-pack clean {shown(url)}"
        self.claim = RemoteLock(self.folder, _HOLDER, remedy)
        self._same = _noted(root / _LEDGER)
        self._sent: set[str] = set()
        self._listed: dict[str, Remote] | None = None

    @property
    def there(self) -> dict[str, Remote]:
        """Remote files by key, as of the last listing."""
        if self._listed is None:
            self._listed = self.folder.listing()
        return self._listed

    @contextmanager
    def held(self) -> Iterator[None]:
        """Locks the remote bundle, pulls it, and pushes what changed after success. Raises ``Locked``."""
        with self.claim.held():
            shutil.rmtree(self.root / SCRATCH, ignore_errors=True)  # of a run that was killed
            self._listed = None
            self.pull()
            with standing_for(self.url, self.root):
                yield
            self.push()

    # --- from there -------------------------------------------------------------------------------------------------

    def pull(self) -> None:
        """Fetches new records and documents, and drops those that are gone there; data and parts follow on demand."""
        for key in {*self._same, _MANIFEST} - self.there.keys():
            (self.root / key).unlink(missing_ok=True)
        self._same = {key: same for key, same in self._same.items() if key in self.there}
        theirs = [key for key in self.there if not key.startswith((_DATA, JOBS, *_OWN)) and not self._is_noted(key)]
        each(lambda key: self.folder.get(safe_key(key), self.root / key), theirs)
        self._note(theirs)

    def fetch(self, files: Iterable[File]) -> None:
        """Fetches files of the product that are not here, and compares each with its sha256."""
        missing = [file for file in files if not self._path(file).is_file()]
        each(lambda file: self.folder.get(f"product/{file.key}", self._path(file), file.sha256), missing)
        self._note(f"product/{file.key}" for file in missing)

    def lacks(self, files: Iterable[File]) -> bool:
        """Tells if a file of the product is not here."""
        return any(not self._path(file).is_file() for file in files)

    def holds(self, file: File) -> bool:
        """Tells if a file of the product is there, by size and sha256."""
        key = f"product/{file.key}"
        return key in self.there and self.there[key].size == file.size and self.folder.sha256(key) == file.sha256

    def _path(self, file: File) -> Path:
        return self.root / "product" / file.key

    # --- to there ---------------------------------------------------------------------------------------------------

    def push(self) -> None:
        """Sends what changed here, and removes there what is gone here; the manifest is sent last."""
        self.claim.confirm()
        self._listed = None
        here = self._files()
        changed = [key for key in here if key != _MANIFEST and not self._is_equal(key)]
        strays = self._strays(set(here))
        if any(key.startswith("product/") for key in (*changed, *strays)) or not self._is_equal(_MANIFEST):
            self._open()
        for stage in (_DATA, "product/", ""):
            self.send([key for key in changed if key.startswith(stage)])
            changed = [key for key in changed if not key.startswith(stage)]
        self.folder.remove(strays)
        if _MANIFEST in here and _MANIFEST not in self.there:
            self.send([_MANIFEST])
        self._listed = None
        self._note(key for key in here if key in self._sent and self._is_equal(key))

    def send(self, keys: list[str], digests: dict[str, str] | None = None) -> None:
        """Sends files; ``digests`` are the sha256 (hex) that are known, by key."""
        known = digests or {}
        each(lambda key: self.folder.put(self.root / key, key, known.get(key)), keys)
        self._sent.update(keys)

    def send_changed(self, keys: list[str]) -> None:
        """Sends the files that differ there."""
        self.send([key for key in keys if not self._is_equal(key)])

    def send_product(self, files: Iterable[File]) -> None:
        """Sends data that is not there yet, and first removes the manifest, since the product is not whole now."""
        self.claim.confirm()
        self._open()
        wanted = list(files)
        held = each(self.holds, wanted)
        digests = {f"product/{file.key}": file.sha256 for file in wanted}
        self.send([key for key, is_held in zip(digests, held, strict=True) if not is_held], digests)

    def _open(self) -> None:
        if self.there.pop(_MANIFEST, None) is not None:
            self.folder.remove([_MANIFEST])

    def _strays(self, here: set[str]) -> list[str]:
        """Lists remote files that belong to nothing: data of no artifact, parts of no job that is still to do."""
        path = self.root / "plan.json"
        records = list((self.root / ".work" / "artifacts").glob("*.json"))
        planned = {job.fingerprint for job in Plan.from_json(path.read_bytes()).jobs} if path.is_file() else set()
        jobs = {fingerprint[:32] for fingerprint in planned - {path.stem for path in records}}
        data = {f"product/{file.key}" for path in records for file in Artifact.from_json(path.read_bytes()).files}
        kept = here | data | {_HOLDER, _MANIFEST}
        return [key for key in self.there if key not in kept and not _is_of_job(key, jobs)]

    def _files(self) -> list[str]:
        """Lists the keys of all local files to mirror; parts of jobs are sent separately."""
        found = (Path(parent, name) for parent, _, names in os.walk(self.root) for name in names)
        keys = sorted(path.relative_to(self.root).as_posix() for path in found)
        return [key for key in keys if not key.startswith((JOBS, *_OWN)) and not key.endswith(".part")]

    # --- what is the same -------------------------------------------------------------------------------------------

    def _is_equal(self, key: str) -> bool:
        """Tells if a file is equal here and there, as noted or else by its bytes; absent on both sides is equal."""
        local, remote = self.root / key, self.there.get(key)
        if remote is None or not local.is_file():
            return remote is None and not local.is_file()
        if self._is_noted(key):
            return True
        same_size = local.stat().st_size == remote.size
        return same_size and (key in self._sent or self.folder.sha256(key) == sha256(local))

    def _is_noted(self, key: str) -> bool:
        same, path = self._same.get(key), self.root / key
        if same is None or not same.mark or key not in self.there or not path.is_file():
            return False
        stat = path.stat()
        return same == _Same(stat.st_size, stat.st_mtime_ns, self.there[key].mark)

    def _note(self, keys: Iterable[str]) -> None:
        """Notes that files are equal here and there, as far as the listing has them."""
        for key in keys:
            if key in self.there and (self.root / key).is_file():
                stat = (self.root / key).stat()
                self._same[key] = _Same(stat.st_size, stat.st_mtime_ns, self.there[key].mark)
        write_atomic(self.root / _LEDGER, json.dumps(self._same, sort_keys=True) + "\n")


def _noted(path: Path) -> dict[str, _Same]:
    try:
        return _SAME.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return {}


def _is_of_job(key: str, jobs: set[str]) -> bool:
    return key.startswith(JOBS) and key.split("/")[2] in jobs


SENT = "sent"  # in the folder of a job: what workers said before they put data into a store


def said_there(mirror: Mirror) -> list[Sent]:
    """Reads what workers announced to put into a store, from the folders of all jobs that are not done."""
    keys = [key for key in mirror.folder.listing(JOBS) if key.split("/")[-2] == SENT]
    return [Sent.from_json(raw) for raw in each(mirror.folder.read, sorted(keys)) if raw]


class JobThere:
    """Folder of a job, here and there. Keys in records are relative to it."""

    def __init__(self, mirror: Mirror, name: str) -> None:
        self._mirror, self._key = mirror, f"{JOBS}{name}"
        self._folder = mirror.root / self._key

    def bring(self) -> None:
        """Fetches what an interrupted run had begun: the base, and the records of parts."""
        below = f"{self._key}/"
        theirs = {safe_key(key) for key in self._mirror.there if key.startswith((f"{below}records/", below + BASE))}
        missing = [key for key in theirs if not (self._mirror.root / key).is_file()]
        each(lambda key: self._mirror.folder.get(key, self._mirror.root / key), missing)
        if (self._folder / BASE).is_file():
            unpack((self._folder / BASE).read_bytes(), self._folder)

    def has(self, record: Record) -> bool:
        """Tells if each file of a part is here or there, in its size."""
        return all(self._is_here(file) or self._is_there(file) for file in record.files)

    def collect(self, records: Iterable[Record]) -> None:
        """Fetches the files of parts that are not here, and compares each with its sha256."""
        missing = [file for record in records for file in record.files if not self._is_here(file)]
        get = self._mirror.folder.get
        each(lambda file: get(f"{self._key}/{file.key}", self._path(file), file.sha256), missing)

    def share(self, parts: list[Part]) -> list[Part]:
        """Returns the parts in a form that any worker can do; what ``begin`` made is sent there, as one object."""
        if any(part.variable is not None for part in parts):
            base, key = self._folder / BASE, f"{self._key}/{BASE}"
            is_new = not base.is_file()  # then there are no parts yet
            if is_new:
                pack(self._folder, base)
            if is_new or key not in self._mirror.there:
                self._mirror.send([key])
        url = f"{self._mirror.url}/{self._key}"
        return [part.model_copy(update={"folder": url}) for part in parts]

    def note(self, record: Record) -> None:
        """Sends the record of a part, whose files are there already."""
        if record.files:
            self._mirror.send([f"{self._key}/records/{record.number}.json"])

    def drop(self) -> None:
        """Removes the remote folder."""
        self._mirror.folder.remove(self._mirror.folder.listing(f"{self._key}/"))

    def _path(self, file: File) -> Path:
        return self._folder / safe_key(file.key)

    def _is_here(self, file: File) -> bool:
        path = self._path(file)
        return path.is_file() and path.stat().st_size == file.size

    def _is_there(self, file: File) -> bool:
        found = self._mirror.there.get(f"{self._key}/{file.key}")
        return found is not None and found.size == file.size
