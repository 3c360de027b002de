"""Workers that share no disk put what they made into the store themselves; the run sends the rest and ends it."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import numpy as np
import pytest
from clockless import LONG, until
from making import EPOCH, cube_profile, every_file, profile_of, write_cube, write_tif
from services.rgw import TESTER

from earthcode_pack import cli
from earthcode_pack.pipeline import open_bundle, prepare, publish
from earthcode_pack.storage import Folder
from earthcode_pack.storage.s3 import S3Store
from earthcode_pack.upload import standing
from earthcode_pack.upload.compare import place_name
from earthcode_pack.upload.early import Ahead
from earthcode_pack.upload.ledger import Row, read_ledger
from earthcode_pack.upload.worker import writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from services.rgw import Rgw

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.profile import Profile

pytestmark = [pytest.mark.filterwarnings("ignore:Dataset has no geotransform"), pytest.mark.usefixtures("machine")]

NODES = ("left", "right")
PREFIX = "demo/v1.0/"

_WORKER = """
import asyncio, platform, sys, threading
import pyproj
from distributed import Worker
from earthcode_pack.storage.s3 import S3Store

name, left, put = sys.argv[3], [int(sys.argv[4])], S3Store.put
platform.node = lambda: name

def so_many(*given, **more):
    left[0] -= 1
    return put(*given, **more) if left[0] >= 0 else threading.Event().wait()

S3Store.put = so_many

async def work():
    async with Worker(sys.argv[1], nthreads=1, host="127.0.0.1", local_directory=sys.argv[2]) as worker:
        await worker.finished()

asyncio.run(work())
"""


class Cluster(NamedTuple):
    address: str
    folder: Path  # of the workers, a folder for each
    workers: list[subprocess.Popen[bytes]]


class Lab(NamedTuple):
    raw: Path
    work: str  # the workdir's URL
    cluster: Cluster


@pytest.fixture(scope="module")
def cluster(rgw: Rgw, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler, and two workers in processes, folders and scratch of their own; as if on machines of two names."""
    with _cluster(rgw, tmp_path_factory.mktemp("workers")) as made:
        yield made


