"""Registers a bundle's Items at the PRR's gateway: stage, post, keep the answer, see the files published.

Statuses and reasons of refusals: github EOEPCA/reg-api, server. The answers in `prr/answers/` and the catalogue are all
that an interrupted run needs to resume.
"""

from __future__ import annotations

import logging
import time
from itertools import batched
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from earthcode_pack.catalogs.prr import rules
from earthcode_pack.catalogs.prr.catalogued import (
    Catalogued,
    Form,
    Forms,
    Item,
    each,
    hrefs_of,
    item_differences,
    unpublished,
)
from earthcode_pack.catalogs.prr.http_client import Unanswered, Web, waits
from earthcode_pack.errors import EarthcodePackError, OutsideError
from earthcode_pack.execution.waiting import waiting
from earthcode_pack.files import write_atomic
from earthcode_pack.model import Finding, Level, Moment, Receipt, Value
from earthcode_pack.storage.base import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.catalogs.prr.http_client import Reply
    from earthcode_pack.catalogs.prr.settings import Account, Prr
    from earthcode_pack.catalogs.prr.staging import Staging
    from earthcode_pack.model import Finding

logger = logging.getLogger("earthcode_pack")

_LOOKED_AT = 200  # Items whose files are looked at together


class Ingestion:
    """Registration of all Items of a bundle, once."""

    def __init__(self, bundle: Bundle, prr: Prr, account: Account, web: Web, staging: Staging) -> None:
        self._prr, self._account, self._web, self._staging = prr, account, web, staging
        self._forms, self._answers = Forms(bundle, prr), Answers(bundle)
        self._catalogued = Catalogued(prr, web)
        self._accepted = bundle.profile().accept
        self._twice: set[str] = set()  # staged, and taken from another attempt
        self._is_heard = self._is_silent = False  # the gateway took something; it did not answer the last request
        self.findings: list[Finding] = []

    def run(self, progress: Callable[[int, int], None]) -> list[Finding]:
        """Registers every Item that the catalogue lacks; an Item there with other data stops the run before sending.

        Raises ``UserError`` for an unknown Collection, ``OutsideError`` where storage, gateway or catalogue fail.
        """
        self._catalogued.refuse_unknown()
        names = self._forms.names
        self._answers.sweep(set(names))
        lacking = [name for name, lacks in zip(names, each(self._lacks, names), strict=True) if lacks]
        if any(f.level is Level.ERROR and f.rule not in self._accepted for f in self.findings):
            return self.findings
        done = len(names) - len(lacking)
        progress(done, len(names))
        for batch in batched(lacking, self._prr.spec.batch):
            with waiting("the pause between two requests to the gateway", self._prr.spec.pause, "store.prr.pause"):
                time.sleep(self._prr.spec.pause if done > len(names) - len(lacking) else 0)
            self._send(list(batch))
            done += len(batch)
            progress(done, len(names))
        for some in batched(names, _LOOKED_AT):
            self._confirm(some)
        return self.findings

    def _lacks(self, name: str) -> bool:
        """Tells if the catalogue lacks an Item; differences of one that it has are noted."""
        found = self._catalogued.item(name)
        if found is None:
            self._answers.forget(name)  # an administrator may have deleted the Item
        else:
            self._found(self._forms.of(name), found)
        return found is None

    def _found(self, form: Form, ingested: Item) -> None:
        """Notes the catalogue's Item of an id: this one, or one with other data."""
        differences = list(item_differences(form.posted, ingested))
        self.findings += differences
        known = self._answers.of(form.name, form.digest)
        if any(finding.rule == rules.INGESTED_DATA.id for finding in differences):
            self._answers.forget(form.name)
        elif known is None or not known.is_registered:
            self._keep(form, None, ingested)

    def _keep(self, form: Form, status: int | None, body: Any) -> None:
        answer = Answer(item=form.name, posted=form.digest, status=status, body=body, answered=now())
        self._answers.keep(answer)

    # --- a batch

    def _send(self, names: list[str]) -> None:
        """Stages and posts Items until the gateway or the catalogue has answered about each."""
        forms = [self._forms.of(name) for name in names]
        pauses = waits(self._web.wait)
        while forms:
            self._staging.fill(file for form in forms for file in form.files)
            try:
                answers = self._post(forms)
            except Unanswered as failure:
                wait = next(pauses, None)
                if wait is None:
                    return self._give_up(forms, failure)
                logger.info("%s: asking the catalogue", failure.message)
                with waiting(f"the gateway, after it said nothing of {forms[0].name}", self._web.wait, "store.wait"):
                    time.sleep(wait)
            else:
                self._is_heard, self._is_silent = True, False
                for form, (status, body) in zip(forms, answers, strict=True):
                    self._settle(form, status, body)
                return None
            forms = self._still_lacking(forms)
            if len(forms) > 1:  # one of them may be what the gateway fails on
                for form in forms:
                    self._send([form.name])
                return None
        return None

    def _still_lacking(self, forms: list[Form]) -> list[Form]:
        """Asks the catalogue which Items it lacks after a request that was not answered."""
        lacking = [form for form in forms if self._lacks(form.name)]
        self._is_heard = self._is_heard or len(lacking) < len(forms)
        return lacking

    def _give_up(self, forms: list[Form], failure: Unanswered) -> None:
        """Notes one Item that a working gateway fails on; two in a row mean that the gateway is down, an error."""
        if not self._is_heard or self._is_silent or len(forms) > 1:
            raise OutsideError(failure.message, failure.remedy) from None
        self._is_silent = True
        self.findings.append(refused_finding(forms[0].name, f"no answer about it ({failure.message})"))

    def _post(self, forms: list[Form]) -> list[tuple[int, Item]]:
        """Posts Items; returns status and body for each. Raises ``OutsideError`` for an answer about none of them."""
        items = [form.posted for form in forms]
        single = len(items) == 1
        answer = self._web.post(
            self._prr.items, items[0] if single else {"type": "FeatureCollection", "features": items}, self._account
        )
        body = answer.body
        features = body.get("features") if isinstance(body, dict) else None
        bodies = [body] if single else features if isinstance(features, list) else []
        are_items = all(isinstance(body, dict) for body in bodies) and len(bodies) == len(forms)
        if not are_items or (single and "id" not in bodies[0]):
            raise refusal(self._prr, answer)
        return [(CREATED if "failure_reason" not in body else answer.status, body) for body in bodies]

    def _settle(self, form: Form, status: int, body: Item) -> None:
        """Keeps an answer. After a refusal the catalogue is asked: an earlier attempt may have succeeded unanswered."""
        if status == CREATED:
            self._keep(form, status, body)
            return
        reason = str(body.get("failure_reason"))
        is_there = "already exists" in reason or "staging area" in reason
        ingested = self._catalogued.late_item(form.name) if is_there else self._catalogued.item(form.name)
        if ingested is None:
            self._keep(form, status, body)
            self.findings.append(refused_finding(form.name, str(body["failure_reason"])))
        else:
            self._twice.add(form.name)
            self._found(form, ingested)

    # --- afterwards

    def _confirm(self, names: Iterable[str]) -> None:
        """Waits for every file that was not seen published yet."""
        waiting = [pair for name in names if (pair := self._unseen(name)) is not None]
        hrefs = [href for form, answer in waiting for href in hrefs_of(form.posted, answer.body, self._prr.stac)]
        wrong = unpublished(hrefs, self._web, self._prr.spec.patience)
        self.findings += [look.finding for look in wrong]
        open_ = {look.href.item for look in wrong if not look.is_hidden}
        for form, answer in waiting:
            if form.name not in open_:
                self._answers.keep(answer.model_copy(update={"published": now()}))
        self._staging.sweep(file for form, _ in waiting if form.name in self._twice - open_ for file in form.files)

    def _unseen(self, name: str) -> tuple[Form, Answer] | None:
        form = self._forms.of(name)
        answer = self._answers.of(name, form.digest)
        is_open = answer is not None and answer.is_registered and answer.published is None
        return (form, answer) if answer is not None and is_open else None

    def receipts(self) -> list[Receipt]:
        """Makes a receipt for each file that was seen at its href, in the order of the Items."""
        made = []
        for form in map(self._forms.of, self._forms.names):
            answer = self._answers.of(form.name, form.digest)
            if answer is not None and (seen := answer.published) is not None:
                made += [Receipt(key=f.product_key, size=f.size, sha256=f.sha256, verified_at=seen) for f in form.files]
        return made


