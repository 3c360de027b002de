"""Registers a bundle's Items at the PRR's gateway: stage, post, keep the answer, see the files published.

Statuses and reasons of refusals: github EOEPCA/reg-api, server. The answers in `prr/answers/` and the catalogue are all
that an interrupted run needs to resume.
"""

from __future__ import annotations

import logging
import time
from itertools import islice
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
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.catalogs.prr.http_client import Reply
    from earthcode_pack.catalogs.prr.settings import Account, Prr
    from earthcode_pack.catalogs.prr.staging import Staging
    from earthcode_pack.model import Finding

logger = logging.getLogger("earthcode_pack")

_LOOKED_AT = 200  # Items whose files are looked at together


class Ingestion:
    """One run over all Items."""

    def __init__(self, bundle: Bundle, prr: Prr, account: Account, web: Web, staging: Staging) -> None:
        self._prr, self._account, self._web, self._staging = prr, account, web, staging
        self._forms, self._answers = Forms(bundle, prr), Answers(bundle)
        self._catalogued = Catalogued(prr, web)
        self._accepted = bundle.profile().accept
        self._twice: set[str] = set()  # staged, and taken from another attempt
        self._is_heard = self._is_silent = False  # of the gateway: it took something; its last word was none
        self.findings: list[Finding] = []

    def run(self, progress: Callable[[int, int], None]) -> list[Finding]:
        """Every Item that the catalogue lacks; what it has otherwise stops the run before anything is sent.

        Raises ``UserError`` for an unknown Collection, ``OutsideError`` where storage, gateway or catalogue fail.
        """
        self._catalogued.refuse_unknown()
        names = self._forms.names
        self._answers.sweep(set(names))
        lacking = [name for name, lacks in zip(names, each(self._lacks, names), strict=True) if lacks]
        if self._stands():
            return self.findings
        done = len(names) - len(lacking)
        progress(done, len(names))
        for batch in _batches(lacking, self._prr.spec.batch):
            with waiting("the pause between two requests to the gateway", self._prr.spec.pause, "store.prr.pause"):
                time.sleep(self._prr.spec.pause if done > len(names) - len(lacking) else 0)
            self._send(batch)
            done += len(batch)
            progress(done, len(names))
        for some in _batches(names, _LOOKED_AT):
            self._confirm(some)
        return self.findings

    def _stands(self) -> bool:
        return any(f.level is Level.ERROR and f.rule not in self._accepted for f in self.findings)

    def _lacks(self, name: str) -> bool:
        """Whether the catalogue lacks an Item; of one that it has, what differs is noted."""
        found = self._catalogued.item(name)
        if found is None:
            self._answers.forget(name)  # it is told again, or an administrator has deleted the Item
        else:
            self._found(self._forms.of(name), found)
        return found is None

    def _found(self, form: Form, ingested: Item) -> None:
        """Notes what the catalogue has under an id: this Item, or one with other data."""
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
        """Stages and posts Items until the gateway or the catalogue has said something about each."""
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
                return self._settle_all(forms, answers)
            forms = self._still_lacking(forms)
            if len(forms) > 1:  # one of them may be what the gateway fails on
                for form in forms:
                    self._send([form.name])
                return None
        return None

    def _still_lacking(self, forms: list[Form]) -> list[Form]:
        """What the catalogue lacks after a request that was not answered."""
        lacking = [form for form in forms if self._lacks(form.name)]
        self._is_heard = self._is_heard or len(lacking) < len(forms)
        return lacking

    def _give_up(self, forms: list[Form], failure: Unanswered) -> None:
        """One Item that a working gateway fails on is a finding; where it fails on two in a row, it is out of order."""
        if not self._is_heard or self._is_silent or len(forms) > 1:
            raise OutsideError(failure.message, failure.remedy) from None
        self._is_silent = True
        self.findings.append(refused_finding(forms[0].name, f"no answer about it ({failure.message})"))

    def _post(self, forms: list[Form]) -> list[tuple[int, Item]]:
        """A status and a body for each; raises ``OutsideError`` for an answer about none of them."""
        items = [form.posted for form in forms]
        single = len(items) == 1
        answer = self._web.post(
            self._prr.items, items[0] if single else {"type": "FeatureCollection", "features": items}, self._account
        )
        bodies = [answer.body] if single else _features(answer.body)
        if not all(isinstance(body, dict) for body in bodies) or len(bodies) != len(forms):
            raise refusal(self._prr, answer)
        if single and "id" not in bodies[0]:
            raise refusal(self._prr, answer)
        return [(CREATED if "failure_reason" not in body else answer.status, body) for body in bodies]

    def _settle_all(self, forms: list[Form], answers: list[tuple[int, Item]]) -> None:
        self._is_heard, self._is_silent = True, False
        for form, (status, body) in zip(forms, answers, strict=True):
            self._settle(form, status, body)

    def _settle(self, form: Form, status: int, body: Item) -> None:
        """Keeps an answer. After a refusal the catalogue decides: an answer before this one may have been lost."""
        if status == CREATED:
            self._keep(form, status, body)
            return
        ingested = (
            self._catalogued.late_item(form.name) if _speaks_of_another(body) else self._catalogued.item(form.name)
        )
        if ingested is None:
            self._keep(form, status, body)
            self.findings.append(refused_finding(form.name, str(body["failure_reason"])))
        else:
            self._twice.add(form.name)
            self._found(form, ingested)

    # --- afterwards

    def _confirm(self, names: list[str]) -> None:
        """Looks at every file that was not seen yet, with patience."""
        waiting = [pair for name in names if (pair := self._unseen(name)) is not None]
        hrefs = [href for form, answer in waiting for href in hrefs_of(form.posted, answer.body, self._prr.stac)]
        wrong = unpublished(hrefs, self._web, self._prr.spec.patience, each)
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
        """One for each file that was seen at its href, in the order of the Items."""
        return [receipt for name in self._forms.names for receipt in self._receipts_of(self._forms.of(name))]

    def _receipts_of(self, form: Form) -> list[Receipt]:
        answer = self._answers.of(form.name, form.digest)
        if answer is None or answer.published is None:
            return []
        return [
            Receipt(key=file.product_key, size=file.size, sha256=file.sha256, verified_at=answer.published)
            for file in form.files
        ]


