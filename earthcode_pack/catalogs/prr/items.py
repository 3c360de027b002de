"""A bundle's Items in the form in which they are posted, and what the PRR's catalogue has under their ids."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.bundle import read_json
from earthcode_pack.catalogs.prr.answers import digest_of
from earthcode_pack.catalogs.prr.collection import public_folder
from earthcode_pack.catalogs.prr.gateway import gateway_item
from earthcode_pack.catalogs.prr.staging import Files, Staged
from earthcode_pack.catalogs.prr.web import Web, waits
from earthcode_pack.errors import UserError
from earthcode_pack.execution.waiting import waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.catalogs.prr.settings import Prr

Item = dict[str, Any]

_THREADS = 8  # questions at once


def each[A, R](work: Callable[[A], R], things: Iterable[A]) -> list[R]:
    """``work``, which waits for a server, on each thing."""
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
        """One of them."""
        item = read_json(self._bundle.product / "items" / f"{name}.json")
        posted = posted_item(item, self._prr, self._public)
        return Form(name, posted, digest_of(posted), list(self._files.of(item, posted)))


def posted_item(item: Item, prr: Prr, public: str | None) -> Item:
    """An Item in the gateway's form, its Collection the one of the catalogue; relative links lead nowhere there."""
    staged = gateway_item(item, prr.collection, public)
    kept = [link for link in staged["links"] if "://" in link["href"]]
    collection = {"rel": "collection", "href": prr.catalogued, "type": "application/json"}
    return {**staged, "links": [collection, *kept]}


class Catalogued:
    """What the catalogue has of a bundle: the truth about every Item, whatever became of an answer."""

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
        """An Item; None where the id is free."""
        return self._web.json(self._prr.catalogued_item(name))

    def late_item(self, name: str) -> Item | None:
        """An Item that the gateway speaks of: an index may be some seconds behind."""
        found = self.item(name)
        with waiting(f"the catalogue to have {name}", self._web.wait, "store.wait") as told:
            for wait in waits(self._web.wait, told):
                if found is not None:
                    break
                time.sleep(wait)
                found = self.item(name)
        return found
