"""kill -9 at any moment of an upload; the next one ends as an undisturbed one would."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from clockless import LONG, until
from making import EPOCH, cube_profile, every_file, profile_of, write_cube, write_tif
from tiny import FILES, PREFIX, Watched, inventory, make_bundle, store_of, whole

from earthcode_pack.storage.s3 import S3Store, Settings
from earthcode_pack.upload import clean_store, difference, order, standing, upload, verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.profile import Profile

_UPLOAD = """
import sys
from earthcode_pack.bundle import open_bundle
from earthcode_pack.storage import open_store
from earthcode_pack.upload import upload
bundle = open_bundle(sys.argv[1])
store = open_store(bundle.profile().store)
print("go", flush=True)
upload(bundle, store)
"""


def _start(bundle: Bundle) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen(
        [sys.executable, "-c", _UPLOAD, str(bundle.root)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "go\n"
    return run


def _end(run: subprocess.Popen[str]) -> int:
    assert run.stdout is not None
    run.stdout.close()
    return run.wait(LONG)


@pytest.fixture
def store_href(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "published")
    return f"s3://{request.getfixturevalue({'moto': 'bucket', 'rgw': 'rgw_bucket'}[request.param])}/killed"


def _many(folder: Path, store: str, number: int) -> Bundle:
    """So many objects, of which a few are larger than the rest, beside the tiny product."""
    chance = random.Random(5)
    sizes = [3_000_000 if n % 50 == 49 else chance.choice([100, 20_000]) for n in range(number)]
    data = {f"data/many/{number}.bin": chance.randbytes(size) for number, size in enumerate(sizes)}
    return make_bundle(folder, store, FILES | data)


def _seconds(bundle: Bundle) -> float:
    """How long an upload takes that nobody disturbs: a folder is quick, a busy server is not."""
    run = _start(bundle)
    started = time.monotonic()
    assert _end(run) == 0
    return time.monotonic() - started


def _killed_and_run_again(bundle: Bundle, times: int, undisturbed: float) -> list[int]:
    """The objects that are there after each kill, at a moment of the time that an undisturbed upload takes.

    The last kill waits for an object, where none of that time was enough.
    """
    chance, seen = random.Random(3), []
    for number in range(times):
        run = _start(bundle)
        time.sleep(chance.uniform(0, undisturbed))
        if number == times - 1:
            until(lambda: _there(bundle), "an object that was sent")
        run.send_signal(signal.SIGKILL)
        _end(run)
        seen.append(_whole_up_to_a_stage(bundle))
    last = _start(bundle)
    assert _end(last) == 0
    return seen


def _there(bundle: Bundle) -> set[str]:
    return {key.removeprefix(PREFIX) for key in store_of(bundle).keys()}  # noqa: SIM118 - no mapping


def _whole_up_to_a_stage(bundle: Bundle) -> int:
    """Nothing is there that refers to what is not; how many objects are."""
    there = _there(bundle)
    stages = [set(stage) for stage in order(key.removeprefix(PREFIX) for key in whole(bundle))]
    begun = max((number for number, stage in enumerate(stages) if stage & there), default=0)
    assert all(stage <= there for stage in stages[:begun])
    return len(there)


def _is_as_undisturbed(bundle: Bundle) -> None:
    assert inventory(store_of(bundle)) == whole(bundle)
    assert list(store_of(bundle).open_uploads("")) == []
    assert {PREFIX + one.key: (one.size, one.sha256) for one in bundle.receipts()} == whole(bundle)
    told = standing(bundle)
    assert told is not None
    assert told.objects == {"planned": 0, "sent": 0, "verified": 0, "committed": len(whole(bundle))}
    assert (difference(bundle).size, verify(bundle)) == (0, ())


@pytest.mark.parametrize("store_href", ["local", "moto"], indirect=True)
def test_killed_a_few_times(store_href: str, tmp_path: Path) -> None:
    undisturbed = _seconds(_many(tmp_path / "first", f"{store_href}-first", 50))
    bundle = _many(tmp_path / "bundle", store_href, 50)
    _killed_and_run_again(bundle, 2, undisturbed)
    _is_as_undisturbed(bundle)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("store_href", ["local", "moto", "rgw"], indirect=True)
def test_killed_twenty_times(store_href: str, tmp_path: Path) -> None:
    undisturbed = _seconds(_many(tmp_path / "first", f"{store_href}-first", 200))
    bundle = _many(tmp_path / "bundle", store_href, 200)
    seen = _killed_and_run_again(bundle, 20, undisturbed)
    assert seen == sorted(seen)
    assert seen[-1] > 0, "killed in the middle, or at the end"
    _is_as_undisturbed(bundle)


# --- a large file -----------------------------------------------------------------------------------------------------

_DIES_IN_PARTS = """
import os, sys, threading, time
from earthcode_pack.bundle import open_bundle
from earthcode_pack.storage.s3 import S3Store, Settings
from earthcode_pack.upload import upload

