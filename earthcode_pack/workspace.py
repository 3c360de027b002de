"""The folder of a run inside its bundle: who holds it, what is done, and where parts are made."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from earthcode_pack.bundle import values_to_json, write_atomic
from earthcode_pack.convert.work import Record, Sent
from earthcode_pack.errors import EarthcodePackError, Locked, OutsideError, UserError
from earthcode_pack.mirror_jobs import JobThere, said_there
from earthcode_pack.model import Artifact, File, Job
from earthcode_pack.portable import locked
from earthcode_pack.storage import IdentityCache, each
from earthcode_pack.storage.words import safe_key
from earthcode_pack.workdir import bundle_in, mirror_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.convert.work import Part
    from earthcode_pack.mirror import Mirror
    from earthcode_pack.model import ManifestEntry
    from earthcode_pack.profile import Profile


_SENT = TypeAdapter(list[Sent])


def bundle_of(profile: Profile, workdir: str | Path) -> Bundle:
    """Where the bundle of a product lies: ``<workdir>/<product id>/v<version>``. Creates nothing.

    Raises ``ProfileError`` where the workdir is a URL that cannot be one.
    """
    return bundle_in(workdir, profile.product.id, profile.product.version)


class Workspace:
    """``.work`` in a bundle: artifacts by fingerprint, parts under way, the cache of identities.

    Where the bundle lies at a URL, all of it is in its ``mirror``, and goes there as it is noted here.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.root = bundle.root / ".work"
        self.identities = self.root / "identities.json"
        self.mirror = mirror_of(bundle)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other runs off the bundle; the lock dies with the process.

        Folders that are made here are for this user alone: raw data and their records may be closed.

        Raises ``Locked``; ``UserError`` or ``OutsideError`` where the workdir cannot be written.
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
        """Compares every file of the product with its manifest, but for ``elsewhere``: keys that workers have put.

        Raises ``UserError`` for one that is gone, a symbolic link, or of another size or sha256.
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

    def withdraw(self) -> None:
        """What follows changes the product: it is not whole until there is a new manifest, nor checked."""
        for path in (self.bundle.product / "manifest.json", self.bundle.root / "findings.json"):
            path.unlink(missing_ok=True)

    def folder(self, job: Job) -> Path:
        """Where the parts of a job are made."""
        return self.root / "jobs" / job.fingerprint[:32]

    def done(self, job: Job, cache: IdentityCache) -> Artifact | None:
        """The artifact of a job that was made before, if every file of it is still what was verified."""
        path = self._record(job)
        if not path.is_file():
            return None
        artifact = Artifact.from_json(path.read_bytes())
        return artifact if self._are_intact(artifact.files, cache) else None

    def _are_intact(self, files: tuple[File, ...], cache: IdentityCache) -> bool:
        if self.mirror is None:
            return all(self._is_intact(file, cache) for file in files)
        away = [file for file in files if not self._is_intact(file, cache)]
        if not all(each(self.mirror.holds, away)):
            return False
        for file in away:  # what is here under that name is something else
            (self.bundle.product / file.key).unlink(missing_ok=True)
        return True

    def _is_intact(self, file: File, cache: IdentityCache) -> bool:
        path = self.bundle.product / file.key
        size, digest = file.size, file.sha256
        return path.is_file() and path.stat().st_size == size and cache.identify(str(path)) == (size, digest)

    def keep(self, job: Job, artifact: Artifact) -> None:
        """Notes that a job is done, and drops its folder."""
        if self.mirror is not None:
            self.mirror.send_product(artifact.files)
        self._keep_sent(job)
        write_atomic(self._record(job), artifact.to_json())
        if self.mirror is not None:
            self.mirror.send([self._record(job).relative_to(self.bundle.root).as_posix()])
        self.forget(job)

    def _keep_sent(self, job: Job) -> None:
        """What workers put into a store outlives the job's folder: who goes on, or cleans up, must know of it."""
        sent = [record.sent for record in self.records(job).values() if record.sent is not None]
        if sent and self.mirror is not None:
            path = self.root / "sent" / f"{job.fingerprint}.json"
            write_atomic(path, values_to_json(sent))
            self.mirror.send([path.relative_to(self.bundle.root).as_posix()])

    def sent(self) -> list[Sent]:
        """What workers put, or said that they would put, into a store; asks the workdir for what is not done."""
        if self.mirror is None:
            return []
        done = [one for path in self._sent_files() for one in _SENT.validate_json(path.read_bytes())]
        return [*said_there(self.mirror), *done]

    def forget_sent(self, place: str) -> None:
        """Drops what is known of it for a place, where all is published."""
        for path in self._sent_files():
            kept = [one for one in _SENT.validate_json(path.read_bytes()) if one.place != place]
            if kept:
                write_atomic(path, values_to_json(kept))
            else:
                path.unlink()

    def _sent_files(self) -> list[Path]:
        return sorted((self.root / "sent").glob("*.json"))

    def forget(self, job: Job) -> None:
        """Drops what was begun of a job."""
        shutil.rmtree(self.folder(job), ignore_errors=True)
        if self.mirror is not None:
            self._there(self.mirror, job).drop()

    def drop(self, job: Job) -> None:
        """Takes back what was made of a job: its output, and the note that it is done."""
        self._record(job).unlink(missing_ok=True)
        output = self.bundle.product / job.key
        shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)

    def _record(self, job: Job) -> Path:
        return self.root / "artifacts" / f"{job.fingerprint}.json"

    def records(self, job: Job) -> dict[int, Record]:
        """The parts of a job that an interrupted run had finished."""
        folder = self.folder(job) / "records"
        return {int(path.stem): Record.from_json(path.read_bytes()) for path in folder.glob("*.json")}

    def keep_record(self, job: Job, record: Record) -> None:
        """Notes that a part is written and verified."""
        write_atomic(self.folder(job) / "records" / f"{record.number}.json", record.to_json())
        if self.mirror is not None:
            self._there(self.mirror, job).note(record)

    def bring(self, job: Job) -> None:
        """Makes the folder of a job what an interrupted run, here or elsewhere, had left of it."""
        if self.mirror is None:
            return
        there = self._there(self.mirror, job)
        there.bring()
        for number, record in self.records(job).items():
            if not there.has(record):
                (self.folder(job) / "records" / f"{number}.json").unlink()
        self.collect(job)

    def collect(self, job: Job) -> None:
        """Makes sure that all parts of a job are in its folder, wherever they were written."""
        if self.mirror is not None:
            self._there(self.mirror, job).collect(self.records(job).values())

    def share(self, job: Job, parts: list[Part]) -> list[Part]:
        """The parts as any worker can do them."""
        return parts if self.mirror is None else self._there(self.mirror, job).share(parts)

    def _there(self, mirror: Mirror, job: Job) -> JobThere:
        return JobThere(mirror, self.folder(job).name)

    # --- the product ------------------------------------------------------------------------------------------------

    def tell_plan(self) -> None:
        """Where the bundle lies at a URL, what is being made is said there before it is made."""
        if self.mirror is not None:
            self.mirror.send_changed(["profile.yaml", "plan.json"])

    def lacks(self, artifacts: Iterable[Artifact]) -> bool:
        """Whether data of the product is not on this machine."""
        return self.mirror is not None and self.mirror.lacks(file for one in artifacts for file in one.files)

    def fetch(self, artifacts: Iterable[Artifact]) -> None:
        """Brings the data of the product that is not on this machine."""
        if self.mirror is not None:
            self.mirror.fetch(file for one in artifacts for file in one.files)

    def forget_all_but(self, jobs: tuple[Job, ...]) -> None:
        """Drops what belongs to no job of the present plan."""
        wanted = {job.fingerprint for job in jobs}
        for path in (self.root / "artifacts").glob("*.json"):
            if path.stem not in wanted:
                path.unlink()
        for folder in (self.root / "jobs").glob("*"):
            if folder.name not in {fingerprint[:32] for fingerprint in wanted}:
                shutil.rmtree(folder, ignore_errors=True)


def _difference(product: Path, cache: IdentityCache, entry: ManifestEntry) -> str | None:
    """What a file of the product is instead of what its manifest says; None where it is that."""
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
    """Why the bundle's folder cannot be made: a file in its way is the command line's fault."""
    what, remedy = f"{bundle.root}: cannot be written ({error.strerror or error})", "name a folder with --workdir"
    if isinstance(error, NotADirectoryError | FileExistsError):
        return UserError(what, remedy)
    return OutsideError(what, f"{remedy}, or allow writing there")


def remove_strays(product: Path, keys: set[str]) -> None:
    """Removes every file of the product that no longer belongs to it, and folders that became empty."""
    for path in sorted(product.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(product).as_posix() not in keys:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
