"""What the gateway refuses, in words with a remedy. Its statuses and reasons: github EOEPCA/reg-api, server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.catalogs.prr import rules
from earthcode_pack.errors import EarthcodePackError, OutsideError

if TYPE_CHECKING:
    from earthcode_pack.catalogs.prr.settings import Prr
    from earthcode_pack.catalogs.prr.web import Reply
    from earthcode_pack.model import Finding

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
