"""A tiny bundle with a store on disk, and one with a store on S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tiny import make_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle


@pytest.fixture
def s3_href(bucket: str) -> str:
    return f"s3://{bucket}/some/where"


@pytest.fixture(params=["local", "s3"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    href = str(tmp_path / "published") if request.param == "local" else request.getfixturevalue("s3_href")
    return make_bundle(tmp_path / "bundle", href)
