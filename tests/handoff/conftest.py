from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from earthcode_pack.handoff import open_catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from earthcode_pack.handoff import Catalog

sys.path.insert(0, str(Path(__file__).parent))  # for osc_bundles

SHARED = Path(__file__).parents[3] / "shared"
SNAPSHOT = SHARED / "osc-catalog.tar.gz"
SCHEMAS = SHARED / "schemas"


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The real catalogue as of July 2026."""
    if not SNAPSHOT.is_file():
        pytest.skip("the snapshot of the Open Science Catalog is not beside the checkout")
    return open_catalog(str(SNAPSHOT), tmp_path_factory.mktemp("snapshot"))


@pytest.fixture(autouse=True)
def _no_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture(scope="session")
def valid() -> Callable[[dict[str, Any]], list[str]]:
    """A function that says what the schemas of STAC and of the extensions listed have against a record."""
    if not SCHEMAS.is_dir():
        pytest.skip("the schemas are not beside the checkout")
    return _complaints


def _complaints(record: dict[str, Any]) -> list[str]:
    import jsonschema

    kind = {"Feature": "item", "Collection": "collection", "Catalog": "catalog"}[record["type"]]
    core = f"https://schemas.stacspec.org/v{record['stac_version']}/{kind}-spec/json-schema/{kind}.json"
    found: list[str] = []
    for url in [core, *record.get("stac_extensions", ())]:
        validator = jsonschema.Draft7Validator(_schema(url), registry=_registry())
        found += [f"{url}: {error.json_path}: {error.message[:300]}" for error in validator.iter_errors(record)]
    return found


def _schema(url: str) -> dict[str, Any]:
    return dict(json.loads((SCHEMAS / url.removesuffix("#").split("://", 1)[1]).read_bytes()))


@functools.cache
def _registry() -> Any:
    import jsonschema
    import referencing
    from referencing.jsonschema import DRAFT7

    metaschema = referencing.Resource.from_contents(jsonschema.Draft7Validator.META_SCHEMA, DRAFT7)
    registry = referencing.Registry(retrieve=lambda uri: referencing.Resource.from_contents(_schema(uri), DRAFT7))
    return registry.with_resource("http://json-schema.org/draft-07/schema", metaschema)
