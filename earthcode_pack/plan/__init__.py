"""From sources to jobs: what would be read and written. Pure: writes nothing, opens nothing."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from earthcode_pack import __version__
from earthcode_pack.convert.cog.planning import plan_scenes
from earthcode_pack.convert.cube.planning import plan_files, plan_store
from earthcode_pack.convert.grids import on_shared_grids
from earthcode_pack.convert.job_names import with_whole_stems
from earthcode_pack.model import Job, Plan, Sources
from earthcode_pack.plan.meaning import of_one_meaning

if TYPE_CHECKING:
    from earthcode_pack.profile import Profile

# Raise it when the same job would write other bytes.
CONVERTER = 3
_PLANNERS = {"cog": plan_scenes, "zarr": plan_store, "netcdf": plan_files}


def plan(profile: Profile, sources: Sources) -> Plan:
    """The jobs of a product, each with its fingerprint, and the sources that cannot be used with the reason."""
    usable, differing = of_one_meaning(sources.sources)
    jobs, failures = _PLANNERS[profile.target.format](profile, with_whole_stems(on_shared_grids(usable)))
    return Plan(
        product=profile.product.id,
        version=profile.product.version,
        jobs=tuple(
            job.model_copy(update={"fingerprint": fingerprint(job)}) for job in sorted(jobs, key=lambda job: job.key)
        ),
        failures=(*sources.failures, *differing, *failures),
    )


def fingerprint(job: Job) -> str:
    """The hash of the sources' identity, the encoding and the converter's version; where files lie does not matter."""
    data = job.model_dump(mode="json", exclude={"fingerprint": True, "inputs": {"__all__": {"href"}}})
    text = json.dumps([CONVERTER, __version__, data], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
