"""A bundle's Items as they are posted, the PRR catalogue's Items of the same ids, and the differences."""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin

from earthcode_pack.bundle import read_json
from earthcode_pack.catalogs.prr import rules
from earthcode_pack.catalogs.prr.collection import public_folder
from earthcode_pack.catalogs.prr.gateway import gateway_item
from earthcode_pack.catalogs.prr.http_client import Web, waits
from earthcode_pack.catalogs.prr.staging import Files, Staged
from earthcode_pack.errors import UserError
from earthcode_pack.execution.waiting import waiting
from earthcode_pack.storage.error_messages import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.catalogs.prr.settings import Prr
    from earthcode_pack.model import Finding

Item = dict[str, Any]

CLOCKS = frozenset({"created", "updated", "published", "processing:datetime"})  # they differ from run to run
_THREADS = 8  # questions at once


def each[A, R](work: Callable[[A], R], things: Iterable[A]) -> list[R]:
    """Runs ``work``, which waits for a server, on each thing; results are in order."""
    with ThreadPoolExecutor(_THREADS, "earthcode-pack-prr") as pool:
        return list(pool.map(work, things))


class Form(NamedTuple):
    """An Item as it is posted, with the files that go before it."""

    name: str
    posted: Item
    digest: str
    files: list[Staged]


class Forms:
    """The Items of a bundle in the gateway's form, read one by one: there may be very many."""

    def __init__(self, bundle: Bundle, prr: Prr) -> None:
        self._bundle, self._prr = bundle, prr
        self._public = public_folder(bundle.profile())
        self._files = Files(bundle, self._public)
        self.names = [str(item["id"]) for item in bundle.items()]

    def of(self, name: str) -> Form:
        """Reads one Item, and rewrites it in the gateway's form."""
        item = read_json(self._bundle.product / "items" / f"{name}.json")
        posted = posted_item(item, self._prr, self._public)
        return Form(name, posted, digest_of(posted), list(self._files.of(item, posted)))


def digest_of(item: Item) -> str:
    """Hashes an Item (sha256, hex), whatever the order of its members."""
    return hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()


def posted_item(item: Item, prr: Prr, public: str | None) -> Item:
    """Rewrites an Item in the gateway's form, with the catalogue's Collection and without relative links."""
    staged = gateway_item(item, prr.collection, public)
    kept = [link for link in staged["links"] if "://" in link["href"]]
    collection = {"rel": "collection", "href": prr.catalogued, "type": "application/json"}
    return {**staged, "links": [collection, *kept]}


class Catalogued:
    """Client of the catalogue, which decides whether an Item exists, whatever became of an answer."""

    def __init__(self, prr: Prr, web: Web) -> None:
        self._prr, self._web = prr, web

    def refuse_unknown(self) -> None:
        """Raises ``UserError`` where the Collection is not in the catalogue: only an operator can register it."""
        if self._web.json(self._prr.catalogued) is None:
            raise UserError(
                f"{self._prr.catalogued}: the PRR has no Collection {self._prr.collection}",
                "have the operator register it (prr/letter.md, prr/collection.json), or correct store.prr.collection",
            )

    def item(self, name: str) -> Item | None:
        """Reads an Item; None where the id is free."""
        return self._web.json(self._prr.catalogued_item(name))

    def late_item(self, name: str) -> Item | None:
        """Reads an Item that the gateway says exists: the index may be some seconds behind."""
        found = self.item(name)
        with waiting(f"the catalogue to have {name}", self._web.wait, "store.wait") as told:
            for wait in waits(self._web.wait, told):
                if found is not None:
                    break
                time.sleep(wait)
                found = self.item(name)
        return found