@contextmanager
def _cluster(rgw: Rgw, folder: Path, **puts: int) -> Iterator[Cluster]:
    """``puts`` are how many objects a node may put before it hangs; without end where it is not named."""
    from distributed import Client, LocalCluster

    settings = {"AWS_ENDPOINT_URL": rgw.http, "AWS_ACCESS_KEY_ID": rgw.user.access, "AWS_DEFAULT_REGION": "us-east-1"}
    settings |= {"AWS_SECRET_ACCESS_KEY": rgw.user.secret, "AWS_EC2_METADATA_DISABLED": "true"}
    settings |= {"AWS_CONFIG_FILE": str(folder / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none")}
    settings |= {"SOURCE_DATE_EPOCH": EPOCH}
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as made:
        workers = []
        for name in NODES:
            home = folder / name
            home.mkdir()
            environment = os.environ | settings | {"EARTHCODE_PACK_SCRATCH": str(home / "scratch")}
            command = [
                sys.executable,
                "-c",
                _WORKER,
                made.scheduler_address,
                str(home),
                name,
                str(puts.get(name, 10**9)),
            ]
            workers.append(subprocess.Popen(command, env=environment, cwd=home))
        try:
            with Client(made.scheduler_address, set_as_default=False) as client:
                client.wait_for_workers(2, timeout=LONG)
            yield Cluster(made.scheduler_address, folder, workers)
        finally:
            for worker in workers:
                worker.terminate()
                worker.wait(LONG)


@pytest.fixture
def lab(rgw_bucket: str, tmp_path: Path, cluster: Cluster) -> Lab:
    """Six scenes and two cubes, a workdir at a URL, and workers that share no disk."""
    for day in range(1, 7):
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif", np.full((16, 20), day, "int16"))
    for month in range(2):
        days = np.arange(12) + 12 * month
        write_cube(tmp_path / "raw" / f"t_{month}.nc", days, lats=np.arange(80) / 2, lons=np.arange(300) / 2)
    return Lab(tmp_path, f"s3://{rgw_bucket}/work", cluster)


def scenes(lab: Lab, **changes: Any) -> Profile:
    given = {"store": {"href": lab.work.replace("/work", "/pub")}, "compute": {"address": lab.cluster.address}}
    return profile_of(lab.raw, **(given | changes))


def cube(lab: Lab) -> Profile:
    """In several parts, each of some chunks."""
    zarr = {"chunks": {"time": 4, "lat": 40, "lon": 75}}
    given = {"store": {"href": lab.work.replace("/work", "/pub")}, "target__zarr": zarr}
    return cube_profile(lab.raw, **given, compute={"address": lab.cluster.address, "memory_limit": "1MiB"})


def there(work: str) -> dict[str, Any]:
    """What the server lists where it is published, by key: ETag and time."""
    bucket = work.split("/")[2]
    listed = boto3.Session().client("s3").list_objects_v2(Bucket=bucket, Prefix=f"pub/{PREFIX}").get("Contents", [])
    return {one["Key"].removeprefix(f"pub/{PREFIX}"): (one["ETag"], one["LastModified"]) for one in listed}


def rows_of(cluster: Cluster, profile: Profile) -> dict[str, dict[str, Row]]:
    """The ledger of each node, on its own disk."""
    found = {}
    for node in NODES:
        ledgers = (cluster.folder / node).rglob(f"ledger-{node}.sqlite")
        rows = [read_ledger(path, place_name(profile))[0] for path in ledgers]
        found[node] = {key: row for one in rows for key, row in one.items()}
    return found


@pytest.fixture
def sent_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the product that this process, which is the one that runs, puts into the store."""
    keys: list[str] = []
    put = S3Store.put

    def noted(self: S3Store, local: Path, key: str, **more: Any) -> Any:
        if key.startswith(PREFIX):
            keys.append(key.removeprefix(PREFIX))
        return put(self, local, key, **more)

    monkeypatch.setattr(S3Store, "put", noted)
    return keys


def made_by_workers(bundle: Bundle) -> set[str]:
    """The data of the product but for what ``begin`` makes: metadata and coordinates of Zarr."""
    data = {entry.key for entry in bundle.manifest() if entry.key.startswith("data/")}
    return {key for key in data if key.endswith(".tif") or "/t/c/" in key}


@pytest.mark.parametrize("make", [scenes, pytest.param(cube, marks=pytest.mark.slow)])
def test_each_node_puts_its_own_and_the_run_ends_it(
    make: Any, lab: Lab, sent_here: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    profile = make(lab)
    with caplog.at_level(logging.INFO, "earthcode_pack"):
        bundle = prepare(profile, lab.work, ahead=True)
    theirs = made_by_workers(bundle)
    assert len(theirs) >= 6
    assert theirs <= there(lab.work).keys()
    assert "collection.json" not in there(lab.work)
    assert f"{len(theirs)} objects were put by the workers that made them (left, right)" in caplog.text
    told = standing(bundle)
    assert told is not None
    assert sum(told.objects.values()) == told.objects["sent"] >= len(theirs)
    assert not _places_of(TESTER.secret, bundle, profile)
    before = there(lab.work)
    publish(bundle)
    assert not theirs & set(sent_here)
    assert {key: there(lab.work)[key] for key in theirs} == {key: before[key] for key in theirs}  # put once
    ledgers = rows_of(lab.cluster, profile)
    assert all(ledgers[node] for node in NODES)
    assert {key for rows in ledgers.values() for key in rows} == theirs
    assert sum(len(rows) for rows in ledgers.values()) == len(theirs)
    receipts = {receipt.key: receipt for receipt in bundle.receipts()}
    assert {key: receipts[key].etag for key in theirs} == {k: r.etag for rs in ledgers.values() for k, r in rs.items()}
    published = Folder(f"{lab.work.replace('/work', '/pub')}/demo/v1.0")
    assert {key: published.read(key) for key in published.listing()} == every_file(bundle.product)
    assert not [key for key in Folder(bundle.name).listing() if "sent" in key]


def _places_of(secret: str, bundle: Bundle, profile: Profile) -> list[str]:
    """Where a secret is found: in what travels to workers, or in what a run leaves in the workdir."""
    left = {key: Folder(bundle.name).read(key) or b"" for key in Folder(bundle.name).listing()}
    assert any(b'"receipts"' in raw for raw in left.values())
    left["what travels"] = pickle.dumps(writer(bundle, profile))
    return [key for key, raw in left.items() if secret.encode() in raw]


def test_with_a_failed_source_everything_is_taken_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.raw / "raw" / "a_20200107.tif").write_bytes(b"II*\0")
    went_up: list[set[str]] = []
    withdraw = Ahead.withdraw
    noted = lambda self, *given: (went_up.append(set(there(lab.work))), withdraw(self, *given))[1]  # noqa: E731
    monkeypatch.setattr(Ahead, "withdraw", noted)
    bundle = prepare(scenes(lab), lab.work, ahead=True)
    assert bundle.provenance()["failed"]
    assert len(went_up[0]) == 6
    assert there(lab.work) == {}
    told = standing(bundle)
    assert told is not None
    assert sum(told.objects.values()) == 0
    (lab.raw / "raw" / "a_20200107.tif").unlink()  # the next run has nothing to convert, and sends all of it
    assert publish(prepare(scenes(lab), lab.work, ahead=True))
    assert set(there(lab.work)) == set(every_file(bundle.product)) | {"manifest.json"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_worker_that_may_not_enter_the_store_is_no_failure(
    lab: Lab, rgw: Rgw, sent_here: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The AWS files of this machine have a profile that those of the workers have not."""
    words = f"[publisher]\naws_access_key_id = {rgw.user.access}\naws_secret_access_key = {rgw.user.secret}\n"
    (lab.raw / "no-credentials").write_text(words)
    store = {"href": lab.work.replace("/work", "/pub"), "profile": "publisher", "endpoint_url": rgw.http}
    with caplog.at_level(logging.WARNING, "earthcode_pack"):
        bundle = prepare(scenes(lab, store=store), lab.work, ahead=True)
    assert publish(bundle)
    assert made_by_workers(bundle) <= set(sent_here)
    assert "this run does so in the end: the AWS files have no profile publisher" in caplog.text
    assert rgw.user.secret not in caplog.text


# --- interrupted ------------------------------------------------------------------------------------------------------

_RUN = """
import os, signal, sys
from earthcode_pack.pipeline import prepare
from earthcode_pack.profile import load_profile
from earthcode_pack.run.workspace import Workspace
left, keep = [int(sys.argv[3])], Workspace.keep_record

def so_many(*given):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    keep(*given)

Workspace.keep_record = so_many
prepare(load_profile(sys.argv[1]), sys.argv[2], ahead=True)
"""


def _killed(profile: Profile, work: str, machine: Path, enough: int) -> dict[str, Any]:
    """A run that ends by SIGKILL when it has noted so many objects; what is there once the workers are at rest."""
    machine.mkdir(parents=True)
    (machine / "profile.yaml").write_text(profile.to_yaml())
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "EARTHCODE_PACK_SCRATCH": str(machine)}
    command = [sys.executable, "-c", _RUN, str(machine / "profile.yaml"), work, str(enough)]
    assert subprocess.run(command, env=environment, timeout=LONG, check=False).returncode == -signal.SIGKILL
    seen: dict[str, Any] = {}

    def is_at_rest() -> bool:
        nonlocal seen
        time.sleep(1.0)
        before, seen = seen, there(work)
        return bool(seen) and seen == before

    until(is_at_rest, "workers at rest")
    return seen


def _many(raw: Path) -> None:
    for day in range(10, 30):
        write_tif(raw / "raw" / f"a_202001{day}.tif", np.full((200, 200), day, "int16"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("where", ["killed", "other"])
def test_a_run_that_was_killed_goes_on_here_and_elsewhere(
    where: str, lab: Lab, machine: Callable[[str], Path], sent_here: list[str]
) -> None:
    _many(lab.raw)
    profile = scenes(lab)
    before = _killed(profile, lab.work, machine("killed"), 4)
    assert 4 <= len(before) < 26
    machine(where)
    bundle = prepare(profile, lab.work, ahead=True)
    assert made_by_workers(bundle) == set(there(lab.work))
    assert publish(bundle)
    after = there(lab.work)
    assert {key: after[key][0] for key in before} == {key: before[key][0] for key in before}
    assert not made_by_workers(bundle) & set(sent_here)
    published = Folder(f"{lab.work.replace('/work', '/pub')}/demo/v1.0")
    assert {key: published.read(key) for key in published.listing()} == every_file(bundle.product)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_clean_elsewhere_takes_back_what_the_workers_of_a_killed_run_put(
    lab: Lab, machine: Callable[[str], Path]
) -> None:
    _many(lab.raw)
    assert _killed(scenes(lab), lab.work, machine("killed"), 4)
    machine("other")
    assert cli.execute(["clean", f"{lab.work}/demo/v1.0"]) == 0
    assert there(lab.work) == {}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_a_node_leaves_undone_another_does(lab: Lab, rgw: Rgw, tmp_path: Path) -> None:
    _many(lab.raw)
    (tmp_path / "mortal").mkdir()
    with _cluster(rgw, tmp_path / "mortal", left=2) as mortal:

        def kill() -> None:
            until(lambda: len(there(lab.work)) >= 4, "4 objects in the store")
            mortal.workers[0].kill()

        killer = Thread(target=kill, daemon=True)
        killer.start()
        profile = scenes(lab._replace(cluster=mortal))
        bundle = prepare(profile, lab.work, ahead=True)
        killer.join(LONG)
        assert publish(bundle)
        ledgers = rows_of(mortal, profile)
    assert mortal.workers[0].returncode == -signal.SIGKILL
    published = Folder(f"{lab.work.replace('/work', '/pub')}/demo/v1.0")
    assert {key: published.read(key) for key in published.listing()} == every_file(bundle.product)
    assert len(ledgers["right"]) > len(ledgers["left"])
    assert made_by_workers(bundle) == ledgers["left"].keys() | ledgers["right"].keys()


def test_data_does_not_come_back_only_to_be_sent(
    lab: Lab, machine: Callable[[str], Path], sent_here: list[str]
) -> None:
    made = prepare(scenes(lab), lab.work, ahead=True)
    lost = min(made_by_workers(made))
    boto3.Session().client("s3").delete_object(Bucket=lab.work.split("/")[2], Key=f"pub/{PREFIX}{lost}")
    machine("second")
    bundle = open_bundle(made.name)
    assert publish(bundle)
    assert set(sent_here) & made_by_workers(made) == {lost}
    data = [path.relative_to(bundle.product).as_posix() for path in (bundle.product / "data").rglob("*.tif")]
    assert data == [lost]
    assert set(there(lab.work)) == set(every_file(made.product))
