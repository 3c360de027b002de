"""Our part of a comparison: ``python -m benchmarks.ours PLAN.json PROFILE.yaml WORKDIR``.

Does a plan that was made before: converts, reads back what was written, compares it with the source, measures
statistics and hashes the output. Prints nothing unless a job failed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyproj  # noqa: F401 - first of all, as in earthcode_pack.pipeline

from earthcode_pack.model import Plan
from earthcode_pack.profile import load_profile
from earthcode_pack.run.execute import execute
from earthcode_pack.run.workspace import Workspace, bundle_of
from earthcode_pack.storage import IdentityCache

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """1 where a job failed, which stderr names. A fourth argument is a file for a profile of the process."""
    plan, profile, workdir, *profiled = arguments
    if not profiled:
        return convert(plan, profile, workdir)
    from benchmarks.sampling import Sampler  # noqa: PLC0415 - not in the time that is measured

    with Sampler(Path(profiled[0])):
        return convert(plan, profile, workdir)


def convert(plan_path: str, profile_path: str, workdir: str) -> int:
    """The plan carried out in a bundle under ``workdir``."""
    profile = load_profile(profile_path)
    planned = Plan.from_json(Path(plan_path).read_bytes())
    workspace = Workspace(bundle_of(profile, workdir))
    with workspace.held():
        done = execute(planned, workspace, profile, IdentityCache(workspace.identities), lambda _done, _all: None)
    for failure in done.failures:
        sys.stderr.write(f"{failure.source}: {failure.error} — {failure.remedy}\n")
    return int(bool(done.failures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
