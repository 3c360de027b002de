"""Executes a plan: every job that is not done yet, part by part, on the workers that the profile names."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from earthcode_pack import convert, storage
from earthcode_pack.bundle import Packed, pack
from earthcode_pack.convert.work import Record
from earthcode_pack.errors import OutsideError, SourceError, UserError
from earthcode_pack.execution.mapper import mapper, reported
from earthcode_pack.model import Artifact, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from earthcode_pack.convert.work import Part, Sent
    from earthcode_pack.model import Job, Plan
    from earthcode_pack.profile import Profile
    from earthcode_pack.run.workspace import Workspace
    from earthcode_pack.storage import IdentityCache


class Converted(NamedTuple):
    """Result of a conversion: artifacts in the order of the plan, failures, and the number of jobs done before."""

    artifacts: Sequence[Artifact]
    failures: tuple[Failure, ...]
    skipped: int


def _ignore(_news: object) -> None:
    pass


class Forward(NamedTuple):
    """Callbacks that send data to a store as soon as it is made; by default none does.

    Attributes:
        write: ``convert.write``, or a function of its signature that workers can import.
        sent: called with what a worker put into the store.
        tell: called with each artifact that is final, first with those that were made before.

    """

    write: Callable[[Part], Record | Failure] = convert.write
    sent: Callable[[Sent], None] = _ignore
    tell: Callable[[Artifact], None] = _ignore


def execute(
    planned: Plan,
    workspace: Workspace,
    profile: Profile,
    cache: IdentityCache,
    progress: Callable[[int, int], None],
    *,
    forward: Forward = Forward(),  # noqa: B008 - frozen
) -> Converted:
    """Converts the jobs that are not done; every verified part is noted at once, so that a killed run resumes.

    The sources must be those that were hashed: after the last read of a job they are compared with ``cache``, files
    before the output gets its final name, folders (Zarr) once at the end.

    Args:
        planned: the plan.
        workspace: state of the run.
        profile: of the product.
        cache: identities of the sources as they were hashed.
        progress: called with the number of parts that are done, and of all.
        forward: where finished data goes at once.

    Returns:
        Artifacts and failures: a job that fails does not stop the others.

    Raises:
        OutsideError: storage or cluster fail, which concerns all jobs.
        UserError: the setup is wrong, which concerns all jobs.

    """
    done: dict[str, bytes] = {}
    for job in planned.jobs:
        if (artifact := workspace.done(job, cache)) is not None:
            done[job.key] = pack(artifact)
            forward.tell(artifact)
    run = _Execution(workspace, [job for job in planned.jobs if job.key not in done], forward, cache)
    if run.jobs:
        workspace.bundle.withdraw()  # from here on the product is not what its manifest says
        run.run(profile, progress)
    artifacts = done | run.made
    return Converted(
        Packed(Artifact, (artifacts[job.key] for job in planned.jobs if job.key in artifacts)),
        tuple(run.failures[key] for key in sorted(run.failures)),
        len(done),
    )


class _Execution:
    """State of the jobs: what is made, what failed, and the parts that each still waits for."""

    def __init__(self, workspace: Workspace, jobs: list[Job], forward: Forward, cache: IdentityCache) -> None:
        self.workspace = workspace
        self.jobs = jobs
        self.forward = forward
        self.cache = cache
        self.made: dict[str, bytes] = {}
        self.failures: dict[str, Failure] = {}
        self.waiting: dict[str, set[int]] = defaultdict(set)
        self.changed: set[str] = set()  # hrefs of sources that differ from what was hashed

    def run(self, profile: Profile, progress: Callable[[int, int], None]) -> None:
        """Writes the parts of all jobs, and finishes each job with its last part."""
        parts = [part for job in self.jobs for part in self._begin(job)]
        for part in parts:
            self.waiting[part.job.key].add(part.number)
        with mapper(profile.compute) as run:
            for index, result in reported(run(self.forward.write, parts), len(parts), progress):
                self._take(parts[index], result)
        self._take_back_what_changed()
        self._reconcile()

    def _begin(self, job: Job) -> list[Part]:
        """Returns the parts that are still to be written; none where the job fails, or is finished at once."""
        try:
            self.workspace.bring(job)
            parts = self._resume(job)
            if parts is None:
                parts = convert.begin(job, self.workspace.folder(job))
            return self.workspace.share(job, parts)
        except SourceError as error:
            self._fail(job, error)
            return []

    def _resume(self, job: Job) -> list[Part] | None:
        """Returns the parts that an interrupted run left; None where the job must begin anew.

        A run that was killed after its last part may have moved the output already, and not noted it.
        """
        noted = self.workspace.records(job)
        self._tell_sent(noted.values())
        rest = [part for part in convert.begin(job, self.workspace.folder(job)) if part.number not in noted]
        if rest:
            return rest
        try:
            self._finish(job)
        except OutsideError:
            raise  # what is done stays done
        except Exception:  # noqa: BLE001 - whatever is missing, or half there: it is made anew
            self.workspace.forget(job)
            return None
        return []

    def _take(self, part: Part, result: Record | Failure | Exception) -> None:
        """Notes the outcome of a part, once; the last part finishes its job."""
        if isinstance(result, OutsideError | UserError):
            raise result
        if not isinstance(result, Record):
            self._fail(part.job, result)
            return
        if part.number not in self.waiting[part.job.key]:
            return
        self.workspace.keep_record(part.job, result)
        self._tell_sent([result])
        self.waiting[part.job.key].discard(part.number)
        if not self.waiting[part.job.key] and part.job.key not in self.failures:
            try:
                self._finish(part.job)
            except OutsideError:
                raise
            except Exception as error:  # noqa: BLE001 - one bad file does not stop the rest, whatever its library raises
                self._fail(part.job, error)

    def _reconcile(self) -> None:
        """Compares what was made with the plan: a job without an artifact and without a failure is a failure."""
        for job in self.jobs:
            if job.key not in self.made and job.key not in self.failures:
                missing = ", ".join(map(str, sorted(self.waiting[job.key])))
                error = f"{job.key}: no result came of part {missing}" if missing else f"{job.key}: it was not finished"
                self.failures[job.key] = Failure(source=job.inputs[0].href, error=error, remedy="run again: it goes on")

    def _finish(self, job: Job) -> None:
        self._refuse_changed(job)
        self.workspace.collect(job)
        records = list(self.workspace.records(job).values())
        artifact = convert.finish(job, records, self.workspace.folder(job), self.workspace.bundle.product)
        self.workspace.keep(job, artifact)
        self.made[job.key] = pack(artifact)
        self.forward.tell(artifact)

    def _tell_sent(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.sent is not None:
                self.forward.sent(record.sent)

    def _refuse_changed(self, job: Job) -> None:
        """Raises ``Unreadable`` where a file that the job read is not the one that was hashed."""
        for source in job.inputs:
            is_file = not storage.is_folder(source.href)
            if is_file and not storage.is_unchanged(source.href, source.sha256, self.cache):
                self.changed.add(source.href)
                raise storage.changed(source.href)

    def _take_back_what_changed(self) -> None:
        """Fails all jobs of sources that changed, and drops their parts, which may mix values of both states.

        Folders (Zarr) are compared here, each once.
        """
        folders = {one.href: one.sha256 for job in self.jobs for one in job.inputs if storage.is_folder(one.href)}
        self.changed |= {href for href, digest in folders.items() if not storage.is_unchanged(href, digest, self.cache)}
        for job in self.jobs if self.changed else ():
            if source := next((one for one in job.inputs if one.href in self.changed), None):
                self.workspace.forget(job)
                self.workspace.drop(job)
                self.made.pop(job.key, None)
                failure = _failure_of(job, storage.changed(source.href))
                self.failures[job.key] = failure.model_copy(update={"source": source.href})

    def _fail(self, job: Job, result: Failure | Exception) -> None:
        """Notes the first failure of a job, and whether a source changed, which is then the reason."""
        if job.key not in self.failures:
            self.failures[job.key] = _failure_of(job, result)
            with suppress(SourceError):
                self._refuse_changed(job)


def _failure_of(job: Job, result: Failure | Exception) -> Failure:
    if isinstance(result, Failure):
        return result
    if isinstance(result, SourceError):
        return Failure(source=job.inputs[0].href, error=result.message, remedy=result.remedy)
    return Failure(
        source=job.inputs[0].href,
        error=f"{job.key}: {type(result).__name__}: {result}",
        remedy="run again: it goes on from here",
    )
