"""The folder of a run inside its bundle: who holds it, what is done, and where parts are made."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack.bundle import Bundle, write_atomic
from earthcode_pack.convert.work import Record
from earthcode_pack.errors import Locked, ProfileError
from earthcode_pack.model import Artifact, Job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.profile import Profile
    from earthcode_pack.storage import IdentityCache


def bundle_of(profile: Profile, workdir: str | Path) -> Bundle:
    """Where the bundle of a product lies: ``<workdir>/<product id>/v<version>``. Creates nothing."""
    if "://" in str(workdir):
        raise ProfileError(
            f"workdir {workdir}: a workdir must be a local folder", "name a folder; publish to a URL with store.href"
        )
    return Bundle(Path(workdir).absolute() / profile.product.id / f"v{profile.product.version}")


class Workspace:
    """``.work`` in a bundle: artifacts by fingerprint, parts under way, the cache of identities."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.root = bundle.root / ".work"
        self.identities = self.root / "identities.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other runs off the bundle; the lock dies with the process. Raises ``Locked``."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Locked(
                    f"{self.bundle.root}: another run holds this bundle", "wait for it to end, then run again"
                ) from error
            for leftover in self.bundle.root.glob(".*.part"):  # of a run that was killed
                leftover.unlink()
            yield

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
        intact = all(self._is_intact(file.key, file.size, file.sha256, cache) for file in artifact.files)
        return artifact if intact else None

    def _is_intact(self, key: str, size: int, sha256: str, cache: IdentityCache) -> bool:
        path = self.bundle.product / key
        return path.is_file() and path.stat().st_size == size and cache.identify(str(path)) == (size, sha256)

    def keep(self, job: Job, artifact: Artifact) -> None:
        """Notes that a job is done, and drops its folder."""
        write_atomic(self._record(job), artifact.to_json())
        self.forget(job)

    def forget(self, job: Job) -> None:
        """Drops what was begun of a job."""
        shutil.rmtree(self.folder(job), ignore_errors=True)

    def _record(self, job: Job) -> Path:
        return self.root / "artifacts" / f"{job.fingerprint}.json"

    def records(self, job: Job) -> dict[int, Record]:
        """The parts of a job that an interrupted run had finished."""
        folder = self.folder(job) / "records"
        return {int(path.stem): Record.from_json(path.read_bytes()) for path in folder.glob("*.json")}

    def keep_record(self, job: Job, record: Record) -> None:
        """Notes that a part is written and verified."""
        write_atomic(self.folder(job) / "records" / f"{record.number}.json", record.to_json())

    def forget_all_but(self, jobs: tuple[Job, ...]) -> None:
        """Drops what belongs to no job of the present plan."""
        wanted = {job.fingerprint for job in jobs}
        for path in (self.root / "artifacts").glob("*.json"):
            if path.stem not in wanted:
                path.unlink()
        for folder in (self.root / "jobs").glob("*"):
            if folder.name not in {fingerprint[:32] for fingerprint in wanted}:
                shutil.rmtree(folder, ignore_errors=True)


def remove_strays(product: Path, keys: set[str]) -> None:
    """Removes every file of the product that no longer belongs to it, and folders that became empty."""
    for path in sorted(product.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(product).as_posix() not in keys:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
