"""The Open Science Catalog: the only place that knows it. From a bundle to a change set a data steward can merge.

Sources: github ESA-EarthCODE/open-science-catalog-metadata and ESA-EarthCODE/open-science-catalog-validation.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from earthcode_pack.bundle import Bundle, write_atomic
from earthcode_pack.errors import UserError
from earthcode_pack.handoff.catalog import Catalog
from earthcode_pack.handoff.changes import change_set, stale_items
from earthcode_pack.handoff.ids import check_ids
from earthcode_pack.handoff.opening import open_catalog
from earthcode_pack.handoff.patch import patch
from earthcode_pack.handoff.request import measured_facts, request
from earthcode_pack.product_facts import record_time

__all__ = ["Catalog", "change_set", "check_ids", "hand_off", "open_catalog"]

_SOFTWARE = ("software", "versions", "packages", "python", "platform")  # of the provenance: no path, no host


def hand_off(bundle: Bundle, catalog: Catalog | None = None) -> list[str]:
    """Writes ``osc/``, ``osc.patch`` and ``pull_request.md`` into the bundle; returns their paths relative to it.

    Without ``catalog`` the one that the profile names is opened. The same bundle and catalogue give the same bytes;
    files in ``osc/`` that an earlier hand-off left and this one does not need are removed.

    Raises ``UserError`` where the profile names no catalogue, and what ``open_catalog`` and ``check_ids`` raise.
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
    texts["osc.patch"] = patch(_differences(catalog, changes, deleted))
    texts["pull_request.md"] = request(profile, catalog, changes, deleted, facts=facts, findings=bundle.findings())
    _only(bundle.root / "osc", set(changes))
    for path, text in texts.items():
        write_atomic(bundle.root / path, text)
    return list(texts)


def _differences(
    catalog: Catalog, changes: dict[str, str], deleted: list[str]
) -> list[tuple[str, str | None, str | None]]:
    paths: dict[str, Any] = {**changes, **dict.fromkeys(deleted)}
    return [(path, catalog.text(path), new) for path, new in sorted(paths.items())]


def _only(folder: Path, wanted: set[str]) -> None:
    """Removes what an earlier hand-off left."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
