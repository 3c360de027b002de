"""The order of the verbs, written once: ``prepare`` makes a bundle, ``publish`` brings it to its readers."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import pyproj  # noqa: F401 - before rasterio and ecCodes: see convert/read/__init__.py

from earthcode_pack import convert, storage
from earthcode_pack.assemble import assemble
from earthcode_pack.bundle import Bundle, open_bundle, read_json, sha256, to_json, values_to_json, write_atomic
from earthcode_pack.compute import mapper
from earthcode_pack.convert.work import Part, Record
from earthcode_pack.describe import Description, describe
from earthcode_pack.discover import discover
from earthcode_pack.errors import EarthcodePackError, NotApproved, OutsideError, SourceError, UserError
from earthcode_pack.model import Artifact, Failure, File, Finding, Job, Level, Plan, Sources, Summary
from earthcode_pack.plan import plan
from earthcode_pack.provenance import Stopwatch, provenance
from earthcode_pack.workspace import Workspace, bundle_of

if TYPE_CHECKING:
    from earthcode_pack.compute import Mapper
    from earthcode_pack.profile import Profile

logger = logging.getLogger("earthcode_pack")
T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Stage, done, total; called often."""


class Step(Protocol):
    """Runs one verb; a flow wraps it in a task."""

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """Returns what ``work`` returns."""


def call(name: str, work: Callable[[], T]) -> T:  # noqa: ARG001 - a step has a name
    """A step that only runs."""
    return work()


