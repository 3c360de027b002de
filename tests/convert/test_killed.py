"""Conversions of cubes that are killed while they write, and go on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import make_nc, planned, profile_of
from clockless import LONG, until
from making import EPOCH, every_file

if TYPE_CHECKING:
    from pathlib import Path

_RUN = """
import sys
from pathlib import Path
from earthcode_pack import storage
from earthcode_pack.bundle import Bundle
from earthcode_pack.convert.netcdf import writer as netcdf
from earthcode_pack.convert.zarr import writer as zarr
from earthcode_pack.run.execute import execute
from earthcode_pack.model import Plan
from earthcode_pack.profile import load_profile
from earthcode_pack.run.workspace import Workspace
workspace = Workspace(Bundle(Path(sys.argv[1])))
plan, profile = Plan.from_json(Path(sys.argv[2]).read_bytes()), load_profile(sys.argv[3])
keep = Workspace.keep_record
Workspace.keep_record = lambda *given: (sys.stdin.readline(), keep(*given))  # nothing is done before the test lets it
print("go", flush=True)
with workspace.held():
    done = execute(plan, workspace, profile, storage.IdentityCache(), lambda *_: print("part", flush=True))
print(done.failures, done.skipped, [(file.key, file.size, file.sha256) for file in done.artifacts[0].files], flush=True)
"""


def begun(root: Path, *given: Path) -> subprocess.Popen[str]:
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN, *map(str, (root, *given))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH},
    )  # fmt: skip
    assert run.stdout is not None
    assert run.stdout.readline() == "go\n"
    return run


def ended(run: subprocess.Popen[str]) -> str:
    said, _ = run.communicate(timeout=LONG)
    assert run.returncode == 0
    return said.splitlines()[-1]


CHUNKS = {"time": 10, "lat": 100, "lon": 100}
SHARDS = {"time": 20, "lat": 200, "lon": 300}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("fmt", "options"),
    [("zarr", {}), ("zarr", {"shards": SHARDS}), ("zarr", {"version": 2, "zipped": True}), ("netcdf", {})],
    ids=["chunks", "shards", "zipped", "netcdf"],
)
def test_killed_while_it_writes(tmp_path: Path, fmt: str, options: dict[str, Any]) -> None:
    values = np.random.default_rng(1).normal(280, 9, (60, 500, 600)).astype("f4").round(2)
    values[:, :150, :150] = -9
    attrs = {"units": "K", "_FillValue": np.float32(-9)}
    source = make_nc(tmp_path / "a.nc", values, attrs, times=range(60))
    profile = profile_of(source, fmt, chunks=CHUNKS, **options)
    paths = tmp_path / "plan.json", tmp_path / "profile.yaml"
    paths[0].write_text(planned(profile).to_json())
    paths[1].write_text(profile.to_yaml())

    whole = begun(tmp_path / "whole", *paths)
    start = time.monotonic()
    expected = ended(whole)
    seconds = time.monotonic() - start
    assert expected.startswith("() 0 ")
    chance, jobs = random.Random(7), tmp_path / "killed" / ".work" / "jobs"
    for number in range(5):
        run = begun(tmp_path / "killed", *paths)
        time.sleep(chance.uniform(0, seconds * 0.7))
        if number > 2:
            until(lambda: any(jobs.glob("*/out.*")), "something that is being written")
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=LONG)
    assert any(jobs.glob("*/out.*")), "killed while it wrote"
    last = ended(begun(tmp_path / "killed", *paths))
    assert last.split(" ", 2)[2] == expected.split(" ", 2)[2]
    product = every_file(tmp_path / "killed" / "product")
    assert product == every_file(tmp_path / "whole" / "product")
    assert not [key for key in product if key.endswith(".part")]
