"""Places and account of the PRR: from the profile, then from the environment variables of the official client."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.execution.waiting import seconds_of
from earthcode_pack.product_facts import PRR_STAC

if TYPE_CHECKING:
    from earthcode_pack.profile import Profile
    from earthcode_pack.profile.model import PrrSpec, StoreSpec

_API = "https://eoresults.esa.int/reg-api"
_S3 = "https://eoresults.esa.int"
_REGION = "us-east-1"
_OWN_MACHINE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Account:
    """User of the PRR: HTTP Basic for the gateway, access key and secret for the stage-in storage."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def bucket(self) -> str:
        """Stage-in bucket that every user has."""
        return f"sg-{self.user}-generic"


@dataclass(frozen=True)
class Prr:
    """The PRR for one Collection; URLs without a final slash."""

    collection: str
    api: str
    stac: str
    bucket: str | None  # None: the user's own
    storage: StoreSpec  # of the stage-in, but for the bucket
    spec: PrrSpec

    @property
    def ca_bundle(self) -> str | None:
        """File of certificate authorities to trust, where one is named; the AWS tools read the same variables."""
        return self.storage.ca_bundle or os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")

    @property
    def wait(self) -> float:
        """Seconds that gateway or catalogue may stay silent (``store.wait``)."""
        return seconds_of(self.storage.wait)

    @property
    def items(self) -> str:
        """URL to which Items are posted."""
        return f"{self.api}/collections/{self.collection}/items"

    @property
    def catalogued(self) -> str:
        """URL of the Collection in the STAC API."""
        return f"{self.stac}/collections/{self.collection}"

    def catalogued_item(self, name: str) -> str:
        """Returns the URL of an Item in the STAC API."""
        return f"{self.catalogued}/items/{name}"


def prr_of(profile: Profile) -> Prr:
    """Reads the PRR from a profile, then from ``RAPI_ENDPOINT``, ``RAPI_S3_ENDPOINT``, ``RAPI_STAGEIN_BUCKET``.

    Raises ``UserError`` where the profile names no PRR, where it and ``RAPI_COLLECTION_ID`` name two Collections, where
    only one part of another PRR is named, and for a gateway that would get the password unencrypted.
    """
    store = profile.store
    if store is None or store.prr is None:
        raise UserError(f"{profile.product.id}: the profile names no PRR", "set store.prr, or publish to store.href")
    spec = store.prr
    api = spec.api or os.environ.get("RAPI_ENDPOINT") or _API
    s3 = spec.s3_endpoint or os.environ.get("RAPI_S3_ENDPOINT") or _S3
    _refuse_half(spec, api, s3)
    parts, other = urlsplit(api), os.environ.get("RAPI_COLLECTION_ID")
    if parts.scheme != "https" and parts.hostname not in _OWN_MACHINE:
        raise UserError(f"store.prr.api: {api} would get the password in the clear", "write https://…")
    if other and other != spec.collection:
        raise UserError(
            f"store.prr.collection is {spec.collection}, RAPI_COLLECTION_ID is {other}",
            "unset RAPI_COLLECTION_ID, or correct store.prr.collection",
        )
    region = os.environ.get("RAPI_S3_REGION") or _REGION
    place = {"prr": None, "endpoint_url": s3.rstrip("/"), "region": region, "access": "private"}
    prr = Prr(
        collection=spec.collection,
        api=api.rstrip("/"),
        stac=(spec.stac or PRR_STAC).rstrip("/"),
        bucket=spec.bucket or os.environ.get("RAPI_STAGEIN_BUCKET"),
        storage=store.model_copy(update=place),
        spec=spec,
    )
    if prr.ca_bundle and not Path(prr.ca_bundle).is_file():
        raise UserError(f"store.ca_bundle: {prr.ca_bundle}: no such file", "name a file of PEM certificates")
    return prr


def account() -> Account:
    """Reads ``RAPI_USERNAME`` and ``RAPI_PASSWORD``. Raises ``OutsideError`` where one of them is not set."""
    user, password = os.environ.get("RAPI_USERNAME"), os.environ.get("RAPI_PASSWORD")
    if not user or not password:
        raise OutsideError(
            "there are no credentials for the PRR's gateway",
            "set RAPI_USERNAME and RAPI_PASSWORD, or hand the product over: prr/letter.md",
        )
    return Account(user, password)


def _refuse_half(spec: PrrSpec, api: str, s3: str) -> None:
    """Refuses a trial gateway with the catalogue or storage of the production system."""
    if api.rstrip("/") == _API:
        return
    lacking = [key for key, value in (("stac", spec.stac), ("s3_endpoint", s3 if s3 != _S3 else None)) if not value]
    if lacking:
        raise UserError(
            f"store.prr: {api} is another gateway than the PRR's, and {' and '.join(lacking)} would be the PRR's own",
            f"set {' and '.join(f'store.prr.{key}' for key in lacking)}",
        )
