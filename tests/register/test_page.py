"""The commands of docs/prr.md, one after the other, at the double of the gateway."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import yaml
from making import profile_of, write_tif
from prr_places import COLLECTION, place

from earthcode_pack.cli import execute

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from prr_places import StageIn
    from services.gateway import Gateway


def test_every_command_of_the_page_does_what_it_says(
    root: Path, prr: Gateway, storage: StageIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (root / "docs" / "prr.md").read_text()
    for day in ("20200101", "20200102"):
        write_tif(tmp_path / "raw" / f"a_{day}.tif")
    stated = yaml.safe_load(profile_of(tmp_path).to_yaml())
    store = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1])["store"]
    store["prr"] = place(prr, storage) | store["prr"]
    (tmp_path / "profile.yaml").write_text(json.dumps(stated | {"store": store}))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("earthcode-pack")]
    assert len(commands) == len(lines) - 1, "and one export"
    assert [execute(command) for command in commands] == [0] * len(commands)
    assert sorted(prr.catalogue.items[COLLECTION]) == ["demo_20200101", "demo_20200102"]
    assert {path.name for path in (tmp_path / ".earthcode-pack/demo/v1.0/prr").iterdir()} == {
        "answers", "collection.json", "items", "letter.md", "stac.zip",
    }  # fmt: skip


def test_every_rule_of_the_page_is_one(root: Path) -> None:
    from earthcode_pack.catalogs.prr import ANSWERED, rules

    named = set(re.findall(r"`(PRR-[A-Z-]+)`", (root / "docs" / "prr.md").read_text()))
    assert named == {*ANSWERED, rules.REGISTERED.id} - {"PRR-INGESTED-UNSTATED"}
