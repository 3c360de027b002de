"""Where the S3 storage is and with what one may enter: from the profile, what is granted, the environment, AWS files.

botocore knows all the ways to credentials, and takes a quarter of a second to begin: where the environment holds
everything, it is not asked.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.storage.credentials import granted
from earthcode_pack.storage.error_messages import outside
from earthcode_pack.storage.sigv4 import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.profile.model import StoreSpec
    from earthcode_pack.storage.credentials import Grant

_DEFAULT_REGION = "us-east-1"


class Access(NamedTuple):
    """``keys`` gives those of now: some are renewed. ``ca`` is a file of certificates to trust, where one is named."""

    endpoint: str
    region: str
    keys: Callable[[], Keys]
    ca: str | None


def access(spec: StoreSpec, keys: Keys | None = None) -> Access:
    """How to reach the storage of a profile; ``keys`` where they are known already, else those granted for its place.

    Raises ``UserError`` or ``OutsideError`` where something is missing.
    """
    ca = _ca_bundle(spec)
    grant = granted(spec.href) if keys is None else None
    endpoint, region = _stated(spec, grant)
    keys = keys or (grant.keys if grant else _keys_of_environment(spec))
    if grant and endpoint:
        region = region or _DEFAULT_REGION  # the AWS files know nothing of these keys
    if endpoint and region and keys:
        return Access(endpoint, region, lambda: keys, ca)
    with outside(str(spec.href)):
        return _by_botocore(spec, endpoint, region, keys, ca)


class Whereabouts(NamedTuple):
    """Where storage is, as an upload would take it; None for what neither profile, environment nor AWS files say."""

    endpoint: str | None
    region: str | None


def whereabouts(spec: StoreSpec) -> Whereabouts:
    """The endpoint and region that ``access`` takes, where somebody states them; no credentials are needed.

    The AWS files are asked only where nobody else names an endpoint. Raises ``OutsideError`` where they lack what is
    named.
    """
    endpoint, region = _stated(spec, granted(spec.href))
    if endpoint:
        return Whereabouts(endpoint, region)
    with outside(str(spec.href)):
        session = _session(spec)
        region = region or _region(session)
        none = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}  # else they are looked for, on the net
        client = session.create_client("s3", region_name=region or _DEFAULT_REGION, **none)
        return Whereabouts(client.meta.endpoint_url, region)


def _stated(spec: StoreSpec, grant: Grant | None) -> tuple[str | None, str | None]:
    """Endpoint and region: by the profile, with the keys that are granted for the place, by the environment."""
    endpoint = spec.endpoint_url or (grant and grant.endpoint) or _endpoint_of_environment()
    return endpoint, spec.region or (grant and grant.region) or _region_of_environment()


def _by_botocore(
    spec: StoreSpec, endpoint: str | None, region: str | None, keys: Keys | None, ca: str | None
) -> Access:
    session = _session(spec)
    region = region or _region(session) or _DEFAULT_REGION
    return Access(
        endpoint or session.create_client("s3", region_name=region).meta.endpoint_url,
        region,
        (lambda: keys) if keys else _provider(session, spec),
        ca,
    )


def _provider(session: Any, spec: StoreSpec) -> Callable[[], Keys]:
    """Credentials that botocore renews in time."""
    credentials = session.get_credentials()
    if credentials is None:
        raise OutsideError(
            f"{spec.href}: there are no credentials for the storage",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or name store.profile",
        )

    def keys() -> Keys:
        frozen = credentials.get_frozen_credentials()
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)

    return keys


def _session(spec: StoreSpec) -> Any:
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415 - heavy
    from botocore.session import Session  # noqa: PLC0415

    try:
        session = Session(profile=spec.profile)
        session.get_scoped_config()  # only this finds that there is no such profile
    except ProfileNotFound:
        name = spec.profile or os.environ.get("AWS_PROFILE")
        raise OutsideError(f"the AWS files have no profile {name}", "correct store.profile or AWS_PROFILE") from None
    return session


def _region(session: Any) -> str | None:
    """The region of the AWS files or the environment."""
    region: str | None = session.get_config_variable("region")
    return region


def _keys_of_environment(spec: StoreSpec) -> Keys | None:
    """Those that botocore would take first; a profile that is named comes before them."""
    found = os.environ.get
    access_key, secret = found("AWS_ACCESS_KEY_ID"), found("AWS_SECRET_ACCESS_KEY")
    if spec.profile or not access_key or not secret:
        return None
    return Keys(access_key, secret, found("AWS_SESSION_TOKEN") or found("AWS_SECURITY_TOKEN") or None)


def _endpoint_of_environment() -> str | None:
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def _region_of_environment() -> str | None:
    return os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION") or None


def _ca_bundle(spec: StoreSpec) -> str | None:
    """The file of trusted authorities, where one is set; the AWS tools know the same variables."""
    bundle = spec.ca_bundle or os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or None
    if bundle and not Path(bundle).is_file():
        raise UserError(f"store.ca_bundle: {bundle}: no such file", "name a file of PEM certificates")
    return bundle
