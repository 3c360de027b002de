"""ESA's Project Results Repository (PRR): registration at its gateway, and the documents of the hand-over.

Sources: github EOEPCA/reg-api (gateway, client, QA job) and EarthCODE's PRR tutorials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.bundle import values_to_json
from earthcode_pack.catalogs.prr import rules
from earthcode_pack.catalogs.prr.gateway import gateway_findings
from earthcode_pack.catalogs.prr.hand_over import hand_over, hand_over_findings
from earthcode_pack.files import write_atomic
from earthcode_pack.model import Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Finding

__all__ = ["ANSWERED", "difference", "gateway_findings", "hand_over", "hand_over_findings", "register", "verify"]

ANSWERED = frozenset(
    rule.id
    for rule in (
        rules.INGESTED_DATA,
        rules.INGESTED_METADATA,
        rules.INGESTED_UNSTATED,
        rules.PUBLISHED,
        rules.PUBLISHED_UNSEEN,
        rules.REFUSED,
    )
)
"""Rules of findings about answers of the PRR: each registration makes them anew, so they block none."""


def register(bundle: Bundle, *, progress: Callable[[int, int], None] | None = None) -> tuple[Finding, ...]:
    """Registers a bundle's Items with the PRR: stages their files, posts them, and sees them published.

    All rules of the gateway are checked first, and the catalogue is asked for each Item: what it has is left alone, and
    where an error stands that the profile does not accept, nothing is sent. An interrupted run resumes. The gateway's
    answers are kept in ``prr/answers/``, the files that were seen published in ``receipts.json``.

    Args:
        bundle: a prepared bundle.
        progress: called with the number of Items that are done, and of all.

    Returns:
        Findings; none where every Item is registered and every file can be read.

    Raises:
        UserError: the profile or the Collection is wrong.
        OutsideError: credentials are missing, or storage, gateway or catalogue fail.

    """
    from earthcode_pack.catalogs.prr.http_client import Web  # noqa: PLC0415
    from earthcode_pack.catalogs.prr.registration import Ingestion  # noqa: PLC0415 - and its clients only where they are used
    from earthcode_pack.catalogs.prr.settings import account, prr_of  # noqa: PLC0415
    from earthcode_pack.catalogs.prr.staging import open_staging  # noqa: PLC0415

    prr = prr_of(bundle.profile())
    wrong = [finding for finding in hand_over_findings(bundle) if finding.level is Level.ERROR]
    if wrong:
        return tuple(wrong)
    user = account()
    run = Ingestion(bundle, prr, user, Web(prr.ca_bundle, prr.wait), open_staging(prr, user))
    try:
        found = run.run(progress or (lambda _done, _all: None))
    finally:
        write_atomic(bundle.root / "receipts.json", values_to_json(run.receipts()))
    return _ordered(found)


def difference(bundle: Bundle) -> tuple[Finding, ...]:
    """Compares the Items of the PRR's catalogue with those that would be posted; sends nothing.

    Other files are errors, other metadata warnings; an Item that is not there is no difference. Needs no credentials;
    raises as ``register``.
    """
    from earthcode_pack.catalogs.prr.catalogued import differences  # noqa: PLC0415
    from earthcode_pack.catalogs.prr.settings import prr_of  # noqa: PLC0415

    return _ordered(differences(bundle, prr_of(bundle.profile())))


def verify(bundle: Bundle, read: bool = False) -> tuple[Finding, ...]:
    """Checks that every Item is in the PRR's catalogue with the same data, and every file at its href.

    Sends nothing and needs no credentials; raises as ``register``.

    Args:
        bundle: a bundle that was registered.
        read: fetch and hash every byte.

    Returns:
        Findings; none where all is as it should be.

    """
    from earthcode_pack.catalogs.prr.catalogued import registered  # noqa: PLC0415
    from earthcode_pack.catalogs.prr.settings import prr_of  # noqa: PLC0415

    return _ordered(registered(bundle, prr_of(bundle.profile()), read=read))


def _ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sorts findings by Item, since many threads made them."""
    return tuple(sorted(findings, key=lambda finding: (finding.subject, finding.rule, finding.message)))