class Dying(S3Store):
    def put(self, *given, note=None, **more):
        def told(begun):
            note(begun)
            os._exit(9)
        return super().put(*given, note=told, **more)

bundle = open_bundle(sys.argv[1])
upload(bundle, Dying(bundle.profile().store, settings=Settings(large=2**20, part=5 * 2**20)))
"""


@pytest.fixture
def died(bucket: str, tmp_path: Path) -> Bundle:
    """A bundle whose upload died when the parts of a large file were to be sent."""
    data = random.Random(1).randbytes(11 * 2**20)
    bundle = make_bundle(tmp_path / "bundle", f"s3://{bucket}/large", FILES | {"data/large.tif": data})
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", _DIES_IN_PARTS, str(bundle.root)], env=environment, check=False)
    assert run.returncode == 9
    return bundle


def test_killed_inside_a_large_file_the_same_upload_goes_on(died: Bundle) -> None:
    bundle = died
    open_now = list(store_of(bundle).open_uploads(""))
    assert [key for key, _ in open_now] == [f"{PREFIX}data/large.tif"]
    told = standing(bundle)
    assert told is not None
    assert told.open_uploads == 1

    spec = bundle.profile().store
    assert spec is not None
    store = Watched(S3Store(spec, settings=Settings(large=2**20, part=5 * 2**20)))
    upload(bundle, store)
    assert [begun.upload_id for begun in store.begun] == [open_now[0][1]]
    _is_as_undisturbed(bundle)


def test_killed_inside_a_large_file_clean_ends_its_upload(died: Bundle) -> None:
    assert clean_store(died).uploads == 1
    assert list(store_of(died).open_uploads("")) == []
    assert inventory(store_of(died)) == {}


def test_killed_inside_a_large_file_that_is_another_one_now(died: Bundle) -> None:
    spec = died.profile().store
    assert spec is not None
    changed = make_bundle(died.root, str(spec.href), FILES | {"data/large.tif": b"small"})
    store = Watched(store_of(changed))
    upload(changed, store)
    assert store.begun == []
    _is_as_undisturbed(changed)


# --- a whole run ------------------------------------------------------------------------------------------------------


def _run(profile: Path, work: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"SOURCE_DATE_EPOCH": EPOCH, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = "import sys; from earthcode_pack.cli import execute; sys.exit(execute(sys.argv[1:]))"
    command = [sys.executable, "-W", "ignore", "-c", program, "run", str(profile), "--workdir", str(work)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("make", [profile_of, cube_profile])
def test_a_run_that_sends_ahead_killed_and_run_again(make: Callable[..., Profile], tmp_path: Path) -> None:
    for day in range(1, 9):
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif", np.full((600, 600), day, "int16"))
    write_cube(tmp_path / "raw" / "t.nc", np.arange(90), lats=np.arange(60), lons=np.arange(90))
    profile = tmp_path / "profile.yaml"
    profile.write_text(make(tmp_path, store__href="expected").to_yaml())
    began = time.monotonic()
    assert _run(profile, tmp_path / "undisturbed").wait(LONG) == 0
    seconds = time.monotonic() - began

    profile.write_text(make(tmp_path).to_yaml())
    chance = random.Random(17)
    for _ in range(6):
        run = _run(profile, tmp_path / "killed")
        time.sleep(chance.uniform(0.3, 1) * seconds)
        run.kill()
        run.wait(LONG)
    assert _run(profile, tmp_path / "killed").wait(LONG) == 0
    assert every_file(tmp_path / "published") == every_file(tmp_path / "expected")
