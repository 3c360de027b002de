"""What a triggered run may do: the deployment's settings say it, never the profile, which may come from anyone."""

import os
from collections.abc import Mapping
from urllib.parse import unquote

from earthcode_pack.errors import UserError
from earthcode_pack.profile import Profile
from earthcode_pack.storage.inputs import local_path

SOURCE_ROOTS = "EARTHCODE_PACK_SOURCE_ROOTS"
CLUSTER_CLASSES = "EARTHCODE_PACK_CLUSTER_CLASSES"
LOCAL_CLUSTER = ("distributed.LocalCluster", "dask.distributed.LocalCluster")

# Arguments that only say how much. Others run code: preload, worker_class, job_script_prologue and their like.
SIZES = {"n_workers", "threads_per_worker", "processes", "memory_limit", "cores", "memory", "walltime"}


def refuse_what_is_not_allowed(profile: Profile, settings: Mapping[str, str] = os.environ) -> None:
    """Raises ``UserError`` where the profile reads from outside the roots, or starts a cluster that is not listed.

    ``EARTHCODE_PACK_SOURCE_ROOTS`` and ``EARTHCODE_PACK_CLUSTER_CLASSES`` are lists with commas between; without the
    first nothing may be read, without the second only a LocalCluster may be started. A scheduler's address is listed
    like a class.
    """
    roots = _listed(settings.get(SOURCE_ROOTS, ""))
    named = [("href", href) for href in profile.source.href] + [("follow", href) for href in profile.source.follow]
    outside = [(key, href) for key, href in named if not any(_is_under(href, root) for root in roots)]
    if outside:
        key, href = outside[0]
        raise UserError(
            f"source.{key}: {href} lies under none of the roots that this deployment may read "
            f"({', '.join(roots) or 'none is set'})",
            f"put the files there, or have the deployment's {SOURCE_ROOTS} extended",
        )
    _refuse_cluster(profile, (*LOCAL_CLUSTER, *_listed(settings.get(CLUSTER_CLASSES, ""))))


def _refuse_cluster(profile: Profile, allowed: tuple[str, ...]) -> None:
    compute = profile.compute
    wanted = compute.address or compute.cluster_class
    if wanted is not None and wanted not in allowed:
        raise UserError(
            f"compute: this deployment may not use {wanted} (allowed: {', '.join(allowed)})",
            f"name one of these, or have the deployment's {CLUSTER_CLASSES} extended",
        )
    unsafe = sorted(compute.cluster_kwargs.keys() - SIZES)
    if unsafe:
        raise UserError(
            f"compute.cluster_kwargs: {unsafe[0]} may not come with a triggered run",
            f"keep to {', '.join(sorted(SIZES))}; the rest belongs in Dask's configuration where the deployment runs",
        )


def _listed(setting: str) -> list[str]:
    return [part.strip() for part in setting.split(",") if part.strip()]


def _is_under(href: str, root: str) -> bool:
    """Whether all that ``href`` may match lies under ``root``; chained URLs (``zip::…``) and ``..`` never do.

    Links within a root are trusted as its owner is.
    """
    path, top = local_path(href) or href, (local_path(root) or root).rstrip("/")
    if "::" in path or ".." in unquote(path).split("/"):
        return False
    return path == top or path.startswith(f"{top}/")
