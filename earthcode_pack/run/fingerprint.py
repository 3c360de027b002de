"""The fingerprint of a product, by which a published product is recognised and its time of processing reused.

The fingerprint is a field of the Collection. It is known before anything is converted, since it hashes what decides
each byte: the jobs (sources by their sha256, encoding, version of the converter), the names of the sources in the
manifest, and what STAC takes from the profile. The folder of local sources, and where the work is done, are not part of
it. See docs/decisions/0019.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.bundle.assemble import public_name
from earthcode_pack.describe.stac import FINGERPRINT
from earthcode_pack.errors import OutsideError, VersionTaken
from earthcode_pack.execution.waiting import seconds_of
from earthcode_pack.plan import fingerprint as job_fingerprint

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
    """Hashes all that decides the bytes of a product, apart from the time of processing, as ``sha256:…``."""
    stated = {  # by the profile and not by the data, for the Collection and the Items
        "product": profile.product.model_dump(mode="json", exclude=_THROUGH_JOBS),
        "variables": [spec.osc for spec in profile.product.variables.values() if spec.osc],
        "project": profile.project.model_dump(mode="json", include=_PROJECT),
        "experiment": profile.experiment and profile.experiment.id,
        "public_href": profile.store and profile.store.public_href,
    }
    content = json.dumps([stated, sorted(map(_job_identity, planned.jobs))], sort_keys=True)
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def _job_identity(job: Job) -> tuple[str, str, list[str]]:
    is_cut = not _CUTS.isdisjoint(type(job.options).model_fields)
    mark = job_fingerprint(job, without=_CUTS) if is_cut else job.fingerprint
    return job.key, mark, [public_name(source.href) for source in job.inputs]


class Published(NamedTuple):
    """Fingerprint and time of processing as a Collection states them."""

    fingerprint: str | None  # None where an older version made it
    processed: datetime | None

    @classmethod
    def of(cls, collection: dict[str, Any]) -> Published:
        """Reads them from a Collection (JSON) of any origin."""
        mark, moment = collection.get(FINGERPRINT), collection.get("processing:datetime")
        try:
            processed = datetime.fromisoformat(moment) if isinstance(moment, str) else None
        except ValueError:
            processed = None
        return cls(mark if isinstance(mark, str) else None, processed if processed and processed.tzinfo else None)


def processing_time(profile: Profile, bundle: Bundle, mark: str, *, refuse: bool) -> datetime | None:
    """Returns the time at which a product with this fingerprint was processed; None where there is none.

    The time of a published product is reused, so that the product is the same to the byte; likewise that of a product
    in the bundle, unless ``SOURCE_DATE_EPOCH`` is set.

    Args:
        profile: of the product.
        bundle: of the product.
        mark: the fingerprint.
        refuse: raise ``VersionTaken`` where another product is published as this version, instead of a warning.

    """
    there = _published(profile)
    if there is not None and there.fingerprint == mark and there.processed is not None:
        logger.info(
            "%s: published already; its processing time, %s, is taken over", profile.product.id, there.processed
        )
        return there.processed
    if there is not None and there.fingerprint not in (None, mark):
        where = f"{profile.product.id} version {profile.product.version}"
        message = f"{where}: published already, from other sources, with another profile or by another version"
        if refuse:
            raise VersionTaken(message, "raise product.version")
        logger.warning("%s; raise product.version before it is published", message)
    if "SOURCE_DATE_EPOCH" in os.environ or not bundle.collection_path.is_file():
        return None
    here = Published.of(bundle.collection())
    return here.processed if here.fingerprint == mark else None


def _published(profile: Profile) -> Published | None:
    """Reads the published Collection; None where there is none, or the store does not answer."""
    if profile.store is None or profile.store.href is None:
        return None
    from earthcode_pack.storage.base import open_store  # noqa: PLC0415 - only where there is a store
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
