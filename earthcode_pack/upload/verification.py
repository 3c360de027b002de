"""Verification of a published product against its manifest: presence, size, bytes; and readers can open it."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from earthcode_pack.bundle import Bundle, open_bundle
from earthcode_pack.checks import rules
from earthcode_pack.errors import UserError
from earthcode_pack.model import Finding, Level
from earthcode_pack.redact import is_signed, shown
from earthcode_pack.storage import Reader, open_reader, open_store
from earthcode_pack.storage.concurrency import each
from earthcode_pack.storage.inputs import local_path
from earthcode_pack.storage.reader_config import ReaderConfig
from earthcode_pack.upload.entries import Entry, entries_of, product_entries, published_prefix
from earthcode_pack.upload.opening import belongs, open_finding, openable
from earthcode_pack.upload.stages import COLLECTION, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earthcode_pack.rule import Rule


class _Published(NamedTuple):
    """Published objects: their store for this program and for readers, their prefix, and the manifest's entries."""

    reader: Reader
    window: ReaderConfig
    prefix: str
    entries: tuple[Entry, ...]


def verify(target: Bundle | Path | str, read: bool = False, *, sample: int | None = None) -> tuple[Finding, ...]:
    """Verifies a published product against its manifest: presence, size and sha256; no finding means that all is right.

    ``target`` is a bundle, whose own manifest counts, or the href of a published version (its folder, manifest or
    Collection), whose published one does. The sha256 is the one the storage states, of a path that of its bytes. With
    ``read`` every byte is fetched and hashed, and the data is opened with GDAL or zarr from where it is published;
    ``sample`` does so with that many objects, the same ones each time, and the data that they belong to.

    Raises ``UserError`` where nothing is published at an href, ``OutsideError`` where the storage fails.
    """
    bundle = _bundle(target)
    if bundle is not None and (store := bundle.profile().store) is not None and store.prr is not None:
        from earthcode_pack.catalogs.prr import verify as verify_registered  # noqa: PLC0415 - only where it is the PRR

        return verify_registered(bundle, read or sample is not None)
    there = _published(target)
    chosen = _chosen(there.entries, sample) if read or sample is not None else set[str]()
    found = each(partial(_compare, there, chosen), there.entries)
    known = {entry.key for entry in there.entries}
    strays = sorted({key.removeprefix(there.prefix) for key in there.reader.keys(there.prefix)} - known)
    findings = [finding for finding in found if finding is not None]
    unknown = [finding for finding in findings if finding.rule == rules.PUB_UNREAD.id]
    opened = _opened(there, chosen, {finding.subject for finding in findings if finding.level is Level.ERROR})
    return (*(f for f in findings if f not in unknown), *opened, *unknown[:1], *(_stray(key) for key in strays))


def _chosen(entries: Iterable[Entry], sample: int | None) -> set[str]:
    """The keys that are read: all, or so many, drawn by the sha256 of the manifest."""
    keys = sorted(entry.key for entry in entries)
    if sample is None or sample >= len(keys):
        return set(keys)
    seed = next(entry.sha256 for entry in entries if entry.key == MANIFEST)
    return set(random.Random(seed).sample(keys, sample))  # noqa: S311 - a draw, not a secret


def _opened(there: _Published, chosen: set[str], wrong: set[str]) -> list[Finding]:
    """Finds the data that does not open, of what was read; what is known to be missing or wrong is not tried."""
    things = openable(entry.key for entry in there.entries)
    tried = [
        thing
        for thing in things
        if any(belongs(key, thing) for key in chosen) and not any(belongs(key, thing) for key in wrong)
    ]
    found = (open_finding(there.window, f"{there.prefix}{thing}") for thing in tried)
    return [one.model_copy(update={"subject": one.subject.removeprefix(there.prefix)}) for one in found if one]


def _published(target: Bundle | Path | str) -> _Published:
    bundle = _bundle(target)
    if bundle is not None:
        profile = bundle.profile()
        if profile.store is None:
            raise UserError(f"{bundle.root}: its profile names no store", "set store.href")
        store = open_store(profile.store)
        window = ReaderConfig(str(profile.store.href), profile.store)
        return _Published(store, window, published_prefix(profile), tuple(product_entries(bundle).values()))
    _refuse_links(str(target))
    href = str(target).removesuffix(COLLECTION).removesuffix(MANIFEST).rstrip("/")
    reader = open_reader(href)
    manifest = reader.read(MANIFEST)
    if manifest is None:
        raise UserError(f"{shown(href)}: neither a bundle nor a published version (no {MANIFEST})", "correct the href")
    return _Published(reader, ReaderConfig(href), "", entries_of(manifest, reader.href(MANIFEST)))


def _refuse_links(href: str) -> None:
    if "://" in href and (is_signed(href) or (href.startswith("http") and "?" in href)):
        raise UserError(
            f"{shown(href)}: a product is many objects, which no link with a query or password names",
            "name the folder by its plain href; for S3 set the credentials in the environment",
        )


def _bundle(target: Bundle | Path | str) -> Bundle | None:
    if isinstance(target, Bundle):
        return target
    path = local_path(str(target))
    return open_bundle(path) if path is not None and (Path(path) / "profile.yaml").is_file() else None


def _compare(there: _Published, chosen: set[str], entry: Entry) -> Finding | None:
    key = there.prefix + entry.key
    stored = there.reader.head(key)
    if stored is None:
        return _finding(rules.PUB_PRESENT, entry.key, "is not published", None, entry.size)
    if stored.size != entry.size:
        return _finding(rules.PUB_SIZE, entry.key, "has another size than the manifest says", stored.size, entry.size)
    digest = there.reader.sha256(key) if entry.key in chosen else stored.sha256
    if digest is None:
        return _unread(entry.key)
    if digest != entry.sha256:
        return _finding(
            rules.PUB_CHECKSUM, entry.key, "has another sha256 than the manifest says", digest, entry.sha256
        )
    return None


def _finding(rule: Rule, key: str, message: str, measured: int | str | None, allowed: int | str) -> Finding:
    return rule.finding(key, f"{key} {message}", measured, allowed)


def _unread(key: str) -> Finding:
    message = "the storage does not state checksums, of this object for one: only its size was compared"
    return rules.PUB_UNREAD.finding(key, message)


def _stray(key: str) -> Finding:
    return rules.PUB_STRAY.finding(key, f"{key} is published and the manifest does not name it")
