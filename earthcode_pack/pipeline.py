"""The order of the verbs, written once: ``prepare`` makes a bundle, ``publish`` brings it to its readers."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyproj  # noqa: F401 - before rasterio and ecCodes: see convert/read/__init__.py

from earthcode_pack import __version__, storage
from earthcode_pack.assemble import Known, StacWriter, assemble
from earthcode_pack.bundle import Bundle, plan_to_json, values_to_json, write_atomic
from earthcode_pack.describe import Describing
from earthcode_pack.discover import discover
from earthcode_pack.errors import EarthcodePackError, ProfileError
from earthcode_pack.execute import Converted, Forward, execute
from earthcode_pack.fingerprint import fingerprint, processing_time
from earthcode_pack.illustrate import Pictures, illustrate
from earthcode_pack.model import Artifact, Failure, Finding, Level, Plan, Sources, Summary
from earthcode_pack.packed import Packed, pack
from earthcode_pack.plan import plan
from earthcode_pack.profile.model import Compute
from earthcode_pack.provenance import Seen, Stopwatch, measured, provenance, provenance_json
from earthcode_pack.publishing import Progress, Step, call, check_profile, data_ahead, may_publish, publish, silent
from earthcode_pack.report import write_report
from earthcode_pack.workdir import open_bundle, refresh
from earthcode_pack.workspace import Workspace, bundle_of, remove_strays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from earthcode_pack.profile import Profile

logger = logging.getLogger("earthcode_pack")
T = TypeVar("T")


def default_workdir(profile_path: str) -> Path:
    """``.earthcode-pack`` beside a local profile, else in the current folder."""
    return (Path.cwd() if "://" in profile_path else Path(profile_path).absolute().parent) / ".earthcode-pack"


# --- the dry run ----------------------------------------------------------------------------------------------------


def dry_run(profile: Profile, workdir: str | Path) -> tuple[Plan, Summary]:
    """The plan and what it comes to. Writes nothing, but for what it keeps of a workdir at a URL on this machine.

    Raises ``ProfileError`` where no file matches, ``UnknownId`` for ids that the catalogue lacks, ``VersionTaken``
    where another product is published as this version.
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
    """What an upload of the product as it is would do; None where that cannot be known now, which is no error."""
    if bundle.digest is None or bundle.profile().store != profile.store:
        return None
    from earthcode_pack.upload import difference  # noqa: PLC0415 - only where there is something to upload

    try:
        return difference(bundle).counts() if profile.store is not None and profile.store.href is not None else None
    except EarthcodePackError as error:
        logger.warning("what would be uploaded is not known: %s", error)
        return None


def _check_preview(profile: Profile, planned: Plan) -> None:
    """A preview is of a variable that the product holds."""
    names = sorted({variable.name for job in planned.jobs for source in job.inputs for variable in source.variables})
    preview = profile.product.preview
    if preview is not None and names and preview.variable not in names:
        raise ProfileError(
            f"product.preview.variable: {preview.variable!r} is none of the product's variables, {', '.join(names)}",
            "correct product.preview.variable",
        )


def _notes(sources: Sources) -> list[Finding]:
    """What the sources leave open, each once."""
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
    """Converts, checks and describes a product into its bundle; what was done before and is unchanged is kept.

    With ``ahead``, where ``publish`` follows without anybody's approval, verified data goes to the store meanwhile;
    what refers to it does not. When the product turns out as one that must not be published (``may_publish``, with
    ``allow_incomplete``), that data is taken back. After an exception it stays, for the run that goes on, or ``clean``.

    A product that is published already is recognised before anything is converted (see ``fingerprint``). Of the same
    product the processing time is taken over; where another one is published as this version, ``VersionTaken`` is
    raised with ``ahead`` and a warning given without.

    Failures of single sources are in the bundle, not raised. Raises ``ProfileError``, ``UnknownId``, ``VersionTaken``,
    ``Locked`` or ``OutsideError``.
    """
    bundle = bundle_of(profile, workdir or Path.cwd() / ".earthcode-pack")
    workspace = Workspace(bundle)
    check_profile(profile)
    with workspace.held(), data_ahead(workspace, profile, ahead, allow_incomplete) as forward:
        preparation = _Preparation(profile, bundle, workspace, step=step, progress=progress, forward=forward)
        return preparation.run(refuse_taken=ahead)