def item_differences(posted: Item, ingested: Item) -> Iterator[Finding]:
    """Yields how an Item of the catalogue differs from the one that would be posted under its id.

    Other files (name, ``file:size``, ``file:checksum``) are an error, other metadata a warning, an absent checksum an
    info. Fields that the catalogue adds are ignored. The gateway has neither PUT nor PATCH: people must mend this.
    """
    yield from _asset_differences(posted, ingested)
    for field in ("geometry", "bbox"):
        if posted.get(field) != ingested.get(field):
            yield _metadata(posted, field, ingested.get(field), posted.get(field))
    theirs = ingested.get("properties") or {}
    for key, value in posted["properties"].items():
        if key not in CLOCKS and not _same(value, theirs.get(key)):
            yield _metadata(posted, key, theirs.get(key), value)


def _asset_differences(posted: Item, ingested: Item) -> Iterator[Finding]:
    ours, theirs = posted["assets"], ingested.get("assets") or {}
    for key in sorted(ours.keys() | theirs.keys()):
        if key not in theirs:
            yield _data(posted, f"the ingested Item has no asset {key!r}", None, ours[key]["href"])
        elif key not in ours:
            yield _data(posted, f"only the ingested Item has an asset {key!r}", theirs[key].get("href"), None)
        else:
            yield from _asset_difference(posted, key, ours[key], theirs[key])


def _asset_difference(item: Item, key: str, ours: Item, theirs: Item) -> Iterator[Finding]:
    remote = "://" in ours["href"]
    pairs = {
        "name": (_name(ours, remote), _name(theirs, remote)),
        "file:size": (ours.get("file:size"), theirs.get("file:size")),
        "file:checksum": (ours.get("file:checksum"), theirs.get("file:checksum")),
    }
    for field, (wanted, found) in pairs.items():
        if field == "file:checksum" and None in (wanted, found):
            message = f"of the asset {key!r} no file:checksum is stated on both sides: its name and size were compared"
            yield rules.INGESTED_UNSTATED.finding(str(item["id"]), message)
        elif wanted != found:
            yield _data(item, f"the ingested asset {key!r} has another {field}", found, wanted)
    for field in sorted(ours.keys() - {"href", *pairs}):
        if not _same(ours[field], theirs.get(field)):
            yield _metadata(item, f"{key}: {field}", theirs.get(field), ours[field])


def _name(asset: Item, remote: bool) -> str:
    """Returns what the gateway keeps of an href: the file name of what it moves, all of what it leaves elsewhere."""
    href = str(asset.get("href"))
    return href if remote else PurePosixPath(href.partition("?")[0]).name


def _same(wanted: Any, found: Any) -> bool:
    return wanted == found or (_moment(wanted) is not None and _moment(wanted) == _moment(found))


def _moment(value: Any) -> datetime | None:
    """Parses a time: RFC 3339 has many ways to write one moment."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo is not None else None


def _data(item: Item, message: str, measured: Any, allowed: Any) -> Finding:
    return rules.INGESTED_DATA.finding(str(item["id"]), message, measured, allowed)


def _metadata(item: Item, field: str, measured: Any, allowed: Any) -> Finding:
    message = f"the Item is ingested with another {field}"
    return rules.INGESTED_METADATA.finding(str(item["id"]), message, measured, allowed)


POLL = 2.0  # s between two looks at what is not there yet

_OK = 200
_FORBIDDEN = frozenset({401, 403, 405, 501})  # it may be there: readers need credentials, or HEAD is not served


class Href(NamedTuple):
    """A file of an ingested Item: where readers find it, its size in bytes, and its sha256 (hex)."""

    item: str
    url: str
    size: int
    sha256: str | None


class Look(NamedTuple):
    """Answer of HEAD to an href."""

    href: Href
    status: int
    size: int | None

    @property
    def is_right(self) -> bool:
        return self.status == _OK and self.size == self.href.size

    @property
    def is_decided(self) -> bool:
        """True where another request would tell nothing else."""
        return self.is_right or self.is_hidden

    @property
    def is_hidden(self) -> bool:
        """True where the file may be there for readers with credentials."""
        return self.status in _FORBIDDEN

    @property
    def finding(self) -> Finding:
        """The finding, where the answer is not right."""
        subject, url = self.href.item, shown(self.href.url)
        if self.is_hidden:
            message = f"{url} answers {self.status}: whether the file is there cannot be seen from here"
            return rules.PUBLISHED_UNSEEN.finding(subject, message, self.status)
        if self.status != _OK:
            return rules.PUBLISHED.finding(subject, f"{url} answers {self.status}", self.status, self.href.size)
        message = f"{url} has another size than the file that was staged"
        return rules.PUBLISHED.finding(subject, message, self.size, self.href.size)


def hrefs_of(posted: dict[str, Any], ingested: dict[str, Any], stac: str) -> Iterator[Href]:
    """Yields the archived files of an Item. Hrefs such as ``/d/<collection>/…`` belong to the catalogue's host."""
    for key, asset in posted["assets"].items():
        found = ingested.get("assets", {}).get(key, {}).get("href")
        if "://" not in asset["href"] and isinstance(found, str):
            digest = str(asset.get("file:checksum", "")).removeprefix("1220") or None
            yield Href(str(posted["id"]), urljoin(f"{stac}/", found), asset["file:size"], digest)


