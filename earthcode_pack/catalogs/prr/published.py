"""Whether what the gateway took can be read: it posts an Item first and moves the files after."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin

from earthcode_pack.catalogs.prr import rules
from earthcode_pack.execution.waiting import waiting
from earthcode_pack.storage.words import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from earthcode_pack.catalogs.prr.web import Web
    from earthcode_pack.model import Finding

POLL = 2.0  # s between two looks at what is not there yet

_OK = 200
_FORBIDDEN = frozenset({401, 403, 405, 501})  # it may be there: readers need credentials, or HEAD is not served


class Href(NamedTuple):
    """A file of an ingested Item where readers find it, the size in bytes that it must have, and its sha256 (hex)."""

    item: str
    url: str
    size: int
    sha256: str | None


class Look(NamedTuple):
    """What HEAD said of it."""

    href: Href
    status: int
    size: int | None

    @property
    def is_right(self) -> bool:
        return self.status == _OK and self.size == self.href.size

    @property
    def is_decided(self) -> bool:
        """Whether looking again would tell nothing else."""
        return self.is_right or self.is_hidden

    @property
    def is_hidden(self) -> bool:
        """Whether the file may be there for readers with credentials."""
        return self.status in _FORBIDDEN

    @property
    def finding(self) -> Finding:
        """What is wrong with what HEAD said."""
        subject, url = self.href.item, shown(self.href.url)
        if self.is_hidden:
            message = f"{url} answers {self.status}: whether the file is there cannot be seen from here"
            return rules.PUBLISHED_UNSEEN.finding(subject, message, self.status)
        if self.status != _OK:
            return rules.PUBLISHED.finding(subject, f"{url} answers {self.status}", self.status, self.href.size)
        message = f"{url} has another size than the file that was staged"
        return rules.PUBLISHED.finding(subject, message, self.size, self.href.size)


def hrefs_of(posted: dict[str, Any], ingested: dict[str, Any], stac: str) -> Iterator[Href]:
    """The archived files of an Item; hrefs such as ``/d/<collection>/…`` are relative to the catalogue's host."""
    for key, asset in posted["assets"].items():
        found = ingested.get("assets", {}).get(key, {}).get("href")
        if "://" not in asset["href"] and isinstance(found, str):
            digest = str(asset.get("file:checksum", "")).removeprefix("1220") or None
            yield Href(str(posted["id"]), urljoin(f"{stac}/", found), asset["file:size"], digest)


def unpublished(hrefs: Iterable[Href], web: Web, patience: float, each: Callable[..., list[Any]]) -> list[Look]:
    """What is not there, or of another size, when ``patience`` seconds after the last arrival are over."""
    open_, decided = list(hrefs), []
    with waiting("files to appear in the PRR's archive", patience, "store.prr.patience") as told:
        while open_:
            looks: list[Look] = each(lambda href: Look(href, *web.head(href.url)), open_)
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
    """That the bytes at an href, read now, are not those that were staged."""
    found = web.sha256(href.url)
    if href.sha256 is None or found == href.sha256:
        return None
    message = f"{shown(href.url)} holds other bytes than the file that was staged"
    return rules.PUBLISHED.finding(href.item, message, found, href.sha256, remedy="the PRR's operator must look")