class _Preparation:
    """One run of the verbs up to the bundle."""

    def __init__(
        self,
        profile: Profile,
        bundle: Bundle,
        workspace: Workspace,
        *,
        step: Step,
        progress: Progress,
        forward: Forward,
    ) -> None:
        self.profile, self.bundle, self.workspace = profile, bundle, workspace
        self.step, self.progress, self.forward = step, progress, forward
        self.cache = storage.IdentityCache(workspace.identities)
        self.watch = Stopwatch()
        self.fingerprint = ""
        self.processed: datetime | None = None  # as published, or as described here before
        self.is_settled = False  # nothing changed since the product was checked, and its data is not on this machine

    def run(self, *, refuse_taken: bool) -> Bundle:
        """The verbs in their order."""
        before, state = self.bundle.digest, self._state()
        sources = self._do("discover", self._discover)
        planned = self._do("plan", lambda: self._plan(sources, refuse_taken=refuse_taken))
        seen, notes = [(one.href, one.size, one.sha256) for one in sources.sources], _notes(sources)
        sources = Sources(sources=())  # of many files they take as much memory as all that follows
        converted = self._do("convert", lambda: self._convert(planned))
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

    def _discover(self) -> Sources:
        return discover(self.profile, self.cache, partial(self.progress, "discover"))

    def _plan(self, sources: Sources, *, refuse_taken: bool) -> Plan:
        planned = plan(self.profile, sources)
        _check_preview(self.profile, planned)
        self.fingerprint = fingerprint(self.profile, planned)
        self.processed = processing_time(self.profile, self.bundle, self.fingerprint, refuse=refuse_taken)
        write_atomic(self.bundle.root / "profile.yaml", self.profile.to_yaml())
        write_atomic(self.bundle.root / "plan.json", plan_to_json(planned))
        self.workspace.forget_all_but(planned.jobs)
        self.workspace.tell_plan()
        return planned

    def _state(self) -> tuple[str, bytes, bytes] | None:
        """What a product at a URL that was checked, by this version, was made of; None where there is none."""
        if self.workspace.mirror is None:
            return None
        files = [self.bundle.root / name for name in ("profile.yaml", "plan.json", "findings.json")]
        made_by = self.bundle.provenance().get("software", {}).get("earthcode_pack")
        if self.bundle.digest is None or made_by != __version__ or not all(file.is_file() for file in files):
            return None
        return self.bundle.digest, files[0].read_bytes(), files[1].read_bytes()

    def _convert(self, planned: Plan) -> Converted:
        progress = partial(self.progress, "convert")
        return execute(planned, self.workspace, self.profile, self.cache, progress, forward=self.forward)

    def _describe(self, made: Sequence[Artifact]) -> None:
        """Pictures, STAC and manifest; of nothing, nothing is left. A product has one time of processing."""
        processed = self.processed or max((artifact.processed for artifact in made), default=None)
        artifacts = Packed(Artifact, (pack(artifact.model_copy(update={"processed": processed})) for artifact in made))
        if not artifacts:
            self.workspace.withdraw()
            remove_strays(self.bundle.product, set())
            return
        pictures = self._do("preview", lambda: self._illustrate(artifacts))
        previews = {made.file.key: (made.file.size, made.file.sha256) for made in pictures.thumbnails.values()}
        written = self._do("describe", lambda: self._write_stac(artifacts, pictures))
        self._do("bundle", lambda: assemble(self.bundle, artifacts, written | previews))

    def _write_stac(self, artifacts: Sequence[Artifact], pictures: Pictures) -> Known:
        describing = Describing(self.profile, artifacts, *pictures, fingerprint=self.fingerprint)
        return StacWriter(self.bundle).write(describing, partial(self.progress, "describe"))

    def _illustrate(self, artifacts: Packed[Artifact]) -> Pictures:
        if not self.is_settled:
            self.workspace.fetch(artifacts)
        # what was made at a URL is at hand here, and not on other workers
        near = self.profile if self.bundle.url is None else self.profile.model_copy(update={"compute": Compute()})
        return illustrate(near, self.bundle, artifacts, partial(self.progress, "preview"))

    def _record(
        self, sources: list[Seen], converted: Converted, failures: tuple[Failure, ...], before: str | None
    ) -> None:
        """The record of the run; one that changed nothing leaves the record of the one that did."""
        old = self.bundle.provenance()
        new = provenance(self.watch, sources, failures, old.get("approvals", []))
        unchanged = before is not None and before == self.bundle.digest
        if not (unchanged and old.get("failed") == new["failed"]):
            write_atomic(self.bundle.root / "provenance.json", provenance_json(new, measured(converted.artifacts)))

    def _check(
        self, left_open: list[Finding], artifacts: Sequence[Artifact], before: str | None
    ) -> tuple[Finding, ...]:
        """What the product breaks of the rules, and what the sources leave open."""
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
    """The object of ``run --json`` (contract 4.1)."""
    accepted = bundle.profile().accept
    record = bundle.provenance()
    standing = [finding for finding in bundle.findings() if finding.rule not in accepted]
    data_assets = [_data_assets(item) for item in bundle.items()] if bundle.digest else []
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


def _data_assets(item: dict[str, Any]) -> int:
    return sum("data" in asset.get("roles", ()) for asset in item["assets"].values())


__all__ = [
    "EarthcodePackError", "Progress", "Step", "call", "default_workdir", "dry_run", "may_publish", "open_bundle",
    "prepare", "publish", "silent", "summarise",
]  # fmt: skip
