"""A server that takes nothing in parts, as the staging areas of some platforms: large files go in one request."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest
from clockless import LONG
from services.faults import Fault, FaultProxy

from earthcode_pack.errors import OutsideError
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage.retry import RetryPolicy
from earthcode_pack.storage.s3 import S3Store, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from services.rgw import Rgw

    from earthcode_pack.storage.base import Begun

SIZE = 6 * 2**20 + 5
SETTINGS = Settings(large=2**20, part=5 * 2**20, policy=RetryPolicy(seconds=LONG, attempts=3, first=0.01))


@pytest.fixture
def proxy(rgw: Rgw, rgw_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:  # noqa: ARG001 - it comes first
    made = FaultProxy(rgw.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    yield made
    made.stop()


@pytest.fixture
def file(tmp_path: Path) -> tuple[Path, str]:
    """With its sha256."""
    data = random.Random(5).randbytes(SIZE)
    (tmp_path / "data").write_bytes(data)
    return tmp_path / "data", hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("refusal", [(501, "NotImplemented"), (405, "MethodNotAllowed"), (400, "InvalidRequest")])
def test_a_large_file_goes_in_one_request(
    proxy: FaultProxy,
    rgw_bucket: str,
    file: tuple[Path, str],
    refusal: tuple[int, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxy.faults.append(Fault("POST .*uploads", "status", 10**6, 0, *refusal))
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=SETTINGS)
    notes: list[Begun] = []
    receipt = store.put(file[0], "data", sha256=file[1], media_type="image/tiff", note=notes.append)
    assert (receipt.size, store.sha256("data"), notes) == (SIZE, file[1], [])
    assert "takes nothing in parts" in caplog.text


def test_a_refusal_of_another_kind_is_an_error(proxy: FaultProxy, rgw_bucket: str, file: tuple[Path, str]) -> None:
    proxy.faults.append(Fault("POST .*uploads", "status", status=403, code="AccessDenied", times=10**6))
    store = S3Store(StoreSpec(href=f"s3://{rgw_bucket}"), settings=SETTINGS)
    with pytest.raises(OutsideError, match="refuses access"):
        store.put(file[0], "data", sha256=file[1], media_type="image/tiff")
    assert list(store.keys()) == []