def unpublished(hrefs: Iterable[Href], web: Web, patience: float) -> list[Look]:
    """Polls files until ``patience`` seconds after the last arrival; returns those absent or of another size."""
    open_, decided = list(hrefs), []
    with waiting("files to appear in the PRR's archive", patience, "store.prr.patience") as told:
        while open_:
            looks = each(lambda href: Look(href, *web.head(href.url)), open_)
            settled = [look for look in looks if look.is_decided]
            decided += settled
            open_ = [look.href for look in looks if not look.is_decided]
            if settled:
                told.restart()
            if told.is_over:
                decided += [look for look in looks if not look.is_decided]
                break
            told.tell(f"{len(open_)} are not there yet")
            time.sleep(POLL if open_ else 0)
    return [look for look in decided if not look.is_right]


def damage(href: Href, web: Web) -> Finding | None:
    """Reads the bytes at an href; returns a finding where they are not those that were staged."""
    found = web.sha256(href.url)
    if href.sha256 is None or found == href.sha256:
        return None
    message = f"{shown(href.url)} holds other bytes than the file that was staged"
    return rules.PUBLISHED.finding(href.item, message, found, href.sha256, remedy="the PRR's operator must look")


def differences(bundle: Bundle, prr: Prr) -> list[Finding]:
    """Finds how the catalogue's Items differ from the bundle's."""
    return [
        finding
        for form, found in _both(bundle, prr, Web(prr.ca_bundle, prr.wait))
        if found is not None
        for finding in item_differences(form.posted, found)
    ]


def registered(bundle: Bundle, prr: Prr, *, read: bool) -> list[Finding]:
    """Finds differences, Items that the catalogue lacks, and files that are not at their hrefs now.

    Args:
        bundle: a bundle that was registered.
        prr: where the PRR is.
        read: fetch and hash the files that are there.

    """
    web = Web(prr.ca_bundle, prr.wait)
    findings: list[Finding] = []
    hrefs: list[Href] = []
    for form, found in _both(bundle, prr, web):
        if found is None:
            message = f"{prr.catalogued_item(form.name)}: the PRR has no such Item"
            findings.append(rules.REGISTERED.finding(form.name, message))
            continue
        findings += item_differences(form.posted, found)
        hrefs += hrefs_of(form.posted, found, prr.stac)
    wrong = unpublished(hrefs, web, 0)
    there = set(hrefs) - {look.href for look in wrong} if read else ()
    damaged = each(lambda href: damage(href, web), there)
    return [*findings, *(look.finding for look in wrong), *(found for found in damaged if found)]


def _both(bundle: Bundle, prr: Prr, web: Web) -> list[tuple[Form, Item | None]]:
    catalogued, forms = Catalogued(prr, web), Forms(bundle, prr)
    catalogued.refuse_unknown()
    return each(lambda name: (forms.of(name), catalogued.item(name)), forms.names)