def _batches(names: list[str], size: int) -> Iterator[list[str]]:
    rest = iter(names)
    while batch := list(islice(rest, size)):
        yield batch


def _features(body: Any) -> list[Any]:
    features = body.get("features") if isinstance(body, dict) else None
    return features if isinstance(features, list) else []


def _speaks_of_another(body: Item) -> bool:
    """Whether a refusal may come of an earlier attempt that succeeded."""
    reason = str(body.get("failure_reason"))
    return "already exists" in reason or "staging area" in reason


_LONGEST = 500  # characters of a stranger's words

_REMEDIES = {  # by words of the reason
    "staging area": "set store.prr.bucket to the stage-in bucket that the operator linked to the Collection",
    "already exists": "publish again: the catalogue is asked first",
    "does not match": "publish again: the file is staged anew",
    "Catalogue refused": "the PRR's operator must look at its catalogue",
    "Failed to store": "the PRR's operator must look: the Item may be in the catalogue without its files",
}


def refused_finding(item: str, reason: str) -> Finding:
    """That the gateway did not take an Item (409, 422), and why."""
    remedy = next((told for words, told in _REMEDIES.items() if words in reason), None)
    return rules.REFUSED.finding(item, f"the gateway refuses the Item: {reason[:_LONGEST]}", remedy=remedy)


def refusal(prr: Prr, answer: Reply) -> EarthcodePackError:
    """The error for an answer that is about no Item."""
    said = _detail(answer.body)
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


def _detail(body: Any) -> str:
    """What FastAPI, or the gateway, says about the request as a whole."""
    if not isinstance(body, dict):
        return ""
    return str(body.get("detail") or body.get("failure_reason") or "")[:_LONGEST]


CREATED = 201  # the only status of an Item that was taken


class Answer(Value):
    """The last that is known of an Item: ``status`` is the gateway's, None where the catalogue had the Item already.

    ``posted`` is the sha256 of the Item as it is posted; ``published`` is when every file was seen at its href.
    """

    item: str
    posted: str
    status: int | None
    body: Any
    answered: Moment
    published: Moment | None = None

    @property
    def is_registered(self) -> bool:
        """Whether the catalogue has the Item, as the gateway or it itself said."""
        return self.status in (None, CREATED)


class Answers:
    """The answers in a bundle. What is unreadable is as good as none: the catalogue is asked anyway."""

    def __init__(self, bundle: Bundle) -> None:
        self._folder = bundle.root / "prr" / "answers"

    def of(self, name: str, posted: str) -> Answer | None:
        """The answer to this very form of an Item."""
        try:
            found = Answer.from_json(self._path(name).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return found if found.posted == posted else None

    def keep(self, answer: Answer) -> None:
        """Writes an answer, whole or not at all."""
        write_atomic(self._path(answer.item), answer.to_json())

    def forget(self, name: str) -> None:
        """Removes the answer about an Item that is not, or not as it is here, in the catalogue."""
        self._path(name).unlink(missing_ok=True)

    def sweep(self, names: set[str]) -> None:
        """Removes the answers about Items that are no more."""
        for path in self._folder.glob("*.json"):
            if path.stem not in names:
                path.unlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
