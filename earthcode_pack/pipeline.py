"""The order of the verbs: ``prepare`` makes a bundle, ``publish`` brings it to its readers."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyproj  # noqa: F401 - before rasterio and ecCodes: see convert/read/__init__.py

from earthcode_pack import __version__, storage
from earthcode_pack.bundle import Bundle, Packed, pack, plan_to_json, remove_strays, values_to_json
from earthcode_pack.bundle.assemble import StacWriter, assemble
from earthcode_pack.bundle.provenance import Seen, Stopwatch, measured, provenance, provenance_json
from earthcode_pack.describe import Describing
from earthcode_pack.describe.illustrate import Pictures, illustrate
from earthcode_pack.errors import EarthcodePackError, ProfileError
from earthcode_pack.files import write_atomic
from earthcode_pack.model import Artifact, Failure, Finding, Level, Plan, Sources, Summary
from earthcode_pack.plan import plan
from earthcode_pack.profile.model import Compute
from earthcode_pack.remote.workdir import open_bundle, refresh
from earthcode_pack.report import write_report
from earthcode_pack.run.execute import Converted, Forward, execute
from earthcode_pack.run.fingerprint import fingerprint, processing_time
from earthcode_pack.run.publish import Progress, Step, call, check_profile, data_ahead, may_publish, publish, silent
from earthcode_pack.run.workspace import Workspace, bundle_of
from earthcode_pack.sources.discover import discover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from earthcode_pack.profile import Profile

logger = logging.getLogger("earthcode_pack")
T = TypeVar("T")


def default_workdir(profile_path: str) -> Path:
    """Returns ``.earthcode-pack`` beside a local profile, else in the current folder."""
    return (Path.cwd() if "://" in profile_path else Path(profile_path).absolute().parent) / ".earthcode-pack"


# --- the dry run ----------------------------------------------------------------------------------------------------


def dry_run(profile: Profile, workdir: str | Path) -> tuple[Plan, Summary]:
    """Plans a product, and finds every error that can be known now; writes nothing but the mirror of a remote workdir.

    Args:
        profile: of the product.
        workdir: folder or URL of bundles.

    Returns:
        The plan, and its summary.

    Raises:
        ProfileError: no file matches, or the profile is wrong.
        UnknownId: the catalogue lacks an id of the profile.
        VersionTaken: another product is published as this version.
        OutsideError: storage or catalogue fail.

    """
    bundle = bundle_of(profile, workdir)
    refresh(bundle)
    workspace = Workspace(bundle)
    cache = storage.IdentityCache(workspace.identities)
    check_profile(profile)
    sources = discover(profile, cache)
    planned = plan(profile, sources)
    _check_preview(profile, planned)
    processing_time(profile, bundle, fingerprint(profile, planned), refuse=True)
    skipped = sum(workspace.done(job, cache) is not None for job in planned.jobs)
    return planned, Summary(
        bundle=bundle.name,
        digest=bundle.digest,
        items=len({job.item for job in planned.jobs}),
        assets=len(planned.jobs),
        skipped=skipped,
        failed=planned.failures,
        findings=_counted(note for note in _notes(sources) if note.rule not in profile.accept),
        published=None,
        difference=_difference(bundle, profile) if skipped == len(planned.jobs) else None,
    )


def _difference(bundle: Bundle, profile: Profile) -> dict[str, int] | None:
    """Counts what an upload of the product would do; None where that cannot be known now, which is no error."""
    if bundle.digest is None or bundle.profile().store != profile.store:
        return None
    from earthcode_pack.upload import difference  # noqa: PLC0415 - only where there is something to upload

    try:
        return difference(bundle).counts() if profile.store is not None and profile.store.href is not None else None
    except EarthcodePackError as error:
        logger.warning("what would be uploaded is not known: %s", error)
        return None


def _check_preview(profile: Profile, planned: Plan) -> None:
    """Refuses a preview of a variable that the product lacks."""
    names = sorted({variable.name for job in planned.jobs for source in job.inputs for variable in source.variables})
    preview = profile.product.preview
    if preview is not None and names and preview.variable not in names:
        raise ProfileError(
            f"product.preview.variable: {preview.variable!r} is none of the product's variables, {', '.join(names)}",
            "correct product.preview.variable",
        )


def _notes(sources: Sources) -> list[Finding]:
    """Collects the findings of the sources, each once."""
    return list({note.to_json(): note for source in sources.sources for note in source.notes}.values())


def _counted(findings: Iterable[Finding]) -> dict[str, int]:
    levels = [finding.level for finding in findings]
    return {level.value: levels.count(level) for level in Level}


# --- prepare --------------------------------------------------------------------------------------------------------


def prepare(
    profile: Profile,
    workdir: str | Path | None = None,
    *,
    step: Step = call,
    progress: Progress = silent,
    ahead: bool = False,
    allow_incomplete: bool = False,
) -> Bundle:
    """Converts, describes and checks a product in its bundle; work that was done before and is unchanged is kept.

    A published product is recognised before anything is converted (see ``run.fingerprint``): the processing time of
    the same product is reused; another product under this version is an error with ``ahead``, else a warning.

    Args:
        profile: of the product.
        workdir: folder or URL of bundles, by default ``.earthcode-pack`` in the current folder.
        step: runs each stage.
        progress: called with stage, done and total.
        ahead: send verified data to the store while the rest is converted, for a ``publish`` that follows without
            approval. Data of a product that must not be published is taken back; after an exception it stays, for the
            run that resumes or for ``clean``.
        allow_incomplete: with ``ahead``, keep the data although some sources failed.

    Returns:
        The bundle. Failures of single sources are recorded in it, not raised.

    Raises:
        ProfileError: the profile is wrong.
        UnknownId: the catalogue lacks an id of the profile.
        VersionTaken: with ``ahead``, another product is published as this version.
        Locked: another run holds the bundle.
        OutsideError: storage, cluster or catalogue fail.

    """
    bundle = bundle_of(profile, workdir or Path.cwd() / ".earthcode-pack")
    workspace = Workspace(bundle)
    check_profile(profile)
    with workspace.held():
        preparation = _Preparation(profile, bundle, workspace, step=step, progress=progress)
        preparation.discover()  # before the thread of ``data_ahead``: processes are forked here
        with data_ahead(workspace, profile, ahead, allow_incomplete) as forward:
            return preparation.run(forward, refuse_taken=ahead)


class _Preparation:
    """Preparation of one bundle: the verbs from ``discover`` to ``report``."""

    def __init__(
        self, profile: Profile, bundle: Bundle, workspace: Workspace, *, step: Step, progress: Progress
    ) -> None:
        self.profile, self.bundle, self.workspace = profile, bundle, workspace
        self.step, self.progress = step, progress
        self.cache = storage.IdentityCache(workspace.identities)
        self.watch = Stopwatch()
        self.sources = Sources(sources=())
        self.fingerprint = ""
        self.processed: datetime | None = None  # as published, or as described here before
        self.is_settled = False  # nothing changed since the product was checked, and its data is not on this machine

    def discover(self) -> None:
        """Finds the sources: the first verb."""
        progress = partial(self.progress, "discover")
        self.sources = self._do("discover", lambda: discover(self.profile, self.cache, progress))

    def run(self, forward: Forward, *, refuse_taken: bool) -> Bundle:
        """Runs the other verbs in their order; ``forward`` takes data while it is made."""
        before, state = self.bundle.digest, self._state()
        sources = self.sources
        planned = self._do("plan", lambda: self._plan(sources, refuse_taken=refuse_taken))
        seen, notes = [(one.href, one.size, one.sha256) for one in sources.sources], _notes(sources)
        sources = self.sources = Sources(sources=())  # of many files they take as much memory as all that follows
        convert_progress = partial(self.progress, "convert")
        converted = self._do(
            "convert",
            lambda: execute(planned, self.workspace, self.profile, self.cache, convert_progress, forward=forward),
        )
        self.is_settled = self.workspace.lacks(converted.artifacts) and state is not None and state == self._state()
        self._describe(converted.artifacts)
        self._record(seen, converted, (*planned.failures, *converted.failures), before)
        self._do("check", lambda: self._check(notes, converted.artifacts, before))
        self._do("report", lambda: write_report(self.bundle))
        if before != self.bundle.digest:  # an unchanged product leaves every file as it is
            self.cache.save()
        return replace(self.bundle, skipped=converted.skipped)

    def _do(self, name: str, work: Callable[[], T]) -> T:
        logger.info("%s: %s", self.profile.product.id, name)
        with self.watch.stage(name):
            return self.step(name, work)

    def _plan(self, sources: Sources, *, refuse_taken: bool) -> Plan:
        planned = plan(self.profile, sources)
        _check_preview(self.profile, planned)
        self.fingerprint = fingerprint(self.profile, planned)
        self.processed = processing_time(self.profile, self.bundle, self.fingerprint, refuse=refuse_taken)
        write_atomic(self.bundle.root / "profile.yaml", self.profile.to_yaml())
        write_atomic(self.bundle.root / "plan.json", plan_to_json(planned))
        self.workspace.forget_all_but(planned.jobs)
        self.workspace.send_plan()
        return planned

    def _state(self) -> tuple[str, bytes, bytes] | None:
        """Returns digest, profile and plan of a product at a URL that this version has checked; else None."""
        if self.workspace.mirror is None:
            return None
        files = [self.bundle.root / name for name in ("profile.yaml", "plan.json", "findings.json")]
        made_by = self.bundle.provenance().get("software", {}).get("earthcode_pack")
        if self.bundle.digest is None or made_by != __version__ or not all(file.is_file() for file in files):
            return None
        return self.bundle.digest, files[0].read_bytes(), files[1].read_bytes()

    def _describe(self, made: Sequence[Artifact]) -> None:
        """Makes previews, STAC and manifest, with one time of processing; without artifacts it empties the product."""
        processed = self.processed or max((artifact.processed for artifact in made), default=None)
        artifacts = Packed(Artifact, (pack(artifact.model_copy(update={"processed": processed})) for artifact in made))
        if not artifacts:
            self.bundle.withdraw()
            remove_strays(self.bundle.product, set())
            return
        pictures = self._do("preview", lambda: self._illustrate(artifacts))
        previews = {made.file.key: (made.file.size, made.file.sha256) for made in pictures.thumbnails.values()}
        describing = Describing(self.profile, artifacts, *pictures, fingerprint=self.fingerprint)
        describe_progress = partial(self.progress, "describe")
        written = self._do("describe", lambda: StacWriter(self.bundle).write(describing, describe_progress))
        self._do("bundle", lambda: assemble(self.bundle, artifacts, written | previews))

    def _illustrate(self, artifacts: Packed[Artifact]) -> Pictures:
        if not self.is_settled:
            self.workspace.fetch(artifacts)
        # data of a workdir at a URL is on this machine, and not on other workers
        near = self.profile if self.bundle.url is None else self.profile.model_copy(update={"compute": Compute()})
        return illustrate(near, self.bundle, artifacts, partial(self.progress, "preview"))

    def _record(
        self, sources: list[Seen], converted: Converted, failures: tuple[Failure, ...], before: str | None
    ) -> None:
        """Writes the record of the run, unless nothing changed."""
        old = self.bundle.provenance()
        new = provenance(self.watch, sources, failures, old.get("approvals", []))
        unchanged = before is not None and before == self.bundle.digest
        if not (unchanged and old.get("failed") == new["failed"]):
            write_atomic(self.bundle.root / "provenance.json", provenance_json(new, measured(converted.artifacts)))

    def _check(
        self, left_open: list[Finding], artifacts: Sequence[Artifact], before: str | None
    ) -> tuple[Finding, ...]:
        """Checks the product, and writes all findings, those of the sources included."""
        from earthcode_pack.checks import check  # noqa: PLC0415 - heavy
        from earthcode_pack.checks.artifacts import (  # noqa: PLC0415  # noqa: PLC0415
            class_findings,
            item_gap_findings,
            nodata_findings,
            proof_findings,
            transparency_findings,
        )

        if self.is_settled and self.bundle.digest == before:
            return self.bundle.findings()
        self.workspace.fetch(artifacts)
        found = check(self.bundle.root) if self.bundle.digest else ()
        known = {finding.rule for finding in found}  # of the product, which says it of the source too
        seen = (*class_findings(artifacts), *nodata_findings(artifacts), *transparency_findings(artifacts))
        notes = (*seen, *item_gap_findings(artifacts), *left_open)
        every = (*found, *(note for note in notes if note.rule not in known), *proof_findings(artifacts))
        write_atomic(self.bundle.root / "findings.json", values_to_json(every))
        return every


# --- what came of it ------------------------------------------------------------------------------------------------


def summarise(bundle: Bundle, published: str | None = None) -> Summary:
    """Summarises a bundle as the object of ``run --json`` (contract 4.1).

    Args:
        bundle: a prepared bundle.
        published: the href where it is published, if it is.

    """
    accepted = bundle.profile().accept
    record = bundle.provenance()
    standing = [finding for finding in bundle.findings() if finding.rule not in accepted]
    items = bundle.items() if bundle.digest else ()
    data_assets = [sum("data" in asset.get("roles", ()) for asset in item["assets"].values()) for item in items]
    return Summary(
        bundle=bundle.name,
        digest=bundle.digest,
        items=len(data_assets),
        assets=sum(data_assets),
        skipped=bundle.skipped,
        failed=tuple(Failure.model_validate(failure) for failure in record.get("failed", ())),
        findings=_counted(standing),
        published=published,
    )


__all__ = [
    "EarthcodePackError", "Progress", "Step", "call", "default_workdir", "dry_run", "may_publish", "open_bundle",
    "prepare", "publish", "silent", "summarise",
]  # fmt: skip
