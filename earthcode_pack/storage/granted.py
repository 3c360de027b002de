"""Keys that whoever runs has for places on S3: in force for a while, in this context alone, and written nowhere.

They come before those of the environment and the AWS files. Another thread does not see them, unless it works in a
context that was carried there (``execution.threads.carried``); another process never does.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from earthcode_pack.storage.sigv4 import Keys

EVERYWHERE = "s3://"


class Grant(NamedTuple):
    """The keys of a place; endpoint and region where they are known with them."""

    keys: Keys
    endpoint: str | None = None
    region: str | None = None


_IN_FORCE: ContextVar[tuple[tuple[str, Grant], ...]] = ContextVar("earthcode_pack_grants", default=())


@contextmanager
def in_force(grants: Mapping[str, Grant]) -> Iterator[None]:
    """In here these grants are in force, each for what lies below its URL (``s3://`` for all)."""
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
    """In here the grants are in force that ``current`` returned in another process, and no others."""
    token = _IN_FORCE.set(grants)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)


def granted(href: str | None) -> Grant | None:
    """The grant for a URL: the one of the longest URL that it lies below, of several the last; None where none is.

    >>> from earthcode_pack.storage.sigv4 import Keys
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
    """A number for the grants in force: another one where others are."""
    return hash(_IN_FORCE.get())
