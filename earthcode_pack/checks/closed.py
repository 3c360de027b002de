"""Closed data in STAC: schemes that are referred to are declared, hold no secret, and are there where they must be.

By the authentication extension 1.1 and the storage extension 2.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.checks import rules
from earthcode_pack.checks.documents import listed, mapping, mappings, texts
from earthcode_pack.errors import UserError
from earthcode_pack.profile.field_types import is_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.checks.documents import Document
    from earthcode_pack.model import Finding
    from earthcode_pack.profile import Profile

_FIELDS = {"auth:refs": "auth:schemes", "storage:refs": "storage:schemes"}
_NAMED_BY_OTHERS = "scopes"  # of OAuth 2.0: its keys are names that a server gave


def scheme_findings(document: Document) -> Iterator[Finding]:
    """What a Catalog, Collection or Item says of the ways to closed data."""
    for refs, schemes in _FIELDS.items():
        declared = mapping(document.properties().get(schemes))
        for where, holder in _holders(document):
            unknown = [name for name in texts(holder.get(refs)) if name not in declared]
            if unknown:
                message = f"{refs} of {where} of {document.subject} names {', '.join(unknown)}, which {schemes} lacks"
                yield rules.SCHEME_UNKNOWN.finding(document.subject, message, unknown, sorted(declared))
        for path in _secrets(declared, schemes):
            message = f"{path} of {document.subject} looks like a secret"
            yield rules.SCHEME_SECRET.finding(document.subject, message, path)


def _holders(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    """Whatever may refer to a scheme; definitions in ``item_assets`` refer to those of the Items."""
    for key, asset in document.assets().items():
        yield f"the asset {key}", asset
        for name, alternate in mappings(asset.get("alternate")).items():
            yield f"the alternate {name} of the asset {key}", alternate
    for link in listed(document.stac.get("links")):
        yield f"the link {link.get('rel')}", link


def _secrets(value: Any, path: str, key: str = "") -> Iterator[str]:
    """The places of what looks like a secret, never the secret itself."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _secrets(part, f"{path}.{name}", "" if key == _NAMED_BY_OTHERS else str(name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _secrets(part, f"{path}[{number}]", key)
    elif isinstance(value, str) and is_secret(key, value):
        yield path


def closed_findings(bundle: Bundle, profile: Profile) -> Iterator[Finding]:
    """That a bundle goes to S3 storage where readers need keys, and its Collection does not tell them which."""
    store = profile.store
    if store is None or store.access != "private" or not (store.href or "").startswith("s3://"):
        return
    try:
        stac = mapping(bundle.collection())
    except (UserError, OSError, ValueError):
        return  # its own finding says so
    if not (mappings(stac.get("auth:schemes")) and mappings(stac.get("storage:schemes"))):
        message = "readers of the product need keys of its S3 storage, and collection.json does not say where that is"
        yield rules.CLOSED.finding("collection.json", message)
