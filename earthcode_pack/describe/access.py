"""Closed data: how a reader who has keys gets in, so that STAC and keys are enough to open every asset.

By the authentication extension 1.1 (how requests are signed: ``auth:schemes``), the storage extension 2.0 with its
pages on ``custom-s3`` and ``aws-s3`` (endpoint and bucket: ``storage:schemes``), and alternate assets 1.2 (the key in
the bucket, as an ``s3://`` href, wherever the STAC file itself was got from). None of it ever holds a key or a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from earthcode_pack.describe.stac import extensions, href
from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.storage.s3_access import whereabouts
from earthcode_pack.storage.words import shown

if TYPE_CHECKING:
    from earthcode_pack.profile import Profile
    from earthcode_pack.profile.model import StoreSpec

SCHEME = "s3"  # the name of the one scheme of each kind, and of the alternate
_REFS = {"auth:refs": [SCHEME], "storage:refs": [SCHEME]}
_AUTH = {
    "type": "s3",
    "description": "Requests are signed with S3 keys (AWS Signature Version 4) that may read the bucket; "
    "ask the owner of the data for them.",
}
_AMAZON = re.compile(r"s3(?:[.-](?:dualstack|fips))*(?:[.-]([a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com")

Stac = dict[str, Any]


class Closed(NamedTuple):
    """A place in S3 storage where readers need keys: its Storage Scheme Object, and the product's folder in it."""

    scheme: dict[str, str]
    folder: str  # s3://<bucket>/…/, with a final slash


def closed_store(profile: Profile) -> Closed | None:
    """The closed place of a product; None where it is open, is no S3, or nobody says at which endpoint it is.

    Of the PRR nothing is said here even where ``store.access`` is private: its stage-in storage is left empty, the
    hrefs are those of its archive, and how that lets readers in is not known. ``register`` tells its operator.
    """
    store, product = profile.store, profile.product
    if store is None or store.href is None or store.access != "private" or not store.href.startswith("s3://"):
        return None
    scheme = storage_scheme(store)
    if scheme is None:
        return None
    return Closed(scheme, f"{store.href.rstrip('/')}/{product.id}/v{product.version}/")


def refuse_other_place(collection: Stac, profile: Profile) -> None:
    """Raises ``UserError`` where a Collection tells readers of another place than the one where its data goes now.

    An endpoint that the profile does not state is that of the environment, which may have changed since.
    """
    told = collection.get("storage:schemes", {}).get(SCHEME)
    closed = closed_store(profile) if told else None
    if closed is not None and told != closed.scheme:
        raise UserError(
            f"{profile.product.id}: its STAC says that the data is at {told.get('platform')}, bucket"
            f" {told.get('bucket')}; it would go to {closed.scheme['platform']}, bucket {closed.scheme['bucket']}",
            "state store.endpoint_url (and store.region), and prepare it again",
        )


def storage_scheme(store: StoreSpec) -> dict[str, str] | None:
    """The Storage Scheme Object of S3 storage; None where its endpoint, or of Amazon's its region, is not stated.

    ``requester_pays`` is left out: its default is false.
    """
    bucket = str(store.href).removeprefix("s3://").partition("/")[0]
    try:
        endpoint, region = whereabouts(store)
    except OutsideError:  # the AWS files lack what is named: an upload says so
        return None
    amazon = _AMAZON.fullmatch(urlsplit(endpoint or "").hostname or "")
    region = (amazon[1] or region) if amazon else store.region
    if not bucket or not endpoint or (amazon and not region):
        return None
    place = {"bucket": bucket, **({"region": region} if region else {})}
    return (_of_amazon() if amazon else _of_others(shown(endpoint).rstrip("/"))) | place


def _of_amazon() -> dict[str, str]:
    """As the schema of ``aws-s3`` prescribes it."""
    return {"type": "aws-s3", "platform": "https://{bucket}.s3.{region}.amazonaws.com", "title": "Amazon S3"}


def _of_others(endpoint: str) -> dict[str, str]:
    """A platform without ``{bucket}`` means path style (the extension's page on ``custom-s3``)."""
    words = "Addresses are in path style: platform/bucket/key."
    return {"type": "custom-s3", "platform": endpoint, "title": "S3 storage", "description": words}


def with_access(stac: Stac, closed: Closed, profile: Profile) -> Stac:
    """An Item or Collection of a product in a closed place: schemes, and references to them where they are needed.

    That is each asset, which becomes an alternate with the href ``s3://<bucket>/<key>``, each definition in
    ``item_assets``, and each link to another STAC file of the product, which is in the same place.
    """
    is_item = stac["type"] == "Feature"
    schemes = {"auth:schemes": {SCHEME: _AUTH}, "storage:schemes": {SCHEME: closed.scheme}}
    base = href(profile, "", "../" if is_item else "./")
    assets = {name: _asset(asset, closed, base) for name, asset in stac.get("assets", {}).items()}
    used = extensions("authentication", "storage", *(["alternate-assets"] if assets else []))
    changed = {
        "stac_extensions": sorted({*stac["stac_extensions"], *used}),
        "links": [link if "://" in link["href"] else {**link, **_REFS} for link in stac["links"]],
        **({"assets": assets} if assets else {}),
    }
    if is_item:
        return {**stac, **changed, "properties": {**stac["properties"], **schemes}}
    definitions = {name: {**definition, **_REFS} for name, definition in stac.get("item_assets", {}).items()}
    return {**stac, **changed, "item_assets": definitions, **schemes}


def _asset(asset: Stac, closed: Closed, base: str) -> Stac:
    """``base`` is what comes before the key in the asset's own href."""
    alternate = {"href": closed.folder + asset["href"].removeprefix(base), **_REFS}
    return {**asset, **_REFS, "alternate": {SCHEME: alternate}}
