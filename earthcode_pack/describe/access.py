"""Access to data in closed S3 storage: with keys, the STAC is enough to open every asset. It never holds a secret.

The authentication extension 1.1 says how requests are signed (``auth:schemes``), the storage extension 2.0, with its
pages on ``custom-s3`` and ``aws-s3``, names endpoint and bucket (``storage:schemes``), and alternate assets 1.2 give
the key in the bucket as an ``s3://`` href, wherever the STAC file itself was read from.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from earthcode_pack.describe.stac import EXTENSIONS, href
from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.storage.credentials import whereabouts
from earthcode_pack.storage.error_messages import shown

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


class ClosedStore(NamedTuple):
    """S3 storage whose readers need keys: its Storage Scheme Object, and the product's folder in it."""

    scheme: dict[str, str]
    folder: str  # s3://<bucket>/…/, with a final slash


def closed_store(profile: Profile) -> ClosedStore | None:
    """Returns the closed storage of a product; None where it is open, is not S3, or has no known endpoint.

    It is None for the PRR too, even where ``store.access`` is private: the hrefs are those of its archive, whose access
    for readers is not known. The letter to its operator says so.
    """
    store = profile.store
    if store is None or store.href is None or store.access != "private" or not store.href.startswith("s3://"):
        return None
    scheme = storage_scheme(store)
    if scheme is None:
        return None
    return ClosedStore(scheme, f"{store.href.rstrip('/')}/{profile.product.folder}/")


def refuse_other_place(collection: Stac, profile: Profile) -> None:
    """Compares the storage that a Collection names with the one that the profile and the environment name now.

    Raises:
        UserError: they differ: an endpoint that the profile does not state is that of the environment.

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
    """Returns the Storage Scheme Object of S3 storage; None without an endpoint, or, for Amazon, without a region.

    ``requester_pays`` is left out: its default is false.
    """
    bucket = str(store.href).removeprefix("s3://").partition("/")[0]
    try:
        endpoint, region = whereabouts(store)
    except OutsideError:  # the AWS files lack the named profile, which the upload reports
        return None
    amazon = _AMAZON.fullmatch(urlsplit(endpoint or "").hostname or "")
    region = (amazon[1] or region) if amazon else store.region
    if not bucket or not endpoint or (amazon and not region):
        return None
    place = {"bucket": bucket, **({"region": region} if region else {})}
    if amazon:  # as the schema of aws-s3 prescribes
        return {
            "type": "aws-s3",
            "platform": "https://{bucket}.s3.{region}.amazonaws.com",
            "title": "Amazon S3",
            **place,
        }
    return {
        "type": "custom-s3",
        "platform": shown(endpoint).rstrip("/"),
        "title": "S3 storage",
        "description": "Addresses are in path style: platform/bucket/key.",  # as the platform has no {bucket}
        **place,
    }


def with_access(stac: Stac, closed: ClosedStore, profile: Profile) -> Stac:
    """Adds schemes of access to an Item or Collection, and references to them.

    References are added to each asset, which gets an alternate with the href ``s3://<bucket>/<key>``, to each
    definition in ``item_assets``, and to each link to another STAC file of the product, which is in the same storage.

    Args:
        stac: the Item or Collection.
        closed: the storage.
        profile: the product's profile.

    """
    is_item = stac["type"] == "Feature"
    schemes = {"auth:schemes": {SCHEME: _AUTH}, "storage:schemes": {SCHEME: closed.scheme}}
    base = href(profile, "", "../" if is_item else "./")
    assets = {}
    for name, asset in stac.get("assets", {}).items():
        alternate = {"href": closed.folder + asset["href"].removeprefix(base), **_REFS}
        assets[name] = {**asset, **_REFS, "alternate": {SCHEME: alternate}}
    used = ("authentication", "storage", *(["alternate-assets"] if assets else []))
    changed = {
        "stac_extensions": sorted({*stac["stac_extensions"], *(EXTENSIONS[name] for name in used)}),
        "links": [link if "://" in link["href"] else {**link, **_REFS} for link in stac["links"]],
        **({"assets": assets} if assets else {}),
    }
    if is_item:
        return {**stac, **changed, "properties": {**stac["properties"], **schemes}}
    definitions = {name: {**definition, **_REFS} for name, definition in stac.get("item_assets", {}).items()}
    return {**stac, **changed, "item_assets": definitions, **schemes}
