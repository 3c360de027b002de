"""Plan of a product: from sources to jobs, what would be read and written. Writes nothing, opens nothing."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from earthcode_pack import __version__
from earthcode_pack.convert.jobs import failure_of, on_shared_grids, with_whole_stems
from earthcode_pack.convert.read.agreed import difference
from earthcode_pack.convert.read.file_names import name_of
from earthcode_pack.formats import format_of
from earthcode_pack.model import Job, Plan, Sources

if TYPE_CHECKING:
    from collections.abc import Collection

    from earthcode_pack.model import Failure, Source, Variable
    from earthcode_pack.profile import Profile

# Raise it when the same job would write other bytes.
CONVERTER = 3


def plan(profile: Profile, sources: Sources) -> Plan:
    """Returns the jobs of a product, each with its fingerprint, and the sources that cannot be used with the reason.

    Args:
        profile: the profile.
        sources: what discover found.

    """
    usable, differing = _of_one_meaning(sources.sources)
    jobs, failures = format_of(profile.target.format).plan(profile, with_whole_stems(on_shared_grids(usable)))
    return Plan(
        product=profile.product.id,
        version=profile.product.version,
        jobs=tuple(
            job.model_copy(update={"fingerprint": fingerprint(job)}) for job in sorted(jobs, key=lambda job: job.key)
        ),
        failures=(*sources.failures, *differing, *failures),
    )


def fingerprint(job: Job, *, without: Collection[str] = ()) -> str:
    """Returns the hash of the sources' identity, the encoding and the converter's version; places do not matter.

    Args:
        job: the job.
        without: fields of its encoding to leave out.

    """
    left_out: dict[str, Any] = {"fingerprint": True, "inputs": {"__all__": {"href"}}}
    if without:
        left_out["options"] = {*without}
    text = json.dumps([CONVERTER, __version__, job.model_dump(mode="json", exclude=left_out)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _of_one_meaning(sources: tuple[Source, ...]) -> tuple[tuple[Source, ...], list[Failure]]:
    """Returns the sources whose variables have the units and standard names of the first file that holds each of them.

    Nothing is converted, so the others are failures that name both files and both values.
    """
    first: dict[str, tuple[Source, Variable]] = {}
    kept, failures = [], []
    for source in sources:
        known = [(v, *first.get(v.name, (source, v))) for v in source.variables]
        found = next(((other, text) for v, other, one in known if (text := difference(one, v))), None)
        if found is None:
            kept.append(source)
            first |= {v.name: (source, v) for v in source.variables if v.name not in first}
        else:
            error = f"{name_of(found[0].href)} and {name_of(source.href)} differ in {found[1]}"
            remedy = "make one product of each, leave one out of source.href, or correct the file"
            failures.append(failure_of(source, error, remedy))
    return tuple(kept), failures
