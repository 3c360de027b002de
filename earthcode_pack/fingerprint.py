"""Recognises a published product by its fingerprint, and takes over its time of processing.

The fingerprint of a product stands in its Collection. It is known before anything is converted, since it is made of
what decides each byte: the jobs (sources by their sha256, encoding, the version of the converter), the names of the
sources as the manifest has them, and what the profile says that STAC shows. In which folder local sources lie, and
where the work is done, is not part of it. See docs/decisions/0019.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.assemble import public_name
from earthcode_pack.describe.stac import FINGERPRINT
from earthcode_pack.errors import OutsideError, VersionTaken
from earthcode_pack.plan import fingerprint as job_fingerprint
from earthcode_pack.waiting import seconds_of

if TYPE_CHECKING:
    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Job, Plan
    from earthcode_pack.profile import Profile

logger = logging.getLogger("earthcode_pack")

_THROUGH_JOBS = {"institution", "source", "references", "variables"}  # of the product: attributes of its data
_CUTS = {"regions", "region_bytes"}  # of a job: how its work is cut, for the memory of a worker
_PROJECT = {"id", "description", "website", "initiative", "contract_number"}
_SOON = 5.0  # seconds: whether a version is published is good to know, and publishing asks again


def fingerprint(profile: Profile, planned: Plan) -> str:
    """``sha256:`` and the hash of all that decides the bytes of a product, apart from the time of processing."""
    said = json.dumps([_said(profile), sorted(map(_of_job, planned.jobs))], sort_keys=True)
    return f"sha256:{hashlib.sha256(said.encode()).hexdigest()}"


def _said(profile: Profile) -> dict[str, Any]:
    """What the Collection and the Items take from the profile and not from the data."""
    return {
        "product": profile.product.model_dump(mode="json", exclude=_THROUGH_JOBS),
        "variables": [spec.osc for spec in profile.product.variables.values() if spec.osc],
        "project": profile.project.model_dump(mode="json", include=_PROJECT),
        "experiment": profile.experiment and profile.experiment.id,
        "public_href": profile.store and profile.store.public_href,
    }


def _of_job(job: Job) -> tuple[str, str, list[str]]:
    is_cut = not _CUTS.isdisjoint(type(job.options).model_fields)
    mark = job_fingerprint(job, without=_CUTS) if is_cut else job.fingerprint
    return job.key, mark, [public_name(source.href) for source in job.inputs]


class Published(NamedTuple):
    """What a Collection says of the product that it describes."""

    fingerprint: str | None  # none where an older version made it
    processed: datetime | None

    @classmethod
    def of(cls, collection: dict[str, Any]) -> Published:
        """From the Collection as JSON, whoever wrote it."""
        mark, moment = collection.get(FINGERPRINT), collection.get("processing:datetime")
        try:
            processed = datetime.fromisoformat(moment) if isinstance(moment, str) else None
        except ValueError:
            processed = None
        return cls(mark if isinstance(mark, str) else None, processed if processed and processed.tzinfo else None)


def processing_time(profile: Profile, bundle: Bundle, mark: str, *, refuse: bool) -> datetime | None:
    """The time at which a product with this fingerprint was processed already; None where that is not known.

    Of a published product its time is taken over, so that it is the same product to the byte. Of one that lies in
    the bundle likewise, unless ``SOURCE_DATE_EPOCH`` is set.

    Args:
        profile: of the product.
        bundle: where it is, or will be, prepared.
        mark: the fingerprint.
        refuse: raise ``VersionTaken`` where another product is published as this version; say it otherwise.

    """
    there = _published(profile)
    if there is not None and there.fingerprint == mark and there.processed is not None:
        logger.info(
            "%s: published already; its processing time, %s, is taken over", profile.product.id, there.processed
        )
        return there.processed
    if there is not None and there.fingerprint not in (None, mark):
        _tell_taken(profile, refuse=refuse)
    if "SOURCE_DATE_EPOCH" in os.environ or not bundle.collection_path.is_file():
        return None
    here = Published.of(bundle.collection())
    return here.processed if here.fingerprint == mark else None


def _tell_taken(profile: Profile, *, refuse: bool) -> None:
    """Other sources, another profile or another converter made what is published: the digest will be another one."""
    where = f"{profile.product.id} version {profile.product.version}"
    message = f"{where}: published already, from other sources, with another profile or by another version"
    if refuse:
        raise VersionTaken(message, "raise product.version")
    logger.warning("%s; raise product.version before it is published", message)


def _published(profile: Profile) -> Published | None:
    """What the Collection at the store says; None where there is none, or the store does not answer."""
    if profile.store is None or profile.store.href is None:
        return None
    from earthcode_pack.storage.stores import open_store  # noqa: PLC0415 - only where there is a store
    from earthcode_pack.upload.entries import published_prefix  # noqa: PLC0415
    from earthcode_pack.upload.stages import COLLECTION  # noqa: PLC0415

    try:
        hasty = profile.store.model_copy(update={"wait": min(_SOON, seconds_of(profile.store.wait))})
        raw = open_store(hasty).read(published_prefix(profile) + COLLECTION)
        return None if raw is None else Published.of(json.loads(raw))
    except OutsideError as error:
        logger.warning("whether this version is published already is not known: %s", error)
    except (ValueError, AttributeError):
        logger.warning("%s: what is published as this version is no STAC Collection", profile.product.id)
    return None
