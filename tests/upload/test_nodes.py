"""Several machines put parts of one product; one of them ends the upload."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from clockless import LONG
from tiny import FILES, ORDERED, PREFIX, Watched, inventory, make_bundle, store_of, whole

from earthcode_pack.errors import OutsideError, UserError, VersionTaken
from earthcode_pack.model import Receipt
from earthcode_pack.upload import merge, upload, upload_part
from earthcode_pack.upload.ledger import ledger_path

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle

_PART = """
import json, sys
from earthcode_pack.bundle import open_bundle
from earthcode_pack.storage import open_store
from earthcode_pack.upload import upload_part
bundle = open_bundle(sys.argv[1])
store = open_store(bundle.profile().store)
receipts = upload_part(bundle, store, sys.argv[3:], node=sys.argv[2])
print(json.dumps([json.loads(receipt.to_json()) for receipt in receipts]))
"""


def _node(bundle: Bundle, name: str, keys: list[str], folder: Path) -> subprocess.Popen[str]:
    """A process on a disk of its own, which holds the data of its part, and none of the rest."""
    root = folder / name
    shutil.copytree(bundle.root, root, ignore=shutil.ignore_patterns("data", ".work"))
    for key in keys:
        (root / "product" / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(bundle.product / key, root / "product" / key)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _PART, str(root), name, *keys]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def _receipts(run: subprocess.Popen[str]) -> list[Receipt]:
    out, _ = run.communicate(timeout=LONG)
    assert run.returncode == 0
    return [Receipt.model_validate(one) for one in json.loads(out)]


def test_two_machines_put_a_half_each_and_one_of_them_ends_it(bundle: Bundle, tmp_path: Path) -> None:
    data = ORDERED[0]
    runs = [_node(bundle, f"node-{n}", data[n::2], tmp_path / "nodes") for n in range(2)]
    halves = [_receipts(run) for run in runs]
    assert [[one.key for one in half] for half in halves] == [sorted(data[0::2]), sorted(data[1::2])]
    assert set(inventory(store_of(bundle))) == {PREFIX + key for key in data}
    assert {path.name for path in (tmp_path / "nodes").rglob("*.sqlite")} == {
        "ledger-node-0.sqlite",
        "ledger-node-1.sqlite",
    }
    store = Watched(store_of(bundle))
    receipts = upload(bundle, store, receipts=merge(*halves))
    assert not set(store.put_keys) & set(data)
    assert inventory(store_of(bundle)) == whole(bundle)
    assert {one for half in halves for one in half} <= set(receipts)


def test_a_machine_that_was_interrupted_goes_on_with_its_ledger(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    with pytest.raises(OutsideError):
        upload_part(bundle, Watched(store_of(bundle), allowed=7), ORDERED[0], node="a")
    assert ledger_path(bundle, "a").is_file()
    again = upload_part(bundle, store_of(bundle), ORDERED[0], node="a")
    assert len(again) == 30


def test_nothing_but_data_of_an_unpublished_product(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    for key in ("collection.json", "data/tiny.zarr/zarr.json", "data/none.tif"):
        with pytest.raises(UserError, match="no data of this product"):
            upload_part(bundle, store_of(bundle), [key])
    assert not (tmp_path / "published").exists()
    upload(bundle, store_of(bundle))
    with pytest.raises(VersionTaken):
        upload_part(bundle, store_of(bundle), ORDERED[0])


def test_merged_receipts(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", str(tmp_path / "published"))
    receipts = upload(bundle, store_of(bundle))
    later = receipts[0].model_copy(update={"verified_at": receipts[0].verified_at + timedelta(hours=1)})
    assert merge(receipts[:20], receipts[10:], [later]) == tuple(
        sorted((later, *receipts[1:]), key=lambda receipt: receipt.key)
    )
    assert merge() == ()
    assert len(receipts) == len(FILES) + 1
    with pytest.raises(OutsideError, match="two machines put different bytes"):
        merge(receipts, [receipts[3].model_copy(update={"sha256": "0" * 64})])
