"""The real catalogue, as of 15 July 2026: the faults that are known to be there are found."""

from __future__ import annotations

import tarfile
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks.catalogue import page
from earthcode_pack.checks import check

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.model import Finding

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("osc")
    with tarfile.open(shared / "osc-catalog.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "open-science-catalog-metadata"


@pytest.fixture(scope="module")
def found(checkout: Path, schemas: Path) -> tuple[Finding, ...]:
    return check(checkout, schemas=schemas)


def test_its_known_faults_are_found(found):
    of_products = [f for f in found if f.subject.startswith("products/") and f.subject.endswith("/collection.json")]
    counts = Counter(finding.rule for finding in of_products)
    expected = {
        "OSC-BACK-LINK": 106,
        "OSC-ITEMS-EXTENT": 9,
        "STAC-BBOX-GLOBAL": 110,
        "STAC-BBOX-POINT": 22,
        "OSC-START-OPEN": 28,
        "OSC-END-OPEN": 29,
        "OSC-LICENSE-PROPRIETARY": 265,
        "OSC-DOI-ABSENT": 272,
        "OSC-DATA-DESCRIBED": 351,
    }
    assert {rule: counts[rule] for rule in expected} == expected
    assert counts["OSC-CF-UNIT"] + counts["OSC-CF-PARAMETER"] == 351


def test_what_only_the_datas_own_collection_has_is_not_asked_of_a_record(found):
    records = [finding for finding in found if finding.subject.endswith(("/collection.json", "/catalog.json"))]
    assert not {"STAC-REC-01", "STAC-REC-02", "METADATA-REC-07", "STAC-LICENSE-LINK"} & {f.rule for f in records}


def test_the_page_is_what_the_generator_writes(found, checkout, root):
    written = (root / "docs/catalogue.md").read_text(encoding="utf-8")
    assert written == page(checkout, found, "b539bd3b", "15 July 2026"), "run: python -m benchmarks.catalogue"
