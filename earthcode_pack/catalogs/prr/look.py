"""Looking at what the PRR has of a bundle, without a word to its gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.catalogs.prr import rules
from earthcode_pack.catalogs.prr.ingested import item_differences
from earthcode_pack.catalogs.prr.items import Catalogued, Form, Forms, each
from earthcode_pack.catalogs.prr.published import Href, damage, hrefs_of, unpublished
from earthcode_pack.catalogs.prr.web import Web

if TYPE_CHECKING:
    from earthcode_pack.bundle import Bundle
    from earthcode_pack.catalogs.prr.items import Item
    from earthcode_pack.catalogs.prr.settings import Prr
    from earthcode_pack.model import Finding


def differences(bundle: Bundle, prr: Prr) -> list[Finding]:
    """How the catalogue's Items differ from the bundle's."""
    return [
        finding
        for form, found in _both(bundle, prr, Web(prr.ca_bundle, prr.wait))
        if found is not None
        for finding in item_differences(form.posted, found)
    ]


def registered(bundle: Bundle, prr: Prr, *, read: bool) -> list[Finding]:
    """The same, with the Items that the catalogue lacks, and the files that are not at their hrefs now.

    With ``read`` the bytes of those that are there are hashed.
    """
    web = Web(prr.ca_bundle, prr.wait)
    findings: list[Finding] = []
    hrefs: list[Href] = []
    for form, found in _both(bundle, prr, web):
        if found is None:
            findings.append(_absent(form.name, prr))
            continue
        findings += item_differences(form.posted, found)
        hrefs += hrefs_of(form.posted, found, prr.stac)
    wrong = unpublished(hrefs, web, 0, each)
    there = set(hrefs) - {look.href for look in wrong} if read else ()
    damaged = each(lambda href: damage(href, web), there)
    return [*findings, *(look.finding for look in wrong), *(found for found in damaged if found)]


def _both(bundle: Bundle, prr: Prr, web: Web) -> list[tuple[Form, Item | None]]:
    catalogued, forms = Catalogued(prr, web), Forms(bundle, prr)
    catalogued.refuse_unknown()
    return each(lambda name: (forms.of(name), catalogued.item(name)), forms.names)


def _absent(name: str, prr: Prr) -> Finding:
    return rules.REGISTERED.finding(name, f"{prr.catalogued_item(name)}: the PRR has no such Item")
