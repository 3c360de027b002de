from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from stac_schemas import complaints

from earthcode_pack.catalogs.osc import open_catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.catalogs.osc import Catalog

sys.path.insert(0, str(Path(__file__).parent))  # for osc_bundles


@pytest.fixture(scope="session")
def catalog(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The real catalogue, or a small one that keeps its rules."""
    return open_catalog(str(catalogue), tmp_path_factory.mktemp("catalog"))


@pytest.fixture(autouse=True)
def _no_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture(scope="session")
def valid(schemas: Path) -> Callable[[dict[str, Any]], list[str]]:
    """A function that says what the schemas of STAC and of the extensions listed have against a record."""
    return lambda record: complaints(record, schemas)
