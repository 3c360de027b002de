"""Limits of triggered runs, set by the deployment and never by the profile, which may come from anyone."""

import os
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from earthcode_pack.errors import UserError
from earthcode_pack.profile import Profile
from earthcode_pack.storage.inputs import local_path

SOURCE_ROOTS = "EARTHCODE_PACK_SOURCE_ROOTS"
TARGET_ROOTS = "EARTHCODE_PACK_TARGET_ROOTS"
ENDPOINTS = "EARTHCODE_PACK_ENDPOINTS"
CLUSTER_CLASSES = "EARTHCODE_PACK_CLUSTER_CLASSES"
SETTINGS = (SOURCE_ROOTS, TARGET_ROOTS, ENDPOINTS, CLUSTER_CLASSES)
LOCAL_CLUSTER = ("distributed.LocalCluster", "dask.distributed.LocalCluster")
PRR = "prr"  # among the target roots: the Project Results Repository

# Arguments that only say how much. Others run code: preload, worker_class, job_script_prologue and their like.
SIZES = {"n_workers", "threads_per_worker", "processes", "memory_limit", "cores", "memory", "walltime"}


def refuse_what_is_not_allowed(profile: Profile, settings: Mapping[str, str] = os.environ) -> None:
    """Refuses a profile that reads, writes, asks or starts what the deployment's settings do not list.

    Each setting is a list with commas between; what is unset allows nothing, but for a LocalCluster.

    Args:
        profile: with absolute paths, as ``load_profile`` gives it.
        settings: ``EARTHCODE_PACK_SOURCE_ROOTS`` for ``source.href``, ``catalog.metadata`` and ``store.ca_bundle``;
            ``EARTHCODE_PACK_CLUSTER_CLASSES`` for ``compute``, where a scheduler's address is listed like a class; and
            those of ``refuse_publishing``.

    Raises:
        UserError: names the key, its value and the setting.

    """
    for key, hrefs in (("source.href", profile.source.href), ("source.follow", profile.source.follow)):
        for href in hrefs:
            refuse_reading(key, href, settings)
    refuse_publishing(profile, settings)
    _refuse_cluster(profile, (*LOCAL_CLUSTER, *_listed(settings.get(CLUSTER_CLASSES, ""))))


def refuse_publishing(profile: Profile, settings: Mapping[str, str] = os.environ) -> None:
    """Refuses what publishing would read, write or ask and the settings do not list; raises ``UserError``.

    ``EARTHCODE_PACK_TARGET_ROOTS`` is for ``store.href`` (``prr`` in it allows ``store.prr``),
    ``EARTHCODE_PACK_ENDPOINTS`` for the servers that a profile names, which are sent what credentials sign.
    """
    store, catalog = profile.store, profile.catalog
    if catalog is not None:
        refuse_reading("catalog.metadata", catalog.metadata.removeprefix("git+"), settings)
    if store is None:
        return
    if store.ca_bundle is not None:
        refuse_reading("store.ca_bundle", store.ca_bundle, settings)
    if store.href is not None:
        refuse_writing("store.href", store.href, settings)
    elif PRR not in _listed(settings.get(TARGET_ROOTS, "")):
        raise UserError(
            "store.prr: this deployment may not publish to the PRR",
            f"have {PRR} added to the deployment's {TARGET_ROOTS}",
        )
    for key, url in _servers(profile):
        _refuse_outside(key, url, ENDPOINTS, "ask", settings)


def refuse_reading(key: str, href: str, settings: Mapping[str, str] = os.environ) -> None:
    """Refuses a place that lies under none of the source roots; raises ``UserError``."""
    _refuse_outside(key, href, SOURCE_ROOTS, "read", settings)


def refuse_writing(key: str, href: str, settings: Mapping[str, str] = os.environ) -> None:
    """Refuses a place that lies under none of the target roots; raises ``UserError``."""
    _refuse_outside(key, href, TARGET_ROOTS, "write to", settings)


def _refuse_outside(key: str, href: str, setting: str, verb: str, settings: Mapping[str, str]) -> None:
    roots = _listed(settings.get(setting, ""))
    if not any(_is_under(href, root) for root in roots):
        raise UserError(
            f"{key}: {href} lies under none of the roots that this deployment may {verb} "
            f"({', '.join(roots) or 'none is set'})",
            f"name a place below these, or have the deployment's {setting} extended",
        )


def _servers(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yields the servers that a profile names, by key."""
    store = profile.store
    if store is not None and store.endpoint_url is not None:
        yield "store.endpoint_url", store.endpoint_url
    if store is not None and store.prr is not None:
        for key in ("api", "s3_endpoint", "stac"):
            url = getattr(store.prr, key)
            if url is not None:
                yield f"store.prr.{key}", url


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
    """Tells if all that ``href`` may match is under ``root``; chained URLs (``zip::…``) and ``..`` never are.

    Links within a root are trusted as its owner is.
    """
    path, top = local_path(href) or href, (local_path(root) or root).rstrip("/")
    if "::" in path or ".." in unquote(path).split("/"):
        return False
    return path == top or path.startswith(f"{top}/")
