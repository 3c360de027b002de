"""Endpoint and credentials of S3 storage: of the profile, granted keys, the environment, the AWS files.

Granted keys are good for places on S3: in force for a while, in this context alone, and written nowhere. They come
before those of the environment and the AWS files. Another thread does not see them, unless it works in a context that
was carried there (``execution.threads.carried``); another process never does.

botocore knows all other ways to credentials; where the environment holds everything, it is not asked.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.errors import OutsideError
from earthcode_pack.storage.connection import botocore_options, ca_bundle
from earthcode_pack.storage.error_messages import NO_CREDENTIALS, outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from earthcode_pack.profile.model import StoreSpec
    from earthcode_pack.storage.connection import Timeouts

_DEFAULT_REGION = "us-east-1"
_S3 = {"addressing_style": "path", "payload_signing_enabled": True}
_CREATING = Lock()  # a session creates one client at a time


class Keys(NamedTuple):
    """Credentials. Never shown: their text has no secret."""

    access: str
    secret: str
    token: str | None = None

    def __repr__(self) -> str:
        return "Keys(…)"


# --- granted keys -----------------------------------------------------------------------------------------------------

EVERYWHERE = "s3://"


class Grant(NamedTuple):
    """The keys of a place; endpoint and region where they are known with them."""

    keys: Keys
    endpoint: str | None = None
    region: str | None = None


_IN_FORCE: ContextVar[tuple[tuple[str, Grant], ...]] = ContextVar("earthcode_pack_grants", default=())


@contextmanager
def in_force(grants: Mapping[str, Grant]) -> Iterator[None]:
    """Puts grants in force, each for what lies below its URL (``s3://`` for all)."""
    token = _IN_FORCE.set((*_IN_FORCE.get(), *grants.items()))
    try:
        yield
    finally:
        _IN_FORCE.reset(token)


def current() -> tuple[tuple[str, Grant], ...]:
    """Returns the grants in force here, to be handed to another process that works for this one."""
    return _IN_FORCE.get()


@contextmanager
def in_force_again(grants: tuple[tuple[str, Grant], ...]) -> Iterator[None]:
    """Puts the grants in force that ``current`` returned in another process, and no others."""
    token = _IN_FORCE.set(grants)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)


def granted(href: str | None) -> Grant | None:
    """Returns the grant of a URL: that of the longest URL that it lies below, of several the last; None where none is.

    >>> from earthcode_pack.storage.credentials import Keys
    >>> with in_force({"s3://": Grant(Keys("a", "b")), "s3://bucket/x": Grant(Keys("c", "d"))}):
    ...     [granted(href).keys.access for href in ("s3://bucket/x/y", "s3://bucket/xy")]
    ['c', 'a']
    """
    if href is None:
        return None
    fitting = [(len(top), number) for number, (top, _) in enumerate(_IN_FORCE.get()) if _is_below(href, top)]
    return _IN_FORCE.get()[max(fitting)[1]][1] if fitting else None


def _is_below(href: str, top: str) -> bool:
    place = f"{href.replace('s3a://', EVERYWHERE, 1).rstrip('/')}/"
    return place.startswith(EVERYWHERE if top == EVERYWHERE else f"{top.rstrip('/')}/")


def mark() -> int:
    """Returns a number for the grants in force: another one where others are."""
    return hash(_IN_FORCE.get())


# --- access -----------------------------------------------------------------------------------------------------------


class Access(NamedTuple):
    """Endpoint, region and credentials of S3 storage.

    Attributes:
        endpoint: ``http(s)://host[:port]``.
        region: The region to sign for.
        keys: Returns the keys of now: some are renewed.
        ca: A file of certificates to trust, where one is named.
        session: botocore's session where it found the credentials, and renews them.

    """

    endpoint: str
    region: str
    keys: Callable[[], Keys]
    ca: str | None
    session: Any = None

    def client(self, timeouts: Timeouts) -> Any:
        """Returns botocore's client: path style, every payload signed, each request made once."""
        from botocore.config import Config  # noqa: PLC0415 - heavy

        named: dict[str, str | None] = {}
        session = self.session
        if session is None:  # AWS_PROFILE is not asked for keys that are known
            session, keys = _session_without_profile(), self.keys()
            named = {"aws_access_key_id": keys.access, "aws_secret_access_key": keys.secret}
            named["aws_session_token"] = keys.token
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
        with _CREATING:
            return session.create_client(
                "s3",
                region_name=self.region,
                endpoint_url=self.endpoint,
                verify=self.ca,
                config=Config(**botocore_options(timeouts), s3=_S3),
                **named,
            )


@cache
def _session_without_profile() -> Any:
    """The session of all clients whose keys are known: it reads botocore's description of S3 once, in 0.1 s of CPU."""
    from botocore.session import Session  # noqa: PLC0415 - heavy

    return Session(session_vars={"profile": (None, None, None, None)})


def access(spec: StoreSpec, keys: Keys | None = None) -> Access:
    """Finds endpoint and credentials of a profile's store; ``keys`` where they are known, else those granted for it.

    Raises ``UserError`` or ``OutsideError`` where something is missing.
    """
    ca = ca_bundle(spec.ca_bundle)
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
    """Endpoint and region that an upload would take; None for what neither profile, environment nor AWS files say."""

    endpoint: str | None
    region: str | None


def whereabouts(spec: StoreSpec) -> Whereabouts:
    """Finds the endpoint and region that ``access`` takes, where they are stated; no credentials are needed.

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
        None if keys else session,
    )


def _provider(session: Any, spec: StoreSpec) -> Callable[[], Keys]:
    """Credentials that botocore renews in time."""
    credentials = session.get_credentials()
    if credentials is None:
        raise OutsideError(f"{spec.href}: {NO_CREDENTIALS[0]}", NO_CREDENTIALS[1])

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
    """Keys that botocore would take first; a profile that is named comes before them."""
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


def _moment(text: str) -> datetime:
    """A time of an answer. botocore's own parser takes a tenth of a millisecond, for each object of a listing."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parsedate_to_datetime(text)
