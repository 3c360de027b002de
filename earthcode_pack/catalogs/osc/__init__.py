"""The Open Science Catalog, which no other package knows: from a bundle to a change set that a data steward can merge.

Sources: github ESA-EarthCODE/open-science-catalog-metadata and ESA-EarthCODE/open-science-catalog-validation.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from earthcode_pack.bundle import Bundle, remove_strays
from earthcode_pack.catalogs.osc.catalog import Catalog, open_catalog
from earthcode_pack.catalogs.osc.changes import change_set, stale_items
from earthcode_pack.catalogs.osc.ids import check_ids
from earthcode_pack.catalogs.osc.pull_request import measured_facts, patch, request
from earthcode_pack.errors import UserError
from earthcode_pack.files import write_atomic
from earthcode_pack.product_facts import record_time

__all__ = ["Catalog", "change_set", "check_ids", "hand_off", "open_catalog"]

_SOFTWARE = ("software", "versions", "packages", "python", "platform")  # of the provenance: no path, no host


def hand_off(bundle: Bundle, catalog: Catalog | None = None) -> list[str]:
    """Writes ``osc/``, ``osc.patch`` and ``pull_request.md`` into the bundle.

    The same bundle and catalogue give the same bytes. Files in ``osc/`` that an earlier hand-off wrote and this one
    does not are removed.

    Args:
        bundle: a prepared bundle.
        catalog: the catalogue; by default the one that the profile names is opened.

    Returns:
        The paths written, relative to the bundle.

    Raises:
        UserError: the profile names no catalogue, or what it names is not the catalogue.
        UnknownId: the catalogue lacks an id of the profile.
        OutsideError: the catalogue cannot be fetched or read.

    """
    if catalog is not None:
        return _hand_off(bundle, catalog)
    named = bundle.profile().catalog
    if named is None:
        raise UserError("the profile names no catalogue", "set catalog.metadata")
    with tempfile.TemporaryDirectory() as scratch:
        return _hand_off(bundle, open_catalog(named.metadata, Path(scratch)))


def _hand_off(bundle: Bundle, catalog: Catalog) -> list[str]:
    profile, collection = bundle.profile(), bundle.collection()
    environment = {key: value for key, value in bundle.provenance().items() if key in _SOFTWARE}
    changes = change_set(profile, collection, bundle.items(), catalog, record_time(bundle), environment=environment)
    deleted = stale_items(profile, catalog, changes)
    count = sum(1 for _ in bundle.items())
    facts = measured_facts(profile, collection, count, bundle.manifest(), bundle.digest)
    texts = {f"osc/{path}": text for path, text in changes.items()}
    after: dict[str, str | None] = {**changes, **dict.fromkeys(deleted)}
    texts["osc.patch"] = patch((path, catalog.text(path), new) for path, new in sorted(after.items()))
    texts["pull_request.md"] = request(profile, catalog, changes, deleted, facts=facts, findings=bundle.findings())
    remove_strays(bundle.root / "osc", set(changes))
    for path, text in texts.items():
        write_atomic(bundle.root / path, text)
    return list(texts)