def silent(_stage: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


class Converted(NamedTuple):
    """What convert left: artifacts by job in the order of the plan, failures, and how many jobs were done before."""

    artifacts: list[Artifact]
    failures: tuple[Failure, ...]
    skipped: int


def default_workdir(profile_path: str) -> Path:
    """``.earthcode-pack`` beside a local profile, else in the current folder."""
    return (Path.cwd() if "://" in profile_path else Path(profile_path).absolute().parent) / ".earthcode-pack"


# --- the dry run ----------------------------------------------------------------------------------------------------


def dry_run(profile: Profile, workdir: str | Path) -> tuple[Plan, Summary]:
    """The plan and what it comes to. Writes nothing.

    Raises ``ProfileError`` where no file matches, ``UnknownId`` for ids that the catalogue lacks.
    """
    bundle = bundle_of(profile, workdir)
    workspace = Workspace(bundle)
    cache = storage.IdentityCache(workspace.identities)
    _check_catalog(profile, None)
    planned = plan(profile, discover(profile, cache))
    skipped = sum(workspace.done(job, cache) is not None for job in planned.jobs)
    return planned, Summary(
        bundle=str(bundle.root),
        digest=bundle.digest,
        items=len({job.item for job in planned.jobs}),
        assets=len(planned.jobs),
        skipped=skipped,
        failed=planned.failures,
        findings={level.value: 0 for level in Level},
        published=None,
    )


def _check_catalog(profile: Profile, workdir: Path | None) -> None:
    """Ids of the catalogue, before any work is done; its archive or clone is kept for the hand-off."""
    if profile.catalog is None:
        return
    import tempfile  # noqa: PLC0415

    from earthcode_pack.handoff import check_ids, open_catalog  # noqa: PLC0415 - only where there is a catalogue

    with tempfile.TemporaryDirectory(prefix="earthcode-pack-") as folder:
        check_ids(profile, open_catalog(profile.catalog.metadata, workdir or Path(folder)))


# --- prepare --------------------------------------------------------------------------------------------------------


def prepare(
    profile: Profile, workdir: str | Path | None = None, *, step: Step = call, progress: Progress = silent
) -> Bundle:
    """Converts, checks and describes a product into its bundle; what was done before and is unchanged is kept.

    Failures of single sources are in the bundle, not raised. Raises ``ProfileError``, ``UnknownId``, ``Locked`` or
    ``OutsideError``.
    """
    bundle = bundle_of(profile, workdir or Path.cwd() / ".earthcode-pack")
    workspace = Workspace(bundle)
    _check_catalog(profile, None)
    with workspace.held():
        return _Preparation(profile, bundle, workspace, step, progress).run()


class _Preparation:
    """One run of the verbs up to the bundle."""

    def __init__(self, profile: Profile, bundle: Bundle, workspace: Workspace, step: Step, progress: Progress) -> None:
        self.profile, self.bundle, self.workspace = profile, bundle, workspace
        self.step, self.progress = step, progress
        self.cache = storage.IdentityCache(workspace.identities)
        self.watch = Stopwatch()

    def run(self) -> Bundle:
        """The verbs in their order."""
        before = self.bundle.digest
        sources = self._do("discover", self._discover)
        planned = self._do("plan", lambda: self._plan(sources))
        converted = self._do("convert", lambda: self._convert(planned))
        failures = (*planned.failures, *converted.failures)
        if converted.artifacts:
            thumbnails = self._do("preview", lambda: self._previews(converted.artifacts))
            description = self._do(
                "describe",
                lambda: describe(self.profile, converted.artifacts, thumbnails, partial(self.progress, "describe")),
            )
            self._do("bundle", lambda: self._bundle(description, converted, thumbnails))
        else:
            (self.bundle.product / "manifest.json").unlink(missing_ok=True)
        self._record(sources, converted, failures, before)
        self._do("check", self._check)
        self._do("report", self._report)
        self.cache.save()
        return replace(self.bundle, skipped=converted.skipped)

    def _do(self, name: str, work: Callable[[], T]) -> T:
        logger.info("%s: %s", self.profile.product.id, name)
        with self.watch.stage(name):
            return self.step(name, work)

    def _discover(self) -> Sources:
        return discover(self.profile, self.cache, partial(self.progress, "discover"))

    def _plan(self, sources: Sources) -> Plan:
        planned = plan(self.profile, sources)
        write_atomic(self.bundle.root / "profile.yaml", self.profile.to_yaml())
        write_atomic(self.bundle.root / "plan.json", planned.to_json())
        self.workspace.forget_all_but(planned.jobs)
        return planned

    def _convert(self, planned: Plan) -> Converted:
        done = {job.key: artifact for job in planned.jobs if (artifact := self.workspace.done(job, self.cache))}
        todo = [job for job in planned.jobs if job.key not in done]
        made, failures = convert_jobs(todo, self.workspace, self.profile, partial(self.progress, "convert"))
        artifacts = done | made
        return Converted(
            [artifacts[job.key] for job in planned.jobs if job.key in artifacts], tuple(failures), len(done)
        )

    def _previews(self, artifacts: list[Artifact]) -> dict[str, File]:
        chosen = {artifact.item: artifact for artifact in reversed(artifacts)}
        wanted = self.profile.product.preview
        chosen |= {a.item: a for a in artifacts if wanted and a.format == "cog" and a.asset == wanted.variable}
        work = partial(draw_preview, self.profile, self.bundle)
        items = [chosen[item] for item in sorted(chosen)]
        drawn: dict[str, File] = {}
        with mapper(self.profile.compute) as run:
            for index, result in _counted(run(work, items), len(items), partial(self.progress, "preview")):
                if isinstance(result, Exception):
                    logger.warning("%s: no preview (%s)", items[index].item, result)
                elif result is not None:
                    drawn[items[index].item] = result
        return dict(sorted(drawn.items()))

    def _bundle(self, description: Description, converted: Converted, thumbnails: dict[str, File]) -> None:
        assemble(self.bundle, description, converted.artifacts, [file.key for file in thumbnails.values()])

    def _record(
        self, sources: Sources, converted: Converted, failures: tuple[Failure, ...], before: str | None
    ) -> None:
        """The record of the run; one that changed nothing leaves the record of the one that did."""
        path = self.bundle.root / "provenance.json"
        new = provenance(self.watch, sources.sources, converted.artifacts, failures)
        unchanged = before is not None and before == self.bundle.digest and path.is_file()
        if not (unchanged and read_json(path)["failed"] == new["failed"]):
            write_atomic(path, to_json(new))

    def _check(self) -> tuple[Finding, ...]:
        from earthcode_pack.checks import check  # noqa: PLC0415 - jsonschema and friends

        found = check(self.bundle.root) if self.bundle.digest else ()
        write_atomic(self.bundle.root / "findings.json", values_to_json(found))
        return found

    def _report(self) -> Path:
        from earthcode_pack.report import write_report  # noqa: PLC0415 - the template engine

        return write_report(self.bundle)


def convert_jobs(
    jobs: list[Job], workspace: Workspace, profile: Profile, progress: Callable[[int, int], None]
) -> tuple[dict[str, Artifact], list[Failure]]:
    """Artifacts by key, and the failures. Every verified part is noted at once, so that a killed run goes on."""
    failures: dict[str, Failure] = {}
    parts = _begun(jobs, workspace, failures)
    made: dict[str, Artifact] = {}
    waiting = _waiting(jobs, parts, failures)
    by_key = {job.key: job for job in jobs}
    for key, numbers in waiting.items():
        if not numbers:
            _finish(by_key[key], workspace, made, failures)
    with mapper(profile.compute) as run:
        results: Iterator[tuple[int, Any]] = run(convert.write, parts)
        for index, result in _counted(results, len(parts), progress):
            part = parts[index]
            if not _noted(part, result, workspace, failures):
                continue
            waiting[part.job.key].discard(part.number)
            if not waiting[part.job.key] and part.job.key not in failures:
                _finish(part.job, workspace, made, failures)
    return made, [failures[key] for key in sorted(failures)]


def _begun(jobs: list[Job], workspace: Workspace, failures: dict[str, Failure]) -> list[Part]:
    """The parts that are still to be written."""
    parts: list[Part] = []
    for job in jobs:
        try:
            every = convert.begin(job, workspace.folder(job))
        except SourceError as error:
            failures[job.key] = Failure(source=job.inputs[0].href, error=error.message, remedy=error.remedy)
            continue
        done = workspace.records(job)
        parts.extend(part for part in every if part.number not in done)
    return parts


def _waiting(jobs: list[Job], parts: list[Part], failures: dict[str, Failure]) -> dict[str, set[int]]:
    numbers: dict[str, set[int]] = defaultdict(set)
    for part in parts:
        numbers[part.job.key].add(part.number)
    return {job.key: numbers[job.key] for job in jobs if job.key not in failures}


def _noted(
    part: Part, result: Record | Failure | Exception, workspace: Workspace, failures: dict[str, Failure]
) -> bool:
    """Whether a part is done; if not, why its job failed."""
    if isinstance(result, OutsideError | UserError):
        raise result
    if isinstance(result, Record):
        workspace.keep_record(part.job, result)
        return True
    if isinstance(result, Exception):
        result = Failure(
            source=part.job.inputs[0].href, error=f"{part.job.key}: {result}", remedy="run again; it resumes"
        )
    failures.setdefault(part.job.key, result)
    return False


def _finish(job: Job, workspace: Workspace, made: dict[str, Artifact], failures: dict[str, Failure]) -> None:
    records = list(workspace.records(job).values())
    try:
        artifact = convert.finish(job, records, workspace.folder(job), workspace.bundle.product)
    except SourceError as error:
        failures[job.key] = Failure(source=job.inputs[0].href, error=error.message, remedy=error.remedy)
        return
    workspace.keep(job, artifact)
    made[job.key] = artifact


def _counted(
    results: Iterator[tuple[int, T]], total: int, progress: Callable[[int, int], None]
) -> Iterator[tuple[int, T]]:
    for done, result in enumerate(results, start=1):
        yield result
        progress(done, total)


def draw_preview(profile: Profile, bundle: Bundle, artifact: Artifact) -> File | None:
    """The thumbnail of an Item, drawn again only when its artifact or the profile's preview changed."""
    from earthcode_pack.describe.preview import draw  # noqa: PLC0415 - matplotlib's colour maps

    wanted = profile.product.preview
    by_name = {variable.name: variable for variable in artifact.variables}
    variable = by_name.get(wanted.variable) if wanted and wanted.variable in by_name else artifact.variables[0]
    assert variable is not None, "an artifact has a variable"
    style = wanted if wanted and wanted.variable == variable.name else None
    wish = hashlib.sha256(f"{artifact.fingerprint} {variable.name} {style!r}".encode()).hexdigest()
    key = f"previews/{artifact.item}.png"
    target, mark = bundle.product / key, bundle.root / ".work" / "previews" / f"{artifact.item}.txt"
    if not (target.is_file() and mark.is_file() and mark.read_text() == f"{wish} {sha256(target)}"):
        look: dict[str, Any] = {"colormap": style.colormap, "value_range": style.range} if style else {}
        write_atomic(
            target, draw(bundle.product / artifact.key, artifact.format, variable, dims=artifact.grid.dims, **look)
        )
        write_atomic(mark, f"{wish} {sha256(target)}")
    return File(key=key, size=target.stat().st_size, sha256=sha256(target))


# --- publish --------------------------------------------------------------------------------------------------------


def publish(
    bundle: Bundle,
    *,
    approve: str | None = None,
    allow_incomplete: bool = False,
    step: Step = call,
    progress: Progress = silent,
) -> str | None:
    """Uploads, registers and hands off a prepared bundle; where readers find it, None where it must not be published.

    Nothing leaves the bundle when sources failed (unless ``allow_incomplete``), when an error stands that the profile
    does not accept, or when the profile names no store. Raises ``NotApproved`` where ``approve`` is another digest.
    """
    digest = bundle.digest
    if approve is not None and approve != digest:
        raise NotApproved(
            f"{bundle.root}: its digest is {digest}, approved was {approve}",
            "review it again, and approve what it is now",
        )
    profile = bundle.profile()
    if profile.store is None or not may_publish(bundle, allow_incomplete=allow_incomplete):
        return None
    with Workspace(bundle).held():
        _check_catalog(profile, None)
        if profile.store.prr is not None:
            _hand_over(bundle, step)
            step("register", lambda: _register(bundle))
        href = step("upload", lambda: _upload(bundle, progress))
        step("hand off", lambda: _hand_off(bundle))
    step("report", lambda: _write_report(bundle))
    return href


def may_publish(bundle: Bundle, *, allow_incomplete: bool = False) -> bool:
    """Whether the product is whole and no error stands."""
    incomplete = bool(bundle.provenance().get("failed")) and not allow_incomplete
    return bundle.digest is not None and not incomplete and not bundle.standing_errors()


def _upload(bundle: Bundle, progress: Progress) -> str | None:
    from earthcode_pack.upload import published_href, upload  # noqa: PLC0415 - obstore and boto3

    profile = bundle.profile()
    assert profile.store is not None, "publish looked"
    upload(bundle, storage.open_store(profile.store), progress=partial(progress, "upload"))
    return published_href(profile)


def _register(bundle: Bundle) -> None:
    from earthcode_pack.register import register  # noqa: PLC0415

    register(bundle)


def _hand_over(bundle: Bundle, step: Step) -> None:
    from earthcode_pack.register import hand_over  # noqa: PLC0415

    step("hand over", lambda: hand_over(bundle))


def _hand_off(bundle: Bundle) -> list[str]:
    """The change set of the catalogue, and the documents of the PRR's hand-over route."""
    from earthcode_pack.handoff import hand_off  # noqa: PLC0415
    from earthcode_pack.register import hand_over  # noqa: PLC0415

    written = hand_off(bundle) if bundle.profile().catalog is not None else []
    return [*written, *hand_over(bundle)]


def _write_report(bundle: Bundle) -> Path:
    from earthcode_pack.report import write_report  # noqa: PLC0415

    return write_report(bundle)


def summarise(bundle: Bundle, published: str | None = None) -> Summary:
    """The object of ``run --json`` (contract 4.1)."""
    accepted = bundle.profile().accept
    record = bundle.provenance()
    standing = [finding for finding in bundle.findings() if finding.rule not in accepted]
    items = list(bundle.items()) if bundle.digest else []
    return Summary(
        bundle=str(bundle.root),
        digest=bundle.digest,
        items=len(items),
        assets=sum("data" in asset.get("roles", ()) for item in items for asset in item["assets"].values()),
        skipped=bundle.skipped,
        failed=tuple(Failure.model_validate(failure) for failure in record.get("failed", ())),
        findings={level.value: sum(finding.level is level for finding in standing) for level in Level},
        published=published,
    )


__all__ = [
    "EarthcodePackError", "Progress", "Step", "call", "default_workdir", "dry_run", "may_publish", "open_bundle", "prepare",
    "publish", "silent", "summarise",
]  # fmt: skip