_LONGEST = 500  # characters of a stranger's words

_REMEDIES = {  # by words of the reason
    "staging area": "set store.prr.bucket to the stage-in bucket that the operator linked to the Collection",
    "already exists": "publish again: the catalogue is asked first",
    "does not match": "publish again: the file is staged anew",
    "Catalogue refused": "the PRR's operator must look at its catalogue",
    "Failed to store": "the PRR's operator must look: the Item may be in the catalogue without its files",
}


def refused_finding(item: str, reason: str) -> Finding:
    """Makes the finding that the gateway did not take an Item (409, 422), with its reason."""
    remedy = next((told for words, told in _REMEDIES.items() if words in reason), None)
    return rules.REFUSED.finding(item, f"the gateway refuses the Item: {reason[:_LONGEST]}", remedy=remedy)


def refusal(prr: Prr, answer: Reply) -> EarthcodePackError:
    """Makes the error for an answer about no Item in particular."""
    body = answer.body if isinstance(answer.body, dict) else {}
    said = str(body.get("detail") or body.get("failure_reason") or "")[:_LONGEST]
    if answer.status == 401 and "collection" in said.lower():  # noqa: PLR2004
        return OutsideError(
            f"{prr.items}: the user of RAPI_USERNAME may not write to the Collection {prr.collection}",
            "have the PRR's operator authorise the user (prr/letter.md), or correct store.prr.collection",
        )
    elsewhere = "correct store.prr.api: it ends before /collections"
    remedy = {
        **dict.fromkeys((301, 302, 307, 308, 404, 405), elsewhere),
        401: "correct RAPI_USERNAME and RAPI_PASSWORD",
        403: "have the PRR's operator authorise the user (prr/letter.md)",
        413: "set store.prr.batch to fewer Items",
    }.get(answer.status, "run again; where it stays, ask the PRR's operator")
    return OutsideError(f"{prr.items}: answers {answer.status}{f' ({said})' if said else ''}", remedy)


