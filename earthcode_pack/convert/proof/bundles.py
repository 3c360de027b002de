"""The proof of a whole bundle: every block of its data against sources that can still be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack import storage
from earthcode_pack.checks import rules
from earthcode_pack.checks.artifacts import compared_findings
from earthcode_pack.convert.local_inputs import local_sources
from earthcode_pack.convert.proof.maps import prove_map
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.errors import EarthcodePackError, NotEqual, OutsideError
from earthcode_pack.formats import format_of
from earthcode_pack.model import Proof

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Finding, Job


def whole_findings(bundle: Bundle) -> Iterator[Finding]:
    """Compares every block of a bundle's data with its sources: a finding on all that agrees, and on each that differs.

    A source that is gone, or has changed since, is named and not compared.
    """
    total, known = Proof(), storage.IdentityCache()
    for job in bundle.plan().jobs:
        target = bundle.product / job.key
        reason = _not_at_hand(job, target, known)
        if reason is not None:
            yield rules.PROOF.finding(job.key, f"not compared with its sources: {reason}")
            continue
        try:
            total += _proved(job, target)
        except NotEqual as error:
            yield rules.DIFFERS.finding(job.key, error.message, remedy=error.remedy)
    if total != Proof():
        yield from compared_findings(total, "every block")


def _proved(job: Job, target: Path) -> Proof:
    with local_sources(job.inputs) as paths:
        if format_of(job.format).is_raster:
            return prove_map(job, target, paths, whole=True)
        from earthcode_pack.convert.proof.stores import prove_cube  # noqa: PLC0415 - xarray, which a COG may not need

        return prove_cube(job, target, paths, whole=True)


def _not_at_hand(job: Job, target: Path, known: storage.IdentityCache) -> str | None:
    """Why an output cannot be compared now; None where it can."""
    if not target.exists():
        return "it is not on this machine"
    for source in {source.href: source for source in job.inputs}.values():
        try:
            _, digest = storage.identify(source.href, known)
        except (EarthcodePackError, OSError) as error:
            if isinstance(error, OutsideError):
                return f"{name_of(source.href)} cannot be reached now"
            return f"{name_of(source.href)} cannot be read any more"
        if digest != source.sha256:
            return f"{name_of(source.href)} has changed since"
    return None
