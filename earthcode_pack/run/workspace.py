"""State of a run inside its bundle: the lock, the jobs that are done, and the parts under way."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from earthcode_pack.bundle import values_to_json
from earthcode_pack.convert.work import Record, Sent
from earthcode_pack.errors import EarthcodePackError, Locked, OutsideError, UserError
from earthcode_pack.files import locked, write_atomic
from earthcode_pack.model import Artifact, File, Job
from earthcode_pack.remote.mirror import JobThere, said_there
from earthcode_pack.remote.workdir import bundle_in, mirror_of
from earthcode_pack.storage import IdentityCache, each
from earthcode_pack.storage.error_messages import safe_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.convert.work import Part
    from earthcode_pack.model import ManifestEntry
    from earthcode_pack.profile import Profile
    from earthcode_pack.remote.mirror import Mirror


_SENT = TypeAdapter(list[Sent])


def bundle_of(profile: Profile, workdir: str | Path) -> Bundle:
    """Returns the bundle of a product, ``<workdir>/<product id>/v<version>``; creates nothing.

    Raises ``ProfileError`` where the workdir is a URL that cannot hold bundles.
    """
    return bundle_in(workdir, profile.product.id, profile.product.version)


class Workspace:
    """Folder ``.work`` of a bundle: artifacts by fingerprint, parts under way, the cache of identities.

    Where the bundle is at a URL, its ``mirror`` takes each note there as it is written here.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.root = bundle.root / ".work"
        self.identities = self.root / "identities.json"
        self.mirror = mirror_of(bundle)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Locks the bundle against other runs; the lock ends with the process.

        New folders are private to this user, since raw data and their records may be confidential.

        Raises:
            Locked: another run holds the bundle.
            UserError: the workdir cannot be made.
            OutsideError: the workdir cannot be written.

        """
        with ExitStack() as stack:
            try:
                for folder in reversed((self.root, *self.root.parents)):
                    folder.mkdir(mode=0o700, exist_ok=True)
                is_held = stack.enter_context(locked(self.root / "lock"))
            except OSError as error:
                raise _unwritable(self.bundle, error) from None
            if not is_held:
                raise Locked(f"{self.bundle.name}: another run holds this bundle", "wait for it to end, then run again")
            for leftover in self.bundle.root.glob(".*.part"):  # of a run that was killed
                leftover.unlink()
            with self.mirror.held() if self.mirror else nullcontext():
                yield

    def refuse_changed(self, elsewhere: Collection[str] = ()) -> None:
        """Compares every file of the product with its manifest, except keys that workers have put (``elsewhere``).

        Raises ``UserError`` for a file that is gone, a symbolic link, or of another size or sha256.
        """
        cache, product = IdentityCache(self.identities), self.bundle.product.resolve()
        entries = [entry for entry in self.bundle.manifest() if entry.key not in elsewhere]
        found = each(partial(_difference, product, cache), entries)
        wrong = [f"{product / entry.key}: {why}" for entry, why in zip(entries, found, strict=True) if why]
        if wrong:
            more = f"; {len(wrong) - 1} more files differ" if len(wrong) > 1 else ""
            raise UserError(
                f"{wrong[0]}: not the file that the manifest names{more}; nothing was sent",
                "run the profile again: it makes anew what is not as it was",
            )
        if not self.bundle.receipts():  # a second run leaves every file as it is
            cache.save()

    def folder(self, job: Job) -> Path:
        """Returns the folder in which the parts of a job are made."""
        return self.root / "jobs" / job.fingerprint[:32]

    def done(self, job: Job, cache: IdentityCache) -> Artifact | None:
        """Returns the artifact of a job that is done, if each of its files is still the one that was verified."""
        path = self._record(job)
        if not path.is_file():
            return None
        artifact = Artifact.from_json(path.read_bytes())
        if self.mirror is None:
            return artifact if all(self._is_intact(file, cache) for file in artifact.files) else None
        away = [file for file in artifact.files if not self._is_intact(file, cache)]
        if not all(each(self.mirror.holds, away)):
            return None
        for file in away:  # what is here under that name is something else
            (self.bundle.product / file.key).unlink(missing_ok=True)
        return artifact

    def _is_intact(self, file: File, cache: IdentityCache) -> bool:
        path, identity = self.bundle.product / file.key, (file.size, file.sha256)
        return path.is_file() and path.stat().st_size == file.size and cache.identify(str(path)) == identity

    def keep(self, job: Job, artifact: Artifact) -> None:
        """Notes that a job is done, and drops its folder.

        What workers put into a store is noted too, and outlives the folder, for the run that resumes or cleans up.
        """
        if self.mirror is not None:
            self.mirror.send_product(artifact.files)
            sent = [record.sent for record in self.records(job).values() if record.sent is not None]
            if sent:
                self._note(self.root / "sent" / f"{job.fingerprint}.json", values_to_json(sent))
        self._note(self._record(job), artifact.to_json())
        self.forget(job)

    def _note(self, path: Path, text: str) -> None:
        """Writes a record, here and at the URL of the bundle."""
        write_atomic(path, text)
        if self.mirror is not None:
            self.mirror.send([path.relative_to(self.bundle.root).as_posix()])

    def sent(self) -> list[Sent]:
        """Lists what workers put into a store, or announced there; reads the workdir for jobs that are not done."""
        if self.mirror is None:
            return []
        done = [one for path in self._sent_files() for one in _SENT.validate_json(path.read_bytes())]
        return [*said_there(self.mirror), *done]

    def forget_sent(self, place: str) -> None:
        """Drops the notes of what workers put into a store, once all is published there."""
        for path in self._sent_files():
            kept = [one for one in _SENT.validate_json(path.read_bytes()) if one.place != place]
            write_atomic(path, values_to_json(kept)) if kept else path.unlink()

    def _sent_files(self) -> list[Path]:
        return sorted((self.root / "sent").glob("*.json"))

    def forget(self, job: Job) -> None:
        """Drops what was begun of a job."""
        shutil.rmtree(self.folder(job), ignore_errors=True)
        if self.mirror is not None:
            self._there(self.mirror, job).drop()

    def drop(self, job: Job) -> None:
        """Removes the output of a job, and the note that it is done."""
        self._record(job).unlink(missing_ok=True)
        output = self.bundle.product / job.key
        shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)

    def _record(self, job: Job) -> Path:
        return self.root / "artifacts" / f"{job.fingerprint}.json"

    def records(self, job: Job) -> dict[int, Record]:
        """Reads the records of the parts of a job that are finished, by number."""
        folder = self.folder(job) / "records"
        return {int(path.stem): Record.from_json(path.read_bytes()) for path in folder.glob("*.json")}

    def keep_record(self, job: Job, record: Record) -> None:
        """Notes that a part is written and verified."""
        write_atomic(self.folder(job) / "records" / f"{record.number}.json", record.to_json())
        if self.mirror is not None:
            self._there(self.mirror, job).note(record)

    def bring(self, job: Job) -> None:
        """Restores the folder of a job to what an interrupted run, here or elsewhere, had left."""
        if self.mirror is None:
            return
        there = self._there(self.mirror, job)
        there.bring()
        for number, record in self.records(job).items():
            if not there.has(record):
                (self.folder(job) / "records" / f"{number}.json").unlink()
        self.collect(job)

    def collect(self, job: Job) -> None:
        """Fetches the parts of a job that were written elsewhere into its folder."""
        if self.mirror is not None:
            self._there(self.mirror, job).collect(self.records(job).values())

    def share(self, job: Job, parts: list[Part]) -> list[Part]:
        """Returns the parts in a form that any worker can do."""
        return parts if self.mirror is None else self._there(self.mirror, job).share(parts)

    def _there(self, mirror: Mirror, job: Job) -> JobThere:
        return JobThere(mirror, self.folder(job).name)

    # --- the product ------------------------------------------------------------------------------------------------

    def tell_plan(self) -> None:
        """Sends profile and plan to the URL of the bundle before anything is made."""
        if self.mirror is not None:
            self.mirror.send_changed(["profile.yaml", "plan.json"])

    def lacks(self, artifacts: Iterable[Artifact]) -> bool:
        """Tells if data of the product is missing on this machine."""
        return self.mirror is not None and self.mirror.lacks(file for one in artifacts for file in one.files)

    def fetch(self, artifacts: Iterable[Artifact]) -> None:
        """Fetches the data of the product that is missing on this machine."""
        if self.mirror is not None:
            self.mirror.fetch(file for one in artifacts for file in one.files)

    def forget_all_but(self, jobs: tuple[Job, ...]) -> None:
        """Drops what belongs to no job of the present plan."""
        records, folders = {self._record(job) for job in jobs}, {self.folder(job) for job in jobs}
        for path in set((self.root / "artifacts").glob("*.json")) - records:
            path.unlink()
        for folder in set((self.root / "jobs").glob("*")) - folders:
            shutil.rmtree(folder, ignore_errors=True)


def _difference(product: Path, cache: IdentityCache, entry: ManifestEntry) -> str | None:
    """Says how a file of the product differs from its manifest entry; None where it does not."""
    path = product / safe_key(entry.key)
    if path.resolve() != path:
        return "a symbolic link"
    if not os.path.isfile(path):  # noqa: PTH113 - False also where no file can have such a name
        return "gone"
    if path.stat().st_size != entry.size:
        return f"{path.stat().st_size} bytes instead of {entry.size}"
    _, sha256 = cache.identify(str(path))
    return None if entry.sha256 == f"1220{sha256}" else f"sha256 {sha256[:12]}…"


def _unwritable(bundle: Bundle, error: OSError) -> EarthcodePackError:
    """Makes the error for a folder that cannot be made: a file in its way is the command line's fault."""
    what, remedy = f"{bundle.root}: cannot be written ({error.strerror or error})", "name a folder with --workdir"
    if isinstance(error, NotADirectoryError | FileExistsError):
        return UserError(what, remedy)
    return OutsideError(what, f"{remedy}, or allow writing there")