CREATED = 201  # the only status of an Item that was taken


class Answer(Value):
    """Last known answer about an Item.

    Attributes:
        item: id of the Item.
        posted: sha256 of the Item as it is posted.
        status: of the gateway's answer; None where the catalogue had the Item already.
        body: of the answer.
        answered: when.
        published: when every file was seen at its href.

    """

    item: str
    posted: str
    status: int | None
    body: Any
    answered: Moment
    published: Moment | None = None

    @property
    def is_registered(self) -> bool:
        """True where the catalogue has the Item, by its own or the gateway's answer."""
        return self.status in (None, CREATED)


class Answers:
    """The answers kept in a bundle, a file for each Item; an unreadable one counts as none."""

    def __init__(self, bundle: Bundle) -> None:
        self._folder = bundle.root / "prr" / "answers"

    def of(self, name: str, posted: str) -> Answer | None:
        """Reads the answer to this form of an Item."""
        try:
            found = Answer.from_json(self._path(name).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return found if found.posted == posted else None

    def keep(self, answer: Answer) -> None:
        """Writes an answer, whole or not at all."""
        write_atomic(self._path(answer.item), answer.to_json())

    def forget(self, name: str) -> None:
        """Removes the answer about an Item that the catalogue lacks, or has with other data."""
        self._path(name).unlink(missing_ok=True)

    def sweep(self, names: set[str]) -> None:
        """Removes the answers about Items that the product no longer has."""
        for path in self._folder.glob("*.json"):
            if path.stem not in names:
                path.unlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
